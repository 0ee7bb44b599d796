"""The built site in a browser: what a search finds, what scrolls, and whether everybody can use it.

``make docs`` builds the site and runs these on it; by themselves they build it first.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import CHROMIUM

pytest.importorskip("playwright", reason="needs playwright")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on PATH"),
]

ROOT = Path(__file__).parents[1]
WIDTHS = (390, 820, 1366)
MAIN = ("index", "tutorial", "command_line", "gallery/index", "plots", "letters")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Folder with the site: the one named in BAYESCALE_SITE, or else built here."""
    if given := os.environ.get("BAYESCALE_SITE"):
        return ROOT / given
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "sphinx", "-q", "-b", "html", ROOT / "docs", folder]
    subprocess.run(build, check=True, cwd=ROOT)
    return folder


@pytest.fixture
def page(browser):
    context = browser.new_context()
    yield context.new_page()
    context.close()


FIRST = {
    "install": "install",
    "command line": "command_line",
    "experts": "mixtures",
    "upcycling": "mixtures",
    "report": "tutorial",
    "calibrated": "extrapolation",
    "csv": "your_table",
}


@pytest.mark.parametrize(
    ("words", "first"),
    [one for one in FIRST.items() if (ROOT / "docs" / f"{one[1]}.md").is_file()],
)
def test_a_search_finds_the_page_first(page, site, words, first):
    page.goto(f"{(site / 'search.html').as_uri()}?q={words.replace(' ', '+')}")
    found = page.locator("ul.search li a").first
    found.wait_for(timeout=60_000)
    page.wait_for_function("() => !document.querySelector('.search-summary.searching')")
    assert found.get_attribute("href").split("?")[0].split("#")[0] == f"{first}.html"


@pytest.mark.parametrize("width", [390, 1024, 1366])
def test_no_page_scrolls_sideways(page, site, width):
    page.set_viewport_size({"width": width, "height": 800})
    pages = [path for path in sorted(site.rglob("*.html")) if "_modules" not in path.parts]
    assert len(pages) > 30
    wide = []
    for path in pages:
        page.goto(path.as_uri())
        if page.evaluate("() => document.documentElement.scrollWidth") > width:
            wide.append(path.name)
    assert not wide


def test_every_picture_is_there_and_said_in_words(page, site):
    for name in (*MAIN, "extrapolation", "gallery/what_to_train"):
        page.goto((site / f"{name}.html").as_uri())
        seen = page.evaluate(
            "() => [...document.querySelectorAll('.content img')]"
            ".map(x => [x.alt, x.complete ? x.naturalWidth : 1])"
        )
        assert all(alt and width for alt, width in seen), name


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", MAIN)
def test_it_passes_an_accessibility_check(browser, site, name, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = browser.new_context(color_scheme=scheme)
    page = context.new_page()
    page.goto((site / f"{name}.html").as_uri())
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.reload()  # regions that scroll are looked for when a page is loaded
        found = axe.run(page)
        assert found.violations_count == 0, found.generate_report()
    context.close()
