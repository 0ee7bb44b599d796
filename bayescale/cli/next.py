"""The command ``next``: which run to train next."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from bayescale.cli import options as opt
from bayescale.common.errors import InputError
from bayescale.common.progress import progress_bar

if TYPE_CHECKING:
    import pandas as pd

    from bayescale.fitting.fits import Fit

__all__ = ["next"]

_SHOWN = 12


def next(
    fit: opt.FitFile,
    budget: opt.BudgetToImprove = None,
    target: opt.Target = None,
    table: opt.Candidates = None,
    where: opt.Where = None,
    most: opt.Most = None,
    batch: opt.Batch = None,
    rank: opt.Rank = "per_flop",
    trust: opt.Trust = False,
    plans: opt.Plans = opt.Plans(),
    plot: opt.PlotRanking = None,
    group: opt.Group = None,
    law: opt.OwnLaw = None,
    seed: opt.Seed = 0,
    out: opt.Printed = opt.Printed(),
) -> None:
    """Rank candidate runs by what they would teach, per FLOP spent.

    With --budget a run is worth the regret it is expected to take off the plan for that budget;
    with --target, the variance it takes off that run's predicted loss. Nothing is refitted.

    For example:

      bayescale next fit.nc --budget 1e24
      bayescale next fit.nc --target N=70B --target D=1.4T --rank gain --most 1e21
      bayescale next fit.nc --budget 1e24 --runs candidates.csv --batch 3 --plot next.png

    JSON: law, noise, published, simulated, objective (regret or variance), now (regret, or standard
    deviation of the target, nats), reading, batch, rank and runs, best first, each with its inputs,
    flops, gain (nats, or nats squared), its Monte Carlo error and whether it is clear of twice
    that, per_flop, share of what there is now (of a batch: taken off by all down to that run), and
    regret or sd, what is then left.
    """
    from bayescale.cli.inputs import assignments, open_one, read_runs

    run = {name: x[0] for name, x in assignments("--target", target or []).items()}
    if (budget is None) == (not run):
        raise InputError(
            "say what the run is for: --budget, the compute of the decision it should improve, or "
            "--target, the run whose loss it should help to predict (--target N=70B --target "
            "D=1.4T)"
        )
    opt.check_where(opt.Rows(where), table)
    options = plans.options
    candidates = None if table is None else read_runs(table, where)
    fitted = open_one(fit, law, group)

    from bayescale.decisions.next_runs import next_runs

    asked: dict[str, Any] = {
        "budget": None if budget is None else budget.flops,
        "target": run or None,
        "most": most,
    }
    asked |= {"batch": batch, "rank": rank, "seed": seed, "trust": trust}
    with progress_bar("next") as report:
        report("what each run would teach")
        ranked = next_runs(fitted, candidates, **asked, **options)
    document = _document(fitted, ranked)
    if plot is not None:
        from bayescale.cli.plans import write_plot
        from bayescale.plotting import plot_next_runs

        write_plot(partial(plot_next_runs, ranked), plot)
    out.show(document, document["runs"], _show)


def _document(fit: Fit, ranked: pd.DataFrame) -> dict[str, Any]:
    from bayescale.cli.results import head_of

    head = head_of(fit, 0.0)
    del head["prob"]
    about = {name: ranked.attrs[name] for name in ("objective", "now", "reading", "batch", "rank")}
    runs = [{str(n): x for n, x in row.items()} for row in ranked.to_dict("records")]
    return {**head, **about, "runs": runs}


def _show(document: Mapping[str, Any]) -> None:
    """The ranking for people."""
    from bayescale.cli.output import aside, say, show
    from bayescale.cli.results import note_limits, note_simulated
    from bayescale.common.quantities import format_number
    from bayescale.language.variables import short_unit

    variance = document["objective"] == "variance"
    what = "standard deviation of the target's loss" if variance else "expected regret"
    left = "sd" if variance else "regret"
    unit = short_unit(document["loss_unit"])
    say(f"Now: {what} {document['now']:.4f} {unit}.", "bold")
    say(document["reading"])
    runs = document["runs"]
    after = ("flops", "gain", "error", "clear", "per_flop", "share", left)
    inputs = [name for name in runs[0] if name not in after]
    words = [name for name in inputs if isinstance(runs[0][name], str)]

    def cells(run: Mapping[str, Any]) -> list[str]:
        given = [run[n] if n in words else format_number(run[n]) for n in inputs]
        share = run["share"]
        error = run["error"] * share / run["gain"] if run["gain"] > 0 else float("nan")
        taken = f"{100 * share:.1f}{'' if document['batch'] else f' ± {100 * error:.1f}'} %"
        rest = [format_number(run["flops"]), taken, f"{run[left]:.4f}", f"{run['per_flop']:.1e}"]
        return given + rest

    heads = [*inputs, "FLOP", "taken off", f"{left} left", f"{unit}{'²' * variance}/FLOP"]
    show(heads, [cells(run) for run in runs[:_SHOWN]], left=words)
    note_simulated(document)
    note_limits(document, [])
    if len(runs) > _SHOWN:
        say(f"and {len(runs) - _SHOWN} more: --json or --csv lists all")
    together = "by all runs down to that one" if document["batch"] else "by the run alone"
    aside(
        f"taken off: share of the {'variance' if variance else 'regret'} that is expected to go, "
        f"{together}, with the Monte Carlo error, as the fit itself expects."
    )
