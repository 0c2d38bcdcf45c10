"""Checks of the paper's numbered statements: run where the statement stands, shown as a mark.

    @check("Lemma 31", claim="two coordinates differ by 2/sqrt(d)", evidence="exact",
           fails={"2.1 in place of 2": {"constant": 2.1}})
    def two_coordinates_differ(constant=2):
        return ...

The function says, as a bool, whether the statement holds; its keywords state it otherwise. It
must hold as stated and fail in every false version: a check that cannot fail is refused. What it
leaves on the page is a mark for readers, and a record that `support.ledger` collects.
"""

import re
from dataclasses import asdict, dataclass
from html import escape

import numpy as np
from IPython.display import display

__all__ = ["EVIDENCE", "RECORD", "Check", "check", "slug", "typeset"]

RECORD = "statement-check"  # the key of the record in an output's metadata
EVIDENCE = {
    "definition": "definition, its properties checked",
    "symbolic": "proved symbolically",
    "exact": "exact computation",
    "interval": "proved by interval arithmetic",
    "argued": "proved in words, checked on examples",
    "trajectory": "shown on trajectories",
    "conditional": "conditional on the cited theorem",
}


def slug(statement):
    """The anchor of a statement or equation: "Lemma 31" to "lemma-31", "(19)" to "eq-19"."""
    name = statement.lower().replace(" ", "-")
    return f"eq-{name[1:-1]}" if name.startswith("(") else name


# A number as Python prints it.
NUMBER = re.compile(r"(?<![\w.])(?:1|(\d+(?:\.\d+)?))e([-+]?\d+)(?![\w.])")

# An index or a power behind a letter or a parenthesis: one letter, sign or number, or parentheses.
SCRIPT = re.compile(r"(?<=[^\W_]|[)>|])([_^])(\((?:[^()]|\([^()]*\))*\)|min|\d+|[^\W\d_]|[-+−*])")


def typeset(words):
    """Words of a claim as HTML: "a_j^(κ−1)" has its index below and its power above the line.

    A number such as 2e-6 becomes 2 · 10^−6.
    """

    def script(match):
        mark, inside = match.groups()
        inside = inside[1:-1] if inside.startswith("(") else inside
        tag = {"_": "sub", "^": "sup"}[mark]
        return f"<{tag}>{inside}</{tag}>"

    def power(match):
        mantissa, exponent = match.groups()
        times = f"{mantissa} · " if mantissa else ""
        return f"{times}10^({int(exponent)})".replace("-", "−")

    return SCRIPT.sub(script, SCRIPT.sub(script, NUMBER.sub(power, escape(words))))


@dataclass(frozen=True)
class Check:
    """A check that held: whose, what it shows, how, and in which false versions it fails."""

    anchor: str
    statements: tuple
    claim: str
    evidence: str
    fails: tuple

    def __repr__(self):
        told = "; ".join(self.fails)
        return f"{', '.join(self.statements)}: {self.claim} [{self.evidence}]; fails for: {told}"

    def _repr_mimebundle_(self, **_):
        links = ", ".join(
            f'<a href="statements.html#{slug(name)}">{escape(name)}</a>' for name in self.statements
        )
        mark = (
            f'<p class="mark" id="{self.anchor}"><span>{links}</span> '
            f"{typeset(self.claim)}. <em>{EVIDENCE[self.evidence].capitalize()}.</em> "
            f"Fails, as it must, for: {typeset('; '.join(self.fails))}.</p>"
        )
        return {"text/plain": repr(self), "text/html": mark}, {RECORD: asdict(self)}


def check(*statements, claim, evidence, fails):
    """Decorator: run the check now, and show its mark. `fails` maps words to false keywords.

    Raises ValueError for an unknown kind of evidence and where no false version is given,
    TypeError where the function answers no bool, AssertionError where the statement does not
    hold, or a false version of it does.
    """
    if evidence not in EVIDENCE or not fails or not all(fails.values()) or not statements:
        allowed = f"{', '.join(EVIDENCE)}; a statement and a false version, or more"
        raise ValueError(f"evidence = {evidence!r} of {statements}, {fails}; allowed: {allowed}")

    def run(function):
        for words, keywords in [("as stated", {}), *fails.items()]:
            holds = function(**keywords)
            if not isinstance(holds, bool | np.bool_):
                raise TypeError(f"{function.__name__} answers {holds!r}; allowed: a bool")
            if holds == bool(keywords):
                wrong = "it does not hold" if not keywords else f"it holds for {words!r} too"
                raise AssertionError(f"{', '.join(statements)}, {claim}: {wrong}")
        anchor = "check-" + function.__name__.replace("_", "-")
        display(Check(anchor, statements, claim, evidence, tuple(fails)))
        return function

    return run
