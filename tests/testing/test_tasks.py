"""`captured_tasks`, in projects of its own: tasks are kept, and run or fail where the test says so."""

import pytest

from tests.testing.test_plugin import INI, configure

APP = """
import asyncio, contextvars
from typing import Annotated
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from starlette.background import BackgroundTask
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from fastapi_patterns import AsyncDatabase, Database, PendingTasks, TaskQueue, install_stack
from fastapi_patterns.context import get_request_id

class Base(DeclarativeBase):
    pass

class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]

database = Database("sqlite:///real.db", metadata=Base.metadata)
later = AsyncDatabase("sqlite:///real.db", metadata=Base.metadata)
tasks, second = TaskQueue(max_size=2), TaskQueue()
app = FastAPI()
install_stack(app, resources=[database, later, tasks, second])
TasksDep = Annotated[PendingTasks, Depends(tasks.pending)]
SecondDep = Annotated[PendingTasks, Depends(second.pending)]
tenant = contextvars.ContextVar("tenant", default=None)
seen = []

def welcome(user_id: int, *, password: str) -> None:
    with database.session_scope() as session:
        session.get(User, user_id).name += " (welcomed)"
    seen.append(("welcome", get_request_id()))

async def note(word: str) -> None:
    seen.append((word, get_request_id(), tenant.get()))

async def write(name: str) -> None:
    async with later.session_scope() as session:
        session.add(User(name=name))

def broken() -> None:
    raise ValueError("broken task")

@app.post("/users")
def create(session: Annotated[Session, Depends(database.session)], tasks: TasksDep) -> int:
    user = User(name="ada")
    session.add(user)
    session.flush()
    tasks.add_task(welcome, user.id, password="s3cret")
    return user.id

@app.get("/users")
def users(session: Annotated[Session, Depends(database.session)]) -> list[str]:
    return [user.name for user in session.query(User)]

@app.post("/raised")
def raised(tasks: TasksDep, background: BackgroundTasks) -> None:
    tasks.add_task(note, "never")
    background.add_task(note, "never")
    raise HTTPException(400, "no")

@app.post("/both")
async def both(second: SecondDep, background: BackgroundTasks) -> None:
    tenant.set("acme")
    second.add_task(note, "queue")
    background.add_task(note, "starlette")

@app.post("/response")
async def response() -> JSONResponse:
    return JSONResponse({}, background=BackgroundTask(note, word="of the response"))

@app.post("/broken")
async def fails(second: SecondDep) -> None:
    second.add_task(broken)
    second.add_task(note, "behind it")

@app.post("/write")
async def writes(second: SecondDep) -> None:
    second.add_task(write, "eve")

@app.post("/loop")
async def loop(second: SecondDep) -> None:
    own = asyncio.get_running_loop()
    async def is_own() -> None:
        seen.append(asyncio.get_running_loop() is own)
    second.add_task(is_own)

@second.task(max_attempts=3, retry_wait_s=3600, max_retry_wait_s=3600)
async def flaky(word: str) -> None:
    seen.append(word)
    if seen.count(word) < 3:
        raise ConnectionError("away")

@app.post("/flaky")
def enqueues(second: SecondDep) -> None:
    flaky.enqueue("flaky")

@app.get("/later")
async def read() -> list[str]:
    from sqlalchemy import select
    async with later.session_scope() as session:
        return list(await session.scalars(select(User.name)))

@app.post("/chain")
async def chain(background: BackgroundTasks) -> None:
    async def first() -> None:
        seen.append("first")
        more = BackgroundTasks()
        more.add_task(note, "second")
        await more()
    background.add_task(first)
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project whose application leaves work of every kind behind."""
    pytester.makepyfile(shop=APP)
    configure(pytester)
    return pytester


def test_tasks_of_a_queue_have_their_names_and_delays(project: pytest.Pytester) -> None:
    """The name that the task was given, as log lines have it, or the function's; and how long it would wait."""
    project.makepyfile(
        test_it="""
        from datetime import timedelta
        from fastapi_patterns import TaskQueue

        queue = TaskQueue()

        @queue.task
        def plain() -> None: ...

        @queue.task(name="reminders")
        def named() -> None: ...

        async def leave():
            async with queue:
                plain.enqueue()
                named.delayed(timedelta(hours=1)).enqueue()

        def test_it(client, captured_tasks):
            client.portal.call(leave)
            assert captured_tasks.names == ["plain", "reminders"]
            assert [task.delay for task in captured_tasks] == [timedelta(0), timedelta(hours=1)]
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=1)


INSPECTED = """
import pytest
from starlette.background import BackgroundTask
from fastapi_patterns import TaskQueue
from shop import note, seen, welcome

ORIGINAL = BackgroundTask.__call__

@pytest.mark.parametrize("turn", range(2))
def test_inspect(client, captured_tasks, turn):
    seen.clear()
    assert not captured_tasks
    user_id = client.post("/users").json()
    client.post("/both")
    client.post("/response")
    assert captured_tasks.names == ["welcome", "note", "note", "note"]
    assert len(captured_tasks) == 4
    task = captured_tasks[0]
    assert (task.name, task.func, task.args, task.kwargs) == ("welcome", welcome, (user_id,), {"password": "s3cret"})
    assert sorted(task.args for task in captured_tasks[1:3]) == [("queue",), ("starlette",)]
    assert captured_tasks[-1].kwargs == {"word": "of the response"}
    assert repr(captured_tasks[:1]) == "[<CapturedTask welcome with 2 argument(s)>]"
    assert client.get("/users").json() == ["ada"]
    assert seen == []

@pytest.mark.parametrize("turn", range(2))
def test_without(client, turn):
    assert BackgroundTask.__call__ is ORIGINAL
    assert "_capture" in vars(TaskQueue) and TaskQueue._capture is None
    client.post("/users")
    assert client.get("/users").json() == ["ada (welcomed)"]
"""


@pytest.mark.parametrize("addopts", ["", "-n 2"])
def test_tasks_are_kept(project: pytest.Pytester, addopts: str) -> None:
    """Those of queues and Starlette's, in order, without their values in a repr; other tests run theirs."""
    configure(project, addopts=addopts)
    project.makepyfile(test_it=INSPECTED)
    project.runpytest_subprocess().assert_outcomes(passed=4)


def test_they_run_where_the_test_says(project: pytest.Pytester) -> None:
    """In order, in the client's event loop and the test's transaction, with the id and variables of their request."""
    project.makepyfile(
        test_it="""
        import pytest
        from shop import seen

        def test_run(client, captured_tasks, db):
            seen.clear()
            client.post("/users", headers={"X-Request-ID": "request-1"})
            client.post("/both", headers={"X-Request-ID": "request-2"})
            captured_tasks.run()
            assert client.get("/users").json() == ["ada (welcomed)"]
            assert seen[0] == ("welcome", "request-1")
            assert sorted(seen[1:], key=str) == [("queue", "request-2", None), ("starlette", "request-2", "acme")]
            assert len(captured_tasks) == 0
            captured_tasks.run()
            assert len(seen) == 3

        def test_an_async_database(captured_tasks, client):
            client.post("/write")
            assert client.get("/later").json() == []
            captured_tasks.run()
            assert client.get("/later").json() == ["eve"]

        def test_the_event_loop_is_the_clients(captured_tasks, client):
            seen.clear()
            client.post("/loop")
            captured_tasks.run()
            assert seen == [True]

        def test_an_error_is_raised_here(client, captured_tasks):
            client.post("/broken")
            with pytest.raises(ValueError, match="broken task"):
                captured_tasks.run()
            assert captured_tasks.names == ["note"]

        def test_what_they_add_waits_for_the_next_run(client, captured_tasks):
            seen.clear()
            client.post("/chain")
            assert captured_tasks.names == ["first"]
            captured_tasks.run()
            assert (captured_tasks.names, seen) == (["note"], ["first"])
            captured_tasks.run()
            assert seen[1][0] == "second"
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=5)
    assert not (project.path / "real.db").exists()


def test_a_request_that_failed_left_none(project: pytest.Pytester) -> None:
    """Nothing is captured that would not have run; and what is captured takes no place in the queue."""
    project.makepyfile(
        test_it="""
        def test_rolled_back(client, captured_tasks):
            assert client.post("/raised").status_code == 400
            assert captured_tasks.names == []

        def test_a_full_queue(client, captured_tasks):
            for _ in range(5):  # the queue takes two
                assert client.post("/users").status_code == 200
            assert len(captured_tasks) == 5
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=2)


def test_they_fail_as_the_queue_has_it(project: pytest.Pytester) -> None:
    """The function is not called, and the queue logs the failure with its request; Starlette's error is raised."""
    project.makepyfile(
        test_it="""
        import logging, pytest
        from fastapi_patterns import PatternsError
        from fastapi_patterns.context import get_request_id
        from shop import seen

        class Ids(logging.Filter):
            def filter(self, record):
                record.of_request = get_request_id()
                return True

        def test_queue(client, captured_tasks, caplog):
            seen.clear()
            caplog.handler.addFilter(Ids())
            client.post("/users", headers={"X-Request-ID": "request-1"})
            client.post("/broken")
            first = captured_tasks[0]
            first.fail(ConnectionError("the mail server is away"))
            (record,) = [each for each in caplog.records if each.name == "fastapi_patterns.tasks"]
            assert record.getMessage() == "Task welcome failed"
            assert record.exc_info[0] is ConnectionError
            assert record.of_request == "request-1"
            assert captured_tasks.names == ["broken", "note"]
            assert client.get("/users").json() == ["ada"]
            with pytest.raises(PatternsError, match="welcome .* was run or failed already"):
                first.fail(ValueError())
            captured_tasks.fail(TimeoutError())
            failures = [each.exc_info[0] for each in caplog.records if "failed" in each.getMessage()]
            assert failures[1:] == [TimeoutError] * 2
            assert (len(captured_tasks), seen) == (0, [])

        def test_starlette(client, captured_tasks):
            client.post("/response")
            with pytest.raises(ConnectionError, match="away"):
                captured_tasks[0].fail(ConnectionError("away"))
            assert not captured_tasks
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=2)


def test_tasks_with_rules(project: pytest.Pytester) -> None:
    """Without the fixture the next attempt does not wait in a test; with it a task is run once, and raises."""
    project.makepyfile(
        test_it="""
        import pytest
        from shop import flaky, seen

        def test_attempts(client):
            seen.clear()
            client.post("/flaky")
            assert seen == ["flaky"] * 3

        def test_captured(client, captured_tasks, caplog):
            seen.clear()
            client.post("/flaky")
            (task,) = captured_tasks
            assert (task.func, task.args, task.name) == (flaky, ("flaky",), "flaky")
            with pytest.raises(ConnectionError):
                captured_tasks.run()
            assert seen == ["flaky"]
            client.post("/flaky")
            captured_tasks.fail(TimeoutError())
            assert caplog.messages[-1] == "Task shop.flaky failed, attempt 1 of 3"
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=2)


_SHOP = """
from typing import Annotated
import procrastinate
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from taskiq import InMemoryBroker, SmartRetryMiddleware
from fastapi_patterns import Database, PendingTasks, TaskQueue, install_stack
from fastapi_patterns.context import get_request_id
from fastapi_patterns.tasks.procrastinate import ProcrastinateEngine
from fastapi_patterns.tasks.taskiq import TaskiqEngine

class Base(DeclarativeBase):
    pass

class Number(Base):
    __tablename__ = "numbers"
    value: Mapped[int] = mapped_column(primary_key=True)

class AwayBroker(InMemoryBroker):
    async def startup(self) -> None:
        raise ConnectionError

database = Database("postgresql+psycopg://nobody@127.0.0.1:1/none", metadata=Base.metadata)
jobs = procrastinate.App(connector=procrastinate.PsycopgConnector())
queue = TaskQueue(ENGINE, on_http_exception="keep")
SessionDep = Annotated[Session, Depends(database.session)]
TasksDep = Annotated[PendingTasks, Depends(queue.pending)]
app = FastAPI()
install_stack(app, resources=[database, queue])

@queue.task
def double(numbers: tuple[int, ...]) -> None:
    with database.session_scope() as session:
        seen.append((type(numbers), session.scalars(select(Number.value)).all(), get_request_id()))
        session.add(Number(value=numbers[0] * 2))
    if numbers[0] == 3:
        double.enqueue((4,))

@queue.task(max_attempts=3)
async def flaky() -> None:
    seen.append("flaky")
    raise ConnectionError

seen = []

@app.post("/double/{number}")
def route(number: int, session: SessionDep, tasks: TasksDep) -> None:
    session.add(Number(value=number))
    tasks.add_task(double, (number,))
    if number == 0:
        raise RuntimeError

@app.post("/kept")
async def kept(session: SessionDep, tasks: TasksDep) -> None:
    session.add(Number(value=1))
    tasks.add_task(flaky)
    raise HTTPException(418)

@app.get("/")
def read(session: SessionDep) -> list[int]:
    return session.scalars(select(Number.value).order_by(Number.value)).all()

@app.post("/set")
async def unreadable(tasks: TasksDep) -> None:
    tasks.add_task(double, {1, 2})
"""
_ENGINES = {
    "procrastinate": "ProcrastinateEngine(jobs, database=database)",
    "taskiq": "TaskiqEngine(AwayBroker().with_middlewares(SmartRetryMiddleware()), database=database)",
}


@pytest.mark.parametrize("engine", ["procrastinate", "taskiq"])
def test_tasks_on_an_engine(pytester: pytest.Pytester, engine: str) -> None:
    """Captured or not, they run in the test, with what a worker would read; the engine is not needed."""
    pytester.makepyfile(
        shop=_SHOP.replace("ENGINE", _ENGINES[engine]),
        test_it="""
        import pytest
        from shop import double, seen

        @pytest.fixture(autouse=True)
        def nothing_seen():
            seen.clear()

        def test_captured(client, captured_tasks):
            client.post("/double/5")
            assert [(task.func, task.args) for task in captured_tasks] == [(double, ([5],))]
            captured_tasks.run()
            assert client.get("/").json() == [5, 10]

        def test_not_captured(client):
            client.post("/double/3", headers={"X-Request-ID": "request-1"})
            assert seen == [(list, [3], "request-1"), (list, [3, 6], "request-1")]
            assert client.get("/").json() == [3, 6, 8]

        def test_rolled_back(client):
            with pytest.raises(RuntimeError):
                client.post("/double/0")
            assert seen == []

        def test_kept(client):
            assert client.post("/kept").status_code == 418
            assert (seen, client.get("/").json()) == (["flaky"] * 3, [])

        def test_unreadable(client):
            with pytest.raises(Exception, match="a set that is no JSON value"):
                client.post("/set")
        """,
    )
    configure(pytester)
    pytester.runpytest_subprocess().assert_outcomes(passed=5)


ASYNC = """
import pytest
import httpx2
from shop import app, note, seen, tasks
from starlette.background import BackgroundTasks

{mark}
async def test_run(captured_tasks, caplog):
    seen.clear()
    background = BackgroundTasks()
    background.add_task(note, "one")
    background.add_task(note, "two")
    await background()
    assert (captured_tasks.names, seen) == (["note", "note"], [])
    with pytest.raises(pytest.fail.Exception, match="an async test writes `await run_async"):
        captured_tasks.run()
    with pytest.raises(pytest.fail.Exception, match="an async test writes `await fail_async"):
        captured_tasks[0].fail(ValueError())
    await captured_tasks.run_async()
    assert [word for word, *_ in seen] == ["one", "two"]

{mark}
async def test_fail(captured_tasks):
    async with app.router.lifespan_context(app):
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as requests:
            assert (await requests.post("/both")).status_code == 200
    assert len(captured_tasks) == 2
    (queued,) = [task for task in captured_tasks if task.args == ("queue",)]
    await queued.fail_async(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        await captured_tasks.fail_async(ValueError("no"))
    assert len(captured_tasks) == 0

def test_without_a_client(captured_tasks):
    import anyio
    seen.clear()
    background = BackgroundTasks()
    background.add_task(note, "no loop")
    anyio.run(background)
    captured_tasks.run()
    assert [word for word, *_ in seen] == ["no loop"]
"""


@pytest.mark.parametrize(
    ("plugin", "mark", "more"),
    [
        ("asyncio", "@pytest.mark.asyncio", "asyncio_mode = strict"),
        ("asyncio", "", "asyncio_mode = auto"),
        ("anyio", "@pytest.mark.anyio", ""),
    ],
    ids=["asyncio strict", "asyncio auto", "anyio"],
)
def test_async_tests_await_them(pytester: pytest.Pytester, plugin: str, mark: str, more: str) -> None:
    """With each async plugin; the sync methods say what to write instead."""
    pytester.makepyfile(shop=APP)
    ini = INI
    if plugin == "asyncio":
        ini = INI.replace("no:asyncio", "no:anyio")
        more += "\nasyncio_default_fixture_loop_scope = function"
    pytester.makeini(ini.format(app="shop:app", addopts="", more=more))
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'")
    pytester.makepyfile(test_it=ASYNC.replace("{mark}", mark))
    pytester.runpytest_subprocess().assert_outcomes(passed=3)


def test_the_projects_own_fixture_wins(project: pytest.Pytester) -> None:
    """And nothing is captured then."""
    project.makeconftest("import pytest\n@pytest.fixture\ndef captured_tasks():\n    return 'own'")
    project.makepyfile(
        test_it="""
        def test_own(client, captured_tasks):
            client.post("/users")
            assert (captured_tasks, client.get("/users").json()) == ("own", ["ada (welcomed)"])
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=1)
