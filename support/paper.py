"""The paper's own numbers and settings, from the one file they are written in."""

import json
from functools import cache
from pathlib import Path

__all__ = ["cells", "printed", "setting"]

READS = ("support/data/published.json",)


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


def setting(name):
    """The settings behind a table's row or a figure's panel, such as "table1.ssm_theorem1".

    Keys that begin with "released_" come from the publicly released runs, not from the paper.
    Raises KeyError for an unknown name.
    """
    return dict(_published()["settings"][name])
