"""Commits that fail and routes that raise: only what is stored is told as a success."""

import logging
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, HTTPException
from sqlalchemy.orm import Session

from fastapi_patterns import Database
from tests.faults.harness import REQUESTS, TAKEN, Books, Entry, Kind, Site, is_fault, load, store

pytestmark = pytest.mark.services

NUMBERS = range(REQUESTS)
FAULTS = [number for number in NUMBERS if is_fault(number)]


def test_a_commit_that_fails_is_never_told_as_a_success(kind: Kind, books: Books) -> None:
    """A unique constraint that is checked at the commit: each violation is a 409, the others are stored."""
    site = Site(kind, books)
    books.ask("INSERT INTO entries VALUES (-1, %s)", TAKEN)

    def operation(session: Session, number: int) -> int:
        entry = store(session, number)
        if is_fault(number):
            entry.code = TAKEN
            session.flush()  # the database takes it until the commit
        return entry.id

    site.expose("/entries", operation)
    with site.serve() as url:
        answers = load(url, "/entries", NUMBERS)
        site.check(url, answers)
    assert [answer.status for answer in answers if is_fault(answer.number)] == [409] * len(FAULTS)
    assert [answer.status for answer in answers if not is_fault(answer.number)] == [200] * (REQUESTS - len(FAULTS))
    assert answers[0].body == '{"error":"This already exists"}'


@pytest.mark.parametrize(
    ("error", "status"), [(ValueError("a mistake"), 500), (HTTPException(404, "no"), 404)], ids=["mistake", "http"]
)
def test_a_route_that_raises_stores_nothing(kind: Kind, books: Books, error: Exception, status: int) -> None:
    """After a flush, whatever is raised rolls back: a mistake, and an HTTPException too."""
    site = Site(kind, books)

    def operation(session: Session, number: int) -> None:
        store(session, number)
        if is_fault(number):
            raise error

    site.expose("/entries", operation)
    with site.serve() as url:
        answers = load(url, "/entries", NUMBERS)
        site.check(url, answers)
    assert [answer.status for answer in answers if is_fault(answer.number)] == [status] * len(FAULTS)


@pytest.mark.parametrize("scope", ["function", "request"])
def test_another_dependency_that_fails_in_its_teardown(
    kind: Kind, books: Books, scope: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The session is closed all the same, and the failure is one ERROR line.

    Inside the session, before the response, it undoes the request: 500, nothing stored. After the response, what was
    told stays stored.
    """
    site = Site(kind, books)

    def audit(session: Annotated[Any, Depends(site.database.session)]) -> Iterator[None]:
        yield
        raise RuntimeError("the audit failed")

    def operation(session: Session, number: int) -> None:
        store(session, number)

    site.expose("/entries", operation, dependencies=[Depends(audit, scope=scope)])
    with caplog.at_level(logging.ERROR), site.serve() as url:
        # An exception after the response makes uvicorn close the connection under the client's next request.
        answers = load(url, "/entries", range(10), keep_alive=False)
        site.check(url, answers)
    assert {answer.status for answer in answers} == ({500} if scope == "function" else {200})
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert lines == ["Unhandled RuntimeError"] * 10


def test_a_teardown_that_fails_around_the_session(books: Books) -> None:
    """A dependency that was there before the session fails after the commit: no success is told, the row stays."""
    site = Site("sync", books)
    assert isinstance(site.database, Database)

    def audit() -> Iterator[None]:
        yield
        raise RuntimeError("the audit failed")

    @site.app.post("/around/{number}", dependencies=[Depends(audit, scope="function")])
    def around(number: int, session: Annotated[Session, Depends(site.database.session)]) -> None:
        session.add(Entry(id=number, code=str(number)))

    with site.serve() as url:
        assert [answer.status for answer in load(url, "/around", [1])] == [500]
    assert books.stored() == {1}
    site.check_connections()
