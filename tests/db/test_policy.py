"""What a database can be told: when to commit, which sessions, what a constraint says, how long to wait."""

import asyncio
import itertools
import sqlite3
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import anyio.to_thread
import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import (
    AsyncAdaptedQueuePool,
    CheckConstraint,
    ForeignKey,
    Index,
    QueuePool,
    UniqueConstraint,
    create_engine,
    make_url,
    select,
)
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_patterns import AsyncDatabase, ConfigurationError, Database, ErrorInfo, install_stack
from fastapi_patterns.db import DatabaseUnavailableError, SessionClosedError
from fastapi_patterns.db._engine import engine_options, limit_of
from fastapi_patterns.db.failures import delay_before, is_retryable
from fastapi_patterns.db.sync import _end
from fastapi_patterns.stack import stack_of


class Base(DeclarativeBase):
    """Tables with constraints of every kind."""


class Member(Base):
    """Somebody who is unique in three ways."""

    __tablename__ = "members"
    __table_args__ = (
        UniqueConstraint("email", name="uq_members_email"),
        UniqueConstraint("club", "number", name="uq_members_number"),
        Index("ix_members_nick", "nick", unique=True),
        CheckConstraint("age >= 0", name="ck_members_age"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str]
    club: Mapped[str] = mapped_column(default="a")
    number: Mapped[int] = mapped_column(default=1)
    nick: Mapped[str | None] = mapped_column(default=None)
    age: Mapped[int] = mapped_column(default=1)
    boss_id: Mapped[int | None] = mapped_column(ForeignKey("members.id"), default=None)


class OwnSession(Session):
    """An application's own class of sessions."""


class OwnAsyncSession(AsyncSession):
    """The same, async."""


def client(database: Database, values: dict[str, Any]) -> Any:
    """Ask an application that stores a second member with these values."""
    app = FastAPI()
    install_stack(app, resources=[database])
    database.create_all()
    with database.session_scope() as session:
        session.add(Member(email="ada@a.example", nick="ada"))

    @app.post("/")
    def create(session: Annotated[Session, Depends(database.session)]) -> None:
        session.add(Member(**values))

    return TestClient(app, raise_server_exceptions=False).post("/")


CONSTRAINTS = {
    "uq_members_email": "E-mail is taken",
    "uq_members_number": ErrorInfo(status=409, detail="Number is taken", code="number_taken"),
    "ix_members_nick": "Nickname is taken",
    "ck_members_age": ErrorInfo(status=422, detail="Nobody is that young"),
}


@pytest.mark.parametrize(
    ("values", "status", "body"),
    [
        ({"email": "ada@a.example", "number": 2}, 409, {"error": "E-mail is taken"}),
        ({"email": "b@a.example"}, 409, {"error": "Number is taken", "code": "number_taken"}),
        ({"email": "b@a.example", "number": 2, "nick": "ada"}, 409, {"error": "Nickname is taken"}),
        ({"email": "b@a.example", "number": 2, "id": 1}, 409, {"error": "This already exists"}),
        ({"email": "b@a.example", "number": 2, "age": -1}, 422, {"error": "Nobody is that young"}),
        ({"email": "b@a.example", "number": 2, "boss_id": 9}, 500, {"error": "Internal Server Error"}),
    ],
)
def test_a_constraint_has_its_text(values: dict[str, Any], status: int, body: dict[str, Any]) -> None:
    """By its name, which SQLite does not say and the tables do; what is not named is a plain 409, or a mistake."""
    answer = client(Database("sqlite://", metadata=Base.metadata, constraints=CONSTRAINTS), values)
    assert (answer.status_code, answer.json()) == (status, body)


def test_other_constraints_can_be_the_clients_mistake() -> None:
    """422 where the application says that they check the client's data."""
    database = Database("sqlite://", metadata=Base.metadata, other_integrity_status=422)
    answer = client(database, {"email": "b@a.example", "number": 2, "age": -1})
    assert (answer.status_code, answer.json()) == (422, {"error": "The data contradicts what is stored"})


def test_without_the_tables_a_unique_violation_is_plain() -> None:
    """SQLite names columns; without metadata, or for another table, there is no name to find."""
    database = Database("sqlite://", constraints=CONSTRAINTS)
    Base.metadata.create_all(database.engine)
    answer = database.exception_map()[IntegrityError]
    with pytest.raises(IntegrityError) as raised, database.session_scope() as session:
        session.add_all([Member(email="a", number=1), Member(email="a", number=2)])
    assert callable(answer)
    assert answer(raised.value) == ErrorInfo(status=409, detail="This already exists")


@pytest.mark.parametrize("is_async", [False, True])
def test_an_application_may_commit_itself(is_async: bool, tmp_path: Path) -> None:
    """`commit="manual"`: what the route does not commit is gone; a scope commits as always."""
    url = f"sqlite:///{tmp_path}/x.db"
    database = Database(url, metadata=Base.metadata, commit="manual")
    database.create_all()
    other = AsyncDatabase(url, commit="manual")
    app = FastAPI()
    install_stack(app, resources=[database, other])

    @app.post("/{commits}")
    async def create(
        commits: bool,
        session: Annotated[Session, Depends(database.session)],
        twin: Annotated[AsyncSession, Depends(other.session)],
    ) -> None:
        member = Member(email=f"{commits}@a.example", number=int(commits))
        (twin if is_async else session).add(member)
        if commits and is_async:
            await twin.commit()
        elif commits:
            session.commit()

    with TestClient(app) as asked:
        assert [asked.post(f"/{commits}").status_code for commits in ("false", "true")] == [200, 200]
    with database.session_scope() as session:
        assert session.scalars(select(Member.email)).all() == ["True@a.example"]
        session.add(Member(email="scope", number=7))
    with database.session_scope() as session:
        assert session.scalar(select(Member.number).where(Member.email == "scope")) == 7


def test_sessions_are_of_the_applications_class() -> None:
    """A subclass, or SQLModel's."""
    with Database("sqlite://", session_class=OwnSession).session_scope() as session:
        assert isinstance(session, OwnSession)

    async def opened() -> type:
        async with AsyncDatabase("sqlite://", session_class=OwnAsyncSession).session_scope() as session:
            return type(session)

    assert issubclass(asyncio.run(opened()), OwnAsyncSession)


def test_sqlmodel_works() -> None:
    """Its session has `exec`, its metadata makes the tables, and a closed one refuses `exec` too."""
    sqlmodel = pytest.importorskip("sqlmodel")
    from tests.db.sqlmodel_models import Hero

    database = Database("sqlite://", metadata=sqlmodel.SQLModel.metadata, session_class=sqlmodel.Session)
    database.create_all()
    with database.session_scope() as session:
        session.add(Hero(name="Ada"))
        session.flush()
        assert session.exec(sqlmodel.select(Hero.name)).all() == ["Ada"]
    with pytest.raises(SessionClosedError, match="session_scope"):
        session.exec(sqlmodel.select(Hero))


@pytest.mark.parametrize("kind", ["sessionmaker", "database"])
def test_a_session_that_ended_says_what_to_use(kind: str, tmp_path: Path) -> None:
    """In a background task or a stream the request's session is closed; the error names session_scope()."""
    from sqlalchemy.orm import sessionmaker

    source: Any = f"sqlite:///{tmp_path}/x.db"
    if kind == "sessionmaker":  # with SQLAlchemy's own defaults, under which a closed session would reopen
        source = sessionmaker(create_engine(source))
    database = Database(source)
    app, kept = FastAPI(), []

    @app.get("/")
    def route(session: Annotated[Session, Depends(database.session)]) -> None:
        session.execute(select(1))
        kept.append(session)

    TestClient(app).get("/")
    for use in (
        lambda session: session.execute(select(1)),
        lambda session: session.add(Member()),
        lambda s: s.commit(),
    ):
        with pytest.raises(SessionClosedError, match=r"database\.session_scope\(\)"):
            use(kept[0])
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    database.engine.dispose()


def test_what_an_async_session_works_on_ends_with_it() -> None:
    """A sessionmaker of the application's own has SQLAlchemy's defaults, under which `sync_session` would reopen."""

    async def live() -> None:
        engine = create_async_engine("sqlite+aiosqlite://", poolclass=AsyncAdaptedQueuePool)
        async with AsyncDatabase(async_sessionmaker(engine)).session_scope() as session:
            assert await session.scalar(select(1)) == 1
        for use in (
            lambda: session.sync_session.execute(select(1)),
            lambda: session.sync_session.add(Member()),
            lambda: session.sync_session.get(Member, 1),
        ):
            with pytest.raises(SessionClosedError, match="session_scope"):
                use()
        assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
        await engine.dispose()

    asyncio.run(live())


def test_threads_and_connections_cannot_stop_each_other(tmp_path: Path) -> None:
    """64 sync requests at once on 5 connections and 40 threads, each holding one from its dependency to its route.

    The requests that have a connection wait for a thread; were the threads held by those that wait for a connection,
    nothing would move until the pool's timeout.
    """
    database = Database(f"sqlite:///{tmp_path}/x.db", pool_size=5, max_overflow=0, pool_timeout=5)
    app = FastAPI()
    seen: dict[int, set[int]] = {}
    lock = threading.Lock()

    def user(session: Annotated[Session, Depends(database.session)]) -> int:
        session.execute(select(1))  # takes the connection
        return id(session)

    @app.get("/{number}")
    def route(
        number: int, of_user: Annotated[int, Depends(user)], session: Annotated[Session, Depends(database.session)]
    ) -> bool:
        session.execute(select(1))
        with lock:
            seen.setdefault(number, set()).update({of_user, id(session)})
        return True

    async def ask(number: int) -> int:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope = {"type": "http", "method": "GET", "path": f"/{number}", "headers": [], "query_string": b""}
        await app(scope, receive, send)
        return int(sent[0]["status"])

    async def ask_all() -> list[int]:
        return await asyncio.gather(*(ask(number) for number in range(64)))

    assert asyncio.run(ask_all()) == [200] * 64
    assert all(len(sessions) == 1 for sessions in seen.values())
    assert database.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    database.engine.dispose()


def test_who_waits_too_long_for_a_session_gets_503(tmp_path: Path) -> None:
    """Waiting is bounded by the pool's timeout, holds no thread, and the next request is served."""
    database = Database(f"sqlite:///{tmp_path}/x.db", pool_size=1, max_overflow=0, pool_timeout=0.05)
    app = FastAPI()
    install_stack(app, resources=[database])
    entered, go_on = threading.Event(), threading.Event()

    @app.get("/hold")
    def hold(session: Annotated[Session, Depends(database.session)]) -> None:
        session.execute(select(1))
        entered.set()
        assert go_on.wait(10)

    @app.get("/ask")
    def ask(session: Annotated[Session, Depends(database.session)]) -> int:
        return int(session.scalar(select(1)) or 0)

    with TestClient(app) as asked:
        holding = threading.Thread(target=asked.get, args=("/hold",))
        holding.start()
        assert entered.wait(10)
        refused = asked.get("/ask")
        go_on.set()
        holding.join()
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json() == {"error": "The database is busy"}
        assert asked.get("/ask").json() == 1


class Serialization(Exception):  # noqa: N818 (as drivers name them)
    """A driver's error with PostgreSQL's code."""

    def __init__(self, sqlstate: str) -> None:
        super().__init__("could not serialize access")
        self.sqlstate = sqlstate


def failure(sqlstate: str) -> DBAPIError:
    """As SQLAlchemy raises it."""
    return DBAPIError("UPDATE", {}, Serialization(sqlstate))


@pytest.fixture
def database() -> Iterator[Database]:
    """A database in memory with the tables."""
    found = Database("sqlite://", metadata=Base.metadata)
    found.create_all()
    yield found
    found.engine.dispose()


@pytest.mark.parametrize("failures", [0, 1, 3])
def test_a_transaction_is_run_again_when_the_database_asks(failures: int, database: Database) -> None:
    """The whole function, in a new session each time, at most three times more; what failed is undone."""
    slept: list[float] = []
    sessions: list[Session] = []

    @database.transaction(retries=3, sleep=slept.append)
    def create(session: Session, email: str, *, number: int) -> str:
        """Create a member."""
        sessions.append(session)
        session.add(Member(email=email, number=number))
        session.flush()
        if len(sessions) <= failures:
            raise failure("40001")
        return email

    assert create("ada", number=3) == "ada"
    assert len({id(session) for session in sessions}) == failures + 1
    assert len(slept) == failures
    assert all(0.01 <= seconds <= 0.08 for seconds in slept)
    assert (create.__name__, create.__doc__) == ("create", "Create a member.")
    with database.session_scope() as session:
        assert session.scalars(select(Member.number)).all() == [3]


def test_a_transaction_that_never_succeeds_is_a_503(database: Database) -> None:
    """The last failure leaves, and has its answer."""
    attempts: list[int] = []

    @database.transaction(retries=2, sleep=lambda seconds: None)
    def deadlocked(session: Session) -> None:
        attempts.append(1)
        raise failure("40P01")

    with pytest.raises(DBAPIError) as raised:
        deadlocked()
    assert len(attempts) == 3
    answer = database.exception_map()[DBAPIError]
    assert callable(answer)
    info = answer(raised.value)
    assert info is not None
    assert (info.status, info.headers) == (503, {"Retry-After": "1"})


@pytest.mark.parametrize("error", [ValueError("a mistake"), failure("23505")])
def test_any_other_failure_is_not_repeated(error: Exception, database: Database) -> None:
    """A mistake is one the second time too."""
    attempts: list[int] = []

    @database.transaction()
    def fails(session: Session) -> None:
        attempts.append(1)
        raise error

    with pytest.raises(type(error)):
        fails()
    assert len(attempts) == 1


def test_an_async_transaction_is_run_again() -> None:
    """The same, awaited."""

    async def main() -> tuple[str, int, list[float]]:
        database = AsyncDatabase("sqlite://", metadata=Base.metadata)
        await database.create_all()
        attempts: list[int] = []
        slept: list[float] = []

        async def sleep(seconds: float) -> None:
            slept.append(seconds)

        @database.transaction(sleep=sleep)
        async def create(session: AsyncSession, email: str) -> str:
            attempts.append(1)
            session.add(Member(email=email))
            await session.flush()
            if len(attempts) < 3:
                raise failure("40001")
            return email

        @database.transaction(retries=0)
        async def fails(session: AsyncSession) -> None:
            raise failure("40001")

        email = await create("ada")
        with pytest.raises(DBAPIError):
            await fails()
        async with database:
            return email, len(attempts), slept

    email, attempts, slept = asyncio.run(main())
    assert (email, attempts, len(slept)) == ("ada", 3, 2)


def test_delays_grow_and_differ() -> None:
    """Two transactions that collided do not meet again at the same moment."""
    assert all(0.01 <= delay_before(2) <= 0.02 <= 2 * delay_before(3) <= 0.08 for _ in range(100))
    assert len({delay_before(2) for _ in range(100)}) > 50
    assert not is_retryable(ValueError())


@pytest.mark.parametrize(
    ("sqlstate", "status"),
    [
        ("57014", 504), ("40001", 503), ("40P01", 503), ("08006", 503), ("53300", 503), ("57P01", 503),
        ("55P03", 503), ("42P01", None), ("22P02", None),
    ],
)  # fmt: skip
def test_states_have_their_answers(sqlstate: str, status: int | None, database: Database) -> None:
    """A statement over its limit, contradictions, lost connections, locks; a mistake in the code stays one."""
    answer = database.exception_map()[DBAPIError]
    assert callable(answer)
    info = answer(failure(sqlstate))
    assert (None if info is None else info.status) == status


def test_ping() -> None:
    """An answer, or an error in time; alone, in a test's transaction, and when the database is not there."""
    database = Database("sqlite://")
    asyncio.run(database.ping())
    with database.engine.connect() as connection, database.bound_to(connection):
        asyncio.run(database.ping())
    with pytest.raises(DatabaseUnavailableError, match="does not answer"):
        asyncio.run(Database("sqlite:////nowhere/at/all.db").ping())

    async def twin() -> None:
        there = AsyncDatabase("sqlite://")
        await there.ping()
        async with there.engine.connect() as connection, there.bound_to(connection):
            await there.ping()
        with pytest.raises(DatabaseUnavailableError, match="does not answer"):
            await AsyncDatabase("sqlite:////nowhere/at/all.db").ping()
        async with there:
            pass

    asyncio.run(twin())


def test_a_ping_that_hangs_ends_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread is left to itself, the route goes on, and requests have their threads."""
    hanging = threading.Event()
    engine = create_engine("sqlite://", creator=lambda: hanging.wait(10))

    async def ask() -> None:
        before = anyio.to_thread.current_default_thread_limiter().borrowed_tokens
        with pytest.raises(DatabaseUnavailableError):
            await Database(engine).ping(timeout_s=0.05)
        assert anyio.to_thread.current_default_thread_limiter().borrowed_tokens == before
        hanging.set()

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("url", "timeout", "connect"),
    [
        (
            "postgresql+psycopg://u@h/d",
            timedelta(seconds=2),
            {"connect_timeout": 5, "application_name": "shop", "options": "-c statement_timeout=2000"},
        ),
        (
            "postgresql+psycopg://u@h/d?application_name=own&options=-c%20x%3D1&connect_timeout=1",
            timedelta(seconds=2),
            {"options": "-c statement_timeout=2000 -c x=1"},
        ),
        ("postgresql+psycopg://u@h/d?application_name=own&options=-c%20x%3D1&connect_timeout=1", None, {}),
        (
            "postgresql+psycopg2://u@h/d?options=-c%20statement_timeout%3D1",
            timedelta(seconds=2),
            {"connect_timeout": 5, "application_name": "shop"},
        ),
        ("postgresql+psycopg://u@h/d", None, {"connect_timeout": 5, "application_name": "shop"}),
        ("postgresql+asyncpg://u@h/d", None, {"timeout": 5, "server_settings": {"application_name": "shop"}}),
        (
            "postgresql+asyncpg://u@h/d",
            timedelta(seconds=2),
            {
                "timeout": 5,
                "command_timeout": 2.15,
                "server_settings": {"application_name": "shop", "statement_timeout": "2000"},
            },
        ),
        ("mysql+pymysql://u@h/d", timedelta(seconds=2), {}),
    ],
)
def test_engine_defaults(url: str, timeout: timedelta | None, connect: dict[str, Any]) -> None:
    """A name, limits in time, a pool; what URL and application say themselves wins."""
    found = engine_options(make_url(url), {"pool_size": 3}, statement_timeout=timeout, application_name="shop")
    assert found.pop("connect_args") == connect
    assert found == {
        "hide_parameters": True,
        "pool_pre_ping": True,
        "pool_size": 3,
        "max_overflow": 10,
        "pool_timeout": 10,
    }


OURS = "-c statement_timeout=2000"


@pytest.mark.parametrize(
    ("url", "own", "merged"),
    [
        ("postgresql+psycopg://h/d", "-c x=1", f"{OURS} -c x=1"),
        ("postgresql+psycopg2://h/d", "-c x=1", f"{OURS} -c x=1"),
        ("postgresql+psycopg://h/d", None, OURS),
        ("postgresql+psycopg://h/d?options=-cy%3D2", "-c x=1", f"{OURS} -c x=1"),
        ("postgresql+psycopg://h/d", "-c my_statement_timeout=1", f"{OURS} -c my_statement_timeout=1"),
        ("postgresql+psycopg://h/d", "-c my.statement_timeout=1", f"{OURS} -c my.statement_timeout=1"),
        ("postgresql+psycopg://h/d", "-c x=1 -c statement_timeout=9", "-c x=1 -c statement_timeout=9"),
        ("postgresql+psycopg://h/d", "-cSTATEMENT_TIMEOUT=9", "-cSTATEMENT_TIMEOUT=9"),
        ("postgresql+psycopg://h/d", "--statement-timeout=9", "--statement-timeout=9"),
    ],
)
def test_options_of_libpq_are_merged(url: str, own: str | None, merged: str) -> None:
    """One more setting keeps the time limit; a limit of the application's own replaces both halves of ours."""
    timeout, given = timedelta(seconds=2), {"connect_args": {"options": own}}
    found = engine_options(make_url(url), given, statement_timeout=timeout, application_name="shop")
    assert found["connect_args"] == {"connect_timeout": 5, "application_name": "shop", "options": merged}
    assert limit_of(make_url(url), given, timeout) == (timeout if OURS in merged else None)
    assert given == {"connect_args": {"options": own}}


@pytest.mark.parametrize(
    ("own", "merged"),
    [
        ({"jit": "off"}, {"application_name": "shop", "statement_timeout": "2000", "jit": "off"}),
        ({"application_name": "own"}, {"application_name": "own", "statement_timeout": "2000"}),
        (None, {"application_name": "shop", "statement_timeout": "2000"}),
        ({"statement_timeout": "9000"}, {"application_name": "shop", "statement_timeout": "9000"}),
    ],
)
def test_server_settings_of_asyncpg_are_merged(own: dict[str, str] | None, merged: dict[str, str]) -> None:
    """By name; a limit of the application's own takes the place of both halves of ours."""
    url, timeout = make_url("postgresql+asyncpg://h/d"), timedelta(seconds=2)
    given = {"connect_args": {"server_settings": own, "timeout": 1}}
    found = engine_options(url, given, statement_timeout=timeout, application_name="shop")["connect_args"]
    limited = merged["statement_timeout"] == "2000"
    assert found == {"server_settings": merged, "timeout": 1} | ({"command_timeout": 2.15} if limited else {})
    assert limit_of(url, given, timeout) == (timeout if limited else None)


def test_a_limit_of_the_applications_own_is_not_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """The psycopg connection that gives up on a server goes by our limit, and is not made where that is not kept."""
    limits: list[float] = []
    monkeypatch.setattr("fastapi_patterns.db._engine.bounded_connect", limits.append)
    Database("postgresql://h/d", connect_args={"options": "-c statement_timeout=90s"}).engine.dispose()
    assert limits == []
    Database("postgresql://h/d", connect_args={"options": "-c search_path=shop"}).engine.dispose()
    assert limits == [pytest.approx(31.55)]


@pytest.mark.parametrize(
    ("make", "arguments", "problem"),
    [
        (Database, {"options": ["-c x=1"]}, "options must be a text, such as '-c x=1'; got list"),
        (
            AsyncDatabase,
            {"server_settings": "jit=off"},
            "server_settings must be a dict.* got str",
        ),
    ],
)
def test_settings_of_the_server_have_their_kind(make: Any, arguments: dict[str, Any], problem: str) -> None:
    """What the driver would refuse at the first query is refused at the start."""
    app = FastAPI()
    install_stack(app, resources=[make("postgresql://h/d", connect_args=arguments)])
    with pytest.raises(ConfigurationError, match=problem), TestClient(app):
        pass


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"commit": "later"}, "commit must be 'before_response' or 'manual'; got 'later'"),
        ({"other_integrity_status": 409}, "must be 422 or 500; got 409"),
        ({"statement_timeout": timedelta(0)}, "statement_timeout must be a positive timedelta"),
        (
            {"statement_timeout": 10},
            "must be a positive timedelta from 1 ms to 24 days, or None; got 10",
        ),
        ({"constraints": ["uq"]}, "constraints must be a mapping"),
        ({"constraints": {"uq": 5}}, "'uq' must have a text, or an ErrorInfo"),
        ({"constraints": {"uq": ""}}, "'uq' must have a text, or an ErrorInfo"),
        ({"constraints": {"uq": ErrorInfo(status=200)}}, "'uq' must have a text, or an ErrorInfo"),
        ({"session_class": str}, "session_class must be a subclass of sqlalchemy"),
        ({"statement_timeout": timedelta(microseconds=999)}, "from 1 ms to 24 days, or None"),
        ({"statement_timeout": timedelta(days=25)}, "from 1 ms to 24 days, or None"),
        ({"application_name": 5}, "application_name must be a text, such as 'shop-api'; got 5"),
        ({"application_name": ""}, "application_name must be a text, such as 'shop-api'; got ''"),
        ({"metadata": "x"}, r"metadata must be a MetaData, such as Base\.metadata; got str"),
        ({"metadata": Base}, r"got a class: pass Base\.metadata"),
        ({"connect_args": 5}, "connect_args must be a dict of the driver's arguments; got int"),
        ({"pool_size": -5}, "pool_size must be an int, 0 or more; got -5"),
        ({"pool_size": "5"}, "pool_size must be an int, 0 or more; got '5'"),
        ({"pool_size": True}, "pool_size must be an int, 0 or more; got True"),
        ({"max_overflow": 1.5}, "max_overflow must be an int, -1 or more; got 1.5"),
        ({"pool_timeout": float("nan")}, "pool_timeout must be a number of seconds, 0 or more; got nan"),
        ({"pool_recycle": None}, "pool_recycle must be a number of seconds, -1 or more; got None"),
    ],
)
@pytest.mark.parametrize("make", [Database, AsyncDatabase])
def test_what_cannot_be_meant_is_refused(make: Any, options: dict[str, Any], problem: str) -> None:
    """When the object is made, with words."""
    with pytest.raises(ConfigurationError, match=problem):
        make("sqlite://", **options)


def test_a_second_database_takes_no_answers_away(tmp_path: Path) -> None:
    """A replica beside it has no constraints of its own: those of the first go on being answered."""
    url = f"sqlite:///{tmp_path}/x.db"
    database = Database(url, metadata=Base.metadata, constraints=CONSTRAINTS, other_integrity_status=422)
    replica = Database(url, metadata=Base.metadata, commit="manual")
    app = FastAPI()
    install_stack(app, resources=[database, replica])
    database.create_all()
    numbers = itertools.count()

    @app.post("/{age}")
    def create(age: int, session: Annotated[Session, Depends(database.session)]) -> None:
        session.add(Member(email="ada@a.example", number=next(numbers), age=age))

    with TestClient(app) as asked:
        answers = [asked.post(f"/{age}") for age in (1, 1, -1)]
    assert [(answer.status_code, answer.json()) for answer in answers[:2]] == [
        (200, None),
        (409, {"error": "E-mail is taken"}),
    ]
    assert answers[2].status_code == 422


def test_each_of_several_databases_has_its_constraints_answered(tmp_path: Path) -> None:
    """What any of them says of a name comes before what one says of all; then the first with an answer has it."""
    shared = {"ck_members_age": ErrorInfo(status=422, detail="of the first")}
    first = Database(f"sqlite:///{tmp_path}/1.db", metadata=Base.metadata, constraints=shared)
    second = AsyncDatabase(
        f"sqlite:///{tmp_path}/2.db",
        metadata=Base.metadata,
        constraints={"uq_members_email": "of the second", "ck_members_age": "of the second"},
        other_integrity_status=422,
    )
    third = Database(f"sqlite:///{tmp_path}/3.db", constraints={"uq_members_number": "of the third"})
    app = FastAPI()
    install_stack(app, resources=[first, second, third])
    first.create_all()

    @app.post("/")
    def create(
        session: Annotated[Session, Depends(first.session)],
        email: str = "b",
        nick: str | None = None,
        age: int = 1,
        boss_id: int | None = None,
    ) -> None:
        session.add(Member(email=email, number=2, nick=nick, age=age, boss_id=boss_id))

    with first.session_scope() as session:
        session.add(Member(email="ada", nick="ada"))
    violations: list[dict[str, Any]] = [{"email": "ada"}, {"age": -1}, {"nick": "ada"}, {"boss_id": 9}]
    with TestClient(app) as asked:
        answers = [asked.post("/", params=violation) for violation in violations]
    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (409, {"error": "of the second"}),
        (422, {"error": "of the first"}),
        (409, {"error": "This already exists"}),
        (422, {"error": "The data contradicts what is stored"}),
    ]
    first.engine.dispose()


def test_a_database_that_stands_in_for_its_replica_is_opened_once() -> None:
    """Where there is no replica both names are one object, also in the list of resources."""
    database = Database("sqlite://")
    app = FastAPI()
    install_stack(app, resources=[database, database])
    stack = stack_of(app)
    assert stack is not None
    assert stack.resources == (database,)


def test_a_session_that_a_thread_is_still_inside_is_ended_after_it() -> None:
    """A cancelled request leaves its thread running: the session waits for it, and the connection comes back."""
    entered, go_on = threading.Event(), threading.Event()

    def connect() -> sqlite3.Connection:
        entered.set()
        assert go_on.wait(10)
        return sqlite3.connect(":memory:", check_same_thread=False)

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool)
    session = Database(engine)._open()
    thread = threading.Thread(target=session.execute, args=(select(1),))

    async def end() -> None:
        thread.start()
        assert entered.wait(10)
        asyncio.get_running_loop().call_later(0.05, go_on.set)
        await _end(session, commit=False)

    asyncio.run(end())
    thread.join()
    assert engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    engine.dispose()
