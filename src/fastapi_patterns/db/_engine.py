"""Engine defaults that sync and async share, each with its reason. Pure until the event hooks at the end."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import URL, Engine, StaticPool, event

from fastapi_patterns.db._ending import end_in_background
from fastapi_patterns.db._psycopg import bounded_connect
from fastapi_patterns.db._reset import clean_on_return
from fastapi_patterns.db._sqlite import prepare_sqlite
from fastapi_patterns.db.failures import DatabaseUnavailableError
from fastapi_patterns.exceptions import ConfigurationError

__all__ = ["SESSION_OPTIONS", "engine_options", "limit_of", "prepare"]

# Rows stay readable after the commit, which comes before the response is sent (and a lazy reload cannot be awaited);
# a closed session refuses work: SQLAlchemy's default reopens it silently and leaks a connection.
SESSION_OPTIONS: dict[str, Any] = {"expire_on_commit": False, "close_resets_only": False}

# Four worker processes of this size stay under PostgreSQL's 100 connections. Sync requests beyond it wait on the event
# loop (see `_places`), so the 40 threads that serve them need no 40 connections.
_POOL_SIZE, _MAX_OVERFLOW = 10, 10
_POOL_TIMEOUT_S = 10  # a client has gone by the 30 of SQLAlchemy's default
_CONNECT_TIMEOUT_S = 5

# A setting of the server's by this name, as libpq's `options` (`-c name=value`, `--name=value`) and asyncpg spell it.
_SETS_TIMEOUT = re.compile(r"(?<![\w.-])(?:-c|--)?statement[_-]timeout\b", re.IGNORECASE)


def engine_options(
    url: URL, own: dict[str, Any], *, statement_timeout: timedelta | None, application_name: str
) -> dict[str, Any]:
    """Give the options for `create_engine`: the defaults, with the application's own over them.

    Raises:
        ConfigurationError: The application's own settings of the server are of no kind that its driver takes.
    """
    # Bound values are passwords and personal data; SQLAlchemy prints them in every error otherwise.
    options: dict[str, Any] = {"hide_parameters": True}
    connect = dict(own.get("connect_args", {}))
    if _is_sqlite(url):
        # FastAPI may open a session in one worker thread and close it in another.
        connect = {"check_same_thread": False, **connect}
        if is_memory(url):
            options["poolclass"] = StaticPool  # each new connection would be an empty database of its own
    else:
        # A connection that the server or a firewall has dropped is replaced instead of failing a request.
        options["pool_pre_ping"] = True
        if "poolclass" not in own:
            options |= {"pool_size": _POOL_SIZE, "max_overflow": _MAX_OVERFLOW, "pool_timeout": _POOL_TIMEOUT_S}
        connect = _connect_arguments(url, connect, statement_timeout, application_name)
    return {**options, **own, "connect_args": connect}


def limit_of(url: URL, own: dict[str, Any], statement_timeout: timedelta | None) -> timedelta | None:
    """Give the time limit of a statement that is kept here: none where the application sets one in its own arguments.

    Raises:
        ConfigurationError: The application's own settings of the server are of no kind that its driver takes.
    """
    arguments = own.get("connect_args", {})
    settings = " ".join(_server_settings(arguments)) if _is_asyncpg(url) else _startup_options(url, arguments)
    return None if _SETS_TIMEOUT.search(settings) else statement_timeout


def _connect_arguments(
    url: URL, own: dict[str, Any], statement_timeout: timedelta | None, application_name: str
) -> dict[str, Any]:
    """A name for `pg_stat_activity`, and limits in time; what the URL or the application says itself is left alone."""
    limit = limit_of(url, {"connect_args": own}, statement_timeout)
    if _is_libpq(url):
        connect: dict[str, Any] = {"connect_timeout": _CONNECT_TIMEOUT_S, "application_name": application_name}
        connect = {name: value for name, value in connect.items() if name not in url.query} | own
        if limit is not None:
            connect["options"] = f"-c statement_timeout={_milliseconds(limit)} {_startup_options(url, own)}".strip()
        return connect
    if not _is_asyncpg(url):
        return own
    settings = {"application_name": application_name}
    connect = {"timeout": _CONNECT_TIMEOUT_S}
    if limit is not None:
        # The server's limit ends a slow statement; the driver's own, a little later, one whose server is out of reach.
        settings["statement_timeout"] = str(_milliseconds(limit))
        connect["command_timeout"] = _client_limit_s(limit)
    return {**connect, **own, "server_settings": {**settings, **_server_settings(own)}}


def _startup_options(url: URL, own: Mapping[str, Any]) -> str:
    """The application's own `options` for libpq, such as `-c search_path=shop`."""
    given = own.get("options", url.query.get("options")) or ""
    if isinstance(given, tuple):  # named twice in the URL
        given = " ".join(given)
    if _is_libpq(url) and not isinstance(given, str):
        raise ConfigurationError(f"connect_args: options must be a text, such as '-c x=1'; got {type(given).__name__}")
    return given if isinstance(given, str) else ""


def _server_settings(own: Mapping[str, Any]) -> Mapping[str, Any]:
    """The application's own `server_settings` for asyncpg."""
    given = own.get("server_settings") or {}
    if not isinstance(given, Mapping):
        raise ConfigurationError(
            f"connect_args: server_settings must be a dict, such as {{'jit': 'off'}}; got {type(given).__name__}"
        )
    return given


def _milliseconds(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)


def _client_limit_s(statement_timeout: timedelta) -> float:
    return statement_timeout.total_seconds() * 1.05 + 0.05


def _is_libpq(url: URL) -> bool:
    return url.get_driver_name() in ("psycopg", "psycopg_async", "psycopg2")


def _is_asyncpg(url: URL) -> bool:
    return url.get_driver_name() == "asyncpg"


def is_memory(url: URL) -> bool:
    """Tell whether a SQLite URL is a database in memory."""
    return url.database in (None, "", ":memory:") or "mode=memory" in str(url.query)


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def prepare(engine: Engine, statement_timeout: timedelta | None) -> None:
    """Hook into an engine that was made here: SQLite's promises, clean connections, limits that are kept."""
    if _is_sqlite(engine.url):
        prepare_sqlite(engine, file=not is_memory(engine.url))
        return
    if engine.dialect.name == "postgresql":
        clean_on_return(engine)
    if engine.dialect.driver == "asyncpg":
        end_in_background(engine)
    dialect: Any = engine.dialect
    connect, ping = dialect.connect, dialect.do_ping
    if statement_timeout is not None and dialect.driver == "psycopg" and not dialect.is_async:
        connect = bounded_connect(_client_limit_s(statement_timeout))

    def do_ping(connection: Any) -> bool:
        try:
            return bool(ping(connection))
        except OSError:  # asyncpg's command_timeout, which SQLAlchemy would not take for a lost connection
            return False

    dialect.do_ping = do_ping

    @event.listens_for(engine, "do_connect")
    def _on_do_connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> Any:
        try:
            return connect(*arguments, **options)
        except OSError as error:  # asyncpg's own, TimeoutError among them, which SQLAlchemy passes on as they are
            raise DatabaseUnavailableError("The database cannot be reached") from error
        except Exception as error:
            if not _is_refusal(error):
                raise
            raise DatabaseUnavailableError("The database refuses the connection") from error

    @event.listens_for(engine, "handle_error")
    def _on_error(context: Any) -> None:
        if isinstance(context.original_exception, OSError):  # asyncpg's command_timeout, or a socket that broke
            context.is_disconnect = True
            raise DatabaseUnavailableError("The database did not answer in time") from context.original_exception


def _is_refusal(error: Exception) -> bool:
    """Tell whether the server said no: asyncpg's exceptions leave `connect` without SQLAlchemy's around them."""
    return type(error).__module__.startswith("asyncpg.") and isinstance(getattr(error, "sqlstate", None), str)
