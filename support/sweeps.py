"""Sweeps: an experiment over many seeds and a grid of parameters, in chunks that run anywhere.

A chunk is a block of seeds at one point of the grid, without and with special sequences. It is
computed in this process, on all cores, or by the workers of a Dask cluster, and stored by the one
who asked as soon as it arrives; the same sweep does not compute again what is stored. A run of a
student is one row of a table, each chunk a file of its own, refused if a byte is missing.
"""

import hashlib
import itertools
import json
import warnings
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from support import paper, results
from support.backend import BACKEND, device
from support.engines import engine
from support.experiments import TheoremSetting
from support.flow import closed_form_limit
from support.observe import effective_rank
from support.panels import large_entries
from support.paper import COLUMNS
from support.protocol import Protocol
from support.trained import Experiment, abc, allowed
from support.training import LONGEST, progress_bar, require_number

__all__ = ["Sweep", "provenance", "run"]

# Numbers that a flow's grid may run over, each from the least to the most that it can be.
THEOREM = {"kappa": (5, 9999), "d": (2, 9999), "sd_A": (1e-9, 1.0), "diff_exponent": (0.0, 99.0)}
THEOREM |= {"n_baseline": (1, 9999), "P": (1e-9, 1e9), "dose": (1e-16, 1e9)}
THEOREM |= {"special_lag": (0, 9998)}
PROTOCOL = tuple(f.name for f in fields(Protocol))
TRAINED = (*PROTOCOL, "precision", "jitter", "folded", "special_lags", "special_scale")
TRAINED += ("most", "further")
HIGHEST = 2**32 - 1  # seed that NumPy's legacy generator takes
SOURCES = sorted(Path(__file__).parent.glob("*.py"))
CODE = hashlib.sha256(b"".join(source.read_bytes() for source in SOURCES)).hexdigest()


@dataclass(frozen=True)
class Sweep:
    """What is to be run: `experiment`, a row of a table or a panel's, such as "table1.ssm_mlp".

    `seeds` are run at each point of the `grid`, {parameter: values}; `chunk` is the number of seeds
    that are computed and stored together. Raises ValueError, before anything is computed, for what
    no run could take.
    """

    experiment: str
    seeds: range | list
    grid: dict = field(default_factory=dict)
    chunk: int = 250

    def __post_init__(self):
        if self.experiment not in paper.experiments():
            names = ", ".join(paper.experiments())
            raise ValueError(f"experiment = {self.experiment!r}; allowed: {names}")
        seeds = self.seeds if isinstance(self.seeds, (range, list)) else []
        ends = [*seeds[:1], *seeds[-1:]] if isinstance(seeds, range) else seeds
        if not ends or not all(type(seed) is int and 0 <= seed <= HIGHEST for seed in ends):
            raise ValueError(
                f"seeds = {self.seeds!r}; allowed: one or more integers from 0 to {HIGHEST}"
            )
        require_number("chunk", self.chunk, 1)
        if not isinstance(self.grid, dict):
            raise ValueError(f"grid = {self.grid!r}; allowed: a dictionary of lists")
        for name, values in self.grid.items():
            if type(values) is not list or not values:
                raise ValueError(f"grid[{name!r}] = {values!r}; allowed: a list of values")
        for point in self.points():
            _runner(self.experiment, point)
        self.labels()

    def labels(self):
        """The columns that say at which point of the grid a run was: {parameter: (name, type)}.

        Choices of a Protocol are named as such: "stop" alone is when a run reached the stop loss.
        """
        return {
            parameter: (f"protocol.{parameter}" if parameter in PROTOCOL else parameter,
                        pa.array(values).type)
            for parameter, values in self.grid.items()
        }  # fmt: skip

    def points(self):
        """The points of the grid, each {parameter: value}, in the order of the grid."""
        return [
            dict(zip(self.grid, values, strict=True))
            for values in itertools.product(*self.grid.values())
        ]

    def chunks(self):
        """The (point, seeds) of each chunk, in the order of the gathered table."""
        blocks = [self.seeds[i : i + self.chunk] for i in range(0, len(self.seeds), self.chunk)]
        return list(itertools.product(self.points(), blocks))

    def key(self, made_by=None, suffix=""):
        """The key of the gathered table: see `support.results`; `made_by` from `provenance`."""
        consecutive = isinstance(self.seeds, range) and self.seeds.step == 1
        return {
            "name": f"sweep.{self.experiment}{suffix}",
            "settings": {"experiment": paper.setting(self.experiment), "grid": self.grid},
            "rule": self.grid.get("rule", self.grid.get("rate", ["released"])),
            "seeds": [self.seeds[0], "to", self.seeds[-1]] if consecutive else list(self.seeds),
            "precision": ["float64"] if _is_flow(self.experiment)
            else self.grid.get("precision", ["float32"]),
            **{k: v for k, v in (made_by or provenance()).items() if k != "code"},
        }  # fmt: skip


def provenance():
    """What determines a result besides what was asked for: device, versions, code of this package.

    All but the last stand in the key of a result.
    """
    made_by = {"device": device(), "backend": BACKEND, "code": CODE}
    return made_by | results.versions(["numpy", "scipy", "keras", BACKEND])


def _is_flow(name):
    return name.endswith("theorem1")


def _runner(name, point):
    """A function from seeds to {column: {quantity: [members]}} at a point of the grid."""
    flow = _is_flow(name)
    known = [*THEOREM, "rule", "rtol"] if flow else [*TRAINED, *allowed(name).split(", ")]
    for parameter in point:
        if parameter not in known:
            names = ", ".join(known)
            raise ValueError(f"grid: {parameter} is no parameter of {name!r}; allowed: {names}")
    if flow:
        return _theorem_runner(name, **point)
    point = dict(point)
    options = {k: point.pop(k) for k in ("most", "further") if k in point}
    protocol = Protocol(**{k: point.pop(k) for k in PROTOCOL if k in point})
    for option, value in options.items():
        require_number(option, value, 1, LONGEST)
    return partial(_trained_rows, Experiment.of(name, protocol, **point), options)


def _theorem_runner(name, rule="released", rtol=1e-10, **changes):
    for parameter, value in changes.items():
        require_number(parameter, value, *THEOREM[parameter])
    require_number("rtol", rtol, 1e-13, 0.01)
    setting = replace(TheoremSetting.of_table(name.split(".")[0]), **changes)
    closed_form_limit(setting.start(0, rule), setting.kappa)  # refuses what it cannot take
    setting.training_sets()
    return partial(_theorem_rows, setting, rule, rtol)


def _theorem_rows(setting, rule, rtol, seeds):
    starts = np.stack([setting.start(seed, rule) for seed in seeds], axis=-1)
    rows = {}
    for column, a in zip(COLUMNS, setting.limits(starts, rtol), strict=True):
        errors = (setting.error(a, normalized=True, first=first) for first in (0, setting.kappa))
        rows[column] = dict(zip(("error", "beyond"), errors, strict=True))
        rows[column]["finished"] = np.isfinite(rows[column]["error"])
    return rows


def _trained_rows(experiment, options, seeds):
    few = 64 if experiment.in_network else 256  # what stays in a core's cache
    rows = {}
    for column in COLUMNS:
        chunk = few if device() == "cpu" else len(seeds)
        outcome = experiment.train(seeds, column, chunk=chunk, progress=False, **options)
        run, a = outcome.run, abc(outcome.student)[0]
        rows[column] = {
            "error": outcome.errors,
            "beyond": outcome.beyond,
            "loss": run.loss,
            "stop": run.stop,
            "iterations": run.iterations,
            "finished": run.finished,
            "effective_rank": effective_rank(a),
            "large": large_entries(a).astype("int32"),
        }
    return rows


def compute(name, point, seeds):
    """A chunk: a pyarrow.Table with a row for each seed and column, and who made it."""
    rows, tables = _runner(name, point)(list(seeds)), []
    for column, quantities in rows.items():
        data = {"seed": pa.array(seeds, pa.uint32()), "special": [column] * len(seeds)}
        for quantity, values in quantities.items():
            wide = values.dtype == np.float64
            data[quantity] = pa.array(values.astype("float32") if wide else values)
        tables.append(pa.table(data))
    return pa.concat_tables(tables), provenance()


def _kept(path, key):
    """The table of a chunk stored under this key; None, and a warning, where it is damaged."""
    if not path.exists():
        return None
    try:
        found, table = results.read_table(path)
    except ValueError as error:
        warnings.warn(f"{error}; computed again", stacklevel=3)
        return None
    return table.replace_schema_metadata(None) if found == key else None


def run(sweep, where="here", folder=None, progress=True):
    """Compute what is missing of a sweep, and gather it: its key and a pyarrow.Table.

    `where` is "here" (this process), "cores" (a process for each core) or the address of a Dask
    scheduler. With a `folder`, chunks are kept in it as they arrive, and the same sweep takes them
    from it where they are whole and were made by the same code and versions on the same kind of
    device. Raises ValueError, at once, where nobody answers or the workers differ; RuntimeError for
    a chunk that workers die of and where the scheduler does, OSError where a chunk cannot be
    written. What was kept by then stays.
    """
    if folder:
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OSError(f"folder = {str(folder)!r} cannot be used: {error.strerror}") from None
    with engine(where, compute, provenance) as (made_by, computed):
        key, chunks, labels = sweep.key(made_by), sweep.chunks(), sweep.labels()
        asked = json.dumps([key, made_by["code"], sweep.chunk])
        digest = hashlib.sha256(asked.encode()).hexdigest()[:16]
        paths = [Path(folder or ".", digest, f"{i:05}.parquet") for i in range(len(chunks))]
        keys = [key | {"point": point, "seeds": list(seeds)} for point, seeds in chunks]
        tables = list(map(_kept, paths, keys)) if folder else [None] * len(chunks)
        missing = {i: (sweep.experiment, *chunks[i]) for i, t in enumerate(tables) if t is None}
        with progress_bar(sum(len(seeds) for _, seeds in chunks), progress) as bar:
            bar.update(sum(len(chunks[i][1]) for i, t in enumerate(tables) if t is not None))
            for i, (table, maker) in computed(missing):
                if maker != made_by:
                    raise ValueError(f"where = {where!r}: its workers differ in device or versions")
                for parameter, (label, kind) in labels.items():
                    values = pa.array([chunks[i][0][parameter]] * table.num_rows, kind)
                    table = table.append_column(label, values)
                tables[i] = table
                if folder:
                    results.write_table(paths[i], keys[i], table)
                bar.update(len(chunks[i][1]))
    return key, pa.concat_tables(tables)
