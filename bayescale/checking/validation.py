"""Backtests: how well small runs predict large ones, measured on runs that are there."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.checking.folds import check_refits, distinct, later_runs, order_of, parts
from bayescale.common.errors import InputError
from bayescale.fitting.diagnostics import FitWarning, diagnose
from bayescale.fitting.fits import Fit
from bayescale.fitting.refits import refit
from bayescale.fitting.trees import storable_options
from bayescale.language.law import Law
from bayescale.prediction.scoring import INTERVALS, score

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["backtest", "coverage"]

#: Edges, in decades, of the distances beyond the data that coverage is averaged over.
_DISTANCES = (0.0, 0.25, 0.5, 1.0, np.inf)
_FEW = 30


def backtest(
    law: Law,
    runs: pd.DataFrame,
    *,
    cuts: Sequence[float] = (0.2, 0.35, 0.5),
    order: str = "flops",
    executor: Executor | None = None,
    seed: int | None = None,
    progress: bool | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Fit the smaller runs, predict the larger, and score the predictions.

    A law is fitted to extrapolate from, so this is the test that matters: the largest runs are
    held out, the rest are fitted as :func:`bayescale.fit` would, and every held-out loss is set
    against its predictive distribution. :func:`coverage` averages the result.

    Parameters
    ----------
    law, runs
        As for :func:`bayescale.fit`.
    cuts
        Shares of the runs to hold out, each by a fit of its own: the last 20, 35 and 50 % by
        default. Runs that tie at a cut are all held out.
    order
        What "larger" means: training compute (the column ``flops``, or else by the law's own cost
        model), or a column such as ``"N"``.
    executor
        Where to run the fits; see :func:`bayescale.refit`.
    seed
        Makes the result reproducible on one machine.
    progress
        Whether to show progress on standard error; by default, if that is a terminal.
    **options
        As for :func:`bayescale.fit`.

    Returns
    -------
    pandas.DataFrame
        One row a cut and held-out run: ``cut``; ``run``, its label; ``fitted``, the number of runs
        fitted; ``beyond``, its distance past the last fitted run in decades of what runs are
        ordered by; ``loss``; predictive quantiles ``q05`` to ``q95`` of a new run's loss, nats;
        ``error``, the log of the loss over the predictive median; ``width`` of the 90 % interval
        on the log loss; ``inside_50``, ``inside_80``, ``inside_90``; ``crps`` (lower is better)
        and ``log_score`` (higher is better) of the log loss. ``attrs`` hold the law's name,
        ``order``, ``options`` and for each cut whether its fit is ``trusted``.

    Raises
    ------
    InputError
        If a cut leaves too few runs to fit, or the runs cannot be put in order.

    Warns
    -----
    FitWarning
        If the diagnostics of a fit failed, naming the cuts.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder").query("not target")
    >>> scores = bs.backtest(dense, runs, cuts=[0.25], method="laplace", seed=1)
    >>> scores[["cut", "fitted"]].drop_duplicates().values.tolist()
    [[0.25, 22.0]]
    """
    import pandas as pd

    if not isinstance(law, Law):
        raise InputError(
            f"the first argument must be a law (made by @bayescale.law), not {type(law).__name__}"
        )
    at = order_of(law, runs, order)
    found = [float(cut) for cut in cuts]
    if not found:
        raise InputError("cuts is empty; give shares of the runs to hold out, such as (0.2, 0.5)")
    held_out = distinct({cut: later_runs(at, cut) for cut in found})
    remedy = f"hold out less, or choose another order than {order!r}"
    check_refits(law, runs, held_out, options, "cut", remedy)
    fitted, later = parts(runs, list(held_out.values()))
    results = refit(
        law,
        fitted,
        then=partial(_scored, seed=seed),
        others=later,
        executor=executor,
        seed=seed,
        progress=progress,
        **options,
    )
    tables, trusted = [], {}
    for (cut, mask), (scores, ok) in zip(held_out.items(), results, strict=True):
        last = at[~mask].max()
        beyond = np.log10(at[mask] / last) if (at > 0).all() else np.full(mask.sum(), np.nan)
        scores.insert(0, "beyond", beyond)
        scores.insert(0, "fitted", int((~mask).sum()))
        scores.insert(0, "run", runs.index[mask].astype(str))
        scores.insert(0, "cut", cut)
        tables.append(scores)
        trusted[cut] = ok
    table = pd.concat(tables, ignore_index=True)
    table.attrs = {
        "law": law.name,
        "order": order,
        "options": storable_options(options),
        "trusted": trusted,
        "name": str(runs.attrs.get("name", "")),
        "simulated": bool(runs.attrs.get("simulated", False)),
    }
    doubtful = [f"{cut:g}" for cut, ok in trusted.items() if not ok]
    if doubtful:
        warnings.warn(
            f"backtest of {law.name!r}: the diagnostics of the fit failed at cut "
            f"{', '.join(doubtful)}, so its scores are doubtful; draw more (draws=4000), or hold "
            "out less",
            FitWarning,
            stacklevel=2,
        )
    return table


def _scored(fit: Fit, runs: pd.DataFrame, seed: int | None) -> tuple[pd.DataFrame, bool]:
    return score(fit, runs, seed=seed), bool(diagnose(fit).attrs["ok"])


def coverage(scores: pd.DataFrame, *, by: str = "cut") -> pd.DataFrame:
    """How often intervals held in a backtest, and the scores, by cut or by distance.

    Parameters
    ----------
    scores
        From :func:`backtest`.
    by
        ``"cut"``, or ``"beyond"``: the distance past the last fitted run, in decades.

    Returns
    -------
    pandas.DataFrame
        One row a cut or a range of distances: ``runs`` scored; the share of them ``inside_50``,
        ``inside_80`` and ``inside_90``; means of ``width``, ``error`` (above zero: losses came out
        higher than predicted), ``crps`` and ``log_score``. ``attrs["reading"]`` says what it
        amounts to.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder").query("not target")
    >>> scores = bs.backtest(dense, runs, cuts=[0.25], method="laplace", seed=1)
    >>> coverage(scores).runs.tolist()
    [8]
    """
    import pandas as pd

    if by not in ("cut", "beyond"):
        raise InputError(f"by={by!r} is not known; choose 'cut' or 'beyond'")
    key: Any = scores["cut"]
    if by == "beyond":
        if scores["beyond"].isna().all():
            raise InputError(
                f"runs were ordered by {scores.attrs.get('order')!r}, which is not above zero "
                "throughout, so distances are not known; use by='cut'"
            )
        key = pd.cut(scores["beyond"], _DISTANCES, right=False).rename("beyond")
    names = [*(f"inside_{p}" for p in INTERVALS), "width", "error", "crps", "log_score"]
    grouped = scores.groupby(key, observed=True)
    table = grouped[names].mean()
    table.insert(0, "runs", grouped.size())
    table.attrs = {**scores.attrs, "reading": _reading(scores)}
    return table


def _reading(scores: pd.DataFrame) -> str:
    """Whether the intervals held, and how far so few runs can tell."""
    from scipy.stats import beta

    held = {p: float(scores[f"inside_{p}"].mean()) for p in INTERVALS}
    count = scores["run"].nunique()
    # A run held out at several cuts is one witness; Jeffreys' interval.
    tails = [0.025, 0.975]
    told = {p: beta.ppf(tails, x * count + 0.5, (1 - x) * count + 0.5) for p, x in held.items()}
    said = (
        f"Intervals of {_listed(INTERVALS)} % held "
        f"{_listed(f'{100 * x:.0f}' for x in held.values())} % of {len(scores)} held-out losses"
    )
    said += f", of {count} runs" if count < len(scores) else ""
    narrow = [p for p in INTERVALS if told[p][1] < p / 100]
    wide = [p for p in INTERVALS if told[p][0] > p / 100]
    if narrow:
        said += f": too narrow at {_listed(narrow)} %"
    if wide:
        said += f"{';' if narrow else ':'} wider than need be at {_listed(wide)} %"
    if not (narrow or wide):
        said += ": no sign that they are too narrow or too wide"
    low, high = told[max(INTERVALS)]
    said += (
        f". Were their errors independent, so many runs would tell the coverage of the last to "
        f"{100 * low:.0f} to {100 * high:.0f} %"
    )
    return said + ("; neighbours' are alike, so they tell less." if count < _FEW else ".")


def _listed(items: Iterable[Any]) -> str:
    *first, last = map(str, items)
    return f"{', '.join(first)} and {last}" if first else last
