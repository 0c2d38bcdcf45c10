"""The engine: its gradients, its rules and its loop, each against something that shares no code.

Collected for TensorFlow; `test_everything_here_holds_on_jax_too` runs this file again on JAX.
"""

import os
import pty
import subprocess
import sys
import termios
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest
from keras_fit import AdaptiveGradientDescent, ensemble_square_error
from recompute import released_run

from support import backend, optimizers, paper, training
from support.backend import BACKEND, free_memory, keras, value_and_gradient
from support.datasets import expected_moments, gaussian_sequences, second_moments
from support.layers import DiagonalSSM, ReluNetwork, Student, impulse_response
from support.observe import effective_rank, watch
from support.released import generators, trained_inputs, trained_start
from support.training import moment_loss, sequence_loss, train

ops = keras.ops
D, KAPPA, N, WIDTH = 4, 5, 6, 3


def problem(members=1, network=False, folded=False, released=False, dtype="float64", seed=0):
    """A random student, sequences and (arbitrary) labels."""
    draw = np.random.default_rng(seed).normal
    ends = [draw(0, 0.6, (D, members)) for _ in range(3)]
    head = None
    if network:
        shapes = (1, WIDTH, members), (WIDTH, WIDTH, members), (WIDTH, 1, members)
        head = ReluNetwork([draw(0, 0.8, shape) for shape in shapes], folded, dtype=dtype)
    student = Student(DiagonalSSM(*ends, released=released, dtype=dtype), head)
    x, y = draw(size=(N, KAPPA, members)).astype(dtype), draw(size=(N, members)).astype(dtype)
    return student, x, y


def weights(student):
    return [ops.convert_to_numpy(v.value) for v in student.trainable_variables]


def keras_gradients(student, x, y):
    """Keras autodiff of the loss (3) of every member, by all trained weights."""
    function, _ = sequence_loss(x, y)

    def total(values, x, y):
        mapping = list(zip(student.trainable_variables, values, strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            losses = function(student, x, y)
        return ops.sum(losses), losses

    values = [ops.convert_to_tensor(v.value) for v in student.trainable_variables]
    data = ops.convert_to_tensor(x), ops.convert_to_tensor(y)
    return [ops.convert_to_numpy(g) for g in value_and_gradient(total)(values, *data)[1]]


def numpy_network(kernels, z):
    """(answers, slope by z) of one member's network on numbers z [n]; [n], [n]; complex allowed."""
    value, slope = z[:, None], np.ones_like(z)[:, None]
    for i, kernel in enumerate(kernels):
        on = value.real > 0 if i else np.ones(value.shape)
        value, slope = (value * on) @ kernel, (slope * on) @ kernel
    return value[:, 0], slope[:, 0]


def numpy_loss(values, x, y):
    """One member's loss (3) from its weights, x [n, kappa], y [n], by the recurrence (1)."""
    a, b, c, *kernels = values
    state = np.zeros((len(x), len(a)), dtype=complex)
    for column in x.T:
        state = state * a + column[:, None] * b
    z = state @ c
    answers = numpy_network(kernels, z)[0] if kernels else z
    return np.mean((y - answers) ** 2)


HEADS = pytest.mark.parametrize(("network", "folded"), [(0, False), (1, False), (1, True)])


@HEADS
@pytest.mark.parametrize("seed", range(5))
def test_autodiff_equals_the_complex_step_derivative(network, folded, seed):
    """A derivative without cancellation: Im f(v + ih) / h, of a forward pass written anew."""
    student, x, y = problem(network=network, folded=folded, seed=seed)
    member = [w[..., 0] for w in weights(student)]
    for k, gradient in enumerate(keras_gradients(student, x, y)):
        for index in np.ndindex(member[k].shape):
            moved = [w.astype(complex) for w in member]
            moved[k][index] += 1e-30j
            expected = numpy_loss(moved, x[..., 0], y[:, 0]).imag / 1e-30
            assert gradient[..., 0][index] == pytest.approx(expected, rel=1e-10, abs=1e-12)


@HEADS
@pytest.mark.parametrize("seed", range(5))
def test_autodiff_equals_proposition_1(network, folded, seed):
    """Equations (7)-(10): minus the gradient by a_j is b_j c_j sum_l gamma^(l) a_j^l."""
    student, x, y = problem(network=network, folded=folded, seed=seed)
    a, b, c, *kernels = [w[..., 0] for w in weights(student)]
    sequences, labels = x[..., 0], y[:, 0]
    h = np.array([np.sum(c * a**k * b) for k in range(KAPPA)])
    z = sequences[:, ::-1] @ h
    answers, xi = numpy_network(kernels, z) if kernels else (z, np.ones(N))
    delta = labels - answers

    def velocity(factor, shift):
        gamma = [
            2 * factor(l) / N * np.sum(delta * xi * sequences[:, KAPPA - l - 2 + shift])
            for l in range(KAPPA - 1)
        ]
        return b * c * np.polynomial.polynomial.polyval(a, gamma)

    gradient = keras_gradients(student, x, y)[0][:, 0]
    np.testing.assert_allclose(-gradient, velocity(lambda l: l + 1, 0), rtol=1e-10, atol=1e-12)
    for wrong in (velocity(lambda l: 1, 0), velocity(lambda l: l + 1, 1)):  # no l + 1; x_(kappa-l)
        assert not np.allclose(-gradient, wrong, rtol=1e-3)


def test_the_hand_written_backward_pass_equals_autodiff():
    (a, b, c), g = np.random.default_rng(3).normal(size=(3, D, 2)), np.ones((KAPPA, 2))
    g = ops.convert_to_tensor(g * np.arange(1, KAPPA + 1)[:, None])

    def by_hand(values, g):
        return ops.sum(g * impulse_response(*values, KAPPA)), 0.0

    def plain(values, g):
        a, b, c = values
        return sum(ops.sum(g[k] * ops.sum(b * c * a**k, axis=0)) for k in range(KAPPA)), 0.0

    values = [ops.convert_to_tensor(v) for v in (a, b, c)]
    results = [value_and_gradient(f)(values, g)[1] for f in (by_hand, plain)]
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(ours), theirs, rtol=1e-12)


def full_matrix_gradient(a, b, c, x, y):
    """Gradient of the loss (3) by every entry of a full matrix A, [d, d], at diagonal a."""
    gradient = np.zeros((len(a), len(a)))
    for index in np.ndindex(gradient.shape):
        A = np.diag(a).astype(complex)
        A[index] += 1e-30j
        h = [c @ np.linalg.matrix_power(A, k) @ b for k in range(x.shape[1])]
        gradient[index] = (np.mean((y - x[:, ::-1] @ np.array(h)) ** 2)).imag / 1e-30
    return gradient


@pytest.mark.parametrize("seed", range(4))
def test_the_probe_reports_the_full_matrix_s_gradient_norm(seed):
    student, x, y = problem(members=2, released=True, seed=seed)
    assert [v.name for v in student.trainable_variables] == [
        "transition",
        "input",
        "output",
        "probe",
    ]
    probe = keras_gradients(student, x, y)[-1]
    for i in range(2):
        a, b, c = (w[:, i] for w in weights(student)[:3])
        full = full_matrix_gradient(a, b, c, x[..., i], y[:, i])
        assert probe[i] == pytest.approx(np.linalg.norm(full), rel=1e-9)
        assert probe[i] > 1.01 * np.linalg.norm(np.diag(full))  # off-diagonal entries count


@pytest.fixture
def double_precision():
    """Keras' own losses compute in its default precision, whatever the model's."""
    keras.config.set_floatx("float64")
    yield
    keras.config.set_floatx("float32")


RATE = 2.0**-10  # exact in float32, in which Keras keeps learning rates
OPTIONS = dict(stop_loss=0.0, extra=0, progress=False)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["text", "released", "adam"])
@pytest.mark.parametrize("network", [False, True])
def test_fit_gives_the_numbers_of_the_compiled_loop(rule, network, double_precision):
    make = dict(members=3, network=network, released=rule == "released", seed=1)
    (student, x, y), (fitted, _, _) = problem(**make), problem(**make)
    run = train(student, sequence_loss(x, y), rule=rule, rate=RATE, most=60, **OPTIONS)
    adam = keras.optimizers.Adam(RATE)
    optimizer = adam if rule == "adam" else AdaptiveGradientDescent(RATE, rule=rule)
    fitted.compile(optimizer=optimizer, loss=ensemble_square_error, jit_compile=True)
    fitted.fit(x, y, batch_size=N, epochs=60, shuffle=False, verbose=0)
    for ours, theirs in zip(weights(student), weights(fitted), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    assert np.all(run.iterations == 60) and not run.finished.any()


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["text", "released", "adam"])
def test_an_ensemble_equals_its_members_one_by_one(rule):
    student, x, y = problem(members=64, released=rule == "released")
    chunks_of_one, alone = student.take(np.arange(64)), student.take([63])
    options = dict(rule=rule, rate=1e-3, most=50) | OPTIONS
    train(student, sequence_loss(x, y), chunk=24, **options)
    train(chunks_of_one, sequence_loss(x, y), chunk=1, **options)
    train(alone, sequence_loss(x[..., 63:], y[:, 63:]), **options)
    for together, ones, one in zip(*map(weights, (student, chunks_of_one, alone)), strict=True):
        np.testing.assert_allclose(together, ones, rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(together[..., 63:], one, rtol=1e-12, atol=1e-14)


def teacher_problem(members, dtype="float64", seed=0):
    """A standalone student on sequences that A* = B* = C* = 1 labels, and their second moments."""
    student, x, _ = problem(members=members, dtype=dtype, seed=seed)
    y = x.sum(axis=1)
    return student, sequence_loss(x, y), moment_loss(second_moments(x), np.ones(KAPPA))


# Of a teacher_problem(15); several tests share what is compiled for it.
SEVERAL_ENDS = dict(rule="text", rate=1e-2, stop_loss=0.2, extra=37, every=10, progress=False)


def test_second_moments_give_the_numbers_of_the_sequences():
    student, by_sequence, by_moments = teacher_problem(15)
    other = student.take(np.arange(15))
    for s, loss in ((student, by_sequence), (other, by_moments)):
        train(s, loss, most=100, **SEVERAL_ENDS)
    for ours, theirs in zip(weights(student), weights(other), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-7)


@pytest.mark.slow
def test_infinitely_many_sequences_are_the_limit_of_many():
    """n = infinity as a setting: expected second moments; the mean over n approaches it."""
    shares, n = [(0.25, [1, 2]), (0.75, [KAPPA - 1])], 40_000
    exact = expected_moments(shares, KAPPA)
    np.testing.assert_array_equal(np.diag(exact), [0, 0.75, 0, 0.25, 0.25])
    generator = np.random.default_rng(0)
    kinds = [gaussian_sequences(generator, int(s * n), places, KAPPA) for s, places in shares]
    sampled = second_moments(np.concatenate(kinds))
    # Variances of chi square and product entries over n, five standard deviations.
    np.testing.assert_allclose(sampled, exact, atol=5 * np.sqrt(2 / n))
    limits = []
    for moments in (exact, sampled):
        student, _, _ = teacher_problem(2)
        loss = moment_loss(moments[..., None], np.ones(KAPPA))
        train(student, loss, rule="text", rate=1e-3, most=300, **OPTIONS)
        limits.append(weights(student)[0])
    np.testing.assert_allclose(*limits, rtol=0.05, atol=0.01)
    assert not np.array_equal(*limits)


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["text", "released", "adam"])
def test_single_precision_follows_double_precision(rule):
    options = dict(released=rule == "released")
    students = [problem(2, dtype=dtype, **options)[0] for dtype in ("float32", "float64")]
    _, x, y = problem(2)
    for student in students:
        train(student, sequence_loss(x, y), rule=rule, rate=1e-3, most=100, **OPTIONS)
    for single, double in zip(*map(weights, students), strict=True):
        assert single.dtype == np.float32 and double.dtype == np.float64
        np.testing.assert_allclose(single, double, rtol=1e-4, atol=1e-5)
        assert np.any(single != double) or not double.any()  # the probe is zero in both


def ends_at_ones(names, values):
    """A projection that also shrinks A, so that no step leaves anything where it was."""
    return [
        v * 0.99 if n == "transition" else v * 0 + 1 for n, v in zip(names, values, strict=True)
    ]


# Of a problem(3); two tests share what is compiled for it.
PROJECTED = dict(rule="text", rate=1e-3, stop_loss=1e9, extra=20, project=ends_at_ones)
PROJECTED |= {"progress": False}


def test_a_frozen_member_is_not_projected():
    ends = []
    for every in (7, 1000):
        student, x, y = problem(3)
        run = train(student, sequence_loss(x, y), every=every, most=1000, **PROJECTED)
        assert np.all(run.iterations == 20)
        ends.append(weights(student))
    for early, late in zip(*ends, strict=True):
        np.testing.assert_array_equal(early, late)


def test_a_projection_acts_after_every_step_and_not_before():
    student, x, y = problem(3)
    seen = []

    def observe(student):
        seen.append(weights(student))

    train(student, sequence_loss(x, y), most=2, every=1, observe=observe, **PROJECTED)
    start, _, _ = problem(3)
    np.testing.assert_array_equal(seen[0][1], weights(start)[1])
    names, state = [v.name for v in start.variables], optimizers.initial_state("text", seen[0])
    gradients = keras_gradients(start, x, y)
    values = [ops.convert_to_tensor(v) for v in seen[0]]
    stepped, _ = optimizers.step("text", names, 1e-3, 1, values, gradients, state)
    np.testing.assert_allclose(seen[1][0], 0.99 * ops.convert_to_numpy(stepped[0]), rtol=1e-12)
    assert all(np.all(w == 1) for step in seen[1:] for w in step[1:])
    assert not np.allclose(seen[2][0], 0.99 * seen[1][0], rtol=1e-6)  # a step between the two


def test_members_stop_by_themselves_and_the_unfinished_are_reported():
    student, loss, _ = teacher_problem(15)
    seen = []
    run = train(student, loss, observe=lambda s: seen.append(weights(s)), most=400, **SEVERAL_ENDS)
    done = run.finished
    assert 0 < done.sum() < 15, "the case should have both"
    assert np.all(run.iterations[done] == run.stop[done] + 37)
    assert np.all(run.iterations[~done] == 400) and 0 < run.seconds < 60
    assert [i for i, _ in run.log] == list(range(0, 401, 10))
    first = np.flatnonzero(done)[0]  # frozen: not a bit changes after the last update
    frozen_at = int(np.ceil(run.iterations[first] / 10))
    for then, now in zip(seen[frozen_at], weights(student), strict=True):
        np.testing.assert_array_equal(then[..., first], now[..., first])


def test_the_loop_by_steps_that_are_known(monkeypatch):
    """In place of what is compiled, steps that halve a member's first entry, which is its loss."""
    calls, bars, extra = [], [], 3

    def halve(data, limit, carry):
        value, *others, count, stop, last = map(ops.convert_to_numpy, carry)
        assert len(others) == 2 + 2 * 3  # B, C and Adam's averages
        assert count.dtype == stop.dtype == np.int32 and last.dtype == float
        first, end = ops.convert_to_numpy(limit).tolist()
        calls.append((first, end, *ops.convert_to_numpy(data[0])[0, 0].astype(int).tolist()))
        for i in range(first, end):
            last = value[0]
            stop = np.where((stop < 0) & (last < 1), i, stop)
            active = np.isfinite(last) & ((stop < 0) | (i < stop + extra))
            value, count = np.where(active, value / 2, value), np.where(active, i + 1, count)
        return [value, *others, count, stop, last]

    @contextmanager
    def noted(*asked):
        bars.append(SimpleNamespace(asked=asked, updates=[]))
        bars[-1].update = bars[-1].updates.append
        yield bars[-1]

    monkeypatch.setattr(training, "_block", lambda *which: halve)
    monkeypatch.setattr(training, "progress_bar", noted)
    student, x, y = problem(6)
    x[:] = np.arange(6)  # so that calls can be told apart
    start = np.array([8, 0.5, 2, np.nan, 64, 1024])
    student.ssm.transition_weight.assign(np.broadcast_to(start, (D, 6)))
    run = train(
        student, sequence_loss(x, y), rule="adam", rate=1.0, stop_loss=1.0, extra=extra, most=12,
        every=5, looks=(7,), observe=lambda s: weights(s)[0][0], chunk=2,
    )  # fmt: skip
    updates = [7, 3, 5, 0, 10, 12]
    assert run.stop.tolist() == [4, 0, 2, -1, 7, 11] and run.iterations.tolist() == updates
    assert run.finished.tolist() == [True, True, True, False, True, False]
    assert run.diverged.tolist() == [False, False, False, True, False, False]
    np.testing.assert_array_equal(run.loss, [0.125, 0.0625, 0.125, np.nan, 0.125, 0.5])
    assert [iteration for iteration, _ in run.log] == [0, 5, 7, 10, 12]
    for iteration, seen in run.log:
        np.testing.assert_array_equal(seen, start / 2.0 ** np.minimum(updates, iteration))
    # After the call that compiles: parts of two, of those only that have not come to their end.
    assert calls[0] == (0, 0, 0, 1) and sorted(calls[1:]) == [
        (0, 5, 0, 1), (0, 5, 2, 3), (0, 5, 4, 5), (5, 7, 0, 4), (5, 7, 5, 5), (7, 10, 4, 5),
        (10, 12, 5, 5),
    ]  # fmt: skip
    (bar,) = bars
    assert bar.asked == (12, True) and bar.updates == [5, 2, 3, 2] and bar.total == 12


def test_members_that_close_ranks_go_on_undisturbed():
    """Chunks of four out of fifteen, fewer and fewer as members finish, against one chunk."""
    runs, ends = [], []
    for chunk in (4, 15):
        student, loss, _ = teacher_problem(15)
        runs.append(train(student, loss, chunk=chunk, most=400, **SEVERAL_ENDS))
        ends.append(weights(student))
    assert len(set(runs[0].iterations // 10)) > 5, "the case should have many ends"
    for name in ("stop", "iterations", "finished"):
        np.testing.assert_array_equal(getattr(runs[0], name), getattr(runs[1], name))
    np.testing.assert_allclose(runs[0].loss, runs[1].loss, rtol=1e-9)
    for ours, theirs in zip(*ends, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


@pytest.mark.slow
def test_students_of_one_kind_share_what_is_compiled(monkeypatch):
    """And only they: another rate, size, network or fixed ends are compiled anew."""
    made, compiled = [], training._compiled_block
    monkeypatch.setattr(training, "BLOCKS", {})
    monkeypatch.setattr(
        training, "_compiled_block", lambda *which: made.append(which) or compiled(*which)
    )

    def ends(seed, members=3, rate=1e-3, **kind):
        student, x, y = problem(members, seed=seed, **kind)
        options = OPTIONS | {"progress": False}
        train(student, sequence_loss(x, y), rule="text", rate=rate, most=5, **options)
        return weights(student)

    first, second = ends(0), ends(1)
    assert len(made) == 1 and not np.allclose(first[0], second[0])
    for count, other in enumerate(
        (dict(rate=2e-3), dict(members=2), dict(network=True), dict(network=True, folded=True)), 2
    ):
        ends(0, **other)
        assert len(made) == count
    training.BLOCKS.clear()
    for shared, alone in zip(second, ends(1), strict=True):
        np.testing.assert_array_equal(shared, alone)
    for value in (1.0, 2.0):  # B and C fixed: their values are part of what is compiled
        student, x, y = problem(2)
        a, b, c = (ops.convert_to_numpy(w.value) for w in student.weights)
        fixed = Student(DiagonalSSM(a, b, value * c, train_ends=False, dtype="float64"))
        train(fixed, sequence_loss(x, y), rule="text", rate=1e-3, most=5, **OPTIONS)
        both = Student(DiagonalSSM(a, value * b, c, train_ends=False, dtype="float64"))
        train(both, sequence_loss(x, y), rule="text", rate=1e-3, most=5, **OPTIONS)
        for ours, theirs in zip(weights(fixed), weights(both), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)


def test_a_diverged_member_is_reported_and_leaves_its_neighbours_alone():
    student, (function, data), _ = teacher_problem(15)
    others = [*(i for i in range(15) if i != 2), 14]  # as many, so that nothing is compiled again
    healthy = student.take(others)
    value = weights(student)[0]
    value[:, 2] = 1e200  # overflows in the first forward pass
    student.ssm.transition_weight.assign(value)
    run = train(student, (function, data), most=100, **SEVERAL_ENDS)
    assert np.flatnonzero(run.diverged).tolist() == [2]
    train(healthy, (function, [x[..., others] for x in data]), most=100, **SEVERAL_ENDS)
    for ours, theirs in zip(weights(student), weights(healthy), strict=True):
        # Not bit for bit: a member's place among the others may change how it is vectorised.
        np.testing.assert_allclose(ours[..., others], theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("column", ["without", "with"])
def test_ten_thousand_released_steps_equal_numpy(column):
    """Table 2's second row, first released seed, float64: still far from the stop.

    After the stop such agreement cannot last: there the adaptive rate keeps the iterate
    oscillating, and rounding differences grow with every turn.
    """
    setting = paper.setting("table2.ssm_beyond")
    seed, rate = setting["released_seeds"][0], setting["lr"][column]
    a, b, c = (v[:, 0].astype(float) for v in trained_start(setting, [seed]))
    n = setting["n_baseline"] + (column == "with") * setting["n_special"]
    x = trained_inputs(setting, next(generators([seed])))[:n]
    y = x.sum(axis=1)
    ssm = DiagonalSSM(a[:, None], b[:, None], c[:, None], released=True, dtype="float64")
    student = Student(ssm)
    loss = sequence_loss(x[..., None], y[:, None])
    train(student, loss, rule="released", rate=rate, most=10_000, **OPTIONS)
    _, _, (_, expected) = released_run(a, b, c, x, y, rate, most=10_000)
    for ours, theirs, start in zip(weights(student)[:3], expected, (a, b, c), strict=True):
        np.testing.assert_allclose(ours[:, 0], theirs, rtol=1e-6)
        assert not np.allclose(theirs, start, rtol=1e-2)


@pytest.mark.parametrize("network", [False, True])
def test_what_a_run_is_watched_by(network):
    """gamma against autodiff through (7); effective ranks that are known."""
    student, x, y = problem(members=3, network=network)
    seen = watch(x, y)(student)
    a, b, c = weights(student)[:3]
    expected = [numpy_loss([w[..., i] for w in weights(student)], x[..., i], y[:, i]).real
                for i in range(3)]  # fmt: skip
    np.testing.assert_allclose(seen["loss"], expected, rtol=1e-12)
    velocity = b * c * sum(seen["gamma"][l] * a**l for l in range(KAPPA - 1))
    np.testing.assert_allclose(velocity, -keras_gradients(student, x, y)[0], rtol=1e-10)
    assert set(seen) == {"loss", "gamma", "transition", "effective_rank"}
    np.testing.assert_array_equal(seen["transition"], a)
    np.testing.assert_array_equal(seen["effective_rank"], effective_rank(a))
    ranks = effective_rank(np.array([[1.0, 1.0, -0.5], [0.0, -1.0, 0.25], [0.0, 1.0, 0.25]]))
    np.testing.assert_allclose(ranks, [1, 3, 2**1.5], rtol=1e-12)
    single = effective_rank(np.array([[0.7], [0.2]], "float32"))
    assert single.dtype == float


def test_the_device_is_named(monkeypatch):
    """As TensorFlow and JAX name it, by stand-ins for machines that have others."""

    def named(which, **device):
        monkeypatch.setattr(backend, "BACKEND", which)
        monkeypatch.setattr(backend, "DEVICES", [SimpleNamespace(**device)])
        return backend.device()

    assert named("jax", device_kind="an abacus") == "an abacus"
    assert named("tensorflow", device_type="CPU") == "cpu"
    details = SimpleNamespace(get_device_details={"a card": {"device_name": "a fast one"}}.get)
    config = SimpleNamespace(list_physical_devices={"GPU": ["a card"]}.get, experimental=details)
    monkeypatch.setattr(backend, "tf", SimpleNamespace(config=config), raising=False)
    assert named("tensorflow", device_type="GPU") == "a fast one"


def test_free_memory_is_the_accelerator_s_where_it_is_known(monkeypatch):
    known = {"bytes_limit": 1000, "bytes_in_use": 300}
    for which, stats in (("jax", known), ("jax", None), ("tensorflow", known)):
        monkeypatch.setattr(backend, "BACKEND", which)
        monkeypatch.setattr(backend, "DEVICES", [SimpleNamespace(memory_stats=lambda s=stats: s)])
        assert (backend.free_memory() == 700) == (which == "jax" and stats is known)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_a_member_takes_is_counted(dtype, monkeypatch):
    """Weights, Adam's averages of them, and all that twice; sequences of its own."""
    student, x, y = problem(64, network=True, dtype=dtype)
    weights, own = 3 * D + 2 * WIDTH + WIDTH**2, N * KAPPA + N
    each = (6 * weights + own) * (4 if dtype == "float32" else 8)
    shared = sequence_loss(x[..., :1], y[..., :1])[1]
    assert training._bytes_each(student, sequence_loss(x, y)[1]) == each
    assert training._bytes_each(student, shared) == each - own * (4 if dtype == "float32" else 8)
    assert training._bytes_each(problem(1)[0], shared) == 6 * 3 * D * 8
    pair = problem(2)
    assert training._bytes_each(pair[0], pair[1:]) == (6 * 3 * D + own) * 8
    monkeypatch.setattr(training, "free_memory", lambda: 12.3e9)
    training.require_memory(123, 1e8)
    words = r"^members = 124; allowed: up to 123 in the 12\.3 GB of memory that are free$"
    with pytest.raises(ValueError, match=words):
        training.require_memory(124, 1e8)


def test_a_student_is_built_from_the_start():
    student = problem()[0]
    assert student.built is True and student.ssm.built is True


def test_shapes_of_weights_that_do_not_fit_are_told():
    words = r"^A, B, C have shapes \(2, 3\), \(2, 3\), \(3,\); allowed: one shape \[d, members\]$"
    with pytest.raises(ValueError, match=words):
        DiagonalSSM(np.ones((2, 3)), np.ones((2, 3)), np.ones(3))


def test_the_ends_of_a_range_are_in_it():
    training.require_number("x", 0, 0, 5)
    training.require_number("x", 5, 0, 5)


def test_data_are_each_member_s_or_shared():
    own, shared = np.arange(6).reshape(2, 1, 3), np.ones((2, 3, 1))
    assert training._first(own, [0, 2]).tolist() == [[[0, 2]], [[3, 5]]]
    assert training._first(shared, [0, 2]) is shared


def test_what_is_compiled_goes_through_xla(monkeypatch):
    monkeypatch.setattr(backend, "jax", SimpleNamespace(jit=lambda f: ("jit", f)), raising=False)
    monkeypatch.setattr(backend, "BACKEND", "jax")
    assert backend.compile_function(len) == ("jit", len)
    stand_in = SimpleNamespace(function=lambda f, **options: (f, options))
    monkeypatch.setattr(backend, "tf", stand_in, raising=False)
    monkeypatch.setattr(backend, "BACKEND", "tensorflow")
    assert backend.compile_function(len) == (len, {"jit_compile": True, "autograph": False})


def test_gradients_come_from_the_backend(monkeypatch):
    if BACKEND == "tensorflow":  # zero by what a function does not use
        values = [ops.convert_to_tensor([3.0]), ops.convert_to_tensor([5.0])]
        (value, extra), slopes = value_and_gradient(lambda v: (v[0][0] ** 2, "extra"))(values)
        assert (float(value), extra) == (9, "extra") and [float(s[0]) for s in slopes] == [6, 0]
    jax = SimpleNamespace(value_and_grad=lambda f, has_aux: (f, has_aux))
    monkeypatch.setattr(backend, "jax", jax, raising=False)
    monkeypatch.setattr(backend, "BACKEND", "jax")
    assert backend.value_and_gradient(len) == (len, True)


@pytest.mark.parametrize("rule", ["text", "released"])
def test_two_steps_of_the_adaptive_rate(rule):
    """Appendix E.3.1 in double precision: the averages of sizes of gradients, bias-corrected."""
    draw, names = np.random.default_rng(2).normal, ["transition", "input", "output", "probe"]
    shapes = [(D, 2)] * 3 + [(2,)]
    values = [draw(size=shape) for shape in shapes]
    new, state = [ops.convert_to_tensor(v) for v in values], optimizers.initial_state(rule, values)
    average, beta = 0.0, optimizers.BETA
    for count in (1, 2):
        gradients = [draw(size=shape) for shape in shapes[:3]] + [abs(draw(size=2))]
        if rule == "text":
            size = sum((g**2).sum(axis=0) for g in gradients[:3])
        else:
            size = sum(np.sqrt((g**2).sum(axis=0)) for g in gradients[1:3]) + gradients[3]
        average = beta * average + (1 - beta) * size
        eta = 0.01 / (np.sqrt(average / (1 - beta**count)) + optimizers.SOFT)
        values = [v - eta * g for v, g in zip(values[:3], gradients[:3], strict=True)] + values[3:]
        tensors = [ops.convert_to_tensor(g) for g in gradients]
        new, state = optimizers.step(rule, names, 0.01, count, new, tensors, state)
        for ours, theirs in zip(new, values, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-13)


def test_what_is_compiled_is_shared_by_students_of_a_kind_and_no_others(monkeypatch):
    monkeypatch.setattr(training, "BLOCKS", {})
    monkeypatch.setattr(training, "_compiled_block", lambda *which: object())
    student, other, network = problem(2)[0], problem(2)[0], problem(2, network=True)[0]
    first = training._block(student, 2, "text")
    assert first is training._block(other, 2, "text")
    for which in ((network, 2, "text"), (student, 1, "text"), (student, 2, "adam")):
        assert training._block(*which) is not first
    a, b, c = (w[..., :] for w in weights(student))
    fixed = Student(DiagonalSSM(a, b, c, train_ends=False, dtype="float64"))
    assert training._block(fixed, 2, "text") is not training._block(fixed, 2, "text")


def test_adam_s_first_step_is_its_rate():
    """Of whatever gradient, to the 1e-7 that Keras adds to its square root."""
    draw = np.random.default_rng(3).normal
    values, gradients = ([ops.convert_to_tensor(draw(size=(D, 3)))] for _ in range(2))
    state = optimizers.initial_state("adam", [draw(size=(D, 3))])
    new, _ = optimizers.step("adam", ["input"], RATE, 1, values, gradients, state)
    moved = ops.convert_to_numpy(values[0] - new[0])
    np.testing.assert_allclose(moved, RATE * np.sign(gradients[0]), rtol=1e-3)


def test_a_network_is_unfolded_unless_asked_and_knows_its_weights():
    kernels = [np.ones((1, 2, 3)), np.ones((2, 1, 3))]
    network = ReluNetwork(kernels)
    assert network.folded is False and network.built is True
    assert [v.name for v in network.kernels] == ["kernel_0", "kernel_1"]
    assert ReluNetwork(kernels, folded=True).folded is True


@pytest.mark.parametrize("call", [
    lambda s, loss: train(s, loss, rule="sgd", rate=1e-3, most=10, **OPTIONS),
    lambda s, loss: train(s, loss, rule="released", rate=1e-3, most=10, **OPTIONS),
    lambda s, loss: train(s, loss, rule="text", rate=1e-3, most=0, **OPTIONS),
    lambda s, loss: AdaptiveGradientDescent(rule="adam"),
    lambda s, loss: DiagonalSSM(np.ones(3), np.ones(3), np.ones(3)),
    lambda s, loss: DiagonalSSM(np.ones((3, 2)), np.ones((3, 1)), np.ones((3, 2))),
])  # fmt: skip
def test_bad_input_says_what_is_allowed(call):
    student, loss, _ = teacher_problem(1)
    with pytest.raises(ValueError, match="allowed") as caught:
        call(student, loss)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "value", "allowed"), [
    ("rate", -1e-3, "a number, 0 or more"), ("stop_loss", np.nan, "a number, 0 or more"),
    ("extra", 10**9 + 1, "an integer from 0 to 1000000000"), ("extra", -1, "an integer from 0 to"),
    ("most", 10**9 + 1, "an integer from 1 to 1000000000"), ("most", 0, "an integer from 1 to"),
    ("every", 0, "an integer, 1 or more"), ("chunk", 0.5, "an integer, 1 or more"),
])  # fmt: skip
def test_a_number_out_of_its_range_is_told_by_name(name, value, allowed):
    student, loss, _ = teacher_problem(1)
    options = dict(rule="text", rate=1e-3, stop_loss=0.1, extra=0, most=10, progress=False)
    with pytest.raises(ValueError, match=f"^{name} = {value}; allowed: {allowed}"):
        train(student, loss, **options | {name: value})


def test_an_unknown_rule_is_told_the_known_ones():
    student, loss, _ = teacher_problem(1)
    words = r"^rule = 'sgd'; allowed: 'text', 'released', 'adam'$"
    with pytest.raises(ValueError, match=words):
        train(student, loss, rule="sgd", rate=1e-3, most=10, **OPTIONS)


def test_more_members_than_memory_holds_are_refused_at_once(monkeypatch):
    assert 1e8 < free_memory() < 1e15
    monkeypatch.setattr(training, "free_memory", lambda: 1e4)
    monkeypatch.setattr(training, "_block", lambda *which: 1 / 0)  # where training would begin
    for members, moments in ((1, None), (64, None), (64, "shared")):
        student, x, y = problem(members)
        loss = sequence_loss(x, y)
        if moments:
            loss = moment_loss(np.eye(KAPPA)[..., None], np.ones(KAPPA))
        options = dict(rule="text", rate=1e-3, most=1) | OPTIONS
        if members == 1:
            with pytest.raises(ZeroDivisionError):
                train(student, loss, **options)
            continue
        with pytest.raises(ValueError, match=f"members = {members}; allowed: up to ") as caught:
            train(student, loss, **options)
        assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_importing_the_engine_says_nothing():
    command = [sys.executable, "-c", "from support import layers, training"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.mark.slow
def test_progress_shows_in_a_terminal_and_nowhere_else():
    run = [sys.executable, "-c", "from support.training import progress_bar\n"
           "with progress_bar(8, True) as bar: bar.update(8)"]  # fmt: skip
    quiet = subprocess.run(run, capture_output=True, text=True)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (0, "", "")
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    subprocess.run(run, stdin=slave, stdout=slave, stderr=slave, check=True)
    assert b"100%" in os.read(master, 10_000)


@pytest.mark.slow
@pytest.mark.skipif(BACKEND == "jax", reason="this is the run on JAX")
def test_everything_here_holds_on_jax_too():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    command += ["-k", "not progress_shows and not share_what_is_compiled"]  # these know no backend
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-3000:]


@pytest.mark.slow
def test_an_unknown_backend_is_refused():
    environment = os.environ | {"KERAS_BACKEND": "torch"}
    command = [sys.executable, "-c", "import support.backend"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode != 0 and "allowed" in run.stderr.splitlines()[-1]


@pytest.mark.parametrize("size", [1.0, 1e-7])
def test_adam_is_that_of_the_article(size):
    """Kingma and Ba 2015, Algorithm 1, with Keras' constants, on a few gradients in NumPy."""
    draw = np.random.default_rng(5).normal
    shapes = ((3, 2), (2,))
    values = [draw(size=shape) for shape in shapes]
    state = [np.zeros(shape) for shape in shapes * 2]
    m, v = ([np.zeros(shape) for shape in shapes] for _ in range(2))
    expected = [value.copy() for value in values]
    rates = np.array([0.01, 0.0])
    for t in (1, 2, 3):
        gradients = [size * draw(size=shape) * 10.0 ** -(4 * (t == 3)) for shape in shapes]
        count = ops.convert_to_tensor(t)
        step = optimizers.adam_step(rates, count, values, gradients, state)
        values, state = ([ops.convert_to_numpy(x) for x in part] for part in step)
        for i, g in enumerate(gradients):
            m[i], v[i] = 0.9 * m[i] + 0.1 * g, 0.999 * v[i] + 0.001 * g**2
            alpha = rates * (1 - 0.999**t) ** 0.5 / (1 - 0.9**t)
            expected[i] = expected[i] - alpha * m[i] / (v[i] ** 0.5 + 1e-7)
        for ours, theirs in zip(values, expected, strict=True):
            # on TensorFlow the constants pass through float32
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9)
    assert np.all(values[1][1:] == expected[1][1:]), "a rate of zero moves nothing"
