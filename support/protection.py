"""What may protect a student from clean-label poison: training changed in one way at a time.

In Theorem 1's setting gradient flow is changed (`ChangedFlow`); in the paper's trained rows the
start, the data, the stop or the parametrization (`DEFENCES`, `train_defended`).
"""

import numpy as np

from support.datasets import labelled, spikes
from support.experiments import near_tie
from support.flow import GradientFlow, divided_differences
from support.layers import DiagonalSSM, ReluNetwork, Student
from support.trained import Experiment
from support.training import sequence_loss, train

__all__ = ["ATTACKS", "DEFENCES", "FLOW_DEFENCES", "ChangedFlow", "defended_flow"]
__all__ += ["flip_dose", "gradient_shares", "sequence", "start_shape", "train_defended"]


FOREVER, MOST_STEPS = 1e17, 2000  # where a flow that finds no zero loss is given up


class ChangedFlow(GradientFlow):
    """Gradient flow of A, B and C at ones, with at most one of three changes.

    `decay` adds weight decay, -decay A, to the velocity; `exponential` trains log A in place of A,
    for which da/dt is a^2 times what it was; `centered` takes the mean of the velocity away.
    """

    def __init__(self, data, decay=0.0, exponential=False, centered=False):
        super().__init__(data)
        self.decay, self.exponential, self.centered = decay, exponential, centered

    def velocity(self, a):
        v = super().velocity(a) * (a**2 if self.exponential else 1) - self.decay * a
        return v - v.mean() if self.centered else v

    def jacobian(self, a):
        J, v = super().jacobian(a), super().velocity(a)
        if self.exponential:
            J = a[:, None] ** 2 * J + np.diag(2 * a * v)
        J = J - self.decay * np.eye(len(a))
        return J - J.mean(axis=0) if self.centered else J

    def _gap_velocity(self, y):
        a = y[0] - y
        a[0] = y[0]
        delta, vander = self._residuals(a)
        gamma = self._gamma(delta)
        if self.exponential:
            gamma = np.r_[0.0, 0.0, gamma]  # a^2 times the polynomial
        dy = y * (divided_differences(gamma, vander) - self.decay)
        dy[0] = self.velocity(a)[0]
        return dy


# One clean-labelled sequence each, its entries by lag. "flip" has a negative label and pushes every
# entry of a small start below zero, where -e_j fits it as e_j does; "mixture" is fitted by students
# without negative entries, too, that are not e_j.
ATTACKS = {
    "theorem": {1: 1.0},
    "flip": {1: 1.0, 2: -1.0, 3: -1.0},
    "mixture": {1: 1.0, 2: -3.2, 3: 2.5},
}


def sequence(entries, kappa, square_sum):
    """A sequence, [1, kappa], with these entries by lag, scaled to the square sum."""
    x = sum(spikes([value], kappa - lag, kappa) for lag, value in entries.items())
    return x * np.sqrt(square_sum / np.sum(x**2))


# What is changed in gradient flow: data (the dose; clean guards, by the lag that they look at, each
# with the baseline's square sum), the start, or the flow itself, from the start or after the fit.
FLOW_DEFENCES = {
    "none": {},
    "1000 times the baseline": {"dose": 1e-3},
    "mean of the gradient removed": {"flow": {"centered": True}},
    "weight decay 1e-6": {"flow": {"decay": 1e-6}},
    "weight decay 1e-12": {"flow": {"decay": 1e-12}},
    "weight decay after the fit": {"after": 1e-3},
    "uniform start": {"start": "uniform"},
    "spread start": {"start": "spread"},
    "spread start, two tied": {"start": "tied"},
    "log A trained": {"flow": {"exponential": True}},
    "guard at lag 3": {"guards": (3,)},
    "guard at lag 4": {"guards": (4,)},
    "guards at lags 3 and 4": {"guards": (3, 4)},
}


def start_shape(kind, seed, d):
    """A start's shape, largest first and one, [d]: "near tie", "uniform", "spread" or "tied".

    Spread: log-uniform over three decades; tied: the same, the second entry 1e-4 below the first.
    """
    if kind == "near tie":
        return near_tie(seed, d)
    generator = np.random.default_rng(seed)
    if kind == "uniform":
        a = np.sort(generator.uniform(0, 1, d))[::-1]
        return a / a[0]
    shape = np.r_[1.0, 10.0 ** -np.sort(generator.uniform(0, 3, d - 1))]
    if kind == "tied":
        shape[1] = 1 - 1e-4
    return shape


def defended_flow(setting, seed, attack, dose, defence, rtol=1e-6):
    """Where the flow ends from a start (near tie, unless it is the defence), one of FLOW_DEFENCES.

    `setting` is a TheoremSetting; `attack` one of ATTACKS, with `dose` times the baseline's square
    sum, or None. Returns A at the end, [d], and the Trajectory until the data were fitted.
    """
    change, kappa = FLOW_DEFENCES[defence], setting.kappa
    data, _ = setting.training_sets()
    added = [sequence({lag: 1.0}, kappa, setting.P) for lag in change.get("guards", ())]
    if attack is not None:
        dose = dose * change.get("dose", 1.0)
        added.append(sequence(ATTACKS[attack], kappa, dose * setting.P))
    for x in added:
        data = data + labelled(x, setting.teacher)
    shape = start_shape(change.get("start", "near tie"), seed, setting.d)
    flow = ChangedFlow(data, **change.get("flow", {}))
    below = 0.0 if flow.decay else 1e-18 * min(dose, 1.0)
    horizon = 1e3 / flow.decay if flow.decay else FOREVER
    options = {"max_steps": MOST_STEPS, "give_up": True}
    path = flow.integrate(setting.sd_A * shape, horizon, rtol, below, **options)
    if "after" not in change:
        return path.limit, path
    late, decay = ChangedFlow(data, decay=change["after"]), change["after"]
    return late.integrate(path.limit, 1e2 / decay, rtol, 0.0, **options).limit, path


def flip_dose(start, kappa):
    """The dose from which a flip turns every entry of a small start: of S_1's pull on the largest.

    Near zero the velocity is (kappa - 1) a^(kappa-2) - dose/3, in units in which S_1's loss is
    (1 - sum_j a_j^(kappa-1))^2 / 2; the flip's first entry and its label are a third of its square
    sum each.
    """
    return 3 * (kappa - 1) * np.max(start) ** (kappa - 2)


def gradient_shares(inputs, labels, answers):
    """Each sequence's share of gamma^(0), in absolute value, before training: [n, ...] to [n, ...].

    `inputs` [n, kappa, ...]; `answers` are what the student says at its start, [n, ...]. A sequence
    whose next-to-last entry is zero has none (Equation (8)).
    """
    part = abs((labels - answers) * inputs[:, -2])
    return part / part.sum(axis=0)


# What is changed in a trained row; names as the page shows them.
DEFENCES = {
    "none": {},
    "ten times the baseline": {"baseline": 10},
    "a hundredth of the stop loss": {"fit": 0.01},
    "weight decay": {"decay": 1e-5},
    "A = exp(-exp)": {"stable": True},
    "uniform start": {"start": "uniform"},
    "spread start": {"start": "spread"},
    "spread start, two tied": {"start": "tied"},
    "ten guards": {"guards": 10},
    "spread start, ten guards": {"start": "spread", "guards": 10},
}
LEAST = 1e-3  # of an entry that exp(-exp) is to represent; some of the network's start below


def _defended_start(experiment, seeds, change):
    """The students as they start."""
    a, b, c, kernels = experiment.start(seeds)
    if "start" in change:
        shapes = [start_shape(change["start"], seed, len(a)) for seed in seeds]
        a = a.max(axis=0) * np.stack(shapes, axis=-1)
    stable = change.get("stable", False)
    a = np.clip(a, LEAST, None) if stable else a
    options = {"released": experiment.rule == "released", "dtype": experiment.precision}
    a = np.log(-np.log(a)) if stable else a
    head = ReluNetwork(kernels, experiment.folded, dtype=experiment.precision) if kernels else None
    return Student(DiagonalSSM(a, b, c, stable=stable, **options), head)


def train_defended(name, seeds, column, defence, attack=None, most=50_000, **options):
    """Train a row's students, without or with special sequences, under one of DEFENCES.

    The attacker may have another kind of sequences, one of ATTACKS times standard normal numbers,
    and `options` of `Experiment.of`. Guards are clean-labelled sequences all of whose entries are
    standard normal. A run stops where the squares of all errors together are below what the stop
    loss allows baseline and guards. Returns the students, their Run, and their errors [members].
    """
    change = DEFENCES[defence]
    own = Experiment.of(name).setting
    more = {"n_baseline": own["n_baseline"] * change["baseline"]} if "baseline" in change else {}
    folded = {"folded": True} if "width" in own else {}
    experiment = Experiment.of(name, **more, **folded, **options)
    x, guards = experiment.sequences(seeds, column), change.get("guards", 0)
    drawn = [
        np.random.default_rng([seed, 3]).standard_normal((guards, x.shape[1])) for seed in seeds
    ]
    if attack is not None:
        special = x[experiment.setting["n_baseline"] :]
        sizes = special.sum(axis=1, keepdims=True)  # of the one entry that the paper's have
        special[:] = sizes * sequence(ATTACKS[attack], x.shape[1], 1.0)[..., None]
    x = np.concatenate([np.stack(drawn, axis=-1).astype(x.dtype), x])
    trusted = guards + experiment.setting["n_baseline"]
    decay = change.get("decay", 0.0)
    student = _defended_start(experiment, seeds, change)
    run = train(
        student,
        sequence_loss(x, experiment.answers(x)),
        rule=experiment.rule,
        rate=experiment.setting["lr"][column],
        stop_loss=experiment.stop_loss * change.get("fit", 1.0) * trusted / len(x),
        extra=experiment.further(column),
        most=most,
        project=(lambda names, values: _decayed(values, decay)) if decay else None,
        chunk=64 if folded else 256,
        progress=False,
    )
    return student, run, experiment.errors(student, seeds)


def _decayed(values, decay):
    return [value * (1 - decay) for value in values]
