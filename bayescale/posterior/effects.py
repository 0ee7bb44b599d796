"""Runs that err together: an effect that every run of one model size, or of one level, shares.

Runs of one size share their depth, width and tuning, and several losses of one training run share
its seed: their residuals are alike. Each level of a column has an effect of its own on the
logarithm of what the loss has above the floor, drawn about zero with a spread that is learned.
Without it, twenty runs of four sizes count as twenty independent witnesses to the slope in size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.language.law import Law
from bayescale.language.priors import Prior, lognormal
from bayescale.language.variables import variable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SPREAD", "Effects", "find_effects", "size_input"]

#: Of the effects, on the log scale.
SPREAD = lognormal(0.006, 0.8)
#: Sizes count as repeated with at most so many of them, and two runs each on average.
_MOST_SIZES = 20
_ROOMS = (4, 8, 16, 32, 64, 128)


@dataclass(frozen=True)
class Effects:
    """Which runs share an effect.

    Attributes
    ----------
    by
        The column.
    levels
        Its values: numbers for a model size, text otherwise.
    member
        Index of each run's level.
    """

    by: str
    levels: tuple[Any, ...]
    member: np.ndarray

    @property
    def room(self) -> int:
        """Number of coordinates: rounded up, so that tables of similar size share a density."""
        return next(room for room in _ROOMS if room >= len(self.levels))

    @property
    def priors(self) -> dict[str, Prior]:
        """Prior of the spread."""
        return {"effect_scale": SPREAD}

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each coordinate: standard normal under the prior."""
        return tuple(f"effect_{i}" for i in range(self.room))

    @property
    def members(self) -> dict[str, np.ndarray]:
        """For each coordinate, one for its runs and zero for the rest."""
        return {f"member_{name}": (self.member == i) * 1.0 for i, name in enumerate(self.names)}

    def value(self, u: Mapping[str, Any], c: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
        """The effect on each run."""
        total: Any = 0.0
        for name in self.names:
            total = total + u[name] * data[f"member_{name}"]
        return c["effect_scale"] * total


def size_input(law: Law) -> str | None:
    """The input that says how large a model is, if the law takes one."""
    sizes = [n for n in law.inputs if variable(n, law.variables).unit == "parameters"]
    return sizes[0] if sizes else None


def find_effects(
    law: Law, runs: pd.DataFrame, inputs: Mapping[str, np.ndarray], by: str
) -> Effects | None:
    """The effects of a column's levels, or of model sizes for ``by="size"``.

    Sizes that are hardly ever repeated have none: their effects would be noise.

    Raises
    ------
    InputError
        If the column is not there, is not complete, or has too many levels.
    """
    if by == "size":
        name = size_input(law)
        if name is None:
            return None
        levels, member = np.unique(inputs[name], return_inverse=True)
        if len(levels) < 2 or len(levels) > min(_MOST_SIZES, len(runs) / 2):
            return None
        return Effects(name, tuple(levels.tolist()), member)
    if by not in runs.columns:
        raise InputError(
            f"effects={by!r} is not a column of the runs, nor 'size'; they have "
            f"{list(runs.columns)}"
        )
    if runs[by].isna().any():
        row = runs.index[runs[by].isna()][0]
        raise InputError(f"column {by!r}, row {row}: no level is named; fill it in or drop the row")
    levels, member = np.unique(runs[by].astype(str).to_numpy(str), return_inverse=True)
    if not 2 <= len(levels) <= _ROOMS[-1] or len(levels) == len(runs):
        raise InputError(
            f"effects={by!r}: the column has {len(levels)} levels in {len(runs)} runs; effects "
            f"are shared by runs, and there may be 2 to {_ROOMS[-1]} levels: choose another column"
        )
    return Effects(by, tuple(levels.tolist()), member)
