"""What the publicly released runs did where the paper says something else.

Kept apart from our own code: these rules and NumPy's legacy generator live here and nowhere
else. How they differ from the text is told in the chapters that use them.
"""

import numpy as np

__all__ = ["theorem_start"]


def theorem_start(seed, d, sd_A, gap):
    """A(0) of the released runs in Theorem 1's setting, shape [d], largest first.

    The text (Appendix E.3.2) draws from N(0, sd_A); the released runs drew sd_A times a uniform
    number in [0, 1), by NumPy's legacy generator. Both then set a_2 to a_1 - `gap`.
    """
    a = np.sort(np.random.RandomState(seed).rand(d) * sd_A)[::-1].copy()
    a[1] = a[0] - gap
    return a
