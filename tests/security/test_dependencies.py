"""What is used of python-jose and passlib, and that their known weaknesses are not within reach."""

import base64
import hashlib
import hmac
import json
import subprocess
import sys
import time
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import Key, TokenCodec, TokenConfig, TokenError, TokenMalformedError

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
DER = serialization.Encoding.DER
NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "api.example")])

# In a process of its own: what this one has imported for other tests does not count.
EVERYTHING = """
import sys

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from fastapi_patterns.security import Key, KeySet, PasswordHasher, TokenCodec, TokenConfig

private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
keys = [Key.from_secret(bytes(range(7, 249, 5)))]
keys += [Key(private, algorithm, algorithm) for algorithm in ("RS256", "PS256")]
keys.append(Key(ec.generate_private_key(ec.SECP256R1()), "ES256", "e"))
keys.append(Key(ed25519.Ed25519PrivateKey.generate(), "EdDSA", "d"))
for key in keys:
    codec = TokenCodec(TokenConfig(keys=key))
    assert codec.decode(codec.encode({"sub": "ada"})).sub == "ada"
hasher = PasswordHasher()
assert hasher.verify("password", "$pbkdf2-sha256$1000$c2FsdHNhbHQ$" + "A" * 43) is False
print(*sorted(name for name in sys.modules if name.split(".")[0] in ("jose", "ecdsa", "rsa", "pyasn1")))
"""


def test_only_the_keys_of_python_jose_are_used_and_nothing_of_ecdsa() -> None:
    """Every algorithm signs and verifies with `cryptography`; the readers of JWT, JWS and JWE are not even imported."""
    command = [sys.executable, "-W", "error", "-c", EVERYTHING]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    loaded = set(ran.stdout.split())
    assert "jose.jwk" in loaded
    assert not loaded & {"jose.jwt", "jose.jws", "jose.jwe"}
    assert not [name for name in loaded if name.split(".")[0] in ("ecdsa", "rsa", "pyasn1")]


def _certificate() -> bytes:
    now = datetime.now(UTC)
    building = x509.CertificateBuilder().subject_name(NAME).issuer_name(NAME).public_key(RSA.public_key())
    building = building.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return building.sign(RSA, hashes.SHA256()).public_bytes(DER)


@pytest.mark.parametrize(
    "public",
    [
        RSA.public_key().public_bytes(DER, SPKI),
        RSA.public_key().public_bytes(DER, serialization.PublicFormat.PKCS1),
        ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(DER, SPKI),
        ed25519.Ed25519PrivateKey.generate().public_key().public_bytes(DER, SPKI),
        _certificate(),
    ],
    ids=["rsa", "rsa-pkcs1", "ec", "ed25519", "certificate"],
)
def test_a_public_key_in_der_is_no_secret(public: bytes) -> None:
    """CVE-2026-85394: python-jose takes it for one, so that everybody could sign."""
    for secret in (public, base64.b64encode(public)):
        with pytest.raises(ConfigurationError) as caught:
            TokenConfig(secret_key=secret)
        assert public.hex() not in str(caught.value)


@pytest.mark.parametrize("encoding", [DER, serialization.Encoding.PEM, serialization.Encoding.OpenSSH])
def test_a_token_signed_with_the_public_key_is_refused(encoding: serialization.Encoding) -> None:
    """CVE-2024-33663 and CVE-2026-85394, seen from the token: `HS256` with what everybody has."""
    form = serialization.PublicFormat.OpenSSH if encoding is serialization.Encoding.OpenSSH else SPKI
    public = RSA.public_key().public_bytes(encoding, form)
    codec = TokenCodec(TokenConfig(keys=Key(RSA, "RS256", "a")))
    header, claims = {"alg": "HS256", "typ": "at+jwt", "kid": "a"}, {"sub": "admin", "exp": time.time() + 60}
    signed = f"{_b64(json.dumps(header).encode())}.{_b64(json.dumps(claims).encode())}"
    signature = hmac.new(public, signed.encode(), hashlib.sha256).digest()
    with pytest.raises(TokenError):
        codec.decode(f"{signed}.{_b64(signature)}")


def test_an_encrypted_token_is_not_opened() -> None:
    """CVE-2024-33664: one of 8 kB that unpacks to 8 MB is refused for its five parts."""
    packed = zlib.compress(b"\0" * 2**23)[2:-4]
    header = json.dumps({"alg": "dir", "enc": "A256GCM", "zip": "DEF"}).encode()
    token = ".".join([_b64(header), "", _b64(b"\0" * 12), _b64(packed)[:7000], _b64(b"\0" * 16)])
    codec = TokenCodec(TokenConfig(secret_key=bytes(range(7, 249, 5))))
    with pytest.raises(TokenMalformedError):
        codec.decode(token)


def _b64(data: Any) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
