"""Attitudes to risk: one number for a plan's losses over the draws, and its search."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from bayescale.decisions.allocation import coefficient_draws, loss_of, picked
from bayescale.decisions.optimum import Optimum
from bayescale.decisions.plan_space import Plans
from bayescale.decisions.search import Objective, Problems
from bayescale.fitting.fits import Fit

__all__ = ["RISKS", "as_row", "combed", "largest_loss", "losses_of", "risk_of", "risks_of"]

RISKS = ("mean", "quantile", "cvar")
#: A wandering law's loss is at most so many times the largest that was fitted. Its spreads have
#: lognormal priors, under which the mean of its factor exp(g) does not exist; of bounded losses it
#: does. No draw that tells anything comes near.
_MOST = 10.0
_TOGETHER = 400_000  # losses worked out at once
_COMB, _WINDOWS = 1024, (0.5, 0.1, 0.02, 0.004, 1e-3)  # points, and log units on either side


def risks_of(
    space: Plans,
    losses: Callable[[Mapping[str, Any]], np.ndarray],
    size: int,
    budgets: np.ndarray,
    risk: str,
    level: float,
) -> Problems:
    """The risk of a plan over all draws, at a budget (second row) with a listed choice (third)."""
    listed = {n: np.array([one[n] for one in space.listed]) for n in space.listed[0]}
    together = max(1, _TOGETHER // size)

    def problems(rows: np.ndarray) -> Objective:
        budget = budgets[rows[1]]
        chosen = {name: values[rows[2]] for name, values in listed.items()}

        def objective(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            plan, moved, possible = space.place(budget, chosen, x)
            inputs = {n: np.broadcast_to(plan[n], budget.shape) for n in space.law.inputs}
            value = np.empty(budget.shape)
            for i in range(0, len(value), together):
                part = slice(i, i + together)
                some = as_row({name: one[part] for name, one in inputs.items()})
                with np.errstate(all="ignore"):  # What is not possible may have no loss.
                    value[part] = risk_of(losses(some), risk, level)
            return np.where(possible, value, np.inf), np.broadcast_to(moved, x.shape)

        return objective

    return problems


def risk_of(loss: np.ndarray, risk: str, level: float) -> np.ndarray:
    """Of losses over draws (rows) what is to be small."""
    if risk == "mean":
        return loss.mean(axis=0)
    if risk == "quantile":
        return np.quantile(loss, level, axis=0)
    # The worst share of the draws, the last of them counted in part.
    worst = len(loss) * (1 - level)
    whole = max(int(np.ceil(worst - 1e-9)), 1)
    tail = np.partition(loss, len(loss) - whole, axis=0)[len(loss) - whole :]
    return (tail.sum(axis=0) - (whole - worst) * tail.min(axis=0)) / worst


def as_row(plan: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Plans side by side, to meet columns of draws."""
    return {name: values.reshape(1, -1) for name, values in plan.items()}


def losses_of(
    members: Sequence[Fit], spaces: Sequence[Plans], most: int | None = None
) -> tuple[int, Callable[[Mapping[str, Any]], np.ndarray]]:
    """How many draws fits have together, and the loss of plans (columns) under each (rows).

    With ``most``, about so many of the draws, spread over all. Losses of a law with a discrepancy
    are bounded, so that their mean exists.
    """
    limits = [largest_loss(fit) for fit in members]
    sizes = [fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"] for fit in members]
    every = [coefficient_draws(fit) for fit in members]
    if most is not None:
        share = min(1.0, most / sum(sizes))
        for i, (draws, size) in enumerate(zip(every, sizes, strict=True)):
            few = np.linspace(0, size - 1, max(round(share * size), 1)).round().astype(int)
            every[i] = picked(draws, few)
            sizes[i] = len(few)

    def losses(plan: Mapping[str, Any]) -> np.ndarray:
        found = []
        for fit, space, draws, size, limit in zip(
            members, spaces, every, sizes, limits, strict=True
        ):
            with np.errstate(all="ignore"):  # What is not possible may have no loss.
                value = np.minimum(loss_of(space, fit.reference, plan, draws), limit)
            found.append(np.broadcast_to(value, (size, value.shape[-1])))
        return found[0] if len(found) == 1 else np.concatenate(found)

    return sum(sizes), losses


def largest_loss(fit: Fit) -> float:
    """What a loss is at most where means over the draws are taken."""
    if not fit.about.get("directions") or fit.runs is None:
        return np.inf
    return _MOST * float(fit.runs["loss"].max())


def _spread(k: int) -> np.ndarray:
    """Points spread evenly over a unit cube, one a column."""
    from scipy.stats import qmc

    if k == 1:
        return np.linspace(0, 1, _COMB)[None]
    return qmc.Sobol(k, scramble=False).random(_COMB).T


def combed(space: Plans, problems: Problems, chosen: Optimum) -> Optimum:
    """The best of many plans about those chosen: a quantile of draws has many small minima."""
    box, x, value = space.box()[..., None], chosen.x[:, 0].copy(), chosen.value[0].copy()
    if not len(x):
        return chosen
    points = 2 * _spread(len(x)) - 1
    for i in range(len(value)):
        rows = np.repeat([[0], [i], [chosen.listed[0, i]]], points.shape[1], axis=1)
        for window in _WINDOWS:
            tried = np.clip(x[:, [i]] + window * points, *box)
            found, moved = problems(rows)(tried)
            best = int(np.nanargmin(found))
            if found[best] < value[i]:
                value[i], x[:, i] = found[best], moved[:, best]
    which = chosen.listed[0]
    listed = {n: np.array([one[n] for one in space.listed])[which] for n in space.listed[0]}
    plan, x, _ = space.place(chosen.budgets, listed, x)
    values = {n: np.array(np.broadcast_to(plan[n], value.shape))[None] for n in plan}
    return replace(chosen, plan=values, value=value[None], x=x[:, None])
