"""What a key opens, and what it does not."""

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from examples.api_keys.app import ApiKey, tokens


@pytest.fixture
def ada() -> dict[str, str]:
    """Headers of a person."""
    return {"Authorization": f"Bearer {tokens.encode({'sub': 'ada', 'scope': 'keys reports:read'})}"}


@pytest.fixture
def key(client: TestClient, ada: dict[str, str]) -> dict[str, str]:
    """A new key."""
    answer = client.post("/keys", headers=ada)
    assert answer.status_code == 201
    return dict(answer.json())


def test_a_key_reads_reports_and_makes_no_keys(client: TestClient, key: dict[str, str]) -> None:
    """It has its own scopes, and not all of its owner's."""
    headers = {"X-API-Key": key["key"]}
    assert client.get("/reports", headers=headers).json() == {"reader": "ada"}
    assert client.post("/keys", headers=headers).status_code == 403


def test_a_deleted_key_is_refused(client: TestClient, ada: dict[str, str], key: dict[str, str]) -> None:
    """At once."""
    assert client.delete(f"/keys/{key['id']}", headers=ada).status_code == 204
    answer = client.get("/reports", headers={"X-API-Key": key["key"]})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'  # the first source's


def test_what_is_no_key_is_refused(client: TestClient, key: dict[str, str]) -> None:
    """An unknown id, another secret, none, nonsense; and a key beside a token."""
    wrong = [f"{'0' * 16}.{key['key'][17:]}", f"{key['key']}x", key["id"], f"{key['id']}.", ".", "nonsense"]
    answers = [client.get("/reports", headers={"X-API-Key": value}) for value in wrong]
    assert [answer.status_code for answer in answers] == [401] * len(wrong)
    assert len({answer.content for answer in answers}) == 1
    both = {"X-API-Key": key["key"], "Authorization": f"Bearer {tokens.encode({'sub': 'ada'})}"}
    assert client.get("/reports", headers=both).status_code == 400


def test_the_database_holds_no_key(client: TestClient, key: dict[str, str], db: Session) -> None:
    """Whoever reads it can use nothing of it."""
    row = db.scalars(select(ApiKey)).one()
    secret = key["key"].partition(".")[2]
    assert secret not in (row.id, row.digest)
    assert len(row.digest) == 64
