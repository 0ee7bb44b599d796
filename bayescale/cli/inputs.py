"""What the command line is given: numbers, laws, cost models, tables of runs, and saved fits."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayescale.common.errors import InputError
from bayescale.common.quantities import parse_number
from bayescale.fitting.files import about_saved
from bayescale.language.law import Law

if TYPE_CHECKING:
    import pandas as pd

    from bayescale.decisions.budgets import Budget
    from bayescale.fitting.fits import Fit


# --- numbers --------------------------------------------------------------------------------------


def number(name: str, text: str) -> float:
    """The number given for an option or an input."""
    try:
        return parse_number(text)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None


def flop_budget(text: str, name: str = "--budget") -> Budget:
    """The budget given for an option, its factors said on standard error."""
    from bayescale.cli.output import message
    from bayescale.decisions.budgets import parse_budget

    try:
        found = parse_budget(text)
    except InputError as error:
        raise InputError(f"{name}: {error}", code=error.code) from None
    if found.words:
        message("budget", found.words, "dim")
    return found


def whole(name: str, text: str, most: int | None = None) -> int:
    """The whole number given for an option."""
    value = number(name, text)
    if value != int(value) or value < 0:
        raise InputError(f"{name}: {text!r} is not a whole number of at least 0")
    # Long ones, such as seeds, have more digits than a float.
    exact = int(text) if text.strip().isdecimal() else int(value)
    if most is not None and exact > most:
        raise InputError(f"{name}: {text} is more than {most}")
    return exact


def assignments(what: str, given: Sequence[str]) -> dict[str, list[float]]:
    """Numbers by name from ``NAME=VALUE`` or ``NAME=VALUE,VALUE``.

    Examples
    --------
    >>> assignments("--choose", ["G=1,2", "S=0.5"])
    {'G': [1.0, 2.0], 'S': [0.5]}
    """
    return {
        name: [number(f"{what} {name}", part) for part in text.split(",")]
        for name, text in _pairs(what, given, "NAME=VALUE").items()
    }


def single(what: str, given: Sequence[str]) -> dict[str, float]:
    """Numbers by name from ``NAME=VALUE``, one each."""
    found = assignments(what, given)
    for name, values in found.items():
        if len(values) > 1:
            raise InputError(f"{what} {name} takes one value, not {len(values)}")
    return {name: values[0] for name, values in found.items()}


def estimates(what: str, given: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Values and their standard deviations by name from ``NAME=VALUE±SD``.

    Examples
    --------
    >>> estimates("--prior", ["E=1.6±0.1", "alpha=0.3 +/- 0.05"])
    {'E': (1.6, 0.1), 'alpha': (0.3, 0.05)}
    """
    found = {}
    for name, text in _pairs(what, given, "NAME=VALUE±SD").items():
        parts = re.split(r"\s*(?:±|\+/-|\+-)\s*", text)
        if len(parts) != 2:
            raise InputError(
                f"{what} {name}: {text!r} does not say how sure it is, as in {name}={text}±0.1; to "
                f"hold it at the value give --fixed {name}={text}"
            )
        value, sd = (number(f"{what} {name}", part) for part in parts)
        if sd <= 0:
            raise InputError(f"{what} {name}: a standard deviation is above zero, not {parts[1]}")
        found[name] = value, sd
    return found


def bounds(given: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Lowest and highest values by name from ``NAME=LOW:HIGH``, either of which may be left out.

    Examples
    --------
    >>> bounds(["N=1B:70B", "D=:2T"])
    {'N': (1000000000.0, 70000000000.0), 'D': (5e-324, 2000000000000.0)}
    """
    found = {}
    for name, text in _pairs("--bounds", given, "NAME=LOW:HIGH").items():
        low, colon, high = text.partition(":")
        if not colon or not (low or high):
            raise InputError(f"--bounds {name}: {text!r} is not LOW:HIGH, such as 1B:70B or :70B")
        found[name] = (
            number(f"--bounds {name}", low) if low else 5e-324,
            number(f"--bounds {name}", high) if high else float("inf"),
        )
    return found


def _pairs(what: str, given: Sequence[str], form: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name.isidentifier() and equals and value):
            raise InputError(f"{what}: {text!r} is not {form}")
        if name in found:
            raise InputError(f"{what}: {name!r} is given twice")
        found[name] = value
    return found


# --- laws and cost models -------------------------------------------------------------------------


def find_law(where: str) -> Law:
    """A law by its name in the package, or ``FILE.py:NAME`` or ``MODULE:NAME``, which are run."""
    from bayescale.models import laws

    if ":" not in where and not where.endswith(".py"):
        return _built_in("law", where, laws(), "path/to/file.py:NAME for one of your own")
    module, name = _module_of(where)
    if name:
        found = getattr(module, name, None)
        if not isinstance(found, Law):
            wrong = "missing" if found is None else "not a law"
            raise InputError(f"{where}: {name!r} is {wrong}; {_laws_in(module)}")
        return found
    laws_there = [value for value in vars(module).values() if isinstance(value, Law)]
    own = [one for one in laws_there if one.function.__module__ == module.__name__]
    if len(own) != 1:
        raise InputError(f"{where} does not say which law; {_laws_in(module)}")
    return own[0]


def find_cost(where: str) -> Callable[..., Any]:
    """A cost model by its name in ``bayescale.cost``, or ``FILE.py:NAME`` or ``MODULE:NAME``."""
    from bayescale import cost

    if ":" not in where:
        known = {name: getattr(cost, name) for name in cost.__all__}
        return _built_in("cost model", where, known, "path/to/file.py:NAME for one of your own")
    module, name = _module_of(where)
    found = getattr(module, name, None)
    if not callable(found):
        raise InputError(f"{where}: there is no function {name!r}")
    return found


def _built_in[Kind](what: str, name: str, known: Mapping[str, Kind], else_: str) -> Kind:
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    raise InputError(
        f"there is no {what} {name!r}; {meant}there are {', '.join(known)}; or give {else_}"
    )


def _laws_in(module: Any) -> str:
    held = [name for name, value in vars(module).items() if isinstance(value, Law)]
    return (
        f"it has the laws {', '.join(held)}" if held else "it has no laws: decorate one with @law"
    )


def _module_of(where: str) -> tuple[Any, str]:
    source, colon, name = where.rpartition(":")
    if not colon or name.endswith(".py"):
        source, name = where, ""
    if not source.endswith(".py"):
        # Console scripts do not look for modules where they are run.
        with _importing(source, Path.cwd()):
            return importlib.import_module(source), name
    path = Path(source)
    if not path.is_file():
        raise InputError(f"there is no file {source}")
    # A name of its own, so that a file called json.py or dense.py hides no module.
    called = f"bayescale_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(called, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[called] = module
    with _importing(source, path.parent):
        spec.loader.exec_module(module)
    return module, name


@contextmanager
def _importing(source: str, folder: Path) -> Iterator[None]:
    """Report what goes wrong in somebody's code as what it is, and look beside it for modules."""
    sys.path.insert(0, str(folder.resolve()))
    try:
        yield
    except InputError as error:
        raise InputError(f"{source}: {error}") from error
    except (Exception, SystemExit) as error:
        at = error.__traceback__
        while at is not None and at.tb_next is not None:
            at = at.tb_next
        line = f" at line {at.tb_lineno} of {at.tb_frame.f_code.co_filename}" if at else ""
        if isinstance(error, ModuleNotFoundError) and error.name == source.split(".")[0]:
            line = ""
        raise InputError(
            f"{source} cannot be imported: {type(error).__name__}{line}: {error}"
        ) from error
    finally:
        sys.path.remove(str(folder.resolve()))


# --- tables of runs -------------------------------------------------------------------------------


def read_runs(
    source: str,
    where: str | None = None,
    *,
    columns: Sequence[str] | None = None,
    checkpoints: str | None = None,
    tail: float | None = None,
    needs: bool | Sequence[str] = False,
    best_of: str | None = None,
    across: str | None = None,
    sizes: str | None = None,
) -> pd.DataFrame:
    """A table of runs: a file, ``-`` for standard input, or one of the package by name.

    The rest is what the options of these names give, for files; ``needs`` says whether to drop rows
    that lack values, or which quantities they may not lack.
    """
    path = Path(source)
    given: dict[str, Any] = {"--column": columns or None, "--checkpoints": checkpoints}
    given |= {"--tail": tail, "--drop-missing": needs or None, "--best-of": best_of}
    given |= {"--across": across, "--sizes": sizes}
    if source != "-" and not path.suffix and not path.exists() and path.name == source:
        from bayescale.tables.bundled import list_runs, load_runs

        known = list(list_runs().index)
        if source not in known:
            near = difflib.get_close_matches(source, known, n=1, cutoff=0.4)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise InputError(
                f"there is neither a file nor a table {source!r}{meant} "
                f"(tables: {', '.join(known)})",
                code="no-file",
            )
        if idle := [option for option, value in given.items() if value is not None]:
            raise InputError(f"{idle[0]} is about a file; {source} is a table of the package")
        return _where(load_runs(source), where)
    from bayescale.tables.curves import TAIL
    from bayescale.tables.reading import read_runs as read

    return read(
        source,
        # A column's name may hold anything, an equals sign too.
        columns=_pairs("--column", columns or [], "NAME=COLUMN"),
        where=where,
        drop_missing=needs,
        best_of=[name.strip() for name in best_of.split(",")] if best_of else (),
        across=across,
        sizes=sizes,
        checkpoints=checkpoints or "refuse",
        tail=TAIL if tail is None else tail,
    )


def show_understood(runs: pd.DataFrame) -> None:
    """Say on standard error how a file's columns were understood."""
    from bayescale.cli.output import message
    from bayescale.common.quantities import format_number

    if "understood" not in runs.attrs:
        return
    message("read", f"{runs.attrs['name']}, {len(runs)} runs", "dim")
    for one in runs.attrs["understood"]:
        source = f"from column {one['column']!r}" if one["column"] else "worked out:"
        if one["note"]:
            source += f" ({one['note']})" if one["column"] else f" {one['note']}"
        write = (lambda x: f"{x:.4g}") if one["name"] == "loss" else format_number
        ends = [write(one[end]) for end in ("low", "high") if end in one]
        unit = f" {one['unit']}" if one["unit"] else ""
        spread = f": {' to '.join(dict.fromkeys(ends))}{unit}" if ends else ""
        message("read", f"{one['name']} {source}{spread}", "dim")
    for note in filter(None, runs.attrs["notes"].split("\n")):
        message("note", note, "dim")


def _where(runs: pd.DataFrame, where: str | None) -> pd.DataFrame:
    """The rows of one of the package's tables that a query keeps."""
    from bayescale.tables.rows import selected

    if where is None:
        return runs
    kept = runs[selected(runs, runs, where)]
    kept.attrs = dict(runs.attrs) | {"where": where}
    return kept


# --- files and saved fits -------------------------------------------------------------------------


def check_place(path: Path, otherwise: str, folder: str = "it is a folder") -> None:
    """Make sure that there can be a file of a name, before any work is done for it."""
    if path.is_dir():
        raise InputError(f"{otherwise}: {folder}")
    if not path.parent.is_dir():
        raise InputError(f"{otherwise}: the folder {path.parent} does not exist")


def open_fit(path: Path, law: Law | None = None, group: str | None = None) -> Fit:
    """Read a saved fit, whose law is given or one of the package's, and take one of its groups."""
    from bayescale.fitting.fits import FORMAT, load_fit
    from bayescale.fitting.groups import group as one_group
    from bayescale.models import laws

    if law is None:
        about = about_saved(path) or {}
        known = about.get("format") == FORMAT and isinstance(about.get("law"), str)
        if known and about["law"] not in laws():
            raise InputError(
                f"{path} holds a fit of {about.get('signature')}, which is not one of the "
                f"package's laws; give it with --law path/to/file.py:{about.get('law')}"
            )
    fit = load_fit(path, law)
    return fit if group is None else one_group(fit, group)


def open_one(path: Path, law: Law | None, group: str | None) -> Fit:
    """Read a fit as --law and --group say, for what needs one set of coefficients."""
    fit = open_fit(path, law, group)
    check_ungrouped(fit, path)
    return fit


def open_fits(paths: Sequence[Path], laws: Sequence[Law] = ()) -> dict[str, Fit]:
    """Read different fits by name, each with whichever of some laws it is a fit of."""
    names = [path.stem for path in paths]
    if len(set(names)) < len(names):
        names = [str(path) for path in paths]
    if len(set(names)) < len(names):
        raise InputError("the same file is given twice; a comparison is of different fits")
    own = {law.name: law for law in laws}
    return {
        name: open_fit(path, own.get(str((about_saved(path) or {}).get("law"))))
        for name, path in zip(names, paths, strict=True)
    }


def check_ungrouped(fit: Fit, path: Path) -> None:
    """Refuse a fit with groups where one is needed."""
    by = fit.about.get("by")
    if by:
        levels = ", ".join(map(str, fit.posterior[by].values))
        raise InputError(f"{path} has coefficients by {by!r}; choose a --group: {levels}")


def check_fit_path(path: Path, *, force: bool = False) -> None:
    """Make sure that a fit can be saved, before any work is done for it.

    An earlier fit is replaced; any other file only with ``force``.
    """
    check_place(path, f"cannot save to {path}", "it is a folder; name a file in it")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"cannot save to {path}: the folder {path.parent} may not be written to")
    if path.exists() and not force and about_saved(path) is None:
        raise InputError(
            f"{path} exists and is not a bayescale fit; give another name, or --force to replace it"
        )
