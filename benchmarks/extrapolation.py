"""How often do intervals hold when a fit to small runs predicts the largest?

The runs of each series below the top 20, 35 and 50 % of training compute are fitted, and the rest
are predicted. An interval of 90 % should hold nine in ten of them. The textbook fit comes first;
then each part of the calibrated fit is added in turn. Then the same with losses simulated from the
textbook fit of each series, where the law is true: what calibration costs if it is not needed.

    python benchmarks/extrapolation.py            # an hour on two cores
    python benchmarks/extrapolation.py measured   # without the simulated series

writes to benchmarks/results/: extrapolation.csv, a row a series, cut and variant, with widths and
CRPS also as ratios to the textbook fit's; their means in extrapolation_summary.csv, and in
extrapolation_true.csv where the law is true; and docs/extrapolation.svg.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import bayescale as bs
from bayescale.common.files import replacing
from bayescale.models import coupled, dense

HERE = Path(__file__).parent
RESULTS = HERE / "results"
CUTS = (0.2, 0.35, 0.5)
SETTINGS = {"draws": 250, "tune": 800}
CALIBRATED = dict(bs.CALIBRATED)
PARTS = {"weights": ("weights",), "scaled noise": ("noise",), "discrepancy": ("discrepancy",)}


def calibration():
    """Options of the calibrated fit, each part added in turn."""
    found, options = {}, {}
    for name, keys in PARTS.items():
        options = options | {key: CALIBRATED[key] for key in keys}
        found[f"+ {name}"] = options
    return found | {"+ size effects (calibrated)": CALIBRATED}


def variants():
    """Laws and options: the textbook fit, each part added in turn, and the dense law with all."""
    found = {"textbook": (dense, {}), "+ coupled law": (coupled, {})}
    found |= {name: (coupled, options) for name, options in calibration().items()}
    return found | {"calibrated, dense law": (dense, CALIBRATED)}


def series():
    """Measured series of dense runs, by name."""
    gadre = bs.load_runs("gadre2024").query("warm_frac <= 0.25")
    return {
        "olmo_ladder": bs.load_runs("olmo_ladder").query("not target"),
        "hoffmann2022": bs.load_runs("hoffmann2022").query("not outlier"),
        **{f"gadre2024 {corpus}": runs for corpus, runs in gadre.groupby("corpus")},
        "gemstones2025": bs.load_runs("gemstones2025"),
        "muennighoff2023": bs.load_runs("muennighoff2023").query("single_epoch"),
    }


def simulated():
    """The same designs with losses from the textbook fit of each, Student-t noise and all."""
    found = {}
    for i, (name, runs) in enumerate(series().items()):
        draws = bs.fit(dense, runs, seed=1, method="laplace").posterior.median()
        fit = bs.fit(dense, runs, seed=1, method="laplace")
        c = bs.coefficients(fit, units="raw").median()
        found[f"simulated {name}"] = bs.simulate(
            dense,
            runs[["N", "D"]],
            {n: float(c[n]) for n in dense.coefficients},
            noise_scale=float(draws.noise_scale),
            noise_dof=float(draws.noise_dof),
            seed=100 + i,
        )
    return found


def scores(tables, chosen, cuts=CUTS, order="flops"):
    """Backtests of every series under every variant: a row a series, cut and variant."""
    rows = []
    for variant, (law, options) in chosen.items():
        how = SETTINGS | options
        for name, runs in tables.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", bs.FitWarning)  # noted in the column trusted
                found = bs.backtest(law, runs, cuts=cuts, order=order, seed=1, **how)
            trusted, covered = found.attrs["trusted"], bs.coverage(found)
            for cut, row in covered.iterrows():
                kept = row[["runs", "inside_50", "inside_80", "inside_90", "width", "crps"]]
                row = {"series": name, "cut": cut, "variant": variant, **kept}
                rows.append(row | {"trusted": trusted[cut]})
            print(variant, name, covered.inside_90.round(2).tolist(), flush=True)
    table = pd.DataFrame(rows)
    reference = table[table.variant == "textbook"].set_index(["series", "cut"])
    at = pd.MultiIndex.from_frame(table[["series", "cut"]])
    for what in ("width", "crps"):
        table[f"{what}_ratio"] = table[what].values / reference.loc[at, what].values
    return table


def summary(table, by):
    """Means over series and cuts; ratios to the textbook fit as geometric means."""
    rows = {}
    for of, part in table.groupby(by, sort=False):
        held = part[["inside_50", "inside_80", "inside_90"]].mean()
        ratios = {n: np.exp(np.log(part[n]).mean()) for n in ("width_ratio", "crps_ratio")}
        below = (part.inside_90 < 0.7).mean()
        rows[of] = {**held, **ratios, "below_70": below, "trusted": part.trusted.mean()}
    return pd.DataFrame(rows).T.round(3)


def picture(table, path):
    """Share of held-out losses inside the 90 % interval, by series and cut, for each variant."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    measured = table[~table.series.str.startswith("simulated")]
    names = list(dict.fromkeys(measured.variant))
    figure, axes = plt.subplots(figsize=(7.0, 3.6), layout="constrained")
    rng = np.random.default_rng(1)
    for i, name in enumerate(names):
        held = 100 * measured[measured.variant == name].inside_90
        y = len(names) - 1 - i
        axes.plot(held, y + rng.uniform(-0.22, 0.22, len(held)), "o", color="#7a8ea6", ms=3.5)
        axes.plot(held.mean(), y, "|", color="#12304f", ms=20, mew=2.5)
    axes.axvspan(86, 95, color="#e9eef4", zorder=0)
    axes.axvline(90, color="#b0492e", lw=1)
    axes.set_yticks(range(len(names)), names[::-1])
    axes.set_xlim(-2, 102)
    axes.set_xlabel("held-out losses inside the 90 % interval, %")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def write(table, name, **kwargs):
    with replacing(RESULTS / name) as part:
        table.to_csv(part, float_format="%.4g", **kwargs)


def main():
    RESULTS.mkdir(exist_ok=True)
    table = scores(series(), variants())
    write(table, "extrapolation.csv", index=False)
    if "measured" not in sys.argv[1:]:
        few = {n: v for n, v in variants().items() if n == "textbook" or "calibrated" in n}
        table = pd.concat([table, scores(simulated(), few)], ignore_index=True)
    write(table, "extrapolation.csv", index=False)
    kinds = np.where(table.series.str.startswith("simulated"), "law is true", "measured")
    means = summary(table, [kinds, "variant"]).rename_axis(["data", "variant"])
    for kind, name in (("measured", "summary"), ("law is true", "true")):
        if kind in means.index:
            write(means.loc[kind], f"extrapolation_{name}.csv")
    picture(table, HERE.parent / "docs" / "extrapolation.svg")
    print(means.to_string())


if __name__ == "__main__":
    main()
