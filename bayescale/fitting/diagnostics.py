"""Whether a posterior is to be trusted."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from bayescale.common.errors import InputError
from bayescale.fitting.fits import Fit
from bayescale.fitting.judging import judged

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FitWarning", "diagnose", "failures", "warn_if_untrusted"]


#: Runs from which on a posterior is held against the mean of their losses, and by how much worse,
#: in log density a run, it has to be to be refused.
_FEWEST, _WORSE = 4, 0.1


class FitWarning(UserWarning):
    """The sampler did not reach what a trustworthy posterior needs."""


def diagnose(fit: Fit) -> pd.DataFrame:
    """Diagnostics of every coefficient's draws.

    Parameters
    ----------
    fit
        A fit made by :func:`bayescale.fit`.

    Returns
    -------
    pandas.DataFrame
        Indexed by coefficient: ``rhat``, ``ess_bulk``, ``ess_tail``, ``ok`` (of the
        components of a discrepancy, ``discrepancy_z``, the worst; its slopes at nodes follow from
        them and from draws of the prior, and are not judged). Its ``attrs`` hold
        the number of ``divergences``, the effective draws that are asked for (``needed_ess``),
        ``ok`` of the whole fit, and for draws made by importance
        resampling (``method="laplace"``, and NUTS where the posterior has several modes) the
        ``pareto_k`` of their weights. Such draws are independent, so R-hat is NaN and the
        effective numbers follow from the weights: at the bulk, and at the worse of the 5 % and 95 %
        quantiles. ``explains_nothing`` is there if the posterior predicts the fitted losses worse
        than their mean does: the law, or the scale of its priors, is wrong for them.
        ``missed_mode`` is there if the posterior has a
        mode that the chains missed and that could not be weighed.

    Raises
    ------
    InputError
        If the fit was not made by sampling.
    """
    if "sample_stats" not in fit.tree:
        raise InputError("this fit holds no sampler's chains: there is nothing to diagnose")
    stats = fit.tree["sample_stats"].to_dataset()
    table = judged(fit.posterior, stats, fit.about.get("by"))
    if _explains_nothing(fit):
        table.attrs["explains_nothing"] = True
        table.attrs["ok"] = False
    return table


def _explains_nothing(fit: Fit) -> bool:
    """Whether the posterior predicts the fitted losses worse than their mean and spread do."""
    if not {"log_likelihood", "observed_data"} <= set(fit.tree.children):
        return False
    density = fit.tree["log_likelihood"].to_dataset().log_loss
    loss = fit.tree["observed_data"].to_dataset().log_loss.values
    spread = float(np.std(loss))
    if len(loss) < _FEWEST or spread == 0 or not np.isfinite(density.values).all():
        return False
    values = density.transpose("run", "chain", "draw").values.reshape(len(loss), -1)
    high = values.max(axis=1, keepdims=True)
    own = high[:, 0] + np.log(np.exp(values - high).mean(axis=1))
    flat = -0.5 * np.log(2 * np.pi * spread**2) - 0.5 * ((loss - loss.mean()) / spread) ** 2
    return bool((flat - own).mean() > _WORSE)


def failures(table: pd.DataFrame) -> str:
    """What made a table of :func:`diagnose` fail, in words."""
    found = []
    if table.attrs.get("explains_nothing"):
        found.append("it predicts the fitted losses worse than their mean does")
    if "pareto_k" in table.attrs:
        effective = table[["ess_bulk", "ess_tail"]].min(axis=None)
        found.append(f"Pareto k {table.attrs['pareto_k']:.2f}, {effective:.0f} effective draws")
        return "; ".join(found)
    if table.attrs["divergences"]:
        found.append(f"{table.attrs['divergences']} divergent draws")
    if table.attrs.get("missed_mode"):
        found.append("the chains missed another way in which the law can explain the runs")
    for name, row in table[~table.ok].iterrows():
        found.append(f"{name}: R-hat {row.rhat:.3f}, ESS {row.ess_bulk:.0f}/{row.ess_tail:.0f}")
    return "; ".join(found)


def warn_if_untrusted(fit: Fit, table: pd.DataFrame) -> None:
    """Warn, naming the coefficients and the remedy, if the fit's diagnostics failed."""
    if table.attrs["ok"]:
        return
    remedy = "draw more (draws=4000), or fix or inform what the runs do not determine by priors=..."
    if "pareto_k" in table.attrs:
        remedy = 'the runs determine it too loosely for method="laplace"; use method="nuts"'
    warnings.warn(
        f"the posterior of {fit.law.name!r} is not to be trusted yet ({failures(table)}); {remedy}",
        FitWarning,
        stacklevel=3,
    )
