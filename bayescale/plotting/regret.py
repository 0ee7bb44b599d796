"""The regret surface: what every plan is expected to lose, over budgets."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.decisions.allocation import AllocationWarning, allocate, coefficient_draws, loss_of
from bayescale.decisions.plans import plans
from bayescale.fitting.fits import Fit
from bayescale.language.variables import variable
from bayescale.plotting.axes import scale_axis
from bayescale.plotting.figures import INK, make_panels, simulated, style
from bayescale.prediction.draws import thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_regret"]

_LEVELS = (0.0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1)  # nats
_ROWS = 81
_COLUMNS = 41
_MOST_DRAWS = 1000


def plot_regret(
    fit: Fit,
    budget: Any,
    *,
    span: tuple[float, float] | None = None,
    cost: Callable[..., Any] | None = None,
    choose: Mapping[str, Sequence[float]] | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Expected regret of every size at every budget: the map of plans on which ``decide`` picks.

    A plan's regret in a draw is its loss over that draw's own optimum; the surface is its mean
    over draws. Of listed inputs, each size has its best. The line joins the plans of least expected
    loss; the dashed line marks the cost of the largest fitted run.

    Parameters
    ----------
    fit
        A fit.
    budget
        Training FLOPs: the map reaches from the least to the largest of a row.
    span
        Lowest and highest value of the input that varies, usually the size; by default wide enough
        to lose a twentieth of a nat.
    cost, choose, fixed, bounds
        As for :func:`bayescale.allocate`.
    ax
        Where to draw.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes.

    Raises
    ------
    InputError
        If the choices or the budgets make no sense, there is only one budget, or no input varies.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> fit = bs.published(dense, "besiroglu2024")
    >>> bs.plotting.plot_regret(fit, [1e21, 1e22, 1e23]).get_ylabel()
    'model size $N$ (parameters)'
    """
    options: dict[str, Any] = {"cost": cost, "choose": choose, "fixed": fixed, "bounds": bounds}
    budgets = np.unique(np.asarray(getattr(budget, "values", budget), dtype=float))
    space = plans(fit, **options)
    name = space.free
    if len(budgets) < 2 or name is None or variable(name, fit.law.variables).scale is None:
        raise InputError(
            "the regret is mapped over several budgets and one count that varies: give budgets "
            "such as np.geomspace(1e20, 1e24, 25), and leave one count out of fixed= and choose="
        )
    few = thinned(fit, _MOST_DRAWS)
    budgets = np.geomspace(budgets[0], budgets[-1], max(len(budgets), _COLUMNS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AllocationWarning)
        best = allocate(few, budgets, **options)
    middle = best[name].median(("chain", "draw")).values
    low, high = span or (middle.min() / 8, middle.max() * 8)
    if not 0 < low < high < np.inf:
        raise InputError(f"span is a range of {name!r}, (low, high), not {span}")
    low, high = max(low, space.bounds[name][0]), min(high, space.bounds[name][1])
    values = np.geomspace(low, high, _ROWS)
    draws = coefficient_draws(few)
    regret = np.full((_ROWS, len(budgets)), np.nan)
    for i, one in enumerate(budgets):
        least = float(best.loss.isel(budget=i).mean())
        for listed in space.listed:
            plan = space.complete(np.array([one]), listed, np.log(values))
            with np.errstate(all="ignore"):  # What is not possible may have no loss.
                loss = np.asarray(loss_of(space, few.reference, plan, draws)).mean(axis=0)
            loss = np.where(space.possible(plan), loss, np.nan)
            regret[:, i] = np.fmin(regret[:, i], loss - least)
    with style():
        (panel,) = make_panels(ax, 1, columns=1, size=(5.6, 3.6))
        _draw(panel, budgets, values, regret, fit.loss_unit)
        trained = float((best.budget / best.extrapolation)[0])
        if budgets.min() < trained < budgets.max():
            look: Any = {"color": INK, "linewidth": 0.8, "linestyle": (0, (4, 3))}
            panel.axvline(trained, label="largest fitted run", **look)
        scale_axis(panel, "x", "budget", budgets, log=True)
        scale_axis(panel, "y", name, values, log=True, extra=fit.law.variables)
        panel.set_xlim(budgets.min(), budgets.max())
        panel.set_ylim(low, high)
        panel.grid(False)
        panel.legend(loc="upper left", frameon=True, framealpha=0.85, edgecolor="none")
        if simulated(fit):
            panel.set_title("fitted to simulated losses", loc="left", fontsize=8, color="0.35")
    return panel


def _draw(
    panel: Axes, budgets: np.ndarray, values: np.ndarray, regret: np.ndarray, unit: str
) -> None:
    from matplotlib import colormaps

    colours = [colormaps["YlGnBu"](x) for x in np.linspace(0.02, 0.72, len(_LEVELS))]
    filled = panel.contourf(
        budgets, values, np.maximum(regret, 0.0), _LEVELS, colors=colours, extend="max"
    )
    bar: Any = panel.figure.colorbar(filled, ax=panel, pad=0.02, ticks=_LEVELS, format="{x:g}")
    bar.set_label(f"expected regret ({unit})")
    bar.outline.set_linewidth(0.5)
    some = np.isfinite(regret).any(axis=0)
    least = [_lowest(np.log(values), column) for column in regret[:, some].T]
    panel.plot(budgets[some], np.exp(least), color=INK, linewidth=1.4, label="least expected loss")


def _lowest(x: np.ndarray, y: np.ndarray) -> float:
    """Where the parabola through the lowest point of a row and the two beside it is lowest."""
    at = int(np.nanargmin(y))
    if not 0 < at < len(y) - 1 or not np.isfinite(y[at - 1 : at + 2]).all():
        return float(x[at])
    below, middle, above = y[at - 1 : at + 2]
    bend = below - 2 * middle + above
    return float(x[at] + (x[1] - x[0]) * (below - above) / (2 * bend) if bend > 0 else x[at])
