"""`SqlAlchemyTokenStore`: sessions and revoked tokens in the application's own database, sync or async.

Needs the extra `db`. Every call opens a session of its own and commits it, so what it did stays when the request fails.
"""

from fastapi_patterns._optional import require

require("sqlalchemy", extra="db", room="fastapi_patterns.auth.stores.SqlAlchemyTokenStore")

# ruff: noqa: E402 (the check above comes first)
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import anyio
import anyio.to_thread
from anyio.lowlevel import RunVar
from sqlalchemy import (
    MetaData,
    case,
    delete,
    exists,
    false,
    insert,
    null,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from fastapi_patterns.auth.stores._kept import CutOff, as_seen, from_micros, is_revoked, to_micros
from fastapi_patterns.auth.stores._tables import TokenStoreTables, token_store_tables
from fastapi_patterns.security.refresh import RefreshSession

if TYPE_CHECKING:
    from sqlalchemy import CursorResult
    from sqlalchemy.ext.asyncio import AsyncSession  # needs what the extra `async-db` brings

__all__ = ["SessionSource", "SqlAlchemyTokenStore", "TokenStoreTables", "token_store_tables"]

T = TypeVar("T")

# PostgreSQL ends one of two transactions that contradict each other (SERIALIZABLE, REPEATABLE READ) or wait for each
# other, and wants it run again: then a swap that came second sees so, and is no error of the server.
_AGAIN, _ATTEMPTS = {"40001", "40P01"}, 5
# Threads of its own: when all of the others wait for a connection that a session holds, ending that session needs one.
_THREADS = 10
_limiter: RunVar[anyio.CapacityLimiter] = RunVar("fastapi_patterns.token_store_threads")


class SessionSource(Protocol):
    """What the store needs of a database: `Database` and `AsyncDatabase` have it."""

    def session_scope(self) -> "AbstractContextManager[Session] | AbstractAsyncContextManager[AsyncSession]":
        """Open a session that commits when its block ends and rolls back when an exception leaves it."""
        ...


class SqlAlchemyTokenStore:
    """Keeps sessions and revoked tokens in tables of its own.

    With a sync `Database`, each call runs in a thread. A call takes a connection beside the one that the request's own
    session may hold already: see the page about refresh and logout.

    Args:
        database: A `Database` or an `AsyncDatabase`, or whatever else has their `session_scope`.
        tables: `token_store_tables(Base.metadata)`, to have them among the application's own; tables on a `MetaData` of
            the store's own by default, which is `store.metadata`.

    Attributes:
        tables: The tables.
    """

    def __init__(self, database: SessionSource, *, tables: TokenStoreTables | None = None) -> None:
        self._database = database
        self.tables = token_store_tables(MetaData()) if tables is None else tables

    @property
    def metadata(self) -> MetaData:
        """What the tables are on: for Alembic, `target_metadata = [Base.metadata, store.metadata]`."""
        return self.tables.sessions.metadata

    async def create_all(self) -> None:
        """Create the tables that are missing: for small applications without migrations."""
        tables = [self.tables.sessions, self.tables.revoked_tokens, self.tables.revoked_subjects]
        await self._run(lambda session: self.metadata.create_all(session.connection(), tables=tables))

    async def add_session(self, session: RefreshSession) -> None:
        """Keep a new session."""
        statement = insert(self.tables.sessions).values(_row(session))
        await self._run(lambda database: database.execute(statement))

    async def get_session(self, sid: str) -> RefreshSession | None:
        """Give a session, also one that has ended, as long as it is kept."""
        kept, cut = self.tables.sessions, self.tables.revoked_subjects
        statement = (
            select(kept, cut.c.revoked_at.label("cut_at"), cut.c.keep_sid)
            .outerjoin(cut, cut.c.subject == kept.c.subject)
            .where(kept.c.sid == sid)
        )
        row = await self._run(lambda database: database.execute(statement).one_or_none())
        return None if row is None else as_seen(_session(row), _cut_off(row.cut_at, row.keep_sid))

    async def swap_session(self, old: RefreshSession, new: RefreshSession) -> bool:
        """Put `new` in the place of `old`, if it is still there and not revoked: one UPDATE."""
        kept = self.tables.sessions
        statement = (
            update(kept)
            .where(kept.c.sid == old.sid, kept.c.digest == old.digest, kept.c.revoked_at.is_(None))
            .values(_row(new))
        )
        return await self._run(lambda database: _count(database, statement)) == 1

    async def revoke_session(self, sid: str, *, at: datetime) -> None:
        """End a session."""
        kept = self.tables.sessions
        statement = update(kept).where(kept.c.sid == sid, kept.c.revoked_at.is_(None)).values(revoked_at=to_micros(at))
        await self._run(lambda database: database.execute(statement))

    async def revoke_subject(
        self, subject: str, *, at: datetime, expires_at: datetime, keep_sid: str | None = None
    ) -> None:
        """End all of somebody's sessions and access tokens, except those of one session."""
        kept, cut = self.tables.sessions, self.tables.revoked_subjects
        end = update(kept).where(kept.c.subject == subject, kept.c.revoked_at.is_(None))
        if keep_sid is not None:
            end = end.where(kept.c.sid != keep_sid)
        until = to_micros(expires_at)
        values = {"revoked_at": to_micros(at), "keep_sid": keep_sid, "expires_at": until}
        longer = case((cut.c.expires_at > until, cut.c.expires_at), else_=until)

        def work(database: Session) -> None:
            database.execute(end.values(revoked_at=to_micros(at)))
            # One that is there and later, because a clock was set back, ends more and stays.
            earlier = update(cut).where(cut.c.subject == subject, cut.c.revoked_at <= to_micros(at))
            change = earlier.values({**values, "expires_at": longer})
            _write(database, change, insert(cut).values(subject=subject, **values))

        await self._run(work)

    async def revoke_token(self, jti: str, *, expires_at: datetime) -> None:
        """Refuse an access token by its id, until it would have ended anyway."""
        table, until = self.tables.revoked_tokens, to_micros(expires_at)
        change = update(table).where(table.c.jti == jti).values(expires_at=until)
        await self._run(lambda database: _write(database, change, insert(table).values(jti=jti, expires_at=until)))

    async def is_revoked(self, *, jti: str | None, sid: str | None, subject: str, issued_at: datetime | None) -> bool:
        """Tell whether an access token was revoked: one query."""
        kept, cut, tokens = self.tables.sessions, self.tables.revoked_subjects, self.tables.revoked_tokens
        mine = select(cut.c.revoked_at).where(cut.c.subject == subject)
        begun = select(kept.c.created_at).where(kept.c.sid == sid, kept.c.revoked_at.is_(None))
        statement = select(
            (false() if jti is None else exists().where(tokens.c.jti == jti)).label("token"),
            (null() if sid is None else begun.scalar_subquery()).label("begun"),
            mine.scalar_subquery().label("cut_at"),
            mine.with_only_columns(cut.c.keep_sid).scalar_subquery().label("keep_sid"),
        )
        row = await self._run(lambda database: database.execute(statement).one())
        return is_revoked(
            token_revoked=bool(row.token),
            sid=sid,
            begun=_moment(row.begun),
            cut_off=_cut_off(row.cut_at, row.keep_sid),
            issued_at=issued_at,
        )

    async def delete_expired(self, *, now: datetime) -> int:
        """Forget what has ended: for a job that runs once a day or so."""
        ended = [
            delete(table).where(table.c.expires_at <= to_micros(now))
            for table in (self.tables.sessions, self.tables.revoked_tokens, self.tables.revoked_subjects)
        ]
        return await self._run(lambda database: sum(_count(database, statement) for statement in ended))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._database!r})"

    async def _run(self, work: Callable[[Session], T]) -> T:
        """Do something in a transaction of its own, again when the database asks for it."""
        attempts = _ATTEMPTS
        while True:
            try:
                return await self._once(work)
            except DBAPIError as error:
                attempts -= 1
                if attempts == 0 or getattr(error.orig, "sqlstate", None) not in _AGAIN:
                    raise

    async def _once(self, work: Callable[[Session], T]) -> T:
        scope = self._database.session_scope()
        if isinstance(scope, AbstractAsyncContextManager):
            async with scope as session:
                return await session.run_sync(work)

        def call() -> T:
            with scope as session:
                return work(session)

        return await anyio.to_thread.run_sync(call, limiter=_own_threads())


def _own_threads() -> anyio.CapacityLimiter:
    try:
        return _limiter.get()
    except LookupError:
        limiter = anyio.CapacityLimiter(_THREADS)
        _limiter.set(limiter)
        return limiter


def _count(database: Session, statement: Any) -> int:
    result: CursorResult[Any] = database.execute(statement)  # type: ignore[assignment]  # it is none that returns rows
    return result.rowcount


def _write(database: Session, change: Any, add: Any) -> None:
    """Change a row or add it, also when somebody else adds it at the same time."""
    if _count(database, change):
        return
    try:
        with database.begin_nested():
            database.execute(add)
    except IntegrityError:
        database.execute(change)


def _row(session: RefreshSession) -> dict[str, Any]:
    return {
        "sid": session.sid,
        "subject": session.subject,
        "digest": session.digest,
        "previous_digest": session.previous_digest,
        "created_at": to_micros(session.created_at),
        "rotated_at": to_micros(session.rotated_at),
        "expires_at": to_micros(session.expires_at),
        "revoked_at": None if session.revoked_at is None else to_micros(session.revoked_at),
        "scope": session.scope,
    }


def _session(row: Any) -> RefreshSession:
    return RefreshSession(
        sid=row.sid,
        subject=row.subject,
        digest=row.digest,
        previous_digest=row.previous_digest,
        created_at=from_micros(row.created_at),
        rotated_at=from_micros(row.rotated_at),
        expires_at=from_micros(row.expires_at),
        revoked_at=_moment(row.revoked_at),
        scope=row.scope,
    )


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


def _cut_off(micros: int | None, keep_sid: str | None) -> CutOff | None:
    return None if micros is None else CutOff(at=from_micros(micros), keep_sid=keep_sid)
