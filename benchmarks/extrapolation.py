"""How often do intervals hold when a fit to small runs predicts the largest?

The runs of each dense series below the top fifth of training compute are fitted, and the top fifth
is predicted. An interval of 90 % should hold nine in ten of them. It does if the law does.

    python benchmarks/extrapolation.py

writes a row for each series and law to benchmarks/results/extrapolation.csv.
"""

from pathlib import Path

import numpy as np
import pandas as pd

import bayescale as bs
from bayescale.files import replacing
from bayescale.models import coupled, dense

RESULT = Path(__file__).parent / "results" / "extrapolation.csv"
PROBABILITIES = (0.5, 0.8, 0.9)


def series():
    gadre = bs.load_runs("gadre2024").query("warm_frac <= 0.25")
    return {
        "olmo_ladder": bs.load_runs("olmo_ladder").query("not target"),
        "hoffmann2022": bs.load_runs("hoffmann2022").query("not outlier"),
        **{f"gadre2024 {corpus}": runs for corpus, runs in gadre.groupby("corpus")},
        "gemstones2025": bs.load_runs("gemstones2025"),
        "muennighoff2023": bs.load_runs("muennighoff2023").query("single_epoch"),
    }


def score(law, runs):
    """Coverage and width of the predictions of the runs above the 80th percentile of compute."""
    compute = 6.0 * runs.N * runs.D
    held_out = compute > compute.quantile(0.8)
    fit = bs.fit(law, runs[~held_out], seed=1)
    seen = runs[held_out]
    loss = bs.predict(fit, seed=1, N=seen.N, D=seen.D)
    row = {"law": law.name, "fitted": int((~held_out).sum()), "held_out": len(seen)}
    for probability in PROBABILITIES:
        bounds = bs.interval(loss, probability).values
        inside = (bounds[:, 0] <= seen.loss) & (seen.loss <= bounds[:, 1])
        row[f"inside_{probability:.0%}"] = round(float(inside.mean()), 3)
    row["width_90%_log_loss"] = round(float(np.diff(np.log(bounds), axis=1).mean()), 4)
    row["trusted"] = bs.diagnose(fit).attrs["ok"]
    return row


def main():
    rows = []
    for name, runs in series().items():
        for law in (dense, coupled):
            rows.append({"series": name, **score(law, runs)})
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    RESULT.parent.mkdir(exist_ok=True)
    with replacing(RESULT) as part:
        table.to_csv(part, index=False)
    inside = [f"inside_{probability:.0%}" for probability in PROBABILITIES]
    print(table.groupby("law")[inside].mean().round(2).to_string())


if __name__ == "__main__":
    main()
