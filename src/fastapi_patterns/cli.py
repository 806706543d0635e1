"""The command `fastapi-patterns`: check an application, list its routes, make a secret."""

import argparse
import json
import secrets
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from fastapi_patterns.exceptions import ConfigurationError

if TYPE_CHECKING:
    from fastapi_patterns._routes import Endpoint

__all__ = ["main"]


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
    except ConfigurationError as error:
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
    from fastapi_patterns.checks.loading import load_app
    from fastapi_patterns.checks.settings import read_settings

    settings = read_settings(Path())
    name = _named(asked.app or settings.app)
    with redirect_stdout(sys.stderr):  # of the application, which may print
        app = load_app(name)
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
    from fastapi_patterns.checks.loading import load_app
    from fastapi_patterns.checks.settings import read_settings

    name = _named(asked.app or read_settings(Path()).app)
    with redirect_stdout(sys.stderr):  # of the application, which may print
        rows = _rows(load_app(name))
    if asked.json:
        _say(json.dumps(rows, indent=2))
        return 0
    columns = ("method", "path", "auth", "scopes", "errors", "name")
    widths = {column: max(len(column), *(len(row[column]) for row in rows)) if rows else 0 for column in columns}
    for row in ({column: column.upper() for column in columns}, *rows):
        _say("  ".join(row[column].ljust(widths[column]) for column in columns).rstrip())
    return 0


def _rows(app: FastAPI) -> list[dict[str, str]]:
    """Give what there is to say on each route."""
    from fastapi_patterns._routes import endpoints
    from fastapi_patterns.checks._rules.access import auth_of

    found = list(endpoints(app))
    documents = {id(owner): _paths(owner) for owner in {id(each.app): each.app for each in found}.values()}
    return [
        {
            "method": each.method,
            "path": each.path,
            "auth": auth_of(each) or "-",
            "scopes": " ".join(_scopes(each.dependant)) or "-",
            "errors": _errors(each, documents[id(each.app)]),
            "name": each.name,
        }
        for each in found
    ]


def _scopes(dependant: Any) -> list[str]:
    if dependant is None:
        return []
    own = getattr(dependant, "security_scopes", None) or getattr(dependant, "own_oauth_scopes", None) or ()
    return sorted({*own, *(scope for each in dependant.dependencies for scope in _scopes(each))})


def _paths(app: Any) -> dict[str, Any] | None:
    """Give the paths of an application's OpenAPI document; None where it cannot be made."""
    try:
        return dict(app.openapi().get("paths", {})) if isinstance(app, FastAPI) else {}
    except Exception:  # its own code, and anybody's schemas
        return None


def _errors(endpoint: "Endpoint", paths: dict[str, Any] | None) -> str:
    """Write the statuses of errors that the OpenAPI document has for a route."""
    if paths is None:
        return "?"
    own = max((path for path in paths if endpoint.path.endswith(path)), key=len, default=None)  # without the mounts
    operation = {} if own is None else paths[own].get(endpoint.method.lower(), {})
    return " ".join(sorted(code for code in operation.get("responses", ()) if code[:1] in "45")) or "-"


def _secret(asked: argparse.Namespace) -> int:
    if asked.pair is None:
        _say(secrets.token_urlsafe(64))
        return 0
    from fastapi_patterns.security import Key
    from fastapi_patterns.security._key_files import write_private_pem

    key = Key.generate(asked.pair)
    if key.is_secret:
        raise ConfigurationError(f"{asked.pair} has one secret and no pair of keys: leave --pair out")
    _say(write_private_pem(key._material).rstrip())
    return 0


def _named(name: str | None) -> str:
    module, _, attribute = (name or "").partition(":")
    if not module or not attribute:
        raise ConfigurationError(
            "name the application, such as shop.main:app, here or as app = '...' in pyproject.toml"
        )
    return f"{module}:{attribute}"
