"""An exception group with one exception inside is answered as that one; any other stays unhandled."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.testclient import TestClient
from starlette.exceptions import HTTPException as StarletteHTTPException

from fastapi_patterns import AppException, install_error_handlers, install_stack


class StockError(Exception):
    """An application's own, with a handler of its own."""


class SoldOutError(StockError):
    """More of it."""


def group(*errors: Exception) -> Exception:
    """Wrap once."""
    return ExceptionGroup("several", list(errors))


def make_app(error: Exception) -> FastAPI:
    """An application whose routes raise this."""
    app = FastAPI()

    @app.exception_handler(StockError)
    def in_a_thread(request: Request, exc: StockError) -> PlainTextResponse:
        return PlainTextResponse(type(exc).__name__, 409)

    @app.exception_handler(418)
    async def by_status(request: Request, exc: HTTPException) -> PlainTextResponse:
        return PlainTextResponse("by status", 418)

    @app.exception_handler(TimeoutError)
    async def breaks(request: Request, exc: TimeoutError) -> PlainTextResponse:
        raise LookupError("the handler broke")

    install_error_handlers(app, exception_map={OSError: (503, "Later"), ArithmeticError: lambda error: None})

    @app.get("/")
    async def route() -> None:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (group(AppException(409, "taken")), 409, '{"error":"taken"}'),
        (group(group(group(AppException(409, "taken")))), 409, '{"error":"taken"}'),
        (group(HTTPException(410, "gone")), 410, '{"detail":"gone"}'),
        (group(StarletteHTTPException(410, "gone")), 410, '{"detail":"gone"}'),
        (group(HTTPException(500, "meant")), 500, '{"detail":"meant"}'),
        (group(HTTPException(418)), 418, "by status"),
        (group(RequestValidationError([{"loc": ["a"], "msg": "b"}])), 422, '{"errors":[{"field":"a","message":"b"}]}'),
        (group(ConnectionResetError("hunter2")), 503, '{"error":"Later"}'),
        (group(SoldOutError()), 409, "SoldOutError"),
    ],
)  # fmt: skip
def test_the_leaf_is_answered(error: Exception, status: int, text: str) -> None:
    """By our handlers, by the application's (plain ones and those for a status too), nearest class first."""
    answer = TestClient(make_app(error)).get("/")
    assert (answer.status_code, answer.text) == (status, text)


@pytest.mark.parametrize(
    "error",
    [
        group(AppException(409, "taken"), AppException(409, "taken")),
        group(AppException(409, "taken"), ValueError("hunter2")),
        group(group(AppException(409, "taken")), group(ValueError("hunter2"))),
        group(ValueError("hunter2")),
        group(ZeroDivisionError("hunter2")),
    ],
)
def test_other_groups_stay_unhandled(error: ExceptionGroup[Any]) -> None:
    """More than one inside, an unknown one, or one that its handler does not want: the group goes on, and a 500."""
    app = make_app(error)
    with pytest.raises(ExceptionGroup) as raised:
        TestClient(app).get("/")
    assert raised.value is error
    answer = TestClient(app, raise_server_exceptions=False).get("/")
    assert (answer.status_code, answer.json()) == (500, {"error": "Internal Server Error"})


def test_a_handler_that_breaks_is_seen() -> None:
    """Its own exception goes on, as for an exception that is in no group."""
    with pytest.raises(LookupError, match="the handler broke"):
        TestClient(make_app(group(TimeoutError()))).get("/")


def test_an_application_answers_groups_itself() -> None:
    """Its own handler for groups stays, and an entry of the map counts as one."""
    app = make_app(group(AppException(409, "taken")))
    app.add_exception_handler(ExceptionGroup, lambda request, exc: JSONResponse("own", 400))
    assert TestClient(app).get("/").json() == "own"
    mapped = FastAPI()
    install_error_handlers(mapped, exception_map={ExceptionGroup: (502, "Several")})

    @mapped.get("/")
    async def route() -> None:
        raise group(AppException(409, "taken"))

    assert TestClient(mapped).get("/").json() == {"error": "Several"}


def test_a_task_group_in_a_route_and_in_a_dependency(caplog: pytest.LogCaptureFixture) -> None:
    """As they come about, within the stack: no traceback is logged for what was answered."""

    async def fails() -> None:
        raise AppException(409, "taken")

    async def dependency(kind: str) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as tasks:
            if kind == "dependency":
                tasks.create_task(fails())
        yield

    app = FastAPI()
    install_stack(app)

    @app.get("/{kind}")
    async def route(kind: str, needed: Annotated[None, Depends(dependency)]) -> None:
        async with asyncio.TaskGroup() as outer, asyncio.TaskGroup() as inner:
            inner.create_task(fails())
            outer.create_task(asyncio.sleep(0))

    with caplog.at_level(logging.ERROR):
        for kind in ("route", "dependency"):
            answer = TestClient(app).get(f"/{kind}")
            assert (answer.status_code, answer.json()) == (409, {"error": "taken"})
            assert answer.headers["x-request-id"]
    assert caplog.records == []
