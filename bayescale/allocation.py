"""The optimal allocation of a budget, for every posterior draw at once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayescale.errors import InputError
from bayescale.fits import Fit
from bayescale.plans import Plans, check_budget, plans, training_cost
from bayescale.variables import variable

__all__ = ["AllocationWarning", "allocate"]

_GRID = 65
_STEP = 3e-4  # of the logarithm of the free input
_MOST_STEPS = 100
_MOST_BASINS = 4


class AllocationWarning(UserWarning):
    """An allocation says less than it seems to."""


def allocate(
    fit: Fit,
    budget: Any,
    *,
    cost: Callable[..., Any] | None = None,
    choose: Mapping[str, Sequence[float]] | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> xr.Dataset:
    """The allocation of least loss under each posterior draw.

    Each draw of the coefficients has an optimum of its own; their spread is the uncertainty of the
    optimal allocation. For the one plan to train, see ``decide``.

    Parameters
    ----------
    fit
        A fit.
    budget
        Training FLOPs: a number, or a row of them.
    cost
        FLOPs as a function of inputs; by default the law's own cost model.
    choose
        Inputs that take one of some listed values, such as ``{"G": [1, 2, 4, 8]}``. Inputs
        that are not counts (S, G, experts) are by default chosen from the values in the runs.
    fixed
        Inputs, and settings of the cost model, held at a value.
    bounds
        Lowest and highest value of a free count.

    Returns
    -------
    xarray.Dataset
        Every input of the law at the optimum, and ``loss`` (the mean loss there, nats), over chain,
        draw and budget. Coordinates along budget: ``extrapolation``, the budget over the cost of
        the largest fitted run, and ``at_bound``, the share of draws whose optimum lies at
        a bound.

    Raises
    ------
    InputError
        If the choices or the budget make no sense; the message says which and why.

    Warns
    -----
    AllocationWarning
        If the optimum lies at a bound for some draws.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> best = bs.allocate(bs.published(dense, "besiroglu2024"), 5.76e23)
    >>> f"{best.N.item():.3g} parameters, {best.D.item():.3g} tokens"
    '7.22e+10 parameters, 1.33e+12 tokens'
    """
    space = plans(fit, cost=cost, choose=choose, fixed=fixed, bounds=bounds)
    budgets, scalar = check_budget(fit, budget, space)
    draws = coefficient_draws(fit)
    found = [_best(space, fit.reference, draws, budgets, listed) for listed in space.listed]
    losses = np.stack([loss for _, loss, _ in found])
    impossible = ~np.isfinite(losses.min(axis=0)).all(axis=0)
    if impossible.any():
        raise InputError(
            f"no plan of {budgets[impossible][0]:.3g} FLOP lies within the bounds "
            f"{dict(space.bounds)}; widen bounds=, change what is fixed, or choose another budget"
        )
    winner = losses.argmin(axis=0)

    def pick(values: list[Any]) -> np.ndarray:
        stacked = np.stack([np.broadcast_to(v, losses.shape[1:]) for v in values])
        return np.take_along_axis(stacked, winner[None], axis=0)[0]

    sizes = fit.posterior.sizes
    shape = (sizes["chain"], sizes["draw"], len(budgets))
    axes = ("chain", "draw", "budget")
    at_bound = pick([edge for *_, edge in found]).mean(axis=0)
    data = {}
    for name in fit.law.inputs:
        entry = variable(name, fit.law.variables)
        attrs = {"units": entry.unit, "long_name": entry.description or name}
        data[name] = (axes, pick([plan[name] for plan, *_ in found]).reshape(shape), attrs)
    loss = np.take_along_axis(losses, winner[None], axis=0)[0]
    data["loss"] = (
        axes,
        loss.reshape(shape),
        {"units": "nats per token", "long_name": "mean loss at the optimum"},
    )
    best = xr.Dataset(
        data,
        coords={
            "chain": fit.posterior.chain.values,
            "draw": fit.posterior.draw.values,
            "budget": ("budget", budgets, {"units": "FLOP"}),
            "at_bound": ("budget", at_bound),
            "extrapolation": ("budget", extrapolation(fit, space, budgets)),
        },
    )
    warn_at_bound(budgets, at_bound)
    return best.squeeze("budget") if scalar else best


def coefficient_draws(fit: Fit) -> dict[str, Any]:
    """Coefficients as columns of length draws, for broadcasting against rows of budgets."""
    draws = fit.posterior
    by = fit.about.get("by")
    if by:
        raise InputError(
            f"this fit has coefficients for each {by!r}; say for which one: "
            f"group(fit, {str(draws[by].values[0])!r})"
        )
    columns = {
        name: draws[name].transpose("chain", "draw").values.reshape(-1, 1)
        for name in fit.law.coefficients
        if name in draws
    }
    return columns | fit.about["fixed"]


def extrapolation(fit: Fit, space: Plans, budgets: np.ndarray) -> np.ndarray:
    """Each budget over the cost of the largest fitted run; NaN where there are no runs."""
    trained = training_cost(fit, space)
    return budgets / (np.nan if trained is None else trained.max())


def warn_at_bound(budgets: np.ndarray, share: np.ndarray) -> None:
    """Say so where an optimum lies at a bound, since then the bound was the answer."""
    if not (share > 0).any():
        return
    most = int(share.argmax())
    others = int((share > 0).sum()) - 1
    warnings.warn(
        f"at a budget of {budgets[most]:.3g} FLOP the optimum lies at a bound in "
        f"{share[most]:.2%} of draws{f', and in fewer at {others} others' if others else ''}: the "
        "bound decides, not the runs; widen bounds=, or choose another budget",
        AllocationWarning,
        stacklevel=3,
    )


def loss_of(
    space: Plans, reference: Mapping[str, float], plan: Mapping[str, Any], draws: Any
) -> Any:
    """The law at a plan, for columns of draws."""
    inputs = {name: plan[name] / reference[name] for name in space.law.inputs}
    return space.law(**inputs, **draws)


def _best(
    space: Plans,
    reference: Mapping[str, float],
    draws: Mapping[str, Any],
    budgets: np.ndarray,
    listed: Mapping[str, float],
) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Plan, loss and whether it lies at a bound, over draws and budgets, of one listed choice."""
    size = max((len(v) for v in draws.values() if np.ndim(v)), default=1)
    shape = (size, len(budgets))
    edge = np.zeros(shape, dtype=bool)
    x = None
    if space.free is not None:
        low, high = space.range(budgets, listed)
        x = _minimise(space, reference, draws, budgets, listed, low, high)
        edge = (x - low < 1e-6) | (high - x < 1e-6)
    plan = space.complete(budgets, listed, x)
    with np.errstate(invalid="ignore"):  # Plans that are not possible may have no loss.
        loss = np.where(space.possible(plan), loss_of(space, reference, plan, draws), np.inf)
    return plan, np.broadcast_to(loss, shape), edge


def _minimise(
    space: Plans,
    reference: Mapping[str, float],
    draws: Mapping[str, Any],
    budgets: np.ndarray,
    listed: Mapping[str, float],
    low: np.ndarray,
    high: np.ndarray,
) -> np.ndarray:
    """Logarithm of the free input at least loss, for every draw (rows) and budget (columns).

    A coarse grid finds the basins, and a search in each the minimum, everywhere at once.
    """
    size = max((len(v) for v in draws.values() if np.ndim(v)), default=1)
    shape = (size, len(budgets))

    def loss(x: np.ndarray, rows: Any = slice(None)) -> np.ndarray:
        some = {n: v[rows] if np.ndim(v) else v for n, v in draws.items()}
        with np.errstate(invalid="ignore"):  # A budget that allows no plan has no loss.
            value = np.asarray(loss_of(space, reference, space.complete(budgets, listed, x), some))
        return np.broadcast_to(value, np.broadcast_shapes(value.shape, x.shape))

    cell = (high - low) / (_GRID - 1)
    grid = low + cell * np.arange(_GRID)[:, None]
    # Where a few draws, spread over all, agree that there is one basin, it is looked for in them.
    few = np.unique(np.linspace(0, size - 1, 64).astype(int))
    on_grid = np.stack([loss(x[None], few) for x in grid])
    if (_basins(on_grid).sum(axis=0) <= 1).all():
        start = np.median(on_grid.argmin(axis=0), axis=0).astype(int)
        return _search(loss, np.broadcast_to(low + cell * start, shape), low, high, cell)
    on_grid = np.stack([loss(x[None]) for x in grid])
    basins = _basins(on_grid)
    ranked = np.argsort(np.where(basins, on_grid, np.inf), axis=0)
    found = []
    for start in ranked[: min(basins.sum(axis=0).max(), _MOST_BASINS)]:
        ends = low + cell * np.maximum(start - 1, 0), low + cell * np.minimum(start + 1, _GRID - 1)
        found.append(_search(loss, low + cell * start, *ends, cell))
    least = np.argmin([loss(x) for x in found], axis=0)
    return np.take_along_axis(np.stack(found), least[None], axis=0)[0]


def _basins(on_grid: np.ndarray) -> np.ndarray:
    """Which points of a grid (first axis) are lower than the ones beside them."""
    wall = np.full_like(on_grid[:1], np.inf)
    change = np.diff(np.concatenate([wall, on_grid, wall]), axis=0)
    return (change[:-1] < 0) & (change[1:] > 0)


def _search(
    loss: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    longest: np.ndarray,
) -> np.ndarray:
    """The minimum between two ends, by Newton's method; by halving where that leads nowhere.

    Derivatives are central differences over a step at which both their errors move the minimum by
    less than 1e-7 of itself.
    """
    step = np.clip((high - low) / 4, 1e-9, _STEP)
    left, right = np.full(x.shape, low - 1.0), np.full(x.shape, high + 1.0)
    for _ in range(_MOST_STEPS):
        # At an end the derivatives are those beside it: past it there may be no plan.
        centre = np.clip(x, low + step, high - step)
        at, above, below = loss(centre), loss(centre + step), loss(centre - step)
        curvature = (above - 2 * at + below) / step**2
        slope = (above - below) / (2 * step) + curvature * (x - centre)
        np.copyto(left, x, where=slope < 0)
        np.copyto(right, x, where=slope > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = np.clip(-slope / curvature, -longest, longest)
        move = np.nan_to_num(np.where(curvature > 0, newton, -np.sign(slope) * longest))
        moved = np.clip(x + move, low, high)
        halved = np.clip((left + right) / 2, low, high)
        moved = np.where((left < moved) & (moved < right), moved, halved)
        largest = np.abs(moved - x).max()
        x = moved
        if largest < 1e-8:
            break
    return _sharpen(loss, x, np.maximum(x - step, low), np.minimum(x + step, high))


def _sharpen(
    loss: Callable[[np.ndarray], np.ndarray], x: np.ndarray, left: np.ndarray, right: np.ndarray
) -> np.ndarray:
    """The minimum found, or beside it the kink that differences blur, by the values alone."""
    least = loss(x) - 1e-10
    if not ((loss((x + left) / 2) < least) | (loss((x + right) / 2) < least)).any():
        return x
    for _ in range(30):
        third = (right - left) / 3
        lower = loss(left + third) < loss(right - third)
        left, right = np.where(lower, left, left + third), np.where(lower, right - third, right)
    middle = (left + right) / 2
    return np.where(loss(middle) < least, middle, x)
