"""Allocation: closed forms, exhaustive search, bounds, and what is refused."""

import itertools
import re
import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayescale as bs
from bayescale import amplitude, cost, exponent, floor, law
from bayescale.language.variables import Variable, variable
from bayescale.models import (
    abnar,
    clark,
    coupled,
    dense,
    experts,
    farseer,
    frantar,
    granularity,
    joint_moe,
    kaplan,
    kaplan_floor,
    laws,
    repetition,
    sparse,
    transferred,
    upcycling,
)
from bayescale.models.frantar import optimal_sparsity

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
    with pytest.warns(bs.AllocationWarning, match=r"more than 1,000 times"):
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
SERVED = {"fixed": {"inference_tokens": 1e12}}
SUNK = partial(cost.upcycling_flops, sunk=True)


def bought(N, D, D_unique):
    """Tokens that were not seen before have to be paid for."""
    return 6.0 * N * D + 1e12 * D_unique


EXHAUSTIVE = {
    "dense": (dense, {}),
    "dense, served": (dense, {"cost": cost.with_inference, **SERVED}),
    "kaplan": (kaplan, {}),
    "kaplan, floor": (kaplan_floor, {}),
    "coupled": (coupled, {}),
    "farseer": (farseer, {}),
    "clark": (clark, {"choose": {"experts": [1, 8, 64]}, "fixed": {"D": 1.3e11}}),
    "joint": (joint_moe, {"choose": {"experts": range(1, 33, 4)}}),
    "experts": (experts, {"choose": {"experts": [1, 8, 64]}}),
    "sparse, listed": (sparse, {"choose": S_LEVELS}),
    "sparse, trained as dense, listed": (
        sparse,
        {"choose": S_LEVELS, "cost": cost.sparse_training_flops},
    ),
    "sparse": (sparse, {"bounds": {"S": (0, 0.9)}}),
    "sparse, memory": (sparse, {"bounds": {"S": (0, 0.95), "N": (0, 3e10)}}),
    "sparse, listed, memory": (sparse, {"choose": S_LEVELS, "bounds": {"N": (0, 1e10)}}),
    "sparse, served, tokens": (
        sparse,
        {
            "bounds": {"S": (0, 0.9), "D": (1e9, 1e12)},
            "cost": cost.active_with_inference,
            **SERVED,
        },
    ),
    "sparsity alone": (
        frantar,
        {"bounds": {"S": (0, 0.98)}, "fixed": {"N_active": 1e8}},
    ),
    "frantar": (frantar, {"bounds": {"S": (0, 0.98)}}),
    "abnar": (abnar, {"bounds": {"S_experts": (0, 0.98)}}),
    "granularity, listed": (granularity, {"choose": {"G": [1, 2, 4, 8, 16, 64]}}),
    "granularity, expansion": (
        granularity,
        {"fixed": {"G": 4}, "choose": {"expansion": [8, 64]}},
    ),
    "granularity": (granularity, {"bounds": {"G": (1, 64)}}),
    "upcycling, one size": (upcycling, {"fixed": {"N": 1e9}}),
    "upcycling, sunk": (upcycling, {"fixed": {"D_dense": 1e12}, "cost": SUNK}),
    "upcycling, sizes": (
        upcycling,
        {"fixed": {"D_upcycled": 1e10}, "choose": {"N": [1e8, 1e9]}},
    ),
    "upcycling": (upcycling, {}),
    "transferred, sunk": (transferred, {"fixed": {"D_dense": 1e12}, "cost": SUNK}),
    "upcycling, sunk, any": (upcycling, {"cost": SUNK, "bounds": {"D_dense": (1e9, 1e12)}}),
    "upcycling, tokens": (
        upcycling,
        {"bounds": {"D_dense": (1e9, 1e13), "D_upcycled": (1e10, 1e12)}},
    ),
    "repetition": (repetition, {"fixed": {"D_unique": 1e10}}),
    "repetition, data": (repetition, {"bounds": {"D_unique": (1e9, 1e11)}}),
    "repetition, bought": (repetition, {"cost": bought}),
    "two basins": (bumpy, {}),
    "a kink": (kinked, {}),
}


def test_every_law_with_a_cost_model_is_searched():
    assert {law.name for law, _ in EXHAUSTIVE.values()} >= {
        name
        for name, law in laws().items()
        if law.cost is not None and len(law.inputs) > 1  # of compute alone there is no choice
    }


def least_of_grid(law, fit, draw, budget, settings, points, zooms):
    """Least loss of a draw on a grid over all that is free, and on finer ones about its best."""
    flops = settings.get("cost", law.cost)
    names = set(partial_names(flops))
    lists, fixed = settings.get("choose", {}), settings.get("fixed", {})
    bounds = settings.get("bounds", {})
    known = {n: variable(n, law.variables) for n in law.inputs}
    varies = [n for n in law.inputs if n not in lists and n not in fixed]
    tokens = [n for n in varies if known[n].unit == "tokens"]
    balance = "D" if "D" in varies else (tokens or varies)[-1]
    varies.remove(balance)
    ends = {n: bounds.get(n, (known[n].low, known[n].high)) for n in [*varies, balance]}
    # Shares of one are spaced evenly in the logarithm of what they leave.
    to = {n: (np.log if low > 0 else lambda v: -np.log1p(-v)) for n, (low, _) in ends.items()}
    back = {n: (np.exp if low > 0 else lambda u: -np.expm1(-u)) for n, (low, _) in ends.items()}
    coefficients = {n: fit.posterior[n].values.ravel()[draw] for n in law.coefficients}
    least = np.inf
    for values in itertools.product(*lists.values()):
        given = dict(zip(lists, map(float, values), strict=True)) | fixed
        box = [[to[n](end) for end in ends[n]] for n in varies]
        for _ in range(zooms if varies else 1):
            axes = [np.linspace(low, high, points) for low, high in box]
            mesh = np.meshgrid(*axes, indexing="ij")
            plan = given | {n: back[n](x) for n, x in zip(varies, mesh, strict=True)}

            def spend(left, plan=plan):
                return flops(**{n: v for n, v in {**plan, balance: left}.items() if n in names})

            # Costs are straight lines in what is left over.
            start, most = spend(0.0), spend(1e18)
            left = (budget - start) / (most - start) * 1e18
            low, high = ends[balance]
            good = (left >= low) & (left <= high)
            if "N" in bounds and "N" not in law.inputs:
                good &= plan["N_active"] / (1 - plan["S"]) <= bounds["N"][1]
            plan[balance] = np.where(good, left, np.nan)
            scaled = {n: plan[n] / fit.reference[n] for n in law.inputs}
            with np.errstate(all="ignore"):  # Wild draws overflow far from their optimum.
                loss = np.where(good, law(**scaled, **coefficients), np.inf)
            least = min(least, np.min(loss))
            if varies:
                at = np.unravel_index(np.argmin(loss), loss.shape)
                box = [
                    [max(axis[i] - 3 * (axis[1] - axis[0]), axis[0]),
                     min(axis[i] + 3 * (axis[1] - axis[0]), axis[-1])]
                    for axis, i in zip(axes, at, strict=True)
                ]  # fmt: skip
    return least


@pytest.mark.parametrize("case", EXHAUSTIVE)
@pytest.mark.filterwarnings("ignore::bayescale.AllocationWarning")
def test_no_plan_of_a_fine_grid_is_better(case, mixture_runs):
    law, settings = EXHAUSTIVE[case]
    runs = mixture_runs.assign(D_unique=mixture_runs.D / 2, S_experts=mixture_runs.S)
    fit = bs.prior(law, runs, draws=60, seed=11)
    budgets = np.array([3e20, 1e22, 1e24])
    best = bs.allocate(fit, budgets, **settings)

    lists, fixed = settings.get("choose", {}), settings.get("fixed", {})
    several = len(law.inputs) - 1 - sum(n in law.inputs for n in [*lists, *fixed]) > 1
    points, every = (201, 6) if several else (20001, 1)
    for i, budget in enumerate(budgets):
        for draw in range(0, 60, every):
            least = least_of_grid(law, fit, draw, budget, settings, points, 4)
            assert float(best.loss[0, draw, i]) - least < 1e-6

    # The loss is the law's at that plan, and the plan spends the budget.
    flops = settings.get("cost", law.cost)
    inputs = {name: best[name] for name in law.inputs}
    np.testing.assert_allclose(bs.predict(fit, mean=True, **inputs), best.loss, rtol=1e-12)
    if "expansion" not in lists:
        names = set(partial_names(flops))
        used = flops(**{n: v for n, v in {**inputs, **fixed}.items() if n in names})
        np.testing.assert_allclose(used / best.budget, 1.0, rtol=1e-9)


def partial_names(function):
    import inspect

    return inspect.signature(function).parameters


def test_budgets_between_others_are_as_good(mixture_runs):
    # Of many budgets only some are searched from scratch.
    budgets = np.geomspace(1e19, 1e25, 60)
    for one, settings in (
        (sparse, {"bounds": {"S": (0, 0.9), "N": (0, 1e11)}}),
        (granularity, {"choose": {"G": [1, 2, 4, 8, 16, 32, 64]}}),
        (upcycling, {}),
    ):
        fit = bs.prior(one, mixture_runs, draws=40, seed=3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bs.AllocationWarning)
            best = bs.allocate(fit, budgets[::-1], **settings)
            each = [bs.allocate(fit, budget, **settings).loss.values for budget in budgets[7::13]]
        many = best.loss.values[..., ::-1][..., 7::13]
        np.testing.assert_allclose(many, np.stack(each, axis=-1), rtol=0, atol=1e-9)


# --- closed forms -------------------------------------------------------------------------------


def test_the_best_sparsity_is_the_published_closed_form():
    fit = bs.published(frantar, "frantar2023_t5")
    budgets = np.geomspace(1e21, 1e23, 5)
    for size in (1e8, 1e9):
        best = bs.allocate(fit, budgets, fixed={"N_active": size}, bounds={"S": (0, 0.99)})
        c = {n: fit.posterior[n].item() for n in ("a_S", "b_S", "b_N", "a_D", "b_D")}
        expected = optimal_sparsity(size, budgets, **c)
        assert ((expected > 0.05) & (expected < 0.98)).all()
        np.testing.assert_allclose(best.S.values.ravel(), expected, rtol=1e-6)


def test_upcycling_without_interaction_has_a_closed_form(mixture_runs):
    # A D1^-a1 D2^-a2 + B N^-b under 6 N (D1 + r D2): tokens are shared as a1 to a2.
    fit = bs.prior(upcycling, mixture_runs, draws=300, seed=2, priors={"alpha_3": 0.0})
    budgets = np.geomspace(1e20, 1e24, 20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.AllocationWarning)
        best = bs.allocate(fit, budgets)
    c = bs.coefficients(fit, units="raw")
    a = c.alpha_1 + c.alpha_2
    share = c.alpha_1 / a
    data = c.A * (best.budget / 6) ** -a * share**-c.alpha_1
    data = data * ((1 - share) / (5 / 3)) ** -c.alpha_2
    size = (c.beta * c.B / (a * data)) ** (1 / (a + c.beta))
    inside = (size > 1.1e4) & (size < 0.9e16) & (best.D_dense < 0.9e18) & (best.D_upcycled > 1.1e6)
    inside = inside & (best.D_dense > 1.1e6) & (best.D_upcycled < 0.9e18)
    assert float(inside.mean()) > 0.8
    assert inside.sum() > 1000
    assert float(np.abs(best.N / size - 1).where(inside).max()) < 1e-6
    tokens = best.D_dense / (best.budget / 6 / best.N * share)
    assert float(np.abs(tokens - 1).where(inside).max()) < 1e-6


@law(
    cost=lambda N, D_dense, D_upcycled, D: 6.0 * N * (D_dense + D_upcycled + D),
)
def three_corpora(
    N, D_dense, D_upcycled, D, *, E=floor(), A=amplitude(), alpha=exponent(), B=amplitude(),
    b=exponent(0.05), c=exponent(0.08), d=exponent(0.1)
):  # fmt: skip
    """Three corpora that each do their part."""
    return E + A * N**-alpha + B * D_dense**-b * D_upcycled**-c * D**-d


def test_three_free_counts_have_their_closed_form(mixture_runs):
    fit = bs.prior(three_corpora, mixture_runs, draws=200, seed=8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.AllocationWarning)
        best = bs.allocate(fit, [1e21, 1e23])
    c = fit.posterior
    total = c.b + c.c + c.d
    inside = best.N > 1.1e4
    for name, share in (("D_dense", c.b), ("D_upcycled", c.c), ("D", c.d)):
        tokens = best.budget / 6 / best.N * share / total
        inside = inside & (tokens > 1.1e6) & (tokens < 0.9e18)
        assert float(np.abs(best[name] / tokens - 1).where(inside).max()) < 1e-6
    assert float(inside.mean()) > 0.9
    # The size balances the two terms that it moves.
    slope = c.alpha * c.A * (best.N / fit.reference["N"]) ** -c.alpha
    scaled = {n: best[n] / fit.reference[n] for n in ("D_dense", "D_upcycled", "D")}
    data = c.B * scaled["D_dense"] ** -c.b * scaled["D_upcycled"] ** -c.c * scaled["D"] ** -c.d
    assert float(np.abs(slope / (total * data) - 1).where(inside).max()) < 1e-6


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


def test_a_limit_on_memory_is_respected_and_reported():
    trained = cost.sparse_training_flops
    fit = bs.published(sparse, "hossain2025_pruning")
    with warnings.catch_warnings():
        warnings.simplefilter("error", bs.AllocationWarning)
        free = bs.allocate(fit, 1e23, bounds={"S": (0, 0.99)}, cost=trained)
    total = (free.N_active / (1 - free.S)).item()
    with pytest.warns(bs.AllocationWarning, match=r"N at its high end in 100\.00%"):
        best = bs.allocate(fit, 1e23, bounds={"S": (0, 0.99), "N": (0, total / 10)}, cost=trained)
    assert best.at_bound.item() == 1.0
    assert (best.N_active / (1 - best.S)).item() == pytest.approx(total / 10, rel=1e-9)
    assert free.loss.item() < best.loss.item()
    # The best along the limit: no other sparsity is better with as much memory.
    S = np.linspace(0, 0.98, 5000)
    size = total / 10 * (1 - S)
    loss = bs.predict(fit, mean=True, N_active=size, D=1e23 * (1 - S) / 6 / size, S=S)
    assert best.loss.item() < float(loss.min()) + 1e-10
    with warnings.catch_warnings():
        warnings.simplefilter("error", bs.AllocationWarning)
        wide = bs.allocate(fit, 1e23, bounds={"S": (0, 0.99), "N": (0, 2 * total)}, cost=trained)
    assert wide.at_bound.item() == 0.0


@pytest.mark.parametrize(
    ("G", "end"), [([1, 2, 4], "high"), ([256, 512, 1024], "low"), ([1, 8, 64, 1024], None)]
)
def test_the_end_of_a_listed_choice_is_a_bound(G, end):
    fit = bs.published(granularity, "krajewski2024")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        best = bs.allocate(fit, 1e21, choose={"G": G, "expansion": [64]})
    assert best.at_bound.item() == (end is not None)
    said = [f"G at its {end} end in 100.00%"] if end else []
    assert [re.findall(r"G at its \w+ end in 100.00%", str(one.message)) for one in caught] == (
        [said] if end else []
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", bs.AllocationWarning)
        bs.allocate(fit, 1e21, choose={"G": G[:1]})


def test_both_ends_are_named(mixture_runs):
    fit = bs.prior(sparse, mixture_runs, draws=100, seed=4)
    with pytest.warns(bs.AllocationWarning, match=r"S at its low end in \d+.*%") as caught:
        best = bs.allocate(fit, 1e22, bounds={"S": (0, 0.9)})
    (text,) = [str(one.message) for one in caught if "lies at a bound" in str(one.message)]
    low, high = (float(re.search(rf"S at its {end} end in ([\d.]+)%", text)[1]) / 100
                 for end in ("low", "high"))  # fmt: skip
    assert low == pytest.approx(float((best.S < 1e-6).mean()), abs=1e-4)
    assert high == pytest.approx(float((best.S > 0.9 - 1e-6).mean()), abs=1e-4)


def test_a_budget_far_beyond_the_runs_is_flagged(olmo, olmo_fit):
    largest = float((6 * olmo.N * olmo.D).max())
    with warnings.catch_warnings():
        warnings.simplefilter("error", bs.AllocationWarning)
        assert bs.allocate(olmo_fit, 990 * largest).extrapolation == pytest.approx(990)
    with pytest.warns(bs.AllocationWarning, match=r"is 2,000 times the cost of the largest"):
        best = bs.allocate(olmo_fit, [largest, 2000 * largest])
    np.testing.assert_allclose(best.extrapolation, [1, 2000])


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
        (1e24, {"fixed": {"N": 1e9}, "bounds": {"N": (1, 2)}}, "'N', which is not free"),
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


def test_four_free_inputs_are_one_too_many(mixture_runs):
    @law(cost=lambda N, D, D_dense, D_upcycled: 6.0 * N * (D_dense + D_upcycled + D))
    def five(N, D, D_dense, D_upcycled, G, *, E=floor(), A=amplitude(), alpha=exponent()):
        return E + A * N**-alpha + 0 * D * D_dense * D_upcycled * G

    fit = bs.prior(five, mixture_runs, draws=3, seed=1)
    with pytest.raises(bs.InputError, match=r"'D' spending .*'N', 'D_dense', .*'G' are free and 3"):
        bs.allocate(fit, 1e22, bounds={"G": (1, 8)})


def test_what_costs_nothing_needs_a_limit(mixture_runs):
    fit = bs.prior(repetition, mixture_runs.assign(D_unique=1e10), draws=3, seed=1)
    with pytest.raises(bs.InputError, match=r"'D_unique' costs nothing, .*bounds=\{'D_unique'"):
        bs.allocate(fit, 1e22)


@pytest.mark.parametrize(
    ("law", "settings", "message"),
    [
        (experts, {"bounds": {"experts": (1, 64)}}, r"whole number.*choose=\{'experts': range"),
        (experts, {"choose": {"experts": [1, 1.5]}}, "'experts' is a whole number, not 1.5"),
        (sparse, {"bounds": {"S": (0, 1)}}, "'S', element 1: 1 is not below 1"),
        (sparse, {"bounds": {"S": (0.9, 0.5)}}, r"bounds of 'S' must be finite with low < high"),
        (
            sparse,
            {"bounds": {"S": (0, 0.9), "G": (1, 2)}},
            r"names 'G'.*from which N, flops follow",
        ),
        (
            sparse,
            {"bounds": {"S": (0, 0.9), "N": (0, 1e5), "D": (1e9, 1e10)}},
            r"no plan of 1e\+22 FLOP lies within the bounds .*'N': \(10000.0, 100000.0\)",
        ),
    ],
)
def test_choices_that_make_no_sense_are_refused(law, settings, message, mixture_runs):
    fit = bs.prior(law, mixture_runs, draws=3, seed=1)
    with pytest.raises(bs.InputError) as refused:
        bs.allocate(fit, 1e22, **settings)
    assert re.search(message, str(refused.value)), str(refused.value)


def test_no_run_is_larger_than_any_plausible_one():
    with pytest.raises(bs.InputError, match=r"2e\+32 FLOP is above the largest plausible run, 1e"):
        bs.allocate(PUBLISHED, [1e24, 2e32])
    assert bs.allocate(PUBLISHED, 1e31).N.item() > 1e14


def test_a_count_without_bounds_is_asked_for_them(olmo):
    @law(variables=(Variable("width", low=0, scale="width"),), cost=lambda width, D: width * D)
    def wide(width, D, *, E=floor(), A=amplitude(), alpha=exponent()):
        return E + A * width**-alpha + 0 * D

    fit = bs.prior(wide, olmo.assign(width=olmo.N), draws=3, seed=1)
    with pytest.raises(bs.InputError, match=r"'width' must be finite .*bounds=\{'width': \(low"):
        bs.allocate(fit, 1e22)
    with pytest.warns(bs.AllocationWarning):
        bs.allocate(fit, 1e22, bounds={"width": (1e5, 1e11)})


def test_an_optimum_does_not_depend_on_which_other_budgets_are_asked(of_kind):
    # Some draws of a wandering law have two basins, of which the lower changes with the budget.
    fit = of_kind("calibrated")
    budgets = np.geomspace(1e21, 1e25, 49)
    together = bs.allocate(fit, budgets)
    for i in (13, 24, 30):
        alone = bs.allocate(fit, budgets[i])
        np.testing.assert_allclose(together.loss[..., i], alone.loss, rtol=1e-9)
