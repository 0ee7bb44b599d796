"""The commands ``laws``, ``runs`` and ``fit``: from a table of runs to a saved fit."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bayescale.cli import options as opt
from bayescale.common.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from bayescale.language.law import Law

__all__ = ["fit", "laws", "runs"]


def laws(
    law: opt.LawToList = None,
    out: opt.Printed = opt.Printed(),
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
    from bayescale.cli.lists import law_document, laws_document, show_law, show_laws

    if law is not None:
        document = law_document(law)
        rows = [{"coefficient": key, **entry} for key, entry in document["coefficients"].items()]
        for row in rows:
            sets = document["published"].items()
            row |= {key: found["values"][row["coefficient"]] for key, found in sets}
        out.show(document, rows, show_law)
    else:
        from bayescale.models import laws as built_in

        document = laws_document(built_in())
        out.show(document, document["laws"], show_laws)


def runs(
    name: opt.TableToList = None,
    output: opt.CsvFile = None,
    rows: opt.Rows = opt.Rows(),
    force: opt.Force = False,
    out: opt.Printed = opt.Printed(),
) -> None:
    """List the tables of published training runs, or print one.

    For example:

      bayescale runs
      bayescale runs olmo_ladder
      bayescale runs olmo_ladder --where "target == False" --csv -o runs.csv

    JSON: tables, each with name, rows, what, identifies, source and terms; for one table: name,
    title, source, citation, terms, notes, units and rows.
    """
    from bayescale.cli.inputs import show_understood
    from bayescale.cli.lists import show_table, show_tables, table_document, tables_document
    from bayescale.cli.output import as_csv, as_json, write_file

    if name is None:
        if rows.where is not None or output is not None:
            raise InputError("--where and -o are about one table; name it")
        document = tables_document()
        out.show(document, document["tables"], show_tables)
        return
    table = rows.read(name)
    show_understood(table)
    document = table_document(table)
    if output is not None:
        text = as_json(document) if out.json else as_csv(document["rows"])
        write_file(output, f"{text}\n".encode(), force=force)
    else:
        out.show(document, document["rows"], show_table)


def fit(
    table: opt.Table,
    law: opt.LawToFit = None,
    output: opt.SavedFit = None,
    rows: opt.Rows = opt.Rows(),
    calibrated: opt.Calibrated = False,
    noise: opt.Noise = None,
    discrepancy: opt.Discrepancy = None,
    weights: opt.Weights = None,
    error: opt.Error = None,
    method: opt.Method = "nuts",
    fixed: opt.Held = None,
    known: opt.Known = None,
    prior_from: opt.PriorFrom = None,
    every_count: opt.EveryCount = None,
    by: opt.By = None,
    vary: opt.Vary = None,
    draws: opt.Draws = 1000,
    tune: opt.Tune = 500,
    chains: opt.Chains = 4,
    seed: opt.Seed = 0,
    prob: opt.Prob = 0.9,
    force: opt.Force = False,
    out: opt.Printed = opt.Printed(),
) -> None:
    """Fit a law to training runs: its posterior, with diagnostics.

    Without --law the law is chosen by the table's columns and calibrated to predict beyond them.

    A table has one row a run: the law's inputs (N, D and so on) and loss in nats, or perplexity.
    Headers of experiment trackers (n_params, train/tokens, val_loss ...) and numbers such as 7B
    are understood, and what was understood is printed; loss curves become one row a run. For a
    file to start from see bayescale template.

    For example:

      bayescale fit runs.csv -o fit.nc
      bayescale fit runs.csv --law dense -o fit.nc
      bayescale fit runs.csv --law dense --every-count 1e21
      bayescale fit sweep.csv --law dense --column N=size*1e9 --column run=trial -o fit.nc
      bayescale fit olmo_ladder --law dense --where "target == False" -o fit.nc
      bayescale fit runs.csv --law coupled --calibrated -o fit.nc
      bayescale fit runs.csv --law mine.py:my_law --noise normal -o mine.nc
      bayescale fit three.csv --law dense --prior-from besiroglu2024 -o few.nc
      bayescale fit gadre2024 --law dense --by corpus --vary E --vary A -o by_corpus.nc

    An earlier fit is replaced, another file only with --force. If the sampler's diagnostics fail,
    there is a warning and the exit code is still 0. JSON: law, noise, simulated, table, runs,
    seed, saved, diagnostics (ok, divergences, rhat, ess_bulk, ess_tail, ...), units, coefficients
    and noise_parameters (median, lower, upper), published_coefficients; with --every-count counts
    (column, count, the plan's inputs, expected_loss, ...) and counts_reading.
    """
    from bayescale.cli.inputs import check_fit_path, estimates, show_understood, single
    from bayescale.cli.law_choice import choose_law
    from bayescale.cli.output import message
    from bayescale.language.columns import read_columns

    held: dict[str, Any] = dict(single("--fixed", fixed or []))
    told = estimates("--prior", known or [])
    needed = (*(law.inputs if law else ("N", "D")), "loss")
    if both := sorted(set(held) & set(told)):
        raise InputError(f"--fixed and --prior both name {both[0]}; give one of them")
    if output is not None:
        check_fit_path(output, force=force)
    runs = rows.read(table, needed)
    if law is None:
        law, calibrated = choose_law(runs), True
        needed = (*law.inputs, "loss")
    read_columns(runs, needed, extra=law.variables)
    priors = _priors(law, runs, prior_from, told) | held
    show_understood(runs)
    tables = _every_count(table, rows, needed, runs) if every_count else {}

    from bayescale.cli.results import fit_document, fit_records, show_fit
    from bayescale.fitting.inference import CALIBRATED
    from bayescale.fitting.inference import fit as sample

    options: dict[str, Any] = dict(CALIBRATED) if calibrated else {}
    given: dict[str, Any] = {"noise": noise, "discrepancy": discrepancy}
    given |= {"weights": weights, "error": error}
    options |= {name: value for name, value in given.items() if value is not None}
    options |= {"method": method, "by": by, "vary": tuple(vary or ()), "priors": priors or None}
    options |= {"draws": draws, "tune": tune, "chains": chains, "seed": seed}
    fitted = sample(law, runs, **options)
    if output is not None:
        fitted.save(output)
    document = fit_document(fitted, prob, None if output is None else str(output))
    if every_count:
        from bayescale.decisions.counts import plan_by_count

        counted = plan_by_count(law, tables, every_count.flops, **options)
        document["counts"] = [{"column": name, **row} for name, row in counted.T.to_dict().items()]
        document["counts_reading"] = counted.attrs["reading"]
    if len(priors) > len(held) or len(runs) < 2 * len(law.coefficients):
        from bayescale.checking.prior_overlap import prior_overlap

        message("priors", prior_overlap(fitted).attrs["reading"], "dim")
    out.show(document, fit_records(document), show_fit)
    if output is None:
        message("note", "the fit was not saved; name a file with -o to use it again", "dim")


def _every_count(
    table: str, rows: opt.Rows, needed: Sequence[str], runs: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """The table read with each of its counts."""
    from bayescale.tables.counts import readings

    def read(columns: Mapping[str, str]) -> pd.DataFrame:
        if table == "-":
            raise InputError("--every-count reads the table several times; give a file")
        told = [*(rows.columns or []), *(f"{name}={column}" for name, column in columns.items())]
        return dataclasses.replace(rows, columns=told).read(table, needed)

    return readings(runs, read)


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
