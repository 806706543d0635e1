"""The command `fastapi-patterns`: check an application, list its routes, make a secret."""

import argparse
import json
import os
import secrets
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from fastapi_patterns.exceptions import ConfigurationError, PatternsError

if TYPE_CHECKING:
    from fastapi_patterns._routes import Endpoint
    from fastapi_patterns.checks.settings import CheckSettings

__all__ = ["main"]


class UsageError(PatternsError):
    """What was asked for cannot be done; the command ends with 2."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: Those of the command line by default.

    Returns:
        0; 1 where a check has found what it should fail on; 2 where the command cannot do what it is asked to.
    """
    asked = _parser().parse_args(arguments)
    try:
        result: int = asked.run(asked)
    except UsageError as error:
        sys.stderr.write(f"fastapi-patterns: {error}\n")
        return 2
    return result


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fastapi-patterns", description="Looks after a FastAPI application.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    check = commands.add_parser("check", help="report what is dangerous in an application")
    check.add_argument("app", nargs="?", help="such as shop.main:app, or a function that makes it")
    check.add_argument("--json", action="store_true", help="print the findings as JSON")
    check.add_argument("--fail-on", choices=("info", "warning", "error"), help="end with 1 on these and worse")
    check.set_defaults(run=_check)
    routes = commands.add_parser("routes", help="list the routes of an application, and what each asks for")
    routes.add_argument("app", nargs="?", help="such as shop.main:app")
    routes.add_argument("--json", action="store_true", help="print them as JSON")
    routes.set_defaults(run=_routes)
    secret = commands.add_parser("secret", help="make a secret for SECRET_KEY, or a private key")
    secret.add_argument("--pair", metavar="ALGORITHM", help="print a new private key as PEM, such as ES256 or EdDSA")
    secret.set_defaults(run=_secret)
    return parser


def _check(asked: argparse.Namespace) -> int:
    from fastapi_patterns.checks import check_app
    from fastapi_patterns.checks.findings import ORDER

    settings = _settings()
    name, app = _load(asked.app or settings.app)
    found = check_app(app, name.partition(":")[0], public=settings.public, ignore=settings.ignore)
    if asked.json:
        _say(json.dumps([asdict(finding) for finding in found], indent=2))
    else:
        for finding in found:
            _say(str(finding))
        counts = Counter(finding.severity for finding in found)
        _say(", ".join(f"{counts[each]} {each}(s)" for each in reversed(ORDER)) if found else "nothing found")
    return int(bool(replace(settings, fail_on=asked.fail_on or settings.fail_on).failures(found)))


def _routes(asked: argparse.Namespace) -> int:
    from fastapi_patterns._routes import endpoints
    from fastapi_patterns.checks._rules.access import auth_of

    _, app = _load(asked.app or _settings().app)
    rows = []
    for endpoint in endpoints(app):
        route = endpoint.answering
        rows.append(
            {
                "method": endpoint.method,
                "path": endpoint.path,
                "auth": auth_of(endpoint) or "-",
                "scopes": " ".join(_scopes(endpoint.dependant)) or "-",
                "errors": " ".join(_errors(endpoint)) or "-",
                "name": getattr(route, "__name__", type(route).__name__),
            }
        )
    if asked.json:
        _say(json.dumps(rows, indent=2))
        return 0
    columns = ("method", "path", "auth", "scopes", "errors", "name")
    widths = {column: max(len(column), *(len(row[column]) for row in rows)) if rows else 0 for column in columns}
    for row in ({column: column.upper() for column in columns}, *rows):
        _say("  ".join(row[column].ljust(widths[column]) for column in columns).rstrip())
    return 0


def _scopes(dependant: Any) -> list[str]:
    if dependant is None:
        return []
    own = getattr(dependant, "security_scopes", None) or getattr(dependant, "own_oauth_scopes", None) or ()
    return sorted({*own, *(scope for each in dependant.dependencies for scope in _scopes(each))})


def _errors(endpoint: "Endpoint") -> list[str]:
    """Give the statuses of errors that the OpenAPI document has for a route."""
    if not isinstance(endpoint.app, FastAPI):
        return []
    paths = endpoint.app.openapi().get("paths", {})
    own = max((path for path in paths if endpoint.path.endswith(path)), key=len, default=None)  # without the mounts
    operation = {} if own is None else paths[own].get(endpoint.method.lower(), {})
    return sorted(code for code in operation.get("responses", ()) if code[:1] in "45")


def _secret(asked: argparse.Namespace) -> int:
    if asked.pair is None:
        _say(secrets.token_urlsafe(64))
        return 0
    from fastapi_patterns.security import Key
    from fastapi_patterns.security._key_files import write_private_pem

    try:
        key = Key.generate(asked.pair)
    except ConfigurationError as error:
        raise UsageError(str(error)) from None
    if key.is_secret:
        raise UsageError(f"{asked.pair} has one secret and no pair of keys: leave --pair out")
    _say(write_private_pem(key._material).rstrip())
    return 0


def _settings() -> "CheckSettings":
    from fastapi_patterns.checks.settings import read_settings

    try:
        return read_settings(Path())
    except ConfigurationError as error:
        raise UsageError(str(error)) from None


def _load(name: str | None) -> tuple[str, Any]:
    if not name or ":" not in name:
        raise UsageError("name the application, such as shop.main:app, here or as app = '...' in pyproject.toml")
    module_name, _, attribute = name.partition(":")
    sys.path.insert(0, os.getcwd())
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # something inside the application's own imports is missing
        raise UsageError(f"there is no module {error.name!r} here") from None
    app = getattr(module, attribute, None)
    if app is not None and not isinstance(app, FastAPI) and callable(app):
        app = app()
    if not isinstance(app, FastAPI):
        raise UsageError(f"{name} is no FastAPI application, nor a function that makes one")
    return name, app
