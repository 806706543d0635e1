"""Every route, with what nobody thought of: schemathesis makes requests from the OpenAPI document.

`SLOW=1` sends more of them.
"""

import os
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import settings
from sqlalchemy.orm import Session

from examples.service.blocks import upstream
from examples.service.models import User

Case = schemathesis.Case[Any]
schema = schemathesis.pytest.from_fixture("openapi_schema")
few = settings(max_examples=200 if os.environ.get("SLOW") else 20, derandomize=True, deadline=None, database=None)


def check(case: Case, headers: dict[str, str] | None = None) -> None:
    """Send a request: what comes back is documented, and no server error."""
    # A link of the right form may have expired, and a password be weak.
    case.call_and_validate(headers=headers, excluded_checks=[schemathesis.checks.positive_data_acceptance])


@pytest.fixture(autouse=True)
def jokes(dependency_overrides: dict[Any, Any]) -> None:
    """Let the upstream answer: its failures have tests of their own."""
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json={"joke": "a table"}))
    dependency_overrides[upstream.client] = lambda: httpx2.AsyncClient(transport=transport, base_url="http://jokes")


@schema.parametrize()
@few
def test_as_a_stranger(case: Case) -> None:
    """Without a login."""
    check(case)


@pytest.fixture
def ada(db: Session) -> User:
    """An administrator."""
    user = User(email="ada@example.com", name="Ada", password_hash="!", scopes="admin")
    db.add(user)
    db.commit()
    return user


@schema.parametrize()
@few
def test_logged_in(case: Case, ada: User, auth_headers: Callable[..., dict[str, str]]) -> None:
    """With a login that may do everything."""
    check(case, auth_headers(ada, scopes=["admin"]))
