"""The plot of the optimal allocation over the training budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescale.common.errors import InputError
from bayescale.decisions.allocation import allocate
from bayescale.decisions.plans import Plans, plans
from bayescale.fitting.fits import Fit
from bayescale.language.variables import variable
from bayescale.plotting.axes import is_log, scale_axis, symbol
from bayescale.plotting.figures import (
    LINES,
    as_fits,
    check_probs,
    draw_band,
    fit_colour,
    label_outer,
    make_panels,
    note_simulated,
    returned,
    spread,
    style,
    uncertain,
    with_key,
)
from bayescale.prediction.predict import interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_allocation", "plot_allocation"]

_MOST_TICKS = 8
_MARK = fit_colour(1)


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
    mark: float | None = None,
    ax: Any = None,
) -> Any:
    """The optimal allocation over the training budget, with credible bands.

    A vertical line marks the cost of the largest fitted run: to its right, the law is
    extrapolated, and bands of a fit that takes its law to be true are too narrow.

    Parameters
    ----------
    fits
        A fit, or several by name.
    budget
        Training FLOPs, a row of them.
    cost, choose, fixed, bounds
        As for :func:`bayescale.allocate`.
    show
        A panel for each: inputs of the law, ratios of two inputs such as ``"D/N"``, and
        ``"loss"``. By default what the budget decides, tokens per parameter, and the loss.
    probs
        Posterior probabilities of the bands.
    mark
        A budget to mark, FLOPs: the one that was asked for.
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
    return draw_allocation(named, best, spaces, show=wanted, probs=probs, mark=mark, ax=ax)


def draw_allocation(
    named: Mapping[str, Fit],
    best: Mapping[str, xr.Dataset],
    spaces: Mapping[str, Plans],
    *,
    show: Sequence[str],
    probs: Sequence[float],
    mark: float | None = None,
    ax: Any = None,
) -> Any:
    """Draw allocations that are there: what ``allocate`` gave of each fit, by name."""
    wanted, first = show, next(iter(named.values()))
    budgets = next(iter(best.values())).budget.values
    extra, unit = first.law.variables, first.loss_unit
    across = {1: 1, 2: 2, 3: 3, 4: 2}.get(len(wanted), 3)
    size = (6, 2.4) if len(wanted) in (2, 3) else (6, 4)
    with style():
        panels = make_panels(ax, len(wanted), columns=across, size=size, sharex=True)
        for panel, what in zip(panels, wanted, strict=True):
            drawn = []
            for i, (name, found) in enumerate(best.items()):
                values = _quantity(found, what)
                listed = any(what in one for one in spaces[name].listed)
                look = {"color": fit_colour(i), "linestyle": LINES[i % len(LINES)]}
                if len(named) > 1:
                    look["label"] = name
                draw_band(panel, budgets, values, probs, steps=listed, **look)
                drawn.append(interval(values, probs[0]).values)
            levels = [one[what] for one in next(iter(spaces.values())).listed if what in one]
            _scale_quantity(panel, what, np.array(levels or drawn), extra, unit)
            if 1 < len(set(levels)) <= _MOST_TICKS:
                _tick_levels(panel, levels)
            scale_axis(panel, "x", "budget", budgets, log=True)
            if across > 2:
                panel.set_xlabel("budget (FLOP)")
        _mark_largest(panels, best)
        label_outer(panels)
        note_simulated(panels, named)
        if mark is not None:
            for panel in panels:
                label = "budget asked for" if panel is panels[-1] else None
                panel.axvline(mark, color=_MARK, linewidth=0.9, zorder=1, label=label)
        unsure = any(map(uncertain, named.values()))
        # Lines may run behind it.
        frame: Any = {"frameon": True, "framealpha": 0.85, "edgecolor": "none"}
        with_key(panels[-1], spread(probs, "bands") if unsure else (), loc="best", **frame)
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
        varies = (*space.continuous, space.balance, *listed)
        decided = [n for n in space.law.inputs if n in varies]
        units = {n: variable(n, space.law.variables).unit for n in decided}
        if space.free and units[space.free] == "parameters" and units[space.balance] == "tokens":
            decided.append(f"{space.balance}/{space.free}")
        found.append([*decided, "loss"])
    return [what for what in found[0] if all(what in other for other in found)]


def _quantity(best: xr.Dataset, what: str) -> xr.DataArray:
    above, _, below = what.partition("/")
    return best[above] / best[below] if below else best[above]


def _scale_quantity(
    panel: Axes, what: str, values: np.ndarray, extra: tuple[Any, ...], unit: str
) -> None:
    if "/" not in what:
        log = what != "loss" and is_log(what, values, extra)
        unit = unit if what == "loss" else ""
        scale_axis(panel, "y", what, values, log=log, extra=extra, short=True, unit=unit)
        return
    units = [variable(part, extra).unit or part for part in what.split("/")]
    ratio = "/".join(symbol(part).strip("$") for part in what.split("/"))
    scale_axis(panel, "y", what, values, log=values.max() > 4 * values.min())
    panel.set_ylabel(f"${ratio}$ ({units[0]}/{units[1].removesuffix('s')})")


def _tick_levels(panel: Axes, levels: Sequence[float]) -> None:
    from matplotlib.ticker import FuncFormatter, NullLocator

    from bayescale.plotting.ticks import LevelTicks

    panel.yaxis.set_major_locator(LevelTicks(levels))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_locator(NullLocator())


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
