"""Problem details for every error, and documents that show what is really sent."""

from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI, HTTPException, Response
from fastapi.testclient import TestClient
from pydantic import BaseModel

from fastapi_patterns import AppException, ConfigurationError, ProblemRenderer, error_responses, install_stack
from fastapi_patterns.errors import ConflictError, EnvelopeRenderer, NotFoundError

BASE = "https://shop.example/problems/"
REQUEST_ID = "0123456789abcdef0123456789abcdef"


class TakenError(ConflictError, code="test_taken", detail="Taken"):
    """Somebody has it."""


class Note(BaseModel):
    """A body with a nested field."""

    tags: list[int]


def make_client(renderer: Any) -> TestClient:
    """An application that fails in every way, with this renderer."""
    app = FastAPI()
    install_stack(app, renderer=renderer, exception_map={LookupError: (404, "No such thing")})

    @app.get("/taken", responses=error_responses(TakenError, NotFoundError, ConflictError))
    def taken() -> None:
        raise TakenError(extra={"by": 7}, headers={"X-By": "7"})

    @app.get("/app/{kind}")
    def app_error(kind: str) -> None:
        raise AppException(418, ["a", "list"]) if kind == "list" else AppException(499, "odd")

    @app.get("/mapped")
    def mapped() -> None:
        raise KeyError("secret")

    @app.get("/http")
    def http() -> None:
        raise HTTPException(410, "gone", headers={"X-Why": "gone"})

    @app.get("/not-modified")
    def not_modified() -> Response:
        raise HTTPException(304)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("secret")

    @app.post("/notes")
    def create(note: Note) -> None: ...

    return TestClient(app, raise_server_exceptions=False, headers={"X-Request-ID": REQUEST_ID})


@pytest.mark.parametrize(
    ("method", "path", "status", "members"),
    [
        ("GET", "/taken", 409, {"type": f"{BASE}test_taken", "detail": "Taken", "code": "test_taken", "by": 7}),
        ("GET", "/app/list", 418, {"details": ["a", "list"]}),
        ("GET", "/app/odd", 499, {"title": "Error", "detail": "odd"}),
        ("GET", "/mapped", 404, {"title": "Not Found", "detail": "No such thing"}),
        ("GET", "/http", 410, {"title": "Gone", "detail": "gone"}),
        ("GET", "/nothing", 404, {"title": "Not Found", "detail": "Not Found"}),
        ("GET", "/notes", 405, {"title": "Method Not Allowed"}),
        ("GET", "/broken", 500, {"detail": "Internal Server Error"}),
    ],
)
def test_every_error_is_a_problem(method: str, path: str, status: int, members: dict[str, Any]) -> None:
    """Own, mapped, FastAPI's, the router's and unhandled errors: one media type, one shape (RFC 9457 section 3.1)."""
    answer = make_client(ProblemRenderer(BASE)).request(method, path)
    body = answer.json()
    assert answer.status_code == body["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["instance"] == UUID(REQUEST_ID).urn  # with its dashes (RFC 9562)
    assert body["title"]
    assert body["type"] == members.get("type", "about:blank")
    assert members.items() <= body.items()
    assert "secret" not in answer.text


def test_headers_are_kept() -> None:
    """A challenge, an Allow or an own header goes out with the problem."""
    client = make_client(ProblemRenderer())
    assert client.get("/taken").headers["x-by"] == "7"
    assert client.get("/http").headers["x-why"] == "gone"
    assert client.get("/notes").headers["allow"] == "POST"


def test_a_status_without_a_body_has_none() -> None:
    """A 304 raised as an HTTPException stays empty."""
    answer = make_client(ProblemRenderer()).get("/not-modified")
    assert (answer.status_code, answer.content) == (304, b"")


def test_validation_has_pointers() -> None:
    """Each failed field by path and by JSON pointer (RFC 6901)."""
    answer = make_client(ProblemRenderer()).post("/notes", json={"tags": [1, "x"]})
    assert answer.status_code == answer.json()["status"] == 422
    (error,) = answer.json()["errors"]
    assert (error["field"], error["pointer"]) == ("body.tags.1", "#/tags/1")
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_id_that_is_no_uuid_is_no_instance() -> None:
    """Clients may choose ids: only a UUID becomes a URN."""
    answer = make_client(ProblemRenderer()).get("/nothing", headers={"X-Request-ID": "chosen-by-client"})
    assert "instance" not in answer.json()
    assert answer.json()["type"] == "about:blank"


@pytest.mark.parametrize("base", ["", "problems/", "//shop.example", "https"])
def test_a_type_base_is_a_uri(base: str) -> None:
    """What could not begin a URI is refused at start-up."""
    with pytest.raises(ConfigurationError, match="type_base must be the beginning of a URI"):
        ProblemRenderer(base)


@pytest.mark.parametrize("renderer", [EnvelopeRenderer(), ProblemRenderer(BASE)], ids=["envelope", "problem"])
def test_the_document_shows_what_is_sent(renderer: Any) -> None:
    """Media types, schemas and an example a code, from the renderer that is installed; asked twice it is the same."""
    client = make_client(renderer)
    document = client.get("/openapi.json").json()
    responses = document["paths"]["/taken"]["get"]["responses"]
    assert set(responses) == {"200", "404", "409"}
    assert set(responses["409"]["content"]) == {renderer.media_type}
    content = responses["409"]["content"][renderer.media_type]
    schema = renderer.error_schema()
    assert content["schema"] == {"$ref": f"#/components/schemas/{schema['title']}"}
    assert document["components"]["schemas"][schema["title"]] == schema
    assert set(content["examples"]) == {"conflict", "test_taken"}
    sent = client.get("/taken").json()
    example = content["examples"]["test_taken"]["value"]
    assert example.items() <= sent.items()
    assert set(schema["required"]) <= set(sent)
    assert "x-fastapi-patterns-errors" not in str(document)

    invalid = document["paths"]["/notes"]["post"]["responses"]["422"]["content"]
    assert invalid == {renderer.media_type: {"schema": {"$ref": "#/components/schemas/HTTPValidationError"}}}
    assert document["components"]["schemas"]["HTTPValidationError"] == renderer.validation_schema()
    assert client.get("/openapi.json").json() == document
