"""How runs scatter: densities and draws are those of the named distributions."""

import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

import bayescale as bs
from bayescale import law
from bayescale.common.errors import InputError
from bayescale.models import dense
from bayescale.posterior.noise import NOISES, features, features_centre, noise_model, run_scale

RESIDUAL = st.floats(-0.5, 0.5)
SCALE = st.floats(1e-4, 0.2)
DOF = st.floats(0.5, 200.0)


@given(RESIDUAL, SCALE, DOF)
def test_student_t_density(residual, scale, dof):
    found = noise_model("student_t").log_density(residual, scale, {"noise_dof": dof})
    assert found == pytest.approx(scipy.stats.t.logpdf(residual, dof, scale=scale), rel=1e-9)


@given(RESIDUAL, SCALE)
def test_normal_density(residual, scale):
    found = noise_model("normal").log_density(residual, scale, {})
    assert found == pytest.approx(scipy.stats.norm.logpdf(residual, scale=scale), rel=1e-12)


@given(RESIDUAL, SCALE, DOF)
def test_distribution_functions(residual, scale, dof):
    p = {"noise_dof": dof}
    found = noise_model("student_t").cdf(residual, scale, p)
    assert found == pytest.approx(scipy.stats.t.cdf(residual, dof, scale=scale), rel=1e-7)
    found = noise_model("normal").cdf(residual, scale, p)
    assert found == pytest.approx(scipy.stats.norm.cdf(residual, scale=scale), rel=1e-9)


@pytest.mark.parametrize("name", NOISES)
def test_information_is_the_mean_squared_slope_of_the_density(name):
    noise, p, scale = noise_model(name), {"noise_dof": 4.0}, 0.01
    x = np.linspace(-2, 2, 400_001)
    log_density = noise.log_density(x, scale, p)
    slope = np.gradient(log_density, x)
    found = np.trapezoid(np.exp(log_density) * slope**2, x)
    assert noise.information(scale, p) == pytest.approx(found, rel=1e-3)


@pytest.mark.parametrize("name", NOISES)
def test_symbols_agree_with_numbers(name):
    import pytensor.tensor as pt

    residual, scale, dof = pt.dvector(), pt.dscalar(), pt.dscalar()
    values = {residual: np.array([-0.02, 0.0, 0.3]), scale: 0.01, dof: 4.2}
    symbols = noise_model(name).log_density(residual, scale, {"noise_dof": dof})
    numbers = noise_model(name).log_density(values[residual], 0.01, {"noise_dof": 4.2})
    found = symbols.eval(values, on_unused_input="ignore")
    np.testing.assert_allclose(found, numbers, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "distribution"),
    [
        ("student_t", scipy.stats.t(3.0)),
        ("scaled", scipy.stats.t(3.0)),
        ("normal", scipy.stats.norm),
    ],
)
def test_draws_have_the_distribution(name, distribution):
    scales, p = np.array([[0.01], [0.1]]), {"noise_dof": np.array([[3.0], [3.0]])}

    def draw(seed):
        return noise_model(name).draw(np.random.default_rng(seed), (2, 4000), scales, p)

    draws = draw(1)
    for row, scale in zip(draws, (0.01, 0.1), strict=True):
        assert scipy.stats.kstest(row / scale, distribution.cdf).pvalue > 1e-3
    # A second seed gives others, the same one the same.
    assert np.array_equal(draws, draw(1))
    assert not np.array_equal(draws, draw(2))


def test_many_degrees_of_freedom_are_normal():
    student = noise_model("student_t").log_density(0.02, 0.01, {"noise_dof": 1e7})
    normal = noise_model("normal").log_density(0.02, 0.01, {})
    assert math.isclose(student, normal, rel_tol=1e-6)


# --- the scale of a run's noise ------------------------------------------------------------------

P = {"noise_scale": 0.01, "noise_compute": -0.3, "noise_ratio": 0.1, "noise_imbalance": 0.5}


def test_scaled_noise_follows_compute_and_tokens_per_parameter():
    inputs = {"N": np.array([1e8, 1e9, 1e9]), "D": np.array([1e10, 1e11, 1e10])}
    centre = features_centre(dense, inputs)
    assert centre["noise_at_compute"] == pytest.approx(
        np.log10(6 * inputs["N"] * inputs["D"]).mean()
    )
    scale = run_scale(noise_model("scaled"), P, features(dense, inputs, centre))
    # The third run: its compute is at the mean, its ratio 2/3 of a decade below it.
    assert scale[2] == pytest.approx(0.01 * math.exp(-0.1 * 2 / 3 + 0.5 * 2 / 3))
    # The first two have one ratio, and two decades of compute between them.
    assert scale[0] / scale[1] == pytest.approx(math.exp(0.3 * 2))


def test_a_law_without_tokens_per_parameter_scales_with_compute_alone():
    inputs = {"N_active": np.array([1e8, 1e9])}

    @law
    def one_count(N_active, *, E=bs.floor(), A=bs.amplitude(), a=bs.exponent()):
        return E + A * N_active**-a

    found = features(one_count, inputs, features_centre(one_count, inputs))
    assert found["noise_at_ratio"] == 0.0
    np.testing.assert_allclose(found["noise_at_compute"], [-0.5, 0.5])


def test_known_error_adds_in_quadrature():
    scale = run_scale(noise_model("student_t"), P, {"error": np.array([0.0, 0.0075])})
    np.testing.assert_allclose(scale, [0.01, 0.0125])


def test_an_unknown_noise_is_refused():
    with pytest.raises(InputError, match=r"noise='cauchy' is not known; .*normal.*student_t"):
        noise_model("cauchy")
