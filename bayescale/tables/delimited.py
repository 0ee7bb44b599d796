"""Text with columns: which encoding, which separator, which line is the header.

Nothing is guessed in silence: what is unusual is said, and where two separators would serve, the
file is refused with both.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bayescale.common.errors import InputError

__all__ = ["Delimited", "decoded", "parted"]

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_RULE = re.compile(r"\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?")
_NUMBER = re.compile(r"[+-]?[\d.,_]*\d[\d.,_]*(?:[eE][+-]?\d+)?")
_LOOKED_AT = 200


@dataclass(frozen=True)
class Delimited:
    """A table as text.

    Attributes
    ----------
    header, rows
        Cells.
    lines
        Line of the file on which each row ends.
    separator
        What parts them: ``","``, ``";"``, a tab, ``"|"`` or ``" "``.
    notes
        What is to be said of the file.
    """

    header: list[str]
    rows: list[list[str]]
    lines: list[int]
    separator: str
    notes: list[str] = field(default_factory=list)


def decoded(data: bytes, name: str) -> tuple[str, list[str]]:
    """Bytes as text, and what is to be said of it.

    Raises
    ------
    InputError
        If they are no text.
    """
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            try:
                text = data.decode(encoding)
            except UnicodeDecodeError:
                break
            if text.isprintable() or "\n" in text:
                return text, ["the file is UTF-16 text"]
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        at = f"{error.reason} at byte {error.start}"
    if any(byte < 9 or 13 < byte < 32 or byte == 127 for byte in data[:100_000]):
        raise InputError(f"{name} is not UTF-8 text ({at}), nor any text", code="not-a-table")
    text = data.decode("cp1252", errors="replace")
    odd = next((word for word in text.split() if not word.isascii()), "")
    return text, [f"the file is not UTF-8 and was read as Latin-1, as in {odd[:30]!r}"]


def parted(text: str, name: str, meaningful: Sequence[str] = ()) -> Delimited:
    """The cells of a text.

    Parameters
    ----------
    text
        The file.
    name
        What to call it.
    meaningful
        Separators to prefer where several would serve, such as the tab of a ``.tsv``.

    Raises
    ------
    InputError
        If it has no columns, several separators would serve, or a row has too many cells.
    """
    lines = text.splitlines()
    kept = [i for i, line in enumerate(lines) if line.strip()]
    if not kept:
        raise InputError(f"{name} cannot be read as a table: it is empty", code="not-a-table")
    notes: list[str] = []
    start = _header_line(lines, kept, notes)
    if any(_RULE.fullmatch(lines[i].strip()) and "|" in lines[i] for i in kept[:4]):
        return _markdown(lines, kept, notes)
    body = "\n".join(lines[start:])
    separator = _separator(body, name, meaningful)
    if separator == " ":
        cells = [(i + 1, lines[i].split()) for i in kept if i >= start]
    else:
        cells = _cells(body, separator, start, name)
    if separator not in ",\t" or (separator == "\t" and "\t" not in meaningful):
        notes.append(f"columns are separated by {_SEPARATORS.get(separator, 'space')}s")
    return _checked(cells, separator, notes, name)


def _header_line(lines: list[str], kept: list[int], notes: list[str]) -> int:
    """Where the header is: below what is commented out."""
    start = next((i for i in kept if not lines[i].lstrip().startswith("#")), kept[0])
    comments = [i for i in kept if i < start]
    if not comments:
        return kept[0]
    last = lines[comments[-1]].lstrip().lstrip("#").strip()
    for separator in _SEPARATORS:
        if separator in last and last.count(separator) == lines[start].count(separator):
            cells = lines[start].split(separator)
            if sum(bool(_NUMBER.fullmatch(cell.strip())) for cell in cells) > 0:
                lines[comments[-1]] = last
                start = comments[-1]
                break
    if above := sum(i < start for i in comments):
        notes.append(f"{above} comment line{'s' * (above > 1)} above the header left out")
    return start


def _cells(text: str, separator: str, start: int, name: str) -> list[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
    found = []
    try:
        for row in reader:
            if row:
                found.append((start + reader.line_num, row))
    except csv.Error as error:
        raise InputError(
            f"{name} cannot be read as a table: {error} in line {start + reader.line_num}",
            code="not-a-table",
        ) from None
    return found


def _separator(text: str, name: str, preferred: Sequence[str]) -> str:
    """What parts the columns: what parts all lines into as many cells as the header."""
    shares: dict[str, tuple[float, int]] = {}
    first = "\n".join(text.splitlines()[:_LOOKED_AT])
    for separator in _SEPARATORS:
        try:
            rows = [r for r in csv.reader(io.StringIO(first), delimiter=separator) if any(r)]
        except csv.Error:
            continue
        width = len(rows[0])
        if width > 1:
            body = Counter(len(row) for row in rows[1:])
            alike = body[width] / max(1, sum(body.values())) if body else 1.0
            shares[separator] = (alike, width)
    for separator in preferred:
        if separator in shares:
            return separator
    if not shares:
        rows = [line.split() for line in first.splitlines() if line.strip()]
        if len(rows) > 1 and len(rows[0]) > 2 and len({len(row) for row in rows}) == 1:
            return " "
        return ","
    best = max(share for share, _ in shares.values())
    likely = [s for s, (share, _) in shares.items() if share >= min(best, 0.99)]
    if len(likely) > 1:
        head = text.splitlines()[:1]
        sensible = {s: _known(next(csv.reader(head, delimiter=s))) for s in likely}
        most = max(sensible.values())
        likely = [s for s in likely if sensible[s] == most]
    if len(likely) > 1:
        a, b = likely[:2]
        heads = (next(csv.reader([text.splitlines()[0]], delimiter=s)) for s in (a, b))
        shown = " or ".join(f"{_SEPARATORS[s]}s ({h})" for s, h in zip((a, b), heads, strict=True))
        raise InputError(
            f"{name}: columns may be separated by {shown}; write the table with one separator",
            code="two-separators",
        )
    return likely[0]


def _known(header: list[str]) -> int:
    from bayescale.tables.tracker_names import meaning_of

    return sum(meaning_of(cell) is not None for cell in header)


def _markdown(lines: list[str], kept: list[int], notes: list[str]) -> Delimited:
    """A table with bars and a rule, as it is pasted from a discussion."""
    rule = next(i for i in kept if "|" in lines[i] and _RULE.fullmatch(lines[i].strip()))
    head = max(i for i in kept if i < rule) if any(i < rule for i in kept) else rule
    cells = [
        (i + 1, [x.strip() for x in re.split(r"(?<!\\)\|", lines[i].strip().strip("|"))])
        for i in kept
        if i >= head and i != rule and "|" in lines[i]
    ]
    notes.append("the file is a Markdown table")
    return _checked(cells, "|", notes, "the table")


def _checked(
    cells: list[tuple[int, list[str]]], separator: str, notes: list[str], name: str
) -> Delimited:
    header = [cell.strip() for cell in cells[0][1]]
    while (
        len(header) > 1
        and not header[-1]
        and all(len(row) < len(header) or not row[len(header) - 1].strip() for _, row in cells[1:])
    ):
        header.pop()
    width, rows, numbers = len(header), [], []
    for line, row in cells[1:]:
        if not any(cell.strip() for cell in row):
            continue
        if any(cell.strip() for cell in row[width:]):
            raise InputError(
                f"{name} cannot be read as a table: line {line} has {len(row)} cells and the "
                f"header {width}; put cells that hold a {_SEPARATORS.get(separator, 'space')} in "
                "quotes",
                code="not-a-table",
            )
        rows.append([*row[:width], *[""] * (width - len(row))])
        numbers.append(line)
    if len(header) > 1 and all(_NUMBER.fullmatch(cell) for cell in header if cell):
        raise InputError(
            f"{name} has no header: its first line holds numbers ({', '.join(header[:4])}); add a "
            "line above it that names the columns, such as N,D,loss",
            code="no-header",
        )
    return Delimited(header, rows, numbers, separator, notes)
