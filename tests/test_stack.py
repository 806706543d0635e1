"""The stack: one order however it was put together, resources around the lifespan, errors that say nothing."""

import io
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Self

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.gzip import GZipMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from fastapi.testclient import TestClient

from fastapi_patterns import (
    AppException,
    ConfigurationError,
    ConfigurationWarning,
    Database,
    ErrorInfo,
    RequestLogConfig,
    install_cors,
    install_stack,
)
from fastapi_patterns.middleware import CatchAllMiddleware
from fastapi_patterns.middleware.catch_all import mark_logged, was_logged
from fastapi_patterns.stack import stack_of

ORIGIN = "https://app.example"


class Failing:
    """The application's own middleware, which breaks on one path."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") == "/middleware":
            raise RuntimeError("the middleware broke: secret")
        await self.app(scope, receive, send)


class Resource:
    """Writes down when it opens and closes."""

    def __init__(self, name: str, events: list[str], *, broken: bool = False) -> None:
        self.name, self.events, self.broken = name, events, broken

    async def __aenter__(self) -> Self:
        if self.broken:
            raise RuntimeError(f"{self.name} does not open")
        self.events.append(f"open {self.name}")
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.events.append(f"close {self.name}")


def make_app(**options: Any) -> FastAPI:
    """An application that can fail in every way."""
    app = FastAPI()
    app.add_middleware(Failing)
    install_stack(app, allow_origins=[ORIGIN], **options)

    @app.middleware("http")
    async def later(request: Request, call_next: Any) -> Any:
        if request.url.path == "/later":
            raise RuntimeError("the later middleware broke: secret")
        return await call_next(request)

    @app.get("/fine")
    async def fine() -> str:
        return "fine"

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("the route broke: secret")

    @app.get("/half")
    async def half() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            yield b"first"
            raise RuntimeError("the stream broke: secret")

        return StreamingResponse(body())

    @app.get("/number")
    async def number(n: int) -> int:
        return n

    @app.get("/app-exception")
    async def app_exception() -> None:
        raise AppException(409, "taken")

    return app


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Everything that the library logs."""
    with caplog.at_level(logging.INFO, logger="fastapi_patterns"):
        yield caplog


def quiet(app: FastAPI) -> TestClient:
    """A client that takes the 500 instead of the exception, as a browser does."""
    return TestClient(app, raise_server_exceptions=False, headers={"Origin": ORIGIN, "X-Request-ID": "request-1"})


@pytest.mark.parametrize("path", ["/broken", "/middleware", "/later"])
def test_an_unhandled_error_is_a_500_that_says_nothing(path: str, log: pytest.LogCaptureFixture) -> None:
    """From a route and from middleware of before and after: the body, the id, CORS, one traceback, one line."""
    answer = quiet(make_app()).get(path)
    assert answer.status_code == 500
    assert answer.json() == {"error": "Internal Server Error"}
    assert answer.headers["x-request-id"] == "request-1"
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    errors = [record for record in log.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in errors] == ["Unhandled RuntimeError"]
    assert errors[0].exc_info is not None
    lines = [record.getMessage() for record in log.records if record.name == "fastapi_patterns.request"]
    assert len(lines) == 1
    assert lines[0].startswith(f"GET {path} - 0.")
    assert lines[0].endswith("s 500")


@pytest.mark.parametrize("path", ["/broken", "/middleware", "/later"])
def test_the_server_still_sees_the_error(path: str) -> None:
    """The exception goes on outwards, for the server, tracing and test clients."""
    with pytest.raises(RuntimeError, match="broke: secret"):
        TestClient(make_app()).get(path)


def test_an_error_after_the_response_started(log: pytest.LogCaptureFixture) -> None:
    """What was sent stays; the error is logged and goes on."""
    with pytest.raises(RuntimeError, match="the stream broke"):
        TestClient(make_app()).get("/half")
    assert [record.getMessage() for record in log.records if record.levelno == logging.ERROR] == [
        "Unhandled RuntimeError"
    ]
    assert [record.getMessage()[-3:] for record in log.records if record.name == "fastapi_patterns.request"] == ["200"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/fine", 200),
        ("GET", "/app-exception", 409),
        ("GET", "/nothing", 404),
        ("POST", "/fine", 405),
        ("GET", "/number?n=x", 422),
        ("GET", "/broken", 500),
        ("GET", "/middleware", 500),
        ("GET", "/later", 500),
    ],
)
def test_every_answer_has_the_id_and_cors(method: str, path: str, status: int) -> None:
    """Successes, own errors, the router's, and what broke in a route or in middleware; caches keep origins apart."""
    answer = quiet(make_app(allow_credentials=True)).request(method, path)
    assert answer.status_code == status
    assert answer.headers["x-request-id"] == "request-1"
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-expose-headers"] == "X-Request-ID"
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("path", ["/fine", "/nothing", "/number?n=x", "/broken", "/middleware", "/later"])
def test_a_foreign_origin_reads_no_answer(path: str) -> None:
    """Errors neither."""
    answer = quiet(make_app(allow_credentials=True)).get(path, headers={"Origin": "https://evil.example"})
    assert answer.headers["x-request-id"] == "request-1"
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/fine", "/nothing", "/broken", "/later"])
def test_a_preflight_has_an_id_too(path: str) -> None:
    """CORS answers inside the log and outside everything else: nothing of the application runs."""
    answer = quiet(make_app()).options(path, headers={"Access-Control-Request-Method": "GET"})
    assert (answer.status_code, answer.text) == (200, "OK")
    assert answer.headers["x-request-id"] == "request-1"
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "Origin" in answer.headers["vary"]


def test_a_refused_preflight_has_an_id_too(log: pytest.LogCaptureFixture) -> None:
    """So that somebody who is locked out can be helped; it is in the log like any request."""
    headers = {"Access-Control-Request-Method": "GET", "Origin": "https://evil.example"}
    answer = quiet(make_app()).options("/fine", headers=headers)
    assert (answer.status_code, answer.text) == (400, "Disallowed CORS origin")
    assert answer.headers["x-request-id"] == "request-1"
    assert "access-control-allow-origin" not in answer.headers
    lines = [record.getMessage() for record in log.records if record.name == "fastapi_patterns.request"]
    assert [line.split(" - ")[0] for line in lines] == ["OPTIONS /fine"]


def test_cors_knows_the_header_of_the_request_id() -> None:
    """A log with another header: scripts may read that one, and send it."""
    app = FastAPI()
    install_stack(app, allow_origins=[ORIGIN], request_log=RequestLogConfig(request_id_header="X-Correlation-ID"))
    client = quiet(app)
    answer = client.get("/x", headers={"X-Correlation-ID": "correlation-1"})
    assert answer.headers["x-correlation-id"] == "correlation-1"
    assert answer.headers["access-control-expose-headers"] == "X-Correlation-ID"
    asked = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-correlation-id"}
    assert client.options("/x", headers=asked).status_code == 200


def test_scripts_may_send_and_read_more_headers() -> None:
    """Beside those of every application: tokens, the CSRF token and the request's id."""
    app = FastAPI()
    install_stack(app, allow_origins=[ORIGIN], allow_headers=["X-Tenant"], expose_headers=["X-Total"])
    client = quiet(app)
    assert client.get("/x").headers["access-control-expose-headers"] == "X-Request-ID, X-Total"

    def preflight(headers: str) -> int:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": headers}
        return client.options("/x", headers=asked).status_code

    assert preflight("authorization, content-type, x-csrf-token, x-request-id, x-tenant") == 200
    assert preflight("x-other") == 400


def test_any_header_may_be_allowed() -> None:
    """As `allow_headers=["*"]` of Starlette's middleware; a plain string is refused."""
    app = FastAPI()
    install_stack(app, allow_origins=[ORIGIN], allow_headers=["*"])
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-other"}
    assert quiet(app).options("/x", headers=asked).status_code == 200
    with pytest.raises(ConfigurationError, match="allow_headers must be a list"):
        install_stack(FastAPI(), allow_origins=[ORIGIN], allow_headers="X-Tenant")


@pytest.mark.parametrize("first", [install_cors, install_stack])
def test_cors_beside_the_stack_is_refused(first: Callable[..., None]) -> None:
    """It would stand inside the layer that answers errors, and their answers would be without its headers."""
    app = FastAPI()
    calls: dict[Callable[..., None], dict[str, Any]] = {install_cors: {"allow_origins": [ORIGIN]}, install_stack: {}}
    first(app, **calls.pop(first))
    ((second, settings),) = calls.items()
    with pytest.raises(ConfigurationError, match="was called before: with the stack, CORS"):
        second(app, **settings)


def test_a_handler_of_the_applications_own_comes_before_what_resources_say() -> None:
    """It was there first; what the caller asks for by name beside it is a contradiction."""

    class Upstream(AsyncExitStack):
        def exception_map(self) -> Any:
            return {LookupError: (404, "mapped"), OSError: (503, "away")}

    async def own(request: Any, exc: Exception) -> PlainTextResponse:
        return PlainTextResponse("own", 409)

    app = FastAPI()
    app.add_exception_handler(LookupError, own)
    app.add_exception_handler(RequestValidationError, own)
    install_stack(app, resources=[Upstream()])

    @app.get("/{kind}")
    async def route(kind: str, number: int = 0) -> None:
        raise {"lookup": LookupError, "os": OSError}[kind]

    client = quiet(app)
    assert [client.get(path).text for path in ("/lookup", "/os", "/os?number=x")] == ["own", '{"error":"away"}', "own"]
    with pytest.raises(ConfigurationError, match="exception_map has an answer to LookupError, and the application has"):
        other = FastAPI(exception_handlers={LookupError: own})
        install_stack(other, exception_map={LookupError: (404, "mapped")})


def test_without_origins_there_is_no_cors() -> None:
    """No layer, no header."""
    app = FastAPI()
    install_stack(app)
    assert not [name for name in quiet(app).get("/x").headers if name.startswith("access-control")]


def test_a_regex_alone_switches_cors_on() -> None:
    """Without a list, and its warning points at the line that installs the stack."""
    app = FastAPI()
    with pytest.warns(ConfigurationWarning, match="Write r'") as caught:
        install_stack(app, allow_origin_regex=r"https://app.example")
    assert caught[0].filename == __file__
    assert quiet(app).get("/x").headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize("key", [Exception, 500])
@pytest.mark.parametrize("is_async", [True, False])
def test_the_applications_own_handler_answers(key: Any, is_async: bool) -> None:
    """A handler for Exception or 500 makes the body, with the id and CORS around it."""
    app = make_app()

    async def on_error(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"own": type(error).__name__, "path": request.url.path}, 500)

    def on_error_sync(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"own": type(error).__name__, "path": request.url.path}, 500)

    app.add_exception_handler(key, on_error if is_async else on_error_sync)
    answer = quiet(app).get("/broken")
    assert answer.json() == {"own": "RuntimeError", "path": "/broken"}
    assert answer.headers["x-request-id"] == "request-1"
    assert answer.headers["access-control-allow-origin"] == ORIGIN


def test_debug_shows_the_debug_page() -> None:
    """With `debug=True` Starlette's page is what a developer sees."""
    app = make_app()
    app.debug = True
    answer = quiet(app).get("/broken")
    assert answer.status_code == 500
    assert "the route broke: secret" in answer.text


def test_the_catch_all_works_alone() -> None:
    """Without the stack, and for other protocols than HTTP it only passes on."""

    async def respond(request: Request, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("sorry", 500)

    app = FastAPI()
    app.add_middleware(CatchAllMiddleware, respond=respond)

    @app.get("/")
    def root() -> None:
        raise KeyError("x")

    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/").text == "sorry"


def test_an_error_that_takes_no_mark_is_no_problem() -> None:
    """An exception may refuse attributes: it is logged twice then, and nothing breaks."""

    class StubbornError(Exception):
        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

    for error in (ValueError(), StubbornError(), StopIteration(7)):
        mark_logged(error)
        assert was_logged(error) in (True, False)
    assert was_logged(None) is False
    assert was_logged(ValueError()) is False


def test_resources_live_around_the_lifespan() -> None:
    """They open in order before the application's own lifespan and close in reverse after it, each time."""
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
        events.append("start")
        yield {"state": "kept"}
        events.append("stop")

    app = FastAPI(lifespan=lifespan)
    install_stack(app, resources=[Resource("a", events), Resource("b", events)])

    @app.get("/")
    def root(request: Request) -> str:
        events.append("request")
        return str(request.state.state)

    one_life = ["open a", "open b", "start", "request", "stop", "close b", "close a"]
    for _ in range(2):
        with TestClient(app) as client:
            assert client.get("/").json() == "kept"
    assert events == one_life * 2


def test_a_start_up_that_fails_closes_what_was_open() -> None:
    """A resource that does not open, or a lifespan that raises, leaves nothing behind."""
    events: list[str] = []
    app = FastAPI()
    install_stack(app, resources=[Resource("a", events), Resource("b", events, broken=True)])
    with pytest.raises(RuntimeError, match="b does not open"), TestClient(app):
        pass
    assert events == ["open a", "close a"]


def test_the_failures_of_a_resource_are_answered() -> None:
    """A resource's `exception_map()` counts, and the application's own map wins over it."""

    class Store(Resource):
        def exception_map(self) -> dict[type[Exception], Any]:
            return {TimeoutError: (504, "store"), LookupError: (404, "store")}

    app = FastAPI()
    own = {LookupError: ErrorInfo(status=410, detail="own")}
    install_stack(app, resources=[Store("s", [])], exception_map=own)

    @app.get("/{kind}")
    def route(kind: str) -> None:
        raise TimeoutError if kind == "slow" else KeyError

    client = TestClient(app)
    assert (client.get("/slow").status_code, client.get("/slow").json()) == (504, {"error": "store"})
    assert (client.get("/gone").status_code, client.get("/gone").json()) == (410, {"error": "own"})


def test_it_is_installed_once() -> None:
    """A second call, and a call after the first request, are errors with words."""
    app = FastAPI()
    assert stack_of(app) is None
    install_stack(app)
    assert stack_of(app) is not None
    with pytest.raises(ConfigurationError, match="has been called before"):
        install_stack(app)
    started = FastAPI()
    TestClient(started).get("/")
    with pytest.raises(ConfigurationError, match="before the application serves its first request"):
        install_stack(started)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"resources": Database("sqlite://")}, r"resources must be a list, such as \[database\]; got Database"),
        ({"resources": [object()]}, "object is not an async context manager"),
        ({"resources": [io.StringIO()]}, "StringIO is not an async context manager"),
        ({"allow_origins": ["*"], "allow_credentials": True}, "let every website act as the user"),
        ({"allow_origins": "https://app.example"}, "must be a list"),
        ({"allow_origin_regex": "https://.*", "allow_credentials": True}, "let strangers' websites act as the user"),
        ({"allow_origin_regex": ""}, "or None; got ''"),
        ({"exception_map": {ValueError: (200, "x")}}, "400 to 599"),
    ],
)
def test_what_cannot_work_does_not_start(options: dict[str, Any], problem: str) -> None:
    """Misconfiguration is a ConfigurationError when the stack is installed."""
    with pytest.raises(ConfigurationError, match=problem):
        install_stack(FastAPI(), **options)


def test_the_log_can_be_configured() -> None:
    """The stack passes the log's configuration on."""
    app = FastAPI()
    install_stack(app, request_log=RequestLogConfig(new_request_id=lambda: "made-here", trust_request_id=False))
    assert quiet(app).get("/").headers["x-request-id"] == "made-here"


def test_a_lifespan_that_breaks_closes_the_resources() -> None:
    """Also when the application's own start-up or shutdown raises, everything that was open closes, in reverse."""
    events: list[str] = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        if "fail at start" in events:
            raise RuntimeError("start")
        yield
        raise RuntimeError("stop")

    app = FastAPI(lifespan=lifespan)
    install_stack(app, resources=[Resource("a", events), Resource("b", events)])
    with pytest.raises(RuntimeError, match="stop"), TestClient(app):
        events.append("served")
    assert events == ["open a", "open b", "served", "close b", "close a"]
    events[:] = ["fail at start"]
    with pytest.raises(RuntimeError, match="start"), TestClient(app):
        events.append("served")
    assert events == ["fail at start", "open a", "open b", "close b", "close a"]


@pytest.mark.filterwarnings("ignore:.*on_event is deprecated:DeprecationWarning")
def test_start_up_handlers_run_inside_the_resources() -> None:
    """Applications with `on_event`, and routers with a lifespan of their own, find the resources open."""
    events: list[str] = []
    app = FastAPI()
    app.router.on_startup.append(lambda: events.append("start"))
    app.router.on_shutdown.append(lambda: events.append("stop"))
    install_stack(app, resources=[Resource("a", events)])

    @asynccontextmanager
    async def of_router(app: Any) -> AsyncIterator[None]:
        events.append("router start")
        yield
        events.append("router stop")

    app.include_router(APIRouter(lifespan=of_router))
    with TestClient(app):
        events.append("served")
    assert events[0] == "open a"
    assert events[-1] == "close a"
    assert sorted(events[1:-1]) == ["router start", "router stop", "served", "start", "stop"]


def test_the_order_is_fixed() -> None:
    """From the outside in, whatever the application adds before and after: log, CORS, catch-all, own, routes."""
    app = FastAPI()
    app.add_middleware(Failing)
    install_stack(app, allow_origins=[ORIGIN])
    app.add_middleware(GZipMiddleware)
    TestClient(app).get("/")
    layer, names = app.middleware_stack, []
    while layer is not None:
        names.append(type(layer).__name__)
        layer = getattr(layer, "app", None)
    first = names.index("RequestLogMiddleware")
    assert names[first : first + 6] == [
        "RequestLogMiddleware",
        "CorsMiddleware",
        "CatchAllMiddleware",
        "GZipMiddleware",
        "Failing",
        "ResponseMarkMiddleware",
    ]
    assert [middleware.cls.__name__ for middleware in app.user_middleware] == ["GZipMiddleware", "Failing"]


def test_middleware_that_catches_goes_on_catching() -> None:
    """An application's middleware that turns its own exceptions into answers still does, and nothing is logged."""
    app = FastAPI()
    install_stack(app)

    @app.middleware("http")
    async def catches(request: Request, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except LookupError:
            return JSONResponse({"own": "answer"}, 400)

    @app.get("/")
    async def route() -> None:
        raise KeyError("x")

    answer = TestClient(app).get("/")
    assert (answer.status_code, answer.json()) == (400, {"own": "answer"})


def test_a_stack_that_was_refused_can_be_installed_right() -> None:
    """After a ConfigurationError the application is not half installed."""
    app = FastAPI()
    with pytest.raises(ConfigurationError):
        install_stack(app, exception_map={KeyError: 404})  # type: ignore[dict-item]
    install_stack(app, exception_map={KeyError: (404, "gone")})

    @app.get("/")
    async def route() -> None:
        raise KeyError

    assert (quiet(app).get("/").status_code, quiet(app).get("/").json()) == (404, {"error": "gone"})


@pytest.mark.parametrize(("path", "named"), [("/broken", "RuntimeError"), ("/mapped", "KeyError"), ("/status", "503")])
def test_the_line_of_a_failure_names_its_class(path: str, named: str) -> None:
    """Unhandled or mapped to a 5xx, the exception's class is `error.type`; a 503 without one has its status."""
    lines: list[dict[str, Any]] = []
    log = RequestLogConfig(sink=lambda level, text, fields: lines.append(fields))
    app = make_app(request_log=log, exception_map={LookupError: (503, "not now")})

    @app.get("/mapped")
    async def mapped() -> None:
        raise KeyError("x")

    @app.get("/status")
    async def status() -> PlainTextResponse:
        return PlainTextResponse("later", 503)

    quiet(app).get(path)
    assert [fields["error.type"] for fields in lines] == [named]
