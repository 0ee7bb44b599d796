"""``bayescale design``: what it prints, keeps, draws and refuses."""

import json
from functools import partial

import pandas as pd
import pytest

import bayescale as bs
import command_line
from bayescale.models import dense

run, error = partial(command_line.run, "design"), partial(command_line.error, "design")
LAW = ("--law", "dense", "--budget", "1e23")


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    path = tmp_path_factory.mktemp("design") / "mine.csv"
    runs = bs.propose_designs(dense, 1e21, runs=8).query("design == 'isoFLOP grid'")
    runs[["N", "D"]].to_csv(path, index=False)
    return path


def test_a_design_of_one_s_own_is_scored(mine, tmp_path):
    figure = tmp_path / "design.svg"
    text = run(*LAW, "--runs", mine, "--simulations", "4", "--seed", "5", "--plot", figure).stdout
    assert text.startswith("Simulated: over 4 truths drawn from the priors")
    assert "this design" in text
    assert figure.stat().st_size > 5_000


def test_the_document_is_what_the_functions_give(tmp_path):
    kept = tmp_path / "runs.csv"
    asked = ("--compute", "1e21", "--count", "8", "--simulations", "4", "--json", "-o", kept)
    document = json.loads(run(*LAW, *asked).stdout)
    runs = bs.propose_designs(dense, 1e21, runs=8)
    scores = bs.score_designs(dense, runs, 1e23, simulations=4, progress=False)
    assert document["designs"] == scores.to_dict("records")
    assert document["reading"] == scores.attrs["reading"]
    assert document["simulated"] is True
    assert len(document["runs"]) == 24
    best = pd.read_csv(kept)
    assert set(best.design) == {scores.design.iloc[0]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--compute, what all small runs may cost"),
        (("--compute", "1e21", "--runs", "mine.csv"), "--compute, what all small runs may cost"),
        (("--compute", "1e21", "--count", "10"), "multiple of 4"),
        (("--compute", "1e21", "--simulations", "2"), "at least 4"),
        (("--compute", "1e21", "--where", "N > 1"), "none is given"),
    ],
)
def test_what_makes_no_sense_is_one_line(options, message):
    assert message in error(*LAW, *options)
