"""Execute the book's chapters: book/NAME.md (the source) to book/NAME.ipynb (what is rendered).

`python tools/chapters.py [NAME ...]` runs them with papermill, in parallel over the cores. The
notebook written is free of timings and machine names, its cells have stable ids, and its
metadata carries two digests, one over all that its outputs follow from and one over the outputs:
computing the same again on the same kind of processor leaves the file byte for byte as it was
(another kind may round figures otherwise).
"""

import ast
import hashlib
import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import jupytext
import nbformat
import papermill
import yaml

from support import parameters
from support.results import in_one_step

ROOT = Path(__file__).resolve().parents[1]


def chapters(root=ROOT):
    """The names of all chapters that are notebooks, in the order of the table of contents."""
    toc = yaml.safe_load((root / "_toc.yml").read_text())
    pages = [toc["root"]] + [
        page["file"] for part in toc["parts"] for page in part["chapters"] if "file" in page
    ]
    return [Path(page).stem for page in pages if page.endswith(".ipynb")]


PARAMETERS_CELL = re.compile(r"(:tags: \[parameters[^\]]*\]\n\n).*?(\n```)", re.DOTALL)


def write_parameters(name, root=ROOT):
    """Set the source's parameters cell to the text that `support.parameters` declares."""
    file = root / "book" / f"{name}.md"
    old = file.read_text()
    new = PARAMETERS_CELL.sub(lambda m: m[1] + parameters.cell(name) + m[2], old, count=1)
    if new != old:
        with in_one_step(file) as draft:
            draft.write_text(new)


def source(name, root=ROOT):
    """The notebook as the source has it: cells, no outputs, with stable ids.

    Raises ValueError, one line, where jupytext cannot read it.
    """
    file = root / "book" / f"{name}.md"
    try:
        notebook = jupytext.read(file, fmt="md:myst")
    except Exception as error:  # a slip in a cell's YAML: of the parser's words the first line
        raise ValueError(f"{file}: {str(error).splitlines()[0]}") from None
    seen = {}
    for cell in notebook.cells:
        text = hashlib.sha256(cell.source.encode()).hexdigest()[:12]
        seen[text] = seen.get(text, 0) + 1
        cell.id = f"{text}-{seen[text]}"
    notebook.metadata = nbformat.from_dict(
        {
            "jupytext": {"formats": "ipynb,md:myst"},
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    return notebook


def dependencies(name, root=ROOT):
    """All files the chapter's outputs follow from: its source, the modules of `support` that it
    imports, directly or not, the files these say they read (`READS`), this file and the lock.

    Raises ValueError for a READS that is no tuple of patterns or matches nothing.
    """
    code = "\n".join(c.source for c in source(name, root).cells if c.cell_type == "code")
    found = {root / path for path in (f"book/{name}.md", "requirements.lock", "tools/chapters.py")}
    waiting = _imported(code, root)
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        text = module.read_text()
        waiting |= _imported(text, root)
        for pattern in _reads(text):
            files = set(root.glob(pattern)) - {root / "book" / f"{name}.ipynb"}
            if not files:
                raise ValueError(f"{module.name}: READS names {pattern!r}, which matches no file")
            found |= files
    return sorted(found)


def _imported(code, root):
    """The files of `support` that this code imports, wherever in it the import stands."""
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(filter(None, ["support" * bool(node.level), node.module]))
            names |= {package} | {f"{package}.{alias.name}" for alias in node.names}
    support = {name.split(".")[1] for name in names if name.startswith("support.")}
    if any(name.split(".")[0] == "support" for name in names):
        support.add("__init__")
    files = {root / "support" / f"{name}.py" for name in support}
    return {file for file in files if file.exists()}


def _reads(code):
    """The patterns of a module's `READS = (...)`, none where it has no such line."""
    patterns = ()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Name) and node.id == "READS" and isinstance(node.ctx, ast.Store):
            line = code.splitlines()[node.lineno - 1]
            patterns = ast.literal_eval(line.removeprefix("READS = "))
            if type(patterns) is not tuple:
                raise ValueError(f"{line!r}; allowed: READS = ('PATTERN', ...), on one line")
    return patterns


def digest(name, root=ROOT):
    """A hash over the chapter's dependencies, their names and contents."""
    total = hashlib.sha256()
    for file in dependencies(name, root):
        total.update(file.relative_to(root).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()


def outputs_digest(notebook):
    """A hash over all outputs: nbval does not compare pictures, this does."""
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256(json.dumps(outputs, sort_keys=True).encode()).hexdigest()


def execute(name, root=ROOT):
    """Run one chapter and write its notebook; returns seconds and whether the file changed.

    Raises papermill's PapermillExecutionError where a cell fails; the old notebook then stays.
    """
    began = time.monotonic()
    target = root / "book" / f"{name}.ipynb"
    write_parameters(name, root)
    fresh = source(name, root)
    fresh.metadata["digest"] = digest(name, root)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / f"{name}.ipynb"
        nbformat.write(fresh, draft)
        run = papermill.execute_notebook(
            draft,
            None,
            cwd=root / "book",
            kernel_name="python3",
            progress_bar=False,
            coalesce_streams=True,  # else print calls fall into chunks as the clock has it
            extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
        )
    for cell, executed in zip(fresh.cells, run.cells, strict=True):
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = executed.outputs, executed.execution_count
            for output in cell.outputs:
                output.get("metadata", {}).pop("execution", None)
    fresh.metadata["outputs_digest"] = outputs_digest(fresh)
    text = nbformat.writes(fresh) + "\n"
    changed = not target.exists() or target.read_text() != text
    if changed:
        with in_one_step(target) as draft:
            draft.write_text(text)
    return time.monotonic() - began, changed


def main(names):
    known = chapters()
    unknown = sorted(set(names) - set(known))
    if unknown:
        sys.exit(f"chapter {unknown[0]!r}; allowed: {', '.join(known)}")
    # Kernels share the cores among themselves, so each computes on one thread; and they import
    # the package that stands beside the sources, wherever another checkout may be installed.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    os.environ["PYTHONPATH"] = str(ROOT)
    if Path(parameters.__file__).resolve().parents[1] != ROOT:
        sys.exit(f"support is imported from elsewhere; run with PYTHONPATH={ROOT}")
    names = list(dict.fromkeys(names or known))
    failed, total = [], len(names)
    try:
        readers = [name for name in names if any(f.suffix == ".ipynb" for f in dependencies(name))]
        failed += execute_all([name for name in names if name not in readers], 0, total)
        failed += execute_all(readers, total - len(readers), total)  # of the notebooks just made
    except ValueError as error:  # a page that cannot be read
        sys.exit(str(error))
    except KeyboardInterrupt:
        print("interrupted; chapters that were done stay done", file=sys.stderr, flush=True)
        os._exit(130)  # without waiting for those that are running: they end with this process
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def _end_with_parent():
    """Let a worker, and so the kernel it has started, end when this process does, however it ends;
    an interruption is for the parent to tell of."""

    def wait():
        multiprocessing.parent_process().join()
        os._exit(1)

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=wait, daemon=True).start()


def execute_all(names, before, total):
    """Execute chapters side by side, telling of each; return the names of those that failed."""
    failed = []
    with ProcessPoolExecutor(os.cpu_count(), initializer=_end_with_parent) as pool:
        runs = {pool.submit(execute, name): name for name in names}
        for done, run in enumerate(as_completed(runs), start=before + 1):
            name, progress = runs[run], f"[{done}/{total}]"
            if error := run.exception():
                failed.append(name)
                print(f"{progress} {name}: FAILED\n{error}", flush=True)
            else:
                seconds, changed = run.result()
                state = "changed" if changed else "as before"
                print(f"{progress} {name}: {seconds:.1f} s, {state}", flush=True)
    return failed


if __name__ == "__main__":
    main(sys.argv[1:])
