"""Keys: one algorithm a key, bound and checked when the key is made (RFC 8725 sections 3.1 and 3.5)."""

import hashlib
import hmac
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import _compact, _key_files, _signing
from fastapi_patterns.security._strength import MAKE_A_SECRET, ed25519_weakness, hmac_weakness, rsa_weakness
from fastapi_patterns.security._text import Secret, reveal
from fastapi_patterns.security.errors import TokenMalformedError

__all__ = ["Key", "json_object"]

# Operations that belong together (RFC 7517 section 4.3); a key for others must not sign.
_SIGNING_OPERATIONS = {"sign", "verify"}


class Key:
    """A key for one algorithm: `Key.from_secret`, `.from_pem`, `.from_jwk` or `.generate` make one.

    Attributes:
        algorithm: `HS256/384/512`, `RS256/384/512`, `PS256/384/512`, `ES256/384/512` or `EdDSA` (Ed25519).
        kid: Its name in tokens: the one that was given, or one computed from the key (RFC 7638; for a secret a digest
            that tells nothing of it).
    """

    __slots__ = ("_kid_given", "_material", "_sign", "_verify", "algorithm", "kid")

    algorithm: str
    kid: str

    def __init__(
        self,
        material: Any,
        algorithm: str | None,
        kid: str | None,
        operations: Iterable[str] = _SIGNING_OPERATIONS,
        *,
        weak: bool = False,
        generated: bool = False,
    ) -> None:
        """Check and bind a key; the class methods call it."""
        if kid is not None and (not isinstance(kid, str) or not kid):
            raise ConfigurationError("kid must be a non-empty text")
        public = _public_half(material)
        if algorithm is None:
            algorithm = "HS256" if isinstance(material, bytes) else _signing.algorithm_of(public)
        self.algorithm = _checked_algorithm(material, public, algorithm, weak=weak, generated=generated)
        self._material = material
        self._kid_given = kid is not None
        self.kid = _thumbprint(material, public) if kid is None else kid
        if isinstance(material, bytes):
            self._sign, self._verify = _signing.with_secret(material, self.algorithm)
        else:
            self._sign = None if material is public else _signing.with_private(material, self.algorithm)
            self._verify = _signing.with_public(public, self.algorithm)
        if "sign" not in operations:
            self._sign = None
        # A private key that may sign has a public half that may verify.
        if "verify" not in operations and (isinstance(material, bytes) or self._sign is None):
            self._verify = None
        if self._sign is None and self._verify is None:
            raise ConfigurationError("the key's key_ops leave it nothing to do: a public key can only verify")

    @classmethod
    def from_secret(cls, secret: str | bytes | Secret, *, algorithm: str = "HS256", kid: str | None = None) -> Self:
        """Make an HMAC key.

        Raises:
            ConfigurationError: The secret is shorter than the algorithm's hash, is a public key or a certificate,
                repeats itself or is the placeholder of an example. The message holds a command that makes a good one.
        """
        return cls(_secret_bytes(secret), algorithm, kid)

    @classmethod
    def from_insecure_secret(cls, secret: str | bytes | Secret, algorithm: str) -> Self:
        """Make an HMAC key of a secret that is too weak, for old tokens only; see `InsecureLegacyTokens`."""
        return cls(_secret_bytes(secret), algorithm, None, {"verify"}, weak=True)

    @classmethod
    def from_pem(
        cls,
        data: str | bytes | Secret,
        *,
        algorithm: str | None = None,
        kid: str | None = None,
        password: str | bytes | Secret | None = None,
    ) -> Self:
        """Make a key of a private key, a public key or a certificate, as PEM or DER.

        Args:
            data: The text, not a path. A private key signs and verifies, the others verify. `\\n` in two characters, as
                a variable of the environment may hold it, is the end of a line.
            algorithm: By default RS256 for RSA, that of its curve for an elliptic curve, EdDSA for Ed25519.
            kid: The key's name in tokens; computed from the key by default (RFC 7638).
            password: What an encrypted private key opens with; text is taken as UTF-8.

        Raises:
            ConfigurationError: The text is no key, is too weak, or does not fit the algorithm.
        """
        return cls(_key_files.read_pem(data, password), algorithm, kid)

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any] | str | bytes, *, algorithm: str | None = None) -> Self:
        """Make a key of a JWK (RFC 7517), whose `kid`, `alg`, `use` and `key_ops` are respected.

        Args:
            jwk: The JWK, or its JSON text.
            algorithm: What it is for when it has no `alg`; by default RS256 for RSA, that of its curve, EdDSA, HS256.

        Raises:
            ConfigurationError: It is malformed, weak, not on its curve, or not meant for signatures.
        """
        values = json_object(jwk, "a JWK")
        if "keys" in values and "kty" not in values:
            raise ConfigurationError("this is a JWK Set: use KeySet.from_jwks(...)")
        operations = _operations(values)
        for name in ("alg", "kid"):
            if name in values and not (isinstance(values[name], str) and values[name]):
                raise ConfigurationError(f"the JWK's {name} must be a non-empty text")
        named = values.get("alg", algorithm)
        if algorithm is not None and named != algorithm:
            raise ConfigurationError(f"the JWK's alg is not {algorithm}")
        return cls(_key_files.read_jwk(values), named, values.get("kid"), operations, generated=True)

    @classmethod
    def generate(cls, algorithm: str, *, kid: str | None = None) -> Self:
        """Make a new key: RSA of 2048 bits, the algorithm's curve, or a secret as long as the hash.

        Raises:
            ConfigurationError: The algorithm is not supported.
        """
        known = _known(algorithm)
        if known.kty == "oct":
            material: Any = os.urandom(known.hash.digest_size)
        elif known.kty == "RSA":
            material = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        elif known.curve is not None:
            material = ec.generate_private_key(known.curve())
        else:
            material = ed25519.Ed25519PrivateKey.generate()
        return cls(material, algorithm, kid)

    @property
    def is_secret(self) -> bool:
        """Whether it is an HMAC secret, which has no public half."""
        return isinstance(self._material, bytes)

    @property
    def secret(self) -> bytes:
        """The secret's bytes, to derive other keys from.

        Raises:
            ConfigurationError: It is no HMAC secret.
        """
        if not isinstance(self._material, bytes):
            raise ConfigurationError("the key is a private or public key, not a secret")
        return self._material

    @property
    def has_own_kid(self) -> bool:
        """Whether its `kid` was given, and not computed."""
        return self._kid_given

    @property
    def can_sign(self) -> bool:
        """Whether it is a secret or a private key that may sign."""
        return self._sign is not None

    def sign(self, data: bytes) -> bytes:
        """Sign bytes.

        Raises:
            ConfigurationError: It is a public key, or its `use` or `key_ops` do not allow it.
        """
        if self._sign is None:
            raise ConfigurationError(f"the key {self.kid!r} cannot sign: it is a public key, or is not meant for it")
        return self._sign(data)

    def verify(self, data: bytes, signature: bytes) -> bool:
        """Tell whether a signature is this key's; False also when `use` or `key_ops` do not allow it to verify."""
        return self._verify is not None and self._verify(data, signature)

    def public_jwk(self) -> dict[str, str]:
        """Give the public half as a JWK with `kid`, `alg` and `use`; never a private member.

        Raises:
            ConfigurationError: It is a secret, which has no public half.
        """
        if isinstance(self._material, bytes):
            raise ConfigurationError("an HMAC secret has no public half and must not be published")
        members = _key_files.write_public_jwk(_public_half(self._material))
        return {**members, "kid": self.kid, "alg": self.algorithm, "use": "sig"}

    def __repr__(self) -> str:
        return f"<Key {self.algorithm} kid={self.kid!r}{'' if self.can_sign else ' verifies only'}>"


def _secret_bytes(secret: object) -> bytes:
    secret = reveal(secret)
    if not isinstance(secret, (str, bytes)):
        raise ConfigurationError(f"a secret key is text or bytes; got {type(secret).__name__}")
    try:
        return secret.encode() if isinstance(secret, str) else secret
    except UnicodeEncodeError:
        raise ConfigurationError(f"The secret key is not valid Unicode. Make one with: {MAKE_A_SECRET}") from None


def _public_half(material: Any) -> Any:
    """Give the public key of a private one; a secret has none, a public key is its own."""
    if isinstance(material, bytes):
        return None
    return material.public_key() if hasattr(material, "public_key") else material


def _known(algorithm: object) -> Any:
    if not isinstance(algorithm, str) or algorithm not in _signing.ALGORITHMS:
        raise ConfigurationError(f"algorithm must be one of {', '.join(_signing.ALGORITHMS)}; got {algorithm!r}")
    return _signing.ALGORITHMS[algorithm]


def _checked_algorithm(material: Any, public: Any, algorithm: str | None, *, weak: bool, generated: bool) -> str:
    if algorithm is None:
        raise ConfigurationError("the key must be an RSA, P-256, P-384, P-521 or Ed25519 key")
    known = _known(algorithm)
    if isinstance(material, bytes):
        if known.kty != "oct":
            raise ConfigurationError(f"{algorithm} needs a key such as Key.from_pem(...), not a secret")
        problem = hmac_weakness(material, algorithm, short=weak, generated=generated)
        if problem:
            raise ConfigurationError(
                f"The secret key for {algorithm} {problem}. Make one with: {MAKE_A_SECRET}. "
                "Tokens that an older, weaker secret signed stay good until a date with InsecureLegacyTokens."
            )
        return algorithm
    if not _signing.fits(public, algorithm):
        raise ConfigurationError(f"the key is of another kind or curve than {algorithm} needs")
    problem = None
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        problem = rsa_weakness(numbers.n, numbers.e)
    elif isinstance(public, ed25519.Ed25519PublicKey):
        problem = ed25519_weakness(public.public_bytes_raw())
    if problem:
        raise ConfigurationError(f"the {known.kty} key {problem}")
    return algorithm


def _thumbprint(material: Any, public: Any) -> str:
    """Name a key after itself (RFC 7638); a secret by a keyed digest, which tells nothing of it."""
    if isinstance(material, bytes):
        return _compact.encode_part(hmac.digest(material, b"fastapi-patterns: kid", "sha256")[:9]).decode()
    members = _key_files.write_public_jwk(public)
    text = json.dumps(members, separators=(",", ":"), sort_keys=True)
    return _compact.encode_part(hashlib.sha256(text.encode()).digest()).decode()


def json_object(source: object, what: str) -> Mapping[str, Any]:
    """Read a JSON object that may be parsed already."""
    if isinstance(source, Mapping):
        return source
    if isinstance(source, str) and source.lower().startswith(("https://", "http://")):
        raise ConfigurationError(f"{what} is a mapping or its JSON text, not its address: fetch it, and pass the text")
    if not isinstance(source, (str, bytes)):
        raise ConfigurationError(f"{what} is a mapping or its JSON text; got {type(source).__name__}")
    try:
        return _compact.parse_object(source.encode() if isinstance(source, str) else source)
    except (TokenMalformedError, UnicodeEncodeError):
        raise ConfigurationError(f"{what} must be a JSON object of unique names") from None


def _operations(jwk: Mapping[str, Any]) -> frozenset[str]:
    """Read what a JWK may be used for (RFC 7517 sections 4.2 and 4.3)."""
    if jwk.get("use", "sig") != "sig":
        raise ConfigurationError("the JWK's use must be sig")
    if "key_ops" not in jwk:
        return frozenset(_SIGNING_OPERATIONS)
    operations = jwk["key_ops"]
    if not isinstance(operations, list) or not all(isinstance(each, str) for each in operations):
        raise ConfigurationError("the JWK's key_ops must be a list of texts")
    found = frozenset(operations)
    if not found or not found <= _SIGNING_OPERATIONS or len(found) != len(operations):
        raise ConfigurationError("the JWK's key_ops must be sign and verify, each at most once")
    return found
