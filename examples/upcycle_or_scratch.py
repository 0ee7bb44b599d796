"""Upcycle the dense checkpoint at hand, or train the mixture of experts from scratch?

Upcycled: 150 measured runs of Liew et al. 2025, dense parents of 15M to 1.09B parameters copied
into eight experts of which two are active. From scratch: the losses of such mixtures are not
public, so that side is the coefficients that the authors published, **without uncertainty**. The
intervals are of the upcycled side alone, and too narrow by what is not known of the other.

The decision: a dense model has seen so many tokens. With how many more is upcycling the better use
of them? D* is the number beyond which training from scratch on the same tokens wins. Two laws of
the upcycled runs answer, Liew's and that of transferred tokens: they do not agree.

    python examples/upcycle_or_scratch.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np

import bayescale as bs
from bayescale.common.quantities import format_number
from bayescale.models import dense, transferred, upcycling

PARENT = 1e9
SEEN = (1e10, 2e10, 5e10, 1e11)
SPENT = (5e9, 2e10, 7e10)


def main(folder: Path = Path("example-output")) -> None:
    runs = bs.load_runs("liew2025").query("experts == 8 and top_k == 2")
    laws = {"liew": upcycling, "transferred": transferred}
    fits = {name: bs.fit(law, runs, seed=1) for name, law in laws.items()}
    scratch = bs.published(dense, "liew2025_moe")
    table_2 = bs.published(upcycling, "liew2025")

    print(f"{len(runs)} measured upcycled runs; from scratch, published coefficients.\n")
    print(f"Tokens beyond which training from scratch wins, for a {format_number(PARENT)} parent:")
    known = bs.upcycling_threshold(table_2, scratch, N=PARENT, D_dense=SEEN)
    limits = {
        name: bs.upcycling_threshold(fit, scratch, N=PARENT, D_dense=SEEN)
        for name, fit in fits.items()
    }
    apart = []
    for i, seen in enumerate(SEEN):
        said, middles = [], []
        for name, limit in limits.items():
            at = limit.isel(run=i)
            low, high = bs.interval(at, 0.9).values
            middles.append(float(np.quantile(at, 0.5, method="inverted_cdf")))
            said.append(f"'{name}' {words(middles[-1])} ({words(low)} to {words(high)})")
        apart.append(max(middles) / min(middles))
        beyond = " (more than any parent saw)" if seen > runs.D_dense.max() else ""
        print(f"  parent trained on {format_number(seen)} tokens{beyond}: {'; '.join(said)};")
        print(f"    Table 2 on both sides {words(float(known.isel(run=i).item()))}")
    print(
        f"The two laws of the same runs differ by up to {max(apart):.2f} times, which no interval "
        "of either shows.\n"
    )
    for tokens in SPENT:
        print(f"With {format_number(tokens)} tokens to spend:")
        for seen in SEEN:
            chance = {
                name: bs.upcycling_probability(
                    fit, scratch, N=PARENT, D_dense=seen, D_upcycled=tokens
                ).item()
                for name, fit in fits.items()
            }
            print(f"  parent of {format_number(seen)} tokens: {verdict(chance)}")
    draw(fits["transferred"], scratch, folder / "upcycle-or-scratch.png")


def words(tokens: float) -> str:
    """A number of tokens, or that there is none."""
    return format_number(tokens) if np.isfinite(tokens) else "never"


def verdict(chance: dict[str, float]) -> str:
    """What to do, if the laws agree on it."""
    listed = ", ".join(f"'{name}' {p:.2f}" for name, p in chance.items())
    low, high = min(chance.values()), max(chance.values())
    if low > 0.9:
        what = "upcycle"
    elif high < 0.1:
        what = "train from scratch"
    else:
        what = "the laws do not settle it"
    return f"{what} (upcycling wins: {listed})"


def draw(upcycled: bs.Fit, scratch: bs.Fit, path: Path) -> None:
    """The map of both token counts."""
    from matplotlib import pyplot as plt

    ax = bs.plotting.plot_upcycling(upcycled, scratch, N=PARENT)
    path.parent.mkdir(parents=True, exist_ok=True)
    ax.figure.savefig(path, dpi=150)
    plt.close(ax.figure)
    print(f"\nFigure: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
