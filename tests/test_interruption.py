"""Whatever is killed, whenever: files stay whole, and the next run goes on."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from multiprocessing import get_context

import chapters
import nbformat
import pyarrow as pa
import pytest

from support import results

pytestmark = pytest.mark.slow

KILLS = 100
LONG = list(range(5_000))


def record(path, value):
    results.store({"name": path.stem, "value": value}, {"numbers": LONG, "value": value})


def table(path, value):
    results.write_table(
        path, {"value": value}, pa.table({"numbers": LONG, "value": [value] * len(LONG)})
    )


def source(path, value):
    """The parameters cell of a page, as one who edits a declaration has it rewritten."""
    chapters.parameters.CHAPTERS["page"] = (
        chapters.parameters.integer("value", value, "x" * 100_000, 0, 9),
    )
    chapters.write_parameters("page", path.parents[1])


def forever(write, path, root):
    results.FOLDER = root
    while True:
        for value in range(10):
            write(path, value)


PAGE = "```{code-cell} python3\n:tags: [parameters]\n\n# fmt: off\n```\n\nThe end.\n"


WRITERS = pytest.mark.parametrize(("write", "name"), [
    (record, "record.json"), (table, "record.parquet"), (source, "book/page.md"),
])  # fmt: skip


@WRITERS
def test_a_writer_killed_leaves_the_old_file_or_the_new_one(write, name, tmp_path, monkeypatch):
    path, moment = tmp_path / name, random.Random(0)
    path.parent.mkdir(exist_ok=True)
    if write is source:
        path.write_text(PAGE)
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    seen = set()
    for _ in range(KILLS):
        writer = get_context("fork").Process(target=forever, args=(write, path, tmp_path))
        writer.start()
        time.sleep(moment.uniform(0.005, 0.03))
        writer.kill()
        writer.join()
        if path.exists():
            seen.add(whole(path))
    assert len(seen) > 1  # at different moments


@WRITERS
def test_a_file_cut_short_would_be_noticed(write, name, tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(PAGE)
    write(path, 3)
    assert whole(path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises((AssertionError, ValueError)):
        whole(path)


def whole(path):
    """What a file says; fails where it is cut short."""
    if path.suffix == ".parquet":
        key, found = results.read_table(path)
        assert found["numbers"].to_pylist() == LONG
        return key["value"]
    if path.suffix == ".json":
        values = results.json.loads(path.read_text())["values"]
        assert values["numbers"] == LONG
        return values["value"]
    text = path.read_text()
    assert text.endswith("```\n\nThe end.\n")
    return text[:200]


NAMES = ("setup", "proof-setting", "errata")  # names whose parameters are declared
HEAD = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

"""
TOC = "format: jb-book\nroot: book/setup.ipynb\nparts:\n- chapters:\n" + "".join(
    f"  - file: book/{name}.ipynb\n" for name in NAMES[1:]
)


BODY = """
```{code-cell} python3
from support.parameters import validate

validate("NAME", globals())
```

```{code-cell} python3
import time

time.sleep(2)
print("NAME is done")
```
"""


@pytest.fixture
def book(tmp_path):
    """A book of three short chapters, in a path with a space and an umlaut, none up to date."""
    root = tmp_path / "ein Bücherregal"
    ignored = shutil.ignore_patterns("__pycache__", "*.partial", "*.md", "*.ipynb", "results")
    for name in ("support", "tools", "book"):
        shutil.copytree(chapters.ROOT / name, root / name, ignore=ignored)
    shutil.copy(chapters.ROOT / "requirements.lock", root)
    (root / "_toc.yml").write_text(TOC)
    for name in NAMES:
        (root / f"book/{name}.md").write_text(HEAD + PAGE + BODY.replace("NAME", name))
    run = begin(root)
    told = run.communicate(timeout=120)
    assert run.returncode == 0, told
    init = root / "support/__init__.py"
    init.write_text(init.read_text() + "\n")  # every digest differs
    return root


def begin(book):
    """What `make book` begins with, in a process group of its own."""
    command = [sys.executable, "tools/chapters.py"]
    environment = os.environ | {"PYTHONPATH": str(book)}
    return subprocess.Popen(
        command, cwd=book, env=environment, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def contents(book):
    """Every tracked file but the notebooks; the notebooks, parsed."""
    files = [path for path in book.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    kept = [path for path in files if path.suffix not in (".ipynb", ".partial")]
    pages = {path.stem: nbformat.read(path, 4) for path in files if path.suffix == ".ipynb"}
    return {path: path.read_bytes() for path in kept}, pages


def kernels(book):
    """Processes that still run in the book."""
    found = []
    for process in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if str(book) in os.readlink(f"/proc/{process}/cwd"):
                found.append(process)
        except OSError:  # it has gone
            pass
    return found


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks for processes in /proc")
def test_a_book_killed_three_times_and_interrupted_once_is_whole_and_gets_done(book):
    moment, (files, old) = random.Random(1), contents(book)
    for strike in (signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGINT):
        run = begin(book)
        time.sleep(moment.uniform(1, 5))
        os.killpg(run.pid, strike)
        said = run.communicate(timeout=20)[1]
        if strike == signal.SIGINT and run.returncode != 0:  # 0: it was done before
            assert run.returncode == 130
            assert said.splitlines()[-1] == "interrupted; chapters that were done stay done"
        until = time.monotonic() + 20
        while kernels(book) and time.monotonic() < until:
            time.sleep(0.2)
        assert not kernels(book)  # nothing goes on behind the reader's back
        left, pages = contents(book)
        assert left == files
        for name, page in pages.items():
            done = page.metadata.digest == chapters.digest(name, book)
            assert done or page == old[name]
    run = begin(book)
    told = run.communicate(timeout=120)
    assert run.returncode == 0, told
    left, pages = contents(book)
    assert left == files
    for name, page in pages.items():
        assert page.metadata.digest == chapters.digest(name, book)
        assert [cell.get("outputs") for cell in page.cells] == [
            cell.get("outputs") for cell in old[name].cells
        ]
