"""`captured_tasks`: background work that a test keeps, to look at it, run it or let it fail."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import Context, copy_context
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, overload

import anyio
import pytest
from starlette.background import BackgroundTask

from fastapi_patterns.context import request_context
from fastapi_patterns.exceptions import PatternsError
from fastapi_patterns.tasks import TaskQueue
from fastapi_patterns.tasks.embedded import log_failure, run_job
from fastapi_patterns.tasks.task import Job, Task, default_name

if TYPE_CHECKING:
    from anyio.from_thread import BlockingPortal

    from fastapi_patterns.testing.isolation import Isolation

__all__ = ["CapturedTask", "CapturedTasks", "captured_tasks"]

# The plugin's client is looked for first: it runs beside a `client` of the project's own.
_CLIENTS = ("_fastapi_client", "client")


class CapturedTask:
    """A background task that was kept instead of run.

    Attributes:
        func: The function or `Task`; of a `functools.partial` the function inside.
        args: Its arguments, those of a `functools.partial` included.
        kwargs: Its keyword arguments, likewise.
        delay: How long it would wait first, by `delayed(...)`.
    """

    def __init__(
        self,
        tasks: "CapturedTasks",
        call: "partial[Any]",
        within: Callable[[], AbstractContextManager[None]],
        run: Callable[[], Awaitable[Any]],
        fail: Callable[[Exception], Awaitable[None]],
        job: Job | None = None,
    ) -> None:
        self.func: Callable[..., Any] = (job and job.task) or call.func
        self.delay = timedelta(seconds=job.delay_s if job else 0)
        self.args: tuple[Any, ...] = call.args
        self.kwargs: dict[str, Any] = call.keywords
        self._tasks = tasks
        self._within = within
        self._run = run
        self._fail = fail

    @property
    def name(self) -> str:
        """The task's own name, or that of the function as code writes it: `send_welcome`, `Mailer.send`."""
        if isinstance(self.func, Task) and self.func.name != default_name(self.func.func):
            return self.func.name
        name = str(getattr(self.func, "__qualname__", type(self.func).__qualname__))
        return name.rpartition("<locals>.")[2]

    def fail(self, error: Exception) -> None:
        """Let the task fail in a sync test: its function is not called, and what follows a failure happens.

        A task of a `TaskQueue` fails in the queue, which logs it. Starlette's tasks have nobody who takes a failure:
        the error is raised here.

        Args:
            error: What the function is taken to have raised.

        Raises:
            PatternsError: The task was run or failed already.
            Failed: The test is async.
        """
        __tracebackhide__ = True
        self._tasks._call(self.fail_async, error)

    async def fail_async(self, error: Exception) -> None:
        """Let the task fail in an async test; see `fail`."""
        __tracebackhide__ = True
        with self._tasks._taken(self):
            await self._fail(error)

    def __repr__(self) -> str:
        # No values: they may be secrets, and a failed comparison prints this.
        return f"<CapturedTask {self.name} with {len(self.args) + len(self.kwargs)} argument(s)>"


class CapturedTasks(Sequence[CapturedTask]):
    """The background tasks that the test has left so far, oldest first; the fixture `captured_tasks`.

    A task that was run or failed is taken out, so what is there has yet to happen.

    Args:
        portal: The event loop in which the test's client serves; None where there is no such client.
        isolation: Of the test, whose databases tasks see as requests do.
    """

    def __init__(self, portal: "BlockingPortal | None", isolation: "Isolation | None") -> None:
        self._portal = portal
        self._isolation = isolation
        self._kept: list[CapturedTask] = []

    @overload
    def __getitem__(self, index: int) -> CapturedTask: ...
    @overload
    def __getitem__(self, index: slice) -> list[CapturedTask]: ...
    def __getitem__(self, index: int | slice) -> CapturedTask | list[CapturedTask]:
        return self._kept[index]

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return repr(self._kept)

    @property
    def names(self) -> list[str]:
        """The names of the functions."""
        return [task.name for task in self._kept]

    def run(self) -> None:
        """Run the tasks that are there, in order, in a sync test; what they raise is raised here.

        They run in the event loop of the test's `client`. What they add is captured in turn, and waits for the next
        `run`. After one that fails, those behind it are still there.

        Raises:
            Failed: The test is async.
        """
        __tracebackhide__ = True
        self._call(self.run_async)

    async def run_async(self) -> None:
        """Run the tasks that are there, in order, in an async test; see `run`."""
        for task in tuple(self._kept):
            with self._taken(task):
                await task._run()

    def fail(self, error: Exception) -> None:
        """Let all the tasks that are there fail, in a sync test; see `CapturedTask.fail`."""
        __tracebackhide__ = True
        self._call(self.fail_async, error)

    async def fail_async(self, error: Exception) -> None:
        """Let all the tasks that are there fail, in an async test."""
        for task in tuple(self._kept):
            await task.fail_async(error)

    @contextmanager
    def capturing(self) -> Iterator["CapturedTasks"]:
        """Keep every task that would start meanwhile."""
        run_it = BackgroundTask.__call__

        async def keep(task: BackgroundTask) -> None:
            call = partial(task.func, *task.args, **task.kwargs)
            within = partial(_restored, copy_context())
            self._kept.append(CapturedTask(self, call, within, partial(run_it, task), _raise))

        def keep_queued(_queue: TaskQueue, job: Job) -> None:
            async def fail(error: Exception) -> None:
                log_failure(job, error)

            within = partial(request_context, job.request)
            self._kept.append(CapturedTask(self, job.call, within, partial(run_job, job), fail, job))

        # The classes: Starlette's tasks are made by each request, and mounted applications have queues of their own.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(BackgroundTask, "__call__", keep)
            patch.setattr(TaskQueue, "_capture", keep_queued)
            yield self

    def _call(self, function: Callable[..., Awaitable[None]], *args: Any) -> None:
        __tracebackhide__ = True
        if _in_event_loop():
            name = function.__name__
            pytest.fail(f"an async test writes `await {name}(...)`: it has an event loop of its own", pytrace=False)
        if self._portal is None:
            anyio.run(partial(function, *args))
        else:
            self._portal.call(partial(function, *args))

    @contextmanager
    def _taken(self, task: CapturedTask) -> Iterator[None]:
        """Take a task out, and be where it would run."""
        __tracebackhide__ = True
        if task not in self._kept:
            raise PatternsError(f"{task!r} was run or failed already; captured_tasks has what is left.")
        self._kept.remove(task)
        with nullcontext() if self._isolation is None else self._isolation.served(), task._within():
            yield


@pytest.fixture
def captured_tasks(request: pytest.FixtureRequest, _fastapi_isolation: "Isolation | None") -> Iterator[CapturedTasks]:
    """The background tasks that the test's requests left, kept instead of run: look at them, run them, fail them.

    Those of every `TaskQueue` and of Starlette's `BackgroundTasks`. What nobody ran is dropped after the test.
    """
    # Here and not at the call: an async fixture cannot be set up while the test's event loop runs.
    clients = [request.getfixturevalue(name) for name in _CLIENTS if name in request.fixturenames]
    portals = (getattr(client, "portal", None) for client in clients)
    with CapturedTasks(next(filter(None, portals), None), _fastapi_isolation).capturing() as tasks:
        yield tasks


async def _raise(error: Exception) -> None:
    raise error


@contextmanager
def _restored(context: Context) -> Iterator[None]:
    """Set the variables of a request again, which Starlette's tasks see in production."""
    tokens = [(variable, variable.set(value)) for variable, value in context.items()]
    try:
        yield
    finally:
        for variable, token in reversed(tokens):
            variable.reset(token)


def _in_event_loop() -> bool:
    try:
        anyio.get_current_task()
    except RuntimeError:
        return False
    return True
