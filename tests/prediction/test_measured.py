"""What is said of intervals is what was measured."""

import math
import warnings
from pathlib import Path

import pandas as pd
import pytest

import bayescale as bs
from bayescale.cli.results import head_of
from bayescale.models import sparse
from bayescale.prediction.measured import MEASURED, OTHERS, held_at, said_of_intervals

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "extrapolation_distance.csv"
PARTS = RESULTS.with_name("extrapolation_sparse_parts.csv")


@pytest.mark.parametrize("kind", MEASURED)
def test_the_figures_are_those_of_the_study(kind):
    table = pd.read_csv(RESULTS).query("variant == @kind").set_index("times_largest")
    for one in MEASURED[kind]:
        row = table.loc[f"({one.low}, {one.high}]"]
        assert one.share == pytest.approx(row.inside_90, abs=5e-4)
        assert one.series == row.series


@pytest.mark.parametrize("kind", OTHERS)
def test_the_figures_of_other_laws_are_those_of_their_study(kind):
    shares = pd.read_csv(PARTS).query("variant == @kind").inside_90
    assert OTHERS[kind] == pytest.approx((shares.min(), shares.max()), abs=5e-4)


@pytest.mark.parametrize(
    ("options", "held"),
    [
        ({"method": "laplace"}, "such fits held 27 to 87 %"),
        ({"draws": 100, "tune": 200, **bs.CALIBRATED}, "calibrated fits held 48 to 97 %"),
    ],
)
def test_a_law_of_more_than_size_and_tokens_is_not_told_of_dense_series(options, held):
    """Upcycled models of larger parents were half outside: dense series say nothing of them."""
    runs = bs.load_runs("frantar2023_t5").query("not target")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.FitWarning)
        fit = bs.fit(sparse, runs, seed=1, progress=False, **options)
    line = said_of_intervals(fit, 5.0)
    assert "dense" not in line
    assert f"{held} of losses on four measured tables" in line
    assert head_of(fit, 0.9)["held"]["on"] in line


def test_every_distance_has_a_figure():
    for times in (0.5, 1.0, 3.0, 3.1, 50.0, 1e9):
        one = held_at("textbook", times)
        assert one.low < times <= one.high or math.isinf(one.high)


def test_a_textbook_fit_is_told_of_the_other_beyond_its_runs(olmo_fit):
    assert said_of_intervals(olmo_fit, 0.9) == ""
    line = said_of_intervals(olmo_fit, 5.0)
    assert "held 45 %" in line
    assert "bs.CALIBRATED" in line
    assert "nobody has measured" in said_of_intervals(olmo_fit, 1e6)


def test_a_calibrated_fit_says_what_was_measured_of_it(calibrated_fit):
    line = said_of_intervals(calibrated_fit, 20.0)
    assert "93 %" in line
    assert "bs.CALIBRATED" not in line


def test_a_plan_says_it(olmo_fit, calibrated_fit):
    for fit in (olmo_fit, calibrated_fit):
        plan = bs.decide(fit, 1e23, trust=True)
        times = float(plan.extrapolation.max())
        assert plan.attrs["intervals"] == said_of_intervals(fit, times)
        assert bs.allocate(fit, 1e23).attrs["intervals"] == plan.attrs["intervals"]
