"""The site: ``sphinx-build -W --keep-going -b html docs site``, with the extra ``docs``.

The pages are the Markdown files of this folder, as they are; what else the site has is made of the README, of
docstrings, and of the stories in ``examples/gallery``, which are run.
"""

from __future__ import annotations

import importlib.util
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any

from sphinx.ext.autodoc.mock import _MockObject

from unshap_plugin import frameworks

ROOT = Path(__file__).resolve().parents[1]

project = "unshap-plugin"
author = copyright = "the authors of unshap-plugin"  # noqa: A001
release = version = version_of(project)
language = "en"

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["stories/*.ipynb", "stories/*.zip"]
html_theme = "furo"
html_title = project
html_copy_source = False

# Anchors as GitHub makes them, so that a link works in both places; one that leads nowhere is a warning.
myst_heading_anchors = 4

#: No one environment holds all frameworks: where one is missing, its adapter is documented as if it were there, and its
#: story, whose file is named for it, is shown without being run.
MISSING = [one for one in (*frameworks.FRAMEWORKS, "distributed") if importlib.util.find_spec(one) is None]
autodoc_mock_imports = MISSING
frameworks.check_framework = lambda *_: None
_MockObject.__delitem__ = lambda *_: None  # the base of our evaluators takes itself off OpenDataVal's list

autosummary_ignore_module_all = False
autosummary_imported_members = True
#: What several modules give away has one page.
autosummary_context = {
    "elsewhere": {
        "unshap_plugin.errors": ["UnshapError"],
        "unshap_plugin.metrics": ["Metric"],
        "unshap_plugin.plugin": ["AccessError", "BudgetError", "Metric", "ValuationProblem"],
    }
}
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
numpydoc_show_class_members = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples/gallery",
    "gallery_dirs": "stories",
    "filename_pattern": r"/\w+\.py$",
    "ignore_pattern": "__init__",
    "abort_on_example_error": True,
    "capture_repr": ("_repr_html_", "__repr__"),
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "within_subsection_order": "FileNameSortKey",
}
if MISSING:
    sphinx_gallery_conf["filename_pattern"] = rf"/(?!\d+_({'|'.join(MISSING)}))\w+\.py$"

# For ``sphinx -b linkcheck``, which asks each address of the outer world.
linkcheck_timeout = 20

#: Pages that are files of the root, where others are looked for: one text, on the site and beside the code.
INCLUDED = {"index": "README.md", "contributing": "CONTRIBUTING.md", "changes": "CHANGELOG.md"}
#: Where what these link to, and what the pages link to outside of this folder, is on the site.
ON_THE_SITE = {
    "](docs/": "](",
    "](../README.md": "](index.md",
    "](CONTRIBUTING.md": "](contributing.md",
    "](CHANGELOG.md": "](changes.md",
    "](../examples/plugin-template": "](template.md",
    "](examples/plugin-template": "](template.md",
    "](../examples/gallery/9_market_without_rows.py": "](stories/9_market_without_rows.rst",
}


def _read(app: Any, page: str, source: list[str]) -> None:
    """Put the texts of the root into their pages, and lead links to where they lead on the site."""
    if page in INCLUDED:
        source[0] = (ROOT / INCLUDED[page]).read_text(encoding="utf-8") + "\n" + source[0]
        app.env.note_dependency(str(ROOT / INCLUDED[page]))
    if app.env.doc2path(page).suffix == ".md":
        for here, there in ON_THE_SITE.items():
            source[0] = source[0].replace(here, there)


def setup(app: Any) -> None:
    """Connect what reads the pages."""
    app.connect("source-read", _read)
