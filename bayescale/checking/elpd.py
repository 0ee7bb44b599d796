"""Expected log predictive density of runs left out: one by one, in folds, or the larger ones."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayescale.checking.folds import check_refits, parts
from bayescale.common.errors import InputError
from bayescale.fitting.diagnostics import diagnose
from bayescale.fitting.fits import Fit
from bayescale.fitting.refits import options_of, refit, table_of
from bayescale.prediction.scoring import log_densities, log_score
from bayescale.sampling.pareto import smoothed
from bayescale.tables.doubts import repeated

__all__ = ["Scores", "configurations", "held_out_scores", "loo_scores", "loo_weights"]


@dataclass(frozen=True)
class Scores:
    """Log predictive density of runs under fits that have not seen them.

    Attributes
    ----------
    pointwise
        One value a scored run.
    effective
        Effective number of parameters: what the fit to all runs gains on each run, summed. NaN
        where runs are predicted that the fit to all would have seen in other company.
    pareto_k
        Of every run, where importance sampling was used, also of those that were refitted.
    exact
        Which scores come from a refit.
    doubtful
        Number of scores that are not to be relied on: Pareto k is high and the refit
        impossible, or the diagnostics of the refit failed.
    """

    pointwise: np.ndarray
    effective: float
    pareto_k: np.ndarray
    exact: np.ndarray
    doubtful: int

    @property
    def elpd(self) -> float:
        """Sum over the runs."""
        return float(self.pointwise.sum())

    @property
    def se(self) -> float:
        """Standard error of the sum."""
        return float(np.sqrt(len(self.pointwise) * self.pointwise.var()))


def loo_scores(
    fit: Fit, *, executor: Executor | None, seed: int | None, progress: bool | None
) -> Scores:
    """Each run left out with its repeats, by importance sampling; by a refit where that fails.

    Importance sampling (Vehtari et al. 2017) reweights the draws of the fit to all runs. Where the
    Pareto shape k of the weights is too high for the number of draws, the law is fitted to the
    other runs and the score is exact.
    """
    log_weights, pareto_k, good_k = loo_weights(fit)
    pointwise = _logsumexp(log_weights + _log_densities(fit))
    high = np.flatnonzero(~(pareto_k <= good_k))
    exact = np.zeros(len(pareto_k), dtype=bool)
    doubtful = len(high)
    if len(high):
        member = configurations(fit)
        masks = {f"of run {i}": member == member[i] for i in _firsts(member, high)}
        order = np.concatenate([np.flatnonzero(mask) for mask in masks.values()])
        try:
            pointwise[order], doubtful = _refitted(
                fit, masks, executor=executor, seed=seed, progress=progress
            )
            exact[order] = True
        except InputError:  # An older fit, or the only run of its group: importance sampling it is.
            pass
    effective = float((_in_sample(fit) - pointwise).sum())
    return Scores(pointwise, effective, pareto_k, exact, doubtful)


def configurations(fit: Fit) -> np.ndarray:
    """Which runs repeat one another (equal numbers): they differ in their seed and loss alone.

    Seeds of one configuration tell what the others lose, so they are left out together.
    """
    return repeated(table_of(fit), [*fit.law.inputs])


def _firsts(member: np.ndarray, some: np.ndarray) -> list[int]:
    """Of each configuration among some runs, the first of them."""
    return [int(some[i]) for i in np.unique(member[some], return_index=True)[1]]


def loo_weights(fit: Fit) -> tuple[np.ndarray, np.ndarray, float]:
    """Weights of the draws by which each run is left out, smoothed (PSIS).

    Leaving a run out takes its likelihood away, and that of its repeats (:func:`configurations`);
    where runs have weights, its weighted likelihood.

    Parameters
    ----------
    fit
        A fit made by :func:`bayescale.fit`.

    Returns
    -------
    log_weights : numpy.ndarray
        Over run and draw (chain after chain); the weights of a run sum to one.
    pareto_k : numpy.ndarray
        Of every run.
    good_k : float
        Above it the weights of so many draws do not serve.
    """
    from arviz_stats import ess

    by_run = _log_likelihood(fit)
    ratios = by_run
    member = configurations(fit)
    if len(set(member)) < len(member):
        together = np.zeros((member.max() + 1, ratios.shape[1]))
        np.add.at(together, member, ratios)
        ratios = together[member]
    draws, efficiency = fit.posterior, 1.0
    if draws.sizes["chain"] > 1:  # As ArviZ has it: how much draws of a chain are worth.
        effective = ess(draws, method="mean")
        values = np.concatenate([np.ravel(x) for x in effective.data_vars.values()])
        efficiency = float(values.mean()) / by_run.shape[1]
    log_weights, pareto_k = smoothed(-ratios, efficiency=efficiency)
    return log_weights, pareto_k, min(1 - 1 / np.log10(by_run.shape[1]), 0.7)


def _log_likelihood(fit: Fit) -> np.ndarray:
    """Each run's part of the likelihood (rows) under every draw, chain after chain."""
    density = fit.tree["log_likelihood"].to_dataset().log_loss.transpose("run", "chain", "draw")
    return density.values.reshape(density.sizes["run"], -1)


def _log_densities(fit: Fit) -> np.ndarray:
    """What is scored: each run's own density, without its weight in the likelihood."""
    if fit.run_weights is None:
        return _log_likelihood(fit)
    density = log_densities(fit, table_of(fit), own=True).transpose("run", ...)
    return np.asarray(density.values.reshape(density.sizes["run"], -1))


def _logsumexp(x: np.ndarray) -> np.ndarray:
    from scipy.special import logsumexp

    return logsumexp(x, axis=-1)


def held_out_scores(
    fit: Fit,
    held_out: Mapping[Any, np.ndarray],
    *,
    what: str,
    executor: Executor | None,
    seed: int | None,
    progress: bool | None,
) -> Scores:
    """Runs left out together, by a refit for each set; a run's score is the mean over its sets."""
    masks = list(held_out.values())
    values, doubtful = _refitted(
        fit, held_out, what=what, executor=executor, seed=seed, progress=progress
    )
    total, times = np.zeros(len(masks[0])), np.sum(masks, axis=0)
    split = np.split(values, np.cumsum([mask.sum() for mask in masks])[:-1])
    for mask, scores in zip(masks, split, strict=True):
        total[mask] += scores
    scored = times > 0
    pointwise = total[scored] / times[scored]
    effective = np.nan
    if scored.all() and (times == 1).all():
        effective = float((_in_sample(fit) - pointwise).sum())
    nothing = np.full(len(pointwise), np.nan)
    return Scores(pointwise, effective, nothing, np.ones(len(pointwise), bool), doubtful)


def _refitted(
    fit: Fit,
    held_out: Mapping[Any, np.ndarray],
    *,
    what: str = "leaving",
    executor: Executor | None,
    seed: int | None,
    progress: bool | None,
) -> tuple[np.ndarray, int]:
    """Scores of the held-out runs, set after set; and of how many runs a refit is not trusted."""
    runs, options = table_of(fit), options_of(fit)
    remedy = {"cut": "hold out less: cuts=(0.2,)", "fold": "choose other folds"}.get(what, "")
    check_refits(fit.law, runs, held_out, options, what, remedy)
    fitted, left_out = parts(runs, list(held_out.values()))
    results = refit(
        fit.law,
        fitted,
        then=_scored,
        others=left_out,
        executor=executor,
        seed=fit.about.get("seed") if seed is None else seed,
        progress=progress,
        **options,
    )
    failed = [mask for mask, (_, ok) in zip(held_out.values(), results, strict=True) if not ok]
    doubtful = int(np.any(failed, axis=0).sum()) if failed else 0
    return np.concatenate([scores for scores, _ in results]), doubtful


def _scored(fit: Fit, runs: Any) -> tuple[np.ndarray, bool]:
    return log_score(fit, runs, own=True), bool(diagnose(fit).attrs["ok"])


def _in_sample(fit: Fit) -> np.ndarray:
    """Log predictive density of the runs that were fitted."""
    density = _log_densities(fit)
    return _logsumexp(density) - np.log(density.shape[1])
