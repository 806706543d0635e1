"""What the service takes from its environment."""

import os
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings; the secret is in no message and no repr."""

    secret_key: str = field(repr=False)
    database_url: str = "sqlite:///service.db"
    upstream_url: str = "http://127.0.0.1:8001"
    upstream_timeout_s: float = 1.0
    allow_origins: tuple[str, ...] = ("http://localhost:5173",)
    log_format: str = "text"
    mail_dir: Path | None = None

    @classmethod
    def from_env(cls) -> "Settings":
        """Read `SECRET_KEY`, and what else is set of `DATABASE_URL`, `UPSTREAM_URL`, `LOG_FORMAT`, `MAIL_DIR` (a
        folder for the mails) and `ALLOW_ORIGINS` (comma-separated).
        """
        default = cls(secret_key=os.environ.get("SECRET_KEY", ""))
        origins, mail_dir = os.environ.get("ALLOW_ORIGINS"), os.environ.get("MAIL_DIR")
        return cls(
            secret_key=default.secret_key,
            database_url=os.environ.get("DATABASE_URL", default.database_url),
            upstream_url=os.environ.get("UPSTREAM_URL", default.upstream_url),
            allow_origins=tuple(origins.split(",")) if origins else default.allow_origins,
            log_format=os.environ.get("LOG_FORMAT", default.log_format),
            mail_dir=Path(mail_dir) if mail_dir else None,
        )
