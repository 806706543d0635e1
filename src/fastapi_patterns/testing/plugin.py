"""The plugin's entry point, loaded by every pytest run where the package is installed: it imports only pytest.

The fixtures are registered once `fastapi_app` is set in the pytest configuration, which is the only switch.
"""

import pytest

__all__ = ["pytest_addoption", "pytest_configure"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options for the pytest configuration."""
    group = "fastapi-patterns: "
    parser.addini("fastapi_app", group + "the application to test, as 'package.module:app'")
    parser.addini("fastapi_db", group + "database URL of the tests; SQLite in memory by default", default="sqlite://")
    parser.addini("fastapi_get_db", group + "the application's own session dependency, as 'package.module:get_db'")
    parser.addini(
        "fastapi_metadata", group + "the tables behind fastapi_get_db, as 'package.module:Base' or a MetaData"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures where an application is configured."""
    if not config.getini("fastapi_app"):
        return
    from fastapi_patterns.testing import fixtures

    config.pluginmanager.register(fixtures, "fastapi_patterns_fixtures")
