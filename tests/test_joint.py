"""The flow of A, B and C together: against the loss, the flow of A alone, and what it conserves."""

import numpy as np
import pytest

from support.datasets import labelled
from support.experiments import HORIZON, TheoremSetting, near_tie
from support.flow import GradientFlow
from support.joint import JointFlow, clean_transition
from support.ssm import SSM

KAPPA, D, ALPHA = 7, 8, 1e-2
SETS = TheoremSetting(KAPPA, D, ALPHA, 0).training_sets()


def some_data(generator, kappa=5):
    return labelled(generator.normal(size=(6, kappa)), SSM.with_ones([0.9, -0.5]))


@pytest.mark.parametrize("rate", [0.0, 0.3, 4.0])
def test_the_velocity_is_the_gradient(rate):
    generator = np.random.default_rng(0)
    flow = JointFlow(some_data(generator), rate)
    a, u = generator.uniform(-1, 1, 4), generator.normal(size=4)
    step = 1e-6

    def slope(f, x):
        return np.array([(f(x + step * e) - f(x - step * e)) / (2 * step) for e in np.eye(len(x))])

    # w = b = c moves at -rate times half the derivative by w; log w^2 at twice that, over w
    wanted_a = -slope(lambda x: flow.loss(x, u), a)
    wanted_u = -2 * rate * slope(lambda x: flow.loss(a, x), u) / np.exp(u)
    dy = flow._gap_velocity(np.r_[a[0], a[0] - a[1:], u[0], u[0] - u[1:]])
    found_a, found_u = np.r_[dy[0], dy[0] - dy[1:4]], np.r_[dy[4], dy[4] - dy[5:]]
    # central differences: the square of the step, and rounding over the step
    np.testing.assert_allclose(found_a, wanted_a, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found_u, wanted_u, rtol=1e-6, atol=1e-7)

    def velocity(x):
        dy = flow._gap_velocity(np.r_[x[0], x[0] - x[1:4], x[4], x[4] - x[5:]])
        return np.r_[dy[0], dy[0] - dy[1:4], dy[4], dy[4] - dy[5:]]

    jacobian = slope(velocity, np.r_[a, u]).T
    np.testing.assert_allclose(flow._jacobian(a, u), jacobian, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("data", SETS, ids=["S_1", "S_2"])
def test_at_rate_zero_it_is_the_flow_of_A(data):
    start = ALPHA * near_tie(0, D)
    alone = GradientFlow(data).integrate(start, HORIZON)
    together = JointFlow(data, 0.0).limit(start, HORIZON, rtol=1e-10)
    assert together.finished and np.all(together.weights == 1)
    # both stop at a loss of 1e-20; the integrators' steps differ
    np.testing.assert_allclose(together.transition, alone.limit, atol=1e-7)


@pytest.mark.parametrize("data", SETS, ids=["S_1", "S_2"])
def test_what_is_tied_with_the_first_stays_so(data):
    """But not what shares only its entry of A, or only its weight."""
    start, weights = ALPHA * near_tie(0, D), np.ones(D)
    start[:3], weights[2] = ALPHA, 1.01
    end = JointFlow(data, 1.0).limit(start, HORIZON, weights=weights)
    a, w = end.transition, end.weights
    assert end.finished and a[0] == a[1] and w[0] == w[1]
    assert a[2] != a[0] and w[2] != w[0] and w[3] != w[0]


@pytest.mark.parametrize("rate", [1e-3, 1.0, 10.0])
def test_the_baseline_alone_conserves_and_ends_at_the_closed_form(rate):
    start = 1e-3 * near_tie(1, D)
    end = JointFlow(SETS[0], rate).limit(start, HORIZON)
    kept = 1 + rate / (KAPPA - 1) * (end.transition**2 - start**2)
    np.testing.assert_allclose(end.weights, kept, rtol=1e-6)  # the integrator's steps, added up
    # a start of size alpha moves the end by rate alpha^2 / (kappa - 1)^2
    assert abs(end.transition[0] - clean_transition(KAPPA, rate)) < rate * 1e-6 / 36 + 1e-7


def test_equal_entries_stay_equal_and_others_part():
    start = ALPHA * np.r_[1.0, 1.0, 1 - 1e-5, np.linspace(0.4, 0.1, D - 3)]
    end = JointFlow(SETS[1], 0.5).limit(start, HORIZON)
    assert end.transition[0] == end.transition[1] and end.weights[0] == end.weights[1]
    assert abs(end.transition[0] - end.transition[2]) > 1e-3
    assert end.finished and end.loss == JointFlow(SETS[1], 0.5).loss(
        end.transition, np.log(end.weights)
    )


def test_equal_entries_part_where_their_weights_differ():
    weights = np.r_[1.0, 1.1, np.ones(D - 2)]
    end = JointFlow(SETS[0], 0.5).limit(np.full(D, ALPHA), HORIZON, weights)
    assert end.finished and end.transition[1] > 0.9 > end.transition[0]
    assert np.all(end.transition[2:] == end.transition[0]) and np.all(end.weights[2:] < weights[1])


def test_with_all_lags_seen_the_student_ends_at_the_teacher():
    teacher = SSM.with_ones([0.9, 0.4])
    a, weights = 0.1 * np.random.default_rng(0).uniform(0, 1, (2, 5))
    end = JointFlow(labelled(np.eye(5), teacher), 1.0).limit(a, HORIZON, weights, loss_below=1e-14)
    h = SSM(end.transition, end.weights, np.ones(5)).impulse_response(30)
    assert end.finished
    np.testing.assert_allclose(h, teacher.impulse_response(30), atol=1e-4)


@pytest.mark.parametrize("wrong", [{"horizon": 0.0}, {"weights": 0.0}, {"weights": np.r_[1, -1]}])
def test_what_it_refuses(wrong):
    flow = JointFlow(SETS[0], 1.0)
    with pytest.raises(ValueError, match="allowed: positive"):
        flow.limit([0.1, 0.2], **{"horizon": 1.0} | wrong)
    with pytest.raises(ValueError, match=r"allowed: \[d\], every entry finite"):
        flow.limit([0.1, np.nan], 1.0)
    assert not flow.limit([0.1, 0.2], 0.5).finished


@pytest.mark.parametrize("rate", [-1.0, np.inf, np.nan])
def test_no_rate_is_without_bound(rate):
    with pytest.raises(ValueError, match=rf"^rate = {rate}; allowed: from 0, finite$"):
        JointFlow(SETS[0], rate)


def test_a_clean_transition_is_refused_where_there_is_none():
    for kappa, rate in ((1, 1.0), (7, -0.1), (7, np.inf), (7, np.nan)):
        words = rf"^kappa = {kappa}, rate = {rate}; allowed: from 2, and from 0, finite$"
        with pytest.raises(ValueError, match=words):
            clean_transition(kappa, rate)
    assert clean_transition(7, 0) == 1.0
    a = clean_transition(2, 1.0)  # a (1 + a^2) = 1
    assert a * (1 + a * a) == pytest.approx(1, abs=1e-14)
