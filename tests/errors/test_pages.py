"""Pages for browsers, by choice: JSON clients keep what they read, and every error of both is there."""

import logging
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request, WebSocket
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.testclient import WebSocketDenialResponse

from fastapi_patterns import (
    AppException,
    ConfigurationError,
    ErrorInfo,
    ProblemRenderer,
    install_error_handlers,
    install_stack,
)
from fastapi_patterns.errors import error_page

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
INSTALLS = [install_error_handlers, install_stack]
EVIL = "<script>alert('x')</script>&\"\ud800"


def make_client(install: Any = install_error_handlers, **options: Any) -> TestClient:
    """An application with pages that fails in every way."""
    app = FastAPI()
    install(app, exception_map={LookupError: (404, "No such thing")}, **{"html": error_page, **options})

    @app.get("/app")
    async def app_exception() -> None:
        raise AppException(409, "taken", headers={"Vary": "Cookie", "X-Kept": "1"})

    @app.get("/http")
    async def http() -> None:
        raise HTTPException(401, "Who?", headers={"WWW-Authenticate": "Bearer", "vary": "accept"})

    @app.get("/mapped")
    async def mapped() -> None:
        raise KeyError("hunter2")

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("hunter2")

    @app.get("/numbers/{number}")
    async def read(number: int) -> int:
        return number

    @app.get("/not-modified")
    async def not_modified() -> None:
        raise HTTPException(304)

    @app.get("/evil")
    async def evil() -> None:
        raise AppException(404, EVIL)

    return TestClient(app, raise_server_exceptions=False)


CASES = [
    ("GET", "/app", 409, "409 Conflict", {"error": "taken"}),
    ("GET", "/http", 401, "401 Unauthorized", {"detail": "Who?"}),
    ("GET", "/mapped", 404, "404 Not Found", {"error": "No such thing"}),
    ("GET", "/nothing", 404, "404 Not Found", {"detail": "Not Found"}),
    ("POST", "/app", 405, "405 Method Not Allowed", {"detail": "Method Not Allowed"}),
    ("GET", "/broken", 500, "500 Internal Server Error", {"error": "Internal Server Error"}),
]


@pytest.mark.parametrize("install", INSTALLS)
@pytest.mark.parametrize(("method", "path", "status", "title", "body"), CASES)
def test_a_browser_gets_the_page_and_an_api_client_json(
    install: Any, method: str, path: str, status: int, title: str, body: dict[str, Any]
) -> None:
    """Own, mapped, FastAPI's, the router's and unhandled errors; caches are told that the two differ."""
    client = make_client(install)
    page = client.request(method, path, headers=BROWSER)
    assert page.status_code == status
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert f"<h1>{title}</h1>" in page.text
    assert "hunter2" not in page.text
    for accept in ("*/*", "application/json"):
        answer = client.request(method, path, headers={"Accept": accept})
        assert (answer.status_code, answer.json()) == (status, body)
        assert "content-security-policy" not in answer.headers
        assert "accept" in answer.headers["vary"].lower()
    assert "accept" in page.headers["vary"].lower()


def test_headers_are_kept() -> None:
    """A challenge, an Allow, an own header, and a Vary that is there already."""
    client = make_client()
    for headers in (BROWSER, {}):
        assert client.get("/http", headers=headers).headers["www-authenticate"] == "Bearer"
        assert client.get("/http", headers=headers).headers["vary"] == "accept"
        assert client.get("/app", headers=headers).headers["vary"] == "Cookie, Accept"
        assert client.get("/app", headers=headers).headers["x-kept"] == "1"
        assert client.post("/app", headers=headers).headers["allow"] == "GET"


def test_a_failed_validation_lists_the_fields() -> None:
    """The same fields and messages, nothing of what was sent."""
    page = make_client(validation_status=400).get("/numbers/hunter2", headers=BROWSER)
    assert page.status_code == 400
    assert "<li>path.number: Input should be a valid integer" in page.text
    assert "hunter2" not in page.text


def test_problem_details_and_pages() -> None:
    """With a renderer for all the JSON side has its shape for everything."""
    client = make_client(renderer=ProblemRenderer())
    assert client.get("/nothing").headers["content-type"] == "application/problem+json"
    assert client.get("/nothing").headers["vary"] == "Accept"
    accept = {"Accept": "application/problem+json, text/html;q=0.9"}
    assert client.get("/nothing", headers=accept).headers["content-type"] == "application/problem+json"
    assert client.get("/nothing", headers=BROWSER).headers["content-type"].startswith("text/html")


def test_a_status_without_a_body_has_none() -> None:
    """A 304 stays empty."""
    answer = make_client().get("/not-modified", headers=BROWSER)
    assert (answer.status_code, answer.content) == (304, b"")


def test_without_pages_nothing_changes() -> None:
    """A browser gets JSON, and caches are told nothing."""
    answer = make_client(html=None).get("/nothing", headers=BROWSER)
    assert answer.json() == {"detail": "Not Found"}
    assert "vary" not in answer.headers


def test_the_page_shows_the_request_id() -> None:
    """What a user can read out to support."""
    page = make_client(install_stack).get("/broken", headers={**BROWSER, "X-Request-ID": "request-1"})
    assert "<code>request-1</code>" in page.text
    assert page.headers["x-request-id"] == "request-1"


class Elements(HTMLParser):
    """The elements of a page, and what it shows."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.shown = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data: str) -> None:
        self.shown += data


def test_everything_is_escaped() -> None:
    """In the text, the fields and the id: no element and no attribute comes from an error."""
    page = make_client().get("/evil", headers=BROWSER)
    assert page.status_code == 404
    found = Elements(page.text)
    assert "script" not in found.tags
    assert EVIL.replace("\ud800", "?") in found.shown
    info = ErrorInfo(status=400, detail=EVIL, errors=[{"field": EVIL, "message": EVIL}], request_id=EVIL)
    found = Elements(error_page(info))
    assert found.shown.count("<script>") == 4
    assert set(found.tags) == {
        "html", "head", "meta", "title", "style", "body", "main", "h1", "p", "ul", "li", "code"
    }  # fmt: skip
    assert not [name for name in found.attributes if name.startswith("on") or name in ("src", "href", "style")]


@pytest.mark.parametrize("detail", [None, {"a": 1}, ["x"], "Not Found"])
def test_a_detail_that_is_no_text_is_left_out(detail: Any) -> None:
    """The status says it all; it is not said twice."""
    page = error_page(ErrorInfo(status=404, detail=detail))
    assert page.count("<p>") == 0
    assert page.count("Not Found") == 2  # the title and the heading


def test_the_page_is_accessible() -> None:
    """A language, a title, one heading in the main part, and room on a small screen."""
    page = error_page(ErrorInfo(status=499, detail="odd"))
    assert '<html lang="en">' in page
    assert "<title>499 Error</title>" in page
    assert Elements(page).tags.count("h1") == Elements(page).tags.count("main") == 1
    assert "width=device-width" in page


def _breaks(info: ErrorInfo) -> str:
    raise LookupError("the template broke")


@pytest.mark.parametrize("html", [_breaks, lambda info: None, lambda info: b"bytes"])
@pytest.mark.parametrize(("path", "status"), [("/app", 409), ("/nothing", 404), ("/broken", 500)])
def test_a_page_that_breaks_is_json(html: Any, path: str, status: int, caplog: pytest.LogCaptureFixture) -> None:
    """The client still reads its error; the log says what happened."""
    with caplog.at_level(logging.ERROR):
        answer = make_client(html=html).get(path, headers=BROWSER)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["vary"].endswith("Accept")
    assert caplog.records[0].getMessage().startswith(f"The HTML page of a {status} failed: ")


def test_an_own_page_has_its_own_policy() -> None:
    """A header of the error comes before the default; what describes the JSON does not describe the page."""
    app = FastAPI()
    install_error_handlers(app, html=lambda info: f"<p>{info.status}</p>")

    @app.get("/")
    async def route() -> None:
        policy = {"Content-Security-Policy": "default-src 'self'", "Content-Type": "application/json"}
        raise AppException(404, headers=policy)

    page = TestClient(app).get("/", headers=BROWSER)
    assert page.text == "<p>404</p>"
    assert page.headers["content-security-policy"] == "default-src 'self'"
    assert page.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize("plain", [True, False])
def test_the_applications_own_http_handler_answers_api_clients(plain: bool) -> None:
    """One that was there before goes on making the JSON."""
    app = FastAPI()

    async def later(request: Request, exc: Any) -> JSONResponse:
        return JSONResponse({"own": exc.detail}, exc.status_code)

    def in_a_thread(request: Request, exc: Any) -> JSONResponse:
        return JSONResponse({"own": exc.detail}, exc.status_code)

    app.add_exception_handler(StarletteHTTPException, in_a_thread if plain else later)
    install_error_handlers(app, html=error_page)
    client = TestClient(app)
    assert client.get("/nothing").json() == {"own": "Not Found"}
    assert "<h1>404 Not Found</h1>" in client.get("/nothing", headers=BROWSER).text


def test_several_accept_headers_are_one() -> None:
    """A field may be sent in lines (RFC 9110 section 5.3)."""
    client = make_client()
    headers = [("Accept", "application/json;q=0.5"), ("Accept", "text/html")]
    assert client.get("/nothing", headers=headers).headers["content-type"].startswith("text/html")


def test_a_websocket_is_refused_as_before() -> None:
    """An HTTPException before the handshake is its HTTP answer."""
    app = FastAPI()
    install_error_handlers(app, html=error_page)

    @app.websocket("/")
    async def socket(websocket: WebSocket) -> None:
        raise HTTPException(403, "no")

    with pytest.raises(WebSocketDenialResponse) as refused, TestClient(app).websocket_connect("/"):
        pass
    assert refused.value.status_code == 403
    assert refused.value.json() == {"detail": "no"}


@pytest.mark.parametrize("install", INSTALLS)
@pytest.mark.parametrize("html", ["<p>", 7])
def test_what_makes_no_page_is_refused(install: Any, html: Any) -> None:
    """At start-up."""
    with pytest.raises(ConfigurationError, match="html must be a plain function from ErrorInfo to text"):
        install(FastAPI(), html=html)


def test_a_coroutine_function_is_refused() -> None:
    """It would make a coroutine instead of a page."""

    async def later(info: ErrorInfo) -> str:
        return ""

    with pytest.raises(ConfigurationError, match="html must be a plain function"):
        install_error_handlers(FastAPI(), html=later)  # type: ignore[arg-type]
