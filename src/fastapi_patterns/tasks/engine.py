"""What an engine that runs tasks elsewhere has to offer, and how the tasks of a request reach it.

Retries, schedules, results, dead letters and dashboards are the engine's; here is the hand-over.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Protocol, Self

import anyio.from_thread
from fastapi import Depends

from fastapi_patterns._scrub import scrub
from fastapi_patterns._session_end import follow_session
from fastapi_patterns.context import RequestContext, request_context
from fastapi_patterns.exceptions import PatternsError
from fastapi_patterns.tasks._arguments import TaskArgumentError
from fastapi_patterns.tasks.embedded import run_job
from fastapi_patterns.tasks.pending import PendingTasks, is_answer
from fastapi_patterns.tasks.task import Job, Task

if TYPE_CHECKING:
    from fastapi_patterns.tasks.queue import TaskQueue

__all__ = ["EngineRun", "HandOverError", "TaskEngine", "payload_of", "pending_on", "run_payload"]

_log = logging.getLogger("fastapi_patterns.tasks")
# What a job leaves for later is handed over before it counts as done.
_handing_over: ContextVar["set[asyncio.Task[None]] | None"] = ContextVar("fastapi_patterns_handing_over", default=None)
_JSON = frozenset({str, int, bool, type(None)})
_CONTEXT = ("request_id", "trace_id", "span_id", "traceparent", "user_id")


class HandOverError(PatternsError):
    """The engine did not take a task, although the request has committed; answered with 503."""


class TaskEngine(Protocol):
    """An engine that runs tasks in processes of its own.

    Attributes:
        database: The `Database` or `AsyncDatabase` whose commit the tasks of a request wait for; None where there is
            none.
        writes_in_transaction: Whether jobs are written in the request's own transaction, or handed over after it.
    """

    database: Any
    writes_in_transaction: bool

    def register(self, task: Task[..., Any]) -> None:
        """Make a task known to the engine under its name."""
        ...

    def write(self, jobs: Sequence[Job], session: Any) -> Awaitable[None] | None:
        """Write jobs in the transaction of a sync session; the awaitable, where its connection is an async one."""
        ...

    async def send(self, jobs: Sequence[Job]) -> None:
        """Hand jobs over, on a connection of the engine's own."""
        ...

    async def __aenter__(self) -> Self:
        """Open what sending needs."""
        ...

    async def __aexit__(self, *exc: object) -> None:
        """Close it."""
        ...


def payload_of(job: Job) -> dict[str, Any]:
    """Give what an engine keeps of a job: JSON values by name.

    Raises:
        TaskArgumentError: An argument is no JSON value. The message says its type and never its value.
    """
    payload = {"args": list(job.call.args), "kwargs": job.call.keywords}
    for value in (*job.call.args, *job.call.keywords.values()):
        if value.__class__ in _JSON:  # what ids and texts are, checked at once
            continue
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            raise TaskArgumentError(
                f"{job.name} was given a {type(value).__name__} that is no JSON value: the process that runs the task "
                "could not read it. Pass text, numbers, lists and dicts: str(user.id) for a UUID, "
                "moment.isoformat() for a time."
            ) from None
    if job.request is None:
        return {**payload, "context": {}}
    context = {name: getattr(job.request, name) for name in _CONTEXT}
    return {**payload, "context": {name: value for name, value in context.items() if value is not None}}


async def run_payload(task: Task[..., Any], payload: dict[str, Any]) -> Any:
    """Run a task in the engine's process, in the request that left it; what it raises is the engine's to handle.

    Raises:
        TimeoutError: It took longer than its `timeout_s`.
    """
    context = payload.get("context") or {}
    request = RequestContext(context) if "request_id" in context else None
    job = Job(partial(task.func, *payload["args"], **payload["kwargs"]), task, request)
    left: set[asyncio.Task[None]] = set()
    token = _handing_over.set(left)
    try:
        with request_context(request):
            result = await run_job(job)
        await asyncio.gather(*left)
        return result
    finally:
        _handing_over.reset(token)


class EngineRun:
    """An engine while the application runs, and while a worker's process does."""

    def __init__(self, queue: "TaskQueue", engine: TaskEngine) -> None:
        self._queue = queue
        self._engine = engine
        self._left: set[asyncio.Task[None]] = set()

    def start_now(self, job: Job) -> None:
        """Hand a job over that waits for no commit: at once from a thread, as soon as may be from a coroutine."""
        check(job)
        if self._start_here([job]):
            return
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            anyio.from_thread.run(self.send, [job])  # in a thread of anyio's: of a sync route, or of a sync task
            return
        handing_over = _handing_over.get()
        left = self._left if handing_over is None else handing_over
        sending = asyncio.ensure_future(self.send([job]) if handing_over is not None else self._send_or_log(job))
        left.add(sending)
        sending.add_done_callback(left.discard if handing_over is None else lambda _: None)

    async def send(self, jobs: Sequence[Job]) -> None:
        """Hand jobs over.

        Raises:
            HandOverError: The engine did not take them.
        """
        if self._start_here(jobs):
            return
        try:
            await self._engine.send(jobs)
        except TaskArgumentError:
            raise
        except Exception as error:
            raise HandOverError(f"the task engine did not take {', '.join(job.name for job in jobs)}") from error

    def write(self, jobs: Sequence[Job], session: Any) -> None:
        """Write jobs in a session's transaction, within SQLAlchemy's event before the commit."""
        if self._start_here(jobs):
            return
        writing = self._engine.write(jobs, session)
        if writing is not None:
            from sqlalchemy.util import await_only

            await_only(writing)

    async def join(self) -> None:
        """Wait until what was left outside of requests is handed over."""
        while self._left:
            await asyncio.wait(self._left)

    async def _send_or_log(self, job: Job) -> None:
        try:
            await self.send([job])
        except Exception as error:
            _log.error("Task %s could not be handed over", job.name, exc_info=scrub(error))

    def _start_here(self, jobs: Sequence[Job]) -> bool:
        """Run jobs in a test's own process, with the arguments that a worker would read; whether this is a test."""
        if self._queue._capture is None and self._queue._worker is None:
            return False
        self._queue._start_here([_as_read(job) for job in jobs])
        return True


def check(job: Job) -> None:
    """Check that an engine can take a job.

    Raises:
        PatternsError: Its function is no task.
        TaskArgumentError: An argument is no JSON value.
    """
    if job.task is None:
        raise PatternsError(f"{job.name} is no task that an engine knows: decorate it with @queue.task")
    payload_of(job)


def _as_read(job: Job) -> Job:
    payload = json.loads(json.dumps(payload_of(job)))
    return replace(job, call=partial(job.call.func, *payload["args"], **payload["kwargs"]))


class EnginePending(PendingTasks):
    """The tasks of one request that an engine will run."""

    def __init__(self, queue: "TaskQueue", run: EngineRun, session: Any, *, in_transaction: bool) -> None:
        super().__init__(queue)
        self._run = run
        self._session = session
        self._in_transaction = in_transaction
        self._committed: list[Job] = []

    def _add(self, job: Job) -> None:
        if not self._is_open:
            self._queue._start_now(job)
            return
        check(job)
        if not self._jobs and not self._committed and self._session is not None:
            self._follow()
        self._jobs.append(job)

    def _follow(self) -> None:
        """Be there at every commit of the session, the application's own too, and at its end."""
        from sqlalchemy import event

        session: Any = getattr(self._session, "sync_session", self._session)
        if self._in_transaction:
            event.listen(session, "before_commit", self._write)
        else:
            event.listen(session, "after_commit", self._note)
        follow_session(session.info, self._end)

    def _write(self, session: Any) -> None:
        if self._jobs:
            self._run.write(self.take(), session)

    def _note(self, session: Any) -> None:
        if not session.in_nested_transaction():  # the release of a savepoint is no commit
            self._committed += self.take()

    async def _end(self, ok: bool) -> None:
        """Hand over what was committed; and, where the request went well, what needed no commit."""
        self._is_open = False
        jobs, self._committed = [*self._committed, *(self.take() if ok else ())], []
        if jobs:
            await self._run.send(jobs)


def pending_on(queue: "TaskQueue", engine: TaskEngine) -> Callable[..., Any]:
    """Make the dependency `queue.pending` for an engine. However it is declared, it ends before the response."""

    @asynccontextmanager
    async def follow(session: Any) -> AsyncIterator[PendingTasks]:
        run = queue._running_engine()
        batch = EnginePending(
            queue, run, session, in_transaction=engine.writes_in_transaction and not queue._in_process
        )
        with batch.at_hand():
            try:
                yield batch
            except BaseException as error:
                if queue._keeps and is_answer(error):
                    await run.send(batch.take())
                raise
            if session is None:
                await batch._end(True)

    async def no_session() -> None:
        return None

    session_dependency = no_session if engine.database is None else engine.database.session

    async def collect(session: Annotated[Any, Depends(session_dependency)]) -> AsyncIterator[PendingTasks]:
        async with follow(session) as batch:
            yield batch

    async def pending(batch: Annotated[PendingTasks, Depends(collect, scope="function")]) -> PendingTasks:
        return batch

    return pending
