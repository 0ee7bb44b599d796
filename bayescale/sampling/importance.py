"""Posteriors by importance resampling: quick ones about the modes, and those of several modes.

In the sampler's coordinates a posterior is close to normal, or to a mixture of few normals. Points
are drawn from such a mixture, of Student-t distributions, weighted by the true density, and
resampled. The Pareto shape of the weights says how far the mixture is from the posterior: above 0.7
the draws are not to be trusted (Vehtari et al. 2024, arXiv:1507.02646).

NUTS crosses from one mode to another seldom or never, so that its chains do not tell how much of
the posterior each holds. A mixture fitted to the chains does: it proposes from all modes at once.
Fitting it anew, to its own resampled draws as well, improves it (population Monte Carlo, Cappé et
al. 2008, arXiv:0710.4242). It is used only if it reaches wherever the chains have been.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from bayescale.posterior.density import Problem
from bayescale.sampling.mixtures import Mixture, about_modes, fit_mixture
from bayescale.sampling.modes import MOST_DIMENSIONS, Mode, near
from bayescale.sampling.pareto import MAX_PARETO_K, effective_draws, smoothed

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["Resampled", "across_modes", "laplace", "misses_a_mode"]

_PROPOSED, _ACROSS = 4, 16  # points proposed for each one kept: without chains, and with them
_SKETCHED = 8000  # at least, about the modes
_BLOCK = 2_000_000  # numbers in one block of the density's evaluation
_COMPONENTS = (1, 2, 4, 8, 12)
_FITTED, _TRIED = 4000, 2000  # points that a mixture is fitted to, and that it is tried with
_ROUNDS = 5
_MOST_PROPOSED = 256_000
_WORTH = 0.01  # share of the posterior for which a mode should have been visited


@dataclass(frozen=True)
class Resampled:
    """Resampled draws and how far to trust them.

    Attributes
    ----------
    u
        Coordinates, shape (chains, draws, d).
    log_density
        Log posterior density of each, up to a constant, shape (chains, draws).
    weight
        Weight of each before resampling, shape (chains, draws): of all proposed points they sum to
        one.
    pareto_k
        Shape of the weights' upper tail.
    most
        What no effective number of draws exceeds: that of the proposal where chains have been.
    """

    u: np.ndarray
    log_density: np.ndarray
    weight: np.ndarray
    pareto_k: float
    most: float = math.inf

    @property
    def effective(self) -> float:
        """Effective number of independent draws, of the worst coordinate and of its tails."""
        flat = self.u.reshape(-1, self.u.shape[-1])
        tails = [flat <= end for end in np.quantile(flat, (0.05, 0.95), axis=0)]
        columns = np.concatenate([flat, *tails], axis=1)
        return min(float(effective_draws(columns, self.weight.ravel()).min()), self.most)

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
                "weight": (("chain", "draw"), self.weight),
                "pareto_k": self.pareto_k,
                "most_effective": self.most,
            },
            {"chain": np.arange(chains), "draw": np.arange(draws)},
        )


def laplace(
    problem: Problem, modes: Sequence[Mode], shape: tuple[int, int], wanted: float, seed: int
) -> Resampled:
    """Draw from a posterior by importance resampling, without chains.

    Draws about the modes are a sketch of the posterior, and a mixture fitted to it proposes better:
    about the modes alone long tails come out too short. Where no mixture comes close enough, the
    sketch is all there is, and its weights say how far to trust it.

    Parameters
    ----------
    problem
        The posterior.
    modes
        Its modes and curvatures.
    shape
        Chains and draws; the draws are exchangeable, so chains are a matter of form.
    wanted
        Effective draws to reach, if so many are asked for.
    seed
        Of the proposals and of the resampling.
    """
    rng = np.random.default_rng(seed)
    kept = math.prod(shape)
    sketch = _propose(problem, about_modes(modes), max(_SKETCHED, _PROPOSED * kept), rng)
    points = _resampled(sketch, (1, _FITTED), rng).u[0]
    wanted = min(wanted, kept / 2)
    found = across_modes(
        problem, modes, points, shape, wanted, seed, components=(1, 2), each=_PROPOSED
    )
    return found or _resampled(sketch, shape, rng)


def across_modes(
    problem: Problem,
    modes: Sequence[Mode],
    points: np.ndarray,
    shape: tuple[int, int],
    wanted: float,
    seed: int,
    components: Sequence[int] = _COMPONENTS,
    each: int = _ACROSS,
) -> Resampled | None:
    """Draw from a posterior of several modes by a mixture fitted to chains that have seen them.

    Parameters
    ----------
    problem
        The posterior.
    modes
        Its modes, which the chains may have missed.
    points
        Coordinates of the chains' draws, shape (n, d).
    shape
        Chains and draws of the result.
    wanted
        Effective draws to reach.
    seed
        Of everything random.
    components
        Sizes of mixture to try.
    each
        Points proposed for each one kept.

    Returns
    -------
    Resampled or None
        None if no mixture comes close enough to the posterior, or in too many dimensions for one.
    """
    if points.shape[1] > MOST_DIMENSIONS:
        return None
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2,)))
    chains = rng.permutation(points)[:_FITTED]
    at_chains = _log_density(problem, chains)
    # A tenth about the modes: wherever no chain went, the weights will tell what is there.
    points = np.concatenate([chains, about_modes(modes).draw(_FITTED // 10, rng)])
    before = None
    for _ in range(_ROUNDS):
        proposal, share = _best_mixture(problem, points, components, chains, at_chains, rng)
        size = max(each * math.prod(shape), min(int(4 * wanted / share), _MOST_PROPOSED))
        proposed = _propose(problem, proposal, size, rng)
        found = _resampled(proposed, shape, rng)
        reached = size * _share(proposed, at_chains - proposal.log_density(chains))
        found = replace(found, most=reached)
        # Weights may be even where a mixture misses a mode; the next one would then differ.
        good = found.pareto_k <= MAX_PARETO_K and found.effective >= wanted
        if good and before is not None and _agree(before, found):
            return found
        before = found
        again = rng.permutation(found.u.reshape(-1, points.shape[1]))
        points = np.concatenate([chains[: _FITTED // 2], again[: _FITTED // 2]])
    return None


def _agree(one: Resampled, other: Resampled) -> bool:
    """Whether two independent samples have the same means, but for chance."""
    first, second = (found.u.reshape(-1, found.u.shape[-1]) for found in (one, other))
    error = first.std(axis=0) * np.sqrt(1 / one.effective + 1 / other.effective)
    return bool((np.abs(first.mean(axis=0) - second.mean(axis=0)) <= 4 * error).all())


def misses_a_mode(modes: Sequence[Mode], points: np.ndarray) -> bool:
    """Whether none of some points, of shape (n, d), lies about a mode that should have some."""
    shares = about_modes(modes).weights
    return any(
        share > _WORTH and not near(mode, points).any()
        for mode, share in zip(modes, shares, strict=True)
    )


def _best_mixture(
    problem: Problem,
    points: np.ndarray,
    components: Sequence[int],
    chains: np.ndarray,
    at_chains: np.ndarray,
    rng: np.random.Generator,
) -> tuple[Mixture, float]:
    """Of mixtures of several sizes that of the largest effective share, and that share."""
    best: tuple[Mixture, float] | None = None
    for number in components:
        mixture = fit_mixture(points, number, int(rng.integers(2**31)))
        proposed = _propose(problem, mixture, _TRIED, rng)
        share = _share(proposed, at_chains - mixture.log_density(chains))
        if best is None or share > best[1]:
            best = mixture, share
    assert best is not None
    return best


def _share(proposed: _Proposed, log_ratio_at_chains: np.ndarray) -> float:
    """Effective draws a proposed point, by the points' own weights and by those of the chains.

    Under the posterior the weights' mean is the inverse of that share. Points that a mixture hardly
    proposes are missing from its own estimate; the chains, if they have been there, tell.
    """
    top = proposed.log_ratio.max()
    weights = np.exp(proposed.log_ratio - top)
    even = weights.sum() ** 2 / (weights**2).sum() / len(weights)
    with np.errstate(over="ignore"):
        reached = weights.mean() / np.exp(log_ratio_at_chains - top).mean()
    return max(float(min(even, reached)), 1e-6)


@dataclass(frozen=True)
class _Proposed:
    """Points, their log posterior density, and the log ratio of that to the proposal's."""

    u: np.ndarray
    log_density: np.ndarray
    log_ratio: np.ndarray


def _propose(problem: Problem, proposal: Mixture, size: int, rng: np.random.Generator) -> _Proposed:
    u = proposal.draw(size, rng)
    target = _log_density(problem, u)
    ratio = target - proposal.log_density(u)
    possible = np.isfinite(ratio)
    ratio[~possible] = ratio[possible].min() - 50.0 if possible.any() else 0.0
    return _Proposed(u, target, ratio)


def _log_density(problem: Problem, u: np.ndarray) -> np.ndarray:
    step = max(1, _BLOCK // (len(problem.loss) * 8))
    return np.concatenate([problem.log_density(u[i : i + step]) for i in range(0, len(u), step)])


def _resampled(proposed: _Proposed, shape: tuple[int, int], rng: np.random.Generator) -> Resampled:
    log_weights, pareto_k = smoothed(proposed.log_ratio)
    weights = np.exp(log_weights)
    weights /= weights.sum()
    # Systematic resampling, then shuffled so that equal draws do not stand together.
    kept = math.prod(shape)
    positions = (rng.random() + np.arange(kept)) / kept
    chosen = np.minimum(np.searchsorted(np.cumsum(weights), positions), len(weights) - 1)
    chosen = rng.permutation(chosen)
    return Resampled(
        proposed.u[chosen].reshape(*shape, -1),
        proposed.log_density[chosen].reshape(shape),
        weights[chosen].reshape(shape),
        float(pareto_k),
    )
