"""The training plans that a budget allows, as points of a space that can be searched.

One token count *balances* the budget: given everything else it is whatever the budget has left. The
other free inputs are coordinates: counts and other positive inputs by their logarithm, shares such
as sparsity by ``-log(1 - S)``, in which the laws and the costs are nearly straight. One of them,
the *pivot*, is what gives way where the balance or a derived quantity leaves its bounds.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.language.columns import derive
from bayescale.language.compute import cost_arguments
from bayescale.language.law import Law
from bayescale.language.variables import Variable, variable

__all__ = ["Plans", "coordinate", "value_at"]

_MANY = 1e18
_ROUNDING = 1e-9  # relative: how far beyond a limit still counts as at it
_MOST_STEPS = 100


@dataclass(frozen=True)
class Plans:
    """What can be trained.

    Attributes
    ----------
    law
        The law.
    cost
        FLOPs as a function of inputs.
    arguments
        Names of the cost model's arguments.
    fixed
        Values held fixed: of inputs, and of settings of the cost model.
    listed
        Every combination of the listed inputs.
    balance
        The input that takes what the budget has left.
    free
        The input that varies continuously, if any; of several the one that gives way at a limit.
    bounds
        Lowest and highest value of ``free``, ``others``, ``balance`` and ``derived``.
    others
        Further inputs that vary continuously.
    derived
        Quantities that follow from the inputs and are held within bounds.
    per_active
        All parameters of a plan over its active ones, where only the fitted runs know them.
    memory
        Most parameters that a plan may have in all, if that was said.
    """

    law: Law
    cost: Callable[..., Any]
    arguments: tuple[str, ...]
    fixed: Mapping[str, float]
    listed: Sequence[Mapping[str, float]]
    balance: str
    free: str | None
    bounds: Mapping[str, tuple[float, float]]
    others: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    per_active: Callable[[Mapping[str, Any]], Any] | None = None
    memory: float | None = None

    @property
    def continuous(self) -> tuple[str, ...]:
        """Inputs that vary continuously, besides the balance: the coordinates, pivot first."""
        return () if self.free is None else (self.free, *self.others)

    @property
    def choices(self) -> dict[str, np.ndarray]:
        """Values of each listed input that has more than one."""
        values = {n: np.unique([one[n] for one in self.listed]) for n in self.listed[0]}
        return {name: found for name, found in values.items() if len(found) > 1}

    @property
    def settings(self) -> dict[str, float]:
        """Settings of the cost model: what it takes besides inputs, given or by default."""
        found = {}
        for one in inspect.signature(self.cost).parameters.values():
            if one.name in self.law.inputs or one.default is one.empty:
                continue
            value = self.fixed.get(one.name, one.default)
            if isinstance(value, (int, float)):
                found[one.name] = float(value)
        return found

    def known(self, name: str) -> Variable:
        """What is known of an input."""
        return variable(name, self.law.variables)

    def box(self) -> np.ndarray:
        """Lowest and highest coordinates, of shape (2, number of coordinates)."""
        ends = [
            [float(coordinate(self.known(name), end)) for end in self.bounds[name]]
            for name in self.continuous
        ]
        return np.array(ends).reshape(-1, 2).T

    def corner(self, end: int) -> dict[str, float]:
        """All that varies at its lowest (0) or highest (1) value."""
        return {name: self.bounds[name][end] for name in (*self.continuous, self.balance)}

    def complete(
        self,
        budget: Any,
        listed: Mapping[str, Any],
        log_free: Any = None,
        others: Sequence[Any] = (),
    ) -> dict[str, Any]:
        """Every input of the plan that spends the whole budget, at some coordinates."""
        if len(others) != len(self.others):
            self._refuse_several()
        given: dict[str, Any] = {**self.fixed, **listed}
        for name, x in zip(self.continuous, (log_free, *others), strict=False):
            given[name] = value_at(self.known(name), x, self.bounds[name])
        # Training costs are affine in tokens: two evaluations give the tokens a budget buys. The
        # second is at a number so large that nothing is lost when the first is taken off.
        start, most = self.spend(given, 0.0), self.spend(given, _MANY)
        given[self.balance] = (budget - start) / (most - start) * _MANY
        return given

    def spend(self, given: Mapping[str, Any], balance: Any) -> Any:
        """FLOPs of a plan."""
        return self.cost(**cost_arguments(self.arguments, {**given, self.balance: balance}))

    def possible(self, plan: Mapping[str, Any]) -> Any:
        """Whether the balance and what is derived lie within their bounds."""
        fewest, most = self.bounds[self.balance]
        left = plan[self.balance]
        good: Any = (left >= fewest) & (left <= most)
        if not np.all(good):
            # As much beyond as rounding makes of what a budget has left.
            spent, limit = (self.spend(plan, x) for x in (left, np.clip(left, fewest, most)))
            good = np.abs(spent - limit) <= _ROUNDING * limit
        for name in self.derived:
            low, high = self.bounds[name]
            value = self.quantity(plan, name)
            good = good & (value >= low - abs(low) * _ROUNDING)
            good = good & (value <= high + abs(high) * _ROUNDING)
        return good

    def quantity(self, plan: Mapping[str, Any], name: str) -> Any:
        """An input of a plan, or what is derived from its inputs."""
        return plan[name] if name in plan else self._follows(name, plan)

    def _follows(self, name: str, given: Mapping[str, Any]) -> Any | None:
        """A quantity worked out from inputs; None where they do not suffice."""
        found = derive(name, given)
        if found is None and name == "N" and self.per_active and "N_active" in given:
            found = self.per_active(given) * given["N_active"]
        return found

    def place(
        self, budget: Any, listed: Mapping[str, Any], x: np.ndarray
    ) -> tuple[dict[str, Any], np.ndarray, Any]:
        """The plans at some coordinates, or the possible ones nearest to them along the pivot.

        Parameters
        ----------
        budget, listed
            Training FLOPs and listed inputs, which broadcast against a coordinate.
        x
            Coordinates, one a row.

        Returns
        -------
        tuple
            The plans, their coordinates, and which are possible.
        """
        plan = self._at(budget, listed, x)
        good = self.possible(plan)
        if np.all(good) or not len(x):
            return self._trimmed(plan), x, good
        shape = np.broadcast_shapes(np.shape(good), np.shape(budget), x.shape[1:])
        bad = ~np.broadcast_to(good, shape)

        def pick(value: Any) -> Any:
            return np.broadcast_to(value, shape)[bad]

        some = {name: pick(value) for name, value in listed.items()}
        x = np.array(np.broadcast_to(x, (len(x), *shape)))
        x[0][bad] = self._give_way(pick(budget), some, x[:, bad])
        plan = self._at(budget, listed, x)
        good = self.possible(plan)
        return self._trimmed(plan), x, good

    def _trimmed(self, plan: dict[str, Any]) -> dict[str, Any]:
        """The plan without the rounding that a balance at its limit has."""
        return plan | {self.balance: np.clip(plan[self.balance], *self.bounds[self.balance])}

    def range(self, budget: np.ndarray, listed: Mapping[str, float]) -> tuple[Any, Any]:
        """Ends of the logarithm of ``free`` for each budget, where every plan is possible."""
        assert self.free is not None
        if self.others or _scale(self.known(self.free)) != "log":
            self._refuse_several()
        ends = self.box()[:, 0]
        row = np.atleast_1d(budget)
        low, high = (
            self.place(row, listed, np.full((1, len(row)), end))[1].reshape(np.shape(budget))
            for end in ends
        )
        return low, high

    def _at(self, budget: Any, listed: Mapping[str, Any], x: np.ndarray) -> dict[str, Any]:
        with np.errstate(all="ignore"):  # What cannot be trained may have no finite cost.
            return self.complete(budget, listed, x[0] if len(x) else None, list(x[1:]))

    def _give_way(self, budget: Any, listed: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
        """The pivot's nearest coordinate at which every limit is met, where there is one."""
        here, (low, high) = x[0], self.box()[:, 0]
        ends = [np.full(here.shape, low), np.full(here.shape, high)]
        for excess in self._limits(budget, listed, x[1:]):
            broken = excess(here) > 0
            if not broken.any():
                continue
            at_low, at_high = (excess(end) for end in ends)
            for inner, outer, within, beyond in ((0, 1, at_low, at_high), (1, 0, at_high, at_low)):
                crossing = broken & (within <= 0) & (beyond > 0)
                if crossing.any():
                    found = _root(excess, ends[inner], ends[outer], within, beyond, crossing)
                    ends[outer] = np.where(crossing, found, ends[outer])
        return np.clip(here, *ends)

    def _limits(
        self, budget: Any, listed: Mapping[str, Any], others: Any
    ) -> Iterator[Callable[[Any], Any]]:
        """Functions of the pivot, each above zero where a plan goes beyond one limit."""

        def given(x: Any) -> dict[str, Any]:
            assert self.free is not None
            values: dict[str, Any] = {**self.fixed, **listed}
            for name, one in zip(self.continuous, (x, *others), strict=True):
                values[name] = value_at(self.known(name), one, self.bounds[name])
            return values

        def left(end: float, sign: float) -> Callable[[Any], Any]:
            # The cost of a plan at the limit, rather than what is left, which may be negative.
            return lambda x: sign * _log_ratio(self.spend(given(x), end), budget)

        def derived(name: str, end: float, sign: float) -> Callable[[Any], Any]:
            def excess(x: Any) -> Any:
                value = self._follows(name, given(x))
                if value is None:  # It depends on the balance too.
                    value = self.quantity(self._at(budget, listed, np.array([x, *others])), name)
                if _scale(self.known(name)) == "log":
                    return sign * _log_ratio(value, end)
                return sign * (value - end)

            return excess

        fewest, most = self.bounds[self.balance]
        yield left(fewest, 1.0)
        yield left(most, -1.0)
        for name in self.derived:
            low, high = self.bounds[name]
            yield derived(name, high, 1.0)
            yield derived(name, low, -1.0)

    def _refuse_several(self) -> None:
        names = self.continuous
        raise InputError(
            f"{' and '.join(map(repr, names))} {'are' if len(names) > 1 else 'is'} free besides "
            f"{self.balance!r}, and here one count at most may be: give others in "
            "fixed={...} or list their values in choose={...}"
        )


def _scale(known: Variable) -> str:
    """How an input varies: by its logarithm, as a share of one, or as it is."""
    if known.scale is not None or known.low > 0:
        return "log"
    return "share" if known.low == 0 and known.high == 1 else "plain"


def coordinate(known: Variable, value: Any) -> Any:
    """The coordinate by which an input varies, at a value of it."""
    scale = _scale(known)
    if scale == "plain":
        return value
    return np.log(value) if scale == "log" else -np.log1p(-np.asarray(value))


def value_at(known: Variable, x: Any, bounds: tuple[float, float]) -> Any:
    """The value of an input at a coordinate, within its bounds."""
    scale = _scale(known)
    value = x if scale == "plain" else np.exp(x) if scale == "log" else -np.expm1(-x)
    return np.minimum(np.maximum(value, bounds[0]), bounds[1])


def _log_ratio(value: Any, over: Any) -> Any:
    with np.errstate(all="ignore"):
        found = np.log(np.minimum(np.maximum(value / over, 1e-300), 1e300))
    return np.where(np.isnan(found), math.inf, found)


def _root(
    excess: Callable[[Any], Any], inside: Any, outside: Any, within: Any, beyond: Any, where: Any
) -> Any:
    """Where functions of one variable cross zero: false position, with Illinois' remedy."""
    a, b, fa, fb = (np.array(one, dtype=float) for one in (inside, outside, within, beyond))
    found, done = a.copy(), ~where
    side = np.zeros(a.shape)
    for step in range(1, _MOST_STEPS):
        with np.errstate(all="ignore"):
            at = b - fb * (b - a) / (fb - fa)
        middle = (a + b) / 2
        at = np.where(np.isfinite(at) & (step % 10 != 0), at, middle)
        at = np.clip(at, np.minimum(a, b), np.maximum(a, b))
        value = excess(at)
        good = value <= 0
        # An end that stays twice counts half, so that both close in.
        fa, fb = (
            np.where(good, value, np.where(side < 0, fa / 2, fa)),
            np.where(good, np.where(side > 0, fb / 2, fb), value),
        )
        a, b, side = np.where(good, at, a), np.where(good, b, at), np.where(good, 1, -1)
        met = np.abs(value) < 1e-12
        found = np.where(done, found, np.where(met, at, a))
        done |= met | (np.abs(b - a) < 1e-13 * (1 + np.abs(b)))
        if done.all():
            break
    return found
