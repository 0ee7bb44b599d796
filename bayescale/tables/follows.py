"""What follows from what in a table of runs: tokens from compute and sizes, or from steps.

Nothing is assumed of a sparse network: where a table counts experts, six FLOPs a parameter and
token are of the active ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from bayescale.tables.columns import Column

__all__ = ["disagreement", "worked_out"]


class _Rule(NamedTuple):
    quantity: str
    needs: tuple[str, ...]
    formula: Callable[..., np.ndarray]
    said: str
    barred: tuple[str, ...] = ()


# What was counted comes before what was aimed at: a step more or less is not in a budget.
_SPARSE = ("experts", "expansion", "S", "N_active")
_RULES = (
    _Rule("D", ("step", "batch_tokens"), lambda s, b: s * b, "steps × tokens a batch"),
    _Rule(
        "D", ("step", "batch", "seq_len"), lambda s, b, n: s * b * n,
        "steps × batch × sequence length",
    ),
    _Rule("D", ("max_steps", "batch_tokens"), lambda s, b: s * b, "planned steps × tokens a batch"),
    _Rule(
        "D", ("max_steps", "batch", "seq_len"), lambda s, b, n: s * b * n,
        "planned steps × batch × sequence length",
    ),
    _Rule("D", ("D_unique", "epochs"), lambda u, e: u * e, "unique tokens × epochs"),
    _Rule("D", ("flops", "N_active"), lambda c, n: c / (6 * n), "compute / (6 N_active)"),
    _Rule("D", ("flops", "N"), lambda c, n: c / (6 * n), "compute / (6 N)", _SPARSE),
    _Rule("N", ("flops", "D"), lambda c, d: c / (6 * d), "compute / (6 D)", _SPARSE),
    _Rule("D_unique", ("D", "epochs"), lambda d, e: d / e, "D / epochs"),
)  # fmt: skip


def worked_out(columns: dict[str, Column]) -> dict[str, Column]:
    """Quantities without a column that follow from others, with what was done."""
    found: dict[str, Column] = {}
    for rule in _RULES:
        known = columns | found
        if rule.quantity in known or not set(rule.needs) <= set(known):
            continue
        if set(rule.barred) & set(known):
            continue
        with np.errstate(all="ignore"):
            values = rule.formula(*(known[n].values for n in rule.needs))
        sources = [known[n].column or n for n in rule.needs]
        note = f"{rule.said}, from {', '.join(map(repr, sources))}"
        found[rule.quantity] = Column("", values, 0.0, note)
    return found


def disagreement(columns: dict[str, Column]) -> str:
    """What is to be said where compute is not six times parameters and tokens; often nothing."""
    if not {"flops", "D", "N"} <= set(columns) or {"N_active", "S"} & set(columns):
        return ""
    if not all(columns[n].column for n in ("flops", "D", "N")):
        return ""
    with np.errstate(all="ignore"):
        ratio = columns["flops"].values / (6 * columns["N"].values * columns["D"].values)
    ratio = ratio[np.isfinite(ratio)]
    if not len(ratio) or (ratio.min() > 0.8 and ratio.max() < 1.25):
        return ""
    return (
        f"{columns['flops'].column!r} is {ratio.min():.2g} to {ratio.max():.2g} times 6 N D: it "
        "counts other parameters, or other work, than N says"
    )
