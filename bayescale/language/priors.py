"""Priors on the coefficients of a law.

A law's keyword-only arguments are its coefficients, and each default is a prior made here. A
prior has a *role*, which says what the coefficient does: a *floor* and an *amplitude* add to the
loss, an *exponent* says how fast a term falls, anything else is a plain coefficient. The
sampler's coordinates follow from the roles.

Counts are divided by their geometric mean over the fitted runs, so an amplitude is its term's
contribution to the loss at the centre of the data. Floors and amplitudes are given as shares of
the reference loss (the geometric mean of the fitted losses), so one prior serves language
models, whose losses are near 2.5 nats, and other modalities.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from bayescale.common.errors import InputError
from bayescale.language.maths import log

__all__ = [
    "Prior",
    "amplitude",
    "as_prior",
    "exponent",
    "floor",
    "gamma_prior",
    "lognormal",
    "normal",
]

Distribution = Literal["lognormal", "normal", "gamma"]
Role = Literal["floor", "amplitude", "exponent", "plain"]


@dataclass(frozen=True)
class Prior:
    """A prior distribution and what its coefficient does in the law.

    Attributes
    ----------
    distribution
        ``"lognormal"`` (``a`` the median, ``b`` the standard deviation of the logarithm),
        ``"normal"`` (``a`` the mean, ``b`` the standard deviation) or
        ``"gamma"`` (``a`` the shape, ``b`` the rate).
    a, b
        The distribution's two parameters.
    role
        ``"floor"``, ``"amplitude"``, ``"exponent"`` or ``"plain"``.
    share
        Whether the scale is a share of the reference loss rather than nats.
    above
        Where a gamma distribution is cut off: the coefficient is larger.
    dof
        Of a lognormal prior with heavy tails: its logarithm is Student-t with so many degrees of
        freedom, and gives way where the runs say otherwise.

    Raises
    ------
    InputError
        If there is no such distribution or role, or a parameter is impossible.
    """

    distribution: Distribution
    a: float
    b: float
    role: Role = "plain"
    share: bool = False
    above: float = 0.0
    dof: float | None = None

    def __post_init__(self) -> None:
        for what, value, known in (
            ("distribution", self.distribution, get_args(Distribution)),
            ("role", self.role, get_args(Role)),
        ):
            if value not in known:
                raise InputError(f"a prior's {what} is one of {', '.join(known)}, not {value!r}")
        if not (math.isfinite(self.a) and math.isfinite(self.b)):
            raise InputError(f"prior {self}: its parameters must be finite numbers")
        if self.b <= 0 or (self.positive and self.a <= 0):
            what = "its spread" if self.distribution == "normal" else "both its parameters"
            raise InputError(f"prior {self}: {what} must be above zero")
        if self.dof is not None and not (self.distribution == "lognormal" and self.dof > 0):
            raise InputError(
                f"prior {self}: dof, above zero, is of a lognormal prior with heavy tails"
            )
        if self.above and not (self.distribution == "gamma" and self.above > 0 and not self.share):
            raise InputError(
                f"prior {self}: only a gamma prior that is no share of the loss is cut off, above "
                "a number greater than zero"
            )

    @property
    def positive(self) -> bool:
        """Whether the coefficient is positive."""
        return self.distribution != "normal"

    def median(self, loss_scale: float = 1.0) -> float:
        """Median, in nats where the scale is a share of the reference loss.

        Examples
        --------
        >>> round(gamma_prior(2.0, 0.1).median(), 2)
        16.78
        """
        centre = self.a
        if self.distribution == "gamma":
            centre = float(self._gamma_quantile(0.5 + 0.5 * self._below()))
        return centre * (loss_scale if self.share else 1.0)

    def _gamma_quantile(self, p: Any) -> Any:
        """A gamma prior's quantile, before it is cut off."""
        from scipy.special import gammaincinv

        return gammaincinv(self.a, p) / self.b

    def _below(self) -> float:
        """What is cut off."""
        from scipy.special import gammainc

        return float(gammainc(self.a, self.b * self.above)) if self.above else 0.0

    def log_density(self, x: Any, loss_scale: Any = 1.0) -> Any:
        """Log density of ``x``: a number, an array or a symbol."""
        scale = loss_scale if self.share else 1.0
        if self.above:
            return replace(self, above=0.0).log_density(x) - math.log1p(-self._below())
        if self.distribution == "lognormal":
            z = (log(x / scale) - math.log(self.a)) / self.b
            if self.dof is not None:
                constant = math.lgamma((self.dof + 1) / 2) - math.lgamma(self.dof / 2)
                constant -= math.log(self.b * math.sqrt(self.dof * math.pi))
                return constant - (self.dof + 1) / 2 * log(1.0 + z**2 / self.dof) - log(x)
            return -0.5 * z**2 - math.log(self.b * math.sqrt(2 * math.pi)) - log(x)
        if self.distribution == "normal":
            z = (x / scale - self.a) / self.b
            return -0.5 * z**2 - math.log(self.b * math.sqrt(2 * math.pi)) - log(scale)
        constant = self.a * math.log(self.b) - math.lgamma(self.a)
        return constant + (self.a - 1) * log(x / scale) - self.b * x / scale - log(scale)

    def sample(
        self, rng: np.random.Generator, size: Any = None, loss_scale: float = 1.0
    ) -> np.ndarray:
        """Draws from the prior."""
        if self.above:
            below = self._below()
            return np.asarray(self._gamma_quantile(below + (1 - below) * rng.random(size)))
        if self.distribution == "lognormal":
            z = rng.standard_normal(size) if self.dof is None else rng.standard_t(self.dof, size)
            draws = self.a * np.exp(self.b * z)
        elif self.distribution == "normal":
            draws = self.a + self.b * rng.standard_normal(size)
        else:
            draws = rng.gamma(self.a, 1 / self.b, size)
        return np.asarray(draws * (loss_scale if self.share else 1.0))

    def random_variable(self, name: str, loss_scale: Any = 1.0, **kwargs: Any) -> Any:
        """The prior as a PyMC random variable in the model on the context stack."""
        import pymc as pm

        scale = loss_scale if self.share else 1.0
        a, b = np.float64(self.a), np.float64(self.b)  # PyTensor may take plain ones as 32 bits.
        if self.above:
            whole = pm.Gamma.dist(alpha=a, beta=b)
            return pm.Truncated(name, whole, lower=np.float64(self.above), **kwargs)
        if self.distribution == "lognormal" and self.dof is not None:

            def heavy(mu: Any, sigma: Any, nu: Any, size: Any) -> Any:
                return pm.math.exp(pm.StudentT.dist(nu=nu, mu=mu, sigma=sigma, size=size))

            at = np.log(a) + log(scale), b, np.float64(self.dof)
            positive = pm.distributions.transforms.log
            return pm.CustomDist(name, *at, dist=heavy, transform=positive, **kwargs)
        if self.distribution == "lognormal":
            return pm.LogNormal(name, mu=np.log(a) + log(scale), sigma=b, **kwargs)
        if self.distribution == "normal":
            return pm.Normal(name, mu=a * scale, sigma=b * scale, **kwargs)
        return pm.Gamma(name, alpha=a, beta=b / scale, **kwargs)

    def __str__(self) -> str:
        what = {"lognormal": "LogNormal(median", "normal": "Normal(mean", "gamma": "Gamma(shape"}
        unit = " x reference loss" if self.share else ""
        above = f" above {self.above:g}" if self.above else ""
        if self.dof is not None:
            above = f", Student-t tails of {self.dof:g}"
        return f"{what[self.distribution]} {self.a:g}, {self.b:g}){unit}{above}"


def as_prior(given: Any) -> Any:
    """A distribution of PyMC or PreliZ as a prior; anything else as it is.

    Parameters
    ----------
    given
        A lognormal, normal, gamma or exponential distribution: ``pm.LogNormal.dist(...)``, or a
        PreliZ one such as ``pz.maxent`` leaves behind. It is taken as stated, in reference units.

    Raises
    ------
    InputError
        If it is a distribution of another kind.

    Examples
    --------
    >>> import pymc as pm
    >>> print(as_prior(pm.Gamma.dist(alpha=2, beta=0.5)))
    Gamma(shape 2, 0.5)
    """
    maker = type(given).__module__.split(".")[0]
    if maker == "preliz":
        name, values = type(given).__name__.lower(), dict(given.params_dict or {})
        if not values or any(value is None for value in values.values()):
            raise InputError(f"{given} has no parameters yet; give them, or find them: pz.maxent")
        a, *rest = (float(values[n]) for n in _STATED.get(name, tuple(values)))
        if name == "exponential":
            a, rest = 1.0, [a]
    elif maker == "pytensor" and hasattr(getattr(given.owner, "op", None), "dist_params"):
        node = given.owner
        name = node.op.name
        # PyTensor keeps short numbers in single precision: as they were written.
        a, *rest = (float(str(one.eval())) for one in node.op.dist_params(node))
        if name in ("gamma", "exponential"):  # which it states by their scale
            a, rest = (a, [1 / rest[0]]) if rest else (1.0, [1 / a])
    else:
        return given
    if name == "lognormal":
        return Prior("lognormal", math.exp(a), rest[0])
    if name == "normal":
        return Prior("normal", a, rest[0])
    if name in ("gamma", "exponential"):
        return Prior("gamma", a, rest[0])
    raise InputError(
        f"a prior here is a lognormal, normal, gamma or exponential distribution, not {name}; "
        "choose one of these with the quantiles that you mean (PreliZ: pz.maxent)"
    )


_STATED = {
    "lognormal": ("mu", "sigma"),
    "normal": ("mu", "sigma"),
    "gamma": ("alpha", "beta"),
    "exponential": ("lam",),
}


# The constructors return Any: a law's body does arithmetic on its coefficients, and a type checker
# must not take a coefficient for its prior.


def floor(share: float = 0.5, spread: float = 0.4, *, dof: float | None = None) -> Any:
    """Prior of an irreducible loss: positive, a share of the reference loss.

    Parameters
    ----------
    share
        Median, as a share of the geometric mean of the fitted losses. Most published floors of
        language models lie between 0.07 and 0.75 of it.
    spread
        Standard deviation of the logarithm; its scale, with ``dof``.
    dof
        Gives the prior Student-t tails: sharp about its median where the runs do not tell, and
        giving way where they do.

    Examples
    --------
    >>> print(floor())
    LogNormal(median 0.5, 0.4) x reference loss
    """
    return Prior("lognormal", share, spread, role="floor", share=True, dof=dof)


def amplitude(share: float = 0.2, spread: float = 1.0, *, signed: bool = False) -> Any:
    """Prior of a term's size: its contribution to the loss at the centre of the data.

    Parameters
    ----------
    share
        Median, as a share of the reference loss (with ``signed``, the mean is zero and this
        is the standard deviation).
    spread
        Standard deviation of the logarithm; not used with ``signed``.
    signed
        Whether the term may lower the loss: a normal prior about zero.

    Examples
    --------
    >>> print(amplitude())
    LogNormal(median 0.2, 1) x reference loss
    """
    if signed:
        return Prior("normal", 0.0, share, role="amplitude", share=True)
    return Prior("lognormal", share, spread, role="amplitude", share=True)


def exponent(median: float = 0.25, spread: float = 0.5) -> Any:
    """Prior of a power-law exponent: positive, without a unit.

    Parameters
    ----------
    median
        Median; most published exponents of parameters and tokens lie between 0.08 and 0.47.
    spread
        Standard deviation of the logarithm.

    Examples
    --------
    >>> print(exponent(0.3))
    LogNormal(median 0.3, 0.5)
    """
    return Prior("lognormal", median, spread, role="exponent")


def lognormal(median: float, spread: float) -> Any:
    """Prior of a positive coefficient that is neither an amplitude nor an exponent."""
    return Prior("lognormal", median, spread)


def normal(mean: float, sd: float, *, role: Role = "plain") -> Any:
    """Prior of a coefficient that may have either sign.

    Examples
    --------
    >>> print(normal(0, 0.5))
    Normal(mean 0, 0.5)
    """
    return Prior("normal", mean, sd, role=role)


def gamma_prior(shape: float, rate: float, *, above: float = 0.0) -> Any:
    """Gamma prior of a positive coefficient (not named ``gamma``: laws use that name).

    Parameters
    ----------
    shape, rate
        Of the distribution, whose mean is ``shape / rate``.
    above
        Where it is cut off: the coefficient is larger.
    """
    return Prior("gamma", shape, rate, above=above)
