"""``bayescale next``: what it prints, draws and refuses."""

import csv
import io
import json
from functools import partial

import pytest

import bayescale as bs
import command_line
from bayescale.models import dense

TARGET = ("--target", "N=70B", "--target", "D=1.4T")


@pytest.fixture(scope="module")
def saved(olmo_fit, tmp_path_factory):
    path = tmp_path_factory.mktemp("next") / "fit.nc"
    olmo_fit.save(path)
    return path


@pytest.fixture(scope="module")
def candidates(tmp_path_factory):
    path = tmp_path_factory.mktemp("next") / "candidates.csv"
    path.write_text("label,N,D\nsmall,2e8,2e9\nlong,1e9,1e12\nbig,1e10,2e11\n")
    return path


run, error = partial(command_line.run, "next"), partial(command_line.error, "next")


def test_the_document_is_what_the_function_gives(saved, olmo_fit):
    document = json.loads(run(saved, "--budget", "1e24", "--json").stdout)
    ranked = bs.next_runs(olmo_fit, budget=1e24)
    assert document["objective"] == "regret"
    assert document["now"] == ranked.attrs["now"]
    assert document["simulated"] is False
    assert document["runs"] == ranked.to_dict("records")


def test_a_table_of_candidates_and_a_target(saved, candidates):
    text = run(saved, *TARGET, "--runs", candidates, "--rank", "gain", "--csv").stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["label"] for row in rows] == ["big", "long", "small"]
    assert float(rows[0]["share"]) > float(rows[1]["share"])
    some = run(saved, *TARGET, "--runs", candidates, "--where", "N < 5e9", "--csv").stdout
    assert "big" not in some


def test_people_read_a_table(saved, candidates):
    text = run(saved, "--budget", "1e24", "--runs", candidates).stdout
    assert text.startswith("Now: expected regret 0.006")
    assert "small  200M" in text
    assert "regret left" in text
    long = run(saved, *TARGET).stdout
    assert "standard deviation of the target's loss" in long
    assert "more: --json or --csv lists all" in long


def test_a_batch_is_chosen_under_a_cost(saved):
    document = json.loads(
        run(saved, *TARGET, "--batch", "2", "--most", "1e21", "--rank", "gain", "--json").stdout
    )
    assert document["batch"] == len(document["runs"]) == 2
    assert all(one["flops"] <= 1e21 for one in document["runs"])
    assert document["runs"][0]["share"] < document["runs"][1]["share"]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_figure(saved, candidates, tmp_path, suffix):
    figure = tmp_path / f"next.{suffix}"
    run(saved, "--budget", "1e24", "--runs", candidates, "--plot", figure)
    assert figure.stat().st_size > 5_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--budget, the compute"),
        (("--budget", "1e24", *TARGET), "--budget, the compute"),
        (("--budget", "lots"), "'lots' is not understood"),
        (("--target", "N=70B"), "needs 'D'"),
        (("--budget", "1e24", "--where", "N > 1"), "none is given"),
        (("--budget", "1e24", "--rank", "cost"), "--rank is"),
        (("--budget", "1e24", "--most", "1e10"), "raise --most"),
        (("--budget", "1e24", "--batch", "99"), "--batch is a whole number"),
        (("--budget", "1e24", "--plot", "figure.txt"), "ends in"),
    ],
)
def test_what_makes_no_sense_is_one_line(saved, options, message):
    assert message in error(saved, *options)


def test_published_coefficients_are_refused(tmp_path):
    bs.published(dense, "besiroglu2024").save(tmp_path / "published.nc")
    assert "published coefficients" in error(tmp_path / "published.nc", *TARGET)
