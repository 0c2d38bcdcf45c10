"""Stored results: small keyed records under book/results, one JSON file each.

A record's key holds all that determines its values: the cell, its settings, rule, seeds,
precision, the version of this package, the device and the libraries. Pages render records; a
live cell recomputes a sample and asserts that it agrees.
"""

import json
import os
from importlib.metadata import version
from pathlib import Path

from support import __version__

__all__ = ["load", "make_key", "recall", "store"]

READS = ("book/results/*.json",)
FOLDER = Path(__file__).parents[1] / "book" / "results"


def make_key(name, *, libraries, **parts):
    """The key of a record: `parts` are settings, rule, seeds, precision and device; `libraries` are
    the names whose versions the values depend on."""
    versions = {library: version(library) for library in libraries}
    return {"name": name, **parts, "support": __version__, "libraries": versions}


def store(key, values):
    """Write a record, replacing an older one of the same name in one step; return its path."""
    path = FOLDER / f"{key['name']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".tmp")
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in values.items())
    head = json.dumps(key, indent=1)
    draft.write_text(f'{{"key": {head},\n"values": {{\n{lines}\n}}}}\n')
    os.replace(draft, path)
    return path


def load(name):
    """The record stored as `name`: {"key": ..., "values": ...}.

    Raises FileNotFoundError where there is none, ValueError where it was made by another version
    of this package (its numbers may have changed; `make results` makes it anew).
    """
    record = json.loads((FOLDER / f"{name}.json").read_text())
    if record["key"]["support"] != __version__:
        raise ValueError(
            f"result {name!r} was made by version {record['key']['support']} of support; "
            f"allowed: {__version__} (make results)"
        )
    return record


def recall(key, compute):
    """The stored record of this name, if all that was asked for is the same; else one made now.

    `compute()` gives the values of the latter, which is not stored.
    """
    record = load(key["name"]) if (FOLDER / f"{key['name']}.json").exists() else None
    asked = ("settings", "rule", "seeds", "precision")
    if record and all(record["key"][part] == key[part] for part in asked):
        return record
    return {"key": key, "values": compute()}
