"""Cost models: training FLOPs as the papers count them."""

import inspect

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bayescale as bs
from bayescale import cost
from bayescale.language.variables import VARIABLES
from bayescale.models import dense, granularity, joint_moe, upcycling

MODELS = [getattr(cost, name) for name in cost.__all__]
COUNTS = st.floats(7, 13).map(lambda x: 10.0**x)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_inputs_are_of_the_vocabulary_and_settings_are_keywords(model):
    for parameter in inspect.signature(model).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            assert parameter.default is not parameter.empty
        else:
            assert parameter.name in {*VARIABLES, "S_experts"}


def test_chinchilla():
    assert cost.dense_flops(70e9, 1.4e12) == pytest.approx(5.88e23)
    assert cost.active_flops(13e9, 2e12) == cost.dense_flops(13e9, 2e12)


def test_sparse_training_is_counted_dense_or_active():
    # At a sparsity of 3/4 the dense count is four times the active one.
    active, S = 1e9, 0.75
    counted_dense = cost.sparse_training_flops(active, 1e11, S)
    assert counted_dense == 4 * cost.active_flops(active, 1e11)
    assert counted_dense == cost.dense_flops(active / (1 - S), 1e11)


@given(COUNTS, COUNTS, st.floats(0, 0.99), st.floats(0, 1))
def test_experts_are_counted_by_what_they_hold(N, D, S_experts, share):
    flops = cost.expert_flops(N, D, S_experts, expert_share=share)
    assert flops == pytest.approx(6 * N * (1 - share * S_experts) * D, rel=1e-12)
    assert flops <= cost.dense_flops(N, D) * (1 + 1e-12)


@pytest.mark.parametrize(("blocks", "expansion"), [(8, 64), (20, 64), (30, 16)])
def test_routing_is_what_granularity_costs(blocks, expansion):
    # F = (12 d^2 c_f + d E G c_r) D n with d = 64 n and N = (8 E + 4) d^2 n.
    width = 64 * blocks
    N, active = (8 * expansion + 4) * width**2 * blocks, 12 * width**2 * blocks
    for G in (1, 8, 64):
        flops = cost.granular_flops(N, 1e11, G, expansion=expansion)
        routing = 14 * width * expansion * G * 1e11 * blocks
        assert flops == pytest.approx(6 * active * 1e11 + routing, rel=1e-12)
        free = cost.granular_flops(N, 1e11, G, expansion=expansion, c_r=0.0)
        assert free == pytest.approx(6 * active * 1e11, rel=1e-12)


def test_total_over_active_parameters():
    # 43 at an expansion of 64, 11 at 16.
    for expansion, ratio in {64: 43, 16: 11}.items():
        flops = cost.granular_flops(ratio * 1e9, 1e11, 1, expansion=expansion, c_r=0.0)
        assert flops == pytest.approx(cost.active_flops(1e9, 1e11), rel=1e-12)


def test_upcycling_counts_the_parent_unless_it_is_there():
    both = cost.upcycling_flops(1e9, 1e11, 2e10)
    only = cost.upcycling_flops(1e9, 1e11, 2e10, sunk=True)
    assert both - only == pytest.approx(cost.dense_flops(1e9, 1e11), rel=1e-12)
    assert only == pytest.approx(cost.active_flops(5 / 3 * 1e9, 2e10), rel=1e-12)
    assert cost.upcycling_flops(1e9, 1e11, 2e10, sunk=True, active_ratio=1.0) == 6e9 * 2e10


def test_inference_adds_two_flops_a_parameter_and_token():
    for model in (cost.with_inference, cost.active_with_inference):
        assert model(1e9, 1e11) == cost.dense_flops(1e9, 1e11)
        assert model(1e9, 1e11, inference_tokens=3e11) == 2 * cost.dense_flops(1e9, 1e11)


def test_counts_of_whole_numbers_do_not_overflow_as_floats():
    N, D = np.array([70_000_000_000.0]), np.array([15_000_000_000_000.0])
    assert cost.dense_flops(N, D)[0] == pytest.approx(6.3e24)
    # A float constant comes first, so even 64-bit integers do not wrap around.
    assert cost.dense_flops(N.astype(np.int64), D.astype(np.int64))[0] == pytest.approx(6.3e24)


@pytest.mark.parametrize(
    ("law", "name", "plan"),
    [
        (dense, "besiroglu2024", {}),
        (granularity, "krajewski2024", {"choose": {"G": [1, 8, 64]}}),
        (joint_moe, "ludziejewski2025", {"choose": {"experts": [1, 8, 32]}}),
        (upcycling, "liew2025", {"fixed": {"D_dense": 1e11, "sunk": True}}),
    ],
)
def test_an_allocation_spends_the_budget_by_the_law_s_own_model(law, name, plan):
    best = bs.allocate(bs.published(law, name), 1e22, **plan)
    arguments = inspect.signature(law.cost).parameters
    settings = {n: v for n, v in plan.get("fixed", {}).items() if n not in law.inputs}
    spent = law.cost(**{n: best[n].item() for n in arguments if n in law.inputs}, **settings)
    assert spent == pytest.approx(1e22, rel=1e-9)
