"""The store in a database: its tables, its transactions, and what it asks of a database object."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import BigInteger, MetaData, create_engine, event, insert, inspect, text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_patterns import AsyncDatabase, Database
from fastapi_patterns.auth import stores
from fastapi_patterns.auth.stores import SqlAlchemyTokenStore, token_store_tables
from fastapi_patterns.auth.stores._kept import to_micros
from fastapi_patterns.security import RefreshPolicy
from fastapi_patterns.security.refresh import RefreshSession, start_session
from tests.auth.stores.opened import open_sql
from tests.services import PostgresServer

pytestmark = pytest.mark.asyncio

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NAMES = ["auth_revoked_subjects", "auth_revoked_tokens", "auth_sessions"]


def session(subject: str = "7") -> RefreshSession:
    """A session that has begun."""
    return start_session(subject, policy=RefreshPolicy(), now=NOW).session


@contextmanager
def listening(database: Database, listener: Callable[..., None]) -> Iterator[None]:
    """Call a function before each statement that is sent meanwhile, but for BEGIN."""

    def on_execute(*arguments: Any) -> None:
        if arguments[2] != "BEGIN":
            listener(*arguments)

    event.listen(database.engine, "before_cursor_execute", on_execute)
    yield
    event.remove(database.engine, "before_cursor_execute", on_execute)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Database, SqlAlchemyTokenStore]]:
    """A store on a SQLite file."""
    async with Database(f"sqlite:///{folder / 'app.db'}") as database:
        store = SqlAlchemyTokenStore(database)
        await store.create_all()
        yield database, store


async def test_its_tables_stand_on_a_metadata_of_their_own(tmp_path: Path) -> None:
    """Which is for Alembic's `target_metadata`; to create them twice is no error."""
    async with opened(tmp_path) as (database, store):
        await store.create_all()
        assert sorted(store.metadata.tables) == NAMES
        assert sorted(inspect(database.engine).get_table_names()) == NAMES


async def test_its_tables_can_be_among_the_applications_own(tmp_path: Path) -> None:
    """`create_all` of the store makes its own alone, that of the database all."""

    class Base(DeclarativeBase):
        metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s", "pk": "pk_%(table_name)s"})

    class Thing(Base):
        __tablename__ = "things"
        id: Mapped[int] = mapped_column(primary_key=True)

    tables = token_store_tables(Base.metadata, prefix="login_")
    async with Database(f"sqlite:///{tmp_path / 'app.db'}", metadata=Base.metadata) as database:
        store = SqlAlchemyTokenStore(database, tables=tables)
        await store.create_all()
        assert "things" not in inspect(database.engine).get_table_names()
        database.create_all()
        assert {"things", "login_sessions"} <= set(inspect(database.engine).get_table_names())
        assert store.metadata is Base.metadata
        assert Thing.metadata is store.metadata


async def test_its_tables_can_be_in_a_schema() -> None:
    """As PostgreSQL has them."""
    tables = token_store_tables(MetaData(), schema="auth", prefix="")
    names = [tables.sessions.fullname, tables.revoked_tokens.fullname, tables.revoked_subjects.fullname]
    assert names == ["auth.sessions", "auth.revoked_tokens", "auth.revoked_subjects"]


@pytest.mark.parametrize(
    ("convention", "name"),
    [
        ({"uq": "uq_%(table_name)s_%(column_0_N_name)s"}, "ix_auth_sessions_subject"),
        ({"ix": "idx_%(table_name)s_%(column_0_name)s"}, "idx_auth_sessions_subject"),
        (None, "ix_auth_sessions_subject"),
    ],
)
async def test_its_indexes_are_named_under_any_convention(convention: dict[str, str] | None, name: str) -> None:
    """SQLAlchemy makes no index without a name, and a convention may have no rule for them."""
    metadata = MetaData(naming_convention=convention)
    token_store_tables(metadata)
    engine = create_engine("sqlite://")
    metadata.create_all(engine)
    assert name in [index["name"] for index in inspect(engine).get_indexes("auth_sessions")]
    engine.dispose()


async def test_what_is_searched_for_has_an_index() -> None:
    """The subject and the end of a session, and the ends of revocations; moments are whole numbers."""
    tables = token_store_tables(MetaData())
    indexed = {
        table.name: sorted(column.name for index in table.indexes for column in index.columns)
        for table in (tables.sessions, tables.revoked_tokens, tables.revoked_subjects)
    }
    assert indexed == {
        "auth_sessions": ["expires_at", "subject"],
        "auth_revoked_tokens": ["expires_at"],
        "auth_revoked_subjects": ["expires_at"],
    }
    for table in (tables.sessions, tables.revoked_tokens, tables.revoked_subjects):
        for column in table.columns:
            assert isinstance(column.type, BigInteger) == column.name.endswith("_at")


async def test_a_check_is_one_query_and_a_swap_is_one_update(tmp_path: Path) -> None:
    """Each in a transaction of its own."""
    async with opened(tmp_path) as (database, store):
        first = session()
        await store.add_session(first)
        transactions: list[str] = []
        event.listen(database.engine, "commit", lambda _: transactions.append("COMMIT"))
        seen: list[str] = []
        with listening(database, lambda *arguments: seen.append(arguments[2].split(maxsplit=1)[0])):
            await store.is_revoked(jti="j", sid=first.sid, subject="7", issued_at=NOW)
            await store.is_revoked(jti=None, sid=None, subject="7", issued_at=NOW)
            await store.swap_session(first, first)
            await store.get_session(first.sid)
        # SQLite begins a transaction where one writes.
        assert [word for word in seen if word != "BEGIN"] == ["SELECT", "SELECT", "UPDATE", "SELECT"]
        assert len(transactions) == 4


async def test_what_it_did_stays_when_the_requests_session_is_rolled_back(tmp_path: Path) -> None:
    """It commits on its own, before it returns."""
    async with opened(tmp_path) as (database, store):
        first = session()
        await store.add_session(first)
        with pytest.raises(LookupError), database.session_scope() as own:
            own.execute(text("SELECT 1"))
            await store.revoke_session(first.sid, at=NOW)
            raise LookupError
        found = await store.get_session(first.sid)
        assert found is not None
        assert found.revoked_at == NOW


async def test_a_test_that_binds_the_database_reaches_the_store(tmp_path: Path) -> None:
    """What the store commits then goes with the test's transaction."""
    async with opened(tmp_path) as (database, store):
        first = session()
        with database.engine.connect() as connection, connection.begin() as transaction:
            with database.bound_to(connection):
                await store.add_session(first)
                assert await store.get_session(first.sid) == first
            transaction.rollback()
        assert await store.get_session(first.sid) is None


async def test_the_same_holds_for_an_async_database(tmp_path: Path) -> None:
    """Its tables are made on the bound connection too."""
    async with AsyncDatabase(f"sqlite:///{tmp_path / 'app.db'}") as database:
        store = SqlAlchemyTokenStore(database)
        async with database.engine.connect() as connection:
            transaction = await connection.begin()
            async with database.bound_to(connection):
                await store.create_all()
                await store.add_session(session())
            await transaction.rollback()
        async with database.engine.connect() as connection:
            assert await connection.run_sync(lambda sync: inspect(sync).get_table_names()) == []


class OwnSessions:
    """An application's own way to a session; it is no `Database`."""

    def __init__(self, path: Path) -> None:
        self.engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})

    @contextmanager
    def session_scope(self) -> Iterator[Session]:
        """Open one."""
        with Session(self.engine) as session, session.begin():
            yield session


async def test_any_object_with_a_session_scope_will_do(tmp_path: Path) -> None:
    """Also on an engine of the application's own, with the driver's own transactions."""
    own = OwnSessions(tmp_path / "own.db")
    store, first = SqlAlchemyTokenStore(own), session()
    await store.create_all()
    await store.add_session(first)
    await store.revoke_token("a", expires_at=NOW + HOUR)
    await store.revoke_token("a", expires_at=NOW + HOUR)
    await store.revoke_subject("7", at=NOW + HOUR, expires_at=NOW + DAY)
    await store.revoke_subject("7", at=NOW, expires_at=NOW + DAY)
    assert await store.is_revoked(jti="a", sid=None, subject="8", issued_at=NOW)
    assert await store.is_revoked(jti=None, sid=None, subject="7", issued_at=NOW + HOUR)
    assert await store.delete_expired(now=NOW + 20 * DAY) == 3
    own.engine.dispose()


@pytest.mark.services
async def test_a_row_that_somebody_else_adds_first_is_changed(postgres_server: PostgresServer) -> None:
    """Of two revocations of a subject that had none, the later one counts, whoever comes first."""
    async with open_sql(postgres_server.url(), asynchronous=False) as opened:
        store: Any = opened.store
        cut, engine = store.tables.revoked_subjects, opened.database.engine
        row = {"subject": "7", "revoked_at": to_micros(NOW), "expires_at": to_micros(NOW + DAY)}
        rivals = [row]

        def on_execute(*arguments: Any) -> None:
            if rivals and arguments[2].startswith(f"INSERT INTO {cut.name}"):
                with engine.begin() as connection:
                    connection.execute(insert(cut).values(rivals.pop()))

        with listening(opened.database, on_execute):
            await store.revoke_subject("7", at=NOW + HOUR, expires_at=NOW + DAY)
        assert rivals == []
        assert await store.is_revoked(jti=None, sid=None, subject="7", issued_at=NOW + HOUR)


@pytest.mark.services
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
async def test_a_stricter_isolation_changes_no_answer(
    postgres_server: PostgresServer, level: str, asynchronous: bool
) -> None:
    """PostgreSQL ends all swaps but one with an error; the store tries them again, and they have come second."""
    async with open_sql(postgres_server.url(), asynchronous=asynchronous, isolation_level=level) as opened:
        first = session()
        await opened.store.add_session(first)
        successors = [session() for _ in range(50)]
        swaps = [opened.store.swap_session(first, replace(one, sid=first.sid)) for one in successors]
        won = await asyncio.gather(*swaps)
        assert won.count(True) == 1
        found = await opened.store.get_session(first.sid)
        assert found is not None
        assert found.digest == successors[won.index(True)].digest


async def test_a_database_that_always_asks_for_another_attempt_is_heard(tmp_path: Path) -> None:
    """After the fifth; what is no such error is not tried again."""

    class RefusedError(Exception):
        sqlstate = "40001"

    async with opened(tmp_path) as (database, store):
        seen: list[str] = []

        def on_execute(*arguments: Any) -> None:
            seen.append(arguments[2])
            raise DBAPIError("", None, refusal)

        refusal: Exception = RefusedError()
        with listening(database, on_execute), pytest.raises(DBAPIError):
            await store.revoke_session("s", at=NOW)
        assert len(seen) == 5
        refusal = ValueError()
        with listening(database, on_execute), pytest.raises(DBAPIError):
            await store.revoke_session("s", at=NOW)
        assert len(seen) == 6


async def test_a_database_that_fails_is_heard(tmp_path: Path) -> None:
    """Nothing turns its error into an answer."""
    async with Database(f"sqlite:///{tmp_path / 'empty.db'}") as database:
        store = SqlAlchemyTokenStore(database)
        with pytest.raises(OperationalError):
            await store.is_revoked(jti=None, sid=None, subject="7", issued_at=NOW)
        with pytest.raises(OperationalError):
            await store.get_session("s")


async def test_the_other_stores_need_no_sqlalchemy() -> None:
    """It is imported with the first use of what stands on it; a missing one is named, with its extra."""
    code = """if True:
        import sys
        from fastapi_patterns.auth import stores
        assert "sqlalchemy" not in sys.modules and "redis" not in sys.modules
        sys.modules["sqlalchemy"] = None
        try:
            stores.SqlAlchemyTokenStore
        except ImportError as error:
            print(error)
    """
    ran = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert "SqlAlchemyTokenStore needs sqlalchemy" in ran.stdout, ran.stderr
    assert "fastapi-patterns[db]" in ran.stdout
    with pytest.raises(AttributeError, match="no attribute 'NoSuchStore'"):
        _ = stores.NoSuchStore
