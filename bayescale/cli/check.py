"""The command ``check-law``: whether a law that somebody wrote can be used."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from bayescale.cli import completion
from bayescale.cli.options import Checkpoints, Columns, Csv, Json, Seed, Tail, printer

__all__ = ["check_law"]


def check_law(
    law: Annotated[
        str,
        typer.Argument(
            metavar="LAW",
            autocompletion=completion.laws,
            help="FILE.py:NAME, MODULE:NAME, or a law of the package.",
        ),
    ],
    table: Annotated[
        str | None,
        typer.Option(
            "--runs",
            metavar="RUNS",
            autocompletion=completion.tables,
            help="A table of the runs that the law is for.",
        ),
    ] = None,
    where: Annotated[
        str | None, typer.Option("--where", metavar="QUERY", help="Rows of it: a pandas query.")
    ] = None,
    columns: Columns = None,
    checkpoints: Checkpoints = None,
    tail: Tail = None,
    fit: Annotated[
        bool, typer.Option("--fit/--no-fit", help="Whether to fit losses simulated from it.")
    ] = True,
    seed: Seed = "0",
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Try out a law of your own: its formula, its priors, and whether a fit finds the truth.

    For example:

      bayescale check-law mine.py:my_law
      bayescale check-law mine.py:my_law --runs runs.csv
      bayescale check-law mine.py:my_law --no-fit --json

    The exit code is 1 if a check fails. JSON: law, passed and checks (name, passed, detail).
    """
    from bayescale.cli.inputs import find_law, read_runs, show_understood, whole
    from bayescale.errors import InputError

    show, sown = printer(json, csv), whole("--seed", seed)
    if where is not None and table is None:
        raise InputError("--where is about a table of --runs, and none is given")
    tried = find_law(law)
    runs = None
    if table is not None:
        runs = read_runs(table, where, columns=columns, checkpoints=checkpoints, tail=tail)
        show_understood(runs)

    from bayescale.law_check import check_law as check

    checks = check(tried, runs, seed=sown, fit=fit).to_dict("records")
    passed = all(row["passed"] for row in checks)
    show({"law": tried.name, "passed": passed, "checks": checks}, checks, _show)
    if not passed:
        raise typer.Exit(1)


def _show(document: dict[str, Any]) -> None:
    from bayescale.cli.output import say, show

    say(document["law"], "bold")
    rows = [[c["name"], "ok" if c["passed"] else "FAILED", c["detail"]] for c in document["checks"]]
    show(["check", "", "what was found"], rows, left=["check", "", "what was found"])
