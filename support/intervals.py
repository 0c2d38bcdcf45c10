"""Proofs by interval arithmetic, in the balls of Arb (python-flint; Johansson 2017).

A comparison of balls is true only where it holds for all numbers in them. A proof that fails
says nothing about the statement.
"""

from fractions import Fraction

from flint import arb, ctx

__all__ = ["ball", "closed_form_limit", "proves", "segment"]


def ball(value, radius=0):
    """A ball that contains a number, an int, a float or a fraction, and all within `radius`."""
    value = Fraction(value)
    return arb(value.numerator) / value.denominator + arb(0, radius)


def segment(low, high):
    """The smallest ball that covers [low, high]."""
    return ball(low).union(ball(high))


def proves(holds, box, most=100_000):
    """Whether `holds(*balls)` is certain on every part of a box, halved where it is not.

    `box` lists (low, high) for each argument, ints, floats or fractions. False where more than
    `most` parts would be needed, as they are around any point at which the claim is wrong.
    """
    waiting = [[(Fraction(low), Fraction(high)) for low, high in box]]
    for _ in range(most):
        part = waiting.pop()
        if not holds(*(segment(*side) for side in part)):
            widest = max(range(len(part)), key=lambda i: part[i][1] - part[i][0])
            low, high = part[widest]
            for half in ((low, (low + high) / 2), ((low + high) / 2, high)):
                waiting.append([*part[:widest], half, *part[widest + 1 :]])
        if not waiting:
            return True
    return False


def closed_form_limit(start, kappa, precision=160):
    """Balls that enclose where the flow under S_1 leads from every point of a box of starts.

    `start` lists d balls, the largest entry first. Proposition 4's conservation law leaves one
    unknown, t = a_1^(3-kappa), the root of sum_j (t + c_j)^(-(kappa-1)/(kappa-3)) = 1; the sum
    falls in t. The root is bracketed from both sides, by comparisons that hold for the whole box.
    Raises ValueError where the box may leave a_1 > a_j > 0 or sum_j a_j^(kappa-1) < 1.
    """
    p = kappa - 3
    with ctx.workprec(precision):
        a = [arb(x) for x in start]
        if not (all(a[0] > x for x in a[1:]) and all(x > 0 for x in a)):
            raise ValueError("start: allowed: a box in which a_1 > a_j > 0")
        if not sum(x ** (kappa - 1) for x in a) < 1:
            raise ValueError(f"start: allowed: a box with sum of a_j^{kappa - 1} below 1")
        c = [arb(0)] + [x ** (-p) - a[0] ** (-p) for x in a[1:]]

        def excess(t):
            return sum((t + c_j) ** (arb(1 - kappa) / p) for c_j in c) - 1

        def bracket(inside):
            low, high = arb(1), arb(len(a) + 1) ** (arb(p) / (kappa - 1))
            for _ in range(precision):
                middle = ((low + high) / 2).mid()
                low, high = (middle, high) if inside(excess(middle)) else (low, middle)
            return low, high

        low, _ = bracket(lambda e: e > 0)  # or low = 1, below which t never is: a_1 <= 1
        _, high = bracket(lambda e: not e < 0)  # or the first high: d terms, each below 1/(d+1)
        t = low.union(high)
        return [(t + c_j) ** (arb(-1) / p) for c_j in c]
