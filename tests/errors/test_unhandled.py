"""What nobody handled is a 500 in the installed shape that says nothing, and the exception goes on."""

import logging
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import ResponseValidationError
from fastapi.responses import PlainTextResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel

from fastapi_patterns import ErrorInfo, ProblemRenderer, install_error_handlers, install_stack
from fastapi_patterns.errors import EnvelopeRenderer

SECRET = "hunter2"


class Note(BaseModel):
    """What the route promises."""

    number: int


class BrokenRenderer(EnvelopeRenderer):
    """An application's own that cannot do it."""

    def body(self, info: ErrorInfo) -> dict[str, Any]:
        """Fail."""
        raise LookupError("the renderer broke")


def add_routes(app: FastAPI) -> FastAPI:
    """Routes that fail in ways that nobody handles."""

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError(SECRET)

    @app.get("/response", response_model=Note)
    async def response() -> Any:
        return {"number": SECRET}

    @app.get("/http")
    async def http() -> None:
        raise HTTPException(500, "said on purpose")

    return app


def ask(app: FastAPI, path: str) -> Any:
    """Ask as a browser does: the answer, not the exception."""
    return TestClient(app, raise_server_exceptions=False).get(path)


@pytest.mark.parametrize("install", [install_error_handlers, install_stack])
@pytest.mark.parametrize(("path", "error"), [("/broken", RuntimeError), ("/response", ResponseValidationError)])
def test_a_500_says_nothing_and_is_raised(install: Any, path: str, error: type[Exception]) -> None:
    """With the handlers alone as with the stack; a response that fails validation is a bug that tests must see."""
    app = add_routes(FastAPI())
    install(app)
    answer = ask(app, path)
    assert (answer.status_code, answer.json()) == (500, {"error": "Internal Server Error"})
    assert answer.headers["connection"] == "close"
    with pytest.raises(error):
        TestClient(app).get(path)


def test_the_renderer_shapes_it() -> None:
    """Problem details for all includes the 500."""
    app = add_routes(FastAPI())
    install_error_handlers(app, renderer=ProblemRenderer())
    answer = ask(app, "/response")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == "Internal Server Error"


def test_it_is_not_logged_twice(caplog: pytest.LogCaptureFixture) -> None:
    """The server logs what is raised again; with the stack the catch-all does, once."""
    alone, stacked = add_routes(FastAPI()), add_routes(FastAPI())
    install_error_handlers(alone)
    install_stack(stacked)
    with caplog.at_level(logging.ERROR):
        ask(alone, "/broken")
        assert caplog.records == []
        ask(stacked, "/broken")
    assert [record.getMessage() for record in caplog.records] == ["Unhandled RuntimeError"]


@pytest.mark.parametrize("key", [500, Exception])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "installs",
    [
        (install_error_handlers,),
        (install_stack,),
        (install_error_handlers, install_stack),
        (install_stack, install_error_handlers),
    ],
    ids=lambda installs: "+".join(install.__name__ for install in installs),
)
def test_the_applications_own_handler_answers(installs: Any, when: str, key: Any) -> None:
    """Whenever it was registered, and it is called once."""
    calls: list[str] = []

    async def own(request: Request, exc: Exception) -> PlainTextResponse:
        calls.append(type(exc).__name__)
        return PlainTextResponse("own", 500)

    app = add_routes(FastAPI())
    if when == "before":
        app.add_exception_handler(key, own)
    for install in installs:
        install(app)
    if when == "after":
        app.add_exception_handler(key, own)
    assert ask(app, "/broken").text == "own"
    assert calls == ["RuntimeError"]


def test_the_shape_of_the_stack_answers() -> None:
    """Installed both ways, the body is the stack's, inside the log: with the request's id."""
    app = add_routes(FastAPI())
    install_error_handlers(app, renderer=ProblemRenderer())
    install_stack(app)
    answer = ask(app, "/broken")
    assert answer.json() == {"error": "Internal Server Error"}
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize("install", [install_error_handlers, install_stack])
def test_debug_mode_shows_the_traceback(install: Any) -> None:
    """`FastAPI(debug=True)` goes on showing Starlette's page."""
    app = add_routes(FastAPI(debug=True))
    install(app)
    answer = ask(app, "/broken")
    assert answer.status_code == 500
    assert "Traceback" in answer.text


@pytest.mark.parametrize("install", [install_error_handlers, install_stack])
def test_a_renderer_that_breaks_is_no_second_error(install: Any, caplog: pytest.LogCaptureFixture) -> None:
    """The last resort is the default body; the server still sees the first error, and the log has the second."""
    app = add_routes(FastAPI())
    install(app, renderer=BrokenRenderer())
    with caplog.at_level(logging.ERROR):
        answer = ask(app, "/broken")
    assert (answer.status_code, answer.json()) == (500, {"error": "Internal Server Error"})
    assert "The renderer failed on a 500: LookupError" in [record.getMessage() for record in caplog.records]
    with pytest.raises(RuntimeError, match=SECRET):
        TestClient(app).get("/broken")


def test_an_http_exception_is_handled() -> None:
    """A 500 that was raised on purpose is an answer like any other."""
    app = add_routes(FastAPI())
    install_error_handlers(app)
    answer = TestClient(app).get("/http")
    assert (answer.status_code, answer.json()) == (500, {"detail": "said on purpose"})
