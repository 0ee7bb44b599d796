"""Plots of residuals: what is drawn is what the checks say."""

from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

import bayescale as bs
from bayescale.checking.residual_checks import examine
from bayescale.models import dense
from bayescale.plotting import plot_pit, plot_residuals

mpl.use("Agg")

QUICK = {"method": "laplace", "seed": 1}
CROOKED = pytest.mark.filterwarnings("ignore::bayescale.FitWarning")
NAMES = ["flops", "tokens_per_parameter", "N", "D"]


@pytest.fixture(autouse=True)
def _no_setting_changes_and_no_figure_stays_open():
    before = dict(mpl.rcParams)
    yield
    plt.close("all")
    assert dict(mpl.rcParams) == before


@pytest.fixture(scope="module")
def fit(olmo):
    return bs.fit(dense, olmo, noise="normal", **QUICK)


@pytest.fixture(scope="module")
def found(fit):
    return examine(fit, against=None, prob=0.9, seed=0)


def segments(panel):
    """Height and look of every bar that marks a mean."""
    return [
        (one.get_segments()[0][0, 1], one.get_linewidth()[0], one.get_colors()[0].tolist())
        for one in panel.collections
        if isinstance(one, mpl.collections.LineCollection)
    ]


def points(panel):
    (one,) = (x for x in panel.collections if isinstance(x, mpl.collections.PathCollection))
    return one.get_offsets()


def test_the_pit_curve_is_that_of_the_check(fit, found):
    panel = plot_pit(fit)
    pit = found.pit
    x, y = next(line for line in panel.lines if line.get_label() == "fitted runs").get_data()
    np.testing.assert_allclose(x[1:-1], pit.at)
    np.testing.assert_allclose(y[1:-1], 100 * (pit.ecdf - pit.at))
    assert y[0] == y[-1] == 0
    corners = panel.collections[0].get_paths()[0].vertices
    assert corners[:, 1].max() == pytest.approx(100 * (pit.upper - pit.at).max())
    assert corners[:, 1].min() == pytest.approx(100 * (pit.lower - pit.at).min())
    assert [text.get_text() for text in panel.get_legend().get_texts()] == [
        "90 % band",
        "fitted runs",
    ]
    assert "percentage points" in panel.get_ylabel()


def test_points_and_means_are_those_of_the_check(fit, found):
    panels = plot_residuals(fit)
    assert len(panels) == len(found.trends) == 4
    residual = 100 * np.expm1(found.table.residual)
    for panel, trend in zip(panels, found.trends, strict=True):
        np.testing.assert_allclose(points(panel)[:, 0], trend.values)
        np.testing.assert_allclose(points(panel)[:, 1], residual)
        heights, widths, _ = zip(*segments(panel), strict=True)
        np.testing.assert_allclose(heights, 100 * np.expm1(trend.mean * trend.unit))
        outside = np.abs(trend.mean) > trend.edge
        assert (np.array(widths) > 2).tolist() == outside.tolist()
        assert panel.get_xscale() == "log"


def test_bars_are_as_wide_as_their_bins(fit, found):
    for panel, trend in zip(plot_residuals(fit), found.trends, strict=True):
        bars = [
            one.get_segments()[0][:, 0]
            for one in panel.collections
            if isinstance(one, mpl.collections.LineCollection)
        ]
        for i, (low, high) in enumerate(bars):
            inside = trend.values[trend.member == i]
            assert low < inside.min() * 1.0001
            assert high > inside.max() * 0.9999
        assert all(one[1] <= other[0] for one, other in pairwise(bars))


def test_labels_have_units_and_are_not_repeated(fit):
    panels = plot_residuals(fit)
    assert [panel.get_xlabel() for panel in panels] == [
        "training compute (FLOP)",
        "tokens per parameter",
        "$N$ (parameters)",
        "$D$ (tokens)",
    ]
    label = "loss over prediction − 1 (%)"
    assert [panel.get_ylabel() for panel in panels] == [label, "", label, ""]
    legends = [panel.get_legend() for panel in panels if panel.get_legend()]
    assert len(legends) == 1
    texts = [text.get_text() for text in legends[0].get_texts()]
    assert texts == ["run", "90 % band of means", "mean of runs", "mean of runs, outside"]


@CROOKED
def test_what_is_outside_is_another_colour_and_thicker(olmo):
    runs = olmo.copy()
    runs["loss"] *= np.where(runs.D / runs.N > 150, 1.05, 1.0)
    panel = plot_residuals(bs.fit(dense, runs, **QUICK), against="tokens_per_parameter")
    looks = {(width, tuple(colour)) for _, width, colour in segments(panel)}
    assert len(looks) == 2
    # Apart in grey as well.
    grey = [np.dot(colour[:3], [0.3, 0.59, 0.11]) for _, colour in looks]
    assert abs(grey[0] - grey[1]) > 0.15


@CROOKED
def test_runs_far_off_are_arrows_at_the_edge(olmo):
    runs = olmo.copy()
    runs.iloc[[3, 9], olmo.columns.get_loc("loss")] *= 1.5
    fit = bs.fit(dense, runs, **QUICK)
    panel = plot_residuals(fit, against="N")
    (arrows,) = (line for line in panel.lines if line.get_marker() == "^")
    np.testing.assert_allclose(sorted(arrows.get_xdata()), sorted(runs.N.iloc[[3, 9]]))
    assert panel.get_ylim()[0] < arrows.get_ydata()[0] < panel.get_ylim()[1] < 40
    worst = 100 * np.expm1(bs.residuals(fit).residual.max())
    assert arrows.get_label() == f"beyond the axis, up to {worst:+.2g} %"


def test_given_axes_are_used(fit):
    figure, axes = plt.subplots(1, 2)
    assert plot_residuals(fit, against=["N", "D"], ax=axes).tolist() == axes.tolist()
    figure.canvas.draw()
    _, axis = plt.subplots()
    assert plot_pit(fit, ax=axis) is axis
    with pytest.raises(bs.InputError, match="4 panels"):
        plot_residuals(fit, ax=axes)


def test_simulated_runs_are_called_so(olmo):
    base = {"E": 1.8, "A": 480.0, "alpha": 0.35, "B": 2100.0, "beta": 0.37}
    fit = bs.fit(dense, bs.simulate(dense, olmo[["N", "D"]], base, seed=1), **QUICK)
    assert "simulated" in plot_pit(fit).get_title("left")
    assert "simulated" in plot_residuals(fit)[0].get_title("left")


@pytest.mark.parametrize("plot", [plot_pit, plot_residuals])
def test_what_cannot_be_drawn_is_refused(fit, plot):
    with pytest.raises(bs.InputError, match="published"):
        plot(bs.published(dense, "besiroglu2024"))
    with pytest.raises(bs.InputError, match="between 0 and 1"):
        plot(fit, prob=90)
    with pytest.raises(bs.InputError, match="no column of numbers"):
        plot_residuals(fit, against="colour")
