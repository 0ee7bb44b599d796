"""The command ``template``: a table of runs to put one's own in."""

from __future__ import annotations

from bayescale.cli import options as opt
from bayescale.common.errors import InputError

__all__ = ["template"]

_KINDS = (".csv", ".tsv", ".jsonl", ".parquet")


def template(output: opt.NewTable, law: opt.LawOfTable = "dense", force: opt.Force = False) -> None:
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
    from bayescale.checking.example_runs import example_runs
    from bayescale.common.files import replacing
    from bayescale.language.variables import variable

    rows, source = example_runs(chosen)
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
