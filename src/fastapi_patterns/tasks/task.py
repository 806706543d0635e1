"""`Task`: a function that `TaskQueue.task` has made one, and a call of it that waits to be run."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial, update_wrapper
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar

from fastapi_patterns._compat import is_async_callable
from fastapi_patterns.context import RequestContext
from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.tasks._arguments import check_arguments

if TYPE_CHECKING:
    from fastapi_patterns.tasks.queue import TaskQueue

__all__ = ["DelayedTask", "Job", "Task", "TaskRules", "default_name"]

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRules:
    """How often a task is tried, and for how long."""

    max_attempts: int = 1
    retry_wait_s: float = 1.0
    max_retry_wait_s: float = 60.0
    timeout_s: float | None = None

    def __post_init__(self) -> None:
        if self.max_attempts < 1 or self.retry_wait_s < 0 or self.max_retry_wait_s < 0:
            raise ConfigurationError("task: max_attempts must be at least 1, the waits must not be negative")
        if self.timeout_s is not None and self.timeout_s <= 0:
            raise ConfigurationError("task: timeout_s must be positive, or None for no limit")

    def wait_after(self, attempt: int) -> float:
        """Choose how long to wait after an attempt that failed: exponential backoff with full jitter.

        Source: "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
        """
        longest = min(self.max_retry_wait_s, self.retry_wait_s * 2 ** min(attempt - 1, 30))
        return random.uniform(0, longest)  # noqa: S311  # spreads load, protects nothing


_ONCE = TaskRules()


@dataclass(slots=True)
class Job:
    """One call of a function, and what belongs to it. `add_task` makes one, so it is made of little.

    Attributes:
        call: The function with its arguments.
        task: What `TaskQueue.task` made of the function; None for a plain one.
        request: In which it was left, or None.
        delay_s: How long it waits first.
        attempt: Which this is, from 1.
    """

    call: "partial[Any]"
    task: "Task[..., Any] | None" = None
    request: RequestContext | None = None
    delay_s: float = 0.0
    attempt: int = 1

    @property
    def name(self) -> str:
        """The name, for log lines and engines."""
        if self.task is not None:
            return self.task.name
        return str(getattr(self.call.func, "__qualname__", type(self.call.func).__qualname__))

    @property
    def rules(self) -> TaskRules:
        """How often it is tried."""
        return _ONCE if self.task is None else self.task.rules

    @property
    def is_async(self) -> bool:
        """Whether the function is."""
        return is_async_callable(self.call.func) if self.task is None else self.task.is_async


def make_job(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Job:
    """Make a job of a call.

    Raises:
        TaskArgumentError: An argument belongs to the request.
    """
    check_arguments(args, kwargs)
    if isinstance(func, Task):
        return Job(partial(func.func, *args, **kwargs), func)
    return Job(partial(func, *args, **kwargs))


class Task(Generic[P, R]):
    """A function that can be left for later, with rules of its own; `@queue.task` makes one.

    Calling it calls the function, here and now.

    Attributes:
        func: The function.
        name: What log lines and engines call it.
    """

    def __init__(self, queue: "TaskQueue", func: Callable[P, R], name: str, rules: TaskRules) -> None:
        update_wrapper(self, func)
        self.func = func
        self.name = name
        self.rules = rules
        self.is_async = is_async_callable(func)
        self._queue = queue

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function."""
        return self.func(*args, **kwargs)

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Leave a call for later: in a request for after its commit, elsewhere for at once.

        The request's route depends on `queue.pending`, or its router or application does:
        `FastAPI(dependencies=[Depends(tasks.pending)])`.

        Args:
            args: The function's arguments. Pass ids rather than rows.
            kwargs: Its keyword arguments.

        Raises:
            PatternsError: An argument belongs to the request, the request does not depend on `queue.pending`, or the
                queue is not running.
            TaskQueueFullError: The queue is full; answered with 503.
        """
        self._queue._enqueue(make_job(self, args, kwargs))

    def delayed(self, delay: timedelta) -> "DelayedTask[P]":
        """Let calls wait first: `send_reminder.delayed(timedelta(hours=1)).enqueue(user.id)`.

        Raises:
            ValueError: The delay is negative.
        """
        return DelayedTask(self, delay)

    def __repr__(self) -> str:
        return f"<Task {self.name}>"


def default_name(func: Callable[..., Any]) -> str:
    """The name of a task that was given none."""
    return f"{func.__module__}.{func.__qualname__}"


class DelayedTask(Generic[P]):
    """A task whose calls wait first; `Task.delayed` makes one."""

    def __init__(self, task: Task[P, Any], delay: timedelta) -> None:
        if delay < timedelta(0):
            raise ValueError("a task cannot be delayed by a negative time")
        self._task = task
        self._delay_s = delay.total_seconds()

    def enqueue(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Leave a call for later; see `Task.enqueue`."""
        job = make_job(self._task, args, kwargs)
        job.delay_s = self._delay_s
        self._task._queue._enqueue(job)
