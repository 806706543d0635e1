"""What `transaction()` decorates and `ping()` is told: a mistake is told at once, and is not called an outage."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import partial, wraps
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from fastapi_patterns import AsyncDatabase, ConfigurationError, Database
from fastapi_patterns.exceptions import MissingExtraError


def plain(session: Session, number: int = 1) -> int:
    """A `def`."""
    return number + int(session.scalar(select(1)) or 0)


def generator(session: Session) -> Iterator[int]:
    """A `def` that begins when it is iterated."""
    yield 1


async def coroutine(session: AsyncSession, number: int = 1) -> int:
    """An `async def`."""
    return number + int(await session.scalar(select(1)) or 0)


async def async_generator(session: AsyncSession) -> AsyncIterator[int]:
    """An `async def` that begins when it is iterated."""
    yield 1


@wraps(coroutine)
def wrapped(*args: Any, **kwargs: Any) -> Any:
    """What many decorators make of an `async def`."""
    return coroutine(*args, **kwargs)


class Plain:
    """An object to call."""

    def __call__(self, session: Session) -> int:
        """Run."""
        return plain(session)

    def method(self, session: Session) -> int:
        """Run."""
        return plain(session)

    async def async_method(self, session: AsyncSession) -> int:
        """Run."""
        return await coroutine(session)


class Coroutine:
    """An object to call and await."""

    async def __call__(self, session: AsyncSession) -> int:
        """Run."""
        return await coroutine(session)


@pytest.mark.parametrize("function", [plain, partial(plain, number=1), Plain(), Plain().method])
def test_a_sync_transaction_runs_what_is_called(function: Any) -> None:
    """Functions, methods, partials and objects with a `__call__`."""
    assert Database("sqlite://").transaction()(function)() == 2


@pytest.mark.parametrize(
    "function", [coroutine, partial(coroutine, number=1), wrapped, Coroutine(), Plain().async_method]
)
def test_an_async_transaction_runs_what_is_awaited(function: Any) -> None:
    """The same, async, and a wrapper that returns the coroutine."""

    async def live() -> Any:
        async with AsyncDatabase("sqlite://") as database:
            return await database.transaction()(function)()

    assert asyncio.run(live()) == 2


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (coroutine, r"Database.transaction\(\) takes a `def`; coroutine is an `async def`.*Use AsyncDatabase"),
        (partial(coroutine, number=1), "takes a `def`; partial is an `async def`"),
        (Coroutine(), "takes a `def`; Coroutine is an `async def`"),
        (async_generator, "takes a `def`; async_generator is an `async def`"),
        (generator, r"Database.transaction\(\) takes a function that returns; generator has a `yield`"),
        (partial(partial(generator)), "partial has a `yield`"),
        (5, "decorates a function; got int"),
    ],
)
def test_a_sync_transaction_refuses_what_would_run_after_it(function: Any, problem: str) -> None:
    """Its session would be closed, and what it did lost."""
    with pytest.raises(ConfigurationError, match=problem):
        Database("sqlite://").transaction()(function)


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (plain, r"AsyncDatabase.transaction\(\) takes an `async def`; plain is none"),
        (partial(plain, number=1), "takes an `async def`; partial is none"),
        (Plain(), "takes an `async def`; Plain is none"),
        (generator, "takes an `async def`; generator is none"),
        (async_generator, "takes a function that returns; async_generator has a `yield`"),
        (None, "decorates a function; got NoneType"),
    ],
)
def test_an_async_transaction_refuses_what_cannot_be_awaited(function: Any, problem: str) -> None:
    """When it is decorated, not when it is called."""
    with pytest.raises(ConfigurationError, match=problem):
        AsyncDatabase("sqlite://").transaction()(function)


@pytest.mark.parametrize("make", [Database, AsyncDatabase])
def test_the_parentheses_are_missed(make: Any) -> None:
    """A decorator without them is told how it is written."""
    with pytest.raises(ConfigurationError, match=r"write @database\.transaction\(\) above the function"):
        make("sqlite://").transaction(coroutine)


@pytest.mark.parametrize("make", [Database, AsyncDatabase])
@pytest.mark.parametrize("retries", [-1, 4, True, "3", 1.0, None])
def test_retries_are_few(make: Any, retries: Any) -> None:
    """More of them only add load, and what is no number is none."""
    with pytest.raises(ConfigurationError, match="retries must be 0 to 3"):
        make("sqlite://").transaction(retries=retries)


@pytest.mark.parametrize("make", [Database, AsyncDatabase])
@pytest.mark.parametrize(
    ("timeout_s", "error"),
    [
        (0, ValueError), (-1, ValueError), (float("nan"), ValueError), (float("inf"), ValueError),
        (True, TypeError), ("2", TypeError), (None, TypeError),
    ],
)  # fmt: skip
def test_a_ping_has_a_time_limit(make: Any, timeout_s: Any, error: type[Exception]) -> None:
    """A positive number of seconds; anything else is a mistake and no outage."""
    with pytest.raises(error, match="timeout_s must be a"):
        asyncio.run(make("sqlite://").ping(timeout_s=timeout_s))


@pytest.mark.parametrize(
    ("make", "url", "options", "error"),
    [
        (Database, "mysql+pymysql://h/d", {}, ConfigurationError),
        (AsyncDatabase, "mysql+aiomysql://h/d", {}, ConfigurationError),
        (Database, "sqlite://", {"pool_szie": 5}, ConfigurationError),
        (AsyncDatabase, "sqlite://", {"pool_szie": 5}, ConfigurationError),
        (Database, "sqlite://", {"connect_args": {"no_such": 1}}, TypeError),
    ],
)
def test_a_ping_calls_no_mistake_an_outage(
    make: Any, url: str, options: dict[str, Any], error: type[Exception]
) -> None:
    """A driver that is not there, or options that it does not know, will not be there in a minute either."""
    with pytest.raises(error):
        asyncio.run(make(url, **options).ping())


@pytest.mark.parametrize("make", [Database, AsyncDatabase])
def test_a_ping_names_a_missing_extra(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the pip line."""
    monkeypatch.setattr("fastapi_patterns._optional.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"fastapi-patterns\[postgres\]"):
        asyncio.run(make("postgresql://h/d").ping())
