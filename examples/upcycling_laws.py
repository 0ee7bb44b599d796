"""Does a better dense parent learn more slowly once upcycled, and which law should say so?

Liew et al. 2025 trained dense models, copied each into a mixture of experts and trained that on.
Their law has an interaction, alpha_3, by which the exponent of further tokens falls as the parent
has seen more. In the 150 measured runs of their Table 2 (eight experts, two active; six sizes of
parent times five times five token counts) it is plain at every single size, and gone when all sizes
are fitted together. Laws are compared that could explain it:

* `separable`, without the interaction, and `liew`, the published law;
* `per parameter`: the interaction counts tokens per parameter of the parent, so that it means the
  same at every size; as many coefficients as the published law;
* `sized exponents`: both exponents may depend on the parent's size;
* `level by size`: every size has an amplitude and a floor of its own, partially pooled;
* `transferred`: the parent's tokens are worth a number of further ones, whatever the size.

They predict runs left out one at a time, all runs of a size, and the largest parent from the
others, plain and calibrated. Then the published coefficients stand beside the posterior on their
own runs, and one law is fitted to all 479 runs, of nine configurations of experts.

    python examples/upcycling_laws.py [FOLDER]
"""

import sys
import textwrap
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import bayescale as bs
from bayescale.common.quantities import format_number
from bayescale.models import transferred, upcycling, upcycling_tokens
from bayescale.models.upcycling import PARENT

FREE = {"alpha_3": bs.normal(0.0, 0.02, role="exponent")}
SHARED = ("separable", "liew", "per parameter", "transferred")
QUICK = {"seed": 1, "draws": 250, "tune": 400, "chains": 2}
TOP_K = bs.Variable("top_k", description="experts that a token uses", low=1.0, low_open=False)


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
def sized_exponents(
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
    """Liew's law, both exponents of tokens moving with the parent's size."""
    seen = D_dense ** (size_1 * bs.log(N) - alpha_1)
    further = D_upcycled ** (size_2 * bs.log(N) + alpha_3 * bs.log(D_dense) - alpha_2)
    return A * seen * further + B * N**-beta + E


@bs.law(variables=(PARENT, TOP_K))
def configured(
    N,
    D_dense,
    D_upcycled,
    experts,
    top_k,
    *,
    A=bs.amplitude(0.4),
    alpha_1=bs.exponent(0.04, 0.7),
    alpha_2=bs.exponent(0.08, 0.5),
    alpha_3=bs.normal(0.0, 0.02, role="exponent"),
    B=bs.amplitude(0.4),
    beta=bs.exponent(0.15),
    gamma=bs.normal(0.0, 0.1, role="exponent"),
    delta=bs.normal(0.0, 0.1, role="exponent"),
    E=bs.floor(0.2, 1.0),
):
    """The law per parameter, its size term falling with experts and with those in use."""
    together = (D_upcycled / N) ** (alpha_3 * bs.log(D_dense / N))
    data = A * D_dense**-alpha_1 * D_upcycled**-alpha_2 * together
    return data + B * N**-beta * experts**-gamma * top_k**-delta + E


def main(folder: Path = Path("example-output")) -> None:
    every = bs.load_runs("liew2025")
    runs = every.query("experts == 8 and top_k == 2")
    runs = runs.assign(parent=[f"{format_number(n)}" for n in runs.N])
    print(f"{len(runs)} measured runs of one configuration; alpha_3 by itself at every size:")
    alone = {}
    for name, some in runs.groupby("parent", sort=False):
        both = {
            "with": bs.fit(upcycling_tokens, some, priors=FREE, seed=1),
            "without": bs.fit(upcycling_tokens, some, priors={"alpha_3": 0.0}, seed=1),
        }
        gap, error = lead(both, "with", "without")
        alone[name] = ends(both["with"].posterior.alpha_3)
        print(
            f"  {name:>6}: {between(alone[name], 4)}; elpd {gap:+.1f} ± {error:.1f} for having it"
        )

    fits = {
        "separable": bs.fit(upcycling, runs, priors={"alpha_3": 0.0}, seed=1),
        "liew": bs.fit(upcycling, runs, priors=FREE, seed=1),
        "per parameter": bs.fit(per_parameter, runs, seed=1),
        "sized exponents": bs.fit(sized_exponents, runs, seed=1),
        "level by size": bs.fit(
            upcycling_tokens, runs, by="parent", vary=("A", "E"), priors=FREE, seed=1
        ),
        "transferred": bs.fit(transferred, runs, seed=1),
    }
    loo = bs.compare(fits)
    print("\nAll sizes together, each run left out in turn:")
    print(loo[["elpd", "elpd_diff", "dse"]].round(1).to_string())
    together = {n: ends(f.posterior.alpha_3) for n, f in fits.items() if "alpha_3" in f.posterior}
    print("alpha_3: " + "; ".join(f"'{n}' {between(x, 4)}" for n, x in together.items()))
    tell(why(runs, fits, alone, together))

    sizes = {name: fits[name] for name in SHARED}
    left = bs.compare(sizes, by="kfold", folds="parent", seed=1)
    print("\nAll runs of a size left out together:")
    print(left[["elpd", "elpd_diff", "dse"]].round(1).to_string())
    tell(about_order(loo, left))

    print(f"\nThe largest parent ({format_number(runs.N.max())}), predicted from the others:")
    table = largest(runs)
    print(table.to_string())
    tell(about_largest(table))

    tell(about_table_2(runs, fits["liew"]))
    tell(about_configurations(every))
    draw(alone, together, fits["liew"], folder / "upcycling-laws.png")


# --- in numbers -----------------------------------------------------------------------------------


def ends(draws) -> tuple[float, float]:
    """The 90 % interval."""
    low, high = bs.interval(draws, 0.9).values
    return float(low), float(high)


def lead(fits: dict[str, bs.Fit], first: str, second: str, **how) -> tuple[float, float]:
    """How much elpd the first fit has over the second, and its standard error."""
    table = bs.compare({name: fits[name] for name in (first, second)}, **how)
    return float(table.elpd[first] - table.elpd[second]), float(table.dse.iloc[1])


def largest(runs: pd.DataFrame) -> pd.DataFrame:
    """Errors and intervals for the largest parent, of fits to the smaller ones."""
    rows = {}
    share = float((runs.N == runs.N.max()).mean())  # noqa: SIM300
    laws = {
        "separable": (upcycling, {"alpha_3": 0.0}),
        "liew": (upcycling, FREE),
        "per parameter": (per_parameter, None),
        "transferred": (transferred, None),
    }
    for kind, options in (("plain", {}), ("calibrated", dict(bs.CALIBRATED))):
        for name, (law, priors) in laws.items():
            with warnings.catch_warnings():  # Of few draws, which are enough for an interval.
                warnings.simplefilter("ignore", bs.FitWarning)
                scored = bs.backtest(
                    law, runs, cuts=[share], order="N", priors=priors, **QUICK, **options
                )
            rows[kind, name] = {
                "rms %": 100 * float(np.sqrt((scored.error**2).mean())),
                "bias %": 100 * float(scored.error.mean()),
                "width %": 100 * float(scored.width.mean()),
                **{f"in {p}": float(scored[f"inside_{p}"].mean()) for p in (50, 80, 90)},
            }
    return pd.DataFrame(rows).T.round(2)


# --- in words -------------------------------------------------------------------------------------


def tell(text: str) -> None:
    if text.startswith("\n"):
        print()
    print(textwrap.fill(text, 100))


def between(pair: tuple[float, float], digits: int) -> str:
    return f"{pair[0]:.{digits}f} to {pair[1]:.{digits}f}"


def apart(gap: float, error: float) -> str:
    """A lead in words."""
    if abs(gap) < max(4, 2 * error):
        return f"is not told from it ({gap:+.1f} ± {error:.1f} elpd)"
    return f"is {'ahead' if gap > 0 else 'behind'} by {abs(gap):.1f} ± {error:.1f} elpd"


def why(runs, fits, alone, together) -> str:
    """Why the interaction is plain at each size and gone over all."""
    logs = np.log(runs[["N", "D_dense", "D_upcycled"]])
    goes = logs.corr().loc["N", "D_dense"]
    power = np.polyfit(logs.N, logs.D_dense, 1)[0]
    low, high = (f(x[i] for x in alone.values()) for i, f in enumerate((min, max)))
    crossed = {
        name: lead(fits, name, "liew")
        for name in ("separable", "per parameter", "sized exponents", "level by size")
    }
    said = [f"'{name}' {apart(*gap)}" for name, gap in crossed.items()]
    share = "straddles zero" if together["liew"][0] < 0 < together["liew"][1] else "is not zero"
    own = together["per parameter"]
    kept = "excludes" if own[0] > 0 else "holds"
    return (
        f"The six sizes agree on alpha_3 (their intervals span {low:.4f} to {high:.4f}), yet over "
        f"all sizes that of the published law {share}. Tokens were given out with size: D_dense "
        f"goes with N to the power {power:.2f} (correlation of logs {goes:.2f}), so between sizes "
        "a product of logs of tokens is a bend of the loss over size, which the size term does not "
        "undo, and the fit gives up the interaction instead. Counted per parameter of the parent, "
        f"with as many coefficients, its interval {kept} zero. Against 'liew': {'; '.join(said)}."
    )


def about_order(loo: pd.DataFrame, left: pd.DataFrame) -> str:
    """Whether what predicts runs also predicts sizes."""
    one = [name for name in loo.index if name in left.index]
    first, second = left.index[:2]
    also = "leads there too" if one[0] == first else f"gives way to '{first}'"
    level, best = loo.elpd["level by size"] - loo.elpd[one[0]], loo.index[0]
    lesson = (
        "Levels that follow no power of size are then what is missing: a law that is sharper "
        "within sizes is surer of a new size's level, and as wrong about it."
        if best == "level by size" and level > 4
        else ""
    )
    return (
        f"Of these laws '{one[0]}', which predicts single runs best, {also}; "
        f"'{second}' is behind '{first}' by {-left.elpd_diff.iloc[1]:.1f} ± "
        f"{left.dse.iloc[1]:.1f} elpd, '{one[0]}' by {-left.elpd_diff[one[0]]:.1f} ± "
        f"{left.dse[one[0]]:.1f}. {lesson}"
    )


def about_largest(table: pd.DataFrame) -> str:
    """What the largest size says."""
    plain, careful = table.loc["plain"], table.loc["calibrated"]
    best, worst = plain["rms %"].idxmin(), plain["rms %"].idxmax()
    return (
        f"Plain, '{best}' misses it by {plain['rms %'][best]:.2f} % and '{worst}' by "
        f"{plain['rms %'][worst]:.2f} %; their 90 % intervals hold {plain['in 90'].min():.0%} to "
        f"{plain['in 90'].max():.0%} of its runs. Calibrated, 90 % intervals hold "
        f"{careful['in 90'].min():.0%} to {careful['in 90'].max():.0%}, at "
        f"{(careful['width %'] / plain['width %']).median():.1f} times the width."
    )


def about_table_2(runs: pd.DataFrame, fit: bs.Fit) -> str:
    """The published coefficients against the posterior on their own design."""
    published = bs.published(upcycling, "liew2025")
    inputs = {name: runs[name].to_numpy() for name in upcycling.inputs}
    off, fitted = (
        np.log(
            runs.loss.to_numpy() / bs.predict(one, mean=True, **inputs).median(("chain", "draw"))
        )
        for one in (published, fit)
    )
    rms = [100 * float(np.sqrt((x**2).mean())) for x in (off, fitted)]
    found = bs.coefficients(fit, units="raw")
    values = upcycling.published["liew2025"].values
    spans = {name: ends(found[name]) for name in upcycling.coefficients}
    outside = [n for n, (low, high) in spans.items() if not low <= values[n] <= high]
    listed = "; ".join(
        f"{n} {values[n]:.3g} (posterior {low:.3g} to {high:.3g})"
        for n, (low, high) in spans.items()
    )
    return (
        f"\nTable 2 of the paper predicts these runs to {rms[0]:.2f} % (bias "
        f"{100 * float(off.mean()):+.2f} %), the posterior of the same law to {rms[1]:.2f} %. "
        f"Published and fitted: {listed}. Outside the 90 % interval: "
        f"{', '.join(outside) or 'none'}."
    )


def about_configurations(every: pd.DataFrame) -> str:
    """One law for all configurations, and which of its coefficients differ between them."""
    named = every.assign(
        configuration=[f"{e:.0f} top {k}" for e, k in zip(every.experts, every.top_k, strict=True)]
    )
    vary = {"E": ("E",), "B": ("B",), "A": ("A",), "A and B": ("A", "B")}
    with warnings.catch_warnings():  # Of few draws.
        warnings.simplefilter("ignore", bs.FitWarning)
        shared = bs.fit(configured, named, **QUICK)
        fits = {"experts and top_k": shared, "none": bs.fit(per_parameter, named, **QUICK)}
        for name, some in vary.items():
            fits[name] = bs.fit(per_parameter, named, by="configuration", vary=some, **QUICK)
        table = bs.compare(fits)
        pair = {name: fits[name] for name in ("experts and top_k", "none")}
        out = bs.compare(pair, by="kfold", folds="configuration", seed=1)
    better = out.elpd["experts and top_k"] - out.elpd["none"]
    gamma, delta = (ends(shared.posterior[name]) for name in ("gamma", "delta"))
    order = "; ".join(
        f"'{name}' {row.elpd_diff:+.1f} ± {row.dse:.1f}" for name, row in table.iloc[1:].iterrows()
    )
    return (
        f"\nAll {len(named)} runs of {named.configuration.nunique()} configurations. What may "
        f"differ between them, by the elpd of runs left out: first '{table.index[0]}'; {order}. "
        f"The size term falls as experts to the power {between(gamma, 3)} and as those in use to "
        f"the power {between(delta, 3)}. A configuration left out as a whole is predicted "
        f"{'better' if better > 0 else 'worse'} by that law than by one that knows of none, by "
        f"{abs(better):.1f} ± {out.dse.iloc[1]:.1f} elpd."
    )


def draw(alone, together, fit: bs.Fit, path: Path) -> None:
    """alpha_3 at each size and over all; the published set beside the posterior."""
    from matplotlib import pyplot as plt

    figure = plt.figure(figsize=(10, 6.2), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1.3])
    panel = above.subplots()
    rows = [*((f"{n} alone", x, "0.35") for n, x in alone.items())]
    rows += [(f"all sizes, {n}", x, "#1f4e79") for n, x in together.items()]
    for at, (_, (low, high), colour) in enumerate(reversed(rows)):
        panel.plot([low, high], [at, at], color=colour, linewidth=3, solid_capstyle="butt")
    panel.axvline(0.0, color="0.15", linewidth=0.8)
    panel.set_yticks(range(len(rows)), [name for name, *_ in reversed(rows)])
    panel.set_xlabel(r"$\alpha_3$, 90 % interval")
    panels = below.subplots(2, 4).ravel()
    for spare in panels[len(upcycling.coefficients) :]:
        spare.set_axis_off()
    bs.plotting.plot_coefficients(
        {"posterior": fit}, published=["liew2025"], ax=panels[: len(upcycling.coefficients)]
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"Figure: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
