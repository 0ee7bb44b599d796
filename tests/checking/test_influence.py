"""Which runs an answer hangs on."""

import numpy as np
import pandas as pd
import pytest

import bayescale as bs
from bayescale.models import dense

TRUTH = dense.published["besiroglu2024"].values


def ladder(bent=0.0):
    """Simulated rungs of a ladder, of which the smallest lies too high."""
    sizes = np.repeat([5e6, 2e7, 6e7, 2e8, 6e8], 2)
    tokens = sizes * np.tile([20.0, 80.0], 5)
    rng = np.random.default_rng(5)
    loss = dense(sizes, tokens, **TRUTH) * np.exp(0.003 * rng.standard_normal(10))
    return pd.DataFrame(
        {"N": sizes, "D": tokens, "loss": loss * np.where(sizes < 1e7, 1 + bent, 1)}
    )


@pytest.fixture(scope="module")
def bent():
    return bs.fit(dense, ladder(0.06), method="laplace", seed=1)


def test_a_rung_off_the_trend_is_named_with_the_answer_without_it(bent):
    table = bs.influence(bent, N=6e9, D=1.2e11, progress=False)
    assert table.index[0] == "the 2 runs of N = 5M"
    first = table.iloc[0]
    assert (first.kind, first.runs) == ("size", 2)
    truth = dense(6e9, 1.2e11, **TRUTH)
    assert abs(first.value - truth) < abs(table.attrs["value"] - truth)
    # By hand: the law fitted to the other runs.
    others = ladder(0.06).query("N > 1e7")
    again = bs.fit(dense, others, method="laplace", seed=1)
    loss = bs.predict(again, N=6e9, D=1.2e11, seed=0)
    assert first.value == pytest.approx(float(loss.median()), rel=1e-12)
    assert first["shift"] == pytest.approx(
        (first.value - table.attrs["value"]) / (table.attrs["upper"] - table.attrs["lower"]) * 2
    )
    said = table.attrs["reading"]
    assert said.startswith("Without the 2 runs of N = 5M, the loss at N = 6B, D = 120B is ")
    assert f"{first.value:.3f}" in said
    assert f"instead of {table.attrs['value']:.3f}" in said


def test_single_runs_are_called_by_their_label_and_inputs(bent):
    table = bs.influence(bent, N=6e9, D=1.2e11, progress=False)
    single = table[table.kind == "run"]
    assert 0 < len(single) <= 6
    assert "row 0 (N = 5M, D = 100M)" in single.index


def test_a_plan_is_asked_about_too(bent):
    table = bs.influence(bent, 1e21, progress=False)
    assert table.attrs["question"] == "N of the plan for 1e+21 FLOP"
    again = bs.fit(dense, ladder(0.06).query("N > 1e7"), method="laplace", seed=1)
    plan = bs.decide(again, 1e21, trust=True)
    assert table.value["the 2 runs of N = 5M"] == pytest.approx(float(plan.N.squeeze()), rel=1e-9)


def test_kinds_of_runs_are_left_out_by_their_column():
    runs = ladder().assign(recipe=["old", "new"] * 5)
    fit = bs.fit(dense, runs, method="laplace", seed=1)
    table = bs.influence(fit, N=6e9, D=1.2e11, progress=False)
    assert {"the 5 runs of recipe old", "the 5 runs of recipe new"} <= set(table.index)
    assert table.runs["the 5 runs of recipe old"] == 5


def test_what_cannot_be_asked_is_refused(bent):
    with pytest.raises(bs.InputError, match="a budget or of one run"):
        bs.influence(bent)
    with pytest.raises(bs.InputError, match="holds no runs"):
        bs.influence(bs.published(dense, "besiroglu2024"), N=1e9, D=1e10)
