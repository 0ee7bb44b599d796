"""Which law and which noise for Chinchilla's runs, and how far does the choice move the plan?

The 245 runs of Hoffmann et al. 2022, as Besiroglu et al. 2024 read them from a figure, five of
which they left out as outliers. Four laws are fitted, each with Student-t and with normal noise,
with and without the outliers:

* `dense`, the separable law of Hoffmann et al.;
* `coupled`, in which the terms in size and in tokens are coupled to a degree that is fitted;
* `kaplan_floor`, fully coupled, and `kaplan`, the same as published, without a floor.

They are compared by leaving out one run at a time, and, which is what a planner asks, by how they
predict the larger runs from the smaller ones. Then each says what to train with 5.9e23 FLOP, the
budget of Gopher (280B parameters) and of Chinchilla (70B, 20 tokens a parameter).

    python examples/hoffmann_laws.py [FOLDER]
"""

import sys
import textwrap
from itertools import product
from pathlib import Path

import pandas as pd

import bayescale as bs
from bayescale.models import coupled, dense, kaplan, kaplan_floor

LAWS = (dense, coupled, kaplan_floor, kaplan)
NOISES = {"student_t": "Student-t", "normal": "normal"}
BUDGET = 5.9e23
TRAINED = {"Chinchilla": 70e9, "Gopher": 280e9}


def main(folder: Path = Path("example-output")) -> None:
    every = bs.load_runs("hoffmann2022")
    kept = every[~every.outlier]
    fits, fewer = fit_all(every), fit_all(kept)

    table = bs.compare(fits)
    show(table, f"Each of all {len(every)} runs left out in turn:")
    tell(about_noise(fits))
    show(bs.compare(fewer), f"The same without the {len(every) - len(kept)} outliers:")
    tell(about_noise(fewer))

    gaps = bs.compare(with_student_t(fewer))
    tell("\nWith Student-t noise and no outliers: " + gaps.attrs["reading"])
    later = bs.compare(with_student_t(fewer), by="future")
    show(later, f"With Student-t noise, the {later.attrs['runs']} larger runs from the smaller:")
    tell(later.attrs["reading"])
    left = [name for name in gaps.index if not any(told(name, t) for t in (gaps, later))]
    tell(
        f"'{gaps.index[0]}' predicts best where one run is left out, '{later.index[0]}' beyond "
        f"the runs. Laws that neither comparison tells from its best: {', '.join(left) or 'none'}."
    )

    print(f"\nWhat to train with {BUDGET:.1e} FLOP, medians and 90 % intervals:")
    plans = pd.concat({"all runs": plan_all(fits), "no outliers": plan_all(fewer)}, names=["runs"])
    for names, row in plans.iterrows():
        print(
            f"  {', '.join(names):36} N* {row.N / 1e9:4.0f}B ({row.N_low / 1e9:.0f} to "
            f"{row.N_high / 1e9:.0f}), D/N {row.ratio:4.1f} ({row.ratio_low:.1f} to "
            f"{row.ratio_high:.1f})"
        )
    about_plans(plans)
    about_cost(plans.N, fewer[f"{later.index[0]}, Student-t"])
    draw(table, later, plans, folder / "hoffmann-laws.png")


def fit_all(runs: pd.DataFrame) -> dict[str, bs.Fit]:
    """Every law with every noise."""
    return {
        f"{law.name}, {words}": bs.fit(law, runs, noise=noise, seed=1)
        for law, (noise, words) in product(LAWS, NOISES.items())
    }


def with_student_t(fits: dict[str, bs.Fit]) -> dict[str, bs.Fit]:
    """The fits with Student-t noise, by law."""
    return {law.name: fits[f"{law.name}, Student-t"] for law in LAWS}


def plan_all(fits: dict[str, bs.Fit]) -> pd.DataFrame:
    """Median and 90 % interval of the optimal size, and of tokens a parameter, by law and noise."""
    rows = {}
    for name, fit in fits.items():
        best = bs.allocate(fit, BUDGET)
        row = {}
        for what, draws in {"N": best.N, "ratio": best.D / best.N}.items():
            low, high = bs.interval(draws, 0.9).values
            row |= {what: float(draws.median()), f"{what}_low": low, f"{what}_high": high}
        rows[tuple(name.split(", "))] = row
    return pd.DataFrame(rows).T.rename_axis(["law", "noise"])


def told(name: str, table: pd.DataFrame) -> bool:
    """Whether the table tells a law from the best one."""
    return table.attrs["distinguishable"][name]


def about_noise(fits: dict[str, bs.Fit]) -> str:
    """Under how many laws Student-t noise predicts better, and by how much."""
    gains, clear = [], 0
    for law in LAWS:
        names = [f"{law.name}, {words}" for words in NOISES.values()]
        pair = bs.compare({name: fits[name] for name in names})
        gains.append(pair.elpd[names[0]] - pair.elpd[names[1]])
        clear += gains[-1] > 0 and told(names[1], pair)
    return (
        f"Student-t noise predicts clearly better than normal noise under {clear} of {len(LAWS)} "
        f"laws (by {min(gains):+.1f} to {max(gains):+.1f})."
    )


def about_plans(plans: pd.DataFrame) -> None:
    """How far law, noise and outliers move the optimal size, in words."""
    size = plans.N

    def factor(sizes: pd.Series) -> float:
        return sizes.max() / sizes.min()

    law = size.xs("Student-t", level="noise").groupby("runs").agg(factor)
    noise = size.groupby(["runs", "law"]).agg(factor).groupby("runs").max()
    outliers = size.groupby(["noise", "law"]).agg(factor).groupby("noise").max()
    tell(
        "\nThe optimal size moves by these factors at most. With the law, under Student-t noise: "
        f"{law['no outliers']:.1f} ({law['all runs']:.1f} with the outliers). With the noise: "
        f"{noise['no outliers']:.1f} ({noise['all runs']:.1f} with the outliers). With the "
        f"outliers: {outliers['Student-t']:.1f} under Student-t noise and "
        f"{outliers['normal']:.1f} under normal noise."
    )
    for name, trained in TRAINED.items():
        holding = plans.query("N_low <= @trained <= N_high").index
        tell(
            f"{name}'s {trained / 1e9:.0f}B lies in {len(holding)} of {len(plans)} intervals"
            + (": " if len(holding) else "")
            + "; ".join(", ".join(names) for names in holding)
            + "."
        )


def about_cost(size: pd.Series, fit: bs.Fit) -> None:
    """What the sizes cost if one of the fits is right, in words."""

    def expected(n: float) -> float:
        return float(bs.predict(fit, mean=True, N=n, D=BUDGET / (6 * n)).mean())

    least = bs.decide(fit, BUDGET).expected_loss.item()
    cost = (size.map(expected) - least).groupby(["noise", "runs"]).max()
    trained = [f"{name}'s {expected(n) - least:.3f}" for name, n in TRAINED.items()]
    tell(
        f"If '{fit.law.name}' (Student-t noise, no outliers) is right, the sizes of fits with "
        f"Student-t noise cost up to {cost['Student-t'].max():.3f} nats over the best plan, "
        f"those with normal noise up to {cost['normal', 'no outliers']:.3f} without outliers and "
        f"{cost['normal', 'all runs']:.3f} with them; {' and '.join(trained)}."
    )


def show(table: pd.DataFrame, title: str) -> None:
    print(f"\n{title}")
    print(table[["elpd", "elpd_diff", "dse", "weight", "pareto_k"]].round(2).to_string())


def tell(text: str) -> None:
    print("\n" * text.startswith("\n") + textwrap.fill(text.strip(), 100))


def draw(table: pd.DataFrame, later: pd.DataFrame, plans: pd.DataFrame, path: Path) -> None:
    """How each fit predicts, and the size that it wants."""
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(7.4, 5.4), layout="constrained")
    places = figure.subplot_mosaic([[0, 1], [2, 2]], height_ratios=(1.7, 1), width_ratios=(1.3, 1))
    left, middle, right = places.values()
    bs.plotting.plot_comparison(table, ax=left)
    looks = {"all runs": ("#1f4e79", "o", -0.14), "no outliers": ("#d9772b", "s", 0.14)}
    for runs, (colour, marker, shift) in looks.items():
        rows = plans.loc[runs].loc[[tuple(name.split(", ")) for name in table.index]]
        at = [i + shift for i in range(len(rows))]
        middle.hlines(at, rows.N_low, rows.N_high, color=colour, linewidth=1.5)
        middle.plot(rows.N, at, marker, color=colour, markersize=4, label=runs)
    for name, size in TRAINED.items():
        middle.axvline(size, color="0.15", linestyle="--", linewidth=0.9, zorder=0)
        middle.text(size, -0.7, name, fontsize=8, ha="center")
    middle.set_xscale("log")
    middle.set_xticks([50e9, 100e9, 200e9, 500e9], ["50B", "100B", "200B", "500B"])
    middle.minorticks_off()
    middle.set_ylim(left.get_ylim())
    middle.set_yticks([])
    middle.set_xlabel(
        f"optimal size at {BUDGET:.1e} FLOP (parameters)\nbars: 90 % intervals", fontsize=9
    )
    middle.legend(frameon=False, fontsize=8, loc="lower right")
    bs.plotting.plot_comparison(later, ax=right)
    for panel in (left, middle, right):
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"Figure: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
