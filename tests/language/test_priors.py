"""Priors: one statement as a density, as draws and as a PyMC variable."""

import math
from itertools import pairwise

import numpy as np
import pytest
import scipy.integrate
import scipy.stats

import bayescale as bs
from bayescale.fitting.refits import options_of
from bayescale.language.priors import Prior, as_prior
from bayescale.models import dense

LOSS_SCALE = 2.7


class LogStudent:
    """Distribution whose logarithm is Student-t, by SciPy."""

    def __init__(self, dof, median, scale):
        self.log = scipy.stats.t(dof, loc=math.log(median), scale=scale)

    def ppf(self, p):
        return np.exp(self.log.ppf(p))

    def cdf(self, x):
        return self.log.cdf(np.log(x))

    def logpdf(self, x):
        return self.log.logpdf(np.log(x)) - np.log(x)

    def median(self):
        return self.ppf(0.5)

    def support(self):
        return 0.0, math.inf


class CutGamma:
    """Gamma distribution above a number, by SciPy."""

    def __init__(self, shape, rate, above):
        self.whole, self.above = scipy.stats.gamma(shape, scale=1 / rate), above

    def ppf(self, p):
        return self.whole.isf((1 - np.asarray(p)) * self.whole.sf(self.above))

    def cdf(self, x):
        return 1 - self.whole.sf(np.maximum(x, self.above)) / self.whole.sf(self.above)

    def logpdf(self, x):
        return self.whole.logpdf(x) - self.whole.logsf(self.above)

    def median(self):
        return self.ppf(0.5)

    def support(self):
        return self.above, math.inf


#: Each prior, and the distribution that its description promises, at that reference loss.
PRIORS = {
    "floor": (bs.floor(0.5, 0.4), scipy.stats.lognorm(0.4, scale=0.5 * LOSS_SCALE)),
    "amplitude": (bs.amplitude(0.2, 1.0), scipy.stats.lognorm(1.0, scale=0.2 * LOSS_SCALE)),
    "signed": (bs.amplitude(0.3, signed=True), scipy.stats.norm(0.0, 0.3 * LOSS_SCALE)),
    "exponent": (bs.exponent(0.25, 0.5), scipy.stats.lognorm(0.5, scale=0.25)),
    "lognormal": (bs.lognormal(3.0, 0.2), scipy.stats.lognorm(0.2, scale=3.0)),
    "normal": (bs.normal(-1.0, 0.5), scipy.stats.norm(-1.0, 0.5)),
    "gamma": (bs.gamma_prior(2.0, 0.1), scipy.stats.gamma(2.0, scale=10.0)),
    "share": (
        Prior("gamma", 3.0, 2.0, "floor", share=True),
        scipy.stats.gamma(3.0, scale=0.5 * LOSS_SCALE),
    ),
    "heavy": (bs.floor(0.4, 0.18, dof=3), LogStudent(3, 0.4 * LOSS_SCALE, 0.18)),
    "cut": (bs.gamma_prior(2.0, 0.1, above=2.0), CutGamma(2.0, 0.1, 2.0)),
}


@pytest.fixture(params=PRIORS)
def case(request):
    return PRIORS[request.param]


def test_density(case):
    prior, distribution = case
    x = distribution.ppf(np.linspace(0.01, 0.99, 25))
    np.testing.assert_allclose(
        prior.log_density(x, LOSS_SCALE), distribution.logpdf(x), rtol=1e-9, atol=1e-11
    )


def test_the_density_integrates_to_one(case):
    prior, distribution = case
    ends = distribution.ppf([0.0005, 0.5, 0.9995])
    whole = sum(
        scipy.integrate.quad(lambda x: math.exp(prior.log_density(x, LOSS_SCALE)), low, high)[0]
        for low, high in pairwise(ends)
    )
    assert whole == pytest.approx(0.999, abs=1e-6)


def test_quantiles_of_draws(case):
    prior, distribution = case
    draws = prior.sample(np.random.default_rng(3), 20_000, LOSS_SCALE)
    for share in (0.01, 0.25, 0.5, 0.75, 0.99):
        below = np.mean(draws < distribution.ppf(share))
        assert abs(below - share) < 4 * math.sqrt(share * (1 - share) / 20_000)


def test_draws_of_a_prior_cut_off_lie_above():
    prior = bs.gamma_prior(2.0, 0.1, above=2.0)
    assert prior.sample(np.random.default_rng(0), 20_000).min() > 2.0
    assert str(prior) == "Gamma(shape 2, 0.1) above 2"


def test_heavy_tails_are_named():
    assert str(bs.floor(0.4, 0.18, dof=3)) == (
        "LogNormal(median 0.4, 0.18) x reference loss, Student-t tails of 3"
    )


def test_draws(case):
    prior, distribution = case
    draws = prior.sample(np.random.default_rng(7), 5000, LOSS_SCALE)
    assert scipy.stats.kstest(draws, distribution.cdf).pvalue > 1e-3


def test_median_and_sign(case):
    prior, distribution = case
    assert prior.median(LOSS_SCALE) == pytest.approx(distribution.median(), abs=1e-12)
    assert prior.positive == (distribution.support()[0] >= 0)


def test_the_variable_has_the_same_density(case):
    import pymc as pm

    prior, distribution = case
    x = np.float64(distribution.ppf(0.8))
    with pm.Model():
        variable = prior.random_variable("x", LOSS_SCALE)
        found = pm.logp(variable, x).eval()
    assert found == pytest.approx(float(prior.log_density(x, LOSS_SCALE)), rel=1e-9)


def test_roles():
    roles = {"floor": bs.floor(), "amplitude": bs.amplitude(signed=True), "exponent": bs.exponent()}
    assert {name: prior.role for name, prior in roles.items()} == {name: name for name in roles}
    assert bs.normal(0, 1, role="exponent").role == "exponent"
    assert {bs.normal(0, 1).role, bs.lognormal(1, 1).role, bs.gamma_prior(1, 1).role} == {"plain"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bs.floor(-0.5), "both its parameters must be above zero"),
        (lambda: bs.exponent(0.25, 0.0), "both its parameters must be above zero"),
        (lambda: bs.normal(0.0, -1.0), "its spread must be above zero"),
        (lambda: bs.lognormal(math.nan, 1.0), "finite"),
        (lambda: bs.gamma_prior(math.inf, 1.0), "finite"),
        (lambda: Prior("cauchy", 0.0, 1.0), "one of lognormal, normal, gamma, not 'cauchy'"),
        (lambda: bs.normal(0.0, 1.0, role="slope"), "role is one of floor, amplitude"),
        (lambda: bs.floor(0.4, 0.2, dof=0.0), "dof, above zero, is of a lognormal prior"),
        (lambda: Prior("normal", 0.0, 1.0, dof=3.0), "dof, above zero, is of a lognormal prior"),
        (lambda: bs.gamma_prior(2.0, 0.1, above=-1.0), "greater than zero"),
        (lambda: Prior("lognormal", 1.0, 0.5, above=2.0), "only a gamma prior"),
    ],
)
def test_impossible_priors_are_refused(make, message):
    with pytest.raises(bs.InputError, match=message):
        make()


def test_distributions_of_pymc_and_preliz_are_priors():
    import preliz as pz
    import pymc as pm

    stated = {
        bs.lognormal(math.exp(-1.25), 0.5): (
            pm.LogNormal.dist(-1.25, 0.5),
            pz.LogNormal(-1.25, 0.5),
        ),
        bs.normal(0.1, 0.3): (pm.Normal.dist(0.1, 0.3), pz.Normal(0.1, 0.3)),
        bs.gamma_prior(2.0, 0.5): (pm.Gamma.dist(alpha=2, beta=0.5), pz.Gamma(2, 0.5)),
        bs.gamma_prior(1.0, 4.0): (pm.Exponential.dist(lam=4), pz.Exponential(lam=4)),
    }
    for ours, theirs in stated.items():
        for given in theirs:
            found = as_prior(given)
            assert (found.distribution, found.role) == (ours.distribution, "plain")
            assert (found.a, found.b) == pytest.approx((ours.a, ours.b), rel=1e-6), given
            # As densities: ours of a PreliZ distribution is what PreliZ says it is.
            if given is theirs[1]:
                x = np.array([0.1, 0.7])
                np.testing.assert_allclose(found.log_density(x), given.logpdf(x), rtol=1e-9)


def test_a_found_prior_goes_where_priors_go(olmo):
    import preliz as pz

    found = pz.LogNormal()
    with pytest.raises(bs.InputError, match=r"no parameters yet.*maxent"):
        bs.fit(dense, olmo, priors={"alpha": found})
    pz.maxent(found, 0.2, 0.5, 0.9, plot=False)
    fit = bs.fit(dense, olmo, priors={"alpha": found}, method="laplace", seed=1)
    kept = bs.lognormal(math.exp(found.mu), found.sigma)
    same = bs.fit(dense, olmo, priors={"alpha": kept}, method="laplace", seed=1)
    assert fit.posterior.equals(same.posterior)
    again = bs.refit(dense, [olmo], **options_of(fit), seed=1)[0]
    assert again.posterior.equals(fit.posterior)
    with pytest.raises(bs.InputError, match=r"not halfnormal; choose one of these"):
        bs.fit(dense, olmo, priors={"alpha": pz.HalfNormal(1.0)})
