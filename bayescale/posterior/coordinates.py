"""Coordinates in which the posterior of any law is easy to sample.

The coefficients of a scaling law lie on curved ridges: a larger amplitude is made up for by a
smaller floor, a larger exponent by a smaller amplitude. What the data determine well is the total
loss at the centre of the data and the local slope along each input. Hence:

* positive amplitudes become the log of the total of their terms at the centre, and log ratios of
  these terms to the first of them;
* a positive exponent becomes the log of its local slope: the exponent times the sum of the
  terms that it moves, or times the slope that it would give were it one, where terms are coupled;
* a signed amplitude becomes its ratio to the total, a signed exponent its local slope;
* anything else is taken on the log scale if positive, as it is if not.

The centre is one for counts, which are divided by their geometric mean, and for other inputs a
value that is typical of the runs. An amplitude that stands under an exponent, as in ``(a / D)**b``,
counts by its term, ``a**b``; where some term is not positive at the centre, amplitudes count as
they are. On the log scale the first two maps have unit Jacobian determinant (but for a ``1 / b``
from each amplitude under an exponent), so priors stay those of the coefficients. Which terms an
exponent moves is found by calling the law with one amplitude at a time. The functions work on
numbers, arrays and symbols alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from operator import add
from typing import Any

import numpy as np

from bayescale.language.law import Law
from bayescale.language.maths import exp, log
from bayescale.language.priors import Prior
from bayescale.language.variables import variable

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
    under
        The exponent that an amplitude stands under, where it stands under one.
    unit_term
        For an amplitude and the exponents, the term of that amplitude at the centre were it one; if
        None, an amplitude is its term. Coefficients that vary between groups go without.
    coupled
        For an exponent whose term another exponent moves as well: the loss's slope at the centre
        were this exponent one, given the coefficients that are not such exponents.
    centre
        The inputs at which ``unit_term`` counts.
    whole
        Whether all that adds up to the loss is among the coordinates: nothing of it is fixed.
    """

    priors: Mapping[str, Prior]
    amplitudes: tuple[str, ...]
    moved: Mapping[str, tuple[str, ...]]
    under: Mapping[str, str] = field(default_factory=dict)
    unit_term: Callable[[str, Mapping[str, Any]], Any] | None = None
    coupled: Mapping[str, Callable[[Mapping[str, Any]], Any]] = field(default_factory=dict)
    centre: Mapping[str, float] = field(default_factory=dict)
    whole: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each coordinate: that of the coefficient it stands for."""
        return tuple(self.priors)

    @property
    def scales(self) -> bool:
        """Whether the loss goes with the total of the terms, nothing being held fixed of it."""
        return bool(self.amplitudes) and not self.under and self.whole

    def scaled(self, c: Mapping[str, Any], by: Any) -> tuple[dict[str, Any], Any]:
        """Coefficients with ``by`` more of all terms, on the log scale, and the log Jacobian.

        That is of a ``by`` that the size of the loss has no part in.
        """
        more = exp(by)
        signed = [n for n, p in self.priors.items() if p.role == "amplitude" and not p.positive]
        terms = (*self.amplitudes, *signed)
        return {**c, **{name: c[name] * more for name in terms}}, len(terms) * by

    def to_coefficients(
        self, u: Mapping[str, Any], loss_scale: Any, given: Mapping[str, Any] | None = None
    ) -> tuple[dict[str, Any], Any]:
        """Coefficients at coordinates ``u``, and the log Jacobian determinant of the map.

        ``given`` holds amplitudes that are not among these coordinates but that their exponents
        move.
        """
        c: dict[str, Any] = {}
        terms: dict[str, Any] = {}
        log_jacobian: Any = 0.0
        total: Any = loss_scale
        if self.amplitudes:
            first, *rest = self.amplitudes
            total = loss_scale * exp(u[first])
            weights = {first: 1.0, **{name: exp(u[name]) for name in rest}}
            share = total / _sum(weights.values())
            terms = {name: share * weight for name, weight in weights.items()}
        known = {**(given or {}), **terms}
        for name, prior in self.priors.items():
            if name in terms or name in self.coupled:
                continue
            moved = self.moved.get(name, ())
            size = _sum(known[term] for term in moved) / loss_scale if moved else 1.0
            if prior.positive:
                beyond = exp(u[name]) / size
                c[name] = prior.above + beyond if prior.above else beyond
                log_jacobian = log_jacobian + log(beyond)
            elif prior.role == "amplitude":
                c[name] = u[name] * total
                log_jacobian = log_jacobian + log(total)
            elif moved:
                c[name] = u[name] / size
                log_jacobian = log_jacobian - log(size)
            else:
                c[name] = u[name]
        for name, term in terms.items():
            c[name] = term / self._unit(name, c)
            if name in self.under:
                exponent = c[self.under[name]]
                c[name] = exp(log(c[name]) / exponent)
                log_jacobian = log_jacobian - log(exponent)
            log_jacobian = log_jacobian + log(c[name])
        for name, slope in self.coupled.items():
            c[name] = exp(u[name]) / (slope({**(given or {}), **c}) / loss_scale)
            log_jacobian = log_jacobian + log(c[name])
        return {name: c[name] for name in self.priors}, log_jacobian

    def _unit(self, name: str, c: Mapping[str, Any]) -> Any:
        return 1.0 if self.unit_term is None else self.unit_term(name, c)

    def from_coefficients(
        self, c: Mapping[str, Any], loss_scale: Any, given: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Coordinates of given coefficients: the inverse of :meth:`to_coefficients`."""
        u: dict[str, Any] = {}
        terms: dict[str, Any] = {}
        for name in self.amplitudes:
            power = c[name] ** c[self.under[name]] if name in self.under else c[name]
            terms[name] = power * self._unit(name, c)
        total: Any = loss_scale
        if self.amplitudes:
            first, *rest = self.amplitudes
            total = _sum(terms.values())
            u[first] = log(total / loss_scale)
            for name in rest:
                u[name] = log(terms[name] / terms[first])
        known = {**(given or {}), **terms}
        for name, prior in self.priors.items():
            if name in u:
                continue
            moved = self.moved.get(name, ())
            size = _sum(known[term] for term in moved) / loss_scale if moved else 1.0
            if name in self.coupled:
                size = self.coupled[name]({**(given or {}), **c}) / loss_scale
            if prior.positive:
                u[name] = log((c[name] - prior.above) * size)
            elif prior.role == "amplitude":
                u[name] = c[name] / total
            else:
                u[name] = c[name] * size
        return {name: u[name] for name in self.priors}


def _sum(terms: Any) -> Any:
    return reduce(add, terms)


def find_coordinates(
    law: Law,
    priors: Mapping[str, Prior],
    fixed: Mapping[str, float],
    noise: Mapping[str, Prior],
    inputs: Mapping[str, np.ndarray] | None = None,
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
    inputs
        The runs' inputs; without them, or where some term is not positive at what is typical of
        them, a usual value of each input stands for them.

    Examples
    --------
    >>> from bayescale.models import dense
    >>> find_coordinates(dense, dense.priors, {}, {}).moved
    {'alpha': ('A',), 'beta': ('B',)}
    """
    probes = _probe_inputs(law)
    # Away from zero, where a signed exponent would move nothing.
    base = {n: p.median() if p.positive else p.a + 0.3 * p.b for n, p in priors.items()}
    base |= fixed
    additive = [n for n, p in priors.items() if p.role in ("floor", "amplitude")]
    additive += [n for n in fixed if law.priors[n].role in ("floor", "amplitude")]

    def term(name: str, **changed: float) -> np.ndarray:
        alone = {n: 0.0 for n in additive if n != name}
        return np.asarray(law(**probes, **(base | alone | changed)), dtype=float)

    everything = {**priors, **noise}
    with np.errstate(all="ignore"):
        whole = np.asarray(law(**probes, **base), dtype=float)
        adds_up = bool(additive) and np.allclose(
            _sum(term(n) for n in additive), whole, rtol=1e-9, atol=0
        )
        # One amplitude alone adds up to anything.
        if not adds_up or np.any(law(**probes, **(base | dict.fromkeys(additive, 0.0)))):
            return Coordinates(everything, (), {})
        amplitudes = tuple(n for n in additive if n in priors and priors[n].positive)
        under = {}
        for name in amplitudes:
            if np.allclose(_power(term, name, base), 1.0):
                continue
            exponents = (n for n, p in priors.items() if p.role == "exponent" and p.positive)
            larger = {n: 1.1 * base[n] for n in exponents}
            match = [
                n
                for n, value in larger.items()
                if np.allclose(_power(term, name, base, **{n: value}), value)
            ]
            if len(match) != 1:
                return Coordinates(everything, (), {})
            under[name] = match[0]
        moved = {}
        for name, prior in priors.items():
            if prior.role == "exponent":
                other = base[name] * 1.1 if prior.positive else base[name] + 0.1 * prior.b
                changed = {name: other}
                terms = [a for a in amplitudes if not np.allclose(term(a), term(a, **changed))]
                moved[name] = tuple(terms)
    plain = all(variable(n, law.variables).scale is not None for n in law.inputs)
    found, centre = None, {}
    for typical in () if plain else ([_typical(law, inputs)] if inputs else []) + [_usual(law)]:
        unit_term = partial(_unit_term, law, additive, fixed, tuple(priors), typical)
        with np.errstate(all="ignore"):
            units = [float(unit_term(n, base)) for n in amplitudes]
        # A term that is not positive at the centre has no logarithm there.
        if all(0.0 < unit < np.inf for unit in units):
            found, centre = unit_term, typical
            break
    coupled = {} if under or not plain else _coupled_slopes(law, priors, fixed, moved, base)
    complete = not any(name in fixed for name in additive)
    return Coordinates(everything, amplitudes, moved, under, found, coupled, centre, complete)


_NUDGE = 1e-3  # of a count, in logs: the slope need be no better than this, being but a unit


def _coupled_slopes(
    law: Law,
    priors: Mapping[str, Prior],
    fixed: Mapping[str, float],
    moved: Mapping[str, tuple[str, ...]],
    base: Mapping[str, float],
) -> dict[str, Callable[[Mapping[str, Any]], Any]]:
    """Slopes at the centre of positive exponents that share a term: each were its exponent one."""
    positive = [n for n in moved if priors[n].positive and moved[n]]
    sharing = [n for n in positive if any(set(moved[n]) & set(moved[m]) for m in moved if m != n)]

    def actual(count: str, c: Mapping[str, Any]) -> Any:
        less, more = (
            law(**{n: np.exp(sign * _NUDGE) if n == count else 1.0 for n in law.inputs}, **c)
            for sign in (-1, 1)
        )
        return (less - more) / (2 * _NUDGE)

    def slope(count: str, c: Mapping[str, Any]) -> Any:
        given = {**fixed, **{n: c[n] for n in priors if n not in sharing}}
        return actual(count, given | dict.fromkeys(sharing, 1.0))

    found: dict[str, Callable[[Mapping[str, Any]], Any]] = {}
    for name in sharing:
        doubled = {**base, name: 2 * base[name]}
        own = [n for n in law.inputs if not np.isclose(actual(n, base), actual(n, doubled))]
        # In proportion to the exponent, whatever the others are.
        others = {**base, **{n: 1.7 * base[n] for n in sharing if n != name}}
        if len(own) != 1 or not all(
            np.isclose(actual(own[0], c) / c[name], slope(own[0], base), rtol=1e-3)
            for c in (base, doubled, others)
        ):
            return {}
        found[name] = partial(slope, own[0])
    # Where the terms that an exponent moves add up to the slope, that is the simpler statement.
    elsewhere = {n: 1.3 * x for n, x in base.items()}
    if all(
        np.isclose(found[n](c), sum(c[term] for term in moved[n]), rtol=1e-3)
        for n in found
        for c in (base, elsewhere)
    ):
        return {}
    return found


def _power(term: Callable[..., Any], name: str, base: Mapping[str, float], **changed: float) -> Any:
    """The power of an amplitude that its term goes with."""
    return np.log2(term(name, **changed, **{name: 2 * base[name]}) / term(name, **changed))


def _unit_term(
    law: Law,
    additive: Sequence[str],
    fixed: Mapping[str, float],
    sampled: Sequence[str],
    centre: Mapping[str, float],
    name: str,
    c: Mapping[str, Any],
) -> Any:
    """The term at the centre of an amplitude of one, the others being zero."""
    alone = {n: 0.0 for n in additive if n != name} | {name: 1.0}
    others = {n: c[n] for n in sampled if n not in additive}
    at = {n: np.float64(x) for n, x in centre.items()}
    return law(**at, **({**fixed, **others} | alone))


def _typical(law: Law, inputs: Mapping[str, np.ndarray]) -> dict[str, float]:
    """One for counts, which are divided by their centre; else a value amid those of the runs.

    It is rounded, so that nearly the same runs have the same coordinates.
    """
    found = {}
    for name, x in inputs.items():
        if variable(name, law.variables).scale is not None:
            found[name] = 1.0
            continue
        low, high = float(x.min()), float(x.max())
        middle = float(np.exp(np.log(x).mean()) if low > 0.0 else x.mean())
        found[name] = min(max(float(f"{middle:.0e}"), low), high)
    return found


def _usual(law: Law) -> dict[str, float]:
    """One for counts; else a value that many runs have."""
    found = {}
    for name in law.inputs:
        known = variable(name, law.variables)
        if known.scale is not None:
            found[name] = 1.0
        elif known.low >= 0.0 and known.high <= 1.0:
            found[name] = (known.low + known.high) / 2
        else:
            found[name] = float(np.clip(8.0, known.low, known.high))
    return found


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
