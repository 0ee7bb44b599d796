"""Which run should be trained next, before the budget is spent on the large one?

The dense law is fitted to the 30 runs of the OLMo ladder up to 3B parameters, and 1e24 FLOP wait to
be spent. The script prints what the plan for them may lose because the law is known only so well,
which runs of at most 3e21 FLOP (0.3 %) would take most of that away, alone and three
together, and what compute a loss of 2.3 nats needs.

    python examples/which_run_next.py [FIGURE.svg]
"""

import sys

import numpy as np

import bayescale as bs
from bayescale.common.quantities import format_number
from bayescale.models import dense


def main(figure: str | None = None) -> None:
    ladder = bs.load_runs("olmo_ladder").query("not target")
    fit = bs.fit(dense, ladder, seed=1)
    budget, most = 1e24, 3e21

    alone = bs.next_runs(fit, budget=budget, most=most, rank="gain")
    print(f"Expected regret of the plan for {budget:.0e} FLOP now: {alone.attrs['now']:.4f} nats")
    for run in alone.head(3).itertuples():
        print(
            f"  {format_number(run.N)} parameters on {format_number(run.D)} tokens "
            f"({run.flops:.1e} FLOP) would take off {100 * run.share:.0f} %"
        )
    three = bs.next_runs(fit, budget=budget, most=most, rank="gain", batch=3)
    sizes = " and ".join(
        f"{format_number(r.N)} on {format_number(r.D)}" for r in three.itertuples()
    )
    print(
        f"Three together ({sizes}): {100 * three.share.iloc[-1]:.0f} %, for "
        f"{three.flops.sum():.1e} FLOP"
    )
    need = bs.required_budget(fit, 2.3)
    low, high = bs.interval(need, 0.9).values
    print(
        f"A loss of 2.3 nats needs {float(need.median()):.1e} FLOP "
        f"(90 % interval {low:.1e} to {high:.1e})"
    )
    # Is a 7B model the better buy than a 1B one? From which budget on?
    odds = bs.probability(
        fit,
        fit,
        np.geomspace(1e20, 1e23, 13),
        plan_a={"fixed": {"N": 7e9}},
        plan_b={"fixed": {"N": 1e9}},
    )
    low, high = bs.interval(odds.crossover, 0.9).values
    print(f"A 7B model beats a 1B model from {low:.1e} to {high:.1e} FLOP on (90 % interval)")

    if figure:
        from matplotlib import pyplot as plt

        with plt.rc_context({"svg.hashsalt": "bayescale"}):
            panels = bs.plotting.plot_next_runs(alone)
            panels[0].figure.savefig(figure, metadata={"Date": None})
        plt.close(panels[0].figure)


if __name__ == "__main__":
    main(*sys.argv[1:2])
