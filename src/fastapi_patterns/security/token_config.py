"""`TokenConfig`: how tokens are signed and what is accepted, checked when it is made."""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security._strength import MAKE_A_SECRET
from fastapi_patterns.security._text import Secret, reveal
from fastapi_patterns.security.claims import ClaimRules
from fastapi_patterns.security.key_sets import KeySet, environment_secrets
from fastapi_patterns.security.keys import Key

__all__ = ["LONGEST", "TokenConfig"]

# Beyond it a date may not fit into `datetime`.
LONGEST = timedelta(days=365_000)
_LONGEST_LEEWAY = timedelta(minutes=5)
# RFC 9068 section 2.2; `exp` and `sub` are required of every token.
_RFC9068_CLAIMS = ("iss", "aud", "client_id", "iat", "jti")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenConfig:
    """How tokens are signed and what is accepted.

    Give `secret_key`, or `keys`. Both, `issuer` and `expires_delta` may be functions without parameters: they are asked
    on each use, and a secret is parsed once a value.

    Args:
        secret_key: The HMAC secret, at least as long as the hash: 32 bytes for HS256; a `SecretStr` of your settings
            is taken as it is. There is no default.
        previous_secret_keys: Secrets that signed tokens which are still alive; they verify only.
        algorithm: What `secret_key` is for: `HS256`, `HS384` or `HS512`. A key of `keys` has its own.
        keys: A `Key` or a `KeySet`: for other algorithms, and for rotation.
        expires_delta: How long a token lives when the call does not say; 15 minutes, since a stateless token cannot be
            taken back before it ends.
        issuer: Written as `iss` and required in every token.
        audience: Required in every token: `aud` must name it, or one of several. Without it a token that names an
            audience is refused, because it was meant for somebody else (RFC 7519 section 4.1.3).
        leeway: Clock difference that is forgiven for `exp`, `nbf` and `iat`.
        max_bytes: Longer tokens are refused before any work is done on them.
        strict_typ: Refuse access tokens with the type `JWT` or none, as older code and other issuers write them.
        kind_claim: A claim that says which kind a token is, as `type` or `token_type` do in many applications; written
            and required beside the header `typ`.
        subject_claims: Where the subject stands, when not in `sub`; the first that is there counts. A claim other than
            `sub` may be an integer.
        profile: `"rfc9068"` requires what the JWT profile for access tokens asks for: type, issuer, audience,
            `client_id`, `iat` and `jti`.

    Raises:
        ConfigurationError: A value is missing, weak or out of range.
    """

    secret_key: str | bytes | Secret | Callable[[], str | bytes | Secret] | None = field(default=None, repr=False)
    previous_secret_keys: Sequence[str | bytes | Secret] = field(default=(), repr=False)
    algorithm: str = "HS256"
    keys: Key | KeySet | Callable[[], KeySet] | None = None
    expires_delta: timedelta | Callable[[], timedelta] = timedelta(minutes=15)
    issuer: str | Callable[[], str] | None = None
    audience: str | Sequence[str] | None = None
    leeway: timedelta = timedelta(0)
    max_bytes: int = 8192
    strict_typ: bool = False
    kind_claim: str | None = None
    subject_claims: Sequence[str] = ("sub",)
    profile: Literal["rfc9068"] | None = None

    def __post_init__(self) -> None:
        self._check_keys()
        if not callable(self.expires_delta):
            check_lifetime(self.expires_delta)
        if not isinstance(self.leeway, timedelta) or not timedelta(0) <= self.leeway <= _LONGEST_LEEWAY:
            raise ConfigurationError(f"leeway must be a timedelta between 0 and 5 minutes; got {self.leeway!r}")
        if not callable(self.issuer) and self.issuer is not None:
            check_issuer(self.issuer)
        if self.audience is not None and not _are_names(self.audience):
            raise ConfigurationError("audience must be a non-empty text or several; leave it out or set it to None")
        if type(self.max_bytes) is not int or self.max_bytes < 256:
            raise ConfigurationError(f"max_bytes must be an integer of at least 256; got {self.max_bytes!r}")
        if self.kind_claim is not None and not _is_name(self.kind_claim):
            raise ConfigurationError("kind_claim must be the name of a claim, such as 'token_type'")
        if isinstance(self.subject_claims, str) or not _are_names(self.subject_claims):
            raise ConfigurationError('subject_claims must be a sequence of names, such as ("user_id", "sub")')
        if self.profile not in (None, "rfc9068"):
            raise ConfigurationError(f"profile must be 'rfc9068' or None; got {self.profile!r}")
        if self.profile and (self.issuer is None or self.audience is None):
            raise ConfigurationError("the profile rfc9068 needs issuer and audience")

    def _check_keys(self) -> None:
        if (self.secret_key is None) == (self.keys is None):
            both = "" if self.keys is None else ", not both"
            raise ConfigurationError(
                f"TokenConfig needs either secret_key or keys{both}. Make a secret with: {MAKE_A_SECRET}"
            )
        if self.keys is not None:
            if not isinstance(self.keys, (Key, KeySet)) and not callable(self.keys):
                raise ConfigurationError(f"keys must be a Key or a KeySet; got {type(self.keys).__name__}")
            if self.previous_secret_keys:
                raise ConfigurationError("previous_secret_keys goes with secret_key; put old keys into the KeySet")
            if self.algorithm != "HS256":
                raise ConfigurationError(
                    "algorithm goes with secret_key; a key has its own: Key.from_pem(..., algorithm=...)"
                )
            return
        if isinstance(reveal(self.previous_secret_keys), (str, bytes)):
            raise ConfigurationError("previous_secret_keys must be a sequence of secrets, such as [old_secret]")
        if self.algorithm not in ("HS256", "HS384", "HS512"):
            raise ConfigurationError(
                f"secret_key goes with HS256, HS384 or HS512; got algorithm={self.algorithm!r}. "
                "For others pass keys=Key.from_pem(...) instead"
            )
        if not callable(self.secret_key):
            self.key_set(self.secret_key)

    def key_set(self, secret_key: Any) -> KeySet:
        """Make the keys of a secret and the previous ones."""
        return KeySet.from_secrets([secret_key, *self.previous_secret_keys], algorithm=self.algorithm)

    @property
    def audiences(self) -> tuple[str, ...]:
        """The accepted audiences."""
        if self.audience is None:
            return ()
        return (self.audience,) if isinstance(self.audience, str) else tuple(self.audience)

    @property
    def claim_rules(self) -> ClaimRules:
        """What is asked of a token's claims."""
        return ClaimRules(
            leeway_s=self.leeway.total_seconds(),
            audiences=frozenset(self.audiences),
            subject_claims=tuple(self.subject_claims),
            required=_RFC9068_CLAIMS if self.profile else (),
        )

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "TokenConfig":
        """Read `SECRET_KEY` and, when set, `SECRET_KEY_PREVIOUS` and `ACCESS_TOKEN_EXPIRE_MINUTES`.

        Args:
            environ: The mapping to read; `os.environ` by default, read at the call.

        Raises:
            ConfigurationError: A secret is missing or weak, or the minutes are not a positive number.
        """
        environ = os.environ if environ is None else environ
        secret_key, *previous = environment_secrets(environ, "HS256")
        options: dict[str, Any] = {"secret_key": secret_key, "previous_secret_keys": previous}
        if (minutes := environ.get("ACCESS_TOKEN_EXPIRE_MINUTES")) is not None:
            try:
                options["expires_delta"] = timedelta(minutes=float(minutes))
            except (ValueError, OverflowError):
                raise ConfigurationError(
                    "ACCESS_TOKEN_EXPIRE_MINUTES must be a number of minutes, such as 15"
                ) from None
        return cls(**options)


def check_lifetime(lifetime: object) -> timedelta:
    """Check a configured lifetime; a function may give it at any time."""
    if not isinstance(lifetime, timedelta):
        raise ConfigurationError(
            f"expires_delta must be a timedelta, such as timedelta(minutes=15); got {type(lifetime).__name__}"
        )
    if not timedelta(0) < lifetime <= LONGEST:
        raise ConfigurationError(f"expires_delta must be positive and at most 1,000 years; got {lifetime}")
    return lifetime


def check_issuer(issuer: object) -> str:
    """Check a configured issuer; a function may give it at any time."""
    if not _is_name(issuer):
        raise ConfigurationError("issuer must be a non-empty text; leave it out or set it to None")
    return str(issuer)


def _are_names(value: object) -> bool:
    listed = [value] if isinstance(value, str) else value
    return isinstance(listed, Collection) and len(listed) > 0 and all(map(_is_name, listed))


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""
