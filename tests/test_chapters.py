"""Source and executed notebook belong together, and no output can go stale unnoticed."""

import ast
import re
import shutil
import subprocess
import sys

import chapters
import nbformat
import pytest
import yaml

pytestmark = pytest.mark.slow

NAMES = chapters.chapters()


def faults(name, root=chapters.ROOT):
    """What is wrong with a chapter's notebook, as a list of short sentences; empty if nothing."""
    found = []
    source = chapters.source(name, root)
    notebook = nbformat.read(root / "book" / f"{name}.ipynb", as_version=4)
    if [dict(c, outputs=[], execution_count=None) for c in source.cells] != [
        dict(c, outputs=[], execution_count=None) for c in notebook.cells
    ]:
        found.append("cells differ from the source")
    if notebook.metadata.get("digest") != chapters.digest(name, root):
        found.append("digest differs from source, package, results or lock")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("not executed from top to bottom")
    if notebook.metadata.get("outputs_digest") != chapters.outputs_digest(notebook):
        found.append("outputs are not those that were executed")
    for output in (output for cell in code for output in cell.outputs):
        if output.output_type == "error" or output.get("name") == "stderr":
            found.append("an output is an error or went to stderr")
        if re.search(r"/(home|root|Users|tmp)/|site-packages|ipykernel_\d", str(output)):
            found.append("an output names a path of the machine it was made on")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_notebook_is_its_source_executed(name):
    assert faults(name) == []


def test_every_source_is_in_the_table_of_contents():
    toc = (chapters.ROOT / "_toc.yml").read_text()
    pages = {path.stem for path in (chapters.ROOT / "book").glob("*.md")}
    assert pages == set(re.findall(r"book/([\w-]+)\.", toc))
    assert len(NAMES) >= 3
    assert set(NAMES) == {path.stem for path in (chapters.ROOT / "book").glob("*.ipynb")}
    assert yaml.safe_load(toc)["root"] == "book/intro.ipynb"


@pytest.mark.parametrize("name", NAMES)
def test_a_chapter_opens_with_a_question_and_closes_with_what_was_shown(name):
    words = [c.source for c in chapters.source(name).cells if c.cell_type == "markdown"]
    assert re.search(r"\*\*Shown:\*\* .*\*\*Next:\*\* ", words[-1], re.DOTALL)
    assert "?" in words[0] or name == "intro"  # a story; the question stands below it


@pytest.mark.parametrize("name", NAMES)
def test_a_chapter_begins_with_its_parameters_and_their_check(name):
    cells = [cell for cell in chapters.source(name).cells if cell.cell_type == "code"]
    assert "parameters" in cells[0].metadata.tags
    assert cells[0].source == chapters.parameters.cell(name)
    assert cells[1].source == (
        f'from support.parameters import validate\n\nvalidate("{name}", globals())'
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_has_a_caption_a_name_and_a_description(name):
    notebook = nbformat.read(chapters.ROOT / "book" / f"{name}.ipynb", as_version=4)
    for cell in notebook.cells:
        drawn = any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
        assert drawn == ("mystnb" in cell.metadata)
        if drawn:
            figure, image = cell.metadata.mystnb.figure, cell.metadata.mystnb.image
            assert figure.name.startswith("fig-") and len(figure.caption) > 60
            assert len(image.alt) > 60


@pytest.fixture
def copy(tmp_path):
    for name in ("book", "support", "tools", "_toc.yml", "requirements.lock"):
        path = chapters.ROOT / name
        (shutil.copytree if path.is_dir() else shutil.copy)(path, tmp_path / name)
    assert faults("theorem-1", tmp_path) == []
    return tmp_path


def edit(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_an_edited_source_is_rejected(copy):
    edit(copy / "book/theorem-1.md", "flow_1, flow_2 =", "flow_1,  flow_2 =")
    assert "cells differ from the source" in faults("theorem-1", copy)


def test_an_edited_sentence_is_rejected(copy):
    edit(copy / "book/theorem-1.md", "The proof fills", "The proof takes")
    assert "cells differ from the source" in faults("theorem-1", copy)


@pytest.mark.parametrize(
    "file",
    [
        "support/flow.py",
        "support/ssm.py",
        "support/released.py",
        "support/data/published.json",
        "book/results/table1.ssm_theorem1.json",
        "requirements.lock",
    ],
)
def test_an_edit_of_what_a_chapter_depends_on_is_rejected(copy, file):
    path = copy / file
    path.write_text(path.read_text() + "\n")
    assert faults("theorem-1", copy) == ["digest differs from source, package, results or lock"]


def test_an_edit_elsewhere_is_not(copy):
    path = copy / "support/tables.py"
    path.write_text(path.read_text() + "\n")
    assert faults("setup", copy) == [] and faults("intro", copy) != []


def test_a_module_imported_by_an_imported_module_counts():
    names = {path.name for path in chapters.dependencies("intro")}
    assert {"datasets.py", "flow.py", "results.py", "table1.ssm_theorem1.json"} <= names
    assert "released.py" in names  # through experiments


def test_an_unexecuted_cell_is_rejected(copy):
    path = copy / "book/theorem-1.ipynb"
    notebook = nbformat.read(path, as_version=4)
    [cell for cell in notebook.cells if cell.cell_type == "code"][-1].execution_count = None
    nbformat.write(notebook, path)
    assert faults("theorem-1", copy) == ["not executed from top to bottom"]


def test_a_forged_or_missing_picture_is_rejected(copy):
    path = copy / "book/theorem-1.ipynb"
    for forge in (lambda data: data.update({"image/png": "AAAA"}), lambda data: data.clear()):
        notebook = nbformat.read(path, as_version=4)
        outputs = [o for cell in notebook.cells for o in cell.get("outputs", [])]
        forge(next(o.data for o in outputs if "image/png" in o.get("data", {})))
        nbformat.write(notebook, path)
        assert "outputs are not those that were executed" in faults("theorem-1", copy)


@pytest.mark.parametrize(
    ("code", "files"),
    [
        ("import support.flow as f", {"__init__.py", "flow.py"}),
        ("from . import flow", {"__init__.py", "flow.py"}),
        ("from .flow import GradientFlow", {"__init__.py", "flow.py"}),
        ("def f():\n    from support import ssm", {"__init__.py", "ssm.py"}),
        ("import numpy", set()),
    ],
)
def test_every_form_of_import_is_followed(code, files):
    assert {path.name for path in chapters._imported(code, chapters.ROOT)} == files


def test_a_module_that_reads_files_says_which(tmp_path):
    for path in (chapters.ROOT / "support").glob("*.py"):
        if re.search(r"read_text|(?<![.\w])open\(|np\.load", path.read_text()):
            assert chapters._reads(path.read_text()), path
    for wrong in ('READS = ("a")', "READS: tuple = ('a',)", 'READS = ["a"]'):
        with pytest.raises((ValueError, SyntaxError)):
            chapters._reads(wrong)


WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "jax"):
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, Absent())
exec(sys.stdin.read(), {})
"""


def test_pages_that_train_nothing_need_no_tensorflow():
    """All that they import, where TensorFlow, Keras and JAX cannot be."""
    untrained = [
        name
        for name in NAMES
        if not any(file.name == "backend.py" for file in chapters.dependencies(name))
    ]
    assert {"intro", "setup", "theorem-1", "certificate"} <= set(untrained) and len(untrained) > 15
    code = "\n".join(c.source for name in untrained for c in chapters.source(name).cells
                     if c.cell_type == "code")  # fmt: skip
    imports = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]

    def run(text):
        command = [sys.executable, "-c", WITHOUT]
        return subprocess.run(command, input=text, capture_output=True, text=True)

    done = run("\n".join(imports))
    assert done.returncode == 0, done.stderr
    assert "keras is not installed" in run("from support import layers").stderr
