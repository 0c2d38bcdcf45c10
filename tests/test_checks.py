"""A check accepts what holds and can fail, leaves a mark and a record, refuses everything else."""

import numpy as np
import pytest

from support import checks
from support.checks import EVIDENCE, RECORD, check, slug, typeset

AS_TOLD = {"claim": "5 < 7", "evidence": "exact", "fails": {"8 in place of 5": {"number": 8}}}


def below_seven(number=5):
    return number < 7


@pytest.fixture
def shown(monkeypatch):
    marks = []
    monkeypatch.setattr(checks, "display", marks.append)
    return marks


@pytest.mark.parametrize("kind", [bool, np.bool_])
def test_a_statement_that_holds_and_can_fail_is_shown_and_recorded(shown, kind):
    def small_number(number=5):
        return kind(below_seven(number))

    assert check("Lemma 31", "(19)", **AS_TOLD)(small_number) is small_number
    (mark,) = shown
    assert mark._repr_mimebundle_()[1][RECORD] == {
        "anchor": "check-small-number",
        "statements": ("Lemma 31", "(19)"),
        "claim": "5 < 7",
        "evidence": "exact",
        "fails": ("8 in place of 5",),
    }


def test_the_mark_links_to_its_statements_and_is_escaped(shown):
    fails = {"8 > 7 & more": {"number": 8}, "9": {"number": 9}}
    check("Lemma 31", "(19)", **{**AS_TOLD, "fails": fails})(below_seven)
    bundle, _ = shown[0]._repr_mimebundle_(include=None, exclude=None)
    html, text = bundle["text/html"], bundle["text/plain"]
    assert 'id="check-below-seven"' in html
    first = '<a href="statements.html#lemma-31">Lemma 31</a>'
    second = '<a href="statements.html#eq-19">(19)</a>'
    assert f"<span>{first}, {second}</span>" in html
    assert "5 &lt; 7." in html and "8 &gt; 7 &amp; more; 9." in html and "5 < 7" not in html
    assert EVIDENCE["exact"].capitalize() in html
    assert text == "Lemma 31, (19): 5 < 7 [exact]; fails for: 8 > 7 & more; 9"


@pytest.mark.parametrize(
    ("function", "error", "words"),
    [
        (lambda number=7: number < 7, AssertionError, "does not hold"),
        (lambda number=5: True, AssertionError, "holds for '8 in place of 5' too"),
        (lambda number=5: int(number < 7), TypeError, "allowed: a bool"),
        (lambda number=5: None, TypeError, "allowed: a bool"),
        (lambda number=5: True if number < 7 else None, TypeError, "allowed: a bool"),
    ],
)
def test_what_does_not_hold_cannot_fail_or_answers_no_bool_is_refused(
    shown, function, error, words
):
    with pytest.raises(error, match=words):
        check("Lemma 31", **AS_TOLD)(function)
    assert not shown


def test_every_false_version_must_fail_not_only_the_first(shown):
    fails = {**AS_TOLD["fails"], "6 in place of 5": {"number": 6}}
    with pytest.raises(AssertionError, match="holds for '6 in place of 5' too"):
        check("Lemma 31", **{**AS_TOLD, "fails": fails})(below_seven)
    assert not shown


@pytest.mark.parametrize(
    ("statements", "wrong"),
    [
        (["Lemma 31"], {"evidence": "obvious"}),
        (["Lemma 31"], {"fails": {}}),
        (["Lemma 31"], {"fails": {**AS_TOLD["fails"], "nothing changed": {}}}),
        ([], {}),
    ],
)
def test_unknown_evidence_no_false_version_and_no_statement_are_refused(statements, wrong):
    kinds = "definition, symbolic, exact, interval, argued, trajectory, conditional"
    line = f"allowed: {kinds}; a statement and a false version, or more$"
    with pytest.raises(ValueError, match=line):
        check(*statements, **{**AS_TOLD, **wrong})


def test_slugs():
    names = {"Lemma 31": "lemma-31", "(19)": "eq-19", "Theorem 1": "theorem-1"}
    assert {name: slug(name) for name in names} == names


def test_no_name_of_a_false_version_hides_the_true_one():
    two = ("Lemma 31", "Lemma 32")
    with pytest.raises(AssertionError, match=r"^Lemma 31, Lemma 32, 9 < 7: it does not hold$"):
        check(*two, claim="9 < 7", evidence="exact", fails={"as stated": {"number": 8}})(
            lambda number=9: number < 7
        )


@pytest.mark.parametrize(("words", "html"), [
    ("a_j^(κ−1) < 1", "a<sub>j</sub><sup>κ−1</sup> &lt; 1"),
    ("(1+√2)^(1/(κ−1))", "(1+√2)<sup>1/(κ−1)</sup>"),
    ("rλ_− of W_12, η_(2,δ/2)", "rλ<sub>−</sub> of W<sub>12</sub>, η<sub>2,δ/2</sub>"),
    ("A^- and 2h^k at σ_min", "A<sup>-</sup> and 2h<sup>k</sup> at σ<sub>min</sub>"),
    ("1e-6 & more", "10<sup>−6</sup> &amp; more"),
    ("α = 3.5e-06, f_1e2 and 1e+6",
     "α = 3.5 · 10<sup>−6</sup>, f<sub>1</sub>e2 and 10<sup>6</sup>"),
])  # fmt: skip
def test_indices_and_powers_are_set_below_and_above(words, html):
    assert typeset(words) == html
