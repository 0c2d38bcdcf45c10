"""What a sweep says of a row of the tables: effect sizes, and a verdict in words.

The paper claims that special sequences significantly deteriorate generalization. Here that is a
statement about pairs: students that start alike, without and with special sequences. The criteria
below were fixed after the sixty-four seeds of the experiments chapter, before any sweep was run.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest, bootstrap

__all__ = ["CRITERIA", "Effect", "effect", "means_of_four"]

# (words, least share of pairs that change so, least factor in the median), for the lower ends of
# their 95 % intervals; the first that holds counts.
CRITERIA = (
    ("much {}, nearly always", 0.9, 2.0),
    ("{}, as a rule", 0.7, 1.25),
    ("somewhat {}, more often than not", 0.5, 1.0),
)
NONE = "no direction"
RESAMPLES = 2000


@dataclass(frozen=True)
class Effect:
    """The effect of special sequences over the pairs of which both runs finished.

    `share` of pairs in which the error grows and the median `ratio` of the errors, each with its
    95 % interval; `verdict` by CRITERIA; `robust` says whether it would be the same had every
    `unfinished` pair grown without bound, and had every one shrunk to nothing.
    """

    pairs: int
    unfinished: int
    share: float
    share_interval: tuple
    ratio: float
    ratio_interval: tuple
    verdict: str
    robust: bool


def _sizes(ratios):
    """Share above one and median, each with its interval: Wilson's, and the bootstrap's."""
    worse = int((ratios > 1).sum())
    share = binomtest(worse, len(ratios)).proportion_ci(method="wilson")
    rank = np.argsort(np.argsort(ratios, kind="stable"))  # infinities have no place in a mean
    options = dict(n_resamples=RESAMPLES, batch=100, method="percentile", rng=0)
    low, high = bootstrap((rank,), np.median, **options).confidence_interval
    in_order = np.sort(ratios)
    interval = in_order[int(np.floor(low))], in_order[int(np.ceil(high))]
    return (worse / len(ratios), tuple(share)), (np.median(ratios), interval)


def _words(ratios):
    (_, share), (_, ratio) = _sizes(ratios)
    for words, least, factor in CRITERIA:
        if share[0] > least and ratio[0] > factor:
            return words.format("worse")
        if share[1] < 1 - least and ratio[1] < 1 / factor:
            return words.format("better")
    return NONE


def effect(without, with_special, finished):
    """The Effect from errors [pairs] and whether both runs of a pair finished, [pairs].

    Raises ValueError where no pair did.
    """
    finished = np.asarray(finished)
    if not finished.any():
        raise ValueError("finished: allowed: at least one pair of runs that finished")
    ratios = (np.asarray(with_special) / np.asarray(without))[finished]
    (share, share_interval), (ratio, ratio_interval) = _sizes(ratios)
    words, left = _words(ratios), int((~finished).sum())
    extremes = (np.r_[ratios, np.full(left, end)] for end in (np.inf, 0.0))
    robust = all(_words(extreme) == words for extreme in extremes)
    sizes = share, share_interval, ratio, ratio_interval
    return Effect(len(ratios), left, *sizes, words, robust)


def means_of_four(errors, count=10_000):
    """Means over four seeds drawn at random, as the tables print one: errors [..., seeds] to
    [..., count], the same seeds for each row."""
    errors = np.asarray(errors)
    generator = np.random.default_rng(0)
    chosen = generator.random((count, errors.shape[-1])).argpartition(4, axis=1)[:, :4]
    return errors[..., chosen].mean(axis=-1)
