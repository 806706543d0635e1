"""What asks for a credential on the way to an endpoint."""

import ast
import re
from collections.abc import Iterator
from typing import Any

from fastapi.security import OAuth2PasswordRequestForm
from fastapi.security.base import SecurityBase
from starlette.authentication import requires
from starlette.endpoints import HTTPEndpoint

from fastapi_patterns._routes import Endpoint
from fastapi_patterns.checks.source import Function, calls
from fastapi_patterns.checks.syntax import layers, method_or_function, names_in, own_function, within

__all__ = ["auth_of"]

# What headers, cookies and parameters are called that carry one. A page_token is none, and a CSRF token is no user's.
_CREDENTIAL = re.compile(
    r"(?<!csrf.)(?<!page.)(?<!next.)token|authorization|api.?key|session|signature|ticket|jwt|secret"
    r"|remote.user|forwarded.user|(?<![a-z])(?:sid|auth)(?![a-z])",
    re.IGNORECASE,
)
_OF_CONNECTION = ("session", "user", "auth", "cookies")  # request.session and the like
_OF_STATE = re.compile(r"user|auth|token|claims|principal|identity|account")  # request.state.user and the like


def auth_of(endpoint: Endpoint) -> str | None:
    """Name what asks for a credential on the way to an endpoint; None where nothing does."""
    for dependant in _dependants(endpoint.dependant):
        found = _of_dependant(dependant, endpoint)
        if found is not None:
            return found
    answering = endpoint.answering
    verbs = [answering]
    if isinstance(answering, type) and issubclass(answering, HTTPEndpoint):
        names = ("get", "head", "post", "put", "patch", "delete", "options")
        verbs = [getattr(answering, name) for name in names if hasattr(answering, name)]
    if verbs and all(_has_requires(verb) for verb in verbs):
        return "requires"
    return None


def _dependants(dependant: Any) -> Iterator[Any]:
    if dependant is not None:
        yield dependant
        for dependency in dependant.dependencies:
            yield from _dependants(dependency)


def _of_dependant(dependant: Any, endpoint: Endpoint) -> str | None:
    call: Any = dependant.call
    if isinstance(call, SecurityBase):
        return str(call.scheme_name)
    if getattr(call, "__qualname__", "") == "" and type(call).__module__.startswith("fastapi_patterns.auth"):
        return "current user"
    if isinstance(call, type) and issubclass(call, OAuth2PasswordRequestForm):
        return "login form"
    # The query of an endpoint may hold whatever is looked for; a websocket has no other place for a credential.
    own_query = dependant is endpoint.dependant and endpoint.method != "WEBSOCKET"
    given = [*dependant.header_params, *dependant.cookie_params, *(() if own_query else dependant.query_params)]
    for name in (name for parameter in given for name in _names(parameter)):
        if _CREDENTIAL.search(name):
            return f"{name} (by hand)"
    if _has_requires(call):
        return "requires"
    for kind in ("request", "websocket", "http_connection"):
        connection = getattr(dependant, f"{kind}_param_name", None)
        if connection and any(_refuses(own_function(layer), connection) for layer in layers(call)):
            return f"{kind} (by hand)"
    return None


def _names(parameter: Any) -> Iterator[str]:
    """Give the name of a parameter; of a model, which FastAPI reads as one parameter for each field, theirs."""
    yield str(parameter.alias)
    fields = getattr(parameter.field_info.annotation, "model_fields", {})
    for name, field in fields.items():
        yield str(field.alias or name)


def _has_requires(call: Any) -> bool:
    """Tell whether Starlette's `@requires(...)` is around a function."""
    return any(layer.__code__.co_filename == requires.__code__.co_filename for layer in layers(call))


def _refuses(function: Function | None, connection: str) -> bool:
    """Tell whether a function, with the functions it hands the request to, reads a credential and may raise."""
    if function is None:
        return False
    read = [(function, connection), *_handed_on(function, connection)]
    raises = any(isinstance(node, ast.Raise) for each, _ in read for node in within(each.node))
    return raises and any(_reads(each, name) for each, name in read)


def _handed_on(function: Function, connection: str) -> Iterator[tuple[Function, str]]:
    names = names_in(function)
    for call in calls(function.node):
        given = [isinstance(value, ast.Name) and value.id == connection for value in call.args]
        helper = method_or_function(call.func, names) if any(given) else None
        if helper is not None:
            parameters = (*helper.node.args.posonlyargs, *helper.node.args.args)
            yield from ((helper, each.arg) for each, is_it in zip(parameters, given, strict=False) if is_it)


def _reads(function: Function, connection: str) -> bool:
    headers = False
    for node in within(function.node):
        if not isinstance(node, ast.Attribute):
            continue
        if isinstance(node.value, ast.Name) and node.value.id == connection:
            if node.attr in _OF_CONNECTION:
                return True
            headers |= node.attr == "headers"
        if ast.unparse(node.value) == f"{connection}.state" and _OF_STATE.search(node.attr):
            return True
    return headers and any(_CREDENTIAL.search(text) for text in _texts(function))


def _texts(function: Function) -> Iterator[str]:
    """Give the texts that a function names: its literals without its docstring, and constants of its module."""
    docstring = function.node.body[0]
    names = names_in(function)
    for node in within(function.node):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if not (isinstance(docstring, ast.Expr) and docstring.value is node):
                yield node.value
        elif isinstance(node, ast.Name) and type(names.get(node.id)) is str:
            yield names[node.id]
