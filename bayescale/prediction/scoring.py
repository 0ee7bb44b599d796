"""How well a fit predicted runs that it has not seen: proper scores, and whether intervals held.

Everything is on the log loss, so a width or an error of 0.01 is one per cent of the loss.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.fitting.fits import Fit
from bayescale.language.columns import read_columns

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["INTERVALS", "crps", "log_densities", "log_score", "scatter", "score"]

#: Intervals that are scored, and the quantiles that bound them.
INTERVALS = (50, 80, 90)
_QUANTILES = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
# Student-t noise of one degree of freedom or less has no mean, and a score that is infinite says
# nothing: differences beyond this range of losses, in nats, do not count.
_LOSSES = (1e-6, 1e6)


def crps(draws: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of draws against what was observed.

    The mean distance of the draws from the observation, less half their mean distance from one
    another: in the units of what is predicted, zero at best, and the absolute error of a
    prediction without a spread.

    Parameters
    ----------
    draws
        Draws of the predictive distribution along the first axis, shape (draws, ...).
    observed
        Shape (...).

    Returns
    -------
    numpy.ndarray
        Exact for the empirical distribution of the draws, shape (...).

    Examples
    --------
    >>> float(crps(np.array([0.0, 1.0]), np.array(0.5)))
    0.25
    """
    ranked = np.sort(draws, axis=0)
    n = len(ranked)
    # Of all pairs, the one of rank i is the larger in i and the smaller in n - 1 - i.
    larger = (2 * np.arange(n) - (n - 1)) / n**2
    return np.abs(ranked - observed).mean(axis=0) - np.tensordot(larger, ranked, axes=1)


def log_score(fit: Fit, runs: pd.DataFrame, *, own: bool = False) -> np.ndarray:
    """Log posterior predictive density of the log loss of new runs.

    Parameters
    ----------
    fit
        A fit made by :func:`bayescale.fit`.
    runs
        One row a run: the law's inputs, ``loss``, and the column of groups if the fit has any.
    own
        As for :func:`scatter`.

    Returns
    -------
    numpy.ndarray
        One value a run; higher is better.

    Raises
    ------
    InputError
        If the fit carries no noise, or the runs lack a column or are of an unknown group.
    """
    from scipy.special import logsumexp

    density = log_densities(fit, runs, own=own).values
    flat = density.reshape(-1, density.shape[-1])
    return logsumexp(flat, axis=0) - np.log(len(flat))


def log_densities(fit: Fit, runs: pd.DataFrame, *, own: bool = False) -> xr.DataArray:
    """Log density of the log loss of runs under every draw, over chain, draw and run.

    Parameters
    ----------
    fit, runs, own
        As for :func:`log_score`.
    """
    import xarray as xr

    from bayescale.posterior.noise import noise_model

    loss = read_columns(runs, ("loss",))["loss"]
    centre, scale, parameters = scatter(fit, runs, own=own)
    density = noise_model(fit.about["noise"]).log_density(np.log(loss) - centre, scale, parameters)
    density = np.where(np.isnan(density), -np.inf, density)  # a loss below zero has no logarithm
    coords = {name: fit.posterior[name] for name in ("chain", "draw")} | {"run": runs.index}
    shape = (*(x.size for x in coords.values()),)
    return xr.DataArray(density.reshape(shape), coords, ("chain", "draw", "run"), name="log_loss")


def scatter(
    fit: Fit, runs: pd.DataFrame, *, own: bool
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """What the log losses of runs scatter about, and how, under every draw.

    Parameters
    ----------
    fit
        A fit made by :func:`bayescale.fit`.
    runs
        One row a run, as the fitted table has them.
    own
        Whether the runs have their own known error, where the fitted runs have one.

    Returns
    -------
    centre, scale : numpy.ndarray
        Log of the loss that runs scatter about (nan where a draw's is not above zero) and scale of
        the noise, over draw and run.
    parameters : dict of numpy.ndarray
        Of the noise, broadcasting against them.
    """
    from bayescale.prediction.predict import new_runs

    # The tables of fits have no slashes in their columns' names.
    column = str(fit.about.get("options", {}).get("error") or "").replace("/", "_")
    error = (runs[column] / runs["loss"]).to_numpy(float) if own and column in runs else None
    loss, scale, parameters = new_runs(fit, _inputs(fit, runs), error=error)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = np.log(loss.values)
    count = centre.shape[0] * centre.shape[1]
    flat = {n: x.reshape(count, -1) for n, x in {"": scale, **parameters}.items()}
    return centre.reshape(count, -1), flat.pop(""), flat


def score(fit: Fit, runs: pd.DataFrame, *, seed: int | None = None) -> pd.DataFrame:
    """Predict runs and score the predictions against their losses.

    Parameters
    ----------
    fit
        A fit made by :func:`bayescale.fit`.
    runs
        Runs that it has not seen, with their losses.
    seed
        Makes the noise of the predictions reproducible.

    Returns
    -------
    pandas.DataFrame
        One row a run: ``loss``; the predictive quantiles ``q05`` to ``q95``, nats; ``error``, the
        log of the loss over the predictive median; ``width`` of the 90 % interval on the log loss;
        ``inside_50``, ``inside_80`` and ``inside_90``; ``crps`` of the log loss (lower is
        better) and ``log_score``, the log density of the log loss (higher is better).
    """
    import pandas as pd

    from bayescale.prediction.predict import predict

    observed = read_columns(runs, ("loss",))["loss"]
    predicted = predict(fit, seed=seed, **_inputs(fit, runs)).values
    draws = np.clip(predicted.reshape(-1, len(runs)), *_LOSSES)
    quantiles = np.quantile(draws, _QUANTILES, axis=0)
    found: dict[str, Any] = {"loss": observed}
    found |= {f"q{100 * q:02.0f}": x for q, x in zip(_QUANTILES, quantiles, strict=True)}
    found["error"] = np.log(observed / found["q50"])
    found["width"] = np.log(found["q95"] / found["q05"])
    for percent in INTERVALS:
        lower, upper = (found[f"q{50 + side * percent / 2:02.0f}"] for side in (-1, 1))
        found[f"inside_{percent}"] = (lower <= observed) & (observed <= upper)
    found["crps"] = crps(np.log(draws), np.log(observed))
    found["log_score"] = log_score(fit, runs)
    return pd.DataFrame(found, index=runs.index)


def _inputs(fit: Fit, runs: pd.DataFrame) -> dict[str, Any]:
    """What ``predict`` needs to know of runs."""
    inputs: dict[str, Any] = dict(read_columns(runs, fit.law.inputs, extra=fit.law.variables))
    by = fit.about.get("by")
    if by:
        if by not in runs:
            raise InputError(f"the fit has coefficients by {by!r}, and these runs lack that column")
        inputs[by] = runs[by].astype(str).to_numpy()
    return inputs
