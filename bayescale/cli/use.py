"""The commands ``predict``, ``allocate``, ``decide`` and ``compare``: what a saved fit is for."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from bayescale.cli import options as opt
from bayescale.common.errors import InputError
from bayescale.common.progress import progress_bar

__all__ = ["allocate", "compare", "decide", "predict"]


def predict(
    fit: opt.FitFile,
    inputs: opt.Inputs = None,
    table: opt.RowsToPredict = None,
    rows: opt.Rows = opt.Rows(),
    mean: opt.Mean = False,
    group: opt.Group = None,
    law: opt.OwnLaw = None,
    prob: opt.Prob = 0.9,
    seed: opt.Seed = 0,
    out: opt.Printed = opt.Printed(),
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
    from bayescale.cli.inputs import assignments, check_ungrouped, open_fit, show_understood

    named = assignments("input", inputs or [])
    if bool(named) == (table is not None):
        raise InputError("say which runs: inputs such as N=7B D=2T, or a table with --runs")
    opt.check_where(rows, table)
    runs = None if table is None else rows.read(table)
    fitted = open_fit(fit, law, group)
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
    if runs is not None:
        values = dict(read_columns(runs, fitted.law.inputs, extra=fitted.law.variables))
        show_understood(runs)
        labels = {"run": runs["run"].astype(str).tolist()} if "run" in runs else {}
        observed = read_columns(runs, ["loss"])["loss"].tolist() if "loss" in runs else []
    by = fitted.about.get("by")
    groups = {by: runs[by].astype(str).tolist()} if by and runs is not None and by in runs else {}
    if not groups:
        check_ungrouped(fitted, fit)
    with progress_bar("predict") as report:
        report("a loss for every draw")
        loss = predicted(fitted, mean=mean, seed=seed, **values, **groups)
    document = prediction_document(
        fitted, loss, values, prob, mean=mean, labels=labels | groups, observed=observed
    )
    out.show(document, document["runs"], show_prediction)


def allocate(
    fit: opt.FitFile,
    budget: opt.Budgets,
    gpu: opt.Chip = None,
    plans: opt.Plans = opt.Plans(),
    plot: opt.PlotOptimum = None,
    group: opt.Group = None,
    law: opt.OwnLaw = None,
    prob: opt.Prob = 0.9,
    out: opt.Printed = opt.Printed(),
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

    JSON: law, noise, published, simulated, calibrated, prob, assumptions (cost_model, its settings,
    and flops_listed, the table's FLOPs over the cost model's) and budgets, each with budget,
    chip_hours (by chip, where one is known), extrapolation (over the compute of the largest fitted
    run, or null), at_bound (share of draws whose optimum a bound decides), and median, lower and
    upper of every input and of loss; a listed input has choices too, the probability that each
    value is the best; passes over the different tokens, where the law counts them.
    """
    from bayescale.cli.inputs import open_one
    from bayescale.cli.plans import allocation_document, reach, show_allocation, write_plot
    from bayescale.decisions.budgets import chip_hours

    budgets, hours = [one.flops for one in budget], chip_hours(budget, gpu)
    options, fitted = plans.options, open_one(fit, law, group)

    from bayescale.decisions.allocation import allocate as optimum

    with progress_bar("allocate") as report:
        report("the optimum of every draw")
        document = allocation_document(fitted, optimum(fitted, budgets, **options), prob, hours)
        if plot is not None:
            from bayescale.plotting import plot_allocation

            report("drawing")
            probs = sorted({0.5, prob})
            draw = partial(plot_allocation, fitted, reach(budgets), probs=probs, **options)
            write_plot(draw, plot)
    out.show(document, document["budgets"], show_allocation)


def decide(
    fit: opt.FitFile,
    budget: opt.Budgets,
    gpu: opt.Chip = None,
    within: opt.Within = 0.005,
    risk: opt.Risk = "mean",
    level: opt.Level = 0.9,
    trust: opt.Trust = False,
    plans: opt.Plans = opt.Plans(),
    plot: opt.PlotRegret = None,
    group: opt.Group = None,
    law: opt.OwnLaw = None,
    prob: opt.Prob = 0.9,
    out: opt.Printed = opt.Printed(),
) -> None:
    """Choose the one plan of least expected loss, and what is as good.

    For example:

      bayescale decide fit.nc --budget 1e24
      bayescale decide fit.nc --budget 1e24 --bounds N=:100B --within 0.01
      bayescale decide fit.nc --budget "$50k at $2/GPU-hour on H100"
      bayescale decide moe.nc --budget 1e23 --choose G=1,2,4,8 --json
      bayescale decide fit.nc --budget 1e24 --risk cvar --level 0.8
      bayescale decide fit.nc --budget 1e24 --plot regret.png

    JSON: law, noise, published, simulated, calibrated, gaps (what the runs cannot tell by design),
    prob, within, assumptions and budgets, each with budget, extrapolation, plan (every input),
    outside (what of it no run is near), run_loss (of a new run: median, lower, upper; what the
    report and predict say), expected_loss and loss (the law's), expected_regret, regret and band
    (lower and upper of what varies among plans within that loss).
    """
    from bayescale.cli.inputs import open_one
    from bayescale.cli.plans import decision_document, reach, show_decision, write_plot
    from bayescale.decisions.budgets import chip_hours

    budgets, hours = [one.flops for one in budget], chip_hours(budget, gpu)
    options, fitted = plans.options, open_one(fit, law, group)

    from bayescale.decisions.decision import decide as best_plan

    attitude: dict[str, Any] = {"risk": risk, "level": level, "trust": trust}
    with progress_bar("decide") as report:
        report("the plan of least expected loss")
        plan = best_plan(fitted, budgets, within=within, **attitude, **options)
        document = decision_document(fitted, plan, prob, hours)
        if plot is not None:
            from bayescale.plotting import plot_regret

            report("drawing")
            write_plot(partial(plot_regret, fitted, reach(budgets), **options), plot)
    out.show(document, document["budgets"], show_decision)


def compare(
    fits: opt.ComparedFits,
    law: opt.OwnLaws = None,
    by: opt.LeftOut = "loo",
    folds: opt.Folds = "10",
    cut: opt.Cuts = None,
    order: opt.Order = "flops",
    weights: opt.Mixture = "stacking",
    seed: opt.Seed = 0,
    out: opt.Printed = opt.Printed(),
) -> None:
    """Compare laws by how well each predicts runs left out.

    For example:

      bayescale compare dense.nc sparse.nc
      bayescale compare dense.nc sparse.nc --by future --order D
      bayescale compare dense.nc sparse.nc --by kfold --folds corpus
      bayescale compare dense.nc mine.nc --law mine.py:my_law --json

    JSON: by, runs (how many are scored), fits (best first, each with name, elpd, se, elpd_diff,
    dse, p_worse, p, weight, pareto_k, refits, distinguishable from the best, and reliable) and
    reading (sentences).
    """
    from bayescale.cli.inputs import open_fits
    from bayescale.cli.results import comparison_document, show_comparison

    cuts = opt.cut_options(cut)
    parted: int | str = int(folds) if folds.isascii() and folds.isdigit() else folds
    loaded = open_fits(fits, law or ())

    from bayescale.checking.comparison import compare as scores

    table = scores(loaded, by=by, folds=parted, order=order, weights=weights, seed=seed, **cuts)
    document = comparison_document(table)
    out.show(document, document["fits"], show_comparison)
