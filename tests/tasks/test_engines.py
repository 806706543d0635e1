"""One contract for the queue alone and on each engine: which tasks of a request run, with what, and when none does."""

import asyncio
import inspect
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any

import procrastinate
import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.testclient import TestClient
from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session
from taskiq import InMemoryBroker, ScheduledTask, ScheduleSource, SmartRetryMiddleware

from fastapi_patterns import (
    AsyncDatabase,
    ConfigurationError,
    Database,
    PatternsError,
    PendingTasks,
    TaskQueue,
    install_stack,
)
from fastapi_patterns.context import current_request
from fastapi_patterns.tasks import HandOverError, TaskArgumentError
from fastapi_patterns.tasks.engine import run_payload
from fastapi_patterns.tasks.procrastinate import ProcrastinateEngine
from fastapi_patterns.tasks.taskiq import TaskiqEngine
from tests.db.models import Base, Owner
from tests.services import PostgresServer


@dataclass
class Place:
    """Where tasks run: the queue alone, or an engine."""

    kind: str
    database: Any
    queue: TaskQueue
    jobs: procrastinate.App | None = None
    done: list[Any] = field(default_factory=list)

    @property
    def follows_commits(self) -> bool:
        """Whether an engine knows of the commits of the request's session."""
        return self.queue._engine is not None and self.queue._engine.database is not None

    def run(self, client: TestClient) -> None:
        """Let what was enqueued be done."""
        portal: Any = client.portal
        portal.call(self.queue.join)
        if self.jobs is not None:
            options = {"wait": False, "install_signal_handlers": False, "listen_notify": False, "concurrency": 4}
            for _ in range(2):  # the second takes what tasks of the first left as it ended
                portal.call(partial(self.jobs.run_worker_async, **options))


@pytest.fixture(scope="module")
def postgres_database(postgres_server: PostgresServer) -> str:
    """A database with procrastinate's tables and ours."""
    dsn = postgres_server.dsn(postgres_server.create_database("engines"))
    app = procrastinate.App(connector=procrastinate.SyncPsycopgConnector(conninfo=dsn))
    with app.open():
        app.schema_manager.apply_schema()
    with psycopg(dsn) as database:
        database.create_all()
    return dsn


@contextmanager
def psycopg(dsn: str) -> Iterator[Database]:
    """A database of the test's own, which closes its connections."""
    database = Database(dsn.replace("postgresql://", "postgresql+psycopg://"), metadata=Base.metadata)
    yield database
    database.engine.dispose()


KINDS = [
    "alone-sync",
    "alone-async",
    "taskiq-sync",
    "taskiq-async",
    "taskiq-none",
    pytest.param("procrastinate-sync", marks=pytest.mark.services),
    pytest.param("procrastinate-async", marks=pytest.mark.services),
]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Place]:
    """Each place, with an empty database."""
    yield from make_place(request.param, request, tmp_path)


def make_place(which: str, request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Place]:
    """Make a place."""
    kind, _, mode = which.partition("-")
    options: dict[str, Any] = {"metadata": Base.metadata}
    jobs = None
    if kind == "procrastinate":
        dsn = request.getfixturevalue("postgres_database")
        url = dsn.replace("postgresql://", "postgresql+psycopg://")
        jobs = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=dsn))
    else:
        url = f"sqlite:///{tmp_path / 'shop.db'}"
        tables = Database(url, **options)
        tables.create_all()
        tables.engine.dispose()
    database = (AsyncDatabase if mode == "async" else Database)(url, **options)
    engine: Any = None
    if jobs is not None:
        engine = ProcrastinateEngine(jobs, database=database)
    elif kind == "taskiq":
        retries = SmartRetryMiddleware(default_delay=0)
        broker = InMemoryBroker(await_inplace=True).with_middlewares(retries)
        engine = TaskiqEngine(broker, database=None if mode == "none" else database)
    queue = TaskQueue(engine, on_http_exception="keep" if "keep" in request.node.name else "drop")
    yield Place(kind, database, queue, jobs)
    if jobs is not None:
        with psycopg(dsn) as cleaned, cleaned.session_scope() as session:
            session.execute(delete(Owner))
            session.execute(text("DELETE FROM procrastinate_jobs"))


def shop(place: Place) -> FastAPI:
    """An application whose routes write a row and leave a task, and end in each way."""
    app = FastAPI()
    install_stack(app, resources=[place.database, place.queue])
    session_dep = Annotated[Any, Depends(place.database.session)]
    tasks_dep = Annotated[PendingTasks, Depends(place.queue.pending)]

    @place.queue.task(name="greet")
    async def greet(name: str, *, loudly: bool = False) -> None:
        request = current_request()
        place.done.append((name, loudly, request and request.request_id, request and request.user_id))

    @place.queue.task(name="greet-in-a-thread")
    def greet_in_a_thread(name: str) -> None:
        place.done.append((name, current_request() and current_request().request_id))  # type: ignore[union-attr]

    @place.queue.task(name="chain")
    async def chain() -> None:
        greet.enqueue("from a task")
        await asyncio.to_thread(lambda: None)

    @place.queue.task(name="chain-in-a-thread")
    def chain_in_a_thread() -> None:
        greet.enqueue("from a thread")

    async def end(session: Any) -> None:
        ended = session.commit()
        if inspect.isawaitable(ended):
            await ended

    @app.post("/create/{name}")
    async def create(request: Request, name: str, session: session_dep, tasks: tasks_dep) -> None:
        request.state.user_id = 7
        session.add(Owner(name=name))
        tasks.add_task(greet, name, loudly=True)
        greet_in_a_thread.enqueue(name)

    @app.post("/threaded/{name}")
    def threaded(name: str, tasks: tasks_dep) -> None:
        greet_in_a_thread.enqueue(name)

    @app.post("/raised/{name}")
    async def raised(name: str, session: session_dep, tasks: tasks_dep) -> None:
        session.add(Owner(name=name))
        greet.enqueue(name)
        raise HTTPException(400)

    @app.post("/committed-then-raised/{name}")
    async def committed(name: str, session: session_dep, tasks: tasks_dep) -> None:
        session.add(Owner(name=name))
        greet.enqueue(name)
        await end(session)
        greet.enqueue("after the commit")
        raise HTTPException(400)

    @app.post("/savepoint/{name}")
    async def savepoint(name: str, session: session_dep, tasks: tasks_dep) -> None:
        greet.enqueue(name)
        nested = session.begin_nested()
        if isinstance(session, Session):
            with nested:
                session.add(Owner(name=name))
        else:
            async with nested:
                session.add(Owner(name=name))
        raise HTTPException(400)

    @app.post("/chain")
    async def chained(tasks: tasks_dep) -> None:
        chain.enqueue()
        chain_in_a_thread.enqueue()

    @app.post("/no-json")
    async def no_json(session: session_dep, tasks: tasks_dep) -> None:
        greet.enqueue({"secret"})  # type: ignore[arg-type]

    @app.post("/no-task")
    async def no_task(tasks: tasks_dep) -> None:
        tasks.add_task(print, "x")

    @app.get("/owners")
    async def owners(session: session_dep) -> list[str]:
        found = session.scalars(select(Owner.name).order_by(Owner.id))
        return list(await found if inspect.isawaitable(found) else found)

    return app


def send(place: Place, *paths: str, raises: bool = True) -> tuple[list[int], list[str]]:
    """Send requests, let their tasks be done, and read what was stored."""
    with TestClient(shop(place), raise_server_exceptions=raises) as client:
        headers = {"X-Request-ID": "request-1"}
        statuses = [client.post(path, headers=headers).status_code for path in paths]
        place.run(client)
        return statuses, client.get("/owners").json()


def test_what_is_committed_runs(place: Place) -> None:
    """Once, with its arguments and its request's id and user; in a thread where it is sync."""
    assert send(place, "/create/ada", "/threaded/eve") == ([200, 200], ["ada"])
    assert sorted(place.done, key=str) == [  # in which order they run is not said
        ("ada", "request-1"),
        ("ada", True, "request-1", "7"),
        ("eve", "request-1"),
    ]


def test_what_is_rolled_back_does_not(place: Place) -> None:
    """Neither after an exception of the route nor where the commit fails; a savepoint is no commit."""
    paths = ["/raised/ada", "/savepoint/ada", "/create/eve", "/create/eve"]
    expected = [400, 400, 200, 409]
    statuses, owners = send(place, *paths)
    assert (statuses, owners) == (expected, ["eve"])
    follows = place.kind == "alone" or place.follows_commits  # otherwise nothing tells that the commit will fail
    assert [name for name, *_ in place.done] == ["eve"] * (2 if follows else 4)


def test_what_the_route_committed_itself_runs(place: Place) -> None:
    """On an engine with a database, although the route failed afterwards: its row is there."""
    statuses, owners = send(place, "/committed-then-raised/ada")
    assert (statuses, owners) == ([400], ["ada"])
    assert [name for name, *_ in place.done] == (["ada"] if place.follows_commits else [])


def test_an_answer_may_keep_its_tasks(place: Place) -> None:
    """The row is rolled back, and the task runs."""
    assert send(place, "/raised/ada") == ([400], [])
    assert [name for name, *_ in place.done] == ["ada"]


def test_tasks_of_tasks(place: Place) -> None:
    """What a task enqueues waits for no commit, in a coroutine and in a thread, and has the same request."""
    send(place, "/chain")
    assert sorted(place.done) == [
        ("from a task", False, "request-1", None),
        ("from a thread", False, "request-1", None),
    ]


def test_a_failure_is_tried_again(place: Place) -> None:
    """Until it succeeds."""
    attempts: list[int] = []

    @place.queue.task(name="flaky", max_attempts=3, retry_wait_s=0)
    async def flaky() -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionError

    app = FastAPI(dependencies=[Depends(place.queue.pending)])
    install_stack(app, resources=[place.database, place.queue])
    app.post("/")(flaky_route(flaky))
    with TestClient(app) as client:
        client.post("/")
        for _ in range(3):
            place.run(client)
    assert len(attempts) == 3


def flaky_route(flaky: Any) -> Any:
    """A route that enqueues it."""

    async def route() -> None:
        flaky.enqueue()

    return route


ENGINES = [kind for kind in KINDS if not str(kind).startswith("alone")]


@pytest.mark.parametrize("place", ENGINES, indirect=True)
def test_an_engine_refuses_what_it_could_not_read(place: Place) -> None:
    """When it is enqueued, with the type and without the value; a plain function has no name that it knows."""
    with TestClient(shop(place)) as client:
        with pytest.raises(TaskArgumentError, match="greet was given a set that is no JSON value") as refused:
            client.post("/no-json")
        with pytest.raises(PatternsError, match="print is no task that an engine knows"):
            client.post("/no-task")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("place", ENGINES, indirect=True)
def test_an_engine_that_is_not_open_says_so(place: Place) -> None:
    """An application without the stack forgot to open the queue."""
    app = FastAPI(dependencies=[Depends(place.queue.pending)])
    app.get("/")(lambda: None)
    with pytest.raises(PatternsError, match="not running"):
        TestClient(app).get("/")


@pytest.mark.parametrize("place", ENGINES, indirect=True)
def test_captured_tasks_are_kept_from_an_engine(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What tests put in the workers' place takes the committed ones alone."""
    kept = []
    monkeypatch.setattr(TaskQueue, "_capture", lambda _queue, job: kept.append(job.name))
    send(place, "/create/ada", "/raised/eve", "/chain")
    assert sorted(kept) == ["chain", "chain-in-a-thread", "greet", "greet-in-a-thread"]
    assert place.done == []


@pytest.mark.parametrize("place", ["taskiq-sync", "taskiq-async"], indirect=True)
def test_a_broker_that_is_away_after_the_commit(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row is there and the task is not: the client reads 503, and no words of the broker."""
    monkeypatch.setattr(InMemoryBroker, "kick", _away)
    with TestClient(shop(place), raise_server_exceptions=False) as client:
        answer = client.post("/create/ada")
        assert (answer.status_code, answer.json()) == (503, {"error": "Work for later could not be handed over"})
        assert client.get("/owners").json() == ["ada"]


async def _away(*_: Any) -> None:
    raise ConnectionError("redis://:secret@broker")


@pytest.mark.parametrize("place", ["taskiq-none"], indirect=True)
def test_what_is_left_outside_of_a_request_is_logged_when_it_is_lost(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """From a coroutine nobody waits for it; from a thread the call raises."""
    monkeypatch.setattr(InMemoryBroker, "kick", _away)

    @place.queue.task(name="later")
    async def later() -> None: ...

    async def script() -> None:
        async with place.queue:
            later.enqueue()

    asyncio.run(script())
    (record,) = [record for record in caplog.records if record.name == "fastapi_patterns.tasks"]
    assert (record.levelno, record.getMessage()) == (logging.ERROR, "Task later could not be handed over")
    app = FastAPI()

    @app.get("/")
    def route() -> None:
        later.enqueue()

    with pytest.raises(HandOverError, match="did not take later"):
        TestClient(app).get("/")


@pytest.mark.parametrize("place", ["taskiq-none"], indirect=True)
def test_a_task_that_cannot_leave_another_has_failed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the engine's to try it again; done is what has handed over all that it left."""
    handed_over = []

    async def slowly(_: Any, message: Any) -> None:
        await asyncio.sleep(0)
        if message.task_name == "lost":
            raise ConnectionError
        handed_over.append(message.task_name)

    monkeypatch.setattr(InMemoryBroker, "kick", slowly)

    @place.queue.task(name="next")
    async def following() -> None: ...

    @place.queue.task(name="lost")
    async def lost() -> None: ...

    @place.queue.task
    async def first(which: str) -> None:
        (following if which == "next" else lost).enqueue()

    async def work(which: str) -> list[str]:
        await run_payload(first, {"args": [which], "kwargs": {}})
        return list(handed_over)

    assert asyncio.run(work("next")) == ["next"]
    with pytest.raises(HandOverError):
        asyncio.run(work("lost"))


@pytest.mark.services
@pytest.mark.parametrize("place", ["procrastinate-sync", "procrastinate-async"], indirect=True)
def test_no_row_without_a_job(place: Place, postgres_database: str) -> None:
    """Where the job cannot be written the commit does not happen, and the client does not read a success."""
    with (
        psycopg(postgres_database) as database,
        TestClient(shop(place), raise_server_exceptions=False) as client,
    ):
        with database.session_scope() as session:
            session.execute(text("ALTER TABLE procrastinate_jobs RENAME TO hidden"))
        try:
            status = client.post("/create/ada").status_code
        finally:
            with database.session_scope() as session:
                session.execute(text("ALTER TABLE hidden RENAME TO procrastinate_jobs"))
        assert status == 500
        assert client.get("/owners").json() == []


@pytest.mark.services
@pytest.mark.parametrize("place", ["procrastinate-sync"], indirect=True)
def test_a_delay_is_kept_in_the_job(place: Place, postgres_database: str) -> None:
    """procrastinate does it when it is due."""

    @place.queue.task(name="reminder")
    async def remind() -> None:
        place.done.append("reminded")

    app = shop(place)

    @app.post("/remind")
    async def leave(_: Annotated[PendingTasks, Depends(place.queue.pending)]) -> None:
        remind.delayed(timedelta(hours=1)).enqueue()

    with TestClient(app) as client:
        client.post("/remind")
        place.run(client)
    with psycopg(postgres_database) as database, database.session_scope() as session:
        (waits,) = session.execute(text("SELECT scheduled_at - now() FROM procrastinate_jobs")).one()
    assert place.done == []
    assert timedelta(minutes=59) < waits <= timedelta(hours=1)


def test_procrastinate_needs_psycopg() -> None:
    """Another driver's connection is none that it can write on: said at the start."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector())
    database = AsyncDatabase("postgresql+asyncpg://nobody@nowhere/none")
    queue = TaskQueue(ProcrastinateEngine(app, database=database))
    with pytest.raises(ConfigurationError, match=r"needs a database on psycopg, .*; this one is on asyncpg"):
        asyncio.run(queue.__aenter__())


@pytest.mark.services
def test_procrastinate_needs_its_tables(postgres_server: PostgresServer) -> None:
    """The application does not start on a database without them, and keeps no connection."""
    dsn = postgres_server.dsn(postgres_server.create_database("empty"))

    async def start() -> None:
        database = AsyncDatabase(dsn.replace("postgresql://", "postgresql+psycopg://"))
        jobs = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=dsn))
        async with TaskQueue(ProcrastinateEngine(jobs, database=database)):
            pass

    with pytest.raises(ConfigurationError, match="schema --apply"):
        asyncio.run(start())
    with psycopg(dsn) as database, database.session_scope() as session:
        others = text("SELECT count(*) FROM pg_stat_activity WHERE datname = 'empty' AND pid <> pg_backend_pid()")
        assert session.scalar(others) == 0


def test_taskiq_needs_a_middleware_for_attempts() -> None:
    """They are taskiq's to do, and the words say how."""
    queue = TaskQueue(TaskiqEngine(InMemoryBroker()))
    with pytest.raises(ConfigurationError, match=r"tried 2 times, which is taskiq's to do.*SmartRetryMiddleware"):
        queue.task(name="often", max_attempts=2)(print)


class Source(ScheduleSource):
    """Keeps what taskiq's scheduler would send."""

    def __init__(self) -> None:
        self.kept: list[ScheduledTask] = []
        self.opened: list[bool] = []

    async def get_schedules(self) -> list[ScheduledTask]:
        return self.kept

    async def add_schedule(self, schedule: ScheduledTask) -> None:
        self.kept.append(schedule)

    async def startup(self) -> None:
        self.opened.append(True)

    async def shutdown(self) -> None:
        self.opened.append(False)


@pytest.mark.parametrize("source", [None, Source()], ids=["without", "with"])
def test_taskiq_needs_a_source_for_delays(source: Source | None, caplog: pytest.LogCaptureFixture) -> None:
    """Its scheduler sends them when they are due; without a source the error says what to do."""
    queue = TaskQueue(TaskiqEngine(InMemoryBroker(), schedule_source=source))

    @queue.task(name="later")
    async def later(number: int) -> None: ...

    async def script() -> None:
        async with queue:
            later.delayed(timedelta(hours=1)).enqueue(5)

    asyncio.run(script())
    failures = [str(record.exc_info[1].__cause__) for record in caplog.records if record.exc_info]  # type: ignore[union-attr]
    if source is None:
        assert failures == [
            "later was delayed, which taskiq's scheduler has to do: TaskiqEngine(broker, schedule_source=...), and run "
            "`taskiq scheduler`"
        ]
        return
    (scheduled,) = source.kept
    assert failures == []
    assert (scheduled.task_name, scheduled.args[0]["args"]) == ("later", [5])
    assert scheduled.time is not None
    assert timedelta(minutes=59) < scheduled.time - datetime.now(UTC) <= timedelta(hours=1)
    assert source.opened == [True, False]


def test_a_queue_on_an_engine_runs_once() -> None:
    """As the queue alone."""
    queue = TaskQueue(TaskiqEngine(InMemoryBroker()))

    async def twice() -> None:
        async with queue:
            with pytest.raises(PatternsError, match="running already"):
                await queue.__aenter__()

    asyncio.run(twice())
