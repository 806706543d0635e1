"""Exceptions without the values that they carry, for log lines.

SQLAlchemy's errors print bound values, a driver's print the row that is in the way, pydantic's print what was sent, and
a settings model's print secrets. `scrub` gives a stand-in that has the same type's name, traceback and causes, and says
what is wrong without saying with what.
"""

import sys
from collections.abc import Callable
from typing import Any

__all__ = ["scrub"]

# The drivers whose messages may quote a row; SQLite's name tables and columns only.
_DRIVERS = ("asyncpg", "psycopg", "psycopg2", "pymysql", "MySQLdb", "mysql", "aiomysql", "oracledb", "pyodbc")


def scrub(error: BaseException) -> BaseException:
    """Return the exception itself, or a stand-in where it or one behind it carries values."""
    return _scrubbed(error, {})


def _scrubbed(error: BaseException, seen: dict[int, BaseException]) -> BaseException:
    if id(error) in seen:
        return seen[id(error)]
    seen[id(error)] = error  # a chain may be a ring
    cause = None if error.__cause__ is None else _scrubbed(error.__cause__, seen)
    context = None if error.__context__ is None else _scrubbed(error.__context__, seen)
    if isinstance(error, BaseExceptionGroup):
        inner = [_scrubbed(each, seen) for each in error.exceptions]
        changed = any(new is not old for new, old in zip(inner, error.exceptions, strict=True))
        stand_in: BaseException = BaseExceptionGroup(error.message, inner) if changed else error
    else:
        text = _safe_text(error)
        stand_in = error if text is None else _stand_in(type(error), text)
    if stand_in is error and cause is error.__cause__ and context is error.__context__:
        return error
    if stand_in is error:
        stand_in = _stand_in(type(error), _text(error))
    stand_in.__cause__, stand_in.__context__ = cause, context
    stand_in.__suppress_context__ = error.__suppress_context__
    seen[id(error)] = stand_in
    return stand_in.with_traceback(error.__traceback__)


def _stand_in(cls: type[BaseException], text: str) -> BaseException:
    def __str__(self: object) -> str:  # noqa: N807
        return text

    names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__str__": __str__}
    stand_in: BaseException = type(cls.__name__, (Exception,), names)()
    return stand_in


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "<the exception has no text>"


def _safe_text(error: BaseException) -> str | None:
    """What an exception that carries values may say; None for every other one."""
    for module, name, describe in _KINDS:
        found = sys.modules.get(module)  # what has not been imported has not raised
        if found is not None and isinstance(error, getattr(found, name, ())):
            return describe(error)
    return _of_driver(error) if _is_driver(error) else None


def _is_driver(error: BaseException) -> bool:
    module = type(error).__module__
    return module.partition(".")[0] in _DRIVERS or module.startswith("sqlalchemy.dialects.")


def _of_sqlalchemy(error: Any) -> str:
    statement = "" if error.statement is None else f" [SQL: {error.statement}]"
    return f"({type(error.orig).__qualname__}) {_of_driver(error.orig)}{statement} [values hidden]"


def _of_driver(error: Any) -> str:
    if type(error).__module__.partition(".")[0] in ("sqlite3", "aiosqlite"):
        return _text(error)
    # psycopg keeps the details in `diag`, asyncpg on its own exception, behind the one that SQLAlchemy adapts.
    places = (error, getattr(error, "diag", None), error.__cause__)
    parts = []
    for name in ("sqlstate", "constraint_name", "table_name", "column_name"):
        value = next((value for place in places if isinstance(value := getattr(place, name, None), str)), None)
        if value:
            parts.append(f"{name.removesuffix('_name')}={value}")
    return " ".join(parts) or "[message hidden]"


def _of_rollback(error: Any) -> str:
    return _text(error).partition("Original exception was:")[0].strip()


def _of_validation(error: Any) -> str:
    problems = [f"{'.'.join(map(str, each.get('loc', ())))} ({each.get('type')})" for each in _errors(error)]
    return f"{len(problems)} validation error(s): {', '.join(problems[:20])} [input hidden]"


def _errors(error: Any) -> list[dict[str, Any]]:
    try:
        return list(error.errors(include_url=False, include_context=False, include_input=False))
    except TypeError:  # FastAPI's own, which wraps a list
        return [each for each in error.errors() if isinstance(each, dict)]


_KINDS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("sqlalchemy.exc", "StatementError", _of_sqlalchemy),
    ("sqlalchemy.exc", "PendingRollbackError", _of_rollback),
    ("pydantic_core", "ValidationError", _of_validation),
    ("fastapi.exceptions", "ValidationException", _of_validation),
)
