"""How many hashes may be computed at once, from threads and from coroutines together."""

import threading
from collections.abc import Callable
from typing import TypeVar

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security._checks import are_integers

__all__ = ["Slots"]

T = TypeVar("T")


class Slots:
    """Runs calls in at most `size` threads at once.

    A slot is the thread's, not the caller's: who is cancelled leaves at once, and the slot is taken until the work is
    really done; what was still waiting then never runs. (A limiter that the coroutine holds, as in
    `anyio.to_thread.run_sync`, is released when its task is cancelled, while the thread and its memory stay.)
    Nothing is bound to an event loop, so that any number of loops may share one object.
    """

    def __init__(self, size: int) -> None:
        if not are_integers(size) or size < 1:
            raise ConfigurationError(f"max_concurrency must be an integer of at least 1; got {size!r}")
        # Like asyncio below, one of the dearest imports of this room; verifying tokens needs neither.
        from concurrent.futures import ThreadPoolExecutor

        self._free = threading.BoundedSemaphore(size)
        self._threads = ThreadPoolExecutor(size, thread_name_prefix="passwords")  # starts threads when they are needed

    def run(self, call: Callable[[], T]) -> T:
        """Wait for a slot, and call in this thread."""
        with self._free:
            return call()

    async def arun(self, call: Callable[[], T]) -> T:
        """Call in a thread of our own, when one is free."""
        import asyncio

        return await asyncio.get_running_loop().run_in_executor(self._threads, self.run, call)
