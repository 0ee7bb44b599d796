"""The one plan to train: least expected loss, its regret, and how little the size matters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayescale.allocation import allocate, coefficient_draws, extrapolation, loss_of
from bayescale.errors import InputError
from bayescale.fits import Fit
from bayescale.plans import Plans, check_budget, plans
from bayescale.variables import variable

__all__ = ["decide"]

_GRID = 161


def decide(
    fit: Fit,
    budget: Any,
    *,
    within: float = 0.005,
    cost: Callable[..., Any] | None = None,
    choose: Mapping[str, Sequence[float]] | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> xr.Dataset:
    """The one plan that minimises the posterior expected loss at a budget.

    ``allocate`` gives an optimum for each draw; only one plan can be trained. This is the plan
    whose loss, averaged over what the runs leave open, is least. Its *regret* in a draw is what it
    loses there against that draw's own optimum.

    Parameters
    ----------
    fit
        A fit.
    budget
        Training FLOPs: a number, or a row of them.
    within
        Expected loss, in nats, that one is ready to give up: the near-optimal band holds the
        plans that cost no more than this over the best plan.
    cost, choose, fixed, bounds
        As for ``allocate``.

    Returns
    -------
    xarray.Dataset
        Over budget: every input of the law in the plan; ``expected_loss`` and
        ``expected_regret`` in nats; ``N_band`` and so on, the lowest and highest value of each
        input that varies in the near-optimal band, over ``ci_bound``. Over chain, draw and budget:
        ``loss`` and ``regret`` of the plan. Coordinate ``extrapolation`` as in ``allocate``.

    Raises
    ------
    InputError
        If the choices or the budget make no sense.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> plan = bs.decide(bs.published(dense, "besiroglu2024"), 5.76e23)
    >>> f"{plan.N.item():.3g}; as good: {plan.N_band[0].item():.2g} to {plan.N_band[1].item():.2g}"
    '7.22e+10; as good: 3.6e+10 to 1.5e+11'
    """
    if not (np.isfinite(within) and within > 0):
        raise InputError(f"within is a loss in nats above zero, not {within!r}")
    space = plans(fit, cost=cost, choose=choose, fixed=fixed, bounds=bounds)
    budgets, scalar = check_budget(fit, budget, space)
    best = allocate(fit, budgets, cost=cost, choose=choose, fixed=fixed, bounds=bounds)
    draws = coefficient_draws(fit)
    decided = [_decide_one(space, fit.reference, draws, value, within) for value in budgets]

    loss = np.stack([one["loss"] for one in decided], axis=-1)
    loss = loss.reshape(best.loss.shape)
    # The search for a draw's optimum ends within rounding of it, and so may this plan.
    regret = np.maximum(loss - best.loss.values, 0.0)
    inputs, axes = fit.law.inputs, ("chain", "draw", "budget")
    nats = {"units": "nats per token"}
    data: dict[str, Any] = {}
    for name in inputs:
        entry = variable(name, fit.law.variables)
        attrs = {"units": entry.unit, "long_name": entry.description or name}
        data[name] = ("budget", np.array([one["plan"][name] for one in decided]), attrs)
    data["expected_loss"] = ("budget", loss.mean(axis=(0, 1)), nats)
    data["expected_regret"] = ("budget", regret.mean(axis=(0, 1)), nats)
    for name in decided[0]["band"]:
        band = np.stack([one["band"][name] for one in decided])
        data[f"{name}_band"] = (("budget", "ci_bound"), band, data[name][2])
    data["loss"] = (axes, loss, nats | {"long_name": "mean loss of the plan"})
    data["regret"] = (axes, regret, nats | {"long_name": "loss over the draw's own optimum"})
    coords = {
        **{name: best[name] for name in ("chain", "draw", "budget")},
        "ci_bound": ["lower", "upper"],
        "extrapolation": ("budget", extrapolation(fit, space, budgets)),
    }
    plan = xr.Dataset(data, coords, attrs={"within": within})
    return plan.squeeze("budget") if scalar else plan


def _decide_one(
    space: Plans, reference: Mapping[str, float], draws: Any, budget: float, within: float
) -> dict[str, Any]:
    candidates = [_best_of(space, reference, draws, budget, listed) for listed in space.listed]
    chosen = min(candidates, key=lambda one: one[1])
    if not np.isfinite(chosen[1]):
        raise InputError(
            f"no plan of {budget:.3g} FLOP lies within the bounds {dict(space.bounds)}"
        )
    listed, expected, x, curve = chosen
    plan = space.complete(budget, listed, x)
    loss = np.ravel(loss_of(space, reference, plan, draws))
    size = max((len(v) for v in draws.values() if np.ndim(v)), default=1)
    band: dict[str, np.ndarray] = {}
    if space.free is not None and curve is not None:
        function, low, high = curve
        ends = [_edge(function, x, end, expected + within) for end in (low, high)]
        at_ends = [space.complete(budget, listed, end) for end in ends]
        for name in (space.free, space.balance):
            band[name] = np.sort([float(end[name]) for end in at_ends])
    else:
        band[space.balance] = np.repeat(float(plan[space.balance]), 2)
    return {
        "plan": {name: float(plan[name]) for name in space.law.inputs},
        "loss": np.broadcast_to(loss, size),
        "band": band,
    }


def _best_of(
    space: Plans,
    reference: Mapping[str, float],
    draws: Any,
    budget: float,
    listed: Mapping[str, float],
) -> tuple[Mapping[str, float], float, Any, Any]:
    """Least expected loss over the free input of one listed choice, and the curve about it."""
    from scipy.optimize import minimize_scalar

    def expected(x: Any) -> float:
        plan = space.complete(budget, listed, x)
        if not space.possible(plan):
            return np.inf
        return float(np.mean(loss_of(space, reference, plan, draws)))

    if space.free is None:
        return listed, expected(None), None, None
    low, high = (float(end) for end in space.range(np.asarray(budget), listed))
    if low >= high:
        return listed, np.inf, low, None
    grid = np.linspace(low, high, _GRID)
    on_grid = np.array([expected(x) for x in grid])
    at = int(on_grid.argmin())
    ends = grid[max(at - 1, 0)], grid[min(at + 1, _GRID - 1)]
    found = minimize_scalar(expected, bounds=ends, method="bounded", options={"xatol": 1e-7})
    x = float(found.x) if found.fun < on_grid[at] else float(grid[at])
    return listed, min(float(found.fun), float(on_grid[at])), x, (expected, low, high)


def _edge(expected: Callable[[Any], float], x: float, end: float, level: float) -> float:
    """Where the expected loss rises to a level between its minimum and an end, or that end."""
    from scipy.optimize import brentq

    step = (end - x) / 64
    inside = x
    for outside in x + step * np.arange(1, 65):
        if expected(outside) > level:
            return float(brentq(lambda at: expected(at) - level, inside, outside, xtol=1e-9))
        inside = outside
    return end
