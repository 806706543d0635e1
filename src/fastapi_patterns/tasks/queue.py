"""`TaskQueue`: background tasks in the application's own process.

It promises nothing across a crash: a task that waits or runs when the process is killed is gone.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, Self

import anyio.to_thread
from starlette.requests import HTTPConnection

from fastapi_patterns._compat import is_async_callable
from fastapi_patterns._scrub import scrub
from fastapi_patterns.context import RequestContext, current_request, request_context, response_started
from fastapi_patterns.exceptions import ConfigurationError, ErrorInfo, ExceptionMap, PatternsError

__all__ = ["PendingTasks", "TaskQueue", "TaskQueueFullError", "exception_map"]

P = ParamSpec("P")

_log = logging.getLogger("fastapi_patterns.tasks")


class TaskQueueFullError(PatternsError):
    """The queue holds as many tasks as it may; the request is refused before it has done anything."""


def exception_map() -> ExceptionMap:
    """Map this room's failure to an answer: a full queue is 503 with `Retry-After`."""
    return {TaskQueueFullError: ErrorInfo(status=503, detail="Too much work is waiting", headers={"Retry-After": "1"})}


@dataclass(frozen=True, slots=True)
class _Task:
    call: Callable[[], Any]
    name: str
    request: RequestContext | None
    is_async: bool


class PendingTasks:
    """The tasks of one request, kept until it has committed: what `Depends(queue.pending)` gives a route."""

    def __init__(self, queue: "TaskQueue") -> None:
        self._queue = queue
        self._tasks: list[_Task] = []

    def add_task(self, func: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call `func(*args, **kwargs)` once the request has committed and its response is sent.

        Args:
            func: A function, sync (it runs in a thread) or async.
            args: Its arguments. Pass ids rather than rows: the request's session is closed by then.
            kwargs: Its keyword arguments.

        Raises:
            TaskQueueFullError: The queue is full; answered with 503.
        """
        self._queue._reserve()
        name = getattr(func, "__qualname__", type(func).__qualname__)
        request = current_request()
        of_request = None if request is None else request.snapshot()
        self._tasks.append(_Task(partial(func, *args, **kwargs), name, of_request, is_async_callable(func)))


class TaskQueue:
    """Runs background tasks one by one or side by side, each isolated from the others and from the request.

    `TasksDep = Annotated[PendingTasks, Depends(tasks.pending)]` lets a route say
    `tasks.add_task(send_email, user.email)`. The tasks start after the commit and the response; a request that ends
    with an exception starts none. A task that fails is logged once with the request id, and the next one runs.

    Pass it to `install_stack(app, resources=[...])` after the database and clients that its tasks use: resources
    close in reverse, so at shutdown the queue drains while they are still open.

    Args:
        max_concurrency: Tasks that run at the same time; the others wait.
        max_size: Tasks that may wait or run before `add_task` refuses more.
        drain_timeout_s: Seconds that shutdown waits for what is there; what is left is logged by name and dropped.

    Raises:
        ConfigurationError: A number is not positive.
    """

    def __init__(self, *, max_concurrency: int = 10, max_size: int = 1000, drain_timeout_s: float = 10.0) -> None:
        if max_concurrency < 1 or max_size < 1 or drain_timeout_s < 0:
            raise ConfigurationError("TaskQueue: max_concurrency and max_size must be at least 1, drain_timeout_s 0")
        self.max_concurrency = max_concurrency
        self._max_size = max_size
        self._drain_timeout_s = drain_timeout_s
        self._size = 0
        self._size_lock = threading.Lock()  # sync routes add tasks from worker threads
        self._waiting: asyncio.Queue[_Task] | None = None
        self._workers: list[asyncio.Task[None]] = []
        self._running: list[_Task] = []

    async def pending(self, connection: HTTPConnection) -> AsyncIterator[PendingTasks]:
        """Collect the tasks of one request: for `Depends(queue.pending)`.

        Raises:
            PatternsError: The queue is not running.
        """
        waiting = self._opened()
        batch = PendingTasks(self)
        try:
            yield batch
        except BaseException:
            # An exception before the response undid the commit or prevented it; a later one did not.
            if response_started(connection.scope).is_set():
                self._start(waiting, batch)
            else:
                self._release(len(batch._tasks))
            raise
        self._start(waiting, batch)

    async def join(self) -> None:
        """Wait until every task that has been started is done."""
        await self._opened().join()

    def exception_map(self) -> ExceptionMap:
        """Give the answers to this room's failures; `install_stack` asks for it."""
        return exception_map()

    async def __aenter__(self) -> Self:
        """Start the workers."""
        if self._waiting is not None:
            raise PatternsError("The TaskQueue is running already.")
        self._waiting = asyncio.Queue()
        limiter = anyio.CapacityLimiter(self.max_concurrency)  # apart from the threads that serve requests
        self._workers = [asyncio.create_task(self._work(self._waiting, limiter)) for _ in range(self.max_concurrency)]
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Finish what is there within the time limit, then stop and log by name what is abandoned."""
        waiting, self._waiting = self._opened(), None
        try:
            async with asyncio.timeout(self._drain_timeout_s):
                await waiting.join()
        except TimeoutError:
            left = [*self._running, *(waiting.get_nowait() for _ in range(waiting.qsize()))]
            _log.error("Shutdown abandons %d task(s): %s", len(left), ", ".join(task.name for task in left))
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers, self._running, self._size = [], [], 0

    def _opened(self) -> "asyncio.Queue[_Task]":
        if self._waiting is None:
            raise PatternsError(
                "The TaskQueue is not running. Pass it to install_stack(app, resources=[...]), "
                "or open it around its use with `async with`."
            )
        return self._waiting

    def _reserve(self) -> None:
        with self._size_lock:
            if self._size >= self._max_size:
                raise TaskQueueFullError(f"the TaskQueue is full: {self._max_size} tasks wait or run")
            self._size += 1

    def _release(self, count: int) -> None:
        with self._size_lock:
            self._size -= count

    def _start(self, waiting: "asyncio.Queue[_Task]", batch: PendingTasks) -> None:
        for task in batch._tasks:
            waiting.put_nowait(task)

    async def _work(self, waiting: "asyncio.Queue[_Task]", limiter: anyio.CapacityLimiter) -> None:
        while True:
            task = await waiting.get()
            self._running.append(task)
            try:
                with request_context(task.request):
                    await self._run(task, limiter)
            finally:
                self._running.remove(task)
                self._release(1)
                waiting.task_done()

    async def _run(self, task: _Task, limiter: anyio.CapacityLimiter) -> None:
        try:
            if task.is_async:
                await task.call()
            else:
                await anyio.to_thread.run_sync(task.call, limiter=limiter)
        except Exception as error:
            _log.error("Task %s failed", task.name, exc_info=scrub(error))
