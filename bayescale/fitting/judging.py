"""What makes a sample of a posterior one to be trusted: the one judge of all that asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.sampling.pareto import MAX_PARETO_K, effective_draws

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

__all__ = ["MAX_RHAT", "MIN_ESS", "MOST_ESS", "judged", "needed_ess"]

#: A sampled fit is trusted when every coefficient meets these (Vehtari et al. 2021).
MAX_RHAT = 1.01
MIN_ESS = 400
#: More than these are never asked for.
MOST_ESS = 1000


def needed_ess(draws: int) -> int:
    """Effective draws that a coefficient needs: a quarter of all, but at least 400 of any number.

    Examples
    --------
    >>> needed_ess(4000), needed_ess(1000)
    (1000, 400)
    """
    return max(MIN_ESS, min(MOST_ESS, draws // 4))


def judged(draws: xr.Dataset, stats: xr.Dataset, by: str | None = None) -> pd.DataFrame:
    """Diagnostics of draws; see :func:`bayescale.diagnose`.

    Parameters
    ----------
    draws
        The posterior.
    stats
        What the sampler says of them.
    by
        The dimension of groups, each of which has a row.
    """
    import pandas as pd
    from arviz_stats import ess, rhat

    for name in [str(n) for n, v in draws.data_vars.items() if by in v.dims]:
        each = {
            f"{name}[{level.item()}]": draws[name].sel({by: level}, drop=True)
            for level in draws[by]
        }
        draws = draws.drop_vars(name).assign(each)
    # A discrepancy's slopes follow from its components, which are judged, and from prior draws.
    draws = draws.drop_vars("discrepancy", errors="ignore")
    names = [str(name) for name in draws.data_vars]
    pareto_k, divergences = None, 0
    if "pareto_k" in stats:
        pareto_k = float(stats.pareto_k)
        weights, most = stats.weight.values.ravel(), float(stats.most_effective)
        numbers = {name: _resampled_ess(draws[name], weights, most) for name in names}
        table = pd.DataFrame.from_dict(numbers, orient="index", columns=["ess_bulk", "ess_tail"])
        table.insert(0, "rhat", float("nan"))
    else:
        divergences = int(stats.diverging.sum())
        measures = {
            "rhat": rhat(draws),
            "ess_bulk": ess(draws, method="bulk"),
            "ess_tail": ess(draws, method="tail"),
        }
        # Of components the worst.
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
    table.attrs |= {"divergences": divergences, "needed_ess": needed}
    missed = "missed_mode" in stats
    table.attrs["ok"] = bool(table.ok.all()) and divergences == 0 and not missed
    if missed:
        table.attrs["missed_mode"] = True
    if pareto_k is not None:
        table.attrs["pareto_k"] = pareto_k
        table.attrs["ok"] &= pareto_k <= MAX_PARETO_K
    return table


def _resampled_ess(draws: Any, weights: np.ndarray, most: float) -> tuple[float, float]:
    """Effective draws of importance resampling: of ranks, and of the 5 % and 95 % quantiles."""
    from scipy.stats import norm, rankdata

    x = draws.transpose("chain", "draw", ...).values.reshape(len(weights), -1)
    # Ranks as ArviZ takes them (Vehtari et al. 2021), since some coefficients have long tails.
    z = norm.ppf((rankdata(x, axis=0) - 0.375) / (len(x) + 0.25))
    tails = [(x <= end).astype(float) for end in np.quantile(x, (0.05, 0.95), axis=0)]
    bulk, *ends = (float(effective_draws(one, weights).min()) for one in (z, *tails))
    return min(bulk, most), min(*ends, most)
