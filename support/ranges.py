"""What a chapter's parameter may be: its type, default, meaning and range, and the test of a value.

Each function makes one `Parameter`; the words under `allowed` and the condition in `accepts` come
from the same numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Parameter", "choice", "grid", "integer", "integers", "number", "text"]


@dataclass(frozen=True)
class Parameter:
    """One parameter: its name, type as papermill shows it, default, meaning and range."""

    name: str
    type: str
    default: Any
    meaning: str
    allowed: str
    accepts: Callable[[Any], bool]


def _is_integer(value, low, high, odd=False):
    return type(value) is int and low <= value <= high and not (odd and value % 2 == 0)


def integer(name, default, meaning, low, high, odd=False):
    """An integer from `low` to `high`; a Boolean is none."""
    allowed = f"an {'odd ' if odd else ''}integer from {low} to {high}"
    return Parameter(
        name, "int", default, meaning, allowed, lambda v: _is_integer(v, low, high, odd)
    )


def number(name, default, meaning, low, high):
    """A number from `low` to `high`, whole or not; NaN is none."""

    def accepts(value):
        return type(value) in (int, float) and low <= value <= high

    return Parameter(name, "float", default, meaning, f"a number from {low:g} to {high:g}", accepts)


def integers(name, default, meaning, low, high, most, fewest=1):
    """A list of `fewest` to `most` integers, each from `low` to `high`."""

    def accepts(value):
        return (
            type(value) is list
            and fewest <= len(value) <= most
            and all(_is_integer(v, low, high) for v in value)
        )

    allowed = f"a list of {fewest} to {most} integers from {low} to {high}"
    return Parameter(name, "list", default, meaning, allowed, accepts)


def choice(name, default, meaning, *options):
    """One of the strings `options`."""
    allowed = " or ".join(repr(option) for option in options)
    return Parameter(
        name, "str", default, meaning, allowed, lambda v: type(v) is str and v in options
    )


def text(name, default, meaning):
    """A string, not too long to be repeated in a message."""

    def accepts(value):
        return type(value) is str and len(value) <= 200

    return Parameter(name, "str", default, meaning, "a string of up to 200 letters", accepts)


def grid(name, default, meaning):
    """What a sweep runs over: {name: [value, ...]}; the sweep knows its names and values."""

    def accepts(value):
        return type(value) is dict and all(
            type(k) is str and type(v) is list and v for k, v in value.items()
        )

    return Parameter(name, "dict", default, meaning, "{name: [value, ...], ...}", accepts)
