"""Decisions: the plan of least expected loss, its regret by brute force, and the band about it."""

import warnings

import numpy as np
import pytest
import xarray as xr

import bayescale as bs
from bayescale.models import dense, sparse

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
    plan = bs.decide(fit, 1e24, **settings)
    assert plan.N.item() == bs.allocate(fit, 1e24, **settings).N.item() == 2e11
    assert plan.D.item() <= 1e12
    np.testing.assert_allclose(plan.D_band, plan.D.item())


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
    assert one.N.item() == plan.N[0].item()


def test_what_makes_no_sense_is_refused(olmo_fit):
    for within in (0.0, -0.01, np.nan, np.inf):
        with pytest.raises(bs.InputError, match=r"within is a loss in nats above zero"):
            bs.decide(olmo_fit, 1e23, within=within)
    with pytest.raises(bs.InputError, match=r"no plan of 1e[+]23 FLOP lies within the bounds"):
        bs.decide(olmo_fit, 1e23, bounds={"N": (1e8, 1e9), "D": (1e9, 1e10)})
    with pytest.raises(bs.InputError, match=r"below the smallest plausible run"):
        bs.decide(olmo_fit, 1e10)
