"""The commands ``versus``, ``upcycle`` and ``choices``: which architecture to train."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayescale.cli import options as opt
from bayescale.common.errors import InputError
from bayescale.common.progress import progress_bar

if TYPE_CHECKING:
    from bayescale.fitting.fits import Fit

__all__ = ["choices", "upcycle", "versus"]


def versus(
    fits: opt.Rivals,
    budget: opt.Budgets,
    ratio: opt.Ratio = None,
    at: opt.JudgedAt = "optimum",
    plans: opt.Plans = opt.Plans(),
    plot: opt.PlotOdds = None,
    law: opt.OwnLaws = None,
    prob: opt.Prob = 0.9,
    seed: opt.Seed = 0,
    out: opt.Printed = opt.Printed(),
) -> None:
    """Which architecture, or recipe: how surely each is the best, and by how much compute.

    The fits must be of one loss on one corpus, with parameters and FLOPs counted alike. Every other
    fit is set against the first. Options of plans go to those fits whose law or cost model takes
    the name.

    For example:

      bayescale versus dense.nc moe.nc --budget 1e22 --budget 1e24
      bayescale versus optimizers.nc --budget 1e20 --budget 1e21 --ratio 20
      bayescale versus dense.nc moe.nc --budget 1e23 --choose experts=8,64 --plot odds.png

    JSON: laws (by fit), against (the fit that others are set against), at, ratio, simulated, gaps
    (what the runs of each cannot tell by design), prob and budgets, each with budget, fits (each
    with fit, best, the probability of the lowest loss of all, loss, extrapolation and, against the
    first, probability, gap, its loss less the first's, and multiplier, the first's compute for its
    loss over its own) and crossover, if there are several budgets: fit, budget, beyond which it is
    ahead of the first, and the probabilities that it is ahead throughout, from_within these budgets
    on, or not_at_last.
    """
    from bayescale.cli.rivals import rivals_document, show_rivals

    rivals = _rivals(fits, law)
    budgets = sorted({one.flops for one in budget})
    own = _options_for(rivals, plans.options)
    with progress_bar("versus") as report:
        report("both sides in every draw")
        found, document = rivals_document(rivals, budgets, own, prob, at=at, ratio=ratio, seed=seed)
    if plot is not None:
        from bayescale.cli.plans import reach, write_plot
        from bayescale.decisions.rivals import probability
        from bayescale.plotting import plot_probability

        first, second, *_ = rivals
        sides: Any = {"plan_a": own[second], "plan_b": own[first], "at": at, "ratio": ratio}

        def draw() -> Any:
            odds = probability(rivals[second], rivals[first], reach(budgets), **sides, seed=seed)
            return plot_probability(odds, names=(second, first))

        write_plot(draw, plot)
    out.show(document, found, show_rivals)


def _rivals(paths: list[Path], law: Any) -> dict[str, Fit]:
    from bayescale.cli.inputs import check_ungrouped, open_fits
    from bayescale.fitting.groups import group

    opened = open_fits(paths, law or ())
    if len(opened) == 1:
        ((name, fit),) = opened.items()
        by = fit.about.get("by")
        if not by:
            raise InputError(
                f"{name} is one fit without groups; give another to set it against, or a fit made "
                "with --by"
            )
        return {str(level): group(fit, str(level)) for level in fit.posterior[by].values}
    for path, fit in zip(paths, opened.values(), strict=True):
        check_ungrouped(fit, path)
    return opened


def _options_for(rivals: dict[str, Fit], options: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The options of plans for each fit: those whose names its law or its cost model takes."""
    import inspect

    taken: dict[str, set[str]] = {}
    for name, fit in rivals.items():
        cost = options["cost"] or fit.law.cost
        settings = inspect.signature(cost).parameters if cost else ()
        taken[name] = {*fit.law.inputs, *settings}
    anywhere = set().union(*taken.values())
    found = {}
    for name in rivals:
        own: dict[str, Any] = {"cost": options["cost"]}
        for kind in ("fixed", "choose", "bounds"):
            given = options[kind] or {}
            # What nobody takes is left for the first to complain of.
            some = {n: x for n, x in given.items() if n in taken[name] or n not in anywhere}
            own[kind] = some or None
        found[name] = own
    return found


def upcycle(
    upcycled: opt.Upcycled,
    scratch: opt.Scratch,
    parent: opt.ParentToUpcycle,
    plot: opt.PlotMap = None,
    prob: opt.Prob = 0.9,
    out: opt.Printed = opt.Printed(),
) -> None:
    """Whether to upcycle the dense model at hand, or to train the mixture from scratch.

    Both are judged on the tokens that the mixture itself is trained on; the dense model is there
    already. D* is the number of tokens beyond which training from scratch wins.

    For example:

      bayescale upcycle upcycled.nc scratch.nc N=1B D_dense=300B D_upcycled=10B,30B,100B
      bayescale upcycle upcycled.nc dense:liew2025_moe N=1B D_dense=50B D_upcycled=20B

    JSON: upcycled and scratch (law, published, simulated), prob, N, D_dense, threshold (median,
    lower, upper: D*, null where upcycling wins at every count) with never, the probability of that,
    and tokens, each with D_upcycled, probability that upcycling has the lower loss, and gap, its
    loss less that from scratch.
    """
    from bayescale.cli.inputs import assignments, open_one
    from bayescale.cli.rivals import from_scratch, show_upcycling, upcycling_document

    given = assignments("input", parent)
    if wrong := sorted({"N", "D_dense", "D_upcycled"} ^ set(given)):
        raise InputError(
            f"{wrong[0]}: say N and D_dense, the dense parent's parameters and tokens, and "
            "D_upcycled, the tokens to spend: N=1B D_dense=300B D_upcycled=10B,100B"
        )
    if len(given["N"]) > 1 or len(given["D_dense"]) > 1:
        raise InputError("one dense parent at a time: N and D_dense take one value each")
    copied = open_one(upcycled, None, None)
    fresh = from_scratch(scratch)
    document = upcycling_document(copied, fresh, given, prob)
    if plot is not None:
        from bayescale.cli.plans import write_plot
        from bayescale.plotting import plot_upcycling

        write_plot(partial(plot_upcycling, copied, fresh, N=given["N"][0], prob=prob), plot)
    out.show(document, document["tokens"], show_upcycling)


def choices(
    fit: opt.FitFile,
    budget: opt.BudgetToSplit,
    trust: opt.Trust = False,
    plans: opt.Plans = opt.Plans(),
    group: opt.Group = None,
    law: opt.OwnLaw = None,
    prob: opt.Prob = 0.9,
    out: opt.Printed = opt.Printed(),
) -> None:
    """How many experts, which granularity, which sparsity: what each choice is worth.

    Every choice is planned at its own best. Compute does not grow with experts that a token leaves
    unused, so without a limit the most experts win; --memory sets one, in parameters or bytes.

    For example:

      bayescale choices moe.nc --budget 1e22 --choose experts=8,32,128
      bayescale choices moe.nc --budget 1e22 --choose experts=8,32,128 --memory 640GB
      bayescale choices fine.nc --budget 1e23 --choose G=1,2,4,8,16 --fixed expansion=16

    JSON: law, noise, published, simulated, calibrated, prob, budget, memory, listed, at_end (inputs
    of which the best has the largest value listed), reading (what it means that a list ends at the
    best), impossible (choices that have no plan within the bounds), assumptions (settings of the
    cost model) and choices, each with its inputs, total and active parameters, limited (whether
    memory holds it back), outside (what of it no run is near), expected_loss, loss, behind (loss
    over that of the best choice) and probability of being the best.
    """
    from bayescale.cli.inputs import open_one
    from bayescale.cli.rivals import choices_document, show_choices
    from bayescale.decisions.listed_choices import choices as of_each

    options, fitted = plans.options, open_one(fit, law, group)
    with progress_bar("choices") as report:
        report("the best plan of each")
        found = of_each(fitted, budget.flops, trust=trust, **options)
    document = choices_document(fitted, found, options, budget.flops, plans.memory, prob)
    out.show(document, document["choices"], show_choices)
