"""Cells of tables as people write them: ``20,000,000``, ``3,142``, ``**2.81**``, ``1.5 × 10^9``.

Commas and points mean different things in different countries. Which they mean is read off the
whole table, never off one cell; where two readings are left, the table is refused with both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bayescale.common.errors import InputError

__all__ = ["EMPTY", "Cell", "Style", "find_style", "read_cell"]

#: What stands for no value, in lower case.
EMPTY = frozenset({
    *("", "-", "--", "---", "\u2013", "\u2014", "\u2212", "?", "na", "n/a", "#n/a", "nan", "-nan"),
    *("null", "none", "<na>", "nil", "tbd", "#na", "#n/a n/a", "1.#qnan", "1.#ind"),
})  # fmt: skip

_SPACES = "\u00a0\u202f\u2009\u2007"
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")
_BOLD = re.compile(r"\*\*(.+?)\*\*|__(.+?)__|`(.+?)`|\\textbf\{(.+?)\}|<b>(.+?)</b>")
_FOOTNOTE = re.compile(r"(?:\s*(?:[*†‡§¶#]+|\[[\w*]{1,3}\]|\^[a-z*†‡]|\^\{[\w*†‡,]+\}|[¹²³⁴⁵]))+$")
_WORDS = re.compile(r"\s*[(\[](?P<words>[^()\[\]]*[A-Za-z][^()\[\]]*)[)\]]$")
_SPREAD = re.compile(r"\s*(?:±|\+/-|\+-)\s*[\d.,eE+-]+$")
_UNIT = re.compile(
    r"(?<=[\dkKmMbBtT])\s*(?:params|parameters|tokens|toks?|flops?|nats|steps)$", re.IGNORECASE
)
_TIMES = re.compile(r"\s*[×xX*·]\s*10\s*(?:\^|\*\*)?\s*\{?([+-]?\d+)\}?$")
_TEN = re.compile(r"10\s*\^\s*\{?([+-]?\d+)\}?$")
_TAIL = r"(?P<tail>(?:[eE][+-]?\d+|\s?[kKmMbBtT])?)"
_SIGN = r"(?P<sign>[+-]?)"
_GROUPS = r"[1-9]\d{0,2}(?:%s\d{3})+"
_FORMS = {
    decimal: re.compile(
        rf"{_SIGN}(?P<whole>{_GROUPS % re.escape(group)}|\d[\d_]*|)"
        rf"(?:{re.escape(decimal)}(?P<part>\d[\d_]*)?)?{_TAIL}"
    )
    for decimal, group in ((".", ","), (",", "."))
}
_PLAIN = re.compile(r"[+-]?\d*\.?\d+(?:[eE][+-]?\d+)?")
_SPACED = re.compile(r"(?<=\d)[ '\u2019](?=\d{3}(?!\d))")


@dataclass(frozen=True)
class Cell:
    """A cell that may hold a number.

    Attributes
    ----------
    core
        Its number, without what stands about it.
    marks
        What was left aside: ``"bold"``, ``"a footnote"``, ``"an uncertainty"``, ``"~"``.
    words
        What stands in parentheses after it, such as ``"partial"``.
    """

    core: str
    marks: tuple[str, ...] = ()
    words: str = ""

    def plain(self, decimal: str) -> str | None:
        """The number as :func:`bayescale.common.quantities.parse_number` reads it, or None.

        Examples
        --------
        >>> Cell("1.500,5").plain(","), Cell("1.500,5").plain(".")
        ('1500.5', None)
        """
        match = _FORMS[decimal].fullmatch(self.core)
        if match is None or not (match["whole"] or match["part"]):
            return None
        whole = re.sub("[,.]", "", match["whole"]) or "0"
        part = f".{match['part']}" if match["part"] else ""
        return f"{match['sign']}{whole}{part}{match['tail'].strip()}"


@dataclass(frozen=True)
class Style:
    """What points and commas mean in a table.

    Attributes
    ----------
    decimal
        ``"."`` or ``","``.
    why
        What is to be said of it; nothing of the usual.
    """

    decimal: str = "."
    why: str = ""


def read_cell(text: str) -> Cell:
    """A cell without the marks about its number.

    Examples
    --------
    >>> read_cell("**2.81**†"), read_cell("2.81 (partial)").words, read_cell("1.5 × 10^9").core
    (Cell(core='2.81', marks=('bold', 'a footnote'), words=''), 'partial', '1.5e9')
    """
    if _PLAIN.fullmatch(text):
        return Cell(text)
    marks: list[str] = []
    found = text.strip().translate(dict.fromkeys(map(ord, _SPACES), " ")).replace("\u2212", "-")
    if _BOLD.search(found):
        found = _BOLD.sub(lambda one: next(filter(None, one.groups())), found)
        marks.append("bold")
    if re.search("10\\s*[⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+$", found):
        found = re.sub("([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)$", lambda x: "^" + x[1].translate(_SUPERSCRIPTS), found)
    words = ""
    if match := _WORDS.search(found):
        words, found = match["words"].strip(), found[: match.start()].strip()
    found = _TIMES.sub(r"e\1", found)
    found = _TEN.sub(r"1e\1", found) if _TEN.fullmatch(found) else found
    if (bare := _FOOTNOTE.sub("", found)) and bare != found:
        found = bare
        marks.append("a footnote")
    if (bare := _SPREAD.sub("", found)) != found:
        found = bare
        marks.append("an uncertainty")
    if (bare := found.lstrip("~≈").strip()) != found:
        found = bare
        marks.append("~")
    found = _SPACED.sub("", _UNIT.sub("", found))
    return Cell(found.strip(), tuple(marks), words)


def find_style(
    columns: Mapping[str, Sequence[Cell]],
    ranges: Mapping[str, tuple[float, float]],
    separator: str = ",",
) -> Style:
    """What points and commas mean in the columns that hold numbers.

    Parameters
    ----------
    columns
        Cells by column, the empty ones left out.
    ranges
        What the numbers of some columns lie between, if they are what their headers say.
    separator
        What the file's columns are separated by.

    Raises
    ------
    InputError
        If some cells can only be one and some only the other, or if cells could be both.

    Examples
    --------
    >>> cells = {"loss": [read_cell("3,142"), read_cell("2,9")]}
    >>> find_style(cells, {}).decimal
    ','
    """
    only: dict[str, tuple[str, str]] = {}
    either: dict[str, list[Cell]] = {}
    for name, cells in columns.items():
        for cell in cells:
            readings = {decimal: cell.plain(decimal) for decimal in ".,"}
            if readings["."] == readings[","]:
                continue
            possible = [decimal for decimal, text in readings.items() if text is not None]
            if len(possible) == 1:
                only.setdefault(possible[0], (name, cell.core))
            elif possible:
                either.setdefault(name, []).append(cell)
    if len(only) == 2:
        (a, one), (b, other) = only["."], only[","]
        raise InputError(
            f"{one!r} in column {a!r} has a decimal point and {other!r} in column {b!r} a decimal "
            "comma: write all numbers of the table alike",
            code="numbers-two-styles",
        )
    if "," in only:
        column, text = only[","]
        return Style(",", f"numbers have decimal commas, as {text!r} in column {column!r}")
    commas = {n: [c for c in cells if "," in c.core] for n, cells in either.items()}
    commas = {name: cells for name, cells in commas.items() if cells}
    if "." in only or not commas:
        grouped = next((c.core for cells in commas.values() for c in cells), None)
        if grouped is None and (found := only.get(".")) and "," in found[1]:
            grouped = found[1]
        return Style(".", f"commas separate thousands, as in {grouped!r}" if grouped else "")
    fit = [d for d in ".," if all(_within(either[n], ranges.get(n), d) for n in either)]
    column, cell = next((n, cells[0]) for n, cells in commas.items())
    if len(fit) == 1:
        meant = f"{cell.core!r} in column {column!r} is {cell.plain(fit[0])}"
        return Style(fit[0], f"{meant}: the other reading is no {column}")
    where = "" if separator == "," else f" (the columns are separated by {separator!r})"
    raise InputError(
        f"{cell.core!r} in column {column!r} may be {cell.plain('.')} or {cell.plain(',')}{where}: "
        "write the numbers without separators of thousands and with a decimal point",
        code="numbers-two-readings",
    )


def _within(cells: Iterable[Cell], ends: tuple[float, float] | None, decimal: str) -> bool:
    from bayescale.common.quantities import parse_number

    if ends is None:
        return True
    values = [parse_number(text) for cell in cells if (text := cell.plain(decimal))]
    return all(ends[0] <= value <= ends[1] for value in values)
