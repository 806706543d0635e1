"""What an application can be asked for: each endpoint with its dependencies, in sub-applications too."""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.routing import Host, Mount, Router

from fastapi_patterns._compat import effective_routes

__all__ = ["Endpoint", "endpoints", "tree"]


class Endpoint(NamedTuple):
    """One method of one route.

    Attributes:
        method: `GET` and the others, `WEBSOCKET`, or `*` where the route takes all.
        path: As a client writes it.
        answering: The function or object that answers.
        dependant: FastAPI's tree of its dependencies; None where it solves none.
        app: The application whose `dependency_overrides` count here.
        route: FastAPI's or Starlette's route, as included; None for what is mounted and has none.
    """

    method: str
    path: str
    answering: Any
    dependant: Any
    app: Any
    route: Any = None

    @property
    def name(self) -> str:
        """What its route is called: as it was named, or as the function is, also below a partial."""
        given = getattr(self.route, "name", None)
        own = str(getattr(self._function, "__name__", type(self._function).__name__))
        return own if given in (None, "", partial.__name__) else str(given)

    @property
    def _function(self) -> Any:
        found = self.answering
        while isinstance(found, partial):
            found = found.func
        return found

    def __str__(self) -> str:
        name = getattr(self._function, "__qualname__", None) or type(self._function).__qualname__
        return f"{self.method} {self.path} ({name.rpartition('<locals>.')[2]})"


def endpoints(app: Any, prefix: str = "") -> Iterator[Endpoint]:
    """Give everything that requests and websockets reach; what is mounted and has no routes is one endpoint."""
    for route, path, dependant in effective_routes(app if isinstance(app, Router) else app.router):
        if isinstance(route, (Mount, Host)):
            whole = f"{prefix}{path}" if isinstance(route, Mount) else f"{route.host}{prefix}"
            mounted = getattr(route, "_base_app", route.app)  # below the middleware of `Mount(..., middleware=[...])`
            if isinstance(mounted, (Starlette, Router)):
                yield from endpoints(mounted, whole)
            else:
                yield Endpoint("*", whole, mounted, None, app)
            continue
        for method in _methods(route):
            yield Endpoint(method, f"{prefix}{path}", getattr(route, "endpoint", route), dependant, app, route)


def tree(dependant: Any) -> Iterator[Any]:
    """Give every callable that FastAPI calls for an endpoint, what they depend on included."""
    for dependency in () if dependant is None else dependant.dependencies:
        yield dependency.call
        yield from tree(dependency)


def _methods(route: Any) -> list[str]:
    methods = getattr(route, "methods", None)
    if methods:
        # HEAD comes with each GET of Starlette's.
        return sorted(method for method in methods if method != "HEAD" or "GET" not in methods)
    # A websocket's route has no methods; a class of Starlette's that has none answers them all.
    return ["WEBSOCKET" if not hasattr(route, "methods") and hasattr(route, "endpoint") else "*"]
