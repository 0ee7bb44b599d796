"""What ``bayescale allocate`` and ``decide`` say: JSON documents, and the same for people."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.cli.output import Span, aside, say, show, write_file
from bayescale.cli.results import (
    beyond,
    head_of,
    holds_if,
    note_limits,
    note_simulated,
    percent,
    summary,
    times,
)
from bayescale.common.quantities import format_number, format_spread
from bayescale.language.variables import short_unit, variable

if TYPE_CHECKING:
    import xarray as xr

    from bayescale.fitting.fits import Fit

# --- allocate -------------------------------------------------------------------------------------


def allocation_document(
    fit: Fit,
    best: xr.Dataset,
    prob: float,
    hours: Mapping[float, Mapping[str, float]] | None = None,
) -> dict[str, Any]:
    """The optimal allocation of every budget."""
    from bayescale.prediction.headline import outside_runs

    budgets = []
    for i, budget in enumerate(best.budget.values):
        at = best.isel(budget=i)
        entry: dict[str, Any] = {
            "budget": float(budget),
            "extrapolation": float(at.extrapolation),
            "at_bound": float(at.at_bound),
        }
        if held := (hours or {}).get(float(budget)):
            entry["chip_hours"] = dict(held)
        for name in fit.law.inputs:
            entry[name] = summary(at[name], prob)
            if variable(name, fit.law.variables).scale is None:
                values, counts = np.unique(at[name].values, return_counts=True)
                entry[name]["choices"] = [
                    {"value": float(value), "probability": count / counts.sum()}
                    for value, count in zip(values, counts, strict=True)
                ]
        if {"D", "D_unique"} <= set(fit.law.inputs):
            entry["passes"] = summary(at["D"] / at["D_unique"], prob)
        entry["loss"] = summary(at.loss, prob)
        middle = {name: entry[name]["median"] for name in fit.law.inputs}
        entry["outside"] = outside_runs(fit, middle)
        budgets.append(entry)
    return {**head_of(fit, prob), "assumptions": _assumed(best), "budgets": budgets}


def _assumed(plan: xr.Dataset) -> dict[str, Any]:
    """What the plans rest on besides the law."""
    return dict(json.loads(plan.attrs.get("assumptions", "{}")))


def say_assumptions(assumptions: Mapping[str, Any]) -> None:
    """Say which settings of its cost model a plan rests on, and how the table counts."""
    if settings := assumptions.get("settings"):
        said = ", ".join(f"{name} = {value:.4g}" for name, value in settings.items())
        say(
            f"The cost model {assumptions['cost_model']} takes {said}; --fixed NAME=VALUE says "
            "otherwise."
        )


def show_allocation(document: Mapping[str, Any]) -> None:
    """The optimal allocation for people."""
    budgets = document["budgets"]
    skipped = ("budget", "extrapolation", "at_bound", "loss", "chip_hours", "outside")
    inputs = [name for name in budgets[0] if name not in skipped]
    ratios = ["compute"] if any(np.isfinite(one["extrapolation"]) for one in budgets) else []
    rows: list[list[str | Span]] = []
    chips = list(dict.fromkeys(name for one in budgets for name in one.get("chip_hours", {})))
    for one in budgets:
        row: list[str | Span] = [format_number(one["budget"])]
        held = one.get("chip_hours", {})
        row += [format_number(held[name]) if name in held else "-" for name in chips]
        row += [times(one["extrapolation"]) for _ in ratios]
        for name in inputs:
            choices = one[name].get("choices")
            row.append(_choices(choices) if choices else _span(one[name], format_number))
        rows.append([*row, _span(one["loss"], "{:.4f}".format)])
    show(["budget", *(f"hours of {name}" for name in chips), *ratios, *inputs, "loss"], rows)
    say_assumptions(document["assumptions"])
    note_simulated(document)
    share = percent(document["prob"])
    aside(
        f"Median and {share} interval of the optimum of each posterior draw; budgets in FLOP, "
        f"loss in {document['loss_unit']}, the law's at the optimum."
    )
    if ratios:
        aside(beyond(document))
    note_limits(document, budgets)
    aside("For the one plan to train, see bayescale decide.")


def _choices(choices: Iterable[Mapping[str, float]]) -> str:
    """Listed values by how often they are the best."""
    ranked = sorted(choices, key=lambda one: -one["probability"])
    seen = [one for one in ranked if one["probability"] >= 0.005][:4]
    if len(seen) == 1:
        return format_number(seen[0]["value"])
    return "\n".join(f"{format_number(x['value'])} ({100 * x['probability']:.0f} %)" for x in seen)


# --- decide ---------------------------------------------------------------------------------------


def decision_document(
    fit: Fit,
    plan: xr.Dataset,
    prob: float,
    hours: Mapping[float, Mapping[str, float]] | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """The plan of least expected loss at every budget."""
    from bayescale.prediction.headline import outside_runs, run_loss

    run_losses = run_loss(fit, {name: plan[name].values for name in fit.law.inputs}, seed=seed)
    budgets = []
    for i, budget in enumerate(plan.budget.values):
        at = plan.isel(budget=i)
        bands = [str(name) for name in at.data_vars if str(name).endswith("_band")]
        ends = {name.removesuffix("_band"): at[name].values.tolist() for name in bands}
        held = (hours or {}).get(float(budget))
        one = {
            "budget": float(budget),
            **({"chip_hours": dict(held)} if held else {}),
            "extrapolation": float(at.extrapolation),
            "plan": {name: float(at[name]) for name in fit.law.inputs},
            **_passes(at),
            "outside": outside_runs(fit, {name: float(at[name]) for name in fit.law.inputs}),
            "run_loss": summary(run_losses.isel(budget=i), prob),
            "expected_loss": float(at.expected_loss),
            "loss": summary(at.loss, prob),
            "expected_regret": float(at.expected_regret),
            "regret": summary(at.regret, prob),
            "band": {name: {"lower": low, "upper": high} for name, (low, high) in ends.items()},
        }
        budgets.append(one)
    within = float(plan.attrs["within"])
    assumed = {"assumptions": _assumed(plan)}
    return {**head_of(fit, prob), "within": within, **assumed, "budgets": budgets}


def _passes(at: xr.Dataset) -> dict[str, float]:
    """Passes over the different tokens of a plan, where it has both counts."""
    if not {"D", "D_unique"} <= set(at.data_vars):
        return {}
    return {"passes": float(at["D"] / at["D_unique"])}


def show_decision(document: Mapping[str, Any]) -> None:
    """The plan of least expected loss, in words."""
    share, unit = percent(document["prob"]), short_unit(document["loss_unit"])
    for i, one in enumerate(document["budgets"]):
        if i:
            say()
        say(f"With {format_number(one['budget'])} FLOP train {_plan(one['plan'])}.", "bold")
        if "passes" in one:
            say(f"That is {one['passes']:.3g} passes over the different tokens.", indent=2)
        for chip, count in one.get("chip_hours", {}).items():
            say(f"That is {format_number(count)} hours of one {chip} of its peak.", indent=2)
        loss, regret = one["run_loss"], one["regret"]
        certain = loss["lower"] == loss["upper"]
        middle, low, high = format_spread(loss["median"], loss["lower"], loss["upper"])
        spread = f", {share} interval {low} to {high}: a new run's, its median first"
        say(f"Loss to expect: {middle} {unit}{'' if certain else spread}.", indent=2)
        if not certain:
            tail = percent((1 + document["prob"]) / 2)
            most = f"; at most {regret['upper']:.4f} with {tail} probability"
            say(
                f"Expected regret: {_nats(one['expected_regret'])} {unit} against the best plan if "
                "the law's coefficients were known, the most that further runs could save"
                f"{most if regret['upper'] >= 5e-5 else ''}.",
                indent=2,
            )
        say(_band(one, document["within"], unit), indent=2)
        if np.isfinite(one["extrapolation"]):
            ratio = one["extrapolation"]
            given = f"; 90 % intervals {holds_if(document)}" if ratio > 1 else ""
            say(
                f"The budget is {times(ratio)} the compute of the largest fitted run{given}.",
                indent=2,
            )
    say_assumptions(document["assumptions"])
    note_simulated(document)
    note_limits(document, document["budgets"], say)


def _plan(plan: Mapping[str, float]) -> str:
    parts = [f"{name} = {format_number(value)}" for name, value in plan.items()]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _band(one: Mapping[str, Any], within: float, unit: str) -> str:
    wide = {name: b for name, b in one["band"].items() if b["upper"] > b["lower"] * (1 + 1e-9)}
    if not wide:
        return "The budget leaves nothing free: there is one such plan."
    first, *others = wide
    text = f"Any {first} from {_ends(wide[first])}"
    if len(others) == 1:
        text += f" (and {others[0]} from {_ends(wide[others[0]], falling=True)} to match)"
    elif others:
        spans = ", ".join(f"{name} from {_ends(wide[name])}" for name in others)
        text = f"{text}, or {spans}, the rest chosen to match,"
    return f"{text} costs at most {within:g} {unit} more."


def _ends(band: Mapping[str, float], *, falling: bool = False) -> str:
    ends = [format_number(band["lower"]), format_number(band["upper"])]
    return " to ".join(reversed(ends) if falling else ends)


def _nats(value: float) -> str:
    return f"{value:.4f}" if value >= 5e-5 else "less than 0.0001"


def _span(values: Mapping[str, float], form: Any) -> Span:
    return Span(form(values["median"]), form(values["lower"]), form(values["upper"]))


# --- plot -----------------------------------------------------------------------------------------


def reach(budgets: Sequence[float]) -> np.ndarray:
    """Budgets to draw: from the least to the largest, over a decade or more."""
    low, high = min(budgets), max(budgets)
    if high < 10 * low:
        low, high = low / 10, high * 10
    return np.geomspace(low, high, 25)


def write_plot(plot: Callable[[], Any], path: Path) -> None:
    """Draw a figure and write it; replaces the file."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the table has said what there is to say of the budgets
        panels = plot()
    figure = np.ravel(panels)[0].figure
    image = io.BytesIO()
    figure.savefig(image, format=path.suffix[1:].lower(), dpi=150)
    plt.close(figure)
    write_file(path, image.getvalue(), force=True)
