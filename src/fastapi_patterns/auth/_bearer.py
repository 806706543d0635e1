"""Where the token comes from: the Authorization header, read strictly and shown in OpenAPI."""

import logging

from fastapi import HTTPException
from fastapi.openapi.models import OAuthFlowPassword, OAuthFlows
from fastapi.security import OAuth2
from starlette.requests import HTTPConnection

__all__ = ["BearerToken", "unauthorized"]

_log = logging.getLogger("fastapi_patterns.auth")


def unauthorized(reason: str | None = None) -> HTTPException:
    """Build the 401 of RFC 6750 section 3: `error` only when a credential was sent, and one text for all of them.

    Args:
        reason: Why the credential was refused, for the log alone; None when there was no credential.
    """
    if reason is None:
        return HTTPException(401, "Not authenticated", headers={"WWW-Authenticate": "Bearer"})
    _log.info("authentication failed: %s", reason)
    return HTTPException(
        401, "Could not validate credentials", headers={"WWW-Authenticate": 'Bearer error="invalid_token"'}
    )


class BearerToken(OAuth2):
    """Reads `Authorization: Bearer <token>`; in OpenAPI it is the password flow, so that Authorize works.

    Args:
        token_url: Where a password is exchanged for a token; a relative URL works behind any prefix.
        scopes: Scope names and what they allow, for the docs page.
    """

    def __init__(self, token_url: str, scopes: dict[str, str] | None) -> None:
        flow = OAuthFlowPassword(tokenUrl=token_url, scopes=scopes or {})
        super().__init__(flows=OAuthFlows(password=flow), scheme_name="BearerToken", auto_error=False)

    async def __call__(self, connection: HTTPConnection) -> str | None:
        """Return the token, or None when no bearer credential was sent.

        Raises:
            HTTPException: 401 for two headers, or anything but one token after the scheme's word.

        Source: RFC 6750 section 2.1; the scheme is case-insensitive (RFC 9110 section 11.1).
        """
        found = connection.headers.getlist("authorization")
        if not found:
            return None
        if len(found) > 1:
            raise unauthorized("two Authorization headers")
        scheme, _, token = found[0].partition(" ")
        if scheme.lower() != "bearer":
            return None
        if not token or not token.isascii() or any(char <= " " for char in token):
            raise unauthorized("malformed Authorization header")
        return token
