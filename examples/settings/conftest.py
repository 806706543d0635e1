"""The environment of the tests, set before the application is imported."""

import os
import secrets

os.environ.update(
    SECRET_KEY=secrets.token_urlsafe(64),
    DATABASE_URL="sqlite://",
    WEATHER_KEY="the-key-of-the-tests",
    ALLOW_ORIGINS='["https://app.example"]',
)
