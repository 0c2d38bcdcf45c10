"""`pytest --nbval` compares real outputs: it passes on what is stored and fails on a forgery."""

import subprocess
import sys

import chapters
import nbformat
import pytest

pytestmark = pytest.mark.slow


def nbval(notebook):
    command = [sys.executable, "-m", "pytest", "--nbval", "-q", "-p", "no:cacheprovider"]
    command += ["-c", chapters.ROOT / "pyproject.toml", "--rootdir", notebook.parent, notebook]
    run = subprocess.run(command, capture_output=True, text=True)
    return run.returncode, run.stdout


@pytest.mark.parametrize("forge", [False, True])
def test_a_forged_output_is_found(forge, tmp_path):
    notebook = nbformat.read(chapters.ROOT / "book" / "setup.ipynb", as_version=4)
    texts = [o for c in notebook.cells for o in c.get("outputs", []) if o.output_type == "stream"]
    assert "padded teacher:    0.00" in texts[1].text
    if forge:
        texts[1].text = texts[1].text.replace("padded teacher:    0.00", "padded teacher:    0.01")
    nbformat.write(notebook, tmp_path / "setup.ipynb")
    code, output = nbval(tmp_path / "setup.ipynb")
    assert code == int(forge), output
    assert ("1 failed" in output) == forge
