"""Every plot can be read: at many ranges, and at seven tenths of its size."""

import itertools
import re

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Text

import bayescale as bs
from bayescale import plotting
from bayescale.models import dense, experts, granularity, laws, upcycling
from bayescale.plotting.figures import fit_colour, level_colours
from made_up import design, made_up

mpl.use("Agg")
pytestmark = pytest.mark.usefixtures("closed_figures")

PUBLISHED = bs.published(dense, "besiroglu2024")
NARROW = design(dense).assign(D=np.resize([1.5e10, 1.7e10, 2.1e10, 2.6e10], 12))
ROWS = ["dense", "coupled", "kaplan, normal noise", "a law of our own with depth", "clark"]


def spans():
    """Budgets from a factor of three to ten decades."""
    ends = ((1e20, 3e20), (1e18, 1e25), (1e16, 1e26))
    return {f"{top / low:.0e}": np.geomspace(low, top, 5) for low, top in ends}


def compared():
    """A comparison of five laws as ``bs.compare`` gives it, with scores made up."""
    table = pd.DataFrame({"elpd_diff": [0.0, -2.0, -40.3, -41.0, -1250.0],
                          "dse": [0.0, 3.0, 9.0, 12.0, 60.0]}, index=ROWS)  # fmt: skip
    clear = dict.fromkeys(ROWS, True)
    table.attrs = {"distinguishable": clear, "by": "loo", "runs": 48, "simulated": False}
    return table


def ranked(**options):
    return bs.next_runs(made_up(dense), budget=1e24, **options)


def designs():
    """Designs of small runs, and what a simulation says of them."""
    if "designs" not in MADE:
        runs = bs.propose_designs(dense, 1e20, runs=8)
        scores = bs.score_designs(dense, runs, 1e22, simulations=4, seed=1, progress=False)
        MADE["designs"] = runs, scores
    return MADE["designs"]


def drawings():
    """Every plot, on fits and tables that differ in what stands beside the axes, by name."""
    found = {
        "fit, narrow": lambda: plotting.plot_fit(made_up(dense, NARROW)),
        "fit, many sizes": lambda: plotting.plot_fit(made_up(dense, bs.load_runs("gemstones2025"))),
        "coefficients, names": lambda: plotting.plot_coefficients(
            {"the runs of this week": made_up(dense), "of the week before": made_up(dense)}
        ),
        "predictions": lambda: plotting.plot_predictions(made_up(dense), design(dense), seed=1),
        "predictions, x": lambda: plotting.plot_predictions(
            {"ours": made_up(dense), "published": PUBLISHED}, design(dense), x="flops", seed=1
        ),
        "predictions, D": lambda: plotting.plot_predictions(
            made_up(dense), NARROW, x="D", relative=False, seed=1
        ),
        "comparison": lambda: plotting.plot_comparison(compared()),
        "next_runs": lambda: plotting.plot_next_runs(ranked(rank="gain")),
        "next_runs, per FLOP": lambda: plotting.plot_next_runs(ranked(), most=6),
        "next_runs, batch": lambda: plotting.plot_next_runs(ranked(batch=3)),
        "designs": lambda: plotting.plot_designs(*designs()),
        "isoflop, choices": lambda: plotting.plot_isoflop(
            made_up(granularity), 1e22, choose={"G": [1, 2, 4, 8, 16, 32]}
        ),
        "isoflop, eight": lambda: plotting.plot_isoflop(PUBLISHED, np.geomspace(1e18, 1e25, 8)),
        "upcycling": lambda: plotting.plot_upcycling(
            made_up(upcycling), bs.published(dense, "liew2025_moe"), N=1e9
        ),
        "prior_posterior": lambda: plotting.plot_prior_posterior(left_over()),
        "prior_posterior, names": lambda: plotting.plot_prior_posterior(
            left_over(), names=["alpha", "noise_dof"]
        ),
        "pit": lambda: plotting.plot_pit(left_over()),
        "residuals": lambda: plotting.plot_residuals(left_over()),
        "residuals, three": lambda: plotting.plot_residuals(
            left_over(), against=["N", "D", "flops"]
        ),
    }
    for law in (*laws().values(),):
        found[f"fit of {law.name}"] = lambda law=law: plotting.plot_fit(made_up(law))
        found[f"coefficients of {law.name}"] = lambda law=law: plotting.plot_coefficients(
            made_up(law)
        )
    for name, budgets in spans().items():
        found |= {
            f"isoflop, {name}": lambda b=budgets: plotting.plot_isoflop(made_up(dense), b[::2]),
            f"allocation, {name}": lambda b=budgets: plotting.plot_allocation(made_up(dense), b),
            f"allocation of granularity, {name}": lambda b=budgets: plotting.plot_allocation(
                made_up(granularity), b, choose={"G": [1, 2, 4, 8, 16, 32]}
            ),
            f"allocation of experts, {name}": lambda b=budgets: plotting.plot_allocation(
                made_up(experts), b, choose={"experts": [1, 8, 64, 128, 256]}
            ),
            f"regret, {name}": lambda b=budgets: plotting.plot_regret(made_up(dense), b),
            f"probability, {name}": lambda b=budgets: plotting.plot_probability(
                bs.probability(made_up(dense), PUBLISHED, b), names=("the new mixture", "dense")
            ),
        }
    return found


DRAWINGS = drawings()


def left_over():
    """A fit of real runs, whose residuals can be judged."""
    if "fit" not in MADE:
        MADE["fit"] = bs.fit(dense, bs.load_runs("olmo_ladder"), method="laplace", seed=1)
    return MADE["fit"]


MADE = {}


@pytest.fixture(scope="module", params=DRAWINGS)
def figure(request):
    """The figure of each drawing, made once for all tests of it."""
    return np.ravel(DRAWINGS[request.param]())[0].figure


def words(figure):
    """Every text in view, with its box in pixels."""
    figure.draw_without_rendering()
    ticks = {}
    for ax in figure.axes:
        for i, axis in enumerate((ax.xaxis, ax.yaxis)):
            low, high = ax.bbox.get_points()[:, i]
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                at = np.full(2, tick.get_loc())
                place = ax.transData.transform(at)[i] if at[0] > 0 or is_linear(axis) else np.nan
                seen = low - 1 <= place <= high + 1
                ticks |= {tick.label1: seen and axis.get_visible(), tick.label2: False}
    for text in figure.findobj(Text):
        said = text.get_text().strip()
        if said and text.get_visible() and ticks.get(text, text.axes is None or text.axes.axison):
            yield said, text.get_window_extent(), text in ticks


def is_linear(axis):
    return axis.get_scale() == "linear"


def outside(figure, shown):
    inside = figure.bbox.padded(1.5)
    return [w for w, b, _ in shown if not (inside.x0 <= b.x0 and b.x1 <= inside.x1)
            or not (inside.y0 <= b.y0 and b.y1 <= inside.y1)]  # fmt: skip


def touching(shown):
    return [
        (one, two)
        for (one, here, _), (two, there, _) in itertools.combinations(shown, 2)
        if here.padded(-0.5).overlaps(there.padded(-0.5))
    ]


def test_words_are_apart_and_inside_the_figure(figure):
    shown = list(words(figure))
    assert not outside(figure, shown)
    assert not touching(shown)


def test_ticks_are_apart_in_a_smaller_figure_and_its_key_inside(figure):
    width, height = figure.get_size_inches()
    figure.set_size_inches(0.7 * width, 0.7 * height)
    shown = list(words(figure))
    keys = {text for ax in figure.axes for one in [ax.get_legend()] if one for text in one.texts}
    keys = {text.get_text() for text in keys}
    figure.set_size_inches(width, height)
    assert not touching([one for one in shown if one[2]])
    assert not [said for said in outside(figure, shown) if said in keys]


def test_it_fits_a_page_and_its_letters_are_no_smaller_than_seven_points(figure):
    """A column of the documentation is 7.6 inches wide."""
    assert figure.get_size_inches()[0] <= 7.6
    figure.draw_without_rendering()
    texts = [text for text in figure.findobj(Text) if text.get_text().strip()]
    assert min(text.get_fontsize() for text in texts) >= 7


#: Axes of what has no unit.
BARE = ("probability", "quantile", "run, in order", "sparsity", "granularity", "experts",
        "expansion rate", "tokens per parameter", "$")  # fmt: skip


def test_every_axis_says_what_it_is_and_its_unit(figure):
    figure.draw_without_rendering()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            numbers = [tick.label1 for tick in axis.get_major_ticks() if tick.label1.get_visible()]
            said = [one.get_text() for one in numbers if one.get_text()]
            if not ax.axison or not axis.get_visible() or not said:
                continue
            # Rows that have names need no label.
            label, named = axis.label.get_text(), all(re.search("[a-z]{2}|N ", s) for s in said)
            assert label or named
            assert named or "(" in label or label.startswith(BARE), label


def luminance(colour):
    """Relative luminance as WCAG defines it."""
    parts = np.array(to_rgb(colour))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("count", range(1, 9))
def test_colours_stand_out_from_paper_and_from_one_another(count):
    """Three to one against white, as WCAG asks of graphs, and so in the dark, lightness turned."""
    for colours in (level_colours(count), [fit_colour(i) for i in range(min(count, 6))]):
        shades = np.array([luminance(colour) for colour in colours])
        assert (1.05 / (shades + 0.05) >= 3).all()
        assert len({tuple(to_rgb(colour)) for colour in colours}) == len(colours)


def test_every_plot_is_drawn_here():
    drawn = {re.split(" of |,", name)[0] for name in DRAWINGS}
    assert {f"plot_{name}" for name in drawn} == set(plotting.__all__)
