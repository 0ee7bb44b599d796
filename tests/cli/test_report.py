"""The command that writes a report, and the README's three commands as a new user runs them."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayescale as bs
from bayescale.models import dense
from command_line import error, run

README = (Path(__file__).parents[2] / "README.md").read_text()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("fits") / "published.nc"
    bs.published(dense, "besiroglu2024").save(path)
    return path


def test_a_report_is_the_package_s(saved, tmp_path):
    run("report", saved, "--budget", "1e23", "--question", "Why?", "-o", tmp_path / "a.html")
    bs.write_report(
        {"published": bs.published(dense, "besiroglu2024")},
        tmp_path / "b.html",
        budget=1e23,
        question="Why?",
    )
    when = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC")
    pages = [when.sub("", (tmp_path / name).read_text()) for name in ("a.html", "b.html")]
    assert pages[0] == pages[1]


def test_limits_on_plans_are_taken(saved, tmp_path):
    path = tmp_path / "report.html"
    run("report", saved, "--budget", "1e23", "--bounds", "N=:10B", "--span", "1e22:1e24",
        "-o", path)  # fmt: skip
    assert "a model of 10B parameters" in path.read_text()


def test_a_backtest_made_before_is_taken(saved, tmp_path):
    loss = np.array([3.0, 2.9, 2.8])
    table = pd.DataFrame({"loss": loss, "q05": loss - 0.1, "q50": loss, "q95": loss + 0.1})
    table.to_csv(tmp_path / "backtest.csv", index=False)
    path = tmp_path / "report.html"
    given = ["--backtest-table", tmp_path / "backtest.csv"]
    run("report", saved, "--budget", "1e23", *given, "-o", path)
    assert '<figure id="calibration">' in path.read_text()
    assert "two ways to one table" in error(
        "report", saved, "--backtest", *given, "-o", path, "--force"
    )


def test_a_report_replaces_a_report_and_nothing_else(saved, tmp_path):
    path = tmp_path / "report.html"
    path.write_text("<p>precious")
    arguments = ["report", saved, "--budget", "1e23", "-o", path]
    assert "is not a bayescale report" in error(*arguments)
    assert path.read_text() == "<p>precious"
    run(*arguments, "--force")
    first = path.read_text()
    run(*arguments)
    assert path.read_text()[:2000] == first[:2000]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "report.pdf"], "ends in .html"),
        (["-o", "nowhere/report.html"], "folder nowhere does not exist"),
        (["-o", "r.html"], "give a budget"),
        (["--budget", "lots", "-o", "r.html"], "--budget: budget 'lots' is not understood"),
        (["--budget", "1e23", "--span", "1e22", "-o", "r.html"], "is not LOW:HIGH"),
        (["--budget", "1e23", "--prob", "90", "-o", "r.html"], "--prob is a probability"),
        (["--backtest", "--budget", "1e23", "-o", "r.html"], "holds no runs"),
        (["--backtest-table", "no.csv", "--budget", "1e23", "-o", "r.html"], "no.csv"),
    ],
)
def test_what_cannot_be_is_refused(saved, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert said in error("report", saved, *arguments)
    assert list(tmp_path.iterdir()) == []


# --- as a new user --------------------------------------------------------------------------------


def three_commands():
    """The README's way from nothing to a report."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", README, re.M | re.S)
    (block,) = [block for block in blocks if "bayescale template" in block]
    return [shlex.split(line) for line in block.strip().splitlines()]


def in_shell(folder, arguments):
    """Run a command of the README as somebody at a prompt would, in an empty folder."""
    assert arguments[0] == "bayescale"
    code = "from bayescale.cli import app; app()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments[1:]], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done


def test_three_commands_of_the_readme_reach_a_report(tmp_path):
    commands = three_commands()
    assert [command[1] for command in commands] == ["template", "fit", "report"]
    for command in commands:
        in_shell(tmp_path, command)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fit.nc", "report.html", "runs.csv"]
    assert "Train a model of " in (tmp_path / "report.html").read_text()


def test_one_s_own_table_takes_the_place_of_the_template(tmp_path):
    runs = bs.load_runs("olmo_ladder").query("not target")
    table = runs[["N", "D", "loss"]].set_axis(["n_params", "train/tokens", "val_loss"], axis=1)
    table.to_csv(tmp_path / "runs.csv", index=False)
    _, fit, report = three_commands()
    said = in_shell(tmp_path, fit).stderr
    assert "read: N from column 'n_params'" in said
    in_shell(tmp_path, report)
    made = bs.load_fit(tmp_path / "fit.nc")
    page = (tmp_path / "report.html").read_text()
    # What ``decide`` refuses is shown as failed, above everything else.
    assert (": failed.</strong>" in page) == (not bs.diagnose(made).attrs["ok"])
    plan = bs.decide(made, 1e23, trust=True)
    assert f"a model of {plan.N.item() / 1e9:.3g}B parameters" in page
    assert "30 runs of runs.csv" in page
