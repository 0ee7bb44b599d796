"""Bayesian scaling laws: from a table of training runs to a decision and its uncertainty.

Names are loaded when first used, so ``import bayescale`` is light: PyMC, nutpie, ArviZ and
matplotlib are imported by the functions that need them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

# What laws are written with costs little more than NumPy and is imported at once.
from bayescale.common.errors import InputError
from bayescale.common.version import __version__ as __version__
from bayescale.language.law import Coefficients, Law, law
from bayescale.language.maths import exp, log, log1p, maximum, minimum, where
from bayescale.language.priors import (
    Prior,
    amplitude,
    exponent,
    floor,
    gamma_prior,
    lognormal,
    normal,
)
from bayescale.language.variables import VARIABLES, Variable

if TYPE_CHECKING:
    from bayescale.checking.arviz_refits import arviz_refits
    from bayescale.checking.arviz_tree import to_arviz
    from bayescale.checking.comparison import compare
    from bayescale.checking.influence import influence
    from bayescale.checking.law_check import check_law
    from bayescale.checking.law_free import check_law_free
    from bayescale.checking.nested import nested
    from bayescale.checking.prior_overlap import prior_overlap
    from bayescale.checking.prior_sensitivity import prior_sensitivity
    from bayescale.checking.residual_checks import check_residuals
    from bayescale.checking.residual_table import residuals
    from bayescale.checking.validation import backtest, coverage
    from bayescale.decisions.allocation import AllocationWarning, allocate
    from bayescale.decisions.budgets import parse_budget
    from bayescale.decisions.counts import plan_by_count
    from bayescale.decisions.decision import decide
    from bayescale.decisions.designs import propose_designs, score_designs
    from bayescale.decisions.leverage import efficiency_leverage
    from bayescale.decisions.listed_choices import choices
    from bayescale.decisions.next_runs import next_runs
    from bayescale.decisions.proposals import propose_runs
    from bayescale.decisions.rivals import probability, required_budget
    from bayescale.decisions.scored_plans import score_plans, worth_of_more
    from bayescale.decisions.upcycling import upcycling_probability, upcycling_threshold
    from bayescale.fitting.averaging import Average, average
    from bayescale.fitting.design import DesignWarning
    from bayescale.fitting.diagnostics import FitWarning, diagnose
    from bayescale.fitting.fits import Fit, coefficients, load_fit, published
    from bayescale.fitting.groups import contrast, group
    from bayescale.fitting.inference import CALIBRATED, fit, model, prior
    from bayescale.fitting.published_priors import published_priors
    from bayescale.fitting.refits import refit
    from bayescale.prediction.forecasts import forecast, outcome
    from bayescale.prediction.predict import interval, predict, simulate
    from bayescale.report import write_report
    from bayescale.tables.bundled import list_runs, load_runs
    from bayescale.tables.counts import every_count
    from bayescale.tables.reading import read_runs

_HOME = {
    "tables.bundled": ("list_runs", "load_runs"),
    "tables.counts": ("every_count",),
    "tables.reading": ("read_runs",),
    "fitting.averaging": ("Average", "average"),
    "fitting.design": ("DesignWarning",),
    "fitting.diagnostics": ("FitWarning", "diagnose"),
    "fitting.fits": ("Fit", "coefficients", "load_fit", "published"),
    "fitting.groups": ("contrast", "group"),
    "fitting.inference": ("CALIBRATED", "fit", "model", "prior"),
    "fitting.published_priors": ("published_priors",),
    "fitting.refits": ("refit",),
    "prediction.forecasts": ("forecast", "outcome"),
    "prediction.predict": ("interval", "predict", "simulate"),
    "decisions.allocation": ("AllocationWarning", "allocate"),
    "decisions.budgets": ("parse_budget",),
    "decisions.counts": ("plan_by_count",),
    "decisions.decision": ("decide",),
    "decisions.designs": ("propose_designs", "score_designs"),
    "decisions.leverage": ("efficiency_leverage",),
    "decisions.listed_choices": ("choices",),
    "decisions.next_runs": ("next_runs",),
    "decisions.proposals": ("propose_runs",),
    "decisions.rivals": ("probability", "required_budget"),
    "decisions.scored_plans": ("score_plans", "worth_of_more"),
    "decisions.upcycling": ("upcycling_probability", "upcycling_threshold"),
    "checking.arviz_refits": ("arviz_refits",),
    "checking.arviz_tree": ("to_arviz",),
    "checking.comparison": ("compare",),
    "checking.influence": ("influence",),
    "checking.nested": ("nested",),
    "checking.law_check": ("check_law",),
    "checking.law_free": ("check_law_free",),
    "checking.prior_overlap": ("prior_overlap",),
    "checking.prior_sensitivity": ("prior_sensitivity",),
    "checking.residual_checks": ("check_residuals",),
    "checking.residual_table": ("residuals",),
    "checking.validation": ("backtest", "coverage"),
    "report": ("write_report",),
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
    "arviz_refits",
    "average",
    "backtest",
    "check_law",
    "check_law_free",
    "check_residuals",
    "choices",
    "coefficients",
    "compare",
    "contrast",
    "cost",
    "coverage",
    "decide",
    "diagnose",
    "efficiency_leverage",
    "every_count",
    "exp",
    "exponent",
    "fit",
    "floor",
    "forecast",
    "gamma_prior",
    "group",
    "influence",
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
    "nested",
    "next_runs",
    "normal",
    "outcome",
    "parse_budget",
    "plan_by_count",
    "plotting",
    "predict",
    "prior",
    "prior_overlap",
    "prior_sensitivity",
    "probability",
    "propose_designs",
    "propose_runs",
    "published",
    "published_priors",
    "read_runs",
    "refit",
    "required_budget",
    "residuals",
    "score_designs",
    "score_plans",
    "simulate",
    "to_arviz",
    "upcycling_probability",
    "upcycling_threshold",
    "where",
    "worth_of_more",
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
