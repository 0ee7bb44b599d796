"""Plans that somebody has, scored: their loss, their compute, and what they give away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescale.common.errors import InputError
from bayescale.decisions.allocation import allocate, best_plans, check_common, extrapolation
from bayescale.decisions.plans import check_budget, plans
from bayescale.decisions.risk import as_row, losses_of
from bayescale.fitting.averaging import Average
from bayescale.fitting.fits import Fit
from bayescale.language.columns import read_columns
from bayescale.language.compute import flops_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["score_plans", "worth_of_more"]


def score_plans(
    fit: Fit | Average,
    table: pd.DataFrame,
    *,
    budget: float | None = None,
    cost: Callable[..., Any] | None = None,
    choose: Mapping[str, Sequence[float]] | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> xr.Dataset:
    """What plans that can be built are worth: loss, compute, and regret against the optimum.

    Parameters
    ----------
    fit
        A fit, or an average of fits.
    table
        One row a plan, with the law's inputs.
    budget
        Training FLOPs that there are: only plans that cost no more can be the best.
    cost, choose, fixed, bounds
        As for :func:`bayescale.allocate`: they say what each plan is held against, the optimum of
        every draw at the plan's own compute.

    Returns
    -------
    xarray.Dataset
        Over ``plan``: the inputs, ``flops``, ``extrapolation`` (over the largest fitted run's),
        ``expected_loss``, ``expected_regret`` and ``probability`` that the plan is the best of
        the table. Over draw and plan: ``loss`` of the law and ``regret``, nats.
        ``attrs["best"]`` is the row of least expected loss that can be paid.

    Raises
    ------
    InputError
        If an input is missing, no plan can be paid, or a plan makes no sense.

    Examples
    --------
    >>> import bayescale as bs, pandas as pd
    >>> from bayescale.models import dense
    >>> shapes = pd.DataFrame({"N": [30e9, 70e9, 150e9], "D": [3.2e12, 1.37e12, 0.64e12]})
    >>> scored = bs.score_plans(bs.published(dense, "besiroglu2024"), shapes)
    >>> scored.expected_regret.values.round(4), int(scored.attrs["best"])
    (array([0.0077, 0.    , 0.0054]), 1)
    """
    options: dict[str, Any] = {"choose": choose, "fixed": fixed, "bounds": bounds, "cost": cost}
    if isinstance(fit, Average):
        check_common(fit, cost)
    members = list(fit.members.values()) if isinstance(fit, Average) else [fit]
    spaces = [plans(one, **options) for one in members]
    law, space = members[0].law, spaces[0]
    inputs = read_columns(table, law.inputs, extra=law.variables)
    settings = {name: value for name, value in space.fixed.items() if name not in law.inputs}
    flops = flops_of(space.cost, {**inputs, **settings})
    if flops is None:
        raise InputError(
            f"the cost model takes {', '.join(space.arguments)}, which do not all follow from the "
            "plans; name what is missing in fixed={...}"
        )
    compute, _ = check_budget(members[0], flops, space)
    _, losses = losses_of(members, spaces)
    loss = losses(as_row(inputs))
    best = [best_plans(f, s, compute).value for f, s in zip(members, spaces, strict=True)]
    regret = loss - np.concatenate(best)
    paid = np.ones(len(compute), bool) if budget is None else compute <= budget * (1 + 1e-6)
    if not paid.any():
        raise InputError(
            f"the cheapest plan costs {compute.min():.3g} FLOP, more than the budget of "
            f"{budget:.3g}; give a larger budget, or smaller plans"
        )
    first = np.where(paid, loss, np.inf).argmin(axis=1)
    expected = loss.mean(axis=0)
    nats = {"units": members[0].loss_unit}
    return xr.Dataset(
        {
            **{name: ("plan", values) for name, values in inputs.items()},
            "flops": ("plan", compute, {"units": "FLOP"}),
            "extrapolation": ("plan", extrapolation(members[0], space, compute)),
            "expected_loss": ("plan", expected, nats),
            "expected_regret": ("plan", regret.mean(axis=0), nats),
            "probability": ("plan", [(first == i).mean() for i in range(len(compute))]),
            "affordable": ("plan", paid),
            "loss": (("chain", "draw", "plan"), loss[None], nats),
            "regret": (("chain", "draw", "plan"), regret[None], nats),
        },
        attrs={"best": int(np.where(paid, expected, np.inf).argmin())},
    )


def worth_of_more(
    fit: Fit | Average,
    budget: Any,
    *,
    times: float = 10.0,
    cost: Callable[..., Any] | None = None,
    choose: Mapping[str, Sequence[float]] | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> xr.Dataset:
    """What more compute buys: the loss at the optimum of a budget, and of a multiple of it.

    Parameters
    ----------
    fit
        A fit, or an average of fits.
    budget
        Training FLOPs: a number, or a row of them.
    times
        The multiple; by default another decade.
    cost, choose, fixed, bounds
        As for :func:`bayescale.allocate`.

    Returns
    -------
    xarray.Dataset
        Over chain, draw and budget: ``loss``, ``loss_with_more`` and ``gain``, the one less the
        other, nats. Coordinate ``extrapolation``: of the larger budget, over the largest fitted
        run's compute.

    Raises
    ------
    InputError
        If the multiple is not above one, or a plan makes no sense.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> more = bs.worth_of_more(bs.published(dense, "besiroglu2024"), [1e22, 1e24])
    >>> more.gain.squeeze().values.round(3)
    array([0.109, 0.048])
    """
    if not (np.isfinite(times) and times > 1):
        raise InputError(f"times is a number above one, such as 10, not {times!r}")
    options: dict[str, Any] = {"choose": choose, "fixed": fixed, "bounds": bounds, "cost": cost}
    budgets = np.atleast_1d(np.asarray(budget, dtype=float))
    best = allocate(fit, np.concatenate([budgets, budgets * times]), **options)
    here, more = (
        best.isel(budget=slice(*ends)) for ends in ((0, len(budgets)), (len(budgets), None))
    )
    spent = here.budget
    beyond = more.extrapolation.values
    loss = here.loss.drop_vars(["at_bound", "extrapolation", "law"], errors="ignore")
    with_more = loss.copy(data=more.loss.values)
    found = xr.Dataset(
        {"loss": loss, "loss_with_more": with_more, "gain": loss - with_more},
        coords={"budget": spent, "extrapolation": ("budget", beyond)},
    )
    found = found.drop_vars("at_bound", errors="ignore")
    found.gain.attrs = {"units": loss.attrs.get("units", ""), "long_name": "loss that more buys"}
    return found.squeeze("budget") if np.ndim(budget) == 0 else found
