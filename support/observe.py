"""What a training run is watched by: the quantities of Proposition 1, and the effective rank."""

import numpy as np

from support.backend import keras, value_and_gradient

__all__ = ["coefficients", "effective_rank", "errors_and_slopes", "watch"]

ops = keras.ops


def errors_and_slopes(head, outputs, labels):
    """delta of Equation (9) and xi of Equation (10), both [n, members].

    `head` is what follows the SSM, a function of its `outputs` [n, members] whose slope Keras
    finds, or None; `labels` are [n, members or 1].
    """
    if head is None:
        outputs = ops.convert_to_numpy(outputs)
        return np.asarray(labels) - outputs, np.ones_like(outputs)

    def total(values):
        answers = head(values[0])
        return ops.sum(answers), answers

    outputs = ops.convert_to_tensor(outputs)
    (_, answers), (xi,) = value_and_gradient(total)([outputs])
    return np.asarray(labels) - ops.convert_to_numpy(answers), ops.convert_to_numpy(xi)


def coefficients(sequences, delta, xi):
    """gamma^(l) of Equation (8), l = 0, ..., kappa - 2: shape [kappa - 1, members].

    `sequences` are [n, kappa, members or 1], `delta` and `xi` from `errors_and_slopes`.
    """
    x = np.asarray(sequences)
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
    total = size.sum(axis=0)
    share = size / np.where(total > 0, total, np.nan)
    return np.exp(-(share * np.log(np.where(share == 0, 1, share))).sum(axis=0))


def watch(sequences, labels):
    """An `observe` for `support.training.train`: what the figures need, by name."""
    x = ops.convert_to_tensor(sequences)

    def observe(student):
        a = ops.convert_to_numpy(student.ssm.transition)
        delta, xi = errors_and_slopes(student.head, student.ssm(x), labels)
        return {
            "transition": a,
            "loss": (delta**2).mean(axis=0),
            "gamma": coefficients(sequences, delta, xi),
            "effective_rank": effective_rank(a),
        }

    return observe
