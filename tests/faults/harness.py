"""What the fault tests stand on: an application over a real PostgreSQL, a load, and books that must balance."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, Literal

import httpx2
import psycopg
from fastapi import Depends, FastAPI
from sqlalchemy import UniqueConstraint, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from fastapi_patterns import AsyncDatabase, Database, install_stack
from tests.live.server import serve

Kind = Literal["sync", "async"]
Operation = Callable[[Session, int], Any]

SLOW = os.environ.get("SLOW") == "1"
REQUESTS = 1000 if SLOW else 100
CONCURRENCY = 20
POOL_SIZE = 5
# Upper bounds of time are those of the long runs, which have a machine to themselves. Beside other tests everything may
# stand still for a moment, and a second more tells a limit that is kept from one that is not.
SLACK_S = 0.0 if SLOW else 1.0

TAKEN = "taken"


class Base(DeclarativeBase):
    """The tables."""


class Entry(Base):
    """What a request stores under its own number; that its code is unique is only checked at the commit."""

    __tablename__ = "entries"
    __table_args__ = (UniqueConstraint("code", name="uq_entries_code", deferrable=True, initially="DEFERRED"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str]


def is_fault(number: int) -> bool:
    """Every tenth request meets the fault."""
    return number % 10 == 0


def store(session: Session, number: int) -> Entry:
    """Store the entry of a request, flushed and not yet committed."""
    entry = Entry(id=number, code=str(number))
    session.add(entry)
    session.flush()
    return entry


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    """Wait until something holds; tell whether it did in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.01)
    return holds()


class Books:
    """A second look at the database, on a connection of its own.

    Args:
        url: The database's URL, without a driver.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._connection: psycopg.Connection[Any] | None = None

    def open(self) -> None:
        """Connect; again after the server was killed."""
        self.close()
        self._connection = psycopg.connect(self.url, autocommit=True, application_name="books")

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            self._connection.close()

    def ask(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement in a transaction of its own."""
        assert self._connection is not None
        cursor = self._connection.execute(sql, values or None)
        return cursor.fetchall() if cursor.description else []

    def stored(self) -> set[int]:
        """The numbers of the requests that stored something."""
        return {row[0] for row in self.ask("SELECT id FROM entries WHERE code <> %s", TAKEN)}

    def sessions(self) -> Counter[str]:
        """How many connections the application has, by their state."""
        rows = self.ask(
            "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'fastapi'"
        )
        return Counter(row[0] or "" for row in rows)

    def kill(self, pid: int) -> None:
        """End a connection of the application and wait until it has ended."""
        self.ask("SELECT pg_terminate_backend(%s, 5000)", pid)

    def kill_idle(self) -> int:
        """End the connections that nobody uses, and tell how many they were."""
        rows = self.ask(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name = 'fastapi' AND state = 'idle'"
        )
        for (pid,) in rows:
            self.kill(pid)
        return len(rows)

    def sleeping(self) -> int:
        """How many statements sleep in the database."""
        found = self.ask(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND state = 'active' AND query LIKE '%pg_sleep(%'"
        )
        return int(found[0][0])


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was told, and when (in seconds of the monotonic clock); status 0 where nobody answered."""

    number: int
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    started: float = 0.0
    ended: float = 0.0

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended - self.started


async def ask(client: httpx2.AsyncClient, path: str, number: int = 0) -> Answer:
    """Send one request; a connection that breaks is an answer too."""
    started = time.monotonic()
    try:
        response = await client.post(path)
    except httpx2.TransportError as error:
        return Answer(number, 0, body=repr(error), started=started, ended=time.monotonic())
    headers = dict(response.headers)
    return Answer(number, response.status_code, headers, response.text, started, time.monotonic())


def load(
    url: str, path: str, numbers: Sequence[int], *, concurrency: int = CONCURRENCY, keep_alive: bool = True
) -> list[Answer]:
    """Send a request for each number, so many at a time, on connections that are kept or not."""

    async def main() -> list[Answer]:
        places = asyncio.Semaphore(concurrency)
        limits = httpx2.Limits(max_connections=concurrency, max_keepalive_connections=concurrency * keep_alive)
        async with httpx2.AsyncClient(base_url=url, timeout=60, limits=limits, trust_env=False) as client:

            async def one(number: int) -> Answer:
                async with places:
                    return await ask(client, f"{path}/{number}", number)

            return list(await asyncio.gather(*(one(number) for number in numbers)))

    return asyncio.run(main())


class Site:
    """An application over one database, sync or async, with the stack.

    Args:
        kind: Which of the two databases.
        books: The second look at it.
        url: Where the application finds the database, when not where the books do.
        statement_timeout: See `Database`.
        options: More options for the engine.
    """

    def __init__(
        self,
        kind: Kind,
        books: Books,
        *,
        url: str | None = None,
        statement_timeout: timedelta | None = timedelta(seconds=30),
        **options: Any,
    ) -> None:
        made = Database if kind == "sync" else AsyncDatabase
        settings = {"pool_size": POOL_SIZE, "max_overflow": 0, "pool_timeout": 30, **options}
        self.kind, self.books = kind, books
        self.database = made(url or books.url, statement_timeout=statement_timeout, **settings)
        self.app = FastAPI()
        install_stack(self.app, resources=[self.database])
        self.expose("/plain", lambda session, number: session.scalar(text("SELECT 1")))

    def expose(self, path: str, operation: Operation, *, dependencies: Sequence[Any] = ()) -> None:
        """Serve an operation on the request's session at `path/{number}`, from a route of this kind."""
        database = self.database
        route = self.app.post(f"{path}/{{number}}", dependencies=dependencies)
        if isinstance(database, Database):

            def sync_route(number: int, session: Annotated[Session, Depends(database.session)]) -> Any:
                return operation(session, number)

            route(sync_route)
        else:

            async def async_route(number: int, session: Annotated[AsyncSession, Depends(database.session)]) -> Any:
                return await session.run_sync(operation, number)

            route(async_route)

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Serve it by a real uvicorn."""
        with serve(self.app) as url:
            yield url

    @property
    def checked_out(self) -> int:
        """Connections that somebody uses."""
        return int(self.database.engine.pool.checkedout())  # type: ignore[attr-defined]

    def check(self, url: str, answers: Sequence[Answer], *, settle_s: float = 0.0) -> None:
        """The books balance: what was told is stored, no connection leaks, and the next request is served."""
        assert {answer.number for answer in answers if 200 <= answer.status < 300} == self.books.stored()
        self.check_connections(settle_s=settle_s)
        assert [answer.status for answer in load(url, "/plain", [0])] == [200]

    def check_connections(self, *, settle_s: float = 0.0) -> None:
        """Every connection is back, and none is left in a transaction."""
        settle_s += SLACK_S
        within(settle_s, lambda: self.checked_out == 0)
        assert self.checked_out == 0
        # The view follows the server by a moment.
        within(max(settle_s, 1.0), lambda: set(self.books.sessions()) <= {"idle"})
        sessions = self.books.sessions()
        assert set(sessions) <= {"idle"}, sessions
        assert sessions.total() <= POOL_SIZE
