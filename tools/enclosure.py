"""The search behind validated integration: polynomials close to a trajectory under S_2 (ours).

Collocation at Radau points (Hairer and Wanner 1996, IV.5), which passes the stiff saddle in long
steps, in fixed-point integers, which hold more digits than floats. Nothing here is trusted:
`support.verify` bounds what each polynomial misses. Time in the unit 2P/m = 1.
"""

from fractions import Fraction

import numpy as np
from numpy.polynomial import legendre

__all__ = ["trajectory"]

DEGREE = 18  # of the polynomials
BITS = 160  # of the fixed point
STORED = 80  # bits that a stored coefficient keeps


def _fixed(values):
    """Floats or fractions as integers in units of 2^-BITS."""
    return np.vectorize(lambda x: int(Fraction(x) * 2**BITS), otypes=[object])(values)


def _times(x, y):
    return x * y >> BITS


def _power(x, n):
    result = x
    for _ in range(n - 1):
        result = _times(result, x)
    return result


def _velocity(a, kappa):
    """da/dt at points [points, d], fixed point."""
    push = _power(a, kappa - 2)
    R = (1 << BITS) - _times(push, a).sum(axis=1, keepdims=True)
    h = (1 << BITS) - a.sum(axis=1, keepdims=True)
    return (kappa - 1) * _times(R, push) + h


def _jacobians(a, kappa):
    """d(da/dt)/da at points [points, d], floats: [points, d, d]."""
    k = kappa - 1
    R = 1 - (a**k).sum(axis=1)
    outer = k**2 * np.einsum("ni,nj->nij", a ** (k - 1), a ** (k - 1)) + 1
    return k * (k - 1) * np.einsum("n,ni,ij->nij", R, a ** (k - 2), np.eye(a.shape[1])) - outer


def _scheme():
    """Radau points in (-1, 1], and the matrices from values there to monomials, and to the
    integral from -1: fixed point, [degree, degree] each."""
    c = np.zeros(DEGREE + 1)
    c[-2:] = -1, 1  # P_m - P_(m-1) vanishes at the Radau points
    points = [Fraction(x) for x in (*legendre.legroots(c)[:-1].real, 1.0)]
    rows = []
    for i, s in enumerate(points):  # Lagrange's polynomials, exactly
        row = [Fraction(1)]
        for r in (r for j, r in enumerate(points) if j != i):
            shifted, scaled = [Fraction(0), *row], [-r * x for x in row] + [Fraction(0)]
            row = [(x + y) / (s - r) for x, y in zip(shifted, scaled, strict=True)]
        rows.append(row)
    monomials = np.array(rows, dtype=object).T  # [power, point]
    n = range(1, DEGREE + 1)
    integrals = np.array([[(s**i - (-1) ** i) / i for i in n] for s in points], dtype=object)
    return np.array([float(s) for s in points]), _fixed(monomials), _fixed(integrals @ monomials)


def _solve(start, guess, step, kappa, integral, rounds=12):
    """Values at the points, [degree, d], and their velocities; None where it does not converge."""
    half, a, d = _fixed(step / 2), guess, guess.shape[1]
    S = np.array(integral / 2**BITS, dtype=float)
    for _ in range(rounds):
        F = _velocity(a, kappa)
        miss = start + _times(half, (integral @ F) >> BITS) - a
        if abs(miss).max() < 1 << 10:
            return a, F
        J = _jacobians(np.array(a / 2**BITS, dtype=float), kappa)
        matrix = np.eye(DEGREE * d) - step / 2 * np.einsum("ij,jkl->ikjl", S, J).reshape(
            DEGREE * d, -1
        )
        shift = np.linalg.solve(matrix, np.array(miss / 2**BITS, dtype=float).ravel())
        if not np.isfinite(shift).all() or abs(shift).max() > 1:
            return None
        a = a + _fixed(shift.reshape(DEGREE, d))
    return None


def trajectory(start, kappa, miss=1e-20, residual=1e-9, most=2000):
    """Pieces (step, coefficients) from `start` until both residuals of S_2 are below `residual`.

    On the piece a_j(t) is about sum_i coefficients[i][j] s^i 2^-STORED for s in [-1, 1], the time
    over `step` / 2. `miss` limits the last coefficient, whose size is about what is missed.
    Raises RuntimeError after `most` pieces.
    """
    points, monomials, integral = _scheme()
    a, step, pieces = _fixed(start), 0.05, []
    guess = np.tile(a, (DEGREE, 1))
    for _ in range(most):
        found = _solve(a, guess, step, kappa, integral)
        if found is None:
            step, guess = step / 3, np.tile(a, (DEGREE, 1))
            continue
        velocity = (monomials @ found[1]) >> BITS  # in powers of s
        last = step / 2 * abs(velocity[-1]).max() / 2**BITS
        change = 0.9 * (miss / max(last, 1e-40)) ** (1 / DEGREE)
        if last > 3 * miss:
            step, guess = step * min(change, 0.7), np.tile(a, (DEGREE, 1))
            continue
        rises = [_times(_fixed(step / 2), row) // (i + 1) for i, row in enumerate(velocity)]
        base = a - sum((-1) ** (i + 1) * row for i, row in enumerate(rises))
        stored = [row >> (BITS - STORED) for row in (base, *rises)]
        pieces.append((step, [[int(x) for x in row] for row in stored]))
        a = base + sum(rises)
        R = 1 - sum((x / 2**BITS) ** (kappa - 1) for x in a)
        if max(abs(R), abs(1 - sum(x / 2**BITS for x in a))) < residual:
            return pieces
        grow = min(change, 3.0)
        s = _fixed(1 + grow * (points + 1))  # the next piece, seen from this one
        guess = sum(
            (
                _times(_power(s, i)[:, None], row) if i else row
                for i, row in enumerate([base, *rises])
            ),
            0,
        )
        guess = np.tile(a, (DEGREE, 1)) if abs(guess - a).max() > 1 << (BITS - 2) else guess
        step *= grow
    raise RuntimeError(f"{most} pieces do not reach a residual of {residual}")
