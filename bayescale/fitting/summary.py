"""A fit as a notebook shows it: its law, its runs, its coefficients, and whether to trust it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescale.fitting.judging import judged
from bayescale.language.law import Law

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["as_html"]

_ENDS = (0.5, 0.05, 0.95)


def as_html(law: Law, tree: xr.DataTree, coefficients: xr.Dataset, units: str) -> str:
    """A table of the coefficients under a line about the fit.

    Parameters
    ----------
    law, tree
        Of the fit.
    coefficients
        Their draws.
    units
        What these are in: ``"raw"`` or ``"reference"``.
    """
    about = json.loads(tree.attrs["bayescale"])
    inputs = ", ".join(law.inputs)
    head = f"<b>{escape(law.name)}</b>({escape(inputs)}): {escape(_runs(tree, about))}"
    published = bool(about.get("published"))
    columns = ["coefficient", "value"] if published else ["coefficient", "median", "90 % interval"]
    rows = []
    for name, draws in _each(coefficients, about.get("by")):
        middle, low, high = (f"{x:.4g}" for x in np.quantile(draws, _ENDS))
        rows.append([name, middle] if published else [name, middle, f"{low} to {high}"])
    lines = ["<tr>" + "".join(f"<th>{escape(x)}</th>" for x in columns) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{escape(x)}</td>" for x in row) + "</tr>" for row in rows]
    what = "as in the paper" if units == "raw" else "counts over their geometric mean"
    foot = f"{units} units ({what}). {_verdict(tree, about)}"
    return f"<div>{head}<table>{''.join(lines)}</table>{escape(foot)}</div>"


def _runs(tree: xr.DataTree, about: dict[str, Any]) -> str:
    if about.get("published"):
        return f"published coefficients, {about['source']}"
    if about.get("method") == "prior":
        return f"{tree['posterior'].sizes['draw']} draws of the prior"
    kind = "simulated runs" if about.get("simulated") else "runs"
    table = f" of {about['table']}" if about.get("table") else ""
    draws = tree["posterior"].sizes
    return (
        f"{tree['runs'].sizes['run']} {kind}{table}, {about.get('noise')} noise, "
        f"{draws['chain']} x {draws['draw']} draws"
    )


def _each(coefficients: xr.Dataset, by: str | None) -> Iterator[tuple[str, np.ndarray]]:
    for name, draws in coefficients.data_vars.items():
        if by in draws.dims:
            for level in draws[by].values:
                yield f"{name}[{level}]", draws.sel({by: level}).values
        else:
            yield str(name), draws.values


def _verdict(tree: xr.DataTree, about: dict[str, Any]) -> str:
    if "sample_stats" not in tree:
        return ""
    table = judged(
        tree["posterior"].to_dataset(), tree["sample_stats"].to_dataset(), about.get("by")
    )
    if table.attrs["ok"]:
        return "Diagnostics passed."
    wrong = ", ".join(map(str, table.index[~table.ok][:3]))
    return f"Diagnostics FAILED{f' ({wrong})' if wrong else ''}: see bs.diagnose(fit)."
