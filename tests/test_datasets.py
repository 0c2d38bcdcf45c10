"""The training sets of Definition 2, and that their labels are clean."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.datasets import TrainingSet, is_clean, labelled, spikes, theorem_sets
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


@pytest.mark.parametrize("call", [
    lambda: spikes([1.0], 0, 7),
    lambda: spikes([1.0], 8, 7),
    lambda: theorem_sets(theorem_teacher(8), 7, [1.0, 1.0], [1.0]),
    lambda: theorem_sets(theorem_teacher(8), 7, [1.0], [1.005]),
    lambda: theorem_sets(theorem_teacher(8), 7, [0.0], [0.0]),
    lambda: theorem_sets(theorem_teacher(8), 2, [1.0], [1.0]),
    lambda: TrainingSet(np.ones((3, 2)), np.ones(1)),
    lambda: TrainingSet(np.ones((3, 2)), np.ones((3, 1))),
])  # fmt: skip
def test_bad_input_says_what_is_allowed(call):
    with pytest.raises(ValueError, match="allowed"):
        call()
