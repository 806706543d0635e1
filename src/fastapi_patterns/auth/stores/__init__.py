"""Stores for sessions and revoked tokens: in memory, in the application's database, in Redis or Valkey.

`SqlAlchemyTokenStore` needs the extra `db`, and is only imported when it is used; `RedisTokenStore` needs a client that
the application passes in.
"""

from typing import TYPE_CHECKING

from fastapi_patterns.auth.stores.memory import InMemoryTokenStore
from fastapi_patterns.auth.stores.protocol import TokenStore
from fastapi_patterns.auth.stores.redis import RedisTokenStore

if TYPE_CHECKING:
    from fastapi_patterns.auth.stores._tables import TokenStoreTables as TokenStoreTables
    from fastapi_patterns.auth.stores._tables import token_store_tables as token_store_tables
    from fastapi_patterns.auth.stores.sqlalchemy import SqlAlchemyTokenStore as SqlAlchemyTokenStore

__all__ = [
    "InMemoryTokenStore",
    "RedisTokenStore",
    "SqlAlchemyTokenStore",
    "TokenStore",
    "TokenStoreTables",
    "token_store_tables",
]

if not TYPE_CHECKING:  # see the package's root

    def __getattr__(name: str) -> object:
        if name not in ("SqlAlchemyTokenStore", "TokenStoreTables", "token_store_tables"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from fastapi_patterns.auth.stores import sqlalchemy

        return getattr(sqlalchemy, name)
