"""Run the examples, and keep what each prints and draws for the gallery of the documentation.

    python docs/figures.py [EXAMPLE ...]     # by default all: some minutes on two cores
    python docs/figures.py plots             # the pictures of docs/plots.md

writes docs/gallery/EXAMPLE.txt and docs/gallery/EXAMPLE.svg, and docs/gallery/plot_NAME.svg for
each block of docs/plots.md that draws. The documentation is built from these files, so that
building it fits nothing.
"""

import contextlib
import importlib.util
import io
import re
import sys
import tempfile
from pathlib import Path
from unittest import mock

import matplotlib as mpl
from matplotlib.figure import Figure

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"


def run(name: str) -> None:
    """One example, its figure drawn as SVG whatever file it asks for."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    target, save = HERE / "gallery" / f"{name}.svg", Figure.savefig

    def as_svg(figure: Figure, *_, **__) -> None:
        save(figure, target, metadata={"Date": None})

    printed = io.StringIO()
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(Figure, "savefig", as_svg),
        mpl.rc_context({"svg.hashsalt": "bayescale", "svg.fonttype": "path"}),
        contextlib.redirect_stdout(printed),
    ):
        is_file = "FIGURE.svg" in (example.__doc__ or "")
        example.main(str(Path(folder) / "figure.svg") if is_file else Path(folder))
    lines = [line for line in printed.getvalue().splitlines() if not line.startswith("Figure: ")]
    target.with_suffix(".txt").write_text("\n".join(lines).strip() + "\n", encoding="utf-8")
    print(f"{name}: {len(lines)} lines, {target.stat().st_size / 1e3:.0f} kB")


def draw_plots() -> None:
    """What each block of the page of plots draws, under the name that the image after it has."""
    from matplotlib import pyplot as plt

    page = (HERE / "plots.md").read_text(encoding="utf-8")
    blocks = re.compile(r"^```python\n(.*?)^```$(?:\n\n!\[[^]]*\]\((.*?)\))?", re.M | re.S)
    scope: dict[str, object] = {"__name__": "plots"}
    for code, image in blocks.findall(page):
        exec(compile(code, "docs/plots.md", "exec"), scope)
        if image:
            with mpl.rc_context({"svg.hashsalt": "bayescale", "svg.fonttype": "path"}):
                plt.gcf().savefig(HERE / image, metadata={"Date": None}, bbox_inches="tight")
            print(f"{image}: {(HERE / image).stat().st_size / 1e3:.0f} kB")
        plt.close("all")


def main(names: list[str]) -> None:
    (HERE / "gallery").mkdir(exist_ok=True)
    mpl.use("svg")
    for name in names or [*sorted(path.stem for path in EXAMPLES.glob("*.py")), "plots"]:
        if name == "plots":
            draw_plots()
        else:
            run(name)


if __name__ == "__main__":
    main(sys.argv[1:])
