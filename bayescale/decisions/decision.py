"""The one plan to train: least expected loss, its regret, and how little the size matters."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayescale.common.errors import InputError
from bayescale.decisions.allocation import (
    AllocationWarning,
    best_plans,
    check_common,
    ends,
    extrapolation,
    labelled,
    told_of,
    warn_counted,
    warn_far,
    warn_unpriced,
)
from bayescale.decisions.bands import band_ends
from bayescale.decisions.optimum import Optimum, optimum
from bayescale.decisions.plan_space import Plans
from bayescale.decisions.plans import check_budget, plans
from bayescale.decisions.risk import RISKS, as_row, combed, losses_of, risks_of
from bayescale.decisions.search import Problems
from bayescale.fitting.averaging import Average
from bayescale.fitting.diagnostics import diagnose, failures
from bayescale.fitting.fits import Fit
from bayescale.language.variables import variable

__all__ = ["decide", "decide_beside"]

_SCOUTS = 200  # draws that are enough to find the basins with


def decide(
    fit: Fit | Average,
    budget: Any,
    *,
    within: float = 0.005,
    risk: str = "mean",
    level: float = 0.9,
    cost: Callable[..., Any] | None = None,
    choose: Mapping[str, Sequence[float]] | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    trust: bool = False,
) -> xr.Dataset:
    """The one plan that minimises the posterior expected loss at a budget.

    ``allocate`` gives an optimum for each draw; only one plan can be trained. This is the plan
    whose loss, averaged over what the runs leave open, is least. Its *regret* in a draw is what it
    loses there against that draw's own optimum: on average that is what knowing the coefficients
    would be worth, and an upper bound on what more runs can save, since none tell them exactly.

    Parameters
    ----------
    fit
        A fit, or an average of fits whose laws have the same inputs: then expectations are over
        the laws too.
    budget
        Training FLOPs: a number, or a row of them.
    within
        Expected loss, in nats, that one is ready to give up: the near-optimal band holds the
        plans that cost no more than this over the best plan.
    risk
        What is minimised over plans: the ``"mean"`` of the posterior of the loss, its
        ``"quantile"`` at ``level``, or ``"cvar"``, the mean of its worst ``1 - level``
        (conditional value at risk). The last two are for who cannot afford a bad outcome.
    level
        A probability, for ``"quantile"`` and ``"cvar"``.
    cost, choose, fixed, bounds
        As for :func:`bayescale.allocate`.
    trust
        Decide with a fit that failed its diagnostics, too.

    Returns
    -------
    xarray.Dataset
        Over budget: every input of the law in the plan; ``expected_loss``, ``expected_regret``
        and ``risk`` (what was minimised, at the plan) in nats; ``N_band`` and so on, the lowest
        and highest value of each input that varies in the near-optimal band about the plan, over
        ``ci_bound``. Over chain, draw and budget: ``loss`` and ``regret`` of the plan, of which
        ``interval`` gives quantiles. Coordinates along budget: ``extrapolation`` as in
        ``allocate``, and ``at_bound``, whether the plan lies at a bound or at an end of a
        listed choice. Attributes as ``allocate`` has them.

    Raises
    ------
    InputError
        If the choices or the budget make no sense, or the fit failed its diagnostics.

    Warns
    -----
    AllocationWarning
        If the plan lies at a bound, a listed input that costs nothing has its largest value, or a
        budget is more than a thousand times the cost of the
        largest fitted run.

    Notes
    -----
    With several free inputs a value lies in an input's band if some plan with it is good enough:
    the others may change along with it. Bands are of the listed choice that the plan takes.

    With a discrepancy the posterior mean of the law's loss does not exist: its spreads have
    lognormal priors, so that :math:`E[e^g]` is infinite. Expectations are of losses of at most ten
    times the largest fitted one, which do exist, and which no draw comes near.

    A quantile of finitely many draws is a jagged function of the plan; of its many small minima
    the least of those tried is taken, which is the least of all to about 1e-5 nats.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> plan = bs.decide(bs.published(dense, "besiroglu2024"), 5.76e23)
    >>> f"{plan.N.item():.3g}; as good: {plan.N_band[0].item():.2g} to {plan.N_band[1].item():.2g}"
    '7.22e+10; as good: 3.6e+10 to 1.5e+11'
    """
    plan, _, space = _decided(
        fit,
        budget,
        within,
        risk,
        level,
        trust,
        cost=cost,
        choose=choose,
        fixed=fixed,
        bounds=bounds,
    )
    budgets = np.atleast_1d(plan.budget.values)
    found = ends(space, {n: plan[n].values.reshape(1, -1) for n in space.law.inputs})
    _warn_at_bound(budgets, found)
    warn_unpriced(space, found)
    warn_far(budgets, np.atleast_1d(plan.extrapolation.values))
    warn_counted(fit if isinstance(fit, Fit) else next(iter(fit.members.values())), space)
    return plan


def decide_beside(
    fit: Fit, budget: Any, *, within: float = 0.005, **options: Any
) -> tuple[xr.Dataset, xr.Dataset]:
    """What ``decide`` and ``allocate`` say of budgets, with the optima searched for once.

    Neither warns, and a fit that failed its diagnostics is taken as it is: for who says so himself.
    """
    plan, found, space = _decided(fit, budget, within, "mean", 0.9, True, **options)
    return plan, labelled(fit, space, found)


def _decided(
    fit: Fit | Average,
    budget: Any,
    within: float,
    risk: str,
    level: float,
    trust: bool,
    *,
    cost: Callable[..., Any] | None = None,
    **options: Any,
) -> tuple[xr.Dataset, Optimum, Plans]:
    """The plan, the optimum of every draw (of an average's first law), and what can be trained."""
    if not (np.isfinite(within) and within > 0):
        raise InputError(f"within is a loss above zero, not {within!r}")
    if risk not in RISKS:
        raise InputError(f"risk={risk!r} is not known; choose one of {', '.join(RISKS)}")
    if not 0 < level < 1:
        raise InputError(f"level is a probability between 0 and 1, such as 0.9, not {level!r}")
    if isinstance(fit, Average):
        check_common(fit, cost)
        given, members = list(fit.fits.values()), list(fit.members.values())
    else:
        given, members = [fit], [fit]
    spaces = [plans(f, cost=cost, **options) for f in members]
    space = spaces[0]
    budgets, scalar = check_budget(members[0], budget, space)
    if not trust:
        for one in given:
            _check_trusted(one)
    size, losses = losses_of(members, spaces)
    few, of_few = losses_of(members, spaces, _SCOUTS)
    problems = risks_of(space, losses, size, budgets, risk, level)
    scouts = risks_of(space, of_few, few, budgets, risk, level)
    chosen = optimum(space, problems, budgets, 1, scouts)
    if risk == "quantile":
        chosen = combed(space, problems, chosen)
    loss = losses(as_row(chosen.plan))
    optima = [best_plans(f, s, budgets) for f, s in zip(members, spaces, strict=True)]
    best = [one.value for one in optima]
    # The search for a draw's optimum ends within rounding of it, and so may this plan.
    regret = np.maximum(loss - np.concatenate(best), 0.0)
    bands = _bands(space, problems, chosen, within)
    plan = _labelled(members[0], space, chosen, loss, regret, bands)
    if isinstance(fit, Average):
        names = np.repeat(list(fit.members), [len(values) for values in best])
        plan = plan.assign_coords(law=("draw", names))
    plan.attrs.update(within=within, risk=risk)
    if risk != "mean":
        plan.attrs["level"] = level
    return plan.squeeze("budget") if scalar else plan, optima[0], space


def _check_trusted(fit: Fit) -> None:
    """Refuse a sampled fit that failed its diagnostics."""
    if "sample_stats" not in fit.tree:
        return
    table = diagnose(fit)
    if not table.attrs["ok"]:
        raise InputError(
            f"the posterior of {fit.law.name!r} failed its diagnostics ({failures(table)}), and a "
            "decision is no better than it: see diagnose(fit), draw more or inform what the runs "
            "do not determine, or pass trust=True to decide with it as it is"
        )


def _bands(
    space: Plans, problems: Problems, chosen: Optimum, within: float
) -> dict[str, np.ndarray]:
    """Near-optimal range of each input that varies continuously, one row a budget."""
    names = (*space.continuous, space.balance)
    bands = {name: np.empty((len(chosen.budgets), 2)) for name in names}
    box = space.box()
    for i, budget in enumerate(chosen.budgets):
        which = int(chosen.listed[0, i])
        if not space.continuous:
            bands[space.balance][i] = chosen.plan[space.balance][0, i]
            continue

        def risk(x: np.ndarray, i: int = i, which: int = which) -> np.ndarray:
            rows = np.repeat([[0], [i], [which]], x.shape[1], axis=1)
            value = problems(rows)(x)[0]
            return np.where(np.isfinite(value), value, 1e6)

        for name in names:

            def quantity(
                x: np.ndarray, budget: float = budget, which: int = which, name: str = name
            ) -> np.ndarray:
                plan, _, _ = space.place(budget, space.listed[which], x)
                return np.broadcast_to(plan[name], x.shape[1:])

            level = float(chosen.value[0, i]) + within
            at = chosen.x[:, 0, i]
            bands[name][i] = band_ends(risk, quantity, at, box, level, within)
    return bands


def _labelled(
    fit: Fit,
    space: Plans,
    chosen: Optimum,
    loss: np.ndarray,
    regret: np.ndarray,
    bands: Mapping[str, np.ndarray],
) -> xr.Dataset:
    chains, axes = fit.posterior.sizes["chain"], ("chain", "draw", "budget")
    shape = (chains, len(loss) // chains, len(chosen.budgets))
    nats, draw = {"units": fit.loss_unit}, fit.posterior.draw.values
    data: dict[str, Any] = {}
    for name in fit.law.inputs:
        entry = variable(name, fit.law.variables)
        attrs = {"units": entry.unit, "long_name": entry.description or name}
        data[name] = ("budget", chosen.plan[name][0], attrs)
    data["expected_loss"] = ("budget", loss.mean(axis=0), nats)
    words = nats | {"long_name": "worth of knowing the coefficients: the most that runs can save"}
    data["expected_regret"] = ("budget", regret.mean(axis=0), words)
    data["risk"] = ("budget", chosen.value[0], nats | {"long_name": "what the plan minimises"})
    for name, band in bands.items():
        data[f"{name}_band"] = (("budget", "ci_bound"), band, data[name][2])
    words = nats | {"long_name": "loss of the law at the plan"}
    data["loss"] = (axes, loss.reshape(shape), words)
    words = nats | {"long_name": "loss over the draw's own optimum"}
    data["regret"] = (axes, regret.reshape(shape), words)
    at_end = np.zeros(len(chosen.budgets), dtype=bool)
    for one in ends(space, chosen.plan).values():
        at_end |= one[0]
    coords = {
        "chain": fit.posterior.chain.values,
        "draw": draw if len(draw) == shape[1] else np.arange(shape[1]),  # of several fits
        "budget": ("budget", chosen.budgets, {"units": "FLOP"}),
        "ci_bound": ["lower", "upper"],
        "at_bound": ("budget", at_end),
        "extrapolation": ("budget", extrapolation(fit, space, chosen.budgets)),
    }
    beyond = float(coords["extrapolation"][1].max())
    return xr.Dataset(data, coords, told_of(fit, space, beyond))


def _warn_at_bound(budgets: np.ndarray, found: Mapping[tuple[str, str], np.ndarray]) -> None:
    """Say so where the plan lies at a bound."""
    if not found:
        return
    named = [
        f"{name} at its {end} end ({_listing(budgets[where[0]])} FLOP)"
        for (name, end), where in found.items()
    ]
    warnings.warn(
        f"the plan lies at a bound: {', '.join(named)}; there the bound decides, not the runs: "
        "widen bounds= or choose=, or choose another budget",
        AllocationWarning,
        stacklevel=3,
    )


def _listing(budgets: np.ndarray) -> str:
    if len(budgets) == 1:
        return f"{budgets[0]:.3g}"
    return f"{len(budgets)} budgets from {budgets.min():.3g} to {budgets.max():.3g}"
