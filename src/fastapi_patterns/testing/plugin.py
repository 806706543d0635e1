"""The plugin's entry point, loaded by every pytest run where the package is installed: it imports only pytest.

The fixtures are registered once `fastapi_app` is set in the pytest configuration, which is the only switch.
"""

import pytest

__all__ = ["pytest_addoption", "pytest_configure"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options for the pytest configuration."""
    group = "fastapi-patterns: "
    parser.addini("fastapi_app", group + "the application to test, as 'package.module:app'")
    parser.addini(
        "fastapi_db",
        group + "database URL of the tests, or 'postgres' for a server of their own; SQLite in memory by default",
        default="sqlite://",
    )
    parser.addini("fastapi_alembic", group + "alembic.ini, whose migrations make the tables of the tests")
    parser.addini("fastapi_get_db", group + "the application's own session dependency, as 'package.module:get_db'")
    parser.addini("fastapi_metadata", group + "the tables behind fastapi_get_db, as 'package.module:Base'")
    parser.addini("fastapi_check", group + "check the application too, as one item of the run", type="bool")


def pytest_configure(config: pytest.Config) -> None:
    """Register the fixtures where an application is configured.

    Raises:
        pytest.UsageError: Starlette's `TestClient` cannot be imported, or a PostgreSQL is asked for without its wheel.
    """
    if config.getini("fastapi_check"):
        from fastapi_patterns.testing import check

        config.pluginmanager.register(check, "fastapi_patterns_check")
    if not config.getini("fastapi_app"):
        return
    try:
        import starlette.testclient  # noqa: F401
    except (ImportError, RuntimeError, Warning) as error:
        # Starlette's words name the client that this version of it wants: httpx2, or plain httpx before that.
        reason = str(error).partition("\n")[0]
        raise pytest.UsageError(
            "fastapi_app is set, and the client fixture cannot be made. Install what it needs with "
            f"pip install 'fastapi-patterns[testing]'; an old Starlette wants httpx too. ({reason})"
        ) from None
    from fastapi_patterns.testing import fixtures

    config.addinivalue_line(
        "markers",
        "fastapi(raise_server_exceptions=True, server='thread'): whether client raises what nothing answers, or reads "
        "a 500; whether uvicorn_server is a thread, or a 'process'",
    )
    config.pluginmanager.register(fixtures, "fastapi_patterns_fixtures")
    if config.getini("fastapi_db").strip() == "postgres":
        from fastapi_patterns.testing._own_server import OwnServer

        config.pluginmanager.register(OwnServer(config), "fastapi_patterns_postgres")
