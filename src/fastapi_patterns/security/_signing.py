"""Signing and verifying with one key and one algorithm: python-jose's keys for HS, RS and ES, `cryptography` for PS
and EdDSA. The algorithm's name never comes from a token.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from jose import jwk

__all__ = ["ALGORITHMS", "Signing", "algorithm_of", "fits", "with_private", "with_public", "with_secret"]

Sign = Callable[[bytes], bytes]
Verify = Callable[[bytes, bytes], bool]


class Signing(NamedTuple):
    """What a key can do."""

    sign: Sign | None
    verify: Verify | None


class _Algorithm(NamedTuple):
    kty: str
    hash: hashes.HashAlgorithm | None = None
    curve: type[ec.EllipticCurve] | None = None


# RFC 7518 section 3.1 and RFC 8037 section 3.1.
ALGORITHMS = {
    "HS256": _Algorithm("oct", hashes.SHA256()),
    "HS384": _Algorithm("oct", hashes.SHA384()),
    "HS512": _Algorithm("oct", hashes.SHA512()),
    "RS256": _Algorithm("RSA", hashes.SHA256()),
    "RS384": _Algorithm("RSA", hashes.SHA384()),
    "RS512": _Algorithm("RSA", hashes.SHA512()),
    "PS256": _Algorithm("RSA", hashes.SHA256()),
    "PS384": _Algorithm("RSA", hashes.SHA384()),
    "PS512": _Algorithm("RSA", hashes.SHA512()),
    "ES256": _Algorithm("EC", hashes.SHA256(), ec.SECP256R1),
    "ES384": _Algorithm("EC", hashes.SHA384(), ec.SECP384R1),
    "ES512": _Algorithm("EC", hashes.SHA512(), ec.SECP521R1),
    "EdDSA": _Algorithm("OKP"),
}


def algorithm_of(public: object) -> str | None:
    """Name what a public key is usually for: RS256, the algorithm of its curve, EdDSA; None if there is none."""
    if isinstance(public, rsa.RSAPublicKey):
        return "RS256"
    if isinstance(public, ed25519.Ed25519PublicKey):
        return "EdDSA"
    if isinstance(public, ec.EllipticCurvePublicKey):
        return next((name for name, a in ALGORITHMS.items() if a.curve and isinstance(public.curve, a.curve)), None)
    return None


def fits(public: object, algorithm: str) -> bool:
    """Tell whether an algorithm can be used with a public key: of its kind, and on its curve."""
    usual = algorithm_of(public)
    return usual is not None and (algorithm == usual or ALGORITHMS[algorithm].kty == ALGORITHMS[usual].kty == "RSA")


def with_secret(raw: bytes, algorithm: str) -> Signing:
    """Use a secret for HMAC."""
    key: Any = jwk.construct(raw, algorithm)
    return Signing(key.sign, key.verify)


def with_public(public: Any, algorithm: str) -> Verify:
    """Use a public key."""
    if algorithm.startswith("PS"):
        return _pss_verify(public, algorithm)
    if algorithm == "EdDSA":
        return _eddsa_verify(public)
    key: Any = jwk.construct(public, algorithm)
    return key.verify  # type: ignore[no-any-return]


def with_private(private: Any, algorithm: str) -> Sign:
    """Use a private key."""
    if algorithm.startswith("PS"):
        digest: Any = ALGORITHMS[algorithm].hash
        pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
        return lambda data: private.sign(data, pss, digest)
    if algorithm == "EdDSA":
        return private.sign  # type: ignore[no-any-return]
    if algorithm.startswith("ES"):
        return _ecdsa_sign(private, algorithm)
    key: Any = jwk.construct(private, algorithm)
    return key.sign  # type: ignore[no-any-return]


def _pss_verify(public: rsa.RSAPublicKey, algorithm: str) -> Verify:
    # The salt is as long as the hash (RFC 7518 section 3.5); any other length is refused.
    digest: Any = ALGORITHMS[algorithm].hash
    pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
    size = (public.key_size + 7) // 8

    def verify(data: bytes, signature: bytes) -> bool:
        if len(signature) != size:  # OpenSSL takes one without the zeros in front (RFC 8017 section 8.1.2, step 1)
            return False
        try:
            public.verify(signature, data, pss, digest)
        except InvalidSignature:
            return False
        return True

    return verify


def _eddsa_verify(public: ed25519.Ed25519PublicKey) -> Verify:
    def verify(data: bytes, signature: bytes) -> bool:
        try:
            public.verify(signature, data)
        except InvalidSignature:
            return False
        return True

    return verify


def _ecdsa_sign(private: ec.EllipticCurvePrivateKey, algorithm: str) -> Sign:
    # A nonce that depends on the message alone: a poor source of randomness cannot give the key away (RFC 6979,
    # RFC 8725 section 3.2). python-jose's own signing draws it.
    size = (private.key_size + 7) // 8
    digest: Any = ALGORITHMS[algorithm].hash
    scheme = ec.ECDSA(digest, deterministic_signing=True)

    def sign(data: bytes) -> bytes:
        r, s = decode_dss_signature(private.sign(data, scheme))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")

    return sign
