"""Do intervals of the optimal size hold at a budget nobody fitted, and what does the plan lose?

Of every series with isoFLOP budgets the dearest is held out and the cheaper runs are fitted. The
truth is what the held-out runs show without any law: the minimum of a cubic of the log loss in
log N (a square where there are under seven), with a bootstrap of its residuals. The optimal size is
then asked of the fit, with its intervals, and the one plan that `decide` would train; what that
plan loses against the minimum is read off the held-out curve itself.

    python benchmarks/decision_coverage.py     # a quarter of an hour on two cores

takes its series from benchmarks/measured.py and writes to benchmarks/results/: decisions.csv, a row
a series and variant, decisions_summary.csv, and docs/decisions.svg.
"""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from extrapolation import SETTINGS, VARIANTS, write
from measured import series

import bayescale as bs
from bayescale.checking.isoflop_profiles import SIZES, WIDEST, Profile, isoflop_budgets

KEPT = ("textbook", "coupled law", "calibrated")


def tables():
    """Fitted runs, the held-out budget and its profile, by series."""
    rng = np.random.default_rng(0)
    for name, runs in series().items():
        label = isoflop_budgets(runs.flops)
        each = runs.assign(decades=np.log10(runs.flops)).groupby(label)
        several = each.N.nunique() >= SIZES
        whole = several.index[several & (each.decades.max() - each.decades.min() <= WIDEST)]
        if len(whole) < 3:
            continue
        held, fitted = runs[label == whole[-1]], runs[label < whole[-1]]
        profile = Profile.of(held.N, held.loss, rng)
        if profile.inside:
            yield name, fitted.reset_index(drop=True), held, profile


def asked(fit, budget, profile):
    """The interval of the optimal size and the plan, beside what the held-out runs show."""
    sizes = bs.allocate(fit, budget=budget).N.to_numpy().ravel()
    plan = float(bs.decide(fit, budget=budget, trust=True).N.item())
    return judged(sizes, plan, profile)


def judged(sizes, plan, profile):
    """Draws of the optimal size and a plan's size, beside what the held-out runs show."""
    sizes, plan = np.log(sizes) - profile.centre, float(np.log(plan))
    row = {
        "plan": np.exp(plan),
        "regret": profile.loss(plan) - profile.loss(profile.best + profile.centre),
    }
    for percent in (50, 80, 90):
        low, high = np.quantile(sizes, [0.5 - percent / 200, 0.5 + percent / 200])
        row[f"inside_{percent}"] = bool(low <= profile.best <= high)
    row |= {"low": np.exp(low + profile.centre), "high": np.exp(high + profile.centre)}
    row["decades"] = (high - low) / np.log(10)
    row["overlaps"] = bool(low <= profile.high and profile.low <= high)
    row["error_decades"] = (plan - profile.centre - profile.best) / np.log(10)
    return row


def picture(table, path):
    """Intervals of the optimal size over the observed one, series by series."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    ratio = (table.plan / table.observed).where(table.variant == "calibrated")
    names = list(table.assign(ratio=ratio).dropna(subset="ratio").sort_values("ratio").series)
    figure, axes = plt.subplots(figsize=(7.0, 4.2), layout="constrained")
    for shift, variant, colour in ((0.17, "textbook", "#b0492e"), (-0.17, "calibrated", "#12304f")):
        part = table[table.variant == variant].set_index("series").loc[names]
        y = np.arange(len(names))[::-1] + shift
        low, high = part.low / part.observed, part.high / part.observed
        axes.hlines(y, low, high, color=colour, lw=3, label=f"{variant}, 90 % interval")
        axes.plot(part.plan / part.observed, y, "o", color="white", mec=colour, ms=4.5)
    axes.axvline(1.0, color="#7a8ea6", lw=1)
    axes.set_xscale("log")
    ends = np.r_[table.low, table.high] / np.r_[table.observed, table.observed]
    axes.set_xlim(min(0.9 * ends.min(), 0.5), max(1.1 * ends.max(), 2.0))
    ticks = np.array([0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10])
    low, high = axes.get_xlim()
    axes.set_xticks(ticks[(ticks >= low) & (ticks <= high)])
    axes.xaxis.set_major_formatter("{x:g}")
    axes.minorticks_off()
    words = [name.replace("__", ", ").replace("_", " ") for name in names]
    axes.set_yticks(np.arange(len(names))[::-1], words, fontsize=8)
    axes.set_xlabel("optimal size over the observed one (times; circles: the plan)")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=8, loc="outside upper center", ncols=2)
    figure.savefig(path, metadata={"Date": None})


def summary(table):
    rows = {}
    for variant, part in table.groupby("variant", sort=False):
        rows[variant] = {"series": len(part)}
        rows[variant] |= {n: part[n].mean() for n in ("inside_50", "inside_80", "inside_90")}
        rows[variant] |= {"overlaps": part.overlaps.mean(), "decades": part.decades.median()}
        rows[variant] |= {"error_decades": part.error_decades.abs().median()}
        rows[variant] |= {"regret_median": part.regret.median(), "regret_worst": part.regret.max()}
    return pd.DataFrame(rows).T.rename_axis("variant")


def main():
    rows = []
    for name, fitted, held, profile in tables():
        budget = float(np.median(6.0 * held.N * held.D))
        times = budget / float((6.0 * fitted.N * fitted.D).max())
        for variant in KEPT:
            law, options = VARIANTS[variant]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                fit = bs.fit(law, fitted[["N", "D", "loss"]], seed=1, **(SETTINGS | options))
                found = asked(fit, budget, profile)
            place = {"series": name, "variant": variant, "held_out": len(held)}
            place |= {"times_largest": times, "observed": np.exp(profile.best + profile.centre)}
            rows.append(place | found)
            print(
                variant,
                name,
                {k: rows[-1][k] for k in ("inside_90", "decades", "regret")},
                flush=True,
            )
        write(pd.DataFrame(rows), "decisions.csv", index=False)
    table = pd.DataFrame(rows)
    write(summary(table), "decisions_summary.csv")
    picture(table, Path(__file__).parents[1] / "docs" / "decisions.svg")
    print(summary(table).round(4).to_string())


if __name__ == "__main__":
    main()
