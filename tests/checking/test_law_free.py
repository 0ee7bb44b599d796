"""What runs say without a law, against laws that are true, laws that are not, and real tables."""

import numpy as np
import pandas as pd
import pytest

import bayescale as bs
from bayescale.checking.isoflop_profiles import (
    Profile,
    isoflop_budgets,
    isoflop_groups,
    product_of_counts,
)
from bayescale.models import coupled, dense, granularity

BUDGETS = np.array([1e18, 4e18, 1.6e19, 6.4e19])


def grid(sizes=9, wide=30.0):
    """An isoFLOP grid about twenty tokens per parameter."""
    ratio = 20 * np.geomspace(1 / wide, wide, sizes)
    money, ratio = (one.ravel() for one in np.meshgrid(BUDGETS, ratio))
    return pd.DataFrame({"N": (money / 6 / ratio) ** 0.5, "D": (money * ratio / 6) ** 0.5})


def losses(runs, k, noise=0.004, seed=0):
    """Simulated from the coupled law: separate terms where k is one."""
    n, d = runs.N / 1e9, runs.D / 2e10
    law = 1.2 + 1.0 * ((n ** (-0.3 / k) + d ** (-0.3 / k)) / 2) ** k
    return law * np.exp(noise * np.random.default_rng(seed).standard_normal(len(runs)))


def fitted(law, runs):
    return bs.fit(law, runs, method="laplace", seed=1, progress=False)


# --- profiles -------------------------------------------------------------------------------------


def test_budgets_are_clusters_of_compute():
    flops = [1e19, 6.05e18, 1.02e19, 6e18, 3e21]
    assert isoflop_budgets(flops).tolist() == [1, 0, 1, 0, 2]


def test_the_profile_of_a_parabola_has_its_minimum():
    size = np.geomspace(2e8, 4e9, 9)
    loss = np.exp(1.0 + 0.02 * np.log(size / 7e8) ** 2)
    profile = Profile.of(size, loss, np.random.default_rng(0))
    # The curve is looked up on 801 sizes.
    assert np.exp(profile.best + profile.centre) == pytest.approx(7e8, rel=0.004)
    assert profile.inside
    assert profile.low == pytest.approx(profile.high, abs=1e-6)
    assert profile.loss(np.log(7e8)) == pytest.approx(np.e, rel=1e-5)
    # Beyond the runs it says what their end says.
    assert profile.loss(np.log(1e12)) == pytest.approx(loss[-1], rel=1e-5)


def test_a_minimum_that_no_run_saw_is_not_inside():
    size = np.geomspace(2e8, 4e9, 9)
    falling = np.exp(1.0 - 0.05 * np.log(size / 7e8))
    assert not Profile.of(size, falling, np.random.default_rng(0)).inside


def test_compute_that_differs_within_a_budget_is_allowed_for():
    rng = np.random.default_rng(0)
    size, spent = np.geomspace(2e8, 4e9, 12), 1e20 * 10 ** rng.uniform(-0.05, 0.05, 12)
    loss = np.exp(1.0 + 0.02 * np.log(size / 7e8) ** 2 - 0.1 * np.log(spent / 1e20))
    best = [
        np.exp(profile.best + profile.centre)
        for profile in (Profile.of(size, loss, rng), Profile.of(size, loss, rng, spent))
    ]
    assert best[1] == pytest.approx(7e8, rel=0.004)
    assert abs(np.log(best[0] / 7e8)) > 0.03


def test_runs_that_spread_over_compute_are_looked_at_through_windows():
    rng = np.random.default_rng(0)
    flops = 10 ** np.concatenate([rng.uniform(18.0, 21.0, 30), rng.normal(19.5, 0.01, 12)])
    size = 10 ** rng.uniform(7.5, 9.5, 42)
    groups = isoflop_groups(flops, size)
    assert any(set(range(30, 42)) <= set(group) for group in groups)
    for group in groups:
        assert np.ptp(np.log10(flops[group])) <= 0.1201
    together = np.concatenate(groups)
    assert len(set(together)) == len(together)


# --- the product ----------------------------------------------------------------------------------


def test_separate_terms_have_no_product_and_coupled_ones_a_negative_one():
    runs = grid(12)
    for k, sign in ((1.0, 0), (0.4, -1)):
        found = product_of_counts(runs.N, runs.D, losses(runs, k))
        if sign:
            assert found.value < -5 * found.error
        else:
            assert abs(found.value) < 3 * found.error
        assert found.of(losses(runs, k).to_numpy()) == pytest.approx(found.value)


def test_the_product_is_the_mixed_derivative_where_there_is_nothing_else():
    runs = grid(12)
    x, y = np.log(runs.N), np.log(runs.D)
    loss = 9.0 - 0.1 * x - 0.2 * y + 0.03 * (x - x.mean()) * (y - y.mean())
    found = product_of_counts(runs.N, runs.D, loss)
    assert found.value == pytest.approx(0.03, rel=1e-6)


def test_the_standard_error_is_how_the_product_scatters():
    runs = grid(12)
    found = [product_of_counts(runs.N, runs.D, losses(runs, 1.0, seed=s)) for s in range(200)]
    scatter = np.std([one.value for one in found])
    assert np.mean([one.error for one in found]) == pytest.approx(scatter, rel=0.2)


def test_runs_on_one_ray_tell_no_product():
    size = np.geomspace(1e8, 1e10, 30)
    assert product_of_counts(size, 20 * size, 2 + (size / 1e8) ** -0.3) is None


# --- laws against them ----------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_a_true_law_agrees(seed):
    runs = grid(12)
    found = bs.check_law_free(fitted(dense, runs.assign(loss=losses(runs, 1.0, seed=seed))))
    assert found.attrs["ok"]
    optima = found[found.index.str.startswith("N*")]
    assert len(optima) >= 3
    assert (optima.law_low < optima.law).all()
    assert (optima.law / optima.free).between(0.7, 1.4).all()
    assert found.ok["product"]
    # The floor's prior draws the coupling down from one, its truth, and that is allowed for.
    assert 0.8 < found.law["coupling k"] < 1.1
    assert found.ok["coupling k"]
    assert "they agree" in found.attrs["reading"]


def test_separate_terms_fitted_to_coupled_ones_are_told():
    runs = grid(12)
    table = runs.assign(loss=losses(runs, 0.4))
    found = bs.check_law_free(fitted(dense, table))
    assert not found.attrs["ok"]
    assert not found.ok["product"]
    assert found.free["product"] < found.law["product"]
    assert found.law["coupling k"] == pytest.approx(0.4, abs=0.06)
    assert not found.ok["coupling k"]
    assert "takes the terms of size and data as separate" in found.attrs["reading"]
    better = bs.check_law_free(fitted(coupled, table))
    assert better.attrs["ok"]
    assert better.ok["product"]
    assert better.law["coupling k"] == pytest.approx(found.law["coupling k"], rel=0.05)


def test_the_digitised_runs_of_hoffmann_couple(hoffmann_fit):
    found = bs.check_law_free(hoffmann_fit)
    # Nine budgets were trained; the digitised compute blurs them.
    assert sum(found.index.str.startswith("N*")) >= 5
    assert not found.ok["product"]
    assert found.free["product"] < -4 * abs(found.law["product"])
    assert 0.7 < found.law["coupling k"] < 0.9
    assert not found.attrs["ok"]


def test_a_discrepancy_bends_the_law_to_the_runs(calibrated_fit):
    found = bs.check_law_free(calibrated_fit)
    assert found.ok["product"]
    assert found.free["product"] < 0
    assert found.law_high["coupling k"] < 1
    # No budget of the ladder was spent on five sizes.
    assert not found.index.str.startswith("N*").any()


def test_tables_that_say_nothing_are_said_to(mixture_runs):
    found = bs.check_law_free(fitted(granularity, mixture_runs))
    assert found.empty
    assert found.attrs["ok"]
    assert "say nothing without a law" in found.attrs["reading"]


def test_fits_without_runs_are_refused():
    with pytest.raises(bs.InputError, match="published coefficients"):
        bs.check_law_free(bs.published(dense, "besiroglu2024"))
