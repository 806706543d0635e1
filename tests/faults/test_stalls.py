"""A network that stops forwarding: a request ends by its limits, and the pool is well when the network is."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from tests.faults.harness import POOL_SIZE, SLACK_S, SLOW, Answer, Books, Kind, Site, load, store, within
from tests.faults.proxy import StallingProxy
from tests.services import PostgresServer

pytestmark = pytest.mark.services

_LIMIT_S = 5.0 if SLOW else 1.5
_CONNECT_LIMIT_S = 2.0
_UNAVAILABLE = (503, "1", '{"error":"The database is not available"}')


def make_site(kind: Kind, books: Books, server: PostgresServer, proxy: StallingProxy) -> Site:
    """An application that reaches its database through the proxy."""
    return Site(
        kind,
        books,
        url=books.url.replace(f":{server.port}/", f":{proxy.port}/"),
        statement_timeout=timedelta(seconds=_LIMIT_S),
        connect_args={"connect_timeout" if kind == "sync" else "timeout": int(_CONNECT_LIMIT_S)},
    )


def told(answers: list[Answer]) -> set[tuple[int, str | None, str]]:
    """What the requests were told."""
    return {(answer.status, answer.headers.get("retry-after"), answer.body) for answer in answers}


def test_a_network_that_stops_in_a_request(kind: Kind, books: Books, postgres_server: PostgresServer) -> None:
    """In a statement it ends by the statement's limit, at the beginning by that and the limit of a new connection."""
    with StallingProxy(postgres_server.port) as proxy:
        site = make_site(kind, books, postgres_server, proxy)

        def operation(session: Session, number: int) -> None:
            store(session, number)
            session.execute(text(f"SELECT pg_sleep({_LIMIT_S * 0.8})"))

        site.expose("/entries", operation)
        with site.serve() as url:
            load(url, "/plain", range(POOL_SIZE))
            with ThreadPoolExecutor() as threads:
                loading = threads.submit(load, url, "/entries", range(POOL_SIZE))
                assert within(5.0, lambda: books.sleeping() == POOL_SIZE)
                proxy.stall()
                in_statement = loading.result()
            proxy.go_on()
            site.check(url, in_statement, settle_s=3.0)
            proxy.stall()
            at_beginning = load(url, "/plain", range(POOL_SIZE), concurrency=POOL_SIZE)
            proxy.go_on()
            site.check(url, [], settle_s=3.0)
    slowest, fastest = (found(answer.seconds for answer in in_statement) for found in (max, min))
    beginning = max(answer.seconds for answer in at_beginning)
    print(f"\nstall in a statement, {kind}: {fastest:.2f} to {slowest:.2f} s of {_LIMIT_S}; at the beginning "
          f"{beginning:.2f} s of {_LIMIT_S} + {_CONNECT_LIMIT_S}")  # fmt: skip
    assert told(in_statement) == told(at_beginning) == {_UNAVAILABLE}
    assert _LIMIT_S * 0.9 <= fastest <= slowest <= _LIMIT_S * 1.1 + SLACK_S
    assert beginning <= (_LIMIT_S + _CONNECT_LIMIT_S) * 1.1 + SLACK_S


def test_a_network_that_stops_before_a_connection(kind: Kind, books: Books, postgres_server: PostgresServer) -> None:
    """Connecting has a limit of its own."""
    with StallingProxy(postgres_server.port) as proxy:
        site = make_site(kind, books, postgres_server, proxy)
        with site.serve() as url:
            proxy.stall()
            answers = load(url, "/plain", range(POOL_SIZE), concurrency=POOL_SIZE)
            proxy.go_on()
            site.check(url, [], settle_s=3.0)
    slowest, fastest = (found(answer.seconds for answer in answers) for found in (max, min))
    print(f"\nstall in connecting, {kind}: {fastest:.2f} to {slowest:.2f} s of {_CONNECT_LIMIT_S}")
    assert told(answers) == {_UNAVAILABLE}
    assert _CONNECT_LIMIT_S * 0.9 <= fastest <= slowest <= _CONNECT_LIMIT_S * 1.1 + SLACK_S


def test_a_slow_statement_ends_by_its_limit(kind: Kind, books: Books) -> None:
    """The server itself ends it: 504, and the connection stays."""
    site = Site(kind, books, statement_timeout=timedelta(seconds=1))
    site.expose("/slow", lambda session, number: session.scalar(text("SELECT 1 FROM pg_sleep(10)")))
    with site.serve() as url:
        (answer,) = load(url, "/slow", [1])
        site.check(url, [])
        assert site.books.sessions().total() == 1
    assert (answer.status, answer.body) == (504, '{"error":"The database did not answer in time"}')
    assert 0.9 <= answer.seconds <= 1.1 + SLACK_S


def test_a_ping_ends_by_its_own_limit(kind: Kind, books: Books, postgres_server: PostgresServer) -> None:
    """A readiness route does not wait for the statement's limit."""
    with StallingProxy(postgres_server.port) as proxy:
        site = make_site(kind, books, postgres_server, proxy)

        @site.app.post("/ready/{number}")
        async def ready(number: int) -> None:
            await site.database.ping(timeout_s=0.5)

        with site.serve() as url:
            assert [answer.status for answer in load(url, "/ready", [1])] == [200]
            proxy.stall()
            (answer,) = load(url, "/ready", [1])
            proxy.go_on()
            assert told([answer]) == {_UNAVAILABLE}
            assert 0.45 <= answer.seconds <= 0.75 + SLACK_S
            assert within(3.0, lambda: site.checked_out == 0)
            assert [answer.status for answer in load(url, "/ready", [1])] == [200]
