"""A process that has imported what every project needs, and becomes a run of pytest: half of a run is those imports.

Nothing of this package is imported in it, and no plugin of pytest's. Its only user is `pytester` in `conftest.py`.
"""

import json
import os
import random
import runpy
import signal
import subprocess
import sys
from multiprocessing.connection import wait
from typing import Any

import pytest

__all__ = ["WarmPython", "cold"]

_MODULES = (
    "aiosqlite",
    "argon2",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "fastapi",
    "httpx2",
    "sqlalchemy.ext.asyncio",
    "sqlalchemy.orm",
    "sqlite3",
)


class WarmPython:
    """Runs `python -m pytest` in forks of a process that is warm, one after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def run(self, arguments: list[str], stdout: Any, stderr: Any, env: dict[str, str]) -> "WarmRun":
        """Start a run in the current folder."""
        request = [arguments, os.getcwd(), env, stdout.name, stderr.name]
        self._process.stdin.write(json.dumps(request) + "\n")  # type: ignore[union-attr]
        self._process.stdin.flush()  # type: ignore[union-attr]
        return WarmRun(self._process.stdout)


class WarmRun:
    """What `pytester` asks of a process."""

    stdin = None

    def __init__(self, answers: Any) -> None:
        self._answers = answers
        self._pid = int(answers.readline())

    def wait(self, timeout: float | None = None) -> int:
        """The run's exit code, waited for so many seconds."""
        if not wait([self._answers], timeout):
            raise subprocess.TimeoutExpired("pytest", timeout or 0.0)
        return int(self._answers.readline())

    def kill(self) -> None:
        """End it at once."""
        os.kill(self._pid, signal.SIGKILL)


def cold(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest in a process of its own all the same: for tests of what is imported."""
    return pytester.run(sys.executable, "-m", "pytest", *arguments)


def _become(arguments: list[str], folder: str, env: dict[str, str], stdout: str, stderr: str) -> None:
    """Be the run."""
    for target, path, flags in (0, os.devnull, os.O_RDONLY), (1, stdout, os.O_WRONLY), (2, stderr, os.O_WRONLY):
        os.dup2(os.open(path, flags), target)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = [folder, *env["PYTHONPATH"].split(os.pathsep)]
    sys.argv = ["pytest", *arguments]
    random.seed()
    runpy.run_module("pytest", run_name="__main__", alter_sys=True)


def _serve() -> None:
    for name in _MODULES:
        __import__(name)
    # pytest warns of a module that is there before its assertions are to be rewritten. This word stands for "leave it".
    for name in "anyio", "asyncio", "httpx2":
        module = sys.modules[name]
        module.__doc__ = f"{module.__doc__} PYTEST_DONT_REWRITE"
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    for line in sys.stdin:
        if (pid := os.fork()) == 0:
            _become(*json.loads(line))
        answers.write(f"{pid}\n")
        answers.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")


if __name__ == "__main__":
    _serve()
