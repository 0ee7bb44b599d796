"""Where one law is another, and what more parameters and tokens must do."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

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
    transferred_tokens,
    upcycling,
    upcycling_tokens,
)
from bayescale.models.clark import saturated


def decades(low, high):
    return st.floats(low, high).map(lambda x: 10.0**x)


sizes = decades(6, 13)
tokens = decades(8, 15)
floors = st.floats(0.0, 3.0)
exponents = st.floats(0.05, 0.9)
amplitudes = decades(-1, 4)
sparsities = st.floats(0.0, 0.99)
numbers = st.integers(1, 1024).map(float)


def same(one, other):
    assert one == pytest.approx(other, rel=1e-12)


# --- one law within another -----------------------------------------------------------------------


@given(sizes, tokens, floors, amplitudes, exponents, amplitudes, exponents, st.floats(-2, 2),
       st.floats(-50, 50))  # fmt: skip
def test_sparse_at_no_sparsity_is_dense(N, D, E, A, alpha, B, beta, gamma, c):
    found = sparse(N, D, 0.0, e=E, gamma=gamma, a=A, alpha=alpha, c=c, b=B, beta=beta)
    same(found, dense(N, D, E=E, A=A, alpha=alpha, B=B, beta=beta))


@given(sizes, tokens, sparsities, floors, amplitudes, exponents, amplitudes, exponents)
def test_sparse_without_a_penalty_is_dense_in_total_parameters(N, D, S, E, A, alpha, B, beta):
    found = sparse((1 - S) * N, D, S, e=E, gamma=0.0, a=A, alpha=alpha, c=0.0, b=B, beta=beta)
    assert found == pytest.approx(dense(N, D, E=E, A=A, alpha=alpha, B=B, beta=beta), rel=1e-9)


@given(sizes, tokens, floors, amplitudes, exponents, amplitudes, exponents, exponents)
def test_one_expert_is_dense(N, D, E, A, alpha, B, beta, gamma):
    found = experts(N, D, 1.0, A=A, alpha=alpha, gamma=gamma, B=B, beta=beta, sigma=E)
    same(found, dense(N, D, E=E, A=A, alpha=alpha, B=B, beta=beta))


@given(sizes, tokens, st.floats(1, 64), floors, amplitudes, exponents, amplitudes, exponents)
def test_granularity_without_a_gain_is_dense(N, D, G, E, A, alpha, B, beta):
    found = granularity(N, D, G, c=E, g=0.0, gamma=0.6, a=A, alpha=alpha, b=B, beta=beta)
    same(found, dense(N, D, E=E, A=A, alpha=alpha, B=B, beta=beta))


@given(sizes, tokens, floors, amplitudes, amplitudes, exponents, amplitudes, exponents)
def test_granularity_of_one_is_dense(N, D, E, g, a, alpha, B, beta):
    found = granularity(N, D, 1.0, c=E, g=g, gamma=0.6, a=a, alpha=alpha, b=B, beta=beta)
    same(found, dense(N, D, E=E, A=g + a, alpha=alpha, B=B, beta=beta))


@given(sizes, tokens, tokens, amplitudes, exponents, exponents, amplitudes, exponents, floors)
def test_upcycling_without_interaction_is_separable(N, D_1, D_2, A, a_1, a_2, B, beta, E):
    c = {"A": A, "alpha_1": a_1, "alpha_2": a_2, "alpha_3": 0.0, "B": B, "beta": beta, "E": E}
    same(upcycling(N, D_1, D_2, **c), A * D_1**-a_1 * D_2**-a_2 + B * N**-beta + E)


@given(tokens, tokens, amplitudes, exponents, exponents, st.floats(-2e-3, 2e-3), floors)
def test_upcycling_at_one_size_is_the_law_of_tokens(D_1, D_2, A, a_1, a_2, a_3, E):
    c = {"A": A, "alpha_1": a_1, "alpha_2": a_2, "alpha_3": a_3, "E": E}
    same(upcycling_tokens(D_1, D_2, **c), upcycling(1e9, D_1, D_2, B=0.0, beta=0.3, **c))


@given(sizes, tokens, tokens, floors, amplitudes, exponents, amplitudes, exponents, exponents)
def test_nothing_transferred_is_training_from_scratch(N, D_1, D_2, E, A, alpha, B, beta, q):
    found = transferred(N, D_1, D_2, A=A, alpha=alpha, r=0.0, q=q, B=B, beta=beta, E=E)
    same(found, dense(N, D_2, E=E, A=B, alpha=beta, B=A, beta=alpha))


@given(sizes, tokens, floors, amplitudes, exponents, amplitudes, exponents)
def test_every_token_transferred_is_one_long_run(N, D, E, A, alpha, B, beta):
    c = {"A": A, "alpha": alpha, "r": 1.0, "q": 1.0, "B": B, "beta": beta, "E": E}
    same(transferred(N, D, 3 * D, **c), dense(N, 4 * D, E=E, A=B, alpha=beta, B=A, beta=alpha))


@given(tokens, tokens, floors, amplitudes, exponents, decades(-2, 1), exponents)
def test_transferred_at_one_size_is_the_law_of_tokens(D_1, D_2, E, A, alpha, r, q):
    c = {"A": A, "alpha": alpha, "r": r, "q": q, "E": E}
    same(transferred_tokens(D_1, D_2, **c), transferred(1e9, D_1, D_2, B=0.0, beta=0.3, **c))


@given(tokens, exponents, st.floats(0.05, 1), st.floats(0.5, 1))
def test_a_better_parent_gains_less_from_further_tokens(D, alpha, r, q):
    c = {"A": 10.0, "alpha": alpha, "r": r, "q": q, "E": 0.0}
    gains = [transferred_tokens(seen, D, **c) - transferred_tokens(seen, 2 * D, **c)
             for seen in (D / 10, D, 10 * D)]  # fmt: skip
    assert gains[0] > gains[1] > gains[2] > 0


@given(sizes, tokens, floors, amplitudes, decades(-2, 2), exponents, exponents)
def test_coupled_at_k_of_one_is_dense(N, D, E, A, R, alpha, beta):
    found = coupled(N, D, E=E, A=A, R=R, alpha=alpha, beta=beta, k=1.0)
    same(found, dense(N, D, E=E, A=A / (1 + R), alpha=alpha, B=A * R / (1 + R), beta=beta))


@given(sizes, tokens, floors, amplitudes, decades(-2, 2), exponents, exponents, st.floats(0.2, 1.5))
def test_coupled_is_the_paper_s_formula(N, D, E, A, R, alpha, beta, k):
    # In the letters of Skaling: A_S, R, alpha_S, beta_S, k.
    A_S, alpha_S, beta_S = A / (1 + R) ** k, alpha / k, beta / k
    skaling = E + A_S * (N**-alpha_S + R * D**-beta_S) ** k
    same(coupled(N, D, E=E, A=A, R=R, alpha=alpha, beta=beta, k=k), skaling)


@given(sizes, tokens, floors, decades(7, 12), st.floats(0.1, 0.5), decades(7, 12),
       st.floats(0.1, 0.5))  # fmt: skip
def test_kaplan_with_a_floor_is_coupled_with_k_of_beta(N, D, E, N_c, alpha, D_c, beta):
    A_S, R = N_c**alpha, D_c / N_c ** (alpha / beta)
    c = {"A": A_S * (1 + R) ** beta, "R": R, "alpha": alpha, "beta": beta, "k": beta}
    found = kaplan_floor(N, D, E=E, N_c=N_c, alpha_N=alpha, D_c=D_c, alpha_D=beta)
    assert found == pytest.approx(coupled(N, D, E=E, **c), rel=1e-9)


@given(sizes, tokens, decades(9, 15), exponents, decades(9, 15), exponents)
def test_kaplan_is_kaplan_with_a_floor_of_zero(N, D, N_c, alpha_N, D_c, alpha_D):
    c = {"N_c": N_c, "alpha_N": alpha_N, "D_c": D_c, "alpha_D": alpha_D}
    same(kaplan_floor(N, D, E=0.0, **c), kaplan(N, D, **c))


@given(decades(7, 10), decades(8, 15), decades(0, 3), floors, amplitudes, exponents, amplitudes,
       exponents)  # fmt: skip
def test_repetition_of_unique_data_is_dense(N, D, more, E, A, alpha, B, beta):
    # For models no larger than the tokens call for, where both terms' slopes are equal.
    assume(alpha * A * N**-alpha > 1.001 * beta * B * D**-beta)
    c = {"E": E, "A": A, "alpha": alpha, "B": B, "beta": beta}
    found = repetition(N, D, more * D, **c, R_N_star=5.3, R_D_star=15.4)
    same(found, dense(N, D, **c))


@given(sizes, tokens, decades(-3, 1), floors, amplitudes, exponents, amplitudes, exponents)
def test_repetition_at_no_decay_is_dense(N, D, unique, E, A, alpha, B, beta):
    # As R* grows a repeat is worth a new token, and an excess parameter a parameter.
    c = {"E": E, "A": A, "alpha": alpha, "B": B, "beta": beta}
    called_for = (alpha * A / (beta * B)) ** (1 / alpha) * min(D, unique * D) ** (beta / alpha)
    assume(called_for / N > 1e-3)
    found = repetition(N, D, unique * D, **c, R_N_star=1e8, R_D_star=1e8)
    assert found == pytest.approx(dense(N, D, **c), rel=2e-5)


@given(sizes, tokens, st.floats(0.1, 100), floors, amplitudes, exponents, decades(7, 12), exponents)
def test_frantar_at_no_sparsity_is_dense(N, D, a_S, E, c_S, b_N, a_D, b_D):
    found = frantar(N, D, 0.0, a_S=a_S, b_S=0.7, c_S=c_S, b_N=b_N, a_D=a_D, b_D=b_D, c=E)
    same(found, dense(N, D, E=E, A=a_S + c_S, alpha=b_N, B=a_D**b_D, beta=b_D))


@given(sizes, tokens, floors, floors, amplitudes, exponents, amplitudes, exponents, amplitudes)
def test_abnar_at_no_sparsity_is_dense_with_two_size_terms(N, D, e, c, a, alpha, b, beta, d):
    found = abnar(N, D, 0.0, a=a, alpha=alpha, b=b, beta=beta, c=c, lambda_=-0.17, d=d, delta=0.16,
                  gamma=0.16, e=e)  # fmt: skip
    same(found, dense(N, D, E=e + c, A=a, alpha=alpha, B=b, beta=beta) + d * N**-0.16)


@given(sizes, tokens, numbers, floors, amplitudes, exponents, amplitudes, exponents)
def test_joint_law_without_effects_of_experts_is_dense(N, D, count, E, A, alpha, B, beta):
    still = {"delta": 0.0, "gamma": 0.0, "omega": 0.0, "zeta": 0.0, "E_start": 2.0, "E_max": 300.0}
    found = joint_moe(N, D, count, a=A, alpha=-alpha, b=B, beta=-beta, c=E, **still)
    same(found, dense(N, D, E=E, A=A, alpha=alpha, B=B, beta=beta))


@given(sizes, tokens, numbers)
def test_joint_law_at_one_number_of_experts_is_dense(N, D, count):
    c = joint_moe.published["ludziejewski2025"].values
    e = saturated(count, c["E_start"], c["E_max"])
    fixed = {
        "E": c["c"],
        "A": c["a"] * e ** c["delta"],
        "alpha": -c["alpha"] - c["gamma"] * math.log(e),
        "B": c["b"] * e ** c["omega"],
        "beta": -c["beta"] - c["zeta"] * math.log(e),
    }
    same(joint_moe(N, D, count, **c), dense(N, D, **fixed))


@given(sizes, st.sampled_from(sorted(clark.published)))
def test_clark_at_one_expert_is_a_power_law(N, name):
    c = clark.published[name].values
    start = math.log10(c["E_start"])
    power = 10 ** (c["d"] + c["b"] * start) * N ** (c["a"] + c["c"] * start)
    same(clark(N, 1.0, **c), power)


@given(decades(-3, 3), decades(-3, 3), st.floats(0.1, 1), st.floats(0.1, 1), st.floats(0.1, 0.6))
def test_farseer_whose_data_term_ignores_the_size_is_separable(N, D, b_2, b_3, power):
    c = {"a_1": 0.0, "b_1": math.log(power), "alpha": 0.2, "a_2": 0.0, "b_2": b_2, "beta": 0.2,
         "a_3": -0.1, "b_3": b_3, "gamma": -0.2}  # fmt: skip
    at_one = farseer(N, 1.0, **c) - math.exp(b_2)
    assert farseer(N, D, **c) == pytest.approx(at_one + math.exp(b_2) * D**-power, rel=1e-10)


@given(numbers, st.floats(1.1, 10), st.floats(50, 1000))
def test_the_saturating_count_stays_between_its_ends(count, start, end):
    assert start * (1 - 1e-9) <= saturated(count, start, end) < end
    assert saturated(1.0, start, end) == pytest.approx(start, rel=1e-9)


# --- more never hurts -----------------------------------------------------------------------------

SETS = [(law, name) for law, found in laws().items() for name in found.published]
RANGES = {
    "N": (1e7, 1e13), "N_active": (1e7, 1e13), "D": (1e9, 1e15), "D_unique": (1e9, 1e15),
    "D_dense": (1e9, 1e13), "D_upcycled": (1e9, 1e13),
}  # fmt: skip
# Beyond its cut-off Clark's law says that experts hurt, and Krajewski's has none at all.
OTHERS = {"S": [0.0, 0.5, 0.9], "S_experts": [0.0, 0.5, 0.9], "G": [1.0, 8.0, 64.0],
          "experts": [1.0, 8.0, 64.0]}  # fmt: skip


@pytest.mark.parametrize(("name", "published"), SETS)
def test_more_parameters_or_tokens_never_hurt(name, published):
    law = laws()[name]
    c = law.published[published].values
    rng = np.random.default_rng(0)
    points = {}
    for other in law.inputs:
        if other in RANGES:
            points[other] = np.exp(rng.uniform(*np.log(RANGES[other]), 200))
        else:
            points[other] = rng.choice(OTHERS[other], 200)
    for grown in set(law.inputs) & set(RANGES):
        path = np.geomspace(*RANGES[grown], 100)[:, None]
        rises = np.diff(law(**(points | {grown: path}), **c), axis=0)
        assert (rises <= 1e-12).all(), grown


def test_more_experts_help_below_the_cut_off():
    counts = np.geomspace(1, 512, 40)
    for found in clark.published.values():
        for N in (1e7, 1e8, 1e9, 1e10):
            assert (np.diff(clark(N, counts, **found.values)) < 0).all()


def test_finer_experts_help_where_routing_is_free():
    for found in granularity.published.values():
        losses = granularity(1e10, 1e11, np.geomspace(1, 64, 40), **found.values)
        assert (np.diff(losses) < 0).all()
