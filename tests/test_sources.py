"""The bibliography and CITATION.cff: complete, used, and in agreement with each other."""

import re

import chapters
import pytest
import yaml
from pybtex.database import parse_file

import support

pytestmark = pytest.mark.slow  # of the repository, not of what it computes

WITHOUT_NUMBER = {"hindmarsh1983", "roy2007", "lojasiewicz1984"}  # proceedings that give none
BIBLIOGRAPHY = parse_file(chapters.ROOT / "book" / "references.bib").entries


def test_every_source_is_cited_and_can_be_found():
    pages = "".join(path.read_text() for path in (chapters.ROOT / "book").glob("*.md"))
    cited = {
        key for keys in re.findall(r"\{cite(?::\w)?\}`(.*?)`", pages) for key in keys.split(",")
    }
    assert cited == set(BIBLIOGRAPHY)
    numbered = {key for key, e in BIBLIOGRAPHY.items() if {"doi", "eprint"} & set(e.fields)}
    assert set(BIBLIOGRAPHY) - numbered == WITHOUT_NUMBER
    for entry in BIBLIOGRAPHY.values():
        assert re.fullmatch(r"10\.\d{4,}/\S+", entry.fields.get("doi", "10.0000/none"))
        assert re.fullmatch(
            r"\d{4}\.\d{5}(v\d)?|\d{4}\.\d{4}", entry.fields.get("eprint", "0000.0000")
        )


def test_the_citation_file_names_the_paper_that_the_bibliography_has():
    citation = yaml.safe_load((chapters.ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= set(citation)  # what the format asks
    assert citation["version"] == support.__version__
    paper, entry = citation["preferred-citation"], BIBLIOGRAPHY["slutzky2024"]
    assert paper["title"] == entry.fields["title"]
    assert [a["family-names"] for a in paper["authors"]] == [
        " ".join(person.last_names) for person in entry.persons["author"]
    ]
    assert paper["identifiers"] == [{"type": "other", "value": f"arXiv:{entry.fields['eprint']}"}]
    assert str(paper["year"]) == entry.fields["year"]
