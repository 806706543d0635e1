"""Two lines of configuration name `get_db` and the tables; each test is rolled back, commits included."""

import pytest
from fastapi.testclient import TestClient


@pytest.mark.parametrize("name", ["lamp", "chair"])
def test_items(client: TestClient, name: str) -> None:
    """Each test sees its own item alone."""
    assert client.post("/items", params={"name": name}).status_code == 200
    assert client.get("/items").json() == [name]
