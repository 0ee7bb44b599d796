"""Which run to train next: what each would teach, per FLOP spent.

A candidate is worth what its outcome is expected to change. Its loss is simulated in every
posterior draw, and what the draws say of the target (or of the loss of every plan) is regressed on
it: the fitted values are the posterior mean after the run, for each outcome. No candidate needs a
refit (Strong, Oakley & Brennan 2014; Strong et al. 2015, "Estimating the expected value of sample
information using the probabilistic sensitivity analysis sample").

A regression makes something of chance as well. Each block of draws is therefore decided by what the
others teach, and a gain is what those decisions were then worth: of a run that tells nothing it is
zero but for chance, on either side, and never more than knowing the coefficients would be worth.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from bayescale.common.errors import InputError
from bayescale.decisions.plan_grid import plan_losses
from bayescale.decisions.proposals import affordable, propose_runs
from bayescale.decisions.risk import largest_loss
from bayescale.fitting.fits import Fit
from bayescale.language.columns import read_columns
from bayescale.prediction.draws import check_one_group, flat, thinned
from bayescale.prediction.predict import predict

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["next_runs"]

_OUTCOMES = 4  # simulated outcomes of a run in each draw
_FEWEST, _MOST = 40, 4000  # posterior draws
_BLOCKS = 8  # of draws, each decided by the others; their scatter is the Monte Carlo error
_OUTLYING = 4.0  # scaled deviations at which an outcome says no more
_LARGEST_BATCH = 8
_CLEAR = 2.0  # standard errors by which a gain is told from none


def next_runs(
    fit: Fit,
    candidates: pd.DataFrame | None = None,
    budget: float | None = None,
    target: Any = None,
    *,
    batch: int | None = None,
    rank: Literal["per_flop", "gain"] = "per_flop",
    most: float | None = None,
    trust: bool = False,
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
    trust
        Rank for a ``budget`` also with a fit that failed its diagnostics.
    cost, choose, fixed, bounds
        The plans that the budget may go to; as for :func:`bayescale.allocate`.
    seed
        Of the simulated outcomes.

    Returns
    -------
    pandas.DataFrame
        The candidates, best first (of a batch: those chosen, in their order), with ``flops``;
        ``gain`` (of a batch: over the runs above it) and its Monte Carlo standard ``error``;
        ``clear``, whether the gain is above twice its error: others come last, whatever they seem
        to teach; ``per_flop``, the gain per FLOP; ``share``, the part that the run, or the batch up
        to it, is expected to take off what there is now; and what is then left: ``regret``, or
        ``sd`` of the prediction, nats. ``attrs`` hold ``objective`` (``"regret"`` or
        ``"variance"``), ``now``, the regret or the standard deviation before any run, ``reading``,
        a sentence on whether there is anything to gain, ``budget``, ``rank``, ``batch`` and
        ``simulated``.

    Raises
    ------
    InputError
        If both or neither of budget and target are given, or a table, a plan or a number makes no
        sense; or if the fit has too few draws to learn from.

    Notes
    -----
    A gain is at most what knowing the coefficients would be worth. It is what decisions made by a
    regression would be worth, a little below what the best use of the outcome would be, and a
    little below zero where the outcome tells nothing: to act on chance costs. Losses are bounded as
    in :func:`bayescale.decide`.

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
        grid = plan_losses(few, float(_one_budget(budget)), trust=trust, **options)
        values = grid.loss
        now = float(values.mean(axis=0).min() - grid.optimum.mean())
    objective = _variances if now is None else _plan_values
    rng = np.random.default_rng(seed)
    outcomes = _outcomes(few, columns, rng)
    flops = table["flops"].to_numpy(float)
    chosen: list[int] = []
    found = []
    before = np.zeros(_BLOCKS)
    for _ in range(size or 1):
        rest = [i for i in range(len(table)) if i not in chosen]
        total = {
            i: _value(np.stack([outcomes[j] for j in (*chosen, i)]), values, objective)
            for i in rest
        }
        gains = {i: _mean_and_error(total[i] - before) for i in rest}
        merit = {i: gains[i][0] / (flops[i] if rank == "per_flop" else 1.0) for i in rest}
        order = sorted(rest, key=lambda i: (not _is_clear(*gains[i]), -merit[i]))
        kept = order if size is None else order[:1]
        found += [(i, *gains[i], _mean_and_error(total[i])[0]) for i in kept]
        chosen += kept
        before = total[kept[0]]
    start = float(values.var(axis=0).mean()) if now is None else now
    rows = [i for i, *_ in found]
    gain, error, taken = (np.array(one) for one in list(zip(*found, strict=True))[1:])
    # No outcome can be worth more than all there is to know. It follows from how gains are made.
    assert taken.max() <= start * (1 + 1e-9), "a gain above the value of perfect information"
    left = start - taken
    ranked = table.iloc[rows].assign(
        gain=gain, error=error, clear=_is_clear(gain, error), per_flop=gain / flops[rows],
        share=taken / start if start > 0 else 0.0,
    )  # fmt: skip
    name = "sd" if now is None else "regret"
    ranked[name] = np.sqrt(left) if now is None else left
    ranked.attrs = {
        "objective": "variance" if now is None else "regret",
        "now": float(np.sqrt(start)) if now is None else start,
        "simulated": bool(fit.about.get("simulated", False)),
        "loss_unit": fit.loss_unit,
        "budget": budget,
        "batch": size,
        "rank": rank,
    }
    ranked.attrs["reading"] = _reading(ranked, start)
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
    loss = np.minimum(flat(predict(fit, mean=True, **given)), largest_loss(fit))
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
    z: np.ndarray, values: np.ndarray, objective: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> np.ndarray:
    """What runs with these outcomes are worth in each block of draws, told by the other blocks.

    The posterior mean of each value after the runs is a regression's fitted value.
    """
    x = _features(z)
    blocks = np.array_split(np.arange(len(values)), _BLOCKS)
    rows = [x[:, block].reshape(-1, x.shape[-1]) for block in blocks]
    moments = np.stack([one.T @ one for one in rows])
    cross = np.stack([x[:, block].sum(axis=0).T @ values[block] for block in blocks])
    fitted = np.empty((*x.shape[:2], values.shape[1]))
    for i, block in enumerate(blocks):
        others = np.linalg.pinv(moments.sum(axis=0) - moments[i], rcond=1e-12, hermitian=True)
        fitted[:, block] = x[:, block] @ (others @ (cross.sum(axis=0) - cross[i]))
    worth = objective(fitted, values).mean(axis=0)
    # Blocks differ by one draw at most; their mean is that of all draws to the last digit.
    return np.array([worth[block].sum() for block in blocks]) * _BLOCKS / len(values)


def _mean_and_error(worth: np.ndarray) -> tuple[float, float]:
    return float(worth.mean()), float(worth.std(ddof=1) / np.sqrt(len(worth)))


def _is_clear(gain: Any, error: Any) -> Any:
    return gain > _CLEAR * error


def _variances(fitted: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What the posterior mean after the run takes off the squared error: over outcomes, draws."""
    before = (values - values.mean(axis=0)) ** 2
    return np.asarray((before - (values - fitted) ** 2).mean(axis=-1))


def _plan_values(fitted: np.ndarray, values: np.ndarray) -> np.ndarray:
    """What the plan that looks best after the run saves over the one that is best without it."""
    now = values[:, values.mean(axis=0).argmin()]
    return now - np.take_along_axis(values[None], fitted.argmin(axis=-1)[..., None], -1)[..., 0]


def _reading(ranked: pd.DataFrame, start: float) -> str:
    """Whether there is anything to gain, and whether it can be told from chance."""
    what = "the variance" if ranked.attrs["objective"] == "variance" else "the regret"
    if not start > 0:
        return f"There is nothing to gain: {what} is zero already."
    best = ranked.loc[ranked.gain.idxmax()] if ranked.index.is_unique else ranked.iloc[0]
    off = f"{100 * best.gain / start:.1f} ± {100 * best.error / start:.1f} % of {what}"
    if not ranked.clear.any():
        return (
            f"Nothing to gain that these draws could tell from chance: the run that seems to teach "
            f"most would take off {off}."
        )
    if (unclear := int((~ranked.clear).sum())) == 0:
        return f"The run that teaches most takes off {off}."
    return (
        f"The run that teaches most takes off {off}; runs whose gain is within twice its Monte "
        f"Carlo error come last: {unclear} of {len(ranked)}."
    )
