"""`AsyncDatabase`: the same as `Database`, over SQLAlchemy's asyncio extension."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, Self

from fastapi import Depends
from sqlalchemy import URL, MetaData
from sqlalchemy.ext.asyncio import (
    AsyncConnection,
    AsyncEngine,
    AsyncSession,
    async_sessionmaker,
    create_async_engine,
)

from fastapi_patterns.db._engine import SESSION_OPTIONS, engine_options, parse_url, prepare_sqlite, require_driver
from fastapi_patterns.db.failures import exception_map
from fastapi_patterns.exceptions import ConfigurationError, ExceptionMap

__all__ = ["AsyncDatabase"]


class AsyncDatabase:
    """Async sessions for routes, tasks and scripts over one engine, which is made on first use.

    `SessionDep = Annotated[AsyncSession, Depends(database.session)]` gives a route the one session of the request,
    committed after the route has returned and before the response is sent; see `Database` for the whole policy.

    Args:
        source: A URL, or the application's own `AsyncEngine` or `async_sessionmaker`, which are used as they are.
        metadata: The tables, for `create_all` and for tests: `Base.metadata`.
        engine_options: More options for `create_async_engine`; only together with a URL.

    Raises:
        ConfigurationError: Not a database URL, a sync engine, or options beside an engine.

    Attributes:
        session: The dependency, right with any scope or none.
    """

    session: Callable[..., Awaitable[AsyncSession]]

    def __init__(
        self,
        source: str | URL | AsyncEngine | async_sessionmaker[Any],
        *,
        metadata: MetaData | None = None,
        **engine_options: Any,
    ) -> None:
        if not isinstance(source, (str, URL, AsyncEngine, async_sessionmaker)):
            raise ConfigurationError(
                f"AsyncDatabase takes a URL, an AsyncEngine or an async_sessionmaker; got {type(source).__name__}. "
                "For a sync engine use Database."
            )
        if engine_options and not isinstance(source, (str, URL)):
            raise ConfigurationError(
                "engine options go with a URL; an engine of the application's own has them already"
            )
        self.metadata = metadata
        self._source = parse_url(source, asynchronous=True) if isinstance(source, (str, URL)) else source
        self._options = engine_options
        self._maker: async_sessionmaker[Any] | None = None
        self._bound: AsyncConnection | None = None

        async def unit_of_work() -> AsyncIterator[AsyncSession]:
            async with self.session_scope() as session:
                yield session

        # See Database: the plain function in front makes every declaration meet the one function-scoped generator.
        async def session(
            opened: Annotated[AsyncSession, Depends(unit_of_work, scope="function")],
        ) -> AsyncSession:
            return opened

        self.session = session

    @property
    def engine(self) -> AsyncEngine:
        """The engine, made on first use; in a test that of the bound connection."""
        if self._bound is not None:
            return self._bound.engine
        bind = self._sessions().kw.get("bind")
        if not isinstance(bind, AsyncEngine):
            raise ConfigurationError("the async_sessionmaker has no engine: pass bind=engine when it is made")
        return bind

    @asynccontextmanager
    async def session_scope(self) -> AsyncIterator[AsyncSession]:
        """Open a session of its own: for tasks, scripts and streams.

        Commits when the block ends, rolls back when an exception leaves it, and closes for good.
        """
        async with self._open() as session:  # closes, shielded from cancellation
            try:
                yield session
                await session.commit()
            except BaseException:
                await session.rollback()
                raise

    async def create_all(self) -> None:
        """Create the missing tables of `metadata`: for examples, tests and small applications without migrations.

        Raises:
            ConfigurationError: The database was made without `metadata`.
        """
        if self.metadata is None:
            raise ConfigurationError("create_all needs the tables: AsyncDatabase(..., metadata=Base.metadata)")
        if self._bound is not None:
            await self._bound.run_sync(self.metadata.create_all)
            return
        async with self.engine.begin() as connection:
            await connection.run_sync(self.metadata.create_all)

    @asynccontextmanager
    async def bound_to(self, connection: AsyncConnection) -> AsyncIterator[Self]:
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
            await self._maker.kw["bind"].dispose()

    def _open(self) -> AsyncSession:
        if self._bound is None:
            return self._sessions()()  # type: ignore[no-any-return]  # async_sessionmaker[Any]
        return self._sessions()(  # type: ignore[no-any-return]
            bind=self._bound, join_transaction_mode="create_savepoint"
        )

    def _sessions(self) -> async_sessionmaker[Any]:
        if self._maker is None:
            self._maker = self._make()
        return self._maker

    def _make(self) -> async_sessionmaker[Any]:
        if isinstance(self._source, async_sessionmaker):
            return self._source
        engine = self._source
        if isinstance(engine, URL):
            require_driver(engine)
            engine = create_async_engine(engine, **{**engine_options(engine), **self._options})
            prepare_sqlite(engine.sync_engine)
        return async_sessionmaker(engine, **SESSION_OPTIONS)

    def __repr__(self) -> str:
        kind = self._source if isinstance(self._source, (URL, AsyncEngine)) else type(self._source).__name__
        return f"AsyncDatabase({kind!r})"  # URL's repr hides the password
