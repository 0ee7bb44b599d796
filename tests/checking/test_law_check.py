"""Trying out laws that somebody has just written."""

import json
import math
import textwrap

import numpy as np
import pytest
from typer.testing import CliRunner

import bayescale as bs
from bayescale import Variable, amplitude, exponent, floor, law, lognormal, normal
from bayescale.models import dense, granularity, repetition, sparse

DEPTH = Variable("depth", description="blocks of a network", low=1, high=1000, low_open=False)


@law(variables=(DEPTH,))
def with_depth(N, D, depth, *, E=floor(), A=amplitude(), alpha=exponent(), kappa=exponent(0.1)):
    "Falls with depth as well; the data are left to the floor."
    return E + A * N**-alpha * depth**-kappa + 0 * D


@law
def plain_python(N, *, E=floor(), A=amplitude(), alpha=exponent()):
    "Works on single numbers only."
    return E + A * math.exp(-alpha * math.log(N))


@law
def branching(N, *, E=floor(), A=amplitude(), alpha=exponent()):
    "An if, which no array can answer."
    return E + A * N**-alpha if N > 1 else E + A


@law
def no_symbols(N, *, E=floor(), A=amplitude(), alpha=exponent()):
    "Fine on arrays: NumPy has no clip of symbols."
    return E + A * np.clip(N, 1e-9, 1e9) ** -alpha


@law
def summed(N, *, E=floor(), A=amplitude(), alpha=exponent()):
    "Adds up the runs by mistake."
    return E + (A * N**-alpha).sum() if hasattr(N, "sum") else E + A * N**-alpha


@law
def rising(N, D, *, E=floor(), A=amplitude(), alpha=exponent()):
    "The sign of an exponent is wrong."
    return E + A * N**alpha * D**-alpha


@law
def absurd(N, *, E=lognormal(400.0, 0.5), A=amplitude(), alpha=exponent()):
    "A floor of hundreds of nats."
    return E + A * N**-alpha


@law
def negative(N, *, E=normal(2.0, 4.0), A=amplitude(), alpha=exponent()):
    "A floor of either sign."
    return E + A * N**-alpha


@law
def idle(N, *, E=floor(), A=amplitude(), alpha=exponent(), kappa=exponent()):
    "A coefficient that nothing uses."
    return E + A * N**-alpha


@law
def undescribed(N, batch, *, E=floor(), A=amplitude(), alpha=exponent(), kappa=normal(0, 0.1)):
    "Takes an input that nobody knows."
    return E + A * N**-alpha + kappa * bs.log(batch) ** 2


@law
def at_zero(N, S, *, E=floor(), A=amplitude(), alpha=exponent(), kappa=lognormal(0.5, 0.5)):
    "Takes the logarithm of a sparsity that may be zero."
    return E + A * N**-alpha * (1 + bs.exp(kappa * bs.log(S)))


@law
def no_raw(N, *, E=floor(), A=amplitude(), alpha=exponent()):
    "A term that is no power of its count."
    return E + A * bs.exp(-alpha * N)


def outcome(tried, **options):
    checks = bs.check_law(tried, fit=False, **options)
    assert list(checks.columns) == ["name", "passed", "detail"]
    assert checks.passed.dtype == bool
    return checks.set_index("name")


@pytest.mark.parametrize("tried", [dense, sparse, granularity, repetition, with_depth])
def test_good_laws_pass(tried):
    checks = outcome(tried)
    assert checks.passed.all(), checks.to_string()
    assert list(checks.index) == [
        "inputs",
        "formula",
        "derivatives",
        "positive",
        "monotone",
        "prior",
        "coordinates",
        "raw units",
        "file",
    ]


@pytest.mark.parametrize(
    ("tried", "check", "says"),
    [
        (plain_python, "formula", "fails on ndarray"),
        (branching, "formula", "fails on ndarray.*write its formula with operators"),
        (no_symbols, "formula", "fails on TensorVariable"),
        (summed, "formula", "numbers give other losses than arrays|gives the shape"),
        (rising, "monotone", "the loss rises with N from .* at D="),
        (absurd, "prior", r"median \d+ nats.* 0% lie within 0.1 to 20: the priors are absurd"),
        (negative, "positive", "not finite and positive, such as -"),
        (idle, "derivatives", "kappa made no difference to any of"),
        (undescribed, "inputs", r"batch not in the vocabulary.*Variable\('batch'"),
        (at_zero, "derivatives", "by kappa is not finite at .*S=0"),
        (no_raw, "raw units", "no sum of plain powers"),
    ],
)
def test_what_is_wrong_is_found_and_said(tried, check, says):
    checks = outcome(tried)
    assert not checks.passed[check]
    assert checks.filter(like=check, axis=0).detail.str.contains(says, regex=True).all()


def test_what_comes_after_a_broken_formula_is_not_tried():
    checks = outcome(branching)
    rest = checks.drop(index=["inputs", "formula"])
    assert not rest.passed.any()
    assert (rest.detail == "not tried: the formula comes first").all()


def test_only_the_fault_fails():
    """A wrong sign is reported once, not by every check."""
    checks = outcome(rising)
    assert checks.index[~checks.passed].tolist() == ["monotone"]


def test_the_coordinates_are_described():
    said = outcome(dense).detail["coordinates"]
    assert said == "the terms of E, A, B add up; alpha moves A; beta moves B"


def test_runs_replace_the_design():
    runs = bs.load_runs("frantar2023_t5")
    said = outcome(sparse, runs=runs)
    assert "losses on the runs have median" in said.detail["prior"]
    dense_only = outcome(sparse, runs=runs.query("S == 0"))
    assert not dense_only.passed["derivatives"]
    assert "gamma and c made no difference to any of 12" in dense_only.detail["derivatives"]


def test_what_is_no_law_and_runs_that_do_not_fit_are_refused():
    with pytest.raises(bs.InputError, match="takes a law"):
        bs.check_law(lambda N, D: N + D)
    with pytest.raises(bs.InputError, match="no column 'N_active'"):
        bs.check_law(sparse, bs.load_runs("olmo_ladder"))


def test_a_fit_recovers_the_coefficients():
    checks = bs.check_law(with_depth, seed=1).set_index("name")
    assert checks.passed.all(), checks.to_string()
    assert checks.detail["recovery"].startswith("4 of 4 coefficients lie in")
    assert checks.detail["sampling"].endswith("0 divergences")


def test_a_broken_law_is_not_fitted():
    checks = bs.check_law(no_symbols).set_index("name")
    assert not checks.passed["recovery"]
    assert checks.detail["recovery"].startswith("not tried")


@pytest.fixture
def law_file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        textwrap.dedent(
            """
            from bayescale import amplitude, exponent, floor, law

            @law
            def good(N, D, *, E=floor(), A=amplitude(), alpha=exponent(), beta=exponent()):
                "One term for the model and the data."
                return E + A * N**-alpha * D**-beta

            @law
            def bad(N, D, *, E=floor(), A=amplitude(), alpha=exponent()):
                "A wrong sign."
                return E + A * N**alpha * D**-alpha
            """
        )
    )
    return path


def test_the_command_says_what_it_found(law_file):
    from bayescale.cli import app

    run = CliRunner().invoke
    good = run(app, ["check-law", f"{law_file}:good", "--no-fit"])
    assert good.exit_code == 0
    assert "FAILED" not in good.output
    bad = run(app, ["check-law", f"{law_file}:bad", "--no-fit", "--json"])
    assert bad.exit_code == 1
    document = json.loads(bad.stdout)
    assert document["law"] == "bad"
    assert document["passed"] is False
    failed = [check["name"] for check in document["checks"] if not check["passed"]]
    assert failed == ["monotone"]


def test_the_command_tries_a_law_on_a_table(law_file, tmp_path):
    from bayescale.cli import app

    table = tmp_path / "runs.csv"
    bs.load_runs("olmo_ladder").to_csv(table, index=False)
    run = CliRunner().invoke
    options = ["--runs", str(table), "--where", "N < 1e9", "--no-fit"]
    tried = run(app, ["check-law", f"{law_file}:good", *options])
    assert tried.exit_code == 0
    assert "losses on the runs" in tried.output
    alone = run(app, ["check-law", f"{law_file}:good", "--where", "N < 1e9"])
    assert alone.exit_code == 2
