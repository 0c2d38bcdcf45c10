"""The landscape of the proof (Appendix D): the saddle of S_2, and the sets of initializations.

Starts are [d, ...], members of an ensemble last; kappa is the training length, the paper's L.
"""

import numpy as np
from flint import acb, arb, ctx, fmpz_poly
from scipy.integrate import solve_ivp

from support.intervals import ball

__all__ = [
    "arrival_time",
    "clean_error_bound",
    "in_I0",
    "in_I1",
    "line_polynomial",
    "line_rests",
    "line_velocity",
    "lipschitz_bound",
    "log_alpha_I3",
    "projections",
    "random_I0",
    "reach",
    "saddle",
    "slack",
    "spectrum",
]


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


def line_velocity(a, d, kappa):
    """da/dt under S_2 on the line W_1, where all d entries equal a (Lemma 12). Any numbers.

    In the unit 2P/m = 1, as all times and rates in this module; minus the slope of (27) over d.
    """
    return (kappa - 1) * (1 - d * a ** (kappa - 1)) * a ** (kappa - 2) + 1 - d * a


def line_rests(d, kappa, precision=120):
    """Every real a with a * 1_d critical for S_2, as Arb's balls, from the smallest.

    All complex roots of the integer polynomial (kappa-1)(d a^(2 kappa-3) - a^(kappa-2)) + d a - 1
    are isolated (Johansson 2017); those whose imaginary part is exactly zero are the real ones.
    """
    with ctx.workprec(precision):
        roots = line_polynomial(d, kappa).complex_roots()
        return sorted((root.real for root, _ in roots if root.imag == 0), key=float)


def line_polynomial(d, kappa):
    """(kappa-1)(d a^(2 kappa-3) - a^(kappa-2)) + d a - 1, minus `line_velocity`, as fmpz_poly."""
    coefficients = [-1, d] + [0] * (2 * kappa - 4)
    coefficients[kappa - 2] -= kappa - 1
    coefficients[2 * kappa - 3] += (kappa - 1) * d
    return fmpz_poly(coefficients)


def saddle(d, kappa):
    """s of Lemma 7, a float: near 1/d. Raises ValueError outside d >= 8 and odd kappa >= 7."""
    if d < 8 or kappa < 7 or kappa % 2 == 0:
        raise ValueError(f"d = {d}, kappa = {kappa}; allowed: d >= 8 and an odd kappa >= 7")
    (s,) = line_rests(d, kappa)
    return float(s)


def spectrum(s, d, kappa):
    """lambda_+ and lambda_- of the Hessian at s * 1_d (Lemma 8). Any numbers."""
    k = kappa - 1
    along = k * ((2 * kappa - 3) * d * s**k - (kappa - 2)) * s ** (kappa - 3) + d
    return along, k * (kappa - 2) * (d * s**k - 1) * s ** (kappa - 3)


def projections(a):
    """beta_1 and |beta_2| of Definition 9: the mean of the entries and the distance to W_1."""
    a = np.asarray(a)
    return a.mean(axis=0), np.linalg.norm(a - a.mean(axis=0), axis=0)


def arrival_time(radius, d, kappa, start=0, precision=120):
    """t_1(radius): when the flow on W_1 from `start` * 1_d is within radius of the saddle. A ball.

    The integral of da / `line_velocity` from `start` to s - radius / sqrt(d), enclosed by Arb.
    Raises RuntimeError where that does not converge, as across the saddle.
    """
    with ctx.workprec(precision):
        (s,) = line_rests(d, kappa, precision)
        end = s - ball(radius) / arb(d).sqrt()
        time = acb.integral(lambda a, _: 1 / line_velocity(a, d, kappa), ball(start), end).real
    if not time.is_finite():
        raise RuntimeError(f"arrival time: the integral to within {radius} does not converge")
    return time


def lipschitz_bound(d, kappa):
    """N of Corollary 3 for the convex set sum_j a_j^(kappa-1) <= 1 + sqrt(2) (ours).

    The set has every point whose loss is at most 2P/m. On the cube [-3, 3]^d the best N is
    lambda_+ of `spectrum` at 3.
    """
    k, room = kappa - 1, 1 + 2**0.5
    return room ** ((k - 2) / k) * k * (k * room + (k - 1) * 2**0.5) + d


def log_alpha_I3(radius, d, kappa, N=None):
    """ln of the largest alpha in I_3(radius), Definition 10, where zeta_d <= 1/2.

    `N` is the Lipschitz constant of Corollary 3, by default that of the cube [-3, 3]^d. Raises
    RuntimeError where the solver fails.
    """
    N = spectrum(3, d, kappa)[0] if N is None else N
    s, t_1 = saddle(d, kappa), float(arrival_time(radius, d, kappa))
    path = solve_ivp(
        lambda _, a: line_velocity(a, d, kappa), (0, t_1), [-1 / d], "LSODA", rtol=1e-10, atol=1e-14
    )
    if not path.success:
        raise RuntimeError(f"log_alpha_I3: {path.message}")
    apart = d**0.5 * (s - radius / d**0.5 - path.y[0, -1])
    return np.log(min(radius, apart) / (6 * d)) - N * t_1
