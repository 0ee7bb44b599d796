"""Decisions: the plan of least expected loss, its regret by brute force, and the band about it."""

import itertools
import json
import warnings

import numpy as np
import pytest
import xarray as xr

import bayescale as bs
from bayescale import cost
from bayescale.models import dense, granularity, sparse, upcycling

BUDGETS = [1e21, 1e23]


@pytest.fixture(scope="module")
def plan(olmo_fit):
    return bs.decide(olmo_fit, BUDGETS)


def losses(fit, budget, sizes):
    """Mean loss of every size at a budget, over chain, draw and size."""
    sizes = xr.DataArray(sizes, dims="size")
    return bs.predict(fit, mean=True, N=sizes, D=budget / 6 / sizes)


@pytest.mark.parametrize("i", range(len(BUDGETS)))
def test_plan_and_regret_are_those_of_brute_force(olmo_fit, plan, i):
    sizes = float(plan.N[i]) * np.exp(np.linspace(-4, 4, 2001))
    each = losses(olmo_fit, BUDGETS[i], sizes)
    expected = each.mean(("chain", "draw"))
    # No size has a lower expected loss, and the least of the grid is beside the plan.
    assert float(plan.expected_loss[i]) < float(expected.min()) + 1e-10
    assert sizes[int(expected.argmin("size"))] == pytest.approx(float(plan.N[i]), rel=5e-3)
    # Regret: against every draw's own best size.
    least = each.min("size")
    at_plan = losses(olmo_fit, BUDGETS[i], [float(plan.N[i])]).isel(size=0)
    np.testing.assert_allclose(plan.loss.isel(budget=i), at_plan, rtol=1e-12)
    np.testing.assert_allclose(plan.regret.isel(budget=i), at_plan - least, atol=1e-6)
    assert float(plan.expected_regret[i]) == pytest.approx(
        float((at_plan - least).mean()), abs=1e-7
    )


def test_regret_is_never_negative_and_averages(plan):
    assert (plan.regret >= 0).all()
    assert (plan.expected_regret > 0).all()
    np.testing.assert_allclose(plan.expected_regret, plan.regret.mean(("chain", "draw")))
    np.testing.assert_allclose(plan.expected_loss, plan.loss.mean(("chain", "draw")))


def test_the_plan_beats_the_average_of_the_optima(olmo_fit):
    # Which would be another plan: the optima are skewed.
    best = bs.allocate(olmo_fit, 1e23)
    average = float(best.N.mean())
    decided = bs.decide(olmo_fit, 1e23)
    assert abs(average / float(decided.N) - 1) > 1e-4
    at_average = losses(olmo_fit, 1e23, [average]).mean()
    assert float(decided.expected_loss) < float(at_average)


@pytest.mark.parametrize("within", [0.001, 0.005, 0.02])
def test_the_ends_of_the_band_cost_what_was_allowed(olmo_fit, within):
    plan = bs.decide(olmo_fit, 1e23, within=within)
    low, high = plan.N_band.values
    assert low < float(plan.N) < high
    ends = losses(olmo_fit, 1e23, [low, high]).mean(("chain", "draw"))
    np.testing.assert_allclose(ends - float(plan.expected_loss), within, rtol=1e-6)
    np.testing.assert_allclose(plan.D_band.values[::-1] * plan.N_band.values * 6, 1e23, rtol=1e-9)
    inside = np.geomspace(low, high, 50)[1:-1]
    loss = losses(olmo_fit, 1e23, inside).mean(("chain", "draw"))
    assert (loss < float(plan.expected_loss) + within).all()
    assert plan.attrs["within"] == within


@pytest.mark.filterwarnings("ignore::bayescale.AllocationWarning")
def test_bounds_hold_for_the_plan_and_its_band(olmo_fit):
    free = bs.decide(olmo_fit, 1e23)
    low, high = 0.9 * float(free.N), 1.05 * float(free.N)
    bounded = bs.decide(olmo_fit, 1e23, bounds={"N": (low, high)})
    assert bounded.N.item() == pytest.approx(free.N.item(), rel=1e-4)
    np.testing.assert_allclose(bounded.N_band, [low, high], rtol=1e-9)
    above = bs.decide(olmo_fit, 1e23, bounds={"N": (10 * float(free.N), 1e14)})
    assert above.N.item() == pytest.approx(10 * float(free.N), rel=1e-6)


def test_a_listed_choice_is_the_one_of_least_expected_loss(mixture_runs):
    fit = bs.prior(sparse, mixture_runs, draws=200, seed=5)
    levels = [0.0, 0.5, 0.875]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.AllocationWarning)
        plan = bs.decide(fit, 1e22, choose={"S": levels})
        each = [bs.decide(fit, 1e22, fixed={"S": level}) for level in levels]
    expected = [float(one.expected_loss) for one in each]
    best = int(np.argmin(expected))
    assert plan.S.item() == levels[best]
    assert plan.expected_loss.item() == pytest.approx(expected[best], rel=1e-9)
    assert plan.N_active.item() == pytest.approx(each[best].N_active.item(), rel=1e-4)
    # The regret counts what another level would have given in that draw.
    assert float(plan.expected_regret) >= float(each[best].expected_regret) - 1e-9
    sizes = np.geomspace(1e7, 1e12, 400)
    for level in levels:
        loss = bs.predict(fit, mean=True, N_active=sizes, D=1e22 / 6 / sizes, S=level).mean(
            ("chain", "draw")
        )
        assert plan.expected_loss.item() < float(loss.min()) + 1e-9


def test_a_listed_size_has_to_leave_tokens_within_their_bounds():
    fit = bs.published(dense, "besiroglu2024")
    # At 1e24 FLOP the best of these sizes would see more tokens than there are.
    settings = {"choose": {"N": [7e9, 7e10, 2e11]}, "bounds": {"D": (1e9, 1e12)}}
    with pytest.warns(bs.AllocationWarning, match=r"N at its high end"):
        plan = bs.decide(fit, 1e24, **settings)
    with pytest.warns(bs.AllocationWarning, match=r"N at its high end"):
        assert plan.N.item() == bs.allocate(fit, 1e24, **settings).N.item() == 2e11
    assert plan.at_bound.item()
    assert plan.D.item() <= 1e12
    np.testing.assert_allclose(plan.D_band, plan.D.item())


# --- several free inputs ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def split_fit():
    """A posterior about the published law of upcycling, made up."""
    fit = bs.published(upcycling, "liew2025")
    rng = np.random.default_rng(3)
    draws = xr.Dataset(
        {
            name: (("chain", "draw"), x.item() * np.exp(0.1 * rng.standard_normal((2, 150))))
            for name, x in fit.posterior.data_vars.items()
        },
        coords={"chain": [0, 1], "draw": np.arange(150)},
    )
    tree = xr.DataTree.from_dict({"posterior": draws})
    tree.attrs = fit.tree.attrs
    return bs.Fit(upcycling, tree)


def upcycled_losses(fit, budget, N, D_dense):
    left = (budget - 6 * N * D_dense) / (10 * N)
    return bs.predict(fit, mean=True, N=N, D_dense=D_dense, D_upcycled=left)


def test_two_free_counts_are_decided_together(split_fit):
    plan = bs.decide(split_fit, 1e22)
    # Brute force about the plan, both counts at once.
    around = np.exp(np.linspace(-4, 4, 81))
    N = xr.DataArray(plan.N.item() * around, dims="size")
    D_dense = xr.DataArray(plan.D_dense.item() * around, dims="tokens")
    D_dense = D_dense.where(6 * N * D_dense < 1e22).fillna(1e9)
    each = upcycled_losses(split_fit, 1e22, N, D_dense)
    expected = each.mean(("chain", "draw"))
    assert plan.expected_loss.item() < float(expected.min()) + 1e-10
    assert np.unravel_index(expected.values.argmin(), expected.shape) == (40, 40)
    # Regret against each draw's own optimum: the grid's falls short of it by its coarseness.
    brute = float((each.isel(size=40, tokens=40) - each.min(("size", "tokens"))).mean())
    assert plan.expected_regret.item() == pytest.approx(brute, abs=5e-4)
    assert plan.expected_regret.item() > brute
    best = bs.allocate(split_fit, 1e22)
    np.testing.assert_allclose(plan.loss - plan.regret, best.loss, atol=1e-12)


def test_bands_reach_as_far_as_other_inputs_let_them(split_fit):
    within = 0.01
    plan = bs.decide(split_fit, 1e22, within=within)
    N = xr.DataArray(plan.N.item() * np.exp(np.linspace(-2.5, 2.5, 301)), dims="size")
    D_dense = xr.DataArray(plan.D_dense.item() * np.exp(np.linspace(-4, 2, 301)), dims="tokens")
    possible = 6 * N * D_dense < 0.999 * 1e22
    tokens = D_dense.where(possible).fillna(1e8)
    few = bs.Fit(upcycling, split_fit.tree)
    expected = upcycled_losses(few, 1e22, N, tokens).mean(("chain", "draw")).where(possible)
    good = (expected <= plan.expected_loss.item() + within).transpose("size", "tokens")
    left = ((1e22 - 6 * N * D_dense) / (10 * N)).transpose("size", "tokens")
    for name, values, step in (
        ("N", N.where(good), 5 / 300),
        ("D_dense", D_dense.where(good), 6 / 300),
        ("D_upcycled", left.where(good), 0.03),
    ):
        low, high = plan[f"{name}_band"].values
        assert low < plan[name].item() < high
        # The grid's plans are among the good ones, and nearly reach the ends.
        assert low <= float(values.min()) * (1 + 1e-9)
        assert high >= float(values.max()) * (1 - 1e-9)
        assert abs(np.log(float(values.min()) / low)) < 2 * step
        assert abs(np.log(high / float(values.max()))) < 2 * step


def test_sparsity_is_decided_under_a_limit_on_memory():
    trained = cost.sparse_training_flops
    fit = bs.published(sparse, "hossain2025_pruning")
    free = bs.decide(fit, 1e22, bounds={"S": (0, 0.99)}, cost=trained)
    most = (free.N_active / (1 - free.S)).item() / 5
    bounds = {"S": (0, 0.99), "N": (0, most)}
    with pytest.warns(bs.AllocationWarning, match=r"the plan lies at a bound: N at its high end"):
        plan = bs.decide(fit, [1e22, 1e23], bounds=bounds, cost=trained)
    total = plan.N_active / (1 - plan.S)
    np.testing.assert_allclose(total, most, rtol=1e-9)
    assert plan.at_bound.all()
    with pytest.warns(bs.AllocationWarning):
        best = bs.allocate(fit, [1e22, 1e23], bounds=bounds, cost=trained)
    np.testing.assert_allclose(plan.loss, best.loss, atol=1e-12)
    np.testing.assert_allclose(plan.S, best.S.values.ravel(), rtol=1e-5)
    # Bands hold to the limit as well.
    assert (plan.N_active_band <= most * (1 + 1e-9)).all()
    assert (plan.S_band[:, 0] < plan.S).all()
    assert (plan.S_band[:, 1] > plan.S).all()


# --- attitudes to risk --------------------------------------------------------------------------


def measure(losses, risk, level):
    """Of losses over draws (first axis), by definition."""
    if risk == "mean":
        return losses.mean(axis=0)
    if risk == "quantile":
        return np.quantile(losses, level, axis=0)
    # The least over thresholds of threshold + mean excess / (1 - level): Rockafellar & Uryasev.
    threshold = np.quantile(losses, level, axis=0, method="inverted_cdf")
    return threshold + np.maximum(losses - threshold, 0).mean(axis=0) / (1 - level)


@pytest.mark.parametrize(
    ("risk", "level"), [("mean", 0.9), ("quantile", 0.9), ("quantile", 0.5), ("cvar", 0.8)]
)
def test_the_plan_has_the_least_risk(olmo_fit, risk, level):
    plan = bs.decide(olmo_fit, 1e23, risk=risk, level=level)
    sizes = plan.N.item() * np.exp(np.linspace(-3, 3, 3001))
    each = (
        losses(olmo_fit, 1e23, sizes).stack(all=("chain", "draw")).transpose("all", "size").values
    )
    risks = measure(each, risk, level)
    assert plan.risk.item() < risks.min() + 1e-6
    np.testing.assert_allclose(measure(plan.loss.values.ravel(), risk, level), plan.risk, rtol=1e-9)
    assert plan.attrs["risk"] == risk
    assert plan.attrs.get("level", level) == level
    low, high = plan.N_band.values
    good = sizes[risks <= risks.min() + plan.attrs["within"]]
    np.testing.assert_allclose([low, high], [good.min(), good.max()], rtol=5e-3)


def test_who_fears_the_worst_pays_on_average(olmo_fit):
    mean, worst = (bs.decide(olmo_fit, 1e24, risk=risk, level=0.95) for risk in ("mean", "cvar"))
    assert mean.expected_loss.item() <= worst.expected_loss.item()
    tail = [measure(plan.loss.values.ravel(), "cvar", 0.95) for plan in (mean, worst)]
    assert tail[1] < tail[0]
    assert abs(np.log(worst.N / mean.N).item()) > 0.01


def test_risk_over_several_inputs_and_listed_choices(split_fit):
    plan = bs.decide(split_fit, 1e22, risk="cvar", level=0.9)
    for size, tokens in itertools.product(np.exp([-0.05, 0, 0.05]), repeat=2):
        near = upcycled_losses(split_fit, 1e22, plan.N * size, plan.D_dense * tokens)
        assert plan.risk.item() <= measure(near.values.ravel(), "cvar", 0.9) + 1e-9
    fit = bs.published(granularity, "krajewski2024")
    listed = bs.decide(fit, 1e22, risk="quantile", choose={"G": [1, 4, 16, 64, 256, 1024]})
    assert listed.G.item() == bs.decide(fit, 1e22, choose={"G": [1, 4, 16, 64, 256, 1024]}).G.item()


def test_quantiles_of_the_regret(olmo_fit, plan):
    bands = bs.interval(plan.regret, 0.9)
    flat = plan.regret.values.reshape(-1, len(BUDGETS))
    np.testing.assert_allclose(bands.values.T, np.quantile(flat, [0.05, 0.95], axis=0))


# --- what is not decided ------------------------------------------------------------------------


def test_a_fit_that_failed_its_diagnostics_is_refused(olmo_fit):
    posterior = olmo_fit.posterior.copy(deep=True)
    posterior["E"] = posterior.E + 0.1 * posterior.chain
    tree = olmo_fit.tree.copy()
    tree["posterior"] = xr.DataTree(posterior)
    apart = bs.Fit(dense, tree)
    assert not bs.diagnose(apart).attrs["ok"]
    with pytest.raises(bs.InputError, match=r"failed its diagnostics \(E.*trust=True"):
        bs.decide(apart, 1e23)
    assert bs.decide(apart, 1e23, trust=True).N.item() > 0


def test_a_budget_far_beyond_the_runs_is_flagged(olmo, olmo_fit):
    largest = float((6 * olmo.N * olmo.D).max())
    with pytest.warns(
        bs.AllocationWarning, match=r"is 2,000 times the cost of the largest"
    ) as said:
        plan = bs.decide(olmo_fit, 2000 * largest)
    assert [one.filename for one in said] == [__file__]
    assert plan.extrapolation.item() == pytest.approx(2000)


def test_one_set_of_coefficients_has_no_regret():
    fit = bs.published(dense, "besiroglu2024")
    plan, best = bs.decide(fit, BUDGETS), bs.allocate(fit, BUDGETS)
    np.testing.assert_allclose(plan.N, best.N.values.ravel(), rtol=1e-5)
    np.testing.assert_allclose(plan.regret, 0.0, atol=1e-12)


def test_the_result_is_labelled(olmo_fit, plan):
    assert plan.N.dims == plan.expected_regret.dims == ("budget",)
    assert plan.regret.dims == ("chain", "draw", "budget")
    assert plan.N_band.dims == ("budget", "ci_bound")
    assert list(plan.ci_bound.values) == ["lower", "upper"]
    assert plan.N.attrs["units"] == plan.N_band.attrs["units"] == "parameters"
    assert plan.D.attrs["units"] == "tokens"
    for name in ("loss", "regret", "expected_loss", "expected_regret"):
        assert plan[name].attrs["units"] == "nats per token"
    np.testing.assert_allclose(plan.extrapolation, bs.allocate(olmo_fit, BUDGETS).extrapolation)
    one = bs.decide(olmo_fit, 1e21)
    assert one.N.dims == ()
    # Sums over draws round differently for one budget and for two.
    assert one.N.item() == pytest.approx(plan.N[0].item(), rel=1e-8)
    assert plan.at_bound.values.tolist() == [False, False]


def test_what_makes_no_sense_is_refused(olmo_fit):
    for within in (0.0, -0.01, np.nan, np.inf):
        with pytest.raises(bs.InputError, match=r"within is a loss above zero"):
            bs.decide(olmo_fit, 1e23, within=within)
    with pytest.raises(bs.InputError, match=r"no plan of 1e[+]23 FLOP lies within the bounds"):
        bs.decide(olmo_fit, 1e23, bounds={"N": (1e8, 1e9), "D": (1e9, 1e10)})
    with pytest.raises(bs.InputError, match=r"below the smallest plausible run"):
        bs.decide(olmo_fit, 1e10)
    with pytest.raises(bs.InputError, match=r"above the largest plausible run"):
        bs.decide(olmo_fit, 1e33)
    with pytest.raises(bs.InputError, match=r"risk='max' is not known; choose one of mean"):
        bs.decide(olmo_fit, 1e23, risk="max")
    with pytest.raises(bs.InputError, match=r"level is a probability"):
        bs.decide(olmo_fit, 1e23, risk="cvar", level=90)


# --- coverage -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_intervals_of_the_optimum_hold_what_they_promise(olmo):
    # The law is true: its 90 % interval of ln N* should hold the truth nine times in ten. Of 50
    # simulations, 42 to 48 are 83 to 97 %.
    truth = {"E": 1.8, "A": 0.35, "alpha": 0.35, "B": 0.45, "beta": 0.37}
    rng = np.random.default_rng(17)
    design = olmo[["N", "D"]]
    largest = float((6 * olmo.N * olmo.D).max())
    budgets = np.array([10.0, 100.0]) * largest
    inside = np.zeros((50, 2), dtype=bool)
    for i in range(50):
        runs = design.copy()
        n, d = (design[x] / np.exp(np.log(design[x]).mean()) for x in ("N", "D"))
        mean = truth["E"] + truth["A"] * n ** -truth["alpha"] + truth["B"] * d ** -truth["beta"]
        runs["loss"] = mean * np.exp(0.005 * rng.standard_t(5, len(runs)))
        fit = bs.fit(dense, runs, seed=i, method="laplace")
        best = bs.allocate(fit, budgets)
        n_ref, d_ref = fit.reference["N"], fit.reference["D"]
        a, b = truth["alpha"], truth["beta"]
        ratio = a * truth["A"] * n_ref**a / (b * truth["B"] * d_ref**b)
        optimum = ratio ** (1 / (a + b)) * (budgets / 6) ** (b / (a + b))
        low, high = bs.interval(np.log(best.N), 0.9).transpose(..., "budget").values
        inside[i] = (low <= np.log(optimum)) & (np.log(optimum) <= high)
    print("coverage of the optimum (simulated):", json.dumps(inside.mean(axis=0).tolist()))
    assert ((inside.sum(axis=0) >= 42) & (inside.sum(axis=0) <= 48)).all(), inside.mean(axis=0)


def test_means_over_a_wandering_law_are_of_bounded_losses(of_kind):
    """The mean of exp(g) does not exist: one draw must not decide what is printed as a mean."""
    fit = of_kind("calibrated")
    plan = bs.decide(fit, 1e23, trust=True)
    most = 10 * float(fit.runs["loss"].max())
    assert float(plan.loss.max()) < most / 2  # no draw comes near
    tree = fit.tree.copy(deep=True)
    tree["posterior"]["E"][0, 0] = 1e9
    odd = bs.decide(bs.Fit(fit.law, tree), 1e23, trust=True)
    draws = plan.loss.size
    assert float(odd.loss.max()) == pytest.approx(most)
    assert float(odd.expected_loss) < float(plan.expected_loss) + 1.1 * most / draws
    assert float(odd.expected_regret) < float(plan.expected_regret) + 1.1 * most / draws
