"""`TaskiqEngine`: tasks that run in other processes, over Redis or Valkey, NATS, RabbitMQ or Kafka.

Needs the extra `taskiq`, and the package of the broker.
"""

from fastapi_patterns._optional import require

require("taskiq", extra="taskiq", room="fastapi_patterns.tasks.taskiq")

from collections.abc import Sequence  # noqa: E402  (the check above comes first)
from datetime import UTC, datetime, timedelta  # noqa: E402
from typing import Any, Never, Self  # noqa: E402

from taskiq import AsyncBroker, AsyncTaskiqDecoratedTask, ScheduleSource, SimpleRetryMiddleware, SmartRetryMiddleware  # noqa: E402

from fastapi_patterns.exceptions import ConfigurationError, PatternsError  # noqa: E402
from fastapi_patterns.tasks.engine import payload_of, run_payload  # noqa: E402
from fastapi_patterns.tasks.task import Job, Task  # noqa: E402

__all__ = ["TaskiqEngine"]

_RETRYING = (SimpleRetryMiddleware, SmartRetryMiddleware)


class TaskiqEngine:
    """Runs the tasks of a `TaskQueue` on taskiq: `TaskQueue(TaskiqEngine(broker, database=database))`.

    What a request leaves is handed to the broker right after its commit and before its response. Between the two is a
    window: a process that is killed in it, or a broker that is out of reach, leaves a row without its task. The client
    has no success then: its connection is lost, or it reads 503. Where that window must not be, use
    `ProcrastinateEngine`. Start workers with taskiq's own command: `taskiq worker shop.main:broker`.

    Whether a task can be lost or done twice after that is the broker's promise; see its documentation.

    Args:
        broker: taskiq's own.
        database: The `Database` or `AsyncDatabase` whose commit the tasks of a request wait for; None where there is
            none.
        schedule_source: Where delayed tasks are kept, for taskiq's scheduler.
    """

    writes_in_transaction = False

    def __init__(
        self, broker: AsyncBroker, *, database: Any = None, schedule_source: ScheduleSource | None = None
    ) -> None:
        self.database = database
        self._broker = broker
        self._source = schedule_source
        self._registered: dict[str, AsyncTaskiqDecoratedTask[..., Any]] = {}

    def register(self, task: Task[..., Any]) -> None:
        """Make a task known to taskiq under its name, with its number of attempts as labels.

        Raises:
            ConfigurationError: It is to be tried more than once, and the broker has no middleware that does it.
        """

        async def run(payload: dict[str, Any]) -> Any:
            return await run_payload(task, payload)

        labels: dict[str, Any] = {}
        if task.rules.max_attempts > 1:
            if not any(isinstance(each, _RETRYING) for each in self._broker.middlewares):
                raise ConfigurationError(
                    f"{task.name} is to be tried {task.rules.max_attempts} times, which is taskiq's to do: make the "
                    "broker with .with_middlewares(SmartRetryMiddleware(use_jitter=True, use_delay_exponent=True))"
                )
            labels = {"retry_on_error": True, "max_retries": task.rules.max_attempts}
        self._registered[task.name] = self._broker.register_task(run, task_name=task.name, **labels)

    def write(self, jobs: Sequence[Job], session: Any) -> Never:
        """Refuse: a broker takes no part in a database's transaction."""
        raise NotImplementedError

    async def send(self, jobs: Sequence[Job]) -> None:
        """Hand jobs to the broker."""
        for job in jobs:
            kicker = self._registered[job.name].kicker()
            if not job.delay_s:
                await kicker.kiq(payload_of(job))
            elif self._source is None:
                raise PatternsError(
                    f"{job.name} was delayed, which taskiq's scheduler has to do: "
                    "TaskiqEngine(broker, schedule_source=...), and run `taskiq scheduler`"
                )
            else:
                due = datetime.now(UTC) + timedelta(seconds=job.delay_s)
                await kicker.schedule_by_time(self._source, due, payload_of(job))

    async def __aenter__(self) -> Self:
        """Connect the broker; in a worker's own process taskiq has done that."""
        if not self._broker.is_worker_process:
            await self._broker.startup()
            if self._source is not None:
                await self._source.startup()
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Disconnect it."""
        if not self._broker.is_worker_process:
            if self._source is not None:
                await self._source.shutdown()
            await self._broker.shutdown()
