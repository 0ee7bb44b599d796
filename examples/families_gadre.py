"""What does a training corpus change: the floor, the size term or its exponent?

Gadre et al. 2024 trained dense models of 11M to 6.9B parameters on three corpora (C4, RedPajama,
RefinedWeb) and measured every loss on C4's validation text. The dense law is fitted six times to
the 80 runs that were not mostly warm-up: with all coefficients shared; with the floor E, the size
term's amplitude A or its exponent alpha drawn for each corpus about a shared centre; with all three
drawn so; and with all three left to each corpus alone. Leaving out one run at a time says what is
worth its coefficients; differences between corpora come from the fit in which all three vary.

A floor here is that of C4's text after training on another corpus: how well that corpus prepares
for C4, not how hard it is to predict itself.

    python examples/families_gadre.py [FOLDER]
"""

import sys
from itertools import combinations
from pathlib import Path

import bayescale as bs
from bayescale.models import dense

CORPORA = {"c4_original": "C4", "rpj": "RedPajama", "rw_original": "RefinedWeb"}
TERMS = {"E": "floor", "A": "size term", "alpha": "size exponent"}


def main(folder: Path = Path("example-output")) -> None:
    runs = bs.load_runs("gadre2024").query("warm_frac <= 0.25")
    fits = {"shared": bs.fit(dense, runs, seed=1)}
    for name, term in TERMS.items():
        fits[term] = bs.fit(dense, runs, by="corpus", vary=(name,), seed=1)
    fits["all three"] = bs.fit(dense, runs, by="corpus", vary=tuple(TERMS), seed=1)
    fits["separate"] = bs.fit(dense, runs, by="corpus", vary=tuple(TERMS), pool="none", seed=1)
    compare(fits, len(runs))
    pooled = fits["all three"]

    print("\nDifferences between corpora where all three vary, 90 % intervals:")
    for name, term in TERMS.items():
        for first, second in combinations(CORPORA, 2):
            difference = bs.contrast(pooled, name, first, second)
            print(f"  {term} {name}, {CORPORA[first]} less {CORPORA[second]}: {state(difference)}")
    clear = 0
    for where, inputs in {
        "centre of the runs": pooled.reference,
        "point of 7B parameters and 1T tokens": {"N": 7e9, "D": 1e12},
    }.items():
        loss = bs.predict(pooled, mean=True, **inputs)
        print(f"Loss at the {where}:")
        for first, second in combinations(CORPORA, 2):
            difference = loss.sel(corpus=first, drop=True) - loss.sel(corpus=second, drop=True)
            print(f"  {CORPORA[first]} less {CORPORA[second]}: {state(difference)}")
            clear += sure(difference) > 0.95
    single = sum(
        sure(bs.contrast(pooled, name, *pair)) > 0.95
        for name in TERMS
        for pair in combinations(CORPORA, 2)
    )
    print(
        f"\nOf 6 differences in loss {clear} are clear, of 9 in single coefficients {single}: the "
        "coefficients make up for one another, and the loss is what runs determine."
    )
    draw(pooled, folder / "families-gadre.png")


def compare(fits: dict[str, bs.Fit], count: int) -> None:
    """Which coefficients are worth a value for each corpus."""
    table = bs.compare(fits)
    print(f"Expected log predictive density of a run left out of {count}, best first:")
    print(table[["elpd", "elpd_diff", "dse", "pareto_k"]].round(2).to_string())
    doubtful = table.index[table.pareto_k > 0.7]
    if len(doubtful):
        print(f"(A run or two of {' and '.join(doubtful)} are hard to leave out: pareto_k > 0.7.)")
    for term in TERMS.values():
        gain, error, clear = against(fits, term, "shared")
        verdict = "is worth it" if clear and gain > 0 else "brings nothing to speak of"
        print(f"A {term} for each corpus {verdict}: {gain:+.1f} ± {error:.1f} over a shared one.")
    for other, words in {
        "shared": "one set of coefficients for all",
        "separate": "each corpus alone",
    }.items():
        gain, error, clear = against(fits, "all three", other)
        verdict = ("better than" if gain > 0 else "worse than") if clear else "about as well as"
        print(f"All three pooled predict {verdict} {words}: {gain:+.1f} ± {error:.1f}.")
    behind = table.loc["floor", ["elpd_diff", "dse"]].abs()
    close = behind.elpd_diff < max(4, 2 * behind.dse)
    print(
        f"A floor for each corpus alone {'does as well as' if close else 'falls short of'} the "
        f"best ('{table.index[0]}'): {behind.elpd_diff:.1f} ± {behind.dse:.1f} below it."
    )


def against(fits: dict[str, bs.Fit], one: str, other: str) -> tuple[float, float, bool]:
    """By how much one fit predicts better than another, its standard error, and if it is clear."""
    pair = bs.compare({name: fits[name] for name in (one, other)})
    worse = pair.index[1]
    gain = float(pair.elpd[one] - pair.elpd[other])
    return gain, float(pair.dse[worse]), pair.attrs["distinguishable"][worse]


def state(difference) -> str:
    """A difference in words."""
    low, high = bs.interval(difference, 0.9).values
    verdict = "clear" if sure(difference) > 0.95 else "not clear"
    return f"{float(difference.median()):+.3f} ({low:+.3f} to {high:+.3f}), {verdict}"


def sure(difference) -> float:
    """Probability of the sign that is the more probable one."""
    above = float((difference > 0).mean())
    return max(above, 1 - above)


def draw(fit: bs.Fit, path: Path) -> None:
    """Each corpus's coefficients: medians, 50 % and 90 % intervals."""
    from matplotlib import pyplot as plt

    labels = {"E": "floor $E$ (nats)", "A": "size term $A$ (nats)", "alpha": r"exponent $\alpha$"}
    figure, panels = plt.subplots(1, 3, figsize=(7.4, 2.4), sharey=True, layout="constrained")
    for panel, (name, label) in zip(panels, labels.items(), strict=True):
        for row, corpus in enumerate(CORPORA):
            draws = fit.posterior[name].sel(corpus=corpus)
            for prob, width in ((0.9, 1.2), (0.5, 3.5)):
                panel.plot(bs.interval(draws, prob), [row, row], color="#1f4e79", linewidth=width)
            panel.plot(float(draws.median()), row, "o", color="white", markeredgecolor="#1f4e79")
        panel.set_xlabel(label)
        panel.margins(0.08, 0.25)
    panels[0].set_yticks(range(len(CORPORA)), list(CORPORA.values()))
    panels[0].invert_yaxis()
    panels[0].set_title("bars: 50 and 90 % intervals", loc="left", fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"Figure: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
