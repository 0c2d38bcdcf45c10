"""Every parameter of every chapter against values meant to break it.

What must be taken is read from the words that a reader is shown, not from the condition: a second
route to the same answer.
"""

import datetime
import math
import re

import numpy as np
import pytest

from support.parameters import CHAPTERS, RELATIONS, ParameterError, validate

# Wrong types, extremes, and what YAML makes of a slip of the pen.
ODD = [
    None, True, False, (), {}, [], [[]], [None], {"a": 1}, {1: [2]}, {"a": []}, "", "x", "7", "nan",
    "a\nb", "x" * 1000, b"7", 1j, 0, -1, 1, 7, 7.0, 0.5, -0.0, 1e-320, -1e308, 1e308, math.inf,
    -math.inf, math.nan, 2**31, 2**32, 2**63, -(2**64), 10**400, 10**5000, [0], [-1], [1.5], ["1"],
    [True], [2**32], list(range(65)), [10**5000], datetime.date(2026, 1, 1), np.float64(0.001),
    np.arange(300).reshape(-1, 3), object,
]  # fmt: skip
NUMBER = r"(-?[\d.]+(?:e[-+]?\d+)?)"


def around(low, high):
    """The ends of a range and their neighbours on either side."""
    whole = low == int(low) and high == int(high)
    inside = [int(low), int(high)] if whole else [low, high]
    return [*inside, inside[0] - 1, inside[1] + 1, math.nextafter(high, math.inf), [inside[1]]]


def told(allowed, value):
    """Whether the words allow a value."""
    if match := re.fullmatch(f"an (odd )?integer from {NUMBER} to {NUMBER}", allowed):
        odd, low, high = match.groups()
        return type(value) is int and int(low) <= value <= int(high) and (value % 2 or not odd)
    if match := re.fullmatch(f"a number from {NUMBER} to {NUMBER}", allowed):
        low, high = map(float, match.groups())
        return type(value) in (int, float) and low <= value and value <= high
    if match := re.fullmatch(
        rf"a list of (\d+) to (\d+) integers from {NUMBER} to {NUMBER}", allowed
    ):
        fewest, most, low, high = map(int, match.groups())
        each = f"an integer from {low} to {high}"
        return (
            type(value) is list
            and fewest <= len(value) <= most
            and all(told(each, v) for v in value)
        )
    if allowed == "a string of up to 200 letters":
        return type(value) is str and len(value) <= 200
    if allowed == "{name: [value, ...], ...}":
        return type(value) is dict and all(
            type(name) is str and type(values) is list and values for name, values in value.items()
        )
    assert re.fullmatch("'[^']*'( or '[^']*')*", allowed), allowed
    return type(value) is str and value in re.findall("'([^']*)'", allowed)


def candidates(parameter):
    """Values to try on a parameter: the odd ones, and those around what its words name."""
    numbers = [float(word) for word in re.findall(f"from {NUMBER}", parameter.allowed)]
    numbers += [float(word) for word in re.findall(f"to {NUMBER}$", parameter.allowed)]
    choices = re.findall("'([^']*)'", parameter.allowed)
    ends = around(*numbers) if len(numbers) == 2 else []
    return [*ODD, *ends, *choices, *(c.upper() for c in choices), choices, parameter.default]


CASES = {c: [(p, v) for p in CHAPTERS[c] for v in candidates(p)] for c in CHAPTERS}


@pytest.mark.parametrize("chapter", CASES)
def test_a_value_is_taken_where_its_words_say_so_and_else_refused_in_one_line(chapter):
    defaults = {p.name: p.default for p in CHAPTERS[chapter]}
    related = {name for name, _, _ in RELATIONS.get(chapter, ())}
    taken = 0
    for parameter, value in CASES[chapter]:
        try:
            validate(chapter, defaults | {parameter.name: value})
        except ParameterError as error:
            line = str(error)
            assert "\n" not in line and len(line) < 400
            name, shown = line.split("; allowed: ")[0].split(" = ", 1)
            assert (name == parameter.name and 0 < len(shown) <= 60) or name in related
            assert name in related or not told(parameter.allowed, value), line
        else:
            assert told(parameter.allowed, value), (parameter.name, value)
            taken += 1
    assert len(CHAPTERS[chapter]) <= taken < len(CASES[chapter]) / 2  # each default, and not most


def test_there_are_enough_cases():
    assert sum(map(len, CASES.values())) > 500
