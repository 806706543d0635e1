"""Fixtures that every room's tests may use."""

# httpx2 imports it late and remembers its exceptions: what a run of `pytester` imports first is gone afterwards, and
# the exceptions of the next import would be strangers.
import httpcore2  # noqa: F401
from hypothesis import settings

from tests.services import postgres_server, valkey_server

pytest_plugins = ["pytester"]

__all__ = ["postgres_server", "valkey_server"]

_LONGEST_ID = 60

# How long an example takes says something about the machine, and nothing about the library.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a long value after its argument: a token or a key that is made anew has another text in each process."""
    return argname if isinstance(val, (str, bytes)) and len(val) > _LONGEST_ID else None
