"""Sphinx extension: links that are configured, and links that lead nowhere.

Repository, Binder and Colab links all follow from `repository: url:` in _config.yml; while that
setting is empty every one of them is off. A link inside the book whose page or anchor does not
exist fails the build: Sphinx sees to its own references, but not to HTML that a cell puts out.
"""

import re
from pathlib import Path
from urllib.parse import unquote

import yaml
from sphinx.errors import SphinxError


def theme_options(repository):
    """The theme's options for a repository {"url": ..., "branch": ...}."""
    address = (repository.get("url") or "").rstrip("/")
    if not address:
        return {"use_repository_button": False, "launch_buttons": {}}
    return {
        "repository_url": address,
        "repository_branch": repository.get("branch", "main"),
        "path_to_docs": "",
        "use_repository_button": True,
        "use_issues_button": True,
        "launch_buttons": {
            "notebook_interface": "jupyterlab",
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
        },
    }


def broken(folder):
    """The links between the pages in a folder that lead to no file or no anchor, as sentences."""
    texts = {page: page.read_text() for page in sorted(folder.glob("*.html"))}
    anchors = {page: set(re.findall(r'\bid="(.*?)"', text)) for page, text in texts.items()}
    found = []
    for page, text in texts.items():
        for link in sorted(set(re.findall(r'<a\b[^>]*\bhref="([^"]*)"', text))):
            if re.match(r"\w+:", link):
                continue
            path, _, fragment = unquote(link).partition("#")
            target = (page.parent / path).resolve() if path else page
            missing = fragment and target in anchors and fragment not in anchors[target]
            if not target.exists() or missing:
                found.append(f"{page.name}: {link}")
    return found


def setup(app):
    def check(app, exception):
        built = exception is None and app.builder.name == "html"
        if built and (links := broken(Path(app.outdir, "book").resolve())):
            raise SphinxError("links that lead nowhere: " + "; ".join(links))

    def switch(app, config):
        settings = yaml.safe_load(Path(app.confdir, "_config.yml").read_text())
        config.html_theme_options |= theme_options(settings.get("repository", {}))

    app.connect("config-inited", switch, priority=100)
    app.connect("build-finished", check)
    return {"version": "1", "parallel_read_safe": True}
