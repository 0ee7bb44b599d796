"""Whether a posterior is to be trusted."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from bayescale.common.errors import InputError
from bayescale.fitting.fits import Fit
from bayescale.sampling.pareto import MAX_PARETO_K

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MAX_RHAT",
    "MIN_ESS",
    "MOST_ESS",
    "FitWarning",
    "diagnose",
    "needed_ess",
    "warn_if_untrusted",
]

#: A sampled fit is trusted when every coefficient meets these (Vehtari et al. 2021).
MAX_RHAT = 1.01
MIN_ESS = 400
#: More than these are never asked for.
MOST_ESS = 1000


class FitWarning(UserWarning):
    """The sampler did not reach what a trustworthy posterior needs."""


def needed_ess(draws: int) -> int:
    """Effective draws that a coefficient needs: a quarter of all, but at least 400 of any number.

    Examples
    --------
    >>> needed_ess(4000), needed_ess(1000)
    (1000, 400)
    """
    return max(MIN_ESS, min(MOST_ESS, draws // 4))


def diagnose(fit: Fit) -> pd.DataFrame:
    """Diagnostics of every coefficient's draws.

    Parameters
    ----------
    fit
        A fit made by :func:`bayescale.fit`.

    Returns
    -------
    pandas.DataFrame
        Indexed by coefficient: ``rhat``, ``ess_bulk``, ``ess_tail``, ``ok`` (of the knots of a
        discrepancy and the levels of effects, the worst). Its ``attrs`` hold
        the number of ``divergences``, ``ok`` of the whole fit, and for draws made by importance
        resampling (``method="laplace"``, and NUTS where the posterior has several modes) the
        ``pareto_k`` of their weights. Such draws are independent, so R-hat is NaN and both
        effective numbers are that of the weights. ``missed_mode`` is there if the posterior has a
        mode that the chains missed and that could not be weighed.

    Raises
    ------
    InputError
        If the fit was not made by sampling.
    """
    import pandas as pd
    from arviz_stats import ess, rhat

    if "sample_stats" not in fit.tree:
        raise InputError("this fit holds no sampler's chains: there is nothing to diagnose")
    draws = fit.posterior
    by = fit.about.get("by")
    for name in [str(n) for n, v in draws.data_vars.items() if by in v.dims]:
        each = {
            f"{name}[{level.item()}]": draws[name].sel({by: level}, drop=True)
            for level in draws[by]
        }
        draws = draws.drop_vars(name).assign(each)
    names = [str(name) for name in draws.data_vars]
    stats = fit.tree["sample_stats"].to_dataset()
    pareto_k, divergences = None, 0
    if "pareto_k" in stats:
        pareto_k, effective = float(stats.pareto_k), float(stats.effective)
        table = pd.DataFrame(
            {"rhat": float("nan"), "ess_bulk": effective, "ess_tail": effective}, index=names
        )
    else:
        divergences = int(stats.diverging.sum())
        measures = {
            "rhat": rhat(draws),
            "ess_bulk": ess(draws, method="bulk"),
            "ess_tail": ess(draws, method="tail"),
        }
        # Of knots and levels the worst.
        table = pd.DataFrame(
            {
                what: {n: float(one[n].max() if what == "rhat" else one[n].min()) for n in names}
                for what, one in measures.items()
            }
        )
    sizes = draws.sizes
    needed = MIN_ESS if "pareto_k" in stats else needed_ess(sizes["chain"] * sizes["draw"])
    enough = (table.ess_bulk >= needed) & (table.ess_tail >= needed)
    # An R-hat that is NaN speaks against chains, and says nothing of independent draws.
    table["ok"] = enough & ((table.rhat <= MAX_RHAT) | ("pareto_k" in stats))
    table.attrs["divergences"] = divergences
    missed = "missed_mode" in stats
    table.attrs["ok"] = bool(table.ok.all()) and divergences == 0 and not missed
    if missed:
        table.attrs["missed_mode"] = True
    if pareto_k is not None:
        table.attrs["pareto_k"] = pareto_k
        table.attrs["ok"] &= pareto_k <= MAX_PARETO_K
    return table


def warn_if_untrusted(fit: Fit, table: pd.DataFrame) -> None:
    """Warn, naming the coefficients and the remedy, if the fit's diagnostics failed."""
    if table.attrs["ok"]:
        return
    found = []
    remedy = "draw more (draws=4000), or fix or inform what the runs do not determine by priors=..."
    if "pareto_k" in table.attrs:
        effective = table.ess_bulk.iloc[0]
        found.append(f"Pareto k {table.attrs['pareto_k']:.2f}, {effective:.0f} effective draws")
        remedy = 'the runs determine it too loosely for method="laplace"; use method="nuts"'
    else:
        if table.attrs["divergences"]:
            found.append(f"{table.attrs['divergences']} divergent draws")
        if table.attrs.get("missed_mode"):
            found.append("the chains missed another way in which the law can explain the runs")
        for name, row in table[~table.ok].iterrows():
            found.append(f"{name}: R-hat {row.rhat:.3f}, ESS {row.ess_bulk:.0f}/{row.ess_tail:.0f}")
    warnings.warn(
        f"the posterior of {fit.law.name!r} is not to be trusted yet ({'; '.join(found)}); "
        f"{remedy}",
        FitWarning,
        stacklevel=3,
    )
