"""What may be shown of a URL: nothing that is secret, nothing that acts on a log."""

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_patterns.middleware._redact import HIDDEN, is_secret_name, plain, redact_header, redact_path, redact_query

SECRET = "S3CRETVALUE"
NAMES = [
    "token", "access_token", "refresh-token", "id_token", "password", "passwd", "pwd", "new_password", "secret",
    "client_secret", "api_key", "apikey", "api-key", "key", "X-Api-Key", "code", "state", "nonce", "signature", "sig",
    "X-Amz-Signature", "X-Amz-Security-Token", "session", "sessionid", "session_id", "PHPSESSID", "sid", "auth",
    "authorization", "jwt", "otp", "pin", "ssn", "card", "card_number", "cvv", "cvc", "iban", "user[password]",
    "credentials", "private_key", "csrf", "ticket", "SAMLResponse", "assertion", "PASSWORD", "pass",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["{n}={s}", "a=1&{n}={s}", "a=1;{n}={s}", "{n}=&{n}={s}", "q=/next?{n}={s}"])
def test_secrets_by_name_are_hidden(name: str, form: str) -> None:
    """Plain, in any position, empty first, percent-encoded names, and inside a URL that is a value."""
    for spelled in (name, quote(name, safe=""), "".join(f"%{ord(char):02x}" for char in name)):
        assert SECRET not in redact_query(form.format(n=spelled, s=SECRET).encode())
    assert SECRET not in redact_query(f"q={quote(f'/next?{name}={SECRET}', safe='')}".encode())


@pytest.mark.parametrize(
    "query",
    [
        f"q=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.{SECRET}",
        f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.{SECRET}",
        f"next=https://ada:{SECRET}@a.example/",
        f"next=https%3A%2F%2Fada%3A{SECRET}%40a.example%2F",
        f"next=%252Fa%253Ftoken%253D{SECRET}",
        f"filter=%7B%22password%22:%22{SECRET}%22%7D",
        f"q=Bearer%20{SECRET}",
    ],
)
def test_secrets_by_form_are_hidden(query: str) -> None:
    """A JWT under any name or none, a URL with a password, a query that was encoded twice."""
    assert SECRET not in redact_query(query.encode())


@pytest.mark.parametrize("name", ["page", "q", "sort", "limit", "user_id", "item_id", "lang", "from", "format"])
def test_what_is_no_secret_is_shown(name: str) -> None:
    """A log of nothing but [redacted] helps nobody."""
    assert redact_query(f"{name}=abc".encode()) == f"{name}=abc"


@given(st.binary(max_size=400))
def test_a_query_never_acts_on_the_log(query: bytes) -> None:
    """Whatever bytes come in, plain ASCII within the bound goes out."""
    shown = redact_query(query)
    assert re.fullmatch(r"[\x21-\x7e]*", shown)
    assert len(shown) <= 1024 + 3


@given(st.text(max_size=200), st.dictionaries(st.sampled_from(["token", "id"]), st.text(max_size=20), max_size=2))
def test_a_path_never_acts_on_the_log(path: str, parameters: dict[str, str]) -> None:
    """Whatever text the server decoded, plain ASCII goes out."""
    assert re.fullmatch(r"[\x21-\x7e]*", redact_path(path, parameters))
    assert re.fullmatch(r"[\x21-\x7e]*", plain(path))


def test_a_target_with_a_password_is_shown_without_it() -> None:
    """The absolute form of a target reaches some applications as the path."""
    assert plain("http://ada:s3cret@a.example/x") == "http://***@a.example/x"


def test_a_parameter_that_its_converter_changed_hides_the_path() -> None:
    """When the secret cannot be found in the path, all of it goes."""
    assert redact_path("/reset/ABC", {"token": "abc"}) == HIDDEN
    assert redact_path("/reset/x", {"token": ""}) == "/reset/x"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("https://a.example/reset/s3cret", "https://a.example"),
        ("https://ada:s3cret@a.example/", "https://a.example"),
        ("http://[::1", HIDDEN),
        ("http://a.example:port/", HIDDEN),
    ],
)
def test_of_a_referer_only_the_origin_is_shown(value: str, shown: str) -> None:
    """Its path may be one that holds a secret; what is no URL is hidden."""
    assert redact_header("referer", value) == shown


def test_a_long_header_is_cut() -> None:
    """A client can send kilobytes."""
    assert redact_header("user-agent", "x" * 5000) == "x" * 256 + "..."
    assert redact_header("user-agent", "curl/8 eyJhbGciOiJIUzI1NiJ9.e30.x") == HIDDEN


def test_names_are_compared_by_their_words() -> None:
    """Case and what stands between the words do not matter."""
    assert is_secret_name("X-API-KEY")
    assert not is_secret_name("accept-language")
