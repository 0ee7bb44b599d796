"""What a plan owes to how the runs' parameters and tokens are counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number
from bayescale.decisions.decision import decide
from bayescale.fitting.diagnostics import diagnose
from bayescale.fitting.inference import fit
from bayescale.language.compute import tokens_per_parameter
from bayescale.language.law import Law
from bayescale.prediction.predict import interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["plan_by_count"]


def plan_by_count(
    law: Law,
    tables: Mapping[str, pd.DataFrame],
    budget: float,
    *,
    plan: Mapping[str, Any] | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Fit a law to every count that a table has, and decide on the plan of a budget with each.

    Parameters
    ----------
    law
        The law.
    tables
        Runs by the column that was taken, as :func:`every_count` returns them.
    budget
        Training FLOPs. Each plan spends them as its own count of parameters has it.
    plan
        Arguments of :func:`decide`.
    **options
        Of :func:`fit`.

    Returns
    -------
    pandas.DataFrame
        One row a count: ``count``, what is counted; the plan's inputs; ``tokens_per_parameter``,
        where known; ``expected_loss`` and its 90 % interval, ``loss_lower`` and ``loss_upper``,
        in the runs' unit; and ``trusted``, whether the fit passed its diagnostics.
        ``attrs["reading"]`` says in a sentence what the plan owes to the choice.

    Raises
    ------
    InputError
        If there are fewer than two tables, or a table or the arguments cannot be used.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> tables = bs.every_count("runs.csv")  # doctest: +SKIP
    >>> bs.plan_by_count(dense, tables, 1e21, seed=1)  # doctest: +SKIP
    """
    import pandas as pd

    if len(tables) < 2:
        raise InputError("what a plan owes to the count shows with two counts or more")
    rows: dict[str, dict[str, Any]] = {}
    for column, runs in tables.items():
        fitted = fit(law, runs, **options)
        best = decide(fitted, budget, **dict(plan or {}) | {"trust": True})
        inputs = {name: float(best[name]) for name in law.inputs}
        row: dict[str, Any] = {"count": runs.attrs.get("count", ""), **inputs}
        ratio = tokens_per_parameter(law, inputs)
        row |= {} if ratio is None else {"tokens_per_parameter": float(ratio)}
        lower, upper = interval(best.loss, 0.9).values.ravel()
        row |= {"expected_loss": float(best.expected_loss)}
        row |= {"loss_lower": float(lower), "loss_upper": float(upper)}
        rows[column] = row | {"trusted": bool(diagnose(fitted).attrs["ok"])}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.attrs = {"law": law.name, "budget": float(budget), "reading": _reading(table, budget)}
    return table


def _reading(table: pd.DataFrame, budget: float) -> str:
    """What the plan owes to the choice."""
    said = []
    for name, what in (("D", "tokens"), ("tokens_per_parameter", "tokens per parameter")):
        if name in table:
            low, high = table[name].min(), table[name].max()
            span = f"{format_number(low)} to {format_number(high)} {what}"
            said.append(f"{span} (a factor of {high / low:.2g})")
    losses = f"a loss of {table.expected_loss.min():.3f} to {table.expected_loss.max():.3f}"
    doubtful = table.index[~table.trusted]
    warning = f" Not to be trusted yet: {', '.join(map(repr, doubtful))}." if len(doubtful) else ""
    return (
        f"By which of {len(table)} counts is taken, the plan for {budget:.3g} FLOP has "
        f"{', '.join(said)} and {losses}; a plan's parameters are those of its own count.{warning}"
    )
