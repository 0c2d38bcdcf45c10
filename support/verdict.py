"""What a sweep says of a row of the tables: effect sizes, and a verdict in words.

The paper claims that special sequences significantly deteriorate generalization. Here that is a
statement about pairs: students that start alike, without and with special sequences. The criteria
below were fixed after the sixty-four seeds of the experiments chapter, before any sweep was run.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, bootstrap

from support.paper import COLUMNS
from support.results import rounded

__all__ = ["CRITERIA", "NONE", "Effect", "both_finished", "effect", "effect_of", "means_of_four"]
__all__ += ["pairs", "summary"]

# (words, least share of pairs that change so, least factor in the median), for the lower ends of
# their 95 % intervals; the first that holds counts.
CRITERIA = (
    ("much {}, nearly always", 0.9, 2.0),
    ("{}, as a rule", 0.7, 1.25),
    ("somewhat {}, more often than not", 0.5, 1.0),
)
NONE = "no direction"
RESAMPLES = 2000
# Levels of the quantiles that a summary keeps: each half per cent, and tails to a millionth.
_TAIL = np.geomspace(1e-6, 4e-3, 46)
LEVELS = np.round(np.r_[0, _TAIL, np.linspace(5e-3, 0.995, 199), 1 - _TAIL[::-1], 1], 9)
WITHIN = (3500, 4000, 5000, 6000, 8000, 10_000, 20_000, 200_001)  # iterations of a clean run


@dataclass(frozen=True)
class Effect:
    """The effect of special sequences over the pairs of which both runs finished.

    `share` of pairs in which the error grows and the median `ratio` of the errors, each with its
    95 % interval; `verdict` by CRITERIA; `bounds`, what the verdict would be had the ratio of every
    `unfinished` pair been nothing, and had every one been without bound.
    """

    pairs: int
    unfinished: int
    share: float
    share_interval: tuple
    ratio: float
    ratio_interval: tuple
    verdict: str
    bounds: tuple


def pairs(table, quantity="error"):
    """A quantity of a sweep's table by column, {"without": [runs], "with": [runs]}, paired."""
    special = table["special"].to_numpy()
    return {column: table[quantity].to_numpy()[special == column] for column in COLUMNS}


def both_finished(table):
    """Whether both runs of a pair finished, [pairs]."""
    return np.all(list(pairs(table, "finished").values()), axis=0)


def effect_of(table, quantity="error"):
    """The Effect on a quantity of a sweep's table."""
    return effect(*pairs(table, quantity).values(), both_finished(table))


def _sizes(ratios):
    """(share above one, Wilson's interval), (median, bootstrap interval)."""
    worse = int((ratios > 1).sum())
    share = binomtest(worse, len(ratios)).proportion_ci(method="wilson")
    rank = np.argsort(np.argsort(ratios, kind="stable"))  # infinities have no place in a mean
    options = dict(n_resamples=RESAMPLES, batch=100, method="percentile", rng=0)
    low, high = bootstrap((rank,), np.median, **options).confidence_interval
    in_order = np.sort(ratios)
    interval = in_order[int(np.floor(low))], in_order[int(np.ceil(high))]
    return (worse / len(ratios), tuple(share)), (np.median(ratios), interval)


def _words(share, ratio):
    """The verdict on what `_sizes` returns."""
    (_, share), (_, ratio) = share, ratio
    for words, least, factor in CRITERIA:
        if share[0] > least and ratio[0] > factor:
            return words.format("worse")
        if share[1] < 1 - least and ratio[1] < 1 / factor:
            return words.format("better")
    return NONE


def effect(without, with_special, finished):
    """The Effect from errors [pairs] and whether both runs of a pair finished, [pairs].

    Raises ValueError where fewer than two pairs did.
    """
    finished = np.asarray(finished)
    if finished.sum() < 2:
        raise ValueError("finished: allowed: at least two pairs of runs that finished")
    without, with_special = (np.asarray(errors)[finished] for errors in (without, with_special))
    with np.errstate(all="ignore"):
        ratios = np.where(without == with_special, 1.0, with_special / without)
    left = int((~finished).sum())
    share, ratio = _sizes(ratios)
    verdict = _words(share, ratio)
    bounds = verdict, verdict
    if left:
        ends = (np.r_[ratios, np.full(left, end)] for end in (0.0, np.inf))
        bounds = tuple(_words(*_sizes(end)) for end in ends)
    return Effect(len(ratios), left, *share, *ratio, verdict, bounds)


def means_of_four(errors, count=10_000):
    """Means over four seeds drawn at random (bootstrap), as the tables print one.

    errors [..., seeds] to [..., count], the same draws for each row.
    """
    errors = np.asarray(errors)
    chosen = np.random.default_rng(0).integers(errors.shape[-1], size=(count, 4))
    return errors[..., chosen].mean(axis=-1)


def summary(table):
    """What is kept of a sweep of students too large to be stored, {what: numbers}.

    How many pairs there are, runs of each column and pairs `finished`, and pairs are `worse` with
    special sequences; quantiles at LEVELS of all errors, and of the ratios of pairs that finished;
    of each four runs in the table's order, all of them finished, the means, as the tables print
    them; and the `exceptions`, pairs that finished and do not get worse: their seeds, and among
    pairs whose clean run took fewer iterations than each of WITHIN, and no fewer than the one
    before, [this number, pairs, exceptions, median error without, with].
    """
    errors, done = pairs(table), both_finished(table)
    clean, poisoned = errors.values()
    exception = done & (poisoned <= clean)
    groups, iterations = [], pairs(table, "iterations")["without"]
    for least, most in itertools.pairwise((0, *WITHIN)):
        chosen = done & (least <= iterations) & (iterations < most)
        medians = [np.median(e[chosen]) if chosen.any() else None for e in errors.values()]
        groups.append([most, int(chosen.sum()), int(exception[chosen].sum()), *rounded(medians)])
    whole = slice(len(done) // 4 * 4)
    four = done[whole].reshape(-1, 4).all(axis=1)
    means = {c: e[whole].reshape(-1, 4)[four].mean(axis=1, dtype=float) for c, e in errors.items()}
    return {
        "pairs": len(done),
        "finished": {c: int(f.sum()) for c, f in pairs(table, "finished").items()},
        "pairs finished": int(done.sum()),
        "worse": int((poisoned > clean).sum()),
        "levels": LEVELS.tolist(),
        "errors": {c: rounded(np.quantile(e, LEVELS)) for c, e in errors.items()},
        "ratios": rounded(np.quantile((poisoned / clean)[done], LEVELS)),
        "fours": len(means["with"]),
        "fours worse": int((means["with"] > means["without"]).sum()),
        "means": {c: rounded(np.quantile(e, LEVELS)) for c, e in means.items()},
        "exceptions": pairs(table, "seed")["without"][exception].tolist(),
        "exceptions by iterations": groups,
    }
