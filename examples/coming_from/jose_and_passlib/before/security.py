"""The usual security.py, all of it."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from jose import JWTError, jwt
from passlib.context import CryptContext

SECRET_KEY = os.environ["SECRET_KEY"]
pwd_context = CryptContext(schemes=["argon2", "pbkdf2_sha256"], deprecated="auto")


def get_password_hash(password: str) -> str:
    """Hash a password."""
    return str(pwd_context.hash(password))


def verify_password(plain: str, hashed: str) -> tuple[bool, str | None]:
    """Compare a password with its hash; the second is a new hash, where the old one's scheme is going."""
    matches, new_hash = pwd_context.verify_and_update(plain, hashed)
    return bool(matches), new_hash


def create_access_token(data: dict[str, Any]) -> str:
    """Make a token."""
    expires = datetime.now(UTC) + timedelta(minutes=30)
    return str(jwt.encode({**data, "exp": expires}, SECRET_KEY, algorithm="HS256"))


def read_access_token(token: str) -> str | None:
    """Return whose token it is; None where it is no good."""
    try:
        payload = jwt.decode(token, SECRET_KEY, algorithms=["HS256"])
    except JWTError:
        return None
    return payload.get("sub")
