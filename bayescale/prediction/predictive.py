"""What a fit says of training runs: the loss of their law and how a new one scatters about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import xarray as xr

from bayescale.common.errors import InputError
from bayescale.fitting.fits import Fit
from bayescale.posterior.discrepancy import Knot, bent, departure
from bayescale.posterior.noise import features, noise_model, run_scale

__all__ = ["evaluate", "known_bends", "new_run"]

# A size within a hundredth of a fitted one is that size: people write 190M for 190,354,176.
_SAME_SIZE = 0.01


def evaluate(fit: Fit, values: Mapping[str, Any], effect: Any = None) -> xr.DataArray:
    """Loss of the law at every posterior draw, for inputs in plain units.

    Parameters
    ----------
    fit
        A fit.
    values
        The law's inputs: floats, or DataArrays that broadcast by dimension.
    effect
        What runs share beyond the law and its discrepancy, on the log of the loss above the floor.

    Returns
    -------
    xarray.DataArray
        The law, with its discrepancy if that is modelled, over chain, draw and the dimensions of
        the inputs.
    """
    scaled = {name: values[name] / fit.reference[name] for name in fit.law.inputs}
    draws = fit.posterior
    try:
        xr.align(draws, *(x for x in scaled.values() if isinstance(x, xr.DataArray)), join="exact")
    except ValueError as error:
        raise InputError(
            f"the inputs' labels do not match one another or the fit's draws: {error}; give values "
            "in one order with equal labels, or plain arrays: series.to_numpy()"
        ) from None
    fixed = fit.about["fixed"]
    coefficients = {name: draws[name] if name in draws else fixed[name] for name in fit.law.priors}
    bends = known_bends(fit, draws)
    if bends or effect is not None:
        g = departure(fit.law, scaled, bends) + (0.0 if effect is None else effect)
        loss = bent(fit.law, scaled, coefficients, g)
    else:
        loss = fit.law(**scaled, **coefficients)
    return cast(xr.DataArray, loss).transpose("chain", "draw", ...)


def known_bends(fit: Fit, draws: Any) -> dict[Knot, Any]:
    """Changes of slope by knot, of draws that hold ``discrepancy``; none without one."""
    knots = [
        Knot(one["input"], one["side"], one["at"], one["level"], tuple(one["tilt"].items()))
        for one in fit.about.get("knots", ())
    ]
    return {knot: draws["discrepancy"].isel(knot=i) for i, knot in enumerate(knots)}


def new_run(
    fit: Fit,
    values: Mapping[str, Any],
    rng: np.random.Generator,
    *,
    level: np.ndarray | None = None,
    error: np.ndarray | None = None,
) -> tuple[xr.DataArray, Any, dict[str, Any]]:
    """What a new run's loss scatters about, the scale of its noise, and the noise's parameters.

    Parameters
    ----------
    fit
        A fit to runs.
    values
        The law's inputs, plain units.
    rng
        Draws the effect of a level that was not fitted.
    level
        Of each run, of a fit whose effects are of a column; without it, one that was not fitted.
    error
        Known standard error of the log loss of each run.

    Returns
    -------
    tuple
        Loss over chain, draw and the inputs' dimensions; scale of the log loss, which broadcasts
        against it; parameters by name, likewise. Arrays.
    """
    draws = fit.posterior
    loss = evaluate(fit, values, _effect(fit, values, rng, level))
    noise = noise_model(fit.about["noise"])
    p = {name: draws[name] for name in noise.priors}
    run: dict[str, Any] = {}
    if noise.scaled:
        run = features(fit.law, values, fit.about["noise_centre"])
    if error is not None:
        run["error"] = xr.DataArray(error, dims="run")
    scale = run_scale(noise, p, run)
    axes = tuple(range(2, loss.ndim))
    arrays = {n: np.expand_dims(x.transpose("chain", "draw").values, axes) for n, x in p.items()}
    wide = scale.broadcast_like(loss).transpose(*loss.dims).values if run else arrays["noise_scale"]
    return loss, wide, arrays


def _effect(
    fit: Fit, values: Mapping[str, Any], rng: np.random.Generator, level: np.ndarray | None
) -> Any:
    """The effect of each run's level: that of a fitted model size or level, or a new one's."""
    draws = fit.posterior
    if "effect" not in draws:
        return None
    spread = draws["effect_scale"]
    by = fit.about["effects"]
    fitted = draws["effect"].transpose("chain", "draw", "level").values
    known = draws["level"].values
    if by in fit.law.inputs:
        levels = xr.DataArray(values[by])
    elif level is not None:
        levels = xr.DataArray(np.asarray(level).astype(str), dims="run")
    else:  # Another seed, another corpus: a level that was not fitted.
        return spread * xr.DataArray(rng.standard_normal(spread.shape), dims=spread.dims)
    flat = levels.values.ravel()
    total = np.empty((*spread.shape, flat.size))
    for one in np.unique(flat):
        if by in fit.law.inputs:
            distance = np.abs(np.log(known.astype(float) / one))
        else:
            distance = (known.astype(str) != one) * 1.0
        nearest = int(distance.argmin())
        if distance[nearest] < _SAME_SIZE:
            effect = fitted[..., nearest]
        else:
            effect = spread.values * rng.standard_normal(spread.shape)
        total[..., flat == one] = effect[..., None]
    dims = (*spread.dims, *levels.dims)
    return xr.DataArray(
        total.reshape(*spread.shape, *levels.shape), dims=dims, coords=levels.coords
    )
