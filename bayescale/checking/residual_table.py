"""Residuals of the runs that were fitted: each run against a fit that has not seen it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescale.checking.elpd import configurations, loo_weights
from bayescale.checking.folds import check_refits, parts
from bayescale.common.errors import InputError
from bayescale.fitting.diagnostics import diagnose
from bayescale.fitting.fits import Fit
from bayescale.fitting.refits import options_of, refit, table_of
from bayescale.language.compute import law_flops, tokens_per_parameter
from bayescale.posterior.noise import noise_model
from bayescale.prediction.scoring import scatter

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_has_runs", "derived", "residuals"]

# Steps of Newton's method to the median of a mixture of noise: each squares the error.
_STEPS = 3


def residuals(fit: Fit, *, exact: bool = True, seed: int | None = None) -> pd.DataFrame:
    """Each fitted run against the prediction of a fit to the other runs.

    A run's own loss pulls the law towards itself, so its distance from the fitted law is too small.
    Here every run is predicted without its own loss and those of its repeats: the draws of the one
    posterior are reweighted (Pareto-smoothed importance sampling, Vehtari et al. 2017), and where
    that fails the law is fitted to the other runs.

    Parameters
    ----------
    fit
        A fit made by :func:`bayescale.fit`.
    exact
        Whether to refit where reweighting fails; otherwise those runs are ``doubtful``, and a
        calibrated fit, which leans on many of its runs, is judged in seconds.
    seed
        Of refits; by default they have the fit's own.

    Returns
    -------
    pandas.DataFrame
        One row a run, by its label:

        - the law's inputs, plain units; ``flops`` and ``tokens_per_parameter``, where known;
        - ``loss`` and ``predicted``, the median of the leave-one-out prediction, nats per token;
        - ``residual``, the log of the loss over the prediction: 0.01 is a loss 1 % above it;
        - ``scale``, the spread of the prediction of the log loss: the standard deviation of a
          normal distribution that is as high at the median;
        - ``pit``, the probability that the leave-one-out prediction of this run, its noise
          included, gave to a smaller loss (probability integral transform);
        - ``z``, the same as a quantile of the standard normal distribution;
        - ``pareto_k``, the diagnostic of the reweighting; ``exact``, whether the run was left out
          by a refit.

        ``attrs`` hold the law's name, the number of ``runs``, and ``doubtful``, the labels of runs
        whose reweighting failed and that could not be left out by a refit that is trusted.

    Raises
    ------
    InputError
        If the fit holds no runs and their likelihood: published coefficients, draws of a prior, one
        group of a fit.

    Notes
    -----
    The run is left out, not its conditions: with ``by=`` it keeps its group's coefficients, with
    ``discrepancy=True`` the bend at its place, and with ``error=`` its own known error. With
    ``weights=`` its weighted likelihood is taken away, and what is predicted is a run with the
    full noise. Noise enters by its distribution function, draw by draw, not by simulation.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder").query("not target")
    >>> fit = bs.fit(dense, runs, method="laplace", seed=1)
    >>> table = bs.residuals(fit)
    >>> table.columns[:4].tolist()
    ['N', 'D', 'flops', 'tokens_per_parameter']
    >>> bool((table.residual.abs() < 0.02).all())
    True
    """
    import pandas as pd

    check_has_runs(fit)
    runs = table_of(fit)
    log_weights, pareto_k, good_k = loo_weights(fit)
    found = _predicted(fit, runs, np.exp(log_weights.T))
    high = np.flatnonzero(~(pareto_k <= good_k))
    refitted_ones, doubtful = np.zeros(len(runs), dtype=bool), high
    if exact and len(high):
        try:
            again, refitted, trusted = _left_out(fit, runs, high, seed)
            found[again] = refitted
            refitted_ones[again], doubtful = True, again[~trusted]
        except InputError:  # An older fit, or the only run of its group: importance sampling it is.
            pass
    median, spread, pit, z = found.T
    loss = runs["loss"].to_numpy(float)
    columns = {name: runs[name].to_numpy(float) for name in fit.law.inputs} | derived(fit, runs)
    columns |= {"loss": loss, "predicted": np.exp(median), "residual": np.log(loss) - median}
    columns |= {"scale": spread, "pit": pit, "z": z, "pareto_k": pareto_k, "exact": refitted_ones}
    table = pd.DataFrame(columns, index=runs.index)
    table.attrs = {
        "law": fit.law.name,
        "runs": len(runs),
        "doubtful": [str(x) for x in runs.index[doubtful]],
    }
    return table


def check_has_runs(fit: Fit) -> None:
    """Refuse what is no fit to runs."""
    if not isinstance(fit, Fit):
        raise InputError(
            f"residuals are those of a fit made by bs.fit, not of {type(fit).__name__}; for an "
            "average give its fits one by one"
        )
    if fit.runs is not None and "log_likelihood" in fit.tree:
        return
    about = fit.about
    if about.get("published"):
        what, remedy = "is of published coefficients", "fit the law to runs with bs.fit"
    elif about.get("method") == "prior":
        what, remedy = "is of draws of a prior, which saw no losses", "use bs.fit"
    else:
        what, remedy = "keeps no likelihood of runs", "give the fit that bs.fit made of all runs"
    raise InputError(f"this fit of {fit.law.name!r} {what}, so it has no residuals; {remedy}")


def derived(fit: Fit, runs: pd.DataFrame) -> dict[str, np.ndarray]:
    """Compute and tokens per parameter of runs, where they are known."""
    known = {str(name): runs[name] for name in runs}
    flops = known["flops"] if "flops" in known else law_flops(fit.law, known)
    ratio = tokens_per_parameter(fit.law, known)
    if "D" in fit.law.inputs and ratio is not None:  # Seen, repeats included: not the last count.
        ratio = tokens_per_parameter(fit.law, known | dict.fromkeys(("D", "D_unique"), known["D"]))
    found = {"flops": flops, "tokens_per_parameter": ratio}
    return {name: np.asarray(x, dtype=float) for name, x in found.items() if x is not None}


def _predicted(fit: Fit, runs: pd.DataFrame, weights: np.ndarray) -> np.ndarray:
    """Median and spread of each run's predicted log loss, its PIT and the score of that.

    The draws (rows) have weights that sum to one for each run.
    """
    from scipy.special import ndtri

    noise = noise_model(fit.about["noise"])
    centre, scale, p = scatter(fit, runs, own=True)
    # A draw whose loss is not above zero predicts below anything; it has hardly any weight.
    centre = np.nan_to_num(centre, nan=-1e6, neginf=-1e6)
    observed = np.log(runs["loss"].to_numpy(float))

    def below(at: np.ndarray) -> np.ndarray:
        return (weights * noise.cdf(at - centre, scale, p)).sum(axis=0)

    median = start = _weighted_median(centre, weights)
    for _ in range(_STEPS):
        height = (weights * np.exp(noise.log_density(median - centre, scale, p))).sum(axis=0)
        short = 0.5 - below(median)
        median = median + short / height
    median = np.where(np.abs(short) < 0.01, median, start)  # draws in two heaps: between them
    # The smaller tail is summed, which near one would be lost.
    lower = below(observed)
    upper = (weights * noise.survival(observed - centre, scale, p)).sum(axis=0)
    tail = np.maximum(np.minimum(lower, upper), np.finfo(float).tiny)
    z = np.where(lower < upper, 1.0, -1.0) * ndtri(tail)
    spread = 1 / (np.sqrt(2 * np.pi) * height)
    return np.stack([median, spread, lower, z], axis=-1)


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Of each column."""
    order = np.argsort(values, axis=0)
    total = np.cumsum(np.take_along_axis(weights, order, axis=0), axis=0)
    at = (total < 0.5).sum(axis=0)
    ranked = np.take_along_axis(values, order, axis=0)
    return ranked[np.minimum(at, len(values) - 1), np.arange(values.shape[1])]


def _left_out(
    fit: Fit, runs: pd.DataFrame, which: np.ndarray, seed: int | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same by refits without some runs and their repeats; of which, and whether trusted."""
    options = options_of(fit)
    member = configurations(fit)
    masks = [member == one for one in dict.fromkeys(member[which].tolist())]
    check_refits(fit.law, runs, dict(enumerate(masks)), options, "leaving out run", "")
    fitted, left_out = parts(runs, masks)
    seed = fit.about.get("seed") if seed is None else seed
    found = refit(fit.law, fitted, then=_alone, others=left_out, seed=seed, **options)
    trusted = [np.full(len(one), ok) for one, ok in found]
    order = np.concatenate([np.flatnonzero(mask) for mask in masks])
    return order, np.concatenate([one for one, _ in found]), np.concatenate(trusted)


def _alone(fit: Fit, runs: pd.DataFrame) -> tuple[np.ndarray, bool]:
    sizes = fit.posterior.sizes
    count = sizes["chain"] * sizes["draw"]
    even = np.full((count, len(runs)), 1.0 / count)
    return _predicted(fit, runs, even), bool(diagnose(fit).attrs["ok"])
