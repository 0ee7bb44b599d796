"""The commands ``predict``, ``allocate``, ``decide`` and ``compare``: what a saved fit is for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bayescale.cli import completion
from bayescale.cli.options import (
    Across,
    BestOf,
    Bounds,
    Budgets,
    Checkpoints,
    Chip,
    Choose,
    Columns,
    Cost,
    Csv,
    Cuts,
    DropMissing,
    FitFile,
    Fixed,
    Group,
    Json,
    Order,
    OwnLaw,
    OwnLaws,
    Prob,
    Seed,
    Sizes,
    Tail,
    Where,
    Within,
    check_where,
    cut_options,
    plan_options,
    printer,
    probability,
)
from bayescale.common.errors import InputError
from bayescale.common.progress import progress_bar

__all__ = ["allocate", "compare", "decide", "predict"]


def predict(
    fit: FitFile,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="The law's inputs, such as N=7B D=2T."),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            "--runs",
            metavar="RUNS",
            autocompletion=completion.tables,
            help="Predict every row of a table instead.",
        ),
    ] = None,
    where: Where = None,
    columns: Columns = None,
    checkpoints: Checkpoints = None,
    tail: Tail = None,
    drop_missing: DropMissing = False,
    best_of: BestOf = None,
    across: Across = None,
    sizes: Sizes = None,
    mean: Annotated[
        bool, typer.Option("--mean", help="The law's loss, without the noise of a single run.")
    ] = False,
    group: Group = None,
    law: OwnLaw = None,
    prob: Prob = "0.9",
    seed: Seed = "0",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Predict the loss of training runs, with intervals.

    For example:

      bayescale predict fit.nc N=7B D=2T
      bayescale predict fit.nc N=7B,13B,70B D=2T --mean
      bayescale predict fit.nc --runs olmo_ladder --where "target == True" --csv

    JSON: law, noise, published, simulated, calibrated, prob, mean and runs, each with its inputs,
    extrapolation (compute over that of the largest fitted run, or null), observed (if the table
    has losses) and loss (median, lower, upper).
    """
    from bayescale.cli.inputs import assignments, find_law, read_runs, show_understood, whole
    from bayescale.cli.saved import check_ungrouped, open_fit

    show, share = printer(json, csv), probability(prob)
    draw_seed = whole("--seed", seed)
    named = assignments("input", inputs or [])
    if bool(named) == (table is not None):
        raise InputError("say which runs: inputs such as N=7B D=2T, or a table with --runs")
    check_where(where, table)
    rows = None
    if table is not None:
        rows = read_runs(
            table, where, columns=columns, checkpoints=checkpoints, tail=tail,
            needs=drop_missing, best_of=best_of, across=across, sizes=sizes,
        )  # fmt: skip
    fitted = open_fit(fit, find_law(law) if law else None, group)
    if fitted.about["noise"] is None and not mean:
        raise InputError(
            f"{fit} holds published coefficients, which carry no noise, so a new run's loss is not "
            "known; use --mean"
        )

    from bayescale.cli.results import prediction_document, show_prediction
    from bayescale.language.columns import read_columns
    from bayescale.prediction.predict import predict as predicted

    values: dict[str, Any] = {name: x[0] if len(x) == 1 else x for name, x in named.items()}
    labels: dict[str, list[str]] = {}
    observed: Sequence[float] = ()
    if rows is not None:
        values = dict(read_columns(rows, fitted.law.inputs, extra=fitted.law.variables))
        show_understood(rows)
        labels = {"run": rows["run"].astype(str).tolist()} if "run" in rows else {}
        observed = read_columns(rows, ["loss"])["loss"].tolist() if "loss" in rows else []
    by = fitted.about.get("by")
    groups = {by: rows[by].astype(str).tolist()} if by and rows is not None and by in rows else {}
    if not groups:
        check_ungrouped(fitted, fit)
    with progress_bar("predict") as report:
        report("a loss for every draw")
        loss = predicted(fitted, mean=mean, seed=draw_seed, **values, **groups)
    document = prediction_document(
        fitted, loss, values, share, mean=mean, labels=labels | groups, observed=observed
    )
    show(document, document["runs"], show_prediction)


def allocate(
    fit: FitFile,
    budget: Budgets,
    gpu: Chip = None,
    fixed: Fixed = None,
    choose: Choose = None,
    bounds: Bounds = None,
    cost: Cost = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Draw the optimum over compute: png, pdf, svg."
        ),
    ] = None,
    group: Group = None,
    law: OwnLaw = None,
    prob: Prob = "0.9",
    json: Json = False,
    csv: Csv = False,
) -> None:
    r"""Find the compute-optimal allocation, and how uncertain it is.

    For example:

      bayescale allocate fit.nc --budget 1e22 --budget 1e24
      bayescale allocate fit.nc --budget 1e24 --bounds N=:100B
      bayescale allocate fit.nc --budget "64 H100 x 21 days at 40% MFU"
      bayescale allocate fit.nc --budget 1e24 --plot optimum.png
      bayescale allocate moe.nc --budget 1e23 --choose G=1,2,4,8 --json
      bayescale allocate fit.nc --budget 1e24 --cost with_inference \
          --fixed inference_tokens=2T

    JSON: law, noise, published, simulated, calibrated, prob and budgets, each with budget,
    chip_hours (by chip, where one is known), extrapolation (over the compute of the largest fitted
    run, or null), at_bound (share of draws whose optimum a bound decides), and median, lower and
    upper of every input and of loss; a listed input has choices too, the probability that each
    value is the best; passes over the different tokens, where the law counts them.
    """
    from bayescale.cli.inputs import flop_budget
    from bayescale.cli.plans import chip_hours
    from bayescale.cli.saved import open_one

    show, share = printer(json, csv), probability(prob)
    asked = [flop_budget(text) for text in budget]
    budgets, hours = [one.flops for one in asked], chip_hours(asked, gpu)
    options = plan_options(fixed, choose, bounds, cost)
    if plot is not None:
        from bayescale.cli.plans import check_plot_path

        check_plot_path(plot)
    fitted = open_one(fit, law, group)

    from bayescale.cli.plans import allocation_document, show_allocation
    from bayescale.decisions.allocation import allocate as optimum

    with progress_bar("allocate") as report:
        report("the optimum of every draw")
        document = allocation_document(fitted, optimum(fitted, budgets, **options), share, hours)
        if plot is not None:
            from bayescale.cli.plans import plot_allocation

            report("drawing")
            plot_allocation(fitted, budgets, plot, options, share)
    show(document, document["budgets"], show_allocation)


def decide(
    fit: FitFile,
    budget: Budgets,
    gpu: Chip = None,
    within: Within = "0.005",
    risk: Annotated[
        str,
        typer.Option(
            "--risk",
            metavar="RISK",
            help="What is least: mean, quantile, or cvar (the mean of the worst losses).",
        ),
    ] = "mean",
    level: Annotated[
        str,
        typer.Option("--level", metavar="P", help="Of the quantile; cvar is of what lies above."),
    ] = "0.9",
    trust: Annotated[
        bool, typer.Option("--trust", help="Decide also with a fit that failed its diagnostics.")
    ] = False,
    fixed: Fixed = None,
    choose: Choose = None,
    bounds: Bounds = None,
    cost: Cost = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Draw the regret of plans over compute: png, pdf, svg."
        ),
    ] = None,
    group: Group = None,
    law: OwnLaw = None,
    prob: Prob = "0.9",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Choose the one plan of least expected loss, and what is as good.

    For example:

      bayescale decide fit.nc --budget 1e24
      bayescale decide fit.nc --budget 1e24 --bounds N=:100B --within 0.01
      bayescale decide fit.nc --budget "$50k at $2/GPU-hour on H100"
      bayescale decide moe.nc --budget 1e23 --choose G=1,2,4,8 --json
      bayescale decide fit.nc --budget 1e24 --risk cvar --level 0.8
      bayescale decide fit.nc --budget 1e24 --plot regret.png

    JSON: law, noise, published, simulated, calibrated, prob, within and budgets, each with budget,
    extrapolation, plan (every input), expected_loss, loss, expected_regret, regret (median,
    lower, upper) and band (lower and upper of what varies among plans within that loss).
    """
    from bayescale.cli.inputs import flop_budget, number
    from bayescale.cli.plans import chip_hours
    from bayescale.cli.saved import open_one

    show, share = printer(json, csv), probability(prob)
    asked = [flop_budget(text) for text in budget]
    budgets, hours = [one.flops for one in asked], chip_hours(asked, gpu)
    give_up, share_of = number("--within", within), number("--level", level)
    options = plan_options(fixed, choose, bounds, cost)
    if plot is not None:
        from bayescale.cli.plans import check_plot_path

        check_plot_path(plot)
    fitted = open_one(fit, law, group)

    from bayescale.cli.plans import decision_document, show_decision
    from bayescale.decisions.decision import decide as best_plan

    attitude: dict[str, Any] = {"risk": risk, "level": share_of, "trust": trust}
    with progress_bar("decide") as report:
        report("the plan of least expected loss")
        plan = best_plan(fitted, budgets, within=give_up, **attitude, **options)
        document = decision_document(fitted, plan, share, hours)
        if plot is not None:
            from bayescale.cli.plans import plot_decision

            report("drawing")
            plot_decision(fitted, budgets, plot, options)
    show(document, document["budgets"], show_decision)


def compare(
    fits: Annotated[
        list[Path],
        typer.Argument(
            metavar="FIT", autocompletion=completion.fits, help="Fits of the same runs."
        ),
    ],
    law: OwnLaws = None,
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="WHAT",
            autocompletion=completion.choices("loo", "kfold", "future"),
            help="What is left out: loo, one run; kfold, several; future, the larger runs.",
        ),
    ] = "loo",
    folds: Annotated[
        str,
        typer.Option(
            "--folds", metavar="N", help="Of kfold: a number, or a column such as N or corpus."
        ),
    ] = "10",
    cut: Cuts = None,
    order: Order = "flops",
    weights: Annotated[
        str,
        typer.Option(
            "--weights",
            metavar="HOW",
            autocompletion=completion.choices("stacking", "pseudo-bma"),
            help="stacking or pseudo-bma.",
        ),
    ] = "stacking",
    seed: Seed = "0",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Compare laws by how well each predicts runs left out.

    For example:

      bayescale compare dense.nc sparse.nc
      bayescale compare dense.nc sparse.nc --by future
      bayescale compare dense.nc sparse.nc --by kfold --folds corpus
      bayescale compare dense.nc mine.nc --law mine.py:my_law --json

    JSON: by, runs (how many are scored), fits (best first, each with name, elpd, se, elpd_diff,
    dse, p_worse, p, weight, pareto_k, refits, distinguishable from the best, and reliable) and
    reading (sentences).
    """
    from bayescale.cli.inputs import find_law, whole
    from bayescale.cli.results import comparison_document, show_comparison
    from bayescale.cli.saved import open_fits

    show, sown = printer(json, csv), whole("--seed", seed)
    parted: int | str = int(folds) if folds.isascii() and folds.isdigit() else folds
    shares = cut_options(cut)
    own = [find_law(where) for where in law or []]
    loaded = open_fits(fits, own)

    from bayescale.checking.comparison import compare as scores

    table = scores(loaded, by=by, folds=parted, order=order, weights=weights, seed=sown, **shares)
    document = comparison_document(table)
    show(document, document["fits"], show_comparison)
