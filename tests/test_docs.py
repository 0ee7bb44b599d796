"""The documentation: blocks print what the pages say, commands exist, nothing is left out."""

import csv
import importlib
import math
import re
import sys
import tomllib
import warnings
from pathlib import Path

import click
import matplotlib as mpl
import preliz  # noqa: F401  It sets savefig.bbox when it is imported: before a page is watched.
import pytest
import typer
from printed import BLOCK, commands, output_of

import bayescale as bs
from bayescale.cli import app

mpl.use("Agg")

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
SHELL = re.compile(r"^```sh(?: run)?(?: slow)?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


def blocks(page):
    text = page.read_text(encoding="utf-8")
    assert text.count("```python") + text.count("```sh run") == len(BLOCK.findall(text)), (
        "a block is not fenced as others are"
    )
    return list(BLOCK.finditer(text))


def name(page):
    return page.relative_to(DOCS).with_suffix("").as_posix()


WITH_CODE = [page for page in PAGES if blocks(page)]
WITH_SLOW = [page for page in WITH_CODE if any(block["slow"] for block in blocks(page))]


def run_page(page, *, slow):
    """The page's names after its blocks have run, one after the other; all that they printed."""
    scope, everything = {"__name__": "page"}, ""
    for number, block in enumerate(blocks(page), start=1):
        if block["slow"] and not slow:
            continue
        with warnings.catch_warnings():
            # A page may not go on with a posterior that failed, or from a design that says nothing.
            for category in (bs.FitWarning, bs.DesignWarning):
                warnings.simplefilter("error", category)
            found = output_of(block, f"{page.name}, block {number}", scope)
        everything += found
        if block["output"] is not None:
            assert not differences(found, block["output"])
    return scope, everything


def differences(printed, shown):
    """Where what was printed is not what the page shows: words exactly, numbers nearly.

    Draws differ a little between machines: numbers may by one part in fifty, or by two in their
    last digit.
    """
    ours, theirs = (NUMBER.sub("#", text).split() for text in (printed, shown))
    if ours != theirs:
        return [(ours, theirs)]
    pairs = zip(NUMBER.findall(printed), NUMBER.findall(shown), strict=True)
    return [pair for pair in pairs if not near(*pair)]


def near(ours, theirs):
    mantissa, _, power = theirs.partition("e")
    last = 10.0 ** (int(power or 0) - len(mantissa.partition(".")[2]))
    return math.isclose(float(ours), float(theirs), rel_tol=0.02, abs_tol=2.01 * last)


def test_numbers_are_compared_by_value_and_words_as_they_are():
    shown = "train 1.2e+10 parameters; 0.0040 nats"
    assert not differences("train 1.3e+10  parameters; 0.0041 nats", shown)
    assert differences("train 1.2e+11 parameters; 0.0040 nats", shown)
    assert differences("train 1.2e+10 parameters; 0.0050 nats", shown)
    assert differences("train 1.2e+10 tokens; 0.0040 nats", shown)


@pytest.fixture
def elsewhere(tmp_path, monkeypatch, closed_figures):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_pages_with_code():
    found = {name(page) for page in WITH_CODE}
    assert found >= {"index", "tutorial", "which_law", "comparing", "adding_a_law", "extrapolation"}


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("page", WITH_CODE, ids=name)
def test_the_quick_blocks_of_a_page_run(page):
    run_page(page, slow=False)


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("page", WITH_SLOW, ids=name)
def test_all_blocks_of_a_page_run(page):
    run_page(page, slow=True)


@pytest.mark.slow
@pytest.mark.usefixtures("elsewhere")
def test_the_blocks_of_the_readme_run():
    _, printed = run_page(ROOT / "README.md", slow=True)
    assert "coupled predicts these 30 runs" in printed


def test_what_the_first_pages_say_was_measured_is_in_the_results():
    """The shares that README and the site's front page quote are those of the benchmarks."""
    rows = {}
    for table, key in (("decisions_summary", None), ("extrapolation_distance", "times_largest")):
        with (ROOT / "benchmarks" / "results" / f"{table}.csv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                rows[row["variant"], key and row[key]] = row
    for page in (ROOT / "README.md", DOCS / "index.md"):
        said = " ".join(page.read_text(encoding="utf-8").split())
        for variant in ("calibrated", "textbook"):
            size = round(100 * float(rows[variant, None]["inside_90"]))
            loss = round(100 * float(rows[variant, "(3.0, 10.0]"]["inside_90"]))
            assert f"{size} %" in said
            assert f"{loss} %" in said
        assert f"{rows['calibrated', None]['series']} " in said


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150


def test_the_page_of_the_command_line_has_every_command_and_option():
    sys.path.insert(0, str(DOCS / "extensions"))
    try:
        from commands import pages
    finally:
        sys.path.pop(0)
    said = "\n".join(pages())
    for title, command in typer.main.get_command(app).commands.items():
        assert f"## bayescale {title}\n" in said
        for one in command.params:
            assert all(name in said for name in one.opts if name.startswith("--")), one.name


def test_the_page_on_adding_a_law_ends_where_it_says(elsewhere):
    scope, printed = run_page(DOCS / "adding_a_law.md", slow=False)
    assert scope["with_depth"].inputs == ("N", "D", "depth")
    assert (elsewhere / "mine.nc").is_file()
    assert scope["again"].posterior.equals(scope["prior"].posterior)
    assert "7.22e+10 parameters" in printed


# --- shells ---------------------------------------------------------------------------------------


def command_lines():
    for page in (*PAGES, ROOT / "README.md"):
        for block in SHELL.findall(page.read_text(encoding="utf-8")):
            for words in commands(block):
                yield pytest.param(words, id=f"{page.stem}: {' '.join(words[:2])}")


@pytest.mark.parametrize("words", list(command_lines()))
def test_a_command_exists_and_takes_its_options(words):
    program, *arguments = words
    if program == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(arguments) <= set(targets)
    elif program == "python":
        assert (ROOT / arguments[0]).is_file()
    else:
        assert program in ("bayescale", "dask"), f"what is {program!r}?"
        if program == "bayescale":
            command = typer.main.get_command(app).commands[arguments[0]]
        else:
            command = importlib.import_module(f"distributed.cli.dask_{arguments[0]}").main
        context = click.Context(command, info_name=arguments[0])
        command.make_parser(context).parse_args(list(arguments[1:]))


# --- completeness ---------------------------------------------------------------------------------


def test_every_public_name_is_in_the_reference():
    text = "\n".join(page.read_text() for page in (DOCS / "api").glob("*.rst"))
    described = re.findall(
        r"^\.\. (?:data|auto(?:function|class|exception)):: (\w+)$", text, re.MULTILINE
    )
    assert len(described) == len(set(described))
    modules = {"cost", "models", "plotting"}
    expected = set(bs.__all__) - modules | set(bs.plotting.__all__) | set(bs.cost.__all__)
    assert set(described) == expected


def test_every_room_has_a_paragraph_and_a_place_in_the_order_of_imports():
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = {path.parent.name for path in (ROOT / "bayescale").glob("*/__init__.py")} - {"models"}
    assert all(f"**`{room}`**" in text for room in rooms)
    (order,) = re.findall(r"from what uses nothing to what uses all: (.*?)\.", text, re.DOTALL)
    floors = [re.findall(r"`(\w+)`", floor) for floor in order.split(";")]
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = [re.findall(r"\w+", layer) for layer in contract["contracts"][0]["layers"]]
    assert [set(floor) for floor in floors] == [set(layer) for layer in reversed(layers)]


def test_every_example_is_in_the_gallery_with_what_it_prints_and_draws():
    examples = {path.stem for path in (ROOT / "examples").glob("*.py")}
    gallery = DOCS / "gallery"
    plots = set(bs.plotting.__all__)
    for ending, others in {"md": {"index"}, "txt": set(), "svg": plots}.items():
        assert {path.stem for path in gallery.glob(f"*.{ending}")} == examples | others
    listed = (gallery / "index.md").read_text().split()
    assert examples <= set(listed)


def test_every_plot_has_an_entry_that_draws_it_and_its_picture():
    text = (DOCS / "plots.md").read_text(encoding="utf-8")
    entries = dict(re.findall(r"^### (plot_\w+)\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL))
    assert sorted(entries) == sorted(bs.plotting.__all__)
    for name, entry in entries.items():
        (drawing,) = (match for match in BLOCK.finditer(entry) if "plotting." in match["code"])
        assert re.findall(r"\bplotting\.(\w+)\(", drawing["code"]) == [name]
        # As docs/figures.py finds it: right after the block.
        image = re.match(r"\n\n!\[(.+)\]\((.+)\)\n", entry[drawing.end() :])
        assert image, f"the picture of {name} does not follow its block"
        assert len(image[1]) > 40
        assert image[2] == f"gallery/{name}.svg"
        assert 1000 < (DOCS / image[2]).stat().st_size < 150_000
