"""Plots of what a fit leaves over: the distribution of its residuals, and their trends."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.checking.residual_bands import Trend
from bayescale.checking.residual_checks import Examined, examine
from bayescale.fitting.fits import Fit
from bayescale.plotting.axes import is_log, scale_axis
from bayescale.plotting.figures import (
    INK,
    check_probs,
    fit_colour,
    head_room,
    key,
    label_outer,
    make_panels,
    note_simulated,
    returned,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_pit", "plot_residuals"]

_BAND = "0.86"
# Quartile ranges beyond the quartiles at which a run is no longer on the axis.
_FAR = 5.0
_INSIDE: Any = {"color": fit_colour(0), "linewidth": 1.8}
_OUTSIDE: Any = {"color": fit_colour(1), "linewidth": 3.2}


def plot_pit(
    fit: Fit, *, prob: float = 0.9, exact: bool = True, seed: int = 0, ax: Any = None
) -> Axes:
    """Whether losses scatter about their predictions as the fit says.

    The share of the runs whose loss lies below a quantile of its own leave-one-out prediction, less
    the share that should. A true law and noise keep the line in the band, all along, with the given
    probability. Above the band on the left and below it on the right, intervals are too narrow; the
    other way round, too wide; on one side throughout, losses lie below (above zero) or above (below
    zero) their predictions.

    Parameters
    ----------
    fit
        A fit made by :func:`bayescale.fit`.
    prob
        Probability of the simultaneous band.
    exact
        As for :func:`bayescale.check_residuals`: without, no run is left out by a refit.
    seed
        Of the band's simulation, and of refits.
    ax
        An Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes.

    Raises
    ------
    InputError
        If the fit holds no runs.

    See Also
    --------
    bayescale.check_residuals : The same as a table and in words.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder").query("not target")
    >>> fit = bs.fit(dense, runs, method="laplace", seed=1)
    >>> bs.plotting.plot_pit(fit).get_xlabel()
    'quantile of the prediction without the run'
    """
    check_probs([prob])
    found = examine(fit, against=(), prob=prob, exact=exact, seed=seed).pit
    # The shares are those at steps of one run, and sure at both ends.
    at = np.concatenate([[0.0], found.at, [1.0]])
    ends = [np.pad(x - found.at, 1) for x in (found.lower, found.upper, found.ecdf)]
    lower, upper, line = (100 * x for x in ends)
    with style():
        (panel,) = make_panels(ax, 1, columns=1, size=(5, 3.4))
        panel.fill_between(
            at, lower, upper, color=_BAND, linewidth=0, label=f"{100 * prob:g} % band"
        )
        panel.axhline(0, color=INK, linewidth=0.8, linestyle="--")
        panel.plot(at, line, color=fit_colour(0), drawstyle="steps-post", label="fitted runs")
        panel.set_xlim(0, 1)
        panel.set_xlabel("quantile of the prediction without the run")
        panel.set_ylabel("losses below it, more than expected\n(percentage points)")
        head_room(panel, 2)
        note_simulated([panel], {fit.law.name: fit})
    return panel


def plot_residuals(
    fit: Fit,
    *,
    against: str | Sequence[str] | None = None,
    prob: float = 0.9,
    exact: bool = True,
    seed: int = 0,
    ax: Any = None,
) -> Any:
    """Residuals of the fitted runs along compute, tokens per parameter and the law's inputs.

    A point is a run: by how much its loss lies above the prediction of a fit to the other runs. A
    horizontal bar is the mean over the runs of a bin, each counted in units of its prediction's
    spread. The box about zero holds the bars of all bins of a panel with the given probability if
    the law is true; where a bar lies outside the law misses something.

    Parameters
    ----------
    fit
        A fit made by :func:`bayescale.fit`.
    against
        Quantities to have a panel each, as for :func:`bayescale.check_residuals`.
    prob
        Probability of the simultaneous band of each panel.
    exact
        As for :func:`bayescale.check_residuals`: without, no run is left out by a refit.
    seed
        Of the bands' simulation, and of refits.
    ax
        An Axes, divided if there are several panels, or an array of one Axes a panel.

    Returns
    -------
    matplotlib.axes.Axes or numpy.ndarray
        The Axes, or an array of them if there are several panels.

    Raises
    ------
    InputError
        If the fit holds no runs, or ``against`` names no numbers of theirs that vary.

    See Also
    --------
    bayescale.check_residuals : The same as a table and in words.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder").query("not target")
    >>> fit = bs.fit(dense, runs, method="laplace", seed=1)
    >>> bs.plotting.plot_residuals(fit, against="N").get_xlabel()
    'model size $N$ (parameters)'
    """
    check_probs([prob])
    found = examine(fit, against=against, prob=prob, exact=exact, seed=seed)
    residual = 100 * np.expm1(found.table["residual"].to_numpy())
    count = len(found.trends)
    across = min(count, 2)
    rows = -(-count // across)
    with style():
        panels = make_panels(
            ax, count, columns=across, size=(1.6 + 2.9 * across, 0.6 + 2.3 * rows), sharey=True
        )
        for panel, trend in zip(panels, found.trends, strict=True):
            log = is_log(trend.name, trend.values, fit.law.variables)
            _draw(panel, trend, residual, log, prob)
            scale_axis(
                panel, "x", trend.name, trend.values, log=log, extra=fit.law.variables,
                short=count > 1,
            )  # fmt: skip
            panel.set_ylabel("loss over prediction − 1 (%)")
        shown = _limit(panels[0], found, residual)
        for panel, trend in zip(panels, found.trends, strict=True):
            _mark_beyond(panel, trend.values, residual, shown)
        label_outer(panels)
        key(panels, across, handlelength=1.4)
        note_simulated(panels, {fit.law.name: fit})
    return returned(panels)


def _draw(panel: Axes, trend: Trend, residual: np.ndarray, log: bool, prob: float) -> None:
    """Runs, means of the bins and their band, each as wide as its bin."""
    panel.axhline(0, color=INK, linewidth=0.8, linestyle="--", zorder=1)
    size = 18 if len(residual) < 60 else 8
    panel.scatter(
        trend.values, residual, s=size, color=INK, alpha=0.55, linewidths=0, zorder=3, label="run"
    )
    for i, (low, high) in enumerate(_ends(trend, log)):
        edge, mean = (100 * np.expm1(x[i] * trend.unit[i]) for x in (trend.edge, trend.mean))
        panel.fill_between([low, high], -edge, edge, color=_BAND, linewidth=0, zorder=0.5)
        look = _OUTSIDE if abs(trend.mean[i]) > trend.edge[i] else _INSIDE
        panel.hlines(mean, low, high, colors=look["color"], linewidth=look["linewidth"], zorder=4)
    panel.fill_between([], [], color=_BAND, linewidth=0, label=f"{100 * prob:g} % band of means")
    panel.plot([], [], label="mean of runs", **_INSIDE)
    panel.plot([], [], label="mean of runs, outside", **_OUTSIDE)


def _limit(panel: Axes, found: Examined, residual: np.ndarray) -> tuple[float, float]:
    """Limits of the axis that the panels share: all runs but those that are very far off."""
    least, most = np.quantile(residual, [0.25, 0.75])
    far = _FAR * (most - least)
    bars = [np.abs(one.unit) * np.maximum(one.edge, np.abs(one.mean)) for one in found.trends]
    reach = 110 * np.expm1(np.concatenate(bars).max())
    low, high = (min(-reach, max(residual.min(), least - far)),
                 max(reach, min(residual.max(), most + far)))  # fmt: skip
    room = 0.05 * (high - low)
    panel.set_ylim(low - room, high + room)
    return low, high


def _mark_beyond(
    panel: Axes, values: np.ndarray, residual: np.ndarray, shown: tuple[float, float]
) -> None:
    """Runs beyond the axis as arrows at its ends, and how far the farthest lies."""
    for end, marker, beyond in (
        (shown[0], "v", residual < shown[0]),
        (shown[1], "^", residual > shown[1]),
    ):
        if beyond.any():
            farthest = residual[beyond][np.abs(residual[beyond]).argmax()]
            label = f"beyond the axis, up to {farthest:+.2g} %"
            at = np.full(beyond.sum(), end)
            panel.plot(values[beyond], at, marker, color=INK, markersize=5, label=label, zorder=5)


def _ends(trend: Trend, log: bool) -> np.ndarray:
    """Where each bin begins and ends: halfway to its neighbours."""
    place = np.log if log else np.asarray
    values = place(trend.values)
    bins = [values[trend.member == i] for i in range(len(trend.at))]
    room, most = 0.04 * np.ptp(values), 0.006 * np.ptp(values)
    low, high = [values.min() - room], []
    for one, other in pairwise(bins):
        middle, gap = (one.max() + other.min()) / 2, other.min() - one.max()
        high.append(middle - min(most, gap / 2))
        low.append(middle + min(most, gap / 2))
    ends = np.stack([low, [*high, values.max() + room]], axis=-1)
    return np.exp(ends) if log else ends
