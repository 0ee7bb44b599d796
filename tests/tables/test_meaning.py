"""A column that reads as one quantity where the law means another by that name."""

import pandas as pd
import pytest

import bayescale as bs
from bayescale.language.columns import read_columns
from bayescale.models import dense, upcycling

MIXTURES = pd.DataFrame(
    {"total_params": [1e8, 2e8], "D_dense": [1e9] * 2, "D_upcycled": [1e9, 2e9], "loss": [3, 2.9]}
)


def columns(law, **given):
    runs = bs.read_runs(MIXTURES.assign(D=1e9), **given)
    return read_columns(runs, law.inputs, extra=law.variables)


def test_total_parameters_are_no_dense_parents():
    with pytest.raises(bs.InputError, match=r"'total_params' reads as total.*dense parent"):
        columns(upcycling)


def test_who_says_so_is_believed():
    assert columns(upcycling, columns={"N": "total_params"})["N"].tolist() == [1e8, 2e8]


def test_a_law_of_total_parameters_takes_them():
    assert columns(dense)["N"].tolist() == [1e8, 2e8]
