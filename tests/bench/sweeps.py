"""How sweeps scale: with seeds, with workers, and in memory (`make bench`)."""

import subprocess
import sys
import time

import numpy as np
from distributed import LocalCluster

from support import results
from support.sweeps import Sweep, run

ROW = "table1.ssm_beyond"
CHUNK = 20_000


def seconds(sweep, where="here"):
    began = time.perf_counter()
    run(sweep, where, progress=False)
    return time.perf_counter() - began


def by_seeds(counts=(64, 1000, 10_000, 100_000)):
    """Both columns of the row, the first 5,000 iterations of each run."""
    times = [seconds(Sweep(ROW, range(n), {"most": [5000]}, chunk=CHUNK)) for n in counts]
    for n, t in zip(counts, times, strict=True):
        print(f"{n:7,} seeds: {t:6.1f} s, {1e3 * t / n:.2f} ms a seed")
    slope = np.polyfit(np.log(counts[-2:]), np.log(times[-2:]), 1)[0]
    print(f"time grows as seeds^{slope:.2f} from {counts[-2]:,} to {counts[-1]:,} seeds")


def by_workers(counts=(1, 2, 4)):
    """A network's row, the same chunks; workers of one thread, started and warm before."""
    env = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
    times = []
    for n in counts:
        options = dict(n_workers=n, threads_per_worker=1, dashboard_address="127.0.0.1:0", env=env)
        with LocalCluster(**options, silence_logs=50) as cluster:
            where = cluster.scheduler_address
            seconds(Sweep("table1.ssm_mlp", range(n), {"most": [10]}, chunk=1), where)
            row = Sweep("table1.ssm_mlp", range(768), {"most": [3000]}, chunk=64)
            times.append(seconds(row, where))
        print(f"{n} workers: {times[-1]:.1f} s, {times[0] / times[-1]:.2f} times as fast as one")


def by_memory(counts=(50_000, 1_000_000)):
    """Peak memory of a process that runs so many members, by one step: steps need none."""
    code = (
        "import resource, sys; sys.path.insert(0, {0!r}); from bench.sweeps import *; "
        "run(Sweep(ROW, range({1}), {{'most': [1]}}, chunk=CHUNK), progress=False); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)"
    )
    peaks = []
    for n in counts:
        command = [sys.executable, "-c", code.format(str(results.FOLDER.parents[1] / "tests"), n)]
        peaks.append(float(subprocess.run(command, capture_output=True, check=True).stdout))
        print(f"{n:9,} members in chunks of {CHUNK:,}: peak {peaks[-1]:.2f} GB")
    print(
        f"{peaks[1] / peaks[0]:.2f} times the memory for {counts[1] // counts[0]} times the seeds"
    )


if __name__ == "__main__":
    by_seeds()
    by_workers()
    by_memory()
