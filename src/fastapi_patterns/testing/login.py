"""`login_as` and `auth_headers`: real tokens from the application's own codec, found by way of its routes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NoReturn
from uuid import UUID

import pytest
from fastapi import FastAPI
from fastapi.openapi.models import APIKey, APIKeyIn

from fastapi_patterns._clock import seconds
from fastapi_patterns._routes import endpoints, tree
from fastapi_patterns.auth import CurrentUserDependency, JWKSKeys, Source
from fastapi_patterns.auth._authenticate import session_of
from fastapi_patterns.auth._base import Base
from fastapi_patterns.security import Claims, TokenError
from fastapi_patterns.testing._listening import HOST

__all__ = ["Login", "LoginAs"]

Subject = int | str | UUID


class Login:
    """Somebody who is logged in: until the end of the test, or of the `with` block.

    Attributes:
        headers: What the clients send; empty in the mode `override`.
    """

    def __init__(self, headers: dict[str, str], put_back: Callable[[], None], open_logins: list["Login"]) -> None:
        self.headers = headers
        self._put_back = put_back
        self._open = open_logins
        open_logins.append(self)

    def __enter__(self) -> "Login":
        return self

    def __exit__(self, *_: object) -> None:
        self.log_out()

    def log_out(self) -> None:
        """Put everything back as it was before the login, later logins included; a second time does nothing."""
        while self in self._open:
            self._open.pop()._put_back()


class LoginAs:
    """Logs users in for one test; the fixture `login_as` is one.

    Args:
        app: The application.
        clients: The clients of the test.
    """

    def __init__(self, app: FastAPI, clients: Sequence[Any]) -> None:
        self._app = app
        self._clients = clients
        self._open: list[Login] = []

    def __call__(
        self,
        user: Any,
        *,
        scopes: Iterable[str] = (),
        claims: Mapping[str, Any] | None = None,
        subject: Subject | None = None,
        current_user: CurrentUserDependency[Any] | None = None,
        tokens: Any = None,
        mode: Literal["token", "override"] = "token",
    ) -> Login:
        """Log a user in: `login_as(ada)`, or `with login_as(ada): ...`.

        Args:
            user: The user, or the id alone. A token's subject is the id: `user.id`, or `user["id"]`.
            scopes: What the token allows.
            claims: More claims of the token.
            subject: The token's subject where it is not the id.
            current_user: What `make_current_user` returned, when the application has several.
            tokens: The codec that makes the token, when the application's own only checks tokens.
            mode: `"token"` sends a real token. `"override"` overrides `get_current_user.base` with the user as it is,
                which then has every scope; nothing is loaded or checked but `.requiring(...)`.
        """
        if mode not in ("token", "override"):
            _fail(f"login_as has the modes 'token' and 'override'; got {mode!r}")
        if mode == "override":
            if scopes or claims:
                _fail("login_as(mode='override') makes no token: it takes neither scopes nor claims")
            return Login({}, self._override(user, current_user), self._open)
        if not self._clients:
            _fail(
                "login_as needs the client of the test: add the fixture client, async_client or uvicorn_client to it. "
                "A client of your own takes headers=auth_headers(user)"
            )
        made = self.headers(
            user, scopes=scopes, claims=claims, subject=subject, current_user=current_user, tokens=tokens
        )
        return Login(made, _sent_by(self._clients, made), self._open)

    def headers(
        self,
        user: Any,
        *,
        scopes: Iterable[str] = (),
        claims: Mapping[str, Any] | None = None,
        subject: Subject | None = None,
        current_user: CurrentUserDependency[Any] | None = None,
        tokens: Any = None,
    ) -> dict[str, str]:
        """Make the headers of a user's request; the fixture `auth_headers`, with the arguments of `login_as`."""
        authenticator = self._base(current_user)._authenticator
        codec: Any = authenticator.tokens if tokens is None else tokens
        if not callable(getattr(codec, "encode", None)):
            _fail(f"{type(codec).__name__} makes no tokens: name a codec that does, tokens=..., or use mode='override'")
        if isinstance(codec, JWKSKeys):  # the issuer's private key is the issuer's
            codec, end = codec._for_tests()
            Login({}, end, self._open)  # when the test ends
        config = getattr(codec, "config", None)
        name = config.subject_claims[0] if config is not None else "sub"
        data = {name: _subject_of(user) if subject is None else subject, "auth_time": int(_seconds(codec))}
        if granted := " ".join([scopes] if isinstance(scopes, str) else scopes):
            data["scope"] = granted
        token = codec.encode({**data, **(claims or {})})
        try:
            verified = authenticator.tokens.decode(token)
        except TokenError as error:
            _fail(f"the application refuses the token that was made for the test: {error}. Add what is missing: claims")
        return _carried(authenticator.sources, token, verified)

    def close(self) -> None:
        """Log everybody out, the last one first."""
        while self._open:
            self._open[-1].log_out()

    def _override(self, user: Any, current_user: CurrentUserDependency[Any] | None) -> Callable[[], None]:
        base = self._base(current_user)
        apps = [app for app, found in self._found() if found is base] or [self._app]
        changed = [(app.dependency_overrides, dict(app.dependency_overrides)) for app in apps]

        def undo() -> None:
            for overrides, before in changed:
                overrides.clear()
                overrides.update(before)

        for overrides, _ in changed:
            overrides[base] = lambda: user
        return undo

    def _base(self, current_user: CurrentUserDependency[Any] | None) -> Base:
        if current_user is not None:
            if not isinstance(current_user, CurrentUserDependency):
                _fail("current_user must be what make_current_user returned")
            return current_user.base  # type: ignore[return-value]  # declared as what FastAPI sees
        found = {id(base): base for _, base in self._found()}
        if not found:
            _fail("no route of the application depends on a current user; name one: current_user=get_current_user")
        if len(found) > 1:
            loaders = ", ".join(sorted(_name(base._authenticator.loader.load) for base in found.values()))
            _fail(
                f"the application has {len(found)} current users, with the loaders {loaders}; "
                "name the one that you mean: current_user=get_current_user"
            )
        return next(iter(found.values()))

    def _found(self) -> list[tuple[Any, Base]]:
        return [
            (endpoint.app, call)
            for endpoint in endpoints(self._app)
            for call in tree(endpoint.dependant)
            if isinstance(call, Base)
        ]


def _carried(sources: Sequence[Source], token: str, claims: Claims) -> dict[str, str]:
    """Write a token where the application reads it first: into a header, or a cookie where there is no header."""
    carrying = [source for source in sources if source.load_user is None and source.place != "query"]
    if not carrying:
        _fail("the application reads tokens from no header or cookie; log in with mode='override'")
    source = min(carrying, key=lambda source: source.place != "header")
    if not isinstance(source.model, APIKey):
        return {"Authorization": f"{source.challenge} {token}"}
    if source.model.in_ is APIKeyIn.header:
        return {source.model.name: token}
    headers = {"Cookie": f"{source.model.name}={token}"}
    if source.csrf is not None:
        headers["Origin"] = min(source.csrf.allow_origins)
        headers[source.csrf.header_name] = source.csrf.token(session_of(claims))
    return headers


def _sent_by(clients: Sequence[Any], headers: Mapping[str, str]) -> Callable[[], None]:
    """Make the clients send headers with each request; returns what puts them back."""
    undo = [_send(client, headers) for client in clients]

    def put_back() -> None:
        for each in undo:
            each()

    return put_back


def _send(client: Any, headers: Mapping[str, str]) -> Callable[[], None]:
    before, base_url, cookies = client.headers.copy(), client.base_url, list(client.cookies.jar)
    for name, value in headers.items():
        if name == "Cookie":
            # In the jar, beside the cookies that the application sets; those are Secure, and need https to come back.
            key, _, text = value.partition("=")
            client.cookies.set(key, text)
            # A client of a real server speaks http, and sends them all the same.
            client.base_url = base_url if base_url.host == HOST else base_url.copy_with(scheme="https")
        else:
            client.headers[name] = value

    def undo() -> None:
        client.headers, client.base_url = before, base_url
        if "Cookie" in headers:
            client.cookies.clear()
            for cookie in cookies:
                client.cookies.jar.set_cookie(cookie)

    return undo


def _subject_of(user: Any) -> Subject:
    if isinstance(user, (int, str, UUID)) and not isinstance(user, bool):
        return user
    found = user.get("id") if isinstance(user, Mapping) else getattr(user, "id", None)
    if found is None:
        _fail(
            f"{type(user).__name__} has no id to be a token's subject; flush it to the database first, "
            "or say what the subject is: subject=user.email"
        )
    return found if isinstance(found, (int, str, UUID)) else str(found)


def _seconds(codec: Any) -> float:
    """Tell the time as the codec's own clock does: tests inject one."""
    now: Any = getattr(codec, "_now", None)
    return seconds() if now is None else float(now().timestamp())


def _name(function: Any) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__)).rpartition("<locals>.")[2]


def _fail(message: str) -> NoReturn:
    __tracebackhide__ = True
    pytest.fail(message, pytrace=False)
