"""Notes what a test leaves behind: tasks and threads here, connections in its neighbour. For `assert_no_leaks`.

What libraries begin by themselves, with no line of the application or the test behind it, is theirs to end.
"""

import asyncio
import concurrent.futures.thread
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import pytest

from fastapi_patterns.testing._origin import Origin, origin

if TYPE_CHECKING:
    from fastapi_patterns.testing._watched_databases import DatabaseWatch

__all__ = ["Watch"]

# What is about to end when the test does may take this long.
_ENDING_S = 0.5
_POLL_S = 0.005
# These wait for the next call by design, and end with their loop or the process: anyio's, aiosqlite's (whose
# connections are noted themselves), and those of pytest's plugins; so do an executor's, asyncio's among them.
_WAITING_BY_DESIGN = ("AnyIO worker thread", "_connection_worker_thread", "pytest")

_WHAT_TO_DO = "Close connections and sessions (a `with` block does), await or cancel tasks, join threads."


class Watch:
    """What one test leaves behind."""

    def __init__(self) -> None:
        self._left: list[str] = []
        self._connections: DatabaseWatch | None = None
        self._loops: dict[asyncio.AbstractEventLoop, _LoopWatch] = {}

    @contextmanager
    def active(self) -> Iterator[None]:
        """Watch the process until the block ends, and fail over what is left then."""
        __tracebackhide__ = True
        with ExitStack() as watching:
            if find_spec("sqlalchemy") is not None:
                from fastapi_patterns.testing._watched_databases import DatabaseWatch

                self._connections = DatabaseWatch()
                watching.enter_context(self._connections.active())
            threads = _ThreadWatch()
            watching.enter_context(threads.active())
            yield
            self._left += threads.left()  # a thread that is ending may be giving its connection back
            self._left += [] if self._connections is None else self._connections.left()
        if self._left:
            lines = "\n".join(f"  {each}" for each in self._left)
            pytest.fail(f"The test left these behind:\n{lines}\n{_WHAT_TO_DO}", pytrace=False)

    def enter_loop(self) -> None:
        """Watch the running loop; the tasks that it has are not the test's."""
        loop = asyncio.get_running_loop()
        self._loops[loop] = _LoopWatch(loop)

    async def leave_loop(self) -> None:
        """Note what has not ended, before the loop ends, and cancels tasks and closes generators in silence."""
        loop = asyncio.get_running_loop()
        watched = self._loops.pop(loop, None)
        if watched is not None:
            self._left += await watched.left()
            self._left += [] if self._connections is None else self._connections.left(loop)


class _LoopWatch:
    """The tasks of an event loop, and where they were made."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._before = asyncio.all_tasks(loop)
        self._origins: WeakKeyDictionary[Any, Origin | None] = WeakKeyDictionary()
        self._factory: Any = loop.get_task_factory()
        self._own_factory = self._make
        loop.set_task_factory(self._own_factory)

    async def left(self) -> list[str]:
        deadline = time.monotonic() + _ENDING_S
        while self._pending() and time.monotonic() < deadline:  # noqa: ASYNC110  # nothing tells when all have ended
            await asyncio.sleep(_POLL_S)
        if self._loop.get_task_factory() is self._own_factory:
            self._loop.set_task_factory(self._factory)
        return sorted(
            f"task {task.get_name()} ({_coroutine(task)}), made at {self._origins[task]}" for task in self._pending()
        )

    def _pending(self) -> list[asyncio.Task[Any]]:
        this = asyncio.current_task()
        later = [task for task in asyncio.all_tasks(self._loop) if task is not this and task not in self._before]
        return [task for task in later if self._origins.get(task) is not None]

    def _make(self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        if self._factory is None:
            task: Any = asyncio.Task(coro, loop=loop, **options)
        else:
            task = self._factory(loop, coro, **options)
        self._origins[task] = origin()
        return task


class _ThreadWatch:
    """The threads of the process, and where they were started."""

    def __init__(self) -> None:
        self._before = set(threading.enumerate())
        self._origins: WeakKeyDictionary[threading.Thread, Origin | None] = WeakKeyDictionary()

    @contextmanager
    def active(self) -> Iterator[None]:
        start = threading.Thread.start

        def noted(thread: threading.Thread) -> None:
            self._origins[thread] = origin()
            start(thread)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(threading.Thread, "start", noted)
            yield

    def left(self) -> list[str]:
        started = [thread for thread in threading.enumerate() if thread not in self._before]
        deadline = time.monotonic() + _ENDING_S
        left = []
        for thread in started:
            of_an_executor = thread in concurrent.futures.thread._threads_queues
            if of_an_executor or self._origins.get(thread) is None:
                continue
            if not any(name in thread.name for name in _WAITING_BY_DESIGN):
                thread.join(max(0.0, deadline - time.monotonic()))
                left += [thread] if thread.is_alive() else []
        return sorted(f"thread {thread.name}, started at {self._origins[thread]}" for thread in left)


def _coroutine(task: asyncio.Task[Any]) -> str:
    coroutine = task.get_coro()
    return str(getattr(coroutine, "__qualname__", coroutine))
