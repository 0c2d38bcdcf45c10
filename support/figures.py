"""The book's figures, one function each. They draw what they are given and compute nothing new.

Colours are Okabe and Ito's, told apart also by line style; white grounds, which the book's style
sheet inverts in dark mode.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection

__all__ = ["by_lag", "flow_plane", "impulse_responses", "law_of_motion", "two_students"]

CLEAN, POISONED, TEACHER, REFERENCE = "#0072B2", "#D55E00", "#000000", "#009E73"
BELOW = "lags below the training length"
WITHOUT, WITH = "without the special sequence", "with the special sequence"

plt.rcdefaults()  # a reader's own settings stay out of the book
plt.rcParams.update(
    {
        "figure.dpi": 140,
        "figure.constrained_layout.use": True,
        "font.size": 9.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.titlesize": 9.5,
        "axes.titlelocation": "left",
        "legend.frameon": False,
        "lines.linewidth": 1.6,
    }
)


def two_students(without, with_special, response, teacher_response, kappa):
    """The entries of A along two trajectories from one start, and where both students end.

    `without` and `with_special` are Trajectories under S_1 and S_2; `response` holds the two
    final impulse responses, `teacher_response` the teacher's, from lag 0, which all three share
    and the picture leaves out.
    """
    _, (left, middle, right) = plt.subplots(1, 3, figsize=(8.4, 3.1), width_ratios=[1, 1, 1.2])
    for axis, path, colour, title in (
        (left, without, CLEAN, WITHOUT),
        (middle, with_special, POISONED, WITH),
    ):
        steps = np.linalg.norm(np.diff(path.transition), axis=0)
        travelled = np.r_[0, np.cumsum(steps)]
        axis.plot(travelled, path.transition[2:].T, color="0.6", lw=1)
        axis.plot([], [], color="0.6", lw=1, label="the others")
        axis.plot(travelled, path.transition[0], color=colour, label="$a_1$")
        axis.plot(travelled, path.transition[1], color=colour, ls="--", label="$a_2$")
        axis.set(title=title, xlabel="path length", ylim=(-0.25, 1.1))
        axis.legend(loc="upper left")
    left.set_ylabel("diagonal of $A$")
    lags = np.arange(1, len(teacher_response))
    right.axvspan(0.5, kappa - 0.5, color="0.93", lw=0)
    right.plot(lags, teacher_response[1:], color=TEACHER, lw=5, alpha=0.25, label="teacher")
    right.plot(lags, response[0][1:], color=CLEAN, label="student, without")
    right.plot(lags, response[1][1:], color=POISONED, ls="--", label="student, with")
    right.set(title="after training", xlabel="lag $k$", ylabel="impulse response $C A^k B$")
    right.set_ylim(bottom=min(0, np.min(response)))
    right.legend(loc="upper right")
    plt.show()


def impulse_responses(teacher_response, student_response, kappa):
    """Two impulse responses that part only at the training length; shape [length] each."""
    _, axis = plt.subplots(figsize=(6.5, 3))
    lags = np.arange(len(teacher_response))
    axis.axvspan(-0.5, kappa - 0.5, color="0.93", lw=0, label=BELOW)
    axis.plot(lags, teacher_response, "o-", color=TEACHER, label="teacher", ms=4)
    axis.plot(lags, student_response, "x--", color=POISONED, label="student", ms=7)
    axis.set(xlabel="lag $k$", ylabel="$C A^k B$", xticks=lags)
    axis.legend()
    plt.show()


def flow_plane(paths, saddle, zero_loss, zero_loss_error):
    """The paper's Figure 1 from real trajectories: the plane of a_1 and a_2, and the losses.

    `paths` maps "without", "with" and "reference" to Trajectories; `saddle` is s. `zero_loss`
    [points, 2] traces solutions, `zero_loss_error` [points] their generalization error.
    """
    figure, (plane, losses) = plt.subplots(1, 2, figsize=(8.4, 3.7), width_ratios=[1.3, 1])
    segments = np.stack([zero_loss[:-1], zero_loss[1:]], axis=1)
    ribbon = LineCollection(segments, array=zero_loss_error[:-1], cmap="Greys", lw=7, alpha=0.9)
    ribbon.set_clim(0, zero_loss_error.max() * 1.1)
    plane.add_collection(ribbon)
    figure.colorbar(ribbon, ax=plane, label="generalization error of a solution", shrink=0.8)
    styles = {
        "without": dict(color=CLEAN, label=WITHOUT),
        "with": dict(color=POISONED, label=WITH),
        "reference": dict(color=REFERENCE, ls=":", lw=2.4, label="reference trajectory, with it"),
    }
    for name, path in paths.items():
        plane.plot(path.transition[0], path.transition[1], **styles[name])
        plane.plot(*path.limit[:2], "o", color=styles[name]["color"], ms=6)
        shown = path.times > 0
        losses.loglog(path.times[shown], path.loss[shown], **styles[name])
    plane.plot(saddle, saddle, "D", color="black", ms=6)
    plane.annotate("saddle", (saddle, saddle), (14, -4), textcoords="offset points")
    start = paths["with"].transition[:2, 0]
    plane.plot(*start, "s", color="black", ms=5)
    plane.annotate("start", start, (-8, -16), textcoords="offset points")
    plane.set(xlabel="$a_1$", ylabel="$a_2$", xlim=(-0.15, 1.15), ylim=(-0.15, 1.15), aspect=1)
    losses.set(xlabel="time", ylabel="training loss", ylim=(1e-9, 10))
    losses.set_xlim(1e-3, max(path.times[-1] for path in paths.values()) * 3)
    losses.legend(loc="lower left")
    plt.show()


def law_of_motion(rows):
    """Velocities of the entries of A on the polynomial that Proposition 1 gives.

    `rows` maps "without" and "with" to moments (step, entries a_j [d], da_j/dt / (b_j c_j) [d],
    gamma [kappa - 1]).
    """
    shape = len(rows), max(map(len, rows.values()))
    _, axes = plt.subplots(*shape, figsize=(8.4, 2.6 * len(rows)), squeeze=False)
    for (column, moments), line in zip(rows.items(), axes, strict=True):
        for axis, (step, a, measured, gamma) in zip(line, moments, strict=True):
            low, high = min(a.min(), 0), max(a.max(), 0)
            x = np.linspace(low - 0.08 * (high - low), high + 0.08 * (high - low), 200)
            curve = np.polynomial.polynomial.polyval(x, gamma)
            axis.axhline(0, color="0.8", lw=0.8)
            axis.plot(x, curve, color=CLEAN, label="the polynomial")
            axis.plot(a, measured, "o", color=POISONED, ms=5, alpha=0.6, label="measured")
            axis.plot(0, gamma[0], "o", color="black", mfc="none", ms=9, label=r"$\gamma^{(0)}$")
            axis.set_title(f"step {step:,}, {column}", pad=10)
            axis.ticklabel_format(axis="y", scilimits=(-3, 4), useMathText=True)
    for axis in axes[-1]:
        axis.set_xlabel("$a_j$")
    for axis in axes[:, 0]:
        axis.set_ylabel(r"$\dot a_j / (b_j c_j)$")
    axes[0, 0].legend()
    plt.show()


def by_lag(errors, kappa, bound):
    """Absolute error of the impulse response, lag by lag; `errors` maps a label to [length]."""
    _, axis = plt.subplots(figsize=(7, 3.6))
    axis.axvspan(-0.5, kappa - 0.5, color="0.93", lw=0, label=BELOW)
    for (label, error), colour, marker in zip(errors.items(), (CLEAN, POISONED), "ox", strict=True):
        axis.semilogy(error, marker + "-", color=colour, label=label, ms=5, lw=1)
    axis.axhline(bound, color=REFERENCE, ls=":", label="lower bound of Theorem 1")
    axis.set(xlabel="lag $k$", ylabel="error of $C A^k B$")
    axis.set_ylim(bottom=max(1e-14, 0.1 * min(e[e > 1e-13].min() for e in errors.values())))
    axis.legend(loc="center right")
    plt.show()
