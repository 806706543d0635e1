"""Engine defaults that sync and async share, each with its reason. Pure until the event hooks at the end."""

from typing import Any

from sqlalchemy import URL, Engine, StaticPool, event, make_url
from sqlalchemy.exc import ArgumentError

from fastapi_patterns._optional import require
from fastapi_patterns.exceptions import ConfigurationError

__all__ = ["SESSION_OPTIONS", "engine_options", "parse_url", "prepare_sqlite", "require_driver"]

# Rows stay readable after the commit, which comes before the response is sent (and a lazy reload cannot be awaited);
# a closed session refuses work: SQLAlchemy's default reopens it silently and leaks a connection.
SESSION_OPTIONS: dict[str, Any] = {"expire_on_commit": False, "close_resets_only": False}

# A driver by name, so that one URL means the same on SQLAlchemy 2.0 and 2.1.
_SYNC_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}


def parse_url(text: str | URL, *, asynchronous: bool) -> URL:
    """Parse a database URL and name the driver where it names none.

    Raises:
        ConfigurationError: Not a database URL. The text is not repeated: it may hold a password.
    """
    if isinstance(text, str) and text.startswith("postgres://"):
        text = text.replace("postgres://", "postgresql://", 1)  # what some hosting providers hand out
    try:
        url = make_url(text)
    except ArgumentError:
        raise ConfigurationError("not a database URL; expected one such as sqlite:///app.db") from None
    drivers = _ASYNC_DRIVERS if asynchronous else _SYNC_DRIVERS
    return url.set(drivername=drivers.get(url.drivername, url.drivername))


# The drivers that the extras install, by the name in a URL.
_EXTRA_OF_DRIVER = {"aiosqlite": "async-db", "psycopg": "postgres", "asyncpg": "postgres"}


def require_driver(url: URL) -> None:
    """Raise `MissingExtraError` when the driver of a URL is one that an extra installs and is not there."""
    driver = url.get_driver_name()
    if driver in _EXTRA_OF_DRIVER:
        require(driver, extra=_EXTRA_OF_DRIVER[driver], room=f"A database at {url.drivername}://")


def engine_options(url: URL) -> dict[str, Any]:
    """Give the options for `create_engine`, which the application's own override."""
    # Bound values are passwords and personal data; SQLAlchemy prints them in every error otherwise.
    options: dict[str, Any] = {"hide_parameters": True}
    if not _is_sqlite(url):
        # A connection that the server or a firewall has dropped is replaced instead of failing a request.
        return {**options, "pool_pre_ping": True, "pool_timeout": 10}
    # FastAPI may open a session in one worker thread and close it in another.
    options["connect_args"] = {"check_same_thread": False}
    if is_memory(url):
        options["poolclass"] = StaticPool  # each new connection would be an empty database of its own
    return options


def is_memory(url: URL) -> bool:
    """Tell whether a SQLite URL is a database in memory."""
    return url.database in (None, "", ":memory:") or "mode=memory" in str(url.query)


def _is_sqlite(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def prepare_sqlite(engine: Engine) -> None:
    """Make SQLite keep its promises: foreign keys, real transactions and savepoints, readers beside a writer."""
    if not _is_sqlite(engine.url):
        return
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
