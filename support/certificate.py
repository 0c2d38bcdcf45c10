"""A certificate for a cone of starts under S_2, by comparison in the spread (ours).

The chapter *A certificate* has the proof; the names here are its names. Time is in the unit
2P/m = 1 and p = kappa - 2, so that a_j' = (kappa-1) R a_j^p + h with the residuals
R = 1 - sum a^(kappa-1) and h = 1 - sum a. Spread w = a_1 - a_d; place y_j = (a_1 - a_j) / w;
lead y_2 = v / w with v = a_1 - a_2. Every inequality is one between balls; floats only say where.
"""

from functools import reduce
from math import inf, nextafter

from flint import arb, ctx

from support.intervals import ball

__all__ = ["Refused", "cone", "errors", "widest"]

BITS = 80
PIECES = 64  # of the range of v at the limit
SLACK = 1e-6  # of every row: balls hold their radius to thirty bits


class Refused(ValueError):
    """No certificate: an inequality that the proof needs could not be shown."""


def _need(holds, words):
    if not holds:
        raise Refused(f"no certificate: {words}")


def _down(x):
    """A float below all of a positive ball, by enough that a checker may round otherwise."""
    return nextafter(float(x.lower()) * (1 - SLACK), 0)


def _up(x):
    """A float above all of a ball that is not negative, by enough as well."""
    return nextafter(float(x.upper()) * (1 + SLACK), inf)


def _q(x, p):
    """1 + x + ... + x^(p-1): phi(a_1, a_j) is a_1^(p-1) q(a_j / a_1)."""
    return sum((x**i for i in range(1, p)), arb(1))


def _slope(x, y, p):
    """(q(x) - q(y)) / (x - y), without the division."""
    inner, power, total = arb(0), arb(1), arb(0)
    for _ in range(p - 1):
        inner = y * inner + power
        power *= x
        total += inner
    return total


def _first_stretch(d, kappa, alpha):
    """Until h = 0 from any scale up to `alpha`: bounds on w, and on the growth of v / w."""
    p, k, alpha = kappa - 2, kappa - 1, ball(alpha)
    wide = alpha * 9 / 8  # a guess; it is shown to hold, or refused
    top = 1 / arb(d) + wide
    t = p * arb(d).log() / d
    drift = k * (1 - top**p) * (1 - (-d * t).exp()) ** p / arb(d) ** (p - 1)
    _need(drift > 0, f"alpha = {float(alpha):g} is too large")
    t += (-d * t).exp() / drift
    grown = (k * p * top ** (p - 1) * t).exp()
    _need(alpha * grown < wide and d * alpha < 1, f"alpha = {float(alpha):g} is too large")
    return _up(wide), (k * wide * p * (p - 1) / 2 * top ** (p - 2) * t).exp()


def cone(d, kappa, alpha, place, lead, cells=500):
    """Follow all starts of a cone under S_2 to their limits, at zero loss; return a record.

    The cone: alpha' (1, zeta_2, ..., zeta_d) with decreasing positive zeta, alpha' <= `alpha`,
    1 - zeta_2 < `lead` (1 - zeta_d) and 1 - zeta_3 > `place` (1 - zeta_d), for d >= 4 and an odd
    kappa >= 7. Numbers are floats, taken as they are. The record has these, a table `rows` of
    [w, y, v / w, u] (when the spread is w: a lower bound on y_3, upper bounds on v / w and on
    u = sum a - 1), and about every limit upper bounds on `v` and on `size`, of |a_3|, ..., |a_d|.
    Raises Refused, with the inequality that fails, where the proof does not go through.
    """
    for name, value, allowed, holds in (
        ("d", d, "an integer, 4 or more", isinstance(d, int) and d >= 4),
        (
            "kappa",
            kappa,
            "an odd integer, 7 or more",
            isinstance(kappa, int) and kappa % 2 == 1 and kappa >= 7,
        ),
        ("alpha", alpha, f"between 0 and 1 / (2 d) = {1 / (2 * d):g}", 0 < alpha < 1 / (2 * d)),
        ("place", place, "between 0 and 1", 0 < place < 1),
        ("lead", lead, "between 0 and 1", 0 < lead < 1),
    ):
        if not holds:
            raise ValueError(f"{name} = {value!r}; allowed: {allowed}")
    with ctx.workprec(BITS):
        wide, grown = _first_stretch(d, kappa, alpha)
        row, rows, ends = [0.0, place, _up(lead * grown), 0.0], [], []
        while not _is_end(d, kappa, *map(arb, row[:3])):
            rows.append(row)
            entering = row[0] < wide  # a path may begin in this cell, with a y_3 that has not grown
            w = min(row[0] + wide / 8, wide) if entering else row[0] + min(8 * row[0], 1.6) / cells
            _need(len(rows) < 10 * cells and row[2] < 1, f"the lead is not small at w = {w:.3g}")
            row, end = _cell(d, kappa, row, w, entering)
            ends += end
        rows.append(row)
        _need(ends, "no spread at which the loss may vanish")
    v, size = (max(bounds) for bounds in zip(*ends, strict=True))
    inputs = dict(d=d, kappa=kappa, alpha=alpha, place=place, lead=lead, wide=wide)
    return inputs | dict(rows=rows, v=v, size=size)


def _is_end(d, kappa, w, y, ahead):
    """Whether no path has a spread w, as sum a^(kappa-1) would exceed one: R > 0 on all paths."""
    a_1 = (1 + w * (1 + (d - 3) * y)) / d
    a_2 = a_1 - w * ahead
    return a_2 > 0 and a_1 ** (kappa - 1) + a_2 ** (kappa - 1) > 1


def _cell(d, kappa, row, w_1, entering):
    """From a row to the next one, at spread `w_1`; and the bounds (v, size) on limits in between,
    none or one."""
    p, k = kappa - 2, kappa - 1
    w_0, y, ahead, u = map(arb, row)
    step, w = arb(w_1) - w_0, w_0.union(arb(w_1))

    low = ((1 + w_0 * (1 + (d - 3) * y)) / d).lower()  # of a_1
    last = 1 - w / low  # a_d / a_1 where it is smallest
    _need(last > -0.5, f"a_d / a_1 may fall below -1/2 at w = {w_1:.3g}")
    _need(1 + (d - 1) * last.min(arb(0)) ** p > 0, f"sum a^p may vanish at w = {w_1:.3g}")
    next_ahead = _up(ahead * (step * _slope(arb(1), last, p) / (low * _q(last, p))).exp())

    def entries(u):
        a_1 = low.union((1 + u + w_1 * (d - 2 + arb(next_ahead))) / d)
        return a_1, a_1 - w * arb(0).union(arb(next_ahead)), a_1 - w * y.union(arb(1))

    def total(a, power):
        return a[0] ** power + a[1] ** power + (d - 2) * a[2] ** power

    # u' = k R T - d u: u stays below the larger of its value now and the largest k R T / d
    highest = arb(d) ** (arb(1) / k - 1) * k * k / (k + p) * (arb(p) / (k + p)) ** (arb(p) / k)
    for _ in range(4):
        a = entries(highest)
        R = (1 - total(a, k)).upper()
        push = (arb(0).union(R) * k * total(a, p) / d).upper()
        highest = highest.min(push.max(u))
    a_1 = entries(highest)[0]
    tail = 1 - w / a_1
    rate = k * R * w_1 * (a_1 ** (p - 1) * _q(tail, p)).upper()  # of w
    _need(rate > 0, f"no path at w = {w_1:.3g}, yet this is not shown")
    u = (push + (u - push) * (-d * step / rate).exp()).min(highest) if u > push else highest

    next_y = y
    for _ in range(0 if entering else 2):  # y_3 stays below `next_y` in this cell, or passes it
        rate = _slope(1 - y.union(next_y) * w / a_1, tail, p) / (a_1 * _q(tail, p))
        odds = (step * rate.lower()).exp() * y / (1 - y)
        reached = odds / (1 + odds)
        next_y = reached if next_y == y else next_y.min(reached)

    a = entries(arb(0))  # at a limit u = 0
    end = [(_up(w_1 * arb(next_ahead)), _up(abs(a[2])))] if (1 - total(a, k)).contains(0) else []
    return [w_1, _down(next_y), next_ahead, _up(u)], end


def errors(record, lags):
    """Balls that hold the error |sum_j a_j^lag - 1| of every limit in a record of `cone`.

    a_1^(kappa-1) + a_2^(kappa-1) is 1 but for what a_3, ..., a_d may add; for each piece of the
    range of v = a_1 - a_2 this brackets a_1.
    """
    d, k = record["d"], record["kappa"] - 1
    found = {lag: [] for lag in lags}
    with ctx.workprec(BITS):
        size, v = arb(record["size"]), arb(record["v"])
        rest = (d - 2) * size**k
        _need(v < 0.5 and rest < 0.5, f"v up to {float(v):.3g} at the limit: too large for a bound")
        for i in range(PIECES):
            near, far = v * i / PIECES, v * (i + 1) / PIECES

            def bracket(is_low, v=near):
                low, high = arb(0.5), arb(1)
                for _ in range(60):
                    middle = ((low + high) / 2).mid()
                    is_below = is_low(middle**k + (middle - v) ** k)
                    low, high = (middle, high) if is_below else (low, middle)
                return low, high

            least = bracket(lambda total: total < 1 - rest)[0]
            a_1 = least.union(bracket(lambda total: not total > 1, far)[1])
            a_2 = a_1 - near.union(far)
            others = 1 - a_1 - a_2  # the sum of a_3, ..., a_d
            for lag in lags:
                power = size**lag * (d - 2)
                small = others**2 / (d - 2) if lag == 2 else -power if lag % 2 else arb(0)
                found[lag].append(abs(a_1**lag + a_2**lag + small.union(power) - 1))
    return {lag: reduce(arb.union, balls) for lag, balls in found.items()}


def widest(d, kappa, alpha, place, least=0.6):
    """The record of `cone` with nearly the largest lead at which the error at lag two is certified
    to be `least` or more. Raises Refused where there is none above 1e-30."""
    low, high, best = -30.0, -1.0, None
    while high - low > 0.005:
        middle = (low + high) / 2
        try:
            record = cone(d, kappa, alpha, place, 10**middle)
            good = errors(record, [2])[2] >= least
        except Refused:
            good = False
        low, high, best = (middle, high, record) if good else (low, middle, best)
    _need(best, f"none for place = {place} and an error of {least}")
    return best
