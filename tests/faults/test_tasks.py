"""Tasks and what goes wrong around them: failures, signals, crashes of the server and of workers."""

import asyncio
import logging
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import procrastinate
import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from fastapi_patterns import TaskQueue, install_stack
from tests.faults.harness import SLACK_S, SLOW, Books, within
from tests.services import ValkeyServer

pytestmark = pytest.mark.services

ROOT = Path(__file__).parent.parent.parent
APP = "tests.faults.task_app"
JOBS = 10_000 if SLOW else 1_000
KILLS = 100 if SLOW else 10
# How long a task is left to a worker that says nothing, see task_app.
REDELIVERY_S = 2.5
# Tasks at a time in one worker: so many may be under way when it is killed.
PER_WORKER = 10


@contextmanager
def process(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a process group of its own; nothing of it is left after the block."""
    with log.open("ab") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **environment},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield running
    finally:
        kill(running)


def kill(running: subprocess.Popen[bytes]) -> None:
    """End a process and its children at once, as a power failure does."""
    if running.poll() is None:
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def server(environment: dict[str, str], log: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve the application with uvicorn, and wait until it answers."""
    port = free_port()
    command = ["uvicorn", f"{APP}:app", "--port", str(port), "--no-access-log", *options]
    with process(command, environment, log) as running:
        url = f"http://127.0.0.1:{port}"
        assert within(20, lambda: answers(url)), log.read_text()
        yield url, running


def answers(url: str) -> bool:
    """Tell whether a server answers."""
    try:
        return httpx2.get(f"{url}/openapi.json", trust_env=False).status_code == 200
    except httpx2.TransportError:
        return False


@pytest.fixture
def environment(books: Books) -> dict[str, str]:
    """Where the application's database is, with its tables and procrastinate's."""
    books.ask("CREATE TABLE orders (number int PRIMARY KEY)")
    books.ask("CREATE TABLE done (id serial PRIMARY KEY, number int NOT NULL)")
    app = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=books.url))
    with app.open():
        app.schema_manager.apply_schema()
    return {"ENGINE": "alone", "DATABASE_URL": books.url.replace("postgresql://", "postgresql+psycopg://")}


class TestInProcess:
    """The queue alone."""

    def test_a_tenth_of_a_thousand_fails(self, caplog: pytest.LogCaptureFixture) -> None:
        """Exactly 900 are done, 100 are logged with their request's id, and none is lost."""
        queue, done = TaskQueue(max_size=1000), []
        failing = set(random.sample(range(1000), 100))
        app = FastAPI(dependencies=[Depends(queue.pending)])
        install_stack(app, resources=[queue])

        @queue.task(name="work")
        async def work(number: int) -> None:
            await asyncio.sleep(random.random() / 100)  # noqa: S311  # chance, no secret
            if number in failing:
                raise RuntimeError
            done.append(number)

        @app.post("/{hundred}")
        async def leave(hundred: int) -> None:
            for number in range(hundred * 100, hundred * 100 + 100):
                work.enqueue(number)

        with TestClient(app) as client:
            for hundred in range(10):
                client.post(f"/{hundred}")
            client.portal.call(queue.join)  # type: ignore[union-attr]
        assert sorted(done) == sorted(set(range(1000)) - failing)
        failures = [record for record in caplog.records if record.levelno == logging.ERROR]
        assert [record.getMessage() for record in failures] == ["Task work failed"] * 100

    def test_a_termination_lets_a_task_end(self, environment: dict[str, str], tmp_path: Path) -> None:
        """A task of 2 s, SIGTERM after 0.1 s: it is done, and the process ends in order."""
        log = tmp_path / "log"
        with server(environment, log) as (url, running):
            assert httpx2.post(f"{url}/slow/2", trust_env=False).status_code == 200
            time.sleep(0.1)
            began = time.monotonic()
            running.terminate()
            assert running.wait(10) in (0, -signal.SIGTERM)
            assert 0.5 < time.monotonic() - began < 3 + SLACK_S
        assert "slow is done" in log.read_text()
        assert "abandons" not in log.read_text()

    def test_a_task_that_takes_too_long_is_named(self, environment: dict[str, str], tmp_path: Path) -> None:
        """An hour, and a limit of 1 s: the process ends within 2 s, and the log says what it abandons."""
        log = tmp_path / "log"
        with server({**environment, "DRAIN_S": "1"}, log) as (url, running):
            httpx2.post(f"{url}/slow/3600", trust_env=False)
            began = time.monotonic()
            running.terminate()
            running.wait(10)
            assert time.monotonic() - began < 1 + 1 + 0.5 + SLACK_S  # half a second for the interpreter's own end
        assert "Shutdown abandons 1 task(s): slow" in log.read_text()


def test_a_row_and_its_job_are_one_fact(environment: dict[str, str], books: Books, tmp_path: Path) -> None:
    """The server is killed around its commits, again and again: no row is without a job, and no job without a row."""
    environment = {**environment, "ENGINE": "procrastinate"}
    sent = told = 0
    for _ in range(KILLS):
        with (
            server(environment, tmp_path / "log") as (url, running),
            ThreadPoolExecutor(8) as pool,
            httpx2.Client(trust_env=False) as client,
        ):
            requests = [pool.submit(post, client, f"{url}/orders/{sent + number}") for number in range(400)]
            sent += 400
            enough = 20 + random.randrange(100)  # noqa: S311  # chance, no secret
            within(10, lambda: sum(request.done() for request in requests) >= enough)  # noqa: B023  # now
            kill(running)
            for request in requests:
                request.cancel()
            told += sum(request.result() == 200 for request in requests if not request.cancelled())
        rows = {number for (number,) in books.ask("SELECT number FROM orders")}
        written = [number for (number,) in books.ask("SELECT (args->'args'->>0)::int FROM procrastinate_jobs")]
        assert sorted(written) == sorted(rows)
        assert told <= len(rows)
    assert len(rows) > KILLS * 10


def post(client: httpx2.Client, url: str) -> int:
    """Send one request; 0 where the server was gone."""
    try:
        return client.post(url).status_code
    except httpx2.TransportError:
        return 0


@pytest.fixture
def nats_url(tmp_path: Path) -> Iterator[str]:
    """A running NATS with JetStream."""
    port = free_port()
    binary = Path(sys.executable).with_name("nats-server")
    with (tmp_path / "nats.log").open("wb") as output:
        command = [binary, "-js", "-sd", tmp_path / "nats", "-a", "127.0.0.1", "-p", str(port)]
        running = subprocess.Popen(command, stdout=output, stderr=output)
    assert within(10, lambda: listens(port))
    yield f"nats://127.0.0.1:{port}"
    running.terminate()
    running.wait()


def listens(port: int) -> bool:
    """Tell whether a port is open."""
    with socket.socket() as found:
        return found.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("engine", ["procrastinate", "valkey", "nats"])
def test_workers_are_killed(
    engine: str, environment: dict[str, str], books: Books, tmp_path: Path, request: Any
) -> None:
    """Of four workers two are killed: every task is done, and no more than were under way are done twice."""
    environment = {**environment, "ENGINE": engine, "JOBS": str(JOBS)}
    if engine == "valkey":
        valkey: ValkeyServer = request.getfixturevalue("valkey_server")
        environment["BROKER_URL"] = valkey.url
    elif engine == "nats":
        environment["BROKER_URL"] = request.getfixturevalue("nats_url")
    log = tmp_path / "log"
    command = {
        "procrastinate": ["procrastinate", f"--app={APP}.jobs", "worker", f"--concurrency={PER_WORKER}"],
        "valkey": ["taskiq", "worker", f"{APP}:broker", "-w", "1", "--max-async-tasks", str(PER_WORKER)],
        "nats": ["taskiq", "worker", f"{APP}:broker", "-w", "1", "--max-async-tasks", str(PER_WORKER)],
    }[engine]

    def done() -> int:
        return int(books.ask("SELECT count(DISTINCT number) FROM done WHERE number < %s", JOBS)[0][0])

    with ExitStack() as running:
        workers = [running.enter_context(process(command, environment, log)) for _ in range(4)]
        with process(["tests.faults.enqueue", "0", str(JOBS)], environment, log) as enqueuing:
            assert within(30, lambda: done() > JOBS // 10), log.read_text()[-3000:]
            for worker in workers[:2]:
                kill(worker)
            assert enqueuing.wait(120) == 0, log.read_text()[-3000:]
        if engine == "procrastinate":
            assert within(60, lambda: settled(books)), log.read_text()[-3000:]
            retry_stalled(books)
        if engine == "valkey":
            # taskiq-redis looks for what a killed worker held when something new arrives, and not before.
            time.sleep(REDELIVERY_S)
            with process(["tests.faults.enqueue", str(JOBS), "4"], environment, log) as enqueuing:
                assert enqueuing.wait(60) == 0
        assert within(60, lambda: done() == JOBS), (done(), log.read_text()[-3000:])
    times = Counter(number for (number,) in books.ask("SELECT number FROM done WHERE number < %s", JOBS))
    twice = sum(count - 1 for count in times.values())
    print(f"\n{engine}: {JOBS} tasks, 4 workers of which 2 were killed: {len(times)} done, {twice} more than once")
    assert set(times) == set(range(JOBS))
    assert twice <= 2 * PER_WORKER


def settled(books: Books) -> bool:
    """Tell whether procrastinate has nothing to do but what the killed workers hold."""
    (todo,) = books.ask("SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'")[0]
    (doing,) = books.ask("SELECT count(*) FROM procrastinate_jobs WHERE status = 'doing'")[0]
    return todo == 0 and doing <= 2 * PER_WORKER


def retry_stalled(books: Books) -> None:
    """Do what procrastinate's documentation says to do regularly."""

    async def retry() -> None:
        app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=books.url))
        async with app.open_async():
            for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=5):
                await app.job_manager.retry_job(job)

    time.sleep(6)  # until the heartbeats of the killed ones are old
    asyncio.run(retry())
