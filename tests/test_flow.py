"""Gradient flow: its law of motion, its integrator, its closed form, each by a second route."""

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import solve_ivp

from support.datasets import TrainingSet, theorem_sets
from support.experiments import HORIZON, TheoremSetting, cone_start
from support.flow import GradientFlow, closed_form_limit, finite_start
from support.ssm import SSM, theorem_teacher

KAPPA, D = 7, 8
S_1, S_2 = theorem_sets(theorem_teacher(D), KAPPA, np.ones(3), [np.sqrt(3)])

points = arrays(float, st.integers(2, 6), elements=st.floats(-1.1, 1.1))


@st.composite
def data_sets(draw):
    n, kappa = draw(st.integers(1, 4)), draw(st.integers(2, 6))
    inputs = draw(arrays(float, (n, kappa), elements=st.floats(-2, 2)))
    return TrainingSet(inputs, draw(arrays(float, n, elements=st.floats(-2, 2))))


@st.composite
def starts(draw, d=D):
    """I_0 of Equation (30): alpha (1, zeta_2, ..., zeta_d), decreasing and positive."""
    alpha = draw(st.floats(1e-3, 1 / (2 * d)))
    ratios = draw(st.lists(st.floats(0.3, 0.999), min_size=d - 1, max_size=d - 1))
    return alpha * np.cumprod([1.0, *ratios])


def quotient(f, a, h=1e-5):
    """Central difference quotients of f along each coordinate, last axis."""
    return np.stack([(f(a + h * e) - f(a - h * e)) / (2 * h) for e in np.eye(len(a))], axis=-1)


@given(data_sets(), points)
def test_velocity_is_minus_the_gradient_of_the_loss(data, a):
    flow = GradientFlow(data)
    assert flow.loss(a) == pytest.approx(data.loss(SSM.with_ones(a)), rel=1e-9, abs=1e-12)
    # The quotient's error: h^2 times third derivatives of a degree-10 polynomial, up to 1e4.
    np.testing.assert_allclose(flow.velocity(a), -quotient(flow.loss, a), rtol=1e-5, atol=1e-4)


@given(data_sets(), points)
def test_jacobian_is_the_difference_quotient(data, a):
    flow = GradientFlow(data)
    J = flow.jacobian(a)
    np.testing.assert_allclose(J, quotient(flow.velocity, a), rtol=1e-5, atol=1e-4)


@given(data_sets(), points)
def test_gap_coordinates_move_as_the_entries_do(data, a):
    flow = GradientFlow(data)
    velocity, y = flow.velocity(a), np.r_[a[0], a[0] - a[1:]]
    expected = np.r_[velocity[0], velocity[0] - velocity[1:]]
    np.testing.assert_allclose(flow._gap_velocity(y), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@settings(max_examples=25)
@given(starts(), st.sampled_from([S_1, S_2]))
def test_along_the_flow_the_loss_never_increases_and_the_order_is_kept(start, data):
    flow = GradientFlow(data)
    path = flow.integrate(start, HORIZON)
    assert path.finished
    # Residuals carry the integrator's error of 1e-10 per step, so the loss its square.
    assert np.all(np.diff(path.loss) <= 1e-6 * path.loss[:-1] + 1e-18)
    assert np.all(np.diff(path.gaps, axis=0) >= -1e-8)  # descending, Lemma 2
    upwards = np.diff(path.loss[::-1])  # the flow run backwards breaks the claim
    assert not np.all(upwards <= 1e-6 * path.loss[::-1][:-1] + 1e-18)


@pytest.mark.parametrize("rtol", [1e-3, 1e-10])
@pytest.mark.parametrize("seed", [1, 24])
def test_equal_entries_stay_equal_to_the_last_bit(seed, rtol):
    """A solver that carries the zero gap along loses the tie: from single starts where it is
    accurate, from nearly every one where it is not."""
    setting = TheoremSetting(kappa=9, d=10, sd_A=1e-3, diff_exponent=5)
    start = setting.start(seed, "released")
    start[1] = start[0]
    path = GradientFlow(setting.training_sets()[1]).integrate(start, HORIZON, rtol)
    assert path.finished and np.all(path.gaps[1] == 0)
    assert path.limit[0] == path.limit[1]


def test_coefficients_are_those_of_equation_8():
    """Over S_1 only gamma^(kappa-2) is not zero, over S_2 gamma^(0) too: (23) and (29)."""
    a, P, n, m = np.linspace(0.02, 0.09, D), 3.0, 3, 4
    powers = a ** np.arange(KAPPA - 1)[:, None]
    R, Q = 1 - np.sum(a ** (KAPPA - 1)), 1 - np.sum(a)
    expected = np.zeros(KAPPA - 1)
    expected[-1] = 2 * P / n * (KAPPA - 1) * R
    np.testing.assert_allclose(GradientFlow(S_1).velocity(a), expected @ powers, rtol=1e-12)
    expected[[0, -1]] = 2 * P / m * Q, 2 * P / m * (KAPPA - 1) * R
    np.testing.assert_allclose(GradientFlow(S_2).velocity(a), expected @ powers, rtol=1e-12)


def test_tiny_gaps_keep_their_relative_accuracy():
    """While gaps are small, the final gap is proportional to the first, here over a decade."""
    flow = GradientFlow(S_2)
    ratios = []
    for gap in (1e-12, 1e-11):
        path = flow.integrate(cone_start(1e-3, gap, D), HORIZON)
        ratios.append(path.gaps[1, -1] / path.gaps[1, 0])
    assert ratios[1] == pytest.approx(ratios[0], rel=1e-8)


@pytest.mark.slow
@settings(max_examples=15)
@given(starts())
def test_integrator_and_closed_form_agree_over_s1(start):
    path = GradientFlow(S_1).integrate(start, HORIZON, rtol=1e-12)
    # Entries come back as a_1 minus a gap, so next to a_1 = 1 they carry some 1e-15 of their own.
    closed = closed_form_limit(start, KAPPA)
    np.testing.assert_allclose(path.limit, closed, rtol=1e-9, atol=1e-14)
    assert not np.allclose(closed, closed_form_limit(1.001 * start, KAPPA), rtol=1e-9, atol=1e-14)


def test_a_start_of_another_shape_is_refused():
    words = r"^start of shape \(2, 2\); allowed: \[d\], every entry finite$"
    with pytest.raises(ValueError, match=words):
        GradientFlow(S_1).integrate(np.full((2, 2), 0.1), HORIZON)


def test_closed_form_keeps_signs_zeros_and_members_apart():
    start = np.array([[0.10, 0.05], [-0.12, 0.02], [0.0, 0.05]])
    limit = closed_form_limit(start, KAPPA)
    assert limit[1, 0] < -0.9 and limit[2, 0] == 0  # the largest magnitude wins
    assert limit[0, 1] == limit[2, 1]  # a tie
    np.testing.assert_allclose((limit ** (KAPPA - 1)).sum(axis=0), 1, rtol=1e-14)
    for member, column in zip(start.T, limit.T, strict=True):
        np.testing.assert_array_equal(closed_form_limit(member, KAPPA), column)


@pytest.mark.parametrize("gap", [1e-5, 1e-13])
def test_closed_form_equals_forty_digit_arithmetic(gap):
    with mpmath.workdps(40):
        start = cone_start(1e-3, gap, D)
        a = [mpmath.mpf(x) for x in start]
        c = [x ** (3 - KAPPA) - a[0] ** (3 - KAPPA) for x in a]

        def entries(top):
            return [(top ** (3 - KAPPA) + cj) ** (mpmath.mpf(1) / (3 - KAPPA)) for cj in c]

        def excess(top):
            return sum(x ** (KAPPA - 1) for x in entries(top)) - 1

        expected = [float(x) for x in entries(mpmath.findroot(excess, (0.9, 1), solver="anderson"))]
    np.testing.assert_allclose(closed_form_limit(start, KAPPA), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("start", "kappa"),
    [
        ([0.1, 0.05], 6),
        ([0.1], 3),
        ([0.0, 0.0], 7),
        ([1.2, 0.1], 7),
        ([np.nan, 0.1], 7),
        ([1e-60, 1e-61], 7),
    ],
)
def test_closed_form_refuses_what_it_cannot_solve(start, kappa):
    with pytest.raises(ValueError, match="allowed"):
        closed_form_limit(start, kappa)


@pytest.mark.parametrize("kappa", [5, 7, 9])
def test_the_edges_of_the_closed_form(kappa):
    """A power that would vanish, and starts outside of zero loss: sums of d^th parts around one."""
    k = kappa - 1
    words = r"^start: allowed: finite, its largest entry\^\(kappa-1\) above 1e-290$"
    with pytest.raises(ValueError, match=words):
        closed_form_limit([10 ** (-290.5 / k), 0.0], kappa)
    assert closed_form_limit([10 ** (-289.5 / k), 0.0], kappa).tolist() == [1, 0]
    outside, inside = (share ** (1 / k) * np.ones(3) for share in (1.001 / 3, 0.999 / 3))
    both = np.stack([outside, inside], axis=-1)
    for start in ([1.0, 0.0, 0.0], outside, both):
        with pytest.raises(ValueError, match=rf"^start: allowed: sum of a_j\^{k} below 1$"):
            closed_form_limit(start, kappa)
    np.testing.assert_allclose(closed_form_limit(both[:, [1, 1]], kappa), 3 ** (-1 / k))


@pytest.mark.slow
def test_the_poisoned_limit_by_an_explicit_solver_on_the_printed_formula():
    """Equation (29) as printed, raw entries, DOP853: nothing shared with the integrator."""
    setting = TheoremSetting.of_table("table1")
    start = setting.start(242, "released")
    _, poisoned = setting.training_sets()
    kappa, P, m = setting.kappa, setting.P, len(poisoned)

    def printed(t, a):
        pull = (kappa - 1) * (1 - np.sum(a ** (kappa - 1))) * a ** (kappa - 2)
        return 2 * P / m * (pull + 1 - np.sum(a))

    end = solve_ivp(printed, (0, 600), start, method="DOP853", rtol=1e-11, atol=1e-15).y[:, -1]
    limit = GradientFlow(poisoned).integrate(start, HORIZON).limit
    # The raw gap of 1.5e-8 is known to 1e-16 * 0.1 / 1.5e-8 = 1e-9 at best near the saddle.
    np.testing.assert_allclose(limit, end, rtol=1e-5)


def test_an_unfinished_run_is_reported_as_such():
    flow = GradientFlow(S_2)
    with pytest.raises(ValueError, match="allowed"):
        flow.integrate([0.1, 0.05], -1.0)
    with pytest.raises(ValueError, match=r"^horizon = 0\.0; allowed: a positive time$"):
        flow.integrate([0.1, 0.05], 0.0)
    start = cone_start(1e-3, 1e-5, D)
    path = flow.integrate(start, 1.0)
    assert not path.finished and path.times[0] == 0 and path.times[-1] >= 1.0
    np.testing.assert_allclose(path.transition[:, 0], start, rtol=1e-12)
    few = flow.integrate(start, HORIZON, max_steps=50)
    assert not few.finished and len(few.times) == 51


def test_a_run_ends_with_the_first_loss_below_the_tolerance():
    flow, start = GradientFlow(S_1), np.full(D, 0.05)
    losses = flow.integrate(start, HORIZON).loss
    for i in (0, 5, 9):  # exactly a loss of the path is not below it; one larger is, from the start
        path = flow.integrate(start, HORIZON, loss_below=losses[i])
        assert path.finished and len(path.loss) == i + 2
        assert path.loss[-1] < losses[i] <= path.loss[:-1].min()
    path = flow.integrate(start, HORIZON, loss_below=2 * losses[0])
    assert path.finished and len(path.times) == 1
    path = flow.integrate(start, HORIZON, loss_below=losses[5], max_steps=5)
    assert not path.finished and path.loss[-1] == losses[5]


def test_a_small_start_moves_as_accurately_as_a_large_one():
    """One entry, with no gap to hold the steps short: a^(3-kappa) falls at a steady rate."""
    path = GradientFlow(S_1).integrate([1e-6], HORIZON)
    a, p = path.transition[0], KAPPA - 3
    small = a < 2e-6
    straight = a**-p + 2 * (KAPPA - 1) * p * path.times
    assert path.finished and np.count_nonzero(small) > 5
    np.testing.assert_allclose(straight[small], straight[0], rtol=1e-7)


def test_the_number_and_size_of_sequences_only_set_the_unit_of_time():
    start = cone_start(1e-2, 1e-4, D)
    limits = []
    for n, P in ((1, 1.0), (5, 10.0), (50, 0.3)):
        sets = theorem_sets(theorem_teacher(D), KAPPA, np.full(n, np.sqrt(P / n)), [np.sqrt(P)])
        limits.append(GradientFlow(sets[1]).integrate(start, HORIZON).limit)
    np.testing.assert_allclose(limits[1:], [limits[0]] * 2, rtol=1e-6)


def test_a_start_in_whole_numbers_is_one_in_floats():
    assert finite_start([1, 0], "[d]").dtype == float


def test_a_flow_that_fails_says_so_or_gives_up(monkeypatch):
    flow, start = GradientFlow(TheoremSetting(7, 8, 1e-2, 5).training_sets()[1]), np.full(8, 0.01)
    plain, seen = flow.loss, []

    def breaks(a):  # not a number from the tenth step on
        seen.append(a)
        return plain(a) if len(seen) <= 10 else np.nan

    monkeypatch.setattr(flow, "loss", breaks)
    with pytest.raises(RuntimeError, match="LSODA stopped at t"):
        flow.integrate(start, 1e6)
    seen.clear()
    path = flow.integrate(start, 1e6, give_up=True)
    assert not path.finished and len(path.times) == 10 and np.isfinite(path.loss).all()
