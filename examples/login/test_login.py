"""Who gets in where."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from examples.login.app import USERS, get_current_user


def headers_of(client: TestClient, name: str, password: str) -> dict[str, str]:
    """Log in and return the headers that say so."""
    answer = client.post("/login", data={"username": name, "password": password})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def test_ada_gets_in_everywhere(client: TestClient) -> None:
    """An administrator with the scope sees every page."""
    headers = headers_of(client, "ada", "correct horse")
    assert client.get("/me", headers=headers).json() == {"name": "ada"}
    assert client.get("/hello", headers=headers).json() == {"message": "Hello, ada!"}
    assert client.get("/admin", headers=headers).json() == {"name": "ada"}
    assert client.get("/reports", headers=headers).json() == {"reader": "ada"}


def test_eve_sees_her_own_page(client: TestClient) -> None:
    """She is no administrator and has no scope: 403."""
    headers = headers_of(client, "eve", "battery staple")
    assert client.get("/me", headers=headers).json() == {"name": "eve"}
    assert client.get("/admin", headers=headers).status_code == 403
    assert client.get("/reports", headers=headers).status_code == 403


@pytest.mark.parametrize("path", ["/me", "/admin", "/reports"])
def test_a_stranger_is_asked_to_log_in(client: TestClient, path: str) -> None:
    """401, with the header that says how."""
    answer = client.get(path)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert client.get("/hello").json() == {"message": "Hello, stranger!"}


@pytest.mark.parametrize("name", ["ada", "nobody"])
def test_a_wrong_password_tells_nothing(client: TestClient, name: str) -> None:
    """Whether the user exists or not, the answer is the same."""
    answer = client.post("/login", data={"username": name, "password": "wrong"})
    assert answer.status_code == 401
    assert answer.json() == {"error": "Wrong name or password"}


def test_without_a_token(client: TestClient, fastapi_app: FastAPI, dependency_overrides: dict[object, object]) -> None:
    """In a test, overriding `base` logs a user in everywhere; checks still run."""
    dependency_overrides[get_current_user.base] = lambda: USERS["eve"]
    assert client.get("/me").json() == {"name": "eve"}
    assert client.get("/reports").json() == {"reader": "eve"}
    assert client.get("/admin").status_code == 403
