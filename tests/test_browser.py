"""Every page in a browser, opened as a file: light and dark, on a desk and on a phone."""

import re
from pathlib import Path

import chapters
import numpy as np
import pytest
from axe_playwright_python.base import AXE_FILE_PATH
from pdf import PATIENCE

from support import results
from support.tables import power_of_ten

pytestmark = pytest.mark.slow

PAGES = [*chapters.chapters(), "references"]
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 375, "height": 800}

# Elements that stick out of the window and stand in nothing that scrolls or cuts off.
STICKING_OUT = """() => {
  const width = document.documentElement.clientWidth;
  const held = (e) => { for (; e && e !== document.body; e = e.parentElement)
    if (getComputedStyle(e).overflowX !== "visible") return true; return false; };
  return [...document.querySelectorAll("article *")].filter((e) => {
    const box = e.getBoundingClientRect();
    return box.width && box.right > width + 1 && !held(e) && !e.closest("mjx-assistive-mml");
  }).map((e) => `${e.tagName} ${e.className}: ${e.textContent.slice(0, 40)}`); }"""

# Formulas that reach out of an element that cuts off; what scrolls must itself be in sight.
CUT_OFF = """[...document.querySelectorAll("mjx-math")].filter((e) => {
  let box = e.getBoundingClientRect();
  for (let p = e.parentElement; p && !p.matches("p, li, td, article"); p = p.parentElement) {
    const frame = p.getBoundingClientRect(), overflow = getComputedStyle(p).overflowX;
    const out = box.right > frame.right + 1 || box.left < frame.left - 1;
    if (["hidden", "clip"].includes(overflow) && out) return true;
    if (["auto", "scroll"].includes(overflow)) box = frame;
  }
  return false; }).map((e) => e.textContent.slice(0, 80))"""

# What scrolls and cannot be reached by the keyboard, formulas among it.
OUT_OF_REACH = """[...document.querySelectorAll("article *")].filter((e) => e.tabIndex < 0
  && /auto|scroll/.test(getComputedStyle(e).overflowX) && e.scrollWidth > e.clientWidth + 1
  && !e.querySelector("a, button, input, [tabindex]")).map((e) => e.outerHTML.slice(0, 80))"""

# Prose without code and typeset formulas, to look for formulas that stayed as they were written.
PROSE = """[...document.querySelectorAll("article :is(p, li, td)")].map((e) => {
  const copy = e.cloneNode(true);
  copy.querySelectorAll("code, pre, mjx-container, script").forEach((x) => x.remove());
  return copy.textContent; }).join(" ")"""


# What axe-core would look at thousands of times over: formulas, which are MathJax's, become a
# letter, and of the colours of code one span of each kind stays.
THIN = """() => {
  document.querySelectorAll("mjx-container").forEach((e) => e.replaceWith("x"));
  const kinds = new Set();
  for (const e of document.querySelectorAll("pre span"))
    kinds.has(e.className) ? e.replaceWith(...e.childNodes) : kinds.add(e.className);
  document.body.normalize(); }"""


class Visit:
    """A page opened at `size`, with all that it asked for and all that went wrong on the way."""

    def __init__(self, browser, address, size):
        self.page = page = browser.new_page(color_scheme="light", viewport=size)
        page.set_default_timeout(PATIENCE)
        self.asked, self.failed, self.errors = [], [], []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("requestfailed", lambda request: self.failed.append(request.url))
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.goto(address)
        if page.locator(".math").count():
            page.wait_for_function("window.MathJax?.startup?.promise")
            page.evaluate("MathJax.startup.promise.then(() => true)")

    def turn(self, scheme, size):
        """Show the page in another light, in a window of another size."""
        self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        self.page.set_viewport_size(size)
        self.page.wait_for_function(f"document.documentElement.dataset.theme == '{scheme}'")
        self.page.wait_for_timeout(500)  # the theme makes what scrolls focusable after 300 ms

    def serious(self):
        """What axe-core finds that is serious or critical."""
        if not self.page.evaluate("typeof axe == 'object'"):
            self.page.evaluate(Path(AXE_FILE_PATH).read_text())
        options = {"resultTypes": ["violations"], "preload": False}
        what = "options => axe.run({exclude: [['mjx-container']]}, options)"
        found = self.page.evaluate(what, options)
        return [
            f"{finding['id']}: {finding['nodes'][0]['html'][:100]}"
            for finding in found["violations"]
            if finding["impact"] in ("serious", "critical")
        ]


@pytest.fixture
def visit(browser):
    visits = []

    def open_page(path, size=DESK, query=""):
        visits.append(Visit(browser, path.as_uri() + query, size))
        return visits[-1]

    yield open_page
    for one in visits:
        one.page.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_in_light_and_dark_on_desk_and_phone(site, visit, name):
    seen = visit(site / "book" / f"{name}.html")
    page = seen.page
    formulas = page.locator(".math").count()
    assert page.locator(".math mjx-container").count() == formulas
    assert formulas > 10 or name in ("references", "statements")
    assert page.locator("[data-mjx-error], mjx-merror").count() == 0
    prose = page.evaluate(PROSE)
    assert "$" not in prose and "\\" not in prose
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert page.evaluate(STICKING_OUT) == []
    assert page.evaluate(CUT_OFF) == []
    seen.turn("dark", PHONE)
    assert page.evaluate(STICKING_OUT) == [] and page.evaluate(CUT_OFF) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    widths = page.evaluate("[...document.querySelectorAll('figure img')].map(i => i.width)")
    assert min(widths, default=600) >= 600  # letters of 9.5 points on 8.4 inches: ten pixels high
    assert page.evaluate(OUT_OF_REACH) == []
    page.evaluate(THIN)
    if PAGES.index(name) % 2:  # the style sheet is one, so every other page in the other light
        seen.turn("light", DESK)
    assert seen.serious() == []
    assert not [url for url in seen.asked if not url.startswith(("file:", "data:"))]
    assert seen.failed == [] and seen.errors == []


def test_a_page_that_is_not_whole_is_noticed(visit, tmp_path):
    """Each thing that the test above looks for, present once."""
    (tmp_path / "bad.html").write_text(
        "<!doctype html><html data-theme='light'><title>bad</title><body><article>"
        "<p>$x$</p><div style='width: 3000px'>wide</div><img src='absent.png'>"
        "<div style='overflow: hidden; width: 1em'>"
        "<mjx-math style='display: block; width: 9em'>x = y</mjx-math></div>"
        "<pre style='overflow-x: auto; width: 9em'>" + "long " * 99 + "</pre>"
        "<p style='color: #eee; background: #fff'>pale</p>"
        "<script>fetch('https://example.org'); undefinedFunction()</script></article></body></html>"
    )
    seen = visit(tmp_path / "bad.html")
    found = " ".join(seen.serious())
    assert all(rule in found for rule in ("image-alt", "color-contrast", "html-has-lang"))
    assert seen.page.evaluate(STICKING_OUT) == ["DIV : wide"]
    assert seen.page.evaluate(CUT_OFF) == ["x = y"]
    assert [html[:4] for html in seen.page.evaluate(OUT_OF_REACH)] == ["<pre"]
    assert "$" in seen.page.evaluate(PROSE)
    assert "https://example.org/" in seen.asked
    assert any(url.endswith("absent.png") for url in seen.failed)
    assert any("undefinedFunction" in error for error in seen.errors)
    assert not seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_search_finds_a_page_in_a_book_opened_as_files(site, visit):
    seen = visit(site / "search.html", query="?q=saddle")
    seen.page.wait_for_selector("#search-results li a")
    found = seen.page.locator("#search-results li a").all_inner_texts()
    assert any("Escape" in title or "saddle" in title for title in found), found
    assert seen.errors == [] and seen.failed == []


def test_motion_stops_for_who_asks_for_less(site, visit):
    page = visit(site / "book" / "setup.html").page
    moving = "[...document.querySelectorAll('*')].filter(e => getComputedStyle(e).scrollBehavior"
    moving += " == 'smooth' || parseFloat(getComputedStyle(e).transitionDuration) > 0.01).length"
    assert page.evaluate(moving) > 0
    page.emulate_media(reduced_motion="reduce")
    assert page.evaluate(moving) == 0


def test_the_explorer_follows_keyboard_and_mouse_and_says_what_was_computed(site, visit):
    page = visit(site / "book" / "intro.html", PHONE).page
    figure = page.locator("#explorer")
    assert len(figure.evaluate("e => e.outerHTML")) < 100_000
    rows = results.load("explorer")["values"].to_pylist()
    sliders = [figure.locator("input").nth(k) for k in range(4)]

    def told():
        """The sentence's errors, and those of the stored limit that the sliders stand for."""
        words = [slider.get_attribute("aria-valuetext") for slider in sliders]
        shown = [s.locator("..").locator("output").inner_text() for s in sliders]
        assert shown == words
        (row,) = [
            row
            for row in rows
            if [power_of_ten(row["dose"]) if row["dose"] else "0", power_of_ten(row["alpha"])]
            == words[:2]
            and [power_of_ten(row["zeta_gap"]), str(row["seed"] + 1)] == words[2:]
        ]
        response = (np.array(row["limit"]) ** np.arange(40)[:, None]).sum(axis=1)
        errors = [abs(response[2:7] - 1).max(), abs(response[7:] - 1).max()]
        sentence = figure.locator("[data-part=sentence]").inner_text()
        found = re.search(r"lags 2 to 6: (.*?), at lags 7 to 39: (.*?);", sentence).groups()
        return [0 if "below" in word else float(word) for word in found], errors

    def agree():
        for word, error in zip(*told(), strict=True):
            assert abs(word - error) < 0.001 + 0.051 * error  # two digits, or below 0.001
        return figure.locator("[data-part=poisoned]").get_attribute("d")

    seen = [agree()]
    for slider, key in zip(sliders, ("ArrowRight", "ArrowLeft", "ArrowLeft", "End"), strict=True):
        slider.focus()
        page.keyboard.press(key)
        seen.append(agree())
    box = sliders[0].bounding_box()
    page.mouse.click(box["x"] + 3, box["y"] + box["height"] / 2)
    assert sliders[0].get_attribute("aria-valuetext") == "0"
    seen.append(agree())
    page.mouse.move(box["x"] + 8, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] / 2, steps=4)
    page.mouse.up()
    assert sliders[0].get_attribute("aria-valuetext") == "10⁰"
    seen.append(agree())
    assert len(set(seen)) == len(seen)
