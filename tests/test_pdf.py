"""The print edition: whole, numbered as the site is, and with links that lead where they say."""

import html
import re
import unicodedata

import chapters
import pdf
import pytest
from pypdf import PdfReader

pytestmark = pytest.mark.slow

PAGES = [*chapters.chapters(), "references"]

# The words at each anchor that a link leads to, where it has some that are no formula.
WORDS = """() => Object.fromEntries([...document.querySelectorAll("article [id]")].map((e) => [e.id,
  e.querySelector(":scope > :is(h1, h2, h3, td, figcaption, .admonition-title)")]).filter(
  ([, e]) => e && !e.querySelector("mjx-container")).map(([id, e]) => [id, e.innerText]))"""

# What would be cut off at the sheet's right edge, and prose without its code and its formulas.
CUT_OFF = """[...document.querySelectorAll("article :is(p, td, pre, img, table, mjx-container)")]
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML)"""
PROSE = """(() => { const copy = document.querySelector("main").cloneNode(true);
  copy.querySelectorAll("pre, code, mjx-container, script").forEach((e) => e.remove());
  return copy.textContent; })()"""


def plain(text):
    """Text without what printing changes: spaces, line breaks, ligatures."""
    return re.sub(r"\s|#", "", unicodedata.normalize("NFKC", html.unescape(text)))


class Edition:
    """The book laid out in the browser, and the PDF that was printed from it."""

    def __init__(self, site, browser, folder):
        (folder / "html").symlink_to(site)  # the document names its pictures and styles from here
        (folder / "pdf").mkdir()
        folder = folder / "pdf"
        self.path = folder / "book.pdf"
        (folder / "book.html").write_text(pdf.document(site))
        self.page = pdf.lay_out(browser, folder / "book.html")
        pdf.print_book(self.page, self.path)
        self.reader = PdfReader(self.path)
        self.goals, self.texts = pdf.destinations(self.reader), {}

    def text(self, number):
        """The text of a sheet, counted from zero; to extract all would take half a minute."""
        if number not in self.texts:
            self.texts[number] = self.reader.pages[number].extract_text()
        return self.texts[number]

    def chapter_at(self, number):
        begun = [name for name in PAGES if self.goals[name] <= number]
        return max(begun, key=self.goals.get, default=None)


@pytest.fixture(scope="module")
def edition(site, browser, tmp_path_factory):
    return Edition(site, browser, tmp_path_factory.mktemp("edition"))


@pytest.fixture(scope="module")
def titles(site):
    """The title of every page of the site, with its number."""
    texts = {name: (site / "book" / f"{name}.html").read_text() for name in PAGES}
    heads = {name: re.search(r"<h1>(.*?)<a", text)[1] for name, text in texts.items()}
    return {name: plain(re.sub("<.*?>", "", head)) for name, head in heads.items()}


def test_every_chapter_begins_where_contents_and_bookmarks_say(edition, titles):
    reader, goals = edition.reader, edition.goals
    bookmarks = {
        plain(mark.title): reader.get_destination_page_number(mark)
        for mark in reader.outline
        if not isinstance(mark, list)
    }
    contents = plain(edition.text(1))
    for name, title in titles.items():
        assert title in plain(edition.text(goals[name])), name
        assert bookmarks[title] == goals[name], name
        assert f"{title}{goals[name] + 1}" in contents, name
    assert len(bookmarks) == len(PAGES) + 1  # and the contents
    assert sum(isinstance(mark, list) for mark in reader.outline) > 20  # sections, below chapters


def test_pages_are_numbered_and_plots_as_on_the_site(edition, site):
    begun = {edition.goals[name] for name in PAGES}
    for number in {1, 2, 3, *begun, len(edition.reader.pages) - 1}:
        assert str(number + 1) in edition.text(number).splitlines()
    assert "1" not in edition.text(0).splitlines()
    for name in PAGES:
        text = (site / "book" / f"{name}.html").read_text()
        for plot, goal in re.findall(r'caption-number">(Plot [\d.]+).*?href="#(.*?)"', text, re.S):
            assert plain(plot) in plain(edition.text(edition.goals[f"{name}/{goal}"]))


def test_every_link_of_the_site_leads_to_the_same_words(edition, site):
    assert pdf.astray(edition.path) == []
    printed = {(edition.chapter_at(number), goal) for number, goal in pdf.links(edition.reader)}
    wanted = {(None, name) for name in PAGES}
    for name in PAGES:
        text = (site / "book" / f"{name}.html").read_text()
        article = re.search("<article.*</article>", text, re.S)[0]
        for link in re.findall(r'<a\b(?! class="headerlink")[^>]*href="(.*?)"', article):
            path, _, anchor = link.removesuffix("/").partition("#")
            page = path.removesuffix(".html") or name
            goal = link.removesuffix("/") if ":" in link else f"{page}/{anchor}" if anchor else page
            wanted.add((name, goal))
    assert {(name, goal.removesuffix("/")) for name, goal in printed} == wanted
    words = edition.page.evaluate(WORDS)
    compared = [goal for _, goal in wanted if goal in words]
    assert len(compared) > 150
    for goal in compared:
        page, last = edition.goals[goal], len(edition.reader.pages) - 1
        found = plain(words[goal]) in plain(edition.text(page))
        assert found or plain(words[goal]) in plain(
            edition.text(page) + edition.text(min(page + 1, last))
        ), goal


def test_nothing_is_cut_off_or_left_as_it_was_written(edition):
    page = edition.page
    assert page.evaluate(CUT_OFF) == []
    assert page.locator(".math mjx-container").count() == page.locator(".math").count() > 3000
    assert page.locator("[data-mjx-error], mjx-merror").count() == 0
    assert not re.search(r"\$|\\", page.evaluate(PROSE))
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert page.locator("details:not([open]), article button").count() == 0
    ids = page.evaluate("[...document.querySelectorAll('article, article [id]')].map(e => e.id)")
    assert len(ids) == len(set(ids)) > 600
    assert edition.path.stat().st_size < 10e6


def test_links_that_go_astray_are_noticed(browser, tmp_path):
    (tmp_path / "bad.html").write_text(
        "<article id='one'><a href='#one'>one</a> <a href='#two'>two</a> <a href='#two/id1'>id</a>"
        "<a href='#absent'>absent</a> <a href='two.html'>file</a> <a href='#two/stray'>stray</a>"
        "<a href='https://a.org'>out</a><p id='two/stray'>elsewhere</p></article>"
        "<article id='two' style='break-before: page'><p id='two/id1'>here</p></article>"
    )
    page = browser.new_page()
    page.goto((tmp_path / "bad.html").as_uri())
    page.pdf(path=tmp_path / "bad.pdf")
    file = (tmp_path / "two.html").as_uri()
    assert pdf.astray(tmp_path / "bad.pdf") == [f"page 1: {file}", "page 1: two/stray"]
    # Chromium makes no link of one whose anchor is absent: the comparison with the site notices.
    goals = {goal for _, goal in pdf.links(PdfReader(tmp_path / "bad.pdf"))}
    assert goals == {"one", "two", "two/id1", "two/stray", file, "https://a.org/"}


def test_an_id_that_two_pages_have_is_two_anchors():
    cell = '<p id="id1"><a href="#id1">a</a> <a href="two.html#id1">b</a> <a href="two.html">c</a>'
    one = '<p id="one/id1"><a href="#one/id1">a</a> <a href="#two/id1">b</a> <a href="#two">c</a>'
    assert pdf.moved("one", cell) == one
    text = '<p>id="id1" and href="two.html"</p>'
    assert pdf.moved("one", text) == text


def test_without_a_browser_one_line_says_so(monkeypatch):
    monkeypatch.setattr(pdf, "BROWSER", None)
    with pytest.raises(SystemExit, match=r"^.*Debian: chromium.*$"):
        pdf.main()
