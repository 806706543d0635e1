"""Access tokens: a strict JWT codec over keys that are parsed once.

It reads the compact form itself and uses python-jose only to sign and verify: `jose.jwt.decode` accepts tokens
that RFC 8725 refuses. It never looks at a header to choose an algorithm or a key, opens no file and no socket.
"""

import json
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import _compact
from fastapi_patterns.security.claims import Claims, check_claims
from fastapi_patterns.security.errors import TokenMalformedError, TokenSignatureError
from fastapi_patterns.security.keys import MAKE_ONE, hmac_key

__all__ = ["TokenCodec", "TokenConfig", "create_access_token", "decode_token"]

# RFC 9068 section 2.1: the explicit type keeps an access token from being taken for another kind (RFC 8725 3.11).
_TYP = "at+jwt"
# Tokens of an application's older code carry `JWT` or no type at all; any other type is another kind of token.
_ACCEPTED_TYP = re.compile(r"(application/)?(at\+jwt|jwt)", re.IGNORECASE)
# Beyond it a date may not fit into `datetime`.
_LONGEST = timedelta(days=365_000)
# Extensions change what a signature means; none is supported, so each is refused (RFC 7515 4.1.11, RFC 7797 7).
_REFUSED_HEADERS = ("crit", "b64", "zip", "enc")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenConfig:
    """How tokens are signed and what is accepted.

    Args:
        secret_key: The HMAC secret, at least as long as the hash: 32 bytes for HS256. There is no default.
        algorithm: `HS256`, `HS384` or `HS512`; a token that names another one is refused.
        expires_delta: How long an access token lives when the call does not say; 15 minutes, since a stateless
            token cannot be taken back before it ends.
        issuer: Written as `iss` and required in every token.
        audience: Written as `aud` and required in every token. Without it a token that names an audience is
            refused, because it was meant for somebody else (RFC 7519 section 4.1.3).
        leeway: Clock difference that is forgiven for `exp`, `nbf` and `iat`.
        max_bytes: Longer tokens are refused before any work is done on them.

    Raises:
        ConfigurationError: A value is missing, weak or out of range.
    """

    secret_key: str | bytes = field(repr=False)
    algorithm: str = "HS256"
    expires_delta: timedelta = timedelta(minutes=15)
    issuer: str | None = None
    audience: str | None = None
    leeway: timedelta = timedelta(0)
    max_bytes: int = 8192

    def __post_init__(self) -> None:
        hmac_key(self.secret_key, self.algorithm)
        for name, value in (("expires_delta", self.expires_delta), ("leeway", self.leeway)):
            if not isinstance(value, timedelta):
                raise ConfigurationError(
                    f"{name} must be a timedelta, such as timedelta(minutes=15); got {type(value).__name__}"
                )
        if not timedelta(0) < self.expires_delta <= _LONGEST:
            raise ConfigurationError(
                f"expires_delta must be positive and at most 1,000 years; got {self.expires_delta}"
            )
        if not timedelta(0) <= self.leeway <= timedelta(minutes=5):
            raise ConfigurationError(f"leeway must be between 0 and 5 minutes; got {self.leeway}")
        if self.issuer == "" or self.audience == "":
            raise ConfigurationError("issuer and audience must not be empty; leave them out or set them to None")
        if self.max_bytes < 256:
            raise ConfigurationError(f"max_bytes must be at least 256; got {self.max_bytes}")

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "TokenConfig":
        """Read `SECRET_KEY` and, when set, `ACCESS_TOKEN_EXPIRE_MINUTES` from the environment.

        Args:
            environ: The mapping to read; `os.environ` by default, read at the call.

        Raises:
            ConfigurationError: `SECRET_KEY` is missing or weak, or the minutes are not a positive number.
        """
        environ = os.environ if environ is None else environ
        secret_key = environ.get("SECRET_KEY", "")
        if not secret_key:
            raise ConfigurationError(f"SECRET_KEY is not set. Make one with: {MAKE_ONE}")
        config = cls(secret_key=secret_key)
        minutes = environ.get("ACCESS_TOKEN_EXPIRE_MINUTES")
        if minutes is None:
            return config
        try:
            expires_delta = timedelta(minutes=float(minutes))
        except (ValueError, OverflowError):
            raise ConfigurationError("ACCESS_TOKEN_EXPIRE_MINUTES must be a number of minutes, such as 15") from None
        return replace(config, expires_delta=expires_delta)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class TokenCodec:
    """Makes and checks access tokens.

    Args:
        config: Keys and rules.
        now: The clock; tests inject their own.
    """

    def __init__(self, config: TokenConfig, *, now: Callable[[], datetime] = _utc_now) -> None:
        self.config = config
        self._now = now
        self._key = hmac_key(config.secret_key, config.algorithm)
        self._header = _compact.encode_part(_json({"alg": config.algorithm, "typ": _TYP}))

    def encode(self, data: Mapping[str, Any], *, expires_delta: timedelta | None = None) -> str:
        """Sign `data` as an access token.

        `exp`, `iat` and `jti` are always written, `iss` and `aud` when configured; `data` is not changed.

        Args:
            data: The claims. `sub` is required: text, or an int or UUID, which is written as text
                (RFC 7519 section 4.1.2).
            expires_delta: The lifetime of this token; the configured one by default.

        Returns:
            The compact form, `header.payload.signature`.

        Raises:
            ValueError: `data` holds a claim that the codec writes, lacks `sub`, or is not JSON; or `expires_delta` is
                more than 1,000 years.
            TypeError: `expires_delta` is no timedelta.
        """
        written = {"exp", "iat", "iss", "aud"} & data.keys()
        if written:
            raise ValueError(
                f"{', '.join(sorted(written))} cannot be passed in data: the codec writes them. "
                "Use expires_delta=... for the lifetime and TokenConfig for issuer and audience."
            )
        now = self._now()
        lifetime = self.config.expires_delta if expires_delta is None else _checked(expires_delta)
        claims = {
            **data,
            "sub": _subject(data),
            "iat": int(now.timestamp()),
            "exp": int((now + lifetime).timestamp()),
        }
        claims.setdefault("jti", secrets.token_urlsafe(16))
        if self.config.issuer is not None:
            claims["iss"] = self.config.issuer
        if self.config.audience is not None:
            claims["aud"] = self.config.audience
        signed = f"{self._header}.{_compact.encode_part(_json(claims))}"
        return f"{signed}.{_compact.encode_part(self._key.sign(signed.encode()))}"

    def decode(self, token: str) -> Claims:
        """Check a token and return its claims.

        The signature is checked before the payload is read. Headers that name keys (`jku`, `x5u`, `jwk`, `x5c`)
        are never followed.

        Raises:
            TokenError: The token is refused; nothing else leaves this method, whatever the text is.

        Source: RFC 8725 section 3, RFC 7515 section 5.2.
        """
        header_part, payload_part, signature_part = _compact.split(token, self.config.max_bytes)
        if header_part != self._header:  # a header that this codec wrote needs no second look
            self._check_header(_compact.parse_object(_compact.decode_part(header_part)))
        signature = _compact.decode_part(signature_part)
        if not self._key.verify(f"{header_part}.{payload_part}".encode(), signature):
            raise TokenSignatureError("the signature does not verify")
        values = _compact.parse_object(_compact.decode_part(payload_part))
        check_claims(
            values,
            now=self._now().timestamp(),
            leeway=self.config.leeway.total_seconds(),
            issuer=self.config.issuer,
            audience=self.config.audience,
        )
        return Claims(values)

    def _check_header(self, header: Mapping[str, Any]) -> None:
        if header.get("alg") != self.config.algorithm:
            raise TokenSignatureError("the token's algorithm is not the key's")
        for name in _REFUSED_HEADERS:
            if name in header:
                raise TokenMalformedError(f"the header {name!r} is not supported")
        typ = header.get("typ", _TYP)
        if not isinstance(typ, str) or not _ACCEPTED_TYP.fullmatch(typ):
            raise TokenMalformedError("the token is of another type than an access token")


def _checked(lifetime: object) -> timedelta:
    if not isinstance(lifetime, timedelta):
        raise TypeError(
            f"expires_delta must be a timedelta, such as timedelta(minutes=15); got {type(lifetime).__name__}"
        )
    if abs(lifetime) > _LONGEST:
        raise ValueError(f"expires_delta must be at most 1,000 years; got {lifetime}")
    return lifetime


def _subject(data: Mapping[str, Any]) -> str:
    sub = data.get("sub")
    if isinstance(sub, UUID) or (isinstance(sub, int) and not isinstance(sub, bool)):
        return str(sub)
    if not isinstance(sub, str) or not sub:
        raise ValueError(f"data['sub'] must be a non-empty str, an int or a UUID; got {type(sub).__name__}")
    return sub


def _json(values: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(values, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError):
        # Not chained: the cause may quote a claim's value.
        raise ValueError("every claim must be a JSON value with finite numbers and valid Unicode") from None


@lru_cache(maxsize=8)
def _codec(secret_key: str | None, minutes: str | None) -> TokenCodec:
    environ = {"SECRET_KEY": secret_key, "ACCESS_TOKEN_EXPIRE_MINUTES": minutes}
    return TokenCodec(TokenConfig.from_env({name: value for name, value in environ.items() if value is not None}))


def _codec_of_environment() -> TokenCodec:
    return _codec(os.environ.get("SECRET_KEY"), os.environ.get("ACCESS_TOKEN_EXPIRE_MINUTES"))


def create_access_token(data: Mapping[str, Any], expires_delta: timedelta | None = None) -> str:
    """Sign `data` with the `SECRET_KEY` of the environment: `TokenCodec.encode` under its usual name.

    The environment is read at each call and the key parsed once a value.

    Raises:
        ConfigurationError: `SECRET_KEY` is missing or weak.
        ValueError: `data` cannot be a token, see `TokenCodec.encode`.
        TypeError: `expires_delta` is no timedelta.
    """
    return _codec_of_environment().encode(data, expires_delta=expires_delta)


def decode_token(token: str) -> Claims:
    """Check a token with the `SECRET_KEY` of the environment: `TokenCodec.decode` under its usual name.

    Raises:
        ConfigurationError: `SECRET_KEY` is missing or weak.
        TokenError: The token is refused.
    """
    return _codec_of_environment().decode(token)
