"""Transactions that contradict each other, on purpose and in a crowd: run again, once in effect, or told as busy."""

import asyncio
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from fastapi_patterns import Database
from tests.faults.harness import CONCURRENCY, REQUESTS, Books, Kind, Site, load

pytestmark = pytest.mark.services

PAGE = Path(__file__).parents[2] / "docs/how-to/retries.md"


@pytest.fixture
def accounts(books: Books) -> Books:
    """Two rows to quarrel about; deadlocks are found at once."""
    books.ask("CREATE TABLE accounts (id int PRIMARY KEY, amount int NOT NULL)")
    books.ask("INSERT INTO accounts VALUES (1, 0), (2, 0)")
    books.ask(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = ''20ms''', current_database()); END $$"
    )
    return books


def amounts(books: Books) -> list[int]:
    """What the accounts hold."""
    return [row[0] for row in books.ask("SELECT amount FROM accounts ORDER BY id")]


async def run_crossed(site: Site, body: Any, *, retries: int) -> list[Any]:
    """Run one body twice at the same time, from either end, as a transaction of the site's kind."""
    database = site.database
    if isinstance(database, Database):

        @database.transaction(retries=retries)
        def run(session: Session, first: int) -> Any:
            return body(session, first)

        calls = [asyncio.to_thread(run, first) for first in (1, 2)]
    else:

        @database.transaction(retries=retries)
        async def run_async(session: AsyncSession, first: int) -> Any:
            return await session.run_sync(body, first)

        calls = [run_async(first) for first in (1, 2)]  # type: ignore[misc]
    async with database:
        return list(await asyncio.gather(*calls, return_exceptions=True))


class Meeting:
    """Lets two first attempts meet in the middle, so that they must contradict each other."""

    def __init__(self, books: Books) -> None:
        self.books, self.attempts = books, list[tuple[int, int]]()

    def __call__(self, session: Session, first: int) -> None:
        attempt = sum(mine == first for mine, _ in self.attempts) + 1
        self.attempts.append((first, int(session.scalar(text("SELECT pg_current_xact_id()::text::int")) or 0)))
        if attempt == 1:
            session.execute(text("SELECT pg_advisory_xact_lock(:first)"), {"first": first})
            # Asking in the database lets both kinds wait: a thread, and a coroutine.
            for _ in range(200):
                others = session.scalar(text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))
                if others == 2 or len(self.attempts) > 2:
                    break
                session.execute(text("SELECT pg_sleep(0.01)"))


@pytest.mark.parametrize("level", ["deadlock", "serialization"])
def test_two_that_contradict_each_other_both_succeed(kind: Kind, accounts: Books, level: str) -> None:
    """One is run again as a whole, in a new transaction; each takes effect once."""
    options: dict[str, Any] = {} if level == "deadlock" else {"isolation_level": "SERIALIZABLE"}
    site = Site(kind, accounts, **options)
    meeting = Meeting(accounts)

    def body(session: Session, first: int) -> int:
        session.execute(text("UPDATE accounts SET amount = amount + 1 WHERE id = :id"), {"id": first})
        meeting(session, first)
        session.execute(text("UPDATE accounts SET amount = amount + 1 WHERE id = :id"), {"id": 3 - first})
        return first

    assert asyncio.run(run_crossed(site, body, retries=3)) == [1, 2]
    assert amounts(accounts) == [2, 2]
    assert len(meeting.attempts) >= 3
    assert len({transaction for _, transaction in meeting.attempts}) == len(meeting.attempts)
    site.check_connections()


def test_without_a_retry_one_of_them_fails(kind: Kind, accounts: Books) -> None:
    """The contradiction is a real one: with no further attempt, one of the two is a deadlock."""
    site = Site(kind, accounts)
    meeting = Meeting(accounts)

    def body(session: Session, first: int) -> int:
        session.execute(text("UPDATE accounts SET amount = amount + 1 WHERE id = :id"), {"id": first})
        meeting(session, first)
        session.execute(text("UPDATE accounts SET amount = amount + 1 WHERE id = :id"), {"id": 3 - first})
        return first

    found = asyncio.run(run_crossed(site, body, retries=0))
    failed = [error for error in found if isinstance(error, DBAPIError)]
    assert [getattr(error.orig, "sqlstate", None) for error in failed] == ["40P01"]
    assert amounts(accounts) == [1, 1]


def test_a_crowd_counts_right(kind: Kind, accounts: Books) -> None:
    """Every request adds one to the same row: those told 200 are counted, once, and the others are told 503."""
    site = Site(kind, accounts, isolation_level="REPEATABLE READ")
    database = site.database
    runs: Counter[int] = Counter()
    done: list[int] = []

    def body(session: Session, number: int) -> int:
        runs[number] += 1
        amount = int(session.scalar(text("SELECT amount FROM accounts WHERE id = 1")) or 0)
        session.execute(text("UPDATE accounts SET amount = :amount WHERE id = 1"), {"amount": amount + 1})
        return number

    if isinstance(database, Database):
        add = database.transaction(retries=3)(body)

        @site.app.post("/add/{number}")
        def route(number: int) -> None:
            done.append(add(number))  # the side effect comes with the result
    else:

        async def body_async(session: AsyncSession, number: int) -> int:
            return await session.run_sync(body, number)

        add_async = database.transaction(retries=3)(body_async)

        @site.app.post("/add/{number}")
        async def route_async(number: int) -> None:
            done.append(await add_async(number))

    with site.serve() as url:
        answers = load(url, "/add", range(REQUESTS), concurrency=CONCURRENCY)
        site.check(url, [])
    statuses = Counter(answer.status for answer in answers)
    again = sum(runs.values()) - REQUESTS
    print(f"\none row, {kind}: {dict(statuses)}, {again} times run again, at most {max(runs.values())} runs each")
    assert set(statuses) <= {200, 503}
    assert amounts(accounts)[0] == statuses[200] == len(done) == len(set(done))
    assert again > 0
    assert max(runs.values()) <= 4
    busy = [answer for answer in answers if answer.status == 503]
    assert {(answer.headers["retry-after"], answer.body) for answer in busy} <= {
        ("1", '{"error":"The database is busy"}')
    }


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_one_that_never_succeeds_is_a_503(kind: Kind, accounts: Books, code: str) -> None:
    """Raised by the database itself, each time: four runs, four transactions, then 503, and nothing stored."""
    site = Site(kind, accounts)
    database = site.database
    seen: list[int] = []
    failing = text(f"DO $$ BEGIN RAISE EXCEPTION 'again' USING ERRCODE = '{code}'; END $$")

    def body(session: Session) -> None:
        session.execute(text("UPDATE accounts SET amount = amount + 1"))
        seen.append(int(session.scalar(text("SELECT pg_current_xact_id()::text::int")) or 0))
        session.execute(failing)

    if isinstance(database, Database):
        run = database.transaction(retries=3)(body)

        @site.app.post("/fail/{number}")
        def route(number: int) -> None:
            run()
    else:

        async def body_async(session: AsyncSession) -> None:
            await session.run_sync(body)

        run_async = database.transaction(retries=3)(body_async)

        @site.app.post("/fail/{number}")
        async def route_async(number: int) -> None:
            await run_async()

    with site.serve() as url:
        (answer,) = load(url, "/fail", [1])
        site.check(url, [])
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert len(seen) == len(set(seen)) == 4
    assert amounts(accounts) == [0, 0]


@pytest.mark.parametrize("safe_by", ["a lock", "SERIALIZABLE"])
def test_the_transfer_of_the_guide_loses_nothing(books: Books, safe_by: str) -> None:
    """The page's own code, in a crowd: each transfer that returned has moved its amount, and the sum is what it was."""
    block = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[0]
    made = 'Database("sqlite://", metadata=Base.metadata)'
    assert made in block
    assert ".with_for_update()" in block
    if safe_by == "SERIALIZABLE":
        block = block.replace(".with_for_update()", "")
    level = "SERIALIZABLE" if safe_by == "SERIALIZABLE" else "READ COMMITTED"
    page: dict[str, Any] = {"url": books.url, "level": level, "__name__": "page"}
    exec(block.replace(made, "Database(url, metadata=Base.metadata, isolation_level=level)"), page)  # noqa: S102 (ours)
    books.ask("UPDATE accounts SET balance = 1000")

    def run(number: int) -> int:
        source, target = ((1, 2), (1, 2), (2, 1))[number % 3]
        try:
            page["transfer"](source, target, 1)
        except DBAPIError:
            return 0  # contradicted four times over, and told so
        return target - source

    with ThreadPoolExecutor(8) as pool:
        moved = sum(pool.map(run, range(120)))
    page["database"].engine.dispose()
    assert books.ask("SELECT balance FROM accounts ORDER BY id") == [(1000 - moved,), (1000 + moved,)]
    if safe_by == "a lock":
        assert moved == 40
