"""Applications and configurations for the projects that the plugin's tests make with `pytester`."""

import pytest

__all__ = ["ASYNC_SHOP", "OTHERS_OFF", "RUNNERS", "SHOP", "configure"]

# Plugins of others that a project here does not need, and that take their time to import: schemathesis alone 1.5 s.
OTHERS_OFF = " ".join(
    f"-p no:{name}" for name in ("schemathesis", "hypothesispytest", "faker", "django", "flask", "valkey")
)

_TABLES = """
from typing import Annotated
from contextlib import asynccontextmanager
from fastapi import Depends, FastAPI, Request
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from fastapi_patterns import Database, PendingTasks, TaskQueue, install_stack

class Base(DeclarativeBase):
    pass

class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(default="ada")
    email: Mapped[str | None] = mapped_column(unique=True)

tasks = TaskQueue()
TasksDep = Annotated[PendingTasks, Depends(tasks.pending)]

@asynccontextmanager
async def lifespan(app):
    app.state.is_open = True
    yield {"greeting": "hello"}
    app.state.is_open = False

app = FastAPI(lifespan=lifespan)

@app.get("/state")
def state(request: Request) -> str:
    return request.state.greeting

@app.get("/broken")
def broken() -> None:
    raise ValueError("broken")
"""

# Over a sync database.
SHOP = (
    _TABLES
    + """
database = Database("sqlite:///real.db", metadata=Base.metadata)
install_stack(app, resources=[database, tasks])
SessionDep = Annotated[Session, Depends(database.session)]

def rename(user_id: int) -> None:
    with database.session_scope() as session:
        session.get_one(User, user_id).name += " (welcomed)"

@app.post("/users")
def create(session: SessionDep, tasks: TasksDep) -> int:
    user = User()
    session.add(user)
    session.flush()
    tasks.add_task(rename, user.id)
    return user.id

@app.get("/users")
def users(session: SessionDep) -> list[str]:
    return list(session.scalars(select(User.name).order_by(User.id)))

@app.post("/undone")
def undone(session: SessionDep) -> None:
    session.add(User(name="undone"))
    session.flush()
    raise ValueError("undone")
"""
)

# The same over an async one.
ASYNC_SHOP = (
    _TABLES
    + """
from sqlalchemy.ext.asyncio import AsyncSession
from fastapi_patterns import AsyncDatabase

database = AsyncDatabase("sqlite:///real.db", metadata=Base.metadata)
install_stack(app, resources=[database, tasks])
SessionDep = Annotated[AsyncSession, Depends(database.session)]

async def rename(user_id: int) -> None:
    async with database.session_scope() as session:
        (await session.get_one(User, user_id)).name += " (welcomed)"

@app.post("/users")
async def create(session: SessionDep, tasks: TasksDep) -> int:
    user = User()
    session.add(user)
    await session.flush()
    tasks.add_task(rename, user.id)
    return user.id

@app.get("/users")
async def users(session: SessionDep) -> list[str]:
    return list(await session.scalars(select(User.name).order_by(User.id)))

@app.post("/undone")
async def undone(session: SessionDep) -> None:
    session.add(User(name="undone"))
    await session.flush()
    raise ValueError("undone")
"""
)

_INI = """
[pytest]
fastapi_app = {app}
pythonpath = .
addopts = {addopts}
filterwarnings = error
{more}
"""

# How async tests are run: what goes into the configuration, and what each test module begins with.
RUNNERS = {
    "anyio": (
        "-p no:asyncio",
        "",
        "import pytest\npytestmark = pytest.mark.anyio\n@pytest.fixture\ndef anyio_backend(): return 'asyncio'\n",
    ),
    "asyncio-strict": (
        "",
        "asyncio_mode = strict\nasyncio_default_fixture_loop_scope = function",
        "import pytest\npytestmark = pytest.mark.asyncio\n",
    ),
    "asyncio-auto": ("", "asyncio_mode = auto\nasyncio_default_fixture_loop_scope = function", ""),
    "asyncio-session-loop": (
        "",
        "asyncio_mode = auto\nasyncio_default_fixture_loop_scope = session\nasyncio_default_test_loop_scope = session",
        "",
    ),
    "asyncio-module-loop": (
        "",
        "asyncio_mode = strict\nasyncio_default_fixture_loop_scope = function",
        "import pytest\npytestmark = pytest.mark.asyncio(loop_scope='module')\n",
    ),
}


def configure(pytester: pytest.Pytester, app: str = "shop:app", addopts: str = "-p no:asyncio", more: str = "") -> None:
    """Write the project's configuration."""
    pytester.makeini(_INI.format(app=app, addopts=f"-p no:randomly {OTHERS_OFF} {addopts}", more=more))
