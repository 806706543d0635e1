"""Fixtures that every room's tests may use."""

from tests.services import postgres_server, valkey_server

pytest_plugins = ["pytester"]

__all__ = ["postgres_server", "valkey_server"]
