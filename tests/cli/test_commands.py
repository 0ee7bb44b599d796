"""The command line: what it prints, writes and refuses."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from typer.main import get_command

import bayescale as bs
from bayescale import cli
from bayescale.cli import inputs as cli_inputs
from bayescale.cli import output as cli_output
from bayescale.cli.lists import plain_math
from bayescale.cli.results import fit_document
from bayescale.common.errors import InputError
from bayescale.fitting.fits import Fit, stamp
from bayescale.language.law import Law
from bayescale.models import dense, granularity, laws
from command_line import error, run
from properties import examples

COMMANDS = list(get_command(cli.app).commands)
ANSI = re.compile(r"\x1b\[[0-9;]*m")
OWN_LAW = '''
    from bayescale import amplitude, exponent, floor, law

    def my_cost(N, D):
        return 12.0 * N * D

    @law
    def my_law(N, D, *, E=floor(), A=amplitude(), alpha=exponent(), B=amplitude()):
        """One exponent for both."""
        return E + A * N**-alpha + B * D**-alpha
'''


def document(*arguments, **options):
    """What a command prints as JSON; NaN and Infinity are not JSON."""

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(run(*arguments, "--json", **options).stdout, parse_constant=refuse)


def records(*arguments):
    return list(csv.DictReader(io.StringIO(run(*arguments, "--csv").stdout)))


def made_up(law, centre, *, shift=0.0, simulated=False, seed=0):
    """A fit whose draws are random numbers about a centre in raw units; the runs are real."""
    rng = np.random.default_rng(seed)
    runs = bs.load_runs("olmo_ladder").query("not target")
    reference = {"N": 1e9, "D": 1e11}
    values = {name: centre[name] * np.exp(0.05 * rng.standard_normal((2, 1000))) for name in centre}
    values["A"] *= reference["N"] ** -centre["alpha"]
    values["B"] *= reference["D"] ** -centre.get("beta", centre["alpha"])
    values["noise_scale"] = 0.005 * np.exp(0.1 * rng.standard_normal((2, 1000)))
    values["noise_dof"] = 5 + rng.random((2, 1000))
    axes, coords = ("chain", "draw"), {"chain": np.arange(2), "draw": np.arange(1000)}
    score = 3.0 + shift + 0.1 * rng.standard_normal((2, 1000, len(runs)))
    about = {
        "law": law.name,
        "noise": "student_t",
        "simulated": simulated,
        "priors": {},
        "fixed": {},
        "reference": reference,
        "loss_scale": 3.0,
        "seed": seed,
        "draws": 1000,
        "tune": 1000,
        "chains": 2,
        "table": "olmo_ladder",
    }
    columns = {name: ("run", runs[name].to_numpy()) for name in ("N", "D", "loss")}
    tree = xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({n: (axes, v) for n, v in values.items()}, coords),
            "log_likelihood": xr.Dataset({"log_loss": ((*axes, "run"), score)}, coords),
            "sample_stats": xr.Dataset({"diverging": (axes, np.zeros((2, 1000), bool))}, coords),
            "observed_data": xr.Dataset({"log_loss": ("run", np.log(runs.loss.to_numpy()))}),
            "runs": xr.Dataset(columns),
        }
    )
    tree.attrs["bayescale"] = json.dumps(stamp(law, about))
    return Fit(law, tree)


CENTRE = dict(dense.published["besiroglu2024"].values)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with saved fits and a law of one's own."""
    here = tmp_path_factory.mktemp("fits")
    made_up(dense, CENTRE).save(here / "dense.nc")
    made_up(dense, CENTRE, shift=0.01, seed=1).save(here / "alike.nc")
    made_up(dense, CENTRE, shift=-1.0, seed=2).save(here / "worse.nc")
    made_up(dense, CENTRE, simulated=True).save(here / "simulated.nc")
    bs.published(dense, "besiroglu2024").save(here / "published.nc")
    bs.published(granularity, "krajewski2024").save(here / "granular.nc")
    (here / "mine.py").write_text(textwrap.dedent(OWN_LAW))
    own = cli_inputs.find_law(f"{here / 'mine.py'}:my_law")
    made_up(own, {k: CENTRE[k] for k in own.priors}).save(here / "mine.nc")
    return here


@pytest.fixture(scope="module")
def saved(folder):
    return folder / "dense.nc"


# --- help and start-up ----------------------------------------------------------------------------


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom bayescale.cli import app\n"
        "try:\n    app(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = set('pandas xarray scipy pymc pytensor nutpie arviz matplotlib'.split())\n"
        "sys.stderr.write(','.join(sorted(heavy & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Commands" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    text = run(command, "--help").stdout
    assert "For example:" in text
    assert f"bayescale {command}" in text.partition("For example:")[2]
    assert run(command, "-h").stdout == text


def test_help_lists_every_command():
    listed = re.findall(r"^│ ([\w-]+) ", run("--help").stdout.partition("Commands")[2], re.M)
    assert listed == COMMANDS
    assert {
        "laws",
        "runs",
        "fit",
        "predict",
        "allocate",
        "decide",
        "compare",
        "backtest",
        "demo",
    } <= {*listed}


def test_version():
    assert run("--version").stdout == f"bayescale {bs.__version__}\n"


def test_an_unknown_command_or_option_is_a_user_error():
    assert "No such command" in run("fits", code=2).stderr
    assert "No such option" in run("laws", "--jsn", code=2).stderr


# --- laws -----------------------------------------------------------------------------------------


def test_laws_lists_all():
    listed = document("laws")["laws"]
    assert [one["name"] for one in listed] == list(laws())
    by_name = {one["name"]: one for one in listed}
    assert by_name["dense"]["summary"] == "Hoffmann 2022: E + A N^-alpha + B D^-beta."
    assert by_name["dense"]["inputs"] == ["N", "D"]
    text = run("laws").stdout
    assert all(f"{law.name}({', '.join(law.inputs)};" in text for law in laws().values())


def test_one_law_shows_its_priors_and_published_values():
    found = document("laws", "dense")
    assert found["coefficients"]["alpha"]["prior"] == str(dense.priors["alpha"])
    assert found["published"]["besiroglu2024"]["values"] == CENTRE
    assert found["published"]["besiroglu2024"]["certainty"] == "notes"
    assert found["cost"]["name"] == "dense_flops"
    text = run("laws", "dense").stdout
    assert "L(N, D) = E + A N^-alpha + B D^-beta" in text
    assert "482.01 ± 124.6" in text
    rows = {row["coefficient"]: row for row in records("laws", "dense")}
    assert float(rows["A"]["hoffmann2022"]) == 406.4


@pytest.mark.parametrize("law", laws().values(), ids=list(laws()))
def test_formulas_are_readable_as_typed(law):
    assert not re.search(r"[\\`]|:math:", plain_math(law.summary))
    run("laws", law.name)


@pytest.mark.parametrize(
    ("marked", "typed"),
    [
        (r":math:`A N^{-\alpha}`", "A N^-alpha"),
        (r":math:`\frac{A}{N^{\alpha} E^{\gamma}}`", "A/(N^alpha E^gamma)"),
        (r":math:`D^{-\alpha_2+\alpha_3\ln D_1}`", "D^(-alpha_2+alpha_3 ln D_1)"),
        (r":math:`a\hat E^{\delta}N`", "a E_hat^delta N"),
        (r"of ``N`` and **total** size, :func:`bayescale.cost.dense_flops`",
         "of N and total size, bayescale.cost.dense_flops"),
    ],
)  # fmt: skip
def test_marked_up_mathematics_becomes_plain(marked, typed):
    assert plain_math(marked) == typed


# --- runs -----------------------------------------------------------------------------------------


def test_runs_lists_the_tables():
    assert [one["name"] for one in document("runs")["tables"]] == list(bs.list_runs().index)
    assert "olmo_ladder" in run("runs").stdout


def test_a_table_as_csv_is_the_table():
    printed = pd.read_csv(io.StringIO(run("runs", "olmo_ladder", "--csv").stdout))
    pd.testing.assert_frame_equal(printed, bs.load_runs("olmo_ladder"), check_exact=True)


def test_a_table_as_json_has_null_for_what_is_missing():
    found = document("runs", "olmo_ladder", "--where", "target")
    assert [row["chinchilla_multiplier"] for row in found["rows"]] == [None, None]
    assert found["units"]["D"] == "tokens"
    assert found["source"].startswith("Bhagia")


def test_a_table_for_people_is_one_line_a_row():
    lines = run("runs", "olmo_ladder").stdout.splitlines()
    assert len(lines) == 33
    assert lines[1].split()[:4] == ["190.4M", "1.909B", "2.18e+18", "3.7475"]


def test_a_table_is_written_whole_and_replaces_nothing_unasked(tmp_path):
    target = tmp_path / "runs.csv"
    target.write_text("precious")
    assert "exists already" in error("runs", "olmo_ladder", "-o", target)
    assert target.read_text() == "precious"
    run("runs", "olmo_ladder", "-o", target, "--force")
    assert len(pd.read_csv(target)) == 32
    assert [path.name for path in tmp_path.iterdir()] == ["runs.csv"]


# --- reading tables -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "tsv", "csv.gz", "jsonl", "parquet"])
def test_every_kind_of_file_is_read(tmp_path, kind):
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path / f"runs.{kind}"
    table = pd.DataFrame({"N": [1e9, 2e9], "D": [2e10, 4e10], "loss": [3.0, 0.1 + 0.2]})
    if kind == "jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in table.to_dict("records")))
    elif kind == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")
    read = cli_inputs.read_runs(str(path))
    pd.testing.assert_frame_equal(read.reset_index(drop=True), table)
    assert read.attrs["name"] == path.name


def test_a_table_is_read_from_standard_input(saved):
    table = "N,D\n7e9,2e12\n"
    found = document("predict", saved, "--runs", "-", input=table)
    assert found["runs"][0]["N"] == 7e9


def test_where_keeps_rows_and_what_is_known_of_the_table():
    runs = cli_inputs.read_runs("olmo_ladder", "N > 1e9 and not target")
    expected = bs.load_runs("olmo_ladder").query("N > 1e9 and not target")
    pd.testing.assert_frame_equal(runs, expected)
    assert runs.attrs["source"] == bs.load_runs("olmo_ladder").attrs["source"]


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"", "runs.csv", "cannot be read as a table"),
        (b'N,D\n1,2\n"', "runs.csv", "cannot be read as a table"),
        (b"\xff\xfe\x00", "runs.csv", "not UTF-8"),
        (b"not parquet", "runs.parquet", "cannot be read as a table"),
        (b"N,D\n1,2\n", "runs.docx", "ends in .csv"),
        (b"N,D\n1e9,2e10\n", "runs.csv", "'loss'"),
        (b"N,D,loss\n1e9,2e10,oops\n", "runs.csv", "column 'loss', line 2: 'oops'"),
    ],
)
def test_unusable_files_are_refused_in_one_line(tmp_path, content, name, said):
    path = tmp_path / name
    path.write_bytes(content)
    assert said in error("fit", path, "--law", "dense")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.csv", "--law", "dense"], "there is no file nowhere.csv"),
        (["olmo", "--law", "dense"], "did you mean 'olmo_ladder'?"),
        ([".", "--law", "dense"], "is a folder"),
        (["olmo_ladder", "--law", "dens"], "did you mean 'dense'?"),
        (["olmo_ladder", "--law", "nowhere.py:law"], "there is no file nowhere.py"),
        (["olmo_ladder", "--law", "nowhere:law"], "No module named 'nowhere'"),
        (["olmo_ladder", "--law", "dense", "--where", "M > 3"], "name 'M' is not defined"),
        (["olmo_ladder", "--law", "dense", "--where", "N"], "yes or no"),
        (["olmo_ladder", "--law", "dense", "--where", "N > 1e30"], "none of the 32 rows"),
        (["olmo_ladder", "--law", "dense", "--noise", "pink"], "--noise pink is not known"),
        (["olmo_ladder", "--law", "dense", "--draws", "1.5"], "--draws: '1.5' is not a whole"),
        (["olmo_ladder", "--law", "dense", "--fixed", "alpha"], "'alpha' is not NAME=VALUE"),
        (["olmo_ladder", "--law", "dense", "--prob", "90"], "--prob is a probability"),
        (["olmo_ladder", "--law", "dense", "--json", "--csv"], "give one of them"),
        (
            ["olmo_ladder", "--law", "dense", "-o", "nowhere/fit.nc"],
            "folder nowhere does not exist",
        ),
        (["olmo_ladder", "--law", "dense", "-o", "."], "is a folder"),
    ],
)
def test_fit_refuses_before_it_works(monkeypatch, arguments, said):
    def worked(*_, **__):
        raise AssertionError("the sampler was reached")

    monkeypatch.setattr("bayescale.fitting.inference.find_modes", worked)
    assert said in error("fit", *arguments)


def test_fit_replaces_a_fit_but_no_other_file(tmp_path, saved):
    other = tmp_path / "notes.txt"
    other.write_text("precious")
    assert "is not a bayescale fit" in error("fit", "olmo_ladder", "--law", "dense", "-o", other)
    assert other.read_text() == "precious"
    cli_inputs.check_fit_path(other, force=True)
    cli_inputs.check_fit_path(saved)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write")
def test_a_folder_that_may_not_be_written_to_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    assert "may not be written" in error(
        "fit", "olmo_ladder", "--law", "dense", "-o", tmp_path / "f"
    )


# --- fit, for real --------------------------------------------------------------------------------

FIT = ["fit", "olmo_ladder", "--law", "dense", "--where", "target == False"]


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A real fit made by the command line: its JSON and its file."""
    path = tmp_path_factory.mktemp("real") / "fit.nc"
    found = document(*FIT, "--seed", 3, "--draws", "300", "--tune", "0.5k", "-o", path)
    return found, path


def test_a_fit_is_saved_and_says_what_it_found(fitted):
    found, path = fitted
    fit = bs.load_fit(path)
    assert (fit.about["seed"], fit.about["draws"], fit.about["tune"]) == (3, 300, 500)
    assert found["runs"] == 30
    assert found["table"] == "olmo_ladder"
    assert found["saved"] == str(path)
    assert found["units"] == "raw"
    draws = bs.coefficients(fit, units="raw")
    for name in dense.coefficients:
        lower, upper = bs.interval(draws[name], 0.9).values
        assert found["coefficients"][name]["lower"] == lower
        assert found["coefficients"][name]["upper"] == upper
        assert found["coefficients"][name]["median"] == float(draws[name].median())
    checks = bs.diagnose(fit)
    assert found["diagnostics"]["ok"] == checks.attrs["ok"]
    assert found["diagnostics"]["rhat"] == checks.rhat.max()
    assert found["published_coefficients"]["besiroglu2024"] == CENTRE


def test_what_follows_from_the_file_is_what_the_package_gives(fitted):
    _, path = fitted
    budgets = [1e22, 1e24]
    best = bs.allocate(bs.load_fit(path), budgets)
    bounds = bs.interval(best, 0.8)
    found = document("allocate", path, "--budget", "1e22", "--budget", "1e24", "--prob", "0.8")
    assert [one["budget"] for one in found["budgets"]] == budgets
    for i, one in enumerate(found["budgets"]):
        for name in ("N", "D", "loss"):
            assert one[name]["median"] == float(best[name].isel(budget=i).median())
            assert [one[name]["lower"], one[name]["upper"]] == bounds[name].values[i].tolist()
        assert one["extrapolation"] == best.extrapolation.values[i]


def test_a_fit_for_people_has_diagnostics_coefficients_and_published_values():
    result = run(*FIT, "--seed", 3, "--draws", 100, "--tune", 200, "--chains", 2)
    head, checks, _, columns, *rows = result.stdout.splitlines()
    assert head == "dense fitted to 30 runs of olmo_ladder (Student-t noise, seed 3)"
    assert re.match(r"diagnostics FAILED: 2 chains of 100 draws, .* at least \d+$", checks)
    assert columns.split()[:5] == ["coefficient", "median", "90", "%", "interval"]
    assert "besiroglu2024" in columns
    assert [row.split()[0] for row in rows] == [*dense.coefficients, "noise_scale", "noise_dof"]
    # 200 draws are too few for the diagnostics to pass, which is worth a warning and no more.
    warning, note = result.stderr.splitlines()
    assert warning.startswith("warning: the posterior of 'dense'")
    assert "--draws 4000" in warning
    assert note.startswith("note: the fit was not saved")


def test_an_interrupt_while_sampling_ends_quietly_and_leaves_no_file(monkeypatch, tmp_path):
    sent = []

    @contextmanager
    def interrupting(*_):
        def report(stage, share=None):
            if stage.startswith("sampling") and not sent:
                sent.append(stage)
                # As a terminal does: to the process, not to the thread that reports.
                os.kill(os.getpid(), signal.SIGINT)

        yield report

    monkeypatch.setattr("bayescale.fitting.inference.progress_bar", interrupting)
    # Where tests run in the background of a shell, interrupts are ignored from the start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    many = ["--draws", "500k", "--chains", 2, "-o", tmp_path / "fit.nc"]
    try:
        result = run(*FIT, *many, code=130)
    finally:
        signal.signal(signal.SIGINT, before)
    assert sent
    assert result.stdout == ""
    assert result.stderr == "interrupted\n"
    assert list(tmp_path.iterdir()) == []


# --- predict --------------------------------------------------------------------------------------


def test_predict_is_the_package_s_prediction(saved):
    fit = bs.load_fit(saved)
    found = document("predict", saved, "N=7B,70B", "D=2T", "--prob", "0.5", "--seed", 7)
    loss = bs.predict(fit, N=[7e9, 70e9], D=2e12, seed=7)
    bounds = bs.interval(loss, 0.5)
    for i, one in enumerate(found["runs"]):
        assert (one["N"], one["D"]) == ([7e9, 70e9][i], 2e12)
        assert one["loss"]["median"] == float(loss.isel(run=i).median())
        assert [one["loss"]["lower"], one["loss"]["upper"]] == bounds.values[i].tolist()
    trained = fit.runs
    largest = float((6 * trained.N * trained.D).max())
    assert found["runs"][0]["extrapolation"] == pytest.approx(6 * 7e9 * 2e12 / largest)


def test_the_mean_is_narrower_than_a_run_and_the_same_at_every_seed(saved):
    noisy = document("predict", saved, "N=7B", "D=2T")["runs"][0]["loss"]
    mean = document("predict", saved, "N=7B", "D=2T", "--mean")["runs"][0]["loss"]
    assert mean["upper"] - mean["lower"] < noisy["upper"] - noisy["lower"]
    assert (
        mean == document("predict", saved, "N=7B", "D=2T", "--mean", "--seed", 5)["runs"][0]["loss"]
    )


def test_predict_a_table_beside_what_was_observed(saved):
    rows = records("predict", saved, "--runs", "olmo_ladder", "--where", "target")
    assert [row["run"] for row in rows] == ["OLMo2-7B", "OLMo2-13B"]
    assert [float(row["observed"]) for row in rows] == [2.482918, 2.437582]
    assert float(rows[0]["loss_lower"]) < float(rows[0]["loss_median"])


def test_what_need_not_exist_is_not_printed(saved):
    """Of a loss whose logarithm has Student-t noise there is no expectation."""
    for one in (
        document("predict", saved, "N=7B", "D=2T")["runs"][0]["loss"],
        document("allocate", saved, "--budget", "1e23")["budgets"][0]["loss"],
    ):
        assert set(one) == {"median", "lower", "upper"}
    assert "mean" not in run("predict", saved, "N=7B", "D=2T", "--csv").stdout.splitlines()[0]


def test_the_expected_regret_is_an_upper_bound_and_says_so(saved):
    said = " ".join(run("decide", saved, "--budget", "1e23").stdout.split())
    assert "the most that further runs could save" in said
    plan = bs.decide(bs.load_fit(saved), 1e23)
    assert "the most that runs can save" in plan.expected_regret.attrs["long_name"]


def test_published_coefficients_predict_a_mean_and_no_run(folder):
    assert "use --mean" in error("predict", folder / "published.nc", "N=7B", "D=2T")
    found = document("predict", folder / "published.nc", "N=70B", "D=1.4T", "--mean")
    assert found["runs"][0]["loss"]["median"] == pytest.approx(dense(70e9, 1.4e12, **CENTRE))
    assert found["runs"][0]["extrapolation"] is None
    assert found["published"] == "besiroglu2024"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "say which runs"),
        (["N=7B", "--runs", "olmo_ladder"], "say which runs"),
        (["N=7B"], "needs 'D'"),
        (["N=7B", "D=2"], "below"),
        (["N=7B", "D=2Q"], "input D: '2Q' is not a number"),
        (["N=7B", "N=8B", "D=2T"], "'N' is given twice"),
        (["N=7B", "D=2T", "X=1"], "'X' is not an input"),
        (["7B", "2T"], "'7B' is not NAME=VALUE"),
        (["N=7B", "D=2T", "--where", "N > 1"], "--where is about a table"),
        (["N=7B", "D=2T", "--group", "c4"], "no groups"),
    ],
)
def test_predict_refuses(saved, arguments, said):
    assert said in error("predict", saved, *arguments)


def test_what_is_not_a_fit_is_refused(tmp_path):
    assert "there is no file" in error("predict", tmp_path / "no.nc", "N=7B", "D=2T")
    wrong = tmp_path / "wrong.nc"
    wrong.write_text("not a fit")
    assert "is not a bayescale fit" in error("predict", wrong, "N=7B", "D=2T")


# --- allocate and decide --------------------------------------------------------------------------


def test_allocate_for_people_gives_medians_and_intervals(saved):
    head, row = run("allocate", saved, "--budget", "5.76e23").stdout.splitlines()
    assert head.split() == ["budget", "compute", "N", "D", "loss"]
    interval = r"\d\S* \[\d\S*, \d\S*\]"
    assert re.fullmatch(rf"5\.76e\+23 +47\.8x +{interval} +{interval} +{interval}", row)


def test_allocate_as_csv_has_every_number_in_full(saved):
    (row,) = records("allocate", saved, "--budget", "1e23")
    (entry,) = document("allocate", saved, "--budget", "1e23")["budgets"]
    assert float(row["N_lower"]) == entry["N"]["lower"]
    assert float(row["loss_median"]) == entry["loss"]["median"]


def test_options_reach_the_allocation(folder):
    path = folder / "granular.nc"
    options = ["--budget", "1e23", "--choose", "G=1,2,4,8", "--bounds", "N=:100B"]
    fit = bs.published(granularity, "krajewski2024")
    with pytest.warns(bs.AllocationWarning):
        best = bs.allocate(fit, 1e23, choose={"G": [1, 2, 4, 8]}, bounds={"N": (1e4, 1e11)})
    result = run("allocate", path, *options, "--json")
    (entry,) = json.loads(result.stdout)["budgets"]
    assert entry["N"]["median"] == best.N.item()
    assert entry["at_bound"] == 1.0
    assert entry["extrapolation"] is None
    assert entry["G"]["choices"] == [{"value": 8.0, "probability": 1.0}]
    # The bound decides: that is said once, in one line, apart from the JSON.
    assert result.stderr.startswith("warning: at a budget of 1e+23 FLOP")
    assert result.stderr.count("\n") == 1
    assert "widen --bounds" in result.stderr


def test_a_cost_model_by_name_or_of_one_s_own(folder, saved):
    options = ["--cost", "with_inference", "--fixed", "inference_tokens=10T"]
    with_inference = document("allocate", saved, "--budget", "1e23", *options)["budgets"][0]
    training = document("allocate", saved, "--budget", "1e23")["budgets"][0]
    assert with_inference["N"]["median"] < training["N"]["median"]
    own = ["--cost", f"{folder / 'mine.py'}:my_cost"]
    half = document("allocate", saved, "--budget", "1e23", *own)["budgets"][0]
    same = document("allocate", saved, "--budget", "0.5e23")["budgets"][0]
    assert half["N"]["median"] == pytest.approx(same["N"]["median"], rel=1e-6)


@pytest.mark.parametrize("command", ["allocate", "decide"])
def test_a_figure_is_drawn(command, saved, tmp_path):
    run(command, saved, "--budget", "1e22", "--plot", tmp_path / "best.png")
    assert (tmp_path / "best.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["best.png"]


@pytest.mark.parametrize("command", ["allocate", "decide"])
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--budget", "lots"], "--budget: budget 'lots' is not understood"),
        (["--budget", "1e5"], "below the smallest plausible run"),
        (["--budget", "1e23", "--fixed", "S=0.5"], "'S'"),
        (["--budget", "1e23", "--fixed", "N=1B,2B"], "takes one value, not 2"),
        (["--budget", "1e23", "--fixed", "N=1B", "--fixed", "D=1T"], "every count is fixed"),
        (["--budget", "1e23", "--bounds", "N=1B"], "is not LOW:HIGH"),
        (["--budget", "1e23", "--bounds", "N=2B:1B"], "0 < low < high"),
        (["--budget", "1e23", "--cost", "free"], "there is no cost model 'free'"),
        (["--budget", "1e23", "--law", "sparse"], "not of sparse"),
    ],
)
def test_allocate_and_decide_refuse(saved, command, arguments, said):
    assert said in error(command, saved, *arguments)


def test_remedies_are_options(folder):
    said = error("allocate", folder / "granular.nc", "--budget", "1e23")
    assert "--choose G=... or --fixed G=..." in said


def test_a_figure_s_name_is_checked_first(saved):
    for command in ("allocate", "decide"):
        assert "ends in .png" in error(command, saved, "--budget", "1e22", "--plot", saved)
    plot = ["--plot", "nowhere/best.png"]
    assert "does not exist" in error("allocate", saved, "--budget", "1e22", *plot)


def test_decide_is_the_package_s_decision(saved):
    plan = bs.decide(bs.load_fit(saved), 1e24, within=0.01)
    (entry,) = document("decide", saved, "--budget", "1e24", "--within", "0.01")["budgets"]
    assert entry["plan"] == {"N": float(plan.N), "D": float(plan.D)}
    assert entry["expected_loss"] == float(plan.expected_loss)
    assert entry["expected_regret"] == float(plan.expected_regret)
    assert [entry["band"]["N"]["lower"], entry["band"]["N"]["upper"]] == plan.N_band.values.tolist()
    lower, upper = bs.interval(plan.loss).values
    assert [entry["loss"]["lower"], entry["loss"]["upper"]] == [lower, upper]


def test_decide_predict_and_the_report_quote_one_loss(saved):
    """A new run's at the plan: its median and interval, the same wherever it is quoted."""
    from bayescale.report.content import each_budget

    (entry,) = document("decide", saved, "--budget", "1e24")["budgets"]
    plan = [f"{name}={value!r}" for name, value in entry["plan"].items()]
    (run_,) = document("predict", saved, *plan)["runs"]
    options = dict.fromkeys(("cost", "choose", "fixed", "bounds"))
    fit = bs.load_fit(saved)
    (row,), _ = each_budget(fit, np.array([1e24]), 0.9, 0.005, options, 0)
    assert entry["run_loss"] == pytest.approx(row["loss"], rel=1e-12)
    assert run_["loss"] == pytest.approx(row["loss"], rel=1e-9)
    both = document("decide", saved, "--budget", "1e23", "--budget", "1e24")["budgets"]
    assert both[1]["run_loss"] == pytest.approx(row["loss"], rel=1e-4)  # whatever else is asked


def test_what_a_table_of_one_size_cannot_tell_is_said_with_every_answer(saved, folder, olmo):
    said, fit = "all runs have one N, 190M", folder / "one_size.nc"
    olmo[olmo.N.min() == olmo.N].to_csv(folder / "one_size.csv", index=False)
    quick = ("--law", "dense", "--method", "laplace", "--seed", "1", "-o", fit)
    assert said in run("fit", folder / "one_size.csv", *quick).stderr
    asked = {
        "predict": ("N=1B", "D=20B"), "allocate": ("--budget", "1e22"),
        "decide": ("--budget", "1e22", "--trust"), "spend": ("--loss", "3.2"),
        "worth": ("--budget", "1e22", "--times", "10"), "score": ("N=1B", "D=20B"),
        "next": ("--budget", "1e22", "--trust"), "versus": (saved, "--budget", "1e22"),
    }  # fmt: skip
    for command, arguments in asked.items():
        assert said in run(command, fit, *arguments).output, command


def test_decide_in_words(saved):
    done = run("decide", saved, "--budget", "1e23", "--budget", "1e24")
    text = done.stdout
    assert re.search(r"^With 1e\+24 FLOP train N = \S+B and D = \S+T\.$", text, re.M)
    said = r"Loss to expect: \d\.\d+ nats, 90 % interval \d\.\d+ to \d\.\d+: a new run's"
    assert re.search(said, text)
    assert "Outside the runs: N = " in text
    assert re.search(
        r"Any N from \S+ to \S+ \(and D from \S+ to \S+ to match\) costs at most", text
    )
    # How often such intervals held where that was measured, not that they hold if the law does.
    assert "82.9x the compute of the largest fitted run; 90 % intervals of such fits held" in text
    assert "of losses on measured dense series, where it says 90" in text


def test_decide_with_nothing_free_and_nothing_uncertain(folder):
    text = run("decide", folder / "published.nc", "--budget", "1e24", "--fixed", "N=7B").stdout
    assert "leaves nothing free" in text
    assert "regret" not in text


@pytest.mark.parametrize("command", ["predict N=7B D=2T", "allocate --budget 1e23",
                                     "decide --budget 1e23"])  # fmt: skip
def test_simulated_losses_are_called_simulated(folder, command):
    name, *arguments = command.split()
    assert "simulated" not in run(name, folder / "dense.nc", *arguments).stdout
    assert "were simulated" in run(name, folder / "simulated.nc", *arguments).stdout
    assert document(name, folder / "simulated.nc", *arguments)["simulated"] is True
    assert document(name, folder / "dense.nc", *arguments)["simulated"] is False


# --- groups ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grouped(folder):
    """A made-up fit whose floor differs between two corpora."""
    plain = made_up(dense, CENTRE)
    names = np.array(["books", "web"])
    floors = plain.posterior.E * xr.DataArray([1.0, 1.1], dims="corpus", coords={"corpus": names})
    tree = plain.tree.copy()
    tree["posterior"] = xr.DataTree(plain.posterior.assign(E=floors))
    runs = plain.runs
    corpus = ("run", np.resize(names, runs.sizes["run"]))
    tree["runs"] = xr.DataTree(runs.assign(corpus=corpus))
    tree.attrs["bayescale"] = json.dumps(plain.about | {"by": "corpus"})
    Fit(dense, tree).save(folder / "grouped.nc")
    return folder / "grouped.nc"


def test_one_group_of_a_fit_is_chosen(grouped):
    said = error("allocate", grouped, "--budget", "1e23")
    assert "choose a --group: books, web" in said
    assert "there is no group 'code'" in error(
        "decide", grouped, "--budget", "1e23", "--group", "code"
    )
    best = bs.allocate(bs.group(bs.load_fit(grouped), "web"), [1e23])
    found = document("allocate", grouped, "--budget", "1e23", "--group", "web")["budgets"][0]
    assert found["loss"]["median"] == best.loss.median().item()


def test_runs_of_a_table_are_predicted_by_their_group(grouped):
    table = "N,D,corpus\n7e9,2e12,books\n7e9,2e12,web\n"
    books, web = document("predict", grouped, "--runs", "-", "--mean", input=table)["runs"]
    assert [books["corpus"], web["corpus"]] == ["books", "web"]
    assert web["loss"]["median"] > books["loss"]["median"]
    alone = document("predict", grouped, "N=7B", "D=2T", "--mean", "--group", "web")["runs"][0]
    assert web["loss"] == pytest.approx(alone["loss"])


def test_coefficients_are_named_by_group(grouped):
    found = fit_document(bs.load_fit(grouped), 0.9, None)["coefficients"]
    assert list(found) == ["E[books]", "E[web]", "A", "alpha", "B", "beta"]
    assert found["E[web]"]["median"] == pytest.approx(1.1 * found["E[books]"]["median"])


# --- compare --------------------------------------------------------------------------------------


def test_compare_says_what_the_scores_support(folder, saved):
    found = document("compare", saved, folder / "alike.nc", folder / "worse.nc")
    best, second, last = found["fits"]
    assert {best["name"], second["name"]} == {"dense", "alike"}
    assert last["name"] == "worse"
    assert not second["distinguishable"]
    assert last["distinguishable"]
    assert last["elpd_diff"] == pytest.approx(last["elpd"] - best["elpd"])
    assert (found["by"], found["runs"]) == ("loo", 30)
    better, apart = found["reading"].split(". ")[:2]
    assert better.startswith(
        f"{best['name']} predicts these 30 runs, each left out in turn, better"
    )
    assert apart.startswith(f"{best['name']} and {second['name']} are not distinguishable")
    text = run("compare", saved, folder / "alike.nc", folder / "worse.nc").stdout
    assert found["reading"] in text
    assert best["p_worse"] is None


def test_compare_refuses(folder, saved):
    assert "at least two" in error("compare", saved)
    assert "given twice" in error("compare", saved, saved)
    assert "not fitted to runs" in error("compare", saved, folder / "published.nc")
    assert "--by waic is not known" in error("compare", saved, folder / "alike.nc", "--by", "waic")
    kfold = ("compare", saved, folder / "alike.nc", "--by", "kfold", "--folds")
    assert "--folds corpus is neither a number nor a column" in error(*kfold, "corpus")
    assert "does not say how it was made" in error(*kfold, "3")


# --- backtest -------------------------------------------------------------------------------------

BACKTEST = ("backtest", "olmo_ladder", "--law", "dense", "--where", "target == False")
QUICK = ("--method", "laplace", "--cut", "0.2")


def test_backtest_scores_the_larger_runs():
    found = document(*BACKTEST, *QUICK)
    assert (found["law"], found["table"], found["order"]) == ("dense", "olmo_ladder", "flops")
    assert found["trusted"] == [{"cut": 0.2, "trusted": True}]
    assert [row["runs"] for row in found["by_cut"]] == [len(found["runs"])] == [6]
    assert sum(row["runs"] for row in found["by_distance"]) == 6
    assert {row["fitted"] for row in found["runs"]} == {24}
    assert found["reading"].startswith("Intervals of 50, 80 and 90 % held")
    rows = records(*BACKTEST, *QUICK)
    assert [float(row["crps"]) for row in rows] == [row["crps"] for row in found["runs"]]
    text = run(*BACKTEST, *QUICK).stdout
    assert found["reading"] in text
    assert "0 to 0.25" in text


def test_backtest_refuses():
    assert "--cut: 'half' is not a number" in error(*BACKTEST, "--cut", "half")
    assert "cut 0.9 leaves 3 of 30 runs" in error(*BACKTEST, "--cut", "0.9")
    assert "no column 'depth'" in error(*BACKTEST, "--order", "depth")


# --- a law of one's own ---------------------------------------------------------------------------


def test_a_fit_of_a_law_of_one_s_own_needs_the_law(folder):
    said = error("allocate", folder / "mine.nc", "--budget", "1e23")
    assert "my_law(N, D; E, A, alpha, B)" in said
    assert "--law path/to/file.py:my_law" in said


@pytest.mark.parametrize("where", ["mine.py:my_law", "mine.py", "mine:my_law"])
def test_a_law_is_found_in_a_file_or_module(folder, monkeypatch, where):
    monkeypatch.chdir(folder)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    before = list(sys.path)
    assert document("predict", "mine.nc", "N=7B", "D=2T", "--law", where)["law"] == "my_law"
    assert sys.path == before


def test_laws_of_one_s_own_and_of_the_package_are_compared(folder, saved):
    own = ["--law", f"{folder / 'mine.py'}:my_law"]
    found = document("compare", saved, folder / "mine.nc", *own)
    assert {one["name"] for one in found["fits"]} == {"dense", "mine"}


@pytest.mark.parametrize(
    ("code", "name", "said"),
    [
        ("1 / 0", ":x", "ZeroDivisionError at line 1"),
        ("raise SystemExit(3)", ":x", "SystemExit"),
        ("def", ":x", "SyntaxError"),
        ("from bayescale.models import dense", ":sparse", "it has the laws dense"),
        ("x = 1", ":x", "not a law"),
        ("x = 1", "", "it has no laws"),
    ],
)
def test_what_is_wrong_with_somebody_s_law_is_said(tmp_path, code, name, said):
    (tmp_path / "theirs.py").write_text(code)
    assert said in error("laws", f"{tmp_path / 'theirs.py'}{name}")


def test_a_law_file_hides_no_module(tmp_path):
    (tmp_path / "json.py").write_text(textwrap.dedent(OWN_LAW))
    assert isinstance(cli_inputs.find_law(f"{tmp_path / 'json.py'}:my_law"), Law)
    assert sys.modules["json"] is json


# --- demo -----------------------------------------------------------------------------------------


def test_demo_runs_in_a_folder(monkeypatch, tmp_path):
    given = []
    monkeypatch.setattr("bayescale.demo.run", given.append)
    run("demo", "-o", tmp_path / "shown")
    assert given == [tmp_path / "shown"]
    (tmp_path / "file").touch()
    assert "is a file" in error("demo", "-o", tmp_path / "file")


# --- manners --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "width"),
    [
        ("laws", 80),
        ("laws sparse", 80),
        ("runs", 80),
        ("runs gadre2024", 80),
        ("runs gadre2024", 120),
        ("predict dense.nc N=7B,70B D=2T", 80),
        ("allocate dense.nc --budget 1e22 --budget 1e24", 80),
        ("allocate dense.nc --budget 1e22 --budget 1e24", 120),
        ("decide dense.nc --budget 1e24", 80),
        ("compare dense.nc worse.nc", 80),
        ("backtest olmo_ladder --law dense --method laplace --cut 0.2", 80),
    ],
)
def test_a_terminal_gets_colour_within_its_width_and_a_pipe_neither(
    folder, monkeypatch, command, width
):
    monkeypatch.chdir(folder)
    arguments = command.split()
    terminal = run(*arguments, env={"FORCE_COLOR": "1", "COLUMNS": str(width), "TERM": "xterm"})
    assert ANSI.search(terminal.stdout)
    assert max(len(line) for line in ANSI.sub("", terminal.stdout).splitlines()) <= width
    piped = run(*arguments, env={"COLUMNS": str(width)})
    assert not ANSI.search(piped.stdout)
    assert not re.search(r"[─━│]", piped.stdout)
    assert not any(line != line.rstrip() for line in piped.stdout.splitlines())


def test_a_terminal_too_narrow_for_a_table_loses_no_digit(saved):
    narrow = {"FORCE_COLOR": "1", "COLUMNS": "40", "TERM": "xterm"}
    text = ANSI.sub("", run("allocate", saved, "--budget", "1e24", env=narrow).stdout)
    head, row = run("allocate", saved, "--budget", "1e24").stdout.splitlines()
    cells = dict(zip(head.split(), re.split(r"  +", row.strip()), strict=True))
    assert [re.search(rf"^{name} +(.*)$", text, re.M)[1] for name in cells] == list(cells.values())


def test_a_closed_pipe_is_quiet():
    command = [sys.executable, "-c", "from bayescale.cli import app; app()", "runs", "gadre2024"]
    with subprocess.Popen(
        [*command, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_letters_that_the_terminal_does_not_know_are_no_error():
    result = run("laws", "dense", charset="ascii")
    assert "482.01 \\xb1 124.6" in result.stdout


def test_other_packages_warnings_are_not_shown(capsys):
    with cli._manners():
        np.log(np.array([-1.0]))
    assert capsys.readouterr().err == ""


@examples(40)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_json_is_always_valid(value):
    def refuse(constant):
        raise AssertionError(constant)

    text = cli_output.as_json({"value": value})
    assert set(json.loads(text, parse_constant=refuse)) == {"value"}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_json_and_csv_lose_no_digit(value):
    assert json.loads(cli_output.as_json({"x": np.float64(value)}))["x"] == value
    assert float(cli_output.as_csv([{"x": value}]).splitlines()[1]) == value


@given(st.lists(st.floats(1e-9, 1e20), min_size=1, max_size=5))
def test_values_are_read_as_they_are_written(values):
    text = "G=" + ",".join(map(repr, values))
    assert cli_inputs.assignments("--choose", [text]) == {"G": values}


def test_bounds_may_have_one_end():
    found = cli_inputs.bounds(["N=1B:", "D=:2T"])
    assert found["N"] == (1e9, np.inf)
    assert 0 < found["D"][0] < 1e-300
    assert found["D"][1] == 2e12
    with pytest.raises(InputError, match="LOW:HIGH"):
        cli_inputs.bounds(["N=:"])
