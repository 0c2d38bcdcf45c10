"""All twelve cells and twelve panels of the paper, at the released seeds (`make bench`).

Compute on this machine, compilation included and imports aside, beside the rate of the released
training loop, one Keras call an iteration, as it was measured on a two-core machine.
"""

import time
from concurrent.futures import ThreadPoolExecutor

from support import paper
from support.backend import device
from support.experiments import TheoremSetting
from support.panels import panels
from support.trained import Experiment, cells

RELEASED_LOOP = (53, 81)  # iterations a second, under today's TensorFlow


def jobs():
    """The longest, networks, first: two threads then end together."""
    for name in sorted(paper.panels(), key=lambda name: "mlp" not in name):
        experiment = Experiment.of(name, precision="float64")
        yield lambda e=experiment: [
            r["iterations"] for r in panels(e, e.setting["released_seed"]).values()
        ]
    for name in sorted(paper.trained_rows(), key=lambda name: "mlp" not in name):
        experiment = Experiment.of(name)
        yield lambda e=experiment: [
            i
            for run in cells(e, e.setting["released_seeds"])["runs"].values()
            for i in run["iterations"]
        ]
    for table in ("table1", "table2"):
        seeds = paper.setting(f"{table}.ssm_theorem1")["released_seeds"]
        yield lambda t=table, s=seeds: TheoremSetting.of_table(t).cell(s) and []


def main():
    began = time.perf_counter()
    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(lambda job: job(), jobs()))
    seconds, total = time.perf_counter() - began, sum(map(sum, counts))
    slow, fast = (total / rate / 3600 for rate in RELEASED_LOOP)
    print(f"twelve cells and twelve panels on {device()}: {seconds:.0f} s")
    print(f"{total:,} iterations; one Keras call each: {fast:.1f} to {slow:.1f} hours")


if __name__ == "__main__":
    main()
