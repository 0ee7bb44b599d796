"""Where draws lie in their priors: scores, log densities, and what has no prior."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import gamma, kstest, norm, t

import bayescale as bs
from bayescale.checking.prior_scores import Marginal, log_priors, marginals, problem_of
from bayescale.language.priors import Prior
from bayescale.models import dense

PRIORS = [
    bs.floor(),
    bs.exponent(0.3),
    bs.normal(1.0, 2.0),
    bs.amplitude(signed=True),
    bs.gamma_prior(2.0, 0.1),
    bs.gamma_prior(2.0, 0.1, above=2.0),
    bs.floor(0.4, 0.18, dof=3),
]
SPREAD = bs.lognormal(0.15, 0.6)
NOTHING = np.zeros((1, 1))


@pytest.fixture(scope="module")
def by_corpus():
    runs = bs.load_runs("gadre2024").query("warm_frac <= 0.25")
    options = {"by": "corpus", "vary": ("E",), "method": "laplace", "draws": 200, "seed": 1}
    return bs.fit(dense, runs, pool="none", **options)


@pytest.mark.parametrize("spread", [None, SPREAD], ids=["alone", "in groups"])
@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_scores_of_prior_draws_are_standard_normal(prior, spread):
    rng = np.random.default_rng(1)
    draws = prior.sample(rng, 20_000, loss_scale=2.5)
    if spread is not None:
        away = spread.sample(rng, 20_000) * rng.standard_normal(20_000)
        unit = prior.b * (2.5 if prior.share else 1.0)
        draws = draws * np.exp(away) if prior.positive else draws + unit * away
    scores = Marginal(prior, draws, 2.5, spread).score(draws)
    assert kstest(scores, "norm").statistic < 0.015  # one in a thousand is above 0.0138


@given(z=st.floats(-5.0, 5.0), which=st.integers(0, len(PRIORS) - 1))
def test_a_score_and_its_value_are_inverse(z, which):
    one = Marginal(PRIORS[which], NOTHING, 2.5)
    np.testing.assert_allclose(one.score(one.at(np.array([z]))), z, rtol=1e-9, atol=1e-9)


def test_scores_of_heavy_tails_and_of_a_prior_cut_off_are_those_of_scipy():
    z = np.array([-4.0, -1.0, -1e-9, 0.0, 0.7, 3.0])
    heavy = Marginal(bs.floor(0.4, 0.18, dof=3), NOTHING, 2.5)
    x = np.exp(t(3, loc=np.log(0.4 * 2.5), scale=0.18).ppf(norm.cdf(z)))
    np.testing.assert_allclose(heavy.at(z), x, rtol=1e-9)
    np.testing.assert_allclose(heavy.score(x), z, rtol=1e-6, atol=1e-9)
    cut, whole = Marginal(bs.gamma_prior(2.0, 0.1, above=2.0), NOTHING, 2.5), gamma(2.0, scale=10.0)
    x = whole.isf(whole.sf(2.0) * norm.sf(z))
    np.testing.assert_allclose(cut.at(z), x, rtol=1e-9)
    np.testing.assert_allclose(cut.score(x), z, rtol=1e-6, atol=1e-9)
    assert (cut.at(np.linspace(-6, 6, 50)) > 2.0).all()


@pytest.mark.parametrize("prior", PRIORS, ids=str)
def test_so_they_are_in_groups(prior):
    one = Marginal(prior, NOTHING, 2.5, SPREAD)
    z = np.linspace(-2.5, 2.5, 21)
    np.testing.assert_allclose(one.score(one.at(z)), z, atol=0.01)


@pytest.mark.parametrize("spread", [None, SPREAD], ids=["alone", "in groups"])
def test_scores_are_finite_far_from_the_prior(spread):
    for prior in PRIORS:
        score = Marginal(prior, NOTHING, 2.5, spread).score(np.array([1e-12, 1e12]))
        assert np.isfinite(score).all()
        assert score[0] < score[1]


def test_log_priors_are_densities_of_the_logarithm(olmo_fit):
    task = problem_of(olmo_fit)
    logs, draws = log_priors(task, olmo_fit), olmo_fit.posterior
    assert list(logs) == [*dense.coefficients, "noise_scale", "noise_dof"]
    np.testing.assert_allclose(logs["alpha"], norm.logpdf(np.log(draws.alpha), np.log(0.25), 0.5))
    floor = np.log(0.5 * task.loss_scale)
    np.testing.assert_allclose(logs["E"], norm.logpdf(np.log(draws.E), floor, 0.4))
    dof = gamma(2.0, scale=10.0)  # cut off at two
    density = dof.logpdf(draws.noise_dof) - dof.logsf(2.0) + np.log(draws.noise_dof)
    np.testing.assert_allclose(logs["noise_dof"], density)


def test_groups_without_pooling_share_a_prior(by_corpus):
    task = problem_of(by_corpus)
    draws = by_corpus.posterior.E
    each = norm.logpdf(np.log(draws), np.log(0.5 * task.loss_scale), 0.4)
    np.testing.assert_allclose(log_priors(task, by_corpus)["E"], each.sum(axis=-1))
    one = marginals(task, by_corpus)["E[rpj]"]
    np.testing.assert_array_equal(one.draws, draws.sel(corpus="rpj"))
    assert one.spread is None


def test_every_parameter_with_a_prior_is_there(calibrated_fit):
    found = marginals(problem_of(calibrated_fit), calibrated_fit)
    along = ("N", "D", "D_times_N", "D_over_N")
    spreads = {f"discrepancy_{direction}" for direction in along}
    noise = {f"noise_{name}" for name in ("scale", "dof", "compute", "ratio", "imbalance")}
    assert {*found} == {*calibrated_fit.law.coefficients} | spreads | noise


def test_what_has_no_prior_is_refused(olmo, olmo_fit, by_corpus):
    with pytest.raises(bs.InputError, match="published coefficients"):
        problem_of(bs.published(dense, "besiroglu2024"))
    with pytest.raises(bs.InputError, match="draws of the prior"):
        problem_of(bs.prior(dense, olmo, draws=10))
    with pytest.raises(bs.InputError, match="one group"):
        problem_of(bs.group(by_corpus, "rpj"))
    with pytest.raises(bs.InputError, match="each of its fits, such as 'a'"):
        problem_of(bs.average({"a": olmo_fit, "b": olmo_fit}, {"a": 1, "b": 1}))


def test_a_law_whose_priors_have_changed_is_refused(olmo_fit):
    def changed(N, D, *, E=bs.floor(), A=bs.amplitude(), alpha=bs.exponent(0.4), B=bs.amplitude(),
                beta=bs.exponent()):  # fmt: skip
        return E + A * N**-alpha + B * D**-beta

    with pytest.raises(bs.InputError, match=r"LogNormal\(median 0.25, 0.5\) of alpha, which is"):
        problem_of(bs.Fit(bs.law(changed), olmo_fit.tree))


def test_priors_given_to_the_fit_are_those_held_against(olmo):
    given = {"alpha": Prior("lognormal", 0.4, 0.2), "E": 1.7}
    fit = bs.fit(dense, olmo, priors=given, method="laplace", draws=200, seed=1)
    found = marginals(problem_of(fit), fit)
    assert (found["alpha"].prior.a, found["alpha"].prior.b) == (0.4, 0.2)
    assert "E" not in found
