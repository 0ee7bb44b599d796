"""The report in a real browser: Chromium as the system has it, driven by Playwright."""

import numpy as np
import pytest
from conftest import CHROMIUM

import bayescale as bs
from bayescale.common.quantities import format_number, format_spread
from bayescale.report.content import thinned

pytest.importorskip("playwright", reason="needs playwright")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium on PATH")

BUDGET = 1e23
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
TABLET = {"width": 820, "height": 1180}


@pytest.fixture(scope="module")
def report(olmo_fit, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    bs.write_report({"dense": olmo_fit, "again": olmo_fit}, path, budget=BUDGET)
    return path


@pytest.fixture
def open_page(browser, report):
    """Open the report, and fail if anything goes wrong in it or is fetched by it."""
    contexts, troubles = [], []

    def opened(size=DESK, **options):
        context = browser.new_context(viewport=size, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda line: troubles.append(line.text))
        page.on("request", lambda request: asked.append(request.url))
        asked = []
        page.goto(report.as_uri())
        page.asked, page.troubles = asked, troubles
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []


def shown(page):
    """What the slider shows, by name."""
    return page.evaluate(
        "() => Object.fromEntries([...document.querySelectorAll('[data-plan],[data-show]')]"
        ".map(x => [x.dataset.plan || x.dataset.show, x.textContent]))"
    )


def expected(fit, budgets, i):
    """What the package says of one of the slider's budgets; beside the question's, of few draws."""
    fit = fit if budgets[i] == BUDGET else thinned(fit)
    plan = bs.decide(fit, budgets[i], trust=True)
    loss = bs.predict(fit, N=plan.N.item(), D=plan.D.item(), seed=0)
    middle, low, high = format_spread(loss.median().item(), *bs.interval(loss).values)
    return {
        "N": format_number(plan.N.item()),
        "D": format_number(plan.D.item()),
        "loss": middle,
        "interval": f"{low} to {high}",
        "regret": f"{plan.expected_regret.item():.4f}",
    }


def budgets_of(page):
    """Budgets of the slider, read off it from end to end."""
    slider, texts = page.locator("#budget"), []
    slider.press("Home")
    for _ in range(int(slider.get_attribute("max")) + 1):
        texts.append(float(page.locator("#budget-text").text_content()))
        slider.press("ArrowRight")
    return texts


def test_it_renders_and_answers(open_page, olmo_fit):
    page = open_page()
    assert page.title() == "What to train with 1e+23 FLOP"
    answer = page.locator(".answer").text_content()
    plan = bs.decide(olmo_fit, BUDGET)
    assert f"a model of {format_number(plan.N.item())} parameters on " in answer
    sizes = page.evaluate("() => [...document.images].map(x => x.naturalWidth)")
    assert len(sizes) == 5
    assert min(sizes) > 100


def test_nothing_is_fetched(open_page, report):
    page = open_page()
    page.locator("#budget").press("End")
    page.wait_for_timeout(200)
    assert [url for url in page.asked if not url.startswith("data:")] == [report.as_uri()]


def test_nothing_could_be_fetched(open_page):
    page = open_page()
    blocked = page.evaluate(
        "() => fetch('data:text/plain,x').then(() => 'fetched', () => 'blocked')"
    )
    assert blocked == "blocked"
    assert all("Content Security Policy" in said for said in page.troubles)
    page.troubles.clear()


def test_the_slider_moves_the_numbers_to_what_the_package_gives(open_page, olmo_fit):
    page = open_page()
    budgets = budgets_of(page)
    slider = page.locator("#budget")
    assert BUDGET in budgets
    seen = []
    for i in (0, budgets.index(BUDGET), len(budgets) - 1):
        slider.fill(str(i))
        found = shown(page)
        wanted = expected(olmo_fit, budgets, i)
        assert {name: found[name] for name in wanted} == wanted
        assert format_number(budgets[i]) in page.locator("#sentence").text_content()
        assert wanted["interval"] in page.locator("#sentence").inner_text()
        seen.append(page.locator("#place").get_attribute("cx"))
    assert len(set(seen)) == 3


def test_the_slider_works_by_keyboard_alone(open_page):
    page = open_page()
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("() => document.activeElement.id") == "budget":
            break
    else:
        pytest.fail("the slider is not reached by Tab")
    outline = page.evaluate("() => getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    before = shown(page), page.locator("#budget").get_attribute("aria-valuetext")
    page.keyboard.press("ArrowRight")
    after = shown(page), page.locator("#budget").get_attribute("aria-valuetext")
    assert before[0]["N"] != after[0]["N"]
    assert before[1] == "1e+23 FLOP"
    assert before[1] != after[1]
    page.keyboard.press("ArrowLeft")
    assert shown(page) == before[0]


def test_the_chance_of_a_loss_is_that_of_the_draws(open_page, olmo_fit):
    page = open_page()
    budgets = budgets_of(page)
    i = budgets.index(BUDGET)
    page.locator("#budget").fill(str(i))
    plan = bs.decide(olmo_fit, BUDGET)
    loss = bs.predict(olmo_fit, N=plan.N.item(), D=plan.D.item(), seed=0).values
    for wanted in np.quantile(loss, [0.2, 0.7]):
        page.locator("#target").fill(f"{wanted:.4f}")
        share = int(page.locator("#chance").text_content().split()[0])
        assert share == pytest.approx(100 * (loss <= wanted).mean(), abs=2)
        page.locator("#target").fill(f"{wanted:.4f}".replace(".", ","))
        assert int(page.locator("#chance").text_content().split()[0]) == share
    page.locator("#target").fill("two")
    assert page.locator("#chance").text_content() == "?"
    page.locator("#target").fill("9")
    assert page.locator("#chance").text_content() == "more than 99 %"


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desktop"])
def test_it_reads_well_at_any_width(open_page, size):
    page = open_page(size)
    width = page.evaluate("() => document.documentElement.scrollWidth")
    assert width <= size["width"]
    smallest = page.evaluate(
        "() => Math.min(...[...document.querySelectorAll('p,td,th,dd,dt,li,figcaption,label')]"
        ".map(x => parseFloat(getComputedStyle(x).fontSize)))"
    )
    assert smallest >= 12
    scale = page.evaluate(
        "() => { const s = document.querySelector('svg'); "
        "return s.getBoundingClientRect().width / s.viewBox.baseVal.width; }"
    )
    assert 11 * scale >= 8.5  # its labels, in pixels
    longest = page.evaluate("() => document.querySelector('.answer').getBoundingClientRect().width")
    assert longest <= 46 * 16
    plans = page.locator("[aria-label='Plans by budget']")
    assert plans.evaluate("x => x.scrollWidth <= x.clientWidth")
    handle = page.locator("#budget").bounding_box()
    assert handle["height"] >= 24


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, TABLET, DESK], ids=["phone", "tablet", "desktop"])
def test_it_passes_an_accessibility_check(open_page, size, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page(size, color_scheme=scheme)
    for details in page.locator("details").all():
        details.evaluate("x => x.open = true")
    found = axe.run(page)
    assert found.violations_count == 0, found.generate_report()
    rules = {rule["id"] for rule in found.response["passes"]}
    assert {"color-contrast", "image-alt", "label", "heading-order", "html-has-lang",
            "scrollable-region-focusable"} - rules <= {"scrollable-region-focusable"}  # fmt: skip


def test_the_accessibility_check_would_notice(open_page):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = open_page()
    page.evaluate(
        "() => { document.querySelector('img').removeAttribute('alt');"
        "document.querySelector('label').remove();"
        "document.querySelector('.answer').style.color = '#ddd'; }"
    )
    found = {rule["id"] for rule in axe.run(page).response["violations"]}
    assert {"image-alt", "label", "color-contrast"} <= found


def test_without_scripts_it_still_answers(open_page):
    page = open_page(java_script_enabled=False)
    assert page.locator(".answer").is_visible()
    assert page.locator("#sentence").text_content() == page.locator(".answer").text_content()
    assert not page.locator("#budget").is_visible()


def test_it_prints_without_controls(open_page):
    page = open_page(color_scheme="dark")
    page.emulate_media(media="print")
    assert not page.locator("#budget").is_visible()
    assert not page.locator("#target").is_visible()
    assert page.locator("#sentence").is_visible()
    paper = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)"
