"""How far a decision rests on the priors: each raised to a power, without a refit."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescale.checking.prior_scores import doubts, log_priors, problem_of
from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number
from bayescale.decisions.allocation import allocate
from bayescale.decisions.plans import plans, training_cost
from bayescale.fitting.design import listed
from bayescale.fitting.fits import Fit
from bayescale.fitting.groups import group as one_group
from bayescale.language.compute import size_input, training_compute
from bayescale.language.variables import variable
from bayescale.prediction.draws import check_one_group, flat
from bayescale.prediction.predict import predict
from bayescale.sampling.pareto import smoothed

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MIN_SENSITIVITY", "POWERS", "prior_sensitivity"]

#: Powers of what is weakened and strengthened: a normal's spread grows and falls by 12 %.
POWERS = 0.8, 1.25
#: From here on a component matters (Kallioinen et al. 2024).
MIN_SENSITIVITY = 0.05
_NEAR = 0.99, 1.01  # powers of its finite difference
#: Budget over the cost of the largest run, unless one is given.
_BEYOND = 10.0
_ALL, _RUNS = "all priors", "runs"


def prior_sensitivity(
    fit: Fit,
    budget: float | None = None,
    *,
    of: str | None = None,
    group: str | None = None,
    cost: Callable[..., Any] | None = None,
    choose: Mapping[str, Sequence[float]] | None = None,
    fixed: Mapping[str, float] | None = None,
    bounds: Mapping[str, tuple[float, float]] | None = None,
) -> pd.DataFrame:
    r"""How far the optimal plan moves when a prior is weakened or strengthened.

    Each prior in turn, all of them, and the runs' likelihood are raised to the powers 0.8 and 1.25
    (Kallioinen et al. 2024, arXiv:2107.14054). Nothing is fitted again: the draws are reweighted,
    and the check of the weights says where that fails.

    Parameters
    ----------
    fit
        A fit made by :func:`bayescale.fit`.
    budget
        Training FLOPs; by default ten times the cost of the largest fitted run.
    of
        What moves: a count that the budget decides, such as ``"D"``, or ``"loss"``, the law's loss
        at the optimum. By default the size of the model. A law without a cost model has no
        optimum: it is the loss of a run ten times the largest, each count by the same factor.
    group
        The group to decide for, of a fit whose coefficients vary.
    cost, choose, fixed, bounds
        As for :func:`bayescale.allocate`.

    Returns
    -------
    pandas.DataFrame
        Indexed by component: each coefficient with a prior, the parameters of noise, discrepancy
        and groups, ``"all priors"``, and ``"runs"`` (the likelihood). With ``of="N"`` the columns
        are ``psense`` (the sensitivity index; 0.05 and more matters), ``N_weaker``, ``N_as_is``
        and ``N_stronger`` (posterior median with the component to the power 0.8, 1 and 1.25; counts
        in plain units, a loss in nats), ``shift`` (the larger of the two moves, per cent of the
        median), the same of the plan's other counts and of the loss (``D_shift``, ``loss_shift``),
        ``pareto_k`` of the weights, ``ok`` (whether it allows them to be relied on), and ``said``,
        a diagnosis. ``attrs`` hold ``budget`` (None without a cost model), ``of`` and ``reading``,
        the result in sentences.

    Raises
    ------
    InputError
        If the fit has no priors (published coefficients, an average), the plan cannot be made, or
        ``of`` is not decided by the budget.

    Notes
    -----
    A prior to the power :math:`a` is one of the same family: a lognormal prior keeps its median
    and a normal one its mean, and their spreads are divided by :math:`\sqrt a`; a gamma prior's
    shape and rate are multiplied by :math:`a`. For this the density of a positive coefficient is
    taken on the logarithm. What is drawn given other parameters (a group's coefficient about its
    centre, the slopes of a discrepancy) belongs to the model and is not raised.

    The index is the rate at which the distribution of the quantity (a count on the log scale)
    moves, as the Jensen-Shannon distance of its distribution functions, with the logarithm to base
    two of the power. Where prior and runs both matter they may disagree; where the prior does and
    the runs do not, the answer is the prior's.

    Weights are Pareto-smoothed; up to a Pareto :math:`\hat k` of 0.7 (less for few draws) the
    reweighted medians hold.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder").query("not target")
    >>> table = bs.prior_sensitivity(bs.fit(dense, runs, method="laplace", seed=1), 1e23)
    >>> bool(table.psense["beta"] > table.psense["noise_dof"])
    True
    """
    import pandas as pd

    task = problem_of(fit)
    asked = fit if group is None else one_group(fit, group)
    check_one_group(asked)
    options = {"cost": cost, "choose": choose, "fixed": fixed, "bounds": bounds}
    budget, decided, where = _decided(asked, budget, options)
    of = _quantity(asked, decided, of)
    powers = log_priors(task, fit)
    likelihood = fit.tree["log_likelihood"].to_dataset().log_loss.transpose("chain", "draw", "run")
    components = powers | {
        _ALL: np.sum(list(powers.values()), axis=0),
        _RUNS: likelihood.values.sum(axis=-1),
    }
    rows = {name: _row(decided, of, logs) for name, logs in components.items()}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("component")
    table["said"] = [_said(table, str(name)) for name in table.index]
    table.attrs = {"budget": budget, "of": of}
    table.attrs["reading"] = _reading(table, of, where) + doubts(fit)
    return table


# --- what is decided ------------------------------------------------------------------------------


def _decided(
    fit: Fit, budget: float | None, options: Mapping[str, Any]
) -> tuple[float | None, dict[str, xr.DataArray], str]:
    """The budget, what it decides (counts and the loss, of every draw), and where in words."""
    if budget is None and fit.law.cost is None and options["cost"] is None:
        run = _larger_run(fit)
        named = ", ".join(f"{name} = {format_number(x)}" for name, x in run.items())
        return None, {"loss": predict(fit, mean=True, **run)}, f"at {named}"
    if budget is None:
        trained = training_cost(fit, plans(fit, **options))
        if trained is None:
            raise InputError("what the fitted runs cost is not known; give a budget, such as 1e24")
        budget = _BEYOND * float(trained.max())
    if np.ndim(budget):
        raise InputError(f"budget is one number of FLOPs, not {budget!r}; ask for one at a time")
    best = allocate(fit, budget, **options)
    counts = [n for n in fit.law.inputs if variable(n, fit.law.variables).scale is not None]
    decided = {name: best[name] for name in (*counts, "loss")}
    return float(budget), decided, f"at {budget:.3g} FLOP"


def _larger_run(fit: Fit) -> dict[str, Any]:
    """The largest run with its counts raised, so that their product is ten times as much."""
    assert fit.runs is not None
    law, runs = fit.law, {name: fit.runs[name].values for name in fit.law.inputs}
    largest = int(np.argmax(training_compute(law, runs)))
    run: dict[str, Any] = {name: float(values[largest]) for name, values in runs.items()}
    counts = [n for n in law.inputs if variable(n, law.variables).scale is not None]
    for name in counts:
        run[name] *= _BEYOND ** (1 / len(counts))
    return run


def _quantity(fit: Fit, decided: Mapping[str, xr.DataArray], of: str | None) -> str:
    """What to follow: the model's size where the budget decides it."""
    free = [name for name, draws in decided.items() if np.ptp(draws.values) > 0]
    if of is None:
        size = size_input(fit.law)
        return size if size in free else free[0]
    if of not in free:
        raise InputError(
            f"of={of!r} is nothing that budget and draws decide here; choose one of "
            f"{', '.join(map(repr, free))}"
        )
    return of


# --- reweighting ----------------------------------------------------------------------------------


def _row(decided: Mapping[str, xr.DataArray], of: str, logs: np.ndarray) -> dict[str, Any]:
    """Medians as they are and with one component weaker and stronger."""
    from arviz_stats.base import array_stats

    count, values = logs.size, decided[of].transpose("chain", "draw").values
    try:
        low, high = (np.exp(array_stats.power_scale_lw(logs, alpha=a, axis=(0, 1))) for a in _NEAR)
    except ValueError:  # Draws that are alike have no tail to smooth.
        low, high = (np.exp((power - 1) * (logs - logs.max())) for power in _NEAR)
    index = array_stats.power_scale_sense(
        values if of == "loss" else np.log(values), low, high, _NEAR[0], _NEAR[1]
    )
    weights, pareto_k = [np.full(count, 1 / count)], []
    for power in POWERS:
        log_weights, k = _scaled(logs, power)
        weights.append(np.exp(log_weights))
        pareto_k.append(float(k))
    medians = {
        name: [_weighted_median(flat(draws), one) for one in weights]
        for name, draws in decided.items()
    }
    as_is, weaker, stronger = medians[of]
    row: dict[str, Any] = {"psense": float(index), f"{of}_weaker": weaker}
    row |= {f"{of}_as_is": as_is, f"{of}_stronger": stronger, "shift": _shift(medians[of])}
    row |= {f"{name}_shift": _shift(three) for name, three in medians.items() if name != of}
    row["pareto_k"] = max(pareto_k)
    row["ok"] = row["pareto_k"] <= min(1 - 1 / np.log10(count), 0.7)
    return row


def _scaled(logs: np.ndarray, power: float) -> tuple[np.ndarray, np.ndarray]:
    """Log weights of the draws where a component is raised to a power, and their Pareto k."""
    return smoothed((power - 1) * logs.ravel())


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    order = np.argsort(values)
    below = np.cumsum(weights[order]) - weights[order] / 2
    return float(np.interp(0.5 * weights.sum(), below, values[order]))


def _shift(medians: Sequence[float]) -> float:
    """The larger of two moves from the first, per cent."""
    as_is, *moved = medians
    return 100 * (max(moved, key=lambda x: abs(np.log(x / as_is))) / as_is - 1)


# --- in words -------------------------------------------------------------------------------------


def _said(table: pd.DataFrame, name: str) -> str:
    """What the sensitivities of a component and of the likelihood say together."""
    row = table.loc[name]
    if not row.ok:
        return f"not known: Pareto k {row.pareto_k:.2f}"
    matters, runs_matter = row.psense >= MIN_SENSITIVITY, _matter(table, _RUNS)
    if name == _RUNS:
        return "" if runs_matter else "weak likelihood"
    if not matters:
        return ""
    if runs_matter:
        return "potential prior-data conflict"
    return "potential strong prior or weak likelihood"


def _matter(table: pd.DataFrame, name: str) -> bool:
    return bool(table.psense[name] >= MIN_SENSITIVITY)


def _reading(table: pd.DataFrame, of: str, where: str) -> str:
    """The prior that moves the answer most, and who decides it."""
    single = table.drop(index=[_ALL, _RUNS])
    most = str(single["shift"].abs().idxmax())
    said = [
        f"Of the priors, that of {most} moves the median {of} {where} the most: "
        f"{_moved(table, of, most)}; all priors together: {_moved(table, of, _ALL)}; the runs: "
        f"{_moved(table, of, _RUNS)}."
    ]
    ranked = single.psense.sort_values(ascending=False).index
    strong = [str(name) for name in ranked if _matter(table, str(name))]
    if not _matter(table, _RUNS) and not strong and not _matter(table, _ALL):
        said.append(
            f"Neither the runs nor the priors reach a sensitivity of {MIN_SENSITIVITY}: what it is "
            "uncertain by comes from elsewhere, such as how the law may be wrong beyond the runs."
        )
    elif not _matter(table, _RUNS):
        who = f"mostly that of {listed(strong)}" if strong else "whatever it is"
        said.append(f"The runs hardly matter to it: it is the prior's word, {who}.")
    elif strong:
        said.append(
            f"It depends on the runs and on the prior of {listed(strong)} (sensitivity at least "
            f"{MIN_SENSITIVITY}), a potential conflict: look whether that prior is meant."
        )
    elif _matter(table, _ALL):
        said.append("No prior matters to it alone, but together they do.")
    else:
        said.append(f"No prior has a sensitivity of {MIN_SENSITIVITY}: the runs decide.")
    lost = [str(name) for name in table.index[~table.ok]]
    if lost:
        said.append(
            f"Reweighting fails for {listed(lost)} (Pareto k is too high): what they do takes a "
            "refit with other priors=."
        )
    return " ".join(said)


def _moved(table: pd.DataFrame, of: str, name: str) -> str:
    """Such as ``from 61B to 66B (+8.2 %) where it is weaker``."""
    row = table.loc[name]
    ends = {"weaker": row[f"{of}_weaker"], "stronger": row[f"{of}_stronger"]}
    as_is = row[f"{of}_as_is"]
    how = max(ends, key=lambda end: abs(np.log(ends[end] / as_is)))
    before, after = (f"{x:.4f}" if of == "loss" else format_number(x) for x in (as_is, ends[how]))
    return f"from {before} to {after} ({row['shift']:+.2g} %) if {how}"
