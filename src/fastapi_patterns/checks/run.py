"""Runs the rules over an application."""

import warnings
from collections.abc import Collection, Sequence

from fastapi import FastAPI

from fastapi_patterns.checks._rules import RULES
from fastapi_patterns.checks.findings import ORDER, Finding
from fastapi_patterns.checks.source import is_ignored
from fastapi_patterns.checks.target import Target

__all__ = ["check_app"]


def check_app(app: FastAPI, module: str, *, public: Sequence[str] = (), ignore: Collection[str] = ()) -> list[Finding]:
    """Check an application.

    Args:
        app: The application, as its module made it.
        module: The name of that module: its package is whose code is read.
        public: Paths that strangers may reach, with `*` for any part.
        ignore: Ids of rules that are left out.

    Returns:
        The findings, the worst first; those that a line ignores are not among them.
    """
    target = Target(app=app, module=module, public=public)
    with warnings.catch_warnings(action="ignore"):  # of what the rules look at
        found = {
            finding
            for rule in RULES
            if rule.id not in ignore
            for finding in rule.check(target)
            if not is_ignored(finding.rule, finding.place)
        }
    return sorted(found, key=lambda finding: (-ORDER.index(finding.severity), finding))
