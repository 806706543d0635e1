"""Ends async sessions and connections whatever happens around them: cancelled requests, coroutines that still run."""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
from sqlalchemy import Engine
from sqlalchemy.exc import IllegalStateChangeError, MissingGreenlet, SQLAlchemyError

if TYPE_CHECKING:  # needs what the extra `async-db` brings
    from sqlalchemy.ext.asyncio import AsyncSession

__all__ = ["end_in_background", "end_session"]

# Seconds between attempts to end a session that another coroutine is using.
_PAUSE_S = 0.01
# Seconds that asyncpg has for ending a statement and a connection before it only drops the socket.
_CLOSE_TIMEOUT_S = 2


async def end_session(session: "AsyncSession", *, roll_back: bool) -> None:
    """Close a session and give its connection back, whatever else happens to the request."""
    ending = asyncio.create_task(_end(session, roll_back=roll_back))  # `Task.cancel` reaches the request, not this
    with anyio.CancelScope(shield=True):  # an anyio scope that is cancelled would cancel the await here again
        await asyncio.shield(ending)


async def _end(session: "AsyncSession", *, roll_back: bool) -> None:
    with suppress(SQLAlchemyError, OSError):  # what the request itself raised is what it is answered with
        if roll_back:
            await session.rollback()
        await session.close()
        return
    # Another coroutine is inside the session: `asyncio.gather(session.flush(), session.execute(...))` fails and leaves
    # one of them running. SQLAlchemy refuses to end the session under it, and the connection would never come back.
    while True:
        try:
            await session.invalidate()
        except IllegalStateChangeError:
            await asyncio.sleep(_PAUSE_S)
        else:
            return


def end_in_background(engine: Engine) -> None:
    """Let asyncpg end a broken or cancelled connection in a task of its own.

    SQLAlchemy waits for it in the request; one that is cancelled again meanwhile, as anyio does, would drop the socket
    and leave the statement running on the server, and a server out of reach would hold the request for longer.
    """
    dialect: Any = engine.dialect
    terminate = dialect.do_terminate
    ending: set[asyncio.Task[None]] = set()

    async def begin(connection: Any) -> None:
        task = asyncio.create_task(_close(connection))
        ending.add(task)
        task.add_done_callback(ending.discard)

    def do_terminate(adapted: Any) -> None:
        try:
            adapted.run_async(begin)
        except MissingGreenlet:  # collected as garbage, outside the event loop's reach
            terminate(adapted)

    dialect.do_terminate = do_terminate


async def _close(connection: Any) -> None:
    try:
        await connection.close(timeout=_CLOSE_TIMEOUT_S)
    except Exception:  # whatever it was, there is nothing left but the socket
        connection.terminate()
