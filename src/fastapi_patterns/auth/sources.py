"""Where a credential comes from: headers, cookies and, for websockets, the query. Each shows up in OpenAPI.

Reading is strict: what is there and is no credential is refused, and never falls through to the next source.
"""

import base64
import binascii
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from fastapi.openapi.models import APIKey, APIKeyIn, HTTPBase, OAuth2, OAuthFlowPassword, OAuthFlows
from starlette.requests import HTTPConnection

from fastapi_patterns.auth.csrf import CsrfProtection
from fastapi_patterns.exceptions import ConfigurationError, PatternsError

__all__ = [
    "BasicCredentials",
    "MalformedCredentialError",
    "Source",
    "TwoCredentialsError",
    "api_key_header",
    "authorization_token",
    "basic_credentials",
    "bearer_token",
    "cookie_token",
    "header_token",
    "query_token",
    "read_cookie",
    "read_first",
]

# What a header or cookie name may be (RFC 9110 section 5.6.2).
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# What a token, a key or base64 may be of: visible ASCII.
_VISIBLE = re.compile(r"[!-~]+")
# Longer than any token that is accepted.
_MAX_CHARS = 16_384


class MalformedCredentialError(PatternsError):
    """Something was sent as a credential that cannot be one."""


class TwoCredentialsError(MalformedCredentialError):
    """A request carries two credentials, which may contradict each other."""


@dataclass(frozen=True, slots=True)
class BasicCredentials:
    """A user name and a password, as HTTP Basic sends them (RFC 7617)."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"BasicCredentials(username={self.username!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One place that a credential may come from; the functions of this module make them.

    Attributes:
        name: What OpenAPI calls the scheme.
        model: How OpenAPI describes it.
        challenge: The scheme that `WWW-Authenticate` names.
        place: Where it is.
        read: Gives what was sent, or None. Raises `MalformedCredentialError`.
        load_user: Loads the user of a credential that is no token; None for tokens.
        csrf: What checks a request with a cookie.
    """

    name: str
    model: Any
    challenge: str = "Bearer"
    place: Literal["header", "cookie", "query"] = "header"
    read: Callable[[HTTPConnection], Any]
    load_user: Callable[..., Any] | None = None
    csrf: CsrfProtection | None = None


def bearer_token(token_url: str | None = None, *, scopes: dict[str, str] | None = None) -> Source:
    """`Authorization: Bearer <token>`, read as RFC 6750 section 2.1 wants it.

    Args:
        token_url: The login route, for the docs page's Authorize button; a relative URL works behind any prefix.
            Without it the page asks for a token.
        scopes: Scope names and what they allow, for the docs page.
    """
    model: Any = HTTPBase(scheme="bearer")
    if token_url is not None:
        model = OAuth2(flows=OAuthFlows(password=OAuthFlowPassword(tokenUrl=token_url, scopes=scopes or {})))
    read = _authorization("bearer")

    def read_bearer(connection: HTTPConnection) -> str | None:
        token = read(connection)
        if token is not None and _has_query_token(connection.scope["query_string"]):
            raise TwoCredentialsError("a token in the header and another in the query")
        return token

    return Source(name="BearerToken", model=model, read=read_bearer)


def authorization_token(word: str) -> Source:
    """`Authorization: <word> <token>`, for another word than Bearer, such as `Token`."""
    name = f"{_checked_name(word)}Authorization"
    return Source(name=name, model=HTTPBase(scheme=word.lower()), challenge=word, read=_authorization(word.lower()))


def header_token(name: str) -> Source:
    """A token in a header of its own, such as `X-Access-Token`."""
    key = _api_key(APIKeyIn.header, _checked_name(name))
    return Source(name=f"{name} header", model=key, read=_header(name))


def cookie_token(name: str, *, csrf: CsrfProtection) -> Source:
    """A token in a cookie; a request with an Authorization header is not authenticated by it.

    Args:
        name: The cookie's name.
        csrf: A browser sends cookies along from any site; this checks where a request comes from.
    """
    if not isinstance(csrf, CsrfProtection):
        raise ConfigurationError("a cookie needs csrf=CsrfProtection(...): browsers send it along from any site")
    key = _api_key(APIKeyIn.cookie, _checked_name(name))
    return Source(name=f"{name} cookie", model=key, place="cookie", read=partial(read_cookie, name=name), csrf=csrf)


def query_token(name: str = "access_token", *, http: bool = False) -> Source:
    """A token in the query of a websocket's URL, where a browser can set no header.

    Args:
        name: The parameter.
        http: Read it of HTTP requests too. URLs end in logs, histories and Referer headers (RFC 6750 section 5.3).
    """
    key = _api_key(APIKeyIn.query, name)
    return Source(name=f"{name} query", model=key, place="query", read=_query(name, http=http))


def basic_credentials(load_user: Callable[..., Any]) -> Source:
    """`Authorization: Basic`: user name and password with each request.

    Args:
        load_user: Finds the user; its first parameter receives `BasicCredentials`, the others are dependencies. It
            must verify the password.
    """
    read = _authorization("basic", _MAX_CHARS)

    def read_basic(connection: HTTPConnection) -> BasicCredentials | None:
        text = read(connection)
        return None if text is None else _basic(text)

    return Source(
        name="HTTPBasic", model=HTTPBase(scheme="basic"), challenge="Basic", read=read_basic, load_user=load_user
    )


def api_key_header(name: str, load_user: Callable[..., Any]) -> Source:
    """A key of a client in a header, such as `X-API-Key`.

    Args:
        name: The header.
        load_user: Finds whom the key belongs to; its first parameter receives the text, the others are dependencies.
    """
    key = _api_key(APIKeyIn.header, _checked_name(name))
    return Source(name=f"{name} header", model=key, challenge="ApiKey", read=_header(name), load_user=load_user)


def read_first(sources: Sequence[Source], connection: HTTPConnection) -> tuple[Source, Any] | None:
    """Find the credential of a request.

    Args:
        sources: Where to look; those of cookies are the last.
        connection: The request.

    Raises:
        MalformedCredentialError: A source holds what is no credential.
        TwoCredentialsError: Two hold one (RFC 6750 section 2); cookies come along by themselves and do not count.
    """
    found: tuple[Source, Any] | None = None
    for source in sources:
        # Whatever the header says.
        if source.place == "cookie" and (found is not None or "authorization" in connection.headers):
            continue
        credential = source.read(connection)
        if credential is None:
            continue
        if found is not None:
            raise TwoCredentialsError("two credentials were sent")
        found = (source, credential)
    return found


def _api_key(place: APIKeyIn, name: str) -> APIKey:
    return APIKey.model_validate({"in": place, "name": name})


def _has_query_token(query: bytes) -> bool:
    return b"access_token=" in query and any(pair.startswith(b"access_token=") for pair in query.split(b"&"))


def _authorization(word: str, max_chars: int = _MAX_CHARS) -> Callable[[HTTPConnection], str | None]:
    wanted = word.encode()

    def read(connection: HTTPConnection) -> str | None:
        # The raw list: Starlette's Headers would decode each header for a look at one.
        found = [value for name, value in connection.scope["headers"] if name == b"authorization"]
        if not found:
            return None
        if len(found) > 1:
            raise MalformedCredentialError("two Authorization headers")
        scheme, _, token = found[0].partition(b" ")
        # The scheme is case-insensitive (RFC 9110 section 11.1).
        if scheme.lower() != wanted:
            return None
        return _checked_text(token.decode("latin-1"), max_chars)

    return read


def _header(name: str) -> Callable[[HTTPConnection], str | None]:
    wanted = name.lower().encode()

    def read(connection: HTTPConnection) -> str | None:
        found = [value for header, value in connection.scope["headers"] if header == wanted]
        if not found:
            return None
        if len(found) > 1:
            raise MalformedCredentialError(f"two {name} headers")
        return _checked_text(found[0].decode("latin-1"), _MAX_CHARS)

    return read


def read_cookie(connection: HTTPConnection, name: str) -> str | None:
    """Read a cookie.

    Raises:
        MalformedCredentialError: There are two of that name, or it holds what no token does.
    """
    values = []
    for line in connection.headers.getlist("cookie"):
        for pair in line.split(";"):
            # No other blanks: to a browser a name behind one of those has no prefix, and any subdomain may set it.
            key, equals, value = pair.strip(" \t").partition("=")
            if equals and key == name:
                values.append(value.strip(" \t").removeprefix('"').removesuffix('"'))
    if not values:
        return None
    if len(values) > 1:
        # Set for another path or by another subdomain: which one is the application's own, nobody can tell.
        raise MalformedCredentialError(f"two cookies {name}")
    return _checked_text(values[0], _MAX_CHARS)


def _query(name: str, *, http: bool) -> Callable[[HTTPConnection], str | None]:
    def read(connection: HTTPConnection) -> str | None:
        if connection.scope["type"] != "websocket" and not http:
            return None
        values = connection.query_params.getlist(name)
        if not values:
            return None
        if len(values) > 1:
            raise MalformedCredentialError(f"two parameters {name}")
        return _checked_text(values[0], _MAX_CHARS)

    return read


def _checked_text(token: str, max_chars: int) -> str:
    if len(token) > max_chars or not _VISIBLE.fullmatch(token):
        raise MalformedCredentialError("empty, too long, or with characters that no token has")
    return token


def _basic(text: str) -> BasicCredentials:
    try:
        decoded = base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        raise MalformedCredentialError("not base64 of UTF-8 text") from None
    username, colon, password = decoded.partition(":")
    if not colon or any(char < " " or char == "\x7f" for char in decoded):
        raise MalformedCredentialError("not a user name and a password")
    return BasicCredentials(username, password)


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ConfigurationError(f"not a name that a header or cookie can have: {name!r}")
    return name
