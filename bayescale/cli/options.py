"""Every option and argument, declared once: its type, its name, its help, and how it is read."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from bayescale.cli import completion as offer
from bayescale.cli import inputs
from bayescale.cli.declare import (
    argument,
    option,
    read_budget,
    read_count,
    read_figure,
    read_law,
    read_memory,
    read_probability,
    read_span,
)
from bayescale.cli.inputs import number, whole
from bayescale.common.errors import InputError
from bayescale.decisions.budgets import Budget
from bayescale.language.law import Law
from bayescale.posterior.noise import NOISES

if TYPE_CHECKING:
    import pandas as pd


# --- the options ----------------------------------------------------------------------------------
# fmt: off

# What is printed and written.
Json = Annotated[bool, option("--json", "Print JSON.")]
Csv = Annotated[bool, option("--csv", "Print CSV.")]
PlotOdds = Annotated[Path | None, option(
    "--plot FILE", "Draw the first against the other over compute: png, pdf, svg.", read_figure)]
PlotMap = Annotated[Path | None, option(
    "--plot FILE", "Draw the probability over both token counts: png, pdf, svg.", read_figure)]
Force = Annotated[bool, option("--force", "Replace a file that is there already.")]
Prob = Annotated[float, option(
    "--prob P", "Probability that the intervals hold.", read_probability)]
Seed = Annotated[int, option("--seed N", "Makes the result reproducible.", whole)]
Folder = Annotated[Path, option("-o --output FOLDER", "Where figures go.")]
Page = Annotated[Path, option("-o --output FILE", "Where to write the page.")]
CsvFile = Annotated[Path | None, option("-o --output FILE", "Write CSV (or --json) to a file.")]
SavedFit = Annotated[Path | None, option("-o --output FIT", "Save the fit here.")]
NewForecast = Annotated[Path, option("-o --output FILE", "Where to keep the forecast.")]
NewTable = Annotated[Path, argument("FILE", "Where to write the table.")]
PlotOptimum = Annotated[Path | None, option(
    "--plot FILE", "Draw the optimum over compute: png, pdf, svg.", read_figure)]
PlotRegret = Annotated[Path | None, option(
    "--plot FILE", "Draw the regret of plans over compute: png, pdf, svg.", read_figure)]
PlotRanking = Annotated[Path | None, option(
    "--plot FILE", "Draw the ranking: png, pdf, svg.", read_figure)]
PlotPriors = Annotated[Path | None, option(
    "--plot FILE", "Draw prior and posterior: png, pdf, svg.", read_figure)]

PlotDesigns = Annotated[Path | None, option(
    "--plot FILE", "Draw the designs and what each would tell: png, pdf, svg.", read_figure)]
RunsToTrain = Annotated[Path | None, option(
    "-o --output FILE", "Keep the runs of the most telling design as CSV.")]

# Saved fits and laws.
FitFile = Annotated[Path, argument("FIT", "A file saved by bayescale fit.", None, offer.fits)]
ComparedFits = Annotated[list[Path], argument("FIT", "Fits of the same runs.", None, offer.fits)]
ReportedFits = Annotated[list[Path], argument(
    "FIT", "Saved fits; the first answers, the others compare.", None, offer.fits)]
Rivals = Annotated[list[Path], argument(
    "FIT", "Two fits or more, or one made with --by: its groups.", None, offer.fits)]
Upcycled = Annotated[Path, argument("UPCYCLED", "A fit of upcycled runs.", None, offer.fits)]
Scratch = Annotated[str, argument(
    "SCRATCH", "A fit of mixtures trained from scratch, in N of the dense parent and D; or "
    "published coefficients as LAW:SET, such as dense:liew2025_moe.", None, offer.fits)]
Group = Annotated[str | None, option("--group GROUP", "One group of a fit made with --by.")]
AnyLaw = Annotated[Law, option(
    "--law LAW", "A law that bayescale laws lists, or FILE.py:NAME.", read_law, offer.laws)]
LawToFit = Annotated[Law | None, option(
    "--law LAW", "A law that bayescale laws lists, or FILE.py:NAME; by default one that suits the "
    "table's columns, calibrated.", read_law, offer.laws)]
OwnLaw = Annotated[Law | None, option(
    "--law LAW", "The law, if it is your own: FILE.py:NAME.", read_law, offer.laws)]
OwnLaws = Annotated[list[Law] | None, option(
    "--law LAW", "Your own laws among them: FILE.py:NAME.", read_law, offer.laws)]
LawToList = Annotated[Law | None, argument("LAW", "Show this law.", read_law, offer.laws)]
LawToTry = Annotated[Law, argument(
    "LAW", "FILE.py:NAME, MODULE:NAME, or a law of the package.", read_law, offer.laws)]
LawOfTable = Annotated[str, option(
    "--law LAW", "The law that it is for, or FILE.py:NAME.", None, offer.laws)]

# Tables of runs.
Table = Annotated[str, argument(
    "RUNS", "A file (CSV, JSON, Excel ...), a table that bayescale runs lists, or -.",
    None, offer.tables)]
TableToList = Annotated[str | None, argument(
    "TABLE", "Print this table, or a file.", None, offer.tables)]
RowsToPredict = Annotated[str | None, option(
    "--runs RUNS", "Predict every row of a table instead.", None, offer.tables)]
RunsOfLaw = Annotated[str | None, option(
    "--runs RUNS", "A table of the runs that the law is for.", None, offer.tables)]
Candidates = Annotated[str | None, option(
    "--runs RUNS", "Candidates: a table, without losses.", None, offer.tables)]
Where = Annotated[str | None, option("--where QUERY", "Rows of the table to use: a pandas query.")]
Columns = Annotated[list[str] | None, option(
    "--column NAME=COLUMN",
    "The file's column for an input, loss or run; N=size*1e9 converts its unit, "
    "D=steps*batch*2048 multiplies, N=Name:model-{} takes the number out of a text.")]
Checkpoints = Annotated[str | None, option(
    "--checkpoints WHICH",
    "Rows that are no ends of runs: refuse them, take the last, or keep all.",
    None, offer.choices("refuse", "last", "keep"))]
Tail = Annotated[float | None, option(
    "--tail SHARE", "End of a loss curve that is averaged: 0.05 of its tokens.", number)]
DropMissing = Annotated[bool, option(
    "--drop-missing", "Leave out, and name, rows that lack what is needed.")]
BestOf = Annotated[str | None, option(
    "--best-of COLUMN,...",
    "Of a sweep over these columns keep the best run of each configuration.")]
Across = Annotated[str | None, option(
    "--across NAME", "What the numbers across a wide table are: flops or D.")]
Sizes = Annotated[str | None, option(
    "--sizes FILE", "Each run's N and D, for the points of a tracker's chart.")]
Inputs = Annotated[list[str] | None, argument(
    "NAME=VALUE", "The law's inputs, such as N=7B D=2T.")]
RunToAsk = Annotated[list[str] | None, argument(
    "NAME=VALUE", "A run, such as N=7B D=2T: which runs its loss hangs on.")]
ParentToUpcycle = Annotated[list[str], argument(
    "NAME=VALUE", "The dense model, N=1B D_dense=300B, and the tokens to spend, "
    "D_upcycled=10B,100B.")]
PlanToScore = Annotated[list[str] | None, argument(
    "NAME=VALUE", "A plan, such as N=7B D=2T.")]
PlansToScore = Annotated[str | None, option(
    "--plans FILE", "A table of plans that can be built, one a row.", None, offer.tables)]
RunToForecast = Annotated[list[str], argument(
    "NAME=VALUE", "The run's inputs, such as N=7B D=2T.")]

# How to fit.
Calibrated = Annotated[bool, option(
    "--calibrated", "Fit for predicting beyond the runs: scaled noise and discrepancy.")]
Noise = Annotated[str | None, option(
    "--noise NOISE", "student_t, normal, scaled, or skewed: badly tuned runs lie above the law.",
    None, offer.choices(*NOISES))]
Method = Annotated[str, option(
    "--method METHOD", "nuts, or laplace: quick and checked.",
    None, offer.choices("nuts", "laplace"))]
Discrepancy = Annotated[bool | None, option(
    "--discrepancy/--no-discrepancy", "Whether the law may be wrong in a structured way.")]
Weights = Annotated[str | None, option(
    "--weights COLUMN", "A column of weights, such as how many runs a row stands for.")]
Error = Annotated[str | None, option("--error COLUMN", "Known standard error of the loss, nats.")]
Held = Annotated[list[str] | None, option(
    "--fixed NAME=VALUE", "Hold a coefficient at a value, in reference units.")]
Known = Annotated[list[str] | None, option(
    "--prior NAME=VALUE±SD",
    "What is known of a coefficient: E=1.6±0.1, a floor in the unit of the losses; "
    "amplitudes in reference units.")]
PriorFrom = Annotated[str | None, option(
    "--prior-from SET", "Published coefficients that bayescale laws LAW lists, as wide priors.")]
By = Annotated[str | None, option("--by COLUMN", "Column that names each run's group.")]
Vary = Annotated[list[str] | None, option(
    "--vary NAME", "Coefficient that differs between groups.")]
Draws = Annotated[int, option("--draws N", "Kept draws of each chain.", read_count)]
Tune = Annotated[int, option("--tune N", "Tuning steps of each chain.", read_count)]
Chains = Annotated[int, option("--chains N", "Chains.", read_count)]

# Budgets and plans.
Budgets = Annotated[list[Budget], option(
    "--budget FLOP", "Training compute: 1e23, '64 H100 x 21 days at 40% MFU', '$50k at $2/GPU-hour "
    "on H100'; may be given several times.", read_budget)]
BudgetOfPriors = Annotated[Budget | None, option(
    "--budget FLOP", "Also what the plan for it hangs on: which runs, and the priors.",
    read_budget)]
EveryCount = Annotated[Budget | None, option(
    "--every-count FLOP", "Also fit each count of parameters and of tokens that the table has, and "
    "show what the plan for so much compute owes to the choice.", read_budget)]
BudgetToImprove = Annotated[Budget | None, option(
    "--budget FLOP", "Compute of the decision to improve.", read_budget)]
BudgetToAnswer = Annotated[Budget | None, option(
    "--budget FLOP",
    "Training compute to answer for; ten times the largest fitted run if not given.", read_budget)]
BudgetToSplit = Annotated[Budget, option(
    "--budget FLOP", "Training compute, as for bayescale decide.", read_budget)]
BudgetThereIs = Annotated[Budget | None, option(
    "--budget FLOP", "Compute there is: dearer plans are out of the running.", read_budget)]
TargetLoss = Annotated[list[float], option(
    "--loss LOSS", "Loss of the law to reach; may be given several times.", number)]
Times = Annotated[float, option("--times FACTOR", "How many times the budget.", number)]
Ratio = Annotated[float | None, option(
    "--ratio TOKENS", "Judge at so many tokens a parameter (active, where the law counts these), "
    "not at each one's optimum: for ladders of runs made at one ratio.", number)]
JudgedAt = Annotated[str, option(
    "--at WHERE", "optimum of every draw, or the plan that decide gives.",
    None, offer.choices("optimum", "plan"))]
Memory = Annotated[float | None, option(
    "--memory LIMIT", "Most parameters in all, active or not: 70B, or 640GB at two bytes each. "
    "Compute alone makes experts that a token leaves unused free.", read_memory)]
Chip = Annotated[str | None, option(
    "--gpu CHIP", "Also hours of it: 'H100 at 40% MFU' beside every plan.")]
Span = Annotated[Any, option(
    "--span LOW:HIGH", "Budgets that the slider goes over.", read_span)]
Fixed = Annotated[list[str] | None, option(
    "--fixed NAME=VALUE", "Hold an input, or a setting of the cost model, at a value.")]
Choose = Annotated[list[str] | None, option(
    "--choose NAME=V,V", "Listed values an input may take.")]
Bounds = Annotated[list[str] | None, option("--bounds NAME=LOW:HIGH", "Range of a count.")]
Cost = Annotated[str | None, option(
    "--cost COST", "Cost model, if not the law's own: a name in bayescale.cost, or FILE.py:NAME.",
    None, offer.costs)]
Within = Annotated[float, option(
    "--within NATS", "Loss that near-optimal plans may give up.", number)]
Risk = Annotated[str, option(
    "--risk RISK", "What is least: mean, quantile, or cvar (the mean of the worst losses).")]
Level = Annotated[float, option(
    "--level P", "Of the quantile; cvar is of what lies above.", number)]
Trust = Annotated[bool, option("--trust", "Decide also with a fit that failed its diagnostics.")]
Mean = Annotated[bool, option("--mean", "The law's loss, without the noise of a single run.")]
Target = Annotated[list[str] | None, option(
    "--target NAME=VALUE", "The run to predict more sharply.")]
Most = Annotated[float | None, option("--most FLOP", "Most compute of one candidate.", number)]
Batch = Annotated[int | None, option("--batch N", "Choose so many runs to train together.", whole)]
Rank = Annotated[str, option(
    "--rank BY", "per_flop, or gain whatever a run costs.",
    None, offer.choices("per_flop", "gain"))]

# Designs.
BudgetOfRuns = Annotated[Budget, option(
    "--budget FLOP", "Compute of the decision that the small runs are for.", read_budget)]
ComputeOfRuns = Annotated[Budget | None, option(
    "--compute FLOP", "Compute that all small runs cost together.", read_budget)]
OwnDesign = Annotated[str | None, option(
    "--runs RUNS", "Runs that you might train, without losses; a column design names several "
    "designs.", None, offer.tables)]
CountOfRuns = Annotated[int, option(
    "--count N", "Runs of each design that is proposed: a multiple of four.", read_count)]
Scatter = Annotated[float, option(
    "--scatter SHARE", "Standard deviation of a run's log loss about the law.", number)]
TypicalLoss = Annotated[float, option("--loss LOSS", "Typical loss of such runs, nats.", number)]
Simulations = Annotated[int, option(
    "--simulations N", "Truths to simulate; each costs a fit of each design.", read_count)]

# Checks.
OfPlan = Annotated[str | None, option(
    "--of NAME", "What of the plan: N, D or loss; by default the size.")]
Exact = Annotated[bool, option(
    "--exact", "Leave out by refits the runs that the fit leans on most, which takes longer.")]
WithFit = Annotated[bool, option("--fit/--no-fit", "Whether to fit losses simulated from it.")]
LeftOut = Annotated[str, option(
    "--by WHAT", "What is left out: loo, one run; kfold, several; future, the larger runs.",
    None, offer.choices("loo", "kfold", "future"))]
Folds = Annotated[str, option(
    "--folds N", "Of kfold: a number, or a column such as N or corpus.")]
Cuts = Annotated[list[float] | None, option(
    "--cut SHARE", "Share of the runs to hold out, such as 0.2; may be given several times.",
    number)]
Order = Annotated[str, option(
    "--order COLUMN", "What makes a run larger: flops, or a column such as N.")]
Mixture = Annotated[str, option(
    "--weights HOW", "stacking or pseudo-bma.", None, offer.choices("stacking", "pseudo-bma"))]
Forecast = Annotated[Path | None, argument("FORECAST", "A file that bayescale forecast wrote.")]
Loss = Annotated[float | None, option("--loss LOSS", "The loss that was measured.", number)]
Ledger = Annotated[Path | None, option(
    "--ledger FILE",
    "Where outcomes are kept; ledger.jsonl beside the forecast, if not given.")]
Influence = Annotated[bool, option(
    "--influence", "Fit again without parts of the runs: which the plan hangs on.")]
Question = Annotated[str | None, option("--question TEXT", "The question to print.")]
Backtest = Annotated[bool, option(
    "--backtest", "Fit the smaller runs again and predict the larger; takes a while.")]
LedgerToShow = Annotated[Path | None, option(
    "--ledger FILE", "Forecasts and outcomes, as bayescale outcome keeps them.")]
BacktestTable = Annotated[Path | None, option("--backtest-table CSV", "A backtest made before.")]

# fmt: on
# --- options that go together ---------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Printed:
    """How a document is printed: as JSON, as CSV, or for people."""

    json: Json = False
    csv: Csv = False

    def __post_init__(self) -> None:
        if self.json and self.csv:
            raise InputError("--json and --csv are two ways to print one thing; give one of them")

    def show(
        self,
        document: Any,
        records: Sequence[Mapping[str, Any]],
        for_people: Callable[[Any], None],
    ) -> None:
        """Print a document, of which ``records`` are the rows, as JSON, CSV or in words."""
        from bayescale.cli.output import as_csv, as_json

        if self.json or self.csv:
            print(as_json(document) if self.json else as_csv(records))
        else:
            for_people(document)


@dataclasses.dataclass(frozen=True)
class Rows:
    """How a table of runs is read, and which of its rows are taken."""

    where: Where = None
    columns: Columns = None
    checkpoints: Checkpoints = None
    tail: Tail = None
    drop_missing: DropMissing = False
    best_of: BestOf = None
    across: Across = None
    sizes: Sizes = None

    def read(self, source: str, needs: Sequence[str] = ()) -> pd.DataFrame:
        """A table, of which rows that lack what is needed may be dropped."""
        how = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        needed = how.pop("drop_missing") and (needs or True)
        return inputs.read_runs(source, needs=needed, **how)


@dataclasses.dataclass(frozen=True)
class Plans:
    """Which plans a budget may go to, and what they cost."""

    fixed: Fixed = None
    choose: Choose = None
    bounds: Bounds = None
    memory: Memory = None
    cost: Cost = None

    @functools.cached_property
    def options(self) -> dict[str, Any]:
        """What ``allocate``, ``decide`` and others take."""
        return {
            "fixed": inputs.single("--fixed", self.fixed or []) or None,
            "choose": inputs.assignments("--choose", self.choose or []) or None,
            "bounds": inputs.bounds(self.bounds or []) | self._memory or None,
            "cost": inputs.find_cost(self.cost) if self.cost else None,
        }

    @property
    def _memory(self) -> dict[str, tuple[float, float]]:
        return {} if self.memory is None else {"memory": (0.0, self.memory)}


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """A command as Typer takes it: the options of its groups are parameters of their own."""
    groups: dict[str, Any] = {}
    parameters: list[inspect.Parameter] = []
    for one in inspect.signature(command, eval_str=True).parameters.values():
        kind: Any = one.annotation
        if dataclasses.is_dataclass(kind):
            groups[one.name] = kind
            parameters += inspect.signature(groups[one.name], eval_str=True).parameters.values()
        else:
            parameters.append(one)

    def call(**given: Any) -> None:
        for name, kind in groups.items():
            own = {field.name: given.pop(field.name) for field in dataclasses.fields(kind)}
            given[name] = kind(**own)
        command(**given)

    call.__name__, call.__doc__ = command.__name__, command.__doc__
    call.__annotations__ = {one.name: one.annotation for one in parameters}
    signature = inspect.Signature([p.replace(kind=p.KEYWORD_ONLY) for p in parameters])
    call.__signature__ = signature  # type: ignore[attr-defined]
    return call


def check_where(rows: Rows, table: str | None) -> None:
    """Refuse ``--where`` without the ``--runs`` that it is about."""
    if rows.where is not None and table is None:
        raise InputError("--where is about a table of --runs, and none is given")


def cut_options(cuts: list[float] | None) -> dict[str, Any]:
    """What ``--cut`` gives; nothing where it is left out."""
    return {"cuts": tuple(cuts)} if cuts else {}
