"""Do more experts still help at a larger size, and which law of routed models should say so?

Clark et al. 2022 trained routed models of 15M to 1.3B active parameters with 2 to 512 experts, and
dense ones, on 130 billion tokens. `families_clark.py` asks how their three routers differ; here
each router is taken by itself, with the dense runs, and laws are compared:

* `clark`, of Clark et al., in which experts help larger models less, and there is no floor;
* `experts`, of Wang et al. 2024: a floor, and experts that help all sizes alike;
* `clark + floor`, a law of this script: the first above a floor, with a prior of the interaction
  that is centred at none, so that the runs must say whether experts help large models less;
* `dense` in total and in active parameters, which knows of no experts.

They predict runs left out one at a time, and all runs of a model size left out together. With one
token count the data term cannot be told from the floor, so the floor here holds both.

    python examples/clark_laws.py [FOLDER]
"""

import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import bayescale as bs
from bayescale.common.quantities import format_number
from bayescale.models import clark, dense, experts

ROUTERS = ("S-Base", "RL-R", "Hash")
NO_DATA_TERM = {"B": 0.0, "beta": 0.25}
EXPERTS = ("clark", "experts", "clark + floor")
COUNT, SIZES = 64, (55e6, 1.3e9, 1e10, 1e11)
TOKENS = 130e9


@bs.law
def floored(
    N_active,
    experts,
    *,
    E=bs.floor(),
    a=bs.normal(-0.2, 0.1),
    b=bs.normal(-0.08, 0.08),
    c=bs.normal(0.0, 0.02),
    d=bs.normal(0.0, 0.4),
    E_start=bs.lognormal(2.0, 0.4),
    E_max=bs.lognormal(350.0, 0.6),
):
    """The law of Clark et al. for what is above a floor."""
    return E + clark(N_active, experts, a=a, b=b, c=c, d=d, E_start=E_start, E_max=E_max)


def main(folder: Path = Path("example-output")) -> None:
    runs = bs.load_runs("clark2022")
    runs = runs.query("top_k == 1 and routing_frequency == 0.5 and seed == 42")
    by_router = {router: runs[runs.router.isin((router, "Dense"))] for router in ROUTERS}
    fits = {router: fit_all(some) for router, some in by_router.items()}
    print(", ".join(f"{router}: {len(some)} runs" for router, some in by_router.items()))

    alone = {router: bs.compare(some) for router, some in fits.items()}
    print("\nElpd less that of the best law, ± its standard error; each run left out in turn:")
    show(alone)
    tell("First: " + firsts(alone))
    published = {
        router: bs.compare({name: some[name] for name in EXPERTS[:2]})
        for router, some in fits.items()
    }
    tell("Of the two published laws of experts: " + firsts(published))

    sizes = {
        router: bs.compare({name: some[name] for name in EXPERTS}, by="kfold", folds="size")
        for router, some in fits.items()
    }
    print("\nThe same, all runs of a model size left out together:")
    show(sizes)
    tell("First: " + firsts(sizes))

    print(f"\nA model of {COUNT} experts is as good as a dense one of so many times its size:")
    found = {
        f"{router}, {name}": [leverage(fits[router][name], size) for size in SIZES]
        for router in ROUTERS
        for name in EXPERTS
    }
    worth = pd.DataFrame({name: [state(x) for x in row] for name, row in found.items()}).T
    print(worth.set_axis([f"at {format_number(size)}" for size in SIZES], axis=1).to_string())
    tell(about_leverage(found))
    row = runs[(runs.experts == COUNT) & (runs.router == "S-Base")].nlargest(1, "N_active").iloc[0]
    tell(
        f"The dense law would say {row.N / row.N_active:.0f} times at "
        f"{format_number(row.N_active, 2)} if given total parameters, and once if given active "
        "ones; " + about_dense(alone)
    )
    draw(alone["S-Base"], sizes["S-Base"], fits["S-Base"], folder / "clark-laws.png")


def fit_all(runs: pd.DataFrame) -> dict[str, bs.Fit]:
    """Every law, by name."""
    active = runs.assign(N=runs.N_active)
    return {
        "clark": bs.fit(clark, runs, seed=1),
        "experts": bs.fit(experts, runs, priors=NO_DATA_TERM, seed=1),
        "clark + floor": bs.fit(floored, runs, seed=1),
        "dense, total": bs.fit(dense, runs, priors=NO_DATA_TERM, seed=1),
        "dense, active": bs.fit(dense, active, priors=NO_DATA_TERM, seed=1),
    }


def leverage(fit: bs.Fit, size: float) -> xr.DataArray:
    """Size of the dense model that is as good as one of ``COUNT`` experts, over that one's size."""
    tokens = {"D": TOKENS} if "D" in fit.law.inputs else {}
    ratio = np.geomspace(0.03, 1e3, 80)
    routed = bs.predict(fit, mean=True, N_active=size, experts=float(COUNT), **tokens)
    alone = bs.predict(fit, mean=True, N_active=size * ratio, experts=1.0, **tokens)

    def where(target: float, loss: np.ndarray) -> float:
        return np.interp(-target, -loss, np.log(ratio))  # Losses fall with size.

    (grid,) = set(alone.dims) - {"chain", "draw"}
    found = xr.apply_ufunc(where, routed, alone, input_core_dims=[[], [grid]], vectorize=True)
    return np.exp(found)


def firsts(tables: dict[str, pd.DataFrame]) -> str:
    """The first law of each comparison, and which laws it is not told from."""
    said = []
    for router, table in tables.items():
        clear = table.attrs["distinguishable"]
        alike = [f"'{name}'" for name in table.index[1:] if not clear[name]]
        how = f"not told from {' and '.join(alike)}" if alike else "clearly"
        said.append(f"'{table.index[0]}' for {router} ({how})")
    return ", ".join(said) + "."


def about_leverage(found: dict[str, list[xr.DataArray]]) -> str:
    """How far the laws agree on leverage where runs are and beyond, in words."""
    middle = pd.DataFrame({n: [float(x.median()) for x in row] for n, row in found.items()}, SIZES)
    routers = middle.T.groupby(lambda name: name.split(", ")[0])
    apart = (routers.max() / routers.min()).max()
    near, far = SIZES[0], SIZES[-1]
    falls = {
        router: float((last < first).mean())
        for router in ROUTERS
        for first, *_, last in [found[f"{router}, clark + floor"]]
    }
    return (
        f"The three laws agree on it within a factor of {apart[near]:.1f} at "
        f"{format_number(near)}, where runs are, and differ by up to {apart[far]:.1f} at "
        f"{format_number(far)}, where none is. By 'clark + floor', whose prior leans neither way, "
        "it falls between these sizes with probability "
        + ", ".join(f"{p:.2f} ({router})" for router, p in falls.items())
        + "."
    )


def about_dense(tables: dict[str, pd.DataFrame]) -> str:
    """Whether a dense law comes near the best one, in words."""
    behind = [t.loc[["dense, total", "dense, active"], "elpd_diff"].max() for t in tables.values()]
    return f"the better of these two scores {-max(behind):.0f} or more below the best law."


def state(draws: xr.DataArray) -> str:
    low, high = bs.interval(draws, 0.9).values
    return f"{float(draws.median()):.1f} ({low:.1f} to {high:.1f})"


def show(tables: dict[str, pd.DataFrame]) -> None:
    """Differences to the best law, one column a router."""
    columns = {
        router: (t.elpd_diff.map("{:.1f}".format) + " ± " + t.dse.map("{:.1f}".format))
        for router, t in tables.items()
    }
    print(pd.DataFrame(columns).rename_axis(None).to_string())


def tell(text: str) -> None:
    print(textwrap.fill(text, 100))


def draw(alone: pd.DataFrame, sizes: pd.DataFrame, fits: dict[str, bs.Fit], path: Path) -> None:
    """How each law predicts, and what experts are worth by size."""
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(7.4, 5.2), layout="constrained")
    panels = list(figure.subplot_mosaic([[0, 1], [2, 2]], height_ratios=(1, 1.2)).values())
    for panel, table, what in zip(panels, (alone, sizes), ("run", "model size"), strict=False):
        bs.plotting.plot_comparison(table, ax=panel)
        panel.set_title(f"S-Base: each {what} left out in turn", fontsize=9)
        panel.set_title("", loc="left")
    grid = np.geomspace(15e6, SIZES[-1], 10)
    looks = zip(EXPERTS, ("#d9772b", "#2a7f6f", "#1f4e79"), ("--", ":", "-"), strict=True)
    for name, colour, line in looks:
        found = [leverage(fits[name], size) for size in grid]
        low, high = np.transpose([bs.interval(x, 0.9).values for x in found])
        panels[2].fill_between(grid, low, high, color=colour, alpha=0.25, linewidth=0)
        middle = [float(x.median()) for x in found]
        panels[2].plot(grid, middle, line, color=colour, label=name)
    panels[2].axvline(SIZES[1], color="0.15", linestyle="--", linewidth=0.9)
    panels[2].text(SIZES[1] * 1.1, 0.3, "largest runs", fontsize=8)
    panels[2].set_xscale("log")
    panels[2].set_ylim(bottom=0)
    panels[2].set_xlabel("active parameters", fontsize=9)
    panels[2].set_ylabel(f"leverage of {COUNT} experts", fontsize=9)
    panels[2].legend(frameon=False, fontsize=8, loc="lower left", title="bands: 90 %")
    for panel in panels:
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"Figure: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
