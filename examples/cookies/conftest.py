"""A secret for the tests, and a client that speaks https: cookies that are Secure are sent over nothing else."""

import os
import secrets
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

os.environ.setdefault("SECRET_KEY", secrets.token_urlsafe(64))


@pytest.fixture
def client(fastapi_app: FastAPI) -> Iterator[TestClient]:
    """The plugin's, for another address."""
    with TestClient(fastapi_app, base_url="https://shop.example") as opened:
        yield opened
