"""The commands ``forecast`` and ``outcome``: what is predicted of a run, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bayescale.cli import options as opt
from bayescale.common.errors import InputError

__all__ = ["forecast", "outcome"]


def forecast(
    fit: opt.FitFile,
    inputs: opt.RunToForecast,
    output: opt.NewForecast,
    group: opt.Group = None,
    law: opt.OwnLaw = None,
    seed: opt.Seed = 0,
    force: opt.Force = False,
    json: opt.Json = False,
) -> None:
    """Write down what is predicted of a run, before it is made.

    The file holds the prediction with its intervals, the law and options of the fit, a checksum of
    its table, versions and the date, and is sealed: a later change is noticed.

    For example:

      bayescale forecast fit.nc N=7B D=2T -o run_7b.json
      bayescale outcome run_7b.json --loss 2.256

    JSON: format, made, version, law, noise, options, seed, table, loss_unit, inputs, extrapolation,
    loss (median, intervals, quantiles) and seal.
    """
    from bayescale.cli.inputs import open_one, single
    from bayescale.cli.output import as_json, write_file
    from bayescale.prediction.forecasts import forecast as foretold

    run: dict[str, Any] = dict(single("input", inputs))
    fitted = open_one(fit, law, group)
    if fitted.runs is None or fitted.about["noise"] is None:
        raise InputError(f"{fit} was not fitted to runs, so it does not know how a run scatters")
    if missing := [name for name in fitted.law.inputs if name not in run]:
        raise InputError(f"the run lacks {', '.join(missing)}; give every input of the law")
    told = foretold(fitted, seed=seed, **run)
    write_file(output, f"{as_json(told)}\n".encode(), force=force)
    opt.Printed(json).show(told | {"saved": str(output)}, [], _show_forecast)


def _show_forecast(told: Mapping[str, Any]) -> None:
    from bayescale.cli.output import say
    from bayescale.common.quantities import format_number

    run = ", ".join(f"{n} = {format_number(x)}" for n, x in told["inputs"].items())
    low, high = told["loss"]["intervals"]["0.9"]
    say(f"{run}: a loss of {told['loss']['median']:.4f} {told['loss_unit']}", "bold")
    say(f"90 % interval {low:.4f} to {high:.4f}, forecast {told['made']}")
    say(f"written to {told['saved']}; when the run is done: bayescale outcome {told['saved']} "
        "--loss ...")  # fmt: skip


def outcome(
    forecast: opt.Forecast = None,
    loss: opt.Loss = None,
    ledger: opt.Ledger = None,
    force: opt.Force = False,
    json: opt.Json = False,
) -> None:
    """Say where the loss of a forecast run fell, and how often forecasts held so far.

    For example:

      bayescale outcome run_7b.json --loss 2.256
      bayescale outcome --ledger ledger.jsonl

    JSON: outcome (loss, pit, inside by probability, error, and what was forecast; null where only
    the ledger is shown), ledger (the file), outcomes (all of them) and reading.
    """
    from bayescale.prediction.forecasts import coverage_words, read_forecast, read_ledger, record
    from bayescale.prediction.forecasts import outcome as fell

    if (forecast is None) != (loss is None):
        raise InputError("give a forecast and its --loss, or neither and a --ledger to show")
    if forecast is None and ledger is None:
        raise InputError("give a forecast and its --loss, or a --ledger to show")
    entry = None
    if forecast is not None and loss is not None:
        entry = fell(read_forecast(forecast), loss)
        ledger = ledger or forecast.parent / "ledger.jsonl"
        entries = record(ledger, entry, replace=force)
    else:
        assert ledger is not None
        if not ledger.exists():
            raise InputError(f"there is no file {ledger}", code="no-file")
        entries = read_ledger(ledger)
    reading = coverage_words(entries)
    document = {"outcome": entry, "ledger": str(ledger), "outcomes": entries, "reading": reading}
    opt.Printed(json).show(document, [], _show_outcome)


def _show_outcome(document: Mapping[str, Any]) -> None:
    from bayescale.cli.output import Span, say, show
    from bayescale.prediction.forecasts import ledger_table

    one = document["outcome"]
    if one is not None:
        within = [p for p, held in one["inside"].items() if held]
        where = (
            f"inside the {100 * float(min(within, key=float)):g} % interval"
            if within
            else "outside the 90 % interval"
        )
        say(
            f"{one['loss']:.4f} against a forecast of {one['median']:.4f} "
            f"[{one['interval'][0]:.4f}, {one['interval'][1]:.4f}] {one['loss_unit']}: {where}, "
            f"{100 * one['error']:+.2g} %; the forecast gave a lower loss a probability of "
            f"{one['pit']:.2f}.",
            "bold",
        )
        say()
    rows: list[list[str | Span]] = []
    for _, row in ledger_table(document["outcomes"]).iterrows():
        told = Span(*(f"{row[end]:.4f}" for end in ("median", "lower", "upper")))
        held = "yes" if row["inside"] else "no"
        rows.append(
            [row["made"], row["run"], told, f"{row['loss']:.4f}", f"{row['pit']:.2f}", held]
        )
    show(["made", "run", "forecast", "loss", "PIT", "inside 90 %"], rows, left=["made", "run"])
    say()
    say(document["reading"], "bold")
