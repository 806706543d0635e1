"""A secret for the tests; a real one comes from the environment."""

import os

os.environ.setdefault("SECRET_KEY", "t3sts-0nly-0f-the-password-reset-3xample")
