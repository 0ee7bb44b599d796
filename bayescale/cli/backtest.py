"""The command ``backtest``: whether small runs would have predicted the large ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bayescale.cli import options as opt

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["backtest"]


def backtest(
    table: opt.Table,
    law: opt.AnyLaw,
    rows: opt.Rows = opt.Rows(),
    cut: opt.Cuts = None,
    order: opt.Order = "flops",
    noise: opt.Noise = None,
    method: opt.Method = "nuts",
    calibrated: opt.Calibrated = False,
    seed: opt.Seed = 0,
    out: opt.Printed = opt.Printed(),
) -> None:
    """Fit the smaller runs, predict the larger ones, and say how well that went.

    For example:

      bayescale backtest runs.csv --law dense
      bayescale backtest olmo_ladder --law dense --cut 0.2 --cut 0.5
      bayescale backtest moe.csv --law sparse --order N --calibrated --csv

    JSON: law, table, order, simulated, reading (sentences), trusted (by cut, whether the fit passed
    its diagnostics), by_cut and by_distance (runs, inside_50, inside_80, inside_90, width, error,
    crps, log_score), and runs: one entry a cut and run, which is what --csv prints.
    """
    from bayescale.cli.inputs import show_understood

    cuts, runs = opt.cut_options(cut), rows.read(table, (*law.inputs, "loss"))
    show_understood(runs)

    from bayescale.checking.validation import backtest as scored
    from bayescale.fitting.inference import CALIBRATED

    options: dict[str, Any] = {"method": method, **(CALIBRATED if calibrated else {})}
    if noise is not None:
        options["noise"] = noise
    document = _document(scored(law, runs, order=order, seed=seed, **cuts, **options))
    out.show(document, document["runs"], _show)


def _document(scores: pd.DataFrame) -> dict[str, Any]:
    from bayescale.checking.validation import coverage

    by_cut, told = coverage(scores), scores.attrs
    distances: list[dict[str, Any]] = []
    if not scores["beyond"].isna().all():
        for span, row in coverage(scores, by="beyond").iterrows():
            ends: Any = span
            distances.append({"from": ends.left, "to": ends.right, **row.to_dict()})
    head = {"law": told["law"], "table": told["name"], "order": told["order"]}
    return head | {
        "simulated": told["simulated"],
        "reading": by_cut.attrs["reading"],
        "trusted": [{"cut": cut, "trusted": ok} for cut, ok in told["trusted"].items()],
        "by_cut": [{"cut": cut, **row.to_dict()} for cut, row in by_cut.iterrows()],
        "by_distance": distances,
        "runs": scores.to_dict("records"),
    }


_MEANINGS = {
    "50 %, 80 %, 90 %": "share of the losses inside the interval of that probability",
    "width": "of the 90 % interval over the loss",
    "error": "loss over the predicted median, less one: above zero if it came out higher",
    "CRPS": "distance of prediction and log loss; lower is better",
    "log score": "log density of the log loss; higher is better",
}


def _show(document: Mapping[str, Any]) -> None:
    from bayescale.cli.output import conclude, say, show

    said = f"{document['law']}, larger runs predicted from smaller ones (by {document['order']})"
    said += f", {document['table']}" if document["table"] else ""
    say(said, "bold")
    if document["simulated"]:
        say("The losses of the runs were simulated.")
    heads = ["runs", "50 %", "80 %", "90 %", "width", "error", "CRPS", "log score"]
    parts: list[tuple[str, list[tuple[str, Mapping[str, Any]]]]] = [
        ("last share", [(f"{row['cut']:.0%}", row) for row in document["by_cut"]]),
        ("decades beyond", [(_span(row), row) for row in document["by_distance"]]),
    ]
    for head, rows in parts:
        if rows:
            say()
            show([head, *heads], [[name, *_cells(row)] for name, row in rows], left=[head])
    conclude(document["reading"], _MEANINGS)


def _span(row: Mapping[str, Any]) -> str:
    far = row["to"] == float("inf")
    return f"{row['from']:g} and more" if far else f"{row['from']:g} to {row['to']:g}"


def _cells(row: Mapping[str, Any]) -> list[str]:
    shares = [f"{row[f'inside_{percent}']:.0%}" for percent in (50, 80, 90)]
    small = [f"{100 * row['width']:.2g} %", f"{100 * row['error']:+.2g} %", f"{row['crps']:.2g}"]
    return [f"{row['runs']:.0f}", *shares, *small, f"{row['log_score']:.2f}"]
