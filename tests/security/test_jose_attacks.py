"""Keys and signatures that attackers and broken software make, and good ones that a strict reader may wrongly refuse.

Source of the good examples: RFC 7515 appendix A, RFC 7520 section 4, RFC 8037 appendix A.
"""

import base64
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import Key, KeySet, TokenCodec, TokenConfig, TokenMalformedError, TokenSignatureError

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
NUMBERS = RSA.private_numbers()
N = NUMBERS.public_numbers.n
SECRET = bytes(range(7, 249, 5))
P521 = 2**521 - 1


def b64(data: bytes) -> str:
    """Bytes as base64url."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(number: int, size: int | None = None) -> str:
    """A number as base64url."""
    return b64(number.to_bytes((number.bit_length() + 7) // 8 if size is None else size, "big"))


def compact(header: dict[str, Any] | str, payload: bytes, sign: Callable[[bytes], bytes]) -> str:
    """Sign any payload under any header."""
    text = header if isinstance(header, str) else json.dumps(header)
    signed = f"{b64(text.encode())}.{b64(payload)}"
    return f"{signed}.{b64(sign(signed.encode()))}"


PUBLIC_RSA = {"kty": "RSA", "n": unsigned(N), "e": "AQAB"}
PRIVATE_RSA = {
    **PUBLIC_RSA,
    "d": unsigned(NUMBERS.d),
    "p": unsigned(NUMBERS.p),
    "q": unsigned(NUMBERS.q),
    "dp": unsigned(NUMBERS.dmp1),
    "dq": unsigned(NUMBERS.dmq1),
    "qi": unsigned(NUMBERS.iqmp),
}


class TestSignatures:
    """A signature has one spelling."""

    @pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
    def test_zeros_in_front_of_an_rsa_signature_belong_to_it(self, algorithm: str) -> None:
        """A signature that begins with a zero is as long as the modulus; without the zero it is refused."""
        key = Key(RSA, algorithm, "a")
        made = ((text, key.sign(text)) for text in (b"%d" % number for number in range(10_000)))
        data, signature = next((text, signature) for text, signature in made if signature[0] == 0)
        assert key.verify(data, signature)
        assert not key.verify(data, signature.lstrip(b"\0"))
        assert not key.verify(data, b"\0" + signature)

    @pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
    def test_an_rsa_signature_is_smaller_than_the_modulus(self, algorithm: str) -> None:
        """The same number modulo n is another signature, and no good one."""
        key = Key(RSA, algorithm, "a")
        signature = int.from_bytes(key.sign(b"text"), "big") + N
        assert not key.verify(b"text", signature.to_bytes((signature.bit_length() + 7) // 8, "big"))

    @pytest.mark.parametrize("salt", [0, 20, 31, 33, 222])
    def test_the_salt_is_as_long_as_the_hash(self, salt: int) -> None:
        """RFC 7518 section 3.5 fixes the length; others verify nothing."""
        signature = RSA.sign(b"text", padding.PSS(padding.MGF1(hashes.SHA256()), salt), hashes.SHA256())
        assert not Key(RSA.public_key(), "PS256", None).verify(b"text", signature)

    def test_s_plus_the_order_is_no_ed25519_signature(self) -> None:
        """RFC 8032 section 5.1.7 wants S in its range."""
        key = Key.generate("EdDSA")
        signature = key.sign(b"text")
        scalar = int.from_bytes(signature[32:], "little") + 2**252 + 27742317777372353535851937790883648493
        assert key.verify(b"text", signature)
        assert not key.verify(b"text", signature[:32] + scalar.to_bytes(32, "little"))


class TestJson:
    """What JSON may say, it says; what costs too much is refused."""

    @pytest.mark.parametrize(
        "extra",
        [
            {"resource_access": {f"client-{number}": {"roles": ["reader"]} for number in range(140)}},
            {"permissions": [{"on": number} for number in range(300)]},
            {"pattern": "[{" * 1000 + '\\"['},
            {"deep": json.loads("[" * 120 + "]" * 120)},
        ],
    )
    def test_many_brackets_are_not_deep(self, extra: dict[str, Any]) -> None:
        """Tokens with many roles, or with brackets in a text, are read."""
        key = Key.from_secret(SECRET)
        payload = json.dumps({"sub": "1", "exp": 4102444800, **extra}).encode()
        token = compact({"alg": "HS256"}, payload, key.sign)
        assert TokenCodec(TokenConfig(keys=key)).decode(token)["sub"] == "1"

    @pytest.mark.parametrize(
        "text",
        [
            '{"a":' + "[" * 128 + "]" * 128 + "}",
            "[" * 5000,
            '{"a":' * 900 + "1" + "}" * 900,
            '{"a":"\\\\",' + '"b":[' * 300,
        ],
    )
    def test_deep_nesting_is_refused(self, text: str) -> None:
        """It would end in a RecursionError, here or where the claims are used."""
        key = Key.from_secret(SECRET)
        with pytest.raises(TokenMalformedError, match="nested too deeply"):
            KeySet([key]).verify(compact(text, b"", key.sign))
        with pytest.raises(TokenMalformedError, match="nested too deeply"):
            TokenCodec(TokenConfig(keys=key)).decode(compact({"alg": "HS256"}, text.encode(), key.sign))

    @pytest.mark.parametrize(
        "header",
        [
            '{"\\u0061lg":"HS256"}',
            '{"alg":"\\u0048S256"}',
            ' {\n"alg" :\t"HS256" }\r\n',
            '{"alg":"HS256","x":"\\ud83d\\ude00"}',
        ],
    )
    def test_escapes_and_blanks_are_json(self, header: str) -> None:
        """A header may be written in any way that JSON allows."""
        key = Key.from_secret(SECRET)
        assert KeySet([key]).verify(compact(header, b"text", key.sign)) == b"text"

    @pytest.mark.parametrize(
        "header",
        ['{"alg":"HS256","\\u0061lg":"HS256"}', '{"alg":"HS256","\\u0063rit":["exp"]}', '{"alg":"HS256","b64":true}'],
    )
    def test_escapes_hide_nothing(self, header: str) -> None:
        """A name that stands twice, or asks for an extension, is seen however it is written."""
        key = Key.from_secret(SECRET)
        with pytest.raises(TokenMalformedError):
            KeySet([key]).verify(compact(header, b"text", key.sign))
