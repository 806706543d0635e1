"""`make_current_user`: from a token and the application's own loader to dependencies that routes use.

The shape: `base` verifies the credential and loads the user, once a request. The required user, `.optional`,
`.if_valid`, `.requiring(...)` and the others all sit on `base`, so that one override in `app.dependency_overrides`
reaches them all.
"""

import inspect
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Generic, TypeVar, overload

from fastapi import Depends
from fastapi.security import SecurityScopes
from starlette.requests import HTTPConnection

from fastapi_patterns._clock import utc_now
from fastapi_patterns.auth._authenticate import Authenticator, TokenDecoder
from fastapi_patterns.auth._base import Absent, Base, Refused, expect_nothing
from fastapi_patterns.auth._loader import read_loader
from fastapi_patterns.auth._scopes import ScopeRules
from fastapi_patterns.auth.failures import Failures
from fastapi_patterns.auth.sources import Source, bearer_token
from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import Claims

__all__ = ["CurrentUserDependency", "make_current_user"]

UserT = TypeVar("UserT")
# A login in the future is none, but for the difference between two clocks: as much as a codec may forgive.
_LEEWAY_S = 300
Check = Callable[[Any], "bool | Awaitable[bool]"]
Revoked = Callable[[Claims], "bool | Awaitable[bool]"]


@overload
def make_current_user(
    load_user: Callable[..., Awaitable[UserT | None]],
    *,
    tokens: TokenDecoder,
    token_url: str | None = None,
    scopes: dict[str, str] | None = None,
    sources: Sequence[Source] | None = None,
    failures: Failures | None = None,
    realm: str | None = None,
    is_active: Callable[[UserT], bool] | None = None,
    revoked: Revoked | None = None,
    user_scopes: Callable[[UserT], Iterable[str]] | None = None,
    wildcard_scopes: bool = False,
    accept_to_refuse: bool = False,
) -> "CurrentUserDependency[UserT]": ...


@overload
def make_current_user(
    load_user: Callable[..., UserT | None],
    *,
    tokens: TokenDecoder,
    token_url: str | None = None,
    scopes: dict[str, str] | None = None,
    sources: Sequence[Source] | None = None,
    failures: Failures | None = None,
    realm: str | None = None,
    is_active: Callable[[UserT], bool] | None = None,
    revoked: Revoked | None = None,
    user_scopes: Callable[[UserT], Iterable[str]] | None = None,
    wildcard_scopes: bool = False,
    accept_to_refuse: bool = False,
) -> "CurrentUserDependency[UserT]": ...


def make_current_user(
    load_user: Callable[..., Any],
    *,
    tokens: TokenDecoder,
    token_url: str | None = None,
    scopes: dict[str, str] | None = None,
    sources: Sequence[Source] | None = None,
    failures: Failures | None = None,
    realm: str | None = None,
    is_active: Callable[[Any], bool] | None = None,
    revoked: Revoked | None = None,
    user_scopes: Callable[[Any], Iterable[str]] | None = None,
    wildcard_scopes: bool = False,
    accept_to_refuse: bool = False,
) -> "CurrentUserDependency[Any]":
    """Make the dependency that gives a route its user.

    Args:
        load_user: Finds the user, sync or async. Its first parameter receives the verified `Claims`, or the pydantic
            model that it is annotated with; the others are ordinary FastAPI dependencies (a session, the request).
            None means that there is no such user; a `TokenError`, as `claims.int_sub` raises it, that the token is no
            good. Users may be objects of any kind.
        tokens: Checks the token: a `TokenCodec`, or an object with the same `decode`.
        token_url: The login route, for the docs page's Authorize button; relative, such as `"auth/login"`.
        scopes: Scope names and what they allow, for the docs page.
        sources: Where a credential may come from, tried in order; `bearer_token(token_url, scopes=scopes)` by default.
        failures: The answers to those who are not let in.
        realm: The realm of `WWW-Authenticate`.
        is_active: Tells whether a user may come in; anything but True is no.
        revoked: Asked on each request whether a verified token was taken back, sync or async; anything but False is
            yes. What it raises is an error of the server.
        user_scopes: The scopes that a user has; what counts is what both the token and the user have.
        wildcard_scopes: Let `items:*` cover `items:read`, and `*` everything.
        accept_to_refuse: Accept a websocket in order to close it with 4401 or 4403, which scripts in a browser can
            read. By default the handshake is refused with the HTTP answer.

    Returns:
        A dependency: `CurrentUser = Annotated[User, Depends(get_current_user)]`.

    Raises:
        ConfigurationError: `load_user` cannot be called with the claims first, or `tokens` cannot decode.

    HTTP:
        No credential, a bad token or no such user: 401 with `WWW-Authenticate: Bearer`, and one public text for every
        bad token; the reason is in the log. A missing scope: 403. Source: RFC 6750 section 3.
    """
    # Text and a class have a `decode` too, which would fail at the first request.
    if isinstance(tokens, (type, bytes, bytearray)) or not callable(getattr(tokens, "decode", None)):
        got = tokens.__name__ if isinstance(tokens, type) else f"an instance of {type(tokens).__name__}"
        raise ConfigurationError(f"tokens must be a codec, such as TokenCodec(TokenConfig.from_env()); got {got}")
    if sources is not None and (token_url is not None or scopes is not None):
        raise ConfigurationError("token_url and scopes go into the source: bearer_token(token_url, scopes=...)")
    listed = (bearer_token(token_url, scopes=scopes),) if sources is None else tuple(sources)
    if not listed or not all(isinstance(source, Source) for source in listed):
        raise ConfigurationError("sources must be one or more of bearer_token(...), cookie_token(...) and the others")
    for name, function in (("is_active", is_active), ("revoked", revoked), ("user_scopes", user_scopes)):
        if function is not None and not callable(function):
            raise ConfigurationError(f"{name} must be a function; got {type(function).__name__}")
    authenticator = Authenticator(
        loader=read_loader(load_user),
        tokens=tokens,
        sources=listed,
        in_order=sorted(listed, key=lambda source: source.place == "cookie"),  # a header wins over a cookie
        failures=failures or Failures(),
        realm=realm,
        revoked=revoked,
        is_active=is_active,
        accept_to_refuse=accept_to_refuse,
        prepare=getattr(tokens, "prepare", None),
    )
    return CurrentUserDependency(authenticator, ScopeRules(user_scopes, wildcard_scopes))


class CurrentUserDependency(Generic[UserT]):
    """What `make_current_user` returns; depend on the object itself for a user that must be there.

    Attributes:
        base: The dependency under all others. In tests, `app.dependency_overrides[get_current_user.base] = lambda:
            user` logs this user in everywhere, with every scope; checks of `.requiring` still run.
        optional: The user, or None when no credential was sent. A bad credential is still a 401.
        by_token: The user who came with a token; one who came with a key or a password is not let in: 403.
        if_valid: The user, or None when no credential was sent or it is no good. An error of the server stays one.
    """

    base: Callable[..., Awaitable[Any]]
    optional: Callable[..., Awaitable[UserT | None]]
    if_valid: Callable[..., Awaitable[UserT | None]]
    by_token: Callable[..., Awaitable[UserT]]

    def __init__(self, authenticator: Authenticator, scope_rules: ScopeRules) -> None:
        self._authenticator = authenticator
        self._scope_rules = scope_rules
        self.base = base = Base(authenticator)

        async def optional(
            connection: HTTPConnection, scopes: SecurityScopes, loaded: Annotated[Any, Depends(base)]
        ) -> Any:
            return None if isinstance(loaded, Absent) else await self(connection, scopes, loaded)

        async def if_valid(
            connection: HTTPConnection,
            scopes: SecurityScopes,
            _lenient: Annotated[None, Depends(expect_nothing)],  # before `base`: dependencies are solved in order
            loaded: Annotated[Any, Depends(base)],
        ) -> Any:
            return None if isinstance(loaded, (Absent, Refused)) else await self(connection, scopes, loaded)

        self.optional = optional
        self.if_valid = if_valid

        async def by_token(
            connection: HTTPConnection, user: Annotated[Any, Depends(self)], loaded: Annotated[Any, Depends(base)]
        ) -> Any:
            _, credential = Base.unpack(loaded)
            if credential is not None and credential.claims is None:
                await self._authenticator.refuse(connection, "insufficient_privilege", "only a token may do this")
            return user

        self.by_token = by_token

    @property
    def is_active(self) -> Callable[[Any], bool] | None:
        """What tells whether a user may come in, as it was passed."""
        return self._authenticator.is_active

    @property
    def asks_for_revocation(self) -> bool:
        """Whether a `revoked` hook was passed."""
        return self._authenticator.revoked is not None

    async def __call__(self, connection: HTTPConnection, scopes: SecurityScopes, loaded: Any) -> UserT:
        """Return the user; FastAPI fills the arguments."""
        user, credential = Base.unpack(loaded)
        if credential is None:
            if isinstance(loaded, Refused):
                await self._authenticator.refuse(connection, loaded.reason, loaded.why)
            if isinstance(loaded, Absent):
                await self._authenticator.refuse(connection, "missing", "no credential")
        elif scopes.scopes and (missing := self._scope_rules.missing(credential, user, scopes.scopes)):
            why = f"lacks {', '.join(missing)}"
            await self._authenticator.refuse(connection, "insufficient_scope", why, scope=scopes.scope_str)
        return user  # type: ignore[no-any-return]  # the loader's own type

    @property
    def __signature__(self) -> inspect.Signature:
        """What FastAPI reads: the connection, the scopes that the route asks for, and `base`."""
        keyword = inspect.Parameter.KEYWORD_ONLY
        return inspect.Signature(
            [
                inspect.Parameter("connection", keyword, annotation=HTTPConnection),
                inspect.Parameter("scopes", keyword, annotation=SecurityScopes),
                inspect.Parameter("loaded", keyword, annotation=Annotated[Any, Depends(self.base)]),
            ]
        )

    def requiring(self, *checks: Check) -> Callable[..., Awaitable[UserT]]:
        """Make a dependency for users that pass every check: `get_current_user.requiring(lambda user: user.is_admin)`.

        Args:
            checks: Functions of the user, sync or async. Only True lets the user in: a forgotten `await` or a truthy
                object denies. A sync check runs on the event loop and must not block.

        Raises:
            ConfigurationError: No check, or one that is not callable.

        HTTP:
            A user who does not pass: 403.
        """
        if not checks or not all(callable(check) for check in checks):
            raise ConfigurationError("requiring(...) needs at least one function of the user")

        async def checked(connection: HTTPConnection, user: Annotated[Any, Depends(self)]) -> Any:
            for check in checks:
                passed = check(user)
                if inspect.isawaitable(passed):
                    passed = await passed
                if passed is not True:
                    why = f"by {getattr(check, '__qualname__', type(check).__qualname__)}"
                    await self._authenticator.refuse(connection, "insufficient_privilege", why)
            return user

        return checked

    def any_scope(self, *names: str) -> Callable[..., Awaitable[UserT]]:
        """Make a dependency for users who have one of several scopes; `Security(..., scopes=[...])` asks for all.

        Raises:
            ConfigurationError: No scope is named.

        HTTP:
            None of them: 403 `insufficient_scope`.
        """
        if not names or not all(isinstance(name, str) and name for name in names):
            raise ConfigurationError("any_scope(...) needs the names of scopes")

        async def checked(
            connection: HTTPConnection,
            user: Annotated[Any, Depends(self)],
            loaded: Annotated[Any, Depends(self.base)],
        ) -> Any:
            _, credential = Base.unpack(loaded)
            if credential is not None and len(self._scope_rules.missing(credential, user, names)) == len(names):
                why = f"lacks each of {', '.join(names)}"
                await self._authenticator.refuse(connection, "insufficient_scope", why, scope=" ".join(names))
            return user

        return checked

    def fresh(self, max_age: timedelta, *, now: Callable[[], datetime] = utc_now) -> Callable[..., Awaitable[UserT]]:
        """Make a dependency for users who have logged in lately: for a new e-mail address, a payment, a deletion.

        Args:
            max_age: How long ago the login may be: the claim `auth_time`, which `LoginSessions` writes. A token
                without it counts as old, since a refreshed token's `iat` is no login.
            now: The clock; tests inject their own.

        Raises:
            ConfigurationError: `max_age` is no positive timedelta.

        HTTP:
            401 with `error="insufficient_user_authentication"` and `max_age` (RFC 9470).
        """
        if not isinstance(max_age, timedelta) or max_age <= timedelta(0):
            raise ConfigurationError(f"max_age must be a positive timedelta; got {max_age!r}")
        seconds = max_age.total_seconds()

        async def checked(
            connection: HTTPConnection,
            user: Annotated[Any, Depends(self)],
            loaded: Annotated[Any, Depends(self.base)],
        ) -> Any:
            _, credential = Base.unpack(loaded)
            if credential is not None:
                logged_in = _login_time(credential.claims)
                moment = now().timestamp()
                if logged_in is None or not moment - seconds <= logged_in <= moment + _LEEWAY_S:
                    why = "the login is too long ago"
                    await self._authenticator.refuse(
                        connection, "insufficient_freshness", why, max_age=str(int(seconds))
                    )
            return user

        return checked


def _login_time(claims: Claims | None) -> float | None:
    logged_in = None if claims is None else claims.get("auth_time")
    if type(logged_in) is int or (type(logged_in) is float and math.isfinite(logged_in)):
        return logged_in  # not as a float: an int may be too large for one
    return None
