"""What a table cannot tell is said when it is fitted, with the run that would cure it."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bayescale as bs
from bayescale.common.quantities import parse_number
from bayescale.fitting.design import design_gaps
from bayescale.models import dense, frantar, granularity, laws, repetition, sparse
from bayescale.posterior.problem import problem
from properties import examples

SIZES = np.geomspace(1e8, 3e9, 8)
SHUFFLED = SIZES[[3, 1, 4, 5, 2, 6, 0, 7]]


def gaps(law, priors=None, **columns):
    table = pd.DataFrame(columns, index=range(8))
    return design_gaps(problem(law, table.assign(loss=np.linspace(3.2, 2.6, 8)), priors=priors))


def cure(gap):
    """The run that a message names."""
    named = re.findall(r"(\w+) = ([\d.e+]+[kMBT]?)", gap.split("a run such as")[1])
    return {name: parse_number(value) for name, value in named}


def test_one_ratio_of_tokens_to_parameters_is_flagged_with_its_cure():
    (gap,) = gaps(dense, N=SIZES, D=20 * SIZES)
    assert "share one D/N, about 20" in gap
    assert "A, alpha, B and beta" in gap
    run = cure(gap)
    assert run["D"] / run["N"] == pytest.approx(320, rel=0.05)
    # It is affordable: within the runs' sizes, and cheaper than the largest.
    assert SIZES.min() < run["N"] < SIZES.max()
    assert 6 * run["N"] * run["D"] < 6 * 20 * SIZES.max() ** 2


@examples(30)
@given(ratio=st.floats(1, 500), wobble=st.floats(0, 0.1), seed=st.integers(0, 9))
def test_the_cure_cures(ratio, wobble, seed):
    jitter = np.exp(wobble * np.random.default_rng(seed).uniform(-1, 1, 8))
    table = {"N": SIZES, "D": ratio * SIZES * jitter}
    (gap,) = gaps(dense, **table)
    more = pd.concat([pd.DataFrame(table), pd.DataFrame([cure(gap)])], ignore_index=True)
    assert not design_gaps(problem(dense, more.assign(loss=np.linspace(3.2, 2.6, 9))))


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"D": 1e20 / SIZES}, "one IsoFLOP curve"),
        ({"D": 1e4 * SIZES**0.7}, r"D follows from N, as N\^0.7"),
        ({"D": 1e10}, r"all runs have one D, 10B, .*by B and beta"),
        ({"D": SHUFFLED * 20, "N": 1e9}, "all runs have one N, 1B, .*by A and alpha"),
    ],
)
def test_other_designs_that_cannot_tell_are_flagged(columns, words):
    (gap,) = gaps(dense, **({"N": SIZES} | columns))
    assert re.search(words, gap)
    assert set(cure(gap)) == {"N", "D"}


def test_inputs_that_are_not_counts_must_vary_as_well():
    (gap,) = gaps(sparse, N_active=SIZES, D=SHUFFLED * 20, S=0.5)
    assert "one S, 0.5" in gap
    assert cure(gap)["S"] != 0.5
    (gap,) = gaps(frantar, N_active=SIZES, D=SHUFFLED * 20, S=0.0)
    assert 0 < cure(gap)["S"] < 1
    (gap,) = gaps(granularity, N=SIZES, D=SHUFFLED * 20, G=1.0)
    assert cure(gap)["G"] == 4
    assert not gaps(granularity, N=SIZES, D=SHUFFLED * 20, G=[1.0, 2.0] * 4)


def test_counts_of_one_kind_are_told_apart_by_repeats():
    found = gaps(repetition, N=SIZES, D=SHUFFLED * 20, D_unique=SHUFFLED * 20)
    (gap,) = found
    assert "D_unique/D" in gap or "D/D_unique" in gap
    run = cure(gap)
    assert run["D_unique"] != run["D"]


def test_what_is_fixed_need_not_be_told():
    assert not gaps(dense, {"B": 0.5, "beta": 0.3}, N=SIZES, D=1e10)
    assert not gaps(dense, {"B": 0.5, "beta": 0.3}, N=SIZES, D=20 * SIZES)
    assert gaps(dense, {"B": 0.5}, N=SIZES, D=1e10)


def test_ordinary_designs_are_not_flagged():
    assert not gaps(dense, N=SIZES, D=SHUFFLED * 20)
    assert not gaps(dense, N=SIZES, D=SIZES * np.geomspace(10, 40, 8)[[3, 1, 4, 5, 2, 6, 0, 7]])
    for name in ("olmo_ladder", "hoffmann2022", "gadre2024", "gemstones2025"):
        assert not design_gaps(problem(dense, bs.load_runs(name)))


def test_published_optima_are_flagged_since_they_lie_on_one_line():
    optima = bs.load_runs("krajewski2024_optimal")
    assert any("D follows from N" in gap for gap in design_gaps(problem(dense, optima)))


@pytest.mark.parametrize("law", laws().values(), ids=list(laws()))
def test_every_law_can_be_checked(law, mixture_runs):
    one = {"D_unique": 1e9, "S_experts": 0.5}
    others = {name: one[name] for name in law.inputs if name not in mixture_runs}
    task = problem(law, mixture_runs.assign(**others))
    gaps = design_gaps(task)
    assert len(gaps) >= len(others)
    assert all("a run such as" in gap for gap in gaps)


@pytest.mark.filterwarnings("ignore::bayescale.FitWarning")
def test_a_fit_warns_at_once():
    design = pd.DataFrame({"N": SIZES, "D": 20 * SIZES})
    runs = bs.simulate(dense, design, "besiroglu2024", noise_scale=0.002, seed=1)
    with pytest.warns(bs.DesignWarning, match=r"share one D/N, about 20.*a run such as N = 140M"):
        bs.fit(dense, runs, method="laplace", draws=100, chains=1, seed=1)
