"""The sets of initializations in the proof (Appendix D), and what they promise.

Starts are [d, ...], members of an ensemble last; kappa is the training length, the paper's L.
"""

import numpy as np

__all__ = ["clean_error_bound", "in_I0", "in_I1", "random_I0", "reach", "slack"]


def in_I0(start):
    """Whether starts [d, ...] lie in I_0, Equation (30): positive, decreasing, a_1 < 1/(2d)."""
    a = np.asarray(start)
    small = (a[0] < 1 / (2 * len(a))) & (a[-1] > 0)
    return small & np.all(np.diff(a, axis=0) < 0, axis=0)


def random_I0(generator, d, alpha):
    """Starts alpha * (1, zeta_2, ..., zeta_d) in I_0, zeta uniform and sorted: [d, members].

    `alpha` is [members], each in (0, 1/(2d)).
    """
    zeta = np.sort(generator.uniform(0, 1, (d - 1, len(alpha))), axis=0)[::-1]
    return alpha * np.vstack([np.ones_like(alpha), zeta])


def slack(eta, kappa, root=1):
    """N(eta) = 1 - (1 - eta)^(kappa-1) - eta sqrt(n/P) of Definition 3; `root` is sqrt(n/P).

    Any numbers: floats, SymPy's, Arb's. Written as a multiple of eta, so that nothing cancels.
    """
    return eta * (sum((1 - eta) ** i for i in range(kappa - 1)) - root)


def reach(start, kappa):
    """What a_2, ..., a_d stay below under S_1, from the proof of Proposition 4: [d - 1, ...].

    alpha zeta_j (1 - zeta_j^(kappa-3))^(-1/(kappa-3)): infinite for a tie with a_1.
    """
    a, p = np.asarray(start, dtype=float), kappa - 3
    with np.errstate(divide="ignore"):
        # 1 - zeta^p through the gap, which is exact in floats
        return a[1:] * (-np.expm1(p * np.log1p(-(a[0] - a[1:]) / a[0]))) ** (-1 / p)


def in_I1(start, eta, kappa, root=1):
    """Whether starts [d, ...] lie in I_1(eta), Definition 3: in I_0, `reach` low enough."""
    N = slack(eta, kappa, root)
    highest = (np.maximum(N, 0) / (len(start) - 1)) ** (1 / (kappa - 1))
    return in_I0(start) & (N > 0) & (reach(start, kappa).max(axis=0) <= highest)


def clean_error_bound(start, kappa, length):
    """A bound on the error over `length` after training on S_1 from I_0, explicit (ours): [...].

    With sigma = sum of `reach`, below one: max{sigma, 1 - (1 - sigma^(kappa-1))^((length-1)/
    (kappa-1))}; infinite otherwise. The argument stands in the chapter on gradient flow under S_1.
    """
    sigma = reach(start, kappa).sum(axis=0)
    inside = np.where(sigma < 1, sigma, 0)
    lost = -np.expm1((length - 1) / (kappa - 1) * np.log1p(-(inside ** (kappa - 1))))
    return np.where(sigma < 1, np.maximum(inside, lost), np.inf)
