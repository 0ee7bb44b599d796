"""What is held out: ties stay together, folds part the runs, and senseless refits are refused."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bayescale as bs
from bayescale.checking.folds import check_refits, distinct, folds_of, later_runs, order_of
from bayescale.models import dense, sparse

values = st.lists(st.integers(1, 8).map(float), min_size=2, max_size=40).map(np.array)


@given(values, st.floats(0.05, 0.95))
def test_later_runs_are_all_above_the_rest(at, share):
    mask = later_runs(at, share)
    assert mask.sum() >= max(1, round(share * len(at)))
    if not mask.all():
        assert at[mask].min() > at[~mask].max()


def test_compute_that_differs_in_its_last_digits_ties():
    flops = np.array([1e20, 6e20, 6e20 * (1 + 1e-15), 6e20 * (1 - 1e-15)])
    assert later_runs(flops, 0.25).tolist() == [False, True, True, True]


@given(st.integers(2, 40), st.integers(2, 40), st.integers(0, 5))
def test_random_folds_part_the_runs_evenly(count, folds, seed):
    runs = pd.DataFrame({"N": np.arange(count) + 1.0})
    if folds > count:
        with pytest.raises(bs.InputError, match=rf"from 2 to {count}"):
            folds_of(runs, folds, seed)
        return
    masks = list(folds_of(runs, folds, seed).values())
    assert (np.sum(masks, axis=0) == 1).all()
    sizes = [mask.sum() for mask in masks]
    assert max(sizes) - min(sizes) <= 1


def test_each_value_of_a_column_is_a_fold(mixture_runs):
    runs = mixture_runs.assign(corpus=np.repeat(["web", "books", "web"], 9))
    masks = folds_of(runs, "corpus")
    assert list(masks) == ["books", "web"]
    assert masks["books"].tolist() == (runs.corpus == "books").tolist()
    assert len(folds_of(runs, "N_active")) == 3


def test_many_numbers_make_folds_of_neighbours():
    runs = bs.load_runs("hoffmann2022")
    masks = folds_of(runs, "D")
    assert len(masks) == 10
    assert (np.sum(list(masks.values()), axis=0) == 1).all()
    ranges = sorted((runs.D[mask].min(), runs.D[mask].max()) for mask in masks.values())
    assert all(one[1] < other[0] for one, other in pairwise(ranges))


def test_a_column_that_makes_no_folds_is_refused(mixture_runs):
    with pytest.raises(bs.InputError, match=r"'kind' has one value only"):
        folds_of(mixture_runs.assign(kind="moe"), "kind")
    kinds = pd.Series(["a"] * 26 + ["b"], dtype=object)
    kinds[3] = None
    with pytest.raises(bs.InputError, match=r"column 'kind', row 3: no value"):
        folds_of(mixture_runs.assign(kind=kinds), "kind")
    for wrong in (1, 2.5, True, 28):
        with pytest.raises(bs.InputError, match=r"folds is a whole number from 2 to 27"):
            folds_of(mixture_runs, wrong)


def test_runs_are_ordered_by_compute_or_a_column(olmo, mixture_runs):
    assert order_of(dense, olmo) == pytest.approx(olmo.flops.to_numpy())
    assert order_of(dense, olmo.drop(columns="flops")) == pytest.approx(6 * olmo.N * olmo.D)
    active = order_of(sparse, mixture_runs)
    assert active == pytest.approx((6 * mixture_runs.N_active * mixture_runs.D).to_numpy())
    assert (order_of(dense, olmo, "D") == olmo.D).all()
    with pytest.raises(bs.InputError, match=r"no column 'depth'"):
        order_of(dense, olmo, "depth")


def test_compute_that_the_table_does_not_determine_is_asked_for(olmo):
    @bs.law(cost=lambda N, D, layers: N * D * layers)
    def deep(N, D, *, E=bs.floor(), A=bs.amplitude(), alpha=bs.exponent()):
        return E + A * (N * D) ** -alpha

    with pytest.raises(bs.InputError, match=r"cost model of law 'deep' .*add a column 'flops'"):
        order_of(deep, olmo.drop(columns="flops"))
    layers = olmo.assign(layers=2.0).drop(columns="flops")
    assert order_of(deep, layers) == pytest.approx(2 * olmo.N * olmo.D)


def test_equal_cuts_are_one():
    mask, other = np.array([True, False]), np.array([False, True])
    assert list(distinct({0.2: mask, 0.3: mask.copy(), 0.5: other})) == [0.2, 0.5]


def test_refits_that_would_not_mean_the_same_are_refused(olmo, mixture_runs):
    most = {0.9: np.arange(30) >= 4}
    with pytest.raises(bs.InputError, match=r"cut 0.9 leaves 4 of 30 runs to fit the 5 .*; less"):
        check_refits(dense, olmo, most, {}, "cut", "less")
    check_refits(dense, olmo, most, {"priors": {"E": 1.7}}, "cut", "less")
    with pytest.raises(bs.InputError, match=r"priors\['A'\]=0.5 fixes an amplitude in reference"):
        check_refits(dense, olmo, most, {"priors": {"A": 0.5}}, "cut", "less")
    check_refits(dense, olmo, most, {"priors": {"A": 0.0}}, "cut", "less")
    groups = mixture_runs.assign(corpus=np.repeat(["web", "books", "web"], 9))
    with pytest.raises(bs.InputError, match=r"fold books leaves out every run of corpus 'books'"):
        check_refits(dense, groups, folds_of(groups, "corpus"), {"by": "corpus"}, "fold", "less")
