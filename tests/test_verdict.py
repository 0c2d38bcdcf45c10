"""Verdicts: effect sizes on ensembles whose effect is known."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from support.verdict import (
    CRITERIA,
    LEVELS,
    NONE,
    WITHIN,
    _words,
    both_finished,
    effect,
    effect_of,
    means_of_four,
    pairs,
    summary,
)

GENERATOR = np.random.default_rng(5)


def ensemble(share, factor, pairs=1000):
    """Errors of `pairs` pairs: a share of them grows by the factor, the others shrink by it."""
    without = GENERATOR.uniform(0.1, 10, pairs)
    grows = np.arange(pairs) < share * pairs
    return without, without * np.where(grows, factor, 1 / factor)


@pytest.mark.parametrize(("share", "factor", "verdict"), [
    (1.0, 5.0, "much worse, nearly always"),
    (0.95, 5.0, "much worse, nearly always"),
    (0.95, 1.9, "worse, as a rule"),  # the factor is too small
    (0.91, 5.0, "worse, as a rule"),  # the share is too uncertain
    (0.8, 1.2, "somewhat worse, more often than not"),
    (0.6, 9.0, "somewhat worse, more often than not"),
    (0.51, 9.0, NONE),
    (0.49, 9.0, NONE),
    (0.4, 9.0, "somewhat better, more often than not"),
    (0.2, 1.9, "better, as a rule"),
    (0.05, 5.0, "much better, nearly always"),
])  # fmt: skip
def test_verdict_of_a_known_effect(share, factor, verdict):
    found = effect(*ensemble(share, factor), np.full(1000, True))
    assert found.verdict == verdict and found.bounds == (verdict, verdict)
    assert found.share == pytest.approx(share) and found.pairs == 1000
    assert found.ratio == pytest.approx(factor if share > 0.5 else 1 / factor)
    assert found.share_interval[0] < share < found.share_interval[1] or share == 1


@pytest.mark.parametrize(("share", "ratio", "verdict"), [
    ((0.95, 0.99), (2.5, 3.0), "much worse, nearly always"),
    ((0.95, 0.99), (1.5, 3.0), "worse, as a rule"),  # the lower end counts
    ((0.9, 0.99), (2.5, 3.0), "worse, as a rule"),  # beyond, not at
    ((0.95, 0.99), (2.0, 3.0), "worse, as a rule"),
    ((0.95, 0.99), (1.0, 3.0), NONE),
    ((0.5, 0.99), (2.5, 3.0), NONE),
    ((0.01, 0.05), (0.3, 0.4), "much better, nearly always"),  # and the upper end
    ((0.01, 0.05), (0.3, 0.7), "better, as a rule"),
    ((0.01, 1 - 0.9), (0.3, 0.4), "better, as a rule"),
    ((0.01, 0.05), (0.3, 0.5), "better, as a rule"),
    ((0.01, 0.05), (0.3, 0.99), "somewhat better, more often than not"),
    ((0.01, 0.05), (0.3, 1.0), NONE),
    ((0.01, 0.05), (0.3, 1.5), NONE),
    ((0.01, 0.5), (0.3, 0.4), NONE),
])  # fmt: skip
def test_verdicts_go_by_the_ends_of_intervals(share, ratio, verdict):
    assert _words((np.mean(share), share), (np.mean(ratio), ratio)) == verdict


def test_errors_of_zero_are_equal():
    found = effect(np.zeros(9), np.zeros(9), np.full(9, True))
    assert (found.share, found.ratio, found.verdict) == (0, 1, NONE)


def test_criteria_go_from_strong_to_weak():
    assert list(CRITERIA) == sorted(CRITERIA, key=lambda c: c[1:], reverse=True)


def test_unfinished_pairs_are_counted_and_can_undo_a_verdict():
    without, with_special = ensemble(0.97, 5.0)
    best = "much worse, nearly always"
    for unfinished, worst in ((5, best), (150, "worse, as a rule"), (490, NONE), (960, "much b")):
        finished = np.arange(1000) >= unfinished
        found = effect(without, with_special, finished)
        assert (found.pairs, found.unfinished) == (1000 - unfinished, unfinished)
        assert found.bounds[0].startswith(worst) and found.bounds[1] == best
        assert found.verdict == best or unfinished == 960
    with pytest.raises(ValueError, match=r"^finished: allowed: at least two pairs of runs that"):
        effect(without, with_special, np.arange(1000) < 1)


@pytest.mark.slow
def test_intervals_hold_what_they_should():
    """The median ratio of lognormal pairs, whose true value is known, over 100 ensembles."""
    hits = 0
    for _ in range(100):
        ratios = np.exp(0.3 + GENERATOR.normal(size=100))
        low, high = effect(np.ones(100), ratios, np.full(100, True)).ratio_interval
        hits += low < np.exp(0.3) < high
    assert 0.88 <= hits / 100 < 1  # 95 %, and three standard deviations


def test_a_verdict_is_the_same_each_time_and_equal_errors_are_no_worse():
    errors, ratios = np.exp(GENERATOR.normal(size=(2, 1000)))
    ratios[:400] = 1
    first, again = (effect(errors, ratios * errors, np.full(1000, True)) for _ in range(2))
    assert first == again
    assert first.share == (ratios > 1).mean()


def test_means_of_four_are_means_of_four_seeds():
    errors = np.array([[1.0, 2.0, 4.0, 8.0, 16.0], [3.0, 6.0, 12.0, 24.0, 48.0]])
    means = means_of_four(errors, count=10_000)
    assert means.shape == (2, 10_000)
    np.testing.assert_allclose(means[1], 3 * means[0])  # the same seeds in both columns
    every = [np.mean(four) for four in itertools.product(errors[0], repeat=4)]
    assert set(means[0]) == set(every)
    np.testing.assert_array_equal(means_of_four(errors), means)  # as many, and the same ones
    np.testing.assert_array_equal(means_of_four(errors[0]), means[0])
    assert means[0].std() == pytest.approx(np.std(every), rel=0.05)


def test_a_table_is_read_pair_by_pair():
    """Columns of a sweep's table, its rows in blocks that alternate."""
    table = pa.table({
        "special": ["without", "without", "with", "with", "without", "with"],
        "error": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        "beyond": [2.0, 8.0, 1.0, 4.0, 1.0, 0.25],
        "finished": [True, True, True, False, True, True],
    })  # fmt: skip
    assert {name: errors.tolist() for name, errors in pairs(table).items()} == {
        "without": [1.0, 2.0, 5.0], "with": [3.0, 4.0, 6.0],
    }  # fmt: skip
    assert both_finished(table).tolist() == [True, False, True]
    worse, better = effect_of(table), effect_of(table, "beyond")
    assert (worse.pairs, worse.unfinished, worse.share, worse.ratio) == (2, 1, 1.0, 2.1)
    assert (better.pairs, better.unfinished, better.share, better.ratio) == (2, 1, 0.0, 0.375)


def test_a_summary_counts_pairs_as_one_would_by_hand():
    """Ten pairs, second route plain Python: a tie, unfinished runs, edges of groups, a rest."""
    seeds = list(range(7, 17))
    clean = [1.0, 2.0, 4.0, 0.5, 3.0, 1.0, 7.0, 9.0, 5.0, 6.0]
    poisoned = [2.0, 2.0, 3.0, 9.0, 1.0, 4.0, 8.0, 1.0, 4.0, 50.0]
    done = [[True] * 10, [True] * 10]
    done[0][4] = done[1][7] = False
    taken = [0, 3499, 3500, 3999, 4000, 19_999, 20_000, 200_000, 5000, 4999]
    table = pa.table({
        "special": ["without"] * 10 + ["with"] * 10, "seed": seeds * 2, "error": clean + poisoned,
        "finished": done[0] + done[1], "iterations": taken + [1] * 10,
    })  # fmt: skip
    found = summary(table)
    assert found["pairs"] == 10 and found["finished"] == {"without": 9, "with": 9}
    assert found["pairs finished"] == 8 and found["worse"] == 5  # of all, finished or not
    assert found["exceptions"] == [8, 9, 15]  # the tie is one, the unfinished pairs are not
    assert found["exceptions by iterations"] == [
        [3500, 2, 1, 1.5, 2.0], [4000, 2, 1, 2.25, 6.0], [5000, 1, 0, 6.0, 50.0],
        [6000, 1, 1, 5.0, 4.0], [8000, 0, 0, None, None], [10_000, 0, 0, None, None],
        [20_000, 1, 0, 1.0, 4.0], [200_001, 1, 0, 7.0, 8.0],
    ]  # fmt: skip
    assert found["fours"] == 1 and found["fours worse"] == 1  # the second has unfinished runs
    assert set(found["means"]["without"]) == {1.875} and set(found["means"]["with"]) == {4.0}
    assert found["errors"]["with"][0] == 1.0 and found["errors"]["without"][-1] == 9.0
    assert found["ratios"][0] == 0.75 and found["ratios"][-1] == 18.0
    half = found["levels"].index(0.5)
    assert found["errors"]["without"][half] == 3.5 and found["ratios"][half] == 1.57143
    assert found["levels"] == LEVELS.tolist()


def test_levels_reach_from_the_least_to_the_largest():
    assert LEVELS[0] == 0 and LEVELS[-1] == 1 and np.all(np.diff(LEVELS) > 0)
    np.testing.assert_allclose(LEVELS + LEVELS[::-1], 1, atol=1e-9)
    assert LEVELS[1] == 1e-6 and np.diff(LEVELS).max() < 0.0051
    assert WITHIN[-1] > 200_000 and list(WITHIN) == sorted(WITHIN)


def test_a_summary_compares_means_of_four_exactly():
    """Two sets of four in single precision: a tie, and one that only a wider sum tells apart."""
    clean, poisoned = [1, 2, 3, 4, 2**24, 0, 0, 0], [4, 3, 2, 1, 2**24, 1, 1, 1]
    table = pa.table({
        "special": ["without"] * 8 + ["with"] * 8, "seed": [*range(8)] * 2,
        "error": pa.array([float(e) for e in clean + poisoned], pa.float32()),
        "finished": [True] * 16, "iterations": [1] * 16,
    })  # fmt: skip
    with np.errstate(all="ignore"):  # ratios over errors of nothing
        found = summary(table)
    assert (found["fours"], found["fours worse"]) == (2, 1)
