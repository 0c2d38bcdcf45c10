"""Sweeps: the same numbers wherever they run, whatever interrupts them."""

import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import dask
import numpy as np
import pyarrow as pa
import pytest
from distributed import Client, LocalCluster
from pyarrow import compute, parquet

from support import engines, paper, results, sweeps
from support.backend import BACKEND
from support.experiments import TheoremSetting
from support.protocol import Protocol
from support.sweeps import Sweep, run
from support.trained import Experiment, abc
from support.verdict import pairs

FLOW = Sweep("table1.ssm_theorem1", range(242, 262), {"rtol": [1e-6]}, chunk=4)  # five chunks
TRAINED = Sweep("table1.ssm_beyond", range(200, 208), {"most": [1000]}, chunk=4)  # two chunks
TWO = Sweep("table1.ssm_theorem1", range(4), {"rtol": [1e-6]}, chunk=2)  # two, quickly


@pytest.fixture(scope="module")
def here():
    """The tables of FLOW and TRAINED, computed in this process."""
    return {sweep.experiment: run(sweep)[1] for sweep in (FLOW, TRAINED)}


@pytest.fixture(scope="module")
def cluster():
    env = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
    options = dict(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs=50
    )
    failures = dask.config.set({"distributed.scheduler.allowed-failures": 1})
    with failures, LocalCluster(env=env, **options) as cluster:
        yield cluster


def computing(monkeypatch):
    """A list to which every chunk that this process computes is added from now on."""
    seen, chunk = [], sweeps.compute
    monkeypatch.setattr(sweeps, "compute", lambda *job: seen.append(job) or chunk(*job))
    return seen


def files(folder):
    return sorted(Path(folder).rglob("*.parquet"))


def test_a_row_of_a_sweep_is_a_student_trained(tmp_path, untrained):
    seeds, experiment = [201, 200, 204, 205], Experiment.of("table1.ssm_beyond", n_special=2)
    sweep = Sweep("table1.ssm_beyond", seeds, {"n_special": [2], "most": [800]}, chunk=2)
    _, table = run(sweep, folder=tmp_path, progress=False)
    assert table["special"].to_pylist() == (["without"] * 2 + ["with"] * 2) * 2
    assert table["seed"].to_pylist() == [201, 200, 201, 200, 204, 205, 204, 205]
    assert set(table["n_special"].to_pylist()) == {2} and set(table["most"].to_pylist()) == {800}
    for call in untrained:
        assert call.options["chunk"] == 256 and call.options["most"] == 800
    assert len(untrained) == 4
    for column in ("without", "with"):
        outcome = experiment.train(seeds, column)
        own = table.filter(compute.field("special") == column)
        a = abc(outcome.student)[0]
        size = abs(a) / abs(a).sum(axis=0)
        wanted = {
            "error": outcome.errors, "beyond": outcome.beyond, "loss": outcome.run.loss,
            "stop": outcome.run.stop, "iterations": outcome.run.iterations,
            "finished": outcome.run.finished,
            "effective_rank": np.exp(-(size * np.log(size)).sum(axis=0)),
            "large": (abs(a) > 0.1 * abs(a).max(axis=0)).sum(axis=0),
        }  # fmt: skip
        assert set(own.column_names) == {"seed", "special", "n_special", "most", *wanted}
        for name, values in wanted.items():
            np.testing.assert_allclose(own[name].to_numpy(), values, rtol=1e-4)
    assert (run(sweep, folder=tmp_path)[1]).equals(table)


def test_a_row_of_flows_is_where_they_end(tmp_path):
    sweep, setting = Sweep(TWO.experiment, [5, 3], TWO.grid), TheoremSetting.of_table("table1")
    _, table = run(sweep, folder=tmp_path / "a" / "b")
    starts = np.stack([setting.start(seed, "released") for seed in (5, 3)], axis=-1)
    for column, a in zip(("without", "with"), setting.limits(starts, 1e-6), strict=True):
        own = table.filter(compute.field("special") == column)
        assert own["seed"].to_pylist() == [5, 3] and all(own["finished"].to_pylist())
        for name, first in (("error", 0), ("beyond", setting.kappa)):
            wanted = setting.error(a, normalized=True, first=first)
            np.testing.assert_allclose(own[name].to_numpy(), wanted, rtol=1e-6)


def test_a_key_says_what_was_asked_and_who_answered():
    name, made_by = TWO.experiment, {"device": "an abacus", "code": "of today"}
    flow = Sweep(name, range(3, 9), {"rtol": [1e-6], "rule": ["text"]})
    assert flow.key(made_by, ".again") == {
        "name": f"sweep.{name}.again",
        "settings": {"experiment": paper.setting(name), "grid": flow.grid},
        "rule": ["text"], "seeds": [3, "to", 8], "precision": ["float64"], "device": "an abacus",
    }  # fmt: skip
    assert flow.key(made_by)["name"] == f"sweep.{name}"
    assert set(sweeps.provenance()["libraries"]) == {"numpy", "scipy", "keras", BACKEND}
    for seeds, grid, wanted in [
        (range(3, 9, 2), {}, ([3, 5, 7], ["released"], ["float32"])),
        ([4], {"rate": ["text"], "precision": ["float64"]}, ([4], ["text"], ["float64"])),
    ]:
        sweep = Sweep("table1.ssm_beyond", seeds, grid)
        key = sweep.key()
        assert (key["seeds"], key["rule"], key["precision"]) == wanted
        assert key == sweep.key(sweeps.provenance()) and "code" not in key
        assert {"device", "backend", "support", "libraries"} <= set(key)
    labels = Sweep("table1.ssm_beyond", [1], {"stop": ["text"], "jitter": [0.0]}).labels()
    assert [label for label, _ in labels.values()] == ["protocol.stop", "jitter"]


@pytest.mark.slow
def test_a_sweep_of_students_is_what_training_them_gives():
    """By direct calls, all seeds at once."""
    seeds, grid = range(200, 206), {"most": [1500], "n_special": [0, 10]}
    _, table = run(Sweep("table1.ssm_beyond", seeds, grid, chunk=4))
    assert table.num_rows == 2 * 2 * 6
    assert table["seed"].to_pylist()[:8] == [200, 201, 202, 203] * 2
    for n_special in grid["n_special"]:
        part = table.filter(compute.field("n_special") == n_special)
        experiment = Experiment.of("table1.ssm_beyond", n_special=n_special)
        for column, errors in pairs(part).items():
            outcome = experiment.train(list(seeds), column, most=1500, progress=False)
            np.testing.assert_allclose(errors, outcome.errors, rtol=1e-3)
            np.testing.assert_array_equal(pairs(part, "stop")[column], outcome.run.stop)
        clean, poisoned = pairs(part).values()
        assert np.array_equal(clean, poisoned) == (n_special == 0)


@pytest.mark.slow
def test_a_sweep_of_flows_is_the_row_to_four_digits(here):
    """What the integrator's tolerance of the stored sweeps, 1e-6, does to an error."""
    for name in ("table1", "table2"):
        sweep = Sweep(f"{name}.ssm_theorem1", range(300, 310), FLOW.grid)
        setting = TheoremSetting.of_table(name)
        exact = setting.cell(sweep.seeds)
        _, table = run(sweep)
        for column, errors in pairs(table).items():
            np.testing.assert_allclose(errors, exact[column], rtol=1e-4)
            beyond = pairs(table, "beyond")[column]  # over the teacher there, 1, and not d
            assert np.all(beyond <= errors * setting.d)


@pytest.mark.parametrize(("name", "suffix"), [
    ("table1.ssm_theorem1", ""), ("table2.ssm_theorem1", ""), ("table2.ssm_beyond", ""),
    ("table2.ssm_mlp", ".unfolded"),
])  # fmt: skip
def test_the_stored_cell_is_in_the_stored_sweep(name, suffix):
    """Rows whose arithmetic is stable at the released seeds; the sweep has other chunks."""
    table, cell = results.load(f"sweep.{name}{suffix}")["values"], results.load(name)
    seeds = table["seed"].to_numpy()[: table.num_rows // 2].tolist()
    places = [seeds.index(seed) for seed in cell["key"]["seeds"]]
    for column, errors in pairs(table).items():
        if (name, column) != ("table2.ssm_mlp", "without"):  # rounding decides
            np.testing.assert_allclose(errors[places], cell["values"][column], rtol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 4])
def test_a_cluster_gives_the_same_bits(here, cluster, workers):
    cluster.scale(workers)
    with Client(cluster) as client:
        client.wait_for_workers(workers, timeout=60)
    for sweep in (FLOW, TRAINED) if workers == 2 else (FLOW,):
        assert run(sweep, cluster.scheduler_address)[1].equals(here[sweep.experiment])


@pytest.mark.slow
def test_all_cores_give_the_same_bits(here):
    assert run(FLOW, "cores")[1].equals(here[FLOW.experiment])


@pytest.mark.slow
def test_a_worker_killed_is_made_good(here, cluster, tmp_path):
    with Client(cluster) as client:
        first = min(client.run(os.getpid).values())

    def kill():
        while not files(tmp_path):
            time.sleep(0.01)
        os.kill(first, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    _, table = run(FLOW, cluster.scheduler_address, tmp_path)
    killer.join()
    assert table.equals(here[FLOW.experiment]) and len(files(tmp_path)) == 5
    with Client(cluster) as client:
        assert first not in client.run(os.getpid).values()


@pytest.mark.slow
def test_a_chunk_that_kills_its_workers_is_given_up(cluster, monkeypatch):
    def deadly(*job):
        os._exit(1)

    monkeypatch.setattr(sweeps, "compute", deadly)
    with pytest.raises(RuntimeError, match="given up: 2 workers died"):
        run(TWO, cluster.scheduler_address)


@pytest.mark.slow
def test_a_client_killed_goes_on_where_it_was(here, tmp_path, monkeypatch):
    code = f"from support.sweeps import *; run({FLOW!r}, folder={str(tmp_path)!r})"
    client = subprocess.Popen([sys.executable, "-c", code])
    while len(files(tmp_path)) < 2:
        time.sleep(0.01)
        assert client.poll() is None
    client.kill()
    client.wait()
    kept = len(files(tmp_path))
    assert 2 <= kept < 5
    seen = computing(monkeypatch)
    for _ in range(2):  # the second time there is nothing to do
        assert run(FLOW, folder=tmp_path)[1].equals(here[FLOW.experiment])
        assert len(seen) == 5 - kept and len(files(tmp_path)) == 5


@pytest.mark.parametrize("spoil", [
    lambda data: b"",
    lambda data: data[:-1],
    lambda data: data[: len(data) // 2],
    lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:],
])  # fmt: skip
def test_a_damaged_chunk_is_computed_again(spoil, tmp_path, monkeypatch):
    _, whole = run(TWO, folder=tmp_path)
    path = files(tmp_path)[1]
    path.write_bytes(spoil(path.read_bytes()))
    seen = computing(monkeypatch)
    with pytest.warns(UserWarning, match=f"{path.name}: not a whole table .*; computed again"):
        _, again = run(TWO, folder=tmp_path)
    assert again.equals(whole) and [job[2] for job in seen] == [range(2, 4)]


@pytest.mark.slow  # mutmut wraps every function in others, which count as callers
def test_the_warning_of_a_damaged_chunk_names_who_asked(tmp_path):
    run(TWO, folder=tmp_path)
    files(tmp_path)[0].write_bytes(b"")
    with pytest.warns(UserWarning, match="computed again") as warned:
        run(TWO, folder=tmp_path)
    assert warned[0].filename == __file__


def test_no_byte_of_a_column_changes_unseen(tmp_path):
    path, key = tmp_path / "table.parquet", {"name": "x"}
    table, refusals = pa.table({"seed": [2, 3], "error": [0.25, 0.5]}), 0
    results.write_table(path, key, table)
    whole, column = path.read_bytes(), parquet.ParquetFile(path).metadata.row_group(0).column(0)
    assert column.compression == "ZSTD"
    for i in range(4, 4 + column.total_compressed_size):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        try:
            found, again = results.read_table(path)
        except ValueError as error:
            refusals += 1
            said = str(error)
            assert re.search(r": not a whole table with its key \(.{9,}\)$", said), said
        else:
            assert found == key and again.replace_schema_metadata(None).equals(table)
    assert refusals > 10


def test_only_what_was_asked_for_is_picked_up(tmp_path, monkeypatch):
    def rows(setting, rule, rtol, seeds):  # in place of flows
        return {column: {"error": setting.d * rtol * np.array(seeds)} for column in paper.COLUMNS}

    monkeypatch.setattr(sweeps, "_theorem_rows", rows)
    run(TWO, folder=tmp_path)
    seen = computing(monkeypatch)
    others = [
        Sweep(TWO.experiment, TWO.seeds, {"rtol": [1e-5]}, chunk=2),
        Sweep(TWO.experiment, range(1, 5), TWO.grid, chunk=2),
        Sweep(TWO.experiment, TWO.seeds, TWO.grid | {"d": [9]}, chunk=2),
        Sweep(TWO.experiment, TWO.seeds, TWO.grid, chunk=3),
    ]
    for count, other in enumerate(others, start=1):
        run(other, folder=tmp_path)
        assert len(seen) == 2 * count
    one, two = files(tmp_path / next(os.walk(tmp_path))[1][0])
    one.write_bytes(two.read_bytes())  # whole, but another chunk's
    for sweep in (TWO, *others):
        run(sweep, folder=tmp_path)
    assert len(seen) == 9
    monkeypatch.setattr(results, "__version__", "0.0.0")
    run(TWO, folder=tmp_path)
    assert len(seen) == 11


def test_a_key_names_who_computed(monkeypatch):
    """That is the workers, wherever the sweep is asked for."""
    elsewhere = sweeps.provenance() | {"device": "an abacus"}
    table, _ = sweeps.compute(FLOW.experiment, {"rtol": 1e-3}, [242])

    def computed(missing):
        yield from ((i, (table, elsewhere)) for i in missing)

    monkeypatch.setattr(sweeps, "engine", lambda *asked: nullcontext((elsewhere, computed)))
    assert run(FLOW)[0]["device"] == "an abacus"


def test_workers_that_differ_are_told(monkeypatch):
    def computed(missing):
        yield from ((i, (None, {"device": "another"})) for i in missing)

    monkeypatch.setattr(sweeps, "engine", lambda *asked: nullcontext(({"code": ""}, computed)))
    words = r"^where = 'here': its workers differ in device or versions$"
    with pytest.raises(ValueError, match=words):
        run(FLOW)


def test_a_point_of_the_grid_is_an_experiment_with_its_options():
    point = {"rate": "text", "most": 5, "further": 7, "n_special": 3}
    experiment, options = sweeps._runner("table1.ssm_beyond", point).args
    assert experiment == Experiment.of("table1.ssm_beyond", Protocol(rate="text"), n_special=3)
    assert options == {"most": 5, "further": 7}
    words = r"allowed: [a-z_]+(, [A-Za-z_]+){9,}$"
    with pytest.raises(ValueError, match=words):
        sweeps._runner("table1.ssm_beyond", {"n_specials": 3})


def test_columns_have_the_types_of_the_stored_sweeps(untrained):
    """Also for seeds that need all of their 32 bits."""
    seeds = [4, Sweep("table1.ssm_beyond", [2**32 - 1]).seeds[0]]
    table, _ = sweeps.compute("table1.ssm_beyond", {"precision": "float64"}, seeds)
    stored = results.load("sweep.table1.ssm_beyond")["values"].schema
    assert table["seed"].to_pylist() == seeds * 2
    for name in table.column_names:
        assert table.schema.field(name).type == stored.field(name).type, name


def test_a_full_disk_is_said_in_one_line(tmp_path, monkeypatch):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    seen, chunk = [], sweeps.compute

    def second_is_large(*job):
        seen.append(job)
        if len(seen) == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        return chunk(*job)

    monkeypatch.setattr(sweeps, "compute", second_is_large)
    try:
        with pytest.raises(OSError, match=r"00001\.parquet: could not be written: ") as caught:
            run(TWO, folder=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["00000.parquet"]
    run(TWO, folder=tmp_path)
    assert len(seen) == 3


@pytest.mark.parametrize(("values", "line"), [
    ({"seeds": []}, r"seeds = \[\]; allowed: one or more integers from 0 to 4294967295"),
    ({"seeds": [2**32]}, r"seeds = \[4294967296\]; allowed"),
    ({"seeds": range(-1, 3)}, "seeds = .*; allowed"),
    ({"seeds": [1, -2, 3]}, r"seeds = \[1, -2, 3\]; allowed"),
    ({"seeds": (1, 2)}, r"seeds = \(1, 2\); allowed: one or more"),
    ({"chunk": 0}, "chunk = 0; allowed: an integer, 1 or more"),
    ({"seeds": range(10**12)}, "seeds = range.*; allowed: one or more integers from 0 to 429"),
    ({"grid": [1]}, r"grid = \[1\]; allowed: a dictionary of lists"),
    ({"experiment": "table3.ssm"}, "experiment = 'table3.ssm'; allowed: table1.ssm_theorem1, "),
    ({"grid": {"n_specials": [1]}}, "grid: n_specials is no parameter of 'table1.ssm_beyond'; all"),
    ({"grid": {"width": [3]}}, "grid: width is no parameter of 'table1.ssm_beyond'; allowed: dra"),
    ({"grid": {"n_special": 3}}, r"grid\['n_special'\] = 3; allowed: a list of values"),
    ({"grid": {"n_special": []}}, r"grid\['n_special'\] = \[\]; allowed: a list of values"),
    ({"grid": {"n_special": [1, -1]}}, "n_special = -1; allowed: an integer, 0 or more"),
    ({"grid": {"n_special": [1.5]}}, "n_special = 1.5; allowed: an integer"),
    ({"grid": {"sd_A": ["a"]}}, "sd_A = 'a'; allowed: a number"),
    ({"grid": {"sd_A": [float("nan")]}}, "sd_A = nan; allowed: a number"),
    ({"grid": {"precision": ["float16"]}}, "precision = 'float16'; allowed: 'float32' or"),
    ({"grid": {"jitter": [-1]}}, "jitter = -1; allowed: a number, 0 or more"),
    ({"grid": {"folded": [1]}}, "folded = 1; allowed: False, or in a network True"),
    ({"grid": {"rate": ["mine"]}}, "rate = 'mine'; allowed: 'text' or 'released'"),
    ({"grid": {"most": [0]}}, "most = 0; allowed: an integer from 1 to 1000000000"),
    ({"grid": {"most": [2**40]}}, "most = 1099511627776; allowed: an integer from 1 to"),
    ({"grid": {"special_lags": [3]}}, "special_lags = 3; allowed: 0, ..., 5"),
    ({"grid": {"n_special": (1, 2)}}, r"grid\['n_special'\] = \(1, 2\); allowed: a list of values"),
    ({"grid": {"warm": [float("inf")]}}, "warm = inf; allowed: a number, 0 or more"),
    ({"grid": {"special_lags": [[6]]}}, r"special_lags = \[6\]; allowed: 0, ..., 5"),
    ({"grid": {"special_scale": [-1]}}, "special_scale = -1; allowed: a number, 0 or more"),
])  # fmt: skip
def test_a_sweep_that_cannot_run_is_refused(values, line):
    given = {"experiment": "table1.ssm_beyond", "seeds": [1]} | values
    began = time.perf_counter()
    with pytest.raises(ValueError, match=line) as caught:
        Sweep(**given)
    assert "\n" not in str(caught.value) and time.perf_counter() - began < 1


@pytest.mark.parametrize("grid", [
    {"kappa": [8]}, {"kappa": [7.5]}, {"rule": ["best"]}, {"rtol": [0.5]}, {"rtol": ["a"]},
    {"d": [1]}, {"d": [9.5]}, {"n_baseline": [0]}, {"sd_A": [0]}, {"P": ["a"]},
    {"dose": [0]}, {"d": [10**12]}, {"kappa": [10**6 + 1]}, {"sd_A": [2.0]}, {"dose": [1e300]},
])  # fmt: skip
def test_a_flow_that_cannot_run_is_refused(grid):
    (name,) = grid
    with pytest.raises(ValueError, match=f"{name} = .*allowed"):
        Sweep("table1.ssm_theorem1", [1], grid)


@pytest.mark.slow
@pytest.mark.parametrize("where", ["nowhere", "tcp://127.0.0.1:9", 7])
def test_a_scheduler_that_does_not_answer_is_named(where):
    began = time.perf_counter()
    with pytest.raises(ValueError, match=f"where = {where!r}; allowed: 'here', 'cores' or the ad"):
        run(TWO, where)
    # 5 s of waiting for an answer; Dask's event loop may take 10 to begin on a busy machine
    assert time.perf_counter() - began < 30


@pytest.mark.slow
def test_workers_must_be_there_and_be_alike(monkeypatch):
    made_by = sweeps.provenance()
    other = made_by | {"device": "another"}
    client = SimpleNamespace()
    monkeypatch.setattr(engines, "_client", lambda where: nullcontext(client))
    for found, line in (
        ({}, "where = 'tcp://a'; allowed: a scheduler with workers"),
        ({"a": made_by, "b": other}, "where = 'tcp://a': its workers differ in device or versions"),
        ({"a": made_by | {"code": "old"}}, "where = 'tcp://a': its workers have another version"),
    ):
        client.run = lambda function, found=found: found
        with pytest.raises(ValueError, match=line):
            run(TWO, "tcp://a")


@pytest.mark.slow
def test_a_grid_of_mixed_values_and_of_choices_is_labelled():
    grid = {"jitter": [0, 1e-7], "stop": ["text", "released"], "most": [5]}
    _, table = run(Sweep("table1.ssm_beyond", [1, 2, 3], grid))
    assert table.num_rows == 2**2 * 2 * 3
    assert set(table["protocol.stop"].to_pylist()) == {"text", "released"}
    assert set(table["stop"].to_pylist()) == {-1}
    assert set(table["jitter"].to_pylist()) == {0, 1e-7}
    for values in ([[], [1]], [[1], [0, 2]]):
        ((name, kind),) = (
            Sweep("table1.ssm_beyond", [1], {"special_lags": values}).labels().values()
        )
        assert name == "special_lags" and pa.array([values[0]], kind).to_pylist() == values[:1]


def test_a_folder_that_cannot_be_used_is_named_at_once(tmp_path, monkeypatch):
    seen = computing(monkeypatch)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"folder = .*file.* cannot be used: ") as caught:
        run(TWO, folder=tmp_path / "file" / "below")
    assert "\n" not in str(caught.value) and not seen


@pytest.mark.slow
def test_a_scheduler_that_goes_away_is_said_in_one_line(tmp_path):
    with LocalCluster(n_workers=1, dashboard_address="127.0.0.1:0", silence_logs=50) as cluster:
        where = cluster.scheduler_address

        def close():
            while not files(tmp_path):
                time.sleep(0.01)
            cluster.close()

        closer = threading.Thread(target=close)
        closer.start()
        with pytest.raises(RuntimeError, match=r"where = '.*' went away; what arrived .* is kept"):
            run(FLOW, where, tmp_path)
        closer.join()
    assert files(tmp_path)


@pytest.mark.slow
def test_a_worker_that_comes_later_must_be_alike_too(tmp_path, monkeypatch):
    made_by, table = sweeps.provenance(), pa.table({})
    late = [(0, (table, made_by | {"device": "another"}))]
    monkeypatch.setattr(sweeps, "engine", lambda *_: nullcontext((made_by, lambda jobs: late)))
    with pytest.raises(ValueError, match="where = 'tcp://a': its workers differ"):
        run(TWO, "tcp://a", tmp_path)
    assert not files(tmp_path)
