"""Plots of rivals, of the next run and of regret: the package's own numbers, on the Axes given."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayescale as bs
from bayescale.models import dense, granularity
from bayescale.plotting import plot_designs, plot_next_runs, plot_probability, plot_regret

mpl.use("Agg")
pytestmark = pytest.mark.usefixtures("closed_figures")

BUDGETS = np.geomspace(1e19, 1e24, 6)
BASE = {"E": 1.8, "A": 480.0, "alpha": 0.35, "B": 2100.0, "beta": 0.37}


def made_up(seed=0, simulated=False, **changed):
    rng = np.random.default_rng(seed)
    runs = pd.DataFrame({"N": [1e8, 1e9, 1e8, 3e9, 3e9, 1e9], "D": [1e10, 1e10, 1e11] * 2})
    runs = runs.assign(loss=[3.1, 2.7, 2.8, 2.6, 2.6, 2.4])
    runs.attrs["simulated"] = simulated
    fit = bs.prior(dense, runs, draws=1, seed=0)
    scale = {"A": fit.reference["N"] ** -BASE["alpha"], "B": fit.reference["D"] ** -BASE["beta"]}
    drawn = {
        n: (("chain", "draw"), x * scale.get(n, 1.0) * np.exp(0.02 * rng.standard_normal((2, 60))))
        for n, x in (BASE | changed).items()
    }
    drawn["noise_scale"] = (("chain", "draw"), 0.005 * np.exp(0.1 * rng.standard_normal((2, 60))))
    drawn["noise_dof"] = (("chain", "draw"), 8 + rng.random((2, 60)))
    tree = fit.tree.copy()
    coords = {"chain": np.arange(2), "draw": np.arange(60)}
    tree["posterior"] = xr.DataTree(xr.Dataset(drawn, coords))
    return bs.Fit(dense, tree)


@pytest.fixture(scope="module")
def odds():
    return bs.probability(made_up(E=1.76, A=520.0), made_up(seed=1), BUDGETS)


def test_the_probability_that_a_wins_is_what_is_drawn(odds):
    left, right = plot_probability(odds, names=("new", "old"))
    drawn = left.lines[0].get_xydata()
    np.testing.assert_allclose(drawn[:, 0], BUDGETS)
    np.testing.assert_allclose(drawn[:, 1], odds.probability)
    assert left.get_ylabel() == "probability that new wins"
    assert right.get_title("left") == "compute old needs to match new"
    median = right.lines[0].get_ydata()
    np.testing.assert_allclose(median, odds.multiplier.median(("chain", "draw")))
    for panel in (left, right):
        assert panel.get_xlabel() == "training budget (FLOP)"
        assert panel.get_xscale() == "log"


def test_the_crossover_is_a_band(odds):
    left, _ = plot_probability(odds, probs=(0.5, 0.8))
    (band,) = left.patches
    low, high = bs.interval(odds.crossover, 0.8).values
    inside = np.clip([low, high], BUDGETS[0], BUDGETS[-1])
    np.testing.assert_allclose([band.get_x(), band.get_x() + band.get_width()], inside)
    assert "80 %" in left.get_legend().get_texts()[0].get_text()


def test_infinite_multipliers_can_be_drawn():
    _, right = plot_probability(bs.probability(made_up(E=1.4), made_up(seed=1), BUDGETS))
    right.figure.canvas.draw()
    assert np.isfinite(right.get_ylim()).all()


def test_simulated_fits_are_called_so(odds):
    both = bs.probability(made_up(simulated=True), made_up(seed=1), BUDGETS)
    assert "simulated" in plot_probability(both)[0].get_title("left")
    assert "simulated" not in plot_probability(odds)[0].get_title("left")


def test_one_budget_is_refused():
    with pytest.raises(bs.InputError, match="several budgets"):
        plot_probability(bs.probability(made_up(), made_up(seed=1), 1e22))
    with pytest.raises(bs.InputError, match="several budgets"):
        plot_regret(made_up(), 1e22)


@pytest.mark.parametrize("aim", [{"budget": 1e23}, {"target": {"N": 7e10, "D": 1.4e12}}])
@pytest.mark.parametrize("rank", ["gain", "per_flop"])
def test_the_ranking_is_drawn_in_its_order(aim, rank):
    ranked = bs.next_runs(made_up(simulated=True), rank=rank, **aim)
    left, right = plot_next_runs(ranked, most=5)
    widths = [bar.get_width() for bar in left.patches]
    clear = [x for x, sure in zip(widths, ranked.clear.head(5), strict=True) if sure]
    assert clear == sorted(clear, reverse=True)
    by = ranked.share if rank == "gain" else ranked.share / ranked.flops
    np.testing.assert_allclose(np.array(widths) / widths[0], (by / by.iloc[0]).head(5))
    heights = [bar.get_y() for bar in left.patches]
    assert heights == sorted(heights, reverse=True)
    assert "simulated" in left.get_title("left")
    assert right.collections[0].get_offsets().shape == (len(ranked), 2)
    what = "regret" if "budget" in aim else "variance"
    assert right.get_ylabel() == f"{what} taken off (%)"
    unit = "" if rank == "gain" else " per $10^{"
    assert left.get_xlabel().startswith(f"{what} taken off{unit}")
    assert "standard errors" in left.get_xlabel()
    assert ("at $10^{23}$ FLOP" in left.get_title("left")) == ("budget" in aim)


def test_the_frontier_rises_with_the_cost():
    ranked = bs.next_runs(made_up(), budget=1e23)
    _, right = plot_next_runs(ranked)
    cost, share = right.lines[0].get_xydata().T
    assert (np.diff(cost) >= 0).all()
    assert (np.diff(share) > 0).all()
    assert share[-1] == pytest.approx(100 * ranked.share.max())


def test_a_batch_and_another_table(olmo):
    batch = bs.next_runs(made_up(), budget=1e23, batch=2)
    left, right = plot_next_runs(batch)
    assert len(left.patches) == 2
    assert not right.lines
    with pytest.raises(bs.InputError, match="not a ranking"):
        plot_next_runs(olmo)


def test_the_regret_surface_is_least_at_the_decision():
    fit = made_up()
    panel = plot_regret(fit, BUDGETS)
    budgets, sizes = panel.lines[0].get_xydata().T
    assert budgets[0] == pytest.approx(BUDGETS[0])
    assert budgets[-1] == pytest.approx(BUDGETS[-1])
    decided = bs.decide(fit, budgets).N
    np.testing.assert_allclose(sizes, decided, rtol=0.02)
    assert panel.get_ylabel() == "model size $N$ (parameters)"


def test_listed_inputs_are_at_their_best():
    fit = bs.published(granularity, "krajewski2024")
    panel = plot_regret(fit, [1e20, 1e22], choose={"G": [1, 4, 16]}, span=(1e10, 1e12))
    assert panel.get_ylim() == (1e10, 1e12)
    budgets, sizes = panel.lines[0].get_xydata().T
    best = bs.allocate(fit, budgets, choose={"G": [1, 4, 16]}).N.squeeze()
    np.testing.assert_allclose(sizes, best, rtol=0.06)


def test_a_wrong_span_or_nothing_free_is_refused():
    with pytest.raises(bs.InputError, match="range of 'N'"):
        plot_regret(made_up(), BUDGETS, span=(2.0, 1.0))
    with pytest.raises(bs.InputError, match="one count that varies"):
        plot_regret(made_up(), BUDGETS, fixed={"N": 1e9})


def test_they_draw_on_the_axes_given(odds):
    figure, panels = plt.subplots(1, 2)
    assert plot_probability(odds, ax=panels)[0] is panels[0]
    ranked = bs.next_runs(made_up(), budget=1e23)
    assert plot_next_runs(ranked, ax=plt.subplots(1, 2)[1])[0].figure is not figure
    _, one = plt.subplots()
    assert plot_regret(made_up(), BUDGETS, ax=one) is one


def test_designs_are_drawn_with_what_they_would_tell():
    runs = bs.propose_designs(dense, 1e20, runs=8)
    scores = bs.score_designs(dense, runs, 1e22, simulations=4, seed=1, progress=False)
    left, right = plot_designs(runs, scores)
    assert [text.get_text() for text in left.get_legend().get_texts()] == list(scores["design"])
    np.testing.assert_allclose([bar.get_width() for bar in right.patches], scores["decades"])
    assert "decades" in right.get_xlabel()
    with pytest.raises(bs.InputError, match="not of the same designs"):
        plot_designs(runs[runs.design == "one ray"], scores)
