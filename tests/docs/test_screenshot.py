"""The picture of the console shows what the console form prints today; photographs are small and shown somewhere."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PICTURE = ROOT / "docs" / "_static" / "console.svg"
MOST_BYTES = 150_000


def _steady(line: str) -> str:
    """Leave out how many frames FastAPI and Starlette have: that is their versions' business."""
    return re.sub(r"\d+ library frame", "N library frame", line.replace("\xa0", " ")).rstrip()


def _lines_of(picture: Path) -> list[str]:
    """The text of the picture, line by line: pieces of one line have the same height."""
    lines: dict[float, list[tuple[float, str]]] = {}
    for piece in ET.parse(picture).iter("{http://www.w3.org/2000/svg}text"):  # noqa: S314 (a file of our own)
        if "clip-path" in piece.attrib:
            lines.setdefault(float(piece.attrib["y"]), []).append((float(piece.attrib["x"]), piece.text or ""))
    width = 12.2  # of a character
    shown = []
    for _, pieces in sorted(lines.items()):
        line = ""
        for x, text in sorted(pieces):
            line = line.ljust(round(x / width)) + text
        shown.append(line)
    return shown


def test_the_picture_is_true() -> None:
    """Run `scripts/screenshot` when this fails: the formatter or the example has changed."""
    command = [sys.executable, "scripts/_screenshot.py", "--text"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    shown = [_steady(line) for line in _lines_of(PICTURE)]
    assert [line for line in shown if line] == [_steady(line) for line in ran.stdout.splitlines()]


def test_the_picture_loads_nothing() -> None:
    """A picture that fetches a font would tell its host who reads the docs."""
    text = PICTURE.read_text()
    assert "@font-face" not in text
    assert re.findall(r"url\((?!#)[^)]*\)|(?:href|src)=", text) == []


def test_photographs_are_small_and_shown() -> None:
    """Each is in a page or in the README, and weighs less than a reader would notice."""
    pages = "".join(page.read_text() for page in [ROOT / "README.md", *(ROOT / "docs").glob("*/*.md")])
    photographs = sorted((ROOT / "docs" / "_static").glob("*.png"))
    assert [photo.name for photo in photographs] == ["docs-page.png", "site-dark.png", "site-light.png"]
    for photo in photographs:
        assert photo.stat().st_size < MOST_BYTES
        assert f"_static/{photo.name}" in pages
