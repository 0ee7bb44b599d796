"""The functions of law bodies give one answer on every kind of number."""

import numpy as np
import pytest
import xarray as xr

import bayescale as bs

X = np.array([0.2, 1.0, 3.5, 7.0])
Y = np.array([0.5, 1.0, 2.0, 9.0])

FUNCTIONS = {
    "log": (lambda x, y: bs.log(x), np.log(X)),
    "log1p": (lambda x, y: bs.log1p(x), np.log1p(X)),
    "exp": (lambda x, y: bs.exp(x), np.exp(X)),
    "maximum": (bs.maximum, np.maximum(X, Y)),
    "minimum": (bs.minimum, np.minimum(X, Y)),
    "maximum with a number": (lambda x, y: bs.maximum(x, 2.0), np.maximum(X, 2.0)),
    "minimum of a number": (lambda x, y: bs.minimum(2.0, x), np.minimum(2.0, X)),
    "where": (lambda x, y: bs.where(x > y, x, y), np.maximum(X, Y)),
    "where with numbers": (lambda x, y: bs.where(x > y, 1.0, 0.0), (X > Y) * 1.0),
}


@pytest.fixture(params=FUNCTIONS)
def case(request):
    return FUNCTIONS[request.param]


def test_numbers(case):
    function, expected = case
    found = [float(function(float(x), float(y))) for x, y in zip(X, Y, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-15)


def test_arrays(case):
    function, expected = case
    np.testing.assert_allclose(function(X, Y), expected, rtol=1e-15)


def test_labelled_arrays_broadcast_by_name(case):
    function, expected = case
    x, y = (xr.DataArray(values, dims="run", coords={"run": list("abcd")}) for values in (X, Y))
    found = function(x, y)
    assert isinstance(found, xr.DataArray)
    assert list(found.run.values) == list("abcd")
    np.testing.assert_allclose(found, expected, rtol=1e-15)
    crossed = function(x, y.rename(run="other"))
    assert set(crossed.dims) in ({"run"}, {"run", "other"})
    at = crossed.isel(other=[0, 1, 2, 3]) if "other" in crossed.dims else crossed
    diagonal = [at.sel(run=r, other=r) if "other" in at.dims else at.sel(run=r) for r in "abcd"]
    np.testing.assert_allclose(diagonal, expected, rtol=1e-15)


def test_symbols(case):
    import pytensor.tensor as pt

    function, expected = case
    x, y = pt.dvector("x"), pt.dvector("y")
    found = function(x, y).eval({x: X, y: Y}, on_unused_input="ignore")
    np.testing.assert_allclose(found, expected, rtol=1e-15)


def test_labelled_symbols(case):
    import pymc as pm
    import pymc.dims as pmd

    function, expected = case
    with pm.Model(coords={"run": list("abcd")}):
        x, y = pmd.Data("x", X, dims="run"), pmd.Data("y", Y, dims="run")
        found = function(x, y)
    assert found.type.dims == ("run",)
    np.testing.assert_allclose(found.eval(), expected, rtol=1e-15)


@pytest.mark.parametrize("function", [bs.maximum, bs.minimum])
def test_a_missing_value_is_not_passed_over(function):
    assert np.isnan(function(np.nan, 1.0))
    assert np.isnan(function(1.0, np.nan))
    assert np.isnan(function(xr.DataArray([np.nan]), 1.0)).all()
