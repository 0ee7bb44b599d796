"""Where a law is wrong in a structured way: its local slopes wander.

A law that holds inside the data bends away from the truth outside. What lies above the floor is
therefore multiplied by a factor that is itself uncertain,

    loss = floor + (law - floor) * exp(g),    g = sum over inputs of a walk in log10(input),

where the inputs are counts and ratios (:func:`walked`), and each walk is an integrated Brownian
motion: from the centre of the data outward, the slope of ``g`` changes about each knot, over the
spacing of knots, by independent normal amounts (Kennedy & O'Hagan 2001 call such a term a model
discrepancy). Knots beyond the data are informed by nothing but their prior, so intervals widen by
themselves as one extrapolates: in variance by the distance cubed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from bayescale.language.law import Law
from bayescale.language.maths import exp, log, maximum, minimum
from bayescale.language.priors import Prior, lognormal
from bayescale.language.variables import Variable, variable

__all__ = ["Knot", "Walk", "bent", "departure", "find_walk", "spread_of", "walked"]

#: What the walk along all inputs together is called.
PRODUCT = "product"
#: Decades between knots: the slope may change by this prior's spread in each decade.
SPACING = 0.75
SLOPE = lognormal(0.05, 0.7)
#: Knots on each side that the runs may inform; any further one lies outside most tables.
INFORMED = 3
#: Decades from the centre up to which there are knots; beyond the last the slope stays.
REACH = 6.0


@dataclass(frozen=True)
class Knot:
    """Where the slope along one input changes.

    Attributes
    ----------
    input
        The input.
    side
        1 above the centre of the data, -1 below.
    at
        How far on that side of the input's reference, decades. The reference of a count is the
        centre of the data.
    level, tilt
        What is taken off, so that over the runs nothing of a plain power law is left: a constant,
        and a slope in each input by name.
    """

    input: str
    side: int
    at: float
    level: float = 0.0
    tilt: tuple[tuple[str, float], ...] = ()

    def column(self, scaled: Mapping[str, Any]) -> Any:
        """The factor's logarithm if the slope changes by one here; at inputs as walked along."""
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

    def label(self, law: Law, reference: Mapping[str, float]) -> str:
        """Where the knot is, in plain units; of the product, over the inputs' references."""
        place = reference.get(self.input, 1.0) * 10.0 ** (self.side * self.at)
        share = _is_unused_share(variable(self.input, law.variables))
        name = f"1/(1-{self.input})" if share else self.input
        return f"{name} {'above' if self.side > 0 else 'below'} {place:.3g}"

    @property
    def about(self) -> dict[str, Any]:
        """The knot as JSON holds it."""
        return {**asdict(self), "tilt": dict(self.tilt)}


def walked(law: Law, scaled: Mapping[str, Any]) -> dict[str, Any]:
    """What a law's walks run along: those of its inputs whose ratios mean something.

    A count or another input that is always above zero, such as the number of experts, is taken as
    it is. A share that is left unused is taken as the whole over what is used: of a sparsity
    ``S`` that is ``1 / (1 - S)``, total over active parameters. Along an input that may be zero or
    negative there is no walk.

    Where not all are counts there is one more walk, along the product of all. Tables of sparse
    models cross every size with every sparsity and length, so the largest runs lie within the
    range of each input, where walks along single inputs are known and no interval would widen.

    Parameters
    ----------
    law
        The law.
    scaled
        Its inputs over their reference.
    """
    found = {}
    for name in law.inputs:
        one = variable(name, law.variables)
        if _is_unused_share(one):
            found[name] = 1.0 / (1.0 - scaled[name])
        elif one.scale is not None or one.low > 0 or (one.low == 0 and one.low_open):
            found[name] = scaled[name]
    if any(variable(name, law.variables).scale is None for name in found):
        found[PRODUCT] = math.prod(found.values())
    return found


def _is_unused_share(one: Variable) -> bool:
    return (one.low, one.high, one.low_open, one.high_open) == (0.0, 1.0, False, True)


def _decades(scaled: Any) -> Any:
    return log(scaled) / math.log(10.0)


@dataclass(frozen=True)
class Walk:
    """The walks of a law, as the sampler sees them.

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
    """The walks of a law: one along each of its counts and ratios.

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
    along = walked(law, scaled)
    decades = {name: _decades(x) for name, x in along.items()}
    straight = [name for name in decades if name != PRODUCT]
    first_order = np.column_stack([np.ones(len(weights)), *(decades[n] for n in straight)])
    root = np.sqrt(weights)[:, None]
    knots: dict[str, Knot] = {}
    beyond: list[Knot] = []
    for name, x in decades.items():
        # Only counts are divided by the centre of the data.
        centre = 0.0 if variable(name, law.variables).scale is not None else float(x.mean())
        for side in (1, -1):
            word = "above" if side > 0 else "below"
            for i in range(INFORMED):
                plain = Knot(name, side, side * centre + SPACING * i)
                column = plain.column(along)[:, None]
                found = np.linalg.lstsq(root * first_order, root * column, rcond=None)[0][:, 0]
                slopes = zip(straight, found[1:], strict=True)
                knots[f"discrepancy_{name}_{word}_{i}"] = replace(
                    plain, level=float(found[0]), tilt=tuple((n, float(k)) for n, k in slopes)
                )
            # The last informed knot's slope holds up to the last run, however far that is.
            last = float((side * (x - centre)).max())
            start = max(SPACING * INFORMED, last + SPACING / 2)
            far = side * centre + np.arange(start, REACH, SPACING)
            beyond += [Knot(name, side, float(at)) for at in far]
    return Walk(
        {f"discrepancy_{name}": SLOPE for name in along},
        knots,
        beyond,
        {name: knot.column(along) for name, knot in knots.items()},
    )


def departure(law: Law, scaled: Mapping[str, Any], bends: Mapping[Knot, Any]) -> Any:
    """The log factor ``g`` on what lies above the floor, at inputs over their reference."""
    along = walked(law, scaled)
    x = {name: _decades(along[name]) for name in dict.fromkeys(knot.input for knot in bends)}
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
