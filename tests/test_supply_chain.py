"""What runs is what was reviewed: pinned, hashed, and nothing fetched at run time."""

import ast
import re

import chapters
import pytest
import yaml

pytestmark = pytest.mark.slow  # of the repository, not of what it computes

ROOT = chapters.ROOT
LOCK = (ROOT / "requirements.lock").read_text()

# Modules that fetch, and modules that run what a file says.
FETCHING = {"urllib.request", "http.client", "requests", "httpx", "aiohttp", "ftplib", "socket"}
RUNNING = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}


def code():
    """(where, syntax tree) of all that readers and rerunners run."""
    for folder in ("support", "tools"):
        for path in sorted((ROOT / folder).glob("*.py")):
            yield path.name, ast.parse(path.read_text())
    for name in chapters.chapters():
        cells = [c.source for c in chapters.source(name).cells if c.cell_type == "code"]
        yield name, ast.parse("\n".join(cells))


def dangers(tree):
    """What in a tree fetches, unpickles or runs text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        else:
            names = set()
        yield from names & (FETCHING | RUNNING)
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in ("eval", "exec", "compile", "__import__", "os.system"):
                yield called
            for word in node.keywords:
                if word.arg in ("allow_pickle", "shell", "trust_remote_code"):
                    yield word.arg


def test_nothing_is_fetched_unpickled_or_run_from_text():
    assert [(where, found) for where, tree in code() for found in dangers(tree)] == []


def test_the_search_for_dangers_finds_them():
    text = "import pickle\nfrom urllib import request\nnp.load(x, allow_pickle=True)\neval('1')"
    found = sorted(dangers(ast.parse(text)))
    assert found == ["allow_pickle", "eval", "pickle", "urllib.request"]


def test_stored_arrays_need_no_pickle():
    import numpy as np

    for path in ROOT.rglob("support/data/*.npz"):
        with np.load(path) as arrays:
            assert all(arrays[name].dtype.kind in "fiu" for name in arrays)


def test_every_package_is_pinned_with_hashes_and_these_are_asked_for():
    packages = re.split(r"\n(?=\S)", re.sub(r"(?m)^\s*#.*\n", "", LOCK).strip())
    assert len(packages) > 100
    for package in packages:
        head, *hashes = package.split("--hash=sha256:")
        assert re.match(r"[\w.-]+(\[\w+\])?==[^\s;]+", head), head
        assert hashes and all(re.match(r"[0-9a-f]{64}\b", h) for h in hashes), head
    installs = [
        line for line in (ROOT / "Makefile").read_text().splitlines() if "pip install" in line
    ]
    # The lock is whole, so nothing is resolved: only what is in it can come.
    assert [("--require-hashes" in line, "--no-deps" in line) for line in installs] == [
        (True, True),
        (False, True),  # the package itself
    ]


def test_workflow_actions_are_pinned_by_commit():
    used = []
    for path in (ROOT / ".github/workflows").iterdir():
        workflow = yaml.safe_load(path.read_text())
        assert workflow["permissions"] == {"contents": "read"}
        used += [
            s["uses"] for job in workflow["jobs"].values() for s in job["steps"] if "uses" in s
        ]
    assert used and all(re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", name) for name in used)
