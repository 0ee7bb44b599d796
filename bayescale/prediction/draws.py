"""Posterior draws picked, reordered and paired with those of another fit."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from bayescale.common.errors import InputError
from bayescale.fitting.fits import Fit

__all__ = ["check_one_group", "flat", "one_posterior", "paired", "thinned"]


def check_one_group(fit: Fit, called: str = "this fit") -> None:
    """Refuse a fit whose coefficients vary over groups where one group is needed."""
    by = fit.about.get("by")
    if by:
        level = str(fit.posterior[by].values[0])
        raise InputError(
            f"{called} has coefficients for each {by!r}; say for which one: group(fit, {level!r})"
        )


def flat(draws: xr.DataArray) -> np.ndarray:
    """Draws as rows, of chains one after the other."""
    values = draws.transpose("chain", "draw", ...).values
    return values.reshape(-1, *values.shape[2:])


def thinned(fit: Fit, most: int) -> Fit:
    """The fit with one draw in a few, where it has more than that."""
    sizes = fit.posterior.sizes
    step = -(-sizes["chain"] * sizes["draw"] // most)
    return fit if step == 1 else _holding(fit, fit.posterior.isel(draw=slice(None, None, step)))


def paired(fit_a: Fit, fit_b: Fit, seed: int) -> tuple[Fit, Fit]:
    """Both fits with as many draws, paired at random unless they are of one posterior.

    Draws of independent posteriors may be paired in any way, but not in order: samplers given one
    seed use the same random numbers, and their draws in order may be correlated. The draws of the
    smaller fit are repeated. Fits of one posterior (one fit, or two of its groups) are told by
    their noise, which is the same draw for draw, and stay as they are.
    """
    if one_posterior(fit_a, fit_b):
        return fit_a, fit_b
    a, b = (fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"] for fit in (fit_a, fit_b))
    order = np.resize(np.random.default_rng(seed).permutation(min(a, b)), max(a, b))
    if b <= a:
        return fit_a, _reordered(fit_b, order, fit_a.posterior)
    return _reordered(fit_a, order, fit_b.posterior), fit_b


def one_posterior(first: Fit, *others: Fit) -> bool:
    """Whether fits are one, or groups of one: their draws then belong together."""
    return all(first is one or _joint(first.posterior, one.posterior) for one in others)


def _joint(a: xr.Dataset, b: xr.Dataset) -> bool:
    name = "noise_scale"
    return name in a and name in b and np.array_equal(a[name].values, b[name].values)


def _reordered(fit: Fit, order: np.ndarray, like: xr.Dataset) -> Fit:
    """The fit with its draws in another order, labelled like another's."""
    rows = fit.posterior.stack(pair=("chain", "draw")).drop_vars(["pair", "chain", "draw"])
    labels = {"chain": like.chain.values, "draw": like.draw.values}
    shape = (like.sizes["chain"], like.sizes["draw"])
    places = xr.DataArray(order.reshape(shape), dims=("chain", "draw"), coords=labels)
    return _holding(fit, rows.isel(pair=places))


def _holding(fit: Fit, posterior: xr.Dataset) -> Fit:
    """The fit with other draws, and its runs; what else it holds is of the draws it had."""
    groups: dict[str, Any] = {"posterior": posterior}
    if fit.runs is not None:
        groups["runs"] = fit.runs
    tree = xr.DataTree.from_dict(groups)
    tree.attrs = fit.tree.attrs
    return Fit(fit.law, tree)
