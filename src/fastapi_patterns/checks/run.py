"""Runs the rules over an application."""

import warnings
from collections.abc import Collection, Sequence

from fastapi import FastAPI

from fastapi_patterns.checks._rules import RULES
from fastapi_patterns.checks.findings import ORDER, Finding
from fastapi_patterns.checks.ignores import is_ignored
from fastapi_patterns.checks.modules import reading
from fastapi_patterns.checks.source import line_of, shown
from fastapi_patterns.checks.target import Target
from fastapi_patterns.exceptions import ConfigurationError, ConfigurationWarning

__all__ = ["check_app"]


def check_app(app: FastAPI, module: str, *, public: Sequence[str] = (), ignore: Collection[str] = ()) -> list[Finding]:
    """Check an application.

    Args:
        app: The application, as its module made it.
        module: The name of that module: its package is read, and what else is imported from the same folder.
        public: Paths that strangers may reach, with `*` for any part.
        ignore: Ids of rules that are left out.

    Returns:
        The findings, the worst first; those that a line ignores are not among them.

    Raises:
        ConfigurationError: `ignore` names what is no rule, or `public` what is no route.
    """
    target = Target(app=app, module=module, public=public)
    unknown = sorted(set(ignore) - {rule.id for rule in RULES})
    if unknown:
        raise ConfigurationError(f"ignore names rules that there are not: {', '.join(unknown)}; ids are such as FP101")
    if target.stale:
        raise ConfigurationError(f"public names routes that there are not: {', '.join(target.stale)}")
    for file in target.unread:
        warnings.warn(f"no rule has read {shown(file)}: it cannot be parsed", ConfigurationWarning, stacklevel=2)
    with warnings.catch_warnings(action="ignore"), reading(module):  # warnings of what the rules look at
        found = {
            finding
            for rule in RULES
            if rule.id not in ignore
            for finding in rule.check(target)
            if not is_ignored(finding.rule, finding.place)
        }
    return sorted(found, key=_order)


def _order(finding: Finding) -> tuple[int, str, tuple[str, int], Finding]:
    return -ORDER.index(finding.severity), finding.rule, line_of(finding.place), finding
