"""SQLite's files: writers wait for each other, also those that have read first, and a rollback leaves nothing."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, event, func, select, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from fastapi_patterns import AsyncDatabase, Database, install_stack
from fastapi_patterns.db._sqlite import writes
from tests.db.models import Base, Owner

CLIENTS, REQUESTS = 8, 25


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A file of the test's own."""
    return f"sqlite:///{tmp_path}/app.db"


@pytest.fixture
def database(url: str) -> Database:
    """A database in a file, with its tables."""
    database = Database(url, metadata=Base.metadata)
    database.create_all()
    return database


def statements_of(database: Database) -> list[str]:
    """Note the first word of each statement that is sent from now on, two of a BEGIN."""
    sent: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        words = statement.split()
        sent.append(statement if words[0] == "BEGIN" else words[0])

    event.listen(database.engine, "before_cursor_execute", note)
    return sent


def names(database: Database) -> list[str]:
    """What is stored, seen from a connection of its own."""
    with database.session_scope() as session:
        return list(session.scalars(select(Owner.name).order_by(Owner.name)))


def test_requests_that_read_and_then_write_wait_for_each_other(database: Database) -> None:
    """Eight clients at once, each reading first in its transaction: nobody is refused, nothing is lost."""
    app = FastAPI()
    install_stack(app, resources=[database])

    @app.post("/{name}")
    def add(name: str, session: Annotated[Session, Depends(database.session)]) -> int:
        before = session.scalar(select(func.count()).select_from(Owner)) or 0
        session.add(Owner(name=name))
        return before

    with TestClient(app) as client, ThreadPoolExecutor(CLIENTS) as pool:
        paths = [f"/{number}" for number in range(CLIENTS * REQUESTS)]
        answers = list(pool.map(client.post, paths))
    assert [answer.status_code for answer in answers if answer.status_code != 200] == []
    assert len(names(database)) == CLIENTS * REQUESTS


def test_async_requests_that_read_and_then_write_wait_for_each_other(url: str) -> None:
    """The same over aiosqlite, in one event loop."""

    async def one_client(database: AsyncDatabase, number: int) -> None:
        for each in range(REQUESTS):
            async with database.session_scope() as session:
                await session.scalar(select(func.count()).select_from(Owner))
                session.add(Owner(name=f"{number} {each}"))

    async def live() -> int | None:
        async with AsyncDatabase(url, metadata=Base.metadata) as database:
            await database.create_all()
            await asyncio.gather(*(one_client(database, number) for number in range(CLIENTS)))
            async with database.session_scope() as session:
                return await session.scalar(select(func.count()).select_from(Owner))

    assert asyncio.run(live()) == CLIENTS * REQUESTS


def test_an_old_read_does_not_keep_a_transaction_from_writing(database: Database) -> None:
    """What another one has committed since is seen, as with READ COMMITTED."""
    with database.session_scope() as session:
        assert session.scalars(select(Owner)).all() == []
        with database.session_scope() as other:
            other.add(Owner(name="other"))
        session.add(Owner(name="first"))
        session.flush()
        assert len(session.scalars(select(Owner)).all()) == 2


def test_reading_takes_no_lock(database: Database) -> None:
    """A request that only reads begins nothing and waits for no writer."""
    with database.session_scope() as writer:
        writer.add(Owner(name="ada"))
        writer.flush()
        sent = statements_of(database)
        assert names(database) == []
        assert sent == ["SELECT"]


@pytest.mark.parametrize(
    "write",
    [
        lambda session: session.add(Owner(name="ada")),
        lambda session: session.execute(text("INSERT INTO owners (name) VALUES ('ada')")),
        lambda session: session.execute(text("/* new */ REPLACE INTO owners (name) VALUES ('ada')")),
        lambda session: session.execute(
            text("WITH new(name) AS (SELECT 'ada') INSERT INTO owners (name) SELECT name FROM new")
        ),
        lambda session: session.connection().exec_driver_sql("INSERT INTO owners (name) VALUES ('ada')"),
        lambda session: session.execute(text("CREATE TABLE ada (id INTEGER)")),
    ],
)
def test_what_is_rolled_back_leaves_nothing(write: Callable[[Session], object], database: Database) -> None:
    """Whatever wrote after a read, a table that was made too; and the write lock is free again."""
    with pytest.raises(RuntimeError), database.session_scope() as session:
        session.scalars(select(Owner)).all()
        write(session)
        session.flush()
        raise RuntimeError
    assert names(database) == []
    with database.session_scope() as session:
        assert session.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = 'ada'")) == 0
        session.add(Owner(name="next"))
    assert names(database) == ["next"]


def test_async_what_is_rolled_back_leaves_nothing(url: str) -> None:
    """The same over aiosqlite, with a savepoint that was kept and one that was not."""

    async def live() -> list[str]:
        async with AsyncDatabase(url, metadata=Base.metadata) as database:
            await database.create_all()
            with pytest.raises(RuntimeError):
                async with database.session_scope() as session:
                    await session.scalars(select(Owner))
                    async with session.begin_nested():
                        session.add(Owner(name="gone"))
                    raise RuntimeError
            async with database.session_scope() as session:
                await session.scalars(select(Owner))
                session.add(Owner(name="ada"))
                with pytest.raises(RuntimeError):
                    async with session.begin_nested():
                        session.add(Owner(name="gone"))
                        await session.flush()
                        raise RuntimeError
            async with database.session_scope() as session:
                return list(await session.scalars(select(Owner.name)))

    assert asyncio.run(live()) == ["ada"]


def test_a_savepoint_is_inside_the_transaction(database: Database) -> None:
    """SQLite would begin one with the savepoint and commit it at its release."""
    sent = statements_of(database)
    with pytest.raises(RuntimeError), database.session_scope() as session:
        with session.begin_nested():
            session.add(Owner(name="ada"))
        raise RuntimeError
    assert sent == ["BEGIN IMMEDIATE", "SAVEPOINT", "INSERT", "RELEASE"]
    assert names(database) == []


def test_a_bound_database_is_rolled_back_as_a_whole(database: Database) -> None:
    """In a test's transaction commits are savepoints, in a file too."""
    with database.engine.connect() as connection:
        transaction = connection.begin()
        with database.bound_to(connection):
            assert names(database) == []
            with database.session_scope() as session:
                session.add(Owner(name="ada"))
            assert names(database) == ["ada"]
        transaction.rollback()
    assert names(database) == []


def test_each_transaction_of_a_session_begins_anew(database: Database) -> None:
    """After a commit the next write begins the next transaction; what was committed stays."""
    with pytest.raises(RuntimeError), database.session_scope() as session:
        session.add(Owner(name="kept"))
        session.commit()
        session.add(Owner(name="gone"))
        session.flush()
        raise RuntimeError
    assert names(database) == ["kept"]


def test_a_transaction_that_could_not_begin_leaves_its_connection_usable(url: str) -> None:
    """The wait for the lock may end in vain: the error is the lock's, and the next transaction begins as usual."""
    database = Database(url, metadata=Base.metadata, pool_size=2, max_overflow=0)
    database.create_all()
    with database.session_scope() as holder:
        holder.add(Owner(name="holder"))
        holder.flush()
        with pytest.raises(OperationalError) as raised, database.session_scope() as session:
            session.execute(text("PRAGMA busy_timeout = 1"))
            session.add(Owner(name="waits"))
        assert getattr(raised.value.orig, "sqlite_errorname", None) == "SQLITE_BUSY"
        assert raised.value.statement == "BEGIN IMMEDIATE"
    for name in ("first", "second", "third"):
        with database.session_scope() as session:
            session.add(Owner(name=name))
    assert names(database) == ["first", "holder", "second", "third"]


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("for_the_engine", [False, True])
def test_autocommit_begins_nothing(shared: bool, for_the_engine: bool, url: str) -> None:
    """Each statement is its own transaction then, and VACUUM, which allows none around it, works."""
    options: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"}
    database = Database("sqlite://" if shared else url, metadata=Base.metadata, **(options if for_the_engine else {}))
    database.create_all()
    sent = statements_of(database)
    with database.engine.connect().execution_options(**options) as connection:
        connection.execute(text("INSERT INTO owners (name) VALUES ('ada')"))
        connection.execute(text("VACUUM"))
        connection.rollback()
    assert sent == ["INSERT", "VACUUM"]
    assert names(database) == ["ada"]
    if not for_the_engine:  # the connection is as before
        with pytest.raises(RuntimeError), database.session_scope() as session:
            session.add(Owner(name="gone"))
            session.flush()
            raise RuntimeError
        assert names(database) == ["ada"]


def test_serializable_takes_the_write_lock_at_the_beginning(url: str) -> None:
    """Nobody writes between what such a transaction reads and what it writes: nothing is lost."""
    database = Database(url, metadata=Base.metadata, isolation_level="SERIALIZABLE")
    database.create_all()
    with database.session_scope() as session:
        session.add(Owner(name="0"))

    @database.transaction()
    def count(session: Session, _: int) -> None:
        owner = session.scalars(select(Owner)).one()
        owner.name = str(int(owner.name) + 1)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(count, range(CLIENTS * REQUESTS)))
    assert names(database) == [str(CLIENTS * REQUESTS)]


def test_a_transaction_of_ones_own_words_is_left_alone(database: Database) -> None:
    """BEGIN by hand gives several reads one snapshot, and BEGIN IMMEDIATE locks before the first read."""
    with database.session_scope() as session:
        session.execute(text("BEGIN"))
        assert session.scalars(select(Owner)).all() == []
        with database.session_scope() as other:
            other.add(Owner(name="other"))
        assert session.scalars(select(Owner)).all() == []
    with pytest.raises(RuntimeError), database.session_scope() as session:
        session.execute(text("BEGIN IMMEDIATE"))
        session.add(Owner(name="gone"))
        session.flush()
        raise RuntimeError
    assert names(database) == ["other"]


def test_sessions_that_share_a_connection_refuse_a_second_transaction() -> None:
    """In memory there is one connection: the end of one session would be the end of the other's transaction."""
    database = Database("sqlite://", metadata=Base.metadata)
    database.create_all()
    with database.session_scope() as session:
        session.add(Owner(name="ada"))
        session.flush()
        with pytest.raises(OperationalError, match="within a transaction"), database.session_scope() as other:
            other.scalars(select(Owner)).all()


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("SELECT 1", False), ("  (select 1)", False), ("-- why\n/* what */ select 1", False), ("VALUES (1)", False),
        ("EXPLAIN DELETE FROM t", False), ("PRAGMA user_version", False),
        ("WITH t AS (SELECT 1) SELECT * FROM t", False),
        ("BEGIN", False), ("COMMIT", False), ("ROLLBACK TO SAVEPOINT a", False), ("RELEASE SAVEPOINT a", False),
        ("VACUUM", False), ("ATTACH 'b.db' AS b", False), ("DETACH b", False),
        ("SAVEPOINT a", True), ("insert into t values (1)", True), ("REPLACE INTO t VALUES (1)", True),
        ("-- a\n-- b\n;UPDATE t SET a = 1", True), ("DELETE FROM t", True), ("CREATE TABLE t (a)", True),
        ("DROP TABLE t", True), ("ALTER TABLE t ADD b", True), ("REINDEX", True), ("ANALYZE", True),
        ("with t as (select 1) insert into u select * from t", True), ("", True),
    ],
)  # fmt: skip
def test_what_needs_a_transaction(statement: str, expected: bool) -> None:
    """Everything that is not known to change nothing."""
    assert writes(statement) is expected


def test_an_old_snapshot_is_run_again_and_a_lock_is_not(url: str) -> None:
    """An engine of one's own that begins by reading meets the first; the second has been waited for already."""
    own = create_engine(url, connect_args={"check_same_thread": False})

    @event.listens_for(own, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA busy_timeout = 0")

    @event.listens_for(own, "begin")
    def _on_begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    database = Database(own, metadata=Base.metadata)
    database.create_all()
    attempts: list[int] = []

    @database.transaction(retries=1, sleep=lambda seconds: None)
    def add(session: Session, name: str, *, others_end: bool) -> None:
        attempts.append(1)
        session.scalars(select(Owner)).all()
        with database.session_scope() as other:
            if len(attempts) == 1:
                other.add(Owner(name=f"not {name}"))
                other.flush()
            if others_end:
                other.commit()
            session.add(Owner(name=name))
            session.flush()

    add("ada", others_end=True)
    assert len(attempts) == 2
    assert names(database) == ["ada", "not ada"]
    attempts.clear()
    with pytest.raises(OperationalError) as raised:
        add("bob", others_end=False)
    assert getattr(raised.value.orig, "sqlite_errorname", None) == "SQLITE_BUSY"
    assert len(attempts) == 1
    answer = database.exception_map()[DBAPIError]
    assert callable(answer)
    assert answer(raised.value) == answer(_locked("SQLITE_BUSY_RECOVERY"))
    own.dispose()


def _locked(name: str) -> OperationalError:
    original = sqlite3.OperationalError("database is locked")
    original.sqlite_errorname = name
    return OperationalError("SELECT", {}, original)
