"""Makes a link to the reference of the first mention of each public name in a page."""

from importlib import import_module
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

import fastapi_patterns

# Later rooms win: what one takes over from another is documented where it comes from.
ROOMS = [
    "security",
    "auth",
    "auth.stores",
    "errors",
    "middleware",
    "logs",
    "context",
    "stack",
    "db",
    "tasks",
    "http",
    "testing",
    "checks",
    "exceptions",
]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("doctree-read", _link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _targets() -> dict[str, str]:
    """Return where a name is documented: those of the front door, and the classes of the rooms."""
    targets = {}
    for room in ROOMS:
        module = import_module(f"fastapi_patterns.{room}")
        for name in module.__all__:
            if name in fastapi_patterns.__all__ or isinstance(getattr(module, name), type):
                targets[name] = f"fastapi_patterns.{room}.{name}"
    return targets


TARGETS = _targets()


def _link(app: Sphinx, page: nodes.document) -> None:
    seen = set()
    for literal in list(page.findall(nodes.literal)):
        name = literal.astext().removesuffix("()")
        if name not in TARGETS or name in seen or _is_link_or_title(literal):
            continue
        seen.add(name)
        link = addnodes.pending_xref(
            "", refdomain="py", reftype="obj", reftarget=TARGETS[name], refdoc=app.env.docname, refexplicit=True
        )
        literal.replace_self(link)
        link += literal


def _is_link_or_title(node: nodes.Node) -> bool:
    outer = (nodes.reference, addnodes.pending_xref, nodes.title, addnodes.desc_signature)
    while node.parent is not None:
        node = node.parent
        if isinstance(node, outer):
            return True
    return False
