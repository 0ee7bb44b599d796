"""Reading a question about a budget: what is free, fixed and listed, and what may be spent."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.decisions.parameter_counts import counts_all, total_per_active
from bayescale.decisions.plan_space import Plans, coordinate, value_at
from bayescale.fitting.fits import Fit
from bayescale.language.columns import check_values, derive
from bayescale.language.compute import flops_of
from bayescale.language.law import Law
from bayescale.language.variables import VARIABLES, variable

__all__ = ["Plans", "check_budget", "listed_flops", "plans", "training_cost"]

_MOST_FREE = 3  # besides the balance: the search grows with the power of them
_LARGEST = VARIABLES["flops"].high


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
    bounds = dict(bounds or {})
    per_active = None
    memory = _memory(bounds)
    if memory is not None:
        per_active = _hold(fit, memory, fixed, lists, bounds)
    arguments = tuple(inspect.signature(cost).parameters)
    derived = _check_names(law, arguments, lists, fixed, bounds, ("N",) if per_active else ())
    for name, values in [*lists.items(), *fixed.items()]:
        check_values(name, values, extra=law.variables)
        _check_whole(law, name, np.atleast_1d(values))
    open_inputs = [n for n in law.inputs if n not in fixed and n not in lists]
    counts = [n for n in open_inputs if variable(n, law.variables).scale is not None]
    if not counts:
        raise InputError(
            "every count is fixed, so nothing is left for the budget to decide; free one of "
            f"{', '.join(n for n in law.inputs if variable(n, law.variables).scale)}"
        )
    for name in open_inputs:
        if name in bounds and variable(name, law.variables).integer:
            raise InputError(
                f"{name!r} is a whole number, which does not vary continuously; list its values: "
                f"choose={{{name!r}: range(1, 65)}}"
            )
        if name not in counts and name not in bounds:
            lists[name] = _levels(fit, name)
    # Tokens trained on: the last that cost anything, since others cannot spend what is left.
    spent = [n for n in counts if n in arguments] or counts
    tokens = [n for n in spent if variable(n, law.variables).unit == "tokens"]
    balance = "D" if "D" in tokens else (tokens or spent)[-1]
    free = [n for n in open_inputs if n != balance and n not in lists]
    if len(free) > _MOST_FREE:
        raise InputError(
            f"with {balance!r} spending what is left, {', '.join(map(repr, free))} are free and "
            f"{_MOST_FREE} at most may be: give others in fixed={{...}} or list them in "
            "choose={...}"
        )
    extra = sorted(set(bounds) - set(open_inputs) - set(derived))
    if extra:
        raise InputError(
            f"bounds names {extra[0]!r}, which is not free ({', '.join(open_inputs)}); leave it out"
        )
    # A size moves every cost and every memory: it gives way where a limit is met.
    free.sort(key=lambda n: (variable(n, law.variables).unit != "parameters", n not in counts))
    space = Plans(
        law=law,
        cost=cost,
        arguments=arguments,
        fixed=fixed,
        listed=[
            dict(zip(lists, map(float, values), strict=True))
            for values in itertools.product(*lists.values())
        ],
        balance=balance,
        free=free[0] if free else None,
        others=tuple(free[1:]),
        bounds={n: _limits(law, n, bounds) for n in (*free, balance, *derived)},
        derived=derived,
        per_active=per_active,
        memory=memory,
    )
    for listed in space.listed:
        _check_cost(space, listed)
    for name in space.continuous:
        if name in counts and name not in bounds and _costless(space, name):
            raise InputError(
                f"{name!r} costs nothing, so the budget sets no limit to it; say how much there "
                f"is: fixed={{{name!r}: ...}} or bounds={{{name!r}: (low, high)}}"
            )
    return space


def _memory(bounds: dict[str, Any]) -> float | None:
    """The most parameters in all, which is taken out of the bounds."""
    if "memory" not in bounds:
        return None
    given = bounds.pop("memory")
    try:
        low, high = map(float, given)
    except (TypeError, ValueError):
        raise InputError(f"bounds['memory'] are two numbers, not {given!r}") from None
    if low > 1 or not (np.isfinite(high) and high > 0):
        raise InputError(
            "bounds['memory'] are the most parameters that a plan may have in all, active or not, "
            f"such as (0, 7e10), not ({low:g}, {high:g})"
        )
    return high


def _hold(
    fit: Fit,
    memory: float,
    fixed: Mapping[str, float],
    lists: dict[str, np.ndarray],
    bounds: dict[str, Any],
) -> Callable[[Mapping[str, Any]], Any] | None:
    """Bound all parameters by memory; how they follow, where only the fitted runs tell."""
    law, some = fit.law, dict.fromkeys(fit.law.inputs, 0.5)
    if counts_all(law) and ("N" in fixed or "N" in lists):
        sizes = lists.get("N", np.atleast_1d(fixed.get("N", np.nan)))
        if not (sizes <= memory).any():
            raise InputError(f"N = {sizes.min():.4g} is above the limit on memory, {memory:.4g}")
        if "N" in lists:
            lists["N"] = sizes[sizes <= memory]
        return None
    by_inputs = counts_all(law) or ("N" not in law.inputs and derive("N", some) is not None)
    by_runs = total_per_active(fit, dict.fromkeys(law.inputs, 2.0)) is not None
    if not (by_inputs or by_runs):
        raise InputError(
            f"total parameters do not follow from {', '.join(law.inputs)}, nor from the fitted "
            "runs, which lack N and N_active at each number of experts; bound what the law "
            "counts instead of memory: bounds={...}"
        )
    low, high = bounds.get("N", (0.0, np.inf))
    bounds["N"] = low, min(high, memory)
    return None if by_inputs else lambda plan: total_per_active(fit, plan)


def _check_names(
    law: Law,
    arguments: tuple[str, ...],
    lists: Mapping[str, Any],
    fixed: Mapping[str, Any],
    bounds: Mapping[str, Any],
    of_runs: tuple[str, ...],
) -> tuple[str, ...]:
    """Refuse names that mean nothing here; the bounded quantities that follow from the inputs."""
    known = (*law.inputs, *arguments)
    some = dict.fromkeys(law.inputs, 0.5)
    follows = tuple(n for n in VARIABLES if n not in law.inputs and derive(n, some) is not None)
    follows += of_runs
    for what, name in [*(("choose", n) for n in lists), *(("fixed", n) for n in fixed)]:
        if name not in known:
            raise InputError(
                f"{what} names {name!r}, which neither law {law.name!r} nor its cost model "
                f"takes; they take {', '.join(dict.fromkeys(known))}"
            )
    for name in bounds:
        if name not in known and name not in follows:
            raise InputError(
                f"bounds names {name!r}, which neither law {law.name!r} nor its cost model "
                f"takes, nor does it follow from what they take; they take "
                f"{', '.join(dict.fromkeys(known))}"
                + (f", from which {', '.join(follows)} follow" if follows else "")
            )
    both = set(lists) & set(fixed)
    if both:
        raise InputError(f"{sorted(both)[0]!r} is both in choose and in fixed; give one of them")
    return tuple(n for n in follows if n in bounds)


def _check_whole(law: Law, name: str, values: np.ndarray) -> None:
    broken = values[values != np.round(values)]
    if variable(name, law.variables).integer and broken.size:
        raise InputError(f"{name!r} is a whole number, not {broken[0]:g}; list whole numbers")


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
    """Bounds of what varies continuously, no wider than the vocabulary's."""
    entry = variable(name, law.variables)
    try:
        low, high = (float(end) for end in bounds.get(name, (entry.low, entry.high)))
    except (TypeError, ValueError):
        raise InputError(f"bounds[{name!r}] are two numbers, not {bounds[name]!r}") from None
    limits = max(low, entry.low), min(high, entry.high)
    with np.errstate(all="ignore"):  # A share of one, and a count of none, have no coordinate.
        finite = np.isfinite([float(coordinate(entry, end)) for end in limits]).all()
    if not (finite and limits[0] < limits[1]):
        if name in bounds:
            check_values(name, np.array([low, high]), extra=law.variables)
        count = entry.scale is not None
        raise InputError(
            f"bounds of {name!r} must be finite with {'0 < ' if count else ''}low < high, not "
            f"({low:g}, {high:g}); give bounds={{{name!r}: (low, high)}}"
        )
    return limits


def _check_cost(space: Plans, listed: Mapping[str, float]) -> None:
    """Refuse what the search cannot solve: see ``Plans.complete`` and ``Plans.place``."""
    base: dict[str, Any] = {**space.fixed, **listed}
    ends = space.box()
    between = ends[0] + (ends[1] - ends[0]) * np.linspace(0, 1, 5)[:, None]
    along = {
        name: value_at(space.known(name), between[:, i], space.bounds[name])[:, None]
        for i, name in enumerate(space.continuous)
    }
    at = np.array([0.0, 1e9, 1e12, 1e15])
    called = getattr(space.cost, "__name__", "given")
    try:
        with np.errstate(all="ignore"):
            flops = space.spend({**base, **along}, at) + np.zeros((5, 4))
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise InputError(
            f"the cost model {called!r}, of {', '.join(space.arguments)}, fails: {error}; what "
            f"does not follow from the law's inputs {', '.join(space.law.inputs)} is named in "
            "fixed={...}, and its formula must work on arrays and on no tokens at all"
        ) from error
    slope = np.diff(flops) / np.diff(at)
    lost = 1e-15 * flops[:, 1:] / np.diff(at)  # rounding
    even = np.abs(slope - slope[:, -1:]) <= 1e-6 * slope[:, -1:] + lost
    if not ((slope[:, -1] > 0).all() and even.all()):
        listing = ", ".join(f"{value:.3g}" for value in flops[2])
        raise InputError(
            f"the cost model {called!r} must grow in proportion to {space.balance!r}, which spends "
            f"what the budget has left; at 0, 1e9, 1e12 and 1e15 it gives {listing}"
        )
    for name in space.continuous:
        others = {other: values[2] for other, values in along.items()}
        flops = space.spend({**base, **others, name: along[name]}, at) + np.zeros((5, 4))
        if space.known(name).scale is not None and (np.diff(flops, axis=0) < 0).any():
            raise InputError(
                f"the cost model {called!r} falls as {name!r} grows, so the budget sets no upper "
                f"end to it; fix it in fixed={{...}} or list its values in choose={{...}}"
            )


def _costless(space: Plans, name: str) -> bool:
    """Whether the cost of a plan does not depend on an input."""
    corners = [space.corner(0), space.corner(0) | {name: space.bounds[name][1]}]
    given = [{**space.fixed, **space.listed[0], **corner} for corner in corners]
    costs = [float(space.spend(one, one[space.balance])) for one in given]
    return costs[0] == costs[1]


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
        If a budget is not a positive number, is below the smallest plausible run, or above any.
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
    if (values > _LARGEST).any():
        raise InputError(
            f"budget {values.max():.3g} FLOP is above the largest plausible run, {_LARGEST:.3g} "
            "FLOP; budgets are plain FLOPs, such as 1e24, not their logarithms or rates"
        )
    smallest, origin = _smallest(fit, plans)
    if (values < smallest).any():
        raise InputError(
            f"budget {values.min():.3g} FLOP is below the smallest plausible run, {smallest:.3g} "
            f"FLOP ({origin}); budgets are plain FLOPs, such as 1e22 (1 PF-day is 8.64e19)"
        )
    return values, scalar


def _smallest(fit: Fit, plans: Plans) -> tuple[float, str]:
    corner = {
        n: known.low if (known := plans.known(n)).scale is not None else plans.bounds[n][0]
        for n in (*plans.continuous, plans.balance)
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
    columns = {str(n): x.values for n, x in fit.runs.items() if x.dtype.kind in "biuf"}
    settings = {n: v for n, v in plans.fixed.items() if n not in plans.law.inputs}
    # The runs may lack an argument that the plans have, such as a listed setting.
    flops = flops_of(plans.cost, {**columns, **settings})
    return None if flops is None else np.asarray(flops, dtype=float)


def listed_flops(fit: Fit, plans: Plans) -> np.ndarray | None:
    """FLOPs of each fitted run as its table has them; None where it has none, or they follow.

    A table may count what the law's cost model leaves out, such as attention. For another cost
    model, which may count inference too, a table's training FLOPs are beside the point.
    """
    if fit.runs is None or plans.cost is not fit.law.cost or "flops" in fit.law.inputs:
        return None
    if "flops" not in fit.runs:
        return None
    flops = np.asarray(fit.runs["flops"].values, dtype=float)
    return flops if np.isfinite(flops).all() else None
