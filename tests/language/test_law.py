"""A law is one function: how it is read, called, refused and sent to other processes."""

import copy
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import bayescale as bs
from bayescale import amplitude, exponent, floor, law
from bayescale.models import dense


@law(published={"made_up": {"E": 1.0, "B": 50.0, "beta": 0.2}}, cost=lambda D: 6e9 * D)
def tokens(D, *, E=floor(), B=amplitude(), beta=exponent()):
    """Loss of one model size.

    More about it.
    """
    return E + B * D**-beta


# --- reading ------------------------------------------------------------------------------------


def test_what_is_read_off_the_function():
    assert isinstance(tokens, bs.Law)
    assert (tokens.name, tokens.inputs, tokens.coefficients) == (
        "tokens",
        ("D",),
        ("E", "B", "beta"),
    )
    assert tokens.priors["E"] == floor()
    assert tokens.summary == "Loss of one model size."
    assert tokens.signature() == "tokens(D; E, B, beta)"
    assert tokens.published["made_up"].values["B"] == 50.0
    assert tokens.__wrapped__ is tokens.function
    assert tokens.__module__ == __name__


def test_the_decorator_needs_no_arguments():
    @law
    def bare(D, *, E=floor()):
        return E + 0 * D

    assert (bare.published, bare.cost, bare.summary) == ({}, None, "")


def test_a_law_cannot_be_changed():
    with pytest.raises(AttributeError):
        tokens.name = "other"
    with pytest.raises(TypeError):
        tokens.priors["E"] = floor(0.1)


def bad(source: str) -> str:
    """The message with which a law of this signature is refused."""
    names = {"floor": floor, "amplitude": amplitude}
    exec(f"def my_law{source}: return 0.0", names)
    with pytest.raises(bs.InputError) as refused:
        law(names["my_law"])
    return str(refused.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("(N, *, E)", "coefficient 'E' has no prior; give it one as its default"),
        ("(N, *, E=1.7)", "coefficient 'E' has no prior"),
        ("(N, E=floor())", "'E' has a default, .* put it after a star"),
        ("(N, E=floor(), *, A=amplitude())", "'E' has a default"),
        ("(N, D=1e9, *, E=floor())", "'D' has a default"),
        ("(N)", "needs inputs before a star and coefficients after it"),
        ("(*, E=floor())", "needs inputs before a star"),
        ("(*N, E=floor())", "args and .*kwargs are not allowed"),
        ("(N, *, E=floor(), **more)", "args and .*kwargs are not allowed"),
        ("(N, *, noise_scale=floor())", "'noise_scale' cannot name"),
        ("(N, *, draw=floor())", "'draw' cannot name"),
        ("(loss, *, E=floor())", "'loss' cannot name"),
        ("(seed, *, E=floor())", "'seed' cannot name"),
    ],
)
def test_what_is_not_a_law_is_refused_with_the_remedy(source, message):
    import re

    assert re.search(message, bad(source)), bad(source)


def test_a_published_set_names_every_coefficient():
    with pytest.raises(bs.InputError, match=r"published set 'wrong' names \['E'\], .*\['B', 'E'\]"):

        @law(published={"wrong": {"E": 1.0}})
        def short(D, *, E=floor(), B=amplitude()):
            return E + B / D


# --- calling ------------------------------------------------------------------------------------

COUNT = st.floats(1e6, 1e13)


@given(COUNT, COUNT)
def test_positions_names_and_both_mean_the_same(n, d):
    c = dense.published["besiroglu2024"].values
    expected = c["E"] + c["A"] * n ** -c["alpha"] + c["B"] * d ** -c["beta"]
    assert dense(n, d, **c) == expected
    assert dense(D=d, N=n, **c) == expected
    assert dense(n, D=d, **c) == expected
    assert dense(np.array([n]), d, **c)[0] == pytest.approx(expected, rel=1e-14)


def test_labelled_coefficients_and_inputs_broadcast_by_name():
    draws = xr.DataArray([[1.0, 2.0]], dims=("chain", "draw"))
    runs = xr.DataArray([1e9, 1e10, 1e11], dims="run")
    loss = tokens(runs, E=draws, B=50.0, beta=0.2)
    assert loss.sizes == {"run": 3, "chain": 1, "draw": 2}
    assert loss.sel(chain=0, draw=1, run=2).item() == pytest.approx(2.0 + 50.0 * 1e11**-0.2)


def test_symbols_give_what_numbers_give():
    import pytensor.tensor as pt

    d, e = pt.dvector(), pt.dscalar()
    values = np.array([1e9, 1e12])
    found = tokens(d, E=e, B=50.0, beta=0.2).eval({d: values, e: 1.5})
    np.testing.assert_allclose(found, tokens(values, E=1.5, B=50.0, beta=0.2), rtol=1e-14)


@pytest.mark.parametrize(
    ("inputs", "named", "message"),
    [
        ((), {"E": 1, "B": 1, "beta": 1}, "missing: D"),
        ((1e9,), {"E": 1, "B": 1}, "missing: beta"),
        ((1e9,), {"E": 1, "B": 1, "beta": 1, "gamma": 1}, "unknown: gamma"),
        ((1e9,), {"D": 1e9, "E": 1, "B": 1, "beta": 1}, "given twice: D"),
        ((1e9, 2e9), {"E": 1, "B": 1, "beta": 1}, "one input too many: 2000000000.0"),
    ],
)
def test_a_wrong_call_says_what_is_wrong(inputs, named, message):
    with pytest.raises(TypeError, match=rf"tokens\(D; E, B, beta\): {message}"):
        tokens(*inputs, **named)


@pytest.mark.parametrize(
    "formula",
    [
        lambda D, E: E if D > 1 else 0.0,
        lambda D, E: E + max(D, 1.0),
        lambda D, E: E + math.log(D),
    ],
)
def test_a_formula_for_plain_numbers_only_is_refused_with_the_remedy(formula):
    @law
    def plain(D, *, E=floor()):
        return formula(D, E)

    assert plain(2.0, E=1.0) >= 1.0
    with pytest.raises(bs.InputError, match=r"law 'plain' fails on .*where, maximum and minimum"):
        plain(np.array([1.0, 2.0]), E=1.0)


# --- other processes ----------------------------------------------------------------------------


def test_pickles_and_copies_are_the_law_itself():
    assert pickle.loads(pickle.dumps(dense)) is dense
    assert copy.deepcopy(tokens) is tokens
    assert copy.copy(tokens) is tokens


def test_a_law_without_a_name_in_a_module_does_not_pickle():
    @law
    def local(D, *, E=floor()):
        return E + 0 * D

    with pytest.raises((pickle.PicklingError, AttributeError), match=r"local"):
        pickle.dumps(local)


SCRIPT = """
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from bayescale import amplitude, floor, law

@law(cost=lambda D: 6e9 * D)
def mine(D, *, E=floor(), B=amplitude()):
    return E + B / D

def loss(law):
    return law(2.0, E=1.0, B=1.0)

if __name__ == "__main__":
    assert pickle.loads(pickle.dumps(mine)) is mine
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as workers:
        print(workers.submit(loss, mine).result())
"""


def test_a_law_of_a_script_goes_to_workers(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    result = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert result.stdout.strip() == "1.5", result.stderr
