"""What the service takes from its environment."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings; `SECRET_KEY` is read by `TokenConfig.from_env` and never kept here."""

    database_url: str = "sqlite:///service.db"
    upstream_url: str = "http://127.0.0.1:8001"
    upstream_timeout_s: float = 1.0
    allow_origins: tuple[str, ...] = ("http://localhost:5173",)
    log_format: str = "text"

    @classmethod
    def from_env(cls) -> "Settings":
        """Read `DATABASE_URL`, `UPSTREAM_URL`, `ALLOW_ORIGINS` (comma-separated) and `LOG_FORMAT`."""
        default = cls()
        origins = os.environ.get("ALLOW_ORIGINS")
        return cls(
            database_url=os.environ.get("DATABASE_URL", default.database_url),
            upstream_url=os.environ.get("UPSTREAM_URL", default.upstream_url),
            allow_origins=tuple(origins.split(",")) if origins else default.allow_origins,
            log_format=os.environ.get("LOG_FORMAT", default.log_format),
        )
