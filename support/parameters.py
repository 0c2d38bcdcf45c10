"""The parameters of every chapter, declared once.

The text of a chapter's parameters cell, the check in its first cell, its "Rerun this page" box
and the tests that try to break it all come from the table `CHAPTERS`. Imports nothing heavy:
a wrong value must be refused before a long computation, or TensorFlow, starts.
"""

import ast
import sys
from html import escape

from support.paper import experiments, initial_gap, panels
from support.ranges import choice, grid, integer, integers, number, text

__all__ = ["CHAPTERS", "ParameterError", "cell", "validate"]


class ParameterError(ValueError):
    """A parameter that a chapter cannot take; shown as one line, without a traceback."""

    def _render_traceback_(self):  # IPython's hook
        return [f"ParameterError: {self}"]


def _training(precision):
    """The parameters shared by the chapters that train as the paper does."""
    return (
        integer("n_special", -1, "number of special sequences; -1: the paper's", -1, 1000),
        integers(
            "special_lags",
            [],
            "places of their entries, from the end: 0 is last, 1 next-to-last; empty: the paper's",
            *(0, 5, 6),
            fewest=0,
        ),
        choice("rule", "released", "the released runs' choices or the text's", "released", "text"),
        choice("precision", precision, "floating type of the training", "float64", "float32"),
        choice("backend", "tensorflow", "what Keras computes with", "tensorflow", "jax"),
        integer("most", 200_000, "iterations after which a run is given up", 1, 10_000_000),
    )


# Training length and dimension as the proof asks for them, and the seed of random draws.
CASE = (
    integer("kappa", 7, "training length", 7, 13, odd=True),
    integer("d", 8, "dimension of the student", 8, 40),
    integer("seed", 0, "seed of the random points and starts", 0, 2**32 - 1),
)
ALPHA = number("alpha", 1e-3, "scale of the start", 1e-6, 1e-2)
MEMBERS = integer("members", 1000, "number of random starts", 10, 10_000)

CHAPTERS = {
    "intro": (
        number("alpha", 1e-3, "scale of the initialization: a_1(0)", 1e-6, 1e-2),
        number("zeta_gap", 1e-5, "relative gap 1 - a_2(0)/a_1(0)", 1e-8, 1e-2),
    ),
    "setup": (
        integer("kappa", 6, "training length", 2, 12),
        integer("d", 8, "dimension of the student, above kappa", 3, 16),
        number("epsilon", 1.0, "error wanted one step beyond the training length", 1e-3, 1e6),
        integer("seed", 0, "seed of the random systems and sequences", 0, 2**32 - 1),
    ),
    "proposition-1": (
        integer("kappa", 6, "length of the random sequences", 3, 10),
        integer("d", 10, "dimension of the random students", 1, 32),
        integer("seed", 0, "seed of the random students and sequences", 0, 2**32 - 1),
        choice("experiment", "figure2.ssm_mlp", "the run that is watched", *panels()),
    ),
    "greedy-learning": (
        integer("seed", -1, "seed of all panels; -1: the released one of each", -1, 2**32 - 1),
        *_training("float64"),
    ),
    "keras-experiments": (
        integers(
            "seeds", [], "one student for each; empty: the released ones", 0, 2**32 - 1, 64, 0
        ),
        *_training("float32"),
    ),
    "is-it-the-seed": (
        integer("seed", 0, "seed of the random sample that is run again", 0, 2**32 - 1),
        integer("sample", 2, "how many seeds of each row are run again", 1, 64),
        choice("experiment", "table1.ssm_beyond", "what your own sweep runs", *experiments()),
        integer("first", 0, "its first seed", 0, 2**31),
        integer("count", 32, "how many consecutive seeds it runs", 1, 10_000_000),
        grid("grid", {"n_special": [1]}, "parameters of the experiment and their values"),
        integer("chunk", 250, "seeds that it computes and stores together", 1, 1_000_000),
        text("where", "here", "'here', 'cores' or the address of a Dask scheduler"),
        text("folder", "", "where its chunks are kept, to go on from; empty: nowhere"),
        choice("backend", "tensorflow", "what Keras computes with", "tensorflow", "jax"),
    ),
    "proof-setting": CASE,
    "proof-flow-s1": (
        *CASE,
        MEMBERS,
        number("epsilon", 0.01, "error wanted over all lengths up to 42", 1e-6, 0.1),
    ),
    "proof-auxiliary": CASE,
    "proof-reference": CASE,
    "proof-critical-points": CASE,
    "proof-linearization": CASE,
    "proof-towards-saddle": (*CASE, ALPHA),
    "proof-escape": (*CASE, ALPHA),
    "proof-convergence": (
        *CASE,
        ALPHA,
        MEMBERS,
    ),
    "proof-divergence": (*CASE, ALPHA),
    "proof-initializations": CASE,
    "proof-free": CASE,
    "certificate": (
        *CASE,
        number("alpha", 1e-2, "largest scale of the starts", 1e-6, 1e-2),
        number("place", 0.5, "a_3 to a_d start below 1 - this times a_1", 0.3, 0.9),
    ),
    "how-little-poison": (
        integer("kappa", 7, "training length", 7, 9, odd=True),
        integer("d", 8, "dimension of the student", 8, 12),
        number("alpha", 1e-2, "largest scale of the starts; also 1/10, 1/100 of it", 1e-3, 1e-2),
        number("zeta", 1e-5, "relative gap 1 - a_2(0)/a_1(0) of the first start", 1e-6, 1e-3),
        integer("seed", 0, "seed of the random sample that is run again", 0, 2**32 - 1),
        integer("sample", 3, "how many starts and seeds are run again", 1, 32),
    ),
    "poisoned-set": (
        integer("seed", 0, "seed of the random sample that is run again", 0, 2**32 - 1),
        integer("sample", 2, "how many starts of two laws are run again", 1, 32),
    ),
    "learned-ends": (
        integer("kappa", 7, "training length", 7, 9, odd=True),
        integer("d", 8, "dimension of the student", 8, 12),
        number("alpha", 1e-3, "scale of the start", 1e-4, 1e-2),
        integer("seed", 0, "seed of the random sample that is run again", 0, 2**32 - 1),
        integer("sample", 2, "how many of the stored starts are run again", 1, 32),
    ),
    "infinite-data": (
        integers("poles", [9, 5], "the teacher's poles, in tenths, no two alike", -9, 10, 4),
        integer("d", 8, "dimension of the student", 4, 12),
        integer("seed", 0, "seed of the random starts and of the sample", 0, 2**32 - 1),
        integer("sample", 2, "how many of the stored starts are run again", 1, 32),
    ),
    "what-protects": (
        integer("seed", 0, "seed of the random samples", 0, 2**32 - 1),
        integer("sample", 2, "how many of the stored starts are run again", 1, 16),
    ),
    "errata": CASE,
    "statements": (
        choice("show", "all", "which rows", "all", "checked", "open", "false as printed"),
    ),
    "reproducibility-notes": (
        integer("seed", 200, "seed of the start whose draws are compared", 0, 2**32 - 1),
    ),
    "theorem-1": (
        integer("kappa", 7, "training length", 7, 13, odd=True),
        integer("d", 10, "dimension of the student", 8, 40),
        number("sd_A", 1e-3, "scale of the initialization", 1e-5, 1e-2),
        number("diff_exponent", 5, "the gap a_1 - a_2 is 0.05 exp(this * log10 sd_A)", 5, 20),
        integers("seeds", [242, 244, 246, 247], "one start for each", 0, 2**32 - 1, 64),
        choice("rule", "released", "how starts are drawn", "released", "text", "text, positive"),
    ),
}

# What one parameter asks of another: chapter -> (name, allowed, condition on all of them).
RELATIONS = {
    "infinite-data": (
        ("poles", "no two alike", lambda p: len(set(p["poles"])) == len(p["poles"])),
    ),
    "setup": (("d", "an integer above kappa = {kappa}", lambda p: p["d"] > p["kappa"]),),
    "theorem-1": (
        (
            "diff_exponent",
            "a number for which the gap is at least 1e-12 sd_A (floats resolve no smaller one)",
            lambda p: initial_gap(p["sd_A"], p["diff_exponent"]) >= 1e-12 * p["sd_A"],
        ),
    ),
}


def cell(chapter):
    """The text of the chapter's parameters cell; papermill reads its types and comments."""
    lines = [
        f"{p.name}: {p.type} = {p.default!r}  # {p.meaning}; {p.allowed}" for p in CHAPTERS[chapter]
    ]
    return "\n".join(["# fmt: off", *lines])


def validate(chapter, namespace):
    """Check a chapter's parameters as they stand in `namespace`, and return its rerun box.

    Meant as the first thing a chapter does: `validate("theorem-1", globals())`.
    Raises ParameterError, one line, for a value out of range and for a name that the chapter
    does not declare (papermill itself only warns).
    """
    declared = {p.name: p for p in CHAPTERS[chapter]}
    for name in _set_by_hand(declared):
        if name not in declared:
            raise ParameterError(
                f"{name} is no parameter of {chapter!r}; allowed: {', '.join(declared)}"
            )
    for name, parameter in declared.items():
        if not parameter.accepts(namespace[name]):
            raise _refusal(name, namespace[name], parameter.allowed)
    for name, allowed, holds in RELATIONS.get(chapter, ()):
        if not holds(namespace):
            raise _refusal(name, namespace[name], allowed.format_map(namespace))
    return RerunBox(chapter)


def _refusal(name, value, allowed):
    try:
        shown = " ".join(repr(value).split())
    except ValueError:  # Python writes out no integer of more than some thousand digits
        shown = "a number of thousands of digits"
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    return ParameterError(f"{name} = {shown}; allowed: {allowed}")


def _set_by_hand(declared):
    """The names set by the cells that ran last: from the parameters cell to the present one.

    Read from the kernel's history, since papermill adds its values as a cell after the
    parameters cell; none where there is no history.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    history = shell.history_manager.input_hist_raw[:-1] if shell else []
    names = set()
    for source in reversed(history):
        assigned = _assigned(source)
        names |= assigned
        if assigned >= set(declared):
            return sorted(names)
    return []


def _assigned(source):
    """The names that a cell's source assigns at its top level."""
    try:
        body = ast.parse(source).body
    except SyntaxError:  # a magic command
        return set()
    targets = [t for node in body if isinstance(node, ast.Assign) for t in node.targets]
    targets += [node.target for node in body if isinstance(node, ast.AnnAssign)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


class RerunBox:
    """The folded box on each page that says how to rerun it, from the declared parameters."""

    def __init__(self, chapter):
        self.chapter = chapter

    def __repr__(self):
        return f"How to rerun {self.chapter!r}: papermill --help-notebook book/{self.chapter}.ipynb"

    def _repr_html_(self):
        parameters = CHAPTERS[self.chapter]
        first = parameters[0]
        rows = "".join(
            f"<tr><td><code>{p.name}</code></td><td>{p.type}</td>"
            f"<td><code>{escape(repr(p.default))}</code></td>"
            f"<td>{escape(p.meaning)}</td><td>{escape(p.allowed)}</td></tr>"
            for p in parameters
        )
        return (
            '<details class="rerun"><summary>Rerun this page with parameters of your own</summary>'
            "<p>From a clone of the repository, after <code>make book</code>:</p>"
            f"<pre>.venv/bin/papermill book/{self.chapter}.ipynb out.ipynb "
            f"-p {first.name} {escape(repr(first.default))}</pre>"
            "<p>Numbers and figures then follow from the new values; the prose describes the "
            "defaults. A value that the page cannot take is refused at once. Lists are passed as "
            "YAML, as in <code>-y '{seeds: [1, 2, 3]}'</code>.</p>"
            "<table><thead><tr><th>name</th><th>type</th><th>default</th><th>meaning</th>"
            f"<th>allowed</th></tr></thead><tbody>{rows}</tbody></table></details>"
        )
