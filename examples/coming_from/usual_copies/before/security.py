"""The usual security.py."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from jose import jwt
from passlib.context import CryptContext

SECRET_KEY = os.environ["SECRET_KEY"]
ALGORITHM = "HS256"
pwd_context = CryptContext(schemes=["argon2"], deprecated="auto")


def verify_password(plain: str, hashed: str) -> bool:
    """Compare a password with its hash."""
    return bool(pwd_context.verify(plain, hashed))


def get_password_hash(password: str) -> str:
    """Hash a password."""
    return str(pwd_context.hash(password))


def create_access_token(data: dict[str, Any], expires_delta: timedelta = timedelta(minutes=30)) -> str:
    """Make a token."""
    return str(jwt.encode({**data, "exp": datetime.now(UTC) + expires_delta}, SECRET_KEY, algorithm=ALGORITHM))
