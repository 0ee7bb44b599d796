"""How runs scatter: densities and draws are those of the named distributions."""

import math

import numpy as np
import pandas as pd
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
TRUTH = dense.published["besiroglu2024"].values


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
    noise, p, scale = noise_model(name), {"noise_dof": 4.0, "noise_above": 3.0}, 0.01
    x = np.linspace(-2, 2, 400_001)
    log_density = noise.log_density(x, scale, p)
    slope = np.gradient(log_density, x)
    found = np.trapezoid(np.exp(log_density) * slope**2, x)
    assert noise.information(scale, p) == pytest.approx(found, rel=1e-3)


@pytest.mark.parametrize("name", NOISES)
def test_symbols_agree_with_numbers(name):
    import pytensor.tensor as pt

    residual, scale, dof, above = pt.dvector(), pt.dscalar(), pt.dscalar(), pt.dscalar()
    values = {residual: np.array([-0.02, 0.0, 0.3]), scale: 0.01, dof: 4.2, above: 3.0}
    p = {"noise_dof": dof, "noise_above": above}
    symbols = noise_model(name).log_density(residual, scale, p)
    p = {"noise_dof": 4.2, "noise_above": 3.0}
    numbers = noise_model(name).log_density(values[residual], 0.01, p)
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


@given(RESIDUAL, SCALE, DOF, st.floats(1.0, 20.0))
def test_skewed_noise_is_two_halves_that_meet(residual, scale, dof, above):
    noise, p = noise_model("skewed"), {"noise_dof": dof, "noise_above": above}
    own = scale * above if residual > 0 else scale
    half = scipy.stats.t(dof, scale=own)
    share = 2 * own / (scale + scale * above)
    density = noise.log_density(residual, scale, p)
    assert density == pytest.approx(half.logpdf(residual) + np.log(share), rel=1e-8, abs=1e-8)
    assert noise.cdf(0.0, scale, p) == pytest.approx(1 / (1 + above))
    assert noise.cdf(residual, scale, p) + noise.survival(residual, scale, p) == pytest.approx(1.0)
    tail = half.sf(residual) if residual > 0 else half.cdf(residual)
    found = noise.survival(residual, scale, p) if residual > 0 else noise.cdf(residual, scale, p)
    assert found == pytest.approx(share * tail, rel=1e-6)


def test_draws_of_skewed_noise_have_the_distribution():
    noise, p = noise_model("skewed"), {"noise_dof": 3.0, "noise_above": 4.0}
    draws = noise.draw(np.random.default_rng(1), (8000,), 0.01, p)
    assert scipy.stats.kstest(draws, lambda x: noise.cdf(x, 0.01, p)).pvalue > 1e-3
    assert (draws > 0).mean() == pytest.approx(0.8, abs=0.02)


def test_skewed_noise_that_is_as_wide_above_is_student_t():
    p, x = {"noise_dof": 3.0, "noise_above": 1.0}, np.linspace(-0.1, 0.1, 21)
    student = noise_model("student_t")
    for of in ("log_density", "cdf", "survival"):
        found = getattr(noise_model("skewed"), of)(x, 0.01, p)
        np.testing.assert_allclose(found, getattr(student, of)(x, 0.01, p))


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


def test_skewed_noise_scales_with_compute_alone():
    inputs = {"N": np.array([1e8, 1e9]), "D": np.array([1e10, 1e11])}
    found = features(dense, inputs, features_centre(dense, inputs))
    p = {"noise_scale": 0.01, "noise_compute": -0.3}
    scale = run_scale(noise_model("skewed"), p, found)
    np.testing.assert_allclose(scale, 0.01 * np.exp([0.3, -0.3]))


def test_a_known_error_is_not_skewed():
    runs = pd.DataFrame({"N": [1e8] * 9, "D": [1e9] * 9, "loss": 3.0, "se": 0.01})
    with pytest.raises(InputError, match="as large downwards as upwards"):
        bs.fit(dense, runs, noise="skewed", error="se")


@pytest.fixture(scope="module")
def badly_tuned():
    """Simulated: the runs below 3e8 parameters lie above the law, by 3 % on average."""
    sizes, tokens = [2e7, 6e7, 1.5e8, 4e8, 1e9], [1e9, 4e9, 1.5e10, 5e10, 1.5e11]
    n, d = (x.ravel() for x in np.meshgrid(sizes, tokens, indexing="ij"))
    rng = np.random.default_rng(1)
    excess = np.where(n < 3e8, rng.exponential(0.03, n.size), 0.0)
    loss = dense(n, d, **TRUTH) * np.exp(0.002 * rng.standard_normal(n.size) + excess)
    return pd.DataFrame({"N": n, "D": d, "loss": loss})


@pytest.fixture(scope="module")
def fits_of_badly_tuned(badly_tuned):
    given = {"draws": 500, "seed": 1}
    return {n: bs.fit(dense, badly_tuned, noise=n, **given) for n in ("normal", "skewed")}


def test_skewed_noise_finds_the_law_under_badly_tuned_runs(fits_of_badly_tuned):
    def far_off(name):
        found = bs.predict(fits_of_badly_tuned[name], mean=True, N=7e9, D=1e12)
        return np.log(found / dense(7e9, 1e12, **TRUTH))

    skewed = far_off("skewed")
    assert abs(float(skewed.median())) < 0.5 * abs(float(far_off("normal").median()))
    low, high = bs.interval(skewed, 0.9).values
    assert low < 0 < high
    posterior = fits_of_badly_tuned["skewed"].posterior
    assert float((posterior.noise_above > 2).mean()) > 0.9
    assert float(posterior.noise_compute.median()) < -0.3


def test_leave_one_out_prefers_skewed_noise_where_errors_are_upwards(fits_of_badly_tuned):
    table = bs.compare(fits_of_badly_tuned, seed=1)
    assert table.index[0] == "skewed"
    assert table.elpd_diff["normal"] < -2 * table.dse["normal"]


def test_an_unknown_noise_is_refused():
    with pytest.raises(InputError, match=r"noise='cauchy' is not known; .*normal.*student_t"):
        noise_model("cauchy")
