"""What the shell offers at the tab key: laws, tables of runs, cost models, and files of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from importlib import resources
from pathlib import Path

__all__ = ["choices", "costs", "fits", "laws", "tables"]

_TABLES = (".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".gz", ".zst")


def laws(incomplete: str) -> list[str]:
    """Laws of the package, and Python files that may hold others."""
    from bayescale.models import laws as known

    return _starting(incomplete, known()) + _files(incomplete, (".py",))


def tables(incomplete: str) -> list[str]:
    """Tables of the package, and files that may hold others."""
    # Their names alone, without pandas: a shell waits at the tab key.
    held = resources.files("bayescale.tables").joinpath("data").iterdir()
    names = sorted(Path(one.name).stem for one in held if one.name.endswith(".csv"))
    return _starting(incomplete, names) + _files(incomplete, _TABLES)


def costs(incomplete: str) -> list[str]:
    """Cost models of the package, and Python files that may hold others."""
    from bayescale import cost

    return _starting(incomplete, cost.__all__) + _files(incomplete, (".py",))


def fits(incomplete: str) -> list[str]:
    """Files that may hold a fit."""
    return _files(incomplete, (".nc",))


def choices(*names: str) -> Callable[[str], list[str]]:
    """Some names and nothing else."""
    return lambda incomplete: _starting(incomplete, names)


def _starting(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _files(incomplete: str, endings: tuple[str, ...]) -> list[str]:
    """Files of some kinds, and folders that may hold them."""
    folder, start = os.path.split(incomplete)
    try:
        found = sorted(Path(folder or ".").iterdir())
    except OSError:
        return []
    shown = [path for path in found if path.name.startswith(start)]
    if not start:
        shown = [path for path in shown if not path.name.startswith(".")]
    return [
        os.path.join(folder, path.name) + ("/" if path.is_dir() else "")
        for path in shown
        if path.is_dir() or path.suffix.lower() in endings
    ]
