"""What residuals of a true law would be, and bands that hold them: of their shape and trends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayescale.fitting.fits import Fit
from bayescale.fitting.refits import table_of
from bayescale.posterior.noise import noise_model
from bayescale.prediction.scoring import scatter

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Trend", "Uniformity", "bins", "hat_matrix", "null_scores", "trend", "uniformity"]

_SIMULATED = 4000
#: What a run leaves of itself, and of the others' variance, is not taken to be less than this.
_LEAST = 0.02
#: Nor is the mean of a bin held to be known better than so much of what independent runs give.
_FLOOR = 0.3


@dataclass(frozen=True)
class Uniformity:
    """How far the distribution of PITs is from uniform, and how far chance takes it.

    Attributes
    ----------
    at
        Places where distribution functions are compared.
    ecdf
        Share of the PITs at most there.
    lower, upper
        Simultaneous band of that share.
    """

    at: np.ndarray
    ecdf: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


@dataclass(frozen=True)
class Trend:
    """Mean scores of the runs of each bin of a quantity.

    Attributes
    ----------
    name
        The quantity.
    values
        Of each run.
    member
        Bin of each run.
    at
        Median of the quantity in each bin.
    mean, edge
        Mean score of each bin, and the edge of the simultaneous band about zero.
    unit
        What a score of one is worth in each bin, on the log loss.
    """

    name: str
    values: np.ndarray
    member: np.ndarray
    at: np.ndarray
    mean: np.ndarray
    edge: np.ndarray
    unit: np.ndarray


def hat_matrix(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Posterior covariance of the runs' mean log losses, where noise has unit variance; weights."""
    centre, scale, p = scatter(fit, table_of(fit), own=True)
    noise = noise_model(fit.about["noise"])
    sd = np.sqrt(np.mean(1 / noise.information(scale, p), axis=0))
    w = np.ones(centre.shape[1]) if fit.run_weights is None else fit.run_weights
    hat = np.cov(centre / sd, rowvar=False)
    # Draws of a law that is far from linear may spread more than the runs' noise would let them.
    values, vectors = np.linalg.eigh(hat)
    half = vectors * np.sqrt(np.maximum(values, 0.0))
    informed, turn = np.linalg.eigh(half.T @ (w[:, None] * half))
    half = half @ turn / np.sqrt(np.maximum(informed, 1.0))
    return half @ half.T, w


def null_scores(hat: np.ndarray, w: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Simulated scores ``z`` of the runs (columns) if the law and its noise are true.

    The law is taken to be linear in its coefficients over the posterior. With noise of unit
    variance the posterior covariance H of the runs' means is then (1/K + W)^-1, of the prior
    covariance K of what the law can be at the runs and of the weights W, and the fitted means are
    H W y. Residuals have the covariance (I - HW)(I - HW)' + H - HWH (which is I - H without
    weights). The scale that they are divided by is estimated from the other residuals.

    Parameters
    ----------
    hat
        Posterior covariance of the runs' means.
    w
        Weights of the runs' log-likelihoods.
    rng
        Draws the scores.
    """
    from scipy.special import ndtri, stdtr

    rest = np.eye(len(w)) - hat * w
    covariance = rest @ rest.T + hat - hat @ (w[:, None] * hat)
    values, vectors = np.linalg.eigh(covariance)
    e = rng.standard_normal((_SIMULATED, len(w))) * np.sqrt(np.maximum(values, 0.0)) @ vectors.T
    h = np.diag(hat)
    own = np.maximum(1 - h * w, _LEAST)  # what leaving a run out divides its residual by
    z = e / own / np.sqrt(1 + h / own)
    others = (w * e**2).sum(axis=1, keepdims=True) - w * e**2 / own
    freedom = (w * np.diag(covariance)).sum() - w * np.diag(covariance) / own
    freedom = np.maximum(freedom, 1.0)
    t = z / np.sqrt(np.maximum(others / freedom, _LEAST))
    # By the smaller tail, which near one would be lost.
    tail = np.maximum(stdtr(freedom, -np.abs(t)), np.finfo(float).tiny)
    return np.asarray(-np.sign(t) * ndtri(tail))


def uniformity(pit: np.ndarray, null: np.ndarray, prob: float) -> Uniformity:
    """Distribution of PITs, and the simultaneous band of Säilynoja et al. 2022 about a uniform one.

    Parameters
    ----------
    pit
        Of the runs.
    null
        Simulated scores of the runs, which need not be independent: they make the band as wide as
        it has to be.
    prob
        Probability with which it holds the whole of the simulated distributions.
    """
    from scipy.special import bdtr, ndtr

    n = len(pit)
    at = np.arange(1, n) / n
    counts = np.arange(n + 1)[:, None]
    # Probability of a count as low, and as high, of independent PITs.
    low, high = bdtr(counts, n, at), 1 - bdtr(counts - 1, n, at)
    high[0] = 1.0
    tail = 2 * np.minimum(low, high)
    steps = np.clip(np.ceil(ndtr(null) * n).astype(int), 1, n)
    held = np.zeros((len(null), n + 1), dtype=int)
    np.add.at(held, (np.arange(len(null))[:, None], steps), 1)
    reached = np.cumsum(held, axis=1)[:, 1:n]
    least = np.quantile(tail[reached, np.arange(n - 1)].min(axis=1), 1 - prob)
    allowed = tail >= least
    lower, upper = allowed.argmax(axis=0) / n, (n - allowed[::-1].argmax(axis=0)) / n
    ecdf = np.searchsorted(np.sort(pit), at, side="right") / n
    return Uniformity(at, ecdf, lower, upper)


def trend(
    name: str, values: np.ndarray, table: pd.DataFrame, null: np.ndarray, prob: float
) -> Trend:
    """Mean scores of runs that are alike in a quantity, and the simultaneous band of the means.

    Parameters
    ----------
    name, values
        The quantity.
    table
        Residuals.
    null
        Simulated scores of the runs.
    prob
        Probability with which the band holds all simulated means.
    """
    member = bins(values)
    share = np.eye(member.max() + 1)[member]
    share /= share.sum(axis=0)
    simulated = null @ share
    sd = simulated.std(axis=0)
    sd = np.maximum(sd, _FLOOR * np.sqrt((share**2).sum(axis=0)))
    reach = np.quantile(np.abs(simulated / sd).max(axis=1), prob)
    return Trend(
        name,
        values,
        member,
        np.array([np.median(values[member == i]) for i in range(share.shape[1])]),
        table["z"].to_numpy() @ share,
        reach * sd,
        np.sqrt(table["scale"].to_numpy() ** 2 @ share),
    )


def bins(values: np.ndarray) -> np.ndarray:
    """Bin of each run: equally many in each, and never one value in two bins."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    # Values as close as two ways of counting make them are one.
    close = 0.01 * ranked if ranked[0] > 0 else np.full(len(ranked), 0.005 * np.ptp(ranked))
    cluster, start = np.zeros(len(ranked), dtype=int), 0
    for i in range(1, len(ranked)):
        new = ranked[i] - ranked[start] > close[start]
        cluster[i], start = cluster[i - 1] + new, i if new else start
    sizes = np.bincount(cluster)
    most = int(np.clip(len(values) // 5, 3, 8))
    middle = np.cumsum(sizes) - sizes / 2
    of_cluster = np.arange(len(sizes))
    if len(sizes) > most:
        of_cluster = np.unique((middle * most / len(values)).astype(int), return_inverse=True)[1]
    member = np.empty(len(values), dtype=int)
    member[order] = of_cluster[cluster]
    return member
