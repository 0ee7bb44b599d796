"""Published measurements to fit, check and simulate on, in the package's vocabulary.

The tables and what is known of them (`tables.toml`) lie in the folder `data`. They hold what
determines a run; what follows from it (`S`, `flops`) is added when a table is loaded.
"""

from __future__ import annotations

import difflib
import tomllib
from functools import cache
from importlib import resources
from typing import Any

import pandas as pd

from bayescale.common.errors import InputError
from bayescale.language.columns import derive
from bayescale.language.variables import VARIABLES

__all__ = ["list_runs", "load_runs"]

_DATA = resources.files("bayescale.tables").joinpath("data")


def list_runs() -> pd.DataFrame:
    """List the tables that come with the package.

    Returns
    -------
    pandas.DataFrame
        Indexed by `name`, with the number of `rows`, `what` the rows are, what a fit to them
        `identifies`, the `source` and its `terms`.

    See Also
    --------
    load_runs : load one of them.

    Examples
    --------
    >>> import bayescale as bs
    >>> bs.list_runs().loc["olmo_ladder", "source"]
    'Bhagia et al. 2024, arXiv:2412.04403'
    """
    columns = ["rows", "what", "identifies", "source", "terms"]
    listed = pd.DataFrame.from_dict(_tables(), orient="index")[columns]
    return listed.astype({"rows": int}).rename_axis("name")


def load_runs(name: str) -> pd.DataFrame:
    """Load one of the tables that come with the package.

    Parameters
    ----------
    name : str
        A name that `list_runs` lists.

    Returns
    -------
    pandas.DataFrame
        One row a run. Columns of the vocabulary, and other counts, are floating point: products
        such as ``6 * N * D`` would overflow 64-bit integers. `attrs` holds `name`, `title`,
        `kind` ("runs" or "published configurations"), `source`, `citation`, `identifier` (the
        arXiv number), `origin`, `terms`, `notes` (text, one note a line), and for every column
        its unit (`units`) and meaning (`columns`).

    Raises
    ------
    InputError
        If there is no such table; the message names the nearest.

    Examples
    --------
    >>> import bayescale as bs
    >>> runs = bs.load_runs("gadre2024")
    >>> fair = runs[runs["warm_frac"] <= 0.25]
    >>> len(runs), len(fair)
    (104, 80)
    >>> fair.attrs["units"]["D"]
    'tokens'
    """
    table = _table(name)
    with resources.as_file(_DATA.joinpath(f"{name}.csv")) as path:
        runs = pd.read_csv(path)
    described: dict[str, dict[str, str]] = table.get("columns", {})

    # A seed is a label: where some runs have none, the others' must not turn into fractions.
    if "seed" in runs and runs["seed"].hasnans:
        runs["seed"] = runs["seed"].astype("Int64")
    counts = [c for c in runs if c in VARIABLES or "unit" in described.get(c, {})]
    runs = runs.astype(dict.fromkeys(counts, "float64"))
    for column in table["derived"]:
        place = runs.columns.get_loc("loss") if "loss" in runs else len(counts)
        runs.insert(place, column, derive(column, runs))

    texts = ("title", "kind", "source", "citation", "identifier", "origin", "terms")
    runs.attrs = {"name": name} | {key: table[key] for key in texts}
    runs.attrs["notes"] = "\n".join(table["notes"])
    runs.attrs["units"] = {c: _describe(c, described, "unit") for c in runs}
    runs.attrs["columns"] = {c: _describe(c, described, "about") for c in runs}
    return runs


def _describe(column: str, described: dict[str, dict[str, str]], what: str) -> str:
    """Return a column's unit or meaning: the table's own word for it, or the vocabulary's."""
    entry = VARIABLES.get(column)
    usual = {"unit": entry.unit, "about": entry.description} if entry else {}
    return described.get(column, {}).get(what) or usual.get(what, "")


@cache
def _tables() -> dict[str, dict[str, Any]]:
    return tomllib.loads(_DATA.joinpath("tables.toml").read_text(encoding="utf-8"))


def _table(name: str) -> dict[str, Any]:
    tables = _tables()
    if name in tables:
        return tables[name]
    near = difflib.get_close_matches(str(name).lower(), tables, n=1, cutoff=0.5)
    remedy = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(repr, tables))}."
    raise InputError(
        f"there is no table {name!r}; {remedy} list_runs() lists them; to use a file of your own, "
        "read it with pandas.read_csv"
    )
