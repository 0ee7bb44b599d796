"""Mixtures of multivariate Student-t distributions: proposals that follow a posterior's shape."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayescale.sampling.modes import Mode

__all__ = ["Mixture", "about_modes", "fit_mixture"]

_DOF = 8  # heavier tails than the posterior's keep importance weights bounded
_STEPS, _STILL = 60, 1e-3  # at most so many steps, until no share of a point changes more
_RIDGE = 1e-6  # of a component's variances: none collapses onto a plane


@dataclass(frozen=True)
class Mixture:
    """A mixture of k multivariate Student-t distributions in d dimensions.

    Attributes
    ----------
    weights
        Share of each component, shape (k,).
    centres
        Shape (k, d).
    roots
        Lower Cholesky factors of the scale matrices, shape (k, d, d).
    """

    weights: np.ndarray
    centres: np.ndarray
    roots: np.ndarray

    def draw(self, size: int, rng: np.random.Generator) -> np.ndarray:
        """Independent points, shape (size, d)."""
        points = rng.standard_normal((size, self.centres.shape[1]))
        points /= np.sqrt(rng.chisquare(_DOF, size) / _DOF)[:, None]
        which = np.zeros(size, dtype=int)
        if len(self.weights) > 1:
            which = rng.choice(len(self.weights), size, p=self.weights)
        for i, (centre, root) in enumerate(zip(self.centres, self.roots, strict=True)):
            points[which == i] = centre + np.einsum("ij,nj->ni", root, points[which == i])
        return points

    def log_density(self, points: np.ndarray) -> np.ndarray:
        """Log density of points of shape (n, d), up to a constant, shape (n,)."""
        from scipy.special import logsumexp

        squares, log_weights = self._distances(points)
        tails = -0.5 * (_DOF + points.shape[1]) * np.log1p(squares / _DOF)
        return np.asarray(logsumexp(tails + log_weights, axis=1))

    def shares(self, points: np.ndarray) -> np.ndarray:
        """Probability of each component given a point, were they normal, shape (n, k)."""
        from scipy.special import softmax

        squares, log_weights = self._distances(points)
        return np.asarray(softmax(log_weights - 0.5 * squares, axis=1))

    def _distances(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Squared Mahalanobis distances (n, k), and log weights over the components' volumes."""
        inverses = np.linalg.inv(self.roots)
        # By einsum throughout: for matrices this thin BLAS spends its time waking threads.
        z = [
            np.einsum("ij,nj->in", inverse, points - centre)
            for centre, inverse in zip(self.centres, inverses, strict=True)
        ]
        volumes = np.log(np.diagonal(self.roots, axis1=1, axis2=2)).sum(axis=1)
        squares = np.stack([np.einsum("in,in->n", x, x) for x in z], axis=1)
        return squares, np.log(self.weights) - volumes


def about_modes(modes: Sequence[Mode]) -> Mixture:
    """A component at each mode, with its curvature and the share of its normal distribution."""
    masses = np.array([mode.log_mass for mode in modes])
    weights = np.exp(masses - masses.max())
    roots = np.stack([np.linalg.cholesky(mode.covariance) for mode in modes])
    return Mixture(weights / weights.sum(), np.stack([mode.u for mode in modes]), roots)


def fit_mixture(points: np.ndarray, components: int, seed: int) -> Mixture:
    """A mixture fitted to points of shape (n, d), by expectation and maximisation.

    Components are fitted as normal distributions; as proposals their tails are heavier.
    """
    from scipy.cluster.vq import kmeans2

    centre, size = points.mean(axis=0), points.std(axis=0)
    x = (points - centre) / size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # An empty cluster is no harm: it is left out.
        _, which = kmeans2(x, components, minit="++", seed=seed)
    shares = np.eye(components)[which]
    for _ in range(_STEPS):
        counts = shares.sum(axis=0)
        used = counts > min(x.shape[1] + 1, counts.max() / 2)
        counts, shares = counts[used], shares[:, used]
        centres = np.einsum("nk,nj->kj", shares, x) / counts[:, None]
        roots = []
        for mean, share, count in zip(centres, shares.T, counts, strict=True):
            y = x - mean
            covariance = np.einsum("ni,nj->ij", share[:, None] * y, y) / count
            variances = np.diag(covariance) + np.finfo(float).tiny
            roots.append(np.linalg.cholesky(covariance + np.diag(_RIDGE * variances)))
        found = Mixture(counts / counts.sum(), centres, np.stack(roots))
        before, shares = shares, found.shares(x)
        if np.abs(shares - before).mean() < _STILL:
            break
    return Mixture(found.weights, centre + size * found.centres, size[:, None] * found.roots)
