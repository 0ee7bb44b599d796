"""How far a plan may be from the best one at little cost: the near-optimal band of each input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["band_ends"]

_STEP = 1e-3
_CELLS = 64


def band_ends(
    risk: Callable[[np.ndarray], np.ndarray],
    quantity: Callable[[np.ndarray], np.ndarray],
    x: np.ndarray,
    box: np.ndarray,
    level: float,
    within: float,
) -> tuple[float, float]:
    """Lowest and highest value that a quantity takes among plans of a risk up to a level.

    The other coordinates may change too: a plan counts if some plan with this value is good enough.

    Parameters
    ----------
    risk, quantity
        Functions of coordinates, one plan a column.
    x
        Coordinates of the best plan.
    box
        Lowest and highest coordinates.
    level
        Risk of the best plan, plus what one is ready to give up.
    within
        What one is ready to give up.
    """
    if len(x) == 1:
        ends = [_along(risk, x, end[:, None] - x[:, None], level) for end in box]
    else:
        ends = [_farthest(risk, quantity, x, box, level, within, sign) for sign in (-1.0, 1.0)]
    found = np.sort([float(quantity(end[:, None])[0]) for end in ends])
    return float(found[0]), float(found[1])


def _along(risk: Any, x: np.ndarray, way: np.ndarray, level: float) -> np.ndarray:
    """Where the risk first rises to a level on the way from a point, or the end of the way."""
    from scipy.optimize import brentq

    shares = np.linspace(0.0, 1.0, _CELLS + 1)
    above = np.flatnonzero(risk(x[:, None] + way * shares) > level)
    if not above.size:
        return x + way[:, 0]
    first = max(int(above[0]), 1)

    def over(share: float) -> float:
        return float(risk(x[:, None] + way * share)[0]) - level

    low, high = shares[first - 1], shares[first]
    if over(low) > 0:  # The best plan itself, by rounding.
        return x
    return x + way[:, 0] * brentq(over, low, high, xtol=1e-12)


def _farthest(
    risk: Any,
    quantity: Any,
    x: np.ndarray,
    box: np.ndarray,
    level: float,
    within: float,
    sign: float,
) -> np.ndarray:
    """The plan up to a level of risk at which a quantity is least (-1) or largest (1)."""
    from scipy.optimize import minimize

    k = len(x)
    sides = _STEP * np.concatenate([np.eye(k), -np.eye(k)], axis=1)

    def slopes(function: Any, at: np.ndarray) -> np.ndarray:
        ends = np.clip(at[:, None] + sides, box[0][:, None], box[1][:, None])
        values = function(ends)
        gaps = np.array([ends[i, i] - ends[i, k + i] for i in range(k)])
        return (values[:k] - values[k:]) / gaps

    def log_quantity(at: np.ndarray) -> np.ndarray:
        return np.log(np.maximum(quantity(at), 1e-300)) if positive else quantity(at)

    positive = bool((quantity(x[:, None]) > 0).all())
    options = {"maxiter": 60, "ftol": 1e-9}
    best, reached = x, float(log_quantity(x[:, None])[0])
    # From the best plan and from where the level is met along each coordinate.
    ways = [axis * side for axis in np.eye(k) for side in (-1.0, 1.0)]
    starts = [_along(risk, x, _to_box(x, way, box)[:, None], level) for way in ways]
    starts.sort(key=lambda at: -sign * float(log_quantity(at[:, None])[0]))
    for start in (starts[0], x):
        found = minimize(
            lambda at: -sign * float(log_quantity(at[:, None])[0]),
            start,
            jac=lambda at: -sign * slopes(log_quantity, at),
            bounds=list(zip(*box, strict=True)),
            constraints={
                "type": "ineq",
                "fun": lambda at: np.array([(level - float(risk(at[:, None])[0])) / within]),
                "jac": lambda at: -slopes(risk, at) / within,
            },
            method="SLSQP",
            options=options,
        )
        at = np.clip(found.x, *box)
        # What the method leaves beyond the level is taken back along the way to the best plan.
        if np.isfinite(at).all() and float(risk(at[:, None])[0]) > level:
            at = _along(risk, x, (at - x)[:, None], level)
        for one in (at, start):
            value = float(log_quantity(one[:, None])[0])
            if np.isfinite(value) and sign * (value - reached) > 0:
                best, reached = one, value
    return best


def _to_box(x: np.ndarray, way: np.ndarray, box: np.ndarray) -> np.ndarray:
    return np.where(way > 0, box[1] - x, np.where(way < 0, box[0] - x, 0.0))
