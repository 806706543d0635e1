"""The public keys, published."""

from datetime import timedelta

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_patterns.auth import make_jwks_router
from fastapi_patterns.security import Key, KeySet, TokenCodec, TokenConfig

KEYS = KeySet([Key.generate("ES256", kid="a"), Key.generate("EdDSA", kid="b")])


@pytest.mark.parametrize(
    "source", [KEYS, TokenCodec(TokenConfig(keys=KEYS)), TokenCodec(TokenConfig(keys=lambda: KEYS))]
)
def test_readers_find_the_public_keys(source: KeySet | TokenCodec) -> None:
    """And check tokens with them; nothing private is there."""
    app = FastAPI()
    app.include_router(make_jwks_router(source, max_age=timedelta(minutes=1)))
    answer = TestClient(app).get("/.well-known/jwks.json")
    assert answer.headers["Cache-Control"] == "public, max-age=60"
    assert [(key["kid"], "d" in key) for key in answer.json()["keys"]] == [("a", False), ("b", False)]
    reader = TokenCodec(TokenConfig(keys=KeySet.from_jwks(answer.json())))
    assert reader.decode(TokenCodec(TokenConfig(keys=KEYS)).encode({"sub": 7})).sub == "7"


def test_a_secret_is_never_published() -> None:
    """A set of secrets is empty."""
    app = FastAPI()
    app.include_router(make_jwks_router(TokenCodec(TokenConfig(secret_key="S3cr3t-of-the-tests-0123456789-abc"))))
    assert TestClient(app).get("/.well-known/jwks.json").json() == {"keys": []}
