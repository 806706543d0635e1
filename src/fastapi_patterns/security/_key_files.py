"""Keys as PEM or DER text, and as JWK: from the text to an object of `cryptography`, or to a secret's bytes.

Strict: what RFC 7518 says of a parameter's form is checked, and nothing of a private key is in a message.
"""

import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import _compact
from fastapi_patterns.security._strength import rsa_weakness
from fastapi_patterns.security._text import reveal
from fastapi_patterns.security.errors import TokenMalformedError

__all__ = ["Material", "read_jwk", "read_pem", "write_private_pem", "write_public_jwk"]

# A secret, a private key or a public key.
Material = Any

_CURVES: dict[str, tuple[type[ec.EllipticCurve], int]] = {
    "P-256": (ec.SECP256R1, 32),
    "P-384": (ec.SECP384R1, 48),
    "P-521": (ec.SECP521R1, 66),
}
_PATH = re.compile(rb"[^\n]{1,300}\.(pem|key|der|crt|cer|pub|p8)\s*", re.IGNORECASE)
_PRIMES_AND_MORE = ("p", "q", "dp", "dq", "qi")
# Finding the primes of a larger key takes seconds.
_MAX_BITS_WITHOUT_PRIMES = 4096


def read_pem(data: object, password: object) -> Material:
    """Read a private key, a public key or a certificate, as PEM or DER.

    Raises:
        ConfigurationError: It is none of them, or the password is wrong or missing.
    """
    raw, opening = _raw(data), _password(password)
    loaded = _load(raw, opening)
    if loaded is None:
        raise ConfigurationError(_refusal(raw, opening))
    return loaded


def _raw(data: object) -> bytes:
    data = reveal(data)
    if not isinstance(data, (str, bytes, bytearray, memoryview)):
        hint = "; pass its read_bytes()" if isinstance(data, os.PathLike) else ""
        raise ConfigurationError(f"a key is PEM or DER, as text or bytes; got {type(data).__name__}{hint}")
    raw = data.encode("utf-8", "replace") if isinstance(data, str) else bytes(data)
    # A variable of the environment in one line; PEM itself has no backslash.
    return raw.replace(rb"\n", b"\n") if b"-----BEGIN " in raw else raw


def _password(password: object) -> bytes | None:
    password = reveal(password)
    if password is not None and not isinstance(password, (str, bytes)):
        raise ConfigurationError(f"password must be text or bytes; got {type(password).__name__}")
    return password.encode("utf-8", "replace") if isinstance(password, str) else password


def _load(raw: bytes, password: bytes | None) -> Material | None:
    pem = b"-----BEGIN " in raw  # tools write a text, or a key's attributes, before it (RFC 7468 section 2)
    loaders: tuple[Callable[[], Any], ...] = (
        lambda: (serialization.load_pem_public_key if pem else serialization.load_der_public_key)(raw),
        lambda: (serialization.load_pem_private_key if pem else serialization.load_der_private_key)(raw, password),
        lambda: (x509.load_pem_x509_certificate if pem else x509.load_der_x509_certificate)(raw).public_key(),
    )
    for load in loaders:
        try:
            return load()
        except Exception:  # noqa: S112 (ValueError, TypeError, UnsupportedAlgorithm; the message may quote the text)
            continue
    return None


def _refusal(raw: bytes, password: bytes | None) -> str:
    """Say why a text gives no key, and nothing of the text."""
    if b"OPENSSH PRIVATE KEY" in raw or raw.startswith((b"ssh-", b"ecdsa-sha2-")):
        return (
            "the key is in the form of OpenSSH: write it as PEM, with ssh-keygen -p -m PKCS8 -f <copy> or, for a "
            "public key, ssh-keygen -e -m PKCS8 -f <file>; openssl genpkey -algorithm ed25519 makes a new one"
        )
    if _PATH.fullmatch(raw):
        return "the key must be the text of the file, not its path: pass Path(...).read_bytes()"
    if password is not None and _load(raw, None) is not None:
        return "the private key is not encrypted: leave password out"
    if b"ENCRYPTED" in raw:
        return (
            f"the private key is encrypted: {'pass password=...' if password is None else 'password does not open it'}"
        )
    return (
        "the key must be a private key, a public key or a certificate as PEM or DER, "
        f"{'and its password the right one' if password is not None else 'without a password unless one is passed'}"
    )


def read_jwk(jwk: Mapping[str, Any]) -> Material:
    """Read the parameters of a JWK (RFC 7517, RFC 7518 section 6, RFC 8037 section 2).

    Raises:
        ConfigurationError: A member is missing or not of its form, or they contradict each other.
    """
    readers = {"oct": _secret, "RSA": _rsa, "EC": _ec, "OKP": _okp}
    kty = jwk.get("kty")
    if not isinstance(kty, str) or kty not in readers:
        raise ConfigurationError("the JWK's kty must be oct, RSA, EC or OKP")
    try:
        return readers[kty](jwk)
    except ConfigurationError:
        raise
    except Exception:  # `cryptography` refuses points that are not on the curve, and numbers that contradict each other
        raise ConfigurationError(f"the JWK's numbers are not a key of type {kty}") from None


def write_public_jwk(public: Any) -> dict[str, str]:
    """Give the members of a public key that identify it, in the order of RFC 7638."""
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"e": _unsigned(numbers.e), "kty": "RSA", "n": _unsigned(numbers.n)}
    if isinstance(public, ec.EllipticCurvePublicKey):
        curve, size = next((name, size) for name, (kind, size) in _CURVES.items() if isinstance(public.curve, kind))
        point = public.public_numbers()
        return {"crv": curve, "kty": "EC", "x": _unsigned(point.x, size), "y": _unsigned(point.y, size)}
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {"crv": "Ed25519", "kty": "OKP", "x": _compact.encode_part(raw).decode()}


def write_private_pem(private: Any) -> str:
    """Write a private key as PKCS #8, which is not encrypted."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return str(private.private_bytes(encoding, form, serialization.NoEncryption()).decode())


def _secret(jwk: Mapping[str, Any]) -> bytes:
    return _octets(jwk, "k")


def _rsa(jwk: Mapping[str, Any]) -> Any:
    public = rsa.RSAPublicNumbers(_number(jwk, "e"), _number(jwk, "n"))
    if "oth" in jwk:
        raise ConfigurationError("a JWK with more than two primes is not supported")
    with_primes = any(name in jwk for name in _PRIMES_AND_MORE)
    if "d" not in jwk and not with_primes:
        return public.public_key()
    d = _number(jwk, "d")
    # Before any work whose time depends on the size.
    problem = rsa_weakness(public.n, public.e)
    if problem or d >= public.n:
        raise ConfigurationError(f"the RSA key {problem or 'must have a d that is smaller than n'}")
    if with_primes:
        # They come together (RFC 7518 section 6.3.2).
        p, q, dp, dq, qi = (_number(jwk, name) for name in _PRIMES_AND_MORE)
    elif public.n.bit_length() > _MAX_BITS_WITHOUT_PRIMES:
        raise ConfigurationError(f"a private RSA JWK of more than {_MAX_BITS_WITHOUT_PRIMES} bits must have p and q")
    else:
        p, q = rsa.rsa_recover_prime_factors(public.n, public.e, d)
        dp, dq, qi = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public).private_key()


def _ec(jwk: Mapping[str, Any]) -> Any:
    name = jwk.get("crv")
    if not isinstance(name, str) or name not in _CURVES:
        raise ConfigurationError(f"the JWK's crv must be one of {', '.join(_CURVES)}")
    curve, size = _CURVES[name]
    # Coordinates are of full length, zeros in front included (RFC 7518 section 6.2.1.2).
    x, y = (int.from_bytes(_octets(jwk, member, size), "big") for member in ("x", "y"))
    public = ec.EllipticCurvePublicNumbers(x, y, curve())
    key = public.public_key()
    if key.public_numbers() != public:  # OpenSSL takes x and y modulo p; a point has one spelling
        raise ConfigurationError("the JWK's x and y must be smaller than the curve's prime")
    if "d" not in jwk:
        return key
    d = int.from_bytes(_octets(jwk, "d", size), "big")
    return ec.EllipticCurvePrivateNumbers(d, public).private_key()


def _okp(jwk: Mapping[str, Any]) -> Any:
    if jwk.get("crv") != "Ed25519":
        raise ConfigurationError("the JWK's crv must be Ed25519")
    x = _octets(jwk, "x", 32)
    if "d" not in jwk:
        return ed25519.Ed25519PublicKey.from_public_bytes(x)
    private = ed25519.Ed25519PrivateKey.from_private_bytes(_octets(jwk, "d", 32))
    if private.public_key().public_bytes_raw() != x:
        raise ConfigurationError("the JWK's x is not the public key of its d")
    return private


def _octets(jwk: Mapping[str, Any], name: str, size: int | None = None) -> bytes:
    text = jwk.get(name)
    if not isinstance(text, str):
        raise ConfigurationError(f"the JWK must have a text {name!r}")
    try:
        # A token of three parts is checked for the alphabet; so is one.
        raw = _compact.decode_part(_compact.split(f"..{text}", 65_536)[2])
    except TokenMalformedError:
        raise ConfigurationError(f"the JWK's {name!r} is not canonical base64url") from None
    if size is not None and len(raw) != size:
        raise ConfigurationError(f"the JWK's {name!r} must have {size} bytes; it has {len(raw)}")
    return raw


def _number(jwk: Mapping[str, Any], name: str) -> int:
    raw = _octets(jwk, name)
    if raw[:1] in (b"", b"\0"):
        # One number has one spelling (RFC 7518 section 6.3.1.1).
        raise ConfigurationError(f"the JWK's {name!r} must be a number without zeros in front")
    return int.from_bytes(raw, "big")


def _unsigned(number: int, size: int | None = None) -> str:
    size = (number.bit_length() + 7) // 8 if size is None else size
    return _compact.encode_part(number.to_bytes(size, "big")).decode()
