"""What each listed choice is worth: how many experts, which granularity, which sparsity."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayescale.common.errors import InputError
from bayescale.decisions.allocation import AllocationWarning
from bayescale.decisions.decision import decide
from bayescale.decisions.parameter_counts import (
    active_parameters,
    total_parameters,
    total_per_active,
)
from bayescale.decisions.plan_space import Plans
from bayescale.decisions.plans import plans
from bayescale.fitting.averaging import Average
from bayescale.fitting.fits import Fit

__all__ = ["choices"]


def choices(
    fit: Fit,
    budget: float,
    *,
    memory: float | None = None,
    cost: Callable[..., Any] | None = None,
    choose: Mapping[str, Sequence[float]] | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    trust: bool = False,
) -> xr.Dataset:
    """What each value of the listed inputs is worth at a budget, each at its own best plan.

    ``decide`` names the best choice. This says by how much it is the best, how surely, and what it
    takes in parameters: a cost of training alone makes experts that are not used free, and then
    the answer is the most of them that one lists.

    Parameters
    ----------
    fit
        A fit of a law with listed inputs, such as experts, G or S.
    budget
        Training FLOPs.
    memory
        The most parameters that a plan may have in all, active or not. Where the law does not count
        them they follow from its inputs, or from the fitted runs' total over active parameters at
        each number of experts.
    cost, choose, fixed, bounds, trust
        As for :func:`bayescale.decide`.

    Returns
    -------
    xarray.Dataset
        Over ``choice``: every input of the law in the choice's plan of least expected loss,
        ``total`` and ``active`` parameters (NaN where they do not follow), ``expected_loss``,
        ``probability`` that the choice is the best of them, and ``limited``, whether ``memory``
        holds its plan back. Over chain, draw and choice: ``loss``, and ``behind``, by how much it
        is above the loss of the choice of least expected loss. ``attrs`` name that choice
        (``best``), the listed inputs (``listed``), and those of which it takes the last value that
        is listed (``at_end``).

    Raises
    ------
    InputError
        If nothing is listed, total parameters do not follow, or a plan makes no sense.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import granularity
    >>> found = bs.choices(
    ...     bs.published(granularity, "krajewski2024"), 1.93e20, choose={"G": [1, 4, 16, 64]}
    ... )
    >>> found.G.values[int(found.attrs["best"])].item()
    16.0
    """
    if isinstance(fit, Average):
        raise InputError("an average of fits has no one law to list; give one of its fits")
    options: dict[str, Any] = {"cost": cost, "fixed": fixed, "bounds": bounds}
    space = plans(fit, choose=choose, **options)
    names = tuple(space.choices)
    if not names:
        raise InputError(
            f"nothing is listed to choose from; list values of an input of law {fit.law.name!r}: "
            "choose={'experts': [8, 16, 32]}"
        )
    combinations = list(itertools.product(*(space.choices[name] for name in names)))
    found = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for values in combinations:
            choice = dict(zip(names, map(float, values), strict=True))
            found.append(_best_of(fit, budget, choice, memory, trust, choose, options))
    for message in dict.fromkeys(str(w.message) for w in caught if _worth_saying(w, memory)):
        warnings.warn(message, AllocationWarning, stacklevel=2)
    return _together(names, found)


def _worth_saying(one: warnings.WarningMessage, memory: float | None) -> bool:
    """Whether a warning is not of the limit on memory, which has a column of its own."""
    return memory is None or "lies at a bound" not in str(one.message)


def _best_of(
    fit: Fit,
    budget: float,
    choice: Mapping[str, float],
    memory: float | None,
    trust: bool,
    choose: Mapping[str, Sequence[float]] | None,
    options: Mapping[str, Any],
) -> xr.Dataset:
    """The plan of least expected loss of one choice, with its counts of parameters."""
    others = {name: values for name, values in (choose or {}).items() if name not in choice}
    given = dict(options) | {"choose": others or None}
    given["fixed"] = dict(options["fixed"] or {}) | dict(choice)
    limit: tuple[str, float] | None = None
    if memory is not None:
        limit = _limit(fit, plans(fit, **given), choice, memory)
        own = dict(options["bounds"] or {})
        low, high = own.get(limit[0], (1e4, np.inf))
        given["bounds"] = own | {limit[0]: (low, min(high, limit[1]))}
    plan = decide(fit, float(budget), trust=trust, **given)
    space = plans(fit, **given)
    at = {name: float(plan[name]) for name in fit.law.inputs}
    counts = total_parameters(fit, space, at), active_parameters(space, at)
    total, active = (np.nan if value is None else float(value) for value in counts)
    held = limit is not None and memory is not None and total > memory * (1 - 1e-4)
    return plan.assign(total=total, active=active, limited=held)


def _limit(fit: Fit, space: Plans, choice: Mapping[str, float], memory: float) -> tuple[str, float]:
    """The input or derived quantity that a limit on all parameters bounds, and the bound."""
    if not (np.isfinite(memory) and memory > 0):
        raise InputError(f"memory is a number of parameters above zero, not {memory!r}")
    some = dict.fromkeys(space.law.inputs, 0.5)
    if total_parameters(fit, space, some | dict(choice)) is None:
        raise InputError(
            f"total parameters do not follow from {', '.join(space.law.inputs)}, nor from the "
            "fitted runs, which lack N and N_active at each number of experts; bound what the law "
            "counts instead: bounds={...}"
        )
    whole = "N" in space.law.inputs or "S" in space.law.inputs
    if whole:
        return "N", memory
    return "N_active", memory / float(total_per_active(fit, choice))  # type: ignore[arg-type]


def _together(names: Sequence[str], found: Sequence[xr.Dataset]) -> xr.Dataset:
    bands = [str(n) for n in found[0].data_vars if str(n).endswith("_band")]
    dropped = [*bands, "regret", "expected_regret", "risk", "at_bound", "ci_bound"]
    rows = [one.drop_vars(dropped, errors="ignore") for one in found]
    table = xr.concat(rows, "choice", combine_attrs="override")
    best = int(table.expected_loss.argmin("choice"))
    table["behind"] = table.loss - table.loss.isel(choice=best)
    first = table.loss.argmin("choice")
    table["probability"] = xr.concat(
        [(first == i).mean(("chain", "draw")) for i in range(len(found))], "choice"
    )
    ends = [n for n in names if float(table[n][best]) == float(table[n].max())]
    table.attrs |= {"best": best, "listed": list(names), "at_end": ends}
    return table
