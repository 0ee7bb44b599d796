"""What each listed choice is worth: how many experts, which granularity, which sparsity."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number
from bayescale.common.wording import here
from bayescale.decisions.allocation import AllocationWarning
from bayescale.decisions.decision import decide
from bayescale.decisions.parameter_counts import active_parameters, total_parameters
from bayescale.decisions.plan_space import Plans
from bayescale.decisions.plans import plans
from bayescale.fitting.averaging import Average
from bayescale.fitting.fits import Fit

__all__ = ["choices"]


def choices(
    fit: Fit,
    budget: float,
    *,
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
    cost, choose, fixed, bounds, trust
        As for :func:`bayescale.decide`; ``bounds={"memory": (0, 7e10)}`` is the most parameters
        that a plan may have in all.

    Returns
    -------
    xarray.Dataset
        Over ``choice``: every input of the law in the choice's plan of least expected loss,
        ``total`` and ``active`` parameters (NaN where they do not follow), ``expected_loss``,
        ``probability`` that the choice is the best of them, and ``limited``, whether memory holds
        its plan back. Over chain, draw and choice: ``loss``, and ``behind``, by how much it
        is above the loss of the choice of least expected loss. ``attrs`` name that choice
        (``best``), the listed inputs (``listed``), those of which it takes the largest value that
        is listed (``at_end``), what it means that the list ends there (``reading``), and which
        choices have no plan within the bounds (``impossible``).

    Raises
    ------
    InputError
        If nothing is listed, no choice has a plan, total parameters do not follow though memory is
        limited, or a plan makes no sense.

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
    found: list[xr.Dataset] = []
    impossible: list[dict[str, float]] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for values in combinations:
            choice = dict(zip(names, map(float, values), strict=True))
            try:
                found.append(_best_of(fit, budget, choice, trust, choose, options))
            except InputError as error:
                if error.code != "no-plan" or len(impossible) == len(combinations) - 1:
                    raise
                impossible.append(choice)
    # Of the limit on memory a column says which choices it holds back.
    said = [str(one.message) for one in caught]
    for message in dict.fromkeys(x for x in said if "memory at its high end" not in x):
        warnings.warn(message, AllocationWarning, stacklevel=2)
    table = _together(space.choices, found)
    table.attrs |= {"impossible": impossible, "reading": _reading(table, space)}
    return table


def _best_of(
    fit: Fit,
    budget: float,
    choice: Mapping[str, float],
    trust: bool,
    choose: Mapping[str, Sequence[float]] | None,
    options: Mapping[str, Any],
) -> xr.Dataset:
    """The plan of least expected loss of one choice, with its counts of parameters."""
    others = {name: values for name, values in (choose or {}).items() if name not in choice}
    given = dict(options) | {"choose": others or None}
    given["fixed"] = dict(options["fixed"] or {}) | dict(choice)
    plan = decide(fit, float(budget), trust=trust, **given)
    space = plans(fit, **given)
    at = {name: float(plan[name]) for name in fit.law.inputs}
    counts = total_parameters(fit, space, at), active_parameters(space, at)
    total, active = (np.nan if value is None else float(value) for value in counts)
    held = space.memory is not None and total > space.memory * (1 - 1e-4)
    return plan.assign(total=total, active=active, limited=held)


def _together(listed: Mapping[str, np.ndarray], found: Sequence[xr.Dataset]) -> xr.Dataset:
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
    ends = [n for n, values in listed.items() if float(table[n][best]) == values.max()]
    table.attrs |= {"best": best, "listed": list(listed), "at_end": ends}
    return table


def _reading(table: xr.Dataset, space: Plans) -> str:
    """What it means that the best choice lies at an end of the list."""
    best, said = table.isel(choice=table.attrs["best"]), []
    limit = here(python="bounds={'memory': (0, 7e10)}", prompt="--memory 70B")
    for name, values in space.choices.items():
        value = float(best[name])
        this = f"{name} = {format_number(value)} is the"
        if value == values.min() > space.known(name).low:
            said.append(f"{this} smallest listed: the list decided, not the runs; list less.")
        if value < values.max():
            continue
        if name in space.arguments:
            why = "what it costs is priced, and more may be better still: list more"
        elif space.memory is None:
            why = (
                "and nothing that was priced grows with it: the list decided, not the runs; list "
                f"more, or limit memory: {limit}"
            )
        elif best.limited:
            why = (
                "and its plan fills memory: whether more would be worth a smaller model still, "
                "the list does not say; list more"
            )
        else:
            why = (
                "and its plan leaves memory free: the list decided, not the runs; list more, or "
                "say a smaller memory"
            )
        said.append(f"{this} largest listed, {why}.")
    return " ".join(said)
