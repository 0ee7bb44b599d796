"""Published coefficients as priors: for tables of a few runs, which cannot inform a law alone."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from bayescale.common.errors import InputError
from bayescale.common.wording import here
from bayescale.fitting.fits import published
from bayescale.language.columns import read_columns
from bayescale.language.law import Law
from bayescale.language.priors import Prior
from bayescale.posterior.problem import references

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SPREADS", "published_priors"]

#: Standard deviation of the logarithm, by role. Refits of one set of runs move exponents by a fifth
#: and floors by a twentieth (Hoffmann 2022 against Besiroglu 2024); another corpus, tokenizer or
#: recipe moves all of them further, amplitudes most.
SPREADS = {"exponent": 0.25, "floor": 0.15, "amplitude": 0.5, "plain": 0.5}


def published_priors(law: Law, name: str, runs: pd.DataFrame) -> dict[str, Prior]:
    """Priors about published coefficients, in the reference units of some runs.

    A prior says that the runs were made somewhat like those behind the published coefficients. It
    is wide (:data:`SPREADS`), and with few runs much of any answer is the prior's:
    :func:`bayescale.prior_sensitivity` says how much.

    Parameters
    ----------
    law
        A law whose terms are plain powers of its counts.
    name
        One of ``law.published``.
    runs
        The runs that are to be fitted, whose counts are the reference.

    Returns
    -------
    dict of str to Prior
        For ``fit(..., priors=...)``: floors and amplitudes in the unit of the losses.

    Raises
    ------
    InputError
        If there is no such set, or the law's coefficients do not convert.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder").query("not target").head(3)
    >>> priors = bs.published_priors(dense, "besiroglu2024", runs)
    >>> print(priors["alpha"])
    LogNormal(median 0.3478, 0.25)
    """
    c = {str(key): float(x.squeeze()) for key, x in published(law, name).posterior.items()}
    columns = read_columns(runs, law.inputs, extra=law.variables)
    reference = references(law, columns)
    plain = {n: np.float64(np.exp(np.log(x).mean()) if (x > 0).all() else x.mean())
             for n, x in columns.items()}  # fmt: skip
    scaled = {n: x / reference[n] for n, x in plain.items()}
    found = dict(c)
    additive = [n for n, p in law.priors.items() if p.role in ("floor", "amplitude")]
    with np.errstate(all="ignore"):
        for key in additive:
            alone = c | dict.fromkeys(additive, 0.0) | {key: 1.0}
            found[key] = c[key] * float(law(**plain, **alone) / law(**scaled, **alone))
        same = math.isclose(law(**plain, **c), law(**scaled, **found), rel_tol=1e-6)
        twice = {n: 2 * x if reference[n] != 1.0 else x for n, x in plain.items()}
        also = {n: x / reference[n] for n, x in twice.items()}
        same &= math.isclose(law(**twice, **c), law(**also, **found), rel_tol=1e-6)
    if not same:
        way = here(python="priors={'E': bs.lognormal(1.6, 0.06)}", prompt="--prior E=1.6±0.1")
        raise InputError(
            f"law {law.name!r} is no sum of plain powers of its counts, so its published "
            f"coefficients do not convert to priors; give those that you know, {way}"
        )
    priors = {}
    for key, own in law.priors.items():
        spread = SPREADS[own.role]
        if own.positive and found[key] > 0:
            priors[key] = Prior("lognormal", float(f"{found[key]:.6g}"), spread, own.role)
        elif not own.positive:
            priors[key] = Prior("normal", found[key], max(abs(found[key]) * spread, 1e-3), own.role)
    return priors
