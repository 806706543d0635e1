"""`uvicorn_server` and `uvicorn_client`: a real server in a thread or a process, in projects of their own."""

from textwrap import dedent

import pytest

from tests.testing.projects import ASYNC_SHOP, RUNNERS, SHOP, configure

# Over what a client without a server hides.
ROUTES = """
import asyncio, os, signal, sys, threading
from fastapi.responses import StreamingResponse

seen = []
meeting = threading.Barrier(3, timeout=10)
hanging = threading.Event()
closed = threading.Event()

@app.get("/meet")
def meet() -> int:
    return meeting.wait()

@app.get("/stream")
async def stream() -> StreamingResponse:
    async def chunks():
        try:
            while True:
                yield b"more"
                await asyncio.sleep(0)
        finally:
            closed.set()
    return StreamingResponse(chunks())

@app.get("/hang")
async def hang() -> None:
    hanging.set()
    await asyncio.Event().wait()

@app.get("/process")
def process() -> int:
    return os.getpid()

async def note() -> None:
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        while not hanging.is_set():
            await asyncio.sleep(0)
    with database.session_scope() as session:
        session.add(User())
    seen.append("done")

@app.post("/later")
def later(tasks: TasksDep) -> None:
    tasks.add_task(note)

def said() -> str:
    return "for real"

@app.get("/said")
def say(word: Annotated[str, Depends(said)]) -> str:
    return word
"""


def make(pytester: pytest.Pytester, test: str, *, shop: str = SHOP, addopts: str = "") -> None:
    """Make a project with a shop that has these routes too."""
    pytester.makepyfile(shop=shop + ROUTES, test_it=dedent(test))
    configure(pytester, addopts=f"-p no:asyncio {addopts}")


@pytest.mark.parametrize("addopts", ["", "-n 2"])
def test_the_server_and_the_test_share_a_database(addopts: str, pytester: pytest.Pytester) -> None:
    """What either commits the other reads, the lifespan runs, and each test is empty, under xdist too."""
    make(
        pytester,
        """
        import pytest
        from shop import User, app

        @pytest.fixture
        def until_the_end():
            yield
            assert not app.state.is_open

        @pytest.mark.parametrize("turn", range(3))
        def test_committed(until_the_end, uvicorn_client, uvicorn_server, db_committed, turn):
            assert app.state.is_open
            assert uvicorn_server.url.startswith("http://127.0.0.1:")
            assert str(uvicorn_client.base_url).rstrip("/") == uvicorn_server.url
            assert uvicorn_client.get("/state").json() == "hello"
            assert uvicorn_client.post("/users").json() == 1
            db_committed.add(User(name="eve"))
            db_committed.commit()
            assert uvicorn_client.get("/users").json()[1] == "eve"

        def test_nothing_stays(client, db):
            assert client.get("/users").json() == []
        """,
        addopts=addopts,
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=4)
    assert not (pytester.path / "real.db").exists()


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("server", ["thread", "process"])
def test_async_tests_have_it_too(server: str, runner: str, pytester: pytest.Pytester) -> None:
    """An async test sends with a client of its own, over an async database."""
    own_addopts, ini, head = RUNNERS[runner]
    test = f"""
import asyncio
import httpx2
import pytest
from shop import User

@pytest.mark.fastapi(server="{server}")
async def test_async(uvicorn_server, async_db_committed):
    async with httpx2.AsyncClient(base_url=uvicorn_server.url, trust_env=False) as http:
        answers = await asyncio.gather(*(http.post("/users") for _ in range(8)))
        assert sorted(answer.json() for answer in answers) == list(range(1, 9))
        async_db_committed.add(User(name="eve"))
        await async_db_committed.commit()
        assert "eve" in (await http.get("/users")).json()
"""
    pytester.makepyfile(shop=ASYNC_SHOP, test_it=head + test)
    configure(pytester, addopts=own_addopts, more=ini)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_a_sync_test_serves_an_async_database(pytester: pytest.Pytester) -> None:
    """The server has an event loop of its own."""
    make(
        pytester,
        """
        def test_it(uvicorn_client):
            assert uvicorn_client.post("/users").json() == 1
            assert uvicorn_client.get("/users").json()[0].startswith("ada")
        """,
        shop=ASYNC_SHOP,
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_what_a_test_client_hides(pytester: pytest.Pytester) -> None:
    """Requests at once, a client that leaves, commits before the response, a 500, the fixtures of the same process."""
    make(
        pytester,
        """
        from concurrent.futures import ThreadPoolExecutor
        import httpx2, pytest, shop

        def test_requests_run_at_once(uvicorn_client):
            with ThreadPoolExecutor(3) as pool:
                answers = list(pool.map(lambda _: uvicorn_client.get("/meet").json(), range(3)))
            assert sorted(answers) == [0, 1, 2]

        def test_a_client_leaves_a_stream(uvicorn_client):
            with uvicorn_client.stream("GET", "/stream") as response:
                assert next(response.iter_raw()).startswith(b"more")
            assert shop.closed.wait(10)

        def test_the_commit_comes_before_the_response(uvicorn_client, db_committed):
            for number in range(5):
                uvicorn_client.post("/users")
                assert db_committed.query(shop.User).count() == number + 1
                db_committed.rollback()

        def test_an_error_is_an_answer(uvicorn_client):
            assert uvicorn_client.get("/broken").status_code == 500
            assert uvicorn_client.get("/state").status_code == 200

        def test_overrides_reach_it(uvicorn_client, dependency_overrides):
            dependency_overrides[shop.said] = lambda: "instead"
            assert uvicorn_client.get("/said").json() == "instead"

        def test_mock_http_leaves_it_alone(uvicorn_client, mock_http):
            assert uvicorn_client.get("/state").json() == "hello"
        """,
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=6)


def test_tasks_are_done_before_the_database_is_put_back(pytester: pytest.Pytester) -> None:
    """A task that waits when the test ends is drained by the shutdown."""
    make(
        pytester,
        """
        import shop

        def test_a_task_waits(uvicorn_client):
            uvicorn_client.post("/later")
            assert shop.seen == []
            shop.hanging.set()

        def test_it_was_done():
            assert shop.seen == ["done"]
        """,
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("line", "passed"),
    [("app.state.is_open = True", 0), ("app.state.is_open = False", 1)],
    ids=["start-up", "shutdown"],
)
def test_a_lifespan_that_fails_is_the_error_of_the_test(line: str, passed: int, pytester: pytest.Pytester) -> None:
    """What it raises is raised by the fixture, with the application's own line."""
    make(
        pytester,
        "def test_it(uvicorn_client): pass",
        shop=SHOP.replace(line, "raise LookupError('no settings')"),
    )
    outcome = pytester.runpytest_subprocess()
    outcome.assert_outcomes(passed=passed, errors=1)
    outcome.stdout.fnmatch_lines(["*raise LookupError('no settings')", "E *LookupError: no settings"])
    outcome.stdout.no_fnmatch_line("*SystemExit*")


def test_a_request_that_hangs_fails_the_test(pytester: pytest.Pytester) -> None:
    """It is cancelled after a limit and named, an idle connection is not, and the next test has a server again."""
    make(
        pytester,
        """
        import socket
        import shop
        from fastapi_patterns.testing import _server_thread

        _server_thread.REQUEST_LIMIT_S = 0.1
        connections = []

        def connect(server):
            host, port = server.url.removeprefix("http://").split(":")
            connections.append(socket.create_connection((host, int(port))))
            return connections[-1]

        def test_it_hangs(uvicorn_server, uvicorn_client):
            connect(uvicorn_server)
            assert uvicorn_client.get("/state").status_code == 200
            connect(uvicorn_server).sendall(b"GET /hang HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
            assert shop.hanging.wait(10)

        def test_the_next_one_runs(uvicorn_client):
            for connection in connections:
                connection.close()
            assert uvicorn_client.get("/state").json() == "hello"
        """,
    )
    outcome = pytester.runpytest_subprocess()
    outcome.assert_outcomes(passed=2, errors=1)
    outcome.stdout.fnmatch_lines(
        ["uvicorn_server: these requests had not ended 0.1 s after the test, and were cancelled:", "  GET /hang"]
    )


def test_a_shutdown_that_hangs_fails_the_test(pytester: pytest.Pytester) -> None:
    """The test ends with words instead of never."""
    make(
        pytester,
        """
        import shop
        from fastapi_patterns.testing import _server_thread

        _server_thread.REQUEST_LIMIT_S = 0.1

        def test_it_hangs(uvicorn_server):
            _server_thread.LIFESPAN_LIMIT_S = 0.1
        """,
        shop=SHOP.replace("    app.state.is_open = False", "    import threading\n    threading.Event().wait(2)"),
    )
    outcome = pytester.runpytest_subprocess()
    outcome.assert_outcomes(passed=1, errors=1)
    outcome.stdout.fnmatch_lines(["The server's shutdown had not ended after 0.1 s.*"])


def test_it_is_told_which_fixture_is_wrong(pytester: pytest.Pytester) -> None:
    """Beside `db` or `client`, with an unknown server, and where a process is meant."""
    make(
        pytester,
        """
        import pytest

        def test_db(uvicorn_client, db): pass
        def test_client(client, uvicorn_client): pass
        @pytest.mark.fastapi(server="fork")
        def test_fork(uvicorn_server): pass
        def test_kill(uvicorn_server): uvicorn_server.kill()
        """,
    )
    outcome = pytester.runpytest_subprocess()
    outcome.assert_outcomes(errors=3, failed=1)
    outcome.stdout.fnmatch_lines(
        [
            "*db and uvicorn_server cannot both be in it",
            "*client and uvicorn_server each start the application*",
            "*(server=...) must be 'thread' or 'process'; got 'fork' in test_it.py::test_fork",
            "*uvicorn_server.kill() is for a server in a process of its own*server='process')*",
        ]
    )


def test_it_says_that_uvicorn_is_missing(pytester: pytest.Pytester) -> None:
    """With the line that installs it."""
    make(pytester, "def test_it(uvicorn_client): pass")
    pytester.makeconftest("import sys; sys.modules['uvicorn'] = None")
    outcome = pytester.runpytest_subprocess()
    outcome.assert_outcomes(errors=1)
    outcome.stdout.fnmatch_lines(["*uvicorn_server needs uvicorn: pip install uvicorn"])


def test_login_as_reaches_it(pytester: pytest.Pytester) -> None:
    """With cookies over http too: those that are Secure come back, as in a browser on a loopback address."""
    from tests.testing.test_login import COOKIES, write

    write(
        pytester,
        """
        def test_it(uvicorn_client, login_as):
            with login_as(1):
                assert uvicorn_client.get("/me").json() == "ada"
                assert uvicorn_client.post("/me").json() == "ada"
            assert uvicorn_client.get("/me").status_code == 401

        def test_secure_cookies(uvicorn_client):
            uvicorn_client.post("/mode")
            assert uvicorn_client.get("/mode").json() == "light"
        """,
        options=COOKIES,
        imports="AuthCookies, CsrfProtection,",
        more="""
from fastapi import Request, Response

@app.post("/mode")
def set_mode(response: Response) -> None:
    response.set_cookie("mode", "light", secure=True)

@app.get("/mode")
def mode(request: Request) -> str:
    return request.cookies.get("mode", "none")
""",
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


def test_a_process_serves_the_database_of_the_test(pytester: pytest.Pytester) -> None:
    """It is another process, with the application's lifespan, and it can crash."""
    make(
        pytester,
        """
        import os, signal
        import httpx2, pytest, shop

        pytestmark = pytest.mark.fastapi(server="process")

        def test_it_is_another_process(uvicorn_server, uvicorn_client, db_committed):
            assert uvicorn_client.get("/process").json() == uvicorn_server.process.pid != os.getpid()
            assert uvicorn_client.get("/state").json() == "hello"
            assert uvicorn_client.post("/users").json() == 1
            assert [user.id for user in db_committed.query(shop.User)] == [1]
            assert "POST /users" in uvicorn_server.log

        def test_a_crash_keeps_what_was_committed(uvicorn_server, uvicorn_client, db_committed):
            uvicorn_client.post("/users")
            uvicorn_server.kill()
            assert uvicorn_server.process.returncode == -signal.SIGKILL
            with pytest.raises(httpx2.ConnectError):
                httpx2.Client(base_url=uvicorn_server.url, trust_env=False).get("/state")
            assert db_committed.query(shop.User).count() == 1

        def test_a_signal_ends_it_in_order(uvicorn_server, uvicorn_client):
            uvicorn_client.get("/state")
            uvicorn_client.close()
            uvicorn_server.process.send_signal(signal.SIGTERM)
            uvicorn_server.process.wait(10)
            assert "Application shutdown complete" in uvicorn_server.log

        def test_each_is_empty(uvicorn_client):
            assert uvicorn_client.get("/users").json() == []
        """,
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=4)
    assert not (pytester.path / "real.db").exists()


def test_a_process_serves_a_get_db_of_the_applications_own(pytester: pytest.Pytester) -> None:
    """It reads the same settings as the tests do."""
    pytester.makepyfile(
        shop="""
        from typing import Annotated
        from fastapi import Depends, FastAPI
        from sqlalchemy import create_engine
        from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

        class Base(DeclarativeBase): pass

        class User(Base):
            __tablename__ = "users"
            id: Mapped[int] = mapped_column(primary_key=True)

        engine = create_engine("sqlite:///real.db")

        def get_db():
            with Session(engine) as session:
                yield session

        def make():
            app = FastAPI()

            @app.post("/users")
            def create(session: Annotated[Session, Depends(get_db)]) -> int:
                user = User()
                session.add(user)
                session.commit()
                return user.id

            return app
        """,
        test_it="""
        import pytest, shop

        @pytest.mark.fastapi(server="process")
        def test_it(uvicorn_client, db_committed):
            assert uvicorn_client.post("/users").json() == 1
            assert db_committed.query(shop.User).count() == 1
        """,
    )
    configure(pytester, app="shop:make", more="fastapi_get_db = shop:get_db\nfastapi_metadata = shop:Base")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    assert not (pytester.path / "real.db").exists()


def test_a_process_that_cannot_start_shows_why(pytester: pytest.Pytester) -> None:
    """What it wrote is in the error."""
    make(
        pytester,
        """
        import pytest

        @pytest.mark.fastapi(server="process")
        def test_it(uvicorn_client): pass
        """,
        shop=SHOP.replace("app.state.is_open = True", "raise LookupError('no settings')"),
    )
    outcome = pytester.runpytest_subprocess()
    outcome.assert_outcomes(errors=1)
    outcome.stdout.fnmatch_lines(
        ["The process of uvicorn_server ended with exit code 3. It wrote:", "*LookupError: no settings"]
    )


def test_the_output_of_a_process_is_shown_when_the_test_fails(pytester: pytest.Pytester) -> None:
    """So is a process that does not end when it is told to, which is killed."""
    make(
        pytester,
        """
        import pytest
        from fastapi_patterns.testing import _server_process

        pytestmark = pytest.mark.fastapi(server="process")

        def test_it_fails(uvicorn_client):
            assert uvicorn_client.get("/broken").status_code == 200

        def test_it_does_not_end(uvicorn_client, uvicorn_server, monkeypatch):
            monkeypatch.setattr(_server_process, "STOP_LIMIT_S", 0.1)
            uvicorn_client.get("/deaf")

        def test_it_was_killed():
            pass
        """,
    )
    text = (pytester.path / "shop.py").read_text()
    (pytester.path / "shop.py").write_text(
        text.replace("    app.state.is_open = False", "    import time\n    time.sleep(60 if deaf else 0)")
        + "\ndeaf = []\n@app.get('/deaf')\ndef hear_nothing() -> None:\n    deaf.append(1)\n"
    )
    outcome = pytester.runpytest_subprocess()
    outcome.assert_outcomes(passed=2, failed=1, errors=1)
    outcome.stdout.fnmatch_lines(["*ValueError: broken"])
    outcome.stdout.fnmatch_lines(["The process of uvicorn_server had not ended 0.1 s after SIGTERM, and was killed.*"])
