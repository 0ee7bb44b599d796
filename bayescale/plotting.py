"""Plots."""

from bayescale.plot_budgets import plot_allocation, plot_isoflop
from bayescale.plot_checks import plot_coefficients, plot_predictions
from bayescale.plot_runs import plot_fit

__all__ = ["plot_allocation", "plot_coefficients", "plot_fit", "plot_isoflop", "plot_predictions"]
