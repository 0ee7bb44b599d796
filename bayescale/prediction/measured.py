"""How often intervals held on measured runs, by kind of fit and distance beyond the fitted runs.

The figures are those of ``benchmarks/results/extrapolation_distance.csv`` (a test holds them
equal): 29 dense series, of which the largest runs were held out; docs/extrapolation.md says how.
Of laws of more than size and tokens there are those of ``extrapolation_sparse_parts.csv``.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from bayescale.common.wording import here
from bayescale.fitting.fits import Fit
from bayescale.language.law import Law

__all__ = [
    "FURTHEST",
    "MEASURED",
    "OTHERS",
    "Held",
    "held_at",
    "measured_on",
    "of_dense",
    "range_held",
    "said_of_intervals",
]


class Held(NamedTuple):
    """Share of held-out losses inside 90 % intervals.

    Attributes
    ----------
    low, high
        Distance: times the compute of the largest fitted run.
    share
        Of the losses, each series with one vote.
    series
        How many series have runs at that distance.
    """

    low: float
    high: float
    share: float
    series: int


MEASURED: dict[str, tuple[Held, ...]] = {
    "textbook": (
        Held(0.0, 3.0, 0.706, 29),
        Held(3.0, 10.0, 0.451, 27),
        Held(10.0, 100.0, 0.488, 21),
        Held(100.0, math.inf, 0.364, 15),
    ),
    "calibrated": (
        Held(0.0, 3.0, 0.900, 29),
        Held(3.0, 10.0, 0.909, 27),
        Held(10.0, 100.0, 0.933, 21),
        Held(100.0, math.inf, 0.887, 15),
    ),
}
#: Least and most that 90 % intervals held of laws of more than size and tokens, by what was held
#: out: most compute, the largest, the sparsest, most experts, larger parents, longer upcycled.
OTHERS: dict[str, tuple[float, float]] = {"textbook": (0.268, 0.871), "calibrated": (0.48, 0.972)}
#: Times the largest fitted run beyond which fewer series than this say nothing.
FURTHEST = 5000.0


def held_at(kind: str, times: float) -> Held:
    """What was measured at a distance.

    Examples
    --------
    >>> held_at("textbook", 5.0).share
    0.451
    """
    return next(one for one in MEASURED[kind] if times <= one.high)


def of_dense(law: Law) -> bool:
    """Whether a law is one of those that dense series were measured with: of size and tokens.

    Examples
    --------
    >>> from bayescale.models import dense, sparse
    >>> of_dense(dense), of_dense(sparse)
    (True, False)
    """
    return set(law.inputs) <= {"N", "D", "flops"}


def measured_on(law: Law) -> str:
    """What intervals of a law, or of laws like it, were measured on."""
    if of_dense(law):
        return "measured dense series"
    return "four measured tables of sparse models and mixtures"


def range_held(law: Law, kind: str) -> str:
    """Least and most that 90 % intervals held: at any distance, or whatever was held out.

    Examples
    --------
    >>> from bayescale.models import dense, upcycling
    >>> range_held(dense, "textbook"), range_held(upcycling, "textbook")
    ('36 to 71 %', '27 to 87 %')
    """
    shares = [one.share for one in MEASURED[kind]] if of_dense(law) else OTHERS[kind]
    return f"{100 * min(shares):.0f} to {100 * max(shares):.0f} %"


def said_of_intervals(fit: Fit, times: float) -> str:
    """One line on how far an interval is to be believed; nothing within the runs.

    Parameters
    ----------
    fit
        A fit to runs.
    times
        Compute asked about, over that of the largest fitted run.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder").query("not target")
    >>> line = said_of_intervals(bs.fit(dense, runs, method="laplace", seed=1), 5.0)
    >>> line[:70]
    '5 times beyond the largest run, 90 % intervals of fits like this one ('
    """
    if not times > 1.0 or fit.runs is None:
        return ""
    options = fit.about.get("options", {})
    calibrated = bool(options.get("discrepancy"))
    held = held_at("calibrated" if calibrated else "textbook", times)
    far = f"{times:,.3g} times beyond the largest run"
    if times > FURTHEST:
        return f"{far}, nobody has measured how often such intervals hold"
    if not of_dense(fit.law):
        whose, kind = ("calibrated fits", "calibrated") if calibrated else ("such fits", "textbook")
        other = "" if calibrated else f"; calibrated ones {range_held(fit.law, 'calibrated')}"
        return (
            f"{far}; 90 % intervals of {whose} held {range_held(fit.law, kind)} of losses on "
            f"{measured_on(fit.law)}, by what lay beyond the runs{other}"
        )
    share = f"{100 * held.share:.0f} %"
    if calibrated:
        return (
            f"{far}, 90 % intervals of calibrated fits held {share} of losses on {held.series} "
            "measured dense series"
        )
    better = held_at("calibrated", times)
    law = "coupled" if set(fit.law.inputs) == {"N", "D"} else fit.law.name
    way = here(
        python=f"bs.fit({law}, runs, **bs.CALIBRATED)",
        prompt=f"bayescale fit RUNS --law {law} --calibrated",
    )
    return (
        f"{far}, 90 % intervals of fits like this one (the law taken to be true) held {share} of "
        f"losses on {held.series} measured dense series; calibrated ones held "
        f"{100 * better.share:.0f} %: {way}"
    )
