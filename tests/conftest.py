"""Fixtures that every room's tests may use."""

from tests.services import postgres_server, valkey_server

pytest_plugins = ["pytester"]

__all__ = ["postgres_server", "valkey_server"]

_LONGEST_ID = 60


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a long value after its argument: a token or a key that is made anew has another text in each process."""
    return argname if isinstance(val, (str, bytes)) and len(val) > _LONGEST_ID else None
