"""Which runs to train under a budget: next_runs against designs that do not look at the target.

ScaleBench (Li et al. 2026, arXiv:2604.22753) gives a pool of measured runs with costs, holds out a
dear region, and asks how well a law predicts it that was fitted to the runs which a share of the
pool's cost buys. Its tasks on tables that the package carries are rebuilt here from its description
and its law forms, on the package's own copies of the runs; they are not its files. Each has one
law, where ScaleBench averages up to ten, so its R2 are a landmark and no contest; designs are
compared with one another, under one law and one way of fitting.

    python benchmarks/selection.py [TASK ...]     # five minutes of one processor
    python benchmarks/selection.py simulated      # ten: losses simulated from each task's own law

All designs but the random one begin with the cheapest runs, two and a half for each coefficient,
and the law is refitted (`laplace`) after every second run, or after a tenth of what there is.
D-optimal selection takes the run that shrinks the coefficients' volume most, and both it and
next_runs divide by the cost to the power 0.4, as ScaleBench does. The variance that next_runs takes
off grows faster with a run's cost than the logarithm of a volume does, so that this buys few dear
runs; it is asked once more with the power 0.7. What is reported at 5, 10, 20 and
50 % of the pool's cost: R2 of the law's mean loss in the dear region, how many of its losses a new
run's 90 % interval holds, and what is lost there by training the run that looks best among those
that cost no more than it, averaged over the region. benchmarks/results/selection.csv has a row a
task, design and share; random designs are a mean of three.

No law is quite true, and then which runs predict best is partly luck. The second command asks the
same where the law is true: losses are simulated from its fit to all runs, pool and region, three
times. benchmarks/results/selection_simulated.csv has how far off the law's true loss in the dear
region each design's fit is, in nats, root mean square.
"""

import functools
import sys
import time
import warnings

import numpy as np
import pandas as pd
from made_with import RESULTS, keep

import bayescale as bs
from bayescale.models import repetition

SHARES = (0.05, 0.1, 0.2, 0.5)
POWER, STEEPER = 0.4, 0.7  # of the cost
RANDOM = 3
SIMULATED = 3
DRAWS = 250  # of each of four chains
#: R2 that ScaleBench reports for its own method, at a share of the cost.
PUBLISHED = {("experts", 0.1): 0.83, ("repetition", 0.1): 0.86, ("sparsity", 0.5): 0.53}

RATIO = bs.Variable("P", "total over active parameters", low=1.0)


@bs.law
def with_experts(
    N_active,
    experts,
    *,
    E=bs.floor(),
    A=bs.amplitude(),
    a=bs.exponent(0.2),
    g=bs.exponent(0.1, 0.6),
):
    """Loss of one token count, with experts that act like a power of the base model's size."""
    return E + A * N_active**-a * experts**-g


@bs.law(variables=(RATIO,))
def sparsity(
    N_active, P, D_upcycled, *, E=bs.floor(), A=bs.amplitude(), a=bs.exponent(0.25),
    g=bs.exponent(0.12, 0.6), B=bs.amplitude(), b=bs.exponent(0.1, 0.7),
):  # fmt: skip
    """ScaleBench's inputs, and the tokens that the upcycled model was trained on."""
    return E + A * N_active**-a * P**-g + B * D_upcycled**-b


def tasks():
    """Law, pool and dear region, by name; `flops` is what a run costs, up to a factor."""
    runs = bs.load_runs("clark2022")
    runs = runs.assign(N_active=runs.N_base, flops=6 * 1.3e11 * runs.N_base * runs.experts)
    large = runs.N_base == runs.N_base.max()
    found = {"experts": (with_experts, runs, large)}
    # The best of each configuration; the law knows no loss that rises again with more passes.
    runs = bs.load_runs("muennighoff2023").query("variant == 'standard' and epochs <= 60")
    runs = runs.sort_values("loss").drop_duplicates(["N", "D", "D_unique"])
    large = (runs.N >= 4.2e9) | (runs.D_unique >= 1.7e11)
    found["repetition"] = (repetition, runs, large)
    runs = bs.load_runs("liew2025").query("2.3e9 < D_dense < 2.31e9")
    active, total = runs.mixture_N_active, runs.mixture_N_total
    flops = 6 * runs.N * runs.D_dense + 6 * active * runs.D_upcycled
    runs = runs.assign(N_active=active, P=total / active, flops=flops)
    dear = flops >= flops.quantile(0.8)
    found["sparsity"] = (sparsity, runs, dear)
    for name, (law, runs, held) in found.items():
        columns = [*law.inputs, "flops", "loss"]
        parts = (runs.loc[~held, columns], runs.loc[held, columns])
        yield name, law, *(p.sort_values("flops").reset_index(drop=True) for p in parts)


def fitted(law, runs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bs.fit(law, runs, method="laplace", draws=DRAWS, seed=1, progress=False)


def by_next_runs(fit, pool, target, size, power=POWER):
    """Runs in the order in which they teach most about the dear region for what they cost."""
    table = pool.drop(columns="loss").assign(cost=pool.flops)
    # next_runs divides by the cost as it is told of it.
    table["flops"] = 1e20 * (pool.flops / pool.flops.max()) ** power
    return bs.next_runs(fit, table, target=target, batch=min(size, len(table))).index.tolist()


def by_volume(fit, pool, target, size):
    """Runs in the order in which they shrink the coefficients' volume most for what they cost."""
    loss = np.log(bs.predict(fit, mean=True, **{n: pool[n].to_numpy() for n in fit.law.inputs}))
    loss = loss.stack(draws=("chain", "draw")).transpose("draws", ...).values
    root = (loss - loss.mean(axis=0)) / np.sqrt(len(loss))
    noise = float((fit.posterior.noise_scale**2).median())
    chosen = []
    for _ in range(min(size, len(pool))):
        worth = np.log1p((root**2).sum(axis=0) / noise) / pool.flops.to_numpy() ** POWER
        worth[chosen] = -np.inf
        best = int(worth.argmax())
        chosen.append(best)
        one = root[:, best]
        root = root - np.outer(one, one @ root) * _less(one @ one, noise)
    return pool.index[chosen].tolist()


def _less(variance, noise):
    """So much of a direction goes that its variance is what it is given one more run."""
    return (1 - np.sqrt(noise / (noise + variance))) / variance if variance > 0 else 0.0


def sequential(choose, law, pool, target):
    """Fits at each share of the pool's cost, of runs chosen as the fits before say."""
    total = pool.flops.sum()
    taken = list(range(int(2.5 * len(law.priors))))
    for share in SHARES:
        while True:
            money = share * total - pool.flops[taken].sum()
            able = pool.drop(index=taken)
            able = able[able.flops <= money]
            if able.empty or money < 0.05 * share * total:
                break
            size = min(max(2, len(taken) // 10), 8)
            for run in choose(fitted(law, pool.loc[taken]), able, target, size):
                if pool.flops[run] <= money:
                    taken.append(run)
                    money -= pool.flops[run]
        yield share, len(taken), fitted(law, pool.loc[taken])


def in_order(order, law, pool, target):
    """Fits at each share of runs in a given order, leaving out what is too dear by then."""
    total = pool.flops.sum()
    for share in SHARES:
        taken, money = [], share * total
        for run in order:
            if pool.flops[run] <= money:
                taken.append(run)
                money -= pool.flops[run]
        if len(taken) >= len(law.priors):  # fewer say nothing, and are not fitted
            yield share, len(taken), fitted(law, pool.loc[taken])


def scored(fit, target):
    """What a fit says of the dear region, against what was measured there."""
    inputs = {name: target[name].to_numpy() for name in fit.law.inputs}
    mean = bs.predict(fit, mean=True, **inputs).mean(("chain", "draw")).values
    low, high = (
        bs.interval(bs.predict(fit, seed=1, **inputs), prob=0.9).transpose(..., "run").values
    )
    y, flops = target.loss.to_numpy(), target.flops.to_numpy()
    lost = []
    for money in flops:
        able = np.flatnonzero(flops <= money)
        lost.append(y[able[mean[able].argmin()]] - y[able].min())
    return {
        "r2": 1 - ((y - mean) ** 2).sum() / ((y - y.mean()) ** 2).sum(),
        "inside_90": ((low <= y) & (y <= high)).mean(),
        "width_90": float(np.mean(high - low)),
        "regret": float(np.mean(lost)),
    }


def designs(law, pool, target):
    """Each design's fits, by name; random ones several times."""
    yield "next_runs", sequential(by_next_runs, law, pool, target)
    steeper = functools.partial(by_next_runs, power=STEEPER)
    yield f"next_runs, cost^{STEEPER:g}", sequential(steeper, law, pool, target)
    yield "D-optimal", sequential(by_volume, law, pool, target)
    yield "cheapest first", in_order(pool.index, law, pool, target)
    for seed in range(RANDOM):
        order = np.random.default_rng(seed).permutation(pool.index)
        yield "random", in_order(order, law, pool, target)
    yield "all runs", [(1.0, len(pool), fitted(law, pool))]


def simulated():
    """Each design's error in the dear region where the law is true: a row a task and share."""
    rows = []
    for name, law, *parts in tasks():
        fit = fitted(law, pd.concat(parts, ignore_index=True))
        draws, c = fit.posterior.median(), bs.coefficients(fit, units="raw").median()
        truth = {n: float(c[n]) for n in law.coefficients}
        noise = {n: float(draws[n]) for n in ("noise_scale", "noise_dof")}
        for seed in range(SIMULATED):
            pool, target = (
                part.assign(loss=bs.simulate(law, part, truth, seed=2 * seed + i, **noise).loss)
                for i, part in enumerate(parts)
            )
            true = bs.simulate(law, target, truth, noise_scale=0.0, seed=1).loss.to_numpy()
            for design, fits in designs(law, pool, target):
                for share, runs, one in fits:
                    inputs = {n: target[n].to_numpy() for n in law.inputs}
                    mean = bs.predict(one, mean=True, **inputs).mean(("chain", "draw")).values
                    off = float(np.sqrt(np.mean((mean - true) ** 2)))
                    rows.append({"task": name, "design": design, "share": share, "runs": runs})
                    rows[-1]["error"] = off
                    print({**rows[-1], "seed": seed}, flush=True)
    table = pd.DataFrame(rows).groupby(["task", "design", "share"], sort=False).mean().reset_index()
    keep(table.round(5), "selection_simulated.csv", index=False)
    print(table.to_string(index=False))


def kept(rows):
    """Rows of some tasks in the table of results, beside what it has of others."""
    table = pd.DataFrame(rows).groupby(["task", "design", "share"], sort=False).mean().reset_index()
    published = [PUBLISHED.get(key, np.nan) for key in zip(table.task, table.share, strict=True)]
    table["scalebench_r2"] = published
    path = RESULTS / "selection.csv"
    if path.is_file():
        before = pd.read_csv(path)
        table = pd.concat([before[~before.task.isin(table.task)], table], ignore_index=True)
    keep(table.round(4), "selection.csv", index=False)
    return table


def main():
    if sys.argv[1:] == ["simulated"]:
        simulated()
        return
    begun = time.process_time()
    for name, law, pool, target in tasks():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        rows = []
        for design, fits in designs(law, pool, target):
            for share, runs, fit in fits:
                place = {"task": name, "design": design, "share": share, "runs": runs}
                rows.append(place | scored(fit, target))
                told = {n: round(x, 3) if isinstance(x, float) else x for n, x in rows[-1].items()}
                print(told, f"{time.process_time() - begun:.0f} s", flush=True)
        print(kept(rows).round(3).to_string(index=False), flush=True)


if __name__ == "__main__":
    main()
