"""Failure that speaks: whatever did not converge says so, in one line that names it.

Where no input is known that makes a method fail, the library's answer is replaced by one that says
it has; what is tested is that we look.
"""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.integrate import LSODA
from test_training import problem

from support import certificate, dose, flow, intervals, joint, landscape
from support.experiments import HORIZON, TheoremSetting, near_tie
from support.training import sequence_loss, train

SETTING = TheoremSetting(7, 8, 1e-2, 5)
_, S_2 = SETTING.training_sets()
START = 1e-2 * near_tie(0, 8)


def not_found(*args, **options):
    """What SciPy's solvers answer where they fail."""
    return SimpleNamespace(success=False, x=START, converged=False, root=0.0,
                           flag="convergence error", message="step size too small")  # fmt: skip


def fails(function, *args, **options):
    with pytest.raises((RuntimeError, ValueError)) as caught:
        function(*args, **options)
    (line,) = str(caught.value).splitlines()
    return line


@pytest.mark.parametrize("field", [flow.GradientFlow(S_2), joint.JointFlow(S_2, 1.0)])
def test_the_solvers_of_flows(field, monkeypatch):
    follow = getattr(field, "integrate", None) or field.limit
    with np.errstate(all="ignore"):
        assert "start: its loss is nan" in fails(follow, np.full(8, 1e60), HORIZON)
    assert not follow(START, HORIZON, max_steps=20).finished
    losses = iter([1.0] * 10)
    monkeypatch.setattr(field, "loss", lambda *point: next(losses, np.nan))
    assert re.fullmatch(r"LSODA stopped at t = .*: the loss is nan", fails(follow, START, HORIZON))
    monkeypatch.setattr(field, "loss", lambda *point: 1.0)
    monkeypatch.setattr(LSODA, "step", gives_up)
    line = fails(follow, START, HORIZON)
    assert line == "LSODA stopped at t = 0.000e+00: repeated convergence failures"


def gives_up(solver):
    """A step of LSODA's that fails."""
    solver.status = "failed"
    return "repeated convergence failures"


def test_the_root_of_the_closed_form(monkeypatch):
    monkeypatch.setattr(flow, "find_root", not_found)
    words = "closed form: the scalar root was not found"
    assert fails(flow.closed_form_limit, START, 7) == words


def test_the_roots_of_a_small_dose(monkeypatch):
    monkeypatch.setattr(dose, "find_root", not_found)
    words = "left behind: no root found for an entry"
    assert fails(dose.left_behind, START, 7, 1e-9) == words


def test_the_drift_of_a_small_dose():
    assert "did not arrive" in fails(dose.drift, np.full(4, -0.5), 7)


def test_a_dose_that_is_looked_for(monkeypatch):
    monkeypatch.setattr(dose, "root_scalar", not_found)
    line = fails(dose.measured_dose, START, 7, 0.05, 1e-8)
    assert "no dose found for error = 0.05 from guess = 1e-08 (convergence error)" in line
    monkeypatch.undo()
    with np.errstate(all="ignore"):
        line = fails(dose.measured_dose, START, 7, 0.05, 1e-10)  # the secants lead far away
    assert "no dose found for error = 0.05 from guess = 1e-10 (start: its loss is" in line


def test_the_time_to_the_saddle():
    assert "does not converge" in fails(landscape.arrival_time, -0.01, 8, 7)  # beyond the saddle


def test_the_solver_behind_the_printed_scale(monkeypatch):
    monkeypatch.setattr(landscape, "solve_ivp", not_found)
    assert "step size too small" in fails(landscape.log_alpha_I3, 1e-3, 8, 7)


def test_a_certificate():
    assert "no certificate: alpha = 0.12 is" in fails(certificate.cone, 4, 7, 0.12, 0.5, 1e-6)
    assert "the lead is not small" in fails(certificate.cone, 8, 7, 1e-2, 0.5, 1e-2)
    assert "none for place = 0.001" in fails(certificate.widest, 8, 7, 1e-2, 0.001, 5.0)


def test_a_proof_that_needs_too_many_parts():
    assert not intervals.proves(lambda x: x * x > -1e-30, [(-1, 1)], most=3)
    assert intervals.proves(lambda x: x * x > -1e-30, [(-1, 1)], most=300)


def test_an_optimizer_that_does_not_arrive_or_diverges():
    student, x, y = problem(members=2)
    options = dict(rule="text", rate=1e30, stop_loss=1e-30, extra=0, progress=False)
    run = train(student, sequence_loss(x, y), most=1, **options)
    assert not run.finished.any() and not run.diverged.any() and (run.stop == -1).all()
    run = train(student, sequence_loss(x, y), most=200, **options)
    assert run.diverged.all() and not run.finished.any() and not np.isfinite(run.loss).any()
