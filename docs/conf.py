"""Sphinx with MyST and furo.

Chosen over Zensical, the successor of mkdocs-material: `-W -n` fails on every broken reference, image and include,
the search works from file:// too, and it is not a 0.0.x release.
"""

import sys
from importlib import import_module
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

# Names that a room imports on first use are in its namespace only then, and autodoc documents what is there.
for room in ("db", "auth.stores", "testing"):
    module = import_module(f"fastapi_patterns.{room}")
    vars(module).update({name: getattr(module, name) for name in module.__all__})

project = "fastapi-patterns"
author = "The fastapi-patterns authors"
copyright = "2026, the fastapi-patterns authors"
release = version = version_of("fastapi-patterns")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "_cross_links", "_llms_txt"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

html_theme = "furo"
html_title = "fastapi-patterns"
html_static_path = ["_static"]
html_css_files = ["site.css"]

# A name in single backticks is code, as in the docstrings themselves.
default_role = "code"
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("HTTP", "notes_style"), ("Source", "notes_style")]

# Types of other packages and of the standard library: there is no inventory to link them to without a network.
nitpick_ignore_regex = [
    (r"py:.*", r"(?!fastapi_patterns).*"),
    # Names that are not exported, and type variables, that appear in signatures.
    (r"py:.*", r"fastapi_patterns\..*\.(UserT|ModelT|Header|SessionSource|ClaimRules|P|R|_.*)"),
]

# `scripts/docs --links`: addresses that the reader's own machine serves.
linkcheck_ignore = [r"http://(localhost|127\.0\.0\.1)\b"]
linkcheck_timeout = 15
