"""An application's own `BaseHTTPMiddleware`: a warning for each, and proof of what the warning says.

What becomes of a stream is shown on a real server, in `tests/live/test_stack_live.py`.
"""

import logging
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.testclient import TestClient
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware

from fastapi_patterns import install_stack
from fastapi_patterns.context import get_request_id

chosen: ContextVar[str] = ContextVar("chosen", default="nothing")


class Timing(BaseHTTPMiddleware):
    """One of the kind that an application has."""

    async def dispatch(self, request: Request, call_next: Any) -> Any:
        return await call_next(request)


class Pure:
    """The same as pure ASGI."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


async def add_time(request: Request, call_next: Any) -> Any:
    """Do what `@app.middleware("http")` functions do."""
    return await call_next(request)


class Dispatcher:
    """An object in place of the function."""

    async def __call__(self, request: Request, call_next: Any) -> Any:
        return await call_next(request)


def warnings_of(app: FastAPI, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What is logged when the stack is built, and by the next request."""
    client = TestClient(app)
    assert client.get("/nothing").status_code == 404
    client.get("/nothing")
    return [
        record.getMessage()
        for record in caplog.records
        if (record.name, record.levelno) == ("fastapi_patterns.stack", logging.WARNING)
    ]


def test_each_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    """Added before or after the stack, as class, as function, by `FastAPI(middleware=...)`; the others are not."""
    app = FastAPI(middleware=[Middleware(Timing), Middleware(Pure)])
    app.middleware("http")(add_time)
    install_stack(app)
    app.add_middleware(BaseHTTPMiddleware, partial(add_time))
    app.add_middleware(BaseHTTPMiddleware, dispatch=Dispatcher())
    app.add_middleware(GZipMiddleware)

    @app.middleware("http")
    async def inside(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    here = __name__
    decorated = 'an @app.middleware("http") function'
    assert [message.split(". It goes on working")[0] for message in warnings_of(app, caplog)] == [
        f"{here}.test_each_is_named_once.<locals>.inside is {decorated}",
        f"{here}.Dispatcher is {decorated}",
        f"{here}.add_time is {decorated}",
        f"{here}.add_time is {decorated}",
        f"{here}.Timing is a BaseHTTPMiddleware",
    ]


def test_the_warning_says_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    """What breaks, and where it is written how to do without."""
    app = FastAPI()
    app.add_middleware(Timing)
    install_stack(app)
    (message,) = warnings_of(app, caplog)
    assert "cannot hand context variables out" in message
    assert "as if it were whole" in message
    assert "see 'Middleware of your own' in the how-to 'Put it together in order'" in message


def test_nothing_is_said_of_pure_middleware(caplog: pytest.LogCaptureFixture) -> None:
    """Nor of the stack's own layers."""
    app = FastAPI()
    app.add_middleware(Pure)
    install_stack(app, allow_origins=["https://app.example"])
    assert warnings_of(app, caplog) == []


def app_with(kind: type[Any]) -> tuple[FastAPI, list[str]]:
    """An application whose outer middleware writes down which value of the variable comes out of `kind`."""
    app, seen = FastAPI(), []
    install_stack(app)

    class Outside(Pure):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await super().__call__(scope, receive, send)
            seen.append(chosen.get())

    app.add_middleware(kind)
    app.add_middleware(Outside)

    @app.get("/variable")
    async def variable() -> str:
        chosen.set("route")
        return "set"

    return app, seen


@pytest.mark.parametrize(("kind", "comes_out"), [(Pure, "route"), (Timing, "nothing")])
def test_context_variables_do_not_come_out(kind: type[Any], comes_out: str) -> None:
    """What a route sets is seen outside pure middleware, and not outside a `BaseHTTPMiddleware`."""
    app, seen = app_with(kind)
    assert TestClient(app).get("/variable").json() == "set"
    assert seen == [comes_out]


def test_the_request_id_still_reaches_the_route() -> None:
    """What is set outside goes in: the id is there in routes behind such middleware."""
    app = FastAPI()
    app.add_middleware(Timing)
    install_stack(app)

    @app.get("/")
    async def route(request: Request) -> list[str | None]:
        return [get_request_id(), request.state.request_id]

    answer = TestClient(app).get("/", headers={"X-Request-ID": "request-1"})
    assert answer.json() == ["request-1", "request-1"]
    assert answer.headers["x-request-id"] == "request-1"
