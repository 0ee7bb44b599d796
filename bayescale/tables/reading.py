"""Tables of runs that people bring: which column is what, and in which unit.

Experiment trackers have no common vocabulary. What a header means is looked up here, what was
understood is said, and where two columns could be meant nothing is guessed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bayescale.common.errors import InputError
from bayescale.common.wording import column_option, here
from bayescale.language.columns import check_values
from bayescale.language.variables import LOSS_UNIT, VARIABLES, variable
from bayescale.tables import doubts, follows, rows
from bayescale.tables.columns import CORE, LOGGED, Chosen, Column, choose, size_hint
from bayescale.tables.curves import TAIL, check_settings, hashable, one_row_a_run
from bayescale.tables.files import read_table
from bayescale.tables.kinds import as_rows
from bayescale.tables.tracker_names import is_count

__all__ = ["read_runs"]

#: What tells how far a run has come.
_PROGRESS = ("step", "max_steps", "lr")


def read_runs(
    source: str | os.PathLike[str] | pd.DataFrame,
    *,
    columns: Mapping[str, str] | None = None,
    where: str | None = None,
    drop_missing: bool | Sequence[str] = False,
    best_of: Sequence[str] = (),
    across: str | None = None,
    sizes: str | os.PathLike[str] | pd.DataFrame | None = None,
    checkpoints: str = "refuse",
    tail: float = TAIL,
) -> pd.DataFrame:
    """Read a table of runs of one's own in the package's vocabulary.

    Headers of experiment trackers are recognised (``n_params``, ``train/tokens``, ``val_loss``,
    ``val_ppl``, ``config.params (B)`` ...), numbers are read as people write them (``7B``,
    ``20,000,000``, ``3,142``, ``**2.81**``), and a table of loss curves becomes one row a run.
    Tokens or sizes without a column follow from compute, or tokens from steps, batch and sequence
    length. ``attrs`` say what was understood.

    Of a table without losses the perplexity is read: its logarithm is the loss. Bits per byte or
    character stay what they are, since how many bytes a token has is not in the table.

    Parameters
    ----------
    source
        A file of text with columns, JSON, JSON lines, Parquet or Excel, ``"-"`` for text on
        standard input, or a DataFrame.
    columns
        Column by quantity, where it cannot be told or is told wrongly: ``{"N": "size"}``. Products
        of columns and numbers convert units: ``{"N": "size * 1e9"}``,
        ``{"D": "steps * batch * 2048"}``; and ``{"N": "Name: model-{}"}`` takes the number out of
        a text. Besides names of inputs it takes ``"run"``, which tells runs apart, ``"step"``,
        ``"max_steps"`` and ``"lr"``, the learning rate.
    where
        A pandas query that says which rows to keep, over the file's columns and the vocabulary's.
        It is applied before any value is judged.
    drop_missing
        Whether to drop rows that lack a size, tokens or loss, or hold words there; or the
        quantities that rows must have. What was dropped is in ``attrs["notes"]``.
    best_of
        Settings of a sweep, of which the run of least loss is kept for each configuration.
    across
        Of a wide table, with sizes down: what the numbers across are, ``"flops"`` or ``"D"``.
    sizes
        For the exported points of a tracker's chart: a table with each run's name and inputs.
    checkpoints
        What to do with rows that are no ends of runs, or of runs whose learning rate had not
        decayed: ``"refuse"`` them, since laws are of final losses; keep each run's ``"last"``
        row, whatever its learning rate; or ``"keep"`` all as runs of their own.
    tail
        Share of a run's tokens, at its end, over which a loss curve is averaged.

    Returns
    -------
    pandas.DataFrame
        One row a run; counts and losses are floating point. Rows of a file are called by their
        run's name and line. Other columns keep their names. ``attrs["understood"]`` lists, for
        each quantity, its ``name``, the ``column`` it was read from (``""`` if it was worked out),
        what was made of it (``note``), its ``unit``, and its ``low`` and ``high``;
        ``attrs["notes"]`` holds more, one note a line; ``attrs["loss_unit"]`` the unit of losses;
        ``attrs["counts"]`` the columns that count parameters or tokens, where there are several;
        ``attrs["where"]`` the query; ``attrs["name"]`` the file's name; ``attrs["simulated"]``
        whether a column ``simulated`` is true anywhere.

    Raises
    ------
    InputError
        If the file cannot be read, two columns could be one quantity, a value is no number or
        out of range, losses rise with compute, or rows are checkpoints; the message says what to
        give.

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
    raw = read_table(source)
    _check_columns(raw.frame, raw.name)
    raw = as_rows(raw, across=across, sizes=sizes)
    chosen = choose(raw.frame, columns or {})
    table = rows.labelled(raw.frame, chosen, raw.lines)
    notes = [*raw.notes]
    table, chosen, more = _only_runs(table, chosen, where, drop_missing)
    notes += more + chosen.notes.get("", [])
    for quantity, one in list(chosen.columns.items()):
        if quantity in VARIABLES and not _in_range(quantity, one, table.index, notes):
            del chosen.columns[quantity]
    hints = _hints(table, chosen)
    if told := rows.states(table):
        notes += told
        hints["missing-values"] = told[0]
    made = follows.worked_out(chosen.columns)
    inputs = {q: one for q, one in (chosen.columns | made).items() if q not in LOGGED}
    for quantity in made:
        _in_range(quantity, made[quantity], table.index, notes)
    if said := follows.disagreement(chosen.columns):
        notes.append(said)
    unit = inputs["loss"].unit if "loss" in inputs else ""
    runs, more = _in_vocabulary(table, chosen, inputs, checkpoints, tail)
    notes += more
    if "loss" in inputs:
        doubts.refuse_scores(runs, inputs["loss"].column)
    elif hint := doubts.scores_hint(table, runs):
        hints["loss"] = hint
    if best_of:
        runs, more = doubts.best_of(runs, [_setting(x, chosen) for x in best_of])
        notes += more
    else:
        notes += doubts.sweeps(runs, chosen.labels)
    notes += doubts.outliers(runs) + _repeats(runs)
    made_up = bool(table.attrs.get("simulated", False))
    if "simulated" in runs:
        made_up |= bool(_truths(runs["simulated"]).any())
    runs.attrs = {
        "name": raw.name,
        "understood": [
            _entry(q, one, chosen.notes.get(q, []), runs, unit) for q, one in inputs.items()
        ],
        "notes": "\n".join(notes),
        "units": {str(c): variable(str(c)).unit for c in runs},
        "loss_unit": unit or LOSS_UNIT,
        "where": where or "",
        "hints": hints,
        "counts": chosen.counts,
        "simulated": made_up,
    }
    runs.attrs["units"] |= {"loss": runs.attrs["loss_unit"]} if "loss" in runs else {}
    return runs


def _check_columns(frame: pd.DataFrame, name: str) -> None:
    repeated = frame.columns[frame.columns.duplicated()].unique().tolist()
    if repeated:
        raise InputError(
            f"{name or 'the table'} has more than one column {repeated[0]!r}; rename or drop one"
        )
    if not len(frame):
        raise InputError(f"{name or 'the table'} has no rows below its header")


def _only_runs(
    table: pd.DataFrame, chosen: Chosen, where: str | None, drop: bool | Sequence[str]
) -> tuple[pd.DataFrame, Chosen, list[str]]:
    """The rows that are runs and are asked for, and what was left out and why."""
    keep, notes = rows.no_runs(table, chosen)
    table, chosen = _kept(table, chosen, keep)
    if where is not None:
        named = pd.DataFrame(
            {q: one.values for q, one in chosen.columns.items() if q in VARIABLES},
            index=table.index,
        )
        if chosen.labels and "run" not in table:
            named["run"] = table[chosen.labels[0]]
        keep = rows.selected(table, named, where)
        table, chosen = _kept(table, chosen, keep)
        notes.append(f"{int(keep.sum())} of {len(keep)} rows are kept, where {where}")
    keep, more = rows.missing(table, chosen, drop)
    table, chosen = _kept(table, chosen, keep)
    return table, chosen, notes + more


def _kept(table: pd.DataFrame, chosen: Chosen, keep: np.ndarray) -> tuple[pd.DataFrame, Chosen]:
    """Some rows of a table and of what was read of it."""
    if keep.all():
        return table, chosen
    new = {int(old): i for i, old in enumerate(np.flatnonzero(keep))}
    columns = {
        quantity: replace(
            one,
            values=one.values[keep],
            wrong={new[i]: text for i, text in one.wrong.items() if i in new},
        )
        for quantity, one in chosen.columns.items()
    }
    return table[keep], replace(chosen, columns=columns)


def _hints(table: pd.DataFrame, chosen: Chosen) -> dict[str, str]:
    """Ways to what is missing, for whoever misses it."""
    if {"N", "N_active"} & set(chosen.columns):
        return {}
    hint = size_hint(table, chosen.labels)
    return {"N": hint, "N_active": hint} if hint else {}


def _setting(name: str, chosen: Chosen) -> str:
    """A setting's column, by its header or by what it means."""
    one = chosen.columns.get(name)
    return one.column if one is not None and name in LOGGED else name


def _in_vocabulary(
    table: pd.DataFrame,
    chosen: Chosen,
    inputs: Mapping[str, Column],
    checkpoints: str,
    tail: float,
) -> tuple[pd.DataFrame, list[str]]:
    """One row a run, with quantities under their names."""
    table = _make_room(table, chosen.columns)
    runs = table.rename(columns={one.column: q for q, one in inputs.items() if one.column})
    for quantity, one in inputs.items():
        runs[quantity] = one.values
    known = chosen.columns
    logged: dict[str, Any] = {q: known[q].values for q in _PROGRESS if q in known}
    return one_row_a_run(
        runs,
        run=[table[column] for column in chosen.labels],
        logged=logged,
        checkpoints=checkpoints,
        tail=tail,
    )


def _repeats(runs: pd.DataFrame) -> list[str]:
    repeats = int(runs.apply(hashable).duplicated().sum())
    if not repeats:
        return []
    return [
        f"{repeats} of {len(runs)} rows repeat another in every column, and count as runs of "
        "their own; drop them if they are not"
    ]


def _entry(
    quantity: str, one: Column, aside: Iterable[str], runs: pd.DataFrame, unit: str
) -> dict[str, Any]:
    """What was made of a quantity, for ``attrs``."""
    entry: dict[str, Any] = {"name": quantity, "column": one.column}
    entry["note"] = "; ".join(filter(None, (one.note, *aside)))
    entry["unit"] = unit if unit and quantity == "loss" else variable(quantity).unit
    if runs[quantity].dtype.kind == "f" and runs[quantity].notna().any():
        entry |= {"low": float(runs[quantity].min()), "high": float(runs[quantity].max())}
    return entry


def _truths(values: pd.Series) -> np.ndarray:
    return values.astype(str).str.strip().str.lower().isin(["true", "1", "1.0", "yes"]).to_numpy()


def _make_room(table: pd.DataFrame, chosen: Mapping[str, Column]) -> pd.DataFrame:
    """The table without columns that have a quantity's name and are something else."""
    read = [one.column for one in chosen.values()]
    for quantity, one in chosen.items():
        free = quantity == one.column or quantity not in table.columns or quantity in read
        if free or quantity in LOGGED:
            continue
        another = one.told and is_count(quantity, one.column)
        if quantity in VARIABLES and quantity != "loss" and not another:
            raise InputError(
                f"column {quantity!r} is there as well as {one.column!r}, which was given for it; "
                "rename or drop one of them"
            )
        # What has the name only by chance makes room for what has the meaning.
        table = table.rename(columns={quantity: f"{quantity}_left_aside"})
    return table


def _in_range(quantity: str, one: Column, labels: pd.Index, notes: list[str]) -> bool:
    """Whether values can be the quantity; missing ones are for whoever needs them to refuse.

    Raises
    ------
    InputError
        If they cannot, and the column was named or a law cannot do without.
    """
    known = np.isfinite(one.values)
    try:
        check_values(quantity, one.values[known], rows=labels[known])
    except InputError as error:
        text = str(error)
        if one.column not in ("", quantity):
            text = text.replace(f"column {quantity!r}", f"{quantity!r}, column {one.column!r}", 1)
        elif not one.column:
            text = text.replace(f"column {quantity!r}", f"{quantity!r} ({one.note})", 1)
        if not one.told and quantity not in CORE:
            # A column by another name may be something else.
            notes.append(f"{one.column!r} is not taken for {text}")
            return False
        factor = re.search(r"multiply it by ([\d.e]+)", text)
        if factor and one.column:
            text += f": {column_option(quantity, f'{one.column} * {factor[1]}')}"
        elif quantity == "loss" and not one.told:
            other = here(python="columns={'loss': '...'}", prompt="--column loss=...")
            text += f"; or name another column: {other}"
        raise InputError(text, code="out-of-range") from None
    return True
