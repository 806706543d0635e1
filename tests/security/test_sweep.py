"""Every token near a good one is refused, and whatever comes in, only the library's own errors go out."""

import base64
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given, settings
from hypothesis import strategies as st

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import Key, KeySet, OneTimeTokens, TokenCodec, TokenConfig, TokenError

MadeT = TypeVar("MadeT")

SECRET = "S3cr3t-of-the-sweep-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGH"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
ALGORITHMS = ("HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "ES384", "ES512", "EdDSA")
KEYS = {algorithm: Key.generate(algorithm, kid="k") for algorithm in ALGORITHMS}
CODECS = {algorithm: TokenCodec(TokenConfig(keys=key)) for algorithm, key in KEYS.items()}
TOKENS = {algorithm: codec.encode({"sub": "7"}) for algorithm, codec in CODECS.items()}


def b64(data: bytes) -> str:
    """Bytes as base64url."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def refused(read: Callable[..., object], *arguments: Any, **named: Any) -> bool:
    """Tell whether it ends in a TokenError; any other exception leaves."""
    try:
        read(*arguments, **named)
    except TokenError:
        return True
    return False


def changed_characters(token: str) -> Iterator[str]:
    """Each character as another one, as a foreign one, taken away, and twice."""
    for place, character in enumerate(token):
        before, after = token[:place], token[place + 1 :]
        yield before + ALPHABET[ALPHABET.find(character) - 1] + after
        yield before + "=+/ \n\0é."[place % 8] + after
        yield before + after
        yield before + character * 2 + after


def changed_bits(token: str) -> Iterator[str]:
    """The signature with each of its bits turned."""
    signed, _, signature = token.rpartition(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    for bit in range(8 * len(raw)):
        turned = bytearray(raw)
        turned[bit // 8] ^= 1 << bit % 8
        yield f"{signed}.{b64(bytes(turned))}"


class TestSweep:
    """What is one character or one bit away from a good token."""

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_any_changed_character_is_refused(self, algorithm: str) -> None:
        """Replaced, foreign, missing or doubled, wherever it stands."""
        token, codec = TOKENS[algorithm], CODECS[algorithm]
        assert codec.decode(token).sub == "7"
        near = [changed for changed in changed_characters(token) if changed != token]
        assert len(near) >= 4 * len(token) - 10
        assert [changed for changed in near if not refused(codec.decode, changed)] == []

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_any_turned_bit_of_the_signature_is_refused(self, algorithm: str) -> None:
        """Each of them, also those of zeros in front."""
        codec = CODECS[algorithm]
        near = list(changed_bits(TOKENS[algorithm]))
        assert len(near) >= 8 * 32
        assert [changed for changed in near if not refused(codec.decode, changed)] == []

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    def test_another_key_of_the_same_kind_is_refused(self, algorithm: str) -> None:
        """Signatures of a stranger, and of every other algorithm, verify nowhere."""
        stranger = KeySet([Key.generate(algorithm, kid="k")])
        assert refused(stranger.verify, TOKENS[algorithm])
        others = [token for name, token in TOKENS.items() if name != algorithm]
        assert all(refused(CODECS[algorithm].decode, token) for token in others)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = JSON | st.binary(max_size=40) | st.sampled_from([object(), str, ..., 1j, {1}, range(3)])
PIECES = st.sampled_from(
    [*(part for token in TOKENS.values() for part in token.split(".")), "e30", "bnVsbA", "W10", ""]
)
NEARLY = st.lists(PIECES | st.text(alphabet=ALPHABET + "=", max_size=12), max_size=5).map(".".join)
HEADER_NAMES = ("alg", "typ", "kid", "crit", "b64", "zip", "enc", "cty", "jku", "jwk", "x5u", "x5c", "x5t")
CLAIM_NAMES = ("sub", "exp", "nbf", "iat", "iss", "aud", "jti", "scope", "scopes", "type", "token_type", "kind")
HEADERS = st.dictionaries(st.sampled_from(HEADER_NAMES), JSON | st.sampled_from(["HS256", "JWT", "k"]), max_size=5)
CLAIMS = st.dictionaries(st.sampled_from(CLAIM_NAMES), JSON, max_size=6)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)


def signed(header: object, payload: bytes) -> str:
    """Sign any header and payload rightly with the key of HS256."""
    text = f"{b64(json.dumps(header).encode())}.{b64(payload)}"
    return f"{text}.{b64(KEYS['HS256'].sign(text.encode()))}"


class TestOnlyTokenErrorsLeave:
    """Whatever a client sends is good or a TokenError."""

    @settings(deadline=None, max_examples=200)
    @given(st.text() | NEARLY | OBJECTS)
    def test_of_anything(self, token: Any) -> None:
        """Texts, near tokens, and objects that are no text are refused by each way in."""
        for algorithm in ("HS256", "EdDSA"):
            codec = CODECS[algorithm]
            assert token in TOKENS.values() or refused(codec.decode, token)
            refused(codec.decode_expired, token, max_age=timedelta(days=1))
            refused(codec.keys.verify, token)

    @settings(deadline=None, max_examples=200)
    @given(HEADERS | JSON, CLAIMS | JSON)
    def test_of_signed_nonsense(self, header: Any, payload: Any) -> None:
        """Any JSON as header and payload, rightly signed."""
        token = signed(header, json.dumps(payload).encode())
        codec = CODECS["HS256"]
        refused(codec.decode, token)
        refused(codec.decode_expired, token, max_age=timedelta(days=365))
        refused(codec.keys.verify, token)

    @settings(deadline=None, max_examples=200)
    @given(CLAIMS, NUMBERS.filter(lambda number: number > 4e9), NUMBERS, st.text(min_size=1))
    def test_of_nearly_good_claims(self, claims: dict[str, Any], exp: float, nbf: float, sub: str) -> None:
        """Claims that are accepted can be read without an error."""
        token = signed({"alg": "HS256"}, json.dumps({**claims, "exp": exp, "nbf": nbf, "sub": sub}).encode())
        try:
            found = CODECS["HS256"].decode(token)
        except TokenError:
            return
        assert (found.sub, found.expires_at.year >= 2096, nbf <= 4e9) == (sub, True, True)
        assert isinstance(found.scopes, frozenset)
        assert found.issued_at is None or found.issued_at.tzinfo is not None
        refused(lambda: found.int_sub)
        refused(lambda: found.uuid_sub)

    @settings(deadline=None, max_examples=100)
    @given(st.binary(max_size=60))
    def test_of_signed_bytes(self, payload: bytes) -> None:
        """At the level of JWS they come back as they are; they are claims only when they say so."""
        token = signed({"alg": "HS256"}, payload)
        assert CODECS["HS256"].keys.verify(token) == payload
        assert refused(CODECS["HS256"].decode, token)


PUBLIC = [key.public_jwk() for key in KEYS.values() if not key.is_secret]
GOOD_JWKS = [*PUBLIC, {"kty": "oct", "k": b64(bytes(range(0, 250, 5))), "alg": "HS256", "kid": "o"}]
MEMBERS = (
    "kty",
    "alg",
    "use",
    "key_ops",
    "kid",
    "crv",
    "x",
    "y",
    "d",
    "n",
    "e",
    "k",
    "p",
    "q",
    "dp",
    "dq",
    "qi",
    "oth",
)
VALUES = (
    JSON
    | st.sampled_from(["RSA", "EC", "OKP", "oct", "P-256", "P-521", "Ed25519", "sig", "AQAB", "AQ", "AA", ["verify"]])
    | st.sampled_from([value for jwk in GOOD_JWKS for value in jwk.values()])
    | st.binary(max_size=300).map(b64)
)
JWKS = st.builds(
    lambda jwk, changes, without: {name: value for name, value in {**jwk, **changes}.items() if name not in without},
    st.sampled_from([*GOOD_JWKS, {}]),
    st.dictionaries(st.sampled_from(MEMBERS), VALUES, max_size=3),
    st.sets(st.sampled_from(MEMBERS), max_size=2),
)


def made(make: Callable[..., MadeT], *arguments: Any, **named: Any) -> MadeT | None:
    """Give what is made, or None after a ConfigurationError; any other exception leaves."""
    try:
        return make(*arguments, **named)
    except ConfigurationError:
        return None


class TestOnlyConfigurationErrorsLeave:
    """Whatever stands in a file of keys is a key or a ConfigurationError."""

    @settings(deadline=None, max_examples=300)
    @given(JWKS | OBJECTS)
    def test_of_a_jwk(self, jwk: Any) -> None:
        """A changed JWK is no key, or one that can be used and named."""
        key = made(Key.from_jwk, jwk)
        if key is not None:
            assert not key.verify(b"text", b"signature")
            assert key.kid in repr(key) or repr(key.kid) in repr(key)
            assert key.is_secret or Key.from_jwk(key.public_jwk()).kid == key.kid

    @settings(deadline=None, max_examples=150)
    @given(st.lists(JWKS | JSON, max_size=4), st.booleans(), JSON)
    def test_of_a_jwk_set(self, jwks: list[Any], as_text: bool, odd: Any) -> None:
        """Of a set too, as an object or as text."""
        document = {"keys": jwks}
        keys = made(KeySet.from_jwks, json.dumps(document) if as_text else document)
        assert keys is None or all(isinstance(key, Key) for key in keys.keys)
        made(KeySet.from_jwks, {"keys": odd})
        made(KeySet.from_jwks, odd)
        made(Key.from_jwk, json.dumps(odd))

    @settings(deadline=None, max_examples=200)
    @given(st.data())
    def test_of_pem_and_der(self, data: st.DataObject) -> None:
        """Bytes, texts, and files of good keys with a piece changed."""
        form = data.draw(st.sampled_from(FILES))
        place = data.draw(st.integers(0, len(form)))
        raw = data.draw(
            st.sampled_from([form[:place] + data.draw(st.binary(max_size=4)) + form[place + 2 :], form[:place]])
        )
        for text in (raw, raw.decode("latin-1"), data.draw(OBJECTS)):
            key = made(Key.from_pem, text, password=data.draw(st.none() | st.just(b"x")))
            assert key is None or not key.verify(b"text", b"signature")

    @settings(deadline=None, max_examples=200)
    @given(st.binary(max_size=80) | st.text(max_size=80) | OBJECTS, st.sampled_from(["HS256", "HS512"]) | OBJECTS)
    def test_of_a_secret(self, secret: Any, algorithm: Any) -> None:
        """A secret is taken or refused, whatever it and its algorithm are."""
        key = made(Key.from_secret, secret, algorithm=algorithm)
        assert key is None or key.verify(b"text", key.sign(b"text"))


def _files() -> Iterator[bytes]:
    for algorithm in ("RS256", "ES256", "EdDSA"):
        material: Any = KEYS[algorithm]._material
        for encoding in (serialization.Encoding.PEM, serialization.Encoding.DER):
            yield material.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            yield material.public_key().public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


FILES = list(_files())


KINDS = ("access", "refresh", "password-reset", "email-check", "invitation")
CODEC = TokenCodec(TokenConfig(secret_key=SECRET))
ONCE = {kind: OneTimeTokens(SECRET, purpose=kind, expires_delta=timedelta(hours=1)) for kind in KINDS[2:]}
WRITE: dict[str, Callable[[], str]] = {
    **{kind: partial(CODEC.encode, {"sub": "7"}, kind=kind) for kind in KINDS},
    **{f"one-time {kind}": partial(once.issue, "7", state="s") for kind, once in ONCE.items()},
}
READ: dict[str, Callable[[str], object]] = {
    **{kind: partial(CODEC.decode, kind=kind) for kind in KINDS},
    **{f"one-time {kind}": partial(once.verify, state="s") for kind, once in ONCE.items()},
}


@pytest.mark.parametrize("reader", READ)
@pytest.mark.parametrize("writer", WRITE)
def test_a_token_of_one_kind_is_of_no_other(writer: str, reader: str) -> None:
    """One secret makes them all, and only the diagonal is accepted (RFC 8725 section 3.12)."""
    token = WRITE[writer]()
    assert refused(READ[reader], token) is (writer != reader)


def test_a_token_opens_nothing() -> None:
    """Headers that name files, addresses and keys cause no event of the interpreter that opens or connects."""
    program = textwrap.dedent("""
        import base64, json, sys
        from fastapi_patterns.security import Key, KeySet, TokenCodec, TokenConfig, TokenError

        def b64(data):
            return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

        keys = {name: Key.generate(name) for name in ("HS256", "RS256", "PS256", "ES256", "EdDSA")}
        path, url = "/etc/passwd", "http://127.0.0.1:9/keys"
        headers = [{"jku": url}, {"x5u": url}, {"x5u": "file://" + path}, {"x5c": [path]}, {"x5t": path}, {"jwk": {}},
            {"kid": path}, {"kid": "../../" + path}, {"kid": url}, {"kid": "|id"}, {"jwk": keys["RS256"].public_jwk()}]
        tokens = []
        for name, key in keys.items():
            for more in headers:
                text = b64(json.dumps({"alg": name, **more}).encode()) + "." + b64(b'{"sub":"7","exp":4102444800}')
                for signature in (key.sign(text.encode()), b"x" * 64, b""):
                    tokens.append((name, text + "." + b64(signature)))
        codecs = {name: TokenCodec(TokenConfig(keys=KeySet([key]))) for name, key in keys.items()}
        events, accepted = [], 0
        watching = False

        def hook(event, arguments):
            if watching and event.split(".")[0] in ("open", "socket", "os", "subprocess", "urllib", "import", "exec"):
                events.append(event)

        sys.addaudithook(hook)
        watching = True
        for name, token in tokens:
            try:
                accepted += codecs[name].decode(token).sub == "7"
            except TokenError:
                pass
        watching = False
        assert open(__import__("os").devnull) and not events
        print(len(tokens), accepted, events)
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["165", "55", "[]"], done.stderr
