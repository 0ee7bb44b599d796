"""Predictions: their dimensions, their noise, what is derived and what is refused."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import bayescale as bs
from bayescale.fitting.fits import Fit
from bayescale.models import dense, granularity, sparse

PUBLISHED = bs.published(dense, "besiroglu2024")


def mean(fit, **inputs):
    return bs.predict(fit, mean=True, **inputs)


# --- values and dimensions ----------------------------------------------------------------------


def test_the_published_law_is_the_formula():
    c = dense.published["besiroglu2024"].values
    expected = c["E"] + c["A"] * 7e10 ** -c["alpha"] + c["B"] * 1.4e12 ** -c["beta"]
    found = mean(PUBLISHED, N=70_000_000_000, D=1.4e12)
    assert found.dims == ("chain", "draw")
    assert found.item() == pytest.approx(expected, rel=1e-13)
    assert found.attrs["units"] == "nats per token"


def test_every_draw_is_the_law_at_its_coefficients_in_raw_units(olmo_fit):
    raw = bs.coefficients(olmo_fit, units="raw")
    found = mean(olmo_fit, N=3e9, D=1e12)
    expected = dense(3e9, 1e12, **{name: raw[name].values for name in raw})
    np.testing.assert_allclose(found.values, expected, rtol=1e-12)


SIZES, TOKENS = [1e9, 2e9, 4e9], [2e10, 4e10, 8e10]


@pytest.mark.parametrize(
    "kind",
    [
        list,
        tuple,
        np.array,
        pd.Series,
        pd.Index,
        lambda x: pd.Series(x).astype("Int64"),
        lambda x: np.array(x, dtype=np.int64),
        lambda x: xr.DataArray(x, dims="run"),
    ],
    ids=["list", "tuple", "array", "Series", "Index", "Int64", "int64", "DataArray"],
)
def test_equally_long_rows_are_runs(olmo_fit, kind):
    found = mean(olmo_fit, N=kind(SIZES), D=kind(TOKENS))
    assert (found.dims, found.sizes["run"]) == (("chain", "draw", "run"), 3)
    each = [mean(olmo_fit, N=n, D=d) for n, d in zip(SIZES, TOKENS, strict=True)]
    for i, one in enumerate(each):
        np.testing.assert_allclose(found.isel(run=i), one, rtol=1e-13)


def test_a_number_goes_with_every_run():
    found = mean(PUBLISHED, N=1e9, D=TOKENS)
    assert found.dims == ("chain", "draw", "run")
    assert (np.diff(found.values.ravel()) < 0).all()


def test_labelled_arrays_broadcast_by_name(olmo_fit):
    n = xr.DataArray(SIZES, dims="size", coords={"size": ["S", "M", "L"]})
    d = xr.DataArray(TOKENS[:2], dims="length")
    found = mean(olmo_fit, N=n, D=d)
    assert found.dims == ("chain", "draw", "size", "length")
    assert list(found["size"].values) == ["S", "M", "L"]
    np.testing.assert_allclose(
        found.sel(size="M").isel(length=1), mean(olmo_fit, N=2e9, D=4e10), rtol=1e-13
    )


def test_columns_of_a_table_keep_their_labels(olmo):
    runs = olmo.query("not rerun").tail(5)
    found = mean(PUBLISHED, N=runs["N"], D=runs["D"])
    assert found.run.values.tolist() == runs.index.tolist()
    assert found.equals(mean(PUBLISHED, **runs[["N", "D"]]))
    for labels in (list("abcde"), ["x"] * 5, pd.MultiIndex.from_product([[1], range(5)])):
        relabelled = runs.set_axis(labels)
        again = mean(PUBLISHED, N=relabelled["N"], D=relabelled["D"])
        np.testing.assert_array_equal(again, found)
        assert again.sizes == found.sizes


def test_each_draw_can_have_inputs_of_its_own(olmo_fit):
    best = bs.allocate(olmo_fit, [1e22, 1e23])
    found = mean(olmo_fit, N=best.N, D=best.D)
    assert found.dims == ("chain", "draw", "budget")
    np.testing.assert_allclose(found, best.loss, rtol=1e-12)


@given(st.floats(1e7, 1e13), st.floats(1e8, 1e14), st.floats(1.01, 100.0))
def test_more_never_hurts(n, d, factor):
    at = mean(PUBLISHED, N=n, D=d).item()
    assert mean(PUBLISHED, N=n * factor, D=d).item() < at
    assert mean(PUBLISHED, N=n, D=d * factor).item() < at


# --- inputs that differ by draw ------------------------------------------------------------------


@pytest.mark.parametrize("large", [False, True])
def test_each_draw_at_its_own_optimum(olmo_fit, monkeypatch, large):
    """Two hundred thousand losses, at once and as if they were too many for that."""
    if large:
        monkeypatch.setattr("bayescale.prediction.predict._LARGE", 100_000)
        monkeypatch.setattr("bayescale.prediction.predict._PIECE", 30_000)
    best = bs.allocate(olmo_fit, np.geomspace(1e20, 1e25, 50))
    loss = mean(olmo_fit, N=best.N, D=best.D)
    assert loss.sizes == best.loss.sizes == {"chain": 4, "draw": 1000, "budget": 50}
    assert loss.dtype == ("float32" if large else "float64")
    np.testing.assert_allclose(loss, best.loss, rtol=1e-6 if large else 1e-12)
    np.testing.assert_array_equal(loss.budget, best.budget)


# --- derived inputs -----------------------------------------------------------------------------


def test_what_follows_from_other_inputs_is_derived():
    fit = bs.published(sparse, "hossain2025_moe")
    stated = mean(fit, N_active=1e9, D=1e11, S=0.75)
    assert mean(fit, N_active=1e9, D=1e11, N=4e9).equals(stated)
    assert mean(fit, N=4e9, D=1e11, S=0.75).equals(stated)
    several = mean(fit, N=[4e9, 8e9], N_active=[1e9, 1e9], D=1e11)
    assert several.sizes["run"] == 2
    assert several.isel(run=0).item() == stated.item()


# --- noise --------------------------------------------------------------------------------------


def test_a_new_run_scatters_about_the_mean(olmo_fit):
    at = mean(olmo_fit, N=7e9, D=4e12)
    new = bs.predict(olmo_fit, N=7e9, D=4e12, seed=1)
    assert new.sizes == at.sizes
    assert float(np.log(new).std()) > float(np.log(at).std())
    # The residuals in units of their own draw's scale are Student-t draws.
    z = (np.log(new / at) / olmo_fit.posterior.noise_scale).values.ravel()
    dof = olmo_fit.posterior.noise_dof.values.ravel()
    assert scipy.stats.kstest(scipy.stats.t.cdf(z, dof), "uniform").pvalue > 1e-3
    assert (new.attrs["long_name"], at.attrs["long_name"]) == (
        "new run's loss",
        "loss of the law: a run's median",
    )


def test_each_new_run_has_noise_of_its_own(olmo_fit):
    new = bs.predict(olmo_fit, N=[7e9, 7e9], D=4e12, seed=1)
    z = np.log(new / mean(olmo_fit, N=[7e9, 7e9], D=4e12))
    first, second = z.isel(run=0).values.ravel(), z.isel(run=1).values.ravel()
    assert abs(scipy.stats.spearmanr(first, second).statistic) < 0.06


def test_a_seed_fixes_the_noise(olmo_fit):
    first, again, other = (bs.predict(olmo_fit, N=7e9, D=4e12, seed=s) for s in (3, 3, 4))
    assert first.equals(again)
    assert not first.equals(other)


def test_published_coefficients_have_no_noise():
    with pytest.raises(bs.InputError, match=r"carry no noise.*mean=True"):
        bs.predict(PUBLISHED, N=1e9, D=1e10)


# --- what is refused ----------------------------------------------------------------------------

ROWS = pd.Series(SIZES, index=[0, 1, 2])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"N": 1e9}, "needs 'D' .*takes N, D, and N was given"),
        ({}, "needs 'N' .*nothing was given"),
        ({"N": 1e9, "D": 1e10, "banana": 1}, "'banana' is not an input; .*takes N, D"),
        ({"N": 1e9, "D": 1e10, "S": 0.5}, "'S' has no part in law 'dense'"),
        ({"N": 1e9, "D": 1e10, "flops": 6e19}, "'flops' has no part"),
        ({"N": SIZES, "D": TOKENS[:2]}, r"equally long: \{'N': 3, 'D': 2\}"),
        ({"N": SIZES, "D": TOKENS[:1]}, "equally long"),
        ({"N": [SIZES, SIZES], "D": 1e10}, "'N' has 2 dimensions; give a DataArray"),
        ({"N": "7B", "D": 1e10}, "'N': '7B' is not a number"),
        ({"N": 7, "D": 1e10}, "'N': 7 is below .*billions, multiply it by 1e9"),
        ({"N": 1e9, "D": [1e10, np.nan]}, "'D', element 1: the value is missing"),
        ({"N": 1e9, "D": -1e10}, "'D': -1e[+]10|-10000000000 is below"),
        ({"N": ROWS, "D": pd.Series(TOKENS, index=[1, 2, 3])}, "labels do not match"),
        (
            {"N": xr.DataArray(SIZES, dims="a"), "D": xr.DataArray(TOKENS[:2], dims="a")},
            "labels do not match",
        ),
        ({"N": xr.DataArray([SIZES], dims=("chain", "draw")), "D": 1e10}, "the fit's draws"),
    ],
)
def test_inputs_that_make_no_sense_are_refused(inputs, message):
    with pytest.raises(bs.InputError, match=message):
        mean(PUBLISHED, **inputs)


def test_derived_inputs_are_checked_where_they_were_given():
    fit = bs.published(sparse, "hossain2025_moe")
    with pytest.raises(bs.InputError, match=r"^'N': 4 is below .*billions"):
        mean(fit, N=4, S=0.75, D=1e11)
    with pytest.raises(bs.InputError, match=r"N_active cannot exceed N"):
        mean(fit, N=1e9, N_active=4e9, D=1e11)
    with pytest.raises(bs.InputError, match=r"'N' has no part"):
        mean(fit, N=4e9, N_active=1e9, S=0.5, D=1e11)


# --- intervals ----------------------------------------------------------------------------------


def test_an_interval_is_the_quantiles_over_every_draw():
    draws = xr.DataArray(
        np.random.default_rng(0).normal(size=(4, 100, 3)),
        dims=("chain", "draw", "run"),
        attrs={"units": "nats"},
        name="loss",
    )
    found = bs.interval(draws, 0.8)
    assert found.dims == ("run", "ci_bound")
    assert list(found.ci_bound.values) == ["lower", "upper"]
    assert (found.name, found.attrs) == ("loss", {"units": "nats"})
    expected = np.quantile(draws.values.reshape(400, 3), [0.1, 0.9], axis=0).T
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_the_interval_of_a_dataset_is_of_each_variable_with_draws(olmo_fit):
    plan = bs.decide(olmo_fit, [1e21, 1e22])
    found = bs.interval(plan, 0.5)
    assert set(found.data_vars) == {"loss", "regret"}
    assert found.loss.equals(bs.interval(plan.loss, 0.5))
    assert found.loss.attrs["units"] == "nats per token"
    assert "extrapolation" in found.coords
    assert set(bs.interval(bs.coefficients(olmo_fit))) == set(dense.coefficients)


@pytest.mark.parametrize(
    ("x", "prob", "message"),
    [
        (xr.DataArray([1.0], dims="draw"), 0.9, "needs the dimensions chain and draw"),
        (xr.Dataset({"x": ("draw", [1.0])}), 0.9, "no variable has chain and draw"),
        (xr.DataArray([[1.0]], dims=("chain", "draw")), 90, "between 0 and 1, not 90"),
        (xr.DataArray([[1.0]], dims=("chain", "draw")), 0.0, "between 0 and 1"),
    ],
)
def test_intervals_that_make_no_sense_are_refused(x, prob, message):
    with pytest.raises(bs.InputError, match=message):
        bs.interval(x, prob)


# --- simulation ---------------------------------------------------------------------------------

DESIGN = pd.DataFrame({"N": np.geomspace(1e8, 1e10, 3000), "D": 2e11, "note": "x"})


def test_without_noise_a_simulation_is_the_law():
    runs = bs.simulate(dense, DESIGN, "besiroglu2024", noise_scale=0.0)
    expected = mean(PUBLISHED, N=DESIGN["N"], D=DESIGN["D"]).values.ravel()
    np.testing.assert_allclose(runs["loss"], expected, rtol=1e-14)
    assert (runs["note"] == "x").all()
    assert "loss" not in DESIGN
    assert runs.attrs["simulated"] is True
    assert runs.query("N > 1e9").attrs["simulated"] is True


@pytest.mark.parametrize("dof", [None, 4.0])
def test_the_noise_of_a_simulation_has_the_stated_scale(dof):
    runs = bs.simulate(dense, DESIGN, "besiroglu2024", noise_scale=0.02, noise_dof=dof, seed=1)
    exact = bs.simulate(dense, DESIGN, "besiroglu2024", noise_scale=0.0)
    z = np.log(runs["loss"] / exact["loss"]) / 0.02
    distribution = scipy.stats.norm if dof is None else scipy.stats.t(dof)
    assert scipy.stats.kstest(z, distribution.cdf).pvalue > 1e-3
    again = bs.simulate(dense, DESIGN, "besiroglu2024", noise_scale=0.02, noise_dof=dof, seed=1)
    pd.testing.assert_frame_equal(again, runs)


def test_coefficients_may_be_given_in_any_form():
    published = dense.published["besiroglu2024"]
    runs = [
        bs.simulate(dense, DESIGN, given, seed=2)
        for given in ("besiroglu2024", published, published.values, dict(published.values))
    ]
    for other in runs[1:]:
        pd.testing.assert_frame_equal(other, runs[0])


def test_a_simulated_design_is_derived_like_runs():
    design = pd.DataFrame({"N": [8e9], "N_active": [2e9], "D": [1e12]})
    runs = bs.simulate(sparse, design, "hossain2025_moe", noise_scale=0.0)
    fit = bs.published(sparse, "hossain2025_moe")
    assert runs["loss"].item() == pytest.approx(mean(fit, N_active=2e9, S=0.75, D=1e12).item())


@pytest.mark.parametrize(
    ("coefficients", "settings", "message"),
    [
        ("nobody1999", {}, "no published set 'nobody1999'; it has .*'besiroglu2024'"),
        ({"E": 1.7}, {}, "missing .*'A'"),
        ({**dense.published["besiroglu2024"].values, "gamma": 1.0}, {}, "unknown .*'gamma'"),
        ("besiroglu2024", {"noise_scale": -0.1}, "noise_scale"),
        ("besiroglu2024", {"noise_scale": np.nan}, "noise_scale"),
        ("besiroglu2024", {"noise_dof": 0.0}, "noise_dof"),
    ],
)
def test_simulations_that_make_no_sense_are_refused(coefficients, settings, message):
    with pytest.raises(bs.InputError, match=message):
        bs.simulate(dense, DESIGN, coefficients, **settings)


def test_a_law_with_more_inputs_names_the_one_that_is_missing():
    fit = bs.published(granularity, "krajewski2024")
    assert isinstance(fit, Fit)
    with pytest.raises(bs.InputError, match=r"law 'granularity' needs 'G' .granularity"):
        mean(fit, N=1e9, D=1e11)
