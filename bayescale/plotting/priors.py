"""A plot of what the runs have added to the priors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.checking.prior_overlap import MAX_OVERLAP, density, overlap
from bayescale.checking.prior_scores import Marginal, marginals, problem_of
from bayescale.common.errors import InputError
from bayescale.fitting.fits import Fit
from bayescale.plotting.axes import log_ticks
from bayescale.plotting.checks import coefficient_label, number_label
from bayescale.plotting.figures import (
    INK,
    fit_colour,
    key,
    make_panels,
    returned,
    simulated,
    style,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["plot_prior_posterior"]

_POINTS = 150  # over the prior, and as many over the posterior, which may be far narrower
_TAIL = 2.6  # standard deviations of the prior that are in view


def plot_prior_posterior(fit: Fit, *, names: Sequence[str] | None = None, ax: Any = None) -> Any:
    r"""Prior and posterior density of each coefficient, and how far they overlap.

    Each coefficient has a panel, in reference units, logarithmic if it is positive. Densities are
    of what is drawn along the axis, so areas compare: the area under both is the overlap in the
    title (:func:`bayescale.prior_overlap`).

    Parameters
    ----------
    fit
        A fit made by :func:`bayescale.fit`.
    names
        What to show: rows of :func:`bayescale.prior_overlap`, such as ``"noise_dof"`` or, of
        groups, ``"E[c4]"``; by default the law's coefficients.
    ax
        An Axes, divided among the coefficients, or an array of one Axes a coefficient.

    Returns
    -------
    matplotlib.axes.Axes or numpy.ndarray
        The Axes, or an array of them if there are several coefficients.

    Raises
    ------
    InputError
        If the fit has no priors, or a name none.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder").query("not target")
    >>> fit = bs.fit(dense, runs, method="laplace", seed=1)
    >>> panels = bs.plotting.plot_prior_posterior(fit, names=["alpha", "noise_dof"])
    >>> [panel.get_xlabel() for panel in panels]
    ['$\\alpha$ (dimensionless)', '$\\mathrm{noise}_{\\mathrm{dof}}$']
    """
    task = problem_of(fit)
    known = marginals(task, fit)
    if names is None:
        names = [name for name in known if name.split("[")[0] in task.priors]
    wrong = [names] if isinstance(names, str) else [name for name in names if name not in known]
    if wrong or not len(names):
        raise InputError(
            f"names is a list of what has a prior ({', '.join(known)}), not "
            f"{wrong[0] if wrong else names!r}"
        )
    columns = min(len(names), 3)
    rows = -(-len(names) // columns)
    with style():
        panels = make_panels(
            ax, len(names), columns=columns, size=(1.3 + 2.0 * columns, 0.2 + 1.75 * rows)
        )
        for panel, name in zip(panels, names, strict=True):
            stem, _, level = name.partition("[")
            _draw(panel, known[name], level[:-1], of_simulated=simulated(fit))
            panel.set_xlabel(coefficient_label(stem, known[name].prior.role, "reference"))
        key(panels, columns)
    return returned(panels)


def _spaced(low: float, high: float, log: bool) -> np.ndarray:
    if log:
        return np.geomspace(low, high, _POINTS)
    return np.linspace(low, high, _POINTS)


def _draw(panel: Axes, one: Marginal, level: str, *, of_simulated: bool) -> None:
    z = one.score(one.draws).ravel()
    low, high = one.at(np.array([min(-_TAIL, z.min()), max(_TAIL, z.max())]))
    log = one.prior.positive
    least, most = np.quantile(one.draws, (0.0005, 0.9995))
    x = np.unique(np.concatenate([_spaced(low, high, log), _spaced(least, most, log)]))
    scores = one.score(x)
    stretch = np.gradient(scores, np.log(x) if log else x)
    curves = {
        "prior": np.exp(-0.5 * scores**2) / np.sqrt(2 * np.pi),
        "posterior, of simulated losses" if of_simulated else "posterior": density(z, scores),
    }
    for (label, curve), colour in zip(curves.items(), (INK, fit_colour(0)), strict=True):
        line = "--" if label == "prior" else "-"
        panel.plot(x, curve * stretch, color=colour, linestyle=line, linewidth=1.1, label=label)
        panel.fill_between(x, curve * stretch, color=colour, alpha=0.15, linewidth=0)
    shared = overlap(z)
    said = "" if shared < MAX_OVERLAP else ": the prior's word"
    who = f"{level}: " if level else ""
    panel.set_title(f"{who}overlap {shared:.2f}{said}", loc="left")
    panel.set_ylim(bottom=0)
    panel.set_yticks([])
    panel.spines["left"].set_visible(False)
    panel.grid(visible=False)
    if log:
        panel.set_xscale("log")
        log_ticks(panel.xaxis, number_label)
    panel.set_xlim(low, high)
