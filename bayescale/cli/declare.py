"""How an option is declared, and how what it is given is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from bayescale.cli import inputs
from bayescale.cli.inputs import find_law, flop_budget, number, whole
from bayescale.common.errors import InputError
from bayescale.decisions.budgets import Budget
from bayescale.language.law import Law

__all__ = [
    "Refused",
    "argument",
    "option",
    "read_budget",
    "read_count",
    "read_figure",
    "read_law",
    "read_memory",
    "read_probability",
    "read_span",
]


class Refused(Exception):  # noqa: N818
    """What an option was given cannot be used: an `InputError` that Typer lets through."""

    def __init__(self, error: InputError) -> None:
        super().__init__(str(error))
        self.code = error.code


def option(names: str, help: str, read: Any = None, offers: Any = None) -> Any:
    """Declare an option, such as ``"-o --output FILE"``, or ``"--json"``, a switch.

    A value is made by ``read`` of the option's name and text, and is the text where that is left
    out; ``offers`` says what a shell offers at the tab key.
    """
    *flags, last = names.split()
    if last.startswith("-"):
        return typer.Option(*flags, last, help=help)
    parser = _reader(flags[-1], read)
    return typer.Option(*flags, metavar=last, help=help, autocompletion=offers, parser=parser)


def argument(metavar: str, help: str, read: Any = None, offers: Any = None) -> Any:
    """Declare an argument, as `option` does."""
    parser = _reader(metavar, read)
    return typer.Argument(metavar=metavar, help=help, autocompletion=offers, parser=parser)


def _reader(name: str, read: Callable[[str, str], Any] | None) -> Callable[[Any], Any] | None:
    if read is None:
        return None

    def parse(text: Any) -> Any:  # or a default, which is a value already
        try:
            return read(name, text) if isinstance(text, str) else text
        except InputError as error:
            raise Refused(error) from error

    return parse


# --- how some are read ----------------------------------------------------------------------------


def read_law(name: str, text: str) -> Law:
    """A law by name, or FILE.py:NAME."""
    return find_law(text)


def read_count(name: str, text: str) -> int:
    """A whole number."""
    return whole(name, text, 10**9)  # no machine has the memory for more


def read_probability(name: str, text: str) -> float:
    """A number between zero and one."""
    value = number(name, text)
    if not 0 < value < 1:
        raise InputError(f"{name} is a probability between 0 and 1, such as 0.9, not {text}")
    return value


def read_budget(name: str, text: str) -> Budget:
    """Training compute, as FLOPs or as chips and days."""
    return flop_budget(text, name)


def read_span(name: str, text: str) -> tuple[float, float]:
    """Two numbers, LOW:HIGH."""
    low, colon, high = text.partition(":")
    if not (colon and low and high):
        raise InputError(f"{name}: {text!r} is not LOW:HIGH, such as 1e22:1e25")
    return number(name, low), number(name, high)


def read_figure(name: str, text: str) -> Path:
    """The name of a figure, of a kind that can be drawn, where a file can be."""
    path, kinds = Path(text), (".png", ".pdf", ".svg")
    if path.suffix.lower() not in kinds:
        raise InputError(f"{name} {path}: the name of a figure ends in {', '.join(kinds)}")
    inputs.check_place(path, f"cannot write {path}")
    return path


def read_memory(name: str, text: str) -> float:
    """Parameters: a number such as 70B, or bytes at two a parameter, such as 640GB."""
    plain = text.strip()
    if plain.lower().endswith("b") and plain[-2:-1].lower() in ("g", "t") and plain[:-2]:
        bytes_ = number(name, plain[:-2]) * {"g": 1e9, "t": 1e12}[plain[-2].lower()]
        return bytes_ / 2
    return number(name, plain)
