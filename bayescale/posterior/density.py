"""The posterior of a law given runs: one statement of it for numbers and for symbols.

The loss of a run is modelled on the log scale: ``log loss = log law(inputs) + noise``. Counts are
divided by their geometric mean over the runs, their *reference*.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from bayescale.language.law import Law
from bayescale.language.maths import log
from bayescale.language.priors import Prior
from bayescale.posterior.coordinates import Coordinates
from bayescale.posterior.discrepancy import bent
from bayescale.posterior.field import Centre, Field
from bayescale.posterior.groups import Groups
from bayescale.posterior.noise import Noise, features, features_centre, run_scale

__all__ = ["Problem", "log_posterior", "undeparted"]


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
    field
        The law's discrepancy, where that is modelled.
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
    field: Field | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every coordinate."""
        return self.coordinates.names + (self.groups.names if self.groups else ()) + self.normals

    @property
    def normals(self) -> tuple[str, ...]:
        """Components of the discrepancy: standard normal under the prior."""
        return self.field.names if self.field else ()

    @property
    def plain(self) -> Problem:
        """The same law without discrepancy."""
        if not self.field:
            return self
        kept = {n: p for n, p in self.coordinates.priors.items() if n not in self.field.priors}
        return replace(self, coordinates=replace(self.coordinates, priors=kept), field=None)

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
        for part in (self.groups, self.field):
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
        Log prior density (with the Jacobian), log-likelihood by run, coefficients by name and the
        components of the discrepancy.
    """
    c, log_prior = problem.coordinates.to_coefficients(u, data["loss_scale"])
    centre = _centre(problem, c, data)
    if centre and problem.coordinates.scales:
        assert problem.field is not None
        c, log_jacobian = problem.coordinates.scaled(c, -problem.field.lift(centre, data))
        log_prior = log_prior + log_jacobian
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
    if problem.field:
        z, log_jacobian = {name: u[name] for name in problem.normals}, 0.0
        if centre:
            z, log_jacobian = problem.field.standard(u, c, centre, data)
        value = bent(problem.law, inputs, coefficients, problem.field.value(z, c, data))
        log_prior = log_prior + log_jacobian
        for name in problem.normals:
            log_prior = log_prior - 0.5 * z[name] ** 2
        c |= z
    scale = run_scale(problem.noise, c, data)
    return log_prior, problem.noise.log_density(data["log_loss"] - log(value), scale, c), c


def _centre(problem: Problem, c: Mapping[str, Any], data: Mapping[str, Any]) -> Centre | None:
    """The law at the centre of the runs, where a field's coordinates are stated by it."""
    if not problem.field or problem.groups:
        return None
    coefficients = {n: c[n] for n in problem.priors} | dict(problem.fixed)
    return problem.field.centre(problem.law, coefficients, data)


def undeparted(problem: Problem, u: Mapping[str, Any]) -> dict[str, Any]:
    """Coordinates of a law without discrepancy, from those of the law and the spreads alone."""
    assert problem.field is not None
    c, _ = problem.coordinates.to_coefficients(u, problem.loss_scale)
    found = {**u, **dict.fromkeys(problem.normals, 0.0)}
    if centre := _centre(problem, c, problem.data):
        found |= problem.field.start(centre, problem.data)
        if problem.coordinates.scales:
            c, _ = problem.coordinates.scaled(c, problem.field.lift(centre, problem.data))
            found |= problem.coordinates.from_coefficients(c, problem.loss_scale)
    return found
