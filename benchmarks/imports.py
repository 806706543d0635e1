"""What importing costs: a fresh interpreter for each sample."""

import subprocess
import sys
from collections.abc import Callable

from benchmarks.harness import OURS, Case, Suite

__all__ = ["suite"]

_FLOOR = "a fresh interpreter that runs `pass`"
_ROOMS = ("security", "errors", "middleware", "logs", "db", "auth", "tasks", "http", "stack")


def suite() -> Suite:
    """Make the cases: the front door, the plugin's entry point, and each room beside what it stands on."""
    pytest_alone = {"import pytest": _interpreter("import pytest")}
    return Suite(
        "imports",
        [
            _case("the front door", {OURS: _interpreter("import fastapi_patterns")}),
            _case(
                "the pytest plugin, not configured",
                {**pytest_alone, OURS: _interpreter("import pytest, fastapi_patterns.testing.plugin")},
            ),
            _case(
                "every room",
                {
                    "import fastapi": _interpreter("import fastapi"),
                    "import sqlalchemy.orm": _interpreter("import sqlalchemy.orm"),
                    **{f"{OURS} .{room}": _interpreter(f"import fastapi_patterns.{room}") for room in _ROOMS},
                },
            ),
        ],
    )


def _case(name: str, subjects: dict[str, Callable[[], object]]) -> Case:
    return Case(name, _FLOOR, {"floor": _interpreter("pass"), **subjects}, rounds=10, min_sample_s=0.0)


def _interpreter(code: str) -> Callable[[], object]:
    # -I: no user site, no environment variables, no current folder on the path.
    command = [sys.executable, "-I", "-c", code]

    def run() -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])

    return run
