"""Which run to train next: what each would teach, per FLOP spent.

A candidate is worth what its outcome is expected to change. Its loss is simulated in every
posterior draw, and what the draws say of the target (or of the loss of every plan) is regressed on
it: the fitted values are the posterior mean after the run, for each outcome. No candidate needs a
refit (Strong, Oakley & Brennan 2014; Strong et al. 2015, "Estimating the expected value of sample
information using the probabilistic sensitivity analysis sample").
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayescale.common.errors import InputError
from bayescale.decisions.plan_grid import plan_losses
from bayescale.decisions.proposals import affordable, propose_runs
from bayescale.fitting.fits import Fit
from bayescale.language.columns import read_columns
from bayescale.prediction.draws import check_one_group, flat, thinned
from bayescale.prediction.predict import predict

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["next_runs"]

_OUTCOMES = 4  # simulated outcomes of a run in each draw
_FEWEST, _MOST = 40, 4000  # posterior draws
_BLOCKS = 8  # of draws, whose scatter is the Monte Carlo error
_OUTLYING = 4.0  # scaled deviations at which an outcome says no more
_LARGEST_BATCH = 8


def next_runs(
    fit: Fit,
    candidates: pd.DataFrame | None = None,
    budget: float | None = None,
    target: Any = None,
    *,
    batch: int | None = None,
    rank: Literal["per_flop", "gain"] = "per_flop",
    most: float | None = None,
    cost: Callable[..., Any] | None = None,
    choose: Mapping[str, Sequence[float]] | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Rank candidate training runs by what they would teach.

    With a ``budget`` the aim is a better decision: a run's gain is the expected reduction of the
    regret of the plan that will be trained with that budget (the expected value of sample
    information, in nats). With a ``target`` the aim is a sharper prediction: its gain is the
    expected reduction of the variance of the law's loss at the target, in nats squared.

    Parameters
    ----------
    fit
        A fit.
    candidates
        One row a run, in the vocabulary, like a table to fit but without losses. Its
        column ``flops`` is the cost of a run; without it, the law's cost model is. By default
        a grid within and somewhat beyond the fitted runs (``bs.propose_runs``).
    budget
        Training FLOPs of the decision.
    target
        Inputs of the run to predict, such as ``{"N": 7e10, "D": 1.4e12}``, or a table of such
        runs, over which the variance is averaged.
    batch
        How many runs to choose together: one after the other, each for what it adds to those
        already chosen. By default each candidate is ranked alone.
    rank
        ``"per_flop"``, or ``"gain"`` whatever a run costs.
    most
        Most FLOPs of one candidate; dearer ones are left out. For proposed runs by default the
        cost of the largest fitted run.
    cost, choose, fixed, bounds
        The plans that the budget may go to; as for :func:`bayescale.allocate`.
    seed
        Of the simulated outcomes.

    Returns
    -------
    pandas.DataFrame
        The candidates, best first (of a batch: those chosen, in their order), with ``flops``;
        ``gain`` (of a batch: over the runs above it) and its Monte Carlo standard ``error``;
        ``per_flop``, the gain per FLOP; ``share``, the part that the run, or the batch up to it, is
        expected to take off what there is now; and what is then left: ``regret``, or ``sd``
        of the prediction, nats. ``attrs`` hold ``objective`` (``"regret"`` or ``"variance"``),
        ``now``, the regret or the standard deviation before any run, and ``simulated``.

    Raises
    ------
    InputError
        If both or neither of budget and target are given, or a table, a plan or a number makes no
        sense; or if the fit has too few draws to learn from.

    Notes
    -----
    The gain is what the law expects of itself: a run that would show the law to be wrong is worth
    more than it says. Noise is the fit's own, so reruns are worth only what noise they average out.

    The smallest runs cost so little that a tiny gain is much per FLOP: set a floor under them by
    the table given, or ``rank="gain"`` under a ``most``.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> prior = bs.prior(dense, bs.load_runs("olmo_ladder"), seed=1)
    >>> runs = bs.next_runs(prior, target={"N": 7e9, "D": 4e12}, rank="gain", most=1e21)
    >>> bool(runs.gain.iloc[0] == runs.gain.max()), runs.attrs["objective"]
    (True, 'variance')
    """
    import pandas as pd

    if (budget is None) == (target is None):
        raise InputError(
            "say what the run is for: budget=, the FLOPs of the decision it should improve, or "
            "target=, the run whose loss it should help to predict"
        )
    if rank not in ("per_flop", "gain"):
        raise InputError(f"rank is 'per_flop' or 'gain', not {rank!r}")
    _check_draws(fit)
    table = propose_runs(fit, most) if candidates is None else affordable(fit, candidates, most)
    size = _batch(batch, len(table))
    columns = read_columns(table, fit.law.inputs, extra=fit.law.variables)

    few = thinned(fit, _MOST)
    if target is not None:
        values, now = _target_losses(few, target), None
    else:
        options: dict[str, Any] = {"cost": cost, "choose": choose, "fixed": fixed, "bounds": bounds}
        grid = plan_losses(few, float(_one_budget(budget)), **options)
        values = grid.loss
        now = float(values.mean(axis=0).min() - grid.optimum.mean())
    objective = _variance if now is None else _plan_value
    rng = np.random.default_rng(seed)
    outcomes = _outcomes(few, columns, rng)
    flops = table["flops"].to_numpy(float)
    chosen: list[int] = []
    found = []
    before = np.zeros(_BLOCKS + 1)
    for _ in range(size or 1):
        rest = [i for i in range(len(table)) if i not in chosen]
        total = {
            i: _value(np.stack([outcomes[j] for j in (*chosen, i)]), values, objective)
            for i in rest
        }
        gains = {i: total[i] - before for i in rest}
        merit = {i: gains[i][0] / (flops[i] if rank == "per_flop" else 1.0) for i in rest}
        order = sorted(rest, key=lambda i: -merit[i])
        kept = order if size is None else order[:1]
        found += [(i, gains[i], total[i][0]) for i in kept]
        chosen += kept
        before = total[kept[0]]
    start = float(values.var(axis=0).mean()) if now is None else now
    rows = [i for i, *_ in found]
    gain = np.array([x[0] for _, x, _ in found])
    spread = [np.std(x[1:], ddof=1) / np.sqrt(_BLOCKS) for _, x, _ in found]
    left = np.maximum(start - np.array([x for *_, x in found]), 0.0)
    ranked = table.iloc[rows].assign(
        gain=gain, error=spread, per_flop=gain / flops[rows], share=1 - left / start
    )
    name = "sd" if now is None else "regret"
    ranked[name] = np.sqrt(left) if now is None else left
    ranked.attrs = {
        "objective": "variance" if now is None else "regret",
        "now": float(np.sqrt(start)) if now is None else start,
        "simulated": bool(fit.about.get("simulated", False)),
        "loss_unit": fit.loss_unit,
        "batch": size,
        "rank": rank,
    }
    assert isinstance(ranked, pd.DataFrame)
    return ranked


# --- what was asked for ---------------------------------------------------------------------------


def _batch(batch: int | None, count: int) -> int | None:
    if batch is None:
        return None
    if batch != int(batch) or not 1 <= batch <= min(_LARGEST_BATCH, count):
        raise InputError(
            f"batch is a whole number from 1 to {min(_LARGEST_BATCH, count)}, not {batch!r} "
            f"(there are {count} candidates, and at most {_LARGEST_BATCH} are weighed together)"
        )
    return int(batch)


def _one_budget(budget: Any) -> float:
    if np.size(budget) != 1:
        raise InputError("budget is one number of FLOPs: that of the decision the run should serve")
    return float(np.asarray(budget).reshape(()))


# --- draws ----------------------------------------------------------------------------------------


def _check_draws(fit: Fit) -> None:
    check_one_group(fit)
    count = fit.posterior.sizes["chain"] * fit.posterior.sizes["draw"]
    if fit.about["noise"] is None or count < _FEWEST:
        what = "published coefficients" if fit.about["noise"] is None else f"{count} draws"
        raise InputError(
            f"what a run would teach is worked out from posterior draws, at least {_FEWEST} of "
            f"them, and this fit holds {what}; fit runs with bs.fit"
        )


def _target_losses(fit: Fit, target: Any) -> np.ndarray:
    """Loss of the law at the target runs, over draws and runs."""
    if isinstance(target, Mapping):
        given = dict(target)
    elif hasattr(target, "iloc"):
        given = dict(read_columns(target, fit.law.inputs, extra=fit.law.variables))
    else:
        raise InputError(
            "target is a run, such as {'N': 7e10, 'D': 1.4e12}, or a table of runs, not a "
            f"{type(target).__name__}"
        )
    loss = flat(predict(fit, mean=True, **given))
    return loss.reshape(len(loss), -1)


def _outcomes(fit: Fit, columns: Mapping[str, Any], rng: np.random.Generator) -> list[np.ndarray]:
    """Simulated log losses of each candidate: over outcomes and draws, centred and scaled.

    Noise may have heavy tails; an outcome far out tells no more than one at four deviations.
    """
    simulated = []
    for _ in range(_OUTCOMES):
        seed = int(rng.integers(2**31))
        with np.errstate(divide="ignore"):  # A loss of zero, under a prior, is far out as well.
            simulated.append(np.log(flat(predict(fit, seed=seed, **columns))))
    found = []
    for y in np.stack(simulated).transpose(2, 0, 1):
        centre = np.median(y)
        scale = 1.4826 * np.median(np.abs(y - centre))
        with np.errstate(invalid="ignore"):
            z = (y - centre) / scale if scale > 0 else np.zeros_like(y)
        found.append(np.clip(np.nan_to_num(z), -_OUTLYING, _OUTLYING))
    return found


# --- what a run is worth --------------------------------------------------------------------------


def _features(z: np.ndarray) -> np.ndarray:
    """Polynomials of the outcomes of some runs (first axis), along a new last axis."""
    pairs = itertools.combinations_with_replacement(range(len(z)), 2)
    made = [np.ones_like(z[0]), *z, *(z[i] * z[j] for i, j in pairs)]
    return np.stack([*made, z[0] ** 3] if len(z) == 1 else made, axis=-1)


def _value(
    z: np.ndarray, values: np.ndarray, objective: Callable[[np.ndarray, np.ndarray], float]
) -> np.ndarray:
    """What runs with these outcomes are worth: from all draws, and from each block of them."""
    x = _features(z)
    worth = [_worth(x, values, objective)]
    for block in np.array_split(np.arange(len(values)), _BLOCKS):
        worth.append(_worth(x[:, block], values[block], objective))
    return np.array(worth)


def _worth(
    x: np.ndarray, values: np.ndarray, objective: Callable[[np.ndarray, np.ndarray], float]
) -> float:
    """What the posterior means after the runs are worth: a regression's fitted values."""
    rows = x.reshape(-1, x.shape[-1])
    moments, cross = rows.T @ rows, x.sum(axis=0).T @ values
    fitted = rows @ (np.linalg.pinv(moments, rcond=1e-12, hermitian=True) @ cross)
    return objective(fitted, values)


def _variance(fitted: np.ndarray, values: np.ndarray) -> float:
    """Variance of the posterior mean after the run: what it takes off the variance."""
    return float(fitted.var(axis=0).mean())


def _plan_value(fitted: np.ndarray, values: np.ndarray) -> float:
    """What the best plan for each outcome gains over the one plan that is best without it."""
    return float(values.mean(axis=0).min() - fitted.min(axis=1).mean())
