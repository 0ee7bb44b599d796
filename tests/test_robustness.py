"""What nobody should have given: every public way in either works or refuses in one clear line."""

import datetime
import decimal
import io
import json
import os
import re
import string
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import bayescale as bs
from bayescale import cli
from bayescale.cli import inputs as cli_inputs
from bayescale.curves import one_row_a_run
from bayescale.errors import InputError
from bayescale.models import dense
from bayescale.quantities import format_number, parse_number
from bayescale.tracker_names import meaning_of

FIXED_FILES = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
SOME = settings(FIXED_FILES, max_examples=60)
MANY = settings(FIXED_FILES, max_examples=200)


# --- headers and numbers --------------------------------------------------------------------------

WORDS = (
    "N D loss N_active S G experts flops D_unique run step max_steps lr params n_params tokens "
    "train/tokens val_loss val/loss train_loss eval_loss (bits) params (B) config. _step tokens_m "
    "compute (PF-days) non_embedding_params Name id model total_flops d width in billions per"
).split(" ")
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
    st.just(decimal.Decimal("sNaN")),
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


def check_runs(runs):
    """What every table that was read has to be."""
    assert len(runs)
    for one in runs.attrs["understood"]:
        assert runs[one["name"]].dtype.kind == "f" or one["name"] not in bs.VARIABLES
    for quantity in ("N", "D", "loss"):
        if quantity in [one["name"] for one in runs.attrs["understood"]]:
            known = runs[quantity].dropna()
            assert (known > 0).all()


@MANY
@given(tables(), options)
def test_a_table_is_read_or_refused(table, options):
    before = table.copy(deep=True)
    try:
        runs = bs.read_runs(table, **options)
    except InputError as error:
        assert str(error).strip()
    else:
        check_runs(runs)
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
    try:
        runs = bs.read_runs(path)
    except InputError as error:
        assert str(error).strip()
    else:
        check_runs(runs)
