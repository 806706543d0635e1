"""`async_client`, `async_db` and `async_db_committed` in projects of their own, under each way to run async tests."""

from textwrap import dedent

import pytest

from tests.testing.projects import ASYNC_SHOP, RUNNERS, SHOP, configure

ISOLATED = """
import asyncio
from shop import User, app, database

async def test_the_lifespan_runs(async_client):
    assert app.state.is_open
    assert (await async_client.get("/state")).json() == "hello"

@pytest.mark.parametrize("turn", range(3))
async def test_each_test_starts_empty(async_client, turn):
    assert (await async_client.get("/users")).json() == []
    assert (await async_client.post("/users")).json() == 1
    assert (await async_client.get("/users")).json() == ["ada (welcomed)"]

async def test_requests_at_once(async_client):
    answers = await asyncio.gather(*(async_client.post("/users") for _ in range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert (await async_client.get("/users")).json() == ["ada (welcomed)"] * 20

async def test_rolled_back(async_client):
    with pytest.raises(ValueError, match="undone"):
        await async_client.post("/undone")
    assert (await async_client.get("/users")).json() == []

async def test_it_has_closed(request):
    assert not app.state.is_open
"""

SHARED = """
import pytest
from shop import User, database
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

COUNT = select(func.count()).select_from(User)

async def test_both_ways(async_client, async_db):
    async_db.add(User(name="eve"))
    await async_db.commit()
    assert (await async_client.get("/users")).json() == ["eve"]
    await async_client.post("/users")
    assert (await async_db.scalars(select(User.name).order_by(User.id))).all() == ["eve", "ada (welcomed)"]
    async with database.session_scope() as session:
        assert await session.scalar(COUNT) == 2

async def test_without_a_client(async_db):
    assert await async_db.scalar(COUNT) == 0
    async_db.add_all([User(email="a"), User(email="b")])
    await async_db.flush()
    async_db.add(User(email="a"))
    with pytest.raises(IntegrityError):
        await async_db.flush()

async def test_it_is_empty_again(async_db):
    assert await async_db.scalar(COUNT) == 0

async def test_for_good(async_client, async_db_committed):
    async_db_committed.add(User(name="eve"))
    await async_db_committed.commit()
    assert (await async_client.get("/users")).json() == ["eve"]
    async with database.session_scope() as own:
        own.add(User(name="bob"))
    await async_db_committed.rollback()
    assert await async_db_committed.scalar(COUNT) == 2  # what others committed is not rolled back

async def test_it_is_empty_after_that_too(async_db):
    assert await async_db.scalar(COUNT) == 0
"""


def run(pytester: pytest.Pytester, runner: str, shop: str, test: str, *, more: str = "", addopts: str = "") -> None:
    """Make a project whose async tests are run in this way, and run it."""
    own_addopts, ini, head = RUNNERS[runner]
    pytester.makepyfile(shop=shop, test_it="import pytest\n" + head + dedent(test))
    configure(pytester, addopts=f"{own_addopts} {addopts}", more=f"{ini}\n{more}")


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize("shop", [SHOP, ASYNC_SHOP], ids=["sync", "async"])
def test_each_async_test_is_isolated(runner: str, shop: str, pytester: pytest.Pytester) -> None:
    """Over sync and async databases, with requests at once, tasks and the lifespan, the real file untouched."""
    run(pytester, runner, shop, ISOLATED)
    pytester.runpytest_subprocess().assert_outcomes(passed=7)
    assert not (pytester.path / "real.db").exists()


@pytest.mark.parametrize("runner", RUNNERS)
def test_the_test_has_a_session_of_its_own(runner: str, pytester: pytest.Pytester) -> None:
    """On the transaction that the application shares, or on the database where both commit."""
    run(pytester, runner, ASYNC_SHOP, SHARED)
    pytester.runpytest_subprocess().assert_outcomes(passed=5)


@pytest.mark.parametrize("runner", ["anyio", "asyncio-strict"])
def test_workers_are_isolated_too(runner: str, pytester: pytest.Pytester) -> None:
    """Under pytest-xdist nothing changes."""
    run(pytester, runner, ASYNC_SHOP, SHARED, addopts="-n 2")
    pytester.runpytest_subprocess().assert_outcomes(passed=5)


WRONG_MODES = {
    "def test_it(async_client): ...": "*async_client is for async tests, and this one is a plain function: use client*",
    "def test_it(async_db): ...": "*async_db is for async tests, and this one is a plain function: use db*",
    "async def test_it(db): ...": "*db is for a Database, and the application's is an AsyncDatabase: use async_db*",
    "async def test_it(client, async_db): ...": "*client runs the application in a loop of its own*",
    "async def test_it(client, async_client): ...": "*client runs the application in a loop of its own*",
    "async def test_it(async_client, client): ...": "*async_client and client each start the application*",
    "async def test_it(async_db, async_db_committed): ...": "*is rolled back, or it commits: async_db and async_db_*",
    "@pytest.mark.fastapi(raises=False)\nasync def test_it(async_client): ...": "*takes raise_server_exceptions*",
}


@pytest.mark.parametrize("test", WRONG_MODES)
def test_a_fixture_in_the_wrong_mode_says_which_one_is_right(test: str, pytester: pytest.Pytester) -> None:
    """Before the test does anything."""
    run(pytester, "asyncio-auto", ASYNC_SHOP, test)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([WRONG_MODES[test]])


@pytest.mark.parametrize(
    ("shop", "message"),
    [
        (SHOP, "*async_db is for an AsyncDatabase, and the application's is a Database: use db*"),
        ("from fastapi import FastAPI\napp = FastAPI()", "*The application has no database that the plugin knows*"),
    ],
    ids=["sync", "none"],
)
def test_async_db_needs_an_async_database(shop: str, message: str, pytester: pytest.Pytester) -> None:
    """The message names the fixture for the database that there is."""
    run(pytester, "anyio", shop, "async def test_it(async_db): ...")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([message])


def test_an_async_test_that_no_plugin_runs_is_told(pytester: pytest.Pytester) -> None:
    """Instead of an event loop that is not there."""
    pytester.makepyfile(shop=ASYNC_SHOP, test_it="async def test_it(async_client): ...")
    configure(pytester)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*Mark it with @pytest.mark.anyio*"])


def test_trio_is_told_to_be_asyncio(pytester: pytest.Pytester) -> None:
    """Anyio's plugin runs its tests on trio too where that is installed."""
    pytest.importorskip("trio")
    head = RUNNERS["anyio"][2].replace("'asyncio'", "'trio'")
    pytester.makepyfile(shop=SHOP, test_it=head + "async def test_it(async_client): ...")
    configure(pytester)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*runs the application on asyncio, as servers do, and this test runs on trio*"])


@pytest.mark.parametrize("runner", ["anyio", "asyncio-strict"])
def test_a_server_error_is_raised_or_answered(runner: str, pytester: pytest.Pytester) -> None:
    """Raised by default; a 500 where the test, its class or its module is marked, the nearest marker first."""
    test = """
    marked = pytest.mark.fastapi(raise_server_exceptions=False)

    async def test_raised(async_client):
        with pytest.raises(ValueError, match="broken"):
            await async_client.get("/broken")

    @marked
    async def test_answered(async_client):
        assert (await async_client.get("/broken")).status_code == 500

    def test_raised_by_the_sync_one(client):
        with pytest.raises(ValueError, match="broken"):
            client.get("/broken")

    @marked
    class TestAnswered:
        def test_answered(self, client):
            assert client.get("/broken").json() == {"error": "Internal Server Error"}

        @pytest.mark.fastapi(raise_server_exceptions=True)
        def test_raised(self, client):
            with pytest.raises(ValueError, match="broken"):
                client.get("/broken")
    """
    head = RUNNERS[runner][2]
    test = dedent(test)
    if runner == "asyncio-strict":  # sync tests in the same module take no mark of the plugin's
        head, test = "import pytest\n", test.replace("async def test", "@pytest.mark.asyncio\nasync def test")
    pytester.makepyfile(shop=SHOP, test_it=head + test)
    configure(pytester, addopts=RUNNERS[runner][0], more=RUNNERS[runner][1])
    pytester.runpytest_subprocess().assert_outcomes(passed=5)


FAILING_LIFESPAN = """
from contextlib import asynccontextmanager
from fastapi import FastAPI

@asynccontextmanager
async def lifespan(app):
    {before}
    yield
    {after}

app = FastAPI(lifespan=lifespan)
"""


@pytest.mark.parametrize("runner", ["anyio", "asyncio-strict"])
@pytest.mark.parametrize("place", ["before", "after"])
def test_a_lifespan_that_fails_fails_the_test(place: str, runner: str, pytester: pytest.Pytester) -> None:
    """With what it raised, at the start as at the end."""
    raising = {"before": "pass", "after": "pass", place: "raise OSError('no disk')"}
    run(pytester, runner, FAILING_LIFESPAN.format(**raising), "async def test_it(async_client): ...")
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(errors=1, passed=1 if place == "after" else 0)
    result.stdout.fnmatch_lines(["*OSError: no disk*"])


def test_a_lifespan_with_a_task_group_ends_where_it_began(pytester: pytest.Pytester) -> None:
    """Its cancel scope may only be left in the task that entered it, and plugins end fixtures in another one."""
    shop = """
from contextlib import asynccontextmanager
import anyio
from fastapi import FastAPI

@asynccontextmanager
async def lifespan(app):
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        yield
        group.cancel_scope.cancel()

app = FastAPI(lifespan=lifespan)
"""
    run(pytester, "asyncio-strict", shop, "async def test_it(async_client):\n    await async_client.get('/')")
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_a_fixture_of_the_projects_own_may_use_them(pytester: pytest.Pytester) -> None:
    """Async fixtures that set a test up get the same client and session."""
    test = """
    import pytest_asyncio
    from shop import User

    @pytest_asyncio.fixture
    async def ada(async_db):
        user = User(name="ada")
        async_db.add(user)
        await async_db.commit()
        return user

    @pytest_asyncio.fixture
    async def names(async_client, ada):
        return (await async_client.get("/users")).json()

    async def test_it(names, ada, async_client, async_db):
        assert names == ["ada"]
        assert ada in async_db
    """
    run(pytester, "asyncio-strict", ASYNC_SHOP, test)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_a_request_may_send_a_request(pytester: pytest.Pytester) -> None:
    """What the application asks of itself through the same client is part of the request's turn."""
    more = """
@app.get("/twice")
async def twice(session: SessionDep) -> list[str]:
    return (await app.state.client.get("/users")).json()
"""
    test = """
    from shop import app

    async def test_it(async_client):
        app.state.client = async_client
        await async_client.post("/users")
        assert (await async_client.get("/twice")).json() == ["ada (welcomed)"]
    """
    run(pytester, "anyio", ASYNC_SHOP + more, test)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_a_database_that_is_not_registered_is_refused(pytester: pytest.Pytester) -> None:
    """As by the sync client: what it writes would stay."""
    shop = ASYNC_SHOP.replace("resources=[database, tasks]", "resources=[tasks]")
    test = """
    from fastapi_patterns.exceptions import ConfigurationError

    async def test_it(async_client):
        with pytest.raises(ConfigurationError, match="is not isolated in this test"):
            await async_client.get("/users")
    """
    run(pytester, "anyio", shop, test)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    assert not (pytester.path / "real.db").exists()


def test_a_user_is_logged_in(pytester: pytest.Pytester) -> None:
    """`login_as` reaches `async_client`, whichever of them the test names first, and puts it back."""
    shop = """
from typing import Annotated
from fastapi import Depends, FastAPI
from fastapi_patterns import Claims, TokenCodec, TokenConfig, install_stack, make_current_user

def load(claims: Claims) -> str:
    return claims.sub

current = make_current_user(load, tokens=TokenCodec(TokenConfig(secret_key="S3cr3t-of-the-tests-0123456789-abc")))
app = FastAPI()
install_stack(app)

@app.get("/me")
async def me(user: Annotated[str, Depends(current)]) -> str:
    return user
"""
    test = """
    async def test_it(login_as, async_client):
        with login_as(7):
            assert (await async_client.get("/me")).json() == "7"
        assert (await async_client.get("/me")).status_code == 401

    async def test_another_order(async_client, login_as, auth_headers):
        login_as(8)
        assert (await async_client.get("/me")).json() == "8"
        assert (await async_client.get("/me", headers=auth_headers(9))).json() == "9"
    """
    run(pytester, "asyncio-auto", shop, test)
    pytester.runpytest_subprocess().assert_outcomes(passed=2)
