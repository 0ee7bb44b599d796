"""Which runs are held out: the later part of the compute range, random folds, or whole groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.common.errors import InputError
from bayescale.language.columns import read_columns
from bayescale.language.compute import law_flops
from bayescale.language.law import Law

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_refits", "folds_of", "later_runs", "order_of"]

#: A column of more values than this is cut into folds of neighbours instead.
_MOST_LEVELS = 16
_BINS = 10


def order_of(law: Law, runs: pd.DataFrame, order: str = "flops") -> np.ndarray:
    """What runs are put in order by: a column, or their training compute.

    Parameters
    ----------
    law
        Its cost model gives the compute of tables without the column ``flops``.
    runs
        The table.
    order
        ``"flops"``, or any column of numbers.

    Raises
    ------
    InputError
        If the table does not have it, or the law's cost model needs what the table lacks.
    """
    if order != "flops" or order in runs.columns:
        return read_columns(runs, (order,), extra=law.variables)[order]
    inputs = read_columns(runs, law.inputs, extra=law.variables)
    known = {str(name): runs[name] for name in runs.columns} | inputs
    flops = law_flops(law, known)
    if flops is None:
        raise InputError(
            f"the cost model of law {law.name!r} does not give these runs' compute; add a column "
            "'flops', or name another column to put them in order by: order='N'"
        )
    return np.asarray(flops, dtype=float)


def later_runs(values: np.ndarray, share: float) -> np.ndarray:
    """Which runs belong to the last share in some order; runs that tie at its edge all do.

    Parameters
    ----------
    values
        What the runs are ordered by.
    share
        About how many of them, between 0 and 1.

    Examples
    --------
    >>> later_runs(np.array([1.0, 2.0, 3.0, 3.0]), 0.25)
    array([False, False,  True,  True])
    """
    if not 0 < share < 1:
        raise InputError(f"a cut is a share of the runs between 0 and 1, not {share!r}")
    held_out = max(1, round(share * len(values)))
    edge = np.sort(values)[-held_out]
    # Compute worked out in two ways may differ in the last digits.
    return values >= edge - 1e-9 * abs(edge)


def folds_of(runs: pd.DataFrame, folds: int | str, seed: int | None = None) -> dict[str, Any]:
    """Which runs each fold holds out, by the fold's name.

    Parameters
    ----------
    runs
        The table.
    folds
        A number of folds, filled at random; or a column, of which each value is a fold. A column
        of more than 16 numbers is cut into ten folds of neighbouring values.
    seed
        Of the random folds.

    Raises
    ------
    InputError
        If there would be fewer than two folds.
    """
    import pandas as pd

    if isinstance(folds, str):
        if folds not in runs.columns:
            raise InputError(
                f"folds={folds!r} is neither a number nor a column of the runs: "
                f"{[str(name) for name in runs.columns]}"
            )
        column = runs[folds]
        if column.isna().any():
            row = runs.index[column.isna()][0]
            raise InputError(f"column {folds!r}, row {row}: no value, so the run is in no fold")
        if column.nunique() > _MOST_LEVELS and pd.api.types.is_numeric_dtype(column):
            column = pd.qcut(column, _BINS, duplicates="drop")
        named = {str(value): (column == value).to_numpy() for value in sorted(column.unique())}
        if len(named) < 2:
            raise InputError(f"column {folds!r} has one value only: there is nothing to hold out")
        return named
    if isinstance(folds, bool) or not isinstance(folds, int) or not 2 <= folds <= len(runs):
        raise InputError(f"folds is a whole number from 2 to {len(runs)}, or a column, not {folds}")
    at = np.random.default_rng(seed).permutation(np.arange(len(runs)) % folds)
    return {str(i + 1): at == i for i in range(folds)}


def check_refits(
    law: Law,
    runs: pd.DataFrame,
    held_out: Mapping[Any, np.ndarray],
    options: Mapping[str, Any],
    what: str,
    remedy: str,
) -> None:
    """Refuse, before any work, refits that could not be made or would not mean the same.

    Parameters
    ----------
    law, runs, options
        What is fitted, to what and how.
    held_out
        Which runs each refit leaves out.
    what
        What each of ``held_out`` is called: cut or fold.
    remedy
        What else could be asked for.
    """
    fixed = {n: v for n, v in (options.get("priors") or {}).items() if isinstance(v, (int, float))}
    for name, value in fixed.items():
        if name in law.priors and law.priors[name].role == "amplitude" and value:
            raise InputError(
                f"priors[{name!r}]={value:g} fixes an amplitude in reference units, which are "
                "those of the runs that are fitted: in a refit to other runs the same number is "
                "another amplitude; give it a prior instead"
            )
    needed = [name for name in law.coefficients if name not in fixed]
    for name, mask in held_out.items():
        left = int((~mask).sum())
        if left < len(needed):
            raise InputError(
                f"{what} {name} leaves {left} of {len(runs)} runs to fit the {len(needed)} "
                f"coefficients of law {law.name!r} to ({', '.join(needed)}); {remedy}"
            )
    by: Any = options.get("by")
    if by is None or by not in runs.columns:
        return
    groups = runs[by].astype(str).to_numpy()
    for name, mask in held_out.items():
        unseen = sorted(set(groups[mask]) - set(groups[~mask]))
        if unseen:
            raise InputError(
                f"{what} {name} leaves out every run of {by} {unseen[0]!r}, whose own coefficients "
                f"nothing would then inform; {remedy}"
            )


def distinct(held_out: Mapping[Any, np.ndarray]) -> dict[Any, np.ndarray]:
    """Held-out sets without repetitions: ties may make one of two cuts."""
    found: dict[Any, np.ndarray] = {}
    for name, mask in held_out.items():
        if not any(np.array_equal(mask, other) for other in found.values()):
            found[name] = mask
    return found


def parts(runs: pd.DataFrame, masks: Sequence[np.ndarray]) -> tuple[list[Any], list[Any]]:
    """For each held-out set the runs to fit and the runs held out."""
    return [runs[~mask] for mask in masks], [runs[mask] for mask in masks]
