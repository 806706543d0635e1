"""The sync client drives async routes; each test is rolled back."""

from fastapi.testclient import TestClient


def test_a_note_is_there_after_it_was_written(client: TestClient) -> None:
    """Written, listed, deleted."""
    note_id = client.post("/notes", params={"title": "milk"}).json()["id"]
    assert client.get("/notes").json() == ["milk"]
    assert client.delete(f"/notes/{note_id}").status_code == 200
    assert client.get("/notes").json() == []


def test_a_title_is_taken_once(client: TestClient) -> None:
    """The database's refusal becomes a conflict, and the first note stays."""
    client.post("/notes", params={"title": "milk"})
    answer = client.post("/notes", params={"title": "milk"})
    assert answer.status_code == 409
    assert answer.json() == {"error": "This already exists"}
    assert client.get("/notes").json() == ["milk"]


def test_no_note_is_a_404(client: TestClient) -> None:
    """The error rolls back and says so."""
    assert client.delete("/notes/404").json() == {"error": "No such note"}
