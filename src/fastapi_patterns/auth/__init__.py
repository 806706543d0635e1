"""The current user, login sessions and login routes in FastAPI, over the tokens of `fastapi_patterns.security`.

Needs the extra `security`; the store in a database, in `fastapi_patterns.auth.stores`, needs `db`.
"""

from fastapi_patterns.auth._authenticate import TokenDecoder
from fastapi_patterns.auth.cookies import AuthCookies
from fastapi_patterns.auth.csrf import CrossSiteError, CsrfProtection
from fastapi_patterns.auth.current_user import CurrentUserDependency, make_current_user
from fastapi_patterns.auth.failures import Failure, Failures
from fastapi_patterns.auth.jwks import make_jwks_router
from fastapi_patterns.auth.jwks_keys import JWKSKeys, KeysUnavailableError
from fastapi_patterns.auth.login import LoginRules, authenticate
from fastapi_patterns.auth.router import TokenAnswer, make_auth_router
from fastapi_patterns.auth.sessions import IssuedTokens, LoginSessions
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
from fastapi_patterns.auth.stores import InMemoryTokenStore, TokenStore

__all__ = [
    "AuthCookies",
    "BasicCredentials",
    "CrossSiteError",
    "CsrfProtection",
    "CurrentUserDependency",
    "Failure",
    "Failures",
    "InMemoryTokenStore",
    "IssuedTokens",
    "JWKSKeys",
    "KeysUnavailableError",
    "LoginRules",
    "LoginSessions",
    "Source",
    "TokenAnswer",
    "TokenDecoder",
    "TokenStore",
    "api_key_header",
    "authenticate",
    "authorization_token",
    "basic_credentials",
    "bearer_token",
    "cookie_token",
    "header_token",
    "make_auth_router",
    "make_current_user",
    "make_jwks_router",
    "query_token",
]
