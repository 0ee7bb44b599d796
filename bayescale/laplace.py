"""A posterior in under a second: normal approximation at the mode, corrected by importance weights.

In the sampler's coordinates a posterior is close to normal. Points are drawn about the mode from
a Student-t with its curvature, weighted by the true density, and resampled. The Pareto shape
of the weights says how far the approximation is from the posterior: above 0.7 the
draws are not to be trusted (Vehtari et al. 2024, arXiv:1507.02646).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bayescale.mode import Mode
from bayescale.posterior import Problem

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["LaplaceDraws", "laplace"]

_DOF = 8  # heavier tails than the posterior's keep the weights bounded
_PROPOSED = 4  # points proposed for each one kept
_BLOCK = 2_000_000  # numbers in one block of the density's evaluation


@dataclass(frozen=True)
class LaplaceDraws:
    """Resampled draws and how far to trust them.

    Attributes
    ----------
    u
        Coordinates, shape (chains, draws, d).
    log_density
        Log posterior density of each, up to a constant, shape (chains, draws).
    pareto_k
        Shape of the weights' upper tail.
    effective
        Effective number of independent draws: of the proposed, and at most of the kept.
    """

    u: np.ndarray
    log_density: np.ndarray
    pareto_k: float
    effective: float

    def coordinates(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Draws by coordinate, each of shape (chains, draws)."""
        return {name: self.u[..., i] for i, name in enumerate(names)}

    @property
    def stats(self) -> xr.Dataset:
        """What the fit's ``sample_stats`` hold."""
        import xarray as xr

        chains, draws = self.log_density.shape
        return xr.Dataset(
            {
                "logp": (("chain", "draw"), self.log_density),
                "pareto_k": self.pareto_k,
                "effective": self.effective,
            },
            {"chain": np.arange(chains), "draw": np.arange(draws)},
        )


def laplace(problem: Problem, mode: Mode, *, chains: int, draws: int, seed: int) -> LaplaceDraws:
    """Draw from a posterior by importance resampling about its mode.

    Parameters
    ----------
    problem
        The posterior.
    mode
        Its mode and curvature.
    chains, draws
        Shape of the result; the draws are exchangeable, so chains are a matter of form.
    seed
        Of the proposals and of the resampling.
    """
    from arviz_stats.base import array_stats

    rng = np.random.default_rng(seed)
    kept, d = chains * draws, len(mode.u)
    size = max(_PROPOSED * kept, 4000)
    root = np.linalg.cholesky(mode.covariance)
    z = rng.standard_normal((size, d))
    radius = rng.chisquare(_DOF, size) / _DOF
    u = mode.u + z @ root.T / np.sqrt(radius)[:, None]
    # Of the multivariate t, up to a constant.
    proposal = -0.5 * (_DOF + d) * np.log1p((z**2).sum(axis=1) / radius / _DOF)
    step = max(1, _BLOCK // (len(problem.loss) * 8))
    target = np.concatenate([problem.log_density(u[i : i + step]) for i in range(0, size, step)])
    ratio = target - proposal
    ratio[~np.isfinite(ratio)] = ratio[np.isfinite(ratio)].min() - 50.0
    # The function takes the negative of the log ratios, as leave-one-out supplies them.
    log_weights, pareto_k = array_stats.psislw(-ratio)
    weights = np.exp(log_weights - log_weights.max())
    weights /= weights.sum()
    # Systematic resampling, then shuffled so that equal draws do not stand together.
    positions = (rng.random() + np.arange(kept)) / kept
    chosen = np.minimum(np.searchsorted(np.cumsum(weights), positions), size - 1)
    chosen = rng.permutation(chosen)
    return LaplaceDraws(
        u[chosen].reshape(chains, draws, d),
        target[chosen].reshape(chains, draws),
        float(pareto_k),
        float(min(1 / (weights**2).sum(), kept)),
    )
