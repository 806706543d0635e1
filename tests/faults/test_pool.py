"""The pool: used up, shared by many threads, given back dirty, and used for long."""

import gc
import os
import sys
import threading
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends
from sqlalchemy import text
from sqlalchemy.orm import Session

from fastapi_patterns import Database
from tests.faults.harness import POOL_SIZE, REQUESTS, SLACK_S, SLOW, Books, Kind, Site, load, store, within

pytestmark = pytest.mark.services


def test_a_pool_that_is_used_up_is_busy(kind: Kind, books: Books) -> None:
    """50 requests of 0.3 s on 5 connections: who waits longer than the pool's timeout gets 503, nobody 500."""
    site = Site(kind, books, pool_timeout=0.5)

    def operation(session: Session, number: int) -> None:
        store(session, number)
        session.execute(text("SELECT pg_sleep(0.3)"))

    site.expose("/entries", operation)
    with site.serve() as url:
        answers = load(url, "/entries", range(50), concurrency=50)
        site.check(url, answers)
        again = load(url, "/plain", range(POOL_SIZE))
    statuses = Counter(answer.status for answer in answers)
    refused = [answer for answer in answers if answer.status == 503]
    print(f"\npool used up, {kind}: {dict(statuses)}, slowest {max(answer.seconds for answer in answers):.2f} s")
    assert set(statuses) == {200, 503}
    assert statuses[200] >= (2 if SLOW else 1) * POOL_SIZE  # who waits may wait too long beside other tests
    assert {(answer.headers.get("retry-after"), answer.body) for answer in refused} == {
        ("1", '{"error":"The database is busy"}')
    }
    assert [answer.status for answer in again] == [200] * POOL_SIZE
    assert max(answer.seconds for answer in again) < 0.25 + SLACK_S


def test_threads_never_share_a_session(books: Books) -> None:
    """64 sync requests at a time on 5 connections: one session each, one thread at a time in it, and no standstill."""
    site = Site("sync", books, pool_timeout=10)
    assert isinstance(site.database, Database)
    lock = threading.Lock()
    users: Counter[int] = Counter()
    sessions: dict[int, set[int]] = {}
    threads: set[int] = set()
    together: list[int] = []

    def use(session: Session, number: int) -> None:
        with lock:
            users[id(session)] += 1
            if users[id(session)] > 1:
                together.append(number)
            threads.add(threading.get_ident())
            sessions.setdefault(number, set()).add(id(session))
        session.execute(text("SELECT 1"))
        with lock:
            users[id(session)] -= 1

    def user(number: int, session: Annotated[Session, Depends(site.database.session)]) -> None:
        use(session, number)

    def operation(session: Session, number: int) -> None:
        use(session, number)
        store(session, number)

    site.expose("/entries", operation, dependencies=[Depends(user)])
    with site.serve() as url:
        answers = load(url, "/entries", range(REQUESTS), concurrency=64)
        site.check(url, answers)
    assert Counter(answer.status for answer in answers) == {200: REQUESTS}
    assert together == []
    assert {len(found) for found in sessions.values()} == {1}
    assert len(threads) > 1


_DIRT = {
    "role": "SET ROLE somebody",
    "setting": "SELECT set_config('search_path', 'elsewhere', false)",
    "temporary table": "CREATE TEMPORARY TABLE secrets AS SELECT 1 AS id",
    "advisory lock": "SELECT pg_advisory_lock(7)",
    "open transaction": "INSERT INTO entries VALUES (-1, 'open')",
}
_LEFT = text(
    "SELECT pg_backend_pid(), current_user, current_setting('search_path'), current_setting('statement_timeout'), "
    "to_regclass('pg_temp.secrets') IS NULL, "
    "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), (SELECT count(*) FROM entries)"
)


@pytest.mark.parametrize("dirt", _DIRT)
def test_the_next_user_of_a_connection_finds_it_clean(kind: Kind, books: Books, dirt: str) -> None:
    """Roles, settings, temporary tables, locks and open transactions end with the request that made them."""
    site = Site(kind, books, pool_size=1)
    with suppress(Exception):
        books.ask("CREATE ROLE somebody")
    books.ask("GRANT ALL ON entries TO somebody")
    left: list[Any] = []

    def clean(session: Session, number: int) -> None:
        left.append(tuple(session.execute(_LEFT).one()))

    def soil(session: Session, number: int) -> None:
        session.execute(text(_DIRT[dirt]))
        if dirt == "open transaction":
            raise ValueError("a mistake")

    site.expose("/clean", clean)
    site.expose("/soil", soil)
    with site.serve() as url:
        for path in ("/clean", "/soil", "/clean"):
            load(url, path, [0])
        site.check_connections()
    assert {pid for pid, *_ in left} == {left[0][0]}  # it was cleaned, not replaced
    assert [found for _, *found in left] == [["postgres", '"$user", public', "30s", True, 0, 0]] * 2


def memory() -> int:
    """The process's resident memory in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def files() -> int:
    """Count the open files once the server has seen that its clients have gone."""
    gc.collect()
    found = [len(os.listdir("/proc/self/fd"))]
    while within(0.3, lambda: len(os.listdir("/proc/self/fd")) < found[-1]):
        found.append(len(os.listdir("/proc/self/fd")))
    return found[-1]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_many_requests_leave_memory_and_files_as_they_were(kind: Kind, books: Books) -> None:
    """The process grows by less than 5 MB, and holds as many files as before."""
    site = Site(kind, books)
    site.expose("/entries", lambda session, number: store(session, number).id)
    site.expose("/slow", lambda session, number: session.scalar(text("SELECT 1 FROM pg_sleep(0.1)")))
    requests = 10_000 if SLOW else 1_000
    with site.serve() as url:
        load(url, "/entries", range(-600, 0))  # caches fill, threads start
        load(url, "/slow", range(POOL_SIZE))  # the pool fills
        memory_before, files_before = memory(), files()
        for first in range(0, requests, 500):
            assert {answer.status for answer in load(url, "/entries", range(first, first + 500))} == {200}
        more_files = files() - files_before
        grown = (memory() - memory_before) / 1_000_000
        site.check_connections()
    print(f"\n{requests} requests, {kind}: {grown:+.1f} MB, {more_files:+d} files")
    assert grown < 5
    assert more_files == 0
