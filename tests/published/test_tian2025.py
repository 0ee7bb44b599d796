"""Tian et al. 2025 (arXiv:2507.17702): the closed formula of efficiency leverage."""

import math

import numpy as np
import pytest

from bayescale.decisions.leverage import TIAN2025, tian_leverage

EXAMPLE = (0.031, 12, 1e22)  # activated share, granularity, compute


def formula(A, G, C, *, log_g, log_c):
    c = TIAN2025.values
    share = A + c["A_start"]  # A_max is 5e16: the upper end never shows
    alpha = c["a"] + c["d"] * log_c(C)
    return share ** (alpha + c["gamma"] * log_g(G) ** 2 + c["beta"] * log_g(G))


def test_the_claim_of_more_than_seven():
    assert tian_leverage(*EXAMPLE) > 7
    assert tian_leverage(*EXAMPLE) == pytest.approx(7.24, abs=0.005)


def test_only_these_logarithms_give_it():
    bases = {
        (math.log2, math.log10): 7.24,
        (math.log, math.log10): 6.87,
        (math.log10, math.log10): 5.37,
    }
    for (log_g, log_c), leverage in bases.items():
        assert formula(*EXAMPLE, log_g=log_g, log_c=log_c) == pytest.approx(leverage, abs=0.005)
    assert formula(*EXAMPLE, log_g=math.log2, log_c=math.log) > 1000


def test_the_best_granularity_lies_between_8_and_12():
    G = np.geomspace(2, 64, 10_001)
    best = G[tian_leverage(0.031, G, 1e22).argmax()]
    assert best == pytest.approx(11.3, abs=0.05)
    assert 8 < best < 12
    c = TIAN2025.values
    assert best == pytest.approx(2 ** (-c["beta"] / (2 * c["gamma"])), rel=1e-3)


def test_sparser_models_and_more_compute_gain_more():
    assert (np.diff(tian_leverage(np.geomspace(0.01, 0.5, 20), 8, 1e21)) < 0).all()
    assert (np.diff(tian_leverage(0.031, 8, np.geomspace(1e19, 1e24, 20))) > 0).all()
