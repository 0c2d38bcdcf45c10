"""How long a certificate takes to find and to check (`make bench`).

Each figure is the best of several repetitions; the ratio is to one flow under S_2, followed
uncertified from the middle of the box (LSODA, relative tolerance 1e-10).
"""

import sys
import timeit
from fractions import Fraction
from pathlib import Path

import numpy as np

from support import results, verify
from support.certificate import cone, errors
from support.datasets import theorem_sets
from support.experiments import HORIZON
from support.flow import GradientFlow
from support.ssm import theorem_teacher

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
from enclosure import trajectory


def main(repeat=3):
    box = results.load("certificate.box-8-7")["values"]
    record = results.load("certificate.cone-8-7")["values"]
    inputs = [record[name] for name in ("d", "kappa", "alpha", "place", "lead")]
    start = np.array([float(x) for x in box["start"]])
    flow = GradientFlow(theorem_sets(theorem_teacher(8), 7, [1.0], [1.0])[1])
    ways = {
        "one flow, uncertified": lambda: flow.integrate(start, HORIZON),
        "cone: find the table": lambda: errors(cone(*inputs), [2]),
        "cone: check it": lambda: verify.cone(record),
        "box: find the polynomials": lambda: trajectory([Fraction(x) for x in box["start"]], 7),
        "box: check them": lambda: verify.box(box),
    }
    print(f"{'d = 8, kappa = 7':32s}{'ms':>9s}{'ratio':>8s}")
    seconds = {n: min(timeit.repeat(way, number=1, repeat=repeat)) for n, way in ways.items()}
    for name, t in seconds.items():
        print(f"{name:32s}{1e3 * t:9.1f}{t / seconds['one flow, uncertified']:8.1f}")


if __name__ == "__main__":
    main()
