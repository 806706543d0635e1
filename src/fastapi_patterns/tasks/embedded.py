"""Runs jobs in the application's own event loop and in threads of their own."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import anyio.to_thread

from fastapi_patterns._scrub import scrub
from fastapi_patterns.context import request_context
from fastapi_patterns.tasks.task import Job

__all__ = ["EmbeddedWorker", "in_a_job", "log_failure", "run_job"]

_log = logging.getLogger("fastapi_patterns.tasks")

# Set while a job runs: what it leaves for later waits for no commit of a request.
in_a_job: ContextVar[bool] = ContextVar("fastapi_patterns_in_a_job", default=False)


class EmbeddedWorker:
    """The workers of one run of the application.

    Args:
        max_concurrency: Jobs that run at the same time; the others wait.
        done: Called when a job has ended for good.
        retries_wait: Whether there is a wait before another attempt.
    """

    def __init__(self, max_concurrency: int, done: Callable[[], None], *, retries_wait: bool = True) -> None:
        self._loop = asyncio.get_running_loop()
        self._done = done
        self._retries_wait = retries_wait
        self._ready: asyncio.Queue[Job] = asyncio.Queue()
        self._running: list[Job] = []
        # Jobs that wait for a moment, each with its own; they are not ready, and occupy no worker.
        self._later: dict[asyncio.TimerHandle, Job] = {}
        self._unfinished = 0
        self._limit: float | None = None  # once it stops: when
        self._abandoned: list[Job] = []
        self._idle = asyncio.Event()
        self._idle.set()
        limiter = anyio.CapacityLimiter(max_concurrency)  # apart from the threads that serve requests
        self._workers = [asyncio.create_task(self._work(limiter)) for _ in range(max_concurrency)]

    def put(self, job: Job) -> None:
        """Take a job, from whatever thread. Once the workers have ended it is abandoned."""
        if asyncio._get_running_loop() is self._loop:
            self._put(job)
        else:
            self._loop.call_soon_threadsafe(self._put, job)

    async def join(self) -> None:
        """Wait until every job is done but those whose delay has not passed."""
        await self._idle.wait()

    async def stop(self, drain_timeout_s: float) -> None:
        """Finish what can be finished within the limit, then end the workers and log by name what is abandoned."""
        self._limit = self._loop.time() + drain_timeout_s
        for handle in [handle for handle in self._later if handle.when() > self._limit]:
            handle.cancel()
            self._abandon(self._later.pop(handle))
        try:
            async with asyncio.timeout_at(self._limit):
                while self._later or not self._idle.is_set():
                    await self._idle.wait()
                    if self._later:
                        await asyncio.sleep(max(0.0, min(handle.when() for handle in self._later) - self._loop.time()))
        except TimeoutError:
            waiting = [self._ready.get_nowait() for _ in range(self._ready.qsize())]
            self._abandoned = [*self._running, *waiting, *self._later.values(), *self._abandoned]
        for handle in self._later:
            handle.cancel()
        self._later.clear()
        if self._abandoned:
            _log_abandoned(self._abandoned)
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    def _put(self, job: Job) -> None:
        if not self._workers:
            _log_abandoned([job])
        elif job.delay_s > 0:
            self._wait(job, job.delay_s, self._begin)
        else:
            self._begin(job)

    def _begin(self, job: Job) -> None:
        self._unfinished += 1
        self._idle.clear()
        self._ready.put_nowait(job)

    def _wait(self, job: Job, seconds: float, then: Callable[[Job], None]) -> None:
        def due() -> None:
            del self._later[handle]
            then(job)

        if self._limit is not None and self._loop.time() + seconds > self._limit:
            self._abandon(job)
            return
        handle = self._loop.call_later(seconds, due)
        self._later[handle] = job

    def _abandon(self, job: Job) -> None:
        self._abandoned.append(job)
        if job.attempt > 1:  # it had begun
            self._end()

    async def _work(self, limiter: anyio.CapacityLimiter) -> None:
        while True:
            job = await self._ready.get()
            self._running.append(job)
            again = None
            try:
                again = await _run_once(job, limiter)
            finally:
                self._running.remove(job)
                if again is None:
                    self._end()
            if again is not None:
                if self._retries_wait:
                    self._wait(replace(job, attempt=job.attempt + 1), again, self._ready.put_nowait)
                else:
                    self._ready.put_nowait(replace(job, attempt=job.attempt + 1))

    def _end(self) -> None:
        self._unfinished -= 1
        self._done()
        if self._unfinished == 0:
            self._idle.set()


async def _run_once(job: Job, limiter: anyio.CapacityLimiter) -> float | None:
    """Try a job once, in its request.

    Returns:
        Seconds to wait before another attempt; None where there is none.
    """
    began = time.monotonic()
    with request_context(job.request):
        try:
            await run_job(job, limiter)
        except asyncio.CancelledError as error:
            # The task's own; when the application shuts down it is the worker that is cancelled.
            this = asyncio.current_task()
            if this is not None and this.cancelling():
                raise
            failure: BaseException = error
        except Exception as error:
            failure = error
        else:
            return None
        return _failed(job, failure, time.monotonic() - began)


async def run_job(job: Job, limiter: anyio.CapacityLimiter | None = None) -> Any:
    """Call the function, in a thread where it is sync; what it raises is raised.

    A sync function that takes longer than `timeout_s` goes on in its thread, which cannot be stopped.

    Raises:
        TimeoutError: It took longer than `timeout_s`.
    """
    limit = job.rules.timeout_s
    token = in_a_job.set(True)
    try:
        async with asyncio.timeout(limit):
            if job.is_async:
                return await job.call()
            return await anyio.to_thread.run_sync(job.call, limiter=limiter, abandon_on_cancel=limit is not None)
    finally:
        in_a_job.reset(token)


def _log_abandoned(jobs: list[Job]) -> None:
    _log.error("Shutdown abandons %d task(s): %s", len(jobs), ", ".join(job.name for job in jobs))


def _failed(job: Job, error: BaseException, seconds: float) -> float | None:
    attempts = job.rules.max_attempts
    if job.attempt < attempts:
        wait = job.rules.wait_after(job.attempt)
        _log.warning(
            "Task %s failed, attempt %d of %d, with %s after %.3f s; again in %.1f s",
            job.name, job.attempt, attempts, type(error).__name__, seconds, wait,
        )  # fmt: skip
        return wait
    log_failure(job, error)
    return None


def log_failure(job: Job, error: BaseException) -> None:
    """Log that a job has failed for good."""
    attempts = job.rules.max_attempts
    which = f", attempt {job.attempt} of {attempts}" if attempts > 1 else ""
    _log.error("Task %s failed%s", job.name, which, exc_info=scrub(error))
