"""From loss curves to one row a run, and checkpoints that are no ends of runs.

A scaling law is of final losses. While the learning rate is high a loss lies well above what a run
of just that many tokens ends with, so the points of one curve are not runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number
from bayescale.common.wording import column_option, here
from bayescale.language.remedies import called
from bayescale.language.variables import VARIABLES

__all__ = ["TAIL", "check_settings", "hashable", "one_row_a_run"]

#: Share of a run's tokens, at its end, over which its loss is averaged.
TAIL = 0.05
#: Rows of a run from which on they are a curve rather than a few checkpoints.
CURVE = 20
#: Last learning rate over the largest, above which a run counts as not annealed.
ANNEALED = 0.2
#: Share of the planned steps, or of the logged ones, that a finished run has reached.
FINISHED = 0.9

_CHOICES = ("refuse", "last", "keep")
_GROWING = ("D", "D_upcycled", "flops")
_WHY = (
    "a law is of final losses, and until the learning rate has decayed a loss lies above what a "
    "run of that many tokens ends with"
)


def _option(choice: str) -> str:
    return here(python=f"checkpoints={choice!r}", prompt=f"--checkpoints {choice}")


def check_settings(checkpoints: str, tail: float) -> None:
    """Refuse settings that mean nothing."""
    if checkpoints not in _CHOICES:
        raise InputError(f"checkpoints={checkpoints!r} is not known; choose one of {_CHOICES}")
    if not 0 < tail < 1:
        raise InputError(f"tail={tail!r} is not a share of a run between 0 and 1, such as {TAIL}")


def one_row_a_run(
    runs: pd.DataFrame,
    *,
    run: Sequence[pd.Series] = (),
    logged: Mapping[str, np.ndarray] | None = None,
    checkpoints: str = "refuse",
    tail: float = TAIL,
) -> tuple[pd.DataFrame, list[str]]:
    """Final rows of runs, their losses averaged over the tail of their curves.

    Parameters
    ----------
    runs
        Rows with quantities in the vocabulary.
    run
        Columns that may tell runs apart, the likeliest first. One that does has rows of only one
        configuration under each of its values.
    logged
        ``step``, ``max_steps`` and ``lr`` of every row, as far as they are known.
    checkpoints, tail
        As for :func:`bayescale.read_runs`.

    Returns
    -------
    runs : pandas.DataFrame
        As given if it has no curves; otherwise one row a run, labelled by the column ``run``.
    notes : list of str
        What was done.

    Raises
    ------
    InputError
        If rows are checkpoints, or runs have not annealed, and ``checkpoints="refuse"``.
    """
    table = _Logged(runs, logged or {})
    run = [hashable(one) for one in run]
    labels = next((one for one in run if table.tells_apart(one)), None)
    if labels is None:
        if checkpoints == "refuse":
            table.refuse_curve_without_runs()
        if checkpoints == "refuse" and not any(one.duplicated().any() for one in run):
            table.refuse_unfinished(np.arange(len(runs)), None)
        return runs, []
    if checkpoints == "keep":
        many = labels.nunique()
        return runs, [f"all {len(runs)} rows of {many} runs are kept as runs, as told"]
    return table.last_rows(labels, refuse=checkpoints == "refuse", tail=tail)


@dataclass(frozen=True)
class _Logged:
    """A table of rows that runs logged."""

    runs: pd.DataFrame
    logged: Mapping[str, np.ndarray]

    @property
    def settings(self) -> list[str]:
        """Inputs that do not change while a run lasts."""
        return [n for n in self.runs if n in VARIABLES and n not in (*_GROWING, "loss")]

    def progress(self, labels: Any) -> np.ndarray | None:
        """What grows along each run: its tokens, or its steps."""
        found = [self.runs[n].to_numpy(float) for n in ("D", "D_upcycled") if n in self.runs]
        for values in [*found, *(self.logged[n] for n in ("step",) if n in self.logged)]:
            if (pd.Series(values).groupby(np.asarray(labels)).nunique() > 1).any():
                return np.asarray(values, dtype=float)
        return None

    def tells_apart(self, labels: pd.Series) -> bool:
        """Whether a column names runs that have several rows each."""
        if not labels.duplicated().any() or labels.isna().any():
            return False
        groups = self.runs[self.settings].groupby(labels.to_numpy(), sort=False)
        one_setting = bool((groups.nunique() <= 1).all(axis=None)) if self.settings else True
        return one_setting and self.progress(labels) is not None

    def refuse_curve_without_runs(self) -> None:
        """Refuse rows of equal settings that look like what one run logged."""
        if "step" not in self.logged or not self.settings:
            return
        logged = np.asarray(self.logged["step"], dtype=float)
        # By position: labels of rows may repeat.
        for rows in self.runs.groupby(self.settings, sort=False).indices.values():
            steps = np.sort(logged[rows][np.isfinite(logged[rows])])
            gaps = np.diff(steps)
            even = len(steps) >= 5 and gaps.min() > 0 and np.ptp(gaps) < 1e-6 * gaps.max()
            if len(np.unique(steps)) >= CURVE or even:
                raise InputError(
                    f"{len(steps)} rows of one configuration at steps {steps[0]:g} to "
                    f"{steps[-1]:g} look like one run's loss curve; {_WHY}. Name the column that "
                    f"tells runs apart, {column_option('run', '...')}, or if every row is a "
                    f"finished run of its own, {_option('keep')}",
                    code="one-curve",
                )

    def refuse_unfinished(self, last: np.ndarray, labels: pd.Series | None) -> None:
        """Refuse runs whose last row (by position) is short of the steps that were planned."""
        if not {"step", "max_steps"} <= set(self.logged):
            return
        with np.errstate(divide="ignore", invalid="ignore"):
            share = self.logged["step"][last] / self.logged["max_steps"][last]
        short = np.flatnonzero(share < FINISHED)
        if len(short):
            first = last[short[0]]
            who = called(self.runs.index[first]) if labels is None else repr(labels.iloc[first])
            self._refuse(
                len(short), len(last), f"{who} ends at {share[short[0]]:.0%} of its planned steps"
            )

    @staticmethod
    def _refuse(some: int, among: int, example: str) -> None:
        raise InputError(
            f"{some} of {among} runs had not finished ({example}); {_WHY}. Leave them out, or take "
            f"them as they are with {_option('last')}",
            code="unfinished",
        )

    def last_rows(
        self, labels: pd.Series, *, refuse: bool, tail: float
    ) -> tuple[pd.DataFrame, list[str]]:
        """One row a run, from rows of which each run has several."""
        progress = self.progress(labels)
        assert progress is not None
        usable = np.isfinite(progress)
        if "loss" in self.runs:
            usable &= np.isfinite(self.runs["loss"].to_numpy(float))
        groups = [
            (label, at[np.argsort(progress[at], kind="stable")])
            for label, at in labels.reset_index(drop=True).groupby(labels.to_numpy(), sort=False)
            for at in [at.index.to_numpy()]
        ]
        empty = [label for label, at in groups if not usable[at].any()]
        if empty:
            raise InputError(f"run {empty[0]!r} has no row with a loss ({len(empty)} such runs)")
        sizes = [int(usable[at].sum()) for _, at in groups]
        if refuse and np.median(sizes) < CURVE:
            label, at = max(groups, key=lambda one: len(one[1]))
            places = ", ".join(format_number(x) for x in progress[at][:3])
            tokens = "D" in self.runs and bool((progress == self.runs["D"]).all())
            raise InputError(
                f"the {len(labels)} rows are checkpoints of {len(groups)} runs (run {label!r} at "
                f"{places}{' ...' if len(at) > 3 else ''} "
                f"{'tokens' if tokens else 'steps'}); {_WHY}. Take the last row of each run with "
                f"{_option('last')}, or, if each was annealed on its own, all with "
                f"{_option('keep')}",
                code="checkpoints",
            )
        if refuse:
            self._check_ends(groups, usable, progress, labels)
        rows, averaged = [], []
        for _, at in groups:
            kept = at[usable[at]]
            end = kept[-1]
            within = kept[progress[kept] >= progress[end] - tail * abs(progress[end])]
            rows.append((end, within))
            averaged.append(len(within))
        return self._reduced(labels, rows), _notes(len(labels), averaged, tail)

    def _check_ends(
        self,
        groups: list[tuple[Any, np.ndarray]],
        usable: np.ndarray,
        progress: np.ndarray,
        labels: pd.Series,
    ) -> None:
        """Refuse runs that stopped, or are still going, before their learning rate decayed."""
        last = np.array([at[usable[at]][-1] for _, at in groups])
        self.refuse_unfinished(last, labels)
        stopped, hot = [], []
        for (label, at), end in zip(groups, last, strict=True):
            logged_to = np.nanmax(progress[at])
            if progress[end] < FINISHED * logged_to:
                stopped.append(
                    f"run {label!r} has no loss after {progress[end] / logged_to:.0%} of its rows"
                )
            if "lr" in self.logged:
                rates = self.logged["lr"][at]
                rates = rates[np.isfinite(rates)]
                if len(rates) and rates.max() > 0 and rates[-1] > ANNEALED * rates.max():
                    hot.append(
                        f"run {label!r} ends at {rates[-1] / rates.max():.0%} of its largest "
                        "learning rate"
                    )
        for found in (stopped, hot):
            if found:
                self._refuse(len(found), len(groups), found[0])

    def _reduced(self, labels: pd.Series, rows: list[tuple[int, np.ndarray]]) -> pd.DataFrame:
        """The last rows, with the loss of their tails; what else changes along a run is dropped."""
        ends = [end for end, _ in rows]
        groups = self.runs.apply(hashable).groupby(labels.to_numpy(), sort=False)
        constant = groups.nunique().max() <= 1
        kept = [n for n in self.runs if n in VARIABLES or constant.get(n, True)]
        found = self.runs[kept].iloc[ends]
        if found.index.dtype.kind in "iu" or not found.index.is_unique:
            found = found.reset_index(drop=True)
        for name in kept:  # A tracker may log a setting in one row only.
            if constant.get(name, False) and found[name].isna().any():
                found[name] = groups[name].first().to_numpy()
        if "loss" in found:
            loss = self.runs["loss"].to_numpy(float)
            found["loss"] = [loss[within].mean() for _, within in rows]
        found["run"] = labels.iloc[ends].astype(str).to_numpy()
        return found


def hashable(values: pd.Series) -> pd.Series:
    """Values that can be compared and grouped: those that hold lists, as text."""
    if values.dtype == object:
        try:
            values.map(hash)
        except TypeError:
            return values.map(str, na_action="ignore")
    return values


def _notes(rows: int, averaged: list[int], tail: float) -> list[str]:
    low, high = min(averaged), max(averaged)
    span = f"{low}" if low == high else f"{low} to {high}"
    if high == 1:
        return [f"{rows} rows are {len(averaged)} runs: the last row of each is kept"]
    return [
        f"{rows} rows are loss curves of {len(averaged)} runs: a run's loss is the mean over the "
        f"last {100 * tail:g} % of it ({span} rows)"
    ]
