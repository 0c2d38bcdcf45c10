"""Certificates hold where they should, contain the truth, and are refused everywhere else."""

import copy
import itertools
from fractions import Fraction

import numpy as np
import pytest
from enclosure import STORED, trajectory
from flint import arb, arb_poly, fmpz_poly
from hypothesis import given, settings
from hypothesis import strategies as st

from support import certificate, verify
from support.certificate import Refused, cone, errors
from support.datasets import theorem_sets
from support.experiments import HORIZON
from support.flow import GradientFlow
from support.passage import passages
from support.ssm import theorem_teacher

START = ["0.001", "0.00099999", "0.00045", "0.00038", "0.00031", "0.00024", "0.00017", "0.0001"]
CLAIMS = {"poisoned": 0.6, "clean": 0.0143, "lags": 41}
# Corners of the box, in units of its half-width, and random points of it.
POINTS = np.vstack(
    [[1, -1] * 4, [-1, 1] + [1] * 6, [-1] * 8, np.random.default_rng(5).uniform(-1, 1, (2, 8))]
)


@pytest.fixture(scope="module")
def pieces():
    return trajectory([Fraction(x) for x in START], 7)


def box(pieces, half_width="1e-13", start=START, **claims):
    return dict(
        start=start,
        half_width=half_width,
        kappa=7,
        bits=STORED,
        pieces=pieces,
        claims=CLAIMS | claims,
    )


def by_taylor(starts, kappa, time, order=30, bits=266):
    """The flow under S_2 from starts [d, members], fractions, in 80-digit integers; the terms of
    the series are cut off at 1e-25."""
    one = 1 << bits
    a = np.vectorize(lambda x: int(x * one), otypes=[object])(starts)

    def term(x, y):
        return sum(x[i] * y[len(x) - 1 - i] for i in range(len(x))) >> bits

    while time > 0:
        powers = [None, [a], *([] for _ in range(2, kappa))]
        c, R = powers[1], []
        for n in range(order):
            for m in range(2, kappa):
                powers[m].append(term(powers[m // 2], powers[m - m // 2][: n + 1]))
            R.append(one * (n == 0) - powers[-1][n].sum(axis=0))
            h = one * (n == 0) - c[n].sum(axis=0)
            c.append(((kappa - 1) * term(R, powers[-2]) + h) // (n + 1))
        last = max(float(abs(c[-i]).max() / one) ** (1 / (order + 1 - i)) for i in (1, 2))
        step = min(time, Fraction(1), Fraction(10 ** (-25 / order) / max(last, 0.1)))
        step = Fraction(round(step * 2**40), 2**40) if step < time else step
        a, time = sum(x * int(step**n * one) >> bits for n, x in enumerate(c)), time - step
    return a / one


@pytest.fixture(scope="module")
def moved(pieces):
    """How far from the end of the polynomials the points of the box are at that time."""
    exact = [Fraction(x) for x in START]
    starts = [[x + Fraction(c) / 10**13 for x, c in zip(exact, row, strict=True)] for row in POINTS]
    ends = by_taylor(np.array(starts, dtype=object).T, 7, sum(Fraction(step) for step, _ in pieces))
    centre = np.sum(np.array(pieces[-1][1], dtype=object), axis=0) / 2**STORED
    return np.sqrt(((ends - centre[:, None]) ** 2).sum(axis=0).astype(float))


@pytest.mark.slow
def test_the_box_is_certified(pieces):
    found = verify.box(box(pieces))
    assert found["radius"] < 5e-5 and verify.error(found["s2"], 2) > 0.65
    assert verify.error(found["s1"], 1) < 0.01424


@pytest.mark.slow
def test_true_trajectories_lie_in_the_enclosure(pieces, moved):
    assert moved.max() < verify.box(box(pieces))["radius"]


@pytest.mark.slow
def test_a_growth_of_the_wrong_sign_is_accepted_and_the_truth_finds_it_out(
    pieces, moved, monkeypatch
):
    def turned(a, k):
        R = (sum(x**k for x in a) - 1).upper()
        return k * (k - 1) * R.max(arb(0)) * max(abs(x).upper() for x in a) ** (k - 2)

    monkeypatch.setattr(verify, "_growth", turned)
    wrong = verify.box(box(pieces))
    assert wrong["radius"] < 1e-8  # far too good
    assert moved[0] > 100 * wrong["radius"]  # the corner +-+-...


@pytest.mark.slow
def test_a_polynomial_right_on_half_of_its_piece_is_refused(pieces, monkeypatch):
    """A path that follows one polynomial for twice its time, and then a trajectory from where
    that leads; a checker that looks at the first half of a piece accepts it, and is wrong."""
    rough = trajectory([Fraction(x) for x in START], 7, miss=1e-15)
    step, rows = rough[24]
    longer = [fmpz_poly(list(c))(fmpz_poly([1, 2])) for c in zip(*rows, strict=True)]
    rows = [[int(q[i]) for q in longer] for i in range(len(rows))]
    there = [Fraction(sum(column), 2**STORED) for column in zip(*rows, strict=True)]
    false = box([*rough[:24], (2 * step, rows), *trajectory(there, 7)], "0")
    with pytest.raises(verify.Unproved):
        verify.box(false)

    whole, halve = verify._missed, arb_poly([-0.5, 0.5])
    monkeypatch.setattr(
        verify, "_missed", lambda p, half, k: whole([q(halve) for q in p], half / 2, k)
    )
    accepted = verify.box(false)["s2"]
    monkeypatch.undo()
    truth = verify.box(box(pieces, "0"))["s2"]
    assert not all(x.overlaps(y) for x, y in zip(accepted, truth, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(("change", "words"), [
    (dict(half_width="1e-10"), "distance may exceed"),
    (dict(half_width="1e-13", clean=0.005), "under S_1, lag 1"),
    (dict(half_width="1e-13", poisoned=0.66), "under S_2"),
    (dict(half_width=None), "no decimal"),
    (dict(half_width="1e-13", lags=0), "no lag"),
])  # fmt: skip
def test_a_box_too_wide_and_claims_too_bold_are_refused(pieces, change, words):
    with pytest.raises(verify.Unproved, match=words):
        verify.box(box(pieces, **change))


@pytest.mark.slow
def test_no_box_claims_poison_far_from_a_tie():
    start = ["0.001", "0.0009", *START[2:]]
    far = trajectory([Fraction(x) for x in start], 7)
    verify.box(box(far, start=start, poisoned=0.001, clean=1))
    with pytest.raises(verify.Unproved, match="under S_2"):
        verify.box(box(far, start=start, poisoned=0.4, clean=1))


@pytest.mark.slow
@pytest.mark.parametrize("spoil", ["coefficient", "duration", "missing"])
def test_a_spoiled_box_is_refused(pieces, spoil):
    wrong = copy.deepcopy(pieces)
    if spoil == "coefficient":
        wrong[30][1][3][2] += 2 ** (STORED - 30)
    elif spoil == "duration":
        wrong[30] = (wrong[30][0] * 1.01, wrong[30][1])
    else:
        del wrong[60]
    with pytest.raises(verify.Unproved):
        verify.box(box(wrong))


CASES = [
    (8, 7, 1e-2, 0.5, 2.4e-6),
    (10, 7, 1e-2, 0.5, 1.6e-6),
    (12, 7, 1e-3, 0.7, 1e-6),
    (8, 9, 1e-2, 0.5, 7e-9),
    (20, 9, 1e-3, 0.5, 1e-10),
]


def certified(case, **options):
    record = cone(*case, **options)
    least = {lag: float(e.lower()) for lag, e in errors(record, [2, case[1], case[1] + 1]).items()}
    return record | {"claims": {str(lag): e - 1e-3 for lag, e in least.items()}}


@pytest.mark.parametrize("case", CASES)
def test_a_cone_is_certified_and_the_checker_agrees(case):
    record = certified(case)
    assert record["claims"]["2"] > 0.6
    verify.cone(record)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES[:4])
def test_true_flows_from_a_cone_keep_to_its_table_and_end_where_it_says(case):
    """Random starts, and extreme ones: at the edge of the cone, all others tied or spread out."""
    d, kappa, alpha, place, lead = case
    record, generator = cone(*case), np.random.default_rng(0)
    starts = []
    for i in range(12):
        last = generator.uniform(0, 1) if i % 2 else 1e-3
        others = np.sort(generator.uniform(place, 1, d - 3)) if i % 3 else np.full(d - 3, place)
        others = others * (1 - 1e-9) + 1e-9 * np.linspace(0.5, 1, d - 3)
        gaps = (1 - last) * np.array([0, lead * (1 - 1e-6 if i < 8 else 0.1), *others, 1])
        starts.append(
            alpha * generator.uniform(0.01, 1) * (1 - gaps) if i % 4 else alpha * (1 - gaps)
        )
    starts = np.array(starts).T
    limits = passages(starts, kappa, rtol=1e-7)
    assert limits.finished.all()
    a = limits.transition
    v = limits.gaps[1]
    assert (v <= record["v"]).all() and (abs(a[2:]) <= record["size"]).all()
    assert v.max() > record["v"] / 4  # not far below
    for lag, bound in errors(record, [2, 3, kappa, kappa + 1]).items():
        error = abs((a**lag).sum(axis=0) - 1)
        assert (error > float(bound.lower()) - 1e-6).all()
        assert (error < float(bound.upper()) + 1e-6).all()


@pytest.mark.parametrize("case", [
    (8, 7, 1e-2, 0.5, 1e-4),  # too wide a lead
    (8, 7, 1e-3, 0.5, 0.1),
    (8, 7, 1e-2, 0.02, 1e-6),  # others too near
    (8, 9, 1e-2, 0.5, 1e-6),
])  # fmt: skip
def test_a_cone_too_wide_is_refused(case):
    with pytest.raises(Refused):
        cone(*case)


@pytest.mark.parametrize(("name", "values", "allowed"), [
    ("d", [3, 8.5], "an integer, 4 or more"),
    ("kappa", [8, 5, 7.0], "an odd integer, 7 or more"),
    ("alpha", [0, 0.0625, 0.07], r"between 0 and 1 / \(2 d\) = 0\.0625"),
    ("place", [0, 1], "between 0 and 1"),
    ("lead", [-1e-6, 0, 1, float("nan")], "between 0 and 1"),
])  # fmt: skip
def test_what_no_cone_can_be_is_said(name, values, allowed):
    good = dict(d=8, kappa=7, alpha=1e-2, place=0.5, lead=1e-6)
    for value in values:
        with pytest.raises(ValueError, match=f"^{name} = {value}; allowed: {allowed}$"):
            cone(**good | {name: value})


def test_the_search_stops_where_its_argument_does():
    def refusal(d, row, w):
        try:
            certificate._cell(d, 7, row, w, False)
        except Refused as refused:
            return str(refused)
        return ""

    words = "no certificate: a_d / a_1 may fall below -1/2 at w = 2"
    for ratio in (-0.499, -0.501, -1.0):  # a_d / a_1 = 1 - w / a_1, 8 a_1 = 1 + w (1 + 5 y)
        y = (8 / (1 - ratio) - 1.5) / 5
        assert refusal(8, [2.0, y, 0.0, 0.0], 2.0 + 1e-9).startswith(words) == (ratio < -0.5)
    words = "no certificate: sum a^p may vanish at w = 1"
    least = -((1 / 59) ** 0.2)  # for 60 entries and fifth powers
    for ratio, vanishes in ((least * 1.002, True), (least * 0.998, False)):
        y = (60 / (1 - ratio) - 2) / 57
        assert refusal(60, [1.0, y, 0.0, 0.0], 1.0 + 1e-9).startswith(words) == vanishes


def test_a_first_stretch_of_negative_time_is_refused():
    """A spread of 7/8 puts the bound on R below zero, and the time it gives with it; a lead that
    shrinks in negative time, from one half to nearly nothing, would pass everything else."""
    wide, row, rows, ends = 0.875 + 1e-6, [0.0, 0.9, 1e-9, 0.0], [], []
    while not certificate._is_end(8, 7, *map(arb, row[:3])):
        rows.append(row)
        row, end = certificate._cell(8, 7, row, row[0] + wide / 30, row[0] < wide)
        ends += end
    v, size = (max(bounds) for bounds in zip(*ends, strict=True))
    false = dict(d=8, kappa=7, alpha=0.01, place=0.9, lead=0.5, wide=wide, v=v, size=size)
    with pytest.raises(verify.Unproved, match="first stretch"):
        verify.cone(false | dict(rows=[*rows, row], claims={"2": 0.6}))


@pytest.mark.slow
@settings(max_examples=25)
@given(
    st.integers(8, 40),
    st.sampled_from([7, 9, 11, 13]),
    st.floats(1e-9, 0.06),
    st.floats(0.01, 0.99),
    st.floats(-25, -1),
)
def test_a_cone_is_certified_or_refused_in_words(d, kappa, alpha, place, lead):
    try:
        record = certified((d, kappa, min(alpha, 0.4 / d), place, 10**lead))
    except Refused as refused:
        assert str(refused).startswith("no certificate: ")
    else:
        verify.cone(record)


@pytest.mark.parametrize(("least", "options"), [
    (0.6, {}), pytest.param(0.3, {"least": 0.3}, marks=pytest.mark.slow)
])  # fmt: skip
def test_the_widest_cone_is_certified_and_one_somewhat_wider_is_not(least, options):
    def certified(lead):
        """The least error at lag two that is certified, zero where nothing is."""
        try:
            return float(errors(cone(8, 7, 1e-3, 0.5, lead), [2])[2].lower())
        except Refused:
            return 0.0

    lead = certificate.widest(8, 7, 1e-3, 0.5, **options)["lead"]
    assert certified(lead) >= least > certified(lead * 10**0.0051)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("E", [1e-5, 1e-4])
def test_the_last_stretch_is_enclosed_by_no_more_than_its_argument_says(E, side):
    """Around a point near zero loss: true limits lie inside, and the radius is the formula's."""
    start = np.array([float(x) for x in START])
    flow = GradientFlow(theorem_sets(theorem_teacher(8), 7, [1.0], [1.0])[1])
    limit = flow.integrate(start, HORIZON).limit
    generator = np.random.default_rng(1)
    centre = limit + side * 1e-5 * generator.normal(size=8)
    balls, radius = verify._limit([arb(x) for x in centre.tolist()], arb(E), 6)
    radius = float(radius.upper())
    for ball, x in zip(balls, centre.tolist(), strict=True):
        assert ball.contains(arb(x)) and float(ball.rad()) == pytest.approx(radius, rel=1e-6)

    # The largest residuals over the box, by corners, and the bound on the least eigenvalue at the
    # corners of the ball that the path stays in, and at its centre. Over all of the ball that bound
    # is less: fifth powers of entries below one change by some six times its radius, their squares
    # by twice that, and balls forget what these have in common.
    signs = np.array(list(itertools.product((-1, 0, 1), repeat=8)))
    corners = centre + E * signs
    R, h = 1 - (corners**6).sum(axis=1), 1 - corners.sum(axis=1)
    size = np.hypot(abs(R).max(), abs(h).max())
    u = 6 * (centre + (2 * E + size) * signs) ** 5
    uu, u1 = (u * u).sum(axis=1), u.sum(axis=1)
    paths = size / np.sqrt((8 * uu - u1 * u1) / (uu + 8))
    at_centre = paths[len(paths) // 2]  # no sign is set
    assert at_centre < paths.max() <= radius - E < at_centre * (1 + 14 * (2 * E + size))

    for point in centre + E * generator.uniform(-1, 1, (8, 8)):
        end = flow.integrate(point, HORIZON, loss_below=1e-26).limit
        assert all(ball.contains(arb(x)) for ball, x in zip(balls, end.tolist(), strict=True))


@pytest.mark.parametrize(("centre", "E"), [
    ((0.6, 0.3, 0.05, 0.01), 0.1),
    ((1.0, 0.004), 0.0),  # by little: an eigenvalue above 0.9, where one is needed
])  # fmt: skip
def test_a_last_stretch_that_begins_too_far_off_is_refused(centre, E):
    with pytest.raises(verify.Unproved, match=r"^the end of the path may leave a ball of \d\.\de"):
        verify._limit([arb(x) for x in centre], arb(E), 6)
