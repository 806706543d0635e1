"""The current user as a FastAPI dependency, over the tokens of `fastapi_patterns.security`.

Needs the extra `security`.
"""

from fastapi_patterns.auth._authenticate import TokenDecoder
from fastapi_patterns.auth.csrf import CrossSiteError, CsrfProtection
from fastapi_patterns.auth.current_user import CurrentUserDependency, make_current_user
from fastapi_patterns.auth.failures import Failure, Failures
from fastapi_patterns.auth.sources import (
    BasicCredentials,
    Source,
    api_key_header,
    authorization_token,
    basic_credentials,
    bearer_token,
    cookie_token,
    header_token,
    query_token,
)

__all__ = [
    "BasicCredentials",
    "CrossSiteError",
    "CsrfProtection",
    "CurrentUserDependency",
    "Failure",
    "Failures",
    "Source",
    "TokenDecoder",
    "api_key_header",
    "authorization_token",
    "basic_credentials",
    "bearer_token",
    "cookie_token",
    "header_token",
    "make_current_user",
    "query_token",
]
