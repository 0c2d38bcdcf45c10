"""Stored results: small keyed records under book/results, one file each.

A record's key holds all that determines its values: the cell, its settings, rule, seeds,
precision, the version of this package, the device and the libraries. Pages render records; a
live cell recomputes a sample and asserts that it agrees. Records of a few numbers are JSON; tables
with a row for every run are Parquet, typed and compressed, with the key in their metadata. A file
appears whole or not at all.
"""

import json
import os
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from support import __version__

__all__ = ["in_one_step", "load", "make_key", "read_table", "recall", "rounded", "store"]
__all__ += ["versions", "write_table"]

READS = ("book/results/*.json", "book/results/*.parquet")
FOLDER = Path(__file__).parents[1] / "book" / "results"


def versions(libraries):
    """The installed versions of this package and of libraries, as a part of a key."""
    return {"support": __version__, "libraries": {name: version(name) for name in libraries}}


def make_key(name, *, settings, rule, seeds, precision, device, libraries):
    """The key of a record; `libraries` are the names whose versions the values depend on."""
    parts = dict(settings=settings, rule=rule, seeds=seeds, precision=precision, device=device)
    return {"name": name, **parts, **versions(libraries)}


@contextmanager
def in_one_step(path):
    """A draft beside `path` to write to, which then takes its place; none is left behind.

    Who is killed meanwhile leaves the old file whole, and a draft that git ignores.
    Raises OSError, one line, where the disk does not take it.
    """
    draft = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield draft
        os.replace(draft, path)
    except OSError as error:
        raise OSError(f"{path}: could not be written: {error}") from None
    finally:
        if draft.exists():
            draft.unlink()


def write_table(path, key, table):
    """Write a pyarrow.Table and its key as a Parquet file with checksums, in one step.

    Raises OSError, one line, where the disk does not take it.
    """
    table = table.replace_schema_metadata({"key": json.dumps(key)})
    with in_one_step(path) as draft:
        pq.write_table(table, draft, compression="zstd", write_page_checksum=True)


def read_table(path):
    """The key and the pyarrow.Table of a Parquet file.

    Raises ValueError, one line, for a file that is damaged, cut short or not ours.
    """
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        return json.loads(table.schema.metadata[b"key"]), table
    except (pa.ArrowInvalid, OSError, KeyError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: not a whole table with its key ({reason})") from None


def store(key, values):
    """Write a record, replacing an older one of the same name in one step; return its path.

    `values` are a dictionary that JSON can take, or a pyarrow.Table.
    """
    if isinstance(values, pa.Table):
        path = FOLDER / f"{key['name']}.parquet"
        write_table(path, key, values)
        return path
    path = FOLDER / f"{key['name']}.json"
    lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in values.items())
    head = json.dumps(key, indent=1)
    with in_one_step(path) as draft:
        draft.write_text(f'{{"key": {head},\n"values": {{\n{lines}\n}}}}\n')
    return path


def load(name):
    """The record stored as `name`: {"key": ..., "values": ...}.

    Raises FileNotFoundError where there is none, ValueError where it was made by another version
    of this package (its numbers may have changed; `make results` makes it anew).
    """
    path = FOLDER / f"{name}.parquet"
    if path.exists():
        record = dict(zip(("key", "values"), read_table(path), strict=True))
    else:
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


def rounded(values):
    """An array as nested lists, floats to six significant digits."""
    if isinstance(values, list):
        return [rounded(v) for v in values]
    if isinstance(values, float):
        return float(f"{values:.6g}")
    return rounded(values.tolist()) if isinstance(values, (np.ndarray, np.generic)) else values
