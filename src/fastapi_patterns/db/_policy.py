"""What sync and async databases are told alike: checked once, and turned into options and answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import URL, MetaData

from fastapi_patterns.db._engine import engine_options, parse_url
from fastapi_patterns.db.failures import exception_map
from fastapi_patterns.exceptions import ConfigurationError, ErrorInfo, ExceptionMap

__all__ = ["Commit", "Policy", "check_session_class", "parse_source"]

Commit = Literal["before_response", "manual"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The settings of a database; see `Database` for what each means.

    Raises:
        ConfigurationError: A value is none of those that are known.
    """

    commit: Commit = "before_response"
    constraints: Mapping[str, str | ErrorInfo] = field(default_factory=dict)
    other_integrity_status: int = 500
    statement_timeout: timedelta | None = timedelta(seconds=30)
    application_name: str = "fastapi"

    def __post_init__(self) -> None:
        if self.commit not in ("before_response", "manual"):
            raise ConfigurationError(f"commit must be 'before_response' or 'manual'; got {self.commit!r}")
        if self.other_integrity_status not in (422, 500):
            raise ConfigurationError(f"other_integrity_status must be 422 or 500; got {self.other_integrity_status!r}")
        limit = self.statement_timeout
        if limit is not None and not (isinstance(limit, timedelta) and limit > timedelta(0)):
            raise ConfigurationError(f"statement_timeout must be a positive timedelta, or None; got {limit!r}")
        if not isinstance(self.constraints, Mapping):
            raise ConfigurationError('constraints must be a mapping, such as {"uq_users_email": "E-mail is taken"}')
        for name, said in self.constraints.items():
            known = (isinstance(said, str) and said) or (isinstance(said, ErrorInfo) and 400 <= said.status <= 599)
            if not known:
                raise ConfigurationError(
                    f"constraints: {name!r} must have a text, or an ErrorInfo with a status of 400 to 599; got {said!r}"
                )

    def engine_options(self, url: URL, own: dict[str, Any]) -> dict[str, Any]:
        """Give the options of an engine at this URL."""
        return engine_options(
            url, own, statement_timeout=self.statement_timeout, application_name=self.application_name
        )

    def exception_map(self, metadata: MetaData | None) -> ExceptionMap:
        """Give the answers to the database's failures."""
        return exception_map(
            constraints=self.constraints, other_integrity_status=self.other_integrity_status, metadata=metadata
        )


def check_session_class(cls: Any, base: type) -> None:
    """Refuse a class of sessions that is of the other kind, or none.

    Raises:
        ConfigurationError: Not a subclass of `base`.
    """
    if not isinstance(cls, type) or not issubclass(cls, base):
        raise ConfigurationError(f"session_class must be a subclass of {base.__module__}.{base.__name__}; got {cls!r}")


def parse_source(source: Any, kinds: tuple[type, ...], options: Mapping[str, Any], *, asynchronous: bool) -> Any:
    """Check what a database is made of, and parse it where it is a URL.

    Raises:
        ConfigurationError: None of the kinds, or engine options beside something that has an engine already.
    """
    ours, other, engine = (
        ("AsyncDatabase", "a sync engine use Database", "an AsyncEngine or an async_sessionmaker")
        if asynchronous
        else ("Database", "an async engine use AsyncDatabase", "an Engine or a sessionmaker")
    )
    if isinstance(source, (str, URL)):
        return parse_url(source, asynchronous=asynchronous)
    if not isinstance(source, kinds):
        raise ConfigurationError(f"{ours} takes a URL, {engine}; got {type(source).__name__}. For {other}.")
    if options:
        raise ConfigurationError("engine options go with a URL; an engine of the application's own has them already")
    return source
