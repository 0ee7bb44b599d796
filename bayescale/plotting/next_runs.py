"""The plot of what candidate runs would teach against what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number
from bayescale.language.variables import LOSS_UNIT, short_unit
from bayescale.plotting.axes import level_label, scale_axis
from bayescale.plotting.figures import INK, fit_colour, make_panels, returned, style

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["plot_next_runs"]


def plot_next_runs(ranked: pd.DataFrame, *, most: int = 12, ax: Any = None) -> Any:
    """Candidate runs by what they would teach: the first of the ranking, and all over their cost.

    Bars are what the ranking is by: the share of the regret, or of the target's variance, that a
    run is expected to take off, for its compute where it was ranked per FLOP, with two Monte Carlo
    standard errors; of a batch, the share of all runs down to that one. The line in the second
    panel joins the runs of which none cheaper teaches as much.

    Parameters
    ----------
    ranked
        What ``bs.next_runs`` gives.
    most
        How many of the ranking to name.
    ax
        An Axes, divided among the two panels, or an array of two.

    Returns
    -------
    numpy.ndarray
        The two Axes.

    Raises
    ------
    InputError
        If the table is not a ranking.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> prior = bs.prior(dense, bs.load_runs("olmo_ladder"), seed=1)
    >>> ranked = bs.next_runs(prior, target={"N": 7e9, "D": 4e12}, rank="gain")
    >>> panels = bs.plotting.plot_next_runs(ranked)
    >>> panels[1].get_xlabel()
    'training compute (FLOP)'
    """
    missing = {"flops", "gain", "error", "share"} - set(ranked.columns)
    if missing or "now" not in ranked.attrs:
        raise InputError(
            "this table is not a ranking of runs; give what bs.next_runs(fit, ...) "
            "returned, before its attrs are lost by joining it to others"
        )
    total = _whole(ranked)
    first = ranked.head(most)
    what = "variance" if ranked.attrs["objective"] == "variance" else "regret"
    with style():
        panels = make_panels(ax, 2, columns=2, size=(7.2, 0.22 * len(first) + 1.5))
        left, right = panels
        place = np.arange(len(first))[::-1]
        label = f"{what} taken off (%)"
        bars, unit = 100 * first["share"], ""
        if ranked.attrs.get("rank") == "per_flop" and not ranked.attrs.get("batch"):
            each = 10.0 ** np.floor(np.log10(first["flops"].median()))
            bars, unit = bars * each / first["flops"], f" per {level_label('budget', each)}"
        errors = 2 * bars * first["error"] / total / first["share"].where(first["share"] > 0)
        left.barh(place, bars, 0.62, color=fit_colour(0), alpha=0.55, linewidth=0)
        left.hlines(place, bars - errors, bars + errors, color=INK, linewidth=1)
        left.set_yticks(place, _names(first), fontsize=7.5)
        left.set_xlim(left=min(0.0, left.get_xlim()[0]))
        left.grid(axis="y", visible=False)
        left.set_xlabel(f"{what} taken off{unit} (%)\nlines: two Monte Carlo standard errors")
        right.scatter(ranked["flops"], 100 * ranked["share"], 16, color=fit_colour(0), linewidths=0)
        if not ranked.attrs.get("batch"):
            cheapest = ranked.sort_values("flops")
            edge = cheapest[cheapest["share"] > cheapest["share"].cummax().shift(fill_value=-1)]
            right.plot(
                edge["flops"], 100 * edge["share"], color=fit_colour(1), zorder=1, linewidth=1
            )
        scale_axis(right, "x", "flops", ranked["flops"], log=True)
        right.set_ylabel(label)
        note = _title(ranked, total)
        left.set_title(note, loc="left", fontsize=8, color="0.35")
    return returned(panels)


def _whole(ranked: pd.DataFrame) -> float:
    """What there is to take off: nats of regret, or nats squared."""
    now = float(ranked.attrs["now"])
    return now**2 if ranked.attrs["objective"] == "variance" else now


def _title(ranked: pd.DataFrame, total: float) -> str:
    now = ranked.attrs["now"]
    what = "target's sd" if ranked.attrs["objective"] == "variance" else "expected regret"
    budget = ranked.attrs.get("budget")
    where = f" at {level_label('budget', budget)}" if budget else ""
    kind = "\nfitted to simulated losses" if ranked.attrs.get("simulated") else ""
    if not total:
        return f"nothing to gain{where}{kind}"
    unit = short_unit(ranked.attrs.get("loss_unit", LOSS_UNIT))
    return f"{what}{where} now {now:.4f} {unit}{kind}"


def _names(ranked: pd.DataFrame) -> Sequence[str]:
    """What each candidate is: its inputs that differ among them."""
    after = ("flops", "gain", "error", "clear", "per_flop", "share", "sd", "regret")
    inputs = [name for name in ranked.columns if name not in after]
    numbers = [n for n in inputs if ranked[n].dtype.kind in "if"]
    return [
        "  ".join(f"{name} {format_number(row[name])}" for name in numbers)
        for _, row in ranked.iterrows()
    ]
