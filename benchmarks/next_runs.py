"""Does the ranking of candidate runs, which refits nothing, agree with refitting?

The dense law is fitted to the OLMo 2 ladder. For each of a few candidate runs, outcomes are
simulated from the posterior, the law is refitted by NUTS to the ladder and that outcome, and what
is then left of the target's variance, and of the regret at a budget, is averaged over outcomes. The
outcomes are simulated: nobody trained these runs.

    python benchmarks/next_runs.py

writes a row for each candidate to benchmarks/results/next_runs.csv. It fails if the gains differ
by more than four standard errors of the refits and a fiftieth, or the orders correlate by less
than 0.9 (Spearman).
"""

import sys
import warnings

import numpy as np
import pandas as pd
from made_with import keep

import bayescale as bs
from bayescale.models import dense

TARGET = {"N": 70e9, "D": 1.4e12}
BUDGET = 1e24
OUTCOMES = 16
CANDIDATES = pd.DataFrame(
    {
        "N": [2e8, 1e9, 1e9, 3e9, 3e9, 1e10, 1e10, 3e10],
        "D": [2e9, 2e9, 1e12, 6e10, 1e12, 2e9, 2e11, 6e11],
    }
)


def refitted(runs, run, loss, seed):
    """Variance of the target and expected regret after a run's outcome."""
    more = pd.DataFrame({"N": [run.N], "D": [run.D], "loss": [loss]})
    table = pd.concat([runs[["N", "D", "loss"]], more], ignore_index=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.FitWarning)
        fit = bs.fit(dense, table, seed=seed, progress=False)
    variance = float(bs.predict(fit, mean=True, **TARGET).var())
    return variance, float(bs.decide(fit, BUDGET).expected_regret)


def main():
    runs = bs.load_runs("olmo_ladder").query("not target")
    fit = bs.fit(dense, runs, seed=1, progress=False)
    sharper = bs.next_runs(fit, CANDIDATES, target=TARGET).sort_index()
    better = bs.next_runs(fit, CANDIDATES, budget=BUDGET).sort_index()
    # The same draws for every candidate, evenly spaced over the chains.
    new = bs.predict(fit, seed=2, N=CANDIDATES.N.to_numpy(), D=CANDIDATES.D.to_numpy())
    new = new.values.reshape(-1, len(CANDIDATES))
    picked = np.linspace(0, len(new) - 1, OUTCOMES).astype(int)
    rows = []
    for i, run in enumerate(CANDIDATES.itertuples()):
        after = np.array([refitted(runs, run, new[j, i], seed=int(j)) for j in picked])
        error = after.std(axis=0, ddof=1) / np.sqrt(OUTCOMES)
        now = np.array([sharper.attrs["now"] ** 2, better.attrs["now"]])
        share, spread = 1 - after.mean(axis=0) / now, error / now
        rows.append(
            {
                "N": run.N,
                "D": run.D,
                "variance_share": sharper.share[i],
                "variance_share_refitted": share[0],
                "variance_error": spread[0],
                "regret_share": better.share[i],
                "regret_share_refitted": share[1],
                "regret_error": spread[1],
            }
        )
        print(pd.DataFrame(rows[-1:]).round(4).to_string(header=i == 0, index=False), flush=True)
    table = pd.DataFrame(rows)
    keep(table.round(4), "next_runs.csv", index=False)
    good = True
    for name in ("variance", "regret"):
        ours, theirs = table[f"{name}_share"], table[f"{name}_share_refitted"]
        off = (ours - theirs).abs() - 4 * table[f"{name}_error"]
        order = float(ours.corr(theirs, method="spearman"))
        print(f"{name}: largest difference {(ours - theirs).abs().max():.3f}, order {order:.2f}")
        good &= bool((off < 0.02).all()) and order >= 0.9
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
