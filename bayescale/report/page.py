"""From what a report says to its page: every number as text, the curve of the slider, the HTML."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bayescale.common.quantities import format_number, format_spread
from bayescale.language.variables import short_unit, variable
from bayescale.prediction.measured import (
    FURTHEST,
    held_at,
    measured_on,
    of_dense,
    range_held,
)
from bayescale.report.checks import checks, facts, input_ranges, trust, watched
from bayescale.report.content import Content, thinned
from bayescale.report.pictures import pictures
from bayescale.report.words import input_words, more_or_less, nats, percent, plan_words, times

__all__ = ["curve", "page", "spoken"]

#: The slider's curve: its size, and where its axes begin, in units of the image.
_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 400, 240, 44, 20, 18, 38


def page(found: Content) -> str:
    """The HTML of a report."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("bayescale.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    rows = [spoken(found, row) for row in found.rows]
    checked = checks(found)
    drawn = curve(found)
    data = {
        "at": found.at,
        "rows": [{**row, "x": drawn["x"][i], "y": drawn["y"][i]} for i, row in enumerate(rows)],
        "draws": [[round(x, 5) for x in row["draws"]] for row in found.rows],
    }
    return environment.get_template("report.html.jinja").render(
        title=f"What to train with {format_number(found.budget)} FLOP",
        question=found.question,
        answer=rows[found.at],
        paid=found.paid.words,
        target=rows[found.at]["loss"],
        worth=_worth(found),
        watched=watched(checked),
        fewer=len(found.rows) > 1 and thinned(found.fit) is not found.fit,
        simulated=bool(found.fit.about.get("simulated")),
        share=percent(found.prob),
        trust=trust(found),
        inputs=[_input(found, name) for name in found.fit.law.inputs],
        plans=[rows[i] for i in _picked(found)],
        sizes=[_size(found, one) for one in found.sizes],
        within=f"{found.within:g}",
        tail=percent((1 + found.prob) / 2),
        certain=rows[found.at]["certain"],
        band=_band(found),
        checks=checked,
        failed=[one for one in checked if one.verdict == "failed"],
        pictures=pictures(found),
        unit=found.unit,
        short=short_unit(found.unit),
        backtest=found.backtest is not None,
        others=_others(found),
        scores=_scores(found),
        odds=_odds(found),
        ledger=_ledger(found),
        facts=facts(found),
        priors=found.fit.about.get("priors", {}),
        ranges=input_ranges(found),
        runs=_runs(found),
        curve=drawn,
        data_at=found.at,
        data=_script_safe(data),
    )


def spoken(found: Content, row: Mapping[str, Any]) -> dict[str, Any]:
    """The answer at one budget, every number of it as text."""
    loss, regret = row["loss"], row["regret"]
    middle, low, high = format_spread(loss["median"], loss["lower"], loss["upper"])
    certain = loss["lower"] == loss["upper"]
    flop, plan = format_number(row["budget"]), plan_words(row["plan"], found.fit.law.variables)
    hours = found.paid.hours_of(row["budget"])
    device = found.paid.device
    spent = flop + " FLOP"
    if hours is not None and device is not None:
        spent += f", {format_number(hours)} {device.name} hours"
    spread = "" if certain else f", {percent(found.prob)} interval {low} to {high}"
    return {
        "budget": flop,
        "plan": {name: format_number(value) for name, value in row["plan"].items()},
        "optimum": {
            name: f"{format_number(ends[0])} to {format_number(ends[1])}"
            for name, ends in row["optimum"].items()
        },
        "loss": middle,
        "interval": "" if certain else f"{low} to {high}",
        "certain": certain,
        "regret": nats(regret["mean"]),
        "most": ("at most " if regret["upper"] >= 5e-5 else "") + nats(regret["upper"]),
        "beyond": times(row["extrapolation"]) if math.isfinite(row["extrapolation"]) else "",
        "sentence": f"Train a model of {plan} ({spent}). Expect a loss of {middle} {found.unit}"
        f"{spread}.{'' if certain else _held_words(found, row)}",
    }


def _held_words(found: Content, row: Mapping[str, Any]) -> str:
    """How sure the interval is: what was measured of such intervals so far beyond the runs."""
    beyond = row["extrapolation"]
    if not math.isfinite(beyond) or beyond <= 1:
        return ""
    if beyond > FURTHEST or found.prob != 0.9:
        return " How often such intervals hold so far beyond the runs has not been measured."
    kind = "calibrated" if found.fit.about.get("options", {}).get("discrepancy") else "textbook"
    if not of_dense(found.fit.law):
        return (
            f" Beyond the runs, intervals of such fits held {range_held(found.fit.law, kind)} of "
            f"losses on {measured_on(found.fit.law)}, where they say 90."
        )
    held = held_at(kind, beyond)
    return (
        f" So far beyond the runs, intervals of such fits held {100 * held.share:.0f} of 100 "
        f"losses on {held.series} measured dense series."
    )


def _worth(found: Content) -> str:
    """The expected loss against the best that was trained."""
    runs, loss = found.fit.runs, found.answer["loss"]
    if runs is None:
        return ""
    best = float(runs["loss"].min())
    middle, _, _ = format_spread(best - loss["median"], loss["lower"], loss["upper"])
    had, _, _ = format_spread(best, loss["lower"], loss["upper"])
    change = f"{middle.lstrip('-')} {short_unit(found.unit)} "
    change += "less" if loss["median"] < best else "more"
    count = runs.sizes["run"]
    return f"That is {change} than the best of the {count} fitted runs reached ({had})."


def _input(found: Content, name: str) -> dict[str, str]:
    known = variable(name, found.fit.law.variables)
    return {"name": name, "unit": known.unit, "what": known.description}


def _picked(found: Content) -> list[int]:
    """Rows of the plan table: the budget, and what lies factors of about three around it."""
    budgets = np.log([row["budget"] for row in found.rows])
    wanted = [math.log(found.budget * factor) for factor in (0.1, 0.3, 1, 3, 10)]
    inside = [x for x in wanted if budgets[0] - 0.1 <= x <= budgets[-1] + 0.1]
    return sorted({int(np.abs(budgets - x).argmin()) for x in inside} | {found.at})


def _size(found: Content, one: Mapping[str, Any]) -> dict[str, str]:
    factor = {0.25: "a quarter", 0.5: "half", 2.0: "twice", 4.0: "four times"}[one["factor"]]
    plan = plan_words(one["plan"], found.fit.law.variables)
    return {"factor": factor, "plan": plan, "more": more_or_less(one["more"])}


def _band(found: Content) -> str:
    """Which plans are as good, in a sentence; empty if the budget leaves nothing free."""
    free = found.space.free
    band = found.answer["band"].get(free)
    if free is None or band is None:
        return ""
    low, high = band
    most = input_words(free, high, found.fit.law.variables)
    unit = short_unit(found.unit)
    return (
        f"Anything from {format_number(low)} to {most} costs at most {found.within:g} {unit} more."
    )


def _others(found: Content) -> list[dict[str, Any]]:
    """What the other fits say of the budget: an answer each, or why there is none."""
    said: list[dict[str, Any]] = []
    for name, fit in found.fits.items():
        row = found.answer if name == found.name else found.others[name]
        if isinstance(row, str):
            said.append({"name": name, "law": fit.law.name, "why": row})
            continue
        words = spoken(found, row)
        plan = plan_words(row["plan"], fit.law.variables)
        said.append({**words, "name": name, "law": fit.law.name, "plan": plan, "why": ""})
    return said if len(said) > 1 else []


def _odds(found: Content) -> list[dict[str, str]]:
    """The first architecture against the others, as text."""
    return [
        {
            "name": one["name"],
            "budget": format_number(one["budget"]),
            "chance": f"{100 * one['probability']:.0f}\u00a0%",
            "more": times(one["median"]),
            "ends": f"{times(one['lower'])} to {times(one['upper'])}",
        }
        for one in found.odds
    ]


def _ledger(found: Content) -> list[dict[str, str]]:
    """Forecasts that were made and what became of them."""
    if found.ledger is None:
        return []
    rows = []
    for one in found.ledger.to_dict("records"):
        middle, low, high = format_spread(one["median"], one["lower"], one["upper"])
        loss, _, _ = format_spread(one["loss"], one["lower"], one["upper"])
        inside = "inside" if one["inside"] else "outside"
        rows.append({**one, "said": middle, "ends": f"{low} to {high}", "got": loss, "in": inside})
    return rows


def _scores(found: Content) -> dict[str, Any] | None:
    if found.scores is None:
        return None
    if isinstance(found.scores, str):
        return {"rows": [], "reading": found.scores}
    table = found.scores
    rows = [
        {
            "name": name,
            "elpd": f"{one.elpd:.1f}",
            "difference": f"{abs(one.elpd_diff):.1f} ± {one.dse:.1f}" if i else "the best",
            "weight": f"{one.weight:.2f}",
            "pareto_k": f"{one.pareto_k:.2f}",
        }
        for i, (name, one) in enumerate(table.iterrows())
    ]
    return {"rows": rows, "reading": table.attrs["reading"]}


def _runs(found: Content) -> list[list[str]]:
    """The fitted runs, largest compute last as the table had them: inputs and loss as text."""
    runs = found.fit.runs
    if runs is None:
        return []
    names = [n for n in (*found.fit.law.inputs, "loss") if n in runs]
    columns = [
        [f"{x:.4f}" if n == "loss" else format_number(x, 4) for x in runs[n].values] for n in names
    ]
    return [names, *([*row] for row in zip(*columns, strict=True))]


def _script_safe(data: Any) -> str:
    """JSON that nothing in it can end the script of."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


# --- the curve of the slider ----------------------------------------------------------------------


def curve(found: Content) -> dict[str, Any]:
    """Loss over budget as paths of an image of 400 by 240: the band, the line, ticks, places."""
    budgets = np.log10([row["budget"] for row in found.rows])
    loss = {end: np.array([row["loss"][end] for row in found.rows]) for end in _ENDS}
    low, high = loss["lower"].min(), loss["upper"].max()
    room = 0.04 * (high - low) or 0.01
    low, high = low - room, high + room
    left, right = budgets[0], budgets[-1] if budgets[-1] > budgets[0] else budgets[0] + 1
    across, down = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def x(value: Any) -> Any:
        return np.round(_LEFT + across * (value - left) / (right - left), 1)

    def y(value: Any) -> Any:
        return np.round(_TOP + down * (high - value) / (high - low), 1)

    upper = list(zip(x(budgets), y(loss["upper"]), strict=True))
    lower = list(zip(x(budgets), y(loss["lower"]), strict=True))
    decades: list[float] = list(range(math.ceil(left - 1e-9), math.floor(right + 1e-9) + 1))
    decades = decades if len(decades) > 1 else [round(left, 2), round(right, 2)]
    beyond = found.rows[0]["extrapolation"]
    largest = budgets[0] - math.log10(beyond) if math.isfinite(beyond) else math.nan
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "left": _LEFT,
        "right": _WIDTH - _RIGHT,
        "top": _TOP,
        "bottom": _HEIGHT - _BOTTOM,
        "x": [float(value) for value in x(budgets)],
        "y": [float(value) for value in y(loss["median"])],
        "band": _path([*upper, *reversed(lower)]),
        "line": _path(list(zip(x(budgets), y(loss["median"]), strict=True))),
        "across": [(float(x(e)), _tick(e)) for e in decades],
        "up": [(float(y(v)), f"{v:g}") for v in _round_steps(low, high)],
        "largest": float(x(largest)) if left < largest < right else None,
    }


_ENDS = ("lower", "median", "upper")


def _tick(exponent: float) -> str:
    return f"1e{exponent}" if isinstance(exponent, int) else format_number(10**exponent, 2)


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points)


def _round_steps(low: float, high: float) -> list[float]:
    """A few round values between two."""
    width = 10 ** math.floor(math.log10(high - low))
    step = next(s * width for s in (0.1, 0.2, 0.5, 1.0, 2.0) if (high - low) / (s * width) <= 6)
    return [round(step * i, 10) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]
