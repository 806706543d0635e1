"""What the client reads."""

from typing import Any

import pytest
from fastapi.testclient import TestClient


@pytest.mark.parametrize(
    ("amount", "status", "body"),
    [
        (1, 200, {"amount": 1}),
        (0, 400, {"error": "Invalid input"}),
        (1001, 400, {"error": "Too much at once", "code": "too_much", "limit": 1000}),
        (101, 409, {"error": "Not in stock", "code": "out_of_stock"}),
        (99, 410, {"detail": "Gone"}),
    ],
)
def test_answers(client: TestClient, amount: int, status: int, body: dict[str, Any]) -> None:
    """Own errors, mapped errors, and FastAPI's, which keep their shape."""
    answer = client.post("/orders", json={"email": "ada@example.com", "amount": amount})
    assert answer.status_code == status
    assert answer.json() == body


def test_validation(client: TestClient) -> None:
    """Each failed field by its path, and nothing of what was sent."""
    answer = client.post("/orders", json={"email": "not an address", "amount": "many"})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == ["body.email", "body.amount"]
    assert "not an address" not in answer.text
