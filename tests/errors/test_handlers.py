"""The handlers: what cannot be written as JSON still answers, and a map that cannot work does not start."""

import json
import logging
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel

from fastapi_patterns import (
    AppException,
    ConfigurationError,
    ErrorInfo,
    ProblemRenderer,
    install_error_handlers,
    install_stack,
)


class Stock(BaseModel):
    """A model, as a detail may hold one."""

    left: int


def client_of(error: Exception, **options: Any) -> TestClient:
    """A client of an application whose one route raises this."""
    app = FastAPI()
    install_error_handlers(app, **options)

    @app.get("/")
    async def route() -> None:
        raise error

    return TestClient(app)


@pytest.mark.parametrize(
    ("detail", "read"),
    [
        (float("nan"), None),
        ({"price": float("inf"), "ok": 1.5}, {"price": None, "ok": 1.5}),
        ("no item \ud800", "no item ?"),
        ({"\udfff": "é"}, {"?": "é"}),
        (Stock(left=2), {"left": 2}),
        ({"tags": {1}}, {"tags": [1]}),
    ],
)
def test_no_value_in_an_error_becomes_a_500(detail: Any, read: Any) -> None:
    """NaN and lone surrogates, which a client can send in JSON, models and sets: the status stays the one raised."""
    answer = client_of(AppException(404, detail, headers={"X-Kept": "1"})).get("/")
    assert answer.status_code == 404
    assert json.loads(answer.content) == {"error": read}
    assert (answer.headers["x-kept"], answer.headers["content-type"]) == ("1", "application/json")


async def _answer_later(error: Exception) -> ErrorInfo:
    return ErrorInfo(status=400)


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (404, "KeyError must map to an ErrorInfo, a pair .* or a plain function; got 404"),
        ("gone", "must map to an ErrorInfo"),
        (None, "must map to an ErrorInfo"),
        ((404,), "must map to an ErrorInfo"),
        ((404, "x", {}), "must map to an ErrorInfo"),
        (("gone", 404), "must map to a status of 400 to 599; got 'gone'"),
        (ErrorInfo(status=600), "must map to a status of 400 to 599; got 600"),
        (_answer_later, "a plain function"),
    ],
)
def test_an_answer_that_is_none_does_not_start(answer: Any, problem: str) -> None:
    """A bare status, a swapped or a short pair, a coroutine function: at start-up, not at the first failure."""
    with pytest.raises(ConfigurationError, match=problem):
        install_error_handlers(FastAPI(), exception_map={KeyError: answer})


def test_a_function_of_the_map_that_breaks_is_a_plain_500(caplog: pytest.LogCaptureFixture) -> None:
    """A bug in the application's own mapping is an unhandled error like any other: both causes are in the log."""
    app = FastAPI()
    install_stack(app, exception_map={KeyError: lambda error: error.missing})

    @app.get("/")
    async def route() -> None:
        raise KeyError("hunter2")

    with caplog.at_level(logging.INFO, logger="fastapi_patterns"):
        answer = TestClient(app, raise_server_exceptions=False).get("/")
    assert (answer.status_code, answer.json()) == (500, {"error": "Internal Server Error"})
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], AttributeError)
    assert isinstance(record.exc_info[1].__context__, KeyError)


async def _own(request: Request, error: Exception) -> PlainTextResponse:
    return PlainTextResponse("own", 409)


def test_handlers_of_the_application_stay() -> None:
    """An own handler registered before for another exception, and one after for a mapped one, count."""
    app = FastAPI()
    app.add_exception_handler(OSError, _own)
    install_error_handlers(app, exception_map={LookupError: (404, "mapped")})
    app.add_exception_handler(KeyError, _own)

    @app.get("/{kind}")
    async def route(kind: str) -> None:
        raise {"file": FileNotFoundError, "key": KeyError, "index": IndexError}[kind]

    client = TestClient(app)
    assert {kind: client.get(f"/{kind}").text for kind in ("file", "key", "index")} == {
        "file": "own",
        "key": "own",
        "index": '{"error":"mapped"}',
    }


def test_what_the_application_had_before_stays() -> None:
    """Also for validation and, with a renderer for all, HTTPException; the document then says nothing of our bodies."""
    app = FastAPI(exception_handlers={RequestValidationError: _own, HTTPException: _own, AppException: _own})
    install_error_handlers(app, renderer=ProblemRenderer())
    install_error_handlers(app, renderer=ProblemRenderer())  # ours are replaced, and told from the application's

    @app.get("/{kind}")
    async def route(kind: str, number: int = 0) -> None:
        raise {"http": HTTPException(404), "app": AppException(400)}[kind]

    client = TestClient(app)
    assert [client.get(path).text for path in ("/http", "/app", "/app?number=x")] == ["own"] * 3
    documented = client.get("/openapi.json").json()["paths"]["/{kind}"]["get"]["responses"]["422"]["content"]
    assert documented == {"application/json": {"schema": {"$ref": "#/components/schemas/HTTPValidationError"}}}


@pytest.mark.parametrize("renderer", [ProblemRenderer, "problem", lambda info: {}])
def test_a_renderer_of_another_kind_is_refused(renderer: Any) -> None:
    """The class instead of an object, a word, a function: at start-up, with words."""
    with pytest.raises(ConfigurationError, match="renderer must be an object such as ProblemRenderer"):
        install_error_handlers(FastAPI(), renderer=renderer)
