"""What ``bayescale laws`` and ``bayescale runs`` say of what comes with the package."""

from __future__ import annotations

import inspect
import itertools
import re
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from bayescale.cli.output import aside, say, show
from bayescale.common.quantities import format_number
from bayescale.language.docstrings import parameters
from bayescale.language.law import Law
from bayescale.language.variables import variable

if TYPE_CHECKING:
    import pandas as pd

# --- laws ---------------------------------------------------------------------------------------


def laws_document(laws: Mapping[str, Law]) -> dict[str, Any]:
    """The laws as one JSON document."""
    return {
        "laws": [
            {
                "name": law.name,
                "summary": plain_math(law.summary),
                "inputs": list(law.inputs),
                "coefficients": list(law.coefficients),
                "published": list(law.published),
            }
            for law in laws.values()
        ]
    }


_OF_A_SET = ("source", "certainty", "note", "values", "errors")


def law_document(law: Law) -> dict[str, Any]:
    """One law as a JSON document: formula, inputs, priors, published sets, cost model."""
    described = _parameters(law.__doc__ or "")
    module = sys.modules.get(law.function.__module__)
    about = inspect.getdoc(module) if module is not None else None
    return {
        "name": law.name,
        "summary": plain_math(law.summary),
        "description": plain_math(about or inspect.getdoc(law.function) or ""),
        "inputs": {
            one.name: {"unit": one.unit, "description": described.get(one.name) or one.description}
            for one in (variable(name, law.variables) for name in law.inputs)
        },
        "coefficients": {
            name: {"prior": str(prior), "description": described.get(name, "")}
            for name, prior in law.priors.items()
        },
        "published": {
            name: {key: getattr(found, key) for key in _OF_A_SET}
            for name, found in law.published.items()
        },
        "cost": _cost_document(law.cost),
    }


def _cost_document(cost: Callable[..., Any] | None) -> dict[str, str] | None:
    if cost is None:
        return None
    name = getattr(cost, "__name__", str(cost))
    parameters = []
    for parameter in inspect.signature(cost).parameters.values():
        default = "" if parameter.default is parameter.empty else f"={parameter.default:.4g}"
        parameters.append(f"{parameter.name}{default}")
    summary = plain_math((inspect.getdoc(cost) or "").split("\n")[0])
    return {"name": name, "signature": f"{name}({', '.join(parameters)})", "summary": summary}


def show_laws(document: Mapping[str, Any]) -> None:
    """The laws as a list for people."""
    for law in document["laws"]:
        say(f"{law['name']}({', '.join(law['inputs'])}; {', '.join(law['coefficients'])})", "bold")
        say(law["summary"], indent=4)
        if law["published"]:
            say(f"published: {', '.join(law['published'])}", indent=4)
    say()
    aside(
        "Inputs before the semicolon, coefficients after it. bayescale laws NAME shows what they "
        "mean, their priors and published values."
    )


def show_law(document: Mapping[str, Any]) -> None:
    """One law for people."""
    say(f"{document['name']}({', '.join(document['inputs'])})", "bold")
    say()
    for paragraph in document["description"].split("\n\n"):
        formula = paragraph.startswith(" ")
        say(" ".join(paragraph.split()), indent=4 if formula else 0)
        say()
    show(
        ["input", "unit", "what it is"],
        [[n, x["unit"], x["description"]] for n, x in document["inputs"].items()],
        left=["input", "unit", "what it is"],
    )
    say()
    rows = [[n, x["prior"], x["description"]] for n, x in document["coefficients"].items()]
    for above, row in reversed(list(itertools.pairwise(rows))):
        if row[2] and row[2] == above[2]:
            row[2] = '"'
    heads = ["coefficient", "prior", "what it is"]
    show(heads, rows, left=heads)
    for name, found in document["published"].items():
        say()
        say(f"published: {name}", "bold")
        errors = found["errors"]
        values = [
            f"{n} = {v:.6g}" + (f" ± {errors[n]:.4g}" if n in errors else "")
            for n, v in found["values"].items()
        ]
        say(", ".join(values), indent=2)
        read = f" (read from: {found['certainty']})" if found["certainty"] else ""
        say(f"{found['source']}{read}", indent=2)
        if found["note"]:
            say(found["note"], indent=2)
    say()
    if document["cost"]:
        say(f"cost model: {document['cost']['signature']}", "bold")
        say(document["cost"]["summary"], indent=2)
    else:
        say("cost model: none; allocate and decide need --cost", "bold")


def _parameters(docstring: str) -> dict[str, str]:
    """What a docstring says of inputs and coefficients, as it would be typed."""
    return {name: plain_math(text) for name, text in parameters(docstring).items()}


# --- tables of runs -----------------------------------------------------------------------------


def tables_document() -> dict[str, Any]:
    """The package's tables as one JSON document."""
    from bayescale.tables.bundled import list_runs

    return {"tables": list_runs().reset_index().to_dict("records")}


def table_document(runs: pd.DataFrame) -> dict[str, Any]:
    """A table as one JSON document."""
    about = runs.attrs
    head = {key: about.get(key, "") for key in ("name", "title", "source", "citation", "terms")}
    notes = [note for note in about.get("notes", "").split("\n") if note]
    units = {str(column): about.get("units", {}).get(column, "") for column in runs.columns}
    # Column by column, so that whole numbers stay whole.
    columns = {str(name): values.tolist() for name, values in runs.items()}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return {**head, "notes": notes, "units": units, "rows": rows}


def show_tables(document: Mapping[str, Any]) -> None:
    """The package's tables for people."""
    for table in document["tables"]:
        say(f"{table['name']}  ({table['rows']} rows)", "bold")
        say(f"{table['what']}", indent=4)
        say(f"identifies {table['identifies']}", indent=4)
        say(f"{table['source']}", indent=4)
    aside("")
    aside("bayescale runs TABLE prints one; bayescale fit TABLE --law LAW fits one.")


def show_table(document: Mapping[str, Any]) -> None:
    """A table for people."""
    if document["title"]:
        aside(f"{document['title']}. {document['source']}. Terms: {document['terms']}.")
        for note in document["notes"]:
            aside(f"- {note}")
        aside("")
    columns = list(document["rows"][0])
    words = [name for name in columns if isinstance(document["rows"][0][name], str)]
    cells = [[_cell(name, row[name]) for name in columns] for row in document["rows"]]
    show(columns, cells, left=words, droppable=True)


def _cell(column: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value != value or type(value).__name__ in ("NAType", "NaTType"):
        return "-"
    if isinstance(value, float):
        return f"{value:.4f}" if column == "loss" else format_number(value, 4)
    return str(value)


# --- text ---------------------------------------------------------------------------------------


def plain_math(text: str) -> str:
    r"""Formulas of a docstring as they would be typed.

    Examples
    --------
    >>> plain_math(r"Hoffmann 2022: :math:`E + A N^{-\alpha} + B D^{-\beta}`.")
    'Hoffmann 2022: E + A N^-alpha + B D^-beta.'
    """
    text = re.sub(r":math:`([^`]*)`", lambda found: _typed(found[1]), text)
    text = re.sub(
        r"^\.\. math:: *(.*(?:\n[ \t]+\S.*)*)",
        lambda found: "    " + re.sub(r"\s*\n\s*", " ", _typed(found[1])),
        text,
        flags=re.MULTILINE,
    )
    text = re.sub(r":\w+:`~?([^`]*)`", r"\1", text)
    return re.sub(r"``|\*\*|(?<!\S)\*(?=\w)|(?<=\w)\*(?=[\s.,;:)])", "", text)


def _typed(formula: str) -> str:
    formula = re.sub(r"\\(?:left|right|[bB]igg?[lr]?)(?![a-zA-Z])|\\!", "", formula)
    formula = re.sub(r"\\(?:[,;]|q?quad)", " ", formula)
    formula = re.sub(r"(?<=[\w)])\\(?=[a-zA-Z])", r" \\", formula)
    formula = re.sub(r"\\hat *(?:\{(\w)\}|(\w))", r"\1\2_hat", formula)
    for command, typed in (("propto", "~"), ("approx", "~"), ("ldots", "..."), ("cdot", "")):
        formula = formula.replace(f"\\{command}", typed)
    formula = re.sub(r"\\([a-zA-Z]++) ?(?=[a-zA-Z0-9\\])", r"\1 ", formula)
    formula = re.sub(r"\\([a-zA-Z]+)", r"\1", formula)
    for _ in range(3):  # from the inside out
        formula = re.sub(r"frac *\{([^{}]*)\} *\{([^{}]*)\}", r"(\1)/(\2)", formula)
        formula = re.sub(r"\^\{\s*(-?\s*[\w.]+)\s*\}(?=\w)", r"^\1 ", formula)
        formula = re.sub(r"\^\{\s*(-?\s*[\w.]+)\s*\}", r"^\1", formula)
        formula = re.sub(r"\^\{\s*([^{}]*?)\s*\}", r"^(\1)", formula)
        formula = re.sub(r"_\{([^{}]*)\}", r"_\1", formula)
        formula = re.sub(r"(?<![\w)])\((\w+)\)(?=/)|(?<=/)\((\w+)\)", r"\1\2", formula)
    return re.sub(r" {2,}", " ", formula).strip()
