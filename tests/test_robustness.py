"""What nobody should have given: every public way in either works or refuses in one clear line."""

import contextlib
import datetime
import decimal
import json
import os
import re
import string
import subprocess
import sys
import textwrap
import warnings

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import assume, example, given
from hypothesis import strategies as st
from typer.testing import CliRunner

import bayescale as bs
from bayescale import cli
from bayescale.cli import completion
from bayescale.cli import inputs as cli_inputs
from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number, parse_number
from bayescale.models import dense
from bayescale.tables.tracker_names import meaning_of
from properties import FIXED_FILES, examples

SOME = examples(60, **FIXED_FILES)
MANY = examples(200, **FIXED_FILES)


# --- headers and numbers --------------------------------------------------------------------------

SPOKEN = """
N D loss N_active S G experts flops D_unique run step max_steps lr params n_params tokens
train/tokens val_loss val/loss train_loss eval_loss (bits) (B) config. _step tokens_m compute
(PF-days) non_embedding_params Name id model total_flops d width in billions per
"""
WORDS = SPOKEN.split()
headers = st.one_of(
    st.sampled_from(WORDS),
    st.lists(st.sampled_from([*WORDS, "_", "/", ".", " ", "(", ")", "[", "]"]), max_size=6).map(
        "".join
    ),
    st.text(max_size=12),
)
awkward_numbers = st.sampled_from(
    [0.0, -0.0, -1.0, 1e-320, 5e-324, 1e308, -1e308, np.inf, -np.inf, np.nan, 7.0, 1e9, 3.1]
)
text_numbers = st.one_of(
    st.text(string.digits + ".eE+-_ kKmMbBtT,", max_size=8),
    st.sampled_from(["7B", "1.4T", "nan", "None", "null", "inf", "-inf", "1e400", "NaN", "", " "]),
)


@MANY
@given(headers)
@example("(" * 5000)
@example("a" * 5000 + " (")
@example("_".join(["config"] * 3000))
def test_a_header_means_something_or_nothing(header):
    found = meaning_of(header)
    assert found is None or found.factor > 0


@MANY
@given(st.one_of(text_numbers, st.text()))
@example("1" * 100_000)
@example("1_" * 20_000)
@example("." * 50_000)
@example("1e-99999999999999999999")
def test_a_text_is_a_finite_number_or_refused(text):
    try:
        value = parse_number(text)
    except InputError:
        return
    assert np.isfinite(value)
    assert format_number(value)


# --- tables ---------------------------------------------------------------------------------------

cells = st.one_of(
    awkward_numbers,
    st.floats(1e4, 1e13),
    text_numbers,
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.just(pd.NA),
    st.just(pd.NaT),
    st.just(decimal.Decimal("1.5")),
    st.just(decimal.Decimal("NaN")),
    st.just(datetime.datetime(2024, 1, 1)),
    st.just([1, 2]),
    st.just({"a": 1}),
    st.just(b"\xff"),
    st.just(1 + 2j),
    st.text(max_size=5),
)


@st.composite
def tables(draw):
    """Tables of a few rows, with anything for headers, cells and row labels."""
    rows = draw(st.integers(0, 6))
    columns = draw(st.lists(headers, max_size=6))
    kinds = [cells, st.floats(), st.floats(1e4, 1e13), st.floats(0.1, 9.0), text_numbers]
    data = {
        i: draw(st.lists(draw(st.sampled_from(kinds)), min_size=rows, max_size=rows))
        for i in range(len(columns))
    }
    try:
        table = pd.DataFrame(data, index=range(rows))
    except (OverflowError, ValueError, TypeError, decimal.InvalidOperation):
        assume(False)
    table.columns = columns
    table.index = draw(
        st.sampled_from([range(rows), [0] * rows, [f"run {i}" for i in range(rows)], [None] * rows])
    )
    return table


options = st.fixed_dictionaries(
    {},
    optional={
        "columns": st.dictionaries(
            st.sampled_from(["N", "D", "loss", "run", "step", "max_steps", "lr", "what"]),
            st.one_of(headers, headers.map("{} * 1e9".format), st.just("N*"), st.just("*")),
            max_size=2,
        ),
        "checkpoints": st.sampled_from(["refuse", "last", "keep", "all"]),
        "tail": st.sampled_from([0.05, 0.0, 1.0, 0.999, np.nan]),
    },
)


def attempt(function, *arguments, **options):
    """What a function returns, or the words of its refusal; any other exception is a failure."""
    try:
        return function(*arguments, **options)
    except InputError as error:
        return str(error)


def check_runs(runs):
    """What every table that was read has to be, and every refusal."""
    if isinstance(runs, str):
        assert len(runs) > 10
        return
    assert len(runs)
    for one in runs.attrs["understood"]:
        assert runs[one["name"]].dtype.kind == "f" or one["name"] not in bs.VARIABLES
    for quantity in ("N", "D", "loss"):
        if quantity in [one["name"] for one in runs.attrs["understood"]]:
            known = runs[quantity][np.isfinite(runs[quantity])]
            assert (known > 0).all()


@MANY
@given(tables(), options)
def test_a_table_is_read_or_refused(table, options):
    before = table.copy(deep=True)
    check_runs(attempt(bs.read_runs, table, **options))
    assert list(before.columns) == list(table.columns)
    assert before.index.equals(table.index)


@MANY
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
        st.lists(
            st.lists(st.one_of(headers, text_numbers), max_size=5).map(",".join), max_size=6
        ).map(lambda lines: "\n".join(["N,D,loss", *lines]).encode("utf-8", "surrogatepass")),
        st.lists(
            st.dictionaries(headers, st.none() | st.floats() | st.text(max_size=5), max_size=4),
            max_size=4,
        ).map(lambda rows: "\n".join(map(json.dumps, rows)).encode()),
    ),
    st.sampled_from(["csv", "tsv", "jsonl", "parquet", "csv.gz", "csv.zst"]),
)
def test_a_file_is_read_or_refused(tmp_path, content, kind):
    path = tmp_path / f"runs.{kind}"
    path.write_bytes(content)
    check_runs(attempt(bs.read_runs, path))


def logged(**columns):
    """Thirty rows that a tracker logged, with columns added or replaced."""
    rows = {"N": 1e8, "D": np.geomspace(1e9, 1e10, 30), "loss": np.linspace(4.0, 3.0, 30)}
    return pd.DataFrame(rows | columns)


@SOME
@given(
    st.fixed_dictionaries(
        {},
        optional={
            name: st.lists(awkward_numbers, min_size=1, max_size=3).map(
                lambda found: np.resize(np.array(found), 30)
            )
            for name in ("step", "max_steps", "lr", "loss", "flops")
        }
        | {"run": st.sampled_from([["a", "b"], [None, "a"], [[1], [2]], [{}, {}], [0, 0]])},
    ),
    st.sampled_from(["refuse", "last", "keep"]),
    st.sampled_from([range(30), [0] * 30, [None] * 30]),
)
def test_what_a_tracker_logged_is_read_or_refused(columns, checkpoints, labels):
    if "run" in columns:
        columns = columns | {"run": [columns["run"][i // 15] for i in range(30)]}
    table = logged(**columns)
    table.index = labels
    check_runs(attempt(bs.read_runs, table, checkpoints=checkpoints))


def test_a_curve_is_recognised_where_rows_have_one_label():
    curve = logged(step=range(30))
    curve.index = [0] * 30
    with pytest.raises(InputError, match="look like one run's loss curve"):
        bs.read_runs(curve)


def test_settings_that_are_lists_do_not_hinder():
    runs = ["a"] * 15 + ["b"] * 15
    table = logged(run=runs, betas=[[0.9, 0.95]] * 30, tags=[["x", i] for i in range(30)])
    found = bs.read_runs(table, checkpoints="last")
    assert found["loss"].tolist() == table["loss"][[14, 29]].tolist()
    assert found["betas"].tolist() == [[0.9, 0.95]] * 2
    with pytest.raises(InputError, match="checkpoints of 2 runs"):
        bs.read_runs(table.assign(run=[[one] for one in runs]))


def test_steps_that_count_down_leave_a_loss():
    table = logged(run="a", step=-np.arange(1.0, 31.0), D=1e9)
    assert bs.read_runs(table, checkpoints="last")["loss"].tolist() == [4.0]


# --- what tables may hold -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ladder(olmo):
    return olmo[["N", "D", "loss"]].reset_index(drop=True)


@pytest.mark.parametrize("column", ["N", "D", "loss"])
@pytest.mark.parametrize(
    ("value", "said"),
    [(np.nan, "missing"), (np.inf, "infinite"), (-np.inf, "infinite"), (0.0, "is "), (-1.0, "is ")],
)
def test_values_that_are_none_are_refused_by_column_and_row(ladder, column, value, said):
    ladder = ladder.copy()
    ladder.loc[3, column] = value
    with pytest.raises(InputError, match=rf"column '{column}', row 3: .*{said}.*1 of 30 rows"):
        bs.fit(dense, ladder)


def test_rows_that_repeat_others_are_counted_and_that_is_said(ladder):
    twice = pd.concat([ladder, ladder.iloc[:4]])
    runs = bs.read_runs(twice)
    assert len(runs) == 34
    assert "4 of 34 rows repeat another in every column" in runs.attrs["notes"]
    assert bs.read_runs(ladder).attrs["notes"] == ""
    assert bs.fit(dense, twice, method="laplace", seed=1).runs.sizes["run"] == 34


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda runs: runs.assign(D=1e10), "all runs have one D"),
        (lambda runs: runs[runs.N.iloc[0] == runs.N], "all runs have one N"),
        (lambda runs: runs.assign(D=20 * runs.N), "all runs share one D/N"),
    ],
)
def test_a_constant_column_is_fitted_with_a_word_on_what_it_cannot_tell(ladder, spoil, said):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted = bs.fit(dense, spoil(ladder), method="laplace", seed=1)
    design = [str(one.message) for one in caught if one.category is bs.DesignWarning]
    assert any(said in message for message in design)
    assert all(np.isfinite(values).all() for values in fitted.posterior.values())


def test_one_group_is_no_grouping(ladder):
    with pytest.raises(InputError, match=r"has one group only .*leave by= out"):
        bs.fit(dense, ladder.assign(corpus="web"), by="corpus", vary=["E"])


@pytest.mark.filterwarnings("ignore::bayescale.DesignWarning", "ignore::bayescale.FitWarning")
def test_five_rows_are_fitted_and_four_are_too_few(ladder):
    fitted = bs.fit(dense, ladder.iloc[[0, 7, 14, 21, 29]], method="laplace", seed=1)
    assert fitted.runs.sizes["run"] == 5
    with pytest.raises(InputError, match="4 rows cannot inform the 5 coefficients"):
        bs.fit(dense, ladder.iloc[:4])


def simulated(rows):
    """Runs simulated from published coefficients."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"N": 10 ** rng.uniform(7, 10, rows), "D": 10 ** rng.uniform(9, 12, rows)})
    loss = dense(table.N, table.D, **dense.published["besiroglu2024"].values)
    return table.assign(loss=loss * np.exp(0.01 * rng.standard_normal(rows)), simulated=True)


def test_a_hundred_thousand_rows_are_read_exactly(tmp_path):
    table = simulated(100_000)
    table.to_csv(tmp_path / "runs.csv", index=False)
    runs = bs.read_runs(tmp_path / "runs.csv")
    read = runs[["N", "D", "loss"]].reset_index(drop=True)
    pd.testing.assert_frame_equal(read, table[["N", "D", "loss"]])
    spoiled = table.assign(N=table["N"].map("{:.0f}".format))
    spoiled.loc[77_777, "N"] = "oops"
    with pytest.raises(InputError, match="row 77777: 'oops'"):
        bs.read_runs(spoiled)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayescale.FitWarning")
def test_a_hundred_thousand_rows_are_fitted():
    fitted = bs.fit(dense, simulated(100_000), method="laplace", draws=50, chains=2, seed=1)
    found = bs.coefficients(fitted, units="raw")
    truth = dense.published["besiroglu2024"].values
    assert abs(float(found.E.mean()) - truth["E"]) < 5 * float(found.E.std())


def test_a_seed_gives_the_same_numbers_on_one_core_and_on_all(ladder, tmp_path):
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("this system does not limit a process to some cores")
    ladder.to_csv(tmp_path / "runs.csv", index=False)
    code = (
        "import os, sys, hashlib, warnings, pandas as pd, bayescale as bs\n"
        "warnings.simplefilter('ignore')\n"
        "if sys.argv[1] == 'one': os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
        "runs, how = pd.read_csv('runs.csv'), dict(seed=7)\n"
        "fit = bs.fit(bs.models.dense, runs, draws=50, tune=200, chains=3, **how)\n"
        "draws = [fit.posterior[n].values.tobytes() for n in sorted(fit.posterior.data_vars)]\n"
        "print(hashlib.sha256(b''.join(draws)).hexdigest())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code, cores],
            cwd=tmp_path,
            env=os.environ | {"OMP_NUM_THREADS": cores.replace("one", "1").replace("all", "2")},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for cores in ("one", "all")
    }
    assert len(found) == 1


# --- files of fits --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def good(olmo):
    """A small fit: of the prior, which takes no time."""
    return bs.prior(dense, olmo, draws=20, seed=1)


@pytest.fixture(scope="module")
def saved(good, tmp_path_factory):
    path = tmp_path_factory.mktemp("fits") / "fit.nc"
    good.save(path)
    return path


@pytest.fixture(scope="module")
def whole(saved):
    return saved.read_bytes()


def refused_fit(path):
    with pytest.raises(InputError) as caught:
        bs.load_fit(path)
    return str(caught.value)


SEAL = 48  # bytes at the end of a saved fit


@SOME
@given(st.data())
def test_a_damaged_file_is_noticed_wherever_the_damage_is(whole, tmp_path, data):
    content = bytearray(whole)
    at = data.draw(st.integers(0, len(whole) - 50), label="at")
    match data.draw(st.sampled_from(["flip", "cut", "insert", "remove", "blank"]), label="how"):
        case "flip":
            content[at] ^= data.draw(st.integers(1, 255))
        case "cut":
            del content[at:]
        case "insert":
            content[at:at] = data.draw(st.binary(min_size=1, max_size=8))
        case "remove":
            del content[at : at + data.draw(st.integers(1, 40))]
        case "blank":
            end = min(at + 32, len(whole) - SEAL)  # a file without a seal is taken as it is
            assume(any(content[at:end]))
            content[at:end] = bytes(end - at)
    path = tmp_path / "fit.nc"
    path.write_bytes(content)
    assert "is not a bayescale fit, or is damaged" in refused_fit(path)


@SOME
@given(st.binary(max_size=300))
@example(b"")
@example(b"\x89HDF\r\n\x1a\n" + bytes(100))
@example(b"CDF\x01" + bytes(100))
@example(b"\x80\x04\x95 a pickle")
def test_a_foreign_file_is_no_fit(tmp_path, content):
    path = tmp_path / "fit.nc"
    path.write_bytes(content)
    assert "is not a bayescale fit, or is damaged (it holds no fit)" in refused_fit(path)


def test_a_damaged_file_prints_nothing_but_the_error(whole, tmp_path):
    (tmp_path / "fit.nc").write_bytes(whole[: len(whole) // 2])
    command = [sys.executable, "-c", "from bayescale.cli import app; app()", "predict", "fit.nc"]
    done = subprocess.run(
        [*command, "N=7B", "D=2T"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert re.fullmatch(r"error: fit\.nc is not a bayescale fit, .*\n", done.stderr)


def test_a_file_that_other_tools_have_opened_is_still_read(good, saved, tmp_path):
    again = tmp_path / "again.nc"
    xr.open_datatree(saved, engine="h5netcdf").load().to_netcdf(again, engine="h5netcdf")
    assert bs.load_fit(again).tree.identical(good.tree)
    with h5py.File(again, "r+") as file:
        file.attrs["remark"] = "mine"
    assert bs.load_fit(again).posterior.equals(good.posterior)


def rewritten(saved, folder, change):
    """A file that HDF5 takes to be sound, with something in it that no fit has."""
    path = folder / "changed.nc"
    path.write_bytes(saved.read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def _replace(file, value):
    del file["posterior/E"]
    file["posterior/E"] = value


def _huge(file):
    del file["posterior/E"]
    file["posterior"].create_dataset("E", shape=(10**6, 10**6), dtype="f8", chunks=(100, 100))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_huge, id="draws that fill the memory"),
        pytest.param(lambda f: _replace(f, h5py.ExternalLink("other.nc", "/x")), id="outside link"),
        pytest.param(lambda f: _replace(f, h5py.SoftLink("/nowhere")), id="dangling link"),
        pytest.param(lambda f: _replace(f, np.full((1, 20), "x", dtype="S1")), id="text"),
        pytest.param(lambda f: _replace(f, np.float64(1.0)), id="one number"),
        pytest.param(lambda f: f.__setitem__("posterior/again", f["posterior"]), id="a ring"),
        pytest.param(lambda f: f.__setitem__("root", f["/"]), id="a ring of the root"),
        pytest.param(lambda f: f.__delitem__("posterior"), id="no posterior"),
        pytest.param(lambda f: f["posterior/E"].write_direct(np.full((1, 20), np.nan)), id="nan"),
    ],
)
@pytest.mark.filterwarnings("ignore:The 'phony_dims' kwarg")
def test_a_hostile_file_is_refused_at_once(saved, tmp_path, change):
    assert "is not a bayescale fit, or is damaged" in refused_fit(
        rewritten(saved, tmp_path, change)
    )


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@SOME
@given(st.data())
def test_whatever_a_file_says_of_itself_it_works_or_is_refused(good, saved, tmp_path, data):
    about = dict(good.about)
    for name in data.draw(st.lists(st.sampled_from(sorted(about)), min_size=1, max_size=2)):
        about[name] = data.draw(json_values, label=name)
        if data.draw(st.booleans()):
            del about[name]
    path = rewritten(
        saved, tmp_path, lambda file: file.attrs.__setitem__("bayescale", json.dumps(about))
    )
    try:
        fitted = bs.load_fit(path)
    except InputError:
        return
    assert bs.predict(fitted, mean=True, N=1e9, D=1e10).notnull().all()


@pytest.mark.parametrize("version", [4, 1.5, "next", None])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_newer_format_is_called_one(saved, tmp_path, version):
    about = json.dumps({"format": version, "version": "9.1", "law": "not known yet"})
    path = rewritten(saved, tmp_path, lambda file: file.attrs.__setitem__("bayescale", about))
    assert f"has file format {version} (written by bayescale 9.1)" in refused_fit(path)
    result = CliRunner().invoke(cli.app, ["predict", str(path), "N=7B", "D=2T"])
    assert result.exit_code == 2
    assert "written by bayescale 9.1" in result.stderr


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_file_with_a_discrepancy_of_an_earlier_version_is_to_be_fitted_again(saved, tmp_path):
    # Its slopes changed at knots, of which a later version knows nothing.
    knot = {"input": "N", "side": 1, "at": 0.75, "level": 0.0, "tilt": {}}

    def earlier(file):
        about = json.loads(file.attrs["bayescale"])
        about |= {"format": 2, "knots": [knot]}
        del about["directions"]
        file.attrs["bayescale"] = json.dumps(about)

    path = rewritten(saved, tmp_path, earlier)
    assert "has file format 2" in refused_fit(path)
    assert "fit the runs again" in refused_fit(path)


@pytest.mark.parametrize(
    "wrong",
    [
        {"powers": {"N": 1}},
        {"powers": ["N"], "nodes": [0.0, 1.0]},
        {"powers": {"N": "1"}, "nodes": [0.0, 1.0]},
        {"powers": {"N": 1}, "nodes": [0.0, float("nan")]},
        {"powers": {"M": 1}, "nodes": [0.0, 1.0]},
        {"powers": {"N": 1}, "nodes": [0.0]},
        {"powers": {"N": 1}, "nodes": [0.0, 1.0]},
        "N",
    ],
    ids=str,
)
def test_directions_that_are_none_are_refused(saved, tmp_path, wrong):
    def changed(file):
        about = json.loads(file.attrs["bayescale"])
        file.attrs["bayescale"] = json.dumps(about | {"directions": [wrong]})

    assert "directions" in refused_fit(rewritten(saved, tmp_path, changed))


# --- saving ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def full_disk(size):
    """No file can grow beyond some bytes, as on a disk that is full.

    Only while this lasts: the test runner's own output may be a file.
    """
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 100, 5_000, 30_000])
def test_a_full_disk_leaves_the_old_fit(olmo, good, tmp_path, size):
    path = tmp_path / "fit.nc"
    good.save(path)
    before = path.read_bytes()
    larger = bs.prior(dense, olmo, draws=200, seed=2)
    full = pytest.raises(InputError, match=r"cannot save to .*fit\.nc: File too large")
    with full, full_disk(size):
        larger.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["fit.nc"]


def test_a_full_disk_is_one_line_at_the_command_line(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text("precious")
    arguments = ["runs", "olmo_ladder", "--csv", "-o", str(path), "--force"]
    with full_disk(100):
        result = CliRunner().invoke(cli.app, arguments)
    assert result.exit_code == 2
    assert re.fullmatch(r"error: cannot save to .*: File too large\n", result.stderr)
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["runs.csv"]


@pytest.mark.skipif(os.name == "nt", reason="processes are killed otherwise there")
def test_a_process_killed_while_it_saves_leaves_the_old_file(tmp_path):
    code = textwrap.dedent("""
        import sys
        from bayescale.common.files import replacing
        with replacing("runs.csv") as part, open(part, "w") as file:
            for _ in range(10**9):
                file.write("new\\n" * 10_000)
                print("half way", flush=True)
    """)
    (tmp_path / "runs.csv").write_text("old")
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout.readline() == "half way\n"
        writer.kill()
    assert (tmp_path / "runs.csv").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2  # and what was to become the new one


# --- the command line -----------------------------------------------------------------------------

values = st.one_of(
    text_numbers,
    st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=12),
    st.sampled_from(["N=7B", "D=2T", "N=7B,13B", "D=1e400", "N=-1", "S=0.5", "=", "N=", "=1", ","]),
    st.sampled_from(["dense", "sparse", "olmo_ladder", "runs.csv", "nowhere.nc", ".", "-", "a:b"]),
    st.sampled_from(["1e22", "1e-300", "1e300", "0", "-1", "0.9", "N=1B:2B", "N > 1", "@x", "1/0"]),
)
KNOWN = """
--law --runs --where --column --checkpoints --tail --mean --group --prob --seed --json --csv
--budget --fixed --choose --bounds --cost --within --help --version --nonsense -o --folds --by
"""
OPTIONS = KNOWN.split()


@examples(80, **FIXED_FILES)
@given(
    st.sampled_from(["predict", "allocate", "decide", "laws", "runs", "compare", "next", "fit"]),
    st.booleans(),
    st.lists(
        st.one_of(
            values.map(lambda x: [x]),
            st.sampled_from(OPTIONS).map(lambda x: [x]),
            st.tuples(st.sampled_from(OPTIONS), values).map(list),
        ),
        max_size=4,
    ),
)
def test_no_arguments_end_in_a_traceback(saved, tmp_path_factory, command, with_fit, parts):
    arguments = [command, *([str(saved)] if with_fit else []), *(x for part in parts for x in part)]
    # A fit of one of the package's tables would be made, which is no fuzzing.
    assume(command != "fit" or "olmo_ladder" not in arguments)
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("here"))
    try:
        result = CliRunner().invoke(cli.app, arguments, input="")
    finally:
        os.chdir(before)
    assert result.exception is None or isinstance(result.exception, SystemExit), arguments
    assert result.exit_code in (0, 2), arguments
    assert "Traceback" not in result.output
    if result.exit_code == 2:
        assert result.stderr
        # A program gets the same as one object.
        said = json.loads(result.stdout)["error"]["message"] if result.stdout else None
        assert said is None or "--json" in arguments


@pytest.mark.parametrize("number", ["1e300", "9" * 30, "1e19", "18446744073709551616"])
@pytest.mark.parametrize("option", ["--draws", "--tune", "--chains"])
def test_numbers_that_are_too_large_are_refused(tmp_path, option, number):
    result = CliRunner().invoke(
        cli.app, ["fit", "olmo_ladder", "--law", "dense", "--method", "laplace", option, number]
    )
    assert result.exit_code == 2, result.output
    assert result.stderr.splitlines()[-1].startswith("error: ")


@MANY
@given(st.integers(0, 2**70))
def test_whole_numbers_lose_no_digit(number):
    assert cli_inputs.whole("--seed", str(number)) == number


# --- completion -----------------------------------------------------------------------------------


def offered(folder, *words):
    """What the shell is told at the tab key after some words."""
    told = {"COMP_WORDS": " ".join(["bayescale", *words]), "COMP_CWORD": str(len(words))}
    result = subprocess.run(
        [sys.executable, "-c", "from bayescale.cli import app; app(prog_name='bayescale')"],
        cwd=folder,
        env=os.environ | told | {"_BAYESCALE_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr == ""
    return result.stdout.split()


def test_the_tab_key_offers_commands_laws_tables_and_files(tmp_path):
    for name in ("mine.py", "olmo.csv", "one.nc", "olmo.txt"):
        (tmp_path / name).touch()
    assert offered(tmp_path, "pred") == ["predict"]
    assert offered(tmp_path, "fit", "olmo") == ["olmo_ladder", "olmo.csv"]
    assert offered(tmp_path, "fit", "x.csv", "--law", "spa") == ["sparse"]
    assert offered(tmp_path, "laws", "mi") == ["mine.py"]
    assert offered(tmp_path, "predict", "o") == ["one.nc"]
    assert offered(tmp_path, "allocate", "one.nc", "--cost", "with") == ["with_inference"]
    assert offered(tmp_path, "fit", "x.csv", "--noise", "s") == ["student_t", "scaled", "skewed"]


def test_every_table_of_the_package_is_offered():
    known = sorted(bs.list_runs().index)
    assert completion.tables("")[: len(known)] == known
    assert set(bs.models.laws()) <= set(completion.laws(""))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_shown(shell):
    done = subprocess.run(
        [sys.executable, "-c", "from bayescale.cli import app; app(prog_name='bayescale')"],
        env=os.environ | {"_BAYESCALE_COMPLETE": f"source_{shell}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "_BAYESCALE_COMPLETE=complete" in done.stdout
