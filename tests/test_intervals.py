"""Balls enclose what they should and no more; a proof succeeds only where the claim is true."""

import re
from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from flint import ctx
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from support import flow
from support.intervals import ball, closed_form_limit, proves, segment
from support.landscape import random_I0

D = 4
fractions = st.fractions(-10, 10, max_denominator=1000)
numbers = st.one_of(fractions, st.floats(-10, 10), st.integers(-10, 10))
kappas = st.sampled_from([7, 9, 11, 13])


@st.composite
def starts(draw):
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    return random_I0(generator, D, generator.uniform(1e-3, 1 / (2 * D), 1))[:, 0]


def box(start, radius=1e-9):
    """Balls around each entry, relative radius."""
    return [ball(x, radius * x) for x in start]


def forty_digits(start, kappa):
    """The limit, as exact fractions within 1e-38, from its scalar equation in mpmath."""
    with mpmath.workdps(45):
        p = kappa - 3
        a = [mpmath.mpf(x) for x in start]
        c = [x**-p - a[0] ** -p for x in a]

        def entries(top):
            return [(top**-p + c_j) ** (mpmath.mpf(-1) / p) for c_j in c]

        def excess(top):
            return sum(x ** (kappa - 1) for x in entries(top)) - 1

        root = mpmath.findroot(excess, (0.5, 1), solver="anderson", tol=1e-80)
        return [Fraction(mpmath.nstr(x, 42)) for x in entries(root)]


def meet(enclosures, values, error):
    """Whether every value, known up to an error, may lie in its enclosure."""
    with ctx.workprec(200):
        pairs = zip(enclosures, values, strict=True)
        return all(e.overlaps(ball(x, error)) for e, x in pairs)


@given(numbers, st.integers(1, 5))
def test_a_ball_encloses_its_number_and_reaches_as_far_as_its_radius(value, radius):
    exact = Fraction(value)
    denominator = exact.denominator
    assert (ball(value) * denominator).contains(exact.numerator)
    assert (ball(value) - ball(exact)).contains(0)
    wide = ball(value, radius)
    assert wide.contains(ball(value)) and wide.overlaps(ball(exact + radius))
    assert not wide.overlaps(ball(exact + radius + Fraction(1, 1000)))


def test_a_float_is_taken_as_it_is_stored():
    assert ball(0.1).is_exact() and ball(0.1) == 0.1
    with ctx.workprec(100):
        assert not ball(0.1).overlaps(ball(Fraction(1, 10)))


@given(numbers, numbers, st.fractions(0, 1, max_denominator=100))
def test_a_segment_covers_its_ends_and_what_lies_between_but_no_more(x, y, weight):
    low, high = sorted([Fraction(x), Fraction(y)])
    for point in (low, high, low + weight * (high - low)):
        assert segment(low, high).overlaps(ball(point))
    assert segment(x, y).contains(segment(low, low + Fraction(1, 2) * (high - low)))
    for beyond in (low - Fraction(1, 1000), high + Fraction(1, 1000)):
        assert not segment(low, high).overlaps(ball(beyond))


@pytest.mark.slow
@given(fractions, st.fractions(Fraction(1, 50), 1, max_denominator=100))
def test_a_true_inequality_is_proved_and_a_touching_or_false_one_is_not(root, margin):
    sides = [(root - 1, root + 2)]
    assert proves(lambda x: (x - ball(root)) ** 2 + ball(margin) > 0, sides, most=2000)
    # equal at one point inside, wrong around it, then wrong in half of the box
    assert not proves(lambda x: (x - ball(root)) ** 2 > 0, sides, most=200)
    assert not proves(lambda x: (x - ball(root)) ** 2 > ball(margin) / 4, sides, most=200)
    assert not proves(lambda x: x > ball(root), sides, most=200)


def test_in_two_variables_and_up_to_equality_on_the_boundary():
    def means(x, y):
        return x**2 + y**2 + 0.1 > 2 * x * y

    assert proves(means, [(0, 1), (0.0, Fraction(1))], most=5000)
    assert not proves(lambda x, y: x**2 + y**2 > 2 * x * y, [(0, 1), (0, 1)], most=500)
    assert proves(lambda x: x > 0, [(Fraction(1, 100), 1)], most=50)
    assert not proves(lambda x: x > 0, [(0, 1)], most=50)


@pytest.mark.parametrize("most", [1, 10, 30])
def test_no_more_parts_than_allowed_are_looked_at(most):
    parts = []

    def holds(x):
        parts.append(x)
        return x * (1 - x) < 0.26

    assert proves(holds, [(0, 1)], most=1000)
    assert len(parts) > 30
    parts.clear()
    assert not proves(holds, [(0, 1)], most=most)
    assert len(parts) <= most


@settings(max_examples=min(20, settings().max_examples))
@given(starts(), kappas)
def test_the_enclosed_limit_is_the_float_one_and_that_of_points_in_the_box(start, kappa):
    enclosures = closed_form_limit(box(start), kappa)
    # Floats: some operations at 1e-16, entries below one. Forty digits: 1e-40, with room.
    assert meet(enclosures, flow.closed_form_limit(start, kappa), 1e-14)
    for corner in ([0, 0, 0, 0], [1, -1, 1, -1], [-1, 0.5, 0, 1]):
        inside = start * (1 + 0.99e-9 * np.array(corner))
        assert meet(enclosures, forty_digits(inside, kappa), 1e-36)
    # The last entry moves by about 1e-6 of itself, the enclosure is some 1e-9 wide.
    outside = (1 + 1e-6) * start
    assert not meet(enclosures, flow.closed_form_limit(outside, kappa), 1e-14)
    assert not meet(enclosures, forty_digits(outside, kappa), 1e-36)


@settings(max_examples=min(20, settings().max_examples))
@given(starts(), kappas)
def test_a_larger_box_has_larger_enclosures(start, kappa):
    assume(start[1] < 0.99 * start[0])
    enclosures = [closed_form_limit(box(start, r), kappa) for r in (1e-9, 1e-6, 1e-3)]
    for small, large in pairwise(enclosures):
        pairs = list(zip(small, large, strict=True))
        assert all(b.contains(a) for a, b in pairs)
        assert not any(a.contains(b) for a, b in pairs)


@pytest.mark.parametrize(
    "start",
    [
        box([0.1, 0.1, 0.05]),
        box([0.1, 0.0999, 0.05], 1e-3),
        box([0.1, 0.2]),
        [ball(0.1), ball(-0.05)],
        [ball(0.1), ball(0.05, 0.05)],
        [ball(1), ball(0.5)],
        box([0.9999, 0.05], 1e-3),
    ],
)
def test_boxes_with_a_tie_a_negative_entry_or_beyond_the_solutions_are_refused(start):
    with pytest.raises(ValueError, match="allowed"):
        closed_form_limit(start, 7)


def test_the_last_part_counts_too():
    assert proves(lambda x: True, [(0, 1)], most=1)
    assert not proves(lambda x: False, [(0, 1)], most=1)


@pytest.mark.parametrize(("start", "words"), [
    ([0.5, 0.5], "a box in which a_1 > a_j > 0"),
    ([0.5, 0.0], "a box in which a_1 > a_j > 0"),
    ([0.9, 0.89], r"a box with sum of a_j^6 below 1"),  # 1.03; with powers of eight 0.8
])  # fmt: skip
def test_starts_on_an_edge_are_refused_in_words(start, words):
    with pytest.raises(ValueError, match=f"^start: allowed: {re.escape(words)}$"):
        closed_form_limit(start, 7)


def test_the_largest_starts_are_taken():
    start = [0.88, 0.87]  # the sum of fifth powers is 1.03, that of sixth ones 0.9
    assert meet(closed_form_limit(start, 7), flow.closed_form_limit(np.array(start), 7), 1e-12)


@given(kappas)
def test_a_limit_of_entries_nearly_tied_is_enclosed(kappa):
    """There a_1 is smallest: d entries share the one between them."""
    enclosed = closed_form_limit([ball(0.5), *[ball(0.5 * (1 - 1e-13))] * 3], kappa)
    for entry in enclosed:
        assert meet([entry], [4 ** (-1 / (kappa - 1))], 1e-8)
