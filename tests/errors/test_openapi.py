"""The OpenAPI document shows what the handlers return, whatever the application does with the document."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.testclient import TestClient

from fastapi_patterns import install_error_handlers


def number(number: int) -> int:
    """Take a number: a route that can fail validation."""
    return number


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
