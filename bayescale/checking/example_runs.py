"""Runs for a law to start from: measured ones if there are any, else a design of simulated ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.checking.law_bench import bench
from bayescale.common.errors import InputError
from bayescale.language.columns import read_columns
from bayescale.language.law import Law
from bayescale.tables.bundled import load_runs

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["example_runs"]

#: Measured runs to show, the likeliest to be like somebody's own first.
_TABLES = ("olmo_ladder", "frantar2023_t5", "clark2022", "muennighoff2023", "liew2025")


def example_runs(law: Law) -> tuple[pd.DataFrame, str]:
    """Runs with the law's inputs and loss, and what they are."""
    for name in _TABLES:
        runs = load_runs(name)
        runs = runs[~runs["target"]] if "target" in runs else runs
        if name == "liew2025":  # one configuration: the law knows nothing of experts
            runs = runs.query("experts == 8 and top_k == 2")
        try:
            columns = read_columns(runs, (*law.inputs, "loss"), extra=law.variables)
        except InputError:
            continue
        if all(len(set(columns[name].tolist())) > 1 for name in law.inputs):
            return _as_table(columns), f"measured runs of {runs.attrs['source']}"
    return _simulated(law), "simulated runs"


def _as_table(columns: Mapping[str, Any]) -> pd.DataFrame:
    import pandas as pd

    rows = pd.DataFrame(columns)
    for name in rows:  # 190354176 reads better than 190354176.0
        if (rows[name] == rows[name].round()).all() and rows[name].max() < 2**53:
            rows[name] = rows[name].astype("int64")
    rows.insert(0, "run", [f"run-{i + 1}" for i in range(len(rows))])
    return rows


def _simulated(law: Law) -> pd.DataFrame:
    tried = bench(law, None, seed=0)
    loss = tried.loss_at(tried.typical)
    noise = np.random.default_rng(0).normal(0.0, 0.003, loss.shape)
    rows = _as_table({**tried.inputs, "loss": np.round(loss * np.exp(noise), 4)})
    return rows.assign(simulated=True)
