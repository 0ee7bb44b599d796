"""Does every law sample on every table that goes with it: whole, by group, and in small subsets?

    python benchmarks/diagnostics.py

fits each law to the tables that have its inputs: whole, each group alone, and random subsets of 10,
15, 20 and 40 runs, at default settings. It writes a row for each fit to
benchmarks/results/diagnostics.csv, and one for each law to diagnostics_summary.csv: divergences,
the largest R-hat, the smallest bulk and tail ESS, how far drawing went on, and the verdict: "ok",
"failed" where the fit itself warned that it is not to be trusted, "refused" where the runs cannot
be fitted. Posteriors of several modes may have independent draws instead of chains: then no R-hat,
but the Pareto k of their weights. A fit that is neither good nor warned of would be "silent", and
fails the script.
"""

import sys
import time
import warnings

import numpy as np
import pandas as pd
from made_with import keep

import bayescale as bs
from bayescale.models import laws

DENSE = ("dense", "coupled", "kaplan", "kaplan_floor", "farseer")
SPARSE = ("sparse", "frantar", "abnar", "dense")
EXPERTS = ("experts", "clark", "joint_moe", "sparse", "abnar")


def tables():
    """Tables by name, each with the laws that go with it and the column of its groups."""
    gadre = bs.load_runs("gadre2024").query("warm_frac <= 0.25")
    t5 = bs.load_runs("frantar2023_t5").query("not target")
    vit, clark = bs.load_runs("frantar2023_vit"), bs.load_runs("clark2022")
    share = (clark.top_k / clark.experts).clip(upper=1.0)
    return {
        "olmo_ladder": (bs.load_runs("olmo_ladder").query("not target"), DENSE, None),
        "hoffmann2022": (bs.load_runs("hoffmann2022").query("not outlier"), DENSE, None),
        "gadre2024": (gadre, DENSE, "corpus"),
        "gemstones2025": (bs.load_runs("gemstones2025"), DENSE, None),
        "muennighoff2023": (bs.load_runs("muennighoff2023"), ("repetition", "dense"), None),
        "frantar2023_t5": (t5.assign(S_experts=t5.S), SPARSE, None),
        "frantar2023_vit": (vit.assign(S_experts=vit.S), SPARSE, None),
        "clark2022": (clark.assign(S_experts=1 - share), EXPERTS, "router"),
        "granularity, simulated": (
            simulated("granularity", "krajewski2024"),
            ("granularity",),
            None,
        ),
        "upcycling, simulated": (simulated("upcycling", "liew2025"), ("upcycling",), None),
    }


def simulated(name, published):
    """Losses of a law's published coefficients on a factorial design, with 0.5 % noise."""
    levels = {
        "N": [1e8, 3e8, 1e9], "D": [3e9, 2e10, 1e11], "G": [1.0, 2.0, 4.0, 8.0],
        "D_dense": [1e10, 3e10, 1e11, 3e11], "D_upcycled": [1e10, 3e10, 1e11],
    }  # fmt: skip
    law = laws()[name]
    columns = np.meshgrid(*(levels[n] for n in law.inputs))
    design = pd.DataFrame(dict(zip(law.inputs, map(np.ravel, columns), strict=True)))
    return bs.simulate(law, design, published, seed=1)


def subsets(runs, by):
    """The whole table, each group alone, and random subsets."""
    yield "whole", runs
    if by and by in runs:
        for level, part in runs.groupby(by):
            yield f"{by} {level}", part
    for size in (10, 15, 20, 40):
        if size < len(runs):
            yield f"{size} at random", runs.sample(size, random_state=size)


def verdict(law, runs):
    """Diagnostics of one fit, and whether it said so where they are bad."""
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fit = bs.fit(law, runs, seed=1)
        except bs.InputError as error:
            return {"verdict": "refused", "said": str(error)}
    table = bs.diagnose(fit)
    said = [str(w.message) for w in caught if issubclass(w.category, bs.FitWarning)]
    good = table.attrs["ok"] and table[["ess_bulk", "ess_tail"]].min(axis=None) >= 1000
    return {
        "divergences": table.attrs["divergences"],
        "rhat": round(float(table.rhat.max()), 4),
        "pareto_k": round(table.attrs.get("pareto_k", float("nan")), 2),
        "ess_bulk": int(table.ess_bulk.min()),
        "ess_tail": int(table.ess_tail.min()),
        "drawn": fit.about["thin"],
        "seconds": round(time.perf_counter() - start, 1),
        "verdict": "ok" if good else "failed" if said else "silent",
        "said": "; ".join(said),
    }


def summarised(found):
    """One row a law."""
    by_law = found.groupby("law")
    summary = by_law.agg(
        tables=("table", "nunique"),
        fits=("verdict", "size"),
        divergences=("divergences", "sum"),
        rhat=("rhat", "max"),
        ess_bulk=("ess_bulk", "min"),
        ess_tail=("ess_tail", "min"),
        mixtures=("pareto_k", "count"),
    )
    for word in ("ok", "failed", "refused"):
        summary[word] = by_law.verdict.agg(lambda said, word=word: int((said == word).sum()))
    return summary


def main():
    rows = []
    by_law = [
        (name, table, subset, part)
        for table, (runs, names, by) in tables().items()
        for name in names
        for subset, part in subsets(runs, by)
    ]
    # Law by law, so that each is compiled once.
    for name, table, subset, part in sorted(by_law, key=lambda row: row[0]):
        row = {"law": name, "table": table, "subset": subset, "runs": len(part)}
        rows.append(row | verdict(laws()[name], part))
        if rows[-1]["verdict"] not in ("ok", "refused"):
            print(rows[-1], flush=True)
    found = pd.DataFrame(rows)
    keep(found, "diagnostics.csv", index=False)
    summary = summarised(found)
    keep(summary, "diagnostics_summary.csv", float_format="%.4g")
    print(summary.to_string())
    return int((found.verdict == "silent").any())


if __name__ == "__main__":
    sys.exit(main())
