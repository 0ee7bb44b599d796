"""Mixtures have the density they are drawn from, and follow the points they are fitted to."""

import numpy as np
import pytest
from scipy import stats

from bayescale.sampling.mixtures import Mixture, about_modes, fit_mixture
from bayescale.sampling.modes import Mode

ROOTS = np.array([[[1.0, 0.0], [0.5, 2.0]], [[0.3, 0.0], [-0.2, 0.1]]])
MIXTURE = Mixture(np.array([0.3, 0.7]), np.array([[0.0, 0.0], [6.0, -1.0]]), ROOTS)


def true_density(points):
    parts = [
        weight * stats.multivariate_t(centre, root @ root.T, df=8).pdf(points)
        for weight, centre, root in zip(MIXTURE.weights, MIXTURE.centres, ROOTS, strict=True)
    ]
    return np.sum(parts, axis=0)


def test_the_density_is_that_of_students_t():
    points = np.random.default_rng(0).normal(2, 4, (50, 2))
    gap = MIXTURE.log_density(points) - np.log(true_density(points))
    np.testing.assert_allclose(gap, gap[0], atol=1e-9)


def test_draws_have_that_density():
    points = MIXTURE.draw(40_000, np.random.default_rng(1))
    # The density's mean over its own draws is the integral of its square: by a sum over a grid.
    x, y = np.meshgrid(np.linspace(-25, 25, 1501), np.linspace(-30, 30, 1801))
    cell = (x[0, 1] - x[0, 0]) * (y[1, 0] - y[0, 0])
    on_grid = true_density(np.stack([x, y], axis=-1))
    assert on_grid.sum() * cell == pytest.approx(1, abs=0.01)
    found = true_density(points)
    error = found.std() / np.sqrt(len(found))
    assert abs(found.mean() - (on_grid**2).sum() * cell) < 4 * error + 0.01 * found.mean()
    assert (points[:, 0] > 4).mean() == pytest.approx(0.7, abs=0.02)


def test_a_mixture_follows_two_clusters():
    rng = np.random.default_rng(2)
    small, large = rng.normal([0, 0, 0], 0.1, (500, 3)), rng.normal([3, 0, -3], 1.0, (1500, 3))
    found = fit_mixture(np.concatenate([small, large]), 2, seed=1)
    order = np.argsort(found.weights)
    np.testing.assert_allclose(found.weights[order], [0.25, 0.75], atol=0.02)
    np.testing.assert_allclose(found.centres[order], [[0, 0, 0], [3, 0, -3]], atol=0.1)
    np.testing.assert_allclose(
        found.roots[order[1]] @ found.roots[order[1]].T, np.eye(3), atol=0.15
    )


def test_a_component_without_points_is_left_out():
    points = np.random.default_rng(3).normal(size=(40, 4))
    found = fit_mixture(points, 12, seed=1)
    assert len(found.weights) < 12
    assert found.weights.sum() == pytest.approx(1)
    assert np.isfinite(found.log_density(points)).all()


def test_modes_count_by_what_they_hold():
    narrow = Mode(np.zeros(2), 0.01 * np.eye(2), 3.0)
    wide = Mode(np.ones(2), np.eye(2), 0.0)
    # Heights of e^3 to 1, volumes of 0.01 to 1.
    held = np.array([np.exp(3) * 0.01, 1.0])
    np.testing.assert_allclose(about_modes([narrow, wide]).weights, held / held.sum())
