"""What test files share: their order, the rendered book, and a browser to open it in."""

import gc
import inspect
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import chapters
import numpy as np
import pytest
from hypothesis import settings
from pdf import BROWSER, OPTIONS

# The same examples on every run, at any speed; fewer where tests are repeated for every mutant.
# (A test that takes long asks for min(n, settings().max_examples).)
settings.register_profile("book", deadline=None, derandomize=True)
settings.register_profile("quick", deadline=None, derandomize=True, max_examples=10)
settings.load_profile("book")

if chapters.ROOT.name == "mutants":
    # mutmut wraps every method, and Keras asks for a layer's arguments without looking inside.
    plain = inspect.getfullargspec
    inspect.getfullargspec = lambda function: plain(inspect.unwrap(function))
    # It imports all tests once and forks for each mutant, which TensorFlow's threads would not
    # outlive; they begin with the first question after its logical devices.
    import tensorflow

    tensorflow.config.list_logical_devices = tensorflow.config.list_physical_devices


@pytest.fixture
def untrained(monkeypatch):
    """In place of `train` one that draws, from the data of each member, where it ends.

    For what surrounds a training, as compiling one takes a second. The list returned keeps what
    every call was asked.
    """
    from support import protection, trained
    from support.training import Run

    calls = []

    def train(student, loss, **options):
        transition = student.ssm.transition_weight.numpy()
        calls.append(SimpleNamespace(start=transition.copy(), loss=loss, options=options))
        sequences, members = loss[1][0], range(student.members)
        seeds = [np.frombuffer(sequences[..., i].tobytes(), "uint32") for i in members]
        drawn = np.stack([np.random.default_rng(seed).uniform(0, 1, 99) for seed in seeds], axis=-1)
        student.ssm.transition_weight.assign(drawn[: len(transition)])
        for end in (student.ssm.input_weight, student.ssm.output_weight):
            end.assign(np.ones(end.shape))  # the error at lag zero is then the largest
        stop = np.array([10, -1] * student.members, "int32")[: student.members]
        return Run(stop, stop + 30, drawn[-1], drawn[-1] > 2, stop > 0, [], 0.0)

    monkeypatch.setattr(trained, "train", train)
    monkeypatch.setattr(protection, "train", train)
    return calls


SITE = chapters.ROOT / "_build" / "html"

# The files that take longest, begun first, so that no worker is left with one at the end.
LONGEST = ("test_reruns", "test_training", "test_pdf", "test_sweeps", "test_browser")


def pytest_collection_modifyitems(items):
    place = {name: i for i, name in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONGEST)))


def pytest_collection_finish():
    gc.freeze()  # what imports left, TensorFlow above all, is not searched for garbage ever again


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
    """The HTML of the book: as `make html` left it, or rendered now where something is newer."""
    sources = [chapters.ROOT / name for name in ("_config.yml", "_toc.yml")]
    for folder in ("book", "_static", "tools"):
        sources += [path for path in (chapters.ROOT / folder).glob("*") if path.is_file()]
    last = SITE / "search.html"
    if last.exists() and last.stat().st_mtime > max(path.stat().st_mtime for path in sources):
        return SITE
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
