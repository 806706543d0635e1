"""A shape from a function and a schema: what is sent and what the document says are one."""

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field, computed_field, create_model

from fastapi_patterns import (
    AppException,
    ConfigurationError,
    ErrorInfo,
    FunctionRenderer,
    error_responses,
    install_error_handlers,
    install_stack,
)
from fastapi_patterns.errors import NotFoundError
from tests.errors.test_openapi import document_of, ref


class Severity(StrEnum):
    """A definition of its own in the schema."""

    HIGH = "high"


class Reason(BaseModel):
    """One reason."""

    message: str
    where: Annotated[str | None, Field(serialization_alias="where-it-is")] = None


class Failure(BaseModel):
    """The body."""

    code: str
    severity: Severity = Severity.HIGH
    reasons: list[Reason]

    @computed_field
    def count(self) -> int:
        """Only in what is written."""
        return len(self.reasons)


def failure(info: ErrorInfo) -> Failure:
    """Make the body as a model."""
    reasons = [Reason(message=error["message"], where=error["field"]) for error in info.errors]
    return Failure(code=info.code or str(info.status), reasons=reasons or [Reason(message=str(info.detail))])


def make_app(renderer: FunctionRenderer, install: Any = install_error_handlers) -> FastAPI:
    """An application in this shape."""
    app = FastAPI()
    install(app, renderer=renderer)

    @app.get("/notes/{number}", responses=error_responses(NotFoundError))
    async def read(number: int) -> None:
        raise NotFoundError("No such note")

    return app


@pytest.mark.parametrize("install", [install_error_handlers, install_stack])
def test_a_model_is_the_body_and_the_document(install: Any) -> None:
    """Aliases, computed fields and definitions: as they are written."""
    app = make_app(FunctionRenderer(failure, Failure), install)
    client = TestClient(app)
    body = {"code": "not_found", "severity": "high", "reasons": [{"message": "No such note", "where-it-is": None}]}
    assert client.get("/notes/1").json() == {**body, "count": 1}
    invalid = client.get("/notes/x")
    assert invalid.status_code == 422
    assert invalid.json()["reasons"][0]["where-it-is"] == "path.number"
    document = document_of(app)
    schemas = document["components"]["schemas"]
    assert set(schemas["Failure"]["properties"]) == set(invalid.json())
    assert schemas["HTTPValidationError"] == schemas["Failure"]
    assert schemas["Failure"]["properties"]["reasons"]["items"] == ref("Reason")
    assert set(schemas["Reason"]["properties"]) == {"message", "where-it-is"}
    assert schemas["Severity"]["const" if "const" in schemas["Severity"] else "enum"]
    assert "$defs" not in str(document)
    responses = document["paths"]["/notes/{number}"]["get"]["responses"]
    assert responses["404"]["content"]["application/json"]["schema"] == ref("Failure")
    example = responses["404"]["content"]["application/json"]["examples"]["not_found"]["value"]
    assert example["code"] == "not_found"
    assert responses["422"]["content"]["application/json"]["schema"] == ref("HTTPValidationError")


def test_other_errors_keep_their_shape_unless_it_is_for_all() -> None:
    """`{"detail"}` for HTTPException and the router, or this shape under its own media type."""
    client = TestClient(make_app(FunctionRenderer(failure, Failure)))
    assert client.get("/nothing").json() == {"detail": "Not Found"}
    renderer = FunctionRenderer(failure, Failure, media_type="application/vnd.shop.failure+json", for_all=True)
    answer = TestClient(make_app(renderer)).get("/nothing")
    assert answer.json()["reasons"][0]["message"] == "Not Found"
    assert answer.headers["content-type"] == "application/vnd.shop.failure+json"


def test_a_json_schema_will_do() -> None:
    """A dict, with definitions or without, and a reference to the field errors of the document."""
    schema = {
        "title": "A list, of errors",
        "type": "array",
        "items": {"anyOf": [{"$ref": "#/$defs/Text"}, {"$ref": "#/components/schemas/ValidationError"}]},
        "$defs": {"Text": {"type": "string"}},
    }
    app = make_app(FunctionRenderer(lambda info: [dict(error) for error in info.errors] or [info.detail], schema))
    assert TestClient(app).get("/notes/1").json() == ["No such note"]
    schemas = document_of(app)["components"]["schemas"]
    assert schemas["Alistoferrors"]["items"] == {"anyOf": [ref("Text"), ref("ValidationError")]}
    assert set(schemas["ValidationError"]["properties"]) == {"field", "message"}


def test_definitions_do_not_overwrite_models() -> None:
    """One that is called as a model of the application, and is another, takes another name; the same is shared."""
    theirs = create_model("Reason", mine=(int, ...))
    app = make_app(FunctionRenderer(failure, Failure))
    app.get("/theirs", response_model=theirs)(lambda: None)
    schemas = document_of(app)["components"]["schemas"]
    assert set(schemas["Reason"]["properties"]) == {"mine"}
    assert schemas["Failure"]["properties"]["reasons"]["items"] == ref("ReasonBody")
    shared = make_app(FunctionRenderer(failure, Failure))
    shared.get("/ours", response_model=Failure)(lambda: None)
    assert not [name for name in document_of(shared)["components"]["schemas"] if name.endswith("Body")]


class Tree(BaseModel):
    """A shape that holds itself."""

    message: str
    inner: list[Self] = []


class Cat(BaseModel):
    """One of two."""

    kind: Literal["cat"]


class Dog(BaseModel):
    """The other."""

    kind: Literal["dog"]


class Pets(BaseModel):
    """A shape with a discriminator."""

    pet: Annotated[Cat | Dog, Field(discriminator="kind")]


@pytest.mark.parametrize("model", [Tree, Pets])
def test_recursion_and_discriminators_are_valid(model: type[BaseModel]) -> None:
    """References lead somewhere, also those in a discriminator's mapping."""
    app = make_app(FunctionRenderer(lambda info: {}, model))
    document = document_of(app)
    assert "$defs" not in str(document)
    schemas = document["components"]["schemas"]
    if model is Pets:
        mapping = schemas["Pets"]["properties"]["pet"]["discriminator"]["mapping"]
        assert mapping == {"cat": "#/components/schemas/Cat", "dog": "#/components/schemas/Dog"}
    else:
        assert schemas["Tree"]["properties"]["inner"]["items"] == ref("Tree")


def test_the_schema_cannot_be_changed_from_outside() -> None:
    """It is copied in and out."""
    schema: dict[str, Any] = {"type": "object", "properties": {}}
    renderer = FunctionRenderer(lambda info: {}, schema)
    schema["properties"]["a"] = 1
    renderer.error_schema()["properties"]["b"] = 1
    assert renderer.error_schema() == renderer.validation_schema() == {"type": "object", "properties": {}}


def test_values_that_json_has_no_word_for() -> None:
    """A function that passes a detail on need not care what it is."""
    app = FastAPI()
    install_error_handlers(app, renderer=FunctionRenderer(lambda info: {"why": info.detail}, {}))

    @app.get("/")
    async def route() -> None:
        raise AppException(404, [float("nan"), object(), "\ud800"])

    answer = TestClient(app).get("/")
    assert (answer.status_code, answer.json()) == (404, {"why": [None, None, "?"]})


async def _later(info: ErrorInfo) -> Any:
    return {}


class Opaque:
    """Nothing that pydantic knows."""


OpaqueModel = create_model("OpaqueModel", __config__={"arbitrary_types_allowed": True}, value=(Opaque, ...))


@pytest.mark.parametrize(
    ("arguments", "options", "problem"),
    [
        (("text", {}), {}, "body must be a plain function"),
        ((_later, {}), {}, "body must be a plain function"),
        ((failure, "Failure"), {}, "schema must be a pydantic model or a JSON schema as a dict"),
        ((failure, dict), {}, "schema must be a pydantic model or a JSON schema as a dict"),
        ((failure, {"type": object}), {}, "schema must hold nothing but JSON values"),
        ((failure, {"minimum": float("nan")}), {}, "schema must hold nothing but JSON values"),
        ((failure, {"$ref": "#/$defs/Missing"}), {}, "schema refers to Missing, which its \\$defs do not define"),
        ((failure, OpaqueModel), {}, "pydantic can write none for OpaqueModel"),
        ((failure, {}), {"media_type": "json"}, "media_type must read like application/json"),
        ((failure, {}), {"media_type": "application/json; charset=utf-8"}, "media_type must read like"),
        ((failure, {}), {"media_type": "application/json\r\nX: y"}, "media_type must read like"),
        ((failure, {}), {"media_type": ""}, "media_type must read like"),
    ],
)
def test_what_cannot_work_is_refused(arguments: Any, options: Any, problem: str) -> None:
    """When the renderer is made, in words."""
    with pytest.raises(ConfigurationError, match=problem):
        FunctionRenderer(*arguments, **options)
