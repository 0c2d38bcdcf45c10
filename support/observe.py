"""What a training run is watched by: the quantities of Proposition 1, and the effective rank."""

import numpy as np

from support.backend import keras, value_and_gradient

__all__ = ["coefficients", "effective_rank", "watch"]

ops = keras.ops


def _slopes(student, x, y):
    """What is still wrong on each sequence, delta, and the network's slope, xi: [n, members]."""
    z = student.ssm(x)

    def total(values):
        answers = values[0] if student.head is None else student.head(values[0])
        return ops.sum(answers), answers

    (_, answers), (xi,) = value_and_gradient(total)([z])
    return ops.convert_to_numpy(y - answers), ops.convert_to_numpy(xi)


def coefficients(student, sequences, labels):
    """gamma^(l) of Equation (8), l = 0, ..., kappa - 2: shape [kappa - 1, members].

    `sequences` [n, kappa, members or 1] and `labels` [n, members or 1] as for training; xi of
    Equation (10), the slope of the network at the SSM's answer, is Keras' derivative.
    """
    x, y = ops.convert_to_tensor(sequences), ops.convert_to_tensor(labels)
    return _weighted(np.asarray(sequences), *_slopes(student, x, y))


def _weighted(x, delta, xi):
    n, kappa = x.shape[:2]
    backwards = x[:, kappa - 2 :: -1]  # x_(kappa-1), ..., x_1
    l = np.arange(kappa - 1)[:, None]
    return 2 * (l + 1) / n * ((delta * xi)[:, None] * backwards).sum(axis=0)


def effective_rank(transition):
    """exp of the entropy of the singular values' shares, [d, members] to [members].

    Roy and Vetterli, "The effective rank", EUSIPCO 2007; for a diagonal A these are |a_j|. One for
    a single non-zero entry, d for equal ones, NaN for A = 0.
    """
    size = abs(np.asarray(transition, dtype=float))
    share = size / size.sum(axis=0)
    return np.exp(-np.sum(np.where(share > 0, share * np.log(np.where(share > 0, share, 1)), 0), 0))


def watch(sequences, labels):
    """An `observe` for `support.training.train`: what the figures need, by name."""
    x, y = np.asarray(sequences), np.asarray(labels)
    tensors = ops.convert_to_tensor(x), ops.convert_to_tensor(y)

    def observe(student):
        a = ops.convert_to_numpy(student.ssm.transition_weight.value)
        delta, xi = _slopes(student, *tensors)
        return {
            "transition": a,
            "loss": (delta**2).mean(axis=0),
            "gamma": _weighted(x, delta, xi),
            "effective_rank": effective_rank(a),
        }

    return observe
