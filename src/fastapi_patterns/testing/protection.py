"""`assert_routes_protected`: no route is open to strangers unless a test says so."""

from collections.abc import Callable, Iterable
from typing import Any

from fastapi import FastAPI

from fastapi_patterns._routes import Endpoint, endpoints, tree
from fastapi_patterns.auth import CurrentUserDependency

__all__ = ["assert_routes_protected"]


def assert_routes_protected(
    app: FastAPI,
    public: Iterable[str] = (),
    *,
    public_docs: bool = False,
    guards: Iterable[Callable[..., Any]] = (),
) -> None:
    """Check that every route needs a user, except those that are named.

    A route is protected when a current user that must be there is among its dependencies, at whatever depth and also
    by way of `include_router(..., dependencies=[...])`: `get_current_user` itself, `.requiring(...)`, `.any_scope(...)`
    or `.fresh(...)`. `.optional` and `.if_valid` let strangers in. What cannot be judged counts as open: routes of
    Starlette's, static files, mounted applications of other frameworks. Middleware is not looked at.

    Args:
        app: The application; the routes of applications that are mounted on it are checked too.
        public: What strangers may reach: paths such as `"/health"` for all their methods, or `"POST /auth/login"`; a
            websocket's method is `WEBSOCKET`. Paths are written as in the route: `"/items/{item_id}"`.
        public_docs: Whether the OpenAPI document and its pages are for strangers; FastAPI serves them unless it is
            told not to.
        guards: Dependencies of the application's own that let nobody in without a credential.

    Raises:
        AssertionError: Lists the open routes, one a line, and the names in `public` that are none.
    """
    __tracebackhide__ = True
    own = list(guards)
    found = list(endpoints(app))
    unprotected = [endpoint for endpoint in found if not _is_protected(endpoint, own)]
    named = set(public)
    left = [each for each in unprotected if not _names(each) & named and not (public_docs and _is_docs(each))]
    problems = _lines("These routes can be reached without a user; protect them, or name them in public=[...]:", left)
    open_names = {name for endpoint in unprotected for name in _names(endpoint)}
    known = {name for endpoint in found for name in _names(endpoint)}
    problems += _lines("These names in public match no route:", sorted(named - known))
    problems += _lines("These names in public are protected; take them out:", sorted(named & known - open_names))
    if problems:
        raise AssertionError("\n".join(problems))


def _is_protected(endpoint: Endpoint, guards: list[Callable[..., Any]]) -> bool:
    return any(isinstance(call, CurrentUserDependency) or call in guards for call in tree(endpoint.dependant))


def _names(endpoint: Endpoint) -> set[str]:
    return {endpoint.path, f"{endpoint.method} {endpoint.path}"}


def _is_docs(endpoint: Endpoint) -> bool:
    return endpoint.dependant is None and getattr(endpoint.answering, "__module__", "") == FastAPI.__module__


def _lines(title: str, found: Iterable[object]) -> list[str]:
    lines = [f"  {each}" for each in found]
    return [title, *lines] if lines else []
