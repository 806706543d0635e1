"""Tokens: what is written, what is accepted, and that nothing but a TokenError ever leaves."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jose import jwk, jwt
from pydantic import BaseModel, SecretBytes, SecretStr, model_validator

from fastapi_patterns.exceptions import ConfigurationError
from fastapi_patterns.security import (
    Claims,
    ExpiredClaims,
    Key,
    KeySet,
    OneTimeTokens,
    TokenClaimsError,
    TokenCodec,
    TokenConfig,
    TokenError,
    TokenExpiredError,
    TokenMalformedError,
    TokenSignatureError,
    create_access_token,
    decode_token,
)

SECRET = "S3cr3t-of-the-tests-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGH"
KEY = Key.generate("ES256", kid="a")
NOW = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
GOOD = {"sub": "7", "exp": SECONDS + 60}


class Pair(BaseModel):
    """A model of no claims."""

    a: int


async def coroutine_clock() -> datetime:
    """No time, but a coroutine."""
    return NOW


def codec(*, at: datetime = NOW, **settings: Any) -> TokenCodec:
    """A codec whose clock stands still."""
    return TokenCodec(TokenConfig(secret_key=SECRET, **settings), now=lambda: at)


def part(value: object) -> str:
    """One part of a compact token: bytes as they are, anything else as JSON."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(payload: object, header: object = None, secret: str = SECRET, algorithm: str = "HS256") -> str:
    """Sign any payload under any header, well-formed or not."""
    head = {"alg": algorithm, "typ": "JWT"} if header is None else header
    text = f"{part(head)}.{part(payload)}"
    return f"{text}.{part(jwk.construct(secret, algorithm).sign(text.encode()))}"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Set the variables that `from_env` reads, or take them away with None."""
    monkeypatch.delenv("SECRET_KEY", raising=False)
    monkeypatch.delenv("ACCESS_TOKEN_EXPIRE_MINUTES", raising=False)

    def set_variables(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_variables  # type: ignore[return-value]


class TestConfig:
    """A configuration that is not safe does not come into being."""

    @pytest.mark.parametrize(
        ("secret", "problem"),
        [
            ("", "at least 32 bytes long; it has 0"),
            ("changeme", "at least 32 bytes long; it has 8"),
            ("k" * 31, "at least 32 bytes long; it has 31"),
            ("x" * 64, "must not be one repeated byte"),
            ("-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A", "is a public key, a certificate or a JWK"),
            (
                "\n-----BEGIN CERTIFICATE-----\nMIICmTCCAYGgAwIBAgIBATANBgkqhki",
                "is a public key, a certificate or a JWK",
            ),
            ("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC1vYERzr8MPGGHFGQ9YgoLpfDH", "is a public key, a certificate"),
            ("key=ssh-rsa:AAAAB3NzaC1yc2EAAAADAQABAAABAQC1vYERzr8MPGGHFGQ9YgoL", "is a public key, a certificate"),
            ("ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAy", "is a public key, a certificate"),
            ('{"kty": "RSA", "n": "tb2BEc6_DDxhhxRkPWIKC6Xwx3SX", "e": "AQAB"}', "is a public key, a certificate"),
            (b"\x30\x22\x30" + bytes(range(33)), "is a public key, a certificate or a JWK"),
            (b"\x30\x81\x80\x02" + bytes(range(127)), "is a public key, a certificate or a JWK"),
            ("\ud800" * 40, "is not valid Unicode"),
        ],
    )
    def test_a_weak_secret_is_refused(self, secret: str | bytes, problem: str) -> None:
        """The message says what is wrong and how to make a secret, and does not repeat this one."""
        with pytest.raises(ConfigurationError) as caught:
            TokenConfig(secret_key=secret)
        assert problem in str(caught.value)
        assert 'python -c "import secrets; print(secrets.token_urlsafe(64))"' in str(caught.value)
        assert not secret or str(secret) not in str(caught.value)

    @pytest.mark.parametrize(
        "secret", [SECRET, SECRET.encode(), b"\x30" + SECRET.encode(), b"\x30\x82" + SECRET.encode()]
    )
    def test_a_strong_secret_is_taken(self, secret: str | bytes) -> None:
        """Text or bytes, also when they begin like DER and are not."""
        assert TokenCodec(TokenConfig(secret_key=secret)).encode({"sub": 1}).count(".") == 2

    @pytest.mark.parametrize(("algorithm", "short"), [("HS384", 47), ("HS512", 63)])
    def test_a_longer_hash_needs_a_longer_secret(self, algorithm: str, short: int) -> None:
        """The secret is at least as long as the hash (RFC 7518 section 3.2)."""
        with pytest.raises(ConfigurationError, match=f"at least {short + 1} bytes"):
            TokenConfig(secret_key=SECRET[:short], algorithm=algorithm)

    @pytest.mark.parametrize(
        "settings",
        [
            {"algorithm": "none"},
            {"algorithm": "RS256"},
            {"expires_delta": timedelta(0)},
            {"expires_delta": timedelta(minutes=-1)},
            {"expires_delta": timedelta.max},
            {"expires_delta": 15},
            {"expires_delta": None},
            {"leeway": 10},
            {"leeway": timedelta(seconds=-1)},
            {"leeway": timedelta(minutes=6)},
            {"issuer": ""},
            {"audience": ""},
            {"max_bytes": 255},
        ],
    )
    def test_a_setting_out_of_range_is_refused(self, settings: dict[str, Any]) -> None:
        """Each setting is checked when the configuration is made, and the message names it."""
        with pytest.raises(ConfigurationError, match=next(iter(settings))):
            TokenConfig(secret_key=SECRET, **settings)

    def test_the_secret_is_in_no_repr(self) -> None:
        """A configuration that ends in a log shows no secret."""
        assert SECRET not in repr(TokenConfig(secret_key=SECRET))

    def test_without_secret_key_the_environment_is_refused(self, environment: Callable[..., None]) -> None:
        """There is no default secret; the message says how to make one."""
        with pytest.raises(ConfigurationError, match=r'SECRET_KEY is not set.*python -c "import secrets;'):
            TokenConfig.from_env()

    @pytest.mark.parametrize("name", ["SECRET_KEY", "SECRET_KEY_PREVIOUS"])
    def test_a_weak_secret_of_the_environment_is_named(self, name: str) -> None:
        """With what to do, for old tokens too."""
        with pytest.raises(ConfigurationError, match=f"^{name}: .* at least 32 bytes.*Make one.*InsecureLegacyTokens"):
            TokenConfig.from_env({"SECRET_KEY": SECRET, name: "short"})

    def test_the_environment_sets_the_lifetime(self, environment: Callable[..., None]) -> None:
        """`ACCESS_TOKEN_EXPIRE_MINUTES` is taken when it is set, and the default is 15 minutes."""
        environment(SECRET_KEY=SECRET)
        assert TokenConfig.from_env().expires_delta == timedelta(minutes=15)
        environment(ACCESS_TOKEN_EXPIRE_MINUTES="90")
        assert TokenConfig.from_env().expires_delta == timedelta(minutes=90)

    @pytest.mark.parametrize("minutes", ["", "soon", "1e12", "nan", "1e400", "0", "-5"])
    def test_a_lifetime_that_is_no_time_is_refused(self, minutes: str) -> None:
        """Anything but a positive number of minutes ends the start-up."""
        with pytest.raises(ConfigurationError, match=r"ACCESS_TOKEN_EXPIRE_MINUTES|expires_delta"):
            TokenConfig.from_env({"SECRET_KEY": SECRET, "ACCESS_TOKEN_EXPIRE_MINUTES": minutes})


class TestEncode:
    """What a new token holds."""

    def test_a_token_comes_back_as_claims(self) -> None:
        """Own claims survive the round trip; the registered ones are attributes too."""
        claims = codec().decode(codec().encode({"sub": "7", "role": "editor", "scope": "read write"}))
        assert claims.sub == "7"
        assert claims["role"] == claims.get("role") == dict(claims)["role"] == "editor"
        assert claims.scopes == {"read", "write"}
        assert claims.issued_at == NOW
        assert claims.expires_at == NOW + timedelta(minutes=15)
        assert claims.jti is not None
        assert len(claims) == len(list(claims)) == 6

    @pytest.mark.parametrize(
        ("subject", "written"),
        [(7, "7"), ("ada@example.com", "ada@example.com"), (UUID(int=7), "00000000-0000-0000-0000-000000000007")],
    )
    def test_a_subject_is_written_as_text(self, subject: object, written: str) -> None:
        """An int or a UUID is accepted and written as a string (RFC 7519 section 4.1.2)."""
        assert codec().decode(codec().encode({"sub": subject})).sub == written

    @pytest.mark.parametrize("data", [{}, {"sub": ""}, {"sub": None}, {"sub": True}, {"sub": 1.5}, {"sub": ["7"]}])
    def test_a_subject_that_is_none_is_refused(self, data: dict[str, Any]) -> None:
        """A token for nobody is not made."""
        with pytest.raises(ValueError, match=r"data\['sub'\] must be"):
            codec().encode(data)

    @pytest.mark.parametrize("claim", ["exp", "iat", "iss", "aud"])
    def test_claims_of_the_codec_cannot_be_passed(self, claim: str) -> None:
        """A lifetime that would be overwritten silently is refused with a hint."""
        with pytest.raises(ValueError, match=f"{claim} cannot be passed in data.*expires_delta"):
            codec().encode({"sub": 1, claim: 1})

    def test_data_is_not_changed(self) -> None:
        """The caller's dict stays as it was."""
        data = {"sub": 7}
        codec().encode(data)
        assert data == {"sub": 7}

    @pytest.mark.parametrize("delta", [timedelta(0), timedelta(seconds=-1)])
    def test_a_lifetime_of_nothing_is_no_endless_token(self, delta: timedelta) -> None:
        """`timedelta(0)` gives a token that has expired, not one that never does."""
        with pytest.raises(TokenExpiredError):
            codec().decode(codec().encode({"sub": 1}, expires_delta=delta))

    @pytest.mark.parametrize("delta", [30, 1.5, "30"])
    def test_a_lifetime_is_a_timedelta(self, delta: Any) -> None:
        """A bare number could be minutes or seconds; the message says what to pass."""
        with pytest.raises(
            TypeError, match=f"expires_delta must be a timedelta, such as .* got {type(delta).__name__}"
        ):
            codec().encode({"sub": 1}, expires_delta=delta)

    @pytest.mark.parametrize("delta", [timedelta.max, timedelta.min])
    def test_a_lifetime_beyond_the_calendar_is_a_value_error(self, delta: timedelta) -> None:
        """What no date can hold is refused with words."""
        with pytest.raises(ValueError, match="expires_delta must be at most 1,000 years"):
            codec().encode({"sub": 1}, expires_delta=delta)

    def test_every_token_has_its_own_id(self) -> None:
        """Two tokens of one moment differ, and an id of the caller's own is kept."""
        assert codec().decode(codec().encode({"sub": 1})).jti != codec().decode(codec().encode({"sub": 1})).jti
        assert codec().decode(codec().encode({"sub": 1, "jti": "mine"})).jti == "mine"

    def test_the_header_says_access_token(self) -> None:
        """`typ` is `at+jwt` (RFC 9068 section 2.1), so that no other kind of token is taken for it."""
        head = codec().encode({"sub": 1}).split(".")[0]
        header = json.loads(base64.urlsafe_b64decode(head + "=="))
        assert (header["alg"], header["typ"], sorted(header)) == ("HS256", "at+jwt", ["alg", "kid", "typ"])

    @pytest.mark.parametrize("value", [object(), float("nan"), float("inf"), b"bytes", {1, 2}, "\ud800"])
    def test_what_json_cannot_say_is_refused(self, value: object) -> None:
        """A claim that is no JSON value is a ValueError that does not repeat it."""
        with pytest.raises(
            ValueError, match=r"every claim must be a JSON value.*; '\w+' is not \(it is a \w+\)$"
        ) as caught:
            codec().encode({"sub": 1, "claim": value})
        assert caught.value.__cause__ is None

    def test_other_libraries_read_it(self) -> None:
        """python-jose verifies what is written here."""
        token = TokenCodec(TokenConfig(secret_key=SECRET)).encode({"sub": 7})
        assert jwt.decode(token, SECRET, algorithms=["HS256"])["sub"] == "7"


class TestDecode:
    """What is accepted, and what not."""

    def test_a_token_of_python_jose_is_accepted(self) -> None:
        """The tokens that an application has handed out before keep working."""
        assert codec().decode(jwt.encode(dict(GOOD), SECRET, algorithm="HS256")).sub == "7"

    @pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "JWT", "jwt", "application/at+jwt", None])
    def test_types_of_access_tokens(self, typ: str | None) -> None:
        """`at+jwt`, `JWT` in any case, or none."""
        header = {"alg": "HS256"} if typ is None else {"alg": "HS256", "typ": typ}
        assert codec().decode(signed(GOOD, header)).sub == "7"

    @pytest.mark.parametrize(
        "header",
        [
            {"alg": "HS256", "typ": "rt+jwt"},
            {"alg": "HS256", "typ": 7},
            {"alg": "HS256", "typ": "JWT "},
            {"alg": "HS256", "crit": ["exp"]},
            {"alg": "HS256", "crit": []},
            {"alg": "HS256", "b64": True},
            {"alg": "HS256", "zip": "DEF"},
            {"alg": "HS256", "enc": "A256GCM"},
        ],
    )
    def test_a_header_that_asks_for_more_is_refused(self, header: dict[str, Any]) -> None:
        """Other kinds of tokens, critical extensions, compression, encryption."""
        with pytest.raises(TokenMalformedError):
            codec().decode(signed(GOOD, header))

    @pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", None, "HS512", "RS256", ["HS256"], {}])
    def test_the_header_does_not_choose_the_algorithm(self, algorithm: object) -> None:
        """Only the algorithm of the key is accepted."""
        with pytest.raises(TokenSignatureError):
            codec().decode(signed(GOOD, {"alg": algorithm}))
        unsigned = f"{part({'alg': algorithm})}.{part(GOOD)}."
        with pytest.raises(TokenSignatureError):
            codec().decode(unsigned)

    def test_another_secret_does_not_verify(self) -> None:
        """A token signed with another key is refused."""
        with pytest.raises(TokenSignatureError):
            codec().decode(signed(GOOD, secret=SECRET[::-1]))

    @pytest.mark.parametrize(
        ("at", "good"),
        [(SECONDS + 59, True), (SECONDS + 60, False), (SECONDS + 61, False)],
    )
    def test_a_token_ends_at_exp(self, at: int, good: bool) -> None:
        """The last good second is the one before `exp`."""
        reader = codec(at=datetime.fromtimestamp(at, UTC))
        if good:
            assert reader.decode(signed(GOOD)).sub == "7"
        else:
            with pytest.raises(TokenExpiredError):
                reader.decode(signed(GOOD))

    def test_leeway_forgives_a_clock(self) -> None:
        """Within the leeway `exp`, `nbf` and `iat` may be off."""
        reader = codec(leeway=timedelta(seconds=30))
        late = {"sub": "7", "exp": SECONDS - 29, "nbf": SECONDS + 29, "iat": SECONDS + 29}
        assert reader.decode(signed(late)).sub == "7"
        with pytest.raises(TokenExpiredError):
            reader.decode(signed({**late, "exp": SECONDS - 30}))
        for name in ("nbf", "iat"):
            with pytest.raises(TokenClaimsError, match=name):
                reader.decode(signed({**late, name: SECONDS + 31}))

    @pytest.mark.parametrize("name", ["exp", "nbf", "iat"])
    @pytest.mark.parametrize("value", ["1893499200", True, None, [], {}, b"1e400"])
    def test_a_date_is_a_finite_number(self, name: str, value: object) -> None:
        """Strings, booleans, null and infinity are no NumericDate."""
        payload = json.dumps({**GOOD, name: 0}).replace(f'"{name}": 0', f'"{name}": {_raw(value)}').encode()
        with pytest.raises(TokenClaimsError) as caught:
            codec().decode(signed(payload))
        assert caught.value.claim == name

    def test_a_token_without_exp_is_refused(self) -> None:
        """There are no endless tokens."""
        with pytest.raises(TokenClaimsError, match="'exp' is missing"):
            codec().decode(signed({"sub": "7"}))

    @pytest.mark.parametrize("moment", [2**53, 10**400, -(10**400), -1], ids=["2^53", "10^400", "-10^400", "-1"])
    def test_far_away_dates_do_not_break(self, moment: int) -> None:
        """Moments that no calendar holds are compared like others, and shown as the nearest that one can."""
        if moment < 0:
            with pytest.raises(TokenExpiredError):
                codec().decode(signed({"sub": "7", "exp": moment}))
        else:
            claims = codec().decode(signed({"sub": "7", "exp": moment, "iat": -1}))
            assert claims.expires_at.year == 9999
            assert claims.issued_at == datetime(1970, 1, 1, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("configured", "sent", "good"),
        [
            ("api", "api", True),
            ("api", ["web", "api"], True),
            ("api", "web", False),
            ("api", ["web"], False),
            ("api", [], False),
            ("api", None, False),
            ("api", "ap", False),
            ("api", {"api": 1}, False),
            ("api", ["api", 7], False),
            (None, "api", False),
            (None, [], True),
            (None, 7, False),
        ],
    )
    def test_audience(self, configured: str | None, sent: object, good: bool) -> None:
        """A configured audience must be named; without one, a token for somebody is not for us."""
        reader, token = codec(audience=configured), signed({**GOOD, "aud": sent})
        if good:
            assert reader.decode(token).sub == "7"
        else:
            with pytest.raises(TokenClaimsError) as caught:
                reader.decode(token)
            assert caught.value.claim == "aud"

    def test_audience_and_issuer_are_written_and_required(self) -> None:
        """What is configured is in every token, and a token without it is refused."""
        reader = codec(issuer="https://issuer.example", audience="api")
        claims = reader.decode(reader.encode({"sub": 7}))
        assert (claims["iss"], claims["aud"]) == ("https://issuer.example", "api")
        for missing in ("iss", "aud"):
            rest = {"iss": "https://issuer.example", "aud": "api", **GOOD}
            del rest[missing]
            with pytest.raises(TokenClaimsError, match=missing):
                reader.decode(signed(rest))

    @pytest.mark.parametrize(
        "issuer", ["https://issuer.example/", "https://ISSUER.example", ["https://issuer.example"], 7]
    )
    def test_the_issuer_is_compared_exactly(self, issuer: object) -> None:
        """A prefix, another case or a list is another issuer."""
        with pytest.raises(TokenClaimsError, match="iss"):
            codec(issuer="https://issuer.example").decode(signed({**GOOD, "iss": issuer}))
        if not isinstance(issuer, str):
            with pytest.raises(TokenClaimsError, match="iss"):
                codec().decode(signed({**GOOD, "iss": issuer}))

    @pytest.mark.parametrize("subject", [7, "", None, ["7"], True, "7\0"])
    def test_a_subject_is_text(self, subject: object) -> None:
        """Other types, the empty string and what no database can store are refused."""
        with pytest.raises(TokenClaimsError, match="sub"):
            codec().decode(signed({**GOOD, "sub": subject}))
        with pytest.raises(TokenClaimsError, match="sub"):
            codec().decode(signed({"exp": SECONDS + 60}))

    def test_the_token_is_measured_first(self) -> None:
        """A long token is refused for its length, whatever it holds."""
        with pytest.raises(TokenMalformedError, match="longer than 8192 bytes"):
            codec().decode("a.b.c" * 10_000)
        long = codec().encode({"sub": 7, "note": "x" * 300})
        with pytest.raises(TokenMalformedError, match="longer than 300 bytes"):
            codec(max_bytes=300).decode(long)

    @pytest.mark.parametrize(
        "payload",
        [
            b'{"sub":"7","exp":4102444800,"sub":"8"}',
            b'{"sub":"7","exp":4102444800,"a":{"b":1,"b":2}}',
            b'{"sub":"7","exp":4102444800,"a":NaN}',
            b'{"sub":"7","exp":4102444800,"a":-Infinity}',
            '{"sub":"7","exp":4102444800}'.encode("utf-16"),
            b'\xef\xbb\xbf{"sub":"7","exp":4102444800}',
            b'{"sub":"\xff","exp":4102444800}',
            b'{"sub":"7","exp":4102444800',
            b'["sub"]',
            b'"sub"',
            b"",
            b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}",
            b'{"sub":"7","exp":' + b"9" * 5000 + b"}",
        ],
    )
    def test_a_payload_is_one_json_object(self, payload: bytes) -> None:
        """Duplicate names, NaN, other encodings, deep nesting and other JSON values are refused."""
        with pytest.raises(TokenMalformedError):
            codec().decode(signed(payload))
        with pytest.raises(TokenMalformedError):
            codec().decode(f"{part(payload)}.{part(GOOD)}.{part(b'x')}")

    @pytest.mark.parametrize(
        "change",
        [
            lambda token: token + "=",
            lambda token: token + "\n",
            lambda token: " " + token,
            lambda token: token + ".",
            lambda token: token.replace(".", "", 1),
            lambda token: token.replace(".", "..", 1),
            lambda token: token.rsplit(".", 1)[0] + ".",
            lambda token: token.replace(".", ".é", 1),
            lambda token: token.replace(".", ".+/", 1),
            lambda token: "",
            lambda token: "..",
            lambda token: token.encode(),
            lambda token: None,
            lambda token: 7,
        ],
    )
    def test_the_compact_form_is_exact(self, change: Callable[[str], Any]) -> None:
        """Padding, white space, missing and extra parts, foreign characters and other types are refused."""
        with pytest.raises(TokenError):
            codec().decode(change(codec().encode({"sub": 7})))

    def test_another_spelling_of_the_same_signature_is_refused(self) -> None:
        """base64url has one canonical spelling: bits that decode to nothing must be zero."""
        token = codec().encode({"sub": 7})
        last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        twin = token[:-1] + last[last.index(token[-1]) + 1]
        with pytest.raises(TokenMalformedError, match="canonical"):
            codec().decode(twin)

    def test_any_changed_character_is_refused(self) -> None:
        """Not one token of the sweep over every character is accepted."""
        token = codec().encode({"sub": 7})
        accepted = []
        for index, char in enumerate(token):
            for other in {"A", "b", "-", ".", "="} - {char}:
                try:
                    codec().decode(f"{token[:index]}{other}{token[index + 1 :]}")
                except TokenError:
                    continue
                accepted.append((index, other))
        assert accepted == []

    @given(st.text() | st.binary().map(lambda data: f"{part(data)}.{part(data)}.{part(data)}"))
    def test_only_token_errors_leave(self, text: str) -> None:
        """Whatever the text is, it is refused with a TokenError."""
        with pytest.raises(TokenError):
            codec().decode(text)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
            lambda inner: (
                st.lists(inner) | st.dictionaries(st.sampled_from(["sub", "exp", "iat", "aud", "iss", "x"]), inner)
            ),
        )
    )
    def test_signed_nonsense_is_claims_or_a_token_error(self, payload: object) -> None:
        """A payload of any JSON shape under a good signature either is valid or is a TokenError."""
        try:
            claims = codec().decode(signed(payload))
        except TokenError:
            return
        assert claims.sub
        assert claims.expires_at > NOW
        assert isinstance(claims.scopes, frozenset)

    def test_nothing_is_opened(self) -> None:
        """Key-carrying headers are ignored: decoding opens no file and no socket."""
        header = {"alg": "HS256", "jku": "https://evil.example", "x5u": "file:///etc/passwd", "kid": "/etc/passwd"}
        token = signed({**GOOD, "exp": 4102444800}, {**header, "jwk": {"kty": "oct", "k": "AAAA"}, "x5c": ["AAAA"]})
        code = f"""
import sys
from fastapi_patterns.security import TokenCodec, TokenConfig
codec = TokenCodec(TokenConfig(secret_key={SECRET!r}))
codec.decode({token!r})
seen = []
sys.addaudithook(lambda event, args: seen.append(event) if event.startswith(("open", "socket", "urllib")) else None)
print(codec.decode({token!r}).sub, seen)
"""
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        assert ran.stdout.strip() == "7 []"

    def test_no_error_holds_the_token(self) -> None:
        """The text of an error says what is wrong, never with what."""
        for payload in ({"sub": "very-private", "exp": 1}, {"sub": "very-private"}, {"sub": "", "exp": SECONDS + 60}):
            token = signed(payload)
            with pytest.raises(TokenError) as caught:
                codec().decode(token)
            assert token not in str(caught.value)
            assert "very-private" not in str(caught.value)


class TestClaims:
    """The mapping that a token becomes."""

    @pytest.mark.parametrize(
        ("values", "scopes"),
        [
            ({"scope": "a b"}, {"a", "b"}),
            ({"scopes": ["a", "b", 7]}, {"a", "b"}),
            ({"scope": ""}, set()),
            ({"scope": 7}, set()),
            ({}, set()),
        ],
    )
    def test_scopes(self, values: dict[str, Any], scopes: set[str]) -> None:
        """A blank-separated string or a list; anything else grants nothing."""
        assert Claims(values).scopes == scopes

    @pytest.mark.parametrize("subject", [0, 7, -1, 2**63 - 1, -(2**63)])
    def test_an_integer_comes_back(self, subject: int) -> None:
        """What was signed as an int is read as one, up to the size that databases hold."""
        claims = codec().decode(codec().encode({"sub": subject}))
        assert (claims.sub, claims.int_sub) == (str(subject), subject)

    def test_a_uuid_comes_back(self) -> None:
        """What was signed as a UUID is read as one."""
        subject = UUID("c0ffee00-1234-4abc-8def-0123456789ab")
        assert codec().decode(codec().encode({"sub": subject})).uuid_sub == subject

    @pytest.mark.parametrize(
        "subject",
        [
            "abc",
            "1" * 23,
            str(2**63),
            str(-(2**63) - 1),
            "1" * 5000,
            "7.0",
            "+7",
            "-0",
            "007",
            " 7",
            "7\n",
            "1_0",
            "\u0667",
        ],
    )
    def test_a_subject_that_is_no_integer_is_a_token_error(self, subject: str) -> None:
        """Neither a ValueError, nor an overflow in the database, nor a second spelling of somebody's id."""
        with pytest.raises(TokenClaimsError, match=r"^claim 'sub' is not an integer of 64 bits$") as caught:
            _ = Claims({"sub": subject}).int_sub
        assert caught.value.claim == "sub"

    @pytest.mark.parametrize(
        "subject",
        [
            "7",
            "c0ffee0012344abc8def0123456789ab",
            "{c0ffee00-1234-4abc-8def-0123456789ab}",
            "C0FFEE00-1234-4ABC-8DEF-0123456789AB",
            "urn:uuid:c0ffee00-1234-4abc-8def-0123456789ab",
            "c0ffee00-1234-4abc-8def-0123456789ab\n",
        ],
    )
    def test_a_subject_that_is_no_uuid_is_a_token_error(self, subject: str) -> None:
        """Only the form that was signed is one."""
        with pytest.raises(TokenClaimsError, match=r"^claim 'sub' is not a UUID$"):
            _ = Claims({"sub": subject}).uuid_sub

    def test_a_repr_shows_names_only(self) -> None:
        """Claims may be personal data, and a repr ends in logs."""
        assert repr(Claims({"sub": "7", "email": "ada@example.com"})) == "<Claims sub, email>"

    def test_no_iat_is_none(self) -> None:
        """A token of another maker may lack `iat`."""
        assert Claims({"sub": "7", "exp": 1}).issued_at is None


class TestModuleFunctions:
    """The names that the usual copies export."""

    def test_round_trip_with_the_environment(self, environment: Callable[..., None]) -> None:
        """`create_access_token` and `decode_token` use `SECRET_KEY`, with a lifetime of the call's own."""
        environment(SECRET_KEY=SECRET)
        claims = decode_token(create_access_token({"sub": 7}, expires_delta=timedelta(hours=2)))
        assert claims.sub == "7"
        assert claims.issued_at is not None
        assert claims.expires_at - claims.issued_at == timedelta(hours=2)

    def test_a_changed_secret_counts_at_once(self, environment: Callable[..., None]) -> None:
        """Tests and reloads change settings: the next call sees them."""
        environment(SECRET_KEY=SECRET)
        token = create_access_token({"sub": 7})
        environment(SECRET_KEY=SECRET[::-1])
        with pytest.raises(TokenSignatureError):
            decode_token(token)

    def test_without_a_secret_they_say_how_to_make_one(self, environment: Callable[..., None]) -> None:
        """A missing secret is a ConfigurationError, not a default."""
        with pytest.raises(ConfigurationError, match="SECRET_KEY is not set"):
            create_access_token({"sub": 7})


def _raw(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else json.dumps(value)


class TestKinds:
    """A token of one kind is never taken for another."""

    KINDS = ("access", "refresh", "password-reset", "email-check", "id")

    @pytest.mark.parametrize("settings", [{}, {"kind_claim": "token_type"}, {"strict_typ": True}])
    def test_only_the_diagonal_is_accepted(self, settings: dict[str, Any]) -> None:
        """An n by n table of kinds."""
        reader = codec(**settings)
        for written in self.KINDS:
            token = reader.encode({"sub": 7}, kind=written)
            for read in self.KINDS:
                if read == written:
                    assert reader.decode(token, kind=read).sub == "7"
                else:
                    with pytest.raises(TokenError):
                        reader.decode(token, kind=read)

    def test_refresh_tokens_have_the_usual_type(self) -> None:
        """`rt+jwt`; a kind of one's own is its name before `+jwt`."""
        heads = [codec().encode({"sub": 7}, kind=kind).split(".")[0] for kind in ("refresh", "id")]
        types = [json.loads(base64.urlsafe_b64decode(head + "=="))["typ"] for head in heads]
        assert types == ["rt+jwt", "id+jwt"]

    def test_strict_typ_wants_the_type(self) -> None:
        """`JWT` and no type are refused then."""
        for header in ({"alg": "HS256", "typ": "JWT"}, {"alg": "HS256"}):
            assert codec().decode(signed(GOOD, header)).sub == "7"
            with pytest.raises(TokenMalformedError, match="another type"):
                codec(strict_typ=True).decode(signed(GOOD, header))
        assert codec(strict_typ=True).decode(signed(GOOD, {"alg": "HS256", "typ": "application/AT+JWT"})).sub == "7"

    @pytest.mark.parametrize("name", ["type", "token_type", "token_use", "typ", "kind"])
    @pytest.mark.parametrize(
        "kind", ["refresh", "Refresh_Token", "password_reset", "verify-email", "id", "Offline", "Logout"]
    )
    def test_what_says_that_it_is_no_access_token_is_none(self, name: str, kind: str) -> None:
        """Older code tells its tokens apart by a claim, and signs them all with one secret."""
        with pytest.raises(TokenClaimsError, match="no access token"):
            codec().decode(signed({**GOOD, name: kind}))
        assert codec().decode(signed({**GOOD, name: "access"})).sub == "7"

    @pytest.mark.parametrize(
        ("name", "said", "hint"),
        [
            ("type", "refresh", "kind='refresh'"),
            ("token_type", "Refresh", "kind='refresh'"),
            ("kind", "password_reset", "'password-reset'"),
        ],
    )
    def test_no_access_token_that_says_otherwise_is_made_or_accepted(self, name: str, said: str, hint: str) -> None:
        """Code that moved here may go on telling its tokens apart by a claim, and forget the kind."""
        data = {"sub": 7, name: said}
        with pytest.raises(ValueError, match=rf"data\['{name}'\] says that it is no access token: use .*{hint}"):
            codec().encode(data)
        with pytest.raises(TokenClaimsError, match="no access token"):
            codec().decode(signed({**GOOD, name: said}, {"alg": "HS256", "typ": "at+jwt"}))
        assert codec().decode(codec().encode(data, kind="refresh"), kind="refresh")[name] == said
        reader = codec(kind_claim="use")
        assert reader.decode(reader.encode(data))[name] == said
        assert codec().encode({"sub": 7, name: 7})

    def test_a_kind_claim_is_written_and_required(self) -> None:
        """For applications that tell their tokens apart by one."""
        reader = codec(kind_claim="type")
        assert reader.decode(reader.encode({"sub": 7}))["type"] == "access"
        assert reader.decode(signed({**GOOD, "type": "access"})).sub == "7"
        for value in ({}, {"type": "refresh"}, {"type": ["access"]}):
            with pytest.raises(TokenClaimsError, match="type"):
                reader.decode(signed({**GOOD, **value}))
        with pytest.raises(ValueError, match="type cannot be passed"):
            reader.encode({"sub": 7, "type": "access"})

    @pytest.mark.parametrize("kind", ["", "Access", "at", "rt", "a b", "1", "a" * 42, None, 7])
    def test_a_kind_is_a_name(self, kind: Any) -> None:
        """That is neither one of the standards' short words nor a sentence."""
        for call in (lambda: codec().encode({"sub": 7}, kind=kind), lambda: codec().check_kind(kind)):
            with pytest.raises(ConfigurationError, match="kind must be a name"):
                call()


class TestSettings:
    """What may be configured besides the secret."""

    @pytest.mark.parametrize("config", [SECRET, None, {"secret_key": SECRET}, TokenConfig])
    def test_a_codec_is_made_of_a_configuration(self, config: Any) -> None:
        """Said with words, and not at the first token."""
        with pytest.raises(ConfigurationError, match=r"needs a TokenConfig, such as TokenConfig.from_env\(\); got"):
            TokenCodec(config)

    @pytest.mark.parametrize("now", [NOW, lambda: NOW.replace(tzinfo=None), lambda: 5, coroutine_clock])
    def test_a_clock_gives_the_time_with_a_zone(self, now: Any) -> None:
        """It is asked once when the codec is made."""
        with pytest.raises(ConfigurationError, match="now must be a function that gives a datetime with a time zone"):
            TokenCodec(TokenConfig(secret_key=SECRET), now=now)

    @pytest.mark.parametrize(
        ("data", "problem"), [("7", "got str"), (None, "got NoneType"), (Pair(a=1), r"or its model_dump\(\); got Pair")]
    )
    def test_data_is_a_mapping(self, data: Any, problem: str) -> None:
        """The subject alone is none, and neither is a model."""
        with pytest.raises(TypeError, match=f"data must be a mapping of claims.*{problem}"):
            codec().encode(data)

    @pytest.mark.parametrize("model", [dict, Pair(a=1), "Pair"])
    def test_a_model_is_a_class_of_pydantic(self, model: Any) -> None:
        """A mistake of the program, whatever the token is."""
        with pytest.raises(TypeError, match="model must be the class of a pydantic model"):
            codec().decode("nonsense", model=model)

    @pytest.mark.parametrize(
        ("settings", "problem"),
        [
            ({"secret_key": SECRET, "keys": KEY}, "needs either secret_key or keys, not both"),
            ({"keys": KEY, "algorithm": "RS256"}, "algorithm goes with secret_key; a key has its own"),
        ],
    )
    def test_keys_stand_alone(self, settings: dict[str, Any], problem: str) -> None:
        """Beside them neither a secret nor an algorithm counts, so neither is taken."""
        with pytest.raises(ConfigurationError, match=problem):
            TokenConfig(**settings)

    @pytest.mark.parametrize("secret", [SecretStr(SECRET), SecretBytes(SECRET.encode()), lambda: SecretStr(SECRET)])
    def test_a_secret_str_of_the_settings_is_a_secret(self, secret: Any) -> None:
        """Wherever a secret is taken, by its text."""
        token = TokenCodec(TokenConfig(secret_key=secret), now=lambda: NOW).encode({"sub": 7})
        assert codec().decode(token).sub == "7"
        newer = TokenConfig(secret_key=SECRET[::-1], previous_secret_keys=[SecretStr(SECRET)])
        assert TokenCodec(newer, now=lambda: NOW).decode(token).sub == "7"
        links = [OneTimeTokens(key, purpose="a", expires_delta=timedelta(hours=1)) for key in (secret, SECRET)]
        assert links[1].verify(links[0].issue(7, state="a"), state="a").sub == "7"
        with pytest.raises(ConfigurationError, match="must be a sequence of secrets"):
            TokenConfig(secret_key=SECRET, previous_secret_keys=SecretStr(SECRET))  # type: ignore[arg-type]

    def test_settings_may_be_functions(self) -> None:
        """They are asked on each use, and a secret is parsed once a value."""
        current: dict[str, Any] = {"secret": SECRET, "issuer": "https://a.example", "lifetime": timedelta(minutes=1)}
        asked = TokenCodec(
            TokenConfig(
                secret_key=lambda: current["secret"],
                issuer=lambda: current["issuer"],
                expires_delta=lambda: current["lifetime"],
            ),
            now=lambda: NOW,
        )
        token, keys = asked.encode({"sub": 7}), asked.keys
        assert asked.keys is keys
        assert asked.decode(token).expires_at == NOW + timedelta(minutes=1)
        current["issuer"] = "https://b.example"
        with pytest.raises(TokenClaimsError, match="iss"):
            asked.decode(token)
        current.update(issuer="https://a.example", secret="An0ther-" + SECRET)
        with pytest.raises(TokenSignatureError):
            asked.decode(token)

    @pytest.mark.parametrize(
        ("name", "value", "problem"),
        [
            ("secret_key", "weak", "at least 32 bytes"),
            ("secret_key", None, "is text or bytes"),
            ("issuer", "", "issuer must be a non-empty text"),
            ("expires_delta", timedelta(0), "expires_delta must be positive"),
            ("expires_delta", 15, "expires_delta must be a timedelta"),
        ],
    )
    def test_a_function_that_gives_nonsense_fails_closed(self, name: str, value: Any, problem: str) -> None:
        """It is a mistake of the configuration, not of the token."""
        asked = TokenCodec(TokenConfig(**{"secret_key": SECRET, name: lambda: value}))  # type: ignore[arg-type]
        with pytest.raises(ConfigurationError, match=problem):
            asked.encode({"sub": 7})

    def test_keys_of_other_algorithms(self) -> None:
        """A key, a set, or a function that gives a set."""
        key = Key.generate("ES256", kid="a")
        for keys in (key, KeySet([key]), lambda: KeySet([key])):
            reader = TokenCodec(TokenConfig(keys=keys))
            assert reader.decode(reader.encode({"sub": 7})).sub == "7"
        with pytest.raises(ConfigurationError, match="must give a KeySet"):
            TokenCodec(TokenConfig(keys=lambda: key)).encode({"sub": 7})  # type: ignore[arg-type,return-value]

    def test_tokens_of_the_secret_before_stay_good(self) -> None:
        """Also those that name no key, which are the oldest."""
        before, after = codec(), codec(previous_secret_keys=[SECRET])
        rotated = TokenCodec(replace(after.config, secret_key="An0ther-" + SECRET), now=lambda: NOW)
        for token in (before.encode({"sub": 7}), signed(GOOD), rotated.encode({"sub": 7})):
            assert rotated.decode(token).sub == "7"
        with pytest.raises(TokenSignatureError):
            before.decode(rotated.encode({"sub": 7}))

    @pytest.mark.parametrize("configured", [["web", "api"], ("api",)])
    def test_several_audiences(self, configured: Sequence[str]) -> None:
        """All are written, and one is enough."""
        reader = codec(audience=configured)
        assert reader.decode(reader.encode({"sub": 7}))["aud"] == list(configured)
        assert reader.decode(signed({**GOOD, "aud": "api"})).sub == "7"
        assert reader.decode(signed({**GOOD, "aud": ["other", "api"]})).sub == "7"
        with pytest.raises(TokenClaimsError, match="aud"):
            reader.decode(signed({**GOOD, "aud": "other"}))

    @pytest.mark.parametrize(
        ("values", "sub"), [({"user_id": 7}, "7"), ({"email": "ada"}, "ada"), ({"user_id": 8, "email": "ada"}, "8")]
    )
    def test_the_subject_may_stand_elsewhere(self, values: dict[str, Any], sub: str) -> None:
        """In the first of several claims that is there, as text or an integer."""
        reader = codec(subject_claims=("user_id", "email"))
        assert reader.decode(signed({"exp": SECONDS + 60, **values})).sub == sub
        assert reader.decode(reader.encode(values)).sub == sub
        with pytest.raises(TokenClaimsError, match="user_id"):
            reader.decode(signed(GOOD))
        with pytest.raises(ValueError, match="user_id"):
            reader.encode({"sub": 7})

    def test_the_profile_of_rfc_9068(self) -> None:
        """Type, issuer, audience and three more claims are required."""
        reader = codec(profile="rfc9068", issuer="https://issuer.example", audience="api")
        token = reader.encode({"sub": 7, "client_id": "app"})
        claims = dict(reader.decode(token))
        for missing in ("iss", "exp", "aud", "sub", "client_id", "iat", "jti"):
            rest = {name: value for name, value in claims.items() if name != missing}
            with pytest.raises(TokenClaimsError, match=missing):
                reader.decode(signed(rest, {"alg": "HS256", "typ": "at+jwt"}))
        with pytest.raises(TokenMalformedError, match="another type"):
            reader.decode(signed(claims))
        with pytest.raises(ValueError, match="client_id"):
            reader.encode({"sub": 7})

    @pytest.mark.parametrize(
        ("settings", "problem"),
        [
            ({"secret_key": None}, "either secret_key or keys"),
            ({"keys": KEY}, "either secret_key or keys"),
            ({"secret_key": None, "keys": "key"}, "keys must be a Key or a KeySet"),
            (
                {"secret_key": None, "keys": Key.generate("EdDSA"), "previous_secret_keys": [SECRET]},
                "goes with secret_key",
            ),
            ({"previous_secret_keys": SECRET}, "must be a sequence of secrets"),
            ({"previous_secret_keys": ["weak"]}, "at least 32 bytes"),
            ({"algorithm": "RS256"}, "pass keys=Key.from_pem"),
            ({"audience": []}, "audience must be"),
            ({"audience": ["api", ""]}, "audience must be"),
            ({"audience": 7}, "audience must be"),
            ({"kind_claim": ""}, "kind_claim must be"),
            ({"subject_claims": "sub"}, "subject_claims must be a sequence"),
            ({"subject_claims": ()}, "subject_claims must be a sequence"),
            ({"subject_claims": ("sub", 7)}, "subject_claims must be a sequence"),
            ({"profile": "oidc"}, "profile must be"),
            ({"profile": "rfc9068"}, "needs issuer and audience"),
            ({"max_bytes": True}, "max_bytes must be an integer"),
            ({"leeway": 10}, "leeway must be a timedelta"),
        ],
    )
    def test_settings_that_cannot_be_are_refused(self, settings: dict[str, Any], problem: str) -> None:
        """When the configuration is made."""
        with pytest.raises(ConfigurationError, match=problem):
            TokenConfig(**{"secret_key": SECRET, **settings})


class Account(BaseModel):
    """An application's own model of the claims."""

    sub: int
    role: str = "reader"


class TestModels:
    """Claims as the application's own model."""

    def test_claims_are_read_into_a_model(self) -> None:
        """Types are converted as the model says."""
        account = codec().decode(codec().encode({"sub": 7, "role": "editor"}), model=Account)
        assert (account.sub, account.role) == (7, "editor")

    def test_claims_that_do_not_fit_are_a_bad_token(self) -> None:
        """The error names the claim, and holds no value."""
        with pytest.raises(TokenClaimsError, match="'sub' does not fit") as caught:
            codec().decode(codec().encode({"sub": "ada"}), model=Account)
        assert caught.value.claim == "sub"
        assert caught.value.__cause__ is None
        assert "ada" not in str(caught.value)

    def test_a_claim_that_the_model_needs_is_missing(self) -> None:
        """Which is another thing than one that does not fit; in a claim's own object it does not fit."""

        class Nested(BaseModel):
            account: Account

        with pytest.raises(TokenClaimsError, match=r"^claim 'a' is missing: the application's model needs it$"):
            codec().decode(codec().encode({"sub": 7}), model=Pair)
        with pytest.raises(TokenClaimsError, match="'account' does not fit"):
            codec().decode(codec().encode({"sub": 7, "account": {}}), model=Nested)

    def test_a_mistake_of_a_validator_is_no_bad_token(self) -> None:
        """It leaves as it is, as it leaves pydantic: a 401 would hide it."""

        class Mistaken(Account):
            @model_validator(mode="before")
            @classmethod
            def _read(cls, values: dict[str, Any]) -> Any:
                return values["user"]

        with pytest.raises(KeyError):
            codec().decode(codec().encode({"sub": 7}), model=Mistaken)

    def test_a_model_may_refuse_as_a_whole(self) -> None:
        """Then no claim is named."""

        class Strict(Account):
            @model_validator(mode="after")
            def _refuse(self) -> "Strict":
                raise ValueError("no")

        with pytest.raises(TokenClaimsError, match="'claims' does not fit"):
            codec().decode(codec().encode({"sub": 7}), model=Strict)


AGES = [(timedelta(-1), ValueError), (60, TypeError), (timedelta.max, ValueError)]


class TestExpired:
    """Claims of a token that has expired."""

    def test_an_expired_token_is_read_within_its_age(self) -> None:
        """Into a type of its own, which is no `Claims`."""
        token = codec().encode({"sub": 7})
        late = codec(at=NOW + timedelta(minutes=16))
        with pytest.raises(TokenExpiredError):
            late.decode(token)
        claims = late.decode_expired(token, max_age=timedelta(minutes=2))
        assert isinstance(claims, ExpiredClaims)
        assert not isinstance(claims, Claims)
        assert claims.int_sub == 7
        with pytest.raises(TokenExpiredError):
            late.decode_expired(token, max_age=timedelta(minutes=1))

    def test_all_other_rules_hold(self) -> None:
        """Signature, kind and claims."""
        for token in ("nonsense", signed({**GOOD, "aud": "other"}), signed({"exp": SECONDS}), signed(GOOD)[:-2]):
            with pytest.raises(TokenError):
                codec().decode_expired(token, max_age=timedelta(days=1))
        with pytest.raises(TokenMalformedError):
            codec().decode_expired(codec().encode({"sub": 7}), max_age=timedelta(days=1), kind="refresh")

    @pytest.mark.parametrize(
        ("age", "error"), [(timedelta(-1), ValueError), (60, TypeError), (timedelta.max, ValueError)]
    )
    def test_an_age_is_a_timedelta_of_some_length(self, age: Any, error: type[Exception]) -> None:
        """Anything else is a mistake of the caller."""
        with pytest.raises(error, match="max_age"):
            codec().decode_expired(signed(GOOD), max_age=age)
