"""Validation errors: they say where and what, and never repeat what was sent."""

import json
from typing import Annotated, Any, Literal

import pytest
from fastapi import Body, FastAPI, Header, HTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

from fastapi_patterns import install_error_handlers
from fastapi_patterns.errors import validation_exception_handler

SECRET = "hunter2-hunter2"


class Item(BaseModel):
    """An item of an order."""

    price: float


class Order(BaseModel):
    """What the client sends."""

    email: Annotated[str, Field(pattern="@")]
    password: SecretStr
    items: list[Item] = []

    @field_validator("email")
    @classmethod
    def not_example(cls, value: str) -> str:
        """A validator as people write them."""
        if value.endswith("@forbidden.example"):
            raise ValueError(f"{value!r} is not allowed")
        if value.endswith("@old.example"):
            raise ValueError("this domain is closed")
        return value

    @model_validator(mode="before")
    @classmethod
    def no_duplicates(cls, values: Any) -> Any:
        """A validator that sees the whole body."""
        if isinstance(values, dict) and values.get("twice"):
            raise ValueError(f"unexpected {values}")
        return values


class Cat(BaseModel):
    """One of two."""

    kind: Literal["cat"]


class Dog(BaseModel):
    """The other."""

    kind: Literal["dog"]


app = FastAPI()
install_error_handlers(app)


@app.post("/orders/{order_id}")
def order(order_id: int, data: Order, x_count: Annotated[int, Header()] = 0, page: int = 1) -> int:
    """Take an order."""
    return order_id


@app.post("/pets")
def pet(data: Annotated[Cat | Dog, Body(discriminator="kind")]) -> str:
    """Take a pet."""
    return data.kind


@app.post("/free")
def free(data: dict[str, int]) -> int:
    """Take any keys."""
    return len(data)


@app.get("/gone")
def gone() -> None:
    """Raise as FastAPI does."""
    raise HTTPException(410, {"why": "gone"}, headers={"X-Why": "gone"})


client = TestClient(app)
GOOD = {"email": "a@b", "password": SECRET}


def errors_of(answer: Any) -> dict[str, str]:
    """Field to message, after checking that the body has the one shape."""
    assert answer.status_code == 422, answer.text
    assert set(answer.json()) == {"errors"}
    assert all(set(error) == {"field", "message"} for error in answer.json()["errors"])
    return {error["field"]: error["message"] for error in answer.json()["errors"]}


def test_a_field_is_named_by_its_path() -> None:
    """Body, list items, path, query and header fields, all in one answer."""
    answer = client.post(
        "/orders/x?page=y", json={"email": 7, "items": [{"price": 1}, {"price": "much"}]}, headers={"X-Count": "z"}
    )
    found = errors_of(answer)
    assert set(found) == {
        "path.order_id", "query.page", "header.x-count", "body.email", "body.password", "body.items.1.price"
    }  # fmt: skip
    assert found["body.password"] == "Field required"


@pytest.mark.parametrize(
    "body",
    [
        {"password": SECRET},
        {"email": SECRET, "password": SECRET},
        {"email": f"{SECRET}@forbidden.example", "password": "x"},
        {**GOOD, "twice": True},
        {**GOOD, "twice": True, "deep": [{"in": SECRET.encode().hex()}, SECRET]},
        [SECRET],
        SECRET,
    ],
)
def test_what_was_sent_is_never_repeated(body: Any) -> None:
    """A missing sibling, a failing pattern, a validator that quotes its value or the whole body."""
    answer = client.post("/orders/1", json=body)
    errors_of(answer)
    assert SECRET not in answer.text


def test_a_union_tag_is_not_repeated() -> None:
    """pydantic's message for an unknown tag quotes it."""
    answer = client.post("/pets", json={"kind": SECRET})
    assert errors_of(answer) == {"body": "Invalid value"}


def test_an_own_message_is_kept() -> None:
    """A validator's text that does not quote the input reaches the client."""
    answer = client.post("/orders/1", json={**GOOD, "email": "a@old.example"})
    assert errors_of(answer) == {"body.email": "Value error, this domain is closed"}


@pytest.mark.parametrize("content", ["{", "", "nonsense", '{"email": "' + SECRET])
def test_a_body_that_is_no_json(content: str) -> None:
    """The field is the body; an offset into it is no field."""
    answer = client.post("/orders/1", content=content, headers={"content-type": "application/json"})
    assert set(errors_of(answer)) == {"body"}
    assert SECRET not in answer.text


@pytest.mark.parametrize(
    "content",
    [
        '{"email": NaN, "password": "x"}',
        '{"email": Infinity, "password": NaN}',
        '{"email": "\\ud800", "password": "\\udfff"}',
        '{"email": {"a": NaN}, "password": [1e999]}',
    ],
)
def test_strange_values_are_a_clean_422(content: str) -> None:
    """NaN and lone surrogates in the input do not break the answer."""
    found = errors_of(client.post("/orders/1", content=content, headers={"content-type": "application/json"}))
    assert "body.email" in found


@pytest.mark.parametrize("key", ["a.b", "line\nbreak", "\ud800", "", "🦊"])
def test_strange_keys_are_a_clean_422(key: str) -> None:
    """The client chooses its keys: dots, newlines and lone surrogates do not break the answer."""
    content = json.dumps({key: "x"})
    (field,) = errors_of(client.post("/free", content=content, headers={"content-type": "application/json"}))
    assert field.startswith("body.")


def test_http_exceptions_keep_their_shape() -> None:
    """HTTPException, and the router's 404 and 405, stay `{"detail": ...}` with their headers."""
    answer = client.get("/gone")
    assert (answer.status_code, answer.json()) == (410, {"detail": {"why": "gone"}})
    assert answer.headers["x-why"] == "gone"
    assert client.get("/nothing").json() == {"detail": "Not Found"}
    answer = client.get("/pets")
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert answer.headers["allow"] == "POST"


def test_openapi_shows_the_real_shape() -> None:
    """The document's HTTPValidationError is what the handler returns, each time it is asked for."""
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    body = client.post("/pets", json={}).json()
    assert list(schemas["HTTPValidationError"]["properties"]) == list(body)
    assert set(schemas["ValidationError"]["properties"]) == set(body["errors"][0])
    assert schemas["HTTPValidationError"]["properties"]["errors"]["items"] == {
        "$ref": "#/components/schemas/ValidationError"
    }
    assert client.get("/openapi.json").json()["components"]["schemas"] == schemas


def test_a_document_without_validation_is_left_alone() -> None:
    """Nothing is added where nothing can fail, and an application's own `openapi` is called."""
    plain = FastAPI()
    own = {"openapi": "3.1.0", "info": {"title": "own", "version": "1"}, "paths": {}}
    plain.openapi = lambda: own  # type: ignore[method-assign]
    install_error_handlers(plain)
    assert TestClient(plain).get("/openapi.json").json() == own


def test_the_handler_can_be_registered_by_hand() -> None:
    """`app.add_exception_handler(RequestValidationError, validation_exception_handler)` gives the same bodies."""
    other = FastAPI()
    other.add_exception_handler(RequestValidationError, validation_exception_handler)  # type: ignore[arg-type]
    other.post("/pets")(pet)
    assert TestClient(other).post("/pets", json={}).content == client.post("/pets", json={}).content
