"""The checks of a report: what was looked at, whether it passed, and what that means in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from bayescale.checking.influence import TELLING
from bayescale.checking.residual_checks import LEVEL, quantity_words
from bayescale.common.quantities import format_number
from bayescale.common.version import __version__
from bayescale.common.wording import here
from bayescale.fitting.diagnostics import diagnose
from bayescale.fitting.judging import MAX_RHAT
from bayescale.language.variables import variable
from bayescale.prediction.headline import outside_runs
from bayescale.prediction.measured import said_of_intervals
from bayescale.report.content import Content
from bayescale.report.words import input_words, percent, times
from bayescale.sampling.pareto import MAX_PARETO_K

__all__ = ["Check", "checks", "facts", "held", "input_ranges", "trust", "watched"]

#: Settings of a fit that are for predicting beyond the runs.
_CALIBRATED = ("discrepancy", "weights", "error")
_TINY = 1e-300  # what stands for no lower bound
_NINETY = percent(0.9)
#: Share of a nominal 90 % that intervals of a backtest hold, under which the check fails.
_HELD = 0.8
_SHOWN = 2  # checks that ask for care, at the top of the page
#: Share of the runs that may be doubtful before what is left over of them cannot be judged.
_DOUBTFUL = 0.25


class Check(NamedTuple):
    """One check: its ``verdict`` is ``passed``, ``failed``, ``caution`` or ``not done``."""

    name: str
    verdict: str
    words: str


def checks(found: Content) -> list[Check]:
    """Everything that was checked of the fit that answers."""
    return [
        *_sampler(found),
        *_design(found),
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
            "Steps of the sampler",
            "failed" if missed else "passed",
            " ".join(missed) or "None failed, and a search from several starts met no other mode.",
        ),
    ]


def _design(found: Content) -> list[Check]:
    """What the runs cannot tell, whatever their losses."""
    gaps = found.fit.about.get("gaps", ())
    return [Check("What the runs can tell", "caution", f"{_sentence(gap)}.") for gap in gaps]


def _reach(found: Content) -> list[Check]:
    """How far from the runs the question lies, in compute and in every input of the plan."""
    runs, beyond = found.fit.runs, found.answer["extrapolation"]
    if runs is None:
        return [Check("Distance from the runs", "not done", "There are no runs to compare with.")]
    made = []
    if np.isfinite(beyond):
        where = (
            "The budget is no larger than what was trained."
            if beyond <= 1
            else f"The budget is {times(beyond)} the compute of the largest fitted run."
        )
        # To go beyond the runs is what a law is for: it asks for care, and nothing failed.
        made.append(
            Check("Within the runs' compute", "passed" if beyond <= 1 else "caution", where)
        )
    far = _outside(found)
    words = (
        f"In the plan {'; '.join(far)}."
        if far
        else "Every input of the plan lies within what was trained."
    )
    return [*made, Check("Within the runs' inputs", "caution" if far else "passed", words)]


def _outside(found: Content) -> list[str]:
    """Inputs of the plan that lie outside what was trained, in plain words."""

    def say(name: str, value: float) -> str:
        return input_words(name, value, found.fit.law.variables)

    return outside_runs(found.fit, found.answer["plan"], say)


def _bounds(found: Content) -> Check:
    share = found.answer["at_bound"]
    if share > 0:
        limits = limits_words(found.options)
        whose = f"A limit that was set ({limits})" if limits else "The end of a range"
        words = f"{whose} decides the optimum in {share:.1%} of draws, not the runs."
        return Check("Optimum inside bounds", "caution", words)
    return Check("Optimum inside bounds", "passed", "No limit that was set decides the plan.")


def _left_over(found: Content) -> list[Check]:
    """Whether what the law leaves over of the fitted runs is noise."""
    shape, pattern = "Runs scatter as the fit says", "No pattern in what is left over"
    table = found.residuals
    if isinstance(table, str):
        return [Check(pattern, "not done", f"{_sentence(table)}.")]
    doubtful, among = len(table.attrs["doubtful"]), table.attrs["runs"]
    if doubtful > _DOUBTFUL * among:
        way = here(python="bs.check_residuals(fit)", prompt="bayescale check FIT --exact")
        words = (
            f"The fit leans on {doubtful} of {among} runs too much to say without refits what it "
            f"would predict if it had not seen them: {way} makes them."
        )
        return [Check(pattern, "not done", words)]
    pit, trends = table.loc["LOO-PIT"], table.drop(index="LOO-PIT")
    made = [Check(shape, "passed" if pit.ok else "caution", f"{_sentence(pit.said)}.")]
    if not len(trends):
        return made
    failed = trends[~trends.ok]
    words = (
        f"The law misses something: {'; '.join(failed.said)}."
        if len(failed)
        else f"Runs that are alike in {', '.join(map(quantity_words, trends.index))} do not err "
        "on one side."
    )
    words += f" (A law that is true passes in {percent(LEVEL)} of tables.)"
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
    if far := _outside(found):
        away = f" The plan leaves what was trained: {'; '.join(far)}."
    else:
        away = ""
    if not np.isfinite(beyond):
        said = "What the plan costs beside the fitted runs is not known."
    elif beyond <= 1 and away:
        said = f"The budget lies within the compute of the {runs} fitted runs."
    elif beyond <= 1:
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
    said += away
    if found.backtest is not None:
        inside, among = held(found)
        said += (
            f" Tried on these runs themselves, predictions of the larger from the smaller held "
            f"{inside} of {among} losses in their {_NINETY} intervals."
        )
    return said


def watched(checked: list[Check]) -> Check:
    """What asks for care, in one line: the first words that do, and how many more there are."""
    such = [one for one in checked if one.verdict == "caution"]
    if such:
        rest = len(such) - _SHOWN
        more = f" {rest} more below." if rest > 0 else ""
        return Check("caution", "caution", " ".join(one.words for one in such[:_SHOWN]) + more)
    undone = [one.name.lower() for one in checked if one.verdict == "not done"]
    words = "Nothing that was checked asks for care."
    return Check("passed", "passed", words + (f" Not done: {', '.join(undone)}." if undone else ""))


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
    rows += [("Limits on plans", limits_words(found.options) or "none beyond what a run can have")]
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


def limits_words(options: Mapping[str, Any]) -> str:
    """What plans were held to, in words."""
    said = [f"{name} = {format_number(x)}" for name, x in (options["fixed"] or {}).items()]
    for name, values in (options["choose"] or {}).items():
        said.append(f"{name} one of {', '.join(map(format_number, values))}")
    for name, (low, high) in (options["bounds"] or {}).items():
        least = f"at least {format_number(low)}" if low > _TINY else ""
        most = f"at most {format_number(high)}" if math.isfinite(high) else ""
        said.append(f"{name} {' and '.join(filter(None, (least, most)))}")
    return "; ".join(said)
