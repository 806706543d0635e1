"""The plugin, in projects of its own: off unless asked, isolated when on, and readable when something is wrong."""

from pathlib import Path

import pytest

from tests.testing.projects import OTHERS_OFF
from tests.testing.warm import cold

APP = """
from typing import Annotated
from fastapi import Depends, FastAPI
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from fastapi_patterns import Database, PendingTasks, TaskQueue, install_stack

class Base(DeclarativeBase):
    pass

class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]

database = Database("sqlite:///real.db", metadata=Base.metadata)
tasks = TaskQueue()
app = FastAPI()
install_stack(app, resources=[database, tasks])
SessionDep = Annotated[Session, Depends(database.session)]

def rename(user_id: int) -> None:
    with database.session_scope() as session:
        session.get(User, user_id).name += " (welcomed)"

@app.post("/users")
def create(session: SessionDep, tasks: Annotated[PendingTasks, Depends(tasks.pending)]) -> int:
    user = User(name="ada")
    session.add(user)
    session.flush()
    tasks.add_task(rename, user.id)
    return user.id

@app.get("/users")
def users(session: SessionDep) -> list[str]:
    return [user.name for user in session.query(User)]

@app.post("/undone")
def undone(session: SessionDep) -> None:
    session.add(User(name="undone"))
    session.flush()
    raise ValueError("undone")

def make_app() -> FastAPI:
    return app
"""

ASYNC_APP = """
from typing import Annotated
from fastapi import Depends, FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from fastapi_patterns import AsyncDatabase, TaskQueue, install_stack

database = AsyncDatabase("sqlite:///real.db")
tasks = TaskQueue()
app = FastAPI()
install_stack(app, resources=[database, tasks])

async def rename(user_id: int) -> None:
    async with database.session_scope() as session:
        await session.execute(text("SELECT 1"))

@app.post("/users")
async def create(session: Annotated[AsyncSession, Depends(database.session)]) -> None:
    await session.execute(text("SELECT 1"))
"""

INI = """
[pytest]
fastapi_app = {app}
pythonpath = .
addopts = -p no:asyncio -p no:randomly {others} {addopts}
filterwarnings = error
{more}
""".replace("{others}", OTHERS_OFF)


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with an application in `shop.py`."""
    pytester.makepyfile(shop=APP)
    configure(pytester)
    return pytester


def configure(pytester: pytest.Pytester, app: str = "shop:app", addopts: str = "", more: str = "") -> None:
    """Write the project's configuration."""
    pytester.makeini(INI.format(app=app, addopts=addopts, more=more))


ISOLATED = """
import pytest

@pytest.mark.parametrize("turn", range(3))
def test_each_test_starts_empty(client, turn):
    assert client.get("/users").json() == []
    assert client.post("/users").json() == 1
    assert client.get("/users").json() == ["ada (welcomed)"]
"""


def test_each_test_is_isolated(project: pytest.Pytester) -> None:
    """Rows of routes, tasks and session_scope() are gone after the test, and the real file is untouched."""
    project.makepyfile(test_it=ISOLATED)
    project.runpytest_subprocess().assert_outcomes(passed=3)
    assert not (project.path / "real.db").exists()


def test_workers_are_isolated_too(project: pytest.Pytester) -> None:
    """Under pytest-xdist nothing changes."""
    configure(project, addopts="-n 2")
    project.makepyfile(test_it=ISOLATED)
    project.runpytest_subprocess().assert_outcomes(passed=3)


def test_the_test_and_the_application_share_a_transaction(project: pytest.Pytester) -> None:
    """What a test commits the application sees, and the other way round; a rolled back request leaves nothing."""
    project.makepyfile(
        test_it="""
        import pytest
        from shop import User, database

        def test_both_ways(client, db):
            db.add(User(name="eve"))
            db.commit()
            assert client.get("/users").json() == ["eve"]
            client.post("/users")
            assert [user.name for user in db.query(User).order_by(User.id)] == ["eve", "ada (welcomed)"]
            with database.session_scope() as session:
                assert session.query(User).count() == 2

        def test_rolled_back(client, db):
            with pytest.raises(ValueError, match="undone"):
                client.post("/undone")
            assert db.query(User).count() == 0

        def test_without_a_client(db):
            assert db.query(User).count() == 0
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=3)


CONCURRENT = """
from concurrent.futures import ThreadPoolExecutor

def post(client, path, times):
    with ThreadPoolExecutor(times) as pool:
        return [answer.status_code for answer in pool.map(lambda _: client.post(path), range(times))]

def test_requests_at_once(client):
    assert post(client, "/users", 50) == [200] * 50
    assert len(client.get("/users").json()) == {rows}

def test_the_next_test_starts_empty(client):
    assert client.get("/users").json() == []
"""


def test_requests_at_once_take_turns(project: pytest.Pytester) -> None:
    """More requests than worker threads, at once through `client`, with tasks and an open `db`: all are served."""
    project.makepyfile(
        test_it=CONCURRENT.replace("{rows}", "50"),
        test_with_db="""
        from shop import User
        from test_it import post

        def test_an_open_session(client, db):
            db.add(User(name="eve"))
            db.commit()
            assert db.query(User).count() == 1
            assert post(client, "/users", 8) == [200] * 8
            assert db.query(User).count() == 9
        """,
    )
    project.runpytest_subprocess().assert_outcomes(passed=3)


def test_a_request_may_open_a_second_session(project: pytest.Pytester) -> None:
    """A session inside the session of a request is no deadlock, in a thread and on the event loop."""
    more = """
@app.post("/nested")
def nested(session: SessionDep) -> int:
    session.add(User(name="outer"))
    session.flush()
    with database.session_scope() as second:
        second.add(User(name="inner"))
    return 0

@app.post("/nested-async")
async def nested_async(session: SessionDep) -> int:
    return nested(session)
"""
    project.makepyfile(shop=APP + more)
    project.makepyfile(
        test_it="""
        import pytest
        from concurrent.futures import ThreadPoolExecutor

        @pytest.mark.parametrize("path", ["/nested", "/nested-async"])
        def test_nested(client, path):
            with ThreadPoolExecutor(4) as pool:
                assert [answer.status_code for answer in pool.map(client.post, [path] * 8)] == [200] * 8
            assert sorted(client.get("/users").json()) == ["inner"] * 8 + ["outer"] * 8
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=2)


def test_requests_that_wait_for_each_other_do_not_hang(project: pytest.Pytester) -> None:
    """A request that waits for a later one gives up its turn after a while."""
    more = """
import asyncio
arrived = asyncio.Event()

@app.get("/wait")
async def wait() -> int:
    await arrived.wait()
    return 1

@app.get("/arrive")
async def arrive() -> int:
    arrived.set()
    return 2
"""
    project.makepyfile(shop=APP + more)
    project.makepyfile(
        test_it="""
        from concurrent.futures import ThreadPoolExecutor
        from fastapi_patterns.testing import clients

        def test_wait(client, monkeypatch):
            monkeypatch.setattr(clients, "_TURN_TIMEOUT_S", 0.2)
            with ThreadPoolExecutor(2) as pool:
                waiting = pool.submit(client.get, "/wait")
                assert client.get("/arrive").json() == 2
                assert waiting.result(timeout=10).json() == 1
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=1)


def test_a_database_can_be_named(project: pytest.Pytester) -> None:
    """`fastapi_db` is a URL: the tables are made there, the rows are rolled back."""
    configure(project, more="fastapi_db = sqlite:///tests.db")
    project.makepyfile(test_it=ISOLATED)
    project.runpytest_subprocess().assert_outcomes(passed=3)
    assert (project.path / "tests.db").exists()


def test_a_factory_is_called(project: pytest.Pytester) -> None:
    """`fastapi_app` may name a function that makes the application."""
    configure(project, app="shop:make_app")
    project.makepyfile(test_it=ISOLATED)
    project.runpytest_subprocess().assert_outcomes(passed=3)


def test_the_projects_own_fixtures_win(project: pytest.Pytester) -> None:
    """A `client` or `db` in the project's conftest is the one that tests get."""
    project.makeconftest(
        """
        import pytest

        @pytest.fixture
        def client():
            return "own client"

        @pytest.fixture
        def db():
            return "own db"
        """
    )
    project.makepyfile(test_it="def test_own(client, db):\n    assert (client, db) == ('own client', 'own db')")
    project.runpytest_subprocess().assert_outcomes(passed=1)


def test_overrides_are_restored_exactly(project: pytest.Pytester) -> None:
    """What a test overrides is gone after it; what the application itself overrides stays."""
    project.makepyfile(
        test_it="""
        from shop import app, database

        def own(): ...
        app.dependency_overrides[own] = own

        def test_one(dependency_overrides):
            assert dependency_overrides is app.dependency_overrides
            dependency_overrides.clear()
            dependency_overrides[database.session] = own

        def test_two(dependency_overrides):
            assert dependency_overrides == {own: own}
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=2)


def test_an_override_that_changes_nothing_fails_the_test(project: pytest.Pytester) -> None:
    """FastAPI takes what no route depends on without a word; what another override depends on is used."""
    more = """
def get_settings() -> dict[str, str]:
    return {}

class Mailer:
    def __call__(self) -> None: ...

mailer = Mailer()

@app.get("/settings")
def settings(settings: Annotated[dict[str, str], Depends(get_settings)]) -> dict[str, str]:
    return settings
"""
    project.makepyfile(shop=APP + more)
    project.makepyfile(
        test_it="""
        from typing import Annotated
        from fastapi import Depends
        from shop import get_settings, mailer

        def name(): return "real"
        def settings(name: Annotated[str, Depends(name)]): return {"name": name}
        def copy_of_get_settings(): ...

        def test_used(client, dependency_overrides):
            dependency_overrides[get_settings] = settings
            dependency_overrides[name] = lambda: "test"
            assert client.get("/settings").json() == {"name": "test"}

        def test_unused(client, dependency_overrides):
            dependency_overrides[copy_of_get_settings] = dependency_overrides[mailer] = dict

        def test_it_is_gone(client):
            assert client.get("/settings").json() == {}
        """
    )
    result = project.runpytest_subprocess()
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(
        ["No route of the application depends on test_it.copy_of_get_settings, shop.Mailer, so overriding it changed*"]
    )


def test_the_routes_of_the_application_are_checked(project: pytest.Pytester) -> None:
    """The fixture is the function with the application filled in; a module may import that one beside it."""
    project.makepyfile(
        test_it="""
        import pytest
        from fastapi import FastAPI
        from fastapi_patterns import testing

        def test_open(assert_routes_protected):
            with pytest.raises(AssertionError, match="without a user") as raised:
                assert_routes_protected(public=["/undone"], public_docs=True)
            assert str(raised.value).splitlines()[1:] == ["  POST /users (create)", "  GET /users (users)"]

        def test_named(assert_routes_protected):
            assert_routes_protected(public=["/undone", "/users"], public_docs=True)
            testing.assert_routes_protected(FastAPI(), public_docs=True)
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=2)


OWN_GET_DB = """
from typing import Annotated
from fastapi import Depends, FastAPI
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

class Base(DeclarativeBase):
    pass

class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)

SessionLocal = sessionmaker(create_engine("sqlite:///real.db"))

def get_db():
    with SessionLocal() as session:
        yield session

app = FastAPI()

@app.post("/committed")
def committed(db: Annotated[Session, Depends(get_db)]) -> None:
    db.add(User())
    db.commit()

@app.post("/forgotten")
def forgotten(db: Annotated[Session, Depends(get_db)]) -> None:
    db.add(User())
    db.flush()

@app.get("/count")
def count(db: Annotated[Session, Depends(get_db)]) -> int:
    return db.query(User).count()
"""


@pytest.mark.parametrize("metadata", ["shop:Base", "shop:Base.metadata"])
def test_a_get_db_of_the_applications_own(pytester: pytest.Pytester, metadata: str) -> None:
    """It is overridden with a session that does not commit by itself: a forgotten commit shows."""
    pytester.makepyfile(shop=OWN_GET_DB + "\nmetadata = Base.metadata\n")
    configure(pytester, more=f"fastapi_get_db = shop:get_db\nfastapi_metadata = {metadata.replace('Base.m', 'm')}")
    pytester.makepyfile(
        test_it="""
        import pytest
        from shop import User

        @pytest.mark.parametrize("turn", range(2))
        def test_it(client, db, turn):
            client.post("/committed")
            client.post("/forgotten")
            assert client.get("/count").json() == 1
            assert db.query(User).count() == 1
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)
    assert not (pytester.path / "real.db").exists()


def test_a_get_db_that_no_route_depends_on_is_an_error(pytester: pytest.Pytester) -> None:
    """Else its tests would work on the real database."""
    pytester.makepyfile(shop=OWN_GET_DB + "\ndef other():\n    yield\n")
    configure(pytester, more="fastapi_get_db = shop:other\nfastapi_metadata = shop:Base")
    pytester.makepyfile(test_it="def test_it(client): ...")
    pytester.runpytest_subprocess().stdout.fnmatch_lines(["*'shop:other': no route of the application depends on it*"])


def test_an_async_get_db_of_the_applications_own(pytester: pytest.Pytester) -> None:
    """An async generator gets an async session in the loop that serves the requests."""
    pytester.makepyfile(
        shop="""
        from typing import Annotated
        from fastapi import Depends, FastAPI
        from sqlalchemy import select
        from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
        from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

        class Base(DeclarativeBase):
            pass

        class User(Base):
            __tablename__ = "users"
            id: Mapped[int] = mapped_column(primary_key=True)

        SessionLocal = async_sessionmaker(create_async_engine("sqlite+aiosqlite:///real.db"))

        async def get_db():
            async with SessionLocal() as session:
                yield session

        app = FastAPI()
        SessionDep = Annotated[AsyncSession, Depends(get_db)]

        @app.post("/committed")
        async def committed(db: SessionDep) -> None:
            db.add(User())
            await db.commit()

        @app.post("/forgotten")
        async def forgotten(db: SessionDep) -> None:
            db.add(User())
            await db.flush()

        @app.get("/count")
        async def count(db: SessionDep) -> int:
            return len(list(await db.scalars(select(User))))
        """
    )
    configure(pytester, more="fastapi_get_db = shop:get_db\nfastapi_metadata = shop:Base")
    pytester.makepyfile(
        test_it="""
        import pytest

        @pytest.mark.parametrize("turn", range(2))
        def test_it(client, turn):
            client.post("/committed")
            client.post("/forgotten")
            assert client.get("/count").json() == 1

        def test_the_sync_session(db):
            pass
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*db is for a Database, and the application's is an AsyncDatabase: use async_db*"])


def test_an_async_database(pytester: pytest.Pytester) -> None:
    """An AsyncDatabase is isolated through the sync client as well, its tasks included."""
    pytester.makepyfile(
        shop="""
        from typing import Annotated
        from fastapi import Depends, FastAPI
        from sqlalchemy import select
        from sqlalchemy.ext.asyncio import AsyncSession
        from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
        from fastapi_patterns import AsyncDatabase, PendingTasks, TaskQueue, install_stack

        class Base(DeclarativeBase):
            pass

        class User(Base):
            __tablename__ = "users"
            id: Mapped[int] = mapped_column(primary_key=True)

        database, tasks = AsyncDatabase("sqlite:///real.db", metadata=Base.metadata), TaskQueue()
        app = FastAPI()
        install_stack(app, resources=[database, tasks])
        SessionDep = Annotated[AsyncSession, Depends(database.session)]

        async def one_more():
            async with database.session_scope() as session:
                session.add(User())

        @app.post("/")
        async def create(session: SessionDep, tasks: Annotated[PendingTasks, Depends(tasks.pending)]) -> None:
            session.add(User())
            tasks.add_task(one_more)

        @app.get("/")
        async def count(session: SessionDep) -> int:
            return len(list(await session.scalars(select(User))))
        """
    )
    configure(pytester)
    pytester.makepyfile(
        test_it="""
        import pytest
        from concurrent.futures import ThreadPoolExecutor

        @pytest.mark.parametrize("turn", range(3))
        def test_it(client, turn):
            assert client.get("/").json() == 0
            client.post("/")
            assert client.get("/").json() == 2

        def test_at_once(client):
            with ThreadPoolExecutor(8) as pool:
                assert [answer.status_code for answer in pool.map(client.post, ["/"] * 16)] == [200] * 16
            assert client.get("/").json() == 32
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=4)
    assert not (pytester.path / "real.db").exists()


def test_an_application_without_a_database(pytester: pytest.Pytester) -> None:
    """`client` needs no database; `db` says what to register."""
    pytester.makepyfile(shop="from fastapi import FastAPI\napp = FastAPI()")
    configure(pytester)
    pytester.makepyfile(
        test_it="""
        def test_client(client):
            assert client.get("/").status_code == 404

        def test_db(db): ...
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*no database that the plugin knows. Register one with install_stack*"])


def test_a_database_without_tables_says_so(pytester: pytest.Pytester) -> None:
    """`metadata` is what the tables are made from."""
    pytester.makepyfile(shop=APP.replace(", metadata=Base.metadata", ""))
    configure(pytester)
    pytester.makepyfile(test_it=ISOLATED)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(["*was made without its tables: pass Database(..., metadata=Base.metadata)*"])


WRITES = """
def test_a_route(client):
    client.post("/users")

def test_a_session_scope(client):
    client.post("/scope")

def test_a_websocket(client):
    with client.websocket_connect("/ws") as socket:
        socket.receive_text()

def test_it_is_left_alone(client): ...
"""
SCOPE = """
from fastapi import WebSocket

@app.post("/scope")
def scope() -> None:
    rename(1)

@app.websocket("/ws")
async def socket(socket: WebSocket, session: Annotated[Session, Depends(database.session)]) -> None:
    await socket.accept()
"""


@pytest.mark.parametrize(
    "stack", ["", "install_stack(app, resources=[tasks])"], ids=["no stack", "a stack without the database"]
)
@pytest.mark.parametrize("kind", ["Database", "AsyncDatabase"])
def test_a_database_that_is_not_registered_is_refused(kind: str, stack: str, pytester: pytest.Pytester) -> None:
    """Its writes would go to the real database: an error says what to write, before the first of them."""
    app = APP if kind == "Database" else ASYNC_APP
    scope = (
        SCOPE if kind == "Database" else SCOPE.replace("def scope", "async def scope").replace("rename", "await rename")
    )
    scope = scope.replace("[Session", "[Session" if kind == "Database" else "[AsyncSession")
    pytester.makepyfile(shop=app.replace("install_stack(app, resources=[database, tasks])", stack) + scope)
    configure(pytester)
    pytester.makepyfile(test_it=WRITES)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=3, passed=1)
    result.stdout.fnmatch_lines([f"*ConfigurationError: {kind}(sqlite*real.db) is not isolated*install_stack(app, *"])
    assert not (pytester.path / "real.db").exists()


@pytest.mark.parametrize("named", ["database", "get_db"])
def test_a_database_without_the_stack_can_be_named(named: str, pytester: pytest.Pytester) -> None:
    """The object or its dependency; then it is isolated like a registered one, and brings its own tables."""
    pytester.makepyfile(
        shop=APP.replace("install_stack(app, resources=[database, tasks])", "get_db = database.session")
    )
    configure(pytester, more=f"fastapi_get_db = shop:{named}")
    pytester.makepyfile(
        test_it="""
        import pytest
        from shop import User

        @pytest.mark.parametrize("turn", range(2))
        def test_it(client, db, turn):
            db.add(User(name="test"))
            db.commit()
            assert client.get("/users").json() == ["test"]
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)
    assert not (pytester.path / "real.db").exists()


def test_a_database_whose_dependency_is_overridden_is_not_refused(pytester: pytest.Pytester) -> None:
    """What stands in is the test's business: another database, in any way, or a session of its own."""
    pytester.makepyfile(shop=APP.replace("install_stack(app, resources=[database, tasks])", ""))
    configure(pytester)
    pytester.makepyfile(
        test_it="""
        import pytest
        from fastapi_patterns import Database
        from shop import Base, database

        other = Database("sqlite://", metadata=Base.metadata)
        other.create_all()

        def through_a_scope():
            with other.session_scope() as session:
                yield session

        @pytest.mark.parametrize("override", [other.session, through_a_scope])
        def test_it(client, dependency_overrides, override):
            dependency_overrides[database.session] = override
            assert client.get("/users").json() == []

        def test_a_session_of_the_tests_own(client):
            with other.session_scope() as session:
                session.connection()
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=3)
    assert not (pytester.path / "real.db").exists()


@pytest.mark.parametrize(
    ("app", "message"),
    [
        ("shop", "fastapi_app must look like 'package.module:name'; got 'shop'"),
        ("shop:", "fastapi_app must look like 'package.module:name'; got 'shop:'"),
        ("shoop:app", "there is no module 'shoop'*Set pythonpath"),
        ("shop:application", "the module has no 'application'"),
        ("shop:User", "fastapi_app must name a FastAPI application or a factory; got User"),
        ("shop:tasks", "fastapi_app must name a FastAPI application or a factory; got TaskQueue"),
    ],
)
def test_a_wrong_name_is_readable(project: pytest.Pytester, app: str, message: str) -> None:
    """The message says what to write."""
    configure(project, app=app)
    project.makepyfile(test_it="def test_it(client): ...")
    result = project.runpytest_subprocess()
    assert result.ret != 0
    result.stdout.fnmatch_lines([f"*{message}*"])


def test_a_broken_import_of_the_application_is_shown(project: pytest.Pytester) -> None:
    """When the application itself cannot be imported, its own error is what the user sees."""
    (project.path / "shop.py").write_text("import not_installed_anywhere")
    project.makepyfile(test_it="def test_it(client): ...")
    result = project.runpytest_subprocess()
    result.stdout.fnmatch_lines(["*No module named 'not_installed_anywhere'*"])
    result.stdout.no_fnmatch_line("*Set pythonpath*")


def test_metadata_must_be_tables(project: pytest.Pytester) -> None:
    """`fastapi_metadata` names a Base or a MetaData."""
    configure(project, more="fastapi_get_db = shop:make_app\nfastapi_metadata = shop:make_app")
    project.makepyfile(test_it="def test_it(client): ...")
    project.runpytest_subprocess().stdout.fnmatch_lines(
        ["*fastapi_metadata must name a declarative Base or a MetaData*"]
    )


def test_not_configured_it_is_not_there(pytester: pytest.Pytester) -> None:
    """A project that does not use it has no fixture of it, and imports neither FastAPI nor SQLAlchemy."""
    pytester.makepyfile(
        test_it="""
        import sys

        def test_nothing_is_imported():
            assert not {"fastapi", "starlette", "sqlalchemy", "pydantic"} & set(sys.modules)

        def test_no_fixture(client): ...
        """
    )
    # These import some of it, or have a `client` of their own; pytest-randomly imports the factories that it finds.
    others = ("asyncio", "hypothesispytest", "schemathesis", "randomly", "django", "flask")
    result = cold(pytester, *(f"-pno:{name}" for name in others))
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*fixture 'client' not found*"])


@pytest.mark.parametrize("missing", [("httpx2", "httpx"), ("starlette",)], ids=str)
def test_a_missing_client_is_readable(project: pytest.Pytester, missing: tuple[str, ...]) -> None:
    """Without what the TestClient needs the run ends with the extra to install, not with a traceback of pytest's."""
    project.makepyfile(hide=f"import sys\nfor name in {missing!r}:\n    sys.modules[name] = None")
    configure(project, addopts="-p hide")
    project.makepyfile(test_it=ISOLATED)
    result = project.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *pip install 'fastapi-patterns[[]testing]'*"])
    result.stderr.no_fnmatch_line("*INTERNALERROR*")


def test_the_plugin_file_is_small() -> None:
    """What every pytest run loads stays a page long."""
    from fastapi_patterns.testing import plugin

    assert Path(plugin.__file__).read_text().count("\n") < 60
