"""The plot of a comparison of laws: how far each predicts worse than the best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.checking.comparison import TASKS
from bayescale.common.errors import InputError
from bayescale.plotting.figures import INK, fit_colour, make_panels, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["plot_comparison"]


def plot_comparison(table: pd.DataFrame, *, ax: Any = None) -> Axes:
    r"""Differences of laws in elpd to the best one, the best at the top.

    The thick bar is one standard error of the difference (``dse``) to either side, the thin one
    two. A point is filled where the runs tell the law from the best, as ``attrs["reading"]`` says
    in words, and open where they do not.

    Parameters
    ----------
    table
        What ``bs.compare`` gives.
    ax
        An Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes.

    Raises
    ------
    InputError
        If the table is not a comparison.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense, kaplan
    >>> runs = bs.load_runs("olmo_ladder").query("not target")
    >>> fits = {law.name: bs.fit(law, runs, method="laplace", seed=1) for law in (dense, kaplan)}
    >>> panel = bs.plotting.plot_comparison(bs.compare(fits))
    >>> panel.get_xlabel().splitlines()[0]
    'elpd less that of the best (nats)'
    """
    clear = table.attrs.get("distinguishable", {})
    if not {"elpd_diff", "dse"} <= set(table.columns) or not set(table.index) <= set(clear):
        raise InputError(
            "this table is not a comparison; give what bs.compare(fits) returned, before its "
            "attrs or the names of its rows are lost"
        )
    place, colour = np.arange(len(table)), fit_colour(0)
    gap, error = table["elpd_diff"].to_numpy(float), table["dse"].to_numpy(float)
    with style():
        (panel,) = make_panels(ax, 1, columns=1, size=(5.2, 0.26 * len(table) + 1.25))
        panel.axvline(0, color=INK, linewidth=0.9, linestyle="--", zorder=1)
        for errors, width in ((2, 1.1), (1, 3.0)):
            low, high = gap - errors * error, gap + errors * error
            panel.hlines(place, low, high, colors=colour, linewidth=width)
        for row, name in enumerate(table.index):
            panel.plot(
                gap[row],
                row,
                "o",
                markersize=5,
                markeredgecolor=colour,
                markerfacecolor=colour if clear[name] else "white",
                zorder=3,
            )
        panel.set_yticks(place, list(table.index))
        panel.set_ylim(len(table) - 0.4, -0.6)
        panel.tick_params(axis="y", length=0)
        panel.grid(axis="y", visible=False)
        said = ["elpd less that of the best (nats)", "bars: one and two standard errors"]
        if not all(clear[name] for name in table.index[1:]):
            said.append("open: the runs do not tell it from the best")
        panel.set_xlabel("\n".join(said))
        losses = "simulated losses of " if table.attrs["simulated"] else ""
        task = TASKS[table.attrs["by"]].format(table.attrs["runs"])
        panel.set_title(f"predicting {losses}{task}", loc="left", fontsize=8, color="0.35")
    return panel
