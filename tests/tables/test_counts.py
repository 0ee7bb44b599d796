"""Tables that count parameters or tokens in several ways, read with each."""

import pandas as pd
import pytest

import bayescale as bs
from bayescale.common.errors import InputError
from bayescale.models import dense
from bayescale.tables.tracker_names import is_count


@pytest.mark.parametrize(
    ("column", "counts"),
    [
        ("N", True), ("params_total", True), ("params_non_embedding", True),
        ("params_transformer", True), ("N_no_emb", True), ("params_wte", False),
        ("params_lm_head", False), ("tokens", False), ("depth", False),
    ],
)  # fmt: skip
def test_parts_of_a_model_are_no_count_of_it(column, counts):
    assert is_count("N", column) == counts


def table():
    return pd.DataFrame({
        "N": [1e8, 2e8, 4e8], "params_transformer": [6e7, 1.5e8, 3.4e8],
        "tokens": [2e9, 4e9, 8e9], "planned_tokens": [2e9, 4e9, 9e9], "loss": [3.5, 3.2, 3.0],
    })  # fmt: skip


def test_each_count_is_taken_once_and_the_rest_stays():
    found = bs.every_count(table())
    assert list(found) == ["N", "params_transformer", "planned_tokens"]
    assert [runs.attrs["count"] for runs in found.values()] == ["N", "N", "D"]
    assert found["params_transformer"].N.tolist() == [6e7, 1.5e8, 3.4e8]
    assert found["params_transformer"].D.tolist() == [2e9, 4e9, 8e9]
    assert found["planned_tokens"].N.tolist() == [1e8, 2e8, 4e8]
    assert found["planned_tokens"].D.tolist() == [2e9, 4e9, 9e9]


def test_tokens_that_follow_from_compute_follow_from_each_count():
    runs = table().drop(columns=["tokens", "planned_tokens"]).assign(flops=6e18)
    found = bs.every_count(runs)
    for one in found.values():
        assert (6 * one.N * one.D).tolist() == pytest.approx([6e18] * 3)


def test_a_table_of_one_count_is_refused():
    with pytest.raises(InputError, match="nothing hangs on the choice"):
        bs.every_count(table()[["N", "tokens", "loss"]])
    with pytest.raises(InputError, match="two counts or more"):
        bs.plan_by_count(dense, {"N": table()}, 1e21)
