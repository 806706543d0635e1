"""The fixtures, registered by `plugin` once `fastapi_app` is set. A project's own fixture of the same name wins."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_patterns.stack import stack_of
from fastapi_patterns.tasks import TaskQueue
from fastapi_patterns.testing._config import load

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from fastapi_patterns.testing.databases import Databases
    from fastapi_patterns.testing.login import LoginAs

__all__ = ["auth_headers", "client", "db", "dependency_overrides", "fastapi_app", "login_as"]


# A request that has not ended by then may be waiting for another one, and holds that up no longer.
_TURN_TIMEOUT_S = 5.0
# The plugin's client, and one for async tests that the project makes.
_CLIENTS = ("client", "async_client")


class _Client(TestClient):
    """Starlette's client, which also waits for the background tasks of a request before it returns.

    With a database, requests from several threads take turns: the one connection of the test cannot serve two at once,
    since savepoints end in the reverse order of their beginning. The turn is the whole request, not a session: a
    request may open several of them, on the event loop too, where nothing may wait.
    """

    turns: "threading.RLock | None" = None
    databases: "Databases | None" = None

    def send(self, *args: Any, **kwargs: Any) -> Any:
        if self.turns is None:
            return self._send_and_join(*args, **kwargs)
        took_turn = self.turns.acquire(timeout=_TURN_TIMEOUT_S)
        try:
            return self._send_and_join(*args, **kwargs)
        finally:
            if took_turn:
                self.turns.release()

    def websocket_connect(self, *args: Any, **kwargs: Any) -> Any:
        session = super().websocket_connect(*args, **kwargs)
        if self.databases is not None:
            session.app = self.databases.serving(session.app)  # it is called when the session is entered
        return session

    def _send_and_join(self, *args: Any, **kwargs: Any) -> Any:
        with nullcontext() if self.databases is None else self.databases.served():
            response = super().send(*args, **kwargs)
        stack = stack_of(self.app)  # type: ignore[arg-type]  # the plugin only makes it for a FastAPI app
        for resource in stack.resources if stack else ():
            if isinstance(resource, TaskQueue) and self.portal is not None:
                self.portal.call(resource.join)
        return response


@pytest.fixture(scope="session")
def fastapi_app(pytestconfig: pytest.Config) -> FastAPI:
    """The application under test, imported once: what `fastapi_app` in the pytest configuration names."""
    found = load(pytestconfig, "fastapi_app")
    if not isinstance(found, FastAPI) and callable(found):
        found = found()
    if not isinstance(found, FastAPI):
        raise pytest.UsageError(f"fastapi_app must name a FastAPI application or a factory; got {type(found).__name__}")
    return found


@pytest.fixture
def dependency_overrides(fastapi_app: FastAPI) -> Iterator[dict[Any, Any]]:
    """The application's `dependency_overrides`; after the test they are exactly what they were before."""
    before = dict(fastapi_app.dependency_overrides)
    yield fastapi_app.dependency_overrides
    fastapi_app.dependency_overrides.clear()
    fastapi_app.dependency_overrides.update(before)


@pytest.fixture(scope="session")
def _fastapi_databases(fastapi_app: FastAPI, pytestconfig: pytest.Config) -> "Iterator[Databases | None]":
    """The application's databases with a test engine each; None where SQLAlchemy is not installed."""
    if find_spec("sqlalchemy") is None:
        yield None
        return
    from fastapi_patterns.testing.databases import Databases

    databases = Databases(fastapi_app, pytestconfig)
    yield databases
    databases.dispose()


@pytest.fixture
def _fastapi_isolation(
    fastapi_app: FastAPI,
    _fastapi_databases: "Databases | None",
    dependency_overrides: dict[Any, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> "Iterator[Databases | None]":
    """Put everything that the application does with its databases into a transaction that is rolled back."""
    stack = stack_of(fastapi_app)
    for resource in stack.resources if stack else ():
        if isinstance(resource, TaskQueue):
            # One connection serves the whole test, and it can only do one thing at a time.
            monkeypatch.setattr(resource, "max_concurrency", 1)
    if _fastapi_databases is None:
        yield None
        return
    with _fastapi_databases.isolated(dependency_overrides):
        yield _fastapi_databases


@pytest.fixture
def client(fastapi_app: FastAPI, _fastapi_isolation: "Databases | None") -> Iterator[TestClient]:
    """A client with the application's lifespan running, inside the test's transaction.

    An exception that the application does not handle is raised in the test. Background tasks of a request are done
    when the call returns. Requests from several threads are served one after the other where there is a database.
    """
    opened = _Client(fastapi_app)
    opened.databases = _fastapi_isolation
    with ExitStack() as stack:
        with nullcontext() if _fastapi_isolation is None else _fastapi_isolation.served():
            stack.enter_context(opened)  # the lifespan begins
        if _fastapi_isolation is not None and _fastapi_isolation.has_any:
            opened.turns = threading.RLock()
        yield opened


@pytest.fixture
def db(_fastapi_isolation: "Databases | None") -> "Iterator[Session]":
    """A session on the test's transaction, which the application shares: each sees what the other commits."""
    if _fastapi_isolation is None:
        pytest.fail("the db fixture needs SQLAlchemy: pip install 'fastapi-patterns[db]'", pytrace=False)
    with _fastapi_isolation.session() as session:
        yield session


@pytest.fixture
def login_as(request: pytest.FixtureRequest, fastapi_app: FastAPI) -> "Iterator[LoginAs]":
    """Log a user in for the clients of the test: `login_as(ada, scopes=["reports:read"])`, or as a `with` block.

    The fixtures `client` and `async_client` send a real token from then on, websockets included; after the block, or
    the test, everything is as it was.
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
