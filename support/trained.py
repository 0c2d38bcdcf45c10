"""The paper's trained experiments: rows 2 and 3 of Tables 1 and 2, the panels of Figures 2 to 4.

Gradient descent on standalone SSMs beyond Theorem 1, and on SSMs inside a ReLU network (Appendix
E.3.1). How their students start, what they see, how they are trained and judged. Where the text
and the publicly released runs differ, a `Protocol` says, choice by choice, whom to follow.
"""

from dataclasses import asdict, dataclass, fields

import numpy as np

from support import paper, released, results
from support.backend import BACKEND, device, keras
from support.layers import DiagonalSSM, ReluNetwork, Student
from support.protocol import RELEASED, Protocol
from support.results import rounded
from support.ssm import SSM, generalization_error
from support.training import Run, require_memory, require_number, sequence_loss, train

__all__ = ["MOST", "TEST_LENGTH", "Experiment", "Outcome", "abc", "cells"]

MOST = 200_000  # iterations after which an unfinished member is given up
TEST_LENGTH = 40  # of impulse responses and held-out sequences (Appendix E.3.1)


# What of a setting may be changed, each with the least that it can be; its type tells its own.
CHANGES = {"d": 2, "width": 1, "n_baseline": 1, "n_special": 0, "sd_A": 0.0, "sd_BC": 0.0}
CHANGES |= {"sd_D": 0.0, "diff_exponent": 0.0, "warm": 0.0}


def allowed(name):
    """The entries of CHANGES that this experiment has, in words."""
    return ", ".join(entry for entry in CHANGES if entry in paper.setting(name))


@dataclass(frozen=True)
class Outcome:
    """What came of training: the students, their Run, and their `errors` [members].

    `beyond` is the part of the errors that is extrapolation, see `Experiment.errors`.
    """

    student: Student
    run: Run
    errors: np.ndarray
    beyond: np.ndarray

    def record(self):
        """What a stored result keeps of it, as lists over the members; numbers to six digits."""
        parts = {"error": self.errors, "beyond": self.beyond}
        parts |= {n: getattr(self.run, n) for n in ("stop", "iterations", "loss", "finished")}
        return {name: rounded(values) for name, values in parts.items()}


@dataclass(frozen=True)
class Experiment:
    """A table's row or a figure's panels: `setting` as in `support.paper`, or with changes."""

    setting: dict
    protocol: Protocol = RELEASED
    precision: str = "float32"
    jitter: float = 0.0  # relative size of normal noise on the starts, to see what rounding does
    special_scale: float = 1.0  # of the special sequences' entries, beyond the paper
    folded: bool = False  # of the network, see `support.layers.ReluNetwork`

    def __post_init__(self):
        if self.precision not in ("float32", "float64"):
            raise ValueError(f"precision = {self.precision!r}; allowed: 'float32' or 'float64'")
        require_number("jitter", self.jitter, 0.0)
        require_number("special_scale", self.special_scale, 0.0)
        if type(self.folded) is not bool or (self.folded and not self.in_network):
            raise ValueError(f"folded = {self.folded!r}; allowed: False, or in a network True")

    @classmethod
    def of(cls, name, protocol=RELEASED, special_lags=None, **options):
        """The paper's experiment `name`, such as "table1.ssm_mlp" or "figure4.rank2".

        `options` are fields of Experiment, or replace entries of its setting, any of `CHANGES` that
        it has; None leaves the paper's. `special_lags`, where given, replaces the places of the
        special sequences' entries, counted backwards: lag 0 is the last place, lag 1 the
        next-to-last. Raises ValueError for an unknown option, for a value that it cannot take and
        for a lag beyond the first place.
        """
        names = {field.name for field in fields(cls)} - {"setting", "protocol"}
        own = {k: options.pop(k) for k in names & set(options)}
        setting = paper.setting(name)
        changes = {entry: value for entry, value in options.items() if value is not None}
        for entry, value in changes.items():
            if entry not in CHANGES or entry not in setting:
                raise ValueError(f"{entry} is no parameter of {name!r}; allowed: {allowed(name)}")
            require_number(entry, value, CHANGES[entry])
        setting |= changes
        if special_lags:
            kappa = setting["kappa"]
            if type(special_lags) is not list or not all(
                type(lag) is int and 0 <= lag < kappa for lag in special_lags
            ):
                raise ValueError(f"special_lags = {special_lags}; allowed: 0, ..., {kappa - 1}")
            setting["special_indices"] = sorted(kappa - lag for lag in special_lags)
        return cls(setting, protocol, **own)

    def key(self, name, seeds, most=MOST):
        """The key under which results of this experiment are stored as `name`."""
        settings = {"experiment": self.setting, "protocol": asdict(self.protocol)}
        settings |= {"most": most} if most != MOST else {}
        settings |= {"folded": True} if self.folded else {}
        settings |= {"special_scale": self.special_scale} if self.special_scale != 1 else {}
        return results.make_key(
            name,
            settings=settings | ({"jitter": self.jitter} if self.jitter else {}),
            rule=self.rule,
            seeds=list(seeds),
            precision=self.precision,
            device=device(),
            libraries=["keras", BACKEND],
        )

    @property
    def in_network(self):
        return "width" in self.setting

    @property
    def ends_fixed(self):
        """Whether B and C stay at ones (Figure 4)."""
        return "student_BC" in self.setting

    @property
    def teacher(self):
        return SSM.with_ones([0.99, 0.8] if self.ends_fixed else [1.0])  # Appendix E.3.1

    def sequences(self, seeds, column):
        """The training sequences, [n, kappa, members], with or without the special ones."""
        s = self.setting
        n = s["n_baseline"] + (column == "with") * s["n_special"]
        if self.protocol.draws == "released":
            generators = released.generators(seeds)
        else:
            generators = (np.random.default_rng([seed, 1]) for seed in seeds)
        drawn = [released.trained_inputs(s, generator)[:n] for generator in generators]
        sequences = np.stack(drawn, axis=-1)
        sequences[s["n_baseline"] :] *= self.special_scale
        return sequences.astype(self.precision)

    def answers(self, sequences):
        """The teacher's labels: [n, length, ...] to [n, ...]."""
        h = self.teacher.impulse_response(sequences.shape[1])[::-1]
        z = np.tensordot(h.astype(sequences.dtype), sequences, axes=(0, 1))
        # D_in = 1, D_hidden = I, D_out = 1/2: `width` equal units
        return np.maximum(z, 0) * z.dtype.type(self.setting["width"] / 2) if self.in_network else z

    def start(self, seeds):
        """A(0), B(0), C(0), each [d, members], and the network's kernels, members last.

        There are no kernels for a standalone SSM.
        """
        if self.protocol.draws == "released":
            a, b, c = released.trained_start(self._with_ends, seeds)
            kernels = released.trained_kernels(self.setting, seeds) if self.in_network else []
        else:
            a, b, c, *kernels = (
                np.stack(weights, axis=-1)
                for weights in zip(*map(self._text_start, seeds), strict=True)
            )
        if self.protocol.output_order == "text":
            c = np.sort(c, axis=0)[::-1]
        if self.ends_fixed and self.protocol.ends == "text":
            b, c = np.ones_like(b), np.ones_like(c)
        return a, b, c, kernels

    @property
    def _with_ends(self):
        """The setting, with the released runs' scale of B and C where the paper has none."""
        return {"sd_BC": self.setting.get("released_sd_BC")} | self.setting

    def _text_start(self, seed):
        s, generator = self._with_ends, np.random.default_rng([seed, 0])
        scales = s["sd_A"], s["sd_BC"], s["sd_BC"]
        a, b, c = (np.sort(abs(generator.normal(0, sd, s["d"])))[::-1].copy() for sd in scales)
        gap, w = paper.initial_gap(s["sd_A"], s["diff_exponent"]), s.get("width")
        a[1], b[1] = a[0] - gap, b[0] - gap
        shapes = ((1, w), (w, w), (w, 1)) if self.in_network else ()
        kernels = (generator.normal(0, s["sd_D"], shape) for shape in shapes)
        return a + s["warm"], b + s["warm"], c, *kernels

    def student(self, seeds):
        """The students as they start, one for each seed."""
        a, b, c, kernels = self.start(seeds)
        if self.jitter:  # a noise of its own for each member, also where seeds repeat
            noise = np.random.default_rng([*map(int, seeds)]).normal
            a, b, c, *kernels = (
                v * (1 + self.jitter * noise(size=v.shape)) for v in (a, b, c, *kernels)
            )
        options = {"train_ends": not (self.ends_fixed and self.protocol.ends == "text")}
        options["released"] = self.rule == "released"
        head = ReluNetwork(kernels, self.folded, dtype=self.precision) if kernels else None
        return Student(DiagonalSSM(a, b, c, dtype=self.precision, **options), head)

    @property
    def rule(self):
        """The optimizer, one of `support.optimizers.RULES`."""
        return "adam" if self.in_network else self.protocol.rate

    @property
    def stop_loss(self):
        s = self.setting
        if "stop_loss" in s and self.protocol.stop == "text":
            return s["stop_loss"]
        return s.get("released_stop_loss", s.get("stop_loss"))

    def further(self, column):
        """Iterations after the stop loss is reached at which the error is read."""
        s = self.setting
        further = s.get("extra_iterations", s.get("released_extra_iterations"))
        further = further[column] if isinstance(further, dict) else further
        return further - 99 * (self.protocol.reading == "released")

    def train(self, seeds, column, *, most=MOST, further=None, observe=None, **options):
        """Train a student for each seed, with or without special sequences: an Outcome.

        `further` replaces the number of iterations after the stop. `observe(sequences, labels)`,
        if given, makes the `observe` of `support.training.train`, which takes the `options`.
        """
        s = self.setting
        n, weights = s["n_baseline"] + s["n_special"], 3 * s["d"] + s.get("width", 0) ** 2
        require_memory(len(seeds), 8 * (n * s["kappa"] + 6 * weights))
        x = self.sequences(seeds, column)
        y, student = self.answers(x), self.student(seeds)
        reset = _ends_at_ones if self.ends_fixed and student.ssm.input_weight.trainable else None
        run = train(
            student,
            sequence_loss(x, y),
            rule=self.rule,
            rate=s["lr"][column],
            stop_loss=self.stop_loss,
            extra=self.further(column) if further is None else further,
            most=most,
            observe=observe and observe(x, y),
            project=reset,
            **options,
        )
        errors = (self.errors(student, seeds, first) for first in (0, s["kappa"]))
        return Outcome(student, run, *errors)

    def errors(self, student, seeds, first=0):
        """How the tables judge: [members].

        A standalone SSM by its generalization error over 40 lags, over the teacher's largest
        entry; inside a network by the norm of its error on 2000 sequences of length 40 over the
        norm of the teacher's answers. Lags below `first` are taken to be right: with the training
        length, what is left is extrapolation. (Inside a network the SSM's output may be scaled, and
        of either sign: a lag is right if the network makes it so on the side where it is steeper.
        A network that is flat on both sides has no right lags.)
        """
        students, options = SSM(*abc(student)), {"normalized": True, "first": first}
        if not self.in_network:
            return generalization_error(students, self.teacher, TEST_LENGTH, **options)
        kernels = [keras.ops.convert_to_numpy(k.value).astype(float) for k in student.head.kernels]
        h, errors = students.impulse_response(TEST_LENGTH), []
        for i, seed in enumerate(seeds):
            x, own = self._held_out(seed), [kernel[..., i] for kernel in kernels]
            truth, (up, down) = self.answers(x), _network(own, np.array([1.0, -1.0]))
            if max(up, down) > 0:
                h[:first, i] = self.setting["width"] / 2 / (up if up > down else -down)
            error = _network(own, x[:, ::-1] @ h[:, i]) - truth
            errors.append(np.linalg.norm(error) / np.linalg.norm(truth))
        return np.array(errors)

    def _held_out(self, seed):
        if self.protocol.draws == "released":
            return released.held_out_inputs(seed, TEST_LENGTH)
        return np.random.default_rng([seed, 2]).standard_normal((2000, TEST_LENGTH))


def _network(kernels, numbers):
    """A ReLU network's answers to numbers [n], in NumPy."""
    z = numbers[:, None]
    for layer, kernel in enumerate(kernels):
        z = (np.maximum(z, 0) if layer else z) @ kernel
    return z[:, 0]


def cells(experiment, seeds, **options):
    """Both cells of a table's row, as lists over seeds that can be stored.

    "without" and "with" are the errors; "runs" has for each column what else `Outcome.record`
    keeps. `options` are those of `support.training.train`.
    """
    options = {"chunk": 8} | options
    records = {c: experiment.train(seeds, c, **options).record() for c in paper.COLUMNS}
    return {c: record.pop("error") for c, record in records.items()} | {"runs": records}


def abc(student):
    """A, B, C of the students as they are, each [d, members], in double precision."""
    ssm = student.ssm
    values = ssm.transition, ssm.input_weight.value, ssm.output_weight.value
    return tuple(keras.ops.convert_to_numpy(value).astype(float) for value in values)


def _ends_at_ones(names, values):
    fixed = ("input", "output")
    return [v * 0 + 1 if n in fixed else v for n, v in zip(names, values, strict=True)]
