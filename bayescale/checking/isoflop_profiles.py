"""What runs show without any law: the best size of a budget, and whether size and data couple.

At one budget the loss is drawn over the size, as a cubic of its logarithm, and where that is least
is the best size that was observed (Hoffmann et al. 2022, approach 2, there with a parabola). How
far chance moves it, a bootstrap of the residuals tells.

Whether more data help a large model more than a small one, the loss tells as a sum of a cubic in
the logarithm of size, one in that of tokens, and their product. A law of separate terms has no
product.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = [
    "SIZES",
    "WIDEST",
    "Product",
    "Profile",
    "isoflop_budgets",
    "isoflop_groups",
    "product_of_counts",
]

#: Budgets are told apart by so many decades, are no wider, and have at least so many sizes.
APART, WIDEST, SIZES = 0.08, 0.2, 5
#: Runs that spread evenly over compute are looked at through windows so wide, decades, of which
#: each has so many sizes.
WINDOW, SIZES_OF_WINDOW = 0.12, 7
#: The runs tell their best size where its 90 % interval is no wider, decades.
KNOWN = 0.2
BOOTSTRAPS = 300
_GRID = 801
_AT_END = 0.02  # natural units of size


def isoflop_budgets(flops: Any) -> np.ndarray:
    """Which budget each run is of: clusters of training compute, the cheapest first.

    Parameters
    ----------
    flops
        Training FLOPs, one value a run.

    Examples
    --------
    >>> isoflop_budgets([1e19, 6e18, 1.02e19]).tolist()
    [1, 0, 1]
    """
    compute = np.asarray(flops, dtype=float)
    order = np.argsort(compute, kind="stable")
    steps = np.diff(np.log10(compute[order])) > APART
    label = np.empty(len(compute), dtype=int)
    label[order] = np.concatenate([[0], np.cumsum(steps)])
    return label


def isoflop_groups(flops: Any, size: Any) -> list[np.ndarray]:
    """Runs that spent about one budget on different sizes: their places, the cheapest first.

    Clusters of compute that are narrow are budgets. In one that is wide, as digitised runs make it,
    windows are taken where most sizes are.
    """
    decades, sizes = np.log10(np.asarray(flops, dtype=float)), np.asarray(size, dtype=float)
    label = isoflop_budgets(flops)
    found = []
    for one in range(label.max() + 1):
        runs = np.flatnonzero(label == one)
        if np.ptp(decades[runs]) <= WIDEST:
            if len(np.unique(sizes[runs])) >= SIZES:
                found.append(runs)
            continue
        while len(runs):
            windows = [runs[abs(decades[runs] - at) <= WINDOW / 2] for at in decades[runs]]
            several = [len(np.unique(sizes[window])) for window in windows]
            best = int(np.argmax(several))
            if several[best] < SIZES_OF_WINDOW:
                break
            found.append(windows[best])
            runs = runs[abs(decades[runs] - decades[runs[best]]) > WINDOW]
    return sorted(found, key=lambda runs: float(decades[runs].mean()))


@dataclass(frozen=True)
class Profile:
    """Log loss over log size at one budget, without a law.

    Attributes
    ----------
    centre
        Mean log size, from which ``best``, ``low`` and ``high`` are.
    x
        Log sizes of the runs, from the centre.
    curve
        Coefficients of the polynomial, the highest power first.
    best, low, high
        Where it is least within the runs, and the ends of a 90 % interval.
    scatter, spare
        Sum of squared residuals of the log loss, and their degrees of freedom.
    """

    centre: float
    x: np.ndarray = field(repr=False)
    curve: np.ndarray = field(repr=False)
    best: float
    low: float
    high: float
    scatter: float
    spare: int

    @classmethod
    def of(
        cls,
        size: Any,
        loss: Any,
        rng: np.random.Generator,
        flops: Any | None = None,
        noise: float | None = None,
    ) -> Profile:
        """The profile of some runs: a cubic, or a parabola where there are under seven.

        Parameters
        ----------
        size, loss
            Parameters and nats, one value a run.
        rng
            Of the bootstrap.
        flops
            Training compute, where it differs among the runs: log loss is then also linear in its
            logarithm, and the profile is that of the mean.
        noise
            Standard deviation of the log loss, where more is known of it than these runs say.
        """
        logs = np.log(np.asarray(size, dtype=float))
        y = np.log(np.asarray(loss, dtype=float))
        centre = float(logs.mean())
        x = logs - centre
        degree = 3 if len(y) >= 7 else 2
        columns = np.vander(x, degree + 1)
        if flops is not None:
            compute = np.log(np.asarray(flops, dtype=float))
            columns = np.column_stack([columns, compute - compute.mean()])

        def fitted(y: np.ndarray) -> np.ndarray:
            return np.asarray(np.linalg.lstsq(columns, y, rcond=None)[0])

        curve = fitted(y)
        at = columns @ curve
        spare = max(len(y) - columns.shape[1], 1)
        scatter = float(((y - at) ** 2).sum())
        residual = (y - at) * np.sqrt(len(y) / spare)
        if noise is not None:
            residual *= noise / max(np.sqrt(scatter / spare), 1e-12)
        again = [
            _least(x, fitted(at + rng.choice(residual, len(y)))[: degree + 1])
            for _ in range(BOOTSTRAPS)
        ]
        low, high = np.quantile(again, [0.05, 0.95])
        curve = curve[: degree + 1]
        return cls(centre, x, curve, _least(x, curve), float(low), float(high), scatter, spare)

    @property
    def inside(self) -> bool:
        """Whether the runs saw the minimum: not at their end, and within KNOWN decades."""
        known = self.high - self.low < KNOWN * np.log(10)
        return bool(known and self.x.min() + _AT_END < self.best < self.x.max() - _AT_END)

    def loss(self, log_size: float) -> float:
        """Loss at a size, of the nearest seen where it lies outside."""
        at = np.clip(log_size - self.centre, self.x.min(), self.x.max())
        return float(np.exp(np.polyval(self.curve, at)))


def _least(x: np.ndarray, curve: np.ndarray) -> float:
    grid = np.linspace(x.min(), x.max(), _GRID)
    return float(grid[np.polyval(curve, grid).argmin()])


@dataclass(frozen=True)
class Product:
    """The product of log size and log tokens in the loss of some runs.

    Attributes
    ----------
    of
        Gives it, for losses of these runs along the last axis: nats for each e-fold of both.
    value, error
        That of the measured losses, and its standard error.
    """

    of: Callable[[Any], np.ndarray] = field(repr=False)
    value: float
    error: float


def product_of_counts(size: Any, tokens: Any, loss: Any) -> Product | None:
    """How size and data couple, from the runs alone; None where the runs do not tell.

    Parameters
    ----------
    size, tokens, loss
        Parameters, tokens and nats, one value a run. Noise is taken to be alike in the log loss.
    """
    x, y = (np.log(np.asarray(one, dtype=float)) for one in (size, tokens))
    measured = np.asarray(loss, dtype=float)
    x, y = x - x.mean(), y - y.mean()
    terms = [np.ones_like(x), x, x**2, x**3, y, y**2, y**3, x * y]
    columns = np.stack([term / max(float(np.abs(term).max()), 1e-9) for term in terms], axis=1)
    whole = columns / measured[:, None]
    if len(x) < 2 * len(terms) or np.linalg.cond(whole / np.linalg.norm(whole, axis=0)) > 1e4:
        return None
    inverse = np.linalg.pinv(whole)[-1] / measured / np.abs(terms[-1]).max()

    def of(losses: Any) -> np.ndarray:
        return np.asarray(losses @ inverse)

    residual = 1.0 - whole @ (np.linalg.pinv(whole) @ np.ones_like(measured))
    scale = np.sqrt((residual**2).sum() / (len(x) - len(terms)))
    return Product(of, float(of(measured)), float(scale * np.linalg.norm(inverse * measured)))
