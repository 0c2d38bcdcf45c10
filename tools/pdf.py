"""The print edition: every page of the rendered site in one PDF, printed by Chromium.

It is put together from the pages of `make html`, not by Sphinx's singlehtml: that keeps ids as they
are, and `id1`, `limits` or `theorem-1`, which several pages have, would each lead to the first of
them. Here an id carries the name of its page, and every number is the one that the site shows.
"""

import re
import shutil
import sys
from pathlib import Path

import yaml
from playwright.sync_api import sync_playwright
from pypdf import PdfReader

ROOT = Path(__file__).resolve().parents[1]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chrome"))), None)
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE = 600_000  # ms, for what takes half a minute on two free cores
PAPER = {"width": 665, "height": 976}  # A4 less the margins that book.css sets, in its pixels

# Each element that is tagged for screen readers costs bytes: a formula is one, with its source to
# read aloud, and of the colours of code only keywords and comments stay. What is too wide shrinks.
PREPARE = """async () => {
  await MathJax.startup.promise;
  for (const {math, typesetRoot} of MathJax.startup.document.math) {
    typesetRoot.role = "img";
    typesetRoot.ariaLabel = math;
  }
  for (const e of document.querySelectorAll("pre span:not(.k, .kn, .c1, .sd)"))
    e.replaceWith(...e.childNodes);
  document.body.normalize();
  for (const e of document.querySelectorAll("table, mjx-container[display]"))
    if (e.scrollWidth > e.parentElement.clientWidth)
      e.style.zoom = Math.floor(100 * e.parentElement.clientWidth / e.scrollWidth) / 100;
}"""
NUMBER = """pages => document.querySelectorAll("nav a").forEach(
  (a) => a.dataset.page = pages[a.hash.slice(1)])"""


def place(page, link):
    """Where a link on a page of the site leads in the one document."""
    if re.match(r"\w+:", link):
        return link
    path, mark, fragment = link.partition("#")
    return f"#{Path(path).stem or page}" + (f"/{fragment}" if mark and fragment else "")


def moved(page, html):
    """HTML of a page, with ids and links made those of the one document and all folds open."""

    def attribute(match):
        name, value = match.groups()
        new = {"id": f"{page}/{value}", "href": place(page, value), "src": f"../html/book/{value}"}
        return f'{name}="{new[name]}"'

    attributes = re.compile(r'(?<=\s)(id|href|src)="([^"]*)"')
    html = re.sub(r"<[a-z][^>]*>", lambda tag: attributes.sub(attribute, tag[0]), html)
    return html.replace("<details", "<details open")


def document(site):
    """The whole book as one HTML document: a title page, the contents, the pages in their order."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    front = (site / "book/intro.html").read_text()
    subtitle = re.search("<p><em>(.*?)</em>", front)[1]
    head = re.findall(r"<link\b[^>]*\bstylesheet\b[^>]*>", front)
    head += re.findall(r"<script\b[^>]*>window.MathJax.*|<script\b[^>]*/mathjax/.*", front)
    nav = re.search(r'<nav class="bd-links.*?</nav>', front, re.DOTALL)[0]
    nav = re.sub(r' (aria-level|role)="\w+"', "", nav)  # a heading would become a bookmark
    nav = nav.replace("<p", f'<p><a href="intro.html">{config["title"]}</a></p><p', 1)
    articles = []
    for link in re.findall(r'href="(.*?)"', nav):
        html, page = (site / "book" / link).read_text(), Path(link).stem
        inside = re.search(r"<article[^>]*>(.*?)</article>", html, re.DOTALL)[1]
        articles.append(f'<article id="{page}">{moved(page, inside)}</article>')
    return f"""<!doctype html><html lang="en" data-theme="light" data-mode="light">
<head><meta charset="utf-8"><title>{config["title"]}</title>
{"".join(head).replace('="../', '="../html/')}</head>
<body class="edition"><main class="bd-main"><div class="bd-content">
<header><p>{config["title"]}</p><p>{subtitle}</p>
<p>{config["author"]}, {config["copyright"]}</p></header>
<h1>Contents</h1>{moved("intro", nav)}{"".join(articles)}</div></main></body></html>"""


def lay_out(browser, file):
    """The document open in a browser, laid out for paper, its formulas typeset."""
    page = browser.new_page(color_scheme="light", viewport=PAPER)
    page.set_default_timeout(PATIENCE)
    page.emulate_media(media="print")
    page.goto(file.as_uri())
    page.evaluate(PREPARE)
    return page


def destinations(reader):
    """The page of the PDF, counted from zero, of every anchor; a chapter's has no slash."""
    goals = reader.named_destinations.items()
    return {name[1:]: reader.get_destination_page_number(goal) for name, goal in goals}


def print_book(page, path):
    """Print twice: the first time tells the page numbers that the contents show the second time."""
    page.pdf(path=path, prefer_css_page_size=True)
    numbers = {name: number + 1 for name, number in destinations(PdfReader(path)).items()}
    page.evaluate(NUMBER, numbers)
    page.pdf(path=path, prefer_css_page_size=True, tagged=True, outline=True)


def links(reader):
    """Every link: the page it is on, counted from zero, and the anchor or address it leads to."""
    for number, sheet in enumerate(reader.pages):
        for link in (note.get_object() for note in sheet.get("/Annots", [])):
            yield number, link["/Dest"][1:] if "/Dest" in link else link["/A"]["/URI"]


def astray(path):
    """The links in a PDF that lead to a file, nowhere, or out of the chapter that they name."""
    reader = PdfReader(path)
    goals = destinations(reader)
    chapters = [name for name in goals if "/" not in name]

    def inside(goal):
        """Whether the last chapter to begin up to the anchor's page is the anchor's own."""
        begun = [name for name in chapters if goal in goals and goals[name] <= goals[goal]]
        return begun and max(begun, key=goals.get) == goal.partition("/")[0]

    found = [link for link in links(reader) if not re.match("https?:", link[1])]
    return [f"page {number + 1}: {goal}" for number, goal in found if not inside(goal)]


def main():
    if BROWSER is None:
        sys.exit("The print edition needs Chromium, and none is installed (Debian: chromium).")
    folder = ROOT / "_build/pdf"
    folder.mkdir(exist_ok=True)
    whole, book = folder / "book.html", folder / "book.pdf"
    whole.write_text(document(ROOT / "_build/html"))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=OPTIONS)
        print_book(lay_out(browser, whole), book)
    whole.unlink()
    if wrong := astray(book):
        sys.exit("links that lead nowhere: " + "; ".join(wrong))
    print(f"The print edition: {book.as_uri()}")


if __name__ == "__main__":
    main()
