"""The modes of a posterior and its curvature there, found without PyMC in milliseconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayescale.common.errors import InputError
from bayescale.posterior.density import Problem, undeparted

__all__ = ["MOST_DIMENSIONS", "Mode", "find_mode", "find_modes", "near"]

#: In more coordinates than these only one mode is looked for, and no mixture is fitted.
MOST_DIMENSIONS = 20
_STARTS = 24
# A mode so far below the best, in log density, is not followed up; nor is one whose normal
# distribution holds so much less of the posterior.
_FAR_BELOW, _NEGLIGIBLE = 12.0, 7.0
# Steps of the finite differences: first in coordinates, which are of order one, then along axes in
# which the posterior has unit size. Many precise runs make it thinner than the first.
_COARSE, _FINE = 1e-3, 1e-2


@dataclass(frozen=True)
class Mode:
    """A mode and the normal distribution with its curvature.

    Attributes
    ----------
    u
        Coordinates of the mode, shape (d,).
    covariance
        Inverse of the negative Hessian of the log density, shape (d, d).
    log_density
        Log posterior density at the mode, up to a constant.
    """

    u: np.ndarray
    covariance: np.ndarray
    log_density: float

    @property
    def log_mass(self) -> float:
        """Log of what the normal distribution holds of the posterior, up to a constant."""
        return self.log_density + 0.5 * float(np.linalg.slogdet(self.covariance)[1])


def find_mode(problem: Problem, seed: int = 0) -> Mode:
    """Posterior mode by Newton steps from the best of a few starts about the prior medians.

    Parameters
    ----------
    problem
        The posterior.
    seed
        Of the starts.

    Raises
    ------
    InputError
        If no start is possible under the law.
    """
    if problem.field:
        return _with_field(problem, find_mode(problem.plain, seed))
    return _at_best(problem, _climbs(problem, seed))


def find_modes(problem: Problem, seed: int = 0) -> tuple[Mode, ...]:
    """Every mode that holds some of the posterior, of those that the starts lead to.

    Few runs may be explained in more ways than one: by a large floor, or by a small exponent.

    Parameters
    ----------
    problem
        The posterior.
    seed
        Of the starts.

    Returns
    -------
    tuple of Mode
        That of :func:`find_mode` first. It is the only one where the posterior has more than
        ``MOST_DIMENSIONS`` coordinates.

    Raises
    ------
    InputError
        If no start is possible under the law.
    """
    if problem.field or len(problem.names) > MOST_DIMENSIONS:
        return (find_mode(problem, seed),)
    climbs = _climbs(problem, seed)
    modes = [_at_best(problem, climbs)]
    for u, value in climbs:
        if value < modes[0].log_density - _FAR_BELOW or any(near(mode, u) for mode in modes):
            continue
        u, value = _climb(problem, u, np.eye(len(u)), _COARSE, iterations=100)
        if value < modes[0].log_density - _FAR_BELOW or any(near(mode, u) for mode in modes):
            continue
        found = _sharpened(problem, u, value)
        if not any(near(mode, found.u) for mode in modes):
            modes.append(found)
    held = [mode.log_mass for mode in modes]
    return tuple(m for m, mass in zip(modes, held, strict=True) if mass > max(held) - _NEGLIGIBLE)


def near(mode: Mode, u: np.ndarray) -> np.ndarray:
    """Which points, of shape (..., d), lie where a mode's normal distribution has half its mass."""
    away = u - mode.u
    return np.einsum("...i,ij,...j", away, np.linalg.inv(mode.covariance), away) < len(mode.u)


def _climbs(problem: Problem, seed: int) -> list[tuple[np.ndarray, float]]:
    """Where a few steps lead from each start, and the log density there."""
    rng = np.random.default_rng(seed)
    starts = [np.array(_prior_medians(problem))]
    starts += [starts[0] + rng.normal(0, 0.7, len(starts[0])) for _ in range(_STARTS - 1)]
    axes = np.eye(len(starts[0]))
    return [_climb(problem, start, axes, _COARSE, iterations=12) for start in starts]


def _at_best(problem: Problem, climbs: Sequence[tuple[np.ndarray, float]]) -> Mode:
    u, value = max(climbs, key=lambda pair: pair[1])
    u, value = _climb(problem, u, np.eye(len(u)), _COARSE, iterations=200)
    if not np.isfinite(value):
        raise InputError(
            f"law {problem.law.name!r} gives these runs no loss above zero at any of {_STARTS} "
            "starts near its prior medians; check its formula and its priors"
        )
    return _sharpened(problem, u, value)


def _sharpened(problem: Problem, u: np.ndarray, value: float) -> Mode:
    """The mode near a point, by steps along axes in which the posterior has unit size."""
    axes, step = np.eye(len(u)), _COARSE
    for _ in range(8):
        _, hessian = _derivatives(problem, u, axes, step)
        if not np.isfinite(hessian).all():  # The mode lies where the law is about to fail.
            break
        covariance = _inverse(-hessian)
        axes, step = axes @ np.linalg.cholesky(covariance), _FINE
        u, value = _climb(problem, u, axes, step, iterations=50)
        if np.abs(covariance - np.eye(len(u))).max() < 1e-3:
            break
    return Mode(u, axes @ axes.T * (0.01 if step == _COARSE else 1.0), value)


def _with_field(problem: Problem, plain: Mode) -> Mode:
    """A start for a law with discrepancy: the mode without it, and its prior.

    The joint mode says nothing: where the field is zero its spreads are best at zero too.
    """
    assert problem.field is not None
    priors = problem.coordinates.priors
    known = dict(zip(problem.plain.names, plain.u.tolist(), strict=True))
    spreads = {n: math.log(p.median()) for n, p in problem.field.priors.items()}
    at = undeparted(problem, spreads | known)
    u = np.array([float(at[name]) for name in problem.names])
    covariance = np.diag([priors[n].b ** 2 if n in spreads else 0.25 for n in problem.names])
    same = [problem.names.index(name) for name in problem.plain.names]
    covariance[np.ix_(same, same)] = plain.covariance
    return Mode(u, covariance, plain.log_density)


def _prior_medians(problem: Problem) -> list[float]:
    scale = problem.loss_scale
    c = {n: p.median(scale) for n, p in problem.coordinates.priors.items()}
    u = problem.coordinates.from_coefficients(c, scale)
    if problem.groups:
        own = {n: p.median(scale) for n, p in problem.groups.coordinates.priors.items()}
        u |= problem.groups.at(c | own, scale)
    return [float(u[name]) for name in problem.names]


def _climb(
    problem: Problem, u: np.ndarray, axes: np.ndarray, step: float, iterations: int
) -> tuple[np.ndarray, float]:
    """Newton's method with the move shortened until the density rises."""
    value = float(problem.log_density(u[None])[0])
    factors = 0.3 ** np.arange(8)
    for _ in range(iterations):
        gradient, hessian = _derivatives(problem, u, axes, step)
        if not (np.isfinite(gradient).all() and np.isfinite(hessian).all()):
            break
        move = axes @ _inverse(-hessian) @ gradient
        move *= min(1.0, 3.0 / np.abs(move).max(initial=1e-12))
        tried = u + factors[:, None] * move
        values = problem.log_density(tried)
        best = int(np.argmax(values))
        if not values[best] > value + 1e-10:
            break
        u, value = tried[best], float(values[best])
    return u, value


def _derivatives(
    problem: Problem, u: np.ndarray, axes: np.ndarray, step: float
) -> tuple[np.ndarray, np.ndarray]:
    """Gradient and Hessian along axes by central differences, all points in one call."""
    d = len(u)
    rows, columns = np.triu_indices(d, 1)
    unit = axes.T * step
    points = [u[None], u + unit, u - unit]
    if len(rows):
        points += [u + unit[rows] + unit[columns], u - unit[rows] - unit[columns]]
    value = np.split(problem.log_density(np.vstack(points)), np.cumsum([len(p) for p in points]))
    centre, plus, minus = value[0][0], value[1], value[2]
    with np.errstate(invalid="ignore"):  # No density at all somewhere: the callers check.
        gradient = (plus - minus) / (2 * step)
        hessian = np.diag((plus - 2 * centre + minus) / step**2)
        if len(rows):
            # f(+i+j) + f(-i-j) - f(+i) - f(-i) - f(+j) - f(-j) + 2 f(0) = 2 h^2 H_ij
            both = plus + minus
            mixed = value[3] + value[4] - both[rows] - both[columns] + 2 * centre
            hessian[rows, columns] = hessian[columns, rows] = mixed / (2 * step**2)
    return gradient, hessian


def _inverse(precision: np.ndarray) -> np.ndarray:
    """Inverse of a symmetric matrix, made positive definite where it is not."""
    values, vectors = np.linalg.eigh((precision + precision.T) / 2)
    values = np.maximum(np.abs(values), 1e-2)
    return (vectors / values) @ vectors.T
