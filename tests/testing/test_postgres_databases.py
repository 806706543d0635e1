"""The plugin on a real PostgreSQL: isolated as on SQLite, whatever a test does to its connection or leaves open."""

from collections.abc import Callable
from itertools import count
from textwrap import dedent

import psycopg
import pytest

from tests.services import PostgresServer
from tests.testing.projects import ASYNC_SHOP, RUNNERS, SHOP, configure
from tests.testing.test_async import ISOLATED, SHARED, run

pytestmark = pytest.mark.services

_numbers = count(1)


@pytest.fixture
def shop_test(postgres_server: PostgresServer) -> str:
    """The name of a database that is not there yet."""
    return f"shop_test_{next(_numbers)}"


@pytest.fixture
def fastapi_db(postgres_server: PostgresServer, shop_test: str) -> str:
    """The line that names it in the configuration."""
    return f"fastapi_db = {postgres_server.dsn(shop_test)}"


@pytest.fixture
def ask(postgres_server: PostgresServer) -> Callable[..., list[tuple[object, ...]]]:
    """Ask a database of the server something."""

    def ask(statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        with psycopg.connect(postgres_server.dsn(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return [] if cursor.description is None else cursor.fetchall()

    return ask


def project(pytester: pytest.Pytester, shop: str, test: str, more: str, addopts: str = "-p no:asyncio") -> None:
    """Make a project."""
    pytester.makepyfile(shop=shop, test_it=dedent(test))
    configure(pytester, addopts=addopts, more=more)


SYNC = """
import pytest
from concurrent.futures import ThreadPoolExecutor
from shop import User, database
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

COUNT = select(func.count()).select_from(User)

@pytest.mark.parametrize("turn", range(2))
def test_rolled_back(client, db, turn):
    assert client.get("/users").json() == []
    client.post("/users")
    db.add(User(name="eve"))
    db.commit()
    assert client.get("/users").json() == ["ada (welcomed)", "eve"]
    with pytest.raises(ValueError, match="undone"):
        client.post("/undone")

@pytest.mark.parametrize("turn", range(2))
def test_committed(client, db_committed, turn):
    assert client.get("/users").json() == []
    with ThreadPoolExecutor(8) as pool:
        assert [answer.status_code for answer in pool.map(client.post, ["/users"] * 16)] == [200] * 16
    with database.engine.connect() as another:
        assert another.scalar(COUNT) == 16

def test_a_failed_statement(client, db):
    db.add_all([User(email="a"), User(email="a")])
    with pytest.raises(IntegrityError):
        db.commit()
    db.rollback()
    client.post("/users")
    assert db.scalar(COUNT) == 1

def test_it_is_empty(db):
    assert db.scalar(COUNT) == 0
    assert database.engine.dialect.name == "postgresql"
"""


@pytest.mark.parametrize("workers", ["", "-n 2"], ids=["alone", "two workers"])
def test_a_sync_database(
    workers: str, pytester: pytest.Pytester, fastapi_db: str, shop_test: str, ask: Callable[..., list[object]]
) -> None:
    """Rolled back and committed tests in a row begin empty; each worker has a database, which is dropped."""
    project(pytester, SHOP, SYNC, fastapi_db, f"-p no:asyncio {workers}")
    pytester.runpytest_subprocess().assert_outcomes(passed=6)
    assert not (pytester.path / "real.db").exists()
    left = ask(f"SELECT datname FROM pg_database WHERE datname LIKE '{shop_test}%'")  # noqa: S608
    assert left == ([] if workers else [(shop_test,)])


@pytest.mark.parametrize("runner", RUNNERS)
def test_an_async_database(runner: str, pytester: pytest.Pytester, fastapi_db: str) -> None:
    """The same through asyncpg, with each test's connection in its own event loop, and twenty requests at once."""
    committed = """
async def test_at_once_for_good(async_client, async_db_committed):
    answers = await asyncio.gather(*(async_client.post("/users") for _ in range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert (await async_client.get("/users")).json() == ["ada (welcomed)"] * 20
"""
    isolated = ISOLATED.replace("json() == 1\n", "json() > 0\n")  # sequences go on
    run(pytester, runner, ASYNC_SHOP, isolated + committed + SHARED, more=fastapi_db)
    pytester.runpytest_subprocess().assert_outcomes(passed=13)


def test_an_async_database_through_the_sync_client(pytester: pytest.Pytester, fastapi_db: str) -> None:
    """The connection is opened in the loop that serves; a test whose own loop has one already is told so."""
    test = """
    import pytest

    @pytest.mark.parametrize("turn", range(2))
    def test_it(client, turn):
        assert client.get("/users").json() == []
        client.post("/users")
        assert client.get("/users").json() == ["ada (welcomed)"]

    @pytest.mark.anyio
    async def test_two_loops(async_db, client):
        pass

    @pytest.fixture
    def anyio_backend(): return "asyncio"
    """
    project(pytester, ASYNC_SHOP, test, fastapi_db)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*client runs the application in a loop of its own*Take the client away*"])


LEFT = """
import pytest
from shop import User, database
from sqlalchemy import text

left = []

@pytest.mark.parametrize("turn", range(2))
def test_what_outlasts_a_transaction(db, turn):
    assert db.scalar(text("SHOW search_path")) != "nowhere"
    assert db.scalar(text("SELECT pg_try_advisory_lock(7)"))
    assert db.scalar(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")) == 1
    db.execute(text("CREATE TEMP TABLE scratch (id int)"))
    db.execute(text("SET search_path = nowhere"))
    db.commit()

@pytest.mark.parametrize("turn", range(2))
def test_that_kills_its_connection(db, turn):
    pid = db.scalar(text("SELECT pg_backend_pid()"))
    with database.engine.connect() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})

def test_after_it(client):
    client.post("/users")
    assert client.get("/users").json() == ["ada (welcomed)"]

def test_leaves_a_session_open(db_committed):
    db_committed.add(User(id=10_000, email="a"))
    db_committed.commit()
    session = database._open()
    session.get(User, 10_000, with_for_update=True)
    left.append(session)
    thief = database._open()
    thief.add(User(id=10_001, email="b"))
    thief.flush()
    left.append(thief)

def test_after_that(client, db):
    db.add_all([User(id=10_000, email="a"), User(id=10_001, email="b")])
    db.commit()
    assert len(client.get("/users").json()) == 2

def test_it_was_ended():
    for session in left:
        with pytest.raises(Exception, match="connection"):
            session.execute(text("SELECT 1"))
        session.invalidate()
"""


def test_what_a_test_leaves_behind_reaches_no_other(pytester: pytest.Pytester, fastapi_db: str) -> None:
    """Settings, temporary tables, advisory locks, a killed connection, sessions left open with locks and rows."""
    project(pytester, SHOP, LEFT, fastapi_db)
    pytester.runpytest_subprocess().assert_outcomes(passed=8)


def test_with_asyncpg_alone(pytester: pytest.Pytester, fastapi_db: str) -> None:
    """Without psycopg, tables are made and rows are put back through asyncpg."""
    pytester.makepyfile(
        hide="""
        import importlib.util
        found = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *more: None if name.startswith("psycopg") else found(name, *more)
        """
    )
    run(pytester, "anyio", ASYNC_SHOP, SHARED + SHARED.replace("async def test_", "async def test_2_"), more=fastapi_db)
    configure(pytester, addopts="-p no:asyncio -p hide", more=fastapi_db)
    pytester.runpytest_subprocess().assert_outcomes(passed=10)


def test_somebody_elses_lock(pytester: pytest.Pytester, fastapi_db: str) -> None:
    """A table that a connection of another program has locked is no hang: the error says who has it."""
    test = """
    import psycopg

    def test_it(client, db_committed):
        client.post("/users")
        url = db_committed.get_bind().url.set(drivername="postgresql")
        test_it.other = psycopg.connect(url.render_as_string(hide_password=False), application_name="somebody")
        test_it.other.execute("SELECT FROM users FOR UPDATE")
    """
    project(pytester, SHOP, test, fastapi_db)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*somebody else has a transaction open*: somebody (process *, idle in transaction)*"])


def test_a_connection_of_another_loop_is_explained(
    postgres_server: PostgresServer, ask: Callable[..., object], shop_test: str, pytester: pytest.Pytester
) -> None:
    """An engine that the plugin does not know keeps a connection of the last test's loop: the note says what to do."""
    ask(f"CREATE DATABASE {shop_test}")
    engine = f"""
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from typing import Annotated
from fastapi import Depends, FastAPI

app = FastAPI()
engine = create_async_engine({postgres_server.dsn(shop_test).replace("postgresql://", "postgresql+asyncpg://")!r})

async def get_db():
    async with AsyncSession(engine) as session:
        yield session

@app.get("/one")
async def one(db: Annotated[AsyncSession, Depends(get_db)]) -> int:
    return await db.scalar(text("SELECT 1"))
"""
    test = """
import pytest
from shop import engine

def test_one(client):
    assert client.get("/one").json() == 1

def test_two(client):
    with pytest.raises(RuntimeError) as refused:
        client.get("/one")
    assert "use async_client" in refused.value.__notes__[0]
    engine.sync_engine.dispose(close=False)
"""
    project(pytester, engine, test, "")
    pytester.runpytest_subprocess().assert_outcomes(passed=2)
