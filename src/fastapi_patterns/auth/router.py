"""`make_auth_router`: login, refresh, logout and logout everywhere, over the application's own users.

Registration, password reset and e-mail checks stay routes of the application.
"""

import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from fastapi_patterns._compat import is_async_callable
from fastapi_patterns._openapi import detail_response
from fastapi_patterns.auth._events import log_event
from fastapi_patterns.auth._forms import (
    LOGIN_BODY,
    REFRESH_BODY,
    REFUSED_BODY,
    LoginForm,
    missing,
    read_login,
    read_refresh,
)
from fastapi_patterns.auth._loader import read_loader
from fastapi_patterns.auth.cookies import AuthCookies
from fastapi_patterns.auth.csrf import CrossSiteError
from fastapi_patterns.auth.current_user import CurrentUserDependency
from fastapi_patterns.auth.login import Guard, LoginRules, authenticate
from fastapi_patterns.auth.sessions import IssuedTokens, LoginSessions
from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import TokenError

__all__ = ["TokenAnswer", "make_auth_router"]

_log = logging.getLogger("fastapi_patterns.auth")

RefreshTokenDep = Annotated[str | None, Depends(read_refresh)]


class TokenAnswer(BaseModel):
    """What a login and a refresh answer (RFC 6749 section 5.1). With cookies the tokens are in them, and not here."""

    access_token: str | None = None
    token_type: str = "bearer"  # noqa: S105 (a kind)
    expires_in: int
    refresh_token: str | None = None
    scope: str | None = None


_TOKENS: dict[str, Any] = {
    "response_model": TokenAnswer,
    "response_model_exclude_none": True,
    "responses": {401: detail_response("Not logged in"), **REFUSED_BODY},
}


def make_auth_router(
    sessions: LoginSessions,
    *,
    find_user: Callable[..., Any],
    load_user: Callable[..., Any],
    rules: LoginRules[Any],
    current_user: CurrentUserDependency[Any],
    claims: Callable[[Any], Mapping[str, Any]] | None = None,
    guard: Guard | None = None,
    cookies: AuthCookies | None = None,
    prefix: str = "/auth",
) -> APIRouter:
    """Make the routes `POST /auth/login`, `/auth/refresh`, `/auth/logout` and `/auth/logout-all`.

    Args:
        sessions: Begins and ends sessions.
        find_user: From what was typed as the user name to the user, or None; its other parameters are dependencies.
        load_user: From a subject to the user who may still log in, or None; asked at each refresh.
        rules: How passwords are verified, and what tokens say of a user.
        current_user: Who asks for a logout everywhere.
        claims: More claims of a user's access tokens; `scope` is cut down to what a login asks for.
        guard: Asked before any hashing, with the name and the client's address: how long to wait, or None. Behind a
            proxy the address is right when the server believes the proxy's headers.
        cookies: Put the tokens into cookies, and take them from there.
        prefix: Of the routes.

    Raises:
        ConfigurationError: A function cannot be called as it must be.

    HTTP:
        `login` takes the OAuth2 form, which the docs page's Authorize button sends, or JSON; a wrong name, a wrong
        password and a user who may not log in read the same 401. A guard's answer is 429 with `Retry-After`. Every
        answer with tokens has `Cache-Control: no-store`.
    """
    _check(sessions, rules, cookies, current_user)
    rules = rules if rules.is_active is not None else replace(rules, is_active=current_user.is_active)
    routes = _Routes(sessions, rules, claims, guard, cookies)
    finding = Depends(_finder(find_user, "find_user", "username"))
    loading = Depends(_finder(load_user, "load_user", "subject"))
    by_token = current_user.by_token  # a key must not log its owner out

    async def login(
        request: Request, response: Response, form: Annotated[LoginForm, Depends(read_login)], find: Any = finding
    ) -> TokenAnswer:
        """Exchange a user name and a password for tokens."""
        return await routes.login(request, response, form, find)

    async def refresh(request: Request, response: Response, token: RefreshTokenDep, load: Any = loading) -> TokenAnswer:
        """Exchange a refresh token for new tokens."""
        return await routes.refresh(request, response, token, load)

    async def logout(request: Request, response: Response, token: RefreshTokenDep) -> None:
        """End the session; also when it has ended already."""
        await routes.logout(request, response, token)

    async def logout_all(request: Request, response: Response, user: Annotated[Any, Depends(by_token)]) -> None:
        """End all sessions of the user who asks."""
        await routes.logout_all(request, response, user)

    router = APIRouter(prefix=prefix, tags=["auth"])
    for path, route, body in (("/login", login, LOGIN_BODY), ("/refresh", refresh, REFRESH_BODY)):
        router.add_api_route(path, route, methods=["POST"], openapi_extra={"requestBody": body}, **_TOKENS)
    extra = {"requestBody": REFRESH_BODY}
    router.add_api_route(
        "/logout", logout, methods=["POST"], status_code=204, openapi_extra=extra, responses=REFUSED_BODY
    )
    router.add_api_route("/logout-all", logout_all, methods=["POST"], status_code=204)
    return router


class _Routes:
    """What the routes do."""

    def __init__(
        self,
        sessions: LoginSessions,
        rules: LoginRules[Any],
        claims: Callable[[Any], Mapping[str, Any]] | None,
        guard: Guard | None,
        cookies: AuthCookies | None,
    ) -> None:
        self._sessions = sessions
        self._rules = rules
        self._claims = claims
        self._guard = guard
        self._cookies = cookies

    async def login(self, request: Request, response: Response, form: LoginForm, find: Any) -> TokenAnswer:
        self._check_origin(request)
        await self._wait(request, form.username)
        began_at = self._sessions.moment()  # before the hash is read: a password that is changed meanwhile is another
        user = await authenticate(await find(form.username), form.password, self._rules)
        if user is None:
            log_event("auth.failure", reason="login: wrong name or password, or a user who may not log in")
            raise _unauthorized("Wrong user name or password")
        issued = await self._sessions.start(
            self._rules.subject(user), data=self._data(user), scopes=form.scopes or None, began_at=began_at
        )
        if self._cookies is not None:  # the session that the browser had is not needed any more
            await self._sessions.end(self._cookies.refresh_token(request))
        return self._answer(request, response, issued)

    async def refresh(self, request: Request, response: Response, token: str | None, load: Any) -> TokenAnswer:
        token = self._token(request, token)

        async def claims_of(subject: str) -> Mapping[str, Any] | None:
            user = await load(subject)
            if user is None or user is False:
                return None
            if self._rules.is_active is not None and self._rules.is_active(user) is not True:
                return None
            return self._data(user)

        try:
            issued = await self._sessions.refresh(token, claims_of=claims_of)
        except TokenError:
            raise _unauthorized("The session has ended") from None
        return self._answer(request, response, issued)

    async def logout(self, request: Request, response: Response, token: str | None) -> None:
        await self._sessions.end(self._token(request, token))
        if self._cookies is not None:
            if access := self._cookies.access_token(request):  # where the refresh cookie did not come along
                await self._sessions.end_by_access_token(access)
            self._cookies.clear(request, response)

    async def logout_all(self, request: Request, response: Response, user: Any) -> None:
        await self._sessions.end_all(self._rules.subject(user))
        if self._cookies is not None:
            self._cookies.clear(request, response)

    def _data(self, user: Any) -> Mapping[str, Any]:
        return {} if self._claims is None else self._claims(user)

    async def _wait(self, request: Request, username: str) -> None:
        if self._guard is None:
            return
        answer = self._guard(username, request.client.host if request.client else None)
        delay = await answer if inspect.isawaitable(answer) else answer
        if delay is None:
            return
        if not isinstance(delay, timedelta):
            raise TypeError(f"guard must give a timedelta or None; it gave {type(delay).__name__}")
        log_event("auth.failure", reason="login: too many attempts")
        seconds = max(int(delay.total_seconds()), 1)
        raise HTTPException(429, "Too many attempts. Try again later.", headers={"Retry-After": str(seconds)})

    def _check_origin(self, request: Request) -> None:
        if self._cookies is None:
            return
        try:
            self._cookies.csrf.check_origin(request)
        except CrossSiteError as error:
            log_event("auth.failure", reason=f"cross_site: {error}")
            raise HTTPException(403, "Cross-site request refused") from None

    def _token(self, request: Request, token: str | None) -> str | None:
        self._check_origin(request)
        if token is None and self._cookies is None:  # a misspelled name must not read like a logout that was done
            raise missing("refresh_token")
        return token if token is not None or self._cookies is None else self._cookies.refresh_token(request)

    def _answer(self, request: Request, response: Response, issued: IssuedTokens) -> TokenAnswer:
        response.headers["Cache-Control"] = "no-store"
        if self._cookies is None:
            return TokenAnswer(
                access_token=issued.access_token,
                refresh_token=issued.refresh_token,
                expires_in=issued.expires_in_s,
                scope=issued.scope,
            )
        self._cookies.set(
            request,
            response,
            access=issued.access_token,
            refresh=issued.refresh_token,
            sid=issued.sid,
            max_age_s=int(self._sessions.policy.idle.total_seconds()),
        )
        return TokenAnswer(expires_in=issued.expires_in_s, scope=issued.scope)


def _check(sessions: object, rules: object, cookies: object, current_user: object) -> None:
    wanted: list[tuple[str, object, type | tuple[type, ...], str]] = [
        ("sessions", sessions, LoginSessions, "LoginSessions(store, tokens=tokens)"),
        ("rules", rules, LoginRules, "LoginRules(passwords=PasswordHasher())"),
        ("current_user", current_user, CurrentUserDependency, "what make_current_user(...) gave"),
        ("cookies", cookies, (AuthCookies, type(None)), "AuthCookies(csrf=...)"),
    ]
    for name, value, kinds, example in wanted:
        if not isinstance(value, kinds):
            raise ConfigurationError(f"{name} must be {example}; got {type(value).__name__}")
    if isinstance(current_user, CurrentUserDependency) and not current_user.asks_for_revocation:
        _log.warning("a logout ends no access token: pass revoked=sessions.revoked to make_current_user")


def _unauthorized(detail: str) -> HTTPException:
    return HTTPException(401, detail, headers={"WWW-Authenticate": "Bearer"})


def _finder(find: Callable[..., Any], called: str, first: str) -> Callable[..., Any]:
    """Make a dependency of a function whose first parameter is filled later."""
    loader = read_loader(find, called, first)
    if loader.takes_claims:
        raise ConfigurationError(f"{called} receives the {first} as text here, and not the claims of a token")
    parameters = loader.parameters

    async def ready(**values: Any) -> Callable[[str], Any]:
        async def call(key: str) -> Any:
            if is_async_callable(find):
                return await find(key, **values)
            found = await run_in_threadpool(find, key, **values)
            return await found if inspect.isawaitable(found) else found

        return call

    ready.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return ready
