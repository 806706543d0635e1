"""`LoginSessions`: log in, refresh, log out, and revoke, over a store.

What may become of a session is decided in `fastapi_patterns.security.refresh`; what is kept is in the store. It never
answers for the store: when that cannot be reached, its exception leaves, and nobody gets in.
"""

import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from starlette.concurrency import run_in_threadpool

from fastapi_patterns._clock import utc_now
from fastapi_patterns._compat import is_async_callable
from fastapi_patterns.auth._events import log_event
from fastapi_patterns.auth.stores.protocol import TokenStore
from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security.claims import Claims
from fastapi_patterns.security.errors import TokenClaimsError, TokenError, TokenExpiredError
from fastapi_patterns.security.refresh import (
    RefreshPolicy,
    RefreshReuseError,
    RefreshSession,
    Rotation,
    parse_refresh_token,
    rotate,
    start_session,
)
from fastapi_patterns.security.token_config import check_lifetime
from fastapi_patterns.security.tokens import TokenCodec

__all__ = ["ClaimsOf", "IssuedTokens", "LoginSessions"]

# How often a use of a token is decided anew because another one came first. Without a grace time the second round is
# the last: it is reuse.
_ROUNDS = 5
_MICROSECOND = timedelta(microseconds=1)
# More than a tick of any clock. An end further ahead was seen before the clock was set back, by a test for one.
_TICK = timedelta(seconds=1)
_LONGEST_TOKEN = timedelta(days=366)
# Room for a leeway: tokens of other issuers may last as long as a datetime can say.
_LATEST = datetime(9999, 1, 1, tzinfo=UTC)
# What is written here and must not come from the application; a `jti` of its own would be the same in every token.
_OWN_CLAIMS = {"sid", "auth_time", "jti"}

ClaimsOf = Callable[[str], Awaitable[Mapping[str, Any] | None] | Mapping[str, Any] | None]
"""From a subject to the claims that its next access token has, or None when it may not log in any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedTokens:
    """What a client gets at login and at each refresh.

    Attributes:
        access_token: For the API.
        refresh_token: For the next refresh, once.
        expires_in_s: Seconds that the access token is good for, as `expires_in` of RFC 6749 section 5.1.
        sid: The session's name, which is no secret.
        scope: The access token's scopes, separated by blanks; None when it says nothing of scopes.
    """

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_in_s: int
    sid: str
    scope: str | None = None


class LoginSessions:
    """Sessions of an access token that is checked without a store and a refresh token that is exchanged on each use.

    A refresh token that is used twice ends its session, its access tokens included: one of the two was stolen, and
    nobody can tell which (RFC 9700 section 4.14.2).

    Args:
        store: Where sessions are kept: in memory, in a database, in Redis or Valkey.
        tokens: Makes the access tokens; its `expires_delta` is how long they live, and at the most as long as their
            session.
        policy: How long sessions live; `RefreshPolicy()` by default.
        now: The clock; tests inject their own, and the same in `tokens`.

    Raises:
        ConfigurationError: `store` or `tokens` is none.
    """

    def __init__(
        self,
        store: TokenStore,
        *,
        tokens: TokenCodec,
        policy: RefreshPolicy | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        if isinstance(store, type) or not callable(getattr(store, "swap_session", None)):
            raise ConfigurationError(f"store must be a store, such as InMemoryTokenStore(); got {_kind(store)}")
        if not isinstance(tokens, TokenCodec):
            raise ConfigurationError(f"tokens must be a TokenCodec; got {_kind(tokens)}")
        self._store = store
        self._tokens = tokens
        self.policy = RefreshPolicy() if policy is None else policy
        self._now = now
        self._last_end = datetime.min.replace(tzinfo=UTC)

    async def start(
        self,
        subject: str | int | UUID,
        *,
        data: Mapping[str, Any] | None = None,
        scopes: Collection[str] | None = None,
        began_at: datetime | None = None,
    ) -> IssuedTokens:
        """Begin a session, after the user has proved who they are.

        Args:
            subject: Whose it is, as in `TokenCodec.encode`.
            data: More claims for the first access token; later ones have those that `claims_of` gives then.
            scopes: What the client asks for of the claim `scope`: no access token of the session ever has more, those
                of a refresh included (RFC 6749 section 6). None for all.
            began_at: `moment()` from before the user was looked up: an `end_all` that came while the password was
                verified ends this session too. By default now.

        Raises:
            ValueError: `subject` cannot be one, or `data` holds a claim that is written here or by the codec.
        """
        now = self.moment() if began_at is None else began_at
        scope = None if scopes is None else " ".join(sorted(scopes))
        begun = start_session(_subject(subject), policy=self.policy, now=now, scope=scope)
        issued = self._issue(begun, {} if data is None else data, now)
        await self._store.add_session(begun.session)
        log_event("auth.success", reason="login", user_id=begun.session.subject, sid=issued.sid)
        return issued

    def moment(self) -> datetime:
        """Give the time for `start(began_at=...)`; after an `end_all` within one tick of the clock, a later one."""
        now = self._now()
        return self._last_end + _MICROSECOND if timedelta(0) <= self._last_end - now < _TICK else now

    async def refresh(self, refresh_token: str | None, *, claims_of: ClaimsOf) -> IssuedTokens:
        """Exchange a refresh token, which is worthless after that.

        Args:
            refresh_token: As the client sent it; None, for none, is refused.
            claims_of: Asked before the exchange whether the subject may still log in, and what its claims are now:
                what a user has lost since the login is not in the next token. Sync or async; a sync one runs in a
                thread. What it raises leaves, and the token is still good.

        Raises:
            RefreshReuseError: The token was used before; its session has been ended.
            TokenError: The token is refused for another reason; `RefreshReuseError` is one too.
            ValueError: `claims_of` gave a claim that is written here or by the codec.

        HTTP:
            The route answers a TokenError with 401. What ended stays ended: the store has committed it.
        """
        try:
            return await self._refresh(refresh_token, claims_of)
        except RefreshReuseError:
            raise  # logged by its own name
        except TokenError as error:
            log_event("auth.failure", reason=str(error))
            raise

    async def end(self, refresh_token: str | None) -> None:
        """End the session of a refresh token, also of one that was exchanged already: logout.

        None, a text that is no token, and the token of a session that has ended are no errors.
        """
        try:
            sid = parse_refresh_token(refresh_token).sid
        except TokenError:
            return
        session = await self._store.get_session(sid)
        if session is not None and session.revoked_at is None:
            await self._end(session, "logout")

    async def end_by_access_token(self, token: str) -> None:
        """End the session that an access token belongs to, also an expired one; no error where there is none."""
        try:
            claims = self._tokens.decode_expired(token, max_age=self.policy.absolute)
        except TokenError:
            return
        if isinstance(sid := claims.get("sid"), str):
            await self.end_session(sid)

    async def end_session(self, sid: str) -> None:
        """End a session by its name, `claims["sid"]`; nothing checks whose it is, so never take it from a client."""
        await self._store.revoke_session(sid, at=self._now())
        log_event("auth.revocation", reason="session", sid=sid)

    async def end_all(self, subject: str | int | UUID, *, keep_sid: str | None = None) -> None:
        """End all sessions of somebody and their access tokens, after a change of the password for example.

        Access tokens of theirs that belong to no session end too, when they were made until the end of this second.

        Args:
            subject: Whose.
            keep_sid: The session that goes on: the `sid` of the request that asks for it.
        """
        at, name = self._now(), _subject(subject)
        # Sessions that began until now have all ended by then, and so have tokens of a year that belong to none.
        until = at + max(self.policy.absolute, _LONGEST_TOKEN)
        await self._store.revoke_subject(name, at=at, expires_at=until, keep_sid=keep_sid)
        self._last_end = max(self._last_end, at) if self._last_end - at < _TICK else at
        log_event("auth.revocation", reason="all sessions" if keep_sid is None else "all other sessions", user_id=name)

    async def revoke(self, claims: Claims) -> None:
        """Revoke one access token.

        Raises:
            TokenClaimsError: It has no `jti`, which those of `TokenCodec` always have.
        """
        if claims.jti is None:
            raise TokenClaimsError("jti", "is missing, and a token is revoked by it")
        until = min(claims.expires_at, _LATEST) + self._tokens.config.leeway
        await self._store.revoke_token(claims.jti, expires_at=until)
        log_event("auth.revocation", reason="access token", user_id=claims.sub, sid=_sid(claims))

    async def revoked(self, claims: Claims) -> bool:
        """Tell whether a verified access token was revoked: the hook of `make_current_user`, one query a request."""
        sid, subject = _sid(claims), claims.sub
        if not self._is_ours(claims):
            # Another issuer's sessions and users are its own, whatever they are called; a token may be revoked here.
            sid, subject = None, f"{claims.get('iss')} {subject}"
        return await self._store.is_revoked(jti=claims.jti, sid=sid, subject=subject, issued_at=claims.issued_at)

    def _is_ours(self, claims: Claims) -> bool:
        # A token that names no issuer is one of older code, which only this codec lets in.
        issuer, said = self._tokens.config.issuer, claims.get("iss")
        return issuer is None or said is None or said == (issuer() if callable(issuer) else issuer)

    async def _refresh(self, token: str | None, claims_of: ClaimsOf) -> IssuedTokens:
        sid = parse_refresh_token(token).sid
        data: Mapping[str, Any] | None = None
        for _ in range(_ROUNDS):
            session, now = await self._store.get_session(sid), self._now()
            if session is None:
                raise TokenExpiredError("the session has ended")
            rotation = await self._rotate(str(token), session, now)
            if data is None:
                data = await self._claims(claims_of, session)
            # Before the exchange: claims that cannot be a token must not cost the session.
            issued = self._issue(rotation, data, now)
            if await self._store.swap_session(session, rotation.session):
                log_event("auth.success", reason="refresh", user_id=session.subject, sid=sid)
                return issued
        raise TokenError("the refresh token is used too often at the same time")

    async def _rotate(self, token: str, session: RefreshSession, now: datetime) -> Rotation:
        try:
            return rotate(token, session, policy=self.policy, now=now)
        except RefreshReuseError as error:
            await self._store.revoke_session(session.sid, at=now)
            log_event("auth.refresh_reuse", reason=str(error), user_id=session.subject, sid=session.sid)
            raise

    async def _claims(self, claims_of: ClaimsOf, session: RefreshSession) -> Mapping[str, Any]:
        if is_async_callable(claims_of):
            found = claims_of(session.subject)
        else:  # it may block on a database
            found = await run_in_threadpool(claims_of, session.subject)
        data = await found if inspect.isawaitable(found) else found
        if data is None:
            await self._end(session, "no such user, or not any more")
            raise TokenExpiredError("the user of the session may not log in any more")
        return data

    async def _end(self, session: RefreshSession, reason: str) -> None:
        await self._store.revoke_session(session.sid, at=self._now())
        log_event("auth.revocation", reason=reason, user_id=session.subject, sid=session.sid)

    def _issue(self, rotation: Rotation, data: Mapping[str, Any], now: datetime) -> IssuedTokens:
        session, config = rotation.session, self._tokens.config
        subject_claim = config.subject_claims[0]
        if written := data.keys() & {*_OWN_CLAIMS, subject_claim}:
            raise ValueError(f"{', '.join(sorted(written))} cannot be among the claims: LoginSessions writes them")
        configured = config.expires_delta
        lifetime = check_lifetime(configured() if callable(configured) else configured)
        lifetime = min(lifetime, session.expires_at - now)
        claims = {
            **_narrowed(data, session.scope),
            subject_claim: session.subject,
            "sid": session.sid,
            # The login's, however often the session is refreshed (OpenID Connect Core 1.0 section 2).
            "auth_time": int(session.created_at.timestamp()),
        }
        return IssuedTokens(
            access_token=self._tokens.encode(claims, expires_delta=lifetime),
            refresh_token=rotation.token,
            expires_in_s=int(lifetime.total_seconds()),
            sid=session.sid,
            scope=claims.get("scope"),
        )


def _narrowed(data: Mapping[str, Any], asked: str | None) -> dict[str, Any]:
    """Give the claims with `scope` as text, cut down to what the login asked for."""
    claims, found = dict(data), data.get("scope")
    if found is None and asked is None:
        return claims
    has = [] if found is None else found.split() if isinstance(found, str) else list(found)
    wanted = has if asked is None else [scope for scope in has if scope in asked.split()]
    claims["scope"] = " ".join(wanted)
    return claims


def _sid(claims: Claims) -> str | None:
    """Give the session of a token; one of a type that none has is the name of no session, which has ended."""
    sid = claims.get("sid")
    return None if sid is None else str(sid)


def _subject(subject: str | int | UUID) -> str:
    if isinstance(subject, bool) or not isinstance(subject, (str, int, UUID)):
        raise ValueError(f"subject must be a str, an int or a UUID; got {type(subject).__name__}")
    if str(subject) == "" or "\0" in str(subject):
        raise ValueError("subject must not be empty, nor hold NUL, which databases cannot take")
    return str(subject)


def _kind(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else f"an instance of {type(value).__name__}"
