"""Which run next: against exact answers, against refits, and what is refused."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayescale as bs
from bayescale.fitting.fits import Fit, stamp
from bayescale.models import dense, granularity

TARGET = {"N": 7e10, "D": 1.4e12}
NOISE = 0.01


@bs.law
def line(N, *, a=bs.floor(), b=bs.normal(0.0, 1.0)):
    """Loss exponential in log N: its log is linear, and Gaussian where the coefficients are."""
    return a * N**b


def linear_fit(draws=4000, noise=NOISE, seed=0):
    """A made-up posterior in which log losses are jointly normal, with known normal noise."""
    rng = np.random.default_rng(seed)
    shape = (4, draws // 4)
    drawn = {
        "a": np.exp(0.03 * rng.standard_normal(shape)),
        "b": -0.1 + 0.01 * rng.standard_normal(shape),
        "noise_scale": np.full(shape, noise),
    }
    axes, coords = ("chain", "draw"), {"chain": range(4), "draw": range(shape[1])}
    runs = xr.Dataset({"N": ("run", [1e8, 1e9, 1e10])}, {"run": range(3)})
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({n: (axes, x) for n, x in drawn.items()}, coords),
            "runs": runs,
        }
    )
    about = {"law": "line", "noise": "normal", "fixed": {}, "reference": {"N": 1e9},
             "simulated": True}  # fmt: skip
    tree.attrs["bayescale"] = json.dumps(stamp(line, about))
    return Fit(line, tree)


def exact_share(candidates, target, noise=NOISE):
    """Share of the target's variance (of its log, all but linear here) that runs remove."""
    spread = np.diag([0.03, 0.01]) ** 2
    design = np.stack([np.ones(len(candidates)), np.log(np.array(candidates) / 1e9)], axis=1)
    aim = np.array([1.0, np.log(target / 1e9)])
    cross = design @ spread @ aim
    noisy = design @ spread @ design.T + noise**2 * np.eye(len(candidates))
    return cross @ np.linalg.solve(noisy, cross) / (aim @ spread @ aim)


def test_gain_of_one_run_is_exact_where_the_answer_is_known():
    sizes = [1e7, 1e9, 3e9, 1e11, 1e13]
    table = pd.DataFrame({"N": sizes, "flops": 1e20})
    ranked = bs.next_runs(linear_fit(), table, target={"N": 1e12}).sort_index()
    exact = np.array([exact_share([size], 1e12) for size in sizes])
    np.testing.assert_allclose(ranked.share, exact, atol=0.02)
    assert (abs(ranked.share - exact) * ranked.attrs["now"] ** 2 < 4 * ranked.error).all()
    assert ranked.sort_values("gain").index.tolist() == np.argsort(exact).tolist()


def test_gain_of_a_batch_is_exact_where_the_answer_is_known():
    table = pd.DataFrame({"N": [1e7, 1e9, 1e13], "flops": 1e20})
    batch = bs.next_runs(linear_fit(), table, target={"N": 1e12}, batch=3)
    assert batch.attrs["batch"] == len(batch) == 3
    assert batch.N.iloc[0] == 1e13
    for k in (1, 2, 3):
        exact = exact_share(batch.N.tolist()[:k], 1e12)
        assert batch.share.iloc[k - 1] == pytest.approx(exact, abs=0.02)
    np.testing.assert_allclose(batch.gain.cumsum(), batch.share * batch.attrs["now"] ** 2)


def test_a_run_that_is_all_noise_teaches_nothing_and_that_is_said():
    table = pd.DataFrame({"N": [1e13, 1e11], "flops": [1e20, 1e15]})
    ranked = bs.next_runs(linear_fit(noise=100.0), table, target={"N": 1e12})
    assert (abs(ranked.share) < 0.003).all()
    assert (abs(ranked.gain) < 4 * ranked.error).all()
    assert not ranked.clear.any()
    assert "Nothing to gain that these draws could tell from chance" in ranked.attrs["reading"]


def test_runs_whose_gain_may_be_chance_come_last_however_little_they_cost():
    # At the first size level and slope err against one another: it says nothing of the target.
    blind = 1e9 * np.exp(-9 / np.log(1e12 / 1e9))
    assert exact_share([blind], 1e12) < 1e-12
    table = pd.DataFrame({"N": [blind, 1e13], "flops": [1e10, 1e22]})
    ranked = bs.next_runs(linear_fit(), table, target={"N": 1e12})
    assert ranked.N.tolist() == [1e13, blind]
    assert ranked.clear.tolist() == [True, False]
    assert "within twice its Monte Carlo error come last: 1 of 2." in ranked.attrs["reading"]


def weighted_share(fit, size, target, dof):
    """The same by another way: draws weighted by the likelihood of each of many outcomes."""
    rng = np.random.default_rng(1)
    here, there = (bs.predict(fit, mean=True, N=size).values.ravel() for size in (size, target))
    outcomes = np.log(here[::4]) + NOISE * rng.standard_t(dof, 1000)
    z = (outcomes[:, None] - np.log(here)) / NOISE
    weights = (1 + z**2 / dof) ** (-(dof + 1) / 2)
    weights /= weights.sum(axis=1, keepdims=True)
    return 1 - (weights @ there**2 - (weights @ there) ** 2).mean() / there.var()


@pytest.mark.parametrize(("dof", "tolerance"), [(30.0, 0.015), (5.0, 0.02), (2.0, 0.04)])
@pytest.mark.parametrize("size", [1e9, 1e13])
def test_heavy_tails_do_not_drown_what_a_run_tells(dof, tolerance, size):
    fit = linear_fit()
    fit.tree["posterior"]["noise_dof"] = xr.full_like(fit.posterior.noise_scale, dof)
    fit.tree.attrs["bayescale"] = json.dumps(fit.about | {"noise": "student_t"})
    table = pd.DataFrame({"N": [size], "flops": 1e20})
    ranked = bs.next_runs(fit, table, target={"N": 1e12})
    exact = weighted_share(fit, size, 1e12, dof)
    assert ranked.share.item() == pytest.approx(exact, abs=tolerance)
    assert ranked.share.item() < exact + 0.015


CANDIDATES = pd.DataFrame({"N": [2e8, 3e9, 1e10], "D": [2e9, 1e12, 2e11]})


@pytest.fixture(scope="module")
def refits(olmo, olmo_fit):
    """For each candidate, what the target and the decision are after refits to its outcomes."""
    new = bs.predict(olmo_fit, seed=2, N=CANDIDATES.N, D=CANDIDATES.D).values.reshape(-1, 3)
    after = []
    for run, outcomes in zip(CANDIDATES.itertuples(), new[250::1000].T, strict=True):
        for loss in outcomes:
            more = pd.DataFrame({"N": [run.N], "D": [run.D], "loss": [loss]})
            table = pd.concat([olmo[["N", "D", "loss"]], more], ignore_index=True)
            fit = bs.fit(dense, table, method="laplace", seed=1)
            after.append(
                (
                    bs.predict(fit, mean=True, **TARGET).var().item(),
                    bs.decide(fit, 1e24).expected_regret.item(),
                )
            )
    return np.array(after).reshape(3, 4, 2).mean(axis=1)


@pytest.mark.filterwarnings("ignore::bayescale.FitWarning")
@pytest.mark.parametrize("aim", ["target", "budget"])
def test_the_ranking_agrees_with_refits(olmo_fit, refits, aim):
    purpose = {"target": TARGET} if aim == "target" else {"budget": 1e24}
    ranked = bs.next_runs(olmo_fit, CANDIDATES, **purpose).sort_index()
    if aim == "target":
        left, refitted = ranked.sd**2, refits[:, 0]
    else:
        left, refitted = ranked.regret, refits[:, 1]
    # Refits to four outcomes each scatter by about a tenth; the gains differ by far more.
    np.testing.assert_allclose(left, refitted, rtol=0.25)
    assert np.argmin(left) == np.argmin(refitted) == 2
    assert np.argmax(left) == np.argmax(refitted) == 0


def test_the_regret_now_is_the_decision_s(olmo_fit):
    ranked = bs.next_runs(olmo_fit, CANDIDATES, budget=1e24)
    assert ranked.attrs["now"] == pytest.approx(
        bs.decide(olmo_fit, 1e24).expected_regret.item(), rel=0.01
    )
    assert (ranked.regret > 0).all()
    np.testing.assert_allclose(ranked.regret, ranked.attrs["now"] - ranked.gain)
    clear = ranked[ranked.clear]
    assert len(clear) >= 2
    assert (clear.regret < ranked.attrs["now"]).all()


def test_a_wandering_law_s_gains_are_at_most_what_there_is_and_agree_between_seeds(
    olmo, calibrated_fit
):
    budget = 10 * float((6 * olmo.N * olmo.D).max())
    first, second = (
        bs.next_runs(calibrated_fit, budget=budget, seed=seed).sort_index() for seed in (0, 1)
    )
    for ranked in (first, second):
        assert (ranked.gain <= ranked.attrs["now"]).all()
        # To act on an outcome that tells nothing costs a little, and no more than that.
        assert (ranked.share > -0.01).all()
        assert ranked.clear.any()
        assert not ranked.clear.all()
    off = abs(first.gain - second.gain) / np.hypot(first.error, second.error)
    assert off.max() < 4
    assert first.gain.idxmax() == second.gain.idxmax()
    # At the edge of the runs, and not the cheapest: about half of what there is to know.
    best = first.loc[first.gain.idxmax()]
    assert olmo.N.max() < best.N
    assert 0.2 < best.share < 0.8


def test_means_of_a_wandering_law_are_of_bounded_losses(olmo, calibrated_fit):
    wild = Fit(calibrated_fit.law, calibrated_fit.tree.copy(deep=True))
    slopes = wild.tree["posterior"]["discrepancy"]
    slopes[0, 0] = 60.0  # one draw whose factor runs away
    assert float(bs.predict(wild, mean=True, **TARGET).max()) > 1e6
    ranked = bs.next_runs(wild, CANDIDATES, target=TARGET)
    assert ranked.attrs["now"] < 10 * olmo.loss.max()
    assert np.isfinite(bs.next_runs(wild, CANDIDATES, budget=1e23).gain).all()


def test_the_order_is_of_what_was_asked_for(olmo_fit):
    per_flop = bs.next_runs(olmo_fit, target=TARGET)
    gain = bs.next_runs(olmo_fit, target=TARGET, rank="gain")
    for ranked, by in ((per_flop, "per_flop"), (gain, "gain")):
        assert ranked.clear.is_monotonic_decreasing
        for _, part in ranked.groupby("clear"):
            assert (part[by].diff().dropna() <= 0).all()
    np.testing.assert_allclose(gain.per_flop, gain.gain / gain.flops)
    pd.testing.assert_frame_equal(per_flop.sort_index(), gain.sort_index())


def test_a_proposed_grid_reaches_somewhat_beyond_the_runs(olmo, olmo_fit):
    grid = bs.propose_runs(olmo_fit)
    assert grid.N.max() == pytest.approx(3 * olmo.N.max(), rel=0.02)
    assert grid.N.min() == pytest.approx(olmo.N.min(), rel=0.02)
    assert grid.flops.max() <= (6 * olmo.N * olmo.D).max() * 1.0001
    np.testing.assert_allclose(grid.flops, 6 * grid.N * grid.D)
    ratio, known = grid.D / grid.N, olmo.D / olmo.N
    assert ratio.min() > known.min() / 3.001
    assert ratio.max() < known.max() * 3.001
    assert len(grid) > 20
    assert bs.propose_runs(olmo_fit, 1e20).flops.max() <= 1e20


def test_a_grid_takes_levels_that_the_runs_have(mixture_runs):
    prior = bs.prior(granularity, mixture_runs, seed=0)
    grid = bs.propose_runs(prior)
    assert set(grid.G) == set(mixture_runs.G)
    ranked = bs.next_runs(prior, grid, budget=1e22)
    assert len(ranked) == len(grid)
    assert np.isfinite(ranked[["gain", "flops", "share"]]).all(axis=None)


def test_candidates_keep_their_columns_and_labels_and_own_costs(olmo_fit):
    table = CANDIDATES.assign(name=["a", "b", "c"], flops=[1e21, 1e20, 1e19], loss=2.0)
    table.index = [7, 8, 9]
    ranked = bs.next_runs(olmo_fit, table, target=TARGET)
    assert set(ranked.index) == {7, 8, 9}
    assert ranked.loc[9, "name"] == "c"
    assert ranked.loc[9, "flops"] == 1e19
    assert "loss" not in ranked
    assert len(bs.next_runs(olmo_fit, table, target=TARGET, most=1e20)) == 2


def test_the_seed_makes_it_reproducible(olmo_fit):
    first, again, other = (
        bs.next_runs(olmo_fit, CANDIDATES, budget=1e24, seed=seed) for seed in (3, 3, 4)
    )
    pd.testing.assert_frame_equal(first, again)
    assert not first.gain.equals(other.gain)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "budget=.*or target="),
        ({"budget": 1e24, "target": TARGET}, "budget=.*or target="),
        ({"budget": [1e23, 1e24]}, "one number"),
        ({"target": 3.0}, "target is a run"),
        ({"target": {"N": 1e9}}, "needs 'D'"),
        ({"target": TARGET, "rank": "cost"}, "per_flop"),
        ({"target": TARGET, "batch": 0}, "from 1 to 3"),
        ({"target": TARGET, "batch": 4}, "from 1 to 3"),
        ({"target": TARGET, "most": 1e10}, "no candidate costs"),
        ({"target": TARGET, "most": -1.0}, "above zero"),
    ],
)
def test_what_makes_no_sense_is_refused(olmo_fit, given, message):
    with pytest.raises(bs.InputError, match=message):
        bs.next_runs(olmo_fit, CANDIDATES, **given)


def test_fits_without_draws_or_runs_are_refused(olmo_fit):
    published = bs.published(dense, "besiroglu2024")
    with pytest.raises(bs.InputError, match="published coefficients"):
        bs.next_runs(published, CANDIDATES, target=TARGET)
    with pytest.raises(bs.InputError, match="have no runs"):
        bs.propose_runs(published)
    with pytest.raises(bs.InputError, match="column 'D'"):
        bs.next_runs(olmo_fit, CANDIDATES[["N"]], target=TARGET)
    with pytest.raises(bs.InputError, match="column flops"):
        bs.next_runs(linear_fit(), pd.DataFrame({"N": [1e9]}), target={"N": 1e12})
