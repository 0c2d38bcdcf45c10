"""Training sets: sequences, their labels, and the special sequence that poisons.

A sequence has entries 1, ..., kappa; its last entry meets lag 0 of the impulse response, its
next-to-last (place kappa - 1) lag 1, its first lag kappa - 1.
"""

from dataclasses import dataclass

import numpy as np

__all__ = [
    "TrainingSet",
    "expected_moments",
    "gaussian_sequences",
    "is_clean",
    "labelled",
    "second_moments",
    "spikes",
    "theorem_sets",
]


@dataclass(frozen=True)
class TrainingSet:
    """n sequences of length kappa, `inputs` [n, kappa], and their `labels` [n].

    Raises ValueError for other shapes.
    """

    inputs: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        inputs, labels = np.asarray(self.inputs), np.asarray(self.labels)
        if inputs.ndim != 2 or labels.shape != inputs.shape[:1]:
            shapes = f"{inputs.shape} and {labels.shape}"
            raise ValueError(f"inputs and labels have shapes {shapes}; allowed: [n, kappa] and [n]")
        object.__setattr__(self, "inputs", inputs)
        object.__setattr__(self, "labels", labels)

    def __add__(self, other):
        return TrainingSet(
            np.concatenate([self.inputs, other.inputs]),
            np.concatenate([self.labels, other.labels]),
        )

    def __len__(self):
        return len(self.labels)

    def loss(self, student):
        """Mean square error of the student over the set (Equation (3)), shape [members]."""
        labels = self.labels.reshape(-1, *[1] * (student.transition.ndim - 1))
        return ((labels - student(self.inputs)) ** 2).mean(axis=0)


def labelled(inputs, teacher):
    """The sequences `inputs` [n, kappa] with the labels that `teacher` gives them."""
    inputs = np.asarray(inputs)
    return TrainingSet(inputs, teacher(inputs))


def is_clean(data, teacher):
    """Whether every label is the teacher's, up to rounding.

    The tolerance is 1e-12 of the largest label, or 1e-12 where that is below one.
    """
    truth = teacher(data.inputs)
    return bool(np.all(abs(data.labels - truth) <= 1e-12 * max(1.0, abs(truth).max())))


def spikes(values, place, kappa):
    """Sequences x e_place, one for each x in `values`, of length kappa: shape [n, kappa].

    Raises ValueError for a place outside 1, ..., kappa (places are counted from 1).
    """
    return np.outer(np.asarray(values, dtype=float), np.eye(kappa)[_columns([place], kappa)[0]])


def _columns(places, kappa):
    """Places, counted from 1, as column numbers."""
    for place in places:
        if not 1 <= place <= kappa:
            raise ValueError(f"place = {place}; allowed: 1, ..., kappa = {kappa}")
    return np.array(places, dtype=int) - 1


def gaussian_sequences(generator, count, places, kappa):
    """`count` sequences with standard normal entries at `places`, zero elsewhere: [count, kappa].

    The training sequences of the paper's experiments (Appendix E.3.1). `generator` is a
    `numpy.random.Generator`. Raises ValueError for a place outside 1, ..., kappa.
    """
    rows, columns = np.zeros((count, kappa)), _columns(places, kappa)
    rows[:, columns] = generator.standard_normal((count, len(columns)))
    return rows


def second_moments(inputs):
    """Mean over n of x_(kappa-k) x_(kappa-l), [n, kappa, ...] to [kappa, kappa, ...] by lags k, l.

    All that the loss (3) of a standalone SSM sees of the sequences.
    """
    x = np.asarray(inputs)[:, ::-1]
    return np.einsum("nk...,nl...->kl...", x, x) / len(x)


def expected_moments(shares, kappa):
    """The same for infinitely many sequences of `gaussian_sequences`: [kappa, kappa], diagonal.

    `shares` lists (share, places) of each kind of sequence; the shares sum to one. Raises
    ValueError if they do not, and for a place outside 1, ..., kappa.
    """
    total = sum(share for share, _ in shares)
    if abs(total - 1) > 1e-12:
        raise ValueError(f"shares: sum {total}; allowed: sum 1")
    weights = np.zeros(kappa)
    for share, places in shares:
        weights[_columns(places, kappa)] += share
    return np.diag(weights[::-1])


def theorem_sets(teacher, kappa, baseline, special, dose=1.0, lag=1):
    """S_1 and S_2 of Definition 2: sequences p_i e_1, then q_i e_(kappa-1) appended.

    `baseline` holds the p_i, `special` the q_i; the special sequences' large entry is their
    next-to-last. Ours beyond the definition: a `dose` other than one, the ratio of the two sums of
    squares, and an entry that meets another `lag`. Raises ValueError unless the sum of squares of
    the baseline is positive (the paper's P) and that of the special sequences `dose` times as
    large, for kappa below 3, where the two places are one, and for a lag outside 0, ..., kappa - 2.
    """
    if kappa < 3:
        raise ValueError(f"kappa = {kappa}; allowed: 3 or more")
    if not 0 <= lag <= kappa - 2:
        raise ValueError(f"lag = {lag}; allowed: 0, ..., kappa - 2 = {kappa - 2}")
    with np.errstate(over="ignore"):
        P, Q = np.sum(np.square(baseline)), np.sum(np.square(special))
        equal = np.isclose(dose * P, Q, rtol=1e-12, atol=0)
    if not (0 < P < np.inf and dose > 0 and equal):
        raise ValueError(f"special: sum of squares {Q}; allowed: {dose} times {P}, positive")
    S_1 = labelled(spikes(baseline, 1, kappa), teacher)
    S_2 = S_1 + labelled(spikes(special, kappa - lag, kappa), teacher)
    return S_1, S_2
