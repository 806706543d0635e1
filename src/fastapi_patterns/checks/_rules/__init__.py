"""The rules, most harmful first within their area; the documentation has a section on each."""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from fastapi_patterns.checks._rules import access, api, browser, calls, errors, passwords, secrets, sessions, tokens
from fastapi_patterns.checks.findings import Finding, Severity
from fastapi_patterns.checks.target import Target

__all__ = ["RULES", "Rule"]


class Rule(NamedTuple):
    """One rule: its id, how bad it is, what it is about, and what finds it."""

    id: str
    severity: Severity
    title: str
    find: Callable[[Target], Iterable[tuple[str, str, str]]]

    def check(self, target: Target) -> list[Finding]:
        """Find what breaks it."""
        return [Finding(self.id, self.severity, *found) for found in self.find(target)]


RULES = (
    Rule("FP101", "warning", "a route that anybody can reach", access.open_routes),
    Rule("FP201", "error", "CORS: any site may act as the user", browser.credentials_for_all),
    Rule("FP202", "error", "CORS: a text where a list belongs", browser.origins_as_text),
    Rule("FP203", "warning", "CORS: origins that strangers match, or nobody", browser.loose_origins),
    Rule("FP301", "warning", "BaseHTTPMiddleware in the stack", browser.base_http_middleware),
    Rule("FP302", "warning", "CORS headers are missing from 500s", browser.errors_outside_cors),
    Rule("FP401", "error", "a commit after the response", sessions.commit_after_response),
    Rule("FP402", "warning", "a call that blocks the event loop", calls.blocking),
    Rule("FP403", "warning", "a client for each request", calls.client_per_request),
    Rule("FP404", "warning", "one dependency in two scopes", sessions.two_scopes),
    Rule("FP405", "info", "a background task that waits", calls.long_tasks),
    Rule("FP406", "error", "a start-up handler that never runs", api.lost_handlers),
    Rule("FP501", "error", "a secret in the code", secrets.literals),
    Rule("FP502", "error", "a token that is not verified", tokens.unverified),
    Rule("FP503", "error", "passlib's bcrypt with bcrypt 5", passwords.passlib_bcrypt),
    Rule("FP504", "error", "passwords that are hashed too cheaply", passwords.weak_hashes),
    Rule("FP505", "error", "a version that takes forged tokens", passwords.known_holes),
    Rule("FP601", "warning", "validation errors that echo the input", errors.echoed_input),
    Rule("FP602", "warning", "an exception's text in an answer", errors.exception_text),
    Rule("FP603", "error", "debug mode", errors.debug),
    Rule("FP701", "info", "a deprecated name", api.deprecated),
    Rule("FP702", "info", "operations that do not say what they return", api.undescribed),
)
