"""The released runs of standalone SSMs, written anew in NumPy: nothing here is used by the book.

One student, sequences instead of second moments, the gradient by a full matrix A built entry by
entry, loops instead of compiled code.
"""

import numpy as np
from scipy.linalg import hankel


def gradients(a, b, c, x, y):
    """Loss (3), and its gradients by the full matrix at diag(a), by B and by C."""
    n, kappa = x.shape
    powers = a[:, None] ** np.arange(kappa)  # [d, kappa]
    residual = x[:, ::-1] @ ((b * c) @ powers) - y
    g = 2 / n * (x[:, ::-1].T @ residual)  # by the impulse response
    full = (c[:, None] * powers[:, :-1]) @ hankel(g[1:]) @ (b[:, None] * powers[:, :-1]).T
    return np.mean(residual**2), full, c * (powers @ g), b * (powers @ g)


def released_run(a, b, c, x, y, rate, *, stop_loss=0.0, further=0, most=10**6, reset_ends=False):
    """(iteration of the stop, (a, b, c) there, the last two (a, b, c)) by the released rule."""
    average, stop, at_stop, before = 0.0, None, None, (a, b, c)
    for t in range(most):
        loss, full, gb, gc = gradients(a, b, c, x, y)
        if stop is None and loss < stop_loss:
            stop, at_stop = t, (a, b, c)
        if stop is not None and t >= stop + further:
            break
        before = a, b, c
        size = np.linalg.norm(gb) + np.linalg.norm(gc) + np.linalg.norm(full)
        average = 0.8 * average + 0.2 * size
        eta = rate / (np.sqrt(average / (1 - 0.8 ** (t + 1))) + 1e-6)
        a, b, c = a - eta * np.diag(full), b - eta * gb, c - eta * gc
        if reset_ends:
            b, c = np.ones_like(b), np.ones_like(c)
    return stop, at_stop, (before, (a, b, c))
