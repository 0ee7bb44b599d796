"""What a table of runs gives reason to doubt: scores for losses, outliers, sweeps, repeats."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number
from bayescale.common.wording import here, listed
from bayescale.language.variables import VARIABLES

__all__ = ["best_of", "outliers", "refuse_scores", "repeated", "scores_hint", "sweeps"]

_SCORE = re.compile(
    r"(?i)(?:^|[_/ .-])(?:acc|accuracy|pass@?\d*|exact_match|em|f1|bleu|rouge|mmlu|score|win_?rate|"
    r"core|hellaswag|reward|auc)(?:$|[_/ .@\d-])"
)
_SEED = re.compile(r"(?i)(?:.*[_./ -])?(?:seed|rng|replicate|repeat)s?(?:[_./ -].*)?")
_OUTCOME = re.compile(
    r"(?i).*(?:loss|ppl|perplexity|bpb|time|runtime|duration|created|hours|seconds|_sec|date|"
    r"score|acc|name|id|stderr|_se|std|tokens|samples|host|mfu|throughput|speed)$"
)
#: Factor of compute that runs have to span before a trend is judged.
_SPAN = 3.0
#: Rank correlation of losses with compute from which on they are no losses.
_RISES = 0.5
#: An outlier's distance in robust deviations, and in log loss.
_FAR, _LEAST = 10.0, 0.2


def _compute(runs: pd.DataFrame) -> pd.Series | None:
    """Something that grows with a run's compute."""
    if "flops" in runs:
        return runs["flops"].astype(float)
    counts = [n for n in ("N_active", "N") if n in runs][:1] + [n for n in ("D",) if n in runs]
    found = None
    for name in counts:
        found = runs[name] if found is None else found * runs[name]
    return found


def _trend(values: pd.Series, compute: pd.Series | None) -> float:
    """Rank correlation with compute; nan where it cannot be judged."""
    if compute is None:
        return float("nan")
    known = np.isfinite(values.to_numpy(float)) & np.isfinite(compute.to_numpy(float))
    x, y = compute[known], values[known]
    if len(x) < 5 or x.min() <= 0 or x.max() / x.min() < _SPAN or y.nunique() < 2:
        return float("nan")
    return float(x.rank().corr(y.rank()))


def refuse_scores(runs: pd.DataFrame, column: str) -> None:
    """Refuse a loss that rises with compute.

    Raises
    ------
    InputError
        If it does, clearly.
    """
    if "loss" not in runs or runs["loss"].dtype.kind not in "iuf":
        return
    trend = _trend(runs["loss"], _compute(runs))
    if trend > _RISES:
        raise InputError(
            f"column {column or 'loss'!r} rises with compute (rank correlation {trend:+.2f}) and "
            "is no loss: laws here are of losses, which fall. Of an accuracy or a pass rate fit "
            "the loss that was logged beside it, and relate the two afterwards",
            code="rises-with-compute",
        )


def scores_hint(frame: pd.DataFrame, named: pd.DataFrame) -> str:
    """What a table without losses has instead, if that rises with compute."""
    compute = _compute(named)
    rising = []
    for column in map(str, frame.columns):
        values = frame[column]
        if column in named or values.dtype.kind not in "iuf" or _OUTCOME.fullmatch(column):
            continue
        if values.min() >= 0 and values.max() <= 100 and _trend(values, compute) > _RISES:
            rising.append(column)
    rising += [c for c in map(str, frame.columns) if _SCORE.search(c) and c not in rising]
    if not rising:
        return ""
    be = ("is a score", "it") if len(rising) == 1 else ("are scores", "they")
    return (
        f"{listed(list(map(repr, rising)), 4)} {be[0]} that rise{'s' * (len(rising) == 1)} with "
        f"compute, and no loss: laws here are of losses. Add the loss of each run; {be[1]} cannot "
        "stand for it"
    )


# --- outliers -------------------------------------------------------------------------------------


def outliers(runs: pd.DataFrame) -> list[str]:
    """Runs far from what others of their counts have: they may have diverged."""
    counts = [n for n in ("N", "N_active", "D", "flops") if n in runs]
    if "loss" not in runs or not counts:
        return []
    columns = [runs[n].to_numpy(float) for n in counts] + [runs["loss"].to_numpy(float)]
    with np.errstate(all="ignore"):
        logs = np.log(np.stack(columns))
    known = np.isfinite(logs).all(axis=0)
    if known.sum() < 6:
        return []
    x = np.stack([np.ones(known.sum()), *(row - row.mean() for row in logs[:-1, known])], axis=1)
    y = logs[-1, known]
    weight = np.ones(len(y))
    for _ in range(30):
        root = np.sqrt(weight)[:, None]
        solved = np.linalg.lstsq(x * root, y * root[:, 0], rcond=None)[0]
        weight = 1 / np.maximum(abs(y - x @ solved), 1e-3)
    rest = y - x @ solved
    spread = 1.4826 * np.median(abs(rest - np.median(rest)))
    far = np.flatnonzero(abs(rest) > max(_FAR * spread, _LEAST))
    labels = runs.index[known]
    if not 0 < len(far) <= max(1, len(y) // 5):
        return []
    way = here(python='where="loss < ..."', prompt='--where "loss < ..."')
    return [
        f"{labels[i]} stands out: loss {np.exp(y[i]):.4g} where the other runs suggest about "
        f"{np.exp(y[i] - rest[i]):.2g}; if it diverged or stopped early, leave it out ({way})"
        for i in far
    ]


# --- sweeps and repeats ---------------------------------------------------------------------------


def _keys(runs: pd.DataFrame) -> list[str]:
    """What makes a configuration: the inputs in the vocabulary, but for compute beside tokens."""
    keys = [n for n in runs if n in VARIABLES and n not in ("loss", "flops")]
    return keys or [n for n in runs if n == "flops"]


def repeated(runs: pd.DataFrame, keys: Sequence[str]) -> np.ndarray:
    """Number of each run's configuration: runs of one differ in their seed, name and loss alone.

    Parameters
    ----------
    runs
        One row a run.
    keys
        The columns that make a configuration whatever else there is: a law's inputs.
    """
    groups = runs.groupby(list(keys), sort=False, dropna=False)
    if groups.ngroups == len(runs):
        return np.arange(len(runs))
    parts = list(keys)
    for column in runs.columns:
        name = str(column)
        if column in parts or name in ("loss", "run") or _SEED.fullmatch(name):
            continue
        text = runs[column].dtype.kind not in "iufb"
        if (text and runs[column].is_unique) or _OUTCOME.fullmatch(name):
            continue
        if (groups[column].nunique(dropna=False) > 1).any():
            parts.append(column)
    found: np.ndarray = runs.groupby(parts, sort=False, dropna=False).ngroup().to_numpy()
    return found


def sweeps(runs: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """What is said of rows that share their inputs and differ in other columns.

    Parameters
    ----------
    runs
        One row a run, in the vocabulary.
    names
        Columns that name runs.
    """
    keys = _keys(runs)
    if not keys or "loss" not in runs or runs[keys].isna().any(axis=None):
        return []
    groups = runs.groupby(keys, sort=False)
    sizes = groups.size()
    many = int((sizes > 1).sum())
    if many == 0 or many < len(sizes) / 3:
        return []
    swept, seeds = _settings(runs, keys, names)
    low, high = int(sizes.min()), int(sizes.max())
    each = f"{high}" if low == high else f"{low} to {high}"
    head = f"{len(runs)} rows are {len(sizes)} configurations of {', '.join(keys)} with {each} rows"
    if swept:
        option = ",".join(swept)
        way = here(python=f"best_of={swept!r}", prompt=f"--best-of {option}")
        return [
            f"{head} each, which differ in {listed(swept)}: a law is of well-tuned runs; {way} "
            "keeps the best of each (the best of several noisy runs is low, which is said)"
        ]
    if len(set(repeated(runs, keys))) > len(sizes):
        return [
            f"{head} each, which differ in other columns: give what tells them apart with "
            f"{here(python='by=', prompt='--by')}, or keep one kind with "
            f"{here(python='where=', prompt='--where')}"
        ]
    differ = f", which differ in {listed(seeds)}" if seeds else ""
    return [
        f"{head} each{differ}: they count as repeats, whose scatter is the noise of a run, and "
        "are left out together where runs are left out"
    ]


def _settings(
    runs: pd.DataFrame, keys: list[str], names: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Columns that were swept at each configuration, and those that only number repeats."""
    groups = runs.groupby(keys, sort=False)
    swept, seeds = [], []
    for column in map(str, runs.columns):
        if column in (*keys, *names, "loss", "flops", "run"):
            continue
        if not (groups[column].nunique() > 1).any():
            continue
        if _SEED.fullmatch(column):
            seeds.append(column)
            continue
        if _OUTCOME.fullmatch(column):
            continue
        # A sweep tries the same values everywhere; an outcome seldom comes twice.
        sets = groups[column].agg(lambda x: tuple(sorted(map(str, set(x)))))
        common = sets.value_counts().iloc[0] if len(sets) else 0
        few = runs[column].nunique() <= 2 * groups[column].nunique().max()
        if common >= 0.6 * len(sets) and few:
            swept.append(column)
    return swept, seeds


def best_of(runs: pd.DataFrame, settings: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """The best of the runs that differ in some settings alone, and what is to be said of it.

    Raises
    ------
    InputError
        If a setting is no column, or is one of a law's inputs.
    """
    from scipy.stats import norm

    for name in settings:
        if name not in runs:
            raise InputError(
                f"{here(python='best_of', prompt='--best-of')} gives {name!r}, which is no column; "
                f"there are {', '.join(map(str, runs.columns))}",
                code="no-column",
            )
    keys = [k for k in _keys(runs) if k not in settings]
    if "loss" not in runs or not keys:
        raise InputError("the best of runs is that of least loss, and the table has none")
    others, _ = _settings(runs, keys, [])
    keys += [c for c in others if c not in settings]
    usable = runs[np.isfinite(runs["loss"].to_numpy(float))]
    groups = usable.groupby(keys, sort=False, dropna=False)
    least = groups["loss"].idxmin() if usable.index.is_unique else None
    if least is None:
        usable = usable.reset_index(drop=True)
        groups = usable.groupby(keys, sort=False, dropna=False)
        least = groups["loss"].idxmin()
    kept = usable.loc[least]
    kept.attrs = dict(runs.attrs)
    sizes = groups.size()
    typical = float(sizes.median())
    low = -float(norm.ppf(0.625 / (typical + 0.25))) if typical > 1 else 0.0
    gaps = groups["loss"].agg(lambda x: np.sort(x)[1] - np.sort(x)[0] if len(x) > 1 else np.nan)
    notes = [
        f"the best of {format_number(typical)} rows of each of {len(kept)} configurations is kept "
        f"(over {listed(list(settings))}; the next best is {gaps.median():.2g} worse, in the "
        f"median). The best of several noisy runs is low: by up to {low:.1f} standard deviations "
        "of a run's noise, if the settings made no difference"
    ]
    edge = _at_edge(usable, kept, settings, keys)
    return kept, [*notes, *edge]


def _at_edge(
    runs: pd.DataFrame, kept: pd.DataFrame, settings: Sequence[str], keys: list[str]
) -> list[str]:
    """What is said where the best is the largest or least value that was tried."""
    del keys
    told = []
    for name in settings:
        if runs[name].dtype.kind not in "iuf" or runs[name].nunique() < 3:
            continue
        ends = runs[name].min(), runs[name].max()
        share = float(kept[name].isin(ends).mean())
        if share > 0.5:
            told.append(
                f"of {share:.0%} of the configurations the best {name} is the least or largest "
                "that was tried: a better one may lie beyond"
            )
    return told
