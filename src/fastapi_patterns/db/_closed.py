"""Makes a closed session say what to use instead: SQLAlchemy's own reopens silently, or refuses without a hint."""

from functools import cache
from typing import Any, Never

from fastapi_patterns.db.failures import SessionClosedError

__all__ = ["refuse_from_now_on"]

# What begins work on a session, sync or async.
_METHODS = (
    "add", "add_all", "begin", "begin_nested", "commit", "connection", "delete", "exec", "execute", "flush", "get",
    "get_one", "merge", "query", "refresh", "run_sync", "scalar", "scalars", "stream", "stream_scalars",
)  # fmt: skip


def refuse_from_now_on(session: Any) -> None:
    """Let every further use of a session raise `SessionClosedError`."""
    inner = getattr(session, "sync_session", None)  # what an AsyncSession works on
    for each in (session,) if inner is None else (session, inner):
        vars(each).update(_refusals(type(each)))  # type: ignore[arg-type]  # a class is hashable


@cache  # an application has a session class or two
def _refusals(kind: type) -> dict[str, Any]:
    return {name: _refused for name in _METHODS if hasattr(kind, name)}


def _refused(*_: object, **__: object) -> Never:
    raise SessionClosedError(
        "This session ended with its request or block. A background task, a stream or a script opens its own: "
        "`with database.session_scope() as session` (`async with`, where it is an AsyncDatabase)."
    )
