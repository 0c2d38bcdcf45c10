"""Every chapter under papermill: other parameters, other results; wrong ones, one clear line."""

from datetime import datetime

import chapters
import nbformat
import pytest
from papermill.exceptions import PapermillExecutionError
from reruns import OTHERS, other, rerun

from support import ledger
from support.checks import slug

pytestmark = pytest.mark.slow

CHECKED = [entry["name"] for entry in ledger.statements() if not entry["open"]]

# How many output cells must differ, where pages render stored results beside the rerun's.
FEWEST = {
    "greedy-learning": 3,
    "reproducibility-notes": 1,
    "intro": 1,
    "how-little-poison": 3,
    "poisoned-set": 1,
    "learned-ends": 1,
    "infinite-data": 3,
    "what-protects": 1,
    "statements": 0,
    "is-it-the-seed": 2,
    "errata": 0,
}


def printed(notebook):
    """The text that a notebook's cells print or show as tables, one entry a cell."""
    texts = []
    for cell in notebook.cells:
        if cell.cell_type == "code" and "injected-parameters" not in cell.metadata.tags:
            outputs = [o.get("text") or o.data.get("text/markdown", "") for o in cell.outputs]
            texts.append("".join(outputs))
    return texts


@pytest.mark.parametrize(("name", "i"), [(n, i) for n in OTHERS for i in range(len(OTHERS[n]))])
def test_other_parameters_give_other_results(name, i):
    stored = nbformat.read(chapters.ROOT / "book" / f"{name}.ipynb", as_version=4)
    for cell in stored.cells:
        cell.metadata.setdefault("tags", [])
    before, after = printed(stored), printed(other(name, i))
    assert len(before) == len(after)
    fewest = FEWEST.get(name, min(4, sum(map(bool, before)) - 1))
    assert sum(old != new for old, new in zip(before, after, strict=True)) >= fewest


@pytest.mark.parametrize("name", CHECKED, ids=slug)
def test_statement(name):
    """On each page that checks it: true as stated and false in each false version, there too."""
    stored = ledger.checks()[name]
    assert stored and all(record["fails"] for record in stored)
    for page in {record["page"] for record in stored}:
        again = ledger.records(other(page).cells)
        mine = [record for record in again if name in record["statements"]]
        here = [record for record in stored if record["page"] == page]
        assert [(r["anchor"], list(r["fails"])) for r in mine] == [
            (r["anchor"], r["fails"]) for r in here
        ]


def test_every_chapter_is_rerun():
    assert set(OTHERS) == set(chapters.chapters())


@pytest.mark.parametrize(("name", "values", "line"), [
    ("theorem-1", {"kappa": 8}, "kappa = 8; allowed: an odd integer from 7 to 13"),
    ("theorem-1", {"kappa": 5}, "kappa = 5; allowed: "),
    ("theorem-1", {"d": 7}, "d = 7; allowed: an integer from 8 to 40"),
    ("theorem-1", {"sd_A": -0.001}, "sd_A = -0.001; allowed: "),
    ("theorem-1", {"seeds": []}, "seeds = []; allowed: a list of "),
    ("theorem-1", {"seeds": [1.5]}, "seeds = [1.5]; allowed: "),
    ("theorem-1", {"seeds": "242"}, "seeds = '242'; allowed: "),
    ("theorem-1", {"kapa": 9}, "kapa is no parameter of 'theorem-1'; allowed: kappa, "),
    ("greedy-learning", {"special_lags": [6]}, "special_lags = [6]; allowed: a list of 0 to 6 "),
    ("greedy-learning", {"backend": "torch"}, "backend = 'torch'; allowed: 'tensorflow' or 'jax'"),
    ("keras-experiments", {"rule": "best"}, "rule = 'best'; allowed: 'released' or 'text'"),
    ("keras-experiments", {"seeds": [-1]}, "seeds = [-1]; allowed: a list of 0 to 64 "),
    ("is-it-the-seed", {"count": 0}, "count = 0; allowed: an integer from 1 to 10000000"),
    ("is-it-the-seed", {"grid": {"n_special": 3}}, "grid = {'n_special': 3}; allowed: {name: ["),
    ("is-it-the-seed", {"experiment": "table3"}, "experiment = 'table3'; allowed: 'table1.ssm_th"),
    ("proof-setting", {"kappa": 5}, "kappa = 5; allowed: an odd integer from 7 to 13"),
    ("proof-flow-s1", {"d": 7}, "d = 7; allowed: an integer from 8 to 40"),
    ("proof-flow-s1", {"epsilon": 0.0}, "epsilon = 0.0; allowed: a number from "),
    ("proof-reference", {"d": 7}, "d = 7; allowed: an integer from 8 to 40"),
    ("proof-critical-points", {"kappa": 8}, "kappa = 8; allowed: an odd integer"),
    ("proof-linearization", {"kappa": 5}, "kappa = 5; allowed: an odd integer from 7 to 13"),
    ("proof-towards-saddle", {"alpha": 0.0}, "alpha = 0.0; allowed: a number from "),
    ("proof-escape", {"kappa": 6}, "kappa = 6; allowed: an odd integer"),
    ("proof-convergence", {"members": 0}, "members = 0; allowed: an integer from "),
    ("proof-divergence", {"alpha": 1}, "alpha = 1; allowed: a number from "),
    ("proof-initializations", {"d": 7}, "d = 7; allowed: an integer from 8 to 40"),
    ("proof-free", {"kappa": 5}, "kappa = 5; allowed: an odd integer"),
    ("proof-auxiliary", {"kappa": 8}, "kappa = 8; allowed: an odd integer"),
    ("certificate", {"place": 1.0}, "place = 1.0; allowed: a number from 0.3 to 0.9"),
    ("how-little-poison", {"d": 40}, "d = 40; allowed: an integer from 8 to 12"),
    ("poisoned-set", {"sample": 0}, "sample = 0; allowed: an integer from 1 to 32"),
    ("learned-ends", {"alpha": 0.1}, "alpha = 0.1; allowed: a number from 0.0001 to 0.01"),
    ("infinite-data", {"poles": [9, 9]}, "poles = [9, 9]; allowed: no two alike"),
    ("what-protects", {"seed": 0.5}, "seed = 0.5; allowed: an integer from 0 to 4294967295"),
    ("errata", {"seed": -1}, "seed = -1; allowed: "),
    ("statements", {"show": "best"}, "show = 'best'; allowed: 'all' or 'checked'"),
    ("setup", {"d": 3}, "d = 3; allowed: an integer above kappa = 6"),
    ("intro", {"alpha": "small"}, "alpha = 'small'; allowed: "),
])  # fmt: skip
def test_a_wrong_parameter_stops_the_chapter_at_once_with_one_line(name, values, line, tmp_path):
    with pytest.raises(PapermillExecutionError) as caught:
        rerun(name, values, tmp_path)
    assert caught.value.exec_count <= 3  # parameters, injected parameters, check
    assert caught.value.traceback and len(caught.value.traceback) == 1
    assert caught.value.traceback[0].startswith(f"ParameterError: {line}")
    notebook = nbformat.read(tmp_path / f"{name}.ipynb", as_version=4)
    times = [cell.metadata.papermill for cell in notebook.cells if cell.cell_type == "code"]
    began, ended = (
        datetime.fromisoformat(value.replace("Z", "+00:00"))
        for value in (
            min(t["start_time"] for t in times if t["start_time"]),
            max(t["end_time"] for t in times if t["end_time"]),
        )
    )
    assert (ended - began).total_seconds() < 2
