"""`Database`: synchronous SQLAlchemy sessions whose commit comes before the response."""

import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Self

from fastapi import Depends
from sqlalchemy import URL, Connection, Engine, MetaData, create_engine
from sqlalchemy.orm import Session, sessionmaker
from starlette.concurrency import run_in_threadpool

from fastapi_patterns.db._engine import SESSION_OPTIONS, engine_options, parse_url, prepare_sqlite, require_driver
from fastapi_patterns.db.failures import exception_map
from fastapi_patterns.exceptions import ConfigurationError, ExceptionMap

__all__ = ["Database"]


class Database:
    """Sessions for routes, tasks and scripts over one engine, which is made on first use.

    `SessionDep = Annotated[Session, Depends(database.session)]` gives a route the one session of the request: it is
    committed after the route has returned and before the response is sent, and rolled back when an exception leaves
    the route. A commit that fails is therefore an error answer, never a 200. A response that the route *returns*
    commits, whatever its status; one that it raises rolls back.

    Args:
        source: A URL, or the application's own `Engine` or `sessionmaker`, which are used as they are.
        metadata: The tables, for `create_all` and for tests: `Base.metadata`.
        engine_options: More options for `create_engine`; only together with a URL.

    Raises:
        ConfigurationError: Not a database URL, an async engine, or options beside an engine.

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
        **engine_options: Any,
    ) -> None:
        if not isinstance(source, (str, URL, Engine, sessionmaker)):
            raise ConfigurationError(
                f"Database takes a URL, an Engine or a sessionmaker; got {type(source).__name__}. "
                "For an async engine use AsyncDatabase."
            )
        if engine_options and not isinstance(source, (str, URL)):
            raise ConfigurationError(
                "engine options go with a URL; an engine of the application's own has them already"
            )
        self.metadata = metadata
        self._source = parse_url(source, asynchronous=False) if isinstance(source, (str, URL)) else source
        self._options = engine_options
        self._lock = threading.Lock()
        self._maker: sessionmaker[Any] | None = None
        self._bound: Connection | None = None

        def unit_of_work() -> Iterator[Session]:
            with self.session_scope() as session:
                yield session

        # The plain function in front makes every declaration of the dependency meet the one function-scoped generator.
        async def session(opened: Annotated[Session, Depends(unit_of_work, scope="function")]) -> Session:
            return opened

        self.session = session

    @property
    def engine(self) -> Engine:
        """The engine, made on first use; in a test that of the bound connection."""
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
    def bound_to(self, connection: Connection) -> Iterator[Self]:
        """Make every session a part of the transaction on this connection: for tests.

        Commits become savepoints; whoever opened the transaction rolls it back.

        Raises:
            ConfigurationError: It is bound to a connection already.
        """
        if self._bound is not None:
            raise ConfigurationError("the database is bound to a connection already")
        self._bound = connection
        try:
            yield self
        finally:
            self._bound = None

    def exception_map(self) -> ExceptionMap:
        """Give the answers to this room's failures; `install_stack` asks for it."""
        return exception_map()

    async def __aenter__(self) -> Self:
        """Begin the application's life: nothing connects before the first query."""
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Close the pool of an engine that was made here; the application's own engine stays open."""
        if self._maker is not None and isinstance(self._source, URL):
            await run_in_threadpool(self._maker.kw["bind"].dispose)

    def _open(self) -> Session:
        if self._bound is None:
            return self._sessions()()  # type: ignore[no-any-return]  # sessionmaker[Any]
        return self._sessions()(  # type: ignore[no-any-return]
            bind=self._bound, join_transaction_mode="create_savepoint"
        )

    def _sessions(self) -> sessionmaker[Any]:
        with self._lock:
            if self._maker is None:
                self._maker = self._make()
            return self._maker

    def _make(self) -> sessionmaker[Any]:
        if isinstance(self._source, sessionmaker):
            return self._source
        engine = self._source
        if isinstance(engine, URL):
            require_driver(engine)
            engine = create_engine(engine, **{**engine_options(engine), **self._options})
            prepare_sqlite(engine)
        return sessionmaker(engine, **SESSION_OPTIONS)

    def __repr__(self) -> str:
        kind = self._source if isinstance(self._source, (URL, Engine)) else type(self._source).__name__
        return f"Database({kind!r})"  # URL's repr hides the password
