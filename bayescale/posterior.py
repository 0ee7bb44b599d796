"""The posterior of a law given runs: one statement of it for numbers and for symbols.

The loss of a run is modelled on the log scale: ``log loss = log law(inputs) + noise``. Counts are
divided by their geometric mean over the runs, their *reference*.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.coordinates import Coordinates, find_coordinates
from bayescale.errors import InputError
from bayescale.groups import Groups, find_groups
from bayescale.law import Law
from bayescale.maths import log
from bayescale.noise import Noise, noise_model
from bayescale.priors import Prior
from bayescale.variables import read_columns, variable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Problem", "log_posterior", "problem", "references"]


@dataclass(frozen=True)
class Problem:
    """A law, its priors and the runs it is fitted to.

    Attributes
    ----------
    law, noise, coordinates
        What is fitted, how runs scatter, and the coordinates it is sampled in.
    priors
        Prior by sampled coefficient of the law.
    fixed
        Value by coefficient held fixed, in reference units.
    inputs
        Inputs as the user gave them, float64, one value a run.
    loss
        Loss of each run, nats.
    reference
        What each input is divided by: its geometric mean for counts, one for the rest.
    labels
        The runs' labels.
    groups
        Coefficients that vary between groups of runs, if any do.
    """

    law: Law
    noise: Noise
    coordinates: Coordinates
    priors: Mapping[str, Prior]
    fixed: Mapping[str, float]
    inputs: Mapping[str, np.ndarray]
    loss: np.ndarray
    reference: Mapping[str, float]
    labels: tuple[Any, ...]
    groups: Groups | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every coordinate."""
        return self.coordinates.names + (self.groups.names if self.groups else ())

    @property
    def loss_scale(self) -> float:
        """Geometric mean of the losses: the unit of floors' and amplitudes' priors."""
        return float(np.exp(np.mean(np.log(self.loss))))

    @property
    def data(self) -> dict[str, Any]:
        """What the density needs of the runs, by name: scaled inputs, log loss, loss scale."""
        scaled = {name: x / self.reference[name] for name, x in self.inputs.items()}
        members = self.groups.members if self.groups else {}
        return {
            **scaled,
            **members,
            "log_loss": np.log(self.loss),
            "loss_scale": np.float64(self.loss_scale),
        }

    def log_density(self, u: np.ndarray) -> np.ndarray:
        """Log posterior density, up to a constant, of each row of coordinates ``u`` (k, d)."""
        columns = {name: u[:, [i]] for i, name in enumerate(self.names)}
        with np.errstate(all="ignore"):
            prior, rows, _ = log_posterior(self, columns, self.data)
            value = np.broadcast_to(prior, (len(u), 1))[:, 0] + rows.sum(axis=-1)
        return np.where(np.isfinite(value), value, -np.inf)


def log_posterior(
    problem: Problem, u: Mapping[str, Any], data: Mapping[str, Any]
) -> tuple[Any, Any, dict[str, Any]]:
    """Log prior in the coordinates, log-likelihood of every run, and the coefficients.

    Parameters
    ----------
    problem
        Supplies the law, the priors and the noise; the runs come from ``data``.
    u
        Coordinates by name: numbers, arrays that broadcast against the runs, or symbols.
    data
        As :attr:`Problem.data`: arrays or symbols.

    Returns
    -------
    tuple
        Log prior density (with the Jacobian), log-likelihood by run, coefficients by name.
    """
    c, log_prior = problem.coordinates.to_coefficients(u, data["loss_scale"])
    for name, prior in problem.coordinates.priors.items():
        log_prior = log_prior + prior.log_density(c[name], data["loss_scale"])
    by_run: dict[str, Any] = {}
    if problem.groups:
        varied, by_run, log_group = problem.groups.coefficients(u, c, data)
        c, log_prior = c | varied, log_prior + log_group
    inputs = {name: data[name] for name in problem.law.inputs}
    coefficients = {n: by_run[n] if n in by_run else c[n] for n in problem.priors}
    coefficients |= problem.fixed
    residual = data["log_loss"] - log(problem.law(**inputs, **coefficients))
    return log_prior, problem.noise.log_density(residual, c), c


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
) -> Problem:
    """Check the runs and set up the posterior.

    Parameters
    ----------
    law
        The law to fit.
    runs
        One row a training run: a column for each of the law's inputs (or columns it can be
        derived from) and ``loss``, in nats.
    noise
        ``"student_t"`` or ``"normal"``.
    priors
        Replaces priors by coefficient or noise parameter; a number fixes the coefficient at
        that value, in reference units.
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
    sampled, fixed, noise_priors = _resolve_priors(law, model, priors or {})
    if len(runs) < len(sampled):
        raise InputError(
            f"{len(runs)} rows cannot inform the {len(sampled)} coefficients of law "
            f"{law.name!r} ({', '.join(sampled)}); add runs, fix coefficients through "
            "priors={'name': value}, or choose a law with fewer"
        )
    inputs = {name: columns[name] for name in law.inputs}
    if pool not in ("partial", "none"):
        raise InputError(f"pool={pool!r} is not known; choose 'partial' or 'none'")
    coordinates, groups = find_coordinates(law, sampled, fixed, noise_priors), None
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
        reference=references(law, inputs),
        labels=tuple(runs.index),
        groups=groups,
    )


def _resolve_priors(
    law: Law, noise: Noise, given: Mapping[str, Prior | float]
) -> tuple[dict[str, Prior], dict[str, float], dict[str, Prior]]:
    unknown = set(given) - set(law.priors) - set(noise.priors)
    if unknown:
        raise InputError(
            f"priors names {sorted(unknown)}, which law {law.name!r} does not have; its "
            f"coefficients are {list(law.priors)} and the noise's are {list(noise.priors)}"
        )
    sampled: dict[str, Prior] = {}
    fixed: dict[str, float] = {}
    for name, prior in law.priors.items():
        chosen = given.get(name, prior)
        if isinstance(chosen, Prior):
            # The role is the law's: it says what the coefficient does, not how it is distributed.
            sampled[name] = Prior(chosen.distribution, chosen.a, chosen.b, prior.role, chosen.share)
        else:
            fixed[name] = _number(name, chosen)
            if prior.positive and fixed[name] < 0:
                raise InputError(
                    f"priors[{name!r}]={fixed[name]:g}: the coefficient is positive in law "
                    f"{law.name!r}; fix it at zero or above"
                )
    if not sampled:
        raise InputError("every coefficient is fixed: nothing is left to fit")
    noise_priors = {}
    for name, prior in noise.priors.items():
        chosen = given.get(name, prior)
        if not (isinstance(chosen, Prior) and chosen.positive):
            raise InputError(
                f"priors[{name!r}] must be a prior of a positive number, such as "
                f"bs.lognormal(0.01, 1.0), not {chosen}"
            )
        noise_priors[name] = chosen
    return sampled, fixed, noise_priors


def _number(name: str, value: Any) -> float:
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return float(value)
    raise InputError(
        f"priors[{name!r}] is a prior, such as bs.lognormal(0.3, 0.5), or a number that fixes the "
        f"coefficient, not {value!r}"
    )
