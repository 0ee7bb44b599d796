"""Backtests: each row is what a fit to the smaller runs says, and the averages are honest."""

import json
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import bayescale as bs
from bayescale.models import dense
from bayescale.prediction.scoring import log_score

QUICK = {"method": "laplace", "seed": 1}


@pytest.fixture(scope="module")
def scores(olmo):
    return bs.backtest(dense, olmo, cuts=(0.2, 0.4), **QUICK)


def test_every_row_is_what_a_fit_to_the_smaller_runs_says(olmo, scores):
    held_out = olmo[olmo.flops >= olmo.flops.sort_values().iloc[-6]]
    rest = olmo.drop(held_out.index)
    fit = bs.fit(dense, rest, **QUICK)
    rows = scores[scores.cut == 0.2]
    assert rows.run.tolist() == held_out.index.astype(str).tolist()
    assert (rows.fitted == len(rest)).all()
    assert rows.loss.tolist() == held_out.loss.tolist()
    assert rows.beyond.to_numpy() == pytest.approx(np.log10(held_out.flops / rest.flops.max()))
    assert (rows.beyond > 0).all()
    loss = bs.predict(fit, seed=1, N=held_out.N, D=held_out.D)
    assert rows[["q05", "q95"]].to_numpy() == pytest.approx(bs.interval(loss, 0.9).values)
    assert rows.log_score.to_numpy() == pytest.approx(log_score(fit, held_out))


def test_what_was_done_stays_with_the_table(scores):
    attrs = scores.attrs
    assert (attrs["law"], attrs["order"], attrs["name"]) == ("dense", "flops", "olmo_ladder")
    assert attrs["options"] == {"method": "laplace", "priors": {}}
    assert attrs["trusted"] == {0.2: True, 0.4: True}
    assert attrs["simulated"] is False
    json.dumps(attrs)


def test_threads_and_options_change_what_they_should(olmo, scores):
    with ThreadPoolExecutor(2) as pool:
        again = bs.backtest(dense, olmo, cuts=(0.2, 0.4), executor=pool, **QUICK)
    pd.testing.assert_frame_equal(again, scores)
    normal = bs.backtest(dense, olmo, cuts=(0.2, 0.4), noise="normal", **QUICK)
    assert normal.attrs["options"]["noise"] == "normal"
    assert not np.allclose(normal.log_score, scores.log_score)


def test_the_largest_models_may_be_what_is_held_out(olmo):
    found = bs.backtest(dense, olmo, cuts=(0.1,), order="N", **QUICK)
    largest = olmo.sort_values("N").query("N == N.max()").sort_index()
    assert len(largest) > 3
    assert found.run.tolist() == largest.index.astype(str).tolist()


def test_options_reach_the_fit(olmo):
    runs = olmo.assign(w=np.linspace(0.2, 1.0, len(olmo)))
    found = bs.backtest(dense, runs, cuts=(0.2,), noise="scaled", weights="w", **QUICK)
    assert found.attrs["options"] | {"noise": "scaled", "weights": "w"} == found.attrs["options"]
    assert np.isfinite(found.log_score).all()


@pytest.mark.slow
def test_a_calibrated_fit_is_backtested_as_any_other(olmo):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.FitWarning)
        found = bs.backtest(
            dense, olmo, cuts=(0.2,), seed=1, draws=150, tune=300, chains=2, **bs.CALIBRATED
        )
    assert found.attrs["options"]["noise"] == "scaled"
    assert (found.width > 0).all()
    assert np.isfinite(found.log_score).all()


def test_doubtful_fits_are_named(olmo):
    with pytest.warns(bs.FitWarning, match=r"backtest of 'dense': .*at cut 0.2, 0.4") as caught:
        found = bs.backtest(dense, olmo, cuts=(0.2, 0.4), draws=40, **QUICK)
    assert len(caught) == 1
    assert found.attrs["trusted"] == {0.2: False, 0.4: False}


def test_impossible_backtests_are_refused(olmo):
    for options, said in [
        ({"cuts": (0.9,)}, r"cut 0.9 leaves 3 of 30 runs to fit the 5 coefficients.*'flops'"),
        ({"cuts": ()}, r"cuts is empty"),
        ({"cuts": (0.0,)}, r"a cut is a share of the runs between 0 and 1, not 0.0"),
        ({"order": "depth"}, r"no column 'depth'"),
        ({"priors": {"A": 0.5}}, r"fixes an amplitude in reference units"),
        ({"noise": "none"}, r"noise='none' is not known"),
    ]:
        with pytest.raises(bs.InputError, match=said):
            bs.backtest(dense, olmo, **options)
    with pytest.raises(bs.InputError, match=r"first argument must be a law"):
        bs.backtest("dense", olmo)


def table_of(inside, beyond):
    """A backtest's table of made-up results: runs in a row, held out once each."""
    count = len(inside)
    filled = dict.fromkeys(["width", "error", "crps", "log_score"], 0.5)
    shares = {"inside_50": inside, "inside_80": inside, "inside_90": inside}
    runs = {"cut": 0.5, "run": [str(i) for i in range(count)], "beyond": beyond}
    table = pd.DataFrame({**runs, **shares, **filled})
    table.attrs = {"order": "flops"}
    return table


def test_coverage_averages_by_cut_and_by_distance(scores):
    by_cut = bs.coverage(scores)
    assert by_cut.index.tolist() == [0.2, 0.4]
    for cut, rows in scores.groupby("cut"):
        assert by_cut.runs[cut] == len(rows)
        for name in ("inside_50", "inside_90", "crps", "log_score", "width", "error"):
            assert by_cut.loc[cut, name] == pytest.approx(rows[name].mean())
    made = table_of([True, False, True, True], [0.1, 0.2, 0.7, 3.0])
    found = bs.coverage(made, by="beyond")
    assert found.runs.tolist() == [2, 1, 1]
    assert found.inside_90.tolist() == [0.5, 1.0, 1.0]
    with pytest.raises(bs.InputError, match=r"by='run' is not known; choose 'cut' or 'beyond'"):
        bs.coverage(made, by="run")
    with pytest.raises(bs.InputError, match=r"distances are not known"):
        bs.coverage(made.assign(beyond=np.nan), by="beyond")


def test_the_reading_says_how_little_a_few_runs_tell():
    few = bs.coverage(table_of([True] * 7 + [False] * 2, np.ones(9))).attrs["reading"]
    assert few.startswith(
        "Intervals of 50, 80 and 90 % held 78, 78 and 78 % of 9 held-out losses: no sign"
    )
    assert few.endswith("neighbours' are alike, so they tell less.")
    narrow = bs.coverage(table_of([True, False] * 30, np.ones(60))).attrs["reading"]
    assert "too narrow at 80 and 90 %. Were" in narrow
    assert "they tell less" not in narrow
    wide = bs.coverage(table_of([True] * 100, np.ones(100))).attrs["reading"]
    assert "wider than need be at 50, 80 and 90 %" in wide
