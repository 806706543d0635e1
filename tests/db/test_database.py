"""Database and AsyncDatabase: what they accept, how their sessions behave, what SQLite promises."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, sessionmaker

from fastapi_patterns import AsyncDatabase, ConfigurationError, Database
from fastapi_patterns.db import SessionClosedError
from tests.db.models import Base, Owner, Thing

MEMORY = "sqlite://"


@pytest.fixture
def database(tmp_path: Path) -> Any:
    """A database in a file, with its tables."""
    database = Database(f"sqlite:///{tmp_path}/test.db", metadata=Base.metadata)
    database.create_all()
    yield database
    database.engine.dispose()


def names(database: Database) -> list[str]:
    """The owners that are stored."""
    with database.session_scope() as session:
        return list(session.scalars(select(Owner.name).order_by(Owner.name)))


class OwnSession(Session):
    """An application's own session class."""


class OwnAsyncSession(AsyncSession):
    """An application's own async session class."""


def test_a_url_makes_the_engine_on_first_use() -> None:
    """Making a Database for a server that is not there does nothing and fails nowhere."""
    database = Database("postgresql://user:pass-word@nowhere.invalid/app")
    assert "pass-word" not in repr(database)
    assert "nowhere.invalid" in repr(database)
    assert database.engine is database.engine


@pytest.mark.parametrize(
    ("kind", "url", "driver"),
    [
        (Database, "postgresql://h/d", "postgresql+psycopg"),
        (Database, "postgres://h/d", "postgresql+psycopg"),
        (Database, make_url("postgresql://h/d"), "postgresql+psycopg"),
        (Database, "postgresql+psycopg://h/d", "postgresql+psycopg"),
        (Database, "sqlite://", "sqlite"),
        (AsyncDatabase, "postgresql://h/d", "postgresql+asyncpg"),
        (AsyncDatabase, "postgres://h/d", "postgresql+asyncpg"),
        (AsyncDatabase, "sqlite:///x.db", "sqlite+aiosqlite"),
        (AsyncDatabase, "sqlite+aiosqlite://", "sqlite+aiosqlite"),
    ],
)
def test_a_url_means_the_same_on_every_sqlalchemy(kind: Any, url: Any, driver: str) -> None:
    """Where a URL names no driver, the one of today is chosen."""
    assert kind(url)._source.drivername == driver


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda: Database("no url, pass-word"), "not a database URL"),
        (lambda: AsyncDatabase("no url, pass-word"), "not a database URL"),
        (lambda: Database(7), "takes a URL, an Engine or a sessionmaker; got int"),  # type: ignore[arg-type]
        (lambda: Database(create_async_engine("sqlite+aiosqlite://")), "For an async engine use AsyncDatabase"),  # type: ignore[arg-type]
        (lambda: AsyncDatabase(create_engine(MEMORY)), "For a sync engine use Database"),  # type: ignore[arg-type]
        (lambda: Database(create_engine(MEMORY), echo=True), "engine options go with a URL"),
        (lambda: AsyncDatabase(create_async_engine("sqlite+aiosqlite://"), echo=True), "engine options go with a URL"),
        (lambda: Database(MEMORY).create_all(), r"Database\(\.\.\., metadata=Base\.metadata\)"),
        (lambda: asyncio.run(AsyncDatabase(MEMORY).create_all()), r"AsyncDatabase\(\.\.\., metadata=Base\.metadata\)"),
        (lambda: Database(sessionmaker()).engine, "the sessionmaker has no engine"),
        (lambda: AsyncDatabase(async_sessionmaker()).engine, "the async_sessionmaker has no engine"),
    ],
)
def test_what_cannot_work_is_refused(make: Callable[[], Any], problem: str) -> None:
    """The message says what to pass, and does not repeat a password."""
    with pytest.raises(ConfigurationError, match=problem) as caught:
        make()
    assert "pass-word" not in str(caught.value)


def test_an_own_engine_or_sessionmaker_is_used_as_it_is(tmp_path: Path) -> None:
    """What the application has is accepted: its engine, its session class, its options; closing leaves it open."""
    engine = create_engine(f"sqlite:///{tmp_path}/own.db")
    of_engine = Database(engine, metadata=Base.metadata)
    of_maker = Database(sessionmaker(engine, class_=OwnSession, autoflush=False))
    of_engine.create_all()

    async def live() -> None:
        async with of_engine, of_maker:
            pass

    with of_maker.session_scope() as session:
        assert isinstance(session, OwnSession)
        assert session.autoflush is False
        session.add(Owner(name="ada"))
    asyncio.run(live())
    assert of_engine.engine is of_maker.engine is engine
    assert names(of_engine) == ["ada"]
    assert engine.pool.checkedin() == 1  # type: ignore[attr-defined]
    engine.dispose()
    assert repr(of_maker) == "Database('sessionmaker')"


def test_engine_defaults_and_options() -> None:
    """Bound values stay out of errors, stale connections are noticed, and the application's options win."""
    engine = Database("postgresql://h/d", pool_size=3, pool_timeout=1).engine
    assert engine.hide_parameters is True
    assert engine.pool._pre_ping is True  # type: ignore[attr-defined]
    assert engine.pool.size() == 3  # type: ignore[attr-defined]
    assert engine.pool._timeout == 1  # type: ignore[attr-defined]


def test_a_scope_commits_and_closes(database: Database) -> None:
    """The end of the block is the commit; rows stay readable, the session does not reopen."""
    with database.session_scope() as session:
        owner = Owner(name="ada")
        session.add(owner)
    assert (owner.id, owner.name) == (1, "ada")
    assert names(database) == ["ada"]
    with pytest.raises(SessionClosedError, match="session_scope"):
        session.execute(text("SELECT 1"))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, asyncio.CancelledError])
def test_an_exception_rolls_back(database: Database, error: type[BaseException]) -> None:
    """Whatever leaves the block undoes it, and goes on."""
    with pytest.raises(error), database.session_scope() as session:
        session.add(Owner(name="ada"))
        session.flush()
        raise error
    assert names(database) == []


def test_sqlite_checks_foreign_keys(database: Database) -> None:
    """SQLite ignores them unless it is told; here it is told."""
    with pytest.raises(IntegrityError), database.session_scope() as session:
        session.add(Thing(owner_id=404))
    with database.engine.connect() as connection:
        assert connection.scalar(text("PRAGMA journal_mode")) == "wal"
        assert connection.scalar(text("PRAGMA busy_timeout")) == 5000


def test_sqlite_savepoints_are_real(database: Database) -> None:
    """A nested transaction that is rolled back leaves the outer one alone."""
    with database.session_scope() as session:
        session.add(Owner(name="outer"))
        session.flush()
        with pytest.raises(ValueError, match="inner"), session.begin_nested():
            session.add(Owner(name="inner"))
            session.flush()
            raise ValueError("inner")
    assert names(database) == ["outer"]


def test_a_memory_database_is_one_for_all_threads() -> None:
    """Every connection to a SQLite in memory is the same database."""
    database = Database(MEMORY, metadata=Base.metadata)
    database.create_all()

    def write() -> None:
        with database.session_scope() as session:
            session.add(Owner(name="from a thread"))

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert names(database) == ["from a thread"]
    database.engine.dispose()


def test_bound_to_a_connection_commits_become_savepoints(database: Database) -> None:
    """Sessions see each other's commits, and the outer rollback takes it all away."""
    with database.engine.connect() as connection:
        transaction = connection.begin()
        with database.bound_to(connection) as bound:
            assert bound is database
            assert database.engine is connection.engine
            database.create_all()
            with database.session_scope() as session:
                session.add(Owner(name="kept for now"))
            with pytest.raises(ValueError, match="undo"), database.session_scope() as session:
                session.add(Owner(name="undone"))
                session.flush()
                raise ValueError("undo")
            assert names(database) == ["kept for now"]
            with (
                pytest.raises(ConfigurationError, match="bound to a connection or an engine already"),
                database.bound_to(connection),
            ):
                pass
        transaction.rollback()
    assert names(database) == []


def test_the_async_twin(tmp_path: Path) -> None:
    """Commit, rollback, closed sessions, binding: the same as the sync one."""

    async def live() -> None:
        database = AsyncDatabase(f"sqlite:///{tmp_path}/async.db", metadata=Base.metadata)
        async with database:
            await database.create_all()
            async with database.session_scope() as session:
                owner = Owner(name="ada")
                session.add(owner)
            assert (owner.id, owner.name) == (1, "ada")
            with pytest.raises(SessionClosedError, match="session_scope"):
                await session.execute(text("SELECT 1"))
            with pytest.raises(ValueError, match="undo"):
                async with database.session_scope() as session:
                    session.add(Owner(name="undone"))
                    await session.flush()
                    raise ValueError("undo")
            with pytest.raises(IntegrityError):
                async with database.session_scope() as session:
                    session.add(Thing(owner_id=404))

            async def stored() -> list[str]:
                async with database.session_scope() as session:
                    return list(await session.scalars(select(Owner.name).order_by(Owner.name)))

            assert await stored() == ["ada"]
            async with database.engine.connect() as connection:
                transaction = await connection.begin()
                async with database.bound_to(connection):
                    assert database.engine is connection.engine
                    await database.create_all()
                    async with database.session_scope() as session:
                        session.add(Owner(name="eve"))
                    assert await stored() == ["ada", "eve"]
                    with pytest.raises(ConfigurationError, match="bound to a connection or an engine already"):
                        async with database.bound_to(connection):
                            pass
                await transaction.rollback()
            assert await stored() == ["ada"]
        assert "AsyncDatabase(sqlite+aiosqlite" in repr(database)

    asyncio.run(live())


def test_the_async_twin_takes_what_the_application_has(tmp_path: Path) -> None:
    """Its engine and its session class, which stay open when the application ends."""

    async def live() -> None:
        engine = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/own.db")
        of_engine = AsyncDatabase(engine, metadata=Base.metadata)
        of_maker = AsyncDatabase(async_sessionmaker(engine, class_=OwnAsyncSession))
        async with of_engine, of_maker:
            await of_engine.create_all()
            async with of_maker.session_scope() as session:
                assert isinstance(session, OwnAsyncSession)
                session.add(Owner(name="ada"))
            async with of_engine.session_scope() as plain:
                assert await plain.scalar(select(Owner.name)) == "ada"
        assert of_engine.engine is of_maker.engine is engine
        assert repr(of_maker) == "AsyncDatabase('async_sessionmaker')"
        await engine.dispose()

    asyncio.run(live())


def test_an_async_database_lives_in_one_loop_after_another(tmp_path: Path) -> None:
    """Closing with the application lets the next event loop open it again."""
    database = AsyncDatabase(f"sqlite:///{tmp_path}/loops.db", metadata=Base.metadata)

    async def live(name: str) -> list[str]:
        async with database:
            await database.create_all()
            async with database.session_scope() as session:
                session.add(Owner(name=name))
            async with database.session_scope() as session:
                return list(await session.scalars(select(Owner.name).order_by(Owner.name)))

    assert asyncio.run(live("first")) == ["first"]
    assert asyncio.run(live("second")) == ["first", "second"]
