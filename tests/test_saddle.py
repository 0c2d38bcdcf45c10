"""The saddle of the poisoned loss by other routes, and the ensemble flow that passes it."""

from fractions import Fraction

import numpy as np
import pytest
from flint import arb
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

from support import passage
from support.datasets import theorem_sets
from support.flow import GradientFlow
from support.landscape import (
    arrival_time,
    line_polynomial,
    line_rests,
    line_velocity,
    lipschitz_bound,
    log_alpha_I3,
    projections,
    random_I0,
    saddle,
    spectrum,
)
from support.passage import _jacobian, _step, _velocity, passages, residuals
from support.ssm import theorem_teacher

CASES = [(8, 7), (9, 9), (40, 13)]


def poisoned(d, kappa):
    """The flow under S_2 in the unit 2P/m = 1."""
    return GradientFlow(theorem_sets(theorem_teacher(d), kappa, [1.0], [1.0])[1])


def starts(d, members, seed=0):
    generator = np.random.default_rng(seed)
    return random_I0(generator, d, np.exp(generator.uniform(-9, np.log(0.4 / d), members)))


@pytest.mark.parametrize(("d", "kappa"), CASES)
def test_saddle_by_bisection_and_spectrum_by_the_jacobian(d, kappa):
    s = brentq(line_velocity, 1 / d, 3 / d, args=(d, kappa), xtol=1e-18, rtol=1e-15)
    assert saddle(d, kappa) == pytest.approx(s, rel=1e-14)
    (enclosure,) = line_rests(d, kappa)
    assert abs(enclosure - arb(s)) < 1e-14 and enclosure.rad() < 1e-30
    along, across = spectrum(s, d, kappa)
    # minus the Hessian: d - 1 equal eigenvalues, then -lambda_+ the smallest
    found = np.linalg.eigvalsh(poisoned(d, kappa).jacobian(np.full(d, s)))
    np.testing.assert_allclose(
        found, np.r_[-along, np.full(d - 1, -across)], rtol=0, atol=1e-13 * d
    )


def test_two_entries_and_length_eleven_have_three_points_of_rest():
    assert len(line_rests(2, 11)) == 3  # the proof's d >= 8 is not idle
    for a in line_rests(2, 11):
        assert line_velocity(a, 2, 11).contains(0)


def test_the_escape_is_interpolated_within_its_step():
    """In the logarithm of a_1 - a_d, between the two moments around its crossing of `level`."""
    start, seen = starts(8, 5), []
    found = passages(start, 7, level=0.05, watch=lambda *what: seen.append(what))
    assert {int(i) for which, _, _ in seen for i in which} == set(range(5))
    assert all(a.shape == (8, len(which)) == (8, len(times)) for which, times, a in seen)
    for member, escape in enumerate(found.escape):
        moments, gaps = [0.0], [np.log(start[0, member] - start[-1, member])]
        for which, times, a in seen:
            if member in which:
                (place,) = np.flatnonzero(which == member)
                moments.append(times[place])
                gaps.append(np.log(a[0, place] - a[-1, place]))
        wanted = np.interp(np.log(0.05), *np.array(sorted(zip(gaps, moments, strict=True))).T)
        assert moments[0] < escape < moments[-1] and escape == pytest.approx(wanted, rel=1e-9)


def test_a_step_that_overflows_is_taken_again(monkeypatch):
    start, calls = SPREAD * 0.5, []
    plain = passages(start, 7)

    def overflows(*where):
        after, error = _step(*where)
        calls.append(where)
        return (after, error) if len(calls) > 1 else (after * np.nan, error * np.nan)

    monkeypatch.setattr(passage, "_step", overflows)
    found = passages(start, 7, rtol=1e-6)
    assert found.finished.all() and found.finished.dtype == bool
    np.testing.assert_allclose(found.transition, plain.transition, atol=1e-4)


@pytest.mark.parametrize(("d", "kappa"), [(7, 7), (8, 5), (8, 8)])
def test_saddle_refuses_what_the_theorem_excludes(d, kappa):
    with pytest.raises(ValueError, match=f"d = {d}, kappa = {kappa}; allowed: "):
        saddle(d, kappa)


def test_polynomial_is_minus_the_velocity_exactly():
    for a in (Fraction(0), Fraction(1, 3), Fraction(-2, 7)):
        value = line_polynomial(8, 7)
        exact = sum(int(c) * a**k for k, c in enumerate(value.coeffs()))
        assert exact == -line_velocity(a, 8, 7)


def test_arrival_time_of_a_nearly_linear_flow():
    # d = 40, kappa = 13: on [0, 1/d] the field is 1 - d a to 1e-14
    r = 0.01 * 40**0.5  # the flow stops 0.01 short of s
    exact = -np.log(40 * 0.01) / 40
    assert float(arrival_time(r, 40, 13)) == pytest.approx(exact, rel=1e-9)


def test_largest_alpha_falls_with_the_lipschitz_constant():
    t_1 = float(arrival_time(0.01, 8, 7))
    low, high = log_alpha_I3(0.01, 8, 7, 10), log_alpha_I3(0.01, 8, 7, 11)
    assert low - high == pytest.approx(t_1, rel=1e-9)
    assert log_alpha_I3(0.01, 8, 7) < -1e6
    cube = spectrum(3, 8, 7)[0]  # the constant where none is given
    assert log_alpha_I3(0.01, 8, 7) == log_alpha_I3(0.01, 8, 7, cube)


def test_largest_alpha_is_that_of_the_definition():
    """By small steps of Heun's rule from -1/d for as long as the flow from zero takes."""
    r, d, kappa = 0.1, 8, 7
    t_1, n = float(arrival_time(r, d, kappa)), 40_000
    a, h = -1 / d, t_1 / n
    for _ in range(n):
        slope = line_velocity(a, d, kappa)
        a += h / 2 * (slope + line_velocity(a + h * slope, d, kappa))
    apart = d**0.5 * (saddle(d, kappa) - a) - r
    assert 0 < apart < 0.9999 * r
    expected = np.log(apart / (6 * d)) - 5 * t_1
    assert log_alpha_I3(r, d, kappa, 5) == pytest.approx(expected, abs=1e-6)


def test_lipschitz_bound_covers_the_hessians_of_its_set_within_a_factor():
    generator, flow = np.random.default_rng(1), poisoned(8, 7)
    a = generator.normal(size=(300, 8)) * generator.uniform(0, 1, (300, 8)) ** 4
    a *= ((1 + 2**0.5) / (a**6).sum(axis=1, keepdims=True)) ** (1 / 6)  # on the rim
    norms = [np.linalg.norm(flow.jacobian(x), 2) for x in a]
    assert lipschitz_bound(8, 7) / 2 < max(norms) <= lipschitz_bound(8, 7)
    r, two = 1 + 2**0.5, 2**0.5  # multiplied out, for k = 6
    assert lipschitz_bound(8, 7) == pytest.approx(36 * r ** (5 / 3) + 30 * two * r ** (2 / 3) + 8)


def test_projections_by_pythagoras():
    a = np.random.default_rng(0).normal(size=(8, 5))
    mean, across = projections(a)
    np.testing.assert_allclose(8 * mean**2 + across**2, (a**2).sum(axis=0))


@pytest.mark.slow
@pytest.mark.parametrize(("d", "kappa"), CASES)
def test_members_end_where_the_integrator_ends(d, kappa):
    a, flow = starts(d, 6), poisoned(d, kappa)
    a[1, 0] = a[0, 0]  # a tie
    ran = passages(a, kappa)
    assert ran.finished.all() and ran.gaps[1, 0] == 0
    for i in range(6):
        run = flow.integrate(a[:, i], 1e60, rtol=1e-11)
        np.testing.assert_allclose(ran.transition[:, i], run.limit, rtol=0, atol=1e-6)
        w = run.gaps[-1]
        escape = np.interp(np.log(0.01), np.log(w), run.times)
        assert ran.escape[i] == pytest.approx(escape, rel=0.01)


@pytest.mark.slow
def test_error_falls_with_the_tolerance_and_members_do_not_feel_each_other():
    a = starts(8, 5)
    exact = passages(a, 7, rtol=1e-9).transition
    errors = [abs(passages(a, 7, rtol=r).transition - exact).max() for r in (1e-4, 1e-6)]
    assert errors[1] < errors[0] / 20
    np.testing.assert_allclose(
        passages(a[:, 2:3], 7).transition[:, 0], passages(a, 7).transition[:, 2], rtol=0, atol=1e-13
    )


def test_passages_that_cannot_arrive_say_so():
    ran = passages(np.ones((8, 2)) * 1e-3, 7, most=200)  # on W_1: to the saddle
    assert not ran.finished.any() and np.isnan(ran.escape).all()
    np.testing.assert_allclose(ran.transition, saddle(8, 7), rtol=1e-9)
    with pytest.raises(ValueError, match="a_1 the largest"):
        passages(np.array([[0.1], [0.2]]), 7)


def test_a_passage_is_at_every_moment_where_the_integrator_is():
    """And ends with the first step after which the loss is below the tolerance."""
    a, kappa, below, level = SPREAD[:3, :2] * 0.5, 5, 1e-6, 0.2
    seen = []
    options = {"rtol": 1e-7, "loss_below": below, "level": level}
    ran = passages(
        a, kappa, watch=lambda *moment: seen.append([x.copy() for x in moment]), **options
    )
    assert ran.finished.dtype == bool and ran.finished.all()
    for i in range(2):

        def velocity(_, a):
            R, h = residuals(a, kappa)
            return (kappa - 1) * R * a ** (kappa - 2) + h

        def apart(_, a):
            return a[0] - a[-1] - level

        options = dict(method="Radau", rtol=1e-10, atol=1e-12, dense_output=True, events=apart)
        path = solve_ivp(velocity, (0, ran.times[i]), a[:, i], **options)
        moments = [(t[w == i][0], x[:, w == i][:, 0]) for w, t, x in seen if i in w]
        times, places = (np.array(column) for column in zip(*moments, strict=True))
        np.testing.assert_allclose(places.T, path.sol(times), atol=1e-5)
        assert times[-1] == ran.times[i] and np.all(np.diff(times) > 0) and len(times) > 20
        np.testing.assert_array_equal(places[-1], ran.transition[:, i])
        losses = (np.array(residuals(places.T, kappa)) ** 2).sum(axis=0) / 2
        assert losses[-1] < below <= losses[:-1].min()
        np.testing.assert_allclose(ran.gaps[:, i], places[-1][0] - places[-1], atol=1e-12)
        (crossed,), long = path.t_events, np.diff(times, prepend=0).max()
        assert abs(ran.escape[i] - crossed[0]) < 0.05 * long  # by interpolation in a step


def test_residuals_at_the_teacher_are_zero():
    assert residuals(np.eye(8)[0], 7) == (0, 0)


def in_gaps(a):
    """y = (a_1, ln(a_1 - a_j)) of `support.passage`, [d, members]."""
    return np.vstack([a[:1], np.log(a[:1] - a[1:])])


SPREAD = np.linspace(0.5, -0.2, 8)[:, None] * np.array([1.0, 0.4, 1.3])


def test_a_passage_moves_as_the_flow_does_and_its_jacobian_is_its_slope():
    flow, y = poisoned(8, 7), in_gaps(SPREAD)
    moved = _velocity(y, 7)
    for i, a in enumerate(SPREAD.T):
        v = flow.velocity(a)
        np.testing.assert_allclose(moved[0, i], v[0], rtol=1e-12)
        np.testing.assert_allclose(moved[1:, i], (v[0] - v[1:]) / (a[0] - a[1:]), rtol=1e-9)
    J, h = _jacobian(y, 7), 1e-6
    for j in range(8):
        shift = h * np.eye(8)[j][:, None]
        slope = (_velocity(y + shift, 7) - _velocity(y - shift, 7)) / (2 * h)
        np.testing.assert_allclose(J[:, :, j].T, slope, rtol=1e-6, atol=1e-7)


def test_a_step_is_of_order_three_and_knows_its_error():
    y = in_gaps(SPREAD[:, :1])
    errors, told = [], []
    for h in (0.02, 0.01):
        exact = solve_ivp(
            lambda _, y: _velocity(y[:, None], 7)[:, 0], (0, h), y[:, 0], rtol=1e-13, atol=1e-15
        ).y[:, -1]
        after, error = _step(y, np.array([h]), 7)
        errors.append(abs(after[:, 0] - exact).max())
        told.append(abs(error).max())
    assert 12 < errors[0] / errors[1] < 20 and 6 < told[0] / told[1] < 10
    assert told[1] > errors[1]  # an estimate of lower order, hence larger


def test_what_a_passage_takes_and_says():
    start = SPREAD[:, :1] * np.array([1.0, 0.01])
    ran = passages(start, 7, most=0)
    assert ran.escape[0] == 0 and np.isnan(ran.escape[1]) and not ran.finished.any()
    np.testing.assert_allclose(ran.transition, start, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(ran.times, 0)
    near = np.array([[0.1], [0.1], [0.05]])
    told = passages(near, 7, most=1, gaps=np.array([[1e-20], [0.05]]))
    assert 0 < told.gaps[1, 0] < 1e-19 and told.gaps[0, 0] == 0
    with pytest.raises(ValueError, match=r"^d = 1, kappa = 7; allowed: from 2, and from 4$"):
        passages(near[:1], 7)
    with pytest.raises(ValueError, match=r"^d = 3, kappa = 3; allowed: from 2, and from 4$"):
        passages(near, 3)
    assert passages(near, 4, most=1).times[0] > 0
    with pytest.raises(ValueError, match=r"allowed: \[d, members\], every entry finite"):
        passages(near[:, 0], 7)
