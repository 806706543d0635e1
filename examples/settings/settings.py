"""What the application takes from its environment, in one class."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, HttpUrl, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from the environment, then from `.env`; a mistake stops the start, and says nothing of a value."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, hide_input_in_errors=True)

    secret_key: SecretStr
    secret_key_previous: SecretStr | None = None
    access_token_lifetime: timedelta = timedelta(minutes=15)
    database_url: SecretStr = SecretStr("sqlite:///app.db")  # it has a password in it
    statement_timeout: timedelta = timedelta(seconds=10)
    weather_url: HttpUrl = HttpUrl("https://weather.example/v1/")
    weather_key: SecretStr
    weather_timeout_s: Annotated[float, Field(gt=0)] = 2.0
    allow_origins: tuple[str, ...] = ()
    log_format: Literal["text", "json"] = "json"
