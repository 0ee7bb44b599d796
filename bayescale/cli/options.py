"""Options that several commands take, and what they mean."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bayescale.cli import completion
from bayescale.common.errors import InputError

__all__ = [
    "Across",
    "AnyLaw",
    "BestOf",
    "Bounds",
    "Budgets",
    "Calibrated",
    "Checkpoints",
    "Chip",
    "Choose",
    "Columns",
    "Cost",
    "Csv",
    "Cuts",
    "DropMissing",
    "FitFile",
    "Fixed",
    "Force",
    "Group",
    "Json",
    "Method",
    "Noise",
    "Order",
    "OwnLaw",
    "OwnLaws",
    "Prob",
    "Seed",
    "Sizes",
    "Table",
    "Tail",
    "Where",
    "Within",
    "check_where",
    "cut_options",
    "plan_options",
    "printer",
    "probability",
]

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")]
FitFile = Annotated[
    Path,
    typer.Argument(
        metavar="FIT", autocompletion=completion.fits, help="A file saved by bayescale fit."
    ),
]
Group = Annotated[
    str | None,
    typer.Option("--group", metavar="GROUP", help="One group of a fit made with --by."),
]
AnyLaw = Annotated[
    str,
    typer.Option(
        "--law",
        metavar="LAW",
        autocompletion=completion.laws,
        help="A law that bayescale laws lists, or FILE.py:NAME.",
    ),
]
OwnLaw = Annotated[
    str | None,
    typer.Option(
        "--law",
        metavar="LAW",
        autocompletion=completion.laws,
        help="The law, if it is your own: FILE.py:NAME.",
    ),
]
OwnLaws = Annotated[
    list[str] | None,
    typer.Option(
        "--law",
        metavar="LAW",
        autocompletion=completion.laws,
        help="Your own laws among them: FILE.py:NAME.",
    ),
]
Prob = Annotated[
    str, typer.Option("--prob", metavar="P", help="Probability that the intervals hold.")
]
Seed = Annotated[str, typer.Option("--seed", metavar="N", help="Makes the result reproducible.")]
Table = Annotated[
    str,
    typer.Argument(
        metavar="RUNS",
        autocompletion=completion.tables,
        help="A file (CSV, JSON, Excel ...), a table that bayescale runs lists, or -.",
    ),
]
Where = Annotated[
    str | None,
    typer.Option("--where", metavar="QUERY", help="Rows of the table to use: a pandas query."),
]
Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--column",
        metavar="NAME=COLUMN",
        help="The file's column for an input, loss or run; N=size*1e9 converts its unit, "
        "D=steps*batch*2048 multiplies, N=Name:model-{} takes the number out of a text.",
    ),
]
DropMissing = Annotated[
    bool,
    typer.Option("--drop-missing", help="Leave out, and name, rows that lack what is needed."),
]
BestOf = Annotated[
    str | None,
    typer.Option(
        "--best-of",
        metavar="COLUMN,...",
        help="Of a sweep over these columns keep the best run of each configuration.",
    ),
]
Across = Annotated[
    str | None,
    typer.Option(
        "--across", metavar="NAME", help="What the numbers across a wide table are: flops or D."
    ),
]
Sizes = Annotated[
    str | None,
    typer.Option(
        "--sizes", metavar="FILE", help="Each run's N and D, for the points of a tracker's chart."
    ),
]
Checkpoints = Annotated[
    str | None,
    typer.Option(
        "--checkpoints",
        metavar="WHICH",
        autocompletion=completion.choices("refuse", "last", "keep"),
        help="Rows that are no ends of runs: refuse them, take the last, or keep all.",
    ),
]
Tail = Annotated[
    str | None,
    typer.Option(
        "--tail", metavar="SHARE", help="End of a loss curve that is averaged: 0.05 of its tokens."
    ),
]
Noise = Annotated[
    str | None,
    typer.Option(
        "--noise",
        metavar="NOISE",
        autocompletion=completion.choices("student_t", "normal", "scaled"),
        help="student_t, normal or scaled.",
    ),
]
Method = Annotated[
    str,
    typer.Option(
        "--method",
        metavar="METHOD",
        autocompletion=completion.choices("nuts", "laplace"),
        help="nuts, or laplace: quick and checked.",
    ),
]
Calibrated = Annotated[
    bool,
    typer.Option(
        "--calibrated",
        help="Fit for predicting beyond the runs: scaled noise and discrepancy.",
    ),
]
Budgets = Annotated[
    list[str],
    typer.Option(
        "--budget",
        metavar="FLOP",
        help="Training compute: 1e23, '64 H100 x 21 days at 40% MFU', '$50k at $2/GPU-hour on "
        "H100'; may be given several times.",
    ),
]
Chip = Annotated[
    str | None,
    typer.Option(
        "--gpu", metavar="CHIP", help="Also hours of it: 'H100 at 40% MFU' beside every plan."
    ),
]
Fixed = Annotated[
    list[str] | None,
    typer.Option(
        "--fixed",
        metavar="NAME=VALUE",
        help="Hold an input, or a setting of the cost model, at a value.",
    ),
]
Choose = Annotated[
    list[str] | None,
    typer.Option("--choose", metavar="NAME=V,V", help="Listed values an input may take."),
]
Bounds = Annotated[
    list[str] | None,
    typer.Option("--bounds", metavar="NAME=LOW:HIGH", help="Range of a count."),
]
Cost = Annotated[
    str | None,
    typer.Option(
        "--cost",
        metavar="COST",
        autocompletion=completion.costs,
        help="Cost model, if not the law's own: a name in bayescale.cost, or FILE.py:NAME.",
    ),
]
Within = Annotated[
    str,
    typer.Option("--within", metavar="NATS", help="Loss that near-optimal plans may give up."),
]
Cuts = Annotated[
    list[str] | None,
    typer.Option(
        "--cut",
        metavar="SHARE",
        help="Share of the runs to hold out, such as 0.2; may be given several times.",
    ),
]
Order = Annotated[
    str,
    typer.Option(
        "--order", metavar="COLUMN", help="What makes a run larger: flops, or a column such as N."
    ),
]


def check_where(where: str | None, table: str | None) -> None:
    """Refuse ``--where`` without the ``--runs`` that it is about."""
    if where is not None and table is None:
        raise InputError("--where is about a table of --runs, and none is given")


def printer(json: bool, csv: bool) -> Callable[..., None]:
    """How to print a document: as JSON, its records as CSV, or by a function that shows it."""
    from bayescale.cli.output import as_csv, as_json

    if json and csv:
        raise InputError("--json and --csv are two ways to print one thing; give one of them")

    def show(
        document: Any, records: Sequence[Mapping[str, Any]], for_people: Callable[[Any], None]
    ) -> None:
        if json:
            sys.stdout.write(as_json(document) + "\n")
        elif csv:
            sys.stdout.write(as_csv(records) + "\n")
        else:
            for_people(document)

    return show


def probability(text: str) -> float:
    """What ``--prob`` gives."""
    from bayescale.cli.inputs import number

    value = number("--prob", text)
    if not 0 < value < 1:
        raise InputError(f"--prob is a probability between 0 and 1, such as 0.9, not {text}")
    return value


def cut_options(cuts: list[str] | None) -> dict[str, Any]:
    """What ``--cut`` gives; nothing where it is left out."""
    from bayescale.cli.inputs import number

    return {"cuts": tuple(number("--cut", text) for text in cuts)} if cuts else {}


def plan_options(
    fixed: list[str] | None, choose: list[str] | None, bounds: list[str] | None, cost: str | None
) -> dict[str, Any]:
    """What ``allocate`` and ``decide`` take, from options."""
    from bayescale.cli.inputs import assignments, find_cost, single
    from bayescale.cli.inputs import bounds as ranges

    return {
        "fixed": single("--fixed", fixed or []) or None,
        "choose": assignments("--choose", choose or []) or None,
        "bounds": ranges(bounds or []) or None,
        "cost": find_cost(cost) if cost else None,
    }
