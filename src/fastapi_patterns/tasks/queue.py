"""`TaskQueue`: background tasks in the application's own process, or on an engine that runs them elsewhere.

In its own process it promises nothing across a crash: a task that waits or runs when the process is killed is gone.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, ClassVar, Literal, ParamSpec, Self, TypeVar, overload

from starlette.requests import HTTPConnection

from fastapi_patterns.context import current_request, response_started
from fastapi_patterns.exceptions import ConfigurationError, ErrorInfo, ExceptionMap, PatternsError
from fastapi_patterns.tasks.embedded import EmbeddedWorker, in_a_job
from fastapi_patterns.tasks.engine import EngineRun, HandOverError, TaskEngine, pending_on
from fastapi_patterns.tasks.pending import PendingTasks, is_answer, pending_of
from fastapi_patterns.tasks.task import Job, Task, TaskRules, default_name

__all__ = ["TaskQueue", "TaskQueueFullError", "exception_map"]

P = ParamSpec("P")
R = TypeVar("R")

_NOT_RUNNING = (
    "The TaskQueue is not running. It runs with the application's lifespan, if it is one of install_stack's resources: "
    "an application that is called without one, as httpx2's ASGITransport does, has not started; in tests use "
    "`with TestClient(app)` or async_client. Elsewhere open the queue around its use with `async with`."
)
_NOT_PENDING = (
    "{name}.enqueue() in a request needs its commit: let the route depend on queue.pending, or the whole application, "
    "FastAPI(dependencies=[Depends(queue.pending)])"
)


class TaskQueueFullError(PatternsError):
    """The queue holds as many tasks as it may; the request is refused before it has done anything."""


def exception_map() -> ExceptionMap:
    """Map this room's failures to answers: a full queue is 503 with `Retry-After`, a lost engine 503."""
    retry = {"Retry-After": "1"}
    return {
        TaskQueueFullError: ErrorInfo(status=503, detail="Too much work is waiting", headers=retry),
        HandOverError: ErrorInfo(status=503, detail="Work for later could not be handed over"),
    }


class TaskQueue:
    """Background tasks, of which nothing is promised across a crash: those that wait or run when it comes are gone.

    Short of that each is done, isolated from the others and from the request.

    `TasksDep = Annotated[PendingTasks, Depends(tasks.pending)]` lets a route say
    `tasks.add_task(send_email, user.email)`. The tasks start after the commit and the response; a request that ends
    with an exception starts none. A task that fails is logged once with the request id, and the next one runs.

    With an engine the same functions run in other processes, and what they promise is the engine's promise; see
    `ProcrastinateEngine` and `TaskiqEngine`. Decorate them with `@tasks.task`. The other arguments but
    `on_http_exception` are for the queue without an engine.

    Pass it to `install_stack(app, resources=[...])` after the database and clients that its tasks use: resources
    close in reverse, so at shutdown the queue drains while they are still open.

    Args:
        engine: Runs the tasks elsewhere; None for here.
        max_concurrency: Tasks that run at the same time; the others wait.
        max_size: Tasks that may wait or run before the queue is full.
        when_full: `"refuse"`: `add_task` raises, and the request is answered with 503. `"wait"`: a request that depends
            on `pending` waits at its start until there is room; each that is let in may still add more than one.
        on_http_exception: What becomes of the tasks of a request that a route ends with an `HTTPException` or
            `AppException`: `"drop"`, as its rows are rolled back; or `"keep"`, to note a failed login for example. Any
            other exception drops them.
        drain_timeout_s: Seconds that shutdown waits for what is there; what is left is logged by name and dropped.

    Raises:
        ConfigurationError: A number is not positive, or a choice is not one of those above.

    Attributes:
        pending: The dependency that collects the tasks of a request: `Depends(queue.pending)`.
        tasks: Those made with `@queue.task`, by name.
    """

    pending: Callable[..., Any]

    # What takes a committed task in place of the workers: set by `fastapi_patterns.testing` alone. It goes on with
    # `run_job(job)` or `log_failure(job, error)`, within the task's request.
    _capture: "ClassVar[Callable[[TaskQueue, Job], None] | None]" = None
    # Tests do not wait before another attempt.
    _retries_wait: ClassVar[bool] = True
    # Nor do they need the engine: its tasks run here.
    _in_process: ClassVar[bool] = False

    def __init__(
        self,
        engine: TaskEngine | None = None,
        *,
        max_concurrency: int = 10,
        max_size: int = 1000,
        when_full: Literal["refuse", "wait"] = "refuse",
        on_http_exception: Literal["drop", "keep"] = "drop",
        drain_timeout_s: float = 10.0,
    ) -> None:
        if max_concurrency < 1 or max_size < 1 or drain_timeout_s < 0:
            raise ConfigurationError("TaskQueue: max_concurrency and max_size must be at least 1, drain_timeout_s 0")
        if when_full not in ("refuse", "wait") or on_http_exception not in ("drop", "keep"):
            raise ConfigurationError('TaskQueue: when_full is "refuse" or "wait", on_http_exception "drop" or "keep"')
        self.max_concurrency = max_concurrency
        self.tasks: dict[str, Task[..., Any]] = {}
        self._max_size = max_size
        self._waits = when_full == "wait"
        self._keeps = on_http_exception == "keep"
        self._drain_timeout_s = drain_timeout_s
        self._size = 0
        self._size_lock = threading.Lock()  # sync routes add tasks from worker threads
        self._has_room: asyncio.Event | None = None
        self._worker: EmbeddedWorker | None = None
        self._engine = engine
        self._run = None if engine is None else EngineRun(self, engine)
        self._runs = False
        self.pending = self._collect if engine is None else pending_on(self, engine)

    @overload
    def task(self, func: Callable[P, R]) -> Task[P, R]: ...
    @overload
    def task(
        self,
        *,
        name: str | None = None,
        max_attempts: int = 1,
        retry_wait_s: float = 1.0,
        max_retry_wait_s: float = 60.0,
        timeout_s: float | None = None,
    ) -> Callable[[Callable[P, R]], Task[P, R]]: ...
    def task(
        self,
        func: Any = None,
        *,
        name: str | None = None,
        max_attempts: int = 1,
        retry_wait_s: float = 1.0,
        max_retry_wait_s: float = 60.0,
        timeout_s: float | None = None,
    ) -> Any:
        """Make a task of a function, with rules of its own: `@queue.task` or `@queue.task(max_attempts=5)`.

        It is called as before, may be given to `add_task`, and has `enqueue(...)`.

        Args:
            func: The function, sync or async.
            name: What log lines and engines call it; module and name of the function by default.
            max_attempts: How often it is tried before its failure is logged as an error.
            retry_wait_s: The longest wait after the first attempt; it doubles with each, and the real one is random
                below it, so that tasks which failed together do not come back together.
            max_retry_wait_s: What the longest wait grows to.
            timeout_s: How long an attempt may take; no limit by default. An async function is cancelled then, a sync
                one goes on in its thread.

        Raises:
            ConfigurationError: Another task of the queue has this name, or a number cannot be.
        """

        rules = TaskRules(
            max_attempts=max_attempts,
            retry_wait_s=retry_wait_s,
            max_retry_wait_s=max_retry_wait_s,
            timeout_s=timeout_s,
        )

        def decorate(func: Callable[..., Any]) -> Task[..., Any]:
            found = name or default_name(func)
            if found in self.tasks:
                raise ConfigurationError(f"two tasks are called {found!r}: give one of them name=...")
            made = self.tasks[found] = Task(self, func, found, rules)
            if self._engine is not None:
                self._engine.register(made)
            return made

        return decorate if func is None else decorate(func)

    async def join(self) -> None:
        """Wait until every task that has been started is done, those apart whose delay has not passed.

        With an engine: until what was left outside of requests is handed over.
        """
        if self._run is not None and self._worker is None:
            await self._run.join()
        else:
            await self._opened().join()

    def exception_map(self) -> ExceptionMap:
        """Give the answers to this room's failures; `install_stack` asks for it."""
        return exception_map()

    async def __aenter__(self) -> Self:
        """Start the workers, or open the engine."""
        if self._runs:
            raise PatternsError("The TaskQueue is running already.")
        if self._engine is not None and not self._in_process:
            await self._engine.__aenter__()
        else:
            self._has_room = asyncio.Event()
            self._worker = EmbeddedWorker(self.max_concurrency, self._release, retries_wait=self._retries_wait)
        self._runs = True
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Finish what is there within the time limit, then stop and log by name what is abandoned."""
        self._runs = False
        if self._engine is not None and self._worker is None:
            await self.join()
            await self._engine.__aexit__(*exc)
            return
        worker = self._opened()
        await worker.stop(self._drain_timeout_s)
        self._worker, self._size = None, 0

    async def _collect(self, connection: HTTPConnection) -> AsyncIterator[PendingTasks]:
        worker = self._opened()
        if self._waits:
            await self._room()
        batch = PendingTasks(self)
        with batch.at_hand():
            try:
                yield batch
            except BaseException as error:
                batch._is_open = False
                # An exception before the response undid the commit or prevented it; a later one did not.
                if response_started(connection.scope).is_set() or (self._keeps and is_answer(error)):
                    self._start(worker, batch.take())
                else:
                    self._release(len(batch.take()))
                raise
        batch._is_open = False
        self._start(worker, batch.take())

    def _opened(self) -> EmbeddedWorker:
        if self._worker is None:
            raise PatternsError(_NOT_RUNNING)
        return self._worker

    def _running_engine(self) -> EngineRun:
        if self._run is None or not self._runs:
            raise PatternsError(_NOT_RUNNING)
        return self._run

    def _enqueue(self, job: Job) -> None:
        """Leave a job to the request at hand, or start it at once where there is none."""
        batch = pending_of(self)
        if batch is not None:
            batch._add(job)
        elif current_request() is not None and not in_a_job.get():
            raise PatternsError(_NOT_PENDING.format(name=job.name))
        else:
            self._start_now(job)

    def _start_now(self, job: Job) -> None:
        request = current_request()
        job.request = None if request is None else request.snapshot()
        if self._run is not None:
            self._run.start_now(job)
            return
        worker = self._opened()
        self._reserve()
        self._start(worker, [job])

    def _start(self, worker: EmbeddedWorker | None, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if self._capture is not None:
                self._release()
                self._capture(job)
            elif worker is not None:
                worker.put(job)

    def _start_here(self, jobs: Sequence[Job]) -> None:
        """Start, in a test, what is an engine's in production."""
        with self._size_lock:
            self._size += len(jobs)
        self._start(self._worker, jobs)

    def _reserve(self) -> None:
        with self._size_lock:
            if self._size >= self._max_size and not self._waits:
                raise TaskQueueFullError(f"the TaskQueue is full: {self._max_size} tasks wait or run")
            self._size += 1

    def _release(self, count: int = 1) -> None:
        with self._size_lock:
            self._size -= count
        if self._has_room is not None:
            self._has_room.set()

    async def _room(self) -> None:
        while self._size >= self._max_size and self._has_room is not None:
            self._has_room.clear()
            await self._has_room.wait()
