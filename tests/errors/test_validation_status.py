"""Validation may fail with another status than 422, and the document moves with it."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel

from fastapi_patterns import (
    ConfigurationError,
    EnvelopeRenderer,
    ProblemRenderer,
    error_responses,
    install_error_handlers,
    install_stack,
)
from fastapi_patterns.errors import BadRequestError

INSTALLS = [install_error_handlers, install_stack]


class Note(BaseModel):
    """A body."""

    counts: dict[str, int]


class Mine(BaseModel):
    """What the application documents."""

    reason: str


def make_app(install: Any, renderer: Any, status: int, responses: Any = None) -> FastAPI:
    """An application with one route that can fail validation, with a body and without."""
    app = FastAPI()
    install(app, renderer=renderer, validation_status=status)

    @app.post("/notes", responses=responses)
    def create(note: Note) -> None: ...

    @app.get("/notes/{number}", responses=responses)
    def read(number: int) -> None: ...

    return app


def schema_of(app: FastAPI, method: str, path: str, status: str, media_type: str) -> Any:
    """What the document says of a body, after checking that it says the same twice."""
    document = TestClient(app).get("/openapi.json").json()
    assert TestClient(app).get("/openapi.json").json() == document
    return document["paths"][path][method]["responses"][status]["content"][media_type]["schema"]


def ref(name: str) -> dict[str, str]:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


@pytest.mark.parametrize("install", INSTALLS)
@pytest.mark.parametrize("renderer", [EnvelopeRenderer(), ProblemRenderer()], ids=["envelope", "problem"])
@pytest.mark.parametrize("status", [400, 409, 422])
def test_the_status_is_sent_and_documented(install: Any, renderer: Any, status: int) -> None:
    """The body is the same as of a 422; there is no 422 left in the document."""
    app = make_app(install, renderer, status)
    answer = TestClient(app).get("/notes/x")
    assert answer.status_code == status
    assert answer.json()["errors"][0]["field"] == "path.number"
    assert answer.json().get("status", status) == status
    assert schema_of(app, "get", "/notes/{number}", str(status), renderer.media_type) == ref("HTTPValidationError")
    responses = app.openapi()["paths"]["/notes/{number}"]["get"]["responses"]
    assert set(responses) == {"200", str(status)}
    assert responses[str(status)]["description"] == "Validation Error"


def test_a_400_is_a_failed_validation_or_a_body_that_cannot_be_parsed() -> None:
    """Two bodies under one status: the document says either."""
    app = make_app(install_error_handlers, EnvelopeRenderer(), 400)
    schema = schema_of(app, "post", "/notes", "400", "application/json")
    assert schema == {"anyOf": [ref("HTTPValidationError"), ref("ErrorDetail")]}
    app = make_app(install_error_handlers, ProblemRenderer(), 400)
    schema = schema_of(app, "post", "/notes", "400", "application/problem+json")
    assert schema == {"anyOf": [ref("HTTPValidationError"), ref("Problem")]}


@pytest.mark.parametrize("renderer", [EnvelopeRenderer(), ProblemRenderer()], ids=["envelope", "problem"])
def test_what_the_application_documents_there_stays(renderer: Any) -> None:
    """Its model, its text and its example; the failed validation comes beside them."""
    responses = {400: {"model": Mine, "description": "mine"}}
    app = make_app(install_error_handlers, renderer, 400, responses)
    documented = app.openapi()["paths"]["/notes/{number}"]["get"]["responses"]["400"]
    assert documented["description"] == "mine"
    content = documented["content"]
    if renderer.media_type == "application/json":
        assert content == {"application/json": {"schema": {"anyOf": [ref("Mine"), ref("HTTPValidationError")]}}}
    else:
        assert content["application/json"]["schema"] == ref("Mine")
        assert content[renderer.media_type]["schema"] == ref("HTTPValidationError")


def test_a_documented_error_keeps_its_example() -> None:
    """With `error_responses` of the same status the body is either, and the example stays."""
    app = make_app(install_error_handlers, EnvelopeRenderer(), 400, error_responses(BadRequestError))
    content = app.openapi()["paths"]["/notes/{number}"]["get"]["responses"]["400"]["content"]["application/json"]
    assert content["schema"] == {"anyOf": [ref("Error"), ref("HTTPValidationError")]}
    assert list(content["examples"]) == ["bad_request"]


def test_a_422_that_the_application_documents_stays() -> None:
    """Its own entry is not taken for FastAPI's."""
    app = make_app(install_error_handlers, EnvelopeRenderer(), 400, {422: {"model": Mine}})
    responses = app.openapi()["paths"]["/notes/{number}"]["get"]["responses"]
    assert responses["422"]["content"]["application/json"]["schema"] == ref("Mine")


@pytest.mark.parametrize("install", INSTALLS)
@pytest.mark.parametrize("status", [200, 399, 500, 0, "400", None])
def test_a_status_that_is_no_client_error_is_refused(install: Any, status: Any) -> None:
    """At start-up."""
    with pytest.raises(ConfigurationError, match="validation_status must be a client error, 400 to 499; got"):
        install(FastAPI(), validation_status=status)


@pytest.mark.parametrize(
    "content",
    [
        '{"counts": {"a": NaN}}',
        '{"counts": {"a.b": "x"}}',
        '{"counts": {"line\\nbreak": "x"}}',
        '{"counts": {"\\ud800": "\\udfff"}}',
        json.dumps({"counts": {"k" * 100_000: "x"}}),
        '{"counts": ',
        "NaN",
    ],
    ids=range(7),
)
@pytest.mark.parametrize("renderer", [EnvelopeRenderer(), ProblemRenderer()], ids=["envelope", "problem"])
def test_strange_bodies_are_a_clean_400(content: str, renderer: Any) -> None:
    """NaN, strange and huge keys, lone surrogates, a body that ends too early."""
    app = make_app(install_error_handlers, renderer, 400)
    answer = TestClient(app).post("/notes", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    (error,) = json.loads(answer.content)["errors"]
    assert error["field"].startswith("body")
