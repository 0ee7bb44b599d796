"""Every reading of a table that counts parameters or tokens in several ways."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from bayescale.common.errors import InputError
from bayescale.tables.reading import read_runs

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["every_count", "readings"]


def every_count(
    source: str | os.PathLike[str] | pd.DataFrame, **options: Any
) -> dict[str, pd.DataFrame]:
    """A table of runs read once with each of its counts of parameters, and each of its tokens.

    Tables have total parameters beside those without embeddings, and planned tokens beside real
    ones. A law fitted to one count is not that of another, nor are its plans.

    Parameters
    ----------
    source, **options
        As for :func:`read_runs`.

    Returns
    -------
    dict of pandas.DataFrame
        Runs by the column that was taken for one count, that of ``read_runs`` first;
        ``attrs["count"]`` says of what: ``"N"``, ``"N_active"`` or ``"D"``. Parts of a model, such
        as its embeddings, are no count of it.

    Raises
    ------
    InputError
        If the table cannot be read, or counts everything in one way.

    Examples
    --------
    >>> import pandas as pd
    >>> table = pd.DataFrame({"params_total": [9e7, 4e8], "params_non_embedding": [6e7, 3.4e8],
    ...                       "tokens": [2e9, 8e9], "loss": [3.5, 3.0]})
    >>> {column: runs.N.tolist() for column, runs in every_count(table).items()}
    {'params_total': [90000000.0, 400000000.0], 'params_non_embedding': [60000000.0, 340000000.0]}
    """

    def read(columns: dict[str, str]) -> pd.DataFrame:
        return read_runs(
            source, **options | {"columns": {**(options.get("columns") or {}), **columns}}
        )

    return readings(read_runs(source, **options), read)


def readings(
    runs: pd.DataFrame, read: Callable[[dict[str, str]], pd.DataFrame]
) -> dict[str, pd.DataFrame]:
    """The same, from a table that was read and what reads it again with other columns."""
    found: dict[str, pd.DataFrame] = {}
    for quantity, (taken, *others) in runs.attrs.get("counts", {}).items():
        if not found:
            found[taken] = runs.copy()
            found[taken].attrs = runs.attrs | {"count": quantity}
        for column in others:
            found[column] = read({quantity: column})
            found[column].attrs["count"] = quantity
    if not found:
        raise InputError(
            "the table counts parameters and tokens in one way each, so that nothing hangs on the "
            "choice",
            code="one-count",
        )
    return found
