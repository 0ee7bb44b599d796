"""The command ``template``: a table of runs to put one's own in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayescale.cli import completion
from bayescale.cli.options import Force
from bayescale.common.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from bayescale.language.law import Law

__all__ = ["template"]

_KINDS = (".csv", ".tsv", ".jsonl", ".parquet")
#: Measured runs to show, the likeliest to be like somebody's own first.
_TABLES = ("olmo_ladder", "frantar2023_t5", "clark2022", "muennighoff2023", "liew2025")


def template(
    output: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write the table.")],
    law: Annotated[
        str,
        typer.Option(
            "--law",
            metavar="LAW",
            autocompletion=completion.laws,
            help="The law that it is for, or FILE.py:NAME.",
        ),
    ] = "dense",
    force: Force = False,
) -> None:
    """Write an example table of runs, to put your own runs in.

    For example:

      bayescale template runs.csv
      bayescale fit runs.csv --law dense -o fit.nc
      bayescale report fit.nc --budget 1e23 -o report.html

    The rows are measured runs that come with the package, or, for a law that none are public for,
    simulated ones, which the column simulated says. Delete them and write your own: one row a
    run, in the same columns. FILE ends in .csv, .tsv, .jsonl or .parquet.
    """
    from bayescale.cli.inputs import find_law
    from bayescale.cli.output import say

    kind = output.suffix.lower()
    if kind not in _KINDS:
        raise InputError(f"{output}: the name of a table ends in {', '.join(_KINDS)}")
    if output.exists() and not force:
        raise InputError(f"{output} exists already; give another name, or --force to replace it")
    chosen = find_law(law)
    rows, source = example_runs(chosen)

    from bayescale.common.files import replacing
    from bayescale.language.variables import variable

    with replacing(output) as part:
        if kind == ".parquet":
            rows.to_parquet(part)
        elif kind == ".jsonl":
            rows.to_json(part, orient="records", lines=True, double_precision=15)
        else:
            rows.to_csv(part, index=False, sep="\t" if kind == ".tsv" else ",")
    say(f"wrote {output}: {len(rows)} {source}", "bold")
    for name in (*chosen.inputs, "loss"):
        known = variable(name, chosen.variables)
        unit = f" ({known.unit})" if known.unit else ""
        say(f"{name}: {known.description or 'an input of the law'}{unit}", indent=2)
    say("Put your runs in their place. Counts may be written 7B or 1.4T.")
    own = "" if law == "dense" else f" --law {law}"
    say(f"Then: bayescale fit {output}{own or ' --law dense'} -o fit.nc")


def example_runs(law: Law) -> tuple[pd.DataFrame, str]:
    """Runs with the law's inputs and loss, and what they are."""
    from bayescale.language.columns import read_columns
    from bayescale.tables.bundled import load_runs

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
    import numpy as np

    from bayescale.checking.law_bench import bench

    tried = bench(law, None, seed=0)
    loss = tried.loss_at(tried.typical)
    noise = np.random.default_rng(0).normal(0.0, 0.003, loss.shape)
    rows = _as_table({**tried.inputs, "loss": np.round(loss * np.exp(noise), 4)})
    return rows.assign(simulated=True)
