"""The OpenAPI document shows what the handlers return, whatever the application does with the document."""

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Form, Security
from fastapi.openapi.utils import get_openapi
from fastapi.security import APIKeyHeader, OAuth2PasswordBearer
from fastapi.testclient import TestClient
from pydantic import BaseModel, create_model

from fastapi_patterns import EnvelopeRenderer, ProblemRenderer, error_responses, install_error_handlers
from fastapi_patterns.errors import BadRequestError, CodedError, NotFoundError, PermissionDeniedError


def number(number: int) -> int:
    """Take a number: a route that can fail validation."""
    return number


class Note(BaseModel):
    """A body."""

    text: str


def references(value: Any) -> Iterator[str]:
    """Every `$ref` in a document."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def document_of(app: FastAPI) -> dict[str, Any]:
    """The document as a client reads it, twice the same, without a reference that leads nowhere."""
    document: dict[str, Any] = TestClient(app).get("/openapi.json").json()
    assert TestClient(app).get("/openapi.json").json() == document
    known = {f"#/components/schemas/{name}" for name in document.get("components", {}).get("schemas", {})}
    assert set(references(document)) <= known
    assert "x-fastapi-patterns" not in str(document)
    return document


def responses_of(app: FastAPI, path: str = "/", method: str = "get") -> dict[str, Any]:
    """The documented responses of an operation."""
    found: dict[str, Any] = document_of(app)["paths"][path][method]["responses"]
    return found


def ref(name: str) -> dict[str, str]:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


def validation_members(document: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The members that the document gives the 422 body and one of its errors."""
    schemas = document["components"]["schemas"]
    return list(schemas["HTTPValidationError"]["properties"]), list(schemas["ValidationError"]["properties"])


def test_routes_added_later_are_documented() -> None:
    """The order of installing and adding routes does not matter."""
    app = FastAPI()
    install_error_handlers(app)
    app.get("/{number}")(number)
    assert validation_members(app.openapi()) == (["errors"], ["field", "message"])
    response = app.openapi()["paths"]["/{number}"]["get"]["responses"]["422"]
    reference = response["content"]["application/json"]["schema"]
    assert reference == {"$ref": "#/components/schemas/HTTPValidationError"}


def test_installing_twice_changes_nothing() -> None:
    """The second wrapper finds the work done."""
    app = FastAPI()
    app.get("/{number}")(number)
    install_error_handlers(app)
    once = TestClient(app).get("/openapi.json").json()
    install_error_handlers(app)
    assert TestClient(app).get("/openapi.json").json() == once


def test_an_application_with_an_own_document_keeps_it() -> None:
    """The usual `custom_openapi`, with its cache, is called and its document completed."""
    app = FastAPI()
    app.get("/{number}")(number)

    def custom_openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            app.openapi_schema = get_openapi(title="Own", version="7", routes=app.routes)
            app.openapi_schema["info"]["x-logo"] = {"url": "/logo.png"}
        return app.openapi_schema

    app.openapi = custom_openapi  # type: ignore[method-assign]
    install_error_handlers(app)
    for _ in range(2):
        document = TestClient(app).get("/openapi.json").json()
        assert document["info"] == {"title": "Own", "version": "7", "x-logo": {"url": "/logo.png"}}
        assert validation_members(document) == (["errors"], ["field", "message"])


def test_documents_are_not_shared() -> None:
    """One application that edits its document does not edit another's."""
    first, second = FastAPI(), FastAPI()
    for app in (first, second):
        app.get("/{number}")(number)
        install_error_handlers(app)
    first.openapi()["components"]["schemas"]["ValidationError"]["properties"].clear()
    assert validation_members(second.openapi()) == (["errors"], ["field", "message"])


@pytest.mark.parametrize(
    ("renderer", "media_type", "name"),
    [
        (EnvelopeRenderer(), "application/json", "ErrorDetail"),
        (ProblemRenderer(), "application/problem+json", "Problem"),
    ],
)
def test_a_body_that_cannot_be_parsed_is_documented(renderer: Any, media_type: str, name: str) -> None:
    """The 400 of every operation with a body, JSON or form, in the shape that it has; and it is what is sent."""
    app = FastAPI()
    install_error_handlers(app, renderer=renderer)

    @app.post("/json")
    def json_body(note: Note) -> None: ...

    @app.post("/form")
    def form_body(text: Annotated[str, Form()]) -> None: ...

    @app.get("/none")
    def none() -> None: ...

    for path in ("/json", "/form"):
        documented = responses_of(app, path, "post")["400"]
        assert documented == {
            "description": "The body cannot be parsed",
            "content": {media_type: {"schema": ref(name)}},
        }
    assert "400" not in responses_of(app, "/none")
    client = TestClient(app)
    answers = [
        client.post("/json", content=b"\xff", headers={"content-type": "application/json"}),
        client.post("/form", content=b"x", headers={"content-type": "multipart/form-data; boundary="}),
        client.post("/form", content=b"--b\r\nx", headers={"content-type": "multipart/form-data"}),
    ]
    required = document_of(app)["components"]["schemas"][name]["required"]
    for answer in answers:
        assert answer.status_code == 400, answer.text
        assert answer.headers["content-type"] == media_type
        assert set(required) <= set(answer.json())


oauth2 = OAuth2PasswordBearer("token", scopes={"read": "Read"})


def test_protected_operations_document_401_and_403() -> None:
    """The 401 with its challenge wherever there is security; the 403 where it asks for scopes."""
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/plain", dependencies=[Security(oauth2)])
    def plain() -> None: ...

    @app.get("/scoped", dependencies=[Security(oauth2, scopes=["read"])])
    def scoped() -> None: ...

    @app.get("/optional", dependencies=[Security(APIKeyHeader(name="X-Key", auto_error=False))])
    def optional() -> None: ...

    @app.get("/open")
    def opened() -> None: ...

    challenge = {"description": "How to authenticate (RFC 9110 section 11.6.1)", "schema": {"type": "string"}}
    unauthenticated = {
        "description": "Not authenticated",
        "content": {"application/json": {"schema": ref("ErrorDetail")}},
        "headers": {"WWW-Authenticate": challenge},
    }
    forbidden = {
        "description": "Not enough permissions",
        "content": {"application/json": {"schema": ref("ErrorDetail")}},
    }
    success = responses_of(app, "/open")
    assert responses_of(app, "/plain") == {**success, "401": unauthenticated}
    assert responses_of(app, "/optional") == {**success, "401": unauthenticated}
    assert responses_of(app, "/scoped") == {**success, "401": unauthenticated, "403": forbidden}
    answer = TestClient(app).get("/plain")
    assert (answer.status_code, list(answer.json())) == (401, ["detail"])
    assert answer.headers["www-authenticate"] == "Bearer"


def test_security_of_the_whole_document_counts() -> None:
    """A document with `security` at its top protects what does not say otherwise."""
    app = FastAPI()
    app.get("/")(lambda: None)
    app.get("/open", openapi_extra={"security": []})(lambda: None)
    original = app.openapi

    def with_security() -> dict[str, Any]:
        return {**original(), "security": [{"key": []}]}

    app.openapi = with_security  # type: ignore[method-assign]
    install_error_handlers(app)
    assert "401" in responses_of(app)
    assert "401" not in responses_of(app, "/open")


@pytest.mark.parametrize("status", [400, "4XX", "default"])
def test_what_the_application_documents_stays(status: int | str) -> None:
    """Its own 400, or one entry for all of them, is not touched."""
    app = FastAPI()
    install_error_handlers(app)

    @app.post("/", responses={status: {"description": "mine", "model": Note}})
    def route(note: Note) -> None: ...

    documented = responses_of(app, "/", "post")
    assert documented[str(status)]["description"] == "mine"
    assert documented[str(status)]["content"]["application/json"]["schema"] == ref("Note")
    assert "400" not in documented or status == 400


def test_a_documented_error_shares_its_status() -> None:
    """Where `error_responses` and FastAPI answer with one status, the body is either."""
    app = FastAPI()
    install_error_handlers(app)
    errors = error_responses(BadRequestError, PermissionDeniedError)

    @app.post("/", responses=errors, dependencies=[Security(oauth2, scopes=["read"])])
    def route(note: Note) -> None: ...

    documented = responses_of(app, "/", "post")
    for status in ("400", "403"):
        content = documented[status]["content"]["application/json"]
        assert content["schema"] == {"anyOf": [ref("Error"), ref("ErrorDetail")]}
        assert len(content["examples"]) == 1


def test_an_error_without_a_code_is_documented() -> None:
    """FastAPI leaves out what is None before the renderer sees it."""

    class NoSuchThingError(CodedError, status=404):
        """There is none."""

    app = FastAPI()
    install_error_handlers(app)

    @app.get("/", responses=error_responses(NoSuchThingError))
    def route() -> None: ...

    content = responses_of(app, "/")["404"]["content"]["application/json"]
    assert content["examples"]["NoSuchThingError"]["value"].keys() == {"error"}


NAMES = ("Error", "ErrorDetail", "ValidationError", "HTTPValidationError")


@pytest.mark.parametrize("name", [*NAMES, "Problem"])
@pytest.mark.parametrize("renderer", [EnvelopeRenderer(), ProblemRenderer()], ids=["envelope", "problem"])
def test_a_model_of_the_application_keeps_its_name(name: str, renderer: Any) -> None:
    """A component of ours that would overwrite a model takes another name."""
    model = create_model(name, loc=(str, ...), detail=(list[int], ...))
    plain = FastAPI()
    app = FastAPI()
    install_error_handlers(app, renderer=renderer)
    for each in (plain, app):

        @each.post("/{number}", responses=error_responses(NotFoundError))
        def route(number: int, note: Note) -> model: ...  # type: ignore[valid-type]

    before = plain.openapi()["components"]["schemas"]
    document = document_of(app)
    schemas = document["components"]["schemas"]
    if "Validation" not in name:  # FastAPI itself overwrites these two
        assert schemas[name] == before[name]
    documented = document["paths"]["/{number}"]["post"]["responses"]
    invalid = documented["422"]["content"][renderer.media_type]["schema"]["$ref"].rpartition("/")[2]
    assert "errors" in schemas[invalid]["required"]
    items = schemas[invalid]["properties"]["errors"]["items"]
    field = next(references(items)).rpartition("/")[2]
    assert set(schemas[field]["properties"]) == {"field", "message"}
    error = documented["404"]["content"][renderer.media_type]["schema"]["$ref"].rpartition("/")[2]
    assert set(renderer.error_schema()["properties"]) == set(schemas[error]["properties"])


def test_the_applications_422_stays() -> None:
    """One that a route documents itself, also with a model that is called as FastAPI's."""
    app = FastAPI()
    install_error_handlers(app)
    model = create_model("HTTPValidationError", mine=(int, ...))

    @app.get("/{number}", responses={422: {"model": model}})
    def route(number: int) -> None: ...

    document = document_of(app)
    assert set(document["components"]["schemas"]["HTTPValidationError"]["properties"]) == {"mine"}
    documented = document["paths"]["/{number}"]["get"]["responses"]["422"]
    assert documented["content"]["application/json"]["schema"] == ref("HTTPValidationError")


def test_edits_of_a_finished_document_stay() -> None:
    """What the application changes in its cached document is not completed again."""
    app = FastAPI()
    app.get("/{number}")(number)
    install_error_handlers(app)
    app.openapi()["components"]["schemas"]["HTTPValidationError"]["description"] = "Ours"
    assert document_of(app)["components"]["schemas"]["HTTPValidationError"]["description"] == "Ours"


def test_routers_and_late_routes_are_documented() -> None:
    """Included routes as direct ones; a late one as far as FastAPI shows it."""
    app = FastAPI()
    install_error_handlers(app)
    router = APIRouter(prefix="/notes", responses=error_responses(NotFoundError))

    @router.post("/{number}")
    def route(number: int, note: Note) -> None: ...

    app.include_router(router)
    assert set(responses_of(app, "/notes/{number}", "post")) == {"200", "400", "404", "422"}

    @app.post("/late")
    def late(note: Note) -> None: ...

    document = document_of(app)
    if "/late" in document["paths"]:
        assert set(document["paths"]["/late"]["post"]["responses"]) == {"200", "400", "422"}
