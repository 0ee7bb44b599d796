"""How a run's loss scatters about its law, on the log scale."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayescale.errors import InputError
from bayescale.maths import log, log1p
from bayescale.priors import Prior, gamma_prior, lognormal

__all__ = ["NOISES", "Noise", "noise_model"]


@dataclass(frozen=True)
class Noise:
    """A distribution of ``log(loss) - log(law)``.

    Attributes
    ----------
    name
        ``"student_t"`` or ``"normal"``.
    priors
        Prior by parameter; the names start with ``noise_``.
    log_density
        Of a residual, given the parameters: numbers, arrays or symbols.
    draw
        Residuals of a given shape from the parameters.
    random_variable
        The observed PyMC variable.
    """

    name: str
    priors: Mapping[str, Prior]
    log_density: Callable[[Any, Mapping[str, Any]], Any]
    draw: Callable[[np.random.Generator, Any, Mapping[str, Any]], np.ndarray]
    random_variable: Callable[..., Any]


def _log_gamma(x: Any) -> Any:
    if type(x).__module__.startswith("pytensor"):
        import pytensor.tensor as pt

        return pt.gammaln(x)
    from scipy.special import gammaln

    return gammaln(x)


def _student_t_log_density(residual: Any, p: Mapping[str, Any]) -> Any:
    scale, dof = p["noise_scale"], p["noise_dof"]
    constant = _log_gamma((dof + 1) / 2) - _log_gamma(dof / 2) - 0.5 * log(math.pi * dof)
    return constant - log(scale) - (dof + 1) / 2 * log1p((residual / scale) ** 2 / dof)


def _student_t_draw(rng: np.random.Generator, shape: Any, p: Mapping[str, Any]) -> np.ndarray:
    return p["noise_scale"] * rng.standard_t(np.broadcast_to(p["noise_dof"], shape))


def _student_t_variable(name: str, p: Mapping[str, Any], **kwargs: Any) -> Any:
    import pymc as pm

    return pm.StudentT(name, nu=p["noise_dof"], sigma=p["noise_scale"], **kwargs)


def _normal_log_density(residual: Any, p: Mapping[str, Any]) -> Any:
    scale = p["noise_scale"]
    return -0.5 * (residual / scale) ** 2 - log(scale) - 0.5 * math.log(2 * math.pi)


def _normal_draw(rng: np.random.Generator, shape: Any, p: Mapping[str, Any]) -> np.ndarray:
    return p["noise_scale"] * rng.standard_normal(shape)


def _normal_variable(name: str, p: Mapping[str, Any], **kwargs: Any) -> Any:
    import pymc as pm

    return pm.Normal(name, sigma=p["noise_scale"], **kwargs)


# Residuals of well-run studies have a standard deviation of 0.004 to 0.02 on the log loss; the
# prior reaches from a thousandth (reruns of one configuration) to a tenth (digitised figures).
_SCALE = lognormal(0.01, 1.0)

NOISES: Mapping[str, Noise] = {
    "student_t": Noise(
        "student_t",
        {"noise_scale": _SCALE, "noise_dof": gamma_prior(2.0, 0.1)},
        _student_t_log_density,
        _student_t_draw,
        _student_t_variable,
    ),
    "normal": Noise(
        "normal", {"noise_scale": _SCALE}, _normal_log_density, _normal_draw, _normal_variable
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
