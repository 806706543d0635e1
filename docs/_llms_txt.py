"""Writes llms.txt beside the site's index: every page, by section, with its first sentence, read from the toctrees."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("build-finished", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write(app: Sphinx, failure: Exception | None) -> None:
    if failure is not None or app.builder.name != "html":
        return
    root = app.env.get_doctree(app.config.root_doc)
    lines = [f"# {app.config.project}", "", f"> {_first_paragraph(root)}", ""]
    lines += ["Inside the wheel: fastapi_patterns/.agents/skills/fastapi-patterns/SKILL.md", ""]
    for toctree in root.findall(addnodes.toctree):
        lines += [f"## {toctree['caption']}", "", *_entries(app, toctree["includefiles"]), ""]
    Path(app.outdir, "llms.txt").write_text("\n".join(lines), encoding="utf-8")


def _entries(app: Sphinx, pages: list[str]) -> Iterator[str]:
    for page in pages:
        about = _first_paragraph(app.env.get_doctree(page))
        yield f"- [{app.env.titles[page].astext()}]({page}.html)" + (f": {about}" if about else "")
        yield from _entries(app, app.env.toctree_includes.get(page, []))


def _first_paragraph(page: nodes.document) -> str:
    paragraph = next(iter(page.findall(nodes.paragraph)), None)
    return "" if paragraph is None else " ".join(paragraph.astext().split())
