"""From a request to who is calling: read the credential, verify it, load the user, and answer what is refused."""

import inspect
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from fastapi import HTTPException
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import WebSocketException
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from fastapi_patterns.auth._events import log_event
from fastapi_patterns.auth._loader import Loader
from fastapi_patterns.auth.csrf import CrossSiteError
from fastapi_patterns.auth.failures import Failures, Reason, refusal
from fastapi_patterns.auth.jwks_keys import KeysUnavailableError
from fastapi_patterns.auth.sources import MalformedCredentialError, Source, TwoCredentialsError, read_first
from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import Claims, TokenError, TokenExpiredError

__all__ = ["Authenticator", "Credential", "Loaded", "TokenDecoder"]

_log = logging.getLogger("fastapi_patterns.auth")

# The close code of an application for "unauthorized", after the HTTP status (RFC 6455 section 7.4.2).
_CLOSE_BASE = 4000
_UNAVAILABLE = "Service unavailable"


class TokenDecoder(Protocol):
    """What checks tokens: a `TokenCodec`, `JWKSKeys`, `TokensByIssuer`, or an object with the same `decode`.

    One that has an `async def prepare(token)` has it awaited before: what decoding needs may have to be fetched.
    """

    def decode(self, token: str) -> Claims:
        """Check a token; raises `TokenError`."""
        ...


class Credential:
    """A credential that was verified.

    Attributes:
        source: Where it came from.
        claims: What a token says; None for other credentials.
        value: What the loader's first parameter receives.
    """

    __slots__ = ("claims", "source", "value")

    def __init__(self, source: Source, claims: Claims | None, value: Any) -> None:
        self.source = source
        self.claims = claims
        self.value = value


class Loaded:
    """A user with the credential that brought it; what an override of `base` returns is not one."""

    __slots__ = ("credential", "user")

    def __init__(self, user: Any, credential: Credential) -> None:
        self.user = user
        self.credential = credential


class RefusedError(Exception):
    """A credential was refused; never leaves this package."""

    def __init__(self, reason: Reason, why: str) -> None:
        self.reason: Reason = reason
        super().__init__(why)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authenticator:
    """What `make_current_user` was told, put together."""

    loader: Loader
    tokens: TokenDecoder
    sources: Sequence[Source]
    in_order: Sequence[Source]
    failures: Failures
    realm: str | None
    revoked: Callable[[Claims], bool | Awaitable[bool]] | None
    is_active: Callable[[Any], bool] | None
    accept_to_refuse: bool
    prepare: Callable[[str], Awaitable[None]] | None

    async def verify(self, connection: HTTPConnection) -> Credential | None:
        """Verify the credential of a request; None when there is none.

        Raises:
            RefusedError: It is no good.
        """
        try:
            found = read_first(self.in_order, connection)
        except TwoCredentialsError as error:
            raise RefusedError("two_credentials", str(error)) from None
        except MalformedCredentialError as error:
            raise RefusedError("malformed", str(error)) from None
        if found is None:
            return None
        source, sent = found
        if source.load_user is not None:
            return Credential(source, None, sent)
        claims = await self._decode(sent)
        if source.csrf is not None:
            try:
                source.csrf.check(connection, session_of(claims))
            except CrossSiteError as error:
                raise RefusedError("cross_site", str(error)) from None
        if self.revoked is not None and await self._is_revoked(self.revoked, claims):
            raise RefusedError("invalid", "the token was revoked")
        connection.scope.setdefault("state", {})["user_id"] = claims.sub
        return Credential(source, claims, self._first_argument(claims))

    async def _decode(self, token: str) -> Claims:
        try:
            if self.prepare is not None:  # keys that have to be fetched
                await self.prepare(token)
            claims = self.tokens.decode(token)
        except TokenExpiredError as error:
            raise RefusedError("expired", str(error)) from None
        except TokenError as error:
            raise RefusedError("invalid", str(error)) from None
        except ConfigurationError as error:  # a key or issuer that is asked for on each use
            raise unavailable(error) from error
        except KeysUnavailableError as error:
            # The log has a warning for each fetch that failed; one for each request would be a flood.
            raise HTTPException(503, _UNAVAILABLE, {"Retry-After": str(round(error.retry_after_s))}) from error
        if not isinstance(claims, Claims):
            raise RefusedError("invalid", f"the codec gave {type(claims).__name__} instead of Claims")
        return claims

    async def _is_revoked(self, revoked: Callable[[Claims], Any], claims: Claims) -> bool:
        answer = revoked(claims)
        if type(answer) is not bool and inspect.isawaitable(answer):
            answer = await answer
        return answer is not False  # a forgotten `return` must let nobody in

    @property
    def is_revoked_hook(self) -> Callable[[Claims], Awaitable[bool]] | None:
        """The revocation hook as a websocket's watch asks it, or None."""
        revoked = self.revoked
        if revoked is None:
            return None
        return lambda claims: self._is_revoked(revoked, claims)

    def _first_argument(self, claims: Claims) -> Any:
        model = self.loader.model
        if model is None:
            return claims
        try:
            return claims.into(model)
        except TokenError as error:
            raise RefusedError("invalid", str(error)) from None

    async def load(self, credential: Credential, loader: Loader, values: dict[str, Any]) -> Loaded:
        """Load the user of a credential.

        Raises:
            RefusedError: There is no such user, or they are not let in.
        """
        try:
            if loader.is_async:
                user = await loader.load(credential.value, **values)
            else:  # it may block on a database
                user = await run_in_threadpool(loader.load, credential.value, **values)
                if inspect.isawaitable(user):  # a lambda or a wrapper around an async loader
                    user = await user
        except TokenError as error:  # `claims.int_sub` of a subject that is none
            raise RefusedError("invalid", str(error)) from None
        if user is None or user is False:  # what the usual copies give for "no"
            raise RefusedError("unknown_user", "no such user")
        if user is True:
            raise TypeError("a loader must give the user, or None; it gave True")
        if self.is_active is not None and self.is_active(user) is not True:
            raise RefusedError("inactive_user", "the user is not active")
        return Loaded(user, credential)

    async def refuse(self, connection: HTTPConnection, reason: Reason, why: str, **attributes: str) -> NoReturn:
        """Log why, and answer.

        Raises:
            HTTPException: The answer to a request, or to a websocket's handshake.
            WebSocketException: The close of a websocket that was accepted to say so.
        """
        user_id = connection.scope.get("state", {}).get("user_id")
        if reason != "missing":
            denied = reason in ("insufficient_scope", "insufficient_privilege", "insufficient_freshness")
            log_event("auth.denied" if denied else "auth.failure", reason=f"{reason}: {why}", user_id=user_id)
        answer = refusal(self.failures, reason, scheme=self.sources[0].challenge, realm=self.realm, **attributes)
        if isinstance(connection, WebSocket) and self.accept_to_refuse:
            # A close before accept reaches the client as an HTTP answer, which browsers do not show to scripts.
            await connection.accept()
            raise WebSocketException(_CLOSE_BASE + answer.status_code, reason)
        raise answer


def session_of(claims: Claims) -> str:
    """Name the session that a CSRF token is bound to: the login's, or the token's own id."""
    return str(claims.get("sid") or claims.jti or claims.sub)


def unavailable(error: Exception) -> HTTPException:
    """Build the 503 for what cannot be checked now: the route never runs."""
    _log.error("authentication is not available: %s", error)
    return HTTPException(503, _UNAVAILABLE)
