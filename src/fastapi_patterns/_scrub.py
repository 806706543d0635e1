"""Exceptions without the values that they carry, for log lines.

SQLAlchemy's errors print bound values, a driver's print the row that is in the way, pydantic's print what was sent, and
a settings model's print secrets. `scrub` gives a stand-in that has the same type's name, traceback and causes, and says
what is wrong without saying with what.
"""

import re
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["scrub"]

# The drivers whose messages may quote a row; SQLite's name tables and columns only.
_DRIVERS = ("asyncpg", "psycopg", "psycopg2", "pymysql", "MySQLdb", "mysql", "aiomysql", "oracledb", "pyodbc")
# Marks a stand-in.
_DONE = "_fastapi_patterns_scrubbed"

# What PostgreSQL's SQLSTATEs mean that somebody on call wants to tell apart, in words of our own.
# Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
_MEANINGS = {
    "25006": "the transaction is read-only",
    "28000": "this role may not log in, or not from here",
    "28P01": "password authentication failed",
    "3D000": "the database does not exist",
    "40001": "serialization failure",
    "40P01": "deadlock",
    "42501": "the role lacks a privilege",
    "42703": "there is no such column",
    "42P01": "there is no such table",
    "53100": "the server's disk is full",
    "53200": "the server is out of memory",
    "53300": "too many connections",
    "55P03": "a lock was not free",
    "57014": "the statement was cancelled, or over its time limit",
    "57P01": "the server ended the connection",
    "57P02": "the server crashed",
    "57P03": "the server does not accept connections at the moment",
}
# psycopg and psycopg2 say only in words why no connection could be made. A phrase that is found is answered with words
# of our own; nothing of the text itself goes on.
_PHRASES = (
    (re.compile("password authentication failed"), "password authentication failed"),
    (re.compile("no password supplied"), "the server wants a password, and there is none"),
    (re.compile(r"database \"[^\n]*\" does not exist"), "the database does not exist"),
    (re.compile(r"no pg_hba\.conf entry|role \"[^\n]*\" (?:does not exist|is not permitted)"), _MEANINGS["28000"]),
    (re.compile("too many (?:clients|connections)|remaining connection slots"), "too many connections"),
    (re.compile("database system is|not (?:yet )?accepting connections"), _MEANINGS["57P03"]),
    (re.compile("[Cc]onnection refused|actively refused"), "connection refused: is the server running there?"),
    (re.compile("translate host name|resolve host|Name or service not known|getaddrinfo"), "the host has no address"),
    (re.compile("No route to host|[Nn]etwork is unreachable"), "the host cannot be reached"),
    (re.compile("time(?:out|d out)|did not answer in time"), "no answer in time"),
    (re.compile("certificate|SSL|TLS"), "TLS: the two sides do not agree, or a certificate is refused"),
    (re.compile("closed the connection|[Cc]onnection reset|terminating connection"), "the connection broke"),
)


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

    names: dict[str, object] = {
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__str__": __str__,
        _DONE: True,
    }
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
    if hasattr(error, _DONE):  # a record is scrubbed where it is logged and by a formatter
        return False
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
            meaning = f" ({_MEANINGS[value]})" if name == "sqlstate" and value in _MEANINGS else ""
            parts.append(f"{name.removesuffix('_name')}={value}{meaning}")
    return " ".join(parts) or _without_state(error)


def _without_state(error: Any) -> str:
    """What a driver's error may say that has no SQLSTATE: MySQL's number, or why there is no connection."""
    arguments = getattr(error, "args", ())
    if arguments and type(arguments[0]) is int:
        return f"code={arguments[0]} [message hidden]"
    text = _text(error)
    return next((meaning for phrase, meaning in _PHRASES if phrase.search(text)), "[message hidden]")


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
