"""Simulate and recover: where a law is true, do its intervals hold the coefficients?

For each law, coefficients are drawn from the priors, losses are simulated on a factorial design
with 0.5 % noise, and the law is fitted by NUTS. A 95 % interval that means what it says holds the
true coefficient in 95 of 100 simulations; 90 is aimed at for every coefficient. Of a hundred
calibrated coefficients about one falls below 90 by chance; below 86 falls one in seven thousand,
and then the script fails.

    python benchmarks/recovery.py [LAW ...]

writes a row for each coefficient to benchmarks/results/recovery.csv. Where laws are named, their
rows alone are replaced, and the table is said to be as old as the rest of it.
"""

import itertools
import os
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

import numpy as np
import pandas as pd
import xarray as xr
from made_with import RESULTS, keep

import bayescale as bs
from bayescale.models import laws

SIMULATIONS = 100
NOISE = 0.005
TYPICAL_LOSS = 2.5  # nats, about which priors that are shares of the loss are centred
LEVELS = {
    "N": [1e8, 3e8, 1e9, 3e9, 1e10],
    "N_active": [1e8, 3e8, 1e9, 3e9],
    "D": [3e9, 1e10, 3e10, 1e11],
    "D_dense": [1e10, 3e10, 1e11, 3e11],
    "D_upcycled": [1e10, 3e10, 1e11],
    "D_unique": [2e9, 1e10, 5e10],
    "S": [0.0, 0.5, 0.8, 0.9],
    "S_experts": [0.0, 0.5, 0.8, 0.95],
    "G": [1.0, 2.0, 4.0, 8.0, 16.0],
    "experts": [1.0, 2.0, 8.0, 32.0, 128.0],
}


def design(law):
    names = list(law.inputs)
    return pd.DataFrame(itertools.product(*(LEVELS[name] for name in names)), columns=names)


def draw_truth(law, runs, seed):
    """Coefficients from the priors in reference units, and the losses they give, with noise.

    A fit scales its priors by the losses it sees, so only coefficients are taken under which losses
    are as large as the priors they were drawn from supposed.
    """
    prior = bs.prior(law, runs.assign(loss=TYPICAL_LOSS), draws=4000, seed=seed)
    inputs = {name: xr.DataArray(runs[name].to_numpy(), dims="run") for name in law.inputs}
    with np.errstate(all="ignore"):
        losses = bs.predict(prior, mean=True, **inputs).squeeze("chain").values
        centre = np.exp(np.log(losses).mean(axis=1))
    usable = (losses > 0.2).all(axis=1) & (losses < 50).all(axis=1)
    usable &= np.abs(np.log(centre / TYPICAL_LOSS)) < 0.1
    which = int(np.argmax(usable))
    if not usable[which]:
        raise RuntimeError(f"{law.name}: no draw of the prior gives ordinary losses")
    noise = np.exp(NOISE * np.random.default_rng(seed).standard_normal(len(runs)))
    truth = prior.posterior.isel(chain=0, draw=which)
    return truth, runs.assign(loss=losses[which] * noise)


def recover(name):
    """For each coefficient of a law, in how many simulations its interval held the truth."""
    law = laws()[name]
    runs = design(law)
    rows = {c: {"law": name, "coefficient": c, "inside": 0} for c in law.coefficients}
    for seed in range(SIMULATIONS):
        truth, simulated = draw_truth(law, runs, seed)
        with warnings.catch_warnings():
            # 600 draws are fewer than diagnostics ask for, and enough for the end of an interval.
            warnings.simplefilter("ignore", bs.FitWarning)
            fit = bs.fit(law, simulated, seed=seed, draws=300, tune=500, chains=2)
        bounds = bs.interval(fit.posterior, 0.95)
        for coefficient, row in rows.items():
            low, high = bounds[coefficient].values
            row["inside"] += bool(low <= float(truth[coefficient]) <= high)
    for row in rows.values():
        row |= {"simulations": SIMULATIONS, "runs": len(runs)}
    return list(rows.values())


def main():
    # Laws of many coefficients take longest and go first, so that no core waits at the end.
    chosen = sys.argv[1:] or sorted(laws(), key=lambda name: -len(laws()[name].coefficients))
    rows = []
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(recover, name): name for name in chosen}
        for done in as_completed(waiting):
            name, found = waiting[done], done.result()
            least = min(found, key=lambda row: row["inside"])
            print(
                f"{name}: {sum(row['inside'] for row in found) / len(found):.0f} of {SIMULATIONS} "
                f"inside on average, least {least['inside']} ({least['coefficient']})",
                flush=True,
            )
            rows += found
    table = pd.DataFrame(rows).sort_values("law", kind="stable")
    if not sys.argv[1:]:
        keep(table, "recovery.csv", index=False)
    else:
        others = pd.read_csv(RESULTS / "recovery.csv").query("law not in @chosen")
        every = pd.concat([others, table]).sort_values("law", kind="stable")
        every.to_csv(RESULTS / "recovery.csv", index=False)
    low = table[table.inside < 0.9 * SIMULATIONS]
    print(
        f"{len(table) - len(low)} of {len(table)} coefficients inside at least 90 of 100 times; "
        f"{table.inside.mean():.1f} on average, least {table.inside.min()}"
    )
    return int((table.inside < 0.86 * SIMULATIONS).any())


if __name__ == "__main__":
    sys.exit(main())
