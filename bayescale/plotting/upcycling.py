"""The map of upcycling: where it beats training from scratch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number
from bayescale.decisions.upcycling import upcycling_probability, upcycling_threshold
from bayescale.fitting.fits import Fit
from bayescale.plotting.axes import scale_axis
from bayescale.plotting.figures import INK, make_panels, simulated, style
from bayescale.prediction.predict import interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_upcycling"]

_CELLS = 41  # a side
_LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
_COLOURS = ("#e08214", "#fdb863", "#fee8d0", "#e4e2ef", "#b2abd2", "#8073ac")


def plot_upcycling(
    upcycled: Fit,
    scratch: Fit,
    *,
    N: float,
    D_dense: tuple[float, float] | None = None,
    D_upcycled: tuple[float, float] | None = None,
    prob: float = 0.9,
    ax: Axes | None = None,
) -> Axes:
    """Probability that upcycling beats training from scratch, over both token counts.

    The line is the median of the threshold beyond which training from scratch wins, the dashed
    lines its credible interval; where they end, the threshold is infinite. Points are the fitted
    runs of the upcycling law, of any size.

    Parameters
    ----------
    upcycled, scratch
        The two fits, as for :func:`bayescale.upcycling_threshold`.
    N
        Parameters of the dense parent.
    D_dense, D_upcycled
        Lowest and highest number of tokens of either axis; by default a range three times wider
        on either side than that of the fitted runs.
    prob
        Posterior probability that the interval of the threshold holds.
    ax
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes.

    Raises
    ------
    InputError
        If a range is missing for published coefficients, which have no runs, or makes no sense.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense, upcycling
    >>> scratch = bs.published(dense, "liew2025_moe")
    >>> upcycled = bs.published(upcycling, "liew2025")
    >>> span = {"D_dense": (1e10, 1e12), "D_upcycled": (1e9, 1e12)}
    >>> ax = plot_upcycling(upcycled, scratch, N=1e9, **span)
    >>> ax.get_title()
    'dense parent of 1B parameters'
    """
    across = _span(upcycled, "D_dense", D_dense)
    up = _span(upcycled, "D_upcycled", D_upcycled)
    x, y = (np.geomspace(*ends, _CELLS) for ends in (across, up))
    given = {"N": N, "D_dense": xr.DataArray(x, dims="D_dense")}
    probability = upcycling_probability(
        upcycled, scratch, **given, D_upcycled=xr.DataArray(y, dims="D_upcycled")
    )
    threshold = upcycling_threshold(upcycled, scratch, **given)
    with style():
        (panel,) = make_panels(ax, 1, columns=1, size=(6.2, 4.4))
        share = probability.transpose("D_upcycled", "D_dense").values
        filled = panel.contourf(x, y, share, _LEVELS, colors=_COLOURS)
        bar: Any = panel.figure.colorbar(filled, ax=panel, pad=0.02, ticks=_LEVELS, format="{x:g}")
        bar.set_label("probability that upcycling wins")
        bar.outline.set_linewidth(0.5)
        band = interval(threshold, prob).transpose("ci_bound", "D_dense")
        middle = threshold.quantile(0.5, ("chain", "draw"), method="inverted_cdf")
        drawn = {"-": middle.values, "--": band[0].values, (0, (4, 2)): band[1].values}
        labels = ("threshold, median", f"{100 * prob:g} % interval", None)
        for (line, tokens), label in zip(drawn.items(), labels, strict=True):
            shown = np.where(np.isfinite(tokens) & (tokens > 0), tokens, np.nan)
            width = 1.6 if line == "-" else 1.0
            panel.plot(x, shown, linestyle=line, color=INK, linewidth=width, label=label)
        if upcycled.runs is not None:
            runs = upcycled.runs
            columns = [runs[name].values for name in ("D_dense", "D_upcycled")]
            before, after = np.unique(columns, axis=1)
            panel.scatter(before, after, 14, INK, edgecolors="white", label="runs", zorder=3)
        for which, name, ends in (("x", "D_dense", across), ("y", "D_upcycled", up)):
            scale_axis(panel, which, name, np.array(ends), log=True)
            getattr(panel, f"set_{which}lim")(*ends)
        panel.grid(False)
        note = " (simulated losses)" if simulated(upcycled) or simulated(scratch) else ""
        panel.set_title(f"dense parent of {format_number(N)} parameters{note}")
        panel.legend(loc="upper left", frameon=True, framealpha=0.85, edgecolor="none")
    return panel


def _span(fit: Fit, name: str, given: tuple[float, float] | None) -> tuple[float, float]:
    if given is not None:
        low, high = (float(end) for end in given)
        if not 0 < low < high < np.inf:
            raise InputError(f"{name} is a range of tokens, (low, high), not {given}")
        return low, high
    if fit.runs is None:
        raise InputError(
            "published coefficients have no runs that would say which range to show; give "
            f"{name}=(low, high)"
        )
    tokens = fit.runs[name].values
    return float(tokens.min()) / 3, float(tokens.max()) * 3
