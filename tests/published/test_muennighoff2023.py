"""Muennighoff et al. 2023 (arXiv:2305.16264): repeated data."""

import math

import numpy as np
import pytest

import bayescale as bs
from bayescale.models import dense, repetition

C = repetition.published["muennighoff2023"].values


@pytest.mark.parametrize(
    ("N", "D", "loss"),
    [(6.34e9, 242e9, 2.2256440889984477), (8.67e9, 178e9, 2.2269634075087867)],
)
def test_the_two_losses_of_the_authors_readme(N, D, loss):
    assert repetition(N, D, 25e9, **C) == pytest.approx(loss, rel=1e-15)


def test_coefficients_as_the_paper_rounds_them():
    assert pytest.approx(520.8, abs=0.05) == C["A"]
    assert pytest.approx(1487.6, abs=0.2) == C["B"]
    assert pytest.approx(1.869, abs=0.0005) == C["E"]


def test_the_base_is_the_dense_set():
    base = dense.published["muennighoff2023"].values
    assert base == {name: C[name] for name in base}


def test_what_repeated_tokens_are_worth():
    # Never more than R_D* first passes; with data to spare a token is a token.
    model, unique = 1e8, 1e11
    worth = []
    for epochs in (1, 4, 40, 4000):
        loss = repetition(model, epochs * unique, unique, **C)
        worth.append((C["B"] / (loss - C["E"] - C["A"] * model ** -C["alpha"])) ** (1 / C["beta"]))
    np.testing.assert_allclose(worth[0], unique, rtol=1e-6)
    assert 0.9 * 4 * unique < worth[1] < 4 * unique
    assert worth[3] == pytest.approx((1 + C["R_D_star"]) * unique, rel=1e-6)
    assert worth[2] < worth[3]


def test_allocation_under_unique_data_prefers_epochs_to_parameters():
    # With 25 billion unique tokens and the compute of 6.34e9 x 242e9 the law's optimum is smaller
    # and longer than the Chinchilla-optimal 8.67e9 x 178e9 of about the same compute.
    fit = bs.published(repetition, "muennighoff2023")
    budget = 6 * 6.34e9 * 242e9
    best = bs.allocate(fit, budget, fixed={"D_unique": 25e9})
    free = bs.allocate(bs.published(dense, "muennighoff2023"), budget)
    assert best.N.item() < free.N.item()
    assert best.loss.item() <= 2.2256440889984477
    assert math.isclose(free.N.item(), 8.67e9, rel_tol=0.25)
