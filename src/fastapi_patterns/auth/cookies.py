"""Tokens in cookies, for applications that run in a browser: which cookies, with which attributes."""

from dataclasses import dataclass
from typing import Literal

from starlette.requests import HTTPConnection
from starlette.responses import Response

from fastapi_patterns.auth.csrf import CsrfProtection
from fastapi_patterns.auth.sources import MalformedCredentialError, Source, cookie_token, read_cookie
from fastapi_patterns.exceptions import ConfigurationError

__all__ = ["AuthCookies"]

SameSite = Literal["lax", "strict"]

_LOOPBACK = ("127.0.0.1", "::1")
_PROXY_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "via")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthCookies:
    """Where the login routes put tokens when they answer a browser.

    The access cookie is `__Host-`: Secure, for the whole host and no other, and not to be set by a subdomain. The
    refresh cookie goes to the login routes alone. Scripts read neither. The third is readable: the CSRF token, which
    the application's own scripts send back in a header.

    Args:
        csrf: Checks where requests with these cookies come from.
        name: What follows the prefixes in the cookies' names.
        refresh_path: The prefix of the login routes as the browser sees it, a `root_path` included.
        same_site: Of the access cookie; `lax` lets links from elsewhere arrive logged in.
        insecure_on_loopback: For development without TLS: no prefixes and no `Secure` when the request is for
            `localhost` or a loopback address and came through no proxy; any other gets the real ones. Never in
            production: a proxy may say nothing of itself.

    Raises:
        ConfigurationError: A value is missing or wrong.

    Source: RFC 6265bis section 4.1.3; the attributes are those of ASVS 5.0 3.3.
    """

    csrf: CsrfProtection
    name: str = "session"
    refresh_path: str = "/auth"
    same_site: SameSite = "lax"
    insecure_on_loopback: bool = False

    def __post_init__(self) -> None:
        if not self.refresh_path.startswith("/") or any(char in self.refresh_path for char in ";, "):
            raise ConfigurationError(f"refresh_path must be a path such as /auth; got {self.refresh_path!r}")
        if self.same_site not in ("lax", "strict"):
            raise ConfigurationError(f"same_site must be 'lax' or 'strict'; got {self.same_site!r}")
        self.source()  # checks the rest

    def source(self) -> Source:
        """Give the source for `make_current_user(sources=[bearer_token(...), cookies.source()])`."""
        secure = cookie_token(f"__Host-{self.name}", csrf=self.csrf)
        if not self.insecure_on_loopback:
            return secure

        def read(connection: HTTPConnection) -> str | None:
            return read_cookie(connection, self._access_name(connection))

        return Source(name=secure.name, model=secure.model, place="cookie", read=read, csrf=self.csrf)

    def refresh_token(self, connection: HTTPConnection) -> str | None:
        """Read the refresh token; None when there is no such cookie, or two of them."""
        try:
            return read_cookie(connection, self._refresh_name(connection))
        except MalformedCredentialError:
            return None

    def access_token(self, connection: HTTPConnection) -> str | None:
        """Read the access token; None when there is no such cookie, or two of them."""
        try:
            return read_cookie(connection, self._access_name(connection))
        except MalformedCredentialError:
            return None

    def set(
        self, connection: HTTPConnection, response: Response, *, access: str, refresh: str, sid: str, max_age_s: int
    ) -> None:
        """Put tokens into an answer.

        Args:
            connection: The request.
            response: Its answer.
            access: The access token.
            refresh: The refresh token.
            sid: The session, which the CSRF token is bound to.
            max_age_s: How long the session may go on unused; the browser keeps the cookies that long. An access
                token in its cookie ends by itself.
        """
        secure = not self._is_insecure(connection)
        token = self.csrf.token(sid)
        made: list[tuple[str, str, str, SameSite, bool]] = [
            (self._access_name(connection), access, "/", self.same_site, True),
            (self._refresh_name(connection), refresh, self.refresh_path, "strict", True),
            (self.csrf.cookie_name, token, "/", self.same_site, False),
        ]
        for name, value, path, same_site, http_only in made:
            response.set_cookie(
                name, value, max_age=max_age_s, path=path, secure=secure, httponly=http_only, samesite=same_site
            )

    def clear(self, connection: HTTPConnection, response: Response) -> None:
        """Take all three away."""
        secure = not self._is_insecure(connection)
        for name, path in (
            (self._access_name(connection), "/"),
            (self._refresh_name(connection), self.refresh_path),
            (self.csrf.cookie_name, "/"),
        ):
            response.delete_cookie(name, path=path, secure=secure, httponly=True, samesite="strict")

    def _access_name(self, connection: HTTPConnection) -> str:
        return self.name if self._is_insecure(connection) else f"__Host-{self.name}"

    def _refresh_name(self, connection: HTTPConnection) -> str:
        return f"{self.name}_refresh" if self._is_insecure(connection) else f"__Secure-{self.name}_refresh"

    def _is_insecure(self, connection: HTTPConnection) -> bool:
        if not self.insecure_on_loopback or connection.url.scheme in ("https", "wss"):
            return False
        if any(name in connection.headers for name in _PROXY_HEADERS):  # whose own `Host` a client never saw
            return False
        peer = connection.client.host if connection.client else ""
        return peer in _LOOPBACK and connection.url.hostname in ("localhost", *_LOOPBACK)
