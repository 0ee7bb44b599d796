"""The posterior of a law given runs: one statement of it for numbers and for symbols.

The loss of a run is modelled on the log scale: ``log loss = log law(inputs) + noise``. Counts are
divided by their geometric mean over the runs, their *reference*.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.common.wording import here, listed
from bayescale.language.columns import read_columns
from bayescale.language.compute import training_compute
from bayescale.language.law import Law
from bayescale.language.maths import log
from bayescale.language.priors import Prior, as_prior
from bayescale.language.variables import variable
from bayescale.posterior.coordinates import Coordinates, find_coordinates
from bayescale.posterior.discrepancy import Walk, bent, find_walk
from bayescale.posterior.effects import Effects, find_effects
from bayescale.posterior.groups import Groups, find_groups
from bayescale.posterior.noise import Noise, features, features_centre, noise_model, run_scale

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Problem", "departures", "log_posterior", "problem", "references"]


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
    walk, effects
        The law's discrepancy, and which runs err together, where these are modelled.
    weights
        Weight of each run's log-likelihood.
    error
        Known standard error of each run's log loss, if any is known.
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
    weights: np.ndarray
    error: np.ndarray | None = None
    groups: Groups | None = None
    walk: Walk | None = None
    effects: Effects | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every coordinate."""
        return self.coordinates.names + (self.groups.names if self.groups else ()) + self.normals

    @property
    def normals(self) -> tuple[str, ...]:
        """Coordinates that are standard normal under the prior: of discrepancy and effects."""
        return (self.walk.names if self.walk else ()) + (self.effects.names if self.effects else ())

    @property
    def plain(self) -> Problem:
        """The same law without discrepancy and effects."""
        if not self.normals:
            return self
        spreads = {n for part in (self.walk, self.effects) if part for n in part.priors}
        kept = {n: p for n, p in self.coordinates.priors.items() if n not in spreads}
        coordinates = replace(self.coordinates, priors=kept)
        return replace(self, coordinates=coordinates, walk=None, effects=None)

    @property
    def scaled_inputs(self) -> dict[str, np.ndarray]:
        """Inputs over their reference."""
        return {name: x / self.reference[name] for name, x in self.inputs.items()}

    @property
    def loss_scale(self) -> float:
        """Geometric mean of the losses: the unit of floors' and amplitudes' priors."""
        return float(np.exp(np.mean(np.log(self.loss))))

    @cached_property
    def data(self) -> dict[str, Any]:
        """What the density needs of the runs, by name: scaled inputs, log loss and the like."""
        found = self.scaled_inputs
        for part in (self.groups, self.walk, self.effects):
            found |= part.members if part else {}
        if self.noise.scaled:
            found |= features(self.law, self.inputs, features_centre(self.law, self.inputs))
        if self.error is not None:
            found["error"] = self.error
        return {
            **found,
            "weights": self.weights,
            "log_loss": np.log(self.loss),
            "loss_scale": np.float64(self.loss_scale),
        }

    def log_density(self, u: np.ndarray) -> np.ndarray:
        """Log posterior density, up to a constant, of each row of coordinates ``u`` (k, d)."""
        columns = {name: u[:, [i]] for i, name in enumerate(self.names)}
        with np.errstate(all="ignore"):
            prior, rows, _ = log_posterior(self, columns, self.data)
            value = np.broadcast_to(prior, (len(u), 1))[:, 0] + (rows * self.weights).sum(axis=-1)
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
    value = problem.law(**inputs, **coefficients)
    if problem.normals:
        value = bent(problem.law, inputs, coefficients, departures(problem, u, c, data))
        for name in problem.normals:
            log_prior = log_prior - 0.5 * u[name] ** 2
    scale = run_scale(problem.noise, c, data)
    return log_prior, problem.noise.log_density(data["log_loss"] - log(value), scale, c), c


def departures(
    problem: Problem, u: Mapping[str, Any], c: Mapping[str, Any], data: Mapping[str, Any]
) -> Any:
    """By how much each run's log loss above the floor departs from the law."""
    total: Any = 0.0
    if problem.walk:
        total = total + problem.walk.value(u, c, data)
    if problem.effects:
        total = total + problem.effects.value(u, c, data)
    return total


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
    effects: str | None = None,
    weights: str | float | None = None,
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
    noise, discrepancy, effects, weights, error
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
    weight = _weights(law, runs, inputs, weights)
    reference = references(law, inputs)
    scaled = {name: x / reference[name] for name, x in inputs.items()}
    walk = find_walk(law, scaled, weight) if discrepancy else None
    shared = find_effects(law, runs, inputs, effects) if effects else None
    given = {name: as_prior(prior) for name, prior in (priors or {}).items()}
    extra = dict(model.priors)
    for part in (walk, shared):
        extra |= part.priors if part else {}
    sampled, fixed, extra = _resolve_priors(law, extra, given)
    _check_rows(law, len(runs), [name for name in sampled if name not in given])
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
        walk=walk,
        effects=shared,
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


def _weights(
    law: Law, runs: pd.DataFrame, inputs: Mapping[str, np.ndarray], given: str | float | None
) -> np.ndarray:
    """Weight of each run: one, falling with the decades below the largest run, or a column."""
    if given is None:
        return np.ones(len(runs))
    if isinstance(given, str):
        values = _column(runs, given, "weights")
        if (values < 0).any() or not values.any():
            raise InputError(f"weights={given!r}: weights are at least zero and not all zero")
        return values
    falling = _number("weights", given)
    if falling <= 0:
        raise InputError(
            f"weights={given!r} is a column, or a number of decades above zero over which the "
            "weight falls by e"
        )
    decades = np.log10(training_compute(law, inputs))
    return np.exp((decades - decades.max()) / falling)


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
            sampled[name] = Prior(chosen.distribution, chosen.a, chosen.b, prior.role, chosen.share)
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
