"""Forecasts that are written down before a run, what came of them, and how often they held.

A forecast is a small JSON document: what is predicted, by which law from which runs, when. It is
sealed by a checksum, so that a change after the fact is noticed. Outcomes are lines of a ledger.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.common.files import replacing
from bayescale.common.quantities import format_number
from bayescale.common.version import __version__
from bayescale.fitting.fits import Fit
from bayescale.language.compute import law_flops
from bayescale.prediction.predict import predict

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "coverage_words",
    "forecast",
    "ledger_table",
    "outcome",
    "read_forecast",
    "read_ledger",
    "record",
]

FORMAT = "bayescale-forecast 1"
#: Probabilities whose quantiles a forecast holds.
_LEVELS = np.round(np.arange(1, 400) / 400, 4)
_INTERVALS = (0.5, 0.8, 0.9)


def forecast(fit: Fit, *, seed: int = 0, **inputs: float) -> dict[str, Any]:
    """What a fit predicts of one run, to be kept until the run is done.

    Parameters
    ----------
    fit
        A fit made by :func:`bayescale.fit`, which knows how single runs scatter.
    seed
        Of the noise of the run.
    **inputs
        The law's inputs of the run.

    Returns
    -------
    dict
        A document that JSON holds: ``format``, ``made`` (UTC), ``version``, ``law``, ``options``
        of the fit, its ``table`` (name, number of runs, SHA-256 of inputs and losses, and the
        query that chose them), ``loss_unit``, ``inputs``, ``extrapolation`` (compute over that of
        the largest fitted run), ``loss`` (``median``, ``intervals`` by probability, ``quantiles``)
        and the ``seal``, a SHA-256 of all that.

    Raises
    ------
    InputError
        If an input is missing, or more than one run is given.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder").query("not target")
    >>> fit = bs.fit(dense, runs, method="laplace", seed=1)
    >>> told = bs.forecast(fit, N=6.9e9, D=3.9e12)
    >>> bs.outcome(told, 2.483)["inside"]["0.9"] in (True, False)
    True
    """
    if any(np.ndim(x) for x in inputs.values()):
        raise InputError("a forecast is of one run: give one number for each input")
    drawn: Any = predict(fit, seed=seed, **inputs)  # type: ignore[arg-type]
    values = np.sort(drawn.values.ravel())
    about = fit.about
    quantiles = np.quantile(values, _LEVELS)
    told = {
        "format": FORMAT,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "law": about["signature"],
        "noise": about["noise"],
        "options": about.get("options", {}),
        "seed": seed,
        "table": _table(fit),
        "loss_unit": fit.loss_unit,
        "inputs": {name: float(x) for name, x in inputs.items()},
        "extrapolation": _extrapolation(fit, inputs),
        "loss": {
            "median": float(np.median(values)),
            "intervals": {
                str(p): [float(x) for x in np.quantile(values, [(1 - p) / 2, (1 + p) / 2])]
                for p in _INTERVALS
            },
            "quantiles": {str(p): float(x) for p, x in zip(_LEVELS, quantiles, strict=True)},
        },
    }
    return told | {"seal": _seal(told)}


def _table(fit: Fit) -> dict[str, Any]:
    """The fitted runs by name, number and checksum."""
    assert fit.runs is not None
    columns = [fit.runs[n].values.astype(float) for n in (*fit.law.inputs, "loss")]
    rows = "\n".join(",".join(repr(float(x)) for x in row) for row in zip(*columns, strict=True))
    return {
        "name": fit.about.get("table", ""),
        "runs": len(columns[0]),
        "sha256": hashlib.sha256(rows.encode()).hexdigest(),
        "where": fit.about.get("where", ""),
        "simulated": bool(fit.about.get("simulated", False)),
    }


def _extrapolation(fit: Fit, inputs: Mapping[str, float]) -> float | None:
    assert fit.runs is not None
    fitted = {str(n): fit.runs[n].values for n in fit.runs.data_vars}
    asked, known = law_flops(fit.law, inputs), law_flops(fit.law, fitted)
    return None if asked is None or known is None else float(asked / np.max(known))


def _seal(told: Mapping[str, Any]) -> str:
    text = json.dumps({k: v for k, v in told.items() if k != "seal"}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read_forecast(path: Path) -> dict[str, Any]:
    """A forecast from its file.

    Raises
    ------
    InputError
        If there is none, it is no forecast, or it has changed since it was made.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}", code="no-file")
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError):
        told = None
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise InputError(f"{path} is no forecast: bayescale forecast makes one", code="no-forecast")
    if told.get("seal") != _seal(told):
        raise InputError(
            f"{path} has changed since it was made: its seal does not fit its content",
            code="changed-forecast",
        )
    return told


def outcome(told: Mapping[str, Any], loss: float) -> dict[str, Any]:
    """Where the loss of a run fell in what was forecast of it.

    Parameters
    ----------
    told
        What :func:`forecast` gave.
    loss
        The measured loss, in the forecast's unit.

    Returns
    -------
    dict
        ``loss``; ``pit``, the probability that the forecast gave to a lower loss; ``inside``, by
        probability, whether the interval holds it; ``error``, the loss over the median, less one;
        and the forecast's ``seal``, ``made``, ``law``, ``table``, ``inputs``, ``median``,
        ``interval`` (90 %) and ``loss_unit``; ``recorded`` (UTC).

    Raises
    ------
    InputError
        If the loss is no positive number.
    """
    if not (math.isfinite(loss) and loss > 0):
        raise InputError(f"a loss is a number above zero, not {loss}")
    levels = np.array([float(p) for p in told["loss"]["quantiles"]])
    values = np.array(list(told["loss"]["quantiles"].values()))
    pit = float(np.interp(loss, values, levels, left=levels[0] / 2, right=(1 + levels[-1]) / 2))
    inside = {p: bool(a <= loss <= b) for p, (a, b) in told["loss"]["intervals"].items()}
    return {
        "recorded": datetime.now(UTC).isoformat(timespec="seconds"),
        "loss": float(loss),
        "pit": pit,
        "inside": inside,
        "error": float(loss / told["loss"]["median"] - 1),
        "median": told["loss"]["median"],
        "interval": told["loss"]["intervals"]["0.9"],
        "extrapolation": told["extrapolation"],
        **{name: told[name] for name in ("seal", "made", "law", "table", "inputs", "loss_unit")},
    }


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """The outcomes in a ledger, in their order; none if there is no such file.

    Raises
    ------
    InputError
        If a line is no outcome.
    """
    if not path.exists():
        return []
    entries = []
    for i, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not isinstance(entry, dict) or not {"pit", "inside", "seal"} <= set(entry):
            raise InputError(f"{path}, line {i}, is no outcome of a forecast")
        entries.append(entry)
    return entries


def record(path: Path, entry: Mapping[str, Any], *, replace: bool = False) -> list[dict[str, Any]]:
    """Add an outcome to a ledger, and return all of it.

    Raises
    ------
    InputError
        If the forecast has an outcome already and ``replace`` is false.
    """
    entries = read_ledger(path)
    same = [one for one in entries if one["seal"] == entry["seal"]]
    if same and not replace:
        raise InputError(
            f"{path} has an outcome of this forecast already ({same[0]['loss']:g}, recorded "
            f"{same[0]['recorded']}); --force replaces it",
            code="recorded-before",
        )
    kept = [one for one in entries if one["seal"] != entry["seal"]] + [dict(entry)]
    with replacing(path) as part:
        part.write_text("".join(f"{json.dumps(one)}\n" for one in kept), encoding="utf-8")
    return kept


def coverage_words(entries: Iterable[Mapping[str, Any]]) -> str:
    """How often the forecasts of a ledger held, in sentences."""
    from scipy.stats import binomtest

    held = list(entries)
    if not held:
        return "The ledger is empty: no forecast has an outcome yet."
    said = []
    for p in _INTERVALS:
        hits = sum(bool(one["inside"].get(str(p))) for one in held)
        ends = binomtest(hits, len(held)).proportion_ci(0.9, method="exact")
        said.append(
            f"the {100 * p:g} % interval held {hits} (a rate between {ends.low:.0%} and "
            f"{ends.high:.0%}, with 90 % confidence)"
        )
    above = sum(one["pit"] > 0.5 for one in held)
    number = f"{len(held)} forecast{'s have' if len(held) > 1 else ' has'} an outcome"
    few = " So few say little." if len(held) < 10 else ""
    return (
        f"{number}: {'; '.join(said)}. {above} of {len(held)} losses came out above the "
        f"median.{few}"
    )


def ledger_table(entries: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """The ledger's outcomes, one a row."""
    import pandas as pd

    rows = [
        {
            "made": one["made"][:10],
            "run": ", ".join(f"{n} = {format_number(x)}" for n, x in one["inputs"].items()),
            "median": one["median"],
            "lower": one["interval"][0],
            "upper": one["interval"][1],
            "loss": one["loss"],
            "pit": one["pit"],
            "inside": bool(one["inside"]["0.9"]),
        }
        for one in entries
    ]
    return pd.DataFrame(rows)
