"""The projects whose tests are timed: three applications with 15 tables, each with the ways to test it.

The hand-written conftests are the ones that people write, with what makes them right on SQLite. Each enters the client,
so that the lifespan runs, as ours does; one does not, to show what that is.
"""

from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "ASYNC",
    "ASYNC_SAVEPOINTS",
    "CREATE_DROP",
    "DATABASE",
    "GET_DB",
    "NO_REQUEST",
    "SAVEPOINTS",
    "Project",
    "write",
]

_TABLES = """
from typing import Annotated
from fastapi import Depends, FastAPI, HTTPException
from pydantic import BaseModel
from sqlalchemy import Column, ForeignKey, Integer, String, Table
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

class Base(DeclarativeBase):
    pass

class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]

for number in range(14):
    Table(
        f"table_{number}", Base.metadata,
        Column("id", Integer, primary_key=True),
        Column("name", String, index=True),
        Column("user_id", ForeignKey("users.id"), index=True),
    )

class UserIn(BaseModel):
    name: str

class UserOut(UserIn, from_attributes=True):
    id: int

app = FastAPI()
"""

_SYNC_ROUTES = """
@app.post("/users", response_model=UserOut)
def create(user: UserIn, db: Annotated[Session, Depends({dependency})]):
    created = User(name=user.name)
    db.add(created)
    db.{ending}()
    return created

@app.get("/users/{{user_id}}", response_model=UserOut)
def read(user_id: int, db: Annotated[Session, Depends({dependency})]):
    found = db.get(User, user_id)
    if found is None:
        raise HTTPException(404)
    return found
"""

_GET_DB_APP = (
    _TABLES
    + """
from sqlalchemy import create_engine
from sqlalchemy.orm import Session, sessionmaker

SessionLocal = sessionmaker(create_engine("sqlite:///real.db"))

def get_db():
    with SessionLocal() as session:
        yield session
"""
    + _SYNC_ROUTES.format(dependency="get_db", ending="commit")
)

_DATABASE_APP = (
    _TABLES
    + """
from sqlalchemy.orm import Session
from fastapi_patterns import Database, TaskQueue, install_stack

database = Database("sqlite:///real.db", metadata=Base.metadata)
install_stack(app, resources=[database, TaskQueue()])
"""
    + _SYNC_ROUTES.format(dependency="database.session", ending="flush")
)

_ASYNC_APP = (
    _TABLES
    + """
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

SessionLocal = async_sessionmaker(create_async_engine("sqlite+aiosqlite:///real.db"), expire_on_commit=False)

async def get_db():
    async with SessionLocal() as session:
        yield session

@app.post("/users", response_model=UserOut)
async def create(user: UserIn, db: Annotated[AsyncSession, Depends(get_db)]):
    created = User(name=user.name)
    db.add(created)
    await db.commit()
    return created

@app.get("/users/{user_id}", response_model=UserOut)
async def read(user_id: int, db: Annotated[AsyncSession, Depends(get_db)]):
    found = await db.get(User, user_id)
    if found is None:
        raise HTTPException(404)
    return found
"""
)

_TESTS = """
import pytest

@pytest.mark.parametrize("number", range({tests}))
def test_create_and_read(client, number):
    user = client.post("/users", json={{"name": "Ada"}}).json()
    assert user["id"] > 0
    assert client.get(f"/users/{{user['id']}}").json() == user
"""

_DB_TESTS = """
import pytest
import shop

@pytest.mark.parametrize("number", range({tests}))
def test_create_and_read(db, number):
    db.add(shop.User(name="Ada"))
    db.commit()
    assert [user.name for user in db.query(shop.User)] == ["Ada"]
"""

_ASYNC_TESTS = """
import pytest

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
@pytest.mark.parametrize("number", range({tests}))
async def test_create_and_read(async_client, number):
    user = (await async_client.post("/users", json={{"name": "Ada"}})).json()
    assert user["id"] > 0
    assert (await async_client.get(f"/users/{{user['id']}}")).json() == user
"""


@dataclass(frozen=True, kw_only=True)
class Project:
    """A project whose tests are run.

    Attributes:
        app: The text of `shop.py`.
        tests: The text of `test_it.py`, with a place for their number.
        ini: What its pytest configuration says beside that.
        overridden: The dependency that a conftest overrides.
    """

    app: str
    tests: str
    ini: str
    overridden: str


_BY_NAME = "fastapi_get_db = shop:get_db\nfastapi_metadata = shop:Base"
GET_DB = Project(app=_GET_DB_APP, tests=_TESTS, ini=_BY_NAME, overridden="shop.get_db")
NO_REQUEST = Project(app=_GET_DB_APP, tests=_DB_TESTS, ini=_BY_NAME, overridden="shop.get_db")
DATABASE = Project(app=_DATABASE_APP, tests=_TESTS, ini="", overridden="shop.database.session")
ASYNC = Project(app=_ASYNC_APP, tests=_ASYNC_TESTS, ini=_BY_NAME, overridden="shop.get_db")

_ENGINE = """
import pytest
import shop
from fastapi.testclient import TestClient
from sqlalchemy import StaticPool, create_engine, event
from sqlalchemy.orm import Session

engine = create_engine({url!r}{options})
"""

_REAL_SAVEPOINTS = """
@event.listens_for({engine}, "connect")
def on_connect(connection, record):
    connection.isolation_level = None

@event.listens_for({engine}, "begin")
def on_begin(connection):
    connection.exec_driver_sql("BEGIN")
"""

_CLIENT = """
@pytest.fixture
def client(db):
    def override():
        yield db
        {ending}

    shop.app.dependency_overrides[{overridden}] = override
    {enter}
    shop.app.dependency_overrides.clear()
"""

# A connection in a transaction around each test.
SAVEPOINTS = (
    _ENGINE
    + "{savepoints}"
    + """
@pytest.fixture(scope="session", autouse=True)
def tables():
    shop.Base.metadata.create_all(engine)

@pytest.fixture
def db():
    with engine.connect() as connection:
        transaction = connection.begin()
        session = Session(bind=connection, join_transaction_mode="create_savepoint")
        yield session
        session.close()
        transaction.rollback()
"""
    + _CLIENT
)

# What most conftests do.
CREATE_DROP = (
    _ENGINE
    + """
@pytest.fixture
def db():
    shop.Base.metadata.create_all(engine)
    session = Session(engine)
    yield session
    session.close()
    shop.Base.metadata.drop_all(engine)
"""
    + _CLIENT
)

ASYNC_SAVEPOINTS = (
    """
import asyncio
import httpx2
import pytest
import shop
from sqlalchemy import StaticPool, event
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

engine = create_async_engine("sqlite+aiosqlite://", poolclass=StaticPool)
"""
    + _REAL_SAVEPOINTS.replace("{engine}", "engine.sync_engine")
    + """
@pytest.fixture(scope="session", autouse=True)
def tables():
    async def create():
        async with engine.begin() as connection:
            await connection.run_sync(shop.Base.metadata.create_all)

    asyncio.run(create())
    yield
    asyncio.run(engine.dispose())

@pytest.fixture
async def db():
    async with engine.connect() as connection:
        transaction = await connection.begin()
        session = AsyncSession(bind=connection, join_transaction_mode="create_savepoint", expire_on_commit=False)
        yield session
        await session.close()
        await transaction.rollback()

@pytest.fixture
async def async_client(db):
    shop.app.dependency_overrides[shop.get_db] = lambda: db
    async with shop.app.router.lifespan_context(shop.app):
        transport = httpx2.ASGITransport(shop.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client
    shop.app.dependency_overrides.clear()
"""
)

_ENTERED = "with TestClient(shop.app) as client:\n        yield client"
_NOT_ENTERED = "yield TestClient(shop.app)"
_IN_MEMORY = ', poolclass=StaticPool, connect_args={"check_same_thread": False}'
_ON_A_FILE = ', connect_args={"check_same_thread": False}'


def write(
    folder: Path, project: Project, conftest: str | None, *, url: str = "sqlite://", lifespan: bool = True, tests: int
) -> None:
    """Write a project, with a conftest or with the plugin configured where there is none."""
    own = "" if conftest is not None else f"fastapi_app = shop:app\nfastapi_db = {url}\n{project.ini}"
    (folder / "pytest.ini").write_text(f"[pytest]\npythonpath = .\nfilterwarnings = error\n{own}\n")
    (folder / "shop.py").write_text(project.app)
    (folder / "test_it.py").write_text(project.tests.format(tests=tests))
    if conftest is not None:
        options = _IN_MEMORY if url == "sqlite://" else _ON_A_FILE if url.startswith("sqlite") else ""
        values = {
            "{url!r}": repr(url), "{options}": options, "{overridden}": project.overridden,
            "{savepoints}": _REAL_SAVEPOINTS if url.startswith("sqlite") else "", "{engine}": "engine",
            "{enter}": _ENTERED if lifespan else _NOT_ENTERED,
            "{ending}": "db.commit()" if project is DATABASE else "pass",
        }  # fmt: skip
        for place, value in values.items():
            conftest = conftest.replace(place, value)
        (folder / "conftest.py").write_text(conftest)
