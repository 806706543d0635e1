"""Reads the signature of an application's user loader: the first parameter takes the claims, the rest are FastAPI's.

Only parameters are resolved, never the return type, which may exist under TYPE_CHECKING alone.
"""

import inspect
import typing
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

from pydantic import BaseModel

from fastapi_patterns._compat import is_async_callable
from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import Claims

__all__ = ["Loader", "read_loader"]

_REFUSED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


class Loader(NamedTuple):
    """An application's loader, as its signature says it wants to be called.

    Attributes:
        load: The function.
        parameters: Those after the first, keyword-only and with their annotations resolved.
        model: The pydantic model that the first one is annotated with, or None.
        takes_claims: Whether it is annotated with a model, or as `Claims`.
        is_async: Whether calling it gives an awaitable; a sync one runs in a thread.
    """

    load: Callable[..., Any]
    parameters: list[inspect.Parameter]
    model: type[BaseModel] | None
    is_async: bool
    takes_claims: bool


def read_loader(load: Callable[..., Any], called: str = "load_user", first: str = "claims") -> Loader:
    """Read a loader's signature; `called` and `first` are what messages call it and its first parameter.

    Raises:
        ConfigurationError: Not a callable that can take the claims first, or one that FastAPI could not call.
    """
    if not callable(load):
        raise ConfigurationError(f"{called} must be a callable; got {type(load).__name__}")
    name, function, bound = _unwrap(load)
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigurationError(f"{name} must return the user, not yield it")
    parameters = list(inspect.signature(load).parameters.values())
    if not parameters or parameters[0].kind not in (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    ):
        raise ConfigurationError(f"{name} must take the {first} as its first parameter: def {called}({first}, ...)")
    # What only Python itself can fill by position, and need not, is not for FastAPI: the default of `dict.get`.
    rest = [
        parameter
        for parameter in parameters[1:]
        if parameter.name not in bound
        and not (parameter.kind is parameter.POSITIONAL_ONLY and parameter.default is not parameter.empty)
    ]
    for parameter in rest:
        if parameter.kind in _REFUSED or parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
            raise ConfigurationError(f"{name}: FastAPI cannot fill the parameter {parameter}; name it plainly")
    hints = _resolve(rest, function, name)
    resolved = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints.get(parameter.name, parameter.empty))
        for parameter in rest
    ]
    kind = _kind_of(parameters[0], function)
    model = kind if kind is not None and issubclass(kind, BaseModel) else None
    takes_claims = model is not None or kind is Claims
    return Loader(load, resolved, model, is_async_callable(load), takes_claims)


def _kind_of(first: inspect.Parameter, function: Any) -> type[Any] | None:
    """Give the class that the first parameter is annotated with."""
    annotation = first.annotation
    if isinstance(annotation, str):  # an annotation that exists for type checkers alone is none
        annotation = getattr(function, "__globals__", {}).get(annotation)
    return annotation if isinstance(annotation, type) else None


def _unwrap(load: Callable[..., Any]) -> tuple[str, Callable[..., Any], set[str]]:
    """Find the plain function behind partials and callable objects, and the parameters that a partial has filled."""
    bound: set[str] = set()
    function: Any = load
    while isinstance(function, partial):
        # A keyword that a partial binds is the application's choice; FastAPI would make a query parameter of it.
        bound |= function.keywords.keys()
        function = function.func
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = type(function).__call__
    return getattr(function, "__qualname__", "load_user"), inspect.unwrap(function), bound


def _resolve(parameters: list[inspect.Parameter], function: Any, name: str) -> dict[str, Any]:
    annotations = {p.name: p.annotation for p in parameters if p.annotation is not p.empty}
    try:
        return typing.get_type_hints(
            SimpleNamespace(__annotations__=annotations),
            globalns=getattr(function, "__globals__", {}),
            include_extras=True,
        )
    except NameError as error:
        raise ConfigurationError(
            f"{name}: the annotation of a parameter names {error.name!r}, which does not exist at run time. "
            "Import it outside TYPE_CHECKING."
        ) from error
