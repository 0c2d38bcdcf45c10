"""What protects: changed flows against their definitions, defended training against the plain."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from support import infinite
from support.datasets import labelled, spikes
from support.experiments import HORIZON, TheoremSetting, near_tie
from support.flow import GradientFlow
from support.infinite import on_infinitely_many
from support.layers import DiagonalSSM, Student
from support.protection import (
    ATTACKS,
    DEFENCES,
    ChangedFlow,
    _decayed,
    _defended_start,
    defended_flow,
    flip_dose,
    gradient_shares,
    sequence,
    start_shape,
    train_defended,
)
from support.ssm import SSM
from support.trained import Experiment, abc
from support.training import moment_loss, sequence_loss, train

SETTING = TheoremSetting(7, 8, 1e-3, 5)
S_1, S_2 = SETTING.training_sets()
CHANGES = [{"decay": 0.1}, {"exponential": True}, {"centered": True}]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_changed_flow_is_consistent(change):
    flow, a, step = ChangedFlow(S_2, **change), np.random.default_rng(0).uniform(0.1, 0.9, 8), 1e-6
    slopes = [
        (flow.velocity(a + step * e) - flow.velocity(a - step * e)) / 2 / step for e in np.eye(8)
    ]
    np.testing.assert_allclose(flow.jacobian(a), np.transpose(slopes), atol=1e-7)
    v, dy = flow.velocity(a), flow._gap_velocity(np.r_[a[0], a[0] - a[1:]])
    np.testing.assert_allclose(dy, np.r_[v[0], v[0] - v[1:]], atol=1e-12)


def test_the_changes_are_what_they_say():
    a = np.random.default_rng(1).uniform(0.1, 0.9, 8)
    plain = ChangedFlow(S_2).velocity(a)
    np.testing.assert_allclose(ChangedFlow(S_2, decay=0.1).velocity(a), plain - 0.1 * a)
    np.testing.assert_allclose(ChangedFlow(S_2, centered=True).velocity(a), plain - plain.mean())
    # the flow of v = log a, by another integrator
    small, flow = 0.1 * near_tie(0, 8), ChangedFlow(S_2, exponential=True)
    path = flow.integrate(small, 0.05, 1e-10)
    logs = solve_ivp(lambda t, v: np.exp(v) * ChangedFlow(S_2).velocity(np.exp(v)), (0, 0.05),
                     np.log(small), rtol=1e-10, atol=1e-12).y[:, -1]  # fmt: skip
    np.testing.assert_allclose(path.limit, np.exp(logs), rtol=1e-7)


def error_under(attack, dose, defence, seed=3):
    a, _ = defended_flow(SETTING, seed, attack, dose, defence)
    return SETTING.error(a, 40, first=2)


def test_no_defence_is_the_flow_itself():
    start = SETTING.sd_A * near_tie(3, 8)
    for attack, limit in zip((None, "theorem"), SETTING.limits(start[:, None]), strict=True):
        a, path = defended_flow(SETTING, 3, attack, 1.0, "none")
        assert path.finished
        np.testing.assert_allclose(a, limit[:, 0], atol=1e-3)  # 1e-6 a step


@pytest.mark.parametrize(
    "defence", ["log A trained", "guard at lag 4", "weight decay after the fit"]
)
def test_what_protects_from_the_theorem_s_poison(defence):
    assert error_under("theorem", 1.0, "none") > 0.1
    assert error_under("theorem", 1.0, defence) < 1e-3  # decay leaves an error of its own size
    assert error_under("theorem", 1.0, "guard at lag 3") > 0.1


def test_weight_decay_must_be_weaker_than_the_baseline_s_pull():
    assert error_under(None, 1.0, "weight decay 1e-6") > 0.99
    assert error_under("theorem", 1.0, "weight decay 1e-6") < 0.01
    assert error_under(None, 1.0, "weight decay 1e-12") < 1e-9
    assert error_under("theorem", 1.0, "weight decay 1e-12") < 1e-9


def test_a_smaller_dose_and_another_start_are_defences():
    ends = [
        defended_flow(SETTING, 3, "theorem", dose, defence)[0]
        for dose, defence in ((1.0, "none"), (1e3, "1000 times the baseline"))
    ]
    np.testing.assert_allclose(*ends, atol=1e-4)
    for kind, defence in [("uniform", "uniform start"), ("spread", "spread start"),
                          ("tied", "spread start, two tied"), ("near tie", "none")]:  # fmt: skip
        _, path = defended_flow(SETTING, 3, None, 1.0, defence)
        begin = path.transition[:, 0] / SETTING.sd_A
        np.testing.assert_allclose(begin, start_shape(kind, 3, 8), rtol=1e-9)


def test_attacks_are_clean_and_fitted_by_what_they_lead_to():
    teacher, mirrored = SETTING.teacher, SSM.with_ones(-np.eye(8)[0])
    flip = sequence(ATTACKS["flip"], 7, 3.0)
    np.testing.assert_allclose(flip, [[0, 0, 0, -1, -1, 1, 0]])
    assert teacher(flip)[0] == pytest.approx(-1) and mirrored(flip)[0] == pytest.approx(-1)
    a, path = defended_flow(SETTING, 3, "mixture", 10.0, "log A trained")
    assert path.finished and a.min() >= 0 and SETTING.error(a, 40, first=2) > 0.3


@pytest.mark.parametrize(("factor", "error"), [(0.9, 0.0), (1.1, 2.0)])
@pytest.mark.parametrize(("kappa", "alpha"), [(7, 1e-3), (9, 1e-2)])
def test_a_flip_needs_its_dose(factor, error, kappa, alpha):
    setting = TheoremSetting(kappa, 8, alpha, 0)
    start = setting.start(11, "uniform")
    dose = factor * flip_dose(start, kappa)
    flip = labelled(sequence(ATTACKS["flip"], kappa, dose * setting.P), setting.teacher)
    data = setting.training_sets()[0] + flip
    end = GradientFlow(data).integrate(start, HORIZON, 1e-8, 1e-30)
    assert end.finished
    # beside it, what the other entries leave of the clean error
    assert setting.error(end.limit, 40, first=1) == pytest.approx(error, abs=0.1)


def test_two_guards_leave_a_flip_no_zero_loss():
    for attack, dose in ((None, 1.0), ("flip", 0.01)):
        _, path = defended_flow(SETTING, 3, attack, dose, "guards at lags 3 and 4")
        assert path.finished == (attack is None)
        assert path.finished or path.loss[-1] > 1


@pytest.mark.parametrize("kind", ["near tie", "uniform", "spread", "tied"])
def test_starts_are_in_order(kind):
    shapes = np.array([start_shape(kind, seed, 8) for seed in range(500)])
    assert np.all(shapes[:, 0] == 1) and np.all(np.diff(shapes, axis=1) <= 0)
    middle = np.median(1 - shapes[:, 1])
    low, high = {"near tie": (1e-5, 1e-3), "uniform": (0.05, 0.2), "spread": (0.2, 0.8),
                 "tied": (9.9e-5, 1.01e-4)}[kind]  # fmt: skip
    np.testing.assert_array_equal(start_shape(kind, 7, 8), shapes[7])
    if kind == "spread":  # three decades; the last of seven is near their end
        assert 1e-3 <= shapes.min() < 1.02e-3
    assert low < middle < high  # uniform: the median of 1 - max of seven, 1 - 2^(-1/7) = 0.094


def test_shares_are_of_the_next_to_last_entry():
    inputs = np.concatenate([spikes([1.0, 2.0], 1, 4), spikes([1.0, 3.0], 3, 4)])
    shares = gradient_shares(inputs, np.array([1.0, 2.0, 1.0, 3.0]), np.zeros(4))
    np.testing.assert_allclose(shares, [0, 0, 0.1, 0.9])
    inputs = np.concatenate([np.full((4, 1), 9.0), inputs], axis=1)  # one place more
    inputs[:2, 2] = 1.0  # the place before: nothing looks at it
    both = np.stack([inputs, 2 * inputs], axis=-1)  # two members, of which each has shares
    labels, answers = np.array([[1.0, 2.0, 1.0, 3.0]] * 2).T, np.full((4, 2), 2.0)
    shares = gradient_shares(both, labels, answers)
    np.testing.assert_allclose(shares, [[0, 0], [0, 0], [0.25, 0.25], [0.75, 0.75]])


def test_what_a_defence_asks_of_training(untrained):
    """Which sequences, where to stop and when to give up; against the experiment's own parts."""
    seeds, rate, trusted = [200, 201], 0.01, slice(-18, -10)  # 8 of the baseline, 10 special

    def asked(defence, column="with", attack=None, name="table1.ssm_beyond", **options):
        _, run, error = train_defended(name, seeds, column, defence, attack, **options)
        assert run.stop.tolist() == [10, -1] and error.shape == (2,)
        call = untrained.pop()
        return *call.loss[1], call.options

    experiment = Experiment.of("table1.ssm_beyond")
    x = experiment.sequences(seeds, "with")
    options = dict(rule="released", rate=rate, extra=1401, chunk=256, progress=False, project=None)
    for column, n in (("with", 18), ("without", 8)):
        sequences, labels, further = asked("none", column)
        np.testing.assert_array_equal(sequences, x[:n])
        np.testing.assert_array_equal(labels, experiment.answers(x[:n]))
        assert further == options | {"stop_loss": 0.01 * 8 / n, "most": 50_000}
    assert asked("none", most=7)[2]["most"] == 7
    for defence, n, stop_loss in (("ten times the baseline", 90, 0.01 * 80 / 90),
                                  ("a hundredth of the stop loss", 18, 1e-4 * 8 / 18),
                                  ("ten guards", 28, 0.01 * 18 / 28)):  # fmt: skip
        sequences, _, further = asked(defence)
        assert len(sequences) == n and further["stop_loss"] == pytest.approx(stop_loss, 1e-12)
    for i, seed in enumerate(seeds):
        guards = np.random.default_rng([seed, 3]).standard_normal((10, 6)).astype("float32")
        np.testing.assert_array_equal(sequences[:10, :, i], guards)
    np.testing.assert_array_equal(sequences[10:], x)
    (decayed,) = asked("weight decay")[2]["project"](["transition"], [2.0])
    assert decayed == 2 * (1 - 1e-5)
    sequences, labels, _ = asked("none", attack="flip")
    np.testing.assert_array_equal(sequences[trusted], x[trusted])
    size = x[-10:, 4]  # of its one entry
    for place, factor in enumerate(sequence(ATTACKS["flip"], 6, 1.0)[0]):
        np.testing.assert_allclose(sequences[-10:, place], factor * size)
    np.testing.assert_allclose(labels, sequences.sum(axis=1), rtol=1e-5, atol=1e-6)
    assert asked("none", name="table1.ssm_mlp")[2]["chunk"] == 64
    student, _, error = train_defended("table1.ssm_mlp", seeds, "with", "none", n_special=3)
    n_baseline = Experiment.of("table1.ssm_mlp").setting["n_baseline"]
    assert student.head.folded and len(untrained[-1].loss[1][0]) == n_baseline + 3
    network = Experiment.of("table1.ssm_mlp", folded=True)
    np.testing.assert_array_equal(error, network.errors(student, seeds))


@pytest.mark.slow
def test_without_a_defence_training_is_the_paper_s():
    error = Experiment.of("table1.ssm_beyond").train([200, 201], "without", most=3000).errors
    _, _, again = train_defended("table1.ssm_beyond", [200, 201], "without", "none", most=3000)
    np.testing.assert_allclose(again, error, rtol=1e-5)


@pytest.mark.slow
def test_the_stop_counts_all_errors_against_what_the_baseline_is_allowed():
    own, seeds = Experiment.of("table1.ssm_beyond").setting, [200, 201]
    _, run, _ = train_defended("table1.ssm_beyond", seeds, "with", "none", most=4000)
    share = own["n_baseline"] / (own["n_baseline"] + own["n_special"])
    stricter = Experiment(own | {"stop_loss": share * own["stop_loss"]})
    assert np.all(run.stop > 0)
    np.testing.assert_array_equal(run.stop, stricter.train(seeds, "with", most=4000).run.stop)


@pytest.mark.slow
@pytest.mark.parametrize("attack", ["flip", "mixture"])
def test_other_special_sequences_train_otherwise(attack):
    def error(column, attack):
        return train_defended("table1.ssm_beyond", [200], column, "none", attack, most=1500)[2]

    assert error("with", attack) != error("with", None)
    assert error("without", attack) == error("without", None)


@pytest.mark.parametrize("kind", ["uniform", "spread", "tied", None])
def test_students_start_as_the_defence_says(kind):
    experiment = Experiment.of("table1.ssm_beyond")
    plain = abc(_defended_start(experiment, [200, 201], {}))
    a, b, c = abc(_defended_start(experiment, [200, 201], {"start": kind} if kind else {}))
    np.testing.assert_array_equal((b, c), plain[1:])
    shapes = [start_shape(kind, seed, 10) for seed in (200, 201)] if kind else plain[0].T
    np.testing.assert_allclose(a / a[0], np.transpose(shapes) / np.max(shapes, axis=1), rtol=1e-6)
    np.testing.assert_allclose(a.max(axis=0), plain[0].max(axis=0), rtol=1e-6)


@pytest.mark.parametrize("name", ["table1.ssm_beyond", "table1.ssm_mlp"])
def test_a_stable_student_starts_where_the_paper_s_does_but_for_its_smallest_entries(name):
    experiment = Experiment.of(name, precision="float64")
    plain = abc(experiment.student([200, 201]))
    student = _defended_start(experiment, [200, 201], {"stable": True})
    a, b, c = abc(student)
    assert student.ssm.stable and (student.head is None) == (student.ssm.probe is not None)
    np.testing.assert_array_equal((b, c), plain[1:])
    np.testing.assert_allclose(a, np.maximum(plain[0], 1e-3), rtol=1e-6)  # drawn in float32
    assert (plain[0] < 1e-3).any() == (name == "table1.ssm_mlp")


def test_a_defended_network_starts_as_an_undefended_one():
    experiment = Experiment.of("table2.ssm_mlp")
    student = _defended_start(experiment, [200], {})
    for ours, theirs in zip(student.weights, experiment.student([200]).weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert student.kind == experiment.student([200]).kind and student.ssm.probe is None
    exact = Experiment.of("table2.ssm_mlp", precision="float64")
    assert {v.dtype for v in _defended_start(exact, [200], {}).weights} == {"float64"}


@pytest.mark.slow
def test_an_attacker_s_sequences_are_trained_on():
    ends = [
        train_defended("table1.ssm_beyond", [200], "with", "none", attack, most=60)[:2]
        for attack in (None, "flip")
    ]
    (plain, _), (attacked, run) = ends
    assert np.isfinite(run.loss).all() and (abc(plain)[0] != abc(attacked)[0]).all()


@pytest.fixture(scope="module")
def undefended():
    return train_defended("table1.ssm_beyond", [200], "with", "none", most=4000)[1:]


@pytest.mark.slow
@pytest.mark.parametrize("defence", [d for d in DEFENCES if d != "none"])
def test_every_defence_changes_something(defence, undefended):
    student, run, error = train_defended("table1.ssm_beyond", [200], "with", defence, most=4000)
    assert np.isfinite(error).all() and (error != undefended[1]).any()
    if defence == "a hundredth of the stop loss":
        assert not 0 <= run.stop[0] <= undefended[0].stop[0]
    if defence == "A = exp(-exp)":
        assert abc(student)[0].min() > 0 and abc(student)[0].max() < 1


def test_weight_decay_shrinks():
    assert [*map(float, _decayed([2.0, -4.0], 0.25))] == [1.5, -3.0]


def test_a_stable_layer_learns_nu():
    a = np.array([[0.5], [0.1]])
    layer = DiagonalSSM(np.log(-np.log(a)), a, a, stable=True, dtype="float64")
    plain = DiagonalSSM(a, a, a, dtype="float64")
    np.testing.assert_allclose(layer.impulse_response(5), plain.impulse_response(5), rtol=1e-12)
    student = Student(layer)
    assert student.kind != Student(plain).kind
    np.testing.assert_array_equal(abc(student.take([0]))[0], abc(student)[0])


def test_what_infinitely_many_sequences_ask_of_training(monkeypatch):
    """The moments of the mixture, place by place, and otherwise what the row asks."""
    asked = []
    monkeypatch.setattr(infinite, "train", lambda *what, **options: asked.append((*what, options)))
    experiment = Experiment.of("table1.ssm_beyond", precision="float64")
    share = np.full(6, 0.6 * 0.25)  # a quarter of the baseline has standard normal entries
    share[[0, 1]] += 0.6 * 0.75
    share[4] += 0.4
    for most in ({}, {"most": 7}):
        _, student = on_infinitely_many(experiment, [200, 201], 0.25, 0.4, 0.02, **most)
        trained, (loss, (moments, target)), options = asked.pop()
        assert trained is student and loss is moment_loss(moments, target)[0]
        np.testing.assert_array_equal(abc(student), abc(experiment.student([200, 201])))
        np.testing.assert_allclose(moments[..., 0], np.diag(share[::-1]))  # by lag
        assert target[:, 0].tolist() == [1.0] * 6 and moments.dtype == target.dtype == float
        assert options.pop("stop_loss") == pytest.approx(0.02 * 0.6)
        wanted = dict(rule="released", rate=0.01, most=100_000, chunk=64, progress=False)
        assert options == wanted | {"extra": 1401} | most


@pytest.mark.slow
@pytest.mark.parametrize(("most", "fit", "rtol", "population", "special"), [
    (600, 2.6, 1e-9, 0.25, 0.4), (600, 2.6, 1e-9, 0.0, 0.5),  # on the way to the plateau
    (3000, 0.01, 1e-2, 0.25, 0.4), (3000, 0.01, 1e-2, 0.0, 0.5),
])  # fmt: skip
def test_infinitely_many_sequences_are_a_few_with_the_same_moments(
    most, fit, rtol, population, special
):
    """Later an oscillation magnifies rounding."""
    experiment, seeds = Experiment.of("table1.ssm_beyond", precision="float64"), [200, 201]
    share = np.full(6, (1 - special) * population)  # of the squares, place by place
    share[[0, 1]] += (1 - special) * (1 - population)
    share[4] += special
    few = np.diag(np.sqrt(6 * share))[..., None]
    run, student = on_infinitely_many(experiment, seeds, population, special, fit, most=most)
    again = experiment.student(seeds)
    options = {"stop_loss": fit * (1 - special), "extra": experiment.further("with")}
    loss = sequence_loss(few, experiment.answers(few))
    other = train(again, loss, rule=experiment.rule, rate=0.01, most=most, **options)
    np.testing.assert_array_equal(run.stop, other.stop)
    np.testing.assert_array_equal(run.iterations, other.iterations)
    assert np.all(run.stop > 0) and np.all(run.finished == (most == 3000))
    np.testing.assert_allclose(abc(student)[0], abc(again)[0], rtol=rtol)
