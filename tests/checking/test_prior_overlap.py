"""Overlap and contraction: closed forms, and tables that say little of some coefficients."""

import numpy as np
import pytest
from scipy.stats import norm

import bayescale as bs
from bayescale.checking.prior_overlap import MAX_OVERLAP, density, overlap
from bayescale.models import dense, experts


def closed_form(mean, sd):
    """Of a standard normal and one that is shifted or narrower."""
    if sd == 1:
        return 2 * norm.cdf(-abs(mean) / 2)
    assert mean == 0
    assert sd < 1
    cross = sd * np.sqrt(2 * np.log(1 / sd) / (1 - sd**2))
    return 1 - 2 * (norm.cdf(cross / sd) - norm.cdf(cross))


@pytest.mark.parametrize(
    ("mean", "sd"),
    [(0.25, 1), (0.5, 1), (1, 1), (3, 1), (0, 0.9), (0, 0.67), (0, 0.3), (0, 0.05), (0, 0.002)],
)
def test_the_overlap_of_two_normals(mean, sd):
    z = mean + sd * np.random.default_rng(3).standard_normal(4000)
    assert overlap(z) == pytest.approx(closed_form(mean, sd), abs=0.02)


def test_the_ends_of_the_overlap():
    z = np.random.default_rng(4).standard_normal(4000)
    assert 0.97 < overlap(z) <= 1
    assert overlap(z + 20) == pytest.approx(0, abs=1e-9)
    assert overlap(np.full(100, 0.3)) == 0


def test_the_threshold_is_half_a_standard_deviation_or_a_third_of_it():
    assert closed_form(0.5, 1) == pytest.approx(MAX_OVERLAP, abs=0.01)
    assert closed_form(0, 2 / 3) == pytest.approx(MAX_OVERLAP, abs=0.01)


def test_the_density_keeps_the_variance_of_skewed_draws():
    z = np.random.default_rng(5).gamma(2.0, size=4000)
    at = np.linspace(-2, 30, 6000)
    curve = density(z, at)
    assert np.trapezoid(curve, at) == pytest.approx(1, abs=1e-3)
    mean = np.trapezoid(curve * at, at)
    assert mean == pytest.approx(z.mean(), rel=1e-3)
    assert np.trapezoid(curve * (at - mean) ** 2, at) == pytest.approx(z.var(), rel=0.01)


def test_ties_do_not_matter():
    z = np.random.default_rng(6).standard_normal(1000)
    assert overlap(np.repeat(z, 4)) == pytest.approx(overlap(z), abs=0.02)


def test_a_table_that_informs_every_coefficient(olmo_fit):
    table = bs.prior_overlap(olmo_fit)
    assert list(table.index) == [*dense.coefficients, "noise_scale", "noise_dof"]
    assert table.informed[list(dense.coefficients)].all()
    draws = olmo_fit.posterior
    np.testing.assert_allclose(
        table.loc["beta", ["posterior", "posterior_lower", "posterior_upper"]].astype(float),
        draws.beta.quantile([0.5, 0.05, 0.95]),
    )
    ends = 0.25 * np.exp(0.5 * norm.ppf([0.5, 0.05, 0.95]))
    found = table.loc["beta", ["prior", "prior_lower", "prior_upper"]].astype(float)
    np.testing.assert_allclose(found, ends)
    assert table.contraction["beta"] == pytest.approx(1 - np.log(draws.beta).var() / 0.25)
    reading = table.attrs["reading"]
    assert "each coefficient of the law is informed by the runs, least alpha" in reading
    assert "noise_dof stays as the prior has it" in reading
    assert "design" not in reading
    assert "diagnostics" not in reading


def test_dense_runs_say_nothing_of_experts():
    runs = bs.load_runs("clark2022").query("router == 'Dense'")
    # One number of tokens, so what they do is taken out.
    fixed = {"B": 0.0, "beta": 0.25}
    with pytest.warns(bs.DesignWarning, match="all runs have one experts, 1") as warned:
        fit = bs.fit(experts, runs, priors=fixed, seed=1)
    table = bs.prior_overlap(fit)
    assert table.overlap["gamma"] > 0.9
    assert abs(table.contraction["gamma"]) < 0.1
    assert not table.informed["gamma"]
    assert table.informed[["A", "alpha", "sigma"]].all()
    reading = table.attrs["reading"]
    assert reading.startswith("The runs say little about gamma (overlap with its prior 0.9")
    assert "its posterior is close to its prior, and what depends on it (how fast a" in reading
    gap = next(str(one.message) for one in warned if one.category is bs.DesignWarning)
    assert f"By their design {gap}." in reading


def test_one_ratio_of_tokens_to_parameters_is_said(olmo):
    runs = olmo[(olmo.D / olmo.N).between(18, 22)]
    with pytest.warns(bs.FitWarning), pytest.warns(bs.DesignWarning, match="one D/N") as warned:
        fit = bs.fit(dense, runs, method="laplace", seed=1)
    gap = next(str(one.message) for one in warned if one.category is bs.DesignWarning)
    reading = bs.prior_overlap(fit).attrs["reading"]
    assert gap in reading
    assert reading.endswith(
        "The fit failed its diagnostics (bs.diagnose), and all this rests on it."
    )


def test_groups_have_a_row_each():
    runs = bs.load_runs("gadre2024").query("warm_frac <= 0.25")
    fit = bs.fit(dense, runs, by="corpus", vary=("E",), draws=500, seed=1)
    table = bs.prior_overlap(fit)
    levels = [f"E[{level}]" for level in fit.posterior.corpus.values]
    assert len(levels) == 3
    assert {*levels, "E_centre", "E_spread", "alpha"} < {*table.index}
    # A group may differ from the centre, so its prior is wider.
    assert (table.prior_upper[levels] > table.prior_upper["E_centre"]).all()
    assert table.informed[levels].all()


def test_what_has_no_prior_is_refused():
    with pytest.raises(bs.InputError, match="published coefficients"):
        bs.prior_overlap(bs.published(dense, "besiroglu2024"))
