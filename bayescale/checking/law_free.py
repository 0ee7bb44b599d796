"""Whether a law says of the runs' own budgets what the runs say without it."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.checking.isoflop_profiles import Product, Profile, isoflop_groups, product_of_counts
from bayescale.checking.residual_table import check_has_runs
from bayescale.common.quantities import format_number
from bayescale.decisions.allocation import AllocationWarning, allocate
from bayescale.fitting.design import DesignWarning
from bayescale.fitting.diagnostics import FitWarning, diagnose
from bayescale.fitting.fits import Fit
from bayescale.fitting.inference import fit as make_fit
from bayescale.fitting.refits import table_of
from bayescale.language.compute import law_flops
from bayescale.models.coupled import coupled
from bayescale.prediction.draws import check_one_group, flat
from bayescale.prediction.predict import predict

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_law_free"]

_ALIKE = 0.02  # decades by which runs of a budget may differ
_FAR = 1.645  # standard errors of a difference: a 90 % interval
_TRIALS = 0.05  # probability below which so many budgets apart are not chance
#: A coupling further from one than this, at both ends of its interval, is no matter of priors: the
#: floor's prior alone moves it by a tenth.
_SEPARATE = (0.8, 1.25)
_COUPLED = 1.96  # standard errors at which runs show a product


def check_law_free(fit: Fit, *, seed: int = 0) -> pd.DataFrame:
    """Hold a law of size and data against what its runs say without any law.

    Where runs spent one budget on several sizes, the best size by a cubic through them is compared
    with the law's. And whether size and data couple (whether more data help a large model more, or
    less, than a small one) is read off the runs as the product of the two logarithms in the loss,
    and off the law's losses of the same runs in the same way.

    Parameters
    ----------
    fit
        A fit of a law of ``N`` and ``D`` to runs.
    seed
        Of the bootstrap, and of the coupled law's fit.

    Returns
    -------
    pandas.DataFrame
        One row a comparison, by ``check``: ``"N* at 6e+18"`` and so on, parameters;
        ``"product"``, nats for an e-fold of both counts, negative where the terms couple as in
        Kaplan's law; and ``"coupling k"`` of the coupled law, one where terms are separate: of the
        fit where that is its law, and else from a quick fit of it to the same runs; it leans on the
        prior of the floor, so only one well off one is held against separate terms. ``law``,
        ``law_low``, ``law_high``: what the law says, with its 90 % interval; ``free``,
        ``free_low``, ``free_high``: what is said without it; ``ok``: whether they agree, by the 90
        % interval of their difference; ``said``: in words. ``attrs["reading"]`` sums up, and
        ``attrs["ok"]`` is whether they agree on the whole: one budget in ten is apart by chance.

    Raises
    ------
    InputError
        If the fit has no runs, or groups.

    Notes
    -----
    A table without budgets, or whose sizes and tokens go together, has fewer rows or none.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("hoffmann2022").query("not outlier")
    >>> fit = bs.fit(dense, runs, method="laplace", seed=1)
    >>> found = bs.check_law_free(fit)
    >>> bool(found.attrs["ok"])
    False
    """
    import pandas as pd

    check_has_runs(fit)
    check_one_group(fit)
    rows: list[dict[str, Any]] = []
    reading = []
    if set(fit.law.inputs) == {"N", "D"} and fit.runs is not None:
        runs = {name: fit.runs[name].values.astype(float) for name in ("N", "D", "loss")}
        optima = _optima(fit, runs, np.random.default_rng(seed))
        couplings = _couplings(fit, runs, seed)
        rows = [*optima, *couplings]
        reading = [*_said_of_optima(optima), *(row["said"] for row in couplings)]
    columns = ["check", "law", "law_low", "law_high", "free", "free_low", "free_high", "ok", "said"]
    table = pd.DataFrame(rows, columns=columns).set_index("check").astype({"ok": bool})
    nothing = "These runs say nothing without a law: none spent one budget on several sizes."
    table.attrs["reading"] = " ".join(reading) or nothing
    apart = sum(not row["ok"] for row in rows if row["check"].startswith("N*"))
    few = _by_chance(apart, sum(row["check"].startswith("N*") for row in rows))
    table.attrs["ok"] = few and all(row["ok"] for row in rows if not row["check"].startswith("N*"))
    return table


# --- the best size of a budget --------------------------------------------------------------------


def _optima(
    fit: Fit, runs: dict[str, np.ndarray], rng: np.random.Generator
) -> list[dict[str, Any]]:
    flops = law_flops(fit.law, runs)
    if flops is None:
        return []
    groups = isoflop_groups(flops, runs["N"])
    spent = [np.asarray(flops)[some] for some in groups]
    given = [
        (
            runs["N"][some],
            runs["loss"][some],
            rng,
            each if np.ptp(np.log10(each)) > _ALIKE else None,
        )
        for some, each in zip(groups, spent, strict=True)
    ]
    alone = [Profile.of(*one) for one in given]
    if not alone:
        return []
    # A few runs that lie on a cubic by chance would seem to know their best size: the noise is
    # that of all budgets together.
    noise = np.sqrt(sum(one.scatter for one in alone) / sum(one.spare for one in alone))
    every = [Profile.of(*one, noise) for one in given]
    found = [
        (float(np.exp(np.log(each).mean())), profile)
        for each, profile in zip(spent, every, strict=True)
        if profile.inside
    ]
    if not found:
        return []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AllocationWarning)
        best = allocate(fit, [budget for budget, _ in found]).N
    rows = []
    for (budget, profile), draws in zip(found, np.log(flat(best)).T, strict=True):
        middle, low, high = np.quantile(draws, [0.5, 0.05, 0.95])
        free = np.array([profile.best, profile.low, profile.high]) + profile.centre
        error = np.hypot(high - low, free[2] - free[1]) / (2 * _FAR)
        off = (middle - free[0]) / max(error, 1e-9)
        times = np.exp(middle - free[0])
        rows.append(
            _row(f"N* at {budget:.2g}", np.exp([middle, low, high]), np.exp(free))
            | {
                "ok": bool(abs(off) <= _FAR),
                "said": f"the law's best size is {times:.2f} times that of the runs alone",
            }
        )
    return rows


def _said_of_optima(rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    times = np.array([row["law"] / row["free"] for row in rows])
    apart = sum(not row["ok"] for row in rows)
    last = rows[-1]
    said = (
        f"At {len(rows)} budget{'s' * (len(rows) > 1)} the law's best size is {times.min():.2f} to "
        f"{times.max():.2f} times that of a cubic through the runs ({times[-1]:.2f} at the "
        f"dearest, {format_number(last['law'])} against {format_number(last['free'])}), and apart "
        f"by more than both are unsure of at {apart}: "
    )
    ok = _by_chance(apart, len(rows))
    return [said + ("they agree." if ok else "law and runs disagree about what to train.")]


def _by_chance(apart: int, of: int) -> bool:
    """Whether so many budgets, or more, are apart by chance: each is in one of ten."""
    from scipy.stats import binom

    return apart == 0 or bool(binom.sf(apart - 1, of, 0.1) >= _TRIALS)


# --- whether size and data couple -----------------------------------------------------------------


def _couplings(fit: Fit, runs: dict[str, np.ndarray], seed: int) -> list[dict[str, Any]]:
    product = product_of_counts(runs["N"], runs["D"], runs["loss"])
    if product is None:
        return []
    law = product.of(flat(predict(fit, mean=True, N=runs["N"], D=runs["D"])))
    middle, low, high = np.quantile(law, [0.5, 0.05, 0.95])
    wide = _FAR * product.error
    free = np.array([product.value, product.value - wide, product.value + wide])
    # Of one table: what the law says follows these runs, and the runs' own error is theirs alone.
    ok = bool(abs(middle - free[0]) <= _COUPLED * product.error)
    said = f"Size and data {_words(product)}; the law {'agrees' if ok else 'says otherwise'}."
    rows = [_row("product", np.array([middle, low, high]), free) | {"ok": ok, "said": said}]
    k = _coupling(fit, seed)
    if k is None:
        return rows
    middle, low, high = np.quantile(k, [0.5, 0.05, 0.95])
    separate = _is_separate(fit, runs)
    told = bool(high < _SEPARATE[0] or low > _SEPARATE[1])
    span = f"{middle:.2f} ({low:.2f} to {high:.2f})"
    if fit.law is coupled:
        surely = "" if told else ", and separate terms (k = 1) may do"
        said = f"The law's coupling k is {span}{surely}."
    elif told:
        whose = "takes the terms of size and data as separate, and" if separate else "aside,"
        said = f"The law {whose} the coupled law has k = {span} on these runs."
    else:
        said = f"The coupled law has k = {span} here, not far enough from one to tell by itself."
    whole = _row("coupling k", np.array([middle, low, high]), np.full(3, np.nan))
    return [*rows, whole | {"ok": not (told and separate), "said": said}]


def _words(product: Product) -> str:
    if abs(product.value) <= _COUPLED * product.error:
        return "show no coupling in the runs alone"
    how = "where one is scarce the other helps less" if product.value < 0 else (
        "where one is scarce the other helps more"
    )  # fmt: skip
    return f"couple in the runs alone ({product.value:+.4f} ± {product.error:.4f} nats): {how}"


def _coupling(fit: Fit, seed: int) -> np.ndarray | None:
    """Draws of the coupling: of the fit, or of the coupled law on its runs, where that is told."""
    if fit.law is coupled:
        return np.asarray(fit.posterior["k"].values.ravel())
    with warnings.catch_warnings():
        for category in (FitWarning, DesignWarning):
            warnings.simplefilter("ignore", category)
        other = make_fit(
            coupled, table_of(fit)[["N", "D", "loss"]], method="laplace", seed=seed, progress=False
        )
    return np.asarray(other.posterior["k"].values.ravel()) if diagnose(other).attrs["ok"] else None


def _is_separate(fit: Fit, runs: dict[str, np.ndarray]) -> bool:
    """Whether the law's terms of size and data add up, discrepancy and all."""
    N, D = (np.array([runs[name].min(), runs[name].max()]) for name in ("N", "D"))
    loss = flat(predict(fit, mean=True, N=np.repeat(N, 2), D=np.tile(D, 2)))[:64]
    mixed = loss[:, 0] - loss[:, 1] - loss[:, 2] + loss[:, 3]
    return bool((abs(mixed) < 1e-9 * loss.max()).all())


def _row(check: str, law: np.ndarray, free: np.ndarray) -> dict[str, Any]:
    named = {f"law{end}": float(x) for end, x in zip(("", "_low", "_high"), law, strict=True)}
    named |= {f"free{end}": float(x) for end, x in zip(("", "_low", "_high"), free, strict=True)}
    return {"check": check} | named
