"""Where a law is wrong in a structured way: its local slopes wander.

A law that holds inside the data bends away from the truth outside. What lies above the floor is
therefore multiplied by a factor that is itself uncertain,

    loss = floor + (law - floor) * exp(g),    g = sum over counts of a walk in log10(count),

where each walk is an integrated Brownian motion: from the centre of the data outward, the slope of
``g`` changes about each knot, over the spacing of knots, by independent normal amounts (Kennedy &
O'Hagan 2001 call such a term a model discrepancy). Knots beyond the data are informed by nothing
but their prior, so intervals widen by themselves as one extrapolates: in variance by the distance
cubed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bayescale.law import Law
from bayescale.maths import exp, log, maximum, minimum
from bayescale.priors import Prior, lognormal
from bayescale.variables import variable

__all__ = ["Knot", "Walk", "bent", "departure", "find_walk", "spread_of"]

#: Decades between knots: the slope may change by this prior's spread in each decade.
SPACING = 0.75
SLOPE = lognormal(0.05, 0.7)
#: Knots on each side that the runs may inform; any further one lies outside most tables.
INFORMED = 3
#: Decades from the centre up to which there are knots; beyond the last the slope stays.
REACH = 6.0


@dataclass(frozen=True)
class Knot:
    """Where the slope along one count changes.

    Attributes
    ----------
    input
        The count.
    side
        1 above the centre of the data, -1 below.
    at
        Distance from the centre, decades.
    level, tilt
        What is taken off, so that over the runs nothing of a plain power law is left: a constant,
        and a slope in each count by name.
    """

    input: str
    side: int
    at: float
    level: float = 0.0
    tilt: tuple[tuple[str, float], ...] = ()

    def column(self, scaled: Mapping[str, Any]) -> Any:
        """The factor's logarithm if the slope changes by one here; at inputs over their centre."""
        x = {name: _decades(scaled[name]) for name in {self.input, *(n for n, _ in self.tilt)}}
        value = self.distance(x) - self.level
        for name, slope in self.tilt:
            value = value - slope * x[name]
        return value

    def distance(self, decades: Mapping[str, Any]) -> Any:
        """The integral of a slope that rises from zero to one about the knot, over the spacing."""
        past = maximum(self.side * decades[self.input] - self.at + SPACING / 2, 0.0)
        rising = minimum(past, SPACING)
        return past + rising * (rising / (2 * SPACING) - 1.0)

    def label(self, reference: Mapping[str, float]) -> str:
        """Where the knot is, in plain units: of its count's reference."""
        place = reference[self.input] * 10.0 ** (self.side * self.at)
        return f"{self.input} {'above' if self.side > 0 else 'below'} {place:.3g}"

    @property
    def about(self) -> dict[str, Any]:
        """The knot as JSON holds it."""
        return {**asdict(self), "tilt": dict(self.tilt)}


def _decades(scaled: Any) -> Any:
    return log(scaled) / math.log(10.0)


@dataclass(frozen=True)
class Walk:
    """The walks of a law's counts, as the sampler sees them.

    Attributes
    ----------
    priors
        Prior of each walk's spread: the standard deviation of the slope's change, per root decade.
    knots
        By coordinate: the knots that runs may inform.
    beyond
        The knots that no run informs.
    columns
        By coordinate: the knot's column over the runs.
    """

    priors: Mapping[str, Prior]
    knots: Mapping[str, Knot]
    beyond: Sequence[Knot]
    columns: Mapping[str, np.ndarray]

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each coordinate: standard normal under the prior."""
        return tuple(self.knots)

    @property
    def all_knots(self) -> tuple[Knot, ...]:
        """Every knot: the ones that runs may inform first."""
        return (*self.knots.values(), *self.beyond)

    @property
    def members(self) -> dict[str, np.ndarray]:
        """The columns, as data of the density."""
        return {f"member_{name}": column for name, column in self.columns.items()}

    def value(self, u: Mapping[str, Any], c: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
        """The log factor on each run."""
        total: Any = 0.0
        for name, knot in self.knots.items():
            total = total + spread_of(knot, c) * u[name] * data[f"member_{name}"]
        return total


def spread_of(knot: Knot, c: Mapping[str, Any]) -> Any:
    """Prior standard deviation of the change of slope at a knot."""
    return math.sqrt(SPACING) * c[f"discrepancy_{knot.input}"]


def find_walk(law: Law, scaled: Mapping[str, np.ndarray], weights: np.ndarray) -> Walk:
    """The walks of a law: one along each of its counts.

    A power law explains the runs' level and slopes; what it explains is taken off each column (by
    regression over the runs, with their weights), so that coefficients keep their meaning and the
    discrepancy is what a power law leaves (Plumlee 2017).

    Parameters
    ----------
    law
        The law.
    scaled
        Its inputs over their reference, one value a run.
    weights
        Weight of each run.
    """
    counts = [n for n in law.inputs if variable(n, law.variables).scale is not None]
    first_order = np.column_stack([np.ones(len(weights)), *(_decades(scaled[n]) for n in counts)])
    root = np.sqrt(weights)[:, None]
    knots: dict[str, Knot] = {}
    beyond: list[Knot] = []
    for name in counts:
        for side in (1, -1):
            word = "above" if side > 0 else "below"
            for i in range(INFORMED):
                plain = Knot(name, side, SPACING * i)
                column = plain.column(scaled)[:, None]
                found = np.linalg.lstsq(root * first_order, root * column, rcond=None)[0][:, 0]
                tilt = tuple((n, float(slope)) for n, slope in zip(counts, found[1:], strict=True))
                knots[f"discrepancy_{name}_{word}_{i}"] = Knot(
                    name, side, SPACING * i, float(found[0]), tilt
                )
            # The last informed knot's slope holds up to the last run, however far that is.
            last = float((side * _decades(scaled[name])).max())
            start = max(SPACING * INFORMED, last + SPACING / 2)
            beyond += [Knot(name, side, float(at)) for at in np.arange(start, REACH, SPACING)]
    return Walk(
        {f"discrepancy_{name}": SLOPE for name in counts},
        knots,
        beyond,
        {name: knot.column(scaled) for name, knot in knots.items()},
    )


def departure(scaled: Mapping[str, Any], bends: Mapping[Knot, Any]) -> Any:
    """The log factor ``g`` on what lies above the floor, at inputs over their reference."""
    x = {name: _decades(scaled[name]) for name in dict.fromkeys(knot.input for knot in bends)}
    ends = {name: (np.nanmin(values), np.nanmax(values)) for name, values in x.items()}
    total: Any = 0.0
    tilts: dict[str, Any] = dict.fromkeys(x, 0.0)
    for knot, bend in bends.items():
        # Most knots lie further out than any input.
        if max(knot.side * end for end in ends[knot.input]) > knot.at - SPACING / 2:
            total = total + bend * knot.distance(x)
        if knot.tilt:
            total = total - bend * knot.level
            tilts |= {name: tilts[name] + bend * slope for name, slope in knot.tilt}
    for name, tilt in tilts.items():
        total = total - tilt * x[name]
    return total


def bent(law: Law, scaled: Mapping[str, Any], c: Mapping[str, Any], g: Any) -> Any:
    """A law whose loss above the floor is multiplied by ``exp(g)``."""
    floors = {name: 0.0 for name, prior in law.priors.items() if prior.role == "floor"}
    whole = law(**scaled, **c)
    reducible = law(**scaled, **{**c, **floors}) if floors else whole
    return whole + reducible * (exp(g) - 1.0)
