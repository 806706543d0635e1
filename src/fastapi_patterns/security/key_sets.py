"""Key sets (RFC 7517 section 5): one key signs, and a token's `kid` says which one verifies. No key is ever tried."""

import logging
import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import _compact
from fastapi_patterns.security._strength import MAKE_A_SECRET
from fastapi_patterns.security._text import Secret, reveal
from fastapi_patterns.security.errors import TokenMalformedError, TokenSignatureError
from fastapi_patterns.security.keys import Key, json_object

__all__ = ["Header", "KeySet", "environment_secrets"]

_log = logging.getLogger("fastapi_patterns.security")

# Extensions change what a signature means; none is supported, so each is refused (RFC 7515 4.1.11, RFC 7797 7).
_REFUSED_HEADERS = ("crit", "b64", "zip", "enc")
_MAX_KNOWN_HEADERS = 64


class Header(NamedTuple):
    """What a token's header says, as far as it is used."""

    key: Key
    typ: str | None


class KeySet:
    """Keys that verify, one of which signs.

    Args:
        keys: The keys, each with a `kid` of its own.
        active: The `kid` of the key that signs. By default the first one that can: list the newest last until every
            replica knows it, then name it here ("the newest signs" would break replicas in the middle of a roll-out).
        without_kid: The `kid` of the key for tokens that name none. A set of one key needs none.

    Raises:
        ConfigurationError: No key, a `kid` twice, or a name that no key has.
    """

    def __init__(self, keys: Iterable[Key], *, active: str | None = None, without_kid: str | None = None) -> None:
        self.keys = tuple(keys) if isinstance(keys, Iterable) else ()
        if not self.keys or not all(isinstance(key, Key) for key in self.keys):
            raise ConfigurationError("KeySet needs one Key or more, such as Key.from_pem(...)")
        self._by_kid = {key.kid: key for key in self.keys}
        if len(self._by_kid) != len(self.keys):
            raise ConfigurationError("two keys of the set have the same kid: a token could not say which is meant")
        for name, kid in (("active", active), ("without_kid", without_kid)):
            if kid is not None and (not isinstance(kid, str) or kid not in self._by_kid):
                raise ConfigurationError(f"{name} must be the kid of a key of the set; got {kid!r}")
        self.active = next((key for key in self.keys if key.can_sign), None) if active is None else self._by_kid[active]
        if active is not None and not self._by_kid[active].can_sign:
            raise ConfigurationError(f"the active key {active!r} cannot sign: it is a public key")
        only = self.keys[0] if len(self.keys) == 1 else None
        self._without_kid = only if without_kid is None else self._by_kid[without_kid]
        # A name that was only computed is unknown to whoever else signs with this key.
        self._for_any_kid = only if only is not None and not only.has_own_kid else None
        self._known_headers: dict[bytes, Header] = {}

    @classmethod
    def from_jwks(
        cls, jwks: Mapping[str, Any] | str | bytes, *, algorithm: str | None = None, active: str | None = None
    ) -> Self:
        """Make a set of a JWK Set (RFC 7517 section 5).

        Keys that cannot be used (of an unknown type, for encryption, too weak) are left out with a warning in the log,
        as the RFC asks; `Key.from_jwk` refuses them one by one.

        Args:
            jwks: The set, or its JSON text.
            algorithm: What keys without `alg` are for.
            active: The `kid` of the key that signs, when there are private ones.

        Raises:
            ConfigurationError: It is no JWK Set, no key of it can be used, two have the same `kid`, or secrets stand
                beside public keys.
        """
        values = json_object(jwks, "a JWK Set")
        listed = values.get("keys")
        if not isinstance(listed, list):
            hint = "; for a single JWK use KeySet([Key.from_jwk(...)])" if "kty" in values else ""
            raise ConfigurationError(f'a JWK Set must have "keys", a list{hint}')
        keys = []
        for position, jwk in enumerate(listed):
            try:
                keys.append(_from_listed(jwk, algorithm))
            except ConfigurationError as error:
                _log.warning("key %d of the JWK Set is left out: %s", position, error)
        if not keys:
            raise ConfigurationError("the JWK Set has no key that can be used; the log says why, key by key")
        if len({key.is_secret for key in keys}) > 1:
            raise ConfigurationError(
                "a JWK Set must not mix secrets with public or private keys: whoever reads the public ones could sign "
                "with the secret. Make a KeySet of single keys if you need both while moving from one to the other"
            )
        return cls(keys, active=active)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, *, algorithm: str = "HS256") -> Self:
        """Make a set of `SECRET_KEY`, which signs, and `SECRET_KEY_PREVIOUS`, which old tokens are verified with.

        Raises:
            ConfigurationError: `SECRET_KEY` is missing, or one of them is weak.
        """
        return cls.from_secrets(environment_secrets(environ, algorithm), algorithm=algorithm)

    @classmethod
    def from_secrets(cls, secrets: Iterable[str | bytes | Secret], *, algorithm: str = "HS256") -> Self:
        """Make a set of HMAC secrets: the first signs; the last is also for tokens without `kid`, the oldest ones.

        Raises:
            ConfigurationError: There is none, or one is weak.
        """
        if isinstance(reveal(secrets), (str, bytes)) or not isinstance(secrets, Iterable):
            raise ConfigurationError("secrets must be a sequence of secrets, such as [new_secret, old_secret]")
        named = {key.kid: key for key in (Key.from_secret(secret, algorithm=algorithm) for secret in secrets)}
        keys = list(named.values())  # a secret that stands twice is one key
        return cls(keys, without_kid=keys[-1].kid if keys else None)

    def sign(self, payload: bytes, header: Mapping[str, Any] | None = None) -> str:
        """Sign bytes as a JWS in compact form (RFC 7515 section 7.1) with the active key.

        Args:
            payload: Any bytes.
            header: Further header parameters, such as `typ`; `alg` and `kid` are written here.

        Raises:
            ConfigurationError: No key of the set can sign.
        """
        key = self.signing_key()
        first = _compact.encode_part(_compact.dump({**(header or {}), "alg": key.algorithm, "kid": key.kid}))
        signed = b"%b.%b" % (first, _compact.encode_part(payload))
        return (b"%b.%b" % (signed, _compact.encode_part(key.sign(signed)))).decode()

    def signing_key(self) -> Key:
        """Give the active key.

        Raises:
            ConfigurationError: No key of the set can sign.
        """
        if self.active is None:
            raise ConfigurationError("no key of the set can sign: add a private key or a secret")
        return self.active

    def verify(self, compact: str, *, max_bytes: int = 8192) -> bytes:
        """Verify a JWS in compact form and return its payload's bytes (RFC 7515 section 5.2).

        Raises:
            TokenMalformedError: It is no compact JWS, or its header asks for something that is not supported.
            TokenSignatureError: No key has its `kid`, its algorithm is not the key's, or the signature does not verify.
        """
        return self.open(compact, max_bytes)[1]

    def open(self, compact: object, max_bytes: int) -> tuple[Header, bytes]:
        """Verify as `verify` does, and return the header too."""
        header_part, payload_part, signature_part, signed = _compact.split(compact, max_bytes)
        header = self._known_headers.get(header_part)
        known = header is not None
        if header is None:
            header = self._read_header(_compact.parse_object(_compact.decode_part(header_part)))
        if not header.key.verify(signed, _compact.decode_part(signature_part)):
            raise TokenSignatureError("the signature does not verify")
        if not known and len(self._known_headers) < _MAX_KNOWN_HEADERS:
            self._known_headers[header_part] = header  # whoever holds the key writes few of them
        return header, _compact.decode_part(payload_part)

    def _read_header(self, values: Mapping[str, Any]) -> Header:
        for name in _REFUSED_HEADERS:
            if name in values:
                raise TokenMalformedError(f"the header {name!r} is not supported")
        key = self._find(values)
        if values.get("alg") != key.algorithm:
            raise TokenSignatureError("the token's algorithm is not the key's")
        typ = values.get("typ")
        if typ is None and "typ" not in values:
            return Header(key, None)
        if not isinstance(typ, str):
            raise TokenMalformedError("the header 'typ' is not a text")
        # A media type, whose case and prefix do not matter (RFC 7515 section 4.1.9).
        return Header(key, typ.lower().removeprefix("application/"))

    def _find(self, header: Mapping[str, Any]) -> Key:
        kid = header.get("kid")
        if kid is None and "kid" not in header:
            key = self._without_kid
        elif isinstance(kid, str):
            key = self._by_kid.get(kid, self._for_any_kid)
        else:
            raise TokenMalformedError("the header 'kid' is not a text")
        if key is None:
            raise TokenSignatureError("no key has the token's kid")
        return key

    def public_jwks(self) -> dict[str, list[dict[str, str]]]:
        """Give the JWK Set to publish: the public halves; secrets are left out."""
        return {"keys": [key.public_jwk() for key in self.keys if not key.is_secret]}

    def __repr__(self) -> str:
        return f"KeySet([{', '.join(map(repr, self.keys))}])"


def environment_secrets(environ: Mapping[str, str] | None, algorithm: str) -> list[str]:
    """Read `SECRET_KEY` and, when it is set, `SECRET_KEY_PREVIOUS`.

    Raises:
        ConfigurationError: The first is missing, or one of them is weak; the message says which.
    """
    environ = os.environ if environ is None else environ
    if not environ.get("SECRET_KEY"):
        raise ConfigurationError(f"SECRET_KEY is not set. Make one with: {MAKE_A_SECRET}")
    names = [name for name in ("SECRET_KEY", "SECRET_KEY_PREVIOUS") if environ.get(name)]
    for name in names:
        try:
            Key.from_secret(environ[name], algorithm=algorithm)
        except ConfigurationError as error:
            raise ConfigurationError(f"{name}: {error}") from None
    return [environ[name] for name in names]


def _from_listed(jwk: object, algorithm: str | None) -> Key:
    if not isinstance(jwk, Mapping):
        raise ConfigurationError("it is not a JSON object")
    return Key.from_jwk(jwk, algorithm=algorithm if "alg" not in jwk else None)
