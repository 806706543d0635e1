"""`Database`: synchronous SQLAlchemy sessions whose commit comes before the response."""

import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import partial, wraps
from typing import Annotated, Any, Concatenate, Never, ParamSpec, Self, TypeVar

import anyio
import anyio.to_thread
from fastapi import Depends
from sqlalchemy import URL, Connection, Engine, MetaData, create_engine, text
from sqlalchemy.exc import IllegalStateChangeError
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool

from fastapi_patterns._session_end import tell_followers
from fastapi_patterns.db._closed import refuse_from_now_on
from fastapi_patterns.db._engine import SESSION_OPTIONS, prepare
from fastapi_patterns.db._guard import check_bound, mark_dependency
from fastapi_patterns.db._names import warn_of_unknown_names
from fastapi_patterns.db._places import Places
from fastapi_patterns.db._policy import APPLICATION_NAME, Commit, Policy
from fastapi_patterns.db._source import (
    STATEMENT_TIMEOUT,
    check_binds,
    check_metadata,
    check_session_class,
    parse_source,
)
from fastapi_patterns.db._transaction import MISTAKES, check_retries, check_sync_function, check_timeout
from fastapi_patterns.db._url import make_engine
from fastapi_patterns.db.failures import DatabaseUnavailableError, delay_before, is_retryable
from fastapi_patterns.exceptions import ConfigurationError, ErrorInfo, ExceptionMap

__all__ = ["Database"]

P = ParamSpec("P")
R = TypeVar("R")

# Seconds between attempts to end a session that a thread is using.
_PAUSE_S = 0.01


class Database:
    """Sessions for routes, tasks and scripts over one engine, made at the application's start or on first use.

    `SessionDep = Annotated[Session, Depends(database.session)]` gives a route the one session of the request: it is
    committed after the route has returned and before the response is sent, and rolled back when an exception leaves
    the route. A commit that fails is therefore an error answer, never a 200. A response that the route *returns*
    commits, whatever its status; one that it raises rolls back.

    Args:
        source: A URL, or the application's own `Engine` or `sessionmaker`, which are used as they are.
        metadata: The tables, for `create_all` and for tests: `Base.metadata`.
        session_class: The class of the sessions, such as SQLModel's; `Session` by default. A `sessionmaker` has its
            own, and takes none beside it.
        commit: `"before_response"`, or `"manual"`: then the dependency `session` leaves it to the application.
            `session_scope()` and `transaction()` commit in either case.
        constraints: What a client reads when a constraint of this name is violated, such as `{"uq_users_email":
            "E-mail is taken"}`: a text (409) or an `ErrorInfo`.
        other_integrity_status: The answer to violations of other constraints than unique ones: 500, or 422 where they
            check the client's data.
        statement_timeout: How long a statement may take on PostgreSQL, 30 seconds where nothing is said; None for no
            limit. Only together with a URL.
        application_name: What PostgreSQL's `pg_stat_activity` calls the connections: `"fastapi"` where nothing is said.
            Only together with a URL.
        engine_options: More options for `create_engine`; only together with a URL.

    Raises:
        ConfigurationError: Not a database URL, an async driver or engine, a setting that is not known, or options that
            an engine or sessionmaker would ignore.

    Attributes:
        session: The dependency. However it is declared (`Depends(...)` with any scope or none), a request has one
            session, committed before its response.
    """

    session: Callable[..., Awaitable[Session]]

    def __init__(
        self,
        source: str | URL | Engine | sessionmaker[Any],
        *,
        metadata: MetaData | None = None,
        session_class: type[Session] | None = None,
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
            asynchronous=False,
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
        self._session_class = check_session_class(session_class, Session)
        self._options = engine_options
        self._started = False
        self._lock = threading.Lock()
        self._maker: sessionmaker[Any] | None = None
        self._places: Places | None = None
        self._bound: Connection | Engine | None = None

        async def unit_of_work() -> AsyncIterator[Session]:
            async with self._free_places().one():
                opened = self._open()
                ok = False
                try:
                    try:
                        yield opened
                    except BaseException:
                        await _end(opened, commit=False)
                        raise
                    await _end(opened, commit=self._policy.commit == "before_response")
                    ok = True
                finally:
                    if opened.info:
                        await tell_followers(opened.info, ok)

        # The plain function in front makes every declaration of the dependency meet the one function-scoped generator.
        # Python repeats the parameter's name to whoever calls it: `next(get_db())` says "missing 1 required ...".
        async def session(
            only_in_Depends_otherwise_use_session_scope: Annotated[  # noqa: N803
                Session, Depends(unit_of_work, scope="function")
            ],
        ) -> Session:
            return only_in_Depends_otherwise_use_session_scope

        session.__qualname__ = "Database.session"
        mark_dependency(session, self)
        self.session = session

    @property
    def engine(self) -> Engine:
        """The engine, made on first use; in a test the one that it is bound to."""
        if self._bound is not None:
            return self._bound.engine
        bind = self._sessions().kw.get("bind")
        if not isinstance(bind, Engine):
            raise ConfigurationError("the sessionmaker has no engine: pass bind=engine when it is made")
        return bind

    @contextmanager
    def session_scope(self) -> Iterator[Session]:
        """Open a session of its own: for tasks, scripts and streams.

        Commits when the block ends, rolls back when an exception leaves it, and closes for good.
        """
        session = self._open()
        try:
            yield session
            session.commit()
        except BaseException:
            session.rollback()
            raise
        finally:
            session.close()
            refuse_from_now_on(session)

    def transaction(
        self, *misplaced: Never, retries: int = 3, sleep: Callable[[float], object] = time.sleep
    ) -> Callable[[Callable[Concatenate[Session, P], R]], Callable[P, R]]:
        """Make a function run in a transaction of its own, again when the database asks for it.

        PostgreSQL ends one of two transactions that contradict each other, with a serialization failure or a deadlock,
        and expects it to be run again: the whole function, in a new session. What the function does outside the
        database would be done again too; do that with its result::

            @database.transaction(retries=3)
            def transfer(session: Session, source: int, target: int, amount: int) -> None: ...


            transfer(1, 2, 100)  # the session is passed in

        Args:
            retries: Further attempts, 0 to 3; after the last one the failure is answered with 503.
            sleep: Waits between attempts, 10 to 80 ms; tests pass their own.

        Raises:
            ConfigurationError: `retries` is out of range, or the function is async or a generator.
        """
        check_retries(misplaced, retries)

        def decorate(function: Callable[Concatenate[Session, P], R]) -> Callable[P, R]:
            check_sync_function(function)

            @wraps(function)
            def run(*args: P.args, **kwargs: P.kwargs) -> R:
                for attempt in range(1, retries + 2):
                    try:
                        with self.session_scope() as session:
                            return function(session, *args, **kwargs)
                    except Exception as error:
                        if attempt > retries or not is_retryable(error):
                            raise
                    sleep(delay_before(attempt + 1))
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
        limiter = anyio.CapacityLimiter(1)  # apart from the threads that serve requests
        try:
            with anyio.fail_after(timeout_s):
                await anyio.to_thread.run_sync(self._select_1, limiter=limiter, abandon_on_cancel=True)
        except MISTAKES:
            raise
        except Exception as error:
            raise DatabaseUnavailableError("The database does not answer") from error

    def create_all(self) -> None:
        """Create the missing tables of `metadata`: for examples, tests and small applications without migrations.

        Raises:
            ConfigurationError: The database was made without `metadata`.
        """
        if self.metadata is None:
            raise ConfigurationError("create_all needs the tables: Database(..., metadata=Base.metadata)")
        if self._bound is not None:
            self.metadata.create_all(self._bound)
        else:
            self.metadata.create_all(self.engine)

    @contextmanager
    def bound_to(self, bind: Connection | Engine) -> Iterator[Self]:
        """Open every session on this instead: for tests.

        Args:
            bind: A connection with a transaction, which whoever opened it rolls back: every session is a part of it,
                and commits are savepoints. Or an engine for another database, where commits are what they are.

        Raises:
            ConfigurationError: It is bound already.
        """
        if self._bound is not None:
            raise ConfigurationError("the database is bound to a connection or an engine already")
        self._bound, places, self._places = bind, self._places, None
        try:
            yield self
        finally:
            self._bound, self._places = None, places

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
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the pool of an engine that was made here; the application's own engine stays open."""
        if self._maker is not None and isinstance(self._source, URL):
            await run_in_threadpool(self._maker.kw["bind"].dispose)

    def _open(self) -> Session:
        if self._bound is None:
            check_bound(self)
            return self._sessions()()  # type: ignore[no-any-return]  # sessionmaker[Any]
        if isinstance(self._bound, Engine):
            return self._sessions()(bind=self._bound)  # type: ignore[no-any-return]
        return self._sessions()(  # type: ignore[no-any-return]
            bind=self._bound, join_transaction_mode="create_savepoint"
        )

    def _free_places(self) -> Places:
        if isinstance(self._bound, Connection):
            return Places(None)
        if self._places is None:
            bind = self._bound or self._sessions().kw.get("bind")
            self._places = Places(bind if isinstance(bind, Engine) else None)
        return self._places

    def _select_1(self) -> None:
        if isinstance(self._bound, Connection):
            self._bound.execute(text("SELECT 1"))
            return
        with self.engine.connect() as connection:
            connection.execute(text("SELECT 1"))

    def _sessions(self) -> sessionmaker[Any]:
        with self._lock:
            if self._maker is None:
                self._maker = self._make()
            return self._maker

    def _make(self) -> sessionmaker[Any]:
        if isinstance(self._source, sessionmaker):
            check_binds(self._source, asynchronous=False)  # it may have been configured since
            return self._source
        engine = url = self._source
        if isinstance(url, URL):
            engine = make_engine(create_engine, url, self._policy.engine_options(url, self._options))
            prepare(engine, self._policy.limit_of(url, self._options))
        return sessionmaker(engine, class_=self._session_class, **SESSION_OPTIONS)

    def __repr__(self) -> str:
        kind = self._source if isinstance(self._source, (URL, Engine)) else type(self._source).__name__
        return f"Database({kind!r})"  # URL's repr hides the password


async def _end(session: Session, *, commit: bool) -> None:
    """End a request's session in a thread; one that did nothing costs no thread."""
    try:
        with anyio.CancelScope(shield=True):  # a client that leaves must not keep a connection
            while True:
                try:
                    if session.in_transaction() or session.new or session.dirty or session.deleted:
                        await anyio.to_thread.run_sync(partial(_commit_or_roll_back, session, commit=commit))
                    else:
                        session.close()
                    return
                except IllegalStateChangeError:
                    # The request was cancelled, and its thread is still inside the session: it cannot be stopped.
                    await anyio.sleep(_PAUSE_S)
    finally:
        refuse_from_now_on(session)


def _commit_or_roll_back(session: Session, *, commit: bool) -> None:
    try:
        if commit:
            session.commit()
        else:
            session.rollback()
    except BaseException:
        session.rollback()
        raise
    finally:
        session.close()
