"""The pictures of a report: SVG images that the page holds itself, for wide and for narrow screens.

Each has an alternative text that says what there is to see.
"""

from __future__ import annotations

import base64
import io
import math
import re
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from bayescale import plotting
from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number
from bayescale.language.variables import LOSS_UNIT, short_unit
from bayescale.plotting.allocation import draw_allocation
from bayescale.plotting.figures import (
    INK,
    MARKERS,
    fit_colour,
    spread,
    style,
    uncertain,
    with_key,
)
from bayescale.report.checks import held
from bayescale.report.content import Content, thinned
from bayescale.report.words import percent

__all__ = ["Picture", "pictures"]

_MOST_SETS = 5  # of published coefficients


class Picture(NamedTuple):
    """An image of the page: its data URI, a caption, and words for who cannot see it.

    One of several panels has a second image for narrow screens, where the panels are stacked.
    """

    name: str
    title: str
    wide: str
    narrow: str | None
    alt: str
    caption: str


def pictures(found: Content) -> list[Picture]:
    """Every picture that the fits allow, in the page's order."""
    makers = (_isoflop, _frontier, _fitted, _posterior, _calibration, _comparison)
    drawn = []
    for make in makers:
        try:
            one = make(found)
        except InputError:  # A law may have no free size, or no coefficients in raw units.
            continue
        if one is not None:
            drawn.append(one)
    return drawn


def _isoflop(found: Content) -> Picture:
    """Loss over size at the budget, with the plan and the runs there are."""
    free = found.space.free
    if free is None:
        raise InputError("there is no free size")
    plan, few = found.answer["plan"][free], thinned(found.fit)

    def draw(figure: Any, narrow: bool) -> None:
        axes = figure.add_subplot()
        plotting.plot_isoflop(few, found.budget, prob=found.prob, ax=axes, **found.options)
        axes.plot(
            [plan], [found.answer["loss"]["median"]], "*", ms=13, color=fit_colour(1),
            mec="white", mew=0.8, zorder=6, label=f"the plan, {format_number(plan)}",
        )  # fmt: skip
        if found.fit.runs is not None and free in found.fit.runs:
            _add_runs(axes, found.fit.runs[free].values, found.fit.runs["loss"].values)
        axes.set_title(f"at {format_number(found.budget)} FLOP", fontsize=9)
        unsure = uncertain(few)
        more = [*spread([found.prob], "bands"), *spread({0.5, found.prob}, "bars")]
        with_key(axes, more if unsure else (), loc="best")

    low, high = found.answer["optimum"][free]
    runs = "" if found.fit.runs is None else " Points are fitted runs, at their own budgets."
    return _picture(
        "isoflop",
        "Loss over model size",
        draw,
        (6.0, 3.4),
        None,
        f"Curve of the law's loss over {free} for {format_number(found.budget)} FLOP, with a "
        f"{percent(found.prob)} band, and a star at the plan, {free} = {format_number(plan)}. The "
        f"lowest loss lies between {free} = {format_number(low)} and {format_number(high)}, "
        f"{percent(found.prob)} interval.{runs}",
        f"What each size of model would reach for the budget, with its {percent(found.prob)} band; "
        f"the star is the plan, and the bars below it show where the lowest point lies "
        f"({percent(0.5)} and {percent(found.prob)} intervals). Where the curve is flat, the size "
        f"matters little.{runs}",
    )


def _add_runs(axes: Any, sizes: np.ndarray, losses: np.ndarray) -> None:
    """The runs there are, as far up as leaves the curve a third of the height."""
    low, high = axes.get_ylim()
    top = max(high, min(losses.max() + 0.04 * (high - low), low + 3 * (high - low)))
    seen = losses <= top
    if not seen.any():
        return
    axes.plot(sizes[seen], losses[seen], "o", ms=3, color="0.5", alpha=0.7, label="runs", zorder=2)
    left, right = axes.get_xlim()
    axes.set_xlim(min(left, 0.8 * sizes[seen].min()), max(right, 1.25 * sizes[seen].max()))
    axes.set_ylim(low - 0.06 * (top - high), top)


def _frontier(found: Content) -> Picture:
    ends, panels = [found.rows[0], found.rows[-1]], _panels(found)

    def draw(figure: Any, narrow: bool) -> None:
        across = 1 if narrow else 2
        axes = figure.subplots(-(-len(panels) // across), across, squeeze=False).ravel()
        for spare in axes[len(panels) :]:
            spare.set_axis_off()
        probs = sorted({0.5, found.prob})
        draw_allocation(
            {found.name: found.fit}, {found.name: found.optima}, {found.name: found.space},
            show=panels, probs=probs, mark=found.budget, ax=axes[: len(panels)],
        )  # fmt: skip

    unit = short_unit(found.unit)
    said = [
        f"{format_number(row['budget'])} FLOP: {row['loss']['median']:.3f} {unit}" for row in ends
    ]
    return _picture(
        "frontier",
        "The frontier: the best plan for every budget",
        draw,
        (6.2, 2.3 * math.ceil(len(panels) / 2) + 0.2),
        (4.2, 2.3 * len(panels)),
        f"The optimal {', '.join(panels[:-1])} and the loss over the budget, with {percent(0.5)} "
        f"and {percent(found.prob)} bands. The loss of the plans falls from {' to '.join(said)}.",
        "What to train at each budget, and the loss that the law gives there. Right of the "
        "dashed line lies beyond the largest fitted run; the orange line is the budget asked for.",
    )


def _panels(found: Content) -> list[str]:
    """What the frontier shows: what the budget decides, tokens per parameter, and the loss."""
    space = found.space
    decided = (*space.continuous, space.balance, *space.choices)
    names = [name for name in found.fit.law.inputs if name in decided]
    return [*names, "loss"]


def _fitted(found: Content) -> Picture | None:
    if found.fit.runs is None:
        return None

    def draw(figure: Any, narrow: bool) -> None:
        plotting.plot_fit(thinned(found.fit), prob=found.prob, ax=figure.add_subplot())

    count = found.fit.runs.sizes["run"]
    loss = found.fit.runs["loss"].values
    return _picture(
        "fit",
        "The law over the runs it was fitted to",
        draw,
        (4.8, 3.6),
        None,
        f"Losses of the {count} runs, {loss.min():.2f} to {loss.max():.2f} "
        f"{short_unit(found.unit)}, as points, and the law as curves "
        f"with {percent(found.prob)} bands.",
        "Points are runs, curves the law. Points that leave the curves together, rather than each "
        "by itself, speak against the law.",
    )


def _posterior(found: Content) -> Picture:
    law, count = found.fit.law, len(found.fit.law.coefficients)

    def draw(figure: Any, narrow: bool) -> None:
        across = 1 if narrow else min(count, 3)
        grid = figure.subplots(-(-count // across), across, squeeze=False, sharey=True)
        for spare in grid.ravel()[count:]:
            spare.set_axis_off()
        axes = grid.ravel()[:count]
        probs = sorted({0.5, found.prob})
        plotting.plot_coefficients(found.fit, published=shown, probs=probs, ax=axes)

    shown = list(law.published)[:_MOST_SETS] if found.unit == LOSS_UNIT else []
    height = 0.2 * (1 + len(shown)) + 0.8
    more = f" The law has {len(law.published)} sets; the first are shown."
    title, beside, caption = "The law's coefficients", "", "Intervals of the coefficients."
    if shown:
        title = "The law's coefficients beside published ones"
        beside = f", above the published values ({', '.join(shown)})"
        caption = (
            "Published values (grey) are of other corpora and tokenizers: exponents compare, "
            f"amplitudes seldom do.{more if len(shown) < len(law.published) else ''}"
        )
    return _picture(
        "posterior",
        title,
        draw,
        (6.2, height * math.ceil(count / 3)),
        (4.2, height * count),
        f"Intervals of {', '.join(law.coefficients)} from these runs{beside}.",
        caption,
    )


def _calibration(found: Content) -> Picture | None:
    table = found.backtest
    if table is None:
        return None

    cuts = table["cut"].to_numpy(float) if "cut" in table else np.zeros(len(table))

    def draw(figure: Any, narrow: bool) -> None:
        axes = figure.add_subplot()
        observed, start = table["loss"].to_numpy(float), 0
        for i, cut in enumerate(np.unique(cuts)):
            of_cut = np.flatnonzero(cuts == cut)
            if "beyond" in table:
                of_cut = of_cut[np.argsort(table["beyond"].to_numpy()[of_cut], kind="stable")]
            low, middle, high = (
                100 * (table[q].to_numpy(float) / observed - 1)[of_cut]
                for q in ("q05", "q50", "q95")
            )
            at, colour = start + 1 + np.arange(len(of_cut)), fit_colour(i)
            label = f"largest {cut:.0%} kept apart" if cut else None
            axes.vlines(at, low, high, color=colour, linewidth=1.6, label=label)
            axes.plot(at, middle, MARKERS[i % len(MARKERS)], color=colour, mfc="white", ms=3.5)
            start = at[-1] + 1
        axes.axhline(0, color=INK, linestyle="--", linewidth=0.9)
        axes.set_xlabel("run kept apart, in order of compute")
        axes.set_ylabel("predicted over observed loss − 1 (%)")
        axes.set_xticks([])
        if cuts.any():
            figure.legend(loc="outside upper center", ncols=2)

    inside, among = held(found)
    return _picture(
        "calibration",
        "Calibration on these runs",
        draw,
        (4.8, 3.2),
        None,
        f"Predictions of runs kept apart against their losses: {inside} of {among} lie in their "
        f"{percent(0.9)} intervals.",
        "Larger runs predicted from smaller ones. A bar that misses the dashed line is a loss "
        f"outside its {percent(0.9)} interval.",
    )


def _comparison(found: Content) -> Picture | None:
    able = {name: fit for name, fit in found.fits.items() if isinstance(_row(found, name), dict)}
    if len(able) < 2:
        return None

    def draw(figure: Any, narrow: bool) -> None:
        axes = figure.add_subplot()
        plotting.plot_isoflop(able, found.budget, prob=found.prob, ax=axes, **found.options)

    unit = short_unit(found.unit)
    said = [f"{n}: {_row(found, n)['loss']['median']:.3f} {unit}" for n in able]  # type: ignore[index]
    return _picture(
        "laws",
        "What each law says of this budget",
        draw,
        (4.8, 3.6),
        None,
        f"Loss over size at {format_number(found.budget)} FLOP under each law. Loss of its "
        f"plan by {'; by '.join(said)}.",
        "Laws that fit the runs alike may part where there are no runs.",
    )


def _row(found: Content, name: str) -> dict[str, Any] | str:
    return found.answer if name == found.name else found.others[name]


def _picture(
    name: str,
    title: str,
    draw: Callable[[Any, bool], None],
    wide: tuple[float, float],
    narrow: tuple[float, float] | None,
    alt: str,
    caption: str,
) -> Picture:
    """Draw a picture, a second time for narrow screens if it is of another size there."""
    large = _drawn(draw, wide, narrow=False)
    small = None if narrow is None else _drawn(draw, narrow, narrow=True)
    return Picture(name, title, large, small, alt, caption)


def _drawn(draw: Callable[[Any, bool], None], size: tuple[float, float], *, narrow: bool) -> str:
    """An SVG as a data URI."""
    import matplotlib
    from matplotlib.figure import Figure

    # Equal names of equal shapes, so that equal reports are equal files.
    settings: Any = {"svg.hashsalt": "bayescale", "figure.facecolor": "white"}
    with style(), matplotlib.rc_context(settings):
        figure = Figure(figsize=size, layout="constrained")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            draw(figure, narrow)
            image = io.BytesIO()
            figure.savefig(image, format="svg", metadata={"Date": None})
    text = _COORDINATES.sub(_shortened, image.getvalue().decode())
    text = re.sub(r">\s+<", "><", text[text.index("<svg") :])
    return f"data:image/svg+xml;base64,{base64.b64encode(text.encode()).decode()}"


#: Coordinates of paths and places, which are shortened: a page is sent by mail.
_COORDINATES = re.compile(r'(?<= d=")[^"]+|(?<=translate\()[^)]+')
_DECIMAL = re.compile(r"\d+\.\d{2,}")


def _shortened(path: re.Match[str]) -> str:
    """Coordinates to a tenth of a point, without line breaks."""
    short = _DECIMAL.sub(lambda number: f"{float(number[0]):.1f}".removesuffix(".0"), path[0])
    return " ".join(short.split())
