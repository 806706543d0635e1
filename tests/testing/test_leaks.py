"""`assert_no_leaks`: what a test leaves behind fails that test, in projects of their own."""

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.testing.projects import ASYNC_SHOP, RUNNERS, SHOP, configure

ROOT = Path(__file__).parent.parent.parent

# Routes that leave something behind, and one for each that does not.
_LEAVING = """
import asyncio, threading
from sqlalchemy import StaticPool, create_engine, text

kept = []
other = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
told_to_end = threading.Event()

@app.get("/task")
async def task() -> None:
    kept.append(asyncio.create_task(asyncio.sleep(3600), name="poller"))

@app.get("/quick-task")
async def quick_task() -> None:
    async def end_soon():
        for _ in range(3):
            await asyncio.sleep(0)
    kept.append(asyncio.create_task(end_soon()))

@app.get("/thread")
def thread() -> None:
    threading.Thread(target=told_to_end.wait, name="pinger", daemon=True).start()

@app.get("/quick-thread")
def quick_thread() -> None:
    threading.Thread(target=int).start()

@app.get("/connection")
def connection() -> None:
    kept.append(other.connect())

@app.get("/closed-connection")
def closed_connection() -> None:
    with other.connect() as opened:
        opened.execute(text("SELECT 1"))
"""
LEAKY = SHOP + (
    _LEAVING
    + """
@app.get("/session")
def session() -> None:
    scope = database.session_scope()
    kept.append(scope)
    scope.__enter__().execute(text("SELECT 1"))

@app.get("/closed-session")
def closed_session() -> None:
    with database.session_scope() as opened:
        opened.execute(text("SELECT 1"))

@app.get("/in-the-loop")
async def in_the_loop(session: SessionDep) -> int:
    return session.scalar(text("SELECT 1"))
"""
)
ASYNC_LEAKY = ASYNC_SHOP + (
    _LEAVING
    + """
@app.get("/session")
async def session() -> None:
    scope = database.session_scope()
    kept.append(scope)
    await (await scope.__aenter__()).execute(text("SELECT 1"))

@app.get("/closed-session")
async def closed_session() -> None:
    async with database.session_scope() as opened:
        await opened.execute(text("SELECT 1"))
"""
)
# Path, what stands in the report, and the function in which it began.
LEAKS = {
    "task": "task poller (sleep), made at shop.py:* in task",
    "thread": "thread pinger, started at shop.py:* in thread",
    "connection": "connection, checked out of its pool at shop.py:* in connection",
    "session": "Session, in a transaction since shop.py:* in session",
}
CLOSED = ("quick-task", "quick-thread", "closed-connection", "closed-session")


def make(pytester: pytest.Pytester, test: str, *, shop: str = LEAKY, addopts: str = "-p no:asyncio") -> None:
    """Make a project with a leaky shop."""
    pytester.makepyfile(shop=shop, test_it=dedent(test))
    configure(pytester, addopts=addopts)


@pytest.mark.parametrize("client", ["client", "uvicorn_client"])
@pytest.mark.parametrize("path", LEAKS)
def test_what_a_request_leaves_fails_its_test(path: str, client: str, pytester: pytest.Pytester) -> None:
    """It is named with the line where it began; the test that meets it next, and one that does not ask, pass."""
    make(
        pytester,
        f"""
        def test_leaving({client}, assert_no_leaks):
            assert {client}.get("/{path}").status_code == 200

        def test_next({client}, assert_no_leaks):
            assert {client}.get("/state").status_code == 200

        def test_unwatched({client}):
            assert {client}.get("/{path}").status_code == 200
        """,
    )
    result = pytester.runpytest_subprocess("-rE")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["ERROR test_it.py::test_leaving*"])
    # A session that has an engine of its own is a connection out of a pool.
    in_a_transaction = path == "session" and client == "client"
    expected = LEAKS[path] if path != "session" or in_a_transaction else "connection, checked out of its pool at *"
    result.stdout.fnmatch_lines(["The test left these behind:", f"  {expected}", "Close connections and sessions *"])


@pytest.mark.parametrize("addopts", ["-p no:asyncio", "-p no:asyncio -n 2"])
def test_what_ends_in_time_is_no_leak(addopts: str, pytester: pytest.Pytester) -> None:
    """A whole module is watched by its marker, under xdist too; background tasks are the queue's."""
    make(
        pytester,
        f"""
        import pytest
        from shop import database

        pytestmark = pytest.mark.usefixtures("assert_no_leaks")

        @pytest.mark.parametrize("path", {CLOSED})
        def test_closed(client, path):
            assert client.get("/" + path).status_code == 200

        def test_background_tasks(client, db):
            client.post("/users")
            assert client.get("/users").json() == ["ada (welcomed)"]

        def test_commits(client, db_committed):
            client.post("/users")
            assert client.get("/users").json() == ["ada (welcomed)"]

        def test_a_session_of_the_test_outlives_the_loop_that_it_was_used_in(db, client, dependency_overrides):
            dependency_overrides[database.session] = lambda: db
            assert client.get("/in-the-loop").json() == 1

        def test_nothing():
            pass
        """,
        addopts=addopts,
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=8)


@pytest.mark.parametrize("runner", RUNNERS)
def test_async_tests_are_watched_in_their_own_loop(runner: str, pytester: pytest.Pytester) -> None:
    """What the test or a request leaves in its loop, before the loop ends and cancels it in silence."""
    addopts, ini, head = RUNNERS[runner]
    test = f"""
import asyncio
{head}
async def test_own_task(assert_no_leaks):
    test_own_task.kept = asyncio.create_task(asyncio.sleep(3600), name="mine")

async def test_a_task_of_a_request(async_client, assert_no_leaks):
    await async_client.get("/task")

async def test_a_session(async_client, assert_no_leaks):
    await async_client.get("/session")

async def test_ended(assert_no_leaks, async_client, async_db):
    for path in {CLOSED}:
        assert (await async_client.get("/" + path)).status_code == 200
    await async_client.post("/users")
    await asyncio.gather(*(asyncio.create_task(async_client.get("/users")) for _ in range(3)))
"""
    pytester.makepyfile(shop=ASYNC_LEAKY, test_it=test)
    configure(pytester, addopts=addopts, more=ini)
    result = pytester.runpytest_subprocess("-rE")
    result.assert_outcomes(passed=4, errors=3)
    result.stdout.fnmatch_lines(
        [
            "  task mine (sleep), made at test_it.py:* in test_own_task",
            "  task poller (sleep), made at shop.py:* in task",
            "  *Session, in a transaction since shop.py:* in session",
        ]
    )


def test_a_thread_that_ends_within_the_limit_is_waited_for(pytester: pytest.Pytester) -> None:
    """One that is about to end, when the test does, is no leak."""
    make(
        pytester,
        """
        import threading

        def test_it(assert_no_leaks):
            begun = threading.Event()
            def run():
                begun.wait()
                sum(range(100_000))
            threading.Thread(target=run).start()
            begun.set()
        """,
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_it_needs_no_database(pytester: pytest.Pytester) -> None:
    """In an application without SQLAlchemy, tasks and threads are watched."""
    pytester.makepyfile(
        hide="""
        import importlib.util, sys
        sys.modules["sqlalchemy"] = None
        found = importlib.util.find_spec
        importlib.util.find_spec = lambda name, *more: None if name == "sqlalchemy" else found(name, *more)
        """,
        small="""
        import asyncio
        from fastapi import FastAPI

        app = FastAPI()

        @app.get("/task")
        async def task() -> None:
            app.state.kept = asyncio.create_task(asyncio.sleep(3600), name="poller")
        """,
        test_it="""
        def test_it(client, assert_no_leaks):
            assert client.get("/task").status_code == 200
        """,
    )
    configure(pytester, app="small:app", addopts="-p no:asyncio -p hide")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["  task poller (sleep), made at small.py:* in task"])


@pytest.mark.parametrize("example", ["users", "testing", "async_database", "sessions", "background_tasks"])
def test_no_false_alarm_in_the_examples(example: str, tmp_path: Path) -> None:
    """The examples' own suites pass with every test watched."""
    (tmp_path / "watch_all.py").write_text(
        "def pytest_collection_modifyitems(items):\n"
        "    for item in items:\n"
        "        item.fixturenames.append('assert_no_leaks')\n"
        "        item.add_marker('watched')\n"
        "def pytest_configure(config):\n"
        "    config.addinivalue_line('markers', 'watched: by this plugin')\n"
    )
    project = ROOT / "examples" / example
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", "watch_all", "-p", "no:schemathesis", "-p", "no:cacheprovider"),
        *("-c", str(project / "pyproject.toml"), str(project)),
    ]
    hidden = ("PYTEST_", "COV_", "SECRET_KEY", "DATABASE_URL")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), environment.get("PYTHONPATH", "")])
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " passed" in ran.stdout
