"""The JWT packages that people use, each set up as its documentation says to check algorithm, issuer, audience and end.

Keys are made once, in the form that each package takes ready-made. Where its documentation passes text, that is a
subject of its own.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

__all__ = ["AUDIENCE", "ISSUER", "PEERS", "Material", "Peer", "authlib", "joserfc", "material", "pyjwt", "python_jose"]

ISSUER = "https://issuer.example"
AUDIENCE = "api"

Claims = dict[str, Any]
Encode = Callable[[Claims], str]
Decode = Callable[[str], Any]
KeyType = Literal["oct", "RSA", "EC", "OKP"]
_SECRET = b"0123456789-the-benchmarks-secret-of-64-bytes-for-every-HMAC-size"


@dataclass(frozen=True)
class Material:
    """A key in the forms that packages read: for HMAC the secret, for others objects of `cryptography`."""

    algorithm: str
    private: Any
    public: Any

    @property
    def kty(self) -> KeyType:
        """Its type, as a JWK names it."""
        kinds: dict[str, KeyType] = {"HS": "oct", "RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
        return kinds[self.algorithm[:2]]

    @property
    def private_text(self) -> bytes:
        """The secret, or the private key as PEM."""
        if isinstance(self.private, bytes):
            return self.private
        pem: bytes = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return pem

    @property
    def public_text(self) -> bytes:
        """The secret, or the public key as PEM."""
        if isinstance(self.public, bytes):
            return self.public
        pem: bytes = self.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem


def material(algorithm: str) -> Material:
    """Make a key for an algorithm; a secret is always the same one."""
    private: Any = _SECRET
    if algorithm[:2] in ("RS", "PS"):
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    elif algorithm == "ES256":
        private = ec.generate_private_key(ec.SECP256R1())
    elif algorithm == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
    return Material(algorithm, private, private if isinstance(private, bytes) else private.public_key())


@dataclass(frozen=True)
class Peer:
    """A package: which algorithms it has, and what makes its two functions of a key."""

    name: str
    encoder: Callable[[Material], Encode]
    decoder: Callable[[Material], Decode]
    lacks: frozenset[str] = field(default_factory=frozenset)


def _jose_decoder(key: Any, algorithm: str) -> Decode:
    from jose import jwt

    options = {"require_exp": True, "require_iss": True, "require_aud": True, "require_sub": True}
    return lambda token: jwt.decode(
        token, key, algorithms=[algorithm], issuer=ISSUER, audience=AUDIENCE, options=options
    )


def _jose_encoder(key: Any, algorithm: str) -> Encode:
    from jose import jwt

    return lambda claims: jwt.encode(claims, key, algorithm)


def _jose_key(value: Any, algorithm: str) -> Any:
    from jose import jwk

    return jwk.construct(value, algorithm)


def _pyjwt_decoder(key: Material) -> Decode:
    import jwt

    return lambda token: jwt.decode(
        token,
        key.public,
        algorithms=[key.algorithm],
        issuer=ISSUER,
        audience=AUDIENCE,
        options={"require": ["exp", "iss", "aud", "sub"]},
    )


def _pyjwt_encoder(key: Material) -> Encode:
    import jwt

    return lambda claims: jwt.encode(claims, key.private, key.algorithm)


def _joserfc() -> Any:
    import joserfc.jwk
    import joserfc.jwt
    from joserfc.errors import SecurityWarning

    # The name that RFC 9864 gives to it is not yet what issuers write.
    warnings.filterwarnings("ignore", "EdDSA is deprecated", SecurityWarning)
    return joserfc


def _joserfc_decoder(key: Material) -> Decode:
    package = _joserfc()
    jwk, jwt = package.jwk, package.jwt
    imported = jwk.import_key(key.public_text, key.kty)
    algorithms = [key.algorithm]
    rules = jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": ISSUER},
        aud={"essential": True, "value": AUDIENCE},
        exp={"essential": True},
        sub={"essential": True},
    )

    def decode(token: str) -> Any:
        found = jwt.decode(token, imported, algorithms)
        rules.validate(found.claims)
        return found.claims

    return decode


def _joserfc_encoder(key: Material) -> Encode:
    package = _joserfc()
    jwk, jwt = package.jwk, package.jwt
    imported = jwk.import_key(key.private_text, key.kty)
    header, algorithms = {"alg": key.algorithm}, [key.algorithm]
    return lambda claims: jwt.encode(header, claims, imported, algorithms)


def _authlib() -> Any:
    deprecation = import_module("authlib.deprecate").AuthlibDeprecationWarning
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", deprecation)  # it recommends joserfc, which is here too
        return import_module("authlib.jose")


def _authlib_decoder(key: Material) -> Decode:
    jose = _authlib()
    imported = jose.JsonWebKey.import_key(key.public_text, {"kty": key.kty})
    jwt = jose.JsonWebToken([key.algorithm])
    options: Mapping[str, Any] = {
        "iss": {"essential": True, "value": ISSUER},
        "aud": {"essential": True, "value": AUDIENCE},
        "exp": {"essential": True},
        "sub": {"essential": True},
    }

    def decode(token: str) -> Any:
        claims = jwt.decode(token, imported, claims_options=options)
        claims.validate()
        return claims

    return decode


def _authlib_encoder(key: Material) -> Encode:
    jose = _authlib()
    imported = jose.JsonWebKey.import_key(key.private_text, {"kty": key.kty})
    jwt = jose.JsonWebToken([key.algorithm])

    def encode(claims: Claims) -> str:
        token: bytes = jwt.encode({"alg": key.algorithm}, claims, imported)
        return token.decode()

    return encode


_NOT_IN_JOSE = frozenset({"PS256", "EdDSA"})

python_jose = Peer(
    "python-jose",
    lambda key: _jose_encoder(_jose_key(key.private, key.algorithm), key.algorithm),
    lambda key: _jose_decoder(_jose_key(key.public, key.algorithm), key.algorithm),
    _NOT_IN_JOSE,
)
_python_jose_text = Peer(
    "python-jose, the key as text",
    lambda key: _jose_encoder(key.private_text.decode(), key.algorithm),
    lambda key: _jose_decoder(key.public_text.decode(), key.algorithm),
    _NOT_IN_JOSE,
)
pyjwt = Peer("PyJWT", _pyjwt_encoder, _pyjwt_decoder)
joserfc = Peer("joserfc", _joserfc_encoder, _joserfc_decoder)
authlib = Peer("authlib.jose", _authlib_encoder, _authlib_decoder)

PEERS = (python_jose, _python_jose_text, pyjwt, joserfc, authlib)
