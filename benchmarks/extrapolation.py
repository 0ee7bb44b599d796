"""How often do intervals hold when a fit to small runs predicts the largest?

The runs of each series below the top 20, 35 and 50 % of training compute are fitted, and the rest
are predicted. An interval of 90 % should hold nine in ten of them. The textbook fit comes first;
then each part of the calibrated fit is added in turn. Then the same with losses simulated from the
textbook fit of each series, where the law is true: what calibration costs if it is not needed.

    python benchmarks/extrapolation.py            # half an hour on two cores, with 29 series
    python benchmarks/extrapolation.py measured   # without the simulated series

takes its series from benchmarks/measured.py and writes to benchmarks/results/: extrapolation.csv, a
row a series, cut and variant, with widths and CRPS also as ratios to the textbook fit's;
extrapolation_summary.csv, each series with one vote at each cut; extrapolation_distance.csv, by the
distance past the largest fitted run; extrapolation_true.csv, where the law is true; and
docs/extrapolation.svg.
"""

import os
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from made_with import keep
from measured import own, series

import bayescale as bs
from bayescale.models import coupled, dense

HERE = Path(__file__).parent
CUTS = (0.2, 0.35, 0.5)
SETTINGS = {"draws": 500}
#: Each variant's law and options; CALIBRATED is the coupled law with all.
VARIANTS = {
    "textbook": (dense, {}),
    "calibrated": (coupled, dict(bs.CALIBRATED)),
    "coupled law": (coupled, {}),
    "coupled law, scaled noise": (coupled, {"noise": "scaled"}),
    "calibrated, dense law": (dense, dict(bs.CALIBRATED)),
}
#: Times the compute of the largest fitted run.
DISTANCES = (0.0, 3.0, 10.0, 100.0, np.inf)


def simulated():
    """The same designs with losses from the textbook fit of each, Student-t noise and all."""
    found = {}
    for i, (name, runs) in enumerate(own().items()):
        fit = bs.fit(dense, runs, seed=1, method="laplace")
        draws, c = fit.posterior.median(), bs.coefficients(fit, units="raw").median()
        found[f"simulated {name}"] = bs.simulate(
            dense,
            runs[["N", "D"]],
            {n: float(c[n]) for n in dense.coefficients},
            noise_scale=float(draws.noise_scale),
            noise_dof=float(draws.noise_dof),
            seed=100 + i,
        )
    return found


def scored(name, table, variant):
    """Backtest of one series under a variant: held-out runs, and a row a cut."""
    law, options = VARIANTS[variant]
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.FitWarning)  # noted in the column trusted
        found = bs.backtest(law, table, cuts=CUTS, seed=1, **(SETTINGS | options))
    seconds = (time.process_time() - start) / len(CUTS)
    rows = []
    for cut, row in bs.coverage(found).iterrows():
        kept = row[["runs", "inside_50", "inside_80", "inside_90", "width", "crps", "error"]]
        row = {"series": name, "cut": cut, "variant": variant, **kept, "seconds": seconds}
        rows.append(row | {"trusted": found.attrs["trusted"][cut]})
    print(variant, name, [round(r["inside_90"], 2) for r in rows], flush=True)
    return found.assign(series=name, variant=variant), pd.DataFrame(rows)


def scores(tables, variant, pool):
    """The same of every series, as many at once as there are cores."""
    found = list(pool.map(scored, tables, tables.values(), [variant] * len(tables)))
    return tuple(pd.concat(parts, ignore_index=True) for parts in zip(*found, strict=True))


def with_ratios(table):
    """Widths and CRPS also over the textbook fit's."""
    reference = table[table.variant == "textbook"].set_index(["series", "cut"])
    at = pd.MultiIndex.from_frame(table[["series", "cut"]])
    ratios = {
        f"{w}_ratio": table[w].values / reference[w].loc[at].values for w in ("width", "crps")
    }
    return table.assign(**ratios)


def summary(table, by):
    """Means over series; ratios to the textbook fit as geometric means."""
    rows = {}
    for of, part in table.groupby(by, sort=False):
        held = part[["inside_50", "inside_80", "inside_90"]].mean()
        ratios = {n: np.exp(np.log(part[n]).mean()) for n in ("width_ratio", "crps_ratio")}
        below = (part.inside_90 < 0.7).sum()
        rows[of] = {"series": len(part), **held, **ratios, "below_70": below}
        rows[of] |= {"trusted": part.trusted.mean(), "seconds": part.seconds.median()}
    return pd.DataFrame(rows).T.round(3)


def by_distance(runs):
    """Coverage by the distance past the largest fitted run: each series with one vote."""
    bins = pd.cut(10.0**runs.beyond, DISTANCES).astype(str).rename("times_largest")
    held = ["inside_50", "inside_80", "inside_90"]
    each = runs.groupby(["variant", bins, "series"], sort=False)[[*held, "error"]].mean()
    table = each.groupby(level=[0, 1], sort=False).mean()
    table.insert(0, "series", each.groupby(level=[0, 1], sort=False).size())
    return table.round(3).sort_index()


def picture(runs, path):
    """Share of held-out losses inside the 90 % interval by distance, series by series."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    bins = pd.cut(10.0**runs.beyond, DISTANCES)
    kinds = list(bins.cat.categories)
    names = ["up to 3", "3 to 10", "10 to 100", "beyond 100"]
    figure, axes = plt.subplots(figsize=(7.0, 3.4), layout="constrained")
    rng = np.random.default_rng(1)
    for shift, variant, colour in ((-0.17, "textbook", "#b0492e"), (0.17, "calibrated", "#12304f")):
        part = runs[runs.variant == variant]
        held = part.groupby([bins[runs.variant == variant], "series"], observed=True).inside_90
        held = held.mean().unstack(0)
        for i, kind in enumerate(kinds):
            y = 100 * held[kind].dropna()
            x = i + shift + rng.uniform(-0.1, 0.1, len(y))
            axes.plot(x, y, "o", color=colour, ms=3.2, alpha=0.45, mew=0)
            axes.plot([i + shift - 0.13, i + shift + 0.13], [y.mean()] * 2, color=colour, lw=2.5,
                      label=variant if i == 0 else None)  # fmt: skip
    axes.axhline(90, color="#7a8ea6", lw=1, zorder=0)
    axes.set_xticks(range(len(kinds)), names)
    axes.set_xlabel("compute, times the largest fitted run")
    axes.set_ylabel("held-out losses inside\nthe 90 % interval, %")
    axes.set_ylim(-3, 103)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower left")
    figure.savefig(path, metadata={"Date": None})


def write(table, name, **kwargs):
    keep(table, name, float_format="%.4g", **kwargs)


def main():
    tables, runs, rows = series(), [], []
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        for variant in VARIANTS:
            one, table = scores(tables, variant, pool)
            runs.append(one)
            rows.append(table)
            held, table = pd.concat(runs), with_ratios(pd.concat(rows, ignore_index=True))
            write(table, "extrapolation.csv", index=False)
            means = summary(table, ["variant", "cut"]).rename_axis(["variant", "cut"])
            write(means, "extrapolation_summary.csv")
            write(by_distance(held), "extrapolation_distance.csv")
            print(means.to_string(), flush=True)
            if variant == "calibrated":
                picture(held, HERE.parent / "docs" / "extrapolation.svg")
        if "measured" not in sys.argv[1:]:
            few = [scores(simulated(), v, pool)[1] for v in ("textbook", "calibrated")]
            table = with_ratios(pd.concat(few, ignore_index=True))
            means = summary(table, ["variant", "cut"]).rename_axis(["variant", "cut"])
            write(means, "extrapolation_true.csv")
            print(means.to_string())


if __name__ == "__main__":
    main()
