"""The console form: for eyes, in colour where there is a terminal, tracebacks down to the application's own code."""

import io
import json
import logging
import re
import sys
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_patterns import install_stack
from fastapi_patterns.logs import ConsoleFormatter, RequestContextFilter

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


def request_record(*, status: int = 201, seconds: float = 0.0043, path: str = "/notes/7") -> logging.LogRecord:
    """A record as the request log makes it."""
    values = ("POST", path, seconds, status)
    record = logging.LogRecord("fastapi_patterns.request", logging.INFO, "", 0, "%s %s - %.3fs %d", values, None)
    record.__dict__.update(fields={"http.response.status_code": status}, request_id="c9269e20b971489b")
    return record


def test_a_request_is_one_aligned_line() -> None:
    """Time, method, path, status, milliseconds, the beginning of the id."""
    line = ConsoleFormatter(colours=False).format(request_record())
    assert re.fullmatch(r"\d\d:\d\d:\d\d POST    /notes/7 {33} 201      4\.3 ms  c9269e20", line)


def test_another_line_has_its_level_and_logger() -> None:
    """What the application logs stands between the requests."""
    record = logging.LogRecord("shop", logging.WARNING, "", 0, "sold %d\x1b[2J", (7,), None)
    assert ConsoleFormatter(colours=False).format(record).split(" ", 1)[1] == r"WARNING shop sold 7\x1b[2J"


@pytest.mark.parametrize(
    ("status", "seconds", "colour"),
    [(200, 0.1, "32"), (302, 0.1, "36"), (404, 0.1, "33"), (503, 0.1, "31"), (1000, 0.1, "32"), (4001, 0.1, "33")],
)
def test_the_colour_is_that_of_the_outcome(status: int, seconds: float, colour: str) -> None:
    """Green, cyan, yellow, red, as a glance expects them; a websocket's close code too."""
    line = ConsoleFormatter(colours=True).format(request_record(status=status, seconds=seconds))
    assert f"\x1b[{colour}m{status:>4d}\x1b[0m" in line
    assert ESCAPE.sub("", line) == ConsoleFormatter(colours=False).format(
        request_record(status=status, seconds=seconds)
    )


def test_a_slow_request_is_shown_in_seconds() -> None:
    """And stands out."""
    line = ConsoleFormatter(colours=True).format(request_record(seconds=1.5))
    assert "\x1b[33m    1.50 s \x1b[0m" in line


@pytest.mark.parametrize(
    ("environ", "stream", "colours"),
    [
        ({}, Terminal(), True),
        ({}, io.StringIO(), False),
        ({}, None, False),
        ({"NO_COLOR": "1"}, Terminal(), False),
        ({"FORCE_COLOR": "1"}, io.StringIO(), True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, Terminal(), False),
    ],
)
def test_colours_are_for_terminals(
    environ: dict[str, str], stream: Any, colours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file gets none; the environment's usual words decide over both."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in ConsoleFormatter(stream=stream).format(request_record())) is colours


def test_a_traceback_is_folded_to_the_applications_frames() -> None:
    """Library frames are counted, ours are shown with their line, and the exception ends it."""
    app, out = FastAPI(), io.StringIO()
    install_stack(app)

    @app.get("/")
    def route() -> None:
        try:
            json.loads("{")
        except ValueError as error:
            raise LookupError("no such thing\x1b[2J") from error

    handler = logging.StreamHandler(out)
    handler.setFormatter(ConsoleFormatter(colours=False))
    handler.addFilter(RequestContextFilter())
    logger = logging.getLogger("fastapi_patterns.errors")
    logger.addHandler(handler)
    try:
        TestClient(app, raise_server_exceptions=False).get("/", headers={"X-Request-ID": "request-1"})
    finally:
        logger.removeHandler(handler)
    lines = out.getvalue().splitlines()
    assert lines[0].endswith("ERROR   fastapi_patterns.errors Unhandled LookupError  request-")
    own = [line for line in lines if " in route" in line]
    assert len(own) == 2  # where it was raised, and where its cause went through
    assert all(re.fullmatch(r"  tests/logs/test_console\.py:\d+ in route", line) for line in own)
    assert '    raise LookupError("no such thing\\x1b[2J") from error' in lines
    assert "  ... and because of it:" in lines
    assert lines[-1] == r"  LookupError: no such thing\x1b[2J"
    assert not [line for line in lines if "site-packages" in line or "json/decoder" in line]
    assert [line for line in lines if re.fullmatch(r"  \.\.\. \d+ library frame\(s\)", line)]


def test_what_was_handled_and_groups_are_told_apart() -> None:
    """An exception while another was handled says so, and a group shows each of its own."""

    def fail() -> None:
        try:
            raise KeyError("first")
        except KeyError:
            raise ExceptionGroup("several", [ValueError("a"), TypeError("b")])  # noqa: B904 (the point of the test)

    try:
        fail()
    except ExceptionGroup:
        record = logging.LogRecord("shop", logging.ERROR, "", 0, "failed", None, sys.exc_info())
    written = ConsoleFormatter(colours=False).format(record)
    assert "  ... and while this was handled:" in written
    assert "  |  ValueError: a" in written
    assert "  |  TypeError: b" in written
    assert written.index("KeyError: 'first'") < written.index("ExceptionGroup: several")
