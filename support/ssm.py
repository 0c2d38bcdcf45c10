"""A diagonal structured state space model (SSM), and how far a student is from its teacher.

The SSM of Section 2.2 is the triple (A, B, C), A diagonal. It can be run as a recurrence
(Equation (1)), read off its impulse response (Equation (2)), or applied as a convolution;
the three agree. An optional second axis holds the members of an ensemble, last everywhere.
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["SSM", "generalization_error", "theorem_teacher"]


@dataclass(frozen=True)
class SSM:
    """The diagonal of A and the vectors B and C, each of shape [d] or [d, members].

    Entries may be floats or exact numbers (`fractions.Fraction`, SymPy), kept as given; machine
    integers become floats, since their powers would overflow silently.
    Raises ValueError for other shapes.
    """

    transition: np.ndarray
    input: np.ndarray
    output: np.ndarray

    def __post_init__(self):
        a, b, c = map(_numbers, (self.transition, self.input, self.output))
        shapes = f"{a.shape}, {b.shape}, {c.shape}"
        if not a.ndim == b.ndim == c.ndim:  # a shared [d] serves every member
            a, b, c = (x[:, None] if x.ndim == 1 else x for x in (a, b, c))
        axes, d = {x.ndim for x in (a, b, c)}, {x.shape[:1] for x in (a, b, c)}
        members = {x.shape[1:] for x in (a, b, c)} - {(1,)}
        if axes not in ({1}, {2}) or len(d) > 1 or len(members) > 1:
            allowed = "[d] or [d, members], the same d and members"
            raise ValueError(f"A, B, C have shapes {shapes}; allowed: {allowed}")
        for name, x in zip(
            ("transition", "input", "output"), np.broadcast_arrays(a, b, c), strict=True
        ):
            object.__setattr__(self, name, x)

    @classmethod
    def with_ones(cls, transition):
        """The student of Theorem 1: B and C fixed at ones, `transition` of shape [d, ...]."""
        a = _numbers(transition)
        return cls(a, np.ones_like(a), np.ones_like(a))

    def impulse_response(self, length):
        """C A^k B for k = 0, ..., length - 1 (Section 2.2), shape [length, ...]."""
        a, b, c = self.transition, self.input, self.output
        power, response = np.ones_like(a), []
        for _ in range(length):
            response.append((c * power * b).sum(axis=0))
            power = power * a
        return np.array(response)  # [length, ...]

    def recurrence(self, sequence):
        """All outputs y_1, ..., y_k, [k, ...], for one sequence [k], by Equation (1)."""
        a, b, c = self.transition, self.input, self.output
        s, outputs = np.zeros_like(a), []
        for x in sequence:
            s = a * s + b * x
            outputs.append((c * s).sum(axis=0))
        return np.array(outputs)  # [k, ...]

    def convolution(self, sequence):
        """The same outputs as the convolution of one sequence [k] with the impulse response."""
        k = len(sequence)
        h = self.impulse_response(k).reshape(k, -1)  # [k, members]
        y = np.stack([np.convolve(sequence, column)[:k] for column in h.T], axis=-1)
        return y.reshape(k, *self.transition.shape[1:])  # [k, ...]

    def __call__(self, sequences):
        """The last output for sequences of shape [..., k] (Equation (2)): [...] or [..., members].

        The impulse response meets the sequence backwards: lag 0 is the sequence's last entry.
        """
        x = np.asarray(sequences)
        return x[..., ::-1] @ self.impulse_response(x.shape[-1])


def _numbers(values):
    array = np.asarray(values)
    return array.astype(float) if array.dtype.kind in "biu" else array


def generalization_error(student, teacher, length, normalized=False, first=0):
    """max over lags k in [first, length) of |student's C A^k B - teacher's| (Definition 1).

    Definition 1 writes B A^k C, a shorthand for vectors; as matrices it is C A^k B (Equation (2)).
    `normalized` divides by the teacher's largest entry on those lags, as the tables do, so that
    the zero map has error one. `first` skips lags: with `first` at the training length, what is
    left is extrapolation. Returns shape [members], or a number for a single student.
    Raises ValueError where no lag is left.
    """
    if not 0 <= first < length:
        raise ValueError(f"length = {length}: allowed: more than first = {first}, which is >= 0")
    h = student.impulse_response(length)[first:]
    reference = teacher.impulse_response(length)[first:]
    reference = reference.reshape(len(reference), *[1] * (h.ndim - 1))  # one teacher, all members
    error = abs(h - reference).max(axis=0)
    return error / abs(reference).max() if normalized else error


def theorem_teacher(student_dimension, dimension=2):
    """The teacher of Theorem 1, Equation (11); of any `dimension` >= 2, Appendix A.

    Its impulse response is d, 1, 1, 1, ... with d the `student_dimension`, whatever `dimension`.
    Raises ValueError for a dimension below 2 or a student of fewer than two states.
    """
    d, d_star = student_dimension, dimension
    if d_star < 2 or d < 2:
        raise ValueError(f"dimension = {d_star}, student_dimension = {d}: allowed: 2 or more")
    a = np.eye(1, d_star)[0]
    b = np.r_[1.0, np.full(d_star - 1, np.sqrt((d - 1) / (d_star - 1)))]
    return SSM(a, b, b)
