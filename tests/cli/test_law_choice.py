"""A law nobody named: that of the columns there are, said aloud; refused where it is not told."""

import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import bayescale as bs
from bayescale.cli import app
from bayescale.cli.law_choice import choose_law
from bayescale.models import coupled, envelope

SHORT = ("--draws", "100", "--tune", "200", "--chains", "2")


@pytest.mark.parametrize(
    ("columns", "law"),
    [
        (("N", "D"), coupled),
        (("N", "D", "flops"), coupled),
        (("flops",), envelope),
        (("size",), coupled),  # which then says what it has not found
    ],
)
def test_the_law_is_that_of_the_columns(olmo, capsys, columns, law):
    runs = olmo.rename(columns={"N": "size"}) if "size" in columns else olmo
    assert choose_law(runs[[*columns, "loss"]]) is law
    said = capsys.readouterr().err
    assert f"law: {law.name}, calibrated to predict beyond the runs" in " ".join(said.split())


def test_one_value_of_what_a_law_is_about_is_no_reason(olmo):
    assert choose_law(olmo.assign(S=0.0, N_active=olmo.N)) is coupled


def test_runs_that_differ_otherwise_need_a_law():
    pruned = bs.load_runs("frantar2023_t5")
    with pytest.raises(
        bs.InputError, match=r"differ in .*S.*--law \(laws of this table: .*frantar"
    ):
        choose_law(pruned)


@pytest.mark.filterwarnings("ignore::bayescale.FitWarning")
def test_a_fit_without_a_law_is_the_calibrated_one(olmo, tmp_path):
    olmo[["N", "D", "loss"]].to_csv(tmp_path / "runs.csv", index=False)
    saved = tmp_path / "fit.nc"
    result = CliRunner().invoke(
        app, ["fit", str(tmp_path / "runs.csv"), "-o", str(saved), "--json", *SHORT]
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["law"] == "coupled"
    fit = bs.load_fit(saved)
    same = bs.fit(coupled, olmo, draws=100, tune=200, chains=2, seed=0, **bs.CALIBRATED)
    assert fit.about["noise"] == "scaled"
    np.testing.assert_array_equal(fit.posterior.E, same.posterior.E)


def test_a_table_of_compute_alone_needs_no_law(tmp_path):
    flops = np.geomspace(1e18, 1e21, 10)
    pd.DataFrame({"flops": flops, "loss": 1.8 + 4e2 * flops**-0.15}).to_csv(
        tmp_path / "runs.csv", index=False
    )
    result = CliRunner().invoke(app, ["fit", str(tmp_path / "runs.csv"), "--json", *SHORT])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["law"] == "envelope"
