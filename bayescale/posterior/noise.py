"""How a run's loss scatters about its law, on the log scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.language.compute import tokens_per_parameter, training_compute
from bayescale.language.law import Law
from bayescale.language.maths import exp, log, log1p, sqrt, where
from bayescale.language.priors import Prior, gamma_prior, lognormal, normal

__all__ = ["NOISES", "Noise", "features", "features_centre", "noise_model", "run_scale"]


@dataclass(frozen=True)
class Noise:
    """A distribution of ``log(loss) - log(law)``.

    Attributes
    ----------
    name
        ``"student_t"``, ``"normal"``, ``"scaled"`` or ``"skewed"``.
    priors
        Prior by parameter; the names start with ``noise_``.
    log_density
        Of a residual, given the scale and the parameters: numbers, arrays or symbols.
    cdf
        Probability of a smaller residual, given the scale and the parameters: arrays.
    information
        What one run says of its location: Fisher information, given the scale and the parameters.
    draw
        Residuals of a given shape from the scale and the parameters.
    random_variable
        The log loss as a PyMC variable, from its name (None for one outside any model), location,
        scale and parameters.
    scaled
        Whether the scale depends on the run; see :func:`run_scale`.
    upper
        Probability of a larger residual, as ``cdf``; None where the distribution is symmetric.
    """

    name: str
    priors: Mapping[str, Prior]
    log_density: Callable[[Any, Any, Mapping[str, Any]], Any]
    cdf: Callable[[Any, Any, Mapping[str, Any]], np.ndarray]
    information: Callable[[Any, Mapping[str, Any]], Any]
    draw: Callable[[np.random.Generator, Any, Any, Mapping[str, Any]], np.ndarray]
    random_variable: Callable[..., Any]
    scaled: bool = False
    upper: Callable[[Any, Any, Mapping[str, Any]], np.ndarray] | None = None

    def survival(self, residual: Any, scale: Any, p: Mapping[str, Any]) -> np.ndarray:
        """Probability of a larger residual, exact where it is small."""
        return (self.upper or _mirrored(self.cdf))(residual, scale, p)


def _mirrored(
    cdf: Callable[[Any, Any, Mapping[str, Any]], np.ndarray],
) -> Callable[[Any, Any, Mapping[str, Any]], np.ndarray]:
    return lambda residual, scale, p: cdf(-residual, scale, p)


def _log_gamma(x: Any) -> Any:
    if type(x).__module__.startswith("pytensor"):
        import pytensor.tensor as pt

        return pt.gammaln(x)
    from scipy.special import gammaln

    return gammaln(x)


def _student_t_log_density(residual: Any, scale: Any, p: Mapping[str, Any]) -> Any:
    dof = p["noise_dof"]
    constant = _log_gamma((dof + 1) / 2) - _log_gamma(dof / 2) - 0.5 * log(math.pi * dof)
    return constant - log(scale) - (dof + 1) / 2 * log1p((residual / scale) ** 2 / dof)


def _student_t_cdf(residual: Any, scale: Any, p: Mapping[str, Any]) -> np.ndarray:
    from scipy.special import stdtr

    return np.asarray(stdtr(p["noise_dof"], residual / scale))


def _student_t_information(scale: Any, p: Mapping[str, Any]) -> Any:
    return (p["noise_dof"] + 1) / (p["noise_dof"] + 3) / scale**2


def _student_t_draw(
    rng: np.random.Generator, shape: Any, scale: Any, p: Mapping[str, Any]
) -> np.ndarray:
    return scale * rng.standard_t(np.broadcast_to(p["noise_dof"], shape))


def _student_t(name: str | None, mu: Any, scale: Any, p: Mapping[str, Any], **kwargs: Any) -> Any:
    import pymc as pm

    given = {"nu": p["noise_dof"], "mu": mu, "sigma": scale}
    return pm.StudentT(name, **given, **kwargs) if name else pm.StudentT.dist(**given)


def _normal_log_density(residual: Any, scale: Any, p: Mapping[str, Any]) -> Any:
    return -0.5 * (residual / scale) ** 2 - log(scale) - 0.5 * math.log(2 * math.pi)


def _normal_cdf(residual: Any, scale: Any, p: Mapping[str, Any]) -> np.ndarray:
    from scipy.special import ndtr

    return np.asarray(ndtr(residual / scale))


def _normal_information(scale: Any, p: Mapping[str, Any]) -> Any:
    return 1 / scale**2


def _normal_draw(
    rng: np.random.Generator, shape: Any, scale: Any, p: Mapping[str, Any]
) -> np.ndarray:
    return scale * rng.standard_normal(shape)


def _normal(name: str | None, mu: Any, scale: Any, p: Mapping[str, Any], **kwargs: Any) -> Any:
    import pymc as pm

    given = {"mu": mu, "sigma": scale}
    return pm.Normal(name, **given, **kwargs) if name else pm.Normal.dist(**given)


# Skewed noise: two halves of Student-t distributions that meet at the law (Fernandez and Steel
# 1998), that above the law wider by a factor. What lies above it is badly tuned.


def _skewed_scale(residual: Any, scale: Any, p: Mapping[str, Any]) -> Any:
    return scale * where(residual > 0.0, p["noise_above"], 1.0)


def _skewed_log_density(residual: Any, scale: Any, p: Mapping[str, Any]) -> Any:
    # Both halves are as high where they meet: that of the narrower, less what makes them one.
    height = math.log(2.0) - log(1.0 + p["noise_above"]) - log(scale)
    z = residual / _skewed_scale(residual, scale, p)
    return height + _student_t_log_density(z, 1.0, p)


def _skewed_cdf(residual: Any, scale: Any, p: Mapping[str, Any]) -> np.ndarray:
    share = 1.0 / (1.0 + p["noise_above"])
    half = _student_t_cdf(residual, _skewed_scale(residual, scale, p), p)
    upper = share + (1.0 - share) * (2.0 * half - 1.0)
    return np.asarray(np.where(residual > 0.0, upper, 2.0 * share * half))


def _skewed_upper(residual: Any, scale: Any, p: Mapping[str, Any]) -> np.ndarray:
    above = (1.0 - 1.0 / (1.0 + p["noise_above"])) * 2.0
    half = _student_t_cdf(-residual, _skewed_scale(residual, scale, p), p)
    return np.asarray(np.where(residual > 0.0, above * half, 1.0 - _skewed_cdf(residual, scale, p)))


def _skewed_information(scale: Any, p: Mapping[str, Any]) -> Any:
    return _student_t_information(scale, p) / p["noise_above"]


def _skewed_draw(
    rng: np.random.Generator, shape: Any, scale: Any, p: Mapping[str, Any]
) -> np.ndarray:
    size = np.abs(_student_t_draw(rng, shape, scale, p))
    above = np.broadcast_to(p["noise_above"], shape)
    return np.where(rng.random(shape) * (1.0 + above) < above, size * above, -size)


def _skewed(name: str | None, mu: Any, scale: Any, p: Mapping[str, Any], **kwargs: Any) -> Any:
    import pymc as pm

    def own(dof: Any, above: Any) -> dict[str, Any]:
        return {"noise_dof": dof, "noise_above": above}

    def logp(x: Any, mu: Any, scale: Any, *parameters: Any) -> Any:
        return _skewed_log_density(x - mu, scale, own(*parameters))

    def random(
        mu: Any, scale: Any, *parameters: Any, rng: Any = None, size: Any = None
    ) -> np.ndarray:
        shape = np.broadcast_shapes(*map(np.shape, (mu, scale))) if size is None else size
        return np.asarray(mu + _skewed_draw(rng, shape, scale, own(*parameters)))

    given = mu, scale, p["noise_dof"], p["noise_above"]
    defined = {"logp": logp, "random": random, "signature": "(),(),(),()->()"}
    if name:
        return pm.CustomDist(name, *given, **defined, **kwargs)
    return pm.CustomDist.dist(*given, **defined)


def run_scale(noise: Noise, p: Mapping[str, Any], run: Mapping[str, Any]) -> Any:
    """Scale of each run's noise.

    Parameters
    ----------
    noise
        The noise.
    p
        Its parameters.
    run
        Features of the runs (:func:`features`), and ``error``, the known standard error of the
        log loss, where that is given: it adds in quadrature.
    """
    scale = p["noise_scale"]
    if noise.scaled:
        slopes = {"noise_compute": run["noise_at_compute"], "noise_ratio": run["noise_at_ratio"]}
        slopes["noise_imbalance"] = abs(run["noise_at_ratio"])
        scale = scale * exp(sum(p[name] * x for name, x in slopes.items() if name in noise.priors))
    return sqrt(scale**2 + run["error"] ** 2) if "error" in run else scale


def _logs(law: Law, inputs: Mapping[str, Any]) -> dict[str, Any]:
    ratio = tokens_per_parameter(law, inputs)
    return {
        "noise_at_compute": log(training_compute(law, inputs)) / math.log(10.0),
        "noise_at_ratio": 0.0 if ratio is None else log(ratio) / math.log(10.0),
    }


def features(law: Law, inputs: Mapping[str, Any], centre: Mapping[str, float]) -> dict[str, Any]:
    """What scaled noise depends on: compute and tokens per parameter, in decades from a centre.

    Parameters
    ----------
    law
        The law.
    inputs
        Its inputs, plain units.
    centre
        From :func:`features_centre`.
    """
    return {name: x - centre[name] for name, x in _logs(law, inputs).items()}


def features_centre(law: Law, inputs: Mapping[str, Any]) -> dict[str, float]:
    """Means of the features over the fitted runs."""
    return {name: float(np.mean(x)) for name, x in _logs(law, inputs).items()}


# Residuals of well-run studies have a standard deviation of 0.004 to 0.02 on the log loss; the
# prior reaches from a thousandth (reruns of one configuration) to a tenth (digitised figures).
_SCALE = lognormal(0.01, 1.0)

# Of Student-t noise. Above two a run's log loss has a variance, and means over runs exist.
_DOF = gamma_prior(2.0, 0.1, above=2.0)

NOISES: Mapping[str, Noise] = {
    "student_t": Noise(
        "student_t",
        {"noise_scale": _SCALE, "noise_dof": _DOF},
        _student_t_log_density,
        _student_t_cdf,
        _student_t_information,
        _student_t_draw,
        _student_t,
    ),
    "normal": Noise(
        "normal",
        {"noise_scale": _SCALE},
        _normal_log_density,
        _normal_cdf,
        _normal_information,
        _normal_draw,
        _normal,
    ),
    # Small runs and runs far from the usual tokens per parameter scatter more. The slopes are
    # natural logs of the scale per decade.
    "scaled": Noise(
        "scaled",
        {
            "noise_scale": _SCALE,
            "noise_dof": _DOF,
            "noise_compute": normal(0.0, 0.3),
            "noise_ratio": normal(0.0, 0.3),
            "noise_imbalance": normal(0.0, 0.5),
        },
        _student_t_log_density,
        _student_t_cdf,
        _student_t_information,
        _student_t_draw,
        _student_t,
        scaled=True,
    ),
    # Wider above the law than below it, up to some fifteen times, and more so for small runs: a
    # decade of compute makes it narrower by 40 %, more or less.
    "skewed": Noise(
        "skewed",
        {
            "noise_scale": _SCALE,
            "noise_dof": _DOF,
            "noise_above": gamma_prior(2.0, 0.4, above=1.0),
            "noise_compute": normal(-0.5, 0.7),
        },
        _skewed_log_density,
        _skewed_cdf,
        _skewed_information,
        _skewed_draw,
        _skewed,
        scaled=True,
        upper=_skewed_upper,
    ),
}


def noise_model(name: str) -> Noise:
    """The noise of a given name.

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> list(noise_model("student_t").priors)
    ['noise_scale', 'noise_dof']
    """
    if name not in NOISES:
        raise InputError(f"noise={name!r} is not known; choose one of {sorted(NOISES)}")
    return NOISES[name]
