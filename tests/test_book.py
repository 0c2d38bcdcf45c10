"""The rendered book: no warning, nothing fetched, every formula typeset, links as configured."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import chapters
import pytest
import yaml

BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
PAGES = [*chapters.chapters(), "references"]


def build(root, output):
    """Render the book at `root` with warnings as errors; return the folder of its HTML."""
    command = [Path(sys.executable).with_name("jupyter-book"), "build", root, "-q", "-W", "-n"]
    run = subprocess.run(
        [*command, "--keep-going", "--path-output", output], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return Path(output) / "_build" / "html"


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    return build(chapters.ROOT, tmp_path_factory.mktemp("book"))


def test_no_page_names_a_resource_beyond_the_book(site):
    """Scripts, styles, images and fonts; links that a reader may follow are another matter."""
    pages = list((site / "book").glob("*.html"))
    assert len(pages) == len(PAGES)
    for page in [*pages, site / "search.html"]:
        loaded = re.findall(r"<(?:script|img|iframe)[^>]*src=\"(.*?)\"", page.read_text())
        loaded += re.findall(r"<link[^>]*href=\"(.*?)\"", page.read_text())
        assert not [url for url in loaded if re.match(r"(https?:)?//", url)], page


def test_figures_are_numbered_by_chapter_and_described(site):
    page = (site / "book/theorem-1.html").read_text()
    assert "Plot 4.1" in page and "Plot 4.2" in page
    for name in PAGES:
        for image in re.findall(r"<img[^>]*>", (site / f"book/{name}.html").read_text()):
            assert len(re.search(r'alt="(.*?)"', image)[1]) > 60, image


def test_tables_are_tables(site):
    """A bar in the head of a Markdown table, |lambda| say, leaves its source on the page."""
    for name in PAGES:
        assert not re.search(r"<p>\|", (site / f"book/{name}.html").read_text()), name


@pytest.fixture(scope="session")
def browser():
    if BROWSER is None:
        pytest.skip("no Chromium is installed, so no page was opened (Debian: chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=BROWSER, args=options)
        yield browser
        browser.close()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_opens_offline_with_every_formula_typeset(site, browser, name):
    page = browser.new_page(color_scheme="light")
    asked, failed, errors = [], [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto((site / "book" / f"{name}.html").as_uri())
    if page.locator(".math").count():
        page.wait_for_function("window.MathJax?.startup?.promise")
        page.evaluate("MathJax.startup.promise.then(() => true)")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(f"document.documentElement.dataset.theme == '{scheme}'")
    assert not [url for url in asked if not url.startswith(("file:", "data:"))]
    assert failed == [] and errors == []
    formulas = page.locator(".math").count()
    assert page.locator(".math mjx-container").count() == formulas
    assert formulas > 10 or name in ("references", "statements")
    assert page.locator("[data-mjx-error], mjx-merror").count() == 0
    prose = page.evaluate(
        "[...document.querySelectorAll('article p, article li, article td')]"
        ".map(e => { const c = e.cloneNode(true);"
        "c.querySelectorAll('code, pre, mjx-container').forEach(x => x.remove());"
        "return c.textContent; }).join(' ')"
    )
    assert "$" not in prose and "\\" not in prose  # no formula left as source
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    page.close()


def copy_of_the_book(folder):
    for name in ("book", "tools", "_static", "_toc.yml", "_config.yml"):
        path = chapters.ROOT / name
        (shutil.copytree if path.is_dir() else shutil.copy)(path, folder / name)


def links(site):
    return set(re.findall(r'href="(https?://.*?)"', (site / "book/setup.html").read_text()))


def test_one_setting_switches_every_repository_link_on(site, tmp_path):
    assert not links(site)
    copy_of_the_book(tmp_path)
    config = tmp_path / "_config.yml"
    settings = yaml.safe_load(config.read_text())
    assert settings["repository"]["url"] == ""
    config.write_text(config.read_text().replace('url: ""', "url: https://github.com/example/book"))
    found = links(build(tmp_path, tmp_path))
    path = "example/book/blob/main/book/setup.ipynb"
    assert f"https://colab.research.google.com/github/{path}" in found
    assert any(url.startswith("https://mybinder.org/v2/gh/example/book/main?") for url in found)
    assert "https://github.com/example/book" in found
    assert any(url.startswith("https://github.com/example/book/issues/new") for url in found)
