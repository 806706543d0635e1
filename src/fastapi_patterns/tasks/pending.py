"""The tasks that a request has left, until it has committed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ParamSpec

from starlette.exceptions import HTTPException

from fastapi_patterns.context import current_request
from fastapi_patterns.tasks.task import Job, make_job

if TYPE_CHECKING:
    from fastapi_patterns.tasks.queue import TaskQueue

__all__ = ["PendingTasks", "is_answer", "pending_of"]

P = ParamSpec("P")

# Those of the request at hand, one for each queue that it depends on.
_at_hand: ContextVar[tuple["PendingTasks", ...]] = ContextVar("fastapi_patterns_pending_tasks", default=())


class PendingTasks:
    """The tasks of one request, kept until it has committed: what `Depends(queue.pending)` gives a route."""

    def __init__(self, queue: "TaskQueue") -> None:
        self._queue = queue
        self._request = current_request()
        self._jobs: list[Job] = []
        self._is_open = True

    def add_task(self, func: Callable[P, Any], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call `func(*args, **kwargs)` once the request has committed and its response is sent.

        Args:
            func: A function, sync (it runs in a thread) or async; one with `@queue.task` has rules of its own.
            args: Its arguments. Pass ids rather than rows: the request's session is closed by then.
            kwargs: Its keyword arguments.

        Raises:
            TaskArgumentError: An argument belongs to the request: its session, the `Request`, an `UploadFile`. On an
                engine also one that is no JSON value.
            TaskQueueFullError: The queue is full; answered with 503.
            PatternsError: The queue runs on an engine, and the function is no task of it.
        """
        self._add(make_job(func, args, kwargs))

    def take(self) -> list[Job]:
        """Take the jobs out; they have the request that left them, as it is now."""
        jobs, self._jobs = self._jobs, []
        request = None if self._request is None or not jobs else self._request.snapshot()
        for job in jobs:
            job.request = request
        return jobs

    @contextmanager
    def at_hand(self) -> Iterator[None]:
        """Have `Task.enqueue` find this."""
        before = _at_hand.get()
        _at_hand.set((*before, self))
        try:
            yield
        finally:
            _at_hand.set(before)

    def _add(self, job: Job) -> None:
        if not self._is_open:  # the request is over, and what it had left has started
            self._queue._start_now(job)
            return
        self._queue._reserve()
        self._jobs.append(job)


def pending_of(queue: "TaskQueue") -> PendingTasks | None:
    """Return what the request at hand has left to a queue; None where it does not depend on it."""
    for batch in _at_hand.get():
        if batch._queue is queue:
            return batch
    return None


def is_answer(error: BaseException) -> bool:
    """Tell whether an exception is an answer that a route chose: Starlette's, or one with a status of its own."""
    return isinstance(error, HTTPException) or isinstance(getattr(error, "status_code", None), int)
