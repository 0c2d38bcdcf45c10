"""Figures 2 to 4: what is watched while a student trains."""

import numpy as np

from support.observe import watch
from support.paper import COLUMNS
from support.results import rounded
from support.trained import MOST

__all__ = ["GRID", "LARGE", "large_entries", "panels", "watched"]

LARGE = 0.1  # an entry counts as large above this share of the largest; fixed before the runs
GRID = np.linspace(0, 1.2, 49)  # times of the bands, the stop being one


def _looks(most, first=20, share=0.03):
    """Iterations at which a run is looked at: every 20, later after 3 % of the time so far."""
    looks = [0]
    while looks[-1] < most:
        looks.append(looks[-1] + max(first, int(share * looks[-1])))
    return looks[1:]


def large_entries(transition):
    """How many entries of A, [d, members], exceed `LARGE` of the largest in size: [members]."""
    size = abs(np.asarray(transition))
    return (size > LARGE * size.max(axis=0)).sum(axis=0)


def watched(experiment, seeds, column, most=MOST, **options):
    """Outcome, steps [times], and what `watch` saw, each [times, ..., members]."""
    options |= dict(every=most, looks=_looks(most), most=most, observe=watch)
    outcome = experiment.train(seeds, column, **options)
    steps, seen = zip(*outcome.run.log, strict=True)
    return outcome, np.array(steps), {k: np.stack([s[k] for s in seen]) for k in seen[0]}


def panels(experiment, seed, **options):
    """Both panels of a row, {"without": ..., "with": ...}, as lists that can be stored.

    Each has `step`, `transition` [times, d], `gamma_0`, `effective_rank` and `loss` [times], and
    `stop`, `iterations`, `finished`. `options` are those of `support.training.train`.
    """
    rows = {}
    for column in COLUMNS:
        outcome, steps, seen = watched(experiment, [seed], column, **options)
        kept = _telling(steps, seen["transition"][..., 0])
        record = outcome.record()
        rows[column] = {
            "step": steps[kept].tolist(),
            "transition": rounded(seen["transition"][kept, :, 0]),
            "gamma_0": rounded(seen["gamma"][kept, 0, 0]),
            "effective_rank": rounded(seen["effective_rank"][kept, 0]),
            "loss": rounded(seen["loss"][kept, 0]),
        } | {name: record[name][0] for name in ("stop", "iterations", "finished")}
    return rows


def _telling(steps, curves):
    """Indices of times that a picture needs: after a sixtieth of the run, or a change by 0.01."""
    kept = [0]
    for i in range(1, len(steps)):
        change = abs(curves[i] - curves[kept[-1]]).max()
        if change > 0.01 or steps[i] - steps[kept[-1]] >= steps[-1] / 60 or i == len(steps) - 1:
            kept.append(i)
    return kept
