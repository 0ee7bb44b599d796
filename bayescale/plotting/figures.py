"""What the plots share: style, panels, bands and intervals.

matplotlib is loaded by the functions that need it, and its settings are changed only inside
:func:`style`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.fitting.fits import Fit
from bayescale.prediction.predict import interval

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

__all__ = [
    "INK",
    "LINES",
    "MARKERS",
    "as_fits",
    "check_probs",
    "draw_band",
    "draw_intervals",
    "fit_colour",
    "head_room",
    "key",
    "label_outer",
    "level_colours",
    "make_panels",
    "middle",
    "note_simulated",
    "returned",
    "simulated",
    "spread",
    "style",
    "uncertain",
    "with_key",
]

_STYLE: Any = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 9,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "font.size": 9,
    "grid.color": "0.92",
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.title_fontsize": 8,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}

#: What is drawn once: observed losses, lines of reference, notes.
INK = "0.15"
#: Apart in luminance from one to the next, so that they differ in grey and for the colour-blind.
#: None is lighter than three to one against white, which shows in the dark too, where pages turn
#: lightness about.
_FIT_COLOURS = ("#1f4e79", "#d9772b", "#2a7f6f", "#b58a12", "#7b2d73", "#8a8a8a")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)), "-")


def style() -> Any:
    """The plots' style, for a ``with`` block; matplotlib's settings are restored after it."""
    import matplotlib

    return matplotlib.rc_context(_STYLE)


def as_fits(fits: Fit | Mapping[str, Fit], *, groups: bool = True) -> dict[str, Fit]:
    """Fits by name; one fit goes by its law's name, or by that of its published set.

    With ``groups`` a fit whose coefficients vary over groups becomes one fit a group.
    """
    if isinstance(fits, Fit):
        single = str(fits.about.get("published", fits.law.name))
        return _checked({single: fits}, groups, prefix=False)
    if not (isinstance(fits, Mapping) and fits and all(isinstance(f, Fit) for f in fits.values())):
        raise InputError(
            f"a plot takes a Fit, or a mapping from names to Fits such as {{'dense': fit}}, not "
            f"{type(fits).__name__}"
        )
    return _checked(fits, groups, prefix=len(fits) > 1)


def _checked(fits: Mapping[str, Fit], groups: bool, prefix: bool) -> dict[str, Fit]:
    from bayescale.fitting.groups import group

    found: dict[str, Fit] = {}
    for name, fit in fits.items():
        by = fit.about.get("by") if groups else None
        if not by:
            found[str(name)] = fit
            continue
        for level in fit.posterior[by].values.astype(str):
            found[f"{name}, {level}" if prefix else str(level)] = group(fit, str(level))
    if len(found) > len(_FIT_COLOURS):
        raise InputError(
            f"{len(found)} fits or groups are too many to tell apart; give at most "
            f"{len(_FIT_COLOURS)}"
        )
    return found


def check_probs(probs: Iterable[float]) -> list[float]:
    """Probabilities of credible intervals, the widest first."""
    checked = sorted((float(p) for p in probs), reverse=True)
    if not all(0 < p < 1 for p in checked):
        raise InputError(f"probabilities of intervals lie between 0 and 1; these are {checked}")
    return checked


def simulated(fit: Fit) -> bool:
    """Whether the fitted losses are simulated, which every picture of them must say."""
    return bool(fit.about.get("simulated", False))


def uncertain(fit: Fit) -> bool:
    """Whether a fit has draws: published coefficients have one, and neither bands nor bars."""
    return bool(fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"] > 1)


def note_simulated(panels: Sequence[Axes], fits: Mapping[str, Fit]) -> None:
    """Say above the first panel which of the fits are to simulated losses."""
    which = [name for name, fit in fits.items() if simulated(fit)]
    if which:
        who = "" if len(which) == len(fits) else f"{', '.join(which)}: "
        text = f"{who}fitted to simulated losses"
        panels[0].set_title(text, loc="left", fontsize=8, color="0.35")


# --- panels ---------------------------------------------------------------------------------------


def make_panels(
    ax: Any,
    count: int,
    *,
    columns: int,
    size: tuple[float, float],
    sharex: bool = False,
    sharey: bool = False,
) -> list[Axes]:
    """The Axes to draw on: new ones, those given, or the place of one given Axes divided.

    Parameters
    ----------
    ax
        None; one Axes, whose place is divided if there are more panels; or an array of Axes.
    count, columns
        Number of panels, and of columns of a grid of them.
    size
        Width and height of a new figure in inches.
    sharex, sharey
        Whether panels share an axis.
    """
    from matplotlib.axes import Axes

    rows = -(-count // columns)
    if ax is None:
        import matplotlib.pyplot as plt

        figure: Any = plt.figure(figsize=size, layout="constrained")
        grid: Any = figure.add_gridspec(rows, columns)
    elif isinstance(ax, Axes):
        place = ax.get_subplotspec()
        if count == 1:
            return [ax]
        if place is None:
            raise InputError(
                f"this plot has {count} panels, and an Axes made by add_axes cannot be divided; "
                f"give ax= {count} Axes, or one made by subplots"
            )
        figure, grid = ax.figure, place.subgridspec(rows, columns)
        ax.set_axis_off()
    else:
        given = [one for one in np.ravel(np.asarray(ax, dtype=object)) if one is not None]
        if len(given) != count or not all(isinstance(one, Axes) for one in given):
            raise InputError(f"this plot has {count} panels; give ax= one Axes, or {count} of them")
        return given
    panels: list[Axes] = []
    for i in range(count):
        first = panels[0] if panels else None
        shared = {"sharex": first if sharex else None, "sharey": first if sharey else None}
        panels.append(figure.add_subplot(grid[i // columns, i % columns], **shared))
    return panels


def label_outer(panels: Sequence[Axes]) -> None:
    """Leave out labels that the panel below or to the left repeats.

    Unlike the method of Axes it knows that the place below may be empty.
    """
    for panel in panels:
        for other in panels:
            here, there = panel.get_subplotspec(), other.get_subplotspec()
            if here is None or there is None or here.get_gridspec() is not there.get_gridspec():
                continue
            below = there.rowspan.start - here.rowspan.start
            right = there.colspan.start - here.colspan.start
            if panel.get_shared_x_axes().joined(panel, other) and below > 0 and right == 0:
                panel.set_xlabel("")
                panel.tick_params(labelbottom=False)
            if panel.get_shared_y_axes().joined(panel, other) and below == 0 and right < 0:
                panel.set_ylabel("")
                panel.tick_params(labelleft=False)


def returned(panels: list[Axes]) -> Any:
    """One Axes as it is, several as an array."""
    return panels[0] if len(panels) == 1 else np.array(panels, dtype=object)


def key(panels: Sequence[Axes], columns: int, more: Sequence[Any] = (), **options: Any) -> None:
    """A key of several panels, in the empty place of their grid or at its right."""
    if len(panels) == 1:
        with_key(panels[0], more, **options)
        return
    spare = len(panels) % columns != 0
    holder = panels[-1] if spare else panels[columns - 1]
    with_key(holder, more, loc="upper left", bbox_to_anchor=(1.04, 1.02), **options)
    if spare:
        legend = holder.get_legend()
        if legend is not None:
            legend.set_in_layout(False)


# --- colours, bands and intervals -----------------------------------------------------------------


def level_colours(count: int) -> list[Any]:
    """Colours of ordered levels, from dark to light, so that their order shows in grey as well."""
    from matplotlib import colormaps

    ends = (0.0, 0.59) if count > 1 else (0.2, 0.2)  # no lighter than shows on white
    return [colormaps["viridis"](x) for x in np.linspace(*ends, count)]


def fit_colour(index: int) -> str:
    """Colour of the fit at an index."""
    return _FIT_COLOURS[index % len(_FIT_COLOURS)]


def middle(draws: xr.DataArray) -> np.ndarray:
    """Posterior median over chain and draw."""
    return draws.median(("chain", "draw")).values


def draw_band(
    ax: Axes,
    x: np.ndarray,
    draws: xr.DataArray,
    probs: Sequence[float],
    *,
    steps: bool = False,
    **line: Any,
) -> None:
    """Posterior median as a line in its credible bands."""
    step: Any = {"step": "mid"} if steps else {}
    drawstyle: Any = {"drawstyle": "steps-mid"} if steps else {}
    (median,) = ax.plot(x, middle(draws), **drawstyle, **line)
    for i, prob in enumerate(check_probs(probs)):
        bounds = interval(draws, prob)
        ax.fill_between(
            x,
            bounds.sel(ci_bound="lower").values,
            bounds.sel(ci_bound="upper").values,
            color=median.get_color(),
            alpha=0.2 + 0.12 * i,
            linewidth=0,
            **step,
        )


def draw_intervals(
    ax: Axes,
    at: Any,
    draws: xr.DataArray,
    probs: Sequence[float],
    *,
    across: bool = True,
    color: Any = INK,
    marker: str = "o",
    **look: Any,
) -> None:
    """Credible intervals as bars, the narrower the thicker, with the median as a point.

    Parameters
    ----------
    ax
        Where to draw.
    at
        Places of the bars on the other axis: a number, or as many as ``draws`` has quantities.
    draws
        Over chain, draw and at most one dimension more.
    probs
        Probabilities of the intervals; none leaves the median alone.
    across
        Whether the bars lie along the x axis.
    color, marker, look
        Of bars and points.
    """
    at = np.atleast_1d(np.asarray(at, dtype=float))
    bars: Any = ax.hlines if across else ax.vlines
    for i, prob in enumerate(check_probs(probs)):
        low, high = interval(draws, prob).values.reshape(-1, 2).T
        bars(at, low, high, colors=color, linewidth=1.1 + 1.9 * i, capstyle="butt", **look)
    medians = np.atleast_1d(middle(draws))
    ax.plot(
        *((medians, at) if across else (at, medians)),
        linestyle="none",
        marker=marker,
        markersize=4,
        markerfacecolor="white" if len(probs) else color,
        markeredgecolor=color,
        **look,
    )


def spread(probs: Collection[float], what: str) -> list[Any]:
    """An entry of a key that says which share of the posterior ``"bands"`` or ``"bars"`` hold."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if not len(probs):
        return []
    label = f"{what}: {' and '.join(f'{100 * prob:g}' for prob in sorted(probs))} %"
    if what == "bars":
        return [Line2D([], [], color="0.5", linewidth=2.2, label=label)]
    return [Patch(color="0.5", alpha=0.35, linewidth=0, label=label)]


def with_key(ax: Axes, more: Sequence[Any] = (), **options: Any) -> None:
    """A key of what has a label on an Axes, and of more; none of nothing."""
    handles = [*ax.get_legend_handles_labels()[0], *more]
    if handles:
        ax.legend(handles=handles, **options)


def head_room(ax: Axes, entries: int, columns: int = 1, more: Sequence[Any] = ()) -> None:
    """Put the key at the top, and raise the y axis so that it covers nothing."""
    low, high = ax.get_ylim()
    rows = -(-(entries + len(more)) // columns)
    ax.set_ylim(low, high + (high - low) * (0.04 + 0.06 * rows))
    with_key(ax, more, loc="upper left", borderaxespad=0.2, ncols=columns)
