"""Clients that leave, sessions that ended, and one session in two coroutines."""

import asyncio
import gc
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Annotated, Any

import pytest
from fastapi import Depends
from fastapi.responses import StreamingResponse
from sqlalchemy import text
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session
from starlette.middleware.base import BaseHTTPMiddleware

from fastapi_patterns import AsyncDatabase, Database
from tests.faults.harness import POOL_SIZE, REQUESTS, SLACK_S, Books, Entry, Kind, Site, is_fault, load, store, within

pytestmark = pytest.mark.services

# A thread cannot be stopped in a statement: in sync routes this is how long it takes, in async ones it is cut short.
_STATEMENT_S = {"sync": 0.3, "async": 30.0}


async def call(app: Any, path: str) -> int:
    """Serve one request without a server and return its status."""
    sent: list[Any] = []
    asked = False

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()  # the client stays
        asked = True
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": "POST", "path": path, "headers": [], "query_string": b"", "http_version": "1.1"}
    await app(scope, receive, send)
    return int(sent[0]["status"])


async def pass_through(request: Any, call_next: Any) -> Any:
    """A middleware as applications write it."""
    return await call_next(request)


def add_middleware(site: Site, middleware: str) -> None:
    """Put an application's own middleware around the routes."""
    if middleware == "BaseHTTPMiddleware":
        site.app.add_middleware(BaseHTTPMiddleware, dispatch=pass_through)


@pytest.mark.filterwarnings("ignore::fastapi_patterns.exceptions.ConfigurationWarning")
@pytest.mark.parametrize("middleware", ["none", "BaseHTTPMiddleware"])
def test_requests_that_are_cancelled_in_a_statement(kind: Kind, books: Books, middleware: str) -> None:
    """Their rows are absent, their connections are back within a second, and the others are served."""
    site = Site(kind, books)
    add_middleware(site, middleware)

    def operation(session: Session, number: int) -> None:
        store(session, number)
        if is_fault(number):
            session.execute(text(f"SELECT pg_sleep({_STATEMENT_S[kind]})"))

    site.expose("/entries", operation)

    async def cancelled(number: int) -> None:
        task = asyncio.create_task(call(site.app, f"/entries/{number}"))
        assert await asyncio.to_thread(within, 5.0, lambda: books.sleeping() > 0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def main() -> tuple[set[int], float]:
        told = set()
        async with site.app.router.lifespan_context(site.app):
            for first in range(0, REQUESTS, 20):
                numbers = range(first, first + 20)
                others = [number for number in numbers if not is_fault(number)]
                faults = [number for number in numbers if is_fault(number)]
                leaving = asyncio.gather(*(cancelled(number) for number in faults))
                statuses = await asyncio.gather(*(call(site.app, f"/entries/{number}") for number in others))
                await leaving
                told |= {number for number, status in zip(others, statuses, strict=True) if status == 200}
            left = time.monotonic()
            await asyncio.to_thread(within, 5.0, lambda: site.checked_out == 0)
            back_s = time.monotonic() - left
            await asyncio.to_thread(site.check_connections)
        return told, back_s

    told, back_s = asyncio.run(main())
    print(f"\ncancelled in a statement, {kind}, {middleware}: back after {back_s:.3f} s")
    assert told == {number for number in range(REQUESTS) if not is_fault(number)}
    assert told == books.stored()
    assert back_s <= 1.0 + SLACK_S


@pytest.mark.filterwarnings("ignore::fastapi_patterns.exceptions.ConfigurationWarning")
@pytest.mark.parametrize("middleware", ["none", "BaseHTTPMiddleware"])
def test_a_client_that_leaves_a_stream_in_a_statement(kind: Kind, books: Books, middleware: str) -> None:
    """Over a real server: the stream's own session stores nothing, and its connection is back within a second."""
    site = Site(kind, books)
    add_middleware(site, middleware)
    database = site.database

    if isinstance(database, Database):

        @site.app.get("/stream/{number}")
        def stream(number: int) -> StreamingResponse:
            def body() -> Iterator[bytes]:
                with database.session_scope() as session:
                    session.add(Entry(id=number, code=str(number)))
                    session.flush()
                    yield b"first"
                    session.execute(text("SELECT pg_sleep(1)"))
                    yield b"second"

            return StreamingResponse(body())
    else:

        @site.app.get("/stream/{number}")
        async def async_stream(number: int) -> StreamingResponse:
            async def body() -> AsyncIterator[bytes]:
                async with database.session_scope() as session:
                    session.add(Entry(id=number, code=str(number)))
                    await session.flush()
                    yield b"first"
                    await session.execute(text("SELECT pg_sleep(30)"))
                    yield b"second"

            return StreamingResponse(body())

    with site.serve() as url:
        leave(url, "GET /stream/1 HTTP/1.1\r\nHost: t\r\n\r\n", books)
        left = time.monotonic()

        def is_back() -> bool:
            if kind == "sync":  # Starlette neither closes a sync generator nor lets go of it: garbage collection does
                gc.collect()
            return site.checked_out == 0

        statement_s = 1.0 if kind == "sync" else 0.0  # a thread in a statement is not cancelled
        assert within(statement_s + 1.0 + SLACK_S, is_back)
        print(f"\nleft a stream, {kind}, {middleware}: back after {time.monotonic() - left:.3f} s")
        site.check(url, [], settle_s=1.0)


def leave(url: str, request: str, books: Books) -> None:
    """Send a request, wait until its statement runs, and close the socket."""
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(request.encode())
        assert within(5.0, lambda: books.sleeping() > 0)


@pytest.mark.filterwarnings("ignore::fastapi_patterns.exceptions.ConfigurationWarning")
@pytest.mark.parametrize("middleware", ["none", "BaseHTTPMiddleware"])
def test_a_client_that_leaves_a_plain_request(kind: Kind, books: Books, middleware: str) -> None:
    """uvicorn lets the route finish: the row is whole, and the connection is back when the statement ends."""
    site = Site(kind, books)
    add_middleware(site, middleware)

    def operation(session: Session, number: int) -> None:
        store(session, number)
        session.execute(text("SELECT pg_sleep(0.3)"))

    site.expose("/entries", operation)
    with site.serve() as url:
        leave(url, "POST /entries/1 HTTP/1.1\r\nHost: t\r\nContent-Length: 0\r\n\r\n", books)
        assert within(1.3 + SLACK_S, lambda: site.checked_out == 0)
        site.check_connections()
        assert books.stored() == {1}
        assert [answer.status for answer in load(url, "/plain", [0])] == [200]


def test_a_stream_on_the_requests_session(kind: Kind, books: Books, caplog: pytest.LogCaptureFixture) -> None:
    """The session ended before the first chunk: the error names session_scope(), and is one line in the log."""
    site = Site(kind, books)
    database = site.database

    if isinstance(database, Database):

        @site.app.post("/stream/{number}")
        def stream(number: int, session: Annotated[Session, Depends(database.session)]) -> StreamingResponse:
            def body() -> Iterator[bytes]:
                yield b"first"
                yield str(session.scalar(text("SELECT 1"))).encode()

            return StreamingResponse(body())

        @site.app.post("/own/{number}")
        def own(number: int) -> StreamingResponse:
            def body() -> Iterator[bytes]:
                with database.session_scope() as session:
                    yield str(session.scalar(text("SELECT 42"))).encode()

            return StreamingResponse(body())
    else:

        @site.app.post("/stream/{number}")
        async def stream_async(
            number: int, session: Annotated[AsyncSession, Depends(database.session)]
        ) -> StreamingResponse:
            async def body() -> AsyncIterator[bytes]:
                yield b"first"
                yield str(await session.scalar(text("SELECT 1"))).encode()

            return StreamingResponse(body())

        @site.app.post("/own/{number}")
        async def own_async(number: int) -> StreamingResponse:
            async def body() -> AsyncIterator[bytes]:
                async with database.session_scope() as session:
                    yield str(await session.scalar(text("SELECT 42"))).encode()

            return StreamingResponse(body())

    with caplog.at_level(logging.ERROR), site.serve() as url:
        cut = load(url, "/stream", [1])
        assert [answer.status for answer in cut] == [0]  # broken off, which a client can tell from the end
        assert [answer.body for answer in load(url, "/own", [1])] == ["42"]
        site.check(url, [])
    lines = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert [line.getMessage() for line in lines] == ["Unhandled SessionClosedError"]
    assert "session_scope()" in str(lines[0].exc_info)


def test_one_session_in_two_coroutines(books: Books) -> None:
    """Two that begin at once are refused with SQLAlchemy's word for it; the answer is a 500, and nothing leaks."""
    site = Site("async", books)
    assert isinstance(site.database, AsyncDatabase)
    errors: list[Exception] = []

    @site.app.post("/together/{number}")
    async def together(number: int, session: Annotated[AsyncSession, Depends(site.database.session)]) -> None:
        try:
            session.add(Entry(id=number, code=str(number)))
            await asyncio.gather(session.flush(), session.scalar(text("SELECT 1")))
        except Exception as error:
            errors.append(error)
            raise

    with site.serve() as url:
        answers = load(url, "/together", range(POOL_SIZE * 4), keep_alive=False)
        site.check(url, answers, settle_s=1.0)
    assert [answer.status for answer in answers] == [500] * POOL_SIZE * 4
    assert {type(error) for error in errors} == {InvalidRequestError}
    assert all("concurrent operations are not permitted" in str(error) for error in errors), errors
