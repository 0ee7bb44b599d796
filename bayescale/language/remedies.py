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

if TYPE_CHECKING:
    import pandas as pd

    from bayescale.language.variables import Variable


def where(name: str, bad: np.ndarray, rows: Sequence[Any] | pd.Index | None, note: str = "") -> str:
    """Name the column and the first bad row, or the input and the first bad element."""
    position = int(np.flatnonzero(bad)[0])
    if rows is not None:
        label = rows[position]
        label = label.item() if isinstance(label, np.generic) else label
        return f"column {name!r}{note}, row {label!r}"
    if bad.ndim == 0:
        return f"{name!r}{note}"
    index = tuple(int(i) for i in np.unravel_index(position, bad.shape))
    return f"{name!r}{note}, element {index[0] if len(index) == 1 else index}"


def how_many(bad: np.ndarray, rows: Sequence[Any] | pd.Index | None) -> str:
    """Count the bad rows or values; nothing for a single number."""
    if bad.ndim == 0:
        return ""
    return f" ({int(bad.sum())} of {bad.size} {'rows' if rows is not None else 'values'})"


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


_SUPPLY = {
    "N": "it follows from N_active and S",
    "N_active": "if every run is dense, use runs.assign(N_active=runs['N']); "
    "otherwise it follows from N and S",
    "S": "if every run is dense, use runs.assign(S=0.0); otherwise it follows from N and N_active",
    "G": "if experts are as wide as the dense layer, use runs.assign(G=1.0)",
    "experts": "if every run is dense, use runs.assign(experts=1)",
    "expansion": "if every run is dense, use runs.assign(expansion=1.0)",
    "D_unique": "if no token was repeated, use runs.assign(D_unique=runs['D'])",
    "flops": "it follows from N_active and D",
}


def missing_column(
    known: Variable,
    columns: Sequence[str],
    vocabulary: Container[str],
    sources: Iterable[Variable] = (),
) -> str:
    """Say that a column is missing, what is there, and how to supply it.

    `sources` are the variables, missing as well, from which it would follow.
    """
    name = known.name
    meaning = f" ({known.description})" if known.description else ""
    listed = ", ".join(repr(column) for column in columns) or "none"
    remedy = _SUPPLY.get(name, "add it to the table")
    # A header that already means something else is not offered: it would leave that one missing.
    free = [column for column in columns if column not in vocabulary]
    for wanted in (known, *sources):
        near = _nearest(wanted, free)
        if near is not None:
            remedy = f'if {near!r} is {wanted.name}, use runs.rename(columns={{"{near}": '
            remedy += f'"{wanted.name}"}})'
            if wanted is not known:
                remedy += f", from which {name} follows"
            break
    return f"the table has no column {name!r}{meaning}; its columns are {listed}; {remedy}"


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
