"""Tokens and passwords: pure functions and objects, no FastAPI, no I/O, the clock injected.

Needs the extra `security` (python-jose, passlib, argon2-cffi, bcrypt).

The usual copies import `hash_password`, `verify_password`, `create_access_token` and `decode_token`: they are
here under the same names, over default objects that are made on first use from the environment.
"""

from fastapi_patterns._optional import require

require("jose", "passlib", "argon2", "bcrypt", extra="security", room="fastapi_patterns.security")

from fastapi_patterns.security.claims import Claims, ExpiredClaims  # noqa: E402 (the check above comes first)
from fastapi_patterns.security.errors import (  # noqa: E402
    PasswordError,
    TokenClaimsError,
    TokenError,
    TokenExpiredError,
    TokenMalformedError,
    TokenSignatureError,
)
from fastapi_patterns.security.hashers import GuardedHasher, Hasher  # noqa: E402
from fastapi_patterns.security.issuers import TokensByIssuer  # noqa: E402
from fastapi_patterns.security.key_sets import KeySet  # noqa: E402
from fastapi_patterns.security.keys import Key  # noqa: E402
from fastapi_patterns.security.legacy_tokens import InsecureLegacyTokens  # noqa: E402
from fastapi_patterns.security.one_time import OneTimeTokens  # noqa: E402
from fastapi_patterns.security.password_params import Argon2Params, BcryptParams  # noqa: E402
from fastapi_patterns.security.password_policy import PasswordPolicy  # noqa: E402
from fastapi_patterns.security.passwords import PasswordHasher, hash_password, verify_password  # noqa: E402
from fastapi_patterns.security.refresh import RefreshPolicy, RefreshReuseError, RefreshSession  # noqa: E402
from fastapi_patterns.security.token_config import TokenConfig  # noqa: E402
from fastapi_patterns.security.tokens import TokenCodec, create_access_token, decode_token  # noqa: E402

__all__ = [
    "Argon2Params",
    "BcryptParams",
    "Claims",
    "ExpiredClaims",
    "GuardedHasher",
    "Hasher",
    "InsecureLegacyTokens",
    "Key",
    "KeySet",
    "OneTimeTokens",
    "PasswordError",
    "PasswordHasher",
    "PasswordPolicy",
    "RefreshPolicy",
    "RefreshReuseError",
    "RefreshSession",
    "TokenClaimsError",
    "TokenCodec",
    "TokenConfig",
    "TokenError",
    "TokenExpiredError",
    "TokenMalformedError",
    "TokenSignatureError",
    "TokensByIssuer",
    "create_access_token",
    "decode_token",
    "hash_password",
    "verify_password",
]
