"""The command ``report``: a page for the person who signs off the budget."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bayescale.cli import options as opt
from bayescale.cli.inputs import check_place
from bayescale.common.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from bayescale.fitting.fits import Fit

__all__ = ["report"]

#: How a page of ours begins, by which an earlier report is told from another file.
_MARK = b'<meta name="generator" content="bayescale'


def report(
    fits: opt.ReportedFits,
    output: opt.Page,
    budget: opt.BudgetToAnswer = None,
    span: opt.Span = None,
    question: opt.Question = None,
    backtest: opt.Backtest = False,
    backtest_table: opt.BacktestTable = None,
    influence: opt.Influence = False,
    ledger: opt.LedgerToShow = None,
    within: opt.Within = 0.005,
    plans: opt.Plans = opt.Plans(),
    group: opt.Group = None,
    law: opt.OwnLaws = None,
    prob: opt.Prob = 0.9,
    seed: opt.Seed = 0,
    force: opt.Force = False,
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
    from bayescale.cli.inputs import open_fits
    from bayescale.cli.output import say

    options = plans.options
    _check_path(output, force=force)
    loaded = open_fits(fits, law or ())
    if group is not None:
        from bayescale.fitting.groups import group as one_group

        loaded = {name: one_group(fit, group) for name, fit in loaded.items()}
    if backtest and backtest_table is not None:
        raise InputError("--backtest and --backtest-table are two ways to one table; give one")
    tested: pd.DataFrame | None = None
    if backtest_table is not None:
        tested = _read_backtest(backtest_table)
    elif backtest:
        tested = _backtest(next(iter(loaded.values())), seed)

    told = None
    if influence:
        if budget is None:
            raise InputError("--influence is about the plan for a --budget; give one")
        from bayescale.checking.influence import influence as without

        first = next(iter(loaded.values()))
        told = without(first, budget.flops, of="loss", seed=seed, options=options)

    from bayescale.report import write_report

    write_report(
        loaded,
        output,
        budget=None if budget is None else budget.text,
        span=span,
        question=question,
        prob=prob,
        within=within,
        backtest=tested,
        influence=told,
        ledger=None if ledger is None else _read_ledger(ledger),
        seed=seed,
        progress=True,  # In a log, too: a calibrated fit takes its time.
        **options,
    )
    say(f"wrote {output}")


def _check_path(path: Path, *, force: bool) -> None:
    """Make sure that the page can be written, before any work is done for it."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path}: a report is a page whose name ends in .html")
    check_place(path, f"cannot write {path}")
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


def _read_ledger(path: Path) -> pd.DataFrame:
    """Forecasts and their outcomes, from the file that ``bayescale forecast`` keeps."""
    from bayescale.prediction.forecasts import ledger_table, read_ledger

    entries = read_ledger(path)
    if not entries:
        raise InputError(f"{path} holds no outcomes of forecasts; bayescale forecast keeps them")
    return ledger_table(entries)


def _backtest(fit: Fit, seed: int) -> pd.DataFrame:
    """The law tried on the fit's own runs: the larger predicted from the smaller."""
    from bayescale.checking.validation import backtest
    from bayescale.fitting.refits import options_of, table_of

    return backtest(fit.law, table_of(fit), seed=seed, **options_of(fit))
