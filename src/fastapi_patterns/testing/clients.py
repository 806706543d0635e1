"""The clients of the fixtures: Starlette's for sync tests, httpx2's for async ones."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_patterns.stack import stack_of
from fastapi_patterns.tasks import TaskQueue

if TYPE_CHECKING:
    import httpx2

    from fastapi_patterns.testing._watch import Watch
    from fastapi_patterns.testing.isolation import Isolation

__all__ = ["Client", "open_async_client", "open_client", "task_queues"]

# A request that has not ended by then may be waiting for another one, and holds that up no longer.
_TURN_TIMEOUT_S = 5.0
_BASE_URL = "http://testserver"

_TRIO = (
    "async_client runs the application on asyncio, as servers do, and this test runs on trio. "
    "Say so to anyio's plugin, in conftest.py: @pytest.fixture def anyio_backend(): return 'asyncio'"
)
_TWICE = (
    "{other} and {name} each start the application, and what it opens at its start can be open once: "
    "take one of them away from this test."
)
_ANOTHER_LOOP = (
    "The application uses a connection that was opened in another event loop. Each test has one of its own: let the "
    "plugin bind the database (register it with install_stack, or name it in fastapi_get_db), and use async_client "
    "where the test itself awaits the database."
)
# By the application's id, what serves it in this test.
_servers: dict[int, str] = {}


class Client(TestClient):
    """Starlette's client, which also waits for the background tasks of a request before it returns.

    With a database, requests from several threads take turns: the one connection of the test cannot serve two at once,
    since savepoints end in the reverse order of their beginning. The turn is the whole request, not a session: a
    request may open several of them, on the event loop too, where nothing may wait.
    """

    isolation: "Isolation | None" = None
    turns: "threading.RLock | None" = None
    watch: "Watch | None" = None

    def send(self, *args: Any, **kwargs: Any) -> Any:
        """Send a request when it is its turn."""
        if self.turns is None:
            return self._send_and_join(*args, **kwargs)
        took_turn = self.turns.acquire(timeout=_TURN_TIMEOUT_S)
        try:
            return self._send_and_join(*args, **kwargs)
        finally:
            if took_turn:
                self.turns.release()

    def websocket_connect(self, *args: Any, **kwargs: Any) -> Any:
        """Open a websocket; databases that are not isolated are refused there too."""
        session = super().websocket_connect(*args, **kwargs)
        if self.isolation is not None:
            session.app = self.isolation.serving(session.app)  # it is called when the session is entered
        return session

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request that comes from elsewhere, in the client's event loop."""
        with _served(self.isolation):
            await self.app(scope, receive, send)
        for queue in task_queues(self.app):
            await queue.join()

    async def lifespan(self) -> None:
        """Run the lifespan; the tasks that begin with it, or later, are watched where that was asked for."""
        if self.watch is not None:
            self.watch.enter_loop()
        await super().lifespan()

    async def wait_shutdown(self) -> None:
        """End the lifespan; tasks that are left then would be cancelled in silence, with the loop."""
        await super().wait_shutdown()
        if self.watch is not None:
            await self.watch.leave_loop()

    def _send_and_join(self, *args: Any, **kwargs: Any) -> Any:
        with _served(self.isolation), _explained():
            response = super().send(*args, **kwargs)
        for queue in task_queues(self.app):
            if queue._size and self.portal is not None:  # going to the event loop for nothing costs more than a query
                self.portal.call(queue.join)
        return response


@contextmanager
def open_client(
    app: FastAPI, isolation: "Isolation | None", *, raises: bool, watch: "Watch | None" = None
) -> Iterator[Client]:
    """Open a client with the application's lifespan running.

    Args:
        app: The application.
        isolation: Of the test.
        raises: Whether an exception that nothing answers is raised in the test; otherwise it is a 500.
        watch: Notes the tasks that the application leaves.
    """
    client = Client(app, base_url=_BASE_URL, raise_server_exceptions=raises)
    client.isolation = isolation
    client.watch = watch
    with only_server(app, "client"):
        with _served(isolation):
            client.__enter__()  # the lifespan begins
        try:
            if isolation is not None and isolation.takes_turns:
                client.turns = threading.RLock()
            yield client
        finally:
            client.__exit__(None, None, None)


@asynccontextmanager
async def open_async_client(
    app: FastAPI, isolation: "Isolation | None", *, raises: bool
) -> "AsyncIterator[httpx2.AsyncClient]":
    """Open an async client with the application's lifespan running in this event loop; see `open_client`."""
    import httpx2

    class AsyncClient(httpx2.AsyncClient):
        """httpx2's client, which waits for the background tasks of a request, and lets requests take turns."""

        async def send(self, *args: Any, **kwargs: Any) -> httpx2.Response:
            async with turns():
                with _served(isolation), _explained():
                    response = await super().send(*args, **kwargs)
                for queue in task_queues(app):
                    await queue.join()
                return response

    _require_asyncio()
    turns: Callable[[], Any] = _Turns().one if isolation is not None and isolation.takes_turns else nullcontext
    with only_server(app, "async_client"):
        with _served(isolation):
            lifespan = _Lifespan(app)
            state = await lifespan.start()
        transport = httpx2.ASGITransport(_with_state(app, state), raise_app_exceptions=raises)
        try:
            async with AsyncClient(transport=transport, base_url=_BASE_URL) as client:
                yield client
        finally:
            await lifespan.stop()


@contextmanager
def only_server(app: FastAPI, name: str) -> Iterator[None]:
    """Fail a test that starts the application a second time."""
    if id(app) in _servers:
        pytest.fail(_TWICE.format(other=_servers[id(app)], name=name), pytrace=False)
    _servers[id(app)] = name
    try:
        yield
    finally:
        del _servers[id(app)]


def task_queues(app: Any) -> list[TaskQueue]:
    """Return the queues that the application registered."""
    stack = stack_of(app)
    return [resource for resource in stack.resources if isinstance(resource, TaskQueue)] if stack else []


class _Turns:
    """One request after the other; one that a request itself sends is part of its turn."""

    def __init__(self) -> None:
        self._lock = anyio.Lock()
        self._has_turn: ContextVar[bool] = ContextVar("fastapi_patterns_turn", default=False)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        if self._has_turn.get():
            yield
            return
        took_turn = False
        with anyio.move_on_after(_TURN_TIMEOUT_S):
            await self._lock.acquire()
            took_turn = True
        token = self._has_turn.set(True)
        try:
            yield
        finally:
            self._has_turn.reset(token)
            if took_turn:
                self._lock.release()


class _Lifespan:
    """Runs a lifespan in a task of its own: a plugin may set a fixture up in one task and end it in another."""

    def __init__(self, app: FastAPI) -> None:
        self._context = app.router.lifespan_context(app)
        self._started: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> Any:
        self._task = asyncio.create_task(self._run())
        await asyncio.wait([self._task, self._started], return_when=asyncio.FIRST_COMPLETED)
        if not self._started.done():
            await self._task  # raises what the start-up raised
        return self._started.result()

    async def stop(self) -> None:
        self._stop.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        async with self._context as state:
            self._started.set_result(state)
            await self._stop.wait()


def _require_asyncio() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pytest.fail(_TRIO, pytrace=False)


def _with_state(app: FastAPI, state: Any) -> ASGIApp:
    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state or {})}, receive, send)

    return with_state


def _served(isolation: "Isolation | None") -> AbstractContextManager[None]:
    return nullcontext() if isolation is None else isolation.served()


@contextmanager
def _explained() -> Iterator[None]:
    """Say of a connection that belongs to another event loop how that comes."""
    try:
        yield
    except Exception as error:
        if "different loop" in str(error) or "different event loop" in str(error):
            error.add_note(_ANOTHER_LOOP)
        raise
