"""Connections that end: in a request, while nobody uses them, and because the whole server is gone."""

import threading
import time
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.faults.harness import (
    CONCURRENCY,
    POOL_SIZE,
    REQUESTS,
    SLOW,
    Answer,
    Books,
    Kind,
    Site,
    is_fault,
    load,
    store,
)
from tests.services import PostgresServer

pytestmark = pytest.mark.services

_ROUNDS = REQUESTS // 50
_LOAD_S = 10.0 if SLOW else 2.0
_DOWN_S = 0.5
_RECOVERY_S = 2.0


@pytest.mark.parametrize("when", ["in a statement", "between statements", "before the commit"])
def test_a_connection_that_ends_in_a_request(kind: Kind, books: Books, when: str) -> None:
    """The request is answered 503 and stores nothing; the pool heals, and nobody else notices."""
    site = Site(kind, books)

    def operation(session: Session, number: int) -> None:
        store(session, number)
        if not is_fault(number):
            return
        if when == "in a statement":
            session.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        books.kill(int(session.scalar(text("SELECT pg_backend_pid()")) or 0))
        if when == "between statements":
            session.execute(text("SELECT 1"))

    site.expose("/entries", operation)
    with site.serve() as url:
        answers = load(url, "/entries", range(REQUESTS))
        site.check(url, answers)
    faults = [answer for answer in answers if is_fault(answer.number)]
    assert {(answer.status, answer.headers.get("retry-after"), answer.body) for answer in faults} == {
        (503, "1", '{"error":"The database is not available"}')
    }
    assert {answer.status for answer in answers if not is_fault(answer.number)} == {200}


def test_idle_connections_that_end_fail_no_request(kind: Kind, books: Books) -> None:
    """All connections of the pool end while nobody uses them: every request after that is served."""
    site = Site(kind, books)
    site.expose("/entries", lambda session, number: store(session, number).id)
    answers: list[Answer] = []
    killed = 0
    with site.serve() as url:
        load(url, "/plain", range(CONCURRENCY))
        for round_ in range(_ROUNDS):
            killed += books.kill_idle()
            answers += load(url, "/entries", range(round_ * 50, round_ * 50 + 50))
        site.check(url, answers)
    assert killed == _ROUNDS * POOL_SIZE
    assert [answer.status for answer in answers] == [200] * _ROUNDS * 50


class Clients:
    """Requests one after the other from several threads, until they are told to stop."""

    def __init__(self, url: str, path: str) -> None:
        self.answers: list[Answer] = []
        self._url, self._path = url, path
        self._stop, self._lock, self._next = threading.Event(), threading.Lock(), 0
        self._threads = [threading.Thread(target=self._run) for _ in range(4)]

    def __enter__(self) -> "Clients":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                first, self._next = self._next, self._next + 5
            found = load(self._url, self._path, range(first, first + 5), concurrency=5)
            with self._lock:
                self.answers += found


def test_the_server_is_killed_in_a_load(kind: Kind, books: Books, postgres_server: PostgresServer) -> None:
    """Requests fail while the server is away, with 503; none is told a success that is lost; two seconds are enough."""
    site = Site(kind, books)
    site.expose("/entries", lambda session, number: store(session, number).id)
    with site.serve() as url:
        with Clients(url, "/entries") as clients:
            time.sleep(_LOAD_S * 0.3)
            killed = time.monotonic()
            postgres_server.kill()
            time.sleep(_DOWN_S)
            postgres_server.start()
            back = time.monotonic()
            time.sleep(_LOAD_S * 0.7)
        books.open()
        answers = clients.answers
        told = {answer.number for answer in answers if answer.status == 200}
        assert told <= books.stored()
        # A commit whose answer was lost on the way is stored and not told: at most those that were on their way.
        assert len(books.stored() - told) <= POOL_SIZE
        site.check_connections(settle_s=1.0)
        assert [answer.status for answer in load(url, "/plain", [0])] == [200]
    failed = [answer for answer in answers if answer.status != 200]
    served_after = [answer.ended for answer in answers if answer.status == 200 and answer.started > killed + _DOWN_S]
    recovered = min(served_after) - back
    last_failure = max(answer.started for answer in failed) - back
    print(f"\nkill -9, {kind}: {len(answers)} requests, {len(failed)} failed, first success {recovered:+.3f} s and "
          f"last failure {last_failure:+.3f} s after the server was back")  # fmt: skip
    assert {answer.status for answer in failed} == {503}
    assert min(answer.ended for answer in failed) >= killed
    assert recovered <= _RECOVERY_S
    assert last_failure <= _RECOVERY_S
