"""A loader in a module with deferred annotations: every annotation is text, one name exists for checkers only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request

from fastapi_patterns import Claims

if TYPE_CHECKING:
    from tests.auth.test_current_user import Person


def tenant(request: Request) -> str:
    """The tenant of a request."""
    return request.headers.get("x-tenant", "none")


TenantDep = Annotated[str, Depends(tenant)]


def load(claims: Claims, name: TenantDep, request: Request) -> Person | None:
    """Find a user whose type exists under TYPE_CHECKING alone."""
    return {"id": claims.sub, "tenant": name, "path": request.url.path}  # type: ignore[return-value]


def load_unresolvable(claims: Claims, person: Person) -> None:
    """A parameter that only type checkers can resolve."""
