"""The process behind `uvicorn_server`: `python -m fastapi_patterns.testing._serve LISTENING_FD READY_FD`.

Reads from its standard input which application it serves and on which databases, and ends when that is closed: then
the tests have gone.
"""

import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any, cast

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from fastapi_patterns.testing._config import load_application

__all__: list[str] = []

_REQUEST_LIMIT_S = 5


class _Settings:
    """The settings of the tests' pytest configuration."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings
        self.stash = pytest.Stash()

    def getini(self, name: str) -> str:
        return self._settings[name]


class _Server(uvicorn.Server):
    """uvicorn, which says when it serves."""

    def __init__(self, config: uvicorn.Config, ready: int) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self.started:
            os.write(self._ready, b"1")


def main(listening: int, ready: int) -> None:
    """Serve until a signal comes, or the tests have gone."""
    given = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_the_tests, daemon=True).start()
    config = cast(pytest.Config, _Settings(given["settings"]))
    app = load_application(config)
    with ExitStack() as bound:
        served: ASGIApp = app
        if find_spec("sqlalchemy") is not None:
            served = _bound(app, config, given, bound)
        server = uvicorn.Config(
            served, lifespan="on", proxy_headers=False, timeout_graceful_shutdown=_REQUEST_LIMIT_S, use_colors=False
        )
        with socket.socket(fileno=listening) as sock:
            _Server(server, ready).run(sockets=[sock])


def _bound(app: FastAPI, config: pytest.Config, given: Any, bound: ExitStack) -> ASGIApp:
    """Bind the application's databases to the test's; others are refused."""
    from fastapi_patterns.db._guard import bound_only
    from fastapi_patterns.testing.databases import Databases

    databases = Databases(app, config)
    app.dependency_overrides.update(databases.overrides)
    for database, url in zip(databases.sync, given["sync"], strict=True):
        own = type(database)(url, metadata=database.metadata)
        bound.callback(own.engine.dispose)
        bound.enter_context(database.bound_to(own.engine))
    for each, url in zip(databases.asynchronous, given["asynchronous"], strict=True):
        bound.enter_context(each._bound_to(type(each)(url, metadata=each.metadata).engine))

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        with bound_only(app.dependency_overrides):
            await app(scope, receive, send)

    return guarded


def _end_with_the_tests() -> None:
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
