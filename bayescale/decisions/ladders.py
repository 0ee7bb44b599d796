"""Architectures trained at one stated number of tokens a parameter, as ladders of runs are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayescale.common.errors import InputError
from bayescale.decisions.allocation import coefficient_draws, extrapolation, loss_of
from bayescale.decisions.leverage import inverted
from bayescale.decisions.plan_space import Plans
from bayescale.decisions.plans import check_budget, plans
from bayescale.fitting.fits import Fit

__all__ = ["at_ratio", "ladder"]

_HALVINGS = 60
_PER_DECADE = 16
_BELOW, _ABOVE = 1e-2, 1e2  # of the budgets, as far as the multiplier is looked for


def ladder(fit: Fit, budgets: Any, ratio: float, plan: Mapping[str, Any]) -> xr.DataArray:
    """The law's loss at budgets, where every model sees ``ratio`` tokens a parameter.

    Parameters are those of the law's size input: ``N_active`` where it takes them. Of listed inputs
    every draw takes its best.

    Returns
    -------
    xarray.DataArray
        Nats over chain, draw and budget, with the coordinate ``extrapolation``.

    Raises
    ------
    InputError
        If the ratio makes no sense, or size and tokens are not what is free.
    """
    if not (np.isfinite(ratio) and ratio > 0):
        raise InputError(f"ratio is tokens a parameter, above zero, such as 20, not {ratio!r}")
    space = plans(fit, **plan)
    row, _ = check_budget(fit, budgets, space)
    size = space.free
    if size is None or space.others or space.known(size).unit != "parameters":
        raise InputError(
            f"tokens a parameter say what is trained where a size and {space.balance!r} are free; "
            f"here {', '.join(space.continuous) or 'nothing'} is free besides: hold what else "
            "varies in fixed={...}, and leave the size free"
        )
    draws, sizes = coefficient_draws(fit), fit.posterior.sizes
    best: Any = np.inf
    for listed in space.listed:
        given = _rung(space, listed, size, row, ratio)
        inputs = {n: np.asarray(given[n], dtype=float).reshape(1, -1) for n in space.law.inputs}
        best = np.minimum(best, loss_of(space, fit.reference, inputs, draws))
    shape = (sizes["chain"], sizes["draw"], len(row))
    return xr.DataArray(
        np.broadcast_to(best, (shape[0] * shape[1], len(row))).reshape(shape),
        dims=("chain", "draw", "budget"),
        coords={
            "chain": fit.posterior.chain.values,
            "draw": fit.posterior.draw.values,
            "budget": ("budget", row, {"units": "FLOP"}),
            "extrapolation": ("budget", extrapolation(fit, space, row)),
        },
        attrs={"units": fit.loss_unit, "long_name": "loss of the law at that ratio"},
    )


def _rung(
    space: Plans, listed: Mapping[str, float], size: str, budgets: np.ndarray, ratio: float
) -> dict[str, Any]:
    """The plan of every budget with so many tokens a parameter."""
    low, high = (np.full(budgets.shape, np.log(end)) for end in space.bounds[size])

    def spent(log_size: np.ndarray) -> Any:
        x = np.exp(log_size)
        return space.spend({**space.fixed, **listed, size: x}, ratio * x)

    if (spent(low) > budgets).any() or (spent(high) < budgets).any():
        raise InputError(
            f"at {ratio:g} tokens a parameter no {size} within its bounds spends "
            f"{budgets.min():.3g} to {budgets.max():.3g} FLOP; widen bounds, or ask another ratio"
        )
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        less = spent(middle) < budgets
        low, high = np.where(less, middle, low), np.where(less, high, middle)
    x = np.exp((low + high) / 2)
    return {
        **space.fixed,
        **{name: np.full(x.shape, value) for name, value in listed.items()},
        size: x,
        space.balance: ratio * x,
    }


def at_ratio(
    fit_a: Fit,
    fit_b: Fit,
    budget: Any,
    ratio: float,
    plan_a: Mapping[str, Any],
    plan_b: Mapping[str, Any],
) -> xr.Dataset:
    """Losses of both at one ratio, and the compute that B needs for A's loss, over A's."""
    loss_a = ladder(fit_a, budget, ratio, plan_a)
    loss_b = ladder(fit_b, budget, ratio, plan_b)
    budgets = loss_a.budget.values
    decades = np.log10(budgets.max() / budgets.min() * _ABOVE / _BELOW)
    steps = int(np.ceil(decades * _PER_DECADE)) + 1
    grid = np.geomspace(budgets.min() * _BELOW, budgets.max() * _ABOVE, steps)
    of_b = ladder(fit_b, grid, ratio, plan_b).values
    needed = inverted(np.log(grid), of_b, loss_a.values)
    beyond = {"extrapolation_a": loss_a.extrapolation, "extrapolation_b": loss_b.extrapolation}
    odds = xr.Dataset(
        {
            "loss_a": loss_a.drop_vars("extrapolation"),
            "loss_b": loss_b.drop_vars("extrapolation").assign_coords(
                chain=loss_a.chain, draw=loss_a.draw
            ),
        }
    )
    odds["multiplier"] = odds.loss_a.copy(data=needed / budgets)
    odds["probability"] = (odds.loss_a < odds.loss_b).mean(("chain", "draw"))
    odds = odds.assign_coords(
        {name: x.drop_vars("extrapolation", errors="ignore") for name, x in beyond.items()}
    )
    words = f"each at {ratio:g} tokens a parameter"
    odds.probability.attrs = {
        "units": "",
        "long_name": f"probability that A has the lower loss, {words}",
    }
    odds.multiplier.attrs = {
        "units": "",
        "long_name": f"compute of B over that of A at equal loss, {words}",
    }
    return odds.squeeze("budget") if np.ndim(budget) == 0 else odds
