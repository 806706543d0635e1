"""Test databases that are like the application's: the same class, driver and options, at another place."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Engine

from fastapi_patterns.db import Database
from fastapi_patterns.db._engine import is_memory
from fastapi_patterns.testing._access import APPLICATION_NAME

if TYPE_CHECKING:
    from fastapi_patterns.db import AsyncDatabase

__all__ = ["like", "place_of", "translation_of", "url_for"]

# What a row or a statement looks like to the application; pools and connections are the tests' own.
_DIALECT_OPTIONS = ("json_serializer", "json_deserializer")
_DEFAULT_PORT = 5432


def like(database: "Database | AsyncDatabase", url: URL, **options: Any) -> Any:
    """Make a database of the same class and tables at another place, with the options that results depend on."""
    options |= _kept_options(database)
    if url.get_backend_name() == "postgresql":
        options["application_name"] = APPLICATION_NAME
        options["statement_timeout"] = database._policy.statement_timeout
    return type(database)(url_for(database, url), metadata=database.metadata, **options)


def url_for(database: "Database | AsyncDatabase", url: URL) -> URL:
    """Return the URL with the driver that the application itself uses, where it is for the same kind of database."""
    own = _url_of(database)
    if own is not None and own.get_backend_name() == url.get_backend_name():
        return url.set(drivername=own.drivername)
    return url.set(drivername=url.get_backend_name())


def place_of(database: "Database | AsyncDatabase") -> object:
    """Return what is equal for objects that mean the same real database, whatever their drivers."""
    url = _url_of(database)
    if url is None or (url.get_backend_name() == "sqlite" and is_memory(url)):
        return id(database)
    host = url.host or url.query.get("host") or ""
    return url.get_backend_name(), host, url.port or _DEFAULT_PORT, url.database


def translation_of(database: "Database | AsyncDatabase") -> dict[str | None, str | None]:
    """Return the `schema_translate_map` that all of its statements go through."""
    options = _kept_options(database).get("execution_options") or {}
    return dict(options.get("schema_translate_map") or {})


def _url_of(database: "Database | AsyncDatabase") -> URL | None:
    if isinstance(database._source, URL):
        return database._source
    engine = _engine_of(database)
    return None if engine is None else engine.url


def _engine_of(database: "Database | AsyncDatabase") -> Engine | None:
    """The application's own engine, where it has made one."""
    source: Any = database._source
    bind = source if not hasattr(source, "kw") else source.kw.get("bind")
    bind = getattr(bind, "sync_engine", bind)
    return bind if isinstance(bind, Engine) else None


def _kept_options(database: "Database | AsyncDatabase") -> dict[str, Any]:
    engine = _engine_of(database)
    if engine is None:
        found = {name: database._options.get(name) for name in (*_DIALECT_OPTIONS, "execution_options")}
    else:
        found = {name: getattr(engine.dialect, f"_{name}", None) for name in _DIALECT_OPTIONS}
        found["execution_options"] = dict(engine.get_execution_options())
    return {name: value for name, value in found.items() if value}
