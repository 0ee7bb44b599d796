"""Comparing laws fitted to the same runs, and what the comparison supports."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.checking.elpd import Scores, held_out_scores, loo_scores
from bayescale.checking.folds import distinct, folds_of, later_runs, order_of
from bayescale.common.errors import InputError
from bayescale.fitting.diagnostics import FitWarning, diagnose, failures
from bayescale.fitting.fits import Fit
from bayescale.fitting.refits import table_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TASKS", "compare"]

#: Differences that scores of a few dozen runs cannot support (Sivula et al. 2020).
SMALL = 4.0
_FEW = 100
_WEIGHTS = {"stacking": "stacking", "pseudo-bma": "BB-pseudo-BMA"}
#: What a score measures, by ``by=``, of so many runs.
TASKS = {
    "loo": "these {} runs, each left out in turn",
    "kfold": "these {} runs, left out in folds",
    "future": "the {} larger runs from the smaller ones",
}


def compare(
    fits: Mapping[str, Fit],
    *,
    by: str = "loo",
    folds: int | str = 10,
    cuts: Sequence[float] = (0.2, 0.35, 0.5),
    order: str = "flops",
    weights: str = "stacking",
    executor: Executor | None = None,
    seed: int | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Rank laws by how well each predicts runs it has not seen.

    The score is the expected log predictive density (elpd) of the log loss, summed over the runs
    that are left out.

    Parameters
    ----------
    fits
        Fit by name: any laws and noise models, all fitted to the same runs.
    by
        ``"loo"``: each run in turn, by Pareto-smoothed importance sampling, and by a refit where
        that fails. ``"kfold"``: several at once, by a refit for each fold. ``"future"``: the
        larger runs by fits to the smaller ones, which is what a planner asks.
    folds
        For ``"kfold"``: a number of random folds, or a column such as ``"N"`` or ``"corpus"``, of
        which each value is a fold.
    cuts, order
        For ``"future"``: shares of the runs to hold out, and what makes a run larger, as for
        :func:`bayescale.backtest`. A run held out at several cuts has their mean score.
    weights
        ``"stacking"``: the mixture that predicts best (Yao et al. 2018); ``"pseudo-bma"``: by
        elpd, with a Bayesian bootstrap over the runs.
    executor
        Where to run refits; see :func:`bayescale.refit`.
    seed
        Of random folds and of refits; by default refits have their fit's own.
    progress
        Whether to show progress on standard error; by default, if that is a terminal.

    Returns
    -------
    pandas.DataFrame
        Best first, indexed by name: ``elpd`` (higher is better) and its standard error ``se``;
        ``elpd_diff`` to the best and its standard error ``dse``; ``p_worse``, the probability of
        being worse than the best; ``p``, the effective number of parameters; ``weight`` in the
        mixture of all; ``pareto_k``, the largest of the diagnostic; ``refits``, the number of runs
        scored by a refit. ``attrs["reading"]`` says in sentences what the table supports, and
        ``attrs["pointwise"]`` holds every run's score: ``pandas.DataFrame(...)`` of it has the
        columns ``run``, ``law``, ``elpd``, ``pareto_k`` and ``exact``.

    Raises
    ------
    InputError
        If the fits are not of the same runs and losses, if one of them failed its diagnostics, if
        they would hold out different runs, or if there are fewer than two.

    Warns
    -----
    FitWarning
        If some scores are not to be relied on, naming the law.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense, sparse
    >>> runs = bs.load_runs("frantar2023_t5").query("not target")
    >>> fits = {law.name: bs.fit(law, runs, seed=1) for law in (dense, sparse)}  # doctest: +SKIP
    >>> table = bs.compare(fits)  # doctest: +SKIP
    >>> print(table.attrs["reading"])  # doctest: +SKIP
    """
    if by not in TASKS:
        raise InputError(f"by={by!r} is not known; choose 'loo', 'kfold' or 'future'")
    if weights not in _WEIGHTS:
        raise InputError(f"weights={weights!r} is not known; choose 'stacking' or 'pseudo-bma'")
    _check_same_runs(fits)
    _check_trusted(fits)
    how: dict[str, Any] = {"executor": executor, "seed": seed, "progress": progress}
    labels = table_of(next(iter(fits.values()))).index.to_numpy()
    if by == "loo":
        scores = {name: loo_scores(fit, **how) for name, fit in fits.items()}
    else:
        held_out = _folds(fits, folds, seed) if by == "kfold" else _future(fits, tuple(cuts), order)
        labels = labels[np.any(list(held_out.values()), axis=0)]
        how["what"] = "fold" if by == "kfold" else "cut"
        scores = {name: held_out_scores(fit, held_out, **how) for name, fit in fits.items()}
    table = _ranked(scores, _WEIGHTS[weights])
    for name, one in scores.items():
        if one.doubtful:
            warnings.warn(_doubt(name, one), FitWarning, stacklevel=2)
    table.attrs = {
        "by": by,
        "runs": len(labels),
        "weights": weights,
        "distinguishable": _distinguishable(table),
        "doubtful": {name: one.doubtful for name, one in scores.items()},
        "pointwise": _pointwise(scores, labels),
        "simulated": any(fit.about.get("simulated") for fit in fits.values()),
    }
    table.attrs["reading"] = " ".join(_reading(table))
    return table


# --- the table ------------------------------------------------------------------------------------


def _ranked(scores: Mapping[str, Scores], method: str) -> pd.DataFrame:
    from arviz_stats import compare as compare_elpd
    from arviz_stats.utils import ELPDDataLOOKFold
    from xarray import DataArray

    # Differences and weights are those of scores less each run's best, which exp() can take.
    best = np.max([one.pointwise for one in scores.values()], axis=0)
    as_arviz = {
        name: ELPDDataLOOKFold(
            elpd=float((one.pointwise - best).sum()),
            se=one.se,
            p=one.effective,
            n_samples=0,
            n_data_points=len(best),
            scale="log",
            warning=False,
            good_k=np.nan,
            elpd_i=DataArray(one.pointwise - best, dims="run"),
            n_folds=0,
        )
        for name, one in scores.items()
    }
    table = compare_elpd(as_arviz, method=method, round_to="none")
    table = table.assign(
        elpd={name: one.elpd for name, one in scores.items()},
        se={name: one.se for name, one in scores.items()},
        pareto_k={name: float(one.pareto_k.max()) for name, one in scores.items()},
        refits={name: int(one.exact.sum()) for name, one in scores.items()},
    )
    columns = ["elpd", "se", "elpd_diff", "dse", "p_worse", "p", "weight", "pareto_k", "refits"]
    return table[columns].rename_axis("law")


def _pointwise(scores: Mapping[str, Scores], labels: np.ndarray) -> dict[str, list[Any]]:
    """Every score, in columns."""
    found: dict[str, list[Any]] = {"run": [], "law": [], "elpd": [], "pareto_k": [], "exact": []}
    for name, one in scores.items():
        found["run"] += labels.tolist()
        found["law"] += [name] * len(labels)
        found["elpd"] += one.pointwise.tolist()
        found["pareto_k"] += one.pareto_k.tolist()
        found["exact"] += one.exact.tolist()
    return found


def _distinguishable(table: pd.DataFrame) -> dict[str, bool]:
    """Which fits the runs tell from the best."""
    clear = table.elpd_diff.abs() > np.maximum(SMALL, 2 * table.dse)
    return {str(name): bool(value) for name, value in clear.items()}


# --- what it supports -----------------------------------------------------------------------------


def _reading(table: pd.DataFrame) -> list[str]:
    by, count = table.attrs["by"], table.attrs["runs"]
    best, clear = str(table.index[0]), table.attrs["distinguishable"]
    task = TASKS[by].format(count)
    said = []
    worse = [name for name in table.index[1:] if clear[name]]
    if worse:
        listed = " and ".join(
            f"{name} (by {-table.elpd_diff[name]:.1f} ± {table.dse[name]:.1f})" for name in worse
        )
        said.append(f"{best} predicts {task}, better than {listed}.")
    for name in table.index[1:]:
        if clear[name]:
            continue
        gap, error = -table.elpd_diff[name], table.dse[name]
        why = (
            f"the difference of {gap:.1f} is within two of its standard errors, {error:.1f}"
            if gap <= 2 * error
            else f"the difference of {gap:.1f} is below {SMALL:g}"
        )
        said.append(f"{best} and {name} are not distinguishable by how they predict {task}: {why}.")
    if by == "future":
        said.append(
            "Runs predicted by one fit miss together, so the standard errors are too small; and "
            "the law that predicts the largest of these runs best need not be the best beyond them."
        )
    elif worse:
        said.append("That speaks for predictions among such runs, not far beyond them.")
    if count < _FEW:
        said.append(
            f"With {count} runs the standard errors are themselves uncertain, and so are the "
            "weights."
        )
    doubtful = [name for name, number in table.attrs["doubtful"].items() if number]
    if doubtful:
        said.append(f"Some scores of {' and '.join(doubtful)} are not reliable.")
    return said


def _doubt(name: str, one: Scores) -> str:
    count = len(one.pointwise)
    if one.exact.any():
        return (
            f"{name!r}: refits whose diagnostics failed scored {one.doubtful} of {count} runs; do "
            "not read much into small differences to this law"
        )
    return (
        f"{name!r}: Pareto k is too high at {one.doubtful} of {count} runs, and the fit cannot be "
        "repeated without them, so their scores are unreliable; do not read much into small "
        "differences to this law"
    )


# --- what is held out -----------------------------------------------------------------------------


def _folds(fits: Mapping[str, Fit], folds: int | str, seed: int | None) -> dict[Any, np.ndarray]:
    tables = [table_of(fit) for fit in fits.values()]
    having = [runs for runs in tables if folds in runs.columns]
    return folds_of((having or tables)[0], folds, seed)


def _future(fits: Mapping[str, Fit], cuts: tuple[float, ...], order: str) -> dict[Any, np.ndarray]:
    if not cuts:
        raise InputError("cuts is empty; give shares of the runs to hold out, such as (0.2, 0.5)")
    found: dict[str, dict[Any, np.ndarray]] = {}
    for name, fit in fits.items():
        at = order_of(fit.law, table_of(fit), order)
        found[name] = {cut: later_runs(at, cut) for cut in cuts}
    first, *others = found
    for name in others:
        for cut in cuts:
            if not np.array_equal(found[first][cut], found[name][cut]):
                raise InputError(
                    f"{first!r} and {name!r} would hold out different runs as the last {cut:.0%}: "
                    f"they put runs in another order by {order!r}; add the column 'flops' to the "
                    "table that they are fitted to, or name a column that they share: order='D'"
                )
    return distinct(found[first])


# --- what cannot be compared ----------------------------------------------------------------------


def _check_trusted(fits: Mapping[str, Fit]) -> None:
    for name, fit in fits.items():
        table = diagnose(fit)
        if table.attrs["ok"]:
            continue
        raise InputError(
            f"{name!r} failed its diagnostics ({failures(table)}), so its scores would not be "
            "those of its posterior; draw more (draws=4000), inform it by priors=..., or leave it "
            "out"
        )


def _check_same_runs(fits: Mapping[str, Fit]) -> None:
    if not isinstance(fits, Mapping):
        raise InputError(
            f"give fits by name, compare({{'dense': fit, 'sparse': other}}), not a "
            f"{type(fits).__name__}"
        )
    if len(fits) < 2:
        raise InputError(f"a comparison needs at least two fits, not {len(fits)}")
    first, *others = fits
    for name, fit in fits.items():
        if "log_likelihood" not in fit.tree:
            raise InputError(f"{name!r} was not fitted to runs, so it cannot be compared")
    losses = {n: np.log(table_of(fit)["loss"].to_numpy()) for n, fit in fits.items()}
    ours = losses[first]
    for name in others:
        theirs = losses[name]
        if ours.shape != theirs.shape:
            raise InputError(
                f"{first!r} was fitted to {len(ours)} runs and {name!r} to {len(theirs)}: scores "
                "of different runs cannot be compared; fit both to the same table"
            )
        gap = theirs - ours
        if np.abs(gap).max() <= 1e-12:
            continue
        if np.ptp(gap) < 1e-6:
            raise InputError(
                f"the losses of {name!r} are those of {first!r} times {np.exp(gap.mean()):.6g}: "
                "they are on another scale (bits for nats, or per byte for per token); fit both to "
                "losses in nats"
            )
        if np.allclose(np.sort(ours), np.sort(theirs), rtol=0, atol=1e-12):
            raise InputError(
                f"{first!r} and {name!r} were fitted to the same losses in another order; fit both "
                "to the same table"
            )
        row = int(np.argmax(np.abs(gap) > 1e-12))
        raise InputError(
            f"{first!r} and {name!r} were fitted to different losses (first at row {row}: "
            f"{np.exp(ours[row]):.6g} against {np.exp(theirs[row]):.6g} nats); fit both to the "
            "same rows in the same order"
        )
