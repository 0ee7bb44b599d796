"""Kaplan et al. 2020 (arXiv:2001.08361): the joint law without a floor."""

import math

import pytest

from bayescale.models import kaplan

C = kaplan.published["kaplan2020"].values


@pytest.mark.parametrize("N", [1e6, 1e9])
def test_with_unlimited_data_it_is_a_power_of_the_size(N):
    assert kaplan(N, 1e60, **C) == pytest.approx((6.4e13 / N) ** 0.076, rel=1e-9)


@pytest.mark.parametrize("D", [1e8, 1e10])
def test_with_an_unlimited_model_it_is_a_power_of_the_tokens(D):
    assert kaplan(1e60, D, **C) == pytest.approx((1.8e13 / D) ** 0.103, rel=1e-9)


def test_tokens_to_keep_up_grow_as_the_size_to_the_0_74():
    assert C["alpha_N"] / C["alpha_D"] == pytest.approx(0.74, abs=0.005)
    scale = 10 ** (C["alpha_N"] / C["alpha_D"])
    ratio = kaplan(1e9, 1e10 * scale, **C) / kaplan(1e8, 1e10, **C)
    assert ratio == pytest.approx(10 ** -C["alpha_N"], rel=1e-12)


def test_the_joint_fit_agrees_with_the_fits_of_each_limit():
    # L(N): N_c 8.8e13, exponent .076. L(D): D_c 5.4e13, exponent .095.
    assert kaplan(1e9, 1e60, **C) == pytest.approx((8.8e13 / 1e9) ** 0.076, rel=0.03)
    assert kaplan(1e60, 1e9, **C) == pytest.approx((5.4e13 / 1e9) ** 0.095, rel=0.04)
    assert math.isfinite(kaplan(768.0, 2.2e7, **C))
