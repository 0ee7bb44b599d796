"""The directive ``{commands}``: every command of the command line with its options and examples.

It asks the commands themselves, as ``bayescale COMMAND --help`` does, so that the page cannot say
something else.
"""

from __future__ import annotations

from docutils import nodes
from sphinx.util.docutils import SphinxDirective


class Commands(SphinxDirective):
    """A section for each command."""

    def run(self) -> list[nodes.Node]:
        text = "\n\n".join(pages())
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def pages() -> list[str]:
    """What is said of the program and of each command, in Markdown."""
    import typer

    from bayescale.cli import app

    program = typer.main.get_command(app)
    said = [prose(program.help or "")]
    for name, command in program.commands.items():
        said += [f"## bayescale {name}", prose(command.help or "")]
        takes = [one for one in command.params if not getattr(one, "hidden", False)]
        said.append(options([one for one in takes if one.name != "help"]))
    return said


def prose(text: str) -> str:
    """A command's help: paragraphs, with what is indented as lines of a shell."""
    parts = []
    for paragraph in text.replace("\b", "").strip("\n").split("\n\n"):
        lines = paragraph.splitlines()
        if lines and all(line.startswith("  ") for line in lines):
            block = "\n".join(line[2:] for line in lines)
            parts.append(f"```text\n{block}\n```")
        else:
            parts.append(escaped(" ".join(paragraph.split())))
    return "\n\n".join(parts)


def options(params: list) -> str:
    """A table of arguments and options."""
    rows = ["| option | what it is |", "| --- | --- |"]
    for one in params:
        if one.param_type_name == "argument":
            named = f"`{one.metavar or one.name.upper()}`"
        else:
            metavar = f" {one.metavar}" if one.metavar else ""
            names = ", ".join([*one.opts, *one.secondary_opts])
            named = f"`{names}{metavar}`"
        default = one.default
        usual = ""
        if isinstance(default, (str, int, float)) and not isinstance(default, bool):
            usual = f" By default {default}."
        words = escaped(" ".join((one.help or "").split())).replace("|", "\\|")
        rows.append(f"| {named.replace('|', chr(92) + '|')} | {words}{usual} |")
    return "\n".join(rows)


def escaped(text: str) -> str:
    """Text of a terminal as Markdown that says the same."""
    for mark in ("*", "_", "<", "[", "$"):
        text = text.replace(mark, f"\\{mark}")
    return text


def setup(app):
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True}
