"""The pytest plugin and what tests import. Needs the extra `testing`; this module and `plugin` import only pytest."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi_patterns.testing.clock import FrozenClock as FrozenClock
    from fastapi_patterns.testing.login import Login as Login
    from fastapi_patterns.testing.login import LoginAs as LoginAs
    from fastapi_patterns.testing.outgoing import MockHttp as MockHttp
    from fastapi_patterns.testing.outgoing import OutgoingCall as OutgoingCall
    from fastapi_patterns.testing.protection import assert_routes_protected as assert_routes_protected
    from fastapi_patterns.testing.queries import CountQueries as CountQueries
    from fastapi_patterns.testing.queries import Queries as Queries
    from fastapi_patterns.testing.server import UvicornServer as UvicornServer
    from fastapi_patterns.testing.tasks import CapturedTask as CapturedTask
    from fastapi_patterns.testing.tasks import CapturedTasks as CapturedTasks

__all__ = [
    "CapturedTask",
    "CapturedTasks",
    "CountQueries",
    "FrozenClock",
    "Login",
    "LoginAs",
    "MockHttp",
    "OutgoingCall",
    "Queries",
    "UvicornServer",
    "assert_routes_protected",
]

if not TYPE_CHECKING:
    _HOMES = {
        "CapturedTask": "tasks",
        "CapturedTasks": "tasks",
        "CountQueries": "queries",
        "FrozenClock": "clock",
        "Login": "login",
        "LoginAs": "login",
        "MockHttp": "outgoing",
        "OutgoingCall": "outgoing",
        "Queries": "queries",
        "UvicornServer": "server",
        "assert_routes_protected": "protection",
    }

    def __getattr__(name: str) -> object:
        """Import a name on its first use: the plugin is loaded by every pytest run and must cost nothing."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
