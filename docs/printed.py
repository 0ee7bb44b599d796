"""Run the pages of the documentation, and write anew what their blocks print.

    python docs/printed.py [PAGE ...]        # tutorial, checking, ...: by default every page
    python docs/printed.py --quick [PAGE]    # without the blocks that take long

A block of Python is run after those above it, and the block of text below it becomes what it
printed. Tests hold the pages to the same.
"""

import contextlib
import io
import os
import re
import sys
import tempfile
from pathlib import Path

import matplotlib as mpl

HERE = Path(__file__).resolve().parent
BLOCK = re.compile(
    r"^```python(?P<slow> slow)?\n(?P<code>.*?)^```$(?:\n\n```text\n(?P<output>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)


def refresh(page: Path, *, quick: bool) -> None:
    """One page."""
    text, scope = page.read_text(encoding="utf-8"), {"__name__": "page"}
    pieces, end = [], 0
    for match in BLOCK.finditer(text):
        if match["slow"] and quick:
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(match["code"], page.name, "exec"), scope)
        if match["output"] is not None:
            lines = "\n".join(line.rstrip() for line in printed.getvalue().splitlines())
            pieces += [text[end : match.start("output")], f"{lines}\n"]
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
