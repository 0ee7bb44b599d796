"""Dense or sparse: which count of parameters does the loss follow, and does the floor shrink?

Frantar et al. 2023 trained T5 models of four sizes, four sparsities (0 to 7/8) and three lengths on
C4: 48 runs. Seven fits to them are compared by leaving out one run at a time:

* the dense law in total parameters, and in non-zero ones;
* the sparse law of Hossain et al. 2025, which takes non-zero parameters; the same given total
  ones; and the same with gamma = 0, so that the floor does not depend on sparsity;
* the law of Frantar et al. themselves, whose floor does not depend on sparsity;
* the law of Abnar et al. 2025 for mixtures of experts, in total parameters; its sparsity is the
  share of the experts that are not used, here of the weights that are zero.

In the sparse law the floor is e (1-S)^gamma. For gamma above zero the irreducible loss falls as
weights are removed, which is contested; its prior is centred at zero, so that the runs must say it.
In the law of Abnar et al. it is e + c (1-S)^-lambda, whose lambda may have either sign. At the end
the laws are compared on the authors' 112 vision transformers.

    python examples/dense_against_sparse.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np

import bayescale as bs
from bayescale.models import abnar, dense, frantar, sparse


def main(folder: Path = Path("example-output")) -> None:
    runs = bs.load_runs("frantar2023_t5").query("not target")
    non_zero, total = runs.assign(N=runs.N_active), runs.assign(N_active=runs.N)
    fits = {
        "dense, total": bs.fit(dense, runs, seed=1),
        "dense, non-zero": bs.fit(dense, non_zero, seed=1),
        "sparse, non-zero": bs.fit(sparse, runs, seed=1),
        "sparse, total": bs.fit(sparse, total, seed=1),
        "sparse, one floor": bs.fit(sparse, runs, priors={"gamma": 0.0}, seed=1),
        "frantar": bs.fit(frantar, runs, draws=4000, seed=1),
        "abnar": bs.fit(abnar, runs.assign(S_experts=runs.S), draws=4000, seed=1),
    }
    table = bs.compare(fits)
    print(f"Expected log predictive density of a run left out of {len(runs)}, best first:")
    print(table[["elpd", "elpd_diff", "dse", "pareto_k"]].round(2).to_string(), "\n")

    print(against(fits, "dense, total", "dense, non-zero"))
    print(against(fits, "sparse, non-zero", "dense, total"))
    print(against(fits, "sparse, non-zero", "sparse, total"))
    print(against(fits, "sparse, non-zero", "sparse, one floor"))
    print(against(fits, "sparse, non-zero", "frantar"))
    print(against(fits, "abnar", "sparse, non-zero"))
    print(against(fits, "abnar", "frantar"))

    gamma = fits["sparse, non-zero"].posterior.gamma
    low, high = bs.interval(gamma, 0.9).values
    prior = sparse.priors["gamma"]
    print(
        f"\ngamma was {prior} beforehand; the runs make it {float(gamma.mean()):.2f} "
        f"({low:.2f} to {high:.2f}), P(gamma > 0) = {float((gamma > 0).mean()):.2f}."
    )
    print(about_floors(fits, table))
    target = bs.load_runs("frantar2023_t5").query("target").iloc[0]
    target["S_experts"] = target.S
    print(
        f"\nThe run held out ({target.N_active / 1e6:.0f}M non-zero, S = {target.S}) reached "
        f"{target.loss:.3f} nats:"
    )
    for name in ("sparse, non-zero", "sparse, one floor", "frantar", "abnar"):
        at = {i: target[i] for i in fits[name].law.inputs}
        low, high = bs.interval(bs.predict(fits[name], seed=1, **at), 0.9).values
        inside = "holds it" if low <= target.loss <= high else "misses it"
        print(f"  the 90 % interval of '{name}', {low:.3f} to {high:.3f}, {inside}")
    print(about_vit(bs.load_runs("frantar2023_vit")))
    draw(table, gamma, prior, folder / "dense-against-sparse.png")


def against(fits: dict[str, bs.Fit], first: str, second: str) -> str:
    """A comparison of two fits in words."""
    pair = bs.compare({name: fits[name] for name in (first, second)})
    gap, error = abs(pair.elpd_diff.iloc[1]), pair.dse.iloc[1]
    if gap < max(4, 2 * error):
        return f"'{first}' and '{second}' do about as well ({gap:.1f} ± {error:.1f} apart)."
    return f"'{pair.index[0]}' beats '{pair.index[1]}' by {gap:.1f} ± {error:.1f}."


def about_floors(fits: dict[str, bs.Fit], table) -> str:
    """What two laws say of the floor of sparse models, and whether they agree."""
    hossain, abnars = fits["sparse, non-zero"].posterior, fits["abnar"].posterior
    left = 1 - 0.875
    rises = {
        "sparse, non-zero": hossain.e * (left**hossain.gamma - 1),
        "abnar": abnars.c * (left**-abnars.lambda_ - 1),
    }
    lines, verdicts = [], []
    for name, rise in rises.items():
        low, high = bs.interval(rise, 0.9).values
        above = float((rise > 0).mean())
        sure = max(above, 1 - above) > 0.95
        verdicts.append(("grows" if above > 0.5 else "shrinks") if sure else "may do either")
        lines.append(
            f"Under '{name}' the floor at seven eighths zero is {low:+.2f} to {high:+.2f} nats off "
            f"that of a dense model: it {verdicts[-1]}."
        )
    clear = table.attrs["distinguishable"]
    best = " and ".join(f"'{name}'" for name in table.index if not clear[name])
    agree = verdicts[0] == verdicts[1]
    lines.append(
        f"The two {'agree' if agree else 'do not agree, so these runs do not settle it'}; laws not "
        f"told from the best: {best}."
    )
    return "\n".join(lines)


def about_vit(runs) -> str:
    """Which law is best for the vision transformers, in words."""
    fits = {
        "sparse": bs.fit(sparse, runs, seed=1),
        "frantar": bs.fit(frantar, runs, draws=4000, seed=1),
        "abnar": bs.fit(abnar, runs.assign(S_experts=runs.S), draws=4000, seed=1),
    }
    gamma = fits["sparse"].posterior.gamma
    low, high = bs.interval(gamma, 0.9).values
    return (
        f"\nOn {len(runs)} vision transformers (losses of images): "
        f"{against(fits, 'sparse', 'frantar')} {against(fits, 'abnar', 'frantar')}\n"
        f"gamma is {float(gamma.mean()):.2f} there ({low:.2f} to {high:.2f})."
    )


def draw(table, gamma, prior, path: Path) -> None:
    """Differences of the laws; prior and posterior of gamma."""
    from matplotlib import pyplot as plt

    figure, (left, panel) = plt.subplots(1, 2, figsize=(7.4, 3), layout="constrained")
    bs.plotting.plot_comparison(table, ax=left)
    draws = gamma.values.ravel()
    span = np.linspace(min(-1.2, draws.min()), max(1.2, draws.max()), 300)
    panel.plot(span, np.exp(prior.log_density(span)), "--", color="0.4", label="prior")
    panel.hist(draws, 60, density=True, color="#1f4e79", alpha=0.7, label="posterior")
    panel.axvline(0, color="0.15", linewidth=0.8)
    panel.set_xlabel(r"$\gamma$: how fast the floor falls with sparsity")
    panel.set_yticks([])
    panel.legend(frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    plt.close(figure)
    print(f"Figure: {path}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
