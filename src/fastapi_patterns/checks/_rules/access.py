"""Who may reach what."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.security import OAuth2PasswordRequestForm
from fastapi.security.base import SecurityBase

from fastapi_patterns._routes import Endpoint
from fastapi_patterns.checks.source import defined_at
from fastapi_patterns.checks.target import Target

__all__ = ["auth_of", "open_routes"]

# Parameters that carry a credential, in hand-written dependencies.
_CREDENTIALS = ("authorization", "x-api-key", "api-key", "x-token", "session", "session_id", "access_token", "token")


def open_routes(target: Target) -> Iterator[tuple[str, str, str]]:
    """Find routes in whose dependencies there is nothing that asks for a credential."""
    for endpoint in target.endpoints:
        if auth_of(endpoint) is None and not target.is_public(endpoint) and not _is_the_frameworks(endpoint):
            yield (
                defined_at(endpoint.answering),
                f"{endpoint.method} {endpoint.path} asks for no credential",
                f"depend on the current user, or list it: public = ['{endpoint.path}']",
            )


def auth_of(endpoint: Endpoint) -> str | None:
    """Name what asks for a credential on the way to an endpoint; None where nothing does."""
    for dependant in _dependants(endpoint.dependant):
        call: Any = dependant.call
        if isinstance(call, SecurityBase):
            return str(call.scheme_name)
        if getattr(call, "__qualname__", "") == "" and type(call).__module__.startswith("fastapi_patterns.auth"):
            return "current user"
        if isinstance(call, type) and issubclass(call, OAuth2PasswordRequestForm):
            return "login form"
        if dependant is not endpoint.dependant:
            for parameter in (*dependant.header_params, *dependant.cookie_params):
                if str(parameter.alias).lower() in _CREDENTIALS:
                    return f"{parameter.alias} (by hand)"
    return None


def _dependants(dependant: Any) -> Iterator[Any]:
    if dependant is not None:
        yield dependant
        for dependency in dependant.dependencies:
            yield from _dependants(dependency)


def _is_the_frameworks(endpoint: Endpoint) -> bool:
    """Tell whether it is meant to be open: the OpenAPI document and its pages, files, our own routes to log in."""
    module = str(getattr(endpoint.answering, "__module__", ""))
    if module.startswith("fastapi_patterns.auth"):  # to log in, to refresh, and the public keys
        return True
    of_fastapi = endpoint.dependant is None and module == FastAPI.__module__
    return of_fastapi or type(endpoint.answering).__name__ == "StaticFiles"
