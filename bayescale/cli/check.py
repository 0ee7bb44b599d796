"""The commands ``check`` and ``check-law``: whether a fit, or a law somebody wrote, can be used."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from bayescale.cli import options as opt
from bayescale.common.errors import InputError
from bayescale.common.progress import progress_bar

if TYPE_CHECKING:
    import pandas as pd

    from bayescale.fitting.fits import Fit

__all__ = ["check", "check_law"]


def check(
    fit: opt.FitFile,
    inputs: opt.RunToAsk = None,
    budget: opt.BudgetOfPriors = None,
    of: opt.OfPlan = None,
    plans: opt.Plans = opt.Plans(),
    plot: opt.PlotPriors = None,
    exact: opt.Exact = False,
    group: opt.Group = None,
    law: opt.OwnLaw = None,
    seed: opt.Seed = 0,
    json: opt.Json = False,
) -> None:
    """Check a fit: its draws, its residuals, what runs say without the law, and what they leave.

    For example:

      bayescale check fit.nc
      bayescale check fit.nc N=70B D=1.4T
      bayescale check fit.nc --budget 1e24
      bayescale check fit.nc --budget 1e24 --of loss --json
      bayescale check fit.nc --plot priors.png
      bayescale check fit.nc --exact

    The exit code is 1 if the draws failed their diagnostics; the rest is said, not judged. JSON:
    law, noise, simulated, calibrated, table, runs, seed, diagnostics (as bayescale fit has them),
    residuals (prob, exact, checks and reading), without_law (where the runs alone say anything:
    ok, checks and reading), priors (coefficients and reading), with a budget or a run influence
    (question, value, lower, upper, parts and reading), and with a budget sensitivity (budget, of,
    components and reading).
    """
    from bayescale.cli.inputs import check_ungrouped, open_fit, single

    options = plans.options
    given = {"--of": of, "--group": group} | {f"--{n}": x for n, x in options.items()}
    extra = [name for name, value in given.items() if value is not None]
    if budget is None and extra:
        raise InputError(f"{extra[0]} is about --budget, and none is given")
    run = single("input", inputs or [])
    if run and budget is not None:
        raise InputError("ask of a run (N=7B D=2T) or of a --budget, one at a time")
    fitted = open_fit(fit, law)
    if (budget is not None and group is None) or run:
        check_ungrouped(fitted, fit)
    if run and (missing := [name for name in fitted.law.inputs if name not in run]):
        raise InputError(f"the run lacks {', '.join(missing)}; give every input of the law")

    with progress_bar("check") as report:
        document = _found(fitted, seed, exact, report)
        if budget is not None:
            from bayescale.checking.prior_sensitivity import prior_sensitivity

            report("the plan under other priors")
            table = prior_sensitivity(fitted, budget.flops, of=of, group=group, **options)
            about = {"budget": budget.flops, "of": table.attrs["of"]}
            document["sensitivity"] = about | _rows(table, "components")
        if (budget is not None or run) and fitted.runs is not None and group is None:
            report("the answer without some of the runs")
            flops = None if budget is None else budget.flops
            document["influence"] = _influence(fitted, flops, of, options, run, seed)
        if plot is not None:
            from bayescale.cli.plans import write_plot
            from bayescale.plotting import plot_prior_posterior

            report("drawing")
            write_plot(partial(plot_prior_posterior, fitted), plot)
    opt.Printed(json).show(document, [], _show_found)
    if not document["diagnostics"]["ok"]:
        raise typer.Exit(1)


def _found(fit: Fit, seed: int, exact: bool, report: Any) -> dict[str, Any]:
    """What can be said of a fit without a question."""
    from bayescale.checking.law_free import check_law_free
    from bayescale.checking.prior_overlap import prior_overlap
    from bayescale.checking.residual_checks import LEVEL, check_residuals
    from bayescale.cli.results import fit_document

    told = fit_document(fit, 0.9, None)
    kept = ("law", "noise", "simulated", "calibrated", "table", "runs", "seed", "diagnostics")
    report("priors")
    priors = _rows(prior_overlap(fit), "coefficients")
    report("residuals")
    found = check_residuals(fit, prob=LEVEL, exact=exact, seed=seed)
    residuals = {"prob": LEVEL, "exact": exact} | _rows(found, "checks")
    document = {name: told[name] for name in kept} | {"residuals": residuals}
    if not fit.about.get("by"):
        report("the runs without the law")
        free = check_law_free(fit, seed=seed)
        if len(free):
            document["without_law"] = {"ok": free.attrs["ok"]} | _rows(free, "checks")
    return document | {"priors": priors}


def _influence(
    fit: Fit,
    budget: float | None,
    of: str | None,
    options: Mapping[str, Any],
    run: Mapping[str, Any],
    seed: int,
) -> dict[str, Any]:
    """What an answer would be without some of the runs."""
    from bayescale.checking.influence import influence

    table = influence(fit, budget, of=of, seed=seed, progress=False, options=options, **run)
    kept = ("question", "of", "value", "lower", "upper")
    return {name: table.attrs[name] for name in kept} | _rows(table, "parts")


def _rows(table: pd.DataFrame, what: str) -> dict[str, Any]:
    """A table's rows under a name, and its reading."""
    return {what: table.reset_index().to_dict("records"), "reading": table.attrs["reading"]}


def _show_found(document: Mapping[str, Any]) -> None:
    from bayescale.checking.residual_checks import LEVEL
    from bayescale.cli.output import aside, say
    from bayescale.cli.results import percent, show_trust

    show_trust(document)
    tables = {"influence": _show_influence, "sensitivity": _show_sensitivity}
    for part in ("residuals", "without_law", "priors", *tables):
        if part in document:
            say()
            say(part.replace("_", " "), "bold")
            say(document[part]["reading"])
            if part == "residuals":
                aside(f"A law that is true passes each check in {percent(LEVEL)} of tables.")
            if part in tables:
                say()
                tables[part](document[part])


def _show_influence(found: Mapping[str, Any]) -> None:
    from bayescale.cli.output import Span, aside, show
    from bayescale.common.quantities import format_number

    write = (lambda x: f"{x:.4f}") if found["of"] == "loss" else format_number

    def span(one: Mapping[str, Any]) -> Span:
        return Span(*(write(one[end]) for end in ("value", "lower", "upper")))

    rows: list[list[str | Span]] = [["(all runs)", span(found), ""]]
    rows += [[one["without"], span(one), f"{one['shift']:+.2f}"] for one in found["parts"]]
    show(["without", found["question"], "shift"], rows, left=["without"])
    aside("Each from an exact refit; shift in half-widths of the interval with all runs.")


def _show_sensitivity(found: Mapping[str, Any]) -> None:
    from bayescale.cli.output import aside, show
    from bayescale.common.quantities import format_number

    of = found["of"]

    def cells(row: Mapping[str, Any]) -> list[str]:
        medians = (row[f"{of}_{how}"] for how in ("weaker", "as_is", "stronger"))
        written = [f"{x:.4f}" if of == "loss" else format_number(x) for x in medians]
        return [
            row["component"], f"{row['psense']:.3f}", *written, f"{row['shift']:+.2g} %",
            f"{row['pareto_k']:.2f}", row["said"],
        ]  # fmt: skip

    heads = ["component", "sensitivity", f"{of}, weaker", "as is", "stronger", "shift", "Pareto k"]
    rows = [cells(row) for row in found["components"]]
    show([*heads, ""], rows, left=["component", ""], droppable=True)
    aside("Weaker and stronger: raised to the power 0.8 and 1.25. From 0.05 a sensitivity matters.")


def check_law(
    law: opt.LawToTry,
    table: opt.RunsOfLaw = None,
    rows: opt.Rows = opt.Rows(),
    fit: opt.WithFit = True,
    seed: opt.Seed = 0,
    out: opt.Printed = opt.Printed(),
) -> None:
    """Try out a law of your own: its formula, its priors, and whether a fit finds the truth.

    For example:

      bayescale check-law mine.py:my_law
      bayescale check-law mine.py:my_law --runs runs.csv
      bayescale check-law mine.py:my_law --no-fit --json

    The exit code is 1 if a check fails. JSON: law, passed and checks (name, passed, detail).
    """
    from bayescale.cli.inputs import show_understood

    opt.check_where(rows, table)
    runs = None if table is None else rows.read(table, law.inputs)
    if runs is not None:
        show_understood(runs)

    from bayescale.checking.law_check import check_law as try_out

    checks = try_out(law, runs, seed=seed, fit=fit).to_dict("records")
    passed = all(row["passed"] for row in checks)
    out.show({"law": law.name, "passed": passed, "checks": checks}, checks, _show)
    if not passed:
        raise typer.Exit(1)


def _show(document: dict[str, Any]) -> None:
    from bayescale.cli.output import say, show

    say(document["law"], "bold")
    rows = [[c["name"], "ok" if c["passed"] else "FAILED", c["detail"]] for c in document["checks"]]
    show(["check", "", "what was found"], rows, left=["check", "", "what was found"])
