"""Columns of a table of runs, and single values: derived from others, checked, or refused.

What follows from what, and what a value must be, is decided here; `remedies` has the words.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from bayescale.common.errors import InputError
from bayescale.language import remedies
from bayescale.language.variables import VARIABLES, Variable, variable

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_values", "derive", "read_columns"]


class _Rule(NamedTuple):
    """How one column follows from others; `barred` names columns beside which it would be wrong."""

    needs: tuple[str, ...]
    formula: Callable[..., Any]
    barred: tuple[str, ...] = ()


# First match wins. The float constants matter: 6 * N * D in 64-bit integers wraps around for any
# run above 9.2e18 FLOP, without a warning.
_RULES: Mapping[str, tuple[_Rule, ...]] = {
    "S": (_Rule(("N", "N_active"), lambda n, active: 1.0 - active / n),),
    "N_active": (_Rule(("N", "S"), lambda n, s: n * (1.0 - s)),),
    "N": (_Rule(("N_active", "S"), lambda active, s: active / (1.0 - s)),),
    "flops": (
        _Rule(("N_active", "D"), lambda active, d: 6.0 * active * d),
        _Rule(("N", "S", "D"), lambda n, s, d: 6.0 * (n * (1.0 - s)) * d),
        # Only a dense network uses all of N; a table that counts experts is not of those.
        _Rule(("N", "D"), lambda n, d: 6.0 * n * d, barred=("experts", "expansion")),
    ),
}


def _rule(name: str, given: Iterable[str]) -> _Rule | None:
    """Return the rule by which `name` follows from the names `given`, if there is one."""
    names = set(given)
    for rule in _RULES.get(name, ()):
        if names.issuperset(rule.needs) and names.isdisjoint(rule.barred):
            return rule
    return None


def derive(name: str, given: Mapping[str, Any]) -> Any | None:
    """Work out an input from others, where its definition allows that.

    `S = 1 - N_active / N` and its two inverses, and `flops = 6 * N_active * D` with `N` standing
    in for `N_active` where nothing says that the network is sparse. Nothing is assumed: a table
    with neither `S` nor `N_active` is not taken to be dense.

    Parameters
    ----------
    name : str
        The input wanted.
    given : mapping of str to float, array, Series or DataArray
        The inputs that are known, in the vocabulary's units and already checked; a `DataFrame`
        or a `Dataset` will do.

    Returns
    -------
    float, array, Series, DataArray or None
        The values, of the kind that arithmetic on `given` produces and always floating point;
        None if they do not follow from `given`.

    Examples
    --------
    >>> from bayescale.language.columns import derive
    >>> derive("S", {"N": 8e9, "N_active": 2e9})
    0.75
    >>> derive("flops", {"N": 70_000_000_000, "D": 1_400_000_000_000})
    5.88e+23
    >>> derive("S", {"N": 8e9}) is None
    True
    """
    rule = _rule(name, given.keys())
    return None if rule is None else rule.formula(*(given[need] for need in rule.needs))


def check_values(
    name: str,
    values: Any,
    *,
    rows: Sequence[Any] | pd.Index | None = None,
    extra: Iterable[Variable] = (),
) -> None:
    """Refuse values that an input cannot have.

    Parameters
    ----------
    name : str
        The input's name.
    values : float, array, Series or DataArray
        Its values, in the vocabulary's unit.
    rows : sequence, optional
        The row labels to report, one for each value. A Series brings its own; without either the
        position is reported.
    extra : iterable of Variable, optional
        What a user's law says of its own inputs.

    Raises
    ------
    InputError
        If a value is missing, infinite, not a number or outside the plausible range. The message
        names the column, the first such row, how many there are, and what to do; it recognises
        counts in millions or billions, per cent, logarithms and text such as "7B".

    Examples
    --------
    >>> from bayescale.language.columns import check_values
    >>> check_values("S", [0.0, 0.5, 0.875])
    >>> check_values("S", [0, 50], rows=["a", "b"])
    Traceback (most recent call last):
    bayescale.common.errors.InputError: column 'S', row 'b': 50 is not below 1 (1 of 2 rows); \
if it is in per cent, divide it by 100
    """
    if rows is None and hasattr(values, "iloc"):
        rows = values.index
    _checked(variable(name, extra), values, rows)


def read_columns(
    runs: pd.DataFrame, names: Iterable[str], *, extra: Iterable[Variable] = ()
) -> dict[str, np.ndarray]:
    """Take the named inputs from a table of runs, deriving and checking them.

    Parameters
    ----------
    runs : pandas.DataFrame
        One row a training run, with columns in the vocabulary and its units.
    names : iterable of str
        The inputs wanted. One without a column is derived from others where `derive` can.
    extra : iterable of Variable, optional
        What a user's law says of its own inputs.

    Returns
    -------
    dict of str to numpy.ndarray
        For each name, one 64-bit float a row, in the vocabulary's unit.

    Raises
    ------
    InputError
        If `runs` is not a DataFrame, has no rows or has two columns of one name; if a name is
        neither a column nor derivable (the message lists the columns and offers a rename); or if
        a value cannot be used, as `check_values` describes.

    Examples
    --------
    >>> import pandas as pd
    >>> from bayescale.language.columns import read_columns
    >>> runs = pd.DataFrame({"N": [8e9], "N_active": [2e9], "D": [10**12]})
    >>> columns = read_columns(runs, ["D", "S", "flops"])
    >>> {name: float(values[0]) for name, values in columns.items()}
    {'D': 1000000000000.0, 'S': 0.75, 'flops': 1.2e+22}
    """
    extra = tuple(extra)
    _check_table(runs)
    present = [str(column) for column in runs.columns]
    columns: dict[str, np.ndarray] = {}

    def read(name: str) -> np.ndarray:
        known = variable(name, extra)
        _check_meaning(known, runs)
        try:
            values = _checked(known, runs[name], runs.index)
        except InputError as error:
            hint = runs.attrs.get("hints", {}).get(error.code, "")
            raise InputError(f"{error}; {hint}", code=error.code) if hint else error from None
        if known.integer:
            _check_whole(known, values, runs.index)
        return values

    for name in names:
        if name in runs.columns:
            columns[name] = read(name)
            continue
        rule = _rule(name, present)
        if rule is None:
            needs = [need for rule in _RULES.get(name, ()) for need in rule.needs]
            sources = [variable(need, extra) for need in needs if need not in present]
            known = variable(name, extra)
            hint = runs.attrs.get("hints", {}).get(name, "")
            said = remedies.missing_column(known, present, VARIABLES, sources, hint)
            raise InputError(said, code="no-column")
        given = {need: columns[need] if need in columns else read(need) for need in rule.needs}
        # Before deriving from them, or the complaint would be about a column nobody wrote.
        _check_active(given, runs.index)
        columns[name] = _checked(
            variable(name, extra),
            rule.formula(*given.values()),
            runs.index,
            note=f" (derived from {' and '.join(rule.needs)})",
        )
    _check_active(columns, runs.index)
    return columns


# --- checks -------------------------------------------------------------------------------------


def _check_meaning(known: Variable, runs: pd.DataFrame) -> None:
    """Refuse a column that was taken for the vocabulary's quantity where a law means another."""
    usual = VARIABLES.get(known.name)
    if usual is None or known.aliases == usual.aliases:
        return
    for one in runs.attrs.get("understood", ()):
        guessed = one["column"] not in ("", known.name) and "as told" not in one["note"]
        if one["name"] == known.name and guessed:
            said = remedies.other_meaning(known, usual, one["column"])
            raise InputError(said, code="which-column")


def _refusal(
    name: str,
    bad: np.ndarray,
    rows: Sequence[Any] | pd.Index | None,
    reason: str,
    remedy: str,
    note: str = "",
    code: str = "out-of-range",
) -> InputError:
    """Put an error together: the column and first row, the reason, how many, the remedy."""
    place, number = remedies.where(name, bad, rows, note), remedies.how_many(bad, rows)
    return InputError(f"{place}: {reason}{number}; {remedy}", code=code)


def _checked(
    known: Variable, values: Any, rows: Sequence[Any] | pd.Index | None, note: str = ""
) -> np.ndarray:
    """Return `values` as 64-bit floats, or raise what `check_values` describes."""
    name, in_table = known.name, rows is not None
    raw = np.asarray(values)
    bad = _not_numbers(raw)
    if bad.any():
        reason, remedy = remedies.not_a_number(name, raw[bad].flat[0], in_table=in_table)
        raise _refusal(name, bad, rows, reason, remedy, note)
    array = _as_float(raw)

    bad = ~np.isfinite(array)
    if bad.any():
        reason, remedy = remedies.no_value(name, array[bad], in_table=in_table)
        raise _refusal(name, bad, rows, reason, remedy, note, code="missing-values")
    for bad, limit in _out_of_range(known, array):
        if bad.any():
            reason = f"{array[bad].flat[0]:.10g} {limit}"
            remedy = remedies.out_of_range(known, array[bad])
            raise _refusal(name, bad, rows, reason, remedy, note)
    return array


def _out_of_range(known: Variable, array: np.ndarray) -> list[tuple[np.ndarray, str]]:
    """Return the values below and above a variable's range, each with the words for it."""
    unit = f" {known.unit}" if known.unit else ""
    low, high = f"{known.low:g}{unit}", f"{known.high:g}{unit}"
    # Infinite values are refused before: an end at infinity, open or not, excludes nothing more.
    return [
        (array <= known.low, f"is not above {low}")
        if known.low_open
        else (array < known.low, f"is below {low}"),
        (array >= known.high, f"is not below {high}")
        if known.high_open
        else (array > known.high, f"is above {high}"),
    ]


def _check_whole(known: Variable, values: np.ndarray, rows: pd.Index) -> None:
    bad = values != np.round(values)
    if bad.any():
        reason = f"{values[bad][0]:.10g} is not a whole number"
        raise _refusal(known.name, bad, rows, reason, f"give the number of {known.name} of the run")


def _check_active(columns: Mapping[str, np.ndarray], rows: pd.Index) -> None:
    if "N" not in columns or "N_active" not in columns:
        return
    active, total = columns["N_active"], columns["N"]
    bad = active > total
    if bad.any():
        reason = f"{active[bad][0]:.10g} exceeds the total, N = {total[bad][0]:.10g}"
        remedy = "count both alike, embeddings in or out; or the columns are swapped"
        raise _refusal("N_active", bad, rows, reason, remedy)


def _check_table(runs: Any) -> None:
    if not (hasattr(runs, "columns") and hasattr(runs, "iloc")):
        raise InputError(remedies.not_a_table(runs))
    repeated = runs.columns[runs.columns.duplicated()].unique()
    if len(repeated):
        listed = ", ".join(repr(column) for column in repeated)
        raise InputError(
            f"the table has more than one column {listed}; keep the first of each with "
            "runs.loc[:, ~runs.columns.duplicated()], or rename the others"
        )
    if len(runs) == 0:
        raise InputError(
            "the table has no rows; if a filter removed them all, loosen it, and if it was read "
            "from a file, check that the file has more than a header"
        )


# --- numbers ------------------------------------------------------------------------------------


def _not_numbers(raw: np.ndarray) -> np.ndarray:
    """Mark what is neither a real number nor a missing one; truth values and text are neither."""
    if raw.dtype.kind in "iuf":
        return np.zeros(raw.shape, dtype=bool)
    if raw.dtype.kind != "O":
        return np.ones(raw.shape, dtype=bool)
    flags = [not _is_missing(value) and not _is_number(value) for value in raw.flat]
    return np.array(flags, dtype=bool).reshape(raw.shape)


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_missing(value: Any) -> bool:
    # By name, so that pandas need not be imported to recognise its markers.
    return value is None or type(value).__name__ in {"NAType", "NaTType"}


def _as_float(raw: np.ndarray) -> np.ndarray:
    if raw.dtype.kind != "O":
        return raw.astype(np.float64)
    values = [math.nan if _is_missing(value) else float(value) for value in raw.flat]
    return np.array(values, dtype=np.float64).reshape(raw.shape)
