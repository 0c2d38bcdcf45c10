"""Gradient flow of A, B and C together, B and C at a rate of their own (Appendix A, Equation (12)).

B = C^T at the start, hence for good: the loss sees products b_j c_j = w_j^2 only, which stay
positive. With P(x) = sum_k theta_k x^k, theta_k = 2/n sum_i delta^(i) x^(i)_(kappa-k), each entry
moves by da_j/dt = w_j^2 P'(a_j) and d log w_j^2/dt = 2 eta P(a_j). As in `support.flow`, the
integrator moves the first entry and the gaps of the others to it, of a_j and of log w_j^2 alike.
"""

from dataclasses import dataclass

import numpy as np
from scipy.integrate import LSODA
from scipy.optimize import brentq

from support.flow import divided_differences, finite_loss, finite_start, gap_matrix

__all__ = ["JointFlow", "JointLimit", "clean_transition"]


@dataclass(frozen=True)
class JointLimit:
    """Where a joint flow went: `transition` [d], `weights` b_j c_j [d], the `loss` there.

    `finished` says whether the loss fell below the tolerance asked for within the horizon.
    """

    transition: np.ndarray
    weights: np.ndarray
    loss: float
    finished: bool


class JointFlow:
    """The flow (12) on `data` (a TrainingSet); `rate` is eta, that of B and C over that of A.

    Raises ValueError for a rate that is negative or not finite.
    """

    def __init__(self, data, rate):
        if not 0 <= rate < np.inf:
            raise ValueError(f"rate = {rate}; allowed: from 0, finite")
        self.inputs = data.inputs[:, ::-1].astype(float)  # [n, kappa], column k meets lag k
        self.labels, self.rate = data.labels.astype(float), rate
        self.powers = np.arange(float(self.inputs.shape[1]))

    def _slopes(self, a, u):
        """w^2, theta [kappa] and the powers a_j^k [d, kappa], at log w^2 = u."""
        weights, vander = np.exp(u), a[:, None] ** self.powers
        delta = self.labels - self.inputs @ (weights @ vander)
        return weights, 2 / len(delta) * (delta @ self.inputs), vander

    def loss(self, a, u):
        """The training loss (3), at log w^2 = u."""
        delta = self.labels - self.inputs @ (np.exp(u) @ a[:, None] ** self.powers)
        return delta @ delta / len(delta)

    def _gap_velocity(self, y):
        """The velocity of y = (a_1, a_1 - a_j, u_1, u_1 - u_j), [2d]."""
        d = len(y) // 2
        gap, twist = y[1:d], y[d + 1 :]
        a, u = y[0] - y[:d], y[d] - y[d:]
        a[0], u[0] = y[0], y[d]
        weights, theta, vander = self._slopes(a, u)
        force = theta[1:] * self.powers[1:]  # of P'
        pull, rate = vander[:, :-1] @ force, divided_differences(force, vander)[1:]
        dy = np.empty_like(y)
        dy[0] = weights[0] * pull[0]
        # w_1^2 - w_j^2 = -w_1^2 expm1(-twist): nothing cancels, and ties stay ties
        dy[1:d] = weights[0] * (gap * rate - np.expm1(-twist) * pull[1:])
        dy[d] = 2 * self.rate * vander[0] @ theta
        dy[d + 1 :] = 2 * self.rate * gap * divided_differences(theta, vander)[1:]
        return dy

    def _jacobian(self, a, u):
        """Derivative of the velocity of (a, u), [2d, 2d]."""
        weights, theta, V = self._slopes(a, u)
        k = self.powers
        V_1, w = np.zeros_like(V), weights[:, None]  # V_1: derivatives of the powers
        V_1[:, 1:] = k[1:] * V[:, :-1]
        curvature = V[:, :-2] @ (theta[2:] * k[2:] * k[1:-1])
        moments = 2 / len(self.labels) * self.inputs.T @ self.inputs
        response = -moments @ np.vstack([w * V_1, w * V]).T  # of theta, [kappa, 2d]
        own = np.block([
            [np.diag(weights * curvature), np.diag(weights * (V_1 @ theta))],
            [np.diag(2 * self.rate * (V_1 @ theta)), np.zeros((len(a), len(a)))],
        ])  # fmt: skip
        return own + np.vstack([w * V_1, 2 * self.rate * V]) @ response

    def limit(self, start, horizon, weights=1.0, rtol=1e-8, loss_below=1e-20, max_steps=100_000):
        """Where the flow leads from `start` [d] and b_j c_j = `weights`, a number or [d].

        By LSODA, until the loss is below `loss_below`; unfinished at `horizon` (time) or after
        `max_steps`. Raises ValueError for a horizon or weights that are not positive and a start
        that is no list of finite numbers or has no finite loss, RuntimeError where the solver
        fails.
        """
        a = finite_start(start, "[d]")
        weights = np.broadcast_to(np.asarray(weights, dtype=float), a.shape)
        if not (horizon > 0 and np.all(weights > 0)):
            raise ValueError(f"horizon = {horizon}, weights = {weights}; allowed: positive")
        d, T = len(a), gap_matrix(len(a))
        both = np.kron(np.eye(2), T)  # its own inverse
        y = both @ np.r_[a, np.log(weights)]
        tied = np.r_[False, (y[1:d] == 0) & (y[d + 1 :] == 0)]  # with the first entry, for ever
        free = np.flatnonzero(~np.r_[tied, tied])
        square = np.ix_(free, free)

        def whole(part):
            full = np.zeros(len(y))
            full[free] = part
            return full

        def split(part):
            return np.split(both @ whole(part), 2)

        solver = LSODA(
            lambda t, part: self._gap_velocity(whole(part))[free],
            0.0, y[free], horizon, rtol=rtol,
            jac=lambda t, part: (both @ self._jacobian(*split(part)) @ both)[square],
            # as in `support.flow`; the logarithms start at zero, and matter by their exponentials
            atol=np.where(free == 0, 1e-6 * rtol, np.where(free == d, rtol, 1e-30)),
        )  # fmt: skip
        steps, loss = 0, finite_loss(self.loss(*split(solver.y)))
        while solver.status == "running" and loss >= loss_below and steps < max_steps:
            message, steps = solver.step(), steps + 1
            loss = self.loss(*split(solver.y))
            if solver.status == "failed" or not np.isfinite(loss):
                raise RuntimeError(
                    f"LSODA stopped at t = {solver.t:.3e}: {message or f'the loss is {loss}'}"
                )
        a, u = split(solver.y)
        return JointLimit(a, np.exp(u), float(loss), bool(loss < loss_below))


def clean_transition(kappa, rate):
    """The largest entry that S_1 leaves, B and C learned from ones at `rate`, start near zero.

    Under S_1 the flow conserves a_j^2/(kappa-1) - b_j c_j/rate, so b_1 c_1 ends at
    1 + rate a_1^2/(kappa-1), and zero loss is a_1^(kappa-1) times this being one. Raises ValueError
    for a kappa below 2 and a rate below zero.
    """
    if not (kappa >= 2 and 0 <= rate < np.inf):
        raise ValueError(f"kappa = {kappa}, rate = {rate}; allowed: from 2, and from 0, finite")
    e = rate / (kappa - 1)
    return brentq(lambda a: a ** (kappa - 1) * (1 + e * a * a) - 1, 0.0, 1.0, xtol=1e-15)
