"""Files that hold tables: text with columns, JSON, Parquet, Excel, and text on standard input."""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bayescale.common.errors import InputError
from bayescale.common.wording import listed
from bayescale.language.variables import VARIABLES
from bayescale.tables.cells import EMPTY, Cell, find_style, read_cell
from bayescale.tables.delimited import decoded, parted
from bayescale.tables.tracker_names import meaning_of

__all__ = ["RawTable", "plain_numbers", "read_table"]

_TEXT = (".csv", ".tsv", ".txt", ".md", ".tab")
_JSON = (".json", ".jsonl", ".ndjson")
_OTHERS = (".parquet", ".xlsx", ".xlsm")


@dataclass(frozen=True)
class RawTable:
    """A table as it stands.

    Attributes
    ----------
    frame
        Its cells: numbers where a whole column is of numbers, text and missing values elsewhere.
    name
        What to call it.
    lines
        Where each row is in the file, such as ``"line 2"``; None of a DataFrame.
    notes
        What is to be said of how it was read.
    path
        Where it came from, if from a file.
    """

    frame: pd.DataFrame
    name: str
    lines: list[str] | None = None
    notes: list[str] = field(default_factory=list)
    path: Path | None = None


def read_table(source: Any) -> RawTable:
    """A table as it stands; DataFrames are copied.

    Raises
    ------
    InputError
        If it is neither a DataFrame nor a file that can be read as a table.
    """
    if isinstance(source, pd.DataFrame):
        frame, notes = plain_numbers(source.copy())
        return RawTable(frame, str(source.attrs.get("name", "")), notes=notes)
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(
            f"a table of runs is a file or a DataFrame, not {type(source).__name__}; "
            "try pd.DataFrame(runs)"
        )
    path = Path(source)
    if str(path) == "-":
        stream = getattr(sys.stdin, "buffer", None)
        data = sys.stdin.read().encode() if stream is None else stream.read()
        return _text(data, "standard input", "")
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a table of runs")
    if not path.exists():
        raise InputError(f"there is no file {path}")
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in (".gz", ".zst")]
    kind = suffixes[-1] if suffixes else ""
    if kind not in (*_TEXT, *_JSON, *_OTHERS):
        raise InputError(
            f"{path}: a table of runs is a file whose name ends in "
            f"{', '.join((*_TEXT, *_JSON, *_OTHERS))}; save it as CSV",
            code="unknown-file",
        )
    found = _parsed(path, kind)
    found.frame.columns = [str(column).strip() for column in found.frame.columns]
    return found


def _parsed(path: Path, kind: str) -> RawTable:
    name = str(path)
    try:
        if kind in _TEXT:
            return _text(_bytes(path), name, kind)
        if kind in _JSON:
            return _json(_bytes(path), name, lines=kind != ".json")
        read: Callable[[Path], RawTable] = _parquet if kind == ".parquet" else _excel
        return read(path)
    except InputError:
        raise
    except ImportError as error:
        needs = "pyarrow" if kind == ".parquet" else "openpyxl"
        raise InputError(
            f"{name}: reading this kind of file needs {needs} ({error}); install it, or save the "
            "table as CSV",
            code="missing-package",
        ) from None
    except PermissionError:
        raise InputError(f"{name} may not be read (permission denied)") from None
    except Exception as error:
        raise InputError(f"{name} cannot be read as a table: {error}", code="not-a-table") from None


def _bytes(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix.lower() == ".gz":
        return gzip.decompress(data)
    if path.suffix.lower() == ".zst":
        raise InputError(f"{path}: unpack it first (zstd -d), or save it as .gz")
    return data


def _text(data: bytes, name: str, kind: str) -> RawTable:
    text, notes = decoded(data, name)
    tabs = ("\t",) if kind in (".tsv", ".tab") else ()
    found = parted(text, name, tabs)
    frame = pd.DataFrame(found.rows, columns=pd.Index(found.header), dtype="str")
    frame, more = plain_numbers(frame, found.separator)
    path = None if name == "standard input" else Path(name)
    called = name if path is None else path.name
    lines = [f"line {line}" for line in found.lines]
    return RawTable(frame, called, lines, [*notes, *found.notes, *more], path)


def _json(data: bytes, name: str, *, lines: bool) -> RawTable:
    text, notes = decoded(data, name)
    if lines:
        kept = [(i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
        records: Sequence[Any] = [json.loads(line) for _, line in kept]
        where = [f"line {i}" for i, _ in kept]
    else:
        records = _records(json.loads(text), name)
        where = [f"entry {i}" for i in range(1, len(records) + 1)]
    if not all(isinstance(one, Mapping) for one in records):
        raise InputError(f"{name}: every entry has to be an object, such as {{'N': 1e9}}")
    frame = pd.json_normalize(list(records)) if records else pd.DataFrame()
    frame, more = plain_numbers(frame)
    return RawTable(frame, Path(name).name, where, [*notes, *more], Path(name))


def _records(found: Any, name: str) -> Sequence[Any]:
    """The rows of a JSON document: an array, columns, or either of them under one name."""
    if isinstance(found, list):
        return found
    if isinstance(found, Mapping):
        if isinstance(found.get("columns"), list) and isinstance(found.get("data"), list):
            return [dict(zip(found["columns"], row, strict=True)) for row in found["data"]]
        held = list(found.values())
        even = all(isinstance(x, list) for x in held) and len(set(map(len, held))) == 1
        if even and not all(isinstance(x, Mapping) for values in held for x in values):
            return [dict(zip(found, row, strict=True)) for row in zip(*held, strict=True)]
        if held and all(isinstance(x, Mapping) for x in held):
            inner = list(held[0].values())
            if all(not isinstance(x, (Mapping, list)) for x in inner) and len(held) > 1:
                rows = [set(x) for x in held]
                if len(set.intersection(*rows)) * 2 >= len(set.union(*rows)):
                    return [{"run": key, **x} for key, x in found.items()]
        arrays = [x for x in held if isinstance(x, list) and x and isinstance(x[0], Mapping)]
        if len(arrays) == 1:
            return arrays[0]
    raise InputError(
        f"{name} holds no table: give an array of objects, one a run, as in "
        '[{"N": 1e9, "D": 2e10, "loss": 2.7}]',
        code="not-a-table",
    )


def _parquet(path: Path) -> RawTable:
    frame, notes = plain_numbers(pd.read_parquet(path))
    lines = [f"row {i}" for i in range(1, len(frame) + 1)]
    return RawTable(frame, path.name, lines, notes, path)


def _excel(path: Path) -> RawTable:
    sheets = pd.read_excel(path, sheet_name=None, header=None, dtype=object)
    full = {name: sheet for name, sheet in sheets.items() if sheet.notna().any(axis=None)}
    if not full:
        raise InputError(f"{path} cannot be read as a table: its sheets are empty")
    name, sheet = next(iter(full.items()))
    rows = sheet.dropna(how="all")
    header = ["" if pd.isna(x) else str(x) for x in rows.iloc[0]]
    kept = [i for i, head in enumerate(header) if head or rows.iloc[1:, i].notna().any()]
    body = rows.iloc[1:, kept]
    lines = [f"row {int(i) + 1}" for i in body.index]
    frame = body.reset_index(drop=True)
    frame.columns = pd.Index([header[i] for i in kept])
    frame, notes = plain_numbers(frame)
    if len(full) > 1:
        notes.append(f"sheet {name!r} was read; there are {listed(list(map(repr, full)))}")
    return RawTable(frame, path.name, lines, notes, path)


# --- cells ----------------------------------------------------------------------------------------


def plain_numbers(frame: pd.DataFrame, separator: str = ",") -> tuple[pd.DataFrame, list[str]]:
    """A table whose text has numbers without separators, marks and footnotes; and what was done.

    A column becomes one of numbers if all its cells are. Words in a column of numbers stay.
    """
    cells: dict[int, list[Cell | None]] = {}
    for i in range(frame.shape[1]):
        values = frame.iloc[:, i]
        if _is_text(values):
            read = [read_cell(x) if isinstance(x, str) else None for x in values]
            if _numeric(read):
                cells[i] = read
    names = {i: str(frame.columns[i]) for i in cells}
    held = {
        names[i]: [one for one in read if one is not None and _is_number(one)]
        for i, read in cells.items()
    }
    ranges: dict[str, tuple[float, float]] = {}
    for name in held:
        meaning = meaning_of(name)
        if meaning is not None and meaning.quantity in VARIABLES and not meaning.measure:
            known = VARIABLES[meaning.quantity]
            ranges[name] = (known.low / meaning.factor, known.high / meaning.factor)
    style = find_style(held, ranges, separator)
    marks: dict[str, int] = {}
    columns = []
    for i in range(frame.shape[1]):
        values = frame.iloc[:, i]
        if i in cells:
            values = _rewritten(values, cells[i], style.decimal, marks)
        columns.append(_inferred(values, frame.dtypes.iloc[i]))
    notes = [style.why] if style.why else []
    notes += [f"{mark} was left out of {n} cell{'s' * (n > 1)}" for mark, n in marks.items()]
    if not columns:
        return frame, notes
    plain = pd.concat(columns, axis=1)
    plain.columns = frame.columns
    plain.attrs = dict(frame.attrs)
    return plain, notes


def _is_text(values: pd.Series) -> bool:
    return values.dtype == object or str(values.dtype) in ("string", "str")


def _is_number(cell: Cell) -> bool:
    return any(cell.plain(decimal) is not None for decimal in ".,")


def _numeric(cells: Sequence[Cell | None]) -> bool:
    """Whether at least a third of what a column of text says are numbers."""
    full = [cell for cell in cells if cell is not None and cell.core.lower() not in EMPTY]
    return bool(full) and 3 * sum(map(_is_number, full)) >= len(full)


def _rewritten(
    values: pd.Series, cells: Sequence[Cell | None], decimal: str, marks: dict[str, int]
) -> pd.Series:
    out: list[Any] = []
    for value, cell in zip(values, cells, strict=True):
        text = None if cell is None else cell.plain(decimal)
        if cell is None or text is None:
            out.append(value)
            continue
        for mark in cell.marks:
            marks[mark] = marks.get(mark, 0) + 1
        out.append(f"{text} ({cell.words})" if cell.words else text)
    return pd.Series(out, index=values.index, dtype=object, name=values.name)


def _inferred(values: pd.Series, dtype: Any) -> pd.Series:
    """A column of text as numbers or truth values, if all of it is; else of the given type."""
    if not _is_text(values):
        return values
    if not all(isinstance(x, str) for x in values):
        if all(isinstance(x, (str, int, float)) or x is None for x in values):
            blank = [isinstance(x, str) and x.strip().lower() in EMPTY for x in values]
            return (
                values.mask(np.array(blank, dtype=bool)).infer_objects() if any(blank) else values
            )
        return values
    stripped = [x.strip() for x in values]
    empty = np.array([x.lower() in EMPTY for x in stripped], dtype=bool)
    full = [x for x, no in zip(stripped, empty, strict=True) if not no]
    if full and all(x.lower() in ("true", "false") for x in full) and not empty.any():
        truths = [x.lower() == "true" for x in stripped]
        return pd.Series(truths, index=values.index, name=values.name, dtype=bool)
    try:
        numbers = [np.nan if no else float(x) for x, no in zip(stripped, empty, strict=True)]
    except ValueError:
        kept = [np.nan if no else x for x, no in zip(values, empty, strict=True)]
        return pd.Series(kept, index=values.index, name=values.name, dtype=dtype)
    if full and not empty.any() and all(x.lstrip("+-").isdecimal() for x in full):
        exact = [int(x) for x in stripped]
        if all(-(2**63) <= x < 2**63 for x in exact):
            return pd.Series(exact, index=values.index, name=values.name, dtype=np.int64)
    return pd.Series(numbers, index=values.index, name=values.name, dtype=np.float64)
