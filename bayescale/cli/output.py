"""How the command line prints: tables for people, JSON and CSV for programs, one-line messages.

On a terminal, tables are drawn and wrapped to its width. Anywhere else there are no colours, rules
or line breaks but those of the rows.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from bayescale.common.errors import InputError
from bayescale.common.files import replacing

if TYPE_CHECKING:
    from rich.console import Console

_UNLIMITED = 100_000


class Span(NamedTuple):
    """A cell of a table: an estimate and its interval, ready to print."""

    centre: str
    lower: str
    upper: str

    def __str__(self) -> str:
        if self.lower == self.upper:
            return self.centre
        return f"{self.centre} [{self.lower}, {self.upper}]"


# --- for people -----------------------------------------------------------------------------------


def say(text: str = "", style: str = "", *, indent: int = 0) -> None:
    """Print a paragraph on standard output."""
    from rich.padding import Padding
    from rich.text import Text

    padding = (0, 0, 0, indent)
    _print(_console(sys.stdout), Padding(Text(text, style=style), padding, expand=False))


def aside(text: str) -> None:
    """Print an explanation, where somebody is there to read it."""
    if _console(sys.stdout).is_terminal:
        say(text, "dim")


def conclude(reading: str, meanings: Mapping[str, str]) -> None:
    """Print what a table comes to and, where somebody reads it, what its columns mean."""
    say()
    say(reading, "bold")
    aside("")
    width = max(map(len, meanings))
    for name, meaning in meanings.items():
        aside(f"{name:<{width}}  {meaning}")


def message(kind: str, text: str, style: str) -> None:
    """Print one line on standard error, such as ``error: there is no file runs.csv``."""
    from rich.text import Text

    sys.stdout.flush()
    line = Text(kind, style=f"bold {style}")
    if text:
        line.append(":").append(f" {' '.join(text.split())}", style=f"not bold {style}")
    _console(sys.stderr).print(line, soft_wrap=True)


def show(
    columns: Sequence[str],
    rows: Iterable[Sequence[str | Span]],
    *,
    left: Sequence[str] = (),
    droppable: bool = False,
) -> None:
    """Print a table on standard output.

    Parameters
    ----------
    columns
        Headings.
    rows
        Cells.
    left
        Headings of the columns of words, which are set to the left and may wrap.
    droppable
        Whether the last columns may be left out, and named below, where the terminal is narrow.
    """
    console = _console(sys.stdout)
    cells = [list(row) for row in rows]
    heads, kept = list(columns), len(columns)
    folded = False
    if console.is_terminal and not _fits(console, _table(heads, cells, left, folded)):
        folded = True
        # Between an author and a year.
        heads = [re.sub(r"(?<=[a-z])(?=\d)", "\n", head, count=1) for head in heads]
        while droppable and kept > 1 and not _fits(console, _table(heads, cells, left, True, kept)):
            kept -= 1
    table = _table(heads, cells, left, folded, kept)
    if console.is_terminal and _width(console, table).minimum > console.width:
        _show_cells(columns, cells)  # a number cut off at the margin would be another number
        return
    _print(console, table)
    if kept < len(columns):
        aside(f"and {', '.join(columns[kept:])}: widen the terminal, or use --csv")


def _show_cells(columns: Sequence[str], rows: Sequence[Sequence[str | Span]]) -> None:
    """A table that the terminal has no room for: one line a cell."""
    widest = max(len(name) for name in columns)
    for i, row in enumerate(rows):
        if i:
            say()
        for name, value in zip(columns, row, strict=True):
            text = value if isinstance(value, str) else str(value)
            say(f"{name:<{widest}}  {' '.join(text.split())}")


def _fits(console: Console, table: Any) -> bool:
    return bool(_width(console, table).maximum <= console.width)


def _width(console: Console, table: Any) -> Any:
    return console.measure(table, options=console.options.update(width=_UNLIMITED))


def _table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str | Span]],
    left: Sequence[str],
    folded: bool,
    kept: int | None = None,
) -> Any:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = _console(sys.stdout).is_terminal
    table = Table(
        box=box.SIMPLE_HEAD if drawn else None,
        header_style="bold" if drawn else "",
        pad_edge=False,
        show_edge=False,
        padding=(0, 2, 0, 0) if not drawn else (0, 1),
    )

    def cell(value: str | Span) -> Text:
        if isinstance(value, str):
            return Text(value if drawn else value.replace("\n", ", "))
        if value.lower == value.upper:
            return Text(value.centre)
        if folded:
            return Text.assemble(value.centre, "\n", (f"{value.lower} to {value.upper}", "dim"))
        return Text.assemble(value.centre, " ", (f"[{value.lower}, {value.upper}]", "dim"))

    words = {name.replace("\n", "") for name in left}
    content = [[cell(value) for value in row[:kept]] for row in rows]
    for i, head in enumerate(heads[:kept]):
        # Words may wrap; numbers have a width, and rich would cut them down to the terminal's.
        wraps = head.replace("\n", "") in words
        lines = [*head.split("\n"), *(x for row in content for x in row[i].plain.split("\n"))]
        table.add_column(
            Text(head),
            justify="left" if wraps else "right",
            no_wrap=not wraps,
            min_width=None if wraps else max(map(len, lines)),
            overflow="fold",
        )
    for row in content:
        table.add_row(*row)
    return table


def _console(stream: Any) -> Console:
    from rich.console import Console

    console = Console(file=stream, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = _UNLIMITED
    return console


def _print(console: Console, thing: Any) -> None:
    with console.capture() as captured:
        console.print(thing)
    lines = captured.get().removesuffix("\n").split("\n")
    console.file.write("".join(line.rstrip() + "\n" for line in lines))


# --- for programs ---------------------------------------------------------------------------------


def as_json(document: Mapping[str, Any]) -> str:
    """A document as JSON: full precision, and null for what is not a finite number.

    Examples
    --------
    >>> print(as_json({"loss": 2.0, "extrapolation": float("nan")}))
    {
      "loss": 2.0,
      "extrapolation": null
    }
    """
    return json.dumps(_jsonable(document), indent=2, allow_nan=False)


def as_csv(records: Sequence[Mapping[str, Any]]) -> str:
    """Records as CSV: full precision, empty for what is missing, nested keys joined by ``_``.

    Examples
    --------
    >>> print(as_csv([{"budget": 1e22, "N": {"lower": 1.5, "upper": 2.0}}]))
    budget,N_lower,N_upper
    1e+22,1.5,2.0
    """
    flat = [flatten(_jsonable(record)) for record in records]
    columns = list(dict.fromkeys(name for record in flat for name in record))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return text.getvalue().rstrip("\n")


def flatten(record: Mapping[str, Any]) -> dict[str, Any]:
    """Nested keys joined by ``_``; lists as JSON.

    Examples
    --------
    >>> flatten({"a": {"b": 1, "c": [1, 2]}})
    {'a_b': 1, 'a_c': '[1, 2]'}
    """
    flat: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, Mapping):
            flat |= {f"{key}_{inner}": x for inner, x in flatten(value).items()}
        else:
            flat[key] = json.dumps(value) if isinstance(value, list) else value
    return flat


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(inner) for inner in value]
    if value is None or isinstance(value, (str, bool)):
        return value
    if type(value).__name__ in ("NAType", "NaTType"):  # pandas' markers
        return None
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_file(path: Path, content: bytes, *, force: bool = False) -> None:
    """Write a file whole or not at all; one that is there already is replaced by ``force`` only."""
    if path.exists() and not force:
        raise InputError(f"{path} exists already; give another name, or --force to replace it")
    with replacing(path) as part:
        part.write_bytes(content)
