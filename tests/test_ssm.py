"""The three forms of an SSM are one map; the generalization error is what Definition 1 says."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from support.ssm import SSM, generalization_error, theorem_teacher

UNIT, RANK_TWO = SSM.with_ones([1.0]), SSM.with_ones([0.99, 0.8])  # of the trained experiments

dimensions, lengths = st.integers(1, 12), st.integers(1, 20)
# Sums of at most 20 * 12 terms of size at most 1.1^20 * 4, rounded at 1e-16 each.
ROUNDING = 1e-10


@st.composite
def systems(draw, members=()):
    d = draw(dimensions)
    a = draw(arrays(float, (d, *members), elements=st.floats(-1.1, 1.1)))
    b, c = (draw(arrays(float, (d, *members), elements=st.floats(-2, 2))) for _ in "bc")
    return SSM(a, b, c)


def sequences():
    return lengths.flatmap(lambda k: arrays(float, k, elements=st.floats(-1, 1)))


@given(systems(), sequences())
def test_recurrence_impulse_response_and_convolution_agree(ssm, x):
    by_state = ssm.recurrence(x)
    np.testing.assert_allclose(ssm.convolution(x), by_state, atol=ROUNDING)
    by_impulse_response = [ssm(x[: k + 1]) for k in range(len(x))]
    np.testing.assert_allclose(by_impulse_response, by_state, atol=ROUNDING)


@given(systems(members=(3,)), sequences())
def test_an_ensemble_is_its_members_side_by_side(ssm, x):
    for form in ("recurrence", "convolution", "__call__"):
        together = getattr(ssm, form)(x)
        for i in range(3):
            one = SSM(ssm.transition[:, i], ssm.input[:, i], ssm.output[:, i])
            np.testing.assert_allclose(together[..., i], getattr(one, form)(x), atol=ROUNDING)


def test_entries_of_one_axis_serve_every_member():
    a, ones = np.array([[0.5, 0.2], [0.1, -0.3]]), np.ones(2)
    shared, full = SSM(a, ones, 2 * ones), SSM(a, np.ones((2, 2)), np.full((2, 2), 2.0))
    np.testing.assert_array_equal(shared.impulse_response(5), full.impulse_response(5))


@given(systems(), sequences(), st.randoms(use_true_random=False))
def test_permuting_or_rescaling_the_states_changes_nothing(ssm, x, random):
    order = random.sample(range(len(ssm.transition)), len(ssm.transition))
    permuted = SSM(ssm.transition[order], ssm.input[order], ssm.output[order])
    scale = np.array([random.choice([0.25, 0.5, 2.0, -4.0]) for _ in order])
    rescaled = SSM(ssm.transition, scale * ssm.input, ssm.output / scale)
    for same in (permuted, rescaled):
        np.testing.assert_allclose(same(x), ssm(x), atol=ROUNDING)


def test_the_impulse_response_is_the_answer_to_an_impulse():
    ssm = SSM([0.5, -0.25], [1.0, 2.0], [3.0, 1.0])
    impulse = np.eye(1, 6)[0]
    np.testing.assert_allclose(ssm.recurrence(impulse), ssm.impulse_response(6), rtol=1e-15)
    np.testing.assert_allclose(ssm.impulse_response(3), [5, 1.0, 0.875], rtol=1e-15)


@given(systems(), st.integers(1, 30))
def test_generalization_error_grows_with_the_length(ssm, length):
    teacher = theorem_teacher(5)
    assert generalization_error(ssm, teacher, length) <= generalization_error(
        ssm, teacher, length + 1
    )


@given(st.sampled_from([UNIT, RANK_TWO, theorem_teacher(9)]), lengths)
def test_a_padded_teacher_has_no_error_and_the_zero_map_has_normalized_error_one(teacher, length):
    d = len(teacher.transition)
    parts = (teacher.transition, teacher.input, teacher.output)
    padded = SSM(*(np.r_[part, np.zeros(4)] for part in parts))
    assert generalization_error(padded, teacher, length) == 0
    zero = SSM(np.ones(d), np.zeros(d), np.ones(d))
    assert generalization_error(zero, teacher, length, normalized=True) == 1


@pytest.mark.parametrize("dimension", [2, 3, 7])
def test_theorem_teacher_is_the_one_hot_student(dimension):
    """Proposition 3 and Appendix A, at d = 8."""
    one_hot = SSM.with_ones(np.eye(8)[0])
    teacher = theorem_teacher(8, dimension)
    assert len(teacher.transition) == dimension
    assert generalization_error(teacher, one_hot, 50) < 1e-14
    assert generalization_error(theorem_teacher(9, dimension), one_hot, 50) > 0.5
    assert len(theorem_teacher(8).transition) == 2


def test_the_trained_experiments_teachers():
    np.testing.assert_array_equal(UNIT.impulse_response(40), np.ones(40))
    k = np.arange(10)
    np.testing.assert_allclose(RANK_TWO.impulse_response(10), 0.99**k + 0.8**k)


def test_normalized_divides_by_the_largest_entry_wherever_it_is():
    growing = SSM([2.0], [1.0], [1.0])  # 1, 2, 4
    nothing = SSM([1.0], [0.0], [0.0])
    assert generalization_error(nothing, growing, 3, normalized=True) == 1


def test_integers_do_not_overflow():
    assert SSM.with_ones([3]).impulse_response(50)[-1] == pytest.approx(3.0**49)


def test_exact_numbers_stay_exact():
    third = Fraction(1, 3)
    assert SSM([third], [Fraction(2)], [Fraction(1)]).impulse_response(3).tolist() == [
        2, Fraction(2, 3), Fraction(2, 9),
    ]  # fmt: skip


def test_errors_by_length_and_from_a_lag_on():
    student, teacher = SSM.with_ones([0.5]), SSM.with_ones([1.0])
    assert generalization_error(student, teacher, 3) == 0.75
    assert generalization_error(student, teacher, 3, first=2) == 0.75
    assert generalization_error(student, teacher, 1) == 0


def test_shapes_that_do_not_fit_are_told():
    allowed = r"allowed: \[d\] or \[d, members\], the same d and members$"
    words = r"^A, B, C have shapes \(2,\), \(1,\), \(2,\); " + allowed
    with pytest.raises(ValueError, match=words):
        SSM([1.0, 2.0], [1.0], [1.0, 1.0])
    words = r"^A, B, C have shapes \(2, 3\), \(2,\), \(2, 4\); " + allowed
    with pytest.raises(ValueError, match=words):
        SSM(np.ones((2, 3)), [1.0, 1.0], np.ones((2, 4)))
    for shared in (0, 1, 2):  # one of the three for all members
        parts = [np.full((2, 3), 0.5)] * 3
        parts[shared] = np.ones(2)
        ssm = SSM(*parts)
        assert ssm.transition.shape == ssm.input.shape == ssm.output.shape == (2, 3)
    for scalar in (0, 1, 2):
        parts = [np.ones(1)] * 3
        parts[scalar] = np.float64(1)
        with pytest.raises(ValueError, match=allowed):
            SSM(*parts)


sizes = st.lists(st.integers(1, 3), max_size=3).map(tuple)


@given(st.tuples(sizes, sizes, sizes))
@example(((2,), (2,), (2, 1, 1)))
def test_any_shapes_make_an_ssm_or_are_refused(shapes):
    try:
        ssm = SSM(*map(np.ones, shapes))
    except ValueError as refused:
        assert "allowed" in str(refused)
    else:
        assert ssm.transition.shape == ssm.input.shape == ssm.output.shape
        assert len(ssm.transition) == shapes[0][0] == shapes[1][0] == shapes[2][0]
        assert max(map(len, shapes)) == ssm.transition.ndim <= 2


@pytest.mark.parametrize("call", [
    lambda: SSM([1.0, 2.0], [1.0], [1.0, 1.0]),
    lambda: SSM(1.0, 1.0, 1.0),
    lambda: theorem_teacher(8, 1),
    lambda: generalization_error(UNIT, UNIT, 0),
    lambda: generalization_error(UNIT, UNIT, 5, first=5),
])  # fmt: skip
def test_bad_input_says_what_is_allowed(call):
    with pytest.raises(ValueError, match="allowed"):
        call()
