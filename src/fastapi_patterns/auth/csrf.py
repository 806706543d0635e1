"""Requests that a browser makes with cookies: only from the application's own pages (CWE-352).

Two walls: the `Origin` header must be in a list, and unsafe requests carry a token that another site cannot know.
"""

import hmac
import secrets
from collections.abc import Sequence

from starlette.requests import HTTPConnection

from fastapi_patterns.exceptions import ConfigurationError, PatternsError
from fastapi_patterns.security import Key
from fastapi_patterns.security._derive import derive_key

__all__ = ["CrossSiteError", "CsrfProtection"]

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})


class CrossSiteError(PatternsError):
    """A cookie came along with a request from elsewhere."""


class CsrfProtection:
    """Checks origin and token of requests that are authenticated by a cookie, or that set one.

    The token is an HMAC over the session's id and random bytes: a readable cookie brings it to the application's own
    pages, whose script sends it back in a header. It is worthless with any other session.

    Args:
        secret_key: The application's secret; a key of its own is derived from it.
        allow_origins: The origins of the application's pages, its own included, such as `"https://app.example"`. They
            are compared exactly; `Host` is never believed, and `null` never allowed.
        cookie_name: The readable cookie.
        header_name: The header in which scripts send it back.

    Raises:
        ConfigurationError: The secret is weak, or an origin is none.
    """

    def __init__(
        self,
        secret_key: str | bytes,
        *,
        allow_origins: Sequence[str],
        cookie_name: str = "csrf_token",
        header_name: str = "X-CSRF-Token",
    ) -> None:
        self._key = derive_key(Key.from_secret(secret_key).secret, "csrf")
        if isinstance(allow_origins, str) or not allow_origins:
            raise ConfigurationError('allow_origins must be a list of origins, such as ["https://app.example"]')
        self.allow_origins = frozenset(map(_checked_origin, allow_origins))
        self.cookie_name = cookie_name
        self.header_name = header_name

    def token(self, session_id: str) -> str:
        """Make a token for a session."""
        chance = secrets.token_urlsafe(16)
        return f"{chance}.{self._mac(session_id, chance)}"

    def check_origin(self, connection: HTTPConnection) -> None:
        """Refuse an unsafe request, or a websocket's handshake, that does not come from one of the origins.

        Raises:
            CrossSiteError: `Origin` is missing, sent twice, or another one.
        """
        if not _is_unsafe(connection):
            return
        origins = connection.headers.getlist("origin")
        if len(origins) != 1 or origins[0] not in self.allow_origins:
            raise CrossSiteError("the Origin header is not one of the allowed origins")

    def check(self, connection: HTTPConnection, session_id: str) -> None:
        """Refuse what `check_origin` does, and an unsafe request without the session's token in the header.

        A websocket's handshake cannot carry the header; its origin is checked.

        Raises:
            CrossSiteError: It is refused.
        """
        self.check_origin(connection)
        if connection.scope["type"] == "websocket" or not _is_unsafe(connection):
            return
        chance, dot, mac = connection.headers.get(self.header_name, "").partition(".")
        if not dot or not hmac.compare_digest(mac.encode(), self._mac(session_id, chance).encode()):
            raise CrossSiteError("the CSRF token is not the session's")

    def _mac(self, session_id: str, chance: str) -> str:
        # Lengths keep the two apart: "a" and "bc" are not "ab" and "c".
        text = f"{len(session_id)}:{session_id}:{chance}"
        return hmac.digest(self._key, text.encode(), "sha256").hex()

    def __repr__(self) -> str:
        return f"CsrfProtection(allow_origins={sorted(self.allow_origins)!r})"


def _is_unsafe(connection: HTTPConnection) -> bool:
    return connection.scope["type"] == "websocket" or connection.scope["method"] not in _SAFE_METHODS


def _checked_origin(origin: object) -> str:
    text = str(origin).rstrip("/").lower()  # pydantic's URLs end in a slash, and browsers write small letters
    scheme, separator, host = text.partition("://")
    if scheme not in ("http", "https") or not separator or not host or any(char in host for char in "/*?#@ "):
        raise ConfigurationError("an origin is scheme://host[:port], such as https://app.example")
    if (scheme, host.rpartition(":")[2]) in (("https", "443"), ("http", "80")):
        raise ConfigurationError("an origin has no port where it is the scheme's own: no browser sends it")
    return text
