"""The whole stack in one call: middleware, handlers and resources in the order that works.

From the outside in: request log, CORS, catch-all, the application's own middleware, routes. The order is
fixed when Starlette builds the stack, so middleware that the application adds later lands inside.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from fastapi_patterns.errors import EnvelopeRenderer, ErrorRenderer, install_error_handlers
from fastapi_patterns.errors.handlers import render
from fastapi_patterns.exceptions import ConfigurationError, ErrorInfo, ExceptionMap
from fastapi_patterns.middleware import CatchAllMiddleware, RequestLogConfig, RequestLogMiddleware
from fastapi_patterns.middleware.catch_all import ResponseMarkMiddleware
from fastapi_patterns.middleware.cors import cors_options

__all__ = ["Stack", "install_stack", "stack_of"]

Resource = AbstractAsyncContextManager[Any]


@dataclass(frozen=True, slots=True)
class Stack:
    """What was installed on an application; tests find the registered resources here."""

    resources: tuple[Resource, ...]


def install_stack(
    app: FastAPI,
    *,
    allow_origins: Sequence[object] = (),
    allow_credentials: bool = False,
    resources: Sequence[Resource] = (),
    exception_map: ExceptionMap | None = None,
    renderer: ErrorRenderer | None = None,
    request_log: RequestLogConfig | None = None,
) -> None:
    """Install error handlers, request log, CORS and resources on an application.

    Args:
        app: The application, before it has served a request. Its own lifespan, middleware and handlers stay.
        allow_origins: Browser origins that may call the application, see `install_cors`; none by default.
        allow_credentials: Let browsers at these origins send cookies.
        resources: Objects that live as long as the application, such as a `Database`, an `HttpClient`, a `TaskQueue`,
            or any async context manager that can be entered again. They open in this order before the application's
            own lifespan and close after it. One with an `exception_map()` has its failures answered by it.
        exception_map: More exceptions to answer, see `install_error_handlers`; wins over the resources' maps.
        renderer: Shapes the error bodies; `EnvelopeRenderer()` by default.
        request_log: How requests are identified and logged; `RequestLogConfig()` by default.

    Raises:
        ConfigurationError: Called twice, called after the application has started, a resource that is no async
            context manager, or dangerous CORS settings.
    """
    if stack_of(app) is not None:
        raise ConfigurationError("install_stack(app) has been called before; call it once, with everything")
    if app.middleware_stack is not None:
        raise ConfigurationError("install_stack(app) must be called before the application serves its first request")
    if not isinstance(resources, Sequence):
        raise ConfigurationError(f"resources must be a list, such as [database]; got {type(resources).__name__}")
    for resource in resources:
        if not isinstance(resource, AbstractAsyncContextManager):
            raise ConfigurationError(
                f"resources: {type(resource).__name__} is not an async context manager: "
                "it needs __aenter__ and __aexit__"
            )
    chosen = EnvelopeRenderer() if renderer is None else renderer
    cors = cors_options(allow_origins=allow_origins, allow_credentials=allow_credentials) if allow_origins else None
    install_error_handlers(app, renderer=chosen, exception_map=_merged(resources, exception_map))
    _fix_middleware_order(app, _outer(request_log, cors, chosen), Middleware(ResponseMarkMiddleware))
    _open_resources(app, resources)
    app.state.fastapi_patterns = Stack(tuple(resources))


def stack_of(app: FastAPI) -> Stack | None:
    """Return what `install_stack` put on this application, or None."""
    found = getattr(app.state, "fastapi_patterns", None)
    return found if isinstance(found, Stack) else None


def _merged(resources: Sequence[Resource], own: ExceptionMap | None) -> ExceptionMap:
    merged: dict[type[Exception], Any] = {}
    for resource in resources:
        room_map = getattr(resource, "exception_map", None)
        if room_map is not None:
            merged.update(room_map())
    return {**merged, **(own or {})}


def _answer_500(renderer: ErrorRenderer) -> Callable[[Request, Exception], Any]:
    info = ErrorInfo(status=500, detail="Internal Server Error")

    async def answer(request: Request, error: Exception) -> Response:
        return render(renderer, info)

    return answer


def _outer(
    request_log: RequestLogConfig | None, cors: Mapping[str, Any] | None, renderer: ErrorRenderer
) -> list[Middleware]:
    return [
        Middleware(RequestLogMiddleware, request_log),
        *([Middleware(CORSMiddleware, **cors)] if cors else []),
        # Outside the application's own middleware: errors there are answered too, and middleware that catches the
        # application's exceptions goes on seeing them. A layer inside it would answer first.
        Middleware(CatchAllMiddleware, _answer_500(renderer)),
    ]


def _fix_middleware_order(app: FastAPI, outer: list[Middleware], inner: Middleware) -> None:
    original: Callable[[], ASGIApp] = app.build_middleware_stack

    def build_middleware_stack() -> ASGIApp:
        own, handlers = app.user_middleware, app.exception_handlers
        app.user_middleware = [*outer, *own, inner]
        # The catch-all calls these; Starlette's outermost layer would call them a second time.
        app.exception_handlers = {key: value for key, value in handlers.items() if key not in (500, Exception)}
        try:
            return original()
        finally:
            app.user_middleware, app.exception_handlers = own, handlers

    app.build_middleware_stack = build_middleware_stack  # type: ignore[method-assign]


def _open_resources(app: FastAPI, resources: Sequence[Resource]) -> None:
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(application: Any) -> AsyncIterator[Any]:
        async with AsyncExitStack() as opened:
            for resource in resources:
                await opened.enter_async_context(resource)
            async with inner(application) as state:
                yield state

    app.router.lifespan_context = lifespan
