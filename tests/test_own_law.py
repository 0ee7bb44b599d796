"""A law of six lines goes through everything, here with an input that the vocabulary lacks."""

import numpy as np
import pytest
import xarray as xr

import bayescale as bs
from bayescale import amplitude, exponent, floor, law
from bayescale.models import dense


# fmt: off
@law
def deep(N, D, depth, *, E=floor(), A=amplitude(), alpha=exponent(),
         B=amplitude(), beta=exponent(), c=amplitude(0.05, signed=True)):
    """The dense law, and a term for the number of layers."""
    return E + A * N**-alpha + B * D**-beta + c / depth
# fmt: on


@pytest.fixture(scope="module")
def runs():
    return bs.load_runs("gadre2024").query("warm_frac <= 0.25 and corpus == 'c4_original'")


@pytest.fixture(scope="module")
def fit(runs):
    return bs.fit(deep, runs, seed=1)


def test_fit(fit, runs):
    assert bs.diagnose(fit).attrs["ok"]
    assert fit.reference["depth"] == 1.0
    assert np.array_equal(fit.runs.depth, runs.depth)
    predicted = bs.predict(fit, mean=True, N=runs.N, D=runs.D, depth=runs.depth)
    error = np.log(predicted.mean(("chain", "draw"))) - np.log(runs.loss.to_numpy())
    assert float(np.sqrt((error**2).mean())) < 0.02


def test_predict(fit):
    depth = xr.DataArray([8, 24, 32], dims="depth")
    assert bs.predict(fit, N=1e9, D=1e11, depth=depth, seed=1).dims == ("chain", "draw", "depth")
    raw = bs.coefficients(fit, units="raw")
    expected = deep(1e9, 1e11, 24.0, **{name: raw[name] for name in raw})
    found = bs.predict(fit, mean=True, N=1e9, D=1e11, depth=24)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    with pytest.raises(bs.InputError, match=r"law 'deep' needs 'depth' .an input of the law"):
        bs.predict(fit, N=1e9, D=1e11)


def test_allocate(fit):
    with pytest.raises(bs.InputError, match=r"'deep' has no cost model; pass cost="):
        bs.allocate(fit, 1e21)
    best = bs.allocate(fit, [1e20, 1e22], cost=bs.cost.dense_flops)
    # What is no count is chosen from the values in the runs.
    assert set(np.unique(best.depth)) <= {8.0, 24.0, 32.0}
    np.testing.assert_allclose(6 * best.N * best.D / best.budget, 1.0, rtol=1e-9)
    # This term does not depend on size, so every draw takes the depth that its sign says.
    signs = fit.posterior.c > 0
    assert (best.depth.isel(budget=0) == xr.where(signs, 32.0, 8.0)).all()
    assert signs.any()


def test_decide(fit):
    plan = bs.decide(fit, 1e22, cost=bs.cost.dense_flops, fixed={"depth": 24})
    assert plan.depth == 24
    assert float(6 * plan.N * plan.D) == pytest.approx(1e22)
    assert float(plan.expected_regret) > 0


@pytest.mark.filterwarnings("ignore:Estimated shape parameter of Pareto")
def test_compare(fit, runs):
    table = bs.compare({"deep": fit, "dense": bs.fit(dense, runs, seed=1)})
    assert set(table.index) == {"deep", "dense"}
    assert table.elpd.is_monotonic_decreasing
    assert table.weight.sum() == pytest.approx(1)


def test_save_and_load(fit, tmp_path):
    fit.save(tmp_path / "fit.nc")
    with pytest.raises(bs.InputError, match=r"pass it as load_fit"):
        bs.load_fit(tmp_path / "fit.nc")
    back = bs.load_fit(tmp_path / "fit.nc", law=deep)
    inputs = {"N": 1e9, "D": 1e11, "depth": 24}
    assert bs.predict(back, seed=1, **inputs).equals(bs.predict(fit, seed=1, **inputs))


def test_simulate(fit, runs):
    coefficients = bs.coefficients(fit, units="raw").mean()
    values = {name: float(coefficients[name]) for name in deep.coefficients}
    simulated = bs.simulate(deep, runs.drop(columns="loss"), values, noise_scale=0.01, seed=1)
    assert float(np.log(simulated.loss / runs.loss).std()) < 0.05
