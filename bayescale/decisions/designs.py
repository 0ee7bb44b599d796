"""How many small runs, and where, before any is trained: designs, and what each would tell.

A design is scored by simulation. Truths are drawn from the law's priors; each is given losses at
the design's runs, with noise; the law is fitted to them as it would be to measured ones, and asked
for the best size at the budget that the runs are for. How wide its interval is, and what the plan
loses under the truth that the fit does not know, is averaged over the truths. All designs are asked
about the same truths.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number
from bayescale.decisions.allocation import AllocationWarning, allocate
from bayescale.decisions.decision import decide
from bayescale.fitting.diagnostics import diagnose
from bayescale.fitting.fits import Fit
from bayescale.fitting.inference import fit as resample
from bayescale.fitting.inference import prior
from bayescale.fitting.refits import options_of, refit, table_of
from bayescale.language.columns import read_columns
from bayescale.language.compute import law_flops, size_input
from bayescale.language.law import Law
from bayescale.language.priors import Prior
from bayescale.prediction.predict import predict

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DESIGNS", "propose_designs", "score_designs"]

#: Names of the designs that are proposed.
DESIGNS = ("isoFLOP grid", "L-shape", "one ray")
_BUDGETS, _STEP = 4, 4.0  # of an isoFLOP grid, and how many times each is the one below
_DRAWS = {"draws": 250, "chains": 4}  # of each refit
_PRIOR_DRAWS = 1000
_FEWEST = 4  # simulated truths


def propose_designs(
    law: Law, compute: float, *, runs: int = 24, ratio: float = 20.0, span: float = 64.0
) -> pd.DataFrame:
    """Three ways to spend so much compute on small runs, before any is trained.

    An isoFLOP grid: four budgets, a factor of four apart, each spent on several sizes. An L-shape:
    several sizes on few tokens each, and the smallest size on ever more tokens. And one ray: all
    sizes at the same tokens per parameter, which is what many ladders are and which tells least:
    size and data grow together, so that nothing says which of them helped.

    Parameters
    ----------
    law
        A law of ``N`` and ``D``, with a cost model. For others, make a table and score it.
    compute
        FLOPs that all runs of a design cost together.
    runs
        How many runs a design has, about: a multiple of four.
    ratio
        Tokens per parameter in the middle.
    span
        Of the L and the ray, the largest count over the smallest; of the grid, the most tokens per
        parameter over the fewest.

    Returns
    -------
    pandas.DataFrame
        ``design``, ``N``, ``D`` and ``flops``: one row a run. Counts are rounded to two digits, so
        totals differ by a few per cent.

    Raises
    ------
    InputError
        If the law takes other inputs, or a number makes no sense.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> designs = bs.propose_designs(dense, 1e20)
    >>> designs.groupby("design", sort=False).size().to_dict()
    {'isoFLOP grid': 24, 'L-shape': 24, 'one ray': 24}
    """
    import pandas as pd

    if set(law.inputs) != {"N", "D"} or law.cost is None:
        raise InputError(
            f"designs are proposed for laws of N and D with a cost model, and {law.name!r} takes "
            f"{', '.join(law.inputs)}; make a table of these and give it to bs.score_designs"
        )
    for name, value in (("compute", compute), ("ratio", ratio)):
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} is a number above zero, not {value!r}")
    if not (np.isfinite(span) and span > 1):
        raise InputError(f"span is a factor above one, not {span!r}")
    if runs != int(runs) or runs < 2 * _BUDGETS or runs % _BUDGETS:
        raise InputError(f"runs is a multiple of {_BUDGETS}, at least {2 * _BUDGETS}, not {runs!r}")
    found = []
    for name, shape in _shapes(int(runs), ratio, span).items():
        N, D = np.array(shape)
        # One factor for both counts makes the total right: compute grows with its square, all but.
        for _ in range(20):
            factor = (compute / np.sum(_cost(law, N, D))) ** 0.5
            N, D = N * factor, D * factor
        table = {count: [float(f"{x:.2g}") for x in x] for count, x in (("N", N), ("D", D))}
        found.append(pd.DataFrame({"design": name} | table))
    every = pd.concat(found, ignore_index=True)
    read_columns(every, ["N", "D"])  # complains of what no run can be
    return every.assign(flops=_cost(law, every.N.to_numpy(), every.D.to_numpy()))


def _cost(law: Law, N: np.ndarray, D: np.ndarray) -> np.ndarray:
    return np.asarray(law_flops(law, {"N": N, "D": D}), dtype=float)


def _shapes(runs: int, ratio: float, span: float) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Sizes and tokens of each design, up to a common factor."""
    sizes = runs // _BUDGETS
    money = np.repeat(_STEP ** np.arange(_BUDGETS), sizes)
    at = np.tile(ratio * np.geomspace(span**-0.5, span**0.5, sizes), _BUDGETS)
    grid = (money / at) ** 0.5, (money * at) ** 0.5
    along, away = np.geomspace(1.0, span, runs - runs // 2), np.geomspace(1.0, span, runs // 2 + 1)
    corner = np.concatenate([along, np.ones(runs // 2)])
    tokens = ratio * np.concatenate([np.ones(len(along)), away[1:]])
    ray = np.geomspace(1.0, span, runs)
    return dict(zip(DESIGNS, (grid, (corner, tokens), (ray, ratio * ray)), strict=True))


def score_designs(
    law: Law,
    table: pd.DataFrame,
    budget: float,
    *,
    loss: float = 3.0,
    noise: float = 0.005,
    priors: Mapping[str, Prior | float] | None = None,
    simulations: int = 12,
    prob: float = 0.9,
    seed: int = 0,
    executor: Executor | None = None,
    progress: bool | None = None,
    **plans: Any,
) -> pd.DataFrame:
    """What designs would tell about the best size at a budget, by simulation.

    Parameters
    ----------
    law
        The law that will be fitted; it is taken to be true.
    table
        Runs that one might train, one a row: the law's inputs. Its column ``design`` says which
        design a run is of; without it all are of one.
    budget
        FLOPs of the decision that the runs are for.
    loss
        Typical loss of such runs, nats: the unit that the priors of floors and amplitudes are in.
    noise
        Standard deviation of a run's log loss about the law.
    priors
        Replaces priors by coefficient, of truths and of fits, as in :func:`bayescale.fit`.
    simulations
        How many truths are drawn. Each costs a fit of each design, about half a second.
    prob
        Probability of the interval.
    seed
        Of the truths, the noise and the fits.
    executor
        Where to fit, as for :func:`bayescale.refit`.
    progress
        Whether to show progress on standard error; by default, if that is a terminal.
    **plans
        ``cost``, ``choose``, ``fixed``, ``bounds``, as for :func:`bayescale.allocate`.

    Returns
    -------
    pandas.DataFrame
        One row a design, the most telling first: ``runs``; ``flops`` of all, and ``beyond``, the
        budget over the largest of them (NaN where the cost is not known); ``decades``, the expected
        width of the best size's interval, and its Monte Carlo standard ``error``; ``inside``, how
        many of the intervals held the simulated truth; ``regret``, what the plan is expected to
        lose, nats; ``trusted``, how many fits passed their diagnostics. ``attrs`` hold
        ``prior_decades``, the width before any run, ``simulated`` (true), ``simulations`` and
        ``reading``.

    Raises
    ------
    InputError
        If the table or a number cannot be used.

    Notes
    -----
    The law is true in every simulation. Where it is not, runs near the budget are worth more than
    this says, and designs that never vary tokens per parameter could not show it.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> designs = bs.propose_designs(dense, 1e20, runs=8)
    >>> scores = bs.score_designs(dense, designs, 1e23, simulations=4)  # doctest: +SKIP
    """
    import pandas as pd

    size = size_input(law)
    if size is None:
        raise InputError(f"law {law.name!r} takes no count of parameters whose best could be told")
    for name, value in (("loss", loss), ("noise", noise), ("budget", budget)):
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} is a number above zero, not {value!r}")
    if simulations != int(simulations) or simulations < _FEWEST:
        raise InputError(
            f"simulations is a whole number of at least {_FEWEST}, not {simulations!r}"
        )
    runs = pd.DataFrame(read_columns(table, law.inputs, extra=law.variables))
    names = table["design"].astype(str).to_numpy() if "design" in table else None
    label = np.array(["this design"] * len(runs)) if names is None else names
    designs = list(dict.fromkeys(label))

    truth = prior(
        law, runs.assign(loss=loss), draws=_PRIOR_DRAWS, seed=seed, noise="normal", priors=priors
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AllocationWarning)
        best = allocate(truth, budget, **plans)
    spread = np.log10(best[size].values[0])
    law_losses = predict(truth, mean=True, **{n: runs[n].to_numpy() for n in law.inputs}).values[0]
    rng = np.random.default_rng(seed)
    scatter = noise * rng.standard_normal((simulations, len(runs)))
    simulated = law_losses[:simulations] * np.exp(scatter)
    jobs = [(one, i) for one in designs for i in range(simulations)]
    tables = [runs[label == one].assign(loss=simulated[i, label == one]) for one, i in jobs]
    question = (float(budget), size, prob, plans)
    told = refit(
        law, tables, then=_told, others=[question] * len(jobs), executor=executor, seed=seed,
        progress=progress, method="laplace", priors=priors, **_DRAWS,
    )  # fmt: skip

    plan: dict[str, Any] = {
        name: np.array([one["plan"][name] for one in told]) for name in law.inputs
    }
    which = np.array([i for _, i in jobs])
    at_plan = predict(truth, mean=True, **plan).values[0, which, np.arange(len(jobs))]
    flops = law_flops(law, {n: runs[n].to_numpy() for n in law.inputs})
    rows = []
    for one in designs:
        some = [k for k, (name, _) in enumerate(jobs) if name == one]
        low, high = (np.array([told[k][end] for k in some]) for end in ("low", "high"))
        true = spread[:simulations]
        lost = at_plan[some] - best.loss.values[0, :simulations].ravel()
        cost = None if flops is None else np.broadcast_to(flops, len(runs))[label == one]
        rows.append(
            {
                "design": one,
                "runs": int((label == one).sum()),
                "flops": np.nan if cost is None else float(cost.sum()),
                "beyond": np.nan if cost is None else budget / float(cost.max()),
                "decades": float((high - low).mean()),
                "error": float((high - low).std(ddof=1) / np.sqrt(simulations)),
                "inside": float(((low <= true) & (true <= high)).mean()),
                "regret": float(lost.mean()),
                "trusted": float(np.mean([told[k]["trusted"] for k in some])),
            }
        )
    scores = pd.DataFrame(rows).sort_values("decades", ignore_index=True)
    tail = (1 - prob) / 2
    prior_decades = float(np.diff(np.quantile(spread, [tail, 1 - tail]))[0])
    scores.attrs = {
        "prior_decades": prior_decades, "simulated": True, "simulations": int(simulations),
        "budget": float(budget), "size": size, "prob": prob, "law": law.name,
    }  # fmt: skip
    scores.attrs["reading"] = _reading(scores)
    return scores


def _told(fit: Fit, question: tuple[float, str, float, Mapping[str, Any]]) -> dict[str, Any]:
    """What a fit says of the best size at the budget; sampled, where the quick way did not do."""
    budget, size, prob, plans = question
    if not diagnose(fit).attrs["ok"]:
        options = options_of(fit) | {"method": "nuts", "seed": fit.about["seed"]}
        fit = resample(fit.law, table_of(fit), progress=False, **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AllocationWarning)
        sizes = np.log10(allocate(fit, budget, **plans)[size].values)
        plan = decide(fit, budget, trust=True, **plans)
    low, high = np.quantile(sizes, [(1 - prob) / 2, (1 + prob) / 2])
    values = {name: float(plan[name]) for name in fit.law.inputs}
    return {"low": low, "high": high, "plan": values, "trusted": bool(diagnose(fit).attrs["ok"])}


def _reading(scores: pd.DataFrame) -> str:
    about = scores.attrs

    def within(decades: float) -> str:
        return f"a factor of {format_number(float(f'{10**decades:.2g}'))}"

    parts = [f"{row.design} {within(row.decades)}" for row in scores.itertuples()]
    said = (
        f"Simulated: over {about['simulations']} truths drawn from the priors, the "
        f"{100 * about['prob']:.0f} % interval of the best {about['size']} at "
        f"{about['budget']:.3g} FLOP spans, on average, {', '.join(parts)}; "
        f"{within(about['prior_decades'])} before any run."
    )
    if len(scores) > 1:
        first, second = scores.iloc[0], scores.iloc[1]
        if second.decades - first.decades < 2 * np.hypot(first.error, second.error):
            said += " The first two are not told apart by so few simulations."
    if (held := scores.trusted.min()) < 1:
        said += f" Of some design's fits only {100 * held:.0f} % passed their diagnostics."
    return said
