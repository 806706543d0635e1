"""`AsyncDatabase`: the same as `Database`, over SQLAlchemy's asyncio extension."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from functools import wraps
from typing import Annotated, Any, Concatenate, Never, ParamSpec, Self, TypeVar

import anyio
from fastapi import Depends
from sqlalchemy import URL, MetaData, text
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from fastapi_patterns._session_end import tell_followers
from fastapi_patterns.db._closed import refuse_from_now_on
from fastapi_patterns.db._ending import end_session
from fastapi_patterns.db._engine import SESSION_OPTIONS, prepare
from fastapi_patterns.db._guard import check_bound, mark_dependency
from fastapi_patterns.db._names import warn_of_unknown_names
from fastapi_patterns.db._policy import APPLICATION_NAME, Commit, Policy
from fastapi_patterns.db._source import (
    STATEMENT_TIMEOUT,
    check_binds,
    check_metadata,
    check_session_class,
    parse_source,
    warn_of_expiry,
)
from fastapi_patterns.db._transaction import MISTAKES, check_async_function, check_retries, check_timeout
from fastapi_patterns.db._url import make_engine
from fastapi_patterns.db.failures import DatabaseUnavailableError, delay_before, is_retryable
from fastapi_patterns.exceptions import ConfigurationError, ErrorInfo, ExceptionMap

__all__ = ["AsyncDatabase"]

P = ParamSpec("P")
R = TypeVar("R")


class AsyncDatabase:
    """Async sessions for routes, tasks and scripts over one engine, made at the application's start or on first use.

    `SessionDep = Annotated[AsyncSession, Depends(database.session)]` gives a route the one session of the request,
    committed after the route has returned and before the response is sent; see `Database` for the whole policy.

    Args:
        source: A URL, or the application's own `AsyncEngine` or `async_sessionmaker`, which are used as they are.
        metadata: The tables, for `create_all` and for tests: `Base.metadata`.
        session_class: The class of the sessions, such as SQLModel's; `AsyncSession` by default. A sessionmaker has its
            own, and takes none beside it.
        commit: `"before_response"`, or `"manual"`: then the dependency `session` leaves it to the application.
        constraints: What a client reads when a constraint of this name is violated: a text (409) or an `ErrorInfo`.
        other_integrity_status: The answer to violations of other constraints than unique ones: 500 or 422.
        statement_timeout: How long a statement may take on PostgreSQL, 30 seconds where nothing is said; None for no
            limit. Only together with a URL.
        application_name: What PostgreSQL's `pg_stat_activity` calls the connections: `"fastapi"` where nothing is said.
            Only together with a URL.
        engine_options: More options for `create_async_engine`; only together with a URL.

    Raises:
        ConfigurationError: Not a database URL, a sync driver or engine, a setting that is not known, or options that
            an engine or sessionmaker would ignore.

    Attributes:
        session: The dependency, right with any scope or none.
    """

    session: Callable[..., Awaitable[AsyncSession]]

    def __init__(
        self,
        source: str | URL | AsyncEngine | async_sessionmaker[Any],
        *,
        metadata: MetaData | None = None,
        session_class: type[AsyncSession] | None = None,
        commit: Commit = "before_response",
        constraints: Mapping[str, str | ErrorInfo] | None = None,
        other_integrity_status: int = 500,
        statement_timeout: timedelta | None = STATEMENT_TIMEOUT,
        application_name: str | None = None,
        **engine_options: Any,
    ) -> None:
        self.metadata = check_metadata(metadata)
        self._source = parse_source(
            source,
            asynchronous=True,
            statement_timeout=statement_timeout,
            application_name=application_name,
            session_class=session_class,
            engine_options=engine_options,
        )
        self._policy = Policy(
            commit=commit,
            constraints={} if constraints is None else constraints,
            other_integrity_status=other_integrity_status,
            statement_timeout=statement_timeout,
            application_name=APPLICATION_NAME if application_name is None else application_name,
        )
        self._session_class = check_session_class(session_class, AsyncSession)
        self._options = engine_options
        self._started = False
        self._maker: async_sessionmaker[Any] | None = None
        self._bound: AsyncConnection | AsyncEngine | None = None

        async def unit_of_work() -> AsyncIterator[AsyncSession]:
            session, ok = None, False
            try:
                async with self._scope(commits=commit == "before_response") as session:
                    yield session
                ok = True
            finally:
                if session is not None and session.info:
                    await tell_followers(session.info, ok)

        # See Database: the plain function in front makes every declaration meet the one function-scoped generator, and
        # the parameter's name is what a call outside a route is told.
        async def session(
            only_in_Depends_otherwise_use_session_scope: Annotated[  # noqa: N803
                AsyncSession, Depends(unit_of_work, scope="function")
            ],
        ) -> AsyncSession:
            return only_in_Depends_otherwise_use_session_scope

        session.__qualname__ = "AsyncDatabase.session"
        mark_dependency(session, self)
        self.session = session

    @property
    def engine(self) -> AsyncEngine:
        """The engine, made on first use; in a test the one that it is bound to."""
        if self._bound is not None:
            return self._bound if isinstance(self._bound, AsyncEngine) else self._bound.engine
        bind = self._sessions().kw.get("bind")
        if not isinstance(bind, AsyncEngine):
            raise ConfigurationError("the async_sessionmaker has no engine: pass bind=engine when it is made")
        return bind

    @asynccontextmanager
    async def session_scope(self) -> AsyncIterator[AsyncSession]:
        """Open a session of its own: for tasks, scripts and streams.

        Commits when the block ends, rolls back when an exception leaves it, and closes for good.
        """
        async with self._scope(commits=True) as session:
            yield session

    def transaction(
        self, *misplaced: Never, retries: int = 3, sleep: Callable[[float], Awaitable[object]] = anyio.sleep
    ) -> Callable[[Callable[Concatenate[AsyncSession, P], Awaitable[R]]], Callable[P, Awaitable[R]]]:
        """Make a coroutine function run in a transaction of its own, again when the database asks for it.

        See `Database.transaction`; here the function is async, and so is what comes of it.

        Raises:
            ConfigurationError: `retries` is out of range, or the function is not async.
        """
        check_retries(misplaced, retries)

        def decorate(function: Callable[Concatenate[AsyncSession, P], Awaitable[R]]) -> Callable[P, Awaitable[R]]:
            check_async_function(function)

            @wraps(function)
            async def run(*args: P.args, **kwargs: P.kwargs) -> R:
                for attempt in range(1, retries + 2):
                    try:
                        async with self.session_scope() as session:
                            return await function(session, *args, **kwargs)
                    except Exception as error:
                        if attempt > retries or not is_retryable(error):
                            raise
                    await sleep(delay_before(attempt + 1))
                raise AssertionError("unreachable")

            del run.__wrapped__  # its signature has no session
            return run

        return decorate

    async def ping(self, *, timeout_s: float = 2.0) -> None:
        """Ask the database for an answer, for a readiness route.

        Args:
            timeout_s: Seconds to wait at the most, also for a server out of reach.

        Raises:
            DatabaseUnavailableError: There was no answer in time; answered with 503.
            ConfigurationError: There is nothing to ask: the engine cannot be made.
            TypeError: `timeout_s` is no number.
            ValueError: `timeout_s` is not positive, or not finite.
        """
        check_timeout(timeout_s)
        try:
            with anyio.fail_after(timeout_s):
                if isinstance(self._bound, AsyncConnection):
                    await self._bound.execute(text("SELECT 1"))
                    return
                async with self.engine.connect() as connection:
                    await connection.execute(text("SELECT 1"))
        except MISTAKES:
            raise
        except Exception as error:
            raise DatabaseUnavailableError("The database does not answer") from error

    async def create_all(self) -> None:
        """Create the missing tables of `metadata`: for examples, tests and small applications without migrations.

        Raises:
            ConfigurationError: The database was made without `metadata`.
        """
        if self.metadata is None:
            raise ConfigurationError("create_all needs the tables: AsyncDatabase(..., metadata=Base.metadata)")
        if isinstance(self._bound, AsyncConnection):
            await self._bound.run_sync(self.metadata.create_all)
            return
        async with self.engine.begin() as connection:
            await connection.run_sync(self.metadata.create_all)

    @asynccontextmanager
    async def bound_to(self, bind: AsyncConnection | AsyncEngine) -> AsyncIterator[Self]:
        """Open every session on this instead: for tests; see `Database.bound_to`.

        Raises:
            ConfigurationError: It is bound already.
        """
        with self._bound_to(bind):
            yield self

    def exception_map(self) -> ExceptionMap:
        """Give the answers to this database's failures; `install_stack` asks for it."""
        return self._policy.exception_map(self.metadata)

    async def __aenter__(self) -> Self:
        """Begin the application's life: the engine is made, and connects to nothing before the first query.

        Raises:
            MissingExtraError: The driver is one that an extra installs, and is not there.
            ConfigurationError: Another driver is not there, or the engine takes no such options.
        """
        if self._bound is None:
            self._sessions()
        if not self._started:
            self._started = True
            warn_of_unknown_names(self._policy.constraints, self.metadata)
            if isinstance(self._source, async_sessionmaker):
                warn_of_expiry(self._source)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the pool of an engine that was made here; the application's own engine stays open."""
        if self._maker is not None and isinstance(self._source, URL):
            await self._maker.kw["bind"].dispose()

    @asynccontextmanager
    async def _scope(self, *, commits: bool) -> AsyncIterator[AsyncSession]:
        session = self._open()
        done = False
        try:
            yield session
            if commits:
                await session.commit()
            done = True
        finally:
            try:
                await end_session(session, roll_back=not done)
            finally:
                refuse_from_now_on(session)

    @contextmanager
    def _bound_to(self, bind: AsyncConnection | AsyncEngine) -> Iterator[None]:
        if self._bound is not None:
            raise ConfigurationError("the database is bound to a connection or an engine already")
        self._bound = bind
        try:
            yield
        finally:
            self._bound = None

    def _open(self) -> AsyncSession:
        if self._bound is None:
            check_bound(self)
            return self._sessions()()  # type: ignore[no-any-return]  # async_sessionmaker[Any]
        if isinstance(self._bound, AsyncEngine):
            return self._sessions()(bind=self._bound)  # type: ignore[no-any-return]
        return self._sessions()(  # type: ignore[no-any-return]
            bind=self._bound, join_transaction_mode="create_savepoint"
        )

    def _sessions(self) -> async_sessionmaker[Any]:
        if self._maker is None:
            self._maker = self._make()
        return self._maker

    def _make(self) -> async_sessionmaker[Any]:
        if isinstance(self._source, async_sessionmaker):
            check_binds(self._source, asynchronous=True)  # it may have been configured since
            return self._source
        engine = url = self._source
        if isinstance(url, URL):
            engine = make_engine(create_async_engine, url, self._policy.engine_options(url, self._options))
            prepare(engine.sync_engine, self._policy.limit_of(url, self._options))
        return async_sessionmaker(engine, class_=self._session_class, **SESSION_OPTIONS)

    def __repr__(self) -> str:
        kind = self._source if isinstance(self._source, (URL, AsyncEngine)) else type(self._source).__name__
        return f"AsyncDatabase({kind!r})"  # URL's repr hides the password
