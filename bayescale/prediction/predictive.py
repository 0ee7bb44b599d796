"""What a fit says of training runs: the loss of their law and how a new one scatters about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import xarray as xr

from bayescale.common.errors import InputError
from bayescale.fitting.fits import Fit
from bayescale.posterior.discrepancy import Direction, bent, departure
from bayescale.posterior.noise import features, noise_model, run_scale

__all__ = ["directions_of", "evaluate", "new_run"]


def evaluate(fit: Fit, values: Mapping[str, Any]) -> xr.DataArray:
    """Loss of the law at every posterior draw, for inputs in plain units.

    Parameters
    ----------
    fit
        A fit.
    values
        The law's inputs: floats, or DataArrays that broadcast by dimension.

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
    if lines := directions_of(fit):
        field = draws["discrepancy"], draws["discrepancy_level"]
        g = departure(fit.law, lines, scaled, *field)
        loss = bent(fit.law, scaled, coefficients, g)
    else:
        loss = fit.law(**scaled, **coefficients)
    return cast(xr.DataArray, loss).transpose("chain", "draw", ...)


def directions_of(fit: Fit) -> tuple[Direction, ...]:
    """The directions that a fit's discrepancy runs along; none without one."""
    return tuple(Direction.from_about(one) for one in fit.about.get("directions", ()))


def new_run(
    fit: Fit,
    values: Mapping[str, Any],
    *,
    error: np.ndarray | None = None,
) -> tuple[xr.DataArray, Any, dict[str, Any]]:
    """What a new run's loss scatters about, the scale of its noise, and the noise's parameters.

    Parameters
    ----------
    fit
        A fit to runs.
    values
        The law's inputs, plain units.
    error
        Known standard error of the log loss of each run.

    Returns
    -------
    tuple
        Loss over chain, draw and the inputs' dimensions; scale of the log loss, which broadcasts
        against it; parameters by name, likewise. Arrays.
    """
    draws = fit.posterior
    loss = evaluate(fit, values)
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
