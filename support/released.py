"""What the publicly released runs did where the paper says something else.

Kept apart from our own code: these rules and NumPy's legacy generator live here and nowhere
else. How they differ from the text is told in the chapters that use them.
"""

import numpy as np

from support.datasets import gaussian_sequences

__all__ = ["theorem_start", "trained_inputs", "trained_start"]


def theorem_start(seed, d, sd_A, gap):
    """A(0) of the released runs in Theorem 1's setting, shape [d], largest first.

    The text (Appendix E.3.2) draws from N(0, sd_A); the released runs drew sd_A times a uniform
    number in [0, 1), by NumPy's legacy generator. Both then set a_2 to a_1 - `gap`.
    """
    a = np.sort(np.random.RandomState(seed).rand(d) * sd_A)[::-1].copy()
    a[1] = a[0] - gap
    return a


def trained_start(setting, seed):
    """A(0), B(0), C(0) of the released runs with trained B and C, each of shape [d], float32.

    `setting` is one of `support.paper.setting`. TensorFlow's stateless normal generator with the
    seed pair (seed, 0) draws B, C and a d x d matrix A of which the diagonal is used. Absolute
    values; A and B largest first, C, sorted along an axis of length one, in reversed index order;
    then a_2 = a_1 - diff, b_2 = b_1 - diff, and the warm constant is added to A and B.
    """
    import tensorflow as tf

    d = setting["d"]

    def draw(shape, deviation):
        return abs(tf.random.stateless_normal(shape, (seed, 0), stddev=deviation).numpy())

    gap = 0.05 * np.exp(setting["diff_exponent"] * np.log10(setting["sd_A"]))
    a = np.sort(np.diag(draw((d, d), setting["sd_A"])))[::-1].copy()
    b = np.sort(draw((1, d), setting["sd_BC"])[0])[::-1].copy()
    c = draw((d, 1), setting["sd_BC"])[::-1, 0].copy()
    a[1], b[1] = a[0] - np.float32(gap), b[0] - np.float32(gap)
    return a + np.float32(setting["warm"]), b + np.float32(setting["warm"]), c


def trained_inputs(setting, seed):
    """The released runs' training sequences [n, kappa], baseline ones first, then special ones.

    NumPy's legacy generator, sequence by sequence: standard normal entries at the sequence's
    non-zero places (counted from 1), zero elsewhere.
    """
    generator = np.random.RandomState(seed)
    kinds = [
        gaussian_sequences(
            generator, setting[f"n_{kind}"], setting[f"{kind}_indices"], setting["kappa"]
        )
        for kind in ("baseline", "special")
    ]
    return np.concatenate(kinds)
