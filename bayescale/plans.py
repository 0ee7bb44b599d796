"""The training plans that a budget allows: what is free, fixed and listed, and what each costs.

One token count *balances* the budget: given everything else it is whatever the budget has left. Of
the inputs that remain free, one at most may vary continuously; plans are then points on a line,
the logarithm of that input.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayescale.errors import InputError
from bayescale.fits import Fit
from bayescale.law import Law
from bayescale.variables import check_values, derive, variable

__all__ = ["Plans", "check_budget", "plans", "training_cost"]

_MANY = 1e18


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
        The input that varies continuously, if any.
    bounds
        Lowest and highest value of ``free`` and ``balance``.
    """

    law: Law
    cost: Callable[..., Any]
    arguments: tuple[str, ...]
    fixed: Mapping[str, float]
    listed: Sequence[Mapping[str, float]]
    balance: str
    free: str | None
    bounds: Mapping[str, tuple[float, float]]

    def complete(
        self, budget: Any, listed: Mapping[str, float], log_free: Any = None
    ) -> dict[str, Any]:
        """Every input of the plan that spends the whole budget."""
        given: dict[str, Any] = {**self.fixed, **listed}
        if self.free is not None:
            given[self.free] = np.clip(np.exp(log_free), *self.bounds[self.free])
        # Training costs are affine in tokens: two evaluations give the tokens a budget buys. The
        # second is at a number so large that nothing is lost when the first is taken off.
        start, most = self.spend(given, 0.0), self.spend(given, _MANY)
        given[self.balance] = (budget - start) / (most - start) * _MANY
        return given

    def spend(self, given: Mapping[str, Any], balance: Any) -> Any:
        """FLOPs of a plan."""
        return self.cost(**_arguments(self.arguments, {**given, self.balance: balance}))

    def possible(self, plan: Mapping[str, Any]) -> Any:
        """Whether what is left for the balance lies within its bounds."""
        fewest, most = self.bounds[self.balance]
        left = plan[self.balance]
        return (left >= fewest * (1 - 1e-6)) & (left <= most * (1 + 1e-6))

    def range(self, budget: np.ndarray, listed: Mapping[str, float]) -> tuple[Any, Any]:
        """Ends of the logarithm of ``free`` for each budget, where every plan is possible."""
        assert self.free is not None
        low, high = (np.full(np.shape(budget), np.log(end)) for end in self.bounds[self.free])
        fewest, most = self.bounds[self.balance]
        # What is left for the balance falls as the free input grows.
        return (
            self._crossing(budget, listed, most, inside=high, outside=low),
            self._crossing(budget, listed, fewest, inside=low, outside=high),
        )

    def _crossing(
        self, budget: Any, listed: Mapping[str, float], limit: float, inside: Any, outside: Any
    ) -> Any:
        """The end ``outside``, or by bisection a point towards ``inside`` that meets the limit."""
        upper = np.all(inside > outside)

        def meets(x: Any) -> Any:
            left = self.complete(budget, listed, x)[self.balance]
            return left <= limit if upper else left >= limit

        end, done = outside, meets(outside)
        for _ in range(60):
            middle = (inside + outside) / 2
            good = meets(middle)
            inside, outside = np.where(good, middle, inside), np.where(good, outside, middle)
        return np.where(done, end, inside)


def plans(
    fit: Fit,
    *,
    cost: Callable[..., Any] | None = None,
    choose: Mapping[str, Sequence[float]] | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> Plans:
    """Work out what is free, what is listed and what balances the budget; see ``allocate``."""
    law = fit.law
    cost = cost or law.cost
    if cost is None:
        raise InputError(
            f"law {law.name!r} has no cost model; pass cost=, a function of {', '.join(law.inputs)}"
        )
    fixed = {
        name: float(_numbers("fixed", name, value)[0]) for name, value in (fixed or {}).items()
    }
    lists = {name: _numbers("choose", name, values) for name, values in (choose or {}).items()}
    arguments = tuple(inspect.signature(cost).parameters)
    known = (*law.inputs, *arguments)
    named = [("choose", n) for n in lists] + [("fixed", n) for n in fixed]
    for what, name in [*named, *(("bounds", n) for n in bounds or {})]:
        if name not in known:
            raise InputError(
                f"{what} names {name!r}, which neither law {law.name!r} nor its cost model "
                f"takes; they take {', '.join(dict.fromkeys(known))}"
            )
    both = set(lists) & set(fixed)
    if both:
        raise InputError(f"{sorted(both)[0]!r} is both in choose and in fixed; give one of them")
    for name, values in [*lists.items(), *fixed.items()]:
        check_values(name, values, extra=law.variables)
    open_inputs = [n for n in law.inputs if n not in fixed and n not in lists]
    counts = [n for n in open_inputs if variable(n, law.variables).scale is not None]
    for name in open_inputs:
        if name not in counts:
            lists[name] = _levels(fit, name)
    if not counts:
        raise InputError(
            "every count is fixed, so nothing is left for the budget to decide; free one of "
            f"{', '.join(n for n in law.inputs if variable(n, law.variables).scale)}"
        )
    tokens = [n for n in counts if variable(n, law.variables).unit == "tokens"]
    balance = (tokens or counts)[-1]
    free = [n for n in counts if n != balance]
    if len(free) > 1:
        raise InputError(
            f"with {balance!r} spending what is left, {' and '.join(map(repr, free))} are free and "
            "one at most may be: give the others in fixed={...} or list them in choose={...}"
        )
    extra = sorted(set(bounds or {}) - set(counts))
    if extra:
        raise InputError(
            f"bounds names {extra[0]!r}, which is not a free count ({', '.join(counts)}); leave it "
            "out"
        )
    limits = {name: _limits(law, name, bounds or {}) for name in counts}
    combinations = itertools.product(*lists.values())
    space = Plans(
        law=law,
        cost=cost,
        arguments=arguments,
        fixed=fixed,
        listed=[dict(zip(lists, map(float, values), strict=True)) for values in combinations],
        balance=balance,
        free=free[0] if free else None,
        bounds=limits,
    )
    for listed in space.listed:
        _check_cost(space, listed)
    return space


def _numbers(what: str, name: str, values: Any) -> np.ndarray:
    try:
        found = np.atleast_1d(np.asarray(values, dtype=float))
    except (TypeError, ValueError):
        found = np.array([])
    if found.ndim != 1 or not found.size or (what == "fixed" and found.size > 1):
        wanted = "a number" if what == "fixed" else "a list of numbers"
        raise InputError(f"{what}[{name!r}] is {wanted}, not {values!r}")
    return found


def _limits(law: Law, name: str, bounds: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    """Bounds of a count, no wider than the vocabulary's."""
    entry = variable(name, law.variables)
    try:
        low, high = (float(end) for end in bounds.get(name, (entry.low, entry.high)))
    except (TypeError, ValueError):
        raise InputError(f"bounds[{name!r}] are two numbers, not {bounds[name]!r}") from None
    limits = max(low, entry.low), min(high, entry.high)
    if not 0 < limits[0] < limits[1] < math.inf:
        if name in bounds:
            check_values(name, np.array([low, high]), extra=law.variables)
        raise InputError(
            f"bounds of {name!r} must be finite with 0 < low < high, not ({low:g}, {high:g}); give "
            f"bounds={{{name!r}: (low, high)}}"
        )
    return limits


def _check_cost(space: Plans, listed: Mapping[str, float]) -> None:
    """Refuse what ``complete`` and ``range`` cannot solve: see there what they rely on."""
    given: dict[str, Any] = {**space.fixed, **listed}
    if space.free is not None:
        given[space.free] = np.geomspace(*space.bounds[space.free], 5)[:, None]
    at = np.array([0.0, 1e9, 1e12, 1e15])
    called = getattr(space.cost, "__name__", "given")
    try:
        with np.errstate(all="ignore"):
            flops = space.spend(given, at) + np.zeros((5, 4))
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise InputError(
            f"the cost model {called!r}, of {', '.join(space.arguments)}, fails: {error}; what "
            f"does not follow from the law's inputs {', '.join(space.law.inputs)} is named in "
            "fixed={...}, and its formula must work on arrays and on no tokens at all"
        ) from error
    slope = np.diff(flops) / np.diff(at)
    if not ((slope > 0).all() and np.allclose(slope, slope[:, -1:], rtol=1e-6, atol=0)):
        listing = ", ".join(f"{value:.3g}" for value in flops[2])
        raise InputError(
            f"the cost model {called!r} must grow in proportion to {space.balance!r}, which spends "
            f"what the budget has left; at 0, 1e9, 1e12 and 1e15 it gives {listing}"
        )
    if (np.diff(flops, axis=0) < 0).any():
        raise InputError(
            f"the cost model {called!r} falls as {space.free!r} grows, so the budget sets no upper "
            f"end to it; fix it in fixed={{...}} or list its values in choose={{...}}"
        )


def _levels(fit: Fit, name: str) -> np.ndarray:
    """Values that the runs take: the default list of what is neither free nor given."""
    if fit.runs is None:
        raise InputError(
            f"say which values of {name!r} may be chosen: choose={{{name!r}: [...]}} or "
            f"fixed={{{name!r}: ...}}"
        )
    values = np.unique(fit.runs[name].values.astype(float))
    if len(values) > 24:
        raise InputError(
            f"{name!r} takes {len(values)} values in the runs; list the ones to choose from: "
            f"choose={{{name!r}: [...]}}"
        )
    return values


def check_budget(fit: Fit, budget: Any, plans: Plans) -> tuple[np.ndarray, bool]:
    """Budgets as floats in a row, and whether one number was given.

    Raises
    ------
    InputError
        If a budget is not a positive number, or is below the smallest plausible run.
    """
    try:
        values = np.asarray(getattr(budget, "values", budget), dtype=float)
    except (TypeError, ValueError):
        raise InputError(f"budget {budget!r} is not a number of FLOPs, such as 1e24") from None
    scalar = values.ndim == 0
    values = np.atleast_1d(values)
    if values.ndim > 1 or not values.size:
        raise InputError("budget is a number of FLOPs or a row of them")
    bad = values[~(np.isfinite(values) & (values > 0))]
    if bad.size:
        raise InputError(f"budget {bad[0]} is not a positive number of FLOPs")
    smallest, origin = _smallest(fit, plans)
    if (values < smallest).any():
        raise InputError(
            f"budget {values.min():.3g} FLOP is below the smallest plausible run, {smallest:.3g} "
            f"FLOP ({origin}); budgets are plain FLOPs, such as 1e22 (1 PF-day is 8.64e19)"
        )
    return values, scalar


def _smallest(fit: Fit, plans: Plans) -> tuple[float, str]:
    corner = {
        name: variable(name, plans.law.variables).low
        for name in (plans.free, plans.balance)
        if name is not None
    }
    lowest = min(
        float(plans.spend({**plans.fixed, **listed, **corner}, corner[plans.balance]))
        for listed in plans.listed
    )
    trained = training_cost(fit, plans)
    if trained is None or trained.min() / 1e3 < lowest:
        return lowest, "the least parameters and tokens that a run can have"
    return trained.min() / 1e3, f"a thousandth of the smallest fitted run, {trained.min():.3g} FLOP"


def training_cost(fit: Fit, plans: Plans) -> np.ndarray | None:
    """FLOPs of each fitted run under the plans' cost model; None where that is not known."""
    if fit.runs is None:
        return None
    columns = {str(n): fit.runs[n].values for n in fit.runs.data_vars}
    settings = {n: v for n, v in plans.fixed.items() if n not in plans.law.inputs}
    given = _arguments(plans.arguments, {**columns, **settings})
    try:
        return np.asarray(plans.cost(**given), dtype=float)
    except TypeError:  # The runs lack an argument that the plans have, such as a listed setting.
        return None


def _arguments(names: tuple[str, ...], values: Mapping[str, Any]) -> dict[str, Any]:
    """The cost model's arguments, derived where they can be; what is left has a default."""
    found = {name: values[name] if name in values else derive(name, values) for name in names}
    return {name: value for name, value in found.items() if value is not None}
