"""What differs between configurations of upcycled mixtures, and can a new one be predicted?

Liew et al. 2025 upcycle dense models into mixtures of 4 to 32 experts, of which a token uses 1, 2
or 4: nine configurations, 479 measured runs, one token count of the parent in four of them. One law
is fitted to all of them at once:

* `one law`: the law of Liew et al. without its interaction, and nothing of the configuration;
* `levels`: its size term B differs by configuration, partially pooled; then with the interaction;
* `one law, transferred` and `levels, transferred`: the parent's tokens are worth r further ones;
* `levels and r`, `and alpha`, `and beta`: that coefficient is pooled by configuration too;
* `experts and top_k`, a law of this script: levels and r are powers of the two.

They predict runs left out in turn. Then each configuration is left out whole and predicted by the
others: by one law, by the law of experts and top_k, and by the pooled levels as a configuration
that no run is of (`bs.group(fit, None)`). Ungrouped fits are by `method="laplace"`, whose
diagnostics pass, pooled ones by two short chains of NUTS. All are textbook fits: their law is taken
to be true.

    python examples/upcycling_configurations.py [FOLDER]
"""

import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd

import bayescale as bs
from bayescale.models import transferred, upcycling
from bayescale.models.upcycling import PARENT
from bayescale.prediction.scoring import score

QUICK = {"method": "laplace", "seed": 1}
CHAINS = {"draws": 500, "tune": 400, "chains": 2, "seed": 1, "by": "configuration"}
FREE = {"alpha_3": bs.normal(0.0, 0.02, role="exponent")}
NONE = {"alpha_3": 0.0}
BASE = "8 of which 2"


@bs.law(variables=(PARENT,))
def of_experts(
    N,
    D_dense,
    D_upcycled,
    experts,
    top_k,
    *,
    A=bs.amplitude(0.4),
    alpha=bs.exponent(0.15),
    r=bs.lognormal(0.5, 1.0),
    q=bs.lognormal(0.7, 0.5),
    B=bs.amplitude(0.4),
    beta=bs.exponent(0.15),
    level_experts=bs.normal(0.0, 0.2, role="exponent"),
    level_top_k=bs.normal(0.0, 0.2, role="exponent"),
    r_experts=bs.normal(0.0, 0.5, role="exponent"),
    r_top_k=bs.normal(0.0, 0.5, role="exponent"),
    E=bs.floor(0.2, 1.0),
):
    """Transferred tokens, with the size term and their worth powers of experts and top_k."""
    worth = r * experts**r_experts * top_k**r_top_k
    level = B * experts**level_experts * top_k**level_top_k
    return A * (D_upcycled + worth * D_dense**q) ** -alpha + level * N**-beta + E


FITS = {
    "one law": (upcycling, QUICK | {"priors": NONE}),
    "levels": (upcycling, CHAINS | {"priors": NONE, "vary": ("B",)}),
    "levels, interaction": (upcycling, CHAINS | {"priors": FREE, "vary": ("B",)}),
    "one law, transferred": (transferred, QUICK),
    "levels, transferred": (transferred, CHAINS | {"vary": ("B",)}),
    "levels and r": (transferred, CHAINS | {"vary": ("B", "r")}),
    "levels and alpha": (transferred, CHAINS | {"vary": ("B", "alpha")}),
    "levels and beta": (transferred, CHAINS | {"vary": ("B", "beta")}),
    "experts and top_k": (of_experts, QUICK),
}
LEFT_OUT = {
    "one law": "one law, transferred",
    "new configuration": "levels, transferred",
    "experts and top_k": "experts and top_k",
}


def main(folder: Path = Path("example-output")) -> None:
    runs = bs.load_runs("liew2025")
    names = [f"{e:.0f} of which {k:.0f}" for e, k in zip(runs.experts, runs.top_k, strict=True)]
    runs = runs.assign(configuration=names).sort_values(["top_k", "experts"], kind="stable")

    print(f"{len(runs)} measured runs. Loss over that of {BASE} at the same parent and tokens, %:")
    pairs = by_pairs(runs)
    print(pairs.round(2).to_string())

    fits = {name: bs.fit(law, runs, **options) for name, (law, options) in FITS.items()}
    loo = bs.compare(fits)
    print("\nEach run left out in turn:")
    print(loo[["elpd", "elpd_diff", "dse"]].round(1).to_string())
    tell(between_laws(loo, fits))

    print(
        "\nBy configuration, 90 % intervals of 'levels and r' (r: further tokens a typical parent's"
    )
    print("are worth, in typical numbers of them; B: over the centre of all):")
    found = by_configuration(fits["levels and r"], list(pairs.index))
    print(found.to_string())
    tell(which_differ(loo, fits))

    print("\nEach configuration left out whole, predicted by the other eight:")
    scores = left_out(runs)
    print(summed(scores).to_string())
    print("\nMean error of a configuration (measured over predicted, %):")
    errors = scores.groupby(["predictor", "configuration"]).error.mean().unstack(0)
    errors = 100 * errors.loc[pairs.index, list(LEFT_OUT)]
    print(errors.round(2).to_string())
    tell(about_left_out(scores, errors))
    draw(pairs, fits["levels and r"], scores, folder / "upcycling-configurations.png")


# --- in numbers -----------------------------------------------------------------------------------


def by_pairs(runs: pd.DataFrame) -> pd.DataFrame:
    """Without a law: runs of two configurations that share a parent and both token counts."""
    logs = runs.assign(log=np.log(runs.loss)).pivot_table(
        index=["N", "D_dense", "D_upcycled"], columns="configuration", values="log"
    )
    over = 100 * logs.sub(logs[BASE], axis=0)
    table = pd.DataFrame({"pairs": over.count(), "mean": over.mean(), "sd": over.std()})
    return table.loc[runs.configuration.unique()]


def ends(draws, form: str = "{:.2f}") -> str:
    return " to ".join(form.format(end) for end in bs.interval(draws, 0.9).values)


def lead(table: pd.DataFrame, first: str, second: str) -> tuple[float, float]:
    """How much elpd the first has over the second, and its standard error."""
    scores = pd.DataFrame(table.attrs["pointwise"]).pivot(index="run", columns="law", values="elpd")
    gap = scores[first] - scores[second]
    return float(gap.sum()), float(np.sqrt(len(gap)) * gap.std())


def by_configuration(fit: bs.Fit, names: list[str]) -> pd.DataFrame:
    draws = fit.posterior
    return pd.DataFrame(
        {
            "r": [ends(draws.r.sel(configuration=name)) for name in names],
            "B": [ends(draws.B.sel(configuration=name) / draws.B_centre) for name in names],
        },
        index=names,
    )


def left_out(runs: pd.DataFrame) -> pd.DataFrame:
    """Predictions of every configuration by fits to the others."""
    rows = []
    for name, own in runs.groupby("configuration", sort=False):
        others = runs[runs.configuration != name]
        for predictor, like in LEFT_OUT.items():
            law, options = FITS[like]
            fit = bs.fit(law, others, **options)
            if "by" in options:
                fit = bs.group(fit, None, seed=1)
            rows.append(score(fit, own, seed=1).assign(predictor=predictor, configuration=name))
    return pd.concat(rows)


def summed(scores: pd.DataFrame) -> pd.DataFrame:
    """Errors and intervals of all that was left out."""
    rows = {}
    for name in LEFT_OUT:
        some = scores[scores.predictor == name]
        rows[name] = {
            "off by %": 100 * float(np.sqrt((some.error**2).mean())),
            "width %": 100 * float(some.width.mean()),
            **{f"{p} % held": 100 * float(some[f"inside_{p}"].mean()) for p in (50, 80, 90)},
            "crps %": 100 * float(some.crps.mean()),
        }
    return pd.DataFrame(rows).T.round(2)


# --- in words -------------------------------------------------------------------------------------


def tell(text: str) -> None:
    print(textwrap.fill(text, 100))


def apart(gap: float, error: float) -> str:
    if abs(gap) <= max(4.0, 2 * error):
        return f"is not told from it ({gap:+.1f} ± {error:.1f} elpd)"
    return f"is {'ahead' if gap > 0 else 'behind'} by {abs(gap):.1f} ± {error:.1f} elpd"


def between_laws(loo: pd.DataFrame, fits: dict[str, bs.Fit]) -> str:
    """What configurations, the interaction and a law of experts are worth."""
    pairs = [
        ("levels", "one law"),
        ("levels, interaction", "levels"),
        ("levels, transferred", "levels"),
        ("experts and top_k", "levels, transferred"),
        ("experts and top_k", "levels and r"),
    ]
    said = [f"'{a}' against '{b}' {apart(*lead(loo, a, b))}" for a, b in pairs]
    spread = [
        100 * float(fits[n].posterior.noise_scale.mean()) for n in ("one law", "levels and r")
    ]
    return (
        f"{'; '.join(said)}. The interaction with levels: alpha_3 "
        f"{ends(fits['levels, interaction'].posterior.alpha_3, '{:.4f}')}. Runs scatter about one "
        f"law by {spread[0]:.1f} %, about 'levels and r' by {spread[1]:.1f} %."
    )


def which_differ(loo: pd.DataFrame, fits: dict[str, bs.Fit]) -> str:
    """Which coefficients differ between configurations, beside their levels."""
    said = []
    for name in ("r", "alpha", "beta"):
        which = f"levels and {name}"
        spread = fits[which].posterior[f"{name}_spread"]
        said.append(
            f"'{which}' {apart(*lead(loo, which, 'levels, transferred'))} (spread between "
            f"configurations {ends(spread)} in logs, prior 0.06 to 0.40)"
        )
    draws = fits["levels and r"].posterior
    used = pd.Series({c: int(c.split()[-1]) for c in draws.configuration.values.tolist()})
    means = {
        k: np.exp(
            np.log(draws.r.sel(configuration=list(used.index[used == k]))).mean("configuration")
        )
        for k in (1, 2, 4)
    }
    falls = float(((means[1] > means[2]) & (means[2] > means[4])).mean())
    law = fits["experts and top_k"].posterior
    powers = ", ".join(
        f"{words} {ends(law[name], '{:+.3f}')}"
        for name, words in {
            "level_experts": "level in experts",
            "level_top_k": "level in top_k",
            "r_experts": "r in experts",
            "r_top_k": "r in top_k",
        }.items()
    )
    return (
        f"Against 'levels, transferred': {'; '.join(said)}. The mean r with one, two and four "
        f"experts a token: {', '.join(ends(x) for x in means.values())}; it falls with top_k with "
        f"probability {falls:.3f}. Powers, by 'experts and top_k': {powers}."
    )


def about_left_out(scores: pd.DataFrame, errors: pd.DataFrame) -> str:
    """Whether a configuration that no run is of was predicted."""
    table = summed(scores)
    best = table["crps %"].idxmin()
    said = [
        f"'{name}' is off by {row['off by %']:.1f} %, its 90 % intervals {row['width %']:.1f} % "
        f"wide on average held {row['90 % held']:.0f} %"
        for name, row in table.iterrows()
    ]
    worst = errors[best].abs().idxmax()
    return (
        f"{'; '.join(said)}. '{best}' scores best (CRPS); it errs most at {worst}, by "
        f"{errors[best][worst]:+.1f} %. Runs of a configuration err together: these are nine "
        "predictions, not as many as there are runs."
    )


def draw(pairs: pd.DataFrame, fit: bs.Fit, scores: pd.DataFrame, path: Path) -> None:
    """What configurations cost, what the parent's tokens are worth, what was left out."""
    from matplotlib import pyplot as plt

    colours = {1: "#b0492e", 2: "#1f4e79", 4: "#4f9d8b"}
    used = [int(name.split()[-1]) for name in pairs.index]
    at = np.arange(len(pairs))[::-1]
    figure, panels = plt.subplots(
        1, 3, figsize=(9.6, 3.5), layout="constrained", sharey=True, width_ratios=[1, 1, 1.3]
    )
    for y, name, k in zip(at, pairs.index, used, strict=True):
        row = pairs.loc[name]
        panels[0].errorbar(
            row["mean"], y, xerr=0 if name == BASE else row["sd"], fmt="o", color=colours[k],
            markersize=4, linewidth=1.5,
        )  # fmt: skip
        low, high = bs.interval(fit.posterior.r.sel(configuration=name), 0.9).values
        panels[1].plot([low, high], [y, y], color=colours[k], linewidth=4, solid_capstyle="butt")
    panels[0].set_xlabel(f"loss over {BASE}, %\n(mean and sd of pairs of runs)", fontsize=9)
    panels[1].set_xscale("log")
    panels[1].set_xticks([0.2, 0.5, 1.0], ["0.2", "0.5", "1"])
    panels[1].minorticks_off()
    panels[1].set_xlabel("r, the worth of the parent's tokens\n(90 % interval)", fontsize=9)
    shades = {"one law": "0.6", "new configuration": "#d9772b", "experts and top_k": "0.2"}
    for shift, (name, colour) in zip((0.25, 0.0, -0.25), shades.items(), strict=True):
        some = scores[scores.predictor == name].groupby("configuration")[["error", "width"]].mean()
        some = 100 * some.loc[pairs.index]
        panels[2].errorbar(
            some.error, at + shift, xerr=some.width / 2, fmt="o", color=colour, markersize=3,
            linewidth=1.2, label=name,
        )  # fmt: skip
    panels[2].set_xlabel("measured over predicted, %\n(mean; half the 90 % interval)", fontsize=9)
    panels[2].legend(frameon=False, fontsize=8, ncols=3, loc="lower center",
                     bbox_to_anchor=(0.5, 1.0), columnspacing=1.0, handletextpad=0.3)  # fmt: skip
    for panel in (panels[0], panels[2]):
        panel.axvline(0.0, color="0.15", linewidth=0.8)
    panels[0].set_yticks(at, list(pairs.index))
    panels[0].set_ylabel("experts")
    for panel in panels:
        panel.tick_params(labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"Figure: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
