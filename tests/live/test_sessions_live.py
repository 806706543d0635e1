"""What TestClient hides: when the response arrives, the row is stored, seen from another connection."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx2
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from fastapi_patterns import AsyncDatabase, Database, TaskQueue, install_stack
from fastapi_patterns.tasks import PendingTasks
from tests.db.models import Base, Owner, Thing
from tests.live.server import serve

WRITES = 1000 if os.environ.get("SLOW") == "1" else 100


def sync_app(url: str) -> FastAPI:
    """Writes, failing commits and failing tasks, sync."""
    database, queue = Database(url), TaskQueue()
    app = FastAPI()
    install_stack(app, resources=[database, queue])

    @app.post("/owners/{name}")
    def create(name: str, session: Annotated[Session, Depends(database.session)]) -> None:
        session.add(Owner(name=name))

    @app.post("/orphans")
    def orphan(session: Annotated[Session, Depends(database.session)]) -> None:
        session.add(Thing(owner_id=-1))

    @app.post("/with-failing-task/{name}")
    def failing(name: str, session: Annotated[Session, Depends(database.session)], tasks: BackgroundTasks) -> None:
        session.add(Owner(name=name))
        tasks.add_task(_fail)

    @app.post("/with-failing-queued-task/{name}")
    def queued(
        name: str,
        session: Annotated[Session, Depends(database.session)],
        tasks: Annotated[PendingTasks, Depends(queue.pending)],
    ) -> None:
        session.add(Owner(name=name))
        tasks.add_task(_fail)

    return app


def async_app(url: str) -> FastAPI:
    """Writes, failing commits and failing tasks, async."""
    database, queue = AsyncDatabase(url), TaskQueue()
    app = FastAPI()
    install_stack(app, resources=[database, queue])

    @app.post("/owners/{name}")
    async def create(name: str, session: Annotated[AsyncSession, Depends(database.session)]) -> None:
        session.add(Owner(name=name))

    @app.post("/orphans")
    async def orphan(session: Annotated[AsyncSession, Depends(database.session)]) -> None:
        session.add(Thing(owner_id=-1))

    @app.post("/with-failing-task/{name}")
    async def failing(
        name: str, session: Annotated[AsyncSession, Depends(database.session)], tasks: BackgroundTasks
    ) -> None:
        session.add(Owner(name=name))
        tasks.add_task(_fail)

    @app.post("/with-failing-queued-task/{name}")
    async def queued(
        name: str,
        session: Annotated[AsyncSession, Depends(database.session)],
        tasks: Annotated[PendingTasks, Depends(queue.pending)],
    ) -> None:
        session.add(Owner(name=name))
        tasks.add_task(_fail)

    return app


def _fail() -> None:
    raise RuntimeError("the task failed")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.services)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh database with the tables, in a file or on a server."""
    if request.param == "sqlite":
        found = f"sqlite:///{tmp_path}/live.db"
    else:
        server = request.getfixturevalue("postgres_server")
        name = server.create_database(f"live_{abs(hash(request.node.nodeid))}")
        found = server.url(database=name).replace("+psycopg", "")
    tables = Database(found, metadata=Base.metadata)
    tables.create_all()
    tables.engine.dispose()
    return found


@pytest.fixture(params=[sync_app, async_app], ids=["sync", "async"])
def make_app(request: pytest.FixtureRequest) -> Callable[[str], FastAPI]:
    """Which of the two applications."""
    return request.param  # type: ignore[no-any-return]


@contextmanager
def reader_of(url: str) -> Iterator[Engine]:
    """A second client of the database."""
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        yield engine
    finally:
        engine.dispose()


def count(engine: Engine, table: str, name: str | None = None) -> int:
    """How many rows a new transaction sees."""
    where, values = ("", {}) if name is None else (" WHERE name = :name", {"name": name})
    with engine.connect() as connection:
        return int(connection.scalar(text(f"SELECT count(*) FROM {table}{where}"), values) or 0)  # noqa: S608


def port_of(response: Any) -> int:
    """The client's port: what tells one connection from another."""
    return int(response.extensions["network_stream"].get_extra_info("client_addr")[1])


def test_what_was_answered_is_stored(make_app: Callable[[str], FastAPI], url: str) -> None:
    """Every 200 is a row for a second reader at once; no failing commit is told as a success."""
    stale, wrong = [], []
    with serve(make_app(url)) as server, httpx2.Client(base_url=server) as client, reader_of(url) as reader:
        for number in range(WRITES):
            assert client.post(f"/owners/{number}").status_code == 200
            if count(reader, "owners", str(number)) != 1:
                stale.append(number)
            if client.post("/orphans").status_code < 500:
                wrong.append(number)
        assert count(reader, "owners") == WRITES
        assert count(reader, "things") == 0
    assert (stale, wrong) == ([], [])


def test_a_queued_task_that_fails_touches_no_request(make_app: Callable[[str], FastAPI], url: str) -> None:
    """Its row stays, and the next requests come on the same connection."""
    with serve(make_app(url)) as server, httpx2.Client(base_url=server) as client, reader_of(url) as reader:
        ports = set()
        for number in range(10):
            for path in ("/with-failing-queued-task/task", "/owners/next"):
                answer = client.post(f"{path}-{number}")
                assert answer.status_code == 200
                ports.add(port_of(answer))
        assert count(reader, "owners") == 20
    assert len(ports) == 1


def test_a_starlette_task_that_fails_undoes_no_request(make_app: Callable[[str], FastAPI], url: str) -> None:
    """Its row stays and its answer is whole; uvicorn then closes the connection, which is why there is a TaskQueue."""
    with serve(make_app(url)) as server, reader_of(url) as reader:
        for number in range(10):
            with httpx2.Client(base_url=server) as client:
                answer = client.post(f"/with-failing-task/{number}")
                assert (answer.status_code, answer.json()) == (200, None)
        assert count(reader, "owners") == 10
