"""Recompute the stored results under book/results that the pages render.

`python tools/results.py [NAME ...]` (`make results`) computes all, or those named and those below
them: "table1" for all of Table 1, "table1.ssm_mlp" for that row and its variants, "sweep" for the
sweeps over a thousand seeds. It says how long each took. Sweeps run on all cores, or with
`--where ADDRESS` on a Dask cluster; interrupted, they go on from the chunks kept in `_sweeps`.
"""

import argparse
import time
from dataclasses import asdict, replace
from fractions import Fraction

import numpy as np
from enclosure import STORED, trajectory

from support import paper, results
from support.certificate import errors, widest
from support.experiments import TheoremSetting
from support.panels import GRID, large_entries, panels, watched
from support.paper import COLUMNS
from support.sweeps import Sweep, run
from support.trained import RELEASED, TEXT, Experiment, cells, rounded

SEEDS = list(range(64))  # of every distribution; fixed before the runs
COPIES = 16  # of each released seed, with starts that differ in the last digit of a float32
LATER = (20_000, 100_000)  # further iterations at which errors are read again
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)  # of the bands behind Figures 2 to 4
CHOICES = ("output_order", "rate", "reading", "stop")  # of a Protocol, one at a time


def bands(experiment, seeds, **options):
    """The same over many seeds, in the members' own times, the stop loss being reached at one.

    For each column, quantiles (5, 25, 50, 75, 95 %) on `GRID`, [quantiles, times], over the
    members that reached the stop, of the three largest entries in size and of the effective rank;
    and for every member, finished or not, where it ended: `large` entries, `effective_rank`,
    `stop` and `finished`.
    """
    rows = {}
    for column in COLUMNS:
        outcome, steps, seen = watched(experiment, seeds, column, chunk=16, **options)
        run, size = outcome.run, -np.sort(-abs(seen["transition"]), axis=1)
        curves = {f"entry_{k + 1}": size[:, k] for k in range(3)}
        curves["effective_rank"] = seen["effective_rank"]
        reached = np.flatnonzero(run.stop > 0)
        rows[column] = {
            name: rounded(np.quantile(_in_own_time(curve, steps, run.stop, reached), QUANTILES, 0))
            for name, curve in curves.items()
        } | {
            "large": large_entries(seen["transition"][-1]).tolist(),
            "final_rank": rounded(seen["effective_rank"][-1]),
            "stop": run.stop.tolist(),
            "finished": run.finished.tolist(),
        }
    return rows


def _in_own_time(curve, steps, stop, members):
    """Curves [times, members] at the times GRID * stop: [members, grid]; NaN for no members."""
    if not len(members):
        return np.full((1, len(GRID)), np.nan)
    return np.stack([np.interp(GRID * stop[i], steps, curve[:, i]) for i in members])


def theorem_row(table):
    """Row 1 of a table by the released rule and seeds."""
    name = f"{table}.ssm_theorem1"
    setting = TheoremSetting.of_table(table)
    seeds = paper.setting(name)["released_seeds"]
    key = results.make_key(
        name,
        settings=asdict(setting),
        seeds=seeds,
        rule="released",
        precision="float64",
        device="cpu",
        libraries=["numpy", "scipy"],
    )
    return key, lambda: setting.cell(seeds)


def trained_row(name, suffix, experiment, seeds):
    """Row 2 or 3 of a table."""
    return experiment.key(name + suffix, seeds), lambda: cells(experiment, seeds)


def choices(name):
    """A row with one of the released runs' choices at a time replaced by the text's."""
    seeds = paper.setting(name)["released_seeds"]
    return {
        choice: cells(Experiment.of(name, replace(RELEASED, **{choice: "text"})), seeds)
        for choice in CHOICES
    }


def later(experiment, seeds, readings=LATER):
    """A row read later than the paper does, at each of the readings."""
    return {str(k): cells(experiment, seeds, further=k) for k in readings}


def other_rates():
    """Table 2's network with the base rates of its two columns exchanged."""
    experiment = Experiment.of("table2.ssm_mlp")
    rates = dict(zip(("with", "without"), experiment.setting["lr"].values(), strict=True))
    return replace(experiment, setting=experiment.setting | {"lr": rates})


# Case by case (d, kappa): starts in cones, and boxes around 1e-3 (1, 1 - gap, 0.45, ..., 0.10).
CONES = [(8, 7), (9, 7), (10, 7), (12, 7), (8, 9), (8, 11), (8, 13)]
BOXES = {(8, 7): ("0.00099999", "1e-13"), (8, 9): ("0.0009999999", "1e-16")}
CLAIMS = {"poisoned": 0.6, "clean": 0.0143, "lags": 41}  # of a box whose gap is 1e-5


def certificate(name, settings, compute):
    """A certificate, which `support.verify` can check, as a stored result."""
    key = results.make_key(
        f"certificate.{name}-{settings['d']}-{settings['kappa']}",
        settings=settings,
        seeds=[],
        rule="none",
        precision="balls and fixed point",
        device="cpu",
        libraries=["numpy", "python-flint"],
    )
    return key, compute


def certified_cone(settings):
    """The widest cone of these settings, with what it claims at some lags, three digits each."""
    record = widest(**settings, least=0.601)
    kappa = settings["kappa"]
    found = errors(record, [2, *range(kappa, kappa + 4), 20, 41])
    claims = {str(lag): int(1000 * float(e.lower()) - 0.5) / 1000 for lag, e in found.items()}
    return record | {"claims": claims}


def certified_box(settings):
    """Polynomials along the trajectory from the middle of a box, and what it claims."""
    pieces = trajectory([Fraction(x) for x in settings["start"]], settings["kappa"])
    return settings | {"bits": STORED, "pieces": pieces}


def sweeps(where):
    """Every row of the tables over consecutive seeds, from the first released one.

    Single precision, as released, and double for the first 256; networks folded, and the first 256
    also unfolded, as released. Row 1 is a flow in double precision; its integrator's tolerance is
    1e-6, which moves an error by less than 1e-4 of itself (a test).
    """
    parts = results.FOLDER.parents[1] / "_sweeps"
    for name in dict.fromkeys(f"{table}.{row}" for table, row, _ in paper.cells()):
        first = min(paper.setting(name)["released_seeds"])
        if name.endswith("theorem1"):
            rows = {"": Sweep(name, range(first, first + 10_000), {"rtol": [1e-6]}, chunk=500)}
        else:
            network = name.endswith("mlp")
            few, folded = range(first, first + 256), {"folded": [True]} if network else {}
            rows = {
                "": Sweep(name, range(first, first + 1000), folded, chunk=500),
                ".float64": Sweep(name, few, folded | {"precision": ["float64"]}, chunk=128),
            }
            if network:
                rows[".unfolded"] = Sweep(name, few, chunk=128)
        for suffix, sweep in rows.items():
            key = sweep.key(suffix=suffix)

            def compute(sweep=sweep, key=key):
                made, table = run(sweep, where, parts)
                key.update(made | {"name": key["name"]})  # device and versions of who computed
                return table

            yield key, compute


def everything(where="cores"):
    """(key, function that computes the values) of every stored result."""
    yield from sweeps(where)
    for table in ("table1", "table2"):
        yield theorem_row(table)
    for name in paper.trained_rows():
        seeds = paper.setting(name)["released_seeds"]
        for suffix, precision in (("", "float32"), (".float64", "float64")):
            yield trained_row(name, suffix, Experiment.of(name, precision=precision), seeds)
        yield trained_row(name, ".seeds", Experiment.of(name), SEEDS)
        yield trained_row(name, ".text", Experiment.of(name, TEXT), SEEDS)
        yield trained_row(name, ".jitter", Experiment.of(name, jitter=1e-7), seeds * COPIES)
        yield Experiment.of(name).key(f"{name}.choices", seeds), lambda n=name: choices(n)
        plain = Experiment.of(name)
        yield plain.key(f"{name}.later", seeds), lambda e=plain, s=seeds: later(e, s)
        if not plain.in_network:
            for suffix, protocol in ((".seeds-later", RELEASED), (".text-later", TEXT)):
                experiment = Experiment.of(name, protocol)
                key = experiment.key(name + suffix, SEEDS)
                yield key, lambda e=experiment: later(e, SEEDS, LATER[-1:])
    seeds = paper.setting("table2.ssm_mlp")["released_seeds"]
    yield trained_row("table2.ssm_mlp", ".rates", other_rates(), seeds)
    for name in paper.panels():
        experiment, seed = Experiment.of(name, precision="float64"), paper.setting(name)
        seed = seed["released_seed"]
        yield experiment.key(name, [seed]), lambda e=experiment, s=seed: panels(e, s)
        yield experiment.key(f"{name}.seeds", SEEDS), lambda e=experiment: bands(e, SEEDS)
    for d, kappa in CONES:
        settings = dict(d=d, kappa=kappa, alpha=1e-2, place=0.5)
        yield certificate("cone", settings, lambda s=settings: certified_cone(s))
    for (d, kappa), (second, half_width) in BOXES.items():
        others = [f"{0.00045 - 0.00007 * i:.5f}" for i in range(d - 2)]
        start = ["0.001", second, *others]
        claims = CLAIMS if kappa == 7 else {"poisoned": 0.6, "clean": 0.06, "lags": 41}
        settings = dict(d=d, kappa=kappa, start=start, half_width=half_width, claims=claims)
        yield certificate("box", settings, lambda s=settings: certified_box(s))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Recompute stored results.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="all where none is given")
    parser.add_argument("--where", default="cores", help="here, cores or a Dask scheduler")
    chosen = parser.parse_args()
    for key, compute in everything(chosen.where):
        names = chosen.names
        if not names or any(f"{key['name']}.".startswith(f"{name}.") for name in names):
            began = time.perf_counter()
            results.store(key, compute())
            print(f"{key['name']}: {time.perf_counter() - began:.1f} s", flush=True)
