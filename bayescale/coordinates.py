"""Coordinates in which the posterior of any law is easy to sample.

The coefficients of a scaling law lie on curved ridges: a larger amplitude is made up for by a
smaller floor, a larger exponent by a smaller amplitude. What the data determine well is the total
loss at the centre of the data and the local slope along each input. Hence:

* positive amplitudes become the log of their total and log ratios to the first of them;
* a positive exponent becomes the log of its local slope: the exponent times the sum of the
  terms that it moves;
* a signed amplitude becomes its ratio to the total, a signed exponent its local slope;
* anything else is taken on the log scale if positive, as it is if not.

On the log scale the first two maps have unit Jacobian determinant, so priors stay those of the
coefficients. Which terms an exponent moves is found by calling the law with one amplitude at a
time. The functions work on numbers, arrays and symbols alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np

from bayescale.law import Law
from bayescale.maths import exp, log
from bayescale.priors import Prior
from bayescale.variables import variable

__all__ = ["Coordinates", "find_coordinates"]


@dataclass(frozen=True)
class Coordinates:
    """The map between a law's coefficients and the coordinates it is sampled in.

    Attributes
    ----------
    priors
        Prior by sampled coefficient (noise parameters included).
    amplitudes
        Positive amplitudes that add up to the loss; none if the law is not linear in them.
    moved
        For each exponent, the positive amplitudes whose terms depend on it.
    """

    priors: Mapping[str, Prior]
    amplitudes: tuple[str, ...]
    moved: Mapping[str, tuple[str, ...]]

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each coordinate: that of the coefficient it stands for."""
        return tuple(self.priors)

    def to_coefficients(
        self, u: Mapping[str, Any], loss_scale: Any, given: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], Any]:
        """Coefficients at coordinates ``u``, and the log Jacobian determinant of the map.

        ``given`` holds amplitudes that are not among these coordinates but that their exponents
        move.
        """
        c: dict[str, Any] = {}
        log_jacobian: Any = 0.0
        total: Any = loss_scale
        if self.amplitudes:
            first, *rest = self.amplitudes
            total = loss_scale * exp(u[first])
            weights = {first: 1.0, **{name: exp(u[name]) for name in rest}}
            share = total / _sum(weights.values())
            for name, weight in weights.items():
                c[name] = share * weight
                log_jacobian = log_jacobian + log(c[name])
        for name, prior in self.priors.items():
            if name in c:
                continue
            terms = self.moved.get(name, ())
            known = c | dict(given or {})
            size = _sum(known[term] for term in terms) / loss_scale if terms else 1.0
            if prior.positive:
                c[name] = exp(u[name]) / size
                log_jacobian = log_jacobian + log(c[name])
            elif prior.role == "amplitude":
                c[name] = u[name] * total
                log_jacobian = log_jacobian + log(total)
            elif terms:
                c[name] = u[name] / size
                log_jacobian = log_jacobian - log(size)
            else:
                c[name] = u[name]
        return {name: c[name] for name in self.priors}, log_jacobian

    def from_coefficients(
        self, c: Mapping[str, Any], loss_scale: Any, given: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Coordinates of given coefficients: the inverse of :meth:`to_coefficients`."""
        u: dict[str, Any] = {}
        total: Any = loss_scale
        if self.amplitudes:
            first, *rest = self.amplitudes
            total = _sum(c[name] for name in self.amplitudes)
            u[first] = log(total / loss_scale)
            for name in rest:
                u[name] = log(c[name] / c[first])
        for name, prior in self.priors.items():
            if name in u:
                continue
            terms = self.moved.get(name, ())
            known = {**c, **(given or {})}
            size = _sum(known[term] for term in terms) / loss_scale if terms else 1.0
            if prior.positive:
                u[name] = log(c[name] * size)
            elif prior.role == "amplitude":
                u[name] = c[name] / total
            else:
                u[name] = c[name] * size
        return {name: u[name] for name in self.priors}


def _sum(terms: Any) -> Any:
    return reduce(add, terms)


def find_coordinates(
    law: Law, priors: Mapping[str, Prior], fixed: Mapping[str, float], noise: Mapping[str, Prior]
) -> Coordinates:
    """Find a law's coordinates by calling it: which amplitudes add up, what exponents move.

    Parameters
    ----------
    law
        The law.
    priors
        Prior of each coefficient that is sampled.
    fixed
        Value of each coefficient that is not.
    noise
        Prior of each noise parameter.

    Examples
    --------
    >>> from bayescale.models import dense
    >>> find_coordinates(dense, dense.priors, {}, {}).moved
    {'alpha': ('A',), 'beta': ('B',)}
    """
    inputs = _probe_inputs(law)
    # Away from zero, where a signed exponent would move nothing.
    base = {n: p.median() if p.positive else p.a + 0.3 * p.b for n, p in priors.items()}
    base |= fixed
    additive = [n for n, p in priors.items() if p.role in ("floor", "amplitude")]
    additive += [n for n in fixed if law.priors[n].role in ("floor", "amplitude")]

    def term(name: str, **changed: float) -> np.ndarray:
        alone = {n: 0.0 for n in additive if n != name}
        return np.asarray(law(**inputs, **(base | alone | changed)), dtype=float)

    everything = {**priors, **noise}
    with np.errstate(all="ignore"):
        whole = np.asarray(law(**inputs, **base), dtype=float)
        linear = bool(additive) and np.allclose(
            _sum(term(n) for n in additive), whole, rtol=1e-9, atol=0
        )
        if not linear:
            return Coordinates(everything, (), {})
        amplitudes = tuple(n for n in additive if n in priors and priors[n].positive)
        moved = {}
        for name, prior in priors.items():
            if prior.role == "exponent":
                other = base[name] * 1.1 if prior.positive else base[name] + 0.1 * prior.b
                changed = {name: other}
                terms = [a for a in amplitudes if not np.allclose(term(a), term(a, **changed))]
                moved[name] = tuple(terms)
    return Coordinates(everything, amplitudes, moved)


def _probe_inputs(law: Law) -> dict[str, np.ndarray]:
    """A few generic inputs: counts about one, the rest inside its range."""
    rng = np.random.default_rng(20220329)
    inputs = {}
    for name in law.inputs:
        known = variable(name, law.variables)
        if known.scale is not None or not np.isfinite([known.low, known.high]).all():
            inputs[name] = np.exp(rng.uniform(-1, 1, 7))
        else:
            inputs[name] = known.low + (min(known.high, known.low + 30) - known.low) * rng.uniform(
                0.1, 0.9, 7
            )
    return inputs
