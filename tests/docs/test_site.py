"""The site is whole: every page is reachable, every room has its reference, every how-to its sections."""

import re
from pathlib import Path

import pytest

from tests.public_api import exported, public_modules

DOCS = Path(__file__).parent.parent.parent / "docs"
HOW_TO = sorted((DOCS / "how-to").glob("*.md"))


def _listed(page: Path) -> set[Path]:
    """The pages that a page's toctrees name."""
    found = set()
    for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(), re.DOTALL):
        names = [line for line in block.splitlines() if line and not line.startswith(":")]
        found |= {(page.parent / f"{name}.md").resolve() for name in names}
    return found


def test_every_page_is_reachable() -> None:
    """From the index, through the tables of contents, and there is no page that is not there."""
    reachable, waiting = set(), {(DOCS / "index.md").resolve()}
    while waiting:
        page = waiting.pop()
        reachable.add(page)
        waiting |= _listed(page) - reachable
    assert reachable == {page.resolve() for page in DOCS.rglob("*.md") if "_build" not in page.parts}


def test_every_public_name_is_in_the_reference() -> None:
    """Each room that exports something has a page that documents all of its members."""
    pages = "\n".join(page.read_text() for page in (DOCS / "reference").glob("*.md"))
    for module, path in public_modules():
        if module == "fastapi_patterns" or not exported(path):
            continue  # the front door only re-exports
        assert f".. automodule:: {module}\n   :members:" in pages, module


@pytest.mark.parametrize("page", HOW_TO, ids=lambda page: page.stem)
def test_a_how_to_has_its_sections(page: Path) -> None:
    """The task as title, the result in one sentence, why it is safe, how to test it, pitfalls."""
    lines = [line for line in page.read_text().splitlines() if line]
    assert lines[0].startswith("# ")
    assert not lines[1].startswith(("#", "```", "|")), "the first paragraph says the result"
    headings = [line for line in lines if line.startswith("## ")]
    assert [
        heading for heading in headings if heading in ("## Why it is safe", "## How to test it", "## Pitfalls")
    ] == [
        "## Why it is safe",
        "## How to test it",
        "## Pitfalls",
    ]


@pytest.mark.parametrize("page", sorted((DOCS / "explanation").glob("*.md")), ids=lambda page: page.stem)
def test_tests_that_a_page_names_exist(page: Path) -> None:
    """A claim names the test that shows it: the file is there, and in one of the files of the page the function."""
    text = page.read_text()
    files = {name: DOCS.parent / name for name in re.findall(r"`((?:tests|examples|scripts)/[\w/.-]+)`", text)}
    assert [name for name, path in files.items() if not path.exists()] == []
    defined = {
        name
        for path in files.values()
        if path.suffix == ".py"
        for name in re.findall(r"^ *(?:async )?def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    assert set(re.findall(r"`(test_\w+)`", text)) - defined == set()
