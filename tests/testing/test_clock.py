"""`frozen_clock`, in projects of its own: what it reaches, what it leaves alone, and what it says."""

import pytest

from tests.testing.test_plugin import INI, configure

APP = """
import time
from datetime import UTC, datetime, timedelta
from typing import Annotated
from fastapi import Depends, FastAPI, Response, WebSocket
from sqlalchemy.orm import DeclarativeBase
from fastapi_patterns import (
    Claims, Database, OneTimeTokens, TokenCodec, TokenConfig, install_stack, make_current_user
)
from fastapi_patterns.auth import InMemoryTokenStore, LoginSessions
from fastapi_patterns.auth.stores import SqlAlchemyTokenStore, token_store_tables
from fastapi_patterns.security import InsecureLegacyTokens, RefreshPolicy

class Base(DeclarativeBase):
    pass

SECRET = "S3cr3t-of-the-tests-0123456789-abcdefghijklmnopqrstuvwxyz"
OLD_SECRET = "an-older-secret-of-the-tests-0123456789-abcdefghij"
database = Database("sqlite:///real.db", metadata=Base.metadata)
tables = token_store_tables(Base.metadata)
tokens = TokenCodec(
    TokenConfig(secret_key=SECRET, expires_delta=timedelta(minutes=15)),
    also_accept=InsecureLegacyTokens(
        secret=OLD_SECRET, accept_until=datetime.now(UTC) + timedelta(days=1), is_access=lambda claims: True
    ),
)
links = OneTimeTokens(SECRET, purpose="password-reset", expires_delta=timedelta(minutes=5))
policy = RefreshPolicy(idle=timedelta(days=2), absolute=timedelta(days=3))
in_memory = LoginSessions(InMemoryTokenStore(), tokens=tokens, policy=policy)
in_tables = LoginSessions(SqlAlchemyTokenStore(database, tables=tables), tokens=tokens, policy=policy)
get_current_user = make_current_user(lambda claims: claims.sub, tokens=tokens)
app = FastAPI()
install_stack(app, resources=[database])

@app.get("/me")
async def me(user: Annotated[str, Depends(get_current_user)]) -> str:
    return user

@app.get("/fresh")
def fresh(user: Annotated[str, Depends(get_current_user.fresh(timedelta(minutes=1)))]) -> str:
    return user

@app.get("/clocks")
def clocks() -> list[float]:
    return [datetime.now(UTC).timestamp(), time.time()]

@app.get("/cookie")
async def cookie(response: Response) -> None:
    response.set_cookie("seen", "yes", max_age=60)

@app.websocket("/socket")
async def socket(websocket: WebSocket, user: Annotated[str, Depends(get_current_user)]) -> None:
    await websocket.accept()
    await websocket.send_text(user)
    await websocket.close()
"""

REACHED = """
import pytest
from datetime import timedelta
from jose import jwt
from starlette.websockets import WebSocketDisconnect
from fastapi_patterns import TokenError
from shop import OLD_SECRET, in_memory, in_tables, links, tokens

def active(subject):
    return {}

def test_tokens(frozen_clock):
    token = tokens.encode({"sub": "ada"})
    assert tokens.decode(token).issued_at == frozen_clock.now
    frozen_clock.tick(15 * 60 - 1)
    assert tokens.decode(token).sub == "ada"
    frozen_clock.tick(1)
    with pytest.raises(TokenError):
        tokens.decode(token)

def test_tokens_of_older_code(frozen_clock):
    old = jwt.encode({"sub": "ada", "exp": frozen_clock.now + timedelta(days=9)}, OLD_SECRET)
    assert tokens.decode(old).sub == "ada"
    frozen_clock.tick(timedelta(days=2))
    with pytest.raises(TokenError):
        tokens.decode(old)

def test_one_time_tokens(frozen_clock):
    link = links.issue("ada", state="hash")
    frozen_clock.tick(timedelta(minutes=5))
    with pytest.raises(TokenError):
        links.verify(link, state="hash")

@pytest.mark.parametrize("sessions", [in_memory, in_tables], ids=["memory", "sqlalchemy"])
def test_sessions(client, frozen_clock, sessions):
    call = client.portal.call
    async def refresh(issued):
        return await sessions.refresh(issued.refresh_token, claims_of=active)
    idle, used = call(sessions.start, "ada"), call(sessions.start, "ada")
    frozen_clock.tick(timedelta(days=1))
    used = call(refresh, used)
    frozen_clock.tick(timedelta(days=1))
    with pytest.raises(TokenError):
        call(refresh, idle)
    used = call(refresh, used)
    frozen_clock.tick(timedelta(days=1))
    with pytest.raises(TokenError):
        call(refresh, used)

def test_requests(client, frozen_clock, login_as):
    login_as("ada")
    assert client.get("/fresh").status_code == 200
    frozen_clock.tick(2 * 60)
    assert client.get("/me").status_code == 200
    assert client.get("/fresh").status_code == 401
    with client.websocket_connect("/socket") as socket:
        assert socket.receive_text() == "ada"
    frozen_clock.tick(timedelta(minutes=13))
    assert client.get("/me").status_code == 401
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/socket") as socket:
        socket.receive_text()

def test_the_applications_own_clocks_and_cookies(client, frozen_clock):
    assert client.get("/clocks").json() == [frozen_clock.now.timestamp()] * 2
    client.get("/cookie")
    assert "seen" in client.get("/me").request.headers["Cookie"]
    frozen_clock.tick(61)
    assert client.get("/clocks").json() == [frozen_clock.now.timestamp()] * 2
    assert "Cookie" not in client.get("/me").request.headers
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """A project with an application in `shop.py`, whose codecs are made when it is imported."""
    pytester.makepyfile(shop=APP)
    configure(pytester)
    return pytester


@pytest.mark.parametrize("addopts", ["", "-n 2"])
def test_it_reaches_token_checks(project: pytest.Pytester, addopts: str) -> None:
    """Tokens, links, sessions, fresh logins, websockets, the application's own clocks and the client's cookies."""
    configure(project, addopts=addopts)
    project.makepyfile(test_it=REACHED)
    project.runpytest_subprocess().assert_outcomes(passed=7)


def test_it_moves_as_told(project: pytest.Pytester) -> None:
    """It begins at a whole second, stands still, ticks forward and moves to any moment, to the microsecond."""
    project.makepyfile(
        test_it="""
        import os
        import time
        from datetime import UTC, datetime, timedelta, timezone

        def test_it(frozen_clock):
            zone, began = os.environ.get("TZ"), frozen_clock.now
            assert began.microsecond == 0 and began.tzinfo is UTC
            assert began == datetime.now(UTC) == frozen_clock.now
            frozen_clock.tick(1.5)
            frozen_clock.tick(timedelta(milliseconds=250))
            frozen_clock.tick(0)
            assert frozen_clock.now - began == timedelta(seconds=1.75)
            for moment in (
                datetime(2100, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC),
                datetime(1971, 1, 2, 3, 4, 5, 999_999, tzinfo=timezone(timedelta(hours=-3))),
                datetime(2024, 2, 29, 12, tzinfo=UTC),
            ):
                frozen_clock.move_to(moment)
                assert frozen_clock.now == moment
                assert frozen_clock.now.tzinfo is UTC
            assert repr(frozen_clock) == "FrozenClock(2024-02-29T12:00:00+00:00)"
            assert os.environ.get("TZ") == zone  # local time stays what it is
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=1)


def test_mistakes_are_readable(project: pytest.Pytester) -> None:
    """A call that cannot be right says so, and leaves the clock where it was."""
    project.makepyfile(
        test_it="""
        import pytest
        from datetime import UTC, datetime, timedelta

        @pytest.mark.parametrize(("delta", "error", "words"), [
            (-1, ValueError, "tick moves forward; got -1 day, 23:59:59. To go back use move_to"),
            (timedelta(days=-1), ValueError, "tick moves forward"),
            (float("nan"), ValueError, "tick needs a number of seconds; got nan"),
            (float("inf"), ValueError, "tick needs a number of seconds; got inf"),
            (10**30, ValueError, "beyond the year 9999"),
            (timedelta.max, ValueError, "beyond the year 9999"),
            ("1", TypeError, "tick takes seconds or a timedelta; got str"),
            (True, TypeError, "tick takes seconds or a timedelta; got bool"),
        ])
        def test_tick(frozen_clock, delta, error, words):
            before = frozen_clock.now
            with pytest.raises(error, match=words):
                frozen_clock.tick(delta)
            assert frozen_clock.now == before

        @pytest.mark.parametrize(("moment", "error", "words"), [
            (datetime(2030, 1, 1), ValueError, "needs a datetime with a time zone"),
            (1.5, TypeError, "move_to takes a datetime; got float"),
            ("2030-01-01", TypeError, "move_to takes a datetime; got str"),
        ])
        def test_move_to(frozen_clock, moment, error, words):
            before = frozen_clock.now
            with pytest.raises(error, match=words):
                frozen_clock.move_to(moment)
            assert frozen_clock.now == before
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=11)


def test_the_real_time_is_back_after_the_test(project: pytest.Pytester) -> None:
    """Also after a test that fails, and time frozen around it by time-machine itself is as it was."""
    project.makepyfile(
        test_it="""
        import time
        import pytest
        import time_machine
        from datetime import UTC, datetime, timedelta

        real = time.monotonic() - time.time()
        YEAR_2050 = datetime(2050, 1, 1, tzinfo=UTC)

        def is_real():
            return abs(time.monotonic() - time.time() - real) < 5

        @pytest.fixture(params=["real", "travelling"])
        def around(request):
            if request.param == "real":
                yield is_real
                assert is_real()
            else:
                with time_machine.travel(YEAR_2050, tick=False):
                    yield None
                    assert datetime.now(UTC) == YEAR_2050

        def test_fails(frozen_clock):
            frozen_clock.tick(timedelta(days=99))
            assert not is_real()
            raise ValueError

        def test_is_back():
            assert is_real()

        @time_machine.travel(YEAR_2050, tick=False)
        def test_inside():
            assert datetime.now(UTC) == YEAR_2050
        """,
        test_nested="""
        import pytest
        import time_machine
        from datetime import UTC, datetime

        YEAR_2050 = datetime(2050, 1, 1, tzinfo=UTC)

        @pytest.fixture(scope="module", autouse=True)
        def travelling():
            with time_machine.travel(YEAR_2050, tick=False):
                yield
                assert datetime.now(UTC) == YEAR_2050

        def test_moves(frozen_clock):
            assert frozen_clock.now == YEAR_2050
            frozen_clock.tick(60)

        def test_is_back():
            assert datetime.now(UTC) == YEAR_2050
        """,
    )
    project.runpytest_subprocess().assert_outcomes(passed=4, failed=1)


def test_it_is_frozen_before_other_fixtures(project: pytest.Pytester) -> None:
    """A token of a fixture is of the frozen time, in whatever order the test names them."""
    project.makepyfile(
        test_it="""
        import pytest
        import time
        from datetime import UTC, datetime

        @pytest.fixture
        def made_at():
            first = time.time()
            yield first
            assert time.time() == first + 60  # still frozen

        def test_it(made_at, client, frozen_clock):
            assert made_at == frozen_clock.now.timestamp()
            frozen_clock.tick(60)
        """
    )
    project.runpytest_subprocess().assert_outcomes(passed=1)


ASYNC = """
import asyncio
import time
import anyio
import pytest
from sqlalchemy import text
from fastapi_patterns import AsyncDatabase, TokenError
from shop import tokens

pytestmark = {mark}

@pytest.fixture{anyio_backend}

async def test_the_event_loop_runs_on(frozen_clock):
    token, began = tokens.encode({{"sub": "ada"}}), time.monotonic()
    await asyncio.sleep(0.01)
    assert time.monotonic() - began >= 0.009
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asyncio.Event().wait()
    frozen_clock.tick(15 * 60)
    async with asyncio.timeout(30):  # a jump does not end it
        await anyio.to_thread.run_sync(lambda: None)
    with pytest.raises(TokenError):
        tokens.decode(token)

async def test_requests(async_client, login_as, frozen_clock):
    login_as("ada")
    assert (await async_client.get("/fresh")).status_code == 200
    frozen_clock.tick(2 * 60)
    assert (await async_client.get("/fresh")).status_code == 401
    frozen_clock.tick(13 * 60)
    assert (await async_client.get("/me")).status_code == 401

async def test_a_pool_hands_out_connections(frozen_clock):
    async with AsyncDatabase("sqlite://") as database:
        for _ in range(3):
            async with asyncio.timeout(30), database.session_scope() as session:
                assert (await session.execute(text("SELECT 1"))).scalar() == 1
            frozen_clock.tick(24 * 60 * 60)
"""


LOOP_SCOPE = "asyncio_default_fixture_loop_scope = function"


@pytest.mark.parametrize(
    ("mark", "plugin", "more"),
    [
        ("pytest.mark.anyio", "-p no:asyncio", ""),
        ("pytest.mark.asyncio", "", f"asyncio_mode = strict\n{LOOP_SCOPE}"),
        ("[]", "", f"asyncio_mode = auto\n{LOOP_SCOPE}"),
    ],
    ids=["anyio", "strict", "auto"],
)
def test_event_loops_and_pools_run_on(pytester: pytest.Pytester, mark: str, plugin: str, more: str) -> None:
    """Sleeps, timeouts, worker threads and connection pools work in an async test, before and after a jump."""
    pytester.makepyfile(
        shop=APP,
        test_it=ASYNC.format(
            mark=mark, anyio_backend="(params=['asyncio'])\ndef anyio_backend(request):\n    return request.param"
        ),
    )
    ini = INI.replace("-p no:asyncio", plugin)
    pytester.makeini(ini.format(app="shop:app", addopts="", more=more))
    pytester.runpytest_subprocess().assert_outcomes(passed=3)


def test_without_time_machine_it_says_what_to_install(project: pytest.Pytester) -> None:
    """The message holds the pip line."""
    configure(project, addopts="-p no:time_machine -p hide")
    project.makepyfile(hide="import sys\nsys.modules['time_machine'] = None", test_it="def test_it(frozen_clock): ...")
    result = project.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*frozen_clock needs time-machine: pip install 'fastapi-patterns[[]testing]'*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_the_projects_own_fixture_wins(project: pytest.Pytester) -> None:
    """A `frozen_clock` in the project's conftest is the one that tests get."""
    project.makeconftest("import pytest\n\n@pytest.fixture\ndef frozen_clock():\n    return 'own clock'")
    project.makepyfile(test_it="def test_it(client, frozen_clock):\n    assert frozen_clock == 'own clock'")
    project.runpytest_subprocess().assert_outcomes(passed=1)
