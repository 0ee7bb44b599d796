"""The discrepancy: what it leaves alone, how it bends a law, how it widens outside the data."""

import numpy as np
import pytest

import bayescale as bs
from bayescale.discrepancy import INFORMED, REACH, SPACING, Knot, bent, departure
from bayescale.models import coupled, dense, kaplan, sparse
from bayescale.posterior import problem


def walk_of(law, runs):
    task = problem(law, runs, discrepancy=True, weights=1.5)
    return task, task.walk


# --- one knot -----------------------------------------------------------------------------------


def test_the_slope_changes_by_one_about_a_knot_and_nowhere_else():
    knot = Knot("N", 1, 1.5)
    x = np.linspace(-1, 4, 2001)
    slope = np.gradient(knot.column({"N": 10.0**x}), x)
    np.testing.assert_allclose(slope[x < 1.5 - SPACING / 2 - 0.01], 0.0, atol=1e-12)
    np.testing.assert_allclose(slope[x > 1.5 + SPACING / 2 + 0.01], 1.0, atol=1e-9)
    assert slope[np.argmin(abs(x - 1.5))] == pytest.approx(0.5, abs=2e-3)
    assert np.abs(np.diff(slope)).max() < 0.01  # no kink at which optima would stick


def test_a_knot_below_the_centre_mirrors_one_above():
    x = np.linspace(-3, 3, 41)
    above, below = (Knot("N", side, 0.75).column({"N": 10.0**x}) for side in (1, -1))
    np.testing.assert_allclose(above, below[::-1], atol=1e-12)


# --- the walk of a law on runs --------------------------------------------------------------------


@pytest.mark.parametrize("law", [dense, coupled])
def test_what_a_power_law_explains_is_no_discrepancy(law, olmo):
    task, walk = walk_of(law, olmo)
    x = {name: np.log10(values) for name, values in task.scaled_inputs.items()}
    for column in walk.columns.values():
        for explained in (np.ones(len(olmo)), x["N"], x["D"]):
            assert (task.weights * column * explained).sum() == pytest.approx(0.0, abs=1e-9)
    # But it is not nothing.
    assert max(np.abs(column).max() for column in walk.columns.values()) > 0.01


def test_counts_walk_and_other_inputs_do_not():
    runs = bs.load_runs("frantar2023_t5")
    _, walk = walk_of(sparse, runs)
    assert list(walk.priors) == ["discrepancy_N_active", "discrepancy_D"]
    assert len(walk.names) == 2 * 2 * INFORMED


def test_knots_that_no_run_informs_lie_beyond_the_runs(olmo):
    wide = olmo.assign(N=np.geomspace(1e6, 1e12, len(olmo)))
    for runs in (olmo, wide):
        task, walk = walk_of(dense, runs)
        assert {(k.input, k.side) for k in walk.beyond} == {
            (n, side) for n in "ND" for side in (1, -1)
        }
        for knot in walk.beyond:
            assert not knot.column(task.scaled_inputs).any()
            assert SPACING * INFORMED <= knot.at < REACH


def test_a_departure_is_the_sum_of_its_knots(olmo):
    task, walk = walk_of(dense, olmo)
    rng = np.random.default_rng(0)
    bends = {knot: rng.normal() for knot in walk.all_knots}
    by_knot = sum(bend * knot.column(task.scaled_inputs) for knot, bend in bends.items())
    np.testing.assert_allclose(departure(task.scaled_inputs, bends), by_knot, rtol=1e-9)


# --- a bent law -----------------------------------------------------------------------------------

C = {"E": 1.7, "A": 0.4, "alpha": 0.3, "B": 0.5, "beta": 0.3}


def test_a_law_is_bent_above_its_floor():
    inputs = {"N": 2.0, "D": 3.0}
    straight = dense(**inputs, **C)
    assert bent(dense, inputs, C, 0.0) == straight
    assert bent(dense, inputs, C, np.log(2.0)) == pytest.approx(1.7 + 2 * (straight - 1.7))
    assert bent(dense, inputs, C, -50.0) == pytest.approx(1.7)


def test_a_law_without_a_floor_is_bent_whole():
    c = {name: prior.median() for name, prior in kaplan.priors.items()}
    straight = kaplan(N=2.0, D=3.0, **c)
    assert bent(kaplan, {"N": 2.0, "D": 3.0}, c, 0.1) == pytest.approx(straight * np.exp(0.1))
