"""Sphinx extension: what is left to do on a rendered site, so that it is light and open to all.

MathJax is served from the book, and of it only what the pages can ask for; source maps are for the
theme's developers, one format of each font is enough; drawings have few colours, so they are stored
with a palette; the notebook that a page offers for download comes without its outputs, which the
page itself shows. Roles and empty headers that mislead a screen reader are put right, and a formula
is kept together with its punctuation, and a plot at a size at which it can be read.
"""

import re
from pathlib import Path

import nbformat
from PIL import Image

# TeX to HTML and its fonts; from the menu, speech in English for who asks for it.
MATHJAX = ["tex-chtml.js", "output/chtml", "a11y", "sre/mathmaps/base.json", "sre/mathmaps/en.json"]

# Where a page is opened as a file, the browser forbids to fetch others for the search's excerpts.
WITHOUT_EXCERPTS = """if (location.protocol === "file:")
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;"""

# Docutils gives each source a role that is no list item, in a list; ARIA 1.2 has withdrawn it.
ROLES = re.compile(r' role="list"(?= class="citation-list")| role="doc-biblioentry"')
EMPTY_HEADER = re.compile(r"<th\b([^>]*)>\s*</th>")

# On a phone a plot keeps its size and is moved sideways, by finger or by arrow keys.
PICTURE = re.compile(r"(<figure\b[^>]*>\s*)(<img\b[^>]*>)")

# MathJax lets a line break between a formula and the punctuation behind it.
PUNCTUATED = re.compile(r'(<span class="math [^>]*>[^<]*</span>[.,;:?!)\u2019\u201d]+)')


def prune(folder, keep):
    """Delete from a folder all files but those under the relative paths in `keep`."""
    kept = [folder / path for path in keep]
    for file in [path for path in folder.rglob("*") if path.is_file()]:
        if not any(file.is_relative_to(path) for path in kept):
            file.unlink()


def slim(site):
    """Make a rendered site light; nothing on its pages looks different."""
    static = site / "_static"
    prune(static / "mathjax", MATHJAX)
    for leftover in [*static.rglob("*.map"), *static.rglob("*.ttf")]:
        leftover.unlink()
    for picture in (site / "_images").glob("*.png"):
        with Image.open(picture) as image:
            if image.mode != "P":
                palette = image.convert("RGB").quantize(dither=Image.Dither.NONE)
                palette.save(picture, optimize=True)
    for source in (site / "_sources").rglob("*.ipynb"):
        notebook = nbformat.read(source, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.update(outputs=[], execution_count=None)
        nbformat.write(notebook, source)


def mend(site):
    """No role out of place, no header without words, no lone full stop, plots that can be moved."""
    for page in site.rglob("*.html"):
        text = EMPTY_HEADER.sub(r"<td\1></td>", ROLES.sub("", page.read_text()))
        text = PICTURE.sub(r'\1<div class="picture" tabindex="0">\2</div>', text)
        page.write_text(PUNCTUATED.sub(r'<span class="unbroken">\1</span>', text))


def setup(app):
    def finish(app, exception):
        if exception is None and app.builder.name == "html":
            slim(Path(app.outdir))
            mend(Path(app.outdir))

    app.add_js_file(None, body=WITHOUT_EXCERPTS, priority=300)
    app.connect("build-finished", finish, priority=900)  # after MathJax has been copied
    return {"version": "1", "parallel_read_safe": True}
