"""`ProcrastinateEngine`: tasks that survive a crash, in the application's own PostgreSQL.

A job is written in the request's own transaction, so that "the row is there" and "the job is there" are one fact.
Needs the extra `procrastinate`.
"""

from fastapi_patterns._optional import require

require("procrastinate", extra="procrastinate", room="fastapi_patterns.tasks.procrastinate")

from collections.abc import Awaitable, Sequence  # noqa: E402  (the check above comes first)
from typing import Any, Self  # noqa: E402

from procrastinate import App, BaseRetryStrategy, RetryDecision, SyncPsycopgConnector  # noqa: E402

from fastapi_patterns.exceptions import ConfigurationError  # noqa: E402
from fastapi_patterns.tasks.engine import payload_of, run_payload  # noqa: E402
from fastapi_patterns.tasks.task import Job, Task, TaskRules  # noqa: E402

__all__ = ["ProcrastinateEngine"]


class ProcrastinateEngine:
    """Runs the tasks of a `TaskQueue` on procrastinate: `TaskQueue(ProcrastinateEngine(app, database=database))`.

    What a request leaves is written in its transaction, right before each of its commits: none is lost, and none
    belongs to a row that is not there. What is left outside of a request is written at once. Start workers with
    procrastinate's own command: `procrastinate --app=shop.main.jobs worker`.

    A task is done at least once: a worker that is killed leaves its job to whoever retries stalled jobs (see
    procrastinate's documentation), so let a task look whether its work is done already.

    Args:
        app: procrastinate's own, with a `PsycopgConnector`, and its schema applied to the database.
        database: The `Database` or `AsyncDatabase` of the requests, on psycopg: `postgresql+psycopg://`.
    """

    writes_in_transaction = True

    def __init__(self, app: App, *, database: Any) -> None:
        self.database = database
        self._app = app
        # Writes on connections that it is given, and opens none itself.
        self._on_sync_connections = App(connector=SyncPsycopgConnector())

    def register(self, task: Task[..., Any]) -> None:
        """Make a task known to procrastinate under its name, with its rules."""

        async def run(**payload: Any) -> Any:
            return await run_payload(task, payload)

        self._app.task(name=task.name, retry=_Retry(task.rules))(run)

    def write(self, jobs: Sequence[Job], session: Any) -> Awaitable[None] | None:
        """Write jobs on the session's own connection."""
        driver = session.connection().connection.driver_connection
        if session.get_bind().dialect.is_async:
            return self._defer_async(jobs, driver)
        for job in jobs:
            deferrer = self._on_sync_connections.configure_task(**_options(job), allow_unknown=True, connection=driver)
            deferrer.defer(**payload_of(job))
        return None

    async def send(self, jobs: Sequence[Job]) -> None:
        """Write jobs on a connection of procrastinate's."""
        await self._defer_async(jobs, None)

    async def _defer_async(self, jobs: Sequence[Job], connection: Any) -> None:
        for job in jobs:
            await self._app.configure_task(**_options(job), connection=connection).defer_async(**payload_of(job))

    async def __aenter__(self) -> Self:
        """Open procrastinate's own connections.

        Raises:
            ConfigurationError: The database does not use psycopg, or procrastinate's tables are not there.
        """
        driver = self.database.engine.dialect.driver
        if driver not in ("psycopg", "psycopg_async"):
            raise ConfigurationError(
                f"ProcrastinateEngine needs a database on psycopg, postgresql+psycopg://...; this one is on {driver}. "
                "procrastinate writes its jobs on the request's own connection, and can only do that with psycopg"
            )
        await self._app.open_async()
        if not await self._app.check_connection_async():
            await self._app.close_async()
            raise ConfigurationError(
                "procrastinate's tables are not in its database: `procrastinate --app=shop.main.jobs schema --apply`, "
                "with the name of your own app, or write them into a migration"
            )
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close them."""
        await self._app.close_async()


class _Retry(BaseRetryStrategy):
    def __init__(self, rules: TaskRules) -> None:
        self._rules = rules

    def get_retry_decision(self, *, exception: BaseException, job: Any) -> RetryDecision | None:
        # `attempts` are those before this one.
        attempt = job.attempts + 1
        if attempt >= self._rules.max_attempts:
            return None
        return RetryDecision(retry_in={"milliseconds": int(self._rules.wait_after(attempt) * 1000)})


def _options(job: Job) -> dict[str, Any]:
    return {"name": job.name, "schedule_in": {"milliseconds": int(job.delay_s * 1000)} if job.delay_s else None}
