"""The same promises on a real PostgreSQL, sync and async."""

import asyncio
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from fastapi_patterns import AsyncDatabase, Database, install_stack
from tests.db.models import Base, Owner, Thing
from tests.services import PostgresServer

pytestmark = pytest.mark.services


@pytest.fixture
def url(postgres_server: PostgresServer, request: pytest.FixtureRequest) -> str:
    """A fresh database with the tables, as a URL without a driver."""
    name = postgres_server.create_database(f"db_{abs(hash(request.node.nodeid))}")
    found = postgres_server.url(database=name).replace("+psycopg", "")
    database = Database(found, metadata=Base.metadata)
    database.create_all()
    database.engine.dispose()
    return found


def _answers(app: FastAPI) -> list[tuple[int, Any]]:
    with TestClient(app, raise_server_exceptions=False) as client:
        answers = [client.post(path) for path in ("/owners/ada", "/owners/ada", "/orphans", "/killed")]
        answers.append(client.get("/count"))
    assert "psycopg" not in str([answer.text for answer in answers])
    return [(answer.status_code, answer.json()) for answer in answers]


# A row; a unique violation; a commit that fails; a connection that the server ends; what is stored after all that.
EXPECTED = [
    (200, 1),
    (409, {"error": "This already exists"}),
    (500, {"error": "Internal Server Error"}),
    (503, {"error": "The database is not available"}),
    (200, 1),
]
_KILL = text("SELECT pg_terminate_backend(pg_backend_pid())")


def test_sync(url: str) -> None:
    """psycopg: committed rows, conflicts, failing commits and lost connections have their answers."""
    database = Database(url)
    app = FastAPI()
    install_stack(app, resources=[database])

    @app.post("/owners/{name}")
    def create(name: str, session: Annotated[Session, Depends(database.session)]) -> int:
        owner = Owner(name=name)
        session.add(owner)
        session.flush()
        return owner.id

    @app.post("/orphans")
    def orphan(session: Annotated[Session, Depends(database.session)]) -> None:
        session.add(Thing(owner_id=404))

    @app.post("/killed")
    def killed(session: Annotated[Session, Depends(database.session)]) -> None:
        session.execute(_KILL)

    @app.get("/count")
    def count(session: Annotated[Session, Depends(database.session)]) -> int:
        return len(list(session.scalars(select(Owner))))

    assert _answers(app) == EXPECTED


def test_async(url: str) -> None:
    """asyncpg: the same."""
    database = AsyncDatabase(url)
    app = FastAPI()
    install_stack(app, resources=[database])

    @app.post("/owners/{name}")
    async def create(name: str, session: Annotated[AsyncSession, Depends(database.session)]) -> int:
        owner = Owner(name=name)
        session.add(owner)
        await session.flush()
        return owner.id

    @app.post("/orphans")
    async def orphan(session: Annotated[AsyncSession, Depends(database.session)]) -> None:
        session.add(Thing(owner_id=404))

    @app.post("/killed")
    async def killed(session: Annotated[AsyncSession, Depends(database.session)]) -> None:
        await session.execute(_KILL)

    @app.get("/count")
    async def count(session: Annotated[AsyncSession, Depends(database.session)]) -> int:
        return len(list(await session.scalars(select(Owner))))

    assert _answers(app) == EXPECTED


def test_a_cancelled_request_gives_its_connection_back(url: str) -> None:
    """A session whose task is cancelled in a statement leaves no row and no open transaction."""

    open_transactions = text(
        "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND datname = current_database()"
    )

    async def live() -> tuple[int, int]:
        database = AsyncDatabase(url, pool_size=1, max_overflow=0, pool_timeout=5)
        async with database:
            started = asyncio.Event()

            async def slow() -> None:
                async with database.session_scope() as session:
                    session.add(Owner(name="cancelled"))
                    await session.flush()
                    started.set()
                    await session.execute(text("SELECT pg_sleep(30)"))

            task = asyncio.create_task(slow())
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with database.session_scope() as session:  # the pool has one connection: it must be back
                rows = len(list(await session.scalars(select(Owner))))
            for _ in range(200):  # the server needs a moment to see that a connection was closed
                async with database.session_scope() as session:
                    idle = await session.scalar(open_transactions)
                    await session.execute(text("SELECT pg_sleep(0.05)"))
                if not idle:
                    break
            return rows, int(idle or 0)

    assert asyncio.run(live()) == (0, 0)


def test_settings_of_the_applications_own_keep_the_time_limit(url: str) -> None:
    """The server has both, whichever driver tells it; one that sets the limit itself has its own."""
    ask = text(
        "SELECT current_setting('statement_timeout'), current_setting('jit'), current_setting('application_name')"
    )

    def asked(settings: dict[str, str]) -> Any:
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        database = Database(url, connect_args={"options": options})
        with database.session_scope() as session:
            row = tuple(session.execute(ask).one())
        database.engine.dispose()
        return row

    async def asked_async(settings: dict[str, str]) -> Any:
        async with (
            AsyncDatabase(url, connect_args={"server_settings": settings}) as database,
            database.session_scope() as session,
        ):
            return tuple((await session.execute(ask)).one())

    for settings, found in (
        ({"jit": "off"}, ("30s", "off", "fastapi")),
        ({"jit": "off", "statement_timeout": "7s"}, ("7s", "off", "fastapi")),
    ):
        assert asked(settings) == found
        assert asyncio.run(asked_async(settings)) == found


def test_psycopg_serves_the_async_database_too(url: str) -> None:
    """Its async half, with the limits that the server keeps."""

    async def live() -> str | None:
        async with (
            AsyncDatabase(url.replace("postgresql", "postgresql+psycopg")) as database,
            database.session_scope() as session,
        ):
            return await session.scalar(text("SELECT current_setting('statement_timeout')"))

    assert asyncio.run(live()) == "30s"
