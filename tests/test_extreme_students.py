"""Layers, rules, the loop and sweeps at the edge of what they take, by Hypothesis.

The second route is exact rational arithmetic, NumPy, or the same members in another company.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from support import optimizers
from support.backend import keras, value_and_gradient
from support.layers import DiagonalSSM, ReluNetwork, Student, impulse_response
from support.sweeps import Sweep
from support.training import moment_loss, sequence_loss, train

ops = keras.ops
near_one = st.floats(-1.2, 1.2, allow_subnormal=False) | st.sampled_from(
    [0.0, 1.0, -1.0, np.nextafter(1, 2)]
)
wild = st.floats() | st.sampled_from([math.nan, math.inf, -math.inf, 1e308, 5e-324])
junk = wild | st.none() | st.booleans() | st.text(max_size=3) | st.integers() | st.just([])
JUNK_SEEDS = st.lists(junk, max_size=3) | st.just(range(0)) | st.just(range(3)) | junk


@st.composite
def ensembles(draw, least=1):
    """Weights A, B, C [d, members] of an ensemble, exact in float64."""
    d, members = draw(st.integers(least, 3)), draw(st.integers(1, 3))
    row = st.lists(near_one, min_size=members, max_size=members)
    return [np.array(draw(st.lists(row, min_size=d, max_size=d))) for _ in range(3)]


def student(weights, head=None, **options):
    return Student(DiagonalSSM(*weights, dtype="float64", **options), head)


@given(ensembles(), st.sampled_from([1, 2, 3, 40]))
def test_an_ensemble_s_impulse_response_is_exact(weights, length):
    h = ops.convert_to_numpy(student(weights).ssm.impulse_response(length))
    assert h.shape == (length, weights[0].shape[1])
    for k, i in {(0, 0), (length - 1, h.shape[1] - 1)}:
        terms = [
            Fraction(c) * Fraction(a) ** k * Fraction(b)
            for a, b, c in zip(*(w[:, i].tolist() for w in weights), strict=True)
        ]
        bound = sum(map(abs, terms)) * (k + 6) / Fraction(2**52) + Fraction(1, 10**290)
        assert abs(Fraction(float(h[k, i])) - sum(terms)) <= bound


@given(ensembles(), st.sampled_from([1, 2, 5]), st.booleans())
def test_its_gradient_is_exact_for_one_lag_and_more(weights, length, probe):
    values = [ops.convert_to_tensor(w) for w in weights]
    values += [ops.zeros_like(values[0][0])] if probe else []

    def total(values):
        h = impulse_response(*values[:3], length, values[3] if probe else None)
        return ops.sum(h[-1]), 0.0

    gradients = [ops.convert_to_numpy(g) for g in value_and_gradient(total)(values)[1]]
    a, b, c = weights
    k = length - 1
    powers = (k * a ** max(k - 1, 0) * b * c, a**k * c, a**k * b)
    for found, wanted in zip(gradients, powers, strict=False):
        np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-290)
    if probe:  # by a full matrix: sum over p + q = k - 1 of (A^p)' c b' (A^q)'
        for i in range(a.shape[1]):
            A = np.diag(a[:, i])
            full = sum(
                np.linalg.matrix_power(A, p) @ np.outer(c[:, i], b[:, i])
                @ np.linalg.matrix_power(A, k - 1 - p)
                for p in range(k)
            )  # fmt: skip
            assert gradients[3][i] == pytest.approx(np.linalg.norm(full), rel=1e-6, abs=1e-7)


@settings(max_examples=10)
@given(ensembles(), st.integers(1, 4), st.integers(0, 99))
def test_a_network_is_homogeneous_and_may_be_folded(weights, width, seed):
    members = weights[0].shape[1]
    draw = np.random.default_rng(seed).normal
    kernels = [draw(size=shape) for shape in ((1, width, members), (width, 1, members))]
    x = draw(size=(4, 3, members))
    answers = [
        ops.convert_to_numpy(student(weights, ReluNetwork(kernels, f, dtype="float64"))(x))
        for f in (False, True)
    ]
    size = abs(x).sum() * 10
    np.testing.assert_allclose(*answers, rtol=1e-9, atol=1e-12 * size)
    network = ReluNetwork(kernels, dtype="float64")
    z = ops.convert_to_numpy(student(weights)(x))
    np.testing.assert_allclose(
        network(ops.convert_to_tensor(1024 * z)),
        1024 * ops.convert_to_numpy(network(ops.convert_to_tensor(z))),
        rtol=1e-12,
        atol=1e-9 * size,
    )


@given(st.lists(st.integers(0, 3), max_size=3), st.lists(st.integers(0, 3), max_size=3))
def test_weights_that_do_not_fit_together_are_refused(first, second):
    if len(first) == 2 and first == second:
        return
    with pytest.raises(ValueError, match=r"A, B, C have shapes .*; allowed: one shape"):
        DiagonalSSM(np.zeros(first), np.zeros(second), np.zeros(first))


@settings(max_examples=min(30, settings().max_examples))
@given(
    st.sampled_from(optimizers.RULES),
    st.lists(st.floats(-1e3, 1e3, allow_subnormal=False), min_size=3, max_size=3),
    st.sampled_from([0.0, 1e-200, 1e-3, 1.0, 1e100, 1e200]),
    st.integers(1, 3),
)
def test_a_rule_moves_against_the_gradient_and_never_leaves_the_floats(rule, value, size, steps):
    names = ["transition", "input", "output", "probe"]
    values = [np.array([[v, v]]) for v in value] + [np.zeros(2)]
    gradients = [np.array([[size, 0.0]]) * sign for sign in (1, -1, 1)] + [np.array([size, 0.0])]
    values, gradients = ([ops.convert_to_tensor(x) for x in xs] for xs in (values, gradients))
    state, before = optimizers.initial_state(rule, values), values
    for count in range(1, steps + 1):
        rates = ops.convert_to_tensor(np.array([0.1, 0.1]))
        values, state = optimizers.step(rule, names, rates, count, values, gradients, state)
    for name, old, new, g in zip(names, before, values, gradients, strict=True):
        if name == "probe" and rule != "adam":
            np.testing.assert_array_equal(old, new)
            continue
        moved = (ops.convert_to_numpy(new) - ops.convert_to_numpy(old)).reshape(-1)
        assert moved[1] == 0 and np.all(np.isfinite(moved))
        assert moved[0] * np.sign(ops.convert_to_numpy(g).reshape(-1)[0]) <= 0
        # No gradient moves far, Adam's by (1 - 0.9) / (1 - 0.999)^(1/2) < 3.2 rates at most; but by
        # the released rule, whose average is of plain norms.
        far = max(size, 1.0) ** 0.5 if rule == "released" else 1.0
        assert abs(moved[0]) <= 0.1 * 3.2 * steps * far * (1 + 1e-9) + 1e-12


@pytest.mark.slow
@settings(max_examples=8)
@given(
    ensembles(), st.sampled_from([1, 2, 4]), st.sampled_from(["text", "adam"]), st.integers(0, 9)
)
def test_a_run_is_what_each_member_alone_would_make_of_it(weights, kappa, rule, seed):
    """One entry, one member, one sequence, one lag included."""
    members = weights[0].shape[1]
    draw = np.random.default_rng(seed).normal
    x, y = draw(size=(2, kappa, members)), draw(size=(2, members))
    options = dict(rule=rule, rate=1e-3, stop_loss=0.0, extra=0, most=5, progress=False)
    together = student(weights)
    run = train(together, sequence_loss(x, y), **options)
    assert run.loss.shape == (members,) and np.all(run.iterations == 5)
    i = seed % members
    alone = student([w[:, [i]] for w in weights])
    train(alone, sequence_loss(x[..., [i]], y[:, [i]]), **options)
    for ours, theirs in zip(together.trainable_variables, alone.trainable_variables, strict=True):
        np.testing.assert_allclose(ours.numpy()[:, [i]], theirs.numpy(), rtol=1e-9, atol=1e-12)


@given(
    st.sampled_from(["rate", "stop_loss", "extra", "most", "every", "chunk", "rule"]),
    st.sampled_from([0, -1, -0.5, math.nan, math.inf, None, "a", 2.5, True, [], 10**30]),
)
def test_what_a_run_cannot_take_is_refused_before_it_begins(name, value):
    x = np.ones((2, 3, 1))
    options = dict(rule="text", rate=1e-3, stop_loss=0.1, extra=0, most=2, progress=False)
    may = {"rate": (0, 2.5, 10**30), "stop_loss": (0, 2.5, 10**30), "extra": (0,)}
    may |= {"every": (10**30,), "chunk": (10**30,)}
    assume(value is True or value not in may.get(name, ()))
    weights = [np.full((2, 1), 0.5)] * 3
    with pytest.raises(ValueError, match=rf"^{name} = .*; allowed: [^\n]*$"):
        train(student(weights), sequence_loss(x, x[:, 0]), **options | {name: value})


@settings(max_examples=min(30, settings().max_examples))
@given(ensembles(), st.integers(2, 5), st.booleans())
def test_data_of_another_ensemble_are_refused(weights, others, moments):
    members = weights[0].shape[1]
    assume(others != members)
    data = (
        moment_loss(np.zeros((3, 3, others)), np.ones(3))
        if moments
        else sequence_loss(np.zeros((2, 3, others)), np.zeros((2, others)))
    )
    options = dict(rule="text", rate=1e-3, stop_loss=1.0, extra=0, most=1, progress=False)
    with pytest.raises(ValueError, match=rf"data .*{others}.*; allowed: .*{members}"):
        train(student(weights), data, **options)


@given(
    st.sampled_from(["table1.ssm_mlp", "table1.theorem1", "figure2.ssm", "", "x"]) | junk,
    JUNK_SEEDS,
    st.dictionaries(
        st.sampled_from(["n_special", "kappa", "d", "rule", "precision", "most", "dose", "x"]),
        st.lists(junk, max_size=2) | junk,
        max_size=2,
    )
    | junk,
    junk | st.integers(1, 300),
)
def test_a_sweep_runs_or_says_in_one_line_why_not(experiment, seeds, grid, chunk):
    try:
        sweep = Sweep(experiment, seeds, grid, chunk)
    except ValueError as error:
        assert "allowed" in str(error) and "\n" not in str(error)
        return
    asked = [seed for _, seeds in sweep.chunks() for seed in seeds]
    assert asked == list(sweep.seeds) * len(sweep.points())
    assert sweep.key()["settings"]["grid"] == sweep.grid
