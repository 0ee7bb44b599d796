"""Tables of runs that people bring: which column is what, and in which unit.

Experiment trackers have no common vocabulary. What a header means is looked up here, what was
understood is said, and where two columns could be meant nothing is guessed.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayescale.common.errors import InputError
from bayescale.common.quantities import parse_number
from bayescale.language.columns import check_values
from bayescale.language.variables import VARIABLES, variable
from bayescale.tables.curves import TAIL, check_settings, hashable, one_row_a_run
from bayescale.tables.files import read_table
from bayescale.tables.tracker_names import LOGARITHM, Meaning, meaning_of, measure_of

__all__ = ["read_runs"]

#: What a law is made of. A column taken for one of these is held to it; another can be left aside.
_CORE = ("N", "N_active", "D", "loss")
#: What a row says of its run's progress; such columns keep their names.
_LOGGED = ("step", "max_steps", "lr")
_SCALED = re.compile(r"(?P<column>.+?)\s*\*\s*(?P<factor>[^*]+)")


def read_runs(
    source: str | os.PathLike[str] | pd.DataFrame,
    *,
    columns: Mapping[str, str] | None = None,
    checkpoints: str = "refuse",
    tail: float = TAIL,
) -> pd.DataFrame:
    """Read a table of runs of one's own in the package's vocabulary.

    Headers of experiment trackers are recognised (``n_params``, ``train/tokens``, ``val_loss``,
    ``val_ppl``, ``config.params (B)`` ...), numbers may have suffixes (``7B``, ``1.4T``), and a
    table of loss curves becomes one row a run. ``attrs`` say what was understood.

    Of a table without losses the perplexity is read: its logarithm is the loss. Bits per byte are
    refused, since how many bytes a token has is not in the table.

    Parameters
    ----------
    source
        A CSV, TSV, Parquet or JSON-lines file, ``"-"`` for CSV on standard input, or a DataFrame.
    columns
        Column by quantity, where it cannot be told or is told wrongly: ``{"N": "size"}``. A factor
        converts units: ``{"N": "size * 1e9"}``. Besides names of inputs it takes ``"run"``, which
        tells runs apart, ``"step"``, ``"max_steps"`` and ``"lr"``, the learning rate.
    checkpoints
        What to do with rows that are no ends of runs, or of runs whose learning rate had not
        decayed: ``"refuse"`` them, since laws are of final losses; keep each run's ``"last"``
        row, whatever its learning rate; or ``"keep"`` all as runs of their own.
    tail
        Share of a run's tokens, at its end, over which a loss curve is averaged.

    Returns
    -------
    pandas.DataFrame
        One row a run; counts and losses are floating point, losses in nats. Other columns keep
        their names. ``attrs["understood"]`` lists, for each quantity, its ``name``, the
        ``column`` it was read from, what was made of it (``note``), its ``unit``, and its
        ``low`` and ``high``; ``attrs["notes"]`` holds more, one note a line; ``attrs["name"]`` the
        file's name; ``attrs["simulated"]`` whether a column ``simulated`` is true anywhere.

    Raises
    ------
    InputError
        If the file cannot be read, two columns could be one quantity, a value is no number or
        out of range, or rows are checkpoints; the message says what to give in ``columns`` or
        ``checkpoints``.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"n_params": ["70M", "0.4B"], "train/tokens": [1.4e9, 8e9],
    ...                       "train_loss": [3.9, 3.1], "val_loss": [4.0, 3.2]})
    >>> runs = read_runs(table)
    >>> runs[["N", "D", "loss"]].to_numpy().tolist()
    [[70000000.0, 1400000000.0, 4.0], [400000000.0, 8000000000.0, 3.2]]
    >>> runs.attrs["understood"][2]["note"]
    "validation loss; 'train_loss' is left aside"
    """
    check_settings(checkpoints, tail)
    table, name = read_table(source)
    repeated = table.columns[table.columns.duplicated()].unique().tolist()
    if repeated:
        raise InputError(
            f"{name or 'the table'} has more than one column {repeated[0]!r}; rename or drop one"
        )
    if not len(table):
        raise InputError(f"{name or 'the table'} has no rows below its header")
    chosen, labels, aside = _choose(table, columns or {})
    table = _make_room(table, chosen)
    inputs = {quantity: one for quantity, one in chosen.items() if quantity not in _LOGGED}
    runs = table.rename(columns={one.column: quantity for quantity, one in inputs.items()})
    for quantity, one in inputs.items():
        runs[quantity] = one.values
    runs, notes = one_row_a_run(
        runs,
        run=[table[column] for column in labels],
        logged={quantity: chosen[quantity].values for quantity in _LOGGED if quantity in chosen},
        checkpoints=checkpoints,
        tail=tail,
    )
    if repeats := int(runs.apply(hashable).duplicated().sum()):
        notes.append(
            f"{repeats} of {len(runs)} rows repeat another in every column, and count as runs of "
            "their own; drop them if they are not"
        )
    made_up = bool(table.attrs.get("simulated", False))
    if "simulated" in runs:
        made_up |= bool(_truths(runs["simulated"]).any())
    runs.attrs = {
        "name": name,
        "understood": [
            _entry(quantity, one, aside.get(quantity, []), runs) for quantity, one in inputs.items()
        ],
        "notes": "\n".join([*aside.get("", []), *notes]),
        "units": {str(c): variable(str(c)).unit for c in runs},
        "simulated": made_up,
    }
    return runs


def _entry(quantity: str, one: _Column, aside: Iterable[str], runs: pd.DataFrame) -> dict[str, Any]:
    """What was made of a quantity, for ``attrs``."""
    entry: dict[str, Any] = {"name": quantity, "column": one.column}
    entry["note"] = "; ".join(filter(None, (one.note, *aside)))
    entry["unit"] = variable(quantity).unit
    if runs[quantity].dtype.kind == "f" and runs[quantity].notna().any():
        entry |= {"low": float(runs[quantity].min()), "high": float(runs[quantity].max())}
    return entry


def _truths(values: pd.Series) -> np.ndarray:
    return values.astype(str).str.strip().str.lower().isin(["true", "1", "1.0", "yes"]).to_numpy()


# --- columns --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    """A column that was read as a quantity."""

    column: str
    values: Any
    rank: float
    note: str


def _choose(
    table: pd.DataFrame, given: Mapping[str, str]
) -> tuple[dict[str, _Column], list[str], dict[str, list[str]]]:
    """The column of every quantity, those that may name runs, and what to say of the others."""
    meant = {quantity: _find(table, quantity, text) for quantity, text in given.items()}
    taken = [column for column, _ in meant.values()]
    twice = [column for column in taken if taken.count(column) > 1]
    if twice:
        raise InputError(f"columns= gives {twice[0]!r} for two quantities; a column is one")
    labels = [meant.pop("run")[0]] if "run" in meant else []
    told = {quantity: _told(table, quantity, *found) for quantity, found in meant.items()}
    found: dict[str, list[_Column]] = {}
    aside: dict[str, list[str]] = {}
    named: list[tuple[float, str]] = []
    in_bits: list[str] = []
    for column in map(str, table.columns):
        if column in taken:
            continue
        meaning = meaning_of(column)
        if meaning is None or meaning.quantity in given:
            continue
        if meaning.quantity == "run":
            named.append((meaning.rank, column))
            continue
        if meaning.measure == "bits per byte":
            in_bits.append(column)
            continue
        try:
            one = _read_column(table, column, meaning)
        except InputError as error:
            # A column by another name may be something else; one of the vocabulary's may not.
            if meaning.exact or meaning.quantity in _CORE:
                raise
            aside.setdefault("", []).append(f"{column!r} is not taken for {error}")
            continue
        if one is not None:
            found.setdefault(meaning.quantity, []).append(one)
    if in_bits and "loss" not in found and "loss" not in told:
        raise _in_bits(in_bits[0])
    chosen: dict[str, _Column] = {}
    for quantity, candidates in found.items():
        best = _best(quantity, candidates)
        others = [one.column for one in candidates if one is not best]
        others += in_bits if quantity == "loss" else []
        if others and quantity in VARIABLES:
            listed = " and ".join(map(repr, others))
            be = "is" if len(others) == 1 else "are"
            aside.setdefault(quantity, []).append(f"{listed} {be} left aside")
        chosen[quantity] = best
    chosen |= told
    labels += [column for _, column in sorted(named)]
    order = [*VARIABLES, *sorted(set(chosen) - set(VARIABLES))]
    return {quantity: chosen[quantity] for quantity in order if quantity in chosen}, labels, aside


def _make_room(table: pd.DataFrame, chosen: Mapping[str, _Column]) -> pd.DataFrame:
    """The table without columns that have a quantity's name and are something else."""
    read = [one.column for one in chosen.values()]
    for quantity, one in chosen.items():
        free = quantity == one.column or quantity not in table.columns or quantity in read
        if free or quantity in _LOGGED:
            continue
        if quantity in VARIABLES and quantity != "loss":
            raise InputError(
                f"column {quantity!r} is there as well as {one.column!r}, which was given for it; "
                "rename or drop one of them"
            )
        # What has the name only by chance makes room for what has the meaning.
        table = table.rename(columns={quantity: f"{quantity}_left_aside"})
    return table


def _find(table: pd.DataFrame, quantity: str, text: str) -> tuple[str, float]:
    """The column that somebody named, and the factor if there is one."""
    column, factor = str(text).strip(), 1.0
    if column not in table.columns and (match := _SCALED.fullmatch(column)):
        column, factor = match["column"], parse_number(match["factor"])
    if column not in table.columns:
        listed = ", ".join(map(repr, map(str, table.columns)))
        raise InputError(
            f"columns= gives {column!r} for {quantity!r}, and there is no such column; there are "
            f"{listed}"
        )
    return column, factor


def _told(table: pd.DataFrame, quantity: str, column: str, factor: float) -> _Column:
    """A column that somebody named."""
    measure = measure_of(column) if quantity == "loss" else ""
    if measure == "bits per byte" and factor == 1.0:
        raise _in_bits(column)
    note = LOGARITHM if measure == "perplexity" else ""
    meaning = Meaning(quantity, -1.0, note, factor, exact=True, measure=measure)
    found = _read_column(table, column, meaning)
    if found is None:
        raise InputError(f"column {column!r}, given for {quantity!r}, is empty")
    return _Column(column, found.values, -1.0, "; ".join(filter(None, ("as told", found.note))))


def _in_bits(column: str) -> InputError:
    return InputError(
        f"column {column!r} is in bits per byte, and losses are in nats per token: multiply it by "
        f"ln 2 times the mean bytes of a token, columns={{'loss': '{column} * 2.91'}} for 4.2 bytes"
    )


def _best(quantity: str, candidates: list[_Column]) -> _Column:
    """The one column that is meant, or an error that says how to tell."""
    least = min(one.rank for one in candidates)
    best = [one for one in candidates if one.rank == least]
    first, *others = best
    for other in others:
        if quantity in VARIABLES and not np.array_equal(first.values, other.values, equal_nan=True):
            listed = " or ".join(repr(one.column) for one in best)
            raise InputError(
                f"which column is {quantity!r} ({variable(quantity).description}): {listed}? Say "
                f"so with columns={{'{quantity}': '{first.column}'}}"
            )
    return first


def _read_column(table: pd.DataFrame, column: str, meaning: Meaning) -> _Column | None:
    """A column's values in the quantity's unit; None if it cannot be that quantity."""
    values, quantity = table[column], meaning.quantity
    if values.isna().all():
        return None
    if values.dtype.kind == "b":
        if meaning.exact:
            raise InputError(f"column {column!r}: truth values are no {quantity}")
        return None
    note = meaning.note
    if values.dtype.kind in "iuf":
        numbers = values.to_numpy(np.float64, na_value=math.nan)
    else:
        parsed = _parsed_text(values, column, meaning)
        if parsed is None:
            return None
        numbers = parsed
        if any(str(value).strip()[-1:].isalpha() for value in values.dropna()):
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
                f"column {column!r}, row {table.index[first]!r}: {numbers[first]:g} is no "
                "perplexity, which is 1 at least; if it is a loss in nats, rename the column "
                "loss"
            )
        numbers = np.log(numbers)
    numbers = numbers * meaning.factor
    if quantity in VARIABLES:
        _check_range(quantity, column, numbers, table.index, meaning)
    return _Column(column, numbers, meaning.rank, note)


def _parsed_text(values: pd.Series, column: str, meaning: Meaning) -> np.ndarray | None:
    """Numbers from text such as 7B; None if none of it is a number and it need not be."""
    numbers = np.full(len(values), math.nan)
    wrong: list[tuple[Any, str]] = []
    for i, (row, value) in enumerate(values.items()):
        text = "" if value is None or value is pd.NA or value != value else str(value).strip()
        if text.lower() in ("", "nan", "none", "null"):
            continue
        try:
            numbers[i] = parse_number(text)
        except InputError as error:
            wrong.append((row, str(error)))
    if wrong:
        if np.isnan(numbers).all() and not meaning.exact:
            return None
        row, why = wrong[0]
        raise InputError(f"column {column!r}, row {row!r}: {why}")
    return numbers


def _check_range(
    quantity: str, column: str, numbers: np.ndarray, rows: pd.Index, meaning: Meaning
) -> None:
    """Refuse what is out of range; missing values are for whoever needs them to refuse."""
    known = np.isfinite(numbers)
    try:
        check_values(quantity, numbers[known], rows=rows[known])
    except InputError as error:
        text = str(error)
        if column != quantity:
            text = text.replace(f"column {quantity!r}", f"{quantity!r}, column {column!r}", 1)
        factor = re.search(r"multiply it by ([\d.e]+)", text)
        if factor:
            text += f": columns={{'{quantity}': '{column} * {factor[1]}'}}"
        elif quantity == "loss" and not meaning.exact:
            text += f"; or name another column: columns={{'{quantity}': '...'}}"
        raise InputError(text) from None
