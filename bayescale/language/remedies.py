"""The words of an `InputError` about a table: where the fault is, and how to undo it.

Nothing here decides whether a value can be used; `variables` does, and asks for words.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Container, Iterable, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.wording import column_option, here, listed

if TYPE_CHECKING:
    import pandas as pd

    from bayescale.language.variables import Variable


_PLACE = re.compile(r"(?:^|\()(?:line|row|entry) \d+\)?$")


def where(name: str, bad: np.ndarray, rows: Sequence[Any] | pd.Index | None, note: str = "") -> str:
    """Name the column and the first bad row, or the input and the first bad element."""
    position = int(np.flatnonzero(bad)[0])
    if rows is not None:
        return f"column {name!r}{note}, {called(rows[position])}"
    if bad.ndim == 0:
        return f"{name!r}{note}"
    index = tuple(int(i) for i in np.unravel_index(position, bad.shape))
    return f"{name!r}{note}, element {index[0] if len(index) == 1 else index}"


def called(label: Any) -> str:
    """How to call a row: by its run's name and line where its table says so.

    Examples
    --------
    >>> called("run2 (line 4)"), called(3), called("b")
    ('run2 (line 4)', 'row 3', "row 'b'")
    """
    label = label.item() if isinstance(label, np.generic) else label
    if isinstance(label, str) and _PLACE.search(label):
        return label
    return f"row {label!r}"


def how_many(bad: np.ndarray, rows: Sequence[Any] | pd.Index | None) -> str:
    """Count the bad rows or values; nothing for a single number."""
    if bad.ndim == 0:
        return ""
    also = ""
    if rows is not None and int(bad.sum()) > 1:
        others = [called(rows[int(i)]) for i in np.flatnonzero(bad)[1:]]
        also = f", also {listed(others, 5)}"
    return f" ({int(bad.sum())} of {bad.size} {'rows' if rows is not None else 'values'}{also})"


def no_value(name: str, bad: np.ndarray, *, in_table: bool) -> tuple[str, str]:
    """Return the reason and the remedy for values that are missing or infinite."""
    reason = f"the value is {'missing' if np.isnan(bad.flat[0]) else 'infinite'}"
    if not np.isnan(bad).all() and not np.isinf(bad).all():
        reason = "the value is missing or infinite"
    if not in_table:
        return reason, "give a finite number"
    return reason, here(
        python=f"leave such rows out with read_runs(..., drop_missing=True) or "
        f"runs.dropna(subset=[{name!r}]), or fill them in",
        prompt="leave such runs out with --drop-missing, or fill them in",
    )


_SUFFIXES = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12}


def not_a_number(name: str, value: Any, *, in_table: bool) -> tuple[str, str]:
    """Return the reason and the remedy for a value that is not a number."""
    if not isinstance(value, str):
        kind = type(value).__name__
        return f"{value!r} is not a number ({kind})", f"give {name} as a plain number"
    reason = f"{value!r} is text, not a number"
    try:
        float(value)
    except ValueError:
        pass
    else:
        if in_table:
            return reason, f"convert the column with pd.to_numeric(runs[{name!r}])"
    match = re.fullmatch(r"\s*([\d.,_ ]*\d)\s*([KMBGT]?)\s*", value, flags=re.IGNORECASE)
    if match:
        try:
            number = float(re.sub(r"[,_ ]", "", match[1])) * _SUFFIXES[match[2].upper()]
        except ValueError:
            pass
        else:
            return reason, f"write it as {number:g}"
    return reason, f"give {name} as a plain number"


# Where counts usually lie, to tell which unit a column was probably written in.
_USUAL = {"parameters": (1e6, 1e13), "tokens": (1e8, 1e14), "FLOP": (1e15, 1e28)}
_UNITS = {
    "parameters": (("billions", "1e9", 1e9), ("millions", "1e6", 1e6)),
    "tokens": (("billions", "1e9", 1e9), ("millions", "1e6", 1e6)),
    "FLOP": (("petaFLOP/s-days", "8.64e19", 8.64e19), ("exaFLOP", "1e18", 1e18)),
}


def out_of_range(known: Variable, bad: np.ndarray) -> str:
    """Guess from all the values out of range which mistake it was, and say how to undo it."""
    low, high = float(bad.min()), float(bad.max())
    guesses = []
    if known.unit in _UNITS and low > 0:
        usual_low, usual_high = _USUAL[known.unit]
        guesses = [
            f"if it is in {unit}, multiply it by {text}"
            for unit, text, factor in _UNITS[known.unit]
            if usual_low <= low * factor and high * factor <= usual_high
        ]
        # Not for whole numbers: 7 is "7 billion" far more often than "ten to the seventh".
        exponents = known.low <= 10.0 ** min(low, 300.0) and 10.0 ** min(high, 300.0) <= known.high
        if exponents and not np.array_equal(bad, np.round(bad)):
            guesses.append("if it is a base-10 logarithm, use 10**")
    elif known.name == "S" and low >= 1:
        if high == 1:
            guesses = ["S = 1 would leave no active parameter"]
        elif high <= 100:
            guesses = ["if it is in per cent, divide it by 100"]
    elif known.name == "S":
        guesses = ["N_active cannot exceed N"]
    elif known.name == "loss":
        guesses = ["if it is a logarithm of the loss, or a log-likelihood, convert it to a loss"]
        if low > 0:
            guesses = ["if it is a perplexity, take its natural logarithm"]
    return "; ".join(guesses) or "check its unit and correct it, or leave it out"


# When a constant or another column would serve, and from what else the quantity follows.
_SUPPLY = {
    "N": ("", "", "it follows from flops and D, or from N_active and S"),
    "D": ("", "", "it follows from flops and N, or from steps, batch size and sequence length"),
    "N_active": ("if every run is dense", "N", "otherwise it follows from N and S"),
    "S": ("if every run is dense", "0.0", "otherwise it follows from N and N_active"),
    "G": ("if experts are as wide as the dense layer", "1.0", ""),
    "experts": ("if every run is dense", "1", ""),
    "expansion": ("if every run is dense", "1.0", ""),
    "D_unique": ("if no token was repeated", "D", "otherwise it follows from D and epochs"),
    "flops": ("", "", "it follows from N and D"),
}


def _supply(name: str) -> str:
    """How to supply a quantity."""
    case, value, follows = _SUPPLY.get(name, ("", "", "add it to the table"))
    if not case:
        return follows
    of = f"runs[{value!r}]" if value[0].isalpha() else value
    way = here(python=f"use runs.assign({name}={of})", prompt=f"add a column {name} with {value}")
    return "; ".join(filter(None, (f"{case}, {way}", follows)))


def missing_column(
    known: Variable,
    columns: Sequence[str],
    vocabulary: Container[str],
    sources: Iterable[Variable] = (),
    hint: str = "",
) -> str:
    """Say that a column is missing, what is there, and how to supply it.

    `sources` are the variables, missing as well, from which it would follow; `hint` is what whoever
    read the table found instead.
    """
    name = known.name
    meaning = f" ({known.description})" if known.description else ""
    shown = ", ".join(repr(column) for column in columns) or "none"
    if hint:
        return f"the table has no column {name!r}{meaning}; {hint}; its columns are {shown}"
    remedy = _supply(name)
    # A header that already means something else is not offered: it would leave that one missing.
    free = [column for column in columns if column not in vocabulary]
    for wanted in (known, *sources):
        near = _nearest(wanted, free)
        if near is not None:
            way = here(
                python=f'use runs.rename(columns={{"{near}": "{wanted.name}"}})',
                prompt=f"give {column_option(wanted.name, near)}",
            )
            remedy = f"if {near!r} is {wanted.name}, {way}"
            if wanted is not known:
                remedy += f", from which {name} follows"
            break
    return f"the table has no column {name!r}{meaning}; its columns are {shown}; {remedy}"


def other_meaning(known: Variable, usual: Variable, column: str) -> str:
    """Say that a header means the usual quantity, and this law another of the same name."""
    told = column_option(known.name, column)
    other = column_option(known.name, "...")
    return (
        f"column {column!r} reads as {usual.description}, and here {known.name} means "
        f"{known.description}; give the column that has these: {other}, or, if it is that one, "
        f"{told}"
    )


def _nearest(known: Variable, columns: Sequence[str]) -> str | None:
    """Return the column that is probably the variable under another header."""

    def plain(text: str) -> str:
        return re.sub(r"[^a-z0-9]", "", text.lower())

    candidates = {plain(column): column for column in columns}
    words = [plain(word) for word in (known.name, *known.aliases)]
    for word in words:
        if word in candidates:
            return candidates[word]
    # A near miss of one or two letters says nothing.
    for word in words:
        close = difflib.get_close_matches(word, candidates, n=1, cutoff=0.8)
        if close and len(word) > 2:
            return candidates[close[0]]
    return None


def not_a_table(runs: Any) -> str:
    """Say that something is no DataFrame, and how to make it one."""
    if isinstance(runs, str | PathLike):
        remedy = f"pd.read_csv({str(runs)!r})"
    else:
        methods = (name for name in ("to_dataframe", "to_pandas") if hasattr(runs, name))
        method = next(methods, None)
        remedy = "pd.DataFrame(runs)" if method is None else f"runs.{method}()"
    return f"a table of runs is a pandas DataFrame, not {type(runs).__name__}; try {remedy}"
