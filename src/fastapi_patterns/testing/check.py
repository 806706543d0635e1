"""`fastapi_check = true`: what `fastapi-patterns check` finds fails the run, as one item of it."""

from typing import Any

import pytest

from fastapi_patterns.checks import Finding, check_app
from fastapi_patterns.checks.settings import read_settings
from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.testing._config import load_application, setting

__all__ = ["pytest_collection_modifyitems", "pytest_configure"]


_NAME = "fastapi-patterns check"


class _FindingsError(Exception):
    """There are some."""

    def __init__(self, found: list[Finding]) -> None:
        super().__init__(f"{len(found)} finding(s)")
        self.found = found


class _CheckItem(pytest.Item):
    """The check, beside the tests."""

    def runtest(self) -> None:
        """Check the application that is tested, by the settings in the project's pyproject.toml."""
        settings = read_settings(self.config.rootpath)
        app, module = load_application(self.config), setting(self.config, "fastapi_app").partition(":")[0]
        failures = settings.failures(check_app(app, module, public=settings.public, ignore=settings.ignore))
        if failures:
            raise _FindingsError(failures)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show the findings, or what is wrong with the settings, and no traceback."""
        if isinstance(excinfo.value, ConfigurationError):
            return str(excinfo.value)
        if not isinstance(excinfo.value, _FindingsError):
            return super().repr_failure(excinfo, style)
        return "\n".join(str(finding) for finding in excinfo.value.found)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Name the item where pytest names tests."""
        return self.config.rootpath / "pyproject.toml", None, self.name


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a check of nothing.

    Raises:
        pytest.UsageError: No application is named.
    """
    if not setting(config, "fastapi_app"):
        raise pytest.UsageError("fastapi_check is set; name the application too: fastapi_app = 'package.module:app'")


@pytest.hookimpl(tryfirst=True)  # `-k` and `-m` choose among all items
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Add the check to the tests."""
    items.append(_CheckItem.from_parent(session, name=_NAME, nodeid=f"pyproject.toml::{_NAME}"))
