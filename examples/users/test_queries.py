"""How many statements a request sends: a number in a test is what notices the next query in a loop."""

from fastapi.testclient import TestClient

from fastapi_patterns.testing import CountQueries


def test_a_user_is_one_query(client: TestClient, assert_num_queries: CountQueries) -> None:
    """Reading a user sends one SELECT."""
    user = client.post("/users/", json={"email": "test@example.com", "name": "Test User"}).json()
    with assert_num_queries(1) as queries:
        client.get(f"/users/{user['id']}")
    assert queries[0].startswith("SELECT")


def test_creating_a_user_is_cheap(client: TestClient, max_queries: CountQueries) -> None:
    """Creating one sends two statements at the most."""
    with max_queries(2):
        client.post("/users/", json={"email": "test@example.com", "name": "Test User"})
