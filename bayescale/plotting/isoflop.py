"""The plot of loss over model size at a budget, and of where its minimum lies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescale.common.errors import InputError
from bayescale.decisions.allocation import allocate
from bayescale.decisions.plans import Plans, check_budget, plans
from bayescale.fitting.fits import Fit
from bayescale.plotting.axes import axis_label, level_label, scale_axis
from bayescale.plotting.figures import (
    INK,
    LINES,
    MARKERS,
    as_fits,
    check_probs,
    draw_band,
    draw_intervals,
    fit_colour,
    head_room,
    level_colours,
    make_panels,
    middle,
    note_simulated,
    spread,
    style,
    uncertain,
    with_key,
)
from bayescale.prediction.predict import interval, predict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_isoflop"]

_POINTS = 101  # of a curve
_AROUND = 10.0  # how far past the optimum's interval a curve goes, as a factor
_MOST_CURVES = 8
_ROUNDING = 1e-9  # of the logarithm of a size


def plot_isoflop(
    fits: Fit | Mapping[str, Fit],
    budget: Any,
    *,
    cost: Callable[..., Any] | None = None,
    choose: Mapping[str, Sequence[float]] | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    prob: float = 0.9,
    ax: Any = None,
) -> Any:
    """Loss of the plans that spend a budget, over model size, and where its minimum lies.

    The bars at the bottom are the 50 % and ``prob`` credible intervals of the optimum: the
    minimum of every draw's own curve, as ``allocate`` finds it. The band of a curve also holds
    what is unknown about the level of the loss, which moves no minimum, so it is wider than the
    bars suggest.

    Parameters
    ----------
    fits
        A fit, or several by name.
    budget
        Training FLOPs: a number, or a few.
    cost, choose, fixed, bounds
        As for :func:`bayescale.allocate`. With one fit and one budget each listed choice (sparsity,
        granularity, experts) has a curve, and the most often optimal one a band; otherwise every
        draw takes the best choice at each size. Bounds on the size are the ends of the curves.
    prob
        Posterior probability of the bands and of the wider bars.
    ax
        An Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes.

    Raises
    ------
    InputError
        If the choices or the budget make no sense, or no size is left free.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> ax = bs.plotting.plot_isoflop(bs.published(dense, "besiroglu2024"), [1e21, 1e22])
    >>> ax.get_xlabel()
    'model size $N$ (parameters)'
    """
    named, (prob,) = as_fits(fits), check_probs([prob])
    options: dict[str, Any] = {"cost": cost, "choose": choose, "fixed": fixed, "bounds": bounds}
    spaces = {name: plans(fit, **options) for name, fit in named.items()}
    free = {space.free for space in spaces.values()}
    if len(free) > 1 or None in free:
        raise InputError(
            f"the plot needs one size that varies continuously, the same for all fits; here it is "
            f"{', '.join(f'{name}: {space.free}' for name, space in spaces.items())}"
        )
    (along,) = free
    assert along is not None
    fit, space = next(iter(named.values())), next(iter(spaces.values()))
    budgets = np.sort(check_budget(fit, budget, space)[0])
    each = len(named) == len(budgets) == 1 and 1 < len(space.listed) <= _MOST_CURVES
    curves: list[_Curve] = []
    optima: list[_Optimum] = []
    for i, (name, one) in enumerate(named.items()):
        best = allocate(one, budgets, **options)
        for k, value in enumerate(budgets):
            here = best.isel(budget=k)
            x = _window(spaces[name], value, here[along], prob, bounds)
            losses = _losses(one, spaces[name], value, x)
            if each:
                found = _listed_curves(space, here, x, losses)
            else:
                # Colours tell budgets apart and line styles fits, or both what there is.
                colour, line = (k if len(budgets) > 1 else i), (i if len(named) > 1 else k)
                label = _label(name, value, len(named) > 1, len(budgets) > 1)
                least = xr.concat(losses, "listed").min("listed")
                found = [_Curve(label, x, least, colour, line, True)]
            curves += found
            medians = np.min([middle(curve.loss) for curve in found], axis=0)
            optima.append(_Optimum(here[along], x, medians, None if each else found[0]))
    several = len(space.listed) if each else len(budgets)
    colours = level_colours(several) if several > 1 else [fit_colour(i) for i in range(len(named))]
    with style():
        (panel,) = make_panels(ax, 1, columns=1, size=(6, 4))
        for curve in curves:
            look = {"color": colours[curve.colour], "linestyle": LINES[curve.line % len(LINES)]}
            probs = [prob] if curve.band else ()
            draw_band(panel, curve.x, curve.loss, probs, label=curve.label, **look)
        ends = np.concatenate([curve.x[[0, -1]] for curve in curves])
        scale_axis(panel, "x", along, ends, log=True, extra=fit.law.variables)
        panel.set_ylabel(axis_label("loss", unit=fit.loss_unit))
        _limit(panel, curves, len(optima), prob)
        unsure = any(map(uncertain, named.values()))
        more = [*spread([prob], "bands"), *spread({0.5, prob}, "bars")] if unsure else []
        if len(curves) > 4:
            head_room(panel, len(curves), columns=3, more=more)
        else:
            with_key(panel, more)
        for row, optimum in enumerate(optima):
            own = optimum.curve
            ink = INK if own is None else colours[own.colour]
            _mark(
                panel,
                optimum,
                row,
                prob,
                ink,
                MARKERS[0 if own is None else own.line % len(MARKERS)],
            )
        note_simulated([panel], named)
    return panel


@dataclass(frozen=True)
class _Curve:
    """Loss over size, for every draw, and how it is drawn."""

    label: str
    x: np.ndarray
    loss: xr.DataArray
    colour: int
    line: int
    band: bool


@dataclass(frozen=True)
class _Optimum:
    """Size at the minimum of every draw's curve, and the median curve to point at."""

    size: xr.DataArray
    x: np.ndarray
    medians: np.ndarray
    curve: _Curve | None


def _window(
    space: Plans, budget: float, best: xr.DataArray, prob: float, bounds: Mapping[str, Any] | None
) -> np.ndarray:
    """Sizes to draw: about the optimum, where every listed choice is possible."""
    assert space.free is not None
    ranges = [space.range(np.asarray(budget), listed) for listed in space.listed]
    low, high = max(float(r[0]) for r in ranges), min(float(r[1]) for r in ranges)
    if space.free not in (bounds or {}):
        ends = np.log(interval(best, prob).values)
        low, high = max(low, ends[0] - np.log(_AROUND)), min(high, ends[1] + np.log(_AROUND))
    # A hair inside, where rounding takes no plan beyond a limit.
    return np.exp(np.linspace(low + _ROUNDING, high - _ROUNDING, _POINTS))


def _losses(fit: Fit, space: Plans, budget: float, x: np.ndarray) -> list[xr.DataArray]:
    """Loss over size of each listed choice, for every draw."""
    assert space.free is not None
    log_x = xr.DataArray(np.log(x), dims=space.free)
    every = [space.complete(budget, listed, log_x) for listed in space.listed]
    return [predict(fit, mean=True, **{n: plan[n] for n in fit.law.inputs}) for plan in every]


def _listed_curves(
    space: Plans, best: xr.Dataset, x: np.ndarray, losses: list[xr.DataArray]
) -> list[_Curve]:
    """A curve for each listed choice; the one that is optimal in most draws has a band."""
    shares, labels = [], []
    for listed in space.listed:
        chosen = [(best[name] == value).values for name, value in listed.items()]
        shares.append(np.logical_and.reduce(chosen).mean())
        pairs = listed.items()
        labels.append(", ".join(level_label(n, float(v), space.law.variables) for n, v in pairs))
    most = int(np.argmax(shares))
    return [_Curve(labels[j], x, loss, j, j, j == most) for j, loss in enumerate(losses)]


def _label(name: str, budget: float, many_fits: bool, many_budgets: bool) -> str:
    money = level_label("budget", budget)
    if many_fits and many_budgets:
        return f"{name}, {money}"
    return name if many_fits else money


def _limit(panel: Axes, curves: list[_Curve], rows: int, prob: float) -> None:
    """View every minimum, with room for the optima below."""
    low, high = np.inf, -np.inf
    for curve in curves:
        loss = middle(curve.loss)
        lower = interval(curve.loss, prob).sel(ci_bound="lower").values if curve.band else loss
        low = min(low, float(lower.min()))
        # One end may rise without limit, where nothing is left for the tokens.
        rise = 1.5 * (min(loss[0], loss[-1]) - loss.min())
        high = max(high, float(min(loss.max(), loss.min() + rise)))
    span = high - low
    panel.set_ylim(low - span * (0.06 + 0.05 * rows), high + 0.04 * span)


def _mark(panel: Axes, optimum: _Optimum, row: int, prob: float, colour: Any, marker: str) -> None:
    """The optimum's intervals at the bottom, and a thin line from them up to the curve."""
    low, high = panel.get_ylim()
    height = low + (high - low) * (0.03 + 0.045 * row)
    size = float(middle(optimum.size))
    loss = float(np.interp(np.log(size), np.log(optimum.x), optimum.medians))
    panel.vlines(size, height, loss, colors=colour, linewidth=0.7, linestyles=(0, (1, 2)))
    panel.plot([size], [loss], marker=marker, markersize=3.5, color=colour)
    probs = () if optimum.size.size == 1 else sorted({0.5, prob})
    draw_intervals(panel, height, optimum.size, probs, color=colour, marker=marker)
