"""Directives that write pages from what is there already: code, docstrings and measured results.

``{example} NAME`` is an example of ``examples/``: its question, prose, figure, output and code.
``.. laws::`` is every law of the package: formula, letters, priors and published coefficients;
``{thumbnails}`` every picture of the gallery;
``.. inputs::`` the vocabulary of their inputs. ``{results} FILE.csv`` is a table of
``benchmarks/results/``, with a line ``column = heading`` for each column shown.
"""

import ast
import csv
import re
import sys
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from numpydoc.docscrape import NumpyDocString
from sphinx.util.docutils import SphinxDirective

HERE = Path(__file__).parents[1]
EXAMPLES = HERE.parent / "examples"
RESULTS = HERE.parent / "benchmarks" / "results"
CERTAINTY = {
    "full text": "read in the paper",
    "official code": "read in the authors' code",
    "third-party code": "read in other people's code",
    "notes": "read in notes on the paper",
    "second-hand": "second-hand",
    "refit": "fitted here to the authors' runs",
}


class Example(SphinxDirective):
    """The page of one example."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        path = EXAMPLES / f"{name}.py"
        self.env.note_dependency(str(path))
        question, _, prose = ast.get_docstring(ast.parse(path.read_text("utf-8"))).partition("\n\n")
        parts = [f"# {' '.join(question.split())}", prose]
        if (HERE / "gallery" / f"{name}.svg").is_file():
            parts.append(f"![what {name}.py draws](/gallery/{name}.svg)")
        if (HERE / "gallery" / f"{name}.txt").is_file():
            parts.append(
                f"## What it prints\n\n```{{literalinclude}} /gallery/{name}.txt\n"
                ":language: text\n```"
            )
        parts.append(
            f"## The script\n\n```{{literalinclude}} /../examples/{name}.py\n"
            ":language: python\n:start-at: import sys\n```"
        )
        return self.parse_text_to_nodes("\n\n".join(parts), allow_section_headings=True)


class Thumbnails(SphinxDirective):
    """A picture for each plot and each example, which leads to its page."""

    def run(self) -> list[nodes.Node]:
        gallery = HERE / "gallery"
        self.env.note_dependency(str(gallery))
        grid = nodes.container(classes=["thumbnails"])
        for path in sorted(gallery.glob("*.svg"), key=lambda one: one.stem.startswith("plot_")):
            name = path.stem
            if name.startswith("plot_"):
                target = f"../plots.html#{name.replace('_', '-')}"
            else:
                target = f"{name}.html"
            words = name.replace("_", " ")
            picture = nodes.image(uri=f"/gallery/{path.name}", alt=words)
            link = nodes.reference("", "", picture, refuri=target)
            grid += nodes.figure("", link, nodes.caption("", words))
        return [grid]


class Inputs(SphinxDirective):
    """The vocabulary of inputs."""

    def run(self) -> list[nodes.Node]:
        from bayescale import VARIABLES

        rows = [
            (f"``{one.name}``", one.unit or "(a number)", one.description)
            for one in VARIABLES.values()
        ]
        text = listed("letters", "20 20 60", ("input", "unit", "meaning"), rows)
        return self.parse_text_to_nodes("\n".join(text))


class Laws(SphinxDirective):
    """Every law: what its module says, its letters, and published coefficients."""

    def run(self) -> list[nodes.Node]:
        from bayescale import models

        text = []
        for name in sorted(models.laws()):
            law = models.laws()[name]
            module = sys.modules[law.function.__module__]
            self.env.note_dependency(module.__file__)
            text += [f".. _law-{name}:", "", name, "=" * len(name), ""]
            others = [n for n in module.__all__ if n in models.laws() and n != name]
            if others and name != module.__name__.rpartition(".")[2]:
                home = module.__name__.rpartition(".")[2]
                text += [f"See also :ref:`{home} <law-{home}>`, of the same paper.", ""]
                text += [law.summary, ""]
            else:
                text += [module.__doc__.strip(), ""]
            text += letters(law)
            text += published(law)
        return self.parse_text_to_nodes("\n".join(text), allow_section_headings=True)


class Results(SphinxDirective):
    """A table of measured results, or how to make it where it is not there."""

    required_arguments = 1
    option_spec: ClassVar = {"script": str}
    has_content = True

    def run(self) -> list[nodes.Node]:
        path, script = RESULTS / self.arguments[0], self.options["script"]
        shown = dict(map(str.strip, line.split("=", 1)) for line in self.content if line.strip())
        table = []
        if path.is_file():
            self.env.note_dependency(str(path))
            with path.open(encoding="utf-8", newline="") as file:
                table = list(csv.DictReader(file))
        # A study may measure more than it did when its table was made.
        if not table or not set(shown) <= set(table[0]):
            text = f"*Not measured yet:* `python {script}` writes `benchmarks/results/{path.name}`."
            return self.parse_text_to_nodes(text)
        rows = [[cell(row[name]) for name in shown] for row in table]
        written = [" | ".join(cells) for cells in (shown.values(), ["---"] * len(shown), *rows)]
        lines = [f"| {row} |" for row in written]
        lines += ["", measured_by(path.name, script)]
        return self.parse_text_to_nodes("\n".join(lines))


def cell(text: str) -> str:
    """A cell of a measured table: four digits of a number that has decimals."""
    return f"{float(text):.4g}" if re.fullmatch(r"-?\d{1,4}\.\d+", text) else text or "–"


def measured_by(table: str, script: str) -> str:
    """The command that made a table, and whether the code has changed since."""
    from made_with import is_older

    said = f"Measured by `python {script}`; `benchmarks/results/{table}` has more."
    return said + (" The table is older than the code." if is_older(table) else "")


def letters(law) -> list[str]:
    """A table of inputs and coefficients, from the docstring and the priors."""
    from bayescale.language.variables import variable

    rows = []
    for entry in NumpyDocString(law.__doc__)["Parameters"]:
        names = [name.strip() for name in (entry.name or entry.type).split(",")]
        meaning = " ".join(entry.desc)
        for i, name in enumerate(names):
            if name in law.inputs:
                unit = variable(name, law.variables).unit
                what = f"input, {unit}" if unit else "input"
            else:
                prior = law.priors[name]
                what = f"{'' if prior.role == 'plain' else prior.role + ', '}{short(prior)}"
            rows.append((f"``{name}``", what, meaning if i == 0 else "(as above)"))
    missing = {*law.inputs, *law.priors} - {row[0].strip("`") for row in rows}
    if missing:
        raise ValueError(f"law {law.name!r}: its docstring does not say what {missing} are")
    return listed("letters", "14 34 52", ("letter", "what it is, and prior", "meaning"), rows)


def short(prior) -> str:
    text = str(prior).replace(" x reference loss", " × reference loss")
    return re.sub(r"\b(?:median|mean) ", "", text)


def published(law) -> list[str]:
    if not law.published:
        return ["No coefficients of this law could be obtained.", ""]
    rows = []
    for name, one in law.published.items():
        values = ", ".join(f"``{c}`` {value:.5g}" for c, value in one.values.items())
        source = f"{one.source}; {CERTAINTY[one.certainty]}. {one.note}".strip()
        rows.append((f"``{name}``", values, source))
    return listed("published", "18 34 48", ("published set", "raw units", "source"), rows)


def listed(kind: str, widths: str, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    text = [
        ".. list-table::",
        f"   :class: {kind}",
        "   :header-rows: 1",
        f"   :widths: {widths}",
        "",
    ]
    for row in (head, *rows):
        text += [f"   {'*' if i == 0 else ' '} - {cell}" for i, cell in enumerate(row)]
    return [*text, ""]


def add_search_words(app, name: str, source: list[str]) -> None:
    """Index entries of a page, below its title, from ``search_words`` of conf.py."""
    words = app.config.search_words.get(name)
    if words:
        title, _, rest = source[0].partition("\n")
        entries = ", ".join(f"! {word}" for word in words)
        source[0] = f"{title}\n\n```{{index}} {entries}\n```\n{rest}"


def setup(app):
    app.add_config_value("search_words", {}, "env")
    app.connect("source-read", add_search_words)
    app.add_directive("example", Example)
    app.add_directive("results", Results)
    app.add_directive("inputs", Inputs)
    app.add_directive("thumbnails", Thumbnails)
    app.add_directive("laws", Laws)
    return {"parallel_read_safe": True}
