"""Minima of functions of a few variables, for many functions at once.

A grid finds the basins, Newton's method with finite differences the minimum of each, and where a
kink blurs the differences a pattern search by the values alone. A *problem* is one function; it is
named by a column of whole numbers, and many are evaluated in one call.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["Objective", "Problems", "basins", "evaluate", "minimise", "points"]

#: Values at points (one a column), and the points moved to where they are possible.
Objective = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
#: The objective of some problems.
Problems = Callable[[np.ndarray], Objective]

# A step at which the errors of central differences move the minimum by less than 1e-7 of itself.
_STEP = 3e-4
_LONGEST = 4.0
_SLACK = 1e-12  # rounding of a loss
_FIRST, _MOST_STEPS = 12, 60
_MOST_POLLS = 150
_KINK = 0.1  # nats per squared log unit: the least curvature that is looked into
_BLURRED, _LOST, _FINE = 4 * _STEP, 0.05, 1e-8  # first and last steps of a pattern search
_POINTS = {1: 65, 2: 33, 3: 15}  # of the grid, along each variable
_BLOCK = 60_000


def evaluate(problems: Problems, rows: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values of each problem at its own point, and the points moved to where they are possible."""
    values, moved = np.empty(x.shape[1]), np.empty(x.shape)
    for some in _blocks(x.shape[1]):
        values[some], moved[:, some] = problems(rows[:, some])(x[:, some])
    return np.where(np.isnan(values), np.inf, values), moved


def minimise(
    problems: Problems, rows: np.ndarray, x: np.ndarray, box: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The minimum nearest to each start within a box: points, and the values there.

    Parameters
    ----------
    problems
        The functions. A point that is not possible may be moved along the first variable.
    rows
        Which problem each start belongs to, one a column.
    x
        Starts, one a column.
    box
        Lowest and highest value of every variable.
    """
    if not len(x):
        values, found = evaluate(problems, rows, x)
        return found, values
    found, radius = np.empty(x.shape), np.empty(x.shape[1])
    for some in _blocks(x.shape[1]):
        found[:, some], radius[some] = _newton(problems, rows[:, some], x[:, some], box, _FIRST)
    # Those that take longer, and those at kinks, are few and go together.
    late = np.flatnonzero(radius == _LOST)
    if late.size:
        found[:, late], radius[late] = _newton(
            problems, rows[:, late], found[:, late], box, _MOST_STEPS
        )
    rough = np.flatnonzero(radius > 0)
    if rough.size:
        found[:, rough] = _poll(problems, rows[:, rough], found[:, rough], box, radius[rough])
    return evaluate(problems, rows, found)[::-1]


def basins(problems: Problems, rows: np.ndarray, box: np.ndarray, most: int) -> list[np.ndarray]:
    """Points of a grid that are lower than all beside them, lowest first, for each problem."""
    k = box.shape[1]
    axes = [np.linspace(low, high, _POINTS[k]) for low, high in box.T]
    grid = np.stack([axis.ravel() for axis in np.meshgrid(*axes, indexing="ij")])
    found = []
    together = max(1, 4 * _BLOCK // grid.shape[1])
    for i in range(0, rows.shape[1], together):
        some = rows[:, i : i + together]
        size = some.shape[1]
        values, _ = evaluate(
            problems, np.repeat(some, grid.shape[1], axis=1), np.tile(grid, (1, size))
        )
        lowest = _lowest(values.reshape(size, *[_POINTS[k]] * k)).reshape(size, -1)
        for own, at in zip(values.reshape(size, -1), lowest, strict=True):
            first = np.flatnonzero(at)
            found.append(grid[:, first[np.argsort(own[first], kind="stable")[:most]]])
    return found


def _lowest(values: np.ndarray) -> np.ndarray:
    """Which points are as low as all beside them; of a flat stretch, where it begins.

    The first axis is the problem, the others are the grid's.
    """
    k = values.ndim - 1
    walled = np.pad(values, [(0, 0), *[(1, 1)] * k], constant_values=np.inf)
    lowest = np.isfinite(values)
    for offset in itertools.product((-1, 0, 1), repeat=k):
        if any(offset):
            here = [slice(1 + o, 1 + o + n) for o, n in zip(offset, values.shape[1:], strict=True)]
            beside = walled[(slice(None), *here)]
            lowest &= values < beside if offset < (0,) * k else values <= beside
    return lowest


def points(k: int) -> int:
    """Number of points of the grid over ``k`` variables."""
    return _POINTS[k] ** k


def _blocks(size: int) -> list[slice]:
    """Pieces that fit in a processor's cache."""
    return [slice(i, i + _BLOCK) for i in range(0, size, _BLOCK)]


def _newton(
    problems: Problems, rows: np.ndarray, start: np.ndarray, box: np.ndarray, turns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Newton's method within a box, and how far off it may be: zero but at kinks.

    Where a point beyond what is possible is moved back along the first variable, the function is
    flat there. A point that would step across is *held* on the flat side, where the function is
    smooth in the other variables, and let go if there is less to be had on the possible side.
    """
    k, n = start.shape
    low, high = box[0][:, None], box[1][:, None]
    best, least = start.copy(), np.full(n, np.inf)
    trial, step = start.copy(), np.zeros((k, n))
    reach = np.full(n, _LONGEST)
    held, radius = np.zeros(n, dtype=bool), np.zeros(n)
    active = np.arange(n)
    for _ in range(turns):
        objective = problems(rows[:, active])
        value, moved = objective(trial[:, active])
        good = value <= least[active] + _SLACK
        good &= np.isfinite(value)
        # Steps that lead up are cut, unless there never was a value.
        back = active[~good & np.isfinite(least[active])]
        step[:, back] *= 0.25
        reach[back] = np.abs(step[:, back]).max(axis=0)
        trial[:, back] = best[:, back] + step[:, back]
        stuck = reach[back] < 1e-9
        radius[back[stuck]] = _BLURRED
        back = back[~stuck]
        here = active[good]
        if not here.size:
            active = back
            if not active.size:
                break
            continue
        moved, at = moved[:, good], trial[:, here]
        across = (np.abs(moved[0] - at[0]) > 1e-12) & ~held[here]
        outside = np.where(at[0] > moved[0], high[0], low[0])
        at[0] = np.where(across, outside, at[0])
        held[here[across]] = True
        best[:, here], least[here] = at, value[good]
        if not good.all():
            objective = problems(rows[:, here])
        slope, curvature, centre, edge = _derivatives(objective, at, value[good], low, high)
        move, gain, pressed = _direction(slope, curvature, at, low, high)
        # So near the edge that differences reach across it, and lower still towards it.
        near = (edge * slope[0] < 0) & ~held[here]
        at[0] = np.where(near, np.where(edge > 0, high[0], low[0]), at[0])
        held[here[near]] = True
        move[:, near] = 0.0
        best[:, here] = at
        longest = np.abs(move).max(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            move *= np.where(longest > reach[here], reach[here] / longest, 1.0)
        target = np.clip(at + move, low, high)
        step[:, here], trial[:, here] = target - at, target
        reach[here] = np.minimum(2 * reach[here], _LONGEST)
        settled = ((np.abs(step[:, here]).max(axis=0) < 1e-7) | (gain < 3e-16)) & ~near
        done = here[settled]
        sharp = np.where(pressed, 0.0, np.abs(curvature[range(k), range(k)])).max(axis=0) > _KINK
        doubtful = np.flatnonzero(settled & sharp)
        if doubtful.size:
            objective = problems(rows[:, here[doubtful]])
            some = centre[:, doubtful], curvature[..., doubtful], pressed[:, doubtful]
            kinked = _kinked(objective, *some)
            radius[here[doubtful[kinked]]] = _BLURRED
        # The last step is too short to be worth a look, unless it is along a flat stretch.
        last = done[np.abs(step[:, done]).max(axis=0) < 1e-5]
        best[:, last] = trial[:, last]
        done = done[held[done]]
        if done.size:
            again = _let_go(problems, rows, best, least, trial, held, done, low, high)
            active = np.concatenate([here[~settled], back, again])
        else:
            active = np.concatenate([here[~settled], back])
        if not active.size:
            break
        active.sort()
    radius[active] = _LOST
    return best, np.where(np.isfinite(least), radius, 0.0)


def _let_go(
    problems: Problems,
    rows: np.ndarray,
    best: np.ndarray,
    least: np.ndarray,
    trial: np.ndarray,
    held: np.ndarray,
    done: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> np.ndarray:
    """Which held points have less beside them on the possible side; they go on from there."""
    objective = problems(rows[:, done])
    value, edge = objective(best[:, done])
    inner = edge.copy()
    inner[0] += np.where(best[0, done] > edge[0], -_STEP, _STEP)
    inner[0] = np.clip(inner[0], low[0], high[0])
    beside, _ = objective(inner)
    free = beside < np.minimum(value, least[done]) - _SLACK
    again = done[free]
    trial[:, again], held[again] = inner[:, free], False
    best[:, again], least[again] = inner[:, free], beside[free]
    return again


def _derivatives(
    objective: Objective, x: np.ndarray, value: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Slopes, curvatures, where they were taken, and on which side the edge was met, if any."""
    k, n = x.shape
    # At an end the derivatives are those beside it: past it there may be nothing.
    centre = np.clip(x, np.minimum(low + _STEP, high), np.maximum(high - _STEP, low))
    at = value if (centre == x).all() else objective(centre)[0]
    slope, curvature = np.zeros((k, n)), np.zeros((k, k, n))
    above, edge = [], np.zeros(n)
    with np.errstate(invalid="ignore"):
        for i in range(k):
            side = np.zeros((k, 1))
            side[i] = _STEP
            (up, on), (down, off) = objective(centre + side), objective(centre - side)
            if i == 0:
                edge += np.abs(on[0] - centre[0] - _STEP) > 1e-12
                edge -= np.abs(off[0] - centre[0] + _STEP) > 1e-12
            above.append(up)
            curvature[i, i] = (up - 2 * at + down) / _STEP**2
            slope[i] = (up - down) / (2 * _STEP)
            # One of the two may be impossible.
            one = np.where(np.isfinite(up), up - at, at - down) / _STEP
            slope[i] = np.where(np.isfinite(slope[i]), slope[i], one)
        for i in range(k):
            for j in range(i):
                side = np.zeros((k, 1))
                side[[i, j]] = _STEP
                both = objective(centre + side)[0]
                curvature[i, j] = (both - above[i] - above[j] + at) / _STEP**2
                curvature[j, i] = curvature[i, j]
    slope, curvature = np.nan_to_num(slope), np.nan_to_num(curvature, posinf=0.0, neginf=0.0)
    if at is not value:
        slope += (curvature * (x - centre)).sum(axis=1)
    return slope, curvature, centre, edge


def _kinked(
    objective: Objective, centre: np.ndarray, curvature: np.ndarray, pressed: np.ndarray
) -> np.ndarray:
    """Where differences over twice the step tell of another curvature: of a kink, half of it."""
    k, n = centre.shape
    found = np.zeros(n, dtype=bool)
    at = objective(centre)[0]
    for i in range(k):
        side = np.zeros((k, 1))
        side[i] = 2 * _STEP
        with np.errstate(invalid="ignore"):
            twice = objective(centre + side)[0] - 2 * at + objective(centre - side)[0]
            wide = twice / (4 * _STEP**2)
            smooth = np.abs(wide - curvature[i, i]) <= 0.1 * np.abs(curvature[i, i]) + 1e-3
        found |= ~smooth & ~pressed[i]
    return found


def _direction(
    slope: np.ndarray, curvature: np.ndarray, x: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The Newton step in the variables not pressed against an end, its gain, and which are."""
    k = len(slope)
    fixed = ((x <= low + 1e-12) & (slope > 0)) | ((x >= high - 1e-12) & (slope < 0))
    g = np.where(fixed, 0.0, slope)
    h = np.where(fixed[:, None] | fixed[None, :], 0.0, curvature)
    for i in range(k):
        h[i, i] = np.where(fixed[i], 1.0, h[i, i])
    scale = np.maximum(np.abs(h[range(k), range(k)]), 1e-9)
    # Elimination; where the function does not curve upwards, each variable by itself.
    a, b = h.copy(), -g
    upwards = np.ones(g.shape[1], dtype=bool)
    with np.errstate(all="ignore"):
        for i in range(k):
            upwards &= a[i, i] > 1e-6 * scale[i]
            for j in range(i + 1, k):
                factor = a[j, i] / a[i, i]
                a[j] -= factor * a[i]
                b[j] -= factor * b[i]
        move = np.zeros_like(g)
        for i in reversed(range(k)):
            rest = sum((a[i, j] * move[j] for j in range(i + 1, k)), np.zeros(g.shape[1]))
            move[i] = (b[i] - rest) / a[i, i]
    alone = -g / scale
    move = np.where(upwards & np.isfinite(move).all(axis=0), move, alone)
    return move, np.abs((g * move).sum(axis=0)), fixed


def _poll(
    problems: Problems, rows: np.ndarray, start: np.ndarray, box: np.ndarray, radius: np.ndarray
) -> np.ndarray:
    """The minimum by values alone: steps along axes that turn, shorter where none leads down."""
    k, n = start.shape
    low, high = box[0][:, None], box[1][:, None]
    rng = np.random.default_rng(0)
    best, least = start.copy(), evaluate(problems, rows, start)[0]
    # Points that are held on the flat side come back to the edge.
    best = evaluate(problems, rows, start)[1]
    radius = radius.copy()
    last = np.zeros((k, n))
    active = np.arange(n)
    for turn in range(_MOST_POLLS):
        axes = np.eye(k) if turn % 2 == 0 or k == 1 else np.linalg.qr(rng.normal(size=(k, k)))[0]
        objective = problems(rows[:, active])
        here, value = best[:, active], least[active]
        ways: list[Any] = [
            sign * axis[:, None] * radius[active] for axis in axes for sign in (1, -1)
        ]
        if k > 1:
            ways.append(last[:, active])
        chosen, lower = here, value
        for way in ways:
            at = np.clip(here + way, low, high)
            there, moved = objective(at)
            better = there < lower
            chosen, lower = np.where(better, moved, chosen), np.where(better, there, lower)
        improved = lower < value
        last[:, active] = np.where(improved, chosen - here, 0.0)
        best[:, active], least[active] = chosen, lower
        radius[active] *= np.where(improved, 1.5 if k > 1 else 1.0, 0.5)
        active = active[radius[active] > _FINE]
        if not active.size:
            break
    return best
