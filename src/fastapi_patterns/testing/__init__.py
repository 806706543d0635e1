"""The pytest plugin and what tests import. Needs the extra `testing`; this module and `plugin` import only pytest."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi_patterns.testing.login import Login as Login
    from fastapi_patterns.testing.login import LoginAs as LoginAs
    from fastapi_patterns.testing.protection import assert_routes_protected as assert_routes_protected

__all__ = ["Login", "LoginAs", "assert_routes_protected"]

if not TYPE_CHECKING:
    _HOMES = {"Login": "login", "LoginAs": "login", "assert_routes_protected": "protection"}

    def __getattr__(name: str) -> object:
        """Import a name on its first use: the plugin is loaded by every pytest run and must cost nothing."""
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
