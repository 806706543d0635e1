"""Sends raw requests over a socket to a real uvicorn with the stack on, and checks what each must keep.

`python -m tests.live.http_vectors FILE` takes any file of the form of `tests/vectors/http_requests.json` and lists the
broken properties; it ends with `N cases, B broken` and exits non-zero unless B is 0.
"""

import io
import json
import logging
import re
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from sqlalchemy.orm import Session

from fastapi_patterns import Database, RequestLogConfig, configure_logging, install_stack
from fastapi_patterns.middleware._line import FIELDS
from tests.db.models import Base, Owner
from tests.live.server import serve

_RAW = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
_OWN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Logs what is off by default, so that what is shown of it can be checked too.
TALKATIVE = RequestLogConfig(
    query=True, headers=("referer", "user-agent", "accept-language", "x-forwarded-for", "forwarded", "origin")
)
_KEYS = {"time", "level", "logger", "message", "request_id", "exception", "truncated"}
_ACCESS_KEYS = _KEYS | FIELDS | {f"http.request.header.{name}" for name in TALKATIVE.headers}
_TIMEOUT_S = 5.0


class Login(BaseModel):
    """A body with a secret."""

    username: str
    password: str


@dataclass(frozen=True)
class Answer:
    """What came back, and what was logged meanwhile."""

    sent: str
    text: str
    lines: list[str]
    alive: bool

    @property
    def status(self) -> int:
        """The status code, 0 when there was none."""
        found = re.match(r"HTTP/1\.1 (\d{3})", self.text)
        return int(found[1]) if found else 0

    def header(self, name: str) -> str | None:
        """The value of a response header."""
        found = re.search(rf"^{name}:[ \t]*(.*?)\r?$", self.text.partition("\r\n\r\n")[0], re.IGNORECASE | re.MULTILINE)
        return found[1] if found else None

    @property
    def reached_the_app(self) -> bool:
        """Whether the request got past the server, which refuses some by itself."""
        return self.header("x-request-id") is not None

    @property
    def access(self) -> list[str]:
        """The lines of the request log."""
        return [line for line in self.lines if '"fastapi_patterns.request"' in line]


def make_app(database: Database, request_log: RequestLogConfig | None = None) -> FastAPI:
    """An application that greets, takes a login, and fails in every way."""
    app = FastAPI()
    install_stack(
        app,
        allow_origins=["https://app.example"],
        allow_credentials=True,
        resources=[database],
        request_log=request_log,
    )

    @app.get("/")
    async def root() -> str:
        return "fine"

    @app.post("/login")
    async def login(data: Login) -> str:
        return data.username

    @app.get("/boom")
    async def boom(request: Request) -> None:
        raise RuntimeError(f"cannot handle {request.url.path}")

    @app.get("/dup")
    def dup(email: str, session: Annotated[Session, Depends(database.session)]) -> None:
        session.add_all([Owner(name=email), Owner(name=email)])

    @app.get("/reset/{token}")
    async def reset(token: str) -> str:
        return "fine"

    @app.get("/stream-boom")
    async def stream_boom() -> StreamingResponse:
        async def body() -> AsyncIterator[bytes]:
            yield b"first"
            raise RuntimeError("the stream broke")

        return StreamingResponse(body())

    return app


CHECKS: dict[str, Callable[[Answer, str], bool]] = {
    # The stream that breaks is logged with its traceback too; what counts is one access line.
    "ONE_LINE": lambda answer, _: len(answer.access) == (1 if answer.reached_the_app else 0),
    "VALID_JSON": lambda answer, _: all(_is_record(line) for line in answer.lines),
    "NO_ESC": lambda answer, _: not any(_RAW.search(line) for line in answer.lines),
    "NO_SECRET": lambda answer, text: not any(text in line for line in answer.lines),
    "NO_LEAK": lambda answer, text: text not in answer.text,
    "STATUS": lambda answer, text: str(answer.status) in text.split(","),
    "RID_OWN": lambda answer, _: (
        not answer.reached_the_app
        or (
            answer.header("x-request-id") != _sent_id(answer)
            and bool(_OWN_ID.fullmatch(str(answer.header("x-request-id"))))
        )
    ),
    "RID_KEPT": lambda answer, _: answer.header("x-request-id") == _sent_id(answer),
    "IP_PEER": lambda answer, _: all(json.loads(line)["client.address"] == "127.0.0.1" for line in answer.access),
    "ALIVE": lambda answer, _: answer.alive,
    "BOUNDED": lambda answer, _: all(len(line.encode()) <= 8192 for line in answer.access),
    "NO_HEADER": lambda answer, text: answer.header(text) is None,
    "HAS_VARY_ORIGIN": lambda answer, _: not answer.reached_the_app or "origin" in str(answer.header("vary")).lower(),
    "ACAO": lambda answer, text: answer.header("access-control-allow-origin") == text,
}


def broken(case: dict[str, Any], ask: Callable[[str], Answer]) -> list[str]:
    """Send a case's request and return the properties that did not hold."""
    answer = ask(case["raw"])
    found = []
    for prop in case["props"]:
        name, _, argument = prop.partition(":")
        if not CHECKS[name](answer, argument):
            found.append(prop)
    return found


@contextmanager
def asking(folder: Path, request_log: RequestLogConfig | None = None) -> Iterator[Callable[[str], Answer]]:
    """Start the server with JSON logs; what is given sends a raw request and says what came of it."""
    database = Database(f"sqlite:///{folder}/vectors.db", metadata=Base.metadata)
    database.create_all()
    stream = io.StringIO()
    with logging_restored(), serve(make_app(database, request_log)) as url:
        configure_logging("json", stream=stream)
        host, port = url.removeprefix("http://").split(":")

        def ask(raw: str) -> Answer:
            start = len(stream.getvalue())
            text = _exchange(host, int(port), raw)
            if "x-request-id" in text.lower():
                _wait_for_line(stream, start)
            lines = stream.getvalue()[start:].splitlines(keepends=False)
            alive = _exchange(host, int(port), "GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            return Answer(raw, text, lines, alive.startswith("HTTP/1.1 200"))

        yield ask
    database.engine.dispose()


@contextmanager
def logging_restored() -> Iterator[None]:
    """Give every logger back what it had."""
    loggers = [
        logging.getLogger(name) for name in ("", "uvicorn", "uvicorn.error", "uvicorn.access", "httpx2", "httpx")
    ]
    before = [(logger, logger.level, logger.handlers[:], logger.propagate, logger.disabled) for logger in loggers]
    try:
        yield
    finally:
        for logger, level, handlers, propagate, disabled in before:
            logger.setLevel(level)
            logger.handlers[:] = handlers
            logger.propagate, logger.disabled = propagate, disabled


def _exchange(host: str, port: int, raw: str) -> str:
    with socket.create_connection((host, port), timeout=_TIMEOUT_S) as connection:
        received = b""
        try:
            connection.sendall(raw.encode("latin-1"))
            while chunk := connection.recv(65536):
                received += chunk
        except OSError:
            pass  # the server refused the rest, or closed without a word: the checks look at what came
    return received.decode("latin-1")


def _wait_for_line(stream: io.StringIO, start: int) -> None:
    """The line is written right after the last byte, in the server's thread."""
    deadline = time.monotonic() + _TIMEOUT_S
    while '"fastapi_patterns.request"' not in stream.getvalue()[start:] and time.monotonic() < deadline:
        time.sleep(0.002)


def _is_record(line: str) -> bool:
    try:
        record = json.loads(line)
    except ValueError:
        return False
    allowed = _ACCESS_KEYS if record.get("logger") == "fastapi_patterns.request" else _KEYS
    return isinstance(record, dict) and set(record) <= allowed


def _sent_id(answer: Answer) -> str | None:
    found = re.search(r"^x-request-id:[ \t]*(.*?)\r?$", answer.sent, re.IGNORECASE | re.MULTILINE)
    return found[1] if found else None


def main(path: str) -> int:
    """Check every case of a file and print the broken ones."""
    import tempfile

    cases = json.loads(Path(path).read_text())["cases"]
    wrong = 0
    with tempfile.TemporaryDirectory() as folder, asking(Path(folder)) as ask:
        for case in cases:
            if found := broken(case, ask):
                wrong += 1
                print(f"{case['id']} {case['cat']}: {case['name']}: {', '.join(found)}")
    print(f"{len(cases)} cases, {wrong} broken")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
