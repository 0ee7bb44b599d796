"""Which column of a table is which quantity, in which unit.

What a header means is looked up; where two columns could be meant nothing is guessed, and all that
is unclear about a table is said at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bayescale.common.errors import InputError
from bayescale.common.quantities import parse_number
from bayescale.common.wording import column_option, here, listed
from bayescale.language.remedies import called
from bayescale.language.variables import VARIABLES, variable
from bayescale.tables.cells import EMPTY, read_cell
from bayescale.tables.tracker_names import (
    LOGARITHM,
    OWN_UNITS,
    PARAMETERS,
    Meaning,
    is_count,
    meaning_of,
    measure_of,
)

__all__ = ["CORE", "LOGGED", "Chosen", "Column", "choose", "size_hint"]

#: What a law is made of. A column taken for one of these is held to it; another can be left aside.
CORE = ("N", "N_active", "D", "loss")
#: What a row says of how its run was made; such columns keep their names.
LOGGED = ("step", "max_steps", "lr", "batch", "batch_tokens", "seq_len", "epochs")

_COUNTS = ("N", "N_active", "D")
_FACTORS = re.compile(r"\s*\*\s*")
_PATTERN = re.compile(r"(?P<column>.+?)\s*:\s*(?P<pattern>.*\{\}.*)")
_SIZE = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?[kKmMbB])(?=$|[^A-Za-z0-9])")


@dataclass(frozen=True)
class Column:
    """A column that was read as a quantity.

    Attributes
    ----------
    column
        Its header; nothing of what was worked out.
    values
        Numbers in the quantity's unit; nan where a cell holds none.
    rank
        Which of several columns is meant: the lowest.
    note
        What is to be said of it.
    unit
        Of a loss that stays in its own unit.
    wrong
        Text by position of cells that are neither numbers nor empty.
    told
        Whether somebody named it, or it has the quantity's own name.
    """

    column: str
    values: Any
    rank: float
    note: str
    unit: str = ""
    wrong: Mapping[int, str] = field(default_factory=dict)
    told: bool = False


@dataclass(frozen=True)
class Chosen:
    """What the columns of a table are.

    Attributes
    ----------
    columns
        By quantity.
    labels
        Columns that may name runs, the likeliest first.
    notes
        What is to be said of each quantity, and of the table (under ``""``).
    counts
        Of parameters and of tokens, where the table counts them in several ways: the column that
        was taken and the others.
    """

    columns: dict[str, Column]
    labels: list[str]
    notes: dict[str, list[str]]
    counts: dict[str, list[str]] = field(default_factory=dict)


def choose(table: pd.DataFrame, given: Mapping[str, str]) -> Chosen:
    """The column of every quantity, those that may name runs, and what to say of the others.

    Raises
    ------
    InputError
        If a named column is not there, or two columns could be one quantity.
    """
    told, taken, labels = _all_told(table, given)
    found: dict[str, list[Column]] = {}
    notes: dict[str, list[str]] = {}
    named: list[tuple[float, str]] = []
    counts: dict[str, list[str]] = {}
    for column in map(str, table.columns):
        if column in taken:
            continue
        meaning = meaning_of(column)
        if meaning is None or meaning.quantity in given:
            continue
        if meaning.quantity == "run":
            named.append((meaning.rank, column))
            continue
        one = _read_column(table, column, meaning)
        if one is not None:
            found.setdefault(meaning.quantity, []).append(one)
    chosen: dict[str, Column] = {}
    unclear: list[str] = []
    for quantity, candidates in found.items():
        best, question = _best(quantity, candidates)
        if question:
            unclear.append(question)
        others = [one.column for one in candidates if one is not best]
        if others and quantity in VARIABLES:
            be = "is" if len(others) == 1 else "are"
            notes.setdefault(quantity, []).append(
                f"{listed(list(map(repr, others)))} {be} left aside"
            )
        chosen[quantity] = best
        if quantity in _COUNTS:
            counts[quantity] = [best.column, *others]
    chosen |= told
    labels += [column for _, column in sorted(named)]
    if unclear:
        if not {"N", "N_active"} & set(chosen) and (hint := size_hint(table, labels)):
            unclear.append(f"there is no column 'N' either: {hint}")
        raise InputError("; ".join(unclear), code="which-column")
    order = [*VARIABLES, *sorted(set(chosen) - set(VARIABLES))]
    if "N" in chosen and (others := _other_counts(table, chosen)):
        shown = listed(list(map(repr, others)))
        notes.setdefault("N", []).append(f"other counts of parameters: {shown}")
        own = counts.setdefault("N", [chosen["N"].column])
        own += [column for column in others if is_count("N", column)]
    counts = {quantity: columns for quantity, columns in counts.items() if len(columns) > 1}
    return Chosen({q: chosen[q] for q in order if q in chosen}, labels, notes, counts)


def _other_counts(table: pd.DataFrame, chosen: Mapping[str, Column]) -> list[str]:
    """Other columns that seem to count parameters."""
    taken = {one.column for one in chosen.values()}
    found = []
    for column in map(str, table.columns):
        words = re.split(r"[^a-z]+", column.lower())
        values = table[column]
        counts = PARAMETERS & set(words)
        if counts and column not in taken and values.dtype.kind in "iuf":
            meaning = meaning_of(column)
            known = meaning is not None and meaning.quantity in VARIABLES
            if not known and values.median() >= 1e4:
                found.append(column)
    return found


def _all_told(
    table: pd.DataFrame, given: Mapping[str, str]
) -> tuple[dict[str, Column], list[str], list[str]]:
    """What somebody named: columns by quantity, those that are used up, and the runs' names."""
    labels: list[str] = []
    told: dict[str, Column] = {}
    taken: list[str] = []
    for quantity, text in given.items():
        if quantity == "run":
            column = _there(table, quantity, str(text).strip())
            labels.append(column)
            taken.append(column)
            continue
        told[quantity] = _told(table, quantity, str(text).strip())
        if told[quantity].column in table.columns:
            taken.append(told[quantity].column)
    twice = [column for column in taken if taken.count(column) > 1]
    if twice:
        option = here(python="columns=", prompt="--column")
        raise InputError(f"{option} gives {twice[0]!r} for two quantities; a column is one")
    return told, taken, labels


def _there(table: pd.DataFrame, quantity: str, column: str) -> str:
    if column not in table.columns:
        columns = ", ".join(map(repr, map(str, table.columns)))
        option = here(python="columns=", prompt="--column")
        raise InputError(
            f"{option} gives {column!r} for {quantity!r}, and there is no such column; there are "
            f"{columns}",
            code="no-column",
        )
    return column


def _told(table: pd.DataFrame, quantity: str, text: str) -> Column:
    """A column that somebody named, a product of columns and numbers, or part of a text."""
    if text not in table.columns:
        match = _PATTERN.fullmatch(text)
        if match and match["column"] in table.columns:
            return _from_text(table, quantity, match["column"], match["pattern"])
        parts = _FACTORS.split(text)
        if len(parts) > 1:
            return _product(table, quantity, parts)
    _there(table, quantity, text)
    return _as_told(table, quantity, text, 1.0)


def _as_told(table: pd.DataFrame, quantity: str, column: str, factor: float) -> Column:
    measure = measure_of(column) if quantity == "loss" else ""
    note = LOGARITHM if measure == "perplexity" else ""
    unit = measure if measure in OWN_UNITS and factor == 1.0 else ""
    note = f"in {unit}, and fitted in that unit" if unit else note
    meaning = Meaning(quantity, -1.0, note, factor, exact=True, measure=measure)
    found = _read_column(table, column, meaning)
    if found is None:
        raise InputError(f"column {column!r}, given for {quantity!r}, is empty")
    note = "; ".join(filter(None, ("as told", found.note)))
    return Column(column, found.values, -1.0, note, unit, found.wrong, told=True)


def _product(table: pd.DataFrame, quantity: str, parts: list[str]) -> Column:
    """A product of columns and numbers."""
    columns = [part for part in parts if part in table.columns]
    factor = (
        math.prod(parse_number(part) for part in parts if part not in table.columns)
        if all(p in table.columns or _is_number(p) for p in parts)
        else math.nan
    )
    if math.isnan(factor):
        absent = next(p for p in parts if p not in table.columns and not _is_number(p))
        _there(table, quantity, absent)
    if not columns:
        raise InputError(f"columns= gives {' * '.join(parts)!r} for {quantity!r}: no column in it")
    if len(columns) == 1:
        return _as_told(table, quantity, columns[0], factor)
    values: Any = factor
    wrong: dict[int, str] = {}
    for column in columns:
        one = _read_column(table, column, Meaning("", exact=True))
        if one is None:
            raise InputError(f"column {column!r}, given for {quantity!r}, is empty")
        values = values * one.values
        wrong |= one.wrong
    return Column(" * ".join(parts), values, -1.0, "as told", "", wrong, told=True)


def _is_number(text: str) -> bool:
    try:
        parse_number(text)
    except InputError:
        return False
    return True


def _from_text(table: pd.DataFrame, quantity: str, column: str, pattern: str) -> Column:
    """Numbers out of a text by a pattern with ``{}`` in the place of the number."""
    before, _, after = pattern.partition("{}")
    number = r"(\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?[kKmMbBtT]?)"
    # The longest number: what follows must not go on with it.
    search = re.compile(re.escape(before) + number + (re.escape(after) or r"(?![A-Za-z0-9]|\.\d)"))
    values = np.full(len(table), math.nan)
    wrong: dict[int, str] = {}
    for i, text in enumerate(table[column]):
        match = search.search(str(text)) if isinstance(text, str) else None
        if match:
            values[i] = parse_number(match[1].replace(",", "."))
        else:
            wrong[i] = str(text)
    if np.isnan(values).all():
        raise InputError(
            f"no text in column {column!r} has the form {pattern!r}, such as "
            f"{table[column].iloc[0]!r}; {{}} stands for the number",
            code="no-pattern",
        )
    note = f"as told, the number in {pattern!r}"
    return Column(f"{column}:{pattern}", values, -1.0, note, "", wrong, told=True)


def size_hint(table: pd.DataFrame, labels: list[str]) -> str:
    """How to take sizes out of the runs' names, if they seem to be there."""
    for column in dict.fromkeys([*labels, *map(str, table.columns)]):
        texts = table[column]
        if not len(texts) or not all(isinstance(x, str) for x in texts):
            continue
        found = [list(_SIZE.finditer(x)) for x in texts]
        for k in range(min(map(len, found))):
            sizes = [matches[k] for matches in found]
            if len({m[1].lower() for m in sizes}) < 2 and len(texts) > 1:
                continue
            text, first = texts.iloc[0], sizes[0]
            head = re.search(r"[^\W\d_]*[-_.=]?$", text[: first.start()])
            before = head[0] if head else ""
            if not all(m.string[: m.start()].endswith(before) for m in sizes):
                continue
            option = column_option("N", f"{column}:{before}{{}}")
            return (
                f"sizes seem to be in {column!r} ({before}{first[1]} in {text[:60]!r}): take them "
                f"with {option} (or as N_active, if they count the parameters used for one token)"
            )
    return ""


def _best(quantity: str, candidates: list[Column]) -> tuple[Column, str]:
    """The one column that is meant, and a question where several could be."""
    least = min(one.rank for one in candidates)
    best = [one for one in candidates if one.rank == least]
    first, *others = best
    unlike = [o for o in others if not np.array_equal(first.values, o.values, equal_nan=True)]
    if quantity in VARIABLES and unlike:
        choices = " or ".join(repr(one.column) for one in best)
        rest = [repr(one.column) for one in candidates if one not in best]
        beside = f" ({listed(rest)} would do too)" if rest and quantity == "loss" else ""
        return first, (
            f"which column is {quantity!r} ({variable(quantity).description}): {choices}"
            f"{beside}? Say so with {column_option(quantity, first.column)}"
        )
    return first, ""


def _read_column(table: pd.DataFrame, column: str, meaning: Meaning) -> Column | None:
    """A column's values in the quantity's unit; None if it cannot be that quantity."""
    values, quantity = table[column], meaning.quantity
    if values.isna().all():
        return None
    if values.dtype.kind == "b":
        if meaning.exact and quantity:
            raise InputError(f"column {column!r}: truth values are no {quantity}")
        return None
    note, wrong = meaning.note, dict[int, str]()
    if values.dtype.kind in "iuf":
        numbers = values.to_numpy(np.float64, na_value=math.nan)
    else:
        numbers, wrong = _parsed_text(values)
        nothing = np.isnan(numbers).all()
        if nothing and not meaning.exact:
            return None
        texts = [str(x).strip() for i, x in enumerate(values) if i not in wrong and _full(x)]
        if any(text[-1:].isalpha() and text[:1].isdigit() for text in texts):
            note = "; ".join(filter(None, (note, "numbers with suffixes")))
            if meaning.factor != 1.0:
                raise InputError(
                    f"column {column!r} has suffixes in its values and a unit besides; drop one of "
                    "the two"
                )
    if meaning.measure == "perplexity":
        if (numbers < 1).any():
            first = int(np.flatnonzero(numbers < 1)[0])
            raise InputError(
                f"column {column!r}, {called(table.index[first])}: {numbers[first]:g} is no "
                "perplexity, which is 1 at least; if it is a loss in nats, rename the column "
                "loss"
            )
        numbers = np.log(numbers)
    unit = meaning.measure if meaning.measure in OWN_UNITS else ""
    return Column(
        column, numbers * meaning.factor, meaning.rank, note, unit, wrong, told=meaning.exact
    )


def _full(value: Any) -> bool:
    return (
        not (value is None or value is pd.NA or value != value)
        and str(value).strip().lower() not in EMPTY
    )


def _parsed_text(values: pd.Series) -> tuple[np.ndarray, dict[int, str]]:
    """Numbers from text such as 7B, and the cells that hold something else, by position."""
    numbers = np.full(len(values), math.nan)
    wrong: dict[int, str] = {}
    for i, value in enumerate(values):
        if not _full(value):
            continue
        text = str(value).strip()
        cell = read_cell(text)
        plain = cell.plain(".")
        if plain is None or cell.words:
            wrong[i] = text
            continue
        try:
            numbers[i] = parse_number(plain)
        except InputError:
            wrong[i] = text
    return numbers, wrong
