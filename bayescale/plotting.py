"""Plots."""

from bayescale.plot_runs import plot_fit

__all__ = ["plot_fit"]
