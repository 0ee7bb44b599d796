"""The command that checks a saved fit: it says what the package says."""

import json

import pytest

import bayescale as bs
from bayescale.models import dense
from command_line import error, run


@pytest.fixture(scope="module")
def saved(tmp_path_factory, olmo_fit):
    path = tmp_path_factory.mktemp("fits") / "fit.nc"
    olmo_fit.save(path)
    return path


def test_it_prints_the_readings(saved, olmo_fit):
    lines = run("check", saved).stdout.splitlines()
    assert lines[0].startswith("dense fitted to 30 runs of olmo_ladder")
    assert lines[1].startswith("diagnostics passed")
    reading = bs.check_residuals(olmo_fit, prob=0.98, exact=False).attrs["reading"]
    assert reading in lines
    assert bs.prior_overlap(olmo_fit).attrs["reading"] in lines
    assert "sensitivity" not in lines


def test_a_budget_adds_the_table(saved, olmo_fit):
    lines = run("check", saved, "--budget", "1e24").stdout.splitlines()
    table = bs.prior_sensitivity(olmo_fit, 1e24)
    assert table.attrs["reading"] in lines
    rows = [line.split() for line in lines[lines.index(table.attrs["reading"]) + 2 :]]
    assert rows[0][:2] == ["component", "sensitivity"]
    assert {row[0]: row[1] for row in rows[1:6]} == {
        name: f"{table.psense[name]:.3f}" for name in dense.coefficients
    }


def test_json(saved, olmo_fit):
    found = json.loads(run("check", saved, "--budget", "1e24", "--of", "D", "--json").stdout)
    assert found["law"] == "dense"
    assert found["diagnostics"]["ok"] is True
    table = bs.prior_sensitivity(olmo_fit, 1e24, of="D")
    assert found["sensitivity"]["of"] == "D"
    assert found["sensitivity"]["reading"] == table.attrs["reading"]
    for row in found["sensitivity"]["components"]:
        assert row["D_stronger"] == pytest.approx(table.D_stronger[row["component"]], rel=1e-12)
    overlaps = {row["coefficient"]: row["overlap"] for row in found["priors"]["coefficients"]}
    assert overlaps == pytest.approx(bs.prior_overlap(olmo_fit).overlap.to_dict())
    assert found["residuals"]["checks"][0]["check"] == "LOO-PIT"
    assert "sensitivity" not in json.loads(run("check", saved, "--json").stdout)


@pytest.mark.filterwarnings("ignore::bayescale.AllocationWarning")
def test_limits_on_plans_are_taken(saved, olmo_fit):
    out = run("check", saved, "--budget", "1e24", "--bounds", "N=:20B", "--json")
    bounded = bs.prior_sensitivity(olmo_fit, 1e24, bounds={"N": (1e6, 2e10)})
    found = json.loads(out.stdout)["sensitivity"]["components"]
    assert found[0]["N_as_is"] == pytest.approx(bounded.N_as_is.iloc[0], rel=1e-9)
    assert "bound" in out.stderr


def test_it_draws(saved, tmp_path):
    run("check", saved, "--plot", tmp_path / "priors.png")
    assert (tmp_path / "priors.png").read_bytes().startswith(b"\x89PNG")


def test_draws_that_failed_their_diagnostics_fail_the_check(olmo, tmp_path):
    with pytest.warns(bs.FitWarning):
        fit = bs.fit(dense, olmo, method="laplace", draws=50, chains=2, seed=1)
    fit.save(tmp_path / "few.nc")
    assert "diagnostics FAILED" in run("check", tmp_path / "few.nc", code=1).stdout
    found = run("check", tmp_path / "few.nc", "--json", code=1)
    assert json.loads(found.stdout)["diagnostics"]["ok"] is False


def test_a_group_is_needed_for_a_budget_only(tmp_path):
    runs = bs.load_runs("gadre2024").query("warm_frac <= 0.25")
    fit = bs.fit(dense, runs, by="corpus", vary=("E",), pool="none", method="laplace", seed=1)
    path = tmp_path / "groups.nc"
    fit.save(path)
    assert "choose a --group" in error("check", path, "--budget", "1e22")
    found = json.loads(run("check", path, "--budget", "1e22", "--group", "rpj", "--json").stdout)
    assert "E[rpj]" in [row["coefficient"] for row in found["priors"]["coefficients"]]


def test_what_makes_no_sense_is_refused_at_once(saved, tmp_path):
    assert "--of is about --budget" in error("check", saved, "--of", "N")
    assert "--fixed is about --budget" in error("check", saved, "--fixed", "N=1B")
    assert "the name of a figure ends in" in error("check", saved, "--plot", "priors.txt")
    bs.published(dense, "besiroglu2024").save(tmp_path / "published.nc")
    assert "nothing to diagnose" in error("check", tmp_path / "published.nc")
