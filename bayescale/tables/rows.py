"""Which rows of a table are runs: how they are called, which are asked for, which say nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayescale.common.errors import InputError
from bayescale.common.wording import here, listed
from bayescale.language.remedies import called
from bayescale.language.variables import VARIABLES
from bayescale.tables.columns import Chosen

__all__ = ["labelled", "missing", "no_runs", "selected", "states"]

_SUMMARIES = frozenset({
    *("mean", "average", "avg", "median", "std", "stdev", "sd", "sum", "total", "min", "max"),
    *("minimum", "maximum", "count", "n", "var", "variance", "overall", "all", "summary"),
})  # fmt: skip
_STATES = re.compile(r"(?i)(?:job_?|run_?)?(?:state|status)")
_FINISHED = frozenset({
    *("finished", "completed", "complete", "done", "success", "succeeded", "successful", "ok"),
})  # fmt: skip


def labelled(frame: pd.DataFrame, chosen: Chosen, lines: Sequence[str] | None) -> pd.DataFrame:
    """The table with rows called by their run's name and line, if it comes from a file."""
    if lines is None:
        return frame
    names = list(lines)
    for column in chosen.labels:
        values = frame[column]
        if values.notna().all():
            names = [f"{str(x)[:60]} ({line})" for x, line in zip(values, names, strict=True)]
            break
    return frame.set_axis(pd.Index(names, dtype=object), axis=0)


def selected(frame: pd.DataFrame, named: pd.DataFrame, where: str) -> np.ndarray:
    """Which rows a query keeps, over the columns of the file and the vocabulary's.

    Raises
    ------
    InputError
        If it is no query, or keeps nothing.
    """
    both = named.join(frame[[c for c in frame if c not in named.columns]].set_axis(named.index))
    try:
        keep = both.eval(where)
        if getattr(getattr(keep, "dtype", None), "kind", "") != "b":
            raise ValueError("it does not say yes or no for every row")
        kept: np.ndarray = keep.fillna(False).to_numpy(bool)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        option = here(python="where=", prompt="--where ")
        raise InputError(
            f"{option}{where!r}: {reason}; it is a pandas query, such as 'N > 1e9 and D < 1e12', "
            f"over the columns {', '.join(map(str, both.columns))}",
            code="where",
        ) from None
    if not kept.any():
        option = here(python="where=", prompt="--where ")
        raise InputError(f"{option}{where!r} keeps none of the {len(frame)} rows", code="where")
    return kept


def no_runs(frame: pd.DataFrame, chosen: Chosen) -> tuple[np.ndarray, list[str]]:
    """Which rows are runs, and what is said of those that summarise others."""
    core = [one for q, one in chosen.columns.items() if q in VARIABLES]
    keep, told = np.ones(len(frame), dtype=bool), []
    for i in range(len(frame)):
        words = [str(x).strip().lower().rstrip(":.") for x in frame.iloc[i] if isinstance(x, str)]
        lacking = sum(not np.isfinite(one.values[i]) for one in core)
        if lacking and any(word in _SUMMARIES for word in words):
            keep[i] = False
            row = ", ".join("" if pd.isna(x) else str(x) for x in frame.iloc[i])
            told.append(f"{frame.index[i]} is no run and is left out: {row[:80]}")
    return (keep, told) if keep.any() else (np.ones(len(frame), dtype=bool), [])


def missing(
    frame: pd.DataFrame, chosen: Chosen, drop: bool | Sequence[str]
) -> tuple[np.ndarray, list[str]]:
    """Which rows have all that is needed, and what is said of those that are dropped.

    Parameters
    ----------
    frame
        The table, its rows labelled.
    chosen
        What its columns are.
    drop
        False refuses cells that hold words and leaves empty ones to whoever needs them; True drops
        rows that lack a core quantity, and a list of names those that lack one of these.

    Raises
    ------
    InputError
        If a cell is no number and rows are not to be dropped.
    """
    wanted = [q for q in chosen.columns if q in VARIABLES]
    if drop is not False:
        needs = ("N", "N_active", "D", "loss") if drop is True else tuple(drop)
        wanted = [q for q in wanted if q in needs or chosen.columns[q].told]
    why: dict[int, str] = {}
    for quantity in wanted:
        one = chosen.columns[quantity]
        for i in np.flatnonzero(~np.isfinite(one.values)):
            text = one.wrong.get(int(i))
            value = one.values[i]
            said = f"{text!r}" if text else "infinite" if np.isinf(value) else "missing"
            name = quantity if one.column in ("", quantity) else f"{quantity} ({one.column!r})"
            why.setdefault(int(i), f"{name} is {said}")
    keep = np.ones(len(frame), dtype=bool)
    if drop is not False:
        keep[list(why)] = False
        if why and not keep.any():
            raise InputError(f"every row lacks a value: {frame.index[0]}, {why[0]}")
        dropped = [f"{frame.index[i]}: {why[i]}" for i in sorted(why)]
        if not dropped:
            return keep, []
        return keep, [f"{len(why)} of {len(frame)} rows are dropped: {listed(dropped, 50)}"]
    _refuse_words(frame, chosen)
    return keep, []


def _refuse_words(frame: pd.DataFrame, chosen: Chosen) -> None:
    """Refuse cells with words where numbers are meant."""
    for quantity, one in chosen.columns.items():
        if not one.wrong or quantity not in VARIABLES:
            continue
        rows = [f"{called(frame.index[i])}: {text!r}" for i, text in one.wrong.items()]
        first, *others = rows
        more = f" ({len(rows)} of {len(frame)} rows, also {listed(others, 5)})" if others else ""
        text = next(iter(one.wrong.values()))
        way = here(python="drop_missing=True", prompt="--drop-missing")
        row = first.rpartition(": ")[0]
        raise InputError(
            f"column {one.column!r}, {row}: {text!r} is not a number{more}; write it as 7B, "
            f"1.4T (suffixes k, M, B, T), 5.8e23 or 1_000, or leave such rows out with {way}",
            code="not-a-number",
        )


def states(frame: pd.DataFrame) -> list[str]:
    """What a column of states says of runs that have not finished."""
    for column in map(str, frame.columns):
        if not _STATES.fullmatch(column.rpartition(".")[2].rpartition("/")[2]):
            continue
        values = frame[column]
        if not all(isinstance(x, str) for x in values.dropna()):
            continue
        plain = values.fillna("").astype(str).str.strip()
        other = ~plain.str.lower().isin(_FINISHED)
        if not other.any():
            return []
        done = plain[~other]
        said = [
            f"{word or 'nothing'!r} of {listed(list(map(str, frame.index[plain == word])), 4)}"
            for word in dict.fromkeys(plain[other])
        ]
        name = column if column.isidentifier() else f"`{column}`"
        query = f"{name} == '{done.iloc[0]}'" if len(done) else ""
        way = here(python=f'where="{query}"', prompt=f'--where "{query}"')
        how = f"; {way} keeps the finished" if query else ""
        return [f"column {column!r} says {listed(said)}{how}"]
    return []
