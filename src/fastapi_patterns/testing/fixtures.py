"""The fixtures, registered by `plugin` once `fastapi_app` is set. A project's own fixture of the same name wins."""

from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_patterns.tasks import TaskQueue
from fastapi_patterns.testing._config import load_application, raises_server_exceptions
from fastapi_patterns.testing._first import pytest_fixture_setup  # noqa: F401 (pytest finds it here)
from fastapi_patterns.testing._loops import has_a_loop, in_the_loop_of, native_fixtures
from fastapi_patterns.testing._overrides import unused_overrides
from fastapi_patterns.testing._unbound import pytest_configure  # noqa: F401 (likewise)
from fastapi_patterns.testing.clients import Client, open_async_client, open_client, task_queues
from fastapi_patterns.testing.clock import frozen_clock
from fastapi_patterns.testing.leaks import assert_no_leaks, watch_this_loop, watched
from fastapi_patterns.testing.openapi import openapi_schema
from fastapi_patterns.testing.outgoing import mock_http
from fastapi_patterns.testing.queries import (
    _fastapi_queries,  # noqa: F401  # a fixture too
    assert_num_queries,
    max_queries,
)
from fastapi_patterns.testing.server import uvicorn_client, uvicorn_server
from fastapi_patterns.testing.tasks import captured_tasks

if TYPE_CHECKING:
    import httpx2
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    from fastapi_patterns.testing._watch import Watch
    from fastapi_patterns.testing.isolation import Isolation
    from fastapi_patterns.testing.login import LoginAs

__all__ = [
    "assert_no_leaks",
    "assert_num_queries",
    "assert_routes_protected",
    "async_client",
    "async_db",
    "async_db_committed",
    "auth_headers",
    "captured_tasks",
    "client",
    "db",
    "db_committed",
    "dependency_overrides",
    "fastapi_app",
    "frozen_clock",
    "login_as",
    "max_queries",
    "mock_http",
    "openapi_schema",
    "uvicorn_client",
    "uvicorn_server",
    "watched",
]

# The plugin's own, and those that a project may make under these names.
_CLIENTS = ("client", "async_client", "uvicorn_client")
_UNUSED = (
    "No route of the application depends on {names}, so overriding it changed nothing. Override the function that "
    "stands in Depends(...), the same object: not a copy of it, nor one of another module or of a mounted application."
)
_IN_A_FUNCTION = (
    "{} for a Database; with an AsyncDatabase, write rows by client.portal.call(f), where the async function f opens "
    "database.session_scope()"
)
# Fixtures whose tests commit for good.
_COMMITTING = ("db_committed", "async_db_committed", "uvicorn_server")


@pytest.fixture(scope="session")
def fastapi_app(pytestconfig: pytest.Config) -> FastAPI:
    """The application under test, imported once: what `fastapi_app` in the pytest configuration names."""
    return load_application(pytestconfig)


@pytest.fixture
def dependency_overrides(fastapi_app: FastAPI) -> Iterator[dict[Any, Any]]:
    """The application's `dependency_overrides`; after the test they are exactly what they were before.

    A test that overrides what no route depends on fails: it changed nothing.
    """
    overrides = fastapi_app.dependency_overrides
    before = dict(overrides)
    yield overrides
    unused = unused_overrides(fastapi_app, [key for key in overrides if key not in before], overrides)
    overrides.clear()
    overrides.update(before)
    if unused:
        pytest.fail(_UNUSED.format(names=", ".join(unused)), pytrace=False)


@pytest.fixture(scope="session")
def _fastapi_databases(fastapi_app: FastAPI, pytestconfig: pytest.Config) -> Iterator[Any]:
    """The application's databases and the engines of the tests; None where SQLAlchemy is not installed."""
    if find_spec("sqlalchemy") is None:
        yield None
        return
    from fastapi_patterns.testing.databases import Databases
    from fastapi_patterns.testing.engines import Engines
    from fastapi_patterns.testing.templates import Templates

    databases = Databases(fastapi_app, pytestconfig)
    engines = Engines(Templates(pytestconfig, databases.all))
    yield databases, engines
    engines.dispose()


@pytest.fixture
def _fastapi_bound(
    request: pytest.FixtureRequest,
    fastapi_app: FastAPI,
    _fastapi_databases: Any,
    dependency_overrides: dict[Any, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> "Iterator[Isolation | None]":
    """Keep what the application does with its databases inside the test.

    What a test patches with `monkeypatch` stays patched until the application has shut down, as this asks for it first.
    """
    monkeypatch.setattr(TaskQueue, "_retries_wait", False)
    monkeypatch.setattr(TaskQueue, "_in_process", True)
    if _fastapi_databases is None:
        yield None
        return
    from fastapi_patterns.testing.isolation import Isolation

    databases, engines = _fastapi_databases
    isolation = Isolation(fastapi_app, databases, engines, commits=_commits(request))
    if isolation.takes_turns:
        # One connection serves the whole test, and it can only do one thing at a time.
        for queue in task_queues(fastapi_app):
            monkeypatch.setattr(queue, "max_concurrency", 1)
    with isolation.active(dependency_overrides):
        yield isolation


@pytest.fixture
def _fastapi_isolation(
    request: pytest.FixtureRequest, _fastapi_bound: "Isolation | None", _fastapi_watch: "Watch | None"
) -> "Isolation | None":
    """The same, watched for leaks where the test asks for that: what needs it comes later and goes before it."""
    if _fastapi_watch is not None and has_a_loop(request):
        in_the_loop_of(request, "fastapi_watch", "assert_no_leaks", "assert_no_leaks")
    return _fastapi_bound


@pytest.fixture
def _fastapi_async_isolation(
    request: pytest.FixtureRequest, _fastapi_isolation: "Isolation | None"
) -> "Isolation | None":
    """The same, with async databases bound in the event loop of the test."""
    fixture = next(name for name in ("async_client", "async_db_committed", "async_db") if name in request.fixturenames)
    instead = "client" if fixture == "async_client" else fixture.removeprefix("async_")
    in_the_loop_of(request, "fastapi_isolation", fixture, instead)
    return _fastapi_isolation


async def _bind_in_this_loop(_fastapi_isolation: "Isolation | None") -> AsyncIterator[None]:
    if _fastapi_isolation is None:
        yield
        return
    async with _fastapi_isolation.in_this_loop():
        yield


@pytest.fixture
def _fastapi_client(
    request: pytest.FixtureRequest,
    fastapi_app: FastAPI,
    _fastapi_isolation: "Isolation | None",
    _fastapi_watch: "Watch | None",
) -> Iterator[Client]:
    """The one client of a test, also where the project has a fixture `client` of its own."""
    raises = raises_server_exceptions(request)
    with open_client(fastapi_app, _fastapi_isolation, raises=raises, watch=_fastapi_watch) as opened:
        yield opened


@pytest.fixture
def client(_fastapi_client: Client) -> TestClient:
    """A client with the application's lifespan running, inside the test's transaction.

    An exception that the application does not handle is raised in the test, unless it is marked with
    `@pytest.mark.fastapi(raise_server_exceptions=False)`: then it is a 500. Background tasks of a request are done when
    the call returns. Requests from several threads are served one after the other where there is a database.
    """
    return _fastapi_client


@pytest.fixture
def async_client(request: pytest.FixtureRequest, _fastapi_async_isolation: "Isolation | None") -> "httpx2.AsyncClient":
    """The same for async tests: an `httpx2.AsyncClient` in the event loop of the test, under anyio or pytest-asyncio.

    The lifespan runs, and its state is on each request. Requests that are sent at once are served one after the other
    where there is a database. It has no websockets: `client` has, and `uvicorn_client` where it should be async.
    """
    opened: httpx2.AsyncClient = in_the_loop_of(request, "fastapi_async_client", "async_client", "client")
    return opened


async def _open_async_client(
    request: pytest.FixtureRequest, fastapi_app: FastAPI, _fastapi_isolation: "Isolation | None"
) -> "AsyncIterator[httpx2.AsyncClient]":
    raises = raises_server_exceptions(request)
    async with open_async_client(fastapi_app, _fastapi_isolation, raises=raises) as opened:
        yield opened


@pytest.fixture
def db(request: pytest.FixtureRequest, _fastapi_isolation: "Isolation | None") -> "Iterator[Session]":
    """A session on the test's transaction, which the application shares: each sees what the other commits."""
    with _isolated(request, "db", _fastapi_isolation).session("db") as session:
        yield session


@pytest.fixture
def db_committed(request: pytest.FixtureRequest, _fastapi_isolation: "Isolation | None") -> "Iterator[Session]":
    """A session whose commits are real, as the application's are in this test: for locks, races, more connections.

    The test has a database of its own for it, or one that is put back afterwards.
    """
    with _isolated(request, "db_committed", _fastapi_isolation).session("db_committed") as session:
        yield session


@pytest.fixture
def async_db(request: pytest.FixtureRequest, _fastapi_async_isolation: "Isolation | None") -> "AsyncSession":
    """The same as `db`, for an `AsyncDatabase`, in async tests."""
    _isolated(request, "async_db", _fastapi_async_isolation)
    opened: AsyncSession = in_the_loop_of(request, "fastapi_async_db", "async_db", _IN_A_FUNCTION.format("db"))
    return opened


@pytest.fixture
def async_db_committed(request: pytest.FixtureRequest, _fastapi_async_isolation: "Isolation | None") -> "AsyncSession":
    """The same as `db_committed`, for an `AsyncDatabase`, in async tests."""
    _isolated(request, "async_db_committed", _fastapi_async_isolation)
    instead = _IN_A_FUNCTION.format("db_committed")
    opened: AsyncSession = in_the_loop_of(request, "fastapi_async_db", "async_db_committed", instead)
    return opened


async def _open_async_db(
    request: pytest.FixtureRequest, _fastapi_isolation: "Isolation"
) -> "AsyncIterator[AsyncSession]":
    async with _fastapi_isolation.async_session("async_db_committed" if _commits(request) else "async_db") as session:
        yield session


globals().update(native_fixtures("fastapi_watch", watch_this_loop))
globals().update(native_fixtures("fastapi_isolation", _bind_in_this_loop))
globals().update(native_fixtures("fastapi_async_client", _open_async_client))
globals().update(native_fixtures("fastapi_async_db", _open_async_db))


@pytest.fixture
def login_as(request: pytest.FixtureRequest, fastapi_app: FastAPI) -> "Iterator[LoginAs]":
    """Log a user in for the clients of the test: `login_as(ada, scopes=["reports:read"])`, or as a `with` block.

    The fixtures `client`, `async_client` and `uvicorn_client` send a real token from then on, websockets included;
    after the block, or the test, everything is as it was.
    """
    from fastapi_patterns.testing.login import LoginAs

    # Here and not at the call: an async fixture cannot be set up while the test's event loop runs.
    clients = [request.getfixturevalue(name) for name in _CLIENTS if name in request.fixturenames]
    logins = LoginAs(fastapi_app, clients)
    yield logins
    logins.close()


@pytest.fixture
def auth_headers(fastapi_app: FastAPI) -> Callable[..., dict[str, str]]:
    """Make the headers of a user's requests: `client.get("/me", headers=auth_headers(ada))`."""
    from fastapi_patterns.testing.login import LoginAs

    return LoginAs(fastapi_app, ()).headers


@pytest.fixture
def assert_routes_protected(fastapi_app: FastAPI) -> Callable[..., None]:
    """Check that every route of the application needs a user: `assert_routes_protected(public=["/health"])`."""
    from fastapi_patterns.testing import protection

    return partial(protection.assert_routes_protected, fastapi_app)


def _commits(request: pytest.FixtureRequest) -> bool:
    return any(name in request.fixturenames for name in _COMMITTING)


def _isolated(request: pytest.FixtureRequest, fixture: str, isolation: "Isolation | None") -> "Isolation":
    if isolation is None:
        pytest.fail(f"the fixture {fixture} needs SQLAlchemy: pip install 'fastapi-patterns[db]'", pytrace=False)
    rolled_back = fixture in ("db", "async_db")
    if rolled_back and isolation.commits:
        both = next(name for name in _COMMITTING if name in request.fixturenames)
        pytest.fail(f"a test is rolled back, or it commits: {fixture} and {both} cannot both be in it", pytrace=False)
    return isolation
