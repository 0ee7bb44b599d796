"""Clark et al. 2022 (arXiv:2202.01169): routed language models."""

import numpy as np
import pytest
from scipy.optimize import least_squares

import bayescale as bs
from bayescale.models import clark
from bayescale.models.clark import saturated

RUNS = bs.load_runs("clark2022").query("top_k == 1 and routing_frequency == 0.5 and seed == 42")

# Least squares on the 5 dense runs and those of a router: a, b, c, d, E_start, E_max.
REFITS = {
    "S-Base": ("sbase", [-0.0830, -0.1180, 0.0099, 1.1136, 2.07, 239]),
    "RL-R": ("rlr", [-0.0827, -0.1234, 0.0112, 1.1070, 1.72, 470]),
    "Hash": ("hash", [-0.0874, -0.1383, 0.0126, 1.1595, 4.27, 428]),
}
DIGIT = np.array([1e-4, 1e-4, 1e-4, 1e-4, 0.01, 1.0])


def refit(router):
    runs = RUNS[RUNS.router.isin(["Dense", router])]
    names = clark.coefficients

    def residual(p):
        c = dict(zip(names, [*p[:4], *np.exp(p[4:])], strict=True))
        return np.log10(clark(runs.N_active, runs.experts, **c) / runs.loss)

    start = [-0.08, -0.12, 0.01, 1.1, np.log(2), np.log(350)]
    scale = [0.01, 0.01, 1e-3, 0.1, 1, 1]
    found = least_squares(residual, start, x_scale=scale, xtol=1e-15, ftol=1e-15, gtol=1e-15)
    rmse = np.sqrt((found.fun**2).mean())
    return np.array([*found.x[:4], *np.exp(found.x[4:])]), rmse


def test_the_163_runs_of_the_paper():
    assert len(RUNS) == 163
    assert RUNS.router.value_counts().to_dict() == {
        "RL-R": 54, "S-Base": 53, "Hash": 51, "Dense": 5,
    }  # fmt: skip


def test_the_dense_power_law():
    dense = RUNS[RUNS.router == "Dense"]
    slope, intercept = np.polyfit(np.log10(dense.N_active), np.log10(dense.loss), 1)
    assert -slope == pytest.approx(0.0785, abs=5e-5)
    assert 10 ** (-intercept / slope) == pytest.approx(3.69e13, rel=0.002)
    # Published from as many runs: 0.078 and 3.568e13.
    assert -slope == pytest.approx(0.078, abs=0.001)
    assert 10 ** (-intercept / slope) == pytest.approx(3.568e13, rel=0.04)


@pytest.mark.parametrize("router", REFITS)
def test_refits(router):
    name, expected = REFITS[router]
    found, rmse = refit(router)
    assert (abs(found - expected) < DIGIT).all()
    assert rmse == pytest.approx(0.0031, abs=0.0002)
    kept = list(clark.published[f"clark2022_{name}_refit"].values.values())
    np.testing.assert_allclose(found, kept, rtol=1e-4)


@pytest.mark.parametrize("router", REFITS)
def test_refits_are_near_the_paper_s_table_3(router):
    # Printed digits alone are worth that much: half a unit of c is 3 % at 1e9 with 512 experts.
    name, _ = REFITS[router]
    printed = clark.published[f"clark2022_{name}"].values
    mine = clark.published[f"clark2022_{name}_refit"].values
    assert mine["a"] == pytest.approx(printed["a"], abs=0.0015)
    runs = RUNS[RUNS.router == router]
    losses = [clark(runs.N_active, runs.experts, **c) for c in (printed, mine)]
    np.testing.assert_allclose(*losses, rtol=0.03)


def test_cut_off_depends_on_digits_that_are_not_printed():
    # 10^(-b/c): published 937, 85 and 83 billion.
    published = {"sbase": 937e9, "rlr": 85e9, "hash": 83e9}
    rounded = {"sbase": 1e12, "rlr": 3.2e10, "hash": 2.2e11}
    for name, cut_off in published.items():
        c = clark.published[f"clark2022_{name}"].values
        assert 10 ** (-c["b"] / c["c"]) == pytest.approx(rounded[name], rel=0.025)
        c = clark.published[f"clark2022_{name}_refit"].values
        assert 10 ** (-c["b"] / c["c"]) == pytest.approx(cut_off, rel=0.2)


@pytest.mark.parametrize("name", clark.published)
def test_at_the_cut_off_experts_change_nothing(name):
    c = clark.published[name].values
    cut_off = 10 ** (-c["b"] / c["c"])
    losses = clark(cut_off, np.array([1.0, 8.0, 512.0]), **c)
    np.testing.assert_allclose(losses, losses[0], rtol=1e-12)
    assert (np.diff(clark(1e9, np.array([1.0, 8.0, 512.0]), **c)) < 0).all()
    assert (np.diff(clark(10 * cut_off, np.array([1.0, 8.0, 512.0]), **c)) > 0).all()


@pytest.mark.parametrize("name", clark.published)
def test_effective_parameter_count(name):
    c = clark.published[name].values

    def slope(e):
        return c["a"] + c["c"] * np.log10(e)

    start, e = c["E_start"], saturated(128.0, c["E_start"], c["E_max"])
    dense = 5e6 ** (slope(e) / slope(start)) * (e / start) ** (c["b"] / slope(start))
    assert clark(dense, 1.0, **c) == pytest.approx(clark(5e6, 128.0, **c), rel=1e-12)


def test_five_million_with_128_experts_is_like_55_million_dense():
    c = clark.published["clark2022_sbase"].values
    at_55 = clark(55e6, 1.0, **c)
    assert clark(5e6, 128.0, **c) == pytest.approx(at_55, rel=0.01)
