"""The priors that a fit was made with, and where its draws lie in them.

A draw's *normal score* is the place it would have were its prior a standard normal: the logarithm
of a lognormal coefficient, standardised; a normal coefficient, standardised; for any other prior
what its distribution function says. On this scale priors are alike, so posteriors can be compared
with them by one rule.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bayescale.common.errors import InputError
from bayescale.common.wording import here
from bayescale.fitting.averaging import Average
from bayescale.fitting.diagnostics import diagnose
from bayescale.fitting.fits import Fit
from bayescale.fitting.refits import options_of, table_of
from bayescale.language.priors import Prior
from bayescale.posterior.density import Problem
from bayescale.posterior.problem import problem

__all__ = ["Marginal", "doubts", "log_priors", "marginals", "problem_of"]

#: Points at which the spread of groups about their centre is taken.
_NODES = 400
_MOST = 37.0  # the largest normal score whose probability is not zero in floating point


def problem_of(fit: Fit) -> Problem:
    """What was sampled: the law with the priors, noise and runs that a fit was made with.

    Raises
    ------
    InputError
        If the draws are not of a whole fit, or the law's priors are no longer those.
    """
    if isinstance(fit, Average):
        raise InputError(
            "an average of fits has no prior of its own; ask of each of its fits, such as "
            f"{next(iter(fit.fits))!r}"
        )
    about = fit.about
    if about.get("group"):
        raise InputError(
            "this is one group of a fit, and what the runs say of it comes from the other groups "
            "too; ask of the fit that it was taken from"
        )
    if "log_likelihood" not in fit.tree:
        what = "draws of the prior" if about.get("method") == "prior" else "published coefficients"
        raise InputError(f"these are {what}, with no posterior to hold against a prior; use bs.fit")
    options = options_of(fit)
    taken = [name for name in inspect.signature(problem).parameters if name in options]
    task = problem(fit.law, table_of(fit), **{name: options[name] for name in taken})
    for name, prior in task.coordinates.priors.items():
        if str(prior) != about["priors"].get(name):
            raise InputError(
                f"the fit was made with the prior {about['priors'].get(name)} of {name}, which is "
                f"now {prior} in law {fit.law.name!r}; fit the runs again"
            )
    return task


def doubts(fit: Fit) -> str:
    """What is to be added to a reading of draws that are not to be trusted."""
    if diagnose(fit).attrs["ok"]:
        return ""
    way = here(python="bs.diagnose", prompt="bayescale check")
    return f" The fit failed its diagnostics ({way}), and all this rests on it."


def log_priors(task: Problem, fit: Fit) -> dict[str, np.ndarray]:
    """Log density of the draws under each prior, over chain and draw.

    Of a positive coefficient it is the density of the logarithm. What is drawn given others (a
    group's coefficient about its centre, the slopes of a discrepancy) belongs to the model, and is
    left out.
    """
    draws, scale = fit.posterior, task.loss_scale
    found = {}
    sampled = dict(task.coordinates.priors)
    if task.groups and not task.groups.pooled:
        sampled |= task.groups.coordinates.priors
    for name, prior in sampled.items():
        x = draws[name].transpose("chain", "draw", ...).values
        density = prior.log_density(x, scale) + (np.log(x) if prior.positive else 0.0)
        # Groups without pooling share the prior: raised to a power it is so for each.
        found[name] = density.reshape(*density.shape[:2], -1).sum(axis=-1)
    return found


@dataclass(frozen=True)
class Marginal:
    """The draws of one coefficient and its prior.

    Attributes
    ----------
    prior
        The prior; of a group's coefficient, that of the groups' centre.
    draws
        In reference units, over chain and draw.
    loss_scale
        Unit of a prior that is a share of the reference loss.
    spread
        Prior of the spread of groups about their centre, for a group's coefficient.
    """

    prior: Prior
    draws: np.ndarray
    loss_scale: float
    spread: Prior | None = None

    def score(self, x: np.ndarray) -> np.ndarray:
        """Normal scores of values."""
        from scipy.special import ndtr, ndtri

        x = np.asarray(x, dtype=float)
        if self.spread is None:
            return _score(self.prior, x, self.loss_scale)
        centre, width = self._nodes()
        z = (self._line(x)[..., None] - centre) / width
        below, above = ndtr(z).mean(axis=-1), ndtr(-z).mean(axis=-1)
        # Each tail from its own side, where its probability is a small number and not one.
        with np.errstate(divide="ignore"):
            score = np.where(below < above, ndtri(below), -ndtri(above))
        return np.clip(score, -_MOST, _MOST)

    def at(self, z: np.ndarray) -> np.ndarray:
        """Values with given normal scores: the inverse of :meth:`score`."""
        if self.spread is None:
            return _at(self.prior, np.asarray(z, dtype=float), self.loss_scale)
        centre, width = self._nodes()
        line = np.linspace((centre - 6 * width).min(), (centre + 6 * width).max(), 2001)
        values = np.exp(line) if self.prior.positive else line
        found = np.interp(z, self.score(values), line)
        return np.exp(found) if self.prior.positive else found

    def _line(self, x: np.ndarray) -> np.ndarray:
        return np.log(x) if self.prior.positive else x

    def _nodes(self) -> tuple[np.ndarray, np.ndarray]:
        """Normal distributions as likely as one another, of which the prior is the mixture."""
        from scipy.special import ndtri

        assert self.spread is not None
        z = ndtri((np.arange(_NODES) + 0.5) / _NODES)
        share = self.loss_scale if self.prior.share else 1.0
        unit = 1.0 if self.prior.positive else self.prior.b * share
        spread = unit * _at(self.spread, z, 1.0)
        # Centres that are not normal are paired with spreads at random.
        if self.prior.distribution == "gamma" or self.prior.dof is not None:
            centre = self._line(_at(self.prior, z, self.loss_scale))
            return centre, np.random.default_rng(0).permutation(spread)
        middle, one = self._line(_at(self.prior, np.array([0.0, 1.0]), self.loss_scale))
        return np.full(_NODES, middle), np.hypot(one - middle, spread)


def marginals(task: Problem, fit: Fit) -> dict[str, Marginal]:
    """Every coefficient and parameter that has a prior; groups' by level, as ``E[c4]``."""
    draws, scale, groups = fit.posterior, task.loss_scale, task.groups
    priors: Mapping[str, Prior] = task.coordinates.priors
    found = {}
    for name in map(str, draws.data_vars):
        if groups and name in groups.vary:
            spread = priors[f"{name}_spread"] if groups.pooled else None
            for level in groups.levels:
                one = draws[name].sel({groups.by: level}).transpose("chain", "draw").values
                prior = groups.coordinates.priors[name]
                found[f"{name}[{level}]"] = Marginal(prior, one, scale, spread)
        elif name in priors:
            one = draws[name].transpose("chain", "draw").values
            found[name] = Marginal(priors[name], one, scale)
    return found


def _score(prior: Prior, x: np.ndarray, loss_scale: float) -> np.ndarray:
    from scipy.special import gammainc, gammaincc, ndtri, stdtr

    x = x / (loss_scale if prior.share else 1.0)
    if prior.distribution == "lognormal":
        z = (np.log(x) - np.log(prior.a)) / prior.b
        if prior.dof is None:
            return z
        return np.asarray(-np.sign(z) * ndtri(stdtr(prior.dof, -np.abs(z))))
    if prior.distribution == "normal":
        return (x - prior.a) / prior.b
    below, above = gammainc(prior.a, prior.b * x), gammaincc(prior.a, prior.b * x)
    if prior.above:
        kept = gammaincc(prior.a, prior.b * prior.above)
        below, above = (np.clip(p / kept, 0, 1) for p in (below - (1 - kept), above))
    with np.errstate(divide="ignore"):
        score = np.where(below < above, ndtri(below), -ndtri(above))
    return np.clip(score, -_MOST, _MOST)


def _at(prior: Prior, z: np.ndarray, loss_scale: float) -> np.ndarray:
    from scipy.special import gammaincc, gammainccinv, gammaincinv, ndtr, stdtrit

    if prior.distribution == "lognormal":
        heavy = prior.dof is not None
        t = -np.sign(z) * stdtrit(prior.dof, ndtr(-np.abs(z))) if heavy else z
        x = prior.a * np.exp(prior.b * t)
    elif prior.distribution == "normal":
        x = prior.a + prior.b * z
    else:
        kept = gammaincc(prior.a, prior.b * prior.above)
        low = gammaincinv(prior.a, 1 - kept + kept * ndtr(z))
        high = gammainccinv(prior.a, kept * ndtr(-z))
        x = np.where(z < 0, low, high) / prior.b
    return np.asarray(x * (loss_scale if prior.share else 1.0))
