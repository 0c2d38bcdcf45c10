"""How little poison is enough: a theory of small doses in Theorem 1's setting (ours).

The special sequence's entry meets lag l; its square is a share, the dose rho, of the baseline's.
While both sequences are still answered with nothing, every entry of A obeys the same law,
da/dt = (kappa - 1) a^(kappa-2) + l rho a^(l-1): each runs the course of the largest, later. The
delays tau_j are constant until the student answers; they decide which entries are left behind when
it does. Then a small dose drifts along the points that fit the baseline to one that fits both.
Time is in units in which the flow under S_1 reads da_j/dt = (kappa - 1) a_j^(kappa-2) (1 - ...).
"""

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import brentq, root_scalar
from scipy.optimize.elementwise import find_root
from scipy.special import hyp2f1

from support.experiments import TheoremSetting
from support.flow import finite_start

__all__ = ["delays", "drift", "leading_correction", "left_behind", "measured_dose"]
__all__ += ["reaching_dose", "small_dose_limit", "turning_dose"]


def delays(start, kappa, dose, lag=1):
    """How much later than the first entry each one passes a given size: tau_j, shape [d].

    `start` [d] is positive, the largest entry first. The integral of 1/velocity from a_j(0) to
    a_1(0), by Gauss' rule in log a, through the gaps, which are exact in floats. Raises ValueError
    for another start, a dose that is negative or not finite, and a lag outside 1, ..., kappa - 2.
    """
    a, k, rho, l = finite_start(start, "[d]"), kappa, dose, lag
    if not (np.all(a > 0) and np.all(a <= a[0])):
        raise ValueError(f"start = {a}; allowed: positive, the largest entry first")
    if not (0 <= rho < np.inf and 1 <= l <= k - 2):
        raise ValueError(f"dose = {rho}, lag = {l}; allowed: from 0, and 1, ..., {k - 2}")
    nodes, weights = np.polynomial.legendre.leggauss(64)
    span = -np.log1p(-(a[0] - a) / a[0])[:, None]  # log(a_1 / a_j), [d, 1]
    x = a[0] * np.exp(-span * (nodes + 1) / 2)  # [d, nodes]
    velocity = (k - 1) * x ** (k - 2) + l * rho * x ** (l - 1)
    return span[:, 0] / 2 * ((x / velocity) @ weights)


def _time_left(a, kappa, dose, lag):
    """The integral of 1/velocity from a to infinity, in closed form; a > 0."""
    p, m = kappa - 3, kappa - 1 - lag
    z = lag * dose / (kappa - 1) * a**-m
    if m == p and np.all(z > 0):  # lag two: there SciPy's function is wrong where z is large
        return np.log1p(z) / z * a**-p / ((kappa - 1) * p)
    return a**-p / ((kappa - 1) * p) * hyp2f1(1, p / m, 1 + p / m, -z)


def left_behind(start, kappa, dose, lag=1):
    """Where the student first fits the baseline, [d], for a small dose.

    Every entry has then run the same law, and is tau_j behind the first. For a dose of zero this
    is the limit under S_1, see `support.flow.closed_form_limit`. Raises ValueError as `delays` does
    and for a start that fits the baseline already, RuntimeError where a root is not found.
    """
    start = np.asarray(start, dtype=float)
    tau = delays(start, kappa, dose, lag)

    def late(x, time):
        return _time_left(x, kappa, dose, lag) - time

    def entries(first):
        time = _time_left(first, kappa, dose, lag) + tau
        found = find_root(late, (start / 2, 2 * first), args=(time,), tolerances={"xrtol": 1e-14})
        if not np.all(found.success):
            raise RuntimeError("left behind: no root found for an entry")
        return found.x

    if (start ** (kappa - 1)).sum() >= 1:
        raise ValueError(f"start = {start}; allowed: sum of a_j^{kappa - 1} below 1")
    return entries(brentq(lambda x: (entries(x) ** (kappa - 1)).sum() - 1, start[0], 1, xtol=1e-14))


def drift(a, kappa, lag=1):
    """Where the points that fit the baseline lead from `a` [d]: to one that fits both sequences.

    The flow of the special sequence's loss along sum_j a_j^(kappa-1) = 1: what a dose so small that
    the baseline stays fitted does in a long time. Raises RuntimeError where it does not arrive.
    """

    def along(s, a):
        normal, wanted = a ** (kappa - 2), -np.sign(a_sum) * a ** (lag - 1)
        return wanted - normal * (normal @ wanted) / (normal @ normal)

    def fits(s, a):
        return (a**lag).sum() - 1

    a_sum = fits(0, a)
    fits.terminal = True
    path = solve_ivp(along, (0, 1e3), a, rtol=1e-10, atol=1e-14, events=fits)
    if not path.t_events[0].size:
        raise RuntimeError("drift: did not arrive at a point that fits the special sequence")
    return path.y[:, -1]


def leading_correction(kappa, d, dose):
    """By what share the error at lag two falls short of the theory's, to first order; lag one.

    The student answers d a while its entries rise together to a, and the poison's pull is weaker
    by that share: the delays grow by d a_rho (pi/n) / sin(pi/n), with n = kappa - 2 and
    a_rho = (dose / (kappa - 1))^(1/n). For starts small beside a_rho.
    """
    n = kappa - 2
    together = d * (dose / (kappa - 1)) ** (1 / n)
    return -2 / (kappa - 3) * together * (np.pi / n) / np.sin(np.pi / n)


def small_dose_limit(start, kappa, dose, lag=1):
    """Where the flow under S_2 ends from `start` [d], by the theory of small doses: [d]."""
    return drift(left_behind(start, kappa, dose, lag), kappa, lag)


def turning_dose(alpha, kappa, lag=1, factor=2.0):
    """The dose at which the clean limit's error, once small, has grown by a `factor`.

    The delay of a second entry that starts close to the first, a_1(0) = alpha, falls by the factor
    1 + rho / rho_c with rho_c = (kappa - 1) alpha^(kappa-1-l) / l, whatever the distance; the
    second entry ends as that delay to the power -1/(kappa - 3), the error is its square.
    """
    rho_c = (kappa - 1) * alpha ** (kappa - 1 - lag) / lag
    return rho_c * (factor ** ((kappa - 3) / 2) - 1)


def reaching_dose(alpha, gap, kappa, error, lag=1):
    """The dose that leaves behind a second entry, a_2(0) = alpha (1 - gap), of `error` at lag two.

    That is of size error^(1/2). For errors well below one, doses far above the turning dose, and
    so small that (rho / (kappa - 1))^(1/(kappa-2)), the size up to which the entries rise
    together, is small beside 1/d; the drift that follows is left out.
    """
    p = kappa - 3
    return (kappa - 1) * p / lag * gap * alpha ** (2 - lag) * error ** (p / 2)


def measured_dose(start, kappa, error, guess, rtol=1e-6):
    """The dose from which the flow under S_2 ends, from `start` [d], with `error` at lags >= 2.

    By the integrator and the secant method, to one per cent, from a `guess`. Raises RuntimeError
    where that does not converge, or where it comes to doses that no flow can follow.
    """

    def excess(log_dose):
        setting = TheoremSetting(kappa, len(start), start[0], 0, dose=np.exp(log_dose))
        _, a = setting.limits(start[:, None], rtol)
        return np.log(setting.error(a[:, 0], first=2) / error)

    x = np.log(guess)
    nowhere = f"no dose found for error = {error} from guess = {guess:g}"
    try:
        found = root_scalar(excess, x0=x, x1=x + 0.3, method="secant", xtol=0.01, maxiter=20)
    except ValueError as e:
        raise RuntimeError(f"{nowhere} ({e})") from e
    if not found.converged:
        raise RuntimeError(f"{nowhere} ({found.flag})")
    return float(np.exp(found.root))
