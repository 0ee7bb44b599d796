"""The mode is a mode, and its curvature is the curvature there."""

import numpy as np
import pytest

import bayescale as bs
from bayescale import amplitude, law, normal
from bayescale.models import dense, sparse
from bayescale.posterior.problem import problem
from bayescale.sampling.modes import find_mode


@pytest.fixture(scope="module", params=["dense", "sparse", "precise"])
def task(request, olmo):
    if request.param == "dense":
        return problem(dense, olmo)
    if request.param == "sparse":
        return problem(sparse, bs.load_runs("frantar2023_t5").query("not target"))
    # Simulated: so many runs with so little noise that the posterior is very thin.
    design = bs.load_runs("hoffmann2022").drop(columns="loss")
    return problem(dense, bs.simulate(dense, design, "besiroglu2024", noise_scale=1e-4, seed=1))


def test_nothing_near_is_more_probable(task):
    mode = find_mode(task)
    rng = np.random.default_rng(0)
    root = np.linalg.cholesky(mode.covariance)
    for size in (1e-3, 1e-2, 0.1, 1.0, 3.0):
        near = mode.u + size * rng.standard_normal((400, len(mode.u))) @ root.T
        assert task.log_density(near).max() < mode.log_density + 1e-9
    assert task.log_density(mode.u[None])[0] == mode.log_density


def test_the_covariance_is_the_inverse_curvature(task):
    mode = find_mode(task)
    # Along any direction v of posterior size one, the density falls by t^2 / 2.
    root = np.linalg.cholesky(mode.covariance)
    for direction in np.random.default_rng(1).standard_normal((20, len(mode.u))):
        v = root @ (direction / np.linalg.norm(direction))
        t = 0.02
        fall = mode.log_density - task.log_density(mode.u + np.outer([t, -t], v)).mean()
        assert fall == pytest.approx(t**2 / 2, rel=1e-3)


def test_it_is_the_mode_that_other_starts_find(task):
    ours = find_mode(task)
    others = find_mode(task, seed=17)
    assert others.log_density == pytest.approx(ours.log_density, abs=1e-6)
    size = np.sqrt(np.diag(ours.covariance))
    np.testing.assert_allclose((others.u - ours.u) / size, 0, atol=1e-2)
    np.testing.assert_allclose(
        others.covariance / np.outer(size, size), ours.covariance / np.outer(size, size), atol=1e-2
    )


def test_no_draw_of_the_posterior_is_more_probable(olmo, olmo_fit):
    task = problem(dense, olmo)
    c = {name: olmo_fit.posterior[name].values.ravel() for name in task.names}
    u = task.coordinates.from_coefficients(c, task.loss_scale)
    found = task.log_density(np.column_stack([u[name] for name in task.names]))
    assert np.isfinite(found).all()
    assert found.max() < find_mode(task).log_density


def test_a_law_that_cannot_give_these_losses_is_refused(olmo):
    @law
    def negative(N, D, *, A=amplitude(), b=normal(0.0, 1e-3)):
        return -A + b * N * D

    with pytest.raises(bs.InputError, match=r"law 'negative' gives .* no loss above zero"):
        find_mode(problem(negative, olmo))
