"""The discrepancy: what it leaves alone, how it bends a law, how it widens outside the data."""

import numpy as np
import pytest

import bayescale as bs
from bayescale.models import clark, coupled, dense, frantar, kaplan
from bayescale.posterior.density import problem
from bayescale.posterior.discrepancy import INFORMED, REACH, SPACING, Knot, bent, departure, walked


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


@pytest.mark.parametrize(
    ("law", "name", "ratio"),
    [(frantar, "frantar2023_t5", lambda runs: runs.N / runs.N_active),
     (clark, "clark2022", lambda runs: runs.experts)],
)  # fmt: skip
def test_a_walk_along_sparsity_or_experts_starts_at_the_centre_of_their_ratio(law, name, ratio):
    task, walk = walk_of(law, bs.load_runs(name))
    *_, last = law.inputs
    assert list(walk.priors) == [f"discrepancy_{n}" for n in (*law.inputs, "product")]
    x = np.log10(ratio(bs.load_runs(name)).to_numpy(float))
    np.testing.assert_allclose(np.log10(walked(law, task.scaled_inputs)[last]), x, atol=1e-6)
    for side, word in ((1, "above"), (-1, "below")):
        first = walk.knots[f"discrepancy_{last}_{word}_0"]
        assert side * first.at == pytest.approx(x.mean(), abs=1e-6)
        # What is left of a slope that changes at the centre is no straight line.
        column = walk.columns[f"discrepancy_{last}_{word}_0"]
        assert np.abs(column).max() > 0.01
        assert (task.weights * column * x).sum() == pytest.approx(0.0, abs=1e-6)


def test_the_corner_of_a_crossed_design_is_uncertain_although_each_input_was_seen():
    runs = bs.load_runs("frantar2023_t5").query("not target")
    corner = (runs.N_active == runs.N_active.max()) & runs.D.eq(runs.D.max())
    task, walk = walk_of(frantar, runs[~corner])
    seen = walked(frantar, task.scaled_inputs)
    new = {n: runs[corner][n].to_numpy(float) / task.reference[n] for n in frantar.inputs}
    new = walked(frantar, new)

    def columns(along, knots):
        # The law's own level and slopes are free.
        straight = [np.ones(len(along["D"])), *(np.log10(along[n]) for n in frantar.inputs)]
        return np.column_stack(
            [*(knot.column(along) for knot in knots), *np.multiply(100, straight)]
        )

    def widens(knots, noise=0.1):
        """Spread at the corner over the largest at a seen run, given those with noise."""
        at = columns(seen, knots)
        left = np.linalg.inv(np.eye(at.shape[1]) + at.T @ at / noise**2)
        there, here = (((x @ left) * x).sum(axis=1).max() for x in (columns(new, knots), at))
        return np.sqrt(there / here)

    alone = [knot for knot in walk.all_knots if knot.input != "product"]
    assert widens(alone) < 1.3
    assert widens(walk.all_knots) > 2


def test_every_knot_has_a_label_of_its_own():
    task, walk = walk_of(frantar, bs.load_runs("frantar2023_t5"))
    labels = [knot.label(task.law, task.reference) for knot in walk.all_knots]
    assert len(set(labels)) == len(labels)
    assert f"D above {task.reference['D']:.3g}" in labels
    assert any(label.startswith("1/(1-S) above ") for label in labels)


def test_a_law_of_counts_alone_walks_along_each_alone(olmo):
    scaled = walk_of(coupled, olmo)[0].scaled_inputs
    assert walked(coupled, scaled) == scaled


def test_an_input_that_may_be_zero_or_negative_has_no_walk(olmo):
    @bs.law
    def shifted(
        N, D, shift, *, E=bs.floor(), A=bs.amplitude(), alpha=bs.exponent(), B=bs.normal(0, 1)
    ):
        return E + A * N**-alpha + B * shift + 0 * D

    _, walk = walk_of(shifted, olmo.assign(shift=np.linspace(-1, 1, len(olmo))))
    assert list(walk.priors) == ["discrepancy_N", "discrepancy_D"]


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


@pytest.mark.parametrize(("law", "name"), [(dense, "olmo_ladder"), (frantar, "frantar2023_t5")])
def test_a_departure_is_the_sum_of_its_knots(law, name):
    task, walk = walk_of(law, bs.load_runs(name))
    rng = np.random.default_rng(0)
    bends = {knot: rng.normal() for knot in walk.all_knots}
    # The informed knots' columns are the sampler's; no run reaches any other.
    by_knot = sum(bends[knot] * walk.columns[n] for n, knot in walk.knots.items())
    np.testing.assert_allclose(departure(law, task.scaled_inputs, bends), by_knot, rtol=1e-9)


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
