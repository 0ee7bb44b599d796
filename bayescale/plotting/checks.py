"""Plots that hold a fit against what it did not see: held-out runs and published coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescale.common.errors import InputError
from bayescale.fitting.fits import Fit, coefficients
from bayescale.language.columns import derive, read_columns
from bayescale.language.variables import LOSS_UNIT, VARIABLES, short_unit
from bayescale.plotting.axes import axis_label, is_log, log_ticks, scale_axis
from bayescale.plotting.figures import (
    INK,
    MARKERS,
    as_fits,
    check_probs,
    draw_intervals,
    fit_colour,
    head_room,
    key,
    label_outer,
    make_panels,
    note_simulated,
    returned,
    spread,
    style,
    uncertain,
)
from bayescale.prediction.predict import interval, predict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["coefficient_label", "number_label", "plot_coefficients", "plot_predictions"]

_MOST_LABELS = 12


def plot_predictions(
    fits: Fit | Mapping[str, Fit],
    runs: pd.DataFrame,
    *,
    x: str | None = None,
    relative: bool = True,
    probs: Sequence[float] = (0.5, 0.9),
    seed: int | None = None,
    ax: Any = None,
) -> Any:
    """Posterior predictive intervals of runs against their observed losses.

    The key counts how many runs lie in the widest interval. Published coefficients carry no noise
    and are drawn as points.

    Parameters
    ----------
    fits
        A fit, or several by name.
    runs
        Runs with their ``loss``, such as those that were held out of the fit.
    x
        Input or column along the axis, such as ``"D"`` or ``"flops"``; by default the runs stand
        side by side in order of training compute.
    relative
        Whether to show the prediction's deviation from the observation, in per cent, rather
        than both losses.
    probs
        Probabilities of the predictive intervals, at most two or three.
    seed
        Makes the predictive noise reproducible.
    ax
        An Axes to draw on.

    Returns
    -------
    matplotlib.axes.Axes
        The Axes.

    Raises
    ------
    InputError
        If the runs lack a loss or an input.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> fit = bs.published(dense, "besiroglu2024")
    >>> runs = bs.load_runs("hoffmann2022").query("outlier")
    >>> bs.plotting.plot_predictions(fit, runs).get_ylabel()
    'predicted over observed loss − 1 (%)'
    """
    named, probs = as_fits(fits, groups=False), check_probs(probs)
    observed = read_columns(runs, ["loss"])["loss"]
    drawn = {name: _predicted(fit, runs, seed) for name, fit in named.items()}
    law = next(iter(named.values())).law
    order = np.argsort(_compute(law, runs), kind="stable")
    if x is None:
        at, step, log_x = np.argsort(order) + 1.0, 1.0, False
    else:
        at = read_columns(runs, [x], extra=law.variables)[x]
        log_x = is_log(x, at, law.variables)
        step = 0.05 * (np.ptp(np.log(at)) if log_x else np.ptp(at)) or 0.05
    with style():
        (panel,) = make_panels(ax, 1, columns=1, size=(6, 4))
        for i, (name, loss) in enumerate(drawn.items()):
            shift = (i - (len(drawn) - 1) / 2) * step * min(0.2, 0.7 / len(drawn))
            places = at * np.exp(shift) if log_x else at + shift
            shown = 100 * (loss / xr.DataArray(observed, dims="run") - 1) if relative else loss
            noise = named[name].about["noise"] is not None
            look: dict[str, Any] = {"color": fit_colour(i), "marker": MARKERS[i % len(MARKERS)]}
            draw_intervals(panel, places, shown, probs if noise else (), across=False, **look)
            label = f"{name}, {_inside(loss, observed, probs[0])}" if noise else f"{name}, no noise"
            entry = (
                {"linewidth": 1.4, "markerfacecolor": "white"} if noise else {"linestyle": "none"}
            )
            panel.plot([], [], label=label, **entry, **look)
        what = "observed, simulated" if runs.attrs.get("simulated") else "observed"
        if relative:
            panel.axhline(0, color=INK, linewidth=0.9, linestyle="--", label=what)
            panel.set_ylabel("predicted over observed loss − 1 (%)")
        else:
            panel.scatter(
                at, observed, marker="_", s=90, color=INK, linewidths=1.4, zorder=4, label=what
            )
            panel.set_ylabel(axis_label("loss", unit=next(iter(named.values())).loss_unit))
        if x is None:
            _name_runs(panel, runs, order)
        else:
            scale_axis(panel, "x", x, at, log=log_x, extra=law.variables)
        noisy = any(fit.about["noise"] is not None for fit in named.values())
        head_room(panel, len(drawn) + 1, more=spread(probs, "bars") if noisy else ())
        note_simulated([panel], named)
    return panel


def _predicted(fit: Fit, runs: pd.DataFrame, seed: int | None) -> xr.DataArray:
    inputs: dict[str, Any] = {**read_columns(runs, fit.law.inputs, extra=fit.law.variables)}
    by = fit.about.get("by")
    if by:
        if by not in runs:
            raise InputError(f"the fit has coefficients for each {by!r}; the runs lack that column")
        inputs[by] = runs[by].to_numpy(str)
    return predict(fit, mean=fit.about["noise"] is None, seed=seed, **inputs)


def _inside(loss: xr.DataArray, observed: np.ndarray, prob: float) -> str:
    low, high = interval(loss, prob).values.T
    inside = int(((low <= observed) & (observed <= high)).sum())
    return f"{inside} of {len(observed)} within {100 * prob:g} %"


def _compute(law: Any, runs: pd.DataFrame) -> np.ndarray:
    """Training FLOPs of the runs, or the product of their counts: something to order them by."""
    known = runs["flops"] if "flops" in runs else derive("flops", runs)
    if known is not None:
        return np.asarray(known, dtype=float)
    inputs = read_columns(runs, law.inputs, extra=law.variables)
    counts = [v for name, v in inputs.items() if name in VARIABLES and VARIABLES[name].scale]
    return np.asarray(np.prod(counts or [np.zeros(len(runs))], axis=0))


def _name_runs(panel: Axes, runs: pd.DataFrame, order: np.ndarray) -> None:
    panel.set_xlabel("run, in order of training compute")
    panel.set_xlim(0.4, len(order) + 0.6)
    panel.grid(visible=False, axis="x")
    if len(order) <= _MOST_LABELS:
        names = [str(runs.index[i]) for i in order]
        tilted = max(len(name) for name in names) * len(names) > 60
        panel.set_xticks(range(1, len(order) + 1), names)
        if tilted:
            panel.tick_params(axis="x", labelrotation=30)
            for label in panel.get_xticklabels():
                label.set_horizontalalignment("right")


def plot_coefficients(
    fits: Fit | Mapping[str, Fit],
    *,
    names: Sequence[str] | None = None,
    published: Sequence[str] | None = None,
    units: str = "raw",
    probs: Sequence[float] = (0.5, 0.9),
    ax: Any = None,
) -> Any:
    r"""Credible intervals of a law's coefficients beside its published values.

    Each coefficient has a panel of its own, logarithmic for a positive amplitude. Published
    standard errors are drawn as the normal interval of the widest probability.

    Parameters
    ----------
    fits
        A fit, or several fits of one law by name.
    names
        Coefficients to show; by default all.
    published
        Published sets to show, by name; by default all that the law has.
    units
        ``"raw"``, the paper's, or ``"reference"``. A law whose raw units are not known is shown
        in reference units, which the labels say; published values are then left out.
    probs
        Probabilities of the intervals.
    ax
        An Axes, divided among the coefficients, or an array of one Axes a coefficient.

    Returns
    -------
    matplotlib.axes.Axes or numpy.ndarray
        The Axes, or an array of them if there are several coefficients.

    Raises
    ------
    InputError
        If the fits are of different laws, or a coefficient or published set does not exist.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> panels = bs.plotting.plot_coefficients(bs.published(dense, "besiroglu2024"))
    >>> [panel.get_xlabel() for panel in panels][:3]
    ['$E$ (nats per token)', '$A$ (nats, raw units)', '$\\alpha$ (dimensionless)']
    """
    named, probs = as_fits(fits), check_probs(probs)
    law = next(iter(named.values())).law
    others = [name for name, fit in named.items() if fit.law.signature() != law.signature()]
    if others:
        raise InputError(
            f"coefficients of different laws do not compare: {others[0]!r} is not a fit of "
            f"{law.name!r}; plot each law on its own"
        )
    shown = _known("names", names, law.coefficients, law.name)
    unit = next(iter(named.values())).loss_unit
    draws, units = _in_units(named, units)
    sets = _known("published", published, law.published, law.name) if units == "raw" else []
    sets = [name for name in sets if name not in named]
    rows = [*draws, *sets]
    across = len(shown) if len(shown) < 3 else 2 if len(shown) == 4 else 3
    height = -(-len(shown) // across) * (0.22 * len(rows) + 0.75)
    with style():
        panels = make_panels(
            ax, len(shown), columns=across, size=(1.8 + 1.9 * across, height), sharey=True
        )
        for panel, name in zip(panels, shown, strict=True):
            ends = _draw_coefficient(panel, name, draws, [law.published[s] for s in sets], probs)
            prior = law.priors[name]
            # A published amplitude's interval may reach below zero; the axis then cuts it off.
            log = prior.positive and prior.role in ("amplitude", "plain")
            _scale_coefficient(panel, log, ends)
            panel.set_xlabel(coefficient_label(name, prior.role, units, unit))
            panel.set_yticks(range(len(rows)), rows)
            panel.set_ylim(len(rows) - 0.4, -0.6)
            panel.grid(visible=False, axis="y")
            panel.tick_params(axis="y", length=0)
        label_outer(panels)
        note_simulated(panels, named)
        if any(map(uncertain, named.values())):
            key(panels, across, spread(probs, "bars"), handlelength=1.4)
    return returned(panels)


def _known(what: str, given: Sequence[str] | None, known: Any, law: str) -> list[str]:
    if given is None:
        return list(known)
    wrong = [name for name in given if name not in known]
    if wrong or isinstance(given, str):
        raise InputError(
            f"{what} is a list of names; law {law!r} has {', '.join(known) or 'none'}, not "
            f"{wrong[0] if wrong and not isinstance(given, str) else given!r}"
        )
    return list(given)


def _in_units(named: Mapping[str, Fit], units: str) -> tuple[dict[str, xr.Dataset], str]:
    try:
        return {name: coefficients(fit, units=units) for name, fit in named.items()}, units
    except InputError:
        if units != "raw":
            raise
    return {name: coefficients(fit) for name, fit in named.items()}, "reference"


def _draw_coefficient(
    panel: Axes,
    name: str,
    draws: Mapping[str, xr.Dataset],
    sets: Sequence[Any],
    probs: Sequence[float],
) -> np.ndarray:
    """Draw one coefficient's row of every fit and published set; returns what must be in view."""
    from scipy.special import ndtri

    ends: list[float] = []
    for row, values in enumerate(draws.values()):
        value = values[name]
        look: dict[str, Any] = {"color": fit_colour(row), "marker": MARKERS[row % len(MARKERS)]}
        sure = bool((value == value[0, 0]).all())  # published, or fixed in the fit
        draw_intervals(panel, row, value, () if sure else probs, **look)
        ends += [float(end) for end in interval(value, probs[0])]
    for row, one in enumerate(sets, start=len(draws)):
        centre, error = one.values[name], one.errors.get(name)
        if error is not None:
            half = float(ndtri((1 + probs[0]) / 2)) * error
            panel.hlines(row, centre - half, centre + half, colors="0.45", linewidth=1.1)
            ends += [centre - half, centre + half]
        panel.plot([centre], [row], marker="D", markersize=4, color="0.45")
        ends.append(centre)
    return np.array(ends)


def _scale_coefficient(panel: Axes, log: bool, ends: np.ndarray) -> None:
    positive = ends[ends > 0]
    low, high = positive.min(initial=np.inf), positive.max(initial=0.0)
    if log and high / low > 1.5:
        room = (high / low) ** 0.08
        panel.set_xscale("log")
        panel.set_xlim(low / room, high * room)
        log_ticks(panel.xaxis, number_label)
    else:
        from bayescale.plotting.ticks import FewTicks

        panel.margins(x=0.08)
        panel.xaxis.set_major_locator(FewTicks())


def number_label(value: float) -> str:
    """A tick's number, short at any size."""
    if 1e-3 <= value < 1e4:
        return f"{value:g}"
    exponent = int(np.floor(np.log10(value) + 1e-9))
    factor = f"{value / 10.0**exponent:.2g}"
    return rf"$10^{{{exponent}}}$" if factor == "1" else rf"${factor}\!\times\!10^{{{exponent}}}$"


_GREEK = (
    *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda"),
    *("mu", "nu", "xi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega"),
)


def coefficient_label(name: str, role: str, units: str, loss_unit: str = LOSS_UNIT) -> str:
    """A coefficient as papers write it, with its unit."""
    stem, _, index = name.partition("_")
    index = index if len(index) < 2 else rf"\mathrm{{{index.replace('_', r'\ ')}}}"
    letter = rf"\{stem}" if stem in _GREEK else stem if len(stem) == 1 else rf"\mathrm{{{stem}}}"
    written = f"${letter}_{{{index}}}$" if index else f"${letter}$"
    short = short_unit(loss_unit)
    unit = {
        "floor": loss_unit,
        "amplitude": f"{short}, raw units" if units == "raw" else f"{short} at the reference",
        "exponent": "dimensionless",
    }.get(role)
    return f"{written} ({unit})" if unit else written
