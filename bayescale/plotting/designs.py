"""The plot of designs of small runs: where their runs are, and what each would tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.plotting.axes import scale_axis
from bayescale.plotting.figures import INK, fit_colour, make_panels, returned, style

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["plot_designs"]

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")


def plot_designs(runs: pd.DataFrame, scores: pd.DataFrame, *, ax: Any = None) -> Any:
    """Designs of small runs over size and tokens, and how well each would tell the best size.

    Bars are the expected width of the interval of the best size, in decades, with two Monte Carlo
    standard errors; all of it is simulated.

    Parameters
    ----------
    runs
        One row a run, with ``design``, ``N`` and ``D``, such as ``bs.propose_designs`` gives.
    scores
        What ``bs.score_designs`` says of them.
    ax
        An Axes, divided among the two panels, or an array of two.

    Returns
    -------
    numpy.ndarray
        The two Axes.

    Raises
    ------
    InputError
        If the tables are not of the same designs.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.propose_designs(dense, 1e20, runs=8)
    >>> scores = bs.score_designs(dense, runs, 1e22, simulations=4)  # doctest: +SKIP
    >>> panels = bs.plotting.plot_designs(runs, scores)  # doctest: +SKIP
    """
    missing = {"design", "N", "D"} - set(runs.columns)
    if missing or "prior_decades" not in scores.attrs:
        raise InputError(
            "give a table of runs with the columns design, N and D, and what bs.score_designs "
            "returned for it"
        )
    names = list(scores["design"])
    if set(names) != set(runs["design"]):
        raise InputError("the runs and the scores are not of the same designs")
    with style():
        panels = make_panels(ax, 2, columns=2, size=(7.2, 2.9))
        left, right = panels
        for i, name in enumerate(names):
            some = runs[runs["design"] == name]
            marker = _MARKERS[i % len(_MARKERS)]
            left.scatter(
                some["N"], some["D"], 18, color=fit_colour(i), marker=marker, label=name,
                linewidths=0, alpha=0.85,
            )  # fmt: skip
        scale_axis(left, "x", "N", runs["N"], log=True)
        scale_axis(left, "y", "D", runs["D"], log=True)
        left.legend(fontsize=7, loc="upper right")
        place = np.arange(len(names))[::-1]
        colours = [fit_colour(i) for i in range(len(names))]
        width, error = scores["decades"], scores["error"]
        right.barh(place, width, 0.62, color=colours, alpha=0.6, linewidth=0)
        right.hlines(place, width - 2 * error, width + 2 * error, color=INK, linewidth=1)
        right.set_yticks(place, names, fontsize=7)
        right.set_xlim(left=0.0)
        right.grid(axis="y", visible=False)
        level = f"{100 * scores.attrs['prob']:.0f} % interval"
        right.set_xlabel(f"{level} of the best {scores.attrs['size']} (decades)")
        before = scores.attrs["prior_decades"]
        right.set_title(
            f"simulated, {scores.attrs['simulations']} truths; {before:.1f} before any run",
            loc="left", fontsize=8, color="0.35",
        )  # fmt: skip
    return returned(panels)
