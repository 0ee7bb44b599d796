"""What a law is tried on: runs, or a factorial design over its inputs that stands in for them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number
from bayescale.language.columns import read_columns
from bayescale.language.law import Law
from bayescale.language.variables import variable
from bayescale.posterior.problem import references

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Bench", "bench"]

_LOSS = 2.5  # nats; the scale of floors and amplitudes where no losses are given
_MOST_ROWS = 200
#: Levels of the factorial design: of an input, or of all in a unit.
_LEVELS = {
    "parameters": (1e8, 3e8, 1e9, 3e9),
    "tokens": (3e9, 1e10, 3e10, 1e11),
    "FLOP": (1e18, 1e19, 1e20, 1e21),
    "S": (0.0, 0.5, 0.75, 0.875),
    "G": (1.0, 2.0, 4.0, 8.0),
    "experts": (1.0, 4.0, 16.0, 64.0),
    "expansion": (4.0, 16.0, 64.0),
}


@dataclass(frozen=True)
class Bench:
    """A law and the runs it is tried on.

    Attributes
    ----------
    law
        The law.
    inputs
        Inputs by name, one value a run.
    reference
        What each input is divided by.
    loss
        Loss of each run, nats.
    measured
        Whether the runs are a table that was given.
    seed
        Of everything that is drawn.
    """

    law: Law
    inputs: Mapping[str, np.ndarray]
    reference: Mapping[str, float]
    loss: np.ndarray
    measured: bool
    seed: int

    @property
    def loss_scale(self) -> float:
        """Geometric mean of the losses."""
        return float(np.exp(np.log(self.loss).mean()))

    @property
    def medians(self) -> dict[str, float]:
        """Prior median of each coefficient."""
        return {name: prior.median(self.loss_scale) for name, prior in self.law.priors.items()}

    @property
    def typical(self) -> dict[str, float]:
        """Prior medians, but off zero: signed effects would be missing there."""
        scale = self.loss_scale
        return {
            name: median
            if prior.positive
            else median + 0.3 * prior.b * (scale if prior.share else 1)
            for (name, prior), median in zip(
                self.law.priors.items(), self.medians.values(), strict=True
            )
        }

    def draws(self, count: int) -> dict[str, np.ndarray]:
        """Coefficients drawn from the prior, as columns."""
        rng = np.random.default_rng(self.seed)
        size = (count, 1)
        return {n: p.sample(rng, size, self.loss_scale) for n, p in self.law.priors.items()}

    def loss_at(
        self, coefficients: Mapping[str, Any], inputs: Mapping[str, Any] | None = None
    ) -> np.ndarray:
        """The law as an array, for coefficients in reference units; of the runs, or of inputs."""
        return np.asarray(self.law(**self.scaled(inputs), **coefficients), dtype=float)

    def scaled(self, inputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Inputs in reference units: of the runs, or others."""
        return {name: x / self.reference[name] for name, x in (inputs or self.inputs).items()}

    def at(self, row: int, inputs: Mapping[str, np.ndarray] | None = None) -> str:
        """A run in words."""
        return ", ".join(f"{n}={format_number(x[row])}" for n, x in (inputs or self.inputs).items())

    def table(self, loss: np.ndarray | None = None) -> pd.DataFrame:
        """The runs, with their losses or others."""
        import pandas as pd

        return pd.DataFrame({**self.inputs, "loss": self.loss if loss is None else loss})


def bench(law: Law, runs: pd.DataFrame | None, seed: int) -> Bench:
    """Set a law up on a table of runs, or on a factorial design.

    Raises
    ------
    InputError
        If it is no law, or the table cannot be used with it.
    """
    if not isinstance(law, Law):
        raise InputError(f"check_law takes a law (made by @bayescale.law), not {law!r}")
    if runs is None:
        inputs = _factorial(law, seed)
        loss = np.full(len(inputs[law.inputs[0]]), _LOSS)
    else:
        columns = read_columns(runs, (*law.inputs, "loss"), extra=law.variables)
        inputs, loss = {name: columns[name] for name in law.inputs}, columns["loss"]
    return Bench(law, inputs, references(law, inputs), loss, runs is not None, seed)


def _factorial(law: Law, seed: int) -> dict[str, np.ndarray]:
    """Every combination of a few levels of the inputs, or some of them."""
    levels = [_levels(name, law) for name in law.inputs]
    rows = np.array(list(itertools.product(*levels)))
    if len(rows) > _MOST_ROWS:
        rows = rows[np.random.default_rng(seed).choice(len(rows), _MOST_ROWS, replace=False)]
    columns = dict(zip(law.inputs, rows.T, strict=True))
    if {"N", "N_active"} <= columns.keys():  # A mixture has more parameters than it uses.
        columns["N_active"] = columns["N_active"] / 8
        columns["N"] = np.maximum(columns["N"], columns["N_active"])
    return columns


def _levels(name: str, law: Law) -> tuple[float, ...]:
    known = variable(name, law.variables)
    for kind in (name, known.unit):
        if kind in _LEVELS:
            return _LEVELS[kind]
    low = known.low if math.isfinite(known.low) else min(1.0, known.high / 100)
    high = known.high if math.isfinite(known.high) else max(low, 1.0) * 100
    shares = np.linspace(0.05, 0.95, 4)
    if low > 0 and high / low > 10:
        return tuple(low * (high / low) ** shares)
    return tuple(low + (high - low) * shares)
