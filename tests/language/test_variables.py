"""The vocabulary: what is derived, what is refused, and whether the message helps."""

import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import assume, example, given
from hypothesis import strategies as st

from bayescale.common.errors import InputError
from bayescale.language.columns import check_values, derive, read_columns
from bayescale.language.variables import VARIABLES, Variable, variable

COUNT = st.floats(1e4, 1e16)
SPARSITY = st.floats(0.0, 0.999)


@pytest.fixture
def runs() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "N": [190_354_176, 1_279_395_840, 3_169_537_280],
            "D": [1_908_932_608, 25_604_653_060, 633_939_689_500],
            "loss": [3.747479, 3.063071, 2.664399],
        },
        index=["small", "middle", "large"],
    )


# --- the vocabulary -----------------------------------------------------------------------------


def test_the_vocabulary_is_complete_and_cannot_be_changed():
    assert set(VARIABLES) == {
        *("N", "N_active", "D", "S", "G", "experts", "expansion"),
        *("D_dense", "D_upcycled", "D_unique", "flops", "loss"),
    }
    for name, entry in VARIABLES.items():
        assert entry.name == name
        assert entry.description
        assert entry.low < entry.high
    with pytest.raises(TypeError):
        VARIABLES["N"] = Variable("N")  # type: ignore[index]


def test_counts_of_one_kind_share_a_scale():
    scales = {name: entry.scale for name, entry in VARIABLES.items()}
    assert scales["N"] == scales["N_active"] == "parameters"
    assert scales["D"] == scales["D_unique"] == "tokens"
    assert scales["D_dense"] != scales["D_upcycled"]
    assert {scales[name] for name in ("S", "G", "experts", "expansion")} == {None}


def test_no_alias_is_claimed_twice_or_is_a_name():
    aliases = [alias for entry in VARIABLES.values() for alias in entry.aliases]
    assert len(aliases) == len(set(aliases))
    assert not set(aliases) & set(VARIABLES)


def test_an_unknown_name_is_any_finite_number():
    entry = variable("weight_decay")
    assert (entry.unit, entry.scale) == ("", None)
    check_values("weight_decay", [-1e300, 0.0, 1e300])
    with pytest.raises(InputError, match="infinite"):
        check_values("weight_decay", math.inf)


def test_a_law_describes_its_own_inputs():
    width = Variable("width", "units", "width of the network", low=0, integer=True)
    assert variable("width", [width]) is width
    with pytest.raises(InputError, match="0 is not above 0 units"):
        check_values("width", 0, extra=[width])


def test_an_empty_range_is_refused():
    with pytest.raises(InputError, match="low < high"):
        Variable("width", low=1, high=1)


def test_importing_the_vocabulary_loads_neither_pandas_nor_xarray():
    code = (
        "import sys, bayescale.language.variables; "
        "print(sorted({'pandas', 'xarray', 'pymc', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


# --- what follows from what ---------------------------------------------------------------------


@given(COUNT, SPARSITY)
def test_sparsity_and_counts_go_round(total, sparsity):
    active = derive("N_active", {"N": total, "S": sparsity})
    assert 0 < active <= total
    assert derive("S", {"N": total, "N_active": active}) == pytest.approx(sparsity, abs=1e-12)
    assert derive("N", {"N_active": active, "S": sparsity}) == pytest.approx(total, rel=1e-12)


@given(COUNT)
def test_a_dense_network_has_a_sparsity_of_exactly_zero(total):
    assert derive("S", {"N": total, "N_active": total}) == 0.0


@given(st.integers(10**4, 10**16), st.integers(10**6, 10**18))
@example(70_000_000_000, 1_400_000_000_000)
def test_compute_never_overflows(parameters, tokens):
    exact = 6 * parameters * tokens
    for kind in (int, np.int64, lambda x: np.array([x]), lambda x: pd.Series([x])):
        flops = derive("flops", {"N": kind(parameters), "D": kind(tokens)})
        assert float(np.asarray(flops).item()) == pytest.approx(exact, rel=1e-14)


def test_compute_counts_the_parameters_that_a_token_uses():
    assert derive("flops", {"N": 8e9, "N_active": 2e9, "D": 1e12}) == 1.2e22
    assert derive("flops", {"N": 8e9, "S": 0.75, "D": 1e12}) == 1.2e22
    assert derive("flops", {"N": 2e9, "D": 1e12}) == 1.2e22
    # A mixture of experts whose active parameters are not known.
    assert derive("flops", {"N": 8e9, "D": 1e12, "experts": 8}) is None


@pytest.mark.parametrize("given_names", [(), ("N",), ("N", "D"), ("D", "loss")])
def test_no_table_is_taken_to_be_dense(given_names):
    assert derive("S", dict.fromkeys(given_names, 1e9)) is None
    assert derive("N_active", dict.fromkeys(given_names, 1e9)) is None


def test_labels_survive_derivation():
    series = derive("S", pd.DataFrame({"N": [8e9], "N_active": [2e9]}, index=["moe"]))
    assert series.loc["moe"] == 0.75
    size = xr.DataArray([1e9, 2e9], dims="size")
    length = xr.DataArray([1e10, 2e10, 4e10], dims="length")
    flops = derive("flops", {"N": size, "D": length})
    assert flops.dims == ("size", "length")
    assert flops.values[-1, -1] == 4.8e20


# --- what is refused ----------------------------------------------------------------------------


@given(
    st.sampled_from(sorted(VARIABLES)),
    st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=5),
    st.sampled_from([math.nan, math.inf, -math.inf]),
    st.integers(0, 5),
    st.sampled_from([list, np.array, pd.Series]),
)
def test_nothing_that_is_not_finite_ever_passes(name, others, value, at, kind):
    values = [*others[:at], value, *others[at:]]
    with pytest.raises(InputError, match=name):
        check_values(name, kind(values))


@given(st.sampled_from(sorted(VARIABLES)), st.floats(allow_nan=False, allow_infinity=False))
def test_a_value_passes_exactly_if_it_lies_in_the_range(name, value):
    entry = VARIABLES[name]
    assume(value not in (entry.low, entry.high))
    if entry.low < value < entry.high:
        check_values(name, value)
    else:
        with pytest.raises(InputError, match=f"'{name}'"):
            check_values(name, value)


@pytest.mark.parametrize(
    ("name", "value"), [("S", 0.0), ("experts", 1), ("expansion", 1), ("N", 1e4), ("D", 1e6)]
)
def test_closed_ends_belong_to_the_range(name, value):
    check_values(name, value)


@pytest.mark.parametrize(("name", "value"), [("S", 1.0), ("loss", 0.0)])
def test_open_ends_do_not(name, value):
    with pytest.raises(InputError):
        check_values(name, value)


@pytest.mark.parametrize(
    ("name", "values", "remedy"),
    [
        ("D", [20, 300], "billions, multiply it by 1e9"),
        ("D", [26_000, 300_000], "millions, multiply it by 1e6"),
        ("N", [0.19, 1.3, 70], "billions, multiply it by 1e9"),
        ("N", [190, 9_999], "millions, multiply it by 1e6"),
        ("N", [8.28, 9.1], "10[*][*]"),
        ("flops", [18.3, 22.8], "10[*][*]"),
        ("flops", [1e2], "petaFLOP/s-days, multiply it by 8.64e19"),
        ("S", [50.0, 87.5], "per cent, divide it by 100"),
        ("S", [-0.5], "N_active cannot exceed N"),
        ("S", [1.0], "no active parameter"),
        ("loss", [-2.5], "log-likelihood"),
        ("loss", [150.0], "natural logarithm"),
        ("G", [0], "correct it"),
    ],
)
def test_the_usual_mistakes_are_recognised(name, values, remedy):
    with pytest.raises(InputError, match=remedy):
        check_values(name, values)


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        ("7B", "write it as 7e[+]09"),
        ("190m", "write it as 1.9e[+]08"),
        ("1,300 M", "write it as 1.3e[+]09"),
        ("7e9", "pd.to_numeric"),
        ("big", "plain number"),
        (True, "bool"),
        (1 + 2j, "complex"),
        (pd.Timestamp("2024-01-01"), "plain number"),
    ],
)
def test_what_is_no_number_is_not_converted(value, remedy):
    with pytest.raises(InputError, match=f"column 'N', row 1: .*{remedy}"):
        check_values("N", pd.Series([7e9, value], dtype=object))


@pytest.mark.parametrize("missing", [None, pd.NA, pd.NaT, math.nan, np.float32("nan")])
def test_every_kind_of_missing_value_is_one(missing):
    with pytest.raises(InputError, match="missing"):
        check_values("N", pd.Series([7e9, missing], dtype=object))


def test_pandas_own_number_types_are_numbers():
    check_values("N", pd.Series([7_000_000_000], dtype="Int64"))
    with pytest.raises(InputError, match=r"missing \(1 of 2 rows\)"):
        check_values("N", pd.Series([7_000_000_000, None], dtype="Int64"))


def test_the_message_names_column_row_number_and_remedy():
    tokens = pd.Series([1e9, 20.0, 30.0], index=[2, 3, 4])
    with pytest.raises(InputError) as caught:
        check_values("D", tokens)
    assert str(caught.value) == (
        "column 'D', row 3: 20 is below 1e+06 tokens (2 of 3 rows, also row 4); "
        "if it is in billions, multiply it by 1e9"
    )


def test_without_rows_the_position_is_named():
    with pytest.raises(InputError, match=r"^'D': 20 is below"):
        check_values("D", 20)
    with pytest.raises(InputError, match=r"^'D', element 1: .*1 of 2 values"):
        check_values("D", [1e9, 20])
    with pytest.raises(InputError, match=r"^'D', element \(1, 0\): "):
        check_values("D", xr.DataArray([[1e9, 1e9], [20, 1e9]]))


# --- reading a table ----------------------------------------------------------------------------


def test_columns_come_as_floats(runs):
    columns = read_columns(runs, ["N", "D", "loss", "flops"])
    assert list(columns) == ["N", "D", "loss", "flops"]
    assert {values.dtype for values in columns.values()} == {np.dtype("float64")}
    # In 64-bit integers, 6 * N * D of the largest run would be negative.
    assert columns["flops"][-1] == pytest.approx(1.205577e22, rel=1e-6)
    assert (6 * runs["N"] * runs["D"] < 0).any()


def test_the_table_is_left_alone(runs):
    before = runs.copy()
    columns = read_columns(runs, ["N", "loss"])
    columns["loss"][:] = 0
    pd.testing.assert_frame_equal(runs, before)


def test_missing_columns_are_derived(runs):
    sparse = runs.assign(N_active=[190_354_176, 639_697_920, 792_384_320])
    assert read_columns(sparse, ["S"])["S"].tolist() == [0.0, 0.5, 0.75]
    sparse = runs.assign(S=[0.0, 0.5, 0.75])
    assert read_columns(sparse, ["N_active"])["N_active"][1] == 639_697_920


def test_a_dense_table_must_say_that_it_is(runs):
    with pytest.raises(InputError, match=r"no column 'S'.*runs.assign\(S=0.0\)"):
        read_columns(runs, ["N", "S", "D"])
    assert not read_columns(runs.assign(S=0.0), ["S"])["S"].any()


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("N", "params"),
        ("N", "n"),
        ("N", "Total Params"),
        ("D", "tokens"),
        ("D", "train_token"),
        ("loss", "val_loss"),
        ("loss", "Loss"),
        ("loss", "eval/loss"),
        ("N_active", "n_active"),
        ("experts", "num_experts"),
    ],
)
def test_a_rename_is_offered(runs, name, header):
    table = runs.assign(N_active=runs["N"], experts=1).rename(columns={name: header})
    with pytest.raises(InputError) as caught:
        read_columns(table, [name])
    rename = f'runs.rename(columns={{"{header}": "{name}"}})'
    assert rename in str(caught.value)
    assert read_columns(table.rename(columns={header: name}), [name])[name].shape == (3,)


@pytest.mark.parametrize(
    ("name", "header", "source"), [("S", "active_params", "N_active"), ("flops", "tokens", "D")]
)
def test_a_rename_is_offered_for_what_a_column_follows_from(runs, name, header, source):
    table = runs.assign(N_active=runs["N"]).rename(columns={source: header})
    with pytest.raises(InputError) as caught:
        read_columns(table, [name])
    assert f'runs.rename(columns={{"{header}": "{source}"}}), from which {name}' in str(
        caught.value
    )
    read_columns(table.rename(columns={header: source}), [name])


def test_the_columns_that_are_there_are_listed(runs):
    with pytest.raises(InputError, match="its columns are 'N', 'D', 'loss'; add it"):
        read_columns(runs, ["weight_decay"])


def test_a_column_with_a_meaning_of_its_own_is_not_offered(runs):
    table = runs.rename(columns={"D": "D_unique"})
    with pytest.raises(InputError) as caught:
        read_columns(table, ["D"])
    assert "rename" not in str(caught.value)


def test_faults_are_reported_where_they_were_written(runs):
    swapped = runs.assign(N_active=runs["N"] * 2)
    with pytest.raises(InputError, match=r"column 'N_active', row 'small': .* exceeds the total"):
        read_columns(swapped, ["S"])
    text = runs.assign(N_active="7B")
    with pytest.raises(InputError, match="column 'N_active', row 'small': '7B' is text"):
        read_columns(text, ["S"])


def test_a_run_has_a_whole_number_of_experts(runs):
    with pytest.raises(InputError, match=r"row 'middle': 8\.5 is not a whole number"):
        read_columns(runs.assign(experts=[1, 8.5, 16]), ["experts"])
    # As an input to predict or allocate with, experts may vary continuously.
    check_values("experts", 8.5)


def test_two_columns_of_one_name_are_refused(runs):
    with pytest.raises(InputError, match="more than one column 'N'"):
        read_columns(pd.concat([runs, runs[["N"]]], axis=1), ["loss"])


def test_an_empty_table_is_refused(runs):
    with pytest.raises(InputError, match="no rows"):
        read_columns(runs[runs["loss"] > 100], ["loss"])


@pytest.mark.parametrize(
    ("table", "remedy"),
    [
        ("runs.csv", r"pd.read_csv\('runs.csv'\)"),
        ({"N": [1e9]}, "pd.DataFrame"),
        (xr.Dataset({"N": ("run", [1e9])}), "to_dataframe"),
    ],
)
def test_other_kinds_of_table_are_refused(table, remedy):
    with pytest.raises(InputError, match=remedy):
        read_columns(table, ["N"])


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=4))
def test_what_is_read_can_be_used(losses):
    try:
        read = read_columns(pd.DataFrame({"loss": losses}), ["loss"])["loss"]
    except InputError as error:
        assert "column 'loss', row" in str(error)  # noqa: PT017
    else:
        assert np.isfinite(np.log(read)).all()
        assert read.tolist() == losses
