"""What a client reads when it is not let in: one answer per reason, each of which an application may replace."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from fastapi import HTTPException

from fastapi_patterns.exceptions import ConfigurationError

__all__ = ["Failure", "Failures", "Reason", "refusal"]

Reason = Literal[
    "missing",
    "malformed",
    "two_credentials",
    "invalid",
    "expired",
    "unknown_user",
    "inactive_user",
    "insufficient_scope",
    "insufficient_privilege",
    "insufficient_freshness",
    "cross_site",
]

_BAD = "Could not validate credentials"
_DENIED = "Not enough permissions"


@dataclass(frozen=True, slots=True)
class Failure:
    """One answer.

    Args:
        status: The HTTP status, 400 to 599.
        detail: What the body says: text, or any JSON value; it goes through the application's error renderer.
        headers: More headers. `WWW-Authenticate` is written on each 401 unless it is here.
    """

    status: int
    detail: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if type(self.status) is not int or not 400 <= self.status <= 599:
            raise ConfigurationError(f"a failure's status must be 400 to 599; got {self.status!r}")
        for name, value in self.headers.items():
            if not isinstance(name, str) or not isinstance(value, str):
                raise ConfigurationError("a failure's headers must be texts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """The answers, by reason: `Failures(unknown_user=Failure(404, "User not found"))`.

    By default they are those of RFC 6750, and every bad token has one text: whoever guesses learns nothing. The reason
    is in the log.

    Args:
        missing: No credential was sent.
        malformed: What was sent is no credential: two headers, no token, characters that cannot be.
        two_credentials: Two were sent at once (RFC 6750 section 2).
        invalid: The token or key is not good: signature, claims, kind, revoked.
        expired: The token was good until it ended.
        unknown_user: There is no such user.
        inactive_user: There is, and `is_active` does not let them in.
        insufficient_scope: The token, or the user, lacks a scope (RFC 6750 section 3.1).
        insufficient_privilege: A check of `.requiring` did not pass.
        insufficient_freshness: The login is longer ago than `.fresh` allows (RFC 9470).
        cross_site: A cookie came along from another site, or without the CSRF token.
    """

    missing: Failure = Failure(401, "Not authenticated")
    malformed: Failure = Failure(401, _BAD)
    two_credentials: Failure = Failure(400, "More than one credential was sent")
    invalid: Failure = Failure(401, _BAD)
    expired: Failure = Failure(401, _BAD)
    unknown_user: Failure = Failure(401, _BAD)
    inactive_user: Failure = Failure(401, _BAD)
    insufficient_scope: Failure = Failure(403, _DENIED)
    insufficient_privilege: Failure = Failure(403, _DENIED)
    insufficient_freshness: Failure = Failure(401, "Log in again to do this")
    cross_site: Failure = Failure(403, "Cross-site request refused")

    def __post_init__(self) -> None:
        for each in fields(self):
            if not isinstance(getattr(self, each.name), Failure):
                raise ConfigurationError(f"{each.name} must be a Failure(status, detail), such as Failure(401, 'No')")


_ERRORS: dict[Reason, str] = {
    "two_credentials": "invalid_request",
    "insufficient_scope": "insufficient_scope",
    "insufficient_freshness": "insufficient_user_authentication",
}
_WITHOUT_CHALLENGE = ("insufficient_privilege", "cross_site")


def refusal(failures: Failures, reason: Reason, *, scheme: str, realm: str | None, **attributes: str) -> HTTPException:
    """Build the exception that answers, with the challenge of RFC 6750 section 3.

    Args:
        failures: The answers.
        reason: Which one.
        scheme: The challenge's scheme, such as `Bearer`.
        realm: The challenge's realm.
        attributes: More of the challenge's attributes, such as `scope`.
    """
    failure = getattr(failures, reason)
    headers = dict(failure.headers)
    named = {name.lower() for name in headers}
    challenged = failure.status in (400, 401, 403) and reason not in _WITHOUT_CHALLENGE
    if challenged and "www-authenticate" not in named:
        # `error` only when a credential was sent (RFC 6750 section 3.1).
        error = None if reason == "missing" else _ERRORS.get(reason, "invalid_token")
        headers["WWW-Authenticate"] = _challenge(scheme, {"realm": realm, "error": error, **attributes})
    return HTTPException(failure.status, failure.detail, headers=headers or None)


def _challenge(scheme: str, attributes: Mapping[str, str | None]) -> str:
    written = ", ".join(f'{name}="{value}"' for name, value in attributes.items() if value is not None)
    return f"{scheme} {written}" if written else scheme
