"""`assert_num_queries` and `max_queries`, in projects of their own, and the list that they print."""

from textwrap import dedent

import pytest

from fastapi_patterns.testing._query_report import Query, is_counted, report
from tests.testing.projects import RUNNERS, configure

_MODELS = """
from typing import Annotated
from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy import ForeignKey, create_engine, insert, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship, selectinload, sessionmaker
from fastapi_patterns import Database, PendingTasks, TaskQueue, install_stack

class Base(DeclarativeBase):
    pass

class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    orders: Mapped[list["Order"]] = relationship()

class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))

class OrderOut(BaseModel, from_attributes=True):
    id: int

class UserOut(BaseModel, from_attributes=True):
    name: str
    orders: list[OrderOut]

def people():
    return [User(id=n, name=f"user {n}", orders=[Order(id=2 * n), Order(id=2 * n + 1)]) for n in range(1, 13)]

tasks = TaskQueue()
app = FastAPI()
"""

SHOP = (
    _MODELS
    + """
database = Database("sqlite:///real.db", metadata=Base.metadata)
install_stack(app, resources=[database, tasks])
SessionDep = Annotated[Session, Depends(database.session)]

def in_a_task():
    with database.session_scope() as session:
        session.scalar(select(User.name).limit(1))

@app.post("/users")
def create(session: SessionDep, tasks: Annotated[PendingTasks, Depends(tasks.pending)]) -> int:
    session.add_all(people())
    tasks.add_task(in_a_task)
    return 12

@app.get("/users")
def list_users(session: SessionDep) -> dict[str, int]:
    users = session.scalars(select(User).order_by(User.id))
    return {user.name: len(user.orders) for user in users}

@app.get("/eager")
def eager(session: SessionDep) -> dict[str, int]:
    users = session.scalars(select(User).options(selectinload(User.orders)))
    return {user.name: len(user.orders) for user in users}

@app.get("/model", response_model=list[UserOut])
def model(session: SessionDep):
    return session.scalars(select(User)).all()
"""
)

ASYNC_SHOP = (
    _MODELS
    + """
from sqlalchemy.ext.asyncio import AsyncSession
from fastapi_patterns import AsyncDatabase

database = AsyncDatabase("sqlite:///real.db", metadata=Base.metadata)
install_stack(app, resources=[database, tasks])
SessionDep = Annotated[AsyncSession, Depends(database.session)]

async def in_a_task():
    async with database.session_scope() as session:
        await session.scalar(select(User.name).limit(1))

@app.post("/users")
async def create(session: SessionDep, tasks: Annotated[PendingTasks, Depends(tasks.pending)]) -> int:
    session.add_all(people())
    tasks.add_task(in_a_task)
    return 12

@app.get("/users")
async def list_users(session: SessionDep) -> dict[str, int]:
    users = (await session.scalars(select(User).order_by(User.id))).all()
    return {user.name: await count_orders(session, user) for user in users}

async def count_orders(session: AsyncSession, user: User) -> int:
    return len((await session.scalars(select(Order).where(Order.user_id == user.id))).all())
"""
)


def run(pytester: pytest.Pytester, shop: str, test: str, *, addopts: str = "-p no:asyncio", more: str = "") -> None:
    """Make a project with this application and this test."""
    pytester.makepyfile(shop=shop, test_it=dedent(test))
    configure(pytester, addopts=addopts, more=more)


RIGHT = """
import pytest
from concurrent.futures import ThreadPoolExecutor
from shop import User, database
from sqlalchemy import select, text

@pytest.mark.parametrize("turn", range(2))
def test_exact(client, assert_num_queries, turn):
    with assert_num_queries(3) as queries:
        client.post("/users")
    assert [statement.partition(" (")[0] for statement in queries[:2]] == ["INSERT INTO users", "INSERT INTO orders"]
    assert queries[-1].startswith("SELECT users.name")
    with assert_num_queries(2):
        client.get("/eager")

def test_at_most(client, max_queries):
    with max_queries(3):
        client.post("/users")
    with max_queries(5) as queries:
        client.get("/eager")
    assert len(queries) == 2

def test_blocks_in_blocks(client, assert_num_queries, max_queries):
    with assert_num_queries(5) as outer:
        client.post("/users")
        with max_queries(2) as inner:
            client.get("/eager")
    assert outer[3:] == list(inner)
    client.get("/eager")
    assert len(outer) == 5

def test_threads(client, assert_num_queries):
    client.post("/users")
    with assert_num_queries(16), ThreadPoolExecutor(4) as pool:
        list(pool.map(client.get, ["/eager"] * 8))

def test_its_own_session(client, db, assert_num_queries):
    with assert_num_queries(1):
        db.scalars(select(User)).all()

def test_what_does_not_count(client, db, assert_num_queries):
    with assert_num_queries(0) as queries:
        with db.begin_nested():
            db.execute(text("SELECT 1"))
        db.execute(text("/* which */ PRAGMA foreign_keys"))
        db.commit()
        with database.session_scope():
            pass
    assert list(queries) == []

def test_for_good(client, db_committed, assert_num_queries):
    with assert_num_queries(4):
        client.post("/users")
        db_committed.scalars(select(User.name)).all()

def test_an_error_is_its_own(assert_num_queries):
    with pytest.raises(ValueError, match="the test's"), assert_num_queries(3):
        raise ValueError("the test's")

def test_nothing_is_listened_to_outside(client, assert_num_queries):
    client.post("/users")
    with assert_num_queries(0):
        pass
"""


@pytest.mark.parametrize("addopts", ["-p no:asyncio", "-p no:asyncio -n 2"], ids=["one process", "workers"])
def test_right_numbers_pass(addopts: str, pytester: pytest.Pytester) -> None:
    """Routes, tasks, threads, the test's session, blocks in blocks, and databases that are committed to."""
    run(pytester, SHOP, RIGHT, addopts=addopts)
    pytester.runpytest_subprocess().assert_outcomes(passed=10)


def test_wrong_numbers_print_the_statements(pytester: pytest.Pytester) -> None:
    """Each once, by number, with its line, without its parameters; N+1 is named, and what to do about it."""
    run(
        pytester,
        SHOP,
        """
        def test_too_many(client, db, assert_num_queries):
            client.post("/users")
            with assert_num_queries(2):
                client.get("/users")

        def test_over_the_limit(client, max_queries):
            client.post("/users")
            with max_queries(1):
                client.get("/model")

        def test_nothing_sent(client, assert_num_queries):
            with assert_num_queries(1):
                client.get("/openapi.json")
        """,
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=3)
    lines = (pytester.path / "shop.py").read_text().splitlines()
    listed = lines.index("    users = session.scalars(select(User).order_by(User.id))") + 1
    result.stdout.fnmatch_lines(
        [
            "*with assert_num_queries(2):",
            "E * AssertionError: exactly 2 queries expected; 13 sent:",
            f"E *1. SELECT users.id, users.name FROM users ORDER BY users.id  at shop.py:{listed} in list_users",  # noqa: S608
            "E *2. 12 x SELECT * FROM orders WHERE ? = orders.user_id  at shop.py:* in list_users",
            "E *This looks like N+1: User.orders is loaded for one row after the other. Load it with the rows:",
            "E *select(...).options(selectinload(User.orders)), or joinedload*",
            "E * AssertionError: at most 1 query expected; 13 sent:",
            "E *12 x SELECT * FROM orders WHERE ? = orders.user_id  while FastAPI writes the response",
            "E *This looks like N+1: User.orders is loaded*",
            "E * AssertionError: exactly 1 query expected; 0 sent. No SQLAlchemy engine of this process sent*",
        ]
    )
    result.stdout.no_fnmatch_line("*queries.py:*")


ASYNC = """
import asyncio
from shop import User, database
from sqlalchemy import select

async def test_exact(async_client, assert_num_queries):
    with assert_num_queries(3):
        await async_client.post("/users")
    with assert_num_queries(26):
        await asyncio.gather(*(async_client.get("/users") for _ in range(2)))

async def test_its_own_session(async_db, assert_num_queries, max_queries):
    with assert_num_queries(1), max_queries(1):
        (await async_db.scalars(select(User))).all()

async def test_for_good(async_client, async_db_committed, max_queries):
    with max_queries(4) as queries:
        await async_client.post("/users")
        (await async_db_committed.scalars(select(User))).all()
    assert len(queries) == 4

async def test_wrong(async_client, assert_num_queries):
    await async_client.post("/users")
    with assert_num_queries(2):
        await async_client.get("/users")
"""


@pytest.mark.parametrize("runner", RUNNERS)
def test_async_tests_use_a_plain_with(runner: str, pytester: pytest.Pytester) -> None:
    """Under both plugins; the line of the application is found across SQLAlchemy's greenlets."""
    addopts, ini, head = RUNNERS[runner]
    run(pytester, ASYNC_SHOP, "import pytest\n" + head + ASYNC, addopts=addopts, more=ini)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(
        [
            "E * AssertionError: exactly 2 queries expected; 13 sent:",
            "E *1. SELECT * FROM users *  at shop.py:* in list_users",
            "E *2. 12 x SELECT * FROM orders WHERE *  at shop.py:* in count_orders",
            "E *This looks like N+1: the same SELECT from the same line.*",
        ]
    )


def test_an_async_database_through_the_sync_client(pytester: pytest.Pytester) -> None:
    """What the application sends in the client's own event loop counts."""
    run(
        pytester,
        ASYNC_SHOP,
        """
        def test_it(client, assert_num_queries):
            with assert_num_queries(3):
                client.post("/users")
        """,
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_a_get_db_and_engines_of_the_projects_own(pytester: pytest.Pytester) -> None:
    """The stand-in of a `get_db` counts, and so does an engine that the plugin does not know."""
    shop = _MODELS + dedent(
        """
        SessionLocal = sessionmaker(create_engine("sqlite:///real.db"))

        def get_db():
            with SessionLocal() as session:
                yield session

        @app.get("/users")
        def list_users(db: Annotated[Session, Depends(get_db)]) -> int:
            return len(db.scalars(select(User)).all())
        """
    )
    test = """
        from sqlalchemy import create_engine, text

        def test_the_stand_in(client, assert_num_queries):
            with assert_num_queries(1):
                client.get("/users")

        def test_another_engine(assert_num_queries):
            engine = create_engine("sqlite://")
            with assert_num_queries(2), engine.begin() as connection:
                connection.execute(text("CREATE TABLE numbers (number)"))
                connection.execute(text("INSERT INTO numbers VALUES (:n)"), [{"n": 1}, {"n": 2}, {"n": 3}])
            engine.dispose()
        """
    run(pytester, shop, test, more="fastapi_get_db = shop:get_db\nfastapi_metadata = shop:Base")
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("number", "message"),
    [
        ("-1", "ValueError: assert_num_queries takes the number of queries, 0 or more; got -1"),
        ("2.0", "TypeError: assert_num_queries takes the number of queries, such as assert_num_queries(2); got float"),
        ("True", "TypeError: assert_num_queries takes the number of queries*got bool"),
    ],
)
def test_what_is_no_number_is_refused_at_once(number: str, message: str, pytester: pytest.Pytester) -> None:
    """Before the block begins."""
    run(pytester, SHOP, f"def test_it(assert_num_queries):\n    assert_num_queries({number})")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"E *{message}"])


def test_without_sqlalchemy_it_says_so(pytester: pytest.Pytester) -> None:
    """There is nothing to count, and 0 would be a lie."""
    pytester.makepyfile(hide="import sys\nsys.modules['sqlalchemy'] = None")
    run(
        pytester,
        "from fastapi import FastAPI\napp = FastAPI()",
        "def test_it(assert_num_queries): ...",
        addopts="-p no:asyncio -p hide",
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*counting queries needs SQLAlchemy: pip install 'fastapi-patterns[[]db]'*"])


@pytest.mark.parametrize(
    ("statement", "counted"),
    [
        ("SELECT users.id FROM users", True),
        ("  -- a comment\n/* and another */ select 1 as one", True),
        ("UPDATE users SET name = ?", True),
        ("(SELECT 2) UNION (SELECT 3)", True),
        ("WITH x AS (SELECT 1) SELECT * FROM x", True),
        ("SELECT 1", False),
        ("select 1;", False),
        ("-- a ping\nSELECT 1", False),
        ("SAVEPOINT sa_savepoint_1", False),
        ("RELEASE SAVEPOINT sa_savepoint_1", False),
        ("ROLLBACK TO SAVEPOINT sa_savepoint_1", False),
        ("BEGIN IMMEDIATE", False),
        ("PRAGMA foreign_keys = ON", False),
        ("SET LOCAL lock_timeout = 1", False),
    ],
)
def test_what_counts(statement: str, counted: bool) -> None:
    """What the application asks of its tables, and not what transactions and connections need."""
    assert is_counted(statement) is counted


def _sent(statement: str, place: str = "at shop.py:1 in shop", relationship: str = "") -> Query:
    return Query(statement=statement, place=place, relationship=relationship)


def test_values_in_the_text_are_not_printed() -> None:
    """Literals may be personal data, and make one statement look like many."""
    where = "SELECT a_1.x FROM a_1 WHERE name = 'O''{}' AND age > {}"
    printed = report([_sent(where.format(name, age)) for name, age in [("a", 1), ("b", 22.5)]])
    assert printed == "   1. 2 x SELECT a_1.x FROM a_1 WHERE name = ? AND age > ?  at shop.py:1 in shop"
    assert "$1::INTEGER, %(id_1)s, :id" in report([_sent("SELECT $1::INTEGER, %(id_1)s, :id")])


def test_long_statements_are_shortened() -> None:
    """Columns and rows go first, then the end; and so does the end of a long list."""
    columns = ", ".join(f"users.column_{letter}" for letter in "abcdefghij")
    assert report([_sent(f"SELECT {columns}\nFROM users\nWHERE users.id = ?", "")]) == (
        "   1. SELECT ... FROM users WHERE users.id = ?"
    )
    rows = ", ".join(["(?, ?)"] * 50)
    assert report([_sent("INSERT INTO users (name, age) VALUES " + rows + " RETURNING id", "")]) == (  # noqa: S608
        "   1. INSERT INTO users (name, age) VALUES ... RETURNING id"
    )
    assert len(report([_sent("UPDATE " + "x" * 1000, "")])) < 200
    assert report([_sent(f"SELECT c_{number}") for number in range(100)]).endswith("and 60 more")


def test_only_what_repeats_looks_like_n_plus_1() -> None:
    """A relationship that is loaded twice does, a SELECT from one line three times; writes never."""
    select, insert = _sent("SELECT x FROM a"), _sent("INSERT INTO a DEFAULT VALUES")
    lazy = _sent("SELECT x FROM a", relationship="User.orders")
    assert "N+1" not in report([select, select, lazy, insert, insert, insert])
    assert "N+1" in report([select] * 3)
    assert "N+1: User.orders" in report([lazy] * 2)
    assert "N+1" not in report([_sent("SELECT x FROM a", place="")] * 3)
