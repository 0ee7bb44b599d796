"""What does a training corpus change: the floor, the size term or its exponent?

Gadre et al. 2024 trained dense models of 11M to 6.9B parameters on three corpora (C4, RedPajama and
RefinedWeb) and measured every loss on C4's validation text. The dense law is fitted six times to the
80 runs that were not mostly warm-up: with all coefficients shared, with the floor E, the size
term's amplitude A or its exponent alpha drawn for each corpus about a shared centre, with all three
drawn so, and with all three left to each corpus alone. Leaving out one run at a time says which is
worth its coefficients; differences between corpora come from the fit in which all three vary.

A floor here is that of C4's text after training on another corpus. It says how well a corpus
prepares for C4, not how hard the corpus itself is to predict.

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

    table = bs.compare(fits)
    print(f"{len(runs)} runs; expected log predictive density of a run left out, best first:")
    print(table[["elpd", "elpd_diff", "dse", "weight", "pareto_k"]].round(2).to_string(), "\n")
    for term in TERMS.values():
        pair = bs.compare({"shared": fits["shared"], term: fits[term]})
        gain, error = abs(pair.elpd_diff.iloc[1]), pair.dse.iloc[1]
        helps = pair.index[0] == term and gain > max(4, 2 * error)
        verdict = "is worth it" if helps else "brings nothing to speak of"
        sign = "" if pair.index[0] == term else "-"
        print(
            f"A {term} for each corpus {verdict}: {sign}{gain:.1f} ± {error:.1f} over shared ones."
        )
    best = table.index[0]
    against = table.loc["separate", ["elpd_diff", "dse"]].abs()
    print(
        f"Best is '{best}'. Leaving each corpus to itself scores {against.elpd_diff:.1f} ± "
        f"{against.dse:.1f} below it.\n"
    )

    pooled = fits["all three"]
    print("Differences between corpora where all three vary, with 90 % intervals:")
    for name, term in TERMS.items():
        for first, second in combinations(CORPORA, 2):
            difference = bs.contrast(pooled, name, first, second)
            low, high = bs.interval(difference, 0.9).values
            above = float((difference > 0).mean())
            clear = "clear" if max(above, 1 - above) > 0.95 else "not clear"
            print(
                f"  {term} {name}, {CORPORA[first]} less {CORPORA[second]}: "
                f"{float(difference.median()):+.3f} ({low:+.3f} to {high:+.3f}), {clear}: "
                f"P(above 0) = {above:.2f}"
            )

    print("\nWhat it means at 7B parameters and 1T tokens:")
    losses = bs.predict(pooled, mean=True, N=7e9, D=1e12)
    order = losses.mean(("chain", "draw")).to_series().sort_values()
    for corpus, loss in order.items():
        low, high = bs.interval(losses.sel(corpus=corpus), 0.9).values
        print(f"  trained on {CORPORA[corpus]}: {loss:.3f} nats on C4 ({low:.3f} to {high:.3f})")
    sure = float((losses.idxmin("corpus") == order.index[0]).mean())
    print(f"  {CORPORA[order.index[0]]} is the best of the three with probability {sure:.2f}.")
    draw(pooled, folder / "families-gadre.png")


def draw(fit: bs.Fit, path: Path) -> None:
    """Each corpus's coefficients: medians, 50 % and 90 % intervals."""
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 3, figsize=(8, 2.4), sharey=True, layout="constrained")
    for panel, (name, term) in zip(panels, TERMS.items(), strict=True):
        for row, corpus in enumerate(CORPORA):
            draws = fit.posterior[name].sel(corpus=corpus)
            for prob, width in ((0.9, 1.2), (0.5, 3.5)):
                panel.plot(bs.interval(draws, prob), [row, row], color="#1f4e79", linewidth=width)
            panel.plot(float(draws.median()), row, "o", color="white", markeredgecolor="#1f4e79")
        unit = "no unit" if name == "alpha" else "nats at the runs' centre"
        panel.set_xlabel(f"{term} {name} ({unit})" if name != "E" else "floor E (nats)")
    panels[0].set_yticks(range(len(CORPORA)), list(CORPORA.values()))
    panels[0].invert_yaxis()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"\nFigure: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
