"""Files that hold tables: CSV, TSV, Parquet, JSON lines, and CSV on standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from bayescale.common.errors import InputError

__all__ = ["read_table"]


def read_table(source: Any) -> tuple[pd.DataFrame, str]:
    """A table as it stands, and what to call it; DataFrames are copied.

    Raises
    ------
    InputError
        If it is neither a DataFrame nor a file that can be read as a table.
    """
    if isinstance(source, pd.DataFrame):
        return source.copy(), str(source.attrs.get("name", ""))
    if not isinstance(source, (str, os.PathLike)):
        raise InputError(
            f"a table of runs is a file or a DataFrame, not {type(source).__name__}; "
            "try pd.DataFrame(runs)"
        )
    path = Path(source)
    table = _read_file(path)
    table.columns = [str(column).strip() for column in table.columns]
    return table, "standard input" if str(path) == "-" else path.name


def _read_file(path: Path) -> pd.DataFrame:
    lines = partial(pd.read_json, lines=True, precise_float=True, dtype=False)
    kinds: dict[str, Callable[..., Any]] = {
        ".csv": pd.read_csv,
        ".tsv": partial(pd.read_csv, sep="\t"),
        ".parquet": pd.read_parquet,
        ".jsonl": lines,
        ".ndjson": lines,
    }
    if str(path) == "-":
        return _parsed("standard input", kinds[".csv"], sys.stdin)
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a table of runs")
    if not path.exists():
        raise InputError(f"there is no file {path}")
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in (".gz", ".zst")]
    kind = suffixes[-1] if suffixes else ""
    if kind not in kinds:
        raise InputError(f"{path}: a table of runs is a file whose name ends in {', '.join(kinds)}")
    return _parsed(str(path), kinds[kind], path)


def _parsed(name: str, read: Callable[..., Any], source: Any) -> pd.DataFrame:
    try:
        table = read(source)
    except ImportError as error:
        needs = "pyarrow" if name.endswith(".parquet") else "another package"
        raise InputError(
            f"{name}: reading this kind of file needs {needs} ({error}); install it, or save the "
            "table as CSV"
        ) from None
    except PermissionError:
        raise InputError(f"{name} may not be read (permission denied)") from None
    except UnicodeDecodeError as error:
        raise InputError(
            f"{name} is not UTF-8 text ({error.reason} at byte {error.start})"
        ) from None
    except Exception as error:
        raise InputError(f"{name} cannot be read as a table: {error}") from None
    found: pd.DataFrame = table
    return found
