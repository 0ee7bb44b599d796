"""How runs scatter: densities and draws are those of the named distributions."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from bayescale.errors import InputError
from bayescale.noise import NOISES, noise_model

RESIDUAL = st.floats(-0.5, 0.5)
SCALE = st.floats(1e-4, 0.2)
DOF = st.floats(0.5, 200.0)


@given(RESIDUAL, SCALE, DOF)
def test_student_t_density(residual, scale, dof):
    found = noise_model("student_t").log_density(residual, {"noise_scale": scale, "noise_dof": dof})
    assert found == pytest.approx(scipy.stats.t.logpdf(residual, dof, scale=scale), rel=1e-9)


@given(RESIDUAL, SCALE)
def test_normal_density(residual, scale):
    found = noise_model("normal").log_density(residual, {"noise_scale": scale})
    assert found == pytest.approx(scipy.stats.norm.logpdf(residual, scale=scale), rel=1e-12)


@pytest.mark.parametrize("name", NOISES)
def test_symbols_agree_with_numbers(name):
    import pytensor.tensor as pt

    residual, scale, dof = pt.dvector(), pt.dscalar(), pt.dscalar()
    values = {residual: np.array([-0.02, 0.0, 0.3]), scale: 0.01, dof: 4.2}
    symbols = noise_model(name).log_density(residual, {"noise_scale": scale, "noise_dof": dof})
    numbers = noise_model(name).log_density(
        values[residual], {"noise_scale": 0.01, "noise_dof": 4.2}
    )
    found = symbols.eval(values, on_unused_input="ignore")
    np.testing.assert_allclose(found, numbers, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "distribution"), [("student_t", scipy.stats.t(3.0)), ("normal", scipy.stats.norm)]
)
def test_draws_have_the_distribution(name, distribution):
    p = {"noise_scale": np.array([[0.01], [0.1]]), "noise_dof": np.array([[3.0], [3.0]])}
    draws = noise_model(name).draw(np.random.default_rng(1), (2, 4000), p)
    for row, scale in zip(draws, (0.01, 0.1), strict=True):
        assert scipy.stats.kstest(row / scale, distribution.cdf).pvalue > 1e-3
    # A second seed gives others, the same one the same.
    again = noise_model(name).draw(np.random.default_rng(1), (2, 4000), p)
    assert np.array_equal(draws, again)
    assert not np.array_equal(draws, noise_model(name).draw(np.random.default_rng(2), (2, 4000), p))


def test_many_degrees_of_freedom_are_normal():
    student = noise_model("student_t").log_density(0.02, {"noise_scale": 0.01, "noise_dof": 1e7})
    normal = noise_model("normal").log_density(0.02, {"noise_scale": 0.01})
    assert math.isclose(student, normal, rel_tol=1e-6)


def test_an_unknown_noise_is_refused():
    with pytest.raises(InputError, match=r"noise='cauchy' is not known; .*normal.*student_t"):
        noise_model("cauchy")
