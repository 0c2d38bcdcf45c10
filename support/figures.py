"""The book's figures, one function each. They draw what they are given and compute nothing new.

Colours are Okabe and Ito's, told apart also by line style; white grounds, which the book's style
sheet inverts in dark mode.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection

__all__ = [
    "bands",
    "by_lag",
    "flow_plane",
    "greedy_panels",
    "impulse_responses",
    "law_of_motion",
    "oscillation",
    "seeds",
    "trained_by_lag",
    "two_students",
]

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


def greedy_panels(rows):
    """Entries of A, gamma^(0) and effective rank over the iterations, a column for each panel.

    `rows` maps a title to panels as `support.panels.panels` gives them. Shown up to twice the stop.
    """
    panels = [
        (f"{title}, {column}", column, panel)
        for title, row in rows.items()
        for column, panel in row.items()
    ]
    _, axes = plt.subplots(
        3, len(panels), figsize=(9.2, 5.2), height_ratios=[1.7, 1, 1], sharex="col", squeeze=False
    )
    for (title, column, panel), (entries, push, rank) in zip(panels, axes.T, strict=True):
        step, colour = np.array(panel["step"]), POISONED if column == "with" else CLEAN
        a = abs(np.array(panel["transition"]))  # [times, d]
        order = np.argsort(-a[-1])
        entries.plot(step, a[:, order[1:]], color="0.55", lw=0.9)
        entries.plot(step, a[:, order[0]], color=colour)
        push.plot(step, panel["gamma_0"], color=colour)
        push.axhline(0, color="0.8", lw=0.8, zorder=0)
        push.margins(y=0.15)
        if not any(panel["gamma_0"]):
            push.set(ylim=(-1, 1), yticks=[0])
            push.annotate("zero, exactly", (0.5, 0.65), xycoords="axes fraction", ha="center")
        entries.set_ylim(0, 1.25)
        rank.plot(step, panel["effective_rank"], color=colour)
        rank.set(ylim=(0.9, a.shape[1] + 0.5), xlabel="iteration")
        last = step[-1] if panel["stop"] < 0 else min(step[-1], 2 * panel["stop"])
        entries.set(title=title, xlim=(0, last))
        for axis in (entries, push, rank):
            if panel["stop"] >= 0:
                axis.axvline(panel["stop"], color="0.4", ls=":", lw=1)
        rank.xaxis.set_major_locator(plt.MaxNLocator(3))
    for axis, label in zip(axes[:, 0], ("$|a_j|$", r"$\gamma^{(0)}$", "eff. rank"), strict=True):
        axis.set_ylabel(label)
    plt.show()


def bands(rows, grid):
    """Largest entries of A and effective rank over many seeds, in units of the time to the stop.

    `rows` maps a title to what `support.panels.bands` gives; `grid` holds the times.
    """
    _, axes = plt.subplots(
        len(rows), 3, figsize=(8.4, 1.75 * len(rows)), sharex=True, squeeze=False
    )
    for (title, row), line in zip(rows.items(), axes, strict=True):
        for axis, (column, colour) in zip(
            line, {"without": CLEAN, "with": POISONED}.items(), strict=False
        ):
            for k, style in ((1, "-"), (2, "--"), (3, ":")):
                _, low, middle, high, _ = np.array(row[column][f"entry_{k}"])
                axis.fill_between(grid, low, high, color=colour, alpha=0.18, lw=0)
                axis.plot(grid, middle, style, color=colour, label=("largest", "2nd", "3rd")[k - 1])
            axis.set_title(f"{title}, {column}")
            axis.set_ylim(0, 1.35)
            _, low, middle, high, _ = np.array(row[column]["effective_rank"])
            line[2].fill_between(grid, low, high, color=colour, alpha=0.18, lw=0)
            line[2].plot(grid, middle, color=colour, ls="-" if column == "without" else "--")
        line[0].set_ylabel("$|a_j|$")
        line[2].set_title("effective rank")
        line[2].set_ylim(bottom=0.9)
        for axis in line:
            axis.axvline(1, color="0.4", ls=":", lw=1)
    axes[0, 0].legend(loc="upper left", fontsize=8)
    for axis in axes[-1]:
        axis.set_xlabel("time / time to the stop")
    plt.show()


def trained_by_lag(rows):
    """Errors lag by lag of trained students, a line for each seed.

    `rows` maps a title to (errors [lags, seeds], probed lags, kappa).
    """
    _, axes = plt.subplots(2, 2, figsize=(8.4, 4.6), sharey=True, sharex=True)
    for axis, (title, (error, probed, kappa)) in zip(axes.flat, rows.items(), strict=True):
        axis.axvspan(-0.5, kappa - 0.5, color="0.93", lw=0)
        colour = POISONED if title.endswith("with") else CLEAN
        axis.semilogy(np.maximum(error, 1e-5), color=colour, lw=1, marker=".", ms=4, alpha=0.7)
        axis.plot(probed, np.full(len(probed), 1e-5), "|", color="black", ms=9, clip_on=False)
        axis.set_title(title)
    for axis in axes[1]:
        axis.set_xlabel("lag $k$")
    for axis in axes[:, 0]:
        axis.set_ylabel("error of $C A^k B$")
    plt.show()


def oscillation(window, paths, seeds):
    """Errors [seeds, window] by further iterations, `paths` for each column."""
    _, axes = plt.subplots(1, 2, figsize=(8.4, 3))
    styles = ("-", "--", "-.", ":")
    for axis, (column, path) in zip(axes, paths.items(), strict=True):
        for i, (seed, errors) in enumerate(zip(seeds, path, strict=True)):
            axis.plot(window, errors, lw=0.9, ls=styles[i % 4], label=f"seed {seed}")
        for mark in (1401, 1500):
            axis.axvline(mark, color="0.4", ls=":", lw=1)
        axis.set(title=f"{column} special sequences", xlabel="further iterations")
        axis.margins(y=0.35)
    axes[0].set_ylabel("generalization error")
    axes[0].legend(ncols=2, loc="upper center", fontsize=8)
    plt.show()


def seeds(rows, printed):
    """Errors of many seeds as dots; `rows` as in stored results, `printed` two means for each."""
    _, axes = plt.subplots(1, len(rows), figsize=(9, 3.6), sharey=True)
    for axis, (name, values) in zip(axes, rows.items(), strict=True):
        for k, (column, colour) in enumerate({"without": CLEAN, "with": POISONED}.items()):
            errors = np.clip(values[column], 1e-5, 1e3)
            done = np.array(values["runs"][column]["finished"])
            across = k + 0.5 * (np.argsort(np.argsort(errors)) * 0.618 % 1 - 0.5)  # spread evenly
            axis.semilogy(across[done], errors[done], ".", color=colour, ms=5, alpha=0.7)
            axis.semilogy(across[~done], errors[~done], "o", color=colour, mfc="none", ms=4)
            axis.plot([k - 0.35, k + 0.35], [np.median(errors)] * 2, color="black", lw=2)
            axis.plot(k, printed[name][k], "x", color="black", ms=8, mew=1.8)
        table, row = name.split(".")
        title = "SSM" if row == "ssm_beyond" else "in network"
        axis.set(title=f"Table {table[-1]}, {title}", xlim=(-0.6, 1.6))
        axis.set_xticks([0, 1], ["without", "with"])
    axes[0].set_ylabel("generalization error")
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
