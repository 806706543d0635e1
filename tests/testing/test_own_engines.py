"""What an application has beside the plugin's fixtures: session classes of its own, and engines that it kept."""

from importlib.util import find_spec

import pytest

from tests.testing.projects import configure

_SQLMODEL = """
from typing import Annotated
from fastapi import Depends, FastAPI
from sqlmodel import Field, Session, SQLModel, create_engine, select
{imports}

class Hero(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)

{get_db}

app = FastAPI()

@app.post("/")
{way}def create(db: Annotated[{cls}, Depends(get_db)]) -> None:
    db.add(Hero())
    {wait}db.commit()

@app.get("/")
{way}def read(db: Annotated[{cls}, Depends(get_db)]) -> int:
    return len(list({wait}db.exec(select(Hero))))
"""
_SYNC = {"way": "", "wait": "", "cls": "Session"}
_ASYNC = {"way": "async ", "wait": "await ", "cls": "AsyncSession"}
_ASYNC_IMPORTS = """
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession
"""


@pytest.mark.skipif(find_spec("sqlmodel") is None, reason="could not import 'sqlmodel'")
@pytest.mark.parametrize(
    ("words", "imports", "get_db"),
    [
        (
            _SYNC,
            "",
            "engine = create_engine('sqlite:///real.db')\ndef get_db():\n    with Session(engine) as s: yield s",
        ),
        (
            _SYNC,
            "from sqlalchemy.orm import sessionmaker",
            "make = sessionmaker(create_engine('sqlite:///real.db'), class_=Session)\ndef get_db():\n    yield make()",
        ),
        (
            _SYNC,
            "from sqlalchemy.orm import scoped_session, sessionmaker",
            "make = scoped_session(sessionmaker(class_=Session))\ndef get_db():\n    yield make()",
        ),
        (
            _ASYNC,
            _ASYNC_IMPORTS,
            "make = async_sessionmaker(create_async_engine('sqlite+aiosqlite:///real.db'), class_=AsyncSession)\n"
            "async def get_db():\n    async with make() as s: yield s",
        ),
    ],
    ids=["a class", "a sessionmaker", "a scoped_session", "async"],
)
def test_sessions_are_of_the_class_that_get_db_makes(
    pytester: pytest.Pytester, words: dict[str, str], imports: str, get_db: str
) -> None:
    """SQLModel's have `exec`, in routes and in the test's own session."""
    pytester.makepyfile(shop=_SQLMODEL.format(imports=imports, get_db=get_db, **words))
    configure(pytester, more="fastapi_get_db = shop:get_db\nfastapi_metadata = shop:SQLModel")
    own = "" if words is _ASYNC else ", db"
    pytester.makepyfile(
        test_it=f"""
        from shop import Hero, select

        def test_it(client{own}):
            client.post("/")
            assert client.get("/").json() == 1
            {"assert len(db.exec(select(Hero)).all()) == 1" if own else ""}
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    assert not (pytester.path / "real.db").exists()


_KEPT = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from fastapi_patterns import Database, install_stack

class Base(DeclarativeBase):
    pass

class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)

{kept}
app = FastAPI()
install_stack(app, resources=[database])

@app.post("/around")
def around() -> None:
    with Session(engine) as session:
        session.add(User())
        session.commit()

@app.post("/by-it")
def by_it() -> int:
    with database.session_scope() as session:
        session.add(User())
        session.flush()
        return session.query(User).count()
"""


@pytest.mark.parametrize(
    "kept",
    [
        "engine = create_engine('sqlite:///real.db')\ndatabase = Database(engine, metadata=Base.metadata)",
        "database = Database('sqlite:///real.db', metadata=Base.metadata)\nengine = database.engine",
    ],
    ids=["given", "taken"],
)
@pytest.mark.parametrize("client", ["client", "client, db_committed"])
def test_an_engine_that_was_kept_does_not_reach_the_real_database(
    pytester: pytest.Pytester, kept: str, client: str
) -> None:
    """Neither on a new connection nor on one of its pool; outside of tests, and after them, it works."""
    pytester.makepyfile(shop=_KEPT.format(kept=kept))
    configure(pytester)
    pytester.makepyfile(
        test_it=f"""
        import pytest
        from shop import Base, Session, User, engine
        from fastapi_patterns import ConfigurationError

        Base.metadata.create_all(engine)

        @pytest.mark.parametrize("pooled", [True, False])
        def test_it({client}, pooled):
            if not pooled:
                engine.dispose()
            with pytest.raises(ConfigurationError, match="own engine in a test, and would have written to its real"):
                client.post("/around")
            assert client.post("/by-it").json() == 1

        def test_after_them():
            with Session(engine) as session:
                assert session.query(User).count() == 0
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=3)


_OWN_CLIENT = """
import pytest
from fastapi.testclient import TestClient
from shop import app, database, User

@pytest.fixture
def own():
    with TestClient(app) as client:
        database.create_all()
        yield client

def test_own_client(own):
    own.post("/by-it")

def test_script():
    with database.session_scope() as session:
        session.add(User())

def test_isolated(own, client):
    client.post("/by-it")
"""


def test_a_test_that_opens_the_applications_own_database_is_warned_of(pytester: pytest.Pytester) -> None:
    """By name, where nothing of the plugin binds it; one that the plugin does not know is the test's own affair."""
    kept = "database = Database('sqlite:///real.db', metadata=Base.metadata)\nengine = None"
    pytester.makepyfile(shop=_KEPT.format(kept=kept), test_it=_OWN_CLIENT)
    configure(pytester)
    result = pytester.runpytest_subprocess("-W", "default::fastapi_patterns.exceptions.ConfigurationWarning")
    result.assert_outcomes(passed=3, warnings=2)
    result.stdout.fnmatch_lines(
        [
            "test_it.py::test_own_client",
            "*this test opened Database(sqlite:///real.db), which is the application's own*",
        ]
    )
    result.stdout.fnmatch_lines(["test_it.py::test_script", "*this test opened Database(sqlite:///real.db)*"])
    result.stdout.no_fnmatch_line("test_it.py::test_isolated")


def test_a_database_of_a_test_does_not_import_the_application(pytester: pytest.Pytester) -> None:
    """Which may need an environment that tests of something else do not have."""
    pytester.makepyfile(
        shop="raise KeyError('SECRET_KEY')",
        test_it="""
        from fastapi_patterns import Database

        def test_it():
            database = Database("sqlite://")
            with database.session_scope() as session:
                assert session.connection()
            database.engine.dispose()
        """,
    )
    configure(pytester)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
