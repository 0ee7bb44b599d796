"""What the plots draw: the package's own intervals, units on every axis, on the Axes given."""

import ast
import itertools
import json
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import bayescale as bs
from bayescale.fitting.fits import digest
from bayescale.models import dense, experts, granularity, laws, sparse, upcycling
from bayescale.plotting import (
    plot_allocation,
    plot_coefficients,
    plot_fit,
    plot_isoflop,
    plot_predictions,
)
from made_up import design, made_up

mpl.use("Agg")
pytestmark = pytest.mark.usefixtures("closed_figures")

BUDGETS = np.geomspace(1e20, 1e24, 5)
BESIROGLU = bs.published(dense, "besiroglu2024")


@pytest.fixture(scope="module")
def fit():
    return made_up(dense)


@pytest.fixture(scope="module")
def pooled(fit):
    """Two corpora with floors of their own."""
    floors = xr.concat([fit.posterior["E"], 1.1 * fit.posterior["E"]], "corpus")
    posterior = fit.posterior.assign(E=floors.assign_coords(corpus=["a", "b"]))
    corpus = ("run", np.array(["a", "b"] * (fit.runs.sizes["run"] // 2)))
    runs = fit.runs.assign(corpus=corpus)
    tree = xr.DataTree.from_dict({"posterior": posterior, "runs": runs})
    about = fit.about | {"by": "corpus", "vary": ["E"], "runs": digest(runs)}
    tree.attrs["bayescale"] = json.dumps(about)
    return bs.Fit(dense, tree)


def new_axes(**options):
    """Axes of a figure that pyplot does not know."""
    return Figure(figsize=(6, 4), layout="constrained").subplots(**options)


def bands(ax):
    """Lower and upper edge of every filled band, in the order drawn."""
    from matplotlib.collections import PolyCollection

    found = []
    for filled in ax.collections:
        if isinstance(filled, PolyCollection):
            corners = filled.get_paths()[0].vertices
            n = (len(corners) - 3) // 2
            found.append((corners[1 : n + 1, 1], corners[n + 2 : 2 * n + 2, 1][::-1]))
    return found


def bars(ax):
    """Ends of every interval bar, in the order drawn; bars of one call share a row."""
    from matplotlib.collections import LineCollection

    return [np.array(c.get_segments()) for c in ax.collections if isinstance(c, LineCollection)]


def curves(ax):
    """Lines that are more than a marker or a rule."""
    return [line for line in ax.lines if len(line.get_xdata()) > 2]


def assert_band(drawn, draws, prob):
    bounds = bs.interval(draws, prob)
    np.testing.assert_allclose(drawn[0], bounds.sel(ci_bound="lower").values, rtol=1e-12)
    np.testing.assert_allclose(drawn[1], bounds.sel(ci_bound="upper").values, rtol=1e-12)


def assert_labels_apart(panels):
    """No tick label touches another of its axis, and every labelled axis has two at least."""
    panels[0].figure.draw_without_rendering()
    for panel, i in itertools.product(panels, (0, 1)):
        axis = (panel.xaxis, panel.yaxis)[i]
        low, high = panel.bbox.get_points()[:, i]
        boxes = [text.get_window_extent() for text in axis.get_ticklabels() if text.get_text()]
        centres = [box.get_points()[:, i].mean() for box in boxes]
        shown = [b for b, at in zip(boxes, centres, strict=True) if low - 1 <= at <= high + 1]
        assert len(shown) >= 2 or not axis.get_tick_params()[("labelbottom", "labelleft")[i]]
        assert not any(one.overlaps(two) for one, two in itertools.combinations(shown, 2))


def panels_of(drawn):
    return [drawn] if isinstance(drawn, Axes) else list(drawn)


# Every function on a made-up posterior and on published coefficients.
CALLS = {
    "fit": lambda fit, ax=None: plot_fit(fit, design(dense), ax=ax),
    "isoflop": lambda fit, ax=None: plot_isoflop(fit, [1e21, 1e22], ax=ax),
    "allocation": lambda fit, ax=None: plot_allocation(fit, BUDGETS, ax=ax),
    "coefficients": lambda fit, ax=None: plot_coefficients(fit, ax=ax),
    "predictions": lambda fit, ax=None: plot_predictions(fit, design(dense), seed=1, ax=ax),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("source", ["made up", "published"])
class TestEveryPlot:
    def one(self, source, fit):
        return fit if source == "made up" else BESIROGLU

    def test_draws_on_the_axes_given_and_leaves_pyplot_alone(self, name, source, fit):
        import matplotlib.pyplot as plt

        figure = Figure(figsize=(6, 4))
        beside, ax = figure.subplots(1, 2)
        drawn = panels_of(CALLS[name](self.one(source, fit), ax=ax))
        assert plt.get_fignums() == []
        assert not beside.has_data()
        assert {panel.figure for panel in drawn} == {figure}
        if len(drawn) == 1:
            assert drawn[0] is ax
        assert all(panel.get_position().x0 > beside.get_position().x1 for panel in drawn)

    def test_is_one_figure_with_labels_apart(self, name, source, fit):
        import matplotlib.pyplot as plt

        drawn = panels_of(CALLS[name](self.one(source, fit)))
        assert len(plt.get_fignums()) == 1
        for panel in drawn:
            assert panel.get_xlabel() or not panel.xaxis.get_tick_params()["labelbottom"]
            assert panel.get_ylabel() or name == "coefficients" or panel is not drawn[0]
        assert_labels_apart(drawn)


class TestPlotFit:
    def test_bands_are_intervals_of_the_mean_loss(self, fit):
        ax = plot_fit(fit, prob=0.8, ax=new_axes())
        lines = curves(ax)
        assert len(lines) == len(bands(ax)) == 3
        for size, line, band in zip([1e8, 4e8, 1.6e9], lines, bands(ax), strict=True):
            loss = bs.predict(fit, mean=True, N=size, D=line.get_xdata())
            assert_band(band, loss, 0.8)
            middle = loss.median(("chain", "draw"))
            np.testing.assert_allclose(line.get_ydata(), middle, rtol=1e-12)

    def test_points_are_the_runs(self, fit):
        ax = plot_fit(fit, ax=new_axes())
        offsets = np.concatenate(
            [c.get_offsets() for c in ax.collections if len(c.get_offsets()) > 1]
        )
        drawn = sorted(map(tuple, offsets))
        assert drawn == sorted(zip(fit.runs.D.values, fit.runs.loss.values, strict=True))
        key = [text.get_text() for text in ax.get_legend().get_texts()]
        assert key == ["100M", "400M", "1.6B", "bands: 90 %"]

    @pytest.mark.parametrize("law", laws().values(), ids=lambda law: law.name)
    def test_every_law_with_every_run(self, law):
        fit = made_up(law)
        drawn = panels_of(plot_fit(fit))
        points = sum(
            len(c.get_offsets()) for p in drawn for c in p.collections if c.get_offsets().any()
        )
        assert points == fit.runs.sizes["run"]
        varied = "D" in law.inputs or "D_upcycled" in law.inputs
        along = "tokens" if varied else "FLOP" if law.inputs == ("flops",) else "parameters"
        assert along in drawn[-1].get_xlabel()
        assert drawn[0].get_ylabel() == "loss (nats per token)"
        titles = [panel.get_title() for panel in drawn]
        third = {"sparse": "$S$ = 0.875", "granularity": "$G$ = 8", "experts": "64 experts"}
        if law.name in third:
            assert third[law.name] in titles

    def test_many_sizes_have_a_colour_bar(self):
        runs = bs.load_runs("gemstones2025")
        ax = plot_fit(made_up(dense, runs), ax=new_axes())
        bar = next(other for other in ax.figure.axes if other is not ax)
        label = "model size $N$ (parameters)\nwhite: values of the curves; bands: 90 %"
        assert bar.get_ylabel() == label
        assert bar.get_yscale() == "log"
        assert ax.get_legend() is None
        assert 2 <= len(curves(ax)) <= 5

    def test_every_panel_has_the_law_at_its_level(self):
        fit = made_up(sparse)
        for level, panel in zip([0.0, 0.5, 0.75, 0.875], plot_fit(fit), strict=True):
            D = curves(panel)[2].get_xdata()
            loss = bs.predict(fit, mean=True, N_active=1.6e9, D=D, S=level)
            assert_band(bands(panel)[2], loss, 0.9)

    def test_labels_of_narrow_panels_are_apart(self):
        runs = design(granularity)
        runs["D"] = runs.D.map({3e9: 1.6e10, 1.2e10: 3.3e10, 5e10: 6.6e10, 2e11: 7.2e10})
        assert_labels_apart(plot_fit(made_up(granularity, runs)))

    def test_inputs_may_be_chosen(self):
        drawn = plot_fit(made_up(granularity), x="N", by="G", panels="D")
        assert [panel.get_title() for panel in drawn][:2] == ["$D$ = 3B tokens", "$D$ = 12B tokens"]
        assert drawn[-1].get_xlabel() == "$N$ (parameters)"

    def test_an_axis_stays_inside_its_input_s_range(self):
        ax = plot_fit(made_up(experts), x="experts", by="N_active", panels="D")[0]
        assert min(curves(ax)[0].get_xdata()) == 1.0

    def test_a_further_input_is_held_at_its_median(self):
        @bs.law
        def decayed(N, D, rate, batch, *, E=bs.floor(), A=bs.amplitude(), a=bs.exponent()):
            """Loss with two settings of the optimiser."""
            return E + A * N**-a * D**-a * (rate + batch)

        rng = np.random.default_rng(0)
        runs = pd.DataFrame({"N": rng.choice([1e8, 1e9], 60), "D": rng.uniform(1e9, 1e10, 60)})
        runs["rate"], runs["batch"] = rng.choice([1.0, 2.0], 60), rng.choice([1.0, 2.0, 3.0], 60)
        fit = made_up(decayed, runs.assign(loss=rng.uniform(2, 3, 60)))
        first = plot_fit(fit)[0]
        here = runs[runs.rate == 1.0]
        x = curves(first)[0].get_xdata()
        loss = bs.predict(fit, mean=True, N=1e8, D=x, rate=1.0, batch=here.batch.median())
        assert_band(bands(first)[0], loss, 0.9)

    def test_simulated_runs_are_called_simulated(self):
        assert plot_fit(made_up(dense, simulated=True)).get_ylabel().startswith("simulated loss")
        runs = bs.simulate(dense, design(dense), "besiroglu2024", seed=1)
        assert plot_fit(BESIROGLU, runs).get_ylabel().startswith("simulated loss")

    def test_refusals_leave_no_figure(self, fit, pooled):
        import matplotlib.pyplot as plt

        with pytest.raises(bs.InputError, match="give the runs to show"):
            plot_fit(BESIROGLU)
        with pytest.raises(bs.InputError, match="'S' is not an input of law 'dense'"):
            plot_fit(fit, by="S")
        with pytest.raises(bs.InputError, match="different inputs"):
            plot_fit(fit, x="D", by="D")
        with pytest.raises(bs.InputError, match=r"group\(fit, 'a'\)"):
            plot_fit(pooled)
        with pytest.raises(bs.InputError, match="between 0 and 1"):
            plot_fit(fit, prob=90)
        assert plt.get_fignums() == []


class TestPanels:
    def test_an_array_of_axes_is_used_in_order(self):
        given = new_axes(nrows=2, ncols=2)
        drawn = plot_fit(made_up(sparse), ax=given)
        assert list(drawn) == list(given.flat)
        assert [ax.get_title() for ax in drawn] == [
            "$S$ = 0",
            "$S$ = 0.5",
            "$S$ = 0.75",
            "$S$ = 0.875",
        ]

    def test_a_wrong_number_is_refused(self):
        with pytest.raises(bs.InputError, match="this plot has 4 panels"):
            plot_fit(made_up(sparse), ax=new_axes(ncols=3))
        loose = Figure().add_axes((0, 0, 1, 1))
        with pytest.raises(bs.InputError, match="add_axes cannot be divided"):
            plot_fit(made_up(sparse), ax=loose)

    def test_a_free_axes_serves_one_panel(self, fit):
        loose = Figure().add_axes((0, 0, 1, 1))
        assert plot_fit(fit, ax=loose) is loose


class TestPlotIsoflop:
    def test_curve_band_and_optimum_are_those_of_the_verbs(self, fit):
        ax = plot_isoflop(fit, 1e22, ax=new_axes())
        (line,) = curves(ax)
        N = line.get_xdata()
        loss = bs.predict(fit, mean=True, N=N, D=1e22 / (6 * N))
        assert_band(bands(ax)[0], loss, 0.9)
        best = bs.allocate(fit, 1e22)
        _, wide, narrow = bars(ax)
        np.testing.assert_allclose(wide[0, :, 0], bs.interval(best.N, 0.9), rtol=1e-12)
        np.testing.assert_allclose(narrow[0, :, 0], bs.interval(best.N, 0.5), rtol=1e-12)
        assert ax.get_xlabel() == "model size $N$ (parameters)"
        assert ax.get_ylabel() == "loss (nats per token)"
        # The bars lie below every curve.
        assert wide[0, 0, 1] < bands(ax)[0][0].min()

    def test_the_law_s_cost_and_fixed_settings_are_used(self):
        fit = made_up(granularity)
        options = {"fixed": {"G": 8, "expansion": 16}}
        ax = plot_isoflop(fit, 1e21, ax=new_axes(), **options)
        (line,) = curves(ax)
        N = line.get_xdata()
        per_token = bs.cost.granular_flops(N, 1.0, 8.0, expansion=16)
        loss = bs.predict(fit, mean=True, N=N, D=1e21 / per_token, G=8)
        assert_band(bands(ax)[0], loss, 0.9)

    def test_bounds_end_the_curve(self, fit):
        ax = plot_isoflop(fit, 1e22, bounds={"N": (1e9, 1e11)}, ax=new_axes())
        np.testing.assert_allclose(curves(ax)[0].get_xdata()[[0, -1]], [1e9, 1e11], rtol=1e-9)

    def test_one_budget_has_a_curve_for_each_choice(self):
        fit = made_up(sparse)
        ax = plot_isoflop(fit, 1e21, ax=new_axes())
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        assert labels[:4] == ["$S$ = 0", "$S$ = 0.5", "$S$ = 0.75", "$S$ = 0.875"]
        assert labels[4:] == ["bands: 90 %", "bars: 50 and 90 %"]
        best = bs.allocate(fit, 1e21)
        chosen = pd.Series(best.S.values.ravel()).mode()[0]
        assert len(bands(ax)) == 1
        line = curves(ax)[[0.0, 0.5, 0.75, 0.875].index(chosen)]
        N = line.get_xdata()
        loss = bs.predict(fit, mean=True, N_active=N, D=1e21 / (6 * N), S=chosen)
        assert_band(bands(ax)[0], loss, 0.9)

    def test_several_budgets_take_the_best_choice_of_every_draw(self):
        fit = made_up(sparse)
        ax = plot_isoflop(fit, [1e21, 1e22], choose={"S": [0.0, 0.75]}, ax=new_axes())
        line = curves(ax)[1]
        N = line.get_xdata()
        each = [bs.predict(fit, mean=True, N_active=N, D=1e22 / (6 * N), S=s) for s in (0.0, 0.75)]
        assert_band(bands(ax)[1], np.minimum(*each), 0.9)
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        assert labels[:2] == ["$10^{21}$ FLOP", "$10^{22}$ FLOP"]

    def test_the_free_input_need_not_be_a_size(self):
        fit = made_up(upcycling)
        ax = plot_isoflop(fit, 1e21, fixed={"N": 1e9}, ax=new_axes())
        assert ax.get_xlabel() == r"dense training $D_\mathrm{dense}$ (tokens)"

    def test_fits_are_compared_by_name(self, fit):
        ax = plot_isoflop({"mine": fit, "theirs": BESIROGLU}, 1e22, ax=new_axes())
        labels = [text.get_text() for text in ax.get_legend().get_texts()]
        assert labels == ["mine", "theirs", "bands: 90 %", "bars: 50 and 90 %"]
        styles = {line.get_linestyle() for line in curves(ax)}
        assert len(styles) == 2

    def test_refusals(self, fit):
        with pytest.raises(bs.InputError, match="varies continuously"):
            plot_isoflop(fit, 1e22, fixed={"N": 1e9})
        with pytest.raises(bs.InputError, match="varies continuously"):
            plot_isoflop({"a": fit, "b": made_up(sparse)}, 1e22)
        with pytest.raises(bs.InputError, match="below the smallest plausible run"):
            plot_isoflop(fit, 1.0)


class TestPlotAllocation:
    def test_bands_are_intervals_of_the_allocation(self, fit):
        drawn = plot_allocation(fit, BUDGETS, ax=new_axes())
        best = bs.allocate(fit, BUDGETS)
        quantities = [best.N, best.D, best.D / best.N, best.loss]
        for panel, draws in zip(drawn, quantities, strict=True):
            wide, narrow = bands(panel)
            assert_band(wide, draws, 0.9)
            assert_band(narrow, draws, 0.5)
        assert [panel.get_ylabel() for panel in drawn] == [
            "$N$ (parameters)",
            "$D$ (tokens)",
            "$D/N$ (tokens/parameter)",
            "loss (nats per token)",
        ]
        assert drawn[-1].get_xlabel() == "training budget (FLOP)"

    def notes(self, drawn):
        return [text.get_text() for panel in panels_of(drawn) for text in panel.texts]

    def test_the_largest_run_is_marked(self, fit):
        largest = float((6 * fit.runs.N * fit.runs.D).max())
        drawn = plot_allocation(fit, BUDGETS, ax=new_axes())
        for panel in drawn:
            (rule,) = [line for line in panel.lines if len(line.get_xdata()) == 2]
            assert rule.get_xdata()[0] == pytest.approx(largest, rel=1e-12)
        assert self.notes(drawn) == ["extrapolation →"]

    def test_budgets_on_one_side_of_it(self, fit):
        beyond = plot_allocation(fit, BUDGETS * 1e4, ax=new_axes())
        assert self.notes(beyond) == ["all extrapolation"]
        within = plot_allocation(fit, BUDGETS / 1e3, ax=new_axes())
        assert self.notes(within) == []
        assert self.notes(plot_allocation(BESIROGLU, BUDGETS, ax=new_axes())) == []

    def test_a_choice_has_a_panel_of_steps(self):
        fit = made_up(granularity)
        drawn = plot_allocation(fit, BUDGETS, choose={"G": [1, 4, 16]}, ax=new_axes())
        panel = drawn[2]
        assert panel.get_ylabel() == "$G$"
        assert list(panel.get_yticks()) == [1, 4, 16]
        assert curves(panel)[0].get_drawstyle() == "steps-mid"

    def test_quantities_may_be_chosen(self, fit):
        ax = new_axes()
        assert plot_allocation(fit, BUDGETS, show=["D/N"], ax=ax) is ax
        with pytest.raises(bs.InputError, match="show names 'S'"):
            plot_allocation(fit, BUDGETS, show=["S"])

    def test_laws_are_compared_in_what_they_share(self, fit):
        drawn = plot_allocation({"dense": fit, "sparse": made_up(sparse)}, BUDGETS)
        assert [panel.get_ylabel() for panel in drawn] == ["$D$ (tokens)", "loss (nats per token)"]
        labels = [text.get_text() for text in drawn[-1].get_legend().get_texts()]
        assert labels == ["dense", "sparse", "bands: 50 and 90 %"]

    def test_the_budget_asked_for_is_marked(self, fit):
        drawn = plot_allocation(fit, BUDGETS, mark=1e22)
        assert all(any(list(x.get_xdata()) == [1e22] * 2 for x in one.lines) for one in drawn)
        labels = [text.get_text() for text in drawn[-1].get_legend().get_texts()]
        assert labels == ["budget asked for", "bands: 50 and 90 %"]

    def test_groups_are_compared(self, pooled):
        drawn = plot_allocation(pooled, BUDGETS, show=["loss"], ax=new_axes())
        best = bs.allocate(bs.group(pooled, "b"), BUDGETS)
        assert_band(bands(drawn)[2], best.loss, 0.9)

    def test_one_budget_is_refused(self, fit):
        with pytest.raises(bs.InputError, match="over several budgets"):
            plot_allocation(fit, 1e22)


class TestPlotCoefficients:
    def test_bars_are_intervals_in_raw_units(self, fit):
        drawn = plot_coefficients(fit, published=[])
        raw = bs.coefficients(fit, units="raw")
        for name, panel in zip(dense.coefficients, drawn, strict=True):
            wide, narrow = bars(panel)
            np.testing.assert_allclose(wide[0, :, 0], bs.interval(raw[name], 0.9), rtol=1e-12)
            np.testing.assert_allclose(narrow[0, :, 0], bs.interval(raw[name], 0.5), rtol=1e-12)
        assert [panel.get_xlabel() for panel in drawn] == [
            "$E$ (nats per token)",
            "$A$ (nats, raw units)",
            r"$\alpha$ (dimensionless)",
            "$B$ (nats, raw units)",
            r"$\beta$ (dimensionless)",
        ]
        assert [panel.get_xscale() for panel in drawn] == [
            "linear",
            "log",
            "linear",
            "log",
            "linear",
        ]

    def test_published_values_and_errors(self, fit):
        ax = plot_coefficients(fit, names=["alpha"], published=["besiroglu2024"], ax=new_axes())
        assert [label.get_text() for label in ax.get_yticklabels()] == ["dense", "besiroglu2024"]
        error = bars(ax)[-1][0]
        np.testing.assert_allclose(
            error[:, 0], 0.3478 + np.array([-1, 1]) * 1.644854 * 0.02, rtol=1e-6
        )
        assert error[0, 1] == 1
        assert (0.3478, 1) in [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines]

    def test_every_published_set_is_in_view(self, fit):
        for name, panel in zip(dense.coefficients, plot_coefficients(fit), strict=True):
            low, high = panel.get_xlim()
            assert all(low < one.values[name] < high for one in dense.published.values())

    def test_a_signed_amplitude_has_a_linear_axis(self):
        ax = plot_coefficients(made_up(sparse), names=["c"], ax=new_axes())
        assert ax.get_xscale() == "linear"

    def test_without_raw_units_the_label_says_so(self):
        @bs.law
        def coupled(N, D, *, E=bs.floor(), A=bs.amplitude(), B=bs.amplitude(), a=bs.exponent()):
            """A law that is no sum of powers."""
            return E + (A * N**-a + B * D**-a) ** 0.5 + A * bs.log(N + D + 1.0)

        drawn = plot_coefficients(made_up(coupled, design(dense)))
        assert drawn[1].get_xlabel() == "$A$ (nats at the reference)"

    def test_one_fit_a_row(self, fit, pooled):
        both = plot_coefficients({"mine": fit, "theirs": BESIROGLU}, names=["E"], published=[])
        assert [label.get_text() for label in both.get_yticklabels()] == ["mine", "theirs"]
        groups = plot_coefficients(pooled, names=["E"], published=[])
        assert [label.get_text() for label in groups.get_yticklabels()] == ["a", "b"]

    def test_a_fixed_coefficient_is_a_point(self, fit):
        tree = fit.tree.copy()
        tree["posterior"] = xr.DataTree(fit.posterior.drop_vars("alpha"))
        tree.attrs["bayescale"] = json.dumps(fit.about | {"fixed": {"alpha": 0.34}})
        ax = plot_coefficients(bs.Fit(dense, tree), names=["alpha"], published=[], ax=new_axes())
        assert bars(ax) == []
        assert [line.get_xdata()[0] for line in ax.lines] == [0.34]

    def test_refusals(self, fit):
        with pytest.raises(bs.InputError, match="different laws do not compare"):
            plot_coefficients({"a": fit, "b": made_up(sparse)})
        with pytest.raises(bs.InputError, match="not 'gamma'"):
            plot_coefficients(fit, names=["gamma"])
        with pytest.raises(bs.InputError, match="not 'kaplan2020'"):
            plot_coefficients(fit, published=["kaplan2020"])
        with pytest.raises(bs.InputError, match="is a list of names"):
            plot_coefficients(fit, names="alpha")
        with pytest.raises(bs.InputError, match="takes a Fit"):
            plot_coefficients([fit])


class TestPlotPredictions:
    def test_bars_are_predictive_intervals(self, fit):
        runs = design(dense)
        ax = plot_predictions(fit, runs, x="D", relative=False, seed=3, ax=new_axes())
        wide, narrow = bars(ax)
        loss = bs.predict(fit, seed=3, N=runs.N, D=runs.D)
        np.testing.assert_allclose(wide[:, :, 1], bs.interval(loss, 0.9), rtol=1e-12)
        np.testing.assert_allclose(narrow[:, :, 1], bs.interval(loss, 0.5), rtol=1e-12)
        np.testing.assert_array_equal(wide[:, 0, 0], runs.D)
        observed = ax.collections[-1].get_offsets()
        np.testing.assert_array_equal(observed, runs[["D", "loss"]])
        assert ax.get_xlabel() == "training data $D$ (tokens)"

    def test_relative_to_the_observation_and_in_order_of_compute(self, fit):
        runs = design(dense)
        ax = plot_predictions(fit, runs, seed=3, ax=new_axes())
        loss = bs.predict(fit, seed=3, N=runs.N, D=runs.D)
        deviation = 100 * (bs.interval(loss, 0.9).values / runs.loss.to_numpy()[:, None] - 1)
        wide = bars(ax)[0]
        np.testing.assert_allclose(wide[:, :, 1], deviation, rtol=1e-9)
        by_compute = (6 * runs.N * runs.D).to_numpy()[np.argsort(wide[:, 0, 0])]
        assert (np.diff(by_compute) >= 0).all()

    def test_the_key_counts_what_the_interval_covers(self, fit):
        runs = design(dense)
        low, high = bs.interval(bs.predict(fit, seed=3, N=runs.N, D=runs.D), 0.9).values.T
        runs["loss"] = np.where(np.arange(len(runs)) < 5, (low + high) / 2, 2 * high)
        ax = plot_predictions(fit, runs, seed=3, ax=new_axes())
        assert ax.get_legend().get_texts()[0].get_text() == f"dense, 5 of {len(runs)} within 90 %"

    def test_published_coefficients_are_points_beside_a_fit(self, fit):
        runs = design(dense)
        both = {"fit": fit, "paper": BESIROGLU}
        ax = plot_predictions(both, runs, relative=False, seed=1, ax=new_axes())
        assert [len(one) for one in bars(ax)] == [len(runs), len(runs)]
        points = [line for line in ax.lines if len(line.get_xdata()) == len(runs)]
        loss = bs.predict(BESIROGLU, mean=True, N=runs.N, D=runs.D)
        np.testing.assert_allclose(points[1].get_ydata(), loss.values.ravel(), rtol=1e-12)
        assert (points[0].get_xdata() < points[1].get_xdata()).all()

    def test_few_runs_are_named(self, fit):
        runs = design(dense).head(3).set_axis(["large", "larger", "largest"])
        ax = plot_predictions(fit, runs, seed=1, ax=new_axes())
        assert [label.get_text() for label in ax.get_xticklabels()] == list(runs.index)

    def test_groups_predict_their_own_runs(self, pooled):
        runs = design(dense).assign(corpus=["a", "b"] * 6)
        ax = plot_predictions(pooled, runs, relative=False, seed=2, ax=new_axes())
        loss = bs.predict(pooled, seed=2, N=runs.N, D=runs.D, corpus=runs.corpus)
        np.testing.assert_allclose(bars(ax)[0][:, :, 1], bs.interval(loss, 0.9), rtol=1e-12)
        with pytest.raises(bs.InputError, match="lack that column"):
            plot_predictions(pooled, design(dense))


def test_fits_to_simulated_losses_are_called_so():
    fit = made_up(dense, simulated=True)
    both = {"real": made_up(dense), "fake": fit}
    title = "fitted to simulated losses"
    assert plot_isoflop(fit, 1e22).get_title(loc="left") == title
    assert plot_allocation(fit, BUDGETS)[0].get_title(loc="left") == title
    assert plot_coefficients(both)[0].get_title(loc="left") == f"fake: {title}"
    assert plot_predictions(fit, design(dense)).get_title(loc="left") == title


def test_matplotlib_is_loaded_by_the_first_plot_only():
    code = "import sys, bayescale.plotting; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_plot_is_tested():
    """Each is called by its name in a test that asserts something."""
    called = set()
    for path in Path(__file__).parents[1].rglob("test_*.py"):
        for test in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(test, ast.FunctionDef) and test.name.startswith("test_")):
                continue
            nodes = list(ast.walk(test))
            if any(isinstance(node, ast.Assert) for node in nodes):
                calls = (node.func for node in nodes if isinstance(node, ast.Call))
                called |= {function.id for function in calls if isinstance(function, ast.Name)}
    assert called >= set(bs.plotting.__all__)
