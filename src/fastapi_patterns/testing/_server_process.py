"""uvicorn in a process of its own: for crashes and signals. It serves the application on the test's databases."""

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, cast

import pytest

from fastapi_patterns.testing._config import setting
from fastapi_patterns.testing._listening import listen

if TYPE_CHECKING:
    from fastapi_patterns.testing.databases import Databases

__all__ = ["ServerProcess", "serve_in_process"]

START_LIMIT_S = 30.0
# Longer than the server gives to requests, and a TaskQueue to its tasks.
STOP_LIMIT_S = 20.0
_SETTINGS = ("fastapi_app", "fastapi_get_db", "fastapi_metadata")


class ServerProcess:
    """The process of a server.

    Args:
        popen: The process.
        output: The file that it writes to.
    """

    def __init__(self, popen: subprocess.Popen[bytes], output: IO[bytes]) -> None:
        self.popen = popen
        self._output = output

    def log(self) -> str:
        """Return what it has written so far."""
        return os.pread(self._output.fileno(), os.fstat(self._output.fileno()).st_size, 0).decode(errors="replace")

    def kill(self) -> None:
        """End it at once, and wait until it has ended."""
        self.popen.kill()
        self.popen.wait()

    def wait_until_ready(self, ready: int) -> None:
        """Wait until it writes to the pipe, which closes when it ends before that."""
        __tracebackhide__ = True
        readable, _, _ = select.select([ready], [], [], START_LIMIT_S)
        if readable and os.read(ready, 1):
            return
        if readable:
            reason = f"ended with exit code {self.popen.wait()}"
        else:
            reason = f"had not started after {START_LIMIT_S:g} s"
            self.kill()
        pytest.fail(f"The process of uvicorn_server {reason}. It wrote:\n{self.log()}", pytrace=False)

    def stop(self) -> None:
        """End it as a deployment does; its output is shown when the test fails."""
        __tracebackhide__ = True
        in_time = True
        self.popen.terminate()
        try:
            self.popen.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            in_time = False
            self.kill()
        sys.stdout.write(self.log())
        if not in_time:
            pytest.fail(
                f"The process of uvicorn_server had not ended {STOP_LIMIT_S:g} s after SIGTERM, and was killed. "
                "What it wrote is below.",
                pytrace=False,
            )


@contextmanager
def serve_in_process(config: pytest.Config, databases: "Databases | None") -> Iterator[tuple[str, ServerProcess]]:
    """Serve the configured application until the block ends, and give its URL and its process.

    Args:
        config: Says which application.
        databases: The application's, bound to those of the test.
    """
    if sys.platform == "win32":
        pytest.fail("a server in a process of its own needs Linux or macOS; on Windows use a thread", pytrace=False)
    given = {"settings": {name: setting(config, name) for name in _SETTINGS}, **_urls(databases)}
    ready, announce = os.pipe()
    with os.fdopen(ready, "rb"), tempfile.TemporaryFile() as output:
        listening, url = listen()
        with closing(listening), os.fdopen(announce, "wb"):
            # Both are the child's from here on: connections to a server that was killed are refused.
            popen = _start(listening.fileno(), announce, output)
        process = ServerProcess(popen, output)
        try:
            with cast(IO[bytes], popen.stdin) as stdin:  # it ends when this closes
                with suppress(BrokenPipeError):  # it has ended already, and says why
                    stdin.write(json.dumps(given).encode() + b"\n")
                    stdin.flush()
                process.wait_until_ready(ready)
                yield url, process
                process.stop()
        finally:
            if popen.poll() is None:
                process.kill()


def _start(listening: int, announce: int, output: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603  # our own module, by this Python
        [sys.executable, "-P", "-m", "fastapi_patterns.testing._serve", str(listening), str(announce)],
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=(listening, announce),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONUNBUFFERED": "1"},
    )


def _urls(databases: "Databases | None") -> dict[str, list[str]]:
    def url(database: Any) -> str:
        return str(database.engine.url.render_as_string(hide_password=False))

    if databases is None:
        return {"sync": [], "asynchronous": []}
    return {
        "sync": [url(database) for database in databases.sync],
        "asynchronous": [url(database) for database in databases.asynchronous],
    }
