"""What each listed choice, and each plan that somebody has, is worth."""

import json

import numpy as np
import pandas as pd
import pytest

import bayescale as bs
from bayescale.models import clark, dense, experts, granularity, sparse, transferred

FINE = bs.published(granularity, "krajewski2024")
LISTED = {"G": [1, 4, 16, 64]}


@pytest.fixture(scope="module")
def routed():
    runs = bs.load_runs("clark2022").query(
        "top_k == 1 and routing_frequency == 0.5 and seed == 42 and router in ('RL-R', 'Dense')"
    )
    return bs.fit(clark, runs, method="laplace", seed=1)


def test_the_best_choice_is_the_one_that_decide_takes():
    found = bs.choices(FINE, 1.93e20, choose=LISTED)
    plan = bs.decide(FINE, 1.93e20, choose=LISTED)
    best = found.isel(choice=found.attrs["best"])
    for name in ("N", "D", "G", "expected_loss"):
        assert best[name].item() == pytest.approx(plan[name].item(), rel=1e-6)
    assert (found.behind >= 0).all()
    assert found.attrs["at_end"] == []


def test_active_parameters_of_fine_experts():
    # Twelve of 8 E + 4 parts: 43 times fewer than all at E = 64.
    found = bs.choices(FINE, 1.93e20, choose=LISTED)
    np.testing.assert_allclose(found.total / found.active, 516 / 12)
    found = bs.choices(FINE, 1.93e20, choose=LISTED, fixed={"expansion": 16})
    np.testing.assert_allclose(found.total / found.active, 132 / 12)


@pytest.mark.filterwarnings("ignore")
def test_more_experts_are_free_until_memory_is_said(routed):
    options = {"choose": {"experts": [8, 32, 128, 512]}, "fixed": {"D": 1.3e11}, "trust": True}
    found = bs.choices(routed, 1e21, **options)
    assert found.attrs["at_end"] == ["experts"]
    # All parameters as the table counts them at that number of experts.
    runs = bs.load_runs("clark2022").query("experts == 512 and top_k == 1")
    ratio = (runs.N / runs.N_active).median()
    assert float((found.total / found.active)[-1]) == pytest.approx(ratio, rel=0.05)


@pytest.mark.filterwarnings("ignore")
def test_choices_that_memory_has_no_room_for_are_named(routed):
    # The tokens are given, so that the budget sets the size: 8 and 32 experts of it fit.
    options = {"choose": {"experts": [8, 32, 128, 512]}, "fixed": {"D": 1.3e11}, "trust": True}
    room = {"bounds": {"memory": (0, 2e10)}}
    found = bs.choices(routed, 1e21, **options, **room)
    assert found.experts.values.tolist() == [8, 32]
    assert [one["experts"] for one in found.attrs["impossible"]] == [128, 512]
    assert (found.total < 2e10).all()
    assert bs.decide(routed, 1e21, **options, **room).experts.item() == 32
    with pytest.raises(bs.InputError, match="no plan of 1e"):
        bs.choices(routed, 1e21, **options, bounds={"memory": (0, 1e9)})


@pytest.mark.filterwarnings("ignore")
def test_memory_bounds_what_only_the_runs_tell():
    """Of a law in active parameters and experts, all parameters follow from the runs alone."""
    runs = bs.load_runs("marin_moe").query("recipe == 'experts'")
    fit = bs.prior(experts, runs, draws=20, seed=1)
    options = {"choose": {"experts": [64, 256]}}
    free = bs.allocate(fit, 1e21, **options)
    best = bs.allocate(fit, 1e21, **options, bounds={"memory": (0, 5e9)})
    ratio = (runs.N / runs.N_active).groupby(runs.experts).median()
    total = best.N_active * np.where(best.experts == 64, ratio[64], ratio[256])
    assert (total < 5.1e9).all()
    assert float((best.loss - free.loss).min()) > -1e-9
    assert best.at_bound.item() > 0.5


def test_the_largest_of_a_list_that_costs_nothing_is_said_to_be_the_lists(routed):
    options = {"choose": {"experts": [8, 32]}, "fixed": {"D": 1.3e11}}
    for verb in (bs.decide, bs.allocate):
        with pytest.warns(bs.AllocationWarning, match="the list decided, not the runs"):
            verb(routed, 1e21, **options)


@pytest.mark.filterwarnings("ignore::bayescale.AllocationWarning")
def test_it_is_said_what_the_end_of_the_list_means(routed):
    def reading(fit, values, **options):
        name = "G" if fit is FINE else "experts"
        return bs.choices(fit, 1e21, choose={name: values}, **options).attrs["reading"]

    # Granularity is priced by the cost model, experts that a token leaves unused are not.
    assert reading(FINE, [1, 16, 64]) == ""
    assert reading(FINE, [1, 4]) == (
        "G = 4 is the largest listed, what it costs is priced, and more may be better still: list "
        "more."
    )
    assert "G = 32 is the smallest listed" in reading(FINE, [32, 64])
    given = {"fixed": {"D": 1.3e11}, "trust": True}
    free = reading(routed, [8, 32], **given)
    assert "nothing that was priced grows with it" in free
    assert "bounds={'memory'" in free
    room = {"bounds": {"memory": (0, 1e11)}}
    assert "leaves memory free" in reading(routed, [8, 32], **given, **room)
    # With tokens and size to choose, more experts than there is room for make the model smaller.
    fit = bs.published(sparse, "hossain2025_moe")
    held = bs.choices(fit, 1e22, choose={"S": [0.0, 0.5]}, bounds={"memory": (0, 2e9)})
    assert held.limited.all()
    assert "fills memory" in held.attrs["reading"]


@pytest.mark.filterwarnings("ignore::bayescale.AllocationWarning")
def test_what_a_loss_costs_says_that_the_list_decided(routed):
    with pytest.warns(bs.AllocationWarning, match="the list decided, not the runs"):
        bs.required_budget(routed, 2.2, choose={"experts": [8, 32]}, fixed={"D": 1.3e11})


def test_memory_of_a_dense_parent_is_not_what_is_asked():
    runs = bs.load_runs("liew2025").query("experts == 8 and top_k == 2")
    fit = bs.prior(transferred, runs, draws=2, seed=1)
    with pytest.raises(bs.InputError, match="total parameters do not follow"):
        bs.allocate(fit, 1e21, bounds={"memory": (0, 1e10)})
    with pytest.raises(bs.InputError, match="the most parameters that a plan may have"):
        bs.allocate(FINE, 1e21, choose=LISTED, bounds={"memory": (1e9, 1e10)})
    with pytest.raises(bs.InputError, match="above the limit on memory"):
        bs.allocate(FINE, 1e21, choose=LISTED, fixed={"N": 2e10}, bounds={"memory": (0, 1e10)})


def test_memory_bounds_all_parameters():
    fit = bs.published(sparse, "hossain2025_moe")
    options = {"choose": {"S": [0.0, 0.5, 0.9, 0.98]}}
    free = bs.choices(fit, 1e22, **options)
    held = bs.choices(fit, 1e22, bounds={"memory": (0, 2e10)}, **options)
    assert (held.total <= 2e10 * (1 + 1e-6)).all()
    assert held.limited.values.tolist() == (free.total > 2e10).values.tolist()
    assert (held.expected_loss >= free.expected_loss - 1e-9).all()


def test_what_cannot_be_listed_or_bounded_is_refused():
    with pytest.raises(bs.InputError, match="nothing is listed"):
        bs.choices(bs.published(dense, "besiroglu2024"), 1e22)
    with pytest.raises(bs.InputError, match="total parameters do not follow"):
        bs.choices(
            bs.published(clark, "clark2022_hash"),
            1e22,
            bounds={"memory": (0, 1e11)},
            choose={"experts": [8, 64]},
            fixed={"D": 1.3e11},
        )


def test_plans_that_can_be_built():
    fit = bs.published(dense, "besiroglu2024")
    best = bs.allocate(fit, 1e23)
    shapes = pd.DataFrame({"N": [best.N.item(), 2e10, 1e11], "D": [best.D.item(), 1e12, 1e13]})
    found = bs.score_plans(fit, shapes, budget=1.3e23)
    assert found.affordable.values.tolist() == [True, True, False]
    assert found.expected_regret[0].item() == pytest.approx(0.0, abs=1e-9)
    assert (found.regret >= -1e-9).all()
    np.testing.assert_allclose(found.flops, 6 * shapes.N * shapes.D)
    with pytest.raises(bs.InputError, match="cheapest plan costs"):
        bs.score_plans(fit, shapes, budget=1e20)


def test_another_decade_buys_what_the_closed_form_says():
    fit = bs.published(dense, "besiroglu2024")
    c = dense.published["besiroglu2024"].values
    power = c["alpha"] * c["beta"] / (c["alpha"] + c["beta"])
    found = bs.worth_of_more(fit, 1e22)
    above = found.loss.item() - c["E"]
    assert found.gain.item() == pytest.approx(above * (1 - 10**-power), rel=1e-6)


def test_a_table_that_counts_compute_otherwise_is_noticed():
    # Marin's counts attention: 1.5 to 2.2 times 6 N_active D.
    runs = bs.load_runs("marin_moe").query("recipe == 'experts'")
    fit = bs.prior(experts, runs, draws=20, seed=1)
    with pytest.warns(bs.AllocationWarning, match=r"FLOPs are 1\.\d+ times what the cost model"):
        best = bs.allocate(fit, 1e20, choose={"experts": [64, 128]})
    assert best.extrapolation.item() == pytest.approx(1e20 / runs.flops.max())
    assert 1.5 < json.loads(best.attrs["assumptions"])["flops_listed"] < 2.2


def test_a_dense_parent_is_not_all_parameters():
    from bayescale.decisions.parameter_counts import total_parameters
    from bayescale.decisions.plans import plans

    runs = bs.load_runs("liew2025").query("experts == 8 and top_k == 2")
    fit = bs.prior(transferred, runs, draws=2, seed=1)
    space = plans(fit, fixed={"N": 1e9})
    assert total_parameters(fit, space, {"N": 1e9, "D_dense": 1e10, "D_upcycled": 1e10}) is None
