"""Numbers and plans of a report in words, for people who know no letters."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bayescale.common.quantities import format_number
from bayescale.language.variables import variable

__all__ = ["input_words", "more_or_less", "nats", "percent", "plan_words", "times"]


def percent(prob: float) -> str:
    """A probability for people."""
    return f"{100 * prob:g}\u00a0%"


def times(value: float) -> str:
    """A ratio for people."""
    if not math.isfinite(value):
        return "no finite amount"
    return f"{value:.2g}×" if value < 99.5 else f"{float(f'{value:.3g}'):,.0f}×"


def nats(value: float) -> str:
    """A small loss that is not negative, for people."""
    return f"{value:.4f}" if value >= 5e-5 else "less than 0.0001"


def more_or_less(value: float) -> str:
    """A difference of losses, with its sign in words."""
    if abs(value) < 5e-5:
        return "less than 0.0001 either way"
    return f"{abs(value):.4f} {'more' if value > 0 else 'less'}"


#: Inputs in plain words, as part of "train a model of ... on ...".
_PLAIN = {
    "N": "{} parameters",
    "N_active": "{} active parameters",
    "experts": "{} experts",
    "D": "{} tokens",
    "D_unique": "{} different tokens",
    "D_dense": "{} tokens before upcycling",
    "D_upcycled": "{} tokens after it",
}


def input_words(name: str, value: float, extra: Any = ()) -> str:
    """One input of a plan: ``7B parameters``."""
    number, unit = format_number(value), variable(name, extra).unit
    # A law may mean something else by a letter, and then says so by its unit.
    plain = _PLAIN.get(name) if unit == variable(name).unit else None
    unit = " tokens" if unit == "tokens" else ""
    return plain.format(number) if plain else f"{name} = {number}{unit}"


def plan_words(plan: Mapping[str, float], extra: Any = ()) -> str:
    """A plan as part of a sentence: ``7B parameters on 140B tokens``."""
    tokens = [name for name in plan if variable(name, extra).unit == "tokens"]
    parts, data = (
        [input_words(n, plan[n], extra) for n in plan if (n in tokens) == of]
        for of in (False, True)
    )
    if not data:
        return _listed(parts)
    return f"{_listed(parts)} on {_listed(data)}" if parts else _listed(data)


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
