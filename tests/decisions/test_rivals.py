"""One architecture against another: crossings, pairs of draws, budgets for a loss."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import bayescale as bs
from bayescale.models import dense, granularity
from bayescale.prediction.draws import flat, paired, thinned
from properties import examples

BUDGETS = np.geomspace(1e19, 1e25, 7)
BASE = {"E": 1.8, "A": 480.0, "alpha": 0.35, "B": 2100.0, "beta": 0.37}


def made_up(shape=(2, 60), *, seed=0, spread=0.02, **changed):
    """A fit of the dense law whose draws scatter by a few per cent about plain coefficients."""
    rng = np.random.default_rng(seed)
    drawn = {
        n: (("chain", "draw"), x * np.exp(spread * rng.standard_normal(shape)))
        for n, x in (BASE | changed).items()
    }
    drawn["noise_scale"] = (("chain", "draw"), 0.005 * np.exp(rng.standard_normal(shape)))
    fit = bs.published(dense, "besiroglu2024")
    tree = fit.tree.copy()
    coords = {"chain": np.arange(shape[0]), "draw": np.arange(shape[1])}
    tree["posterior"] = xr.DataTree(xr.Dataset(drawn, coords))
    return bs.Fit(dense, tree)


def optimal_loss(c, budget):
    """The closed form of the loss at the optimum under 6 N D."""
    alpha, beta = c["alpha"], c["beta"]
    G = (alpha * c["A"] / (beta * c["B"])) ** (1 / (alpha + beta))
    N = G * (budget / 6) ** (beta / (alpha + beta))
    return c["E"] + c["A"] * N**-alpha + c["B"] * (budget / 6 / N) ** -beta


def test_losses_are_those_of_the_optima():
    a, b = made_up(), made_up(seed=1, A=500.0)
    odds = bs.probability(a, b, BUDGETS)
    assert odds.loss_a.dims == ("chain", "draw", "budget")
    np.testing.assert_allclose(odds.loss_a, optimal_loss(a.posterior, odds.budget), rtol=1e-7)
    better = (odds.loss_a < odds.loss_b).mean(("chain", "draw"))
    np.testing.assert_array_equal(odds.probability, better)
    assert ((odds.probability > 0.05) & (odds.probability < 0.95)).any()


def test_odds_of_the_plans_are_those_of_what_can_be_trained():
    a, b = made_up(), made_up(seed=1, A=500.0)
    odds = bs.probability(a, b, BUDGETS, at="plan")
    other = paired(a, b, 0)[1]
    ours, theirs = bs.decide(a, BUDGETS), bs.decide(other, BUDGETS)
    for loss, fit, plan in ((odds.loss_a, a, ours), (odds.loss_b, other, theirs)):
        again = bs.predict(fit, mean=True, N=plan.N, D=plan.D)
        np.testing.assert_allclose(loss, again, rtol=1e-10)
    better = (odds.loss_a < odds.loss_b).mean(("chain", "draw"))
    np.testing.assert_array_equal(odds.probability, better)
    # A plan does no better than a draw's own optimum, and the two questions have two answers.
    own = bs.probability(a, b, BUDGETS)
    assert (odds.loss_a >= own.loss_a - 1e-9).all()
    assert "the plan to train" in odds.probability.attrs["long_name"]
    assert "its own optimum" in own.probability.attrs["long_name"]
    assert (odds.attrs["at"], own.attrs["at"]) == ("plan", "optimum")
    inside = np.isfinite(odds.crossover) & (odds.crossover > 0)
    assert inside.any()
    with pytest.raises(bs.InputError, match="choose 'optimum' or 'plan'"):
        bs.probability(a, b, 1e22, at="best")


def test_plans_of_mixtures_are_compared_too():
    a, b, c = made_up(), made_up(seed=1, A=500.0), made_up(seed=2, B=2300.0)
    mixture = bs.average({"a": a, "b": b}, {"a": 1, "b": 1})
    odds = bs.probability(mixture, c, [1e21, 1e23], at="plan")
    assert odds.loss_a.sizes == {"chain": 1, "draw": 1000, "budget": 2}
    expected = bs.decide(mixture, [1e21, 1e23]).loss.mean(("chain", "draw"))
    np.testing.assert_allclose(odds.loss_a.mean(("chain", "draw")), expected)
    plan = bs.decide(c, [1e21, 1e23]).loss.values.reshape(-1, 2)
    assert np.isin(odds.loss_b.values.reshape(-1, 2), plan).all()
    same = bs.probability(mixture, mixture, 1e22, at="plan")
    assert same.probability == 0


def test_the_crossover_is_where_the_losses_are_equal():
    # A has the lower floor and learns more from less, so it goes ahead somewhere and stays there.
    a, b = made_up(E=1.75, A=700.0, spread=0.003), made_up(seed=1, spread=0.003)
    odds = bs.probability(a, b, BUDGETS)
    inside = np.isfinite(odds.crossover) & (odds.crossover > 0)
    assert inside.mean() > 0.5
    a, b = paired(a, b, 0)
    at = odds.crossover.where(inside)
    gap = optimal_loss(a.posterior, at) - optimal_loss(b.posterior, at)
    np.testing.assert_allclose(gap.values[inside.values], 0, atol=2e-6)
    # The probability and the crossover's distribution are two views of one thing.
    for i, budget in enumerate(BUDGETS):
        assert odds.probability[i] == pytest.approx((odds.crossover < budget).mean().item())


def test_no_crossing_in_the_range_is_zero_or_infinite():
    better, worse = made_up(E=1.5, spread=0.003), made_up(seed=1, spread=0.003)
    assert (bs.probability(better, worse, BUDGETS).crossover == 0).all()
    never = bs.probability(worse, better, BUDGETS).crossover
    assert np.isinf(never).all()
    assert np.isinf(bs.interval(never)).all()
    assert "crossover" not in bs.probability(better, worse, 1e22)
    assert "crossover" not in bs.probability(better, worse, [1e22])


def test_the_multiplier_is_the_efficiency_leverage_and_gives_equal_loss():
    a, b = made_up((1, 5), A=300.0), made_up((1, 5), seed=1)
    odds = bs.probability(a, b, [1e21, 1e23])
    other = paired(a, b, 0)[1]
    needed = odds.multiplier * odds.budget
    np.testing.assert_allclose(optimal_loss(other.posterior, needed), odds.loss_a.values, rtol=1e-7)
    np.testing.assert_array_equal(odds.multiplier > 1, odds.loss_a < odds.loss_b)


def test_independent_draws_are_not_paired_in_order():
    # Two fits that drew the same random numbers: in order, A is ahead in every pair.
    a, b = made_up(E=1.799, spread=0.01), made_up(spread=0.01)
    b.tree["posterior"]["noise_scale"] = b.posterior.noise_scale * 1.01
    assert (optimal_loss(a.posterior, 1e23) < optimal_loss(b.posterior, 1e23)).all()
    odds = bs.probability(a, b, 1e23)
    assert 0.3 < odds.probability < 0.75
    again = bs.probability(a, b, 1e23, seed=5)
    assert odds.loss_b.values.tolist() != again.loss_b.values.tolist()
    assert sorted(odds.loss_b.values.ravel()) == sorted(again.loss_b.values.ravel())


def test_draws_of_one_posterior_stay_together():
    fit = made_up(spread=0.2)
    odds = bs.probability(
        fit, fit, 1e22, plan_a={"fixed": {"N": 5e9}}, plan_b={"fixed": {"N": 5e9}}
    )
    np.testing.assert_array_equal(odds.loss_a, odds.loss_b)
    np.testing.assert_allclose(odds.multiplier, 1.0, rtol=1e-6)
    other = bs.Fit(dense, fit.tree.copy())
    assert paired(fit, other, 0) == (fit, other)


def test_published_coefficients_are_paired_with_every_draw():
    one, many = bs.published(dense, "hoffmann2022"), made_up()
    for a, b in ((one, many), (many, one)):
        odds = bs.probability(a, b, [1e22, 1e24])
        assert odds.sizes == {"budget": 2, "chain": 2, "draw": 60}
        assert odds.loss_a.std() + odds.loss_b.std() > 0


@examples(20)
@given(a=st.integers(1, 40), b=st.integers(1, 40), seed=st.integers(0, 5))
def test_pairs_use_every_draw_of_the_larger_fit_and_repeat_the_smaller_evenly(a, b, seed):
    fits = made_up((1, a)), made_up((2, b), seed=1)
    first, second = paired(*fits, seed)
    assert first.posterior.sizes == second.posterior.sizes
    for before, after in zip(fits, (first, second), strict=True):
        seen, times = np.unique(after.posterior["E"], return_counts=True)
        count = min(before.posterior["E"].size, after.posterior["E"].size)
        assert len(seen) == count
        assert times.max() - times.min() <= 1


def test_thinning_keeps_draws_and_runs(olmo_fit):
    few = thinned(olmo_fit, 100)
    assert few.posterior.sizes == {"chain": 4, "draw": 25}
    assert few.runs.sizes == olmo_fit.runs.sizes
    assert set(flat(few.posterior["E"])) <= set(flat(olmo_fit.posterior["E"]))
    assert thinned(olmo_fit, 4000) is olmo_fit


# --- the budget for a loss ------------------------------------------------------------------------


def test_the_required_budget_gives_the_loss():
    fit = made_up()
    need = bs.required_budget(fit, [2.4, 2.1])
    assert need.dims == ("chain", "draw", "loss")
    reached = optimal_loss(fit.posterior, need)
    np.testing.assert_allclose(reached, np.broadcast_to(need.loss, need.shape), rtol=1e-7)
    one = bs.required_budget(fit, 2.1)
    np.testing.assert_allclose(one, need.sel(loss=2.1), rtol=1e-5)


def test_a_floor_above_the_target_needs_an_infinite_budget():
    need = bs.required_budget(made_up(), 1.8)
    above = made_up().posterior["E"] > 1.8
    assert 0.2 < above.mean() < 0.8
    assert np.isinf(need.values[above.values]).all()
    low, high = bs.interval(need).values
    assert np.isfinite(low)
    assert np.isinf(high)


def test_bounds_limit_what_a_budget_reaches():
    fit = made_up((1, 4), spread=0.0)
    free = bs.required_budget(fit, 2.05).values
    small = bs.required_budget(fit, 2.05, bounds={"N": (1e6, 1e10)}).values
    assert (small > free * 1.01).all()
    assert np.isinf(bs.required_budget(fit, 2.05, bounds={"N": (1e6, 1e9)})).all()
    both = {"N": (1e8, 1e10), "D": (1e9, 1e12)}
    assert np.isinf(bs.required_budget(fit, 1.9, bounds=both)).all()
    assert (bs.required_budget(fit, 90.0, bounds=both) == 0).all()


def test_a_size_may_be_fixed():
    fit = made_up((1, 4))
    need = bs.required_budget(fit, 2.3, fixed={"N": 7e9})
    c = fit.posterior
    tokens = ((2.3 - c["E"] - c["A"] * 7e9 ** -c["alpha"]) / c["B"]) ** (-1 / c["beta"])
    np.testing.assert_allclose(need, 6 * 7e9 * tokens, rtol=1e-5)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(bs.InputError, match="loss is a positive number"):
        bs.required_budget(made_up(), -1.0)
    with pytest.raises(bs.InputError, match="choose"):
        bs.required_budget(bs.published(granularity, "krajewski2024"), 2.0)


# --- averages of fits -----------------------------------------------------------------------------


def test_a_mixture_wins_as_often_as_its_members_do():
    better, worse = (bs.published(dense, n) for n in ("sardana2024_100", "sardana2024_all"))
    between = bs.published(dense, "sardana2024_250")
    budgets = [1e21, 1e24]
    alone = [float(bs.allocate(f, 1e24).loss.squeeze()) for f in (better, between, worse)]
    assert len(set(alone)) == 3
    mixture = bs.average({"one": better, "other": worse}, {"one": 0.25, "other": 0.75})
    odds = bs.probability(mixture, between, budgets)
    wins = [bs.probability(one, between, budgets) for one in (better, worse)]
    expected = 0.25 * wins[0].probability + 0.75 * wins[1].probability
    np.testing.assert_allclose(odds.probability, expected, atol=1e-12)
    assert set(np.unique(odds.law)) == {"one", "other"}
    other_way = bs.probability(between, mixture, budgets)
    np.testing.assert_allclose(other_way.probability, 1 - expected, atol=1e-12)


def test_a_mixture_needs_what_its_members_need():
    fits = {n: bs.published(dense, n) for n in ("sardana2024_100", "sardana2024_all")}
    needed = bs.required_budget(bs.average(fits, dict.fromkeys(fits, 0.5)), 2.2)
    for name, fit in fits.items():
        alone = float(bs.required_budget(fit, 2.2).squeeze())
        np.testing.assert_allclose(needed.values[0, needed.law.values == name], alone)


def test_a_finer_grid_finds_the_same_budgets(olmo_fit, monkeypatch):
    from bayescale.decisions import leverage

    goals = bs.allocate(olmo_fit, 1e22).loss.quantile([0.1, 0.5]).values
    found = bs.required_budget(olmo_fit, goals)
    monkeypatch.setattr(leverage, "_ROUGHLY", 2 * leverage._ROUGHLY)
    finer = bs.required_budget(olmo_fit, goals)
    reached = np.isfinite(finer.values)
    assert reached.any()
    np.testing.assert_array_equal(np.isfinite(found.values), reached)
    np.testing.assert_allclose(found.values[reached], finer.values[reached], rtol=1e-5)
