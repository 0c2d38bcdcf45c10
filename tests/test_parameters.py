"""Every chapter's parameters: declared once, checked first, refused in one line."""

import subprocess
import sys
from html import escape
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import parameters
from support.parameters import (
    CHAPTERS,
    ParameterError,
    RerunBox,
    _assigned,
    _refusal,
    _set_by_hand,
    cell,
    validate,
)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=2),
)
declared = [(chapter, p) for chapter, parameters in CHAPTERS.items() for p in parameters]


def defaults(chapter):
    return {p.name: p.default for p in CHAPTERS[chapter]}


def refusal(chapter, **values):
    with pytest.raises(ParameterError) as caught:
        validate(chapter, defaults(chapter) | values)
    return str(caught.value)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_cell_sets_the_defaults_and_these_are_allowed(chapter):
    namespace = {}
    exec(cell(chapter), {}, namespace)
    del namespace["__annotations__"]
    assert namespace == defaults(chapter)
    box = validate(chapter, namespace)._repr_html_()
    for parameter in CHAPTERS[chapter]:
        assert f"<code>{parameter.name}</code>" in box and escape(parameter.meaning) in box


def test_what_is_allowed_is_said():
    (kappa, *_) = CHAPTERS["theorem-1"]
    assert refusal("theorem-1", kappa=8) == f"kappa = 8; allowed: {kappa.allowed}"


@pytest.mark.slow
@given(st.sampled_from(declared), anything)
def test_any_value_is_taken_or_refused_in_one_line(which, value):
    chapter, parameter = which
    namespace = defaults(chapter) | {parameter.name: value}
    try:
        validate(chapter, namespace)
    except ParameterError as error:
        (line,) = error._render_traceback_()
        assert "\n" not in line and len(line) < len(parameter.allowed) + 150
        assert f"{parameter.name} = " in line and "allowed: " in line
    else:
        assert parameter.accepts(value) and type(value).__name__ in (parameter.type, "int")


@pytest.mark.parametrize(("chapter", "values"), [
    ("theorem-1", {"kappa": 8}),
    ("theorem-1", {"kappa": 5}),
    ("theorem-1", {"kappa": 15}),
    ("theorem-1", {"d": 41}),
    ("theorem-1", {"sd_A": 0.011}),
    ("theorem-1", {"seeds": list(range(65))}),
    ("setup", {"epsilon": 10**400}),
    ("theorem-1", {"kappa": True}),
    ("theorem-1", {"d": 7}),
    ("theorem-1", {"d": 10.0}),
    ("theorem-1", {"sd_A": -1e-3}),
    ("theorem-1", {"sd_A": float("nan")}),
    ("theorem-1", {"seeds": []}),
    ("theorem-1", {"seeds": [1, 2.5]}),
    ("theorem-1", {"seeds": "242"}),
    ("theorem-1", {"rule": "uniform"}),
    ("setup", {"d": 6, "kappa": 6}),
])  # fmt: skip
def test_values_out_of_range_are_refused(chapter, values):
    name, value = next(iter(values.items()))
    line = refusal(chapter, **values)
    assert line.startswith(f"{name} = {value!r}"[:50]) and "; allowed: " in line


def test_a_gap_below_what_floats_resolve_is_refused():
    line = refusal("theorem-1", sd_A=1e-5, diff_exponent=10)
    assert line.startswith("diff_exponent = 10; allowed: a number for which the gap")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kapa", "_kappa", "np", "validate", "_", "In", "get_ipython"])
def test_a_name_that_is_not_declared_is_refused_in_a_kernel(name):
    """In a shell of its own: the parameters cell, papermill's cell, the check."""
    code = (
        "from IPython.core.interactiveshell import InteractiveShell as Shell\n"
        "from support.parameters import cell, validate\n"
        "shell = Shell.instance()\n"
        "check = 'from support.parameters import validate\\nvalidate(\"theorem-1\", globals())'\n"
        "run = lambda source: shell.run_cell(source, store_history=True)\n"
        "for source in (cell('theorem-1'), check, 'mine = 1', cell('theorem-1'), check):\n"
        "    assert run(source).success  # also a second time, with variables about\n"
        f"run(cell('theorem-1')); run('# Parameters\\n{name} = 9')\n"
        f"print('RESULT', run(check).error_in_exec)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    result = run.stdout.rsplit("RESULT", 1)[-1]
    assert result.strip().startswith(f"{name} is no parameter of 'theorem-1'; allowed: kappa"), run


@pytest.mark.slow
def test_checking_parameters_imports_nothing_heavy():
    code = (
        "import sys; from support.parameters import validate; "
        "heavy = {'numpy', 'scipy', 'matplotlib', 'tensorflow', 'keras'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_box_says_every_parameter_and_a_line_that_runs():
    box = RerunBox("how-little-poison")
    page = ElementTree.fromstring(box._repr_html_())
    assert (page.tag, page.get("class")) == ("details", "rerun")
    assert page.find("summary").text == "Rerun this page with parameters of your own"
    assert page.find("pre").text == (
        ".venv/bin/papermill book/how-little-poison.ipynb out.ipynb -p kappa 7"
    )
    table = page.find("table")
    blocks = [page, table, *table, *table.iter("tr")]
    assert not any(child.tail for block in blocks for child in block)  # no words in between
    words = ["".join(p.itertext()) for p in page.findall("p")]
    assert words == [
        "From a clone of the repository, after make book:",
        "Numbers and figures then follow from the new values; the prose describes the defaults. "
        "A value that the page cannot take is refused at once. Lists are passed as YAML, as in "
        "-y '{seeds: [1, 2, 3]}'.",
    ]
    head, *rows = (
        ["".join(cell.itertext()) for cell in row] for row in page.find("table").iter("tr")
    )
    assert head == ["name", "type", "default", "meaning", "allowed"]
    assert rows == [
        [p.name, p.type, repr(p.default), p.meaning, p.allowed]
        for p in CHAPTERS["how-little-poison"]
    ]
    assert all(len(row) == 5 and row[0] for row in rows)
    assert repr(box) == (
        "How to rerun 'how-little-poison': papermill --help-notebook book/how-little-poison.ipynb"
    )


def test_what_a_cell_assigns():
    assert _assigned("a = b = 1\nc: int = 2\nd, e = 1, 2\nf.g = 3\ndef h():\n    i = 1") == {
        "a", "b", "c",
    }  # fmt: skip
    assert _assigned("%matplotlib inline\na = 1") == set()


def test_a_cell_begins_and_ends_as_formatters_ask():
    lines = cell("how-little-poison").splitlines()
    assert lines[0] == "# fmt: off" and lines[1].startswith("kappa: int = 7")


def test_names_set_by_hand_are_read_from_the_kernel_s_history(monkeypatch):
    """Back to the cell that sets all that is declared; the cell that runs is not counted."""
    declared = ["kappa", "d"]

    def found(*cells):
        history = SimpleNamespace(input_hist_raw=["", *cells, "validate()"])
        shell = SimpleNamespace(history_manager=history)
        here = SimpleNamespace(get_ipython=lambda: shell)
        monkeypatch.setitem(sys.modules, "IPython", here)
        return _set_by_hand(declared)

    both = "kappa = 7\nd = 8"
    assert found(both) == ["d", "kappa"]
    assert found("x = 1", both, "kapa = 9", "b = 1") == ["b", "d", "kapa", "kappa"]
    assert found("x = 1", both + "\ny = 2") == ["d", "kappa", "y"]
    assert found("x = 1", "y = 2") == []
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert _set_by_hand(declared) == []
    monkeypatch.delitem(sys.modules, "IPython")
    assert _set_by_hand(declared) == []


def test_a_name_set_by_hand_is_refused_with_those_that_are_known(monkeypatch):
    monkeypatch.setattr(parameters, "_set_by_hand", lambda declared: ["alpha", "alpa"])
    namespace = {p.name: p.default for p in CHAPTERS["intro"]} | {"alpa": 1}
    known = ", ".join(p.name for p in CHAPTERS["intro"])
    with pytest.raises(ParameterError) as caught:
        validate("intro", namespace)
    assert str(caught.value) == f"alpa is no parameter of 'intro'; allowed: {known}"


def test_what_is_shown_of_a_value():
    assert str(_refusal("x", "a" * 58, "y")) == f"x = 'aaa{'a' * 55}'; allowed: y"
    assert str(_refusal("x", "a" * 59, "y")) == f"x = '{'a' * 56}...; allowed: y"
    assert str(_refusal("x", 10**5000, "y")) == ("x = a number of thousands of digits; allowed: y")
