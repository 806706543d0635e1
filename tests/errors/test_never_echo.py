"""What a client sent is not repeated, however a validator words it, and no body makes the rules break."""

import json
from typing import Annotated, Any

import pytest
from fastapi import FastAPI, Query
from fastapi.testclient import TestClient
from pydantic import AfterValidator, BaseModel, Json
from pydantic_core import PydanticCustomError

from fastapi_patterns import install_error_handlers
from fastapi_patterns.errors.validation import field_errors

SECRET = "Hunter2's \\ pass"


def custom(value: str) -> str:
    """Refuse as pydantic's own error class does, under a type of the application's."""
    raise PydanticCustomError("weak_password", "{value} is weak", {"value": value})


def folded(value: str) -> str:
    """Refuse with the value in another case and without its blanks."""
    raise ValueError(f"{value.strip().lower()} is weak")


def quoted(value: str) -> str:
    """Refuse with the value as Python writes it."""
    raise ValueError(f"{value!r} is weak")


def asserted(value: str) -> str:
    """Refuse with an assertion's text."""
    raise AssertionError(f"{value} is weak")


def explained(value: str) -> str:
    """Refuse without the value."""
    raise PydanticCustomError("weak_password", "at least {least} characters", {"least": 12})


def anything(value: Any) -> Any:
    """Refuse whatever it is."""
    raise ValueError("is not wanted")


def client_of(*validators: Any) -> TestClient:
    """A client of an application with one route a validator."""
    app = FastAPI()
    install_error_handlers(app)
    for validator in validators:
        model = type("Data", (BaseModel,), {"__annotations__": {"value": Annotated[Any, AfterValidator(validator)]}})

        def route(data: model) -> None:  # type: ignore[valid-type]
            raise NotImplementedError

        app.post(f"/{validator.__name__}")(route)
    return TestClient(app)


@pytest.mark.parametrize("path", ["/custom", "/folded", "/quoted", "/asserted"])
@pytest.mark.parametrize("secret", [SECRET, f"  {SECRET}  ", "line\nbreak", "1234"])
def test_no_wording_repeats_the_value(path: str, secret: str) -> None:
    """A PydanticCustomError of any type, another case, a repr with escapes, an assertion."""
    answer = client_of(custom, folded, quoted, asserted).post(path, json={"value": secret})
    assert answer.status_code == 422
    assert answer.json() == {"errors": [{"field": "body.value", "message": "Invalid value"}]}


def test_a_custom_error_that_explains_is_kept() -> None:
    """Its text reaches the client when it does not hold the value."""
    answer = client_of(explained).post("/explained", json={"value": SECRET})
    assert answer.json() == {"errors": [{"field": "body.value", "message": "at least 12 characters"}]}


def test_pydantics_own_words_stay_helpful() -> None:
    """An input that happens to be a word of pydantic's message, such as the docs page's "string", hides nothing."""
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/")
    def route(number: Annotated[int, Query()]) -> None:
        raise NotImplementedError

    (error,) = TestClient(app).get("/?number=string").json()["errors"]
    assert error["field"] == "query.number"
    assert "valid integer" in error["message"]


@pytest.mark.parametrize("depth", [200, 900, 4000])
def test_a_deep_body_is_a_clean_answer(depth: int) -> None:
    """A body nested deeper than the interpreter's stack is no 500."""
    content = '{"value": ' + "[" * depth + "]" * depth + "}"
    answer = client_of(anything).post("/anything", content=content, headers={"content-type": "application/json"})
    # The parser of some Pythons gives up first: FastAPI's 400.
    assert answer.status_code in (400, 422)
    assert answer.status_code == 400 or answer.json()["errors"][0]["field"] == "body.value"


def test_depth_is_no_matter_to_the_rules() -> None:
    """The pure part walks any nesting and finds what is at its end."""
    value: Any = SECRET
    for _ in range(20_000):
        value = [value]
    error = {"type": "value_error", "loc": ("body",), "msg": f"Value error, {SECRET}", "input": value}
    assert field_errors([error]) == [{"field": "body", "message": "Invalid value", "pointer": "#"}]


def test_a_json_field_keeps_its_name() -> None:
    """Only a body that is no JSON is named `body`; a field that holds JSON text is named by its path."""

    class Form(BaseModel):
        settings: Json[dict[str, int]]

    app = FastAPI()
    install_error_handlers(app)

    @app.post("/")
    def route(data: Form, more: Json[int] = 0) -> None:
        raise NotImplementedError

    client = TestClient(app)
    answer = client.post("/?more={", json={"settings": "{"})
    assert {error["field"] for error in answer.json()["errors"]} == {"query.more", "body.settings"}
    answer = client.post("/", content="{", headers={"content-type": "application/json"})
    assert [error["field"] for error in answer.json()["errors"]] == ["body"]


def test_ctx_and_url_do_not_leave() -> None:
    """Whatever an error carries, a member of the answer is a field or a message, and both are text."""
    strange = {
        "type": "value_error",
        "loc": ("body", 0, "\ud800"),
        "msg": "x\ud800",
        "ctx": {"error": ValueError(SECRET)},
    }
    (found,) = field_errors([{**strange, "url": "https://x", "input": object()}])
    assert found == {"field": "body.0.?", "message": "x?", "pointer": "#/0/?"}
    assert json.dumps(found).isascii()
