"""Every Python block of the README and the docs runs as it stands."""

import os
import re
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parent.parent.parent
OF_THE_REPOSITORY = [ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").glob("*/*.md"))]
# The one escape: a page that shows what people paste today may warn, as that code does.
WARNINGS_ALLOWED = "<!-- python: warnings allowed -->"


def _program(page: Path) -> str:
    """Put the blocks of a page into one program, each at the line where the page has it."""
    lines: list[str] = []
    for token in MarkdownIt().parse(page.read_text()):
        if token.type == "fence" and token.info.strip() == "python" and token.map:
            start = token.map[0] + 1  # the fence itself is no code
            lines += [""] * (start - len(lines))
            lines += token.content.splitlines()
    return "\n".join(lines)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    """The blocks of a page run in order in a fresh process, without a warning."""
    program = _program(page)
    if not program.strip():
        assert "```python" not in page.read_text(), "a Python block that the parser did not find"
        return
    script = tmp_path / f"{page.stem}.py"
    script.write_text(program)
    warnings = [] if WARNINGS_ALLOWED in page.read_text() else ["-W", "error"]
    environment = {**os.environ, "SECRET_KEY": secrets.token_urlsafe(64), "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, *warnings, str(script)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, f"{page.relative_to(ROOT)} (line numbers are the page's):\n{ran.stderr}"


@pytest.mark.parametrize("page", PAGES + OF_THE_REPOSITORY, ids=lambda page: str(page.relative_to(ROOT)))
def test_included_files_and_links_exist(page: Path) -> None:
    """Every included file and picture, and every relative link to a file, is there; so is the heading it names."""
    text = page.read_text()
    included = re.findall(r"^```\{(?:literal)?include\} (\S+)", text, re.MULTILINE)
    included += re.findall(r'(?:src|srcset)="([^"]+)"', text)
    linked = [target for target in re.findall(r"\]\(([^)\s]+)", text) if not re.match(r"[a-z]+:", target)]
    missing = []
    for target in included + linked:
        path, _, heading = target.partition("#")
        found = page.parent / path if path else page
        if not found.exists() or (heading and found.suffix == ".md" and heading not in _anchors(found)):
            missing.append(target)
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_an_included_file_has_its_link(page: Path) -> None:
    """GitHub shows no included file: the line above the block links to it, by its path in the repository."""
    lines = page.read_text().splitlines()
    missing = []
    for number, line in enumerate(lines):
        if found := re.match(r"^```\{literalinclude\} ((?:\.\./)+)(\S+)$", line):
            up, path = found.groups()
            if lines[number - 2 : number] != [f"[`{path}`]({up}{path})", ""] or not (ROOT / path).is_file():
                missing.append(path)
    assert missing == []


def _anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub and MyST name them in a link."""
    tokens = MarkdownIt().parse(page.read_text())
    titles = [tokens[number + 1].content for number, token in enumerate(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
