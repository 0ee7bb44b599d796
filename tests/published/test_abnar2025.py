"""Abnar et al. 2025 (arXiv:2501.12370): sparsity of experts."""

import numpy as np
import pytest

import bayescale as bs
from bayescale import cost
from bayescale.models import abnar, sparse

C = abnar.published["abnar2025"].values


def test_loss_at_the_held_out_sparsity():
    assert abnar(18.8e9, 110.2e9, 0.98, **C) == pytest.approx(2.169, abs=0.0005)


def test_the_constant_part_of_a_dense_model():
    assert C["c"] + C["e"] == pytest.approx(1.3998, abs=1e-12)
    assert abnar(1e30, 1e30, 0.0, **C) == pytest.approx(1.3998, abs=1e-3)


def test_the_mixture_set_of_hossain_is_a_fit_to_this_law():
    # Within -0.02 to +0.13 nats, with N the active parameters there and the total ones here.
    total, tokens, S = np.meshgrid(
        np.geomspace(1e9, 19e9, 5),
        np.geomspace(20e9, 110e9, 4),
        [0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98],
    )
    other = sparse((1 - S) * total, tokens, S, **sparse.published["hossain2025_moe"].values)
    gap = other - abnar(total, tokens, S, **C)
    assert -0.025 < gap.min() < 0
    assert 0.1 < gap.max() < 0.135


def test_at_given_compute_sparser_is_better_larger_and_less_active():
    fit = bs.published(abnar, "abnar2025")
    found = [bs.allocate(fit, 1e20, fixed={"S_experts": s}) for s in (0, 0.5, 0.75, 0.9, 0.95)]
    losses = [best.loss.item() for best in found]
    sizes = np.array([best.N.item() for best in found])
    active = sizes * (1 - np.array([0, 0.5, 0.75, 0.9, 0.95]))
    assert (np.diff(losses) < 0).all()
    assert (np.diff(sizes) > 0).all()
    assert (np.diff(active) < 0).all()


def test_at_a_given_size_an_interior_sparsity_is_best():
    # It rises with the size, and falls with the budget at one size.
    S = np.linspace(0, 0.99, 496)

    def best(N, budget):
        tokens = budget / cost.expert_flops(N, 1.0, S)
        return S[abnar(N, tokens, S, **C).argmin()]

    by_size = [best(N, 1e20) for N in (1e9, 2e9, 4e9)]
    by_budget = [best(2e9, C) for C in (3e19, 1e20, 3e20)]
    assert 0 < by_size[0] < by_size[1] < by_size[2] < 0.99
    assert 0.99 > by_budget[0] > by_budget[1] > by_budget[2] > 0


def test_share_of_experts_against_share_of_parameters():
    # Where experts hold 80 % of the parameters, S = 0.8 S_experts.
    flops = cost.expert_flops(1e10, 2e11, 0.75, expert_share=0.8)
    assert flops == pytest.approx(cost.active_flops(1e10 * (1 - 0.8 * 0.75), 2e11), rel=1e-15)


def test_the_vocabulary_s_sparsity_is_not_taken_for_it():
    runs = bs.load_runs("clark2022")
    assert "S" in runs
    with pytest.raises(bs.InputError, match="no column 'S_experts'"):
        bs.fit(abnar, runs)
