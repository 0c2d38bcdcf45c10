"""Small doses of poison: the theory against quadrature, the flow, and its own limits."""

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad

from support.dose import (
    _time_left,
    delays,
    drift,
    leading_correction,
    left_behind,
    measured_dose,
    reaching_dose,
    small_dose_limit,
    turning_dose,
)
from support.experiments import TheoremSetting, near_tie
from support.flow import closed_form_limit

KAPPA, D = 7, 8


def error(a, first=2, kappa=KAPPA):
    return TheoremSetting(kappa, len(a), 1e-3, 0).error(a, 40, first=first)


@pytest.mark.parametrize(("kappa", "dose", "lag"), [(7, 1e-9, 1), (9, 1e-12, 2), (7, 1e-3, 4)])
def test_delays_are_the_integrals(kappa, dose, lag):
    start = 1e-2 * near_tie(1, 5)
    wanted = [
        quad(lambda a: 1 / ((kappa - 1) * a ** (kappa - 2) + lag * dose * a ** (lag - 1)),
             a, start[0], epsabs=0, epsrel=1e-11)[0] for a in start
    ]  # fmt: skip
    # quad sees the gap through a difference that has lost its last digits
    np.testing.assert_allclose(delays(start, kappa, dose, lag), wanted, rtol=1e-9)


@pytest.mark.parametrize(("kappa", "lag"), [
    (7, 1), (7, 2), (9, 5),
    *(pytest.param(*case, marks=pytest.mark.slow) for case in ((7, 3), (9, 2), (5, 2))),
])  # fmt: skip
def test_the_time_left_is_the_integral_at_any_size_and_dose(kappa, lag):
    for a in (1e-7, 1e-3, 0.5):
        for dose in (0.0, 1e-9, 1.0):

            def slowness(x, dose=dose):
                return 1 / ((kappa - 1) * x ** (kappa - 2) + lag * dose * x ** (lag - 1))

            turn = (dose / kappa) ** (1 / (kappa - 1 - lag))  # where the terms are alike
            places = sorted({a, *(x for x in (10 * turn, turn, turn / 10) if x > a)})
            with mpmath.workdps(30):
                wanted = float(mpmath.quad(slowness, [*places, mpmath.inf]))
            assert _time_left(a, kappa, dose, lag) == pytest.approx(wanted, rel=1e-11)


@pytest.mark.parametrize("kappa", [5, 7, 11])
def test_without_poison_the_delays_are_proposition_4(kappa):
    start = 1e-2 * near_tie(2, 6)
    p = kappa - 3
    conserved = (start**-p - start[0] ** -p) / ((kappa - 1) * p)
    np.testing.assert_allclose(delays(start, kappa, 0.0), conserved, rtol=1e-9)
    np.testing.assert_allclose(
        left_behind(start, kappa, 0.0), closed_form_limit(start, kappa), rtol=1e-9
    )


def test_starts_and_doses_that_no_delay_has():
    start = np.array([0.3, 0.2])
    np.testing.assert_array_equal(delays(start, 7, 1e-3), delays(start, 7, 1e-3, 1))
    for wrong in ([0.3, 0.0], [0.3, 0.4], [0.3, -0.1]):
        with pytest.raises(ValueError, match=r"^start = .* allowed: positive, the largest entry"):
            delays(np.array(wrong), 7, 0.0)
    for dose, lag in ((-1e-9, 1), (np.inf, 1), (1.0, 0), (1.0, 6)):
        words = rf"^dose = {dose}, lag = {lag}; allowed: from 0, and 1, \.\.\., 5$"
        with pytest.raises(ValueError, match=words):
            delays(start, 7, dose, lag)
    with pytest.raises(ValueError, match=r"^start of shape \(2, 1\); allowed: \[d\], "):
        delays(start[:, None], 7, 0.0)
    np.testing.assert_array_equal(left_behind(start, 7, 1e-3), left_behind(start, 7, 1e-3, 1))
    assert delays(start, 7, 1.0, 5)[0] == 0 < delays(start, 7, 1.0, 5)[1]
    with pytest.raises(ValueError, match=r"^start = .* allowed: sum of a_j\^6 below 1$"):
        left_behind([0.9, 0.89], 7, 0.0)
    assert (left_behind([0.88, 0.87], 7, 0.0) ** 6).sum() == pytest.approx(1)


def test_the_drift_ends_where_both_sequences_are_fitted():
    a = drift(left_behind(1e-2 * near_tie(3, D), KAPPA, 1e-9), KAPPA)
    assert abs((a ** (KAPPA - 1)).sum() - 1) < 1e-8 and abs(a.sum() - 1) < 1e-8
    with pytest.raises(RuntimeError, match=r"^drift: did not arrive at a point that fits"):
        drift(np.full(4, -0.5), KAPPA)  # towards ever more negative entries


@pytest.mark.parametrize("dose", [pytest.param(1e-12, marks=pytest.mark.slow), 1e-10, 1e-8])
@pytest.mark.parametrize(("kappa", "d", "seed"), [(7, 8, 0), (7, 8, 1), (9, 4, 2)])
def test_the_theory_ends_where_the_flow_does(dose, kappa, d, seed):
    start = 1e-4 * near_tie(seed, d)
    _, flow = TheoremSetting(kappa, d, 1e-4, 0, dose=dose).limits(start[:, None], 1e-8)
    theory, full = (error(a, 2, kappa) for a in (small_dose_limit(start, kappa, dose), flow[:, 0]))
    # leading_correction has terms of the next order; d a_rho is their scale
    correction = leading_correction(kappa, d, dose)
    assert full / theory - 1 == pytest.approx(correction, rel=0.15)
    assert -0.1 < correction < -0.001


@pytest.mark.parametrize(("lag", "factor"), [
    (1, 2), (2, 3), pytest.param(1, 3, marks=pytest.mark.slow),
])  # fmt: skip
def test_the_turning_dose_multiplies_the_error_of_a_small_start(lag, factor):
    for seed in range(3):
        ratios = []
        for alpha in (1e-3, 1e-5):
            start = alpha * near_tie(seed, D)[:3]
            doses = 0.0, turning_dose(alpha, KAPPA, lag, factor)
            left = [error(left_behind(start, KAPPA, dose, lag)) for dose in doses[::-1]]
            ratios.append(np.divide(*left))
        assert abs(ratios[1] / factor - 1) < 0.005 and ratios[1] == pytest.approx(ratios[0], 0.05)
    assert turning_dose(1e-3, KAPPA) == turning_dose(1e-3, KAPPA, 1, 2)


@pytest.mark.parametrize(("lag", "alpha"), [(1, 1e-5), (2, 1e-3)])
def test_the_reaching_dose_leaves_the_second_entry_so_large(lag, alpha):
    shape, wanted = near_tie(5, D)[:2], 0.01
    start = alpha * shape
    dose = reaching_dose(alpha, 1 - shape[1], KAPPA, wanted, lag)
    assert left_behind(start, KAPPA, dose, lag)[1] ** 2 == pytest.approx(wanted, 0.05)
    assert reaching_dose(1e-5, 0.1, KAPPA, wanted) == reaching_dose(1e-5, 0.1, KAPPA, wanted, 1)


def test_a_measured_dose_gives_the_error_asked_for():
    start = 1e-2 * near_tie(4, D)
    dose = measured_dose(start, KAPPA, 0.05, 1e-9)
    _, a = TheoremSetting(KAPPA, D, 1e-2, 0, dose=dose).limits(start[:, None])
    assert error(a[:, 0]) == pytest.approx(0.05, rel=0.01)


@pytest.mark.parametrize(("lag", "dose"), [
    (2, 1.0), (3, 1.0),
    *(pytest.param(lag, 1e-6, marks=pytest.mark.slow) for lag in (2, 3, 4, 5)),
    *(pytest.param(lag, 1.0, marks=pytest.mark.slow) for lag in (4, 5)),
])  # fmt: skip
def test_other_places_heal(lag, dose):
    start = 1e-2 * near_tie(6, D)
    setting = TheoremSetting(KAPPA, D, 1e-2, 0, dose=dose, special_lag=lag)
    clean, healed = setting.limits(start[:, None])
    assert healed.min() >= 0
    assert error(healed[:, 0], 1) < error(clean[:, 0], 1)
    # The loss was below 1e-20 dose; so the sum of the small entries' l-th powers is below r, and
    # that of the entries themselves, by Hoelder's inequality, below the bound.
    r = 2 * np.sqrt(1e-20 * 6 / 10)
    assert error(healed[:, 0], 1) < (D - 1) ** (1 - 1 / lag) * r ** (1 / lag)


@pytest.mark.parametrize("lag", [1, 2])
def test_a_drift_keeps_the_baseline_fitted_and_ends_where_both_are(lag):
    start = 1e-3 * near_tie(6, D)
    a = left_behind(start, KAPPA, 1e-10, lag)
    end = drift(a, KAPPA, lag)
    assert abs((end ** (KAPPA - 1)).sum() - 1) < 1e-7 and abs((end**lag).sum() - 1) < 1e-7
    assert np.sign((a**lag).sum() - 1) > 0, "the case should have a way to go"
    # small steps against the gradient of the special loss, each put back on the baseline
    step = 10.0 ** (lag - 5)  # that gradient is the powers of small entries
    while (a**lag).sum() > 1:
        normal, down = a ** (KAPPA - 2), -(a ** (lag - 1))
        a = a + step * (down - normal * (normal @ down) / (normal @ normal))
        a = a - normal * ((a ** (KAPPA - 1)).sum() - 1) / ((KAPPA - 1) * (normal @ normal))
    np.testing.assert_allclose(end, a, atol=3e-4)  # the last step, and a first-order method
    np.testing.assert_array_equal(small_dose_limit(start, KAPPA, 1e-10, lag), end)


def test_the_leading_correction_is_the_integral_that_the_text_gives():
    for kappa, d, dose in ((7, 8, 1e-9), (9, 12, 1e-12)):
        p = kappa - 2
        integral = quad(lambda x, p: 1 / (1 + x**p), 0, np.inf, (p,))[0]
        longer = d * (dose / (kappa - 1)) ** (1 / p) * integral
        assert leading_correction(kappa, d, dose) == pytest.approx(-2 / (kappa - 3) * longer)
