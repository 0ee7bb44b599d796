"""The command ``report``: a page for the person who signs off the budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayescale.cli import completion
from bayescale.cli.options import (
    Bounds,
    Choose,
    Cost,
    Fixed,
    Force,
    Group,
    OwnLaws,
    Prob,
    Seed,
    Within,
    plan_options,
    probability,
)
from bayescale.common.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from bayescale.fitting.fits import Fit

__all__ = ["report"]

#: How a page of ours begins, by which an earlier report is told from another file.
_MARK = b'<meta name="generator" content="bayescale'


def report(
    fits: Annotated[
        list[Path],
        typer.Argument(
            metavar="FIT",
            autocompletion=completion.fits,
            help="Saved fits; the first answers, the others compare.",
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE", help="Where to write the page.")
    ],
    budget: Annotated[
        str | None,
        typer.Option(
            "--budget",
            metavar="FLOP",
            help="Training compute to answer for; ten times the largest fitted run if not given.",
        ),
    ] = None,
    span: Annotated[
        str | None,
        typer.Option("--span", metavar="LOW:HIGH", help="Budgets that the slider goes over."),
    ] = None,
    question: Annotated[
        str | None, typer.Option("--question", metavar="TEXT", help="The question to print.")
    ] = None,
    backtest: Annotated[
        bool,
        typer.Option(
            "--backtest", help="Fit the smaller runs again and predict the larger; takes a while."
        ),
    ] = False,
    backtest_table: Annotated[
        Path | None,
        typer.Option("--backtest-table", metavar="CSV", help="A backtest made before."),
    ] = None,
    influence: Annotated[
        bool,
        typer.Option(
            "--influence", help="Fit again without parts of the runs: which the plan hangs on."
        ),
    ] = False,
    within: Within = "0.005",
    fixed: Fixed = None,
    choose: Choose = None,
    bounds: Bounds = None,
    cost: Cost = None,
    group: Group = None,
    law: OwnLaws = None,
    prob: Prob = "0.9",
    seed: Seed = "0",
    force: Force = False,
) -> None:
    """Write a report for the person who signs off the budget: one HTML page.

    The answer with its interval, the plans, their risk, a slider over budgets, pictures, checks in
    words, and where everything is from. The page fetches nothing: send it by mail, print it.

    For example:

      bayescale report fit.nc --budget 1e23 -o report.html
      bayescale report fit.nc --budget 1e23 --bounds N=:100B --backtest -o report.html
      bayescale report dense.nc coupled.nc --budget 1e23 -o report.html

    An earlier report is replaced, another file only with --force.
    """
    from bayescale.cli.inputs import find_law, flop_budget, number, whole
    from bayescale.cli.output import say
    from bayescale.cli.saved import open_fits

    share, sown = probability(prob), whole("--seed", seed)
    flops = None if budget is None else flop_budget(budget).flops
    give_up = number("--within", within)
    ends = None if span is None else _span(span)
    options = plan_options(fixed, choose, bounds, cost)
    _check_path(output, force=force)
    own = [find_law(where) for where in law or []]
    loaded = open_fits(fits, own)
    if group is not None:
        from bayescale.fitting.groups import group as one_group

        loaded = {name: one_group(fit, group) for name, fit in loaded.items()}
    if backtest and backtest_table is not None:
        raise InputError("--backtest and --backtest-table are two ways to one table; give one")
    tested: pd.DataFrame | None = None
    if backtest_table is not None:
        tested = _read_backtest(backtest_table)
    elif backtest:
        tested = _backtest(next(iter(loaded.values())), sown)

    told = None
    if influence:
        if flops is None:
            raise InputError("--influence is about the plan for a --budget; give one")
        from bayescale.checking.influence import influence as without

        first = next(iter(loaded.values()))
        told = without(first, flops, of="loss", seed=sown, options=options)

    from bayescale.common.progress import progress_bar
    from bayescale.report import write_report

    with progress_bar(f"report on {', '.join(loaded)}") as show:
        show("writing")
        write_report(
            loaded,
            output,
            budget=budget,
            span=ends,
            question=question,
            prob=share,
            within=give_up,
            backtest=tested,
            influence=told,
            seed=sown,
            **options,
        )
    say(f"wrote {output}")


def _span(text: str) -> tuple[float, float]:
    from bayescale.cli.inputs import number

    low, colon, high = text.partition(":")
    if not (colon and low and high):
        raise InputError(f"--span: {text!r} is not LOW:HIGH, such as 1e22:1e25")
    return number("--span", low), number("--span", high)


def _check_path(path: Path, *, force: bool) -> None:
    """Make sure that the page can be written, before any work is done for it."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path}: a report is a page whose name ends in .html")
    if path.is_dir() or not path.parent.is_dir():
        wrong = "it is a folder" if path.is_dir() else f"the folder {path.parent} does not exist"
        raise InputError(f"cannot write {path}: {wrong}")
    if path.exists() and not force and _MARK not in path.read_bytes()[:2000]:
        raise InputError(
            f"{path} exists and is not a bayescale report; give another name, or --force to "
            "replace it"
        )


def _read_backtest(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        table: pd.DataFrame = pd.read_csv(path)
    except OSError:
        raise
    except Exception as error:
        raise InputError(f"{path} cannot be read as a table: {error}") from None
    return table


def _backtest(fit: Fit, seed: int) -> pd.DataFrame:
    """The law tried on the fit's own runs: the larger predicted from the smaller."""
    from bayescale.checking.validation import backtest
    from bayescale.fitting.refits import options_of, table_of

    return backtest(fit.law, table_of(fit), seed=seed, **options_of(fit))
