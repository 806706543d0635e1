"""Exceptions of others become answers by their class, and are logged once."""

import logging
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import NullPool, create_engine, text
from sqlalchemy.exc import OperationalError

from fastapi_patterns import ConfigurationError, ErrorInfo, install_error_handlers
from fastapi_patterns.context import request_context
from fastapi_patterns.errors import NotFoundError


class StockError(Exception):
    """An application's own."""


class SoldOutError(StockError):
    """More of it."""


class BackorderError(StockError):
    """Not in the map itself."""


MAP: dict[type[Exception], Any] = {
    StockError: (409, "Not in stock"),
    SoldOutError: ErrorInfo(status=410, detail="Sold out", code="sold_out", headers={"Retry-After": "60"}),
    KeyError: lambda error: ErrorInfo(status=404, detail="Unknown", extra={"known": len(error.args)}),
    ConnectionError: (503, "Try again"),
    ArithmeticError: lambda error: None,
}


def answer_to(error: Exception) -> Any:
    """What a client gets when a route raises this."""
    app = FastAPI()
    install_error_handlers(app, exception_map=MAP)

    @app.get("/")
    def route() -> None:
        raise error

    return TestClient(app).get("/")


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (StockError("secret"), 409, {"error": "Not in stock"}),
        (BackorderError("secret"), 409, {"error": "Not in stock"}),
        (SoldOutError("secret"), 410, {"error": "Sold out", "code": "sold_out"}),
        (KeyError("secret"), 404, {"error": "Unknown", "known": 1}),
        (ConnectionResetError("secret"), 503, {"error": "Try again"}),
    ],
)
def test_the_nearest_class_answers(error: Exception, status: int, body: dict[str, Any]) -> None:
    """A pair, an ErrorInfo or a function; subclasses included; never the exception's own text."""
    answer = answer_to(error)
    assert answer.status_code == status
    assert answer.json() == body


def test_none_leaves_an_error_unhandled() -> None:
    """A function that does not know an exception lets it through, as if it were not in the map."""
    with pytest.raises(ZeroDivisionError):
        answer_to(ZeroDivisionError())


def test_headers_of_a_mapped_error_are_sent() -> None:
    """An ErrorInfo brings its headers."""
    assert answer_to(SoldOutError()).headers["retry-after"] == "60"


def test_the_cause_is_logged_once_with_the_request(caplog: pytest.LogCaptureFixture) -> None:
    """A server error with its traceback, a client error as one line with its place; both with the request's id."""
    with caplog.at_level(logging.INFO), request_context("the-request"):
        answer_to(ConnectionResetError("reset by db-7"))
        answer_to(StockError("none of 7"))
    ours = [record for record in caplog.records if record.name == "fastapi_patterns.errors"]
    assert {record.request_id for record in ours} == {"the-request"}  # type: ignore[attr-defined]
    line = answer_to.__code__.co_firstlineno + 7
    assert [(record.levelname, record.getMessage(), bool(record.exc_info)) for record in ours] == [
        ("ERROR", "ConnectionResetError answered with 503", True),
        ("INFO", f"StockError answered with 409, raised at test_exception_map.py:{line} in route", False),
    ]


def test_the_place_is_the_innermost(caplog: pytest.LogCaptureFixture) -> None:
    """The frame that raised, not the route, and never the exception's text."""

    def deep(key: str) -> None:
        raise StockError(f"secret of {key}")

    app = FastAPI()
    install_error_handlers(app, exception_map=MAP)
    app.get("/")(lambda: deep("hunter2"))
    with caplog.at_level(logging.INFO, logger="fastapi_patterns.errors"):
        assert TestClient(app).get("/").status_code == 409
    (record,) = [record for record in caplog.records if record.name == "fastapi_patterns.errors"]
    assert record.getMessage().endswith(f"test_exception_map.py:{deep.__code__.co_firstlineno + 1} in deep")
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({Exception: (500, "x")}, "other than Exception itself"),
        ({"ValueError": (400, "x")}, "keys are exception classes"),
        ({KeyboardInterrupt: (400, "x")}, "keys are exception classes"),
        ({ValueError: NotFoundError}, "ValueError must map to an ErrorInfo"),
        ({ValueError: (200, "x")}, "ValueError must map to a status of 400 to 599; got 200"),
        ({ValueError: ErrorInfo(status=302)}, "ValueError must map to a status of 400 to 599; got 302"),
    ],
)
def test_a_map_that_cannot_work_is_refused(wrong: Any, problem: str) -> None:
    """At start-up, with the class in the message."""
    with pytest.raises(ConfigurationError, match=problem):
        install_error_handlers(FastAPI(), exception_map=wrong)


def test_an_own_renderer_shapes_every_body() -> None:
    """The bodies, the media type and the OpenAPI schema come from one object."""

    class Own:
        media_type = "application/vnd.own+json"
        for_all = False

        def body(self, info: ErrorInfo) -> Any:
            return {"own": info.detail or [error["field"] for error in info.errors]}

        def validation_schema(self) -> dict[str, Any]:
            return {"title": "Own", "type": "object"}

        def error_schema(self) -> dict[str, Any]:
            return {"title": "Own", "type": "object"}

    app = FastAPI()
    install_error_handlers(app, renderer=Own(), exception_map=MAP)

    @app.get("/{number}")
    def route(number: int) -> None:
        raise StockError

    client = TestClient(app)
    assert client.get("/1").json() == {"own": "Not in stock"}
    assert client.get("/1").headers["content-type"] == "application/vnd.own+json"
    assert client.get("/x").json() == {"own": ["path.number"]}
    assert client.get("/openapi.json").json()["components"]["schemas"]["HTTPValidationError"]["title"] == "Own"


def test_the_place_is_the_applications_own(caplog: pytest.LogCaptureFixture) -> None:
    """Not the library's that raised."""

    def query() -> None:
        with create_engine("sqlite://", poolclass=NullPool).connect() as connection:
            connection.execute(text("nonsense"))

    app = FastAPI()
    install_error_handlers(app, exception_map={OperationalError: (409, "No")})
    app.get("/")(query)
    with caplog.at_level(logging.INFO, logger="fastapi_patterns.errors"):
        assert TestClient(app).get("/").status_code == 409
    (record,) = caplog.records
    assert record.getMessage().endswith(f" at test_exception_map.py:{query.__code__.co_firstlineno + 2} in query")
