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


class TestSecretsInJwks:
    """The `k` of a JWK is bytes that a program wrote."""

    @pytest.mark.parametrize("raw", [bytes(range(65)), b"ab" * 20])
    def test_the_looks_of_a_k_are_not_judged(self, raw: bytes) -> None:
        """A pattern may be chance, or a test's; the same bytes as a typed secret are refused."""
        key = Key.from_jwk({"kty": "oct", "k": b64(raw)})
        assert key.verify(b"text", key.sign(b"text"))
        with pytest.raises(ConfigurationError, match="repeat"):
            Key.from_secret(raw)

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            bytes(31),
            bytes(32),
            b"your-256-bit-secret-your-256-bit-secret",
            b"-----BEGIN PUBLIC KEY-----\n" + bytes(40),
        ],
    )
    def test_a_k_that_is_known_or_short_is_refused(self, raw: bytes) -> None:
        """Length, placeholders and public keys are judged in whatever form they come."""
        with pytest.raises(ConfigurationError):
            Key.from_jwk({"kty": "oct", "k": b64(raw)})


class TestJwks:
    """JWKs that are no keys leave as ConfigurationError, and soon."""

    @pytest.mark.parametrize("name", ["alg", "kid", "use", "key_ops"])
    @pytest.mark.parametrize("value", [None, 1, {}, [None]])
    def test_a_member_is_of_its_type(self, name: str, value: object) -> None:
        """A null is not an absent member."""
        with pytest.raises(ConfigurationError):
            Key.from_jwk({**PUBLIC_RSA, name: value})

    @pytest.mark.parametrize("name", ["d", "p", "q", "dp", "dq", "qi"])
    def test_the_numbers_of_a_private_key_come_together(self, name: str) -> None:
        """All of them or none (RFC 7518 section 6.3.2); without them the primes are found."""
        with pytest.raises(ConfigurationError):
            Key.from_jwk({member: value for member, value in PRIVATE_RSA.items() if member != name})
        assert Key.from_jwk({**PUBLIC_RSA, "d": PRIVATE_RSA["d"]}).can_sign

    @pytest.mark.parametrize(
        ("members", "problem"),
        [
            ({"d": "_" * 60_000}, "smaller than n"),
            ({"n": unsigned(2**16384 + 1), "d": "Aw"}, "bits"),
            ({"n": "_" * 60_000, "d": "_" * 60_000}, "bits"),
            ({"n": unsigned(N**3), "d": "Aw"}, "must have p and q"),
        ],
    )
    def test_a_size_is_seen_before_the_work(self, members: dict[str, str], problem: str) -> None:
        """The primes of a huge key would take minutes to find."""
        with pytest.raises(ConfigurationError, match=problem):
            Key.from_jwk({**PUBLIC_RSA, **members})

    @pytest.mark.parametrize("exponent", [1, 3, 65536, 65535, 2**64 + 1, 2**2047 + 1])
    def test_an_exponent_is_one_that_generators_make(self, exponent: int) -> None:
        """Small, even and huge ones are refused."""
        with pytest.raises(ConfigurationError):
            Key.from_jwk({**PUBLIC_RSA, "e": unsigned(exponent)})

    def test_a_coordinate_is_smaller_than_the_prime(self) -> None:
        """OpenSSL takes x + p for x: two spellings of one point."""
        point = ec.generate_private_key(ec.SECP521R1()).public_key().public_numbers()
        jwk = {"kty": "EC", "crv": "P-521", "x": unsigned(point.x, 66), "y": unsigned(point.y, 66)}
        assert Key.from_jwk(jwk).algorithm == "ES512"
        with pytest.raises(ConfigurationError, match="smaller than the curve's prime"):
            Key.from_jwk({**jwk, "x": unsigned(point.x + P521, 66)})

    @pytest.mark.parametrize(
        "raw",
        [
            "0100000000000000000000000000000000000000000000000000000000000000",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0000000000000000000000000000000000000000000000000000000000000080",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "0200000000000000000000000000000000000000000000000000000000000000",
        ],
    )
    def test_an_ed25519_key_is_a_point_of_large_order(self, raw: str) -> None:
        """With the others a signature can be forged, or nothing is signed."""
        with pytest.raises(ConfigurationError, match="point"):
            Key.from_jwk({"kty": "OKP", "crv": "Ed25519", "x": b64(bytes.fromhex(raw))})


class TestSets:
    """Sets of keys as issuers publish them, and as nobody should."""

    def test_secrets_do_not_stand_beside_public_keys(self) -> None:
        """Such a set is refused; single keys of both kinds may be put together while an application moves."""
        secret = {"kty": "oct", "k": b64(SECRET), "kid": "s"}
        public = {**PUBLIC_RSA, "kid": "p"}
        with pytest.raises(ConfigurationError, match="must not mix secrets"):
            KeySet.from_jwks({"keys": [secret, public]})
        assert len(KeySet([Key.from_jwk(secret), Key.from_jwk(public)]).keys) == 2

    @pytest.mark.parametrize("named", [True, False])
    def test_an_issuers_set(self, named: bool) -> None:
        """Members that are not used, keys for encryption and unknown kinds are no reason to refuse."""
        jwks = {
            "keys": [
                {"kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "kid": "k", "n": PUBLIC_RSA["n"], "e": "AQAB"},
                {"kty": "AKP", "alg": "ML-DSA-44", "kid": "m", "pub": "AA"},
                {**PUBLIC_RSA, "use": "sig", "kid": "k", "x5t": "AA", "x5c": ["MIIC"], "issuer": "https://a.example"},
            ],
            "more": {},
        }
        token = compact(
            {"alg": "RS256", "typ": "JWT", **({"kid": "k"} if named else {})}, b"text", Key(RSA, "RS256", None).sign
        )
        assert KeySet.from_jwks(jwks).verify(token) == b"text"

    def test_a_public_key_is_no_secret(self) -> None:
        """HS256 keyed with the text of the public key is refused by the key's own algorithm."""
        pem = RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        token = compact({"alg": "HS256"}, b"text", lambda data: hmac.digest(pem, data, "sha256"))
        with pytest.raises(TokenSignatureError):
            KeySet([Key.from_pem(pem)]).verify(token)

    @pytest.mark.parametrize("keys", [None, 5, [], [None], Key.generate("ES256")])
    def test_a_set_needs_keys(self, keys: Any) -> None:
        """Anything else is a ConfigurationError, also a key that stands alone."""
        with pytest.raises(ConfigurationError, match="one Key or more"):
            KeySet(keys)

    @pytest.mark.parametrize("kid", [5, [], {}, "unknown"])
    @pytest.mark.parametrize("name", ["active", "without_kid"])
    def test_a_name_is_that_of_a_key(self, name: str, kid: Any) -> None:
        """Whatever its type."""
        with pytest.raises(ConfigurationError, match="must be the kid"):
            KeySet([Key.from_secret(SECRET)], **{name: kid})

    @pytest.mark.parametrize("secrets", [None, "secret" * 20, b"secret" * 20, []])
    def test_secrets_are_several(self, secrets: Any) -> None:
        """A text is not taken for a sequence of one-letter secrets."""
        with pytest.raises(ConfigurationError):
            KeySet.from_secrets(secrets)


class TestPem:
    """Keys as files hold them."""

    def test_a_text_may_stand_before_the_key(self) -> None:
        """As openssl writes it (RFC 7468 section 2)."""
        name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a")])
        day = datetime(2025, 1, 1, tzinfo=UTC)
        certificate = (
            x509.CertificateBuilder(name, name, RSA.public_key(), 1, day, day + timedelta(days=1))
            .sign(RSA, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )
        key = Key.from_pem(b"Certificate:\n    Data:\n        Version: 3 (0x2)\n" + certificate)
        assert key.public_jwk()["n"] == PUBLIC_RSA["n"]

    @pytest.mark.parametrize("data", [None, 5, ["x"], RSA, {}])
    def test_what_is_no_text_is_refused(self, data: Any) -> None:
        """An unset variable is a ConfigurationError, too."""
        with pytest.raises(ConfigurationError, match="text or bytes; got"):
            Key.from_pem(data)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"sub": "a\0"}, "'sub' holds NUL"),
        ({"sub": "1", "jti": 5}, "'jti' is not a non-empty string"),
        ({"sub": "1", "jti": ""}, "'jti' is not a non-empty string"),
        ({"sub": "1", "nbf": "2030-01-01"}, "'nbf' is not a finite number"),
        ({"sub": "1", "nbf": None}, "'nbf' is not a finite number"),
        ({"sub": "1", "photo": "x" * 8192}, "decode refuses more than 8192"),
    ],
)
def test_no_token_is_made_that_nobody_can_read(data: dict[str, Any], problem: str) -> None:
    """What `decode` would refuse is a ValueError where it is written."""
    codec = TokenCodec(TokenConfig(keys=Key.from_secret(SECRET)))
    with pytest.raises(ValueError, match=problem):
        codec.encode(data)
    assert codec.decode(codec.encode({"sub": "1", "nbf": 1.5, "jti": "a"})).jti == "a"


FRODO = (
    "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIG"
    "lmIHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4"
)
JOE = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"


@pytest.mark.parametrize(
    ("jwk", "token"),
    [
        pytest.param(
            {
                "kty": "oct",
                "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
            },
            f"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.{JOE}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            id="RFC 7515 A.1",
        ),
        pytest.param(
            {
                "kty": "EC",
                "crv": "P-256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
                "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
            },
            f"eyJhbGciOiJFUzI1NiJ9.{JOE}."
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
            id="RFC 7515 A.3",
        ),
        pytest.param(
            {
                "kty": "oct",
                "kid": "018c0ae5-4d9b-471b-bfd6-eef314bc7037",
                "use": "sig",
                "alg": "HS256",
                "k": "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg",
            },
            f"eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9.{FRODO}."
            "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0",
            id="RFC 7520 4.4",
        ),
        pytest.param(
            {
                "kty": "EC",
                "kid": "bilbo.baggins@hobbiton.example",
                "use": "sig",
                "crv": "P-521",
                "x": "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7ytDyRXYgCF5cj0Kt",
                "y": "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmbnX9cwlGfP-HqHZR1",
            },
            f"eyJhbGciOiJFUzUxMiIsImtpZCI6ImJpbGJvLmJhZ2dpbnNAaG9iYml0b24uZXhhbXBsZSJ9.{FRODO}."
            "AE_R_YZCChjn4791jSQCrdPZCNYqHXCTZH0-JZGYNlaAjP2kqaluUIIUnC9qvbu9Plon7KRTzoNEuT4Va2cmL1eJAQy3mtPBu_u_sDDyYjnAMDxXPn7"
            "XrT0lw-kvAD890jl8e2puQens_IEKBpHABlsbEPX6sFY8OcGDqoRuBomu9xQ2",
            id="RFC 7520 4.3",
        ),
        pytest.param(
            {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
            id="RFC 8037 A.4",
        ),
    ],
)
def test_examples_of_the_standards(jwk: dict[str, Any], token: str) -> None:
    """They verify, and stop to do so when their payload changes."""
    keys = KeySet([Key.from_jwk(jwk)])
    header, payload, signature = token.split(".")
    assert b64(keys.verify(token)) == payload
    with pytest.raises(TokenSignatureError):
        keys.verify(f"{header}.{payload[:-4]}AAAA.{signature}")
