"""The ledger agrees with the pages; that its checks hold elsewhere is in `test_reruns`."""

from types import SimpleNamespace

import links
import pytest
from sphinx.errors import SphinxError

from support import ledger


def test_the_list_is_the_papers():
    names = [entry["name"] for entry in ledger.statements()]
    kinds = {"Lemma": 36, "Proposition": 19, "Definition": 13, "Corollary": 8, "Theorem": 4}
    for kind, count in (kinds | {"Remark": 4}).items():
        assert {f"{kind} {i}" for i in range(1, count + 1)} <= set(names)
    assert {f"({i})" for i in range(1, 32)} <= set(names)
    assert len(names) == len(set(names)) == 84 + 31


def test_ledger_and_pages_agree():
    assert ledger.faults() == []


def test_every_record_says_where_it_stands():
    for name, records in ledger.checks().items():
        for record in records:
            page = (ledger.ROOT / "book" / f"{record['page']}.md").read_text()
            assert name in record["statements"] and f'"{name}"' in page


def without(names):
    return lambda checks=ledger.checks: {k: v for k, v in checks().items() if k not in names}


@pytest.mark.parametrize(
    ("attribute", "value", "fault"),
    [
        ("checks", without(["Lemma 31"]), "Lemma 31 is not checked"),
        ("checks", lambda: {"Lemma 99": []}, "Lemma 99 is checked, but not listed"),
        ("places", lambda: {}, "Lemma 31 is checked, but stands on no page"),
        (
            "statements",
            lambda: [{"name": "Lemma 31", "section": "D.5", "about": "", "open": True}],
            "Lemma 31 is checked, yet listed as open",
        ),
    ],
)
def test_a_disagreement_is_found(monkeypatch, attribute, value, fault):
    monkeypatch.setattr(ledger, attribute, value)
    assert fault in ledger.faults()


@pytest.mark.parametrize(
    ("link", "found"),
    [
        ("b.html#there", []),
        ("#here", []),
        ("https://example.org#x", []),
        ("b.html#gone", ["a.html: b.html#gone"]),
        ("c.html", ["a.html: c.html"]),
        ("#gone", ["a.html: #gone"]),
    ],
)
def test_a_link_that_leads_nowhere_fails_the_build(tmp_path, link, found):
    folder = tmp_path / "book"
    folder.mkdir()
    (folder / "a.html").write_text(f'<p id="here"><a class="x" href="{link}">link</a></p>')
    (folder / "b.html").write_text('<tr id="there"></tr>')
    assert links.broken(folder) == found
    hooks = {}
    app = SimpleNamespace(
        connect=lambda event, call, **_: hooks.update({event: call}),
        builder=SimpleNamespace(name="html"),
        outdir=tmp_path,
    )
    links.setup(app)
    if found:
        with pytest.raises(SphinxError, match="lead nowhere"):
            hooks["build-finished"](app, None)
    else:
        hooks["build-finished"](app, None)
