"""The best plan of every draw at every budget, whatever may vary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.decisions.plan_space import Plans
from bayescale.decisions.search import Problems, basins, evaluate, minimise, points

__all__ = ["Optimum", "optimum"]

_NODES = 12  # budgets that are searched from scratch; the others start between their minima
_MOST_STARTS = 4
_POOL = 12
_SCOUTED = 2_000_000  # evaluations that the grids may take
_SCOUTS = 8, 200  # draws in whose grids basins are looked for
_NEAR = 2.5  # starts nearer to each other than this lead to one minimum
_SAME = 1.0  # log units, and as many per log unit of budget
_MARGIN = 4.0  # times what the search took off a start
_TOGETHER = 2_000_000


@dataclass(frozen=True)
class Optimum:
    """The best plans.

    Attributes
    ----------
    plan
        Every input, over draws (rows) and budgets (columns).
    value
        What was minimised, at the plans.
    x
        The plans' coordinates: the first axis is the coordinate.
    listed
        Which listed choice each plan takes.
    budgets
        Training FLOPs.
    """

    plan: Mapping[str, np.ndarray]
    value: np.ndarray
    x: np.ndarray
    listed: np.ndarray
    budgets: np.ndarray


def optimum(
    space: Plans,
    problems: Problems,
    budgets: np.ndarray,
    draws: int,
    scouts: Problems | None = None,
    *,
    alike: bool = True,
) -> Optimum:
    """Minimise a function of the plan for every draw and budget.

    Parameters
    ----------
    space
        The plans.
    problems
        The functions, named by draw, budget and listed choice.
    budgets
        Training FLOPs.
    draws
        Number of draws.
    scouts
        The same functions, roughly: to find the basins with.
    alike
        Whether the draws' functions have their basins in like places, so that a few draws find
        them for all. Where one input is free, all draws look for themselves otherwise.

    Raises
    ------
    InputError
        If no plan of some budget lies within the bounds.
    """
    order = np.argsort(budgets, kind="stable")
    logs = np.log(budgets[order])
    box, many = space.box(), len(space.listed)
    # Where a draw has basins of its own, neighbouring budgets do not tell which is the lower.
    count = _NODES if alike or box.shape[1] > 1 else len(order)
    nodes = np.unique(np.linspace(0, len(order) - 1, count).round().astype(int))
    size = len(nodes) * many
    x = np.full((box.shape[1], draws, len(nodes), many), np.nan)
    value = np.full((draws, len(nodes), many), np.inf)
    at_nodes = _rows(np.arange(draws)[:, None, None], order[nodes][:, None], np.arange(many))
    starts: list[tuple[np.ndarray, np.ndarray]] = []
    for cell in np.arange(at_nodes.shape[1]).reshape(draws, size).T:
        starts += [
            (cell[given], start[:, given])
            for start in _starts(problems, scouts or problems, at_nodes[:, cell], box, size, alike)
            if (given := np.isfinite(start).all(axis=0)).any()
        ]
    if starts:
        which = np.concatenate([cell for cell, _ in starts])
        begin = np.concatenate([start for _, start in starts], axis=1)
        at, found = minimise(problems, at_nodes[:, which], begin, box)
        ranked = np.lexsort((found, which))
        ranked = ranked[np.unique(which[ranked], return_index=True)[1]]
        x.reshape(len(x), value.size)[:, which[ranked]] = at[:, ranked]
        value.reshape(-1)[which[ranked]] = found[ranked]
    between = np.setdiff1d(np.arange(len(order)), nodes)
    best = _Best.empty(box.shape[1], draws, len(order))
    best.put(slice(None), nodes, x, value)
    together = max(1, _TOGETHER // max(1, len(between) * many))
    for i in range(0, draws if len(between) else 0, together):
        some = np.arange(i, min(i + together, draws))
        filled = _fill(problems, some, x[:, some], box, logs, nodes, between, order)
        best.put(some, between, *filled)
    impossible = ~np.isfinite(best.value).all(axis=0)
    if impossible.any():
        raise InputError(
            f"no plan of {budgets[order][impossible][0]:.3g} FLOP lies within the bounds "
            f"{dict(space.bounds)}; widen bounds=, change what is fixed, or choose another budget",
            code="no-plan",
        )
    back = np.argsort(order, kind="stable")
    at, which = best.x[..., back], best.listed[:, back]
    listed = {n: np.array([one[n] for one in space.listed])[which] for n in space.listed[0]}
    plan, at, _ = space.place(budgets, listed, at)
    values = {name: np.array(np.broadcast_to(plan[name], which.shape)) for name in plan}
    return Optimum(values, best.value[:, back], at, which, budgets)


@dataclass(frozen=True)
class _Best:
    """The best listed choice of each draw and budget so far."""

    x: np.ndarray
    value: np.ndarray
    listed: np.ndarray

    @classmethod
    def empty(cls, k: int, draws: int, budgets: int) -> _Best:
        shape = (draws, budgets)
        return cls(np.full((k, *shape), np.nan), np.full(shape, np.inf), np.zeros(shape, int))

    def put(self, draws: Any, budgets: np.ndarray, x: np.ndarray, value: np.ndarray) -> None:
        """Take the best of the listed choices (last axis) at some budgets."""
        which = value.argmin(axis=-1)
        place = (slice(None), budgets) if isinstance(draws, slice) else np.ix_(draws, budgets)
        self.value[place] = np.take_along_axis(value, which[..., None], axis=-1)[..., 0]
        self.listed[place] = which
        for own, one in zip(self.x, x, strict=True):
            own[place] = np.take_along_axis(one, which[..., None], axis=-1)[..., 0]


def _rows(draw: Any, budget: Any, listed: Any) -> np.ndarray:
    return np.stack([np.ravel(part) for part in np.broadcast_arrays(draw, budget, listed)])


def _starts(
    problems: Problems,
    scouts: Problems,
    rows: np.ndarray,
    box: np.ndarray,
    cells: int,
    alike: bool,
) -> list[np.ndarray]:
    """Starts for each problem, from the basins of a grid; NaN where there is no further one."""
    k, n = box.shape[1], rows.shape[1]
    if k == 0:
        return [np.empty((0, n))]
    most = int(np.clip(_SCOUTED // (points(k) * cells), *_SCOUTS)) if alike or k > 1 else n
    few = np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))
    found = basins(scouts, rows[:, few], box, _MOST_STARTS)
    if len(few) < n:
        return _shared(problems, rows, found)
    starts = [np.full((k, n), np.nan) for _ in range(max(one.shape[1] for one in found))]
    for i, one in enumerate(found):
        for j in range(one.shape[1]):
            starts[j][:, i] = one[:, j]
    return starts


def _shared(problems: Problems, rows: np.ndarray, found: list[np.ndarray]) -> list[np.ndarray]:
    """Starts for all problems from the basins of a few: for each, the lowest, well apart."""
    counted = Counter(tuple(point) for one in found for point in one.T)
    pool = np.array([point for point, _ in counted.most_common(_POOL)]).T
    if not pool.size:
        return []
    n = rows.shape[1]
    value = np.stack(
        [evaluate(problems, rows, np.repeat(point[:, None], n, axis=1))[0] for point in pool.T]
    )
    apart = np.abs(pool[:, :, None] - pool[:, None, :]).max(axis=0)
    starts = []
    for _ in range(max(one.shape[1] for one in found)):
        chosen = value.argmin(axis=0)
        open_ = np.isfinite(value.min(axis=0))
        if not open_.any():
            break
        starts.append(np.where(open_, pool[:, chosen], np.nan))
        value = np.where(apart[:, chosen] < _NEAR, np.inf, value)
    return starts


def _fill(
    problems: Problems,
    draws: np.ndarray,
    x: np.ndarray,
    box: np.ndarray,
    logs: np.ndarray,
    nodes: np.ndarray,
    between: np.ndarray,
    order: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Minima at further budgets, from those at the budgets on either side."""
    many = x.shape[-1]
    right = np.searchsorted(nodes, between)
    a, b = nodes[right - 1], nodes[right]
    weight = ((logs[between] - logs[a]) / np.maximum(logs[b] - logs[a], 1e-12))[:, None]
    shape = (len(draws), len(between), many)
    rows = _rows(draws[:, None, None], order[between][:, None], np.arange(many))
    before, after = x[:, :, right - 1], x[:, :, right]
    before, after = (np.where(np.isnan(u), v, u) for u, v in ((before, after), (after, before)))
    # Where the two sides are far apart they are two basins, and each is tried.
    jump = np.abs(after - before).max(axis=0, initial=0.0)
    apart = jump > _SAME * (1 + np.abs(logs[b] - logs[a]))[:, None]
    starts = [np.where(apart, before, before + weight * (after - before))]
    if apart.any():
        starts.append(np.where(apart, after, np.nan))
    best, least = np.full((len(x), *shape), np.nan), np.full(shape, np.inf)
    flat, low = best.reshape(len(x), least.size), least.reshape(-1)

    def polish(start: np.ndarray, given: np.ndarray) -> None:
        at, found = minimise(problems, rows[:, given], start[:, given], box)
        better = found < low[given]
        flat[:, given[better]], low[given[better]] = at[:, better], found[better]

    # What costs nearly all of a budget may cost more than all of another: then the lower one's.
    starts.append(before)
    for i, start in enumerate(one.reshape(len(x), least.size) for one in starts):
        usable = np.isfinite(start).all(axis=0)
        if i == len(starts) - 1:
            solved = np.isfinite(least.min(axis=-1, keepdims=True))
            usable &= ~np.broadcast_to(solved, shape).ravel()
        given = np.flatnonzero(usable)
        if not given.size:
            continue
        if many == 1:
            polish(start, given)
            continue
        # The choice that starts lowest first; then those that may still fall below it.
        height = np.full(len(low), np.inf)
        height[given] = evaluate(problems, rows[:, given], start[:, given])[0]
        height = height.reshape(shape)
        first = height.argmin(axis=-1)[..., None]
        lead = np.ravel_multi_index((*np.indices(first.shape)[:2], first), shape).ravel()
        lead = lead[np.isfinite(height.ravel()[lead])]
        polish(start, lead)
        lowest = least.min(axis=-1, keepdims=True)
        with np.errstate(invalid="ignore"):
            fell = np.maximum(height.min(axis=-1, keepdims=True) - lowest, 0.0)
            close = height <= lowest + _MARGIN * fell + 1e-7
        polish(start, np.setdiff1d(np.flatnonzero(close & np.isfinite(height)), lead))
    return best, least
