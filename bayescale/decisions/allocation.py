"""The optimal allocation of a budget, for every posterior draw at once."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayescale.common.errors import InputError
from bayescale.common.wording import here
from bayescale.decisions.optimum import Optimum, optimum
from bayescale.decisions.plan_space import Plans, coordinate
from bayescale.decisions.plans import check_budget, listed_flops, plans, training_cost
from bayescale.decisions.search import Objective, Problems
from bayescale.fitting.averaging import Average
from bayescale.fitting.fits import Fit
from bayescale.language.variables import variable
from bayescale.posterior.discrepancy import bent, departure
from bayescale.prediction.draws import check_one_group
from bayescale.prediction.measured import said_of_intervals
from bayescale.prediction.predictive import directions_of

__all__ = ["AllocationWarning", "allocate"]

#: Beyond this many times the compute of the largest run every output warns. Laws have been seen to
#: hold over about three decades: Hoffmann et al. fitted runs up to 1e22 FLOP and trained at 6e23,
#: and the widest published checks of a law on one training recipe span about a thousandfold.
FAR = 1e3
#: Tables and cost models that differ by less count one thing, embeddings or attention aside.
COUNTED_ALIKE = 1.25
_AT_END = 1e-6  # of a coordinate


class AllocationWarning(UserWarning):
    """An allocation says less than it seems to."""


def allocate(
    fit: Fit | Average,
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

    One token count takes what the budget has left; up to three other inputs may vary continuously.

    Parameters
    ----------
    fit
        A fit, or an average of fits whose laws have the same inputs.
    budget
        Training FLOPs: a number, or a row of them.
    cost
        FLOPs as a function of inputs; by default the law's own cost model.
    choose
        Inputs that take one of some listed values, such as ``{"G": [1, 2, 4, 8]}`` or
        ``{"experts": range(1, 65)}``. Inputs that are not counts (S, G, experts) are by
        default chosen from the values in the runs.
    fixed
        Inputs, and settings of the cost model, held at a value.
    bounds
        Lowest and highest value of what is free: of a count; of another input, such as
        ``{"S": (0, 0.9)}``, which then varies continuously; or of a quantity that follows from the
        inputs, such as ``{"N": (0, 1e11)}`` where the law takes ``N_active`` and ``S``. Memory is
        ``{"memory": (0, 7e10)}``: the most parameters in all, active or not, whether the law counts
        them, they follow from its inputs, or only the fitted runs tell them from active ones.

    Returns
    -------
    xarray.Dataset
        Every input of the law at the optimum, and ``loss`` (the law's there, nats), over chain,
        draw and budget. Coordinates along budget: ``extrapolation``, the budget over the compute of
        the largest fitted run (as its table lists it, or by the cost model), and ``at_bound``, the
        share of draws whose optimum lies at a bound or at an end of a listed choice.
        ``attrs["intervals"]`` says how often intervals held so far beyond the runs, where that was
        measured; ``attrs["assumptions"]`` is JSON: the cost model's settings, given or by default,
        that every plan rests on; ``attrs["not_known"]``, where it is there, what the runs cannot
        tell by their design.

    Raises
    ------
    InputError
        If the choices or the budget make no sense; the message says which and why.

    Warns
    -----
    AllocationWarning
        If the optimum lies at a bound for some draws (it says which input's and which end), or
        a listed input that costs nothing has its largest value, or
        a budget is more than a thousand times the cost of the largest fitted run, or the table of
        runs counts compute otherwise than the cost model, by 1.25 times or more.

    Notes
    -----
    Minima are found by Newton's method from the basins of a grid over everything that may vary,
    with all draws and budgets in one array. Where basins differ between draws, those of a few
    draws are tried in all. A basin much narrower than the grid can be missed.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> best = bs.allocate(bs.published(dense, "besiroglu2024"), 5.76e23)
    >>> f"{best.N.item():.3g} parameters, {best.D.item():.3g} tokens"
    '7.22e+10 parameters, 1.33e+12 tokens'
    """
    if isinstance(fit, Average):
        options = {"cost": cost, "choose": choose, "fixed": fixed, "bounds": bounds}
        return _allocate_average(fit, budget, options)
    space = plans(fit, cost=cost, choose=choose, fixed=fixed, bounds=bounds)
    budgets, scalar = check_budget(fit, budget, space)
    found = best_plans(fit, space, budgets)
    best = labelled(fit, space, found)
    at_ends = ends(space, found.plan)
    warn_at_bound(budgets, at_ends)
    warn_unpriced(space, at_ends)
    warn_far(budgets, best.extrapolation.values)
    warn_counted(fit, space)
    return best.squeeze("budget") if scalar else best


def _allocate_average(mixture: Average, budget: Any, options: Mapping[str, Any]) -> xr.Dataset:
    check_common(mixture, options["cost"])
    ends_met = []

    def one(fit: Fit, _: int) -> xr.Dataset:
        best = allocate(fit, budget, **options)
        ends_met.append(best.at_bound * best.sizes["draw"])
        return best

    best = mixture.pooled(one)
    return best.assign_coords(at_bound=sum(ends_met) / best.sizes["draw"])


def check_common(mixture: Average, cost: Any) -> None:
    """Refuse an average of fits whose laws do not price and describe a plan alike."""
    (first, one), *others = mixture.fits.items()
    for name, fit in others:
        if set(fit.law.inputs) != set(one.law.inputs):
            raise InputError(
                f"{first!r} and {name!r} take different inputs ({', '.join(one.law.inputs)}; "
                f"{', '.join(fit.law.inputs)}), so they have no allocation in common"
            )
        if cost is None and fit.law.cost is not one.law.cost:
            raise InputError(
                f"the laws of {first!r} and {name!r} have different cost models; pass cost="
            )


def best_plans(fit: Fit, space: Plans, budgets: np.ndarray) -> Optimum:
    """The best plan of every draw (rows) at every budget (columns).

    Raises
    ------
    InputError
        If no plan of some budget lies within the bounds.
    """
    draws = coefficient_draws(fit)
    sizes = fit.posterior.sizes
    problems = _losses(space, fit.reference, draws, budgets)
    # A discrepancy wanders differently in each draw, and has basins of its own there.
    alike = "discrepancy" not in draws
    return optimum(space, problems, budgets, sizes["chain"] * sizes["draw"], alike=alike)


def _losses(
    space: Plans, reference: Mapping[str, float], draws: Mapping[str, Any], budgets: np.ndarray
) -> Problems:
    """The loss of a draw (first row) at a budget (second) with a listed choice (third)."""
    listed = {n: np.array([one[n] for one in space.listed]) for n in space.listed[0]}

    def problems(rows: np.ndarray) -> Objective:
        some = picked(draws, rows[0])
        budget = budgets[rows[1]][:, None]
        chosen = {name: values[rows[2]][:, None] for name, values in listed.items()}

        def objective(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            plan, moved, possible = space.place(budget, chosen, x[..., None])
            with np.errstate(all="ignore"):  # What is not possible may have no loss.
                loss = np.where(possible, loss_of(space, reference, plan, some), np.inf)
            return np.broadcast_to(loss, budget.shape)[:, 0], moved[..., 0]

        return objective

    return problems


def labelled(fit: Fit, space: Plans, found: Optimum) -> xr.Dataset:
    """The best plans over chain, draw and budget."""
    sizes = fit.posterior.sizes
    shape = (sizes["chain"], sizes["draw"], len(found.budgets))
    axes = ("chain", "draw", "budget")
    data = {}
    for name in fit.law.inputs:
        entry = variable(name, fit.law.variables)
        attrs = {"units": entry.unit, "long_name": entry.description or name}
        data[name] = (axes, found.plan[name].reshape(shape), attrs)
    attrs = {"units": fit.loss_unit, "long_name": "loss of the law at the optimum"}
    data["loss"] = (axes, found.value.reshape(shape), attrs)
    at_end = np.zeros(found.value.shape, dtype=bool)
    for one in ends(space, found.plan).values():
        at_end |= one
    beyond = extrapolation(fit, space, found.budgets)
    return xr.Dataset(
        data,
        coords={
            "chain": fit.posterior.chain.values,
            "draw": fit.posterior.draw.values,
            "budget": ("budget", found.budgets, {"units": "FLOP"}),
            "at_bound": ("budget", at_end.mean(axis=0)),
            "extrapolation": ("budget", beyond),
        },
        attrs=told_of(fit, space, float(beyond.max())),
    )


def told_of(fit: Fit, space: Plans, beyond: float) -> dict[str, str]:
    """What an answer rests on: how often intervals held, settings, what no run could tell."""
    told = {
        "intervals": said_of_intervals(fit, beyond),
        "assumptions": json.dumps(assumptions(fit, space)),
    }
    if gaps := fit.about.get("gaps"):
        told["not_known"] = ". ".join(gaps)
    return told


def coefficient_draws(fit: Fit) -> dict[Any, Any]:
    """Coefficients as columns of length draws, for broadcasting against rows of budgets.

    Where the law's discrepancy is modelled, its directions, slopes and level come with them.
    """
    draws = fit.posterior
    check_one_group(fit)
    columns: dict[Any, Any] = {n: draws[n] for n in fit.law.coefficients if n in draws}
    columns = {n: x.transpose("chain", "draw").values.reshape(-1, 1) for n, x in columns.items()}
    if lines := directions_of(fit):
        slopes = draws["discrepancy"].transpose("chain", "draw", "node").values
        level = draws["discrepancy_level"].transpose("chain", "draw").values
        columns |= {"directions": lines, "discrepancy_level": level.reshape(-1, 1)}
        columns["discrepancy"] = slopes.reshape(-1, slopes.shape[-1])
    return columns | fit.about["fixed"]


def picked(draws: Mapping[str, Any], which: np.ndarray) -> dict[str, Any]:
    """Some of the draws of :func:`coefficient_draws`."""
    return {n: v[which] if isinstance(v, np.ndarray) else v for n, v in draws.items()}


def loss_of(
    space: Plans | Fit, reference: Mapping[str, float], plan: Mapping[str, Any], draws: Any
) -> Any:
    """Loss of a plan, for columns of draws: the law, with its discrepancy if there is one."""
    inputs = {name: plan[name] / reference[name] for name in space.law.inputs}
    coefficients = {name: x for name, x in draws.items() if name in space.law.coefficients}
    if "discrepancy" not in draws:
        return space.law(**inputs, **coefficients)
    field = draws["directions"], inputs, draws["discrepancy"], draws["discrepancy_level"]
    return bent(space.law, inputs, coefficients, departure(space.law, *field))


def extrapolation(fit: Fit, space: Plans, budgets: np.ndarray) -> np.ndarray:
    """Each budget over the compute of the largest fitted run; NaN where there are no runs.

    The run's compute is what its table says of it, and else the cost model.
    """
    trained = listed_flops(fit, space)
    if trained is None:
        trained = training_cost(fit, space)
    return budgets / (np.nan if trained is None else trained.max())


def assumptions(fit: Fit, space: Plans) -> dict[str, Any]:
    """What a plan rests on besides the law: its cost model's settings, and how runs were counted.

    Returns
    -------
    dict
        ``cost_model``, its name; ``settings`` of it, given or by default; ``flops_listed``, the
        median of the FLOPs that the table of runs has over those of the cost model, if it has any.
    """
    found: dict[str, Any] = {"cost_model": getattr(space.cost, "__name__", "given")}
    found["settings"] = space.settings
    listed, model = listed_flops(fit, space), training_cost(fit, space)
    if listed is not None and model is not None:
        found["flops_listed"] = float(np.median(listed / model))
    return found


def warn_counted(fit: Fit, space: Plans, *, stacklevel: int = 3) -> None:
    """Say so where the table counts compute otherwise than the plans do."""
    ratio = assumptions(fit, space).get("flops_listed", 1.0)
    if 1 / COUNTED_ALIKE < ratio < COUNTED_ALIKE:
        return
    warnings.warn(
        f"the table's FLOPs are {ratio:.2f} times what the cost model "
        f"{getattr(space.cost, '__name__', 'given')!r} says of the same runs (median): plans are "
        "priced by the cost model, so a budget counted like the table's buys that much less; pass "
        "cost= for one that counts alike, or divide the budget",
        AllocationWarning,
        stacklevel=stacklevel,
    )


def ends(space: Plans, plan: Mapping[str, Any]) -> dict[tuple[str, str], np.ndarray]:
    """Where plans lie at an end of what an input, or a bounded quantity, may be."""
    found = {}
    for name, bounds in space.bounds.items():
        known = space.known(name)
        with np.errstate(divide="ignore"):
            at, (low, high) = (
                coordinate(known, np.asarray(x, dtype=float))
                for x in (space.quantity(plan, name), bounds)
            )
        held = space.memory is not None and name == "N" and bounds[1] == space.memory
        found[name, "low"] = at - low < _AT_END
        found["memory" if held else name, "high"] = high - at < _AT_END
    for name, values in space.choices.items():
        found[name, "low"], found[name, "high"] = (
            plan[name] == end for end in (values.min(), values.max())
        )
    return {key: where for key, where in found.items() if np.any(where)}


def warn_at_bound(
    budgets: np.ndarray, ends: Mapping[tuple[str, str], np.ndarray], *, stacklevel: int = 3
) -> None:
    """Say so where an optimum lies at a bound, since then the bound was the answer.

    ``ends`` says of each end of an input which draws (rows) and budgets (columns) lie at it.
    """
    if not ends:
        return
    share = np.logical_or.reduce(list(ends.values())).mean(axis=0)
    most = int(share.argmax())
    others = int((share > 0).sum()) - 1
    which = {key: where.mean(axis=0)[most] for key, where in ends.items()}
    named = [
        f"{name} at its {end} end in {part:.2%}"
        for (name, end), part in sorted(which.items(), key=lambda one: -one[1])
        if part > 0
    ]
    warnings.warn(
        f"at a budget of {budgets[most]:.3g} FLOP the optimum lies at a bound in "
        f"{share[most]:.2%} of draws{f', and in fewer at {others} others' if others else ''}: "
        f"{', '.join(named)}; there the bound decides, not the runs: widen bounds= or choose=, or "
        "choose another budget",
        AllocationWarning,
        stacklevel=stacklevel,
    )


def warn_unpriced(space: Plans, found: Iterable[tuple[str, str]], *, stacklevel: int = 3) -> None:
    """Say so where the largest of a list was taken because nothing grows with it."""
    names = [
        name
        for name, end in found
        if end == "high" and name in space.choices and name not in space.arguments
    ]
    if not names or space.memory is not None:
        return
    remedy = here(python="bounds={'memory': (0, 7e10)}", prompt="--memory 70B or --memory 640GB")
    warnings.warn(
        f"{' and '.join(names)}: the largest value listed is taken, which costs no more compute "
        "than the least, and memory is not limited: the list decided, not the runs; say how many "
        f"parameters there is room for: {remedy}",
        AllocationWarning,
        stacklevel=stacklevel,
    )


def warn_far(budgets: np.ndarray, beyond: Iterable[float], *, stacklevel: int = 3) -> None:
    """Say so where a budget is too far beyond the runs for a law to be relied on."""
    times = np.asarray(beyond, dtype=float)
    if not (times > FAR).any():
        return
    warnings.warn(
        f"a budget of {budgets[times > FAR].max():.3g} FLOP is {np.nanmax(times):,.0f} times the "
        f"cost of the largest fitted run, more than {FAR:,.0f} times: nothing shows that a law "
        "fitted here holds there; fit larger runs, or ask for a smaller budget",
        AllocationWarning,
        stacklevel=stacklevel,
    )
