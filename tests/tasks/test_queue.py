"""TaskQueue: after the commit, isolated, bounded, and drained at the end."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from fastapi_patterns import ConfigurationError, Database, PatternsError, PendingTasks, TaskQueue, install_stack
from fastapi_patterns.context import get_request_id
from fastapi_patterns.tasks import TaskQueueFullError
from tests.db.models import Base, Owner


class Shop:
    """An application whose routes leave work behind, and what that work did."""

    def __init__(self, queue: TaskQueue, *, stack: bool = True) -> None:
        self.queue = queue
        self.done: list[Any] = []
        self.app = app = FastAPI()
        if stack:
            install_stack(app, resources=[queue])
        tasks_dep = Annotated[PendingTasks, Depends(queue.pending)]

        @app.post("/add")
        async def add(tasks: tasks_dep) -> str:  # type: ignore[valid-type]
            tasks.add_task(self.work, "one")
            tasks.add_task(self.fail, "two")
            tasks.add_task(self.work_async, "three")
            return "added"

        @app.post("/many/{count}")
        def many(count: int, tasks: tasks_dep) -> int:  # type: ignore[valid-type]
            for number in range(count):
                tasks.add_task(self.work, number)
            return count

        @app.post("/raised")
        async def raised(tasks: tasks_dep) -> None:  # type: ignore[valid-type]
            tasks.add_task(self.work, "never")
            raise HTTPException(400, "no")

        @app.post("/own-background")
        async def own(tasks: tasks_dep) -> JSONResponse:  # type: ignore[valid-type]
            tasks.add_task(self.work, "ours")
            background = BackgroundTasks()
            background.add_task(self.work, "theirs")
            return JSONResponse({}, background=background)

        @app.post("/failing-background")
        async def failing(tasks: tasks_dep, background: BackgroundTasks) -> None:  # type: ignore[valid-type]
            tasks.add_task(self.work, "ours")
            background.add_task(self.fail, "theirs")

        @app.post("/broken-stream")
        async def stream(tasks: tasks_dep) -> StreamingResponse:  # type: ignore[valid-type]
            tasks.add_task(self.work, "after the stream")

            async def body() -> AsyncIterator[bytes]:
                yield b"x"
                raise RuntimeError("the stream broke")

            return StreamingResponse(body())

    def work(self, what: Any) -> None:
        """Do something in a thread."""
        self.done.append((what, get_request_id(), threading.current_thread() is threading.main_thread()))

    async def work_async(self, what: str) -> None:
        """Do something on the loop."""
        self.done.append((what, get_request_id(), None))

    def fail(self, what: str) -> None:
        """Do not do it."""
        raise RuntimeError(f"{what} failed")

    def post(self, path: str, *, raises: bool = True) -> Any:
        """Send one request and wait for its tasks."""
        with TestClient(self.app, raise_server_exceptions=raises) as client:
            answer = client.post(path, headers={"X-Request-ID": "request-1"})
            client.portal.call(self.queue.join)  # type: ignore[union-attr]
        return answer


def test_one_failure_does_not_stop_the_next(caplog: pytest.LogCaptureFixture) -> None:
    """Three tasks, the second fails: the others run, and the failure is logged once with the request's id."""
    shop = Shop(TaskQueue(max_concurrency=1))
    with caplog.at_level(logging.INFO, logger="fastapi_patterns.tasks"):
        assert shop.post("/add").json() == "added"
    assert shop.done == [("one", "request-1", False), ("three", "request-1", None)]
    (record,) = [record for record in caplog.records if record.name == "fastapi_patterns.tasks"]
    assert record.getMessage() == "Task Shop.fail failed"
    assert record.levelname == "ERROR"
    assert record.exc_info is not None


def test_the_failure_line_has_the_request_id(caplog: pytest.LogCaptureFixture) -> None:
    """A filter of the context, as `configure_logging` installs it, finds the id of the request that left the task."""
    from fastapi_patterns.logs import RequestContextFilter

    shop = Shop(TaskQueue())
    logger, seen = logging.getLogger("fastapi_patterns.tasks"), RequestContextFilter()
    logger.addFilter(seen)
    try:
        shop.post("/add")
    finally:
        logger.removeFilter(seen)
    assert [record.request_id for record in caplog.records if record.name == logger.name] == ["request-1"]  # type: ignore[attr-defined]


def test_a_request_that_fails_starts_nothing() -> None:
    """An exception that leaves the route drops its tasks, and gives their places back."""
    shop = Shop(TaskQueue(max_size=1))
    for _ in range(3):
        assert shop.post("/raised").status_code == 400
    assert shop.done == []
    assert shop.post("/many/1").json() == 1


def test_an_own_background_of_the_response_takes_nothing_away() -> None:
    """Starlette's tasks vanish when the returned response brings its own; these do not."""
    shop = Shop(TaskQueue())
    shop.post("/own-background")
    assert sorted(what for what, *_ in shop.done) == ["ours", "theirs"]


@pytest.mark.parametrize(("path", "what"), [("/failing-background", "ours"), ("/broken-stream", "after the stream")])
def test_a_failure_after_the_response_started_takes_nothing_away(path: str, what: str) -> None:
    """The request had committed: its tasks start although the rest of it breaks."""
    shop = Shop(TaskQueue())
    shop.post(path, raises=False)
    assert [done for done, *_ in shop.done] == [what]


def test_tasks_see_the_committed_row(tmp_path: Path) -> None:
    """They start after the commit: a session of their own finds what the request stored, and not what it undid."""
    database = Database(f"sqlite:///{tmp_path}/tasks.db", metadata=Base.metadata)
    queue, seen, app = TaskQueue(), [], FastAPI()
    install_stack(app, resources=[database, queue])

    def greet(owner_id: int) -> None:
        with database.session_scope() as session:
            seen.append(session.scalar(select(Owner.name).where(Owner.id == owner_id)))

    # The order of the two dependencies must not matter.
    @app.post("/first")
    def tasks_first(
        tasks: Annotated[PendingTasks, Depends(queue.pending)], session: Annotated[Session, Depends(database.session)]
    ) -> None:
        _create("ada", session, tasks)

    @app.post("/last")
    def tasks_last(
        session: Annotated[Session, Depends(database.session)], tasks: Annotated[PendingTasks, Depends(queue.pending)]
    ) -> None:
        _create("eve", session, tasks)

    @app.post("/conflict")
    def conflict(
        session: Annotated[Session, Depends(database.session)], tasks: Annotated[PendingTasks, Depends(queue.pending)]
    ) -> None:
        tasks.add_task(greet, 1)
        session.add(Owner(name="ada"))  # the commit finds that there is one

    def _create(name: str, session: Session, tasks: PendingTasks) -> None:
        owner = Owner(name=name)
        session.add(owner)
        session.flush()
        tasks.add_task(greet, owner.id)

    database.create_all()
    with TestClient(app) as client:
        statuses = [client.post(path).status_code for path in ("/first", "/last", "/conflict")]
        client.portal.call(queue.join)  # type: ignore[union-attr]
    assert statuses == [200, 200, 409]
    assert sorted(seen) == ["ada", "eve"]


def test_a_full_queue_refuses_the_request() -> None:
    """More tasks than may wait: 503 with `Retry-After`, and not one of that request's tasks runs."""
    shop = Shop(TaskQueue(max_size=2))
    answer = shop.post("/many/3")
    assert answer.status_code == 503
    assert answer.json() == {"error": "Too much work is waiting"}
    assert answer.headers["retry-after"] == "1"
    assert shop.done == []
    assert shop.post("/many/2").status_code == 200
    assert sorted(what for what, *_ in shop.done) == [0, 1]  # each in a thread of its own


def test_a_task_that_is_done_makes_room() -> None:
    """Failed or not, a finished task no longer counts."""
    shop = Shop(TaskQueue(max_size=3))
    with TestClient(shop.app) as client:
        for _ in range(3):
            assert client.post("/add").status_code == 200
            client.portal.call(shop.queue.join)  # type: ignore[union-attr]
    assert len(shop.done) == 6


def test_without_the_stack_a_full_queue_is_an_exception() -> None:
    """An application that handles it itself catches TaskQueueFullError."""
    queue = TaskQueue(max_size=1)
    shop = Shop(queue, stack=False)

    async def live() -> None:
        async with queue:
            pending = queue.pending(Any)  # type: ignore[arg-type]
            tasks = await anext(pending)
            tasks.add_task(shop.work, 1)
            with pytest.raises(TaskQueueFullError, match="full: 1 tasks wait or run"):
                tasks.add_task(shop.work, 2)
            with pytest.raises(StopAsyncIteration):
                await anext(pending)

    asyncio.run(live())


def test_a_queue_that_does_not_run_says_so() -> None:
    """A queue that is in no stack fails at the first request, with words."""
    shop = Shop(TaskQueue(), stack=False)
    with pytest.raises(PatternsError, match=r"not running. It runs with the application's lifespan, if it is one of"):
        TestClient(shop.app).post("/add")
    with pytest.raises(PatternsError, match="not running"):
        asyncio.run(shop.queue.join())


def test_a_queue_runs_in_one_place_at_a_time() -> None:
    """Opened twice at once it says so; opened again after it was closed, in another loop, it works."""
    queue = TaskQueue()

    async def twice() -> None:
        async with queue:
            with pytest.raises(PatternsError, match="running already"):
                await queue.__aenter__()

    asyncio.run(twice())
    asyncio.run(twice())


def test_tasks_run_side_by_side_up_to_the_limit() -> None:
    """As many at a time as `max_concurrency` says, and no more."""
    queue, running, most = TaskQueue(max_concurrency=3), 0, 0

    async def count() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(5):
            await asyncio.sleep(0)
        running -= 1

    async def live() -> None:
        async with queue:
            pending = queue.pending(Any)  # type: ignore[arg-type]
            tasks = await anext(pending)
            for _ in range(10):
                tasks.add_task(count)
            with pytest.raises(StopAsyncIteration):
                await anext(pending)
            await queue.join()

    asyncio.run(live())
    assert most == 3


def test_shutdown_finishes_what_is_there() -> None:
    """Closing waits for the tasks that were started."""
    shop = Shop(TaskQueue())
    with TestClient(shop.app) as client:
        client.post("/many/20")
    assert [what for what, *_ in sorted(shop.done)] == list(range(20))


def test_shutdown_names_what_it_abandons(caplog: pytest.LogCaptureFixture) -> None:
    """After the time limit the rest is dropped and named in the log, and the queue can be opened again."""
    queue = TaskQueue(max_concurrency=1, drain_timeout_s=0)

    async def endless() -> None:
        await asyncio.Event().wait()

    async def never() -> None:
        raise AssertionError

    async def live() -> None:
        async with queue:
            pending = queue.pending(Any)  # type: ignore[arg-type]
            tasks = await anext(pending)
            tasks.add_task(endless)
            tasks.add_task(never)
            with pytest.raises(StopAsyncIteration):
                await anext(pending)
            await asyncio.sleep(0)

    asyncio.run(live())
    (record,) = [record for record in caplog.records if record.name == "fastapi_patterns.tasks"]
    assert record.getMessage().startswith("Shutdown abandons 2 task(s): ")
    assert "endless, " in record.getMessage()
    assert record.getMessage().endswith("never")


@pytest.mark.parametrize("settings", [{"max_concurrency": 0}, {"max_size": 0}, {"drain_timeout_s": -1}])
def test_numbers_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    """At start-up, with the names."""
    with pytest.raises(ConfigurationError, match="TaskQueue: max_concurrency and max_size"):
        TaskQueue(**settings)
