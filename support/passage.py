"""An ensemble of gradient flows under S_2, Equation (29), each member at its own pace.

All members rest near the same saddle, each for its own time; a solver with one step for all would
walk at the pace of whichever moves fastest. Here each member has its own step, and one sweep over
arrays moves them all. Time is in the unit 2P/m = 1.
"""

from dataclasses import dataclass

import numpy as np

from support.flow import finite_start

__all__ = ["Passage", "passages", "residuals"]

NO_GAP = -1e300  # the logarithm kept for a tie: exp gives zero, and no growth is ever felt


@dataclass(frozen=True)
class Passage:
    """Where the members went: `transition` and `gaps` a_1 - a_j [d, members], `times` [members].

    `escape` [members] is the time from which a_1 - a_d exceeds the level asked for, NaN if never;
    `finished` [members] says whose loss fell below the tolerance.
    """

    transition: np.ndarray
    gaps: np.ndarray
    times: np.ndarray
    escape: np.ndarray
    finished: np.ndarray


def residuals(transition, kappa):
    """1 - sum_j a_j^(kappa-1) and 1 - sum_j a_j, both [...]; (27) is half their squares' sum."""
    a = np.asarray(transition)
    return 1 - (a ** (kappa - 1)).sum(axis=0), 1 - a.sum(axis=0)


def _entries(y):
    """a_1, the other entries, and their gaps to a_1, from y = (a_1, ln(a_1 - a_j)): [d, ...]."""
    gaps = np.exp(y[1:])
    return y[0], y[0] - gaps, gaps


def _velocity(y, kappa):
    """dy/dt: a_1' = (kappa-1) R a_1^(kappa-2) + h, and (ln gap_j)' = (kappa-1) R phi(a_1, a_j)."""
    first, rest, _ = _entries(y)
    R, h = residuals(np.vstack([first, rest]), kappa)
    phi = sum(first**i * rest ** (kappa - 3 - i) for i in range(kappa - 2))
    return (kappa - 1) * np.vstack([R * first ** (kappa - 2) + h / (kappa - 1), R * phi])


def _jacobian(y, kappa):
    """The derivative of `_velocity`, [members, d, d]."""
    first, rest, gaps = _entries(y)
    d, k = len(y), kappa - 1
    R, _ = residuals(np.vstack([first, rest]), kappa)
    pull = rest ** (k - 1)
    dR = k * np.vstack([-(first ** (k - 1) + pull.sum(axis=0)), pull * gaps])
    dh = np.vstack([np.full_like(first, -d), gaps])
    n = kappa - 3
    phi = sum(first**i * rest ** (n - i) for i in range(n + 1))
    by_first = sum(i * first ** (i - 1) * rest ** (n - i) for i in range(1, n + 1))
    by_rest = sum((n - i) * first**i * rest ** (n - 1 - i) for i in range(n))
    J = np.empty((len(first), d, d))
    J[:, 0, :] = (k * dR * first ** (k - 1) + dh).T
    J[:, 0, 0] += k * (k - 1) * R * first ** (k - 2)
    J[:, 1:, :] = k * np.einsum("im,jm->mij", phi, dR)
    J[:, 1:, 0] += (k * R * (by_first + by_rest)).T
    j = np.arange(1, d)
    J[:, j, j] -= (k * R * by_rest * gaps).T
    return J


def _step(y, h, kappa):
    """One step of RODAS3 (Sandu et al. 1997): the new point and the error estimate, [d, members].

    A linearly implicit method of order three, stable at any step: near the saddle the mean of the
    entries settles a thousand and more times faster than they part.
    """
    with np.errstate(all="ignore"):  # a step far too long overflows, and is refused
        inverse = np.linalg.inv(np.eye(len(y)) * (2 / h)[:, None, None] - _jacobian(y, kappa))

        def solve(right):
            return np.einsum("mij,jm->im", inverse, right)

        k_1 = solve(_velocity(y, kappa))
        k_2 = solve(_velocity(y, kappa) + 4 * k_1 / h)
        k_3 = solve(_velocity(y + 2 * k_1, kappa) + (k_1 - k_2) / h)
        k_4 = solve(_velocity(y + 2 * k_1 + k_3, kappa) + (k_1 - k_2 - 8 / 3 * k_3) / h)
        return y + 2 * k_1 + k_3 + k_4, k_4


def passages(
    start, kappa, rtol=1e-6, loss_below=1e-20, level=0.01, most=20_000, watch=None, gaps=None
):
    """Follow every member under S_2 from `start` [d, members], a_1 the largest, to zero loss.

    `gaps` [d - 1, members] are a_1 - a_j, where they are too small to be told from `start`.
    `rtol` bounds the error of a step, relative to a_1 and to every gap a_1 - a_j. `watch(which,
    times, transition)` sees the members that moved, after each sweep; after `most` sweeps members
    that have not arrived are given up. Raises ValueError for a start that is not finite or whose
    a_1 is not the largest, and for fewer than two entries or a kappa below four.
    """
    a = finite_start(start, "[d, members]")
    if len(a) < 2 or kappa < 4:
        raise ValueError(f"d = {len(a)}, kappa = {kappa}; allowed: from 2, and from 4")
    gaps = a[:1] - a[1:] if gaps is None else np.asarray(gaps)
    if not np.all(gaps >= 0):
        raise ValueError(f"start of shape {a.shape}; allowed: [d, members], a_1 the largest")
    with np.errstate(divide="ignore"):
        y = np.vstack([a[:1], np.maximum(np.log(gaps), NO_GAP)])
    times, step = np.zeros(a.shape[1]), np.full(a.shape[1], 1e-3)
    escape = np.where(gaps.max(axis=0) > level, 0, np.nan)
    live = np.arange(a.shape[1])
    for _ in range(most):
        before, h = y[:, live], step[live]
        after, error = _step(before, h, kappa)
        scale = rtol * np.vstack([abs(before[:1]) + 1e-3, np.ones_like(before[1:])])
        worst = np.nan_to_num((abs(error) / scale).max(axis=0), nan=np.inf)
        good = worst < 1
        moved = live[good]
        y[:, moved] = after[:, good]
        times[moved] += h[good]
        step[live] = h * np.clip(0.9 * np.maximum(worst, 1e-12) ** (-1 / 3), 0.2, 5)
        low, high = before[1:, good].max(axis=0), after[1:, good].max(axis=0)  # ln(a_1 - a_d)
        crossed = (low <= np.log(level)) & (high > np.log(level))
        short = (high - np.log(level))[crossed] / (high - low)[crossed]  # of the step
        escape[moved[crossed]] = times[moved[crossed]] - short * h[good][crossed]
        if watch and len(moved):
            watch(moved, times[moved], np.vstack(_entries(y[:, moved])[:2]))
        loss = sum(r**2 for r in residuals(np.vstack(_entries(y[:, live])[:2]), kappa)) / 2
        live = live[loss >= loss_below]
        if not len(live):
            break
    finished = np.ones(len(times), bool)
    finished[live] = False
    first, rest, gaps = _entries(y)
    return Passage(np.vstack([first, rest]), np.vstack([0 * first, gaps]), times, escape, finished)
