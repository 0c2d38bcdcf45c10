"""The paper's own numbers and settings, from the one file they are written in."""

import json
from functools import cache
from math import exp, log10
from pathlib import Path

__all__ = [
    "COLUMNS",
    "cells",
    "experiments",
    "initial_gap",
    "panels",
    "printed",
    "setting",
    "trained_rows",
]

READS = ("support/data/published.json",)
COLUMNS = ("without", "with")  # special sequences


@cache
def _published():
    return json.loads((Path(__file__).parent / "data" / "published.json").read_text())


def printed(table, row, column):
    """A cell of Tables 1 and 2 as printed, such as ("table1", "ssm_theorem1", "with").

    Raises KeyError for a cell the paper does not have.
    """
    return _published()["tables"][table][row][column]


def cells():
    """The names of all cells of Tables 1 and 2: (table, row, column), twelve of them."""
    return [
        (table, row, column)
        for table, rows in _published()["tables"].items()
        for row, columns in rows.items()
        for column in columns
    ]


def experiments():
    """The names of all settings, those of the tables' rows and of the panels."""
    return list(_published()["settings"])


def panels():
    """The names of the settings behind Figures 2 to 4, six of them, in the paper's order."""
    return [name for name in experiments() if name.startswith("figure")]


def trained_rows():
    """The names of the settings behind rows 2 and 3 of Tables 1 and 2, in the paper's order."""
    rows = {f"{table}.{row}": None for table, row, _ in cells()}
    return [name for name in rows if not name.endswith("theorem1")]


def setting(name):
    """The settings behind a table's row or a figure's panel, such as "table1.ssm_theorem1".

    Keys that begin with "released_" come from the publicly released runs, not from the paper.
    Raises KeyError for an unknown name.
    """
    return dict(_published()["settings"][name])


def initial_gap(sd_A, diff_exponent):
    """a_1(0) - a_2(0): 0.05 exp(diff_exponent log10 sd_A) (Tables 7, 8 and 11)."""
    return 0.05 * exp(diff_exponent * log10(sd_A))
