"""Sessions in requests: one each, committed before the response, failures answered without SQL."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from sqlalchemy import event, select, text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from fastapi_patterns import AppException, AsyncDatabase, Database, install_stack
from tests.db.models import Base, Owner, Thing


class Witness:
    """Writes down when the response starts."""

    def __init__(self, app: Any, events: list[str]) -> None:
        self.app, self.events = app, events

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def watched(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.events.append(f"response {message['status']}")
            await send(message)

        await self.app(scope, receive, watched)


def sync_app(database: Database, events: list[str]) -> FastAPI:
    """Routes that write, fail, return errors and raise them."""
    app = FastAPI()
    app.add_middleware(Witness, events=events)
    install_stack(app, resources=[database])
    session_dep = database.session

    @app.post("/owners/{name}")
    def create(name: str, session: Annotated[Session, Depends(session_dep)]) -> int:
        owner = Owner(name=name)
        session.add(owner)
        session.flush()
        return owner.id

    @app.post("/orphans")
    def orphan(session: Annotated[Session, Depends(session_dep)]) -> str:
        session.add(Thing(owner_id=404))
        session.flush()
        return "stored"  # the foreign key is checked at the commit

    @app.post("/returned/{name}")
    def returned(name: str, session: Annotated[Session, Depends(session_dep)]) -> JSONResponse:
        session.add(Owner(name=name))
        return JSONResponse({"sorry": True}, 400)

    @app.post("/raised/{kind}")
    def raised(kind: str, session: Annotated[Session, Depends(session_dep)]) -> None:
        session.add(Owner(name=kind))
        session.flush()
        if kind == "http":
            raise HTTPException(400, "no")
        if kind == "app":
            raise AppException(400, "no")
        raise ValueError("no")

    @app.get("/fails/{kind}")
    def fails(kind: str, session: Annotated[Session, Depends(session_dep)]) -> None:
        if kind == "pool":
            raise PoolTimeoutError("QueuePool limit of size 5, secret")
        if kind == "lost":
            raise OperationalError("SELECT secret", {}, ConnectionError("server closed, secret"))
        session.execute(text("SELECT secret FROM nowhere"))

    return app


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database in a file, with its tables."""
    database = Database(f"sqlite:///{tmp_path}/requests.db", metadata=Base.metadata)
    database.create_all()
    yield database
    database.engine.dispose()


@pytest.fixture
def events(database: Database) -> list[str]:
    """What happened, in order: commits, rollbacks, responses."""
    seen: list[str] = []
    event.listen(database.engine, "commit", lambda connection: seen.append("commit"))
    event.listen(database.engine, "rollback", lambda connection: seen.append("rollback"))
    return seen


@pytest.fixture
def client(database: Database, events: list[str]) -> TestClient:
    """A client that takes a 500 as an answer."""
    return TestClient(sync_app(database, events), raise_server_exceptions=False)


def names(database: Database) -> list[str]:
    """The owners that are stored."""
    with database.engine.connect() as connection:
        return list(connection.scalars(select(Owner.name).order_by(Owner.name)))


def test_the_commit_comes_before_the_response(client: TestClient, events: list[str], database: Database) -> None:
    """When the client reads its 200, the row is there."""
    assert client.post("/owners/ada").json() == 1
    assert events == ["commit", "response 200"]
    assert names(database) == ["ada"]


def test_a_commit_that_fails_is_no_success(client: TestClient, events: list[str], database: Database) -> None:
    """A deferred constraint breaks at the commit: the answer is an error, and says nothing of SQL."""
    answer = client.post("/orphans")
    assert answer.status_code == 500
    assert answer.json() == {"error": "Internal Server Error"}
    assert "response 200" not in events
    with database.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM things")) == 0


def test_a_unique_violation_is_a_conflict(client: TestClient, events: list[str]) -> None:
    """The second of the same is 409, without the constraint, the table or the value."""
    client.post("/owners/ada")
    answer = client.post("/owners/ada")
    assert answer.status_code == 409
    assert answer.json() == {"error": "This already exists"}
    assert events[-2:] == ["rollback", "response 409"]


def test_a_returned_response_commits(client: TestClient, database: Database) -> None:
    """What a route returns is its answer, whatever the status: the session is committed."""
    assert client.post("/returned/ada").status_code == 400
    assert names(database) == ["ada"]


@pytest.mark.parametrize(("kind", "status"), [("http", 400), ("app", 400), ("value", 500)])
def test_a_raised_error_rolls_back(kind: str, status: int, client: TestClient, database: Database) -> None:
    """What a route raises undoes it."""
    assert client.post(f"/raised/{kind}").status_code == status
    assert names(database) == []


@pytest.mark.parametrize(
    ("kind", "status", "error"),
    [
        ("pool", 503, "The database is busy"),
        ("lost", 503, "The database is not available"),
        ("table", 500, "Internal Server Error"),
    ],
)
def test_failures_say_nothing_of_sql(kind: str, status: int, error: str, client: TestClient) -> None:
    """No connection is 503 with `Retry-After`; a mistake in the code is 500."""
    answer = client.get(f"/fails/{kind}")
    assert answer.status_code == status
    assert answer.json() == {"error": error}
    assert answer.headers.get("retry-after") == ("1" if status == 503 else None)


def test_a_locked_sqlite_is_busy(tmp_path: Path, client: TestClient, database: Database) -> None:
    """A writer that waits too long for another one gets 503."""
    with database.engine.connect() as other:
        other.execute(text("INSERT INTO owners (name) VALUES ('lock')"))
        event.listen(database.engine, "begin", lambda connection: connection.exec_driver_sql("PRAGMA busy_timeout = 1"))
        answer = client.post("/owners/ada")
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"


def test_one_session_however_it_is_declared(database: Database) -> None:
    """Scope none, "function" or "request", through another dependency, or below a generator: one session."""
    seen: list[int] = []

    def user(session: Annotated[Session, Depends(database.session)]) -> int:
        return id(session)

    def audit(session: Annotated[Session, Depends(database.session)]) -> Iterator[int]:
        yield id(session)

    app = FastAPI()

    @app.get("/")
    def route(
        through: Annotated[int, Depends(user)],
        below: Annotated[int, Depends(audit)],
        plain: Annotated[Session, Depends(database.session)],
        function: Annotated[Session, Depends(database.session, scope="function")],
        request: Annotated[Session, Depends(database.session, scope="request")],
    ) -> None:
        seen.extend([through, below, id(plain), id(function), id(request)])

    assert TestClient(app).get("/").status_code == 200
    assert len(seen) == 5
    assert len(set(seen)) == 1


def test_requests_have_their_own_sessions(database: Database) -> None:
    """Two requests never share a session, and nothing stays checked out."""
    app, seen = FastAPI(), []

    @app.get("/")
    def route(session: Annotated[Session, Depends(database.session)]) -> None:
        session.execute(text("SELECT 1"))
        seen.append(session)

    client = TestClient(app)
    client.get("/")
    client.get("/")
    assert seen[0] is not seen[1]
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


def test_the_async_twin(tmp_path: Path) -> None:
    """The same order, the same answers, from async routes."""
    database, events = AsyncDatabase(f"sqlite:///{tmp_path}/async.db", metadata=Base.metadata), list[str]()
    app = FastAPI()
    app.add_middleware(Witness, events=events)
    install_stack(app, resources=[database])
    session_type = Annotated[AsyncSession, Depends(database.session)]

    @app.post("/owners/{name}")
    async def create(name: str, session: session_type) -> int:  # type: ignore[valid-type]
        owner = Owner(name=name)
        session.add(owner)
        await session.flush()
        return owner.id

    @app.post("/orphans")
    async def orphan(session: session_type) -> str:  # type: ignore[valid-type]
        session.add(Thing(owner_id=404))
        return "stored"

    @app.post("/raised")
    async def raised(session: session_type) -> None:  # type: ignore[valid-type]
        session.add(Owner(name="raised"))
        await session.flush()
        raise AppException(400, "no")

    event.listen(database.engine.sync_engine, "commit", lambda connection: events.append("commit"))
    with TestClient(app, raise_server_exceptions=False) as client:
        client.portal.call(database.create_all)  # type: ignore[union-attr]
        events.clear()
        assert client.post("/owners/ada").json() == 1
        assert events == ["commit", "response 200"]
        assert client.post("/owners/ada").status_code == 409
        assert client.post("/orphans").status_code == 500
        assert client.post("/raised").status_code == 400

    async def stored() -> list[str]:
        async with database.session_scope() as session:
            found = list(await session.scalars(select(Owner.name)))
        await database.engine.dispose()
        return found

    assert asyncio.run(stored()) == ["ada"]


def test_a_generator_of_the_applications_own_may_depend_on_the_session(database: Database) -> None:
    """An async, request-scoped generator is where FastAPI forbids a function-scoped one; here it works."""

    async def unit(session: Annotated[Session, Depends(database.session)]) -> AsyncIterator[Session]:
        yield session

    app = FastAPI()

    @app.get("/")
    def route(session: Annotated[Session, Depends(unit)]) -> int:
        return int(session.execute(text("SELECT 41 + 1")).scalar_one())

    assert TestClient(app).get("/").json() == 42


@pytest.mark.parametrize(("savepoint", "status"), [(True, 200), (False, 500)])
def test_a_violation_that_is_caught_needs_a_savepoint(savepoint: bool, status: int, tmp_path: Path) -> None:
    """With one the route goes on and its other work is stored; without it the commit fails, and the client reads so."""
    database = Database(f"sqlite:///{tmp_path}/x.db", metadata=Base.metadata)
    database.create_all()
    app = FastAPI()
    install_stack(app, resources=[database])

    @app.post("/")
    def route(session: Annotated[Session, Depends(database.session)]) -> None:
        session.add(Owner(name="kept"))
        session.flush()
        with suppress(IntegrityError), session.begin_nested() if savepoint else nullcontext():
            session.add(Owner(name="kept"))
            session.flush()

    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.post("/").status_code == status
    with database.session_scope() as session:
        assert session.scalars(select(Owner.name)).all() == (["kept"] if savepoint else [])
    database.engine.dispose()
