"""What a database is made from: a URL, an engine or a sessionmaker of its kind, and nothing that it would ignore."""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, MetaData
from sqlalchemy.orm import Session, sessionmaker

from fastapi_patterns.db._options import check_engine_options, check_no_session_options
from fastapi_patterns.db._url import parse_url
from fastapi_patterns.exceptions import ConfigurationError

__all__ = [
    "STATEMENT_TIMEOUT",
    "check_binds",
    "check_metadata",
    "check_session_class",
    "parse_source",
    "warn_of_expiry",
]

S = TypeVar("S")

_log = logging.getLogger("fastapi_patterns.db")

# The default. This very object means that the application has not said anything, so that `help()` shows a duration.
STATEMENT_TIMEOUT = timedelta(seconds=30)


def parse_source(
    source: Any,
    *,
    asynchronous: bool,
    statement_timeout: timedelta | None,
    application_name: str | None,
    session_class: Any,
    engine_options: Mapping[str, Any],
) -> Any:
    """Check what a database is made of, and parse it where it is a URL.

    Raises:
        ConfigurationError: None of the kinds, or options beside something that has an engine or sessions already.
    """
    if isinstance(source, (str, URL)):
        check_engine_options(engine_options)
        return parse_url(source, asynchronous=asynchronous)
    _check_is_ours(source, asynchronous=asynchronous)
    check_binds(source, asynchronous=asynchronous)
    check_no_session_options(engine_options)
    if engine_options:
        raise ConfigurationError(
            f"engine options go with a URL; an engine of your own has them already; got {', '.join(engine_options)}"
        )
    ignored = ["statement_timeout"] if statement_timeout is not STATEMENT_TIMEOUT else []
    ignored += ["application_name"] if application_name is not None else []
    if ignored:
        raise ConfigurationError(
            f"{' and '.join(ignored)} can only be given with a URL: an engine of your own is used as it is. "
            "Set it there, in its connect_args"
        )
    if session_class is not None and not _is_engine(source):
        raise ConfigurationError(
            "session_class can only be given with a URL or an engine: a sessionmaker makes its own sessions. "
            "Set it there, as class_="
        )
    return source


def _is_engine(source: Any) -> bool:
    return hasattr(source, "dialect")


def _is_scoped(source: Any) -> bool:
    return type(source).__name__ in ("scoped_session", "async_scoped_session")


def _check_is_ours(source: Any, *, asynchronous: bool) -> None:
    if asynchronous:
        from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

        if not isinstance(source, (AsyncEngine, async_sessionmaker)):
            more = " For an async engine use async_sessionmaker(engine)." if isinstance(source, sessionmaker) else ""
            more = " Pass the async_sessionmaker inside it." if _is_scoped(source) else more
            raise ConfigurationError(
                "AsyncDatabase takes a URL, an AsyncEngine or an async_sessionmaker; got "
                f"{type(source).__name__}. For a sync engine use Database.{more}"
            )
    elif not isinstance(source, (Engine, sessionmaker)):
        raise ConfigurationError(
            f"Database takes a URL, an Engine or a sessionmaker; got {type(source).__name__}. "
            + ("Pass the sessionmaker inside it." if _is_scoped(source) else "For an async engine use AsyncDatabase.")
        )


def check_binds(source: Any, *, asynchronous: bool) -> None:
    """Refuse an engine of the other kind, given as it is or inside a sessionmaker.

    Raises:
        ConfigurationError: A sync database over an async engine, or the other way round.
    """
    if _is_engine(source):
        binds = [source]
    else:
        binds = [bind for bind in (source.kw.get("bind"), *(source.kw.get("binds") or {}).values()) if bind is not None]
        if not asynchronous and not issubclass(source.class_, Session):
            raise ConfigurationError(
                "Database takes a sessionmaker of sync sessions; got one with class_="
                f"{source.class_.__name__}. Use AsyncDatabase(async_sessionmaker(engine))"
            )
    for bind in binds:
        if asynchronous and not _is_async(bind):
            raise ConfigurationError(
                f"AsyncDatabase takes an async_sessionmaker of an AsyncEngine; got one of {type(bind).__name__}. "
                "Use create_async_engine(), or Database(sessionmaker(engine))"
            )
        if not asynchronous and not (isinstance(bind, (Engine, Connection)) and not bind.dialect.is_async):
            raise ConfigurationError(
                f"Database takes sync engines; got an engine of {_kind_of(bind)}. "
                "Use AsyncDatabase with the AsyncEngine or an async_sessionmaker of it"
            )


def warn_of_expiry(maker: Any) -> None:
    """Log a warning where rows of an `async_sessionmaker` expire at the commit.

    A warning and no error: what reads nothing after a commit is right all the same.
    """
    if maker.kw.get("expire_on_commit", True):
        _log.warning(
            "The async_sessionmaker expires rows at each commit. One that is read after it, as in a route that commits "
            "and returns it, is a 500 (MissingGreenlet): an async session cannot load it again by itself. "
            "Make it with async_sessionmaker(engine, expire_on_commit=False)."
        )


def _is_async(bind: Any) -> bool:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    return isinstance(bind, (AsyncEngine, AsyncConnection))


def _kind_of(bind: Any) -> str:
    dialect = getattr(bind, "dialect", None)
    return type(bind).__name__ if dialect is None else f"the async driver {dialect.driver}"


def check_session_class(cls: Any, base: type[S]) -> type[S]:
    """Return the class of the sessions, `base` where the application names none.

    Raises:
        ConfigurationError: Not a subclass of `base`.
    """
    if cls is None:
        return base
    if not isinstance(cls, type) or not issubclass(cls, base):
        raise ConfigurationError(f"session_class must be a subclass of {base.__module__}.{base.__name__}; got {cls!r}")
    return cls


def check_metadata(metadata: Any) -> MetaData | None:
    """Return the tables, or None where there are none.

    Raises:
        ConfigurationError: Something else than a `MetaData`.
    """
    if metadata is None or isinstance(metadata, MetaData):
        return metadata
    hint = f"; got a class: pass {metadata.__name__}.metadata" if isinstance(metadata, type) else ""
    raise ConfigurationError(
        f"metadata must be a MetaData, such as Base.metadata{hint or f'; got {type(metadata).__name__}'}"
    )
