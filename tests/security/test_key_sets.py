"""Key sets: one key signs, the `kid` of a token says which one verifies, and none is tried."""

import base64
import json
import logging
from typing import Any

import pytest

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import Key, KeySet, TokenError, TokenMalformedError, TokenSignatureError

SECRETS = ("S3cr3t-of-the-tests-0123456789-abc", "T0ken-key-of-yesterday-9876543210-xyz")
RSA, EC, ED = (Key.generate(algorithm, kid=algorithm) for algorithm in ("RS256", "ES256", "EdDSA"))
MIXED = KeySet([RSA, EC, ED, Key.from_secret(SECRETS[0], kid="HS256")])


def part(value: object) -> str:
    """One part of a compact JWS."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(key: Key, header: dict[str, Any], payload: bytes = b"payload") -> str:
    """Sign under any header."""
    text = f"{part(header)}.{part(payload)}"
    return f"{text}.{part(key.sign(text.encode()))}"


class TestVerify:
    """`KeySet.verify` is the JWS-level call."""

    @pytest.mark.parametrize("key", MIXED.keys, ids=lambda key: key.kid)
    def test_each_key_of_a_mixed_set_verifies_what_it_signed(self, key: Key) -> None:
        """By its `kid`; any payload comes back as bytes."""
        for payload in (b"", b"\x00\xff", b'{"a": 1}'):
            assert MIXED.verify(signed(key, {"alg": key.algorithm, "kid": key.kid}, payload)) == payload

    def test_no_key_is_tried(self) -> None:
        """A token of one key under the name of another, under no name or an unknown one is refused."""
        for header in ({"kid": "ES256"}, {}, {"kid": "unknown"}, {"kid": "../../dev/null"}, {"kid": ""}):
            with pytest.raises(TokenSignatureError):
                MIXED.verify(signed(RSA, {"alg": "RS256", **header}))

    @pytest.mark.parametrize("alg", ["HS256", "PS256", "RS512", "none", "rs256", None, ["RS256"], 7])
    def test_the_algorithm_is_the_keys(self, alg: object) -> None:
        """Whatever the header says."""
        with pytest.raises(TokenSignatureError, match="algorithm is not the key's"):
            MIXED.verify(signed(RSA, {"alg": alg, "kid": "RS256"}))

    @pytest.mark.parametrize("kid", [None, 7, ["RS256"], {"RS256": 1}, True])
    def test_a_kid_is_text(self, kid: object) -> None:
        """Any other type is no name."""
        with pytest.raises(TokenMalformedError, match="'kid' is not a text"):
            MIXED.verify(signed(RSA, {"alg": "RS256", "kid": kid}))

    @pytest.mark.parametrize("header", [{"crit": ["exp"]}, {"crit": []}, {"b64": True}, {"zip": "DEF"}, {"typ": 7}])
    def test_a_header_that_asks_for_more_is_refused(self, header: dict[str, Any]) -> None:
        """No extension is supported."""
        with pytest.raises(TokenMalformedError):
            MIXED.verify(signed(RSA, {"alg": "RS256", "kid": "RS256", **header}))

    def test_an_only_key_without_a_name_of_its_own_takes_any_kid(self) -> None:
        """Another issuer's name for it is not known here; a name that was given must fit."""
        unnamed = KeySet([Key.from_secret(SECRETS[0])])
        token = signed(unnamed.keys[0], {"alg": "HS256", "kid": "theirs"})
        assert unnamed.verify(token) == b"payload"
        with pytest.raises(TokenSignatureError, match="no key has the token's kid"):
            KeySet([Key.from_secret(SECRETS[0], kid="ours")]).verify(token)

    def test_one_key_may_be_named_for_tokens_without_kid(self) -> None:
        """The one that signed before there were names."""
        keys = KeySet([EC, RSA], without_kid="RS256")
        assert keys.verify(signed(RSA, {"alg": "RS256"})) == b"payload"
        with pytest.raises(TokenSignatureError):
            keys.verify(signed(EC, {"alg": "ES256"}))

    def test_the_size_is_measured_first(self) -> None:
        """8 KiB by default."""
        token = MIXED.sign(bytes(10_000))
        assert MIXED.verify(token, max_bytes=20_000) == bytes(10_000)
        with pytest.raises(TokenMalformedError, match="longer than 8192 bytes"):
            MIXED.verify(token)

    def test_headers_that_were_seen_are_remembered_within_bounds(self) -> None:
        """And a header that was good once does not make a bad signature good."""
        keys = KeySet([ED])
        for number in range(200):
            good = signed(ED, {"alg": "EdDSA", "kid": "EdDSA", "n": number})
            assert keys.verify(good) == b"payload"
            bad = good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")
            with pytest.raises(TokenError):
                keys.verify(bad)
        assert len(keys._known_headers) <= 64


class TestSign:
    """The active key signs."""

    def test_the_key_marked_active_signs(self) -> None:
        """And says so; the newest does not sign by itself."""
        keys = KeySet([EC, RSA, ED], active="EdDSA")
        header = json.loads(base64.urlsafe_b64decode(keys.sign(b"x", {"typ": "JOSE"}).split(".")[0] + "=="))
        assert header == {"typ": "JOSE", "alg": "EdDSA", "kid": "EdDSA"}
        assert keys.verify(keys.sign(b"x")) == b"x"
        assert KeySet([EC, RSA]).signing_key() is EC

    def test_a_set_of_public_keys_does_not_sign(self) -> None:
        """It says what is missing."""
        public = KeySet.from_jwks(KeySet([RSA, EC]).public_jwks())
        with pytest.raises(ConfigurationError, match="no key of the set can sign"):
            public.sign(b"x")

    def test_the_first_that_can_sign_is_active(self) -> None:
        """Public keys before it are passed over."""
        assert KeySet([Key.from_jwk(EC.public_jwk()), RSA]).signing_key() is RSA


class TestMaking:
    """A set that cannot work does not come into being."""

    @pytest.mark.parametrize(
        ("make", "problem"),
        [
            (lambda: KeySet([]), "one Key or more"),
            (lambda: KeySet(["secret"]), "one Key or more"),  # type: ignore[list-item]
            (lambda: KeySet([RSA, Key.generate("ES256", kid="RS256")]), "have the same kid"),
            (lambda: KeySet([RSA], active="EC"), "active must be the kid"),
            (lambda: KeySet([RSA], without_kid="EC"), "without_kid must be the kid"),
            (lambda: KeySet([Key.from_jwk(RSA.public_jwk())], active="RS256"), "cannot sign"),
            (lambda: KeySet.from_jwks([]), "is a mapping or its JSON text"),  # type: ignore[arg-type]
            (lambda: KeySet.from_jwks("[]"), "must be a JSON object"),
            (lambda: KeySet.from_jwks("HTTPS://issuer.example"), "not its address: fetch it, and pass the text"),
            (lambda: KeySet.from_jwks(RSA.public_jwk()), r"for a single JWK use KeySet\(\[Key\.from_jwk"),
            (lambda: KeySet.from_jwks({}), 'must have "keys"'),
            (lambda: KeySet.from_jwks({"keys": {}}), 'must have "keys"'),
            (lambda: KeySet.from_jwks({"keys": [7, {"kty": "EC"}]}), "no key that can be used"),
            (lambda: KeySet.from_jwks({"keys": [RSA.public_jwk(), RSA.public_jwk()]}), "have the same kid"),
            (lambda: KeySet.from_env({}), "SECRET_KEY is not set"),
            (
                lambda: KeySet.from_env({"SECRET_KEY": SECRETS[0], "SECRET_KEY_PREVIOUS": "short"}),
                "SECRET_KEY_PREVIOUS: .* at least 32 bytes",
            ),
            (
                lambda: KeySet.from_env({"SECRET_KEY": "short"}),
                "SECRET_KEY: .* at least 32 bytes.*InsecureLegacyTokens",
            ),
        ],
    )
    def test_a_set_that_cannot_work_is_refused(self, make: Any, problem: str) -> None:
        """With words that say what to do."""
        with pytest.raises(ConfigurationError, match=problem):
            make()

    def test_keys_of_a_jwks_that_cannot_be_used_are_left_out(self, caplog: pytest.LogCaptureFixture) -> None:
        """As RFC 7517 section 5 asks, and with a warning each."""
        listed = [{"kty": "new"}, RSA.public_jwk() | {"use": "enc", "kid": "e"}, EC.public_jwk(), 7]
        with caplog.at_level(logging.WARNING, "fastapi_patterns.security"):
            keys = KeySet.from_jwks(json.dumps({"keys": listed}))
        assert [key.kid for key in keys.keys] == ["ES256"]
        assert [record.args[0] for record in caplog.records if record.args] == [0, 1, 3]  # type: ignore[index]

    def test_keys_without_alg_get_the_one_that_is_asked_for(self) -> None:
        """Some issuers leave `alg` out."""
        bare = {name: value for name, value in RSA.public_jwk().items() if name != "alg"}
        keys = KeySet.from_jwks({"keys": [bare, EC.public_jwk()]}, algorithm="PS256")
        assert [key.algorithm for key in keys.keys] == ["PS256", "ES256"]

    def test_a_private_jwks_signs_with_the_one_that_is_named(self) -> None:
        """The set that an application keeps for itself."""
        private = {"kty": "oct", "k": part(b"S3cr3t-of-the-tests-0123456789-abc"), "kid": "b"}
        keys = KeySet.from_jwks({"keys": [private | {"kid": "a", "k": part(SECRETS[1].encode())}, private]}, active="b")
        assert keys.verify(keys.sign(b"x")) == b"x"
        assert keys.signing_key().kid == "b"

    def test_the_published_set_has_no_secret(self) -> None:
        """Public halves only."""
        published = MIXED.public_jwks()
        assert [key["kid"] for key in published["keys"]] == ["RS256", "ES256", "EdDSA"]
        assert not {"k", "d", "p", "q", "dp", "dq", "qi"} & {name for key in published["keys"] for name in key}

    def test_the_environment_gives_a_key_and_the_one_before(self) -> None:
        """Tokens of both verify, those without `kid` with the older one; the new one signs."""
        keys = KeySet.from_env({"SECRET_KEY": SECRETS[0], "SECRET_KEY_PREVIOUS": SECRETS[1]})
        old = Key.from_secret(SECRETS[1])
        assert keys.verify(signed(old, {"alg": "HS256", "kid": old.kid})) == b"payload"
        assert keys.verify(signed(old, {"alg": "HS256"})) == b"payload"
        assert keys.signing_key().kid == Key.from_secret(SECRETS[0]).kid

    def test_no_repr_shows_a_secret(self) -> None:
        """Names and algorithms only."""
        assert repr(KeySet([Key.from_secret(SECRETS[0], kid="a")])) == "KeySet([<Key HS256 kid='a'>])"
