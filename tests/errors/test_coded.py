"""Ready errors: status, code and text come with the class, and a code stands for one class."""

import copy
import pickle
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_patterns import ConfigurationError, install_error_handlers
from fastapi_patterns.errors import (
    AppException,
    BadRequestError,
    CodedError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    TooManyRequestsError,
    UnavailableError,
)


class EmailTakenError(ConflictError, code="test_email_taken", detail="This e-mail address is taken"):
    """An application's own, under a ready one."""


class LoudEmailTakenError(EmailTakenError, detail="TAKEN"):
    """Another text, the same code."""


def answer_to(error: Exception) -> Any:
    """What a client gets when a route raises this."""
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/")
    def route() -> None:
        raise error

    return TestClient(app).get("/")


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (BadRequestError(), 400, {"error": "Bad Request", "code": "bad_request"}),
        (PermissionDeniedError(), 403, {"error": "Not enough permissions", "code": "permission_denied"}),
        (NotFoundError("No such note"), 404, {"error": "No such note", "code": "not_found"}),
        (ConflictError(), 409, {"error": "Conflict", "code": "conflict"}),
        (TooManyRequestsError(), 429, {"error": "Too Many Requests", "code": "too_many_requests"}),
        (UnavailableError(), 503, {"error": "Service Unavailable", "code": "unavailable"}),
        (EmailTakenError(), 409, {"error": "This e-mail address is taken", "code": "test_email_taken"}),
        (EmailTakenError("Taken", extra={"by": 7}), 409, {"error": "Taken", "code": "test_email_taken", "by": 7}),
        (LoudEmailTakenError(), 409, {"error": "TAKEN", "code": "test_email_taken"}),
    ],
)
def test_the_class_says_it_all(error: AppException, status: int, body: dict[str, Any]) -> None:
    """The answer has the class's status, code and text, or the text of the call."""
    answer = answer_to(error)
    assert answer.status_code == status
    assert answer.json() == body


def test_headers_are_sent() -> None:
    """A client that is too fast learns when to come back."""
    assert answer_to(TooManyRequestsError(headers={"Retry-After": "30"})).headers["retry-after"] == "30"


@pytest.mark.parametrize("twin", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_copy_is_whole(twin: Any) -> None:
    """It crosses processes as any AppException."""
    error = EmailTakenError("Taken", headers={"X": "y"})
    assert twin(error).info() == error.info()
    assert type(twin(error)) is EmailTakenError


def test_a_code_belongs_to_one_class() -> None:
    """A second class with the same code is refused when it is made; the message names the first."""
    with pytest.raises(
        ConfigurationError, match=r"'test_email_taken' belongs to tests\.errors\.test_coded\.EmailTaken"
    ):

        class OtherError(ConflictError, code="test_email_taken"):
            """Too late."""


def test_a_module_may_be_loaded_again() -> None:
    """The same class of the same module replaces itself."""

    def make() -> type[CodedError]:
        class ReloadedError(NotFoundError, code="test_reloaded"):
            """Made twice."""

        return ReloadedError

    assert make() is not make()


@pytest.mark.parametrize("status", [None, 200, 600])
def test_a_class_needs_an_error_status(status: int | None) -> None:
    """Directly under CodedError the status must be given, and be one."""
    with pytest.raises(ConfigurationError, match="needs a status of 400 to 599"):
        type("NoStatusError", (CodedError,), {}, status=status)
