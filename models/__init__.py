"""The package's scaling laws, one paper a module.

>>> from bayescale.models import dense, sparse
"""

from __future__ import annotations

from bayescale.law import Law
from bayescale.models.dense import dense
from bayescale.models.experts import experts
from bayescale.models.granularity import granularity
from bayescale.models.sparse import sparse
from bayescale.models.upcycling import upcycling, upcycling_tokens

__all__ = ["dense", "experts", "granularity", "laws", "sparse", "upcycling", "upcycling_tokens"]


def laws() -> dict[str, Law]:
    """Every law of the package by name.

    Examples
    --------
    >>> sorted(laws())[:2]
    ['dense', 'experts']
    """
    return {name: value for name, value in sorted(globals().items()) if isinstance(value, Law)}
