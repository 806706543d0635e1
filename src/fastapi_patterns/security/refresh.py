"""Refresh tokens: opaque, stored hashed, rotated on each use; a second use of one ends the session it belongs to.

Pure: what a stored session may become. Stores keep it (`fastapi_patterns.auth.stores`), and compare and swap it.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security.errors import TokenError, TokenExpiredError, TokenMalformedError

__all__ = [
    "RefreshPolicy",
    "RefreshReuseError",
    "RefreshSession",
    "RefreshToken",
    "Rotation",
    "parse_refresh_token",
    "rotate",
    "start_session",
]

# Characters of base64url: 128 bits that name the session, 256 that prove it (ASVS 5.0 7.2.3 asks for 128).
_NAME_CHARS, _SECRET_CHARS = 22, 43
_LONGEST_GRACE = timedelta(seconds=30)


class RefreshReuseError(TokenError):
    """A refresh token was used that had been used before: its session is ended, because one of the two was stolen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshPolicy:
    """How long sessions live.

    Args:
        idle: A session ends when its refresh token is not used for this long (ASVS 5.0 7.3.1).
        absolute: And at the latest this long after the login (7.3.2), however often it is used.
        grace: How long the token before may be used again, when its answer was lost on the way. Off by default: within
            it a stolen token works beside the real one. The successor that was not used yet is replaced, since hashed
            storage cannot send it again.

    Raises:
        ConfigurationError: A duration is not positive, `idle` is longer than `absolute`, or `grace` than 30 seconds.
    """

    idle: timedelta = timedelta(days=14)
    absolute: timedelta = timedelta(days=90)
    grace: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        for name in ("idle", "absolute", "grace"):
            if not isinstance(getattr(self, name), timedelta):
                raise ConfigurationError(f"{name} must be a timedelta; got {type(getattr(self, name)).__name__}")
        if not timedelta(0) < self.idle <= self.absolute:
            raise ConfigurationError(f"idle must be positive and at most absolute; got {self.idle} and {self.absolute}")
        if not timedelta(0) <= self.grace <= _LONGEST_GRACE:
            raise ConfigurationError(f"grace must be between 0 and 30 seconds; got {self.grace}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshSession:
    """A session as it is stored: nothing in it can be used as a token.

    Attributes:
        sid: Its public name, which access tokens carry as the claim `sid`.
        subject: Whose it is.
        digest: Of the refresh token that is good now.
        previous_digest: Of the one before, for the grace time.
        created_at: The login, with a time zone, as all times here.
        rotated_at: When the token was last exchanged.
        expires_at: When it ends if it is not used: the earlier of idle and absolute.
        revoked_at: When it was ended, or None.
        scope: The scopes that the login asked for, separated by blanks; None for all that the user has.
    """

    sid: str
    subject: str
    digest: str = field(repr=False)
    previous_digest: str | None = field(repr=False)
    created_at: datetime
    rotated_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    scope: str | None = None


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token taken apart.

    Attributes:
        sid: The session that it names.
        digest: What the store holds of it.
    """

    sid: str
    digest: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rotation:
    """What becomes of a session when its token is used.

    Attributes:
        session: The session as it is to be stored, in place of the one that was read.
        token: The new refresh token, for the client.
    """

    session: RefreshSession
    token: str = field(repr=False)


def start_session(subject: str, *, policy: RefreshPolicy, now: datetime, scope: str | None = None) -> Rotation:
    """Begin a session at login.

    Args:
        subject: Whose it is.
        policy: Lifetimes.
        now: The time, with a time zone.
    """
    name = secrets.token_urlsafe(16)
    token, digest = _new_token(name)
    session = RefreshSession(
        sid=_sid(name),
        subject=subject,
        digest=digest,
        previous_digest=None,
        created_at=now,
        rotated_at=now,
        expires_at=now + policy.idle,
        scope=scope,
    )
    return Rotation(session, token)


def parse_refresh_token(token: object) -> RefreshToken:
    """Take a refresh token apart, without asking any store.

    Raises:
        TokenMalformedError: It is none.
    """
    # Characters are counted before any work is done on them.
    if not isinstance(token, str) or len(token) != _NAME_CHARS + 1 + _SECRET_CHARS or not token.isascii():
        raise TokenMalformedError("not a refresh token")
    name, dot, secret = token.partition(".")
    if not dot or len(name) != _NAME_CHARS:
        raise TokenMalformedError("not a refresh token")
    return RefreshToken(_sid(name), _digest(secret))


def rotate(token: str, session: RefreshSession | None, *, policy: RefreshPolicy, now: datetime) -> Rotation:
    """Exchange a refresh token: decide what the stored session becomes.

    Args:
        token: As the client sent it.
        session: The one that `parse_refresh_token(token).sid` names, or None when there is none.
        policy: Lifetimes.
        now: The time.

    Raises:
        TokenMalformedError: It is no refresh token.
        TokenExpiredError: The session has ended, or there is none.
        RefreshReuseError: The token was used before; the caller must revoke the session.

    Source: RFC 9700 section 4.14.2.
    """
    digest = parse_refresh_token(token).digest
    if session is None or session.revoked_at is not None or now >= session.expires_at:
        raise TokenExpiredError("the session has ended")
    previous = session.digest
    if not hmac.compare_digest(digest, session.digest):
        if not _in_grace(digest, session, policy, now):
            raise RefreshReuseError("the refresh token was used before")
        previous = digest
    successor, new_digest = _new_token(token.partition(".")[0])
    return Rotation(
        replace(
            session,
            digest=new_digest,
            previous_digest=previous,
            # Replacing a lost answer does not begin the grace time anew.
            rotated_at=now if previous == session.digest else session.rotated_at,
            expires_at=min(now + policy.idle, session.created_at + policy.absolute),
        ),
        successor,
    )


def _in_grace(digest: str, session: RefreshSession, policy: RefreshPolicy, now: datetime) -> bool:
    return (
        session.previous_digest is not None
        and hmac.compare_digest(digest, session.previous_digest)
        # Both ways: a clock that was set back must not open the window again for as long.
        and abs(now - session.rotated_at) < policy.grace
    )


def _new_token(name: str) -> tuple[str, str]:
    secret = secrets.token_urlsafe(32)
    return f"{name}.{secret}", _digest(secret)


def _sid(name: str) -> str:
    """Name the session without giving the token's first half away: access tokens are seen by more eyes."""
    return hashlib.sha256(b"sid " + name.encode()).hexdigest()[:32]


def _digest(secret: str) -> str:
    """Hash 256 random bits: they need no salt and no cost."""
    return hashlib.sha256(b"refresh " + secret.encode()).hexdigest()
