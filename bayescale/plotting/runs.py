"""The plot of a law over the runs it was fitted to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number
from bayescale.fitting.fits import Fit
from bayescale.language.columns import read_columns
from bayescale.language.law import Law
from bayescale.language.variables import Variable, variable
from bayescale.plotting.axes import axis_label, is_log, level_label, scale_axis, symbol
from bayescale.plotting.figures import (
    INK,
    LINES,
    MARKERS,
    check_probs,
    draw_band,
    fit_colour,
    key,
    label_outer,
    level_colours,
    make_panels,
    returned,
    simulated,
    spread,
    style,
    uncertain,
)
from bayescale.prediction.draws import check_one_group
from bayescale.prediction.predict import predict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_fit"]

_MOST_LEVELS = 8
_MOST_PANELS = 6
_CURVES = 5  # where levels are too many for a curve each
_POINTS = 60  # of a curve


@dataclass(frozen=True)
class _Levels:
    """Runs grouped by one input: the level that each belongs to, and each level's value."""

    name: str
    of_run: np.ndarray
    values: np.ndarray
    distinct: bool


def plot_fit(
    fit: Fit,
    runs: pd.DataFrame | None = None,
    *,
    x: str | None = None,
    by: str | None = None,
    panels: str | None = None,
    prob: float = 0.9,
    ax: Any = None,
) -> Any:
    """Runs as points, and the law over them with its credible band.

    Parameters
    ----------
    fit
        A fit. The band is that of the law's loss; single runs scatter about it.
    runs
        Runs to show; by default those that the law was fitted to.
    x, by, panels
        Input along the axis, input that colours tell apart, and input with a panel for each
        level. By default the tokens, the model size and whichever other input varies. An input
        of many values is coloured continuously, with curves at some of its values,
        marked on the colour bar; further inputs are held at their median for the curves.
    prob
        Posterior probability that the band holds.
    ax
        An Axes, divided if there are several panels, or an array of one Axes a panel.

    Returns
    -------
    matplotlib.axes.Axes or numpy.ndarray
        The Axes, or an array of them if there are several panels.

    Raises
    ------
    InputError
        If there are no runs to show, or an input is not one of the law's.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder")
    >>> ax = bs.plotting.plot_fit(bs.published(dense, "besiroglu2024"), runs)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('training data $D$ (tokens)', 'loss (nats per token)')
    """
    check_probs([prob])
    check_one_group(fit)
    columns, loss = _read(fit, runs)
    x, by, panels = _roles(fit.law, columns, x, by, panels)
    extra = fit.law.variables
    series = _levels(by, columns, extra, _MOST_LEVELS) if by else None
    cells = _levels(panels, columns, extra, _MOST_PANELS) if panels else None
    log_x = is_log(x, columns[x], extra)
    grid = _grid(variable(x, extra), columns[x], log_x)
    made_up = simulated(fit) if runs is None else bool(runs.attrs.get("simulated"))
    unit = fit.loss_unit if runs is None else str(runs.attrs.get("loss_unit", fit.loss_unit))

    count = 1 if cells is None else len(cells.values)
    across = {1: 1, 2: 2, 4: 2}.get(count, 3)
    with style():
        drawn = make_panels(ax, count, columns=across, size=(6, 4), sharex=True, sharey=True)
        for i, panel in enumerate(drawn):
            here = np.ones(len(loss), bool) if cells is None else cells.of_run == i
            held = {name: float(np.median(values[here])) for name, values in columns.items()}
            if cells is not None:
                panel.set_title(_cell_title(cells, i, columns[cells.name][here], extra))
            if series is None:
                _draw_series(panel, fit, x, grid, held, prob, color=fit_colour(0))
                _draw_points(panel, columns[x][here], loss[here], color=INK)
            else:
                _draw_levels(panel, fit, x, grid, held, prob, series, here, columns, loss)
            scale_axis(panel, "x", x, columns[x], log=log_x, extra=extra, short=count > 1)
            panel.set_ylabel(_loss_label(made_up, short=count > 1, unit=unit))
        _limit(drawn, loss)
        label_outer(drawn)
        bands = [prob] if uncertain(fit) else []
        if series is not None and not series.distinct:
            _colour_bar(drawn, series, columns[series.name], extra, bands)
        elif series is not None:
            title = axis_label(series.name, extra, short=True)
            more = spread(bands, "bands")
            key(drawn, across, more, title=title, handletextpad=0.5, labelspacing=0.35)
        else:
            key(drawn, across, spread(bands, "bands"))
    return returned(drawn)


def _loss_label(made_up: bool, short: bool, unit: str) -> str:
    label = axis_label("loss", unit=unit)
    return f"simulated {label}".replace(" (", "\n(" if short else " (") if made_up else label


def _read(fit: Fit, runs: pd.DataFrame | None) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The law's inputs and the loss, a row a run."""
    law = fit.law
    if runs is not None:
        columns = read_columns(runs, [*law.inputs, "loss"], extra=law.variables)
        return {name: columns[name] for name in law.inputs}, columns["loss"]
    if fit.runs is None:
        raise InputError(
            "published coefficients were not fitted to runs here; give the runs to show, as in "
            "plot_fit(fit, runs)"
        )
    table = fit.runs
    return {name: table[name].values.astype(float) for name in law.inputs}, table["loss"].values


def _roles(
    law: Law, columns: Mapping[str, np.ndarray], x: str | None, by: str | None, panels: str | None
) -> tuple[str, str | None, str | None]:
    """Which input lies along the axis, which is coloured, and which has panels."""
    for what, name in {"x": x, "by": by, "panels": panels}.items():
        if name is not None and name not in law.inputs:
            raise InputError(
                f"{what}={name!r} is not an input of law {law.name!r}; choose among "
                f"{', '.join(law.inputs)}"
            )
    given = [name for name in (x, by, panels) if name is not None]
    if len(set(given)) < len(given):
        raise InputError(f"x, by and panels must be different inputs, not {given}")
    varied = [name for name in law.inputs if _varies(columns[name])]

    def rank(name: str, first: str) -> int:
        known = variable(name, law.variables)
        return 0 if known.unit == first else 1 if known.scale is not None else 2

    open_ = [name for name in varied if name not in given]
    if x is None:
        # Of several token counts those trained on, or the last: the one that a run goes on with.
        choice = open_[::-1] or [name for name in law.inputs[::-1] if name not in given]
        x = min(choice, key=lambda name: (rank(name, "tokens"), name != "D"))
        open_ = [name for name in open_ if name != x]
    open_.sort(key=lambda name: rank(name, "parameters"))
    if by is None and open_:
        by = open_.pop(0)
    if panels is None and open_:
        panels = open_.pop(0)
    return x, by, panels


def _varies(values: np.ndarray) -> bool:
    low, high = values.min(), values.max()
    return bool(high > low * 1.05) if low > 0 else bool(high > low)


def _levels(
    name: str, columns: Mapping[str, np.ndarray], extra: tuple[Any, ...], most: int
) -> _Levels:
    """Group runs by the levels of a design, or by quantiles where the values are too many."""
    values = columns[name]
    log = is_log(name, values, extra)
    scaled = np.log(values) if log else values / (np.ptp(values) or 1.0)
    order = np.argsort(scaled, kind="stable")
    # Sizes a few per cent apart, as of networks with and without routers, are one level.
    starts = np.concatenate([[0], np.diff(scaled[order]) > (0.05 if log else 0.02)])
    of_run = np.empty(len(values), int)
    of_run[order] = starts.cumsum().astype(int)
    count = of_run.max() + 1
    wide = max(np.ptp(scaled[of_run == i]) for i in range(count)) > 0.08
    distinct = count <= most and not wide
    if not distinct:
        edges = np.quantile(values, np.linspace(0, 1, 5)[1:-1])
        of_run = np.searchsorted(edges, values, side="right")
        of_run = np.unique(of_run, return_inverse=True)[1]
    middles = [float(np.median(values[of_run == i])) for i in range(of_run.max() + 1)]
    return _Levels(name, of_run, np.array(middles), distinct)


def _grid(known: Variable, values: np.ndarray, log: bool) -> np.ndarray:
    """Places of a curve, a little past the runs where the input allows that."""
    low, high = values.min(), values.max()
    if not log:
        return np.linspace(low, high, _POINTS)
    room = max((high / low) ** 0.06, 1.05)
    return np.geomspace(max(low / room, known.low), min(high * room, known.high), _POINTS)


def _cell_title(cells: _Levels, i: int, values: np.ndarray, extra: tuple[Any, ...]) -> str:
    title = level_label(cells.name, cells.values[i], extra)
    if cells.distinct:
        known = variable(cells.name, extra)
        return f"{symbol(cells.name)} = {title}" if known.unit else title
    low, high = format_number(values.min()), format_number(values.max())
    return f"{symbol(cells.name)} {low} to {high} (law: {format_number(cells.values[i])})"


def _draw_levels(
    panel: Axes,
    fit: Fit,
    x: str,
    grid: np.ndarray,
    held: Mapping[str, float],
    prob: float,
    series: _Levels,
    here: np.ndarray,
    columns: Mapping[str, np.ndarray],
    loss: np.ndarray,
) -> None:
    values = columns[series.name]
    if not series.distinct:
        norm, colours = _colour_scale(series, values, fit.law.variables)
        for value in _spread(values, is_log(series.name, values, fit.law.variables)):
            at = {**held, series.name: value}
            _draw_series(panel, fit, x, grid, at, prob, color=colours(norm(value)))
        _draw_points(panel, columns[x][here], loss[here], color=colours(norm(values[here])))
        return
    colour = level_colours(len(series.values))
    for j, value in enumerate(series.values):
        look = {"color": colour[j], "linestyle": LINES[j % len(LINES)]}
        _draw_series(panel, fit, x, grid, {**held, series.name: value}, prob, **look)
        these = here & (series.of_run == j)
        marker = MARKERS[j % len(MARKERS)]
        _draw_points(panel, columns[x][these], loss[these], color=colour[j], marker=marker)
        # An entry for the line and the marker together, whether or not this panel has such runs.
        panel.plot([], [], marker=marker, label=format_number(value), **look)


def _draw_series(
    panel: Axes,
    fit: Fit,
    x: str,
    grid: np.ndarray,
    held: Mapping[str, float],
    prob: float,
    **look: Any,
) -> None:
    inputs: dict[str, Any] = {**held, x: xr.DataArray(grid, dims=x)}
    draw_band(panel, grid, predict(fit, mean=True, **inputs), [prob], **look)


def _draw_points(panel: Axes, x: np.ndarray, loss: np.ndarray, *, color: Any, **look: Any) -> None:
    size = 18 if len(x) < 60 else 12
    panel.scatter(
        x, loss, s=size, color=color, edgecolors="white", linewidths=0.4, zorder=3, **look
    )


def _spread(values: np.ndarray, log: bool) -> np.ndarray:
    """Some of the values that occur, spread over their range."""
    low, high = np.quantile(values, [0.05, 0.95])
    wanted = np.geomspace(low, high, _CURVES) if log else np.linspace(low, high, _CURVES)
    distance = np.log if log else np.asarray
    nearest = [values[np.abs(distance(values) - distance(w)).argmin()] for w in wanted]
    return np.unique(nearest)


def _colour_scale(series: _Levels, values: np.ndarray, extra: tuple[Any, ...]) -> tuple[Any, Any]:
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap, LogNorm, Normalize

    kind = LogNorm if is_log(series.name, values, extra) else Normalize
    dark_to_light = colormaps["viridis"](np.linspace(0, 0.9, 256))
    return kind(values.min(), values.max()), ListedColormap(dark_to_light)


def _colour_bar(
    drawn: list[Axes],
    series: _Levels,
    values: np.ndarray,
    extra: tuple[Any, ...],
    bands: Sequence[float],
) -> None:
    from matplotlib.cm import ScalarMappable

    norm, colours = _colour_scale(series, values, extra)
    bar: Any = drawn[0].figure.colorbar(ScalarMappable(norm, colours), ax=drawn, pad=0.02)
    scale_axis(
        bar.ax, "y", series.name, values, log=is_log(series.name, values, extra), extra=extra
    )
    for value in _spread(values, is_log(series.name, values, extra)):
        bar.ax.axhline(value, color="white", linewidth=1.0)
    for prob in bands:
        said = bar.ax.get_ylabel()
        bar.ax.set_ylabel(f"{said}\nwhite: values of the curves; bands: {100 * prob:g} %")
    bar.outline.set_linewidth(0.5)


def _limit(drawn: list[Axes], loss: np.ndarray) -> None:
    room = 0.06 * (loss.max() - loss.min() or 0.1)
    for panel in drawn:
        panel.set_ylim(loss.min() - room, loss.max() + room)
