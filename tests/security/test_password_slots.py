"""Hashing from coroutines and threads: bounded, safe to cancel, and bound to no event loop."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import Argon2Params, PasswordError, PasswordHasher, _argon2
from fastapi_patterns.security._slots import Slots

PASSWORD = "correct horse battery staple"


class Gate:
    """A call that stays until it is let go, and counts who is inside."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Semaphore(0)
        self.inside = self.most = self.calls = 0
        self._lock = threading.Lock()

    def __call__(self) -> str:
        with self._lock:
            self.inside += 1
            self.calls += 1
            self.most = max(self.most, self.inside)
        self.entered.release()
        assert self.open.wait(10)
        with self._lock:
            self.inside -= 1
        return "done"


def wait_for(semaphore: threading.Semaphore, times: int) -> None:
    """Wait until that many calls are inside."""
    for _ in range(times):
        assert semaphore.acquire(timeout=10)


@pytest.fixture
def hasher() -> PasswordHasher:
    """A cheap hasher."""
    return PasswordHasher(Argon2Params.FOR_TESTS_ONLY)


def test_coroutines_do_what_functions_do(hasher: PasswordHasher) -> None:
    """The same answers, and the same errors."""

    async def use() -> None:
        stored = await hasher.ahash(PASSWORD)
        assert stored.startswith("$argon2id$")
        assert await hasher.averify(PASSWORD, stored) is True
        assert await hasher.averify("wrong", stored) is False
        assert await hasher.averify(PASSWORD, None) is False
        assert await hasher.averify_and_update(PASSWORD, stored) == (True, None)
        assert await hasher.averify_and_update(PASSWORD, None) == (False, None)
        with pytest.raises(PasswordError, match="valid Unicode text"):
            await hasher.ahash("\ud800")

    asyncio.run(use())


def test_a_coroutine_leaves_the_event_loop_free(hasher: PasswordHasher, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work is done in another thread."""
    threads: list[threading.Thread] = []
    write = _argon2.write

    def noting(password: bytes, params: Argon2Params) -> str:
        threads.append(threading.current_thread())
        return write(password, params)

    monkeypatch.setattr(_argon2, "write", noting)
    asyncio.run(hasher.ahash(PASSWORD))
    hasher.hash(PASSWORD)
    assert threads[0].name.startswith("passwords")  # our own, not those that serve others
    assert threads[1] is threading.main_thread()


def test_no_more_run_at_once_than_there_are_slots() -> None:
    """Forty coroutines and ten threads at once: two are inside, and all come through."""
    slots, gate = Slots(2), Gate()

    async def storm() -> list[str]:
        waiting = [asyncio.ensure_future(slots.arun(gate)) for _ in range(40)]
        await asyncio.to_thread(wait_for, gate.entered, 2)
        gate.open.set()
        return await asyncio.gather(*waiting)

    with ThreadPoolExecutor(10) as threads:
        calls = [threads.submit(slots.run, gate) for _ in range(10)]
        answers = asyncio.run(storm())
        assert [call.result(10) for call in calls] == ["done"] * 10
    assert answers == ["done"] * 40
    assert (gate.calls, gate.most) == (50, 2)


def test_a_cancelled_caller_does_not_free_the_slot() -> None:
    """Who is cancelled leaves at once; the slot is the thread's until its work is done; who only waited never runs."""
    slots, first, dropped, last = Slots(1), Gate(), Gate(), Gate()
    last.open.set()

    async def cancel() -> None:
        running = asyncio.ensure_future(slots.arun(first))
        await asyncio.to_thread(wait_for, first.entered, 1)
        waiting = asyncio.ensure_future(slots.arun(dropped))
        await asyncio.sleep(0)
        for task in (running, waiting):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        following = asyncio.ensure_future(slots.arun(last))
        await asyncio.sleep(0)
        assert (first.inside, last.calls) == (1, 0)
        first.open.set()
        assert await following == "done"

    asyncio.run(cancel())
    assert (first.calls, dropped.calls, last.calls) == (1, 0, 1)


MEASURE = """
import asyncio, resource, sys
from fastapi_patterns.security import Argon2Params, PasswordHasher

hasher = PasswordHasher(Argon2Params(memory_cost=32 * 1024, time_cost=2), max_concurrency=2)
stored = hasher.hash("x")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

async def logins():
    return await asyncio.gather(*(hasher.averify("x", stored) for _ in range(20)))

assert asyncio.run(logins()) == [True] * 20
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_the_memory_of_many_logins_is_that_of_the_slots() -> None:
    """Twenty at once over two slots take one hash more than one at a time, not nineteen."""
    more = int(subprocess.check_output([sys.executable, "-c", MEASURE], text=True))
    assert more < 32 + 24  # MiB: a second hash, and some for threads


def test_one_hasher_serves_many_event_loops(hasher: PasswordHasher) -> None:
    """One after the other, as tests have them, and at the same time in threads."""
    stored = hasher.hash(PASSWORD)

    def in_a_loop_of_its_own(_: int) -> bool:
        return asyncio.run(hasher.averify(PASSWORD, stored))

    assert [in_a_loop_of_its_own(0), in_a_loop_of_its_own(1)] == [True, True]
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(in_a_loop_of_its_own, range(8))) == [True] * 8


def test_a_call_that_fails_gives_its_slot_back() -> None:
    """An exception goes to the caller, and the next one runs."""
    slots = Slots(1)

    def fail() -> None:
        raise LookupError("no such thing")

    runs: list[Callable[[], object]] = [lambda: slots.run(fail), lambda: asyncio.run(slots.arun(fail))]
    for run in runs:
        with pytest.raises(LookupError, match="no such thing"):
            run()
    assert slots.run(lambda: "next") == "next"


def test_no_slots_are_refused() -> None:
    """The message says what must hold."""
    with pytest.raises(ConfigurationError, match="max_concurrency must be an integer of at least 1; got 0"):
        PasswordHasher(max_concurrency=0)


def test_the_hasher_works_in_its_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every public method takes one slot, and none takes two."""
    hasher = PasswordHasher(Argon2Params.FOR_TESTS_ONLY, max_concurrency=1)
    stored = hasher.hash(PASSWORD)
    assert hasher.verify(PASSWORD, stored) is True
    assert hasher.verify_and_update(PASSWORD, stored) == (True, None)
    gate = Gate()
    monkeypatch.setattr(_argon2, "write", lambda password, params: gate())
    with ThreadPoolExecutor(3) as threads:
        calls = [threads.submit(hasher.hash, PASSWORD), threads.submit(lambda: asyncio.run(hasher.ahash(PASSWORD)))]
        wait_for(gate.entered, 1)
        gate.open.set()
        assert [call.result(10) for call in calls] == ["done", "done"]
    assert gate.most == 1
