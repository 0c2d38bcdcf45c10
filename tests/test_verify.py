"""The checker's steps by a second route: none admits more than its argument, or much less."""

from itertools import pairwise

import numpy as np
import pytest
from flint import arb, arb_poly, ctx
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import Polynomial
from scipy.optimize import brentq
from scipy.optimize.elementwise import find_root

from support import certificate, verify
from support.certificate import SLACK, Refused, cone, errors

CASES = [
    (20, 9, 1e-3, 0.5, 1e-10),
    pytest.param((8, 7, 1e-2, 0.5, 2.4e-6), marks=pytest.mark.slow),
    pytest.param((12, 7, 1e-3, 0.7, 1e-6), marks=pytest.mark.slow),
]


def searched(case):
    """A cone's record with claims close to what its limits allow."""
    found = cone(*case)
    least = errors(found, [2, 3])
    return found | {"claims": {str(lag): float(e.lower()) - 1e-3 for lag, e in least.items()}}


@pytest.fixture(scope="module", params=CASES)
def record(request):
    return searched(request.param)


@pytest.fixture(params=CASES)
def fresh(request):
    """The same, searched for by the test itself: mutants of the search meet the tests that call
    it."""
    return searched(request.param)


def refused(record, words=None):
    with pytest.raises(verify.Unproved, match=words):
        verify.cone(record)


def balls(low, high):
    return [arb(x).union(arb(y)) for x, y in zip(low, high, strict=True)]


def spoil(record, row, column, factor):
    """The record with one entry of its table multiplied."""
    rows = list(record["rows"])
    rows[row] = [x * (factor if i == column else 1) for i, x in enumerate(rows[row])]
    return record | {"rows": rows}


def test_every_row_asks_for_what_search_and_checker_both_derive_and_no_more(record):
    """The search leaves a slack twice; without it and a third of it more, the checker refuses."""
    d, k, wide = record["d"], record["kappa"] - 1, record["wide"]
    rows = list(pairwise(record["rows"]))
    for now, then in (*rows[:12], *rows[12::40], *rows[-3:]):
        entering = now[0] < wide
        with ctx.workprec(verify.BITS):
            a = verify._between(d, k, now, then, entering)
            for column, worse, words in ((1, 1, "y_3"), (2, -1, "v / w"), (3, -1, "sum a - 1")):
                bolder = list(then)
                bolder[column] *= 1 + worse * 2.3 * SLACK
                with pytest.raises(verify.Unproved, match=f"^{words}$"):
                    verify._between(d, k, now, bolder, entering)
        # what it says of limits in between: sum a = 1, spread, place and lead as in the rows
        for w in np.linspace(now[0], then[0], 3):
            for lead, place in ((0, 1), (then[2], now[1])):
                top = (1 + w * (lead + (d - 3) * place + 1)) / d
                for ball, x in zip(a, (top, top - w * lead, top - w * place), strict=True):
                    assert x - 1e-12 < ball.upper() and ball.lower() < x + 1e-12
        assert a[0].lower() > (1 + now[0] * (1 + (d - 3) * now[1])) / d - 1e-9
        assert a[0].upper() < (1 + then[0] * (d - 2 + then[2])) / d + 1e-9


def test_a_table_goes_on_and_holds(record):
    d, k, wide = record["d"], record["kappa"] - 1, record["wide"]
    now, then = record["rows"][100:102]
    for wrong, words in [
        ([now[0], *then[1:]], "a_d below"),
        ([then[0], 0.0, *then[2:]], "a_d below"),
        ([now[0] * 1.5, *then[1:]], "v / w|y_3|sum a"),
        ([3.0, *then[1:]], "a_d below"),
    ]:
        with pytest.raises(verify.Unproved, match=words), ctx.workprec(verify.BITS):
            verify._between(d, k, now, wrong, now[0] < wide)


def test_the_checker_goes_as_far_as_its_argument_and_no_farther():
    """Rows with a given a_d / a_1: above -1/2, and so that sum a^p stays positive."""

    def refusal(d, w, ratio):
        y = (d * w / (1 - ratio) - 1 - w) / (d - 3) / w  # from d a_1 = 1 + w (1 + (d - 3) y)
        try:
            with ctx.workprec(verify.BITS):
                verify._between(d, 6, [w, y, 0.0, 0.0], [w + 1e-9, y, 0.0, 0.0], False)
        except verify.Unproved as refused:
            return str(refused)

    for ratio in (-0.499, -0.501, -1.0):
        assert (refusal(8, 2.0, ratio) == "a_d below -a_1 / 2") == (ratio < -0.5)
    least = -((1 / 59) ** 0.2)  # for 60 entries and fifth powers
    for ratio, vanishes in ((least * 1.002, True), (least * 0.998, False)):
        assert (refusal(60, 1.0, ratio) == "sum a^p") == vanishes


def test_where_the_residual_is_negative_the_sum_of_entries_goes_to_one():
    """So far out no path goes on, and rows may forget what they said of it, but nothing else."""
    now = [3.0, 0.9, 1e-6, 0.1]
    with ctx.workprec(verify.BITS):
        verify._between(8, 6, now, [3.003, 0.9, 1e-5, 0.0], False)
        with pytest.raises(verify.Unproved, match=r"^sum a - 1$"):
            verify._between(8, 6, now, [3.003, 0.9, 1e-5, -1e-9], False)


def test_four_entries_are_enough():
    verify.cone(searched((4, 9, 1e-4, 0.8, 1e-14)))


def test_a_table_has_no_gaps_and_its_words_are_believed_only_where_shown(record):
    rows = record["rows"]
    refused(record | {"rows": [*rows[:300], *rows[320:]]})
    refused(record | {"wide": 1.0})  # then no y_3 below the end may have grown
    for lag, least in record["claims"].items():
        refused(record | {"claims": {lag: least + 0.01}}, f"^error at lag {lag}$")


@settings(max_examples=min(20, settings().max_examples))
@given(st.data())
def test_no_row_may_be_bolder(record, data):
    """Any entry of the table made to say more, alone."""
    row = data.draw(st.integers(1, len(record["rows"]) - 1), "row")
    column, worse = data.draw(st.sampled_from([(1, 1), (2, -1), (3, -1)]), "column")
    by = data.draw(st.floats(-5.6, -0.1).map(lambda x: 10**x), "by")
    refused(spoil(record, row, column, 1 + worse * by))


def first_stretch(d, kappa, wide):
    """In floats: how the entries grow until h = 0, and v / w, if w stays below `wide`."""
    k, p, top, begin = kappa - 1, kappa - 2, wide + 1 / d, (kappa - 2) * np.log(d) / d
    left = np.exp(-d * begin)
    time = begin + left / (k * (1 - top**p) * ((1 - left) / d) ** p * d)
    growth = np.exp(time * k * p * top ** (p - 1))
    return growth, np.exp(time * k * wide * top ** (p - 2) * p * (p - 1) / 2)


@pytest.mark.parametrize(("d", "kappa"), [(8, 7), (20, 9), (12, 7)])
def test_the_search_s_first_stretch_is_as_long_as_its_formulas_say(d, kappa):
    """It takes scales that stay below 9/8 of themselves."""
    most = 1 / d
    if d == 8:  # there entries grow by an eighth before they are as large as that
        most = brentq(lambda x: first_stretch(d, kappa, 9 / 8 * x)[0] - 9 / 8, 1e-6, 0.95 / d)
    with pytest.raises(Refused, match=r"^no certificate: alpha = .* is too large$"):
        certificate._first_stretch(d, kappa, most * (1 + 1e-9))
    for alpha in (most * (1 - 1e-9), most / 10):
        wide, rise = certificate._first_stretch(d, kappa, alpha)
        assert wide == pytest.approx(9 / 8 * alpha, rel=2 * SLACK)
        assert float(rise) == pytest.approx(first_stretch(d, kappa, 9 / 8 * alpha)[1], rel=1e-9)


@pytest.mark.parametrize("case", [*CASES, (10, 7, 1e-2, 0.5, 1.6e-6)])
def test_the_first_stretch_admits_what_its_formulas_say(case):
    record = searched(case)
    grown, rise = first_stretch(record["d"], record["kappa"], record["wide"])
    widest = record["wide"] / grown
    verify.cone(record | {"alpha": widest * (1 - 1e-9)})
    refused(record | {"alpha": widest * (1 + 1e-9)}, "^first stretch$")
    ahead = record["rows"][0][2]
    verify.cone(record | {"lead": ahead / rise * (1 - 1e-9)})
    refused(record | {"lead": ahead / rise * (1 + 1e-9)}, "^first row, v / w$")
    for alpha in (0.0, -1e-3):
        refused(record | {"alpha": alpha}, "^first stretch$")
    for lead in (0.0, -1e-9):
        refused(record | {"lead": lead}, "^first row, v / w$")
    for place in (record["rows"][0][1] * (1 - 1e-9), 1.0, 1.5):
        refused(record | {"place": place}, "^first row$")
    for column, value in ((0, 1e-9), (1, 0.0), (1, -0.5), (3, 1e-9), (3, -1e-9)):
        rows = [list(record["rows"][0]), *record["rows"][1:]]
        rows[0][column] = value
        refused(record | {"rows": rows}, "^first row$")


def test_starts_as_large_as_one_by_d_are_refused(record):
    d = record["d"]
    refused(record | {"alpha": 1 / d, "wide": 1 - 1.01 / d}, "^first stretch$")
    refused(record | {"wide": 1 - 0.99 / d}, "^first stretch$")
    refused(record | {"alpha": 1.1 / d, "wide": 1.6 / d}, "^first stretch$")


def test_what_the_limits_are_is_what_the_table_says(fresh):
    record = fresh
    for name in ("v", "size"):
        verify.cone(record | {name: record[name] * (1 - 0.7 * SLACK)})
        refused(record | {name: record[name] * (1 - 2.3 * SLACK)}, "^limits$")
        refused(record | {name: 0.5}, "^limits$")
    for name, value, words in [
        ("d", 3, "d from 4"), ("d", 8.0, "d from 4"), ("kappa", 5, "kappa odd, from 7"),
        ("kappa", 8, "kappa odd, from 7"), ("kappa", 7.0, "kappa odd, from 7"),
    ]:  # fmt: skip
        refused(record | {name: value}, f"^{words}$")
    for lag in ("2.9", "-2", "two"):
        refused(record | {"claims": {lag: 0.1}}, f"^lag {lag}$")
    refused(record | {"claims": {"0": 0.1}}, "^lags from 1$")


def test_a_table_ends_where_no_path_goes_on(record):
    """R > 0 on every path, and there sum a^(kappa-1) >= 1 with the last row's spread."""
    d, k = record["d"], record["kappa"] - 1

    def highest(row):
        w, y, ahead, _ = row
        a_1 = (1 + w * (1 + (d - 3) * y)) / d
        return a_1**k + max(a_1 - w * ahead, 0) ** k

    ends = [highest(row) > 1 for row in record["rows"]]
    assert ends == [False] * (len(ends) - 1) + [True]
    refused(record | {"rows": record["rows"][:-1]}, "^a path may pass the end of the table$")
    only = record["rows"][:5]  # all spreads below `wide`: there paths may begin
    refused(record | {"rows": only}, "^a path may pass")


def least_error(record, lag):
    """Of all points with a_1^k + a_2^k + ... = 1, v and the other entries as the record says:
    a_1 is found for each v and each sum of the others' powers, on a grid."""
    d, k, size = record["d"], record["kappa"] - 1, record["size"]
    v, rest = np.linspace(0, record["v"], 21), np.linspace(0, (d - 2) * size**k, 3)[:, None]
    a = find_root(lambda a, v, rest: a**k + (a - v) ** k + rest - 1, (0.5, 1), args=(v, rest)).x
    pair = a**lag + (a - v) ** lag
    low = -(d - 2) * size**lag if lag % 2 else 0
    if lag == 2:  # the others' sum is known: so many entries have squares of so much
        low = (1 - 2 * a + v) ** 2 / (d - 2)
    return np.maximum(np.maximum(pair + low - 1, 1 - pair - (d - 2) * size**lag), 0).min()


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 7, 12])
def test_limits_err_as_claimed_and_no_more(record, lag):
    claims_are_checked(record, lag)


@pytest.mark.parametrize("lag", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("size", [0.15, pytest.param(0.4, marks=pytest.mark.slow), 0.5])
def test_limits_with_large_entries_err_as_claimed_and_no_more(size, lag):
    """Larger than in any record, where every term counts."""
    claims_are_checked({"d": 8, "kappa": 7, "v": 0.1, "size": size}, lag)


def claims_are_checked(record, lag):
    least = least_error(record, lag)
    d, k = record["d"], record["kappa"] - 1

    def shown(claim):
        with ctx.workprec(verify.BITS):
            verify._limits(d, k, arb(record["v"]), arb(record["size"]), lag, arb(claim))

    if least:
        shown(least - 1e-3)
    with pytest.raises(verify.Unproved, match=f"^error at lag {lag}$"):
        shown(least + 1e-3)


def test_the_search_s_errors_are_those_of_its_limits(fresh):
    errors_are_as_close_as_pieces_allow(fresh, [1, 2, 3, 7, 12])


def errors_are_as_close_as_pieces_allow(record, lags):
    """A piece of the range of v leaves a_1 and a_2 open by about half its width, each; near the
    eighth root of one half their powers have slopes of up to about five."""
    for lag, found in errors(record, lags).items():
        least = least_error(record, lag)
        open_by = 5 * record["v"] / certificate.PIECES
        assert least - open_by < max(float(found.lower()), 0.0) <= least + 1e-6


@pytest.mark.parametrize("size", [0.15, 0.4, 0.5])
def test_the_search_s_errors_of_large_entries(size):
    """Larger than in any record, where every term counts."""
    made_up = {"d": 8, "kappa": 7, "v": 0.1, "size": size}
    errors_are_as_close_as_pieces_allow(made_up, [1, 2, 3, 4, 7])


@pytest.mark.parametrize(("v", "size"), [(0.6, 0.1), (0.1, 0.7)])
def test_errors_of_limits_too_wide_for_their_bound_are_refused(v, size):
    words = f"^no certificate: v up to {v} at the limit: too large for a bound$"
    with pytest.raises(Refused, match=words):
        errors({"d": 8, "kappa": 7, "v": v, "size": size}, [2])


def test_what_is_claimed_at_lag_one_counts_the_other_entries(record):
    least = least_error(record, 1)
    refused(record | {"claims": {"1": least + 1e-3}}, "^error at lag 1$")


def test_powers_and_chords(record):
    d, p = record["d"], record["kappa"] - 2
    a = np.array([0.7, 0.5, -0.1])
    assert float(verify._sum(list(map(arb, a)), d, 5)) == pytest.approx(a**5 @ [1, 1, d - 2])
    for x, y in ((0.3, 0.8), (-0.4, 0.9), (1.0, -0.2)):
        q = [sum(z**i for i in range(p)) for z in (x, y)]
        assert float(verify._q(arb(x), p)) == pytest.approx(q[0])
        chord = float(verify._chord(arb(x), arb(y), p))
        assert chord == pytest.approx((q[0] - q[1]) / (x - y))
    w, y, lead, u = 0.3, 0.6, 0.01, 0.2
    entries = verify._entries(d, arb(w), arb(y), arb(lead), arb(u))
    least, most = (1 + w * (1 + (d - 3) * y)) / d, (1 + u + w * (1 + d - 3 + lead)) / d
    ends = [(least, most), (least - w * lead, most), (least - w, most - w * y)]
    for ball, (low, high) in zip(entries, ends, strict=True):
        assert [float(ball.lower()), float(ball.upper())] == pytest.approx([low, high])


@given(st.integers(0, 2**32), st.sampled_from([6, 8, 10]))
def test_growth_bounds_the_jacobian_and_is_the_formula_s(seed, k):
    generator = np.random.default_rng(seed)
    centre = generator.uniform(-0.8, 0.8, 5)
    low, high = centre - 1e-3, centre + 1e-3
    bound = float(verify._growth(balls(low, high), k))
    a = generator.uniform(low, high)
    R, slope = 1 - (a**k).sum(), a ** (k - 1)
    jacobian = k * (k - 1) * R * np.diag(a ** (k - 2)) - k * k * np.outer(slope, slope) - 1
    assert np.linalg.eigvalsh(jacobian).max() <= bound + 1e-12
    highest = 1 - (np.clip(abs(centre) - 1e-3, 0, None) ** k).sum()
    formula = k * (k - 1) * max(highest, 0) * (abs(centre).max() + 1e-3) ** (k - 2)
    assert formula * (1 - 1e-9) <= bound <= formula * 1.01 + 1e-4


def test_growth_is_none_where_the_residual_is_negative():
    assert verify._growth(balls([1.1, 0.2], [1.2, 0.3]), 6) == 0


def test_the_norm_is_that_of_the_farthest_corner():
    assert float(verify._norm(balls([-3, 1], [2, 4]))) == pytest.approx(5, rel=1e-8)
    norm = verify._norm([arb(3), arb(5)])
    with ctx.workprec(200):
        assert norm**2 > 34  # no square of its digits: it is rounded up


@given(st.integers(0, 2**32), st.floats(0.01, 2))
def test_what_polynomials_miss_is_in_their_coefficients(seed, half):
    k, columns = 6, np.random.default_rng(seed).uniform(-0.6, 0.6, (3, 4))
    p = [Polynomial(c) for c in columns]
    R, h = 1 - sum(q**k for q in p), 1 - sum(p)
    missed = [q.deriv() - half * (k * R * q ** (k - 1) + h) for q in p]
    bound = 2 * np.linalg.norm([abs(m.coef).sum() for m in missed])
    found = verify._missed([arb_poly(c.tolist()) for c in columns], arb(half), k)
    assert float(found) == pytest.approx(bound)


@pytest.fixture
def still(monkeypatch):
    """A box around a point near one that rests, (1, 0, 0), which polynomials of degree zero and one
    follow; and what the checker hands to its last stretch."""
    end, seen = balls([0.9, 0.2, 0.1], [0.91, 0.21, 0.11]), []
    monkeypatch.setattr(
        verify, "closed_form_limit", lambda box, kappa: seen.append((box, kappa)) or end
    )
    monkeypatch.setattr(verify, "_limit", lambda a, E, k: seen.append((a, E, k)) or (end, E))
    one, before = 1 << 20, (1 << 20) - 3
    pieces = [(0.3, [[before, 2, 7], [1, 0, 0]]), (0.5, [[one - 1, 3, 5]])]
    claims = {"poisoned": 0.115, "clean": 0.231, "lags": 2}
    box = dict(start=["1", "1e-6", "1e-5"], half_width="1e-6", kappa=7, bits=20, pieces=pieces)
    return box | {"claims": claims}, seen, end


def test_a_box_grows_as_the_argument_says(still):
    """In floats: what is missed from the polynomials, growth from the corners of the tube."""
    box, seen, end = still
    found, unit, k, parts = verify.box(box), 2.0**-20, 6, verify.PARTS
    E, growth, here = 0.0, 0.0, np.array([1, 1e-6, 1e-5])
    reach = np.full(3, 1e-6)
    for duration, rows in box["pieces"]:
        p, half = [Polynomial(np.array(c) * unit) for c in zip(*rows, strict=True)], duration / 2
        E += np.linalg.norm(abs(here - [q(-1) for q in p]) + reach)
        R, h = 1 - sum(q**k for q in p), 1 - sum(p)
        missed = [q.deriv() - half * (k * R * q ** (k - 1) + h) for q in p]
        rest = 2 * np.linalg.norm([abs(m.coef).sum() for m in missed])
        tube = 4 * (E + rest)
        for i in range(parts):
            ends = [[q(2 * s / parts - 1) for q in p] for s in (i, i + 1)]
            low, high = np.min(ends, axis=0) - tube, np.max(ends, axis=0) + tube
            R = 1 - (np.where(low * high < 0, 0, np.minimum(abs(low), abs(high))) ** k).sum()
            mu = k * (k - 1) * max(R, 0) * max(abs(low).max(), abs(high).max()) ** (k - 2)
            mu *= duration / parts
            E, growth = np.exp(mu) * (E + rest / parts), growth + mu
        here, reach = np.array([q(1) for q in p]), 0
    (centre, distance, power), (start, kappa) = seen
    assert kappa == 7 and [round(float(x), 9) for x in start] == [1.0, 1e-6, 1e-5]
    assert found["s1"] is end and found["s2"] is end
    assert power == k and [float(x) for x in centre] == here.tolist()
    assert growth <= found["growth"] < 1.002 * growth  # balls are a little wider
    assert E <= float(distance) < 1.0002 * E
    assert found["radius"] == float(distance)


def test_growth_is_asked_for_along_the_whole_tube(still, monkeypatch):
    """Part after part of the time of a piece, each as far around as the tube is wide."""
    box, *_ = still
    seen, one = [], 1 << 20
    monkeypatch.setattr(verify, "_growth", lambda a, k: seen.append(a) or arb(0))
    verify.box(box | {"pieces": [(0.5, [[one, one // 2, 0], [one // 4, -one // 8, one // 16]])]})
    slopes, middles = np.array([0.25, -0.125, 0.0625]), np.array([1.0, 0.5, 0.0])
    assert len(seen) == verify.PARTS
    around = []
    for i, part in enumerate(seen):
        ends = [middles + (2 * j / verify.PARTS - 1) * slopes for j in (i, i + 1)]
        around += (
            [float(x.upper()) for x in part] - np.max(ends, axis=0),
            (np.min(ends, axis=0) - [float(x.lower()) for x in part]),
        )
    assert np.min(around) > 0 and np.ptp(around) < 1e-6 * np.max(around)


def test_claims_are_those_of_the_limits(still):
    box, *_ = still
    verify.box(box | {"kappa": 9})
    verify.box(box | {"claims": box["claims"] | {"lags": 1}})
    verify.box(box)  # errors of 0.2 to 0.23, 0.1157 to 0.14, 0.235 to 0.262 at lags 1 to 3
    for name, value, words in [
        ("poisoned", 0.116, "^error under S_2 is "), ("clean", 0.229, "^error under S_1, lag 1: "),
        ("lags", 3, "^error under S_1, lag 3: "), ("lags", 0, "^no lag is claimed$"),
    ]:  # fmt: skip
        with pytest.raises(verify.Unproved, match=words):
            verify.box(box | {"claims": box["claims"] | {name: value}})


@pytest.mark.parametrize(("name", "value", "words"), [
    ("kappa", 8, "kappa odd, from 7"), ("kappa", 5, "kappa odd, from 7"),
    ("kappa", 7.0, "kappa odd, from 7"), ("half_width", 1e-6, "half_width is no decimal"),
    ("pieces", [(0.0, [[1 << 20, 0, 0]])], "time goes forward"),
    ("pieces", [(-0.1, [[1 << 20, 0, 0]])], "time goes forward"),
    ("half_width", "0.3", r"the distance may exceed \d\.\de\+\d\d on piece 0"),
])  # fmt: skip
def test_what_no_box_can_be_is_refused(still, name, value, words):
    with pytest.raises(verify.Unproved, match=f"^{words}$"):
        verify.box(still[0] | {name: value})
