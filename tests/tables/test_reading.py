"""Reading tables that people bring."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bayescale as bs
from bayescale.common.errors import InputError

TABLES = [name for name in bs.list_runs().index if name != "gemstones2025"]


def table(**columns):
    """Three runs, in the vocabulary where nothing else is given."""
    usual = {"N": [1e8, 4e8, 1e9], "D": [2e9, 8e9, 2e10], "loss": [3.5, 3.0, 2.7]}
    return pd.DataFrame(columns or usual)


def refused(data, **options):
    with pytest.raises(InputError) as caught:
        bs.read_runs(data, **options)
    return str(caught.value)


def understood(runs):
    return {one["name"]: one for one in runs.attrs["understood"]}


def test_a_table_in_the_vocabulary_is_read_as_it_is():
    runs = bs.read_runs(table())
    pd.testing.assert_frame_equal(runs, table())
    assert understood(runs)["N"] == {
        "name": "N", "column": "N", "note": "", "unit": "parameters", "low": 1e8, "high": 1e9,
    }  # fmt: skip
    assert runs.attrs["simulated"] is False


@pytest.mark.parametrize("name", TABLES)
def test_the_package_s_tables_survive_a_file(tmp_path, name):
    known = bs.load_runs(name)
    known.to_csv(tmp_path / "runs.csv", index=False)
    runs = bs.read_runs(tmp_path / "runs.csv")
    counts = [column for column in known if column in bs.VARIABLES]
    read = runs[counts].reset_index(drop=True)
    pd.testing.assert_frame_equal(read, known[counts], check_exact=True)
    assert runs.index[0].endswith("line 2)") or runs.index[0] == "line 2"
    assert list(runs)[: len(list(known))] == list(known)
    assert runs.attrs["name"] == "runs.csv"


@pytest.mark.parametrize("kind", ["csv", "tsv", "csv.gz", "jsonl", "parquet"])
def test_every_kind_of_file_says_the_same(tmp_path, kind):
    path = tmp_path / f"runs.{kind}"
    data = table(params=["7B", "13B"], **{"train/tokens": ["1T", "2e12"]}, val_loss=[2.1, 1.9])
    if kind == "jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in data.to_dict("records")))
    elif kind == "parquet":
        data.to_parquet(path)
    else:
        data.to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")
    runs = bs.read_runs(path)
    assert runs[["N", "D", "loss"]].to_numpy().tolist() == [[7e9, 1e12, 2.1], [13e9, 2e12, 1.9]]


def test_parquet_without_its_package_is_named(tmp_path, monkeypatch):
    def missing(*_, **__):
        raise ImportError("Missing optional dependency")

    table().to_parquet(tmp_path / "runs.parquet")
    monkeypatch.setattr(pd, "read_parquet", missing)
    said = refused(tmp_path / "runs.parquet")
    assert "needs pyarrow" in said
    assert "save the table as CSV" in said


@given(st.lists(st.floats(1e4, 1e13), min_size=1, max_size=5))
def test_numbers_are_read_exactly_whether_text_or_not(sizes):
    data = pd.DataFrame({"N": [repr(x) for x in sizes], "D": 1e10, "loss": 3.0})
    assert bs.read_runs(data)["N"].tolist() == sizes


def test_suffixes_are_understood_and_said():
    runs = bs.read_runs(table(N=["70M", "0.4B", "1_000_000_000"], D=2e10, loss=3.0))
    assert runs["N"].tolist() == [7e7, 4e8, 1e9]
    assert understood(runs)["N"]["note"] == "numbers with suffixes"


def test_counts_are_floats_so_that_products_do_not_overflow():
    runs = bs.read_runs(pd.DataFrame({"N": [10**11], "D": [10**13], "loss": [2.0]}))
    assert (6 * runs.N * runs.D).item() == 6e24


def test_units_in_headers_are_converted_and_said():
    data = table(**{"params (B)": [7, 13], "tokens_m": [3e5, 4e5], "eval_loss (bits)": [3.0, 2.9]})
    runs = bs.read_runs(data)
    assert runs["N"].tolist() == [7e9, 13e9]
    assert runs["D"].tolist() == [3e11, 4e11]
    np.testing.assert_allclose(runs["loss"], np.log(2) * np.array([3.0, 2.9]), rtol=1e-15)
    assert understood(runs)["N"]["note"] == "in billions"
    assert understood(runs)["loss"]["note"] == "validation loss; in bits"


# --- which column is meant ------------------------------------------------------------------------


def test_the_validation_loss_is_preferred_and_that_is_said():
    runs = bs.read_runs(table().assign(val_loss=[3.6, 3.1, 2.8], train_loss=1.0))
    assert runs["loss"].tolist() == [3.6, 3.1, 2.8]
    assert runs["loss_left_aside"].tolist() == [3.5, 3.0, 2.7]
    note = understood(runs)["loss"]["note"]
    assert note == "validation loss; 'loss' and 'train_loss' are left aside"


def test_a_training_loss_alone_is_taken_and_called_one():
    runs = bs.read_runs(table().rename(columns={"loss": "train_loss"}))
    assert understood(runs)["loss"]["note"] == "training loss"


# --- losses that are not in nats ------------------------------------------------------------------


def without_loss(**columns):
    return table().drop(columns="loss").assign(**columns)


def test_of_a_perplexity_the_logarithm_is_taken_and_that_is_said():
    runs = bs.read_runs(without_loss(val_ppl=["33", 20.5, 15.0]))
    np.testing.assert_allclose(runs["loss"], np.log([33, 20.5, 15.0]), rtol=1e-15)
    assert understood(runs)["loss"] == {
        "name": "loss", "column": "val_ppl", "unit": "nats per token",
        "note": "validation perplexity; its natural logarithm is taken",
        "low": np.log(15.0), "high": np.log(33.0),
    }  # fmt: skip


def test_a_loss_curve_in_perplexities_is_averaged_in_nats():
    steps = np.arange(1, 41)
    ppl = np.where(steps % 2, 10.0, 40.0)
    curve = pd.DataFrame({"run": "a", "N": 1e8, "D": steps * 1e9, "step": steps, "ppl": ppl})
    runs = bs.read_runs(curve, tail=0.5)
    assert runs["loss"].item() == pytest.approx(np.log(ppl[19:]).mean())


@pytest.mark.parametrize("other", ["val_ppl", "perplexity", "val_bpb"])
def test_a_loss_is_taken_where_there_is_a_perplexity_too(other):
    runs = bs.read_runs(table().assign(**{other: 1.5}))
    assert runs["loss"].tolist() == table()["loss"].tolist()
    assert understood(runs)["loss"]["note"] == f"{other!r} is left aside"


def test_a_validation_perplexity_is_more_than_a_training_loss():
    runs = bs.read_runs(without_loss(train_loss=3.0, val_ppl=np.exp(3.2), bpb=0.9))
    np.testing.assert_allclose(runs["loss"], 3.2, rtol=1e-15)
    note = understood(runs)["loss"]["note"]
    assert note.endswith("is taken; 'train_loss' and 'bpb' are left aside")


def test_two_perplexities_are_not_chosen_between():
    data = without_loss(**{"val/c4/ppl": 20.0, "val/pile/ppl": 12.0})
    assert "'val/c4/ppl' or 'val/pile/ppl'? Say so with columns={'loss':" in refused(data)
    runs = bs.read_runs(data, columns={"loss": "val/pile/ppl"})
    np.testing.assert_allclose(runs["loss"], np.log(12.0), rtol=1e-15)
    note = understood(runs)["loss"]["note"]
    assert note == "as told; perplexity; its natural logarithm is taken"


def test_what_no_perplexity_can_be_is_refused():
    said = refused(without_loss(ppl=[20.0, 0.7, 12.0]))
    assert "column 'ppl', row 1: 0.7 is no perplexity, which is 1 at least" in said


@pytest.mark.parametrize("options", [{}, {"columns": {"loss": "val_bpb"}}])
def test_bits_per_byte_stay_what_they_are_and_that_is_said(options):
    data = without_loss(val_bpb=[1.2, 1.0, 0.9])
    runs = bs.read_runs(data, **options)
    assert runs["loss"].tolist() == [1.2, 1.0, 0.9]
    assert runs.attrs["loss_unit"] == understood(runs)["loss"]["unit"] == "bits per byte"
    assert "in bits per byte, and fitted in that unit" in understood(runs)["loss"]["note"]


def test_bits_per_byte_are_converted_where_the_factor_is_given():
    data = without_loss(val_bpb=[1.2, 1.0, 0.9])
    runs = bs.read_runs(data, columns={"loss": "val_bpb * 2.91"})
    np.testing.assert_allclose(runs["loss"], 2.91 * data["val_bpb"], rtol=1e-15)
    assert runs.attrs["loss_unit"] == "nats per token"


# --- counts and settings --------------------------------------------------------------------------


def test_total_parameters_come_before_those_without_embeddings():
    data = table().rename(columns={"N": "n_params"}).assign(non_embedding_params=5e7)
    assert bs.read_runs(data)["N"].tolist() == [1e8, 4e8, 1e9]
    alone = table().rename(columns={"N": "non_embedding_params"})
    assert understood(bs.read_runs(alone))["N"]["note"] == "embeddings left out"


@pytest.mark.parametrize(
    ("columns", "quantity", "choices"),
    [
        ({"params": 1e9, "n_params": 2e9, "D": 1e10, "loss": 3.0}, "N", "'params' or 'n_params'"),
        (
            {"N": 1e9, "tokens": 1e10, "train/tokens": 2e10, "loss": 3.0},
            "D",
            "'tokens' or 'train/tokens'",
        ),
        (
            {"N": 1e9, "D": 1e10, "val/c4/loss": 3.0, "val/pile/loss": 2.5},
            "loss",
            "'val/c4/loss' or 'val/pile/loss'",
        ),
    ],
)
def test_two_columns_for_one_quantity_are_refused(columns, quantity, choices):
    data = pd.DataFrame({name: [value, 0.9 * value] for name, value in columns.items()})
    said = refused(data)
    assert f"which column is {quantity!r}" in said
    assert choices in said
    second = choices.split(" or ")[1].strip("'")
    assert (
        bs.read_runs(data, columns={quantity: second})[quantity].tolist() == data[second].tolist()
    )


def test_two_columns_that_agree_are_one():
    data = table().rename(columns={"N": "params"})
    runs = bs.read_runs(data.assign(n_params=data["params"]))
    assert runs["N"].tolist() == [1e8, 4e8, 1e9]


def test_an_empty_column_and_one_of_words_are_not_meant():
    data = table().rename(columns={"N": "params"}).assign(n_params=np.nan, model_size="small")
    assert understood(bs.read_runs(data))["N"]["column"] == "params"


def test_columns_are_as_told_with_factors():
    data = table(size=[0.1, 0.4], toks=["2B", "8B"], loss=[3.0, 2.0], width=[8, 9])
    runs = bs.read_runs(data, columns={"N": "size*1B", "D": "toks", "depth": "width"})
    assert runs[["N", "D", "depth"]].to_numpy().tolist() == [[1e8, 2e9, 8.0], [4e8, 8e9, 9.0]]
    assert understood(runs)["N"]["note"] == "as told"


def test_what_is_told_comes_before_what_is_guessed():
    runs = bs.read_runs(table().assign(val_loss=9.0), columns={"loss": "loss"})
    assert runs["loss"].tolist() == [3.5, 3.0, 2.7]


def test_columns_may_be_swapped():
    data = table(N=[2e10], D=[1e9], loss=[3.0])
    assert bs.read_runs(data, columns={"N": "D", "D": "N"})[["N", "D"]].values.tolist() == [
        [1e9, 2e10]
    ]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"N": "nowhere"}, "there is no such column; there are 'N', 'D', 'loss'"),
        ({"N": "loss", "D": "loss"}, "'loss' for two quantities"),
        ({"N": "D"}, "column 'N' is there as well as 'D'"),
    ],
)
def test_columns_that_cannot_be_are_refused(columns, said):
    assert said in refused(table(), columns=columns)


def test_a_value_that_is_no_number_is_named_with_its_row():
    said = refused(table(N=["7B", "small"], D=1e10, loss=3.0))
    assert said.startswith("column 'N', row 1: 'small' is not a number")
    data = pd.DataFrame({"n_params": ["7B", "oops"], "D": 1e10, "loss": 3.0}, index=["a", "b"])
    assert "column 'n_params', row 'b': 'oops'" in refused(data)


def test_counts_in_another_unit_are_refused_with_the_column_to_give():
    data = table(params=[7.0, 13.0], tokens=["1T", "2T"], loss=[2.1, 1.9])
    said = refused(data)
    assert "7 is below 10000 parameters" in said
    assert "columns={'N': 'params * 1e9'}" in said
    assert bs.read_runs(data, columns={"N": "params * 1e9"})["N"].tolist() == [7e9, 13e9]


def test_what_a_law_may_not_need_is_left_aside_when_out_of_range():
    runs = bs.read_runs(table().assign(compute=[1.0, 2.0, 3.0]))
    assert "flops" not in runs
    assert "'compute' is not taken" in runs.attrs["notes"]


def test_a_missing_value_is_left_for_whoever_needs_it():
    runs = bs.read_runs(table(N=[1e8, np.nan], D=[1e10, 1e10], loss=[3.0, 2.0]))
    assert np.isnan(runs["N"][1])
    with pytest.raises(InputError, match="column 'N', row 1: the value is missing"):
        bs.fit(bs.models.dense, runs)


def test_simulated_runs_say_so():
    assert bs.read_runs(table().assign(simulated=True)).attrs["simulated"] is True
    assert bs.read_runs(table().assign(simulated="no")).attrs["simulated"] is False
    made_up = table()
    made_up.attrs["simulated"] = True
    assert bs.read_runs(made_up).attrs["simulated"] is True


def test_no_table_is_refused():
    assert "not list" in refused([1, 2])
    assert "no rows" in refused(table().iloc[:0])
    twice = pd.concat([table(), table()[["N"]]], axis=1)
    assert "more than one column 'N'" in refused(twice)


def test_the_given_table_is_left_as_it_was():
    data = table(params=["7B"], tokens=["1T"], loss=[2.0], val_loss=[2.1])
    before = data.copy(deep=True)
    bs.read_runs(data)
    pd.testing.assert_frame_equal(data, before)
