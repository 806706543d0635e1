"""Faults of a driver, switched on one by one: what was told is what is stored, and the pool heals."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from fastapi_patterns import Database, install_stack
from tests.db.models import Base, Owner
from tests.db.stub import StubDriver


@pytest.fixture
def driver(tmp_path: Path) -> StubDriver:
    """The driver, with no fault switched on."""
    return StubDriver(tmp_path / "stub.db")


@pytest.fixture
def database(driver: StubDriver) -> Iterator[Database]:
    """A database over it, with a pool as a server has one."""
    database = Database(
        "sqlite:///stub.db", metadata=Base.metadata, creator=driver, pool_size=5, max_overflow=0, pool_pre_ping=True
    )
    database.create_all()
    yield database
    database.engine.dispose()


@pytest.fixture
def client(database: Database, driver: StubDriver) -> Iterator[TestClient]:
    """Routes that store an owner and meet a fault on the way."""
    app = FastAPI()
    install_stack(app, resources=[database])

    def broken(session: Annotated[Session, Depends(database.session)]) -> Iterator[None]:
        yield
        raise RuntimeError("the teardown failed")

    def create(name: str, session: Annotated[Session, Depends(database.session)], fault: str = "") -> int:
        owner = Owner(name=name)
        session.add(owner)
        session.flush()
        if fault in ("execute", "commit", "disconnect"):
            driver.fail(fault)  # type: ignore[arg-type]
        if fault in ("execute", "disconnect"):
            session.scalar(select(Owner.id))
        if fault == "mistake":
            raise ValueError("a mistake")
        if fault == "http":
            raise HTTPException(404, "no")
        if fault == "commit, disconnected":
            driver.fail("disconnect")
        return owner.id

    # A parameter: FastAPI 0.121 takes the scope of a route's `dependencies` for that of the request.
    def create_and_break(
        name: str,
        torn: Annotated[None, Depends(broken, scope="function")],
        session: Annotated[Session, Depends(database.session)],
    ) -> int:
        return create(name, session)

    app.post("/owners/{name}")(create)
    app.post("/teardown/{name}")(create_and_break)
    with TestClient(app, raise_server_exceptions=False) as asked:
        yield asked


def names(database: Database) -> list[str]:
    """The owners that are stored."""
    with database.session_scope() as session:
        return list(session.scalars(select(Owner.name).order_by(Owner.name)))


def checked_out(database: Database) -> int:
    """Connections that somebody uses."""
    return int(database.engine.pool.checkedout())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/owners/bad?fault=commit", 500),
        ("/owners/bad?fault=execute", 500),
        ("/owners/bad?fault=disconnect", 503),
        ("/owners/bad?fault=commit, disconnected", 503),
        ("/owners/bad?fault=mistake", 500),
        ("/owners/bad?fault=http", 404),
        ("/teardown/bad", 500),
    ],
)
def test_a_fault_stores_nothing_and_leaks_nothing(
    path: str, status: int, client: TestClient, database: Database
) -> None:
    """A hundred requests of which every tenth meets the fault: it alone is told, and the pool is whole."""
    told = set[str]()
    for number in range(100):
        if number % 10 == 0:
            assert client.post(path).status_code == status
        elif client.post(f"/owners/{number}").status_code == 200:
            told.add(str(number))
        assert checked_out(database) == 0
    assert len(told) == 90
    assert told == set(names(database))


def test_a_lost_connection_is_replaced(client: TestClient, database: Database, driver: StubDriver) -> None:
    """One that broke in a request is closed and a new one is made; the one that broke is told."""
    assert client.post("/owners/before").status_code == 200
    opened = len(driver.opened)
    answer = client.post("/owners/bad?fault=disconnect")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert client.post("/owners/after").status_code == 200
    assert (len(driver.opened), driver.closed) == (opened + 1, 1)
    assert names(database) == ["after", "before"]


def test_a_connection_that_went_stale_fails_no_request(client: TestClient, driver: StubDriver) -> None:
    """The ping finds it before the request does."""
    assert client.post("/owners/before").status_code == 200
    opened = len(driver.opened)
    driver.fail("disconnect")
    assert client.post("/owners/after").status_code == 200
    assert len(driver.opened) == opened + 1


def test_who_cannot_connect_gets_an_error_and_the_next_one_is_served(
    client: TestClient, database: Database, driver: StubDriver
) -> None:
    """No success is told while there is no connection."""
    database.engine.dispose()
    driver.fail("connect", times=3)
    statuses = [client.post(f"/owners/{number}").status_code for number in range(4)]
    assert statuses == [500, 500, 500, 200]  # SQLite has no server to lose: a file that cannot be opened is a mistake
    assert names(database) == ["3"]
    assert checked_out(database) == 0


def test_a_rollback_cannot_hide_the_fault(client: TestClient, driver: StubDriver, database: Database) -> None:
    """Several statements that fail in one request are one answer."""
    driver.fail("execute", times=2)
    answer: Any = client.post("/owners/bad")
    assert (answer.status_code, answer.json()) == (500, {"error": "Internal Server Error"})
    driver.fail("execute", times=0)
    assert names(database) == []
