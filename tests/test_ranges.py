"""What a parameter may be, made here and now: its words and its condition, at the edges."""

import math

import pytest

from support.parameters import _training
from support.ranges import choice, grid, integer, integers, number, text

KINDS = [
    (lambda: integer("n", 3, "how many", 1, 9), "int", 3, "an integer from 1 to 9",
     [1, 9, 4], [0, 10, 1.0, True, "1", None]),
    (lambda: integer("n", 3, "how many", 1, 9, odd=True), "int", 3, "an odd integer from 1 to 9",
     [1, 9], [0, 2, 8, 10, 11]),
    (lambda: number("n", 0.5, "how many", 1e-6, 2), "float", 0.5, "a number from 1e-06 to 2",
     [1e-6, 2, 2.0, 1], [9e-7, 2.1, math.nan, math.inf, True, "1", None]),
    (lambda: integers("n", [1], "how many", 0, 5, 3), "list", [1],
     "a list of 1 to 3 integers from 0 to 5",
     [[0], [5], [1, 2, 3]], [[], [1, 2, 3, 4], [-1], [6], [1, 6], [1.0], (1,), None, 1, {1: 1}]),
    (lambda: integers("n", [], "how many", 0, 5, 3, fewest=0), "list", [],
     "a list of 0 to 3 integers from 0 to 5", [[], [1, 2, 3]], [[1, 2, 3, 4]]),
    (lambda: choice("n", "a", "how many", "a", "b"), "str", "a", "'a' or 'b'",
     ["a", "b"], ["c", "A", "", None, 1, ["a"]]),
    (lambda: text("n", "x", "how many"), "str", "x", "a string of up to 200 letters",
     ["", "x" * 200], ["x" * 201, None, 1, ["a"], b"x"]),
    (lambda: grid("n", {}, "how many"), "dict", {}, "{name: [value, ...], ...}",
     [{}, {"a": [1]}, {"a": [1], "b": [None, 2]}],
     [{"a": []}, {"a": [1], "b": []}, {1: [1]}, {"a": (1,)}, {"a": 1}, [], None, "a"]),
]  # fmt: skip


@pytest.mark.parametrize(("make", "kind", "default", "allowed", "taken", "refused"), KINDS)
def test_a_kind_takes_what_its_words_say(make, kind, default, allowed, taken, refused):
    made = make()
    assert (made.name, made.type, made.default) == ("n", kind, default)
    assert (made.meaning, made.allowed) == ("how many", allowed)
    assert all(made.accepts(value) is True for value in taken)
    assert not any(made.accepts(value) for value in refused)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_chapters_that_train_share_their_parameters(precision):
    """Against the words on the page, written out."""
    told = {p.name: (p.type, p.default, p.meaning, p.allowed) for p in _training(precision)}
    assert told == {
        "n_special": ("int", -1, "number of special sequences; -1: the paper's",
                      "an integer from -1 to 1000"),
        "special_lags": ("list", [], "places of their entries, from the end: 0 is last, 1 "
                         "next-to-last; empty: the paper's",
                         "a list of 0 to 6 integers from 0 to 5"),
        "rule": ("str", "released", "the released runs' choices or the text's",
                 "'released' or 'text'"),
        "precision": ("str", precision, "floating type of the training",
                      "'float64' or 'float32'"),
        "backend": ("str", "tensorflow", "what Keras computes with", "'tensorflow' or 'jax'"),
        "most": ("int", 200_000, "iterations after which a run is given up",
                 "an integer from 1 to 10000000"),
    }  # fmt: skip
