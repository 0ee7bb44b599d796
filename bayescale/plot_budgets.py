"""Plots of what a budget buys: loss over model size, and the optimal allocation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescale.allocation import allocate
from bayescale.errors import InputError
from bayescale.figures import (
    INK,
    LINES,
    MARKERS,
    as_fits,
    axis_label,
    check_probs,
    draw_band,
    draw_intervals,
    fit_colour,
    head_room,
    is_log,
    label_outer,
    level_colours,
    level_label,
    make_panels,
    middle,
    note_simulated,
    returned,
    scale_axis,
    style,
    symbol,
)
from bayescale.fits import Fit
from bayescale.plans import Plans, check_budget, plans
from bayescale.prediction import interval, predict
from bayescale.variables import variable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_allocation", "plot_isoflop"]

_POINTS = 101  # of a curve
_AROUND = 10.0  # how far past the optimum's interval a curve goes, as a factor
_MOST_CURVES = 8


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
    """Mean loss of the plans that spend a budget, over model size, and where its minimum lies.

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
        As for ``allocate``. With one fit and one budget each listed choice (sparsity,
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
    for i, name in enumerate(named):
        best = allocate(named[name], budgets, **options)
        for k, value in enumerate(budgets):
            here = best.isel(budget=k)
            x = _window(spaces[name], value, here[along], prob, bounds)
            losses = [_loss(named[name], spaces[name], value, one, x) for one in spaces[name].listed]
            if each:
                labels = [_listed_label(one, fit.law.variables) for one in space.listed]
                chosen = _most_chosen(here, space.listed)
                found = [
                    _Curve(labels[j], x, loss, j, j, j == chosen) for j, loss in enumerate(losses)
                ]
            else:
                label = level_label("budget", value) if len(budgets) > 1 or len(named) == 1 else name
                label = f"{name}, {label}" if len(budgets) > 1 and len(named) > 1 else label
                least = xr.concat(losses, "listed").min("listed")
                # Colours tell budgets apart and line styles fits, or both what there is.
                line = i if len(named) > 1 else k
                found = [_Curve(label, x, least, k if len(budgets) > 1 else i, line, True)]
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
        panel.set_ylabel(axis_label("loss"))
        _limit(panel, curves, len(optima), prob)
        if len(curves) > 4:
            head_room(panel, len(curves), columns=4)
        else:
            panel.legend()
        for row, optimum in enumerate(optima):
            own = optimum.curve
            colour, marker = (colours[own.colour], MARKERS[own.line % 8]) if own else (INK, "o")
            _mark(panel, optimum, row, prob, colour, marker)
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
    return np.exp(np.linspace(low, high, _POINTS))


def _loss(
    fit: Fit, space: Plans, budget: float, listed: Mapping[str, float], x: np.ndarray
) -> xr.DataArray:
    assert space.free is not None
    plan = space.complete(budget, listed, xr.DataArray(np.log(x), dims=space.free))
    return predict(fit, mean=True, **{name: plan[name] for name in fit.law.inputs})


def _listed_label(listed: Mapping[str, float], extra: tuple[Any, ...]) -> str:
    return ", ".join(level_label(name, float(value), extra) for name, value in listed.items())


def _most_chosen(best: xr.Dataset, listed: Sequence[Mapping[str, float]]) -> int:
    """Index of the listed choice that is optimal in most draws."""
    shares = [np.mean([best[name] == value for name, value in one.items()]) for one in listed]
    return int(np.argmax(shares))


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


def _mark(
    panel: Axes, optimum: _Optimum, row: int, prob: float, colour: Any, marker: str
) -> None:
    """The optimum's intervals at the bottom, and a thin line from them up to the curve."""
    low, high = panel.get_ylim()
    height = low + (high - low) * (0.03 + 0.045 * row)
    size = float(middle(optimum.size))
    loss = float(np.interp(np.log(size), np.log(optimum.x), optimum.medians))
    panel.vlines(size, height, loss, colors=colour, linewidth=0.7, linestyles=(0, (1, 2)))
    panel.plot([size], [loss], marker=marker, markersize=3.5, color=colour)
    probs = () if optimum.size.size == 1 else sorted({0.5, prob})
    draw_intervals(panel, height, optimum.size, probs, color=colour, marker=marker)


def plot_allocation(
    fits: Fit | Mapping[str, Fit],
    budget: Any,
    *,
    cost: Callable[..., Any] | None = None,
    choose: Mapping[str, Sequence[float]] | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    show: Sequence[str] | None = None,
    probs: Sequence[float] = (0.5, 0.9),
    ax: Any = None,
) -> Any:
    """The optimal allocation over the training budget, with credible bands.

    A vertical line marks the cost of the largest fitted run: to its right, the law is
    extrapolated, and the bands hold if the law does.

    Parameters
    ----------
    fits
        A fit, or several by name.
    budget
        Training FLOPs, a row of them.
    cost, choose, fixed, bounds
        As for ``allocate``.
    show
        A panel for each: inputs of the law, ratios of two inputs such as ``"D/N"``, and
        ``"loss"``. By default what the budget decides, tokens per parameter, and the loss.
    probs
        Posterior probabilities of the bands.
    ax
        An Axes, divided among the panels, or an array of one Axes a panel.

    Returns
    -------
    matplotlib.axes.Axes or numpy.ndarray
        The Axes, or an array of them if there are several panels.

    Raises
    ------
    InputError
        If the choices or the budgets make no sense, or there is only one budget.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> fit = bs.published(dense, "besiroglu2024")
    >>> panels = bs.plotting.plot_allocation(fit, [1e20, 1e22, 1e24])
    >>> [panel.get_ylabel() for panel in panels][1:3]
    ['$D$ (tokens)', '$D/N$ (tokens/parameter)']
    """
    named, probs = as_fits(fits), check_probs(probs)
    budgets = np.unique(np.asarray(getattr(budget, "values", budget), dtype=float))
    if len(budgets) < 2:
        raise InputError(
            "the allocation is plotted over several budgets, such as np.geomspace(1e20, 1e24, 25); "
            "for one budget see plot_isoflop"
        )
    options: dict[str, Any] = {"cost": cost, "choose": choose, "fixed": fixed, "bounds": bounds}
    spaces = {name: plans(fit, **options) for name, fit in named.items()}
    wanted = _wanted(list(spaces.values()), show)
    best = {name: allocate(fit, budgets, **options) for name, fit in named.items()}
    extra = next(iter(named.values())).law.variables
    across = {1: 1, 2: 2, 3: 3, 4: 2}.get(len(wanted), 3)
    size = (6, 2.4) if len(wanted) in (2, 3) else (6, 4)
    with style():
        panels = make_panels(ax, len(wanted), columns=across, size=size, sharex=True)
        for panel, what in zip(panels, wanted, strict=True):
            drawn = []
            for i, (name, found) in enumerate(best.items()):
                values = _quantity(found, what)
                listed = any(what in one for one in spaces[name].listed)
                look = {"color": fit_colour(i), "linestyle": LINES[i % len(LINES)], "label": name}
                draw_band(panel, budgets, values, probs, steps=listed, **look)
                drawn.append(interval(values, probs[0]).values)
            levels = [one[what] for one in next(iter(spaces.values())).listed if what in one]
            _scale_quantity(panel, what, np.array(levels or drawn), extra)
            if 1 < len(set(levels)) <= _MOST_CURVES:
                panel.set_yticks(sorted(set(levels)), [f"{level:g}" for level in sorted(set(levels))])
            scale_axis(panel, "x", "budget", budgets, log=True)
        _mark_largest(panels, best)
        label_outer(panels)
        note_simulated(panels, named)
        if len(named) > 1:
            panels[-1].legend()
    return returned(panels)


def _wanted(spaces: Sequence[Plans], show: Sequence[str] | None) -> list[str]:
    """Names of the quantities to show: those given, or what the budget decides under every law."""
    if show is not None:
        known = [name for name in spaces[0].law.inputs if all(name in s.law.inputs for s in spaces)]
        for what in show if not isinstance(show, str) else [show]:
            wrong = [part for part in what.split("/") if part not in known]
            if what != "loss" and (wrong or what.count("/") > 1):
                raise InputError(
                    f"show names {what!r}; it takes a list of {', '.join(known)}, ratios such as "
                    f"{'/'.join(known[-1:] + known[:1])!r}, and 'loss'"
                )
        return [show] if isinstance(show, str) else list(show)
    found = []
    for space in spaces:
        listed = [name for name in space.listed[0] if len({one[name] for one in space.listed}) > 1]
        decided = [n for n in space.law.inputs if n in (space.free, space.balance, *listed)]
        units = {n: variable(n, space.law.variables).unit for n in decided}
        if space.free and units[space.free] == "parameters" and units[space.balance] == "tokens":
            decided.append(f"{space.balance}/{space.free}")
        found.append([*decided, "loss"])
    return [what for what in found[0] if all(what in other for other in found)]


def _quantity(best: xr.Dataset, what: str) -> xr.DataArray:
    above, _, below = what.partition("/")
    return best[above] / best[below] if below else best[above]


def _scale_quantity(panel: Axes, what: str, values: np.ndarray, extra: tuple[Any, ...]) -> None:
    if "/" not in what:
        log = what != "loss" and is_log(what, values, extra)
        scale_axis(panel, "y", what, values, log=log, extra=extra, short=True)
        return
    units = [variable(part, extra).unit or part for part in what.split("/")]
    ratio = "/".join(symbol(part).strip("$") for part in what.split("/"))
    scale_axis(panel, "y", what, values, log=values.max() > 4 * values.min())
    panel.set_ylabel(f"${ratio}$ ({units[0]}/{units[1].removesuffix('s')})")


def _mark_largest(panels: Sequence[Axes], best: Mapping[str, xr.Dataset]) -> None:
    """A line at the cost of the largest fitted run, beyond which the law is extrapolated."""
    low, high = panels[0].get_xlim()
    costs = [float((found.budget / found.extrapolation)[0]) for found in best.values()]
    for i, cost in enumerate(costs):
        colour = fit_colour(i) if len(costs) > 1 else "0.4"
        if low < cost < high:
            for panel in panels:
                panel.axvline(cost, color=colour, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    if low < min(costs) or not np.isfinite(min(costs)):
        beyond = [cost for cost in costs if low < cost < high]
        text = "extrapolation →"
    else:
        beyond, text = [low], "all extrapolation"
    if beyond:
        # Above the axes, where nothing is drawn, and to the left if there is no room to the right.
        panel = panels[min(1, len(panels) - 1)]
        share = float(np.log(max(beyond) / low) / np.log(high / low))
        panel.annotate(
            text,
            (share if share < 0.6 else 1.0, 1.0),
            xycoords="axes fraction",
            xytext=(0, 2 if len(panels) > 1 else 12),
            textcoords="offset points",
            ha="left" if share < 0.6 else "right",
            fontsize=7.5,
            color="0.35",
        )
