"""Who follows a tutorial from an empty folder has an application and tests that pass."""

import re
import secrets
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.docs.projects import run_pytest

TUTORIAL = Path(__file__).parent.parent.parent / "docs" / "tutorial"
FROM_NOTHING = ("first-steps", "log-in")
OPEN_ROUTE = '\n\n@app.get("/orders")\ndef orders({parameter}) -> list[str]:\n    return ["tea"]\n'


def _included(page: Path, directive: str, options: dict[str, str]) -> str:
    """Return the lines of a file that a `literalinclude` shows."""
    text = (page.parent / directive.split()[1]).read_text()
    if "start-at" in options:
        text = text[text.index(options["start-at"]) :]
    if "end-before" in options:
        text = text[: text.index(options["end-before"])]
    return text


def _write_files(page: Path, folder: Path) -> set[str]:
    """Save the blocks with a file's name above them, one after the other, as a reader does."""
    written = set()
    for token in MarkdownIt().parse(page.read_text()):
        options = dict(re.findall(r"^:([a-z-]+): (.+)$", token.content, re.MULTILINE)) if token.type == "fence" else {}
        if "caption" in options:
            text = re.sub(r"\A(:.+\n)+", "", token.content)
            if token.info.startswith("{literalinclude}"):
                text = _included(page, token.info, options)
            with (folder / options["caption"]).open("a") as file:
                file.write(text)
            written.add(options["caption"])
    return written


@pytest.mark.parametrize("name", FROM_NOTHING)
def test_the_files_of_the_page_pass_their_tests(name: str, tmp_path: Path) -> None:
    """With the secret that the reader has exported, and without one."""
    files = _write_files(TUTORIAL / f"{name}.md", tmp_path)
    assert files == {"app.py", "conftest.py", "pyproject.toml", "test_app.py"}
    for environment in ({}, {"SECRET_KEY": secrets.token_urlsafe(64)}):
        ran = run_pytest(tmp_path, **environment)
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_open_route_is_found(tmp_path: Path) -> None:
    """The route that the reader adds fails the third test by name, until it has a user."""
    _write_files(TUTORIAL / "first-steps.md", tmp_path)
    app = tmp_path / "app.py"
    without = app.read_text()
    app.write_text(without + OPEN_ROUTE.format(parameter=""))
    ran = run_pytest(tmp_path)
    assert "GET /orders" in ran.stdout
    assert "1 failed, 2 passed" in ran.stdout
    app.write_text(without + OPEN_ROUTE.format(parameter="user: CurrentUser"))
    assert run_pytest(tmp_path).returncode == 0
