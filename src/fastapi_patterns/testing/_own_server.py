"""The PostgreSQL of `fastapi_db = "postgres"`: one for a test run, whether or not pytest-xdist runs it."""

from typing import Any

import pytest
from sqlalchemy import URL, make_url

from fastapi_patterns.testing.postgres import PostgresServer, require_wheel

__all__ = ["OwnServer"]

_KEY = "fastapi_patterns_postgres"


class OwnServer:
    """A plugin that starts the server when it is first needed, and ends it with the test run.

    Args:
        config: Of this process.

    Raises:
        pytest.UsageError: The wheel is not installed.
    """

    def __init__(self, config: pytest.Config) -> None:
        require_wheel()
        self._given: dict[str, Any] = getattr(config, "workerinput", {})
        self._server: PostgresServer | None = None

    def url(self) -> URL:
        """Return where the databases of the tests are."""
        if _KEY in self._given:
            return make_url(self._given[_KEY])
        if self._server is None:
            self._server = PostgresServer()
            self._server.start()
        return make_url(self._server.url(database="tests"))

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker of pytest-xdist, before it starts, where the server is."""
        node.workerinput[_KEY] = self.url().render_as_string(hide_password=False)

    def pytest_unconfigure(self) -> None:
        """End the server, after the last test or Ctrl-C."""
        if self._server is not None:
            self._server.stop()
            self._server = None
