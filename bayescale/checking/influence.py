"""Which runs an answer hangs on: the answer again without each size, group and telling run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.checking.elpd import loo_weights
from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number
from bayescale.common.wording import listed
from bayescale.decisions.allocation import AllocationWarning, allocate
from bayescale.decisions.decision import decide
from bayescale.decisions.plans import plans
from bayescale.fitting.diagnostics import diagnose
from bayescale.fitting.fits import Fit
from bayescale.fitting.refits import options_of, refit, table_of
from bayescale.language.remedies import called
from bayescale.language.variables import variable
from bayescale.prediction.predict import interval, predict

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TELLING", "influence"]

#: The most parts of a table by size, levels of a column that make groups, and runs refitted singly.
_MOST_SIZES, _MOST_LEVELS, _MOST_RUNS = 12, 6, 6
#: Moves that are spoken of, in half-widths of the answer's interval.
TELLING = 0.5


@dataclass(frozen=True)
class _Question:
    """What is asked of a fit: the loss of a run, or what to train with a budget."""

    inputs: Mapping[str, Any]
    budget: float | None
    of: str
    options: Mapping[str, Any]
    prob: float
    seed: int

    def answer(self, fit: Fit) -> dict[str, Any]:
        """Its value and interval, and whether the fit is to be trusted."""
        import warnings

        if self.budget is None:
            noisy = fit.about["noise"] is not None
            draws = predict(fit, mean=not noisy, seed=self.seed if noisy else None, **self.inputs)
            value = float(draws.median())
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AllocationWarning)
                draws = allocate(fit, self.budget, **self.options)[self.of]
                plan = decide(fit, self.budget, trust=True, **self.options)
            name = "expected_loss" if self.of == "loss" else self.of
            value = float(plan[name].squeeze())
        lower, upper = (float(x) for x in interval(draws.squeeze(), self.prob).values)
        ok = bool(diagnose(fit).attrs["ok"])
        return {"value": value, "lower": lower, "upper": upper, "trusted": ok}

    def draws(self, fit: Fit) -> np.ndarray:
        """The answer of every draw, for a first guess at what each run does to it."""
        if self.budget is None:
            return np.log(predict(fit, mean=True, **self.inputs).values.ravel())
        return np.log(allocate(fit, self.budget, **self.options)[self.of].values.ravel())

    def moved(self, answer: Mapping[str, Any], whole: Mapping[str, Any]) -> float:
        """How far the answer moved, in half-widths of its interval; sizes on a log scale."""
        scale: Callable[[float], float] = (
            float if self.budget is None or self.of == "loss" else math.log
        )
        half = (scale(whole["upper"]) - scale(whole["lower"])) / 2
        gap = scale(answer["value"]) - scale(whole["value"])
        return gap / half if half > 0 else math.copysign(math.inf, gap) if gap else 0.0

    @property
    def words(self) -> str:
        """What is asked, as part of a sentence."""
        if self.budget is None:
            at = ", ".join(f"{n} = {format_number(x)}" for n, x in self.inputs.items())
            return f"the loss at {at}"
        what = "the expected loss" if self.of == "loss" else self.of
        return f"{what} of the plan for {format_number(self.budget)} FLOP"

    def write(self, value: float) -> str:
        """A value of the answer for people."""
        loss = self.budget is None or self.of == "loss"
        return f"{value:.3f}" if loss else format_number(value)


def influence(
    fit: Fit,
    budget: float | None = None,
    *,
    of: str | None = None,
    prob: float = 0.9,
    seed: int = 0,
    executor: Executor | None = None,
    progress: bool | None = None,
    options: Mapping[str, Any] | None = None,
    **inputs: float,
) -> pd.DataFrame:
    """What an answer would be without some of the runs, by fits to the others.

    Left out are the runs of each model size, those of each level of a column of words (a corpus, a
    recipe), and single runs: all of a small table, of a larger one the six that importance sampling
    finds to matter most. Each answer is that of an exact refit.

    Parameters
    ----------
    fit
        A fit made by :func:`bayescale.fit`.
    budget
        The budget whose plan is asked about; or give a run's inputs, whose loss is.
    of
        What of the plan: an input or ``"loss"``; by default the size that the budget decides.
    prob
        Posterior probability of the intervals.
    seed
        Of the refits and of the noise of a predicted run.
    executor
        Where refits run: see :func:`bayescale.refit`.
    progress
        Whether to show progress on standard error; by default, if that is a terminal.
    options
        What ``decide`` is told beside the budget: ``cost``, ``choose``, ``fixed``, ``bounds``.
    **inputs
        The law's inputs of one run.

    Returns
    -------
    pandas.DataFrame
        Indexed by what was left out (``without``), the most telling first: ``kind`` (``"size"``,
        ``"group"`` or ``"run"``), ``runs``, how many; the answer's ``value``, ``lower`` and
        ``upper``; ``shift``, how far it moved in half-widths of the whole answer's interval; and
        ``trusted``, whether the refit passed its diagnostics. ``attrs`` hold ``question``,
        ``value``, ``lower`` and ``upper`` with all runs, and ``reading``, sentences.

    Raises
    ------
    InputError
        If the fit has no runs or has groups, or neither a budget nor a run is given, or both.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder").query("not target")
    >>> fit = bs.fit(dense, runs, method="laplace", seed=1)
    >>> table = bs.influence(fit, N=7e9, D=4e12)  # doctest: +SKIP
    >>> print(table.attrs["reading"])  # doctest: +SKIP
    """
    import pandas as pd

    runs = table_of(fit)
    if fit.about.get("by"):
        raise InputError("this fit has coefficients by group; take one with bs.group first")
    if (budget is None) == (not inputs):
        raise InputError("ask of a budget or of one run's inputs, such as N=7e9, D=2e12")
    space = dict(options or {})
    if budget is not None and of is None:
        of = plans(fit, **space).free or "loss"
    question = _Question(dict(inputs), budget, of or "loss", space, prob, seed)
    whole = question.answer(fit)
    parts = _parts(fit, runs, question)
    found = refit(
        fit.law,
        [runs[~mask] for _, _, mask in parts],
        then=partial(_answered, question),
        executor=executor,
        seed=fit.about.get("seed"),
        progress=progress,
        **options_of(fit),
    )
    rows = [
        {
            "without": name, "kind": kind, "runs": int(mask.sum()), **answer,
            "shift": question.moved(answer, whole),
        }
        for (name, kind, mask), answer in zip(parts, found, strict=True)
        if answer is not None
    ]  # fmt: skip
    columns = ["without", "kind", "runs", "value", "lower", "upper", "shift", "trusted"]
    table = pd.DataFrame(rows, columns=columns)
    table = table.iloc[table["shift"].abs().argsort(kind="stable")[::-1]].set_index("without")
    table.attrs = {"question": question.words, "of": question.of, **whole}
    table.attrs["reading"] = _reading(table, question, whole)
    return table


def _answered(question: _Question, fit: Fit) -> dict[str, Any]:
    return question.answer(fit)


def _parts(fit: Fit, runs: pd.DataFrame, question: _Question) -> list[tuple[str, str, np.ndarray]]:
    """What to leave out: its name, its kind and its rows."""
    law, count = fit.law, len(runs)
    least = len([n for n in law.coefficients if n not in fit.about["fixed"]])
    parts: list[tuple[str, str, np.ndarray]] = []
    sizes = [n for n in law.inputs if variable(n, law.variables).unit == "parameters"]
    if sizes:
        parts += [
            (name, "size", mask) for name, mask in _by_size(sizes[0], runs[sizes[0]].to_numpy())
        ]
    for column in runs.columns:
        values = runs[column]
        if values.dtype.kind in "OUT" and 1 < values.nunique() <= _MOST_LEVELS < count:
            for level in dict.fromkeys(values):
                mask = (values == level).to_numpy()
                parts.append((f"the {mask.sum()} runs of {column} {level}", "group", mask))
    for i in _telling(fit, question):
        at = ", ".join(f"{n} = {format_number(runs[n].iloc[i])}" for n in law.inputs)
        parts.append((f"{called(runs.index[i])} ({at})", "run", np.arange(count) == i))
    seen: set[bytes] = set()
    kept = []
    for name, kind, mask in parts:
        if mask.sum() > 0 and count - mask.sum() >= max(least, 2) and mask.tobytes() not in seen:
            seen.add(mask.tobytes())
            kept.append((name, kind, mask))
    return kept


def _by_size(name: str, values: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """The runs of each size; of many sizes, of each range of them."""
    distinct = np.unique(values)
    if len(distinct) < 3:
        return []
    split = np.array_split(distinct, min(len(distinct), _MOST_SIZES))
    found = []
    for part in split:
        mask = np.isin(values, part)
        ends = list(dict.fromkeys([format_number(part[0]), format_number(part[-1])]))
        number = f"the {mask.sum()} runs" if mask.sum() > 1 else "the run"
        found.append((f"{number} of {name} = {' to '.join(ends)}", mask))
    return found


def _telling(fit: Fit, question: _Question) -> list[int]:
    """The runs that importance sampling finds to move the answer most."""
    draws = question.draws(fit)
    log_weights, _, _ = loo_weights(fit)
    moved = np.abs((np.exp(log_weights) * draws).sum(axis=1) - draws.mean())
    return [int(i) for i in np.argsort(-moved, kind="stable")[:_MOST_RUNS]]


def _reading(table: pd.DataFrame, question: _Question, whole: Mapping[str, Any]) -> str:
    def span(one: Any) -> str:
        ends = f"{question.write(one['lower'])}, {question.write(one['upper'])}"
        return f"{question.write(one['value'])} [{ends}]"

    if table.empty:
        return "The table is too small for anything to be left out."
    first = table.iloc[0]
    name = str(table.index[0])
    said = [
        f"Without {name}, {question.words} is {span(first)} instead of {span(whole)}: nothing else "
        f"that was left out moves it more."
    ]
    telling = table[table["shift"].abs() >= TELLING]
    if telling.empty:
        said.append(
            f"That is {abs(first['shift']):.1f} of the interval's half-width: the answer hangs on "
            "no part of the runs alone."
        )
    else:
        said.append(
            f"It moves by {abs(first['shift']):.1f} half-widths of its interval, which does not "
            "know of that: look at these runs before the answer is used."
        )
        rest = [f"{n} ({question.write(r['value'])})" for n, r in telling.iloc[1:4].iterrows()]
        if rest:
            said.append(f"It also moves without {listed(rest)}.")
    doubtful = [str(n) for n, ok in table["trusted"].items() if not ok]
    if doubtful:
        said.append(f"Fits that failed their diagnostics: without {listed(doubtful, 3)}.")
    return " ".join(said)
