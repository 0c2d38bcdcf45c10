"""The checker: it believes a certificate only where it can show each step itself, in Arb's balls.

Shares no code with the searches (`support.certificate`, `tools/enclosure.py`) and knows nothing of
how their numbers were found. Trusted: this page, Arb, and the argument in the chapter
*A certificate*. Time is in the unit 2P/m = 1: a' = f(a), f_j = k R a_j^(k-1) + h, k = kappa - 1.
"""

from itertools import pairwise

from flint import arb, arb_poly, ctx

from support.intervals import closed_form_limit

BITS = 110
PARTS = 12  # of each piece, to bound the growth on


class Unproved(ValueError):
    """The certificate does not hold, or not by this checker's means."""


def _show(holds, words):
    if not holds:
        raise Unproved(words)


def _norm(balls):
    return sum((abs(x).upper() ** 2 for x in balls), arb(0)).sqrt().upper()


def _growth(a, k):
    """A bound on the largest eigenvalue of the Jacobian of f on a box: the other terms of minus
    the Hessian, -k^2 u u^T with u_j = a_j^(k-1) and -1 1^T, are negative semidefinite."""
    R = (1 - sum(x**k for x in a)).upper()
    return k * (k - 1) * R.max(arb(0)) * max(abs(x).upper() for x in a) ** (k - 2)


def box(certificate):
    """Enclose where both flows lead from every start in a box, and show the claims made of it.

    The certificate has `start` and `half_width` (decimals, as strings), `kappa`, the `pieces`,
    [duration, rows of integer coefficients of s^0, s^1, ... on [-1, 1], in units of 2^-`bits`],
    and `claims`: the error under S_2 at lag two is `poisoned` or more, the error under S_1 at
    lags 1 to `lags` is `clean` or less. Returns a dict: the limits (balls) under `s1` and `s2`,
    the final `radius`, the integral of mu (`growth`). Raises Unproved.
    """
    k, unit = certificate["kappa"] - 1, arb(2) ** -certificate["bits"]
    _show(type(k) is int and k >= 6 and k % 2 == 0, "kappa odd, from 7")
    _show(all(step > 0 for step, _ in certificate["pieces"]), "time goes forward")
    _show(type(certificate["half_width"]) is str, "half_width is no decimal")
    with ctx.workprec(BITS):
        around = arb(0, 1) * arb(certificate["half_width"])
        here = box = [arb(x) + around for x in certificate["start"]]
        E, growth = arb(0), arb(0)
        for number, (duration, rows) in enumerate(certificate["pieces"]):
            half = arb(duration) / 2
            p = [arb_poly([c * unit for c in column]) for column in zip(*rows, strict=True)]
            E += _norm(x - q(arb(-1)) for x, q in zip(here, p, strict=True))
            rest = _missed(p, half, k)
            tube = 4 * (E + rest)
            for i in range(PARTS):
                s = (arb(2 * i) / PARTS - 1).union(arb(2 * i + 2) / PARTS - 1)
                mu = _growth([q(s) + arb(0, 1) * tube for q in p], k) * half * 2 / PARTS
                E = (mu.exp() * (E + rest / PARTS)).upper()
                growth += mu
                _show(tube > E, f"the distance may exceed {float(tube):.1e} on piece {number}")
            here = [q(arb(1)) for q in p]
        s2, radius = _limit(here, E, k)
        s1 = closed_form_limit(box, k + 1)
        claims = certificate["claims"]
        _show(claims["lags"] >= 1, "no lag is claimed")
        _show(error(s2, 2) >= claims["poisoned"], f"error under S_2 is {error(s2, 2)}")
        for lag in range(1, claims["lags"] + 1):
            _show(
                error(s1, lag) <= claims["clean"], f"error under S_1, lag {lag}: {error(s1, lag)}"
            )
    return dict(s1=s1, s2=s2, radius=float(radius), growth=float(growth))


def error(a, lag):
    return abs(sum(x**lag for x in a) - 1)


def _missed(p, half, k):
    """A bound on |p' - f(p)| times the duration, from the coefficients of that polynomial."""
    power = [q ** (k - 1) for q in p]
    R = 1 - sum((x * q for x, q in zip(power, p, strict=True)), arb_poly())
    h = 1 - sum(p, arb_poly())
    wrong = (q.derivative() - half * (k * R * x + h) for q, x in zip(p, power, strict=True))
    return 2 * _norm(sum((abs(c) for c in m.coeffs()), arb(0)) for m in wrong)


def _limit(centre, E, k):
    """Balls around the limit from every point within E of the centre. With F = (R, h) and s^2 the
    least eigenvalue of its Gram matrix, |F|' <= -s |velocity|: the path is shorter than |F| / s."""

    def residuals(a):
        return 1 - sum(x**k for x in a), 1 - sum(a)

    size = _norm(residuals([x + arb(0, 1) * E for x in centre]))
    ball = 2 * E + size
    u = [k * (x + arb(0, 1) * ball) ** (k - 1) for x in centre]
    uu, u1, d = sum(x * x for x in u), sum(u), len(u)
    path = size / ((uu * d - u1 * u1) / (uu + d)).sqrt()
    _show(E + path < ball, f"the end of the path may leave a ball of {float(ball):.1e}")
    return [x + arb(0, 1) * (E + path) for x in centre], E + path


def cone(certificate):
    """Show, for a record of `support.certificate.cone`, each row of its table, what it says about
    the limits, and its `claims`, {lag: the error under S_2 is this or more}. Raises Unproved."""
    d, k, rows = certificate["d"], certificate["kappa"] - 1, certificate["rows"]
    alpha, place, lead = (arb(certificate[name]) for name in ("alpha", "place", "lead"))
    _show(type(d) is int and d >= 4, "d from 4")
    _show(type(k) is int and k >= 6 and k % 2 == 0, "kappa odd, from 7")
    with ctx.workprec(BITS):
        p, wide = k - 1, arb(certificate["wide"])
        top, t = wide + arb(1) / d, arb(d).log() * p / d  # a_1, and a time: any will do
        left = (-d * t).exp()
        t += left / (k * (1 - top**p) * ((1 - left) / d) ** p * d)
        grown = alpha * (t * k * p * top ** (p - 1)).exp()
        _show(0 < d * alpha < 1 and top < 1 and grown < wide, "first stretch")
        rise = t * k * wide * top ** (p - 2) * (p * (p - 1)) / 2
        w, y, ahead, u = map(arb, rows[0])
        _show(w == 0 and u == 0 and 0 < y <= place < 1, "first row")
        _show(lead > 0 and lead * rise.exp() <= ahead, "first row, v / w")
        v, size = arb(0), arb(0)
        for now, then in pairwise(rows):
            a = _between(d, k, now, then, arb(now[0]) < wide)
            if (1 - _sum(a, d, k)).contains(0):
                v, size = v.max(arb(then[0]) * then[2]), size.max(abs(a[2]).upper())
        w, y, ahead, u = map(arb, rows[-1])
        a_1 = (1 + w * (1 + (d - 3) * y)) / d
        a_2 = a_1 - w * ahead
        _show(a_2 > 0 and a_1**k + a_2**k > 1, "a path may pass the end of the table")
        _show(wide < w, "a path may begin beyond the end of the table")
        _show(v <= certificate["v"] < 0.5 and size <= certificate["size"] < 0.5, "limits")
        for lag, least in certificate["claims"].items():
            _show(lag.isdecimal(), f"lag {lag}")
            _limits(d, k, arb(certificate["v"]), arb(certificate["size"]), int(lag), arb(least))


def _limits(d, k, v, size, lag, least, most=20_000):
    """Show that every zero-loss point with a_1 - a_2 <= v and others of that size errs enough at
    a lag: parts of (a_1, a_1 - a_2) are halved until no such point is in them, or it errs."""
    others = (d - 2) * size**lag
    others = others.union(-others if lag % 2 else arb(0))
    _show(lag >= 1, "lags from 1")
    parts = [(arb(0), arb(1), arb(0), v)]
    for _ in range(most):
        low, high, near, far = parts.pop()
        pair = (low.union(high), low.union(high) - near.union(far))
        if (sum(x**k for x in pair) + arb(0).union((d - 2) * size**k) - 1).contains(0):
            rest = others.max((1 - sum(pair)) ** 2 / (d - 2)) if lag == 2 else others
            if not abs(sum(x**lag for x in pair) + rest - 1) >= least:
                if high - low > far - near:
                    a = (low + high) / 2
                    parts += [(low, a, near, far), (a, high, near, far)]
                else:
                    b = (near + far) / 2
                    parts += [(low, high, near, b), (low, high, b, far)]
        if not parts:
            return
    raise Unproved(f"error at lag {lag}")


def _between(d, k, now, then, entering):
    """Show that `then` holds after `now`; return what the entries are at a limit in between."""
    p, (w_0, y_0, lead_0, u_0), (w_1, y_1, lead_1, u_1) = k - 1, map(arb, now), map(arb, then)
    w, step = w_0.union(w_1), w_1 - w_0
    limit = _entries(d, w, y_0, lead_1, arb(0))
    low = limit[0].lower()
    last = 1 - w / low
    _show(w_0 < w_1 and y_1 > 0 and low > 0 and last > -0.5, "a_d below -a_1 / 2")
    _show(1 + (d - 1) * last.min(arb(0)) ** p > 0, "sum a^p")
    _show(lead_0 * (step * _chord(arb(1), last, p) / _q(last, p) / low).exp() <= lead_1, "v / w")

    x = arb(p) / (k + p)
    most = k * (arb(d) ** (arb(1) / k) * (1 - x) * x ** (arb(p) / k)) / d
    for _ in range(4):
        a = _entries(d, w, y_0, lead_1, most)
        R = (1 - _sum(a, d, k)).upper().max(arb(0))
        push = (k * R.union(arb(0)) * _sum(a, d, p) / d).upper()
        most = most.min(push.max(u_0))
    a_1 = _entries(d, w, y_0, lead_1, most)[0]
    last = 1 - w / a_1
    rate = k * R * w_1 * (a_1 ** (p - 1) * _q(last, p)).upper()
    _show(rate >= 0, "R")
    decayed = (-d * step / rate).exp() if rate > 0 else arb(0)
    _show(most.min(push.max(push + (u_0 - push) * decayed)) <= u_1, "sum a - 1")

    rate = _chord(1 - y_0.union(y_1) * w / a_1, last, p) / (a_1 * _q(last, p))
    odds = (step * rate.lower()).exp() * y_0 / (1 - y_0)
    _show(y_1 <= (y_0 if entering else odds / (1 + odds)), "y_3")
    return limit


def _sum(a, d, power):
    """Of powers of all entries, a = (a_1, a_2, one for the others)."""
    return a[0] ** power + a[1] ** power + (d - 2) * a[2] ** power


def _entries(d, w, y, lead, u):
    """What a_1, a_2 and the others may be: a_1 from the sum of all entries, 1 + u."""
    low, high = 1 + w.lower() * (1 + (d - 3) * y), 1 + u + w.upper() * (d - 2 + lead)
    a_1 = (low / d).union(high / d)
    return a_1, a_1 - w * arb(0).union(lead), a_1 - w * y.union(arb(1))


def _q(x, p):
    """phi(a_1, a_j) over a_1^(p-1), for x = a_j / a_1."""
    return 1 + sum(x**i for i in range(1, p))


def _chord(x, y, p):
    """(q(x) - q(y)) / (x - y)."""
    total = inner = arb(0)
    for i in range(p - 1):
        inner = inner * y + x**i
        total += inner
    return total
