"""The tables of `SqlAlchemyTokenStore`; needs what the extra `db` brings."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, MetaData, String, Table, Text
from sqlalchemy.sql import quoted_name

__all__ = ["TokenStoreTables", "token_store_tables"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenStoreTables:
    """The tables of a store.

    Attributes:
        sessions: A row for each refresh session.
        revoked_tokens: A row for each access token that was revoked by its id.
        revoked_subjects: A row for everybody whose sessions were all ended.
    """

    sessions: Table
    revoked_tokens: Table
    revoked_subjects: Table


def token_store_tables(metadata: MetaData, *, prefix: str = "auth_", schema: str | None = None) -> TokenStoreTables:
    """Put the store's tables on a `MetaData`, so that Alembic and `create_all` see them beside the application's own.

    Moments are microseconds since 1970 in UTC: every database keeps them exactly, and none loses the time zone.

    Args:
        metadata: The application's: `Base.metadata`.
        prefix: What the tables' names begin with.
        schema: Where they are, if not where the others are.
    """
    sessions = Table(
        f"{prefix}sessions",
        metadata,
        Column("sid", String(64), primary_key=True),
        Column("subject", String(255), nullable=False, index=True),
        Column("digest", String(64), nullable=False),
        Column("previous_digest", String(64)),
        Column("created_at", BigInteger, nullable=False),
        Column("rotated_at", BigInteger, nullable=False),
        Column("expires_at", BigInteger, nullable=False, index=True),
        Column("revoked_at", BigInteger),
        Column("scope", Text),
        schema=schema,
    )
    revoked_tokens = Table(
        f"{prefix}revoked_tokens",
        metadata,
        Column("jti", String(255), primary_key=True),
        Column("expires_at", BigInteger, nullable=False, index=True),
        schema=schema,
    )
    revoked_subjects = Table(
        f"{prefix}revoked_subjects",
        metadata,
        Column("subject", String(255), primary_key=True),
        Column("revoked_at", BigInteger, nullable=False),
        Column("keep_sid", String(64)),
        Column("expires_at", BigInteger, nullable=False, index=True),
        schema=schema,
    )
    for table in sessions, revoked_tokens, revoked_subjects:
        for index in table.indexes:
            if index.name is None:  # a naming convention of the application's without a rule for indexes
                (column,) = index.columns
                index.name = quoted_name(f"ix_{table.name}_{column.name}", None)
    return TokenStoreTables(sessions=sessions, revoked_tokens=revoked_tokens, revoked_subjects=revoked_subjects)
