"""What it costs to leave a task for later: beside Starlette's own `add_task`, and beside an engine's own call."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI

from benchmarks.harness import OURS, Case, Suite
from benchmarks.in_process import REQUESTS, requests_to
from benchmarks.tasks_engines import engine_cases, work
from fastapi_patterns import PendingTasks, TaskQueue

__all__ = ["suite"]

_REQUESTS, _EACH = 100, 10


def suite() -> Suite:
    """Make the cases: enqueueing alone, a request with one task, and the hand-over to an engine."""
    loop = asyncio.new_event_loop()
    queue = TaskQueue(max_size=10**9)
    task = queue.task(work)

    def starlettes() -> None:
        for _ in range(_REQUESTS):
            tasks = BackgroundTasks()
            for number in range(_EACH):
                tasks.add_task(work, number, "Welcome!")

    def ours(function: Callable[..., Any]) -> None:
        for _ in range(_REQUESTS):
            tasks = PendingTasks(queue)
            for number in range(_EACH):
                tasks.add_task(function, number, "Welcome!")
            queue._release(len(tasks.take()))

    add: dict[str, Callable[[], object]] = {
        "floor": starlettes,
        OURS: lambda: ours(work),
        "with @queue.task": lambda: ours(task),
    }
    return Suite(
        "tasks",
        [
            Case(f"add_task, {_EACH} in each of {_REQUESTS} requests", "Starlette's BackgroundTasks.add_task", add),
            Case(
                f"{REQUESTS} requests with a task each, until all are done",
                "a route with Starlette's BackgroundTasks",
                {"floor": requests_to(loop, _with_starlettes(), "/"), OURS: _with_ours(loop)},
            ),
            *engine_cases(loop),
        ],
    )


def _with_starlettes() -> FastAPI:
    app = FastAPI()

    @app.get("/")
    async def route(tasks: BackgroundTasks) -> None:
        tasks.add_task(work, 1, "Welcome!")

    return app


def _with_ours(loop: asyncio.AbstractEventLoop) -> Callable[[], object]:
    queue = TaskQueue()
    loop.run_until_complete(queue.__aenter__())
    app = FastAPI()

    @app.get("/")
    async def route(tasks: Annotated[PendingTasks, Depends(queue.pending)]) -> None:
        tasks.add_task(work, 1, "Welcome!")

    requests = requests_to(loop, app, "/")

    def run() -> None:
        requests()
        loop.run_until_complete(queue.join())

    return run
