"""Runs of pytest in the projects of these tests are forks of a warm process."""

import os
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.testing.warm import WarmPython


@pytest.fixture(scope="session")
def warm_python() -> Iterator[WarmPython]:
    """One for the whole run."""
    python = WarmPython()
    yield python
    python.close()


@pytest.fixture
def pytester(pytester: pytest.Pytester, warm_python: WarmPython, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """Run `python -m pytest` warm, and everything else as ever."""
    cold = pytester.popen

    def popen(command: Any, stdout: Any, stderr: Any, **options: Any) -> Any:
        if command[:2] != (sys.executable, "-mpytest"):
            return cold(command, stdout=stdout, stderr=stderr, **options)
        path = os.pathsep.join(filter(None, [os.getcwd(), os.environ.get("PYTHONPATH", "")]))
        return warm_python.run(list(command[2:]), stdout, stderr, {**os.environ, "PYTHONPATH": path})

    monkeypatch.setattr(pytester, "popen", popen)
    return pytester
