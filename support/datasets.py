"""Training sets: sequences, their labels, and the special sequence that poisons.

A sequence has entries 1, ..., kappa; its last entry meets lag 0 of the impulse response, its
next-to-last (place kappa - 1) lag 1, its first lag kappa - 1.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["TrainingSet", "is_clean", "labelled", "spikes", "theorem_sets"]


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
    if not 1 <= place <= kappa:
        raise ValueError(f"place = {place}: allowed: 1, ..., kappa = {kappa}")
    return np.outer(np.asarray(values, dtype=float), np.eye(kappa)[place - 1])


def theorem_sets(teacher, kappa, baseline, special):
    """S_1 and S_2 of Definition 2: sequences p_i e_1, then q_i e_(kappa-1) appended.

    `baseline` holds the p_i, `special` the q_i; the special sequences' large entry is their
    next-to-last. Raises ValueError unless the sums of squares agree and are positive (both are
    the paper's P), and for kappa below 3, where the two places are one.
    """
    if kappa < 3:
        raise ValueError(f"kappa = {kappa}; allowed: 3 or more")
    P, Q = np.sum(np.square(baseline)), np.sum(np.square(special))
    if not (P > 0 and np.isclose(P, Q, rtol=1e-12, atol=0)):
        raise ValueError(f"special: sum of squares {Q}; allowed: that of baseline, {P}, positive")
    S_1 = labelled(spikes(baseline, 1, kappa), teacher)
    S_2 = S_1 + labelled(spikes(special, kappa - 1, kappa), teacher)
    return S_1, S_2
