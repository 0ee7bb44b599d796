"""Importance weights with their upper tail smoothed, and the shape of that tail."""

from __future__ import annotations

import numpy as np

__all__ = ["MAX_PARETO_K", "effective_draws", "smoothed"]

#: Above this the weights of importance sampling have no usable variance (Vehtari et al. 2024).
MAX_PARETO_K = 0.7


def smoothed(log_ratios: np.ndarray, *, efficiency: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Pareto-smoothed weights of draws (Vehtari et al. 2024, arXiv:1507.02646).

    Parameters
    ----------
    log_ratios
        Logarithm of target over proposal, up to a constant; the draws lie along the last axis.
    efficiency
        What a draw is worth relative to an independent one.

    Returns
    -------
    log_weights : numpy.ndarray
        Logarithms of weights that sum to one.
    pareto_k : numpy.ndarray
        Shape of the tail, one value a set of draws; infinite where none can be told, as of few
        draws or of draws that are alike, whose weights are left as they are.
    """
    from scipy.special import logsumexp

    rows = log_ratios.reshape(-1, log_ratios.shape[-1])
    found = [_one(row, efficiency) for row in rows]
    log_weights = np.stack([one for one, _ in found])
    log_weights -= logsumexp(log_weights, axis=-1, keepdims=True)
    pareto_k = np.array([k for _, k in found]).reshape(log_ratios.shape[:-1])
    return log_weights.reshape(log_ratios.shape), pareto_k


def effective_draws(x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Independent draws that give the mean of a quantity as well as resampled ones do.

    The sum of squared weights tells of a quantity that has nothing to do with them. Where large
    weights and extreme values go together the error is larger (Owen 2013, section 9.3): its
    variance is the sum of ``weights**2 * (x - mean)**2`` over the proposed points, which is the
    mean of ``weights * (x - mean)**2`` over those kept, and resampling adds that of so many draws.

    Parameters
    ----------
    x
        Values at the points kept, which lie along the first axis.
    weights
        Their weights before resampling, which summed to one over all proposed points.
    """
    squares = (x - x.mean(axis=0)) ** 2
    variance = squares.mean(axis=0)
    error = np.tensordot(weights, squares, axes=(0, 0)) / len(x)
    with np.errstate(divide="ignore", invalid="ignore"):
        number = 1 / (error / variance + 1 / len(x))
    return np.where(variance > 0, number, 1.0)


def _one(log_ratios: np.ndarray, efficiency: float) -> tuple[np.ndarray, float]:
    from arviz_stats.base import array_stats

    try:
        # The function takes the negative of the log ratios, as leave-one-out supplies them.
        log_weights, k = array_stats.psislw(-log_ratios, r_eff=efficiency)
    except (ValueError, IndexError):  # Fewer than five draws in the tail, or all of them alike.
        return log_ratios, np.inf
    return np.asarray(log_weights), float(np.nan_to_num(k, nan=np.inf))
