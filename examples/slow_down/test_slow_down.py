"""Who has to wait, and for how long."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from limits.aio.storage import MemoryStorage

from examples.slow_down.guard import LoginGuard, place_of


def test_guesses_are_slowed_down(client: TestClient) -> None:
    """After ten attempts for a name from one address, the right password has to wait too."""
    statuses = [
        client.post("/auth/login", data={"username": "nobody", "password": "wrong"}).status_code for _ in range(11)
    ]
    assert statuses == [401] * 10 + [429]
    answer = client.post("/auth/login", data={"username": "Nobody ", "password": "right"})
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 15 * 60
    login = client.post("/auth/login", data={"username": "ada", "password": "correct horse"})
    assert login.status_code == 200  # another name


class Guarded:
    """A guard that remembers how long it slept."""

    def __init__(self, **settings: Any) -> None:
        self.slept: list[float] = []

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        settings = {"store": MemoryStorage(wrap_exceptions=True), "when_store_is_down": "refuse", **settings}
        self.guard = LoginGuard(sleep=sleep, **settings)


def test_one_address_has_a_hundred_attempts() -> None:
    """Whatever the names; all addresses of one IPv6 network are one."""

    async def work() -> None:
        guard = Guarded().guard
        for number in range(100):
            assert await guard(f"user-{number}", f"2001:db8::{number:x}") is None
        assert isinstance(await guard("another", "2001:db8::ffff"), timedelta)
        assert await guard("another", "2001:db8:0:1::1") is None

    asyncio.run(work())


def test_nobody_can_lock_an_account() -> None:
    """From many addresses an account is slowed down, and still open."""

    async def work() -> None:
        guarded = Guarded()
        for number in range(52):
            assert await guarded.guard("ada", f"192.0.2.{number}") is None
        assert guarded.slept == [3.0, 3.0]

    asyncio.run(work())


@pytest.mark.parametrize(("choice", "waits"), [("refuse", timedelta(seconds=30)), ("allow", None)])
def test_a_store_that_is_down(choice: str, waits: timedelta | None, caplog: pytest.LogCaptureFixture) -> None:
    """Does what was chosen, and says so in the log."""

    class Down(MemoryStorage):
        @property
        def base_exceptions(self) -> type[Exception]:
            return ConnectionError

        async def acquire_entry(self, *_: Any, **__: Any) -> bool:
            raise ConnectionError("refused")

    async def work() -> None:
        guarded = Guarded(store=Down(wrap_exceptions=True), when_store_is_down=choice)
        assert await guarded.guard("ada", "192.0.2.1") == waits

    asyncio.run(work())
    assert [record.message for record in caplog.records] == ["attempts to log in are not counted: ConnectionError"]


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("testclient", "unknown"),
        (None, "unknown"),
    ],
)
def test_the_place_of_an_address(address: str | None, place: str) -> None:
    """What one attacker can choose is one place."""
    assert place_of(address) == place
