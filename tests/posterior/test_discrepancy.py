"""The discrepancy's geometry: its directions, what lies along them, how it bends a law."""

import numpy as np
import pytest
import xarray as xr

import bayescale as bs
from bayescale.models import clark, dense, frantar, kaplan
from bayescale.posterior.discrepancy import (
    REACH,
    RETURN,
    Direction,
    along,
    bent,
    departure,
    directions,
    walked,
    wandering,
)
from bayescale.posterior.problem import problem


def lines_of(law, runs):
    task = problem(law, runs, discrepancy=True)
    return task, task.field.directions


# --- along one line -----------------------------------------------------------------------------


def test_a_slope_is_integrated_from_the_reference():
    nodes = [-2.0, 0.0, 1.0, 3.0]
    slopes = np.array([0.0, 1.0, 1.0, -1.0])
    x = np.linspace(-4, 5, 4001)
    value = along(slopes, nodes, x)
    assert along(slopes, nodes, np.zeros(1))[0] == pytest.approx(0.0, abs=1e-12)
    inside = np.interp(x, nodes, slopes)  # which holds the end slopes outside, as here
    np.testing.assert_allclose(np.gradient(value, x), inside, atol=2e-3)


def test_points_of_each_draw_are_those_of_all_at_once():
    rng = np.random.default_rng(0)
    nodes, slopes = np.sort(rng.normal(size=9)), rng.normal(size=(2, 5, 9))
    x = rng.normal(size=(2, 5, 7)) * 3
    own = along(slopes, nodes, x, own=True)
    for i in np.ndindex(2, 5):
        np.testing.assert_allclose(own[i], along(slopes[i], nodes, x[i]), rtol=1e-12)


def test_slopes_have_unit_spread_everywhere_and_are_alike_nearby():
    nodes = directions({"N": np.linspace(-1.0, 1.0, 9)})[0].nodes
    covariance = wandering(nodes) @ wandering(nodes).T
    np.testing.assert_allclose(np.diag(covariance), 1.0, rtol=1e-9)
    assert (np.diff(covariance[0]) < 0).all()


# --- the directions of a law --------------------------------------------------------------------


def test_two_counts_have_four_directions(olmo):
    _, lines = lines_of(dense, olmo)
    assert [line.name for line in lines] == ["N", "D", "D_times_N", "D_over_N"]
    assert [line.kind for line in lines] == ["input", "input", "product", "quotient"]
    assert lines[3].place({"N": 1.0, "D": 3.0}) == 2.0


def test_three_inputs_go_in_pairs():
    _, lines = lines_of(frantar, bs.load_runs("frantar2023_t5"))
    assert len(lines) == 3 + 2 * 3
    assert len({line.name for line in lines}) == len(lines)


@pytest.mark.parametrize(
    ("law", "name", "ratio"),
    [(frantar, "frantar2023_t5", lambda runs: runs.N / runs.N_active),
     (clark, "clark2022", lambda runs: runs.experts)],
)  # fmt: skip
def test_sparsity_and_experts_are_run_along_as_ratios(law, name, ratio):
    task, _ = lines_of(law, bs.load_runs(name))
    *_, last = law.inputs
    found = walked(law, task.scaled_inputs)[last]
    np.testing.assert_allclose(found, ratio(bs.load_runs(name)), rtol=1e-5)


def test_an_input_that_may_be_zero_or_negative_has_no_direction(olmo):
    @bs.law
    def shifted(
        N, D, shift, *, E=bs.floor(), A=bs.amplitude(), alpha=bs.exponent(), B=bs.normal(0, 1)
    ):
        return E + A * N**-alpha + B * shift + 0 * D

    _, lines = lines_of(shifted, olmo.assign(shift=np.linspace(-1, 1, len(olmo))))
    assert [line.name for line in lines] == ["N", "D", "D_times_N", "D_over_N"]


def test_a_law_of_one_input_has_one_direction(olmo):
    @bs.law
    def envelope(flops, *, E=bs.floor(), A=bs.amplitude(), alpha=bs.exponent()):
        return E + A * flops**-alpha

    _, lines = lines_of(envelope, olmo)
    assert [line.name for line in lines] == ["flops"]


def test_a_slope_wanders_near_the_runs_and_not_far_from_them(olmo):
    _, lines = lines_of(dense, olmo)
    for line in lines:
        at, (low, high) = np.array(line.nodes), line.ends
        reach = REACH[line.kind]
        near = (at >= low - reach) & (at <= high + reach)
        assert line.freedom[near] == pytest.approx(1.0, abs=1e-12)
        assert line.freedom[[0, -1]] == pytest.approx(0.0, abs=1e-12)
        assert at[-1] == pytest.approx(high + reach + RETURN[line.kind])


def test_a_direction_is_read_back_from_json(olmo):
    _, lines = lines_of(dense, olmo)
    for line in lines:
        back = Direction.from_about(line.about)
        assert (back.powers, back.nodes) == (line.powers, line.nodes)


# --- the factor -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("law", "name"), [(dense, "olmo_ladder"), (frantar, "frantar2023_t5")])
def test_arrays_and_labelled_arrays_depart_alike(law, name):
    task, lines = lines_of(law, bs.load_runs(name))
    rng = np.random.default_rng(0)
    count = sum(len(line.nodes) for line in lines)
    slopes, level = rng.normal(size=(6, count)), rng.normal(size=(6, 1))
    scaled = task.scaled_inputs
    plain = departure(law, lines, scaled, slopes, level)
    draws = {"chain": 2, "draw": 3}
    labelled = departure(
        law,
        lines,
        {n: xr.DataArray(x, dims="run") for n, x in scaled.items()},
        xr.DataArray(slopes.reshape(2, 3, -1), dims=(*draws, "node")),
        xr.DataArray(level.reshape(2, 3), dims=tuple(draws)),
    )
    assert labelled.dims == ("chain", "draw", "run")
    np.testing.assert_allclose(labelled.values.reshape(6, -1), plain, rtol=1e-9, atol=1e-9)


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
