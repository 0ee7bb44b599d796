r"""What runs see of a law's discrepancy, and how that is sampled.

A field (:mod:`bayescale.posterior.discrepancy`) has hundreds of nodes, of which the runs see a
few combinations. It is sampled in those, the singular vectors of its values at the runs; all that
no run sees is drawn from its prior when a fit is put together, once, so that one draw of the
posterior is one curve. How finely the field is written down costs nothing and changes nothing.

What a power law can explain is taken off the field (by regression over the runs), so that
coefficients keep their meaning and the discrepancy is what a power law leaves (Plumlee 2017).

Of a component that the runs see well they know the shape of the log loss that law and field make
together, and hardly how the two share it. Its coordinate is therefore that sum: the component's
part in the log loss, plus what the law's own shape adds along it. The law's shape is read off at a
few of the runs, the *probes*, between which it is taken for a cubic. Given the coefficients this
only shifts and scales a standard normal, so the prior is what it was, with the scale for its
Jacobian. For the same reason the total of a law's terms is sampled at the mean of the runs, not at
their centre (:meth:`Field.lift`).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bayescale.language.law import Law
from bayescale.language.maths import log, maximum
from bayescale.language.priors import Prior, floor, lognormal
from bayescale.posterior.discrepancy import (
    SPACING,
    Direction,
    above_floor,
    along,
    decades,
    directions,
    unwalked,
    wandering,
)

__all__ = ["FLOOR", "SPREADS", "Centre", "Field", "find_field"]

#: Prior of the spread of the slope of ``g``, per decade, by the kind of direction.
SPREADS: Mapping[str, Prior] = {
    "input": lognormal(0.12, 0.5),
    "product": lognormal(0.02, 0.6),
    "quotient": lognormal(0.03, 0.5),
}
#: Prior of an irreducible loss, for a law with discrepancy: floors from textbook fits are too high
#: to predict larger runs with. Sharp where runs do not tell, it gives way where they do.
FLOOR: Prior = floor(0.4, 0.18, dof=3)
#: A component that moves the log loss of a run by less, typically, is left out.
NEGLIGIBLE = 2e-4
#: One whose part in the log losses of all runs has this norm is seen well.
SEEN = 0.005
#: What runs tell of their log losses, typically.
TOLD = 0.01
#: Of the loss, typically above the floor: a unit for coordinates.
_SHARE = 0.5


@dataclass(frozen=True)
class Component:
    """The components of one direction.

    Attributes
    ----------
    direction
        The direction.
    prior
        Of its spread.
    columns
        ``g`` on the runs were a component and the spread one: (runs, components).
    basis
        Each component, in independent standard normals of the nodes: (nodes, components).
    free
        Takes from these normals all that would move a run: (nodes, nodes).
    taken
        The level, and the slope in each input, that is taken off for each of these normals.
    shift
        What the law's log loss at each probe adds to the coordinate of each component that is seen
        well, the first ones: (seen well, probes).
    """

    direction: Direction
    prior: Prior
    columns: np.ndarray
    basis: np.ndarray
    free: np.ndarray
    taken: np.ndarray
    shift: np.ndarray

    @property
    def spread(self) -> str:
        """Name of the spread: the standard deviation of the slope of ``g``, per decade."""
        return f"discrepancy_{self.direction.name}"

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each component."""
        return tuple(f"{self.spread}_{i}" for i in range(self.columns.shape[1]))

    @property
    def seen_well(self) -> tuple[str, ...]:
        """Those whose coordinate is shifted."""
        return self.names[: len(self.shift)]


#: Of a law: the share above the floor and the log loss at the centre of the runs, and the log loss
#: at the probes.
Centre = tuple[Any, Any, list[Any]]


@dataclass(frozen=True)
class Field:
    """The discrepancy of a law on some runs, as the sampler sees it.

    Attributes
    ----------
    inputs
        The inputs that it runs along.
    components
        By direction: one along each input first, then products and quotients of two.
    probes
        Inputs over their reference: the centre of the runs, and then the probes.
    mean
        What the law's log loss at each probe adds to the mean of the runs.
    """

    inputs: tuple[str, ...]
    components: tuple[Component, ...]
    probes: tuple[Mapping[str, float], ...]
    mean: tuple[float, ...]

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The directions."""
        return tuple(one.direction for one in self.components)

    @property
    def priors(self) -> dict[str, Prior]:
        """Prior of each spread."""
        return {one.spread: one.prior for one in self.components}

    @property
    def names(self) -> tuple[str, ...]:
        """Name of each component: standard normal under the prior."""
        return tuple(name for one in self.components for name in one.names)

    @property
    def labels(self) -> list[str]:
        """A name for each node: the direction, and decades from the inputs' reference."""
        lines = self.directions
        return [f"{line.name} {node:+.4g}" for line in lines for node in line.nodes]

    @property
    def shape(self) -> tuple[Any, ...]:
        """All of the field that a density's code depends on."""
        return tuple((one.spread, one.names, len(one.shift)) for one in self.components)

    @property
    def members(self) -> dict[str, Any]:
        """What the density needs to know, by name: rows of a number a run, and numbers."""
        found: dict[str, Any] = {}
        for one in self.components:
            for name, column in zip(one.names, one.columns.T, strict=True):
                found[f"member_{name}"] = column
            for name, row in zip(one.seen_well, one.shift, strict=True):
                found |= {f"shift_{name}_{i}": np.float64(x) for i, x in enumerate(row)}
        for j, point in enumerate(self.probes):
            found |= {f"probe_{name}_{j}": np.float64(x) for name, x in point.items()}
        return found | {f"shift_{i}": np.float64(x) for i, x in enumerate(self.mean)}

    def value(self, z: Mapping[str, Any], c: Mapping[str, Any], data: Mapping[str, Any]) -> Any:
        """The log factor ``g`` on each run, from the components and the spreads."""
        total: Any = 0.0
        for one in self.components:
            wander: Any = 0.0
            for name in one.names:
                wander = wander + z[name] * data[f"member_{name}"]
            total = total + c[one.spread] * wander
        return total

    def standard(
        self, u: Mapping[str, Any], c: Mapping[str, Any], centre: Centre, data: Mapping[str, Any]
    ) -> tuple[dict[str, Any], Any]:
        """Components from their coordinates, and the log Jacobian determinant of the map."""
        share, _, logs = centre
        log_jacobian: Any = 0.0
        z: dict[str, Any] = {}
        for one in self.components:
            scale = one.prior.median() * _SHARE / (c[one.spread] * share)
            for name in one.names:
                z[name] = u[name]
            for name in one.seen_well:
                z[name] = (u[name] - _weighted(f"shift_{name}", logs, data)) * scale
                log_jacobian = log_jacobian + log(scale)
        return z, log_jacobian

    def start(self, centre: Centre, data: Mapping[str, Any]) -> dict[str, Any]:
        """Coordinates of the law without discrepancy."""
        found: dict[str, Any] = dict.fromkeys(self.names, 0.0)
        for one in self.components:
            found |= {name: _weighted(f"shift_{name}", centre[2], data) for name in one.seen_well}
        return found

    def lift(self, centre: Centre, data: Mapping[str, Any]) -> Any:
        """Mean log loss of a law over the runs, less that at their centre."""
        _, middle, logs = centre
        return _weighted("shift", logs, data) - middle

    def centre(self, law: Law, coefficients: Mapping[str, Any], data: Mapping[str, Any]) -> Centre:
        """The law at the centre of the runs and at the probes."""
        at = [
            {name: data[f"probe_{name}_{j}"] for name in law.inputs}
            for j in range(len(self.probes))
        ]
        losses = [law(**point, **coefficients) for point in at]
        # A law may be about to have nothing above its floor.
        share = maximum(above_floor(law, at[0], coefficients) / losses[0], 0.01)
        middle, *logs = (log(loss) for loss in losses)
        return share, middle, logs

    def slopes(
        self, z: Mapping[str, np.ndarray], c: Mapping[str, np.ndarray], rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Slopes at every node, one direction after the other, and ``g`` at the reference.

        Parameters
        ----------
        z
            Draws of the components, each of one shape.
        c
            Draws of the spreads.
        rng
            Draws what no run sees.
        """
        shape = c[self.components[0].spread].shape
        taken = np.zeros((*shape, 1 + len(self.inputs)))
        found = []
        for one in self.components:
            normals = rng.standard_normal((*shape, len(one.basis)))
            normals = normals @ one.free
            if one.names:
                normals += np.stack([z[n] for n in one.names], axis=-1) @ one.basis.T
            spread = c[one.spread][..., None]
            found.append(spread * (normals @ wandering(one.direction.nodes).T))
            taken += spread * (normals @ one.taken.T)
        for i in range(len(self.inputs)):  # The first directions are the inputs.
            found[i] -= taken[..., 1 + i, None]
        found = [x * line.freedom for x, line in zip(found, self.directions, strict=True)]
        return np.concatenate(found, axis=-1), -taken[..., 0]


def _weighted(what: str, logs: list[Any], data: Mapping[str, Any]) -> Any:
    total: Any = 0.0
    for j, one in enumerate(logs):
        total = total + data[f"{what}_{j}"] * one
    return total


def find_field(
    law: Law, scaled: Mapping[str, np.ndarray], weights: np.ndarray, spacing: float = SPACING
) -> Field | None:
    """The discrepancy of a law on some runs; None where it has no input to run along.

    Parameters
    ----------
    law
        The law.
    scaled
        Its inputs over their reference, one value a run.
    weights
        Weight of each run.
    spacing
        Decades between nodes.
    """
    x = decades(law, scaled)
    if not x:
        return None
    root = np.sqrt(weights)[:, None]
    straight = np.column_stack([np.ones(len(weights)), *x.values()])
    probed, between = _probes(np.column_stack(list(x.values())))
    found = []
    for line in directions(x, spacing):
        prior = SPREADS[line.kind]
        process = wandering(line.nodes)
        values = along(process.T, line.nodes, line.place(x)).T
        taken = np.linalg.lstsq(root * straight, root * values, rcond=None)[0]
        left, size, right = np.linalg.svd(values - straight @ taken, full_matrices=False)
        part = prior.median() * size
        k = int((part > NEGLIGIBLE * math.sqrt(len(weights))).sum())
        # Components that are left out are zero where runs are: a curve misses none of them.
        seen = right[size > 1e-9 * size.max(initial=1e-9)]
        free = np.eye(len(line.nodes)) - seen.T @ seen
        columns, well = left[:, :k] * size[:k], min(k, int((part > SEEN).sum()))
        found.append(Component(line, prior, columns, right[:k].T, free, taken, np.empty((well, 0))))
    found = _shifted(found, between - straight @ np.linalg.lstsq(straight, between, rcond=None)[0])
    at = {name: float(np.mean(values)) for name, values in scaled.items()}
    at |= {name: unwalked(law, name, 10.0 ** float(values.mean())) for name, values in x.items()}
    runs = [{name: float(values[i]) for name, values in scaled.items()} for i in probed]
    mean = weights @ between / weights.sum()
    return Field(tuple(x), tuple(found), (at, *runs), tuple(mean.tolist()))


def _shifted(components: Sequence[Component], bends: np.ndarray) -> list[Component]:
    """Components with the share of each in what makes up for a law's bends on the runs.

    Directions see much of the same. Shares are those of the likeliest curve that makes up for all
    but what runs hardly tell.
    """
    parts = np.hstack([one.columns * one.prior.median() for one in components])
    ridge = TOLD**2 * np.eye(parts.shape[1])
    shares = np.linalg.solve(parts.T @ parts + ridge, parts.T @ bends) / _SHARE
    found, first = [], 0
    for one in components:
        found.append(replace(one, shift=shares[first : first + len(one.shift)]))
        first += one.columns.shape[1]
    return found


def _probes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Runs that tell a polynomial best, and what each of them adds to it at every run.

    The polynomial is cubic, or of the highest degree that so few runs determine.
    """
    from scipy.linalg import qr

    away = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-9)
    terms = np.ones((len(x), 1))
    for degree in (1, 2, 3):
        several = itertools.combinations_with_replacement(range(x.shape[1]), degree)
        more = np.column_stack([terms, *(away[:, one].prod(axis=1) for one in map(list, several))])
        if more.shape[1] > len(x):
            break
        terms = more
    _, triangle, order = qr(terms.T, mode="economic", pivoting=True)
    size = np.abs(np.diag(triangle))
    chosen = order[: int((size > 1e-6 * size[0]).sum())]
    return chosen, terms @ np.linalg.pinv(terms[chosen], rcond=1e-9)
