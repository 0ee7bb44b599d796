"""Which parts of a law the runs need: the law against itself with coefficients held fixed."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.checking.comparison import SMALL, compare
from bayescale.checking.prior_overlap import density
from bayescale.checking.prior_scores import marginals, problem_of
from bayescale.common.errors import InputError
from bayescale.fitting.fits import Fit
from bayescale.fitting.refits import options_of, refit, table_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["nested"]

#: A ratio of densities beyond which (or below one over which) runs speak clearly (Jeffreys 1961).
CLEAR = 10.0


def nested(
    fit: Fit,
    values: Mapping[str, float],
    *,
    executor: Executor | None = None,
    seed: int | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Whether the runs need a part of a law: each coefficient against a value that takes it out.

    Parameters
    ----------
    fit
        A fit made by :func:`bayescale.fit`.
    values
        Value by coefficient, in reference units, at which a simpler law is nested in this one:
        ``{"gamma": 0.0}``, ``{"k": 1.0}``. Each is tried alone, by a refit that holds it fixed.
    executor, seed, progress
        As for :func:`bayescale.refit`.

    Returns
    -------
    pandas.DataFrame
        Indexed by coefficient: ``value``; ``elpd_diff`` and ``dse``, by how much better the whole
        law predicts runs left out than the simpler one, and the standard error of that;
        ``density_ratio``, the posterior density at the value over the prior's (Savage and Dickey:
        the Bayes factor for the simpler law), NaN where the prior has no density there;
        ``needed``, whether the runs speak clearly against the value: by predictions that are worse
        by more than two standard errors (and 4), or by a ratio below a tenth.
        ``attrs["reading"]`` says it in sentences.

    Raises
    ------
    InputError
        If a coefficient is none of the law's, or not sampled.

    Notes
    -----
    The two answer different questions. Predictions ask whether the part helps among such runs; the
    density ratio asks how probable the simpler law is, and depends on how wide the prior is. Priors
    here are independent, so the ratio is the Bayes factor; its error is that of a density estimated
    from draws, taken where the prior is a standard normal: ``az.bayes_factor`` estimates the
    prior's density as well, which fails for long-tailed ones (0.18 for a factor of 0.0001).

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import coupled
    >>> runs = bs.load_runs("hoffmann2022").query("not outlier")
    >>> fit = bs.fit(coupled, runs, seed=1)  # doctest: +SKIP
    >>> print(bs.nested(fit, {"k": 1.0}).attrs["reading"])  # doctest: +SKIP
    """
    import pandas as pd

    task = problem_of(fit)
    for name in values:
        if name not in task.priors:
            raise InputError(
                f"{name!r} is no sampled coefficient of law {fit.law.name!r}: {list(task.priors)}"
            )
    options, runs = options_of(fit), table_of(fit)
    used = fit.about.get("seed") if seed is None else seed
    all_marginals = marginals(task, fit)
    rows = {}
    for name, value in values.items():
        priors = (options.get("priors") or {}) | {name: float(value)}
        how: dict[str, Any] = {**options, "priors": priors, "seed": used, "progress": progress}
        vary = tuple(n for n in options.get("vary", ()) if n != name)
        how |= {"vary": vary} if vary else {"vary": (), "by": None}
        simpler = refit(fit.law, [runs], executor=executor, **how)[0]
        table = compare(
            {"whole": fit, "simpler": simpler}, executor=executor, seed=used, progress=progress
        )
        gain = float(table.elpd["whole"] - table.elpd["simpler"])
        error = float(table.dse.max())
        rows[name] = {
            "value": float(value),
            "elpd_diff": gain,
            "dse": error,
            "density_ratio": _ratio(all_marginals.get(name), float(value)),
        }
        rows[name]["needed"] = (
            gain > max(SMALL, 2 * error) or rows[name]["density_ratio"] < 1 / CLEAR
        )
    found = pd.DataFrame.from_dict(rows, orient="index").rename_axis("coefficient")
    found.attrs["reading"] = " ".join(_said(str(name), row) for name, row in found.iterrows())
    return found


def _ratio(marginal: Any, value: float) -> float:
    """Posterior over prior density at a value, where both are taken on the normal scores' scale."""
    if marginal is None or (marginal.prior.positive and value <= 0):
        return np.nan
    at = float(marginal.score(np.array(value)))
    prior = np.exp(-0.5 * at**2) / np.sqrt(2 * np.pi)
    posterior = density(marginal.score(marginal.draws).ravel(), np.array([at]))
    return float(posterior[0] / prior)


def _said(name: str, row: Any) -> str:
    change, ratio, at = f"{row.elpd_diff:.1f} ± {row.dse:.1f}", row.density_ratio, f"{row.value:g}"
    if row.elpd_diff > max(SMALL, 2 * row.dse):
        first = f"with {name} = {at} those left out are predicted worse, by {change}"
    else:
        first = f"those left out are predicted as well with {name} = {at} (it costs {change})"
    if np.isnan(ratio):
        second = ""
    elif ratio < 1e-3:
        second = ", and hardly a draw lies there, where its prior has some"
    else:
        strength = "clearly" if not 1 / CLEAR < ratio < CLEAR else "weakly"
        side = "for" if ratio >= 1 else "against"
        second = f", and its density there is {ratio:.3g} times its prior's, {strength} {side} it"
    verdict = "need" if row.needed else "do not need"
    return f"The runs {verdict} {name}: {first}{second}."
