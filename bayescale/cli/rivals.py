"""What ``versus``, ``upcycle`` and ``choices`` say: JSON documents, and the same for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.cli.output import Span, aside, say, show
from bayescale.cli.plans import say_assumptions
from bayescale.cli.results import head_of, note_limits, note_simulated, percent, summary, times
from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number
from bayescale.language.variables import short_unit

if TYPE_CHECKING:
    import xarray as xr

    from bayescale.fitting.fits import Fit

# --- versus ---------------------------------------------------------------------------------------


def rivals_document(
    rivals: Mapping[str, Fit],
    budgets: Sequence[float],
    plans: Mapping[str, Mapping[str, Any]],
    prob: float,
    **how: Any,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows for CSV, and the document: every other fit set against the first."""
    from bayescale.decisions.rivals import probability
    from bayescale.prediction.draws import one_posterior

    first, *others = rivals
    seed = how.pop("seed")
    pairs = {
        name: probability(
            rivals[name], rivals[first], list(budgets), plan_a=plans[name], plan_b=plans[first],
            seed=seed + i, **how,
        )
        for i, name in enumerate(others)
    }  # fmt: skip
    one = pairs[others[0]]
    losses = {first: one.loss_b} | {name: odds.loss_a for name, odds in pairs.items()}
    best = _lowest(losses, one_posterior(*rivals.values()), seed)
    rows, told = [], []
    for j, budget in enumerate(budgets):
        fits = []
        for i, (name, loss) in enumerate(losses.items()):
            ours = one.extrapolation_b if name == first else pairs[name].extrapolation_a
            row: dict[str, Any] = {
                "fit": name,
                "best": float((best[:, j] == i).mean()),
                "loss": summary(loss.isel(budget=j), prob),
                "extrapolation": float(ours[j]),
            }
            if name != first:
                odds = pairs[name].isel(budget=j)
                row["probability"] = float(odds.probability)
                row["gap"] = summary(odds.loss_a - odds.loss_b, prob)
                if "multiplier" in odds:
                    row["multiplier"] = summary(odds.multiplier, prob)
            fits.append(row)
            rows.append({"budget": budget, **row})
        told.append({"budget": budget, "fits": fits})
    unit = rivals[first].loss_unit
    document: dict[str, Any] = {
        "laws": {name: fit.law.name for name, fit in rivals.items()},
        "against": first,
        **how,
        "simulated": any(bool(odds.attrs["simulated"]) for odds in pairs.values()),
        "gaps": [f"{n}: {gap}" for n, fit in rivals.items() for gap in fit.about.get("gaps", ())],
        "loss_unit": unit,
        "prob": prob,
        "budgets": told,
    }
    if len(budgets) > 1:
        document["crossover"] = [
            {
                "fit": name,
                "throughout": float((odds.crossover == 0).mean()),
                "from_within": float(((odds.crossover > 0) & np.isfinite(odds.crossover)).mean()),
                "not_at_last": float(np.isinf(odds.crossover).mean()),
                "budget": summary(odds.crossover, prob),
            }
            for name, odds in pairs.items()
        ]
    return rows, document


def _lowest(losses: Mapping[str, xr.DataArray], together: bool, seed: int) -> np.ndarray:
    """Which fit has the lowest loss, over draws and budgets.

    Draws of one posterior belong together; those of several meet in any order but their own.
    """
    from bayescale.prediction.draws import flat

    rows = [flat(loss) for loss in losses.values()]
    if len(rows) > 2 and not together:
        rng, most = np.random.default_rng(seed), max(map(len, rows))
        rows = [row[np.resize(rng.permutation(len(row)), most)] for row in rows]
    return np.stack(rows).argmin(axis=0)


def show_rivals(document: Mapping[str, Any]) -> None:
    """Rivals for people."""
    first, unit = document["against"], short_unit(document["loss_unit"])
    share = percent(document["prob"])
    where = {"plan": "at the plan to train of each", "optimum": "each at its own optimum"}
    judged = where[document["at"]]
    if document["ratio"] is not None:
        judged = f"both at {document['ratio']:g} tokens a parameter"
    rows: list[list[str | Span]] = []
    for one in document["budgets"]:
        leader = max(one["fits"], key=lambda row: row["best"])
        say(
            f"At {format_number(one['budget'])} FLOP, {judged}: {leader['fit']} has the lowest "
            f"loss with probability {_chance(leader['best'])}.",
            "bold",
        )
        for row in one["fits"]:
            loss = _span(row["loss"], "{:.4f}".format)
            cells: list[str | Span] = [format_number(one["budget"]), row["fit"], loss]
            cells += [_chance(row["best"]), times(row["extrapolation"])]
            if row["fit"] == first:
                cells += ["-"] * 2
            else:
                cells.append(_span(row["gap"], "{:+.4f}".format))
                factor = row.get("multiplier")
                cells.append(_span(factor, _factor) if factor else "-")
            rows.append(cells)
    say()
    heads = ["budget", "fit", "loss", "P(best)", "compute", f"loss over {first}", "gain in compute"]
    show(heads, rows, left=["fit"])
    for one in document.get("crossover", ()):
        middle, cases = one["budget"]["median"], []
        if one["throughout"] > 0.0005:
            cases.append(f"at all of these budgets with probability {_chance(one['throughout'])}")
        if one["from_within"] > 0.0005:
            where_ = f" (median {format_number(middle)} FLOP)" if 0 < middle < np.inf else ""
            cases.append(f"from one of them on{where_} with {_chance(one['from_within'])}")
        if one["not_at_last"] > 0.0005:
            cases.append(
                f"no longer, or not yet, at the largest with {_chance(one['not_at_last'])}"
            )
        say(f"{one['fit']} is ahead of {first} {', '.join(cases)}.")
    note_simulated(document)
    note_limits(document, [])
    aside(
        f"loss in {unit}, the law's, median and {share} interval; gain in compute: what {first} "
        "would need for the same loss, over what this one spends; compute: relative to the largest "
        "fitted run of each."
    )


def _factor(value: float) -> str:
    return "never" if not np.isfinite(value) else f"{value:.3g}x"


def _chance(value: float) -> str:
    """A probability that draws give, never surer than they are many."""
    if value > 0.9995:
        return "> 0.999"
    return "< 0.001" if value < 0.0005 else f"{value:.3f}"


def _span(values: Mapping[str, float], form: Any) -> Span:
    return Span(form(values["median"]), form(values["lower"]), form(values["upper"]))


# --- upcycle --------------------------------------------------------------------------------------


def from_scratch(text: str) -> Fit:
    """The fit of mixtures trained from scratch: a file, or published coefficients LAW:SET."""
    from bayescale.cli.inputs import find_law, open_one
    from bayescale.fitting.fits import published

    law, colon, name = text.partition(":")
    if Path(text).exists() or not colon:
        return open_one(Path(text), None, None)
    found = find_law(law)
    if name not in found.published:
        known = ", ".join(found.published) or "none"
        raise InputError(f"law {law!r} has no published set {name!r}; it has {known}")
    return published(found, name)


def upcycling_document(
    upcycled: Fit, scratch: Fit, given: Mapping[str, Sequence[float]], prob: float
) -> dict[str, Any]:
    """Upcycling against training from scratch, for one dense parent."""
    from bayescale.decisions.upcycling import upcycling_probability, upcycling_threshold
    from bayescale.prediction.draws import paired
    from bayescale.prediction.predict import predict

    upcycled, scratch = paired(upcycled, scratch, 0)
    size, seen, spent = given["N"][0], given["D_dense"][0], list(given["D_upcycled"])
    parent: dict[str, Any] = {"N": size, "D_dense": seen}
    limit = upcycling_threshold(upcycled, scratch, **parent)
    chance = upcycling_probability(
        upcycled, scratch, N=[size] * len(spent), D_dense=[seen] * len(spent), D_upcycled=spent
    )
    tokens = []
    for i, further in enumerate(spent):
        ours = predict(upcycled, mean=True, **parent, D_upcycled=further)
        theirs = predict(scratch, mean=True, N=size, D=further)
        gap = ours.copy(data=ours.values - theirs.values)
        tokens.append(
            {
                "D_upcycled": further,
                "probability": float(chance.values.ravel()[i]),
                "gap": summary(gap, prob),
            }
        )
    sides = {
        name: {k: head_of(fit, prob)[k] for k in ("law", "published", "simulated")}
        for name, fit in (("upcycled", upcycled), ("scratch", scratch))
    }
    return {
        **sides,
        "simulated": any(one["simulated"] for one in sides.values()),
        "loss_unit": upcycled.loss_unit,
        "prob": prob,
        "N": size,
        "D_dense": seen,
        "threshold": summary(limit, prob),
        "never": float(np.isinf(limit).mean()),
        "tokens": tokens,
    }


def show_upcycling(document: Mapping[str, Any]) -> None:
    """Upcycling for people."""
    share = percent(document["prob"])
    limit, never = document["threshold"], document["never"]

    def words(tokens: float) -> str:
        return f"{format_number(tokens)} tokens" if np.isfinite(tokens) else "no number of tokens"

    parent = f"A dense model of {format_number(document['N'])} parameters and "
    parent += f"{format_number(document['D_dense'])} tokens"
    say(
        f"{parent}: upcycling wins up to D* = {words(limit['median'])} ({share} interval "
        f"{words(limit['lower'])} to {words(limit['upper'])}"
        + (f"; at every number with probability {never:.2f}" if never > 0.005 else "")
        + "); with more, training from scratch does.",
        "bold",
    )
    rows: list[list[str | Span]] = []
    for one in document["tokens"]:
        chance = one["probability"]
        what = "upcycle" if chance > 0.5 else "train from scratch"
        gap = _span(one["gap"], "{:+.4f}".format)
        rows.append([format_number(one["D_upcycled"]), what, _chance(chance), gap])
    show(["tokens to spend", "do", "P(upcycling wins)", "its loss over scratch"], rows, left=["do"])
    for side, words_ in (("upcycled", "upcycled"), ("scratch", "from scratch")):
        if document[side]["published"]:
            say(
                f"The side {words_} is the published coefficients {document[side]['published']}, "
                "without uncertainty: the intervals are of the other side alone."
            )
    note_simulated(document)


# --- choices --------------------------------------------------------------------------------------


def choices_document(
    fit: Fit,
    found: xr.Dataset,
    options: Mapping[str, Any],
    budget: float,
    memory: float | None,
    prob: float,
) -> dict[str, Any]:
    """Every listed choice at a budget."""
    from bayescale.decisions.allocation import assumptions
    from bayescale.decisions.plans import plans
    from bayescale.prediction.headline import outside_runs

    rows = []
    for i in range(found.sizes["choice"]):
        at = found.isel(choice=i)
        row: dict[str, Any] = {name: float(at[name]) for name in fit.law.inputs}
        row |= {name: float(at[name]) for name in ("total", "active", "expected_loss")}
        row |= {"limited": bool(at.limited), "probability": float(at.probability)}
        row["outside"] = outside_runs(fit, {name: row[name] for name in fit.law.inputs})
        row |= {"loss": summary(at.loss, prob), "behind": summary(at.behind, prob)}
        rows.append(row)
    listed = list(found.attrs["listed"])
    return {
        **head_of(fit, prob),
        "budget": budget,
        "memory": memory,
        "listed": listed,
        "at_end": list(found.attrs["at_end"]),
        "reading": found.attrs["reading"],
        "impossible": list(found.attrs["impossible"]),
        "best": int(found.attrs["best"]),
        "assumptions": assumptions(fit, plans(fit, **options)),
        "choices": rows,
    }


def show_choices(document: Mapping[str, Any]) -> None:
    """Listed choices for people."""
    rows, listed = document["choices"], document["listed"]
    best = rows[document["best"]]
    named = ", ".join(f"{name} = {format_number(best[name])}" for name in listed)
    limit = document["memory"]
    within = f" within {format_number(limit)} parameters" if limit else ""
    say(
        f"With {format_number(document['budget'])} FLOP{within}: {named}, the best of "
        f"{len(rows)} with probability {_chance(best['probability'])}.",
        "bold",
    )
    inputs = [name for name in best if name not in _OF_A_CHOICE]
    counts = [name for name in ("total", "active") if any(np.isfinite(r[name]) for r in rows)]
    counts = [name for name in counts if not all(r[name] in _numbers(r, inputs) for r in rows)]
    heads = [*inputs, *counts, "loss", "over the best", "P(best)"]
    heads += ["memory"] if limit else []
    table: list[list[str | Span]] = []
    for row in rows:
        cells: list[str | Span] = [format_number(row[name]) for name in inputs]
        cells += [format_number(row[n]) if np.isfinite(row[n]) else "-" for n in counts]
        cells += [_span(row["loss"], "{:.4f}".format), _span(row["behind"], "{:+.4f}".format)]
        cells += [_chance(row["probability"])]
        cells += [("full" if row["limited"] else "free")] if limit else []
        table.append(cells)
    show(heads, table)
    for one in document["impossible"]:
        which = ", ".join(f"{name} = {format_number(value)}" for name, value in one.items())
        say(f"{which}: no plan of this budget lies within {'memory' if limit else 'the bounds'}.")
    if document["reading"]:
        say(document["reading"])
    say_assumptions(document["assumptions"])
    note_simulated(document)
    note_limits(document, [best], say)


_OF_A_CHOICE = frozenset(
    ["total", "active", "expected_loss", "limited", "probability", "outside", "loss", "behind"]
)


def _numbers(row: Mapping[str, Any], names: Sequence[str]) -> list[float]:
    return [row[name] for name in names]
