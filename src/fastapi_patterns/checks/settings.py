"""What a project says of its checks: `[tool.fastapi-patterns.check]` in its pyproject.toml."""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi_patterns.checks.findings import ORDER, Finding, Severity
from fastapi_patterns.exceptions import ConfigurationError

__all__ = ["CheckSettings", "read_settings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSettings:
    """The settings.

    Attributes:
        app: The application, such as `shop.main:app`.
        public: Paths that strangers may reach.
        ignore: Ids of rules that are left out.
        fail_on: What is a failure, with all that is worse.
    """

    app: str | None = None
    public: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    fail_on: Severity = "error"

    def failures(self, found: Iterable[Finding]) -> list[Finding]:
        """Choose the findings that are failures."""
        return [finding for finding in found if ORDER.index(finding.severity) >= ORDER.index(self.fail_on)]


def read_settings(folder: Path) -> CheckSettings:
    """Read the pyproject.toml of a folder; the defaults where there is none.

    Raises:
        ConfigurationError: It cannot be read, or says what nobody knows.
    """
    try:
        found = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return CheckSettings()
    except (OSError, ValueError) as error:  # tomllib's errors and those of UTF-8 are ValueErrors
        raise ConfigurationError(f"pyproject.toml cannot be read: {error}") from None
    settings = found
    for name in ("tool", "fastapi-patterns", "check"):
        settings = settings.get(name, {})
        if not isinstance(settings, dict):
            raise ConfigurationError("[tool.fastapi-patterns.check] in pyproject.toml must be a table")
    unknown = set(settings) - {"app", "public", "ignore", "fail-on"}
    if unknown:
        known = "app, public, ignore, fail-on"
        raise ConfigurationError(f"[tool.fastapi-patterns.check] knows {known}; not {', '.join(sorted(unknown))}")
    app, fail_on = settings.get("app"), settings.get("fail-on", "error")
    if app is not None and not isinstance(app, str):
        raise ConfigurationError(f"app must be a text such as 'shop.main:app'; got {app!r}")
    if fail_on not in ORDER:
        raise ConfigurationError(f"fail-on must be one of {', '.join(ORDER)}; got {fail_on!r}")
    texts = {name: _texts(settings, name) for name in ("public", "ignore")}
    return CheckSettings(app=app, fail_on=fail_on, **texts)


def _texts(settings: dict[str, Any], name: str) -> tuple[str, ...]:
    found = settings.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ConfigurationError(f"{name} must be a list of texts")
    return tuple(found)
