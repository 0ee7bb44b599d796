"""What kind of table somebody has: one row a run, a chart's points, one run's curve, a wide table.

What has no row for each run cannot be fitted as it is. It is named for what it is, with the way on.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd

from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number, parse_number
from bayescale.common.wording import here, listed
from bayescale.language.variables import VARIABLES
from bayescale.tables.cells import read_cell
from bayescale.tables.files import RawTable, read_table
from bayescale.tables.tracker_names import meaning_of

__all__ = ["as_rows", "unpivoted"]

_STEPS = re.compile(r"(?i)_?step|global_step|relative time.*|wall time|_?runtime|_?timestamp|epoch")
_CHART = re.compile(r"(?P<run>.+?)\s+-\s+(?P<metric>\S.*)")
_BESIDE = ("__MIN", "__MAX")
_CURVE = {"step", "value", "walltime", "wall_time", "timestamp", "relative", "relativetime"}
_ACROSS = re.compile(
    r"(?i)^(?:c|d|n|flops?|tokens?|budget|compute|params?)?\s*[=:]?\s*(?P<value>.+)$"
)
_FILES = ("curve", "file", "curve_file", "csv", "path")


def as_rows(raw: RawTable, *, across: str | None = None, sizes: object = None) -> RawTable:
    """The table with one row a run or a checkpoint, or an error that says what it is.

    Parameters
    ----------
    raw
        The table as it stands.
    across
        Of a wide table: what its headers are, ``"flops"``, ``"D"`` or ``"N"``.
    sizes
        Of the points of a chart: a table that has each run's inputs by its name.

    Raises
    ------
    InputError
        If it is a chart's export without ``sizes``, the curve of one run, or a wide table without
        ``across``.
    """
    frame = raw.frame
    if across is not None:
        return unpivoted(raw, across)
    if runs := _chart(frame):
        if sizes is None:
            raise _chart_error(raw, runs)
        return _joined(raw, runs, sizes)
    if sizes is not None:
        raise InputError(
            f"{here(python='sizes=', prompt='--sizes')} goes with the points of a chart, one "
            f"column a run, and {raw.name or 'the table'} has other columns"
        )
    if _is_one_curve(frame):
        raise _curve_error(raw)
    if (values := _wide(frame)) is not None:
        raise _wide_error(raw, values)
    return _with_curves(raw)


# --- a chart's points -----------------------------------------------------------------------------


def _chart(frame: pd.DataFrame) -> dict[str, str]:
    """Column by run of a chart's export; nothing if it is none."""
    columns = list(map(str, frame.columns))
    if len(columns) < 2 or not _STEPS.fullmatch(columns[0].strip()):
        return {}
    ends = [c for c in columns[1:] if c.endswith(_BESIDE)]
    plain = [c for c in columns[1:] if not c.endswith((*_BESIDE, "__MEAN", "__STD"))]
    parts = {c: _CHART.fullmatch(c) for c in plain}
    named = {m["run"]: c for c, m in parts.items() if m}
    if named and (ends or len(named) == len(plain)):
        return named
    if ends and all(f"{c}__MIN" in columns for c in plain):
        return {c: c for c in plain}
    return {}


def _chart_error(raw: RawTable, runs: dict[str, str]) -> InputError:
    ends = [f"{run} at {_last(raw.frame, column)}" for run, column in runs.items()]
    how = here(python="sizes='sizes.csv'", prompt="--sizes sizes.csv")
    return InputError(
        f"{raw.name} is the export of a tracker's chart: {len(runs)} run{'s' * (len(runs) > 1)} "
        f"side by side, a row a step ({listed(ends, 4)}). It holds no model sizes and no tokens. "
        "Export the table of runs instead (its columns for parameters, tokens and final loss), or "
        "write a small table with the columns run, N and D, one row a run, and give it with "
        f"{how}",
        code="chart-export",
    )


def _last(frame: pd.DataFrame, column: str) -> str:
    values = pd.to_numeric(frame[column], errors="coerce").dropna()
    return f"{values.iloc[-1]:.4g}" if len(values) else "no value"


def _joined(raw: RawTable, runs: dict[str, str], sizes: object) -> RawTable:
    """The points of a chart, one row a point, with what another table says of each run."""
    other = read_table(sizes)
    named = [
        c for c in other.frame if (m := meaning_of(str(c))) is not None and m.quantity == "run"
    ]
    if not named:
        raise InputError(f"{other.name or 'the table of sizes'} has no column 'run'")
    by_name = other.frame.assign(run=other.frame[named[0]].astype(str).str.strip())
    missing = [run for run in runs if run not in set(by_name["run"])]
    if missing:
        raise InputError(
            f"{other.name or 'the table of sizes'} has no row for {listed(missing)}; its runs are "
            f"{listed(by_name['run'].tolist())}",
            code="sizes-missing",
        )
    step = raw.frame.iloc[:, 0]
    parts = [
        pd.DataFrame({"run": run, "step": step, "loss": raw.frame[column]}).dropna(subset=["loss"])
        for run, column in runs.items()
    ]
    metric = {x["metric"] for c in runs.values() if (x := _CHART.fullmatch(c))}
    points = pd.concat(parts, ignore_index=True)
    rest = by_name.drop(columns=[c for c in named if c != "run"])
    rest = rest.drop(columns=[c for c in rest if c in ("step", "loss")])
    frame = points.merge(rest, on="run", how="left")
    what = listed(sorted(metric)) or "values"
    notes = [*raw.notes, f"the chart's {what} of {len(runs)} runs, with sizes from {other.name}"]
    return RawTable(frame, raw.name, None, notes, raw.path)


# --- one run's curve ------------------------------------------------------------------------------


def _is_one_curve(frame: pd.DataFrame) -> bool:
    plain = {re.sub(r"[^a-z_]", "", str(c).lower().replace(" ", "_")) for c in frame.columns}
    if {"step", "value"} <= plain <= _CURVE:
        return True
    meanings = [meaning_of(str(c)) for c in frame.columns]
    known = {m.quantity for m in meanings if m is not None}
    numbers = [c for c in frame.columns if frame[c].dtype.kind in "iuf"]
    steps = [c for c, m in zip(frame.columns, meanings, strict=True) if m and m.quantity == "step"]
    if not steps or known - {"step", "loss", "lr", "max_steps"} or len(numbers) > 4:
        return False
    step = pd.to_numeric(frame[steps[0]], errors="coerce")
    return "loss" in known and len(frame) >= 5 and bool((step.diff().dropna() > 0).all())


def _curve_error(raw: RawTable) -> InputError:
    frame = raw.frame
    value = next((c for c in frame if str(c).lower() == "value"), frame.columns[-1])
    example = "run,N,D,curve\nsmall,7e7,1.4e9,run1.csv".replace("\n", " / ")
    return InputError(
        f"{raw.name} is the curve of one run ({len(frame)} steps, the last at "
        f"{_last(frame, value)}), as TensorBoard saves it; a law needs many runs and their sizes. "
        f"Write a table with one row a run and a column 'curve' that names each run's file "
        f"({example}), and give that table instead",
        code="one-curve",
    )


def _with_curves(raw: RawTable) -> RawTable:
    """A table whose column names a curve's file for each run, as the rows of all those curves."""
    frame = raw.frame
    if raw.path is None or any(
        m is not None and m.quantity == "loss" for m in map(meaning_of, map(str, frame.columns))
    ):
        return raw
    column = next((c for c in frame if str(c).lower() in _FILES), None)
    if column is None or not all(isinstance(x, str) for x in frame[column]):
        return raw
    files = [raw.path.parent / Path(x) for x in frame[column]]
    absent = [str(x) for x in files if not x.is_file()]
    if absent:
        raise InputError(f"{raw.name}, column {column!r}: there is no file {listed(absent)}")
    parts = []
    for (_, row), file in zip(frame.iterrows(), files, strict=True):
        curve = read_table(file).frame
        names = {str(c).lower(): c for c in curve.columns}
        step, value = names.get("step"), names.get("value")
        if value is None:
            value = next(
                (c for c in curve if (m := meaning_of(str(c))) and m.quantity == "loss"), None
            )
        if step is None or value is None:
            raise InputError(f"{file} has no columns 'step' and 'value', as a curve has")
        label = next((str(row[c]) for c in frame if str(c).lower() in ("run", "name")), file.stem)
        part = pd.DataFrame({"run": label, "step": curve[step], "loss": curve[value]})
        for other in frame.columns:
            if other != column and str(other).lower() not in ("run", "name", "step", "loss"):
                part[other] = row[other]
        parts.append(part)
    notes = [*raw.notes, f"losses are from {len(files)} files of curves, column {column!r}"]
    return RawTable(pd.concat(parts, ignore_index=True), raw.name, None, notes, raw.path)


# --- a wide table ---------------------------------------------------------------------------------


def _heading(text: str) -> float | None:
    """The number that a header is: ``1e18``, ``C = 3e18 FLOPs``, ``10B tokens``."""
    match = _ACROSS.fullmatch(str(text).strip())
    plain = None if match is None else read_cell(match["value"]).plain(".")
    return None if plain is None else parse_number(plain)


def _wide(frame: pd.DataFrame) -> list[float] | None:
    """The numbers across of a table with sizes down; None if it is none."""
    if frame.shape[1] < 3:
        return None
    values = [_heading(c) for c in frame.columns[1:]]
    found = [x for x in values if x is not None and x >= 1e4]
    return found if len(found) >= 2 and len(found) >= len(values) - 1 else None


def _wide_error(raw: RawTable, values: list[float]) -> InputError:
    first = str(raw.frame.columns[0]) or "the first column"
    likely = "flops" if min(values) >= 1e15 else "D"
    shown = ", ".join(format_number(x) for x in values[:4])
    how = here(python=f"across={likely!r}", prompt=f"--across {likely}")
    return InputError(
        f"{raw.name or 'the table'} is a wide table: {first!r} down, {shown} across, losses in the "
        f"cells. Say what the numbers across are, {how} if they are "
        f"{VARIABLES[likely].description.split(';')[0]}; every cell then becomes a run",
        code="wide-table",
    )


def unpivoted(raw: RawTable, across: str) -> RawTable:
    """One row a cell of a wide table.

    Raises
    ------
    InputError
        If ``across`` is no count, or the headers are no numbers.
    """
    if across not in VARIABLES or VARIABLES[across].scale is None:
        counts = [n for n, v in VARIABLES.items() if v.scale is not None]
        raise InputError(f"across is one of {', '.join(counts)}, not {across!r}")
    frame = raw.frame
    heads = {c: _heading(str(c)) for c in frame.columns[1:]}
    usable = {c: x for c, x in heads.items() if x is not None}
    if len(usable) < 2:
        raise InputError(
            f"{raw.name or 'the table'} has no numbers for headers; across= is for wide tables"
        )
    down = str(frame.columns[0])
    meaning = meaning_of(down)
    name = down if meaning is not None and meaning.quantity in VARIABLES else "N"
    lines = raw.lines or [f"row {i}" for i in range(1, len(frame) + 1)]
    rows, of, words = [], [], []
    for i, size in enumerate(frame.iloc[:, 0]):
        for c, value in usable.items():
            cell = frame[c].iloc[i]
            label = f"{size} at {c}"
            if pd.isna(cell):
                words.append((label, "empty"))
                continue
            text = read_cell(cell) if isinstance(cell, str) else None
            plain = None if text is None else text.plain(".")
            if text is not None and (text.words or plain is None):
                words.append((label, text.words or text.core))
                continue
            rows.append((label, size, value, float(cell) if plain is None else parse_number(plain)))
            of.append(lines[i])
    told = [f"{label} ({why})" for label, why in words if why != "empty"]
    blank = sum(why == "empty" for _, why in words)
    notes = [*raw.notes, f"every cell of the wide table is a run; {blank} are empty"]
    if told:
        notes.append(f"cells that are no final losses are left out: {listed(told, 12)}")
    found = pd.DataFrame(rows, columns=["run", name, across, "loss"])
    if found.empty or not np.isfinite(found["loss"]).any():
        raise InputError(f"{raw.name or 'the table'} has no numbers in its cells")
    return RawTable(found, raw.name, of, notes, raw.path)
