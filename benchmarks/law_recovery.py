"""Simulate and compare: does the law that is true get the largest weight?

Three rival laws, in which the counts' terms add, share a power or multiply, are fitted to the runs
of Hoffmann et al.; the most probable draw of each is taken for the truth, and losses are simulated
from it at 40 of those runs' sizes and tokens, with noise of 0.5 %. All three laws are then fitted
to the simulated losses and compared, leaving one run out. The true law should get the largest
stacking weight in at least 80 % of the simulations whose comparison tells it from the others.

Where laws cannot be told apart the comparison should say so. That is tried with the coupled law
against the dense one, which is the coupled law with k = 1, on losses simulated from the latter.

    python benchmarks/law_recovery.py

writes a row for each truth to benchmarks/results/law_recovery.csv. All losses compared are
simulated.
"""

import sys
import time
import warnings

import pandas as pd
from made_with import keep

import bayescale as bs
from bayescale.models import coupled, dense, kaplan_floor

SIMULATIONS = 30
RUNS = 40
NOISE = 0.005


@bs.law(cost=bs.cost.dense_flops)
def product(N, D, *, E=bs.floor(), A=bs.amplitude(), alpha=bs.exponent(), beta=bs.exponent()):
    """One term, in which more of either count makes up for less of the other."""
    return E + A * N**-alpha * D**-beta


RIVALS = (dense, kaplan_floor, product)
NESTED = (dense, coupled)


def truth(law, runs):
    """The most probable draw of a law's posterior, in raw units."""
    fit = bs.fit(law, runs, seed=1)
    at = fit.tree["sample_stats"].logp.argmax(("chain", "draw"))
    best = bs.coefficients(fit, units="raw").isel(at)
    return {str(name): float(value) for name, value in best.data_vars.items()}


def simulations(law, coefficients, runs):
    for seed in range(SIMULATIONS):
        design = runs.sample(RUNS, random_state=seed)[["N", "D"]].reset_index(drop=True)
        yield bs.simulate(law, design, coefficients, noise_scale=NOISE, seed=seed)


def study(true, rivals, runs):
    """How the true law fares against its rivals."""
    tables = list(simulations(true, truth(true, runs), runs))
    fits = {law.name: bs.refit(law, tables, seed=1) for law in rivals}
    first = told = wins = refused = apart = refits = wrong = 0
    for i in range(SIMULATIONS):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", bs.FitWarning)
                scores = bs.compare({name: found[i] for name, found in fits.items()})
        except bs.InputError as error:
            print(f"  {i}: {error}")
            refused += 1
            continue
        clear = scores.attrs["distinguishable"]
        best = scores.index[0]
        heaviest = scores.weight.idxmax() == true.name
        first += heaviest
        refits += int(scores.refits.sum())
        # Told apart: the true law from all others, or the best from the true one.
        others = list(scores.index[1:])
        decided = all(clear[n] for n in others) if best == true.name else clear[true.name]
        told += decided
        wins += decided and heaviest
        wrong += best != true.name and clear[true.name]
        apart += "not distinguishable" not in scores.attrs["reading"]
    return {
        "truth": true.name,
        "rivals": " ".join(law.name for law in rivals if law is not true),
        "simulations": SIMULATIONS,
        "runs": RUNS,
        "refused": refused,
        "largest_weight": first,
        "distinguishable": told,
        "largest_weight_where_distinguishable": wins,
        "wrongly_preferred": wrong,
        "said_not_distinguishable": SIMULATIONS - refused - apart,
        "refits": refits,
    }


def main():
    runs = bs.load_runs("hoffmann2022").query("not outlier")
    begun, rows = time.perf_counter(), []
    for true, rivals in [*((law, RIVALS) for law in RIVALS), (dense, NESTED)]:
        rows.append(study(true, rivals, runs))
        print(rows[-1], f"{time.perf_counter() - begun:.0f} s", flush=True)
    table = pd.DataFrame(rows)
    keep(table, "law_recovery.csv", index=False)
    three = table.iloc[: len(RIVALS)]
    share = three.largest_weight_where_distinguishable / three.distinguishable.clip(lower=1)
    silent = table.said_not_distinguishable.iloc[-1]
    print(
        f"The true law has the largest weight in {share.min():.0%} of simulations or more; nested "
        f"laws are called not distinguishable in {silent} of {SIMULATIONS}"
    )
    return int((share < 0.8).any() or silent < 0.8 * SIMULATIONS)


if __name__ == "__main__":
    sys.exit(main())
