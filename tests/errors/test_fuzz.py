"""Random requests out of the OpenAPI document: whatever is answered is documented."""

import os
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Form, Security
from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import one_of
from pydantic import BaseModel, Field

from fastapi_patterns import (
    Claims,
    EnvelopeRenderer,
    ProblemRenderer,
    TokenCodec,
    TokenConfig,
    error_responses,
    install_stack,
    make_current_user,
)
from fastapi_patterns.errors import ConflictError, NotFoundError

if os.environ.get("REQUIRE_SERVICES"):
    import schemathesis
else:
    schemathesis = pytest.importorskip("schemathesis")


class Order(BaseModel):
    """A body with something to get wrong."""

    email: str
    amount: Annotated[int, Field(ge=0, le=10)]
    notes: list[str] = []


def load_user(claims: Claims) -> dict[str, str]:
    """Find a user."""
    return {"name": claims.sub}


def make_app(**options: Any) -> FastAPI:
    """An application with the stack, a body, a form and protected routes."""
    app = FastAPI()
    install_stack(app, **options)
    tokens = TokenCodec(TokenConfig(secret_key="k1-of-the-fuzz-test-long-enough-for-hs256-0123456789"))
    current_user = make_current_user(load_user, tokens=tokens, token_url="login")
    reader = Security(current_user, scopes=["read"])

    @app.post("/orders/{number}", responses=error_responses(ConflictError, NotFoundError))
    async def order(number: int, data: Order) -> Order:
        if number % 3 == 1:
            raise NotFoundError("No such order")
        if data.amount == 7:
            raise ConflictError
        return data

    @app.post("/forms")
    async def form(name: Annotated[str, Form(min_length=1)], age: Annotated[int, Form()] = 0) -> str:
        return name

    @app.get("/me")
    async def me(user: Annotated[dict[str, str], Depends(current_user)]) -> dict[str, str]:
        return user

    @app.get("/maybe")
    async def maybe(user: Annotated[dict[str, str] | None, Depends(current_user.optional)]) -> dict[str, str] | None:
        return user

    @app.get("/read")
    async def read(user: Annotated[dict[str, str], reader]) -> dict[str, str]:
        return user

    return app


def fuzz(app: FastAPI) -> None:
    """Send random requests, valid and not, and check each answer against the document."""
    limits = settings(
        max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    for found in schemathesis.openapi.from_asgi("/openapi.json", app).get_all_operations():
        operation = found.ok()
        requests = [operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode]

        @limits
        @given(case=one_of(requests))
        def check(case: Any) -> None:
            case.call_and_validate()

        check()
        for body in operation.body:  # what no parser reads is not among the random requests
            operation.Case(path_parameters={"number": 3}, body=b"\xff", media_type=body.media_type).call_and_validate()


@pytest.mark.parametrize("renderer", [EnvelopeRenderer(), ProblemRenderer()], ids=["envelope", "problem"])
@pytest.mark.parametrize("status", [400, 422])
def test_every_answer_is_documented(renderer: Any, status: int) -> None:
    """Status, media type and body: JSON, a form, protected routes, in two shapes."""
    fuzz(make_app(renderer=renderer, validation_status=status))


@pytest.mark.parametrize("status", ["400", "401", "404", "422"])
def test_what_is_not_documented_is_found(status: str) -> None:
    """Without one of the documented errors the same requests fail the test."""
    app = make_app()
    for path in app.openapi()["paths"].values():
        for operation in path.values():
            operation["responses"].pop(status, None)
    with pytest.raises(schemathesis.core.failures.FailureGroup, match="Undocumented status code"):
        fuzz(app)
