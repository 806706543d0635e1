"""`@queue.task`: rules of its own, `enqueue`, delays, retries, and what a task may not be given."""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from io import BytesIO
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request, UploadFile
from fastapi.testclient import TestClient
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from fastapi_patterns import AppException, ConfigurationError, PatternsError, PendingTasks, TaskQueue, install_stack
from fastapi_patterns.context import current_request, request_context
from fastapi_patterns.tasks import TaskArgumentError, TaskQueueFullError
from fastapi_patterns.tasks.task import TaskRules

TASKS = "fastapi_patterns.tasks"


def run(queue: TaskQueue, what: Callable[[], Awaitable[None]]) -> None:
    """Run something while the queue runs, and wait for its tasks."""

    async def live() -> None:
        async with queue:
            await what()
            await queue.join()

    asyncio.run(live())


def said(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    """What the room has logged."""
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.name == TASKS]


@asynccontextmanager
async def one_request(queue: TaskQueue) -> AsyncIterator[PendingTasks]:
    """A request that depends on the queue, without a server."""
    pending = asynccontextmanager(queue.pending)
    async with pending(Request({"type": "http"})) as tasks:
        yield tasks


def test_a_task_is_still_the_function() -> None:
    """It is called as before, sync or async, and says what it is."""
    queue = TaskQueue()

    @queue.task
    def double(number: int) -> int:
        """Twice as much."""
        return number * 2

    @queue.task(name="later.half", max_attempts=2)
    async def half(number: int) -> float:
        return number / 2

    assert double(2) == 4
    assert asyncio.run(half(2)) == 1
    assert double.__doc__ == "Twice as much."
    assert repr(half) == "<Task later.half>"
    assert list(queue.tasks.values()) == [double, half]
    assert double.name == f"{__name__}.test_a_task_is_still_the_function.<locals>.double"


def test_two_tasks_of_one_name_are_refused() -> None:
    """An engine could not tell them apart."""
    queue = TaskQueue()
    queue.task(name="a")(print)
    with pytest.raises(ConfigurationError, match="two tasks are called 'a'"):
        queue.task(name="a")(repr)


@pytest.mark.parametrize(
    "rules", [{"max_attempts": 0}, {"retry_wait_s": -1}, {"max_retry_wait_s": -1}, {"timeout_s": 0}]
)
def test_rules_that_cannot_be_are_refused(rules: dict[str, Any]) -> None:
    """When the function is decorated."""
    with pytest.raises(ConfigurationError, match="task: "):
        TaskQueue().task(**rules)


@pytest.mark.parametrize("choice", [{"when_full": "block"}, {"on_http_exception": "ignore"}])
def test_choices_that_do_not_exist_are_refused(choice: dict[str, Any]) -> None:
    """When the queue is made."""
    with pytest.raises(ConfigurationError, match='when_full is "refuse" or "wait"'):
        TaskQueue(**choice)


def shop(queue: TaskQueue, *, depends: bool = True) -> tuple[FastAPI, list[Any]]:
    """An application that enqueues from sync and async routes."""
    done: list[Any] = []
    app = FastAPI(dependencies=[Depends(queue.pending)] if depends else [])
    install_stack(app, resources=[queue])

    @queue.task(name="greet")
    async def greet(name: str) -> None:
        request = current_request()
        done.append((name, request and request.request_id, request and request.user_id))

    @app.post("/async")
    async def in_the_loop(request: Request) -> None:
        request.state.user_id = 7
        greet.enqueue("ada")

    @app.post("/sync")
    def in_a_thread(request: Request) -> None:
        request.state.user_id = 8
        greet.enqueue("eve")

    @app.post("/raised/{kind}")
    async def raised(kind: str) -> None:
        greet.enqueue(kind)
        if kind == "http":
            raise HTTPException(401)
        if kind == "app":
            raise AppException(401)
        raise ValueError

    return app, done


def test_enqueue_in_a_request_waits_for_its_commit() -> None:
    """From sync and async routes, with the request's id and user; one that fails enqueues nothing."""
    queue = TaskQueue()
    app, done = shop(queue)
    with TestClient(app, raise_server_exceptions=False) as client:
        for path in ("/async", "/sync", "/raised/http", "/raised/app", "/raised/other"):
            client.post(path, headers={"X-Request-ID": "request-1"})
            client.portal.call(queue.join)  # type: ignore[union-attr]
    assert done == [("ada", "request-1", "7"), ("eve", "request-1", "8")]
    assert queue._size == 0


def test_an_answer_may_keep_its_tasks() -> None:
    """`on_http_exception="keep"`: HTTPException and AppException keep them, other exceptions do not."""
    queue = TaskQueue(on_http_exception="keep")
    app, done = shop(queue)
    with TestClient(app, raise_server_exceptions=False) as client:
        assert [client.post(f"/raised/{kind}").status_code for kind in ("http", "app", "other")] == [401, 401, 500]
        client.portal.call(queue.join)  # type: ignore[union-attr]
    assert [name for name, *_ in done] == ["http", "app"]


def test_enqueue_in_a_request_without_the_dependency_is_an_error() -> None:
    """It would start before the commit; the words say what to add."""
    app, done = shop(TaskQueue(), depends=False)
    with (
        TestClient(app) as client,
        pytest.raises(PatternsError, match=r"greet.enqueue\(\) in a request needs .*pending"),
    ):
        client.post("/async")
    assert done == []


def test_enqueue_outside_of_a_request_starts_at_once() -> None:
    """In a script, in a thread, and in a task, whose request is over."""
    queue, done = TaskQueue(), []

    @queue.task
    def second(request_id: str | None) -> None:
        done.append((request_id, current_request() and current_request().request_id))  # type: ignore[union-attr]

    @queue.task
    async def first() -> None:
        request = current_request()
        second.enqueue(request and request.request_id)
        await asyncio.to_thread(second.enqueue, "thread")

    async def script() -> None:
        first.enqueue()
        second.enqueue("script")
        await queue.join()
        async with one_request(queue) as tasks:
            tasks._request = request  # as the request log would have set
            first.enqueue()
            tasks.add_task(second, "add_task")

    with request_context("request-1"):
        request = current_request()
    run(queue, script)
    assert sorted(done, key=str) == sorted(
        [
            *((None, None), ("thread", None), ("script", None)),
            *(("request-1", "request-1"), ("thread", "request-1"), ("add_task", "request-1")),
        ],
        key=str,
    )


def test_what_a_request_leaves_after_its_end_starts_at_once() -> None:
    """A batch that is over takes no more, and loses none."""
    queue, done = TaskQueue(), []

    async def late() -> None:
        async with one_request(queue) as tasks:
            pass
        tasks.add_task(done.append, 1)

    run(queue, late)
    assert done == [1]


def test_enqueue_on_a_queue_that_does_not_run_says_so() -> None:
    """Outside of an application that has started."""
    with pytest.raises(PatternsError, match="not running"):
        TaskQueue().task(print).enqueue()


def test_what_comes_after_the_shutdown_is_named(caplog: pytest.LogCaptureFixture) -> None:
    """A request that outlives the queue does not lose its task in silence."""
    queue = TaskQueue()

    async def live() -> None:
        async with queue:
            requested = one_request(queue)
            (await requested.__aenter__()).add_task(print)
        await requested.__aexit__(None, None, None)

    asyncio.run(live())
    assert said(caplog) == [("ERROR", "Shutdown abandons 1 task(s): print")]


def test_a_task_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """Until it succeeds; each attempt that failed is a warning without a traceback."""
    queue, attempts = TaskQueue(), []

    @queue.task(name="flaky", max_attempts=4, retry_wait_s=0)
    async def flaky() -> None:
        attempts.append(1)
        if len(attempts) < 3:
            raise ConnectionError("secret-host")

    async def script() -> None:
        flaky.enqueue()

    with caplog.at_level(logging.INFO, logger=TASKS):
        run(queue, script)
    assert len(attempts) == 3
    lines = said(caplog)
    assert [level for level, _ in lines] == ["WARNING", "WARNING"]
    assert lines[0][1].startswith("Task flaky failed, attempt 1 of 4, with ConnectionError after 0.0")
    assert lines[1][1].startswith("Task flaky failed, attempt 2 of 4, ")
    assert lines[1][1].endswith(" s; again in 0.0 s")
    assert "secret-host" not in caplog.text


def test_after_the_last_attempt_the_failure_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """As an error, with the attempt, the request's id and the traceback."""
    queue = TaskQueue()
    ids = []
    caplog.handler.addFilter(lambda record: ids.append(current_request()) or True)  # type: ignore[func-returns-value]

    @queue.task(name="broken", max_attempts=2, retry_wait_s=0)
    def broken() -> None:
        raise ValueError("no")

    async def script() -> None:
        with request_context("request-1"):
            async with one_request(queue):
                broken.enqueue()

    run(queue, script)
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert [record.getMessage() for record in errors] == ["Task broken failed, attempt 2 of 2"]
    assert errors[0].exc_info is not None
    assert [request.request_id for request in ids if request] == ["request-1", "request-1"]


def test_the_wait_doubles_up_to_its_limit_and_is_random_below_it() -> None:
    """Full jitter: anything from 0 to 2, 4, 8, then 10 seconds."""
    rules = TaskRules(max_attempts=9, retry_wait_s=2, max_retry_wait_s=10)
    for attempt, longest in enumerate((2, 4, 8, 10, 10), start=1):
        waits = [rules.wait_after(attempt) for _ in range(200)]
        assert 0 <= min(waits) < longest / 4
        assert longest * 3 / 4 < max(waits) <= longest
    assert rules.wait_after(10_000) <= 10


def test_a_wait_occupies_no_worker() -> None:
    """While one task waits for its next attempt, the only worker does others; `join` waits for the attempt."""
    queue, order = TaskQueue(max_concurrency=1), []

    @queue.task(max_attempts=2, retry_wait_s=0.05)
    async def flaky() -> None:
        order.append("flaky")
        if order.count("flaky") == 1:
            raise ConnectionError

    @queue.task
    async def other() -> None:
        order.append("other")

    flaky.rules = _Fixed(flaky.rules, 0.05)  # type: ignore[assignment]

    async def script() -> None:
        flaky.enqueue()
        other.enqueue()

    run(queue, script)
    assert order == ["flaky", "other", "flaky"]


class _Fixed:
    """TaskRules with a wait that is no chance."""

    def __init__(self, rules: TaskRules, wait_s: float) -> None:
        self.max_attempts, self.timeout_s = rules.max_attempts, rules.timeout_s
        self.wait_after = lambda _attempt: wait_s


def test_a_delayed_task_waits_first() -> None:
    """`join` does not wait for it; it comes after what was enqueued later, and a negative delay is refused."""
    queue, order = TaskQueue(), []

    @queue.task
    async def note(what: str, done: asyncio.Event) -> None:
        order.append(what)
        done.set()

    async def script() -> None:
        late, soon = asyncio.Event(), asyncio.Event()
        note.delayed(timedelta(seconds=0.05)).enqueue("late", late)
        note.enqueue("soon", soon)
        await queue.join()
        assert order == ["soon"]
        await late.wait()

    run(queue, script)
    assert order == ["soon", "late"]
    with pytest.raises(ValueError, match="negative"):
        note.delayed(timedelta(seconds=-1))


def test_an_attempt_has_a_time_limit(caplog: pytest.LogCaptureFixture) -> None:
    """An async function is cancelled, a sync one is left in its thread; each is a failed attempt."""
    queue, cancelled, told_to_end = TaskQueue(), [], threading.Event()

    @queue.task(name="slow", timeout_s=0.01)
    async def slow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.append(1)

    @queue.task(name="slow-thread", timeout_s=0.01)
    def slow_thread() -> None:
        told_to_end.wait()

    async def script() -> None:
        slow.enqueue()
        slow_thread.enqueue()
        await queue.join()
        told_to_end.set()

    run(queue, script)
    assert cancelled == [1]
    assert sorted(said(caplog)) == [("ERROR", "Task slow failed"), ("ERROR", "Task slow-thread failed")]
    assert all(record.exc_info and record.exc_info[0] is TimeoutError for record in caplog.records)


def test_a_task_that_cancels_itself_is_a_failure(caplog: pytest.LogCaptureFixture) -> None:
    """Its CancelledError is logged, and the worker goes on."""
    queue, done = TaskQueue(max_concurrency=1), []

    @queue.task(name="cancelled")
    async def cancelled() -> None:
        raise asyncio.CancelledError

    async def script() -> None:
        cancelled.enqueue()
        queue.task(done.append).enqueue(1)

    run(queue, script)
    assert done == [1]
    assert said(caplog) == [("ERROR", "Task cancelled failed")]


@pytest.mark.parametrize("exit_with", [SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("is_async", [True, False])
def test_what_ends_the_process_is_not_swallowed(is_async: bool, exit_with: type[BaseException]) -> None:
    """It leaves the event loop, from a task in the loop and from one in a thread."""
    queue = TaskQueue()

    async def end() -> None:
        raise exit_with

    def end_in_a_thread() -> None:
        raise exit_with

    async def script() -> None:
        queue.task(end if is_async else end_in_a_thread).enqueue()
        await asyncio.Event().wait()

    with pytest.raises(exit_with):
        run(queue, script)


def test_shutdown_names_those_that_wait(caplog: pytest.LogCaptureFixture) -> None:
    """A delay or a next attempt that is too late for the time limit is dropped at once; one in time is done."""
    queue, done = TaskQueue(drain_timeout_s=5), []

    @queue.task(name="tomorrow")
    async def tomorrow() -> None:
        done.append("tomorrow")

    @queue.task(name="soon")
    async def soon() -> None:
        done.append("soon")

    def failing(name: str) -> Any:
        async def fail() -> None:
            raise ConnectionError

        task = queue.task(name=name, max_attempts=2)(fail)
        task.rules = _Fixed(task.rules, 3600)  # type: ignore[assignment]
        return task

    async def live() -> None:
        async with asyncio.timeout(4), queue:
            tomorrow.delayed(timedelta(days=1)).enqueue()
            soon.delayed(timedelta(seconds=0.02)).enqueue()
            failing("before").enqueue()
            while not said(caplog):  # noqa: ASYNC110  # nothing else tells that the attempt has failed
                await asyncio.sleep(0)
            failing("meanwhile").enqueue()

    asyncio.run(live())
    assert done == ["soon"]
    (error,) = [line for level, line in said(caplog) if level == "ERROR"]
    assert error.startswith("Shutdown abandons 3 task(s): ")
    assert {"tomorrow", "before", "meanwhile"} == set(error.partition(": ")[2].split(", "))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Session(), "the request's Session: .*Pass ids.*session_scope"),
        (AsyncSession(), "the request's AsyncSession: .*Pass ids"),
        (Request({"type": "http"}), "cannot take the Request: it is over"),
        (UploadFile(BytesIO(b"secret")), "an UploadFile: it is closed"),
    ],
    ids=["session", "async-session", "request", "upload"],
)
def test_what_ends_with_the_request_is_refused(value: Any, words: str) -> None:
    """By `add_task` and `enqueue`, as an argument of either kind; what is not refused is what ids are."""
    queue = TaskQueue()
    task = queue.task(print)

    async def script() -> None:
        async with one_request(queue) as tasks:
            for call in (tasks.add_task, lambda _print, *args, **kwargs: task.enqueue(*args, **kwargs)):
                for arguments in (((1, value), {}), ((), {"sep": value})):
                    with pytest.raises(TaskArgumentError, match=words) as refused:
                        call(print, *arguments[0], **arguments[1])  # type: ignore[operator]
                    assert "secret" not in str(refused.value)

    run(queue, script)
    assert queue._size == 0


def test_a_full_queue_may_let_requests_wait() -> None:
    """`when_full="wait"`: the request waits at its start, and goes on when a task has ended."""
    queue, order = TaskQueue(max_size=1, when_full="wait"), []

    async def script() -> None:
        go_on = asyncio.Event()

        async def slow() -> None:
            await go_on.wait()
            order.append("task")

        async def request() -> None:
            async with one_request(queue) as tasks:
                order.append("request")
                tasks.add_task(slow)

        await request()
        waiting = asyncio.create_task(request())
        for _ in range(10):
            await asyncio.sleep(0)
        assert order == ["request"]
        go_on.set()
        await waiting

    run(queue, script)
    assert order == ["request", "task", "request", "task"]


def test_a_full_queue_refuses_enqueue_too() -> None:
    """Outside of a request as within one."""
    queue = TaskQueue(max_size=1)
    task = queue.task(print)

    async def script() -> None:
        task.delayed(timedelta(hours=1)).enqueue()
        with pytest.raises(TaskQueueFullError):
            task.enqueue()

    run(queue, script)


def test_slow_sync_tasks_do_not_delay_requests() -> None:
    """45 of them wait in threads of the queue's own; a sync route has one of the server's at once."""
    queue, told_to_end = TaskQueue(max_concurrency=45), threading.Event()
    app = FastAPI()
    install_stack(app, resources=[queue])

    @app.post("/slow")
    def slow(tasks: Annotated[PendingTasks, Depends(queue.pending)]) -> None:
        for _ in range(45):
            tasks.add_task(told_to_end.wait)

    @app.get("/quick")
    def quick() -> bool:
        return told_to_end.is_set()

    with TestClient(app) as client:
        client.post("/slow")
        assert client.get("/quick").json() is False  # none of the 45 has ended
        told_to_end.set()
