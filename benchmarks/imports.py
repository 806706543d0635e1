"""What importing costs: a fresh interpreter for each sample."""

import subprocess
import sys
from collections.abc import Callable

from benchmarks.harness import OURS, Case, Suite

__all__ = ["suite"]

_FLOOR = "a fresh interpreter that runs `pass`"
# A room, and what it stands on: importing that is the part of the cost which is not ours.
_ROOMS = {
    "security": "argon2, bcrypt, jose.jwk",
    "errors": "fastapi",
    "middleware": "starlette.middleware.cors",
    "logs": "logging, starlette.concurrency",
    "db": "fastapi, sqlalchemy.orm",
    "auth": "fastapi, argon2, bcrypt, jose.jwk",
    "tasks": "starlette.concurrency",
    "http": "httpx2",
    "stack": "fastapi",
}


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
            *(
                _case(
                    f"fastapi_patterns.{room}",
                    {f"import {below}": _interpreter(f"import {below}"), OURS: _room(room)},
                )
                for room, below in _ROOMS.items()
            ),
        ],
    )


def _room(name: str) -> Callable[[], object]:
    return _interpreter(f"import fastapi_patterns.{name}")


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
