"""Forecasts that are written down, and what came of them."""

import json

import numpy as np
import pandas as pd
import pytest

import bayescale as bs
from bayescale.models import dense
from bayescale.prediction.forecasts import coverage_words, read_forecast, read_ledger, record
from command_line import error, run


@pytest.fixture(scope="module")
def fit():
    rng = np.random.default_rng(2)
    n, d = (x.ravel() for x in np.meshgrid([1e8, 4e8, 1e9], [2e9, 8e9, 3e10, 1e11], indexing="ij"))
    loss = dense(n, d, **dense.published["besiroglu2024"].values)
    runs = pd.DataFrame({"N": n, "D": d, "loss": loss * np.exp(0.005 * rng.standard_normal(12))})
    return bs.fit(dense, runs, method="laplace", seed=1)


def test_a_forecast_says_what_predict_says_and_where_it_is_from(fit):
    told = bs.forecast(fit, N=7e9, D=1.4e11)
    loss = bs.predict(fit, N=7e9, D=1.4e11, seed=0)
    assert told["loss"]["median"] == pytest.approx(float(loss.median()), rel=1e-12)
    assert told["loss"]["intervals"]["0.9"] == pytest.approx(bs.interval(loss, 0.9).values.tolist())
    assert told["inputs"] == {"N": 7e9, "D": 1.4e11}
    assert told["table"]["runs"] == 12
    assert len(told["table"]["sha256"]) == 64
    assert told["version"] == bs.__version__
    assert told["options"]["method"] == "laplace"
    assert told["extrapolation"] == pytest.approx(7e9 * 1.4e11 / (1e9 * 1e11))
    assert json.loads(json.dumps(told)) == told


@pytest.mark.parametrize("share", [0.03, 0.2, 0.5, 0.97])
def test_the_pit_is_the_share_of_draws_below(fit, share):
    told = bs.forecast(fit, N=7e9, D=1.4e11)
    loss = bs.predict(fit, N=7e9, D=1.4e11, seed=0)
    found = bs.outcome(told, float(loss.quantile(share)))
    assert found["pit"] == pytest.approx(share, abs=0.005)
    assert found["inside"] == {
        p: (1 - float(p)) / 2 <= share <= (1 + float(p)) / 2 for p in ("0.5", "0.8", "0.9")
    }


def test_far_outside_the_pit_is_near_an_end(fit):
    told = bs.forecast(fit, N=7e9, D=1.4e11)
    assert bs.outcome(told, 1.0)["pit"] < 0.003
    assert bs.outcome(told, 9.0)["pit"] > 0.997


def test_a_change_after_the_fact_is_noticed(fit, tmp_path):
    told = bs.forecast(fit, N=7e9, D=1.4e11)
    path = tmp_path / "f.json"
    path.write_text(json.dumps(told))
    assert read_forecast(path) == told
    told["loss"]["median"] += 0.1
    path.write_text(json.dumps(told))
    with pytest.raises(bs.InputError, match="has changed since it was made"):
        read_forecast(path)
    path.write_text("{}")
    with pytest.raises(bs.InputError, match="is no forecast"):
        read_forecast(path)


def test_a_ledger_holds_one_outcome_of_each_forecast_and_their_coverage(fit, tmp_path):
    path = tmp_path / "ledger.jsonl"
    for i, loss in enumerate((2.3, 2.31, 3.0)):
        told = bs.forecast(fit, N=7e9 * (1 + i), D=1.4e11)
        entries = record(path, bs.outcome(told, loss))
    assert len(entries) == 3
    assert entries == read_ledger(path)
    inside = sum(one["inside"]["0.9"] for one in entries)
    assert f"the 90 % interval held {inside} " in coverage_words(entries)
    assert "3 forecasts have an outcome" in coverage_words(entries)
    with pytest.raises(bs.InputError, match="has an outcome of this forecast already"):
        record(path, bs.outcome(told, 2.9))
    assert record(path, bs.outcome(told, 2.9), replace=True)[-1]["loss"] == 2.9


def test_at_the_prompt(fit, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fit.save("fit.nc")
    said = run("forecast", "fit.nc", "N=7B", "D=140B", "-o", "f.json").stdout
    assert said.startswith("N = 7B, D = 140B: a loss of ")
    assert "exists already" in error("forecast", "fit.nc", "N=7B", "D=140B", "-o", "f.json")
    said = run("outcome", "f.json", "--loss", "2.3").stdout
    assert "the forecast gave a lower loss a probability of" in said
    assert "1 forecast has an outcome" in said
    found = json.loads(run("outcome", "--ledger", "ledger.jsonl", "--json").stdout)
    assert found["outcomes"][0]["loss"] == 2.3
    assert "--ledger" in error("outcome")
    assert "lacks D" in error("forecast", "fit.nc", "N=7B", "-o", "g.json")
