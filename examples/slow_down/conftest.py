"""A secret and cheap hashing for the tests, made before the application is."""

import os
import secrets

os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(64))

from examples.slow_down import app
from fastapi_patterns.security import Argon2Params, PasswordHasher

app.passwords = PasswordHasher(Argon2Params.FOR_TESTS_ONLY)
