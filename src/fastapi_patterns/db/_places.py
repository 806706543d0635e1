"""As many sync sessions at a time as the pool has connections: the others wait on the event loop, not in a thread.

Without it, sync requests can stop each other: those that hold a connection wait for a thread to run in, and every
thread is held by one that waits for a connection, until the pool's timeout.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, QueuePool
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

__all__ = ["Places"]


class Places:
    """The places of one engine.

    Args:
        engine: Says by its pool how many there are, and how long to wait for one. A pool without a limit has no limit.
    """

    def __init__(self, engine: Engine | None) -> None:
        pool = None if engine is None else engine.pool
        self._timeout_s: float | None = None
        self._count: int | None = None
        if isinstance(pool, QueuePool):
            more: int = pool._max_overflow
            self._timeout_s = pool.timeout()
            self._count = None if more < 0 else pool.size() + more
        self._free: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold one place.

        Raises:
            sqlalchemy.exc.TimeoutError: None was free in time, as the pool itself would say.
        """
        if self._count is None:
            yield
            return
        loop = asyncio.get_running_loop()
        free = self._free.get(loop)
        if free is None:
            free = self._free[loop] = asyncio.Semaphore(self._count)
        if free.locked():
            await self._wait(free)
        else:
            await free.acquire()  # returns at once
        try:
            yield
        finally:
            free.release()

    async def _wait(self, free: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(self._timeout_s):
                await free.acquire()
        except TimeoutError:
            raise PoolTimeoutError(
                f"no session within {self._timeout_s} s: all {self._count} connections of the pool are in use"
            ) from None
