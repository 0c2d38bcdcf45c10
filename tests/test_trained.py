"""The paper's trained experiments: starts, data, runs and errors, each by a second route."""

import os
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from recompute import released_run
from results import _in_own_time, bands

from support import paper, released, results, trained
from support.backend import BACKEND, device
from support.observe import watch
from support.panels import _looks, _telling, large_entries, panels, watched
from support.paper import COLUMNS
from support.protocol import RELEASED, TEXT, Protocol
from support.results import rounded
from support.ssm import SSM
from support.trained import Experiment, Outcome, _ends_at_ones, abc, cells
from support.training import Run, sequence_loss

STANDALONE = [name for name in paper.panels() if not name.endswith("mlp")]


def test_stored_draws_are_tensorflow_s():
    """Each shape anew; that all are prefixes of one stream is what storing one stream assumes."""
    import tensorflow as tf

    stored = released._stored_streams()
    needed = {
        seed
        for name in (*paper.trained_rows(), *paper.panels())
        for seed in paper.setting(name).get(
            "released_seeds", [paper.setting(name).get("released_seed")]
        )
    }
    assert set(map(int, stored)) == needed
    for seed in needed:
        for shape in ((1, 10), (20, 1), (20, 20), (15, 15), (25, 25)):
            drawn = tf.random.stateless_normal(shape, (seed, 0)).numpy().ravel()
            np.testing.assert_array_equal(drawn, released.normal_streams([seed], drawn.size)[:, 0])
    scaled = tf.random.stateless_normal((25, 25), (4540, 0), stddev=0.1).numpy()
    setting = paper.setting("table2.ssm_mlp")
    np.testing.assert_array_equal(scaled, released.trained_kernels(setting, [4540])[1][..., 0])
    seeds = [7, 200, 2**31, 2**32 - 1]  # seeds that are not stored, beside one that is
    others = [tf.random.stateless_normal((7,), (seed, 0)).numpy() for seed in seeds]
    np.testing.assert_array_equal(np.stack(others, axis=-1), released.normal_streams(seeds, 7))


def test_a_seed_without_a_generator_says_which_have_one(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert len(released.normal_streams([200], 100)) == 100
    with pytest.raises(ValueError, match="seed = 7; allowed without TensorFlow"):
        released.normal_streams([200, 7], 100)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "column", "rounding"),
    [
        ("table1.ssm_beyond", "with", 0.01),
        ("table2.ssm_beyond", "without", 0.01),
        ("table2.ssm_beyond", "with", 0.01),
        ("table1.ssm_mlp", "with", 0.3),
        ("table2.ssm_mlp", "with", 0.01),
    ],
)
def test_cells_within_two_percent_of_print(name, column, rounding):
    """The stored mean against print, and a live run against the stored mean.

    `rounding` bounds what another processor may change: the spread of the stored means over
    sixteen starts that differ in the last digit of a float32 (asserted here).
    """
    experiment = Experiment.of(name)
    seeds = experiment.setting["released_seeds"]
    printed = paper.printed(*name.split("."), column)
    record = results.load(name)
    assert record["key"]["seeds"] == seeds and record["key"]["precision"] == "float32"
    stored = np.mean(record["values"][column])
    assert stored == pytest.approx(printed, rel=0.02)
    noisy = np.reshape(results.load(f"{name}.jitter")["values"][column], (-1, 4)).mean(axis=1)
    assert np.all(abs(noisy / stored - 1) < rounding)
    outcome = experiment.train(seeds, column, progress=False)
    assert outcome.run.finished.all()
    assert np.mean(outcome.errors) == pytest.approx(stored, rel=rounding)
    if column == "with" and not experiment.in_network:
        spoiled = Experiment.of(name, n_special=1, special_lags=[2])
        others = spoiled.train(seeds, column, progress=False, most=30_000).errors
        assert np.mean(others) != pytest.approx(printed, rel=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("column", COLUMNS)
@pytest.mark.parametrize("name", STANDALONE)
def test_panels_equal_an_independent_recomputation(name, column):
    """Entries of A at the stop and at the end, float64, against tests/recompute.py.

    At the end the adaptive rate has the iterate jump between two branches, up to 2e-2 apart in an
    entry of A. Which of the two comes last is, in three of the eight panels, decided by rounding:
    tests/recompute.py disagrees with itself there after a change of its start by 1e-15. The mean
    of the last two iterates does not depend on that (2e-5, measured), so it is compared for all.
    """
    experiment = Experiment.of(name, precision="float64")
    seed = [experiment.setting["released_seed"]]
    a, b, c = (v[:, 0].astype(float) for v in experiment.start(seed)[:3])
    x = experiment.sequences(seed, column)[..., 0]
    states = np.array([0.99, 0.8]) if name.startswith("figure4") else np.ones(1)
    y = x[:, ::-1] @ (states[:, None] ** np.arange(x.shape[1])).sum(axis=0)
    further = experiment.further(column)
    stop, at_stop, last_two = released_run(
        a, b, c, x, y, experiment.setting["lr"][column],
        stop_loss=experiment.stop_loss, further=further, reset_ends=name.startswith("figure4"),
    )  # fmt: skip
    options = dict(every=10**6, looks=[stop, stop + further - 1], progress=False)
    outcome = experiment.train(seed, column, observe=lambda x, y: abc, **options)
    assert outcome.run.stop[0] == stop and outcome.run.iterations[0] == stop + further
    log = dict(outcome.run.log)

    def largest(*iterates):
        """The five largest entries of A in size, averaged over iterates."""
        return np.sort(np.mean([abs(np.ravel(v[0])) for v in iterates], axis=0))[::-1][:5]

    ours, theirs = largest(log[stop]), largest(at_stop)
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    ours = largest(log[stop + further - 1], abc(outcome.student))
    np.testing.assert_allclose(ours, largest(*last_two), rtol=1e-4)
    assert not np.allclose(theirs, largest(*last_two), rtol=1e-4)


@pytest.mark.slow
def test_jax_gives_the_numbers_of_tensorflow():
    """To the stop, float64, standalone and in a network; past it see above."""
    code = (
        "from support.trained import *\n"
        "for name in ('table1.ssm_beyond', 'table1.ssm_mlp'):\n"
        "    e = Experiment.of(name, precision='float64')\n"
        "    o = e.train(e.setting['released_seeds'], 'with', further=0, progress=False)\n"
        "    print(*o.run.stop, *o.errors)"
    )
    outputs = [
        subprocess.run([sys.executable, "-c", code], env=os.environ | {"KERAS_BACKEND": backend},
                       capture_output=True, text=True, check=True).stdout.splitlines()
        for backend in ("tensorflow", "jax")
    ]  # fmt: skip
    # Keras' Adam itself differs between the two by 1e-8 in its rate (support.optimizers), and the
    # stop is passed at full speed.
    for ours, theirs, tolerance in zip(*outputs, (1e-8, 1e-3), strict=True):
        ours, theirs = (np.array(line.split(), dtype=float) for line in (ours, theirs))
        np.testing.assert_allclose(ours, theirs, rtol=tolerance)


def test_stored_draws_are_enough_to_their_end(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    stored = released._stored_streams()
    for seed, stream in stored.items():
        drawn = released.normal_streams([int(seed)], len(stream))
        np.testing.assert_array_equal(drawn[:, 0], stream)
    allowed = rf"; allowed without TensorFlow, .* used: {', '.join(stored)}$"
    with pytest.raises(ValueError, match=r"^seed = 7" + allowed):
        released.normal_streams([7], 3)


def test_a_start_as_released():
    """From the one stream: the diagonal of a full A, B, and C in reversed order of its indices."""
    setting = paper.setting("table1.ssm_beyond") | {"diff_exponent": 1.0}  # a gap that is seen
    d, warm = setting["d"], setting["warm"]
    gap = paper.initial_gap(setting["sd_A"], setting["diff_exponent"])
    stream = abs(released.normal_streams([200, 204], d * d)).astype(float)
    a, b, c = released.trained_start(setting, [200, 204])
    full = stream.reshape(d, d, 2)
    for ours, drawn in ((a, full[range(d), range(d)]), (b, stream[:d])):
        wanted = -np.sort(-1e-3 * drawn, axis=0)
        wanted[1] = wanted[0] - gap
        np.testing.assert_allclose(ours, wanted + warm, rtol=1e-6)
    np.testing.assert_allclose(c, 1e-3 * stream[:d][::-1], rtol=1e-6)


def test_labels_are_the_teacher_s():
    x = np.random.default_rng(0).normal(size=(5, 6, 2))
    z = x.sum(axis=1)
    np.testing.assert_allclose(Experiment.of("figure2.ssm").answers(x), z)
    hidden = np.maximum(np.maximum(np.multiply.outer(z, np.ones(15)), 0) @ np.eye(15), 0)
    network = Experiment.of("figure2.ssm_mlp")
    np.testing.assert_allclose(network.answers(x), hidden @ np.full(15, 0.5))
    by_recurrence = [
        [SSM.with_ones(np.array([0.99, 0.8])).recurrence(x[i, :, m])[-1] for m in range(2)]
        for i in range(5)
    ]
    np.testing.assert_allclose(Experiment.of("figure4.rank2").answers(x), by_recurrence)


def test_how_the_tables_judge():
    """The zero map has error one; Keras' own forward pass gives the network's error."""
    for name in ("table1.ssm_beyond", "table2.ssm_mlp", "figure4.rank2"):
        experiment = Experiment.of(name, precision="float64")
        student = experiment.student([200, 201])
        if experiment.in_network:
            x = released.held_out_inputs(201, 40)
            answers = np.array(student.take([1])(x[..., None]))[:, 0]
            truth = experiment.answers(x)
            expected = np.linalg.norm(answers - truth) / np.linalg.norm(truth)
            assert experiment.errors(student, [200, 201])[1] == pytest.approx(expected, rel=1e-12)
        student.ssm.input_weight.assign(np.zeros(student.ssm.input_weight.shape))
        np.testing.assert_allclose(experiment.errors(student, [200, 201]), 1)


@pytest.mark.parametrize(("name", "slope"), [
    ("table1.ssm_beyond", 1.0), ("table1.ssm_mlp", 1.0), ("table1.ssm_mlp", -1.0),
    ("table1.ssm_mlp", 1e-3),
])  # fmt: skip
def test_errors_within_and_beyond_the_training_length(name, slope):
    """A student that is right up to a factor, then wrong at lag 0 only, or at late lags only.

    `slope`: the entries of a network's first kernel, so which side of it is steep, and how much.
    """
    experiment = Experiment.of(name, precision="float64")
    student = experiment.student([200])
    weights = student.get_weights()
    if experiment.in_network:
        w = experiment.setting["width"]
        weights[3:] = [
            v[..., None] for v in (np.full((1, w), slope), np.eye(w), np.full((w, 1), 0.25))
        ]
    scale = 2 / slope if experiment.in_network else 1.0
    flat = [np.zeros_like(v) if i == 5 else v for i, v in enumerate(weights)]
    if experiment.in_network:  # it answers zero whatever the lags that are given to it
        student.set_weights(flat)
        assert experiment.errors(student, [200], 6)[0] == experiment.errors(student, [200])[0] == 1
    for a, b, within in (
        ([1.0, 0.0], [scale, 5 / slope], True),
        ([1.0, 0.9], [scale, 0.0], None),
        ([1.02, 0.0], [scale, 0.0], False),
    ):
        weights[0][:2, 0], weights[1][:, 0], weights[2][:, 0] = a, 0, 1
        weights[1][:2, 0] = b
        student.set_weights(weights)
        error, beyond = (experiment.errors(student, [200], first)[0] for first in (0, 6))
        if within is None:
            assert max(error, beyond) < 1e-12
        elif within:
            assert error > 0.3 and beyond < 1e-12
        else:
            assert error > 0.2 and beyond > 0.8 * error


def test_where_text_and_released_runs_differ():
    released_one, text = (Experiment.of("table2.ssm_mlp", p) for p in (RELEASED, TEXT))
    assert (released_one.stop_loss, text.stop_loss) == (0.05, 0.01)
    assert (released_one.further("with"), text.further("with")) == (4901, 5000)
    a, b, c, kernels = text.start([200])
    assert np.all(np.diff(c[:, 0]) <= 0) and np.all(np.diff(np.delete(a, 1)) <= 0) and c[0] != b[0]
    gap = paper.initial_gap(1e-3, 2)
    assert a[0] - a[1] == pytest.approx(gap) and b[0] - b[1] == pytest.approx(gap)
    assert [k.shape for k in kernels] == [(1, 25, 1), (25, 25, 1), (25, 1, 1)]
    assert np.min(kernels[1]) < 0 < np.max(kernels[1])
    _, _, c, _ = released_one.start([200])
    assert not np.all(np.diff(c[:, 0]) <= 0)
    _, _, sorted_c, _ = Experiment.of(
        "table2.ssm_mlp", replace(RELEASED, output_order="text")
    ).start([200])
    np.testing.assert_array_equal(sorted_c, np.sort(c, axis=0)[::-1])
    kinds = (
        ("table1.ssm_beyond", RELEASED),
        ("table1.ssm_beyond", TEXT),
        ("table1.ssm_mlp", RELEASED),
    )
    probed = [Experiment.of(*kind).student([200]).ssm.probe is not None for kind in kinds]
    assert probed == [True, False, False]  # only the released rate asks for a full matrix's norm
    figure = Experiment.of("figure4.rank2", TEXT).student([1])
    assert [v.name for v in figure.trainable_variables] == ["transition"]
    x = {p: Experiment.of("figure2.ssm", p).sequences([1], "with") for p in (RELEASED, TEXT)}
    assert x[TEXT].shape == x[RELEASED].shape and not np.array_equal(x[TEXT], x[RELEASED])
    np.testing.assert_array_equal(x[TEXT] != 0, x[RELEASED] != 0)
    drawn = released.trained_inputs(paper.setting("figure2.ssm"), next(released.generators([1])))
    np.testing.assert_allclose(x[RELEASED][..., 0], drawn, rtol=1e-6)  # single precision
    drawn = released.trained_inputs(paper.setting("figure2.ssm"), np.random.default_rng([1, 1]))
    np.testing.assert_allclose(x[TEXT][..., 0], drawn, rtol=1e-6)
    assert released_one.student([200]).head.folded is False
    for protocol, fixed in ((TEXT, True), (RELEASED, False)):
        ends = Experiment.of("figure4.rank2", protocol).start([1])[1:3]
        assert np.all(np.array(ends) == 1) == fixed
    further = Experiment.of("figure3.ssm_mlp").further
    assert (further("without"), further("with")) == (20_000 - 99, 5000 - 99)


def test_a_student_has_the_precision_and_the_network_asked_for():
    for precision in ("float32", "float64"):
        students = [
            Experiment.of(name, precision=precision).student([200])
            for name in ("table1.ssm_beyond", "table1.ssm_mlp")
        ]
        assert {v.dtype for student in students for v in student.weights} == {precision}
        assert [student.head is None for student in students] == [True, False]
        taken = students[1].take([0])
        assert {v.dtype for v in taken.weights} == {precision} and taken.head.folded is False
    folded = Experiment.of("table1.ssm_mlp", folded=True).student([200])
    assert folded.head.folded is folded.take([0]).head.folded is True


def test_special_sequences_of_one_s_own():
    experiment = Experiment.of("table1.ssm_beyond", n_special=3, special_lags=[0, 2])
    x = experiment.sequences([9], "with")[..., 0]
    assert x.shape == (11, 6) and np.array_equal(np.flatnonzero(x[-1]), [3, 5])
    np.testing.assert_array_equal(x[:8], experiment.sequences([9], "without")[..., 0])


def test_jitter_is_a_noise_of_its_own_for_each_member():
    def student(jitter):
        return Experiment.of("table1.ssm_mlp", jitter=jitter).student([200, 200])

    plain, noisy, again = map(student, (0.0, 1e-6, 1e-6))
    for quiet, loud in zip(plain.get_weights(), noisy.get_weights(), strict=True):
        np.testing.assert_allclose(loud, quiet, rtol=1e-5)
        assert not np.array_equal(loud[..., 0], loud[..., 1])
        np.testing.assert_array_equal(quiet[..., 0], quiet[..., 1])
    for one, two in zip(noisy.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_panel_keeps_what_its_picture_needs():
    log = [
        (step, {"transition": np.full((2, 1), step / 3), "gamma": np.array([[step], [9.0]]),
                "effective_rank": np.array([1 + step / 7]), "loss": np.array([1e-9 / (1 + step)])})
        for step in (0, 20, 45)
    ]  # fmt: skip

    def train(seeds, column, **options):
        asked.append((seeds, column, options["most"]))
        done = (np.array([value]) for value in (20, 45, 1e-9, False, column == "with"))
        return Outcome(None, Run(*done, log, 0.0), np.ones(1), np.ones(1))

    asked, experiment = [], SimpleNamespace(train=train)
    row = panels(experiment, 105, most=45)
    assert asked == [([105], "without", 45), ([105], "with", 45)]
    for column, panel in row.items():
        assert panel == {
            "step": [0, 20, 45], "transition": [[0.0, 0.0], [6.66667, 6.66667], [15.0, 15.0]],
            "gamma_0": [0.0, 20.0, 45.0], "effective_rank": [1.0, 3.85714, 7.42857],
            "loss": [1e-9, 4.7619e-11, 2.17391e-11], "stop": 20, "iterations": 45,
            "finished": column == "with",
        }  # fmt: skip


@pytest.mark.slow
def test_a_panel_is_what_was_seen_on_the_way():
    """A short run, looked at every 20 iterations, against training that is stopped there."""
    experiment = Experiment.of("figure4.rank2", precision="float64")
    row = panels(experiment, 105, progress=False, most=45)
    assert set(row) == set(COLUMNS)
    for column, panel in row.items():
        assert set(panel) == {"step", "transition", "gamma_0", "effective_rank", "loss", "stop",
                              "iterations", "finished"}  # fmt: skip
        assert panel["step"] == [0, 20, 40, 45]
        assert (panel["stop"], panel["iterations"], panel["finished"]) == (-1, 45, False)
        for i, step in enumerate(panel["step"]):
            student = experiment.student([105])
            if step == 40 or (step == 20 and column == "without"):
                continue
            if step:
                student = experiment.train([105], column, most=step, progress=False).student
            a, b, c = (v[:, 0] for v in abc(student))
            np.testing.assert_allclose(panel["transition"][i], a, rtol=5e-6)
            assert step == 0 or (np.all(b == 1) and np.all(c == 1))  # the released runs' reset
            x = experiment.sequences([105], column)
            h = (c * b * a ** np.arange(x.shape[1])[:, None]).sum(axis=1)
            delta = (experiment.answers(x) - np.tensordot(h[::-1], x, axes=(0, 1)))[:, 0]
            assert panel["loss"][i] == pytest.approx(np.mean(delta**2), rel=5e-6)
            gamma = 2 * np.mean(delta * x[:, -2, 0])
            assert panel["gamma_0"][i] == pytest.approx(gamma, rel=5e-6, abs=1e-12)
            share = abs(a) / abs(a).sum()
            rank = np.exp(-(share * np.log(share)).sum())
            assert panel["effective_rank"][i] == pytest.approx(rank, rel=5e-6)


def test_what_is_watched_is_trained_as_asked():
    def train(*what, **options):
        return SimpleNamespace(run=SimpleNamespace(log=[(0, {"x": 1}), (9, {"x": 2})]), all=options)

    outcome, steps, seen = watched(SimpleNamespace(train=train), [3], "with", most=70, chunk=5)
    options = dict(every=70, looks=_looks(70), most=70, observe=watch, chunk=5)
    assert outcome.all == options
    assert steps.tolist() == [0, 9] and seen["x"].tolist() == [1, 2]


def test_looks_grow_apart():
    assert _looks(50) == _looks(60) == [20, 40, 60]
    names, values = ["transition", "input", "output", "probe"], list(np.full((4, 2), 3.0))
    assert [v[0] for v in _ends_at_ones(names, values)] == [3, 1, 1, 3]
    late = np.array(_looks(100_000))
    assert late[-2] < 100_000 <= late[-1]
    np.testing.assert_array_equal(np.diff(late), np.maximum(20, (0.03 * late[:-1]).astype(int)))


@pytest.mark.slow
def test_panels_and_bands_hold_what_the_figures_need():
    experiment = Experiment.of("figure2.ssm", precision="float64")
    row = panels(experiment, 105, progress=False, most=2500)
    for panel in row.values():
        times = len(panel["step"])
        assert np.shape(panel["transition"]) == (times, 10) and panel["step"][0] == 0
        assert all(len(panel[k]) == times for k in ("gamma_0", "effective_rank", "loss"))
    assert row["without"]["finished"] is False and row["with"]["stop"] == 606
    assert max(map(abs, row["without"]["gamma_0"])) == 0 < max(row["with"]["gamma_0"])
    many = bands(experiment, [105, 106], progress=False, most=2500)
    assert many["with"]["stop"][0] == 606 and np.shape(many["with"]["entry_2"]) == (5, 49)
    assert many["without"]["stop"] == [-1, -1] and np.isnan(many["without"]["entry_1"]).all()


def test_how_curves_are_thinned_and_put_on_their_own_time():
    steps = np.arange(0, 1000, 10)
    curves = np.stack([np.where(steps < 500, 0, 1.0), np.zeros(100)], axis=-1)
    kept = _telling(steps, curves)
    assert kept[0] == 0 and kept[-1] == 99 and 50 in kept and 40 < len(kept) < 70
    doubled = _in_own_time(
        np.stack([steps, 2 * steps], -1).astype(float), steps, [500, 250], [0, 1]
    )
    np.testing.assert_allclose(doubled[0], doubled[1])
    np.testing.assert_array_equal(large_entries([[1.0, -2.0], [0.09, 0.3], [-0.2, 0.1]]), [2, 2])
    np.testing.assert_array_equal(large_entries([[10.0], [1.0], [1.01]]), [2])


def test_a_picture_keeps_a_sixtieth_of_the_time_and_changes_above_a_hundredth():
    still, steps = np.zeros((121, 1)), np.arange(121)
    assert _telling(steps, still) == list(range(0, 121, 2))
    assert _telling(np.r_[:120, 300], still) == [*range(0, 120, 5), 120]
    assert _telling(np.arange(0, 3661, 60), still) == [*range(0, 61, 2), 61]
    at_most, more = still.copy(), still.copy()
    at_most[1:], more[1:] = 0.01, 0.02
    assert _telling(steps, at_most) == list(range(0, 121, 2))
    assert _telling(steps, more) == [0, *range(1, 121, 2), 120]
    assert _telling(steps[:1], still) == [0]


def test_numbers_are_stored_to_six_digits():
    assert rounded(np.array([1 / 3, 2e-9])) == [0.333333, 2e-9] and rounded(np.bool_(True)) is True


def test_a_key_says_all_that_was_asked_and_what_computed_it():
    plain = Experiment.of("table1.ssm_mlp")
    key = plain.key("x", range(2))
    assert key["name"] == "x" and key["seeds"] == [0, 1] and key["precision"] == "float32"
    assert key["settings"] == {
        "experiment": plain.setting,
        "protocol": dict.fromkeys(("draws", "output_order", "rate", "reading", "stop", "ends"),
                                  "released"),
    }  # fmt: skip
    assert key["rule"] == "adam" and key["device"] == device()
    assert key["support"] == results.__version__
    assert key["libraries"] == {name: version(name) for name in ("keras", BACKEND)}
    changed = Experiment.of("table1.ssm_mlp", folded=True, special_scale=2.0, jitter=1e-7)
    more = {"folded": True, "special_scale": 2.0, "jitter": 1e-7, "most": 7}
    assert changed.key("x", [0], most=7)["settings"] == key["settings"] | more


def test_a_result_is_recalled_only_for_the_same_question(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    experiment = Experiment.of("table1.ssm_beyond")
    key = experiment.key("x", [1, 2])
    results.store(key, {"with": [1.0, 2.0]})
    other = [
        experiment.key("x", [1, 3]),
        Experiment.of("table1.ssm_beyond", TEXT).key("x", [1, 2]),
        Experiment.of("table1.ssm_beyond", precision="float64").key("x", [1, 2]),
        Experiment.of("table1.ssm_beyond", special_lags=[2]).key("x", [1, 2]),
        Experiment.of("table1.ssm_beyond", jitter=1e-7).key("x", [1, 2]),
        Experiment.of("table1.ssm_beyond", special_scale=0.5).key("x", [1, 2]),
        experiment.key("y", [1, 2]),
        experiment.key("x", [1, 2], most=300),
    ]
    assert results.recall(key, None)["values"] == {"with": [1.0, 2.0]}
    assert results.recall(key | {"name": "z"}, dict) == {"key": key | {"name": "z"}, "values": {}}
    for asked in other:
        assert results.recall(asked, lambda: "new")["values"] == "new"


def test_special_sequences_are_scaled_and_stay_clean():
    plain, scaled = (Experiment.of("table1.ssm_mlp", special_scale=c) for c in (1.0, 0.25))
    for column, factor in (("without", 1.0), ("with", 0.25)):
        x, y = (e.sequences([3, 4], column).astype(float) for e in (plain, scaled))
        n = plain.setting["n_baseline"]
        np.testing.assert_array_equal(y[:n], x[:n])
        np.testing.assert_array_equal(y[n:], factor * x[n:])
        answers = plain.answers(x)
        np.testing.assert_allclose(scaled.answers(y)[n:], factor * answers[n:], rtol=1e-12)


def test_a_record_is_stored_as_text_or_as_a_table(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    asked = dict(settings={}, rule="adam", seeds=[1], precision="float32", device="cpu")
    key = results.make_key("a.b", **asked, libraries=["numpy"])
    assert key == {"name": "a.b", **asked, **results.versions(["numpy"])}
    values = {"x": [1.0, 2.5], "y": {"z": None}}
    path = results.store(key, values)
    assert path == tmp_path / "a.b.json" and results.load("a.b") == {"key": key, "values": values}
    text = path.read_text().splitlines()  # a line for each value, so that changes show
    assert text[-4:] == ['"values": {', '"x": [1.0, 2.5],', '"y": {"z": null}', "}}"]
    assert text[0] == '{"key": {' and text[1] == ' "name": "a.b",'
    table = pa.table({"x": [1, 2]})
    assert results.store(key, table) == tmp_path / "a.b.parquet"
    found = results.load("a.b")  # the table goes first
    assert found["key"] == key and found["values"].to_pydict() == {"x": [1, 2]}


def test_what_an_experiment_asks_of_training(untrained, monkeypatch):
    room, seeds = [], [200, 201]
    monkeypatch.setattr(trained, "require_memory", lambda *asked: room.append(asked))

    def asked(name, column, protocol=RELEASED, **options):
        experiment = Experiment.of(name, protocol)
        outcome = experiment.train(seeds, column, **options)
        call, x = untrained.pop(), experiment.sequences(seeds, column)
        np.testing.assert_array_equal(call.start, experiment.student(seeds).get_weights()[0])
        for ours, theirs in zip(call.loss[1], (x, experiment.answers(x)), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        for errors, first in ((outcome.errors, 0), (outcome.beyond, x.shape[1])):
            np.testing.assert_array_equal(errors, experiment.errors(outcome.student, seeds, first))
        assert call.loss[0] is sequence_loss(x, x[:, 0])[0]
        assert outcome.run.stop.tolist() == [10, -1]
        return call.options

    plain = dict(rule="released", rate=0.01, stop_loss=0.01, most=200_000, observe=None)
    plain |= {"project": None, "extra": 1401}
    assert asked("table1.ssm_beyond", "with") == plain
    changed = {"most": 9, "chunk": 2, "progress": False}
    plain |= changed | {"extra": 7}
    assert asked("table1.ssm_beyond", "without", further=7, **changed) == plain
    for column, kinds in (("without", ["n_baseline"]), ("with", ["n_baseline", "n_special"])):
        text = asked("table2.ssm_mlp", column, TEXT, observe=lambda x, y: (len(x), y.shape))
        setting = paper.setting("table2.ssm_mlp")
        n = sum(setting[kind] for kind in kinds)
        assert text["rate"] == setting["lr"][column] and text["stop_loss"] == 0.01
        assert text["extra"] == 5000 and text["observe"] == (n, (n, 2))
    s = paper.setting("table2.ssm_mlp")  # and in double precision, Adam's averages twice
    data, weights = s["kappa"] * (s["n_baseline"] + s["n_special"]), 3 * s["d"] + s["width"] ** 2
    assert room == [(2, 8 * (6 * 18 + 6 * 30))] * 2 + [(2, 8 * (data + 6 * weights))] * 2
    assert asked("figure4.rank2", "with")["project"] is _ends_at_ones
    assert asked("figure4.rank2", "with", TEXT)["project"] is None  # B and C are not trained
    for column, further in (("without", 20_000), ("with", 5000)):  # of each column its own
        assert asked("figure3.ssm_mlp", column)["extra"] == further - 99


def test_cells_keep_errors_and_runs(untrained):
    experiment = Experiment.of("table1.ssm_beyond")
    values = cells(experiment, [200, 201], progress=False, most=50)
    assert [call.options["chunk"] for call in untrained] == [8, 8]
    cells(experiment, [200, 201], chunk=3)
    assert untrained[-1].options["chunk"] == 3
    assert set(values) == {*COLUMNS, "runs"} and set(values["runs"]) == set(COLUMNS)
    for column, runs in values["runs"].items():
        outcome = experiment.train([200, 201], column, most=50, progress=False)
        assert values[column] == rounded(outcome.errors)
        a, b, c = abc(outcome.student)
        wrong = abs((c * b * a ** np.arange(40.0)[:, None, None]).sum(axis=1) - 1)
        np.testing.assert_allclose(outcome.errors, wrong.max(axis=0), rtol=1e-5)
        np.testing.assert_allclose(outcome.beyond, wrong[6:].max(axis=0), rtol=1e-5)
        assert runs == {
            "beyond": rounded(outcome.beyond),
            "stop": [10, -1],
            "iterations": [40, 29],
            "loss": rounded(outcome.run.loss),
            "finished": [True, False],
        }


@pytest.mark.parametrize("call", [
    lambda: Protocol(rate="paper"),
    lambda: Experiment.of("table1.ssm_beyond", n_special=-1),
    lambda: Experiment.of("table1.ssm_beyond", n_specials=1),
    lambda: Experiment.of("table1.ssm_beyond", width=3),
    lambda: Experiment.of("table1.ssm_beyond", folded=True),
    lambda: Experiment.of("table1.ssm_mlp", folded=1),
    lambda: Experiment.of("table1.ssm_mlp", setting={}),
    lambda: Experiment.of("table1.ssm_beyond", special_scale=float("inf")),
    lambda: Experiment.of("table1.ssm_beyond", special_lags=[6]),
    lambda: Experiment.of("table1.ssm_beyond", special_lags=[-1]),
    lambda: Experiment.of("table1.ssm_beyond").train(range(10**12), "with"),
])  # fmt: skip
def test_bad_input_says_what_is_allowed(call):
    with pytest.raises(ValueError, match="allowed") as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_start_and_sequences_by_the_text():
    """Appendix E.3.1: sizes of normal draws in order, the gap set, warm starts added to A and B."""
    experiment = Experiment.of("table2.ssm_mlp", TEXT, warm=0.25)
    s, generator = experiment.setting, np.random.default_rng([5, 0])
    draws = [np.sort(abs(generator.normal(0, sd, s["d"])))[::-1]
             for sd in (s["sd_A"], s["sd_BC"], s["sd_BC"])]  # fmt: skip
    gap = paper.initial_gap(s["sd_A"], s["diff_exponent"])
    for part in draws[:2]:
        part[1] = part[0] - gap
    w = s["width"]
    kernels = [generator.normal(0, s["sd_D"], shape) for shape in ((1, w), (w, w), (w, 1))]
    wanted = [draws[0] + 0.25, draws[1] + 0.25, draws[2], *kernels]
    a, b, c, own = experiment.start([5])
    for ours, theirs in zip((a, b, c, *own), wanted, strict=True):
        np.testing.assert_array_equal(ours[..., 0], theirs)
    held_out = np.random.default_rng([5, 2]).normal(size=(2000, 40))
    np.testing.assert_array_equal(experiment._held_out(5), held_out)
    released_out = Experiment.of("table2.ssm_mlp")._held_out(5)
    drawn = np.random.RandomState(17).randn(2000, 40)  # the released runs add twelve to the seed
    np.testing.assert_array_equal(released_out, drawn)
