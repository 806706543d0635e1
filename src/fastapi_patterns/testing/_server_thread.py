"""uvicorn in a thread of the test: quick to start and stop, and what goes wrong in it is raised in the test."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_patterns.testing._listening import HOST, listen

if TYPE_CHECKING:
    from fastapi_patterns.testing._watch import Watch

__all__ = ["serve_in_thread"]

# Requests that are running when the test ends have this long, and the application's start-up and shutdown that long.
REQUEST_LIMIT_S = 5.0
LIFESPAN_LIMIT_S = 30.0
_POLL_S = 0.002

_HANGS = (
    "The server's {of} had not ended after {limit:g} s. Its thread goes on: what it waits for may hang the tests that "
    "come next."
)
_HANGING = (
    "uvicorn_server: these requests had not ended {limit:g} s after the test, and were cancelled:\n{requests}\n"
    "A test has to wait for what it starts; a route that goes on for ever has to end when its client has gone."
)


@contextmanager
def serve_in_thread(app: ASGIApp, watch: "Watch | None") -> Iterator[str]:
    """Serve an application until the block ends, and give its URL.

    Args:
        app: The application.
        watch: Notes the tasks that it leaves.
    """
    served = _Served(app)
    listening, url = listen()
    with closing(listening):
        # No proxy stands in front, so forwarded headers are a client's own words; by default uvicorn believes loopback.
        config = uvicorn.Config(served, host=HOST, log_config=None, lifespan="on", proxy_headers=False)
        server = _Server(config, served, watch)
        thread = threading.Thread(target=server.run_here, args=(listening,), name="uvicorn_server", daemon=True)
        thread.start()
        try:
            if not server.settled.wait(LIFESPAN_LIMIT_S):
                pytest.fail(_HANGS.format(of="start-up", limit=LIFESPAN_LIMIT_S), pytrace=False)
            served.raise_failure()
            yield url
        finally:
            server.stop()
            thread.join(REQUEST_LIMIT_S + LIFESPAN_LIMIT_S)
        if thread.is_alive():
            pytest.fail(_HANGS.format(of="shutdown", limit=LIFESPAN_LIMIT_S), pytrace=False)
        served.raise_failure()
        if server.hanging:
            requests = "\n".join(f"  {each}" for each in server.hanging)
            pytest.fail(_HANGING.format(limit=REQUEST_LIMIT_S, requests=requests), pytrace=False)


class _Served:
    """The application, with its requests that are running, and with what its lifespan raised."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._running: dict[object, str] = {}
        self._failure: BaseException | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
            return
        request = object()
        self._running[request] = f"{scope.get('method', 'WEBSOCKET')} {scope['path']}"
        try:
            await self._app(scope, receive, send)
        finally:
            del self._running[request]

    def running(self) -> list[str]:
        """Name the requests that have not ended."""
        return list(self._running.values())

    def fail(self, error: BaseException) -> None:
        """Keep an exception for the test; the first one counts."""
        self._failure = self._failure or error

    def raise_failure(self) -> None:
        """Raise in the test what the start-up or the shutdown raised."""
        if self._failure is not None:
            raise self._failure

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def without_traceback(message: Message) -> None:
            await send({"type": message["type"]})  # uvicorn would log the traceback, which the test raises anyway

        try:
            await self._app(scope, receive, without_traceback)
        except asyncio.CancelledError:
            raise  # the loop ends, since the shutdown took too long
        except BaseException as error:
            self.fail(error)
            raise


class _Server(uvicorn.Server):
    """uvicorn, which is told when to stop instead of looking every 100 ms."""

    def __init__(self, config: uvicorn.Config, served: _Served, watch: "Watch | None") -> None:
        super().__init__(config)
        self.settled = threading.Event()
        self.hanging: list[str] = []
        self._served = served
        self._watch = watch
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()

    def run_here(self, listening: socket.socket) -> None:
        """Run until `stop` is called, in a thread: uvicorn leaves signals alone outside the main thread."""
        try:
            self.run(sockets=[listening])
        except SystemExit:
            pass  # the start-up failed, and what it raised is kept
        except BaseException as error:
            self._served.fail(error)
        finally:
            self.settled.set()

    def stop(self) -> None:
        """Begin to stop; called by the test's thread."""
        self.should_exit = True
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._stopping.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so to the test."""
        self._loop = asyncio.get_running_loop()
        if self._watch is not None:
            self._watch.enter_loop()
        await super().startup(sockets=sockets)
        if self.started:
            self.settled.set()

    async def main_loop(self) -> None:
        """Serve until it is time to stop."""
        while not await self.on_tick(0):  # once a second, for the Date header
            with suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close idle connections, wait for those that serve a request, and end the lifespan."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        try:
            async with asyncio.timeout(REQUEST_LIMIT_S):
                while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110  # uvicorn's own sets
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            self.hanging = self._served.running()
            for task in self.server_state.tasks:
                task.cancel()
            for connection in list(self.server_state.connections):
                connection.transport.abort()
        await self.lifespan.shutdown()
        if self._watch is not None:
            await self._watch.leave_loop()
