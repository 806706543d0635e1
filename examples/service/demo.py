"""Starts the service and its upstream on loopback: `scripts/demo`, and with `--walk` drives it over HTTP.

Serving uses DATABASE_URL when it is set; a walk writes accounts of its own and uses a database that is only named by
`--database`. Without either it is a SQLite file that is gone afterwards.

Nothing here is needed to use the library; it is the stage on which the service is shown.
"""

import argparse
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2

HOST = "127.0.0.1"
EMAIL, PASSWORD = "ada@example.com", "correct horse battery staple"
ADMIN_EMAIL = "admin@example.com"
START_TIMEOUT_S = 30.0


def main() -> int:
    """Serve until Ctrl-C, or walk."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--walk", action="store_true", help="drive the service over HTTP and exit")
    parser.add_argument("--database", metavar="URL", help="the database to use, also for a walk")
    asked = parser.parse_args()
    walking = asked.walk
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that both processes end with this one
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="fastapi-patterns-")))
        mails = folder / "mails"
        mails.mkdir()
        port = free_port() if walking else wanted_port()
        secret_key = os.environ.get("SECRET_KEY") or secrets.token_urlsafe(64)
        upstream_port = free_port()
        database_url = asked.database or (None if walking else os.environ.get("DATABASE_URL"))
        database_url = database_url or f"sqlite:///{folder}/service.db"
        environment = {
            **os.environ,
            "SECRET_KEY": secret_key,
            "DATABASE_URL": database_url,
            "UPSTREAM_URL": f"http://{HOST}:{upstream_port}",
            "MAIL_DIR": str(mails),
        }
        log = folder / "service.log" if walking else None
        upstream = [sys.executable, "-m", "uvicorn", "examples.service.upstream:app", "--log-level", "warning"]
        jokes = opened.enter_context(process([*upstream, "--host", HOST, "--port", str(upstream_port)], environment))
        service = [sys.executable, "-m", "examples.service", "--port", str(port)]
        running = opened.enter_context(process(service, environment, log))
        url = f"http://{HOST}:{port}"
        up = wait_until_up(f"{url}/health", running) and wait_until_up(f"http://{HOST}:{upstream_port}/joke", jokes)
        if not up:
            print("The service did not start.", file=sys.stderr)
            if log is not None:
                print(log.read_text(), file=sys.stderr)
            return 1
        admin_password = new_administrator(database_url)
        if log is not None:
            from examples.service.walk import walk

            return walk(url, secret_key, (ADMIN_EMAIL, admin_password), mails, log)
        show(url, admin_password, mails)
        try:
            return running.wait()
        except KeyboardInterrupt:
            print("\nStopping.")
            return 0


def new_administrator(database_url: str) -> str:
    """Make the administrator and return the password, which is a new one at each start."""
    from examples.service.administrator import make_administrator
    from fastapi_patterns import Database

    password = secrets.token_urlsafe(12)
    database = Database(database_url)
    make_administrator(database, ADMIN_EMAIL, password)
    database.engine.dispose()
    return password


def show(url: str, admin_password: str, mails: Path) -> None:
    """Make an account and print where to use it."""
    account = {"email": EMAIL, "name": "Ada", "password": PASSWORD}
    answer = httpx2.post(f"{url}/auth/register", json=account)
    if answer.status_code not in (201, 409):  # 409: a database of one's own that has her already
        print(f"Could not register {EMAIL}: {answer.status_code} {answer.text}", file=sys.stderr)
    print(f"\n  The service:   {url}/docs   (Authorize with a login below)")
    print(f"  Login:         {EMAIL} / {PASSWORD}")
    print(f"  Administrator: {ADMIN_EMAIL} / {admin_password}")
    print(f"  Mails:         {mails}")
    print("  Stop:          Ctrl-C\n", flush=True)


def wanted_port() -> int:
    """Return the port to serve on, or end with words when it is taken."""
    text = os.environ.get("PORT", "8000")
    if not text.isdecimal() or not 0 < int(text) < 65536:
        sys.exit(f"error: PORT must be a port number; got {text!r}.")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, int(text)))
        except PermissionError:
            sys.exit(f"error: port {text} needs special rights. Choose one above 1023: PORT=8080 scripts/demo")
        except OSError:
            sys.exit(f"error: port {text} is taken. Choose another one: PORT={int(text) % 60000 + 1} scripts/demo")
    return int(text)


def free_port() -> int:
    """Return a port that nobody uses."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@contextmanager
def process(
    command: list[str], environment: dict[str, str], log: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command beside this one and end it with it."""
    with ExitStack() as opened:
        output = None if log is None else opened.enter_context(log.open("wb"))
        running = subprocess.Popen(command, env=environment, stdout=output, stderr=output)  # noqa: S603 (our own)
        try:
            yield running
        finally:
            running.terminate()
            try:
                running.wait(timeout=15)
            except subprocess.TimeoutExpired:
                running.kill()
                running.wait()


def wait_until_up(url: str, running: subprocess.Popen[bytes]) -> bool:
    """Ask until the service answers; False when it ended or took too long."""
    deadline = time.monotonic() + START_TIMEOUT_S
    with httpx2.Client() as client:
        while time.monotonic() < deadline and running.poll() is None:
            try:
                return client.get(url).status_code == 200
            except httpx2.TransportError:
                time.sleep(0.05)
    return False


if __name__ == "__main__":
    sys.exit(main())
