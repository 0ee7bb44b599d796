"""The command ``design``: how many small runs, and where, before any is trained."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from bayescale.cli import options as opt
from bayescale.common.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["design"]


def design(
    law: opt.AnyLaw,
    budget: opt.BudgetOfRuns,
    compute: opt.ComputeOfRuns = None,
    table: opt.OwnDesign = None,
    where: opt.Where = None,
    count: opt.CountOfRuns = 24,
    scatter: opt.Scatter = 0.005,
    loss: opt.TypicalLoss = 3.0,
    simulations: opt.Simulations = 12,
    prob: opt.Prob = 0.9,
    plot: opt.PlotDesigns = None,
    output: opt.RunsToTrain = None,
    seed: opt.Seed = 0,
    out: opt.Printed = opt.Printed(),
) -> None:
    """Say what small runs would tell about a big budget, before any is trained.

    With --compute three designs of that cost are proposed, an isoFLOP grid, an L-shape and one ray;
    with --runs a design of your own is scored. Losses are simulated from the law's priors and every
    design is fitted to each: --simulations 4 gives a quick look.

    For example:

      bayescale design --law dense --compute 1e21 --budget 1e23 --simulations 4
      bayescale design --law dense --compute 1e21 --budget 1e23 -o runs.csv --plot designs.png
      bayescale design --law coupled --runs mine.csv --budget 1e23

    -o keeps the runs of the most telling design. JSON: law, simulated (true), budget, size (what
    is best), prob, simulations, prior_decades (width before any run), reading, designs (most
    telling first: design, runs, flops, beyond, decades, error, inside, regret, trusted) and runs.
    """
    from bayescale.cli.inputs import read_runs
    from bayescale.decisions.designs import propose_designs, score_designs

    if (compute is None) == (table is None):
        raise InputError(
            "give --compute, what all small runs may cost, for designs to be proposed, or --runs, "
            "a design of your own"
        )
    opt.check_where(opt.Rows(where), table)
    if compute is not None:
        runs = propose_designs(law, compute.flops, runs=count)
    else:
        assert table is not None
        runs = read_runs(table, where)
    scores = score_designs(
        law, runs, budget.flops, loss=loss, noise=scatter, simulations=simulations, prob=prob,
        seed=seed,
    )  # fmt: skip
    told = ("law", "simulated", "budget", "size", "prob", "simulations", "prior_decades", "reading")
    document = {name: scores.attrs[name] for name in told}
    document |= {"designs": scores.to_dict("records"), "runs": runs.to_dict("records")}
    if plot is not None:
        from bayescale.cli.plans import write_plot
        from bayescale.plotting import plot_designs

        named = runs if "design" in runs else runs.assign(design=scores.design.iloc[0])
        write_plot(partial(plot_designs, named, scores), plot)
    if output is not None:
        _keep(runs, scores.design.iloc[0], output)
    out.show(document, document["designs"], _show)


def _keep(runs: pd.DataFrame, best: str, output: Any) -> None:
    from bayescale.common.files import replacing

    kept = runs[runs.design == best] if "design" in runs else runs
    with replacing(output) as part:
        kept.to_csv(part, index=False)


def _show(document: Mapping[str, Any]) -> None:
    from bayescale.cli.output import aside, say, show
    from bayescale.common.quantities import format_number

    say(document["reading"])
    rows = [
        [
            one["design"], f"{one['runs']}", format_number(one["flops"]),
            format_number(float(f"{one['beyond']:.2g}")),
            f"{one['decades']:.2f} ± {one['error']:.2f}", f"{100 * one['inside']:.0f} %",
            f"{one['regret']:.4f}",
        ]
        for one in document["designs"]
    ]  # fmt: skip
    heads = ["design", "runs", "FLOP", "budget/largest", f"{document['size']}, decades", "held",
             "regret"]  # fmt: skip
    show(heads, rows, left=["design"])
    aside(
        f"decades: expected width of the {100 * document['prob']:.0f} % interval of the best "
        f"{document['size']}; held: how many held the simulated truth; regret: nats that the plan "
        "is expected to lose. The law is true in every simulation."
    )
