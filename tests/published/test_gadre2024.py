"""Gadre et al. 2024 (arXiv:2403.08540): over-training is the dense law at one exponent."""

import numpy as np

from bayescale.models import dense


def test_the_law_in_compute_and_over_training_is_the_dense_law():
    # E + (a M^eta + b M^-eta) C^-eta with M = D / N, eta = alpha / 2 and alpha = beta.
    c = dense.published["muennighoff2023"].values
    assert c["alpha"] == c["beta"]
    eta = c["alpha"] / 2
    C, M = np.meshgrid(np.geomspace(1e18, 1e24, 7), np.geomspace(1, 640, 6))
    N = np.sqrt(C / (6 * M))
    a, b = c["A"] * 6**eta, c["B"] * 6**eta
    gadre = c["E"] + (a * M**eta + b * M**-eta) * C**-eta
    np.testing.assert_allclose(dense(N, M * N, **c), gadre, rtol=1e-13)
