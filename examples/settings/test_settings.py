"""The settings reach the blocks, and a wrong one stops the start without a word of its value."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import ValidationError

from examples.settings.app import settings, tokens
from examples.settings.settings import Settings
from fastapi_patterns import ConfigurationError, TokenConfig
from fastapi_patterns.testing import MockHttp

GOOD = {"secret_key": "x" * 43, "weather_key": "k"}


def test_the_blocks_have_the_settings(client: TestClient, mock_http: MockHttp) -> None:
    """The database answers, the key goes to the other service, the origin is let in, tokens verify."""
    mock_http.add("GET", "https://weather.example/v1/sky", text="blue")
    assert client.get("/one").json() == 1
    answer = client.get("/sky", headers={"Origin": "https://app.example"})
    assert answer.json() == "blue"
    assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example"
    assert mock_http.calls[0].headers["X-Api-Key"] == "the-key-of-the-tests"
    claims = tokens.decode(tokens.encode({"sub": "ada"}))
    assert claims.issued_at is not None
    assert claims.expires_at - claims.issued_at == timedelta(minutes=15)


def test_no_secret_is_shown() -> None:
    """Neither by the settings nor by what is made of them."""
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()} {tokens!r}"
    assert settings.secret_key.get_secret_value() not in shown
    assert "the-key-of-the-tests" not in shown


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"secret_key": ["hunter2"]}, "secret_key"),
        ({"weather_url": "hunter2"}, "weather_url"),
        ({"log_format": "hunter2"}, "log_format"),
        ({"access_token_lifetime": "hunter2"}, "access_token_lifetime"),
    ],
)
def test_a_mistake_names_the_field_only(wrong: dict[str, Any], field: str) -> None:
    """The message says which setting is wrong, and not what stands there."""
    with pytest.raises(ValidationError) as caught:
        Settings(_env_file=None, **{**GOOD, **wrong})
    assert field in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_secret_has_no_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one the application does not start; the library judges whether it is strong."""
    monkeypatch.delenv("SECRET_KEY")
    with pytest.raises(ValidationError, match="secret_key"):
        Settings(_env_file=None, weather_key="k")
    weak = Settings(_env_file=None, secret_key="changeme", weather_key="k")
    with pytest.raises(ConfigurationError) as caught:
        TokenConfig(secret_key=weak.secret_key)
    assert "changeme" not in str(caught.value)


def test_a_lifetime_is_an_iso_duration(monkeypatch: pytest.MonkeyPatch) -> None:
    """`PT5M` in the environment is five minutes, and so is `00:05:00`."""
    for written in ("PT5M", "00:05:00"):
        monkeypatch.setenv("ACCESS_TOKEN_LIFETIME", written)
        assert Settings(_env_file=None).access_token_lifetime == timedelta(minutes=5)
