"""The commands ``spend``, ``worth`` and ``score``: what a loss costs, and what compute buys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bayescale.cli import options as opt
from bayescale.common.errors import InputError
from bayescale.common.progress import progress_bar

__all__ = ["score", "spend", "worth"]


def spend(
    fit: opt.FitFile,
    loss: opt.TargetLoss,
    gpu: opt.Chip = None,
    plans: opt.Plans = opt.Plans(),
    group: opt.Group = None,
    law: opt.OwnLaw = None,
    prob: opt.Prob = 0.9,
    out: opt.Printed = opt.Printed(),
) -> None:
    """What must be spent to reach a loss, at the optimal plan of every draw.

    For example:

      bayescale spend fit.nc --loss 2.2 --loss 2.1
      bayescale spend fit.nc --loss 2.1 --bounds N=:70B

    JSON: law, noise, published, simulated, calibrated, prob and targets, each with loss, budget
    (median, lower and upper, null where no compute reaches it), reachable (the probability that
    some compute does), below_floor (that the target lies below the law's floor) and extrapolation
    (the median over the compute of the largest fitted run).
    """
    import numpy as np

    from bayescale.cli.inputs import open_one
    from bayescale.cli.results import head_of, summary
    from bayescale.decisions.budgets import chip_hours
    from bayescale.decisions.plans import plans as space_of
    from bayescale.decisions.plans import training_cost
    from bayescale.decisions.rivals import required_budget

    options, fitted = plans.options, open_one(fit, law, group)
    with progress_bar("spend") as report:
        report("the budget of every draw")
        need = required_budget(fitted, sorted(loss, reverse=True), **options)
    trained = training_cost(fitted, space_of(fitted, **options))
    largest = np.nan if trained is None else float(trained.max())
    floors = [name for name, one in fitted.law.priors.items() if one.role == "floor"]
    targets = []
    for i, goal in enumerate(need.loss.values):
        at = need.isel(loss=i)
        budget = summary(at, prob)
        one: dict[str, Any] = {"loss": float(goal), "budget": budget}
        one["reachable"] = float(np.isfinite(at).mean())
        if len(floors) == 1 and floors[0] in fitted.posterior:
            one["below_floor"] = float((fitted.posterior[floors[0]] >= goal).mean())
        one["extrapolation"] = budget["median"] / largest
        if gpu and np.isfinite(budget["median"]):
            from bayescale.decisions.budgets import Budget

            one["chip_hours"] = chip_hours([Budget(budget["median"])], gpu)[budget["median"]]
        targets.append(one)
    document = {**head_of(fitted, prob), "targets": targets}
    out.show(document, targets, _show_spending)


def _show_spending(document: Mapping[str, Any]) -> None:
    import numpy as np

    from bayescale.cli.output import Span, aside, say, show
    from bayescale.cli.results import beyond, note_limits, note_simulated, percent, times
    from bayescale.common.quantities import format_number

    def flop(value: float) -> str:
        return format_number(value) if np.isfinite(value) else "never"

    rows: list[list[str | Span]] = []
    for one in document["targets"]:
        need = one["budget"]
        span = Span(*(flop(need[end]) for end in ("median", "lower", "upper")))
        row: list[str | Span] = [f"{one['loss']:.4f}", span, f"{one['reachable']:.2f}"]
        chips = [f"{format_number(x)} {n}" for n, x in one.get("chip_hours", {}).items()]
        rows.append([*row, times(one["extrapolation"]), *chips])
    hours = ["hours"] if any("chip_hours" in one for one in document["targets"]) else []
    rows = [[*row, *["-"] * (4 + len(hours) - len(row))] for row in rows]
    show(["loss", "FLOP", "P(reachable)", "compute", *hours], rows)
    for one in document["targets"]:
        under = one.get("below_floor", 0.0)
        if one["reachable"] < 0.995:
            rest = 1 - one["reachable"] - under
            why = [f"with probability {under:.2f} it is below the floor"] * (under > 0.005)
            why += [
                f"with {rest:.2f} no plan within the bounds and 1e8 times the largest fitted run "
                "reaches it"
            ] * (rest > 0.005)
            say(f"A loss of {one['loss']:.4f} may be out of reach: {', '.join(why)}.")
    note_simulated(document)
    note_limits(document, [])
    aside(
        f"Median and {percent(document['prob'])} interval of the compute at the optimal plan of "
        f"each draw; the law's loss, in {document['loss_unit']}."
    )
    aside(beyond(document))


def worth(
    fit: opt.FitFile,
    budget: opt.Budgets,
    times: opt.Times = 10.0,
    plans: opt.Plans = opt.Plans(),
    group: opt.Group = None,
    law: opt.OwnLaw = None,
    prob: opt.Prob = 0.9,
    out: opt.Printed = opt.Printed(),
) -> None:
    """What another decade of budget buys, at the optimal plan of either.

    For example:

      bayescale worth fit.nc --budget 1e22 --budget 1e23
      bayescale worth fit.nc --budget 1e23 --times 2

    JSON: law, noise, published, simulated, calibrated, prob, times and budgets, each with budget,
    extrapolation (of the larger budget), loss, loss_with_more and gain (median, lower, upper).
    """
    from bayescale.cli.inputs import open_one
    from bayescale.cli.results import head_of, summary
    from bayescale.decisions.scored_plans import worth_of_more

    options, fitted = plans.options, open_one(fit, law, group)
    with progress_bar("worth") as report:
        report("the optimum of every draw")
        more = worth_of_more(fitted, [one.flops for one in budget], times=times, **options)
    rows: list[dict[str, Any]] = []
    for i, spent in enumerate(more.budget.values):
        at = more.isel(budget=i)
        row = {"budget": float(spent), "extrapolation": float(at.extrapolation)}
        rows.append(row | {n: summary(at[n], prob) for n in ("loss", "loss_with_more", "gain")})
    document = {**head_of(fitted, prob), "times": times, "budgets": rows}
    out.show(document, rows, _show_worth)


def _show_worth(document: Mapping[str, Any]) -> None:
    from bayescale.cli.output import Span, aside, show
    from bayescale.cli.results import beyond, note_limits, note_simulated, percent
    from bayescale.cli.results import times as ratio
    from bayescale.common.quantities import format_number
    from bayescale.language.variables import short_unit

    ends, factor = ("median", "lower", "upper"), f"{document['times']:g}"
    rows: list[list[str | Span]] = [
        [
            format_number(one["budget"]),
            ratio(one["extrapolation"]),
            *(
                Span(*(f"{one[n][e]:.4f}" for e in ends))
                for n in ("loss", "loss_with_more", "gain")
            ),
        ]
        for one in document["budgets"]
    ]
    show(["budget", f"compute of {factor}x", "loss", f"with {factor}x", "gain"], rows)
    note_simulated(document)
    note_limits(document, [])
    unit = short_unit(document["loss_unit"])
    aside(
        f"The law's loss at the optimum, {unit}; median and {percent(document['prob'])} interval."
    )
    aside(beyond(document))


def score(
    fit: opt.FitFile,
    inputs: opt.PlanToScore = None,
    table: opt.PlansToScore = None,
    budget: opt.BudgetThereIs = None,
    rows: opt.Rows = opt.Rows(),
    plans: opt.Plans = opt.Plans(),
    group: opt.Group = None,
    law: opt.OwnLaw = None,
    prob: opt.Prob = 0.9,
    out: opt.Printed = opt.Printed(),
) -> None:
    """Score plans that can be built: loss, compute, and what each gives away.

    The regret of a plan is its loss over that of the best plan for the same compute, which nobody
    may be able to build.

    For example:

      bayescale score fit.nc N=7B D=2T
      bayescale score fit.nc --plans shapes.csv --budget 1e24
      bayescale score moe.nc --plans shapes.csv --json

    JSON: law, noise, published, simulated, calibrated, prob, assumptions (settings of the cost
    model), best (the row) and plans, each with run (if the table names them), its inputs, flops,
    extrapolation, affordable, expected_loss, loss, expected_regret, regret (median, lower, upper)
    and probability of being the best of those that can be paid.
    """
    import pandas as pd

    from bayescale.cli.inputs import assignments, open_one, show_understood
    from bayescale.cli.results import head_of, summary
    from bayescale.decisions.allocation import assumptions
    from bayescale.decisions.plans import plans as space_of
    from bayescale.decisions.scored_plans import score_plans

    named = assignments("input", inputs or [])
    if bool(named) == (table is not None):
        raise InputError("say which plans: inputs such as N=7B D=2T, or a table with --plans")
    opt.check_where(rows, table)
    if table is None:
        most = max(len(values) for values in named.values())
        wide = {name: x * most if len(x) == 1 else x for name, x in named.items()}
        if len({len(values) for values in wide.values()}) > 1:
            raise InputError("inputs take one value, or as many values as each other")
        shapes = pd.DataFrame(wide)
    else:
        shapes = rows.read(table)
        show_understood(shapes)
    options, fitted = plans.options, open_one(fit, law, group)
    with progress_bar("score") as report:
        report("each plan and the best for its compute")
        found = score_plans(
            fitted, shapes, budget=None if budget is None else budget.flops, **options
        )
    names = shapes["run"].astype(str).tolist() if "run" in shapes else []
    told = []
    for i in range(found.sizes["plan"]):
        at = found.isel(plan=i)
        one: dict[str, Any] = {"run": names[i]} if names else {}
        one |= {name: float(at[name]) for name in (*fitted.law.inputs, "flops", "extrapolation")}
        one["affordable"] = bool(at.affordable)
        for name in ("loss", "regret"):
            one |= {
                f"expected_{name}": float(at[f"expected_{name}"]),
                name: summary(at[name], prob),
            }
        told.append(one | {"probability": float(at.probability)})
    document = {
        **head_of(fitted, prob),
        "assumptions": assumptions(fitted, space_of(fitted, **options)),
        "best": found.attrs["best"],
        "plans": told,
    }
    out.show(document, told, _show_scores)


_SCORED = (
    *("flops", "extrapolation", "affordable", "expected_loss", "loss", "expected_regret"),
    *("regret", "probability"),
)


def _show_scores(document: Mapping[str, Any]) -> None:
    from bayescale.cli.output import Span, aside, say, show
    from bayescale.cli.plans import say_assumptions
    from bayescale.cli.results import beyond, note_limits, note_simulated, percent, times
    from bayescale.common.quantities import format_number

    told: Sequence[Mapping[str, Any]] = document["plans"]
    names = [name for name in told[0] if name not in _SCORED]
    ends = ("median", "lower", "upper")
    rows: list[list[str | Span]] = []
    for one in told:
        row: list[str | Span] = [
            one[n] if isinstance(one[n], str) else format_number(one[n]) for n in names
        ]
        row += [format_number(one["flops"]), times(one["extrapolation"])]
        row += [Span(*(f"{one[n][end]:.4f}" for end in ends)) for n in ("loss", "regret")]
        rows.append([*row, f"{one['probability']:.2f}" if one["affordable"] else "too dear"])
    heads = [*names, "FLOP", "compute", "loss", "regret", "P(best)"]
    if len(told) == 1:
        heads, rows = heads[:-1], [row[:-1] for row in rows]
    show(heads, rows, left=["run"] if "run" in names else [])
    if len(told) > 1:
        best = told[document["best"]]
        what = ", ".join(
            best[n] if isinstance(best[n], str) else f"{n} = {format_number(best[n])}"
            for n in names
        )
        costs = {one["flops"] for one in told if one["affordable"]}
        dearer = " (the plans cost different amounts)" if max(costs) > 1.01 * min(costs) else ""
        say(f"Of these the best is {what}{dearer}.", "bold")
    say_assumptions(document["assumptions"])
    note_simulated(document)
    note_limits(document, [])
    aside(
        f"loss: the law's, in {document['loss_unit']}, median and {percent(document['prob'])} "
        "interval; regret: loss over that of the best plan for the same compute, draw by draw."
    )
    aside(beyond(document))
