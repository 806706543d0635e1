"""Keys: checked when they are made, bound to one algorithm, and never printed."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import NameOID
from pydantic import SecretBytes, SecretStr

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import Key
from tests.security.weak_keys import CLOSE_PRIMES_N, ROCA_N, SMALL_FACTOR_N, SMALL_ORDER_POINTS

ALGORITHMS = (
    *("HS256", "HS384", "HS512", "RS256", "RS384", "RS512"),
    *("PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"),
)
KEYS = {algorithm: Key.generate(algorithm, kid=algorithm) for algorithm in ALGORITHMS}
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
P256 = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()


OPENSSH = ed25519.Ed25519PrivateKey.generate()
OPENSSH_FORM = (serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
OPENSSH_PUBLIC_FORM = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)


def pem(private: Any, password: bytes | None = None) -> bytes:
    """A private key as PEM."""
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return private.private_bytes(  # type: ignore[no-any-return]
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )


def public_pem(private: Any) -> bytes:
    """The public half of a private key as PEM."""
    return private.public_key().public_bytes(  # type: ignore[no-any-return]
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def b64(data: bytes) -> str:
    """Unpadded base64url."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(number: int, size: int | None = None) -> str:
    """A number as a JWK writes it."""
    return b64(number.to_bytes(size or (number.bit_length() + 7) // 8, "big"))


def rsa_jwk(**members: Any) -> dict[str, Any]:
    """A public RSA key as JWK."""
    numbers = RSA.public_key().public_numbers()
    return {"kty": "RSA", "n": unsigned(numbers.n), "e": unsigned(numbers.e), **members}


def ec_jwk(private: ec.EllipticCurvePrivateKey = P256, crv: str = "P-256", **members: Any) -> dict[str, Any]:
    """A public key on an elliptic curve as JWK."""
    point, size = private.public_key().public_numbers(), (private.key_size + 7) // 8
    return {"kty": "EC", "crv": crv, "x": unsigned(point.x, size), "y": unsigned(point.y, size), **members}


def ed_jwk(**members: Any) -> dict[str, Any]:
    """A public Ed25519 key as JWK."""
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(ED.public_key().public_bytes_raw()), **members}


WEAK_BITS = 1024
OCT = {"kty": "oct", "k": b64(bytes(range(7, 250, 7)))}


class TestSigning:
    """What a key signs, it verifies."""

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_a_signature_verifies_with_its_key_only(self, algorithm: str) -> None:
        """Another message, another key and a cut signature do not."""
        key = KEYS[algorithm]
        signature = key.sign(b"message")
        assert key.verify(b"message", signature)
        assert not key.verify(b"massage", signature)
        assert not key.verify(b"message", signature[:-1])
        assert not key.verify(b"message", b"")
        assert not Key.generate(algorithm).verify(b"message", signature)

    def test_ecdsa_signatures_do_not_draw_a_nonce(self) -> None:
        """The same message gives the same signature (RFC 6979)."""
        assert KEYS["ES256"].sign(b"message") == KEYS["ES256"].sign(b"message")

    @pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name[:2] != "HS"])
    def test_the_public_half_verifies_and_does_not_sign(self, algorithm: str) -> None:
        """A JWK that was published verifies what the private key signed, and holds nothing private."""
        published = KEYS[algorithm].public_jwk()
        assert not {"d", "p", "q", "dp", "dq", "qi", "k"} & published.keys()
        assert (published["kid"], published["alg"], published["use"]) == (algorithm, algorithm, "sig")
        reader = Key.from_jwk(published)
        assert reader.verify(b"message", KEYS[algorithm].sign(b"message"))
        assert not reader.can_sign
        with pytest.raises(ConfigurationError, match="cannot sign"):
            reader.sign(b"message")

    def test_a_secret_has_no_public_half(self) -> None:
        """It must never be published."""
        with pytest.raises(ConfigurationError, match="must not be published"):
            KEYS["HS256"].public_jwk()


@pytest.mark.parametrize("kid", ["", 7, b"a"])
def test_a_name_is_a_text(kid: Any) -> None:
    """Whatever the key is made of."""
    with pytest.raises(ConfigurationError, match="kid must be a non-empty text"):
        Key.from_pem(public_pem(P256), kid=kid)


class TestPem:
    """Keys from files."""

    @pytest.mark.parametrize(("private", "algorithm"), [(RSA, "RS256"), (P256, "ES256"), (ED, "EdDSA")])
    def test_a_private_and_a_public_key_are_read(self, private: Any, algorithm: str) -> None:
        """As PEM text or bytes and as DER; the algorithm is the usual one of the key."""
        key = Key.from_pem(pem(private).decode())
        signature = key.sign(b"message")
        der = private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        assert key.algorithm == algorithm
        for text in (public_pem(private), public_pem(private).decode(), der):
            assert Key.from_pem(text).verify(b"message", signature)

    def test_an_encrypted_key_opens_with_its_password(self) -> None:
        """And says so when there is none, or another one."""
        text = pem(P256, b"correct horse")
        assert Key.from_pem(text, password=b"correct horse").can_sign
        with pytest.raises(ConfigurationError, match=r"is encrypted: pass password=\.\.\."):
            Key.from_pem(text)
        with pytest.raises(ConfigurationError, match="is encrypted: password does not open it"):
            Key.from_pem(text, password=b"wrong")
        for password in ("correct horse", SecretStr("correct horse"), SecretBytes(b"correct horse")):
            assert Key.from_pem(SecretBytes(text), password=password).can_sign
        with pytest.raises(ConfigurationError, match="is not encrypted: leave password out"):
            Key.from_pem(pem(P256), password="correct horse")
        with pytest.raises(ConfigurationError, match="password must be text or bytes; got int"):
            Key.from_pem(text, password=7)  # type: ignore[arg-type]

    def test_a_key_in_one_line_is_read(self) -> None:
        """Files of variables and dashboards hold line ends as a backslash and an n."""
        line = pem(ED).decode().replace("\n", "\\n")
        assert "\n" not in line
        assert Key.from_pem(line).kid == Key.from_pem(pem(ED)).kid

    def test_a_certificate_is_a_public_key(self) -> None:
        """Its dates and names are nobody's business here."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
        begin = datetime(2030, 1, 1, tzinfo=UTC)
        certificate = (
            x509.CertificateBuilder(name, name, P256.public_key(), 7, begin, begin.replace(year=2031))
            .sign(P256, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )
        key = Key.from_pem(certificate)
        assert key.verify(b"message", Key.from_pem(pem(P256)).sign(b"message"))

    @pytest.mark.parametrize(
        ("text", "algorithm", "problem"),
        [
            (b"", None, "must be a private key, a public key or a certificate"),
            ("\ud800", None, "must be a private key"),
            ("keys/signing.pem", None, r"not its path: pass Path\(\.\.\.\)\.read_bytes"),
            ("C:\\keys\\signing key.PEM", None, "not its path"),
            (Path("signing.pem"), None, r"got \w+Path; pass its read_bytes\(\)"),
            (7, None, "as text or bytes; got int$"),
            (OPENSSH.private_bytes(*OPENSSH_FORM), None, "in the form of OpenSSH.*ssh-keygen -p -m PKCS8"),
            (OPENSSH.public_key().public_bytes(*OPENSSH_PUBLIC_FORM), None, "in the form of OpenSSH"),
            (b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", None, "must be a private key"),
            (pem(P256), "ES384", "another kind or curve than ES384 needs"),
            (pem(P256), "RS256", "another kind or curve than RS256 needs"),
            (pem(RSA), "HS256", "another kind or curve than HS256 needs"),
            (pem(ED), "ES256", "another kind or curve than ES256 needs"),
            (pem(RSA), "none", "algorithm must be one of"),
            (pem(RSA), "rs256", "algorithm must be one of"),
            (pem(ec.generate_private_key(ec.SECP256K1())), None, "must be an RSA, P-256"),
            (pem(ec.generate_private_key(ec.SECP256K1())), "ES256", "another kind or curve"),
            (pem(ec.generate_private_key(ec.SECP384R1())), "ES256", "another kind or curve"),
            (pem(ed448.Ed448PrivateKey.generate()), "EdDSA", "another kind or curve"),
            (pem(rsa.generate_private_key(65537, WEAK_BITS)), None, "must have 2048 to 16384 bits; it has 1024"),
            (pem(rsa.generate_private_key(3, 2048)), None, "odd public exponent of at least 65537"),
        ],
    )
    def test_what_is_no_strong_key_of_its_algorithm_is_refused(
        self, text: str | bytes, algorithm: str | None, problem: str
    ) -> None:
        """The message says what is wrong and holds nothing of the key."""
        with pytest.raises(ConfigurationError, match=problem) as caught:
            Key.from_pem(text, algorithm=algorithm)
        assert "BEGIN" not in str(caught.value)


class TestJwk:
    """Keys as JSON (RFC 7517)."""

    @pytest.mark.parametrize(
        ("jwk", "problem"),
        [
            ({"keys": [OCT]}, r"this is a JWK Set: use KeySet\.from_jwks"),
            ("https://issuer.example/jwks.json", "not its address: fetch it, and pass the text"),
        ],
    )
    def test_what_is_no_single_key_says_what_to_call(self, jwk: Any, problem: str) -> None:
        """Nothing is fetched here, and a set has a class of its own."""
        with pytest.raises(ConfigurationError, match=problem):
            Key.from_jwk(jwk)

    @pytest.mark.parametrize(
        ("jwk", "algorithm"),
        [
            (OCT, "HS256"),
            ({**OCT, "alg": "HS256"}, "HS256"),
            (rsa_jwk(), "RS256"),
            (rsa_jwk(alg="PS512"), "PS512"),
            (ec_jwk(), "ES256"),
            (ec_jwk(ec.generate_private_key(ec.SECP521R1()), "P-521"), "ES512"),
            (ed_jwk(use="sig", key_ops=["verify"]), "EdDSA"),
            (rsa_jwk(kid="a", x5t="ignored", x5c=["ignored"]), "RS256"),
        ],
    )
    def test_a_key_is_bound_to_its_alg_or_the_usual_one(self, jwk: dict[str, Any], algorithm: str) -> None:
        """From a dict or its JSON text; members that are not known do not matter."""
        assert Key.from_jwk(jwk).algorithm == algorithm
        assert Key.from_jwk(json.dumps(jwk)).algorithm == algorithm
        assert Key.from_jwk(json.dumps(jwk).encode()).kid == Key.from_jwk(jwk).kid

    def test_private_members_are_read(self) -> None:
        """With and without the primes, which RFC 7518 lets a JWK leave out."""
        numbers = RSA.private_numbers()
        short = rsa_jwk(d=unsigned(numbers.d))
        names = {"p": numbers.p, "q": numbers.q, "dp": numbers.dmp1, "dq": numbers.dmq1, "qi": numbers.iqmp}
        full = {**short, **{name: unsigned(value) for name, value in names.items()}}
        private = ec_jwk(d=unsigned(P256.private_numbers().private_value, 32))
        edwards = ed_jwk(d=b64(ED.private_bytes_raw()))
        for jwk in (short, full, private, edwards):
            key = Key.from_jwk(jwk)
            assert key.verify(b"message", key.sign(b"message"))

    @pytest.mark.parametrize(
        ("jwk", "problem"),
        [
            ({}, "kty must be"),
            ({"kty": "rsa"}, "kty must be"),
            ({"kty": ["RSA"]}, "kty must be"),
            ({"kty": "oct"}, "must have a text 'k'"),
            ({"kty": "oct", "k": b64(b"short")}, "at least 32 bytes"),
            ({"kty": "oct", "k": OCT["k"] + "="}, "canonical base64url"),
            ({**OCT, "alg": "RS256"}, "needs a key such as"),
            ({**OCT, "alg": "none"}, "algorithm must be one of"),
            ({**OCT, "alg": ["HS256"]}, "alg must be a non-empty text"),
            ({**OCT, "use": "enc"}, "use must be sig"),
            ({**OCT, "use": None}, "use must be sig"),
            ({**OCT, "key_ops": ["encrypt"]}, "key_ops must be sign and verify"),
            ({**OCT, "key_ops": ["verify", "encrypt"]}, "key_ops must be sign and verify"),
            ({**OCT, "key_ops": ["verify", "verify"]}, "key_ops must be sign and verify"),
            ({**OCT, "key_ops": []}, "key_ops must be sign and verify"),
            ({**OCT, "key_ops": "verify"}, "key_ops must be a list"),
            ({**OCT, "kid": 7}, "kid must be a non-empty text"),
            ({**OCT, "kid": ""}, "kid must be a non-empty text"),
            (rsa_jwk(alg="ES256"), "another kind or curve"),
            (rsa_jwk(alg="RSA-OAEP"), "algorithm must be one of"),
            (rsa_jwk(key_ops=["sign"]), "leave it nothing to do"),
            (rsa_jwk(n="AQ"), "2048 to 16384 bits|not a key"),
            (rsa_jwk(n="AA" + rsa_jwk()["n"]), "zeros in front|canonical"),
            (rsa_jwk(e="Aw"), "public exponent"),
            (rsa_jwk(e=""), "zeros in front"),
            (rsa_jwk(e="AQ"), "not a key|public exponent"),
            (rsa_jwk(n=7), "must have a text 'n'"),
            (rsa_jwk(d="AQAB"), "numbers are not a key"),
            (rsa_jwk(d="AQAB", oth=[]), "more than two primes"),
            (rsa_jwk(n=unsigned(ROCA_N)), "ROCA"),
            (rsa_jwk(n=unsigned(CLOSE_PRIMES_N)), "so close to each other"),
            (rsa_jwk(n=unsigned(SMALL_FACTOR_N)), "small factor"),
            (ec_jwk(alg="ES384"), "another kind or curve"),
            (ec_jwk(crv="P-384"), "must have 48 bytes; it has 32"),
            (ec_jwk(crv="secp256k1"), "crv must be one of"),
            ({**ec_jwk(), "crv": ["P-256"]}, "crv must be one of"),
            (ec_jwk(x=b64(bytes(32))), "numbers are not a key"),
            (ec_jwk(x=b64(bytes(32)), y=b64(bytes(32))), "numbers are not a key"),
            (ec_jwk(x=ec_jwk()["y"], y=ec_jwk()["x"]), "numbers are not a key"),
            (ec_jwk(d=unsigned(7, 32)), "numbers are not a key"),
            (ec_jwk(d=unsigned(7)), "must have 32 bytes; it has 1"),
            (ed_jwk(crv="X25519"), "crv must be Ed25519"),
            (ed_jwk(crv="Ed448"), "crv must be Ed25519"),
            (ed_jwk(x=b64(bytes(31))), "must have 32 bytes"),
            (ed_jwk(x=b64(b"\x02" + bytes(31))), "not a point of the curve"),
            (ed_jwk(x=b64(b"\xff" * 32)), "not a point of the curve"),
            (ed_jwk(d=b64(bytes(32))), "not the public key of its d"),
        ],
    )
    def test_a_jwk_that_is_not_right_is_refused(self, jwk: dict[str, Any], problem: str) -> None:
        """Wrong members, weak numbers, points that are none and uses that are not signatures."""
        with pytest.raises(ConfigurationError, match=problem) as caught:
            Key.from_jwk(jwk)
        assert OCT["k"] not in str(caught.value)

    @pytest.mark.parametrize("point", SMALL_ORDER_POINTS)
    def test_an_ed25519_point_of_small_order_is_refused(self, point: str) -> None:
        """With such a key anybody's signature verifies."""
        with pytest.raises(ConfigurationError, match=r"small order|not a point"):
            Key.from_jwk(ed_jwk(x=b64(bytes.fromhex(point))))

    @pytest.mark.parametrize("source", [7, None, "[]", "{", b"\xff", '{"kty":"oct","kty":"oct"}', "\ud800"])
    def test_what_is_no_json_object_is_refused(self, source: Any) -> None:
        """The same rules as for a token's JSON."""
        with pytest.raises(ConfigurationError, match="a JWK"):
            Key.from_jwk(source)

    def test_the_algorithm_that_the_application_asks_for_must_be_the_keys(self) -> None:
        """It fills in a missing `alg` and never overrides one."""
        assert Key.from_jwk(rsa_jwk(), algorithm="PS256").algorithm == "PS256"
        with pytest.raises(ConfigurationError, match="alg is not PS256"):
            Key.from_jwk(rsa_jwk(alg="RS256"), algorithm="PS256")

    def test_key_ops_are_respected(self) -> None:
        """A secret that may only sign does not verify; a private key's public half does."""
        signs, verifies = Key.from_jwk({**OCT, "key_ops": ["sign"]}), Key.from_jwk({**OCT, "key_ops": ["verify"]})
        signature = signs.sign(b"message")
        assert not signs.verify(b"message", signature)
        assert verifies.verify(b"message", signature)
        assert not verifies.can_sign
        private = Key.from_jwk(ed_jwk(d=b64(ED.private_bytes_raw()), key_ops=["sign"]))
        assert private.verify(b"message", private.sign(b"message"))


class TestNames:
    """How keys are told apart."""

    def test_a_key_is_named_after_itself(self) -> None:
        """The private and the public half have one name; the example of RFC 7638 section 3.1 has the RFC's."""
        assert Key.from_pem(pem(RSA)).kid == Key.from_pem(public_pem(RSA)).kid
        example = {
            "kty": "RSA",
            "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJE"
            "CPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Q"
            "vzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6"
            "WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
            "e": "AQAB",
        }
        assert Key.from_jwk(example).kid == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"

    def test_no_repr_shows_a_secret(self) -> None:
        """Algorithm and name, and whether it signs."""
        secret = "S3cr3t-of-the-tests-0123456789-abcdefghijklmnop"
        assert repr(Key.from_secret(secret, kid="a")) == "<Key HS256 kid='a'>"
        assert repr(Key.from_pem(public_pem(P256), kid="b")) == "<Key ES256 kid='b' verifies only>"

    def test_a_secret_cannot_be_read_from_a_key_pair(self) -> None:
        """Other keys are derived from secrets only."""
        assert Key.from_secret(b"S3cr3t-of-the-tests-0123456789-abc").secret.startswith(b"S3cr3t")
        with pytest.raises(ConfigurationError, match="not a secret"):
            _ = KEYS["ES256"].secret

    @pytest.mark.parametrize("secret", [7, None, bytearray(64)])
    def test_a_secret_is_text_or_bytes(self, secret: Any) -> None:
        """Other types are refused with words."""
        with pytest.raises(ConfigurationError, match="is text or bytes"):
            Key.from_secret(secret)

    @pytest.mark.parametrize(
        "secret",
        [
            "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",  # FastAPI's tutorial
            "please-change-me-before-going-to-production",
            "your-super-secret-jwt-key-of-32-characters",
            "a-string-secret-at-least-256-bits-long",
            "django-insecure-3k2j5h6g7f8d9s0a1q2w3e4r5t6y",
            "abcdefghijklmnopqrstuvwxyz012345",
            "0123456789abcdef0123456789abcdef",
            "secretsecretsecretsecretsecretsecret",
            "ababababababababababababababababcdcd",
            "dev-secret-dev-secret-dev-secret-dev",
            "passwordpasswordpasswordpassword1",
            "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEdTJlERBg7WclEsVsOylt8jx3Oo+wWdmVwaYeEtRDuP7By/YFCW/knHjYoeXppXVFnudiKgRif"
            "VdZO/7QqG4G+A==",
        ],
    )
    def test_a_well_known_secret_is_refused(self, secret: str) -> None:
        """Placeholders, published examples, patterns and the base64 of a public key."""
        with pytest.raises(ConfigurationError, match=r"must be random|is a public key"):
            Key.from_secret(secret)
