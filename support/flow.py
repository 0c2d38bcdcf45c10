"""Gradient flow of the state transition A, input and output fixed at ones (Section 3.2).

The flow is Proposition 1 with sigma the identity and b_j c_j = 1: every entry moves by the same
polynomial, da_j/dt = sum_l gamma^(l) a_j^l. Two entries that start 1e-8 apart decide everything,
so the integrator moves a_1 and the gaps a_1 - a_j, each to its own relative accuracy.
Time is the paper's: the flow of the mean square loss (3). With S_1 and S_2 of Definition 2 the
number of sequences and P only set the unit, 2P/n and 2P/m.
"""

from dataclasses import dataclass

import numpy as np
from scipy.integrate import LSODA
from scipy.optimize.elementwise import find_root

__all__ = ["GradientFlow", "Trajectory", "closed_form_limit", "divided_differences"]
__all__ += ["finite_loss", "finite_start", "gap_matrix"]


@dataclass(frozen=True)
class Trajectory:
    """Where a flow went: `times` [steps], `transition` [d, steps], `gaps` a_1 - a_j [d, steps].

    `loss` [steps] is the training loss; `finished` says whether it fell below the tolerance
    asked for within the horizon.
    """

    times: np.ndarray
    transition: np.ndarray
    gaps: np.ndarray
    loss: np.ndarray
    finished: bool

    @property
    def limit(self):
        """The last point, [d]."""
        return self.transition[:, -1]


class GradientFlow:
    """dA/dt = -grad loss(A; data) for a diagonal A of any dimension, B and C fixed at ones."""

    def __init__(self, data):
        self.inputs = data.inputs[:, ::-1].astype(float)  # [n, kappa], column k meets lag k
        self.labels = data.labels.astype(float)
        self.powers = np.arange(float(self.inputs.shape[1]))  # the lags 0, ..., kappa - 1

    def _residuals(self, a):
        """delta^(i) of Equation (9), [n], and the powers a_j^k, [d, kappa]."""
        vander = np.asarray(a, dtype=float)[:, None] ** self.powers
        return self.labels - self.inputs @ vander.sum(axis=0), vander

    def loss(self, a):
        """The training loss (3) at the diagonal a, [d]."""
        delta, _ = self._residuals(a)
        return delta @ delta / len(delta)

    def _gamma(self, delta):
        """gamma^(l) = 2 (l+1)/n sum_i delta^(i) x^(i)_(kappa-l-1), Equation (8): [kappa - 1]."""
        return 2 / len(delta) * self.powers[1:] * (delta @ self.inputs[:, 1:])

    def velocity(self, a):
        """da/dt = sum_l gamma^(l) a_j^l (Equation (7)), shape [d]."""
        delta, vander = self._residuals(a)
        return vander[:, :-1] @ self._gamma(delta)

    def jacobian(self, a):
        """Derivative of the velocity, [d, d]: minus the Hessian of the loss, hence symmetric."""
        delta, vander = self._residuals(a)
        k = self.powers
        slope = self._gamma(delta)[1:] * k[1:-1]  # of the polynomial, with gamma held fixed
        response = (k[1:] * vander[:, :-1]) @ self.inputs[:, 1:].T  # d phi(x^(i)) / d a_j, [d, n]
        return np.diag(vander[:, :-2] @ slope) - 2 / len(delta) * response @ response.T

    def _gap_velocity(self, y):
        """The velocity in the coordinates y = (a_1, a_1 - a_2, ..., a_1 - a_d).

        A gap moves by gap * sum_l gamma^(l) (a_1^l - a_j^l) / (a_1 - a_j), and the divided
        difference is a sum of products of powers, by Horner's rule: nothing cancels but what the
        gamma^(l) of different signs take from each other, and ties stay ties.
        """
        a = y[0] - y
        a[0] = y[0]
        delta, vander = self._residuals(a)
        gamma = self._gamma(delta)
        dy = y * divided_differences(gamma, vander)
        dy[0] = vander[0, :-1] @ gamma
        return dy

    def integrate(
        self, start, horizon, rtol=1e-10, loss_below=1e-20, max_steps=100_000, give_up=False
    ):
        """The trajectory from `start` [d], by LSODA with the exact Jacobian, in gap coordinates.

        Stops where the loss falls below `loss_below`; unfinished at `horizon` (time) or after
        `max_steps`. Reports the solver's own steps. Raises ValueError for a horizon that is not
        positive and a start that is no list of finite numbers or has no finite loss, RuntimeError
        where the solver fails, unless it is to `give_up` there, unfinished.
        """
        if not horizon > 0:
            raise ValueError(f"horizon = {horizon}; allowed: a positive time")
        start = finite_start(start, "[d]")
        T = gap_matrix(len(start))
        y = T @ start
        # A tie with a_1 lasts forever; left to the solver, rounding would break it.
        free = np.flatnonzero(np.r_[True, y[1:] != 0])
        square = np.ix_(free, free)

        def whole(part):
            full = np.zeros(len(y))
            full[free] = part
            return full

        solver = LSODA(
            lambda t, part: self._gap_velocity(whole(part))[free],
            0.0,
            y[free],
            horizon,
            jac=lambda t, part: (T @ self.jacobian(T @ whole(part)) @ T)[square],
            rtol=rtol,
            # The absolute tolerances only guard a_1 passing through 0, and gaps that vanish.
            atol=np.r_[1e-6 * rtol, np.full(len(free) - 1, 1e-30)],
        )
        times, points, losses = [0.0], [y], [finite_loss(self.loss(start))]
        while solver.status == "running" and losses[-1] >= loss_below and len(times) <= max_steps:
            message, y = solver.step(), whole(solver.y)
            loss = self.loss(T @ y)
            if solver.status == "failed" or not np.isfinite(loss):
                if give_up:
                    break
                raise RuntimeError(
                    f"LSODA stopped at t = {solver.t:.3e}: {message or f'the loss is {loss}'}"
                )
            times.append(solver.t)
            points.append(y)
            losses.append(loss)
        y = np.stack(points, axis=-1)  # [d, steps]
        gaps = np.vstack([np.zeros_like(y[:1]), y[1:]])
        return Trajectory(
            np.array(times), T @ y, gaps, np.array(losses), finished=losses[-1] < loss_below
        )


def finite_start(start, shape):
    """A start as an array of floats; `shape` is "[d]" or "[d, members]", none of them zero.

    Raises ValueError for another shape and for numbers that are not finite.
    """
    a = np.asarray(start, dtype=float)
    if a.ndim != len(shape.split(",")) or not a.size or not np.all(np.isfinite(a)):
        raise ValueError(f"start of shape {a.shape}; allowed: {shape}, every entry finite")
    return a


def finite_loss(loss):
    """The loss at a start. Raises ValueError where it is beyond all floats."""
    if not np.isfinite(loss):
        raise ValueError(f"start: its loss is {loss}; allowed: a finite loss")
    return loss


def divided_differences(coefficients, powers):
    """(p(a_1) - p(a_j)) / (a_1 - a_j) of the polynomial p with these coefficients, from x^0 on.

    `powers` is [d, K], the a_j^k from k = 0 on, K at least the degree of p; for a_j = a_1 the
    derivative. The quotient's coefficients by Horner's rule at a_1: no difference is ever taken,
    and where all coefficients and entries are positive nothing cancels.
    """
    quotient = coefficients[1:].tolist()
    for l in reversed(range(len(quotient) - 1)):
        quotient[l] += powers[0, 1] * quotient[l + 1]
    return powers[:, : len(quotient)] @ quotient


def gap_matrix(d):
    """T with y = T a, y = (a_1, a_1 - a_2, ..., a_1 - a_d); T is its own inverse."""
    T = -np.eye(d)
    T[:, 0] = 1
    return T


def closed_form_limit(start, kappa):
    """Where the flow under S_1 ends, without integrating it: from `start` [d, ...] to [d, ...].

    Along the flow |a_j|^(3-kappa) - |a_i|^(3-kappa) is constant for every pair (Proposition 4)
    and signs are kept, so the limit has one unknown, its largest entry, fixed by
    sum_j a_j^(kappa-1) = 1. Entries that start at zero stay there.
    Raises ValueError for an even kappa or one below 5, for a start that is not finite, zero
    throughout or too small for its powers, and for one with sum_j a_j^(kappa-1) >= 1, which rests
    or flows the other way; RuntimeError where the root is not found.
    """
    if kappa % 2 == 0 or kappa < 5:
        raise ValueError(f"kappa = {kappa}: allowed: an odd number, 5 or more")
    a = np.asarray(start, dtype=float)
    size = abs(a)
    top = size.max(axis=0)
    if not np.all(np.isfinite(a)) or np.any((kappa - 1) * np.log10(np.maximum(top, 1e-300)) < -290):
        raise ValueError("start: allowed: finite, its largest entry^(kappa-1) above 1e-290")
    if np.any(top >= 1) or np.any((size ** (kappa - 1)).sum(axis=0) >= 1):
        raise ValueError(f"start: allowed: sum of a_j^{kappa - 1} below 1")
    p = kappa - 3
    # c_j = a_j^-p - top^-p, in units of top^-p, through the gap, which is exact in floats
    with np.errstate(divide="ignore"):
        c = np.expm1(-p * np.log1p(-(top - size) / top))  # [d, ...], infinite for zeros

    def sizes(largest, top, *c):
        x = (largest / top) ** p
        return [largest / (1 + c_j * x) ** (1 / p) for c_j in c]

    def excess(largest, top, *c):
        return sum(size ** (kappa - 1) for size in sizes(largest, top, *c)) - 1

    # find_root works member by member and hands back to `excess` only those still open.
    root = find_root(excess, (top, 1.0), args=(top, *c), tolerances={"xrtol": 4e-16})
    if not np.all(root.success):
        raise RuntimeError("closed form: the scalar root was not found")
    return np.sign(a) * sizes(root.x, top, *c)
