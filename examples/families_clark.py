"""Do ways of routing differ in how much experts help, or only in the loss they start from?

Clark et al. 2022 trained dense models of 15M to 1.3B parameters, and routed ones of 2 to 512
experts with three routers (S-Base, RL-R and Hash layers), all on 130 billion tokens. The law of
Clark et al. is fitted to their 163 runs with its coefficients shared, and with the slope b in the
experts and its interaction c with size drawn for each router about a shared centre; the law of Wang
et al. 2024 (`experts`) with its exponent gamma of the experts, and its amplitude A, shared or drawn
so. Dense runs are a group of their own, in which gamma has no part.

With one token count in all runs the data term of `experts` is a constant that cannot be told from
the floor, so it is left out: the floor here holds both. Which law of experts to believe at larger
sizes is the question of `clark_laws.py`.

    python examples/families_clark.py [FOLDER]
"""

import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import xarray as xr

import bayescale as bs
from bayescale.common.quantities import format_number
from bayescale.models import clark, experts

ROUTERS = ("S-Base", "RL-R", "Hash")
COLOURS = ("#1f4e79", "#d9772b", "#4f9d8b")
SIZES = (16527360.0, 1308819456.0)
NO_DATA_TERM = {"B": 0.0, "beta": 0.25}


def main(folder: Path = Path("example-output")) -> None:
    runs = bs.load_runs("clark2022")
    runs = runs.query("top_k == 1 and routing_frequency == 0.5 and seed == 42")
    by = {"by": "router", "seed": 1}
    wang = {"priors": NO_DATA_TERM}
    fits = {
        "clark, shared": bs.fit(clark, runs, seed=1),
        "clark, b and c by router": bs.fit(clark, runs, vary=("b", "c"), **by),
        "experts, shared": bs.fit(experts, runs, seed=1, **wang),
        "experts, gamma by router": bs.fit(experts, runs, vary=("gamma",), **by, **wang),
        "experts, A and gamma by router": bs.fit(experts, runs, vary=("A", "gamma"), **by, **wang),
    }
    table = bs.compare(fits)
    print(f"Expected log predictive density of a run left out of {len(runs)}, best first:")
    print(table[["elpd", "elpd_diff", "dse", "pareto_k"]].round(2).to_string())
    for law in ("clark", "experts"):
        scores = bs.compare({name: fit for name, fit in fits.items() if name.startswith(law)})
        gap, error = scores.loc[f"{law}, shared", ["elpd_diff", "dse"]].abs()
        verdict = "differ" if gap > max(4, 2 * error) else "need not differ"
        print(
            f"Routers {verdict} under {law}: one set of coefficients for all scores {gap:.1f} ± "
            f"{error:.1f} below '{scores.index[0]}'."
        )

    fit = fits["experts, A and gamma by router"]
    print("\nDifferences between routers, 90 % intervals:")
    clear = {"A": 0, "gamma": 0}
    for name, words in {"A": "size term A", "gamma": "exponent gamma of the experts"}.items():
        for first, second in combinations(ROUTERS, 2):
            difference = bs.contrast(fit, name, first, second)
            low, high = bs.interval(difference, 0.9).values
            above = float((difference > 0).mean())
            clear[name] += max(above, 1 - above) > 0.95
            print(
                f"  {words}, {first} less {second}: {float(difference.median()):+.4f} "
                f"({low:+.4f} to {high:+.4f}), P(above 0) = {above:.2f}"
            )
    print(
        f"Of three pairs {clear['gamma']} differ clearly in how much experts help (gamma) and "
        f"{clear['A']} in where they start from (A)."
    )

    print("\nA routed model is as good as a dense one of so many times its size:")
    draws = fit.posterior
    for count in (8, 64, 512):
        for router in ROUTERS:
            gain = draws["A"].sel(router="Dense") / draws["A"].sel(router=router)
            gain = (gain * count ** draws["gamma"].sel(router=router)) ** (1 / draws["alpha"])
            low, high = bs.interval(gain, 0.9).values
            print(
                f"  {router}, {count} experts: {float(gain.median()):.1f} ({low:.1f} to {high:.1f})"
            )
    loss = bs.predict(fit, mean=True, N_active=SIZES[-1], D=130.5e9, experts=64)
    loss = loss.sel(router=list(ROUTERS))
    best = loss.idxmin("router")
    shares = {router: float((best == router).mean()) for router in ROUTERS}
    winner = max(shares, key=shares.__getitem__)
    print(
        f"\nAt 1.3B parameters and 64 experts {winner} has the lowest loss with probability "
        f"{shares[winner]:.2f}; the losses are "
        + ", ".join(f"{r} {float(loss.sel(router=r).mean()):.3f}" for r in ROUTERS)
        + "."
    )
    seen = runs[runs.N_active == runs.N_active.max()]
    fitted = bs.predict(
        fit,
        mean=True,
        N_active=seen.N_active,
        D=seen.D,
        experts=seen.experts,
        router=seen.router,
    )
    off = (seen.loss - fitted.mean(("chain", "draw")).values).groupby(seen.router)
    worst = off.apply(lambda gap: gap.abs().max()).drop("Dense")
    print(
        f"Mind: at that size the {worst.idxmax()} curve is off by up to {worst.max():.3f} nats, "
        f"where runs scatter by {float(fit.posterior.noise_scale.mean()):.1%}: no law here is "
        "exact, and an interval holds only if its law does."
    )
    draw(fit, runs, folder / "families-clark.png")


def draw(fit: bs.Fit, runs, path: Path) -> None:
    """Loss against experts at the smallest and the largest size, with 90 % bands."""
    from matplotlib import pyplot as plt

    grid = np.geomspace(1, 512, 40)
    figure, panels = plt.subplots(1, 2, figsize=(7.4, 3.3), layout="constrained")
    for panel, size in zip(panels, SIZES, strict=True):
        losses = bs.predict(
            fit, mean=True, N_active=size, D=130.5e9, experts=xr.DataArray(grid, dims="experts")
        )
        here = runs[np.isclose(runs.N_active, size, rtol=0.01)]
        for router, colour in zip(ROUTERS, COLOURS, strict=True):
            low, high = bs.interval(losses.sel(router=router), 0.9).T.values
            panel.fill_between(grid, low, high, color=colour, alpha=0.3, linewidth=0)
            seen = here[here.router == router]
            panel.plot(seen.experts, seen.loss, "o", color=colour, markersize=4, label=router)
        dense = here[here.router == "Dense"]
        panel.plot(dense.experts, dense.loss, "D", color="0.15", markersize=5, label="dense")
        panel.set_xscale("log", base=2)
        panel.set_xlabel("experts")
        panel.set_title(f"{format_number(size, 2)} active parameters", fontsize=10)
    panels[0].set_ylabel("loss (nats per token)")
    panels[1].legend(frameon=False, title="runs; bands: 90 %")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"Figure: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
