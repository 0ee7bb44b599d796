"""Whether the residuals of a fit are what its law and noise say: no shape, no trend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.checking.residual_bands import (
    Trend,
    Uniformity,
    bins,
    hat_matrix,
    null_scores,
    trend,
    uniformity,
)
from bayescale.checking.residual_table import check_has_runs, derived, residuals
from bayescale.common.errors import InputError
from bayescale.common.quantities import format_number
from bayescale.common.wording import here
from bayescale.fitting.design import listed
from bayescale.fitting.fits import Fit
from bayescale.fitting.refits import table_of
from bayescale.language.variables import VARIABLES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LEVEL", "Examined", "check_residuals", "examine", "quantity_words"]

#: Probability with which a true law passes one check, where a fit is judged without being asked
#: about one in particular: there are about five, all of which it then passes nine times in ten.
LEVEL = 0.98
#: Fewer runs than this show gross errors only.
_FEW = 20
#: A trend so many times beyond its band is not chance.
_LARGE = 1.5
#: A run with such a score is worth a look of its own.
_FAR = 3.0
#: Robust deviations from which on a run misses the law, how many misses have a direction, and the
#: fewest runs that are asked.
_MISFIT, _SEVERAL, _FEWEST_MISFITS = 2.5, 3, 12
_WORDS = {"flops": "training compute", "tokens_per_parameter": "tokens per parameter"}


@dataclass(frozen=True)
class Examined:
    """Residuals of a fit, and what was found in them."""

    table: pd.DataFrame
    pit: Uniformity
    trends: tuple[Trend, ...]


def check_residuals(
    fit: Fit,
    *,
    against: str | Sequence[str] | None = None,
    prob: float = 0.9,
    exact: bool = True,
    seed: int = 0,
) -> pd.DataFrame:
    """Check the runs that were fitted against what the fit says of them.

    Two questions are asked of the leave-one-out residuals (:func:`bayescale.residuals`). Do they
    scatter as the noise says, neither more nor less? And do runs that are alike in something, such
    as those trained longest, all come out on one side?

    Parameters
    ----------
    fit
        A fit made by :func:`bayescale.fit`.
    against
        Quantities to look for a trend in: ``"flops"``, ``"tokens_per_parameter"``, inputs of the
        law, or columns of numbers of the fitted table, such as a learning rate. By default
        compute, tokens per parameter, the law's inputs and whatever else the package's vocabulary
        knows (sparsity, granularity …), where they vary.
    prob
        Probability with which each check passes if the law and its noise are true.
    exact
        Whether runs that the fit leans on are left out by refits, as for
        :func:`bayescale.residuals`.
    seed
        Of the simulation of the bands, and of refits.

    Returns
    -------
    pandas.DataFrame
        One row a check, ``LOO-PIT`` first and then the quantities:

        - ``statistic`` and ``band``, where the departure is largest beside what chance allows: for
          LOO-PIT the share of PITs below a value less that value; for a quantity the mean score
          ``z`` of the runs of one bin. The check passes if nowhere the statistic is beyond the
          band;
        - ``where``: the PIT, or the median of the quantity in that bin;
        - ``ok``; ``said``, in words. A difference in per cent there is the mean score times the
          spread of the bin's predictions, in which single runs far off count little.

        ``attrs`` hold ``runs``, ``prob``, ``ok`` of all and ``reading``: what it amounts to.

    Raises
    ------
    InputError
        If the fit holds no runs, or ``against`` names no numbers, or none that vary.

    Notes
    -----
    Bins hold equally many runs, and are the distinct values where there are few of these; bands are
    simultaneous, over all bins and over the whole of the distribution (Säilynoja et al. 2022). They
    are not those of independent scores: a law that was fitted bends towards its runs, so that
    residuals of neighbours are correlated and their scale is the residuals' own. Bands are
    simulated from residuals with the correlation that the posterior of the law implies.

    On losses simulated from a law that is then fitted, with ``prob=0.9``, a check failed in 2 to
    15 % of tables (12 to 48 runs of three designs, 60 to 80 tables each), and at least one check in
    25 to 46 %.

    The noise is independent between runs in this simulation. Runs of one model size that err
    together make trends in size and in compute, which are then seen, rightly.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder").query("not target")
    >>> fit = bs.fit(dense, runs, method="laplace", seed=1)
    >>> table = bs.check_residuals(fit)
    >>> table.index.tolist()
    ['LOO-PIT', 'flops', 'tokens_per_parameter', 'N', 'D']
    """
    import pandas as pd

    found = examine(fit, against=against, prob=prob, exact=exact, seed=seed)
    rows = {"LOO-PIT": _pit_row(found.pit, found.table)}
    rows |= {one.name: _trend_row(one) for one in found.trends}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.name = "check"
    table.attrs = {
        "runs": len(found.table),
        "prob": prob,
        "doubtful": found.table.attrs["doubtful"],
        "ok": bool(table.ok.all()),
    }
    said = [*_reading(table), *_upwards(found.table), *_far_off(found.table)]
    table.attrs["reading"] = " ".join(said)
    return table


def examine(
    fit: Fit, *, against: str | Sequence[str] | None, prob: float, exact: bool = True, seed: int
) -> Examined:
    """What :func:`check_residuals` says and the plots draw."""
    if not 0 < prob < 1:
        raise InputError(f"prob is a probability between 0 and 1, not {prob}")
    check_has_runs(fit)
    if len(table_of(fit)) < 2:
        raise InputError("one run cannot be checked against the others; fit at least two")
    quantities = _quantities(fit, against)
    table = residuals(fit, exact=exact, seed=seed)
    null = null_scores(*hat_matrix(fit), np.random.default_rng(seed))
    return Examined(
        table,
        uniformity(table["pit"].to_numpy(), null, prob),
        tuple(trend(name, values, table, null, prob) for name, values in quantities.items()),
    )


def _quantities(fit: Fit, against: str | Sequence[str] | None) -> dict[str, np.ndarray]:
    """What residuals are held against, by name: one value a run."""
    runs = table_of(fit)
    known: dict[str, Any] = {str(name): runs[name] for name in runs} | derived(fit, runs)
    if against is None:
        others = [n for n in known if n in VARIABLES and n not in ("loss", *fit.law.inputs)]
        names = dict.fromkeys([*_WORDS, *fit.law.inputs, *others])
        given = {n: np.asarray(known[n]) for n in names if n in known}
        found = {n: x.astype(float) for n, x in given.items() if x.dtype.kind in "iuf"}
        return _different({n: x for n, x in found.items() if np.isfinite(x).all()})
    names = dict.fromkeys([against] if isinstance(against, str) else against)
    found = {}
    for name in names:
        values = np.asarray(known.get(name, ()))
        if values.dtype.kind not in "iuf" or not len(values):
            numbers = [n for n, x in known.items() if np.asarray(x).dtype.kind in "iuf"]
            raise InputError(
                f"against={name!r} is no column of numbers of the fitted runs; these have "
                f"{', '.join(n for n in numbers if n != 'loss')}"
            )
        found[name] = values.astype(float)
        if not np.isfinite(found[name]).all():
            row = runs.index[~np.isfinite(found[name])][0]
            raise InputError(f"column {name!r}, row {row}: no value to hold the residual against")
        if not bins(found[name]).any():
            raise InputError(f"against={name!r}: all runs have one value, so there is no trend")
    return found


def _different(quantities: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Quantities that vary and do not sort the runs into the bins of another."""
    found: dict[str, np.ndarray] = {}
    seen: list[np.ndarray] = []
    for name, values in quantities.items():
        member = bins(values)
        same = any(np.array_equal(member, x) or np.array_equal(x.max() - member, x) for x in seen)
        if member.any() and not same:
            found[name] = values
            seen.append(member)
    return found


# --- words ----------------------------------------------------------------------------------------


def _pit_row(pit: Uniformity, table: pd.DataFrame) -> dict[str, Any]:
    excess = np.maximum(pit.ecdf - pit.upper, pit.lower - pit.ecdf)
    worst = int(excess.argmax())
    place, difference = float(pit.at[worst]), float(pit.ecdf[worst] - pit.at[worst])
    edge = (pit.upper if difference > 0 else pit.lower)[worst] - place
    ok = bool(excess[worst] <= 0)
    said = "losses scatter about their predictions as the noise says"
    if not ok:
        runs = len(table)
        below, expected = round(runs * pit.ecdf[worst]), round(runs * place)
        said = (
            f"{below} of {runs} losses lie below the {100 * place:.0f} % quantile of their "
            f"prediction, where {expected} would be expected{_shape(table)}"
        )
    return {"statistic": difference, "band": float(edge), "where": place, "ok": ok, "said": said}


def _shape(table: pd.DataFrame) -> str:
    """What PITs that are plainly not uniform say of the predictions."""
    pit, z = table["pit"].to_numpy(), table["z"].to_numpy()
    side, spread = pit.mean() - 0.5, 2 * (np.abs(pit - 0.5).mean() - 0.25)
    # Of uniform PITs each has the standard deviation 1 / sqrt(12 n).
    if max(abs(side), abs(spread)) < 2 / np.sqrt(12 * len(pit)):
        return ""
    if abs(side) > abs(spread):
        return f": on the whole losses lie {'above' if side > 0 else 'below'} their predictions"
    if spread > 0:
        return ": intervals are too narrow"
    if far := int((np.abs(z) > 3).sum()):
        return f": intervals are too wide for most runs, and {far} lie{'s' * (far == 1)} far off"
    return ": intervals are wider than need be"


def _trend_row(trend: Trend) -> dict[str, Any]:
    worst = int(np.abs(trend.mean / trend.edge).argmax())
    mean, edge, place = (float(x[worst]) for x in (trend.mean, trend.edge, trend.at))
    ok = abs(mean) <= edge
    said = f"no trend with {quantity_words(trend.name)} beyond what chance gives"
    if not ok:
        percent = 100 * np.expm1(mean * trend.unit[worst])
        ends = {0: "at the lowest", len(trend.at) - 1: "at the highest"}
        said = (
            f"runs {ends.get(worst, 'in the middle of')} {quantity_words(trend.name)} "
            f"({_value(trend.name, place)}) have {abs(percent):.2g} % "
            f"{'more' if mean > 0 else 'less'} loss than predicted"
        )
    return {"statistic": mean, "band": edge, "where": place, "ok": ok, "said": said}


def quantity_words(name: str) -> str:
    """A quantity as part of a sentence."""
    return _WORDS.get(name, name)


def _value(name: str, value: float) -> str:
    unit = VARIABLES[name].unit if name in VARIABLES else ""
    return f"{format_number(value)} {unit}".strip()


def _far_off(table: pd.DataFrame) -> list[str]:
    """Single runs that may be all that is wrong."""
    far = table[table["z"].abs() > _FAR]
    if far.empty or len(far) > 3:
        return []
    each = [
        f"{label} ({abs(100 * np.expm1(row.residual)):.2g} % "
        f"{'above' if row.residual > 0 else 'below'} its prediction)"
        for label, row in far.iterrows()
    ]
    return [f"Look at {'run' if len(each) == 1 else 'runs'} {listed(each)} first."]


def _upwards(left: pd.DataFrame) -> list[str]:
    """What is said where runs miss the law upwards, and hardly any downwards."""
    rest = left["residual"].to_numpy(float)
    spread = 1.4826 * np.median(np.abs(rest - np.median(rest)))
    if len(rest) < _FEWEST_MISFITS or spread == 0:
        return []
    far = (rest - np.median(rest)) / spread
    above, below = int((far > _MISFIT).sum()), int((far < -_MISFIT).sum())
    if above < _SEVERAL or above < 5 * below:
        return []
    return [
        f"Misfits are mostly upwards: {above} of {len(rest)} runs lie far above their prediction "
        f"and {below or 'none'} as far below. Badly tuned runs do that, and pull a law up: take "
        "the best of each configuration, or leave those runs out, or fit with "
        f"{here(python='noise="skewed"', prompt='--noise skewed')}, and see what changes."
    ]


def _reading(table: pd.DataFrame) -> list[str]:
    """What the checks amount to, for somebody who has not met them before."""
    runs, prob = table.attrs["runs"], table.attrs["prob"]
    said = [f"Each of the {runs} runs was predicted by a fit to the other {runs - 1}."]
    pit, trends = table.loc["LOO-PIT"], table.drop(index="LOO-PIT")
    failed = trends[~trends.ok]
    if pit.ok:
        said.append("The losses scatter about these predictions as the fit's noise says.")
    else:
        said.append(f"The fit misjudges how losses scatter: {pit.said}.")
    if len(trends) and not len(failed):
        names = ", ".join(quantity_words(str(name)) for name in trends.index)
        said.append(f"What is left over shows no pattern along {names}.")
    said += [f"The law misses something: {one}." for one in failed.said]
    if (failed.statistic.abs() > _LARGE * failed.band).any():
        said.append("What it misses within the runs grows beyond them: try another law.")
    if not table.ok.all():
        said.append(
            f"A true law fails each of these {len(table)} checks in {100 * (1 - prob):.2g} % of "
            "tables by chance: one narrow failure is weak evidence, a large one is not."
        )
    if runs < _FEW:
        said.append(f"{runs} runs show gross errors only: to pass says little.")
    elif table.ok.all():
        said.append("That speaks for the law where there are runs, and not beyond them.")
    if table.attrs["doubtful"]:
        listed = ", ".join(table.attrs["doubtful"])
        said.append(f"What is said of run {listed} is doubtful: the fit leans on it too much.")
    return said
