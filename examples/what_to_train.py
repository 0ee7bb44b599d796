"""How large a model should a budget buy, and how much does it matter?

The dense law is fitted to the 30 runs of the OLMo ladder up to 3B parameters. For three budgets the
script prints the plan of least expected loss and the sizes that would do as well, predicts
the 7B and 13B models that were trained later, and draws the isoFLOP curves of the README.

    python examples/what_to_train.py [FIGURE.svg]
"""

import sys

import bayescale as bs
from bayescale.common.quantities import format_number
from bayescale.models import dense


def main(figure: str | None = None) -> None:
    ladder = bs.load_runs("olmo_ladder")
    later = ladder[ladder.target]
    fit = bs.fit(dense, ladder[~ladder.target], seed=1)

    budgets = [1e22, 1e23, 1e24]
    plan = bs.decide(fit, budgets, within=0.01)
    for i, budget in enumerate(budgets):
        low, high = (format_number(x) for x in plan.N_band.values[i])
        size, tokens = (format_number(plan[name].values[i]) for name in ("N", "D"))
        print(
            f"{budget:.0e} FLOP: train {size} parameters on {tokens} tokens and expect "
            f"{plan.expected_loss.values[i]:.3f} nats; any size from {low} to {high} costs at most "
            "0.01 nats more"
        )

    loss = bs.predict(fit, N=later.N, D=later.D, seed=1)
    for name, seen, (low, high) in zip(
        later.run, later.loss, bs.interval(loss, 0.9).values, strict=True
    ):
        verdict = "inside" if low <= seen <= high else "OUTSIDE"
        print(f"{name}: {seen:.3f} nats, {verdict} the 90 % interval {low:.3f} to {high:.3f}")

    if figure:
        from matplotlib import pyplot as plt

        with plt.rc_context({"svg.hashsalt": "bayescale"}):
            ax = bs.plotting.plot_isoflop(fit, budgets)
            ax.figure.savefig(figure, metadata={"Date": None})
        plt.close(ax.figure)


if __name__ == "__main__":
    main(*sys.argv[1:2])
