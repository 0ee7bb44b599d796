"""One group of a fit whose coefficients vary, and the difference between two."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.fitting.fits import Fit, digest
from bayescale.fitting.refits import options_of

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["contrast", "group"]


def group(fit: Fit, level: str | None, *, seed: int | None = None) -> Fit:
    """One group of a fit whose coefficients vary: a fit to allocate and decide with.

    Parameters
    ----------
    fit
        A fit made with ``by=``.
    level
        The group. None: one that no run is of, whose coefficients are drawn about what the groups
        share, with the spread between them; it needs ``pool="partial"``.
    seed
        Of a new group's draws.

    Returns
    -------
    Fit
        The group's coefficients and runs; of a new group, the runs of all.

    Raises
    ------
    InputError
        If the fit has no groups or none of that name, or a new one is asked of a fit that does not
        pool them.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("gadre2024").query("warm_frac <= 0.25")
    >>> fit = bs.fit(dense, runs, by="corpus", vary=("E", "A"))  # doctest: +SKIP
    >>> bs.allocate(bs.group(fit, "rpj"), 1e22)  # doctest: +SKIP
    """
    import xarray as xr

    by = _grouping(fit)
    if level is None:
        return _new_group(fit, by, seed)
    levels = [str(x) for x in fit.posterior[by].values]
    if level not in levels:
        raise InputError(f"there is no group {level!r} in {by!r}; there are {levels}")
    groups: dict[str, Any] = {"posterior": fit.posterior.sel({by: level}, drop=True)}
    about = fit.about | {"by": None, "group": {by: level}}
    if fit.runs is not None:
        runs = fit.runs.isel(run=fit.runs[by].values.astype(str) == level)
        groups["runs"], about["runs"] = runs, digest(runs)
    tree = xr.DataTree.from_dict(groups)
    tree.attrs["bayescale"] = json.dumps(about)
    return Fit(fit.law, tree)


def _new_group(fit: Fit, by: str, seed: int | None) -> Fit:
    import xarray as xr

    rng, draws = np.random.default_rng(seed), fit.posterior
    stated = options_of(fit)["priors"] if "options" in fit.about else None
    found = {}
    for name in fit.about["vary"]:
        if f"{name}_centre" not in draws:
            raise InputError(
                "groups that share nothing say nothing of a new one; fit with pool='partial'"
            )
        centre, prior = draws[f"{name}_centre"], (stated or {}).get(name, fit.law.priors[name])
        step = draws[f"{name}_spread"] * rng.standard_normal(centre.shape)
        if prior.positive:
            found[name] = centre * np.exp(step)
        else:
            unit = prior.b * (fit.about["loss_scale"] if prior.share else 1.0)
            found[name] = centre + unit * step
    groups: dict[str, Any] = {"posterior": draws.drop_vars([*found, by]).assign(found)}
    if fit.runs is not None:
        groups["runs"] = fit.runs
    tree = xr.DataTree.from_dict(groups)
    tree.attrs["bayescale"] = json.dumps(fit.about | {"by": None, "group": {by: "a new one"}})
    return Fit(fit.law, tree)


def contrast(fit: Fit, coefficient: str, first: str, second: str) -> xr.DataArray:
    """Posterior of the difference of a coefficient between two groups.

    Parameters
    ----------
    fit
        A fit made with ``by=``.
    coefficient
        One that varies; in reference units, which all groups share.
    first, second
        The groups; the difference is the first less the second.

    Returns
    -------
    xarray.DataArray
        Over chain and draw.

    Raises
    ------
    InputError
        If the coefficient does not vary or a group is not there.
    """
    by = _grouping(fit)
    draws = fit.posterior
    if coefficient not in draws or by not in draws[coefficient].dims:
        varying = [str(n) for n, v in draws.data_vars.items() if by in v.dims]
        raise InputError(f"{coefficient!r} does not vary over {by!r}; {varying} do")
    for level in (first, second):
        if level not in draws[by].values:
            raise InputError(f"there is no group {level!r} in {by!r}; there are "
                             f"{[str(x) for x in draws[by].values]}")  # fmt: skip
    difference = draws[coefficient].sel({by: first}, drop=True) - draws[coefficient].sel(
        {by: second}, drop=True
    )
    return difference.rename(f"{coefficient}: {first} - {second}")


def _grouping(fit: Fit) -> str:
    by = fit.about.get("by")
    if not by:
        raise InputError(
            "this fit has no groups; make it with fit(law, runs, by='column', vary=('E', ...))"
        )
    return str(by)
