"""Why is the interaction of Liew et al. 2025 plain at each size, and gone over all sizes?

Liew et al. train dense models, copy each into a mixture of experts and train that on. Their law has
an interaction, alpha_3, by which the exponent of further tokens falls as the dense parent has seen
more. The 150 measured runs of their Table 2 (eight experts, two active) are six sizes of parent
times five times five token counts. Each size is fitted alone, and then all together by laws that
could explain what is found:

* `separable`, without the interaction, and `liew`, the published law;
* `per parameter`: the interaction counts tokens per parameter of the parent; as many coefficients;
* `transferred`: the parent's tokens are worth a number of further ones; as many coefficients;
* `exponents by size`: both exponents of tokens move with the parent's size;
* `level by size`: no term of size; amplitude and floor differ by size, partially pooled.

Laws predict runs left out in turn, sizes left out, and the largest parent from the smaller ones, by
textbook and by calibrated fits. At last the published coefficients stand beside the posterior of
their own runs. Fits are quick ones: by `method="laplace"` where its diagnostics pass, otherwise,
and where calibrated, by two short chains of NUTS.

    python examples/upcycling_laws.py [FOLDER]
"""

import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

import bayescale as bs
from bayescale.common.quantities import format_number
from bayescale.models import transferred, upcycling, upcycling_tokens
from bayescale.models.upcycling import PARENT

QUICK = {"method": "laplace", "seed": 1}
CHAINS = {"draws": 600, "tune": 500, "chains": 2, "seed": 1}
# The interaction's own prior is as narrow as the published value is small; here it is left free.
FREE = {"alpha_3": bs.normal(0.0, 0.02, role="exponent")}
NONE = {"alpha_3": 0.0}


@bs.law(variables=(PARENT,))
def per_parameter(
    N,
    D_dense,
    D_upcycled,
    *,
    A=bs.amplitude(0.4),
    alpha_1=bs.exponent(0.04, 0.7),
    alpha_2=bs.exponent(0.08, 0.5),
    alpha_3=bs.normal(0.0, 0.02, role="exponent"),
    B=bs.amplitude(0.4),
    beta=bs.exponent(0.15),
    E=bs.floor(0.2, 1.0),
):
    """Liew's law, the interaction in tokens per parameter of the parent."""
    together = (D_upcycled / N) ** (alpha_3 * bs.log(D_dense / N))
    return A * D_dense**-alpha_1 * D_upcycled**-alpha_2 * together + B * N**-beta + E


@bs.law(variables=(PARENT,))
def exponents_by_size(
    N,
    D_dense,
    D_upcycled,
    *,
    A=bs.amplitude(0.4),
    alpha_1=bs.exponent(0.04, 0.7),
    alpha_2=bs.exponent(0.08, 0.5),
    alpha_3=bs.normal(0.0, 0.02, role="exponent"),
    size_1=bs.normal(0.0, 0.02, role="exponent"),
    size_2=bs.normal(0.0, 0.02, role="exponent"),
    B=bs.amplitude(0.4),
    beta=bs.exponent(0.15),
    E=bs.floor(0.2, 1.0),
):
    """Liew's law, both exponents of tokens moving with the logarithm of the parent's size."""
    seen = D_dense ** (size_1 * bs.log(N) - alpha_1)
    further = D_upcycled ** (size_2 * bs.log(N) + alpha_3 * bs.log(D_dense) - alpha_2)
    return A * seen * further + B * N**-beta + E


LAWS = {
    "separable": (upcycling, QUICK | {"priors": NONE}),
    "liew": (upcycling, QUICK | {"priors": FREE}),
    "per parameter": (per_parameter, QUICK),
    "transferred": (transferred, QUICK),
}
BY_SIZE = {
    "exponents by size": (exponents_by_size, CHAINS),
    "level by size": (upcycling_tokens, CHAINS | {"by": "parent", "vary": ("A", "E")}),
}
WITHOUT = ", no interaction"


def main(folder: Path = Path("example-output")) -> None:
    runs = bs.load_runs("liew2025").query("experts == 8 and top_k == 2")
    runs = runs.assign(parent=[format_number(size) for size in runs.N])

    print(f"{len(runs)} measured runs. Each size alone, with the interaction and without:")
    alone = each_size(runs)
    print(alone.round({"low": 4, "high": 4, "elpd_gain": 1, "error": 1}).to_string())
    plain = [clear(*row) for row in zip(alone.elpd_gain, alone.error, strict=True)]
    shared = max(alone.low), min(alone.high)
    agree = f"agree at {between(shared)}" if shared[0] < shared[1] else "do not agree"
    tell(
        f"The interaction is plain at {sum(plain)} of {len(plain)} sizes (gains of "
        f"{alone.elpd_gain.min():.1f} to {alone.elpd_gain.max():.1f} elpd, errors "
        f"{alone.error.min():.1f} to {alone.error.max():.1f}). "
        f"The 90 % intervals of alpha_3 {agree}."
    )

    fits = {name: bs.fit(law, runs, **options) for name, (law, options) in LAWS.items()}
    for name, (law, options) in BY_SIZE.items():
        fits[name] = bs.fit(law, runs, **options, priors=FREE)
        fits[name + WITHOUT] = bs.fit(law, runs, **options, priors=NONE)
    loo = bs.compare(fits)
    print("\nAll sizes together, each run left out in turn:")
    print(loo[["elpd", "elpd_diff", "dse"]].round(1).to_string())
    together = {n: ends(f.posterior.alpha_3) for n, f in fits.items() if "alpha_3" in f.posterior}
    tell(gone(loo, together))
    tell(why(runs, loo, alone, fits["liew"]))

    left = bs.compare({name: fits[name] for name in LAWS}, by="kfold", folds="parent", seed=1)
    print("\nAll runs of a size left out together; errors by sizes, of which there are six:")
    print(by_size(left, runs).round(1).to_string())
    tell(new_sizes(loo, left, runs))

    print(f"\nThe largest parent ({format_number(runs.N.max())}), predicted by fits to the others:")
    table = largest(runs)
    print(table.to_string())
    tell(about_largest(table))

    tell(table_2(runs, fits["liew"]))
    draw(runs, alone, together, fits["liew"], folder / "upcycling-laws.png")


# --- in numbers -----------------------------------------------------------------------------------


def ends(draws) -> tuple[float, float]:
    """The 90 % interval."""
    low, high = bs.interval(draws, 0.9).values
    return float(low), float(high)


def lead(
    table: pd.DataFrame, first: str, second: str, sizes: pd.Series | None = None
) -> tuple[float, float]:
    """How much elpd the first has over the second, and its standard error over runs, or sizes."""
    scores = pd.DataFrame(table.attrs["pointwise"]).pivot(index="run", columns="law", values="elpd")
    gap = scores[first] - scores[second]
    if sizes is not None:
        gap = gap.groupby(sizes).sum()
    return float(gap.sum()), float(np.sqrt(len(gap)) * gap.std())


def clear(gap: float, error: float) -> bool:
    return gap > max(4.0, 2 * error)


def each_size(runs: pd.DataFrame) -> pd.DataFrame:
    """What the interaction is, and is worth, at every size by itself."""
    rows = {}
    for name, some in runs.groupby("parent", sort=False):
        both = {
            said: bs.fit(upcycling_tokens, some, priors=priors, **QUICK)
            for said, priors in (("with", FREE), ("without", NONE))
        }
        rows[name] = [
            *ends(both["with"].posterior.alpha_3),
            *lead(bs.compare(both), "with", "without"),
        ]
    columns = ["low", "high", "elpd_gain", "error"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns)


def off(fit: bs.Fit, runs: pd.DataFrame) -> pd.Series:
    """Measured over the law's loss, less one, in per cent."""
    inputs = {name: runs[name].to_numpy() for name in upcycling.inputs}
    loss = bs.predict(fit, mean=True, **inputs).median(("chain", "draw")).to_numpy()
    return 100 * (runs.loss / loss - 1)


def bend(runs: pd.DataFrame) -> float:
    """The share of the interaction's variance, given the law's other logs, that bends over size."""
    size, seen, further = np.log(runs[["N", "D_dense", "D_upcycled"]].to_numpy().T)
    design = np.column_stack([np.ones(len(runs)), size, seen, further])

    def left(x):
        return x - design @ np.linalg.lstsq(design, x, rcond=None)[0]

    return float(np.corrcoef(left(seen * further), left(size**2))[0, 1] ** 2)


def by_size(left: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """The comparison by folds, its errors over sizes: runs of a size err together."""
    best = left.index[0]
    gaps = [lead(left, name, best, runs.parent) for name in left.index]
    return left[["elpd"]].assign(elpd_diff=[g for g, _ in gaps], error=[e for _, e in gaps])


def largest(runs: pd.DataFrame) -> pd.DataFrame:
    """Errors and intervals for the largest parent, of fits to the smaller ones."""
    share = float((runs["N"] == runs["N"].max()).mean())
    calibrated = {
        name: (upcycling, CHAINS | bs.CALIBRATED | {"priors": LAWS[name][1]["priors"]})
        for name in ("separable", "liew")
    }
    rows = {}
    for kind, laws in (("textbook", LAWS), ("calibrated", calibrated)):
        for name, (law, options) in laws.items():
            scored = bs.backtest(law, runs, cuts=[share], order="N", **options)
            rows[kind, name] = {
                "off by %": 100 * float(np.sqrt((scored.error**2).mean())),
                "bias %": 100 * float(scored.error.mean()),
                "width %": 100 * float(scored.width.mean()),
                **{f"{p} % held": 100 * float(scored[f"inside_{p}"].mean()) for p in (50, 80, 90)},
                "crps %": 100 * float(scored.crps.mean()),
            }
    return pd.DataFrame(rows).T.round(2)


# --- in words -------------------------------------------------------------------------------------


def tell(text: str) -> None:
    if text.startswith("\n"):
        print()
    print(textwrap.fill(text.strip(), 100))


def between(pair: tuple[float, float], form: str = "{:.4f}") -> str:
    return " to ".join(form.format(end) for end in pair)


def apart(gap: float, error: float) -> str:
    """A lead in words."""
    if not clear(abs(gap), error):
        return f"is not told from it ({gap:+.1f} ± {error:.1f} elpd)"
    return f"is {'ahead' if gap > 0 else 'behind'} by {abs(gap):.1f} ± {error:.1f} elpd"


def gone(loo: pd.DataFrame, together: dict[str, tuple[float, float]]) -> str:
    """What the interaction is worth over all sizes, by what else the law lets differ with size."""
    pairs = [("liew", "separable"), ("per parameter", "separable")]
    pairs += [(name, name + WITHOUT) for name in BY_SIZE]
    said = [
        f"'{first}' {between(together[first])}, which {apart(*lead(loo, first, second))}"
        for first, second in pairs
    ]
    return f"alpha_3, and the law with it against the same without: {'; '.join(said)}."


def why(runs: pd.DataFrame, loo: pd.DataFrame, alone: pd.DataFrame, fit: bs.Fit) -> str:
    """Why the interaction is plain at each size and gone over all."""
    logs = np.log(runs[["N", "D_dense", "D_upcycled"]])
    power = np.polyfit(logs.N, logs.D_dense, 1)[0]
    others = ("per parameter", "transferred", "exponents by size", "level by size")
    said = [f"'{name}' {apart(*lead(loo, name, 'liew'))}" for name in others]
    levels = off(fit, runs).groupby(runs.parent, sort=False)
    means = levels.mean()
    return (
        f"Larger parents were given more tokens (to the power {power:.2f} of size), so that "
        f"{bend(runs):.0%} of what the published interaction adds to the other terms is a bend "
        f"of loss over size. 'liew' has the sizes off by {means.min():+.2f} to {means.max():+.2f} "
        f"% on average, and runs scatter by {levels.std().median():.2f} % within a size. "
        f"Against 'liew': {'; '.join(said)}."
    )


def new_sizes(loo: pd.DataFrame, left: pd.DataFrame, runs: pd.DataFrame) -> str:
    """Whether what predicts runs also predicts sizes."""
    by_run, by_fold = next(name for name in loo.index if name in LAWS), left.index[0]
    if by_run == by_fold:
        return f"'{by_run}' predicts best both runs and sizes left out."
    runs_gap, sizes_gap = lead(loo, by_run, by_fold), lead(left, by_run, by_fold, runs.parent)
    return (
        f"Of these laws '{by_run}' predicts single runs best: against '{by_fold}' it "
        f"{apart(*runs_gap)}. Of a new size it {apart(*sizes_gap)}."
    )


def about_largest(table: pd.DataFrame) -> str:
    """What the largest size says."""
    textbook, calibrated = table.loc["textbook"], table.loc["calibrated"]
    best, worst = textbook["off by %"].idxmin(), textbook["off by %"].idxmax()
    pairs = [
        f"'{name}' textbook {textbook['90 % held'][name]:.0f} %, calibrated "
        f"{row['90 % held']:.0f} % at {row['width %'] / textbook['width %'][name]:.1f} times the "
        f"width, {row['off by %']:.2f} % off"
        for name, row in calibrated.iterrows()
    ]
    return (
        f"Textbook, '{best}' is off by {textbook['off by %'][best]:.2f} % and '{worst}' by "
        f"{textbook['off by %'][worst]:.2f} %. 90 % intervals hold, of its runs: "
        f"{'; '.join(pairs)}. "
        "The runs of one size err together: this is one prediction, not as many as there are runs."
    )


def table_2(runs: pd.DataFrame, fit: bs.Fit) -> str:
    """The published coefficients against the posterior on their own design."""
    published, fitted = off(bs.published(upcycling, "liew2025"), runs), off(fit, runs)
    found = bs.coefficients(fit, units="raw")
    values = upcycling.published["liew2025"].values
    spans = {name: ends(found[name]) for name in upcycling.coefficients}
    outside = [n for n, (low, high) in spans.items() if not low <= values[n] <= high]
    listed = "; ".join(
        f"{name} {values[name]:.3g} ({between(span, '{:.3g}')})" for name, span in spans.items()
    )
    return (
        f"\nTable 2 of the paper is off by {np.sqrt((published**2).mean()):.2f} % on these runs "
        f"(bias {published.mean():+.2f} %), the posterior of the same law by "
        f"{np.sqrt((fitted**2).mean()):.2f} %. Published, and fitted (90 %): {listed}. "
        f"Outside its interval: {', '.join(outside) or 'none'}."
    )


def draw(
    runs: pd.DataFrame,
    alone: pd.DataFrame,
    together: dict[str, tuple[float, float]],
    fit: bs.Fit,
    path: Path,
) -> None:
    """alpha_3 at each size and over all; what `liew` misses; published set and posterior."""
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(9.6, 7.0), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.15])
    left, right = above.subplots(1, 2, width_ratios=[1.25, 1])
    rows = [(f"{name} alone", (x.low, x.high), "0.35") for name, x in alone.iterrows()]
    rows += [(f"all: {name}", span, "#1f4e79") for name, span in together.items()]
    for at, (_, (low, high), colour) in enumerate(reversed(rows)):
        left.plot([low, high], [at, at], color=colour, linewidth=3, solid_capstyle="butt")
    left.axvline(0.0, color="0.15", linewidth=0.8)
    left.set_yticks(range(len(rows)), [name for name, *_ in reversed(rows)])
    left.set_xlabel(r"$\alpha_3$, 90 % interval", fontsize=9)
    missed = off(fit, runs)
    right.axhline(0.0, color="0.15", linewidth=0.8)
    right.plot(runs.N, missed, ".", color="0.6", markersize=4, label="a run")
    right.plot(missed.groupby(runs.N).mean(), "_", color="#b0492e", markersize=18,
               markeredgewidth=2, label="mean of a size")  # fmt: skip
    right.set_xscale("log")
    right.set_xlabel("parameters of the parent", fontsize=9)
    right.set_ylabel("measured over 'liew', %", fontsize=9)
    right.legend(frameon=False, fontsize=8)
    for panel in (left, right):
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    panels = below.subplots(2, 4).ravel()
    for spare in panels[len(upcycling.coefficients) :]:
        spare.set_axis_off()
    panels = panels[: len(upcycling.coefficients)]
    bs.plotting.plot_coefficients({"posterior": fit}, published=["liew2025"], ax=panels)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"Figure: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
