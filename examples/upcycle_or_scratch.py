"""Upcycle the dense checkpoint at hand, or train the mixture of experts from scratch?

THE LOSSES ARE SIMULATED. Those of Liew et al. 2025 are not public, so runs are simulated from their
published laws with 0.3 % noise: 64 upcycled mixtures (parents of 100M to 1B parameters, trained on
10B to 300B tokens, upcycled on 3B to 100B) and 24 mixtures trained from scratch on 3B to 300B
tokens. Both laws are fitted to these runs as they would be to real ones.

The decision: a 1B dense model has seen so many tokens. With how many more is upcycling the better
use of them? D* is the number beyond which training from scratch on the same tokens wins.

    python examples/upcycle_or_scratch.py [FOLDER]
"""

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

import bayescale as bs
from bayescale.common.quantities import format_number
from bayescale.models import dense, upcycling

SIZES = (1e8, 2e8, 5e8, 1e9)
PARENT = 1e9
SEEN = (1e10, 3e10, 1e11, 3e11)


def main(folder: Path = Path("example-output")) -> None:
    grid = product(SIZES, SEEN, (3e9, 1e10, 3e10, 1e11))
    design = pd.DataFrame(grid, columns=["N", "D_dense", "D_upcycled"])
    copied = bs.simulate(upcycling, design, "liew2025", noise_scale=0.003, seed=1)
    design = pd.DataFrame(product(SIZES, (3e9, 1e10, 3e10, 1e11, 2e11, 3e11)), columns=["N", "D"])
    fresh = bs.simulate(dense, design, "liew2025_moe", noise_scale=0.003, seed=2)
    upcycled, scratch = bs.fit(upcycling, copied, seed=1), bs.fit(dense, fresh, seed=2)

    print(f"SIMULATED losses: {len(copied)} upcycled runs and {len(fresh)} from scratch.\n")
    print(f"Tokens beyond which training from scratch wins, for a {format_number(PARENT)} parent:")
    limit = bs.upcycling_threshold(upcycled, scratch, N=PARENT, D_dense=SEEN)
    truth = bs.upcycling_threshold(
        bs.published(upcycling, "liew2025"),
        bs.published(dense, "liew2025_moe"),
        N=PARENT,
        D_dense=SEEN,
    )
    bounds = bs.interval(limit, 0.9).values
    held = 0
    for i, seen in enumerate(SEEN):
        middle = np.quantile(limit.isel(run=i), 0.5, method="inverted_cdf")
        never = float(np.isinf(limit.isel(run=i)).mean())
        low, high = bounds[i]
        simulated_from = float(truth.isel(run=i).item())
        held += low <= simulated_from <= high
        print(
            f"  parent trained on {format_number(seen)} tokens: {words(middle)} "
            f"({words(low)} to {words(high)}; no such number with probability {never:.2f}); "
            f"the laws simulated from give {words(simulated_from)}"
        )
    print(f"The 90 % interval holds the true threshold in {held} of {len(SEEN)} cases.\n")

    for tokens in (1e10, 3e10, 1e11):
        chance = bs.upcycling_probability(
            upcycled, scratch, N=PARENT, D_dense=SEEN, D_upcycled=[tokens] * len(SEEN)
        ).values
        choice = ["upcycle" if p > 0.5 else "train from scratch" for p in chance]
        print(f"With {format_number(tokens)} tokens to spend:")
        for seen, p, do in zip(SEEN, chance, choice, strict=True):
            sure = max(p, 1 - p)
            how = "surely" if sure > 0.95 else "probably" if sure > 0.75 else "on balance"
            print(f"  parent of {format_number(seen)} tokens: {how} {do} (upcycling wins: {p:.2f})")

    from matplotlib import pyplot as plt

    ax = bs.plotting.plot_upcycling(upcycled, scratch, N=PARENT)
    path = folder / "upcycle-or-scratch.png"
    folder.mkdir(parents=True, exist_ok=True)
    ax.figure.savefig(path, dpi=150)
    plt.close(ax.figure)
    print(f"\nFigure: {path}")


def words(tokens: float) -> str:
    """A number of tokens, or that there is none."""
    return format_number(tokens) if np.isfinite(tokens) else "never"


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
