"""Upcycling against training from scratch."""

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

import bayescale as bs
from bayescale.models import dense, upcycling
from bayescale.plotting.upcycling import plot_upcycling
from bayescale.prediction.draws import paired
from properties import examples

# Tokens at which the published curves cross, by size and dense tokens.
TABLE = [
    (110e6, 1e10, "1.3e+10"),
    (110e6, 1e11, "1.9e+11"),
    (1e9, 1e10, "7.1e+09"),
    (1e9, 1e11, "5.1e+10"),
    (1e9, 2.4e12, "inf"),
    (7e9, 1e10, "3.9e+09"),
    (7e9, 1e11, "1.9e+10"),
    (7e9, 2.4e12, "5.1e+11"),
]


@pytest.fixture(scope="module")
def published():
    return {
        "upcycled": bs.published(upcycling, "liew2025"),
        "scratch": bs.published(dense, "liew2025_moe"),
    }


def made_up(fit, seed, chains=2, draws=60, spread=0.002):
    """Draws about the coefficients of a published fit."""
    rng = np.random.default_rng(seed)
    posterior = xr.Dataset(
        {
            name: (("chain", "draw"), x.item() * np.exp(rng.normal(0, spread, (chains, draws))))
            for name, x in fit.posterior.items()
        },
        {"chain": np.arange(chains), "draw": np.arange(draws)},
    )
    tree = xr.DataTree.from_dict({"posterior": posterior})
    tree.attrs = fit.tree.attrs
    return bs.Fit(fit.law, tree)


@pytest.fixture(scope="module")
def uncertain(published):
    return {
        "upcycled": made_up(published["upcycled"], 1),
        "scratch": made_up(published["scratch"], 2),
    }


def lead(fits, N, D_dense, tokens):
    scratch = bs.predict(fits["scratch"], mean=True, N=N, D=tokens)
    upcycled = bs.predict(fits["upcycled"], mean=True, N=N, D_dense=D_dense, D_upcycled=tokens)
    return (scratch - upcycled).squeeze(drop=True)


@pytest.mark.parametrize(("N", "D_dense", "tokens"), TABLE)
def test_thresholds_of_the_published_coefficients(published, N, D_dense, tokens):
    found = bs.upcycling_threshold(**published, N=N, D_dense=D_dense).item()
    assert f"{found:.1e}" == tokens
    if np.isfinite(found):
        assert lead(published, N, D_dense, found) == pytest.approx(0, abs=1e-10)
        assert lead(published, N, D_dense, found / 2) > 0 > lead(published, N, D_dense, found * 2)
    else:
        assert (lead(published, N, D_dense, np.geomspace(1e6, 1e18, 500)) > 0).all()


def test_only_the_lower_crossing_counts(published):
    """Far beyond any run the curves cross again, because the fitted size terms differ."""
    again = lead(published, 1e9, 1e11, 1e15)
    assert again > 0
    assert bs.upcycling_threshold(**published, N=1e9, D_dense=1e11).item() < 1e11


@examples(40)
@given(st.floats(8, 10), st.floats(9, 12), st.floats(0.05, 1))
def test_the_threshold_rises_with_dense_tokens_and_falls_with_size(log_n, log_d, step):
    fits = {
        "upcycled": bs.published(upcycling, "liew2025"),
        "scratch": bs.published(dense, "liew2025_moe"),
    }
    N = xr.DataArray(10 ** np.array([log_n, log_n + step]), dims="N")
    D = xr.DataArray(10 ** np.array([log_d, log_d + step]), dims="D_dense")
    found = bs.upcycling_threshold(**fits, N=N, D_dense=D).squeeze(("chain", "draw")).values
    assert (found > 0).all()
    low, high = found[:, 0], found[:, 1]
    assert ((high > low) | np.isinf(low)).all()
    small, large = found[0], found[1]
    assert ((large < small) | np.isinf(large)).all()
    assert not np.isinf(large[np.isfinite(small)]).any()


def test_zero_where_scratch_always_wins_and_infinite_where_it_never_does(published):
    liew = dense.published["liew2025_moe"].values
    strong, weak = {**liew, "B": 1e-3}, {**liew, "E": 50.0}
    sets = bs.law(published={"strong": strong, "weak": weak})(dense.function)
    for name, expected in {"strong": 0.0, "weak": np.inf}.items():
        found = bs.upcycling_threshold(
            published["upcycled"], bs.published(sets, name), N=1e9, D_dense=1e11
        )
        assert found.item() == expected


def test_every_draw_has_the_root_of_its_own_curves(uncertain):
    N = xr.DataArray([2e8, 1e9], dims="size")
    D = xr.DataArray([1e10, 5e10, 2e11], dims="dense")
    found = bs.upcycling_threshold(**uncertain, N=N, D_dense=D)
    assert found.dims[:2] == ("chain", "draw")
    assert found.attrs["units"] == "tokens"
    pairs = dict(zip(uncertain, paired(*uncertain.values(), 0), strict=True))
    checked = 0
    for chain, draw, i, j in [(0, 3, 0, 0), (1, 59, 1, 2), (1, 7, 0, 2), (0, 21, 1, 1)]:
        one = {name: fit.posterior.isel(chain=chain, draw=draw) for name, fit in pairs.items()}

        def gap(log_tokens, one=one, n=N.values[i], d=D.values[j]):
            tokens = np.exp(log_tokens)
            scratch = dense(n, tokens, **{k: float(v) for k, v in one["scratch"].items()})
            return scratch - upcycling(
                n, d, tokens, **{k: float(v) for k, v in one["upcycled"].items()}
            )

        grid = np.linspace(np.log(1e6), np.log(1e18), 4000)
        behind = np.flatnonzero(np.array([gap(x) for x in grid]) <= 0)
        value = found.isel(chain=chain, draw=draw, size=i, dense=j).item()
        if behind.size:
            root = brentq(gap, grid[behind[0] - 1], grid[behind[0]], xtol=1e-13)
            assert np.log(value) == pytest.approx(root, abs=1e-9)
            checked += 1
        else:
            assert np.isinf(value)
    assert checked >= 2


def test_a_discrepancy_moves_the_threshold_as_it_moves_the_losses(published):
    """Simulated runs of both laws, fitted with all that calibrates their extrapolation."""
    size, dense_tokens, tokens = np.meshgrid([1e8, 4e8, 1e9], [1e10, 1e11], [1e9, 1e10, 1e11])
    design = pd.DataFrame(
        {"N": size.ravel(), "D_dense": dense_tokens.ravel(), "D_upcycled": tokens.ravel()}
    )
    design["D"] = design.D_upcycled
    fits = {}
    for name, law, known in (
        ("upcycled", upcycling, "liew2025"),
        ("scratch", dense, "liew2025_moe"),
    ):
        runs = bs.simulate(law, design, known, noise_scale=0.005, seed=1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bs.FitWarning)
            options = {"draws": 25, "tune": 300, "chains": 2, "seed": 1}
            fits[name] = bs.fit(law, runs, **bs.CALIBRATED | options)
    D = xr.DataArray([1e10, 1e11], dims="D_dense")
    found = bs.upcycling_threshold(**fits, N=7e9, D_dense=D)
    crossed = np.isfinite(found) & (found > 1e6)
    assert crossed.mean() > 0.5
    tokens = found.where(crossed, 1e9)
    pairs = dict(zip(fits, paired(*fits.values(), 0), strict=True))
    scratch = bs.predict(pairs["scratch"], mean=True, N=7e9, D=tokens)
    upcycled = bs.predict(pairs["upcycled"], mean=True, N=7e9, D_dense=D, D_upcycled=tokens)
    gap = (scratch - upcycled).where(crossed, 0.0)
    np.testing.assert_allclose(gap, 0.0, atol=1e-9)
    # What is said of the threshold and of the odds is one thing.
    odds = bs.upcycling_probability(**fits, N=7e9, D_dense=D, D_upcycled=3e10)
    later = (found > 3e10).mean(("chain", "draw"))
    np.testing.assert_allclose(odds, later, atol=0.1)  # but for second crossings


def test_a_published_fit_is_paired_with_every_draw(uncertain, published):
    mixed = bs.upcycling_threshold(uncertain["upcycled"], published["scratch"], N=1e9, D_dense=1e10)
    assert mixed.shape == (2, 60)
    one = uncertain["upcycled"].posterior.isel(chain=[1], draw=[4])
    tree = xr.DataTree.from_dict({"posterior": one.assign_coords(chain=[0], draw=[0])})
    tree.attrs = uncertain["upcycled"].tree.attrs
    alone = bs.upcycling_threshold(
        bs.Fit(upcycling, tree), published["scratch"], N=1e9, D_dense=1e10
    )
    assert mixed.values[1, 4] == alone.item()


def test_independent_draws_are_not_paired_in_order(uncertain):
    """Two fits that drew the same random numbers: in order, all of their draws are alike."""
    upcycled, scratch = uncertain["upcycled"], uncertain["scratch"]
    alone = scratch.posterior.isel(chain=[0], draw=[3])
    tree = xr.DataTree.from_dict({"posterior": alone.assign_coords(chain=[0], draw=[0])})
    tree.attrs = scratch.tree.attrs
    with_one = bs.upcycling_threshold(upcycled, bs.Fit(scratch.law, tree), N=1e9, D_dense=1e10)
    with_all = bs.upcycling_threshold(upcycled, scratch, N=1e9, D_dense=1e10)
    # In order, the fourth draw of one would go with the fourth of the other.
    assert with_all.values[0, 3] != with_one.values[0, 3]
    again = bs.upcycling_threshold(upcycled, scratch, N=1e9, D_dense=1e10)
    np.testing.assert_array_equal(with_all, again)


def test_fits_of_other_numbers_of_draws_are_paired(uncertain, published):
    fewer = made_up(published["scratch"], 2, draws=50)
    found = bs.upcycling_threshold(uncertain["upcycled"], fewer, N=1e9, D_dense=1e10)
    assert found.sizes == {"chain": 2, "draw": 60}


def test_probability_is_that_of_a_threshold_not_yet_passed(uncertain):
    tokens = xr.DataArray(np.geomspace(2e9, 4e11, 25), dims="D_upcycled")
    D_dense = xr.DataArray([1e10, 1e11], dims="D_dense")
    found = bs.upcycling_probability(**uncertain, N=1e9, D_dense=D_dense, D_upcycled=tokens)
    assert set(found.dims) == {"D_dense", "D_upcycled"}
    threshold = bs.upcycling_threshold(**uncertain, N=1e9, D_dense=D_dense)
    expected = (threshold > tokens).mean(("chain", "draw"))
    xr.testing.assert_allclose(found.transpose(*expected.dims), expected, rtol=1e-12)
    assert found.max() == 1
    assert 0 < found.median() < 1


def test_rows_of_a_table_share_a_dimension(published):
    found = bs.upcycling_probability(
        **published, N=[1e9, 1e9], D_dense=[1e11, 1e11], D_upcycled=[1e10, 2e11]
    )
    assert found.dims == ("run",)
    assert found.values.tolist() == [1.0, 0.0]


def test_intervals_of_thresholds_may_be_infinite(uncertain):
    threshold = bs.upcycling_threshold(**uncertain, N=1e9, D_dense=6e11)
    share = float(np.isinf(threshold).mean())
    assert 0.05 < share < 0.95
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low, high = bs.interval(threshold, 0.9).values
    assert 1e10 < low < np.inf
    assert high == np.inf


def test_wrong_laws_and_inputs_are_refused(published):
    upcycled, scratch = published["upcycled"], published["scratch"]
    with pytest.raises(bs.InputError, match="upcycled is a fit of law 'dense' in N, D"):
        bs.upcycling_threshold(scratch, upcycled, N=1e9, D_dense=1e11)
    with pytest.raises(bs.InputError, match="scratch is a fit of law 'upcycling'"):
        bs.upcycling_probability(upcycled, upcycled, N=1e9, D_dense=1e11, D_upcycled=1e10)
    with pytest.raises(bs.InputError, match=r"'N'.*below 10000"):
        bs.upcycling_threshold(upcycled, scratch, N=7, D_dense=1e11)
    with pytest.raises(bs.InputError, match="'D_upcycled'"):
        bs.upcycling_probability(upcycled, scratch, N=7e9, D_dense=1e11, D_upcycled=-1.0)
    with pytest.raises(bs.InputError, match="equally long"):
        bs.upcycling_threshold(upcycled, scratch, N=[1e9, 2e9], D_dense=[1e10, 1e11, 1e12])


def test_the_map_shows_the_threshold(uncertain, published):
    span = {"D_dense": (1e10, 1e12), "D_upcycled": (1e9, 1e12)}
    ax = plot_upcycling(**uncertain, N=1e9, **span)
    assert "upcycled" in ax.get_ylabel()
    assert "dense" in ax.get_xlabel()
    median = ax.get_lines()[0]
    x, y = (np.asarray(values) for values in median.get_data())
    assert (x[0], x[-1]) == pytest.approx((1e10, 1e12))
    for at in (0, 10):
        draws = bs.upcycling_threshold(**uncertain, N=1e9, D_dense=float(x[at]))
        assert y[at] == np.quantile(draws, 0.5, method="inverted_cdf")
    assert np.isnan(y[-1])  # Infinite for the best-trained parents: the line ends.
    with pytest.raises(bs.InputError, match="D_dense=\\(low, high\\)"):
        plot_upcycling(**published, N=1e9)
    with pytest.raises(bs.InputError, match="D_upcycled is a range"):
        plot_upcycling(**published, N=1e9, D_dense=(1e10, 1e11), D_upcycled=(1e12, 1e9))
