"""Tables of measured results: each has its command, and is said to be older than the code if so."""

import csv
import re
import shutil
from pathlib import Path

import pytest
from made_with import MANIFEST, RESULTS, code, is_older, made_with, modules

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DIRECTIVE = re.compile(
    r"^ *```\{results\} (?P<table>\S+)\n *:script: (?P<script>\S+).*?^ *```$",
    re.MULTILINE | re.DOTALL,
)
FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
OLDER = "older than the code"


def identity(page):
    return page.relative_to(ROOT).as_posix()


def studies_of(text):
    """Studies whose figures a page states in its own words: by paragraph, those with a number."""
    found, studies = set(), {study for study, _ in made_with().values()}
    for paragraph in re.split(r"\n\s*\n", FENCED.sub("", text)):
        named = set(re.findall(r"benchmarks/(\w+)\.py", paragraph)) & studies
        if re.search(r"\d", re.sub(r"`[^`]*`|\]\([^)]*\)", "", paragraph)):
            found |= named
    return found


def test_every_table_says_what_it_was_measured_with():
    tables = {path.name for path in RESULTS.glob("*.csv")} - {MANIFEST.name}
    assert set(made_with()) == tables
    for table, (study, _) in made_with().items():
        text = (ROOT / "benchmarks" / f"{study}.py").read_text(encoding="utf-8")
        assert table in text or f"{Path(table).stem.partition('_')[0]}" in text


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_a_page_says_which_of_its_figures_are_older_than_the_code(page):
    """Pages that print whole tables have it from the directive, where the site is built."""
    text = page.read_text(encoding="utf-8")
    tables = made_with()
    older = {study for table, (study, _) in tables.items() if is_older(table)}
    stated, said = studies_of(text), " ".join(text.split())
    if stated & older:
        assert OLDER in said, f"{page.name} states figures of {sorted(stated & older)}"
    else:
        assert OLDER not in said, f"what {page.name} states is as old as the code"


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_every_table_on_a_page_has_the_command_that_makes_it(page):
    for found in DIRECTIVE.finditer(page.read_text(encoding="utf-8")):
        script = ROOT / found["script"]
        assert script.is_file()
        if found["table"] in made_with():
            assert made_with()[found["table"]][0] == script.stem
        else:  # not measured yet, as the page says
            assert found["table"] in script.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_figures_in_a_table_stand_in_a_section_with_a_command(page):
    text = page.read_text(encoding="utf-8")
    for section in re.split(r"^#+ ", text, flags=re.MULTILINE):
        prose = FENCED.sub("", section)
        cells = [cell for line in re.findall(r"^\s*\|(.*)\|$", prose, re.MULTILINE)
                 for cell in line.split("|")]  # fmt: skip
        figures = [c for c in cells if re.fullmatch(r"\s*[\d.,]+( ?%| s)?(\s+to .*)?\s*", c)]
        if len(figures) > 2:
            command = re.search(
                r"(benchmarks|examples|docs)/\w+\.py|```(python|sh)|bayescale ", section
            )
            assert command, f"a table without a command: {section[:60]!r}"


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_every_picture_on_a_page_has_the_command_that_makes_it(page):
    text = page.read_text(encoding="utf-8")
    for stem in re.findall(r"!\[[^\]]*\]\((?:[\w/]*/)?(\w+)\.svg\)", text):
        makers = [path for path in sorted((ROOT / "benchmarks").glob("*.py"))
                  if f"{stem}.svg" in path.read_text(encoding="utf-8")]  # fmt: skip
        if (ROOT / "examples" / f"{stem}.py").is_file():
            assert f"examples/{stem}.py" in text
        elif stem.startswith("plot_"):
            assert "docs/figures.py" in text or "```python" in text
        else:
            assert any(f"benchmarks/{path.name}" in text for path in makers), stem


def test_the_site_says_so_beside_the_table(monkeypatch):
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(ROOT / "docs" / "extensions")
    import made_with as module
    from pages import measured_by

    for older in (True, False):
        monkeypatch.setattr(module, "is_older", lambda table, older=older: older)
        said = measured_by("growth.csv", "benchmarks/scale.py growth")
        assert (OLDER in said) == older


def copied(tmp_path):
    for name, left in (("bayescale", ("data", "models")), ("models", ())):
        ignore = shutil.ignore_patterns("__pycache__", *left)
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignore)


def test_a_study_depends_on_what_its_imports_lead_to():
    found = {path.relative_to(ROOT).as_posix() for path in modules("decision_coverage")}
    needed = {"bayescale/posterior/field.py", "bayescale/decisions/search.py", "models/coupled.py"}
    assert needed < found
    assert not [path for path in found if "/report/" in path or "/cli/" in path]


def test_comments_and_docstrings_make_no_table_older_and_code_does(tmp_path):
    copied(tmp_path)
    before = code("calibration", tmp_path)
    assert before == code("calibration")
    noise = tmp_path / "bayescale" / "posterior" / "noise.py"
    text = noise.read_text(encoding="utf-8")
    comment = text.replace('"""How a run', '"""In which way a run', 1) + "\n# a comment\n"
    assert comment != text
    noise.write_text(comment, encoding="utf-8")
    assert code("calibration", tmp_path) == before
    noise.write_text(text.replace("lognormal(0.01, 1.0)", "lognormal(0.02, 1.0)"), encoding="utf-8")
    assert code("calibration", tmp_path) != before


def test_a_study_writes_what_it_was_measured_with(tmp_path, monkeypatch):
    import made_with as module
    import pandas as pd

    begun = code("scale")
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setattr(module, "MANIFEST", tmp_path / "made_with.csv")
    monkeypatch.setattr(module, "_STUDY", "scale")
    monkeypatch.setattr(module, "_BEGUN", begun)
    module.keep(pd.DataFrame({"x": [1]}), "growth.csv", index=False)
    with (tmp_path / "made_with.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"table": "growth.csv", "study": "scale", "code": begun}
        ]
    assert made_with(tmp_path / "made_with.csv") == {"growth.csv": ("scale", begun)}
    monkeypatch.setattr(module, "_BEGUN", None)
    with pytest.raises(RuntimeError, match="no study"):
        module.keep(pd.DataFrame(), "other.csv")
