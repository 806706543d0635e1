"""`explain(app)`: the stack in words, the same before and after the first request."""

import io
import re
from typing import Any, Self

import pytest
from fastapi import APIRouter, FastAPI, Request, WebSocket
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient

from fastapi_patterns import RequestLogConfig, explain, install_cors, install_stack


class Store:
    """A resource."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None: ...


class Mailer(Store):
    """Another."""


async def add_time(request: Request, call_next: Any) -> Any:
    """A function under `@app.middleware("http")`."""
    return await call_next(request)


async def on_error(request: Request, error: Exception) -> JSONResponse:
    """The application's own answer to unhandled errors."""
    return JSONResponse({}, 500)


def explained(app: FastAPI) -> str:
    """What `explain` writes."""
    file = io.StringIO()
    explain(app, file)
    return file.getvalue()


def row(text: str, label: str) -> str:
    """The words beside a label, on one line."""
    (found,) = re.findall(rf"^  {label}  +(.*\n(?:   .*\n)*)", text, re.MULTILINE)
    return " ".join(found.split())


def make_app() -> FastAPI:
    """An application with something in every layer."""
    app = FastAPI(title="Shop", openapi_url=None)
    install_stack(
        app,
        allow_origins=["https://app.example", "http://localhost:5173"],
        allow_origin_regex=r"https://pr-\d+\.app\.example",
        allow_credentials=True,
        resources=[Store(), Mailer()],
        exception_map={LookupError: (404, "No such thing")},
    )
    app.add_middleware(GZipMiddleware)
    app.middleware("http")(add_time)
    router, inner = APIRouter(), APIRouter()

    @inner.get("/x")
    def x() -> str:
        return "x"

    @inner.websocket("/w")
    async def w(websocket: WebSocket) -> None: ...

    @app.get("/y")
    def y() -> str:
        return "y"

    router.include_router(inner, prefix="/inner")
    app.include_router(router, prefix="/api")
    app.mount("/v1", FastAPI())
    return app


EXPECTED = r"""Shop, from the outside in

  server errors       Starlette's last resort, for what breaks outside the catch-all
  request log         one line a request; the id is taken from the request or made, and sent as X-Request-ID
  CORS                https://app.example, http://localhost:5173, what matches https://pr-\d+\.app\.example;
                      with credentials
  catch-all           for what nobody handled: logged once, a 500 that says nothing
  your middleware     tests.test_explain.add_time, a BaseHTTPMiddleware: keeps context variables in
                      starlette.middleware.gzip.GZipMiddleware
  response mark       notes when the routes begin to answer
  exception handlers  AppException, ExceptionGroup, HTTPException, LookupError, RequestValidationError,
                      WebSocketRequestValidationError
  routes              2 routes, 1 websocket, FastAPI mounted at /v1

Resources, opened in this order before the application's own lifespan, closed in reverse after it

  1  Store
  2  Mailer
"""


def test_every_layer_has_a_line() -> None:
    """From the outside in, aligned, and no other after the application has served."""
    app = make_app()
    assert explained(app) == EXPECTED
    with TestClient(app) as client:
        assert client.get("/api/inner/x").json() == "x"
    assert explained(app) == EXPECTED


def test_it_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """To standard output, when no file is given."""
    explain(make_app())
    assert capsys.readouterr().out == EXPECTED


def test_the_layers_say_how_they_are_set_up() -> None:
    """The header of the id, whether it is trusted, who answers a 500, the body limit."""
    app = FastAPI()
    log = RequestLogConfig(request_id_header="X-Correlation-ID", trust_request_id=False)
    install_stack(app, request_log=log)
    app.add_exception_handler(Exception, on_error)
    app.max_body_size = 1000  # type: ignore[attr-defined,unused-ignore]
    text = explained(app)
    assert row(text, "request log") == "one line a request; the id is always made here, and sent as X-Correlation-ID"
    answered = "for what nobody handled: logged once, answered by tests.test_explain.on_error"
    assert row(text, "catch-all") == answered
    assert row(text, "body limit") == "FastAPI's own: 413 for a body of more than 1000 bytes, without a request id"
    assert "CORS" not in text
    assert "Resources" not in text
    app.debug = True
    assert row(explained(app), "server errors") == "Starlette's debug page, since debug=True: never in production"
    assert row(explained(app), "catch-all") == f"{answered}, off with debug=True"


def test_an_application_without_the_stack() -> None:
    """It says so, and shows what there is: a 500 outside everything, CORS where the application has it."""
    app = FastAPI(title="Bare")
    text = explained(app)
    assert text.startswith("Bare is without the stack: install_stack(app) was not called.")
    assert row(text, "server errors") == "a 500 for what nobody handled, outside all middleware, as plain text"
    assert "your middleware" not in text
    install_cors(app, allow_origins=["*"])
    app.add_exception_handler(500, on_error)
    text = explained(app)
    assert row(text, "server errors").endswith("outside all middleware, by tests.test_explain.on_error")
    assert row(text, "your middleware") == "fastapi_patterns.middleware.cors.CorsMiddleware: *; without credentials"


def test_an_application_of_nothing() -> None:
    """No handler and no route is said in words too."""
    app = FastAPI(openapi_url=None)
    app.exception_handlers.clear()
    text = explained(app)
    assert row(text, "exception handlers") == "none"
    assert row(text, "routes") == "0 routes"
