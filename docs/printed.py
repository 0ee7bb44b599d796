"""Run the pages of the documentation, and write anew what their blocks print.

    python docs/printed.py [PAGE ...]        # tutorial, checking, ...: by default every page
    python docs/printed.py --quick [PAGE]    # without the blocks that take long

A block is run after those above it, and the block of text below it becomes what it printed. Blocks
are of Python, or of commands where they are marked `run`; those are marked `slow` that take long or
whose draws differ between machines by more than a test allows. Tests hold the pages to the same.
"""

import contextlib
import io
import os
import re
import shlex
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import matplotlib as mpl

HERE = Path(__file__).resolve().parent
BLOCK = re.compile(
    r"^```(?P<language>python|sh run)(?P<slow> slow)?\n(?P<code>.*?)^```$"
    r"(?:\n\n```text\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)


def commands(code: str) -> list[list[str]]:
    """The commands of a block of a shell, as words."""
    lines = code.replace("\\\n", " ").replace(" &\n", "\n").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def output_of(block: re.Match[str], name: str, scope: dict[str, Any]) -> str:
    """Run a block, in the names that those above it left, and return what it prints."""
    if block["language"] == "sh run":
        return "".join(_command(words) for words in commands(block["code"]))
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(block["code"], name, "exec"), scope)
    return out.getvalue()


def _command(words: list[str]) -> str:
    """What a command prints on standard output where nobody sits at a terminal."""
    from typer.testing import CliRunner

    from bayescale.cli import app

    program, *arguments = words
    assert program == "bayescale", f"{program!r} is not run here"
    result = CliRunner().invoke(app, arguments)
    if result.exit_code or "not to be trusted" in result.stderr:
        raise RuntimeError(f"{shlex.join(words)}: {result.stderr}")
    return result.stdout


def lines_of(text: str, most: int = 110) -> str:
    """Text as a page shows it: sentences wrapped, tables as they are."""
    found = []
    for line in text.splitlines():
        is_table = "  " in line.strip() or len(line) <= most
        found += [line.rstrip()] if is_table else textwrap.wrap(line, most, break_on_hyphens=False)
    return "".join(f"{line}\n" for line in found)


def refresh(page: Path, *, quick: bool) -> None:
    """One page."""
    text, scope = page.read_text(encoding="utf-8"), {"__name__": "page"}
    pieces, end = [], 0
    for match in BLOCK.finditer(text):
        if match["slow"] and quick:
            continue
        found = output_of(match, page.name, scope)
        if match["output"] is not None:
            pieces += [text[end : match.start("output")], lines_of(found)]
            end = match.end("output")
    page.write_text("".join([*pieces, text[end:]]), encoding="utf-8")


def main() -> None:
    mpl.use("Agg")
    quick, names = "--quick" in sys.argv[1:], [n for n in sys.argv[1:] if n != "--quick"]
    pages = [HERE / f"{name}.md" for name in names] or sorted(HERE.glob("*.md"))
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for page in pages:
            print(page.stem, flush=True)
            refresh(page, quick=quick)


if __name__ == "__main__":
    main()
