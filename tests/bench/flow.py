"""How fast gradient flow is followed, as ratios within one run (`make bench`).

One trajectory over S_2 in Theorem 1's setting, from the released start, to a relative tolerance
of 1e-10 and until the loss is below 1e-20; beside it the paper's solver settings (SciPy's odeint,
tolerances 1.5e-8, no Jacobian, Table 12's timestamps) and, over S_1, the closed form.
Each figure is the best of several repetitions; the ratio is to the paper's settings on the same
training set.
"""

import timeit

import numpy as np
from scipy.integrate import odeint

from support import paper
from support.datasets import theorem_sets
from support.experiments import HORIZON, TheoremSetting
from support.flow import GradientFlow, closed_form_limit
from support.landscape import random_I0
from support.passage import passages
from support.ssm import theorem_teacher


def best(action, repeat=5):
    """Seconds of the fastest of `repeat` runs."""
    return min(timeit.repeat(action, number=1, repeat=repeat))


def compare(setting, start, column, data, timestamps):
    """Print a line for each way to the limit over one training set."""
    flow, (last, segments) = GradientFlow(data), timestamps
    ways = {
        "odeint, the paper's settings": lambda: odeint(
            lambda a, _: flow.velocity(a), start, np.linspace(0, last, segments + 1)
        )[-1],
        "LSODA in gaps, rtol 1e-10": lambda: flow.integrate(start, HORIZON).limit,
    }
    # The reference for the error: two digits finer, or the exact limit.
    truth = flow.integrate(start, HORIZON, rtol=1e-12).limit
    if column == "without":
        ways["closed form"] = lambda: closed_form_limit(start, setting.kappa)
        truth = ways["closed form"]()
    seconds = {name: best(way) for name, way in ways.items()}
    for name, way in ways.items():
        error = abs(setting.error(way()) / setting.error(truth) - 1)
        ratio = seconds[name] / seconds["odeint, the paper's settings"]
        case = f"d = {setting.d}, {column}"
        print(f"{case:16s}{name:31s}{1e3 * seconds[name]:9.2f}{ratio:8.2f}{error:12.0e}")


def ensemble(members=1000, d=8, kappa=7):
    """Print what a start under S_2 costs alone, and as one of many that move together."""
    generator = np.random.default_rng(0)
    starts = random_I0(generator, d, np.exp(generator.uniform(-9, np.log(0.5 / d), members)))
    flow = GradientFlow(theorem_sets(theorem_teacher(d), kappa, [1.0], [1.0])[1])
    alone = best(lambda: [flow.integrate(a, HORIZON) for a in starts[:, :20].T], 3) / 20
    together = best(lambda: passages(starts, kappa), 3) / members
    print(f"a start under S_2, d = {d}: alone {1e3 * alone:.1f} ms, ", end="")
    print(f"one of {members} {1e3 * together:.2f} ms, ratio {alone / together:.0f}")


def main():
    print(f"{'special sequence':16s}{'':31s}{'ms':>9s}{'ratio':>8s}{'rel. error':>12s}")
    for table in ("table1", "table2"):
        setting = TheoremSetting.of_table(table)
        stamps = paper.setting(f"{table}.ssm_theorem1")
        start = setting.start(stamps["released_seeds"][0], "released")
        for column, data in zip(("without", "with"), setting.training_sets(), strict=True):
            timestamps = stamps["last_timestamp"][column], stamps["timestamp_amount"][column]
            compare(setting, start, column, data, timestamps)
    ensemble()


if __name__ == "__main__":
    main()
