"""Dense series to study extrapolation on: the package's own tables, and any others in a folder.

    BAYESCALE_SERIES=FOLDER python benchmarks/extrapolation.py

adds every CSV of FOLDER with columns N, D, loss and, where the source counts its FLOPs, C. The
committed results were made with 22 more series whose terms do not let the package carry them: Step
law, OpenEuroLLM, xLSTM (five), Llama 3 (two scales of loss), Marin (five), two studies of misfits,
Porian et al. (two corpora), Brandfonbrener et al. (three corpora) and MaMMUT captions.
"""

import os
from pathlib import Path

import pandas as pd

import bayescale as bs


def own():
    """Measured series of the package's tables, by name."""
    gadre = bs.load_runs("gadre2024").query("warm_frac <= 0.25")
    return {
        "olmo_ladder": bs.load_runs("olmo_ladder").query("not target"),
        "hoffmann2022": bs.load_runs("hoffmann2022").query("not outlier"),
        **{f"gadre2024 {corpus}": runs for corpus, runs in gadre.groupby("corpus")},
        "gemstones2025": bs.load_runs("gemstones2025"),
        "muennighoff2023": bs.load_runs("muennighoff2023").query("single_epoch"),
    }


def others():
    """Series of a folder, by name; none where no folder is named."""
    folder = os.environ.get("BAYESCALE_SERIES")
    found = {}
    for path in sorted(Path(folder).glob("*.csv")) if folder else []:
        runs = pd.read_csv(path).astype(float).dropna(subset=["N", "D", "loss"])
        found[path.stem] = runs.rename(columns={"C": "flops"})
    return found


def series():
    """All of them: N, D, loss and flops."""
    found = {}
    for name, runs in {**own(), **others()}.items():
        flops = runs.flops if "flops" in runs else 6.0 * runs.N * runs.D
        table = runs[["N", "D", "loss"]].astype(float).assign(flops=flops.astype(float))
        found[name] = table.dropna().reset_index(drop=True)
    return found
