"""`make_current_user`: from a token and the application's own loader to dependencies that routes use.

The shape: `claims` checks the token, `base` loads the user with it, once a request. The required user, `.optional`
and `.requiring(...)` all sit on `base`, so that one override in `app.dependency_overrides` reaches them all.
"""

import inspect
import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Generic, TypeVar, overload

from fastapi import Depends, HTTPException
from fastapi.security import SecurityScopes
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection

from fastapi_patterns._compat import is_async_callable
from fastapi_patterns.auth._bearer import BearerToken, unauthorized
from fastapi_patterns.auth._loader import loader_parameters
from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import Claims, ExpiredClaims, TokenCodec, TokenError

__all__ = ["CurrentUserDependency", "make_current_user"]

UserT = TypeVar("UserT")
Check = Callable[[Any], "bool | Awaitable[bool]"]

_log = logging.getLogger("fastapi_patterns.auth")


@overload
def make_current_user(
    load_user: Callable[..., Awaitable[UserT | None]],
    *,
    tokens: TokenCodec,
    token_url: str,
    scopes: dict[str, str] | None = None,
) -> "CurrentUserDependency[UserT]": ...


@overload
def make_current_user(
    load_user: Callable[..., UserT | None],
    *,
    tokens: TokenCodec,
    token_url: str,
    scopes: dict[str, str] | None = None,
) -> "CurrentUserDependency[UserT]": ...


def make_current_user(
    load_user: Callable[..., Any],
    *,
    tokens: TokenCodec,
    token_url: str,
    scopes: dict[str, str] | None = None,
) -> "CurrentUserDependency[Any]":
    """Make the dependency that gives a route its user.

    Args:
        load_user: Finds the user, sync or async. Its first parameter receives the verified `Claims`; the others are
            ordinary FastAPI dependencies (a session, the request). None means that there is no such user, or that it
            may not log in any more; a `TokenError`, as `claims.int_sub` raises it, that the token is no good. Users may
            be objects of any kind.
        tokens: Checks the token: a `TokenCodec`, or an object with the same `decode`.
        token_url: The login route, for the docs page's Authorize button; relative, such as `"auth/login"`.
        scopes: Scope names and what they allow, for the docs page.

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
    return CurrentUserDependency(load_user, tokens, BearerToken(token_url, scopes))


class CurrentUserDependency(Generic[UserT]):
    """What `make_current_user` returns; depend on the object itself for a user that must be there.

    Attributes:
        base: The dependency under all others. In tests, `app.dependency_overrides[get_current_user.base] = lambda:
            user` logs this user in everywhere, with every scope; checks of `.requiring` still run.
        optional: The user, or None when no credential was sent. A bad credential is still a 401.
    """

    base: Callable[..., Awaitable[Any]]
    optional: Callable[..., Awaitable[UserT | None]]

    def __init__(self, load_user: Callable[..., Any], tokens: TokenCodec, source: BearerToken) -> None:
        parameters = loader_parameters(load_user)
        claims = _claims_dependency(tokens, source)
        self.base = base = _base_dependency(load_user, parameters, claims)

        async def optional(scopes: SecurityScopes, loaded: Annotated[Any, Depends(base)]) -> Any:
            return None if loaded is None else _user(loaded, scopes)

        self.optional = optional

    async def __call__(self, scopes: SecurityScopes, loaded: Any) -> UserT:
        """Return the user; FastAPI fills the arguments."""
        if loaded is None:
            raise unauthorized()
        return _user(loaded, scopes)  # type: ignore[no-any-return]  # the loader's own type

    @property
    def __signature__(self) -> inspect.Signature:
        """What FastAPI reads: the scopes that the route asks for, and `base`."""
        keyword = inspect.Parameter.KEYWORD_ONLY
        return inspect.Signature(
            [
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

        async def checked(user: Annotated[Any, Depends(self)]) -> Any:
            for check in checks:
                passed = check(user)
                if inspect.isawaitable(passed):
                    passed = await passed
                if passed is not True:
                    _log.info("access denied by %s", getattr(check, "__qualname__", type(check).__qualname__))
                    raise HTTPException(403, "Not enough permissions")
            return user

        return checked


class _Loaded:
    """A user with the claims that brought it; what an override of `base` returns is not one."""

    __slots__ = ("claims", "user")

    def __init__(self, user: Any, claims: Claims) -> None:
        self.user = user
        self.claims = claims


def _claims_dependency(tokens: TokenCodec, source: BearerToken) -> Callable[..., Awaitable[Claims | None]]:
    async def claims(connection: HTTPConnection, token: Annotated[str | None, Depends(source)]) -> Claims | None:
        if token is None:
            return None
        try:
            found = tokens.decode(token)
        except TokenError as error:
            raise unauthorized(str(error)) from None
        except ConfigurationError as error:  # a key or issuer that is asked for on each use
            raise HTTPException(503, "Service unavailable") from error
        if isinstance(found, ExpiredClaims):
            raise unauthorized("the codec gave expired claims")
        connection.scope.setdefault("state", {})["user_id"] = found.sub
        return found

    return claims


def _base_dependency(
    load_user: Callable[..., Any], parameters: list[inspect.Parameter], claims: Callable[..., Any]
) -> Callable[..., Awaitable[Any]]:
    is_async = is_async_callable(load_user)

    async def base(*, _connection: HTTPConnection, _claims: Claims | None, **values: Any) -> _Loaded | None:
        if _claims is None:
            return None
        # FastAPI calls a dependency again for each set of scopes that a route asks for; the user is loaded once.
        memo = _connection.scope.setdefault("fastapi_patterns.users", {})
        if base not in memo:
            memo[base] = _Loaded(await found(_claims, values), _claims)
        return memo[base]  # type: ignore[no-any-return]

    async def found(claims: Claims, values: dict[str, Any]) -> Any:
        try:
            if is_async:
                user = await load_user(claims, **values)
            else:  # it may block on a database
                user = await run_in_threadpool(load_user, claims, **values)
        except TokenError as error:  # `claims.int_sub` of a subject that is none
            raise unauthorized(str(error)) from None
        if user is None:
            raise unauthorized("no such user")
        return user

    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [
        inspect.Parameter("_connection", keyword, annotation=HTTPConnection),
        # Before the loader's own dependencies: FastAPI solves in order, so a bad token never opens a session.
        inspect.Parameter("_claims", keyword, annotation=Annotated[Any, Depends(claims)]),
    ]
    base.__signature__ = inspect.Signature([*own, *parameters])  # type: ignore[attr-defined]
    return base


def _user(loaded: Any, scopes: SecurityScopes) -> Any:
    """Check the scopes and unpack; an override's user comes as it is and has every scope."""
    if not isinstance(loaded, _Loaded):
        return loaded
    if missing := set(scopes.scopes) - loaded.claims.scopes:
        _log.info("access denied: the token lacks %s", ", ".join(sorted(missing)))
        raise _insufficient_scope(scopes)
    return loaded.user


def _insufficient_scope(scopes: SecurityScopes) -> HTTPException:
    challenge = f'Bearer error="insufficient_scope", scope="{scopes.scope_str}"'
    return HTTPException(403, "Not enough permissions", headers={"WWW-Authenticate": challenge})
