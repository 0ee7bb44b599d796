"""Plots of fits, drawn with matplotlib.

Each takes a fit (or several by name) and keyword options, draws on ``ax`` if it is given and
otherwise on a new figure, and returns the Axes, or an array of them where it has several panels.
One given Axes is divided among the panels; a figure of ``layout="constrained"`` keeps labels apart.
Bars and bands are equal-tailed credible intervals, lines and points posterior medians.

Trace, rank and pair plots are ArviZ's: ``fit.tree`` is an ArviZ ``DataTree``.

Examples
--------
>>> import bayescale as bs
>>> from bayescale.models import dense
>>> fit = bs.published(dense, "besiroglu2024")
>>> bs.plotting.plot_isoflop(fit, 1e22).get_ylabel()
'loss (nats per token)'
"""

from __future__ import annotations

from bayescale.plotting.allocation import plot_allocation
from bayescale.plotting.checks import plot_coefficients, plot_predictions
from bayescale.plotting.comparison import plot_comparison
from bayescale.plotting.designs import plot_designs
from bayescale.plotting.isoflop import plot_isoflop
from bayescale.plotting.next_runs import plot_next_runs
from bayescale.plotting.priors import plot_prior_posterior
from bayescale.plotting.regret import plot_regret
from bayescale.plotting.residuals import plot_pit, plot_residuals
from bayescale.plotting.rivals import plot_probability
from bayescale.plotting.runs import plot_fit
from bayescale.plotting.upcycling import plot_upcycling

__all__ = [
    "plot_allocation",
    "plot_coefficients",
    "plot_comparison",
    "plot_designs",
    "plot_fit",
    "plot_isoflop",
    "plot_next_runs",
    "plot_pit",
    "plot_predictions",
    "plot_prior_posterior",
    "plot_probability",
    "plot_regret",
    "plot_residuals",
    "plot_upcycling",
]
