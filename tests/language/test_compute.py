"""Where a run stands: its compute and its tokens per parameter, also where a law says little."""

import numpy as np
import pytest

import bayescale as bs
from bayescale.language.compute import flops_of, law_flops, tokens_per_parameter, training_compute
from bayescale.models import clark, dense, laws, sparse


def test_compute_is_by_the_law_s_cost_model():
    inputs = {"N": np.array([1e9, 7e10]), "D": np.array([2e10, 1.4e12])}
    np.testing.assert_allclose(training_compute(dense, inputs), 6 * inputs["N"] * inputs["D"])
    np.testing.assert_allclose(tokens_per_parameter(dense, inputs), [20, 20])


def test_what_the_cost_model_needs_is_derived():
    inputs = {"N_active": 1e9, "D": 2e10, "S": 0.5}
    assert training_compute(sparse, inputs) == pytest.approx(sparse.cost(N_active=1e9, D=2e10))
    assert tokens_per_parameter(sparse, inputs) == 20


def test_a_law_without_tokens_has_no_flops_but_an_order():
    inputs = {"N_active": np.array([1e8, 1e9]), "experts": np.array([8.0, 8.0])}
    assert law_flops(clark, inputs) is None
    np.testing.assert_array_equal(training_compute(clark, inputs), inputs["N_active"])
    assert tokens_per_parameter(clark, inputs) is None


def test_a_cost_model_s_own_settings_have_their_defaults():
    def cost(N, D, *, repeats=2.0):
        return 6 * N * D * repeats

    assert flops_of(cost, {"N": 1e9, "D": 2e10}) == 2.4e20
    assert flops_of(cost, {"N": 1e9, "D": 2e10, "repeats": 3.0}) == pytest.approx(3.6e20)
    assert flops_of(cost, {"N": 1e9, "repeats": 3.0}) is None


def test_a_law_without_a_cost_model_goes_by_its_counts():
    @bs.law
    def mine(N, D, depth, *, E=bs.floor(), A=bs.amplitude(), a=bs.exponent()):
        return E + A * (N * D * depth) ** -a

    assert training_compute(mine, {"N": 2.0, "D": 3.0, "depth": 7.0}) == 6.0


@pytest.mark.parametrize("name", laws())
def test_compute_of_every_law_grows_with_its_counts(name):
    law = laws()[name]
    few = {
        n: {"S": 0.5, "S_experts": 0.5, "G": 4.0, "experts": 8.0}.get(n, 1e9) for n in law.inputs
    }
    more = {n: x if x < 100 else 10 * x for n, x in few.items()}
    assert 0 < training_compute(law, few) < training_compute(law, more)
