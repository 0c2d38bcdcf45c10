"""Sphinx extension: repository, Binder and Colab links, all from `repository: url:` in _config.yml.

While that setting is empty every one of them is off.
"""

from pathlib import Path

import yaml


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


def setup(app):
    def switch(app, config):
        settings = yaml.safe_load(Path(app.confdir, "_config.yml").read_text())
        config.html_theme_options |= theme_options(settings.get("repository", {}))

    app.connect("config-inited", switch, priority=100)
    return {"version": "1", "parallel_read_safe": True}
