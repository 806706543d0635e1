"""What sync and async databases are told alike: checked once, and turned into options and answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import URL, MetaData

from fastapi_patterns.db._engine import engine_options, limit_of
from fastapi_patterns.db._source import STATEMENT_TIMEOUT
from fastapi_patterns.db.failures import exception_map
from fastapi_patterns.exceptions import ConfigurationError, ErrorInfo, ExceptionMap

__all__ = ["APPLICATION_NAME", "Commit", "Policy"]

Commit = Literal["before_response", "manual"]

APPLICATION_NAME = "fastapi"

# PostgreSQL counts in milliseconds, in 32 bits.
_SHORTEST, _LONGEST = timedelta(milliseconds=1), timedelta(milliseconds=2**31 - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The settings of a database; see `Database` for what each means.

    Raises:
        ConfigurationError: A value is none of those that are known.
    """

    commit: Commit = "before_response"
    constraints: Mapping[str, str | ErrorInfo] = field(default_factory=dict)
    other_integrity_status: int = 500
    statement_timeout: timedelta | None = STATEMENT_TIMEOUT
    application_name: str = APPLICATION_NAME

    def __post_init__(self) -> None:
        if self.commit not in ("before_response", "manual"):
            raise ConfigurationError(f"commit must be 'before_response' or 'manual'; got {self.commit!r}")
        if self.other_integrity_status not in (422, 500):
            raise ConfigurationError(f"other_integrity_status must be 422 or 500; got {self.other_integrity_status!r}")
        limit = self.statement_timeout
        if limit is not None and not (isinstance(limit, timedelta) and _SHORTEST <= limit <= _LONGEST):
            raise ConfigurationError(
                f"statement_timeout must be a positive timedelta from 1 ms to 24 days, or None; got {limit!r}"
            )
        if not isinstance(self.application_name, str) or not self.application_name:
            raise ConfigurationError(
                f"application_name must be a text, such as 'shop-api'; got {self.application_name!r}"
            )
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

    def limit_of(self, url: URL, own: dict[str, Any]) -> timedelta | None:
        """Give the time limit of a statement that an engine at this URL keeps beside the server's."""
        return limit_of(url, own, self.statement_timeout)

    def exception_map(self, metadata: MetaData | None) -> ExceptionMap:
        """Give the answers to the database's failures."""
        return exception_map(
            constraints=self.constraints, other_integrity_status=self.other_integrity_status, metadata=metadata
        )
