"""What a report says: numbers from the package's own functions, and the sentences about them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from bayescale.common.errors import InputError
from bayescale.common.progress import Report
from bayescale.common.quantities import format_number
from bayescale.decisions.allocation import AllocationWarning
from bayescale.decisions.budgets import Budget, parse_budget
from bayescale.decisions.decision import decide, decide_beside
from bayescale.decisions.plans import Plans, check_budget, plans, training_cost
from bayescale.fitting.fits import Fit
from bayescale.language.variables import variable
from bayescale.prediction.headline import run_loss
from bayescale.prediction.predict import interval

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Content", "check_backtest", "content", "each_budget", "thinned"]

_POINTS = 25  # of the slider
#: Draws from which the budgets beside the question's are worked out: ends of their 90 % intervals
#: are then known to about a tenth of the half-width. The question's own has every draw.
_FEWER = 500
_DRAWS = 200  # of each of its points, as evenly spaced quantiles of all


@dataclass(frozen=True)
class Content:
    """Everything that a report is made of.

    Attributes
    ----------
    fits
        Fits by name; the first answers.
    space
        The plans that the first allows.
    options
        What ``allocate`` and ``decide`` were told.
    budget
        Training FLOPs of the question.
    paid
        What the budget was worked out from.
    prob
        Posterior probability of intervals.
    within
        Loss that near-optimal plans may give up.
    question
        The question.
    rows
        The answer at every budget of the slider: see :func:`each_budget`.
    optima
        The best plan of each of some draws at these budgets, as ``allocate`` has them.
    others
        Of every other fit: its answer at the budget, or why it has none.
    odds
        Of every other fit, of other runs: ``name``, ``budget``, ``probability`` that the first has
        the lower loss, and the ``lower``, ``median`` and ``upper`` of the compute that the other
        needs for the first one's loss, over the first one's.
    sizes
        What other sizes would cost at the budget.
    scores
        ``compare`` of all fits, or why it cannot be; None of one fit.
    residuals
        ``check_residuals`` of the fit that answers, or why there are none.
    backtest, influence, ledger
        As given.
    seed
        Of the noise of predictions.
    """

    fits: Mapping[str, Fit]
    space: Plans
    options: Mapping[str, Any]
    budget: float
    paid: Budget
    prob: float
    within: float
    question: str
    rows: list[dict[str, Any]]
    optima: xr.Dataset
    others: dict[str, dict[str, Any] | str]
    odds: list[dict[str, Any]]
    sizes: list[dict[str, Any]]
    scores: pd.DataFrame | str | None
    residuals: pd.DataFrame | str
    backtest: pd.DataFrame | None
    influence: pd.DataFrame | None
    ledger: pd.DataFrame | None
    seed: int

    @property
    def name(self) -> str:
        """Name of the fit that answers."""
        return next(iter(self.fits))

    @property
    def fit(self) -> Fit:
        """The fit that answers."""
        return self.fits[self.name]

    @property
    def unit(self) -> str:
        """Unit of the losses."""
        return self.fit.loss_unit

    @property
    def at(self) -> int:
        """Index of the question's budget among the rows."""
        return next(i for i, row in enumerate(self.rows) if row["budget"] == self.budget)

    @property
    def answer(self) -> dict[str, Any]:
        """The row of the question's budget."""
        return self.rows[self.at]


def content(
    fits: Mapping[str, Fit],
    *,
    budget: float | str | None,
    span: tuple[float, float] | None,
    question: str | None,
    prob: float,
    within: float,
    options: Mapping[str, Any],
    backtest: pd.DataFrame | None,
    influence: pd.DataFrame | None = None,
    ledger: pd.DataFrame | None = None,
    seed: int,
    tell: Report = lambda stage, share=None: None,
) -> Content:
    """Work out everything that a report says; ``tell`` is told how far that is."""
    fit = next(iter(fits.values()))
    space = plans(fit, **options)
    trained = training_cost(fit, space)
    largest = None if trained is None else float(trained.max())
    if budget is None:
        if largest is None:
            raise InputError("published coefficients have no runs to go by: give a budget")
        budget = float(f"{10 * largest:.1g}")
    paid = parse_budget(budget)
    flops = float(check_budget(fit, paid.flops, space)[0][0])
    check_backtest(backtest)
    budgets = _budgets(fit, space, flops, span, largest)
    tell("the plan")
    (answer,), _ = each_budget(fit, np.array([flops]), prob, within, options, seed)
    tell("other budgets")
    rows, optima = _possible(thinned(fit), budgets, flops, span, prob, within, options, seed)
    rows = [answer if row["budget"] == flops else row for row in rows]
    others: dict[str, dict[str, Any] | str] = {}
    for name, other in list(fits.items())[1:]:
        tell(f"the plan of {name}")
        try:
            at = np.array([flops])
            (others[name],), _ = each_budget(other, at, prob, within, options, seed)
        except InputError as error:
            others[name] = str(error)
    odds = _odds(fits, flops, options, seed)
    tell("other sizes")
    sizes = _sizes(fit, space, answer, within, options)
    tell("the fitted runs")
    flop = format_number(flops)
    return Content(
        fits=fits,
        space=space,
        options=options,
        budget=flops,
        paid=paid,
        prob=prob,
        within=within,
        question=question or f"What should be trained with {flop} FLOP, and what loss to expect?",
        rows=rows,
        optima=optima,
        others=others,
        odds=odds,
        sizes=sizes,
        scores=_scores(fits),
        residuals=_residuals(fit, seed),
        backtest=backtest,
        influence=influence,
        ledger=ledger,
        seed=seed,
    )


def thinned(fit: Fit) -> Fit:
    """The fit with draws enough for a picture or a slider, evenly spaced over its chains."""
    sizes = fit.posterior.sizes
    step = -(-sizes["chain"] * sizes["draw"] // _FEWER)
    if step == 1:
        return fit
    tree = fit.tree.copy()
    draws = tree["posterior"].to_dataset().isel(draw=slice(None, None, step))
    tree["posterior"] = xr.DataTree(draws)
    return Fit(fit.law, tree)


def check_backtest(table: pd.DataFrame | None) -> None:
    """Refuse a table that is no backtest."""
    if table is None:
        return
    missing = [name for name in ("loss", "q05", "q50", "q95") if name not in table]
    if missing or not len(table):
        raise InputError(
            f"a backtest has the columns loss, q05, q50 and q95 and a row a prediction; this table "
            f"has {len(table)} rows and lacks {', '.join(missing) or 'none of them'}"
        )


def _budgets(
    fit: Fit, space: Plans, budget: float, span: tuple[float, float] | None, largest: float | None
) -> np.ndarray:
    """Budgets of the slider: round numbers, and the one of the question."""
    if span is None:
        low, high = budget / 10, budget * 10
        low = min(low, max(largest, budget / 1e4)) if largest else low
        for _ in range(10):  # A budget may be too close to the smallest one that there can be.
            try:
                check_budget(fit, low, space)
                break
            except InputError:
                low = np.sqrt(low * budget)
        else:
            low = budget
    else:
        low, high = (float(end) for end in check_budget(fit, list(span), space)[0])
        if not low < high:
            raise InputError(f"span is a lowest and a highest budget, not {low:g} and {high:g}")
    round_ones = [float(f"{x:.2g}") for x in np.geomspace(low, high, _POINTS - 1)]
    inside = [x for x in round_ones if low * (1 - 1e-9) <= x <= high * (1 + 1e-9)]
    return np.unique([*inside, budget])


def _possible(
    fit: Fit,
    budgets: np.ndarray,
    budget: float,
    span: tuple[float, float] | None,
    prob: float,
    within: float,
    options: Mapping[str, Any],
    seed: int,
) -> tuple[list[dict[str, Any]], xr.Dataset]:
    """The answer at every budget; of a default span, at those that bounds leave possible."""
    closer = (np.inf, 3.0, 1.0) if span is None else (np.inf,)
    for factor in closer:
        near = budgets[np.abs(np.log(budgets / budget)) <= np.log(factor) + 1e-9]
        try:
            return each_budget(fit, near, prob, within, options, seed)
        except InputError:
            if factor == closer[-1]:
                raise
    raise AssertionError("unreachable")


def each_budget(
    fit: Fit,
    budgets: np.ndarray,
    prob: float,
    within: float,
    options: Mapping[str, Any],
    seed: int,
) -> tuple[list[dict[str, Any]], xr.Dataset]:
    """What to train at each budget and what it gives.

    Returns
    -------
    rows : list of dict
        Of each budget: ``budget``; ``plan``, every input; ``loss``, the ``lower``, ``median`` and
        ``upper`` of the run's loss; ``draws`` of it, evenly spaced quantiles; ``regret`` (``mean``,
        ``upper``); ``band`` and ``optimum``, two ends of every input that the budget decides;
        ``extrapolation`` and ``at_bound`` as ``allocate`` has them.
    optima : xarray.Dataset
        What ``allocate`` gives.
    """
    with warnings.catch_warnings():
        # That a bound decides, or a budget is far out, has a line among the checks, as has a fit
        # that failed its diagnostics: the page says so at its top.
        warnings.simplefilter("ignore", AllocationWarning)
        decided, best = decide_beside(fit, budgets, within=within, **options)
    loss = run_loss(fit, {name: decided[name].values for name in fit.law.inputs}, seed=seed)
    spread, tail = interval(loss, prob).values, interval(decided.regret, prob).values
    middle, optimum = loss.median(("chain", "draw")).values, interval(best, prob)
    steps = (np.arange(_DRAWS) + 0.5) / _DRAWS
    quantiles = loss.quantile(steps, ("chain", "draw")).transpose("budget", "quantile").values
    moving = [str(n).removesuffix("_band") for n in decided.data_vars if str(n).endswith("_band")]
    rows = []
    for i, budget in enumerate(decided.budget.values):
        at = decided.isel(budget=i)
        rows.append(
            {
                "budget": float(budget),
                "plan": {name: float(at[name]) for name in fit.law.inputs},
                "loss": {
                    "lower": float(spread[i, 0]),
                    "median": float(middle[i]),
                    "upper": float(spread[i, 1]),
                },
                "draws": quantiles[i].tolist() if np.ptp(quantiles[i]) else [float(middle[i])],
                "expected": float(at.expected_loss),
                "regret": {"mean": float(at.expected_regret), "upper": float(tail[i, 1])},
                "band": {name: at[f"{name}_band"].values.tolist() for name in moving},
                "optimum": {name: optimum[name].values[i].tolist() for name in moving},
                "extrapolation": float(at.extrapolation),
                "at_bound": float(best.at_bound[i]),
            }
        )
    return rows, best


def _sizes(
    fit: Fit, space: Plans, answer: Mapping[str, Any], within: float, options: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """What smaller and larger models within the bounds would cost in expected loss."""
    if space.free is None or variable(space.free, fit.law.variables).scale is None:
        return []
    found: list[dict[str, Any]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AllocationWarning)
        low, high = space.bounds[space.free]
        for factor in (0.25, 0.5, 2.0, 4.0):
            size = factor * answer["plan"][space.free]
            if not low <= size <= high:
                continue
            held = {**(options["fixed"] or {}), space.free: size}
            try:
                rest = {k: v for k, v in (options["bounds"] or {}).items() if k != space.free}
                kept = {**options, "fixed": held, "bounds": rest or None}
                other = decide(fit, answer["budget"], within=within, trust=True, **kept)
            except InputError:
                continue
            more = float(other.expected_loss) - answer["expected"]
            inputs = {name: float(other[name]) for name in fit.law.inputs}
            found.append({"factor": factor, "plan": inputs, "more": more})
    return found


def _odds(
    fits: Mapping[str, Fit], budget: float, options: Mapping[str, Any], seed: int
) -> list[dict[str, Any]]:
    """The first architecture against each of other runs; laws of the same runs are no rivals."""
    from bayescale.decisions.rivals import probability

    (_, first), *others = fits.items()
    budgets, found = [budget / 10, budget, budget * 10], []
    for name, other in others:
        if other.about.get("runs") == first.about.get("runs"):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AllocationWarning)
                told = probability(
                    thinned(first),
                    thinned(other),
                    budgets,
                    plan_a=options,
                    plan_b=options,
                    seed=seed,
                )
        except InputError:  # The table of the fits says why one of them has no answer.
            continue
        more = told.multiplier.quantile([0.05, 0.5, 0.95], ("chain", "draw")).values
        for i, at in enumerate(budgets):
            low, middle, high = more[:, i].tolist()
            found.append({"name": name, "budget": at, "probability": float(told.probability[i]),
                          "lower": low, "median": middle, "upper": high})  # fmt: skip
    return found


def _scores(fits: Mapping[str, Fit]) -> pd.DataFrame | str | None:
    """How well each fit predicts runs left out; or why that is not known."""
    if len(fits) < 2:
        return None
    from bayescale.checking.comparison import compare
    from bayescale.fitting.diagnostics import FitWarning

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)  # The table's reading says so too.
            return compare(fits)
    except InputError as error:
        return str(error)


def _residuals(fit: Fit, seed: int) -> pd.DataFrame | str:
    """Whether the fitted runs scatter about the law as it says; or why that is not known."""
    from bayescale.checking.residual_checks import LEVEL, check_residuals

    try:
        # As the command ``check`` has it: the two must not say opposite things of one fit.
        return check_residuals(fit, prob=LEVEL, exact=False, seed=seed)
    except InputError as error:
        return str(error)
