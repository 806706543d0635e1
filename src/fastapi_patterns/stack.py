"""The whole stack in one call: middleware, handlers and resources in the order that works.

From the outside in: request log, CORS, catch-all, the application's own middleware, routes. The order is
fixed when Starlette builds the stack, so middleware that the application adds later lands inside.
"""

import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TextIO

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from fastapi_patterns._explain import explanation
from fastapi_patterns._own_middleware import warn_of_base_http
from fastapi_patterns.errors import EnvelopeRenderer, ErrorRenderer, install_error_handlers
from fastapi_patterns.errors.handlers import is_answered
from fastapi_patterns.errors.responses import Responder
from fastapi_patterns.errors.unhandled import UnhandledErrorHandler
from fastapi_patterns.exceptions import ConfigurationError, ErrorInfo, ExceptionMap
from fastapi_patterns.middleware import CatchAllMiddleware, RequestLogConfig, RequestLogMiddleware
from fastapi_patterns.middleware.catch_all import ResponseMarkMiddleware, log_once
from fastapi_patterns.middleware.cors import ALLOWED, BESIDE_THE_STACK, CorsMiddleware, check_lists, cors_options

__all__ = ["Stack", "explain", "install_stack", "stack_of"]

Resource = AbstractAsyncContextManager[Any]


@dataclass(frozen=True, slots=True)
class Stack:
    """What was installed on an application; tests find the registered resources here.

    Args:
        resources: In order of opening.
        outer: The layers outside the application's own middleware, from the outside in.
        inner: The layers inside it.
    """

    resources: tuple[Resource, ...]
    outer: tuple[Middleware, ...] = ()
    inner: tuple[Middleware, ...] = ()


def install_stack(
    app: FastAPI,
    *,
    allow_origins: Sequence[object] = (),
    allow_origin_regex: str | None = None,
    allow_credentials: bool = False,
    allow_headers: Sequence[str] = (),
    expose_headers: Sequence[str] = (),
    resources: Sequence[Resource] = (),
    exception_map: ExceptionMap | None = None,
    renderer: ErrorRenderer | None = None,
    validation_status: int = 422,
    html: Callable[[ErrorInfo], str] | None = None,
    request_log: RequestLogConfig | None = None,
) -> None:
    """Install error handlers, request log, CORS and resources on an application.

    Args:
        app: The application, before it has served a request. Its own lifespan, middleware and handlers stay; a handler
            of its own comes before what a resource answers.
        allow_origins: Browser origins that may call the application, see `install_cors`; none by default.
        allow_origin_regex: A regular expression for more origins, see `install_cors`. With neither there is no CORS.
        allow_credentials: Let browsers at these origins send cookies.
        allow_headers: Request headers that their scripts may send, beside `Authorization`, `Content-Type`,
            `X-CSRF-Token` and the request id's; `["*"]` for any.
        expose_headers: Response headers that their scripts may read, beside the request id's.
        resources: Objects that live as long as the application, such as a `Database`, an `HttpClient`, a `TaskQueue`,
            or any async context manager that can be entered again. They open in this order before the application's
            own lifespan and close after it. One with an `exception_map()` has its failures answered by it; of several
            that answer the same failure the first that has an answer counts, one that knows it by name (a constraint
            of a `Database`) before all others. One that is named twice is opened once.
        exception_map: More exceptions to answer, see `install_error_handlers`; wins over the resources' maps.
        renderer: Shapes the error bodies; `EnvelopeRenderer()` by default.
        validation_status: Status of a failed validation, see `install_error_handlers`.
        html: Makes pages for browsers, see `install_error_handlers`; none by default.
        request_log: How requests are identified and logged; `RequestLogConfig()` by default.

    Raises:
        ConfigurationError: Called twice, called after the application has started, a resource that is no async
            context manager, dangerous CORS settings, or `install_cors` on the same application.

    Warns:
        ConfigurationWarning: `allow_origin_regex` lets in more than it seems to, see `install_cors`.
    """
    _check_application(app)
    _check_resources(resources)
    resources = tuple({id(resource): resource for resource in resources}.values())
    chosen = EnvelopeRenderer() if renderer is None else renderer
    log_config = RequestLogConfig() if request_log is None else request_log
    cors = None
    if allow_origins or allow_origin_regex is not None:
        check_lists(allow_headers=allow_headers, expose_headers=expose_headers)
        cors = cors_options(
            allow_origins=allow_origins,
            allow_origin_regex=allow_origin_regex,
            allow_credentials=allow_credentials,
            allow_headers=(*ALLOWED, log_config.request_id_header, *allow_headers),
            expose_headers=(log_config.request_id_header, *expose_headers),
        )
    install_error_handlers(
        app,
        renderer=chosen,
        exception_map={**_answers_of(app, resources), **(exception_map or {})},
        validation_status=validation_status,
        html=html,
    )
    stack = Stack(resources, _outer(log_config, cors, Responder(chosen, html)), (Middleware(ResponseMarkMiddleware),))
    _fix_middleware_order(app, stack)
    _open_resources(app, resources)
    log_once()
    app.state.fastapi_patterns = stack


def stack_of(app: FastAPI) -> Stack | None:
    """Return what `install_stack` put on this application, or None."""
    found = getattr(app.state, "fastapi_patterns", None)
    return found if isinstance(found, Stack) else None


def explain(app: FastAPI, file: TextIO | None = None) -> None:
    """Print the application's stack from the outside in, with a word on each layer, and its resources in order.

    Args:
        app: The application, before or after its first request, with the stack or without.
        file: Where to write; standard output by default.
    """
    stack = stack_of(app)
    resources = None if stack is None else stack.resources
    outer, inner = ((), ()) if stack is None else (stack.outer, stack.inner)
    (sys.stdout if file is None else file).write(explanation(app, outer=outer, inner=inner, resources=resources))


def _check_application(app: FastAPI) -> None:
    if stack_of(app) is not None:
        raise ConfigurationError("install_stack(app) has been called before; call it once, with everything")
    if app.middleware_stack is not None:
        raise ConfigurationError("install_stack(app) must be called before the application serves its first request")
    own: list[Any] = [layer.cls for layer in app.user_middleware]
    if CorsMiddleware in own:
        raise ConfigurationError(f"install_cors(app) was called before: {BESIDE_THE_STACK}")


def _check_resources(resources: Any) -> None:
    if not isinstance(resources, Sequence):
        raise ConfigurationError(f"resources must be a list, such as [database]; got {type(resources).__name__}")
    for resource in resources:
        if not isinstance(resource, AbstractAsyncContextManager):
            raise ConfigurationError(
                f"resources: {type(resource).__name__} is not an async context manager: "
                "it needs __aenter__ and __aexit__"
            )


def _answers_of(app: FastAPI, resources: Sequence[Resource]) -> ExceptionMap:
    """What the resources answer, but for what the application has a handler of its own for."""
    answers: dict[type[Exception], list[Any]] = {}
    for resource in resources:
        room_map = getattr(resource, "exception_map", None)
        if room_map is not None:
            for cls, answer in room_map().items():
                answers.setdefault(cls, []).append(answer)
    return {cls: _combined(found) for cls, found in answers.items() if not is_answered(app, cls)}


def _combined(answers: Sequence[Any]) -> Any:
    """Two databases answer the same failures and neither knows whose one is.

    What one of them knows by name (see `ExceptionMap`) comes before what the first says of all.
    """
    if len(answers) == 1 or not callable(answers[0]):
        return answers[0]
    functions: list[Any] = [answer for answer in answers if callable(answer)]
    ordered = [*(answer.named for answer in functions if hasattr(answer, "named")), *functions]

    def answer_first(error: Exception) -> Any:
        return next((info for answer in ordered if (info := answer(error)) is not None), None)

    return answer_first


def _outer(request_log: RequestLogConfig, cors: Mapping[str, Any] | None, respond: Responder) -> tuple[Middleware, ...]:
    return (
        Middleware(RequestLogMiddleware, request_log),
        *([Middleware(CorsMiddleware, **cors)] if cors else []),
        # Outside the application's own middleware: errors there are answered too, and middleware that catches the
        # application's exceptions goes on seeing them. A layer inside it would answer first.
        Middleware(CatchAllMiddleware, UnhandledErrorHandler(respond)),
    )


def _fix_middleware_order(app: FastAPI, stack: Stack) -> None:
    original: Callable[[], ASGIApp] = app.build_middleware_stack

    def build_middleware_stack() -> ASGIApp:
        own, handlers = app.user_middleware, app.exception_handlers
        warn_of_base_http(own)
        if isinstance(handlers.get(Exception), UnhandledErrorHandler):
            del handlers[Exception]  # the catch-all answers, unless the application has a handler of its own for 500
        app.user_middleware = [*stack.outer, *own, *stack.inner]
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
