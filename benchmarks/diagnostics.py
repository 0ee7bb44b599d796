"""Does every law sample on every table that goes with it, in every kind of fit?

    python benchmarks/diagnostics.py

fits each law to the tables that have its inputs: whole, each group alone, and random subsets of 10,
15, 20 and 40 runs, at default settings; then calibrated, on whole tables and on subsets of 20 and
40; whole tables by group, plain and calibrated; and whole tables with weights between a half and
two. Calibrated are the laws of CALIBRATED only: of laws of many inputs such a fit takes minutes,
and benchmarks/sparse_extrapolation.py has those of upcycling. It writes a row for each fit to
benchmarks/results/diagnostics.csv, and one for each law of the plain fits and for each other kind
to diagnostics_summary.csv: divergences, the largest R-hat, the smallest bulk and tail ESS, how far
drawing went on, and the verdict: "ok", "failed" where the fit itself warned that it is not to be
trusted, "refused" where the runs cannot be fitted. Posteriors of several modes may have independent
draws instead of chains: then no R-hat, but the Pareto k of their weights. A fit that is neither
good nor warned of would be "silent", and fails the script.
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


CALIBRATED = ("dense", "coupled", "sparse", "frantar", "clark")
#: Options of each kind of fit.
KINDS = {
    "plain": {},
    "calibrated": dict(bs.CALIBRATED),
    "by group": {},
    "calibrated, by group": dict(bs.CALIBRATED),
    "weighted": {"weights": "weight"},
}


def tables():
    """Tables by name, each with the laws that go with it and the column of its groups."""
    gadre = bs.load_runs("gadre2024").query("warm_frac <= 0.25")
    t5 = bs.load_runs("frantar2023_t5").query("not target")
    vit, clark = bs.load_runs("frantar2023_vit"), bs.load_runs("clark2022")
    upcycled = bs.load_runs("liew2025").query("experts == 8 and top_k == 2")
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
        "liew2025": (upcycled, ("upcycling", "transferred"), None),
    }


def simulated(name, published):
    """Losses of a law's published coefficients on a factorial design, with 0.5 % noise."""
    levels = {
        "N": [1e8, 3e8, 1e9], "D": [3e9, 2e10, 1e11], "G": [1.0, 2.0, 4.0, 8.0],
    }  # fmt: skip
    law = laws()[name]
    columns = np.meshgrid(*(levels[n] for n in law.inputs))
    design = pd.DataFrame(dict(zip(law.inputs, map(np.ravel, columns), strict=True)))
    return bs.simulate(law, design, published, seed=1)


def subsets(runs, by, kind):
    """The whole table, each group alone, and random subsets, as each kind of fit is asked."""
    yield "whole", runs.assign(weight=np.geomspace(0.5, 2.0, len(runs)))
    if by and kind == "plain":
        for level, part in runs.groupby(by):
            yield f"{by} {level}", part
    for size in {"plain": (10, 15, 20, 40), "calibrated": (20, 40)}.get(kind, ()):
        if size < len(runs):
            yield f"{size} at random", runs.sample(size, random_state=size)


def levels(law):
    """What differs between groups: the floor, or of a law without one its first amplitude."""
    for role in ("floor", "amplitude"):
        for name, prior in law.priors.items():
            if prior.role == role:
                return (name,)
    return (law.coefficients[0],)


def verdict(law, runs, options):
    """Diagnostics of one fit, and whether it said so where they are bad."""
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fit = bs.fit(law, runs, seed=1, **options)
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
    """One row a law for plain fits, then one for each other kind."""
    by_law = found.groupby(found.law.where(found.kind == "plain", found.kind))
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
    others = [kind for kind in KINDS if kind in summary.index]
    return summary.loc[[*sorted(set(summary.index) - set(others)), *others]].rename_axis("fit")


def main():
    rows = []
    asked = [
        (name, table, kind, subset, part, by)
        for table, (runs, names, by) in tables().items()
        for name in names
        for kind in KINDS
        if (by or "by group" not in kind) and (name in CALIBRATED or "calibrated" not in kind)
        for subset, part in subsets(runs, by, kind)
    ]
    # Law by law and kind by kind, so that each is compiled once.
    for name, table, kind, subset, part, by in sorted(asked, key=lambda row: (row[0], row[2])):
        row = {"law": name, "table": table, "kind": kind, "subset": subset, "runs": len(part)}
        law = laws()[name]
        varied = {"by": by, "vary": levels(law)} if "by group" in kind else {}
        rows.append(row | verdict(law, part, KINDS[kind] | varied))
        print(rows[-1], flush=True)
    found = pd.DataFrame(rows)
    keep(found, "diagnostics.csv", index=False)
    summary = summarised(found)
    keep(summary, "diagnostics_summary.csv", float_format="%.4g")
    print(summary.to_string())
    return int((found.verdict == "silent").any())


if __name__ == "__main__":
    sys.exit(main())
