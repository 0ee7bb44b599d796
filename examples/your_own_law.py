"""Does the shape of a network matter at a given size? A law of your own, checked and fitted.

The Gemstones (McLeish et al. 2025) are 20 networks of 48M to 2B parameters and very different
widths and depths, each cooled down at about ten token counts. The law below is the dense law with
one more coefficient: its size term changes with the ratio of width to depth as a power. It is one
function; `check_law` says whether it is fit for use, and everything that works on the package's
laws works on it.

The ten rows of a network branch off one training run, so they are not independent and leaving out
one at a time flatters every law here; the comparison of laws on the same rows is still fair.

    python examples/your_own_law.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
import xarray as xr

import bayescale as bs
from bayescale import Variable, amplitude, exponent, floor, law, normal
from bayescale.models import dense

ASPECT = Variable(
    "aspect",
    description="width of the residual stream over the number of layers",
    low=1.0,
    high=10_000.0,
    low_open=False,
    scale="aspect",
)


@law(cost=bs.cost.dense_flops, variables=(ASPECT,))
def shaped(
    N,
    D,
    aspect,
    *,
    E=floor(),
    A=amplitude(),
    alpha=exponent(0.25),
    kappa=normal(0.0, 0.1, role="exponent"),
    B=amplitude(),
    beta=exponent(0.25),
):
    """Dense, with a size term that changes with the ratio of width to depth."""
    return E + A * N**-alpha * aspect**kappa + B * D**-beta


def main(folder: Path = Path("example-output")) -> None:
    runs = bs.load_runs("gemstones2025")
    runs = runs.assign(aspect=runs.width / runs.depth)
    checks = bs.check_law(shaped, runs, seed=1)
    for check in checks.itertuples():
        print(f"{'ok' if check.passed else 'FAILED':6} {check.name}: {check.detail}")
    print(f"{checks.passed.sum()} of {len(checks)} checks passed.\n")

    fits = {"shaped": bs.fit(shaped, runs, seed=1), "dense": bs.fit(dense, runs, seed=1)}
    table = bs.compare(fits)
    gap, error = abs(table.elpd_diff.iloc[1]), table.dse.iloc[1]
    clearly = "clearly " if gap > max(4, 2 * error) else "not clearly "
    print(f"By {gap:.1f} ± {error:.1f} '{table.index[0]}' predicts {clearly}better.")

    kappa = fits["shaped"].posterior.kappa
    low, high = bs.interval(kappa, 0.9).values
    above = float((kappa > 0).mean())
    worse = "wide and shallow" if above > 0.5 else "narrow and deep"
    print(
        f"kappa is {float(kappa.mean()):+.3f} ({low:+.3f} to {high:+.3f}), P(kappa > 0) = "
        f"{above:.2f}: {worse} networks are {'' if max(above, 1 - above) > 0.95 else 'perhaps '}"
        "worse than others of their size."
    )
    shapes = xr.DataArray([10.0, 300.0], dims="aspect")
    loss = bs.predict(fits["shaped"], mean=True, N=1e9, D=1e11, aspect=shapes)
    change = loss.isel(aspect=-1) - loss.isel(aspect=0)
    low, high = bs.interval(change, 0.9).values
    print(
        f"At 1B parameters and 100B tokens an aspect of 300 changes the loss of one of 10 by "
        f"{float(change.mean()):+.3f} nats ({low:+.3f} to {high:+.3f})."
    )
    plan = bs.decide(fits["shaped"], 1e21, fixed={"aspect": 100.0})
    print(
        f"With 1e21 FLOP and an aspect of 100: train {plan.N.item() / 1e9:.2f}B parameters on "
        f"{plan.D.item() / 1e9:.0f}B tokens."
    )
    draw(fits["shaped"], runs, folder / "your-own-law.png")


def draw(fit, runs, path: Path) -> None:
    """What is left of each loss by the dense part of the law, against the shape."""
    from matplotlib import pyplot as plt

    flat = float(np.exp(np.log(runs.aspect).mean()))
    inputs = {"N": runs.N, "D": runs.D}
    expected = bs.predict(fit, mean=True, **inputs, aspect=np.full(len(runs), flat))
    left = runs.loss.to_numpy() - expected.mean(("chain", "draw")).values
    grid = np.geomspace(runs.aspect.min(), runs.aspect.max(), 60)
    at = {"N": fit.reference["N"], "D": fit.reference["D"]}
    band = bs.predict(fit, mean=True, **at, aspect=xr.DataArray(grid, dims="aspect"))
    band = band - bs.predict(fit, mean=True, **at, aspect=flat)
    low, high = bs.interval(band, 0.9).T.values
    figure, panel = plt.subplots(figsize=(6, 3.6), layout="constrained")
    panel.plot(runs.aspect, left, "o", markersize=3, color="#1f4e79", label="runs")
    panel.fill_between(grid, low, high, color="#d9772b", alpha=0.5, label="law, 90 %")
    panel.axhline(0, color="0.15", linewidth=0.7)
    panel.set_xscale("log")
    panel.set_xlabel("width / depth")
    panel.set_ylabel("loss over that at the mean shape (nats)")
    panel.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"Figure: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
