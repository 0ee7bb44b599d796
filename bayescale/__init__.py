"""Bayesian scaling laws: from a table of training runs to a decision and its uncertainty.

Names are loaded when first used, so ``import bayescale`` is light: PyMC, nutpie, ArviZ and
matplotlib are imported by the functions that need them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# What laws are written with costs little more than NumPy and is imported at once. It must be: the
# function ``law`` has the name of its module, and only a name bound after that import stays.
from bayescale.errors import InputError
from bayescale.law import Coefficients, Law, law
from bayescale.maths import exp, log, log1p, maximum, minimum, where
from bayescale.priors import Prior, amplitude, exponent, floor, gamma_prior, lognormal, normal
from bayescale.variables import VARIABLES, Variable

__version__ = "0.1.0"

if TYPE_CHECKING:
    from bayescale.allocation import AllocationWarning, allocate
    from bayescale.averaging import Average, average
    from bayescale.candidates import next_runs
    from bayescale.comparison import compare
    from bayescale.decision import decide
    from bayescale.design import DesignWarning
    from bayescale.diagnostics import FitWarning, diagnose
    from bayescale.fits import Fit, coefficients, load_fit, published
    from bayescale.groups import contrast, group
    from bayescale.inference import CALIBRATED, fit, model, prior
    from bayescale.law_check import check_law
    from bayescale.leverage import efficiency_leverage
    from bayescale.overlap import prior_overlap
    from bayescale.prediction import interval, predict, simulate
    from bayescale.proposals import propose_runs
    from bayescale.refits import refit
    from bayescale.report import write_report
    from bayescale.residual_checks import check_residuals
    from bayescale.residual_table import residuals
    from bayescale.rivals import probability, required_budget
    from bayescale.runs import list_runs, load_runs
    from bayescale.sensitivity import prior_sensitivity
    from bayescale.tables import read_runs
    from bayescale.upcycling import upcycling_probability, upcycling_threshold
    from bayescale.validation import backtest, coverage

_HOME = {
    "allocation": ("AllocationWarning", "allocate"),
    "averaging": ("Average", "average"),
    "candidates": ("next_runs",),
    "comparison": ("compare",),
    "decision": ("decide",),
    "design": ("DesignWarning",),
    "diagnostics": ("FitWarning", "diagnose"),
    "fits": ("Fit", "coefficients", "load_fit", "published"),
    "groups": ("contrast", "group"),
    "inference": ("CALIBRATED", "fit", "model", "prior"),
    "law_check": ("check_law",),
    "leverage": ("efficiency_leverage",),
    "overlap": ("prior_overlap",),
    "prediction": ("interval", "predict", "simulate"),
    "proposals": ("propose_runs",),
    "refits": ("refit",),
    "report": ("write_report",),
    "residual_checks": ("check_residuals",),
    "residual_table": ("residuals",),
    "rivals": ("probability", "required_budget"),
    "runs": ("list_runs", "load_runs"),
    "sensitivity": ("prior_sensitivity",),
    "tables": ("read_runs",),
    "upcycling": ("upcycling_probability", "upcycling_threshold"),
    "validation": ("backtest", "coverage"),
}
_MODULE = {name: module for module, names in _HOME.items() for name in names}
_MODULES = ("cost", "models", "plotting")

__all__ = [
    "CALIBRATED",
    "VARIABLES",
    "AllocationWarning",
    "Average",
    "Coefficients",
    "DesignWarning",
    "Fit",
    "FitWarning",
    "InputError",
    "Law",
    "Prior",
    "Variable",
    "allocate",
    "amplitude",
    "average",
    "backtest",
    "check_law",
    "check_residuals",
    "coefficients",
    "compare",
    "contrast",
    "cost",
    "coverage",
    "decide",
    "diagnose",
    "efficiency_leverage",
    "exp",
    "exponent",
    "fit",
    "floor",
    "gamma_prior",
    "group",
    "interval",
    "law",
    "list_runs",
    "load_fit",
    "load_runs",
    "log",
    "log1p",
    "lognormal",
    "maximum",
    "minimum",
    "model",
    "models",
    "next_runs",
    "normal",
    "plotting",
    "predict",
    "prior",
    "prior_overlap",
    "prior_sensitivity",
    "probability",
    "propose_runs",
    "published",
    "read_runs",
    "refit",
    "required_budget",
    "residuals",
    "simulate",
    "upcycling_probability",
    "upcycling_threshold",
    "where",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name in _MODULE:
        value = getattr(import_module(f"bayescale.{_MODULE[name]}"), name)
    elif name in _MODULES:
        value = import_module(f"bayescale.{name}")
    else:
        raise AttributeError(f"module 'bayescale' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
