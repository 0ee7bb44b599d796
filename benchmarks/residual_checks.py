"""How often `check_residuals` fails where the law is true: simulated losses, fitted and checked.

    python benchmarks/residual_checks.py [--tables 60]

simulates losses of a law's own fit on four designs, fits the law to them and checks the residuals
at prob=0.9, and writes benchmarks/results/residual_checks.csv: the share of tables in which the
check of the scatter fails, and the lowest and the highest share in which one of the trends does.
"""

import argparse
import sys
import warnings

import numpy as np
import pandas as pd
from made_with import keep

import bayescale as bs
from bayescale.models import dense, frantar

NOISE = {"normal": None, "student_t": 4.0}


def designs():
    """Law, runs and noise of each design."""
    ladder = bs.load_runs("olmo_ladder").query("not target")
    t5 = bs.load_runs("frantar2023_t5").query("not target")
    part = ladder.iloc[::2].head(12)
    return [
        ("OLMo ladder, dense law", dense, ladder, "normal"),
        ("OLMo ladder, dense law", dense, ladder, "student_t"),
        ("part of the OLMo ladder, dense law", dense, part, "student_t"),
        ("T5 models, Frantar's law", frantar, t5, "normal"),
    ]


def failures(law, runs, noise, tables):
    """Whether each check failed, a row a table."""
    truth = bs.fit(law, runs, method="laplace", seed=1)
    mean = bs.predict(truth, mean=True, **{n: runs[n] for n in law.inputs}).median(
        ["chain", "draw"]
    )
    found = []
    for seed in range(tables):
        rng = np.random.default_rng(seed)
        size = len(runs)
        dof = NOISE[noise]
        z = rng.standard_normal(size) if dof is None else rng.standard_t(dof, size)
        simulated = runs[list(law.inputs)].assign(loss=mean.values * np.exp(0.005 * z))
        fit = bs.fit(law, simulated, noise=noise, method="laplace", seed=1)
        found.append(~bs.check_residuals(fit, seed=seed).ok)
    return pd.DataFrame(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tables", type=int, default=60)
    tables, rows = parser.parse_args().tables, []
    for name, law, runs, noise in designs():
        share = failures(law, runs, noise, tables).mean()
        trends = share.drop("LOO-PIT")
        row = {"design": name, "runs": len(runs), "noise": noise}
        row |= {"tables": tables, "scatter": share["LOO-PIT"]}
        rows.append(row | {"least_trend": trends.min(), "most_trend": trends.max()})
        print(rows[-1], flush=True)
    keep(pd.DataFrame(rows), "residual_checks.csv", index=False, float_format="%.2g")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.exit(main())
