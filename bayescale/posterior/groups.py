"""Coefficients that differ between groups of runs: by corpus, architecture, router or tokenizer.

With partial pooling each group's coefficient is drawn about a centre that the groups share, with a
spread that is learned: positive coefficients on the log scale, signed ones on their own. Without
pooling each group has the coefficient's prior to itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.language.law import RESERVED_PREFIXES
from bayescale.language.maths import log
from bayescale.language.priors import Prior, lognormal
from bayescale.posterior.coordinates import Coordinates

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Groups", "find_groups"]

#: Of the spread between groups, in logs (in units of the prior's spread for signed coefficients).
#: It keeps away from zero, where a spread that a few groups cannot rule out stalls the sampler.
SPREAD = lognormal(0.15, 0.6)


@dataclass(frozen=True)
class Groups:
    """Which coefficients vary, over which groups, and how.

    Attributes
    ----------
    by
        The column that names each run's group.
    levels
        The groups.
    vary
        The coefficients that vary.
    pooled
        Whether groups share a centre and a spread.
    coordinates
        Coordinates of one group's coefficients.
    member
        Index of each run's group.
    """

    by: str
    levels: tuple[str, ...]
    vary: tuple[str, ...]
    pooled: bool
    coordinates: Coordinates
    member: np.ndarray

    @property
    def names(self) -> tuple[str, ...]:
        """Name of every group's coordinates."""
        return tuple(f"{n}_{i}" for i in range(len(self.levels)) for n in self.coordinates.names)

    @property
    def members(self) -> dict[str, np.ndarray]:
        """For each group, one for its runs and zero for the rest."""
        return {f"group_{i}": (self.member == i) * 1.0 for i in range(len(self.levels))}

    def coefficients(
        self, u: Mapping[str, Any], shared: Mapping[str, Any], data: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any], Any]:
        """Coefficients by group, by run, and the log prior density of their coordinates."""
        by_group: dict[str, Any] = {}
        by_run: dict[str, Any] = {}
        log_prior: Any = 0.0
        scale = data["loss_scale"]
        for i in range(len(self.levels)):
            own = {name: u[f"{name}_{i}"] for name in self.coordinates.names}
            c, log_jacobian = self.coordinates.to_coefficients(own, scale, shared)
            log_prior = log_prior + log_jacobian
            for name, prior in self.coordinates.priors.items():
                log_prior = log_prior + self._log_density(name, prior, c[name], shared, scale)
                by_group[f"{name}_{i}"] = c[name]
                here = c[name] * data[f"group_{i}"]
                by_run[name] = by_run[name] + here if name in by_run else here
        return by_group, by_run, log_prior

    def _log_density(
        self, name: str, prior: Prior, x: Any, shared: Mapping[str, Any], scale: Any
    ) -> Any:
        if not self.pooled:
            return prior.log_density(x, scale)
        centre, spread = shared[f"{name}_centre"], shared[f"{name}_spread"]
        constant = -0.5 * math.log(2 * math.pi)
        if prior.positive:
            return constant - 0.5 * (log(x / centre) / spread) ** 2 - log(spread) - log(x)
        sd = spread * prior.b * (scale if prior.share else 1.0)
        return constant - 0.5 * ((x - centre) / sd) ** 2 - log(sd)

    def at(self, c: Mapping[str, Any], scale: Any) -> dict[str, Any]:
        """Coordinates at which every group has the coefficients ``c``."""
        own = self.coordinates.from_coefficients(c, scale, c)
        return {f"{n}_{i}": own[n] for i in range(len(self.levels)) for n in own}

    def sample(
        self, rng: np.random.Generator, shared: Mapping[str, np.ndarray], scale: float
    ) -> dict[str, np.ndarray]:
        """Draws from the prior, by group, given those of what groups share."""
        found = {}
        shape = next(iter(shared.values())).shape
        for i in range(len(self.levels)):
            for name, prior in self.coordinates.priors.items():
                if not self.pooled:
                    found[f"{name}_{i}"] = prior.sample(rng, shape, scale)
                    continue
                centre, spread = shared[f"{name}_centre"], shared[f"{name}_spread"]
                z = spread * rng.standard_normal(shape)
                unit = prior.b * (scale if prior.share else 1.0)
                found[f"{name}_{i}"] = centre * np.exp(z) if prior.positive else centre + unit * z
        return found

    def random_variables(self, shared: Mapping[str, Any], scale: Any) -> dict[str, Any]:
        """The varying coefficients as PyMC variables over the dimension ``by``."""
        import pymc as pm

        found = {}
        for name, prior in self.coordinates.priors.items():
            if not self.pooled:
                found[name] = prior.random_variable(name, scale, dims=self.by)
                continue
            centre, spread = shared[f"{name}_centre"], shared[f"{name}_spread"]
            if prior.positive:
                found[name] = pm.LogNormal(name, mu=log(centre), sigma=spread, dims=self.by)
            else:
                sd = spread * prior.b * (scale if prior.share else 1.0)
                found[name] = pm.Normal(name, mu=centre, sigma=sd, dims=self.by)
        return found


def find_groups(
    coordinates: Coordinates, runs: pd.DataFrame, by: str, vary: Sequence[str], pool: str
) -> tuple[Groups, Coordinates]:
    """Split a law's coordinates into those of the groups and those that are shared.

    Raises
    ------
    InputError
        If the column, the coefficients or the kind of pooling make no sense.
    """
    vary = tuple(vary)
    if by in ("chain", "draw", "run", "discrepancy_component", "node"):
        raise InputError(
            f"by={by!r} would name the groups as a fit names its own dimension; rename the column: "
            f"runs.rename(columns={{{by!r}: '{by}_name'}})"
        )
    if "/" in str(by):
        raise InputError(
            f"by={by!r} holds a slash, which would make a folder of the file; rename the column: "
            f"runs.rename(columns={{{by!r}: {str(by).replace('/', '_')!r}}})"
        )
    if by not in runs.columns:
        raise InputError(f"by={by!r} is not a column of the runs; they have {list(runs.columns)}")
    if runs[by].isna().any():
        row = runs.index[runs[by].isna()][0]
        raise InputError(f"column {by!r}, row {row}: no group is named; fill it in or drop the row")
    able = [n for n in coordinates.names if not n.startswith(RESERVED_PREFIXES)]
    wrong = [name for name in vary if name not in able]
    if wrong or not vary:
        raise InputError(
            f"vary={vary} must name coefficients that are sampled: some of {', '.join(able)}"
        )
    levels, member = np.unique(runs[by].astype(str).to_numpy(str), return_inverse=True)
    if len(levels) < 2:
        raise InputError(f"column {by!r} has one group only ({str(levels[0])!r}); leave by= out")

    priors = coordinates.priors
    varied = Coordinates(
        priors={name: priors[name] for name in vary},
        amplitudes=tuple(a for a in coordinates.amplitudes if a in vary),
        moved={name: terms for name, terms in coordinates.moved.items() if name in vary},
    )
    hyper: dict[str, Prior] = {}
    if pool == "partial":
        for name in vary:
            hyper[f"{name}_centre"] = replace(priors[name], role="plain")
            hyper[f"{name}_spread"] = SPREAD
    kept = {name: prior for name, prior in priors.items() if name not in vary}
    shared = Coordinates(
        priors=kept | hyper,
        amplitudes=tuple(a for a in coordinates.amplitudes if a not in vary),
        # A shared exponent's slope is taken over the terms that are shared too.
        moved={
            name: tuple(term for term in terms if term not in vary)
            for name, terms in coordinates.moved.items()
            if name not in vary
        },
    )
    made = Groups(by, tuple(map(str, levels)), vary, pool == "partial", varied, member)
    return made, shared
