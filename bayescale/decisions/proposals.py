"""Runs that one might train next: a grid about the fitted ones, and what each costs."""

from __future__ import annotations

import inspect
import itertools
from typing import TYPE_CHECKING

import numpy as np

from bayescale.common.errors import InputError
from bayescale.fitting.fits import Fit
from bayescale.language.columns import read_columns
from bayescale.language.compute import law_flops
from bayescale.language.variables import variable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["affordable", "propose_runs"]

_LEVELS = {1: 12, 2: 8, 3: 5}  # by the number of counts


def propose_runs(fit: Fit, most: float | None = None, *, beyond: float = 3.0) -> pd.DataFrame:
    """A grid of runs that one might train next.

    Parameters
    ----------
    fit
        A fit to runs.
    most
        Most FLOPs of a run; by default the cost of the largest fitted one.
    beyond
        How far past the fitted runs the grid goes, as a factor: of the largest counts, and of the
        fewest and most tokens per parameter.

    Returns
    -------
    pandas.DataFrame
        The law's inputs, counts rounded to two digits, and ``flops``. Inputs that are not counts
        take at most four of the values that the fitted runs have.

    Raises
    ------
    InputError
        If the fit has no runs, or no run of the grid costs so little.

    Examples
    --------
    >>> import bayescale as bs
    >>> from bayescale.models import dense
    >>> prior = bs.prior(dense, bs.load_runs("olmo_ladder"), draws=1)
    >>> list(bs.propose_runs(prior, most=1e20).columns)
    ['N', 'D', 'flops']
    """
    import pandas as pd

    if fit.runs is None:
        raise InputError(
            "published coefficients have no runs about which to propose others; give candidates, "
            f"a table of {', '.join(fit.law.inputs)}"
        )
    names, law = fit.law.inputs, fit.law
    seen = {name: fit.runs[name].values.astype(float) for name in names}
    counts = [name for name in names if variable(name, law.variables).scale is not None]
    number = _LEVELS.get(len(counts), 3)
    levels = []
    for name in names:
        if name in counts:
            high = min(seen[name].max() * beyond, variable(name, law.variables).high)
            span = np.geomspace(seen[name].min(), high, number)
            levels.append(np.unique([float(f"{value:.2g}") for value in span]))
        else:
            values = np.unique(seen[name])
            some = np.unique(np.linspace(0, len(values) - 1, 4).round().astype(int))
            levels.append(values[some])
    grid = pd.DataFrame(list(itertools.product(*levels)), columns=list(names))
    for part, whole in (("N_active", "N"), ("D_unique", "D")):
        if {part, whole} <= set(names):
            grid = grid[grid[part] <= grid[whole]]
    # A law fitted at some tokens per parameter says little of runs with far fewer or more.
    units = {name: variable(name, law.variables).unit for name in counts}
    for tokens, size in itertools.product(counts, counts):
        if (units[tokens], units[size]) == ("tokens", "parameters"):
            ratio, known = grid[tokens] / grid[size], seen[tokens] / seen[size]
            grid = grid[ratio.between(known.min() / beyond, known.max() * beyond)]
    largest = _flops(fit, pd.DataFrame(seen)).max()
    return affordable(fit, grid, largest if most is None else most).reset_index(drop=True)


def affordable(fit: Fit, table: pd.DataFrame, most: float | None) -> pd.DataFrame:
    """The candidates that cost no more than that, with their cost."""
    read_columns(table, fit.law.inputs, extra=fit.law.variables)  # complains of what is wrong
    made = table.assign(flops=_flops(fit, table))
    made.attrs = dict(table.attrs)
    made_here = ("gain", "error", "clear", "per_flop", "share", "sd", "regret")
    clash = [name for name in made_here if name in made]
    made = made.drop(columns=[*clash, *(["loss"] if "loss" in made else [])])
    if most is None:
        return made
    if not (np.isfinite(most) and most > 0):
        raise InputError(f"most is a number of FLOPs above zero, not {most!r}")
    kept = made[made.flops <= most * (1 + 1e-9)]
    if not len(kept):
        raise InputError(
            f"no candidate costs at most {most:.3g} FLOP; the cheapest costs "
            f"{made.flops.min():.3g}: raise most=, or give smaller candidates"
        )
    return kept


def _flops(fit: Fit, table: pd.DataFrame) -> np.ndarray:
    """What each run costs: its own column, or the law's cost model."""
    if "flops" in table:
        return read_columns(table, ["flops"])["flops"]
    if fit.law.cost is None:
        raise InputError(
            f"law {fit.law.name!r} has no cost model, so give each candidate's cost in the column "
            "flops"
        )
    given = read_columns(table, fit.law.inputs, extra=fit.law.variables)
    names = inspect.signature(fit.law.cost).parameters
    given |= read_columns(table, [name for name in names if name in table])
    flops = law_flops(fit.law, given)
    if flops is None:
        raise InputError(
            "the cost of the candidates is not known, since its cost model needs "
            f"{', '.join(names)}; give it in the column flops"
        )
    return np.broadcast_to(np.asarray(flops, dtype=float), len(table))
