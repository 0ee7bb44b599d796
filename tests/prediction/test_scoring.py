"""Scores: equal to closed forms and to densities worked out by hand."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

import bayescale as bs
from bayescale.models import dense
from bayescale.prediction.scoring import crps, log_score, score

numbers = st.floats(-100, 100)


@given(st.lists(numbers, min_size=1, max_size=12), numbers)
def test_the_crps_is_that_of_its_definition(draws, observed):
    x = np.array(draws)
    expected = np.abs(x - observed).mean() - np.abs(x[:, None] - x).mean() / 2
    assert crps(x, np.array(observed)) == pytest.approx(expected, abs=1e-9)


def test_the_crps_of_many_normal_draws_is_the_closed_form():
    draws = scipy.stats.norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    z = np.array([-1.0, 0.0, 2.5])
    normal = scipy.stats.norm
    closed = z * (2 * normal.cdf(z) - 1) + 2 * normal.pdf(z) - 1 / np.sqrt(np.pi)
    assert crps(np.repeat(draws[:, None], 3, axis=1), z) == pytest.approx(closed, abs=1e-4)


def test_the_log_score_is_the_density_by_hand(olmo_fit):
    target = bs.load_runs("olmo_ladder").query("target")
    draws, reference = olmo_fit.posterior, olmo_fit.reference
    c = {name: draws[name].values[..., None] for name in draws}
    n, d = (target[name].to_numpy() / reference[name] for name in ("N", "D"))
    centre = np.log(c["E"] + c["A"] * n ** -c["alpha"] + c["B"] * d ** -c["beta"])
    density = scipy.stats.t.pdf(
        np.log(target.loss.to_numpy()), c["noise_dof"], centre, c["noise_scale"]
    )
    by_hand = np.log(density.mean(axis=(0, 1)))
    assert len(by_hand) >= 2
    assert log_score(olmo_fit, target) == pytest.approx(by_hand, rel=1e-9)


def test_the_log_score_of_fitted_runs_is_that_of_the_fit_s_own_densities(olmo, olmo_fit):
    density = olmo_fit.tree["log_likelihood"].to_dataset().log_loss.values
    inside = np.log(np.exp(density).mean(axis=(0, 1)))
    assert log_score(olmo_fit, olmo) == pytest.approx(inside, rel=1e-9)


def test_a_group_s_runs_are_scored_with_its_coefficients():
    runs = bs.load_runs("gadre2024").query("warm_frac <= 0.25")
    fit = bs.fit(dense, runs, by="corpus", vary=("E",), method="laplace", draws=300, seed=1)
    density = fit.tree["log_likelihood"].to_dataset().log_loss.values
    inside = np.log(np.exp(density).mean(axis=(0, 1)))
    assert log_score(fit, runs) == pytest.approx(inside, rel=1e-9)
    with pytest.raises(bs.InputError, match=r"coefficients by 'corpus', and these runs lack"):
        log_score(fit, runs.drop(columns="corpus"))


def test_a_score_s_columns_follow_from_the_predictive_draws(olmo, olmo_fit):
    table = score(olmo_fit, olmo, seed=3)
    loss = bs.predict(olmo_fit, seed=3, N=olmo.N, D=olmo.D)
    assert table.index.equals(olmo.index)
    for percent in (50, 80, 90):
        low, high = bs.interval(loss, percent / 100).values.T
        inside = (low <= olmo.loss) & (olmo.loss <= high)
        assert table[f"inside_{percent}"].tolist() == inside.tolist()
    assert table.inside_90.sum() > table.inside_50.sum() > 0
    assert table.width.to_numpy() == pytest.approx(np.log(high / low), rel=1e-9)
    assert table.error.to_numpy() == pytest.approx(
        np.log(olmo.loss / loss.median(("chain", "draw")))
    )
    assert (table.crps > 0).all()
    assert (table.crps < np.abs(table.error) + table.width).all()


def test_noise_without_a_mean_has_a_finite_score(olmo, olmo_fit):
    wild = olmo_fit.tree.copy()
    wild["posterior"] = (
        wild["posterior"].to_dataset().assign(noise_dof=0.0 * olmo_fit.posterior.noise_dof + 0.02)
    )
    wild.attrs = olmo_fit.tree.attrs
    fit = bs.Fit(dense, wild)
    assert np.isinf(bs.predict(fit, seed=1, N=olmo.N, D=olmo.D).values).any()
    assert np.isfinite(score(fit, olmo, seed=1).crps).all()


def test_published_coefficients_give_no_density(olmo):
    with pytest.raises(bs.InputError, match=r"published coefficients carry no noise"):
        log_score(bs.published(dense, "besiroglu2024"), olmo)
