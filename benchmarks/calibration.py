"""Simulation-based calibration: are a fit's intervals those of its own model?

For each law, coefficients and noise are drawn from their priors, losses from the law and the noise,
and the law is fitted by NUTS. The rank of each true coefficient among the posterior's draws is then
uniform (Talts et al. 2018, arXiv:1804.06788). A chi-square test in ten bins asks whether it is, and
its p-values, Holm-corrected over all coefficients, should stay above 0.01. The same of fits with
discrepancy, by group, and of both: there the truth has the components that runs see, and groups.

    python benchmarks/calibration.py [--simulations 200] [FIT ...]

writes a row for each coefficient to benchmarks/results/calibration.csv, and docs/calibration.svg.
"""

import argparse
import itertools
import os
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import fields, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from made_with import keep
from scipy import stats

import bayescale as bs
from bayescale.models import laws
from bayescale.posterior.density import Problem, log_posterior
from bayescale.posterior.discrepancy import bent
from bayescale.posterior.noise import run_scale
from bayescale.posterior.problem import problem
from bayescale.sampling.modes import find_mode
from bayescale.sampling.nuts import compiled_density, sample_nuts

HERE = Path(__file__).parent
DRAWS, CHAINS, KEPT = 250, 4, 100
LEVELS = {
    "N": [1e8, 5e8, 2e9, 1e10],
    "N_active": [1e8, 4e8, 2e9],
    "D": [3e9, 2e10, 1e11],
    "D_dense": [1e10, 5e10, 3e11],
    "D_upcycled": [1e10, 5e10, 2e11],
    "D_unique": [2e9, 1e10, 5e10],
    "S": [0.0, 0.5, 0.9],
    "S_experts": [0.0, 0.5, 0.9],
    "G": [1.0, 4.0, 16.0],
    "experts": [1.0, 8.0, 64.0],
}
#: Fits beside that of each law as it is: the law, and options of `bs.fit`.
BY_GROUP = {"by": "corpus", "vary": ("E", "A")}
OTHERS = {
    "coupled, calibrated": ("coupled", dict(bs.CALIBRATED)),
    "dense, calibrated": ("dense", dict(bs.CALIBRATED)),
    "sparse, calibrated": ("sparse", dict(bs.CALIBRATED)),
    "dense, by group": ("dense", BY_GROUP),
    "coupled, calibrated, by group": ("coupled", BY_GROUP | bs.CALIBRATED),
}


class AtUnitLoss(Problem):
    """A posterior whose priors that are shares of the loss are shares of one nat.

    A fit takes the reference loss from the runs; here the truth is drawn before there are any.
    """

    loss_scale = 1.0


def at_unit_loss(task):
    return AtUnitLoss(**{field.name: getattr(task, field.name) for field in fields(Problem)})


def design(law):
    rows = itertools.product(*(LEVELS[name] for name in law.inputs))
    runs = pd.DataFrame(rows, columns=list(law.inputs)).assign(loss=1.0)
    return runs.assign(corpus=np.array(["a", "b", "c"])[np.arange(len(runs)) % 3])


def simulate(task, rng):
    """Coefficients from their priors, and losses; drawn again where a loss is not above zero."""
    while True:
        c = {n: prior.sample(rng, (1, 1)) for n, prior in task.coordinates.priors.items()}
        if task.groups:
            c |= task.groups.sample(rng, c, task.loss_scale)
        c |= {name: rng.standard_normal((1, 1)) for name in task.normals}
        by_run = {n: c[n] for n in task.priors if n in c}
        for n in set(task.priors) - set(by_run):
            by_run[n] = np.hstack([c[f"{n}_{i}"] for i in task.groups.member])
        with np.errstate(all="ignore"):
            if task.field:
                g = task.field.value(c, c, task.data)
                mean = bent(task.law, task.scaled_inputs, by_run, g)[0]
            else:
                mean = task.law(**task.scaled_inputs, **by_run)[0]
            p = {n: x[0] for n, x in c.items()}
            scale = run_scale(task.noise, p, task.data)
            noise = task.noise.draw(rng, mean.shape, scale, p)
            loss = mean * np.exp(noise)
        if (mean > 0).all() and np.isfinite(loss).all() and (loss > 0).all():
            return {n: x.item() for n, x in c.items()}, loss


def ranks(name, simulations, seed, **options):
    """Ranks of the true coefficients among draws of the posterior, by simulation."""
    of, known = OTHERS.get(name, (name, {}))
    law = laws()[of]
    task = at_unit_loss(problem(law, design(law), **(known | options)))
    found = []
    for i in range(simulations):
        rng = np.random.default_rng([seed, i])
        truth, loss = simulate(task, rng)
        one = replace(task, loss=loss)
        sampled = sample_nuts(
            compiled_density(one), one, find_mode(one),
            draws=DRAWS, tune=600, chains=CHAINS, seed=i, report=lambda *_: None,
        )["posterior"].to_dataset()  # fmt: skip
        u = {n: sampled[n].values.reshape(-1, 1)[:: DRAWS * CHAINS // KEPT] for n in one.names}
        with np.errstate(all="ignore"):
            _, _, c = log_posterior(one, u, one.data)
        found.append({n: int((np.ravel(c[n]) < truth[n]).sum()) for n in truth})
    return pd.DataFrame(found)


def uniformity(found):
    """P-value of a chi-square test of each coefficient's ranks, in ten bins."""
    bins = np.linspace(-0.5, KEPT + 0.5, 11)
    share = np.diff(np.floor(bins + 0.5)) / (KEPT + 1)
    p = {}
    for name, values in found.items():
        counts, _ = np.histogram(values, bins)
        p[name] = stats.chisquare(counts, share * len(values)).pvalue
    return p


def picture(every, path):
    """For each fit the share of ranks up to each, less what is expected, with a 90 % band."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    columns = 5
    rows = -(-len(every) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(10, 1.9 * rows), sharex=True, sharey=True, layout="constrained"
    )
    z = np.linspace(0, 1, KEPT + 1)
    for ax, (name, found) in zip(axes.flat, sorted(every.items()), strict=False):
        band = 1.63 * np.sqrt(z * (1 - z) / len(found)) + 0.01
        ax.fill_between(z, -band, band, color="#e3e9f0", lw=0)
        for values in found.to_numpy().T:
            ecdf = (values[:, None] <= np.arange(KEPT + 1)).mean(axis=0)
            ax.plot(z, ecdf - (np.arange(KEPT + 1) + 1) / (KEPT + 1), color="#3b5f86", lw=0.7)
        ax.set_title(name, fontsize=9)
        ax.spines[["top", "right"]].set_visible(False)
    for ax in axes.flat[len(every) :]:
        ax.set_visible(False)
    figure.supxlabel("rank of the truth among posterior draws", fontsize=9)
    figure.supylabel("share of ranks below, less that expected", fontsize=9)
    figure.savefig(path, metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--simulations", type=int, default=200)
    parser.add_argument("fits", nargs="*")
    asked = parser.parse_args()
    # Laws of many coefficients take longest and go first, so that no core waits at the end.
    chosen = asked.fits or [
        *OTHERS,
        *sorted(laws(), key=lambda name: -len(laws()[name].coefficients)),
    ]
    rows, every = [], {}
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(ranks, name, asked.simulations, 1): name for name in chosen}
        for done in as_completed(waiting):
            name, found = waiting[done], done.result()
            every[name] = found
            p = uniformity(found)
            rows += [
                {"fit": name, "coefficient": c, "simulations": len(found), "p": x,
                 "mean_rank": found[c].mean() / KEPT}
                for c, x in p.items()
            ]  # fmt: skip
            print(f"{name}: least p {min(p.values()):.3f} ({min(p, key=p.get)})", flush=True)
    table = pd.DataFrame(rows).sort_values("fit", kind="stable", ignore_index=True)
    order = table.p.argsort()
    holm = (table.p.iloc[order] * np.arange(len(table), 0, -1)).cummax().clip(upper=1.0)
    table["p_holm"] = holm.reindex(table.index)
    if not asked.fits:
        keep(table, "calibration.csv", index=False, float_format="%.4g")
        picture(every, HERE.parent / "docs" / "calibration.svg")
    print(f"{len(table)} coefficients; least Holm-corrected p {table.p_holm.min():.3f}")
    return int(table.p_holm.min() < 0.01)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
