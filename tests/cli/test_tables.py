"""Tables of one's own at the command line, and the file to start from."""

import json
import re

import numpy as np
import pandas as pd
import pytest

import bayescale as bs
from bayescale.checking.example_runs import example_runs
from bayescale.cli import inputs as cli_inputs
from bayescale.language.columns import read_columns
from bayescale.models import laws
from command_line import error, run


@pytest.fixture
def sweep(tmp_path):
    """A table as a tracker exports it, of measured runs."""
    runs = bs.load_runs("olmo_ladder").query("not target")
    table = pd.DataFrame(
        {
            "Name": runs["run"],
            "config.n_params": [f"{x / 1e9:.9g}B" for x in runs["N"]],
            "train/tokens": runs["D"],
            "train/loss": runs["loss"] - 0.05,
            "val/loss": runs["loss"],
        }
    )
    table.to_csv(tmp_path / "sweep.csv", index=False)
    return tmp_path / "sweep.csv"


# --- fit and the others ---------------------------------------------------------------------------


def test_fit_says_how_it_understood_the_columns_and_goes_on(sweep):
    result = run("fit", sweep, "--law", "dense", "--method", "laplace", "--json")
    assert json.loads(result.stdout)["runs"] == 30
    said = result.stderr.splitlines()
    assert said[0] == "read: sweep.csv, 30 runs"
    assert said[1] == (
        "read: N from column 'config.n_params' (numbers with suffixes): 190M to 3.17B parameters"
    )
    assert said[2] == "read: D from column 'train/tokens': 1.91B to 634B tokens"
    assert said[3] == (
        "read: loss from column 'val/loss' (validation loss; 'train/loss' is left aside): 2.664 to "
        "3.747 nats per token"
    )


def test_a_table_of_the_package_needs_no_explanation():
    result = run("runs", "olmo_ladder")
    assert result.stderr == ""


def test_columns_are_given_by_an_option(tmp_path):
    pd.DataFrame({"size": [0.1, 0.4], "D": [1e9, 2e9], "a=b": [3.0, 2.9]}).to_csv(
        tmp_path / "runs.csv", index=False
    )
    given = ["--column", "N=size*1e9", "--column", "loss=a=b"]
    shown = json.loads(run("runs", tmp_path / "runs.csv", *given, "--json").stdout)
    assert [row["N"] for row in shown["rows"]] == [1e8, 4e8]
    assert [row["loss"] for row in shown["rows"]] == [3.0, 2.9]


def test_remedies_are_options(tmp_path):
    path = tmp_path / "runs.csv"
    pd.DataFrame({"params": [7.0], "tokens": ["1T"], "loss": [2.0]}).to_csv(path, index=False)
    said = error("fit", path, "--law", "dense")
    assert '--column "N=params * 1e9"' in said
    pd.DataFrame({"params": ["7B"], "n_params": ["6B"], "tokens": ["1T"], "loss": [2.0]}).to_csv(
        path, index=False
    )
    assert 'Say so with --column "N=params"' in error("fit", path, "--law", "dense")
    pd.DataFrame({"width": [7e9], "tokens": ["1T"], "loss": [2.0]}).to_csv(path, index=False)
    assert "no column 'N'" in error("fit", path, "--law", "dense")
    assert "--column gives 'nowhere'" in error(
        "fit", path, "--law", "dense", "--column", "N=nowhere"
    )
    bs.load_runs("gemstones2025").to_csv(path, index=False)
    said = error("fit", path, "--law", "dense")
    assert "--checkpoints last" in said
    assert "--checkpoints keep" in said


def test_curves_are_averaged_as_told(tmp_path):
    share = np.arange(1, 101) / 100
    table = pd.DataFrame({"run": "a", "N": 1e9, "D": 2e10 * share, "loss": 4 - share})
    table.to_csv(tmp_path / "curve.csv", index=False)
    result = run("runs", tmp_path / "curve.csv", "--tail", "0.1", "--json")
    (row,) = json.loads(result.stdout)["rows"]
    assert row["loss"] == pytest.approx(table.loss[share >= 0.9].mean())
    assert "the mean over the last 10 % of it" in result.stderr


@pytest.mark.parametrize("option", [["--column", "N=N"], ["--tail", "0.1"],
                                    ["--checkpoints", "last"]])  # fmt: skip
def test_options_of_files_are_not_for_the_package_s_tables(option):
    assert f"{option[0]} is about a file" in error("runs", "olmo_ladder", *option)


def test_the_file_s_rows_are_chosen_by_what_was_understood(sweep):
    runs = cli_inputs.read_runs(str(sweep), "N > 1e9")
    assert 0 < len(runs) < 30
    assert runs.attrs["name"] == "sweep.csv"


# --- template -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_a_template_is_read_back(tmp_path, kind):
    path = tmp_path / f"runs.{kind}"
    text = run("template", path).stdout
    assert f"wrote {path}: 30 measured runs of Bhagia et al. 2024" in re.sub(r"\n(?! )", " ", text)
    expected = bs.load_runs("olmo_ladder").query("not target")
    found = bs.read_runs(path)
    for name in ("N", "D", "loss"):
        assert found[name].tolist() == expected[name].tolist()


@pytest.mark.parametrize("law", laws().values(), ids=list(laws()))
def test_every_law_has_a_template_that_it_can_be_fitted_to(tmp_path, law):
    path = tmp_path / "runs.csv"
    run("template", path, "--law", law.name)
    found = bs.read_runs(path)
    columns = read_columns(found, (*law.inputs, "loss"), extra=law.variables)
    assert len(found) >= 10
    assert all(len(set(values.tolist())) > 1 for values in columns.values())
    assert found.attrs["simulated"] == (example_runs(law)[1] == "simulated runs")


def test_a_template_of_upcycled_runs_says_whose_size_n_is(tmp_path):
    path = tmp_path / "runs.csv"
    said = " ".join(run("template", path, "--law", "upcycling").stdout.split())
    assert "N: parameters of the dense parent, without embeddings" in said
    assert "150 measured runs of Liew et al. 2025" in said
    # One configuration: two runs that differ in experts alone would look like repeats.
    assert not pd.read_csv(path).duplicated(["N", "D_dense", "D_upcycled"]).any()


def test_a_template_replaces_nothing_unasked(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("precious")
    assert "exists already" in error("template", path)
    assert path.read_text() == "precious"
    run("template", path, "--force")
    assert path.read_text().startswith("run,N,D,loss\n")
    assert "ends in .csv" in error("template", tmp_path / "runs.txt")
