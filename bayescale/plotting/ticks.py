"""Ticks as far apart as their labels need, for which an axis is measured when it is drawn.

Loaded by the functions that draw, since it needs matplotlib.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from matplotlib.ticker import Locator, MaxNLocator

__all__ = ["FewTicks", "LevelTicks", "RoundTicks"]

#: Steps within a decade, the coarsest first; of each, how many ticks in view are enough.
_WITHIN = (
    ((1.0,), 4),
    ((1.0, 3.0), 3),
    ((1.0, 2.0, 5.0), 2),
    ((1.0, 2.0, 3.0, 5.0, 7.0), 2),
    ((1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0), 0),
)
_POINTS = 72.0  # an inch
_WIDE, _HIGH = 0.62, 1.25  # of a letter and of a line, in units of the letters' size
_BETWEEN = 0.7  # of two labels side by side, in the same units


def _letters(label: str) -> float:
    """How many letters wide a label is; powers are smaller."""
    plain = re.sub(r"\\times", "x", label.replace("$", "").replace(r"\!", ""))
    powers = "".join(re.findall(r"\^\{([^}]*)\}", plain))
    return len(re.sub(r"\^\{[^}]*\}|[\\{}]", "", plain)) + 0.7 * len(powers)


def _have_room(axis: Any, ticks: np.ndarray) -> bool:
    """Whether the labels of ticks would be apart on an axis as long as it is now."""
    if len(ticks) < 2:
        return True
    panel, across = axis.axes, axis.axis_name == "x"
    points = np.column_stack(
        [ticks, np.ones_like(ticks)] if across else [np.ones_like(ticks), ticks]
    )
    transform = panel.get_xaxis_transform() if across else panel.get_yaxis_transform()
    at = transform.transform(points)[:, 0 if across else 1] * _POINTS / panel.figure.dpi
    gaps = np.abs(np.diff(at))
    size = axis.get_major_ticks(1)[0].label1.get_fontsize()
    if not across:
        return bool((gaps >= _HIGH * size).all())
    widths = _WIDE * np.array(
        [_letters(one) for one in axis.get_major_formatter().format_ticks(ticks)]
    )
    needed = (widths[1:] + widths[:-1]) / 2 + _BETWEEN
    return bool((gaps >= needed * size).all())


def _seen(ticks: np.ndarray, low: float, high: float) -> np.ndarray:
    return ticks[(ticks >= low * (1 - 1e-9)) & (ticks <= high * (1 + 1e-9))]


class RoundTicks(Locator):
    """Round numbers on a logarithmic axis: the coarsest that are enough and have room."""

    def __init__(self, base: float = 10.0) -> None:
        self.base = base

    def __call__(self) -> Any:
        """Ticks of the axis as it is."""
        low, high = sorted(self.axis.get_view_interval())  # type: ignore[union-attr]
        return self.tick_values(low, high)

    def tick_values(self, vmin: float, vmax: float) -> Any:
        """Ticks between two values."""
        best = np.array([])
        for ticks, enough in self._ladder(vmin, vmax):
            if not _have_room(self.axis, ticks):
                if len(best) < 2:
                    ends = ticks[[0, -1]]
                    best = ends if _have_room(self.axis, ends) else ticks[:1]
                break
            best = ticks
            if len(ticks) >= enough:
                break
        return best

    def _ladder(self, low: float, high: float) -> Iterator[tuple[np.ndarray, int]]:
        """Ticks from the coarsest to the finest, each with how many are enough."""
        bottom, top = (
            f(np.log(x) / np.log(self.base)) for f, x in ((np.floor, low), (np.ceil, high))
        )
        for stride in range(int(top - bottom), 1, -1):
            first = stride * np.ceil(bottom / stride)
            ticks = _seen(self.base ** np.arange(first, top + 1, stride), low, high)
            if len(ticks) > 1:
                yield ticks, 4
        decades = self.base ** np.arange(bottom, top + 1)
        for within, enough in _WITHIN if self.base == 10 else (((1.0,), 2),):
            yield _seen(np.outer(decades, within).ravel(), low, high), enough
        few = MaxNLocator(3, steps=[1, 2, 5, 10]).tick_values(low, high)
        yield _seen(np.asarray(few), low, high), 0


class FewTicks(MaxNLocator):
    """A few round numbers on a linear axis, fewer where there is no room."""

    def __call__(self) -> Any:
        """Ticks of the axis as it is."""
        ticks = np.array([])
        for most in (4, 3, 2, 1):
            self.set_params(nbins=most)
            low, high = sorted(self.axis.get_view_interval())  # type: ignore[union-attr]
            room = 1e-9 * (high - low)
            ticks = np.asarray(super().__call__())
            ticks = ticks[(ticks >= low - room) & (ticks <= high + room)]
            if _have_room(self.axis, ticks):
                return ticks
        ends = ticks[[0, -1]]
        return ends if _have_room(self.axis, ends) else ticks[:1]


class LevelTicks(Locator):
    """Levels of a design, without those whose labels have no room; the last is always there."""

    def __init__(self, levels: Iterable[float]) -> None:
        self.levels = sorted(set(levels), reverse=True)

    def __call__(self) -> Any:
        """Ticks of the axis as it is."""
        kept: list[float] = []
        for level in self.levels:
            if _have_room(self.axis, np.array([*kept, level])):
                kept.append(level)
        return np.array(kept[::-1])
