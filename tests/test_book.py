"""The rendered book: no warning, nothing fetched, light, links as configured."""

import re
import shutil

import chapters
import nbformat
import pytest
import yaml

pytestmark = pytest.mark.slow

PAGES = [*chapters.chapters(), "references"]


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


def test_the_site_is_light_and_its_notebooks_come_ready_to_run(site):
    files = [path for path in site.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 12e6
    assert not [path for path in files if path.suffix == ".map"]
    for name in chapters.chapters():
        offered = nbformat.read(site / f"_sources/book/{name}.ipynb", as_version=4)
        committed = nbformat.read(chapters.ROOT / f"book/{name}.ipynb", as_version=4)
        assert [cell.source for cell in offered.cells] == [cell.source for cell in committed.cells]
        assert not any(cell.get("outputs") for cell in offered.cells)


def copy_of_the_book(folder):
    for name in ("book", "tools", "_static", "_toc.yml", "_config.yml"):
        path = chapters.ROOT / name
        (shutil.copytree if path.is_dir() else shutil.copy)(path, folder / name)


def links(site):
    return set(re.findall(r'href="(https?://.*?)"', (site / "book/setup.html").read_text()))


def test_one_setting_switches_every_repository_link_on(site, render, tmp_path):
    assert not links(site)
    copy_of_the_book(tmp_path)
    config = tmp_path / "_config.yml"
    settings = yaml.safe_load(config.read_text())
    assert settings["repository"]["url"] == ""
    config.write_text(config.read_text().replace('url: ""', "url: https://github.com/example/book"))
    found = links(render(tmp_path, tmp_path))
    path = "example/book/blob/main/book/setup.ipynb"
    assert f"https://colab.research.google.com/github/{path}" in found
    assert any(url.startswith("https://mybinder.org/v2/gh/example/book/main?") for url in found)
    assert "https://github.com/example/book" in found
    assert any(url.startswith("https://github.com/example/book/issues/new") for url in found)
