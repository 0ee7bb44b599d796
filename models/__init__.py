"""The package's scaling laws, one paper a module.

>>> from bayescale.models import dense, sparse
"""

from __future__ import annotations

from bayescale.language.law import Law
from bayescale.models.abnar import abnar
from bayescale.models.clark import clark
from bayescale.models.coupled import coupled, kaplan_floor
from bayescale.models.dense import dense
from bayescale.models.envelope import envelope
from bayescale.models.experts import experts
from bayescale.models.farseer import farseer
from bayescale.models.frantar import frantar
from bayescale.models.granularity import granularity
from bayescale.models.joint_moe import joint_moe
from bayescale.models.kaplan import kaplan
from bayescale.models.repetition import repetition
from bayescale.models.sparse import sparse
from bayescale.models.transferred import transferred, transferred_tokens
from bayescale.models.upcycling import upcycling, upcycling_tokens

__all__ = [
    "abnar",
    "clark",
    "coupled",
    "dense",
    "envelope",
    "experts",
    "farseer",
    "frantar",
    "granularity",
    "joint_moe",
    "kaplan",
    "kaplan_floor",
    "laws",
    "repetition",
    "sparse",
    "transferred",
    "transferred_tokens",
    "upcycling",
    "upcycling_tokens",
]


def laws() -> dict[str, Law]:
    """Every law of the package by name.

    Examples
    --------
    >>> sorted(laws())[:3]
    ['abnar', 'clark', 'coupled']
    """
    return {name: value for name, value in sorted(globals().items()) if isinstance(value, Law)}
