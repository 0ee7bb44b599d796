"""The plot of one architecture against another over the training budget."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.plotting.axes import log_ticks, scale_axis
from bayescale.plotting.figures import (
    INK,
    check_probs,
    draw_band,
    fit_colour,
    make_panels,
    returned,
    spread,
    style,
    with_key,
)
from bayescale.prediction.predict import interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

__all__ = ["plot_probability"]

_TITLE = 36  # letters a line
_FARTHEST = 1e3  # of a multiplier: beyond, more says no more


def plot_probability(
    odds: xr.Dataset,
    *,
    names: tuple[str, str] = ("A", "B"),
    probs: Sequence[float] = (0.5, 0.9),
    ax: Any = None,
) -> Any:
    """Probability that A beats B over the training budget, and the compute that B would need.

    Without multipliers (``bs.probability(..., at="plan")``) there is the first panel alone.

    The grey band is the credible interval of the budget beyond which A is ahead, of the largest
    of ``probs``; it ends where the budgets do if the crossover may lie beyond them. A vertical
    dashed line marks the largest fitted run of either.

    Parameters
    ----------
    odds
        What ``bs.probability`` gives for several budgets.
    names
        What to call A and B.
    probs
        Posterior probabilities of the bands.
    ax
        An Axes, divided among the two panels, or an array of two.

    Returns
    -------
    numpy.ndarray
        The two Axes.

    Raises
    ------
    InputError
        If there is only one budget.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> ours, theirs = (bs.published(dense, n) for n in ("besiroglu2024", "hoffmann2022"))
    >>> odds = bs.probability(ours, theirs, [1e20, 1e22, 1e24])
    >>> [panel.get_ylabel() for panel in bs.plotting.plot_probability(odds)]
    ['probability that A wins', 'compute multiplier (times)']
    """
    if "crossover" not in odds or odds.sizes.get("budget", 1) < 2:
        raise InputError(
            "odds are plotted over several budgets: "
            "bs.probability(fit_a, fit_b, np.geomspace(1e20, 1e24, 25))"
        )
    widths = check_probs(probs)
    odds = odds.sortby("budget")
    budgets = odds.budget.values
    with style():
        count = 2 if "multiplier" in odds else 1
        panels = make_panels(ax, count, columns=count, size=(6.4 / (3 - count), 2.7))
        left = panels[0]
        left.plot(budgets, odds.probability.values, color=fit_colour(0))
        left.axhline(0.5, color="0.6", linewidth=0.8, linestyle=(0, (1, 2)))
        left.set_ylim(-0.03, 1.03)
        left.set_ylabel(f"probability that {names[0]} wins")
        if widths:
            low, high = interval(odds.crossover, widths[0]).values
            low, high = np.clip([low, high], budgets.min(), budgets.max())
            if high > low:
                text = f"crossover, {100 * widths[0]:g} %"
                left.axvspan(low, high, color="0.5", alpha=0.16, linewidth=0, label=text)
                left.legend(loc="best")
        if odds.attrs.get("simulated"):
            left.set_title("fitted to simulated losses", loc="left", fontsize=8, color="0.35")
        if count == 2:
            _draw_multiplier(panels[1], odds, budgets, names, widths)
        for panel in panels:
            scale_axis(panel, "x", "budget", budgets, log=True)
            panel.set_xlim(budgets.min(), budgets.max())
            for name in ("extrapolation_a", "extrapolation_b"):
                largest = float((odds.budget / odds[name])[0])
                if budgets.min() < largest < budgets.max():
                    panel.axvline(
                        largest, color=INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1
                    )
    return returned(panels)


def _draw_multiplier(
    ax: Any, odds: xr.Dataset, budgets: np.ndarray, names: tuple[str, str], widths: list[float]
) -> None:
    """The compute that B would need, over that of A."""
    more = odds.multiplier.clip(1 / _FARTHEST, _FARTHEST)
    draw_band(ax, budgets, more, widths, color=fit_colour(0))
    ax.axhline(1.0, color="0.6", linewidth=0.8, linestyle=(0, (1, 2)))
    ax.set_yscale("log")
    ax.set_ylabel("compute multiplier (times)")
    title = wrap(f"compute {names[1]} needs to match {names[0]}", _TITLE)
    ax.set_title("\n".join(title), loc="left", fontsize=8, color="0.35")
    ends = interval(more, widths[0]).values if widths else more.values
    bottom, top = min(ends.min() / 1.2, 0.8), max(ends.max() * 1.2, 1.25)
    ax.set_ylim(bottom, top)
    log_ticks(ax.yaxis, lambda value: f"{value:g}")
    if odds.multiplier.sizes["chain"] * odds.multiplier.sizes["draw"] > 1:
        with_key(ax, spread(widths, "bands"), loc="best")
