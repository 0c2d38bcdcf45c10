"""The training sets of Definition 2, and that their labels are clean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.datasets import (
    TrainingSet,
    expected_moments,
    gaussian_sequences,
    is_clean,
    labelled,
    second_moments,
    spikes,
    theorem_sets,
)
from support.ssm import SSM, theorem_teacher

values = st.lists(st.floats(0.1, 10), min_size=1, max_size=6)


@given(values, values, st.sampled_from([5, 7, 9]), st.integers(2, 20), st.integers(2, 6))
def test_labels_of_both_sets_are_clean_and_as_printed(p, q, kappa, d, dimension):
    teacher = theorem_teacher(d, dimension)
    q = np.array(q) * np.sqrt(np.sum(np.square(p)) / np.sum(np.square(q)))
    S_1, S_2 = theorem_sets(teacher, kappa, p, q)
    assert is_clean(S_1, teacher) and is_clean(S_2, teacher)
    np.testing.assert_allclose(S_2.labels, np.r_[p, q], rtol=1e-12)  # Definition 2
    np.testing.assert_array_equal(S_2.inputs[: len(p)], S_1.inputs)
    assert np.all(abs(S_2.inputs[len(p) :]).argmax(axis=1) == kappa - 2)  # next-to-last
    assert not is_clean(TrainingSet(S_2.inputs, S_2.labels + 1e-6), teacher)


def test_a_spike_in_the_last_place_has_label_d_times_its_size():
    teacher = theorem_teacher(8)
    assert labelled(spikes([2.0], 7, 7), teacher).labels[0] == pytest.approx(16)
    assert labelled(spikes([2.0], 6, 7), teacher).labels[0] == pytest.approx(2)


def test_loss_is_the_mean_square_error_member_by_member():
    data = TrainingSet(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([1.0, 2.0]))
    student = SSM.with_ones(np.array([[0.0, 2.0]]))  # one state, two members
    np.testing.assert_allclose(data.loss(student), [2.0, 0.0])


def test_random_sequences_are_normal_at_their_places_and_zero_elsewhere():
    x = gaussian_sequences(np.random.default_rng(1), 5000, [2, 5], 6)
    assert x.shape == (5000, 6) and np.all(x[:, [0, 2, 3, 5]] == 0)
    # standard errors 0.014 and 0.02
    np.testing.assert_allclose(x[:, [1, 4]].mean(axis=0), 0, atol=0.06)
    np.testing.assert_allclose(x[:, [1, 4]].var(axis=0), 1, atol=0.09)


def test_the_loss_of_a_standalone_ssm_sees_second_moments_only():
    teacher, generator = theorem_teacher(4), np.random.default_rng(2)
    data = labelled(generator.normal(size=(9, 5)), teacher)
    student = SSM.with_ones(generator.normal(size=(4, 3)))
    error = student.impulse_response(5) - teacher.impulse_response(5)[:, None]
    by_moments = np.einsum("km,kl,lm->m", error, second_moments(data.inputs), error)
    np.testing.assert_allclose(by_moments, data.loss(student), rtol=1e-12)


def test_expected_moments_are_the_shares_lag_by_lag():
    shares = [(0.25, [3]), (0.5, [1, 2]), (0.25, [1, 3])]
    np.testing.assert_array_equal(expected_moments(shares, 3), np.diag([0.5, 0.5, 0.75]))
    expected_moments([(0.5, [1]), (0.5 + 9e-13, [2])], 3)  # rounding
    with pytest.raises(ValueError, match=r"shares: sum .*; allowed: sum 1"):
        expected_moments([(0.5, [1]), (0.5 + 2e-12, [2])], 3)


@pytest.mark.parametrize(("size", "tolerance"), [(1e-3, 1e-12), (0.9, 1e-12), (1.5, 1.5e-12),
                                                 (1e3, 1e-9)])  # fmt: skip
def test_labels_are_clean_up_to_the_stated_rounding(size, tolerance):
    teacher, x = SSM.with_ones([1.0]), np.array([[size, 0.0]])
    for share, clean in ((0.9, True), (1.1, False)):
        assert is_clean(TrainingSet(x, [size + share * tolerance]), teacher) == clean
    both = TrainingSet(np.array([[size, 0.0], [0.0, 1e-6]]), [size, 2e-6])
    assert not is_clean(both, teacher) and is_clean(labelled(both.inputs, teacher), teacher)


@pytest.mark.parametrize("call", [
    lambda: spikes([1.0], 0, 7),
    lambda: spikes([1.0], 8, 7),
    lambda: gaussian_sequences(np.random.default_rng(0), 3, [1, 0], 7),
    lambda: gaussian_sequences(np.random.default_rng(0), 3, [8], 7),
    lambda: expected_moments([(1.0, [7, 8])], 7),
    lambda: expected_moments([(0.5, [1]), (0.6, [2])], 7),
    lambda: theorem_sets(theorem_teacher(8), 7, [1.0, 1.0], [1.0]),
    lambda: theorem_sets(theorem_teacher(8), 7, [1.0], [1.005]),
    lambda: theorem_sets(theorem_teacher(8), 7, [0.0], [0.0]),
    lambda: theorem_sets(theorem_teacher(8), 2, [1.0], [1.0]),
    lambda: theorem_sets(theorem_teacher(8), 7, [1.0], [1.0], dose=0.5),
    lambda: theorem_sets(theorem_teacher(8), 7, [1.0], [0.0], dose=0.0),
    lambda: theorem_sets(theorem_teacher(8), 7, [1.0], [1.0], lag=6),
    lambda: theorem_sets(theorem_teacher(8), 7, [1.0], [1.0], lag=-1),
    lambda: TrainingSet(np.ones((3, 2)), np.ones(1)),
    lambda: TrainingSet(np.ones((3, 2)), np.ones((3, 1))),
])  # fmt: skip
def test_bad_input_says_what_is_allowed(call):
    with pytest.raises(ValueError, match="allowed"):
        call()


def test_lists_become_arrays_and_edges_are_taken():
    data = TrainingSet([[1, 2], [3, 4]], [5, 6])
    assert data.inputs.shape == (2, 2) and data.labels.tolist() == [5, 6]
    teacher = theorem_teacher(8)
    for lag in (0, 5):  # the last place, and the second
        _, S_2 = theorem_sets(teacher, 7, [1.0], [1.0], lag=lag)
        assert np.flatnonzero(S_2.inputs[1]).tolist() == [6 - lag]
    with pytest.raises(ValueError, match=r"^special: sum of squares inf; allowed: 1\.0 times inf"):
        theorem_sets(teacher, 7, [1e200], [1e200])
    _, S_2 = theorem_sets(teacher, 3, [1.0], [1.0])
    np.testing.assert_array_equal(S_2.inputs, [[1, 0, 0], [0, 1, 0]])


@pytest.mark.parametrize(("call", "words"), [
    (lambda t: TrainingSet(np.ones((3, 2)), np.ones(1)),
     r"inputs and labels have shapes \(3, 2\) and \(1,\); allowed: \[n, kappa\] and \[n\]"),
    (lambda t: theorem_sets(t, 2, [1.0], [1.0]), "kappa = 2; allowed: 3 or more"),
    (lambda t: theorem_sets(t, 7, [1.0], [1.0], lag=6),
     r"lag = 6; allowed: 0, \.\.\., kappa - 2 = 5"),
    (lambda t: theorem_sets(t, 7, [1.0, 2.0], [2.0]),
     r"special: sum of squares 4\.0; allowed: 1\.0 times 5\.0, positive"),
])  # fmt: skip
def test_what_is_wrong_and_what_is_allowed_is_said(call, words):
    with pytest.raises(ValueError, match=f"^{words}$"):
        call(theorem_teacher(8))


@pytest.mark.parametrize("size", [1e-20, 1.0, 1e20])
def test_sums_of_squares_are_equal_up_to_the_stated_rounding(size):
    teacher, baseline = theorem_teacher(8), [size]
    theorem_sets(teacher, 7, baseline, [size * (1 + 0.4e-12)])
    with pytest.raises(ValueError, match="special: sum of squares"):
        theorem_sets(teacher, 7, baseline, [size * (1 + 0.6e-12)])
