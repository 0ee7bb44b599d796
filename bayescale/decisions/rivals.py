"""One architecture against another, each at its own optimum: which wins, from which budget on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from bayescale.common.errors import InputError
from bayescale.decisions.allocation import AllocationWarning, allocate
from bayescale.decisions.decision import decide
from bayescale.decisions.ladders import at_ratio, ladder
from bayescale.decisions.leverage import budget_for, cubic, efficiency_leverage, reach
from bayescale.decisions.plans import plans, training_cost
from bayescale.fitting.averaging import Average
from bayescale.fitting.fits import Fit
from bayescale.prediction.draws import check_one_group, paired

__all__ = ["probability", "required_budget"]

_PER_DECADE = 16
_HALVINGS = 40
_OF_ONE = ["at_bound", "extrapolation"]
_FARTHEST = 1e8  # times the compute of the largest fitted run


def probability(
    fit_a: Fit | Average,
    fit_b: Fit | Average,
    budget: Any,
    *,
    plan_a: Mapping[str, Any] | None = None,
    plan_b: Mapping[str, Any] | None = None,
    at: str = "optimum",
    ratio: float | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Probability that architecture A beats B, each at its best: in every draw, or as planned.

    The two fits must be of one loss on one corpus, with parameters and FLOPs counted alike. They
    may be one fit with two plans, such as ``plan_a={"fixed": {"S": 0.875}}`` against
    ``plan_b={"fixed": {"S": 0.0}}`` of a sparse law.

    Parameters
    ----------
    fit_a, fit_b
        Fits of any laws, or averages of fits.
    budget
        Training FLOPs: a number, or a row of them. The crossover is looked for between the least
        and the largest.
    plan_a, plan_b
        Arguments of ``allocate`` for either: ``cost``, ``choose``, ``fixed``, ``bounds``.
    at
        ``"optimum"``: each at the optimum of every draw, which nobody can train, since it moves
        with the coefficients. It says which architecture is the better one. ``"plan"``: each at
        the one plan that :func:`bayescale.decide` gives for it. It says which of two runs that can
        be trained has the lower loss, and is as a rule the surer of the two.
    ratio
        Tokens a parameter (active, where the law counts these) at which both are trained instead.
        Runs at one ratio cannot show where an optimum lies, so of two such ladders ask this.
    seed
        Of the pairing of draws.

    Returns
    -------
    xarray.Dataset
        Over budget: ``probability`` that A has the lower loss (the law's, without the noise of
        single runs). Over chain, draw and budget: ``loss_a`` and ``loss_b`` at the optimum or at
        the plan, nats, and, at the optimum alone, ``multiplier``, the compute
        that B needs for the loss of A, over that of A (infinite where none is enough). Over chain
        and draw, if there are several budgets: ``crossover``, the budget beyond which A is
        ahead as far as the largest: 0 where A is ahead at all, infinite where B is ahead at the
        largest. For the budget beyond which B is ahead, give the fits in the other order.
        Coordinates ``extrapolation_a`` and ``extrapolation_b``: the budget over the cost of the
        largest fitted run of either. ``attrs["simulated"]`` is one if either was fitted to
        simulated losses.

    Raises
    ------
    InputError
        If a budget or a plan makes no sense.

    Notes
    -----
    Draws of two fits are independent and are paired at random, not in order: samplers that were
    given the same seed use the same random numbers, so draws in order may be correlated. Draws of
    one posterior (one fit twice, or two groups of one fit) belong together and stay paired.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense, granularity
    >>> odds = bs.probability(
    ...     bs.published(granularity, "krajewski2024"),
    ...     bs.published(dense, "krajewski2024"),
    ...     [1e20, 1e25],
    ...     plan_a={"choose": {"G": [1, 2, 4, 8, 16, 32, 64]}},
    ... )
    >>> odds.probability.values, odds.multiplier.squeeze().values.round(1)
    (array([1., 1.]), array([21.3, 32. ]))
    """
    plan_a, plan_b = dict(plan_a or {}), dict(plan_b or {})
    if ratio is not None and at != "optimum":
        raise InputError("ratio= says what is trained, and so does at=; give one of them")
    if at == "plan":
        return _of_plans(fit_a, fit_b, budget, plan_a, plan_b, seed)
    if at != "optimum":
        raise InputError(f"at={at!r} is not known; choose 'optimum' or 'plan'")
    if isinstance(fit_a, Average) and fit_a is fit_b:
        # Two plans of one mixture: draws of one posterior stay together.
        both = partial(
            probability, budget=budget, plan_a=plan_a, plan_b=plan_b, ratio=ratio, seed=seed
        )
        return _pooled(fit_a, lambda member: both(member, member), seed)
    if isinstance(fit_a, Average):
        against = partial(
            probability, fit_b=fit_b, budget=budget, plan_a=plan_a, plan_b=plan_b, ratio=ratio,
            seed=seed,
        )  # fmt: skip
        return _pooled(fit_a, against, seed)
    if isinstance(fit_b, Average):
        against = partial(
            probability, fit_a, budget=budget, plan_a=plan_a, plan_b=plan_b, ratio=ratio, seed=seed
        )
        return _pooled(fit_b, lambda member: against(fit_b=member), seed)
    for fit in (fit_a, fit_b):
        check_one_group(fit)
    fit_a, fit_b = paired(fit_a, fit_b, seed)
    if ratio is not None:
        return _on_ladders(fit_a, fit_b, budget, ratio, plan_a, plan_b)
    best_a, best_b = allocate(fit_a, budget, **plan_a), allocate(fit_b, budget, **plan_b)
    beyond = {"extrapolation_a": best_a.extrapolation, "extrapolation_b": best_b.extrapolation}
    loss_a, loss_b = (best.loss.drop_vars(_OF_ONE) for best in (best_a, best_b))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AllocationWarning)  # has been said
        more = efficiency_leverage(fit_b, fit_a, budget, dense_plan=plan_b, moe_plan=plan_a)
    odds = xr.Dataset(
        {
            "probability": (loss_a < loss_b).mean(("chain", "draw")),
            "loss_a": loss_a,
            "loss_b": loss_b,
            "multiplier": more.drop_vars(_OF_ONE, errors="ignore"),
        }
    ).assign_coords({name: x.drop_vars(_OF_ONE, errors="ignore") for name, x in beyond.items()})
    odds.attrs = {"at": "optimum", "simulated": int(_simulated(fit_a) or _simulated(fit_b))}
    for name, words in (
        ("probability", "probability that A has the lower loss, each at its own optimum"),
        ("multiplier", "compute of B over that of A at equal loss"),
    ):
        odds[name].attrs = {"units": "", "long_name": words}
    if len(np.unique(best_a.budget)) > 1:

        def gap(budgets: np.ndarray) -> xr.DataArray:
            ours, theirs = allocate(fit_a, budgets, **plan_a), allocate(fit_b, budgets, **plan_b)
            return ours.loss - theirs.loss

        odds["crossover"] = _crossover(gap, np.asarray(best_a.budget))
    return odds


def _on_ladders(
    fit_a: Fit,
    fit_b: Fit,
    budget: Any,
    ratio: float,
    plan_a: Mapping[str, Any],
    plan_b: Mapping[str, Any],
) -> xr.Dataset:
    """Odds at one ratio, and from which budget on A is ahead there."""
    odds = at_ratio(fit_a, fit_b, budget, ratio, plan_a, plan_b)
    odds.attrs = {"at": "ratio", "ratio": ratio}
    odds.attrs["simulated"] = int(_simulated(fit_a) or _simulated(fit_b))
    if len(np.unique(odds.budget)) > 1:

        def gap(budgets: np.ndarray) -> xr.DataArray:
            ours, theirs = (
                ladder(fit, budgets, ratio, plan).drop_vars("extrapolation")
                for fit, plan in ((fit_a, plan_a), (fit_b, plan_b))
            )
            return ours - theirs.assign_coords(chain=ours.chain, draw=ours.draw)

        odds["crossover"] = _crossover(gap, odds.budget.values)
    return odds


def _simulated(fit: Fit | Average) -> bool:
    members = fit.fits.values() if isinstance(fit, Average) else [fit]
    return any(one.about.get("simulated", False) for one in members)


def _of_plans(
    fit_a: Fit | Average,
    fit_b: Fit | Average,
    budget: Any,
    plan_a: Mapping[str, Any],
    plan_b: Mapping[str, Any],
    seed: int,
) -> xr.Dataset:
    """Odds of the one plan of each, in pairs of draws."""
    together = fit_a is fit_b
    if not isinstance(fit_a, Average) and not isinstance(fit_b, Average):
        for fit in (fit_a, fit_b):
            check_one_group(fit)
        fit_a, fit_b = paired(fit_a, fit_b, seed)
        together = True

    def losses(budgets: Any) -> tuple[xr.Dataset, xr.Dataset]:
        # Whether a posterior is to be trusted is asked where a plan is chosen.
        a = decide(fit_a, budgets, trust=True, **plan_a)
        b = decide(fit_b, budgets, trust=True, **plan_b)
        return (a, b) if together else _in_pairs(a, b, seed)

    a, b = losses(budget)
    odds = xr.Dataset({"loss_a": a.loss, "loss_b": b.loss}).drop_vars(
        [*_OF_ONE, "law"], errors="ignore"
    )
    odds["probability"] = (odds.loss_a < odds.loss_b).mean(("chain", "draw"))
    words = "probability that A has the lower loss, each at the plan to train"
    odds["probability"].attrs = {"units": "", "long_name": words}
    odds = odds.assign_coords(
        extrapolation_a=a.extrapolation.drop_vars(_OF_ONE, errors="ignore"),
        extrapolation_b=b.extrapolation.drop_vars(_OF_ONE, errors="ignore"),
    )
    odds.attrs = {"at": "plan", "simulated": int(_simulated(fit_a) or _simulated(fit_b))}
    if len(np.unique(odds.budget)) > 1:

        def gap(budgets: np.ndarray) -> xr.DataArray:
            ours, theirs = losses(budgets)
            return ours.loss - theirs.loss

        odds["crossover"] = _crossover(gap, odds.budget.values)
    return odds


def _in_pairs(a: xr.Dataset, b: xr.Dataset, seed: int) -> tuple[xr.Dataset, xr.Dataset]:
    """Two plans' losses in one chain of as many draws, paired at random."""
    sizes = [one.sizes["chain"] * one.sizes["draw"] for one in (a, b)]
    size = max(sizes)
    order = np.resize(np.random.default_rng(seed).permutation(min(sizes)), size)
    first, second = (order, np.arange(size)) if sizes[0] < size else (np.arange(size), order)
    return _picked(a, first), _picked(b, second)


def _picked(plan: xr.Dataset, order: np.ndarray) -> xr.Dataset:
    """A plan with the draws of all its chains in an order, in one chain."""
    rows = plan.drop_vars("law", errors="ignore").stack(row=("chain", "draw"))
    rows = rows.drop_vars(["row", "chain", "draw"]).isel(row=order).rename(row="draw")
    labelled = rows.expand_dims(chain=[0]).assign_coords(draw=np.arange(len(order)))
    return labelled.transpose("chain", "draw", ...)


def _pooled(mixture: Average, against: Callable[[Fit], xr.Dataset], seed: int) -> xr.Dataset:
    """Odds of a mixture: those of each member, in as many draws as its weight is worth."""
    rng = np.random.default_rng(seed)
    notes: dict[str, Any] = {}

    def one(member: Fit, _: int) -> xr.Dataset:
        odds = against(member)
        notes.setdefault("odds", odds)
        notes["simulated"] = notes.get("simulated", 0) | odds.attrs["simulated"]
        rows = odds.drop_vars(["probability", "law"], errors="ignore").stack(row=("chain", "draw"))
        rows = rows.drop_vars(["row", "chain", "draw"]).rename(row="draw")
        size = member.posterior.sizes["chain"] * member.posterior.sizes["draw"]
        chosen = np.resize(rng.permutation(rows.sizes["draw"]), size)
        return rows.isel(draw=chosen).expand_dims("chain").transpose("chain", "draw", ...)

    pooled = mixture.pooled(one)
    pooled["probability"] = (pooled.loss_a < pooled.loss_b).mean(("chain", "draw"))
    for name in pooled.data_vars:
        pooled[name].attrs = notes["odds"][name].attrs
    return pooled.assign_attrs(simulated=notes["simulated"])


def required_budget(
    fit: Fit | Average,
    loss: Any,
    *,
    cost: Callable[..., Any] | None = None,
    choose: Mapping[str, Sequence[float]] | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> xr.DataArray:
    """Compute that reaches a target loss, at the optimal allocation of every posterior draw.

    Parameters
    ----------
    fit
        A fit, or an average of fits.
    loss
        Target loss of the law, nats per token: a number, or a row of them.
    cost, choose, fixed, bounds
        As for :func:`bayescale.allocate`.

    Returns
    -------
    xarray.DataArray
        FLOPs over chain, draw and (for a row) loss. Infinite where no budget reaches the target:
        the floor lies above it, or the bounds do not allow a model that large; zero where
        less compute than any plan costs would do. ``interval`` understands both.

    Raises
    ------
    InputError
        If a target is not a positive number, or a plan makes no sense.

    Warns
    -----
    AllocationWarning
        If inputs are listed and their list or a bound decides, as for :func:`bayescale.allocate`.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> need = bs.required_budget(bs.published(dense, "besiroglu2024"), [2.0, 1.9, 1.8])
    >>> [f"{x:.3g}" for x in need.squeeze().values]
    ['2.47e+23', '2.1e+25', 'inf']
    """
    targets = np.atleast_1d(np.asarray(loss, dtype=float))
    if targets.ndim > 1 or not (np.isfinite(targets) & (targets > 0)).all():
        raise InputError(f"loss is a positive number, or a row of them, not {loss!r}")
    plan: dict[str, Any] = {"cost": cost, "choose": choose, "fixed": fixed, "bounds": bounds}
    if isinstance(fit, Average):
        return fit.pooled(lambda member, _: required_budget(member, loss, **plan))
    least, most = reach(fit, plan)
    space = plans(fit, **plan)
    trained = training_cost(fit, space)
    enough = most
    if trained is not None:
        enough, most = (min(most, trained.max() * times) for times in (1e3, _FARTHEST))
    sizes = fit.posterior.sizes
    wanted = np.broadcast_to(targets, (sizes["chain"], sizes["draw"], len(targets)))
    needed = budget_for(fit, wanted, least, enough, plan, farthest=most)
    found = xr.DataArray(
        needed,
        dims=("chain", "draw", "loss"),
        coords={
            "chain": fit.posterior.chain,
            "draw": fit.posterior.draw,
            "loss": ("loss", targets, {"units": fit.loss_unit}),
        },
        name="budget",
        attrs={"units": "FLOP", "long_name": "training compute for the target loss"},
    )
    typical = np.median(needed, axis=(0, 1))
    typical = typical[np.isfinite(typical) & (typical > 0)]
    if space.choices and len(typical):
        allocate(fit, typical, **plan)  # says so where the end of a list was the answer
    return found.squeeze("loss") if np.ndim(loss) == 0 else found


def _crossover(gap_at: Callable[[np.ndarray], xr.DataArray], budgets: np.ndarray) -> xr.DataArray:
    """The last budget of a range at which A goes ahead, in every draw."""
    low, high = budgets.min(), budgets.max()
    count = max(int(np.ceil(np.log10(high / low) * _PER_DECADE)), 4) + 1
    grid = np.geomspace(low, high, count)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AllocationWarning)
        difference = gap_at(grid).transpose("chain", "draw", "budget")
    gap = difference.values
    behind = gap >= 0
    # The last cell of the grid in which A goes from behind to ahead, with the cubic about it.
    last = count - 1 - behind[..., ::-1].argmax(axis=-1)
    first = np.clip(last - 1, 0, count - 4)[..., None] + np.arange(4)
    x, y = np.log(grid)[first], np.take_along_axis(gap, first, axis=-1)
    left = np.log(grid)[np.minimum(last, count - 2)]
    right = np.log(grid)[np.minimum(last, count - 2) + 1]
    for _ in range(_HALVINGS):
        middle = (left + right) / 2
        still = cubic(x, y, middle) >= 0
        left, right = np.where(still, middle, left), np.where(still, right, middle)
    found = np.exp((left + right) / 2)
    found = np.where(behind[..., -1], np.inf, np.where(behind.any(axis=-1), found, 0.0))
    return xr.DataArray(
        found,
        dims=("chain", "draw"),
        coords={"chain": difference.chain, "draw": difference.draw},
        attrs={"units": "FLOP", "long_name": "budget beyond which A is ahead"},
    )
