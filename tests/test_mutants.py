"""The account of the mutants: what counts as killed, as explained, and as wanting a test."""

from pathlib import Path

import mutants
import pytest

pytestmark = pytest.mark.slow  # of the repository, not of what it computes


def test_a_mutant_is_named_by_its_function_and_its_line(monkeypatch):
    assert mutants.function("support.ssm.x_theorem_teacher__mutmut_3") == "ssm.theorem_teacher"
    assert mutants.function("support.ssm.xǁSSMǁrecurrence__mutmut_12") == "ssm.SSM.recurrence"
    diff = "--- a\n+++ b\n@@ -1 +1 @@\n def f():\n-    return 1\n+    return 2\n"
    monkeypatch.setattr(mutants, "get_diff_for_mutant", lambda mutant, path: diff)
    assert mutants.change("support.ssm.x_f__mutmut_1", None) == "return 2"


def test_a_reason_holds_for_its_lines_only():
    reasons = [{"where": "ssm.*", "line": "strict=None"}, {"where": "flow.*", "line": "return"}]
    assert mutants.explained(reasons, "ssm.f", "zip(a, b, strict=None)") == reasons[:1]
    assert mutants.explained(reasons, "ssm.f", "return 2") == []
    assert mutants.explained(reasons, "flow.f", "    return 2") == reasons[1:]


@pytest.fixture
def account(monkeypatch, capsys):
    """What is said of mutants, {name: (status, changed line)}, with one reason."""

    def said(found):
        rows = [(Path("support/ssm.py"), name, status) for name, (status, _) in found.items()]
        monkeypatch.setattr(mutants, "results", lambda: iter(rows))
        monkeypatch.setattr(mutants, "change", lambda mutant, path: found[mutant][1])
        try:
            mutants.main()
        except SystemExit as end:
            return capsys.readouterr().out, str(end)
        return capsys.readouterr().out, ""

    return said


def test_survivors_are_listed_and_too_many_are_an_error(account):
    named = "support.ssm.x_f__mutmut_"
    killed = {f"{named}{i}": ("killed", "") for i in range(19)}
    out, end = account(killed | {f"{named}99": ("survived", "zip(a, b, strict=None)")})
    assert not end and "19 of    20,  95%" in out and "ssm.f" not in out
    out, end = account(killed | {f"{named}99": ("survived", "a wrong line")})
    assert not end and "ssm.f (survived): a wrong line" in out
    few = {f"{named}{i}": ("survived", "x") for i in range(3)} | {f"{named}9": ("timeout", "x")}
    assert account(few)[1] == "25.0% killed; wanted: 90%"
    assert account({})[1] == "no mutants have been run; run: make mutants"
