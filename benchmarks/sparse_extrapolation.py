"""Do calibrated intervals hold for sparse models and mixtures of experts larger than any fitted?

Of each table the runs of most compute are held out (the top 20, 35 and 50 %), the rest fitted and
the held-out runs predicted; then likewise the largest models (10 and 30 % of runs by active
parameters: whole sizes, with all their sparsities or experts), and the sparsest, or those of most
experts (5 and 20 %). Compute is by each law's own cost model; runs with experts all saw as many
tokens, so theirs is their size. Of upcycled models the largest parents are held out, and those
trained the longest after upcycling. The textbook fit of each law comes first, then its calibrated
fit.

    python benchmarks/sparse_extrapolation.py     # half an hour on two cores

writes to benchmarks/results/: extrapolation_sparse.csv, a row a series, cut and variant; their
means in extrapolation_sparse_parts.csv; and in extrapolation_sparse_series.csv the calibrated fit
of each series against its textbook fit.
"""

import time
import warnings

import pandas as pd
from extrapolation import SETTINGS, summary, with_ratios, write

import bayescale as bs
from bayescale.models import clark, frantar, sparse, transferred, upcycling

ASKED = {
    "most compute": ("flops", (0.2, 0.35, 0.5)),
    "largest": ("N_active", (0.1, 0.3)),
    "sparsest": ("S", (0.05, 0.2)),
    "most experts": ("experts", (0.05, 0.2)),
    "largest parents": ("N", (0.1, 0.3)),
    "longest upcycled": ("D_upcycled", (0.05, 0.2)),
}
PRUNED = ("most compute", "largest", "sparsest")
ROUTED = ("largest", "most experts")
UPCYCLED = ("largest parents", "longest upcycled")


def series():
    """Law, runs and what is held out, by name: laws that a table can identify."""
    found = {}
    for name, title in (("frantar2023_t5", "pruned T5"), ("frantar2023_vit", "pruned ViT")):
        for law in (frantar, sparse):
            found[f"{title}, law {law.name}"] = (law, bs.load_runs(name), PRUNED)
    routed = bs.load_runs("clark2022").query("top_k == 1 and routing_frequency == 0.5")
    routed = routed.query("seed == 42")
    for router in ("S-Base", "RL-R", "Hash"):
        runs = routed[routed.router.isin(["Dense", router])]
        found[f"experts by {router}, law clark"] = (clark, runs, ROUTED)
    upcycled = bs.load_runs("liew2025").query("experts == 8 and top_k == 2")
    for law in (upcycling, transferred):
        found[f"upcycled, law {law.name}"] = (law, upcycled, UPCYCLED)
    return found


def scores(name, law, runs, held_out):
    """Backtests of a law on one table, textbook and calibrated: a row a cut and variant."""
    order, cuts = ASKED[held_out]
    rows = []
    for variant, options in (("textbook", {}), ("calibrated", dict(bs.CALIBRATED))):
        start = time.process_time()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bs.FitWarning)  # noted in the column trusted
            found = bs.backtest(law, runs, cuts=cuts, order=order, seed=1, **SETTINGS, **options)
        seconds = (time.process_time() - start) / len(cuts)
        for cut, row in bs.coverage(found).iterrows():
            kept = row[["runs", "inside_50", "inside_80", "inside_90", "width", "crps"]]
            row = {"series": name, "cut": cut, "variant": variant, "held_out": held_out, **kept}
            rows.append(row | {"trusted": found.attrs["trusted"][cut], "seconds": seconds})
        print(held_out, variant, name, [round(r["inside_90"], 2) for r in rows[-len(cuts) :]])
    return with_ratios(pd.DataFrame(rows))


def by_series(table):
    """The calibrated fit of each series beside its textbook fit, means over cuts."""
    by = ["held_out", "series"]
    found = summary(table[table.variant == "calibrated"], by)
    textbook = table[table.variant == "textbook"].groupby(by, sort=False)
    found.insert(0, "textbook_90", textbook.inside_90.mean().round(3))
    found.insert(0, "runs", textbook.runs.max())
    return found.rename_axis(by)


def main():
    parts = []
    for name, (law, runs, asked) in series().items():
        for held_out in asked:
            parts.append(scores(name, law, runs, held_out))
            table = pd.concat(parts, ignore_index=True)
            write(table, "extrapolation_sparse.csv", index=False)
    table = table.sort_values("held_out", key=lambda x: x.map(list(ASKED).index), kind="stable")
    by = ["held_out", "variant"]
    means = summary(table, by).rename_axis(by)
    write(means, "extrapolation_sparse_parts.csv")
    write(by_series(table), "extrapolation_sparse_series.csv")
    print(means.to_string())


if __name__ == "__main__":
    main()
