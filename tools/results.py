"""Recompute the stored results under book/results that the pages render.

`python tools/results.py [NAME ...]` (`make results`) computes all, or those named and those below
them: "table1" for all of Table 1, "table1.ssm_mlp" for that row and its variants, "sweep" for the
sweeps over a thousand seeds. It says how long each took. Sweeps run on all cores, or with
`--where ADDRESS` on a Dask cluster; interrupted, they go on from the chunks kept in `_sweeps`.
"""

import argparse
import itertools
import re
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from fractions import Fraction

import numpy as np
import pyarrow as pa
from enclosure import STORED, trajectory

from support import paper, results
from support.backend import device
from support.certificate import errors, widest
from support.datasets import labelled
from support.dose import (
    measured_dose,
    reaching_dose,
    small_dose_limit,
    turning_dose,
)
from support.experiments import HORIZON, RULES, TheoremSetting, near_tie
from support.flow import GradientFlow, closed_form_limit
from support.infinite import on_infinitely_many
from support.joint import JointFlow
from support.observe import effective_rank
from support.panels import GRID, large_entries, panels, watched
from support.paper import COLUMNS
from support.protection import (
    ATTACKS,
    DEFENCES,
    FLOW_DEFENCES,
    FOREVER,
    MOST_STEPS,
    defended_flow,
    flip_dose,
    sequence,
    train_defended,
)
from support.protocol import RELEASED, TEXT
from support.results import rounded
from support.ssm import SSM, generalization_error
from support.sweeps import Sweep, run
from support.trained import Experiment, abc, cells
from support.verdict import summary

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


ALPHAS = {"turning": [10**-2, 10**-2.5, 10**-3], "reaching": [1e-2, 1e-3, 1e-4, 1e-5]}
REACHED = 0.1  # the error of the reaching dose


def thresholds(seed, kappa=7, d=8):
    """For a random shape of the start: doses that double the error, or bring it to REACHED.

    {"turning": [a dose for each alpha], "reaching": the same, "zeta": 1 - a_2(0)/a_1(0)}.
    """
    shape, setting = near_tie(seed, d), TheoremSetting(kappa, d, 1.0, 0)
    zeta, found = 1 - shape[1], {}
    for kind, alphas in ALPHAS.items():
        found[kind] = []
        for alpha in alphas:
            start = alpha * shape
            clean = setting.error(small_dose_limit(start, kappa, 0.0), first=2)
            target, guess = 2 * clean, turning_dose(alpha, kappa)
            if kind == "reaching":
                target, guess = REACHED, 3 * reaching_dose(alpha, zeta, kappa, REACHED)
            found[kind].append(rounded(measured_dose(start, kappa, target, guess)))
    return found | {"zeta": rounded(zeta)}


def doses():
    """Thresholds over 256 random starts, on all cores."""
    key = results.make_key(
        "dose.thresholds",
        settings={"kappa": 7, "d": 8, "alphas": ALPHAS, "reached": REACHED},
        seeds=[0, "to", 255],
        rule="near tie",
        precision="float64",
        device="cpu",
        libraries=["numpy", "scipy"],
    )

    def compute():
        with ProcessPoolExecutor() as pool:
            rows = list(pool.map(thresholds, range(256), chunksize=8))
        return {name: [row[name] for row in rows] for name in rows[0]}

    return key, compute


LIMITS_OF = {"kappa": 7, "d": 8, "diff_exponent": 5}
SCALES = (1e-2, 1e-3, 1e-4)


def limits_of(law, members=256):
    """Where the flow leads from random starts of a (rule, sd_A): a row for each and column."""
    rule, sd_A = law
    setting = TheoremSetting(sd_A=sd_A, **LIMITS_OF)
    starts = np.stack([setting.start(seed, rule) for seed in range(members)], axis=-1)
    tables = []
    for column, limits in zip(COLUMNS, setting.limits(starts, 1e-8), strict=True):
        rows = {"rule": [rule] * members, "sd_A": [sd_A] * members, "special": [column] * members}
        rows |= {"seed": list(range(members)), "start": list(starts.T), "limit": list(limits.T)}
        tables.append(pa.table(rows))
    return pa.concat_tables(tables)


def over_starts(name, function, settings, rule, cases=range(256), members=256):
    """(key, function that computes) of the tables `function` gives for each case, on all cores.

    By default a case is one of 256 starts; `members` are their number where it is another thing.
    """
    key = results.make_key(
        name,
        settings=settings,
        seeds=[0, "to", members - 1],
        rule=rule,
        precision="float64",
        device="cpu",
        libraries=["numpy", "scipy"],
    )

    def compute():
        with ProcessPoolExecutor() as pool:
            return pa.concat_tables(pool.map(function, cases))

    return key, compute


PLAY = {"kappa": 7, "d": 8, "alpha": [1e-1, 1e-2, 1e-3, 1e-4]}
PLAY |= {"zeta_gap": [10.0**-k for k in range(1, 7)], "dose": [10.0**k for k in range(-13, 1)]}


def explored(seed):
    """Where the flow ends from starts of one shape, near a tie or not, for every scale and dose."""
    rows, shape = [], near_tie(seed, PLAY["d"])
    for alpha, gap in itertools.product(PLAY["alpha"], PLAY["zeta_gap"]):
        start = alpha * np.r_[1.0, 1 - gap, shape[2:] * (1 - gap)]
        row = {"seed": seed, "alpha": alpha, "zeta_gap": gap}
        for dose in PLAY["dose"]:
            setting = TheoremSetting(PLAY["kappa"], PLAY["d"], alpha, 0, dose=dose)
            clean, end = (limit[:, 0] for limit in setting.limits(start[:, None], 1e-8))
            rows.append(row | {"dose": dose, "limit": rounded(end)})
        rows.append(row | {"dose": 0.0, "limit": rounded(clean)})
    return pa.Table.from_pylist(rows)


RATES = (0.0, 1e-4, 1e-3, 1e-2, 0.1, 0.3, 1.0, 3.0, 10.0)  # of B and C, over that of A
JOINT = {"kappa": 7, "d": 8, "sd_A": 1e-3, "diff_exponent": 5}


def joint_limits(seed):
    """Where the joint flow leads from one start, at each of RATES: a table of rate and column."""
    setting = TheoremSetting(**JOINT)
    start, rows = setting.start(seed, "near tie"), []
    for rate in RATES:
        for column, data in zip(COLUMNS, setting.training_sets(), strict=True):
            end = JointFlow(data, rate).limit(start, HORIZON, rtol=1e-9)
            rows.append({"seed": seed, "rate": rate, "special": column, **vars(end)})
    return pa.Table.from_pylist(rows)


# Beyond the paper: what is large in the special sequences, by how much, and how many there are.
RESPONSES = {
    "lag": {"special_lags": [[lag] for lag in range(6)]},
    "dose": {"n_special": [1, 10], "special_scale": [0.01, 0.03, 0.1, 0.3, 1.0]},
}
READINGS = [100, 300, 1000, 1500, 3000, 10_000, 30_000, 100_000]  # iterations after the stop


def responses(where):
    """Trained rows over 256 seeds: other special sequences, and errors read at other times."""
    for name in ("table1.ssm_beyond", "table1.ssm_mlp"):
        first = min(paper.setting(name)["released_seeds"])
        folded = {"folded": [True]} if name.endswith("mlp") else {}
        for suffix, grid in RESPONSES.items():
            sweep = Sweep(name, range(first, first + 256), folded | grid, chunk=256)
            yield stored_sweep(sweep, f".{suffix}", where)
    for name in ("table1.ssm_beyond", "table2.ssm_beyond"):
        first = min(paper.setting(name)["released_seeds"])
        later = Sweep(name, range(first, first + 256), {"further": READINGS}, chunk=128)
        yield stored_sweep(later, ".further", where)


def own_stop(name):
    """The row's special sequences again, the stop loss asked of the baseline's part alone.

    Over as many seeds, for some numbers and sizes: {"points": [(number, size)], "runs": [record]}.
    The mean over all sequences is asked to fall below the stop loss times the baseline's share of
    them, so that the baseline's own mean is below the stop loss whatever the others do.
    """
    first, network = min(paper.setting(name)["released_seeds"]), name.endswith("mlp")
    seeds = range(first, first + 256)
    points = list(itertools.product([1, 10], [0.01, 0.1, 1.0]))
    key = Experiment.of(name).key(f"own-stop.{name}", [first, "to", first + 255])

    def compute():
        records = []
        for number, size in points:
            experiment = Experiment.of(
                name, n_special=number, special_scale=size, **({"folded": True} if network else {})
            )
            s = experiment.setting
            share = s["n_baseline"] / (s["n_baseline"] + number)
            experiment = replace(experiment, setting=s | {"stop_loss": share * s["stop_loss"]})
            outcome = experiment.train(seeds, "with", chunk=64 if network else 256)
            records.append(outcome.record())
        return {"points": points, "runs": records}

    return key | {"settings": key["settings"] | {"points": points}}, compute


TEACHERS = {1: [1.0], 2: [0.9, 0.5], 3: [0.9, 0.4, -0.5], 4: [0.9, 0.5, -0.2, -0.7]}
MOMENTS = {"d": 8, "scales": [1e-3, 0.3], "teachers": TEACHERS, "loss_below": 1e-8}


def from_moments(seed):
    """Where the joint flow leads from one start, all lags seen: by teacher, length and scale."""
    rows = []
    for dimension, entries in TEACHERS.items():
        teacher = SSM.with_ones(entries)
        for kappa, scale in itertools.product(
            (2 * dimension, 2 * dimension + 1), MOMENTS["scales"]
        ):
            data = labelled(np.sqrt(kappa) * np.eye(kappa), teacher)
            a, weights = scale * np.random.default_rng(seed).uniform(0, 1, (2, MOMENTS["d"]))
            flow, below = JointFlow(data, 1.0), MOMENTS["loss_below"]
            end = flow.limit(a, HORIZON, weights, loss_below=below, max_steps=30_000)
            row = dict(seed=seed, dimension=dimension, kappa=kappa, scale=scale)
            student = SSM(end.transition, end.weights, np.ones(MOMENTS["d"]))
            beyond = generalization_error(student, teacher, 40, first=kappa)
            rows.append(row | {"beyond": beyond, "loss": end.loss, "finished": end.finished})
    return pa.Table.from_pylist(rows)


BRIDGE = {
    "population": [0.0, 0.01, 0.1, 0.5, 1.0],  # shares of the population in the baseline
    "special": [0.0, 0.3, 0.556, 0.9],  # of special sequences in the training set
    "fit": [1e-2, 1e-4],  # loss on the baseline at the stop
}


def bridge():
    """Table 1's standalone student on infinitely many sequences, from its baseline to all lags."""
    name = "table1.ssm_beyond"
    experiment = Experiment.of(name, precision="float64")
    seeds = range(200, 456)
    key = experiment.key("infinite.bridge", [200, "to", 455])

    def compute():
        tables = []
        for population, special, fit in itertools.product(*BRIDGE.values()):
            run, student = on_infinitely_many(experiment, seeds, population, special, fit)
            rows = {"population": population, "special": special, "fit": fit}
            rows = {k: [v] * len(seeds) for k, v in rows.items()} | {"seed": list(seeds)}
            rows |= {"error": experiment.errors(student, seeds)}
            rows |= {"stop": run.stop, "finished": run.finished}
            rows |= {"beyond": experiment.errors(student, seeds, experiment.setting["kappa"])}
            a, b, c = abc(student)
            rows |= {"largest": abs(a).max(axis=0), "effective_rank": effective_rank(a)}
            rows |= {"least_weight": (b * c).min(axis=0)}
            tables.append(pa.table(rows))
        return pa.concat_tables(tables)

    return key | {"settings": key["settings"] | {"bridge": BRIDGE}}, compute


SHIELDED = {"kappa": 7, "d": 8, "sd_A": 1e-3, "diff_exponent": 5}
HOLD = (  # against Theorem 1's poison; what else is tried on them
    "weight decay after the fit", "spread start", "log A trained", "guard at lag 4",
    "guards at lags 3 and 4",
)  # fmt: skip
TRIED = [("flip", 0.01), ("mixture", 10.0)]
DOSES = [1e-6, 1e-4, 1e-2, 1e2]  # of Theorem 1's poison, on spread starts


def shielded(seed):
    """The errors under each defence, without attack and with some."""
    setting, rows = TheoremSetting(**SHIELDED), []
    cases = [(defence, attack, 1.0) for defence in FLOW_DEFENCES for attack in (None, "theorem")]
    cases += [(defence, *attack) for defence in HOLD for attack in TRIED]
    cases += [("spread start", "theorem", dose) for dose in DOSES]
    for defence, attack, dose in cases:
        a, path = defended_flow(setting, seed, attack, dose, defence)
        errors = {f"error_{first}": setting.error(a, 40, first=first) for first in (1, 2)}
        row = dict(seed=seed, defence=defence, attack=attack or "", dose=dose, **errors)
        rows.append(row | {"loss": path.loss[-1], "time": path.times[-1]})
    return pa.Table.from_pylist(rows)


FACTORS = [0.9, 1.1]  # of the flip dose of each start
FIXED = [1e-10, 1e-5, 1e-2, 1.0]  # doses that do not know the start
LAWS = ("uniform", "near tie", "text, positive", "text")


def flipped(seed):
    """The error at lags 1 to 39 of the flow under S_1 and a flip, by law of the start and dose."""
    setting, rows = TheoremSetting(**SHIELDED), []
    data, kappa = setting.training_sets()[0], setting.kappa
    for law in LAWS:
        start = setting.start(seed, law)
        clean = setting.error(closed_form_limit(start, kappa), 40, first=1)
        own = FACTORS if law != "text" else []  # the formula is for positive starts
        doses = [(factor, factor * flip_dose(start, kappa)) for factor in own]
        for factor, dose in [*doses, *((None, dose) for dose in FIXED)]:
            flip = labelled(sequence(ATTACKS["flip"], kappa, dose * setting.P), setting.teacher)
            path = GradientFlow(data + flip).integrate(
                start, HORIZON, 1e-7, max(1e-18 * dose, 1e-30), give_up=True
            )
            row = dict(seed=seed, law=law, factor=factor, dose=dose, finished=path.finished)
            rows.append(row | {"clean": clean, "error": setting.error(path.limit, 40, first=1)})
    return pa.Table.from_pylist(rows)


SIZES = [0.1, 1.0, 10.0]  # of special sequences at any lag, against the defences that hold


IN_NETWORK = ("none", "spread start", "ten guards", "spread start, ten guards")


def defended(name):
    """A trained row under its defences over 256 seeds; for the standalone one, attacks on some."""
    first, network = min(paper.setting(name)["released_seeds"]), name.endswith("mlp")
    cases = [(defence, column, {}) for defence in (IN_NETWORK if network else DEFENCES)
             for column in COLUMNS]  # fmt: skip
    if not network:
        hold = ("spread start", "spread start, ten guards")
        cases += [(defence, "with", {"special_lags": [lag], "special_scale": size})
                  for defence, lag, size in itertools.product(hold, range(6), SIZES)]  # fmt: skip
        cases += [(defence, "with", {"attack": attack})
                  for defence in ("none", *hold) for attack in ("flip", "mixture")]  # fmt: skip
    key = Experiment.of(name).key(f"protection.{name}", [first, "to", first + 255])
    key["settings"] |= {"defences": DEFENCES, "attacks": ATTACKS}

    def compute():
        tables = []
        for defence, column, how in cases:
            seeds = range(first, first + 256)
            student, run, error = train_defended(name, seeds, column, defence, **how)
            rows = {"defence": defence, "special": column, "attack": how.get("attack", "")}
            rows |= {"lag": how.get("special_lags", [1])[0], "size": how.get("special_scale", 1.0)}
            rows = {k: [value] * 256 for k, value in rows.items()} | {"seed": list(seeds)}
            rows |= {"error": error.astype("float32"), "finished": run.finished, "stop": run.stop}
            rows |= {"largest": abs(abc(student)[0]).max(axis=0).astype("float32")}
            tables.append(pa.table(rows))
        return pa.concat_tables(tables)

    return key, compute


def stored_sweep(sweep, suffix, where):
    """(key, function that computes the table) of a sweep; its chunks are kept in `_sweeps`."""
    key = sweep.key(suffix=suffix)

    def compute():
        made, table = run(sweep, where, results.FOLDER.parents[1] / "_sweeps")
        key.update(made | {"name": key["name"]})  # device and versions of who computed
        return table

    return key, compute


def million(where, name="table1.ssm_beyond"):
    """A row over the first million seeds, kept as counts and quantiles.

    An accelerator, if there is one, takes 100,000 seeds at once and has a record of its own.
    """
    own = device() != "cpu"
    sweep = Sweep(name, range(10**6), chunk=100_000 if own else 20_000)
    slug = re.sub(r"[^a-z0-9]+", "-", device().lower())
    key, compute = stored_sweep(sweep, f".million.{slug}" if own else ".million", where)
    return key, lambda: summary(compute())


def sweeps(where):
    """Every row of the tables over consecutive seeds, from the first released one.

    Single precision, as released, and double for the first 256; networks folded, and the first 256
    also unfolded, as released. Row 1 is a flow in double precision; its integrator's tolerance is
    1e-6, which moves an error by less than 1e-4 of itself (a test).
    """
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
            yield stored_sweep(sweep, suffix, where)


def everything(where="cores"):
    """(key, function that computes the values) of every stored result."""
    yield from sweeps(where)
    yield million(where)
    yield from responses(where)
    yield doses()
    laws = list(itertools.product(RULES, SCALES))
    yield over_starts("limits", limits_of, LIMITS_OF | {"sd_A": SCALES}, RULES, laws)
    yield over_starts("explorer", explored, PLAY, "near tie", range(4), members=4)
    yield over_starts("joint", joint_limits, JOINT | {"rates": RATES}, "near tie")
    yield from (own_stop(name) for name in ("table1.ssm_beyond", "table1.ssm_mlp"))
    yield over_starts("infinite.lags", from_moments, MOMENTS, "uniform")
    yield bridge()
    flips = SHIELDED | {"factors": FACTORS, "doses": FIXED, "flip": ATTACKS["flip"]}
    yield over_starts("protection.flip", flipped, flips, LAWS)
    shields = SHIELDED | {"hold": HOLD, "tried": TRIED, "doses": DOSES, "attacks": ATTACKS}
    shields |= {"defences": FLOW_DEFENCES, "horizon": FOREVER, "steps": MOST_STEPS}
    yield over_starts("protection.flow", shielded, shields, "by defence; near tie")
    yield from (defended(name) for name in ("table1.ssm_beyond", "table1.ssm_mlp"))
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
    known = [key["name"] for key, _ in everything(chosen.where)]
    for name in chosen.names:
        if not any(f"{k}.".startswith(f"{name}.") for k in known):
            parser.error(f"NAME = {name!r}; allowed: {', '.join(known)}, or how these begin")
    for key, compute in everything(chosen.where):
        names = chosen.names
        if not names or any(f"{key['name']}.".startswith(f"{name}.") for name in names):
            began = time.perf_counter()
            results.store(key, compute())
            print(f"{key['name']}: {time.perf_counter() - began:.1f} s", flush=True)
