"""What ``fit``, ``predict`` and ``compare`` say: JSON documents, and the same for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.cli.output import Span, aside, conclude, say, show
from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number, format_spread
from bayescale.language.compute import law_flops
from bayescale.language.variables import LOSS_UNIT, short_unit

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from bayescale.fitting.fits import Fit


def holds_if(document: Mapping[str, Any]) -> str:
    """How often intervals beyond the fitted runs held."""
    held = document["held"]
    kind = "calibrated" if document["calibrated"] else "textbook"
    line = f"of such fits held {held[kind]} of losses on {held['on']}, where it says 90"
    if document["calibrated"]:
        return line
    return f"{line}; of fits with --calibrated {held['calibrated']}"


def beyond(document: Mapping[str, Any]) -> str:
    """What the column of compute ratios says."""
    known = "compute: relative to the largest fitted run; beyond 1x 90 % intervals"
    return f"{known} {holds_if(document)}."


def summary(draws: xr.DataArray, prob: float) -> dict[str, float]:
    """Draws over chain and draw in a few numbers; a mean need not exist, and is none of them."""
    from bayescale.prediction.predict import interval

    lower, upper = interval(draws, prob).values
    return {"median": float(draws.median()), "lower": float(lower), "upper": float(upper)}


def head_of(fit: Fit, prob: float) -> dict[str, Any]:
    """What every document about a fit begins with."""
    from bayescale.prediction.measured import MEASURED, measured_on, range_held

    about = fit.about
    held = {kind: range_held(fit.law, kind) for kind in MEASURED}
    return {
        "law": fit.law.name,
        "noise": about["noise"],
        "published": about.get("published"),
        "simulated": bool(about.get("simulated", False)),
        "calibrated": bool(about.get("directions")),
        "held": {"on": measured_on(fit.law), **held},
        "gaps": list(about.get("gaps", ())),
        "loss_unit": fit.loss_unit,
        "prob": prob,
    }


# --- fit ------------------------------------------------------------------------------------------


def fit_document(fit: Fit, prob: float, saved: str | None) -> dict[str, Any]:
    """A fit: its diagnostics, and its coefficients in raw units where they are known."""
    from bayescale.fitting.diagnostics import diagnose
    from bayescale.fitting.fits import coefficients

    about = fit.about
    try:
        draws, units = coefficients(fit, units="raw"), "raw"
    except InputError:
        draws, units = coefficients(fit), "reference"
    values: dict[str, Any] = {}
    for name in fit.law.coefficients:
        values |= _by_group(name, draws[name], prob)
    noise = [name for name in fit.posterior.data_vars if str(name).startswith("noise_")]
    table = diagnose(fit)
    return {
        **head_of(fit, prob),
        "table": about.get("table", ""),
        "runs": 0 if fit.runs is None else fit.runs.sizes["run"],
        "seed": about["seed"],
        "saved": saved,
        "diagnostics": {
            "ok": table.attrs["ok"],
            "method": about.get("method", "nuts"),
            "chains": about["chains"],
            "draws": about["draws"],
            "divergences": table.attrs["divergences"],
            "rhat": float(table.rhat.max()),
            "ess_bulk": float(table.ess_bulk.min()),
            "ess_tail": float(table.ess_tail.min()),
            "pareto_k": table.attrs.get("pareto_k"),
        },
        "units": units,
        "coefficients": values,
        "noise_parameters": {str(name): summary(fit.posterior[name], prob) for name in noise},
        "published_coefficients": {n: dict(x.values) for n, x in fit.law.published.items()},
    }


def _by_group(name: str, draws: xr.DataArray, prob: float) -> dict[str, dict[str, float]]:
    """A coefficient, or one of each group where it varies: ``E[c4]``."""
    by = [dim for dim in draws.dims if dim not in ("chain", "draw")]
    if not by:
        return {name: summary(draws, prob)}
    return {f"{name}[{x}]": summary(draws.sel({by[0]: x}), prob) for x in draws[by[0]].values}


def fit_records(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The coefficients of a fit, one a row."""
    sets = document["published_coefficients"]
    everything = document["coefficients"] | document["noise_parameters"]
    rows = []
    for name, values in everything.items():
        beside = {key: one.get(name.partition("[")[0]) for key, one in sets.items()}
        rows.append({"coefficient": name, **values, **beside})
    return rows


def show_fit(document: Mapping[str, Any]) -> None:
    """A fit for people."""
    show_trust(document)
    say()
    alike = document["units"] == "raw" and document["loss_unit"] == LOSS_UNIT
    sets = document["published_coefficients"] if alike else {}
    rows: list[list[str | Span]] = []
    for name, values in (document["coefficients"] | document["noise_parameters"]).items():
        plain = name.partition("[")[0]
        beside = [f"{one[plain]:.4g}" if plain in one else "" for one in sets.values()]
        rows.append([name, *_estimate(values), *beside])
    interval = f"{percent(document['prob'])} interval"
    show(["coefficient", "median", interval, *sets], rows, left=["coefficient"], droppable=True)
    if document["units"] == "raw":
        unit = short_unit(document["loss_unit"])
        known = " Published values stand beside." if sets else ""
        aside(f"In raw units: plain counts, losses in {unit}.{known}")
    else:
        aside("In reference units: counts over their geometric mean; raw units are not defined.")
    if "counts" in document:
        _show_counts(document)
    if document["saved"]:
        say()
        say(f"saved to {document['saved']}")


def _show_counts(document: Mapping[str, Any]) -> None:
    """The plan by every count of parameters and tokens."""
    names = [n for n in document["counts"][0] if n not in ("column", "count", "trusted")]
    inputs = [n for n in names if "loss" not in n and n != "tokens_per_parameter"]
    rows: list[list[str | Span]] = []
    for one in document["counts"]:
        told = [format_number(one[name]) for name in inputs]
        told += [f"{one['tokens_per_parameter']:.3g}"] if "tokens_per_parameter" in one else []
        loss = f"{one['expected_loss']:.3f} ({one['loss_lower']:.3f} to {one['loss_upper']:.3f})"
        rows.append([f"{one['count']} = {one['column']}", *told, loss])
    ratio = ["D/N"] if "tokens_per_parameter" in names else []
    say()
    show(["count", *inputs, *ratio, "loss (90 % interval)"], rows, left=["count"], droppable=False)
    say()
    say(document["counts_reading"])


def show_trust(document: Mapping[str, Any]) -> None:
    """What was fitted, and whether its draws are to be trusted."""
    kind = "simulated runs" if document["simulated"] else "runs"
    runs = f"{document['runs']} {kind}" + (f" of {document['table']}" if document["table"] else "")
    noise = {"student_t": "Student-t"}.get(document["noise"], document["noise"])
    say(f"{document['law']} fitted to {runs} ({noise} noise, seed {document['seed']})", "bold")
    checks = document["diagnostics"]
    least = min(checks["ess_bulk"], checks["ess_tail"])
    if checks["pareto_k"] is not None:
        how = f"{checks['chains'] * checks['draws']} draws by importance resampling, Pareto k "
        how += f"{checks['pareto_k']:.2f}"
    else:
        how = f"{checks['chains']} chains of {checks['draws']} draws, {checks['divergences']} "
        how += f"divergences, R-hat at most {checks['rhat']:.3f}"
    say(
        f"diagnostics {'passed' if checks['ok'] else 'FAILED'}: {how}, effective draws at least "
        f"{least:.0f}",
        "green" if checks["ok"] else "red",
    )


def _estimate(values: Mapping[str, float]) -> list[str]:
    centre, low, high = (f"{values[key]:.4g}" for key in ("median", "lower", "upper"))
    return [centre, "fixed" if values["lower"] == values["upper"] else f"{low} to {high}"]


# --- predict --------------------------------------------------------------------------------------


def prediction_document(
    fit: Fit,
    loss: xr.DataArray,
    inputs: Mapping[str, Any],
    prob: float,
    *,
    mean: bool,
    labels: Mapping[str, Sequence[Any]],
    observed: Sequence[float] = (),
) -> dict[str, Any]:
    """Predicted losses: one entry a run."""
    from bayescale.prediction.headline import outside_runs

    if "run" not in loss.dims:
        loss = loss.expand_dims("run", axis=-1)
    size = loss.sizes["run"]
    given = {n: np.broadcast_to(np.asarray(v, dtype=float), size) for n, v in inputs.items()}
    ratio = _beyond(fit, given)
    runs = []
    for i in range(size):
        entry: dict[str, Any] = {name: values[i] for name, values in labels.items()}
        entry |= {name: float(values[i]) for name, values in given.items()}
        entry["extrapolation"] = None if ratio is None else float(ratio[i])
        if len(observed):
            entry["observed"] = float(observed[i])
        entry["outside"] = outside_runs(fit, {name: entry[name] for name in fit.law.inputs})
        entry["loss"] = summary(loss.isel(run=i), prob)
        runs.append(entry)
    return {**head_of(fit, prob), "mean": mean, "runs": runs}


def _beyond(fit: Fit, inputs: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """Compute of runs over that of the largest fitted one, where both are known."""
    if fit.runs is None:
        return None
    fitted = {str(name): fit.runs[name].values for name in fit.runs.data_vars}
    asked, known = law_flops(fit.law, inputs), law_flops(fit.law, fitted)
    return None if asked is None or known is None else asked / np.max(known)


def show_prediction(document: Mapping[str, Any]) -> None:
    """Predicted losses for people."""
    runs = document["runs"]
    extra = ("loss", "extrapolation", "observed", "outside")
    columns = [name for name in runs[0] if name not in extra]
    seen = [n for n in ("observed",) if n in runs[0]]
    ratio = ["compute"] if any(run["extrapolation"] is not None for run in runs) else []
    head = [*columns, *ratio, *seen, "loss", f"{percent(document['prob'])} interval"]
    rows: list[list[str | Span]] = []
    for run in runs:
        row = [run[n] if isinstance(run[n], str) else format_number(run[n]) for n in columns]
        row += [times(run["extrapolation"]) for _ in ratio]
        row += [f"{run[n]:.4f}" for n in seen]
        loss = run["loss"]
        certain = loss["lower"] == loss["upper"]
        middle, low, high = format_spread(loss["median"], loss["lower"], loss["upper"])
        rows.append([*row, middle, "-" if certain else f"{low} to {high}"])
    show(head, rows, left=[n for n in columns if isinstance(runs[0][n], str)])
    note_simulated(document)
    what = "the law's loss, about which runs scatter" if document["mean"] else "loss of a new run"
    unit = document["loss_unit"]
    aside(f"loss: {what}, in {unit}; its median and {percent(document['prob'])} interval.")
    if ratio:
        aside(beyond(document))
    note_limits(document, runs)


# --- compare --------------------------------------------------------------------------------------


def comparison_document(table: pd.DataFrame) -> dict[str, Any]:
    """A comparison: the scores, best first, and what they support."""
    told = table.attrs
    fits: list[dict[str, Any]] = [
        {
            "name": str(name),
            **{str(key): float(value) for key, value in row.items()},
            "refits": int(row["refits"]),
            "distinguishable": told["distinguishable"][str(name)],
            "reliable": not told["doubtful"][str(name)],
        }
        for name, row in table.iterrows()
    ]
    return {"by": told["by"], "runs": told["runs"], "fits": fits, "reading": told["reading"]}


_COMPARED = {
    "elpd": "expected log predictive density of left-out runs; higher is better",
    "se": "its standard error",
    "elpd_diff": "elpd less that of the best",
    "dse": "standard error of that difference",
    "p_worse": "probability of predicting worse than the best",
    "p": "effective number of parameters",
    "weight": "share in the mixture of all",
    "pareto_k": "largest of the diagnostic of leaving one run out; a refit where it is high",
}


def show_comparison(document: Mapping[str, Any]) -> None:
    """A comparison for people."""
    rows: list[list[str | Span]] = []
    for one in document["fits"]:
        row: list[str | Span] = [one["name"]]
        for name in _COMPARED:
            form = "{:.2f}" if name in ("p_worse", "weight", "pareto_k") else "{:.1f}"
            row.append(form.format(one[name]) if np.isfinite(one[name]) else "-")
        rows.append(row)
    show(["fit", *_COMPARED], rows, left=["fit"])
    conclude(document["reading"], _COMPARED)


# --- words ----------------------------------------------------------------------------------------


def note_simulated(document: Mapping[str, Any]) -> None:
    """Say so where a fit is to losses that nobody measured."""
    if document["simulated"]:
        say("The losses of the fitted runs were simulated.")


def note_limits(
    document: Mapping[str, Any],
    answers: Sequence[Mapping[str, Any]],
    tell: Callable[[str], None] = aside,
) -> None:
    """Tell which inputs asked about no run is near, and say what the runs cannot tell by design."""
    for said in dict.fromkeys(x for one in answers for x in one.get("outside", ())):
        tell(f"Outside the runs: {said}.")
    for gap in document["gaps"]:
        say(f"Not known from these runs: {gap}.")


def times(value: float | None) -> str:
    """A ratio for people."""
    if value is None or not np.isfinite(value):
        return "-"
    return f"{value:.3g}x" if value < 999.5 else f"{float(f'{value:.3g}'):,.0f}x"


def percent(prob: float) -> str:
    """A probability for people."""
    return f"{100 * prob:g} %"
