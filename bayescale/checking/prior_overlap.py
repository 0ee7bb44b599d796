"""What the runs say of each coefficient, and what only its prior says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from bayescale.checking.prior_scores import Marginal, doubts, marginals, problem_of
from bayescale.fitting.design import design_gaps, listed
from bayescale.fitting.fits import Fit
from bayescale.posterior.density import Problem

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MAX_OVERLAP", "density", "overlap", "prior_overlap"]

#: A posterior that overlaps its prior by more than this is hardly another one. Where both are
#: normal it takes a shift by half of the prior's standard deviation, or a third off its spread, to
#: get there (0.803 and 0.809).
MAX_OVERLAP = 0.8
_GRID = 512


def prior_overlap(fit: Fit) -> pd.DataFrame:
    """How far the posterior of each coefficient is from its prior: what the runs have said of it.

    Parameters
    ----------
    fit
        A fit made by :func:`bayescale.fit`.

    Returns
    -------
    pandas.DataFrame
        Indexed by coefficient, then the parameters of the noise and of the discrepancy; a
        coefficient that varies over groups has a row a level, such as ``E[c4]``. Columns, in
        reference units: ``prior``, ``prior_lower``, ``prior_upper``, ``posterior``,
        ``posterior_lower``, ``posterior_upper`` (medians and equal-tailed 90 % intervals); without
        a unit: ``overlap``, the area under both densities (1: the posterior is the prior, 0:
        they have nothing in common), ``contraction``, by how much the posterior's variance is
        less than the prior's as a share of it (negative where it is more), and ``informed``,
        whether the overlap is below 0.8. ``attrs["reading"]`` says in words what the runs leave to
        the priors.

    Raises
    ------
    InputError
        If the fit is of published coefficients, of one group, or an average: these have no
        prior.

    Notes
    -----
    Both numbers are taken where the prior is a standard normal: on the logarithm of a coefficient
    with a lognormal prior, on a normal one as it is, and for a gamma prior where its distribution
    function puts it. The overlap is the same on any scale; its error is about 0.01, and that of
    equal densities is about 0.98. Two normal densities overlap by 0.8 where they differ by half a
    standard deviation, or where one has two thirds of the other's.

    The table is of one coefficient at a time. Runs may tell a combination of coefficients well and
    none of them alone; the reading adds what the design of the runs leaves open
    (:class:`bayescale.DesignWarning`).

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> runs = bs.load_runs("olmo_ladder").query("not target")
    >>> table = bs.prior_overlap(bs.fit(dense, runs, method="laplace", seed=1))
    >>> bool(table.informed["beta"]), bool(table.contraction["beta"] > 0.8)
    (True, True)
    """
    import pandas as pd

    task = problem_of(fit)
    rows = {name: _row(one) for name, one in marginals(task, fit).items()}
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("coefficient")
    table.attrs["reading"] = _reading(task, table) + doubts(fit)
    return table


def _row(one: Marginal) -> dict[str, float | bool]:
    from scipy.special import ndtri

    z = one.score(one.draws).ravel()
    shared = overlap(z)
    ends = (0.5, 0.05, 0.95)
    prior, posterior = one.at(ndtri(ends)), np.quantile(one.draws, ends)
    names = ("", "_lower", "_upper")
    return {
        **{f"prior{name}": float(x) for name, x in zip(names, prior, strict=True)},
        **{f"posterior{name}": float(x) for name, x in zip(names, posterior, strict=True)},
        "overlap": shared,
        "contraction": float(1 - z.var()),
        "informed": shared < MAX_OVERLAP,
    }


def overlap(z: np.ndarray) -> float:
    """Overlap of a standard normal with the density of draws.

    Examples
    --------
    >>> z = np.random.default_rng(0).standard_normal(4000)
    >>> round(overlap(z + 1.0), 1)  # 2 * Phi(-1/2) = 0.617
    0.6
    """
    if np.ptp(z) == 0:
        return 0.0
    grid = np.linspace(*_reach(z), _GRID)
    normal = np.exp(-0.5 * grid**2) / np.sqrt(2 * np.pi)
    return float(min(np.trapezoid(np.minimum(density(z, grid), normal), grid), 1.0))


def _bandwidth(z: np.ndarray) -> float:
    """Silverman's rule, by the draws' quartiles where their tails are heavy."""
    quartiles = np.subtract(*np.quantile(z, (0.75, 0.25))) / 1.349
    sd = z.std()
    return float(0.9 * (min(sd, quartiles) or sd) * len(z) ** -0.2)


def _reach(z: np.ndarray) -> tuple[float, float]:
    room = 4 * _bandwidth(z)
    return float(z.min() - room), float(z.max() + room)


def density(z: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Density of draws at some points, by a normal kernel that leaves their variance as it is.

    An ordinary kernel estimate is wider than the draws, and would overlap a wider prior more. The
    draws are therefore pulled together first, by what the kernel adds (West 1993).
    """
    h = _bandwidth(z)
    kept = z.mean() + np.sqrt(max(1 - (h / z.std()) ** 2, 0.0)) * (z - z.mean())
    # In bins far narrower than the kernel: as many terms, whatever the number of draws.
    mass, edges = np.histogram(kept, bins=8 * _GRID)
    centres = (edges[1:] + edges[:-1])[mass > 0] / 2
    kernel = np.exp(-0.5 * ((at[:, None] - centres) / h) ** 2)
    return np.asarray(kernel @ mass[mass > 0] / (len(z) * h * np.sqrt(2 * np.pi)))


# --- in words -------------------------------------------------------------------------------------

_RESTS = {
    "floor": "the loss of runs far larger than these",
    "amplitude": "how much of the loss a term makes up",
    "exponent": "how fast a term falls",
}


def _reading(task: Problem, table: pd.DataFrame) -> str:
    """What the runs leave to the priors, in sentences."""
    roles = _roles(task, table)
    open_ones = [str(name) for name in table.index[~table.informed]]
    silent = [name for name in open_ones if name in roles]
    if silent:
        one = len(silent) == 1
        rests = dict.fromkeys(_RESTS[roles[n]] for n in silent if roles[n] in _RESTS)
        said = [
            f"The runs say little about {listed([_with_overlap(table, n) for n in silent])}: "
            f"{'its posterior is close to its prior' if one else 'their posteriors are close to '}"
            f"{'' if one else 'their priors'}, and what depends on {'it' if one else 'them'}"
            f"{f' ({", ".join(rests)})' if rests else ''} is the prior's word."
        ]
    else:
        least = str(table.overlap[list(roles)].idxmax())
        said = [
            "Taken alone, each coefficient of the law is informed by the runs, least "
            f"{_with_overlap(table, least)}."
        ]
    said += [f"By their design {gap}." for gap in design_gaps(task)]
    others = [name for name in open_ones if name not in roles]
    if others:
        said.append(
            f"Of the scatter of runs, and of what varies about the law, {listed(others)} "
            f"{'stays' if len(others) == 1 else 'stay'} as the prior has it: this concerns how "
            "wide intervals are."
        )
    return " ".join(said)


def _with_overlap(table: pd.DataFrame, name: str) -> str:
    return f"{name} (overlap with its prior {table.overlap[name]:.2f})"


def _roles(task: Problem, table: pd.DataFrame) -> Mapping[str, str]:
    """What each row does in the law; rows of noise, discrepancy and spreads are left out."""
    roles = {name: prior.role for name, prior in task.priors.items()}
    return {str(n): roles[s] for n in table.index if (s := str(n).split("[")[0]) in roles}
