"""What a docstring says of a function's parameters."""

from __future__ import annotations

import inspect
import re

__all__ = ["parameters"]


def parameters(docstring: str) -> dict[str, str]:
    """What the Parameters section of a numpydoc docstring says, by name.

    Examples
    --------
    >>> parameters('''Loss.
    ...
    ...     Parameters
    ...     ----------
    ...     N, D
    ...         Counts.
    ...     ''')
    {'N': 'Counts.', 'D': 'Counts.'}
    """
    text = inspect.cleandoc(docstring)
    section = re.search(r"^Parameters\n-+\n(.*?)(?=\n\w[^\n]*\n-+\n|\Z)", text, re.S | re.M)
    found: dict[str, str] = {}
    names: list[str] = []
    for line in (section[1] if section else "").splitlines():
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.split(":")[0].split(",")]
        elif line.strip():
            for name in names:
                found[name] = f"{found.get(name, '')} {line.strip()}".strip()
    return found
