"""Database URLs: which driver one means, whether it is of the right kind, whether it is there. Connects to nothing."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from fastapi_patterns._optional import require
from fastapi_patterns.db._options import near_names
from fastapi_patterns.exceptions import ConfigurationError

__all__ = ["make_engine", "parse_url"]

E = TypeVar("E")

# A driver by name, so that one URL means the same on SQLAlchemy 2.0 and 2.1.
_SYNC_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
}
# What to name instead of a driver of the other kind.
_SYNC_INSTEAD = {"sqlite": "sqlite", "postgresql": "postgresql", "mysql": "mysql+pymysql", "mariadb": "mariadb+pymysql"}
_ASYNC_INSTEAD = {**_ASYNC_DRIVERS, "mysql": "mysql+aiomysql", "mariadb": "mariadb+asyncmy", "mssql": "mssql+aioodbc"}

# The drivers that the extras install, by the name in a URL.
_EXTRA_OF_DRIVER = {"aiosqlite": "async-db", "psycopg": "postgres", "asyncpg": "postgres"}
# Where what is installed has another name than what is imported.
_DISTRIBUTIONS = {"MySQLdb": "mysqlclient", "mysql": "mysql-connector-python", "psycopg2": "psycopg2-binary"}


def parse_url(text: str | URL, *, asynchronous: bool) -> URL:
    """Parse a database URL, name the driver where it names none, and check that it is of the right kind.

    Raises:
        ConfigurationError: Not a database URL, or one that this kind of database cannot be made from. The text is not
            repeated: it may hold a password.
    """
    if isinstance(text, str) and text.startswith("postgres://"):
        text = text.replace("postgres://", "postgresql://", 1)  # what some hosting providers hand out
    try:
        url = make_url(text)
    except ArgumentError:
        raise ConfigurationError("not a database URL; expected one such as sqlite:///app.db") from None
    except ValueError:
        raise _bad_port() from None
    if url.port is not None and not 0 < url.port < 65536:
        raise _bad_port()
    drivers = _ASYNC_DRIVERS if asynchronous else _SYNC_DRIVERS
    url = url.set(drivername=drivers.get(url.drivername, url.drivername))
    _check_kind(url, asynchronous=asynchronous)
    if url.get_driver_name() in ("pysqlite", "aiosqlite") and (url.host or url.username or url.port):
        raise ConfigurationError("a SQLite URL has three slashes before its file: sqlite:///app.db; two were got")
    return url


def _bad_port() -> ConfigurationError:
    return ConfigurationError(
        "the port in a database URL must be a number from 1 to 65535. A password with : / @ or # in "
        "it must be quoted with urllib.parse.quote_plus()"
    )


def _check_kind(url: URL, *, asynchronous: bool) -> None:
    try:
        dialect = url.get_dialect()
    except NoSuchModuleError:
        raise ConfigurationError(
            f"SQLAlchemy knows no database or driver {url.drivername!r}. Correct the URL, or install the package that "
            "brings this dialect"
        ) from None
    backend = url.get_backend_name()
    if asynchronous:
        if not dialect.get_async_dialect_cls(url).is_async:
            instead = f"name an async driver ({_ASYNC_INSTEAD[backend]}://)" if backend in _ASYNC_INSTEAD else ""
            raise ConfigurationError(
                f"AsyncDatabase needs an async driver; got {url.drivername}://, whose driver is sync. "
                f"Use Database{instead and ', or ' + instead}"
            )
    elif dialect.is_async:
        instead = f", or name a sync driver ({_SYNC_INSTEAD[backend]}://)" if backend in _SYNC_INSTEAD else ""
        raise ConfigurationError(
            f"Database needs a sync driver; got {url.drivername}://, whose driver is async. Use AsyncDatabase{instead}"
        )


def make_engine(create: Callable[..., E], url: URL, options: Mapping[str, Any]) -> E:
    """Make an engine, which imports its driver and connects to nothing.

    Raises:
        MissingExtraError: The driver is one that an extra installs, and is not there.
        ConfigurationError: Another driver is not there, or `create` takes no such options.
    """
    driver = url.get_driver_name().removesuffix("_async")
    if driver in _EXTRA_OF_DRIVER:
        require(driver, extra=_EXTRA_OF_DRIVER[driver], room=f"A database at {url.drivername}://")
    try:
        return create(url, **options)
    except ImportError as error:
        name = (error.name or driver).partition(".")[0]
        raise ConfigurationError(
            f"the driver of {url.drivername}:// cannot be imported ({error}). "
            f"Install it with pip install {_DISTRIBUTIONS.get(name, name)}"
        ) from error
    except (TypeError, ValueError, LookupError, AttributeError, SQLAlchemyError) as error:
        raise ConfigurationError(
            f"{getattr(create, '__name__', 'create_engine')} takes no such options for {url.drivername}://"
            f"{_said(error, url, options)}{near_names(str(error))}"
        ) from None  # its text may hold parts of the URL


def _said(error: Exception, url: URL, options: Mapping[str, Any]) -> str:
    """The error's own words, unless they repeat what may be a secret: the URL's or one in `connect_args`."""
    words = str(error).strip()
    values = [url.password, *url.query.values(), *options.get("connect_args", {}).values()]
    if not words or any(str(value) in words for value in values if value and not isinstance(value, int)):
        return f" ({type(error).__name__})"
    return f": {type(error).__name__}: {words}"
