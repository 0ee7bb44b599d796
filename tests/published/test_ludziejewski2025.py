"""Ludziejewski et al. 2025 (arXiv:2502.05172): the joint law of mixtures of experts."""

import math

import numpy as np
import pytest

import bayescale as bs
from bayescale import cost
from bayescale.models import joint_moe
from bayescale.models.clark import saturated

C = joint_moe.published["ludziejewski2025"].values

# experts: m, mu, n, nu of m N^mu + n D^nu + c
TABLE_4 = {
    1: (30.3640, -0.1817, 53.9838, -0.1965),
    2: (27.7982, -0.1780, 66.8401, -0.2065),
    4: (24.8462, -0.1731, 87.7022, -0.2192),
    8: (21.8330, -0.1676, 119.9126, -0.2338),
    16: (19.0159, -0.1617, 167.5073, -0.2494),
    32: (16.5424, -0.1557, 234.6726, -0.2652),
}

# budget: active parameters and tokens in billions for 1, 2, 4, 8, 16, 32 experts, as printed
TABLE_1 = {
    1e20: ("1.7 1.5 1.2 .99 .81 .669", "9.7 11.4 13.9 17 20.7 24.9"),
    1e21: ("5.7 5 4.4 3.8 3.3 2.85", "29.3 33 38 44.3 51.2 58.4"),
    1e22: ("18.8 17.4 15.8 14.4 13.2 12.2", "88.6 96 105.4 115.8 126.5 136.9"),
}


@pytest.mark.parametrize("experts", TABLE_4)
def test_table_4_is_the_law_at_each_number_of_experts(experts):
    m, mu, n, nu = TABLE_4[experts]

    def size(N_active):
        return joint_moe(N_active, 1e10, experts, **(C | {"b": 0.0, "c": 0.0}))

    def data(D):
        return joint_moe(1e9, D, experts, **(C | {"a": 0.0, "c": 0.0}))

    for term, amplitude, exponent in ((size, m, mu), (data, n, nu)):
        slope = math.log(term(1e11) / term(1e9)) / math.log(1e2)
        assert slope == pytest.approx(exponent, rel=0.003)
        assert term(1.0) == pytest.approx(amplitude, rel=0.003)


@pytest.mark.parametrize("budget", TABLE_1)
def test_table_1_is_the_optimal_allocation(budget):
    fit = bs.published(joint_moe, "ludziejewski2025")
    active, tokens = (row.split() for row in TABLE_1[budget])
    for experts, N_active, D in zip(TABLE_4, active, tokens, strict=True):
        best = bs.allocate(fit, budget, fixed={"experts": experts})
        # Within 2 %, or half a unit of the last printed digit where that is more.
        digit = 0.5 * 10.0 ** -len(N_active.partition(".")[2])
        assert best.N_active.item() / 1e9 == pytest.approx(float(N_active), rel=0.02, abs=digit)
        assert best.D.item() / 1e9 == pytest.approx(float(D), rel=0.02)


def test_exponents_are_negative_as_in_the_paper():
    assert C["alpha"] < 0
    assert C["beta"] < 0


def test_the_allocation_exponent_grows_with_experts():
    # a = nu / (mu + nu): .520 for dense models, .582 at 8 experts, .630 at 32.
    fit = bs.published(joint_moe, "ludziejewski2025")
    for experts, exponent in {1: 0.520, 8: 0.582, 32: 0.630}.items():
        best = bs.allocate(fit, [1e20, 1e22], fixed={"experts": experts}).N_active.squeeze()
        found = math.log(best[1] / best[0]) / math.log(100)
        assert found == pytest.approx(exponent, abs=0.001)


def test_saturation_starts_at_e_start():
    assert saturated(1.0, C["E_start"], C["E_max"]) == pytest.approx(2.0732, rel=1e-12)
    np.testing.assert_array_less(saturated(np.geomspace(1, 1e9), 2.0732, 290.4521), 290.4521)


def test_inference_tokens_call_for_a_smaller_model():
    fit = bs.published(joint_moe, "ludziejewski2025")
    plain = bs.allocate(fit, 1e22, fixed={"experts": 8})
    served = bs.allocate(
        fit,
        1e22,
        cost=cost.active_with_inference,
        fixed={"experts": 8, "inference_tokens": 1e12},
    )
    spent = 6 * served.N_active * served.D + 2 * served.N_active * 1e12
    assert spent.item() == pytest.approx(1e22, rel=1e-9)
    assert served.N_active.item() < 0.7 * plain.N_active.item()
