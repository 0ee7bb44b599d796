"""Allocation: closed forms, exhaustive search, bounds, and what is refused."""

import re
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayescale as bs
from bayescale import amplitude, cost, exponent, floor, law
from bayescale.models import dense, experts, granularity, repetition, sparse, upcycling
from bayescale.variables import Variable

PUBLISHED = bs.published(dense, "besiroglu2024")


@law(cost=cost.dense_flops)
def bumpy(N, D, *, E=floor(), A=amplitude(), alpha=exponent(), B=amplitude(), beta=exponent()):
    """Two basins: models of a certain size are hard to train."""
    bump = 0.3 * bs.exp(-((bs.log(N) - 1.0) ** 2) / 0.5)
    return E + A * N**-alpha + B * D**-beta + bump


@law(cost=cost.dense_flops)
def kinked(N, D, *, E=floor(), A=amplitude(), alpha=exponent(), B=amplitude(), beta=exponent()):
    """Tokens above a limit are of no use."""
    return E + A * N**-alpha + B * bs.minimum(D, 3.0) ** -beta


# --- the optimum --------------------------------------------------------------------------------


def closed_form(raw, budget):
    """Optimal size under C = 6 N D, from Hoffmann et al. 2022."""
    total = raw.alpha + raw.beta
    G = (raw.alpha * raw.A / (raw.beta * raw.B)) ** (1 / total)
    return G * (budget / 6) ** (raw.beta / total)


def test_the_dense_law_has_the_published_optimum(hoffmann_fit):
    best = bs.allocate(hoffmann_fit, np.geomspace(1e19, 1e27, 50))
    expected = closed_form(bs.coefficients(hoffmann_fit, units="raw"), best.budget)
    assert best.N.shape == (4, 1000, 50)
    assert float(np.abs(best.N / expected - 1).max()) < 1e-6
    assert float(np.abs(best.D / (best.budget / 6 / expected) - 1).max()) < 1e-6


def test_the_optimum_of_the_published_coefficients():
    c = dense.published["besiroglu2024"].values
    raw = xr.Dataset({name: float(value) for name, value in c.items()})
    assert bs.allocate(PUBLISHED, 5.76e23).N.item() == pytest.approx(
        float(closed_form(raw, 5.76e23)), rel=1e-8
    )


@pytest.mark.filterwarnings("ignore::bayescale.AllocationWarning")
def test_wild_draws_have_the_optimum_or_the_bound_nearest_to_it(olmo):
    fit = bs.prior(dense, olmo, draws=2000, seed=4)
    bounds = {"N": (1e8, 1e12), "D": (1e9, 1e14)}
    best = bs.allocate(fit, np.geomspace(1e20, 1e24, 5), bounds=bounds)
    free = closed_form(bs.coefficients(fit, units="raw"), best.budget)
    lowest = np.maximum(1e8, best.budget / 6 / 1e14)
    highest = np.minimum(1e12, best.budget / 6 / 1e9)
    expected = free.clip(lowest, highest).transpose(*best.N.dims)
    at_bound = (expected != free).mean(("chain", "draw"))
    assert (at_bound > 0.02).any()
    assert float(np.abs(best.N / expected - 1).max()) < 1e-6
    np.testing.assert_allclose(best.at_bound, at_bound, atol=2e-3)


S_LEVELS = {"S": [0.0, 0.5, 0.875]}
EXHAUSTIVE = {
    "dense": (dense, {}),
    "dense, served": (
        dense,
        {"cost": cost.with_inference, "fixed": {"inference_tokens": 1e12}},
    ),
    "sparse": (sparse, {"choose": S_LEVELS}),
    "sparse, trained as dense": (
        sparse,
        {"choose": S_LEVELS, "cost": cost.sparse_training_flops},
    ),
    "granularity": (granularity, {"choose": {"G": [1, 2, 4, 8, 16, 64]}}),
    "granularity, expansion": (
        granularity,
        {"fixed": {"G": 4}, "choose": {"expansion": [8, 64]}},
    ),
    "experts": (experts, {"choose": {"experts": [1, 8, 64]}}),
    "upcycling": (upcycling, {"fixed": {"D_dense": 1e12}}),
    "upcycling, sunk": (
        upcycling,
        {"fixed": {"D_dense": 1e12}, "cost": partial(cost.upcycling_flops, sunk=True)},
    ),
    "upcycling, sizes": (
        upcycling,
        {"fixed": {"D_upcycled": 1e10}, "choose": {"N": [1e8, 1e9]}},
    ),
    "repetition": (repetition, {"fixed": {"D_unique": 1e10}}),
    "two basins": (bumpy, {}),
    "a kink": (kinked, {}),
}


@pytest.mark.parametrize("case", EXHAUSTIVE)
@pytest.mark.filterwarnings("ignore::bayescale.AllocationWarning")
def test_no_plan_of_a_fine_grid_is_better(case, mixture_runs):
    law, settings = EXHAUSTIVE[case]
    runs = mixture_runs.assign(D_unique=mixture_runs.D / 2)
    fit = bs.prior(law, runs, draws=60, seed=11)
    budgets = np.array([3e20, 1e22, 1e24])
    best = bs.allocate(fit, budgets, **settings)

    flops = settings.get("cost", law.cost)
    lists = dict(settings.get("choose", {}))
    fixed = settings.get("fixed", {})
    free = [n for n in ("N", "N_active", "D_dense", "D", "D_upcycled") if n in law.inputs]
    free = [name for name in free if name not in lists and name not in fixed]
    for name in free[:-1]:
        lists[name] = np.geomspace(1e4, 1e16, 20001)
    axes = [xr.DataArray(np.asarray(x, float), dims=n) for n, x in lists.items()]
    given = dict(zip(lists, axes, strict=True)) | fixed
    # Costs are straight lines in the tokens that are left over.
    balance = free[-1]
    names = set(partial_names(flops))

    def spend(tokens):
        return flops(**{n: v for n, v in {**given, balance: tokens}.items() if n in names})

    for i, budget in enumerate(budgets):
        left = (budget - spend(0.0)) / (spend(1e12) - spend(0.0)) * 1e12
        plan = {name: {**given, balance: left}[name] for name in law.inputs}
        possible = (left >= 1e6) & (left <= 1e18)
        scaled = {n: x.where(possible) if n == balance else x for n, x in plan.items()}
        scaled = {n: x / fit.reference[n] for n, x in scaled.items()}
        loss = law(**scaled, **{n: fit.posterior[n] for n in law.coefficients})
        least = loss.min([d for d in loss.dims if d not in ("chain", "draw")])
        assert float((best.loss.isel(budget=i) - least).max()) < 1e-6

    # The loss is the law's at that plan, and the plan spends the budget.
    inputs = {name: best[name] for name in law.inputs}
    np.testing.assert_allclose(bs.predict(fit, mean=True, **inputs), best.loss, rtol=1e-12)
    if "expansion" not in lists:
        used = flops(**{n: v for n, v in {**inputs, **fixed}.items() if n in names})
        np.testing.assert_allclose(used / best.budget, 1.0, rtol=1e-9)


def partial_names(function):
    import inspect

    return inspect.signature(function).parameters


# --- bounds -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bounds", "size"),
    [
        ({"N": (1e7, 1e9)}, 1e9),
        ({"N": (1e12, 1e13)}, 1e12),
        ({"D": (1e9, 1e11)}, 1e24 / 6 / 1e11),
        ({"D": (1e14, 1e15)}, 1e24 / 6 / 1e14),
    ],
)
def test_a_bound_that_decides_is_respected_and_reported(bounds, size):
    message = r"budget of 1e\+24 FLOP the optimum lies at a bound in 100.00% of draws: .*widen"
    with pytest.warns(bs.AllocationWarning, match=message) as caught:
        best = bs.allocate(PUBLISHED, 1e24, bounds=bounds)
    assert caught[0].filename == __file__
    assert best.at_bound.item() == 1.0
    assert best.N.item() == pytest.approx(size, rel=1e-9)
    assert best.D.item() == pytest.approx(1e24 / 6 / size, rel=1e-9)


def test_a_bound_that_does_not_decide_changes_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error", bs.AllocationWarning)
        free = bs.allocate(PUBLISHED, 1e24)
        bounded = bs.allocate(PUBLISHED, 1e24, bounds={"N": (1e9, 1e12), "D": (1e9, np.inf)})
    assert bounded.N.item() == pytest.approx(free.N.item(), rel=1e-7)
    assert bounded.at_bound.item() == free.at_bound.item() == 0.0


def test_many_budgets_at_a_bound_make_one_warning(hoffmann_fit):
    with pytest.warns(bs.AllocationWarning, match=r"and in fewer at") as caught:
        best = bs.allocate(hoffmann_fit, np.geomspace(1e22, 1e24, 9), bounds={"N": (1e7, 2e10)})
    assert len(caught) == 1
    assert (best.N <= 2e10 * (1 + 1e-9)).all()
    share = best.at_bound.values
    assert (np.diff(share) >= 0).all()
    assert (share[0], share[-1]) == (0.0, 1.0)
    assert ((share > 0) & (share < 1)).any()
    np.testing.assert_allclose(
        (best.N > 2e10 * (1 - 1e-6)).mean(("chain", "draw")), share, atol=1e-3
    )


# --- choices ------------------------------------------------------------------------------------


def test_a_listed_size_is_the_best_of_the_list(hoffmann_fit):
    sizes = [1e9, 8e9, 7e10, 4e11]
    best = bs.allocate(hoffmann_fit, 1e24, choose={"N": sizes})
    each = xr.concat(
        [bs.predict(hoffmann_fit, mean=True, N=n, D=1e24 / 6 / n) for n in sizes], "size"
    )
    np.testing.assert_allclose(best.loss, each.min("size"), rtol=1e-12)
    np.testing.assert_array_equal(best.N, np.array(sizes)[each.argmin("size")])


def test_one_count_may_be_fixed_and_the_other_is_what_is_left():
    best = bs.allocate(PUBLISHED, [1e22, 1e24], fixed={"N": 7e9})
    np.testing.assert_allclose(best.D.values.ravel(), [1e22 / 42e9, 1e24 / 42e9], rtol=1e-12)
    best = bs.allocate(PUBLISHED, 1e22, fixed={"D": 1e12})
    assert best.N.item() == pytest.approx(1e22 / 6e12, rel=1e-12)
    assert (best.D == 1e12).all()


def test_what_is_no_count_is_chosen_from_the_runs(mixture_runs):
    fit = bs.prior(sparse, mixture_runs, draws=30, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.AllocationWarning)
        default = bs.allocate(fit, 1e22)
        listed = bs.allocate(fit, 1e22, choose=S_LEVELS)
    assert default.equals(listed)
    assert set(np.unique(default.S)) <= set(S_LEVELS["S"])


def test_a_cost_of_ones_own():
    def triple(N, D):
        return 18.0 * N * D

    best = bs.allocate(PUBLISHED, 3e24, cost=triple)
    assert best.N.item() == pytest.approx(bs.allocate(PUBLISHED, 1e24).N.item(), rel=1e-7)


def test_a_cost_with_a_fixed_part_and_a_setting():
    def served(N, D, *, requests=0.0):
        return 6.0 * N * D + 2.0 * N * requests

    fixed = {"requests": 1e13}
    best = bs.allocate(PUBLISHED, 1e24, cost=served, fixed=fixed)
    assert served(best.N.item(), best.D.item(), **fixed) == pytest.approx(1e24, rel=1e-9)
    assert best.N.item() < bs.allocate(PUBLISHED, 1e24).N.item()


def test_a_count_of_a_laws_own_is_allocated():
    widths = Variable("width", "units", "width", low=1.0, high=1e6, scale="width")

    @law(variables=(widths,), cost=lambda width, D: 72.0 * width**2 * D)
    def wide(width, D, *, E=floor(), A=amplitude(), alpha=exponent(), B=amplitude()):
        return E + A * width**-alpha + B * D**-0.3

    runs = pd.DataFrame({"width": [64.0, 256, 512, 1024], "D": 1e10, "loss": [3.9, 3.5, 3.2, 3.0]})
    fit = bs.prior(wide, runs, draws=20, seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.AllocationWarning)
        best = bs.allocate(fit, 1e20)
    np.testing.assert_allclose(72 * best.width**2 * best.D, 1e20, rtol=1e-9)
    assert best.width.attrs["units"] == "units"


# --- what comes out -----------------------------------------------------------------------------


def test_the_result_is_labelled(olmo, olmo_fit):
    best = bs.allocate(olmo_fit, pd.Series([1e21, 1e23]))
    assert best.loss.dims == best.N.dims == ("chain", "draw", "budget")
    assert best.N.attrs["units"] == "parameters"
    assert best.D.attrs["units"] == "tokens"
    assert best.loss.attrs["units"] == "nats per token"
    assert best.budget.attrs["units"] == "FLOP"
    largest = (6 * olmo.N * olmo.D).max()
    np.testing.assert_allclose(best.extrapolation, np.array([1e21, 1e23]) / largest)
    assert np.isnan(bs.allocate(PUBLISHED, 1e24).extrapolation)
    assert list(bs.interval(best).data_vars) == ["N", "D", "loss"]


@pytest.mark.parametrize(
    "budget", [1e24, np.float32(1e24), 10**24, xr.DataArray(1e24)], ids=lambda x: type(x).__name__
)
def test_one_budget_adds_no_dimension(budget):
    best = bs.allocate(PUBLISHED, budget)
    assert best.N.dims == ("chain", "draw")
    assert float(best.budget) == pytest.approx(1e24, rel=1e-6)


@pytest.mark.parametrize(
    "budget",
    [[1e22, 1e24], (1e22, 1e24), np.array([1e22, 1e24]), xr.DataArray([1e22, 1e24], dims="c")],
    ids=lambda x: type(x).__name__,
)
def test_a_row_of_budgets_is_a_dimension(budget):
    assert bs.allocate(PUBLISHED, budget).budget.values.tolist() == [1e22, 1e24]


# --- what is refused ----------------------------------------------------------------------------


def squared(N, D):
    return 6.0 * N * D**2


def smaller(N, D):
    return 1e20 * D / N


def per_token(N, D):
    return 6.0 * N / D


def branching(N, D):
    return 6.0 * max(N, 1e9) * D


def powered(N, D, watts):
    return 6.0 * N * D * watts


@pytest.mark.parametrize(
    ("budget", "settings", "message"),
    [
        (0.0, {}, "budget 0.0 is not a positive number of FLOPs"),
        ([1e22, np.nan], {}, "budget nan is not a positive number"),
        ("lots", {}, "budget 'lots' is not a number of FLOPs, such as 1e24"),
        ([[1e22]], {}, "a number of FLOPs or a row of them"),
        (5000.0, {}, "budget 5e[+]03 FLOP is below the smallest plausible run, 6e[+]10 .*8.64e19"),
        (1e24, {"cost": squared}, "'squared' must grow in proportion to 'D'.* at 0, 1e9"),
        (1e24, {"cost": smaller}, "'smaller' falls as 'N' grows.*fixed="),
        (1e24, {"cost": per_token}, "'per_token'"),
        (1e24, {"cost": branching}, "'branching'.* fails: .*must work on arrays"),
        (1e24, {"cost": powered}, "'powered', of N, D, watts, fails: .*named in fixed="),
        (1e24, {"bounds": {"N": (1e9, 1e8)}}, "bounds of 'N' must be .*0 < low < high"),
        (1e24, {"bounds": {"N": (1, 70)}}, "'N', .*billions, multiply it by 1e9"),
        (1e24, {"bounds": {"N": 1e9}}, r"bounds\['N'\] are two numbers, not 1000000000"),
        (1e24, {"bounds": {"S": (0, 1)}}, "bounds names 'S', which neither law 'dense' nor"),
        (1e24, {"fixed": {"N": 1e9}, "bounds": {"N": (1, 2)}}, "'N', which is not a free count"),
        (1e24, {"bounds": {"N": (1e8, 1e9), "D": (1e9, 1e10)}}, "no plan of 1e[+]24 FLOP lies"),
        (1e24, {"bounds": {"N": (1e13, 1e14), "D": (1e12, 1e13)}}, "no plan of 1e[+]24 FLOP lies"),
        (1e24, {"fixed": {"N": 1e9}, "bounds": {"D": (1e9, 1e12)}}, "no plan of 1e[+]24 FLOP"),
        (1e18, {"fixed": {"N": 1e13}}, "below the smallest plausible run, 6e[+]19 FLOP"),
        (1e24, {"fixed": {"N": 7}}, "'N': 7 is below .*billions"),
        (1e24, {"fixed": {"N": [1e9, 2e9]}}, r"fixed\['N'\] is a number"),
        (1e24, {"fixed": {"N": 1e9, "D": 1e12}}, "every count is fixed"),
        (1e24, {"fixed": {"depth": 12}}, "fixed names 'depth', which neither .*they take N, D"),
        (1e24, {"choose": {"N": []}}, r"choose\['N'\] is a list of numbers, not \[\]"),
        (1e24, {"choose": {"N": ["7B"]}}, r"choose\['N'\] is a list of numbers"),
        (1e24, {"choose": {"N": [1e9]}, "fixed": {"N": 1e9}}, "'N' is both in choose and in fixed"),
    ],
)
def test_plans_that_make_no_sense_are_refused(budget, settings, message):
    with pytest.raises(bs.InputError) as refused:
        bs.allocate(PUBLISHED, budget, **settings)
    assert re.search(message, str(refused.value)), str(refused.value)


def test_a_budget_far_below_every_run_is_refused(olmo, olmo_fit):
    smallest = (6 * olmo.N * olmo.D).min()
    assert bs.allocate(olmo_fit, smallest / 900).N.shape == (4, 1000)
    with pytest.raises(bs.InputError, match=r"a thousandth of the smallest fitted run, 2.18e[+]18"):
        bs.allocate(olmo_fit, smallest / 1100)


def test_one_budget_that_no_plan_meets_refuses_them_all():
    with pytest.raises(bs.InputError, match=r"no plan of 1e[+]26 FLOP"):
        bs.allocate(PUBLISHED, [1e20, 1e26], bounds={"N": (1e8, 1e9), "D": (1e9, 1e12)})


def test_what_has_no_levels_to_choose_from_is_asked_for(mixture_runs):
    with pytest.raises(bs.InputError, match=r"which values of 'S' may be chosen: choose=\{'S'"):
        bs.allocate(bs.published(sparse, "hossain2025_moe"), 1e22)
    many = mixture_runs.assign(S=np.linspace(0, 0.9, len(mixture_runs)))
    with pytest.raises(bs.InputError, match=r"'S' takes 27 values in the runs; list the ones"):
        bs.allocate(bs.prior(sparse, many, draws=3, seed=1), 1e22)


def test_two_free_counts_are_one_too_many():
    with pytest.raises(bs.InputError, match=r"'D_upcycled' spending .*'N' and 'D_dense' are free"):
        bs.allocate(bs.published(upcycling, "liew2025"), 1e22)


def test_a_count_without_bounds_is_asked_for_them(olmo):
    @law(variables=(Variable("width", low=0, scale="width"),), cost=lambda width, D: width * D)
    def wide(width, D, *, E=floor(), A=amplitude(), alpha=exponent()):
        return E + A * width**-alpha + 0 * D

    fit = bs.prior(wide, olmo.assign(width=olmo.N), draws=3, seed=1)
    with pytest.raises(bs.InputError, match=r"'width' must be finite .*bounds=\{'width': \(low"):
        bs.allocate(fit, 1e22)
    with pytest.warns(bs.AllocationWarning):
        bs.allocate(fit, 1e22, bounds={"width": (1e5, 1e11)})
