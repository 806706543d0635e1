"""Log output: one explicit call, one line a record, the request's id on each."""

import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Literal

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_patterns import ConfigurationError, RequestLogConfig, configure_logging, install_stack
from fastapi_patterns.context import request_context
from fastapi_patterns.logs import JsonFormatter, RequestContextFilter, TextFormatter, _text
from fastapi_patterns.middleware.catch_all import log_once, mark_logged

TOUCHED = ("", "uvicorn", "uvicorn.error", "uvicorn.access", "httpx2", "httpx")


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """Give every logger back what it had."""
    loggers = [logging.getLogger(name) for name in TOUCHED]
    before = [(logger, logger.level, logger.handlers[:], logger.propagate, logger.disabled) for logger in loggers]
    yield
    for logger, level, handlers, propagate, disabled in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
        logger.propagate, logger.disabled = propagate, disabled


@pytest.fixture
def stream() -> io.StringIO:
    """Where the lines go."""
    return io.StringIO()


def test_text_lines(stream: io.StringIO) -> None:
    """Level, logger, message, the request's id, and the time in UTC at the end."""
    configure_logging("text", stream=stream)
    with request_context("request-1"):
        logging.getLogger("shop").warning("sold %d", 7)
    logging.getLogger("shop").info("outside")
    inside, outside = stream.getvalue().splitlines()
    assert inside.startswith("WARNING shop: sold 7 request_id=request-1 at=20")
    assert outside.startswith("INFO shop: outside at=20")
    assert inside.endswith("Z")


def test_json_lines(stream: io.StringIO) -> None:
    """One object a line, with the traceback inside it."""
    configure_logging("json", stream=stream)
    with request_context("request-1"):
        try:
            raise ValueError("broken")
        except ValueError:
            logging.getLogger("shop").exception("it\nbroke \x1b[31m")
    (line,) = stream.getvalue().splitlines()
    written = json.loads(line)
    assert (written["level"], written["logger"], written["request_id"]) == ("ERROR", "shop", "request-1")
    assert written["message"] == "it\nbroke \x1b[31m"
    assert "ValueError: broken" in written["exception"]


@pytest.mark.parametrize("with_orjson", [True, False])
def test_json_is_the_same_with_and_without_orjson(with_orjson: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one cannot write the other can; control characters and bidi marks are never raw."""
    if with_orjson:
        pytest.importorskip("orjson")
    else:
        monkeypatch.setattr(_text, "orjson", None)
    said = "caf\xe9 \u202egnp \x9b31m \u2028"
    record = logging.LogRecord("fastapi_patterns.request", logging.INFO, __file__, 1, said, None, None)
    record.fields = {"big": 2**70, "odd": object, "lone": "\ud800"}
    for fields in (record.fields, {"at": 1.5}):
        record.fields = fields
        line = JsonFormatter().format(record)
        written = json.loads(line)
        assert written["message"] == said
        assert {name: written[name] for name in fields if name != "odd"} == {
            name: value for name, value in fields.items() if name != "odd"
        }
        assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]", line)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("a\r\nINFO forged", r"a\r\nINFO forged"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\u202egnp", r"\u202egnp"),
        ("\ud800", r"\ud800"),
    ],
)
def test_a_message_cannot_forge_a_line(message: str, shown: str) -> None:
    """Control characters and bidi marks are written as escapes (CWE-117)."""
    line = TextFormatter().format(logging.LogRecord("shop", logging.INFO, __file__, 1, "%s", (message,), None))
    assert line.startswith(f"INFO shop: {shown} at=")
    assert "\n" not in line


def test_a_traceback_follows_its_line(stream: io.StringIO) -> None:
    """In text form the traceback stands below, as people read it."""
    configure_logging("text", stream=stream)
    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("shop").exception("it broke")
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("ERROR shop: it broke at=")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: broken"


def test_a_second_call_replaces_the_first(stream: io.StringIO) -> None:
    """Settings change without doubled lines, and handlers of others stay."""
    other = logging.NullHandler()
    logging.getLogger().addHandler(other)
    configure_logging("text", stream=io.StringIO())
    configure_logging("text", level="ERROR", stream=stream)
    logging.getLogger("shop").warning("not shown")
    logging.getLogger("shop").error("shown")
    assert stream.getvalue().count("\n") == 1
    assert other in logging.getLogger().handlers


def test_the_stream_is_the_stderr_of_the_moment(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO) -> None:
    """By default lines go to whatever sys.stderr is when they are written."""
    configure_logging()
    monkeypatch.setattr(sys, "stderr", stream)
    logging.getLogger("shop").info("here")
    assert "INFO shop: here" in stream.getvalue()


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"format": "xml"}, "format must be 'text', 'json' or 'console'; got 'xml'"),
        ({"level": "LOUD"}, "level must be a logging level"),
    ],
)
def test_a_wrong_setting_is_refused(settings: dict[str, str], problem: str) -> None:
    """With words, and before anything is changed."""
    before = logging.getLogger().handlers[:]
    with pytest.raises(ConfigurationError, match=problem):
        configure_logging(**settings)  # type: ignore[arg-type]
    assert logging.getLogger().handlers == before


def test_uvicorns_loggers_are_taken_over(stream: io.StringIO) -> None:
    """Its own handlers go, its access log is off, its errors come in our form."""
    for name in ("uvicorn", "uvicorn.access"):
        logging.getLogger(name).addHandler(logging.StreamHandler(io.StringIO()))
        logging.getLogger(name).propagate = False
    configure_logging("text", stream=stream)
    logging.getLogger("uvicorn.access").info('127.0.0.1 - "GET /?token=secret HTTP/1.1" 200')
    logging.getLogger("uvicorn.error").info('%s - "WebSocket %s" [accepted]', "127.0.0.1:1", "/ws?token=secret")
    logging.getLogger("uvicorn.error").info("Started")
    logging.getLogger("httpx2").info("HTTP Request: GET https://api.example/?key=secret")
    assert stream.getvalue().startswith("INFO uvicorn.error: Started")
    assert "secret" not in stream.getvalue()


def test_a_traceback_is_printed_once(stream: io.StringIO) -> None:
    """The server's copy of an error that was logged with its request is dropped; any other is kept."""
    configure_logging("text", stream=stream)
    log_once()
    for logged in (True, False):
        try:
            raise RuntimeError("broken")
        except RuntimeError as error:
            if logged:
                mark_logged(error)
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    assert stream.getvalue().count("Exception in ASGI application") == 1


def test_the_parts_can_be_used_alone(stream: io.StringIO) -> None:
    """An application with a logging set-up of its own takes the filter and a formatter."""
    handler = logging.StreamHandler(stream)
    handler.addFilter(RequestContextFilter())
    handler.setFormatter(logging.Formatter("%(request_id)s %(message)s"))
    logger = logging.getLogger("shop.own")
    logger.addHandler(handler)
    try:
        with request_context("request-1"):
            logger.warning("one")
            logger.warning("two", extra={"request_id": "kept"})
        logger.warning("three")
    finally:
        logger.removeHandler(handler)
    assert stream.getvalue().splitlines() == ["request-1 one", "kept two", "None three"]


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_record_without_the_filter_is_formatted(formatter: logging.Formatter) -> None:
    """A formatter alone does not need the filter."""
    record = logging.LogRecord("shop", logging.INFO, __file__, 1, "plain", None, None)
    assert "plain" in formatter.format(record)


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()])
def test_a_traceback_cannot_forge_a_terminal_and_is_not_lost(formatter: logging.Formatter) -> None:
    """An exception's text may be a client's: escapes are shown, and a lone surrogate does not break a UTF-8 stream."""
    hostile = "\x1b[2J\u202e\ud800\rGET /forged - 0.001s 200"
    try:
        raise ValueError(hostile)
    except ValueError:
        record = logging.LogRecord("shop", logging.ERROR, __file__, 1, "it broke", None, sys.exc_info())
    written = formatter.format(record)
    assert re.search(r"\\ud800\\rGET /forged", written)
    assert not re.search("[\x1b\r\u202e]", written)
    assert written.encode("utf-8").count(b"ValueError: ") == 1


@pytest.mark.parametrize("fields", [["a"], "text", 7, object()])
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_record_may_use_the_name_fields_for_something_else(
    form: Literal["text", "json"], fields: object, stream: io.StringIO
) -> None:
    """An application's own `extra={"fields": ...}` is not taken for ours and loses no line."""
    configure_logging(form, stream=stream)
    logging.getLogger("shop").warning("sold", extra={"fields": fields})
    line = stream.getvalue()
    assert line.startswith("WARNING shop: sold") if form == "text" else json.loads(line)["message"] == "sold"


def test_a_request_in_text(stream: io.StringIO) -> None:
    """The line begins with method, path and time, then status and request id; a 500 has one traceback with its id."""
    app = FastAPI()
    seconds = iter([10.0, 10.1, 10.1234, 20.0, 20.5, 20.5])
    install_stack(app, request_log=RequestLogConfig(clock=lambda: next(seconds)))

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError("a bug")

    configure_logging("text", stream=stream)
    client = TestClient(app, raise_server_exceptions=False, headers={"X-Request-ID": "request-1"})
    client.get("/path?token=hunter2")
    client.get("/broken")
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("GET /path - 0.123s 404 request_id=request-1 at=")
    assert lines[1].startswith("ERROR fastapi_patterns.errors: Unhandled RuntimeError request_id=request-1 at=")
    assert lines[-1].startswith("GET /broken - 0.500s 500 request_id=request-1 at=")
    assert lines.count("RuntimeError: a bug") == 1
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize("level", ["LOUD", "", None, 1.5, ["INFO"]])
def test_a_level_that_is_none_leaves_everything(level: object) -> None:
    """The level and the handlers stay what they were."""
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    with pytest.raises(ConfigurationError, match="level must be a logging level"):
        configure_logging(level=level)  # type: ignore[arg-type]
    assert (root.level, root.handlers) == before


def test_importing_configures_nothing() -> None:
    """A fresh interpreter that imports the modules has the loggers it had."""
    code = (
        "import logging; import fastapi_patterns.logs, fastapi_patterns.stack; root = logging.getLogger(); "
        "print(root.handlers, root.level, logging.getLogger('uvicorn.access').disabled)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[] 30 False\n"


def test_the_servers_report_of_a_failed_start_up_keeps_its_lines(stream: io.StringIO) -> None:
    """uvicorn logs the traceback as one message; its lines stay lines, and other control characters are escaped."""
    configure_logging("text", stream=stream)
    logging.getLogger("uvicorn.error").error("Traceback (most recent call last):\n  File x\nValueError: \x1b[31m\n")
    first, second, third = stream.getvalue().splitlines()
    assert first == "ERROR uvicorn.error: Traceback (most recent call last):"
    assert second == "  File x"
    assert third.startswith(r"ValueError: \x1b[31m at=")


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_line_has_8_kib_at_the_most(form: Literal["text", "json"], stream: io.StringIO) -> None:
    """What is longer loses its middle, in the message and in each line of a traceback; the ends stay."""
    configure_logging(form, stream=stream)
    try:
        raise ValueError("\u20ac" * 30_000 + "the end")
    except ValueError:
        logging.getLogger("shop").exception("start%sstop", "x" * 30_000)
    lines = stream.getvalue().encode().split(b"\n")
    limit = 8192 if form == "json" else 4 * 8192  # text counts characters
    assert all(len(line) <= limit for line in lines)
    assert b"the end" in stream.getvalue().encode()
    if form == "json":
        written = json.loads(lines[0])
        assert written["truncated"] is True
        assert written["message"].startswith("start")
        assert written["message"].endswith("stop")
        assert "characters cut" in written["message"]


def test_a_line_of_many_fields_keeps_its_core(stream: io.StringIO) -> None:
    """When no shortening helps, time, level, logger, message and request id stay."""
    record = logging.LogRecord("fastapi_patterns.request", logging.INFO, __file__, 1, "GET / - 0.1s 200", None, None)
    record.fields = {"request_id": "request-1", **{f"field {number}": number for number in range(5_000)}}
    written = json.loads(JsonFormatter().format(record))
    assert written.keys() == {"time", "level", "logger", "message", "request_id", "truncated"}
    assert written["request_id"] == "request-1"
