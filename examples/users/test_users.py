"""The three tests that everybody writes first. `client` comes from the plugin; each test starts with no users."""

from fastapi.testclient import TestClient


def test_create_user(client: TestClient) -> None:
    """A created user comes back with an id."""
    response = client.post("/users/", json={"email": "test@example.com", "name": "Test User"})
    assert response.status_code == 200
    data = response.json()
    assert data["email"] == "test@example.com"
    assert data["name"] == "Test User"
    assert "id" in data


def test_get_user(client: TestClient) -> None:
    """A created user can be fetched by its id."""
    created = client.post("/users/", json={"email": "test@example.com", "name": "Test User"})
    user_id = created.json()["id"]
    response = client.get(f"/users/{user_id}")
    assert response.status_code == 200
    assert response.json() == {"id": user_id, "email": "test@example.com", "name": "Test User"}


def test_get_user_not_found(client: TestClient) -> None:
    """A user that does not exist is a 404."""
    response = client.get("/users/999")
    assert response.status_code == 404
    assert response.json() == {"error": "User not found"}
