"""The ledger: every numbered statement and equation, where it stands, and what became of it.

What there is to check is listed in data/statements.json. What was checked is read from the
executed notebooks, where `support.checks` left its records: the ledger computes nothing and
believes nothing that no page shows.
"""

import json
import re
from collections import defaultdict
from pathlib import Path

from support.checks import RECORD, slug

__all__ = ["checks", "faults", "places", "records", "statements"]

READS = ("support/data/statements.json", "book/*.ipynb")
ROOT = Path(__file__).parents[1]
LABEL = re.compile(r"^:name: (\S+)$|^\((\S+)\)=$", re.MULTILINE)


def statements():
    """All entries, in the paper's order: dicts with name, section, about, and open (bool).

    `open` entries are not checked yet. An entry whose printed form is false has a key `printed`.
    """
    return json.loads((ROOT / "support/data/statements.json").read_text())


def _pages():
    """The executed notebooks by name, the ledger's own excepted."""
    files = sorted((ROOT / "book").glob("*.ipynb"))
    return {f.stem: json.loads(f.read_text())["cells"] for f in files if f.stem != "statements"}


def places():
    """Where each statement and equation stands: its anchor to the name of the page."""
    return {
        name or label: page
        for page, cells in _pages().items()
        for cell in cells
        for name, label in LABEL.findall("".join(cell["source"]))
    }


def records(cells):
    """What `support.checks` left in a notebook's cells: dicts as `support.checks.Check`."""
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    found = [output.get("metadata", {}).get(RECORD) for output in outputs]
    return [record for record in found if record]


def checks():
    """The records of all pages by statement: lists of them, each with its `page`."""
    found = defaultdict(list)
    for page, cells in _pages().items():
        for record in records(cells):
            for name in record["statements"]:
                found[name].append(record | {"page": page})
    return dict(found)


def faults():
    """What is wrong, as a list of sentences; empty if nothing."""
    entries, done, stands = statements(), checks(), places()
    listed = {entry["name"] for entry in entries}
    found = [f"{name} is checked, but not listed" for name in done if name not in listed]
    for entry in entries:
        name, is_done = entry["name"], entry["name"] in done
        if is_done == entry["open"]:
            found.append(f"{name} is {'checked, yet listed as open' if is_done else 'not checked'}")
        elif is_done and slug(name) not in stands:
            found.append(f"{name} is checked, but stands on no page")
    return found
