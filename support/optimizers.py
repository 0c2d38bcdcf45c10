"""The paper's optimizers, member by member: gradient descent with the adaptive rate, and Adam.

Each rule is one pure step on arrays whose last axis is the ensemble. Keras' own Adam is per entry,
hence per member; `adam_step` repeats its arithmetic (a test holds the two together).
"""

from support.backend import keras

__all__ = ["RULES", "initial_state", "step"]

ops = keras.ops
RULES = ("text", "released", "adam")
BETA, SOFT = 0.8, 1e-6  # adaptive rate (Appendix E.3.1)
BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Adam as Keras sets it


def _square_norm(gradient):
    """Sum of squares over all axes but the last: shape [members]."""
    return ops.sum(gradient * gradient, axis=tuple(range(len(gradient.shape) - 1)))


def gradient_size(rule, names, gradients):
    """What the adaptive rate averages, [members].

    "text" (Appendix E.3.1): the square norm of all gradients together. "released": the sum of the
    plain norms of three gradients, by B, by C and by the full matrix A, the last of which arrives
    as the gradient of `probe` (see `support.layers`).
    """
    by_name = dict(zip(names, gradients, strict=True))
    if rule == "text":
        return sum(_square_norm(g) for name, g in by_name.items() if name != "probe")
    ends = [
        ops.sqrt(_square_norm(by_name[name])) for name in ("input", "output") if name in by_name
    ]
    return sum(ends, by_name["probe"])


def _adaptive_rate(average, count, rate):
    """rate / (sqrt(bias-corrected average) + 1e-6), after `count` gradients (from 1)."""
    beta = ops.convert_to_tensor(BETA, average.dtype)  # not ops.cast, which may pass by float32
    correction = 1 - ops.power(beta, ops.cast(count, average.dtype))
    return rate / (ops.sqrt(average / correction) + SOFT)


def initial_state(rule, values):
    """The state of a rule before the first step: a list of arrays."""
    if rule == "adam":
        return [ops.zeros_like(value) for _ in range(2) for value in values]
    return [ops.zeros_like(values[0][0])]


def step(rule, names, rate, count, values, gradients, state):
    """One step of a rule: new values and new state. `count` is 1 at the first step."""
    if rule == "adam":
        return adam_step(rate, count, values, gradients, state)
    average = BETA * state[0] + (1 - BETA) * gradient_size(rule, names, gradients)
    eta = _adaptive_rate(average, count, rate)
    moved = [
        value if name == "probe" else value - eta * gradient
        for name, value, gradient in zip(names, values, gradients, strict=True)
    ]
    return moved, [average]


def adam_step(rate, count, values, gradients, state):
    """Keras' Adam, entry by entry (Kingma and Ba 2015, with Keras' defaults).

    As in Keras, down to its casts: on TensorFlow they take the constants through float32, so that
    in double precision the two backends' rates differ by 1e-8.
    """
    t, n = ops.cast(count, values[0].dtype), len(values)
    beta_1, beta_2 = (ops.cast(beta, values[0].dtype) for beta in (BETA_1, BETA_2))
    alpha = rate * ops.sqrt(1 - ops.power(beta_2, t)) / (1 - ops.power(beta_1, t))
    m = [old + (g - old) * (1 - BETA_1) for old, g in zip(state[:n], gradients, strict=True)]
    v = [old + (g * g - old) * (1 - BETA_2) for old, g in zip(state[n:], gradients, strict=True)]
    moved = [
        value - alpha * m_i / (ops.sqrt(v_i) + EPSILON)
        for value, m_i, v_i in zip(values, m, v, strict=True)
    ]
    return moved, m + v
