"""Engine defaults that sync and async share, each with its reason. Pure until the event hooks at the end."""

from datetime import timedelta
from typing import Any

from sqlalchemy import URL, Engine, StaticPool, event

from fastapi_patterns.db._ending import end_in_background
from fastapi_patterns.db._psycopg import bounded_connect
from fastapi_patterns.db._reset import clean_on_return
from fastapi_patterns.db.failures import DatabaseUnavailableError

__all__ = ["SESSION_OPTIONS", "engine_options", "prepare"]

# Rows stay readable after the commit, which comes before the response is sent (and a lazy reload cannot be awaited);
# a closed session refuses work: SQLAlchemy's default reopens it silently and leaks a connection.
SESSION_OPTIONS: dict[str, Any] = {"expire_on_commit": False, "close_resets_only": False}

# Four worker processes of this size stay under PostgreSQL's 100 connections. Sync requests beyond it wait on the event
# loop (see `_places`), so the 40 threads that serve them need no 40 connections.
_POOL_SIZE, _MAX_OVERFLOW = 10, 10
_POOL_TIMEOUT_S = 10  # a client has gone by the 30 of SQLAlchemy's default
_CONNECT_TIMEOUT_S = 5


def engine_options(
    url: URL, own: dict[str, Any], *, statement_timeout: timedelta | None, application_name: str
) -> dict[str, Any]:
    """Give the options for `create_engine`: the defaults, with the application's own over them."""
    # Bound values are passwords and personal data; SQLAlchemy prints them in every error otherwise.
    options: dict[str, Any] = {"hide_parameters": True}
    connect: dict[str, Any] = {}
    if _is_sqlite(url):
        # FastAPI may open a session in one worker thread and close it in another.
        connect = {"check_same_thread": False}
        if is_memory(url):
            options["poolclass"] = StaticPool  # each new connection would be an empty database of its own
    else:
        # A connection that the server or a firewall has dropped is replaced instead of failing a request.
        options["pool_pre_ping"] = True
        if "poolclass" not in own:
            options |= {"pool_size": _POOL_SIZE, "max_overflow": _MAX_OVERFLOW, "pool_timeout": _POOL_TIMEOUT_S}
        connect = _connect_arguments(url, statement_timeout, application_name)
    return {**options, **own, "connect_args": {**connect, **own.get("connect_args", {})}}


def _connect_arguments(url: URL, statement_timeout: timedelta | None, application_name: str) -> dict[str, Any]:
    """A name for `pg_stat_activity`, and limits in time; what the URL says itself is left alone."""
    limit_ms = None if statement_timeout is None else _milliseconds(statement_timeout)
    driver = url.get_driver_name()
    if driver in ("psycopg", "psycopg2"):
        connect: dict[str, Any] = {"connect_timeout": _CONNECT_TIMEOUT_S, "application_name": application_name}
        if limit_ms is not None:
            connect["options"] = f"-c statement_timeout={limit_ms}"
        return {name: value for name, value in connect.items() if name not in url.query}
    if driver == "asyncpg":
        settings = {"application_name": application_name}
        if statement_timeout is None:
            return {"timeout": _CONNECT_TIMEOUT_S, "server_settings": settings}
        # The server's limit ends a slow statement; the driver's own, a little later, one whose server is out of reach.
        return {
            "timeout": _CONNECT_TIMEOUT_S,
            "command_timeout": _client_limit_s(statement_timeout),
            "server_settings": {**settings, "statement_timeout": str(limit_ms)},
        }
    return {}


def _milliseconds(duration: timedelta) -> int:
    return max(int(duration.total_seconds() * 1000), 1)


def _client_limit_s(statement_timeout: timedelta) -> float:
    return statement_timeout.total_seconds() * 1.05 + 0.05


def is_memory(url: URL) -> bool:
    """Tell whether a SQLite URL is a database in memory."""
    return url.database in (None, "", ":memory:") or "mode=memory" in str(url.query)


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def prepare(engine: Engine, statement_timeout: timedelta | None) -> None:
    """Hook into an engine that was made here: SQLite's promises, clean connections, limits that are kept."""
    if _is_sqlite(engine.url):
        _prepare_sqlite(engine)
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

    @event.listens_for(engine, "handle_error")
    def _on_error(context: Any) -> None:
        if isinstance(context.original_exception, OSError):  # asyncpg's command_timeout, or a socket that broke
            context.is_disconnect = True
            raise DatabaseUnavailableError("The database did not answer in time") from context.original_exception


def _prepare_sqlite(engine: Engine) -> None:
    """Make SQLite keep its promises: foreign keys, real transactions and savepoints, readers beside a writer."""
    file = not is_memory(engine.url)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        # The driver's own transaction handling commits behind savepoints; BEGIN is sent below instead.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        if file:
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA busy_timeout = 5000")  # milliseconds
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")
