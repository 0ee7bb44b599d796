"""The plot of a comparison: the table's own numbers, best first, on the Axes given."""

import json

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba

import bayescale as bs
from bayescale.models import dense, frantar
from bayescale.plotting import plot_comparison

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _no_setting_changes_and_no_figure_stays_open():
    before = dict(mpl.rcParams)
    yield
    plt.close("all")
    assert dict(mpl.rcParams) == before


@pytest.fixture(scope="module")
def fits():
    runs = bs.load_runs("frantar2023_t5").query("not target")
    quick = {"method": "laplace", "seed": 1}
    return {
        "frantar": bs.fit(frantar, runs, **quick),
        "frantar, normal noise": bs.fit(frantar, runs, noise="normal", **quick),
        "dense": bs.fit(dense, runs, **quick),
    }


@pytest.fixture(scope="module")
def table(fits):
    return bs.compare(fits)


def points(panel):
    """The points of the laws, from the top; the first line is that of the best."""
    return panel.lines[1:]


def test_rows_are_the_table_from_the_best_down(table):
    panel = plot_comparison(table)
    assert [label.get_text() for label in panel.get_yticklabels()] == list(table.index)
    drawn = np.array([point.get_xydata()[0] for point in points(panel)])
    np.testing.assert_allclose(drawn[:, 0], table.elpd_diff)
    np.testing.assert_array_equal(drawn[:, 1], range(len(table)))
    bottom, top = panel.get_ylim()
    assert top < 0 < len(table) - 1 < bottom
    assert panel.lines[0].get_xdata() == [0, 0]


def test_bars_are_two_standard_errors_and_one(table):
    thin, thick = plot_comparison(table).collections
    assert thin.get_linewidth() < thick.get_linewidth()
    for bars, errors in ((thin, 2), (thick, 1)):
        ends = np.array([segment[:, 0] for segment in bars.get_segments()])
        np.testing.assert_allclose(ends.mean(axis=1), table.elpd_diff)
        np.testing.assert_allclose(np.diff(ends)[:, 0], 2 * errors * table.dse)


def test_what_cannot_be_told_from_the_best_is_open(table):
    white = to_rgba("white")
    found = [to_rgba(p.get_markerfacecolor()) != white for p in points(plot_comparison(table))]
    assert found == [table.attrs["distinguishable"][name] for name in table.index]
    assert any(found)
    assert not all(found)


def test_the_title_says_what_is_predicted(table, fits):
    said = "predicting these 48 runs, each left out in turn"
    assert plot_comparison(table).get_title("left") == said
    two = {name: fits[name] for name in ("dense", "frantar")}
    later = bs.compare(two, by="future", cuts=[0.5])
    said = "predicting the 24 larger runs from the smaller ones"
    assert plot_comparison(later).get_title("left") == said


def test_simulated_losses_are_called_so(fits):
    tree = fits["dense"].tree.copy()
    tree.attrs["bayescale"] = json.dumps(fits["dense"].about | {"simulated": True})
    simulated = bs.compare(fits | {"dense": bs.Fit(dense, tree)})
    said = plot_comparison(simulated).get_title("left")
    assert said.startswith("predicting simulated losses of these 48 runs")


def test_another_table_is_refused(table, olmo):
    with pytest.raises(bs.InputError, match="not a comparison"):
        plot_comparison(olmo)
    with pytest.raises(bs.InputError, match="names of its rows are lost"):
        plot_comparison(table.reset_index())
    bare = table.copy()
    bare.attrs = {}
    with pytest.raises(bs.InputError, match="before its attrs"):
        plot_comparison(bare)


def test_it_draws_on_the_axes_given(table):
    _, panel = plt.subplots()
    assert plot_comparison(table, ax=panel) is panel
    panel.figure.canvas.draw()
