"""The checks of a report: what was looked at, whether it passed, and what that means in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bayescale.checking.influence import TELLING
from bayescale.checking.residual_checks import quantity_words
from bayescale.common.quantities import format_number
from bayescale.common.version import __version__
from bayescale.fitting.diagnostics import diagnose
from bayescale.fitting.judging import MAX_RHAT
from bayescale.language.variables import variable
from bayescale.prediction.measured import said_of_intervals
from bayescale.report.content import Content, percent, times
from bayescale.sampling.pareto import MAX_PARETO_K

__all__ = ["Check", "checks", "trust"]

#: Settings of a fit that are for predicting beyond the runs.
_CALIBRATED = ("discrepancy", "weights", "error")
_TINY = 1e-300  # what stands for no lower bound
_NINETY = percent(0.9)
#: Share of a nominal 90 % that intervals of a backtest hold, under which the check fails.
_HELD = 0.8
#: How far beyond the fitted runs a check still passes, as a factor of compute or of an input.
_NEAR = 10.0


class Check(NamedTuple):
    """One check: its ``verdict`` is ``passed``, ``failed``, ``caution`` or ``not done``."""

    name: str
    verdict: str
    words: str


def checks(found: Content) -> list[Check]:
    """Everything that was checked of the fit that answers."""
    return [
        *_sampler(found),
        *_reach(found),
        _bounds(found),
        *_left_over(found),
        _held(found),
        *_hangs_on(found),
        *_rivals(found),
    ]


def _hangs_on(found: Content) -> list[Check]:
    """Which runs the answer hangs on, where that was worked out."""
    table = found.influence
    if table is None or table.empty:
        return []
    telling = bool((table["shift"].abs() >= TELLING).any())
    words = _sentence(table.attrs["reading"])
    return [Check("What it hangs on", "caution" if telling else "passed", words)]


def _sampler(found: Content) -> list[Check]:
    fit = found.fit
    if "sample_stats" not in fit.tree:
        what = "published coefficients" if fit.about.get("published") else "draws of no sampler"
        return [Check("Sampler", "not done", f"These are {what}: there are no chains to check.")]
    table = diagnose(fit)
    each, needed = table[["ess_bulk", "ess_tail"]], table.attrs["needed_ess"]
    enough = Check(
        "Enough independent draws",
        "passed" if (each >= needed).all(axis=None) else "failed",
        f"Every coefficient has at least {each.min(axis=None):,.0f} effective draws; {needed:,} "
        "are needed.",
    )
    if "pareto_k" in table.attrs:
        k = table.attrs["pareto_k"]
        good = k <= MAX_PARETO_K
        words = "The quick approximation of the posterior "
        if fit.about["method"] == "nuts":
            words = "The weighing of the ways in which the law can explain the runs "
        words += "holds" if good else "does not hold; fit with the full sampler"
        verdict = "passed" if good else "failed"
        limit = f"at most {MAX_PARETO_K}"
        return [Check("Approximation", verdict, f"{words} (Pareto k {k:.2f}; {limit})."), enough]
    rhat, divergent = float(table.rhat.max()), int(table.attrs["divergences"])
    agree = bool((table.rhat <= MAX_RHAT).all())
    missed = []
    if divergent:
        missed.append(f"{divergent} steps failed, so part of the posterior may be missing.")
    if "missed_mode" in table.attrs:
        missed.append("The chains missed another way in which the law can explain the runs.")
    chains = fit.about.get("chains", fit.posterior.sizes["chain"])
    return [
        Check(
            "Chains agree",
            "passed" if agree else "failed",
            f"{chains} independent chains {'found' if agree else 'did not find'} the same answer "
            f"(R-hat {rhat:.3f}; at most {MAX_RHAT}).",
        ),
        enough,
        Check(
            "Nothing was missed",
            "failed" if missed else "passed",
            " ".join(missed) or "No step of the sampler failed, and no mode was found elsewhere.",
        ),
    ]


def _reach(found: Content) -> list[Check]:
    """How far from the runs the question lies, in compute and in every count of the plan."""
    runs, beyond = found.fit.runs, found.answer["extrapolation"]
    if runs is None:
        return [Check("Distance from the runs", "not done", "There are no runs to compare with.")]
    made = []
    if np.isfinite(beyond):
        verdict = "passed" if beyond <= 1 else "caution" if beyond <= _NEAR else "failed"
        where = (
            "The budget is no larger than what was trained."
            if beyond <= 1
            else f"The budget is {times(beyond)} the compute of the largest fitted run."
        )
        made.append(Check("Within the runs' compute", verdict, where))
    far = []
    for name, value in found.answer["plan"].items():
        values = runs[name].values.astype(float)
        if variable(name, found.fit.law.variables).scale is None:
            continue
        if value > values.max():
            far.append((value / values.max(), f"{name} is {times(value / values.max())} the most"))
        elif value < values.min():
            far.append((values.min() / value, f"{name} is {times(value / values.min())} the least"))
    worst = max((ratio for ratio, _ in far), default=1.0)
    verdict = "passed" if not far else "caution" if worst <= _NEAR else "failed"
    words = (
        f"In the plan {' and '.join(text for _, text in far)} that was trained."
        if far
        else "Every count of the plan lies within what was trained."
    )
    return [*made, Check("Within the runs' sizes", verdict, words)]


def _bounds(found: Content) -> Check:
    share = found.answer["at_bound"]
    if share > 0:
        words = f"A bound decides the optimum in {share:.1%} of draws, not the runs."
        return Check("Optimum inside bounds", "caution" if share < 0.05 else "failed", words)
    return Check("Optimum inside bounds", "passed", "No limit that was set decides the plan.")


def _left_over(found: Content) -> list[Check]:
    """Whether what the law leaves over of the fitted runs is noise."""
    shape, pattern = "Runs scatter as the fit says", "No pattern in what is left over"
    table = found.residuals
    if isinstance(table, str):
        return [Check(pattern, "not done", f"{_sentence(table)}.")]
    pit, trends = table.loc["LOO-PIT"], table.drop(index="LOO-PIT")
    made = [Check(shape, "passed" if pit.ok else "caution", f"{_sentence(pit.said)}.")]
    if not len(trends):
        return made
    failed = trends[~trends.ok]
    words = (
        f"{'. '.join(map(_sentence, failed.said))}: the law misses something."
        if len(failed)
        else f"Runs that are alike in {', '.join(map(quantity_words, trends.index))} do not err "
        "on one side."
    )
    return [*made, Check(pattern, "caution" if len(failed) else "passed", words)]


def _sentence(words: str) -> str:
    return words[:1].upper() + words[1:]


def _held(found: Content) -> Check:
    name = "Intervals held on these runs"
    if found.backtest is None:
        return Check(name, "not done", "The law was not tried on larger runs kept apart.")
    inside, among = held(found)
    share = inside / among
    words = (
        f"{inside} of {among} losses of runs kept apart lie in the {_NINETY} intervals predicted."
    )
    if among < 5:
        return Check(name, "caution", f"{words} That is too few to judge by.")
    return Check(name, "passed" if share >= _HELD else "failed", words)


def _rivals(found: Content) -> list[Check]:
    """Whether another law that was given predicts the runs better."""
    if found.scores is None:
        return []
    name = "No other law predicts better"
    if isinstance(found.scores, str):
        return [Check(name, "not done", found.scores)]
    table = found.scores
    worse = bool(table.attrs["distinguishable"][found.name])
    return [Check(name, "caution" if worse else "passed", table.attrs["reading"])]


def held(found: Content) -> tuple[int, int]:
    """Predictions of a backtest whose 90 % interval held what was observed, of how many."""
    table = found.backtest
    assert table is not None
    inside = (table["q05"] <= table["loss"]) & (table["loss"] <= table["q95"])
    return int(inside.sum()), len(table)


def trust(found: Content) -> str:
    """How far the interval may be trusted, in plain words."""
    fit, beyond = found.fit, found.answer["extrapolation"]
    if fit.runs is None:
        return (
            "These are published coefficients: the answer is one point without an interval, and "
            "coefficients of one corpus and tokenizer do not carry over to another."
        )
    runs = fit.runs.sizes["run"]
    if not np.isfinite(beyond) or beyond <= 1:
        said = (
            f"The budget lies within the compute of the {runs} fitted runs, so the interval rests "
            "on data near it."
        )
    else:
        said = (
            f"The budget is {times(beyond)} the compute of the largest of the {runs} fitted runs. "
        )
        line = said_of_intervals(fit, float(beyond))
        said += f"{line[0].upper()}{line[1:]}."
    if found.backtest is not None:
        inside, among = held(found)
        said += (
            f" Tried on these runs themselves, predictions of the larger from the smaller held "
            f"{inside} of {among} losses in their {_NINETY} intervals."
        )
    return said


def input_ranges(found: Content) -> list[tuple[str, str, str]]:
    """Name, range and unit of everything that the runs say of themselves to the law."""
    runs = found.fit.runs
    if runs is None:
        return []
    listed = []
    for name in (*found.fit.law.inputs, "loss"):
        if name not in runs:
            continue
        values = runs[name].values.astype(float)
        write = (lambda x: f"{x:.4g}") if name == "loss" else format_number
        ends = dict.fromkeys([write(values.min()), write(values.max())])
        unit = found.unit if name == "loss" else variable(name, found.fit.law.variables).unit
        listed.append((name, " to ".join(ends), unit))
    return listed


def facts(found: Content) -> list[tuple[str, str]]:
    """Where the answer is from: the table, the model, the seed, the versions."""
    import platform
    from datetime import UTC, datetime
    from importlib.metadata import PackageNotFoundError, version

    about = found.fit.about
    rows: list[tuple[str, Any]] = [("Law", f"{found.fit.law.name}: {about['signature']}")]
    if about.get("published"):
        rows += [("Coefficients", f"published, {about['source']} ({about['certainty']})")]
    else:
        kind = "simulated runs" if about.get("simulated") else "runs"
        count = 0 if found.fit.runs is None else found.fit.runs.sizes["run"]
        table = about.get("table")
        rows += [("Table", f"{count} {kind}" + (f" of {table}" if table else ""))]
        read = [
            f"{one['name']} from {one['column'] or one['note']}"
            for one in about.get("understood", ())
        ]
        rows += [("Columns", "; ".join(read))] if read else []
        rows += [("Rows", f"those where {about['where']}")] if about.get("where") else []
        rows += [("Unit of losses", found.unit)]
        rows += [("Noise", about["noise"]), ("Method", about.get("method", "nuts"))]
        if "chains" in about:
            rows += [("Draws", f"{about['chains']} chains of {about['draws']}")]
        seed = about.get("seed")
        rows += [("Seed of the fit", "none was set" if seed is None else seed)]
        rows += [("Seed of the predictions", found.seed)]
        calibrated = {n: about.get("options", {}).get(n) for n in _CALIBRATED}
        said = ", ".join(f"{n} = {x}" for n, x in calibrated.items() if x)
        rows += [("For extrapolation", said)] if said else []
        fixed = ", ".join(f"{n} = {x:g}" for n, x in about.get("fixed", {}).items())
        rows += [("Held fixed", fixed)] if fixed else []
    cost = getattr(found.space.cost, "__name__", "given")
    rows += [("Cost model", f"{cost}({', '.join(found.space.arguments)})")]
    rows += [("Limits on plans", _limits(found.options) or "none beyond what a run can have")]
    versions = [f"Python {platform.python_version()}"]
    for package in ("numpy", "scipy", "xarray", "pymc", "nutpie", "arviz"):
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    rows += [("Fitted with", f"bayescale {about['version']}")]
    rows += [("Reported with", f"bayescale {__version__}; {', '.join(versions)}")]
    rows += [("Written", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")]
    return [(name, str(value)) for name, value in rows]


def _limits(options: Mapping[str, Any]) -> str:
    """What plans were held to, in words."""
    said = [f"{name} = {format_number(x)}" for name, x in (options["fixed"] or {}).items()]
    for name, values in (options["choose"] or {}).items():
        said.append(f"{name} one of {', '.join(map(format_number, values))}")
    for name, (low, high) in (options["bounds"] or {}).items():
        least = f"at least {format_number(low)}" if low > _TINY else ""
        most = f"at most {format_number(high)}" if math.isfinite(high) else ""
        said.append(f"{name} {' and '.join(filter(None, (least, most)))}")
    return "; ".join(said)
