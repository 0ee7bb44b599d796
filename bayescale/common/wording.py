"""Words for where the person is: Python, or the prompt of a shell.

A remedy names what one would type. At the prompt that is an option, in Python an argument. The
command line says once where it is; whoever words a message asks here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["at_prompt", "column_option", "here", "listed"]

_PROMPT: ContextVar[bool] = ContextVar("at_prompt", default=False)


@contextmanager
def at_prompt() -> Iterator[None]:
    """Word messages as options of the command line."""
    token = _PROMPT.set(True)
    try:
        yield
    finally:
        _PROMPT.reset(token)


def here(*, python: str, prompt: str) -> str:
    """What one would type here.

    Examples
    --------
    >>> here(python="drop_missing=True", prompt="--drop-missing")
    'drop_missing=True'
    >>> with at_prompt():
    ...     here(python="drop_missing=True", prompt="--drop-missing")
    '--drop-missing'
    """
    return prompt if _PROMPT.get() else python


def column_option(quantity: str, column: str) -> str:
    """How to name the column of a quantity.

    Examples
    --------
    >>> column_option("N", "size * 1e9")
    "columns={'N': 'size * 1e9'}"
    """
    quoted = f'"{column}"' if "'" in column else f"'{column}'"
    return here(
        python=f"columns={{'{quantity}': {quoted}}}", prompt=f'--column "{quantity}={column}"'
    )


def listed(words: list[str], most: int = 6, *, last: str = "and") -> str:
    """Words in a row; of many the first, and how many more.

    Examples
    --------
    >>> listed(["a", "b", "c"]), listed(list("abcdefgh"), 3)
    ('a, b and c', 'a, b, c and 5 more')
    """
    if len(words) > most:
        return f"{', '.join(words[:most])} {last} {len(words) - most} more"
    return f" {last} ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
