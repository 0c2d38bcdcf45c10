"""The sets of starts are those of Appendix D; what they promise, the closed-form limits keep."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.flow import closed_form_limit
from support.landscape import clean_error_bound, in_I0, in_I1, random_I0, reach, slack
from support.ssm import SSM, generalization_error, theorem_teacher

D = 4
kappas = st.sampled_from([5, 7, 9, 13])
ratios = st.fractions(0, 2, max_denominator=50)


@st.composite
def ensembles(draw, d=D, members=20, largest=1 / (2 * D)):
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    return random_I0(generator, d, generator.uniform(1e-3, largest, members))


@given(ensembles())
def test_draws_lie_in_I0_until_reversed_tied_or_enlarged(starts):
    assert starts.shape == (D, 20) and np.all(in_I0(starts))
    tied = starts[[0, 1, 1, 3]]
    for wrong in (starts[::-1], tied, -starts, starts / starts[0] / (2 * D)):
        assert not np.any(in_I0(wrong))


@pytest.mark.parametrize(
    ("start", "inside"),
    [
        ([0.12, 0.1, 0.05, 0.01], True),
        ([0.12, 0.1, 0.05, 0.0], False),
        ([0.12, 0.1, 0.05, -0.01], False),
        ([0.12, 0.12, 0.05, 0.01], False),
        ([0.12, 0.05, 0.1, 0.01], False),
        ([0.1, 0.12, 0.05, 0.01], False),
        ([0.125, 0.1, 0.05, 0.01], False),
        ([np.nan, 0.1, 0.05, 0.01], False),
    ],
)
def test_I0_start_by_start(start, inside):
    assert in_I0(start) == inside


@given(ratios, st.integers(2, 14), ratios)
def test_slack_is_the_printed_one_exactly(eta, kappa, root):
    printed = 1 - (1 - eta) ** (kappa - 1) - eta * root
    assert slack(eta, kappa, root) == printed
    assert slack(eta, kappa, root + 1) != printed or eta == 0
    assert slack(eta, kappa) == slack(eta, kappa, 1)


@pytest.mark.parametrize("root", [0.5, 1, 3.75])
def test_slack_keeps_its_relative_accuracy_where_the_printed_formula_has_none(root):
    eta, kappa = 1e-30, 7
    exact = float(slack(Fraction(eta), kappa, Fraction(root)))
    assert slack(eta, kappa, root) == pytest.approx(exact, rel=1e-14, abs=0)  # 1e-16 each
    assert 1 - (1 - eta) ** (kappa - 1) - eta * root != pytest.approx(exact, rel=0.1, abs=0)


@pytest.mark.parametrize("gap", [0.9, 0.1, 1e-5, 1e-9, 1e-15])
def test_reach_is_its_formula_next_to_ties_too(gap):
    for kappa in (5, 7, 13):
        start = np.array([0.1, 0.1 * (1 - gap)])
        with mpmath.workdps(40):
            top, other = map(mpmath.mpf, start)
            p = kappa - 3
            expected = float(other * (1 - (other / top) ** p) ** (mpmath.mpf(-1) / p))
        # The gap is exact or rounded once, then some operations at 1e-16.
        np.testing.assert_allclose(reach(start, kappa), expected, rtol=1e-14)
        assert not np.allclose(reach(start * [1, 1 - 1e-9], kappa), expected, rtol=1e-14, atol=0)


def test_reach_is_infinite_for_ties_with_the_first_only():
    assert np.isinf(reach([0.1, 0.1, 0.05, 0.05], 7)).tolist() == [True, False, False]


@given(ensembles(), kappas)
def test_limits_stay_within_reach_but_not_within_nine_tenths_of_it(starts, kappa):
    limits, bound = closed_form_limit(starts, kappa)[1:], reach(starts, kappa)
    # Far from ties the two agree to all digits, and the closed form, which goes through gaps,
    # knows small entries to 1e-16 of the largest: rounding decides.
    assert np.all(limits <= bound * (1 + 1e-13) + 1e-15 * starts[0])
    assert not np.any(limits[-1] <= 0.9 * bound[-1])


@given(st.integers(0, 2**32), st.sampled_from([1e-7, 1e-3, 0.5]))
def test_I1_is_a_proper_part_of_I0(seed, eta):
    starts = np.random.default_rng(seed).uniform(-0.02, 0.14, (D, 20_000))
    with np.errstate(invalid="ignore"):  # `reach` of what is not in order
        inside = in_I1(starts, eta, 7)
    assert 0 < inside.sum() <= in_I0(starts).sum() < 20_000
    assert np.all(in_I0(starts[:, inside]))
    tied = starts[[0, 0, 2, 3]]
    with np.errstate(invalid="ignore"):
        assert not np.any(in_I1(tied, eta, 7))


@pytest.mark.parametrize(("d", "kappa", "eta", "root"), [(3, 5, 1e-6, 1), (8, 7, 1e-9, 2.0)])
def test_I1_ends_where_the_reach_is_what_its_definition_allows(d, kappa, eta, root):
    """`reach` is linear in the scale of the start: just below and just above Definition 3's."""
    shape = np.linspace(1, 0.2, d)
    allowed = 1 - (1 - eta) ** (kappa - 1) - eta * root
    scale = (allowed / (d - 1)) ** (1 / (kappa - 1)) / reach(shape, kappa).max()
    starts = shape[:, None] * scale * np.array([1 - 1e-6, 1 + 1e-6])
    assert np.all(in_I0(starts)), "the case should be about the reach"
    assert in_I1(starts, eta, kappa, root).tolist() == [True, False]


@given(ensembles(members=1, largest=0.12), kappas)
def test_with_a_start_I1_holds_all_smaller_multiples_of_it(start, kappa):
    # Halving is exact, so that ties and ratios stay what they are.
    inside = in_I1(start * 0.5 ** np.arange(-20, 80), 1e-30, kappa, 0.5)
    assert np.all(np.diff(inside.astype(int)) >= 0)
    assert inside[-1] and not inside[0]


@given(ensembles(), kappas, st.floats(0, 2), st.floats(0, 3))
def test_I1_is_empty_once_sqrt_n_over_P_reaches_kappa_minus_one(starts, kappa, eta, more):
    tiny = 1e-9 * starts
    assert not np.any(in_I1(tiny, eta, kappa, kappa - 1 + more))
    assert np.all(in_I1(tiny, 1e-3, kappa, 0.98 * (kappa - 1)))


@settings(max_examples=min(30, settings().max_examples))
@given(ensembles(), kappas, st.integers(2, 60))
def test_the_error_bound_bounds_the_error_of_the_limits(starts, kappa, length):
    students = SSM.with_ones(closed_form_limit(starts, kappa))
    error = generalization_error(students, theorem_teacher(D), length)
    # Rounding: lag 0 is d to 1e-15, powers up to 60 carry as much.
    assert np.all(error <= clean_error_bound(starts, kappa, length) + 1e-13)


@given(ensembles(largest=0.01), kappas)
def test_for_small_starts_the_error_bound_is_nearly_reached(starts, kappa):
    students = SSM.with_ones(closed_form_limit(starts, kappa))
    error = generalization_error(students, theorem_teacher(D), 2)
    bound = clean_error_bound(starts, kappa, 2)
    assert np.all(error[bound < 0.1] > 0.9 * bound[bound < 0.1])
    assert np.any(bound < 0.1)


def test_the_error_bound_is_infinite_where_the_others_may_reach_one():
    tops = 0.12 * (1 - np.array([0, 1e-5, 1e-2]))  # a tie, sigma = 1.5, sigma = 0.27
    bound = clean_error_bound(np.array([[0.12] * 3, tops]), 7, 20)
    assert np.isinf(bound).tolist() == [True, True, False]
    assert clean_error_bound([0.12, tops[2]], 7, 20) == bound[2] < 1


@pytest.mark.parametrize("length", [2, 7, 40, 3000])
def test_the_bound_on_the_clean_error_is_as_told(length):
    start = np.array([[0.1, 0.1], [0.05, 0.0999], [0.01, 0.09]])
    sigma = reach(start, 7).sum(axis=0)
    assert sigma[0] < 1 and sigma[1] < 1
    wanted = np.maximum(sigma, 1 - (1 - sigma**6) ** ((length - 1) / 6))
    np.testing.assert_allclose(clean_error_bound(start, 7, length), wanted, rtol=1e-12)
    assert (wanted > sigma).tolist() == [False, length > 40], "the case should have both bounds"
    wide = 50 * start  # `reach` grows with the start: above one, and above two
    assert reach(wide, 7).sum(axis=0).min() > 1
    assert np.all(np.isinf(clean_error_bound(wide, 7, length)))
