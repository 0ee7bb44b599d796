"""The commands ``laws``, ``runs`` and ``fit``: from a table of runs to a saved fit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayescale.cli import completion
from bayescale.cli.options import (
    Across,
    AnyLaw,
    BestOf,
    Calibrated,
    Checkpoints,
    Columns,
    Csv,
    DropMissing,
    Force,
    Json,
    Method,
    Noise,
    Prob,
    Seed,
    Sizes,
    Table,
    Tail,
    Where,
    printer,
    probability,
)
from bayescale.common.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from bayescale.language.law import Law

__all__ = ["fit", "laws", "runs"]

#: Draws, and so on: what no machine has the memory for.
_MOST = 10**9


def laws(
    name: Annotated[
        str | None,
        typer.Argument(metavar="LAW", autocompletion=completion.laws, help="Show this law."),
    ] = None,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """List the scaling laws, or show one: formula, priors, published values.

    For example:

      bayescale laws
      bayescale laws dense
      bayescale laws mine.py:my_law

    JSON: laws, each with name, summary, inputs, coefficients and published; for one law: name,
    summary, description, inputs, coefficients (prior, description), published (source, certainty,
    note, values, errors) and cost.
    """
    from bayescale.cli.inputs import find_law
    from bayescale.cli.lists import law_document, laws_document, show_law, show_laws

    show = printer(json, csv)
    if name is not None:
        document = law_document(find_law(name))
        rows = [{"coefficient": key, **entry} for key, entry in document["coefficients"].items()]
        for row in rows:
            sets = document["published"].items()
            row |= {key: found["values"][row["coefficient"]] for key, found in sets}
        show(document, rows, show_law)
    else:
        from bayescale.models import laws as built_in

        document = laws_document(built_in())
        show(document, document["laws"], show_laws)


def runs(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="TABLE", autocompletion=completion.tables, help="Print this table, or a file."
        ),
    ] = None,
    where: Where = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Write CSV (or --json) to a file."),
    ] = None,
    columns: Columns = None,
    checkpoints: Checkpoints = None,
    tail: Tail = None,
    drop_missing: DropMissing = False,
    best_of: BestOf = None,
    across: Across = None,
    sizes: Sizes = None,
    force: Force = False,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """List the tables of published training runs, or print one.

    For example:

      bayescale runs
      bayescale runs olmo_ladder
      bayescale runs olmo_ladder --where "target == False" --csv -o runs.csv

    JSON: tables, each with name, rows, what, identifies, source and terms; for one table: name,
    title, source, citation, terms, notes, units and rows.
    """
    from bayescale.cli.inputs import read_runs, show_understood
    from bayescale.cli.lists import show_table, show_tables, table_document, tables_document
    from bayescale.cli.output import as_csv, as_json, write_file

    show = printer(json, csv)
    if name is None:
        if where is not None or output is not None:
            raise InputError("--where and -o are about one table; name it")
        document = tables_document()
        show(document, document["tables"], show_tables)
        return
    table = read_runs(
        name, where, columns=columns, checkpoints=checkpoints, tail=tail, needs=drop_missing,
        best_of=best_of, across=across, sizes=sizes,
    )  # fmt: skip
    show_understood(table)
    document = table_document(table)
    if output is not None:
        text = as_json(document) if json else as_csv(document["rows"])
        write_file(output, f"{text}\n".encode(), force=force)
    else:
        show(document, document["rows"], show_table)


def fit(
    table: Table,
    law: AnyLaw,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FIT", help="Save the fit here.")
    ] = None,
    where: Where = None,
    columns: Columns = None,
    checkpoints: Checkpoints = None,
    tail: Tail = None,
    drop_missing: DropMissing = False,
    best_of: BestOf = None,
    across: Across = None,
    sizes: Sizes = None,
    calibrated: Calibrated = False,
    noise: Noise = None,
    discrepancy: Annotated[
        bool | None,
        typer.Option(
            "--discrepancy/--no-discrepancy",
            help="Whether the law may be wrong in a structured way.",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="COLUMN",
            help="A column of weights, such as how many runs a row stands for.",
        ),
    ] = None,
    error: Annotated[
        str | None,
        typer.Option("--error", metavar="COLUMN", help="Known standard error of the loss, nats."),
    ] = None,
    method: Method = "nuts",
    fixed: Annotated[
        list[str] | None,
        typer.Option(
            "--fixed",
            metavar="NAME=VALUE",
            help="Hold a coefficient at a value, in reference units.",
        ),
    ] = None,
    known: Annotated[
        list[str] | None,
        typer.Option(
            "--prior",
            metavar="NAME=VALUE±SD",
            help="What is known of a coefficient: E=1.6±0.1, a floor in the unit of the losses; "
            "amplitudes in reference units.",
        ),
    ] = None,
    prior_from: Annotated[
        str | None,
        typer.Option(
            "--prior-from",
            metavar="SET",
            help="Published coefficients that bayescale laws LAW lists, as wide priors.",
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option("--by", metavar="COLUMN", help="Column that names each run's group."),
    ] = None,
    vary: Annotated[
        list[str] | None,
        typer.Option("--vary", metavar="NAME", help="Coefficient that differs between groups."),
    ] = None,
    draws: Annotated[
        str, typer.Option("--draws", metavar="N", help="Kept draws of each chain.")
    ] = "1000",
    tune: Annotated[
        str, typer.Option("--tune", metavar="N", help="Tuning steps of each chain.")
    ] = "1000",
    chains: Annotated[str, typer.Option("--chains", metavar="N", help="Chains.")] = "4",
    seed: Seed = "0",
    prob: Prob = "0.9",
    force: Force = False,
    json: Json = False,
    csv: Csv = False,
) -> None:
    """Fit a law to training runs: its posterior, with diagnostics.

    A table has one row a run: the law's inputs (N, D and so on) and loss in nats, or perplexity.
    Headers of experiment trackers (n_params, train/tokens, val_loss ...) and numbers such as 7B
    are understood, and what was understood is printed; loss curves become one row a run. For a
    file to start from see bayescale template.

    For example:

      bayescale fit runs.csv --law dense -o fit.nc
      bayescale fit sweep.csv --law dense --column N=size*1e9 --column run=trial -o fit.nc
      bayescale fit olmo_ladder --law dense --where "target == False" -o fit.nc
      bayescale fit runs.csv --law coupled --calibrated -o fit.nc
      bayescale fit runs.csv --law mine.py:my_law --noise normal -o mine.nc
      bayescale fit three.csv --law dense --prior-from besiroglu2024 -o few.nc
      bayescale fit gadre2024 --law dense --by corpus --vary E --vary A -o by_corpus.nc

    An earlier fit is replaced, another file only with --force. If the sampler's diagnostics fail,
    there is a warning and the exit code is still 0. JSON: law, noise, simulated, table, runs,
    seed, saved, diagnostics (ok, divergences, rhat, ess_bulk, ess_tail, ...), units, coefficients
    and noise_parameters (median, lower, upper), published_coefficients.
    """
    from bayescale.cli.inputs import (
        estimates,
        find_law,
        read_runs,
        show_understood,
        single,
        whole,
    )
    from bayescale.cli.saved import check_fit_path
    from bayescale.language.columns import read_columns

    show, share = printer(json, csv), probability(prob)
    kept, tuned = (whole(f"--{n}", x, _MOST) for n, x in (("draws", draws), ("tune", tune)))
    several, sown = whole("--chains", chains, _MOST), whole("--seed", seed)
    held: dict[str, Any] = dict(single("--fixed", fixed or []))
    told = estimates("--prior", known or [])
    if both := sorted(set(held) & set(told)):
        raise InputError(f"--fixed and --prior both name {both[0]}; give one of them")
    if output is not None:
        check_fit_path(output, force=force)
    chosen = find_law(law)
    needed = (*chosen.inputs, "loss")
    table_of_runs = read_runs(
        table, where, columns=columns, checkpoints=checkpoints, tail=tail,
        needs=drop_missing and needed, best_of=best_of, across=across, sizes=sizes,
    )  # fmt: skip
    read_columns(table_of_runs, needed, extra=chosen.variables)
    priors = _priors(chosen, table_of_runs, prior_from, told) | held
    show_understood(table_of_runs)

    from bayescale.cli.output import message
    from bayescale.cli.results import fit_document, fit_records, show_fit
    from bayescale.fitting.inference import CALIBRATED
    from bayescale.fitting.inference import fit as sample

    options: dict[str, Any] = dict(CALIBRATED) if calibrated else {}
    given: dict[str, Any] = {"noise": noise, "discrepancy": discrepancy}
    given |= {"weights": weights, "error": error}
    options |= {name: value for name, value in given.items() if value is not None}
    fitted = sample(
        chosen,
        table_of_runs,
        **options,
        method=method,
        by=by,
        vary=tuple(vary or ()),
        priors=priors or None,
        draws=kept,
        tune=tuned,
        chains=several,
        seed=sown,
    )
    if output is not None:
        fitted.save(output)
    document = fit_document(fitted, share, None if output is None else str(output))
    if len(priors) > len(held) or len(table_of_runs) < 2 * len(chosen.coefficients):
        from bayescale.checking.prior_overlap import prior_overlap

        message("priors", prior_overlap(fitted).attrs["reading"], "dim")
    show(document, fit_records(document), show_fit)
    if output is None:
        message("note", "the fit was not saved; name a file with -o to use it again", "dim")


def _priors(
    law: Law, runs: pd.DataFrame, published: str | None, told: Mapping[str, tuple[float, float]]
) -> dict[str, Any]:
    """Priors from published coefficients and from what somebody knows, which comes first."""
    from bayescale.fitting.published_priors import published_priors
    from bayescale.language.priors import Prior

    found: dict[str, Any] = {}
    if published is not None:
        found |= published_priors(law, published, runs)
    for name, (value, sd) in told.items():
        own = law.priors.get(name)
        if own is None:
            raise InputError(
                f"--prior names {name!r}, which law {law.name!r} does not have; its coefficients "
                f"are {', '.join(law.priors)}"
            )
        if not own.positive:
            found[name] = Prior("normal", value, sd, own.role)
            continue
        if value <= 0:
            raise InputError(f"--prior {name}: {value:g} is not above zero, as {name} has to be")
        # A lognormal of that median whose logarithm has the relative error as its deviation.
        found[name] = Prior("lognormal", value, sd / value, own.role)
    return found
