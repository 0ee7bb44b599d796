"""Averages: the mixture of their fits' predictions, in proportion to the weights."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import bayescale as bs
from bayescale.fitting.averaging import _apportion
from bayescale.models import dense, sparse

BOTH = ("besiroglu2024", "hoffmann2022")


@pytest.fixture(scope="module")
def noises(olmo):
    return {
        noise: bs.fit(dense, olmo, noise=noise, method="laplace", seed=1)
        for noise in ("student_t", "normal")
    }


@pytest.fixture(scope="module")
def papers():
    return {name: bs.published(dense, name) for name in BOTH}


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.integers(1, 5000))
def test_draws_are_apportioned_to_the_last(weights, total):
    if sum(weights) < 1e-3:
        return
    shares = np.array(weights) / sum(weights)
    counts = _apportion(shares, total)
    assert counts.sum() == total
    assert (np.abs(counts - shares * total) < 1).all()


def test_predictions_are_the_mixture_in_proportion(papers):
    mixture = bs.average(papers, dict(zip(BOTH, (3, 1), strict=True)))
    loss = bs.predict(mixture, mean=True, N=[1e9, 7e10], D=1e12)
    assert loss.dims == ("chain", "draw", "run")
    for name, share in zip(BOTH, (0.75, 0.25), strict=True):
        alone = bs.predict(papers[name], mean=True, N=[1e9, 7e10], D=1e12).values[0, 0]
        own = loss.values[0][loss.law.values == name]
        assert len(own) == share * loss.sizes["draw"]
        assert own == pytest.approx(np.broadcast_to(alone, own.shape))


def test_noise_models_are_averaged_like_laws(noises):
    mixture = bs.average(noises, {"student_t": 1, "normal": 1})
    at = {"N": [1e9, 7e9], "D": [1e11, 4e12]}
    loss = bs.predict(mixture, seed=1, **at)
    assert loss.sizes == {"chain": 1, "draw": 4000, "run": 2}
    assert loss.equals(bs.predict(mixture, seed=1, **at))
    assert not loss.equals(bs.predict(mixture, seed=2, **at))
    expected = xr.concat(
        [bs.predict(fit, seed=i, **at) for i, fit in enumerate(noises.values())], dim="chain"
    )
    for ours, theirs in zip(bs.interval(loss).values, bs.interval(expected).values, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)


def test_one_fit_of_all_the_weight_is_that_fit(noises):
    mixture = bs.average(noises, {"student_t": 0, "normal": 2})
    assert list(mixture.members) == ["normal"]
    ours = bs.predict(mixture, mean=True, N=1e9, D=1e11)
    theirs = bs.predict(noises["normal"], mean=True, N=1e9, D=1e11)
    assert np.sort(ours.values.ravel()) == pytest.approx(np.sort(theirs.values.ravel()))


def test_each_law_takes_the_inputs_that_it_knows(papers):
    fits = {"dense": papers["besiroglu2024"], "sparse": bs.published(sparse, "hossain2025_moe")}
    mixture = bs.average(fits, {"dense": 1, "sparse": 1})
    given = {"N": 8e9, "N_active": 2e9, "D": 1e12}
    loss = bs.predict(mixture, mean=True, **given)
    total, active = (loss.values[loss.law.values[None] == name] for name in ("dense", "sparse"))
    assert total == pytest.approx(
        float(dense(8e9, 1e12, **dense.published["besiroglu2024"].values))
    )
    coefficients = sparse.published["hossain2025_moe"].values
    assert active == pytest.approx(float(sparse(2e9, 1e12, 0.75, **coefficients)))
    with pytest.raises(bs.InputError, match=r"'G' has no part in any of 'dense', 'sparse'"):
        bs.predict(mixture, mean=True, G=8, **given)
    with pytest.raises(bs.InputError, match=r"law 'sparse' needs 'N_active'"):
        bs.predict(mixture, mean=True, N=8e9, D=1e12)
    with pytest.raises(bs.InputError, match=r"'dense' and 'sparse' take different inputs"):
        bs.allocate(mixture, 1e22)


def test_allocations_are_the_mixture_too(papers):
    mixture = bs.average(papers, dict.fromkeys(BOTH, 1))
    best = bs.allocate(mixture, [1e22, 1e24])
    for name in BOTH:
        alone = bs.allocate(papers[name], [1e22, 1e24])
        own = best.N.values[0][best.law.values == name]
        assert len(own) == 500
        assert own == pytest.approx(np.broadcast_to(alone.N.values[0], own.shape))
    assert best.at_bound.values.tolist() == [0, 0]


def test_the_weights_of_a_comparison_serve(noises):
    table = pd.DataFrame({"weight": [0.25, 0.75], "elpd": [1, 2]}, index=["normal", "student_t"])
    mixture = bs.average(noises, table)
    assert mixture.weights == {"student_t": 0.75, "normal": 0.25}
    assert bs.average(noises, table.weight).weights == mixture.weights
    assert mixture.members["normal"].posterior.sizes["draw"] == 1000
    assert repr(mixture) == "<Average of student_t 75%, normal 25%>"


def test_weights_that_make_no_sense_are_refused(papers, noises):
    for weights, said in [
        ({"besiroglu2024": 1}, r"'hoffmann2022' has no weight"),
        ({**dict.fromkeys(BOTH, 1), "kaplan": 1}, r"'kaplan' has no fit"),
        (dict.fromkeys(BOTH, 0), r"not all zero"),
        (dict(zip(BOTH, (2, -1), strict=True)), r"at least zero"),
        (dict(zip(BOTH, (2, np.nan), strict=True)), r"at least zero"),
        (pd.DataFrame({"elpd": [1, 2]}, index=BOTH), r"no column 'weight'"),
    ]:
        with pytest.raises(bs.InputError, match=said):
            bs.average(papers, weights)
    with pytest.raises(bs.InputError, match=r"give fits by name"):
        bs.average(list(papers.values()), [1, 1])
    with pytest.raises(bs.InputError, match=r"an average of fits has no posterior of its own"):
        bs.efficiency_leverage(bs.average(papers, dict.fromkeys(BOTH, 1)), noises["normal"], 1e22)


def test_the_decision_is_of_least_loss_over_all_laws(papers):
    mixture = bs.average(papers, dict(zip(BOTH, (3, 1), strict=True)))
    plan = bs.decide(mixture, [1e22, 1e24])
    N = np.geomspace(1e9, 1e12, 4001)
    for i, budget in enumerate([1e22, 1e24]):
        each = {name: dense(N, budget / (6 * N), **dense.published[name].values) for name in BOTH}
        expected = 0.75 * each[BOTH[0]] + 0.25 * each[BOTH[1]]
        best = expected.argmin()
        assert plan.N.values[i] == pytest.approx(N[best], rel=0.01)
        assert plan.expected_loss.values[i] == pytest.approx(expected[best], rel=1e-7)
        regret = expected[best] - 0.75 * each[BOTH[0]].min() - 0.25 * each[BOTH[1]].min()
        assert plan.expected_regret.values[i] == pytest.approx(regret, rel=1e-3)
        near = N[expected <= expected[best] + 0.005]
        assert plan.N_band.values[i] == pytest.approx(near[[0, -1]], rel=0.01)
    own = [float(bs.decide(papers[name], 1e24).N) for name in BOTH]
    assert min(own) < plan.N.values[1] < max(own)
    assert plan.loss.sizes == {"chain": 1, "draw": 1000, "budget": 2}
    assert (plan.law.values == BOTH[1]).mean() == 0.25


def test_an_average_of_equal_fits_decides_as_one(noises):
    twice = {"a": noises["normal"], "b": noises["normal"]}
    ours = bs.decide(bs.average(twice, {"a": 1, "b": 1}), 1e22)
    theirs = bs.decide(noises["normal"], 1e22)
    assert float(ours.N) == pytest.approx(float(theirs.N), rel=0.02)
    assert float(ours.expected_loss) == pytest.approx(float(theirs.expected_loss), rel=1e-3)


def test_laws_that_price_a_plan_differently_need_a_cost(papers):
    @bs.law(cost=lambda N, D: 8 * N * D)
    def dearer(N, D, *, E=bs.floor(), A=bs.amplitude(), alpha=bs.exponent()):
        return E + A * (N * D) ** -alpha

    other = bs.prior(dearer, bs.load_runs("olmo_ladder"), draws=50, seed=1)
    mixture = bs.average({"one": papers[BOTH[0]], "other": other}, {"one": 1, "other": 1})
    for function in (bs.allocate, bs.decide):
        with pytest.raises(bs.InputError, match=r"'one' and 'other' have different cost models"):
            function(mixture, 1e22)
    cost = bs.cost.dense_flops
    N = {"bounds": {"N": (1e8, 1e12)}, "cost": cost}
    assert bs.decide(mixture, 1e22, **N).N > 0
