"""From a table of runs to the posterior's problem: what is checked, and what is refused."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.common.wording import here, listed
from bayescale.language.columns import read_columns
from bayescale.language.law import Law
from bayescale.language.priors import Prior, as_prior
from bayescale.language.variables import variable
from bayescale.posterior.coordinates import find_coordinates
from bayescale.posterior.density import Problem
from bayescale.posterior.field import FLOOR, find_field
from bayescale.posterior.groups import find_groups
from bayescale.posterior.noise import noise_model

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["problem", "references"]


def references(law: Law, inputs: Mapping[str, np.ndarray]) -> dict[str, float]:
    """What each input is divided by: the geometric mean of its scale's first input.

    Inputs that are compared with one another in a law, such as tokens and unique tokens, share
    a scale and so a reference. Inputs without a scale are not divided.
    """
    by_scale: dict[str, float] = {}
    found = {}
    for name in law.inputs:
        scale = variable(name, law.variables).scale
        if scale is None:
            found[name] = 1.0
        elif (inputs[name] <= 0).any():
            raise InputError(
                f"column {name!r} holds {inputs[name].min():g}: inputs with a scale are divided by "
                "their geometric mean and must be above zero; give its Variable low=0, or no scale"
            )
        else:
            found[name] = by_scale.setdefault(scale, float(np.exp(np.log(inputs[name]).mean())))
    return found


def problem(
    law: Law,
    runs: pd.DataFrame,
    *,
    noise: str = "student_t",
    priors: Mapping[str, Prior | float] | None = None,
    by: str | None = None,
    vary: Sequence[str] = (),
    pool: str = "partial",
    discrepancy: bool = False,
    weights: str | None = None,
    error: str | None = None,
) -> Problem:
    """Check the runs and set up the posterior.

    Parameters
    ----------
    law
        The law to fit.
    runs
        One row a training run: a column for each of the law's inputs (or columns it can be
        derived from) and ``loss``, in nats.
    noise, discrepancy, weights, error
        As for :func:`bayescale.fit`.
    priors
        Replaces priors by coefficient, noise parameter or spread: priors of this package, or
        distributions of PyMC or PreliZ; a number fixes the coefficient at that value. All are in
        reference units.
    by, vary, pool
        Column of groups, the coefficients that vary between them, and ``"partial"`` pooling
        or ``"none"``.

    Raises
    ------
    InputError
        If a column is missing or holds impossible values, if there are fewer rows than
        coefficients, or if a prior names no coefficient.
    """
    if not isinstance(law, Law):
        raise InputError(
            f"the first argument must be a law (made by @bayescale.law), not {type(law).__name__}"
        )
    columns = read_columns(runs, (*law.inputs, "loss"), extra=law.variables)
    model = noise_model(noise)
    inputs = {name: columns[name] for name in law.inputs}
    weight = _weights(runs, weights)
    reference = references(law, inputs)
    scaled = {name: x / reference[name] for name, x in inputs.items()}
    given = {name: as_prior(prior) for name, prior in (priors or {}).items()}
    field = find_field(law, scaled, weight) if discrepancy else None
    extra = {**model.priors, **(field.priors if field else {})}
    known = {n: FLOOR for n, p in law.priors.items() if p.role == "floor"} if field else {}
    sampled, fixed, extra = _resolve_priors(law, extra, known | given)
    _check_rows(law, len(runs), [name for name in sampled if name not in given])
    if error is not None and model.upper:
        raise InputError(
            f"noise={noise!r} with error={error!r}: a known error of the loss is as large "
            "downwards as upwards, and would be widened with the noise; leave one of them out"
        )
    if pool not in ("partial", "none"):
        raise InputError(f"pool={pool!r} is not known; choose 'partial' or 'none'")
    coordinates, groups = find_coordinates(law, sampled, fixed, extra, inputs), None
    if by in (*law.inputs, *law.priors):
        raise InputError(
            f"by={by!r} names an input or a coefficient of law {law.name!r}; copy the column under "
            f"another name: runs.assign(group=runs[{by!r}])"
        )
    if by is not None:
        groups, coordinates = find_groups(coordinates, runs, by, vary, pool)
    elif vary:
        raise InputError(f"vary={tuple(vary)} needs by=, the column that names the groups")
    return Problem(
        law=law,
        noise=model,
        coordinates=coordinates,
        priors=sampled,
        fixed=fixed,
        inputs=inputs,
        loss=columns["loss"],
        reference=reference,
        labels=tuple(runs.index),
        weights=weight,
        error=_error(runs, columns["loss"], error),
        groups=groups,
        field=field,
    )


def _check_rows(law: Law, count: int, free: list[str]) -> None:
    """Refuse fewer rows than coefficients of which nothing is known, and say what would do."""
    if count >= len(free):
        return
    ways = [
        here(python="hold some (priors={'E': 1.6})", prompt="hold some (--fixed E=1.6)"),
        here(
            python="say what is known of some (priors={'E': bs.lognormal(1.6, 0.06)})",
            prompt="say what is known of some (--prior E=1.6±0.1)",
        ),
    ]
    if law.published:
        first = next(
            (n for n in ("besiroglu2024",) if n in law.published), next(iter(law.published))
        )
        ways.append(
            here(
                python=f"start from published ones (priors=bs.published_priors({law.name}, "
                f"{first!r}, runs))",
                prompt=f"start from published ones (--prior-from {first})",
            )
        )
    if law.name != "envelope" and count >= 3 and {"N", "D"} <= set(law.inputs):
        ways.append(
            "fit the loss by compute alone "
            + here(python="(the law envelope)", prompt="(--law envelope)")
            + ", if each is the best of its budget"
        )
    raise InputError(
        f"{count} rows cannot inform the {len(free)} coefficients of law {law.name!r} "
        f"({', '.join(free)}); add runs, or {listed(ways, last='or')}",
        code="too-few-runs",
    )


def _weights(runs: pd.DataFrame, column: str | None) -> np.ndarray:
    """Weight of each run: one, or a column's."""
    if column is None:
        return np.ones(len(runs))
    if not isinstance(column, str):
        raise InputError(
            f"weights={column!r} is not the name of a column; weights are a column of the runs, "
            "such as how many runs a row stands for"
        )
    values = _column(runs, column, "weights")
    if (values < 0).any() or not values.any():
        raise InputError(f"weights={column!r}: weights are at least zero and not all zero")
    return values


def _error(runs: pd.DataFrame, loss: np.ndarray, column: str | None) -> np.ndarray | None:
    """Known standard error of the log loss."""
    if column is None:
        return None
    values = _column(runs, column, "error")
    if (values < 0).any():
        row = runs.index[values < 0][0]
        raise InputError(f"column {column!r}, row {row}: a standard error is at least zero, nats")
    return values / loss


def _column(runs: pd.DataFrame, name: str, what: str) -> np.ndarray:
    if name not in runs.columns:
        raise InputError(f"{what}={name!r} is not a column of the runs: {list(runs.columns)}")
    return read_columns(runs, (name,))[name]


def _resolve_priors(
    law: Law, extra: Mapping[str, Prior], given: Mapping[str, Prior | float]
) -> tuple[dict[str, Prior], dict[str, float], dict[str, Prior]]:
    """Priors of the coefficients, values of the fixed ones, and priors of everything else."""
    unknown = set(given) - set(law.priors) - set(extra)
    if unknown:
        raise InputError(
            f"priors names {sorted(unknown)}, which law {law.name!r} does not have; its "
            f"coefficients are {list(law.priors)}, and beside them there are {list(extra)}"
        )
    sampled: dict[str, Prior] = {}
    fixed: dict[str, float] = {}
    for name, prior in law.priors.items():
        chosen = given.get(name, prior)
        if isinstance(chosen, Prior):
            # The role is the law's: it says what the coefficient does, not how it is distributed.
            sampled[name] = replace(chosen, role=prior.role)
        else:
            fixed[name] = _number(f"priors[{name!r}]", chosen)
            if prior.positive and fixed[name] < 0:
                raise InputError(
                    f"priors[{name!r}]={fixed[name]:g}: the coefficient is positive in law "
                    f"{law.name!r}; fix it at zero or above"
                )
    if not sampled:
        raise InputError("every coefficient is fixed: nothing is left to fit")
    others = {}
    for name, prior in extra.items():
        chosen = given.get(name, prior)
        if not (isinstance(chosen, Prior) and chosen.positive == prior.positive):
            what = "positive number, such as bs.lognormal(0.01, 1.0)"
            what = what if prior.positive else "number of either sign, such as bs.normal(0, 0.3)"
            raise InputError(f"priors[{name!r}] must be a prior of a {what}, not {chosen}")
        others[name] = chosen
    return sampled, fixed, others


def _number(what: str, value: Any) -> float:
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return float(value)
    other = "a column"
    if what.startswith("priors"):
        other = "a prior, such as bs.lognormal(0.3, 0.5)"
    raise InputError(f"{what} is {other}, or a number (finite), not {value!r}")
