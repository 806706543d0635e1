"""`assert_num_queries` and `max_queries`: how many statements a piece of a test sends to its databases."""

import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any, overload

import pytest

from fastapi_patterns.testing._query_report import Query, is_counted, report

__all__ = ["CountQueries", "Queries", "assert_num_queries", "max_queries"]

_OWN_FOLDER = str(Path(__file__).parent.parent)
_STDLIB = tuple({sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")})
# Functions of FastAPI's in which a `response_model` reads the attributes of what a route returned.
_WRITES_RESPONSE = frozenset({"serialize_response", "validate", "serialize", "serialize_json", "jsonable_encoder"})

_NOTHING_SENT = "No SQLAlchemy engine of this process sent a statement within the block."


class Queries(Sequence[str]):
    """The statements of a block in the order in which they were sent, without their parameters.

    It grows until the block ends. `str(queries)` is what a failure prints: each statement with the line that sent it.
    """

    def __init__(self) -> None:
        self._sent: list[Query] = []

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        statements = [query.statement for query in self._sent]
        return statements[index]

    def __len__(self) -> int:
        return len(self._sent)

    def __str__(self) -> str:
        return report(self._sent)


CountQueries = Callable[[int], AbstractContextManager[Queries]]
"""The type of the fixtures `assert_num_queries` and `max_queries`."""


class _Recorder:
    """Hears what every engine of the process sends, whoever made it, and from whatever thread or task."""

    def __init__(self) -> None:
        self._open: tuple[Queries, ...] = ()
        self._lock = threading.Lock()

    def begin(self, queries: Queries) -> None:
        with self._lock:
            self._open = (*self._open, queries)

    def end(self, queries: Queries) -> None:
        with self._lock:
            self._open = tuple(each for each in self._open if each is not queries)

    def hear(self, _connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        blocks = self._open
        if blocks and is_counted(statement):
            query = _query(statement)
            for queries in blocks:
                queries._sent.append(query)


class _Block:
    """A `with` block that fails when it sent another number of statements than it may."""

    def __init__(self, recorder: _Recorder, number: int, *, exactly: bool) -> None:
        self._recorder, self._number, self._exactly = recorder, number, exactly
        self._queries = Queries()

    def __enter__(self) -> Queries:
        self._recorder.begin(self._queries)
        return self._queries

    def __exit__(self, failed: type[BaseException] | None, *_rest: object) -> None:
        __tracebackhide__ = True
        self._recorder.end(self._queries)
        sent = len(self._queries)
        if failed is not None or sent == self._number or (sent < self._number and not self._exactly):
            return
        expected = f"{'exactly' if self._exactly else 'at most'} {self._number}"
        noun = "query" if self._number == 1 else "queries"
        detail = f":\n{self._queries}" if sent else f". {_NOTHING_SENT}"
        raise AssertionError(f"{expected} {noun} expected; {sent} sent{detail}")


@pytest.fixture(scope="session")
def _fastapi_queries() -> Iterator[_Recorder]:
    """Listen from the first test that counts to the end of the run.

    Not from block to block: another thread may be in SQLAlchemy's list of listeners at that moment.
    """
    try:
        from sqlalchemy import Engine, event
    except ImportError:
        pytest.fail("counting queries needs SQLAlchemy: pip install 'fastapi-patterns[db]'", pytrace=False)
    recorder = _Recorder()
    event.listen(Engine, "before_cursor_execute", recorder.hear)
    yield recorder
    event.remove(Engine, "before_cursor_execute", recorder.hear)


@pytest.fixture
def assert_num_queries(_fastapi_queries: _Recorder) -> CountQueries:
    """Check that a block sends exactly so many statements: `with assert_num_queries(2): client.get("/users")`.

    Those of the application count, whatever thread or task they come from, and the test's own. What begins and ends
    transactions and savepoints, settings (`SET`, `PRAGMA`) and pings (`SELECT 1`) do not; many rows that are written
    with one statement are one. `as queries` gives the statements. A plain `with`, in async tests too.
    """

    def block(number: int) -> AbstractContextManager[Queries]:
        return _Block(_fastapi_queries, _checked(number, "assert_num_queries"), exactly=True)

    return block


@pytest.fixture
def max_queries(_fastapi_queries: _Recorder) -> CountQueries:
    """Check that a block sends no more than so many statements; see `assert_num_queries`."""

    def block(number: int) -> AbstractContextManager[Queries]:
        return _Block(_fastapi_queries, _checked(number, "max_queries"), exactly=False)

    return block


def _checked(number: int, fixture: str) -> int:
    if isinstance(number, bool) or not isinstance(number, int):
        raise TypeError(f"{fixture} takes the number of queries, such as {fixture}(2); got {type(number).__name__}")
    if number < 0:
        raise ValueError(f"{fixture} takes the number of queries, 0 or more; got {number}")
    return number


def _query(statement: str) -> Query:
    """Say where a statement comes from: the nearest line that is neither a library's nor Python's own."""
    relationship = place = ""
    for frame in _frames():
        name, file = frame.f_code.co_name, frame.f_code.co_filename
        if name == "_emit_lazyload":
            relationship = str(getattr(frame.f_locals.get("self"), "parent_property", ""))
        elif name in _WRITES_RESPONSE and "fastapi" in Path(file).parts:
            place = "while FastAPI writes the response"
            break
        elif not _is_library(file):
            # A comprehension is a function of its own in Python 3.11; what it is in says more.
            function = frame.f_code.co_qualname.partition(".<locals>.<")[0].rpartition("<locals>.")[2]
            place = f"at {_shown(file)}:{frame.f_lineno} in {function}"
            break
    return Query(statement=statement, place=place, relationship=relationship)


def _frames() -> Iterator[FrameType]:
    """Give the frames from here outwards, beyond the greenlet in which SQLAlchemy runs what is awaited."""
    frame: FrameType | None = sys._getframe(2)
    greenlet = sys.modules.get("greenlet")
    current = greenlet.getcurrent() if greenlet is not None else None
    while frame is not None:
        yield frame
        frame = frame.f_back
        while frame is None and current is not None and current.parent is not None:
            current = current.parent
            frame = current.gr_frame


@cache
def _is_library(file: str) -> bool:
    parts = Path(file).parts
    return "site-packages" in parts or "dist-packages" in parts or file.startswith((*_STDLIB, _OWN_FOLDER, "<"))


def _shown(file: str) -> str:
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except ValueError:
        return file
