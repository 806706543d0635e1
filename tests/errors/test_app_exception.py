"""AppException: what a route raises and what the client reads."""

import copy
import pickle
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_patterns import AppException, install_error_handlers
from fastapi_patterns.errors import app_exception_handler


class TeapotError(AppException):
    """An application's own error, with a constructor of its own."""

    def __init__(self, kind: str) -> None:
        super().__init__(418, f"I am a {kind}", code="teapot", headers={"X-Kind": kind}, extra={"kind": kind})


def answer_to(error: Exception) -> Any:
    """What a client gets when a route raises this."""
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/")
    def route() -> None:
        raise error

    return TestClient(app).get("/")


def test_the_body_is_exactly_the_envelope() -> None:
    """`raise AppException(400, "Invalid input")` is 400 `{"error": "Invalid input"}` and nothing more."""
    answer = answer_to(AppException(400, "Invalid input"))
    assert answer.status_code == 400
    assert answer.content == b'{"error":"Invalid input"}'
    assert answer.headers["content-type"] == "application/json"


def test_code_headers_and_extra_are_added() -> None:
    """The options appear where they are given, subclasses included."""
    answer = answer_to(TeapotError("pot"))
    assert answer.status_code == 418
    assert answer.json() == {"error": "I am a pot", "code": "teapot", "kind": "pot"}
    assert answer.headers["x-kind"] == "pot"


def test_the_phrase_of_the_status_is_the_default() -> None:
    """Without a text the client reads the status in words, also of a status without a name."""
    assert answer_to(AppException(409)).json() == {"error": "Conflict"}
    assert answer_to(AppException(499)).json() == {"error": "Error"}


@pytest.mark.parametrize("detail", [["a", {"b": 1}], {"a": None}, 7, "", False])
def test_a_detail_is_any_json_value(detail: Any) -> None:
    """Lists, objects and falsy values are sent as they are."""
    assert answer_to(AppException(400, detail)).json() == {"error": detail}


def test_values_that_json_has_no_word_for_are_written_as_text() -> None:
    """A date, a UUID or a Decimal in an error does not become a 500."""
    extra = {"at": datetime(2030, 1, 1, tzinfo=UTC), "id": UUID(int=7), "price": Decimal("1.5")}
    answer = answer_to(AppException(400, "late", extra=extra))
    assert answer.status_code == 400
    assert answer.json()["at"] == "2030-01-01T00:00:00+00:00"
    assert answer.json()["id"] == "00000000-0000-0000-0000-000000000007"


@pytest.mark.parametrize("status", [200, 302, 399, 600, 0])
def test_a_status_that_is_no_error_is_refused(status: int) -> None:
    """An exception cannot answer with a success."""
    with pytest.raises(ValueError, match=f"must be an error, 400 to 599; got {status}"):
        AppException(status, "x")


@pytest.mark.parametrize("name", ["error", "errors", "code"])
def test_extra_cannot_replace_the_envelope(name: str) -> None:
    """Members that the body has already are refused when the exception is made."""
    with pytest.raises(ValueError, match=f"extra must not hold {name}"):
        AppException(400, "x", extra={name: 1})


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_copy_is_whole(make: Any) -> None:
    """Exceptions cross processes: a copy keeps every field, also of a subclass with its own constructor."""
    for error in (AppException(429, "slow down", code="busy", headers={"Retry-After": "1"}), TeapotError("pot")):
        twin = make(error)
        assert type(twin) is type(error)
        assert twin.info() == error.info()
        assert str(twin) == str(error)


def test_the_handler_can_be_registered_by_hand() -> None:
    """`app.add_exception_handler(AppException, app_exception_handler)` is enough for this one."""
    app = FastAPI()
    app.add_exception_handler(AppException, app_exception_handler)  # type: ignore[arg-type]

    @app.get("/")
    def route() -> None:
        raise AppException(403, "no")

    assert TestClient(app).get("/").json() == {"error": "no"}
