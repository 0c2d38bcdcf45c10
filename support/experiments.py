"""The first row of Tables 1 and 2: gradient flow in Theorem 1's own setting (Appendix E.3.2).

How its students start, where the flow leads them and how they are judged. The trained rows and
the figures are in `support.trained`.
"""

from dataclasses import dataclass, field

import numpy as np

from support import paper, released
from support.datasets import theorem_sets
from support.flow import GradientFlow, closed_form_limit
from support.ssm import SSM, generalization_error, theorem_teacher

__all__ = ["HORIZON", "RULES", "TEST_LENGTH", "TEXT_LENGTH", "TheoremSetting", "cone_start"]
__all__ += ["near_tie"]

HORIZON = 1e60  # time at which an unfinished flow is given up
RULES = ("released", "text", "text, positive", "uniform", "near tie")  # the last two are ours
TEST_LENGTH = 20  # lags 0..19: the released runs, and the printed row
TEXT_LENGTH = 40  # lags 0..39: the text (Appendix E.3.2)


@dataclass(frozen=True)
class TheoremSetting:
    """Row 1's setting: gradient flow under S_1 and S_2 from starts near zero.

    `kappa` is the training length, `d` the student's dimension, `sd_A` the scale of the starts.
    a_1(0) - a_2(0) is `gap` = 0.05 exp(`diff_exponent` log10 sd_A) (Table 11). The `n_baseline`
    sequences share the sum of squares `P` equally, where the paper draws and rescales them: only
    P enters the flow, and it only sets the unit of time. Beyond the paper, the special sequence may
    have another sum of squares, `dose` P, and its entry meet another lag than the next-to-last's.
    """

    kappa: int
    d: int
    sd_A: float
    diff_exponent: float
    n_baseline: int = 5
    P: float = 10.0
    dose: float = 1.0
    special_lag: int = 1
    gap: float = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "gap", paper.initial_gap(self.sd_A, self.diff_exponent))

    @classmethod
    def of_table(cls, table):
        """The setting of the first row of "table1" or "table2"."""
        s = paper.setting(f"{table}.ssm_theorem1")
        return cls(s["kappa"], s["d"], s["sd_A"], s["diff_exponent"], s["n_baseline"], s["P"])

    @property
    def teacher(self):
        return theorem_teacher(self.d)

    def training_sets(self):
        """S_1 and S_2: the baseline sequences alone, and with the special one appended."""
        p = np.full(self.n_baseline, np.sqrt(self.P / self.n_baseline))
        q = [np.sqrt(self.dose * self.P)]
        return theorem_sets(self.teacher, self.kappa, p, q, self.dose, self.special_lag)

    def start(self, seed, rule):
        """A(0), shape [d], largest first, by one of RULES.

        "text" is Appendix E.3.2 to the letter, normal draws of either sign; "text, positive" takes
        their absolute values, as Appendix E.3.1 does for the paper's other experiments. Both draw
        from `numpy.random.default_rng(seed)`. Ours: "uniform", as released but without setting
        a_2; "near tie", sd_A times `near_tie`. Raises ValueError for another rule.
        """
        if rule == "released":
            return released.theorem_start(seed, self.d, self.sd_A, self.gap)
        if rule not in RULES:
            raise ValueError(f"rule = {rule!r}; allowed: {', '.join(map(repr, RULES))}")
        if rule == "near tie":
            return self.sd_A * near_tie(seed, self.d)
        if rule == "uniform":
            a = np.random.default_rng(seed).uniform(0, self.sd_A, self.d)
            return np.sort(a)[::-1].copy()
        a = np.random.default_rng(seed).normal(0, self.sd_A, self.d)
        a = np.sort(abs(a) if rule == "text, positive" else a)[::-1].copy()
        a[1] = a[0] - self.gap
        return a

    def limits(self, starts, rtol=1e-10):
        """Where the flow leads from `starts` [d, members]: under S_1 and under S_2, each likewise.

        S_1 by the closed form, S_2 by the integrator, to the relative accuracy `rtol` a step; a
        member whose flow did not finish is NaN. It has finished when the special sequences' part
        of the loss has gone, too: a small dose makes that part small from the start.
        """
        _, S_2 = self.training_sets()
        flow, below = GradientFlow(S_2), max(1e-20 * min(self.dose, 1.0), 1e-30)
        paths = [flow.integrate(start, HORIZON, rtol, below) for start in starts.T]
        with_special = [p.limit if p.finished else np.full(self.d, np.nan) for p in paths]
        return closed_form_limit(starts, self.kappa), np.stack(with_special, axis=-1)

    def error(self, transition, length=TEST_LENGTH, **options):
        """Generalization error (Definition 1) of students with A [d, ...], B and C at ones.

        `options` are those of `support.ssm.generalization_error`.
        """
        return generalization_error(SSM.with_ones(transition), self.teacher, length, **options)

    def cell(self, seeds, rule="released", length=TEST_LENGTH):
        """The two cells of the row, seed by seed: normalised errors {"without": [], "with": []}."""
        starts = np.stack([self.start(seed, rule) for seed in seeds], axis=-1)
        without, poisoned = (self.error(a, length, normalized=True) for a in self.limits(starts))
        return {"without": without.tolist(), "with": poisoned.tolist()}


def near_tie(seed, d):
    """A start's shape, (1, 1 - zeta, ...) in order, [d]: zeta log-uniform from 1e-5 to 1e-3.

    The other entries are uniform below.
    """
    generator = np.random.default_rng(seed)
    second = 1 - 10 ** generator.uniform(-5, -3)
    return np.r_[1.0, second, np.sort(generator.uniform(0, second, d - 2))[::-1]]


def cone_start(alpha, zeta_gap, d):
    """alpha * (1, 1 - zeta_gap, 0.45, ..., 0.10), shape [d].

    In I_0 of Equation (30) for 0 < zeta_gap < 0.55 and alpha < 1/(2d); a tie at zeta_gap = 0.
    """
    return alpha * np.r_[1.0, 1.0 - zeta_gap, np.linspace(0.45, 0.10, d - 2)]
