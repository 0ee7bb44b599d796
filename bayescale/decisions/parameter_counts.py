"""How many parameters a plan has in all, and how many a token uses, where a law counts others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayescale.cost import granular_flops
from bayescale.decisions.plan_space import Plans
from bayescale.fitting.fits import Fit
from bayescale.language.columns import derive
from bayescale.language.law import Law
from bayescale.language.variables import VARIABLES, variable

__all__ = ["active_parameters", "counts_all", "total_parameters", "total_per_active"]


def total_parameters(fit: Fit, space: Plans, plan: Mapping[str, Any]) -> Any | None:
    """All parameters of a plan; None where they do not follow from it or from the runs."""
    if counts_all(space.law):
        return plan["N"]
    found = None if "N" in space.law.inputs else derive("N", plan)
    if found is None and "N_active" in plan:
        ratio = total_per_active(fit, plan)
        found = None if ratio is None else ratio * plan["N_active"]
    return found


def active_parameters(space: Plans, plan: Mapping[str, Any]) -> Any | None:
    """Parameters that a token uses; None where they do not follow."""
    if "N_active" in plan:
        return plan["N_active"]
    if space.cost is granular_flops:
        # 12 of 8 E + 4 parts: attention, and as much of the experts as the dense layer has.
        return plan["N"] * 12.0 / (8.0 * space.settings["expansion"] + 4.0)
    if counts_all(space.law) and set(space.law.inputs) <= {"N", "D", "D_unique"}:
        return plan["N"]
    return derive("N_active", plan) if counts_all(space.law) else None


def total_per_active(fit: Fit, plan: Mapping[str, Any]) -> Any | None:
    """All parameters over active ones for a number of experts, as the fitted runs have it.

    What one more expert adds, over the active parameters, is read off the runs at every count and
    drawn through between them; beyond the largest count it stays what it is there.
    """
    if fit.runs is None or not {"N", "N_active", "experts"} <= {*fit.runs.data_vars}:
        return None
    if "experts" not in plan:
        return None
    runs = fit.runs[["N", "N_active", "experts"]].to_dataframe()
    some = runs[runs.experts > 1]
    if some.empty:
        return None
    added = ((some.N / some.N_active - 1) / (some.experts - 1)).groupby(some.experts).median()
    count = np.asarray(plan["experts"], dtype=float)
    each = np.interp(np.log(count), np.log(added.index.to_numpy(float)), added.to_numpy())
    return 1.0 + each * (count - 1.0)


def counts_all(law: Law) -> bool:
    """Whether a law's N is all parameters: by its own words it may be a dense parent's."""
    if "N" not in law.inputs:
        return False
    return variable("N", law.variables).aliases == VARIABLES["N"].aliases
