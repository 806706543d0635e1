"""`TokenCodec`: makes and checks JWTs, strictly, over keys that are parsed once.

It reads the compact form itself and uses python-jose and `cryptography` only to sign and verify: `jose.jwt.decode`
accepts tokens that RFC 8725 refuses. It never takes a key from a token, opens no file and no socket.
"""

import os
import re
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, overload
from uuid import UUID

from fastapi_patterns._clock import seconds, utc_now
from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import _compact
from fastapi_patterns.security._checks import check_clock
from fastapi_patterns.security._text import reveal
from fastapi_patterns.security.claims import Claims, ExpiredClaims, check_written
from fastapi_patterns.security.errors import TokenClaimsError, TokenMalformedError
from fastapi_patterns.security.key_sets import Header, KeySet
from fastapi_patterns.security.keys import Key
from fastapi_patterns.security.legacy_tokens import InsecureLegacyTokens, LegacyReader
from fastapi_patterns.security.token_config import LONGEST, TokenConfig, check_issuer, check_lifetime

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["TokenCodec", "create_access_token", "decode_token"]

ModelT = TypeVar("ModelT", bound="BaseModel")

ACCESS, REFRESH = "access", "refresh"
# RFC 9068 section 2.1 for access tokens; any other kind is `<kind>+jwt`. The explicit type keeps a token of one kind
# from being taken for one of another (RFC 8725 section 3.11).
_TYPES = {ACCESS: "at+jwt", REFRESH: "rt+jwt"}
_KIND = re.compile(r"(?!(at|rt)\Z)[a-z][a-z0-9_-]{0,40}")
# What access tokens of an application's older code and of other issuers carry.
_LENIENT_TYPES = ("jwt", None)
# Claims with which older code tells its tokens apart, and what they say when it is no access token.
_KIND_CLAIMS = frozenset({"type", "token_type", "token_use", "typ", "kind"})
_OTHER_KINDS = re.compile(r"refresh|reset|verif|confirm|invit|logout|offline|\bid\b", re.IGNORECASE)


class TokenCodec:
    """Makes and checks tokens.

    Args:
        config: Keys and rules.
        also_accept: Tokens of the application's old code, until a date; a warning in the log says so at the start.
        now: The clock; tests inject their own.
    """

    def __init__(
        self,
        config: TokenConfig,
        *,
        also_accept: InsecureLegacyTokens | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        if not isinstance(config, TokenConfig):
            raise ConfigurationError(
                f"TokenCodec needs a TokenConfig, such as TokenConfig.from_env(); got {type(config).__name__}"
            )
        if now is not utc_now:
            check_clock(now)
        self.config = config
        self._now = now
        self._seconds = seconds if now is utc_now else lambda: now().timestamp()
        self._of_secret = lru_cache(maxsize=8)(config.key_set)
        self._fixed_keys = self._resolve_keys() if not callable(config.keys or config.secret_key) else None
        self._rules = config.claim_rules
        self._subject_claims = self._rules.subject_claims
        self._strict = config.strict_typ or config.profile is not None
        self._legacy = None
        if also_accept is not None:
            self._legacy = LegacyReader(also_accept, self._rules, config.max_bytes)
            self._legacy.announce(self._seconds())

    @property
    def keys(self) -> KeySet:
        """The keys as they are now.

        Raises:
            ConfigurationError: A function gave a weak secret or no keys.
        """
        return self._fixed_keys or self._resolve_keys()

    def encode(self, data: Mapping[str, Any], *, expires_delta: timedelta | None = None, kind: str = ACCESS) -> str:
        """Sign `data` as a token.

        `exp`, `iat` and `jti` are always written, `iss` and `aud` when configured; `data` is not changed.

        Args:
            data: The claims. The subject is required: text, or an int or UUID, which is written as text
                (RFC 7519 section 4.1.2).
            expires_delta: The lifetime of this token; the configured one by default.
            kind: `"access"`, `"refresh"` or a name of your own: only `decode` with the same kind accepts the token.

        Returns:
            The compact form, `header.payload.signature`.

        Raises:
            ValueError: `data` holds a claim that the codec writes, lacks the subject, is not JSON, makes a token that
                `decode` would refuse, or says `"type": "refresh"` or the like without `kind`; or `expires_delta` is
                more than 1,000 years.
            TypeError: `data` is no mapping, or `expires_delta` no timedelta.
            ConfigurationError: No key can sign, or `kind` is no name.
        """
        config = self.config
        _check_data(data, config)
        if kind == ACCESS and config.kind_claim is None and (name := _says_other_kind(data)):
            hint = "'refresh'" if "refresh" in data[name].lower() else "'password-reset' or another name"
            raise ValueError(
                f"data[{name!r}] says that it is no access token: use TokenCodec.encode(..., kind={hint}), in decode "
                "too. If the claim means something else, give it another name."
            )
        now = self._seconds()
        lifetime = self._lifetime() if expires_delta is None else _checked("expires_delta", expires_delta)
        claims = {**data, "iat": int(now), "exp": int(now + lifetime.total_seconds())}
        _write_subject(claims, self._subject_claims)
        if "jti" not in claims:
            claims["jti"] = secrets.token_urlsafe(16)
        check_written(claims, self._subject_claims)
        if config.issuer is not None:
            claims["iss"] = self._issuer()
        if config.audience is not None:
            claims["aud"] = config.audience if isinstance(config.audience, str) else list(config.audiences)
        if config.kind_claim is not None:
            claims[config.kind_claim] = kind
        key = self.keys.signing_key()
        signed = b"%b.%b" % (_header(key.algorithm, key.kid, kind), _compact.encode_part(_compact.dump(claims)))
        token = (b"%b.%b" % (signed, _compact.encode_part(key.sign(signed)))).decode()
        if len(token) > config.max_bytes:
            raise ValueError(f"the token would have {len(token)} bytes; decode refuses more than {config.max_bytes}")
        return token

    @overload
    def decode(self, token: str, *, kind: str = ACCESS, model: None = None) -> Claims: ...

    @overload
    def decode(self, token: str, *, kind: str = ACCESS, model: type[ModelT]) -> ModelT: ...

    def decode(self, token: str, *, kind: str = ACCESS, model: Any = None) -> Any:
        """Check a token and return its claims.

        The signature is checked before the payload is read. Headers that name keys (`jku`, `x5u`, `jwk`, `x5c`)
        are never followed.

        Args:
            token: The compact form.
            kind: What it must have been made as.
            model: A pydantic model to read the claims into; claims that do not fit are a bad token.

        Raises:
            TokenError: The token is refused; nothing else leaves this method, whatever the text is. See `Claims.into`
                for validators of `model`.
            ConfigurationError: A function of the configuration gave no usable key or issuer.
            TypeError: `model` is no class of a pydantic model.

        Source: RFC 8725 section 3, RFC 7515 section 5.2.
        """
        if model is not None and not (isinstance(model, type) and hasattr(model, "model_validate")):
            raise TypeError(f"model must be the class of a pydantic model; got {model!r:.60}")
        values, subject_claims = self._verified(token, kind, 0)
        claims = Claims(values, subject_claims)
        return claims if model is None else claims.into(model)

    def decode_expired(self, token: str, *, max_age: timedelta, kind: str = ACCESS) -> ExpiredClaims:
        """Check a token that may have expired, to log somebody out or to see whose it was.

        Args:
            token: The compact form.
            max_age: How long ago it may have expired at the most.
            kind: What it must have been made as.

        Returns:
            A type of its own, which `make_current_user` refuses.

        Raises:
            TokenError: The token is refused in all but its time, or expired before that.
            ValueError: `max_age` is negative or more than 1,000 years.
        """
        if _checked("max_age", max_age) < timedelta(0):
            raise ValueError(f"max_age must not be negative; got {max_age}")
        return ExpiredClaims(*self._verified(token, kind, max_age.total_seconds()))

    def check_kind(self, kind: str) -> None:
        """Refuse a kind that is no name, before it is used.

        Raises:
            ConfigurationError: It must be of small letters, digits, `-` and `_`.
        """
        type_of(kind)

    def _verified(self, token: object, kind: str, grace_s: float) -> tuple[dict[str, Any], tuple[str, ...]]:
        now = self._seconds()
        config = self.config
        issuer = None if config.issuer is None else self._issuer()
        if self._legacy is not None and kind == ACCESS and self._legacy.takes(token, now):
            return self._legacy.read(token, now=now, issuer=issuer, grace_s=grace_s), self._legacy.subject_claims
        header, payload = (self._fixed_keys or self._resolve_keys()).open(token, config.max_bytes)
        values = _compact.parse_object(payload)
        if header.typ != type_of(kind):
            self._check_lenient_type(header, kind)
        if config.kind_claim is not None:
            if values.get(config.kind_claim) != kind:
                raise TokenClaimsError(config.kind_claim, "is of another kind")
        elif kind == ACCESS and (name := _says_other_kind(values)):
            raise TokenClaimsError(name, "says that it is no access token")
        self._rules.check(values, now=now, issuer=issuer, grace_s=grace_s)
        return values, self._subject_claims

    def _check_lenient_type(self, header: Header, kind: str) -> None:
        if kind != ACCESS or self._strict or header.typ not in _LENIENT_TYPES:
            raise TokenMalformedError(f"the token is of another type than {kind} tokens are")

    def _resolve_keys(self) -> KeySet:
        keys = self.config.keys
        if keys is None:
            secret_key = self.config.secret_key
            return self._of_secret(reveal(secret_key() if callable(secret_key) else secret_key))
        if isinstance(keys, Key):
            return KeySet([keys])
        found = keys if isinstance(keys, KeySet) else keys()
        if not isinstance(found, KeySet):
            raise ConfigurationError(f"the function keys must give a KeySet; it gave {type(found).__name__}")
        return found

    def _issuer(self) -> str | None:
        issuer = self.config.issuer
        return check_issuer(issuer()) if callable(issuer) else issuer

    def _lifetime(self) -> timedelta:
        lifetime = self.config.expires_delta
        return check_lifetime(lifetime()) if callable(lifetime) else lifetime


@lru_cache(maxsize=256)
def type_of(kind: str, *, what: str = "kind") -> str:
    """Give the header's `typ` for a kind of tokens.

    Raises:
        ConfigurationError: The kind, or `what` the caller calls it, is no name.
    """
    if not isinstance(kind, str) or not _KIND.fullmatch(kind):
        raise ConfigurationError(f"{what} must be a name of small letters, such as 'password-reset'; got {kind!r}")
    return _TYPES.get(kind, f"{kind}+jwt")


@lru_cache(maxsize=256)
def _header(algorithm: str, kid: str, kind: str) -> bytes:
    return _compact.encode_part(_compact.dump({"alg": algorithm, "typ": type_of(kind), "kid": kid}))


def _says_other_kind(values: Mapping[str, Any]) -> str | None:
    """Name the claim that says, as older code wrote it, that this is no access token."""
    if _KIND_CLAIMS.isdisjoint(values):
        return None
    said = {name: values[name] for name in sorted(_KIND_CLAIMS & values.keys())}
    return next((name for name, text in said.items() if isinstance(text, str) and _OTHER_KINDS.search(text)), None)


def _checked(name: str, duration: object) -> timedelta:
    if not isinstance(duration, timedelta):
        raise TypeError(f"{name} must be a timedelta, such as timedelta(minutes=15); got {type(duration).__name__}")
    if abs(duration) > LONGEST:
        raise ValueError(f"{name} must be at most 1,000 years; got {duration}")
    return duration


def _check_data(data: Any, config: TokenConfig) -> None:
    if not isinstance(data, Mapping):
        hint = ", or its model_dump()" if hasattr(data, "model_dump") else ""
        raise TypeError(
            f"data must be a mapping of claims, such as {{'sub': user.id}}{hint}; got {type(data).__name__}"
        )
    written = {"exp", "iat", "iss", "aud", config.kind_claim} & data.keys()
    if written:
        raise ValueError(
            f"{', '.join(sorted(map(str, written)))} cannot be passed in data: the codec writes them. "
            "Use expires_delta=... for the lifetime, kind=... for the kind and TokenConfig for issuer and audience."
        )
    if config.profile is not None and not data.get("client_id"):
        raise ValueError("the profile rfc9068 needs data['client_id'], the application that the token was made for")


def _write_subject(claims: dict[str, Any], names: tuple[str, ...]) -> None:
    """Write the subject as text, in place; an integer in a claim of the application's own stays one."""
    for name in names:
        sub = claims.get(name)
        if isinstance(sub, str) and sub:
            return
        if isinstance(sub, UUID) or type(sub) is int:
            claims[name] = sub if name != "sub" and type(sub) is int else str(sub)
            return
        if name in claims:
            break
    got = type(claims.get(names[0])).__name__
    raise ValueError(f"data[{names[0]!r}] must be a non-empty str, an int or a UUID; got {got}")


@lru_cache(maxsize=8)
def _codec(*settings: tuple[str, str]) -> TokenCodec:
    return TokenCodec(TokenConfig.from_env(dict(settings)))


def _codec_of_environment() -> TokenCodec:
    names = ("SECRET_KEY", "SECRET_KEY_PREVIOUS", "ACCESS_TOKEN_EXPIRE_MINUTES")
    return _codec(*((name, os.environ[name]) for name in names if name in os.environ))


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
