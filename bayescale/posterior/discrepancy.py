r"""Where a law is wrong in a structured way: its local slopes wander.

A law that holds inside the data bends away from the truth outside. What lies above the floor is
therefore multiplied by a factor that is itself uncertain,

.. math:: \text{loss} = \text{floor} + (\text{law} - \text{floor})\, e^{g},

where :math:`g` is a smooth field over the logarithms of the inputs (Kennedy & O'Hagan 2001 call
such a term a model discrepancy). It is a sum over directions: along each count and ratio
(:func:`walked`), and along the product and the quotient of each two of them. For a dense law these
are size, tokens, compute and tokens per parameter; along the last two a law of separate terms bends
as coupled ones do. Along a direction the slope of :math:`g` is a stationary Gaussian process: it
wanders about zero by a learned spread, and forgets where it was over :data:`MEMORY` decades. An
interval therefore widens by itself from the edge of the runs on. Further than :data:`REACH` decades
from any run it comes back to zero: there the law's own slope holds, and no loss is made that no run
supports.

Here is the geometry: directions, and the factor at any inputs. What of it the runs see, and how it
is sampled, is :mod:`bayescale.posterior.field`'s.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from bayescale.language.law import Law
from bayescale.language.maths import exp, log
from bayescale.language.variables import Variable, variable

__all__ = [
    "Direction",
    "along",
    "bent",
    "decades",
    "departure",
    "directions",
    "unwalked",
    "walked",
    "wandering",
]

#: Decades over which a slope forgets where it was.
MEMORY = 3.0
#: Decades between nodes.
SPACING = 0.25
#: Decades beyond the runs up to which a slope wanders freely, and over which it then comes back. A
#: plan is further from the runs along compute than along each input, and hardly along their ratio.
REACH: Mapping[str, float] = {"input": 0.75, "product": 2.5, "quotient": 0.5}
RETURN: Mapping[str, float] = {"input": 1.0, "product": 2.0, "quotient": 1.0}

Kind = Literal["input", "product", "quotient"]


@dataclass(frozen=True)
class Direction:
    """A line through the inputs' logarithms, along which a slope wanders.

    Attributes
    ----------
    powers
        The inputs whose product it is, each with 1 or -1.
    nodes
        Where the slope is stated, decades from the inputs' reference; it is linear between them.
    ends
        The first and the last run on the line, or the reference where that lies further out.
    """

    powers: tuple[tuple[str, int], ...]
    nodes: tuple[float, ...] = ()
    ends: tuple[float, float] = (0.0, 0.0)

    @property
    def kind(self) -> Kind:
        """An input, or the product or the quotient of two."""
        if len(self.powers) == 1:
            return "input"
        return "product" if all(power > 0 for _, power in self.powers) else "quotient"

    @property
    def name(self) -> str:
        """Such as ``N``, ``N_times_D`` or ``D_over_N``: a part of a coefficient's name."""
        (first, _), *rest = self.powers
        joined = (f"_{'times' if power > 0 else 'over'}_{name}" for name, power in rest)
        return first + "".join(joined)

    def place(self, at: Mapping[str, Any]) -> Any:
        """Where points lie along the line, from each input's decades."""
        total: Any = 0.0
        for name, power in self.powers:
            total = total + at[name] if power > 0 else total - at[name]
        return total

    @property
    def freedom(self) -> np.ndarray:
        """How freely the slope wanders at each node: one near the runs, zero far from them."""
        at, (low, high) = np.asarray(self.nodes), self.ends
        outside = np.maximum(np.maximum(low - at, at - high), 0.0)
        return np.clip(1.0 - (outside - REACH[self.kind]) / RETURN[self.kind], 0.0, 1.0)

    @property
    def about(self) -> dict[str, Any]:
        """The direction as JSON holds it."""
        return {"powers": dict(self.powers), "nodes": list(self.nodes)}

    @classmethod
    def from_about(cls, about: Mapping[str, Any]) -> Direction:
        """The direction of :attr:`about`."""
        return cls(tuple(about["powers"].items()), tuple(about["nodes"]))


def walked(law: Law, scaled: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that a law's discrepancy runs along: those whose ratios mean something.

    A count or another input that is always above zero, such as the number of experts, is taken as
    it is. A share that is left unused is taken as the whole over what is used: of a sparsity
    ``S`` that is ``1 / (1 - S)``, total over active parameters. An input that may be zero or
    negative is left out.

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
    return found


def unwalked(law: Law, name: str, value: float) -> float:
    """An input over its reference, from its value as :func:`walked` has it."""
    share = _is_unused_share(variable(name, law.variables))
    return 1.0 - 1.0 / value if share else value


def _is_unused_share(one: Variable) -> bool:
    return (one.low, one.high, one.low_open, one.high_open) == (0.0, 1.0, False, True)


def decades(law: Law, scaled: Mapping[str, Any]) -> dict[str, Any]:
    """Decades of each input that is walked along, from its reference."""
    return {name: log(x) / math.log(10.0) for name, x in walked(law, scaled).items()}


def directions(at: Mapping[str, np.ndarray], spacing: float = SPACING) -> tuple[Direction, ...]:
    """Each input, then the products and quotients of two, with nodes for some runs.

    Parameters
    ----------
    at
        Decades of each input, one value a run.
    spacing
        Decades between nodes.
    """
    lines = [Direction(((name, 1),)) for name in at]
    for first, second in itertools.combinations(at, 2):
        lines += [Direction(((second, 1), (first, power))) for power in (1, -1)]
    return tuple(_with_nodes(line, line.place(at), spacing) for line in lines)


def _with_nodes(line: Direction, x: np.ndarray, spacing: float) -> Direction:
    low, high = min(float(x.min()), 0.0), max(float(x.max()), 0.0)
    inner = np.linspace(low, high, 1 + math.ceil((high - low) / spacing - 1e-9))
    last = REACH[line.kind] + RETURN[line.kind]
    out = np.linspace(0.0, last, 1 + math.ceil(last / spacing - 1e-9))[1:]
    nodes = np.concatenate([low - out[::-1], inner, high + out])
    return Direction(line.powers, tuple(nodes.tolist()), (low, high))


def wandering(nodes: Sequence[float]) -> np.ndarray:
    """Slopes at the nodes, of unit spread, from independent standard normals: (nodes, nodes)."""
    at = np.asarray(nodes)
    covariance = np.exp(-np.abs(at[:, None] - at) / MEMORY)
    return np.linalg.cholesky(covariance)


def along(
    slopes: np.ndarray, nodes: Sequence[float], x: np.ndarray, *, own: bool = False
) -> np.ndarray:
    """Integral from zero to ``x`` of slopes that are linear between nodes.

    Parameters
    ----------
    slopes
        Over draws (any axes) and nodes, the last axis.
    nodes
        Where they are stated, increasing; past an end its slope stays.
    x
        Points, of any shape.
    own
        Whether ``x`` has the draws' axes first: points of each draw.

    Returns
    -------
    numpy.ndarray
        Over the draws' axes and the points'.

    Examples
    --------
    >>> along(np.array([0.0, 1.0, 1.0]), [0.0, 1.0, 2.0], np.array([0.5, 1.0, 3.0])).tolist()
    [0.125, 0.5, 2.5]
    """
    t, draws = np.asarray(nodes), slopes.shape[:-1]
    if own:
        points, at = x.shape[len(draws) :], x.reshape(*draws, -1)
    else:
        points, at = x.shape, x.reshape(-1)
    total = np.zeros(slopes.shape)
    np.cumsum((slopes[..., 1:] + slopes[..., :-1]) * np.diff(t) / 2, -1, out=total[..., 1:])
    start = _between(slopes, total, t, np.zeros(1))
    return (_between(slopes, total, t, at) - start).reshape(*draws, *points)


def _between(slopes: np.ndarray, total: np.ndarray, t: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Integral from the first node to ``x``, from that to each node."""

    def take(a: np.ndarray, j: np.ndarray) -> np.ndarray:
        return a[..., j] if j.ndim == 1 else np.take_along_axis(a, j, axis=-1)

    inside = np.clip(x, t[0], t[-1])
    j = np.clip(np.searchsorted(t, inside, side="right") - 1, 0, len(t) - 2)
    past = inside - t[j]
    low = take(slopes, j)
    value = take(total, j) + past * (low + (take(slopes, j + 1) - low) * past / (2 * np.diff(t)[j]))
    if (inside != x).any():
        value = value + np.where(x < t[0], slopes[..., :1], slopes[..., -1:]) * (x - inside)
    return value


def departure(
    law: Law, lines: Sequence[Direction], scaled: Mapping[str, Any], slopes: Any, level: Any
) -> Any:
    """The log factor ``g`` on what lies above the floor, at inputs over their reference.

    Parameters
    ----------
    law
        The law.
    lines
        The directions of its field.
    scaled
        Its inputs over their reference.
    slopes
        At the nodes of the directions, one after the other: a DataArray with the dimension
        ``node``, or an array of shape (draws, nodes) with inputs that broadcast to (draws, points).
    level
        ``g`` at the inputs' reference: a DataArray, or an array of shape (draws, 1).
    """
    x = decades(law, scaled)
    total, start = level, 0
    for line in lines:
        some = slice(start, start + len(line.nodes))
        start = some.stop
        at = line.place(x)
        if hasattr(slopes, "dims"):
            total = total + _labelled(slopes.isel(node=some), line, at)
        else:
            at = np.atleast_2d(at)
            own = len(at) > 1
            total = total + along(slopes[:, some], line.nodes, at if own else at[0], own=own)
    return total


def _labelled(slopes: Any, line: Direction, x: Any) -> Any:
    import xarray as xr

    x = xr.DataArray(x)
    draws = tuple(name for name in slopes.dims if name != "node")
    first = slopes.isel(node=0, drop=True)
    own = bool(set(draws) & set(x.dims))
    if own:
        x = x.broadcast_like(first).transpose(*draws, ...)
    value = along(slopes.transpose(*draws, "node").values, line.nodes, x.values, own=own)
    dims = x.dims if own else (*draws, *x.dims)
    return xr.DataArray(value, dims=dims, coords=dict(first.coords) | dict(x.coords))


def bent(law: Law, scaled: Mapping[str, Any], c: Mapping[str, Any], g: Any) -> Any:
    """A law whose loss above the floor is multiplied by ``exp(g)``."""
    whole = law(**scaled, **c)
    return whole + above_floor(law, scaled, c) * (exp(g) - 1.0)


def above_floor(law: Law, scaled: Mapping[str, Any], c: Mapping[str, Any]) -> Any:
    """What a law has above its floor; all of it, where it has none."""
    floors = {name: 0.0 for name, prior in law.priors.items() if prior.role == "floor"}
    return law(**scaled, **{**c, **floors})
