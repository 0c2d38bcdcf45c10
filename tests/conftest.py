"""What several test files share: the rendered book, and a browser to open it in."""

import subprocess
import sys
from pathlib import Path

import chapters
import pytest
from pdf import BROWSER, OPTIONS


def build(root, output):
    """Render the book at `root` with warnings as errors; return the folder of its HTML."""
    command = [Path(sys.executable).with_name("jupyter-book"), "build", root, "-q", "-W", "-n"]
    run = subprocess.run(
        [*command, "--keep-going", "--path-output", output], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return Path(output) / "_build" / "html"


@pytest.fixture(scope="session")
def render():
    return build


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    return build(chapters.ROOT, tmp_path_factory.mktemp("book"))


@pytest.fixture(scope="session")
def browser():
    if BROWSER is None:
        pytest.skip("no Chromium is installed, so no page was opened (Debian: chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=OPTIONS)
        yield browser
        browser.close()
