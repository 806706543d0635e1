"""What a database is made from: a mistake is told when the object is made, or when the application starts."""

import asyncio
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import QueuePool, create_engine
from sqlalchemy.ext.asyncio import AsyncSession, async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from fastapi_patterns import AsyncDatabase, ConfigurationError, Database, install_stack
from fastapi_patterns.db._url import make_engine
from fastapi_patterns.exceptions import MissingExtraError
from tests.db.models import Owner

ASYNC_URL = "sqlite+aiosqlite://"


@pytest.mark.parametrize(
    ("make", "url", "problem"),
    [
        (
            Database,
            "sqlite+aiosqlite://",
            r"needs a sync driver; got sqlite\+aiosqlite://.* AsyncDatabase, or .*sqlite://",
        ),
        (
            Database,
            "postgresql+asyncpg://u:pass-word@h/d",
            r"Use AsyncDatabase, or name a sync driver \(postgresql://\)",
        ),
        (
            AsyncDatabase,
            "sqlite+pysqlite://",
            r"needs an async driver; got sqlite\+pysqlite://.*\(sqlite\+aiosqlite://\)",
        ),
        (AsyncDatabase, "postgresql+psycopg2://u:pass-word@h/d", r"Use Database, or .* \(postgresql\+asyncpg://\)"),
        (AsyncDatabase, "mssql+pymssql://u:pass-word@h/d", r"\(mssql\+aioodbc://\)"),
        (AsyncDatabase, "oracle+cx_oracle://u:pass-word@h/d", "Use Database$"),
        (Database, "foo://u:pass-word@h/d", "SQLAlchemy knows no database or driver 'foo'"),
        (AsyncDatabase, "postgresql+nope://u:pass-word@h/d", r"no database or driver 'postgresql\+nope'"),
        (Database, "postgresql://u:pass-word@h:port/d", "port in a database URL must be a number from 1 to 65535"),
        (Database, "postgresql://u:pass-word@h:99999/d", "port in a database URL must be a number from 1 to 65535"),
        (AsyncDatabase, "postgresql://u:pass-word#1:x/d", "port in a database URL.*quote_plus"),
        (Database, "sqlite://app.db", "three slashes before its file: sqlite:///app.db"),
        (AsyncDatabase, "sqlite://app.db", "three slashes before its file: sqlite:///app.db"),
    ],
)
def test_a_url_that_cannot_work_is_refused_at_once(make: Any, url: str, problem: str) -> None:
    """Before a query, with what to write instead, and without the password."""
    with pytest.raises(ConfigurationError, match=problem) as caught:
        make(url)
    assert "pass-word" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("url", ["postgresql+psycopg://h/d", "postgresql+psycopg_async://h/d", "oracle+oracledb://h/d"])
def test_a_driver_that_is_both_is_taken_by_the_async_database(url: str) -> None:
    """SQLAlchemy chooses the async half of such a driver by itself."""
    assert AsyncDatabase(url)._source.drivername == url.partition(":")[0]


def test_urls_are_checked_without_their_drivers() -> None:
    """Making the objects, as a module does when it is imported, imports no driver and makes no engine."""
    code = (
        "import sys; from fastapi_patterns import AsyncDatabase, Database;"
        "made = [Database('postgresql://h/d'), AsyncDatabase('postgresql://h/d'), AsyncDatabase('sqlite://')];"
        "print([name for name in ('psycopg', 'asyncpg', 'aiosqlite') if name in sys.modules],"
        " [each._maker for each in made])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[] [None, None, None]"


@pytest.mark.parametrize(
    ("make", "url", "options", "problem"),
    [
        (
            Database,
            "postgresql://u:pass-word@h/d",
            {"pool_szie": 5},
            "create_engine takes no .*'pool_szie'",
        ),
        (AsyncDatabase, "postgresql://u:pass-word@h/d", {"pool_szie": 5}, "create_async_engine takes no.*'pool_szie'"),
        (
            AsyncDatabase,
            "postgresql://u:pass-word@h/d",
            {"poolclass": QueuePool},
            "QueuePool cannot be used with",
        ),
        (Database, "postgresql://h/d", {"pool_szie": 5}, r"pool_szie: did you mean pool_size"),
        (Database, "sqlite://", {"constraint": {}}, r"constraint: did you mean constraints\?"),
        (AsyncDatabase, "sqlite://", {"metdata": 1, "ehco": 1}, r"metdata: did you mean metadata\? ehco: did you mean"),
        (Database, "sqlite://", {"pool_size": 5}, r"takes no such options for sqlite://.*pool_size[^?]*\Z"),
        (Database, "sqlite://", {"frobnicate": 5}, r"frobnicate[^?]*\Z"),
        (Database, "sqlite://", {"echo": "loud"}, "create_engine takes no such options for sqlite://"),
        (Database, "mysql+pymysql://u:pass-word@h/d", {}, r"pymysql.* Install it with pip install pymysql"),
        (Database, "mysql://u:pass-word@h/d", {}, "pip install mysqlclient"),
        (AsyncDatabase, "mysql+aiomysql://u:pass-word@h/d", {}, "pip install aiomysql"),
    ],
)
def test_an_engine_that_cannot_be_made_stops_the_start(
    make: Any, url: str, options: dict[str, Any], problem: str
) -> None:
    """The application does not start: nobody has to wait for the first query."""
    app = FastAPI()
    install_stack(app, resources=[make(url, **options)])
    with pytest.raises(ConfigurationError, match=problem) as caught, TestClient(app):
        pass
    assert "pass-word" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "url", "extra"),
    [
        (Database, "postgresql://h/d", "postgres"),
        (AsyncDatabase, "postgresql://h/d", "postgres"),
        (AsyncDatabase, "postgresql+psycopg_async://h/d", "postgres"),
        (AsyncDatabase, "sqlite://", "async-db"),
    ],
)
def test_a_driver_of_an_extra_that_is_missing_names_it(
    make: Any, url: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the start, with the pip line."""
    monkeypatch.setattr("fastapi_patterns._optional.find_spec", lambda name: None)
    app = FastAPI()
    install_stack(app, resources=[make(url)])
    with pytest.raises(MissingExtraError, match=rf"fastapi-patterns\[{extra}\]"), TestClient(app):
        pass


def test_what_an_engine_says_is_not_repeated_with_a_secret() -> None:
    """An error's own words stand in the message, but not those that hold something of the URL or of connect_args."""
    from sqlalchemy import make_url

    def create(url: Any, **options: Any) -> Any:
        raise ValueError(f"bad: {options.get('word', 'plain')}")

    url = make_url("sqlite:///x?key=in-the-url")
    for secret in ("in-the-url", "in-connect-args"):
        with pytest.raises(ConfigurationError, match=r"sqlite:// \(ValueError\)$"):
            make_engine(create, url, {"word": secret, "connect_args": {"key": "in-connect-args"}})
    with pytest.raises(ConfigurationError, match="ValueError: bad: plain"):
        make_engine(create, url, {})


def test_a_start_makes_the_engine_unless_a_test_stands_in() -> None:
    """With a connection bound, the application's own driver is not asked for."""
    outside = create_engine("sqlite://")
    bound, plain = Database("mysql://h/d"), Database("sqlite://")

    async def live() -> None:
        with outside.connect() as connection, bound.bound_to(connection):
            async with bound, plain:
                assert bound._maker is None
                assert plain._maker is not None

    asyncio.run(live())
    outside.dispose()


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda a, s: Database(sessionmaker(a)), "Database takes sync engines; got .*aiosqlite. Use AsyncDatabase"),
        (lambda a, s: Database(sessionmaker(a.sync_engine)), "Database takes sync engines; got .*aiosqlite"),
        (lambda a, s: Database(a.sync_engine), "Database takes sync engines; got .*aiosqlite"),
        (lambda a, s: Database(sessionmaker(binds={Owner: a})), "Database takes sync engines; got .*aiosqlite"),
        (
            lambda a, s: Database(sessionmaker(class_=AsyncSession)),
            r"Use AsyncDatabase\(async_sessionmaker",
        ),
        (lambda a, s: AsyncDatabase(sessionmaker(a, class_=AsyncSession)), r"use async_sessionmaker\(engine\)"),
        (lambda a, s: AsyncDatabase(async_sessionmaker(s)), "got one of Engine. Use create_async_engine"),
        (lambda a, s: AsyncDatabase(async_sessionmaker(binds={Owner: s})), "got one of Engine"),
        (lambda a, s: AsyncDatabase(async_sessionmaker(a.sync_engine)), "got one of Engine"),
    ],
)
def test_an_engine_of_the_other_kind_is_refused(make: Any, problem: str) -> None:
    """Also inside a sessionmaker, where it would show at the first query."""
    with pytest.raises(ConfigurationError, match=problem):
        make(create_async_engine(ASYNC_URL), create_engine("sqlite://"))


def test_a_sessionmaker_that_is_configured_later_is_checked_at_the_start() -> None:
    """`SessionLocal.configure(bind=...)` may come after the database is made."""
    right, wrong = sessionmaker(), sessionmaker()
    databases = Database(right), Database(wrong)
    right.configure(bind=create_engine("sqlite://"))
    wrong.configure(bind=create_async_engine(ASYNC_URL))

    async def start(database: Database) -> None:
        async with database:
            pass

    asyncio.run(start(databases[0]))
    with pytest.raises(ConfigurationError, match="Database takes sync engines"):
        asyncio.run(start(databases[1]))


OWN = [
    ("an engine", Database, lambda: create_engine("sqlite://")),
    ("a sessionmaker", Database, lambda: sessionmaker(create_engine("sqlite://"))),
    ("an async engine", AsyncDatabase, lambda: create_async_engine(ASYNC_URL)),
    ("an async sessionmaker", AsyncDatabase, lambda: async_sessionmaker(create_async_engine(ASYNC_URL))),
]


@pytest.mark.parametrize(("kind", "make", "source"), OWN, ids=[kind for kind, _, _ in OWN])
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"statement_timeout": None}, "statement_timeout can only be given with a URL"),
        # The default, said aloud, is said.
        ({"statement_timeout": timedelta(seconds=30)}, "statement_timeout can only be given with a URL"),
        ({"application_name": "fastapi"}, "application_name can only be given with a URL"),
        (
            {"application_name": "x", "statement_timeout": None},
            "statement_timeout and application_name can only be given",
        ),
        ({"pool_size": 5, "echo": True}, "engine options go with a URL.*got pool_size, echo"),
    ],
)
def test_what_an_own_engine_would_ignore_is_refused(
    kind: str, make: Any, source: Any, options: dict[str, Any], problem: str
) -> None:
    """An option that would do nothing is a mistake, and none of them is one that was not given."""
    assert make(source())
    with pytest.raises(ConfigurationError, match=problem):
        make(source(), **options)


def test_a_session_class_beside_a_sessionmaker_is_refused() -> None:
    """It makes its own sessions; an engine makes none, and is given a class."""
    engine, async_engine = create_engine("sqlite://"), create_async_engine(ASYNC_URL)
    for make in (
        lambda: Database(sessionmaker(engine), session_class=Session),
        lambda: AsyncDatabase(async_sessionmaker(async_engine), session_class=AsyncSession),
    ):
        with pytest.raises(ConfigurationError, match="session_class can only be given with a URL or an engine"):
            make()
    assert Database(engine, session_class=Session)
    assert AsyncDatabase(async_engine, session_class=AsyncSession)


@pytest.mark.parametrize("make", [Database, AsyncDatabase])
@pytest.mark.parametrize("option", ["autoflush", "expire_on_commit", "class_", "binds"])
def test_an_option_of_sessions_names_the_sessionmaker(make: Any, option: str) -> None:
    """Beside a URL and beside an engine, as soon as the object is made."""
    engine = create_engine("sqlite://") if make is Database else create_async_engine("sqlite+aiosqlite://")
    for source in ("sqlite://", engine):
        with pytest.raises(
            ConfigurationError, match=rf"^{option}: sessions take that.*sessionmaker\(engine, {option}="
        ):
            make(source, **{option: None})


@pytest.mark.parametrize("make", [Database, AsyncDatabase])
def test_a_scoped_session_names_its_sessionmaker(make: Any) -> None:
    """It is the registry of sessions, and there is one for each thread or task: nothing to open a session with."""
    for source in (scoped_session(sessionmaker()), async_scoped_session(async_sessionmaker(), scopefunc=int)):
        with pytest.raises(ConfigurationError, match=r"scoped_session.*Pass the (async_)?sessionmaker inside it"):
            make(source)


@pytest.mark.parametrize("make", [Database, AsyncDatabase])
def test_calling_the_dependency_names_session_scope(make: Any) -> None:
    """`next(get_db())`, `for db in get_db()` and `async with database.session()` all begin with this call."""
    get_db = make("sqlite://").session
    with pytest.raises(TypeError, match=rf"^{make.__name__}\.session\(\) missing.*otherwise_use_session_scope"):
        get_db()


@pytest.mark.parametrize(("options", "warned"), [({}, True), ({"expire_on_commit": False}, False)])
def test_an_async_sessionmaker_whose_rows_expire_is_a_warning(
    options: dict[str, Any], warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Once, when the application starts; a URL's own sessions are right."""

    async def live(source: Any) -> None:
        database = AsyncDatabase(source)
        for _ in range(2):
            async with database:
                pass
        await database.engine.dispose()

    asyncio.run(live(async_sessionmaker(create_async_engine(ASYNC_URL), **options)))
    asyncio.run(live(ASYNC_URL))
    written = [record.getMessage() for record in caplog.records if "expire_on_commit=False" in record.getMessage()]
    assert len(written) == warned
