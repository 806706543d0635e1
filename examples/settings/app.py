"""The blocks get what they need; none of them reads the environment."""

from typing import Annotated

import httpx2
from fastapi import Depends, FastAPI
from sqlalchemy import MetaData, text
from sqlalchemy.orm import Session

from examples.settings.settings import Settings
from fastapi_patterns import Database, HttpClient, TokenCodec, TokenConfig, configure_logging, install_stack

settings = Settings()

configure_logging(settings.log_format)
tokens = TokenCodec(
    TokenConfig(
        secret_key=settings.secret_key,  # a SecretStr is taken as it is
        previous_secret_keys=[settings.secret_key_previous] if settings.secret_key_previous else (),
        expires_delta=settings.access_token_lifetime,
    )
)
database = Database(
    settings.database_url.get_secret_value(),
    metadata=MetaData(),  # Base.metadata: your tables
    statement_timeout=settings.statement_timeout,
)
weather = HttpClient(
    str(settings.weather_url),
    timeout_s=settings.weather_timeout_s,
    headers={"X-Api-Key": settings.weather_key.get_secret_value()},  # sent to this host only
)
SessionDep = Annotated[Session, Depends(database.session)]
WeatherDep = Annotated[httpx2.AsyncClient, Depends(weather.client)]

app = FastAPI()
install_stack(app, allow_origins=settings.allow_origins, resources=[database, weather])


@app.get("/one")
def one(session: SessionDep) -> int:
    """Ask the database."""
    return int(session.execute(text("SELECT 1")).scalar_one())


@app.get("/sky")
async def sky(client: WeatherDep) -> str:
    """Ask the other service."""
    response = await client.get("sky")
    response.raise_for_status()
    return response.text
