"""What the publicly released runs did where the paper says something else.

Kept apart from our own code: these rules and NumPy's legacy generator live here and nowhere
else. How they differ from the text is told in the chapters that use them.
"""

from functools import cache
from pathlib import Path

import numpy as np

from support.datasets import gaussian_sequences
from support.paper import initial_gap

__all__ = [
    "generators",
    "held_out_inputs",
    "normal_streams",
    "theorem_start",
    "trained_inputs",
    "trained_kernels",
    "trained_start",
]

READS = ("support/data/draws.npz",)


def theorem_start(seed, d, sd_A, gap):
    """A(0) of the released runs in Theorem 1's setting, shape [d], largest first.

    The text (Appendix E.3.2) draws from N(0, sd_A); the released runs drew sd_A times a uniform
    number in [0, 1), by NumPy's legacy generator. Both then set a_2 to a_1 - `gap`.
    """
    a = np.sort(np.random.RandomState(seed).rand(d) * sd_A)[::-1].copy()
    a[1] = a[0] - gap
    return a


def normal_streams(seeds, count):
    """The first numbers of TensorFlow's stateless normal generator for each (seed, 0), float32.

    Shape [count, members]. An array of any shape is filled from this one stream, so that a run's B,
    C, first row of A and network kernels, all drawn with one seed pair, hold the same numbers up to
    scale. Up to 625 numbers of the paper's seeds are stored; for others TensorFlow is asked,
    whatever the backend of Keras. Raises ValueError where it is not installed.
    """
    stored = _stored_streams()
    if all(count <= len(stored.get(str(seed), ())) for seed in seeds):
        return np.stack([stored[str(seed)][:count] for seed in seeds], axis=-1)
    try:
        import tensorflow as tf
    except ImportError:
        missing = next(seed for seed in seeds if str(seed) not in stored)
        raise ValueError(
            f"seed = {missing}; allowed without TensorFlow, whose generator the released runs "
            f"used: {', '.join(stored)}"
        ) from None

    @tf.function
    def draw(seeds):
        def one(seed):
            return tf.random.stateless_normal((count,), tf.stack([seed, 0]))

        return tf.map_fn(one, seeds, fn_output_signature=tf.float32)

    return draw(tf.constant(seeds, tf.int64)).numpy().T


@cache
def _stored_streams():
    return dict(np.load(Path(__file__).parent / "data" / "draws.npz"))


def trained_start(setting, seeds):
    """A(0), B(0), C(0) of the released runs with trained B and C, each [d, members], float32.

    `setting` is one of `support.paper.setting`. B, C and a d x d matrix A, of which the diagonal is
    used, are drawn from one stream of normal numbers (see `normal_streams`). Absolute values; A and
    B largest first, C, sorted along an axis of length one, in reversed index order; then
    a_2 = a_1 - diff, b_2 = b_1 - diff, and the warm constant is added to A and B.
    """
    d = setting["d"]
    draws, sd_A = abs(normal_streams(seeds, d * d)), np.float32(setting["sd_A"])
    ends = draws[:d] * np.float32(setting["sd_BC"])
    a = np.sort(draws[:: d + 1] * sd_A, axis=0)[::-1].copy()
    b = np.sort(ends, axis=0)[::-1].copy()
    diff = np.float32(initial_gap(setting["sd_A"], setting["diff_exponent"]))
    warm = np.float32(setting["warm"])
    a[1], b[1] = a[0] - diff, b[0] - diff
    return a + warm, b + warm, ends[::-1]


def trained_kernels(setting, seeds):
    """The network's kernels at the start, (1, w), (w, w), (w, 1), with a last axis of members.

    Normal numbers of any sign.
    """
    w = setting["width"]
    sd, draws = np.float32(setting["sd_D"]), normal_streams(seeds, w * w)
    shapes = (1, w), (w, w), (w, 1)
    return [draws[: np.prod(shape)].reshape(*shape, -1) * sd for shape in shapes]


def generators(seeds):
    """NumPy's legacy generator, seeded with one seed after the other.

    The released runs drew their training sequences from it. One object, as making one takes
    twenty times as long as seeding it.
    """
    generator = np.random.RandomState()
    for seed in seeds:
        generator.seed(seed)
        yield generator


def trained_inputs(setting, generator):
    """Training sequences [n, kappa], baseline ones first, then special ones, drawn one by one.

    Standard normal entries at a sequence's non-zero places (counted from 1), zero elsewhere.
    """
    kinds = [
        gaussian_sequences(
            generator, setting[f"n_{kind}"], setting[f"{kind}_indices"], setting["kappa"]
        )
        for kind in ("baseline", "special")
    ]
    return np.concatenate(kinds)


def held_out_inputs(seed, length):
    """The 2000 standard normal sequences [2000, length] that judge a student inside a network."""
    return np.random.RandomState(seed + 12).randn(2000, length)
