"""The README's transcript is what the demo really prints."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# What differs from run to run: times, request ids, the clock.
_CHANGING = (
    (re.compile(r"\s+\d+\.\d ms"), " N ms"),
    (re.compile(r"- \d+\.\d{3}s"), "- N s"),
    (re.compile(r"request_id=\w+ at=\S+"), "request_id=ID at=TIME"),
)


def _steady(text: str) -> list[str]:
    for pattern, instead in _CHANGING:
        text = pattern.sub(instead, text)
    return [line.rstrip() for line in text.splitlines()]


@pytest.fixture(scope="module")
def walked() -> subprocess.CompletedProcess[str]:
    """One walk through the example service."""
    command = [sys.executable, "-m", "examples.service.demo", "--walk"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_the_walk_has_no_surprises(walked: subprocess.CompletedProcess[str]) -> None:
    """Every step of the walk ends as expected, and the command says so with its exit code."""
    assert walked.returncode == 0, walked.stdout + walked.stderr
    assert "FAIL" not in walked.stdout
    assert re.search(r"^4\d steps, 0 surprises", walked.stdout, re.MULTILINE)


def test_the_readme_shows_the_walk(walked: subprocess.CompletedProcess[str]) -> None:
    """The transcript in the README is the beginning of the walk's output, times and ids aside."""
    block = re.search(r"```text\n(.*?)\n  \.\.\.\n```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    shown = _steady(block[1])
    assert shown == _steady(walked.stdout)[: len(shown)]
